"""`Stack`, the base of the pickle machine: its bytes, stack, marks and memo, and their limits."""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Callable, Sized
from typing import Any

from numgrad.serialization.errors import WeightsFormatError
from numgrad.serialization.placeholder import Placeholder

# Large pickles consist mostly of the bytes of arrays. 64 MiB of objects describe some 500,000 tensors. Python's objects can
# take 100 times the bytes that describe them; the limits bound that. Python's own pickler writes at least 6 bytes for each
# object, so only a file made for that purpose reaches a limit.
MAX_PICKLE_BYTES = 1 << 30
MAX_OPCODES = 10_000_000
FREE_OBJECTS = 50_000
BYTES_PER_OBJECT = 6
_OBJECT_BYTES = 64 << 20
# For copies of values that the pickle holds once, such as arrays from one string.
MAX_GROWTH = 4
FREE_GROWTH_BYTES = 16 << 20
_BYTES_PER_ITEM = 16
MAX_MARKS = 1_000
_MAX_NAMES = 1_000
_AS_LARGE_AS_TWO_DICTS = {OrderedDict, Placeholder}


class Stack:
    """The state of a machine that runs one pickle; see `pickle_machine.PickleMachine` for the parameters.

    >>> stack = Stack(b"\\x05ab\\n", "a.pth", 0)
    >>> stack._byte(), stack._line(3), stack.end
    (5, b'ab', 4)
    """

    def __init__(self, data: bytes, file: str, start: int) -> None:
        self._data = data
        self._file = file
        self.end = start
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._objects = 0
        size = len(data) - start
        self._max_objects = FREE_OBJECTS + min(size, _OBJECT_BYTES) // BYTES_PER_OBJECT
        self._budget = FREE_GROWTH_BYTES + MAX_GROWTH * size

    def refusal(self, reason: str) -> WeightsFormatError:
        return WeightsFormatError(self._file, reason)

    def ended(self, reason: str) -> WeightsFormatError:
        """The refusal of a pickle whose bytes end too early."""
        error = self.refusal(reason)
        error.more_may_help = True
        return error

    def spend(self, count: int) -> None:
        """Count copied bytes, and refuse more than honest files need.

        Raises
        ------
        WeightsFormatError
            The copies take several times the size of the pickle.
        """
        self._budget -= count
        if self._budget < 0:
            raise self.refusal(f"the pickle's strings and arrays would take more than {MAX_GROWTH} times its size")

    def _take(self, count: int) -> bytes:
        taken = self._data[self.end : self.end + count]
        if len(taken) != count:
            raise self.ended("the pickle is truncated")
        self.end += count
        return taken

    def _byte(self) -> int:
        try:
            value = self._data[self.end]
        except IndexError:
            raise self.ended("the pickle is truncated") from None
        self.end += 1
        return value

    def _unpack(self, form: struct.Struct) -> Any:
        try:
            (value,) = form.unpack_from(self._data, self.end)
        except struct.error:
            raise self.ended("the pickle is truncated") from None
        self.end += form.size
        return value

    def _pop(self) -> Any:
        if not self._stack:
            raise self.refusal("the pickle takes a value from an empty stack")
        return self._stack.pop()

    def _top(self) -> Any:
        if not self._stack:
            raise self.refusal("the pickle takes a value from an empty stack")
        return self._stack[-1]

    def _pop_mark(self) -> list[Any]:
        if not self._marks:
            raise self.refusal("the pickle returns to a mark that was never set")
        items = self._stack
        self._stack = self._marks.pop()
        return items

    def _push_object(self, value: object) -> None:
        self._objects += 2 if type(value) in _AS_LARGE_AS_TWO_DICTS else 1
        if self._objects > self._max_objects:
            raise self.refusal("the pickle makes more objects than fit its length")
        self._stack.append(value)

    def spend_items(self, items: Sized) -> None:
        """Count the items of a container that is copied or walked over, which a few bytes can repeat.

        Raises
        ------
        WeightsFormatError
            The items are many times as many as the pickle holds.
        """
        self.spend(_BYTES_PER_ITEM * len(items))

    def _mark(self) -> None:
        if len(self._marks) >= MAX_MARKS:
            raise self.refusal(f"the pickle nests more than {MAX_MARKS} marks")
        self._marks.append(self._stack)
        self._stack = []

    def _put(self, index: int) -> None:
        value = self._top()
        self._memo[index] = value
        # A pickler remembers each object once, and names, of which there are few.
        if len(self._memo) > self._objects + _MAX_NAMES:
            raise self.refusal("the pickle remembers more values than it makes")

    def _get(self, index: int) -> None:
        if index not in self._memo:
            raise self.refusal(f"the pickle recalls value {index}, which it never stored")
        self._stack.append(self._memo[index])

    def _line(self, most: int) -> bytes:
        """The bytes before the next line end."""
        stop = self._data.find(b"\n", self.end, self.end + most + 1)
        if stop < 0:
            raise self.ended("a line of the pickle does not end, or not within the bytes that it may have")
        line = self._data[self.end : stop]
        self.end = stop + 1
        return line

    def _text_line(self, parse: Callable[[bytes], Any], what: str, most: int = MAX_PICKLE_BYTES) -> None:
        line = self._line(most)
        try:
            value = parse(line)
        except ValueError:
            raise self.refusal(f"a line of the pickle is not {what}") from None
        self._push_object(value)

    def _index(self) -> int:
        line = self._line(20)
        if not line.isdigit():
            raise self.refusal("the pickle recalls or stores a value under something other than a number")
        return int(line)

    def _string(self, count: int) -> None:
        raw = self._take(count)
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise self.refusal("a string in the pickle is not utf-8") from None
        self._push_object(text)
