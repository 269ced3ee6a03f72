"""Writes the forward sweep with tangents: each statement has the statement of its derivative beside it."""

from __future__ import annotations

from typing import Any

from numgrad.errors import TranslationError
from numgrad.loops.backward import do, slope
from numgrad.loops.code import Code, span
from numgrad.loops.extents import WorkMemory
from numgrad.loops.forks import Fork
from numgrad.loops.forward import FIRST_FAILURE, ZEROS, Forward, branch, swapped
from numgrad.loops.kinds import kinds
from numgrad.loops.language import (
    Assign,
    Const,
    Expr,
    Fail,
    For,
    If,
    Load,
    Make,
    Op,
    Permute,
    Store,
    Unit,
    Var,
    assigned,
    bare,
    op,
    scalars,
    text,
)
from numgrad.loops.slopes import PAIRS, SLOPES
from numgrad.loops.sweeps import Parameter, Sweep
from numgrad.loops.versions import leaves, reals, varied, widened


class Tangents:
    """Writes statements of a unit; names that depend on arguments with a tangent are `active`."""

    def __init__(self, unit: Unit, needs: set[str], names: Any, traced: set[str]) -> None:
        self.unit, self.names, self.traced = unit, names, traced
        self.forward: Forward  # of the sweep that is written
        self.body = unit.body
        self.beginnings: dict[str, list[Any]] = {}  # what stands where arrays get their memory, by array
        params = {n: "i" if k.dtype[0] == "u" else k.dtype[0] for n, k in unit.params if not k.ndim}
        self.kinds = kinds(unit.body, params, unit.arrays)
        self.active = varied(unit.body, needs, reals(self.kinds, unit.arrays))

    def sweep(self, t: Any) -> Sweep:
        """Results and their tangents."""
        unit, names, dot = self.unit, self.names, self.names.dot
        forward = self.forward = t._forward(None, "plain")
        work = WorkMemory(unit, "work", names)
        forward.memory = (work, [])
        body: list[Any] = [forward.memory[1]]
        for n in unit.locals:
            begin, self.beginnings[n] = work.begun(n, n)
            body += begin
            if n in self.active:
                begin, then = work.begun(f"{n}{dot}", n, "f8")
                body, self.beginnings[n] = [*body, *begin], [*self.beginnings[n], *then]
                forward.fill(f"{n}{dot}", n, "0.0", self.beginnings[n] if then else body)
        inputs = []
        for n in t.needs:
            kind = t.kinds[n]
            name = f"{n}{dot}" if kind.ndim else names.own(f"tangent_{n}")
            inputs.append(Parameter(name, kind.dtype, max(1, kind.ndim), "tangent", n))
            if not kind.ndim:
                body.append(f"{n}{dot} = {name}[0]")
        body += [f"{n} = {ZEROS[t.versions.kinds[n]]}" for n in self.numbers(t.versions.kinds) if n not in t.kinds]
        body += [f"{n}{dot} = 0.0" for n in self.numbers(t.versions.kinds) if n in self.active and n not in t.needs]
        body += [f"{n}{names.id} = {t.ids[n]}" for n in sorted(t.traced)]
        self.block(unit.body, body)
        dots = []
        for (r, _), raw in zip(t.results, unit.results, strict=True):
            on = raw[1] in self.active
            name = names.own(f"{r.name}_tangent")
            if r.needs_grad:
                dots.append(Parameter(name, r.dtype, max(1, len(r.shape)), "result_tangent", r.name))
            if r.shape:
                t._by_identity(r, raw[1], lambda n, into, to=r.name: forward.copy(to, n, n, into), body)  # type: ignore[misc]
                if r.needs_grad:
                    t._by_identity(r, raw[1], lambda n, into, to=name: forward.copy(to, f"{n}{dot}", n, into), body)  # type: ignore[misc]
            else:
                body.append(f"{r.name}[0] = {raw[1]}")
                if r.needs_grad:
                    body.append(f"{name}[0] = {raw[1]}{dot}" if on else f"{name}[0] = 0.0")
        parameters = [
            *t._arguments(),
            *inputs,
            *t._outputs("result", "", False),
            *dots,
            *t._blocks(work.blocks(), "work"),
            t._status(),
        ]
        return t._sweep("tangent", parameters, work.blocks(), body, forward)

    def numbers(self, known: dict[str, str]) -> list[str]:
        """Numbers that are assigned."""
        return sorted(n for n in assigned(self.unit.body) if n in known)

    def tangent(self, e: Expr) -> Expr | None:
        """The tangent of an expression, or None for 0."""
        if leaves(e).isdisjoint(self.active):
            return None
        if isinstance(e, Var):
            return Var(e.name + self.names.dot)
        if isinstance(e, Load):
            return Load(e.array + self.names.dot, e.index)
        assert isinstance(e, Op)
        name, a = e.op, e.args
        zero = Const(0.0)
        if name == "select":
            return Op("select", (a[0], self.tangent(a[1]) or zero, self.tangent(a[2]) or zero))
        if name in ("max", "min"):
            one, two = self.tangent(a[0]) or zero, self.tangent(a[1]) or zero
            return Op("select", (Op(">" if name == "max" else "<", (a[1], a[0])), two, one))
        d = [self.tangent(p) for p in a]
        if name in ("+", "-"):
            return _sum(d[0], d[1] if name == "+" or d[1] is None else op("neg", d[1]))
        if name in ("float", "float32"):
            return d[0]
        if name == "*":
            return _sum(_times(d[0], a[1]), _times(d[1], a[0]))
        if name == "square":
            return _times(d[0], op("*", Const(2.0), a[0]))
        if name == "/":
            top = _sum(d[0], None if d[1] is None else op("neg", op("*", d[1], e)))
            return None if top is None else op("/", top, a[1])
        if name == "**":
            return _sum(self._base(e, d[0]), self._exponent(e, d[1]))
        if name in PAIRS:
            factors = PAIRS[name](do, a[0], a[1], e)
            parts = [
                None if f is None else _times(x, f if isinstance(f, Expr) else Const(float(f)))
                for x, f in zip(d, factors, strict=True)
            ]
            return _sum(parts[0], parts[1])
        if name.startswith("call:"):
            slopes = Op(f"{name}slopes", a)
            total: Expr | None = None
            for k, x in enumerate(d):
                shown = slopes if len(a) == 1 else Op("item", (slopes, Const(k)))
                total = _sum(total, _times(x, shown))
            return total
        if name not in SLOPES or d[0] is None:
            raise TranslationError(f"differentiable: the derivative of `{name}` is not known; declare it by a rule")
        return slope(name, d[0], a[0], e)

    def _base(self, e: Op, d: Expr | None) -> Expr | None:
        x, n = e.args
        if d is None:
            return None
        if isinstance(n, Const):
            if n.value == 0:
                return None
            return op("*", d, op("*", n, Op("**", (x, Const(n.value - 1))))) if n.value != 1 else d
        inner = op("*", op("*", d, n), Op("**", (x, Op("-", (n, Const(1.0))))))
        return Op("select", (Op("!=", (n, Const(0))), inner, Const(0.0)))

    def _exponent(self, e: Op, d: Expr | None) -> Expr | None:
        if d is None:
            return None
        x = e.args[0]
        return Op("select", (Op(">", (x, Const(0.0))), op("*", op("*", d, e), Op("log", (x,))), Const(0.0)))

    # ---- statements -----------------------------------------------------------------------------------------------------

    def block(self, stmts: list[Any], out: list[Any]) -> None:
        """Statements with their tangents."""
        for s in stmts:
            self.statement(s, out)

    def statement(self, s: Any, out: list[Any]) -> None:
        """One statement."""
        dot, arrays = self.names.dot, self.unit.arrays
        if isinstance(s, Assign):
            value = widened(s.value, arrays)
            if s.name not in self.active:
                out.append(Code(f"{s.name} = {self._shown(value, s.name)}", s.line))
                return
            late = isinstance(value, Op) and value.op in SLOPES and s.name not in scalars(value)
            if late:  # the value is known when the tangent is computed
                out.append(Code(f"{s.name} = {bare(value)}", s.line))
                d = self.tangent(value.args[0])  # type: ignore[attr-defined]
                d = None if d is None else slope(value.op, d, value.args[0], Var(s.name))  # type: ignore[attr-defined]
            else:
                d = self.tangent(value)
            out.append(Code(f"{s.name}{dot} = {'0.0' if d is None else bare(d)}", s.line))
            if not late:
                out.append(Code(f"{s.name} = {self._shown(value, s.name)}", s.line))
        elif isinstance(s, Store):
            slot = f"[{', '.join(map(bare, s.index))}]"
            value = widened(s.value, arrays)
            if s.array in self.active:
                d = self.tangent(value)
                if d is not None or not s.add:
                    out.append(
                        Code(f"{s.array}{dot}{slot} {'+=' if s.add else '='} {'0.0' if d is None else bare(d)}", s.line)
                    )
            out.append(Code(f"{s.array}{slot} {'+=' if s.add else '='} {bare(value)}", s.line))
        elif isinstance(s, Permute):
            out.append(Code(swapped(s.targets, s.sources, ""), s.line))
            if self.traced & set(s.targets):
                out.append(Code(swapped(s.targets, s.sources, self.names.id), s.line))
            if set(s.targets) & self.active:
                out.append(Code(swapped(s.targets, s.sources, dot), s.line))
        elif isinstance(s, If):
            parts: list[list[Any]] = [[], []]
            self.block(s.then, parts[0])
            self.block(s.orelse, parts[1])
            branch(bare(s.cond), parts, out, s.line)
        elif isinstance(s, Make):
            out += self.beginnings[s.array]
        elif isinstance(s, Fail):
            out += [Code(f"{self.names.own('status')}[0] = {FIRST_FAILURE + s.number}", s.line), Code("return", s.line)]
        elif isinstance(s, For) and s.parallel:
            fork = Fork(self.forward, s)
            first: list[Any] = [f"{n} = {ZEROS[self.kinds[n]]}" for n in fork.numbers]
            first += [f"{n}{dot} = 0.0" for n in fork.numbers if n in self.active]
            self.block(s.body, first)
            out += fork.forked(self.forward, first)
        else:
            body: list[Any] = []
            self.block(s.body, body)
            if s.exit:
                body += [Code(f"if {s.exit}:", s.line), [Code("break", s.line)]]
            out += [
                Code(f"for {s.var} in {span(s)}:" if isinstance(s, For) else f"while {text(s.cond)}:", s.line),
                body,
            ]

    def _shown(self, value: Expr, name: str) -> str:
        return bare(Const(float(value.value)) if isinstance(value, Const) and self.kinds[name] == "f" else value)


def _sum(one: Expr | None, two: Expr | None) -> Expr | None:
    return two if one is None else one if two is None else op("+", one, two)


def _times(d: Expr | None, factor: Expr) -> Expr | None:
    return None if d is None else do("*", d, factor)
