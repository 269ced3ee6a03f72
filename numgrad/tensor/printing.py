"""`tensor_text`: tensors as text, in torch's form; `set_printoptions` changes it."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from numgrad.errors import GradError
from numgrad.tensor.arguments import as_int, as_number
from numgrad.tensor.surface import public


@dataclass(frozen=True)
class PrintOptions:
    """How tensors are printed: digits after the point, from how many elements on a summary, its edges, and the lines' width.

    ``sci_mode`` is None where the numbers themselves decide on the scientific notation.
    """

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES = {
    "default": PrintOptions(),
    "short": PrintOptions(precision=2, edgeitems=2),
    "full": PrintOptions(threshold=math.inf),
}
_current = [PrintOptions()]
_RANGED = 10_000_000  # elements whose range a notebook shows


@public("function")
def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Say how tensors are printed. What is None stays as it is, but for ``sci_mode``.

    Parameters
    ----------
    precision
        Digits after the point; 4 at first.
    threshold
        From more elements than this a summary is printed; 1000 at first.
    edgeitems
        Elements at each end of a dimension in a summary; 3 at first.
    linewidth
        Characters of a line; 80 at first.
    profile
        'default', 'short' (2 digits, 2 elements at each end) or 'full' (no summaries), under the other options.
    sci_mode
        Whether numbers are in scientific notation; None: where their sizes ask for it.

    Raises
    ------
    ValueError
        There is no such profile, or a number is negative.
    TypeError
        A number is not an int.

    >>> import numgrad as ng
    >>> ng.set_printoptions(precision=2)
    >>> ng.tensor([1.12345])
    tensor([1.12])
    >>> ng.set_printoptions(profile="default")
    >>> ng.tensor([1.12345])
    tensor([1.1235])
    """
    if profile is not None and profile not in _PROFILES:
        raise ValueError(f"set_printoptions: profile is {profile!r}, expected 'default', 'short' or 'full'")
    changes: dict[str, Any] = {"sci_mode": sci_mode}
    for name, value in (("precision", precision), ("edgeitems", edgeitems), ("linewidth", linewidth)):
        if value is not None:
            changes[name] = as_int("set_printoptions", name, value)
    if threshold is not None:
        number = as_number(threshold)
        if number is None or number != number:
            raise TypeError(f"set_printoptions(): argument 'threshold' must be Number, not {threshold!r}")
        changes["threshold"] = number
    for name, value in changes.items():
        if name != "sci_mode" and value < 0:
            raise ValueError(f"set_printoptions: {name} is {value}, expected a number that is not negative")
    _current[0] = replace(_current[0] if profile is None else _PROFILES[profile], **changes)


def tensor_text(tensor: Any) -> str:
    """The repr of a tensor, such as ``tensor([1., 2.], requires_grad=True)``."""
    prefix = f"{'Parameter containing:' + chr(10) if type(tensor).__name__ == 'Parameter' else ''}tensor("
    suffixes = _suffixes(tensor)
    indent = 7
    array = tensor._values()
    if array.size == 0:
        body = "[]"
        if array.ndim != 1:
            suffixes.insert(0, f"size={tuple(array.shape)}")
    else:
        if not _current[0].edgeitems:
            suffixes.insert(0, f"size={tuple(array.shape)}")
        body = _array_text(array, indent)
    lines = body.split("\n")
    text = prefix + body
    used = len(lines[-1]) + 2 + (indent if len(lines) == 1 else 0)
    for suffix in suffixes:
        if used + len(suffix) + 2 > _current[0].linewidth:
            text += ",\n" + " " * indent + suffix
            used = indent + len(suffix)
        else:
            text += ", " + suffix
            used += len(suffix) + 2
    return text + ")"


