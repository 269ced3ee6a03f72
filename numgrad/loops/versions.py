"""A name of its own for each value of a number, within its block.

Each assignment to a number gets a new name (a *version*); a *canonical* name is written only where values meet: at the end of a
loop's body or of a branch, and before a nested block that changes it. So most values can be found again in the reverse sweep.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from numgrad.loops.kinds import kind_of, kinds
from numgrad.loops.language import (
    FLAT,
    Array,
    Assign,
    Block,
    Const,
    Dim,
    Expr,
    For,
    If,
    Load,
    Loop,
    Op,
    Permute,
    Stmt,
    Store,
    Unit,
    Var,
    While,
    arrays,
    assigned,
    expressions,
    rename,
    scalars,
    walk,
)


def live(stmts: list[Any], after: set[str]) -> set[str]:
    """Numbers whose values are needed before the statements, given those that are needed after."""
    now = set(after)
    for s in reversed(stmts):
        if isinstance(s, Assign):
            now.discard(s.name)
        elif isinstance(s, If):
            now = live(s.then, now) | live(s.orelse, now)
        elif isinstance(s, Loop):
            now |= looped(s, now)
        for e in expressions(s):
            scalars(e, now)
    return now


def looped(s: For | While, after: set[str]) -> set[str]:
    """Numbers whose values are needed at the end of a loop's turn."""
    index = {s.var} if isinstance(s, For) else set()
    total = after | (scalars(s.cond) if isinstance(s, While) else set()) | ({s.exit} if s.exit else set())
    while True:
        more = total | (live(s.body, total) - index)
        if more == total:
            return total
        total = more


def widened(e: Expr, arrays: dict[str, Array]) -> Expr:
    """The expression with elements of float32 arrays as Python's floats: everything is computed in float64."""
    if isinstance(e, Load):
        inner: Expr = Load(e.array, tuple(widened(i, arrays) for i in e.index))
        return Op("float", (inner,)) if arrays[e.array].dtype == "f4" else inner
    if isinstance(e, Op):
        return Op(e.op, tuple(widened(a, arrays) for a in e.args))
    return e


