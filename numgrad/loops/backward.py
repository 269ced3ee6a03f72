"""Writes the reverse of statements: how the derivative of what they write flows to what they read."""

from __future__ import annotations

from typing import Any

from numgrad.errors import TranslationError
from numgrad.loops.code import Code
from numgrad.loops.language import (
    Assign,
    Const,
    Dim,
    Expr,
    Load,
    Op,
    Store,
    Var,
    arrays,
    bare,
    op,
    scalars,
    text,
)
from numgrad.loops.slopes import PAIRS, SLOPES
from numgrad.loops.sweeps import Line
from numgrad.loops.versions import leaves


def do(name: str, *operands: Any) -> Expr:
    """An operation of the table of slopes as an expression."""
    args = tuple(a if isinstance(a, Expr) else Const(float(a)) for a in operands)
    if name == "where":
        return Op("select", args)
    if name == "*" and Const(1.0) in args:
        return args[0] if args[1] == Const(1.0) else args[1]
    if name == "neg" and isinstance(args[0], Op) and args[0].op == "neg":
        return args[0].args[0]
    return Op({"floor": "floor_f", "ceil": "ceil_f", "trunc": "trunc_f", "round": "round_f"}.get(name, name), args)


def slope(name: str, d: Expr, x: Any, out: Any) -> Expr:
    """``d`` times the derivative of a function of one number. ``x`` and ``out`` give operand and result when they are asked."""
    entry = SLOPES[name]
    total = d  # with the division last, as in the table
    times = entry.cheap or entry.times
    if times is not None:
        factor = times(do, x, out)
        factor = factor if isinstance(factor, Expr) else Const(float(factor))
        total = do("neg", total) if factor == Const(-1.0) else do("*", total, factor)
    if entry.over is not None:
        total = do("/", total, entry.over(do, x, out))
    return total


# Slopes that are made of the result, or of operand and result.
_FROM_RESULT = frozenset("exp exp2 sqrt tan tanh expm1 neg".split())
_FROM_BOTH = frozenset(("sigmoid", "tanh_slope"))


