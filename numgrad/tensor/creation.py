"""New tensors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numgrad import dtypes, ops
from numgrad.dtypes import dtype as Dtype
from numgrad.engine.tape import TensorBase, modes
from numgrad.layout import output_strides, spec_of
from numgrad.runtime import memory
from numgrad.tensor import inference
from numgrad.tensor.functional import size_of
from numgrad.tensor.tensor import Tensor


def finished(made: Tensor, requires_grad: bool) -> Tensor:
    """A new tensor, as a leaf that requires a gradient if that is wanted."""
    if modes.inference:
        inference.mark(made)
    if requires_grad:
        if not made.dtype.is_floating_point:
            raise RuntimeError(f"Only Tensors of floating point dtype can require gradients, this one is {made.dtype}")
        made._requires_grad = True
    return made


def tensor(data: Any, *, dtype: Dtype | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor with a copy of ``data``: a number, (nested) sequences of numbers, a NumPy array or a tensor.

    Floating-point numbers of Python become the default dtype, integers int64; arrays keep their dtype.

    Raises
    ------
    ValueError
        The sequences are not of one length.
    RuntimeError
        ``requires_grad`` with a dtype that is not floating point.

    >>> import numgrad as ng
    >>> ng.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    """
    if isinstance(data, TensorBase):
        array = data._array()  # type: ignore[attr-defined]
    elif isinstance(data, (np.ndarray, np.generic)):
        array = np.asarray(data)
    else:
        array = np.array(_plain(data))
        if array.dtype == object:
            raise TypeError(f"tensor: data of type {type(data).__name__} holds something that is not a number")
        if array.dtype.kind == "f" or array.size == 0:
            array = array.astype(dtypes.get_default_dtype().numpy)
    chosen = dtype or dtypes.from_numpy_dtype(array.dtype)
    made = empty(array.shape, dtype=chosen)
    if made.numel():
        made._array()[...] = array
    return finished(made, requires_grad)


def _plain(data: Any) -> Any:
    if isinstance(data, (list, tuple)):
        return [_plain(item) for item in data]
    return data.item() if isinstance(data, TensorBase) and data._spec.numel == 1 else data  # type: ignore[attr-defined]


