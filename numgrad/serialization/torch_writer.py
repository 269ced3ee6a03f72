"""Writer of zip checkpoints that torch.load reads, also with weights_only=True."""

from __future__ import annotations

import struct
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from numgrad.layout import Size
from numgrad.serialization.dtypes import StoredDtype, Unpacked
from numgrad.serialization.errors import shortened
from numgrad.serialization.pickle_machine import MAX_WIDE_KEYS
from numgrad.serialization.placeholder import Placeholder
from numgrad.serialization.stack import MAX_PICKLE_BYTES
from numgrad.serialization.tree import MAX_DEPTH
from numgrad.serialization.zip_writer import ZipWriter

UnpackTensor = Callable[[Any], Unpacked | None]

_FOLDER = "archive"
_CONTAINERS = (dict, OrderedDict, Counter, list, tuple, Size)


def write_torch_zip(obj: Any, file: BinaryIO, unpack_tensor: UnpackTensor) -> None:
    """Write a tree of containers, scalars and tensors as torch.save would.

    The same tree always gives the same bytes. An object that occurs twice is written once and read as one object; so are two
    tensors of the same memory, shape and strides (tied weights). Tensors that overlap in another way are written
    separately.

    Parameters
    ----------
    obj:
        dict, OrderedDict (with its ``_metadata``), Counter, list and tuple, nested up to 128 deep, of tensors, NumPy
        arrays, str, bytes, int, float, complex, bool and None. NumPy scalars are written as Python's. Keys are str, or
        int of 64 bits.
    file:
        The file to write to.
    unpack_tensor:
        Returns an `Unpacked` for a tensor, None for anything else. Other arrays are written as NumPy pickles them, which
        torch reads only with ``weights_only=False``.

    Raises
    ------
    TypeError
        A part of the tree cannot be saved; the message says where it is.
    """
    pickler = _Pickler(unpack_tensor)
    pickled = pickler.dump(obj)
    archive = ZipWriter(file)
    archive.add(f"{_FOLDER}/data.pkl", pickled)
    archive.add(f"{_FOLDER}/byteorder", b"little")
    for key, (array, dtype) in enumerate(pickler.storages):
        archive.add(f"{_FOLDER}/data/{key}", dtype.encode(array))
    archive.add(f"{_FOLDER}/version", b"3\n")
    archive.finish()


