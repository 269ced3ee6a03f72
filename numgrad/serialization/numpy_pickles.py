"""Reads NumPy's scalars and arrays inside a checkpoint's pickle, without NumPy's own unpickling functions."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from numgrad.serialization.dtypes import DTYPES, StoredDtype
from numgrad.serialization.errors import shortened
from numgrad.serialization.records import MAX_DIMS

_CODES = {dtype.array_dtype.str[1:]: dtype for dtype in DTYPES if dtype.name != "bfloat16"}
_ORDERS: dict[str, str] = {"<": "little", ">": "big", "=": sys.byteorder, "|": sys.byteorder}

SCALAR_TYPES = frozenset(dtype.array_dtype.type for dtype in DTYPES)


class DtypeRecord:
    """A NumPy dtype that the pickle is building; its byte order comes later."""

    __slots__ = ("byteorder", "dtype", "is_complete")

    def __init__(self, dtype: StoredDtype) -> None:
        self.dtype = dtype
        self.byteorder: str = sys.byteorder
        self.is_complete = False


class ArrayRecord:
    """An array that the pickle is building; ``value`` is None until its contents come."""

    __slots__ = ("value",)

    def __init__(self, value: Any = None) -> None:
        self.value = value


def dtype_of_code(code: object) -> StoredDtype | None:
    """The numeric dtype of a code such as 'f8', with or without a byte order before it; None for other codes.

    Examples
    --------
    >>> dtype_of_code("f8").name, dtype_of_code("O8")
    ('float64', None)
    """
    return _CODES.get(code) if type(code) is str else None


def why_no_byteorder(state: object) -> str:
    """The reason why a value is not the state of a plain dtype, or ''.

    Examples
    --------
    >>> why_no_byteorder((3, "<", None, None, None, -1, -1, 0))
    ''
    """
    if type(state) is not tuple or not 5 <= len(state) <= 9 or type(state[0]) is not int:
        return "a NumPy dtype's state is not a tuple of 5 to 9 that begins with a version"
    if type(state[1]) is not str or state[1] not in _ORDERS:
        return f"a NumPy dtype's byte order is {shortened(state[1])}, expected '<', '>', '=' or '|'"
    if any(part is not None for part in state[2:5]):
        return "a NumPy dtype has fields or a subarray, which are not read"
    return ""


def set_byteorder(record: DtypeRecord, state: tuple[Any, ...]) -> None:
    """Set the byte order from a state that `why_no_byteorder` has accepted."""
    record.byteorder = _ORDERS[state[1]]
    record.is_complete = True


def why_no_array(record: object, shape: object, raw: bytes) -> str:
    """The reason why bytes are not an array of this dtype and shape, or ''.

    Examples
    --------
    >>> why_no_array(DtypeRecord(dtype_of_code("f8")), (2,), bytes(8))
    'an array of shape (2,) and float64 comes with 8 bytes, expected 16'
    """
    if type(record) is not DtypeRecord:
        return "a NumPy array or scalar comes without a numeric dtype"
    if type(shape) is not tuple or len(shape) > MAX_DIMS or not all(type(n) is int and n >= 0 for n in shape):
        return f"a NumPy array's shape is {shortened(shape)}, expected at most {MAX_DIMS} integers of 0 or more"
    if math.prod(max(extent, 1) for extent in shape) * max(record.dtype.itemsize, 8) >= 2**63:
        return "a NumPy array has a shape larger than an array can be"
    expected = math.prod(shape) * record.dtype.itemsize
    if len(raw) != expected:
        return f"an array of shape {shape} and {record.dtype.name} comes with {len(raw)} bytes, expected {expected}"
    return ""


def array_of(record: DtypeRecord, shape: tuple[int, ...], raw: bytes, fortran: bool) -> np.ndarray:
    """A new, writable array in C order from bytes that `why_no_array` has accepted.

    Raises
    ------
    ValueError
        This version of NumPy does not allow so many dimensions.
    """
    elements = record.dtype.decode(np.frombuffer(raw, np.uint8).copy(), record.byteorder)
    array = elements.reshape(shape, order="F" if fortran else "C")
    return array.copy(order="C") if fortran else array
