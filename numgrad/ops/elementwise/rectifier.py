"""Activations with corners, and smooth ones that stand in for them."""

from __future__ import annotations

import numpy as np

from numgrad.kernels import scalar
from numgrad.ops.family import elementwise

_SCALE = 1.0507009873554805  # of SELU, and its alpha times the scale (Klambauer et al. 2017)
_SCALED_ALPHA = 1.7580993408473766

selu = elementwise(
    "selu",
    cost=20,
    node_name="EluBackward0",
    oracle=lambda x: np.where(x <= 0, _SCALED_ALPHA * np.expm1(np.minimum(x, 0)), _SCALE * x),
    doc="scale * input where it is positive, else scale * alpha * (exp(input) - 1).",
)


@selu.forward
def _(x):
    return scalar.where(x <= 0, 1.7580993408473766 * scalar.expm1(x), 1.0507009873554805 * x)


@selu.backward
def _(g, x):
    below = scalar.where(x < 0, x, 0)  # or the exponential of the side that is not taken would spoil what is 0 times it
    return g * scalar.where(x <= 0, 1.7580993408473766 * scalar.exp(below), 1.0507009873554805)


celu = elementwise(
    "celu",
    inputs=("input", "alpha"),
    cost=20,
    node_name="CeluBackward0",
    oracle=lambda x, alpha: np.where(x <= 0, alpha * np.expm1(np.where(x <= 0, x / alpha, 0)), x),
    doc="input where it is positive, else alpha * (exp(input / alpha) - 1). alpha gets no gradient.",
)


@celu.forward
def _(x, alpha):
    return scalar.where(x <= 0, alpha * scalar.expm1(x / alpha), x)


@celu.backward
def _(g, x, alpha):
    below = scalar.where(x < 0, x / alpha, 0)
    return scalar.where(x <= 0, g * scalar.exp(below), g), None


hardtanh = elementwise(
    "hardtanh",
    inputs=("input", "min", "max"),
    accepts="if",
    graph_inputs=(0,),
    oracle=lambda x, low, high: np.where(x < low, low, np.where(x > high, high, x)),
    doc="input, at least min and at most max, with the slope 0 at both. The bounds get no gradient.",
)


@hardtanh.forward
def _(x, low, high):
    return scalar.where(x < low, low, scalar.where(x > high, high, x))


@hardtanh.backward
def _(g, x, low, high):
    return scalar.where((x <= low) | (x >= high), 0, g), None, None


hardtanh.tie(("input",), ("input",))

hardsigmoid = elementwise(
    "hardsigmoid",
    oracle=lambda x: np.clip(x + 3, 0, 6) / 6,
    doc="(input + 3) / 6, at least 0 and at most 1.",
)


@hardsigmoid.forward
def _(x):
    return scalar.where(x < -3, 0, scalar.where(x > 3, 6, x + 3)) / 6


@hardsigmoid.backward
def _(g, x):
    return scalar.where((x > -3) & (x < 3), g / 6, 0)


hardsigmoid.tie(("input",), ("input",))

hardswish = elementwise(
    "hardswish",
    oracle=lambda x: x * np.clip(x + 3, 0, 6) / 6,
    doc="input * (input + 3) / 6 between -3 and 3, 0 below, input above.",
)


@hardswish.forward
def _(x):
    return x * scalar.where(x < -3, 0, scalar.where(x > 3, 6, x + 3)) / 6


@hardswish.backward
def _(g, x):
    return scalar.where(x <= -3, 0, scalar.where(x < 3, g * (x / 3 + 0.5), g))


mish = elementwise(
    "mish",
    cost=60,
    oracle=lambda x: x * np.tanh(np.logaddexp(0, x)),
    doc="input * tanh(log(1 + exp(input))).",
)


@mish.forward
def _(x):
    return x * scalar.tanh(scalar.log1p(scalar.exp(x)))


@mish.backward
def _(g, x):
    near = scalar.where(x > 20, 20, x)  # where the tangent is 1, and its derivatives would be inf / inf
    t = scalar.tanh(scalar.log1p(scalar.exp(near)))
    return g * (t + x * scalar.sigmoid(x) * (1 - t * t))


softshrink = elementwise(
    "softshrink",
    inputs=("input", "lambd"),
    graph_inputs=(0,),
    oracle=lambda x, lambd: np.where(x > lambd, x - lambd, np.where(x < -lambd, x + lambd, 0 * x)),
    doc="input moved towards 0 by lambd, 0 where it is nearer. lambd gets no gradient.",
)


@softshrink.forward
def _(x, lambd):
    return scalar.where(x > lambd, x - lambd, scalar.where(x < -lambd, x + lambd, 0 * x))


@softshrink.backward
def _(g, x, lambd):
    return scalar.where((x >= -lambd) & (x <= lambd), 0, g), None


softshrink.tie(("input",), ("input",))

hardshrink = elementwise(
    "hardshrink",
    inputs=("input", "lambd"),
    graph_inputs=(0,),
    oracle=lambda x, lambd: np.where((x >= -lambd) & (x <= lambd), 0, x),
    doc="input, or 0 within lambd of 0. lambd gets no gradient.",
)


@hardshrink.forward
def _(x, lambd):
    return scalar.where((x >= -lambd) & (x <= lambd), 0, x)


@hardshrink.backward
def _(g, x, lambd):
    return scalar.where((x >= -lambd) & (x <= lambd), 0, g), None


hardshrink.tie(("input",), ("input",))

threshold = elementwise(
    "threshold",
    inputs=("input", "threshold", "value"),
    accepts="if",
    graph_inputs=(0,),
    oracle=lambda x, threshold, value: np.where(x <= threshold, value, x),
    doc="input above the threshold, else value. Neither gets a gradient.",
)


@threshold.forward
def _(x, threshold, value):
    return scalar.where(x <= threshold, value, x)


@threshold.backward
def _(g, x, threshold):
    return scalar.where(x <= threshold, 0, g), None, None


threshold.tie(("input",), ("input",))

softsign = elementwise(
    "softsign",
    homes=("functional",),
    promotes=True,
    oracle=lambda x: x / (1 + np.abs(x)),
    doc="""input / (1 + abs(input)), elementwise. Integers and bools become the default dtype.

    >>> import numgrad as ng
    >>> ng.nn.functional.softsign(ng.tensor([1.0, -3.0]))
    tensor([ 0.5000, -0.7500])
    """,
)


@softsign.forward
def _(x):
    return x / (1 + scalar.absolute(x))


@softsign.backward
def _(g, x):
    slope = 1 / (1 + scalar.absolute(x))
    return g * (slope * slope)
