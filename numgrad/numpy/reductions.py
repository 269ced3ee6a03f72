"""Sums, means, extremes and running sums over axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numgrad.numpy.arrays import as_floats, axes_of, axis_of, cast, common_dtype, dtype_of, floating, ng, tensor
from numgrad.numpy.table import implements
from numgrad.tensor.tensor import Tensor


def summed_dtype(x: Tensor, dtype: Any) -> Any:
    """The dtype of a sum: small integers are added in int64."""
    return dtype if dtype is not None else np.dtype(np.int64) if not x.dtype.is_floating_point else None


def _masked(x: Tensor, where: Any, neutral: Any) -> Tensor:
    return x if where is True else ng.where(tensor(where, np.bool_), x, tensor(neutral, dtype_of(x)))  # type: ignore[no-any-return]


def _kept(result: Tensor, x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    return ng.reshape(result, tuple(1 if i in axes else n for i, n in enumerate(x.shape))) if keepdims else result  # type: ignore[no-any-return]


@implements("sum")
def sum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = 0,
    where: Any = True,
) -> Tensor:
    """The sum over axes, of all of them by default.

    >>> import numgrad.numpy as np
    >>> np.sum([[1.0, 2.0], [3.0, 4.0]], axis=0, keepdims=True)
    array([[4., 6.]])
    """
    x = tensor(a)
    x = _masked(cast(x, summed_dtype(x, dtype)), where, 0)
    axes = axes_of(axis, x.ndim)
    total = ng.sum(x, axes, keepdim=bool(keepdims)) if axes else x
    return total if type(initial) is int and initial == 0 else total + tensor(initial, dtype_of(total))  # type: ignore[no-any-return]


@implements("prod")
def prod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = 1,
    where: Any = True,
) -> Tensor:
    """The product over axes, of all of them by default."""
    x = tensor(a)
    x = _masked(cast(x, summed_dtype(x, dtype)), where, 1)
    axes = axes_of(axis, x.ndim)
    result = _last_axes(x, axes)
    result = _kept(ng.prod(result, -1) if axes else result, x, axes, keepdims)
    return result if type(initial) is int and initial == 1 else result * tensor(initial, dtype_of(result))


def _last_axes(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The given axes as one, the last."""
    if not axes:
        return x
    rest = [n for n in range(x.ndim) if n not in axes]
    extent = math.prod(x.shape[n] for n in axes)
    return ng.reshape(ng.permute(x, (*rest, *axes)), (*(x.shape[n] for n in rest), extent))  # type: ignore[no-any-return]


def _mean_dtype(x: Tensor, dtype: Any) -> Any:
    return dtype if dtype is not None else None if x.dtype.is_floating_point else np.float64


def _number(x: Tensor, axes: tuple[int, ...], where: Any) -> Any:
    """How many elements each result is made of: a number, or with ``where`` a tensor."""
    if where is True:
        return math.prod(x.shape[n] for n in axes)
    counted = ng.broadcast_to(tensor(where, np.bool_), x.shape)
    return cast(ng.sum(counted.long(), axes, keepdim=True) if axes else counted.long(), dtype_of(x))


def _mean(x: Tensor, axes: tuple[int, ...], where: Any) -> Tensor:
    """The mean with the axes kept."""
    total = ng.sum(_masked(x, where, 0), axes, keepdim=True) if axes else _masked(x, where, 0)
    return total / _number(x, axes, where)  # type: ignore[no-any-return]


@implements("mean")
def mean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = True
) -> Tensor:
    """The mean over axes, of all by default.

    >>> import numgrad.numpy as np
    >>> np.mean([[1, 2], [3, 4]], axis=1)
    array([1.5, 3.5])
    """
    x = tensor(a)
    x = cast(x, _mean_dtype(x, dtype))
    axes = axes_of(axis, x.ndim)
    if where is True and axes:
        return ng.mean(x, axes, keepdim=bool(keepdims))  # type: ignore[no-any-return]
    result = _mean(x, axes, where)
    return result if keepdims else _dropped(result, axes)


