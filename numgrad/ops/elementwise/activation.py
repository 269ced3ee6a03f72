"""Activations of networks."""

from __future__ import annotations

import numpy as np

from numgrad.kernels import scalar
from numgrad.ops.elementwise.exponential import erf_oracle
from numgrad.ops.family import elementwise

relu = elementwise("relu", accepts="if", oracle=lambda x: np.where(x <= 0, 0, x), doc="max(0, input); NaN passes.")


@relu.forward
def _(x):
    return scalar.where(x <= 0, 0, x)


@relu.backward
def _(g, out):
    return scalar.where(out <= 0, 0, g)


leaky_relu = elementwise(
    "leaky_relu",
    inputs=("input", "slope"),
    oracle=lambda x, slope: np.where(x > 0, x, x * slope),
    doc="input where it is positive, else slope * input.",
)


@leaky_relu.forward
def _(x, slope):
    return scalar.where(x > 0, x, x * slope)


@leaky_relu.backward
def _(g, x, slope):
    return scalar.where(x > 0, g, g * slope), scalar.where(x > 0, 0, g * x)


tanh = elementwise("tanh", cost=20, oracle=np.tanh, doc="Hyperbolic tangent.")


@tanh.forward
def _(x):
    return scalar.tanh(x)


@tanh.backward
def _(g, out):
    return g * (1 - out * out)


sigmoid = elementwise("sigmoid", cost=20, oracle=lambda x: 1 / (1 + np.exp(-x)), doc="1 / (1 + exp(-input)).")


@sigmoid.forward
def _(x):
    return 1 / (1 + scalar.exp(-x))


@sigmoid.backward
def _(g, out):
    return g * ((1 - out) * out)


silu = elementwise("silu", cost=20, oracle=lambda x: x / (1 + np.exp(-x)), doc="input * sigmoid(input).")


@silu.forward
def _(x):
    return x / (1 + scalar.exp(-x))


@silu.backward
def _(g, x):
    s = 1 / (1 + scalar.exp(-x))
    return g * (s * (1 + x * (1 - s)))


softplus = elementwise(
    "softplus",
    cost=30,
    oracle=lambda x: np.where(x > 20, x, np.log1p(np.exp(np.minimum(x, 20)))),
    doc="log(1 + exp(input)); input itself above 20, as in torch.",
)


@softplus.forward
def _(x):
    return scalar.where(x > 20, x, scalar.log1p(scalar.exp(x)))


@softplus.backward
def _(g, x):
    return g * scalar.where(x > 20, 1, 1 / (1 + scalar.exp(-x)))


gelu = elementwise(
    "gelu", cost=30, oracle=lambda x: x * 0.5 * (1 + erf_oracle(x / np.sqrt(2))), doc="input * Phi(input), by erf."
)


@gelu.forward
def _(x):
    return x * 0.5 * (1 + scalar.erf(x * 0.7071067811865476))


@gelu.backward
def _(g, x):
    phi = 0.3989422804014327 * scalar.exp(-0.5 * x * x)
    return g * (0.5 * (1 + scalar.erf(x * 0.7071067811865476)) + x * phi)


gelu_tanh = elementwise(
    "gelu_tanh",
    cost=30,
    grad_name="Gelu",
    oracle=lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    doc="GELU by its tanh approximation.",
)


@gelu_tanh.forward
def _(x):
    return 0.5 * x * (1 + scalar.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))


@gelu_tanh.backward
def _(g, x):
    t = scalar.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))
    slope = 0.7978845608028654 * (1 + 0.134145 * x * x)
    return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope)
