"""The small language between Python's syntax and the sweeps: expressions of numbers, and statements in blocks.

Expressions have no effects. Statements write numbers or elements of arrays. Control flow is structured: a loop is left at the
end of its body only (`exit` names a flag that is looked at there), and a function returns at its end only. Every array has
extents that arguments determine, and is there from the start; what a program makes in a loop is one array that is filled again.
Extents that the program computes are possible outside of loops: such an array begins at a `Make`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

KINDS = "bif"  # truth values, integers, reals: what meets is of the later kind


@dataclass(frozen=True)
class Array:
    """An array: dtype, and extents as expressions of other arrays' extents and of integers."""

    dtype: str
    shape: tuple[Expr, ...]

    @property
    def kind(self) -> str:
        """Of its elements: ``f``, ``i`` or ``b``."""
        return "i" if self.dtype[0] == "u" else self.dtype[0]

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)


# ---- expressions ------------------------------------------------------------------------------------------------------


class Expr:
    """An expression of one number."""

    __slots__ = ()


@dataclass(frozen=True)
class Const(Expr):
    """A number that is known."""

    value: Any

    def __hash__(self) -> int:
        return hash((type(self.value), repr(self.value)))

    def __eq__(self, other: object) -> bool:  # 1, 1.0 and True differ, and so do 0.0 and -0.0
        return isinstance(other, Const) and (type(self.value), repr(self.value)) == (
            type(other.value),
            repr(other.value),
        )


@dataclass(frozen=True)
class Var(Expr):
    """A number by its name."""

    name: str


@dataclass(frozen=True)
class Load(Expr):
    """An element of an array."""

    array: str
    index: tuple[Expr, ...]


@dataclass(frozen=True)
class Dim(Expr):
    """An extent of an argument or of a constant array."""

    array: str
    axis: int


@dataclass(frozen=True)
class Op(Expr):
    """An operation; `slopes` has the names."""

    op: str
    args: tuple[Expr, ...]


ZERO, ONE = Const(0), Const(1)
BINARY = frozenset("+ - * / // % ** < <= > >= == != and or & | ^ << >>".split())
TRUTHS = frozenset("< <= > >= == != and or not bool isnan isinf isfinite".split())
WHOLE = frozenset("int floor ceil trunc round".split())  # functions of Python, whose results are integers
# What has no slope: results jump or do not change.
FLAT = TRUTHS | WHOLE | frozenset("// floor_f ceil_f trunc_f round_f sign & | ^ << >> invert".split())


