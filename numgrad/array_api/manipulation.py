"""The standard's functions that move elements, and those that take or look up some of them."""

from __future__ import annotations

import builtins
from typing import Any

from numgrad.array_api.functions import ng
from numgrad.array_api.promotion import operands, promoted
from numgrad.dtypes import int64
from numgrad.tensor.arguments import as_int, check_tensor, wrap_dim
from numgrad.tensor.tensor import Tensor


def _axes(axis: Any) -> tuple[int, ...]:
    return tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape to which arrays of these shapes broadcast.

    Raises
    ------
    ValueError
        They do not.

    >>> broadcast_shapes((2, 1), (3,))
    (2, 3)
    """
    for shape in shapes:
        for extent in shape:
            as_int("broadcast_shapes", "shapes", extent)
    try:
        return tuple(ng.broadcast_shapes(*shapes)) if shapes else ()
    except RuntimeError as error:
        raise ValueError(str(error)) from error


def broadcast_arrays(*arrays: Tensor) -> tuple[Tensor, ...]:
    """Views of the arrays in the shape to which they broadcast.

    >>> import numgrad as ng
    >>> [x.shape for x in broadcast_arrays(ng.ones(2, 1), ng.ones(3))]
    [numgrad.Size([2, 3]), numgrad.Size([2, 3])]
    """
    return tuple(ng.broadcast_tensors(*arrays)) if arrays else ()


def broadcast_to(x: Tensor, /, shape: tuple[int, ...]) -> Tensor:
    """A view of the array in a shape to which it broadcasts.

    >>> import numgrad as ng
    >>> broadcast_to(ng.ones(3), (2, 3)).shape
    numgrad.Size([2, 3])
    """
    return ng.broadcast_to(x, tuple(shape))  # type: ignore[no-any-return]


def concat(arrays: Any, /, *, axis: int | None = 0) -> Tensor:
    """The arrays one after the other along an axis; with None flattened before.

    Raises
    ------
    ValueError
        There are none.
    IndexError
        There is no such axis.

    >>> import numgrad as ng
    >>> concat([ng.tensor([[1, 2]]), ng.tensor([[3, 4]])], axis=None)
    tensor([1, 2, 3, 4])
    """
    arrays = promoted("concat", arrays)
    if axis is None:
        return ng.cat([ng.flatten(each) for each in arrays])  # type: ignore[no-any-return]
    return ng.cat(arrays, axis)  # type: ignore[no-any-return]


def stack(arrays: Any, /, *, axis: int = 0) -> Tensor:
    """The arrays, all of one shape, one after the other along a new axis.

    >>> import numgrad as ng
    >>> stack([ng.tensor([1, 2]), ng.tensor([3, 4])], axis=1)
    tensor([[1, 3],
            [2, 4]])
    """
    return ng.stack(promoted("stack", arrays), axis)  # type: ignore[no-any-return]


def unstack(x: Tensor, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    """Views of the parts along an axis, without this axis.

    >>> import numgrad as ng
    >>> unstack(ng.tensor([[1, 2], [3, 4]]), axis=1)
    (tensor([1, 3]), tensor([2, 4]))
    """
    return tuple(ng.unbind(x, axis))


def expand_dims(x: Tensor, /, axis: Any) -> Tensor:
    """A view with new axes of extent 1 at these positions of the result.

    Raises
    ------
    IndexError
        There is no such position in the result.
    ValueError
        A position is given twice.

    >>> import numgrad as ng
    >>> expand_dims(ng.ones(3), (0, -1)).shape
    numgrad.Size([1, 3, 1])
    """
    axes = _axes(axis)
    ndim = check_tensor("expand_dims", "x", x).ndim + len(axes)
    positions = sorted({wrap_dim("expand_dims", each, ndim) for each in axes})
    if len(positions) < len(axes):
        raise ValueError(f"expand_dims: axis is {axis}, expected positions that differ")
    for position in positions:
        x = ng.unsqueeze(x, position)
    return x


def squeeze(x: Tensor, /, axis: Any) -> Tensor:
    """A view without these axes, which must have extent 1.

    Raises
    ------
    ValueError
        One has another extent.
    IndexError
        There is no such axis.

    >>> import numgrad as ng
    >>> squeeze(ng.ones(1, 3), 0).shape
    numgrad.Size([3])
    """
    axes = tuple(wrap_dim("squeeze", each, check_tensor("squeeze", "x", x).ndim) for each in _axes(axis))
    if not axes:
        return x[...]
    if any(x.shape[each] != 1 for each in axes):
        raise ValueError(f"squeeze: axis is {axis} of shape {list(x.shape)}, expected axes of extent 1")
    return x.squeeze(axes)


def flip(x: Tensor, /, *, axis: Any = None) -> Tensor:
    """The elements in the opposite order along these axes, by default along all.

    >>> import numgrad as ng
    >>> flip(ng.tensor([1, 2, 3]))
    tensor([3, 2, 1])
    """
    return ng.flip(x, tuple(range(x.ndim)) if axis is None else _axes(axis))  # type: ignore[no-any-return]


def moveaxis(x: Tensor, source: Any, destination: Any, /) -> Tensor:
    """A view with these axes at other positions, and the others in their order.

    >>> import numgrad as ng
    >>> moveaxis(ng.ones(2, 3, 4), 0, -1).shape
    numgrad.Size([3, 4, 2])
    """
    return ng.movedim(x, source, destination)  # type: ignore[no-any-return]


def permute_dims(x: Tensor, /, axes: tuple[int, ...]) -> Tensor:
    """A view with the axes in this order.

    >>> import numgrad as ng
    >>> permute_dims(ng.ones(2, 3), (1, 0)).shape
    numgrad.Size([3, 2])
    """
    return ng.permute(x, tuple(axes))  # type: ignore[no-any-return]


def repeat(x: Tensor, repeats: Any, /, *, axis: int | None = None) -> Tensor:
    """Each element along an axis so many times, a number for all or one for each; with None of the flattened array.

    >>> import numgrad as ng
    >>> repeat(ng.tensor([1, 2]), 2)
    tensor([1, 1, 2, 2])
    """
    if isinstance(repeats, Tensor):
        repeats = repeats.to(int64)
        length = x.numel() if axis is None else x.shape[axis]
        repeats = ng.broadcast_to(repeats, (length,))
    return ng.repeat_interleave(x, repeats, axis)  # type: ignore[no-any-return]


def reshape(x: Tensor, /, shape: tuple[int, ...], *, copy: builtins.bool | None = None) -> Tensor:
    """The elements in another shape, in which one extent may be -1: a view, if that is possible.

    With ``copy=True`` it is always a copy, with ``copy=False`` never.

    Raises
    ------
    ValueError
        A view is impossible, with ``copy=False``.
    RuntimeError
        The shape has another number of elements.

    >>> import numgrad as ng
    >>> reshape(ng.ones(2, 3), (3, -1)).shape
    numgrad.Size([3, 2])
    """
    shape = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    result: Tensor = ng.reshape(x, shape)
    if copy is None:
        return result
    shared = result._storage.root is x._storage.root
    if copy:
        return ng.clone(result) if shared else result  # type: ignore[no-any-return]
    if not shared:
        raise ValueError(
            f"reshape: {list(x.shape)} with strides {x.stride()} is no view of {list(shape)}; leave out copy"
        )
    return result


def roll(x: Tensor, /, shift: Any, *, axis: Any = None) -> Tensor:
    """The elements moved by ``shift`` along these axes, and around the end; with None in the flattened array.

    >>> import numgrad as ng
    >>> roll(ng.tensor([1, 2, 3]), 1)
    tensor([3, 1, 2])
    """
    if axis is None:
        return ng.roll(x, shift)  # type: ignore[no-any-return]
    axes, shifts = _axes(axis), _axes(shift)
    count = max(len(axes), len(shifts))
    shifts = shifts * count if len(shifts) == 1 else shifts
    return ng.roll(x, shifts, axes * count if len(axes) == 1 else axes)  # type: ignore[no-any-return]


def tile(x: Tensor, repetitions: tuple[int, ...], /) -> Tensor:
    """The array beside itself, so many times along each axis, counted from the last.

    >>> import numgrad as ng
    >>> tile(ng.tensor([1, 2]), (2,))
    tensor([1, 2, 1, 2])
    """
    return ng.tile(x, tuple(repetitions))  # type: ignore[no-any-return]


# ---- taking and looking up ---------------------------------------------------------------------------------------


def take(x: Tensor, indices: Tensor, /, *, axis: int | None = None) -> Tensor:
    """The parts of the array at these indices, a vector of integers, along an axis; a vector needs none.

    Raises
    ------
    ValueError
        There are several axes, and none is given.
    IndexError
        There is no such index or axis.

    >>> import numgrad as ng
    >>> take(ng.tensor([5, 6, 7]), ng.tensor([2, 0]))
    tensor([7, 5])
    """
    if axis is None and x.ndim != 1:
        raise ValueError(f"take: axis is None for an array of {x.ndim} dimensions; give one")
    position = wrap_dim("take", 0 if axis is None else axis, x.ndim)
    return x[(*[slice(None)] * position, check_tensor("take", "indices", indices).to(int64))]  # type: ignore[no-any-return]


def take_along_axis(x: Tensor, indices: Tensor, /, *, axis: int = -1) -> Tensor:
    """For each position in ``indices`` the element of ``x`` at it but for the axis, whose index is the one that is there.

    Indices may count from the end. The other extents broadcast.

    Raises
    ------
    IndexError
        There is no such index or axis.

    >>> import numgrad as ng
    >>> take_along_axis(ng.tensor([[5, 6], [7, 8]]), ng.tensor([[1], [-2]]), axis=1)
    tensor([[6],
            [7]])
    """
    indices = check_tensor("take_along_axis", "indices", indices).to(int64)
    return ng.take_along_dim(x, indices, axis)  # type: ignore[no-any-return]


def nonzero(x: Tensor, /) -> tuple[Tensor, ...]:
    """The positions of the elements that are not 0, for each axis a vector of indices.

    Raises
    ------
    ValueError
        The array has no dimensions.

    >>> import numgrad as ng
    >>> nonzero(ng.tensor([0, 3, 4]))
    (tensor([1, 2]),)
    """
    if check_tensor("nonzero", "x", x).ndim == 0:
        raise ValueError("nonzero: x has no dimensions, expected one or more")
    return tuple(ng.nonzero(x, as_tuple=True))


def where(condition: Tensor, x1: Any, x2: Any, /) -> Tensor:
    """Elements of ``x1`` where the condition is True, otherwise of ``x2``; one of the two may be a number, or both.

    >>> import numgrad as ng
    >>> where(ng.tensor([True, False]), ng.tensor([1, 2]), 0)
    tensor([1, 0])
    """
    if not isinstance(x1, Tensor) and not isinstance(x2, Tensor):
        return ng.where(condition, x1, x2)  # type: ignore[no-any-return]
    return ng.where(condition, *operands("where", x1, x2))  # type: ignore[no-any-return]


def searchsorted(x1: Tensor, x2: Any, /, *, side: str = "left", sorter: Tensor | None = None) -> Tensor:
    """Where each element of ``x2``, an array or a number, would stand in the sorted vector ``x1``: before equals or after.

    ``sorter`` are indices that sort ``x1``.

    Raises
    ------
    ValueError
        ``side`` is neither 'left' nor 'right', or ``x1`` is no vector.

    >>> import numgrad as ng
    >>> searchsorted(ng.tensor([1, 3, 5]), ng.tensor([3, 4]), side="right")
    tensor([2, 2])
    """
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted: side is {side!r}, expected 'left' or 'right'")
    if check_tensor("searchsorted", "x1", x1).ndim != 1:
        raise ValueError(f"searchsorted: x1 has shape {list(x1.shape)}, expected a vector")
    x1, x2 = operands("searchsorted", x1, x2)
    x1 = x1 if sorter is None else take(x1, sorter)
    flat = ng.searchsorted(x1, ng.reshape(x2, (-1,)), side=side)
    return ng.reshape(flat, x2.shape)  # type: ignore[no-any-return]
