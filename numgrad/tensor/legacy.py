"""What ``Tensor(...)`` makes: torch's old constructor, for which there are `numgrad.tensor`, `empty` and the like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from numgrad.engine import private
from numgrad.engine.tape import TensorBase, tensor_over
from numgrad.layout import Size

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


def constructed(*args: Any, **kwargs: Any) -> Tensor:
    """An empty tensor; uninitialised memory of a size; a sequence's numbers in the default dtype; or a tensor's alias.

    Parameters
    ----------
    args
        Nothing, the extents as ints, a `Size`, a sequence of numbers, an array, or a tensor, whose memory is shared then.
    kwargs
        ``data``, one of these by its name; ``device``, which is "cpu".

    Raises
    ------
    TypeError
        They are something else.
    RuntimeError
        An extent is negative, or another device is asked for.
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
        given = ", ".join(type(each).__name__ for each in args)
        raise TypeError(
            f"new() received an invalid combination of arguments - got ({given}), but expected extents as ints, or one "
            "sequence of numbers. Use numgrad.tensor(data, dtype=...) for numbers"
        )
    return creation.empty(*args)


def as_subclass(made: Tensor, cls: type[Tensor]) -> Tensor:
    """The tensor's memory as a tensor of another class."""
    if made._spec.is_private:
        private.expose(made)
    return tensor_over(cls, made._storage, made._spec, made._address)


def _is_extent(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))
