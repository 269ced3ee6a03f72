"""Special functions as words of elementwise ops.

What does not vectorise computes in float64, and a float32 result is rounded once.
"""

from __future__ import annotations

import math

from numgrad.kernels import bessel_vectors, scalar, special_vectors
from numgrad.runtime.kernel import device

# (2 k)! / B(2 k), of Euler and Maclaurin's formula for zeta; Cephes's zeta has the same twelve.
_EULER_MACLAURIN = (
    12.0, -720.0, 30240.0, -1209600.0, 47900160.0, -1.8924375803183791606e9, 7.47242496e10, -2.950130727918164224e12,
    1.1646782814350067249e14, -4.5979787224074726105e15, 1.8152105401943546773e17, -7.1661652561756670113e18,
)  # fmt: skip


# ---- gamma and its relatives -------------------------------------------------------------------------------------


@device
def lgamma(x):
    """The logarithm of the absolute value of the gamma function; infinite at 0, -1, -2, ..."""
    return special_vectors.lgamma(x) if special_vectors.is_plain(x) else math.lgamma(float(x))


@device
def digamma(x):
    """The derivative of lgamma: an infinity against the sign of x at 0, NaN at -1, -2, ..."""
    return special_vectors.digamma(x) if special_vectors.is_plain(x) else _digamma_below(x)


@device
def _digamma_below(x):
    x = float(x)
    if x == 0.0:
        return scalar.copysign(math.inf, -x)
    if x == scalar.floor(x):
        return math.nan
    fraction = x - scalar.floor(x + 0.5)  # of both signs: that of a small x is x
    return special_vectors.digamma(1.0 - x) - math.pi / math.tan(math.pi * fraction)


@device
def zeta(x, q):
    """Hurwitz's zeta: the sum of (q + k)**-x over k = 0, 1, ..., for x > 1; infinite at q = 0, -1, -2, ...

    Of negative q there is a value for whole x alone: the sum over all integers, which depends on the fraction of q,
    without those below it.
    """
    x, q = float(x), float(q)
    if x == 1.0:
        return math.inf
    if not x > 1.0 or q != q:
        return math.nan
    if q > 0.0:
        return _zeta_above(x, q)
    whole = scalar.floor(q)
    if q == whole:
        return math.inf
    if x != scalar.floor(x):
        return math.nan
    fraction = q - whole
    sign = 1.0 - 2.0 * (x % 2.0)
    to_next = whole + 1.0 - q  # which 1 - fraction is but for its digits
    return _zeta_above(x, fraction) + sign * (_zeta_above(x, to_next) - _zeta_above(x, 1.0 - q))


@device
def _zeta_above(x, q):
    """Of positive q: the first terms, and the others by Euler and Maclaurin's formula."""
    if q > 1e9:
        return (1.0 / (x - 1.0) + 1.0 / (2.0 * q)) * q ** (1.0 - x)
    total, a = 0.0, q
    b = a**-x
    while a <= 10.0 + x and b > 1e-17 * total:
        total += b
        a += 1.0
        b = a**-x
    if b <= 1e-17 * total:  # also where both are infinite, or b has underflowed
        return total
    total += b * a / (x - 1.0) + 0.5 * b
    rising, k = x, 0.0
    b = b / a
    for divisor in _EULER_MACLAURIN:
        term = rising * b / divisor
        total += term
        if abs(term) < 1e-17 * total:
            break
        rising *= (x + k + 1.0) * (x + k + 2.0)
        b = b / (a * a)
        k += 2.0
    return total


@device
def polygamma(x, n):
    """The derivative of order n of digamma; n is a whole number from 0 on."""
    x, n = float(x), float(n)
    if n == 0.0:
        return digamma(x)
    if not n >= 0.0 or n != scalar.floor(n):
        return math.nan
    factorial, k = 1.0, 2.0
    while k <= n and k <= 171.0:
        factorial *= k
        k += 1.0
    sign = 2.0 * (n % 2.0) - 1.0
    return sign * (factorial * zeta(n + 1.0, x))


# ---- error functions -----------------------------------------------------------------------------------------------


@device
def erfcx(x):
    """exp(x**2) * erfc(x), which neither overflows nor underflows for positive x."""
    return special_vectors.erfcx(x)


@device
def ndtr(x):
    """The normal distribution's cumulative function."""
    return special_vectors.ndtr(x)


@device
def log_ndtr(x):
    """The logarithm of ndtr."""
    x = float(x)
    below, above = scalar.where(x < -1.0, x, -1.0), scalar.where(x < -1.0, -1.0, x)
    far = scalar.log(0.5 * erfcx(below * -0.7071067811865476)) - 0.5 * below * below
    return scalar.where(x < -1.0, far, scalar.log1p(-ndtr(-above)))


@device
def ndtri(p):
    """The inverse of ndtr: infinite at 0 and 1, NaN beyond."""
    return special_vectors.ndtri(p)


@device
def erfinv(x):
    """The inverse of erf: infinite at -1 and 1, NaN beyond."""
    return special_vectors.erfinv(x)


# ---- modified Bessel functions ---------------------------------------------------------------------------------------


@device
def i0e(x):
    """exp(-abs(x)) * i0(x)."""
    return bessel_vectors.i0e(x)


@device
def i0(x):
    """The modified Bessel function of the first kind of order 0."""
    return bessel_vectors.i0(x)


@device
def i1e(x):
    """exp(-abs(x)) * i1(x)."""
    return bessel_vectors.i1e(x)


@device
def i1(x):
    """The modified Bessel function of the first kind of order 1."""
    return bessel_vectors.i1(x)
