"""Activations of networks."""

from __future__ import annotations

import numpy as np

from numgrad.kernels import scalar
from numgrad.ops.elementwise.exponential import erf_oracle
from numgrad.ops.family import elementwise

relu = elementwise(
    "relu",
    homes=("function", "method", "in_place"),
    accepts="if",
    oracle=lambda x: np.where(x <= 0, 0, x),
    doc="""max(0, input), elementwise; NaN passes.

    Raises
    ------
    RuntimeError
        The input is of bools.

    >>> import numgrad as ng
    >>> ng.relu(ng.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """,
)


@relu.forward
def _(x):
    return scalar.where(x <= 0, 0, x)


@relu.backward
def _(g, out):
    return scalar.where(out <= 0, 0, g)


relu.tie(("input",), ("input",))

leaky_relu = elementwise(
    "leaky_relu",
    inputs=("input", "slope"),
    graph_inputs=(0,),
    oracle=lambda x, slope: np.where(x > 0, x, x * slope),
    doc="input where it is positive, else slope * input.",
)


@leaky_relu.forward
def _(x, slope):
    return scalar.where(x > 0, x, x * slope)


@leaky_relu.backward
def _(g, x, slope):
    return scalar.where(x > 0, g, g * slope), scalar.where(x > 0, 0, g * x)


leaky_relu.tie(("input",), ("input",))


@leaky_relu.in_place_by_result
def leaky_relu_of_rising(g, out, slope):
    return scalar.where(out > 0, g, g * slope), None  # for slopes of at least 0: the result has the input's sign


elu = elementwise(
    "elu",
    inputs=("input", "alpha"),
    cost=20,
    oracle=lambda x, alpha: np.where(x <= 0, alpha * np.expm1(np.where(x <= 0, x, 0)), x),
    doc="input where it is positive, else alpha * (exp(input) - 1).",
)


@elu.forward
def _(x, alpha):
    return scalar.where(x <= 0, alpha * scalar.expm1(x), x)


@elu.backward
def _(g, x, alpha):
    below = scalar.where(x < 0, x, 0)  # else 0 times the exponential of the other side would be NaN
    return (
        scalar.where(x <= 0, g * alpha * scalar.exp(below), g),
        g * scalar.expm1(below),
    )


tanh = elementwise(
    "tanh",
    homes=("function", "method", "in_place", "in_place_function", "functional"),
    promotes=True,
    cost=20,
    oracle=np.tanh,
    doc="""Hyperbolic tangent, elementwise; integers are converted to floating point.

    >>> import numgrad as ng
    >>> ng.tanh(ng.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7616])
    """,
)


@tanh.forward
def _(x):
    return scalar.tanh(x)


@tanh.backward
def _(g, out):
    return g * (1 - out * out)


sigmoid = elementwise(
    "sigmoid",
    homes=("function", "method", "in_place", "in_place_function", "functional"),
    promotes=True,
    cost=20,
    oracle=lambda x: 1 / (1 + np.exp(-x)),
    doc="""1 / (1 + exp(-input)), elementwise; integers are converted to floating point.

    >>> import numgrad as ng
    >>> ng.sigmoid(ng.tensor([0.0, 1.0]))
    tensor([0.5000, 0.7311])
    """,
)


@sigmoid.forward
def _(x):
    return 1 / (1 + scalar.exp(-x))


@sigmoid.backward
def _(g, out):
    return g * ((1 - out) * out)


silu = elementwise(
    "silu",
    homes=("function",),
    cost=20,
    oracle=lambda x: x / (1 + np.exp(-x)),
    doc="""input * sigmoid(input), elementwise.

    Raises
    ------
    RuntimeError
        The dtype is not floating point.

    >>> import numgrad as ng
    >>> ng.silu(ng.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7311])
    """,
)


@silu.forward
def _(x):
    return x / (1 + scalar.exp(-x))


@silu.backward
def _(g, x):
    s = scalar.sigmoid(x)
    return g * (s * (1 + x * (1 - s)))


softplus = elementwise(
    "softplus",
    homes=("function",),
    cost=30,
    oracle=lambda x: np.where(x > 20, x, np.log1p(np.exp(np.minimum(x, 20)))),
    doc="""log(1 + exp(input)), elementwise; input itself above 20, as in torch.

    Raises
    ------
    RuntimeError
        The dtype is not floating point.

    >>> import numgrad as ng
    >>> ng.softplus(ng.tensor([0.0, 1.0]))
    tensor([0.6931, 1.3133])
    """,
)


@softplus.forward
def _(x):
    return scalar.where(x > 20, x, scalar.log1p(scalar.exp(x)))


@softplus.backward
def _(g, x):
    return g * scalar.where(x > 20, 1, scalar.sigmoid(x))


log_sigmoid = elementwise(
    "log_sigmoid",
    cost=30,
    oracle=lambda x: np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x))),
    doc="log(1 / (1 + exp(-input))), exact on both sides.",
)


@log_sigmoid.forward
def _(x):
    return scalar.where(x < 0, x, 0) - scalar.log1p(scalar.exp(scalar.where(x < 0, x, -x)))


@log_sigmoid.backward
def _(g, x):
    tail = scalar.sigmoid(scalar.where(x > 0, -x, x))  # exact on both sides, and so is its derivative
    return g * scalar.where(x > 0, tail, 1 - tail)


gelu = elementwise(
    "gelu", cost=30, oracle=lambda x: x * 0.5 * (1 + erf_oracle(x / np.sqrt(2))), doc="input * Phi(input), by erf."
)


@gelu.forward
def _(x):
    return x * 0.5 * (1 + scalar.rough_erf(x * 0.7071067811865476))


@gelu.backward
def _(g, x):
    phi = 0.3989422804014327 * scalar.exp(-0.5 * x * x)
    return g * (0.5 * (1 + scalar.rough_erf(x * 0.7071067811865476)) + x * phi)


gelu_tanh = elementwise(
    "gelu_tanh",
    cost=30,
    node_name="GeluBackward0",
    oracle=lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    doc="GELU by its tanh approximation.",
)


@gelu_tanh.forward
def _(x):
    return 0.5 * x * (1 + scalar.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))


@gelu_tanh.backward
def _(g, x):
    # (1 + tanh(u)) / 2 is sigmoid(2 u), which stays exact where it is small. Beyond 32 the slope is 0 or 1, and x**3
    # overflows.
    y = scalar.where(x > 32, 32, scalar.where(x < -32, -32, x))
    u2 = 1.5957691216057308 * (y + 0.044715 * y * y * y)
    tail = scalar.sigmoid(scalar.where(u2 > 0, -u2, u2))
    phi = scalar.where(u2 > 0, 1 - tail, tail)
    return g * (phi + y * (tail * (1 - tail)) * (1.5957691216057308 * (1 + 0.134145 * y * y)))
