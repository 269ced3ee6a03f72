"""Index tensors, lists and masks: what they name in a tensor, taken to new memory or written to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from numgrad import dtypes, ops
from numgrad.engine.tape import TensorBase
from numgrad.engine.views import change_in_place
from numgrad.errors import OutOfRangeError, warn
from numgrad.layout import product
from numgrad.tensor import in_place, shaping

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor

_USUAL = frozenset({dtypes.int64, dtypes.int32, dtypes.bool_})  # dtypes of index tensors
_MASKS = (dtypes.bool_, dtypes.uint8)  # dtypes of index tensors that are masks


def is_array(item: Any) -> bool:
    if isinstance(item, TensorBase):
        return item._spec.ndim > 0 or item._spec.dtype in _MASKS
    if isinstance(item, np.ndarray):
        return item.ndim > 0 or item.dtype in (np.bool_, np.uint8)
    return isinstance(item, (list, bool, np.bool_))


def is_usual(item: Any) -> bool:
    """Whether an item is an index tensor that is taken as it is."""
    return isinstance(item, TensorBase) and item._spec.ndim > 0 and item._spec.dtype in _USUAL


def mask_ndim(item: Any) -> int:
    """The number of dimensions that an index array indexes: a mask as many as it has, an array of ints one."""
    if isinstance(item, TensorBase):
        return item._spec.ndim if item._spec.dtype in _MASKS else 1
    array = np.asarray(item)
    return array.ndim if array.dtype in (np.bool_, np.uint8) else 1


def as_index(item: Any) -> Tensor:
    """An index tensor, list or array as a tensor of integers or, for a mask, of bools. It is not the caller's array.

    Raises
    ------
    IndexError
        Index tensors cannot have this dtype.
    """
    if isinstance(item, TensorBase) and item._spec.dtype in _USUAL:
        return item  # type: ignore[return-value]
    from numgrad.tensor import comparison, creation

    if isinstance(item, TensorBase):
        index: Any = item
        refuse_index_dtype(index._spec.dtype.numpy, of_tensor=True)
    else:
        array = np.asarray(item)
        if not (isinstance(item, list) and array.size == 0):
            refuse_index_dtype(array.dtype, of_tensor=False)
        is_mask = array.dtype.kind == "b" or array.dtype == np.uint8
        index = creation.from_numpy(np.array(array, array.dtype if is_mask else np.int64, order="C"))
    if index._spec.dtype is dtypes.uint8:  # torch's masks before it had bools
        warn(
            "indexing with dtype numgrad.uint8 is now deprecated, please use a dtype numgrad.bool instead: it is a mask."
        )
        return comparison.ne(index, 0)
    return index  # type: ignore[no-any-return]


def refuse_index_dtype(dtype: np.dtype, of_tensor: bool) -> None:
    """Refuse what counts nothing, and narrow integers of tensors, which torch refuses; masks pass."""
    if dtype.kind == "b" or dtype == np.uint8:
        return
    if dtype.kind not in "iu":
        raise IndexError(f"tensors used as indices must be long, int, byte or bool tensors, got {dtype}")
    if of_tensor and dtype.itemsize < 4:
        raise IndexError(
            f"tensors used as indices must be long, int, byte or bool tensors, got {dtype}; convert with .long()"
        )


class _Rows(NamedTuple):
    """An index with arrays, applied to ``view``, the tensor after the basic parts of the index.

    The dimensions ``indexed`` of the view, moved to the front and merged, count rows; ``positions`` (int64) selects rows.
    In the result the dimensions of ``positions`` begin at dimension ``dim``.
    """

    view: Tensor
    indexed: tuple[int, ...]
    positions: Tensor
    dim: int

    @property
    def order(self) -> tuple[int, ...]:
        """The view's dimensions with the indexed ones first."""
        others = [axis for axis in range(self.view.ndim) if axis not in self.indexed]
        return (*self.indexed, *others)

    @property
    def rows(self) -> Tensor:
        """The view with the indexed dimensions merged, in front."""
        moved = _ordered(self.view, self.order)
        count = len(self.indexed)
        return moved if count == 1 else shaping.reshape(moved, (product(moved.shape[:count]), *moved.shape[count:]))

    @property
    def result_order(self) -> tuple[int, ...]:
        """The dimensions of ``positions`` and of a row in the order of the result."""
        count, total = self.positions.ndim, self.positions.ndim + self.view.ndim - len(self.indexed)
        others = range(count, total)
        return (*others[: self.dim], *range(count), *others[self.dim :])


