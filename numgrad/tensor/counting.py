"""What counts elements: distinct ones, bins of a histogram. The shape of most results depends on the numbers.

They are computed from the numbers as they are, without a gradient.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from numgrad import ops
from numgrad.dtypes import float32, float64, int64
from numgrad.engine.tape import TensorBase
from numgrad.layout import product
from numgrad.registry import chain
from numgrad.tensor.arguments import as_int, as_number, as_operand, cast, check_tensor, result_type, wrap_dim
from numgrad.tensor.bins import counted, few_heights, heights_of, of_few, range_of
from numgrad.tensor.comparison import eq, ge, le, ne
from numgrad.tensor.creation import from_numpy, zeros
from numgrad.tensor.index_arrays import count_true
from numgrad.tensor.joined import LARGEST
from numgrad.tensor.known import knowing
from numgrad.tensor.pointwise import add, div, mul, sub
from numgrad.tensor.reshaping import movedim
from numgrad.tensor.results import HistogramddResult, HistogramResult
from numgrad.tensor.shaping import contiguous, narrow, reshape
from numgrad.tensor.sorting import flag, searchsorted
from numgrad.tensor.statistics import aminmax
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor

_MOST_PLACES = 1 << 20  # bins whose numbers float32 has
_MOST_EVEN = 1 << 12  # bins, of which float32 computes the number to within one


def _numbers(op: str, name: str, value: Any) -> np.ndarray:
    """The elements of a tensor."""
    return check_tensor(op, name, value).detach().numpy()  # type: ignore[no-any-return]


def _tensor(array: np.ndarray) -> Tensor:
    return from_numpy(np.array(array, order="C"))


# ---- distinct elements ------------------------------------------------------------------------------------------


def _sliced(op: str, input: Tensor, dim: Any) -> int:
    """The dimension whose slices are compared."""
    shape = tuple(input._spec.shape)
    axis = wrap_dim(op, dim, len(shape))
    if not shape:
        raise IndexError(f"{op}: Dimension specified as {dim} but tensor has no dimensions")
    if 0 in shape[:axis] + shape[axis + 1 :]:
        raise RuntimeError(
            f"{op}: There are 0 sized dimensions, and they aren't selected, so unique cannot be applied; the input has shape "
            f"{list(shape)}"
        )
    return axis


@public("function", "method")
def unique(
    input: Tensor,
    sorted: builtins.bool = True,
    return_inverse: builtins.bool = False,
    return_counts: builtins.bool = False,
    dim: int | None = None,
) -> Any:
    """The distinct elements, in order, whether ``sorted`` or not; or the distinct slices along ``dim``. Each NaN is one.

    Returns
    -------
    The elements; with ``return_inverse`` also, for each element of the input, which of them it is; with ``return_counts`` also
    how often each is there. There is no gradient.

    Raises
    ------
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.unique(ng.tensor([3, 1, 3]))
    tensor([1, 3])
    >>> ng.unique(ng.tensor([3, 1, 3]), return_inverse=True, return_counts=True)
    (tensor([1, 3]), tensor([1, 0, 1]), tensor([1, 2]))
    """
    for name, value in (("sorted", sorted), ("return_inverse", return_inverse), ("return_counts", return_counts)):
        flag("unique", name, value)
    still = check_tensor("unique", "input", input).detach()
    if dim is None:
        flat = reshape(still, (still._spec.numel,))
        values, order = ops.sort.sort(flat, dim=0, descending=False)
        return _distinct(values, 0, order, tuple(still._spec.shape), return_inverse, return_counts)
    axis = _sliced("unique", still, dim)
    rows = np.moveaxis(still.numpy(), axis, 0)
    rows = rows.reshape(len(rows), product(rows.shape[1:]))
    order = from_numpy(np.lexsort(rows.T[::-1]) if rows.size else np.arange(len(rows)))
    moved = ops.index.index_select(still, order, dim=axis)
    return _distinct(moved, axis, order, (len(rows),), return_inverse, return_counts)


def _distinct(
    slices: Tensor, axis: int, order: Tensor | None, shape: tuple[int, ...], return_inverse: builtins.bool,
    return_counts: builtins.bool,
) -> Any:  # fmt: skip
    """The slices that differ from the one before, which of them each is, put back by ``order``, and their counts."""
    begins = ops.masks.begins(slices if axis == 0 else movedim(slices, axis, 0))
    count, n = count_true(begins), begins._spec.numel
    starts: Any = ops.masks.nonzero(begins, count=count + 1, fill=n) if axis or return_counts else None  # and the end
    if axis:
        parts = [ops.index.index_select(slices, reshape(narrow(starts, 0, 0, count), (count,)), dim=axis)]
    else:
        parts = [ops.masks.masked_select(slices, begins, count=count)]
    if return_inverse:
        ranks = sub(ops.scan.cumsum(begins, dim=0), 1)
        ranks = ranks if order is None else ops.scatter.scatter(ranks, order, ranks, dim=0)
        parts.append(reshape(ranks, shape))
    if return_counts:
        parts.append(reshape(sub(narrow(starts, 0, 1, count), narrow(starts, 0, 0, count)), (count,)))
    return tuple(parts) if len(parts) > 1 else parts[0]


@public("function", "method")
def unique_consecutive(
    input: Tensor,
    return_inverse: builtins.bool = False,
    return_counts: builtins.bool = False,
    dim: int | None = None,
) -> Any:
    """The elements, or slices along ``dim``, without those that equal the one before; otherwise as `unique`.

    Raises
    ------
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.unique_consecutive(ng.tensor([1, 1, 2, 2, 1]), return_counts=True)
    (tensor([1, 2, 1]), tensor([2, 2, 1]))
    """
    for name, value in (("return_inverse", return_inverse), ("return_counts", return_counts)):
        flag("unique_consecutive", name, value)
    still = check_tensor("unique_consecutive", "input", input).detach()
    if dim is None:
        axis, shape = 0, tuple(still._spec.shape)
        still = reshape(still, (still._spec.numel,))
    else:
        axis = _sliced("unique_consecutive", still, dim)
        shape = (still._spec.shape[axis],)
    return _distinct(still, axis, None, shape, return_inverse, return_counts)


@public("function")
def isin(
    elements: Any, test_elements: Any, *, assume_unique: builtins.bool = False, invert: builtins.bool = False
) -> Tensor:
    """For each of ``elements`` whether it is one of ``test_elements``; with ``invert`` whether it is none.

    One of them may be a number. ``assume_unique`` says that neither has an element twice, and changes nothing.

    Raises
    ------
    RuntimeError
        A tensor is of bools.
    TypeError
        Neither is a tensor, or one is neither a tensor nor a number.

    >>> import numgrad as ng
    >>> ng.isin(ng.tensor([[1, 2], [3, 4]]), ng.tensor([2, 3]))
    tensor([[False,  True],
            [ True, False]])
    """
    flag("isin", "assume_unique", assume_unique)
    flag("isin", "invert", invert)
    for name, value in (("elements", elements), ("test_elements", test_elements)):
        if as_number(value) is None:
            check_tensor("isin", name, value)
            if value._spec.dtype.is_bool:
                raise RuntimeError("Unsupported input type encountered for isin(): Bool")
    if not isinstance(elements, TensorBase) and not isinstance(test_elements, TensorBase):
        raise TypeError("isin(): got two numbers, expected a tensor for one of elements and test_elements")
    dtype = result_type(elements, test_elements)
    if isinstance(elements, TensorBase) and isinstance(test_elements, TensorBase) and not dtype.is_half:
        sizes = elements._spec.numel, test_elements._spec.numel
        if builtins.min(sizes) > 0 and builtins.max(sizes) <= LARGEST and not chain.wrappers:
            return _is_among(elements.detach(), test_elements.detach(), dtype, invert)  # type: ignore[attr-defined]
    some, others = (cast(as_operand(value, dtype), dtype).detach()._values() for value in (elements, test_elements))
    return _tensor(np.isin(some, others, invert=invert))


@knowing
def _is_among(elements: Tensor, others: Tensor, dtype: Any, invert: builtins.bool) -> Tensor:
    """Whether each element is one of others: the first that is not below it, in their order."""
    some, line = cast(contiguous(elements), dtype), cast(reshape(others, (-1,)), dtype)
    line = ops.sort.sort(line, dim=0, descending=False)[0]
    where_to = searchsorted(line, some).clamp(max=line._spec.numel - 1)
    near = reshape(ops.index.index_select(line, reshape(where_to, (-1,)), dim=0), tuple(some._spec.shape))
    return ne(some, near) if invert else eq(some, near)


# ---- bins -------------------------------------------------------------------------------------------------------


@public("function", "method")
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each of the numbers 0, 1, ... is there, or the sum of its ``weights``; at least ``minlength`` results.

    Counts are of int64, sums of float32 for weights of float32, else of float64. There is no gradient.

    Raises
    ------
    RuntimeError
        The input is no vector of integers that are not negative, the weights have another shape, or ``minlength`` is negative.

    >>> import numgrad as ng
    >>> ng.bincount(ng.tensor([0, 2, 2])), ng.bincount(ng.tensor([0, 2]), ng.tensor([0.5, 1.5]), minlength=4)
    (tensor([1, 0, 2]), tensor([0.5000, 0.0000, 1.5000, 0.0000]))
    """
    still = check_tensor("bincount", "input", input).detach()
    minlength = as_int("bincount", "minlength", minlength)
    if still._spec.dtype.category != 1:
        raise RuntimeError(f"\"bincount_cpu\" not implemented for '{input._spec.dtype.torch_name}'; it is for integers")
    if minlength < 0:
        raise RuntimeError(f"minlength should be >= 0, got {minlength}")
    low, high = [int(each.item()) for each in aminmax(still)] if still._spec.numel else (0, -1)
    if still._spec.ndim != 1 or low < 0:
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    places, count = cast(still, int64), builtins.max(minlength, high + 1)
    if weights is None:
        return counted(places, count)
    heights = check_tensor("bincount", "weights", weights).detach()
    if heights._spec.shape != still._spec.shape:
        raise RuntimeError(
            f"weights should be 1-d and have the same length as input, got {list(heights.shape)} beside {list(still.shape)}"
        )
    sums = _summed(places, heights, count)
    return cast(sums, float32) if heights._spec.dtype is float32 else sums  # type: ignore[no-any-return]