class _Pickler:
    """Emits pickle protocol 2 with the opcodes of torch's checkpoints."""

    def __init__(self, unpack_tensor: UnpackTensor) -> None:
        self._unpack_tensor = unpack_tensor
        self._out = bytearray()
        self._memo: dict[object, int] = {}
        # Objects are remembered by identity, so they must stay alive.
        self._alive: list[object] = []
        self._open: set[int] = set()
        self._keys: dict[tuple[object, ...], int] = {}
        self._wide_keys = 0
        self.storages: list[tuple[np.ndarray, StoredDtype]] = []

    def dump(self, obj: Any) -> bytes:
        self._out += b"\x80\x02"
        self._save(obj, "the object", 0)
        self._out += b"."
        if len(self._out) > MAX_PICKLE_BYTES:
            raise TypeError(
                f"save: everything but the tensors takes {len(self._out)} bytes, expected at most {MAX_PICKLE_BYTES}; save "
                "tensors instead, such as numgrad.from_numpy(array)"
            )
        return bytes(self._out)

    def _save(self, obj: Any, where: str, depth: int) -> None:
        if isinstance(obj, np.generic):
            obj = obj.item()
        if obj is None:
            self._out += b"N"
        elif type(obj) is bool:
            self._out += b"\x88" if obj else b"\x89"
        elif type(obj) is int:
            self._int(obj, where)
        elif type(obj) is float:
            self._out += struct.pack(">cd", b"G", obj)
        elif type(obj) is str:
            self._string(obj, where)
        elif type(obj) is complex:
            self._global("__builtin__", "complex")
            self._out += struct.pack(">cdcd", b"G", obj.real, b"G", obj.imag) + b"\x86R"
        elif type(obj) is bytes:
            self._bytes(obj, where)
        elif type(obj) in _CONTAINERS or isinstance(obj, OrderedDict):
            if id(obj) in self._open:
                raise TypeError(f"save: {where[:200]} contains itself")
            if depth >= MAX_DEPTH:
                raise TypeError(f"save: {where[:200]} is a container more than {MAX_DEPTH} deep")
            self._open.add(id(obj))
            if not self._recalled(("object", id(obj))):
                self._alive.append(obj)
                self._container(obj, where, depth)
            self._open.remove(id(obj))
        elif not self._recalled(("object", id(obj))):
            self._alive.append(obj)
            unpacked = self._unpack_tensor(obj)
            if unpacked is not None:
                self._tensor(unpacked, where)
            elif isinstance(obj, np.ndarray):
                self._array(obj, where)
            elif isinstance(obj, Placeholder):
                raise TypeError(
                    f"save: {where[:200]} is a placeholder of {shortened(obj.name)}, whose object was not loaded: leave it "
                    "out"
                )
            else:
                raise TypeError(
                    f"save: {where[:200]} is a {type(obj).__name__}, expected a tensor, array, dict, list, tuple, str, "
                    "number or None; save a module's state_dict() instead of the module"
                )
            self._remember(("object", id(obj)))

    def _container(self, obj: Any, where: str, depth: int) -> None:
        identity = ("object", id(obj))
        if type(obj) is dict or isinstance(obj, OrderedDict):  # includes state dicts, a subclass of OrderedDict
            self._out += b"}" if type(obj) is dict else self._called("collections", "OrderedDict", b")")
            self._remember(identity)
            self._items(obj, where, depth)
            if hasattr(obj, "_metadata"):
                self._out += b"}"
                self._items({"_metadata": obj._metadata}, f"{where}._metadata", depth)
                self._out += b"b"
        elif type(obj) is Counter:
            self._global("collections", "Counter")
            self._out += b"}"
            self._items(obj, where, depth)
            self._out += b"\x85R"
            self._remember(identity)
        elif type(obj) is list:
            self._out += b"]"
            self._remember(identity)
            self._out += b"("
            for index, item in enumerate(obj):
                self._save(item, f"{where}[{index}]", depth + 1)
            self._out += b"e"
        else:
            if type(obj) is Size:
                self._global("torch", "Size")
            self._out += b"("
            for index, item in enumerate(obj):
                self._save(item, f"{where}[{index}]", depth + 1)
            self._out += b"t" if type(obj) is tuple else b"t\x85R"
            self._remember(identity)

    def _items(self, items: dict[Any, Any], where: str, depth: int) -> None:
        self._out += b"("
        for key, value in items.items():
            if type(key) is not str and not (type(key) is int and -(2**63) <= key < 2**63):
                raise TypeError(f"save: {where} has the key {key!r}, expected a str or a 64-bit int")
            self._wide_keys += type(key) is int and not -(2**31) <= key < 2**31
            if self._wide_keys > MAX_WIDE_KEYS:
                raise TypeError(
                    f"save: {where} has the integer {key} for a key, after {MAX_WIDE_KEYS} of more than 32 bits"
                )
            path = f"{where}[{key!r}]"
            self._save(key, path, depth)
            self._save(value, path, depth + 1)
        self._out += b"u"

    def _tensor(self, unpacked: Unpacked, where: str) -> None:
        array, dtype = unpacked.array, unpacked.stored
        if dtype is None:
            raise TypeError(f"save: {where} has the dtype {array.dtype}, which torch does not have")
        typed = dtype.torch_storage is not None
        self._global("torch._utils", "_rebuild_tensor_v2" if typed else "_rebuild_tensor_v3")
        self._out += b"("
        self._storage(array, dtype, where)
        self._int(0, where)
        self._ints(array.shape, where)
        self._ints(_strides(array.shape), where)
        self._out += b"\x88" if unpacked.requires_grad else b"\x89"
        self._out += self._called("collections", "OrderedDict", b")")
        if not typed:
            self._global("torch", dtype.name)
        self._out += b"tR"

    def _array(self, array: np.ndarray, where: str) -> None:
        """An array as NumPy pickles it: an empty array, then its version, shape, dtype, order and bytes."""
        dtype = Unpacked(array).stored
        if dtype is None:
            raise TypeError(f"save: {where} is an array of dtype {array.dtype}, expected numbers")
        self._global("numpy._core.multiarray", "_reconstruct")
        self._out += b"("
        self._global("numpy", "ndarray")
        self._ints((0,), where)
        self._bytes(b"b", where)
        self._out += b"tR(K\x01"
        self._ints(array.shape, where)
        self._numpy_dtype(dtype, where)
        self._out += b"\x89"
        self._bytes(bytes(dtype.encode(array)), where)
        self._out += b"tb"

    def _numpy_dtype(self, dtype: StoredDtype, where: str) -> None:
        identity = ("numpy dtype", dtype.name)
        if self._recalled(identity):
            return
        self._global("numpy", "dtype")
        self._string(dtype.array_dtype.str[1:], where)
        self._out += b"\x89\x88\x87R"
        self._remember(identity)
        self._out += b"(K\x03"
        self._string("|" if dtype.itemsize == 1 else "<", where)
        self._out += b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"

    def _bytes(self, raw: bytes, where: str) -> None:
        """Bytes as Python 3 writes them in protocol 2: as text in which each character is a byte."""
        self._global("_codecs", "encode")
        # Not shared by value, since readers limit how much the bytes of a file may grow.
        text = raw.decode("latin-1").encode("utf-8")
        if len(text) > MAX_PICKLE_BYTES:
            raise TypeError(
                f"save: {where} has {len(raw)} bytes outside of tensors, more than a pickle may have; save a tensor "
                "instead, such as numgrad.from_numpy(array)"
            )
        self._out += struct.pack("<cI", b"X", len(text)) + text
        self._string("latin1", where)
        self._out += b"\x86R"

    def _storage(self, array: np.ndarray, dtype: StoredDtype, where: str) -> None:
        self._out += b"("
        self._string("storage", where)
        if dtype.torch_storage is not None:
            self._global("torch", dtype.torch_storage)
        else:
            self._global("torch.storage", "UntypedStorage")
        # Tied weights are two tensors of one memory, and stay tied by sharing a storage.
        memory = (array.__array_interface__["data"][0] if array.size else id(array), array.shape, array.strides, dtype)
        key = self._keys.setdefault(memory, len(self.storages))
        if key == len(self.storages):
            self.storages.append((array, dtype))
        self._string(str(key), where)
        self._string("cpu", where)
        self._int(array.size if dtype.torch_storage is not None else array.size * dtype.itemsize, where)
        self._out += b"tQ"

    def _ints(self, values: tuple[int, ...], where: str) -> None:
        self._out += b"("
        for value in values:
            self._int(value, where)
        self._out += b"t"

    def _int(self, value: int, where: str) -> None:
        if 0 <= value < 2**8:
            self._out += struct.pack("<cB", b"K", value)
        elif -(2**31) <= value < 2**31:
            self._out += struct.pack("<ci", b"J", value)
        else:
            # A negative number plus one has as many bits as its two's complement needs beside the sign.
            count = (value + (value < 0)).bit_length() // 8 + 1
            if count > 255:
                raise TypeError(f"save: {where} is an integer of {value.bit_length()} bits, expected less than 2040")
            self._out += struct.pack("<cB", b"\x8a", count) + value.to_bytes(count, "little", signed=True)

    def _string(self, text: str, where: str) -> None:
        if self._recalled(text):
            return
        try:
            raw = text.encode("utf-8")
        except UnicodeEncodeError:
            raise TypeError(f"save: {where} is a string with a lone surrogate, which is not a character") from None
        self._out += struct.pack("<cI", b"X", len(raw)) + raw
        self._remember(text)

    def _called(self, module: str, name: str, arguments: bytes) -> bytes:
        self._global(module, name)
        return arguments + b"R"

    def _global(self, module: str, name: str) -> None:
        identity = ("global", module, name)
        if not self._recalled(identity):
            self._out += f"c{module}\n{name}\n".encode()
            self._remember(identity)

    def _remember(self, identity: object) -> None:
        self._memo[identity] = index = len(self._memo)
        self._out += struct.pack("<cB", b"q", index) if index < 256 else struct.pack("<cI", b"r", index)

    def _recalled(self, identity: object) -> bool:
        index = self._memo.get(identity)
        if index is not None:
            self._out += struct.pack("<cB", b"h", index) if index < 256 else struct.pack("<cI", b"j", index)
        return index is not None


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides = []
    step = 1
    for extent in reversed(shape):
        strides.append(step)
        step *= max(extent, 1)
    return tuple(reversed(strides))
