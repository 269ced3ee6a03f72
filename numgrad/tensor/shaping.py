"""Shapes, views and layouts: torch's names and arguments over the ops."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from numgrad import ops
from numgrad.engine.tape import TensorBase, modes
from numgrad.engine.views import MULTIPLE, fix
from numgrad.errors import ShapeError
from numgrad.layout import (
    as_memory_format,
    channels_last,
    channels_last_strides,
    contiguous_format,
    contiguous_strides,
    memory_format,
    preserve_format,
    product,
)
from numgrad.ops import view as view_ops
from numgrad.tensor.arguments import as_int, cast, check_tensor, reduced_dims, result_type, size_of, wrap_dim

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


def _filled_size(op: str, size: tuple[int, ...], numel: int) -> tuple[int, ...]:
    """A shape with its one -1 replaced.

    Raises
    ------
    RuntimeError
        There are more of them, another extent is negative, or the rest does not tell what it stands for.
    """
    if -1 not in size:
        return size
    known = product([extent for extent in size if extent != -1])
    if size.count(-1) > 1:
        raise RuntimeError(f"{op}: only one dimension can be inferred, got the shape {list(size)}")
    if builtins.min(size) < -1:
        return size  # which the op refuses
    if known == 0 and numel == 0:
        raise ShapeError(
            f"{op}: cannot reshape tensor of 0 elements into shape {list(size)} because the unspecified dimension size -1 can "
            "be any value and is ambiguous"
        )
    if known == 0 or numel % known:
        raise ShapeError(f"shape '{list(size)}' is invalid for input of size {numel}")
    return tuple(numel // known if extent == -1 else extent for extent in size)


def view(input: Tensor, *shape: Any) -> Tensor:
    """The same elements in another shape, over the same memory; one extent may be -1."""
    size = size_of("view", shape)
    if -1 in size:
        size = _filled_size("view", size, input._spec.numel)
    return view_ops.view.apply((input,), size)  # type: ignore[no-any-return]


def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The same elements in another shape, over the same memory if that can be; one extent may be -1.

    >>> import numgrad as ng
    >>> ng.reshape(ng.arange(6), (2, -1)).shape
    numgrad.Size([2, 3])
    """
    size = size_of("reshape", shape)
    if size and builtins.min(size) < 0:
        size = _filled_size("reshape", size, input._spec.numel)
    return own(view_ops.reshape(input, size), input)


def own(result: Tensor, input: Tensor) -> Tensor:
    """``result``, which is no view for others if it is one of a copy that nobody else has."""
    if result._base is not None and result._storage is not input._storage:
        result._base = result._view_node = None
    return result


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dimensions from start_dim to end_dim made one."""
    ndim = input._spec.ndim
    first, last = wrap_dim("flatten", start_dim, ndim), wrap_dim("flatten", end_dim, ndim)
    if first > last:
        raise RuntimeError(f"flatten() has invalid args: start_dim {start_dim} cannot come after end_dim {end_dim}")
    if first == last and ndim:
        return input
    shape = input._spec.shape
    return reshape(input, (*shape[:first], product(shape[first : last + 1]), *shape[last + 1 :]))


def permute(input: Tensor, *dims: Any) -> Tensor:
    """The dimensions in another order."""
    given = size_of("permute", dims)
    ndim = input._spec.ndim
    if len(given) != ndim:
        raise RuntimeError(f"permute: {len(given)} dims are given, expected {ndim} (the input has {ndim} dimensions)")
    return ops.view.permute(input, dims=tuple(wrap_dim("permute", d, ndim) for d in given))  # type: ignore[no-any-return]


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged."""
    ndim = input._spec.ndim
    first, second = wrap_dim("transpose", dim0, ndim), wrap_dim("transpose", dim1, ndim)
    return ops.view.transpose(input, dim0=first, dim1=second) if ndim else permute(input)  # type: ignore[no-any-return]


def t(input: Tensor) -> Tensor:
    """The transpose of a matrix."""
    if input._spec.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input._spec.ndim}D")
    return transpose(input, 0, 1) if input._spec.ndim == 2 else permute(input, *range(input._spec.ndim))


