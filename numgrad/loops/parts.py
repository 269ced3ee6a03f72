"""Loops whose tape is made in parts: the square root of the memory for one more run of the loop.

The forward sweep keeps what the loop changes before every part of so many turns as there are parts, and records nothing else.
The reverse sweep takes the parts from the last one: it puts back what there was, runs the part's turns again on a tape of the
part's own, and goes them backwards (Griewank and Walther, Evaluating Derivatives, 2008, chapter 12).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from numgrad.errors import TranslationError
from numgrad.loops.backward import Adjoint
from numgrad.loops.code import Code, loops, trips_text, turn
from numgrad.loops.extents import WorkMemory
from numgrad.loops.forward import SHORT, TAPES, Forward
from numgrad.loops.language import ONE, ZERO, Assign, Const, Expr, For, Op, op, product, text, walk, written
from numgrad.loops.reverse import Reverse
from numgrad.loops.rooms import Bounds, Rooms, rooms_of_block


def state(forward: Forward, s: For) -> tuple[list[tuple[str, str]], list[str]]:
    """What a loop changes: numbers with their kinds, and arrays."""
    numbers = {x.name for x in walk(s.body) if isinstance(x, Assign) and x.name not in forward.v.where}
    return [(forward.kind(n), n) for n in sorted(numbers)], sorted(written(s.body))


class Parts:
    """The loop that is made in parts, of one function.

    Attributes
    ----------
    room
        How long the tapes of one part are at most.
    """

    def __init__(self, forward: Forward, s: For) -> None:
        self.loop = s
        bounds = Bounds(forward.v)
        turns = bounds.trips(s)
        bounds.loops[s.var] = s
        each = rooms_of_block(forward, s.body, bounds)
        if turns is None or None in each.values():
            name = s.var.rsplit("_", 1)[0]
            raise TranslationError(
                f"differentiable {s.line.function}, {s.line.file}:{s.line.number}: the loop over {name} cannot be checkpointed: "
                "how much one turn records is not known beforehand; name another loop, or leave the `while` or `break` out"
            )
        self.turns = turns
        self.size = op("max", ONE, Op("int", (Op("sqrt", (turns,)),)))
        self.room: dict[str, Expr] = {k: op("*", e, self.size) for k, e in each.items() if e is not None and e != ZERO}

    def rooms(self, forward: Forward) -> Rooms:
        """What all parts together leave on the tapes."""
        count = op("//", op("-", op("+", self.turns, self.size), ONE), self.size)
        numbers, arrays = state(forward, self.loop)
        total: Rooms = dict.fromkeys(TAPES, ZERO)
        for kind, _ in numbers:
            total[kind] = op("+", total[kind], ONE)  # type: ignore[arg-type]
        for n in arrays:
            array = forward.unit.arrays[n]
            total[array.kind] = op("+", total[array.kind], product(array.shape))  # type: ignore[arg-type]
        return {k: op("*", e, count) for k, e in total.items() if e is not None}

    # ---- names ------------------------------------------------------------------------------------------------------------

    def _named(self, forward: Forward, ending: str) -> str:
        return forward.names.own(f"{self.loop.var}{ending}")

    def _counts(self, forward: Forward) -> list[str]:
        """The number of turns, and that of the turns in a part."""
        n, size = self._named(forward, "_count"), self._named(forward, "_part")
        return [f"{n} = {trips_text(self.loop)}", f"{size} = max(1, int(math.sqrt({n})))"]

    # ---- forward ----------------------------------------------------------------------------------------------------------

    def record(self, forward: Forward, out: list[Any]) -> None:
        """The loop, with what there was before each part."""
        s = self.loop
        plain = Forward(forward.v, forward.active, None, forward.names, "plain")
        plain.joins(forward)
        plain.traced = set(forward.unit.arrays)  # every swap is followed
        n, size = self._named(forward, "_count"), self._named(forward, "_part")
        k = s.var + forward.names.turn
        keep: list[Any] = []
        numbers, arrays = state(forward, s)
        need = {kind: sum(x == kind for x, _ in numbers) for kind in TAPES}
        forward.ensure(need, "", keep)
        forward.push(numbers, keep, s.line)
        for a in arrays:
            self._move(forward, a, True, keep)
        body: list[Any] = []
        plain.block(s.body, body, True)
        out += [Code(x, s.line) for x in self._counts(forward)]
        out.append(Code(f"for {k} in range({n}):", s.line))
        out.append([f"if {k} % {size} == 0:", keep, Code(f"{s.var} = {turn(s, k)}", s.line), *body])

    def _move(self, forward: Forward, array: str, to_tape: bool, out: list[Any]) -> None:
        """An array to its tape, or back."""
        tape, mark = forward.tapes[forward.unit.arrays[array].kind]
        size = text(product(forward.unit.arrays[array].shape))
        if to_tape and forward.mode == "record":
            out += [f"if {mark} + {size} > {tape}.size:", [f"{forward.status}[0] = {SHORT}", "return"]]
        if not to_tape:
            out.append(f"{mark} -= {size}")
        if forward.mode != "count":
            step = forward.unit.fresh("cell")
            out.append(f"{step} = {mark}")
            index, body = loops(forward.shape(array), forward.unit.fresh, out)
            pair = (f"{tape}[{step}]", f"{array}[{index}]")
            body += [f"{pair[not to_tape]} = {pair[to_tape]}", f"{step} += 1"]
        if to_tape:
            out.append(f"{mark} += {size}")

    # ---- reverse ----------------------------------------------------------------------------------------------------------

    def tapes(self, forward: Forward) -> dict[str, tuple[str, str]]:
        """Names of the tapes of a part and of the marks on them."""
        own = forward.names.own
        return {k: (own(f"part_{d}"), own(f"{d}_part_at")) for k, d in TAPES.items()}

    def reverse(self, reverse: Reverse, adj: Adjoint) -> None:
        """The parts, the last one first."""
        s, forward = self.loop, reverse.forward
        n, size = self._named(forward, "_count"), self._named(forward, "_part")
        first, last, number = (self._named(forward, e) for e in ("_first", "_last", "_number"))
        k = s.var + forward.names.turn
        adj.settle(reverse.touched(s))
        back: list[Any] = []
        numbers, arrays = state(forward, s)
        for a in reversed(arrays):
            self._move(forward, a, False, back)
        reverse.pop(numbers, back, s.line)
        again = Forward(forward.v, forward.active, forward.rec, forward.names, "record")
        again.joins(forward)
        again.tapes, again.follows = self.tapes(forward), False
        turns: list[Any] = []
        again.block(s.body, turns, False)
        reverse.forward = again
        body = reverse.nested(s.body, adj)
        reverse.forward = forward
        at = Code(f"{s.var} = {turn(s, k)}", s.line)
        inner: list[Any] = [f"{first} = {number} * {size}", f"{last} = min({n}, {first} + {size})", *back]
        inner += [f"{again.tapes[x][1]} = 0" for x in self.room]
        inner += [Code(f"for {k} in range({first}, {last}):", s.line), [at, *turns]]
        inner += [Code(f"for {k} in range({last} - 1, {first} - 1, -1):", s.line), [at, *body]]
        adj.lines += [Code(x, s.line) for x in self._counts(forward)]
        adj.lines += [Code(f"for {number} in range(({n} + {size} - 1) // {size} - 1, -1, -1):", s.line), inner]


def parts_of(forward: Forward, top: Any) -> dict[int, Parts]:
    """The loops that are made in parts, by identity."""
    marked = [
        s
        for s in walk(top)
        if isinstance(s, For) and s.checkpoint and forward.rec is not None and forward.rec.reversible(s)
    ]
    for s in marked:
        if not isinstance(s.step, Const):
            raise TranslationError(
                f"differentiable {s.line.function}, {s.line.file}:{s.line.number}: the step has to be a number"
            )
    return {id(s): Parts(forward, s) for s in marked}


def memory_of(parts: Iterable[Parts], forward: Forward, work: WorkMemory) -> list[Any]:
    """The tapes of a part, which all loops that are made in parts share."""
    rooms: dict[str, Expr] = {}
    for each in parts:
        for kind, room in each.room.items():
            rooms[kind] = op("max", rooms[kind], room) if kind in rooms else room
        tapes = each.tapes(forward)
    return [f"{tapes[k][0]} = {work.take(TAPES[k], (e,))}" for k, e in rooms.items()]
