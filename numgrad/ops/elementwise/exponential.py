"""Exponentials, logarithms, trigonometry."""

from __future__ import annotations

import math

import numpy as np

from numgrad.kernels import scalar
from numgrad.ops.family import elementwise

exp = elementwise("exp", cost=16, oracle=np.exp, doc="e to the power input.")


@exp.forward
def _(x):
    return scalar.exp(x)


@exp.backward
def _(g, out):
    return g * out


expm1 = elementwise("expm1", cost=16, oracle=np.expm1, doc="exp(input) - 1, exact near 0.")


@expm1.forward
def _(x):
    return scalar.expm1(x)


@expm1.backward
def _(g, out):
    return g * (out + 1)


log = elementwise("log", cost=16, oracle=np.log, doc="Natural logarithm; -inf at 0, NaN below.")


@log.forward
def _(x):
    return scalar.log(x)


@log.backward
def _(g, x):
    return g / x


log1p = elementwise("log1p", cost=16, oracle=np.log1p, doc="log(1 + input), exact near 0.")


@log1p.forward
def _(x):
    return scalar.log1p(x)


@log1p.backward
def _(g, x):
    return g / (1 + x)


sin = elementwise("sin", cost=16, oracle=np.sin, doc="Sine of an angle in radians.")


@sin.forward
def _(x):
    return scalar.sin(x)


@sin.backward
def _(g, x):
    return g * scalar.cos(x)


cos = elementwise("cos", cost=16, oracle=np.cos, doc="Cosine of an angle in radians.")


@cos.forward
def _(x):
    return scalar.cos(x)


@cos.backward
def _(g, x):
    return -g * scalar.sin(x)


def erf_oracle(x):
    """Error function of an array."""
    return np.vectorize(math.erf, otypes=[x.dtype])(x)


erf = elementwise("erf", cost=20, oracle=erf_oracle, doc="Error function.")


@erf.forward
def _(x):
    return scalar.erf(x)


@erf.backward
def _(g, x):
    return g * 1.1283791670955126 * scalar.exp(-x * x)
