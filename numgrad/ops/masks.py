"""What a mask selects, and where elements are not 0. The number of them is a parameter: plans know shapes, and no numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.dtypes import dtype as Dtype
from numgrad.errors import DtypeError, ShapeError
from numgrad.kernels.masks import (
    plan_begins,
    plan_masked_place,
    plan_masked_select,
    plan_nonzero,
    plan_triangle,
    triangle_count,
)
from numgrad.ops import rules
from numgrad.ops.creation import full
from numgrad.ops.layouts import contiguous, plan_copy
from numgrad.ops.proofs import prove_int
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder

nonzero = Op(
    "nonzero",
    ("input",),
    {"count": 0, "fill": -1},
    differentiable=False,
    doc="The indices [count, ndim] of the first elements that are not 0, in row-major order, and ``fill`` where there are fewer.",
)


@nonzero.plan
def _(b: PlanBuilder, input: Operand, count: int, fill: int) -> None:
    prove_int("nonzero", "count", count, 0)
    prove_int("nonzero", "fill", fill, int(dtypes.int64.smallest), int(dtypes.int64.largest))
    if not input.spec.ndim:
        raise ShapeError("nonzero: the input has no dimensions, expected at least one")
    plan_nonzero(b, contiguous(b, input), b.output(dtypes.int64, (count, input.spec.ndim)), fill)


@nonzero.batch
def _(batch, x, count, fill):
    return NotImplemented


@nonzero.oracle
def _(x, count, fill):
    rows = np.argwhere(x)[:count]
    return np.concatenate([rows, np.full((count - len(rows), x.ndim), fill, np.int64)])


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
    doc="The first rows of input where a mask of its first dimensions is True, [count, *rest], and zeros where there are fewer.",
)


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
    return masked_scatter(zeros, mask, grad, all=False), None


masked_select.linear_in("input")


@masked_select.batch
def _(batch, x, mask, count):
    if batch.flags[1]:
        return NotImplemented
    return rules.to_dim(masked_select(rules.to_dim(x, 0, mask._spec.ndim), mask, count=count), 1, 0)


@masked_select.oracle
def _(x, mask, count):
    rows = x[mask][:count]
    return np.concatenate([rows, np.zeros((count - len(rows), *rows.shape[1:]), x.dtype)])


masked_scatter = Op(
    "masked_scatter",
    ("input", "mask", "source"),
    {"all": True},
    saves=("mask",),
    graph_inputs=(0, 2),
    doc="input, with the rows of source, one after the other, where a mask of its first dimensions is True; in ``all`` such "
    "places, or in the first ones.",
)


@masked_scatter.on_status
def _(status: int, params: Any) -> Exception:
    return ShapeError("masked_scatter: expected at least as many elements of source as the mask has, got fewer")


@masked_scatter.plan
def _(b: PlanBuilder, input: Operand, mask: Operand, source: Operand, all: bool) -> None:
    _prove_mask("masked_scatter", input, mask)
    rest, shape = tuple(input.spec.shape[mask.spec.ndim :]), tuple(source.spec.shape)
    if source.spec.dtype is not input.spec.dtype or not shape or shape[1:] != rest:
        raise ShapeError(f"masked_scatter: source is {source.spec}, expected rows {list(rest)} of {input.spec.dtype}")
    out = b.output(input.spec.dtype, tuple(input.spec.shape))
    plan_copy(b, input, out)
    plan_masked_place(b, contiguous(b, source), contiguous(b, mask), out, all=all)


@masked_scatter.backward
def _(ctx, grad):
    (mask,) = ctx.saved
    to_input = None
    if ctx.needs[0]:
        zeros = full(size=tuple(ctx.input_specs[2].shape), value=0.0, dtype=grad._spec.dtype)
        to_input = masked_scatter(grad, mask, zeros, all=ctx.params.all)
    count = ctx.input_specs[2].shape[0]
    return to_input, None, masked_select(grad, mask, count=count) if ctx.needs[2] else None


masked_scatter.linear_in("input", "source")


@masked_scatter.batch
def _(batch, x, mask, source, all):
    if batch.flags[1]:
        return NotImplemented
    x, _, source = batch.all(x, mask, source)
    ndim = mask._spec.ndim
    changed = masked_scatter(rules.to_dim(x, 0, ndim), mask, rules.to_dim(source, 0, 1), all=all)
    return rules.to_dim(changed, ndim, 0)


@masked_scatter.oracle
def _(x, mask, source, all):
    out, places = x.copy(), np.flatnonzero(mask)[: len(source)]
    out.reshape(-1, *source.shape[1:])[places] = source[: len(places)]
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


triangle_places = Op(
    "triangle_places",
    (),
    {"rows": 0, "columns": 0, "shift": 0, "lower": True, "dtype": dtypes.int64},
    differentiable=False,
    doc="Row by row, rows and columns of the elements of a matrix that lie before column ``row + shift`` (``lower``), or not.",
)


@triangle_places.plan
def _(b: PlanBuilder, rows: int, columns: int, shift: int, lower: bool, dtype: Dtype) -> None:
    for name, extent in (("rows", rows), ("columns", columns)):
        prove_int("triangle_places", name, extent, 0, 1 << 31)
    prove_int("triangle_places", "shift", shift, -(1 << 31), 1 << 31)
    if dtype not in (dtypes.int64, dtypes.int32):
        raise DtypeError(f"\"triangle_places\" not implemented for '{dtype.torch_name}'; expected int64 or int32")
    plan_triangle(
        b, b.output(dtype, (2, triangle_count(rows, columns, shift, lower))), rows, columns, shift, bool(lower)
    )


@triangle_places.oracle
def _(rows, columns, shift, lower, dtype):
    left = np.arange(columns) < np.arange(rows)[:, None] + shift
    return np.array(np.nonzero(left if lower else ~left)).astype(dtype.numpy)
