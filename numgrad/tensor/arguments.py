"""Checks and conversions of arguments in torch's forms: dimensions, shapes, numbers, type promotion.

The public functions of this package call them before they apply an op.
"""

from __future__ import annotations

import builtins
import math
import operator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from numgrad import devices, dtypes, ops
from numgrad.dtypes import dtype as Dtype
from numgrad.engine.constants import constant
from numgrad.engine.tape import TensorBase, modes
from numgrad.errors import OperandError

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


def wrap_dim(op: str, dim: int, ndim: int) -> int:
    """A dimension counted from the front.

    Raises
    ------
    IndexError
        There is no such dimension.
    TypeError
        ``dim`` is not an int.
    """
    if dim.__class__ is int and -ndim <= dim < ndim:
        return dim if dim >= 0 else dim + ndim
    dim = as_int(op, "dim", dim)
    low, high = (-ndim, ndim - 1) if ndim else (-1, 0)
    if not low <= dim <= high:
        raise IndexError(f"{op}: Dimension out of range (expected to be in range of [{low}, {high}], but got {dim})")
    return dim % builtins.max(ndim, 1)


def reduced_dims(
    op: str, dim: Any, ndim: int, keepdim: Any = False, *, empty_means_all: bool = True
) -> tuple[int, ...]:
    """The sorted dimensions of a reduction. None means all; so does an empty list, except in `any`, `all` and `squeeze`.

    Raises
    ------
    IndexError
        There is no such dimension.
    RuntimeError
        A dimension is given twice.
    TypeError
        A dimension is not an int, or ``keepdim`` is not a bool.
    """
    if keepdim is not False and keepdim is not True and not isinstance(keepdim, np.bool_):
        raise TypeError(
            f"{op}(): argument 'keepdim' must be bool, not {type(keepdim).__name__}; several dims are given as a tuple"
        )
    if dim is None or (empty_means_all and isinstance(dim, (tuple, list)) and not dim):
        return tuple(range(ndim))
    dims = dim if isinstance(dim, (tuple, list)) else (dim,)
    wrapped = [wrap_dim(op, d, ndim) for d in dims]
    if len(set(wrapped)) != len(wrapped):
        twice = next(d for d in wrapped if wrapped.count(d) > 1)
        raise RuntimeError(f"{op}: dim {twice} appears multiple times in the list of dims {tuple(dims)}")
    return tuple(sorted(wrapped)) if ndim else ()


def size_of(op: str, size: tuple[Any, ...]) -> tuple[int, ...]:
    """A shape given as ``f(2, 3)`` or ``f((2, 3))``.

    Raises
    ------
    TypeError
        An extent is not an int.
    """
    extents = size[0] if len(size) == 1 and isinstance(size[0], (tuple, list)) else size
    for extent in extents:
        if extent.__class__ is not int:
            break
    else:
        return tuple(extents)
    for extent in extents:
        if isinstance(extent, (bool, np.bool_, float, str)) or not hasattr(extent, "__index__"):
            raise TypeError(
                f"{op}(): argument 'size' must be tuple of ints, but found element of type {type(extent).__name__}"
            )
    return tuple(operator.index(extent) for extent in extents)


def check_tensor(op: str, name: str, value: Any) -> Any:
    """Return ``value`` if it is a tensor.

    Raises
    ------
    TypeError
        ``value`` is not a tensor.
    """
    if not isinstance(value, TensorBase):
        raise TypeError(f"{op}(): argument '{name}' must be Tensor, not {kind_of(value)}")
    return value


def as_int(op: str, name: str, value: Any) -> int:
    """A Python int, from an int, an int of NumPy or an integer tensor without dimensions.

    Bools are refused: a plan with True in its shapes would be taken for the plan with 1, since their keys are equal.

    Raises
    ------
    TypeError
        ``value`` is something else, such as a bool or a float.
    """
    if value.__class__ is int:
        return value  # type: ignore[no-any-return]
    several = getattr(value, "ndim", 0) > 0
    if several or isinstance(value, (builtins.bool, np.bool_)) or not hasattr(value, "__index__"):
        raise TypeError(f"{op}(): argument '{name}' must be int, not {type(value).__name__}")
    return int(value.__index__())


def shape_of(op: str, other: Any) -> tuple[int, ...]:
    """The shape of an argument that has to be a tensor."""
    return tuple(check_tensor(op, "other", other)._spec.shape)


# ---- numbers beside tensors -------------------------------------------------------------------------------------

Number: TypeAlias = builtins.bool | int | float


