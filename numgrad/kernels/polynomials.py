"""Orthogonal polynomials of order n as words of elementwise ops; computed in float64, and a float32 result is rounded once.

An order is cut to a whole number; of negative orders they are 0. The recurrences run from the lower orders up.
"""

from __future__ import annotations

import math

from numgrad.kernels import scalar
from numgrad.runtime.kernel import device

_CLOSED = 100.0  # from this order on Chebyshev's are computed by angles
_MOST = 100_000.0  # of Laguerre's and Legendre's; a recurrence cannot be interrupted
_MOST_HERMITE, _MOST_HERMITE_SINGLE = (
    512.0,
    128.0,
)  # beyond them they have no numbers in float64 and float32, as in torch


@device
def _infinite(x, order, sign):
    """The value at an infinite x, whose leading coefficient has this sign to the power of the order."""
    way = sign if x > 0.0 else -sign
    return math.inf if way > 0.0 or order % 2.0 == 0.0 else -math.inf


@device
def _recurs(x, n, most):
    """Whether the value is that of a recurrence: x and the order are numbers, and the order is from 1 to ``most``."""
    return x == x and not math.isinf(x) and n < math.inf and 1.0 <= scalar.trunc(n) <= most


@device
def _otherwise(x, n, most, sign):
    """The value where nothing recurs; ``sign`` as of `_infinite`."""
    if x != x or not n < math.inf:
        return math.nan
    order = scalar.trunc(n)
    if order < 0.0:
        return 0.0
    if order == 0.0:
        return 1.0
    return math.nan if order > most else _infinite(x, order, sign)


@device
def _parity(order):
    return 1.0 - 2.0 * (order % 2.0)


@device
def _chebyshev(y, n, double, shift):
    """p[0] = 1, p[1] = double * y + shift, p[k + 1] = 2 y p[k] - p[k - 1]: T is of (1, 0), U (2, 0), V (2, -1), W (2, 1)."""
    if not _recurs(y, n, math.inf):
        return _otherwise(y, n, math.inf, 1.0)
    order = scalar.trunc(n)
    if order >= _CLOSED:
        return _by_angle(y, order, double, shift)
    before, last, k = 1.0, double * y + shift, 1.0
    while k < order:
        before, last = last, 2.0 * y * last - before
        k += 1.0
    return last


@device
def _by_angle(y, n, double, shift):
    sign = 1.0
    if y < 0.0:  # T and U are even or odd, and V and W are each other's mirror image
        y, shift, sign = -y, -shift, _parity(n)
    if y > 1.0 and (n + 1.0) * math.acosh(y) > 709.0:
        return sign * math.inf
    if double == 1.0:
        return sign * (scalar.cos(n * scalar.acos(y)) if y <= 1.0 else math.cosh(n * math.acosh(y)))
    if y == 1.0:
        return sign * (n + 1.0 if shift == 0.0 else 2.0 * n + 1.0 if shift > 0.0 else 1.0)
    angle = scalar.acos(y) if y < 1.0 else math.acosh(y)
    factor = n + 1.0 if shift == 0.0 else n + 0.5
    part = angle if shift == 0.0 else 0.5 * angle
    if shift < 0.0:
        quotient = (
            scalar.cos(factor * angle) / scalar.cos(part) if y < 1.0 else math.cosh(factor * angle) / math.cosh(part)
        )
    else:
        quotient = (
            scalar.sin(factor * angle) / scalar.sin(part) if y < 1.0 else math.sinh(factor * angle) / math.sinh(part)
        )
    return sign * quotient


@device
def chebyshev_t(x, n):
    """Of the first kind."""
    return _chebyshev(float(x), float(n), 1.0, 0.0)


@device
def chebyshev_u(x, n):
    """Of the second kind."""
    return _chebyshev(float(x), float(n), 2.0, 0.0)


@device
def chebyshev_v(x, n):
    """Of the third kind."""
    return _chebyshev(float(x), float(n), 2.0, -1.0)


@device
def chebyshev_w(x, n):
    """Of the fourth kind."""
    return _chebyshev(float(x), float(n), 2.0, 1.0)


@device
def shifted_chebyshev_t(x, n):
    """Of the first kind, at 2 x - 1."""
    return _chebyshev(2.0 * float(x) - 1.0, float(n), 1.0, 0.0)


@device
def shifted_chebyshev_u(x, n):
    """Of the second kind, at 2 x - 1."""
    return _chebyshev(2.0 * float(x) - 1.0, float(n), 2.0, 0.0)


@device
def shifted_chebyshev_v(x, n):
    """Of the third kind, at 2 x - 1."""
    return _chebyshev(2.0 * float(x) - 1.0, float(n), 2.0, -1.0)


@device
def shifted_chebyshev_w(x, n):
    """Of the fourth kind, at 2 x - 1."""
    return _chebyshev(2.0 * float(x) - 1.0, float(n), 2.0, 1.0)


@device
def _hermite(x, n, scale, most):
    """p[k + 1] = scale * (x p[k] - k p[k - 1])."""
    if not _recurs(x, n, most):
        return _otherwise(x, n, most, 1.0)
    order = scalar.trunc(n)
    step = scale * x  # a step waits for one multiply-add
    before, last, k = 1.0, step, 1.0
    while k < order:
        before, last = last, step * last - scale * k * before
        k += 1.0
    return last


@device
def _most_hermite(x):
    """The largest order with numbers in the dtype of x."""
    return _MOST_HERMITE if type(x)(1e300) < math.inf else _MOST_HERMITE_SINGLE


@device
def hermite_h(x, n):
    """Hermite's of physics: their weight is exp(-x**2)."""
    return _hermite(float(x), float(n), 2.0, _most_hermite(x))


@device
def hermite_he(x, n):
    """Hermite's of statistics: their weight is exp(-x**2 / 2)."""
    return _hermite(float(x), float(n), 1.0, _most_hermite(x))


@device
def laguerre_l(x, n):
    """Laguerre's."""
    x, n = float(x), float(n)
    if not _recurs(x, n, _MOST):
        return _otherwise(x, n, _MOST, -1.0)
    order = scalar.trunc(n)
    before, last, k = 1.0, 1.0 - x, 1.0
    while k < order:
        share = 1.0 / (k + 1.0)  # a quotient would be waited for in each step
        before, last = last, (last - share * x * last) + (k * share) * (last - before)
        k += 1.0
    return last


@device
def legendre_p(x, n):
    """Legendre's."""
    x, n = float(x), float(n)
    if not _recurs(x, n, _MOST):
        return _otherwise(x, n, _MOST, 1.0)
    order = scalar.trunc(n)
    before, last, k = 1.0, x, 1.0
    while k < order:
        ahead = x * last
        before, last = last, ahead + k / (k + 1.0) * (ahead - before)
        k += 1.0
    return last
