"""New tensors: from data, filled, and ranges. Torch's functions, and helpers that the rest of the package uses."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np

from numgrad import dtypes, ops
from numgrad.devices import on_cpu
from numgrad.dtypes import dtype as Dtype
from numgrad.engine.constants import constant
from numgrad.engine.tape import TensorBase, modes, tensor_over
from numgrad.layout import (
    Spec,
    as_memory_format,
    channels_last,
    channels_last_strides,
    contiguous_format,
    output_strides,
    preserve_format,
    spec_of,
)
from numgrad.runtime import memory
from numgrad.runtime.fast import start as fast
from numgrad.tensor import inference, nested, shaping
from numgrad.tensor.arguments import (
    as_int,
    as_number,
    cast,
    check_tensor,
    dtype_of_number,
    number_within,
    size_of,
)
from numgrad.tensor.known import UNDEFINED
from numgrad.tensor.surface import public
from numgrad.tensor.tensor import Tensor

_byte_in: Any = ctypes.c_char.from_buffer


def finished(tensor: Tensor, requires_grad: bool, memory_format: Any = preserve_format) -> Tensor:
    """A new tensor, marked as made in inference mode or as a leaf that requires a gradient, where that applies."""
    if memory_format is not preserve_format and memory_format is not None:
        tensor = shaping.to_format(tensor, memory_format)
    if modes.inference:
        inference.mark(tensor)
    if requires_grad:
        if not tensor.dtype.is_floating_point:
            raise RuntimeError(
                f"Only Tensors of floating point dtype can require gradients, this one is {tensor.dtype}"
            )
        tensor._requires_grad = True
    return tensor


@public("function")
def tensor(data: Any, *, dtype: Dtype | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor with a copy of ``data``: a number, (nested) sequences of numbers, a NumPy array or a tensor.

    Python floats get the default dtype, ints int64; arrays and numbers of NumPy keep their dtype. With ``dtype`` each number
    is converted to it directly, with all of its digits.

    Raises
    ------
    ValueError
        The sequences differ in length, or hold a tensor of more than one element or an int of more than 64 bits.
    TypeError
        The data have no dtype of numgrad, or ``dtype`` is not a dtype.
    RuntimeError
        ``requires_grad`` with a dtype that is not floating point, something that is not a number, or a Python number that an
        integer ``dtype`` does not have (arrays wrap around, as in torch).

    >>> import numgrad as ng
    >>> ng.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    """
    chosen = None if dtype is None else dtypes.as_dtype("tensor", dtype)
    few = nested.of_few(data, chosen, uninitialized) if modes.capture is None else None
    if few is not None:
        return finished(few, requires_grad)
    if isinstance(data, TensorBase):
        array, natural = data._array(), data._spec.dtype  # type: ignore[attr-defined]
    elif isinstance(data, (np.ndarray, np.generic)) or (data.__class__ is not list and hasattr(data, "__array__")):
        array = _known_array(np.asarray(data), chosen)
        natural = dtypes.from_numpy_dtype(array.dtype)
    else:
        # Numbers become halves by way of float32, as everything does.
        array, natural = nested.array_of(data, dtypes.float32 if chosen is not None and chosen.is_half else chosen)
    if (copy := uninitialized(natural, array.shape, None))._spec.numel:
        if modes.capture is not None:
            modes.capture.fills(copy, data)
        copy._memory()[...] = array
    return finished(copy if chosen is None else cast(copy, chosen), requires_grad)


# NumPy's dtypes that numgrad lacks, with dtypes that hold their values (of longer floats and unsigned integers, nearly all).
_WIDENED = {"e": "f4", "g": "f8", "H": "i4", "I": "i8", "L": "i8", "Q": "i8", "l": "i8", "q": "i8"}


def _known_array(array: np.ndarray, chosen: Dtype | None) -> np.ndarray:
    """The array in a dtype of numgrad. A foreign dtype is converted only if another dtype was chosen anyway."""
    if chosen is None or array.dtype.kind not in "biuf":
        dtypes.from_numpy_dtype(array.dtype)
        return array
    return array.astype(_WIDENED.get(array.dtype.char, array.dtype.newbyteorder("=")), copy=False)


