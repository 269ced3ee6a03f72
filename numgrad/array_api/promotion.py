"""Dtypes by the standard: promotion, kinds, limits, conversion.

Arrays promote by their dtypes alone, whether they have dimensions or not; Python numbers take the dtype of the array beside them.
What the standard leaves open (integers beside floating point, a float beside an array of integers) is as in the rest of
numgrad. In Tensor's own operators arrays without dimensions count less than others, as in torch.
"""

from __future__ import annotations

import builtins
from typing import Any, NamedTuple

from numgrad import dtypes
from numgrad.array_api.functions import ng
from numgrad.devices import on_cpu
from numgrad.dtypes import dtype as Dtype
from numgrad.engine.tape import TensorBase
from numgrad.tensor import arguments
from numgrad.tensor.tensor import Tensor

bool, uint8, int8, int16, int32, int64 = (
    dtypes.bool_, dtypes.uint8, dtypes.int8, dtypes.int16, dtypes.int32, dtypes.int64,
)  # fmt: skip
float32, float64 = dtypes.float32, dtypes.float64
DTYPES = {each.name: each for each in (bool, int8, int16, int32, int64, uint8, float32, float64)}
_KINDS = {
    "bool": ("bool",),
    "signed integer": ("int8", "int16", "int32", "int64"),
    "unsigned integer": ("uint8",),
    "integral": ("int8", "int16", "int32", "int64", "uint8"),
    "real floating": ("float32", "float64"),
    "complex floating": (),
    "numeric": ("int8", "int16", "int32", "int64", "uint8", "float32", "float64"),
}


def of_kind(name: str, kind: Any) -> dict[str, Dtype]:
    """The dtypes of a kind, or of several, by name.

    Raises
    ------
    ValueError
        There is no such kind.

    >>> of_kind("dtypes", ("bool", "unsigned integer"))
    {'bool': numgrad.bool, 'uint8': numgrad.uint8}
    """
    if isinstance(kind, tuple):
        return {each: dtype for part in kind for each, dtype in of_kind(name, part).items()}
    names = _KINDS.get(kind) if isinstance(kind, str) else None
    if names is None:
        raise ValueError(
            f"{name}: kind is {kind!r}, expected one of {', '.join(map(repr, _KINDS))}, or a tuple of such"
        )
    return {each: DTYPES[each] for each in names}


def _array(name: str, value: Any) -> Tensor:
    """An argument that has to be an array."""
    return arguments.check_tensor(name, "x", value)  # type: ignore[no-any-return]


def _number(name: str, value: Any) -> Any:
    number = arguments.as_number(value)
    if number is None:
        hint = "; there are no complex dtypes" if isinstance(value, complex) else ""
        raise TypeError(f"{name}: got {type(value).__name__}, expected a Tensor or a number (bool, int, float){hint}")
    return number


def with_number(dtype: Dtype, number: float) -> Dtype:
    """The dtype of an array with a Python number beside it: the array's, if it is of the number's kind or a higher one.

    >>> with_number(dtypes.int8, 3), with_number(dtypes.float64, 3), with_number(dtypes.int8, 0.5)
    (numgrad.int8, numgrad.float64, numgrad.float32)
    """
    own = arguments.dtype_of_number(number)
    return dtype if own.category <= dtype.category else own


def operands(name: str, x1: Any, x2: Any) -> tuple[Tensor, Tensor]:
    """Two operands, of which one may be a Python number, in the dtype to which they promote.

    Raises
    ------
    TypeError
        Neither is a Tensor, or one is no number either.
    RuntimeError
        The dtype does not have the number.

    >>> import numgrad as ng
    >>> [x.dtype for x in operands("add", ng.tensor([1], dtype=ng.int8), ng.tensor(2, dtype=ng.int16))]
    [numgrad.int16, numgrad.int16]
    """
    first, second = isinstance(x1, TensorBase), isinstance(x2, TensorBase)
    if first and second:
        dtype, other = x1._spec.dtype, x2._spec.dtype
        if dtype is other:
            return x1, x2
        dtype = dtypes.promote_types(dtype, other)
        return arguments.cast(x1, dtype), arguments.cast(x2, dtype)
    if first:
        dtype = with_number(x1._spec.dtype, number := _number(name, x2))
        return arguments.cast(x1, dtype), arguments.as_element(name, number, dtype)
    if second:
        dtype = with_number(x2._spec.dtype, number := _number(name, x1))
        return arguments.as_element(name, number, dtype), arguments.cast(x2, dtype)
    raise TypeError(f"{name}: got {type(x1).__name__} and {type(x2).__name__}, expected a Tensor for one of them")


