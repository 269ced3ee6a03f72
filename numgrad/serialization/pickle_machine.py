"""A pickle reader that cannot run anything.

A pickle is a program for a stack machine. Python's own machine imports and calls whatever the program names. This one has
the opcodes for tensors in plain containers, accepts only names from a table, and never imports, looks up or calls anything
for the program. Tensors come out as inert records (records.py). A name outside of the table is refused, or becomes an inert
`Placeholder`.
"""

from __future__ import annotations

import re
import struct
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from numgrad.serialization.errors import shortened
from numgrad.serialization.numpy_pickles import ArrayRecord, DtypeRecord
from numgrad.serialization.pickle_text import (
    MAX_NUMBER_BYTES,
    Octets,
    float_of,
    integer_of,
    quoted,
    text_of,
    unicode_of,
)
from numgrad.serialization.placeholder import Placeholder
from numgrad.serialization.rebuild import REBUILDERS, bare_tensor, build_array, build_dtype, kind_of
from numgrad.serialization.records import StorageRecord, StorageView
from numgrad.serialization.short_list import SHORT_LIST, WAY_OUT, Global, hint_about
from numgrad.serialization.stack import MAX_OPCODES, Stack

_MAX_NAME_BYTES = 512
_MOST_ARGUMENTS = 8  # of the functions on the short list
# Integers beyond 32 bits can be chosen to collide, which makes a dict's time quadratic. Optimizers of torch before 0.4
# used addresses as keys, one for each parameter. This many keys cost little, however they were chosen.
MAX_WIDE_KEYS = 10_000

_STORAGE_KEY = re.compile(r"[0-9]{1,20}", re.ASCII)


