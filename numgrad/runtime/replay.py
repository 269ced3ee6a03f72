"""`BoundCalls`: a list of programs with their addresses, which one call of machine code runs to the end.

Most addresses are fixed when the list is made. Those of *slots* are given to each run, and machine code writes them into the
words where they belong before the first launch. A program that leaves a status ends the run, as an error ends eager code.

===========================  ==========================================================================
words                        meaning
===========================  ==========================================================================
of a list                    address of its rows, address of its patches, number of patches, the status
of a row                     entry, slots, work, grain, `pool.crew`, whether a program ends with this launch
of a patch                   address of the word, number of the slot, bytes to add
===========================  ==========================================================================
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from numgrad.runtime import objects, threads
from numgrad.runtime.host import HostCall
from numgrad.runtime.kernel import device, native
from numgrad.runtime.memory import Storage
from numgrad.runtime.objects import built_in, new_like, put
from numgrad.runtime.pool import run_region
from numgrad.runtime.program import Program
from numgrad.runtime.words import acquire_gil, peek, poke, python_to_word, release_gil, stack_words, word_to_python

ROWS, PATCHES, PATCH_COUNT, STATUS = range(4)
ROW_WORDS, PATCH_WORDS = 6, 3
ENDED = -1  # no program left a status


class Slot(NamedTuple):
    """An address that each run is given: the ``number``-th, plus ``offset`` bytes."""

    number: int
    offset: int


Operand = int | Slot


class Failure(NamedTuple):
    """The call that left a status, by its number, and the status."""

    call: int
    status: int


@device
def bind_slots(block, slots):
    """Write the addresses of the slots into the words where they belong."""
    patch = peek(block + 8 * PATCHES)
    for _ in range(peek(block + 8 * PATCH_COUNT)):
        poke(peek(patch), peek(slots + 8 * peek(patch + 8)) + peek(patch + 16))
        patch += 8 * PATCH_WORDS


@device
def run_stretch(pool, block, first, last):
    """Run rows first to last - 1; `ENDED`, or the row that left a status."""
    poke(block + 8 * STATUS, 0)
    head = peek(block + 8 * ROWS) + 8 * ROW_WORDS * first
    for row in range(first, last):
        run_region(pool, peek(head), peek(head + 8), peek(head + 16), peek(head + 24), peek(head + 32))
        if peek(head + 40) and peek(block + 8 * STATUS):
            return row
        head += 8 * ROW_WORDS
    return ENDED


@native(3, returns=True)
def run_rows(self, args, count):
    """``run_rows(list, first, last, *slots) -> row``: `run_stretch` with these addresses in the slots."""
    pool, block = python_to_word(self), python_to_word(peek(args))
    first, last = python_to_word(peek(args + 8)), python_to_word(peek(args + 16))
    slots = stack_words(count)
    for number in range(3, count):
        poke(slots + 8 * (number - 3), python_to_word(peek(args + 8 * number)))
    bind_slots(block, slots)
    state = release_gil()
    failed = run_stretch(pool, block, first, last)
    acquire_gil(state)
    return word_to_python(failed)


_run_rows: Callable[..., int] | None = None


def _runner() -> Callable[..., int]:
    global _run_rows
    if _run_rows is None:
        _run_rows = built_in(run_rows, threads.ADDRESS, rehearsed=lambda *_: ENDED)
    return _run_rows


class BoundCalls:
    """Programs, calls of the host and functions without arguments, in their order.

    Parameters
    ----------
    calls
        Each a program with an operand for each of its addresses, or a function with no operands.
    words
        Further words in memory that hold addresses of slots: the word's own address, and its slot.
    """

    def __init__(
        self,
        calls: Sequence[tuple[Program | HostCall | Callable[[], Any], Sequence[Operand]]],
        words: Sequence[tuple[int, int, int]] = (),
    ) -> None:
        self._alive: list[Any] = [calls]
        self._words = np.zeros(4, np.int64)
        self.address: int = self._words.ctypes.data
        self._call_of_row: list[int] = []
        # Between the rows: (number of the call, the first row after it, the call and its operands).
        self._between: list[tuple[int, int, Any, Sequence[Operand]]] = []
        self.splits = False
        self.cost = 0  # of all launches, in elementary operations
        programs: list[tuple[int, Program, Sequence[Operand]]] = []
        for number, (call, operands) in enumerate(calls):
            if not isinstance(call, Program):
                self._between.append((number, len(self._call_of_row), call, operands))
                continue
            self.splits |= call.splits
            self.cost += call.cost
            programs.append((number, call, operands))
            self._call_of_row += [number] * len(call.launches)
        patches = list(words)
        self._rows = self._bound(programs, patches)
        self._patches = np.array(patches, np.int64).reshape(-1, PATCH_WORDS)
        self._words[:] = self._rows.ctypes.data, self._patches.ctypes.data, len(patches), 0

    def _bound(
        self, programs: Sequence[tuple[int, Program, Sequence[Operand]]], patches: list[tuple[int, int, int]]
    ) -> np.ndarray:
        """The rows of programs, whose frames are laid into one array; words that hold addresses of slots become patches."""
        frames = [program.template.frame for _, program, _ in programs]
        memory = np.concatenate([*frames, np.zeros(0, np.int64)])
        self._alive.append(memory)
        base: int = memory.ctypes.data
        rows: list[tuple[int, ...]] = []
        written: list[int] = []
        values: list[int] = []
        status, at = self.address + 8 * STATUS, 0
        for (_, program, operands), frame in zip(programs, frames, strict=True):
            template = program.template
            for word, index, offset in template.patches:
                operand = operands[index]
                if operand.__class__ is Slot:
                    patches.append((base + 8 * (at + word), operand.number, operand.offset + offset))  # type: ignore[union-attr]
                else:
                    written.append(at + word)
                    values.append(operand + offset)  # type: ignore[operator, arg-type]
            for word in template.statuses:
                written.append(at + word)
                values.append(status)
            for word, goal in template.inside:
                written.append(at + word)
                values.append(base + 8 * (at + goal))
            for entry, begin, work, grain, crew, ends in template.heads:
                rows.append((entry, base + 8 * (at + begin), work, grain, crew, ends))
            at += len(frame)
        memory[written] = values
        return np.array(rows, np.int64).reshape(-1, ROW_WORDS)

    def __len__(self) -> int:
        """The number of launches."""
        return len(self._rows)

    @property
    def is_one_call(self) -> bool:
        """Whether nothing runs in Python between the launches."""
        return not self._between

    def prepared(self, slots: Sequence[int]) -> tuple[Callable[..., int], tuple[int, ...]]:
        """The function and the arguments whose call runs all rows, if `is_one_call`; see `failure` for its result."""
        self.make_ready()
        return _runner(), (self.address, 0, len(self._rows), *slots)

    def make_ready(self) -> None:
        """Start the threads that a launch needs."""
        if self.splits and not threads.ready:
            threads.start()

    def failure(self, row: int) -> Failure | None:
        """What the result of a run says."""
        return None if row == ENDED else Failure(self._call_of_row[row], int(self._words[STATUS]))

    def run(self, slots: Sequence[int]) -> Failure | None:
        """Run everything, given the addresses of the slots; the caller keeps their memory alive."""
        self.make_ready()
        runner, first = _runner(), 0
        for number, row, call, operands in self._between:
            if first < row and (failed := runner(self.address, first, row, *slots)) != ENDED:
                return self.failure(failed)
            first = row
            if isinstance(call, HostCall):
                addresses = [slots[each.number] + each.offset if isinstance(each, Slot) else each for each in operands]
                if status := call.run(addresses):
                    return Failure(number, status)
            else:
                call()
        return self.failure(runner(self.address, first, len(self._rows), *slots))


# ---- objects around a replay ------------------------------------------------------------------------------------


@native(3, returns=True)
def lay_over(self, args, count):
    """``lay_over(storage, spec, address) -> tensor``; the offsets of these slots and the template lie at ``self``."""
    words = python_to_word(self)
    tensor = new_like(words + 24)
    if tensor != 0:
        for position in range(3):
            put(tensor + peek(words + 8 * position), peek(args + 8 * position))
    return tensor


_example: Any = None


def connect(example: Callable[[], Any]) -> None:
    """Set the function that makes a tensor, which shows where the slots of tensors lie."""
    global _example
    _example = example


def example_storage() -> Storage:
    """A storage, for the offsets of its slots."""
    return Storage(0, 0, None)


@functools.cache
def offset_of(name: str) -> int:
    """The offset of a tensor's slot, in bytes."""
    return objects.offset_of(_example(), name)


@functools.cache
def tensor_words() -> int:
    """The address of three offsets of slots, and of the template of a tensor behind them (see `lay_over`)."""
    slots = ("_storage", "_spec", "_address")
    words = [*map(offset_of, slots), *objects.template(_example(), slots)]
    table, address = objects.words_for_ever(len(words))
    table[:] = words
    return address


def _rehearsed(storage: Any, spec: Any, address: int) -> Any:
    tensor = _example()
    tensor._storage, tensor._spec, tensor._address = storage, spec, address
    return tensor


@functools.cache
def tensor_maker() -> Callable[[Any, Any, int], Any]:
    """``(storage, spec, address) -> tensor`` in machine code."""
    return built_in(lay_over, tensor_words(), rehearsed=_rehearsed)
