"""The element types that files hold, under the names that torch, safetensors and NumPy have for them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


@dataclass(frozen=True)
class StoredDtype:
    """One element type: its names, and the NumPy code of its bytes.

    ``code`` is the type of the bytes in the file. It is the type of the array as well, but for two: bfloat16, which
    NumPy does not have, is stored as uint16 and read as float32; and a boolean is stored as a byte, of which any value
    but 0 means True.
    """

    name: str
    code: str
    torch_storage: str | None
    safetensors: str | None

    @property
    def itemsize(self) -> int:
        """Bytes per element in the file."""
        return np.dtype(self.code).itemsize

    @property
    def array_dtype(self) -> np.dtype:
        """The dtype of the arrays that readers make."""
        return np.dtype({"bfloat16": "f4", "bool": "?"}.get(self.name, self.code))

    def decode(self, raw: np.ndarray, byteorder: str = "little") -> np.ndarray:
        """Turn bytes (a one-dimensional uint8 array) into elements, without a copy where the bytes can stay.

        Examples
        --------
        >>> by_name("bfloat16").decode(np.array([0x80, 0x3F], np.uint8))
        array([1.], dtype=float32)
        """
        stored = raw.view(np.dtype(self.code).newbyteorder("<" if byteorder == "little" else ">"))
        if byteorder != sys.byteorder:
            stored = stored.astype(self.code)
        if self.name == "bool":
            truth: np.ndarray = stored != 0
            return truth
        if self.name == "bfloat16":
            # A bfloat16 is the upper half of the float32 of the same value.
            wide = stored.astype(np.uint32)
            wide <<= 16
            return wide.view(np.float32)
        return stored.view(self.code)

    def encode(self, array: np.ndarray) -> memoryview:
        """The bytes of elements, in C order and little-endian, as files hold them; a copy only where they are not so.

        Raises
        ------
        ValueError
            This is bfloat16, and the float32 values do not fit it.

        Examples
        --------
        >>> bytes(by_name("int16").encode(np.array([1, 256], ">i2")))
        b'\\x01\\x00\\x00\\x01'
        >>> bytes(by_name("bfloat16").encode(np.ones(1, np.float32)))
        b'\\x80?'
        """
        if self.name == "bfloat16":
            bits = np.asarray(array, np.float32, order="C").reshape(-1).view(np.uint32)
            if (bits & 0xFFFF).any():
                raise ValueError("save: float32 values that bfloat16 does not have cannot be stored as bfloat16")
            array = (bits >> 16).astype(np.uint16)
        return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C").reshape(-1).view(np.uint8).data


class Unpacked(NamedTuple):
    """What a tensor holds, as the writers take it; ``dtype_name`` is torch's name of the type to store ('': its own).

    bfloat16, which NumPy does not have, is given as float32 and named here.

    Examples
    --------
    >>> Unpacked(np.ones(3, np.float32), dtype_name="bfloat16").stored.torch_storage
    'BFloat16Storage'
    """

    array: np.ndarray
    requires_grad: bool = False
    dtype_name: str = ""

    @property
    def stored(self) -> StoredDtype | None:
        """The type in the file, or None where no file format has one."""
        return by_name(self.dtype_name) if self.dtype_name else of_array(self.array)


def array_as_tensor(leaf: Any) -> Unpacked | None:
    """The default for what a tensor is: a NumPy array.

    >>> array_as_tensor(np.ones(2)).stored.name, array_as_tensor("text")
    ('float64', None)
    """
    return Unpacked(leaf) if isinstance(leaf, np.ndarray) else None


# In safetensors' own order of types, which its files are sorted by.
DTYPES = (
    StoredDtype("bool", "u1", "BoolStorage", "BOOL"),
    StoredDtype("uint8", "u1", "ByteStorage", "U8"),
    StoredDtype("int8", "i1", "CharStorage", "I8"),
    StoredDtype("int16", "i2", "ShortStorage", "I16"),
    StoredDtype("uint16", "u2", None, "U16"),
    StoredDtype("float16", "f2", "HalfStorage", "F16"),
    StoredDtype("bfloat16", "u2", "BFloat16Storage", "BF16"),
    StoredDtype("int32", "i4", "IntStorage", "I32"),
    StoredDtype("uint32", "u4", None, "U32"),
    StoredDtype("float32", "f4", "FloatStorage", "F32"),
    StoredDtype("complex64", "c8", "ComplexFloatStorage", "C64"),
    StoredDtype("float64", "f8", "DoubleStorage", "F64"),
    StoredDtype("int64", "i8", "LongStorage", "I64"),
    StoredDtype("uint64", "u8", None, "U64"),
    StoredDtype("complex128", "c16", "ComplexDoubleStorage", None),
)

_BY_NAME = {dtype.name: dtype for dtype in DTYPES}


def by_name(name: str) -> StoredDtype:
    """The type of that name, as torch and NumPy spell it.

    Raises
    ------
    KeyError
        There is no such type here.

    Examples
    --------
    >>> by_name("float32").safetensors
    'F32'
    """
    return _BY_NAME[name]


def of_array(array: np.ndarray) -> StoredDtype | None:
    """The type that stores this array, or None where no file format has one (strings, objects, long double).

    Examples
    --------
    >>> of_array(np.zeros(3, ">f4")).name
    'float32'
    """
    return _BY_NAME.get(array.dtype.newbyteorder("=").name)