def _extremes(array: np.ndarray) -> tuple[float, float]:
    return float(array.min()), float(array.max())


def _two_bounds(range: Any) -> tuple[Any, Any]:
    if not isinstance(range, (tuple, list)) or len(range) != 2:
        raise TypeError(f"histogram(): argument 'range' must be a tuple of two floats, got {range!r}")
    return range[0], range[1]


def _checked_bins(op: str, array: np.ndarray, bins: Any) -> int:
    if array.dtype.kind != "f":
        raise RuntimeError(f"{op}: the input is of {array.dtype}, expected floating point; convert with .float() first")
    bins = as_int(op, "bins", bins)
    if bins < 1:
        raise RuntimeError(f"{op}(): bins must be > 0, but got {bins}")
    return bins


@public("function", "method")
def histc(input: Tensor, bins: int = 100, min: Any = 0, max: Any = 0) -> Tensor:
    """How many elements fall into each of equal bins from min to max, in the input's dtype. What lies outside is left out.

    If min and max are equal, they are those of the elements. There is no gradient.

    Raises
    ------
    RuntimeError
        The input is not of floating point, there are no bins, or the range is not finite or negative.

    >>> import numgrad as ng
    >>> ng.histc(ng.tensor([1.0, 2.0, 1.0]), bins=4, min=0, max=3)
    tensor([0., 2., 1., 0.])
    """
    if bins.__class__ is int and check_tensor("histc", "input", input)._spec.dtype.is_floating_point:
        few = few_heights(input, bins, min, max)
        if few is not None:
            return few
    array = _numbers("histc", "input", input)
    bins = _checked_bins("histc", array, bins)
    if min == max and array.size:
        min, max = _extremes(array)
    low, high = range_of("histc", min, max, 1.0)
    wide = high - low > np.finfo(array.dtype).max  # the width has no number of this dtype
    edges = np.array([low, high], np.float64 if wide else array.dtype)
    if wide or bins > _MOST_PLACES:
        inside = array[(array >= edges[0]) & (array <= edges[1])]
        places = ((inside - edges[0]) * edges.dtype.type(bins) / (edges[1] - edges[0])).astype(np.int64)
        return _tensor(np.bincount(np.minimum(places, bins - 1), minlength=bins).astype(array.dtype))
    still = reshape(input.detach(), (array.size,))
    parts = div(mul(sub(still, float(edges[0])), bins), float(edges[1] - edges[0]))
    is_inside = ge(still, float(edges[0])) & le(still, float(edges[1]))
    return heights_of(parts, is_inside, bins, still._spec.dtype)


