"""Bessel's and Airy's functions as words of elementwise ops; computed in float64, and a float32 result is rounded once.

What vectorises is in `bessel_vectors` and `airy_vectors`, and far out there are series.
"""

from __future__ import annotations

import math

import numpy as np

from numgrad.kernels import airy_vectors, angles, bessel_vectors, scalar
from numgrad.runtime.kernel import device


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
    return bessel_vectors.spherical_j0(x) if angles.is_small(x) else _sine_quotient(np.float64(x))


@device
def _sine_quotient(x):
    return 0.0 if math.isinf(x) else math.sin(x) / x


# ---- modified ------------------------------------------------------------------------------------------------------


@device
def k0(x):
    """The modified one of the second kind, order 0: NaN below 0."""
    return bessel_vectors.k0(x)


@device
def k1(x):
    """The modified one of the second kind, order 1: NaN below 0."""
    return bessel_vectors.k1(x)


@device
def k0e(x):
    """exp(x) * k0(x)."""
    return bessel_vectors.k0e(x)


@device
def k1e(x):
    """exp(x) * k1(x)."""
    return bessel_vectors.k1e(x)


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
