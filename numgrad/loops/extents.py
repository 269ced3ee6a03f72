"""Extents as expressions of shapes and integer arguments, and where arrays lie in the memory of a sweep."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numgrad.loops import code
from numgrad.loops.forward import Namer
from numgrad.loops.language import Const, Dim, Expr, Op, Unit, Var, op, product, text
from numgrad.loops.scope import DTYPES
from numgrad.loops.sweeps import SHORT, Extent, Memory

# Elements between two arrays: without them, arrays of powers of two lie at distances at which a CPU takes a load for one of what
# was just stored (addresses that agree in 12 bits), and the reverse of a wave equation takes twice as long.
_APART = 104


class WorkMemory:
    """Local arrays and adjoints in the memory of one sweep: where each of them lies."""

    def __init__(self, unit: Unit, stem: str, names: Namer) -> None:
        self.unit, self.stem, self.names = unit, stem, names
        self.totals: dict[str, Expr] = {}
        self.late: dict[str, Expr] = {}
        self.open: dict[str, Memory] = {}

    def take(self, dtype: str, shape: tuple[Expr, ...]) -> str:
        """Room for an array: the call that gives it."""
        first = self.totals.get(dtype, Const(0))
        self.totals[dtype] = op("+", op("+", first, product(shape)), Const(_APART))
        extents = ", ".join(text(e) for e in shape)
        return f"room{len(shape)}({self.name(dtype)}, {code.bare(first)}, {extents})"

    def is_late(self, array: str) -> bool:
        """Whether an array's extents are computed by the program."""
        return any(isinstance(e, Var) and e.name in self.unit.late_extents for e in self.unit.arrays[array].shape)

    def begun(self, target: str, array: str, dtype: str = "") -> tuple[list[Any], list[Any]]:
        """Lines that name an array of another's extents: at the beginning, and where the extents are known.

        Arrays whose extents the program computes lie one behind the other in the order in which they are made.
        """
        dtype, shape = dtype or self.unit.arrays[array].dtype, self.unit.arrays[array].shape
        if not self.is_late(array):
            return [f"{target} = {self.take(dtype, shape)}"], []
        block = self.unknown(dtype, "late")
        first = self.late.get(dtype, Const(0))
        size = product(op("max", Const(0), e) for e in shape)
        self.late[dtype] = op("+", op("+", first, size), Const(_APART))
        zeros = ", ".join(["0"] * len(shape))
        extents = ", ".join(text(e) for e in shape)
        return [f"{target} = room{len(shape)}({block}, 0, {zeros})"], [
            f"if {text(op('+', first, size))} > {block}.size:", [f"{self.names.own('status')}[0] = {SHORT}", "return"],
            f"{target} = room{len(shape)}({block}, {code.bare(first)}, {extents})",
        ]  # fmt: skip

    def unknown(self, dtype: str, which: str) -> str:
        """Memory whose room only a run can tell, a block of its own: its name."""
        name = self.names.own(f"{self.stem}_{which}_{dtype}")
        self.open[name] = Memory(name, dtype, None)
        return name

    def name(self, dtype: str) -> str:
        """The block's name."""
        return self.names.own(f"{self.stem}_{dtype}")

    def blocks(self) -> tuple[Memory, ...]:
        """The blocks that were used."""
        known = [Memory(self.name(d), d, extent(self.totals[d])) for d in DTYPES if d in self.totals]
        return (*known, *self.open.values())


def extent(e: Expr) -> Extent:
    """An expression of shapes and integer arguments as an `Extent`."""
    return Extent(code.bare(e), lambda shapes, numbers: int(evaluate(e, shapes, numbers)))


def evaluate(e: Expr, shapes: Mapping[str, Sequence[int]], numbers: Mapping[str, Any]) -> Any:
    """The value of an expression of shapes and integer arguments."""
    if isinstance(e, Const):
        return e.value
    if isinstance(e, Dim):
        return shapes[e.array][e.axis]
    if isinstance(e, Var):
        return numbers[e.name]
    assert isinstance(e, Op)
    if e.op == "select":
        return evaluate(e.args[1 if evaluate(e.args[0], shapes, numbers) else 2], shapes, numbers)
    args = [evaluate(a, shapes, numbers) for a in e.args]
    return _EVALUATED[e.op](*args)


_EVALUATED: dict[str, Callable[..., Any]] = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "//": lambda a, b: a // b, "%": lambda a, b: a % b,
    "/": lambda a, b: a / b, "**": lambda a, b: a**b, "max": max, "min": min, "neg": lambda a: -a, "absolute": abs, "int": int,
    "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b, "not": lambda a: not a, "and": lambda a, b: a and b,
    "or": lambda a, b: a or b, "floor": math.floor, "ceil": math.ceil, "sqrt": math.sqrt, "log2": math.log2,
    "<<": lambda a, b: a << b,
    ">>": lambda a, b: a >> b, "float": float, "&": lambda a, b: a & b, "|": lambda a, b: a | b, "^": lambda a, b: a ^ b,
    "trunc": math.trunc, "round": round, "log": math.log, "square": lambda a: a * a,
}  # fmt: skip
