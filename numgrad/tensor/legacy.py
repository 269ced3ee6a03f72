"""torch's old constructors ``Tensor(...)``, ``FloatTensor(...)`` and so on, and their names as those of types.

`numgrad.tensor`, `empty` and the like have superseded them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from numgrad import dtypes
from numgrad.devices import on_cpu
from numgrad.dtypes import dtype as Dtype
from numgrad.engine import private
from numgrad.engine.tape import TensorBase, tensor_over
from numgrad.layout import Size

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


def constructed(dtype: Dtype | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """The result of ``Tensor(...)``, or of a dtype's constructor.

    That is an empty tensor, uninitialised memory, a sequence's numbers, or a tensor's alias.

    Parameters
    ----------
    dtype
        The dtype; None: the default dtype.
    args
        Nothing, the extents as ints, a `Size`, a sequence of numbers or an array (which get the dtype), or a tensor, of which
        the result is a view.
    kwargs
        ``data``, one of these by name; ``device``, which has to be "cpu".

    Raises
    ------
    TypeError
        An argument is something else.
    RuntimeError
        An extent is negative, or the device is not the CPU.
    """
    from numgrad.tensor import creation

    on_cpu("Tensor", kwargs.pop("device", "cpu"))
    if "data" in kwargs and not args:
        args = (kwargs.pop("data"),)
    if kwargs:
        raise TypeError(
            f"new() received an invalid combination of arguments - got {', '.join(kwargs)} by name; use numgrad.tensor(data, "
            "dtype=...) for numbers"
        )
    if not args:
        return creation.empty(0, dtype=dtype)
    first = args[0]
    if len(args) == 1 and not _is_extent(first):
        if isinstance(first, TensorBase):
            if dtype is not None and first._spec.dtype is not dtype:
                raise TypeError(
                    f"new(): expected a tensor of {dtype}, got one of {first._spec.dtype}; convert it with .to({dtype})"
                )
            return first[...]  # type: ignore[index,no-any-return]
        if isinstance(first, Size):
            return creation.empty(first, dtype=dtype)
        if isinstance(first, (str, bytes)):
            raise TypeError(f"new(): invalid data type '{type(first).__name__}'")
        if not (hasattr(first, "__len__") and hasattr(first, "__getitem__")):
            raise TypeError(f"new(): data must be a sequence (got {type(first).__name__})")
        values = first if isinstance(first, np.ndarray) else list(first)
        return creation.tensor(values, dtype=creation.chosen_dtype("Tensor", dtype))
    if not all(map(_is_extent, args)):
        types = ", ".join(type(each).__name__ for each in args)
        raise TypeError(
            f"new() received an invalid combination of arguments - got ({types}), but expected extents as ints, or one "
            "sequence of numbers. Use numgrad.tensor(data, dtype=...) for numbers"
        )
    return creation.empty(*args, dtype=dtype)


def as_subclass(tensor: Tensor, cls: type[Tensor]) -> Tensor:
    """The tensor's memory as a tensor of another class."""
    if tensor._spec.is_private:
        private.expose(tensor)
    return tensor_over(cls, tensor._storage, tensor._spec, tensor._address)


def _is_extent(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))


# ---- types of tensors -------------------------------------------------------------------------------------------


class TensorType(type):
    """The class of `FloatTensor`, `LongTensor` and so on, whose instances are the tensors of one dtype.

    Calling one is torch's old constructor: see `constructed`.
    """

    dtype: Dtype

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return constructed(cls.dtype, args, kwargs)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, TensorBase) and instance._spec.dtype is cls.dtype


def _type_of(dtype: Dtype, example: str) -> TensorType:
    doc = f"""Tensors of {dtype}, as a type and as torch's old constructor of a size or of a sequence's numbers.

    Raises
    ------
    TypeError, RuntimeError
        As of `Tensor`.

    >>> import numgrad as ng
    >>> {example}
    """
    name = f"{dtype.torch_name}Tensor"
    return TensorType(name, (), {"dtype": dtype, "__doc__": doc, "__module__": "numgrad"})


TYPES = {
    kind.__name__: kind
    for kind in [
        _type_of(
            dtypes.float32,
            "ng.FloatTensor([1, 2]), isinstance(ng.ones(2), ng.FloatTensor)\n    (tensor([1., 2.]), True)",
        ),
        _type_of(dtypes.float64, "ng.DoubleTensor([1])\n    tensor([1.], dtype=numgrad.float64)"),
        _type_of(
            dtypes.int64, "ng.LongTensor([1.5]), ng.LongTensor(2, 3).shape\n    (tensor([1]), numgrad.Size([2, 3]))"
        ),
        _type_of(dtypes.int32, "ng.IntTensor([1])\n    tensor([1], dtype=numgrad.int32)"),
        _type_of(dtypes.int16, "ng.ShortTensor([1])\n    tensor([1], dtype=numgrad.int16)"),
        _type_of(dtypes.int8, "ng.CharTensor([1])\n    tensor([1], dtype=numgrad.int8)"),
        _type_of(dtypes.uint8, "ng.ByteTensor([1])\n    tensor([1], dtype=numgrad.uint8)"),
        _type_of(dtypes.bool_, "ng.BoolTensor([0, 1])\n    tensor([False,  True])"),
        _type_of(dtypes.float16, "ng.HalfTensor([1])\n    tensor([1.], dtype=numgrad.float16)"),
        _type_of(dtypes.bfloat16, "ng.BFloat16Tensor([1])\n    tensor([1.], dtype=numgrad.bfloat16)"),
    ]
}


def type_name(dtype: Dtype) -> str:
    """The name of the type of a dtype's tensors.

    >>> type_name(dtypes.int64)
    'numgrad.LongTensor'
    """
    return f"numgrad.{dtype.torch_name}Tensor"


def dtype_of(kind: Any) -> Dtype:
    """The dtype that a type, a dtype or the name of a type stands for; `Tensor` stands for the default dtype.

    Raises
    ------
    ValueError
        There is no such type.
    RuntimeError
        It is one of another device.

    >>> dtype_of("torch.LongTensor")
    numgrad.int64
    """
    if isinstance(kind, Dtype):
        return kind
    if isinstance(kind, TensorType):
        return kind.dtype
    if isinstance(kind, type) and issubclass(kind, TensorBase):
        return dtypes.get_default_dtype()
    if isinstance(kind, str):
        library, _, name = kind.partition(".")
        device, dot, rest = name.rpartition(".")
        if library in ("torch", "numgrad") and rest in (*TYPES, "Tensor"):
            on_cpu("type", device if dot else None)
            return TYPES[rest].dtype if rest in TYPES else dtypes.get_default_dtype()
    shown = kind.__name__ if isinstance(kind, type) else kind
    raise ValueError(f"invalid type: '{shown}'; expected a dtype, or a name such as 'numgrad.FloatTensor'")


def set_default_tensor_type(t: Any) -> None:
    """Set the default dtype by a type of tensors, `FloatTensor` or `DoubleTensor`, or by the name of one.

    Raises
    ------
    TypeError
        The type is not one of floating-point tensors.
    ValueError, RuntimeError
        There is no such type, or it is one of another device.

    >>> import numgrad as ng
    >>> ng.set_default_tensor_type("torch.DoubleTensor")
    >>> ng.tensor(0.5).dtype
    numgrad.float64
    >>> ng.set_default_tensor_type(ng.FloatTensor)
    """
    dtypes.set_default_dtype(dtype_of(t))
