"""Standard gamma numbers, of which Gamma, Beta, Dirichlet, Student's t and others are made, with their gradients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numgrad.kernels import gammas as kernels
from numgrad.layout import contiguous_strides, output_strides, product
from numgrad.ops import rules
from numgrad.ops.elementwise import log, mul
from numgrad.ops.elementwise.oracles import digamma_of, each, quadrature
from numgrad.ops.family import elementwise
from numgrad.ops.layouts import check_floating, with_strides
from numgrad.ops.proofs import prove_int
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder


def _slope_of(concentration: float, log_sample: float) -> float:
    """By the integral over the logarithms of smaller or larger numbers, whichever has one sign, in many pieces."""
    if not 0 < concentration < math.inf or log_sample != log_sample:
        return math.nan
    if log_sample > 709:
        return 0.0
    a, end, x = concentration, log_sample, math.exp(log_sample)
    distance = end - digamma_of(a)
    sign = 1 if distance >= 0 else -1
    length = 1e-9
    while x * math.expm1(sign * length) - a * sign * length < 60:
        length *= 1.5

    def integrand(v: Any) -> Any:
        return np.exp(a * sign * v - x * np.expm1(sign * v)) * (abs(distance) + v)

    return quadrature(integrand, 0, length)


log_gamma_slope = elementwise(
    "log_gamma_slope",
    inputs=("concentration", "log_sample"),
    cost=300,
    oracle=each(_slope_of),
    doc="""How the logarithm of a standard gamma number moves with the concentration: see `kernels.gammas`.

    Concentrations and logarithms broadcast; NaN where the concentration is not positive and finite. It is computed in
    float64, and has no derivative.
    """,
)


@log_gamma_slope.forward
def _(a, log_x):
    return kernels.log_gamma_slope(a, log_x)


standard_gamma = Op(
    "standard_gamma",
    ("concentration", "state"),
    {"logarithm": False, "period": 0},
    saves=("concentration", "out"),
    graph_inputs=(0,),
    random=True,
    doc="""Numbers of gamma distributions of these concentrations and of rate 1, or their logarithms, which do not underflow.

    The gradient is that of the quantile with the number's probability. NaN where a concentration is not positive and finite.
    With a period the result is row-major, and elements of that distance are drawn by the same random words.
    """,
)


@standard_gamma.plan
def _(b: PlanBuilder, concentration: Operand, state: Operand, logarithm: bool, period: int) -> None:
    check_floating("standard_gamma", concentration)
    shape = tuple(concentration.spec.shape)
    prove_int("standard_gamma", "period", period, 0)
    strides = contiguous_strides(shape) if period else output_strides(shape, [concentration.spec])
    out = b.output(concentration.spec.dtype, shape, strides)
    laid = with_strides(b, concentration, strides)
    kernels.plan_standard_gamma(b, laid, out, b.changes(state), period or product(shape), logarithm)


@standard_gamma.backward
def _(ctx, grad):
    concentration, out = ctx.saved
    if ctx.params.logarithm:
        return mul(grad, log_gamma_slope(concentration, out)), None
    return mul(mul(grad, out), log_gamma_slope(concentration, log(out))), None


@standard_gamma.jvp
def _(ctx, tangent, _state):
    concentration, (out, *_) = ctx.inputs[0], ctx.outputs
    if ctx.params.logarithm:
        return mul(tangent, log_gamma_slope(concentration, out))
    return mul(mul(tangent, out), log_gamma_slope(concentration, log(out)))


@standard_gamma.draw
def _(draw, concentration, state, logarithm, period):
    every = rules.repeated(concentration, draw.size) if draw.examples is None else draw.examples
    return standard_gamma(every, state, logarithm=logarithm, period=0)


@standard_gamma.draw_once
def _(draw, concentration, state, logarithm, period):
    one = max(1, product(tuple(draw.examples._spec.shape[1:])))
    return standard_gamma(draw.examples, state, logarithm=logarithm, period=one)


@standard_gamma.batch
def _(batch, concentration, state, logarithm, period):
    """Outside of `vmap`, which decides about random numbers: other numbers for each example."""
    return standard_gamma(batch.all(concentration, state)[0], state, logarithm=logarithm, period=0)


@standard_gamma.oracle
def _(concentration, state, logarithm, period):
    if logarithm:
        return digamma_of(float(concentration.mean())), None
    return concentration.mean(), np.sqrt(concentration.mean())
