"""Diagonals and triangles of matrices, in torch's names; windows that slide along a dimension."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

from numgrad import dtypes, ops
from numgrad.dtypes import dtype as Dtype
from numgrad.errors import ShapeError
from numgrad.tensor import in_place, reductions, shaping
from numgrad.tensor.arguments import as_int, check_tensor, wrap_dim
from numgrad.tensor.known import CONSTANT
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor

_e, _m = ops.elementwise, ops.matrices


# ---- triangles --------------------------------------------------------------------------------------------------


def _triangle(name: str, input: Tensor, diagonal: int, lower: builtins.bool) -> Tensor:
    offset = as_int(name, "diagonal", diagonal)
    if input._spec.ndim < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions, got shape {list(input._spec.shape)}")
    rows, columns = input._spec.shape[-2:]
    offset = builtins.max(-rows - 1, builtins.min(columns + 1, offset))
    if input._spec.dtype.is_floating_point:
        return _m.lower(input, offset) if lower else _m.upper(input, offset)  # type: ignore[no-any-return]
    row = ops.view.unsqueeze(ops.creation.arange(start=offset, count=rows, dtype=dtypes.int64), dim=1)
    column = ops.creation.arange(count=columns, dtype=dtypes.int64)
    kept = _e.ge(row, column) if lower else _e.le(row, column)
    return _e.where(kept, input, 0)  # type: ignore[no-any-return]


@public("function", "method", "in_place", known=True)
def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The matrices with zeros above a diagonal, ``diagonal`` columns to the right of the main one.

    Raises
    ------
    RuntimeError
        The input has fewer than two dimensions.

    >>> import numgrad as ng
    >>> ng.tril(ng.ones(2, 3))
    tensor([[1., 0., 0.],
            [1., 1., 0.]])
    """
    return _triangle("tril", input, diagonal, True)


@public("function", "method", "in_place", known=True)
def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The matrices with zeros below a diagonal, ``diagonal`` columns to the right of the main one.

    Raises
    ------
    RuntimeError
        The input has fewer than two dimensions.

    >>> import numgrad as ng
    >>> ng.triu(ng.ones(2, 3), diagonal=1)
    tensor([[0., 1., 1.],
            [0., 0., 1.]])
    """
    return _triangle("triu", input, diagonal, False)


def _triangle_indices(name: str, row: int, col: int, offset: int, dtype: Any, lower: builtins.bool) -> Tensor:
    from numgrad.tensor import creation

    rows, columns, shift = as_int(name, "row", row), as_int(name, "col", col), as_int(name, "offset", offset)
    for word, extent in (("row", rows), ("col", columns)):
        if extent < 0:
            raise RuntimeError(f"{name}: {word} must be non-negative, got {extent}")
    chosen = creation.chosen_dtype(name, dtype, dtypes.int64)
    if chosen not in (dtypes.int64, dtypes.int32):
        raise NotImplementedError(f"\"{name}\" not implemented for '{chosen.torch_name}'; expected int64 or int32")
    shift = builtins.max(-rows - 1, builtins.min(columns + 1, shift)) + int(lower)
    return ops.masks.triangle_places.apply((), rows, columns, shift, lower, chosen)  # type: ignore[no-any-return]


@public("function", known=CONSTANT)
def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Dtype | None = None) -> Tensor:
    """Rows and columns of the elements of a matrix that `tril` keeps, [2, count] of int64 or int32, row by row.

    Raises
    ------
    RuntimeError
        An extent is negative, or the dtype is another one.

    >>> import numgrad as ng
    >>> ng.tril_indices(2, 2)
    tensor([[0, 1, 1],
            [0, 0, 1]])
    """
    return _triangle_indices("tril_indices", row, col, offset, dtype, True)


@public("function", known=CONSTANT)
def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Dtype | None = None) -> Tensor:
    """Rows and columns of the elements of a matrix that `triu` keeps, [2, count] of int64 or int32, row by row.

    Raises
    ------
    RuntimeError
        An extent is negative, or the dtype is another one.

    >>> import numgrad as ng
    >>> ng.triu_indices(2, 2)
    tensor([[0, 0, 1],
            [0, 1, 1]])
    """
    return _triangle_indices("triu_indices", row, col, offset, dtype, False)


# ---- diagonals --------------------------------------------------------------------------------------------------


@public("function", "method", known=True)
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A view of the diagonals of the matrices of two dimensions, as the last dimension; ``offset`` columns to the right.

    Raises
    ------
    RuntimeError
        The dimensions are the same.
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.diagonal(ng.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    ndim = input._spec.ndim
    first, second = wrap_dim("diagonal", dim1, ndim), wrap_dim("diagonal", dim2, ndim)
    if first == second:
        raise ShapeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return ops.strides.diagonal(input, offset=as_int("diagonal", "offset", offset), dim1=first, dim2=second)  # type: ignore[no-any-return]


@public("function", "method", known=True)
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices with the last dimension of the input on a diagonal of theirs, and zeros elsewhere.

    Raises
    ------
    RuntimeError
        The dimensions are the same.
    IndexError
        There is no such dimension of the result.

    >>> import numgrad as ng
    >>> ng.diag_embed(ng.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    shape = tuple(input._spec.shape)
    if not shape:
        wrap_dim("diag_embed", -1, 0)
        raise IndexError("diag_embed: Dimension out of range: the input has no dimensions")
    first, second = wrap_dim("diag_embed", dim1, len(shape) + 1), wrap_dim("diag_embed", dim2, len(shape) + 1)
    if first == second:
        raise ShapeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    shift = as_int("diag_embed", "offset", offset)
    size = list(shape[:-1])
    for axis in sorted((first, second)):
        size.insert(axis, shape[-1] + abs(shift))
    return ops.strides.diagonal_backward(input, size=tuple(size), offset=shift, dim1=first, dim2=second)  # type: ignore[no-any-return]


@public("function", "method", known=True)
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """Of a vector the matrix with it on a diagonal, of a matrix its diagonal as a vector of its own memory.

    Raises
    ------
    RuntimeError
        The input is neither a vector nor a matrix.

    >>> import numgrad as ng
    >>> ng.diag(ng.tensor([1, 2]), 1)
    tensor([[0, 1, 0],
            [0, 0, 2],
            [0, 0, 0]])
    """
    if input._spec.ndim == 1:
        return diag_embed(input, diagonal)
    if input._spec.ndim != 2:
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input._spec.ndim}D")
    offset = as_int("diag", "diagonal", diagonal)
    return shaping.clone(ops.strides.diagonal(input, offset=offset, dim1=0, dim2=1))


@public("function", "method", known=True)
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """The matrix with all elements of the input, in order, on a diagonal.

    >>> import numgrad as ng
    >>> ng.diagflat(ng.tensor([[1], [2]]))
    tensor([[1, 0],
            [0, 2]])
    """
    return diag_embed(shaping.reshape(input, (input._spec.numel,)), offset)


@public("function", "method", known=True)
def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy of input with ``src`` in the place of its `diagonal`.

    Raises
    ------
    RuntimeError
        ``src`` has another shape than the diagonal.

    >>> import numgrad as ng
    >>> ng.diagonal_scatter(ng.zeros(2, 2), ng.tensor([1.0, 2.0]))
    tensor([[1., 0.],
            [0., 2.]])
    """
    return replaced("diagonal_scatter", input, src, lambda copy: diagonal(copy, offset, dim1, dim2))


