"""Slices written by index vectors: `index_add` and its kin; elements by positions and by masks: `take`, `put` and so on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numgrad import dtypes, ops
from numgrad.engine.tape import TensorBase
from numgrad.tensor import in_place, pointwise, shaping
from numgrad.tensor.arguments import as_element, as_number, check_tensor, wrap_dim
from numgrad.tensor.scattering import REDUCES, at_least_1d, scatter_reduced
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


# ---- slices -----------------------------------------------------------------------------------------------------


def _slices(name: str, input: Tensor, dim: int, index: Any, source: Any) -> tuple[int, Tensor, Tensor, Tensor]:
    """The checked axis, the input with a dimension, the index as a vector, and the source with its slices, of that shape."""
    check_tensor(name, "index", index)
    check_tensor(name, "source", source)
    axis = wrap_dim(name, dim, input._spec.ndim)
    if index._spec.ndim > 1:
        raise IndexError(f"{name}(): Index should have dimension 1 or 0 (got {index._spec.ndim})")
    if index._spec.dtype not in (dtypes.int64, dtypes.int32):
        raise RuntimeError(
            f"{name}(): Expected dtype int32/int64 for index but got: {index._spec.dtype}; convert with .long()"
        )
    if source._spec.dtype is not input._spec.dtype:
        raise RuntimeError(
            f"{name}(): self ({input._spec.dtype}) and source ({source._spec.dtype}) must have the same scalar type; convert with "
            ".to(dtype)"
        )
    target, index = at_least_1d(input), at_least_1d(index)
    shape = target._spec.shape
    expected = (*shape[:axis], index._spec.numel, *shape[axis + 1 :])
    if source._spec.ndim == 0 and expected == (1,):
        source = at_least_1d(source)
    if tuple(source._spec.shape) != expected:
        raise (IndexError if name == "index_copy" and source._spec.ndim != len(expected) else RuntimeError)(
            f"{name}(): source has shape {list(source._spec.shape)}, expected {list(expected)}: self's {list(input._spec.shape)}, "
            f"with {index._spec.numel}, the number of indices, in dimension {axis}"
        )
    return axis, target, index, source


def _put(input: Tensor, target: Tensor, index: Tensor, source: Tensor, axis: int, accumulate: bool) -> Tensor:
    result = ops.index.index_put(target, index, source, accumulate=accumulate, dim=axis)
    return result if input._spec.ndim else shaping.reshape(result, ())  # type: ignore[no-any-return]


@public("function", "method", "in_place", known=True)
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """A copy of input with the slices of alpha * source along ``dim`` added to those that ``index`` (a vector) names.

    Raises
    ------
    IndexError
        An index is out of range (negative ones are), or ``index`` is not a vector.
    RuntimeError
        The index is neither int64 nor int32, or ``source`` is of another dtype or shape.

    >>> import numgrad as ng
    >>> ng.zeros(3).index_add(0, ng.tensor([0, 2, 2]), ng.tensor([1.0, 2.0, 3.0]))
    tensor([1., 0., 5.])
    """
    axis, target, index, source = _slices("index_add", input, dim, index, source)
    number = as_number(alpha.item() if isinstance(alpha, TensorBase) else alpha)  # type: ignore[attr-defined]
    if number is None:
        raise TypeError(f"index_add(): argument 'alpha' must be Number, not {type(alpha).__name__}")
    if isinstance(number, float) and not input._spec.dtype.is_floating_point:
        raise RuntimeError(
            "index_add(): For integral input tensors, argument alpha must not be a floating point number."
        )
    scaled = source if number == 1 else pointwise.mul(source, number)
    return _put(input, target, index, scaled, axis, True)


@public("function", "method", "in_place", known=True)
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """A copy of input with the slices of source along ``dim`` in the place of those that ``index`` (a vector) names.

    Raises
    ------
    IndexError
        An index is out of range (negative ones are), or ``index`` is not a vector.
    RuntimeError
        The index is neither int64 nor int32, or ``source`` is of another dtype or shape.

    >>> import numgrad as ng
    >>> ng.zeros(3).index_copy(0, ng.tensor([0, 2]), ng.tensor([1.0, 2.0]))
    tensor([1., 0., 2.])
    """
    axis, target, index, source = _slices("index_copy", input, dim, index, source)
    return _put(input, target, index, source, axis, False)


@public("function", "method", "in_place", known=True)
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """A copy of input with one value, a number or a tensor without dimensions, in the slices that ``index`` names.

    Raises
    ------
    IndexError
        An index is out of range, or ``index`` is not a vector. Negative ones count from the end.
    RuntimeError
        The index is not of int64, or the dtype does not have the value.

    >>> import numgrad as ng
    >>> ng.zeros(2, 3).index_fill(1, ng.tensor([0, 2]), 7)
    tensor([[7., 0., 7.],
            [7., 0., 7.]])
    """
    check_tensor("index_fill", "index", index)
    axis = wrap_dim("index_fill", dim, input._spec.ndim)
    if isinstance(value, TensorBase) and value._spec.ndim:
        raise RuntimeError(
            f"index_fill only supports a 0-dimensional value tensor, but got tensor with {value._spec.ndim} dimension(s)."
        )
    if index._spec.dtype is not dtypes.int64:
        raise IndexError(
            f"index_fill(): Expected dtype int64 for index, but got {index._spec.dtype}; convert with .long()"
        )
    target, places = at_least_1d(input), at_least_1d(index)
    if places._spec.ndim > 1:
        raise IndexError(f"index_fill: Index is supposed to be a vector, got shape {list(index._spec.shape)}")
    shape = target._spec.shape
    expected = (*shape[:axis], places._spec.numel, *shape[axis + 1 :])
    values = shaping.expand(as_element("index_fill", value, input._spec.dtype), expected)
    return _put(input, target, _from_the_end(places, shape[axis]), values, axis, False)


def _from_the_end(index: Tensor, extent: int) -> Tensor:
    """Indices of which negative ones count from the end as indices that count from the front."""
    return ops.index.linear_index(index, extents=(extent,))  # type: ignore[no-any-return]


@public("function", "method", known=True)
def index_reduce(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """As `index_add`, with 'prod', 'mean', 'amax' or 'amin' in the place of the sum; see `scatter_reduce`.

    Raises
    ------
    IndexError
        An index is out of range (negative ones are), or ``index`` is not a vector.
    RuntimeError
        The index is neither int64 nor int32, ``source`` is of another dtype or shape, or ``reduce`` is another word.

    >>> import numgrad as ng
    >>> ng.ones(2).index_reduce(0, ng.tensor([1, 1]), ng.tensor([2.0, 3.0]), "prod")
    tensor([1., 6.])
    """
    if reduce not in REDUCES[1:]:
        raise RuntimeError(f"index_reduce: reduce argument must be one of {', '.join(REDUCES[1:])}, got {reduce!r}")
    axis, target, index, source = _slices("index_reduce", input, dim, index, source)
    shape = tuple(source._spec.shape)
    line = tuple(extent if position == axis else 1 for position, extent in enumerate(shape))
    places = shaping.expand(shaping.view(index, line), shape)
    result = scatter_reduced("index_reduce", target, axis, places, source, reduce, include_self)
    return result if input._spec.ndim else shaping.reshape(result, ())


@public("method")
def index_reduce_(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """`index_reduce` of this tensor, written over it. Returns this tensor.

    Raises
    ------
    IndexError, RuntimeError
        As `index_reduce`, or autograd cannot follow the change. Nothing has been changed.

    >>> import numgrad as ng
    >>> ng.ones(2).index_reduce_(0, ng.tensor([1, 1]), ng.tensor([2.0, 3.0]), "prod")
    tensor([1., 6.])
    """
    result = index_reduce(in_place.kept(input, source), dim, index, source, reduce, include_self=include_self)
    return in_place.assign("index_reduce_", input, result)


# ---- by positions in row-major order, and by masks --------------------------------------------------------------


@public("function", "method", known=True)
def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements at positions of the input as a vector, in the shape of ``index``; negative ones count from the end.

    Raises
    ------
    IndexError
        An index is out of range.
    RuntimeError
        The index is not of int64.

    >>> import numgrad as ng
    >>> ng.take(ng.tensor([[1, 2], [3, 4]]), ng.tensor([0, -1]))
    tensor([1, 4])
    """
    flat, places = _flat("take", input, index)
    return ops.index.index_select(flat, places, dim=0)  # type: ignore[no-any-return]


