"""A pickle reader that cannot run anything.

A pickle is a program for a stack machine. Python's own machine imports and calls whatever the program names; this one
has the few opcodes that tensors in plain containers need, knows every name that it accepts from a table, and never
imports, looks up or calls anything on the program's behalf. Tensors come out as inert records (records.py).
"""

from __future__ import annotations

import re
import struct
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

from numgrad.serialization.errors import WeightsFormatError, shortened
from numgrad.serialization.records import StorageRecord, TensorRecord, why_not_a_view, without_idle_strides
from numgrad.serialization.short_list import SHORT_LIST, Global, hint_about

# A pickle of 64 MiB describes some 500,000 tensors. The other limits keep the memory of Python's objects, which can be
# 100 times the bytes that ask for them, in proportion. Python's own pickler spends 6 bytes and more on each object, so
# reaching a limit takes a file made for that purpose.
MAX_PICKLE_BYTES = 64 << 20
MAX_OPCODES = 10_000_000
FREE_OBJECTS = 50_000
BYTES_PER_OBJECT = 6
MAX_MARKS = 1_000
_MAX_NAMES = 1_000
_MAX_NAME_BYTES = 512

_STORAGE_KEY = re.compile(r"[0-9]{1,20}", re.ASCII)


class PickleMachine:
    """Runs one pickle of a torch checkpoint and gives its containers, scalars and tensor records.

    Parameters
    ----------
    data:
        The bytes that hold the pickle.
    file:
        The file's name, for messages.
    start:
        Where in ``data`` the pickle begins; :attr:`end` is where it ended.
    legacy:
        True for torch's legacy stream, whose storage ids have a sixth field.

    Examples
    --------
    >>> import pickle
    >>> machine = PickleMachine(pickle.dumps({"epoch": 3}, protocol=2), "epoch.pth")
    >>> machine.run(), machine.end
    ({'epoch': 3}, 21)
    """

    def __init__(self, data: bytes, file: str, start: int = 0, legacy: bool = False) -> None:
        self._data = data
        self._file = file
        self._start = start
        self._legacy = legacy
        self.end = start
        self.storages: dict[str, StorageRecord] = {}
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._objects = 0
        self._max_objects = FREE_OBJECTS + (len(data) - start) // BYTES_PER_OBJECT

    def run(self) -> Any:
        """Run the pickle to its STOP.

        Raises
        ------
        WeightsFormatError
            The pickle is truncated or malformed, or asks for anything that is not on the short list.
        """
        if self._byte() != 0x80:
            raise self._refusal("a pickle does not begin with its protocol number")
        protocol = self._byte()
        if protocol != 2:
            raise self._refusal(f"the pickle has protocol {protocol}, expected 2, which torch.save uses by default")
        handlers = _HANDLERS
        data = self._data
        for _ in range(MAX_OPCODES):
            # The reading of a large model's pickle is this loop: `self._byte()` would be a fifth of its time.
            try:
                opcode = data[self.end]
            except IndexError:
                raise self._refusal("the pickle is truncated") from None
            self.end += 1
            handler = handlers.get(opcode)
            if handler is not None:
                handler(self)
            elif opcode == _STOP:
                value = self._pop()
                if self._stack or self._marks:
                    raise self._refusal("the pickle stops with more than one value on its stack")
                return value
            else:
                raise self._refusal(f"the pickle uses the opcode {_opcode_name(opcode)}, which checkpoints do not need")
        raise self._refusal(f"the pickle has more than {MAX_OPCODES} opcodes")

    # The machine's parts ----------------------------------------------------------------------------------------------

    def _refusal(self, reason: str) -> WeightsFormatError:
        return WeightsFormatError(self._file, reason)

    def _take(self, count: int) -> bytes:
        taken = self._data[self.end : self.end + count]
        if len(taken) != count:
            raise self._refusal("the pickle is truncated")
        self.end += count
        return taken

    def _byte(self) -> int:
        try:
            value = self._data[self.end]
        except IndexError:
            raise self._refusal("the pickle is truncated") from None
        self.end += 1
        return value

    def _unpack(self, form: struct.Struct) -> Any:
        try:
            (value,) = form.unpack_from(self._data, self.end)
        except struct.error:
            raise self._refusal("the pickle is truncated") from None
        self.end += form.size
        return value

    def _pop(self) -> Any:
        if not self._stack:
            raise self._refusal("the pickle takes a value from an empty stack")
        return self._stack.pop()

    def _top(self) -> Any:
        if not self._stack:
            raise self._refusal("the pickle takes a value from an empty stack")
        return self._stack[-1]

    def _pop_mark(self) -> list[Any]:
        if not self._marks:
            raise self._refusal("the pickle returns to a mark that was never set")
        items = self._stack
        self._stack = self._marks.pop()
        return items

    def _push_object(self, value: object) -> None:
        # An OrderedDict is as large as two dicts.
        self._objects += 2 if type(value) is OrderedDict else 1
        if self._objects > self._max_objects:
            raise self._refusal("the pickle makes more objects than fit its length")
        self._stack.append(value)

    # Opcodes ----------------------------------------------------------------------------------------------------------

    def _mark(self) -> None:
        if len(self._marks) >= MAX_MARKS:
            raise self._refusal(f"the pickle nests more than {MAX_MARKS} marks")
        self._marks.append(self._stack)
        self._stack = []

    def _put(self, index: int) -> None:
        value = self._top()
        self._memo[index] = value
        # A pickler remembers what it makes, and each object once; beside objects there are names, of which few exist.
        if len(self._memo) > self._objects + _MAX_NAMES:
            raise self._refusal("the pickle remembers more values than it makes")

    def _get(self, index: int) -> None:
        if index not in self._memo:
            raise self._refusal(f"the pickle recalls value {index}, which it never stored")
        self._stack.append(self._memo[index])

    def _string(self, count: int, encoding: str) -> None:
        raw = self._take(count)
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            raise self._refusal(f"a string in the pickle is not {encoding}") from None
        self._push_object(text)

    def _tuple(self, count: int) -> None:
        items = [self._pop() for _ in range(count)]
        self._push_object(tuple(reversed(items)))

    def _set_items(self, items: list[Any]) -> None:
        target = self._top()
        if type(target) is not dict and type(target) is not OrderedDict:
            raise self._refusal(f"the pickle sets an item of {_kind(target)}, which is not a dict")
        if len(items) % 2:
            raise self._refusal("the pickle sets a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Integers beyond 32 bits can be chosen to collide, which makes a dict's time quadratic.
            if type(key) is not str and not (type(key) is int and -(2**31) <= key < 2**31):
                raise self._refusal(f"a dict has {_kind(key)} for a key, expected a string or a 32-bit integer")
            if key in target:
                raise self._refusal(f"a dict has the key {shortened(key)} twice")
            target[key] = value

    def _append(self, items: list[Any]) -> None:
        target = self._top()
        if type(target) is not list:
            raise self._refusal(f"the pickle appends to {_kind(target)}, which is not a list")
        target.extend(items)

    def _global(self) -> None:
        lines = []
        for _ in range(2):
            stop = self._data.find(b"\n", self.end, self.end + _MAX_NAME_BYTES)
            if stop < 0:
                raise self._refusal(f"a name in the pickle does not end within {_MAX_NAME_BYTES} bytes")
            lines.append(self._take(stop - self.end).decode("ascii", "backslashreplace"))
            self.end += 1
        name = ".".join(lines)
        # A dot in the second line means an attribute of an attribute to Python: the joined name would read the same.
        if name not in SHORT_LIST or "." in lines[1]:
            raise self._refusal(
                f"the pickle names {shortened(name)}, which is not on the short list of what is read; "
                f"{hint_about(name)}"
            )
        self._stack.append(SHORT_LIST[name])

    def _persistent_id(self) -> None:
        pid = self._pop()
        fields = 6 if self._legacy else 5
        if type(pid) is not tuple or len(pid) < 1:
            raise self._refusal(f"a storage id is {_kind(pid)}, expected a tuple of {fields}")
        if pid[0] == "module" and type(pid[0]) is str:
            raise self._refusal("a whole module was saved, with its source: save its state_dict() instead")
        if type(pid[0]) is not str or pid[0] != "storage" or len(pid) != fields:
            raise self._refusal(f"a storage id is {_kind(pid)} of {len(pid)}, expected ('storage', ...) of {fields}")
        kind, key, location, numel = pid[1:5]
        if type(kind) is not Global or kind.kind != "storage":
            raise self._refusal(f"a storage's type is {_kind(kind)}, expected one of torch's storage types")
        if type(key) is not str or not _STORAGE_KEY.fullmatch(key):
            raise self._refusal(f"a storage's key is {shortened(key)}, expected 1 to 20 digits")
        if type(location) is not str:
            raise self._refusal(f"a storage's location is {_kind(location)}, expected a string")
        if type(numel) is not int or not 0 <= numel < 2**63:
            raise self._refusal(f"the size of storage {key} is {shortened(numel)}, expected 0 to 2**63 - 1")
        if self._legacy and pid[5] is not None:
            raise self._refusal("a storage is a view of another (torch 0.4 and before): save it with a newer torch")
        known = self.storages.setdefault(key, StorageRecord(key, kind.dtype, numel))
        if known.dtype is not kind.dtype or known.numel != numel:
            raise self._refusal(f"storage {key} comes with two types or sizes")
        self._stack.append(known)

    def _reduce(self) -> None:
        arguments = self._pop()
        function = self._pop()
        if type(function) is not Global or function.kind != "function":
            raise self._refusal(f"the pickle calls {_kind(function)}, which is not a function on the short list")
        if type(arguments) is not tuple:
            raise self._refusal(f"the pickle calls {function.name} with {_kind(arguments)}, expected a tuple")
        self._push_object(_REBUILDERS[function.name](self, function.name, arguments))

    def _build(self) -> None:
        state = self._pop()
        target = self._top()
        # torch hangs a module's version numbers on its state dict in this way, and nothing else.
        if type(target) is not OrderedDict or type(state) is not dict or list(state) != ["_metadata"]:
            raise self._refusal(f"the pickle sets attributes of {_kind(target)}, expected _metadata of an OrderedDict")
        if type(state["_metadata"]) not in (dict, OrderedDict) or hasattr(target, "_metadata"):
            raise self._refusal("the _metadata of an OrderedDict is not a dict, or comes twice")
        target._metadata = state["_metadata"]  # type: ignore[attr-defined]

    # The calls of the short list --------------------------------------------------------------------------------------

    def _ordered_dict(self, name: str, arguments: tuple[Any, ...]) -> object:
        if arguments:
            raise self._refusal(f"{name} is called with arguments, expected none")
        return OrderedDict()

    def _counter(self, name: str, arguments: tuple[Any, ...]) -> object:
        counts = arguments[0] if len(arguments) == 1 else None
        if type(counts) is not dict or not all(type(count) is int for count in counts.values()):
            raise self._refusal(f"{name} is called with something else than one dict of integers")
        return Counter(counts)

    def _size(self, name: str, arguments: tuple[Any, ...]) -> object:
        extents = arguments[0] if len(arguments) == 1 else None
        if type(extents) is not tuple or not all(type(extent) is int for extent in extents):
            raise self._refusal(f"{name} is called with something else than one tuple of integers")
        return extents

    def _tensor(self, name: str, arguments: tuple[Any, ...]) -> object:
        """All versions of _rebuild_tensor: (storage, offset, size, stride, [grad, hooks, [dtype], [metadata]])."""
        least, most = {"_rebuild_tensor": (4, 4), "_rebuild_tensor_v2": (6, 7)}.get(name.rpartition(".")[2], (7, 8))
        if not least <= len(arguments) <= most:
            raise self._refusal(f"{name} is called with {len(arguments)} arguments, expected {least} to {most}")
        storage, offset, size, stride = arguments[:4]
        if type(storage) is not StorageRecord:
            raise self._refusal(f"a tensor's storage is {_kind(storage)}, expected a storage")
        requires_grad, hooks, rest = (*arguments[4:6], arguments[6:]) if least > 4 else (False, None, ())
        dtype = storage.dtype
        if name.endswith("_v3"):
            token, *rest = rest
            if type(token) is not Global or token.kind != "dtype":
                raise self._refusal(f"a tensor's dtype is {_kind(token)}, expected one of torch's dtypes")
            dtype = token.dtype
        if dtype is None:
            raise self._refusal(f"storage {storage.key} is untyped, and {name} gives its tensor no dtype")
        if rest and not (rest[0] is None or (type(rest[0]) in (dict, OrderedDict) and not rest[0])):
            raise self._refusal("a tensor is marked as conjugated or negated: save x.resolve_conj().resolve_neg()")
        reason = why_not_a_view(storage, dtype, offset, size, stride) or _why_not_plain(requires_grad, hooks)
        if reason:
            raise self._refusal(reason)
        return TensorRecord(storage, dtype, offset, size, without_idle_strides(size, stride), requires_grad)

    def _parameter(self, name: str, arguments: tuple[Any, ...]) -> object:
        if len(arguments) != 3 or type(arguments[0]) is not TensorRecord:
            raise self._refusal(f"{name} is called with something else than (tensor, requires_grad, hooks)")
        tensor, requires_grad, hooks = arguments
        reason = _why_not_plain(requires_grad, hooks)
        if reason:
            raise self._refusal(reason)
        return TensorRecord(tensor.storage, tensor.dtype, tensor.offset, tensor.size, tensor.stride, requires_grad)


def _why_not_plain(requires_grad: object, hooks: object) -> str:
    if type(requires_grad) is not bool:
        return f"a tensor's requires_grad is {_kind(requires_grad)}, expected a bool"
    if hooks is not None and (type(hooks) is not OrderedDict or hooks):
        return "a tensor comes with backward hooks, which are code"
    return ""


def _kind(value: object) -> str:
    """'a list', 'the name torch.FloatStorage': what a value is, without showing what it holds."""
    if type(value) is Global:
        return f"the name {value.name}"
    names: dict[type, str] = {StorageRecord: "storage", TensorRecord: "tensor", OrderedDict: "OrderedDict"}
    name = names.get(type(value), type(value).__name__)
    return "None" if value is None else f"an {name}" if name[0] in "aeiouO" else f"a {name}"


def _opcode_name(opcode: int) -> str:
    # Only a refusal needs the names, and the module that has them brings Python's own unpickler along.
    from pickletools import opcodes

    return next((known.name for known in opcodes if known.code == chr(opcode)), f"0x{opcode:02x}")


_REBUILDERS: dict[str, Callable[[PickleMachine, str, tuple[Any, ...]], object]] = {
    "collections.OrderedDict": PickleMachine._ordered_dict,
    "collections.Counter": PickleMachine._counter,
    "torch.Size": PickleMachine._size,
    "torch._utils._rebuild_tensor": PickleMachine._tensor,
    "torch._utils._rebuild_tensor_v2": PickleMachine._tensor,
    "torch._utils._rebuild_tensor_v3": PickleMachine._tensor,
    "torch._utils._rebuild_parameter": PickleMachine._parameter,
}

_STOP = ord(".")
_UINT16, _INT32, _UINT32, _DOUBLE = struct.Struct("<H"), struct.Struct("<i"), struct.Struct("<I"), struct.Struct(">d")

_HANDLERS: dict[int, Callable[[PickleMachine], None]] = {
    ord(opcode): handler
    for opcode, handler in {
        "(": PickleMachine._mark,
        "N": lambda m: m._stack.append(None),
        "\x88": lambda m: m._stack.append(True),
        "\x89": lambda m: m._stack.append(False),
        "K": lambda m: m._stack.append(m._byte()),
        "M": lambda m: m._stack.append(m._unpack(_UINT16)),
        "J": lambda m: m._stack.append(m._unpack(_INT32)),
        "\x8a": lambda m: m._stack.append(int.from_bytes(m._take(m._byte()), "little", signed=True)),
        "G": lambda m: m._stack.append(m._unpack(_DOUBLE)),
        "X": lambda m: m._string(m._unpack(_UINT32), "utf-8"),
        # Only files that Python 2 wrote have these.
        "U": lambda m: m._string(m._byte(), "ascii"),
        ")": lambda m: m._stack.append(()),
        "t": lambda m: m._push_object(tuple(m._pop_mark())),
        "\x85": lambda m: m._tuple(1),
        "\x86": lambda m: m._tuple(2),
        "\x87": lambda m: m._tuple(3),
        "]": lambda m: m._push_object([]),
        "}": lambda m: m._push_object({}),
        "a": lambda m: m._append([m._pop()]),
        "e": lambda m: m._append(m._pop_mark()),
        "s": lambda m: m._set_items([m._pop(), m._pop()][::-1]),
        "u": lambda m: m._set_items(m._pop_mark()),
        "q": lambda m: m._put(m._byte()),
        "r": lambda m: m._put(m._unpack(_UINT32)),
        "h": lambda m: m._get(m._byte()),
        "j": lambda m: m._get(m._unpack(_UINT32)),
        "c": PickleMachine._global,
        "Q": PickleMachine._persistent_id,
        "R": PickleMachine._reduce,
        "b": PickleMachine._build,
    }.items()
}
