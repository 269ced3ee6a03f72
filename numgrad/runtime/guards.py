"""`Guards`: what objects held, and the first that holds something else now, found by one loop of machine code.

A guard is a row of four words: its kind, an object, where in the object, and what is expected there. Objects are compared by
identity; numbers and texts that are equal are then the same to Python, which renews the row.
"""

from __future__ import annotations

import ctypes
import functools
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from numgrad.errors import KernelError
from numgrad.runtime.kernel import device, native
from numgrad.runtime.objects import (
    built_in,
    call_none,
    decref,
    dict_get,
    error_occurred,
    list_get,
    list_size,
    size_of,
)
from numgrad.runtime.words import interpreter_function, peek, poke, python_to_word, stack_words, word_to_python

# Kinds, in the order of the rows: sizes come before items, so that no item is looked for beyond the end.
SLOT, SIZE, BARE, SWITCH, EVERY, ITEM, AT, CELL, CODE, CALL = range(10)
# Those of which a number is compared: of items, of the items of an item, 1 for an item that is true, of items that are the same.
NUMBERS = SIZE, BARE, SWITCH, EVERY
ROW_BYTES = 32
NONE_CHANGED, FAILED = -1, -2
ABSENT = object()  # what is read where there is nothing
_PLAIN = (bool, int, float, complex, str, bytes, type(None))

_cell_contents = interpreter_function("PyCell_Get", 1)
_code_of = interpreter_function("PyFunction_GetCode", 1)
_next_item = interpreter_function("PyDict_Next", 4, "int")
_is_true = interpreter_function("PyObject_IsTrue", 1, "int")


@device
def _same_items(thing, pairs, words):
    """The number of a dict's first items that are those of a table of pairs; a value may be 0, for any."""
    position, key, value = words, words + 8, words + 16
    poke(position, 0)
    count, pair = 0, pairs
    while _next_item(thing, position, key, value):
        if peek(key) != peek(pair) or (peek(pair + 8) != 0 and peek(value) != peek(pair + 8)):
            return count
        count += 1
        pair += 16
    return count


@device
def read(kind, thing, key, words):
    """What a guard's place holds: an object's address, borrowed, 0 if there is none; or a number, see `NUMBERS`."""
    if kind == SLOT:
        return peek(thing + key)
    if kind == ITEM:
        return dict_get(thing, key)
    if kind == EVERY:
        return _same_items(thing, key, words)
    if kind == SIZE:
        return size_of(thing)
    if kind == AT:
        return list_get(thing, key) if key < list_size(thing) else 0
    if kind == CODE:
        return _code_of(thing)
    if kind == BARE:
        return size_of(dict_get(thing, key))
    if kind == SWITCH:
        item = dict_get(thing, key)
        return _is_true(item) if item != 0 else 0
    value = _cell_contents(thing) if kind == CELL else call_none(thing)
    decref(value)  # something else holds it, or it is none that is expected
    return value


@device
def first_changed(rows, count):
    """The number of the first row that does not hold; `NONE_CHANGED`, or `FAILED` with an exception set."""
    row, words = rows, stack_words(3)
    for number in range(count):
        value, expected = read(peek(row), peek(row + 8), peek(row + 16), words), peek(row + 24)
        if value != expected:
            return FAILED if error_occurred() else number
        if value == 0 and error_occurred():
            return FAILED
        row += ROW_BYTES
    return NONE_CHANGED


@native(3, returns=True)
def find_changed(self, args, count):
    """``find_changed(rows, count) -> row``: `first_changed` for Python."""
    number = first_changed(python_to_word(peek(args)), python_to_word(peek(args + 8)))
    return 0 if number == FAILED else word_to_python(number)


@native(3, returns=True)
def note_words(self, args, count):
    """``note_words(rows, count)``: expect of each row of the kind `SLOT` the word that is there now."""
    row = python_to_word(peek(args))
    for _ in range(python_to_word(peek(args + 8))):
        if peek(row) == SLOT:
            poke(row + 24, peek(peek(row + 8) + peek(row + 16)))
        row += ROW_BYTES
    return word_to_python(0)


@functools.cache
def _built(function: Any) -> Callable[..., int]:
    return built_in(function, 0, rehearsed=lambda *_: NONE_CHANGED)


class Guard(NamedTuple):
    """One guard, of a kind and a ``thing``; ``key`` is a slot's name, a dict's key, or a list's index."""

    kind: int
    thing: Any
    key: Any
    value: Any  # what is expected; `ABSENT`: nothing

    def now(self) -> Any:
        """What is there now."""
        kind, thing, key, _ = self
        if kind == SLOT:
            return getattr(thing, key)
        if kind == ITEM:
            return thing.get(key, ABSENT)
        if kind in (SIZE, BARE):
            return len(thing if kind == SIZE else thing[key])
        if kind == SWITCH:
            return bool(thing.get(key))
        if kind == AT:
            return thing[key] if key < len(thing) else ABSENT
        if kind == CODE:
            return thing.__code__
        return contents(thing) if kind == CELL else thing()