def _dropped(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    return ng.reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in axes))  # type: ignore[no-any-return]


def _ddof(ddof: Any, correction: Any) -> Any:
    if correction is None:
        return ddof
    if ddof != 0:
        raise ValueError("ddof and correction can't be provided simultaneously.")
    return correction


@implements("var")
def var(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: bool = False, *, where: Any = True,
    mean: Any = None, correction: Any = None,
) -> Tensor:  # fmt: skip
    """The mean of squared distances from the mean; ``ddof`` is taken from the number of elements.

    >>> import numgrad.numpy as np
    >>> np.var([1.0, 3.0]), np.var([1.0, 3.0], ddof=1)
    (array(1.), array(2.))
    """
    x = tensor(a)
    x = cast(x, _mean_dtype(x, dtype))
    axes, ddof = axes_of(axis, x.ndim), _ddof(ddof, correction)
    if where is True and mean is None and axes and x.numel() and _number(x, axes, True) > ddof:
        return ng.var(x, axes, correction=ddof, keepdim=bool(keepdims))  # type: ignore[no-any-return]
    squares = _masked((x - (_mean(x, axes, where) if mean is None else tensor(mean))) ** 2, where, 0)
    count = _number(x, axes, where) - ddof
    total = ng.sum(squares, axes, keepdim=True) if axes else squares
    result = total / (ng.clamp(count, min=0) if isinstance(count, Tensor) else max(count, 0))
    return result if keepdims else _dropped(result, axes)


@implements("std")
def std(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: bool = False, *, where: Any = True,
    mean: Any = None, correction: Any = None,
) -> Tensor:  # fmt: skip
    """The square root of `var`."""
    x = tensor(a)
    x = cast(x, _mean_dtype(x, dtype))
    axes, offset = axes_of(axis, x.ndim), _ddof(ddof, correction)
    if where is True and mean is None and axes and x.numel() and _number(x, axes, True) > offset:
        return ng.std(x, axes, correction=offset, keepdim=bool(keepdims))  # type: ignore[no-any-return]
    return ng.sqrt(var(x, axis, None, None, offset, keepdims, where=where, mean=mean))  # type: ignore[no-any-return]


def _extreme(name: str, function: Any, binary: Any) -> Any:
    def computed(
        a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True
    ) -> Tensor:
        x = tensor(a)
        axes = axes_of(axis, x.ndim)
        if where is not True:
            if initial is None:
                raise ValueError(f"reduction operation '{name}' does not have an identity: where= needs initial=")
            x = _masked(x, where, initial)
        if 0 in (x.shape[n] for n in axes):
            if initial is None:
                raise ValueError(f"zero-size array to reduction operation {name} which has no identity")
            shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
            return (
                _kept(ng.broadcast_to(tensor(initial, dtype_of(x)), _without(x, axes)), x, axes, keepdims)
                if shape
                else x
            )
        result = _dimless(function, x, axes, keepdims) if axes else x
        return result if initial is None else binary(result, tensor(initial, dtype_of(result)))  # type: ignore[no-any-return]

    computed.__name__ = name
    computed.__doc__ = f"The {name}imum over axes, of all by default. Elements that are equal share the gradient."
    return computed


def _without(x: Tensor, axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for i, n in enumerate(x.shape) if i not in axes)


