"""Functions of shapes, views and memory formats: torch's names and arguments over the ops."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

from numgrad import ops
from numgrad.dtypes import dtype as Dtype
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
from numgrad.tensor import known
from numgrad.tensor.arguments import as_int, cast, reduced_dims, shape_of, size_of, wrap_dim
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


def _filled_size(op: str, size: tuple[int, ...], numel: int) -> tuple[int, ...]:
    """A shape with its -1 replaced by the extent that fits ``numel``.

    Raises
    ------
    RuntimeError
        There is more than one -1, or the other extents do not determine it.
    """
    if -1 not in size:
        return size
    if len(size) == 1:
        return (numel,)
    others = product([extent for extent in size if extent != -1])
    if size.count(-1) > 1:
        raise RuntimeError(f"{op}: only one dimension can be inferred, got the shape {list(size)}")
    if builtins.min(size) < -1:
        return size  # the op refuses it
    if others == 0 and numel == 0:
        raise ShapeError(
            f"{op}: cannot reshape tensor of 0 elements into shape {list(size)} because the unspecified dimension size -1 can "
            "be any value and is ambiguous"
        )
    if others == 0 or numel % others:
        raise ShapeError(f"shape '{list(size)}' is invalid for input of size {numel}")
    return tuple(numel // others if extent == -1 else extent for extent in size)


@public("method", known=True)
def view(input: Tensor, *shape: Any) -> Tensor:
    """The same elements in another shape, over the same memory. One extent may be -1, to be inferred.

    Raises
    ------
    RuntimeError
        The shape has another number of elements, or the strides require a copy, which `reshape` would make.

    >>> import numgrad as ng
    >>> x = ng.zeros(4)
    >>> x.view(2, -1)[0] = 1
    >>> x
    tensor([1., 1., 0., 0.])
    """
    size = size_of("view", shape)
    if -1 in size:
        size = _filled_size("view", size, input._spec.numel)
    return view_ops.view.apply((input,), size)  # type: ignore[no-any-return]


@public("method", known=True)
def view_as(input: Tensor, other: Tensor) -> Tensor:
    """`view` in the shape of another tensor.

    Raises
    ------
    RuntimeError
        As `view`.
    TypeError
        ``other`` is not a tensor.

    >>> import numgrad as ng
    >>> ng.zeros(6).view_as(ng.zeros(2, 3)).shape
    numgrad.Size([2, 3])
    """
    return view(input, shape_of("view_as", other))


@public("function", "method", known=True)
def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The same elements in another shape, over the same memory if possible. One extent may be -1, to be inferred.

    Raises
    ------
    RuntimeError
        The shape has another number of elements, or more than one extent is -1.
    TypeError
        An extent is not an int.

    >>> import numgrad as ng
    >>> ng.reshape(ng.arange(6), (2, -1)).shape
    numgrad.Size([2, 3])
    """
    size = size_of("reshape", shape)
    if size and builtins.min(size) < 0:
        size = _filled_size("reshape", size, input._spec.numel)
    return drop_base_of_copy(view_ops.reshape(input, size), input)


def drop_base_of_copy(result: Tensor, input: Tensor) -> Tensor:
    """``result``; a view of what a function has computed from ``input`` counts as no view, since nobody else has its base.

    A change in place of a view is recorded as one of its base, and each change makes the history of both longer.
    """
    if result._base is not None and result._storage is not input._storage:
        result._base = result._view_node = None
    return result


