"""Functions of numbers that are written in others when a program or a formula is read: no later pass has to know them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from numgrad.loops.language import Const, Dim, Expr, Op, op

Do = Callable[
    ..., Any
]  # ``do(operation, *operands)``: what the program itself would have written; operands may be constants


def extreme(name: str, a: Expr, b: Expr) -> Expr:
    """NumPy's extreme of two real numbers; Python's gives the first one if either is a NaN.

    ``maximum`` and ``minimum`` give a NaN then, ``fmax`` and ``fmin`` the other one.
    """
    plain = op(PLAIN[name], a, b)
    tested = b if name in ("maximum", "minimum") else a
    if isinstance(tested, Dim) or (isinstance(tested, Const) and tested.value == tested.value):
        return plain
    return Op("select", (Op("!=", (tested, tested)), b, plain))


def extreme_of(e: Expr) -> tuple[str, Expr, Expr] | None:
    """The name and the operands of such an expression; None if it is none."""
    if isinstance(e, Op) and e.op == "select" and isinstance(plain := e.args[2], Op) and plain.op in PLAIN.values():
        one, two = plain.args
        for name in PLAIN:
            if extreme(name, one, two) == e:
                return name, one, two
    return None


def _logaddexp(do: Do, a: Any, b: Any) -> Any:
    """log(exp(a) + exp(b)), by the larger one and how far below it the other one is. Equal ones have half of the slope each."""
    top, low = (
        do("maximum", a, b),
        do("minimum", b, a),
    )  # of equal ones, one is the larger and the other one the smaller
    both = do("and", do("==", top, low), do("isinf", top))
    return do("+", top, do("log1p", do("exp", do("where", both, 0.0, do("-", low, top)))))


PLAIN = {"maximum": "max", "minimum": "min", "fmax": "max", "fmin": "min"}  # what they are for integers
EXPANSIONS: dict[str, Callable[..., Any]] = {
    "radians": lambda do, a: do("*", a, math.pi / 180),
    "degrees": lambda do, a: do("*", a, 180 / math.pi),
    "reciprocal": lambda do, a: do("/", 1.0, a),
    "clip": lambda do, a, low, high: do("minimum", do("maximum", a, low), high),
    "logaddexp": _logaddexp,
}