def _flat(name: str, input: Tensor, index: Any) -> tuple[Tensor, Tensor]:
    check_tensor(name, "index", index)
    if index._spec.dtype is not dtypes.int64:
        raise RuntimeError(
            f"{name}(): Expected a long tensor for index, but got {index._spec.dtype}; convert with .long()"
        )
    if input._spec.numel == 0 and index._spec.numel:
        raise IndexError(f"{name}(): tried to take from an empty tensor")
    return shaping.reshape(input, (input._spec.numel,)), _from_the_end(index, input._spec.numel)


@public("function", "method", "in_place", known=True)
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """A copy of input with the elements of ``source`` written to, or added at, positions of the input as a vector.

    Raises
    ------
    IndexError
        An index is out of range (negative ones count from the end), or ``source`` has another number of elements.
    RuntimeError
        The index is not of int64, or ``source`` has another dtype.

    >>> import numgrad as ng
    >>> ng.put(ng.zeros(2, 2), ng.tensor([0, -1]), ng.tensor([1.0, 2.0]))
    tensor([[1., 0.],
            [0., 2.]])
    """
    check_tensor("put", "source", source)
    flat, places = _flat("put", input, index)
    if source._spec.dtype is not input._spec.dtype:
        raise RuntimeError(
            f"put(): self ({input._spec.dtype}) and source ({source._spec.dtype}) expected to have the same dtype; convert with "
            ".to(dtype)"
        )
    if source._spec.numel != index._spec.numel:
        raise IndexError(
            f"put(): Expected source and index to have the same number of elements, but got source.numel() = "
            f"{source._spec.numel}, index.numel() = {index._spec.numel}"
        )
    values = shaping.reshape(source, tuple(index._spec.shape))
    result = ops.index.index_put(flat, places, values, accumulate=bool(accumulate))
    return shaping.reshape(result, tuple(input._spec.shape))