@public("function", "method")
def histogram(
    input: Tensor,
    bins: Any,
    *,
    range: Any = None,
    weight: Tensor | None = None,
    density: builtins.bool = False,
) -> Any:
    """How many elements, or how much ``weight``, fall into each bin, and the bins' edges, as a pair (hist, bin_edges).

    A bin has its left edge, and the last one also its right. There is no gradient.

    bins
        The number of equal bins, or their edges as a vector in order.
    range
        The outer edges of equal bins; by default those of the elements.
    density
        The result is the density: its integral is 1.

    Raises
    ------
    RuntimeError
        The input is not of floating point, the weights have another shape, or the edges are no vector of its dtype.
    TypeError
        Edges and a range are given.

    >>> import numgrad as ng
    >>> ng.histogram(ng.tensor([1.0, 2.0, 1.0]), bins=2, range=(0.0, 3.0)).hist
    tensor([2., 1.])
    """
    flag("histogram", "density", density)
    if density is False and weight is None and not isinstance(bins, TensorBase):
        few = of_few("histogram", input, [bins], range, 1)
        if few is not None:
            return HistogramResult(few)
    array = _numbers("histogram", "input", input)
    edges, is_even = _edges(array, bins, range)
    heights = None if weight is None else _numbers("histogram", "weight", weight)
    if heights is not None and (heights.shape != array.shape or heights.dtype != array.dtype):
        raise RuntimeError(f"histogram: weight is {weight._spec}, expected shape and dtype of the input, {input._spec}")  # type: ignore[union-attr]
    hist = _heights(input, ((edges, is_even),), heights)
    if density:
        hist = hist / hist.sum() / np.diff(edges)
    return HistogramResult((_tensor(hist.astype(array.dtype)), _tensor(edges)))


