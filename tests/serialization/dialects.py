"""Writers of torch's dialects in pure Python, for tests that must not need torch: files old and new, honest and not.

:func:`old_zip` writes the dialect of torchvision's ``resnet18-f37072fd.pth`` to the byte, which its length proves:
46,830,571 bytes for resnet18's 102 tensors.
"""

from __future__ import annotations

import io
import json
import pickle
import struct
import zlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

RESNET18_BYTES = 46_830_571

STORAGES = {
    "float32": "FloatStorage", "float64": "DoubleStorage", "float16": "HalfStorage", "int64": "LongStorage",
    "int32": "IntStorage", "int16": "ShortStorage", "int8": "CharStorage", "uint8": "ByteStorage",
    "bool": "BoolStorage", "complex64": "ComplexFloatStorage", "complex128": "ComplexDoubleStorage",
}  # fmt: skip


@dataclass(eq=False)
class Name:
    """A name that is pickled as a GLOBAL, whether or not it exists."""

    module: str
    name: str


@dataclass(eq=False)
class Call:
    """A function's name and arguments, pickled as a call (REDUCE); ``state`` is set by BUILD."""

    function: Name
    arguments: tuple[Any, ...]
    state: Any = None


@dataclass(eq=False)
class Pid:
    """A persistent id: what torch pickles in a storage's place."""

    value: Any


@dataclass(eq=False)
class Storage:
    """A storage to be written: its key, type, bytes, and the element count that the pickle tells of it."""

    key: str
    type_name: str
    data: bytes
    numel: int
    location: str = "cpu"


@dataclass(frozen=True)
class Str2:
    """A string of Python 2: bytes."""

    raw: bytes


@dataclass(eq=False)
class Raw:
    """Opcodes that go into the pickle as they are."""

    opcodes: bytes


@dataclass
class Entry:
    """One zip entry; what is left None has the honest value."""

    name: str
    data: bytes
    crc: int | None = None
    method: int = 0
    flags: int = 0x0808
    size: int | None = None
    packed: int | None = None
    local_name: str | None = None
    header: int | None = None
    extra: bytes = b""


class _Pickler(pickle._Pickler):  # type: ignore[name-defined]
    """Python's pickler at protocol 2, with names that need not be importable."""

    dispatch: ClassVar[dict[Any, Any]] = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def __init__(self, file: Any, legacy: bool) -> None:
        super().__init__(file, protocol=2)
        self._legacy = legacy
        self._names: dict[tuple[str, str], Name] = {}
        self.storages: dict[str, Storage] = {}

    def persistent_id(self, obj: Any) -> Any:
        if isinstance(obj, Pid):
            return obj.value
        if isinstance(obj, Storage):
            self.storages.setdefault(obj.key, obj)
            module, _, name = ("torch." + obj.type_name).rpartition(".")
            pid = ("storage", self._unique(module, name), obj.key, obj.location, obj.numel)
            return (*pid, None) if self._legacy else pid
        return None

    def _unique(self, module: str, name: str) -> Name:
        return self._names.setdefault((module, name), Name(module, name))

    def save_name(self, obj: Name) -> None:
        obj = self._unique(obj.module, obj.name)
        if id(obj) in self.memo:
            self.write(self.get(self.memo[id(obj)][0]))
            return
        self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        self.memoize(obj)

    def save_call(self, obj: Call) -> None:
        self.save_name(obj.function)
        self.save(obj.arguments)
        self.write(pickle.REDUCE)
        self.memoize(obj)
        if obj.state is not None:
            self.save(obj.state)
            self.write(pickle.BUILD)

    def save_raw(self, obj: Raw) -> None:
        self.write(obj.opcodes)

    def save_str2(self, obj: Str2) -> None:
        short = len(obj.raw) < 256
        self.write(
            (struct.pack("<cB", b"U", len(obj.raw)) if short else struct.pack("<cI", b"T", len(obj.raw))) + obj.raw
        )
        self.memoize(obj)

    dispatch[Name] = save_name
    dispatch[Call] = save_call
    dispatch[Raw] = save_raw
    dispatch[Str2] = save_str2


class _Pickler2(_Pickler):
    """Python 2's pickler: strings are bytes, integers beyond 32 bits are text, ordered dicts are lists of pairs."""

    dispatch: ClassVar[dict[Any, Any]] = dict(_Pickler.dispatch)

    def save_str(self, obj: str) -> None:
        self.save(Str2(obj.encode()))

    def save_int(self, obj: int) -> None:
        if -(2**31) <= obj < 2**31:
            pickle._Pickler.save_long(self, obj)  # type: ignore[attr-defined]
        else:
            self.write(f"I{obj}\n".encode())

    def save_ordered(self, obj: OrderedDict[Any, Any]) -> None:
        self.save_call(Call(Name("collections", "OrderedDict"), ([[key, value] for key, value in obj.items()],)))

    dispatch[str] = save_str
    dispatch[int] = save_int
    dispatch[OrderedDict] = save_ordered


