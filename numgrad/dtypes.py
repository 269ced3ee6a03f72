"""The dtypes of tensors' elements, the default dtype and torch's promotion rules."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Any, Final

import numpy as np

_LARGEST_HALF: Final = {"float16": 65504.0, "bfloat16": float.fromhex("0x1.fep+127")}


class dtype:  # noqa: N801 (torch's name)
    """Type of a tensor's elements, such as `numgrad.float32`. Only this module makes them, so they compare by identity.

    Attributes
    ----------
    itemsize, is_floating_point, is_signed, is_complex
        Bytes of one element; whether it is floating point; whether it has negative numbers; False.
    is_half
        Whether it is float16 or bfloat16, with which is computed as float32.
    smallest, largest
        The smallest and the largest of its finite numbers.
    numpy
        NumPy's dtype of the same elements; of bfloat16, which NumPy lacks, that of its bits.

    >>> import numgrad as ng
    >>> ng.int8.itemsize, ng.int8.is_floating_point, ng.int8.largest, ng.int8.numpy
    (1, False, 127, dtype('int8'))
    """

    __slots__ = (
        "code",
        "is_bool",
        "is_complex",
        "is_floating_point",
        "is_half",
        "is_signed",
        "itemsize",
        "largest",
        "name",
        "numpy",
        "rank",
        "reader",
        "smallest",
        "torch_name",
    )

    def __init__(self, name: str, code: str, rank: int, torch_name: str) -> None:
        self.name = name
        self.code = code  # as in kernels' declarations
        self.numpy = np.dtype("uint16" if name == "bfloat16" else name)
        self.itemsize = self.numpy.itemsize
        self.rank = rank
        self.is_floating_point = "float" in name
        self.is_half = name in _LARGEST_HALF
        self.is_bool = self.numpy.kind == "b"
        self.is_complex = False
        self.torch_name = torch_name  # as in torch's messages
        largest = _LARGEST_HALF.get(name)
        self.smallest, self.largest = (-largest, largest) if largest else _ends(self.numpy)  # of the finite numbers
        self.is_signed = self.smallest < 0
        self.reader = 0  # address of the words of `runtime.fast.read`, once it is loaded

    def __repr__(self) -> str:
        return f"numgrad.{self.name}"

    def __reduce__(self) -> str:
        return self.name

    @property
    def category(self) -> int:
        """0 bool, 1 integer, 2 floating point: the order of torch's promotion."""
        return 0 if self.is_bool else 2 if self.is_floating_point else 1

    def wrapped(self, value: float) -> float:
        """A value for this dtype; integers out of range wrap around, as sums and products of integer dtypes do.

        Raises
        ------
        OverflowError
            The int has more than 64 bits.

        >>> int8.wrapped(130), uint8.wrapped(-1), float32.wrapped(300)
        (-126, 255, 300)
        """
        if self.category != 1 or self.smallest <= value <= self.largest or not isinstance(value, int):
            return value
        if not -(1 << 63) <= value < 1 << 64:
            raise OverflowError(f"int too big to convert: {value} has more than 64 bits")
        bits = 8 * self.itemsize
        low = value & ((1 << bits) - 1)
        return low - (1 << bits) if low > self.largest else low