def replaced(name: str, input: Tensor, src: Any, window: Any) -> Tensor:
    """A copy of input with ``src`` in the place of a window, a view that a function makes of the copy."""
    check_tensor(name, "src", src)
    copy = shaping.clone(input)
    view = window(copy)
    if view._spec.shape != src._spec.shape:
        raise RuntimeError(
            f"{name}: expected src to have a size equal to the slice of self. src size = {list(src._spec.shape)}, slice size = "
            f"{list(view._spec.shape)}"
        )
    in_place.copy_(view, src)
    return copy


@public("method")
def fill_diagonal_(input: Tensor, fill_value: Any, wrap: builtins.bool = False) -> Tensor:
    """Write a number to the diagonal of a matrix, or of a tensor of equal extents. Returns this tensor.

    With ``wrap`` the diagonal of a tall matrix begins anew after each row below its end.

    Raises
    ------
    RuntimeError
        There are fewer than two dimensions, more than two have different extents, or autograd cannot follow the change.

    >>> import numgrad as ng
    >>> ng.zeros(2, 3).fill_diagonal_(5)
    tensor([[5., 0., 0.],
            [0., 5., 0.]])
    """
    shape = tuple(input._spec.shape)
    if len(shape) < 2:
        raise RuntimeError("fill_diagonal_: dimensions must be larger than 1")
    if len(shape) > 2 and len(set(shape)) > 1:
        raise RuntimeError(f"fill_diagonal_: all dimensions of input must be of equal length, got {list(shape)}")
    line = input
    while line._spec.ndim > 1:
        line = diagonal(line, 0, 0, -1)
    in_place.fill_(line, fill_value)
    if wrap and len(shape) == 2:
        rows, columns = shape
        for top in range(columns + 1, rows, columns + 1):
            in_place.fill_(diagonal(shaping.narrow(input, 0, top, rows - top)), fill_value)
    return input


@public("function", "method", known=True)
def trace(input: Tensor) -> Tensor:
    """The sum of the diagonal of a matrix.

    Raises
    ------
    RuntimeError
        The input is no matrix.

    >>> import numgrad as ng
    >>> ng.trace(ng.tensor([[1, 2], [3, 4]]))
    tensor(5)
    """
    if input._spec.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input._spec.ndim}")
    return reductions.sum(diagonal(input))


# ---- windows ----------------------------------------------------------------------------------------------------


@public("method", name="unfold", known=True)
def sliding_windows(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """A view of windows of ``size`` elements along a dimension, ``step`` apart; a window is the new last dimension.

    Raises
    ------
    RuntimeError
        ``size`` is negative or larger than the dimension, or ``step`` is not positive.
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.arange(5).unfold(0, 3, 2)
    tensor([[0, 1, 2],
            [2, 3, 4]])
    """
    axis = wrap_dim("unfold", dimension, input._spec.ndim)
    size, step = as_int("unfold", "size", size), as_int("unfold", "step", step)
    extent = input._spec.shape[axis] if input._spec.ndim else 1
    if step <= 0:
        raise RuntimeError(f"unfold: step is {step} but must be > 0")
    if size < 0:
        raise RuntimeError(f"unfold: size is {size} but must be >= 0")
    if size > extent:
        raise RuntimeError(f"unfold: maximum size for tensor at dimension {axis} is {extent} but size is {size}")
    if not input._spec.ndim:
        return ops.view.slice_(ops.view.unsqueeze(input, dim=0), starts=(0,), steps=(1,), sizes=(size,))  # type: ignore[no-any-return]
    return ops.strides.unfold(input, dim=axis, size=size, step=step)  # type: ignore[no-any-return]
