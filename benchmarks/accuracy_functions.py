"""The functions whose errors ``python -m benchmarks accuracy`` measures: where, against which function of mpmath, and the bounds
that tests keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

INFINITE = float("inf")


class Function(NamedTuple):
    """A public function of numgrad.

    Attributes
    ----------
    name
        As it is called: ``exp``, ``special.i0``, ``nn.functional.gelu``.
    exact
        The same in mpmath: of the module, and of numbers of 50 digits.
    core
        An interval where the function does most of what it does, in which half of the samples are uniform; a tuple of them for
        a function of two numbers.
    domain
        The interval within which the other half is uniform in the bits of the dtype.
    bounds
        Units in the last place that no sample may exceed, in float32 and in float64.
    envelope
        A function of mpmath and x below which the size of the result is not counted: errors are relative to it near zeros.
    """

    name: str
    exact: Callable[..., Any]
    core: Any
    domain: Any = (-INFINITE, INFINITE)
    bounds: tuple[float, float] = (1.0, 2.0)
    envelope: Callable[..., Any] | None = None


_POSITIVE, _UNIT = (0.0, INFINITE), (-1.0, 1.0)


def _wave(m: Any, x: Any) -> Any:
    """The size of Bessel's waves."""
    return m.sqrt(2 / (m.pi * max(abs(x), m.mpf(1))))


def _log_ndtr(m: Any, x: Any) -> Any:
    tail = m.erfc(abs(x) / m.sqrt(2)) / 2
    return m.log1p(-tail) if x > 0 else m.log(tail)


