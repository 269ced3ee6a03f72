"""Random formulas as texts, and two judges of them: dual numbers of second order over float64, and over 250 decimal digits.

Decimal numbers overflow nowhere, so that they tell what a derivative is where float64 would give infinity by infinity.
"""

from __future__ import annotations

import decimal
import functools
import linecache
import math
import random
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

CONTEXT = decimal.Context(
    prec=250,
    Emin=decimal.MIN_EMIN,
    Emax=decimal.MAX_EMAX,
    traps=[],
    clamp=0,
    capitals=1,
    rounding=decimal.ROUND_HALF_EVEN,
)
_UNARY = ("exp", "log1p", "expm1", "tanh", "sqrt", "abs", "log")
_PATTERNS = (
    "1 / (1 + exp(-{a}))", "{a} / (1 + exp(-{b}))", "log1p(exp({a}))", "log(1 + exp({a}))", "{a} * tanh(log1p(exp({a})))",
    "{a} * exp(-{b} * {b})", "exp({a}) / (exp({a}) + exp({b}))", "1 / (exp({a}) + exp(-{a}))", "{a} / (1 + abs({a}))",
    "{a} / sqrt(1 + {a} * {a})", "({a} * {a}) / (1 + {b} * {b})", "(1 + exp(-{a})) ** -2", "(1 + {a} * {a}) ** -0.5",
    "1 / (1 + {a} * {a}) ** 2", "-exp({a}) / (2 + 3 * exp({a}))", "(exp({a}) + 1) / (exp({a}) + 3)", "tanh({a}) * {b}",
    "log1p(2 * exp(-{a})) + {a}", "sqrt(1 + exp({a}))", "exp(-abs({a} - {b}))", "1 - 2 / (exp(2 * {a}) + 1)",
    "({a} if {a} > {b} else {b})", "({a} * {b} if {a} > 0 else exp({a}) - 1)", "{a} % ({b} * {b} + 0.5)",
    "({a} > 0 and {b})", "({a} or {b})", "where({a} >= {b}, {a}, {b})", "max({a}, 0.5 * {b})", "min({a}, {b}, 1)",
    "0.5 * {a} * (1 + tanh(0.8 * ({a} + 0.04 * {a} ** 3)))",
)  # fmt: skip


def formula(rng: random.Random, depth: int) -> str:
    """The text of an expression of x and y."""
    if depth == 0 or rng.random() < 0.1:
        return rng.choice(["x", "y", "x", "y", "0.5", "2", "3.0", "(-1.5)"])
    one, two = formula(rng, depth - 1), formula(rng, depth - 1)
    kind = rng.random()
    if kind < 0.45:
        return "(" + rng.choice(_PATTERNS).format(a=one, b=two) + ")"
    if kind < 0.6:
        word = rng.choice(_UNARY)
        return f"{word}(1 + {one} * {one})" if word in ("sqrt", "log") else f"{word}({one})"
    if kind < 0.7:
        return f"({one}) ** {rng.choice([2, 3, -1, -2])}"
    return f"({one} {rng.choice('+-*')} {two})"


def function(text: str, scope: dict[str, Any], name: str = "f") -> Callable[..., Any]:
    """The function of x and y that a text describes; its source can be read."""
    source = f"def {name}(x, y):\n    return {text}\n"
    filename = f"<random formula {abs(hash(source))}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    names = dict(scope)
    exec(compile(source, filename, "exec"), names)
    made: Callable[..., Any] = names[name]
    return made


