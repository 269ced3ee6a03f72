"""Tensors broadcast to each other, made at least so deep, put side by side, and grids of their combinations."""

from __future__ import annotations

import builtins
import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from numgrad import dtypes, ops
from numgrad.engine.tape import TensorBase, modes
from numgrad.errors import ShapeError, warn
from numgrad.layout import Size
from numgrad.registry import chain
from numgrad.tensor import in_place, joining, repeating, shaping
from numgrad.tensor.arguments import as_int, cast, check_tensor, result_type, size_of
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


def _list_of(op: str, tensors: tuple[Any, ...]) -> list[Tensor]:
    """Tensors given one by one, or as one list or tuple."""
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    return [check_tensor(op, f"tensors[{position}]", tensor) for position, tensor in enumerate(given)]


# ---- broadcast --------------------------------------------------------------------------------------------------


@public("function")
def broadcast_shapes(*shapes: Any) -> Size:
    """The shape to which shapes, tuples or ints, broadcast.

    Raises
    ------
    RuntimeError
        They do not broadcast, or an extent is negative.
    TypeError
        An extent is not an int.

    >>> import numgrad as ng
    >>> ng.broadcast_shapes((2, 1), (3,), 1)
    numgrad.Size([2, 3])
    """
    result: tuple[int, ...] = ()
    for shape in shapes:
        extents = size_of("broadcast_shapes", (tuple(shape) if isinstance(shape, (tuple, list)) else (shape,),))
        if builtins.min(extents, default=0) < 0:
            raise ShapeError(
                f"broadcast_shapes: Trying to create tensor with negative dimension ({builtins.min(extents)})"
            )
        longer, shorter = (result, extents) if len(result) >= len(extents) else (extents, result)
        missing = len(longer) - len(shorter)
        merged = list(longer)
        for axis, extent in enumerate(shorter, missing):
            if extent != 1 and merged[axis] not in (1, extent):
                raise ShapeError(
                    "Shape mismatch: objects cannot be broadcast to a single shape, got "
                    f"{', '.join(str(each) for each in shapes)}"
                )
            merged[axis] = extent if merged[axis] == 1 else merged[axis]
        result = tuple(merged)
    return Size(result)


@public("function")
def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """Views of the tensors in the shape to which they broadcast; those that have it as they are.

    Raises
    ------
    RuntimeError
        The shapes do not broadcast.
    TypeError
        An argument is not a tensor.

    >>> import numgrad as ng
    >>> a, b = ng.broadcast_tensors(ng.zeros(2, 1), ng.zeros(3))
    >>> a.shape, b.shape
    (numgrad.Size([2, 3]), numgrad.Size([2, 3]))
    """
    each = _list_of("broadcast_tensors", tensors)
    if each and len({tensor._spec.shape for tensor in each}) == 1:
        return tuple(each)
    shape = broadcast_shapes(*[tuple(tensor._spec.shape) for tensor in each])
    return tuple(tensor if tensor._spec.shape == shape else tensor.expand(shape) for tensor in each)