def pickled(obj: Any, legacy: bool = False, python_2: bool = False) -> tuple[bytes, dict[str, Storage]]:
    """The pickle of an object that may hold the classes above, and the storages in it by key."""
    out = io.BytesIO()
    pickler = (_Pickler2 if python_2 else _Pickler)(out, legacy)
    pickler.dump(obj)
    return out.getvalue(), pickler.storages


def storage_of(array: np.ndarray, key: str) -> Storage:
    """The storage of an array, in C order."""
    return Storage(key, STORAGES[array.dtype.name], np.ascontiguousarray(array).tobytes(), array.size)


def tensor(
    array: np.ndarray, key: str, parameter: bool = False, storage: Storage | None = None, **changed: Any
) -> Call:
    """A tensor as torch pickles it; ``changed`` overrides offset, size, stride, grad, hooks or adds metadata."""
    stride = tuple(step // array.itemsize for step in np.empty(array.shape, array.dtype).strides)
    arguments = {"offset": 0, "size": array.shape, "stride": stride, "grad": False, "hooks": OrderedDict()} | changed
    data = Call(Name("torch._utils", "_rebuild_tensor_v2"), (storage or storage_of(array, key), *arguments.values()))
    return Call(Name("torch._utils", "_rebuild_parameter"), (data, True, OrderedDict())) if parameter else data


def numpy_dtype(code: str, byteorder: str = "<", python_2: bool = False) -> Call:
    """A dtype as NumPy pickles it; ``code`` is its kind and size."""
    flags = (0, 1) if python_2 else (False, True)
    return Call(Name("numpy", "dtype"), (code, *flags), (3, byteorder, None, None, None, -1, -1, 0))


def _octets(raw: bytes, python_2: bool) -> Any:
    return Str2(raw) if python_2 else Call(Name("_codecs", "encode"), (raw.decode("latin-1"), "latin1"))


def numpy_array(array: np.ndarray, core: str = "_core", python_2: bool = False, code: str = "") -> Call:
    """An array as NumPy pickles it, ``core`` being its module: 'core' before 2.0, '_core' since."""
    dtype = numpy_dtype(code or array.dtype.str[1:], array.dtype.str[0], python_2)
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    state = (1, array.shape, dtype, fortran, _octets(array.tobytes("A"), python_2))
    empty = (Name("numpy", "ndarray"), (0,), _octets(b"b", python_2))
    return Call(Name(f"numpy.{core}.multiarray", "_reconstruct"), empty, state)


def numpy_scalar(value: np.generic, core: str = "core", python_2: bool = False) -> Call:
    """A scalar as NumPy pickles it."""
    arguments = (numpy_dtype(value.dtype.str[1:], value.dtype.str[0], python_2), _octets(value.tobytes(), python_2))
    return Call(Name(f"numpy.{core}.multiarray", "scalar"), arguments)


def zip_bytes(entries: list[Entry], zip64: bool = True, comment: bytes = b"") -> bytes:
    """A zip archive as torch lays it out: padded local headers without sizes, data descriptors, a zip64 end."""
    out = io.BytesIO()
    directory = []
    for entry in entries:
        name = entry.name.encode()
        local_name = (entry.local_name or entry.name).encode()
        at = out.tell()
        crc = zlib.crc32(entry.data) if entry.crc is None else entry.crc
        size = len(entry.data) if entry.size is None else entry.size
        packed = size if entry.packed is None else entry.packed
        padding = -(at + 30 + len(local_name) + 4) % 64
        extra = struct.pack("<2sH", b"FB", padding) + b"Z" * padding
        out.write(struct.pack("<4s5H3L2H", b"PK\3\4", 0, entry.flags, entry.method, 0, 33, 0, 0, 0,
                              len(local_name), len(extra)))  # fmt: skip
        out.write(local_name + extra + entry.data)
        out.write(struct.pack("<4s3L", b"PK\7\x08", crc, packed & 0xFFFFFFFF, size & 0xFFFFFFFF))
        directory.append(struct.pack("<4s6H3L5H2L", b"PK\1\2", 0, 0, entry.flags, entry.method, 0, 33, crc,
                                     packed, size, len(name), len(entry.extra), 0, 0, 0, 0,
                                     at if entry.header is None else entry.header) + name + entry.extra)  # fmt: skip
    start = out.tell()
    out.write(b"".join(directory))
    size, count = out.tell() - start, len(entries)
    if zip64:
        end = out.tell()
        out.write(struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start))
        out.write(struct.pack("<4sLQL", b"PK\6\7", 0, end, 1))
    out.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, size, start, len(comment)) + comment)
    return out.getvalue()