@public("function", "method")
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask, which is broadcast with the input, is True: a vector.

    Raises
    ------
    RuntimeError
        The mask is not of bools, or the shapes do not broadcast.

    >>> import numgrad as ng
    >>> x = ng.tensor([1, 2, 3])
    >>> ng.masked_select(x, x > 1)
    tensor([2, 3])
    """
    from numgrad.tensor import grids, index_arrays

    _check_mask("masked_select", mask)
    if input._spec.shape == mask._spec.shape and mask._spec.ndim:
        return ops.masks.masked_select.apply((input, mask), index_arrays.count_true(mask))  # type: ignore[no-any-return]
    input, mask = (at_least_1d(each) for each in grids.broadcast_tensors(input, mask))
    return ops.masks.masked_select(input, mask, count=index_arrays.count_true(mask))  # type: ignore[no-any-return]


def _check_mask(name: str, mask: Any) -> None:
    check_tensor(name, "mask", mask)
    if not mask._spec.dtype.is_bool:
        raise RuntimeError(f"{name}: expected BoolTensor for mask, got {mask._spec.dtype}; convert with .bool()")


@public("function", "method", "in_place", known=True)
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """A copy of input with the elements of ``source``, one after the other, in the places where the mask is True.

    Raises
    ------
    RuntimeError
        The mask is not of bools, the shapes do not broadcast, or ``source`` has another dtype or fewer elements than places.

    >>> import numgrad as ng
    >>> ng.zeros(3).masked_scatter(ng.tensor([True, False, True]), ng.tensor([1.0, 2.0]))
    tensor([1., 0., 2.])
    """
    from numgrad.tensor import grids

    _check_mask("masked_scatter", mask)
    check_tensor("masked_scatter", "source", source)
    if source._spec.dtype is not input._spec.dtype:
        raise RuntimeError(
            f"masked_scatter: expected self and source to have same dtypes but got {input._spec.dtype} and {source._spec.dtype}"
        )
    input, mask = grids.broadcast_tensors(input, mask)
    shape, rows = tuple(input._spec.shape), shaping.reshape(source, (source._spec.numel,))
    if shape:
        return ops.masks.masked_scatter(input, mask, rows)  # type: ignore[no-any-return]
    return shaping.reshape(ops.masks.masked_scatter(at_least_1d(input), at_least_1d(mask), rows), ())
