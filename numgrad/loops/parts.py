"""Loops whose tape is made in parts: less memory, for turns that are run again.

The forward sweep keeps *states*, what the loop changes as it is before a turn, and records nothing else. The reverse sweep
takes the stretches between them from the last one. It puts back what there was, runs turns again on a tape of the part's own,
and goes them backwards (Griewank and Walther, Evaluating Derivatives, 2008, chapter 12).

- By the square root: as many states as a stretch has turns, and a stretch is one part. Each turn runs once more.
- With a number of snapshots: so many states on the tape, a part is one turn, and in a stretch as many more states are kept in
  memory that only the reverse sweep has, by the binomial schedule (`schedule`), which takes the fewest turns.

Where the number of turns is known when the loop begins, the states lie at equal distances. A loop that may be left, or has a
condition, begins with a state for each turn. When there are too many, every second one is dropped and the distance doubles.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from numgrad.loops.backward import Adjoint
from numgrad.loops.code import Code, loops, span, trips_text, turn
from numgrad.loops.extents import WorkMemory, extent
from numgrad.loops.forward import SHORT, TAPES, Forward
from numgrad.loops.language import (
    ONE,
    ZERO,
    Assign,
    Const,
    Expr,
    For,
    Loop,
    Op,
    bare,
    op,
    product,
    scalars,
    text,
    walk,
    written,
)
from numgrad.loops.reverse import Reverse
from numgrad.loops.rooms import Bounds, Rooms, rooms_of_block
from numgrad.loops.sweeps import Checkpoint, Memory

_BYTES = {"f": 8, "i": 8, "b": 1}


class Parts:
    """The loop that is made in parts, of one function.

    Attributes
    ----------
    snapshots
        How many states are kept on the tape, and as many in the reverse sweep; 0: the square root of the turns.
    is_counted
        Whether the number of turns is known when the loop begins.
    turns
        The most turns, made of shapes and integer arguments; None if it is not known.
    each
        How much one turn records at most, by kind.
    numbers, arrays, sizes
        The state: numbers with their kinds, arrays, and how many elements it has, by kind.
    """

    def __init__(self, forward: Forward, s: Any) -> None:
        self.loop, self.snapshots, self.late_extents = s, s.checkpoint, forward.unit.late_extents
        self.is_counted = isinstance(s, For) and not s.exit
        self.stem = s.var if isinstance(s, For) else s.count
        bounds = Bounds(forward.v)
        self.turns = bounds.trips(s) if self.is_counted else None
        if isinstance(s, For):
            bounds.loops[s.var] = s
        self.each = rooms_of_block(forward, s.body, bounds)
        changed = {x.name for x in walk(s.body) if isinstance(x, Assign) and x.name not in forward.v.where}
        self.numbers = [(forward.kind(n), n) for n in sorted(changed)]
        self.arrays = sorted(written(s.body))
        self.sizes: dict[str, Expr] = {}
        for kind in TAPES:
            total: Expr = Const(sum(k == kind for k, _ in self.numbers))
            for n in self.arrays:
                if forward.unit.arrays[n].kind == kind:
                    total = op("+", total, product(forward.unit.arrays[n].shape))
            if total != ZERO:
                self.sizes[kind] = total

    # ---- memory -----------------------------------------------------------------------------------------------------------

    def rooms(self, forward: Forward) -> Rooms:
        """What the loop leaves on the tapes."""
        total: Rooms = dict.fromkeys(TAPES, ZERO)
        for kind, size in self.sizes.items():
            total[kind] = None if self.turns is None or self._is_found(size) else op("*", size, self._most())
        if forward.counts_turns(self.loop) and total["i"] is not None:
            total["i"] = op("+", total["i"], ONE)
        return total

    def _is_found(self, size: Expr) -> bool:
        """Whether a size is one that only a run can tell."""
        return not self.late_extents.isdisjoint(scalars(size))

    def _root(self) -> Expr:
        assert self.turns is not None
        return op("max", ONE, Op("int", (Op("sqrt", (op("max", ZERO, self.turns),)),)))

    def _most(self) -> Expr:
        """The most states on the tape, where the turns are counted."""
        assert self.turns is not None
        return op("min", op("max", ZERO, self.turns), Const(self.snapshots)) if self.snapshots else self._root()

    def memory(self) -> dict[str, tuple[str, Expr | None]]:
        """Blocks that the reverse sweep needs beside the tape: dtype and room, None where only a run can tell."""
        blocks: dict[str, tuple[str, Expr | None]] = {}
        for kind, one in self.each.items():
            if one == ZERO:
                continue
            room = one
            if not self.snapshots:  # a stretch of n turns, in about root n parts, has root n + 2 turns at most
                known = one is not None and self.turns is not None
                room = op("*", one, op("+", self._root(), Const(2))) if known else None  # type: ignore[arg-type]
            blocks[f"part_{TAPES[kind]}"] = TAPES[kind], room
        if self.snapshots:
            for kind, size in self.sizes.items():
                room = None if self._is_found(size) else op("*", size, Const(self.snapshots))
                blocks[f"states_{TAPES[kind]}"] = TAPES[kind], room
            blocks["states_at"] = "i8", Const(self.snapshots)
        return blocks

    def said(self) -> Checkpoint:
        """What a report says of it."""
        size: Expr = ZERO
        for kind, each in self.sizes.items():
            size = op("+", size, op("*", each, Const(_BYTES[kind])))
        name = self.stem.rsplit("_", 1)[0] if isinstance(self.loop, For) else "while"
        turns = None if self.turns is None else extent(self.turns)
        return Checkpoint(self.loop.line, name, self.snapshots, turns, None if self._is_found(size) else extent(size))

    # ---- names ------------------------------------------------------------------------------------------------------------

    def _named(self, forward: Forward, ending: str) -> str:
        return forward.names.own(f"{self.stem}{ending}")

    def _count(self, forward: Forward) -> list[str]:
        """The number of turns, and that of the states that are kept, where the loop is counted."""
        n, parts = self._named(forward, "_count"), self._named(forward, "_parts")
        return [
            f"{n} = {trips_text(self.loop)}",
            f"{parts} = min({n}, {self.snapshots or f'max(1, int(math.sqrt({n})))'})",
        ]

    def _limit(self, stride: str) -> str:
        """How many states there may be before every second one is dropped."""
        return str(self.snapshots) if self.snapshots else f"4 * {stride}"

    # ---- states -----------------------------------------------------------------------------------------------------------

    def _copy(self, forward: Forward, places: dict[str, tuple[str, str]], to_memory: bool, out: list[Any]) -> None:
        """The state to memory, or back; for each kind the array and where the state begins in it."""
        for kind in self.sizes:
            memory, begin = places[kind]
            numbers = [n for k, n in self.numbers if k == kind]
            for k, n in enumerate(numbers):
                pair = f"{memory}[{begin}{f' + {k}' if k else ''}]", n
                out.append(f"{pair[not to_memory]} = {pair[to_memory]}")
            arrays = [n for n in self.arrays if forward.unit.arrays[n].kind == kind]
            if not arrays:
                continue
            cell = forward.unit.fresh("cell")
            out.append(f"{cell} = {begin}{f' + {len(numbers)}' if numbers else ''}")
            for n in arrays:
                index, body = loops(forward.shape(n), forward.unit.fresh, out)
                pair = f"{memory}[{cell}]", f"{n}[{index}]"
                body += [f"{pair[not to_memory]} = {pair[to_memory]}", f"{cell} += 1"]

    def _keep(self, forward: Forward, out: list[Any]) -> None:
        """The state goes to the tapes."""
        for kind, size in self.sizes.items():
            tape, mark = forward.tapes[kind]
            if forward.mode == "record":
                out += [f"if {mark} + {text(size)} > {tape}.size:", [f"{forward.status}[0] = {SHORT}", "return"]]
            else:
                out.append(f"{forward.top(kind)} = max({forward.top(kind)}, {mark} + {text(size)})")
        if forward.mode == "record":
            self._copy(forward, {k: forward.tapes[k] for k in self.sizes}, True, out)
        out += [f"{forward.tapes[k][1]} += {bare(size)}" for k, size in self.sizes.items()]

    def _thin(self, forward: Forward, kept: str, out: list[Any]) -> None:
        """Every second state is dropped."""
        for kind, size in self.sizes.items():
            tape, mark = forward.tapes[kind]
            first, k, cell = (forward.unit.fresh(x) for x in ("first", "state", "cell"))
            out.append(f"{first} = {mark} - {kept} * {text(size)}")
            if forward.mode == "record":
                cell_of = f"{first} + {k} * {text(size)} + {cell}"
                move = f"{tape}[{cell_of}] = {tape}[{cell_of} + {k} * {text(size)}]"
                out += [f"for {k} in range(1, ({kept} + 1) // 2):", [f"for {cell} in range({bare(size)}):", [move]]]
            out.append(f"{mark} = {first} + ({kept} + 1) // 2 * {text(size)}")
        out.append(f"{kept} = ({kept} + 1) // 2")

    # ---- forward ----------------------------------------------------------------------------------------------------------

    def record(self, forward: Forward, out: list[Any]) -> None:
        """The loop, with what there was at the beginning of each stretch."""
        s = self.loop
        plain = Forward(forward.v, forward.active, None, forward.names, "plain")
        plain.joins(forward)
        plain.traced = set(forward.unit.arrays)  # every swap is followed
        kept = self._named(forward, "_kept")
        keep: list[Any] = []
        self._keep(forward, keep)
        keep.append(f"{kept} += 1")
        body: list[Any] = []
        plain.block(s.body, body, True)
        out.append(Code(f"{kept} = 0", s.line))
        if self.is_counted:
            n, parts, following = (self._named(forward, e) for e in ("_count", "_parts", "_next"))
            k = s.var + forward.names.turn
            out += [Code(x, s.line) for x in (*self._count(forward), f"{following} = 0")]
            keep.append(f"{following} = {kept} * {n} // {parts}")
            out.append(Code(f"for {k} in range({n}):", s.line))
            out.append([f"if {k} == {following}:", keep, Code(f"{s.var} = {turn(s, k)}", s.line), *body])
            return
        turns, stride = forward.turns(s), self._named(forward, "_stride")
        thin: list[Any] = []
        self._thin(forward, kept, thin)
        thin.append(f"{stride} *= 2")
        out += [Code(f"{turns} = 0", s.line), Code(f"{stride} = 1", s.line)]
        out.append(Code(f"for {s.var} in {span(s)}:" if isinstance(s, For) else f"while {bare(s.cond)}:", s.line))
        out.append([
            f"if {turns} % {stride} == 0 and {kept} == {self._limit(stride)}:", thin,
            f"if {turns} % {stride} == 0:", keep,
            *body,
            f"{turns} += 1",
            *([Code(f"if {s.exit}:", s.line), [Code("break", s.line)]] if s.exit else []),
        ])  # fmt: skip

    # ---- reverse ----------------------------------------------------------------------------------------------------------

    def reverse(self, reverse: Reverse, adj: Adjoint) -> None:
        """The stretches, the last one first."""
        s, forward, out = self.loop, reverse.forward, adj.lines
        first, last, number = (self._named(forward, e) for e in ("_first", "_last", "_number"))
        adj.settle(reverse.touched(s))
        if self.is_counted:
            n, parts = self._named(forward, "_count"), self._named(forward, "_parts")
            out += [Code(x, s.line) for x in self._count(forward)]
            bounds = [f"{first} = {number} * {n} // {parts}", f"{last} = ({number} + 1) * {n} // {parts}"]
            count = parts
        else:
            n, stride = forward.turns(s), self._named(forward, "_stride")
            reverse.pop([("i", n)], out, s.line)
            out += [Code(f"{stride} = 1", s.line), f"while {n} > {self._limit(stride)} * {stride}:", [f"{stride} *= 2"]]
            bounds = [f"{first} = {number} * {stride}", f"{last} = min({n}, {first} + {stride})"]
            count = f"({n} + {stride} - 1) // {stride}"
        inner: list[Any] = [*bounds, *[f"{forward.tapes[k][1]} -= {bare(size)}" for k, size in self.sizes.items()]]
        self._copy(forward, {k: forward.tapes[k] for k in self.sizes}, False, inner)
        if self.snapshots:
            self._one_by_one(reverse, first, last, inner)
        else:
            turns, back = self._part(reverse)
            k = self.stem + forward.names.turn
            inner += self._started(forward)
            inner += [Code(f"for {k} in range({first}, {last}):", s.line), [*self._turn(k), *turns]]
            inner += [Code(f"for {k} in range({last} - 1, {first} - 1, -1):", s.line), [*self._turn(k), *back]]
        out += [Code(f"for {number} in range({count} - 1, -1, -1):", s.line), inner]

    def _turn(self, k: str) -> list[Any]:
        """The loop's variable in its turn number ``k``."""
        s = self.loop
        return [Code(f"{s.var} = {turn(s, k)}", s.line)] if isinstance(s, For) else []

    def _tapes(self, forward: Forward) -> dict[str, tuple[str, str]]:
        """Names of the tapes of a part and of the marks on them."""
        own = forward.names.own
        return {k: (own(f"part_{d}"), own(f"{d}_part_at")) for k, d in TAPES.items()}

    def _started(self, forward: Forward) -> list[str]:
        return [f"{mark} = 0" for k, (_, mark) in self._tapes(forward).items() if self.each[k] != ZERO]

    def _part(self, reverse: Reverse) -> tuple[list[Any], list[Any]]:
        """A turn that records on the part's own tapes, and the turn backwards."""
        forward, s = reverse.forward, self.loop
        again = Forward(forward.v, forward.active, forward.rec, forward.names, "record")
        again.joins(forward)
        again.tapes, again.follows = self._tapes(forward), False
        turns: list[Any] = []
        again.block(s.body, turns, False)
        reverse.forward = again
        back = reverse.nested(s.body, reverse.adjoint())
        reverse.forward = forward
        return turns, back

    def _one_by_one(self, reverse: Reverse, first: str, last: str, out: list[Any]) -> None:
        """The turns of a stretch, of which each is a part: on the way to the last one, states are kept by the schedule."""
        forward, s = reverse.forward, self.loop
        at, used, stop = (self._named(forward, e) for e in ("_at", "_used", "_stop"))
        states = forward.names.own("states_at")
        memory = {k: forward.names.own(f"states_{TAPES[k]}") for k in self.sizes}
        plain = Forward(forward.v, forward.active, None, forward.names, "plain")
        body: list[Any] = []
        plain.block(s.body, body, True)
        turns, back = self._part(reverse)
        k = self.stem + forward.names.turn
        keep: list[Any] = []
        for x, m in memory.items():
            if self._is_found(self.sizes[x]):
                keep += [
                    f"if ({used} + 1) * {text(self.sizes[x])} > {m}.size:",
                    [f"{forward.status}[0] = {SHORT}", "return"],
                ]
        self._copy(forward, {x: (m, f"{used} * {text(self.sizes[x])}") for x, m in memory.items()}, True, keep)
        keep += [f"{states}[{used}] = {at}", f"{used} += 1"]
        taken: list[Any] = []
        self._copy(forward, {x: (m, f"({used} - 1) * {text(self.sizes[x])}") for x, m in memory.items()}, False, taken)
        again: list[Any] = []
        self._copy(forward, {x: forward.tapes[x] for x in self.sizes}, False, again)
        ahead = f"{forward.names.own('turns_ahead')}({last} - {at}, {self.snapshots} - {used} + 1)"
        out += [f"{at} = {first}", f"{used} = 0", f"while {last} > {first}:"]
        out.append([
            f"while {last} - {at} > 1:", [
                f"{stop} = {at} + {ahead}",
                Code(f"for {k} in range({at}, {stop}):", s.line), [*self._turn(k), *body],
                f"{at} = {stop}",
                f"if {last} - {at} > 1:", keep,
            ],
            *self._started(forward), *self._turn(at), *turns, *back,
            f"{last} -= 1",
            f"if {used} > 0 and {states}[{used} - 1] == {last}:", [f"{used} -= 1"],
            f"if {used} > 0:", [f"{at} = {states}[{used} - 1]", *taken],
            "else:", [f"{at} = {first}", *again],
        ])  # fmt: skip