def as_number(value: Any) -> Number | None:
    """A number of Python or NumPy as a Python number, with all of its digits; None for everything else.

    >>> import numpy as np
    >>> as_number(np.int64(3)), as_number(np.float32(0.5)), as_number("3")
    (3, 0.5, None)
    """
    kind = value.__class__
    if kind is int or kind is float or kind is builtins.bool:
        return value  # type: ignore[no-any-return]
    if isinstance(value, np.bool_):
        return builtins.bool(value)
    if isinstance(value, (int, np.integer)):  # includes subclasses of int, such as an IntEnum
        return int(value)
    if isinstance(value, np.ndarray) and value.ndim == 0:  # NumPy's comparisons make an array of a number
        return as_number(value[()])
    return float(value) if isinstance(value, (float, np.floating)) else None


def dtype_of_number(value: Number) -> Dtype:
    """The dtype of a Python number, unless a tensor beside it decides."""
    if isinstance(value, builtins.bool):
        return dtypes.bool_
    return dtypes.int64 if isinstance(value, int) else dtypes.get_default_dtype()


def number_within(op: str, value: Number, dtype: Dtype) -> Number:
    """A number as a value of the dtype, to become an element. Integer dtypes cut off fractions, as in torch.

    Raises
    ------
    RuntimeError
        The dtype has no such number. In unsigned dtypes negative ints count from the end, as in torch.
    """
    if dtype.is_bool:
        return builtins.bool(value)
    if dtype.is_floating_point and isinstance(value, float) and not math.isfinite(value):
        return value
    if dtype.is_half:  # too large a number becomes infinite
        return float(value)
    lowest = -dtype.largest if dtype.smallest == 0 and isinstance(value, int) else dtype.smallest
    if lowest <= value <= dtype.largest:
        return float(value) if dtype.is_floating_point else math.trunc(value)
    raise RuntimeError(f"{op}: value {value} cannot be converted to type {dtype.name} without overflow")


def as_operand(value: Any, dtype: Dtype) -> Tensor:
    """A number, array or tensor as a tensor of this dtype.

    Raises
    ------
    TypeError
        ``value`` is none of these.
    """
    if isinstance(value, TensorBase):
        return cast(value, dtype)  # type: ignore[arg-type]
    number = as_number(value)
    if number is not None:
        return constant(number, dtype)  # type: ignore[return-value]
    if isinstance(value, (np.ndarray, np.generic)):
        from numgrad.tensor import creation

        refuse_own_rules(value)
        if modes.capture is not None:
            modes.capture.array(value)
        # A copy, since autograd would not notice a change of the array.
        return cast(creation.tensor(value), dtype)
    raise _unknown(value)


def refuse_own_rules(array: Any) -> None:
    """Refuse arrays whose classes compute by other rules than `numpy.ndarray`: masked ones and matrices.

    Raises
    ------
    TypeError
        It is one.

    >>> refuse_own_rules(np.ma.array([1.0], mask=[True]))
    Traceback (most recent call last):
    TypeError: a masked array would lose its mask: pass x.filled(value), or its data and mask to where
    """
    if (
        array.__class__ is np.ndarray
        or isinstance(array, np.generic)
        or not isinstance(array, (np.matrix, np.ma.MaskedArray))
    ):
        return
    if isinstance(array, np.matrix):
        raise TypeError("numpy.matrix has a product and shapes of its own: pass numpy.asarray(x)")
    raise TypeError("a masked array would lose its mask: pass x.filled(value), or its data and mask to where")


def kind_of(value: Any) -> str:
    """How messages name a value of a class that was not expected.

    >>> kind_of([1])
    'list'
    """
    name = type(value).__name__
    holds = isinstance(getattr(value, "tensor", None), TensorBase)
    return f"{name} over a tensor; pass its .tensor, or take the function of numgrad.numpy" if holds else name


def as_element(op: str, value: Any, dtype: Dtype) -> Tensor:
    """As `as_operand`, for a value that becomes elements: a number that the dtype does not have is refused."""
    kind = value.__class__
    fits = (kind is float and dtype.is_floating_point) or (kind is int and not dtype.is_bool)
    if fits and dtype.smallest <= value <= dtype.largest:
        return constant(value, dtype)  # type: ignore[return-value]
    number = as_number(value)
    return as_operand(value, dtype) if number is None else constant(number_within(op, number, dtype), dtype)  # type: ignore[return-value]