class Versions:
    """The blocks of a unit, with versions.

    Attributes
    ----------
    top
        The function's own block.
    kinds
        Of all numbers, canonical names and versions.
    where
        For each version, its block and assignment.
    turns
        Variables of loops; each is unique and given its values by the loop.
    results
        The versions of returned numbers.
    """

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        params = {n: "i" if k.dtype[0] == "u" else k.dtype[0] for n, k in unit.params if not k.ndim}
        self.kinds = kinds(unit.body, params, unit.arrays)
        self.where: dict[str, tuple[Block, Assign]] = {}
        self.turns: set[str] = set()
        self.changing = assigned(unit.body) - unit.late_extents
        results = {r[1] for r in unit.results if r[0] == "scalar"}
        self.top = Block()
        env: dict[str, str] = {}
        self._block(unit.body, self.top, env, results)
        self.results = {n: env.get(n, n) for n in results}
        self.canonical = {s.name for s in walk(self.top) if isinstance(s, Assign) and s.name not in self.where}

    def _renamed(self, e: Expr, env: dict[str, str]) -> Expr:
        return widened(rename(e, env), self.unit.arrays)

    def _version(self, name: str, value: Expr, kind: str, line: Any, block: Block) -> str:
        version = self.unit.fresh(name)
        self.kinds[version] = kind
        if kind == "f":
            value = self._real(value)
        new = Assign(line, version, value)
        block.stmts.append(new)
        self.where[version] = (block, new)
        return version

    def _real(self, value: Expr) -> Expr:
        """A value of a real number: compiled code would take a version that is given an integer for one."""
        if isinstance(value, Const):
            return Const(float(value.value))
        return value if kind_of(value, self.kinds, self.unit.arrays) == "f" else Op("float", (value,))

    def _hoist(self, e: Expr, stem: str, kind: str, line: Any, block: Block, env: dict[str, str]) -> Expr:
        """An expression that the reverse sweep needs: a constant, a name that does not change, or a new version."""
        e = self._renamed(e, env)
        if isinstance(e, (Const, Dim)):
            return e
        if isinstance(e, Var) and (e.name in self.where or e.name in self.turns or e.name not in self.changing):
            return e
        return Var(self._version(stem, e, kind, line, block))

    def _index(self, e: Expr, line: Any, block: Block, env: dict[str, str]) -> Expr:
        """An index: sums of names that do not change and of numbers stay as they are."""
        shown = self._renamed(e, env)
        if self._is_shift(shown):
            return shown
        return self._hoist(e, "k", "i", line, block, env)

    def _is_shift(self, e: Expr) -> bool:
        if isinstance(e, Op) and e.op in ("+", "-"):
            return all(map(self._is_shift, e.args))
        if isinstance(e, Var):
            return e.name in self.turns or (e.name not in self.changing and e.name not in self.where)
        return isinstance(e, (Const, Dim))

    def _settle(self, names: set[str], needed: set[str], line: Any, block: Block, env: dict[str, str]) -> None:
        """Give canonical names the values of their versions, before a nested block that changes them."""
        for n in sorted(names):
            if n in env and env[n] != n and n in needed:
                block.stmts.append(Assign(line, n, Var(env[n])))
            env[n] = n

    def _ends(self, block: Block, env: dict[str, str], names: set[str], after: set[str], line: Any) -> None:
        for n in sorted(names):
            if env.get(n, n) != n and n in after:
                block.ends.append(Assign(line, n, Var(env[n])))

    def _block(self, stmts: list[Any], block: Block, env: dict[str, str], after: set[str]) -> None:
        later = []  # what is needed after each statement
        now = set(after)
        for s in reversed(stmts):
            later.append(now)
            now = live([s], now)
        for s, needed in zip(stmts, reversed(later), strict=True):
            self._statement(s, block, env, needed)

    def _statement(self, s: Stmt, block: Block, env: dict[str, str], later: set[str]) -> None:
        if isinstance(s, Assign) and s.name in self.unit.late_extents:  # it has one value
            block.stmts.append(Assign(s.line, s.name, self._renamed(s.value, env)))
        elif isinstance(s, Assign):
            env[s.name] = self._version(s.name, self._renamed(s.value, env), self.kinds[s.name], s.line, block)
        elif isinstance(s, Store):
            index = tuple(self._index(i, s.line, block, env) for i in s.index)
            block.stmts.append(Store(s.line, s.array, index, self._renamed(s.value, env), s.add))
        elif isinstance(s, If) and (name := self._chosen(s)):
            lines: dict[Expr, Any] = {}
            value = self._choice(s, name, block, env, lines)
            env[name] = self._version(name, value, "f", s.line, block)
            self.where[env[name]][1].lines = lines
        elif isinstance(s, If):
            cond = self._hoist(s.cond, "test", "b", s.line, block, env)
            changed = assigned(s.then) | assigned(s.orelse)
            self._settle(changed, live([s], later), s.line, block, env)
            parts = []
            for part in (s.then, s.orelse):
                parts.append(Block())
                inner = dict(env)
                self._block(part, parts[-1], inner, later)
                self._ends(parts[-1], inner, changed, later, s.line)
            block.stmts.append(If(s.line, cond, *parts))
        elif isinstance(s, For):
            self._for(s, block, env, later)
        elif isinstance(s, While):
            if s.exit not in assigned(s.body):
                s.exit = None
            changed = assigned(s.body)
            self._settle(changed, live([s], later), s.line, block, env)
            again = looped(s, later)
            body = Block()
            inner = dict(env)
            self._block(s.body, body, inner, again)
            self._ends(body, inner, changed, again, s.line)
            count = self.unit.fresh("turns")
            self.kinds[count] = "i"
            block.stmts.append(While(s.line, self._renamed(s.cond, env), body, s.exit, count, s.checkpoint))
        else:
            block.stmts.append(s)

    def _chosen(self, s: Any) -> str | None:
        """The real number to which all branches give a value, made of numbers, and do nothing else; None if there is none."""
        names: set[str | None] = set()
        for part in (s.then, s.orelse):
            [only] = part if len(part) == 1 else [None]
            if isinstance(only, If):
                names.add(self._chosen(only))
            elif isinstance(only, Assign) and self.kinds[only.name] == "f" and not arrays(only.value):
                names.add(only.name)
            else:
                return None
        return names.pop() if len(names) == 1 else None

    def _choice(self, s: If, name: str, block: Block, env: dict[str, str], lines: dict[Expr, Any]) -> Expr:
        """What such branches give as one expression, which is computed again like any other: nothing needs a tape."""
        cond = self._hoist(s.cond, "test", "b", s.line, block, env)
        values = []
        for [only] in (s.then, s.orelse):
            if isinstance(only, If):
                values.append(self._choice(only, name, block, env, lines))
            else:
                values.append(self._real(self._renamed(only.value, env)))
                lines[values[-1]] = only.line
        return Op("select", (cond, *values))

    def _for(self, s: For, block: Block, env: dict[str, str], later: set[str]) -> None:
        if s.exit not in assigned(s.body):
            s.exit = None
        start, stop, step = (self._hoist(e, "bound", "i", s.line, block, env) for e in (s.start, s.stop, s.step))
        changed = assigned(s.body)
        keeps = s.var in changed or s.var in later
        if keeps:
            changed.add(s.var)
        self._settle(changed, live([s], later), s.line, block, env)
        var = self.unit.fresh(s.var)
        self.kinds[var] = "i"
        self.turns.add(var)
        inner = {**env, s.var: var}
        stmts = [Assign(s.line, s.var, Var(var)), *s.body] if keeps else s.body
        again = looped(s, later)
        body = Block()
        self._block(stmts, body, inner, again)
        self._ends(body, inner, changed, again, s.line)
        most = None if s.most is None else self._renamed(s.most, env)
        block.stmts.append(replace(s, var=var, start=start, stop=stop, step=step, body=body, most=most))


