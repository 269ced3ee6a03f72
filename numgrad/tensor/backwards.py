"""Slices with negative steps. No tensor has negative strides, so ``x[::-1]`` is a copy; ``x[::-1] = y`` writes into ``x``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numgrad.errors import NegativeStepError
from numgrad.tensor import arguments, indexing, repeating

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


def get_item(tensor: Tensor, index: Any) -> Tensor:
    """``tensor[index]``, where a slice has a negative step: a copy.

    Raises
    ------
    ValueError
        There is an index tensor or a mask beside it.
    """
    forward, turned = _forward(tensor, index)
    return repeating.flip(indexing.get_item(tensor, forward), turned)


def set_item(tensor: Tensor, index: Any, value: Any) -> None:
    """``tensor[index] = value``, where a slice has a negative step.

    Raises
    ------
    ValueError
        There is an index tensor or a mask beside it.
    """
    forward, turned = _forward(tensor, index)
    ndim = indexing.get_item(tensor, forward).ndim
    value = arguments.as_element("__setitem__", value, tensor.dtype)
    own = [axis - ndim + value.ndim for axis in turned]  # the axes of the value, which may have fewer or more
    own = [axis for axis in own if axis >= 0 and value.shape[axis] > 1]
    indexing.set_item(tensor, forward, repeating.flip(value, own) if own else value)


def _forward(tensor: Tensor, index: Any) -> tuple[tuple[Any, ...], list[int]]:
    """The index with the same elements in the order of memory, and the axes of its result that have the opposite one."""
    if indexing._is_advanced(index):
        raise NegativeStepError("step must be greater than zero beside index tensors and masks")
    items, turned, axis, position = indexing._with_ellipsis(tensor, index), [], 0, 0
    for number, item in enumerate(items):
        if isinstance(item, slice):
            indices = range(*item.indices(tensor.shape[axis]))
            if indices.step < 0:
                items[number] = slice(indices[-1], indices[0] + 1, -indices.step) if indices else slice(0, 0)
                turned.append(position)
        axis += item is not None
        position += item is None or isinstance(item, slice)
    return tuple(items), turned
