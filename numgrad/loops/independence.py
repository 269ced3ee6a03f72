"""`prange`: a loop whose turns are shown to be independent becomes a loop over parts, which threads may share.

Turns are independent if each array that they write is touched, in one of its dimensions, at the loop's variable alone (or at one
distance from it), if it is made anew in each turn, and if numbers are computed anew in each turn or are sums, products, minima or
maxima that nothing else reads. Such a loop is written anew, in the same language::

    for part in range(parts):               # parallel
        total_part = 0.0
        for i in range(first, last): ...    # total_part += ...
        totals[part] = total_part
    for part in range(parts):
        total += totals[part]

How many turns a part has depends on nothing but the number of turns and on extents, never on threads: results have the same bits
for any number of them. What turns share and only read, `For.shared`, has a gradient of its own in each part; they are added up
in order. If they read it at a few distances from the variable, `For.near`, parts are so long that every other one shares nothing
with its like, and add to one gradient (see `forks`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numgrad.loops.expansions import PLAIN, extreme, extreme_of
from numgrad.loops.kinds import kinds
from numgrad.loops.language import (
    ONE,
    ZERO,
    Array,
    Assign,
    Const,
    Dim,
    Expr,
    For,
    Load,
    Loop,
    Op,
    Permute,
    Store,
    Unit,
    Var,
    assigned,
    children,
    expressions,
    op,
    parts,
    product,
    rename,
    scalars,
    walk,
)
from numgrad.loops.versions import live, looped

MOST_PARTS = 32
MOST_SHARED = 1 << 21  # elements of what each part has for itself, in all parts together

_GROUP = {
    "+": "+",
    "-": "+",
    "*": "*",
    "max": "max",
    "min": "min",
}  # operations that parts of a reduction are joined by
_START = {"+": 0, "*": 1}
_MOST_DIMENSIONS = 6


class _SerialError(Exception):
    """Why a loop's turns are not shown to be independent."""


def in_parts(unit: Unit) -> None:
    """Write each outermost `prange` of a unit as a loop over parts, in place; a note says what became of it."""
    _Splitter(unit).block(unit.body, {r[1] for r in unit.results if r[0] == "scalar"})


def _shown(name: str) -> str:
    """A name as the user wrote it."""
    return name.rstrip("0123456789").rstrip("_").removesuffix("_now")


class _Splitter:
    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        params = {n: "i" if k.dtype[0] == "u" else k.dtype[0] for n, k in unit.params if not k.ndim}
        self.kinds = kinds(unit.body, params, unit.arrays)

    def note(self, s: For, what: str) -> None:
        self.unit.notes.append(f"line {s.line.number}: prange {what}")

    def block(self, stmts: list[Any], after: set[str]) -> None:
        """Statements, of which ``after`` reads these numbers."""
        later, now = [], set(after)
        for s in reversed(stmts):
            later.append(now)
            now = live([s], now)
        new: list[Any] = []
        for s, needed in zip(stmts, reversed(later), strict=True):
            if isinstance(s, For) and s.parallel:
                try:
                    new += _Proof(self, s, needed).written()
                    continue
                except _SerialError as why:
                    self.note(s, f"runs serially: {why}")
                    s.parallel = False
            for c in children(s):
                self.block(c, looped(s, needed) if isinstance(s, Loop) else needed)
            new.append(s)
        stmts[:] = new


