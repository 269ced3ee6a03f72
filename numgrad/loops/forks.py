"""Loops over parts that threads share: the turn of a part is a function of its own, and `fork_parts` runs it for all parts.

Whatever a part writes is its own: elements of arrays that no other part touches (see `independence`), its region of each tape,
its status, and in the reverse sweep its adjoints of what all parts read, which are added up in the order of the parts. Where
only neighbours read the same, parts with even numbers add to the one adjoint, and then those with odd ones.

A region of a tape begins with the places at which the part's records end. How large it is follows from extents; where it does
not, the run that counts finds it, and `used` hands it to the reverse sweep.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable
from typing import Any

from numgrad.loops import code, independence
from numgrad.loops.backward import Adjoint
from numgrad.loops.code import Code
from numgrad.loops.forward import SHORT, TAPES, ZEROS, Forward
from numgrad.loops.language import ZERO, Const, Expr, For, assigned, bare, op, product, text, walk
from numgrad.loops.rooms import Bounds, Rooms, rooms_of_block
from numgrad.loops.vocabulary import RESERVED

FORK = "fork_parts"


class Fork:
    """One loop over parts.

    Attributes
    ----------
    kinds
        Of tapes that its turns write to.
    room
        How long a part's regions are, by kind; None where only a run can tell.
    """

    def __init__(self, forward: Forward, s: For, bounds: Bounds | None = None) -> None:
        self.loop, self.names, self.unit = s, forward.names, forward.unit
        self.numbers = sorted(assigned(s.body) - {x.var for x in walk(s.body) if isinstance(x, For)})
        self.numbers = [n for n in self.numbers if n not in forward.v.where]
        self.lasts: list[tuple[str, str]] = []
        self.kinds: list[str] = []
        self.room: Rooms = {}
        if forward.rec is None or bounds is None:
            return
        need = forward.rec.needed_after(s.body)
        self.lasts = [(forward.kind(n), n) for n in self.numbers if n in need]
        each = rooms_of_block(forward, s.body, bounds)
        for kind, _ in self.lasts:
            each[kind] = _sum(each[kind], 1)
        self.kinds = [k for k in TAPES if each[k] != ZERO]
        if self.kinds:
            self.kinds = [k for k in TAPES if k in (*self.kinds, "i")]
            each["i"] = _sum(each["i"], len(self.kinds))
        self.room = {k: each[k] for k in self.kinds}

    # ---- names ----------------------------------------------------------------------------------------------------------

    def own(self, stem: str) -> str:
        """A name of this loop's."""
        return self.names.own(f"{stem}_{self.loop.var}")

    def size(self, kind: str) -> str:
        """The name of the length of a part's region."""
        return self.own(f"room_{TAPES[kind]}")

    def unknown(self) -> list[str]:
        """Kinds of tapes of which only a run can tell how long a part's region is."""
        return [k for k in self.kinds if self.room[k] is None]

    def times(self, kind: str) -> str:
        """In a run that counts: for how many parts there must be a region."""
        return self.own(f"times_{TAPES[kind]}")

    def rooms(self) -> Rooms:
        """What all parts together take of the tapes."""
        most = self.loop.most
        assert most is not None
        return {k: ZERO if k not in self.kinds else _times(self.room[k], most) for k in TAPES}

    # ---- the parts ------------------------------------------------------------------------------------------------------

    def _sizes(self, given: dict[str, str]) -> list[Any]:
        """The lengths of regions get their names; those that a run found are ``given``."""
        lines: list[Any] = []
        for k in self.kinds:
            room = self.room[k]
            if room is not None:
                lines.append(f"{self.size(k)} = {bare(room)}")
            elif k in given:
                lines.append(f"{self.size(k)} = {given[k]}")
        return [Code(x, self.loop.line) for x in lines]

    def _regions(self, forward: Forward) -> list[Any]:
        """In a part: its regions of the tapes, under the names of the tapes."""
        return [
            f"{tape} = room1({tape}, {mark} + {self.loop.var} * {self.size(k)}, {self.size(k)})"
            for k, (tape, mark) in forward.tapes.items()
            if k in self.kinds
        ]

    def forked(self, forward: Forward, body: list[Any], by_twos: bool = False) -> list[Any]:
        """The function of a part, and the lines that run it for each of them, or for every other part and then for the rest."""
        s, parts, status = self.loop, bare(self.loop.stop), forward.status
        statuses = self.own("statuses")
        pair, odd = self.unit.fresh("pair"), self.unit.fresh("odd")
        first: list[Any] = ["# one part of the turns, which threads share"]
        if by_twos:
            first.append(f"{s.var} = 2 * {pair} + {odd}")
        first.append(f"{status} = room1({statuses}, {s.var}, 1)")
        lines = [*first, *body]
        counter, used = pair if by_twos else s.var, self.unit.used - RESERVED
        given = free(lines, {counter}, set(forward.scope) - used, used)
        given = [statuses, *[n for n in given if n != statuses]]
        name = self.unit.fresh("turns")
        forward.functions.append((name, [counter, *given], lines))
        work, memory = forward.memory
        memory.append(f"{statuses} = {work.take('i8', (Const(independence.MOST_PARTS),))}")
        k = self.unit.fresh("part")
        given_text = f"({', '.join(given)}{',' if len(given) == 1 else ''})"
        call: list[Any] = [Code(f"{FORK}({name}, {parts}, {given_text})", s.line)]
        if by_twos:
            call = [Code(f"{FORK}({name}, ({parts} + 1 - {odd}) // 2, {given_text})", s.line)]
            call = [Code(f"for {odd} in range(2):", s.line), call]
        return [
            Code(f"for {k} in range({parts}):", s.line), [f"{statuses}[{k}] = 0"],
            *call,
            Code(f"for {k} in range({parts}):", s.line),
            [f"if {statuses}[{k}] != 0:", [f"{status}[0] = {statuses}[{k}]", "return"]],
        ]  # fmt: skip

    @property
    def most(self) -> Expr:
        """How many parts there are at most."""
        assert self.loop.most is not None
        return self.loop.most

    # ---- forward --------------------------------------------------------------------------------------------------------

    def forward(self, forward: Forward, out: list[Any]) -> None:
        """The loop in a forward sweep."""
        if forward.mode == "count":
            self._count(forward, out)
            return
        records = bool(forward.records and self.kinds)
        body: list[Any] = [f"{n} = {ZEROS[forward.kind(n)]}" for n in self.numbers]
        if records:
            body += self._regions(forward) + self._marks(forward)
        forward.block(self.loop.body, body, False)
        if records:
            self._end(forward, body)
            ends = [f"{forward.tapes['i'][0]}[{n}] = {forward.tapes[k][1]}" for n, k in enumerate(self.kinds)]
            body += ends
            out += self._sizes({})
            out += self._ensured(forward)
        out += self.forked(forward, body)
        if records:
            out += self._passed(forward, "+=")

    def _marks(self, forward: Forward) -> list[Any]:
        return [f"{forward.tapes[k][1]} = {len(self.kinds) if k == 'i' else 0}" for k in self.kinds]

    def _end(self, forward: Forward, body: list[Any]) -> None:
        forward.ensure({k: sum(x == k for x, _ in self.lasts) for k in TAPES}, "", body)
        forward.push(self.lasts, body)

    def _ensured(self, forward: Forward) -> list[Any]:
        lines: list[Any] = []
        for k in self.kinds:
            tape, mark = forward.tapes[k]
            lines += [f"if {mark} + {bare(self.loop.stop)} * {self.size(k)} > {tape}.size:"]
            lines.append([f"{forward.status}[0] = {SHORT}", "return"])
        return lines

    def _passed(self, forward: Forward, sign: str) -> list[Any]:
        return [f"{forward.tapes[k][1]} {sign} {bare(self.loop.stop)} * {self.size(k)}" for k in self.kinds]

    def _count(self, forward: Forward, out: list[Any]) -> None:
        """The loop in a run that counts: each part counts from the beginning of its regions."""
        s = self.loop
        body: list[Any] = []
        outer: dict[str, tuple[str, str]] = {}
        for k in self.kinds:
            mark, top = forward.tapes[k][1], forward.top(k)
            outer[k] = self.own(f"{mark}_outside"), self.own(f"{top}_outside")
            out += [f"{outer[k][0]} = {mark}", f"{outer[k][1]} = {top}"]
            body.append(f"{top} = 0")
        body += self._marks(forward)
        forward.block(s.body, body, False)
        self._end(forward, body)
        for k in self.unknown():
            body.append(f"{self.size(k)} = max({self.size(k)}, {forward.top(k)}, {forward.tapes[k][1]})")
        out += [Code(f"for {s.var} in range({bare(s.stop)}):", s.line), body]
        out += self._sizes({})
        for k in self.kinds:
            mark, top = forward.tapes[k][1], forward.top(k)
            out += [f"{mark} = {outer[k][0]}", f"{top} = {outer[k][1]}"]
            if k in self.unknown():
                out.append(f"{self.times(k)} += {bare(s.stop)}")
            else:
                out += [f"{mark} += {bare(s.stop)} * {self.size(k)}", f"{top} = max({top}, {mark})"]

    # ---- reverse --------------------------------------------------------------------------------------------------------

    def reverse(self, reverse: Any, adj: Adjoint) -> None:
        """The parts of the reverse sweep, in any order, and then their shares of adjoints, in order."""
        s, forward, bar = self.loop, reverse.forward, self.names.bar
        touched = reverse.touched(s)
        adj.settle(touched)
        turn = reverse.nested(s.body, adj)
        used = names_in(turn)
        outside = sorted(touched - assigned(s.body) - set(self.unit.arrays))
        outside = [n for n in outside if f"{n}{bar}" in used]
        shared = sorted(n for n in s.shared & reverse.active if f"{n}{bar}" in used)
        work, memory = forward.memory
        body: list[Any] = self._regions(forward)
        if self.kinds:
            tape = forward.tapes["i"][0]
            body += [f"{forward.tapes[k][1]} = {tape}[{n}]" for n, k in enumerate(self.kinds)]
        body += [f"{n} = {ZEROS[forward.kind(n)]}" for n in self.numbers]
        reverse.pop(self.lasts, body)
        body += [f"{n}{bar} = 0.0" for n in self.numbers if n in reverse.active]
        body += [f"{n}{bar} = 0.0" for n in outside]
        after: list[Any] = []
        part = self.unit.fresh("part")
        for n in shared:
            array, own = self.unit.arrays[n], self.own(f"{n}{bar}_parts")
            memory.append(f"{own} = {work.take('f8', (op('*', self.most, product(array.shape)),))}")
            size = text(product(array.shape))
            view = f"room{len(array.shape)}({own}, {{}} * {size}, {', '.join(map(text, array.shape))})"
            body.append(f"{n}{bar} = {view.format(s.var)}")
            forward.fill(f"{n}{bar}", n, "0.0", body)
            mine = self.own(f"{n}{bar}_part")
            after.append(f"{mine} = {view.format(part)}")
            forward.copy(f"{n}{bar}", mine, n, after, "+=")
        body += turn
        if outside:
            own = self.own("adjoints")
            memory.append(f"{own} = {work.take('f8', (Const(independence.MOST_PARTS), Const(len(outside))))}")
            body += [f"{own}[{s.var}, {k}] = {n}{bar}" for k, n in enumerate(outside)]
            after += [f"{n}{bar} += {own}[{part}, {k}]" for k, n in enumerate(outside)]
        out = adj.lines
        out += self._sizes({k: forward.lengths[self.size(k)] for k in self.unknown()})
        out += self._passed(forward, "-=")
        near = any(f"{n}{bar}" in used for n in s.near & reverse.active)
        out += self.forked(forward, body, near)
        if after:
            out += [Code(f"for {part} in range({bare(s.stop)}):", s.line), after]