def _ends(numpy_dtype: np.dtype) -> tuple[float, float]:
    if numpy_dtype.kind == "f":  # written out, since the first np.finfo takes as long as the rest of this module
        largest = sys.float_info.max if numpy_dtype.itemsize == 8 else float.fromhex("0x1.fffffep+127")
        return -largest, largest
    values = 1 << (8 * numpy_dtype.itemsize)
    return (
        (0, 1)
        if numpy_dtype.kind == "b"
        else (0, values - 1)
        if numpy_dtype.kind == "u"
        else (-values // 2, values // 2 - 1)
    )


bool_: Final = dtype("bool", "b1", 0, "Bool")
uint8: Final = dtype("uint8", "u1", 1, "Byte")
int8: Final = dtype("int8", "i1", 2, "Char")
int16: Final = dtype("int16", "i2", 3, "Short")
int32: Final = dtype("int32", "i4", 4, "Int")
int64: Final = dtype("int64", "i8", 5, "Long")
float16: Final = dtype("float16", "i2", 6, "Half")
bfloat16: Final = dtype("bfloat16", "i2", 7, "BFloat16")
float32: Final = dtype("float32", "f4", 8, "Float")
float64: Final = dtype("float64", "f8", 9, "Double")
half = float16
short, int_, long, float_, double = int16, int32, int64, float32, float64

ALL: Final = (bool_, uint8, int8, int16, int32, int64, float32, float64)  # those that kernels compute with
_BY_NUMPY: Final = {d.numpy: d for d in (*ALL, float16)}
_BY_CODE: Final = {d.code: d for d in ALL}
_BY_TYPE: Final = {bool: bool_, int: int64, float: float64}
_default = float32
when_default_changes: list[Callable[[], None]] = []  # called after the default dtype has changed


def from_numpy_dtype(numpy_dtype: np.dtype) -> dtype:
    """numgrad's dtype of a NumPy array.

    Raises
    ------
    TypeError
        numgrad has no such dtype.

    >>> from_numpy_dtype(np.dtype("float32"))
    numgrad.float32
    """
    match = _BY_NUMPY.get(numpy_dtype) or _BY_NUMPY.get(np.dtype(numpy_dtype).newbyteorder("="))
    if match is None:
        names = ", ".join(d.name for d in ALL)
        raise TypeError(f"can't convert np.ndarray of type {numpy_dtype}. The supported types are: {names}.")
    return match


def by_code(code: str) -> dtype:
    """The dtype that kernels call ``code``.

    >>> by_code("f4")
    numgrad.float32
    """
    return _BY_CODE[code]


def as_dtype(op: str, value: object, argument: str = "dtype") -> dtype:
    """The dtype that an argument stands for: a dtype, or Python's ``bool``, ``int`` or ``float`` for bool, int64, float64.

    Raises
    ------
    TypeError
        The argument is something else.

    >>> as_dtype("zeros", float)
    numgrad.float64
    """
    if isinstance(value, dtype):
        return value
    match = _BY_TYPE.get(value) if isinstance(value, type) else None
    if match is None:
        got = value.__name__ if isinstance(value, type) else repr(value)
        raise TypeError(
            f"{op}(): argument '{argument}' must be a dtype such as numgrad.float32 (or Python's bool, int or float), not {got}"
        )
    return match


def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The smallest dtype that holds both, by torch's table.

    Raises
    ------
    TypeError
        An argument is not a dtype.

    >>> promote_types(int64, float32)
    numgrad.float32
    >>> promote_types(uint8, int8)
    numgrad.int16
    """
    first, second = as_dtype("promote_types", type1, "type1"), as_dtype("promote_types", type2, "type2")
    if first is second:
        return first
    low, high = sorted((first, second), key=lambda d: d.rank)
    if low is uint8 and high is int8:
        return int16
    if low is float16 and high is bfloat16:
        return float32
    return high


def can_cast(from_: dtype, to: dtype) -> bool:
    """Whether torch's promotion rules allow a result of one dtype in a tensor of another: no category is lost.

    Raises
    ------
    TypeError
        An argument is not a dtype.

    >>> can_cast(int64, int8), can_cast(float32, int32)
    (True, False)
    """
    return as_dtype("can_cast", from_, "from_").category <= as_dtype("can_cast", to, "to").category


class iinfo:  # noqa: N801 (torch's name)
    """The limits of an integer dtype: ``min``, ``max``, ``bits``, ``dtype`` (its name).

    Raises
    ------
    TypeError
        The argument is not an integer dtype.

    >>> iinfo(uint8)
    iinfo(min=0, max=255, dtype=uint8)
    """

    def __init__(self, type: dtype) -> None:
        chosen = as_dtype("iinfo", type, "type")
        if chosen.category != 1:
            raise TypeError(
                f"numgrad.iinfo() requires an integer input type, not {chosen}. Use numgrad.finfo for floats"
            )
        self.min, self.max = int(chosen.smallest), int(chosen.largest)
        self.bits, self.dtype = 8 * chosen.itemsize, chosen.name

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"


# Bits behind the point, the smallest exponent, and the resolution.
_DIGITS: Final = {
    "float16": (10, -14, 1e-3),
    "bfloat16": (7, -126, 1e-2),
    "float32": (23, -126, 1e-6),
    "float64": (52, -1022, 1e-15),
}


class finfo:  # noqa: N801 (torch's name)
    """The limits of a floating-point dtype, by default the default dtype.

    Attributes
    ----------
    min, max, eps
        The finite ends, and the step from 1 to the next number.
    tiny, smallest_normal, resolution
        The smallest positive number with all digits (under two names), and a power of 10 that all digits but the last have.
    bits, dtype
        Bits of a number; the dtype's name.

    Raises
    ------
    TypeError
        The argument is not a floating-point dtype.

    >>> import numgrad as ng
    >>> ng.finfo(ng.float32).eps, ng.finfo(ng.float64).max
    (1.1920928955078125e-07, 1.7976931348623157e+308)
    """

    def __init__(self, type: dtype | None = None) -> None:
        chosen = _default if type is None else as_dtype("finfo", type, "type")
        if not chosen.is_floating_point:
            raise TypeError(f"numgrad.finfo() requires a floating point input type, not {chosen}. Use numgrad.iinfo")
        digits, exponent, self.resolution = _DIGITS[chosen.name]
        self.min, self.max = float(chosen.smallest), float(chosen.largest)
        self.eps, self.tiny = 2.0**-digits, 2.0**exponent
        self.smallest_normal = self.tiny
        self.bits, self.dtype = 8 * chosen.itemsize, chosen.name

    def __repr__(self) -> str:
        names = ("resolution", "min", "max", "eps", "smallest_normal", "tiny")
        return f"finfo({', '.join(f'{name}={getattr(self, name):g}' for name in names)}, dtype={self.dtype})"


_WORDS: dict[str, Any] = {"float32": ctypes.c_float, "float64": ctypes.c_double}


def write(address: int, value: float, dtype: dtype) -> None:
    """Write a number as an element at an address; of Python's floats in a tenth of NumPy's time."""
    word = _WORDS.get(dtype.name) if value.__class__ is float else None
    if word is not None:
        word.from_address(address).value = value
        return
    memory: Any = (ctypes.c_char * dtype.itemsize).from_address(address)
    with np.errstate(over="ignore"):
        np.frombuffer(memory, dtype.numpy)[0] = dtype.wrapped(value)


def get_default_dtype() -> dtype:
    """The dtype of new floating-point tensors for which none is given.

    >>> get_default_dtype()
    numgrad.float32
    """
    return _default


def set_default_dtype(d: dtype) -> None:
    """Set the dtype of new floating-point tensors for which none is given: float32, unless it is set to float64.

    Raises
    ------
    TypeError
        ``d`` is not a floating-point dtype.

    >>> import numgrad as ng
    >>> ng.set_default_dtype(ng.float64)
    >>> ng.tensor(0.5).dtype
    numgrad.float64
    >>> ng.set_default_dtype(ng.float32)
    """
    global _default
    if not isinstance(d, dtype) or not d.is_floating_point or d.is_half:
        raise TypeError(f"set_default_dtype: d is {d!r}, expected numgrad.float32 or numgrad.float64")
    _default = d
    for call in when_default_changes:
        call()
