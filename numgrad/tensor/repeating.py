"""Elements repeated, rolled and turned round: `repeat`, `tile`, `repeat_interleave`, `flip`, `roll`, `rot90`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from numgrad import dtypes, ops
from numgrad.engine.tape import TensorBase
from numgrad.errors import ShapeError
from numgrad.layout import contiguous_strides, product
from numgrad.tensor import shaping
from numgrad.tensor.arguments import as_int, check_tensor, reduced_dims, size_of, wrap_dim
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


@public("method", known=True)
def repeat(input: Tensor, *repeats: Any) -> Tensor:
    """The tensor so many times along each dimension, in new memory; there may be more repeats than dimensions.

    Raises
    ------
    RuntimeError
        There are fewer repeats than dimensions, or one is negative.
    TypeError
        A repeat is not an int.

    >>> import numgrad as ng
    >>> ng.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    return _repeated("repeat", input, size_of("repeat", repeats))


def _repeated(name: str, input: Tensor, counts: tuple[int, ...]) -> Tensor:
    shape = (1,) * (len(counts) - input._spec.ndim) + tuple(input._spec.shape)
    if len(counts) < len(shape):
        raise ShapeError(
            f"{name}: Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor, got "
            f"{len(counts)} for {len(shape)}"
        )
    for axis, count in enumerate(counts):
        if count < 0:
            raise ShapeError(
                f"{name}: Trying to create tensor with negative dimension: repeat {count} of dimension {axis}"
            )
    # A dimension that is repeated becomes two, unless it or its repeat is of one element.
    pairs = [(n,) if count == 1 else (count,) if n == 1 else (count, n) for count, n in zip(counts, shape, strict=True)]
    before = [
        n for count, n, pair in zip(counts, shape, pairs, strict=True) for n in ((1, n) if len(pair) == 2 else (n,))
    ]
    size = tuple(extent for pair in pairs for extent in pair)
    spread = shaping.expand(shaping.view(input, before), size)
    return _laid_anew(spread, tuple(product(pair) for pair in pairs))


