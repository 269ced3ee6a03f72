"""Weighted sums of rows: what a grid samples of an image. The three ops are each other's gradients, of every order.

An index of -1 names no row, and the weight at its place counts for nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.errors import ShapeError
from numgrad.kernels.rows import plan_add_rows, plan_row_products, plan_sum_rows
from numgrad.ops import rules
from numgrad.ops.creation import arange
from numgrad.ops.elementwise import add, lt, where
from numgrad.ops.index import out_of_range
from numgrad.ops.layouts import check_floating, contiguous
from numgrad.ops.linalg import check_dtypes
from numgrad.ops.proofs import prove_dtype, prove_int
from numgrad.ops.view import reshape
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder


def _prove(name: str, index: Operand, *others: tuple[str, Operand, tuple[Any, ...]]) -> None:
    """The index is a matrix of int64, and the others have these shapes (None: any extent) and one dtype of floating point."""
    prove_dtype(name, "index", index, dtypes.int64)
    if index.spec.ndim != 2:
        raise ShapeError(f"{name}: index has shape {list(index.spec.shape)}, expected [P, T]")
    for word, operand, shape in others:
        check_floating(name, operand)
        check_dtypes(name, others[0][1], operand)
        have = tuple(operand.spec.shape)
        if len(have) != len(shape) or any(want not in (None, n) for n, want in zip(have, shape, strict=True)):
            raise ShapeError(
                f"{name}: {word} has shape {list(have)}, expected {['any' if n is None else n for n in shape]}"
            )


def _one_index(index: Any, extent: int) -> Any:
    """Indices [B, P, T] into the rows of each example as [B * P, T] into the rows of all."""
    size = index._spec.shape[0]
    first = reshape(arange(start=0, step=extent, count=size, dtype=dtypes.int64), (size, 1, 1))
    return rules.folded(where(lt(index, 0), index, add(index, first)))


def _zeros_and(rows: np.ndarray) -> np.ndarray:
    """The rows, and behind them the one that an index of -1 names."""
    return np.concatenate([rows, np.zeros((1, rows.shape[1]), rows.dtype)])


sum_rows = Op(
    "sum_rows",
    ("input", "weights", "index"),
    saves=("input", "weights", "index"),
    bilinear=True,
    graph_inputs=(0, 1),
    doc="out[p] = the sum over t of weights[p, t] * input[index[p, t]]: [R, C], [P, T] and [P, T] give [P, C].",
)
sum_rows.on_status(out_of_range)


@sum_rows.plan
def _(b: PlanBuilder, input: Operand, weights: Operand, index: Operand) -> None:
    _prove("sum_rows", index, ("input", input, (None, None)), ("weights", weights, tuple(index.spec.shape)))
    out = b.output(input.spec.dtype, (index.spec.shape[0], input.spec.shape[1]))
    plan_sum_rows(b, contiguous(b, input), contiguous(b, index), contiguous(b, weights), out)


@sum_rows.backward
def _(ctx, grad):
    rows, weights, index = ctx.saved
    return (
        add_rows(grad, weights, index, size=ctx.input_specs[0].shape[0]) if ctx.needs[0] else None,
        row_products(grad, rows, index) if ctx.needs[1] else None,
        None,
    )


sum_rows.linear_in("input")
sum_rows.linear_in("weights")


@sum_rows.batch
def _(batch, rows, weights, index):
    rows, weights, index = batch.all(rows, weights, index)
    index = _one_index(index, rows._spec.shape[1])
    return rules.unfolded(sum_rows(rules.folded(rows), rules.folded(weights), index), batch.size)


@sum_rows.oracle
def _(rows, weights, index):
    return np.einsum("pt,ptc->pc", weights, _zeros_and(rows)[index])


add_rows = Op(
    "add_rows",
    ("grad", "weights", "index"),
    {"size": 1},
    saves=("grad", "weights", "index"),
    bilinear=True,
    graph_inputs=(0, 1),
    doc="Gradient of `sum_rows` with respect to its input of ``size`` rows: weights[p, t] * grad[p] is added to row index[p, t].",
)
add_rows.on_status(out_of_range)


@add_rows.plan
def _(b: PlanBuilder, grad: Operand, weights: Operand, index: Operand, size: int) -> None:
    points, taps = index.spec.shape if index.spec.ndim == 2 else (None, None)
    _prove("add_rows", index, ("grad", grad, (points, None)), ("weights", weights, (points, taps)))
    out = b.output(grad.spec.dtype, (prove_int("add_rows", "size", size, 0, (1 << 62) - 1), grad.spec.shape[1]))
    plan_add_rows(b, contiguous(b, grad), contiguous(b, index), contiguous(b, weights), out)


@add_rows.backward
def _(ctx, grad):
    before, weights, index = ctx.saved
    return (
        sum_rows(grad, weights, index) if ctx.needs[0] else None,
        row_products(before, grad, index) if ctx.needs[1] else None,
        None,
    )


add_rows.linear_in("grad")
add_rows.linear_in("weights")


@add_rows.batch
def _(batch, grad, weights, index, size):
    grad, weights, index = batch.all(grad, weights, index)
    index = _one_index(index, size)
    out = add_rows(rules.folded(grad), rules.folded(weights), index, size=size * batch.size)
    return rules.unfolded(out, batch.size)


@add_rows.oracle
def _(grad, weights, index, size):
    out = np.zeros((size + 1, grad.shape[1]), grad.dtype)
    np.add.at(out, index, weights[..., None] * grad[:, None])
    return out[:size]


row_products = Op(
    "row_products",
    ("grad", "input", "index"),
    saves=("grad", "input", "index"),
    bilinear=True,
    graph_inputs=(0, 1),
    doc="Gradient of `sum_rows` with respect to its weights: out[p, t] = sum(grad[p] * input[index[p, t]]).",
)
row_products.on_status(out_of_range)


@row_products.plan
def _(b: PlanBuilder, grad: Operand, input: Operand, index: Operand) -> None:
    points = index.spec.shape[0] if index.spec.ndim == 2 else None
    _prove("row_products", index, ("input", input, (None, None)), ("grad", grad, (points, *input.spec.shape[1:])))
    out = b.output(grad.spec.dtype, tuple(index.spec.shape))
    plan_row_products(b, contiguous(b, grad), contiguous(b, input), contiguous(b, index), out)


@row_products.backward
def _(ctx, grad):
    before, rows, index = ctx.saved
    return (
        sum_rows(rows, grad, index) if ctx.needs[0] else None,
        add_rows(before, grad, index, size=ctx.input_specs[1].shape[0]) if ctx.needs[1] else None,
        None,
    )


row_products.linear_in("grad")
row_products.linear_in("input")


@row_products.batch
def _(batch, grad, rows, index):
    grad, rows, index = batch.all(grad, rows, index)
    index = _one_index(index, rows._spec.shape[1])
    return rules.unfolded(row_products(rules.folded(grad), rules.folded(rows), index), batch.size)


@row_products.oracle
def _(grad, rows, index):
    return np.einsum("pc,ptc->pt", grad, _zeros_and(rows)[index])
