"""Exponentials, logarithms, trigonometry."""

from __future__ import annotations

import math

import numpy as np

from numgrad.kernels import scalar
from numgrad.ops.family import elementwise

exp = elementwise(
    "exp",
    homes=("function", "method", "in_place", "in_place_function"),
    promotes=True,
    cost=16,
    oracle=np.exp,
    doc="""e to the power input, elementwise; integers are converted to floating point.

    >>> import numgrad as ng
    >>> ng.exp(ng.tensor([0.0, 1.0]))
    tensor([1.0000, 2.7183])
    """,
)


@exp.forward
def _(x):
    return scalar.exp(x)


@exp.backward
def _(g, out):
    return g * out


expm1 = elementwise(
    "expm1",
    homes=("function", "method", "in_place", "in_place_function", "special"),
    promotes=True,
    cost=16,
    oracle=np.expm1,
    doc="""exp(input) - 1, exact near 0, elementwise; integers are converted to floating point.

    >>> import numgrad as ng
    >>> ng.expm1(ng.tensor([0.0, 1.0]))
    tensor([0.0000, 1.7183])
    """,
)


@expm1.forward
def _(x):
    return scalar.expm1(x)


@expm1.backward
def _(g, out):
    return g * (out + 1)


log = elementwise(
    "log",
    homes=("function", "method", "in_place", "in_place_function"),
    promotes=True,
    cost=16,
    oracle=np.log,
    doc="""Natural logarithm, elementwise; -inf at 0, NaN below. Integers are converted to floating point.

    >>> import numgrad as ng
    >>> ng.log(ng.tensor([1.0, 10.0]))
    tensor([0.0000, 2.3026])
    """,
)


@log.forward
def _(x):
    return scalar.log(x)


@log.backward
def _(g, x):
    return g / x


log1p = elementwise(
    "log1p",
    homes=("function", "method", "in_place", "in_place_function", "special"),
    promotes=True,
    cost=16,
    node_name="Log1PBackward0",
    oracle=np.log1p,
    doc="""log(1 + input), exact near 0, elementwise; integers are converted to floating point.

    >>> import numgrad as ng
    >>> ng.log1p(ng.tensor([0.0, 9.0]))
    tensor([0.0000, 2.3026])
    """,
)


@log1p.forward
def _(x):
    return scalar.log1p(x)


@log1p.backward
def _(g, x):
    return g / (1 + x)


sin = elementwise(
    "sin",
    homes=("function", "method", "in_place", "in_place_function"),
    promotes=True,
    cost=16,
    oracle=np.sin,
    doc="""Sine of angles in radians, elementwise; integers are converted to floating point.

    >>> import numgrad as ng
    >>> ng.sin(ng.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8415])
    """,
)


@sin.forward
def _(x):
    return scalar.sin(x)


@sin.backward
def _(g, x):
    return g * scalar.cos(x)


cos = elementwise(
    "cos",
    homes=("function", "method", "in_place", "in_place_function"),
    promotes=True,
    cost=16,
    oracle=np.cos,
    doc="""Cosine of angles in radians, elementwise; integers are converted to floating point.

    >>> import numgrad as ng
    >>> ng.cos(ng.tensor([0.0, 1.0]))
    tensor([1.0000, 0.5403])
    """,
)


@cos.forward
def _(x):
    return scalar.cos(x)


@cos.backward
def _(g, x):
    return -g * scalar.sin(x)


def erf_oracle(x):
    """Error function of an array."""
    return np.vectorize(math.erf, otypes=[x.dtype])(x)


erf = elementwise(
    "erf",
    homes=("function", "method", "in_place", "in_place_function", "special"),
    promotes=True,
    cost=20,
    oracle=erf_oracle,
    doc="""Error function, elementwise; integers are converted to floating point.

    >>> import numgrad as ng
    >>> ng.erf(ng.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8427])
    """,
)


@erf.forward
def _(x):
    return scalar.erf(x)


@erf.backward
def _(g, x):
    return g * 1.1283791670955126 * scalar.exp(-x * x)