class Dual:
    """A number, its slope and its curvature along a line, over a field of floats or decimals."""

    def __init__(self, value: Any, slope: Any = 0, curvature: Any = 0) -> None:
        self.v, self.s, self.c = value, slope, curvature

    def chain(self, value: Any, first: Any, second: Any) -> Dual:
        """A function of this with these two derivatives."""
        return Dual(value, first * self.s, second * self.s * self.s + first * self.c)

    def _of(self, other: Any) -> Dual:
        return other if isinstance(other, Dual) else Dual(type(self.v)(other), type(self.v)(0), type(self.v)(0))

    def __add__(self, other: Any) -> Dual:
        o = self._of(other)
        return Dual(self.v + o.v, self.s + o.s, self.c + o.c)

    def __sub__(self, other: Any) -> Dual:
        o = self._of(other)
        return Dual(self.v - o.v, self.s - o.s, self.c - o.c)

    def __mul__(self, other: Any) -> Dual:
        o = self._of(other)
        return Dual(self.v * o.v, self.s * o.v + self.v * o.s, self.c * o.v + 2 * self.s * o.s + self.v * o.c)

    def __truediv__(self, other: Any) -> Dual:
        return self * self._of(other) ** -1

    def __pow__(self, power: float) -> Dual:
        n = type(self.v)(power)
        return self.chain(self.v**n, n * self.v ** (n - 1), n * (n - 1) * self.v ** (n - 2))

    def __mod__(self, other: Any) -> Dual:
        o = self._of(other)
        whole = type(self.v)(math.floor(self.v / o.v))
        return self - o * whole

    def __neg__(self) -> Dual:
        return Dual(-self.v, -self.s, -self.c)

    def __abs__(self) -> Dual:
        return self if self.v > 0 else -self if self.v < 0 else Dual(self.v * 0, self.s * 0, self.c * 0)

    def __radd__(self, other: Any) -> Dual:
        return self._of(other) + self

    def __rsub__(self, other: Any) -> Dual:
        return self._of(other) - self

    def __rmul__(self, other: Any) -> Dual:
        return self._of(other) * self

    def __rtruediv__(self, other: Any) -> Dual:
        return self._of(other) / self

    def __rmod__(self, other: Any) -> Dual:
        return self._of(other) % self

    def __lt__(self, other: Any) -> bool:
        return bool(self.v < self._of(other).v)

    def __gt__(self, other: Any) -> bool:
        return bool(self.v > self._of(other).v)

    def __ge__(self, other: Any) -> bool:
        return bool(self.v >= self._of(other).v)

    def __le__(self, other: Any) -> bool:
        return bool(self.v <= self._of(other).v)

    def __bool__(self) -> bool:
        return bool(self.v != 0)


def _word(on_floats: Callable[[Any], Any], on_decimals: Callable[[Any], Any], slopes: Callable[[Any, Any], Any]) -> Any:
    def word(x: Any) -> Any:
        if not isinstance(x, Dual):
            return on_floats(x)
        value = on_decimals(x.v) if isinstance(x.v, Decimal) else on_floats(x.v)
        return x.chain(value, *slopes(x.v, value))

    return word


def _decimal_tanh(x: Decimal) -> Decimal:
    e = (-2 * abs(x)).exp()
    return ((1 - e) / (1 + e)).copy_sign(x)


def _tanh_slope(x: Any) -> Any:
    e = (-2 * abs(x)).exp() if isinstance(x, Decimal) else np.exp(-2 * abs(x))
    return 4 * e / ((1 + e) * (1 + e))


def _where(condition: Any, x: Any, y: Any) -> Any:
    return x if condition else y


JUDGED = {
    "exp": _word(np.exp, Decimal.exp, lambda x, out: (out, out)),
    "expm1": _word(np.expm1, lambda x: x.exp() - 1, lambda x, out: (out + 1, out + 1)),
    "log": _word(np.log, Decimal.ln, lambda x, out: (1 / x, -1 / x / x)),
    "log1p": _word(np.log1p, lambda x: (1 + x).ln(), lambda x, out: (1 / (1 + x), -1 / (1 + x) / (1 + x))),
    "sqrt": _word(np.sqrt, Decimal.sqrt, lambda x, out: (1 / (2 * out), -1 / (4 * out * x))),
    "tanh": _word(np.tanh, _decimal_tanh, lambda x, out: (_tanh_slope(x), -2 * out * _tanh_slope(x))),
    "where": _where, "abs": abs, "max": max, "min": min,
}  # fmt: skip


@functools.cache
def _judged(text: str) -> Callable[..., Any]:
    return function(text, JUDGED)


def judged(
    text: str, point: Sequence[float], direction: Sequence[float], number: Callable[[Any], Any]
) -> tuple[Any, ...]:
    """Value, slope and curvature of a formula along a line, with this class of numbers."""
    x, y = (Dual(number(p), number(d), number(0)) for p, d in zip(point, direction, strict=True))
    with decimal.localcontext(CONTEXT), np.errstate(all="ignore"):
        try:
            result = _judged(text)(x, y)
        except (ArithmeticError, ValueError):
            return (math.nan,) * 3
        if not isinstance(result, Dual):
            return result, 0.0, 0.0
        return result.v, result.s, result.c
