"""Words that derived formulas use beside those of `scalar`: C's functions, and slopes that lose no digits."""

from __future__ import annotations

import math

import numpy as np

from numgrad.kernels import vector_math
from numgrad.runtime.kernel import device


@device
def tan(x):
    """Tangent."""
    return math.tan(x)


@device
def sinh(x):
    """Hyperbolic sine, exact near 0."""
    return math.sinh(x)


@device
def cosh(x):
    """Hyperbolic cosine."""
    return math.cosh(x)


@device
def hypot(x, y):
    """The length of (x, y), without overflow."""
    return math.hypot(x, y)


@device
def log2(x):
    """Logarithm to base 2."""
    return np.log2(x)


@device
def log10(x):
    """Logarithm to base 10."""
    return math.log10(x)


@device
def tanh_slope(x):
    """1 - tanh(x)**2, exact where tanh(x) is 1."""
    e = vector_math.exp(-2 * abs(x))
    return 4 * e / ((1 + e) * (1 + e))
