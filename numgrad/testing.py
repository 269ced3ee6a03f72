"""`assert_close`: tensors, numbers, and lists and dictionaries of them compared, with torch's arguments and messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.tensor.tensor import Tensor

__all__ = ["assert_close"]

_TOLERANCES = {dtypes.float32: (1.3e-6, 1e-5), dtypes.float64: (1e-7, 1e-7)}
Message = str | Callable[[str], str] | None


class _Unlike(Exception):  # noqa: N818 (caught here, and told as an AssertionError)
    """Two values differ; ``path`` says which of a container."""

    def __init__(self, text: str, path: tuple[Any, ...]) -> None:
        super().__init__(text)
        self.text, self.path = text, path


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: Message = None,
) -> None:
    """Raise unless the values are close: |actual - expected| <= atol + rtol * |expected|, element by element.

    Both are tensors, arrays, numbers, None, or sequences or mappings of these. Tensors have to be of one shape and dtype.

    Parameters
    ----------
    allow_subclasses
        Whether one may be of a subclass of the other's class.
    rtol, atol
        The tolerances, both or none. By default 1.3e-6 and 1e-5 for float32, 1e-7 for float64, and 0 for integers and bools.
    equal_nan
        Whether NaN is like NaN.
    check_device, check_layout
        As in torch; there is one device and one layout.
    check_dtype, check_stride
        Whether dtypes, and strides, have to be the same.
    msg
        What the error says in place of what differs, or a function from that to what it says.

    Raises
    ------
    AssertionError
        The values are not close, or not of one shape, dtype, length or kind.
    TypeError
        A value is nothing that can be compared.
    ValueError
        There is only one tolerance.

    >>> import numgrad as ng
    >>> ng.testing.assert_close(ng.tensor([1.0, 2.0]), ng.tensor([1.0, 2.0 + 1e-6]))
    >>> ng.testing.assert_close([1, 2], [1, 3])
    Traceback (most recent call last):
    AssertionError: Scalars are not equal!
    <BLANKLINE>
    Expected 3 but got 2.
    Absolute difference: 1
    Relative difference: 0.3333333333333333
    <BLANKLINE>
    The failure occurred for item [1]
    """
    if (rtol is None) != (atol is None):
        missing = "rtol" if rtol is None else "atol"
        raise ValueError(f"Both 'rtol' and 'atol' must be either specified or omitted, but got no {missing}.")
    tolerances = None if rtol is None or atol is None else (float(rtol), float(atol))
    options = {
        "equal_nan": equal_nan,
        "check_dtype": check_dtype,
        "check_stride": check_stride,
        "subclasses": allow_subclasses,
    }
    try:
        _compare(actual, expected, tolerances, options, ())
    except _Unlike as unlike:
        text = unlike.text
        if unlike.path:
            text += f"\n\nThe failure occurred for item {''.join(f'[{key!r}]' for key in unlike.path)}"
        raise AssertionError(msg(text) if callable(msg) else text if msg is None else msg) from None


def _compare(actual: Any, expected: Any, tolerances: Any, options: dict[str, Any], path: tuple[Any, ...]) -> None:
    if _is_sequence(actual) and _is_sequence(expected):
        if len(actual) != len(expected):
            raise _Unlike(f"The length of the sequences mismatch: {len(actual)} != {len(expected)}", path)
        for position, (mine, theirs) in enumerate(zip(actual, expected, strict=True)):
            _compare(mine, theirs, tolerances, options, (*path, position))
    elif isinstance(actual, Mapping) and isinstance(expected, Mapping):
        missing, more = [key for key in expected if key not in actual], [key for key in actual if key not in expected]
        if missing or more:
            lines = ["The keys of the mappings do not match:"]
            lines += [f"Missing keys in the actual mapping: {sorted(missing)}"] if missing else []
            lines += [f"Additional keys in the actual mapping: {sorted(more)}"] if more else []
            raise _Unlike("\n".join(lines), path)
        for key in expected:
            _compare(actual[key], expected[key], tolerances, options, (*path, key))
    elif actual is None and expected is None:
        return
    elif _are(actual, expected, (bool, np.bool_)):
        if bool(actual) is not bool(expected):
            raise _Unlike(f"Booleans mismatch: {actual} is not {expected}", path)
    elif _are(actual, expected, (int, float, np.number)):
        _compare_numbers(actual, expected, tolerances, options, path)
    elif _are(actual, expected, Tensor):
        if not options["subclasses"] and type(actual) is not type(expected):
            raise TypeError(
                f"No comparison pair was able to handle inputs of type {type(actual)} and {type(expected)}."
            )
        _compare_tensors(actual, expected, tolerances, options, path)
    elif _are(actual, expected, np.ndarray):
        from numgrad.tensor.creation import as_tensor

        _compare_tensors(as_tensor(actual), as_tensor(expected), tolerances, options, path)
    else:
        raise TypeError(f"No comparison pair was able to handle inputs of type {type(actual)} and {type(expected)}.")


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def _are(actual: Any, expected: Any, kind: Any) -> bool:
    return isinstance(actual, kind) and isinstance(expected, kind)


def _compare_numbers(
    actual: Any, expected: Any, tolerances: Any, options: dict[str, Any], path: tuple[Any, ...]
) -> None:
    if options["check_dtype"] and type(actual) is not type(expected):
        raise _Unlike(f"The (d)types do not match: {type(actual)} != {type(expected)}.", path)
    fractional = isinstance(actual, (float, np.floating)) or isinstance(expected, (float, np.floating))
    rtol, atol = tolerances or (_TOLERANCES[dtypes.float64] if fractional else (0.0, 0.0))
    if actual == expected or (options["equal_nan"] and actual != actual and expected != expected):
        return
    difference = abs(actual - expected)
    if np.isfinite(difference) and difference <= atol + rtol * abs(expected):
        return
    raise _Unlike(_of_numbers(actual, expected, difference, rtol, atol), path)


def _of_numbers(actual: Any, expected: Any, difference: Any, rtol: float, atol: float) -> str:
    relative = difference / abs(expected) if expected else float("inf")
    return (
        f"Scalars are not {_degree(rtol, atol)}!\n\nExpected {expected} but got {actual}.\n"
        f"Absolute difference: {difference}{_allowed(atol, rtol, atol)}\n"
        f"Relative difference: {relative}{_allowed(rtol, rtol, atol)}"
    )


def _degree(rtol: float, atol: float) -> str:
    return "close" if rtol or atol else "equal"


def _allowed(tolerance: float, rtol: float, atol: float) -> str:
    return f" (up to {tolerance} allowed)" if rtol or atol else ""


def _compare_tensors(
    actual: Tensor, expected: Tensor, tolerances: Any, options: dict[str, Any], path: tuple[Any, ...]
) -> None:
    for name, checked in (("shape", True), ("dtype", options["check_dtype"])):
        mine, theirs = getattr(actual, name), getattr(expected, name)
        if checked and mine != theirs:
            raise _Unlike(f"The values for attribute '{name}' do not match: {mine} != {theirs}.", path)
    if options["check_stride"] and actual.stride() != expected.stride():
        raise _Unlike(
            f"The values for attribute 'stride()' do not match: {actual.stride()} != {expected.stride()}.", path
        )
    known = [_TOLERANCES.get(tensor.dtype, (0.0, 0.0)) for tensor in (actual, expected)]
    rtol, atol = tolerances or (max(each[0] for each in known), max(each[1] for each in known))
    common = dtypes.promote_types(actual.dtype, expected.dtype)
    x, y = (tensor.detach()._array().astype(common.numpy) for tensor in (actual, expected))
    if not common.is_floating_point:
        x, y = x.astype(np.int64), y.astype(np.int64)
    with np.errstate(all="ignore"):
        difference = np.abs(x - y)
        is_close = (x == y) | (np.isfinite(x) & np.isfinite(y) & (difference <= atol + rtol * np.abs(y)))
        if options["equal_nan"]:
            is_close |= (x != x) & (y != y)
        if is_close.all():
            return
        relative = (difference / np.abs(y)).astype(np.float32 if y.dtype.kind == "i" else y.dtype)
    if not x.ndim:
        raise _Unlike(_of_numbers(x.item(), y.item(), difference.item(), rtol, atol), path)
    wrong = int((~is_close).sum())
    lines = [
        f"Tensor-likes are not {_degree(rtol, atol)}!",
        "",
        f"Mismatched elements: {wrong} / {x.size} ({wrong / x.size:.1%})",
    ]
    for word, amounts, tolerance in (("absolute", difference, atol), ("relative", relative, rtol)):
        counted = np.where(is_close, np.zeros_like(amounts), amounts)  # what is close does not count, be it inf - inf
        index = tuple(int(each) for each in np.unravel_index(int(np.argmax(counted)), counted.shape))
        lines.append(
            f"Greatest {word} difference: {counted[index].item()} at index {index}{_allowed(tolerance, rtol, atol)}"
        )
    raise _Unlike("\n".join(lines), path)
