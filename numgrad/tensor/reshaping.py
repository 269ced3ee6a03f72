"""Further views: `ravel`, `movedim`, `swapaxes`, `unflatten`; `as_strided`; copies with a window of theirs replaced."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

from numgrad import ops
from numgrad.engine.tape import tensor_over
from numgrad.errors import warn
from numgrad.layout import product, spec_of
from numgrad.tensor import reductions, shaping
from numgrad.tensor.arguments import as_int, check_tensor, shape_of, size_of, wrap_dim
from numgrad.tensor.diagonals import replaced
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


@public("function", "method", known=True)
def ravel(input: Tensor) -> Tensor:
    """All elements as a vector in row-major order; a view if they lie so.

    >>> import numgrad as ng
    >>> ng.ravel(ng.tensor([[1, 2], [3, 4]]))
    tensor([1, 2, 3, 4])
    """
    spec = input._spec
    if spec.kind.is_exact:
        return ops.view.view.apply((input,), (spec.numel,))  # type: ignore[no-any-return]
    return shaping.reshape(shaping.contiguous(input), (spec.numel,))


@public("method", known=True)
def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """`reshape` to the shape of another tensor.

    Raises
    ------
    RuntimeError
        The other tensor has another number of elements.
    TypeError
        ``other`` is not a tensor.

    >>> import numgrad as ng
    >>> ng.arange(4).reshape_as(ng.zeros(2, 2))
    tensor([[0, 1],
            [2, 3]])
    """
    return shaping.reshape(input, shape_of("reshape_as", other))


@public("method")
def resize(input: Tensor, *sizes: Any) -> Tensor:
    """`view`, with a warning: torch's old name of it.

    Raises
    ------
    RuntimeError
        The shape has another number of elements; `resize_` changes that.

    >>> import warnings
    >>> import numgrad as ng
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     ng.zeros(4).resize(2, 2).shape
    numgrad.Size([2, 2])
    """
    warn("non-inplace resize is deprecated")
    size = size_of("resize", sizes)
    if product(size) != input._spec.numel:
        raise RuntimeError(
            f"requested resize to {size} ({product(size)} elements in total), but the given tensor has a size of "
            f"{tuple(input._spec.shape)} ({input._spec.numel} elements). autograd's resize can only change the shape of a given "
            "tensor, while preserving the number of elements."
        )
    return shaping.view(shaping.contiguous(input), size)


@public("method")
def ndimension(input: Tensor) -> int:
    """Number of dimensions, as `dim`.

    >>> import numgrad as ng
    >>> ng.zeros(2, 3).ndimension()
    2
    """
    return input._spec.ndim


@public("method")
def sum_to_size(input: Tensor, *size: Any) -> Tensor:
    """The sum over what broadcasting from this size to the input's shape would repeat.

    Raises
    ------
    RuntimeError
        The size does not broadcast to the input's shape.

    >>> import numgrad as ng
    >>> ng.ones(2, 3).sum_to_size(2, 1)
    tensor([[3.],
            [3.]])
    """
    extents = size_of("sum_to_size", size)
    shape = tuple(input._spec.shape)
    missing = len(shape) - len(extents)
    if missing < 0 or any(n not in (1, m) for n, m in zip(extents, shape[missing:], strict=True)):
        raise RuntimeError(f"size {list(extents)} is not expandable to size {list(shape)}.")
    dims = (*range(missing), *(missing + axis for axis, n in enumerate(extents) if n == 1 != shape[missing + axis]))
    summed = reductions.sum(input, dims, True) if dims else shaping.permute(input, *range(len(shape)))
    return shaping.view(summed, extents) if missing else summed


@public("function")
def numel(input: Tensor) -> int:
    """Number of elements.

    >>> import numgrad as ng
    >>> ng.numel(ng.zeros(2, 3))
    6
    """
    return input._spec.numel


@public("function", "method", known=True)
def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """`transpose` by another name.

    Raises
    ------
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.swapaxes(ng.zeros(2, 3), 0, 1).shape
    numgrad.Size([3, 2])
    """
    return shaping.transpose(input, axis0, axis1)


@public("function", "method", known=True)
def swapdims(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """`transpose` by another name.

    Raises
    ------
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.swapdims(ng.zeros(2, 3), 0, 1).shape
    numgrad.Size([3, 2])
    """
    return shaping.transpose(input, dim0, dim1)


@public("function", "method", known=True)
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """A view with dimensions moved to other places, ints or tuples of them; the others keep their order.

    Raises
    ------
    RuntimeError
        There are not as many sources as destinations, or one is given twice.
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.movedim(ng.zeros(2, 3, 4), 0, -1).shape
    numgrad.Size([3, 4, 2])
    """
    ndim = input._spec.ndim
    if source.__class__ is int and destination.__class__ is int:
        order = list(range(ndim)) or [0]
        order.insert(wrap_dim("movedim", destination, ndim), order.pop(wrap_dim("movedim", source, ndim)))
        return ops.view.permute.apply((input,), tuple(order[:ndim]))  # type: ignore[no-any-return]
    sides = []
    for word, dims in (("source", source), ("destination", destination)):
        axes = [wrap_dim("movedim", dim, ndim) for dim in (dims if isinstance(dims, (tuple, list)) else (dims,))]
        if len(set(axes)) != len(axes):
            raise RuntimeError(f"movedim: repeated dim in `{word}` ({list(dims)})")
        sides.append(axes)
    if len(sides[0]) != len(sides[1]):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({sides[0]} dims) should contain the same number of dims as "
            f"destination ({sides[1]} dims)"
        )
    goals = dict(zip(sides[1], sides[0], strict=True))
    others = iter(axis for axis in range(ndim) if axis not in sides[0])
    return shaping.permute(input, *[goals[axis] if axis in goals else next(others) for axis in range(ndim)])


@public("function", "method", known=True)
def moveaxis(input: Tensor, source: Any, destination: Any) -> Tensor:
    """`movedim` by another name.

    Raises
    ------
    RuntimeError, IndexError
        As `movedim`.

    >>> import numgrad as ng
    >>> ng.moveaxis(ng.zeros(2, 3, 4), (0, 1), (1, 2)).shape
    numgrad.Size([4, 2, 3])
    """
    return movedim(input, source, destination)


@public("function", "method", known=True)
def unflatten(input: Tensor, dim: int, sizes: Any) -> Tensor:
    """A view with one dimension cut into several, of which one may be -1, to be inferred.

    Raises
    ------
    RuntimeError
        The sizes do not multiply to the dimension.
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.unflatten(ng.zeros(2, 6), 1, (-1, 3)).shape
    numgrad.Size([2, 2, 3])
    """
    axis = wrap_dim("unflatten", dim, check_tensor("unflatten", "input", input)._spec.ndim)
    extents = size_of("unflatten", (tuple(sizes) if isinstance(sizes, (tuple, list)) else (sizes,),))
    if not extents:
        raise RuntimeError("unflatten: sizes must be non-empty")
    shape = tuple(input._spec.shape)
    known, extent = product([each for each in extents if each != -1]), shape[axis] if shape else 1
    if extents.count(-1) == 1 and known and extent % known == 0:
        extents = tuple([extent // known if each == -1 else each for each in extents])
    if builtins.min(extents) < 0 or product(extents) != extent:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(extents)} don't multiply up to the size of dim {axis} ({extent}) in the input tensor"
        )
    return ops.view.view.apply((input,), (*shape[:axis], *extents, *shape[axis + 1 :]))  # type: ignore[no-any-return]


# ---- any strides ------------------------------------------------------------------------------------------------


@public("function", "method", known=3)
def as_strided(input: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """A view of the input's storage by any shape and strides, from element ``storage_offset`` on (default: the input's own).

    Elements may be seen several times; their gradients add up. A tensor that gradients flow to may be seen only within its
    own elements.

    Raises
    ------
    RuntimeError
        The view reaches beyond the storage, strides are negative, or there are not as many as sizes.
    TypeError
        A number is not an int.

    >>> import numgrad as ng
    >>> ng.as_strided(ng.arange(5), (3, 3), (1, 1))
    tensor([[0, 1, 2],
            [1, 2, 3],
            [2, 3, 4]])
    """
    extents, strides = size_of("as_strided", (tuple(size),)), size_of("as_strided", (tuple(stride),))
    own = (input._address - input._storage.address) // input._spec.dtype.itemsize
    offset = own if storage_offset is None else as_int("as_strided", "storage_offset", storage_offset)
    if len(extents) != len(strides):
        raise RuntimeError(
            f"as_strided: mismatch in length of strides and shape, got size {list(extents)} and stride {list(strides)}"
        )
    if builtins.min(strides, default=0) < 0:
        raise RuntimeError(
            f"as_strided: Negative strides are not supported at the moment, got strides: {list(strides)}"
        )
    if builtins.min(extents, default=0) < 0 or offset < 0:
        raise RuntimeError(
            f"as_strided: expected sizes and an offset that are not negative, got {list(extents)} and {offset}"
        )
    spec = spec_of(input._spec.dtype, extents, strides)
    held = input._storage.nbytes // input._spec.dtype.itemsize
    if spec.numel and offset + spec.extent > held:
        raise RuntimeError(
            f"as_strided: sizes {list(extents)}, strides {list(strides)}, storage offset {offset} are out of bounds for storage "
            f"of {held} elements"
        )
    begin = offset - own
    if spec.numel == 0 or (begin >= 0 and begin + spec.extent <= input._spec.extent):
        return ops.window.as_strided(input, size=extents, strides=strides, offset=begin if spec.numel else 0)  # type: ignore[no-any-return]
    if input.requires_grad:
        raise RuntimeError(
            f"as_strided: elements {offset} to {offset + spec.extent} of the storage are not all elements of this tensor, which "
            "requires a gradient; call it on the tensor of which this one is a view"
        )
    address = input._storage.address + offset * spec.dtype.itemsize
    seen: Tensor = tensor_over(type(input), input._storage, spec, address)
    return seen


# ---- copies with a window replaced ------------------------------------------------------------------------------


@public("function", "method", known=True)
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of input with ``src`` in the place of ``input.select(dim, index)``.

    Raises
    ------
    RuntimeError
        ``src`` has another shape than the slice.
    IndexError
        There is no such dimension, or the index is out of range.

    >>> import numgrad as ng
    >>> ng.select_scatter(ng.zeros(2, 2), ng.ones(2), 0, 1)
    tensor([[0., 0.],
            [1., 1.]])
    """
    return replaced("select_scatter", input, src, lambda copy: shaping.select(copy, dim, index))


