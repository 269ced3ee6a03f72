"""What a translation gives: the texts of the sweeps, what they take, and how much memory they need."""

from __future__ import annotations

import functools
import linecache
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from numgrad.loops.schedule import stretches, turns_again

Role = Literal[
    "argument",
    "result",
    "grad_result",
    "grad_argument",
    "tangent",
    "result_tangent",
    "kept",
    "tape",
    "work",
    "used",
    "room",
    "status",
]
SHORT = 1  # status of a sweep whose memory did not suffice; nothing was written past its end
FIRST_FAILURE = 16  # this status and the next ones are the first and the next of `Sweeps.failures`


@dataclass(frozen=True)
class Kind:
    """What an argument is: an array of a dtype (``f4 f8 i1 i2 i4 i8 u1 b1``), a number (``ndim == 0``), or a constant.

    A constant's ``value`` becomes part of the text; such an argument is no parameter of the sweeps.
    """

    dtype: str
    ndim: int = 0
    value: Any = None
    constant: bool = False

    @property
    def is_real(self) -> bool:
        """Whether it is a floating-point number or an array of them, and so may need a gradient."""
        return self.dtype.startswith("f") and not self.constant


@dataclass(frozen=True)
class Line:
    """A line of the user's text, from which a line of a sweep was made."""

    function: str
    file: str
    number: int


@dataclass(frozen=True)
class Extent:
    """A whole number that shapes and integer arguments determine; ``str`` shows it as Python.

    ``evaluate(shapes, numbers)`` takes the shapes of array arguments and the values of integer arguments, by name.
    """

    text: str
    evaluate: Callable[[Mapping[str, Sequence[int]], Mapping[str, int]], int] = field(compare=False, repr=False)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Memory:
    """A block of memory that a sweep is given, an array of one dimension.

    Attributes
    ----------
    name
        The parameter's name, such as ``tape_f8``.
    dtype
        Of its elements.
    room
        How many elements are certainly enough, or None where only `Sweeps.count` can tell.
    """

    name: str
    dtype: str
    room: Extent | None


@dataclass(frozen=True)
class Result:
    """One result: a returned number or array, or the last contents of an argument that the function changes.

    Attributes
    ----------
    name
        ``out_0``, ``out_1`` ...
    dtype, shape
        Of the result; the shape of a number is ``()``.
    changes
        The argument whose last contents it is, else None. Returned values come first.
    needs_grad
        Whether it depends on an argument that needs a gradient.
    """

    name: str
    dtype: str
    shape: tuple[Extent, ...]
    changes: str | None
    needs_grad: bool


@dataclass(frozen=True)
class Failure:
    """How a run may end: the exception that the user's line raises, or that says what does not fit there."""

    line: Line
    error: type[Exception]
    message: str


@dataclass(frozen=True)
class Checkpoint:
    """A loop whose tape is made in parts.

    Attributes
    ----------
    line, name
        Where it stands, and its variable, or ``while``.
    snapshots
        How many states are kept on the tape, and as many while the reverse sweep runs; 0: the square root of its turns.
    turns
        How many turns it has at most; None where only a run can tell.
    state
        The bytes of one state; None where only a run can tell.
    """

    line: Line
    name: str
    snapshots: int
    turns: Extent | None
    state: Extent | None

    def said(self, shapes: Mapping[str, Sequence[int]], numbers: Mapping[str, int]) -> str:
        """What it takes for such arguments: a line of text."""
        size = "some" if self.state is None else self.state.evaluate(shapes, numbers)
        head = f"checkpoint {self.name}, line {self.line.number}: states of {size} bytes"
        if self.turns is None:
            often = f"at most {self.snapshots}" if self.snapshots else "two to four times the square root of the turns"
            return f"{head}, {often}; each turn is run again {'once or more' if self.snapshots else 'once'}"
        turns = max(0, self.turns.evaluate(shapes, numbers))
        each = stretches(turns, self.snapshots, True)
        again = sum([turns_again(n, self.snapshots + 1) for n in each]) if self.snapshots else 0
        return f"{head}, {len(each)} for {turns} turns; the reverse runs {again + turns} turns again"


