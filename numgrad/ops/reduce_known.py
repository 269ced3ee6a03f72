"""Sums over dimensions in which NaN counts as 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad.errors import DtypeError
from numgrad.kernels.reduce import plan_reduce
from numgrad.ops import rules
from numgrad.ops.elementwise import eq, where
from numgrad.ops.reduce import _PARAMS, _proved_shape, _spread, sum_
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder

nansum = Op("nansum", ("input",), _PARAMS, saves=("input",), doc="Sum over dims, of floating point, with 0 for NaN.")


@nansum.plan
def _(b: PlanBuilder, input: Operand, dims: Any, keepdim: bool) -> None:
    own = input.spec.dtype
    if not own.is_floating_point:
        raise DtypeError(f"nansum: expected a floating point tensor as input, got {own.torch_name}; `sum` takes others")
    plan_reduce(b, "nansum", input, b.output(own, _proved_shape(input, dims, keepdim)), dims)


@nansum.backward
def _(ctx, grad):
    (x,) = ctx.saved
    return where(eq(x, x), _spread(grad, ctx.input_specs[0].shape, ctx.params.dims), 0.0)


@nansum.jvp
def _(ctx, tangent):
    (x,), (dims, keepdim) = ctx.inputs, ctx.params
    return sum_(where(eq(x, x), tangent, 0.0), dims=dims, keepdim=keepdim)


nansum.batch(rules.over_dims)


@nansum.oracle
def _(x, dims, keepdim):
    return np.nansum(x, dims, keepdims=keepdim)
