"""Functions of two, three or four numbers that optimizers and losses are written with; signs, remainders and neighbours."""

from __future__ import annotations

import numpy as np

from numgrad.kernels import float_bits, integers, scalar
from numgrad.ops.elementwise.arithmetic import zero_division
from numgrad.ops.family import elementwise, is_number

BOTH = ("input", "other")

# ---- of three and four -----------------------------------------------------------------------------------------------

lerp = elementwise(
    "lerp",
    inputs=("input", "end", "weight"),
    oracle=lambda x, y, w: np.where(abs(w) < 0.5, x + w * (y - x), y - (y - x) * (1 - w)),
    doc="input + weight * (end - input), from the nearer of the two, so that weight 1 gives end to the last digit.",
)


@lerp.forward
def _(x, y, w):
    return scalar.where(scalar.absolute(w) < 0.5, x + w * (y - x), y - (y - x) * (1 - w))


@lerp.backward
def _(g, x, y, w):
    return g * (1 - w), g * w, g * (y - x)


addcmul = elementwise(
    "addcmul",
    inputs=("input", "tensor1", "tensor2", "value"),
    accepts="if",
    modular=("value",),
    oracle=lambda x, a, b, v: x + v * a * b,
    doc="input + value * tensor1 * tensor2.",
)


@addcmul.forward
def _(x, a, b, v):
    return x + v * a * b


@addcmul.backward
def _(g, a, b, v):
    return g, g * (v * b), g * (v * a), g * (a * b)


addcdiv = elementwise(
    "addcdiv",
    inputs=("input", "tensor1", "tensor2", "value"),
    oracle=lambda x, a, b, v: x + v * a / b,
    doc="input + value * tensor1 / tensor2.",
)


@addcdiv.forward
def _(x, a, b, v):
    return x + v * a / b


@addcdiv.backward
def _(g, a, b, v):
    return g, g * (v / b), -g * (v * a / b / b), g * (a / b)


nan_to_num = elementwise(
    "nan_to_num",
    inputs=("input", "nan", "posinf", "neginf"),
    oracle=lambda x, n, p, m: np.where(np.isnan(x), n, np.where(x == np.inf, p, np.where(x == -np.inf, m, x))),
    doc="input, with numbers in the place of NaN and of the infinities, where the gradient is 0.",
)


@nan_to_num.forward
def _(x, nan, high, low):
    return scalar.where(x != x, nan, scalar.where(x == 1e999, high, scalar.where(x == -1e999, low, x)))


@nan_to_num.backward
def _(g, x):
    return scalar.where(x - x == 0, g, 0), None, None, None


# ---- remainders ------------------------------------------------------------------------------------------------------

fmod = elementwise(
    "fmod",
    inputs=BOTH,
    homes=("function", "method", "in_place"),
    accepts="if",
    cost=10,
    oracle=np.fmod,
    doc="""The remainder of input / other cut to an integer, with the sign of input; elementwise, broadcast and promoted.

    Raises
    ------
    RuntimeError
        An integer is divided by 0, both are of bools, or the shapes do not broadcast.

    >>> import numgrad as ng
    >>> ng.fmod(ng.tensor([7.0, -7.0]), 3)
    tensor([ 1., -1.])
    """,
)


@fmod.forward
def _(x, y):
    return scalar.fmod(x, y)


@fmod.forward_of_integers
def _(x, y):
    return integers.fmod(x, y)


@fmod.refuses
def _(y):
    return y == 0


fmod.on_status(zero_division("fmod", "an integer of other is 0"))


@fmod.backward
def _(g, x, y):
    return g, -g * scalar.trunc(x / y)


fmod.tie(("other",), ("input", "other"))


@fmod.shown_as
def _(specs, needs, params):
    return ("FmodBackward0", (0,)) if is_number(specs, needs, 1) else ("FmodBackward1", None)


frac = elementwise(
    "frac",
    homes=("function", "method", "in_place", "in_place_function"),
    oracle=lambda x: x - np.trunc(x),
    doc="""input without its integer part, elementwise; it has the sign of input.

    Raises
    ------
    RuntimeError
        The dtype is not floating point.

    >>> import numgrad as ng
    >>> ng.frac(ng.tensor([2.5, -1.25]))
    tensor([ 0.5000, -0.2500])
    """,
)


@frac.forward
def _(x):
    return x - scalar.trunc(x)


@frac.backward
def _(g):
    return g


def _of_integers(name, oracle, what, result):
    return elementwise(
        name,
        inputs=BOTH,
        tensors=True,
        homes=("function", "method", "in_place", "in_place_function"),
        accepts="i",
        differentiable=False,
        cost=40,
        oracle=oracle,
        doc=f"""{what} of two integers, elementwise, broadcast and promoted.

    Raises
    ------
    RuntimeError
        The dtype is not an integer one, or the shapes do not broadcast.

    >>> import numgrad as ng
    >>> ng.{name}(ng.tensor([12, -9]), ng.tensor([8, 6]))
    tensor({result})
    """,
    )


gcd = _of_integers("gcd", np.gcd, "The greatest common divisor, which is not negative,", "[4, 3]")
lcm = _of_integers("lcm", np.lcm, "The least common multiple, which is not negative,", "[24, 18]")