def promoted(name: str, arrays: Any) -> list[Tensor]:
    """Several arrays in the dtype to which they promote.

    Raises
    ------
    TypeError
        One is not a Tensor.
    ValueError
        There are none.
    """
    arrays = [_array(name, each) for each in arrays]
    if not arrays:
        raise ValueError(f"{name}: got no arrays, expected at least one")
    dtype = result_type(*arrays)
    return [arguments.cast(each, dtype) for each in arrays]


def result_type(*arrays_and_dtypes: Any) -> Dtype:
    """The dtype to which arrays, dtypes and Python numbers promote.

    Raises
    ------
    ValueError
        There is neither an array nor a dtype.
    TypeError
        An argument is none of the three.

    >>> import numgrad as ng
    >>> result_type(ng.ones(3), ng.tensor(1.0, dtype=ng.float64)), result_type(ng.int8, 5), result_type(ng.uint8, ng.int8)
    (numgrad.float64, numgrad.int8, numgrad.int16)
    """
    result: Dtype | None = None
    numbers: list[Any] = []
    for value in arrays_and_dtypes:
        if isinstance(value, TensorBase):
            dtype = value._spec.dtype
        elif isinstance(value, Dtype):
            dtype = value
        else:
            numbers.append(_number("result_type", value))
            continue
        result = dtype if result is None else dtypes.promote_types(result, dtype)
    if result is None:
        raise ValueError("result_type: got no array and no dtype, expected at least one")
    for number in numbers:
        result = with_number(result, number)
    return result


def can_cast(from_: Any, to: Dtype, /) -> builtins.bool:
    """Whether promotion of ``from_``, a dtype or an array, with the dtype ``to`` gives ``to``.

    >>> can_cast(int8, int16), can_cast(int16, int8), can_cast(int64, float32)
    (True, False, True)
    """
    source = from_._spec.dtype if isinstance(from_, TensorBase) else dtypes.as_dtype("can_cast", from_, "from_")
    return dtypes.promote_types(source, to) is to


def isdtype(dtype: Dtype, kind: Any) -> builtins.bool:
    """Whether a dtype is another one, of a kind such as 'real floating' or 'integral', or one of several of these.

    Raises
    ------
    ValueError
        There is no such kind.
    TypeError
        The first argument is not a dtype.

    >>> isdtype(float32, "real floating"), isdtype(int8, (float32, "bool")), isdtype(float32, "complex floating")
    (True, False, False)
    """
    if not isinstance(dtype, Dtype):
        raise TypeError(f"isdtype: got {type(dtype).__name__}, expected a dtype")
    if isinstance(kind, tuple):
        return any(isdtype(dtype, each) for each in kind)
    return dtype is kind if isinstance(kind, Dtype) else dtype in of_kind("isdtype", kind).values()


class FloatLimits(NamedTuple):
    """The limits of a floating-point dtype."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: Dtype


class IntegerLimits(NamedTuple):
    """The limits of an integer dtype."""

    bits: int
    max: int
    min: int
    dtype: Dtype


def finfo(type: Any, /) -> FloatLimits:
    """The limits of a floating-point dtype, or of an array's.

    Raises
    ------
    TypeError
        The dtype is not floating point.

    >>> finfo(float32).bits, finfo(float32).eps, finfo(float32).dtype
    (32, 1.1920928955078125e-07, numgrad.float32)
    """
    dtype = type._spec.dtype if isinstance(type, TensorBase) else type
    limits = dtypes.finfo(dtype)
    return FloatLimits(limits.bits, limits.eps, limits.max, limits.min, limits.smallest_normal, dtype)


def iinfo(type: Any, /) -> IntegerLimits:
    """The limits of an integer dtype, or of an array's.

    Raises
    ------
    TypeError
        The dtype is not an integer dtype.

    >>> iinfo(uint8)
    IntegerLimits(bits=8, max=255, min=0, dtype=numgrad.uint8)
    """
    dtype = type._spec.dtype if isinstance(type, TensorBase) else type
    limits = dtypes.iinfo(dtype)
    return IntegerLimits(limits.bits, limits.max, limits.min, dtype)


def astype(x: Tensor, dtype: Dtype, /, *, copy: builtins.bool = True, device: Any = None) -> Tensor:
    """The array in another dtype; floating point is cut towards 0 for integers. Without ``copy``, itself if it has the dtype.

    Raises
    ------
    TypeError
        ``x`` is not a Tensor or ``dtype`` not a dtype.
    RuntimeError
        The device is not the CPU.

    >>> import numgrad as ng
    >>> astype(ng.tensor([1.7, -1.7]), int64)
    tensor([ 1, -1])
    """
    on_cpu("astype", device)
    x = _array("astype", x)
    dtype = dtypes.as_dtype("astype", dtype)
    if x._spec.dtype is dtype:
        return ng.clone(x) if copy else x  # type: ignore[no-any-return]
    return arguments.cast(x, dtype)