def _inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(order)), key=order.__getitem__))


def _ordered(tensor: Tensor, order: tuple[int, ...]) -> Tensor:
    return tensor if order == tuple(range(len(order))) else shaping.permute(tensor, *order)


class Array(NamedTuple):
    """An array of an index, of integers or bools, for ``dims`` dimensions of the view from ``axis`` on."""

    axis: int
    dims: int
    numbers: Tensor

    @property
    def is_mask(self) -> bool:
        return self.numbers._spec.dtype.is_bool


def _only_mask(arrays: list[Array]) -> Tensor | None:
    """The mask of the first dimensions that is the whole index, if it is one."""
    return arrays[0].numbers if len(arrays) == 1 and arrays[0].axis == 0 and arrays[0].is_mask else None


def count_true(mask: Tensor) -> int:
    """How many elements of a mask are True."""
    return int(ops.reduce.sum_.apply((mask,), tuple(range(mask._spec.ndim)), False).item())


def true_places(mask: Tensor) -> Tensor:
    """Where in a mask, as a vector, the elements are True: a vector of int64."""
    flat = shaping.reshape(mask, (mask._spec.numel,))
    count = count_true(flat)
    return shaping.reshape(ops.masks.nonzero(flat, count=count), (count,))


def _rows_of(view: Tensor, arrays: list[Array]) -> _Rows:
    indexed = tuple([axis for first, dims, _ in arrays for axis in range(first, first + dims)])
    are_neighbours = indexed[-1] - indexed[0] == len(indexed) - 1
    return _Rows(view, indexed, _linear(view, arrays), indexed[0] if are_neighbours else 0)


def _linear(view: Tensor, arrays: list[Array]) -> Tensor:
    """The arrays, broadcast and merged into one of row-major positions. Refuses positions out of range."""
    if len(arrays) == 1 and arrays[0].is_mask:
        return true_places(arrays[0].numbers)
    indices = [true_places(array.numbers) if array.is_mask else array.numbers for array in arrays]
    shape = tuple(view._spec.shape)
    extents = tuple([shape[axis] if dims == 1 else product(shape[axis : axis + dims]) for axis, dims, _ in arrays])
    try:
        if len({index._spec.shape for index in indices}) > 1:
            np.broadcast_shapes(*[tuple(index._spec.shape) for index in indices])
    except ValueError:
        shapes = ", ".join(str(list(index.shape)) for index in indices)
        raise IndexError(
            f"shape mismatch: indexing tensors could not be broadcast together with shapes {shapes}"
        ) from None
    try:
        return ops.index.linear_index.apply(tuple(indices), extents)  # type: ignore[no-any-return]
    except OutOfRangeError:
        for array, index, extent in zip(arrays, indices, extents, strict=True):
            positions = index._array()
            wrong = positions[(positions < -extent) | (positions >= extent)]
            if wrong.size:
                raise IndexError(
                    f"index {wrong.flat[0]} is out of bounds for dimension {array.axis} with size {extent}"
                ) from None
        raise