@public("function", "method", known=True)
def broadcast_to(input: Tensor, size: Any) -> Tensor:
    """The view in this shape, as `Tensor.expand` has it.

    Raises
    ------
    RuntimeError
        The shape does not broadcast to this size.

    >>> import numgrad as ng
    >>> ng.broadcast_to(ng.tensor([1, 2]), (2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    return shaping.expand(input, size)


# ---- at least so deep -------------------------------------------------------------------------------------------


def _atleast(name: str, tensors: tuple[Any, ...], deepen: Callable[[Tensor], Tensor]) -> Any:
    if len(tensors) == 1 and isinstance(tensors[0], TensorBase):
        return deepen(tensors[0])  # type: ignore[arg-type]
    return tuple(deepen(tensor) for tensor in _list_of(name, tensors))


def _to_1d(tensor: Tensor) -> Tensor:
    return tensor if tensor._spec.ndim else shaping.view(tensor, 1)


def _to_2d(tensor: Tensor) -> Tensor:
    tensor = _to_1d(tensor)
    return shaping.unsqueeze(tensor, 0) if tensor._spec.ndim == 1 else tensor


def _to_3d(tensor: Tensor) -> Tensor:
    tensor = _to_2d(tensor)
    return shaping.unsqueeze(tensor, -1) if tensor._spec.ndim == 2 else tensor


@public("function")
def atleast_1d(*tensors: Any) -> Any:
    """Each tensor as it is, or with one dimension; of several tensors, or a list of them, a tuple.

    Raises
    ------
    TypeError
        An argument is not a tensor.

    >>> import numgrad as ng
    >>> ng.atleast_1d(ng.tensor(7))
    tensor([7])
    """
    return _atleast("atleast_1d", tensors, _to_1d)


@public("function")
def atleast_2d(*tensors: Any) -> Any:
    """Each tensor as it is, or as a matrix of one row; of several tensors, or a list of them, a tuple.

    Raises
    ------
    TypeError
        An argument is not a tensor.

    >>> import numgrad as ng
    >>> ng.atleast_2d(ng.tensor([1, 2])).shape
    numgrad.Size([1, 2])
    """
    return _atleast("atleast_2d", tensors, _to_2d)


@public("function")
def atleast_3d(*tensors: Any) -> Any:
    """Each tensor as it is, or a matrix as [M, N, 1] and a vector as [1, N, 1]; of several tensors, or a list, a tuple.

    Raises
    ------
    TypeError
        An argument is not a tensor.

    >>> import numgrad as ng
    >>> ng.atleast_3d(ng.tensor([1, 2])).shape
    numgrad.Size([1, 2, 1])
    """
    return _atleast("atleast_3d", tensors, _to_3d)


# ---- side by side -----------------------------------------------------------------------------------------------


def _several(op: str, tensors: Any) -> list[Tensor]:
    each = list(joining.list_of(op, tensors))
    if not each:
        raise RuntimeError(f"{op} expects a non-empty TensorList")
    return each


@public("function", name="concat")
def concat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """`cat` by another name.

    Raises
    ------
    ValueError, RuntimeError, IndexError, TypeError
        As `cat`.

    >>> import numgrad as ng
    >>> ng.concat([ng.tensor([1]), ng.tensor([2])])
    tensor([1, 2])
    """
    return joining.cat(tensors, dim)


public("function", name="concatenate")(concat)


@public("function", known=True)
def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors joined along their columns: along dimension 1, vectors along dimension 0.

    Raises
    ------
    RuntimeError
        ``tensors`` is empty, or other extents differ.

    >>> import numgrad as ng
    >>> ng.hstack([ng.tensor([1, 2]), ng.tensor([3])])
    tensor([1, 2, 3])
    """
    each = [_to_1d(tensor) for tensor in _several("hstack", tensors)]
    return joining.cat(each, 0 if each[0]._spec.ndim == 1 else 1)