@gcd.forward
def _(x, y):
    return integers.gcd(x, y)


@lcm.forward
def _(x, y):
    return integers.lcm(x, y)


# ---- signs and neighbours --------------------------------------------------------------------------------------------

copysign = elementwise(
    "copysign",
    inputs=BOTH,
    homes=("function", "method", "in_place"),
    promotes=True,
    oracle=np.copysign,
    doc="""The magnitude of input with the sign of other, elementwise and broadcast; integers are converted to floating point.

    Raises
    ------
    RuntimeError
        The shapes do not broadcast.

    >>> import numgrad as ng
    >>> ng.copysign(ng.tensor([1.0, -2.0]), ng.tensor([-0.0, 3.0]))
    tensor([-1.,  2.])
    """,
)


@copysign.forward
def _(x, y):
    return scalar.copysign(x, y)


@copysign.backward
def _(g, x, out):
    return scalar.where(x == 0, 0, g * (out / x)), 0


heaviside = elementwise(
    "heaviside",
    inputs=("input", "values"),
    accepts="bif",
    differentiable=False,
    oracle=lambda x, v: np.where(np.isnan(x), 0, np.where(x == 0, v, x > 0)).astype(x.dtype),
    doc="0 for negative input and for NaN, 1 for positive, and ``values`` at 0.",
)


@heaviside.forward
def _(x, values):
    return scalar.where(x == 0, values, scalar.where(x > 0, 1, 0))


nextafter = elementwise(
    "nextafter",
    inputs=BOTH,
    tensors=True,
    homes=("function", "method", "in_place"),
    differentiable=False,
    oracle=np.nextafter,
    doc="""The neighbour of input among the dtype's numbers in the direction of other, elementwise and broadcast.

    Raises
    ------
    RuntimeError
        The dtype is not floating point, or the shapes do not broadcast.

    >>> import numgrad as ng
    >>> ng.nextafter(ng.tensor([1.0]), ng.tensor([2.0])).item() - 1 == 2**-23
    True
    """,
)


@nextafter.forward
def _(x, y):
    return float_bits.nextafter(x, y)


def _extreme(name, symbol, oracle, result):
    return elementwise(
        name,
        inputs=BOTH,
        tensors=True,
        homes=("function", "method"),
        accepts="bif",
        oracle=oracle,
        doc=f"""The {symbol} of two, elementwise, broadcast and promoted; of a number and NaN the number.

    A number that is equal to the other gets all of the gradient as input, and none as other.

    Raises
    ------
    RuntimeError
        The shapes do not broadcast.

    >>> import numgrad as ng
    >>> ng.{name}(ng.tensor([1.0, ng.nan]), ng.tensor([2.0, 0.0]))
    tensor({result})
    """,
    )


fmax = _extreme("fmax", "larger", np.fmax, "[2., 0.]")
fmin = _extreme("fmin", "smaller", np.fmin, "[1., 0.]")


@fmax.forward
def _(x, y):
    return scalar.where((x >= y) | (y != y), x, y)


@fmax.backward
def _(g, x, y):
    return scalar.where((x >= y) | (y != y), g, 0), scalar.where((x >= y) | (y != y), 0, g)


@fmin.forward
def _(x, y):
    return scalar.where((x <= y) | (y != y), x, y)


@fmin.backward
def _(g, x, y):
    return scalar.where((x <= y) | (y != y), g, 0), scalar.where((x <= y) | (y != y), 0, g)


angle = elementwise(
    "angle",
    homes=("function", "method"),
    promotes=True,
    oracle=lambda x: np.where(x < 0, np.pi, np.where(np.isnan(x), x, 0)).astype(x.dtype),
    doc="""The angle of a real number among the complex ones: pi below 0, else 0; NaN for NaN. The gradient is 0.

    Integers are converted to floating point.

    >>> import numgrad as ng
    >>> ng.angle(ng.tensor([1.0, -1.0]))
    tensor([0.0000, 3.1416])
    """,
)


@angle.forward
def _(x):
    return scalar.where(x < 0, 3.141592653589793, scalar.where(x != x, x, 0))


@angle.backward
def _(g):
    return 0


# ---- the parts of a number -------------------------------------------------------------------------------------------

frexp_exponent = elementwise(
    "frexp_exponent",
    differentiable=False,
    oracle=lambda x: np.frexp(x)[1].astype(x.dtype) * np.isfinite(x),
    doc="The exponent of frexp, as floating point; 0 for 0, infinities and NaN.",
)


@frexp_exponent.forward
def _(x):
    return float_bits.exponent(x)


frexp_mantissa = elementwise(
    "frexp_mantissa",
    inputs=("input", "exponent"),
    oracle=lambda x, e: np.ldexp(x, (-e).astype(int)),
    doc="input / 2**exponent, for the exponent that frexp_exponent gives.",
)


@frexp_mantissa.forward
def _(x, e):
    # In two steps, since 2**-e itself may be beyond the range.
    half = scalar.trunc(e * 0.5)
    return x * scalar.exp2(-half) * scalar.exp2(half - e)


@frexp_mantissa.backward
def _(g, e):
    half = scalar.trunc(e * 0.5)
    return g * scalar.exp2(-half) * scalar.exp2(half - e), None