def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor over a NumPy array's own memory: changes of either show in the other.

    Raises
    ------
    TypeError
        numgrad has no such dtype, or this is no array.
    ValueError
        The array is read-only, misaligned, not in the machine's byte order, or has strides that no tensor can have.
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(array).__name__})")
    dtype = dtypes.from_numpy_dtype(array.dtype)
    usable = array.flags.aligned and array.flags.writeable and array.dtype.isnative
    if not usable or any(s < 0 or s % array.itemsize for s in array.strides):
        raise ValueError(
            f"from_numpy: the array (strides {array.strides}, writeable {array.flags.writeable}) can't be shared; numgrad needs "
            "writeable, aligned, native memory without negative strides: pass array.copy()"
        )
    strides = tuple(s // array.itemsize for s in array.strides)
    spec = spec_of(dtype, array.shape, strides)
    storage = memory.Storage(array.ctypes.data, spec.nbytes, array)
    return Tensor(storage, spec, storage.address)


def as_tensor(data: Any, dtype: Dtype | None = None) -> Tensor:
    """``data`` as a tensor, without a copy where it can share memory."""
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    if isinstance(data, np.ndarray) and (dtype is None or dtype.numpy == data.dtype):
        return from_numpy(data)
    return tensor(data, dtype=dtype)


def empty(*size: Any, dtype: Dtype | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor whose elements are whatever the memory held."""
    shape = checked_size("empty", size)
    return finished(uninitialized(dtype or dtypes.get_default_dtype(), shape, None), requires_grad)


def uninitialized(dtype: Dtype, shape: tuple[int, ...], strides: tuple[int, ...] | None) -> Tensor:
    """New memory of this layout, which may be private; None: row-major."""
    spec = spec_of(dtype, shape, strides)
    storage = memory.allocate(spec.nbytes)
    return Tensor(storage, spec, storage.address)


def checked_size(name: str, size: tuple[Any, ...]) -> tuple[int, ...]:
    """A shape given as one argument or as many, without negative extents."""
    shape = size_of(name, size)
    if any(extent < 0 for extent in shape):
        raise RuntimeError(f"{name}: Trying to create tensor with negative dimension: {list(shape)}")
    return shape


def full(size: Any, fill_value: float, *, dtype: Dtype | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor filled with one value.

    >>> import numgrad as ng
    >>> ng.full((2,), 7)
    tensor([7, 7])
    """
    shape = checked_size("full", size if isinstance(size, tuple) else (size,))
    if dtype is None:
        kinds = {bool: dtypes.bool_, int: dtypes.int64}
        dtype = kinds.get(type(fill_value), dtypes.get_default_dtype())
    return finished(ops.creation.full(size=shape, value=fill_value, dtype=dtype), requires_grad)


def zeros(*size: Any, dtype: Dtype | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor of zeros."""
    return full(checked_size("zeros", size), 0, dtype=dtype or dtypes.get_default_dtype(), requires_grad=requires_grad)


def ones(*size: Any, dtype: Dtype | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor of ones."""
    return full(checked_size("ones", size), 1, dtype=dtype or dtypes.get_default_dtype(), requires_grad=requires_grad)


def zeros_like(input: Tensor, *, dtype: Dtype | None = None, requires_grad: bool = False) -> Tensor:
    """Zeros in the shape of a tensor."""
    made = ops.creation.zeros_like(input.detach()) if dtype in (None, input.dtype) else zeros(input.shape, dtype=dtype)
    return finished(made, requires_grad)


def ones_like(input: Tensor, *, dtype: Dtype | None = None, requires_grad: bool = False) -> Tensor:
    """Ones in the shape of a tensor."""
    return ones(input.shape, dtype=dtype or input.dtype, requires_grad=requires_grad)


def full_like(input: Tensor, fill_value: float, *, dtype: Dtype | None = None, requires_grad: bool = False) -> Tensor:
    """One value in the shape of a tensor."""
    return full(tuple(input.shape), fill_value, dtype=dtype or input.dtype, requires_grad=requires_grad)


def empty_like(input: Tensor, *, dtype: Dtype | None = None) -> Tensor:
    """An uninitialised tensor in the shape of another, and in its layout where that is dense."""
    shape = tuple(input.shape)
    return uninitialized(dtype or input.dtype, shape, output_strides(shape, [input._spec]))


def arange(
    start: float, end: float | None = None, step: float = 1, *, dtype: Dtype | None = None, requires_grad: bool = False
) -> Tensor:
    """start, start + step, … up to, not including, end.

    Raises
    ------
    RuntimeError
        step is 0, or leads away from end.

    >>> import numgrad as ng
    >>> ng.arange(1, 4)
    tensor([1, 2, 3])
    """
    if end is None:
        start, end = 0, start
    if step == 0:
        raise RuntimeError("arange: step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError(f"arange: upper bound and lower bound inconsistent with step sign: {start}, {end}, {step}")
    if dtype is None:
        floating = any(isinstance(value, float) for value in (start, end, step))
        dtype = dtypes.get_default_dtype() if floating else dtypes.int64
    count = math.ceil((end - start) / step)
    return finished(ops.creation.arange(start=start, step=step, count=count, dtype=dtype), requires_grad)


def linspace(
    start: float, end: float, steps: int, *, dtype: Dtype | None = None, requires_grad: bool = False
) -> Tensor:
    """``steps`` numbers evenly from start to end, both included."""
    if steps < 0:
        raise RuntimeError("linspace: number of steps must be non-negative")
    step = (end - start) / (steps - 1) if steps > 1 else 0.0
    chosen = dtype or dtypes.get_default_dtype()
    return finished(ops.creation.arange(start=float(start), step=step, count=steps, dtype=chosen), requires_grad)


def eye(n: int, m: int | None = None, *, dtype: Dtype | None = None, requires_grad: bool = False) -> Tensor:
    """Ones on the diagonal, zeros elsewhere."""
    rows, columns = arange(n).unsqueeze(1), arange(n if m is None else m).unsqueeze(0)
    return finished((rows == columns).to(dtype or dtypes.get_default_dtype()), requires_grad)
