"""Functions of numbers that are written in others when a program is read, so that no later pass has to know them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from numgrad.loops.language import Const, Dim, Expr, Op, op

Do = Callable[..., Expr]  # the operation of that name on numbers, as the program itself would have written it


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


def _logaddexp(do: Do, a: Expr, b: Expr) -> Expr:
    """log(exp(a) + exp(b)), by the larger one and how far below it the other one is. Equal ones have half of the slope each."""
    a, b = do("float", a), do("float", b)
    top, low = do("max", a, b), do("min", b, a)  # of equal ones, one is the larger and the other one the smaller
    both = do("and", do("==", top, low), do("isinf", top))
    return do("+", top, do("log1p", do("exp", Op("select", (both, Const(0.0), do("-", low, top))))))


PLAIN = {"maximum": "max", "minimum": "min", "fmax": "max", "fmin": "min"}  # what they are for integers
EXPANSIONS: dict[str, Callable[..., Expr]] = {
    "radians": lambda do, a: do("*", a, Const(np.pi / 180)),
    "degrees": lambda do, a: do("*", a, Const(180 / np.pi)),
    "reciprocal": lambda do, a: do("/", Const(1.0), a),
    "clip": lambda do, a, low, high: do("minimum", do("maximum", a, low), high),
    "logaddexp": _logaddexp,
}
