"""What a mask selects, and where elements are not 0. The number of them is a parameter: plans know shapes, and no numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.errors import DtypeError, ShapeError
from numgrad.kernels.masks import plan_begins, plan_masked_place, plan_masked_select, plan_nonzero
from numgrad.ops import rules
from numgrad.ops.creation import full
from numgrad.ops.elementwise import where
from numgrad.ops.layouts import contiguous, plan_copy
from numgrad.ops.proofs import prove_int
from numgrad.ops.view import expand, reshape
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder

nonzero = Op(
    "nonzero",
    ("input",),
    {"count": 0},
    differentiable=False,
    doc="The indices [count, ndim] of the elements that are not 0, in row-major order, for the number of these elements.",
)


@nonzero.on_status
def _(status: int, params: Any) -> Exception:
    return ShapeError(f"nonzero: there are not {params.count} elements that are not 0; were they changed meanwhile?")


@nonzero.plan
def _(b: PlanBuilder, input: Operand, count: int) -> None:
    prove_int("nonzero", "count", count, 0, input.spec.numel)
    if not input.spec.ndim:
        raise ShapeError("nonzero: the input has no dimensions, expected at least one")
    plan_nonzero(b, contiguous(b, input), b.output(dtypes.int64, (count, input.spec.ndim)))


@nonzero.batch
def _(batch, x, count):
    return NotImplemented


@nonzero.oracle
def _(x, count):
    return np.argwhere(x)


def _prove_mask(name: str, input: Operand, mask: Operand) -> None:
    if mask.spec.dtype is not dtypes.bool_:
        raise DtypeError(f"{name}: expected BoolTensor for mask, got {mask.spec.dtype}; convert with .bool()")
    if not mask.spec.ndim or tuple(input.spec.shape[: mask.spec.ndim]) != tuple(mask.spec.shape):
        raise ShapeError(
            f"{name}: the mask has shape {list(mask.spec.shape)}, expected the first dimensions of {list(input.spec.shape)}, or all"
        )


masked_select = Op(
    "masked_select",
    ("input", "mask"),
    {"count": 0},
    saves=("mask",),
    graph_inputs=(0,),
    doc="The rows of input where a mask of its first dimensions is True, [count, *rest], and zeros where there are fewer.",
)


@masked_select.on_status
def _(status: int, params: Any) -> Exception:
    return ShapeError(f"masked_select: the mask selects more than {params.count} rows; was it changed meanwhile?")


@masked_select.plan
def _(b: PlanBuilder, input: Operand, mask: Operand, count: int) -> None:
    _prove_mask("masked_select", input, mask)
    prove_int("masked_select", "count", count, 0)
    out = b.output(input.spec.dtype, (count, *input.spec.shape[mask.spec.ndim :]))
    plan_masked_select(b, contiguous(b, input), contiguous(b, mask), out)


@masked_select.backward
def _(ctx, grad):
    (mask,) = ctx.saved
    zeros = full(size=tuple(ctx.input_specs[0].shape), value=0.0, dtype=grad._spec.dtype)
    return masked_scatter(zeros, mask, grad), None


masked_select.linear_in("input")


@masked_select.batch
def _(batch, x, mask, count):
    if batch.flags[1]:
        return NotImplemented
    return rules.to_dim(masked_select(rules.to_dim(x, 0, mask._spec.ndim), mask, count=count), 1, 0)


@masked_select.oracle
def _(x, mask, count):
    rows = x[mask]
    return np.concatenate([rows, np.zeros((count - len(rows), *rows.shape[1:]), x.dtype)])


masked_scatter = Op(
    "masked_scatter",
    ("input", "mask", "source"),
    saves=("mask",),
    graph_inputs=(0, 2),
    doc="input, with the rows of source, one after the other, where a mask of its first dimensions is True.",
)


@masked_scatter.on_status
def _(status: int, params: Any) -> Exception:
    return ShapeError("masked_scatter: expected at least as many elements of source as the mask has, got fewer")


@masked_scatter.plan
def _(b: PlanBuilder, input: Operand, mask: Operand, source: Operand) -> None:
    _prove_mask("masked_scatter", input, mask)
    rest, shape = tuple(input.spec.shape[mask.spec.ndim :]), tuple(source.spec.shape)
    if source.spec.dtype is not input.spec.dtype or not shape or shape[1:] != rest:
        raise ShapeError(f"masked_scatter: source is {source.spec}, expected rows {list(rest)} of {input.spec.dtype}")
    out = b.output(input.spec.dtype, tuple(input.spec.shape))
    plan_copy(b, input, out)
    plan_masked_place(b, contiguous(b, source), contiguous(b, mask), out)


@masked_scatter.backward
def _(ctx, grad):
    (mask,) = ctx.saved
    to_input = None
    if ctx.needs[0]:
        shape = tuple(grad._spec.shape)
        line = reshape(mask, (*mask._spec.shape, *(1,) * (len(shape) - mask._spec.ndim)))
        to_input = where(expand(line, size=shape), 0.0, grad)
    count = ctx.input_specs[2].shape[0]
    return to_input, None, masked_select(grad, mask, count=count) if ctx.needs[2] else None


masked_scatter.linear_in("input", "source")


@masked_scatter.batch
def _(batch, x, mask, source):
    if batch.flags[1]:
        return NotImplemented
    x, _, source = batch.all(x, mask, source)
    ndim = mask._spec.ndim
    changed = masked_scatter(rules.to_dim(x, 0, ndim), mask, rules.to_dim(source, 0, 1))
    return rules.to_dim(changed, ndim, 0)


@masked_scatter.oracle
def _(x, mask, source):
    out = x.copy()
    out[mask] = source[: mask.sum()]
    return out


begins = Op(
    "begins",
    ("input",),
    differentiable=False,
    doc="For each slice of the first dimension, a bool: whether it differs from the one before it; the first does.",
)


@begins.plan
def _(b: PlanBuilder, input: Operand) -> None:
    if not input.spec.ndim:
        raise ShapeError("begins: the input has no dimensions, expected at least one")
    plan_begins(b, contiguous(b, input), b.output(dtypes.bool_, (input.spec.shape[0],)))


@begins.batch
def _(batch, x):
    return NotImplemented


@begins.oracle
def _(x):
    rows = x.reshape(len(x), -1)
    return np.array([i == 0 or (rows[i] != rows[i - 1]).any() for i in range(len(rows))], bool)
