"""``pad``: arrays with borders."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad.numpy.arrays import BY_NAME, cast, dtype_of, is_int, ng, tensor, values_of
from numgrad.numpy.table import implements
from numgrad.tensor.tensor import Tensor


@implements("pad")
def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Tensor:
    """The array with a border: NumPy's modes, but for functions of the caller's.

    >>> import numgrad.numpy as np
    >>> np.pad([1.0, 2.0, 3.0], 2, mode="reflect")
    array([3., 2., 1., 2., 3., 2., 1.])
    """
    x = tensor(array)
    if not isinstance(mode, str):
        raise TypeError(
            "numpy.pad: a function as mode is refused, since it writes into arrays of NumPy's; take a mode by name"
        )
    if isinstance(pad_width, dict):
        widths: list[Any] = [pad_width.get(n, pad_width.get(n - x.ndim, (0, 0))) for n in range(x.ndim)]
        pad_width = [(w, w) if is_int(w) else tuple(w) for w in widths]
    sides: list[tuple[int, int]] = [
        (int(b), int(e)) for b, e in np.broadcast_to(np.asarray(values_of(pad_width)), (x.ndim, 2))
    ]
    if any(w < 0 for pair in sides for w in pair):
        raise ValueError("index can't contain negative values")
    if mode in ("edge", "reflect", "symmetric", "wrap") and kwargs.get("reflect_type", "even") == "even":
        for n, pair in enumerate(sides):
            if pair != (0, 0):
                x = ng.index_select(x, n, tensor(np.pad(np.arange(x.shape[n]), pair, mode)))  # type: ignore[call-overload]
        return x
    if mode not in _BORDERS:
        raise ValueError(f"mode '{mode}' is not supported with {kwargs}")
    for n, pair in enumerate(sides):
        for at_end in (False, True):
            if pair[at_end] or mode in ("mean", "median", "maximum", "minimum"):
                x = _bordered(x, n, pair, at_end, mode, kwargs, sides)
    return x


def _bordered(
    x: Tensor, axis: int, pair: tuple[int, int], at_end: bool, mode: str, options: Any, widths: Any
) -> Tensor:
    """The array with one side of one axis padded."""
    width = pair[at_end]
    if not width:
        return x
    shape = tuple(width if i == axis else n for i, n in enumerate(x.shape))
    border = _BORDERS[mode](x, axis, pair, at_end, width, options, len(widths))
    border = cast(ng.broadcast_to(border, shape), dtype_of(x))
    return ng.cat([x, border] if at_end else [border, x], axis)  # type: ignore[no-any-return]


def _of_side(value: Any, axis: int, at_end: bool, ndim: int) -> Any:
    pairs = tensor(value)
    return ng.broadcast_to(pairs, (ndim, 2))[axis, int(at_end)]


def _constant(x: Tensor, axis: int, pair: Any, at_end: bool, width: int, options: Any, ndim: int) -> Tensor:
    return _of_side(options.get("constant_values", 0), axis, at_end, ndim)  # type: ignore[no-any-return]


def _linear_ramp(x: Tensor, axis: int, pair: Any, at_end: bool, width: int, options: Any, ndim: int) -> Tensor:
    end = _of_side(options.get("end_values", 0), axis, at_end, ndim)
    edge = ng.narrow(x, axis, x.shape[axis] - 1 if at_end else 0, 1)
    steps = np.arange(1, width + 1) if at_end else np.arange(width, 0, -1)
    fractions = tensor((steps / width).reshape(tuple(-1 if i == axis else 1 for i in range(x.ndim))))
    ramp = edge + (end - edge) * fractions
    return ramp if x.dtype.is_floating_point else ng.trunc(ramp)  # type: ignore[no-any-return]


def _statistic(name: str) -> Any:
    def border(x: Tensor, axis: int, pair: Any, at_end: bool, width: int, options: Any, ndim: int) -> Tensor:
        inner = x.shape[axis] - (pair[0] if at_end else 0)  # the first side is there already
        lengths = options.get("stat_length")
        length = (
            inner
            if lengths is None
            else min(int(np.broadcast_to(np.asarray(lengths), (ndim, 2))[axis, int(at_end)]), inner)
        )
        part = ng.narrow(x, axis, x.shape[axis] - length if at_end else 0, length)
        value = BY_NAME[name](part, axis=axis, keepdims=True)
        return value if x.dtype.is_floating_point else ng.round(value)  # type: ignore[no-any-return]

    return border


_BORDERS = {
    "constant": _constant,
    "empty": _constant,
    "linear_ramp": _linear_ramp,
    "maximum": _statistic("max"),
    "minimum": _statistic("min"),
    "mean": _statistic("mean"),
    "median": _statistic("median"),
}
