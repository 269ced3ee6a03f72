"""Slices of a dimension in another order: reversed, or moved round."""

from __future__ import annotations

import numpy as np

from numgrad.kernels.index import plan_reverse
from numgrad.ops import rules
from numgrad.ops.layouts import contiguous, plan_copy
from numgrad.ops.proofs import prove_dim, prove_int
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder

flip = Op("flip", ("input",), {"dim": 0}, doc="The slices of input along ``dim`` in reverse order.")


@flip.plan
def _(b: PlanBuilder, input: Operand, dim: int) -> None:
    prove_dim("flip", dim, input.spec.ndim)
    plan_reverse(b, contiguous(b, input), b.output(input.spec.dtype, tuple(input.spec.shape)), dim)


@flip.backward
def _(ctx, grad):
    return flip(grad, dim=ctx.params.dim)


flip.linear_in("input")
flip.batch(rules.along_dim)


@flip.oracle
def _(x, dim):
    return np.flip(x, dim)


roll = Op(
    "roll", ("input",), {"shift": 0, "dim": 0}, doc="The slices of input along ``dim``, each moved by ``shift`` places."
)


@roll.plan
def _(b: PlanBuilder, input: Operand, shift: int, dim: int) -> None:
    prove_dim("roll", dim, input.spec.ndim)
    shape, strides = tuple(input.spec.shape), tuple(input.spec.strides)
    out = b.output(input.spec.dtype, shape)
    extent = shape[dim]
    at = prove_int("roll", "shift", shift) % max(extent, 1)  # where the first slice comes to
    for first, goal, count in ((0, at, extent - at), (extent - at, 0, at)):
        if count and input.spec.numel:
            part = (*shape[:dim], count, *shape[dim + 1 :])
            target = out.view(part, tuple(out.spec.strides), goal * out.spec.strides[dim])
            plan_copy(b, input.view(part, strides, first * strides[dim]), target)


@roll.backward
def _(ctx, grad):
    return roll(grad, shift=-ctx.params.shift, dim=ctx.params.dim)


roll.linear_in("input")
roll.batch(rules.along_dim)


@roll.oracle
def _(x, shift, dim):
    return np.roll(x, shift, dim)
