"""`constructed`: torch's old constructor ``Tensor(...)``, superseded by `numgrad.tensor`, `empty` and the like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from numgrad.engine import private
from numgrad.engine.tape import TensorBase, tensor_over
from numgrad.layout import Size

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


def constructed(*args: Any, **kwargs: Any) -> Tensor:
    """The result of ``Tensor(...)``: an empty tensor, uninitialised memory, a sequence's numbers, or a tensor's alias.

    Parameters
    ----------
    args
        Nothing, the extents as ints, a `Size`, a sequence of numbers or an array (which get the default dtype), or a tensor,
        whose memory the result shares.
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
    from numgrad.tensor.checked import cpu

    cpu("Tensor", kwargs.pop("device", "cpu"))
    if "data" in kwargs and not args:
        args = (kwargs.pop("data"),)
    if kwargs:
        raise TypeError(
            f"new() received an invalid combination of arguments - got {', '.join(kwargs)} by name; use numgrad.tensor(data, "
            "dtype=...) for numbers"
        )
    if not args:
        return creation.empty(0)
    first = args[0]
    if len(args) == 1 and not _is_extent(first):
        if isinstance(first, TensorBase):
            return first.detach()  # type: ignore[attr-defined,no-any-return]
        if isinstance(first, Size):
            return creation.empty(first)
        if isinstance(first, (str, bytes)):
            raise TypeError(f"new(): invalid data type '{type(first).__name__}'")
        if not (hasattr(first, "__len__") and hasattr(first, "__getitem__")):
            raise TypeError(f"new(): data must be a sequence (got {type(first).__name__})")
        values = first if isinstance(first, np.ndarray) else list(first)
        return creation.tensor(values, dtype=creation.chosen_dtype("Tensor", None))
    if not all(map(_is_extent, args)):
        types = ", ".join(type(each).__name__ for each in args)
        raise TypeError(
            f"new() received an invalid combination of arguments - got ({types}), but expected extents as ints, or one "
            "sequence of numbers. Use numgrad.tensor(data, dtype=...) for numbers"
        )
    return creation.empty(*args)


def as_subclass(tensor: Tensor, cls: type[Tensor]) -> Tensor:
    """The tensor's memory as a tensor of another class."""
    if tensor._spec.is_private:
        private.expose(tensor)
    return tensor_over(cls, tensor._storage, tensor._spec, tensor._address)


def _is_extent(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))
