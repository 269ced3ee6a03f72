"""Differences, integrals, interpolation, convolution and what else works along rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numgrad.numpy.arrays import (
    as_floats,
    axes_of,
    axis_of,
    cast,
    dtype_of,
    ng,
    operands,
    tensor,
    values_of,
)
from numgrad.numpy.reductions import sum as sum_
from numgrad.numpy.table import implements
from numgrad.tensor.tensor import Tensor


def _slice(x: Tensor, axis: int, start: int, stop: int) -> Tensor:
    """``x[..., start:stop, ...]`` with numbers from either end; a stop of 0 is the end."""
    extent = x.shape[axis]
    begin, end, _ = slice(start, stop or None).indices(extent)
    return ng.narrow(x, axis, begin, max(end - begin, 0))  # type: ignore[no-any-return]


@implements("diff")
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Tensor:
    """Differences of neighbours along an axis, ``n`` times.

    >>> import numgrad.numpy as np
    >>> np.diff([1.0, 4.0, 9.0])
    array([3., 5.])
    """
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n}")
    x = tensor(a)
    axis = axis_of(axis, x.ndim)
    ends = []
    for value in (prepend, append):
        if value is not None:
            v = tensor(value)
            v = ng.broadcast_to(v, tuple(1 if i == axis else e for i, e in enumerate(x.shape))) if v.ndim == 0 else v
            ends.append(v)
        else:
            ends.append(None)
    parts = operands([v for v in (ends[0], x, ends[1]) if v is not None])
    x = ng.cat(parts, axis) if len(parts) > 1 else x
    for _ in range(n):
        last, first = _slice(x, axis, 1, 0), _slice(x, axis, 0, -1)
        x = ng.ne(last, first) if x.dtype.is_bool else last - first
    return x


@implements("ediff1d")
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Tensor:
    """Differences of neighbours among all elements, with others before and after."""
    x = ng.reshape(tensor(ary), (-1,))
    parts = [v if v is None else ng.reshape(tensor(v, dtype_of(x)), (-1,)) for v in (to_begin, to_end)]
    middle = x[1:] - x[:-1]
    return ng.cat([p for p in (parts[0], middle, parts[1]) if p is not None], 0)  # type: ignore[no-any-return]


@implements("gradient")
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Slopes by differences, of second order inside and of ``edge_order`` at the edges; spacings may differ.

    >>> import numgrad.numpy as np
    >>> np.gradient([1.0, 2.0, 4.0])
    array([1. , 1.5, 2. ])
    """
    x = as_floats(f)
    axes = axes_of(axis, x.ndim)
    if edge_order not in (1, 2):
        raise ValueError("'edge_order' greater than 2 not supported")
    if not varargs:
        spacings: list[Any] = [1.0] * len(axes)
    elif len(varargs) == 1 and tensor(varargs[0]).ndim == 0:
        spacings = list(varargs) * len(axes)
    elif len(varargs) == len(axes):
        spacings = list(varargs)
    else:
        raise TypeError("invalid number of arguments")
    results = [_slopes(x, n, spacing, edge_order) for n, spacing in zip(axes, spacings, strict=True)]
    return results[0] if len(results) == 1 else tuple(results)


def _slopes(x: Tensor, axis: int, spacing: Any, edge_order: int) -> Tensor:
    count = x.shape[axis]
    if count < edge_order + 1:
        raise ValueError(
            "Shape of array too small to calculate a numerical gradient, at least (edge_order + 1) elements are required."
        )
    x = ng.movedim(x, axis, -1)
    h = tensor(spacing, dtype_of(x))
    if h.ndim > 1:
        raise ValueError("distances must be either scalars or 1d")
    if h.ndim and h.shape[0] != count:
        raise ValueError("when 1d, distances must match the length of the corresponding dimension")
    steps = h[1:] - h[:-1] if h.ndim else ng.broadcast_to(h, (count - 1,))
    slopes = (x[..., 1:] - x[..., :-1]) / steps  # between neighbours
    before, after = steps[:-1], steps[1:]
    inner = (slopes[..., :-1] * after + slopes[..., 1:] * before) / (before + after)
    if not h.ndim:  # as NumPy does it, which keeps infinities where they are
        inner = (x[..., 2:] - x[..., :-2]) / (2.0 * h)
    first, last = slopes[..., :1], slopes[..., -1:]
    if edge_order == 2:
        first = first - (slopes[..., 1:2] - first) * (steps[0] / (steps[0] + steps[1]))
        last = last + (last - slopes[..., -2:-1]) * (steps[-1] / (steps[-1] + steps[-2]))
    return ng.movedim(ng.cat([first, inner, last], -1), -1, axis)  # type: ignore[no-any-return]


