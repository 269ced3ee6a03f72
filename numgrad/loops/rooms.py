"""How long the tapes have to be: an expression of shapes and integer arguments where loops are counted, else None."""

from __future__ import annotations

from typing import Any

from numgrad.loops.code import trips
from numgrad.loops.forward import TAPES, Forward
from numgrad.loops.language import ONE, ZERO, Const, Dim, Expr, For, If, Loop, Op, Var, items, op
from numgrad.loops.versions import Versions

Rooms = dict[str, Expr | None]


class Bounds:
    """Upper and lower bounds of integer expressions, made of shapes and integer arguments."""

    def __init__(self, versions: Versions) -> None:
        self.v = versions
        self.loops: dict[str, For] = {}

    def upper(self, e: Expr) -> Expr | None:
        """What the expression is never more than; None if it is not known."""
        return self._bound(e, True)

    def lower(self, e: Expr) -> Expr | None:
        """What the expression is never less than."""
        return self._bound(e, False)

    def _bound(self, e: Expr, up: bool) -> Expr | None:
        if isinstance(e, (Const, Dim)):
            return e
        if isinstance(e, Var):
            return self._variable(e, up)
        if not isinstance(e, Op):
            return None
        if e.op in ("+", "max", "min"):
            return self._joined(e.op, *[self._bound(a, up) for a in e.args])
        if e.op == "-":
            return self._joined("-", self._bound(e.args[0], up), self._bound(e.args[1], not up))
        if e.op == "//" and self._is_fixed(e.args[1]) and self._is_positive(op("-", e.args[1], ONE)):
            return self._joined("//", self._bound(e.args[0], up), self._bound(e.args[1], up))
        if e.op == "*" and all(self._is_positive(a) for a in e.args):
            return self._joined("*", *[self._bound(a, up) for a in e.args])
        return None

    def _joined(self, name: str, *parts: Expr | None) -> Expr | None:
        return None if None in parts else op(name, *parts)  # type: ignore[arg-type]

    def _is_positive(self, e: Expr) -> bool:
        return _is_counted(self.lower(e))

    def _is_fixed(self, e: Expr) -> bool:
        """Whether an expression has one value, that shapes and integer arguments determine."""
        if isinstance(e, Var) and e.name in self.v.where:
            return self._is_fixed(self.v.where[e.name][1].value)
        if isinstance(e, Var):
            return e.name not in self.v.changing | self.v.unit.late_extents and e.name not in self.v.turns
        return isinstance(e, (Const, Dim)) or (isinstance(e, Op) and all(map(self._is_fixed, e.args)))

    def _variable(self, e: Var, up: bool) -> Expr | None:
        if e.name in self.v.where:
            return self._bound(self.v.where[e.name][1].value, up)
        loop = self.loops.get(e.name)
        if loop is not None:
            if not isinstance(loop.step, Const):
                return None
            if (loop.step.value > 0) is up:
                last = self._bound(loop.stop, up)
                return self._joined("-" if up else "+", last, ONE)
            return self._bound(loop.start, up)
        return e if e.name not in self.v.changing | self.v.unit.late_extents else None

    def trips(self, s: For) -> Expr | None:
        """The most turns of a loop."""
        if s.most is not None:
            return self.upper(s.most)
        return self.upper(trips(s)) if isinstance(s.step, Const) else None


def _is_counted(low: Expr | None) -> bool:
    """Whether a lower bound is 0 or more."""
    if isinstance(low, Op) and low.op == "max":
        return any(map(_is_counted, low.args))
    if isinstance(low, Op) and low.op == "-" and low.args[1] == ONE and isinstance(low.args[0], Op):
        inner = low.args[0]  # max(1, ...) - 1
        return inner.op == "max" and any(isinstance(a, Const) and a.value >= 1 for a in inner.args)
    return isinstance(low, Dim) or (isinstance(low, Const) and low.value >= 0)


def rooms_of_block(forward: Forward, block: Any, bounds: Bounds) -> Rooms:
    """How much a block pushes at most, by kind."""
    return _block(forward, block, bounds)


def rooms_of_tapes(forward: Forward, top: Any, ends: list[tuple[str, str]]) -> Rooms:
    """How much is pushed at most, by kind."""
    bounds = Bounds(forward.v)
    total = _block(forward, top, bounds)
    for kind, _ in ends:
        total[kind] = _sum(total[kind], ONE)
    return total


def _sum(one: Expr | None, two: Expr | None) -> Expr | None:
    return None if one is None or two is None else op("+", one, two)


def _block(forward: Forward, block: Any, bounds: Bounds) -> Rooms:
    total: Rooms = dict.fromkeys(TAPES, ZERO)
    for s in items(block):
        one = _statement(forward, s, bounds)
        total = {k: _sum(total[k], one[k]) for k in TAPES}
    for n in block.pushes:
        kind = forward.kind(n)
        total[kind] = _sum(total[kind], ONE)
    return total


def _statement(forward: Forward, s: Any, bounds: Bounds) -> Rooms:
    if isinstance(s, If):
        one, two = (_block(forward, b, bounds) for b in (s.then, s.orelse))
        return {k: _most(one[k], two[k]) for k in TAPES}
    if not isinstance(s, Loop):
        counted = forward.count(s)
        assert counted is not None
        return {k: Const(counted[k]) for k in TAPES}
    if id(s) in forward.parts:
        rooms: Rooms = forward.parts[id(s)].rooms(forward)
        return rooms
    if id(s) in forward.forks:
        regions: Rooms = forward.forks[id(s)].rooms()
        return regions
    if isinstance(s, For):
        bounds.loops[s.var] = s
    inner = _block(forward, s.body, bounds)
    turns = bounds.trips(s) if isinstance(s, For) and not s.exit else None
    total: Rooms = {}
    for k in TAPES:
        each = inner[k]
        total[k] = ZERO if each == ZERO else None if each is None or turns is None else op("*", each, turns)
    if forward.counts_turns(s):
        total["i"] = _sum(total["i"], ONE)
    return total


def _most(one: Expr | None, two: Expr | None) -> Expr | None:
    if one is None or two is None:
        return None
    return one if two == ZERO or one == two else two if one == ZERO else op("max", one, two)