def _laid_anew(spread: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A row-major copy of a tensor that repeats elements, in another shape."""
    copied = ops.creation.to_strides(spread, strides=contiguous_strides(spread._spec.shape))
    return shaping.drop_base_of_copy(shaping.view(copied, shape), spread)


@public("function", "method", known=True)
def tile(input: Tensor, *dims: Any) -> Tensor:
    """As `repeat`; where there are fewer repeats than dimensions, they are those of the last dimensions.

    Raises
    ------
    RuntimeError
        A repeat is negative.
    TypeError
        A repeat is not an int.

    >>> import numgrad as ng
    >>> ng.tile(ng.tensor([[1], [2]]), (2,))
    tensor([[1, 1],
            [2, 2]])
    """
    counts = size_of("tile", dims)
    return _repeated("tile", input, (1,) * (input._spec.ndim - len(counts)) + counts)


@public("function", "method", known=True)
def repeat_interleave(
    input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each element of a dimension ``repeats`` times in a row: an int, or a vector with a number for each element.

    Without ``dim`` the input counts as a vector. With a vector of repeats alone, the numbers of its elements are repeated.

    Raises
    ------
    RuntimeError
        A repeat is negative, ``repeats`` is no vector of ints with one for each element, or ``output_size`` is not their sum.
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.repeat_interleave(ng.tensor([7, 8]), 2)
    tensor([7, 7, 8, 8])
    >>> ng.tensor([7, 8]).repeat_interleave(ng.tensor([1, 3]))
    tensor([7, 8, 8, 8])
    """
    if repeats is None:
        return _numbers(check_tensor("repeat_interleave", "repeats", input), output_size)
    if dim is None:
        input, dim = shaping.reshape(input, -1) if input._spec.numel else shaping.reshape(input, 0), 0
    elif input._spec.ndim == 0:
        wrap_dim("repeat_interleave", dim, 0)
        input = shaping.reshape(input, 1)
    axis = wrap_dim("repeat_interleave", dim, input._spec.ndim)
    shape = tuple(input._spec.shape)
    if isinstance(repeats, TensorBase) and repeats._spec.numel != 1:
        if repeats._spec.ndim == 1 and repeats._spec.numel != shape[axis]:
            raise RuntimeError(
                "repeat_interleave: repeats must have the same size as input along dim, but got repeats.size(0) = "
                f"{repeats._spec.numel} and input.size({axis}) = {shape[axis]}"
            )
        return ops.index.index_select(input, _numbers(repeats, output_size), dim=axis)  # type: ignore[arg-type, no-any-return]
    if isinstance(repeats, TensorBase):
        _check_repeats(repeats)
        repeats = repeats.item()  # type: ignore[attr-defined]
    count = as_int("repeat_interleave", "repeats", repeats)
    if count < 0:
        raise RuntimeError(f"repeat_interleave: Repeats must be non-negative, got {count}")
    _check_output(output_size, count * shape[axis])
    spread = shaping.expand(shaping.unsqueeze(input, axis + 1), (*shape[: axis + 1], count, *shape[axis + 1 :]))
    return _laid_anew(spread, (*shape[:axis], count * shape[axis], *shape[axis + 1 :]))


def _check_repeats(repeats: Any) -> None:
    if repeats._spec.dtype not in (dtypes.int64, dtypes.int32):
        raise RuntimeError(f"repeat_interleave: repeats has to be Long or Int tensor, got {repeats._spec.dtype}")
    if repeats._spec.ndim > 1:
        raise RuntimeError(
            f"repeat_interleave: repeats must be 0-dim or 1-dim tensor, got shape {list(repeats._spec.shape)}"
        )


def _numbers(repeats: Tensor, output_size: int | None) -> Tensor:
    """0 repeats[0] times, 1 repeats[1] times, …"""
    from numgrad.tensor import creation

    _check_repeats(repeats)
    if repeats._spec.ndim != 1:
        raise RuntimeError("repeat_interleave: only a vector of repeats may stand alone, got one without dimensions")
    counts = repeats._array()
    if counts.size and counts.min() < 0:
        raise RuntimeError(f"repeat_interleave: repeats can not be negative, got {counts.min()}")
    _check_output(output_size, int(counts.sum()))
    return creation.from_numpy(np.repeat(np.arange(counts.size), counts))


def _check_output(output_size: int | None, count: int) -> None:
    if output_size is not None and as_int("repeat_interleave", "output_size", output_size) != count:
        raise RuntimeError(
            f"repeat_interleave: Allocated size does not match required size: {output_size}, expected {count}"
        )


# ---- turned round -----------------------------------------------------------------------------------------------


@public("function", "method", known=True)
def flip(input: Tensor, *dims: Any) -> Tensor:
    """A copy with the order of the elements reversed along the dimensions, ints or one tuple of them.

    Raises
    ------
    RuntimeError
        A dimension is given twice.
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.flip(ng.tensor([[1, 2], [3, 4]]), (0, 1))
    tensor([[4, 3],
            [2, 1]])
    """
    ndim = input._spec.ndim
    axes = reduced_dims("flip", size_of("flip", dims), ndim, empty_means_all=False)
    spec = input._spec
    if spec.is_dense and not spec.is_contiguous and not spec.is_private:  # the result lies in memory as the input does
        order = sorted(range(ndim), key=lambda axis: (-spec.strides[axis], axis))
        flipped = flip(shaping.permute(input, *order), *[order.index(axis) for axis in axes])
        back = shaping.permute(flipped, *[order.index(axis) for axis in range(ndim)])
        return shaping.drop_base_of_copy(back, input)
    shape = tuple(spec.shape)
    turned = [axis for axis in range(ndim) if axis in axes and shape[axis] > 1]
    if not turned:
        return shaping.clone(input)
    if len(turned) == 1:
        return ops.rolling.flip(input, dim=turned[0])  # type: ignore[no-any-return]
    # Neighbours that are both reversed are one dimension that is.
    groups = [[axis] for axis in range(ndim)]
    for axis in turned[:0:-1]:
        if axis - 1 in turned:
            groups[axis - 1] += groups.pop(axis)
    result = input
    if len(groups) < ndim:
        result = shaping.reshape(input, tuple(product([shape[axis] for axis in group]) for group in groups))
    for position, group in enumerate(groups):
        if group[0] in turned:
            result = ops.rolling.flip(result, dim=position)
    return result if len(groups) == ndim else shaping.drop_base_of_copy(shaping.reshape(result, shape), input)


@public("function", "method", known=True)
def fliplr(input: Tensor) -> Tensor:
    """A copy with the columns, dimension 1, in reverse order.

    Raises
    ------
    RuntimeError
        There are fewer than two dimensions.

    >>> import numgrad as ng
    >>> ng.fliplr(ng.tensor([[1, 2], [3, 4]]))
    tensor([[2, 1],
            [4, 3]])
    """
    if input._spec.ndim < 2:
        raise RuntimeError(f"fliplr: Input must be >= 2-d, got shape {list(input._spec.shape)}")
    return flip(input, 1)


@public("function", "method", known=True)
def flipud(input: Tensor) -> Tensor:
    """A copy with the rows, dimension 0, in reverse order.

    Raises
    ------
    RuntimeError
        There are no dimensions.

    >>> import numgrad as ng
    >>> ng.flipud(ng.tensor([[1, 2], [3, 4]]))
    tensor([[3, 4],
            [1, 2]])
    """
    if input._spec.ndim < 1:
        raise RuntimeError("flipud: Input must be >= 1-d, got a tensor without dimensions")
    return flip(input, 0)


@public("function", "method", known=True)
def roll(input: Tensor, shifts: Any, dims: Any = ()) -> Tensor:
    """A copy with the elements moved by ``shifts`` places along the dimensions; those that leave at one end come in at the other.

    ``shifts`` and ``dims`` are ints or tuples of one length. Without ``dims`` the input counts as a vector.

    Raises
    ------
    RuntimeError
        There are not as many shifts as dimensions.
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.roll(ng.tensor([1, 2, 3, 4]), 1)
    tensor([4, 1, 2, 3])
    """
    steps = _several("roll", "shifts", shifts)
    axes = _several("roll", "dims", () if dims is None else dims)
    if not axes and len(steps) == 1:
        if input._spec.numel == 0:
            return shaping.clone(input)
        if input._spec.ndim == 1:
            return _rolled(input, steps[0], 0)
        flat = shaping.reshape(input, input._spec.numel)
        return shaping.drop_base_of_copy(shaping.reshape(_rolled(flat, steps[0], 0), tuple(input._spec.shape)), input)
    if not steps:
        raise RuntimeError("roll: `shifts` required")
    if len(steps) != len(axes):
        raise RuntimeError(f"roll: shifts and dimensions must align. shifts: {len(steps)}, dims:{len(axes)}")
    if not input._spec.ndim:
        raise IndexError(f"Dimension specified as {axes[0]} but tensor has no dimensions")
    result = input
    for step, dim in zip(steps, axes, strict=True):
        result = _rolled(result, step, wrap_dim("roll", dim, input._spec.ndim))
    return result


def _several(op: str, name: str, value: Any) -> tuple[int, ...]:
    """An argument that is one int or several."""
    return tuple([as_int(op, name, each) for each in (value if isinstance(value, (tuple, list)) else (value,))])


def _rolled(input: Tensor, shift: int, axis: int) -> Tensor:
    if input._spec.ndim == 0:
        return shaping.clone(input)
    extent = input._spec.shape[axis]
    if not extent or shift % extent == 0:
        return shaping.clone(input, memory_format=shaping.contiguous_format)
    return ops.rolling.roll(input, shift=shift % extent, dim=axis)  # type: ignore[no-any-return]


@public("function", "method", known=True)
def rot90(input: Tensor, k: int = 1, dims: Any = (0, 1)) -> Tensor:
    """The tensor turned by ``k`` quarter turns in the plane of two dimensions, from the first towards the second.

    Raises
    ------
    RuntimeError
        There are not two different dimensions.
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.rot90(ng.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """
    axes = _several("rot90", "dims", dims)
    ndim = input._spec.ndim
    if len(axes) != 2:
        raise RuntimeError(f"rot90: expected total rotation dims == 2, but got dims = {len(axes)}")
    if ndim < 2:
        raise RuntimeError(f"rot90: expected total dims >= 2, but got total dims = {ndim}")
    first, second = (wrap_dim("rot90", axis, ndim) for axis in axes)
    if first == second:
        raise RuntimeError(
            f"rot90: expected rotation dims to be different, but got dim0 = {axes[0]} and dim1 = {axes[1]}"
        )
    turns = as_int("rot90", "k", k) % 4
    if turns == 0:
        return shaping.clone(input, memory_format=shaping.contiguous_format)
    if turns == 2:
        return flip(input, first, second)
    turned = flip(input, second if turns == 1 else first)
    return shaping.drop_base_of_copy(shaping.transpose(turned, first, second), input)