@implements("trapezoid")
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Tensor:
    """The integral along an axis by the trapezoidal rule."""
    f = tensor(y)
    axis = axis_of(axis, f.ndim)
    f = ng.movedim(f, axis, -1)
    if x is None:
        steps = tensor(dx)
    else:
        at = tensor(x)
        at = ng.movedim(at, axis, -1) if at.ndim > 1 else at
        steps = at[..., 1:] - at[..., :-1]
    left, right, steps = operands((f[..., :-1], f[..., 1:], steps), to_float=True)
    return ng.sum(steps * (left + right) / 2, -1)  # type: ignore[no-any-return]


@implements("interp")
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Tensor:
    """Linear interpolation between points, differentiable by all of them.

    >>> import numgrad.numpy as np
    >>> np.interp(1.5, [1.0, 2.0], [10.0, 20.0])
    array(15.)
    """
    at, points, values = (tensor(v, np.float64) for v in (x, xp, fp))
    if points.ndim != 1 or points.shape != values.shape or not points.numel():
        raise ValueError("interp: xp and fp have to be vectors of the same length, which is not 0")
    if period is not None:
        if period == 0:
            raise ValueError("period must be a non-zero value")
        left = right = None
        turn = abs(tensor(period, np.float64))
        at, points = ng.remainder(at, turn), ng.remainder(points, turn)
        order = ng.argsort(points, stable=True)
        points, values = ng.take(points, order), ng.take(values, order)
        points = ng.cat([points[-1:] - turn, points, points[:1] + turn])
        values = ng.cat([values[-1:], values, values[:1]])
    last = points.shape[0] - 1
    beyond = np.searchsorted(values_of(points), values_of(at), "right")
    low = tensor(np.asarray(np.clip(beyond - 1, 0, max(last - 1, 0))))
    high = ng.clamp(low + 1, max=last)
    x0, x1, y0, y1 = (ng.take(v, i) for v, i in ((points, low), (points, high), (values, low), (values, high)))
    width = x1 - x0
    level = width == 0
    slope = (y1 - y0) / ng.where(level, 1.0, width)
    result = ng.where(level, y1, y0 + slope * (at - x0))
    result = ng.where(at < points[0], values[0] if left is None else tensor(left, np.float64), result)
    return ng.where(at > points[-1], values[-1] if right is None else tensor(right, np.float64), result)  # type: ignore[no-any-return]


def _correlation(longer: Tensor, shorter: Tensor, mode: str) -> Tensor:
    """The sums of products of a vector with the stretches of a longer one."""
    n, m = longer.shape[0], shorter.shape[0]
    if mode == "valid":
        before = after = 0
    elif mode == "full":
        before = after = m - 1
    elif mode == "same":
        before = m // 2
        after = m - 1 - before
    else:
        raise ValueError(f"mode must be one of 'valid', 'same', or 'full' (got {mode!r})")
    count = n + before + after - m + 1
    if before and longer.dtype.is_floating_point and not bool(ng.isfinite(longer).all() and ng.isfinite(shorter).all()):
        # Zeros beside the ends times NaN would be NaN: only the products that there are.
        starts = np.arange(n)[:, None] + before - np.arange(m)
        inside = np.flatnonzero((starts >= 0) & (starts < count))
        products = ng.take(ng.unsqueeze(longer, 1) * shorter, tensor(inside))
        return ng.index_add(ng.zeros(count, dtype=longer.dtype), 0, tensor(starts.reshape(-1)[inside]), products)  # type: ignore[no-any-return]
    padded = ng.cat([ng.zeros(before, dtype=longer.dtype), longer, ng.zeros(after, dtype=longer.dtype)])
    if not longer.dtype.is_floating_point:
        return tensor(np.correlate(values_of(padded), values_of(shorter), "valid"))
    result = ng.conv1d(ng.reshape(padded, (1, 1, -1)), ng.reshape(shorter, (1, 1, -1)))
    return ng.reshape(result, (count,))  # type: ignore[no-any-return]


def _two_vectors(name: str, a: Any, v: Any) -> list[Tensor]:
    x, y = operands((a, v))
    x, y = (ng.reshape(t, (1,)) if t.ndim == 0 else t for t in (x, y))
    if x.ndim != 1 or y.ndim != 1:
        raise ValueError(f"{name}: object too deep for desired array; vectors are expected")
    if not x.numel() or not y.numel():
        raise ValueError(f"{name}: an argument is empty")
    return [x, y]


@implements("convolve")
def convolve(a: Any, v: Any, mode: str = "full") -> Tensor:
    """The convolution of two vectors.

    >>> import numgrad.numpy as np
    >>> np.convolve([1.0, 2.0], [1.0, 3.0])
    array([1., 5., 6.])
    """
    x, y = _two_vectors("convolve", a, v)
    longer, shorter = (x, y) if x.shape[0] >= y.shape[0] else (y, x)
    shorter = ng.flip(shorter, [0])
    if mode == "same":  # the middle of the full one lies otherwise for an even number of weights
        return _middle(_correlation(longer, shorter, "full"), longer.shape[0], shorter.shape[0])
    return _correlation(longer, shorter, mode)


