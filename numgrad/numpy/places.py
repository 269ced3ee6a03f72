"""Elements by index, as NumPy has it: steps may be negative, and what would lose a gradient is refused."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad.engine.tape import TensorBase
from numgrad.numpy.arrays import is_int, ng, tensor, values_of
from numgrad.tensor import indexing
from numgrad.tensor.tensor import Tensor


def get(x: Tensor, index: Any) -> Tensor:
    """``x[index]``: a view for ints and slices with positive steps, a copy otherwise.

    Raises
    ------
    IndexError
        The index does not fit.
    """
    forward, reversed_axes = _without_reversals(x, index)
    part = indexing.get_item(x, forward)
    return ng.flip(part, reversed_axes) if reversed_axes else part  # type: ignore[no-any-return]


def put(x: Tensor, index: Any, value: Any) -> None:
    """``x[index] = value``, through which gradients flow.

    Raises
    ------
    TypeError
        The value requires a gradient and the elements are no floating point numbers.
    """
    values = value if isinstance(value, (bool, int, float)) else tensor(value)
    if isinstance(values, TensorBase) and values.requires_grad and not x.dtype.is_floating_point:
        raise TypeError(
            f"x[...] = value: the value requires a gradient, which an array of {x.dtype.name} would lose; make the array of floats"
        )
    forward, reversed_axes = _without_reversals(x, index)
    if reversed_axes:
        part = indexing.get_item(x, forward)
        values = ng.flip(ng.broadcast_to(tensor(values), part.shape), reversed_axes)
    indexing.set_item(x, forward, values)


def _without_reversals(x: Tensor, index: Any) -> tuple[Any, list[int]]:
    """The index with positive steps, and the axes of the result that have to be reversed.

    A negative step beside an index of integers or bools is written as an index of integers.
    """
    items = list(index) if isinstance(index, tuple) else [index]
    if not any(isinstance(item, slice) and item.step is not None and item.step.__index__() < 0 for item in items):
        return index, []
    several = any(isinstance(item, (list, np.ndarray, TensorBase)) and np.ndim(values_of(item)) for item in items)
    if several:  # NumPy's own rules say where the axes go
        return _by_numbers(x, index)
    taken = sum(item is not None and item is not Ellipsis for item in items)
    axis, out_axis, reversed_axes = 0, 0, []
    for place_in, item in enumerate(items):
        if item is None:
            out_axis += 1
        elif item is Ellipsis:
            axis, out_axis = axis + x.ndim - taken, out_axis + x.ndim - taken
        elif isinstance(item, slice):
            numbers = range(*item.indices(x.shape[axis]))
            if numbers.step < 0:
                reversed_axes.append(out_axis)
                items[place_in] = slice(numbers[-1], numbers[0] + 1, -numbers.step) if numbers else slice(0, 0)
            axis, out_axis = axis + 1, out_axis + 1
        else:
            axis += 1
    return tuple(items), reversed_axes


def _by_numbers(x: Tensor, index: Any) -> tuple[Any, list[int]]:
    positions = np.arange(x.numel()).reshape(tuple(x.shape))[tuple(values_of(item) for item in index)]
    return tuple(np.unravel_index(positions, tuple(x.shape))), []


def names_one(index: Any) -> bool:
    """Whether an index names one element, of which NumPy makes a number; with an ellipsis it makes a view."""
    return all(is_int(item) for item in index) and index != () if isinstance(index, tuple) else is_int(index)


def moved(x: Tensor, move: Any) -> Tensor:
    """The elements where NumPy's function ``move`` puts those of an array of this shape: one gather.

    >>> moved(tensor([[1, 2], [3, 4]]), np.rot90).tolist()
    [[2, 4], [1, 3]]
    """
    positions = move(np.arange(x.numel()).reshape(tuple(x.shape)))
    return ng.take(x, tensor(np.ascontiguousarray(positions)))  # type: ignore[no-any-return]
