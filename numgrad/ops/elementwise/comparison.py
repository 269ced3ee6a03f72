"""Comparisons and logic: results carry no gradient."""

from __future__ import annotations

import numpy as np

from numgrad.kernels import scalar
from numgrad.ops.family import elementwise

# ---- comparisons -----------------------------------------------------------------------------------------------------


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
    "isnan",
    homes=("function", "method"),
    accepts="bif",
    result="bool",
    differentiable=False,
    oracle=np.isnan,
    doc="""True where input is NaN.

    >>> import numgrad as ng
    >>> ng.isnan(ng.tensor([1.0, ng.nan]))
    tensor([False,  True])
    """,
)


@isnan.forward
def _(x):
    return x != x


isfinite = elementwise(
    "isfinite",
    homes=("function", "method"),
    promotes=True,
    result="bool",
    differentiable=False,
    oracle=np.isfinite,
    doc="""True where input is neither NaN nor infinite.

    >>> import numgrad as ng
    >>> ng.isfinite(ng.tensor([1.0, ng.inf]))
    tensor([ True, False])
    """,
)


@isfinite.forward
def _(x):
    return x - x == 0


isinf = elementwise(
    "isinf",
    homes=("function", "method"),
    promotes=True,
    result="bool",
    differentiable=False,
    oracle=np.isinf,
    doc="""True where input is infinite.

    >>> import numgrad as ng
    >>> ng.isinf(ng.tensor([1.0, -ng.inf, ng.nan]))
    tensor([False,  True, False])
    """,
)


@isinf.forward
def _(x):
    return scalar.absolute(x) == 1e999


signbit = elementwise(
    "signbit",
    homes=("function", "method"),
    accepts="bif",
    result="bool",
    differentiable=False,
    oracle=lambda x: np.signbit(x) if x.dtype.kind == "f" else x < 0,
    doc="""True where the sign is minus, also of -0.0 and NaN.

    >>> import numgrad as ng
    >>> ng.signbit(ng.tensor([1.0, -0.0, -2.0]))
    tensor([False,  True,  True])
    """,
)


@signbit.forward
def _(x):
    return scalar.copysign(1, x) < 0


@signbit.forward_of_integers
def _(x):
    return x < 0


isclose = elementwise(
    "isclose",
    inputs=("input", "other", "rtol", "atol"),
    result="bool",
    differentiable=False,
    oracle=np.isclose,
    doc="True where input and other are equal, or abs(input - other) <= atol + abs(rtol * other) and finite.",
)


@isclose.forward
def _(x, y, rtol, atol):
    gap = scalar.absolute(x - y)
    return (x == y) | ((gap <= atol + scalar.absolute(rtol * y)) & (gap - gap == 0))


# ---- logic -----------------------------------------------------------------------------------------------------------


def _logical(name, oracle, doc, inputs=("input", "other")):
    return elementwise(
        name, inputs=inputs, accepts="bi", modular=inputs, result="same", differentiable=False, oracle=oracle, doc=doc
    )


bitwise_and = _logical("bitwise_and", np.bitwise_and, "input & other, of bools or integers.")
bitwise_or = _logical("bitwise_or", np.bitwise_or, "input | other, of bools or integers.")
bitwise_xor = _logical("bitwise_xor", np.bitwise_xor, "input ^ other, of bools or integers.")
logical_not = elementwise(
    "logical_not",
    homes=("function", "method", "in_place"),
    accepts="bif",
    result="bool",
    differentiable=False,
    oracle=np.logical_not,
    doc="""True where input is 0.

    >>> import numgrad as ng
    >>> ng.logical_not(ng.tensor([0, 2]))
    tensor([ True, False])
    """,
)


def _of_truth(name, word, oracle, result):
    return elementwise(
        name,
        inputs=("input", "other"),
        homes=("function", "method", "in_place"),
        tensors=True,
        accepts="bif",
        result="bool",
        differentiable=False,
        oracle=oracle,
        doc=f"""True where input {word} other is not 0; elementwise, broadcast and promoted. NaN is not 0.

    Raises
    ------
    RuntimeError
        The shapes do not broadcast.

    >>> import numgrad as ng
    >>> ng.{name}(ng.tensor([0, 0, 2, 2]), ng.tensor([0.0, 1.0, 0.0, 1.0]))
    tensor([{result}])
    """,
    )


logical_and = _of_truth("logical_and", "and", np.logical_and, "False, False, False,  True")
logical_or = _of_truth("logical_or", "or", np.logical_or, "False,  True,  True,  True")
logical_xor = _of_truth("logical_xor", "or, but not both,", np.logical_xor, "False,  True,  True, False")


@logical_and.forward
def _(x, y):
    return (x != 0) & (y != 0)


@logical_or.forward
def _(x, y):
    return (x != 0) | (y != 0)


@logical_xor.forward
def _(x, y):
    return (x != 0) != (y != 0)


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


# ---- shifts ----------------------------------------------------------------------------------------------------------


def _shift(name, symbol, oracle):
    return elementwise(
        name,
        inputs=("input", "other"),
        accepts="i",
        differentiable=False,
        oracle=oracle,
        doc=f"input {symbol} other, of integers. Shifts by less than 0, or by all bits, shift everything out.",
    )


bitwise_left_shift = _shift("bitwise_left_shift", "<<", np.left_shift)
bitwise_right_shift = _shift("bitwise_right_shift", ">>", np.right_shift)


@bitwise_left_shift.forward
def _(x, y):
    return scalar.where((y < 0) | (y > 63), 0, x << (y & 63))


@bitwise_right_shift.forward
def _(x, y):
    return x >> scalar.where((y < 0) | (y > 63), 63, y)