def _middle(full: Tensor, n: int, m: int) -> Tensor:
    return full[(m - 1) // 2 : (m - 1) // 2 + n]


@implements("correlate")
def correlate(a: Any, v: Any, mode: str = "valid") -> Tensor:
    """The sums of products of one vector with another at each distance."""
    x, y = _two_vectors("correlate", a, v)
    if x.shape[0] >= y.shape[0]:
        return _correlation(x, y, mode)
    return ng.flip(_correlation(y, x, mode), [0])  # type: ignore[no-any-return]


@implements("unwrap")
def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: Any = 2 * math.pi) -> Tensor:
    """Angles without jumps of more than half of a period. Whole periods are added, so the gradient passes as it is."""
    x = as_floats(p)
    result = np.unwrap(values_of(x), discont, axis, period=period)
    return x + tensor(result - values_of(x))


@implements("sinc")
def sinc(x: Any) -> Tensor:
    """``sin(pi x) / (pi x)``."""
    return ng.sinc(as_floats(x))  # type: ignore[no-any-return]


@implements("i0")
def i0(x: Any) -> Tensor:
    """The modified Bessel function of order 0."""
    return ng.i0(as_floats(x))  # type: ignore[no-any-return]


@implements("round", "around")
def round(a: Any, decimals: int = 0, out: Any = None) -> Tensor:
    """The nearest number with so many decimals; halves go to the even one."""
    x = tensor(a)
    if not x.dtype.is_floating_point:
        if x.dtype.is_bool:
            return cast(x, np.float16)
        return ng.clone(x) if decimals >= 0 else tensor(np.round(values_of(x), decimals))  # type: ignore[no-any-return]
    if decimals == 0:
        return ng.round(x)  # type: ignore[no-any-return]
    factor = 10.0 ** abs(decimals)
    return ng.round(x * factor) / factor if decimals > 0 else ng.round(x / factor) * factor  # type: ignore[no-any-return]


@implements("fix")
def fix(x: Any, out: Any = None) -> Tensor:
    """The whole part."""
    x = tensor(x)
    return ng.trunc(x) if x.dtype.is_floating_point else ng.clone(x)  # type: ignore[no-any-return]


@implements("nan_to_num", writes=True)
def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Tensor:
    """Numbers in the place of NaN and infinities."""
    value = tensor(x)
    if not value.dtype.is_floating_point:
        return ng.clone(value)  # type: ignore[no-any-return]
    limits = np.finfo(dtype_of(value))
    result = ng.where(ng.isnan(value), tensor(nan, dtype_of(value)), value)
    result = ng.where(
        value == math.inf, float(limits.max) if posinf is None else tensor(posinf, dtype_of(value)), result
    )
    result = ng.where(
        value == -math.inf, float(limits.min) if neginf is None else tensor(neginf, dtype_of(value)), result
    )
    if not copy:
        from numgrad.numpy.arrays import write

        write(x, result, "nan_to_num")
        return x  # type: ignore[no-any-return]
    return result  # type: ignore[no-any-return]


@implements("angle")
def angle(z: Any, deg: bool = False) -> Tensor:
    """0 for positive numbers, pi for negative ones."""
    x = as_floats(z)
    result = ng.where(ng.isnan(x), x.detach(), ng.where(ng.signbit(x), tensor(math.pi, dtype_of(x)), 0.0)) + x * 0
    return ng.rad2deg(result) if deg else result  # type: ignore[no-any-return]


@implements("real", "real_if_close")
def real(val: Any, tol: float = 100) -> Tensor:
    """The array itself: there are no complex numbers."""
    return tensor(val)


@implements("imag")
def imag(val: Any) -> Tensor:
    """Zeros: there are no complex numbers."""
    return ng.zeros_like(tensor(val))  # type: ignore[no-any-return]


@implements("trace")
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None) -> Tensor:
    """The sum of a diagonal."""
    return sum_(diagonal(a, offset, axis1, axis2), -1, dtype)


@implements("linalg.trace")
def linalg_trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Tensor:
    """The sum of a diagonal of the last two axes."""
    return trace(x, offset, -2, -1, dtype)


@implements("diagonal")
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """A view of a diagonal."""
    x = tensor(a)
    if x.ndim < 2:
        raise ValueError("diag requires an array of at least two dimensions")
    return ng.diagonal(x, offset, axis_of(axis1, x.ndim), axis_of(axis2, x.ndim))  # type: ignore[no-any-return]


@implements("linalg.diagonal")
def linalg_diagonal(x: Any, /, *, offset: int = 0) -> Tensor:
    """A view of a diagonal of the last two axes."""
    return diagonal(x, offset, -2, -1)