def op(name: str, *args: Expr) -> Expr:
    """An operation, folded where that changes nothing."""
    a = args[0]
    b = args[1] if len(args) > 1 else None
    if all(isinstance(x, Const) for x in args) and name in ("+", "-", "*", "max", "min", "neg", "//"):
        values = [x.value for x in args]  # type: ignore[attr-defined]
        if all(type(v) is int for v in values) and not (name == "//" and values[1] == 0):
            table = {"+": lambda x, y: x + y, "-": lambda x, y: x - y, "*": lambda x, y: x * y, "max": max, "min": min,
                     "neg": lambda x: -x, "//": lambda x, y: x // y}  # fmt: skip
            return Const(table[name](*values))  # type: ignore[operator]
    if name in ("+", "-") and b == ZERO:
        return a
    if name == "+" and a == ZERO:
        assert b is not None
        return b
    if name == "*" and b is not None:
        if a == ONE:
            return b
        if b == ONE:
            return a
    if name == "not" and isinstance(a, Const):
        return Const(not a.value)
    if name in ("and", "or") and isinstance(a, Const):
        assert b is not None
        return b if bool(a.value) is (name == "and") else Const(bool(a.value))
    return Op(name, args)


def text(e: Expr) -> str:
    """The expression as Python."""
    if isinstance(e, Const):
        return _number(e.value)
    if isinstance(e, Var):
        return e.name
    if isinstance(e, Load):
        return f"{e.array}[{', '.join(map(bare, e.index))}]"
    if isinstance(e, Dim):
        return f"{e.array}.shape[{e.axis}]"
    assert isinstance(e, Op)
    a = [text(x) for x in e.args]
    if e.op in BINARY:
        return f"({a[0]} {e.op} {a[1]})"
    if e.op in ("neg", "not", "invert"):
        return f"({ {'neg': '-', 'not': 'not ', 'invert': '~'}[e.op] }{a[0]})"
    if e.op == "item":
        return f"{a[0]}[{a[1]}]"
    if e.op == "select":
        return f"({a[1]} if {a[0]} else {a[2]})"
    if e.op in ("max", "min", "int", "float", "bool", "abs", "round"):
        return f"{e.op}({', '.join(map(bare, e.args))})"
    if e.op == "float32":
        return f"float(np.float32({bare(e.args[0])}))"
    if e.op in ("floor", "ceil", "trunc", "isnan", "isinf", "isfinite"):
        return f"math.{e.op}({bare(e.args[0])})"
    if e.op.endswith("_f"):
        return f"np.{e.op[:-2].replace('round', 'rint')}({bare(e.args[0])})"
    if e.op == "square":
        return f"({a[0]} * {a[0]})"
    return f"{e.op.removeprefix('call:')}({', '.join(map(bare, e.args))})"


def bare(e: Expr) -> str:
    """The expression as Python, without parentheses round all of it."""
    shown = text(e)
    return shown[1:-1] if isinstance(e, Op) and (e.op in BINARY or e.op in ("select", "square")) else shown


def _number(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "math.nan" if value != value else "math.inf" if value > 0 else "(-math.inf)"
    return f"({value!r})" if not isinstance(value, bool) and math.copysign(1.0, value) < 0 else repr(value)


def parts(e: Expr) -> tuple[Expr, ...]:
    """The expressions inside an expression."""
    return e.index if isinstance(e, Load) else e.args if isinstance(e, Op) else ()


def scalars(e: Expr, into: set[str] | None = None) -> set[str]:
    """Names of the numbers that an expression reads."""
    into = set() if into is None else into
    if isinstance(e, Var):
        into.add(e.name)
    for p in parts(e):
        scalars(p, into)
    return into


def arrays(e: Expr, into: set[str] | None = None) -> set[str]:
    """Names of the arrays whose elements an expression reads."""
    into = set() if into is None else into
    if isinstance(e, Load):
        into.add(e.array)
    for p in parts(e):
        arrays(p, into)
    return into


def rename(e: Expr, names: dict[str, str]) -> Expr:
    """The expression with other names for numbers."""
    if isinstance(e, Var):
        return Var(names.get(e.name, e.name))
    if isinstance(e, Load):
        return Load(e.array, tuple(rename(i, names) for i in e.index))
    if isinstance(e, Op):
        return Op(e.op, tuple(rename(a, names) for a in e.args))
    return e


def replace(e: Expr, table: dict[str, Expr]) -> Expr:
    """The expression with expressions in the place of numbers."""
    if isinstance(e, Var):
        return table.get(e.name, e)
    if isinstance(e, Load):
        return Load(e.array, tuple(replace(i, table) for i in e.index))
    if isinstance(e, Op):
        return op(e.op, *[replace(a, table) for a in e.args])
    return e


# ---- statements -------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Stmt:
    """A statement, with the line of the user's text that it was made from."""

    line: Any


@dataclass(eq=False)
class Assign(Stmt):
    """``name = value``."""

    name: str
    value: Expr
    save: bool = False  # the old value goes to the tape
    lines: dict[Expr, Any] = field(default_factory=dict)  # of expressions in it that have lines of their own


@dataclass(eq=False)
class Store(Stmt):
    """``array[index] = value``, or ``+=``."""

    array: str
    index: tuple[Expr, ...]
    value: Expr
    add: bool = False
    save: bool = False


@dataclass(eq=False)
class Permute(Stmt):
    """Arrays change names: ``targets = sources``, the same names in another order."""

    targets: tuple[str, ...]
    sources: tuple[str, ...]


@dataclass(eq=False)
class Make(Stmt):
    """A local array gets its memory here, since its extents are numbers that the program computes (`Unit.late_extents`)."""

    array: str


@dataclass(eq=False)
class Fail(Stmt):
    """The run ends, and the status says by which failure."""

    number: int


@dataclass(eq=False)
class Block:
    """Statements with their bookkeeping; see `versions` and `recording`."""

    stmts: list[Stmt] = field(default_factory=list)
    ends: list[Stmt] = field(default_factory=list)  # copies into names that live on after the block
    pushes: list[str] = field(default_factory=list)  # versions that go to the tape at the end
    again: list[Assign] = field(default_factory=list)  # assignments that the reverse sweep computes again first


@dataclass(eq=False)
class If(Stmt):
    """A branch."""

    cond: Expr
    then: Any
    orelse: Any


@dataclass(eq=False)
class For(Stmt):
    """A loop over a range."""

    var: str
    start: Expr
    stop: Expr
    step: Expr
    body: Any
    exit: str | None = None
    parallel: bool = False  # a `prange`; since `independence`, a loop over parts that threads may share
    checkpoint: int | None = None  # its tape is made in parts, by so many snapshots; 0: by the square root of its turns
    renewed: frozenset[str] = frozenset()  # arrays that are made anew in each turn
    most: Expr | None = None  # how many turns there are at most, where that is known better than by the bounds
    shared: frozenset[str] = frozenset()  # of a loop over parts: real arrays that several parts read, and none writes
    near: frozenset[str] = frozenset()  # and those of which a part reads what is its own or its neighbours'


@dataclass(eq=False)
class While(Stmt):
    """A loop with a condition."""

    cond: Expr
    body: Any
    exit: str | None = None
    count: str = ""
    checkpoint: int | None = None


Loop = (For, While)


def children(s: Any) -> list[Any]:
    """The lists of statements (or blocks) inside a statement."""
    return [s.then, s.orelse] if isinstance(s, If) else [s.body] if isinstance(s, Loop) else []


def items(block: Any) -> list[Any]:
    """The statements of a list or block, in order."""
    return block.stmts + block.ends if isinstance(block, Block) else block


def walk(block: Any) -> Iterator[Any]:
    """All statements in a list or block, nested ones included."""
    for s in items(block):
        yield s
        for c in children(s):
            yield from walk(c)


def assigned(block: Any) -> set[str]:
    """Numbers that are assigned in it."""
    names = set()
    for s in walk(block):
        if isinstance(s, Assign):
            names.add(s.name)
        elif isinstance(s, For):
            names.add(s.var)
    return names


def written(block: Any) -> set[str]:
    """Arrays that are written, made or renamed in it."""
    names: set[str] = set()
    for s in walk(block):
        if isinstance(s, Store):
            names.add(s.array)
        elif isinstance(s, Permute):
            names.update(s.targets)
    return names


def expressions(s: Any) -> list[Expr]:
    """Expressions that a statement itself evaluates."""
    if isinstance(s, Assign):
        return [s.value]
    if isinstance(s, Store):
        return [*s.index, s.value]
    if isinstance(s, (If, While)):
        return [s.cond]
    return [s.start, s.stop, s.step] if isinstance(s, For) else []


def product(factors: Iterable[Expr]) -> Expr:
    """The product of expressions."""
    total: Expr = ONE
    for each in factors:
        total = op("*", total, each)
    return total


@dataclass
class Unit:
    """One function as statements: what reading gives and the rest of the package works on.

    Attributes
    ----------
    name, params
        The function's name, and the parameters with the dtype of numbers; arrays are in `arrays`.
    arrays
        All arrays: arguments, constants and local ones.
    locals
        Names of the local arrays, in the order in which they lie in memory.
    once
        Local arrays of which each element is written once, before it is read.
    body
        The statements.
    results
        ``("scalar", name)``, ``("array", name)`` for what is returned, then ``("changed", array, argument)``.
    failures
        What a `Fail` means: line, exception, message.
    scope
        Values of global names.
    used
        Names that are taken.
    late_extents
        Integers that are extents of arrays and that only a run can tell; each is assigned once, outside of loops.
    """

    name: str
    params: list[tuple[str, Any]]
    arrays: dict[str, Array]
    body: list[Any]
    results: list[tuple[str, ...]]
    failures: list[tuple[Any, type[Exception], str]]
    scope: dict[str, Any]
    used: set[str]
    locals: list[str] = field(default_factory=list)
    once: frozenset[str] = frozenset()
    notes: list[str] = field(default_factory=list)
    count: int = 0
    late_extents: set[str] = field(default_factory=set)
    single: bool = True  # whether what is returned is one value, and no tuple

    def fresh(self, stem: str) -> str:
        """A name that is not taken."""
        stem = stem.rstrip("_0123456789") or "v"
        while True:
            self.count += 1
            name = f"{stem}_{self.count}"
            if name not in self.used:
                self.used.add(name)
                return name