class Guards:
    """Guards that are compared together, in the order of their kinds.

    ``offset`` gives the bytes from the start of an object to its slot of a name.
    """

    def __init__(self, guards: Sequence[Guard], offset: Callable[[Any, str], int]) -> None:
        self.guards = sorted(_joined(guards), key=lambda guard: guard.kind)
        self._pairs: dict[int, tuple[list[Any], np.ndarray]] = {}  # by a dict's id: its keys, and the table
        rows = []
        for kind, thing, key, value in self.guards:
            if kind == EVERY:
                rows.append((kind, id(thing), self._pairs_of(thing, key), value))
                continue
            where = offset(thing, key) if kind == SLOT else 0 if key is None else key if kind == AT else id(key)
            expected = int(value) if kind in NUMBERS else 0 if value is ABSENT else id(value)
            if kind == SIZE and type(thing) in _SIZED:
                kind, where = SLOT, _size_offset(type(thing))  # type: ignore[arg-type]
            rows.append((kind, id(thing), where, expected))
        self.rows = np.array(rows, np.int64).reshape(-1, ROW_BYTES // 8)
        self.address: int = self.rows.ctypes.data

    def __len__(self) -> int:
        return len(self.guards)

    def _pairs_of(self, thing: Any, guards: Sequence[Guard]) -> int:
        """The address of a table of a dict's items, of which some are guarded; it ends with a pair that no dict has."""
        expected = {guard.key: id(guard.value) for guard in guards}
        pairs = [(id(key), expected.get(key, 0)) for key in thing]
        table = np.array([*pairs, (0, 0)], np.int64)
        self._pairs[id(thing)] = list(thing), table
        address: int = table.ctypes.data
        return address

    def changed(self) -> Guard | None:
        """The first that does not hold, or None; numbers and texts that are equal are the same."""
        find, first = _built(find_changed), 0
        while (number := find(self.address + ROW_BYTES * first, len(self.guards) - first)) >= 0:
            first += number
            guard = self.guards[first]
            if guard.kind == EVERY:
                for each in guard.key:
                    if not same(each.now(), each.value):
                        return each  # type: ignore[no-any-return]
                if not all(map(same, guard.thing, self._pairs[id(guard.thing)][0])):  # they are in another order
                    return guard
                renewed = [each._replace(value=each.now()) for each in guard.key]
                self.guards[first] = Guard(EVERY, guard.thing, renewed, len(guard.thing))
                self.rows[first, 2:] = self._pairs_of(guard.thing, renewed), len(guard.thing)
                first += 1
                continue
            now = guard.now()
            if not same(now, guard.value):
                return guard
            if guard.kind not in NUMBERS:
                self.guards[first] = guard._replace(value=now)
                self.rows[first, 3] = id(now)
            first += 1
        return None


def _joined(guards: Sequence[Guard]) -> list[Guard]:
    """Guards, of which those of one dict are joined where it is quicker to go through it than to look up its keys."""
    by_dict: dict[int, list[Guard]] = {}
    others = []
    for guard in guards:
        if guard.kind == ITEM and type(guard.thing) in (dict, OrderedDict) and guard.value is not ABSENT:
            by_dict.setdefault(id(guard.thing), []).append(guard)
        else:
            others.append(guard)
    for several in by_dict.values():
        thing = several[0].thing
        if len(thing) <= 2 * len(several) and len({guard.key for guard in several}) == len(several):
            others.append(Guard(EVERY, thing, several, len(thing)))
        else:
            others += several
    return others


class Words:
    """Words in memory that are to be what they are now, such as the counts of references of objects."""

    def __init__(self, places: Sequence[tuple[Any, int]]) -> None:
        self._things = [thing for thing, _ in places]
        self.rows = np.array([(SLOT, id(thing), offset, 0) for thing, offset in places], np.int64).reshape(-1, 4)
        self.address: int = self.rows.ctypes.data

    def __len__(self) -> int:
        return len(self.rows)

    def note(self) -> None:
        """Expect what is there now."""
        _built(note_words)(self.address, len(self.rows))

    def hold(self) -> bool:
        """Whether all are what they were."""
        return _built(find_changed)(self.address, len(self.rows)) < 0


def same(one: Any, other: Any) -> bool:
    """Whether two objects are one, or equal numbers or texts of one class."""
    return one is other or (type(one) is type(other) and isinstance(one, _PLAIN) and repr(one) == repr(other))


def contents(cell: Any) -> Any:
    """What a cell holds, or `ABSENT`."""
    try:
        return cell.cell_contents
    except ValueError:
        return ABSENT


_SIZED = (dict, list, set, OrderedDict)


@functools.cache
def _size_offset(cls: type) -> int:
    """The offset of the number of items in a container, in bytes, which is measured as `objects.offset_of` does."""
    container: Any = cls(enumerate(range(9)) if issubclass(cls, dict) else range(9))
    words = (ctypes.c_int64 * (cls.__basicsize__ // 8)).from_address(id(container))
    before = list(words)
    for _ in range(4):
        container.popitem() if issubclass(cls, dict) else container.pop()
    indices = [index for index, (word, now) in enumerate(zip(before, words, strict=True)) if (word, now) == (9, 5)]
    if len(indices) != 1:
        raise KernelError(f"the number of items of a {cls.__name__} is not found in its memory")
    return 8 * indices[0]


@functools.cache
def count_offset() -> int:
    """The offset of the count of references in an object, in bytes, which is measured as `objects.offset_of` does.

    Raises
    ------
    KernelError
        It is not found: this interpreter counts in another way.
    """
    thing = object()
    words = (ctypes.c_int64 * (object.__basicsize__ // 8)).from_address(id(thing))
    before = list(words)
    holders = [thing] * 5
    indices = [index for index, (word, now) in enumerate(zip(before, words, strict=True)) if now == word + len(holders)]
    if len(indices) != 1:
        raise KernelError("the count of references of an object is not found in its memory")
    return 8 * indices[0]