@dataclass(frozen=True)
class Parameter:
    """One parameter of a sweep, in the order of its text.

    Attributes
    ----------
    name, dtype, ndim
        ``ndim == 0`` is a number that is passed by value. What is written is always an array: a number's result, gradient or
        tangent is an array of one element.
    role
        What it is for:
        ``argument``: read only. ``result``, ``grad_argument``, ``result_tangent``: written, whatever they hold before.
        ``grad_result``, ``tangent``: read only. ``kept``, ``tape``: written by `record`, only read by `reverse`.
        ``work``: memory without meaning before and after. ``used``: int64: how much of the tapes of reals, integers and truth
        values was used, then the numbers that `Sweeps.rooms` names; written by `record` and `count`, read by `reverse`.
        ``room``: a number that `count` finds; `record` takes it or a larger one.
        ``status``: int64, one element; left alone if all is well.
    of
        The name of the argument, result or block of memory that it belongs to.
    """

    name: str
    dtype: str
    ndim: int
    role: Role
    of: str


@dataclass(frozen=True, eq=False)
class Sweep:
    """A function as text. It allocates nothing, returns nothing, and is called with arrays that are contiguous in C order.

    Attributes
    ----------
    name, text
        The function's name, and the text that defines it: readable Python with comments.
    parameters
        In order.
    memory
        The blocks of memory among them that this sweep alone needs (role ``work``).
    lines
        For numbers of lines of the text, the line of the user's text.
    scope
        What the text's global names stand for in plain Python: ``math``, ``np``, ``room`` and what the user's function refers to.
        ``room(memory, place, *extents)`` is the array of these extents that lies in memory from a place on, and
        ``fork_parts(function, parts, given)`` calls one of the text's further functions; compiled code replaces both by
        intrinsics.
    """

    name: str
    text: str
    parameters: tuple[Parameter, ...]
    memory: tuple[Memory, ...]
    lines: Mapping[int, Line]
    scope: Mapping[str, Any]

    @property
    def function(self) -> Callable[..., None]:
        """The text as a function of plain Python; tracebacks and debuggers show its lines."""
        return _function_of(self)


@functools.lru_cache(1 << 10)
def _function_of(sweep: Sweep) -> Callable[..., None]:
    file = f"<numgrad {sweep.name} {id(sweep):x}>"
    linecache.cache[file] = (len(sweep.text), None, sweep.text.splitlines(True), file)
    scope = {"__name__": "numgrad.loops.written", **sweep.scope}
    exec(compile(sweep.text, file, "exec"), scope)
    function: Callable[..., None] = scope[sweep.name]
    return function


def fork_parts(function: Callable[..., None], parts: int, given: tuple[Any, ...]) -> None:
    """Call ``function(part, *given)`` for all parts; compiled code does it on all threads."""
    for part in range(parts):
        function(part, *given)


def room(memory: np.ndarray[Any, Any], first: int, *extents: int) -> np.ndarray[Any, Any]:
    """The array of these extents that lies in memory from a place on."""
    size = int(np.prod(extents))
    return memory[first : first + size].reshape(extents)


@dataclass(frozen=True, eq=False)
class Sweeps:
    """All that is made from one function for arguments of given kinds.

    Attributes
    ----------
    name
        The function's.
    arguments
        Names and kinds of its arguments, in order.
    needs
        Names of the real arguments whose gradients are computed; those that no result depends on are left out.
    results
        What it returns and changes.
    saved
        Blocks of memory that `record` writes and `reverse` reads.
    plain, record, count, reverse, tangent, gradient
        Results only. Results, and what the reverse needs. Nothing but ``used``: how much `record` needs, where no room can be
        computed beforehand (all that `record` reads, and ``used``). Gradients of arguments from those of results and what was
        saved. Results and their tangents. The gradient as a function in the language that `translate` reads (see `translate`).
    report
        What is recorded, what is computed again, which loops run how, and why: lines of text.
    failures
        Exceptions that a run may end with.
    single
        Whether what it returns is one value, and no tuple.
    checkpoints, again
        Loops whose tapes are made in parts, and the memory that the reverse takes for the parts.
    rooms
        Numbers that only `count` can tell (role ``room``): how much of a tape a part of the turns of a `prange` needs.
    """

    name: str
    arguments: tuple[tuple[str, Kind], ...]
    needs: tuple[str, ...]
    results: tuple[Result, ...]
    saved: tuple[Memory, ...]
    plain: Sweep
    record: Sweep
    count: Sweep
    reverse: Sweep
    tangent: Sweep
    gradient: Callable[[], Callable[..., Any]]
    report: str
    failures: tuple[Failure, ...]
    single: bool = True
    checkpoints: tuple[Checkpoint, ...] = ()
    again: tuple[Memory, ...] = ()
    rooms: tuple[str, ...] = ()
