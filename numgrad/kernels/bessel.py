"""Bessel's and Airy's functions as words of elementwise ops; computed in float64, and a float32 result is rounded once.

What vectorises is in `bessel_vectors` and `airy_vectors`. The others: near 0 by power series, else by integrals.
"""

from __future__ import annotations

import math

import numpy as np

from numgrad.kernels import airy_vectors, angles, bessel_vectors, scalar
from numgrad.runtime.kernel import device

_EULER = 0.5772156649015329


@device
def j0(x):
    """Of the first kind, order 0."""
    return bessel_vectors.j0(x) if angles.is_small(x) else _waves(x, 0.0, False)


@device
def j1(x):
    """Of the first kind, order 1."""
    return bessel_vectors.j1(x) if angles.is_small(x) else scalar.copysign(1.0, x) * _waves(abs(x), 1.0, False)


@device
def y0(x):
    """Of the second kind, order 0: NaN below 0."""
    return bessel_vectors.y0(x) if angles.is_small(x) else _waves(x, 0.0, True)


@device
def y1(x):
    """Of the second kind, order 1: NaN below 0."""
    return bessel_vectors.y1(x) if angles.is_small(x) else _waves(x, 1.0, True)


@device
def _waves(x, order, second):
    """Far beyond where multiples of a quarter turn are easily taken off."""
    if second and x < 0.0:
        return math.nan
    return 0.0 if math.isinf(x) else bessel_vectors.far_out(abs(float(x)), order, second)


@device
def spherical_j0(x):
    """sin(x) / x."""
    x = float(x)
    if x == 0.0:
        return 1.0
    return 0.0 if math.isinf(x) else math.sin(x) / x


@device
def _harmonic(x, sign):
    """The sum of H(k) (sign * x**2 / 4)**k / k!**2 from 1 on, H(k) = 1 + 1/2 + ... + 1/k."""
    total, term, number, k = 0.0, 1.0, 0.0, 1.0
    while k < 60.0 and abs(term) > 1e-19 * abs(total):
        term *= sign * 0.25 * x * x / (k * k)
        number += 1.0 / k
        total += number * term
        k += 1.0
    return total


@device
def _harmonics(x, sign):
    """The sum of (digamma(k + 1) + digamma(k + 2)) (sign * x**2 / 4)**k / (k! (k + 1)!) from 0 on."""
    number, term, k = 1.0 - 2.0 * _EULER, 1.0, 1.0
    total = number
    while k < 60.0 and abs(term) > 1e-19 * abs(total):
        term *= sign * 0.25 * x * x / (k * (k + 1.0))
        number += 1.0 / k + 1.0 / (k + 1.0)
        total += number * term
        k += 1.0
    return total


# ---- modified ------------------------------------------------------------------------------------------------------


@device
def _decaying(x, order):
    """exp(x) times the integral of exp(-x cosh t) cosh(order t) over positive t, by the trapezoidal rule."""
    step = min(0.25, 0.6 / scalar.sqrt(x))
    total, t, part = 0.5, step, 1.0
    while part > 1e-18 * total:
        half = math.sinh(0.5 * t)
        part = scalar.exp(-2.0 * x * half * half) * math.cosh(order * t)
        total += part
        t += step
    return step * total


@device
def _near_k0(x):
    square, term, total, k = 0.25 * x * x, 1.0, 1.0, 1.0
    while k < 40.0 and term > 1e-19 * total:
        term *= square / (k * k)
        total += term
        k += 1.0
    return _harmonic(x, 1.0) - (scalar.log(0.5 * x) + _EULER) * total


@device
def _near_k1(x):
    square, term, total, k = 0.25 * x * x, 1.0, 1.0, 1.0
    while k < 40.0 and term > 1e-19 * total:
        term *= square / (k * (k + 1.0))
        total += term
        k += 1.0
    return 1.0 / x + 0.5 * x * (scalar.log(0.5 * x) * total - 0.5 * _harmonics(x, 1.0))


@device
def _second_kind(x, order, scaled):
    """The modified one of the second kind, of order 0 or 1; ``scaled`` by exp(x), or not."""
    if not x > 0.0:
        return math.inf if x == 0.0 else math.nan
    if x <= 2.0:
        near = _near_k0(x) if order == 0.0 else _near_k1(x)
        return scalar.exp(x) * near if scaled else near
    if scaled:
        return 0.0 if math.isinf(x) else _decaying(x, order)
    return 0.0 if x > 800.0 else scalar.exp(-x) * _decaying(x, order)


@device
def k0(x):
    """The modified one of the second kind, order 0: NaN below 0."""
    return _second_kind(float(x), 0.0, False)


@device
def k1(x):
    """The modified one of the second kind, order 1: NaN below 0."""
    return _second_kind(float(x), 1.0, False)


@device
def k0e(x):
    """exp(x) * k0(x)."""
    return _second_kind(float(x), 0.0, True)


@device
def k1e(x):
    """exp(x) * k1(x)."""
    return _second_kind(float(x), 1.0, True)


# ---- Airy ----------------------------------------------------------------------------------------------------------


@device
def airy_ai(x):
    """Airy's Ai; far below by its waves."""
    return airy_vectors.airy_ai(x) if airy_vectors.is_small_for_airy(x) else _airy_waves(-np.float64(x))


@device
def _airy_waves(z):
    zeta = 2.0 / 3.0 * z * scalar.sqrt(z)
    if math.isinf(zeta):
        return 0.0
    even, odd, term, k = 1.0, 0.0, 1.0, 1.0
    while k < 40.0 and abs(term) > 1e-18:
        term *= (6.0 * k - 5.0) * (6.0 * k - 3.0) * (6.0 * k - 1.0) / (216.0 * k * (2.0 * k - 1.0) * zeta)
        even, odd = bessel_vectors.turned(even, odd, term, k)
        k += 1.0
    sine, cosine = math.sin(zeta), math.cos(zeta)
    wave = (sine + cosine) * even - (cosine - sine) * odd
    return wave / (scalar.sqrt(2.0 * math.pi) * scalar.sqrt(scalar.sqrt(z)))