@public("function", known=True)
def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors joined along dimension 0, vectors as rows.

    Raises
    ------
    RuntimeError
        ``tensors`` is empty, or other extents differ.

    >>> import numgrad as ng
    >>> ng.vstack([ng.tensor([1, 2]), ng.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    return joining.cat([_to_2d(tensor) for tensor in _several("vstack", tensors)], 0)


public("function", name="row_stack")(vstack)


@public("function", known=True)
def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors joined along dimension 2, which vectors and matrices get.

    Raises
    ------
    RuntimeError
        ``tensors`` is empty, or other extents differ.

    >>> import numgrad as ng
    >>> ng.dstack([ng.tensor([1, 2]), ng.tensor([3, 4])])
    tensor([[[1, 3],
             [2, 4]]])
    """
    return joining.cat([_to_3d(tensor) for tensor in _several("dstack", tensors)], 2)


@public("function", known=True)
def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors joined along dimension 1, vectors as columns.

    Raises
    ------
    RuntimeError
        ``tensors`` is empty, or other extents differ.

    >>> import numgrad as ng
    >>> ng.column_stack([ng.tensor([1, 2]), ng.tensor([3, 4])])
    tensor([[1, 3],
            [2, 4]])
    """
    each = _several("column_stack", tensors)
    return hstack([shaping.reshape(x, (x._spec.numel, 1)) if x._spec.ndim < 2 else x for x in each])


_FEW = 1 << 13  # elements of a result; parts of fewer are joined in one launch


@public("function", known=True)
def block_diag(*tensors: Any) -> Tensor:
    """A matrix with the matrices on its diagonal and zeros elsewhere; vectors count as one row. Dtypes are promoted.

    Raises
    ------
    RuntimeError
        A tensor has more than two dimensions.

    >>> import numgrad as ng
    >>> ng.block_diag(ng.tensor([[1, 2]]), ng.tensor([[3], [4]]))
    tensor([[1, 2, 0],
            [0, 0, 3],
            [0, 0, 4]])
    """
    from numgrad.tensor import creation

    each = _list_of("block_diag", tensors)
    for position, tensor in enumerate(each):
        if tensor._spec.ndim > 2:
            raise RuntimeError(
                "torch.block_diag: Input tensors must have 2 or fewer dimensions. Input "
                f"{position} has {tensor._spec.ndim} dimensions"
            )
    if not each:
        return creation.empty(1, 0)
    dtype = result_type(*each)
    blocks = [cast(_to_2d(tensor), dtype) for tensor in each]
    width, before, bands = builtins.sum(block._spec.shape[1] for block in blocks), 0, []
    height, above = builtins.sum(block._spec.shape[0] for block in blocks), 0
    followed = chain.wrappers or modes.forward is not None or modes.capture is not None
    if not followed and not (modes.grad_enabled and any(x.requires_grad for x in each)) and height * width > _FEW:
        whole = creation.zeros(height, width, dtype=dtype)
        for block in blocks:
            rows, columns = block._spec.shape
            if rows and columns:
                here = ops.view.slice_(whole, starts=(above, before), steps=(1, 1), sizes=(rows, columns))
                in_place.copy_(here, block)
            above, before = above + rows, before + columns
        return whole
    for block in blocks:
        rows, columns = block._spec.shape
        parts = [
            block if count is None else creation.zeros(rows, count, dtype=dtype)
            for count in (before, None, width - before - columns)
        ]
        bands.append(joining.cat([part for part in parts if part is block or part._spec.shape[1]], 1))
        before += columns
    return joining.cat(bands, 0)


# ---- grids ------------------------------------------------------------------------------------------------------


@public("function")
def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """The coordinates of a grid: for each vector [n_i] a view of shape [n_0, n_1, …], with its elements along dimension i.

    With ``indexing='xy'`` the first two dimensions are exchanged; 'ij' is the default, which has to be said, or a warning comes.

    Raises
    ------
    RuntimeError
        There is no tensor, one has more than a dimension, the dtypes differ, or ``indexing`` is neither 'ij' nor 'xy'.
    TypeError
        An argument is not a tensor.

    >>> import numgrad as ng
    >>> rows, columns = ng.meshgrid(ng.tensor([1, 2]), ng.tensor([3, 4]), indexing="ij")
    >>> rows
    tensor([[1, 1],
            [2, 2]])
    >>> columns
    tensor([[3, 4],
            [3, 4]])
    """
    each = _list_of("meshgrid", tensors)
    if indexing is None:
        warn("meshgrid: in an upcoming release, it will be required to pass the indexing argument.")
        indexing = "ij"
    if not each:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f'meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    for tensor in each:
        if tensor._spec.ndim > 1:
            raise RuntimeError(
                f"meshgrid: Expected 0D or 1D tensor in the tensor list but got shape {list(tensor._spec.shape)}"
            )
        if tensor._spec.dtype is not each[0]._spec.dtype:
            raise RuntimeError("meshgrid expects all tensors to have the same dtype")
    swap = indexing == "xy" and len(each) > 1
    if swap:
        each[:2] = each[1::-1]
    shape = tuple(tensor._spec.numel for tensor in each)
    grids = []
    for axis, tensor in enumerate(each):
        line = tuple(extent if position == axis else 1 for position, extent in enumerate(shape))
        grids.append(tensor.view(line).expand(shape))
    if swap:
        grids[:2] = grids[1::-1]
    return tuple(grids)


@public("function", known=True)
def cartesian_prod(*tensors: Any) -> Tensor:
    """All tuples with one element of each vector, as rows, the last element changing fastest; one vector alone is returned.

    Raises
    ------
    RuntimeError
        An argument is no vector, or the dtypes differ.
    TypeError
        An argument is not a tensor.

    >>> import numgrad as ng
    >>> ng.cartesian_prod(ng.tensor([1, 2]), ng.tensor([3, 4]))
    tensor([[1, 3],
            [1, 4],
            [2, 3],
            [2, 4]])
    """
    each = _list_of("cartesian_prod", tensors)
    for tensor in each:
        if tensor._spec.ndim != 1:
            raise RuntimeError(f"cartesian_prod: Expect a 1D vector, but got shape {list(tensor._spec.shape)}")
    if len(each) == 1:
        return each[0]
    grids = meshgrid(*each, indexing="ij")
    return joining.stack([shaping.reshape(grid, (grid._spec.numel,)) for grid in grids], 1)


@public("function", known=True)
def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """The choices of ``r`` elements of a vector in its order, as rows; with replacement an element may come several times.

    Raises
    ------
    RuntimeError
        The input is no vector, or ``r`` is negative.

    >>> import numgrad as ng
    >>> ng.combinations(ng.tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    from numgrad.tensor import creation

    count = as_int("combinations", "r", r)
    if input._spec.ndim != 1:
        raise RuntimeError(f"combinations: Expect a 1D vector, but got shape {list(input._spec.shape)}")
    if count < 0:
        raise RuntimeError(f"combinations: Expect a non-negative number, but got {count}")
    if count == 0:
        return creation.empty(0, dtype=input._spec.dtype)
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    n = input._spec.numel
    if count == 2:
        places = np.stack(np.triu_indices(n, 0 if with_replacement else 1), 1)
    else:
        places = np.array(list(choose(range(n), count)), np.int64).reshape(-1, count)
    index = creation.from_numpy(np.ascontiguousarray(places, np.int64))
    return ops.index.index_select(input, index, dim=0)  # type: ignore[no-any-return]


@public("function", known=True)
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:  # noqa: N803 (torch's name)
    """The powers of a vector's elements as the columns of a matrix [n, N], the highest power first unless ``increasing``.

    Raises
    ------
    RuntimeError
        ``x`` is no vector, or N is negative.

    >>> import numgrad as ng
    >>> ng.vander(ng.tensor([1, 2, 3]), 3)
    tensor([[1, 1, 1],
            [4, 2, 1],
            [9, 3, 1]])
    """
    from numgrad.tensor import creation

    if x._spec.ndim != 1:
        raise RuntimeError(f"vander: x must be a one-dimensional tensor, got shape {list(x._spec.shape)}")
    count = x._spec.numel if N is None else as_int("vander", "N", N)
    if count < 0:
        raise RuntimeError(f"vander: N must be non-negative, got {count}")
    column = shaping.unsqueeze(x if x._spec.dtype.is_floating_point else cast(x, dtypes.int64), 1)
    if not count:
        return creation.empty(x._spec.numel, 0, dtype=column._spec.dtype)
    columns = [creation.ones(x._spec.numel, 1, dtype=column._spec.dtype)]
    if count > 1:
        powers = ops.scan.cumprod(shaping.expand(column, (x._spec.numel, count - 1)), dim=1)
        columns.append(powers if increasing else repeating.flip(powers, (1,)))
    return joining.cat(columns if increasing else columns[::-1], 1)