@public("function", "method", known=True)
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """A copy of input with ``src`` in the place of the slice ``start:end:step`` of a dimension.

    Raises
    ------
    RuntimeError
        ``src`` has another shape than the slice.
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> ng.slice_scatter(ng.zeros(4), ng.ones(2), start=1, end=4, step=2)
    tensor([0., 1., 0., 1.])
    """
    window = cut("slice_scatter", input, dim, start, end, step)
    return replaced("slice_scatter", input, src, lambda copy: copy[window])


def cut(name: str, input: Tensor, dim: int, start: int | None, end: int | None, step: int) -> tuple[slice, ...]:
    """The index of ``start:end:step`` of a dimension; errors as of `slice_scatter`."""
    axis = wrap_dim(name, dim, input._spec.ndim)
    if as_int(name, "step", step) <= 0:
        raise RuntimeError(f"{name}: slice step must be positive, got {step}")
    return (slice(None),) * axis + (slice(start, end, step),)


@public("function", "method", known=True)
def as_strided_scatter(input: Tensor, src: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """A copy of input with ``src`` in the place of `as_strided` of it.

    Raises
    ------
    RuntimeError
        As `as_strided`, or ``src`` has another shape.

    >>> import numgrad as ng
    >>> ng.as_strided_scatter(ng.zeros(2, 2), ng.ones(2), (2,), (3,))
    tensor([[1., 0.],
            [0., 1.]])
    """
    return replaced("as_strided_scatter", input, src, lambda copy: as_strided(copy, size, stride, storage_offset or 0))


@public("function", "method", known=True)
def narrow_copy(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """`narrow`, copied.

    Raises
    ------
    RuntimeError, IndexError
        As `narrow`.

    >>> import numgrad as ng
    >>> ng.narrow_copy(ng.arange(4), 0, 1, 2)
    tensor([1, 2])
    """
    return shaping.clone(shaping.narrow(input, dim, start, length), memory_format=shaping.contiguous_format)