@public("function")
def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor over a NumPy array's own memory: changes of either show in the other.

    Raises
    ------
    TypeError
        numgrad does not have the dtype, or ``array`` is not an array.
    ValueError
        The array is read-only, misaligned, not in the machine's byte order, or has strides that no tensor can have.

    >>> import numpy as np
    >>> import numgrad as ng
    >>> array = np.zeros(3)
    >>> x = ng.from_numpy(array)
    >>> array[0] = 7
    >>> x
    tensor([7., 0., 0.], dtype=numgrad.float64)
    """
    tensor = fast.run_over(_arrays, array)
    return _over(array) if tensor is None else tensor


_arrays: dict[Any, tuple[Spec, int]] = {}  # by dtype and shape, for machine code
_MOST_ARRAYS = 1 << 12


def _over(array: np.ndarray) -> Tensor:
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(array).__name__})")
    dtype = dtypes.from_numpy_dtype(array.dtype)
    is_plain = array.flags.carray and array.dtype.isnative  # row-major, aligned and writeable
    if not (is_plain or _is_shareable(array)):
        raise ValueError(
            f"from_numpy: the array (strides {array.strides}, writeable {array.flags.writeable}) can't be shared; numgrad needs "
            "writeable, aligned, native memory without negative strides: pass array.copy()"
        )
    strides = None if is_plain else tuple(s // array.itemsize for s in array.strides)
    spec = spec_of(dtype, array.shape, strides)
    if is_plain and spec.numel:
        if len(_arrays) >= _MOST_ARRAYS:
            _arrays.clear()
        _arrays[array.dtype, array.shape] = spec, spec.nbytes
    # By its buffer an array's address is found in a tenth of the time.
    address = ctypes.addressof(_byte_in(array)) if is_plain and spec.numel else array.__array_interface__["data"][0]
    shared: Tensor = tensor_over(Tensor, memory.Storage(address, spec.nbytes, array), spec, address)
    if modes.capture is not None:
        modes.capture.fills(shared, array)
    return shared


def _is_shareable(array: np.ndarray) -> bool:
    flags = array.flags
    if not (flags.aligned and flags.writeable and array.dtype.isnative):
        return False
    return flags.c_contiguous or not any(s < 0 or s % array.itemsize for s in array.strides)


@public("function")
def as_tensor(data: Any, dtype: Dtype | None = None, device: Any = None) -> Tensor:
    """``data`` as a tensor, without a copy where it can share memory; an array that `from_numpy` refuses is copied.

    A tensor of the right dtype is returned itself, and an array of the right dtype shares its memory. Everything else is
    converted by `tensor`.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As `tensor`.

    >>> import numgrad as ng
    >>> x = ng.ones(2)
    >>> ng.as_tensor(x) is x, ng.as_tensor([1, 2], dtype=ng.float64)
    (True, tensor([1., 2.], dtype=numgrad.float64))
    """
    if dtype is None and device is None and (shared := fast.run_over(_arrays, data)) is not None:
        return shared  # type: ignore[no-any-return]
    on_cpu("as_tensor", device)
    chosen = None if dtype is None else dtypes.as_dtype("as_tensor", dtype)
    if isinstance(data, Tensor):
        return data if chosen is None else cast(data, chosen)
    if isinstance(data, np.ndarray) and _is_shareable(data) and (chosen is None or chosen.numpy == data.dtype):
        return from_numpy(data)
    return tensor(data, dtype=chosen)


@public("function", known=UNDEFINED)
def empty(
    *size: Any, dtype: Dtype | None = None, requires_grad: bool = False, memory_format: Any = contiguous_format
) -> Tensor:
    """A tensor of this size, ints or one tuple of them, whose elements are whatever the memory held.

    Raises
    ------
    RuntimeError
        An extent is negative, or ``requires_grad`` with a dtype that is not floating point.
    TypeError
        An extent is not an int, or ``dtype`` is not a dtype.

    >>> import numgrad as ng
    >>> ng.empty(2, 3).shape
    numgrad.Size([2, 3])
    """
    shape = checked_size("empty", size)
    known = memory_format is None or memory_format is contiguous_format
    is_last = not known and as_memory_format("empty", memory_format, len(shape)) is channels_last
    strides = channels_last_strides(shape) if is_last else None
    return finished(uninitialized(chosen_dtype("empty", dtype), shape, strides), requires_grad)


def uninitialized(dtype: Dtype, shape: tuple[int, ...], strides: tuple[int, ...] | None) -> Tensor:
    """New memory of this layout, which may be private; None: row-major."""
    spec = spec_of(dtype, shape, strides)
    storage = memory.allocate(spec.nbytes)
    return tensor_over(Tensor, storage, spec, storage.address)  # type: ignore[no-any-return]


def checked_size(name: str, size: tuple[Any, ...]) -> tuple[int, ...]:
    """A shape given as one argument or as several; negative extents and sizes beyond the memory are refused."""
    shape, numel = size_of(name, size), 1
    for extent in shape:
        if extent < 0:
            raise RuntimeError(f"{name}: Trying to create tensor with negative dimension: {list(shape)}")
        numel *= extent or 1
    if numel >= 1 << 60:  # eight bytes each, and addresses have 63 bits
        raise RuntimeError(f"{name}: Storage size calculation overflowed with sizes={list(shape)}")
    return shape


def chosen_dtype(op: str, dtype: Any, otherwise: Dtype | None = None) -> Dtype:
    """The dtype given to a function; None: ``otherwise``, or else the default dtype."""
    if dtype is None:
        return otherwise or dtypes.get_default_dtype()
    return dtypes.as_dtype(op, dtype)


def _filled(op: str, shape: tuple[int, ...], value: Any, dtype: Dtype) -> Tensor:
    number = number_within(op, value, dtype)
    if number in (0, 1) and math.copysign(1, number) == 1:
        return ops.creation.full(size=shape, value=number, dtype=dtype)  # type: ignore[no-any-return]
    # The number is an input, not a parameter: each parameter has a plan of its own, and -0.0 would share that of 0.0.
    single = constant(number, dtype)
    repeated = tensor_over(Tensor, single._storage, spec_of(dtype, shape, (0,) * len(shape)), single._address)
    return ops.elementwise.clone(repeated)  # type: ignore[no-any-return]


@public("function", known=True)
def full(size: Any, fill_value: Any, *, dtype: Dtype | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor filled with one value, a number or a tensor without dimensions.

    Without ``dtype`` it is bool, int64 or the default dtype, by the kind of number.

    Raises
    ------
    TypeError
        ``fill_value`` is not a number.
    RuntimeError
        The dtype does not have the number.

    >>> import numgrad as ng
    >>> ng.full((2,), 7)
    tensor([7, 7])
    """
    shape = checked_size("full", size if isinstance(size, tuple) else (size,))
    number = as_number(fill_value.item() if isinstance(fill_value, Tensor) and fill_value.ndim == 0 else fill_value)
    if number is None:
        raise TypeError(f"full(): argument 'fill_value' must be Number, not {type(fill_value).__name__}")
    return finished(_filled("full", shape, number, chosen_dtype("full", dtype, dtype_of_number(number))), requires_grad)


