"""The launch door: every number that numgrad computes comes out of `launch`.

A `Program` is a short list of kernel launches whose shapes, scalars and grains are fixed and whose addresses are not.
It lies in one block of int64 words that compiled code reads, so one call from Python binds the addresses and runs all
of its launches, on the pool if the work is worth splitting:

====================  ==================================================================
words                 meaning
====================  ==================================================================
0 .. 5                launches, patches, frame words, release the GIL, first patch, first frame word
then, per launch      entry, offset of its slots in the frame, work, grain, workers and weight (`pool.crew`)
then, per patch       index of the word in the frame, index of the address, bytes to add
then                  the frame: for each launch its slots (word 0 the status address, then the arguments)
====================  ==================================================================

A `Pair` is laid out as a launch of `run_pair`. Each of its items is a chunk of one of the two launches, whose slots lie
behind the pair's own.
"""

from __future__ import annotations

import ctypes
import math
import struct
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from numgrad import config
from numgrad.errors import KernelError
from numgrad.runtime import kernel, locks, threads
from numgrad.runtime import pool as _pool
from numgrad.runtime.host import HostCall
from numgrad.runtime.kernel import OUT_OF_BOUNDS, native
from numgrad.runtime.launches import Address as Address  # whoever makes programs finds all of it here
from numgrad.runtime.launches import Array, Constant, Launch, Pair
from numgrad.runtime.objects import built_in, words_for_ever
from numgrad.runtime.words import (
    acquire_gil,
    atomic_load,
    call_entry,
    call_native,
    compare_and_swap,
    peek,
    poke,
    python_to_word,
    release_gil,
    stack_words,
    word_to_python,
)
from numgrad.symbols import Symbol

run_region = _pool.run_region
HEADER_WORDS, LAUNCH_WORDS, PATCH_WORDS = 6, 5, 3
PART_WORDS = 4  # of a launch in a pair: entry, bytes from the pair's slots to its own, work, grain
PAIR_WORDS = 2 + 2 * PART_WORDS  # status, counts of claimed chunks, the two launches
STATUS_ADDRESS = -1  # as an address's index: the launch's status word
TABLE_ADDRESS = -2  # the table of all addresses that the program is given
# Work under which holding the GIL is cheaper than giving it up; in the launch's own cost estimate.
GIL_COST = 1 << 15
_MOST_FRAME_WORDS = 1 << 15  # the frame lies on the launching thread's stack: a quarter of a megabyte at most
_END = 1 << 63  # of what a word can hold
_MOST_ADDRESSES = 1024  # and so do the addresses, up to this number


def scalar_word(name: str, type_name: str, value: Any) -> int:
    """The bits of a kernel's scalar argument; a number beyond float32 becomes infinite.

    Raises
    ------
    TypeError
        It is not a number.
    RuntimeError
        The type cannot hold it.
    """
    if value.__class__ is int and type_name == "i8" and -_END <= value < _END:  # most of them
        return value  # type: ignore[no-any-return]
    if not isinstance(value, (int, float, np.number, np.bool_)):
        raise TypeError(f"{name} is {value!r}, expected a number")
    if type(value) is Symbol:
        is_int = type_name in ("i1", "i2", "i4", "i8", "u1") and isinstance(value, int)
        return value if is_int else value.trace.call("scalar_word", scalar_word, name, type_name, value)  # type: ignore[return-value]
    try:
        if type_name == "f4":
            with np.errstate(over="ignore"):
                packed = struct.pack("<fi", np.float32(value), 0)
        elif type_name == "f8":
            packed = struct.pack("<d", value)
        else:
            packed = struct.pack("<q", bool(value) if type_name == "b1" else int(value))
    except (struct.error, OverflowError, ValueError) as error:
        raise RuntimeError(f"{name} is {value!r}, which {type_name} cannot hold without overflow") from error
    word: int = struct.unpack("<q", packed)[0]
    return word


