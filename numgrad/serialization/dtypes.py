"""The element types in files, under their names in torch, safetensors and NumPy; and `Unpacked`, a tensor for the writers."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


@dataclass(frozen=True)
class StoredDtype:
    """One element type: its names, and the NumPy code of its bytes.

    ``code`` is the type of the bytes in the file. The array has the same type, with two exceptions. NumPy has no bfloat16,
    so it is stored as uint16 and read as float32. A boolean is stored as a byte, in which any value but 0 means True.
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
        """Turn bytes (a one-dimensional uint8 array) into elements, without a copy if possible.

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
            # A bfloat16 is the upper half of the float32 with its value.
            wide = stored.astype(np.uint32)
            wide <<= 16
            return wide.view(np.float32)
        return stored.view(self.code)

    def encode(self, array: np.ndarray) -> memoryview:
        """The bytes of elements for a file, in C order and little-endian; copied only if they differ.

        Raises
        ------
        ValueError
            The type is bfloat16, and the float32 values do not fit it.

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
    """A tensor for the writers; ``dtype_name`` is torch's name of the type to store ('': the array's own).

    bfloat16, which NumPy lacks, is given as float32 with this name.

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
        """The type in the file, or None if no file format has it."""
        return by_name(self.dtype_name) if self.dtype_name else of_array(self.array)


def array_as_tensor(leaf: Any) -> Unpacked | None:
    """The default of ``unpack_tensor``, which takes NumPy arrays for tensors.

    >>> array_as_tensor(np.ones(2)).stored.name, array_as_tensor("text")
    ('float64', None)
    """
    return Unpacked(leaf) if isinstance(leaf, np.ndarray) else None


# In safetensors' order of types, by which its files are sorted.
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
    """The type with this name in torch and NumPy.

    Raises
    ------
    KeyError
        There is no such type.

    Examples
    --------
    >>> by_name("float32").safetensors
    'F32'
    """
    return _BY_NAME[name]


def of_array(array: np.ndarray) -> StoredDtype | None:
    """The type that stores this array, or None if no file format has it (strings, objects, long double).

    Examples
    --------
    >>> of_array(np.zeros(3, ">f4")).name
    'float32'
    """
    return _BY_NAME.get(array.dtype.newbyteorder("=").name)
