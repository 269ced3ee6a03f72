"""Functions and methods by which programs ask for a tensor's type and device, and change them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numgrad import dtypes
from numgrad.devices import on_cpu
from numgrad.dtypes import dtype as Dtype
from numgrad.engine.tape import TensorBase
from numgrad.errors import DeviceError
from numgrad.layout import preserve_format
from numgrad.tensor import arguments, legacy, shaping
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


# ---- dtypes -----------------------------------------------------------------------------------------------------


@public("method", name="type", asks=True)
def type_(input: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """The name of this tensor's type; with a dtype, a `FloatTensor` and the like or such a name, the tensor in that dtype.

    torch's names, such as 'torch.FloatTensor', are taken too.

    Raises
    ------
    ValueError
        There is no such type.
    RuntimeError
        It is one of another device.

    >>> import numgrad as ng
    >>> ng.ones(2).type(), ng.ones(2).type(ng.int64), ng.ones(2).type("numgrad.LongTensor")
    ('numgrad.FloatTensor', tensor([1, 1]), tensor([1, 1]))
    """
    if dtype is None:
        return legacy.type_name(input._spec.dtype)
    return arguments.cast(input, legacy.dtype_of(dtype))


def _conversion(name: str, dtype: Dtype, doc: str) -> None:
    def method(input: Tensor, memory_format: Any = preserve_format) -> Tensor:
        return shaping.converted(input, dtype, memory_format)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = doc
    public("method", asks=True)(method)


_conversion(
    "byte",
    dtypes.uint8,
    """This tensor in uint8, cut towards 0; itself if it has that dtype.

    >>> import numgrad as ng
    >>> ng.tensor([2.9]).byte()
    tensor([2], dtype=numgrad.uint8)
    """,
)
_conversion(
    "char",
    dtypes.int8,
    """This tensor in int8, cut towards 0; itself if it has that dtype.

    >>> import numgrad as ng
    >>> ng.tensor([-2.9]).char()
    tensor([-2], dtype=numgrad.int8)
    """,
)
_conversion(
    "short",
    dtypes.int16,
    """This tensor in int16, cut towards 0; itself if it has that dtype.

    >>> import numgrad as ng
    >>> ng.tensor([2.9]).short()
    tensor([2], dtype=numgrad.int16)
    """,
)


@public("function", asks=True)
def is_tensor(obj: Any) -> bool:
    """Whether an object is a tensor.

    >>> import numgrad as ng
    >>> ng.is_tensor(ng.ones(2)), ng.is_tensor([1.0])
    (True, False)
    """
    return isinstance(obj, TensorBase)


@public("function", name="is_floating_point", asks=True)
def is_floating_point(input: Tensor) -> bool:
    """Whether the dtype of a tensor is floating point.

    Raises
    ------
    TypeError
        ``input`` is not a tensor.

    >>> import numgrad as ng
    >>> ng.is_floating_point(ng.ones(2)), ng.is_floating_point(ng.tensor(1))
    (True, False)
    """
    return arguments.check_tensor("is_floating_point", "input", input)._spec.dtype.is_floating_point  # type: ignore[no-any-return]


@public("function", "method", asks=True)
def is_complex(input: Tensor) -> bool:
    """Whether the dtype of a tensor is complex: False, since numgrad has no such dtype.

    Raises
    ------
    TypeError
        ``input`` is not a tensor.

    >>> import numgrad as ng
    >>> ng.is_complex(ng.ones(2))
    False
    """
    arguments.check_tensor("is_complex", "input", input)
    return False


@public("function", "method", asks=True)
def is_conj(input: Tensor) -> bool:
    """Whether the tensor is a view of conjugates: False, since numgrad has no complex numbers.

    Raises
    ------
    TypeError
        ``input`` is not a tensor.

    >>> import numgrad as ng
    >>> ng.is_conj(ng.ones(2))
    False
    """
    return is_complex(input)


@public("function", "method", asks=True)
def is_signed(input: Tensor) -> bool:
    """Whether the dtype has negative numbers.

    Raises
    ------
    TypeError
        ``input`` is not a tensor.

    >>> import numgrad as ng
    >>> ng.ones(2).is_signed(), ng.ones(2, dtype=ng.uint8).is_signed()
    (True, False)
    """
    return arguments.check_tensor("is_signed", "input", input)._spec.dtype.is_signed  # type: ignore[no-any-return]


@public("function", asks=True)
def typename(obj: Any) -> str:
    """The name of an object's type: for tensors as `Tensor.type`, otherwise with its module.

    >>> import numgrad as ng
    >>> ng.typename(ng.ones(2)), ng.typename(3)
    ('numgrad.FloatTensor', 'int')
    """
    if isinstance(obj, TensorBase):
        return legacy.type_name(obj._spec.dtype)
    kind = obj if hasattr(obj, "__qualname__") else type(obj)
    module = getattr(kind, "__module__", None)
    plain = module in (None, "builtins", "__builtin__")
    return kind.__qualname__ if plain else f"{module}.{kind.__qualname__}"


# ---- devices ----------------------------------------------------------------------------------------------------


@public("method", asks=True)
def cuda(input: Tensor, device: Any = None, non_blocking: bool = False, memory_format: Any = preserve_format) -> Tensor:
    """Refused: numgrad computes on the CPU.

    Raises
    ------
    RuntimeError
        Always; the class is an AssertionError as well, as torch's.

    >>> import numgrad as ng
    >>> ng.ones(2).cuda()
    Traceback (most recent call last):
    numgrad.errors.DeviceError: cuda: device is 'cuda', expected 'cpu', the only one that numgrad has; ask ...
    """
    on_cpu("cuda", "cuda" if device is None else device)
    raise DeviceError(
        f"cuda(): Invalid device, must be cuda device, and is {device!r}; numgrad computes on the CPU only"
    )


@public("function", "method", asks=True)
def get_device(input: Tensor) -> int:
    """The number of the device that the tensor is on: -1, the CPU.

    >>> import numgrad as ng
    >>> ng.ones(2).get_device()
    -1
    """
    return -1


@public("method", asks=True)
def is_pinned(input: Tensor, device: Any = None) -> bool:
    """Whether the memory is pinned for copies to an accelerator: False.

    >>> import numgrad as ng
    >>> ng.ones(2).is_pinned()
    False
    """
    return False


@public("method", asks=True)
def pin_memory(input: Tensor, device: Any = None) -> Tensor:
    """Refused: there is no accelerator to copy to.

    Raises
    ------
    RuntimeError
        Always.

    >>> import numgrad as ng
    >>> ng.ones(2).pin_memory()
    Traceback (most recent call last):
    numgrad.errors.DeviceError: pin_memory: there is no accelerator, and numgrad computes on the CPU; leave it out
    """
    raise DeviceError("pin_memory: there is no accelerator, and numgrad computes on the CPU; leave it out")


@public("method", asks=True)
def new(input: Tensor, *args: Any, device: Any = None) -> Tensor:
    """torch's old way to a new tensor of this dtype: of a size, uninitialised, or with a sequence's numbers.

    Raises
    ------
    TypeError, RuntimeError
        As of `FloatTensor`.

    >>> import numgrad as ng
    >>> ng.ones(2).new(3).shape, ng.ones(2).new([1, 2])
    (numgrad.Size([3]), tensor([1., 2.]))
    """
    return legacy.constructed(input._spec.dtype, args, {"device": device})
