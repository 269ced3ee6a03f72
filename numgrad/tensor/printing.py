"""`tensor_text`: tensors as text, in torch's form."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numgrad.errors import GradError

PRECISION, THRESHOLD, EDGE_ITEMS, LINE_WIDTH = 4, 1000, 3, 80


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
        body = _array_text(array, indent)
    lines = body.split("\n")
    text = prefix + body
    used = len(lines[-1]) + 2 + (indent if len(lines) == 1 else 0)
    for suffix in suffixes:
        if used + len(suffix) + 2 > LINE_WIDTH:
            text += ",\n" + " " * indent + suffix
            used = indent + len(suffix)
        else:
            text += ", " + suffix
            used += len(suffix) + 2
    return text + ")"


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
    summarise = array.size > THRESHOLD
    shown = _edges(array) if summarise else array
    return _nested(array, indent, summarise, _formatter(shown))


def _edges(array: np.ndarray) -> np.ndarray:
    """The elements that a summary shows."""
    for axis in range(array.ndim):
        if array.shape[axis] > 2 * EDGE_ITEMS:
            ends = [*range(EDGE_ITEMS), *range(array.shape[axis] - EDGE_ITEMS, array.shape[axis])]
            array = array.take(ends, axis)
    return array


class _Formatter:
    """Formats elements to one width. As in torch, zeros, infinities and NaN do not count for the width."""

    def __init__(self, text: Any, width: int) -> None:
        self.text, self.width = text, width

    def __call__(self, value: Any) -> str:
        return str(self.text(value).rjust(self.width))


def _formatter(shown: np.ndarray) -> _Formatter:
    if shown.dtype.kind != "f":
        width = max(len(str(value)) for value in shown.ravel().tolist())
        return _Formatter(str, width)
    with np.errstate(all="ignore"):
        counted = shown[np.isfinite(shown) & (shown != 0)].astype(np.float64).ravel()
        values = np.abs(counted)
    if values.size == 0:
        style = "{:.0f}."
    else:
        low, high = float(values.min()), float(values.max())
        if bool((values == np.ceil(values)).all()):
            scientific = high / low > 1000.0 or high > 1.0e8
            style = "{:." + str(PRECISION) + "e}" if scientific else "{:.0f}."
        else:
            scientific = high / low > 1000.0 or high > 1.0e8 or low < 1.0e-4
            style = "{:." + str(PRECISION) + ("e}" if scientific else "f}")

    def text(value: float) -> str:
        return style.format(value) if math.isfinite(value) else str(value)

    return _Formatter(text, max((len(text(value)) for value in counted.tolist()), default=0))


def _nested(array: np.ndarray, indent: int, summarise: bool, text: _Formatter) -> str:
    if array.ndim == 0:
        return str(text(array.item()))
    cut = summarise and array.shape[0] > 2 * EDGE_ITEMS
    parts = [*array[:EDGE_ITEMS], None, *array[-EDGE_ITEMS:]] if cut else list(array)
    if array.ndim == 1:
        items = [" ..." if part is None else text(part.item()) for part in parts]
        per_line = max(1, (LINE_WIDTH - indent) // (max(1, text.width) + 2))
        rows = [", ".join(items[begin : begin + per_line]) for begin in range(0, len(items), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(rows) + "]"
    blocks = ["..." if part is None else _nested(part, indent + 1, summarise, text) for part in parts]
    return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(blocks) + "]"