def _dimless(function: Any, x: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    if x.dtype.is_bool:
        return cast(function(x.byte(), axes, keepdim=bool(keepdims)), np.bool_)
    return function(x, axes, keepdim=bool(keepdims))  # type: ignore[no-any-return]


maximum_of = implements("max", "amax")(_extreme("max", ng.amax, ng.maximum))
minimum_of = implements("min", "amin")(_extreme("min", ng.amin, ng.minimum))


@implements("ptp")
def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Tensor:
    """The range: maximum - minimum."""
    return maximum_of(a, axis, None, keepdims) - minimum_of(a, axis, None, keepdims)  # type: ignore[no-any-return]


def _truths(function: Any, neutral: bool) -> Any:
    def computed(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = True) -> Tensor:
        x = _masked(ng.ne(tensor(a), 0), where, neutral)
        axes = axes_of(axis, x.ndim)
        for n in sorted(axes, reverse=True):
            x = function(x, n, keepdim=bool(keepdims))
        return x

    computed.__name__ = function.__name__
    computed.__doc__ = f"Whether {function.__name__} elements are not 0, over axes."
    return computed


implements("all")(_truths(ng.all, True))
implements("any")(_truths(ng.any, False))


@implements("count_nonzero")
def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Tensor:
    """The number of elements that are not 0."""
    return sum(ng.ne(tensor(a), 0).long(), axis, keepdims=keepdims)


# ---- running sums and products ----------------------------------------------------------------------------------


def _running(name: str, function: Any) -> Any:
    def computed(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Tensor:
        x = tensor(a)
        x = cast(x, summed_dtype(x, dtype))
        if axis is None or not x.ndim:
            x, axis = ng.reshape(x, (-1,)), axis or 0
        return function(x, axis_of(axis, x.ndim))  # type: ignore[no-any-return]

    computed.__name__ = name
    computed.__doc__ = (
        f"The running {'sum' if name == 'cumsum' else 'product'} along an axis, or of all elements in a row."
    )
    return computed


cumsum = implements("cumsum")(_running("cumsum", ng.cumsum))
cumprod = implements("cumprod")(_running("cumprod", ng.cumprod))


def _cumulative(name: str, running: Any, first: int) -> Any:
    def computed(
        x: Any, /, *, axis: Any = None, dtype: Any = None, out: Any = None, include_initial: bool = False
    ) -> Tensor:
        x = tensor(x)
        if axis is None:
            if x.ndim > 1:
                raise ValueError(
                    f"For arrays which have more than one dimension ``axis`` argument is required by {name}."
                )
            x, axis = ng.reshape(x, (-1,)), 0
        axis = axis_of(axis, x.ndim)
        result = running(x, axis, dtype)
        if include_initial:
            start = ng.full((*x.shape[:axis], 1, *x.shape[axis + 1 :]), first, dtype=result.dtype)
            result = ng.cat([start, result], axis)
        return result  # type: ignore[no-any-return]

    computed.__name__ = name
    computed.__doc__ = (
        f"As ``{running.__name__}``, of one dimension or along an axis; ``include_initial`` puts {first} first."
    )
    return computed


implements("cumulative_sum")(_cumulative("cumulative_sum", cumsum, 0))
implements("cumulative_prod")(_cumulative("cumulative_prod", cumprod, 1))


# ---- without NaN ------------------------------------------------------------------------------------------------


def present(x: Tensor) -> Tensor:
    """Where there are numbers, not NaN."""
    return ng.logical_not(ng.isnan(x))  # type: ignore[no-any-return]


def _without_nan(a: Any, neutral: float) -> Tensor:
    x = tensor(a)
    return ng.where(present(x), x, neutral) if x.dtype.is_floating_point else x  # type: ignore[no-any-return]


@implements("nansum")
def nansum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = 0,
    where: Any = True,
) -> Tensor:
    """As `sum`, with 0 for NaN."""
    return sum(_without_nan(a, 0), axis, dtype, None, keepdims, initial, where)


@implements("nanprod")
def nanprod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = 1,
    where: Any = True,
) -> Tensor:
    """As `prod`, with 1 for NaN."""
    return prod(_without_nan(a, 1), axis, dtype, None, keepdims, initial, where)


@implements("nancumsum")
def nancumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Tensor:
    """As `cumsum`, with 0 for NaN."""
    return cumsum(_without_nan(a, 0), axis, dtype)  # type: ignore[no-any-return]


@implements("nancumprod")
def nancumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Tensor:
    """As `cumprod`, with 1 for NaN."""
    return cumprod(_without_nan(a, 1), axis, dtype)  # type: ignore[no-any-return]