def _edges(array: np.ndarray, bins: Any, range: Any) -> tuple[np.ndarray, builtins.bool]:
    """The edges of the bins of `histogram`, and whether a bin can be computed from a number."""
    if isinstance(bins, TensorBase):
        if range is not None:
            raise TypeError("histogram(): got both a range and the edges of the bins, expected one of them")
        edges = _numbers("histogram", "bins", bins)
        if edges.dtype != array.dtype or edges.ndim != 1 or edges.size == 0:
            raise RuntimeError(f"histogram: bins is {bins._spec}, expected a vector of edges of the input's dtype")  # type: ignore[attr-defined]
        _checked_bins("histogram", array, 1)
        return edges, False
    count = _checked_bins("histogram", array, bins)
    if range is None:
        range = _extremes(array) if array.size else (0, 1)
    low, high = _two_bounds(range)
    low, high = range_of("histogram", low, high, 0.5)
    edges = np.linspace(low, high, count + 1).astype(array.dtype)
    width = (high - low) / count
    is_even = count < _MOST_EVEN and high - low < np.finfo(array.dtype).max and np.diff(edges).min() > width / 2
    return edges, bool(is_even)


def _heights(
    input: Tensor, limits: Sequence[tuple[np.ndarray, builtins.bool]], heights: np.ndarray | None
) -> np.ndarray:  # fmt: skip
    """How many points, or how much of them, fall into each bin, by the edges of each coordinate; and whether these are even."""
    shape = tuple(len(edges) for edges, _ in limits)  # one bin more for what lies outside
    if builtins.min(shape) < 2:
        return np.zeros(tuple(n - 1 for n in shape))
    points = reshape(input.detach(), (-1, len(limits)) if input._spec.numel else (0, len(limits)))
    flat: Any = None
    for column, (edges, is_even) in enumerate(limits):
        scale = (len(edges) - 1) / (float(edges[-1]) - float(edges[0])) if is_even else 0.0
        places = ops.sort.find_bins(points, from_numpy(edges.copy()), column=column, scale=scale)
        flat = places if flat is None else add(mul(flat, len(edges)), places)
    if heights is None:
        sums = counted(flat, product(shape))
    else:
        sums = _summed(flat, cast(from_numpy(heights.reshape(-1).copy()), float64), product(shape))
    inner = tuple(slice(0, n - 1) for n in shape)
    return sums.numpy().reshape(shape)[inner].astype(np.float64)  # type: ignore[no-any-return]