class Adjoint:
    """The reverse of single statements, as lines; notes which values they read."""

    def __init__(self, active: set[str], names: Any, versions: Any) -> None:
        self.active, self.names, self.versions = active, names, versions
        self.bar = names.bar
        self.lines: list[Any] = []
        self.reads: tuple[set[str], set[str]] = (set(), set())
        self.unset: set[str] = set()  # versions whose adjoint has no value yet
        self.zero: set[str] = set()  # canonical names whose adjoint is known to be 0
        self.memo: dict[Expr, Expr] = {}
        self.own: dict[Expr, str] = {}  # the expression of the statement, and the version that it is given to
        self.line: Line | None = None
        self.line_of: dict[Expr, Line] = {}  # of branches that have lines of their own

    def say(self, shown: str) -> None:
        """Add a line."""
        self.lines.append(Code(shown, self.line))

    def temp(self, stem: str, value: Expr) -> Expr:
        """A new name for a value; names and numbers stay as they are."""
        if isinstance(value, (Var, Const)):
            return value
        name = self.names.unit.fresh(stem)
        self.say(f"{name} = {bare(value)}")
        return Var(name)

    def value(self, e: Expr) -> Expr:
        """The value that an expression has before the statement."""
        if e in self.own:  # the version has the value
            self.reads[0].add(self.own[e])
            return Var(self.own[e])
        scalars(e, self.reads[0])
        if isinstance(e, (Const, Var, Dim)):
            return e
        known = self.memo.get(e)
        if known is None:
            arrays(e, self.reads[1])
            # An index that is read itself has a name: its element's adjoint has the same one.
            shown = (
                Load(e.array, tuple([self.value(i) if arrays(i) else i for i in e.index])) if isinstance(e, Load) else e
            )
            known = self.memo[e] = self.temp("v", shown)
        return known

    def is_active(self, e: Expr) -> bool:
        """Whether a derivative can flow to an expression."""
        return not leaves(e).isdisjoint(self.active)

    def add(self, name: str, d: Expr) -> None:
        """Add to the adjoint of a number."""
        first = name in self.unset or name in self.zero
        self.unset.discard(name)
        self.zero.discard(name)
        self.say(f"{name}{self.bar} {'=' if first else '+='} {bare(d)}")

    def settle(self, names: set[str]) -> None:
        """Before code that may or may not run: adjoints that it adds to have values, and are no longer known."""
        for n in sorted(names & self.unset):
            self.say(f"{n}{self.bar} = 0.0")
        self.unset -= names
        self.zero -= names

    def slot(self, array: str, index: tuple[Expr, ...]) -> str:
        """The adjoint of an element."""
        return f"{array}{self.bar}[{', '.join(bare(self.index(i)) for i in index)}]"

    def index(self, e: Expr) -> Expr:
        """An index: a sum of names is written as it is."""
        if isinstance(e, Op) and e.op in ("+", "-") and all(isinstance(a, (Var, Const, Dim)) for a in e.args):
            scalars(e, self.reads[0])
            return e
        return self.value(e)

    def statement(self, s: Any) -> None:
        """The reverse of an assignment or a store."""
        self.memo, self.line = {}, s.line
        if isinstance(s, Assign):
            self.line_of = s.lines
            if s.name not in self.active or s.name in self.unset:
                return
            d: Expr = Var(f"{s.name}{self.bar}")
            if not self.is_active(s.value):
                self.say(f"{text(d)} = 0.0")
                return
            if s.name in self.versions:
                self.own[s.value] = s.name
            else:
                held = Var(self.names.unit.fresh("d"))
                self.say(f"{held.name} = {text(d)}")
                self.say(f"{text(d)} = 0.0")
                self.zero.add(s.name)
                d = held
            self.back(s.value, d)
            self.own = {}
        elif isinstance(s, Store) and s.array in self.active:
            slot = self.slot(s.array, s.index)
            d = Const(0.0)
            if self.is_active(s.value):
                d = Var(self.names.unit.fresh("d"))
                self.say(f"{d.name} = {slot}")
            if not s.add:
                self.say(f"{slot} = 0.0")
            if self.is_active(s.value):
                self.back(s.value, d)

    # ---- expressions ----------------------------------------------------------------------------------------------------

    def back(self, e: Expr, d: Expr) -> None:
        """Add ``d`` times the derivative of an expression to the adjoints of its leaves."""
        if not self.is_active(e):
            return
        if isinstance(e, Var):
            self.add(e.name, d)
        elif isinstance(e, Load):
            self.say(f"{self.slot(e.array, e.index)} += {bare(d)}")
        else:
            assert isinstance(e, Op)
            self.operation(e, d, [self.is_active(a) for a in e.args])

    def operation(self, e: Op, d: Expr, on: list[bool]) -> None:
        """The reverse of an operation; ``on`` says which operands derivatives flow to."""
        name, args = e.op, e.args
        if name in ("+", "-"):
            self.each(args, on, (d, d if name == "+" else op("neg", d)))
        elif name == "*":
            if all(on) and args[0] == args[1]:
                self.send(args[0], op("*", op("*", Const(2.0), d), self.value(args[0])))
            else:
                for k in (0, 1):
                    if on[k]:
                        self.send(args[k], op("*", d, self.value(args[1 - k])))
        elif name == "/":
            share = self.temp("d", op("/", d, self.value(args[1])))
            self.back(args[0], share)
            if on[1]:
                self.send(args[1], op("*", op("neg", share), self.value(e)))
        elif name == "square":
            self.send(args[0], op("*", op("*", Const(2.0), d), self.value(args[0])))
        elif name in ("float", "float32"):
            self.back(args[0], d)
        elif name == "**":
            self.power(e, d, on)
        elif name == "select":
            self.either(self.value(args[0]), args[1], args[2], d)
        elif name in ("max", "min"):
            one, two = self.value(args[0]), self.value(args[1])
            self.either(op(">" if name == "max" else "<", two, one), args[1], args[0], d)
        elif name in PAIRS:
            x, y = self.value(args[0]), self.value(args[1])
            for k, factor in enumerate(PAIRS[name](do, x, y, self.value(e) if name == "hypot" else None)):
                if on[k] and factor is not None:
                    self.send(args[k], do("*", d, factor))
        elif name.startswith("call:"):
            given = tuple(self.value(a) for a in args)
            slopes = self.temp("slopes", Op(f"{name}slopes", given))
            for k in range(len(args)):
                if on[k]:
                    self.send(args[k], op("*", d, slopes if len(args) == 1 else Load(text(slopes), (Const(k),))))
        elif name in SLOPES:
            operand = None if name in _FROM_RESULT else self.value(args[0])
            out = self.value(e) if name in _FROM_RESULT or name in _FROM_BOTH else None
            self.send(args[0], slope(name, d, operand, out))
        else:
            raise TranslationError(f"differentiable: the derivative of `{name}` is not known; declare it by a rule")

    def each(self, args: tuple[Expr, ...], on: list[bool], ds: tuple[Expr, ...]) -> None:
        """Send derivatives to the operands that they flow to."""
        for a, o, d in zip(args, on, ds, strict=True):
            if o:
                self.send(a, d)

    def send(self, e: Expr, d: Expr) -> None:
        """The same as `back`, with a name for the derivative where it is used more than once."""
        self.back(e, d if isinstance(e, (Var, Load)) else self.temp("d", d))

    def power(self, e: Op, d: Expr, on: list[bool]) -> None:
        """The reverse of a power."""
        base, exponent = e.args
        if on[0] and isinstance(exponent, Const):
            n, x = exponent.value, self.value(base)
            if n == 1:
                self.back(base, d)
            elif n == 2:
                self.send(base, op("*", op("*", Const(2.0), d), x))
            elif n != 0:
                self.send(base, op("*", op("*", d, Const(n)), Op("**", (x, Const(n - 1)))))
        elif on[0]:
            x, y = self.value(base), self.value(exponent)
            inner = op("*", op("*", d, y), Op("**", (x, Op("-", (y, Const(1.0))))))
            self.send(base, Op("select", (Op("!=", (y, Const(0))), inner, Const(0.0))))
        if on[1]:
            x = self.value(base)
            inner = op("*", op("*", d, self.value(e)), Op("log", (x,)))
            self.send(exponent, Op("select", (Op(">", (x, Const(0.0))), inner, Const(0.0))))

    def either(self, cond: Expr, one: Expr, two: Expr, d: Expr) -> None:
        """Only the branch that was taken: what the other one would compute may be undefined."""
        self.settle((leaves(one) | leaves(two)) & self.active)
        outer, memo, line = self.lines, self.memo, self.line
        parts = []
        for each in (one, two):
            self.lines, self.memo, self.line = [], dict(memo), self.line_of.get(each, line)
            self.back(each, d)
            parts.append(self.lines)
        self.lines, self.memo, self.line = outer, memo, line
        if parts[0]:
            self.say(f"if {bare(cond)}:")
            outer.append(parts[0])
            if parts[1]:
                self.say("else:")
                outer.append(parts[1])
        elif parts[1]:
            self.say(f"if not {text(cond)}:")
            outer.append(parts[1])