class _Proof:
    """That the turns of one loop are independent."""

    def __init__(self, splitter: _Splitter, s: For, later: set[str]) -> None:
        self.splitter, self.unit, self.loop, self.later = splitter, splitter.unit, s, later
        self.inside = list(walk(s.body))
        self.own = assigned(s.body)
        self.values: dict[str, list[Expr]] = {}
        for each in self.inside:
            if isinstance(each, Assign):
                self.values.setdefault(each.name, []).append(each.value)
        self.accesses = self._accesses()
        self._is_plain()
        self.sums = self._numbers()
        self.private: list[str] = []
        self.shared: list[str] = []
        self.near: list[str] = []
        self.width = 1  # turns that a part has at least
        for array, accesses in self.accesses.items():
            self._array(array, accesses)

    def _is_plain(self) -> None:
        s = self.loop
        if s.checkpoint is not None:
            raise _SerialError("its tape is made in parts, one after the other")
        if s.exit and s.exit in self.own:
            raise _SerialError("it may be left before its last turn")
        if s.step != ONE:
            raise _SerialError("its step is not 1")
        if any(isinstance(each, Permute) for each in self.inside):
            raise _SerialError("arrays change their names in it")
        extents = [e for n in self.accesses for e in self.unit.arrays[n].shape]
        if not self.unit.late_extents.isdisjoint(set().union(*map(scalars, [s.start, s.stop, *extents]))):
            raise _SerialError("only a run can tell the extents of its arrays")
        if s.var in self.own or s.var in self.later:
            raise _SerialError(f"{_shown(s.var)} is changed in it, or read after it")

    # ---- numbers --------------------------------------------------------------------------------------------------------

    def _numbers(self) -> dict[str, str]:
        """The numbers that turns reduce, with the operation. All others are computed before they are read, in each turn."""
        carried = live(self.loop.body, set()) & self.own
        sums = {}
        for name in sorted(carried | (self.own & self.later)):
            group = self._reduction(name)
            if group is None:
                how = "goes from turn to turn" if name in carried else "is what the last turn left, and read after it"
                raise _SerialError(f"{_shown(name)} {how}, and is no sum, product, minimum or maximum of its own")
            sums[name] = group
        return sums

    def _reduction(self, name: str) -> str | None:
        """By which operation the body reduces a number, if it does and does nothing else with it."""
        groups, updates = set(), 0
        for each in self.inside:
            if isinstance(each, Assign) and each.name == name:
                value = each.value
                if (extreme := extreme_of(value)) is not None:
                    group, one, two = extreme
                elif isinstance(value, Op) and value.op in _GROUP and len(value.args) == 2:
                    group, (one, two) = _GROUP[value.op], value.args
                else:
                    return None
                if two == Var(name) and group not in ("max", "min"):  # Python's differ if one is a NaN
                    one, two = two, one
                if one != Var(name) or name in scalars(two):
                    return None
                groups.add(group)
                updates += 1
            elif any(name in scalars(e) for e in expressions(each)) or (isinstance(each, For) and each.var == name):
                return None
        return groups.pop() if len(groups) == 1 and updates and self.splitter.kinds.get(name) in ("f", "i") else None

    # ---- arrays ---------------------------------------------------------------------------------------------------------

    def _accesses(self) -> dict[str, list[tuple[tuple[Expr, ...], bool]]]:
        """For each array that the body touches: indices, and whether they are written."""
        accesses: dict[str, list[tuple[tuple[Expr, ...], bool]]] = {}
        for each in self.inside:
            if isinstance(each, Store):
                accesses.setdefault(each.array, []).append((each.index, True))
            for e in expressions(each):
                for load in _loads(e):
                    accesses.setdefault(load.array, []).append((load.index, False))
        return accesses

    def _array(self, array: str, accesses: list[tuple[tuple[Expr, ...], bool]]) -> None:
        unit = self.unit
        slabs = set.intersection(*[self._slabs(index) for index, _ in accesses])
        if slabs:
            return
        if array in self.loop.renewed and self._is_touched_here_alone(array):
            if len(unit.arrays[array].shape) == _MOST_DIMENSIONS:
                raise _SerialError(f"{_shown(array)} is made in it with {_MOST_DIMENSIONS} dimensions, one too many")
            self.private.append(array)
        elif not any(is_written for _, is_written in accesses):
            if unit.arrays[array].kind == "f" and array not in unit.scope:
                widths = self._widths([index for index, _ in accesses])
                if widths:
                    self.near.append(array)
                    self.width = max(self.width, min(widths))
                else:
                    self.shared.append(array)
        elif all(self._slabs(index) for index, is_written in accesses if is_written):
            raise _SerialError(f"a turn reads elements of {_shown(array)} that others may write")
        else:
            raise _SerialError(
                f"{_shown(array)} is written at indices of which none is {_shown(self.loop.var)}, from 0 on, at one distance"
            )

    def _is_touched_here_alone(self, array: str) -> bool:
        """Whether nothing outside of the body knows an array."""
        if any(r[1] == array for r in self.unit.results):
            return False
        inside = {id(each) for each in self.inside}
        for each in walk(self.unit.body):
            if id(each) in inside:
                continue
            if isinstance(each, Store) and each.array == array:
                return False
            if isinstance(each, Permute) and array in each.targets:
                return False
            if any(load.array == array for e in expressions(each) for load in _loads(e)):
                return False
        return True

    def _widths(self, indices: list[tuple[Expr, ...]]) -> list[int]:
        """For the dimensions in which all indices lie near the variable, how far they lie apart."""
        widths = []
        for axis in range(len(indices[0])):
            distances = [self._distance(self._followed(index[axis])) for index in indices]
            if all(isinstance(d, Const) and self._is_counted(d) for d in distances):
                values = [d.value for d in distances]  # type: ignore[union-attr]
                widths.append(max(values) - min(values))
        return widths

    def _slabs(self, index: tuple[Expr, ...]) -> set[tuple[int, Expr]]:
        """The dimensions in which an index is the loop's variable, with the distance from it: turns never meet there."""
        slabs = set()
        for axis, e in enumerate(index):
            distance = self._distance(self._followed(e))
            if distance is not None and self._is_counted(distance):
                slabs.add((axis, distance))
        return slabs

    def _followed(self, e: Expr, depth: int = 8) -> Expr:
        """An index by what it is made of."""
        if isinstance(e, Var) and depth and e.name in self.own:
            values = self.values.get(e.name, [])
            return self._followed(values[0], depth - 1) if len(values) == 1 else e
        return e

    def _distance(self, e: Expr) -> Expr | None:
        """How far an index lies above the variable; None if that is not the same in all turns."""
        if e == Var(self.loop.var):
            return ZERO
        if not isinstance(e, Op) or e.op not in ("+", "-"):
            return None
        one, two = e.args
        if e.op == "+" and isinstance(one, (Const, Dim)):
            one, two = two, one
        inner = self._distance(self._followed(one))
        if inner is None or not isinstance(two, (Const, Dim)):
            return None
        return op(e.op, inner, two)

    def _is_counted(self, distance: Expr) -> bool:
        """Whether such an index is never negative: -1 would be the last element."""
        start = self.loop.start
        low = op("+", start, distance) if isinstance(start, Const) and isinstance(distance, Const) else distance
        if isinstance(low, Const):
            return isinstance(start, Const) and low.value >= 0
        return isinstance(low, Dim) and isinstance(start, Const) and start.value >= 0

    # ---- the loop over parts ----------------------------------------------------------------------------------------------

    def _most(self) -> Expr:
        """How many parts there are at most."""
        arrays = self.unit.arrays
        each = [product(arrays[n].shape) for n in (*self.shared, *self.private)]
        total: Expr = ZERO
        for size in each:
            total = op("+", total, size)
        if isinstance(total, Const):
            return Const(max(1, min(MOST_PARTS, MOST_SHARED // max(1, total.value))))
        return op("max", ONE, op("min", Const(MOST_PARTS), op("//", Const(MOST_SHARED), op("max", ONE, total))))

    def written(self) -> list[Any]:
        """The statements in the loop's place."""
        unit, s, line = self.unit, self.loop, self.loop.line
        most = self._most()
        fresh = unit.fresh
        out: list[Any] = []

        def give(stem: str, e: Expr, into: list[Any]) -> Expr:
            if isinstance(e, Const):
                return e
            name = fresh(stem)
            into.append(Assign(line, name, e))
            return Var(name)

        for each in self.inside:
            if isinstance(each, For) and each.parallel:
                each.parallel = False
                self.splitter.note(each, "runs serially: it is in another one")
        start, stop = give("start", s.start, out), give("stop", s.stop, out)
        count = give("count", op("max", ZERO, op("-", stop, start)), out)
        parts = give("most", most, out)
        size = give("size", op("max", Const(self.width), op("//", op("-", op("+", count, parts), ONE), parts)), out)
        number = give("parts", op("//", op("-", op("+", count, size), ONE), size), out)
        part = fresh("part")
        body: list[Any] = []
        first = give("first", op("+", start, op("*", Var(part), size)), body)
        last = give("last", op("min", op("+", first, size), stop), body)
        ends: list[Any] = []
        joins: list[Any] = []
        for name, group in self.sums.items():
            self._reduced(name, group, part, body, ends, joins)
        for array in self.private:
            unit.arrays[array] = Array(unit.arrays[array].dtype, (most, *unit.arrays[array].shape))
        self._prefixed(s.body, part)
        turns = For(line, s.var, first, last, ONE, s.body, most=size)
        loop = For(line, part, ZERO, number, ONE, [*body, turns, *ends], parallel=True, most=most)
        loop.shared, loop.near = frozenset(self.shared), frozenset(self.near)
        out.append(loop)
        if joins:
            out.append(For(line, fresh("part"), ZERO, number, ONE, joins, most=most))
            for each in joins:
                each.value = rename(each.value, {part: out[-1].var})
        self._say()
        return out

    def _reduced(self, name: str, group: str, part: str, body: list[Any], ends: list[Any], joins: list[Any]) -> None:
        """A reduction has a number in each part, and an array of what parts give."""
        unit, line = self.unit, self.loop.line
        kind = self.splitter.kinds[name]
        mine, array = unit.fresh(f"{name}_part"), unit.fresh(f"{name}_parts")
        unit.arrays[array] = Array("f8" if kind == "f" else "i8", (Const(MOST_PARTS),))
        unit.locals.append(array)
        value = Var(name) if group not in _START else Const(float(_START[group]) if kind == "f" else _START[group])
        body.append(Assign(line, mine, value))
        for each in self.inside:
            if isinstance(each, Assign) and each.name == name:
                each.name, each.value = mine, rename(each.value, {name: mine})
        ends.append(Store(line, array, (Var(part),), Var(mine)))
        joined = (Var(name), Load(array, (Var(part),)))
        joins.append(Assign(line, name, extreme(group, *joined) if group in PLAIN else Op(group, joined)))

    def _prefixed(self, body: list[Any], part: str) -> None:
        """Arrays that are made anew in each turn have their place in each part."""
        private = set(self.private)

        def moved(e: Expr) -> Expr:
            if isinstance(e, Load):
                index = tuple(map(moved, e.index))
                return Load(e.array, (Var(part), *index) if e.array in private else index)
            return Op(e.op, tuple(map(moved, e.args))) if isinstance(e, Op) else e

        if not private:
            return
        for each in walk(body):
            if isinstance(each, Assign):
                each.value = moved(each.value)
                each.lines = {moved(e): line for e, line in each.lines.items()}
            elif isinstance(each, Store):
                index = tuple(map(moved, each.index))
                each.index = (Var(part), *index) if each.array in private else index
                each.value = moved(each.value)
            elif isinstance(each, For):
                each.start, each.stop, each.step = moved(each.start), moved(each.stop), moved(each.step)
            elif hasattr(each, "cond"):
                each.cond = moved(each.cond)

    def _say(self) -> None:
        said = f"runs in at most {MOST_PARTS} parts, on all threads"
        if self.sums:
            said += f"; reduced, part by part: {', '.join(map(_shown, self.sums))}"
        if self.private:
            said += f"; made in each part: {', '.join(map(_shown, self.private))}"
        if self.shared:
            said += f"; read by all turns, so that each part has a gradient of its own: {', '.join(map(_shown, self.shared))}"
        if self.near:
            said += (
                f"; read by neighbours, so that the reverse takes every other part: {', '.join(map(_shown, self.near))}"
            )
        self.splitter.note(self.loop, said)


def _loads(e: Expr) -> Iterator[Load]:
    """The elements of arrays in an expression."""
    if isinstance(e, Load):
        yield e
    for inner in parts(e):
        yield from _loads(inner)
