"""Arguments in torch's forms: dimensions counted from the end, shapes in one or many, numbers, type promotion."""

from __future__ import annotations

import builtins
import math
import operator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from numgrad import dtypes, ops
from numgrad.dtypes import dtype as Dtype
from numgrad.engine.constants import constant
from numgrad.engine.tape import TensorBase
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
        It is no int.
    """
    dim = as_int(op, "dim", dim)
    low, high = (-ndim, ndim - 1) if ndim else (-1, 0)
    if not low <= dim <= high:
        raise IndexError(f"{op}: Dimension out of range (expected to be in range of [{low}, {high}], but got {dim})")
    return dim % builtins.max(ndim, 1)


def reduced_dims(
    op: str, dim: Any, ndim: int, keepdim: Any = False, *, empty_means_all: bool = True
) -> tuple[int, ...]:
    """Sorted dimensions of a reduction: all for None, and, as in torch, for an empty list, but in `any`, `all` and `squeeze`.

    Raises
    ------
    IndexError
        There is no such dimension.
    RuntimeError
        A dimension is named twice.
    TypeError
        A dimension is no int, or ``keepdim`` no bool.
    """
    if keepdim is not False and keepdim is not True and not isinstance(keepdim, np.bool_):
        raise TypeError(
            f"{op}(): argument 'keepdim' must be bool, not {type(keepdim).__name__}; several dims are given as a tuple"
        )
    if dim is None or (empty_means_all and isinstance(dim, (tuple, list)) and not dim):
        return tuple(range(ndim))
    given = dim if isinstance(dim, (tuple, list)) else (dim,)
    wrapped = [wrap_dim(op, d, ndim) for d in given]
    if len(set(wrapped)) != len(wrapped):
        twice = next(d for d in wrapped if wrapped.count(d) > 1)
        raise RuntimeError(f"{op}: dim {twice} appears multiple times in the list of dims {tuple(given)}")
    return tuple(sorted(wrapped)) if ndim else ()


def size_of(op: str, size: tuple[Any, ...]) -> tuple[int, ...]:
    """A shape given as ``f(2, 3)`` or ``f((2, 3))``.

    Raises
    ------
    TypeError
        An extent is not an int.
    """
    given = size[0] if len(size) == 1 and isinstance(size[0], (tuple, list)) else size
    for extent in given:
        if extent.__class__ is not int:
            break
    else:
        return tuple(given)
    for extent in given:
        if isinstance(extent, (bool, np.bool_, float, str)) or not hasattr(extent, "__index__"):
            raise TypeError(
                f"{op}(): argument 'size' must be tuple of ints, but found element of type {type(extent).__name__}"
            )
    return tuple(operator.index(extent) for extent in given)


def check_tensor(op: str, name: str, value: Any) -> Any:
    """``value``, if it is a tensor.

    Raises
    ------
    TypeError
        It is not.
    """
    if not isinstance(value, TensorBase):
        raise TypeError(f"{op}(): argument '{name}' must be Tensor, not {type(value).__name__}")
    return value


def as_int(op: str, name: str, value: Any) -> int:
    """A Python int; NumPy's ints and integer tensors without dimensions are taken as well.

    A bool would pass for 0 or 1 and stand in a plan's shapes, which are found again by a key that takes 1 for True.

    Raises
    ------
    TypeError
        It is something else, a bool or a float for instance.
    """
    if value.__class__ is int:
        return value  # type: ignore[no-any-return]
    several = isinstance(value, TensorBase) and value._spec.ndim > 0
    if several or isinstance(value, (builtins.bool, np.bool_)) or not hasattr(value, "__index__"):
        raise TypeError(f"{op}(): argument '{name}' must be int, not {type(value).__name__}")
    return int(value.__index__())


def shape_of(op: str, other: Any) -> tuple[int, ...]:
    """The shape of an argument that has to be a tensor."""
    return tuple(check_tensor(op, "other", other)._spec.shape)


# ---- numbers beside tensors -------------------------------------------------------------------------------------

Number: TypeAlias = builtins.bool | int | float


def as_number(value: Any) -> Number | None:
    """A number of Python or NumPy as one of Python's, with all of its digits; None for everything else.

    >>> import numpy as np
    >>> as_number(np.int64(3)), as_number(np.float32(0.5)), as_number("3")
    (3, 0.5, None)
    """
    kind = value.__class__
    if kind is int or kind is float or kind is builtins.bool:
        return value  # type: ignore[no-any-return]
    if isinstance(value, np.bool_):
        return builtins.bool(value)
    if isinstance(value, (int, np.integer)):  # also what is derived from int, such as an IntEnum
        return int(value)
    if isinstance(value, np.ndarray) and value.ndim == 0:  # NumPy's comparisons make one of a number before they ask
        return as_number(value[()])
    return float(value) if isinstance(value, (float, np.floating)) else None


def dtype_of_number(value: Number) -> Dtype:
    """The dtype that a Python number has where no tensor decides."""
    if isinstance(value, builtins.bool):
        return dtypes.bool_
    return dtypes.int64 if isinstance(value, int) else dtypes.get_default_dtype()


def number_within(op: str, value: Number, dtype: Dtype) -> Number:
    """A number that is to become an element, as one that the dtype has: fractions are cut off for integers, as in torch.

    Raises
    ------
    RuntimeError
        The dtype has no such number. Negative ints count from the end of unsigned integers, as they do in torch.
    """
    if dtype.is_bool:
        return builtins.bool(value)
    if dtype.is_floating_point and isinstance(value, float) and not math.isfinite(value):
        return value
    lowest = -dtype.largest if dtype.smallest == 0 and isinstance(value, int) else dtype.smallest
    if lowest <= value <= dtype.largest:
        return float(value) if dtype.is_floating_point else math.trunc(value)
    raise RuntimeError(f"{op}: value {value} cannot be converted to type {dtype.name} without overflow")


def as_operand(value: Any, dtype: Dtype) -> Tensor:
    """A number, array or tensor as a tensor of this dtype.

    Raises
    ------
    TypeError
        It is none of these.
    """
    if isinstance(value, TensorBase):
        return cast(value, dtype)  # type: ignore[arg-type]
    number = as_number(value)
    if number is not None:
        return constant(number, dtype)  # type: ignore[return-value]
    if isinstance(value, (np.ndarray, np.generic)):
        from numgrad.tensor import creation

        # A copy: autograd could not know when somebody changes the array.
        return cast(creation.tensor(value), dtype)
    raise _unknown(value)


def as_element(op: str, value: Any, dtype: Dtype) -> Tensor:
    """As `as_operand`, where the value becomes elements and a number that the dtype does not have is refused."""
    kind = value.__class__
    fits = (kind is float and dtype.is_floating_point) or (kind is int and not dtype.is_bool)
    if fits and dtype.smallest <= value <= dtype.largest:
        return constant(value, dtype)  # type: ignore[return-value]
    number = as_number(value)
    return as_operand(value, dtype) if number is None else constant(number_within(op, number, dtype), dtype)  # type: ignore[return-value]


def as_input(op: Any, place: int, value: Any, dtype: Dtype) -> Tensor:
    """As `as_operand`, for an input of an op: a number that the dtype does not have wraps where that makes no difference.

    Raises
    ------
    OverflowError
        It is beyond int64.
    RuntimeError
        It would make one.
    """
    number = as_number(value)
    if number is not None and dtype.category == 1 and not dtype.smallest <= number <= dtype.largest:
        _check_int64(number)
        if op.inputs[place] not in op.modular:
            raise RuntimeError(
                f"{op.name}: value {number} cannot be converted to type {dtype.name} without overflow; convert the tensor with "
                ".long()"
            )
    return as_operand(value, dtype)


def compared_dtype(dtype: Dtype, values: tuple[Any, ...]) -> Dtype:
    """The dtype that has all values of operands that are compared, where promotion gives the integer ``dtype``.

    The number -1, and a tensor without dimensions that holds it, are less than all of uint8, and not 255.

    Raises
    ------
    OverflowError
        There is none: a number is beyond int64.
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
    return OperandError(f"expected a Tensor, a number or a NumPy array, got {type(value).__name__}")


def result_type(*values: Any) -> Dtype:
    """The dtype of an operation between tensors and numbers, by torch's rules.

    A tensor without dimensions, and a number of Python or NumPy still less, changes the dtype only if it is of a higher
    category (bool, integer, floating point).

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
    """In another dtype; the tensor itself if it has that already."""
    return input if input._spec.dtype is dtype else ops.creation.cast(input, dtype=dtype)  # type: ignore[no-any-return]


def conversion(
    op: str, args: tuple[Any, ...], dtype: Any, device: Any, copy: builtins.bool
) -> tuple[Dtype | None, builtins.bool]:
    """The dtype, if there is one, and whether to copy, of ``to`` in all of torch's forms.

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
        elif isinstance(value, str):
            device = value
        elif value is not None:
            dtype = dtypes.as_dtype(op, value)
    if device is not None and str(device).partition(":")[0] != "cpu":
        raise RuntimeError(f"{op}: device is {device!r}, expected 'cpu', the only one that numgrad has")
    return (None if dtype is None else dtypes.as_dtype(op, dtype)), copy or (len(flags) > 1 and flags[1])
