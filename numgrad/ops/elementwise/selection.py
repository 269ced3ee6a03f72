"""Maximum, minimum, where; copies."""

from __future__ import annotations

import numpy as np

from numgrad.kernels import scalar
from numgrad.ops.family import elementwise, is_number

# ---- maximum, minimum, where -----------------------------------------------------------------------------------------

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
    tie = scalar.where(x == y, 0.5 * g, g)
    return scalar.where(x < y, 0, tie), scalar.where(x > y, 0, tie)


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
    tie = scalar.where(x == y, 0.5 * g, g)
    return scalar.where(x > y, 0, tie), scalar.where(x < y, 0, tie)


clamp_min = elementwise(
    "clamp_min", inputs=("input", "min"), accepts="if", oracle=np.maximum, doc="input, at least min."
)


@clamp_min.forward
def _(x, low):
    return scalar.where((x >= low) | (x != x), x, low)


@clamp_min.backward
def _(g, x, low):
    return scalar.where(x >= low, g, 0), scalar.where(x < low, g, 0)


@clamp_min.shown_as
def _(specs, needs, params):
    return ("ClampBackward1", (0,)) if is_number(specs, needs, 1) else ("ClampBackward0", (0, 1, None))


clamp_max = elementwise(
    "clamp_max", inputs=("input", "max"), accepts="if", oracle=np.minimum, doc="input, at most max."
)


@clamp_max.forward
def _(x, high):
    return scalar.where((x <= high) | (x != x), x, high)


@clamp_max.backward
def _(g, x, high):
    return scalar.where(x <= high, g, 0), scalar.where(x > high, g, 0)


@clamp_max.shown_as
def _(specs, needs, params):
    return ("ClampBackward1", (0,)) if is_number(specs, needs, 1) else ("ClampBackward0", (0, None, 1))


clamp = elementwise(
    "clamp",
    inputs=("input", "min", "max"),
    accepts="if",
    node_name="ClampBackward1",
    graph_inputs=(0,),
    oracle=lambda x, low, high: np.minimum(np.maximum(x, low), high),
    doc="input, at least min and at most max, in one pass. The bounds get no gradient.",
)


@clamp.forward
def _(x, low, high):
    raised = scalar.where((x >= low) | (x != x), x, low)
    return scalar.where((raised <= high) | (raised != raised), raised, high)


@clamp.backward
def _(g, x, low, high):
    return scalar.where((x >= low) & (x <= high), g, 0), None, None


where = elementwise(
    "where",
    inputs=("condition", "input", "other"),
    accepts="bif",
    untyped=("condition",),
    leads=("condition",),
    graph_inputs=(1, 2),
    oracle=np.where,
    doc="input where the (bool) condition holds, else other.",
)


@where.forward
def _(condition, x, y):
    return x if condition else y


@where.backward
def _(g, condition):
    return None, scalar.where(condition, g, 0), scalar.where(condition, 0, g)


# ---- copies and conversions ------------------------------------------------------------------------------------------

clone = elementwise("clone", accepts="bif", oracle=np.copy, doc="A copy, in the input's layout if that is dense.")
clone.halves = True


@clone.forward
def _(x):
    return x


@clone.backward
def _(g):
    return g