def take(view: Tensor, arrays: list[Array]) -> Tensor:
    """The elements of a view that the arrays name, in new memory."""
    if len(arrays) == 1 and arrays[0].dims == 1 and not arrays[0].is_mask:
        return ops.index.index_select(view, _linear(view, arrays), dim=arrays[0].axis)  # type: ignore[no-any-return]
    if (mask := _only_mask(arrays)) is not None:
        return ops.masks.masked_select(view, mask, count=count_true(mask))  # type: ignore[no-any-return]
    selected = _rows_of(view, arrays)
    merged = _merged(selected)
    if merged is None:
        return ops.index.index_select(selected.rows, selected.positions, dim=0)  # type: ignore[no-any-return]
    return ops.index.index_select(merged, selected.positions, dim=selected.dim)  # type: ignore[no-any-return]


def _merged(selected: _Rows) -> Tensor | None:
    """The view with the indexed dimensions merged where they are, if they are neighbours in their order."""
    shape, dim, count = tuple(selected.view._spec.shape), selected.dim, len(selected.indexed)
    if selected.indexed[0] != dim or selected.indexed[-1] != dim + count - 1:
        return None
    if count == 1:
        return selected.view
    size = (*shape[:dim], product(shape[dim : dim + count]), *shape[dim + count :])
    return ops.view.reshape(selected.view, size)  # type: ignore[no-any-return]


def put(tensor: Tensor, view: Tensor, arrays: list[Array], value: Tensor, accumulate: bool = False) -> None:
    """Write the value to, or add it to, the elements of a view of a tensor that the arrays name; the view may be changed."""
    mask = None if accumulate else _only_mask(arrays)
    if mask is not None:
        in_place.copy_(view, _masked(view, mask, in_place.apart(tensor, value)))
        return
    if not arrays:  # ints alone
        value = _spread(value, tuple(view._spec.shape))
        in_place.copy_(view, ops.elementwise.add(view, value) if accumulate else value)
        return
    selected = _rows_of(view, arrays)
    value = in_place.apart(tensor, value, moved=True)
    merged = _merged(selected)
    if merged is not None and merged._storage is view._storage and not view._spec.dtype.is_half:
        rest = tuple(merged._spec.shape)
        shape = (*rest[: selected.dim], *selected.positions._spec.shape, *rest[selected.dim + 1 :])
        change_in_place(
            ops.index.index_put_,
            merged,
            selected.positions,
            _spread(value, shape),
            accumulate=accumulate,
            dim=selected.dim,
        )
        return
    rows, order = selected.rows, selected.result_order
    shape = (*selected.positions.shape, *rows.shape[1:])
    values = _spread(value, tuple(shape[axis] for axis in order))
    changed = ops.index.index_put(rows, selected.positions, _ordered(values, _inverse(order)), accumulate=accumulate)
    if len(selected.indexed) > 1:
        changed = shaping.reshape(changed, tuple(selected.view.shape[axis] for axis in selected.order))
    in_place.copy_(selected.view, _ordered(changed, _inverse(selected.order)))


def _spread(value: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The value, broadcast to the shape of an indexing result."""
    if value._spec.shape == shape:
        return value
    try:
        return shaping.expand(without_leading_ones(value, len(shape)), shape)
    except RuntimeError:
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(value.shape)} cannot be broadcast to indexing result of shape "
            f"{list(shape)}"
        ) from None


def _masked(view: Tensor, mask: Tensor, value: Tensor) -> Tensor:
    """The view with the value, or one row after the other of it, where a mask of its first dimensions is True."""
    rest = tuple(view._spec.shape[mask._spec.ndim :])
    # One that goes everywhere needs no count.
    if value._spec.numel == 1 and value._spec.ndim <= 1 + len(rest):
        line = shaping.view(mask, (*mask._spec.shape, *(1,) * len(rest))) if rest else mask
        return ops.elementwise.where(line, shaping.reshape(value, ()), view)  # type: ignore[no-any-return]
    rows = _spread(value, (count_true(mask), *rest))
    return ops.masks.masked_scatter(view, mask, rows)  # type: ignore[no-any-return]


def without_leading_ones(value: Tensor, ndim: int) -> Tensor:
    while value.ndim > ndim and value.shape[0] == 1:
        value = shaping.squeeze(value, 0)
    return value