def expand(input: Tensor, *size: Any) -> Tensor:
    """Extents of 1 repeated without a copy; -1 keeps an extent."""
    given = size_of("expand", size)
    shape = input._spec.shape
    missing = len(given) - len(shape)
    if missing < 0:
        raise ShapeError(
            f"expand: the number of sizes provided ({len(given)}) must be greater or equal to the number of dimensions in the "
            f"tensor ({len(shape)})"
        )
    if given and builtins.min(given) < 0:
        for axis, extent in enumerate(given):
            if extent < -1:
                raise ShapeError(f"expand: invalid size {extent} at index {axis} of {list(given)}; -1 keeps an extent")
        if -1 in given[:missing]:
            raise ShapeError(f"expand: -1 is not allowed in a leading, non-existing dimension; sizes are {list(given)}")
    filled = [shape[axis - missing] if extent == -1 else extent for axis, extent in enumerate(given)]
    return ops.view.expand(input, size=tuple(filled))  # type: ignore[no-any-return]


def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Without the extents of 1, all or those given."""
    dims = reduced_dims("squeeze", dim, input._spec.ndim, empty_means_all=False)
    return ops.view.squeeze(input, dims=dims)  # type: ignore[no-any-return]


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a new extent of 1 at ``dim``."""
    return ops.view.unsqueeze(input, dim=wrap_dim("unsqueeze", dim, input._spec.ndim + 1))  # type: ignore[no-any-return]


def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """``length`` elements of one dimension, from ``start`` on."""
    if input._spec.ndim == 0:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    axis = wrap_dim("narrow", dim, input._spec.ndim)
    start, length = as_int("narrow", "start", start), as_int("narrow", "length", length)
    extent = input._spec.shape[axis]
    if not -extent <= start <= extent:
        raise IndexError(f"narrow: start is {start}, expected in range of [{-extent}, {extent}]")
    start = start + extent if start < 0 else start
    if length < 0 or start + length > extent:
        raise RuntimeError(f"narrow: start ({start}) + length ({length}) exceeds dimension size ({extent}).")
    return view_ops.narrow(input, axis, start, length)  # type: ignore[no-any-return]


def split(input: Tensor, split_size: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of ``split_size`` along a dimension (the last may be smaller), or of the sizes given."""
    axis = wrap_dim("split", dim, input._spec.ndim)
    if input._spec.ndim == 0:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    extent = input._spec.shape[axis]
    if not isinstance(split_size, (tuple, list)):
        split_size = as_int("split", "split_size", split_size)
        if split_size < 0 or (split_size == 0 and extent):
            raise RuntimeError(f"split: split_size is {split_size}, expected a positive int")
        split_size = split_size or 1  # of nothing, the only piece is nothing
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


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along a dimension, without it; views, as those of `split`, that may not be changed in place in a graph.

    >>> import numgrad as ng
    >>> ng.unbind(ng.tensor([[1, 2], [3, 4]]), 1)
    (tensor([1, 3]), tensor([2, 4]))
    """
    if input._spec.ndim == 0:
        raise IndexError("unbind: Dimension specified as 0 but tensor has no dimensions")
    axis = wrap_dim("unbind", dim, input._spec.ndim)
    return _pieces("UnbindBackward0", ops.joining.unbind(input, dim=axis))


def _pieces(maker: str, pieces: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The views of a function that returns several."""
    for number, piece in enumerate(pieces):
        if modes.grad_enabled and not isinstance(piece._view_node, int):
            fix(piece, f"Output {number} of {maker}", MULTIPLE)
    return pieces


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at ``index`` of one dimension, without that dimension: a view.

    Raises
    ------
    IndexError
        There is no such dimension or index.
    """
    if input._spec.ndim == 0:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    axis, index = wrap_dim("select", dim, input._spec.ndim), as_int("select", "index", index)
    extent = input._spec.shape[axis]
    if not -extent <= index < extent:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(input._spec.shape)} at dimension {axis}"
        )
    return ops.view.squeeze(view_ops.narrow(input, axis, index % extent, 1), dims=(axis,))  # type: ignore[no-any-return]


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most ``chunks`` pieces of equal size along a dimension; the last may be smaller."""
    chunks = as_int("chunk", "chunks", chunks)
    if chunks <= 0:
        raise RuntimeError(f"chunk: chunks is {chunks}, expected a positive int")
    if input._spec.ndim == 0:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    extent = input._spec.shape[wrap_dim("chunk", dim, input._spec.ndim)]
    return split(input, -(-extent // chunks) if extent else [0] * chunks, dim)


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors joined along an existing dimension; dtypes are promoted.

    >>> import numgrad as ng
    >>> ng.cat([ng.ones(1, 2), ng.zeros(1, 2)])
    tensor([[1., 1.],
            [0., 0.]])
    """
    tensors = _tensors("cat", tensors)
    if not tensors:
        raise ValueError("cat: expected a non-empty list of Tensors")
    for position, tensor in enumerate(tensors):
        if tensor._spec.ndim == 0:
            raise RuntimeError(f"zero-dimensional tensor (at position {position}) cannot be concatenated")
    dtype = result_type(*tensors)
    # An empty 1-D tensor is a neutral element, by torch's tradition; among vectors it is one of them, with its gradient.
    vectors = builtins.all(x._spec.ndim == 1 for x in tensors)
    kept = [x for x in tensors if vectors or tuple(x._spec.shape) != (0,)] or list(tensors[:1])
    axis = wrap_dim("cat", dim, kept[0]._spec.ndim)
    return ops.joining.cat(*[cast(x, dtype) for x in kept], dim=axis)  # type: ignore[no-any-return]