def _numbers(x: Tensor, where: Any) -> Tensor:
    return present(x) if where is True else ng.logical_and(present(x), tensor(where, np.bool_))


@implements("nanmean")
def nanmean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = True
) -> Tensor:
    """As `mean`, of what is not NaN."""
    x = tensor(a)
    return mean(_without_nan(x, 0), axis, dtype, None, keepdims, where=_numbers(x, where))


@implements("nanvar")
def nanvar(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: bool = False, *, where: Any = True,
    mean: Any = None, correction: Any = None,
) -> Tensor:  # fmt: skip
    """As `var`, of what is not NaN."""
    x = tensor(a)
    options = {"where": _numbers(x, where), "mean": mean, "correction": correction}
    return var(_without_nan(x, 0), axis, dtype, None, ddof, keepdims, **options)  # type: ignore[no-any-return]


@implements("nanstd")
def nanstd(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: bool = False, *, where: Any = True,
    mean: Any = None, correction: Any = None,
) -> Tensor:  # fmt: skip
    """As `std`, of what is not NaN."""
    x = tensor(a)
    options = {"where": _numbers(x, where), "mean": mean, "correction": correction}
    return std(_without_nan(x, 0), axis, dtype, None, ddof, keepdims, **options)  # type: ignore[no-any-return]


def _nan_extreme(name: str, function: Any, least: float) -> Any:
    def computed(
        a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True
    ) -> Tensor:
        x = tensor(a)
        if not x.dtype.is_floating_point:
            return function(x, axis, None, keepdims, initial, where)  # type: ignore[no-any-return]
        result = function(_without_nan(x, least), axis, None, keepdims, initial, where)
        if initial is not None:
            return result  # type: ignore[no-any-return]
        there = present(x)
        for n in sorted(axes_of(axis, x.ndim), reverse=True):
            there = ng.any(there, n, keepdim=bool(keepdims))
        return ng.where(there, result, math.nan)  # type: ignore[no-any-return]

    computed.__name__ = name
    computed.__doc__ = f"As ``{name[3:]}``, of what is not NaN; NaN where there is nothing else."
    return computed


implements("nanmax")(_nan_extreme("nanmax", maximum_of, -math.inf))
implements("nanmin")(_nan_extreme("nanmin", minimum_of, math.inf))


# ---- means with weights -----------------------------------------------------------------------------------------


@implements("average")
def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False) -> Any:
    """The mean with weights of the array's shape, or of that of the axes.

    Raises
    ------
    ZeroDivisionError
        Weights add up to 0.

    >>> import numgrad.numpy as np
    >>> np.average([1.0, 2.0], weights=[3.0, 1.0])
    array(1.25)
    """
    x = as_floats(a)
    axes = axes_of(axis, x.ndim)
    if weights is None:
        result = mean(x, axis, keepdims=keepdims)
        total = ng.full_like(result, _number(x, axes, True))
        return (result, total) if returned else result
    w = tensor(weights)
    dtype = floating(common_dtype((x, w)))
    x, w = cast(x, dtype), cast(w, dtype)
    if w.shape != x.shape:
        if axis is None:
            raise TypeError("Axis must be specified when shapes of a and weights differ.")
        if tuple(w.shape) != tuple(x.shape[n] for n in axes):
            raise ValueError("Shape of weights must be consistent with shape of a along specified axis.")
        order = sorted(range(len(axes)), key=lambda i: axes[i])
        w = ng.reshape(ng.permute(w, tuple(order)), tuple(n if i in axes else 1 for i, n in enumerate(x.shape)))
    w = ng.broadcast_to(w, x.shape)
    total = sum(w, axis, keepdims=keepdims)
    if bool((total == 0).any()):
        raise ZeroDivisionError("Weights sum to zero, can't be normalized")
    result = sum(x * w, axis, keepdims=keepdims) / total
    return (result, total) if returned else result