def as_input(op: Any, position: int, value: Any, dtype: Dtype) -> Tensor:
    """As `as_operand`, for an input of an op. A number that the dtype does not have wraps if the op's result allows it.

    Raises
    ------
    OverflowError
        The number is beyond int64.
    RuntimeError
        Wrapping the number would change the result.
    """
    number = as_number(value)
    if number is not None and dtype.category == 1 and not dtype.smallest <= number <= dtype.largest:
        _check_int64(number)
        if op.inputs[position] not in op.modular:
            raise RuntimeError(
                f"{op.name}: value {number} cannot be converted to type {dtype.name} without overflow; convert the tensor with "
                ".long()"
            )
    return as_operand(value, dtype)


def compared_dtype(dtype: Dtype, values: tuple[Any, ...]) -> Dtype:
    """The dtype for comparing operands exactly, where promotion gives the integer ``dtype``.

    The number -1, and a tensor without dimensions that holds it, are less than every uint8; they do not become 255.

    Raises
    ------
    OverflowError
        A number is beyond int64.
    """
    numbers = [number for value in values if (number := as_number(value)) is not None]
    for value in values:
        if isinstance(value, TensorBase):
            dtype = dtypes.promote_types(dtype, value._spec.dtype)
        elif isinstance(value, np.ndarray):
            dtype = dtypes.promote_types(dtype, dtypes.from_numpy_dtype(value.dtype))
    if all(dtype.smallest <= number <= dtype.largest for number in numbers):
        return dtype
    for number in numbers:
        _check_int64(number)
    return dtypes.int64


def _check_int64(number: Number) -> None:
    if not dtypes.int64.smallest <= number <= dtypes.int64.largest:
        raise OverflowError(f"int too big to convert: {number} is beyond int64; convert the tensor with .double()")


def _unknown(value: Any) -> OperandError:
    return OperandError(f"expected a Tensor, a number or a NumPy array, got {kind_of(value)}")


def result_type(*values: Any) -> Dtype:
    """The dtype of an operation between tensors and numbers, by torch's rules.

    Tensors with dimensions come first, then tensors without, then numbers of Python or NumPy. A later kind changes the
    dtype only if it is of a higher category (bool, integer, floating point).

    Raises
    ------
    TypeError
        A value is neither a tensor nor a number; for two dtypes there is `promote_types`.

    >>> import numgrad as ng
    >>> ng.result_type(ng.ones(2), 1.5), ng.result_type(ng.arange(2), 1.5)
    (numgrad.float32, numgrad.float32)
    """
    best: list[Dtype | None] = [None, None, None]  # tensors with dimensions, without, numbers
    for value in values:
        if isinstance(value, TensorBase):
            rank, dtype = (0 if value._spec.ndim else 1), value._spec.dtype
        elif (number := as_number(value)) is not None:
            rank, dtype = 2, dtype_of_number(number)
        elif isinstance(value, (np.ndarray, np.generic)):
            rank, dtype = (0 if value.ndim else 1), dtypes.from_numpy_dtype(value.dtype)
        elif isinstance(value, Dtype):
            raise OperandError(f"expected a Tensor or a number, got {value}; for dtypes there is promote_types")
        else:
            raise _unknown(value)
        before = best[rank]
        best[rank] = dtype if before is None or before is dtype else dtypes.promote_types(before, dtype)
    result: Dtype | None = None
    for candidate in best:
        if candidate is not None and (result is None or candidate.category > result.category):
            result = candidate
    if result is None:
        raise TypeError("result_type(): expected tensors or numbers, got nothing")
    return result


def cast(input: Tensor, dtype: Dtype) -> Tensor:
    """The tensor in another dtype; itself if it has that dtype already."""
    return input if input._spec.dtype is dtype else ops.creation.cast(input, dtype=dtype)  # type: ignore[no-any-return]


def conversion(
    op: str, args: tuple[Any, ...], dtype: Any, device: Any, copy: builtins.bool
) -> tuple[Dtype | None, builtins.bool]:
    """The dtype (or None) and the copy flag of a call of ``to``, in any of torch's forms.

    Raises
    ------
    RuntimeError
        The device is not the CPU.
    TypeError
        An argument is neither a dtype, nor a tensor, nor a device.
    """
    flags: list[builtins.bool] = []  # non_blocking, copy
    for value in args:
        if isinstance(value, TensorBase):
            dtype = value._spec.dtype
        elif isinstance(value, builtins.bool) and value is not args[0]:
            flags.append(value)
        elif isinstance(value, (str, int, devices.device)):
            device = value
        elif value is not None:
            dtype = dtypes.as_dtype(op, value)
    devices.on_cpu(op, device)
    return (None if dtype is None else dtypes.as_dtype(op, dtype)), copy or (len(flags) > 1 and flags[1])
