"""Angles, hyperbolic functions and their inverses; logarithms and powers of other bases."""

from __future__ import annotations

import numpy as np

from numgrad.kernels import angles, scalar
from numgrad.ops.elementwise.unary import EVERYWHERE, floating
from numgrad.ops.family import elementwise
from numgrad.runtime.kernel import device

tan = floating("tan", np.tan, "Tangent of angles in radians", "[0.0, 1.0]", "[0.0000, 1.5574]")


@tan.forward
def _(x):
    return scalar.tan(x)


@tan.backward
def _(g, out):
    return g * (1 + out * out)


@device
def _one_less_square(x):
    """1 - x**2 with all its digits near 1, and the derivative of that near 0."""
    return scalar.where(x * x < 0.5, 1 - x * x, (1 - x) * (1 + x))


asin = floating(
    "asin", np.arcsin, "The angle whose sine is input, NaN beyond -1 and 1", "[0.0, 1.0]", "[0.0000, 1.5708]"
)


@asin.forward
def _(x):
    return scalar.asin(x)


@asin.backward
def _(g, x):
    return g / scalar.sqrt(_one_less_square(x))


acos = floating(
    "acos", np.arccos, "The angle from 0 to pi whose cosine is input, NaN beyond -1 and 1", "[1.0, -1.0]",
    "[0.0000, 3.1416]",
)  # fmt: skip


@acos.forward
def _(x):
    return scalar.acos(x)


@acos.backward
def _(g, x):
    return -g / scalar.sqrt(_one_less_square(x))


atan = floating("atan", np.arctan, "The angle whose tangent is input", "[0.0, 1.0]", "[0.0000, 0.7854]")


@atan.forward
def _(x):
    return scalar.atan(x)


@atan.backward
def _(g, x):
    return g / (1 + x * x)


sinh = floating("sinh", np.sinh, "Hyperbolic sine", "[0.0, 1.0]", "[0.0000, 1.1752]")


@sinh.forward
def _(x):
    return scalar.sinh(x)


@sinh.backward
def _(g, x):
    return g * scalar.cosh(x)


cosh = floating("cosh", np.cosh, "Hyperbolic cosine", "[0.0, 1.0]", "[1.0000, 1.5431]")


@cosh.forward
def _(x):
    return scalar.cosh(x)


@cosh.backward
def _(g, x):
    return g * scalar.sinh(x)


asinh = floating("asinh", np.arcsinh, "Inverse hyperbolic sine", "[0.0, 1.0]", "[0.0000, 0.8814]")


@asinh.forward
def _(x):
    return scalar.asinh(x)


@asinh.backward
def _(g, x):
    return g / scalar.hypot(x, 1)


acosh = floating("acosh", np.arccosh, "Inverse hyperbolic cosine, NaN below 1", "[1.0, 2.0]", "[0.0000, 1.3170]")


@acosh.forward
def _(x):
    return scalar.acosh(x)


@acosh.backward
def _(g, x):
    return g / (scalar.sqrt(x - 1) * scalar.sqrt(x + 1))


atanh = floating(
    "atanh", np.arctanh, "Inverse hyperbolic tangent, infinite at -1 and 1 and NaN beyond", "[0.0, 0.5]",
    "[0.0000, 0.5493]",
)  # fmt: skip


@atanh.forward
def _(x):
    return scalar.atanh(x)


@atanh.backward
def _(g, x):
    return g / _one_less_square(x)


log2 = floating("log2", np.log2, "Logarithm to base 2, -inf at 0, NaN below", "[1.0, 8.0]", "[0., 3.]")


@log2.forward
def _(x):
    return scalar.log2(x)


@log2.backward
def _(g, x):
    return g / (x * 0.6931471805599453)


log10 = floating("log10", np.log10, "Logarithm to base 10, -inf at 0, NaN below", "[1.0, 1000.0]", "[0., 3.]")


@log10.forward
def _(x):
    return scalar.log10(x)


@log10.backward
def _(g, x):
    return g / (x * 2.302585092994046)


exp2 = floating("exp2", np.exp2, "2 to the power input", "[0.0, 3.0]", "[1., 8.]", homes=(*EVERYWHERE, "special"))


@exp2.forward
def _(x):
    return scalar.exp2(x)


@exp2.backward
def _(g, out):
    return g * out * 0.6931471805599453


def _sinc_oracle(x):
    with np.errstate(invalid="ignore"):
        return np.sinc(x)


sinc = floating(
    "sinc",
    _sinc_oracle,
    "sin(pi * input) / (pi * input), 1 at 0",
    "[0.0, 0.5]",
    "[1.0000, 0.6366]",
    homes=(*EVERYWHERE, "special"),
)


@sinc.forward
def _(x):
    return scalar.where(scalar.absolute(x) < 1e-9, 1, _sine_of_turns(x) / (3.141592653589793 * x))


