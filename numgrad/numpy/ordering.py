"""Elements by order and by place: sorting, searching, choosing, sets."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad.numpy import places
from numgrad.numpy.arrays import axis_of, dtype_of, ng, operands, tensor, values_of
from numgrad.numpy.shapes import concatenate
from numgrad.numpy.table import by_values, implements
from numgrad.tensor.tensor import Tensor

by_values(
    "lexsort", "digitize", "isin", "ravel_multi_index", "unravel_index", "packbits", "unpackbits", "bitwise_count",
    "tril_indices", "triu_indices", "tril_indices_from", "triu_indices_from", "diag_indices", "diag_indices_from", "mask_indices",
    "argwhere", "flatnonzero", "histogram_bin_edges", "array_equal", "array_equiv", "allclose",
    "isneginf", "isposinf", "isreal", "iscomplex", "broadcast_shapes", "may_share_memory", "shares_memory",
    "array_repr", "array_str", "array2string", "format_float_positional", "format_float_scientific", "base_repr", "binary_repr",
    "save", "savez", "savez_compressed", "savetxt", "unique_counts", "unique_inverse",
)  # fmt: skip


@implements("sort")
def sort(a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Tensor:
    """The elements in ascending order; NaN comes last. Equal elements keep their order.

    >>> import numgrad.numpy as np
    >>> np.sort([3.0, 1.0, 2.0])
    array([1., 2., 3.])
    """
    x = tensor(a)
    if axis is None:
        x, axis = ng.reshape(x, (-1,)), 0
    return ng.sort(x, dim=axis_of(axis, x.ndim), stable=True).values  # type: ignore[no-any-return]


@implements("argsort")
def argsort(a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Tensor:
    """The places of the elements in ascending order."""
    x = tensor(a)
    if axis is None or not x.ndim:
        x, axis = ng.reshape(x, (-1,)), axis or 0
    return ng.argsort(x, dim=axis_of(axis, x.ndim), stable=True)  # type: ignore[no-any-return]


@implements("partition")
def partition(a: Any, kth: Any, axis: int | None = -1, kind: str = "introselect", order: Any = None) -> Tensor:
    """The elements with the ``kth`` at its place among the sorted ones: here all are sorted."""
    return sort(a, axis)


@implements("argpartition")
def argpartition(a: Any, kth: Any, axis: int | None = -1, kind: str = "introselect", order: Any = None) -> Tensor:
    """The places of `partition`."""
    return argsort(a, axis)


def _place_of_extreme(name: str) -> Any:
    def computed(a: Any, axis: int | None = None, out: Any = None, *, keepdims: bool = False) -> Tensor:
        x = tensor(a)
        return tensor(np.asarray(getattr(np, name)(values_of(x), axis, keepdims=bool(keepdims))))

    computed.__name__ = name
    computed.__doc__ = f"As NumPy's ``{name}``: the first place of the extreme along an axis."
    return computed


for _name in ("argmax", "argmin", "nanargmax", "nanargmin"):
    implements(_name)(_place_of_extreme(_name))


@implements("searchsorted")
def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Tensor:
    """Where elements would have to be put into a sorted array."""
    return tensor(np.asarray(np.searchsorted(values_of(tensor(a)), values_of(tensor(v)), side, values_of(sorter))))  # type: ignore[call-overload]


@implements("nonzero")
def nonzero(a: Any) -> tuple[Tensor, ...]:
    """The places of elements that are not 0, an array for each axis."""
    return tuple(tensor(part) for part in np.nonzero(values_of(tensor(a))))


# ---- choosing ---------------------------------------------------------------------------------------------------


@implements("where")
def where(condition: Any, x: Any = None, y: Any = None, /) -> Any:
    """The elements of ``x`` where the condition holds, otherwise those of ``y``; without these as `nonzero`.

    >>> import numgrad.numpy as np
    >>> np.where(np.array([True, False]), 1.0, np.array([2.0, 3.0]))
    array([1., 3.])
    """
    if x is None and y is None:
        return nonzero(condition)
    if x is None or y is None:
        raise ValueError("either both or neither of x and y should be given")
    first, second = operands((x, y))
    return ng.where(ng.ne(tensor(condition), 0), first, second)


@implements("clip")
def clip(
    a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None, max: Any = None, **options: Any
) -> Tensor:
    """The elements, none below ``a_min`` and none above ``a_max``."""
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    given = [v for v in (low, high) if v is not None]
    x, *bounds = operands((a, *given))
    if low is not None:
        x = ng.maximum(x, bounds[0])
    return ng.minimum(x, bounds[-1]) if high is not None else x  # type: ignore[no-any-return]


@implements("take")
def take(a: Any, indices: Any, axis: int | None = None, out: Any = None, mode: str = "raise") -> Tensor:
    """The elements at places along an axis."""
    x = tensor(a)
    if axis is None:
        x, axis = ng.reshape(x, (-1,)), 0
    axis = axis_of(axis, x.ndim)
    chosen = np.asarray(values_of(indices))
    order = np.take(np.arange(x.shape[axis]), chosen, mode=mode)  # type: ignore[call-overload]
    picked = ng.index_select(x, axis, tensor(np.asarray(order).reshape(-1).astype(np.int64)))
    return ng.reshape(picked, (*x.shape[:axis], *chosen.shape, *x.shape[axis + 1 :]))  # type: ignore[no-any-return]


@implements("take_along_axis")
def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Tensor:
    """The elements at the places that an array of the same number of dimensions names along an axis."""
    x, chosen = tensor(arr), tensor(indices)
    if axis is None:
        return take(x, chosen)
    axis = axis_of(axis, x.ndim)
    if chosen.ndim != x.ndim:
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    chosen = ng.where(chosen < 0, chosen + x.shape[axis], chosen)
    shape = np.broadcast_shapes(*(tuple(1 if i == axis else n for i, n in enumerate(v.shape)) for v in (x, chosen)))
    x = ng.broadcast_to(x, tuple(x.shape[axis] if i == axis else n for i, n in enumerate(shape)))
    chosen = ng.broadcast_to(chosen, tuple(chosen.shape[axis] if i == axis else n for i, n in enumerate(shape)))
    return ng.gather(x, axis, chosen.long())  # type: ignore[no-any-return]


def _places(shape: tuple[int, ...]) -> np.ndarray:
    return np.arange(int(np.prod(shape))).reshape(shape)


def _write_at(a: Any, positions: np.ndarray, values: Any, name: str) -> None:
    """Write values at places of the elements in a row."""
    if isinstance(a, np.ndarray):
        value = tensor(values)
        if value.requires_grad:
            raise TypeError(
                f"numpy.{name}: the values require a gradient, which an array of NumPy's would lose; make it numgrad's"
            )
        a.reshape(-1)[positions] = value.numpy()
        if not np.shares_memory(a.reshape(-1), a):
            a[...] = a.reshape(-1).reshape(a.shape)
        return
    if positions.size:
        places.put(a, tuple(np.unravel_index(positions, tuple(a.shape))), values)


@implements("put", writes=True)
def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    """Write values at places of the elements in a row, which are numbers."""
    positions = np.take(np.arange(int(np.prod(tuple(a.shape)))), np.asarray(values_of(ind)).reshape(-1), mode=mode)  # type: ignore[call-overload]
    x = ng.reshape(tensor(v, dtype_of(a)), (-1,))
    if positions.size:
        _write_at(a, positions, ng.take(x, tensor(np.resize(np.arange(x.numel()), positions.size))), "put")


@implements("put_along_axis", writes=True)
def put_along_axis(arr: Any, indices: Any, values: Any, axis: int | None) -> None:
    """Write values at the places that `take_along_axis` would read."""
    shape = tuple(arr.shape)
    chosen = np.asarray(values_of(indices))
    if axis is None:
        positions = _places(shape).reshape(-1)[chosen]
    else:
        positions = np.take_along_axis(_places(shape), chosen, axis)
    _write_at(arr, positions, ng.broadcast_to(tensor(values, dtype_of(arr)), positions.shape), "put_along_axis")


@implements("putmask", writes=True)
def putmask(a: Any, /, mask: Any, values: Any) -> None:
    """Write over the elements where a mask is True the values of the same places; fewer values are repeated."""
    shape = tuple(a.shape)
    positions = np.flatnonzero(np.asarray(values_of(mask)))
    x = ng.reshape(tensor(values, dtype_of(a)), (-1,))
    if positions.size:
        chosen = np.resize(np.arange(x.numel()), int(np.prod(shape)))[positions]
        _write_at(a, positions, ng.take(x, tensor(chosen)), "putmask")


@implements("place", writes=True)
def write_in_turn(arr: Any, mask: Any, vals: Any) -> None:
    """Write values one after the other over the elements where a mask is True; fewer values are repeated."""
    positions = np.flatnonzero(np.asarray(values_of(mask)))
    x = ng.reshape(tensor(vals, dtype_of(arr)), (-1,))
    if positions.size:
        if not x.numel():
            raise ValueError("Cannot insert from an empty array!")
        _write_at(arr, positions, ng.take(x, tensor(np.resize(np.arange(x.numel()), positions.size))), "place")


@implements("fill_diagonal", writes=True)
def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    """Write values over the diagonal."""
    shape = tuple(a.shape)
    marked = np.zeros(shape, bool)
    np.fill_diagonal(marked, True, wrap)
    positions = np.flatnonzero(marked)
    x = ng.reshape(tensor(val, dtype_of(a)), (-1,))
    _write_at(a, positions, ng.take(x, tensor(np.resize(np.arange(x.numel()), positions.size))), "fill_diagonal")


@implements("compress")
def compress(condition: Any, a: Any, axis: int | None = None, out: Any = None) -> Tensor:
    """The parts along an axis for which the condition holds."""
    return take(a, np.flatnonzero(np.asarray(values_of(tensor(condition)))), axis)


@implements("extract")
def extract(condition: Any, arr: Any) -> Tensor:
    """The elements for which the condition holds."""
    return take(arr, np.flatnonzero(np.asarray(values_of(tensor(condition)))))


@implements("choose")
def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Tensor:
    """For each element the element of the choice with its number."""
    options = operands([tensor(c) for c in choices])
    numbers = tensor(a)
    shape = np.broadcast_shapes(tuple(numbers.shape), *(tuple(c.shape) for c in options))
    chosen = np.choose(values_of(numbers), list(range(len(options))), mode=mode)  # type: ignore[call-overload]
    stacked = ng.stack([ng.broadcast_to(c, shape) for c in options])
    return ng.gather(stacked, 0, tensor(np.broadcast_to(chosen, shape)[None].copy()))[0]  # type: ignore[no-any-return]


@implements("select")
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Tensor:
    """For each element that of the first choice whose condition holds."""
    if len(condlist) != len(choicelist) or not len(condlist):
        raise ValueError("list of cases must be same length as list of conditions")
    if any(dtype_of(c) != np.bool_ for c in condlist):
        raise TypeError("invalid entry in condlist: should be boolean ndarray")
    *choices, result = operands((*choicelist, default))
    for condition, choice in zip(reversed(list(condlist)), reversed(choices), strict=True):
        result = ng.where(tensor(condition), choice, result)
    shape = np.broadcast_shapes(tuple(result.shape), *(tuple(tensor(c).shape) for c in condlist))
    return ng.broadcast_to(result, shape)  # type: ignore[no-any-return]


@implements("piecewise")
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Tensor:
    """Functions, each where its condition holds; one more counts elsewhere. Elsewhere without one there is 0."""
    from numgrad.numpy.array_type import ndarray

    x = tensor(x)
    several = isinstance(condlist, (list, tuple)) and len(condlist) and np.ndim(values_of(condlist[0])) == x.ndim
    conditions = [ng.ne(tensor(c), 0) for c in (condlist if several else [condlist])]
    if len(funclist) == len(conditions) + 1:
        none = ng.logical_not(conditions[0])
        for c in conditions[1:]:
            none = ng.logical_and(none, ng.logical_not(c))
        conditions.append(none)
    elif len(funclist) != len(conditions):
        raise ValueError(
            f"with {len(conditions)} condition(s), either {len(conditions)} or {len(conditions) + 1} functions are expected"
        )
    result = ng.zeros_like(x)
    for condition, function in zip(conditions, funclist, strict=True):
        if not callable(function):
            result = ng.where(condition, tensor(function, dtype_of(x)), result)
        elif bool(condition.any()):
            value = function(ndarray(x[condition]), *args, **kw)
            value = value.tensor if isinstance(value, ndarray) else tensor(value)
            result = ng.clone(result)
            places.put(result, condition, tensor(value, dtype_of(x)))
    return result  # type: ignore[no-any-return]


# ---- sets: the values are gathered, so they have gradients ------------------------------------------------------


@implements("unique")
def unique(
    ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False, axis: int | None = None, *,
    equal_nan: bool = True, sorted: bool = True,
) -> Any:  # fmt: skip
    """The different values in ascending order. Each is the first of its kind, to which its gradient goes."""
    x = tensor(ar)
    _, first, *others = np.unique(values_of(x), True, return_inverse, return_counts, axis, equal_nan=equal_nan)  # type: ignore[call-overload]
    values = take(x, first, axis)
    results = [values, *([tensor(first)] if return_index else []), *(tensor(o) for o in others)]
    return results[0] if len(results) == 1 else tuple(results)


@implements("unique_values")
def unique_values(x: Any) -> Tensor:
    """The different values."""
    return unique(x, equal_nan=False)  # type: ignore[no-any-return]


@implements("unique_all")
def unique_all(x: Any) -> Any:
    """The different values, the first place of each, to which each element belongs, and how many there are."""
    x = tensor(x)
    kind = type(np.unique_all(np.zeros(1)))
    return kind(*unique(x, True, True, True, equal_nan=False))


@implements("union1d")
def union1d(ar1: Any, ar2: Any) -> Tensor:
    """The different values of two arrays."""
    return unique(concatenate([tensor(ar1), tensor(ar2)], None))  # type: ignore[no-any-return]


@implements("intersect1d")
def intersect1d(ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False) -> Any:
    """The values that both arrays have; gradients go to the first."""
    x, y = operands((ar1, ar2))
    _, first, second = np.intersect1d(values_of(x), values_of(y), assume_unique, True)
    values = take(x, first)
    return (values, tensor(first), tensor(second)) if return_indices else values


@implements("setdiff1d")
def setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Tensor:
    """The values of the first array that the second does not have."""
    x, y = operands((ar1, ar2))
    x = ng.reshape(x, (-1,)) if assume_unique else unique(x)
    return take(x, np.flatnonzero(~np.isin(values_of(x), values_of(y))))


@implements("setxor1d")
def setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Tensor:
    """The values that one of two arrays has, and not the other."""
    return sort(concatenate([setdiff1d(ar1, ar2), setdiff1d(ar2, ar1)]))


@implements("isclose")
def isclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Tensor:
    """Whether elements differ by at most ``atol + rtol * abs(b)``."""
    given: Any = [values_of(tensor(v)) for v in (a, b, rtol, atol)]
    result: Any = np.isclose(*given, equal_nan=equal_nan)  # type: ignore[call-overload]
    return tensor(np.asarray(result))