@public("function", "method", known=True)
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dimensions from start_dim to end_dim, both included, merged into one; a view if possible.

    Raises
    ------
    RuntimeError
        start_dim comes after end_dim.
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.flatten(ng.zeros(2, 3, 4), start_dim=1).shape
    numgrad.Size([2, 12])
    """
    ndim = input._spec.ndim
    first, last = wrap_dim("flatten", start_dim, ndim), wrap_dim("flatten", end_dim, ndim)
    if first > last:
        raise RuntimeError(f"flatten() has invalid args: start_dim {start_dim} cannot come after end_dim {end_dim}")
    if first == last and ndim:
        return input
    if first == 0 and last == ndim - 1:
        return drop_base_of_copy(view_ops.reshape(input, (input._spec.numel,)), input)
    shape = input._spec.shape
    return reshape(input, (*shape[:first], product(shape[first : last + 1]), *shape[last + 1 :]))


@public("function", "method", known=True)
def permute(input: Tensor, *dims: Any) -> Tensor:
    """A view with the dimensions in another order.

    Raises
    ------
    RuntimeError
        ``dims`` does not have each dimension once.
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.zeros(2, 3, 4).permute(2, 0, 1).shape
    numgrad.Size([4, 2, 3])
    """
    order = size_of("permute", dims)
    ndim = input._spec.ndim
    if len(order) != ndim:
        raise RuntimeError(f"permute: {len(order)} dims are given, expected {ndim} (the input has {ndim} dimensions)")
    return ops.view.permute.apply((input,), tuple([wrap_dim("permute", d, ndim) for d in order]))  # type: ignore[no-any-return]


@public("function", "method", known=True)
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """A view with two dimensions exchanged.

    Raises
    ------
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.transpose(ng.zeros(2, 3, 4), 0, -1).shape
    numgrad.Size([4, 3, 2])
    """
    ndim = input._spec.ndim
    first, second = wrap_dim("transpose", dim0, ndim), wrap_dim("transpose", dim1, ndim)
    return ops.view.transpose.apply((input,), first, second) if ndim else permute(input)  # type: ignore[no-any-return]


@public("function", "method", known=True)
def t(input: Tensor) -> Tensor:
    """The transpose of a matrix, as a view; vectors and scalars stay as they are.

    Raises
    ------
    RuntimeError
        The input has more than two dimensions.

    >>> import numgrad as ng
    >>> ng.t(ng.tensor([[1, 2, 3]]))
    tensor([[1],
            [2],
            [3]])
    """
    if input._spec.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input._spec.ndim}D")
    return transpose(input, 0, 1) if input._spec.ndim == 2 else permute(input, *range(input._spec.ndim))


@public("function", "method", known=True)
def adjoint(input: Tensor) -> Tensor:
    """A view with the last two dimensions exchanged: the adjoint matrices, of real numbers.

    Raises
    ------
    RuntimeError
        There is only one dimension.

    >>> import numgrad as ng
    >>> ng.adjoint(ng.zeros(4, 2, 3)).shape
    numgrad.Size([4, 3, 2])
    """
    return of_matrices("adjoint()", input)


def of_matrices(name: str, input: Tensor) -> Tensor:
    """The matrices of a tensor transposed, for one of its attributes; a tensor without dimensions itself."""
    if input._spec.ndim == 1:
        raise RuntimeError(f"tensor.{name} is only supported on matrices or batches of matrices. Got 1-D tensor.")
    return input if input._spec.ndim == 0 else transpose(input, -2, -1)


@public("function", "method", known=True)
def expand(input: Tensor, *size: Any) -> Tensor:
    """A view that repeats dimensions of extent 1, and may have new dimensions in front; -1 keeps an extent.

    Nothing is copied: repeated elements share memory.

    Raises
    ------
    RuntimeError
        A changed extent is not 1, or there are fewer sizes than dimensions.

    >>> import numgrad as ng
    >>> ng.tensor([[1], [2]]).expand(-1, 3)
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    sizes = size_of("expand", size)
    shape = input._spec.shape
    missing = len(sizes) - len(shape)
    if missing < 0:
        raise ShapeError(
            f"expand: the number of sizes provided ({len(sizes)}) must be greater or equal to the number of dimensions in the "
            f"tensor ({len(shape)})"
        )
    if sizes and builtins.min(sizes) < 0:
        for axis, extent in enumerate(sizes):
            if extent < -1:
                raise ShapeError(f"expand: invalid size {extent} at index {axis} of {list(sizes)}; -1 keeps an extent")
        if -1 in sizes[:missing]:
            raise ShapeError(f"expand: -1 is not allowed in a leading, non-existing dimension; sizes are {list(sizes)}")
    filled = [shape[axis - missing] if extent == -1 else extent for axis, extent in enumerate(sizes)]
    return ops.view.expand.apply((input,), tuple(filled))  # type: ignore[no-any-return]


@public("method", known=True)
def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """`expand` to the shape of another tensor.

    Raises
    ------
    RuntimeError
        As `expand`.
    TypeError
        ``other`` is not a tensor.

    >>> import numgrad as ng
    >>> ng.zeros(3).expand_as(ng.zeros(2, 3)).shape
    numgrad.Size([2, 3])
    """
    return expand(input, shape_of("expand_as", other))


@public("function", known=True)
def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """A view without the dimensions of extent 1: all of them, or only those in ``dim``, an int or several.

    Raises
    ------
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> x = ng.zeros(1, 2, 1)
    >>> ng.squeeze(x).shape, ng.squeeze(x, 0).shape, ng.squeeze(x, 1).shape
    (numgrad.Size([2]), numgrad.Size([2, 1]), numgrad.Size([1, 2, 1]))
    """
    dims = reduced_dims("squeeze", dim, input._spec.ndim, empty_means_all=False)
    return ops.view.squeeze.apply((input,), dims)  # type: ignore[no-any-return]