@device
def _sine_of_turns(x):
    """sin(pi x) by the distance from the nearest integer, which is exact; NaN of an infinity."""
    whole = scalar.round(x)
    pairs = 2 * scalar.round(0.5 * whole)
    sine = angles.sin(3.141592653589793 * (x - whole))
    return scalar.where(whole == pairs, sine, -sine)


@sinc.backward
def _(g, x):
    # The derivative of sin(t) / t. Below 0.3 the difference would lose its digits; the series is exact there. Sine and cosine
    # stand in this text, where their quick forms are found.
    t = 3.141592653589793 * x
    near = scalar.absolute(t) < 0.3
    small = scalar.where(near, t, 0.0)
    square = small * small
    rest = square * (1 / 45360 - square * (1 / 3991680 - square / 518918400))
    series = small * (square * (1 / 30 - square * (1 / 840 - rest)) - 1 / 3)
    safe = scalar.where(near, 1.0, t)
    slope = scalar.where(near, series, (scalar.cos(safe) - scalar.sin(safe) / safe) / safe)
    return g * (3.141592653589793 * slope)


# ---- of two ----------------------------------------------------------------------------------------------------------

atan2 = elementwise(
    "atan2",
    inputs=("input", "other"),
    tensors=True,
    homes=("function", "method", "in_place"),
    promotes=True,
    cost=30,
    oracle=np.arctan2,
    doc="""The angle of the point (other, input), from -pi to pi, elementwise and broadcast.

    Integers are converted to floating point.

    Raises
    ------
    RuntimeError
        The shapes do not broadcast.

    >>> import numgrad as ng
    >>> ng.atan2(ng.tensor([1.0, -1.0]), ng.tensor([0.0, -1.0]))
    tensor([ 1.5708, -2.3562])
    """,
)


@atan2.forward
def _(y, x):
    return scalar.atan2(y, x)


@atan2.backward
def _(g, y, x):
    length = scalar.hypot(x, y)
    safe = scalar.where(length == 0, 1, length)  # the gradient at the origin is 0, as in torch
    return g * (x / safe) / safe, -g * (y / safe) / safe


hypot = elementwise(
    "hypot",
    inputs=("input", "other"),
    tensors=True,
    homes=("function", "method", "in_place"),
    cost=10,
    oracle=np.hypot,
    commutes=True,
    doc="""sqrt(input**2 + other**2) without overflow, elementwise and broadcast.

    Raises
    ------
    RuntimeError
        The dtype is not floating point, or the shapes do not broadcast.

    >>> import numgrad as ng
    >>> ng.hypot(ng.tensor([3.0, 5.0]), ng.tensor([4.0, 12.0]))
    tensor([ 5., 13.])
    """,
)


@hypot.forward
def _(x, y):
    return scalar.hypot(x, y)


@hypot.backward
def _(g, x, y, out):
    return g * (x / out), g * (y / out)


logaddexp = elementwise(
    "logaddexp",
    inputs=("input", "other"),
    tensors=True,
    homes=("function", "method"),
    cost=40,
    commutes=True,
    oracle=np.logaddexp,
    doc="""log(exp(input) + exp(other)), without overflow, elementwise and broadcast.

    Raises
    ------
    RuntimeError
        The dtype is not floating point, or the shapes do not broadcast.

    >>> import numgrad as ng
    >>> ng.logaddexp(ng.tensor([1000.0, 0.0]), ng.tensor([1000.0, 0.0]))
    tensor([1.0007e+03, 6.9315e-01])
    """,
)


@logaddexp.forward
def _(x, y):
    larger = scalar.where((x > y) | (x != x), x, y)
    gap = scalar.where(x == y, 0, -scalar.absolute(x - y))  # of equal infinities as well
    return larger + scalar.log1p(scalar.exp(gap))


@logaddexp.backward
def _(g, x, y):
    return g * scalar.sigmoid(x - y), g * scalar.sigmoid(y - x)


logaddexp2 = elementwise(
    "logaddexp2",
    inputs=("input", "other"),
    tensors=True,
    homes=("function", "method"),
    cost=40,
    commutes=True,
    oracle=np.logaddexp2,
    doc="""log2(2**input + 2**other), without overflow, elementwise and broadcast.

    Raises
    ------
    RuntimeError
        The dtype is not floating point, or the shapes do not broadcast.

    >>> import numgrad as ng
    >>> ng.logaddexp2(ng.tensor([100.0, 0.0]), ng.tensor([100.0, 0.0]))
    tensor([101.,   1.])
    """,
)


@logaddexp2.forward
def _(x, y):
    larger = scalar.where((x > y) | (x != x), x, y)
    gap = scalar.where(x == y, 0, -scalar.absolute(x - y))
    return larger + scalar.log1p(scalar.exp2(gap)) * 1.4426950408889634


@logaddexp2.backward
def _(g, x, y):
    return g * scalar.sigmoid((x - y) * 0.6931471805599453), g * scalar.sigmoid((y - x) * 0.6931471805599453)
