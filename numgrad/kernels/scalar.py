"""The words that elementwise ops are written in, beside ``+ - * /`` and comparisons.

Each works in three ways: on numbers inside a kernel, on numbers in Python, and on tensors when a backward is differentiated
again; there the op of the same name replaces it.

>>> where(2.0 > 1.0, 3.0, 4.0)
3.0
"""

from __future__ import annotations

import math

import numpy as np

from numgrad.kernels import angles, quotients, vector_math
from numgrad.runtime.kernel import device


@device
def where(condition, x, y):
    """x where the condition holds, else y; both are evaluated."""
    return x if condition else y


@device
def exp(x):
    """e to the power x."""
    return vector_math.exp(x)


@device
def expm1(x):
    """exp(x) - 1, exact near 0."""
    return vector_math.expm1(x)


@device
def log(x):
    """Natural logarithm."""
    return vector_math.log(x)


@device
def log1p(x):
    """log(1 + x), exact near 0."""
    return vector_math.log1p(x)


@device
def log2(x):
    """Logarithm to base 2."""
    return vector_math.log2(x)


@device
def log10(x):
    """Logarithm to base 10."""
    return vector_math.log10(x)


@device
def exp2(x):
    """2 to the power x."""
    return vector_math.exp2(x)


@device
def sqrt(x):
    """Square root."""
    return math.sqrt(x)


@device
def sin(x):
    """Sine."""
    return angles.sin(x) if angles.is_near(x) else type(x)(math.sin(x))


@device
def cos(x):
    """Cosine."""
    return angles.cos(x) if angles.is_near(x) else type(x)(math.cos(x))


@device
def tan(x):
    """Tangent."""
    return angles.tan(x) if angles.is_near(x) else type(x)(math.tan(x))


@device
def asin(x):
    """The angle whose sine is x; NaN beyond -1 and 1."""
    return angles.asin(x)


@device
def acos(x):
    """The angle from 0 to pi whose cosine is x; NaN beyond -1 and 1."""
    return angles.acos(x)


@device
def atan(x):
    """The angle whose tangent is x."""
    return angles.atan(x)


@device
def atan2(y, x):
    """The angle of the point (x, y), from -pi to pi."""
    return angles.atan2(y, x)


@device
def hypot(x, y):
    """The length of (x, y), without overflow."""
    return quotients.hypot(x, y)


@device
def sinh(x):
    """Hyperbolic sine, exact near 0."""
    return vector_math.sinh(x)


@device
def cosh(x):
    """Hyperbolic cosine."""
    return vector_math.cosh(x)


@device
def asinh(x):
    """Inverse hyperbolic sine, exact near 0."""
    return vector_math.asinh(x)


@device
def acosh(x):
    """Inverse hyperbolic cosine; NaN below 1."""
    return vector_math.acosh(x)


@device
def atanh(x):
    """Inverse hyperbolic tangent; infinite at -1 and 1, NaN beyond."""
    return vector_math.atanh(x)


@device
def tanh(x):
    """Hyperbolic tangent."""
    return vector_math.tanh(x)


@device
def rough_erf(x):
    """The error function, in float32 to three units in the last place."""
    return vector_math.rough_erf(x)


@device
def erf(x):
    """Error function."""
    return vector_math.erf(x)


@device
def erfc(x):
    """1 - erf(x), exact where erf(x) is near 1."""
    return vector_math.erfc(x)


@device
def sigmoid(x):
    """1 / (1 + exp(-x)); its derivatives stay finite where exp(-x) is not."""
    one = type(x)(1)
    return one / (one + exp(-x))


@device
def floor_divide(x, y):
    """The floor of x / y."""
    return x // y


@device
def remainder(x, y):
    """x - y * floor(x / y): has the sign of y."""
    return x % y


@device
def floor(x):
    """Largest integer not above x."""
    return np.floor(x)


@device
def ceil(x):
    """Smallest integer not below x."""
    return np.ceil(x)


@device
def trunc(x):
    """The integer part of x."""
    return np.trunc(x)


@device
def round(x):
    """Nearest integer, halves to even."""
    return np.rint(x)


@device
def sign(x):
    """-1, 0 or 1; NaN for NaN."""
    return np.sign(x)


@device
def absolute(x):
    """Absolute value."""
    return abs(x)


@device
def power(x, y):
    """x to the power y."""
    return quotients.power(x, y)


@device
def fmod(x, y):
    """The remainder of x / y cut to an integer, with the sign of x."""
    return np.fmod(x, y)


@device
def copysign(x, y):
    """The magnitude of x with the sign of y."""
    return np.copysign(x, y)


@device
def isnan(x):
    """True for NaN."""
    return x != x


# Words whose op has another name.
OP_NAMES = {"absolute": "abs", "power": "pow", "rough_erf": "erf"}
