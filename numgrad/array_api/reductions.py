"""The standard's reductions, sums along an axis, sorting and sets.

``axis`` is an int, a tuple, None for all axes, or () for none, which leaves the shape as it is.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any, NamedTuple

from numgrad.array_api.functions import ng
from numgrad.array_api.manipulation import concat
from numgrad.array_api.promotion import operands
from numgrad.dtypes import dtype as Dtype
from numgrad.dtypes import int64
from numgrad.tensor.arguments import check_tensor, reduced_dims, wrap_dim
from numgrad.tensor.tensor import Tensor


def _reduced(name: str, function: Callable[..., Any], x: Tensor, axis: Any, keepdims: builtins.bool) -> Tensor:
    """``function(x, dims, keepdims)``; over no axes it is applied to each element alone."""
    dims = reduced_dims(name, axis, check_tensor(name, "x", x).ndim, keepdims, empty_means_all=False)
    if not dims:
        return function(ng.unsqueeze(x, -1), (x.ndim,), False)  # type: ignore[no-any-return]
    return function(x, dims, keepdims)  # type: ignore[no-any-return]


def all(x: Tensor, /, *, axis: Any = None, keepdims: builtins.bool = False) -> Tensor:
    """Whether all elements are True, or not 0.

    >>> import numgrad as ng
    >>> all(ng.tensor([[True, False], [True, True]]), axis=1)
    tensor([False,  True])
    """
    return _reduced("all", ng.all, x, axis, keepdims)


def any(x: Tensor, /, *, axis: Any = None, keepdims: builtins.bool = False) -> Tensor:
    """Whether an element is True, or not 0.

    >>> import numgrad as ng
    >>> any(ng.tensor([[True, False], [False, False]]), axis=1)
    tensor([ True, False])
    """
    return _reduced("any", ng.any, x, axis, keepdims)


def count_nonzero(x: Tensor, /, *, axis: Any = None, keepdims: builtins.bool = False) -> Tensor:
    """The number of elements that are not 0, int64.

    >>> import numgrad as ng
    >>> count_nonzero(ng.tensor([[1, 0], [2, 3]]), axis=1)
    tensor([1, 2])
    """
    return _reduced("count_nonzero", ng.sum, check_tensor("count_nonzero", "x", x) != 0, axis, keepdims)


def max(x: Tensor, /, *, axis: Any = None, keepdims: builtins.bool = False) -> Tensor:
    """The largest element; NaN, if one is NaN.

    >>> import numgrad as ng
    >>> max(ng.tensor([[1, 5], [2, 3]]), axis=1)
    tensor([5, 3])
    """
    return _reduced("max", ng.amax, x, axis, keepdims)


def min(x: Tensor, /, *, axis: Any = None, keepdims: builtins.bool = False) -> Tensor:
    """The smallest element; NaN, if one is NaN.

    >>> import numgrad as ng
    >>> min(ng.tensor([[1, 5], [2, 3]]), axis=1)
    tensor([1, 2])
    """
    return _reduced("min", ng.amin, x, axis, keepdims)


def mean(x: Tensor, /, *, axis: Any = None, keepdims: builtins.bool = False) -> Tensor:
    """The mean of floating-point elements.

    >>> import numgrad as ng
    >>> mean(ng.tensor([[1.0, 5.0], [2.0, 3.0]]), axis=1)
    tensor([3.0000, 2.5000])
    """
    return _reduced("mean", ng.mean, x, axis, keepdims)


def var(x: Tensor, /, *, axis: Any = None, correction: float = 0.0, keepdims: builtins.bool = False) -> Tensor:
    """The variance: the squared distances from the mean, over their number less ``correction``.

    >>> import numgrad as ng
    >>> var(ng.tensor([1.0, 3.0])), var(ng.tensor([1.0, 3.0]), correction=1)
    (tensor(1.), tensor(2.))
    """

    def function(x: Tensor, dims: Any, keepdims: builtins.bool) -> Any:
        return ng.var(x, dims, keepdim=keepdims, correction=correction)

    return _reduced("var", function, x, axis, keepdims)


def std(x: Tensor, /, *, axis: Any = None, correction: float = 0.0, keepdims: builtins.bool = False) -> Tensor:
    """The standard deviation, the root of `var`.

    >>> import numgrad as ng
    >>> std(ng.tensor([1.0, 3.0]))
    tensor(1.)
    """

    def function(x: Tensor, dims: Any, keepdims: builtins.bool) -> Any:
        return ng.std(x, dims, keepdim=keepdims, correction=correction)

    return _reduced("std", function, x, axis, keepdims)


def sum(x: Tensor, /, *, axis: Any = None, dtype: Dtype | None = None, keepdims: builtins.bool = False) -> Tensor:
    """The sum; of integers and bools in int64, unless a dtype is given.

    >>> import numgrad as ng
    >>> sum(ng.tensor([[1, 5], [2, 3]]), axis=1)
    tensor([6, 5])
    """

    def function(x: Tensor, dims: Any, keepdims: builtins.bool) -> Any:
        return ng.sum(x, dims, keepdims, dtype=dtype)

    return _reduced("sum", function, x, axis, keepdims)


def prod(x: Tensor, /, *, axis: Any = None, dtype: Dtype | None = None, keepdims: builtins.bool = False) -> Tensor:
    """The product; of integers and bools in int64, unless a dtype is given.

    >>> import numgrad as ng
    >>> prod(ng.tensor([[1, 5], [2, 3]]), axis=1)
    tensor([5, 6])
    """

    def function(x: Tensor, dims: tuple[int, ...], keepdims: builtins.bool) -> Any:
        kept = [axis for axis in range(x.ndim) if axis not in dims]
        rows = ng.permute(x, (*kept, *dims)).flatten(len(kept)) if len(dims) > 1 else ng.movedim(x, dims[0], -1)
        result = ng.prod(rows, -1, dtype=dtype)
        return ng.reshape(result, [1 if axis in dims else n for axis, n in enumerate(x.shape)]) if keepdims else result

    return _reduced("prod", function, x, axis, keepdims)


def _extreme(function: Any, name: str, x: Tensor, axis: int | None, keepdims: builtins.bool) -> Tensor:
    if axis is not None or not keepdims:
        return function(x, axis, keepdims)  # type: ignore[no-any-return]
    return ng.reshape(function(x), (1,) * check_tensor(name, "x", x).ndim)  # type: ignore[no-any-return]


def argmax(x: Tensor, /, *, axis: int | None = None, keepdims: builtins.bool = False) -> Tensor:
    """The index of the largest element, the first of equals; with None in the flattened array.

    >>> import numgrad as ng
    >>> argmax(ng.tensor([[1, 5], [3, 2]]), axis=1)
    tensor([1, 0])
    """
    return _extreme(ng.argmax, "argmax", x, axis, keepdims)


def argmin(x: Tensor, /, *, axis: int | None = None, keepdims: builtins.bool = False) -> Tensor:
    """The index of the smallest element, the first of equals; with None in the flattened array.

    >>> import numgrad as ng
    >>> argmin(ng.tensor([[1, 5], [3, 2]]), axis=1)
    tensor([0, 1])
    """
    return _extreme(ng.argmin, "argmin", x, axis, keepdims)


# ---- along an axis -----------------------------------------------------------------------------------------------


def _cumulative(
    name: str, function: Any, x: Tensor, axis: int | None, dtype: Dtype | None, first: builtins.int | None
) -> Tensor:
    if axis is None and check_tensor(name, "x", x).ndim != 1:
        raise ValueError(f"{name}: axis is None for an array of {x.ndim} dimensions; give one")
    dim = wrap_dim(name, 0 if axis is None else axis, x.ndim)
    result: Tensor = function(x, dim, dtype=dtype)
    if first is None:
        return result
    shape = [1 if axis == dim else n for axis, n in enumerate(x.shape)]
    return concat([ng.full(shape, first, dtype=result.dtype), result], axis=dim)


def cumulative_sum(
    x: Tensor,
    /,
    *,
    axis: int | None = None,
    dtype: Dtype | None = None,
    include_initial: builtins.bool = False,
) -> Tensor:
    """The sums of the elements up to each, along an axis, which a vector need not name; with a 0 in front if asked.

    Raises
    ------
    ValueError
        There are several axes, and none is given.

    >>> import numgrad as ng
    >>> cumulative_sum(ng.tensor([1, 2, 3]), include_initial=True)
    tensor([0, 1, 3, 6])
    """
    return _cumulative("cumulative_sum", ng.cumsum, x, axis, dtype, 0 if include_initial else None)


def cumulative_prod(
    x: Tensor,
    /,
    *,
    axis: int | None = None,
    dtype: Dtype | None = None,
    include_initial: builtins.bool = False,
) -> Tensor:
    """The products of the elements up to each, along an axis, which a vector need not name; with a 1 in front if asked.

    Raises
    ------
    ValueError
        There are several axes, and none is given.

    >>> import numgrad as ng
    >>> cumulative_prod(ng.tensor([1, 2, 3]), include_initial=True)
    tensor([1, 1, 2, 6])
    """
    return _cumulative("cumulative_prod", ng.cumprod, x, axis, dtype, 1 if include_initial else None)


def diff(
    x: Tensor,
    /,
    *,
    axis: int = -1,
    n: int = 1,
    prepend: Tensor | None = None,
    append: Tensor | None = None,
) -> Tensor:
    """The differences of neighbours along an axis, ``n`` times; what stands before and behind can be given.

    >>> import numgrad as ng
    >>> diff(ng.tensor([1, 4, 9]), prepend=ng.tensor([0]))
    tensor([1, 3, 5])
    """
    return ng.diff(x, n, axis, prepend, append)  # type: ignore[no-any-return]


def sort(x: Tensor, /, *, axis: int = -1, descending: builtins.bool = False, stable: builtins.bool = True) -> Tensor:
    """The elements along an axis in their order.

    >>> import numgrad as ng
    >>> sort(ng.tensor([2, 3, 1]), descending=True)
    tensor([3, 2, 1])
    """
    return ng.sort(x, axis, descending, stable=stable)[0]  # type: ignore[no-any-return]


def argsort(x: Tensor, /, *, axis: int = -1, descending: builtins.bool = False, stable: builtins.bool = True) -> Tensor:
    """The indices that sort the elements along an axis; equals keep their order.

    >>> import numgrad as ng
    >>> argsort(ng.tensor([2, 3, 1]))
    tensor([2, 0, 1])
    """
    return ng.argsort(x, axis, descending, stable=stable)  # type: ignore[no-any-return]


# ---- sets --------------------------------------------------------------------------------------------------------


class UniqueAll(NamedTuple):
    """The result of `unique_all`."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCounts(NamedTuple):
    """The result of `unique_counts`."""

    values: Tensor
    counts: Tensor