def _sum(e: Expr | None, more: int) -> Expr | None:
    return None if e is None else op("+", e, Const(int(more)))


def _times(e: Expr | None, times: Expr) -> Expr | None:
    return None if e is None else op("*", e, times)


def forks_of(forward: Forward, top: Any) -> dict[int, Fork]:
    """The loops over parts, by identity."""
    bounds = Bounds(forward.v)
    loops = [s for s in walk(top) if isinstance(s, For)]
    bounds.loops = {s.var: s for s in loops}
    return {id(s): Fork(forward, s, bounds) for s in loops if s.parallel}


def names_in(lines: list[Any]) -> set[str]:
    """The names in lines of text."""
    shown, _ = code.function("f", [], lines)
    return {each.id for each in ast.walk(ast.parse(shown)) if isinstance(each, ast.Name)}


def free(lines: list[Any], given: Iterable[str], known: set[str], used: set[str]) -> list[str]:
    """Names that the lines read before they give them a value, and that are not ``known`` to all functions."""
    shown, _ = code.function("f", [], lines)
    [function] = ast.parse(shown).body
    bound = set(given)
    names: set[str] = set()

    def read(node: ast.AST) -> None:
        names.update(
            each.id for each in ast.walk(node)
            if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load) and each.id not in bound
        )  # fmt: skip

    def visit(stmts: list[Any]) -> None:
        for s in stmts:
            if isinstance(s, (ast.Assign, ast.AugAssign)):
                targets = s.targets if isinstance(s, ast.Assign) else [s.target]
                read(s.value)
                for target in targets:
                    if isinstance(s, ast.AugAssign) and isinstance(target, ast.Name) and target.id not in bound:
                        names.add(target.id)
                    read(target)
                for target in targets:
                    bound.update(each.id for each in ast.walk(target)
                                 if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store))  # fmt: skip
            elif isinstance(s, ast.For):
                read(s.iter)
                bound.update(each.id for each in ast.walk(s.target) if isinstance(each, ast.Name))
                visit(s.body)
            elif isinstance(s, (ast.If, ast.While)):
                read(s.test)
                visit(s.body)
                visit(s.orelse)
            else:
                read(s)

    visit(function.body)  # type: ignore[attr-defined]
    return sorted(n for n in names - known if n in used or not hasattr(builtins, n))