FUNCTIONS: tuple[Function, ...] = (
    Function("exp", lambda m, x: m.exp(x), (-100, 90)),
    Function("exp2", lambda m, x: m.power(2, x), (-150, 130)),
    Function("expm1", lambda m, x: m.expm1(x), (-2, 2)),
    Function("log", lambda m, x: m.log(x), (0.5, 2), _POSITIVE),
    Function("log2", lambda m, x: m.log(x, 2), (0.5, 2), _POSITIVE, (2, 2)),
    Function("log10", lambda m, x: m.log10(x), (0.5, 2), _POSITIVE, (1, 1)),
    Function("log1p", lambda m, x: m.log1p(x), (-0.9, 2), (-1.0, INFINITE), (2.5, 2.5)),
    Function("rsqrt", lambda m, x: 1 / m.sqrt(x), (0.5, 4), _POSITIVE, (2, 2)),
    Function("sin", lambda m, x: m.sin(x), (-100, 100), bounds=(2, 2)),
    Function("cos", lambda m, x: m.cos(x), (-100, 100), bounds=(2, 2)),
    Function("tan", lambda m, x: m.tan(x), (-100, 100), bounds=(2, 2)),
    Function("sinc", lambda m, x: m.sincpi(x), (-4, 4), (-8, 8), (3, 3), lambda m, x: 1 / max(1, m.pi * abs(x))),
    Function("asin", lambda m, x: m.asin(x), _UNIT, _UNIT, bounds=(2, 2)),
    Function("acos", lambda m, x: m.acos(x), _UNIT, _UNIT, bounds=(2, 2)),
    Function("atan", lambda m, x: m.atan(x), (-4, 4), bounds=(2, 2)),
    Function("sinh", lambda m, x: m.sinh(x), (-10, 10), bounds=(2, 2)),
    Function("cosh", lambda m, x: m.cosh(x), (-10, 10), bounds=(2, 2)),
    Function("tanh", lambda m, x: m.tanh(x), (-4, 4), bounds=(2, 2)),
    Function("asinh", lambda m, x: m.asinh(x), (-4, 4), bounds=(1.5, 1.5)),
    Function("acosh", lambda m, x: m.acosh(x), (1, 4), (1.0, INFINITE), (2, 2)),
    Function("atanh", lambda m, x: m.atanh(x), _UNIT, _UNIT, (2.5, 2)),
    Function("erf", lambda m, x: m.erf(x), (-4, 4)),
    Function("erfc", lambda m, x: m.erfc(x), (-4, 27), (-30.0, 30.0), (2, 5)),
    Function("erfinv", lambda m, x: m.erfinv(x), (-0.99, 0.99), _UNIT, (1, 5)),
    Function("sigmoid", lambda m, x: 1 / (1 + m.exp(-x)), (-20, 20), (-87.0, 1e4), bounds=(3, 3)),
    Function("logit", lambda m, x: m.log(x) - m.log1p(-x), (0.01, 0.4), (0.0, 0.4), bounds=(4, 4)),
    Function("nn.functional.softplus", lambda m, x: m.log1p(m.exp(x)), (-20, 20), (-80.0, 1e4), bounds=(3, 3)),
    Function("nn.functional.logsigmoid", lambda m, x: -m.log1p(m.exp(-x)), (-20, 20), (-80.0, 1e4), bounds=(3, 3)),
    Function("nn.functional.silu", lambda m, x: x / (1 + m.exp(-x)), (-20, 20), (-80.0, 1e4), bounds=(3, 3)),
    Function("nn.functional.gelu", lambda m, x: x * m.erfc(-x / m.sqrt(2)) / 2, (0, 8), (0.0, 30.0), (3, 3)),
    Function("nn.functional.mish", lambda m, x: x * m.tanh(m.log1p(m.exp(x))), (-20, 20), (-80.0, 1e4), bounds=(4, 4)),
    Function("nn.functional.elu", lambda m, x: x if x > 0 else m.expm1(x), (-4, 4), bounds=(2, 2)),
    Function("pow", lambda m, x, y: m.power(x, y), ((0, 4), (-20, 20)), (_POSITIVE, (-30, 30))),
    Function("atan2", lambda m, y, x: m.atan2(y, x), ((-4, 4), (-4, 4))),
    Function("hypot", lambda m, x, y: m.hypot(x, y), ((-4, 4), (-4, 4))),
    Function("logaddexp", lambda m, x, y: m.log(m.exp(x) + m.exp(y)), ((0, 10), (0, 10)), ((0, 80), (0, 80)), (3, 3)),
    Function("special.erfcx", lambda m, x: m.exp(x * x) * m.erfc(x), (-4, 20), (-5.0, 1e4), (1, 8)),
    Function("special.ndtr", lambda m, x: m.erfc(-x / m.sqrt(2)) / 2, (-30, 6), (-40.0, 40.0), (1, 8)),
    Function("special.log_ndtr", _log_ndtr, (-30, 6), (-40.0, 36.0), (1, 8)),
    Function("special.ndtri", lambda m, p: m.sqrt(2) * m.erfinv(2 * p - 1), (0.01, 0.49), (1e-30, 0.49), (1, 8)),
    Function("special.entr", lambda m, x: -x * m.log(x), (0, 4), _POSITIVE, (2, 3)),
    Function("lgamma", lambda m, x: m.loggamma(x), (0.1, 20), _POSITIVE, (1, 3)),
    Function("digamma", lambda m, x: m.digamma(x), (0.1, 20), _POSITIVE, (1, 6)),
    Function("polygamma", lambda m, x: m.polygamma(1, x), (0.1, 20), _POSITIVE, (1, 5)),
    Function("special.i0", lambda m, x: m.besseli(0, x), (-30, 30), (-700, 700), (1, 8)),
    Function("special.i0e", lambda m, x: m.besseli(0, x) * m.exp(-abs(x)), (-30, 30), (-1e4, 1e4), (1, 8)),
    Function("special.i1", lambda m, x: m.besseli(1, x), (-30, 30), (-700, 700), (1, 8)),
    Function("special.i1e", lambda m, x: m.besseli(1, x) * m.exp(-abs(x)), (-30, 30), (-1e4, 1e4), (1, 8)),
    Function("special.bessel_j0", lambda m, x: m.besselj(0, x), (-30, 30), (-1e4, 1e4), (1, 8), _wave),
    Function("special.bessel_j1", lambda m, x: m.besselj(1, x), (-30, 30), (-1e4, 1e4), (1, 9), _wave),
    Function("special.bessel_y0", lambda m, x: m.bessely(0, x), (0.01, 30), (0.0, 1e4), (1, 13), _wave),
    Function("special.bessel_y1", lambda m, x: m.bessely(1, x), (0.01, 30), (0.0, 1e4), (1, 9), _wave),
    Function("special.modified_bessel_k0", lambda m, x: m.besselk(0, x), (0.01, 30), (0.0, 700), (1, 4)),
    Function("special.modified_bessel_k1", lambda m, x: m.besselk(1, x), (0.01, 30), (0.0, 700), (1, 4)),
    Function(
        "special.airy_ai", lambda m, x: m.airyai(x), (-20, 20), (-100, 100), (1, 40),
        lambda m, x: 1 / m.sqrt(m.pi * m.sqrt(-x)) if x < -1 else 0,
    ),
    Function("special.spherical_bessel_j0", lambda m, x: m.sinc(x), (-4, 4), (-1e4, 1e4), (1, 2)),
)  # fmt: skip