@public("function", "method", known=True)
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A view with a new dimension of extent 1 at ``dim``, from -ndim - 1 to ndim.

    Raises
    ------
    IndexError
        ``dim`` is out of this range.

    >>> import numgrad as ng
    >>> ng.unsqueeze(ng.zeros(3), 0).shape, ng.unsqueeze(ng.zeros(3), -1).shape
    (numgrad.Size([1, 3]), numgrad.Size([3, 1]))
    """
    return ops.view.unsqueeze.apply((input,), wrap_dim("unsqueeze", dim, input._spec.ndim + 1))  # type: ignore[no-any-return]


@public("function", "method", known=True)
def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """A view of ``length`` elements of one dimension, from ``start`` on; a negative start counts from the end.

    Raises
    ------
    RuntimeError
        The length is too large, or the input has no dimensions.
    IndexError
        There is no such dimension, or ``start`` is out of range.

    >>> import numgrad as ng
    >>> ng.narrow(ng.arange(5), 0, 1, 3)
    tensor([1, 2, 3])
    """
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


@public("function", "method", known=True)
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at ``index`` of one dimension, without that dimension: a view.

    Raises
    ------
    IndexError
        There is no such dimension, or the index is out of range.

    >>> import numgrad as ng
    >>> ng.select(ng.tensor([[1, 2], [3, 4]]), 1, -1)
    tensor([2, 4])
    """
    if input._spec.ndim == 0:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    axis, index = wrap_dim("select", dim, input._spec.ndim), as_int("select", "index", index)
    extent = input._spec.shape[axis]
    if not -extent <= index < extent:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(input._spec.shape)} at dimension {axis}"
        )
    return view_ops.select(input, axis, index % extent)  # type: ignore[no-any-return]


@public("method")
def contiguous(input: Tensor, memory_format: Any = contiguous_format) -> Tensor:
    """The tensor in row-major order (`contiguous_format`) or with channels last in memory (`channels_last`); itself if it is so.

    Raises
    ------
    RuntimeError
        The format is `preserve_format`, or `channels_last` for a tensor that is not four-dimensional.
    TypeError
        ``memory_format`` is not a memory format.

    >>> import numgrad as ng
    >>> ng.ones(2, 3, 4, 5).contiguous(memory_format=ng.channels_last).stride()
    (60, 1, 15, 3)
    """
    if memory_format is contiguous_format and input._spec.is_contiguous:
        return input
    format = as_memory_format("contiguous", memory_format, input._spec.ndim)
    if format is preserve_format:
        raise RuntimeError("preserve memory format is unsupported by the contiguous operator")
    return input if is_contiguous(input, format) else _in_format(input, format)


@public("method")
def is_contiguous(input: Tensor, memory_format: Any = contiguous_format) -> bool:
    """Whether the elements lie in this order in memory; a private layout counts as row-major.

    Raises
    ------
    TypeError
        ``memory_format`` is not a memory format.

    >>> import numgrad as ng
    >>> ng.zeros(2, 3).is_contiguous(), ng.zeros(2, 3).t().is_contiguous()
    (True, False)
    """
    spec = input._spec
    format = as_memory_format("is_contiguous", memory_format, 4)
    if format is channels_last:
        return spec.is_channels_last() and not spec.is_private
    return spec.is_contiguous or spec.is_private


@public("function", "method", known=True)
def clone(input: Tensor, *, memory_format: Any = preserve_format) -> Tensor:
    """A copy in memory of its own; gradients flow through it. `preserve_format` keeps the order in memory.

    Raises
    ------
    RuntimeError
        The format is `channels_last`, and the tensor is not four-dimensional.
    TypeError
        ``memory_format`` is not a memory format.

    >>> import numgrad as ng
    >>> x = ng.ones(2)
    >>> y = x.clone()
    >>> y[0] = 5
    >>> x
    tensor([1., 1.])
    """
    format = as_memory_format("clone", memory_format, input._spec.ndim)
    return ops.elementwise.clone(input) if format is preserve_format else _in_format(input, format)  # type: ignore[no-any-return]


def to_format(input: Tensor, memory_format: Any) -> Tensor:
    """The tensor in a memory format, for ``to(memory_format=...)``; itself if it has that format already."""
    format = as_memory_format("to", memory_format, input._spec.ndim)
    return input if format is preserve_format or is_contiguous(input, format) else _in_format(input, format)


def converted(input: Tensor, dtype: Dtype, memory_format: Any) -> Tensor:
    """The tensor in another dtype and in a memory format, for ``float()`` and the like."""
    result = input if input._spec.dtype is dtype else _known_cast(input, dtype)
    return result if memory_format is preserve_format else to_format(result, memory_format)


_known_cast = known.knowing(cast)


def _in_format(input: Tensor, format: memory_format) -> Tensor:
    order = channels_last_strides if format is channels_last else contiguous_strides
    return ops.creation.to_strides(input, strides=order(input._spec.shape))  # type: ignore[no-any-return]
