"""Views of a tensor that it becomes itself: `squeeze_`, `unsqueeze_`, `transpose_` and so on; and `resize_`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numgrad import registry
from numgrad.engine import private
from numgrad.engine.tape import modes
from numgrad.engine.views import check_in_place
from numgrad.layout import channels_last_strides, contiguous_strides, spec_of
from numgrad.tensor import in_place, reshaping, shaping
from numgrad.tensor.arguments import shape_of
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


def _become(name: str, target: Tensor, function: Any, *args: Any) -> Tensor:
    """Let a tensor become a view of itself, with its history."""
    check_in_place(name, target, ())
    view = function(target, *args)
    target._spec, target._address = view._spec, view._address
    if view._node is not None:
        target._node, target._output_nr = view._node, view._output_nr
    if target._base is not None:
        target._view_node = view._view_node
    target.__dict__.update(view.__dict__)  # of a batch its examples
    if modes.forward is not None:
        modes.forward.carry(view, target)
    target._accumulator = None
    target._storage.version += 1  # a graph that saved this tensor cannot read another shape
    return target


@public("method")
def squeeze_(input: Tensor, dim: Any = None) -> Tensor:
    """`squeeze` of this tensor, which takes that shape itself. Returns this tensor.

    Raises
    ------
    IndexError
        There is no such dimension.
    RuntimeError
        Autograd cannot follow the change, for example of a leaf that requires a gradient.

    >>> import numgrad as ng
    >>> x = ng.zeros(1, 3)
    >>> x.squeeze_().shape, x.shape
    (numgrad.Size([3]), numgrad.Size([3]))
    """
    return _become("squeeze_", input, shaping.squeeze, dim)


@public("method")
def unsqueeze_(input: Tensor, dim: int) -> Tensor:
    """`unsqueeze` of this tensor, which takes that shape itself. Returns this tensor.

    Raises
    ------
    IndexError
        ``dim`` is out of range.
    RuntimeError
        Autograd cannot follow the change, for example of a leaf that requires a gradient.

    >>> import numgrad as ng
    >>> ng.zeros(3).unsqueeze_(0).shape
    numgrad.Size([1, 3])
    """
    return _become("unsqueeze_", input, shaping.unsqueeze, dim)


@public("method")
def transpose_(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """`transpose` of this tensor, which takes that shape itself. Returns this tensor.

    Raises
    ------
    IndexError
        There is no such dimension.
    RuntimeError
        Autograd cannot follow the change, for example of a leaf that requires a gradient.

    >>> import numgrad as ng
    >>> ng.zeros(2, 3).transpose_(0, 1).shape
    numgrad.Size([3, 2])
    """
    return _become("transpose_", input, shaping.transpose, dim0, dim1)


@public("method")
def swapaxes_(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """`transpose_` by another name.

    Raises
    ------
    IndexError, RuntimeError
        As `transpose_`.

    >>> import numgrad as ng
    >>> ng.zeros(2, 3).swapaxes_(0, 1).shape
    numgrad.Size([3, 2])
    """
    return _become("swapaxes_", input, shaping.transpose, axis0, axis1)


@public("method")
def swapdims_(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """`transpose_` by another name.

    Raises
    ------
    IndexError, RuntimeError
        As `transpose_`.

    >>> import numgrad as ng
    >>> ng.zeros(2, 3).swapdims_(0, 1).shape
    numgrad.Size([3, 2])
    """
    return _become("swapdims_", input, shaping.transpose, dim0, dim1)


@public("method")
def t_(input: Tensor) -> Tensor:
    """`t` of this tensor, which takes that shape itself. Returns this tensor.

    Raises
    ------
    RuntimeError
        There are more than two dimensions, or autograd cannot follow the change.

    >>> import numgrad as ng
    >>> ng.zeros(2, 3).t_().shape
    numgrad.Size([3, 2])
    """
    return _become("t_", input, shaping.t)


@public("method", "function")
def as_strided_(input: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """`as_strided` of this tensor, which takes that shape itself. Returns this tensor.

    Raises
    ------
    RuntimeError
        As `as_strided`, or autograd cannot follow the change.

    >>> import numgrad as ng
    >>> ng.arange(4).as_strided_((2,), (2,))
    tensor([0, 2])
    """
    return _become("as_strided_", input, reshaping.as_strided, size, stride, storage_offset)


@public("method")
def resize_(input: Tensor, *sizes: Any, memory_format: Any = shaping.contiguous_format) -> Tensor:
    """Give this tensor another shape, whose elements lie one after the other. Returns this tensor.

    Where there are more elements than the storage holds, the tensor moves to new memory, where the new ones are anything;
    views of it keep the old memory.

    Raises
    ------
    RuntimeError
        An extent is negative, the tensor requires a gradient, or it is a view and the memory too small.
    TypeError
        An extent is not an int.

    >>> import numgrad as ng
    >>> ng.arange(6).resize_(2, 2)
    tensor([[0, 1],
            [2, 3]])
    """
    from numgrad.tensor import creation

    size = creation.checked_size("resize_", sizes)
    if input.requires_grad:
        raise RuntimeError("cannot resize variables that require grad")
    if registry.is_wrapped():
        raise RuntimeError(
            "resize_: the shape of a tensor of a batch, or with a tangent, cannot be changed; use reshape"
        )
    format = shaping.as_memory_format("resize_", memory_format, len(size))
    strides = channels_last_strides(size) if format is shaping.channels_last else contiguous_strides(size)
    private.expose(input)
    spec = spec_of(input._spec.dtype, size, strides)
    offset = input._address - input._storage.address
    if offset + spec.nbytes > input._storage.nbytes:
        if input._base is not None:
            raise RuntimeError(f"resize_: Trying to resize storage that is not resizable: this tensor is a view, and {list(size)} "
                               "reaches beyond its memory; clone() it first")  # fmt: skip
        larger = creation.uninitialized(input._spec.dtype, (spec.numel,), None)
        elements = input._spec.numel
        if elements:
            in_place.copy_(shaping.narrow(larger, 0, 0, elements), shaping.reshape(input.detach(), (elements,)))
        input._storage, input._address = larger._storage, larger._address
    input._spec, input._accumulator = spec, None
    input._storage.version += 1
    return input


@public("function", "method")
def resize_as_(input: Tensor, the_template: Tensor, *, memory_format: Any = shaping.contiguous_format) -> Tensor:
    """`resize_` to the shape of another tensor. Returns this tensor.

    Raises
    ------
    RuntimeError, TypeError
        As `resize_`, or ``the_template`` is not a tensor.

    >>> import numgrad as ng
    >>> ng.arange(6).resize_as_(ng.zeros(3))
    tensor([0, 1, 2])
    """
    return resize_(input, shape_of("resize_as_", the_template), memory_format=memory_format)