def _tensors(op: str, tensors: Any) -> Sequence[Tensor]:
    """A list or tuple of tensors.

    Raises
    ------
    TypeError
        It is something else, a tensor for instance.
    """
    if not isinstance(tensors, (list, tuple)):
        if isinstance(tensors, TensorBase) or not hasattr(tensors, "__iter__"):
            raise TypeError(f"{op}(): argument 'tensors' must be tuple of Tensors, not {type(tensors).__name__}")
        tensors = list(tensors)
    for position, tensor in enumerate(tensors):
        check_tensor(op, f"tensors[{position}]", tensor)
    return tensors  # type: ignore[no-any-return]


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dimension."""
    tensors = _tensors("stack", tensors)
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
    dtype = result_type(*tensors)
    return ops.joining.stack(*[cast(x, dtype) for x in tensors], dim=axis)  # type: ignore[no-any-return]


def contiguous(input: Tensor, memory_format: Any = contiguous_format) -> Tensor:
    """In row-major order (`contiguous_format`) or with the channels last in memory (`channels_last`); itself if it is so.

    >>> import numgrad as ng
    >>> ng.ones(2, 3, 4, 5).contiguous(memory_format=ng.channels_last).stride()
    (60, 1, 15, 3)
    """
    asked = as_memory_format("contiguous", memory_format, input._spec.ndim)
    if asked is preserve_format:
        raise RuntimeError("preserve memory format is unsupported by the contiguous operator")
    return input if is_contiguous(input, asked) else _in_format(input, asked)


def is_contiguous(input: Tensor, memory_format: Any = contiguous_format) -> bool:
    """Whether the elements lie in this order, as far as a user can see."""
    spec = input._spec
    asked = as_memory_format("is_contiguous", memory_format, 4)
    if asked is channels_last:
        return spec.is_channels_last() and not spec.is_private
    return spec.is_contiguous or spec.is_private


def clone(input: Tensor, *, memory_format: Any = preserve_format) -> Tensor:
    """A copy in memory of its own; gradients flow through it. `preserve_format` keeps the order in memory.

    >>> import numgrad as ng
    >>> x = ng.ones(2)
    >>> y = x.clone()
    >>> y[0] = 5
    >>> x
    tensor([1., 1.])
    """
    asked = as_memory_format("clone", memory_format, input._spec.ndim)
    return ops.elementwise.clone(input) if asked is preserve_format else _in_format(input, asked)  # type: ignore[no-any-return]


def to_format(input: Tensor, memory_format: Any) -> Tensor:
    """What ``to(memory_format=...)`` returns: the tensor itself if it lies so."""
    asked = as_memory_format("to", memory_format, input._spec.ndim)
    return input if asked is preserve_format or is_contiguous(input, asked) else _in_format(input, asked)


def _in_format(input: Tensor, asked: memory_format) -> Tensor:
    order = channels_last_strides if asked is channels_last else contiguous_strides
    return ops.creation.to_strides(input, strides=order(input._spec.shape))  # type: ignore[no-any-return]
