"""Arithmetic, powers and rounding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from numgrad.kernels import integers, scalar
from numgrad.ops.family import elementwise, is_number


def zero_division(op: str, what: str) -> Callable[[int, Any], Exception]:
    """torch's error for integers without a result."""
    return lambda status, params: RuntimeError(f"{op}: ZeroDivisionError: {what}; convert with .float()")


# ---- arithmetic ------------------------------------------------------------------------------------------------------

BOTH = ("input", "other")

add = elementwise("add", inputs=BOTH, accepts="bif", modular=BOTH, commutes=True, oracle=np.add, doc="input + other.")


@add.forward
def _(x, y):
    return x + y


@add.backward
def _(g):
    return g, g


sub = elementwise("sub", inputs=BOTH, accepts="if", modular=BOTH, oracle=np.subtract, doc="input - other.")


@sub.forward
def _(x, y):
    return x - y


@sub.backward
def _(g):
    return g, -g


@sub.shown_as
def _(specs, needs, params):
    return ("RsubBackward1", (1,)) if is_number(specs, needs, 0) else ("SubBackward0", None)


mul = elementwise(
    "mul", inputs=BOTH, accepts="bif", modular=BOTH, commutes=True, oracle=np.multiply, doc="input * other."
)


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


neg = elementwise(
    "neg",
    homes=("function", "method", "in_place", "in_place_function"),
    accepts="if",
    oracle=np.negative,
    doc="""-input, elementwise.

    Raises
    ------
    RuntimeError
        The input is of bools.

    >>> import numgrad as ng
    >>> ng.neg(ng.tensor([1.0, -2.0]))
    tensor([-1.,  2.])
    """,
)


@neg.forward
def _(x):
    return -x


@neg.backward
def _(g):
    return -g


absolute = elementwise(
    "abs",
    homes=("function", "method", "in_place", "in_place_function"),
    accepts="if",
    oracle=np.abs,
    doc="""Absolute value, elementwise; its gradient at 0 and at NaN is 0, as in torch.

    Raises
    ------
    RuntimeError
        The input is of bools.

    >>> import numgrad as ng
    >>> ng.abs(ng.tensor([1.0, -2.0]))
    tensor([1., 2.])
    """,
)


@absolute.forward
def _(x):
    return scalar.absolute(x)


@absolute.backward
def _(g, x):
    return g * scalar.where(x == x, scalar.sign(x), 0)


sign = elementwise(
    "sign",
    accepts="if",
    oracle=lambda x: np.sign(np.where(np.isnan(x), 0, x)),
    doc="-1, 0 or 1; 0 for NaN, as in torch. Its gradient is 0.",
)


@sign.forward
def _(x):
    return scalar.where(x > 0, 1, scalar.where(x < 0, -1, 0))


@sign.forward_of_integers
def _(x):
    return integers.sign(x)


@sign.backward
def _(g):
    return 0


reciprocal = elementwise(
    "reciprocal",
    homes=("function", "method", "in_place", "in_place_function"),
    promotes=True,
    oracle=np.reciprocal,
    doc="""1 / input, elementwise; integers are converted to floating point.

    >>> import numgrad as ng
    >>> ng.reciprocal(ng.tensor([2.0, -4.0]))
    tensor([ 0.5000, -0.2500])
    """,
)


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
    doc="The floor of input / other; integers are not divided by 0, and wrap.",
)


@floor_divide.forward
def _(x, y):
    return scalar.floor_divide(x, y)


@floor_divide.forward_of_integers
def _(x, y):
    return integers.floor_divide(x, y)


@floor_divide.refuses
def _(y):
    return y == 0


floor_divide.on_status(zero_division("floor_divide", "an integer of other is 0"))


remainder = elementwise(
    "remainder",
    inputs=("input", "other"),
    accepts="if",
    oracle=np.remainder,
    doc="input - other * floor(input / other): has the sign of the divisor, which for integers is not 0.",
)


@remainder.forward
def _(x, y):
    return scalar.remainder(x, y)


