"""Elementwise ops: arithmetic, powers, exponentials, activations, comparisons, selection, conversion."""

# ruff: noqa: F811, ANN001, ANN202, N805

from __future__ import annotations

import numpy as np

from numgrad.kernels import scalar
from numgrad.ops.family import elementwise

# ---- arithmetic -------------------------------------------------------------------------------------------------

add = elementwise("add", inputs=("input", "other"), accepts="bif", oracle=np.add, doc="input + other.")


@add.forward
def _(x, y):
    return x + y


@add.backward
def _(g):
    return g, g


sub = elementwise("sub", inputs=("input", "other"), accepts="if", oracle=np.subtract, doc="input - other.")


@sub.forward
def _(x, y):
    return x - y


@sub.backward
def _(g):
    return g, -g


mul = elementwise("mul", inputs=("input", "other"), accepts="bif", oracle=np.multiply, doc="input * other.")


@mul.forward
def _(x, y):
    return x * y


@mul.backward
def _(g, x, y):
    return g * y, g * x


div = elementwise("div", inputs=("input", "other"), oracle=np.true_divide, doc="input / other, of floating point.")


@div.forward
def _(x, y):
    return x / y


@div.backward
def _(g, x, y):
    return g / y, -g * (x / y) / y


neg = elementwise("neg", accepts="if", oracle=np.negative, doc="-input.")


@neg.forward
def _(x):
    return -x


@neg.backward
def _(g):
    return -g


absolute = elementwise("abs", accepts="if", oracle=np.abs, doc="Absolute value; its gradient at 0 is 0.")


@absolute.forward
def _(x):
    return scalar.absolute(x)


@absolute.backward
def _(g, x):
    return g * scalar.sign(x)


sign = elementwise("sign", accepts="if", oracle=np.sign, doc="-1, 0 or 1; NaN for NaN. Its gradient is 0.")


@sign.forward
def _(x):
    return scalar.sign(x)


@sign.backward
def _(g):
    return 0


reciprocal = elementwise("reciprocal", oracle=np.reciprocal, doc="1 / input.")


@reciprocal.forward
def _(x):
    return 1 / x


@reciprocal.backward
def _(g, out):
    return -g * out * out


floor_divide = elementwise(
    "floor_divide",
    inputs=("input", "other"),
    accepts="if",
    differentiable=False,
    oracle=np.floor_divide,
    doc="The floor of input / other.",
)


@floor_divide.forward
def _(x, y):
    return x // y


remainder = elementwise(
    "remainder",
    inputs=("input", "other"),
    accepts="if",
    oracle=np.remainder,
    doc="input - other * floor(input / other): has the sign of the divisor.",
)


@remainder.forward
def _(x, y):
    return x % y


@remainder.backward
def _(g, x, y):
    return g, -g * scalar.floor(x / y)


# ---- powers -----------------------------------------------------------------------------------------------------

pow = elementwise(
    "pow",
    inputs=("input", "exponent"),
    accepts="if",
    cost=20,
    oracle=np.power,
    doc="input to the power exponent. The gradient with respect to a 0 base, or for the exponent of one, is torch's.",
)


@pow.forward
def _(x, y):
    return scalar.power(x, y)


@pow.backward
def _(g, x, y, out):
    grad_x = scalar.where(y == 0, 0, g * y * scalar.power(x, y - 1))
    grad_y = scalar.where((x == 0) & (y >= 0), 0, g * out * scalar.log(x))
    return grad_x, grad_y


square = elementwise("square", accepts="if", grad_name="Pow", oracle=np.square, doc="input * input.")


@square.forward
def _(x):
    return x * x


@square.backward
def _(g, x):
    return g * (2 * x)


cube = elementwise("cube", accepts="if", grad_name="Pow", oracle=lambda x: x * x * x, doc="input * input * input.")


@cube.forward
def _(x):
    return x * x * x


@cube.backward
def _(g, x):
    return g * (3 * (x * x))


sqrt = elementwise("sqrt", oracle=np.sqrt, cost=4, doc="Square root; NaN below 0.")


@sqrt.forward
def _(x):
    return scalar.sqrt(x)


@sqrt.backward
def _(g, out):
    return g / (2 * out)


rsqrt = elementwise("rsqrt", oracle=lambda x: 1 / np.sqrt(x), cost=4, doc="1 / sqrt(input).")


@rsqrt.forward
def _(x):
    return 1 / scalar.sqrt(x)


@rsqrt.backward
def _(g, out):
    return g * (-0.5) * out * out * out


# ---- exponentials, trigonometry ---------------------------------------------------------------------------------

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


def _erf_oracle(x):
    import math

    return np.vectorize(math.erf, otypes=[x.dtype])(x)


erf = elementwise("erf", cost=20, oracle=_erf_oracle, doc="Error function.")


@erf.forward
def _(x):
    return scalar.erf(x)


@erf.backward
def _(g, x):
    return g * 1.1283791670955126 * scalar.exp(-x * x)


# ---- activations ------------------------------------------------------------------------------------------------

relu = elementwise("relu", accepts="if", oracle=lambda x: np.where(x <= 0, 0, x), doc="max(0, input); NaN passes.")


@relu.forward
def _(x):
    return scalar.where(x <= 0, 0, x)


@relu.backward
def _(g, out):
    return scalar.where(out <= 0, 0, g)


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
    "gelu", cost=30, oracle=lambda x: x * 0.5 * (1 + _erf_oracle(x / np.sqrt(2))), doc="input * Phi(input), by erf."
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


# ---- rounding: the gradient is 0 --------------------------------------------------------------------------------

floor = elementwise("floor", oracle=np.floor, doc="Largest integer not above input. Its gradient is 0.")


@floor.forward
def _(x):
    return scalar.floor(x)


