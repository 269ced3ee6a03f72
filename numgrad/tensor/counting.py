"""What counts elements: distinct ones, bins of a histogram. The shape of most results depends on the numbers.

They are computed from the numbers as they are, without a gradient.
"""

from __future__ import annotations

import builtins
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from numgrad.engine.tape import TensorBase
from numgrad.layout import product
from numgrad.tensor.arguments import as_int, as_number, as_operand, cast, check_tensor, result_type, wrap_dim
from numgrad.tensor.creation import from_numpy
from numgrad.tensor.results import HistogramddResult, HistogramResult
from numgrad.tensor.sorting import flag
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor

_MOST_EVEN = 1 << 12  # bins, of which float32 computes the number to within one


def _numbers(op: str, name: str, value: Any) -> np.ndarray:
    """The elements of a tensor."""
    return check_tensor(op, name, value).detach().numpy()  # type: ignore[no-any-return]


def _tensor(array: np.ndarray) -> Tensor:
    return from_numpy(np.array(array, order="C"))


# ---- distinct elements ------------------------------------------------------------------------------------------


def _parts(values: np.ndarray, inverse: np.ndarray | None, counts: np.ndarray | None) -> Any:
    tensors = tuple(_tensor(part) for part in (values, inverse, counts) if part is not None)
    return tensors if len(tensors) > 1 else tensors[0]


def _slices(op: str, array: np.ndarray, dim: Any) -> tuple[np.ndarray, int]:
    """The slices along a dimension as rows of elements, and the dimension."""
    axis = wrap_dim(op, dim, array.ndim)
    if array.ndim == 0:
        raise IndexError(f"{op}: Dimension specified as {dim} but tensor has no dimensions")
    moved = np.moveaxis(array, axis, 0)
    if 0 in moved.shape[1:]:
        raise RuntimeError(
            f"{op}: There are 0 sized dimensions, and they aren't selected, so unique cannot be applied; the input has shape "
            f"{list(array.shape)}"
        )
    return moved.reshape(len(moved), product(moved.shape[1:])), axis


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
    array = _numbers("unique", "input", input)
    if dim is None and not (return_inverse or return_counts):  # sorted, and not by a list of positions
        return _tensor(np.unique(array, equal_nan=False))
    if dim is None:
        values, inverse, counts = np.unique(array, return_inverse=True, return_counts=True, equal_nan=False)
        inverse = inverse.reshape(array.shape)
    else:
        rows, axis = _slices("unique", array, dim)
        order = np.lexsort(rows.T[::-1]) if rows.size else np.arange(len(rows))
        begins = _begins(rows[order])
        values = np.take(array, order[begins], axis)
        inverse = np.empty(len(rows), np.int64)
        inverse[order] = np.cumsum(begins) - 1
        counts = np.diff(np.append(np.flatnonzero(begins), len(rows)))
    return _parts(values, inverse if return_inverse else None, counts if return_counts else None)