@remainder.refuses
def _(y):
    return y == 0


remainder.on_status(zero_division("remainder", "an integer of other is 0"))


@remainder.backward
def _(g, x, y):
    return g, -g * scalar.floor_divide(x, y)


remainder.tie(("other",), ("input", "other"))


@remainder.shown_as
def _(specs, needs, params):
    return ("RemainderBackward0", (0,)) if is_number(specs, needs, 1) else ("RemainderBackward1", None)


# ---- powers ----------------------------------------------------------------------------------------------------------

pow = elementwise(
    "pow",
    inputs=("input", "exponent"),
    accepts="if",
    cost=20,
    modular=("input",),
    oracle=np.power,
    doc="input to the power exponent. The gradient with respect to a 0 base, or for the exponent of one, is torch's. Powers of "
    "integers wrap; a negative power is truncated to 0, but for bases 1 and -1, and base 0 has none.",
)


@pow.forward
def _(x, y):
    return scalar.power(x, y)


@pow.forward_of_integers
def _(x, y):
    return integers.power(x, y)


@pow.refuses
def _(x, y):
    return (x == 0) & (y < 0)


pow.on_status(zero_division("pow", "an integer of input is 0 where exponent is negative"))


@pow.backward
def _(g, x, y, out):
    # Where a power is 0 it is multiplied first: the product of the other factors may overflow.
    grad_x = scalar.where(y == 0, 0, g * (y * scalar.power(x, y - 1)))
    grad_y = scalar.where((x == 0) & (y >= 0), 0, g * (out * scalar.log(x)))
    return grad_x, grad_y


@pow.shown_as
def _(specs, needs, params):
    if is_number(specs, needs, 1):
        return "PowBackward0", (0,)
    return ("PowBackward2", (1,)) if is_number(specs, needs, 0) else ("PowBackward1", None)


square = elementwise("square", accepts="if", node_name="PowBackward0", oracle=np.square, doc="input * input.")


@square.forward
def _(x):
    return x * x


@square.backward
def _(g, x):
    return 2 * (g * x)  # overflows only where the gradient does


cube = elementwise(
    "cube", accepts="if", node_name="PowBackward0", oracle=lambda x: x * x * x, doc="input * input * input."
)


@cube.forward
def _(x):
    return x * x * x


@cube.backward
def _(g, x):
    return g * (3 * (x * x))


inverse_square = elementwise(
    "inverse_square", node_name="PowBackward0", oracle=lambda x: 1 / (x * x), doc="1 / (input * input)."
)


@inverse_square.forward
def _(x):
    return 1 / (x * x)


@inverse_square.backward
def _(g, x):
    return g * (-2 / (x * x) / x)  # the cube would be 0 before the result is infinite


sqrt = elementwise(
    "sqrt",
    homes=("function", "method", "in_place", "in_place_function"),
    promotes=True,
    oracle=np.sqrt,
    cost=4,
    doc="""Square root, elementwise; NaN below 0. Integers are converted to floating point.

    >>> import numgrad as ng
    >>> ng.sqrt(ng.tensor([4.0, 9.0]))
    tensor([2., 3.])
    """,
)


@sqrt.forward
def _(x):
    return scalar.sqrt(x)


@sqrt.backward
def _(g, out):
    return g / (2 * out)


rsqrt = elementwise(
    "rsqrt",
    homes=("function", "method", "in_place", "in_place_function"),
    promotes=True,
    oracle=lambda x: 1 / np.sqrt(x),
    cost=4,
    doc="""1 / sqrt(input), elementwise; integers are converted to floating point.

    >>> import numgrad as ng
    >>> ng.rsqrt(ng.tensor([4.0, 16.0]))
    tensor([0.5000, 0.2500])
    """,
)


@rsqrt.forward
def _(x):
    return 1 / scalar.sqrt(x)


@rsqrt.backward
def _(g, out):
    return g * (-0.5) * out * out * out


# ---- rounding: the gradient is 0 -------------------------------------------------------------------------------------

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
