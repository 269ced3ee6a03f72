"""Indexing: ints, slices, ``...`` and None give views; index tensors and masks give copies."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

import numpy as np

from numgrad import ops
from numgrad.engine.tape import TensorBase
from numgrad.engine.views import check_in_place
from numgrad.layout import product
from numgrad.tensor import functional as F

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


def get_item(tensor: Tensor, index: Any) -> Tensor:
    """``tensor[index]``: a view, or a copy where an index is a tensor of several elements, a list or a mask."""
    if _is_advanced(index):
        return _take(tensor, index)
    starts, steps, sizes, kept = _parse(tensor, index)
    shape = tensor.shape
    result = tensor
    if (starts, steps, sizes) != ((0,) * len(shape), (1,) * len(shape), tuple(shape)):
        result = ops.view.slice_(result, starts=starts, steps=steps, sizes=sizes)
    dropped = tuple(axis for axis in range(len(shape)) if axis not in kept)
    if dropped:
        result = ops.view.squeeze(result, dims=dropped)
    for place, axis in enumerate(kept):
        if axis is None:
            result = ops.view.unsqueeze(result, dim=place)
    return F.view(result, result.shape) if result is tensor else result


def set_item(tensor: Tensor, index: Any, value: Any) -> None:
    """``tensor[index] = value``: a copy into the view, or, for index tensors and masks, into the elements they name."""
    value = F.as_operand(value, tensor.dtype)
    check_in_place("__setitem__", tensor, (value,))
    if _is_advanced(index):
        _put(tensor, index, value)
    else:
        window = get_item(tensor, index)
        F.copy_(window, _without_leading_ones(value, window.ndim))


# ---- index tensors and masks ------------------------------------------------------------------------------------


def _is_array(item: Any) -> bool:
    if isinstance(item, TensorBase):
        return item._spec.ndim > 0 or item._spec.dtype.is_bool
    return isinstance(item, (list, np.ndarray))


def _is_advanced(index: Any) -> bool:
    return builtins.any(_is_array(item) for item in (index if isinstance(index, tuple) else (index,)))


def _positions(tensor: Tensor, index: Any) -> tuple[Tensor, int, tuple[int, ...]]:
    """Index tensors as one of rows: (int64 indices, how many leading dimensions they stand for, the shape of the rest).

    Masks become the positions of their True elements, in order.
    """
    from numgrad.tensor import creation

    items = index if isinstance(index, tuple) else (index,)
    arrays: list[np.ndarray] = []
    for item in items:
        if not (_is_array(item) or (isinstance(item, (int, np.integer)) and not isinstance(item, bool))):
            raise TypeError(
                f"an index tensor can be combined with other index tensors, masks and ints of the leading dimensions only; got "
                f"{type(item).__name__}. Index in two steps instead"
            )
        array = item._array() if isinstance(item, TensorBase) else np.asarray(item)  # type: ignore[attr-defined]
        if array.dtype.kind == "b":
            axis = len(arrays)
            if array.shape != tuple(tensor.shape[axis : axis + array.ndim]):
                raise IndexError(
                    f"The shape of the mask {list(array.shape)} at index {axis} does not match the shape of the indexed tensor "
                    f"{list(tensor.shape)}"
                )
            arrays += np.nonzero(array)
        elif array.dtype.kind in "iu" or array.size == 0:
            arrays.append(array.astype(np.int64))
        else:
            raise IndexError(f"tensors used as indices must be integers or bool, got {array.dtype}")
    if len(arrays) > tensor.ndim:
        raise IndexError(f"too many indices for tensor of dimension {tensor.ndim}: got {len(arrays)}")
    linear = np.zeros((), np.int64)
    for axis, array in enumerate(arrays):
        extent = tensor.shape[axis]
        if array.size and (array.min() < -extent or array.max() >= extent):
            wrong = array[(array < -extent) | (array >= extent)].flat[0]
            raise IndexError(f"index {wrong} is out of bounds for dimension {axis} with size {extent}")
        linear = linear * extent + np.where(array < 0, array + extent, array)
    return creation.from_numpy(np.ascontiguousarray(linear)), len(arrays), tuple(tensor.shape[len(arrays) :])


def _take(tensor: Tensor, index: Any) -> Tensor:
    positions, count, rest = _positions(tensor, index)
    rows = F.reshape(tensor, (product(tensor.shape[:count]), *rest))
    return ops.index.index_select(rows, positions, dim=0)  # type: ignore[no-any-return]


def _put(tensor: Tensor, index: Any, value: Tensor) -> None:
    positions, count, rest = _positions(tensor, index)
    rows = F.reshape(tensor, (product(tensor.shape[:count]), *rest))
    values = F.expand(_without_leading_ones(value, positions.ndim + len(rest)), (*positions.shape, *rest))
    F.copy_(tensor, F.reshape(ops.index.index_put(rows, positions, values, accumulate=False), tensor.shape))


def _checked(name: str, input: Tensor, dim: int, index: Tensor) -> int:
    F.check_tensor(name, "input", input)
    F.check_tensor(name, "index", index)
    return F.wrap_dim(name, dim, input.ndim)


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices along a dimension that index (int64, one dimension) names.

    Raises
    ------
    IndexError
        An index is out of range.
    """
    return ops.index.index_select(input, index, dim=_checked("index_select", input, dim, index))  # type: ignore[no-any-return]


