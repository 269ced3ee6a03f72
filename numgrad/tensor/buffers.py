"""Tensors over the memory of other objects: `asarray` and `frombuffer`."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.devices import on_cpu
from numgrad.dtypes import dtype as Dtype
from numgrad.tensor import creation, shaping
from numgrad.tensor.arguments import as_int, cast
from numgrad.tensor.surface import public
from numgrad.tensor.tensor import Tensor


@public("function")
def frombuffer(
    buffer: Any, *, dtype: Dtype, count: int = -1, offset: int = 0, requires_grad: builtins.bool = False
) -> Tensor:
    """A vector over the memory of an object that has a buffer, such as a bytearray or an `array.array`.

    It has ``count`` elements, or all, from the byte ``offset`` on. Changes of either show in the other.

    Raises
    ------
    ValueError
        The object has no buffer or only one for reading, or the buffer does not have these elements.
    RuntimeError
        A tensor of integers is to require a gradient.

    >>> import numgrad as ng
    >>> ng.frombuffer(bytearray(b"abc"), dtype=ng.uint8)
    tensor([97, 98, 99], dtype=numgrad.uint8)
    """
    dtype = dtypes.as_dtype("frombuffer", dtype)
    count, offset = as_int("frombuffer", "count", count), as_int("frombuffer", "offset", offset)
    try:
        memory = np.frombuffer(memoryview(buffer).cast("B"), np.uint8)
    except TypeError as error:
        raise ValueError("object does not implement Python buffer protocol.") from error
    size, length = dtype.itemsize, memory.size
    if not length or not count:
        raise ValueError(f"both buffer length ({length}) and count ({count}) must not be 0")
    if not 0 <= offset < length:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length ({length} bytes) minus 1"
        )
    if count < 0 and (length - offset) % size:
        raise ValueError(
            f"buffer length ({length - offset} bytes) after offset ({offset} bytes) must be a multiple of element size ({size})"
        )
    count = (length - offset) // size if count < 0 else count
    if offset + count * size > length:
        raise ValueError(
            f"requested buffer length ({count} * {size} bytes) after offset ({offset} bytes) must not be greater than actual "
            f"buffer length ({length} bytes)"
        )
    if dtype.is_half and dtype is not dtypes.float16:
        raise TypeError("frombuffer: NumPy, which reads the memory, has no bfloat16; read uint8 instead")
    elements = memory[offset : offset + count * size].view(dtype.numpy)
    return creation.finished(creation.from_numpy(elements), requires_grad)


@public("function", asks=True)
def asarray(
    obj: Any,
    *,
    dtype: Dtype | None = None,
    device: Any = None,
    copy: builtins.bool | None = None,
    requires_grad: builtins.bool | None = None,
) -> Tensor:
    """An object as a tensor: a tensor, array, buffer, number or sequence; over its own memory where that is possible.

    With ``copy=True`` it never is, with ``copy=False`` anything else is an error. A buffer is read as elements of ``dtype``, by
    default float32, and copied if it may not be written to. ``requires_grad`` is by default that of a tensor; with False the
    result has no history.

    Raises
    ------
    ValueError
        The memory cannot be shared, with ``copy=False``; or it is an array that no tensor can share, without a copy.
    TypeError, RuntimeError
        As `tensor`.

    >>> import numgrad as ng
    >>> x = ng.ones(2)
    >>> ng.asarray(x) is x, ng.asarray([1, 2], dtype=ng.float64)
    (True, tensor([1., 2.], dtype=numgrad.float64))
    """
    on_cpu("asarray", device)
    chosen = None if dtype is None else dtypes.as_dtype("asarray", dtype)
    if isinstance(obj, np.ndarray) and copy is not True:
        obj = creation.from_numpy(obj)
    elif (view := _view_of(obj)) is not None:
        if view.readonly and copy is False:
            raise ValueError("can't alias a read-only buffer into a tensor, since tensors can be written to.")
        memory = bytearray(view) if copy is True or view.readonly else view
        obj, copy = frombuffer(memory, dtype=chosen or dtypes.get_default_dtype()), None
    if not isinstance(obj, Tensor):
        if copy is False:
            raise ValueError("can't alias arbitrary sequence into a tensor.")
        return creation.tensor(obj, dtype=chosen, requires_grad=requires_grad is True)
    other_dtype = chosen is not None and chosen is not obj.dtype
    if copy is False and other_dtype:
        raise ValueError(
            f"can't alias tensor with dtype '{obj.dtype.torch_name}' into dtype '{dtypes.as_dtype('asarray', dtype).torch_name}'."
        )
    result = shaping.clone(obj) if copy is True and not other_dtype else cast(obj, chosen or obj.dtype)
    if requires_grad is False and result.requires_grad:
        return result.detach()
    return result.requires_grad_() if requires_grad is True and not result.requires_grad else result


def _view_of(obj: Any) -> memoryview | None:
    """The memory of an object that has a buffer; None of tensors, of NumPy's objects and of what has none."""
    if isinstance(obj, (Tensor, np.ndarray, np.generic)):
        return None
    try:
        return memoryview(obj)
    except TypeError:
        return None
