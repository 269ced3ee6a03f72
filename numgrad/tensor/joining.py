"""Functions that join tensors or split them: torch's names and arguments over the ops."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from numgrad import ops
from numgrad.engine.tape import TensorBase, modes
from numgrad.engine.views import MULTIPLE, fix
from numgrad.tensor.arguments import as_int, cast, check_tensor, result_type, wrap_dim
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


@public("function", "method", known=True)
def split(input: Tensor, split_size: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views of ``split_size`` elements along a dimension (the last may be smaller), or of the sizes in a list.

    Raises
    ------
    RuntimeError
        A size is negative, the sizes do not sum to the extent, or the input has no dimensions.

    >>> import numgrad as ng
    >>> ng.split(ng.arange(5), 2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    >>> ng.split(ng.arange(5), [1, 4])
    (tensor([0]), tensor([1, 2, 3, 4]))
    """
    axis = wrap_dim("split", dim, input._spec.ndim)
    if input._spec.ndim == 0:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    extent = input._spec.shape[axis]
    if not isinstance(split_size, (tuple, list)):
        split_size = as_int("split", "split_size", split_size)
        if split_size < 0 or (split_size == 0 and extent):
            raise RuntimeError(f"split: split_size is {split_size}, expected a positive int")
        split_size = split_size or 1  # an empty dimension has one empty piece
        sizes = [builtins.min(split_size, extent - begin) for begin in range(0, builtins.max(extent, 1), split_size)]
    else:
        sizes = [as_int("split", "split_size", size) for size in split_size]
        if sizes and builtins.min(sizes) < 0:
            raise RuntimeError(f"split: the sizes {sizes} have a negative one, expected non-negative ones")
        if builtins.sum(sizes) != extent:
            raise RuntimeError(
                f"split: the sizes {sizes} sum to {builtins.sum(sizes)}, expected {extent} (dimension {dim})"
            )
    return _pieces("SplitBackward0", ops.joining.split(input, sizes=tuple(sizes), dim=axis))


@public("function", "method", known=True)
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along a dimension, without it. They are views that, like those of `split`, may not be changed in place in a graph.

    Raises
    ------
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.unbind(ng.tensor([[1, 2], [3, 4]]), 1)
    (tensor([1, 3]), tensor([2, 4]))
    """
    if input._spec.ndim == 0:
        raise IndexError("unbind: Dimension specified as 0 but tensor has no dimensions")
    axis = wrap_dim("unbind", dim, input._spec.ndim)
    return _pieces("UnbindBackward0", ops.joining.unbind(input, dim=axis))


def _pieces(maker: str, pieces: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The views of a function that returns several, each marked as such for the check of changes in place."""
    for number, piece in enumerate(pieces):
        if modes.grad_enabled and not isinstance(piece._view_node, int):
            fix(piece, f"Output {number} of {maker}", MULTIPLE)
    return pieces


@public("function", "method", known=True)
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most ``chunks`` views of equal size along a dimension; the last may be smaller.

    Raises
    ------
    RuntimeError
        ``chunks`` is not positive, or the input has no dimensions.

    >>> import numgrad as ng
    >>> ng.chunk(ng.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    chunks = as_int("chunk", "chunks", chunks)
    if chunks <= 0:
        raise RuntimeError(f"chunk: chunks is {chunks}, expected a positive int")
    if input._spec.ndim == 0:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    extent = input._spec.shape[wrap_dim("chunk", dim, input._spec.ndim)]
    return split(input, -(-extent // chunks) if extent else [0] * chunks, dim)


@public("function", known=True)
def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors joined along an existing dimension. Dtypes are promoted, other extents have to be equal, empty vectors are ignored.

    Raises
    ------
    ValueError
        ``tensors`` is empty.
    RuntimeError
        Other extents differ, or a tensor has no dimensions.
    IndexError
        There is no such dimension.
    TypeError
        ``tensors`` is one tensor, or holds something that is not a tensor.

    >>> import numgrad as ng
    >>> ng.cat([ng.ones(1, 2), ng.zeros(1, 2)])
    tensor([[1., 1.],
            [0., 0.]])
    """
    tensors = list_of("cat", tensors)
    if not tensors:
        raise ValueError("cat: expected a non-empty list of Tensors")
    ndim = tensors[0]._spec.ndim
    kinds = {(tensor._spec.dtype, tensor._spec.ndim) for tensor in tensors}
    if ndim and len(kinds) == 1:  # there is nothing to promote or to ignore
        return ops.joining.cat.apply(tuple(tensors), wrap_dim("cat", dim, ndim))  # type: ignore[no-any-return]
    for position, tensor in enumerate(tensors):
        if tensor._spec.ndim == 0:
            raise RuntimeError(f"zero-dimensional tensor (at position {position}) cannot be concatenated")
    dtype = result_type(*tensors)
    # In torch's tradition an empty vector is ignored. Among vectors it is one of them, and gets a gradient.
    vectors = builtins.all(x._spec.ndim == 1 for x in tensors)
    kept = [x for x in tensors if vectors or tuple(x._spec.shape) != (0,)] or list(tensors[:1])
    axis = wrap_dim("cat", dim, kept[0]._spec.ndim)
    return ops.joining.cat(*[cast(x, dtype) for x in kept], dim=axis)  # type: ignore[no-any-return]


def list_of(op: str, tensors: Any) -> Sequence[Tensor]:
    """Check an argument that has to be a list or tuple of tensors.

    Raises
    ------
    TypeError
        The argument is something else, such as one tensor.
    """
    if not isinstance(tensors, (list, tuple)):
        if isinstance(tensors, TensorBase) or not hasattr(tensors, "__iter__"):
            raise TypeError(f"{op}(): argument 'tensors' must be tuple of Tensors, not {type(tensors).__name__}")
        tensors = list(tensors)
    for position, tensor in enumerate(tensors):
        if not isinstance(tensor, TensorBase):
            check_tensor(op, f"tensors[{position}]", tensor)
    return tensors  # type: ignore[no-any-return]


@public("function", known=True)
def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dimension; dtypes are promoted.

    Raises
    ------
    RuntimeError
        ``tensors`` is empty, or the shapes differ.
    IndexError
        ``dim`` is beyond the dimensions of the result.
    TypeError
        ``tensors`` is one tensor, or holds something that is not a tensor.

    >>> import numgrad as ng
    >>> ng.stack([ng.tensor([1, 2]), ng.tensor([3, 4])], dim=1)
    tensor([[1, 3],
            [2, 4]])
    """
    tensors = list_of("stack", tensors)
    if not tensors:
        raise RuntimeError("stack expects a non-empty TensorList")
    first = tensors[0]._spec.shape
    for position, tensor in enumerate(tensors):
        if tensor._spec.shape != first:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(first)} at entry 0 and {list(tensor.shape)} at "
                f"entry {position}"
            )
    axis = wrap_dim("stack", dim, len(first) + 1)
    if len({tensor._spec.dtype for tensor in tensors}) > 1:
        dtype = result_type(*tensors)
        tensors = [cast(x, dtype) for x in tensors]
    return ops.joining.stack.apply(tuple(tensors), axis)  # type: ignore[no-any-return]