def leaves(e: Expr, into: set[str] | None = None) -> set[str]:
    """Names that an expression's derivative can flow to, numbers and arrays."""
    into = set() if into is None else into
    if isinstance(e, Var):
        into.add(e.name)
    elif isinstance(e, Load):
        into.add(e.array)
    elif isinstance(e, Op) and e.op not in FLAT:
        for a in e.args[1:] if e.op == "select" else e.args:
            leaves(a, into)
    return into


def reals(kinds_of: dict[str, str], arrays: dict[str, Array]) -> set[str]:
    """Names of real numbers and arrays."""
    return {n for n, k in kinds_of.items() if k == "f"} | {n for n, a in arrays.items() if a.kind == "f"}


def flows(block: Any, real: set[str]) -> list[tuple[str, set[str]]]:
    """Real names that statements write, and those that derivatives flow from."""
    pairs: list[tuple[str, set[str]]] = []
    for s in walk(block):
        if isinstance(s, Assign):
            pairs.append((s.name, leaves(s.value) & real))
        elif isinstance(s, Store):
            pairs.append((s.array, leaves(s.value) & real))
        elif isinstance(s, Permute):
            pairs += [(t, set(s.sources)) for t in s.targets]
    return [(t, r) for t, r in pairs if t in real]


def varied(block: Any, start: set[str], real: set[str]) -> set[str]:
    """Names that depend on those at the start."""
    pairs = flows(block, real)
    now = start & real
    while True:
        more = {t for t, r in pairs if r & now} | now
        if more == now:
            return now
        now = more


def activity(versions: Versions, needs: set[str]) -> set[str]:
    """Names that depend on an argument that needs a gradient and that a result depends on."""
    unit, top = versions.unit, versions.top
    real = reals(versions.kinds, unit.arrays)
    pairs = flows(top, real)
    useful = {versions.results[r[1]] if r[0] == "scalar" else r[1] for r in unit.results} & real
    while True:
        more = {n for t, r in pairs if t in useful for n in r} | useful
        if more == useful:
            return varied(top, needs, real) & useful
        useful = more