@public("function", known=True)
def zeros(*size: Any, dtype: Dtype | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor of zeros of this size, ints or one tuple of them; of the default dtype unless another is given.

    Raises
    ------
    RuntimeError
        An extent is negative, or ``requires_grad`` with a dtype that is not floating point.
    TypeError
        An extent is not an int, or ``dtype`` is not a dtype.

    >>> import numgrad as ng
    >>> ng.zeros(2, 3)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    filling = checked_size("zeros", size), 0, chosen_dtype("zeros", dtype)
    return finished(ops.creation.full.apply((), *filling), requires_grad)


@public("function", known=True)
def ones(*size: Any, dtype: Dtype | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor of ones of this size, ints or one tuple of them; of the default dtype unless another is given.

    Raises
    ------
    RuntimeError, TypeError
        As `zeros`.

    >>> import numgrad as ng
    >>> ng.ones((2,), dtype=ng.int64)
    tensor([1, 1])
    """
    filling = checked_size("ones", size), 1, chosen_dtype("ones", dtype)
    return finished(ops.creation.full.apply((), *filling), requires_grad)


def ones_of(spec: Spec) -> Tensor:
    """Ones with the shape and dtype of a spec, the default cotangent of a backward."""
    tensor = ops.creation.full.apply((), tuple(spec.shape), 1, spec.dtype)
    return finished(tensor, False) if modes.inference else tensor  # type: ignore[no-any-return]


@public("function", known=True)
def zeros_like(
    input: Tensor, *, dtype: Dtype | None = None, requires_grad: bool = False, memory_format: Any = preserve_format
) -> Tensor:
    """Zeros in the shape of a tensor, and in its dtype unless another is given.

    Raises
    ------
    TypeError
        ``input`` is not a tensor, or ``dtype`` is not a dtype.
    RuntimeError
        ``requires_grad`` with a dtype that is not floating point.

    >>> import numgrad as ng
    >>> ng.zeros_like(ng.tensor([[1, 2]]))
    tensor([[0, 0]])
    """
    chosen = _like("zeros_like", input, dtype)
    if chosen is input.dtype:
        return finished(ops.creation.zeros_like(input), requires_grad, memory_format)
    return finished(laid_as(input, zeros(input.shape, dtype=chosen)), requires_grad, memory_format)


@public("function", known=True)
def ones_like(
    input: Tensor, *, dtype: Dtype | None = None, requires_grad: bool = False, memory_format: Any = preserve_format
) -> Tensor:
    """Ones in the shape of a tensor, and in its dtype unless another is given.

    Raises
    ------
    TypeError, RuntimeError
        As `zeros_like`.

    >>> import numgrad as ng
    >>> ng.ones_like(ng.tensor([3, 4]), dtype=ng.float32)
    tensor([1., 1.])
    """
    chosen = _like("ones_like", input, dtype)
    return finished(laid_as(input, ones(tuple(input.shape), dtype=chosen)), requires_grad, memory_format)


@public("function", known=True)
def full_like(
    input: Tensor,
    fill_value: Any,
    *,
    dtype: Dtype | None = None,
    requires_grad: bool = False,
    memory_format: Any = preserve_format,
) -> Tensor:
    """One value in the shape of a tensor, and in its dtype unless another is given.

    Raises
    ------
    TypeError
        ``input`` is not a tensor, ``fill_value`` is not a number, or ``dtype`` is not a dtype.
    RuntimeError
        The dtype does not have the number, or ``requires_grad`` with a dtype that is not floating point.

    >>> import numgrad as ng
    >>> ng.full_like(ng.zeros(2), 7)
    tensor([7., 7.])
    """
    chosen = _like("full_like", input, dtype)
    filled = full(tuple(input.shape), fill_value, dtype=chosen)
    return finished(laid_as(input, filled), requires_grad, memory_format)


@public("function", known=UNDEFINED)
def empty_like(
    input: Tensor, *, dtype: Dtype | None = None, requires_grad: bool = False, memory_format: Any = preserve_format
) -> Tensor:
    """An uninitialised tensor with the shape and dtype (unless another is given) of ``input``, and its layout if that is dense.

    Raises
    ------
    TypeError, RuntimeError
        As `zeros_like`.

    >>> import numgrad as ng
    >>> ng.empty_like(ng.zeros(2, 3).t()).stride()
    (1, 3)
    """
    chosen, spec = _like("empty_like", input, dtype), input._spec
    shape = tuple(spec.shape)
    like = uninitialized(chosen, shape, None if spec.is_contiguous else output_strides(shape, [spec]))
    return finished(like, requires_grad, memory_format)


def laid_as(input: Tensor, tensor: Tensor) -> Tensor:
    """A tensor of the shape of ``input`` in the layout of ``input``, if that is dense and not private."""
    spec, strides = input._spec, tuple(tensor._spec.strides)
    if not (spec.is_contiguous or spec.is_private):
        strides = output_strides(tuple(spec.shape), [spec])
    return tensor if strides == tuple(tensor._spec.strides) else ops.creation.to_strides(tensor, strides=strides)


def _like(op: str, input: Tensor, dtype: Any) -> Dtype:
    return chosen_dtype(op, dtype, check_tensor(op, "input", input).dtype)


@public("function", known=True)
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
        if end.__class__ is int and step.__class__ is int and end >= 0 and step == 1 and dtype is None:  # the commonest
            return finished(ops.creation.arange.apply((), 0, 1, end, dtypes.int64), requires_grad)
    numbers = [bound("arange", name, value) for name, value in (("start", start), ("end", end), ("step", step))]
    chosen = None if dtype is None else dtypes.as_dtype("arange", dtype)
    if not all(map(math.isfinite, numbers)):
        raise RuntimeError(f"arange: unsupported range: {start} -> {end}")
    if chosen is not None and chosen.category == 1:
        numbers = [int(number_within("arange", number, dtypes.int64)) for number in numbers]
    first, last, stride = numbers
    if stride == 0:
        raise RuntimeError("arange: step must be nonzero")
    if (last - first) * stride < 0:
        raise RuntimeError(f"arange: upper bound and lower bound inconsistent with step sign: {start}, {end}, {step}")
    floating = any(isinstance(number, float) for number in numbers)
    if chosen is None:
        chosen = dtypes.get_default_dtype() if floating else dtypes.int64
    count = math.ceil((last - first) / stride) if floating else -((first - last) // stride)
    return finished(ops.creation.arange.apply((), first, stride, int(count), chosen), requires_grad)


def bound(op: str, name: str, value: Any) -> float:
    """A number, given as such or as a tensor without dimensions."""
    if value.__class__ is int or value.__class__ is float:
        return value  # type: ignore[no-any-return]
    number = as_number(value.item() if isinstance(value, Tensor) and value.ndim == 0 else value)
    if number is None:
        raise TypeError(f"{op}(): argument '{name}' must be Number, not {type(value).__name__}")
    return number


@public("function", known=True)
def eye(n: int, m: int | None = None, *, dtype: Dtype | None = None, requires_grad: bool = False) -> Tensor:
    """Ones on the diagonal, zeros elsewhere: a matrix [n, m], or [n, n] without m.

    Raises
    ------
    RuntimeError
        An extent is negative.
    TypeError
        An extent is not an int.

    >>> import numgrad as ng
    >>> ng.eye(2, 3)
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    extents = [as_int("eye", name, n if value is None else value) for name, value in (("n", n), ("m", m))]
    for name, extent in zip("nm", extents, strict=True):
        if extent < 0:
            raise RuntimeError(f"eye: {name} must be greater or equal to 0, got {extent}")
    checked_size("eye", tuple(extents))
    return finished(ops.creation.eye.apply((), *extents, chosen_dtype("eye", dtype)), requires_grad)
