"""The incomplete gamma functions as words of elementwise ops; computed in float64, and a float32 result is rounded once."""

from __future__ import annotations

import math

from numgrad.kernels import scalar
from numgrad.runtime.kernel import device

# Temme's expansion is for larger orders than this one: its next term is that small then. Series take too long there.
_LARGE = 1e6


@device
def _least(a):
    """How large a term still counts beside a sum, for the dtype of a."""
    return 1e-17 if type(a)(1e300) < math.inf else 1e-11


@device
def gammainc(a, x):
    """P(a, x), the integral of t**(a - 1) * exp(-t) from 0 to x over gamma(a); for a and x from 0 on, else NaN."""
    least = _least(a)
    a, x = float(a), float(x)
    if not (a >= 0.0 and x >= 0.0) or (a == 0.0 and x == 0.0) or (math.isinf(a) and math.isinf(x)):
        return math.nan
    if a == 0.0 or math.isinf(x):
        return 1.0
    if x == 0.0 or math.isinf(a):
        return 0.0
    if a > _LARGE:
        return _of_large_order(a, x, -1.0)
    if x <= a + 1.0:
        return _series(a, x, least)
    return 1.0 - _fraction(a, x, least)


@device
def gammaincc(a, x):
    """Q(a, x) = 1 - P(a, x), exact where it is small."""
    least = _least(a)
    a, x = float(a), float(x)
    if not (a >= 0.0 and x >= 0.0) or (a == 0.0 and x == 0.0) or (math.isinf(a) and math.isinf(x)):
        return math.nan
    if a == 0.0 or math.isinf(x):
        return 0.0
    if x == 0.0 or math.isinf(a):
        return 1.0
    if a > _LARGE:
        return _of_large_order(a, x, 1.0)
    if x < 1.0 and a < 1.0:
        return _small(a, x, least)
    if x <= a + 1.0:
        return 1.0 - _series(a, x, least)
    return _fraction(a, x, least)


@device
def _density(a, x):
    """x**a * exp(-x) / gamma(a + 1): of large a by Stirling's series, since the logarithms there cancel each other."""
    if a < 20.0:
        return scalar.exp(a * scalar.log(x) - x - math.lgamma(a + 1.0))
    z = 1.0 / (a * a)
    rest = (1 / 12 - z * (1 / 360 - z * (1 / 1260 - z * (1 / 1680 - z * (1 / 1188))))) / a
    return scalar.exp(-a * _excess(x, a) - rest) / scalar.sqrt(2.0 * math.pi * a)


@device
def _excess(x, a):
    """d - log(1 + d) for d = x / a - 1."""
    d = (x - a) / a
    if abs(d) > 0.4:
        return d - scalar.log(x / a)
    # log(1 + d) is 2 artanh(s), of which the series less its beginning is left.
    s = d / (2.0 + d)
    square, power, total, k = s * s, s, 0.0, 3.0
    while k < 60.0 and abs(power) > 1e-18 * abs(total):
        power *= square
        total += power / k
        k += 2.0
    return d * s - 2.0 * total


@device
def _series(a, x, least):
    """P by the series of exp(x) times the integral, whose terms have one sign."""
    total, term, n = 1.0, 1.0, a
    while term > least * total:
        n += 1.0
        term *= x / n
        total += term
    return min(1.0, total * _density(a, x))


@device
def _fraction(a, x, least):
    """Q by Legendre's continued fraction, for x above a + 1, in Lentz's order."""
    b = x + 1.0 - a
    c, d = 1e300, 1.0 / b
    h, change, n = d, 2.0, 1.0
    while abs(change - 1.0) > 10.0 * least and n < 1e5:
        factor = n * (a - n)
        b += 2.0
        d = 1.0 / (factor * d + b)
        c = b + factor / c
        change = c * d
        h *= change
        n += 1.0
    return h * _density(a, x) * a


@device
def _small(a, x, least):
    """Q of a and x below 1: 1 - x**a / gamma(a + 1), to which the other terms of the series of P are added."""
    total, term, n = 0.0, 1.0, 1.0
    while abs(term) > 0.1 * least:
        term *= -x / n
        total += term / (a + n)
        n += 1.0
    power = a * scalar.log(x) - math.lgamma(1.0 + a)
    return -scalar.expm1(power) - a * scalar.exp(power) * total


@device
def _of_large_order(a, x, side):
    """Q for side 1, P for -1: Temme's uniform expansion with the first term of its rest."""
    eta = scalar.copysign(scalar.sqrt(2.0 * _excess(x, a)), x - a)
    d = (x - a) / a
    if abs(eta) < 0.01:
        first = -1 / 3 + eta * (1 / 12 - eta * (2 / 135 - eta * (1 / 864 + eta * (1 / 2835))))
    else:
        first = 1.0 / d - 1.0 / eta
    rest = scalar.exp(-0.5 * a * eta * eta) / scalar.sqrt(2.0 * math.pi * a) * first
    return 0.5 * math.erfc(side * eta * scalar.sqrt(0.5 * a)) + side * rest