def parts_of(forward: Forward, top: Any) -> dict[int, Parts]:
    """The loops that are made in parts, by identity."""
    rec = forward.rec
    assert rec is not None
    return {
        id(s): Parts(forward, s)
        for s in walk(top)
        if isinstance(s, Loop) and s.checkpoint is not None and rec.reversible(s)
    }


def _blocks(parts: Iterable[Parts]) -> dict[str, tuple[str, Expr | None]]:
    """The blocks of the reverse sweep, which all loops that are made in parts share."""
    blocks: dict[str, tuple[str, Expr | None]] = {}
    for each in parts:
        for name, (dtype, room) in each.memory().items():
            known = blocks.get(name)
            if known is not None:
                room = None if room is None or known[1] is None else op("max", known[1], room)
            blocks[name] = dtype, room
    return blocks


def memory_of(parts: Iterable[Parts], forward: Forward, work: WorkMemory) -> list[Any]:
    """Lines that name these blocks in the memory of the reverse sweep."""
    return [
        f"{forward.names.own(name)} = {work.unknown(dtype, name) if room is None else work.take(dtype, (room,))}"
        for name, (dtype, room) in _blocks(parts).items()
    ]


def again_of(parts: Iterable[Parts]) -> tuple[Memory, ...]:
    """The same blocks, as memory that belongs to the tape."""
    return tuple([
        Memory(name, dtype, None if room is None else extent(room)) for name, (dtype, room) in _blocks(parts).items()
    ])  # fmt: skip