class PickleMachine(Stack):
    """Runs one pickle of a torch checkpoint and returns its containers, scalars and tensor records.

    Parameters
    ----------
    data:
        The bytes that hold the pickle.
    file:
        The file's name, for messages.
    start:
        The position in ``data`` where the pickle begins; :attr:`end` is the position after it.
    legacy:
        True for torch's legacy stream, whose storage ids have a sixth field.
    skip:
        Whether names outside of the short list become placeholders; otherwise they are refused.
    encoding:
        The encoding of Python 2's strings; see `pickle_text.Octets.text`.

    Examples
    --------
    >>> import pickle
    >>> machine = PickleMachine(pickle.dumps({"epoch": 3}, protocol=2), "epoch.pth")
    >>> machine.run(), machine.end
    ({'epoch': 3}, 21)
    """

    def __init__(
        self,
        data: bytes,
        file: str,
        start: int = 0,
        legacy: bool = False,
        skip: bool = False,
        encoding: str | None = None,
    ) -> None:
        super().__init__(data, file, start)
        self._legacy = legacy
        self.skip = skip
        self.encoding = encoding
        self.storages: dict[str, StorageRecord] = {}
        self.skipped_storages: set[str] = set()
        self._wide_keys = 0

    def run(self) -> Any:
        """Run the pickle to its STOP.

        Raises
        ------
        WeightsFormatError
            The pickle is truncated or malformed, or uses a name outside of the short list.
        """
        # Protocols 0 and 1 do not state their number. The later protocols only add opcodes, which are all known here.
        if self._data[self.end : self.end + 1] == b"\x80":
            self.end += 1
            protocol = self._byte()
            if not 2 <= protocol <= 5:
                raise self.refusal(f"the pickle has protocol {protocol}, expected 2 to 5")
        handlers = _HANDLERS
        data = self._data
        for _ in range(MAX_OPCODES):
            # This loop takes most of the time for a large model's pickle; calling `self._byte()` would cost a fifth more.
            try:
                opcode = data[self.end]
            except IndexError:
                raise self.ended("the pickle is truncated") from None
            self.end += 1
            handler = handlers.get(opcode)
            if handler is not None:
                handler(self)
            elif opcode == _STOP:
                value = self._pop()
                if self._stack or self._marks:
                    raise self.refusal("the pickle stops with more than one value on its stack")
                return value
            else:
                raise self.refusal(f"the pickle uses the opcode {_opcode_name(opcode)}, which checkpoints do not need")
        raise self.refusal(f"the pickle has more than {MAX_OPCODES} opcodes")

    def text(self, value: Octets) -> str:
        """The text of a string of Python 2.

        Raises
        ------
        WeightsFormatError
            The string is not in the requested encoding.
        """
        try:
            return value.text(self.encoding)
        except UnicodeDecodeError:
            raise self.refusal(f"a string of Python 2 is not {self.encoding}") from None

    # Opcodes ----------------------------------------------------------------------------------------------------------

    def _long(self) -> None:
        count = self._unpack(_UINT32)
        if count > 255:
            raise self.refusal(f"an integer of {count} bytes, more than 255")
        self._push_object(int.from_bytes(self._take(count), "little", signed=True))

    def _tuple(self, count: int) -> None:
        items = [self._pop() for _ in range(count)]
        self._push_object(tuple(reversed(items)))

    def _set_items(self, items: list[Any]) -> None:
        target = self._top()
        if len(items) % 2:
            raise self.refusal("the pickle sets a key without a value")
        pairs = zip(items[::2], items[1::2], strict=True)
        if type(target) is Placeholder and target.arguments is not None:
            target.items.extend(pairs)
        elif type(target) is dict or type(target) is OrderedDict:
            for key, value in pairs:
                self.set_item(target, key, value)
        else:
            raise self.refusal(f"the pickle sets an item of {kind_of(target)}, which is not a dict")

    def set_item(self, target: dict[Any, Any], key: Any, value: Any) -> None:
        """Set one item of a dict that the pickle builds.

        Raises
        ------
        WeightsFormatError
            The dict has the key already, or the key's type is not read.
        """
        kind = type(key)
        if kind is Octets:
            key = self.text(key)
        elif kind is int and -(2**63) <= key < 2**63:
            if not -(2**31) <= key < 2**31:
                self._wide_keys += 1
                if self._wide_keys > MAX_WIDE_KEYS:
                    raise self.refusal(f"dicts have more than {MAX_WIDE_KEYS} integers beyond 32 bits for keys")
        elif kind is not str and kind is not Placeholder:
            if not self.skip:
                raise self.refusal(
                    f"a dict has {kind_of(key)} for a key, expected a string or a 64-bit integer; {WAY_OUT}"
                )
            self._push_object(Placeholder(kind.__name__, (key,)))
            key = self._stack.pop()
        if key in target:
            raise self.refusal(f"a dict has the key {shortened(key)} twice")
        target[key] = value

    def _append(self, items: list[Any]) -> None:
        target = self._top()
        if type(target) is Placeholder and target.arguments is not None:
            target.items.extend(items)
        elif type(target) is list:
            target.extend(items)
        else:
            raise self.refusal(f"the pickle appends to {kind_of(target)}, which is not a list")

    def _global(self) -> None:
        lines = []
        for _ in range(2):
            stop = self._data.find(b"\n", self.end, self.end + _MAX_NAME_BYTES)
            if stop < 0:
                raise self.ended(f"a name in the pickle does not end within {_MAX_NAME_BYTES} bytes")
            lines.append(self._take(stop - self.end).decode("ascii", "backslashreplace"))
            self.end += 1
        self._push_name(*lines)

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        if type(name) is not str or type(module) is not str or len(name) + len(module) > _MAX_NAME_BYTES:
            raise self.refusal(f"a name in the pickle is not two strings of at most {_MAX_NAME_BYTES} characters")
        self._push_name(module, name)

    def _push_name(self, module: str, attribute: str) -> None:
        name = f"{module}.{attribute}"
        # In Python a dot in the attribute means an attribute of an attribute, and the joined name would look the same.
        if name in SHORT_LIST and "." not in attribute:
            self._stack.append(SHORT_LIST[name])
        else:
            self._push_object(self._unknown(name))

    def _unknown(self, name: str) -> Placeholder:
        if not self.skip:
            raise self.refusal(
                f"the pickle names {shortened(name)}, which is not on the short list of what is read; "
                f"{hint_about(name)}; {WAY_OUT}"
            )
        return Placeholder(name)

    def _persistent_id(self) -> None:
        pid = self._pop()
        fields = 6 if self._legacy else 5
        if type(pid) is not tuple or len(pid) < 1:
            raise self.refusal(f"a storage id is {kind_of(pid)}, expected a tuple of {fields}")
        if type(pid[0]) is str and pid[0] == "module":
            if not self.skip or len(pid) != 4:
                raise self.refusal(
                    f"a whole module was saved, with its source: save its state_dict() instead; {WAY_OUT}"
                )
            self._stack.append(pid[1])
            return
        if type(pid[0]) is not str or pid[0] != "storage" or len(pid) != fields:
            raise self.refusal(f"a storage id is {kind_of(pid)} of {len(pid)}, expected ('storage', ...) of {fields}")
        kind, key, location, numel = pid[1:5]
        if type(kind) is Placeholder and type(key) is str and _STORAGE_KEY.fullmatch(key):
            if self._legacy:
                raise self.refusal(
                    f"the size of a {shortened(kind.name)} is not known, and so neither is the position of the next storage"
                )
            self.skipped_storages.add(key)
            self._push_object(Placeholder(kind.name, (key,)))
            return
        if type(kind) is not Global or kind.kind != "storage":
            raise self.refusal(f"a storage's type is {kind_of(kind)}, expected one of torch's storage types")
        if type(key) is not str or not _STORAGE_KEY.fullmatch(key):
            raise self.refusal(f"a storage's key is {shortened(key)}, expected 1 to 20 digits")
        if type(location) is not str:
            raise self.refusal(f"a storage's location is {kind_of(location)}, expected a string")
        if type(numel) is not int or not 0 <= numel < 2**63:
            raise self.refusal(f"the size of storage {key} is {shortened(numel)}, expected 0 to 2**63 - 1")
        storage = self.storages.setdefault(key, StorageRecord(key, kind.dtype, numel, location))
        if storage.dtype is not kind.dtype or storage.numel != numel:
            raise self.refusal(f"storage {key} comes with two types or sizes")
        self._stack.append(storage if not self._legacy or pid[5] is None else self._view_of(storage, pid[5]))

    def _view_of(self, storage: StorageRecord, view: Any) -> StorageView:
        if type(view) is not tuple or len(view) != 3 or type(view[0]) is not str or not _STORAGE_KEY.fullmatch(view[0]):
            raise self.refusal(f"a view of storage {storage.key} is {kind_of(view)}, expected (key, offset, size)")
        key, offset, numel = view
        if storage.dtype is None:
            raise self.refusal(f"storage {storage.key} is untyped, and comes with a view, which only older torch wrote")
        if type(offset) is not int or type(numel) is not int or not 0 <= offset <= offset + numel <= storage.numel:
            raise self.refusal(f"a view reaches outside of storage {storage.key}, which has {storage.numel} elements")
        return StorageView(storage, key, offset, numel)

    def _reduce(self) -> None:
        arguments = self._pop()
        function = self._pop()
        if type(arguments) is not tuple:
            raise self.refusal(f"the pickle calls {kind_of(function)} with {kind_of(arguments)}, expected a tuple")
        if type(function) is Placeholder:
            tensor = bare_tensor(self, function.name, arguments)
            self._push_object(self._instance(function, arguments) if tensor is None else tensor)
            return
        if type(function) is not Global or function.kind != "function":
            raise self.refusal(f"the pickle calls {kind_of(function)}, which is not a function on the short list")
        if len(arguments) <= _MOST_ARGUMENTS and any(type(argument) is Placeholder for argument in arguments):
            self._push_object(Placeholder(function.name, arguments))
            return
        self._push_object(REBUILDERS[function.name](self, function.name, arguments))

    def _instance(self, cls: object, arguments: tuple[Any, ...]) -> Placeholder:
        """The placeholder for an object of an unknown class."""
        if type(cls) is not Placeholder:
            raise self.refusal(f"the pickle makes an object of {kind_of(cls)}, which is not a class that it may name")
        if cls.arguments is not None:  # the result of an unknown function
            self.spend_items(arguments)
            return Placeholder(cls.name.removesuffix("()") + "()", (cls, *arguments))
        if cls.name in _MAKERS and arguments and type(arguments[0]) is Placeholder:
            self.spend_items(arguments)
            cls, arguments = arguments[0], arguments[1:]
        return Placeholder(cls.name, arguments)

    def _new_object(self, count: int) -> None:
        """Opcodes NEWOBJ and NEWOBJ_EX: an object from its class and arguments, the latter with keyword arguments."""
        arguments = [self._pop() for _ in range(count)][::-1]
        cls = self._pop()
        if type(cls) is Global:
            raise self.refusal(f"the pickle makes an object of {kind_of(cls)}, which is not a class that it may name")
        if type(arguments[0]) is not tuple or (count == 2 and type(arguments[1]) is not dict):
            raise self.refusal("the pickle makes an object with something other than a tuple of arguments")
        if count == 2:
            self.spend_items(arguments[0])
        self._push_object(self._instance(cls, arguments[0] if count == 1 else (*arguments[0], arguments[1])))

    def _old_instance(self) -> None:
        """Opcode INST: an object of one of Python 2's old classes, given by name."""
        self._global()
        cls = self._pop()
        self._push_object(self._instance(cls, tuple(self._pop_mark())))

    def _old_object(self) -> None:
        """Opcode OBJ: the same, with the class on the stack."""
        cls, *arguments = self._pop_mark() or [None]
        self._push_object(self._instance(cls, tuple(arguments)))

    def _dict(self) -> None:
        items = self._pop_mark()
        self._push_object({})
        self._set_items(items)

    def _set(self) -> None:
        """Opcode EMPTY_SET: sets are not read, since their elements can be chosen to collide."""
        self._push_object(self._instance(self._unknown("builtins.set"), ()))

    def _frozen_set(self) -> None:
        items = self._pop_mark()
        placeholder = self._instance(self._unknown("builtins.frozenset"), ())
        placeholder.items = items
        self._push_object(placeholder)

    def _build(self) -> None:
        state = self._pop()
        target = self._top()
        kind = type(target)
        if kind is ArrayRecord:
            build_array(self, target, state)
        elif kind is DtypeRecord:
            build_dtype(self, target, state)
        elif kind is Placeholder and target.arguments is not None and target.state is None:
            target.state = state
        else:
            self._set_metadata(target, state)

    def _set_metadata(self, target: Any, state: Any) -> None:
        # Only torch's version numbers of modules are attached to a state dict in this way.
        if type(target) is not OrderedDict or type(state) is not dict or list(state) != ["_metadata"]:
            raise self.refusal(f"the pickle sets attributes of {kind_of(target)}, expected _metadata of an OrderedDict")
        if type(state["_metadata"]) not in (dict, OrderedDict) or hasattr(target, "_metadata"):
            raise self.refusal("the _metadata of an OrderedDict is not a dict, or comes twice")
        target._metadata = state["_metadata"]  # type: ignore[attr-defined]