class Template(NamedTuple):
    """A program's frame, with room for a table of its addresses if it needs one, and the words of it that a copy has written.

    ``patches`` are word, number of an address, and bytes to add; ``statuses`` hold the address of the status; ``inside`` are
    word, and the word of the frame whose address it holds; ``heads`` are entry, first word, work, grain, `pool.crew`, is the last.
    """

    frame: np.ndarray
    patches: list[tuple[int, int, int]]
    statuses: list[int]
    inside: list[tuple[int, int]]
    heads: list[tuple[int, ...]]


class Laid(NamedTuple):
    """Launches as the words of a program; ``constants`` are those among them that hold the address of a constant's words."""

    words: list[Any]
    constants: list[tuple[int, Constant]]
    splits: bool
    cost: int


def laid_out(launches: Sequence[Launch | Pair], address_count: int, stepped: bool) -> Laid:
    """The words of a program (see the module's text), but for addresses of constants. Kernels are compiled.

    Raises
    ------
    KernelError
        An argument is not what its kernel declares, or there are too many of them.
    """
    heads: list[Any] = []
    patches: list[Any] = []
    frame: list[Any] = []
    constants: list[tuple[int, Constant]] = []
    splits = False
    for launch in launches:
        begin = len(frame)
        splits = splits or bool(launch.work > launch.grain)
        if isinstance(launch, Pair):
            entry = kernel.NO_ADDRESS if stepped else run_pair.address()
            frame += [0] * PAIR_WORDS
            for number, part in enumerate(launch.parts):
                first = begin + 2 + PART_WORDS * number
                patches += [len(frame), STATUS_ADDRESS, 0]
                frame[first : first + PART_WORDS] = [0, 8 * (len(frame) - begin), part.work, part.grain]
                splits = splits or part.kernel.forks
                _add_slots(part, address_count, frame, patches, constants)
                frame[first] = kernel.NO_ADDRESS if stepped else part.kernel.entry(part.binding)
        else:
            splits = splits or launch.kernel.forks
            _add_slots(launch, address_count, frame, patches, constants)
            entry = kernel.NO_ADDRESS if stepped else launch.kernel.entry(launch.binding)
        heads += [entry, begin, launch.work, launch.grain, _pool.crew(launch.workers, launch.cost)]
    if len(frame) > _MOST_FRAME_WORDS:
        raise KernelError(f"a program's arguments take {len(frame)} words, expected at most {_MOST_FRAME_WORDS}")
    first_patch = HEADER_WORDS + len(heads)
    first_frame = first_patch + len(patches)
    cost = sum(launch.cost for launch in launches)
    release = int(cost > GIL_COST)
    header = [len(launches), len(patches) // PATCH_WORDS, len(frame), release, first_patch, first_frame]
    constants = [(first_frame + word, constant) for word, constant in constants]
    return Laid(header + heads + patches + frame, constants, splits, cost)


def _add_slots(
    launch: Launch, address_count: int, frame: list[Any], patches: list[Any], constants: list[tuple[int, Constant]]
) -> None:
    """Add a launch's slots to the frame."""
    frame.append(0)  # the status address, written by `execute`
    for parameter, argument in zip(launch.kernel.bound(launch.binding), launch.arguments, strict=True):
        if parameter.ndim:
            if not isinstance(argument, (Array, Constant)) or len(argument.shape) != parameter.ndim:
                raise KernelError(
                    f"{launch.kernel.name}: argument {parameter.name} is {argument!r}, "
                    f"expected an array of {parameter.ndim} dimensions"
                )
            if isinstance(argument, Constant):
                constants.append((len(frame), argument))
            elif argument.address.index >= address_count:
                raise KernelError(f"{launch.kernel.name}: {parameter.name} has no address")
            else:
                patches += [len(frame), argument.address.index, argument.address.offset]
            frame += [0, *argument.shape]
        else:
            for name, type_name, value in parameter.scalars(argument, f"{launch.kernel.name}: "):
                frame.append(scalar_word(name, type_name, value))


class Program:
    """Launches laid out for compiled code (see the module's text); made once per signature, run many times."""

    __slots__ = ("__weakref__", "_held", "_launches", "_template", "address", "address_count", "cost", "has_table",
                 "splits", "stepped")  # fmt: skip

    def __init__(self, launches: Sequence[Launch | Pair], address_count: int, stepped: bool | None = None) -> None:
        # Whether `stepping` runs it, with nothing compiled; the setting decides by default.
        stepped = config.PYTHON.is_set() if stepped is None else stepped
        laid = laid_out(launches, address_count, stepped)
        for word, constant in laid.constants:
            laid.words[word] = constant.words.ctypes.data
        words = np.array(laid.words, np.int64)
        self.fill(words, words.ctypes.data, tuple(launches), address_count, laid.splits, laid.cost, stepped)
        if stepped:
            from numgrad.runtime import stepping

            stepping.know(self)

    def fill(
        self, held: Any, address: int, launches: Any, address_count: int, splits: bool, cost: int, stepped: bool = False
    ) -> None:
        """Set all fields: the words, their address, and the launches, or a function that gives them."""
        self._held, self.address, self._launches = held, address, launches
        self.address_count, self.splits, self.cost, self.stepped = address_count, splits, cost, stepped
        self.has_table = address_count > _MOST_ADDRESSES
        self._template: Template | None = None

    @property
    def launches(self) -> tuple[Launch | Pair, ...]:
        """The launches."""
        if callable(self._launches):
            self._launches = tuple(self._launches())
        return self._launches  # type: ignore[no-any-return]

    def touched(self) -> tuple[list[int], dict[int, str]]:
        """By each address the bytes from it on that launches may touch, and as what dtype, as kernels name it."""
        touched, codes = [0] * self.address_count, dict[int, str]()
        for part in [part for launch in self.launches for part in launch.parts]:
            for parameter, argument in zip(part.kernel.bound(part.binding), part.arguments, strict=True):
                if isinstance(argument, Array) and argument.address.index >= 0 and (count := math.prod(argument.shape)):
                    index, offset = argument.address.index, argument.address.offset
                    touched[index] = max(touched[index], offset + count * int(parameter.type[1:]))
                    codes[index] = parameter.type
        return touched, codes

    def names(self) -> list[str]:
        """Names of the kernels, one text for each launch; a pair has both in one."""
        return ["+".join(part.kernel.name for part in launch.parts) for launch in self.launches]

    @property
    def template(self) -> Template:
        """How a copy of the frame is bound for a replay."""
        if self._template is None:
            self._template = self._new_template()
        return self._template

    def _new_template(self) -> Template:
        if self.stepped:  # a replay is machine code
            return Program(self.launches, self.address_count, stepped=False).template
        words = np.frombuffer(self._held, np.int64)
        count, patch_count, frame_words, _, first_patch, first_frame = words[:HEADER_WORDS].tolist()
        frame = words[first_frame : first_frame + frame_words]
        heads = words[HEADER_WORDS:first_patch].reshape(count, LAUNCH_WORDS).tolist()
        patches = words[first_patch:first_frame].reshape(patch_count, PATCH_WORDS).tolist()
        to_table = [word for word, index, _ in patches if index == TABLE_ADDRESS]
        bound = [(word, index, offset) for word, index, offset in patches if index >= 0]
        if to_table:
            frame = np.concatenate((frame, np.zeros(self.address_count, np.int64)))
            bound += [(frame_words + index, index, 0) for index in range(self.address_count)]
        return Template(
            frame,
            bound,
            [head[1] for head in heads] + [word for word, index, _ in patches if index == STATUS_ADDRESS],
            [(word, frame_words) for word in to_table],
            [(*head, int(number == count - 1)) for number, head in enumerate(heads)],
        )

    def bound_launches(self, addresses: Sequence[int], status: int) -> list[tuple[int, np.ndarray, int, int, int]]:
        """(entry, slots, work, grain, `pool.crew`) of each launch, with the addresses written into its slots, for a replay.

        They are valid as long as the program, which holds the constants.
        """
        template = self.template
        memory = template.frame.copy()
        base: int = memory.ctypes.data
        memory[template.statuses] = status
        for word, goal in template.inside:
            memory[word] = base + 8 * goal
        for word, index, offset in template.patches:
            memory[word] = addresses[index] + offset
        ends = [*[begin for _, begin, *_ in template.heads[1:]], len(memory)]
        return [
            (entry, memory[begin:end], work, grain, crew)
            for (entry, begin, work, grain, crew, _), end in zip(template.heads, ends, strict=True)
        ]


@native(4)
def run_pair(slots, start, stop, worker):
    """The entry of a `Pair`: run the next chunks, one an item.

    Every other worker takes chunks of the first launch, the others those of the second, until either has none left.
    """
    first, second = slots + 16, slots + 16 + 8 * PART_WORDS
    firsts = (peek(first + 16) + peek(first + 24) - 1) // peek(first + 24)
    seconds = (peek(second + 16) + peek(second + 24) - 1) // peek(second + 24)
    for _ in range(start, stop):
        claimed = False
        part, chunk = first, 0
        while not claimed:
            counts = atomic_load(slots + 8)  # chunks of the first << 32 | of the second
            of_first, of_second = counts >> 32, counts & 0xFFFFFFFF
            if of_first < firsts and (worker % 2 == 0 or of_second == seconds):
                part, chunk, following = first, of_first, counts + (1 << 32)
            else:
                part, chunk, following = second, of_second, counts + 1
            if of_first + of_second + 1 == firsts + seconds:
                following = 0  # for the next run
            claimed = compare_and_swap(slots + 8, counts, following) != 0
        work, grain = peek(part + 16), peek(part + 24)
        call_entry(peek(part), slots + peek(part + 8), chunk * grain, min(work, (chunk + 1) * grain), worker)


@native(3, returns=True)
def run_program(pool, program, addresses):
    """Run a program over an array of addresses; the status word. Callers use its address, lest their code contain it."""
    launches, patches, frame_words = peek(program), peek(program + 8), peek(program + 16)
    frame = stack_words(frame_words + 1)
    status = frame + 8 * frame_words
    poke(status, 0)
    source = program + 8 * peek(program + 40)
    for word in range(frame_words):
        poke(frame + 8 * word, peek(source + 8 * word))
    patch = program + 8 * peek(program + 32)
    for _ in range(patches):
        index = peek(patch + 8)
        if index >= 0:
            address = peek(addresses + 8 * index)
        else:
            address = status if index == STATUS_ADDRESS else addresses
        poke(frame + 8 * peek(patch), address + peek(patch + 16))
        patch += 8 * PATCH_WORDS
    state = 0
    if peek(program + 24):
        state = release_gil()
    head = program + 8 * HEADER_WORDS
    for _ in range(launches):
        slots = frame + 8 * peek(head + 8)
        poke(slots, status)
        run_region(pool, peek(head), slots, peek(head + 16), peek(head + 24), peek(head + 32))
        head += 8 * LAUNCH_WORDS
    if state:
        acquire_gil(state)
    return peek(status)


@native(3, returns=True)
def execute(self, args, count):
    """``execute(program, *addresses) -> status``, called by the interpreter with its vector of arguments.

    ``self`` is the Python int that holds the address of two words: the pool's address, and that of `run_program`.
    """
    words = python_to_word(self)
    addresses = stack_words(count)
    for index in range(count - 1):
        poke(addresses + 8 * index, python_to_word(peek(args + 8 * (1 + index))))
    program = python_to_word(peek(args))
    return word_to_python(call_native(peek(words + 8), peek(words), program, addresses))


@native(3)
def run_bound(pool, rows, count):
    """Run ``count`` rows of (entry, slots, work, grain, crew), one after the other: the replay loop."""
    for row in range(count):
        head = rows + 8 * LAUNCH_WORDS * row
        run_region(pool, peek(head), peek(head + 8), peek(head + 16), peek(head + 24), peek(head + 32))


_execute: Callable[..., int] | None = None  # once it is needed


def _executor() -> Callable[..., int]:
    """`execute` as a built-in function of the interpreter: 0.1 us a call, where ctypes takes 0.5."""
    global _execute
    if config.PYTHON.is_set():
        from numgrad.runtime import stepping

        _execute = stepping.execute
        return _execute
    words, address = words_for_ever(2)
    words[:] = threads.ADDRESS, run_program.address()
    _execute = built_in(execute, address, rehearsed=lambda *_: 0)
    return _execute


def _execute_table(program: int, *addresses: int) -> int:
    """`execute` for more addresses than a stack should hold."""
    return execute_compiled(program, addresses)


def execute_compiled(program: int, addresses: Sequence[int]) -> int:
    """Run a program, by its address, over a table of addresses."""
    entry, table = run_program.address(), np.array(addresses, np.int64)
    if kernel.rehearsal is not None:
        return 0
    run = ctypes.PYFUNCTYPE(*[ctypes.c_int64] * 4)(entry)  # it releases the GIL itself
    status: int = run(threads.ADDRESS, program, table.ctypes.data)
    return status


class Observer(Protocol):
    """A listener to launches: a recorder for replay, a profiler."""

    def launched(self, program: Program | HostCall, addresses: tuple[int, ...]) -> None:
        """Called after the program ran."""


observers: list[tuple[int, Observer]] = []  # (observed thread, observer)


def _forget_other_threads() -> None:
    """In the child of a fork they do not exist, and new threads may get their numbers."""
    thread = threading.get_ident()
    observers[:] = [entry for entry in observers if entry[0] == thread]


locks.at_fork(_forget_other_threads)


def observe(observer: Observer) -> None:
    """Tell ``observer`` of this thread's launches from now on."""
    observers.append((threading.get_ident(), observer))


def stop_observing(observer: Observer) -> None:
    """The end of `observe`."""
    observers[:] = [entry for entry in observers if entry[1] is not observer]


def launch(program: Program | HostCall, *addresses: int) -> int:
    """Run a program over the given addresses; the status word that its kernels left (0: nothing to report).

    The caller has proved that each address holds what the program's shapes say.

    Raises
    ------
    KernelError
        In the debug mode: a kernel indexed an array out of its bounds.
    """
    if isinstance(program, HostCall):
        status = program.run(addresses)
    else:
        if program.splits and not threads.ready:
            threads.start()
        execute = _execute_table if program.has_table else _execute or _executor()
        status = execute(program.address, *addresses)
    if observers or status:
        report(program, addresses, status)
    return status


def executor() -> Callable[..., int]:
    """The function ``execute(program.address, *addresses) -> status`` of `launch`, for a loop over programs in C.

    The caller makes each program ready before (`make_ready`), and reports its status after (`report`).
    """
    return _execute or _executor()


def make_ready(program: Program) -> None:
    """Start the threads that a program needs."""
    if program.splits and not threads.ready:
        threads.start()


def report(program: Program | HostCall, addresses: tuple[int, ...], status: int) -> None:
    """Tell observers of a program that ran, unless it left a status, and raise the error that this stands for.

    Raises
    ------
    KernelError
        In the debug mode: a kernel indexed an array out of its bounds.
    """
    if status == OUT_OF_BOUNDS:
        raise KernelError(f"an index is out of bounds in one of the kernels: {', '.join(program.names())}")
    if observers and not status:
        thread = threading.get_ident()
        for observed, observer in tuple(observers):
            if observed == thread:
                observer.launched(program, addresses)