def _begins(rows: np.ndarray) -> np.ndarray:
    """For each row whether it differs from the one before it."""
    begins = np.ones(len(rows), bool)
    differs = rows[1:] != rows[:-1]
    begins[1:] = differs[:, 0] if rows.shape[1] == 1 else differs.any(1)
    return begins


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
    array = _numbers("unique_consecutive", "input", input)
    if dim is None:
        rows = array.reshape(-1, 1)
        begins = _begins(rows)
        values, shape = rows[begins, 0], array.shape
    else:
        rows, axis = _slices("unique_consecutive", array, dim)
        begins, shape = _begins(rows), (len(rows),)
        values = np.take(array, np.flatnonzero(begins), axis)
    inverse = (np.cumsum(begins) - 1).reshape(shape) if return_inverse else None
    return _parts(values, inverse, np.diff(np.append(np.flatnonzero(begins), len(rows))) if return_counts else None)


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
    some, others = (cast(as_operand(value, dtype), dtype).detach()._values() for value in (elements, test_elements))
    return _tensor(np.isin(some, others, invert=invert))


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
    array = _numbers("bincount", "input", input)
    minlength = as_int("bincount", "minlength", minlength)
    if array.dtype.kind not in "iu":
        raise RuntimeError(f"\"bincount_cpu\" not implemented for '{input._spec.dtype.torch_name}'; it is for integers")
    if minlength < 0:
        raise RuntimeError(f"minlength should be >= 0, got {minlength}")
    if array.ndim != 1 or (array.size and array.min() < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is None:
        return _tensor(np.bincount(array, minlength=minlength).astype(np.int64))
    heights = _numbers("bincount", "weights", weights)
    if heights.shape != array.shape:
        raise RuntimeError(
            f"weights should be 1-d and have the same length as input, got {list(heights.shape)} beside {list(array.shape)}"
        )
    kind = np.float32 if heights.dtype == np.float32 else np.float64
    return _tensor(np.bincount(array, heights, minlength).astype(kind))


def _range_of(op: str, low: Any, high: Any, margin: float) -> tuple[float, float]:
    """The outer edges of equal bins; if both are the same, so far beside them."""
    for bound in (low, high):
        if as_number(bound) is None:
            raise TypeError(f"{op}(): the bounds must be Numbers, not {type(bound).__name__}")
    low, high = float(low), float(high)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"{op}: range of [{low}, {high}] is not finite")
    if low > high:
        raise RuntimeError(f"{op}: max must be larger than min, got [{low}, {high}]")
    return (low - margin, high + margin) if low == high else (low, high)


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
    array = _numbers("histc", "input", input)
    bins = _checked_bins("histc", array, bins)
    if min == max and array.size:
        min, max = _extremes(array)
    low, high = _range_of("histc", min, max, 1.0)
    wide = high - low > np.finfo(array.dtype).max  # the width has no number of this dtype
    edges = np.array([low, high], np.float64 if wide else array.dtype)
    inside = array[(array >= edges[0]) & (array <= edges[1])]
    places = ((inside - edges[0]) * edges.dtype.type(bins) / (edges[1] - edges[0])).astype(np.int64)
    return _tensor(np.bincount(np.minimum(places, bins - 1), minlength=bins).astype(array.dtype))


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
    array = _numbers("histogram", "input", input)
    flag("histogram", "density", density)
    if isinstance(bins, TensorBase):
        if range is not None:
            raise TypeError("histogram(): got both a range and the edges of the bins, expected one of them")
        edges = _numbers("histogram", "bins", bins)
        if edges.dtype != array.dtype or edges.ndim != 1 or edges.size == 0:
            raise RuntimeError(f"histogram: bins is {bins._spec}, expected a vector of edges of {input.dtype}")  # type: ignore[attr-defined]
        _checked_bins("histogram", array, 1)
        is_even = False
    else:
        count = _checked_bins("histogram", array, bins)
        if range is None:
            range = _extremes(array) if array.size else (0, 1)
        low, high = _two_bounds(range)
        low, high = _range_of("histogram", low, high, 0.5)
        edges = np.linspace(low, high, count + 1).astype(array.dtype)
        width = (high - low) / count
        is_even = count < _MOST_EVEN and high - low < np.finfo(array.dtype).max and np.diff(edges).min() > width / 2
    heights = None if weight is None else _numbers("histogram", "weight", weight)
    if heights is not None and (heights.shape != array.shape or heights.dtype != array.dtype):
        raise RuntimeError(f"histogram: weight is {weight._spec}, expected shape and dtype of the input, {input._spec}")  # type: ignore[union-attr]
    hist = _heights(array, edges, heights, is_even)
    if density:
        hist = hist / hist.sum() / np.diff(edges)
    return HistogramResult((_tensor(hist.astype(array.dtype)), _tensor(edges)))


def _heights(array: np.ndarray, edges: np.ndarray, heights: np.ndarray | None, is_even: builtins.bool) -> np.ndarray:
    inside = (array >= edges[0]) & (array <= edges[-1])
    values, last = array[inside], len(edges) - 2
    if is_even:  # computed, and moved by one where it was rounded across an edge: a third of the time of a search
        scale = (last + 1) / (float(edges[-1]) - float(edges[0]))
        places = np.clip(((values - edges[0]) * scale).astype(np.int64), 0, last)
        places -= values < edges[places]
        places += (values >= edges[places + 1]) & (places < last)
    else:
        places = np.minimum(np.searchsorted(edges, values, "right") - 1, last)
    weights = None if heights is None else heights[inside]
    if len(edges) < 2:
        return np.zeros(0)
    return np.bincount(places, weights, len(edges) - 1).astype(np.float64)


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
    array = _numbers(name, "input", input)
    flag(name, "density", density)
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
    edges = [
        histogram(
            _tensor(points[:, i]), one, range=None if range is None else range[2 * i : 2 * i + 2]
        ).bin_edges.numpy()
        for i, one in enumerate(each)
    ]
    heights = None if weight is None else _numbers(name, "weight", weight)
    if heights is not None and (heights.shape != array.shape[:-1] or heights.dtype != array.dtype):
        raise RuntimeError(
            f"histogramdd: weight has shape {list(heights.shape)}, expected {list(array.shape[:-1])}, and the input's dtype"
        )
    inside = np.ones(len(points), bool)
    numbers = []
    for column, limits in zip(points.T, edges, strict=True):
        inside &= (column >= limits[0]) & (column <= limits[-1])
        numbers.append(np.minimum(np.searchsorted(limits, column, "right") - 1, len(limits) - 2))
    shape = tuple(len(limits) - 1 for limits in edges)
    flat = np.ravel_multi_index([number[inside] for number in numbers], shape)
    weights = None if heights is None else heights.reshape(-1)[inside]
    hist = np.bincount(flat, weights, product(shape)).astype(np.float64).reshape(shape)
    if density:
        hist /= hist.sum()
        for axis, limits in enumerate(edges):
            hist /= np.diff(limits).reshape([-1 if axis == other else 1 for other in builtins.range(count)])
    return HistogramddResult((_tensor(hist.astype(array.dtype)), tuple(_tensor(limits) for limits in edges)))