# Functions that make an object of the class given as their first argument.
_MAKERS = {
    f"{module}.{name}"
    for module in ("copy_reg", "copyreg")
    for name in ("_reconstructor", "__newobj__", "__newobj_ex__")
}


def _opcode_name(opcode: int) -> str:
    # Imported only for a refusal, since this module imports Python's own unpickler.
    from pickletools import opcodes

    return next((entry.name for entry in opcodes if entry.code == chr(opcode)), f"0x{opcode:02x}")


def void(_: object) -> None:
    """Drop a value."""


_STOP = ord(".")
_UINT16, _INT32, _UINT32, _DOUBLE = struct.Struct("<H"), struct.Struct("<i"), struct.Struct("<I"), struct.Struct(">d")
_UINT64 = struct.Struct("<Q")

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
        "X": lambda m: m._string(m._unpack(_UINT32)),
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
        # Strings of Python 2, and its integers beyond 32 bits.
        "U": lambda m: m._push_object(text_of(m._take(m._byte()))),
        "T": lambda m: m._push_object(text_of(m._take(m._unpack(_UINT32)))),
        "I": lambda m: m._text_line(integer_of, "a valid integer", MAX_NUMBER_BYTES),
        # Protocols 0 and 1.
        "L": lambda m: m._text_line(integer_of, "a valid integer", MAX_NUMBER_BYTES),
        "F": lambda m: m._text_line(float_of, "a number", MAX_NUMBER_BYTES),
        "S": lambda m: m._text_line(quoted, "a quoted string"),
        "V": lambda m: m._text_line(unicode_of, "valid text"),
        "l": lambda m: m._push_object(m._pop_mark()),
        "d": PickleMachine._dict,
        "p": lambda m: m._put(m._index()),
        "g": lambda m: m._get(m._index()),
        "0": lambda m: void(m._pop()),
        "1": lambda m: void(m._pop_mark()),
        "i": PickleMachine._old_instance,
        "o": PickleMachine._old_object,
        # Protocols 2 to 5.
        "\x81": lambda m: m._new_object(1),
        "\x8b": PickleMachine._long,
        "B": lambda m: m._push_object(m._take(m._unpack(_UINT32))),
        "C": lambda m: m._push_object(m._take(m._byte())),
        "\x8c": lambda m: m._string(m._byte()),
        "\x8d": lambda m: m._string(m._unpack(_UINT64)),
        "\x8e": lambda m: m._push_object(m._take(m._unpack(_UINT64))),
        "\x8f": PickleMachine._set,
        "\x90": lambda m: m._append(m._pop_mark()),
        "\x91": PickleMachine._frozen_set,
        "\x92": lambda m: m._new_object(2),
        "\x93": PickleMachine._stack_global,
        "\x94": lambda m: m._put(len(m._memo)),
        "\x95": lambda m: void(m._unpack(_UINT64)),
        "\x96": lambda m: m._push_object(m._take(m._unpack(_UINT64))),
    }.items()
}