@floor.backward
def _(g):
    return 0


ceil = elementwise("ceil", oracle=np.ceil, doc="Smallest integer not below input. Its gradient is 0.")


@ceil.forward
def _(x):
    return scalar.ceil(x)


@ceil.backward
def _(g):
    return 0


trunc = elementwise("trunc", oracle=np.trunc, doc="The integer part of input. Its gradient is 0.")


@trunc.forward
def _(x):
    return scalar.trunc(x)


@trunc.backward
def _(g):
    return 0


round = elementwise("round", oracle=np.rint, doc="Nearest integer, halves to even. Its gradient is 0.")


@round.forward
def _(x):
    return scalar.round(x)


@round.backward
def _(g):
    return 0


# ---- the larger, the smaller, the chosen ------------------------------------------------------------------------

maximum = elementwise(
    "maximum",
    inputs=("input", "other"),
    accepts="bif",
    oracle=np.maximum,
    doc="The larger of two; NaN if either is. Where they are equal each gets half of the gradient, as in torch.",
)


@maximum.forward
def _(x, y):
    return scalar.where((x > y) | (x != x), x, y)


@maximum.backward
def _(g, x, y):
    tie = scalar.where(x == y, 0.5, 0)
    return tie + scalar.where(x > y, g, 0), tie + scalar.where(x < y, g, 0)


minimum = elementwise(
    "minimum",
    inputs=("input", "other"),
    accepts="bif",
    oracle=np.minimum,
    doc="The smaller of two; NaN if either is. Where they are equal each gets half of the gradient, as in torch.",
)


@minimum.forward
def _(x, y):
    return scalar.where((x < y) | (x != x), x, y)


@minimum.backward
def _(g, x, y):
    tie = scalar.where(x == y, 0.5, 0)
    return tie + scalar.where(x < y, g, 0), tie + scalar.where(x > y, g, 0)


clamp_min = elementwise(
    "clamp_min", inputs=("input", "min"), accepts="if", grad_name="Clamp", oracle=np.maximum, doc="input, at least min."
)


@clamp_min.forward
def _(x, low):
    return scalar.where((x >= low) | (x != x), x, low)


@clamp_min.backward
def _(g, x, low):
    return scalar.where(x >= low, g, 0), scalar.where(x < low, g, 0)


clamp_max = elementwise(
    "clamp_max", inputs=("input", "max"), accepts="if", grad_name="Clamp", oracle=np.minimum, doc="input, at most max."
)


@clamp_max.forward
def _(x, high):
    return scalar.where((x <= high) | (x != x), x, high)


@clamp_max.backward
def _(g, x, high):
    return scalar.where(x <= high, g, 0), scalar.where(x > high, g, 0)


where = elementwise(
    "where",
    inputs=("condition", "input", "other"),
    accepts="bif",
    untyped=("condition",),
    oracle=np.where,
    doc="input where the (bool) condition holds, else other.",
)


@where.forward
def _(condition, x, y):
    return x if condition else y


@where.backward
def _(g, condition):
    return None, scalar.where(condition, g, 0), scalar.where(condition, 0, g)


# ---- copies and conversions -------------------------------------------------------------------------------------

clone = elementwise("clone", accepts="bif", oracle=np.copy, doc="A copy, in the input's layout where that is dense.")


@clone.forward
def _(x):
    return x


@clone.backward
def _(g):
    return g


# ---- comparisons ------------------------------------------------------------------------------------------------


def _comparison(name, symbol, oracle):
    return elementwise(
        name,
        inputs=("input", "other"),
        accepts="bif",
        result="bool",
        differentiable=False,
        oracle=oracle,
        doc=f"input {symbol} other, as bool.",
    )


eq = _comparison("eq", "==", np.equal)
ne = _comparison("ne", "!=", np.not_equal)
lt = _comparison("lt", "<", np.less)
le = _comparison("le", "<=", np.less_equal)
gt = _comparison("gt", ">", np.greater)
ge = _comparison("ge", ">=", np.greater_equal)


@eq.forward
def _(x, y):
    return x == y


@ne.forward
def _(x, y):
    return x != y


@lt.forward
def _(x, y):
    return x < y


@le.forward
def _(x, y):
    return x <= y


@gt.forward
def _(x, y):
    return x > y


@ge.forward
def _(x, y):
    return x >= y


isnan = elementwise(
    "isnan", accepts="bif", result="bool", differentiable=False, oracle=np.isnan, doc="True where input is NaN."
)


@isnan.forward
def _(x):
    return x != x


isfinite = elementwise(
    "isfinite", result="bool", differentiable=False, oracle=np.isfinite, doc="True where input is not NaN and not infinite."
)


@isfinite.forward
def _(x):
    return x - x == 0


# ---- logic ------------------------------------------------------------------------------------------------------


def _logical(name, oracle, doc, inputs=("input", "other")):
    return elementwise(
        name, inputs=inputs, accepts="bi", result="same", differentiable=False, oracle=oracle, doc=doc
    )


bitwise_and = _logical("bitwise_and", np.bitwise_and, "input & other, of bools or integers.")
bitwise_or = _logical("bitwise_or", np.bitwise_or, "input | other, of bools or integers.")
bitwise_xor = _logical("bitwise_xor", np.bitwise_xor, "input ^ other, of bools or integers.")
logical_not = elementwise(
    "logical_not", accepts="bif", result="bool", differentiable=False, oracle=np.logical_not, doc="True where input is 0."
)


@bitwise_and.forward
def _(x, y):
    return x & y


@bitwise_or.forward
def _(x, y):
    return x | y


@bitwise_xor.forward
def _(x, y):
    return x ^ y


@logical_not.forward
def _(x):
    return x == 0