def old_zip_entries(obj: Any, folder: str = "archive") -> list[Entry]:
    """The entries that torch 1.6 to 1.8 writes: the pickle, storages in the order of their keys, the version."""
    data, storages = pickled(obj)
    return [
        Entry(f"{folder}/data.pkl", data),
        *(Entry(f"{folder}/data/{key}", storages[key].data) for key in sorted(storages)),
        Entry(f"{folder}/version", b"3\n"),
    ]


def old_zip(obj: Any) -> bytes:
    """A checkpoint in the dialect of resnet18-f37072fd.pth (given the keys and wrappers that the object holds)."""
    return zip_bytes(old_zip_entries(obj))


def new_zip(obj: Any, folder: str = "tiny", byteorder: str = "little") -> bytes:
    """A checkpoint with the additional entries of torch 2."""
    entries = old_zip_entries(obj, folder)
    entries[1:1] = [
        Entry(f"{folder}/.format_version", b"1"),
        Entry(f"{folder}/.storage_alignment", b"64"),
        Entry(f"{folder}/byteorder", byteorder.encode()),
    ]
    return zip_bytes([*entries, Entry(f"{folder}/.data/serialization_id", b"0" * 40)])


@dataclass
class Legacy:
    """The parts of a legacy stream, each to be changed at will before :meth:`data` puts them together."""

    obj: Any
    magic: Any = 0x1950A86A20F9469CFC6C
    protocol: Any = 1001
    system: Any = field(
        default_factory=lambda: {
            "protocol_version": 1001,
            "little_endian": True,
            "type_sizes": {"short": 2, "int": 4, "long": 4},
        }
    )
    keys: Any = None
    counts: dict[str, int] = field(default_factory=dict)
    tail: bytes = b""
    python_2: bool = False

    def data(self) -> bytes:
        """The whole stream."""
        main, storages = pickled(self.obj, True, self.python_2)
        keys = sorted(storages) if self.keys is None else self.keys
        # The magic number is a long integer in Python 2 as well.
        pickles = [pickled(self.magic, True)[0]]
        pickles += [pickled(part, True, self.python_2)[0] for part in (self.protocol, self.system)]
        out = [*pickles, main, pickled(keys, True, self.python_2)[0]]
        for key in sorted(storages) if not isinstance(keys, list) else keys:
            if key in storages:
                count = self.counts.get(key, storages[key].numel)
                # Element counts that do not fit are for the pickle to tell; the data then say 0.
                fits = isinstance(count, int) and -(2**63) <= count < 2**63
                out += [struct.pack("<q", count if fits else 0), storages[key].data]
        return b"".join(out) + self.tail


def safetensors_bytes(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file of any header: an object to be written as JSON, or the bytes themselves."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def resnet18_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of resnet18's 102 tensors as the published checkpoint has them, counters left out."""
    shapes: dict[str, tuple[int, ...]] = {"conv1.weight": (64, 3, 7, 7)}

    def batch_norm(name: str, channels: int) -> None:
        for part in ("running_mean", "running_var", "weight", "bias"):
            shapes[f"{name}.{part}"] = (channels,)

    batch_norm("bn1", 64)
    for layer in range(1, 5):
        channels = 64 << (layer - 1)
        for block in range(2):
            name = f"layer{layer}.{block}"
            entering = channels // 2 if block == 0 and layer > 1 else channels
            shapes[f"{name}.conv1.weight"] = (channels, entering, 3, 3)
            batch_norm(f"{name}.bn1", channels)
            shapes[f"{name}.conv2.weight"] = (channels, channels, 3, 3)
            batch_norm(f"{name}.bn2", channels)
            if entering != channels:
                shapes[f"{name}.downsample.0.weight"] = (channels, entering, 1, 1)
                batch_norm(f"{name}.downsample.1", channels)
    shapes["fc.weight"] = (1000, 512)
    shapes["fc.bias"] = (1000,)
    return shapes


def resnet18_arrays(seed: int = 0) -> dict[str, np.ndarray]:
    """Arrays of resnet18's shapes with made-up values that keep a forward pass finite."""
    random = np.random.default_rng(seed)
    arrays = {}
    for name, shape in resnet18_shapes().items():
        values = random.standard_normal(shape, np.float32) * np.float32(0.02)
        arrays[name] = np.abs(values) + np.float32(1) if name.endswith("running_var") else values
    return arrays


def resnet18_checkpoint(arrays: dict[str, np.ndarray] | None = None) -> bytes:
    """The bytes of a file like resnet18-f37072fd.pth: parameters wrapped, storages named by 15-digit addresses."""
    state = OrderedDict()
    for index, (name, array) in enumerate((arrays or resnet18_arrays()).items()):
        is_parameter = "running" not in name
        state[name] = tensor(array, str(140_000_000_000_000 + 4096 * index), parameter=is_parameter)
    return old_zip(state)
