"""Basic indexing: ints, slices, ``...`` and None."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

import numpy as np

from numgrad import ops
from numgrad.engine.tape import TensorBase
from numgrad.tensor import functional as F

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


def get_item(tensor: Tensor, index: Any) -> Tensor:
    """``tensor[index]``: a view."""
    starts, steps, sizes, kept = _parse(tensor, index)
    shape = tensor.shape
    if (starts, steps, sizes) != ((0,) * len(shape), (1,) * len(shape), tuple(shape)):
        tensor = ops.view.slice_(tensor, starts=starts, steps=steps, sizes=sizes)
    dropped = tuple(axis for axis in range(len(shape)) if axis not in kept)
    if dropped:
        tensor = ops.view.squeeze(tensor, dims=dropped)
    for place, axis in enumerate(kept):
        if axis is None:
            tensor = ops.view.unsqueeze(tensor, dim=place)
    return F.view(tensor, tensor.shape) if tensor._view_version is None else tensor


def set_item(tensor: Tensor, index: Any, value: Any) -> None:
    """``tensor[index] = value``: a copy into the view."""
    from numgrad.autograd.modes import no_grad

    value = F.as_operand(value, tensor.dtype)
    F.check_in_place("__setitem__", tensor, [value])
    if not (tensor.requires_grad or value.requires_grad):
        F.copy_(get_item(tensor, index), value)
        F.finish_in_place(tensor)
        return
    starts, steps, sizes, kept = _parse(tensor, index)
    with no_grad():
        shape = get_item(tensor, index).shape
    value = F.expand(_without_leading_ones(value, len(shape)), shape)
    value = F.reshape(value, sizes)
    F.finish_in_place(ops.view.set_slice_(tensor, value, starts=starts, steps=steps))


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
    starts, steps, sizes, kept, axis = [], [], [], [], 0
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
            f"tensors are indexed by ints, slices, ... and None; got {type(item).__name__} for dimension {axis}. For a mask use "
            "numgrad.where, for positions index_select"
        )
    position = int(item)
    if not -extent <= position < extent:
        raise IndexError(f"index {position} is out of bounds for dimension {axis} with size {extent}")
    return position % extent