class UniqueInverse(NamedTuple):
    """The result of `unique_inverse`."""

    values: Tensor
    inverse_indices: Tensor


def unique_all(x: Tensor, /) -> UniqueAll:
    """The elements that differ, sorted, where each is first in the flattened array, where all are in them, and their counts.

    NaNs differ from each other.

    >>> import numgrad as ng
    >>> unique_all(ng.tensor([3, 1, 3])).indices
    tensor([1, 0])
    """
    values, inverse, counts = ng.unique(x, return_inverse=True, return_counts=True)
    positions = ng.arange(x.numel())
    first = ng.scatter_reduce(
        ng.full((values.numel(),), x.numel(), dtype=int64), 0, inverse.reshape(-1), positions, "amin"
    )
    return UniqueAll(values, first, inverse, counts)


def unique_counts(x: Tensor, /) -> UniqueCounts:
    """The elements that differ, sorted, and how often each is there.

    >>> import numgrad as ng
    >>> unique_counts(ng.tensor([3, 1, 3])).counts
    tensor([1, 2])
    """
    return UniqueCounts(*ng.unique(x, return_counts=True))


def unique_inverse(x: Tensor, /) -> UniqueInverse:
    """The elements that differ, sorted, and for each element its index in them.

    >>> import numgrad as ng
    >>> unique_inverse(ng.tensor([3, 1, 3])).inverse_indices
    tensor([1, 0, 1])
    """
    return UniqueInverse(*ng.unique(x, return_inverse=True))


def unique_values(x: Tensor, /) -> Tensor:
    """The elements that differ, sorted.

    >>> import numgrad as ng
    >>> unique_values(ng.tensor([3, 1, 3]))
    tensor([1, 3])
    """
    return ng.unique(x)  # type: ignore[no-any-return]


def isin(x1: Any, x2: Any, /, *, invert: builtins.bool = False) -> Tensor:
    """Whether each element of ``x1`` is among those of ``x2``; one of the two may be a number.

    >>> import numgrad as ng
    >>> isin(ng.tensor([1, 2, 3]), ng.tensor([2, 5]))
    tensor([False,  True, False])
    """
    return ng.isin(*operands("isin", x1, x2), invert=invert)  # type: ignore[no-any-return]