def tensor_html(tensor: Any) -> str:
    """What a notebook shows of a tensor: dtype, shape, history and range in one line, the text on demand where it is long.

    The range is left out where it would take long: of more than ten million elements.
    """
    facts = [str(tensor.dtype), " × ".join(map(str, tensor.shape)) or "a number", *_suffixes(tensor)[-1:]]
    array = tensor._values()
    # Elements that a dimension of an expanded tensor repeats are looked at once.
    distinct = array[tuple(slice(1 if stride == 0 else None) for stride in array.strides)]
    if 0 < distinct.size <= _RANGED and array.dtype.kind == "f":
        finite = distinct[np.isfinite(distinct)]
        if finite.size:
            facts.append(f"{finite.min():.4g} to {finite.max():.4g}")
        if finite.size < distinct.size:
            facts.append(f"{(distinct.size - finite.size) * (array.size // distinct.size)} not finite")
    text = html.escape(tensor_text(tensor))
    shown = (
        f"<pre>{text}</pre>"
        if text.count("\n") < 12
        else f"<details><summary>values</summary><pre>{text}</pre></details>"
    )
    return f"<div><small>{html.escape(type(tensor).__name__)}: {html.escape(', '.join(facts))}</small>{shown}</div>"


def _suffixes(tensor: Any) -> list[str]:
    from numgrad import dtypes

    default = {dtypes.get_default_dtype(), dtypes.int64, dtypes.bool_}
    suffixes = (
        []
        if tensor.dtype in default and (tensor.numel() or tensor.dtype is dtypes.get_default_dtype())
        else [f"dtype={tensor.dtype!r}"]
    )
    try:
        node = tensor.grad_fn
    except GradError:  # a view that is invalid since its memory was changed
        node = "<Invalid>"
    if node is not None:
        suffixes.append(f"grad_fn={node}")
    elif tensor.requires_grad:
        suffixes.append("requires_grad=True")
    return suffixes


def _array_text(array: np.ndarray, indent: int) -> str:
    summarise = array.size > _current[0].threshold
    shown = _edges(array) if summarise else array
    return _nested(array, indent, summarise, _formatter(shown))


def _edges(array: np.ndarray) -> np.ndarray:
    """The elements that a summary shows."""
    edge = _current[0].edgeitems
    for axis in range(array.ndim):
        if array.shape[axis] > 2 * edge:
            # Slices: `take` would first copy an array that is not contiguous as a whole.
            before, end = (slice(None),) * axis, array.shape[axis]
            array = np.concatenate([array[*before, :edge], array[*before, end - edge :]], axis)
    return array


class _Formatter:
    """Formats elements to one width. As in torch, zeros, infinities and NaN do not count for the width."""

    def __init__(self, text: Any, width: int) -> None:
        self.text, self.width = text, width

    def __call__(self, value: Any) -> str:
        return str(self.text(value).rjust(self.width))


def _formatter(shown: np.ndarray) -> _Formatter:
    if shown.dtype.kind != "f":
        width = max((len(str(value)) for value in shown.ravel().tolist()), default=1)
        return _Formatter(str, width)
    with np.errstate(all="ignore"):
        counted = shown[np.isfinite(shown) & (shown != 0)].astype(np.float64).ravel()
        values = np.abs(counted)
    precision, scientific = _current[0].precision, _current[0].sci_mode
    if values.size == 0:
        style = "{:.0f}."
    else:
        low, high = float(values.min()), float(values.max())
        integral = bool((values == np.ceil(values)).all())
        if scientific is None:
            scientific = high / low > 1000.0 or high > 1.0e8 or (low < 1.0e-4 and not integral)
        style = f"{{:.{precision}e}}" if scientific else "{:.0f}." if integral else f"{{:.{precision}f}}"

    def text(value: float) -> str:
        return style.format(value) if math.isfinite(value) else str(value)

    return _Formatter(text, max((len(text(value)) for value in counted.tolist()), default=0))


def _nested(array: np.ndarray, indent: int, summarise: bool, text: _Formatter) -> str:
    if array.ndim == 0:
        return str(text(array.item()))
    edge = _current[0].edgeitems
    cut = summarise and array.shape[0] > 2 * edge
    parts = [*array[:edge], None, *array[array.shape[0] - edge :]] if cut else list(array)
    if array.ndim == 1:
        items = [(" ..." if edge else "...") if part is None else text(part.item()) for part in parts]
        per_line = max(1, (_current[0].linewidth - indent) // (max(1, text.width) + 2))
        rows = [", ".join(items[begin : begin + per_line]) for begin in range(0, len(items), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(rows) + "]"
    blocks = ["..." if part is None else _nested(part, indent + 1, summarise, text) for part in parts]
    return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(blocks) + "]"


def indented(text: str, width: int = 2) -> str:
    """The text with every line but the first indented by some spaces."""
    return text.replace("\n", "\n" + " " * width)