def _summed(places: Tensor, heights: Tensor, count: int) -> Tensor:
    """The sum of the heights at each of ``count`` places, in float64."""
    return ops.index.scatter_add(zeros(count, dtype=float64), places, cast(heights, float64), dim=0)  # type: ignore[no-any-return]


@public("function")
def histogramdd(
    input: Tensor, bins: Any, range: Any = None, weight: Tensor | None = None, density: builtins.bool = False
) -> Any:
    """`histogram` of points input [..., N] of N coordinates, as a pair (hist, bin_edges): hist has a dimension for each.

    bins
        The number of equal bins, one number for all dimensions or a list of them; or a list of vectors of edges.
    range
        The outer edges of all dimensions, one after the other: 2 N numbers.
    weight
        How much each point counts, in the shape of the input without its last dimension.

    Raises
    ------
    RuntimeError
        The input is not of floating point or has less than two dimensions, or bins, range or weights do not fit.

    >>> import numgrad as ng
    >>> points = ng.tensor([[0.0, 1.0], [1.0, 0.0], [2.0, 0.0], [2.0, 2.0]])
    >>> ng.histogramdd(points, bins=[2, 2]).hist
    tensor([[0., 1.],
            [2., 1.]])
    """
    name = "histogramdd"
    flag(name, "density", density)
    if density is False and weight is None and check_tensor(name, "input", input)._spec.ndim > 1:
        n = input._spec.shape[-1]
        few = of_few(name, input, bins if isinstance(bins, (tuple, list)) else [bins] * n, range, n)
        if few is not None:
            return HistogramddResult((few[0], tuple(few[1:])))
    array = _numbers(name, "input", input)
    if array.ndim < 2:
        raise RuntimeError("torch.histogramdd: input tensor should have at least 2 dimensions")
    count = array.shape[-1]
    points = array.reshape(product(array.shape[:-1]), count)
    each = list(bins) if isinstance(bins, (tuple, list)) else [bins] * count
    if len(each) != count:
        raise RuntimeError("histogramdd: The size of bins must be equal to the innermost dimension of the input.")
    if range is not None and (not isinstance(range, (tuple, list)) or len(range) != 2 * count):
        raise RuntimeError(
            f"torch.histogramdd: for a {count}-dimensional histogram range should have {2 * count} elements, but got {range!r}"
        )
    columns = [np.ascontiguousarray(column) for column in points.T]
    limits = [
        _edges(column, one, None if range is None else range[2 * i : 2 * i + 2])
        for i, (column, one) in enumerate(zip(columns, each, strict=True))
    ]
    heights = None if weight is None else _numbers(name, "weight", weight)
    if heights is not None and (heights.shape != array.shape[:-1] or heights.dtype != array.dtype):
        raise RuntimeError(
            f"histogramdd: weight has shape {list(heights.shape)}, expected {list(array.shape[:-1])}, and the input's dtype"
        )
    hist = _heights(input, limits, heights)
    if density:
        hist /= hist.sum()
        for axis, (edges, _) in enumerate(limits):
            hist /= np.diff(edges).reshape([-1 if axis == other else 1 for other in builtins.range(count)])
    return HistogramddResult((_tensor(hist.astype(array.dtype)), tuple(_tensor(edges) for edges, _ in limits)))
