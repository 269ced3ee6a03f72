"""The derivatives of functions of numbers: one table, for formulas (`ops.derive`) and for loops.

An entry is written in operations of whoever asks: ``do(operation, *operands)`` gives the operand that stands for the result, a
step of a formula's program or an expression of a sweep. Entries are written so that they keep their digits at the ends of a
function's domain.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Do = Callable[..., Any]


@dataclass(frozen=True)
class Slope:
    """The derivative of a function of one number: the incoming slope times ``times``, divided by ``over``.

    Both take ``(do, x, out)``, the operand and the result. ``fades`` says that ``times`` is 0 by underflow only, where the product
    is 0 whatever the slope is. ``cheap`` is what sweeps take for ``times``: it needs no function, and its error is small beside 1.
    """

    times: Callable[[Do, Any, Any], Any] | None = None
    over: Callable[[Do, Any, Any], Any] | None = None
    fades: bool = False
    cheap: Callable[[Do, Any, Any], Any] | None = None


def _one_less_square(do: Do, x: Any) -> Any:
    return do("*", do("-", 1, x), do("+", 1, x))  # exact near 1, where x * x has lost its digits


def _bell(factor: float) -> Slope:
    return Slope(times=lambda do, x, out: do("*", factor, do("exp", do("neg", do("*", x, x)))), fades=True)


SLOPES: dict[str, Slope] = {
    "exp": Slope(times=lambda do, x, out: out),
    "exp2": Slope(times=lambda do, x, out: do("*", out, math.log(2))),
    "expm1": Slope(times=lambda do, x, out: do("exp", x), fades=True, cheap=lambda do, x, out: do("+", 1, out)),
    "log": Slope(over=lambda do, x, out: x),
    "log2": Slope(times=lambda do, x, out: 1 / math.log(2), over=lambda do, x, out: x),
    "log10": Slope(times=lambda do, x, out: 1 / math.log(10), over=lambda do, x, out: x),
    "log1p": Slope(over=lambda do, x, out: do("+", 1, x)),
    "sqrt": Slope(times=lambda do, x, out: 0.5, over=lambda do, x, out: out),
    "sin": Slope(times=lambda do, x, out: do("cos", x)),
    "cos": Slope(times=lambda do, x, out: do("neg", do("sin", x))),
    "tan": Slope(times=lambda do, x, out: do("+", 1, do("*", out, out))),
    "asin": Slope(over=lambda do, x, out: do("sqrt", _one_less_square(do, x))),
    "acos": Slope(over=lambda do, x, out: do("neg", do("sqrt", _one_less_square(do, x)))),
    "atan": Slope(over=lambda do, x, out: do("+", 1, do("*", x, x))),
    "sinh": Slope(times=lambda do, x, out: do("cosh", x)),
    "cosh": Slope(times=lambda do, x, out: do("sinh", x)),
    "tanh": Slope(
        times=lambda do, x, out: do("tanh_slope", x), fades=True, cheap=lambda do, x, out: _one_less_square(do, out)
    ),
    "tanh_slope": Slope(times=lambda do, x, out: do("*", do("*", -2, do("tanh", x)), out)),
    "asinh": Slope(over=lambda do, x, out: do("hypot", x, 1)),
    "acosh": Slope(over=lambda do, x, out: do("*", do("sqrt", do("-", x, 1)), do("sqrt", do("+", x, 1)))),
    "atanh": Slope(over=lambda do, x, out: _one_less_square(do, x)),
    "erf": _bell(2 / math.sqrt(math.pi)),
    "erfc": _bell(-2 / math.sqrt(math.pi)),
    "sigmoid": Slope(
        times=lambda do, x, out: do("*", out, do("sigmoid", do("neg", x)))
    ),  # 1 - out would lose its digits
    "absolute": Slope(times=lambda do, x, out: do("sign", x)),
    "neg": Slope(times=lambda do, x, out: -1),
}


def _atan2(do: Do, x: Any, y: Any, out: Any) -> tuple[Any, Any]:
    length = do("hypot", x, y)
    return do("/", do("/", y, length), length), do("neg", do("/", do("/", x, length), length))


def _hypot(do: Do, x: Any, y: Any, out: Any) -> tuple[Any, Any]:
    at_zero = do("==", out, 0)
    return do("where", at_zero, 0, do("/", x, out)), do("where", at_zero, 0, do("/", y, out))


# The two partial derivatives of a function of two numbers; None where it is flat.
PAIRS: dict[str, Callable[[Do, Any, Any, Any], tuple[Any, Any]]] = {
    "atan2": _atan2,
    "hypot": _hypot,
    "%": lambda do, x, y, out: (1, do("neg", do("//", x, y))),
    "fmod": lambda do, x, y, out: (1, do("neg", do("trunc", do("/", x, y)))),
    "copysign": lambda do, x, y, out: (do("*", do("sign", x), do("copysign", 1, y)), None),
}