def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """out[i][j][k] = input[i][index[i][j][k]][k] for dim 1, and so on.

    Raises
    ------
    IndexError
        An index is out of range.
    """
    return ops.index.gather(input, index, dim=_checked("gather", input, dim, index))  # type: ignore[no-any-return]


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """input, with src[i][j][k] added at [i][index[i][j][k]][k] for dim 1, and so on.

    Raises
    ------
    IndexError
        An index is out of range.
    """
    return ops.index.scatter_add(input, index, src, dim=_checked("scatter_add", input, dim, index))  # type: ignore[no-any-return]


def _without_leading_ones(value: Tensor, ndim: int) -> Tensor:
    while value.ndim > ndim and value.shape[0] == 1:
        value = F.squeeze(value, 0)
    return value


def _parse(tensor: Tensor, index: Any) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], list[int | None]]:
    """starts, steps and sizes for each dimension, and the dimensions that stay, with None for each new one."""
    items = list(index) if isinstance(index, tuple) else [index]
    shape = tensor.shape
    used = builtins.sum(item is not None and item is not Ellipsis for item in items)
    if used > len(shape):
        raise IndexError(f"too many indices for tensor of dimension {len(shape)}: got {used}")
    if builtins.sum(item is Ellipsis for item in items) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    place = next((i for i, item in enumerate(items) if item is Ellipsis), len(items))
    items[place : place + 1] = [slice(None)] * (len(shape) - used)
    starts: list[int] = []
    steps: list[int] = []
    sizes: list[int] = []
    kept: list[int | None] = []
    axis = 0
    for item in items:
        if item is None:
            kept.append(None)
            continue
        extent = shape[axis]
        if isinstance(item, slice):
            start, stop, step = item.indices(extent)
            if step < 1:
                raise ValueError("step must be greater than zero")
            size = builtins.max(0, -(-(stop - start) // step))
            starts.append(start if size else 0)
            steps.append(step)
            sizes.append(size)
            kept.append(axis)
        else:
            position = _position(item, axis, extent)
            starts.append(position)
            steps.append(1)
            sizes.append(1)
        axis += 1
    return tuple(starts), tuple(steps), tuple(sizes), kept


def _position(item: Any, axis: int, extent: int) -> int:
    single = isinstance(item, TensorBase) and item._spec.ndim == 0 and item._spec.dtype.category == 1
    if isinstance(item, (bool, np.bool_)) or not (isinstance(item, (int, np.integer)) or single):
        raise TypeError(
            f"tensors are indexed by ints, slices, ..., None, index tensors and masks; got {type(item).__name__} for dimension "
            f"{axis}"
        )
    position = int(item)
    if not -extent <= position < extent:
        raise IndexError(f"index {position} is out of bounds for dimension {axis} with size {extent}")
    return position % extent
