"""Softmax and log-softmax over one dimension, and the negative log-likelihood loss.

A dense tensor is read as (outer, D, inner). With inner == 1 a row is softened at once; otherwise up to `COLUMNS` rows
that lie side by side, vectorised over them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from numgrad import dtypes
from numgrad.errors import ProofError
from numgrad.kernels import scalar
from numgrad.kernels.elementwise import plan_elementwise
from numgrad.kernels.fill import plan_fill
from numgrad.kernels.reduce import PARTIAL, plan_reduce
from numgrad.kernels.reduce_kernels import (
    BLOCK,
    add_float_row,
    larger,
    larger_row,
)
from numgrad.kernels.vector_math import exp, log
from numgrad.layout import Spec, product
from numgrad.runtime.kernel import device, kernel
from numgrad.runtime.plan import GRAIN_COST, SHARED_COST, STATUS, Operand, PlanBuilder, column_grain
from numgrad.runtime.program import Array

COLUMNS, NARROWEST = 256, 64
BLOCK_BYTES = 1 << 20  # of a block of columns, which is read three times; narrow rows cost more than a farther cache
EACH = 2  # blocks of columns that there should be for each thread
FEW, FEW_SIZE = 4, 1 << 16  # units, and elements of all of them, that are computed in several launches, by all threads
EXP_COST = 4  # an exponential, in elementary operations


# No stores in a loop that sums: they would make LLVM check for overlaps, and sum in another order.


@device
def add_exponentials(row, high):
    """The sum of exp(row - high)."""
    a = 0.0
    for first in range(0, row.shape[0], BLOCK):
        block = row[first : first + BLOCK]
        s = row.dtype.type(0)
        for j in range(block.shape[0]):
            s += exp(block[j] - high)
        a += s
    return a


@device
def add_products(x, y):
    """The sum of x * y."""
    a = 0.0
    for first in range(0, x.shape[0], BLOCK):
        v, w = x[first : first + BLOCK], y[first : first + BLOCK]
        s = x.dtype.type(0)
        for j in range(v.shape[0]):
            s += v[j] * w[j]
        a += s
    return a


@kernel("T[:, :], T[:, :], i8", reassociate=True)
def softmax_rows(x, out, logarithm, start, stop):
    """out = exp(x - max) / sum, or x - max - log(sum)."""
    x, out = x[start:stop], out[start:stop]
    for i in range(x.shape[0]):
        v, y = x[i], out[i]
        high = larger_row(v[0], v)
        if logarithm:
            log_total = y.dtype.type(math.log(add_exponentials(v, high)))
            for j in range(y.shape[0]):
                y[j] = (v[j] - high) - log_total
        else:
            for j in range(y.shape[0]):
                y[j] = exp(v[j] - high)
            share = y.dtype.type(1.0 / add_float_row(0.0, y))
            for j in range(y.shape[0]):
                y[j] *= share


@kernel("T[:, :, :], T[:, :, :], T[:], f8[:], i8, i8, i8")
def softmax_columns(x, out, high, total, blocks, width, logarithm, start, stop, worker):
    """The same over the middle dimension; a unit is a block of ``width`` columns of one outer index."""
    high, total = high[2 * worker * COLUMNS :][: 2 * COLUMNS], total[worker * COLUMNS : (worker + 1) * COLUMNS]
    for unit in range(start, stop):
        n = unit // blocks
        first = (unit - n * blocks) * width
        last = min(x.shape[2], first + width)
        m, s, share = high[: last - first], total[: last - first], high[COLUMNS:][: last - first]
        v = x[n, 0, first:last]
        for j in range(m.shape[0]):
            m[j] = v[j]
            s[j] = 0.0
        for i in range(1, x.shape[1]):
            v = x[n, i, first:last]
            for j in range(m.shape[0]):
                m[j] = larger(m[j], v[j])
        for i in range(x.shape[1]):
            v, y = x[n, i, first:last], out[n, i, first:last]
            for j in range(m.shape[0]):
                y[j] = exp(v[j] - m[j])
            if i % 4 == 3:
                y0, y1, y2 = out[n, i - 3, first:last], out[n, i - 2, first:last], out[n, i - 1, first:last]
                for j in range(s.shape[0]):
                    s[j] += (y0[j] + y1[j]) + (y2[j] + y[j])
        for i in range(x.shape[1] // 4 * 4, x.shape[1]):
            y = out[n, i, first:last]
            for j in range(s.shape[0]):
                s[j] += y[j]
        if logarithm:
            for j in range(m.shape[0]):
                share[j] = log(s[j])
            for i in range(x.shape[1]):
                v, y = x[n, i, first:last], out[n, i, first:last]
                for j in range(m.shape[0]):
                    y[j] = (v[j] - m[j]) - share[j]
        else:
            for j in range(m.shape[0]):
                share[j] = 1.0 / s[j]
            for i in range(x.shape[1]):
                y = out[n, i, first:last]
                for j in range(m.shape[0]):
                    y[j] *= share[j]


@kernel("T[:, :], T[:, :], T[:, :], i8", reassociate=True)
def softmax_backward_rows(grad, out, grad_input, logarithm, start, stop):
    """out * (g - sum(g * out)), or g - exp(out) * sum(g)."""
    grad, out, grad_input = grad[start:stop], out[start:stop], grad_input[start:stop]
    for i in range(out.shape[0]):
        g, y, d = grad[i], out[i], grad_input[i]
        if logarithm:
            t = y.dtype.type(add_float_row(0.0, g))
            for j in range(d.shape[0]):
                d[j] = g[j] - exp(y[j]) * t
        else:
            t = y.dtype.type(add_products(g, y))
            for j in range(d.shape[0]):
                d[j] = y[j] * (g[j] - t)


@kernel("T[:, :, :], T[:, :, :], T[:, :, :], T[:], f8[:], i8, i8, i8")
def softmax_backward_columns(grad, out, grad_input, share, total, blocks, width, logarithm, start, stop, worker):
    share, total = share[worker * COLUMNS : (worker + 1) * COLUMNS], total[worker * COLUMNS : (worker + 1) * COLUMNS]
    for unit in range(start, stop):
        n = unit // blocks
        first = (unit - n * blocks) * width
        last = min(out.shape[2], first + width)
        s, t = total[: last - first], share[: last - first]
        for j in range(s.shape[0]):
            s[j] = 0.0
        for i in range(out.shape[1]):
            g, y = grad[n, i, first:last], out[n, i, first:last]
            if logarithm:
                for j in range(s.shape[0]):
                    s[j] += g[j]
            else:
                for j in range(s.shape[0]):
                    s[j] += g[j] * y[j]
        for j in range(s.shape[0]):
            t[j] = s[j]
        for i in range(out.shape[1]):
            g, y, d = grad[n, i, first:last], out[n, i, first:last], grad_input[n, i, first:last]
            if logarithm:
                for j in range(s.shape[0]):
                    d[j] = g[j] - exp(y[j]) * t[j]
            else:
                for j in range(s.shape[0]):
                    d[j] = y[j] * (g[j] - t[j])


# ---- negative log-likelihood ------------------------------------------------------------------------------------


class ClassGrid(NamedTuple):
    """Values [N, classes, inner positions]: extents, and elements from one of each to the next."""

    classes: int
    inner: int
    step_n: int
    step_class: int
    step_inner: int


@kernel("T[:], i8[:], T[:], T[:], f8[:, :], i8[:], ClassGrid, i8, i8", ClassGrid)
def nll_forward(x, target, weight, losses, parts, status, grid, ignore, length, start, stop):
    """Work: parts of ``length`` positions. losses (not empty: no reduction) or each part's sums of loss and weight."""
    for part in range(start, stop):
        first = part * length
        labels = target[first : first + length]
        total, weights = 0.0, 0.0
        n = first // grid.inner
        rest = first - n * grid.inner
        for i in range(labels.shape[0]):
            label, position = labels[i], first + i
            begin = n * grid.step_n + rest * grid.step_inner
            rest += 1  # an odometer: a division takes longer than all else
            if rest == grid.inner:
                n, rest = n + 1, 0
            loss = 0.0
            if label != ignore:
                if label < 0 or label >= grid.classes:
                    status[0] = 1 + position
                else:
                    v = x[begin + label * grid.step_class]
                    w = np.float64(weight[label]) if weight.shape[0] else 1.0
                    loss = -w * v
                    total += loss
                    weights += w
            if losses.shape[0]:
                losses[position] = loss
        parts[part, 0] = total
        parts[part, 1] = weights


@kernel("f8[:, :], T[:], T[:], i8")
def nll_finish(parts, loss, total_weight, mean, start, stop):
    total, weights = 0.0, 0.0
    for part in range(parts.shape[0]):
        total += parts[part, 0]
        weights += parts[part, 1]
    total_weight[0] = weights
    if loss.shape[0]:
        loss[0] = total / weights if mean else total


@kernel("T[:], i8[:], T[:], T[:], T[:], i8[:], ClassGrid, i8, i8, i8", ClassGrid)
def nll_backward(
    grad, target, weight, total_weight, grad_input, status, grid, ignore, reduced, length, start, stop
):  # fmt: skip
    """Work: parts of ``length`` positions. grad is one value if ``reduced``.

    If classes lie side by side, each position writes all of them; else all are 0 before.
    """
    zero = grad.dtype.type(0)
    for part in range(start, stop):
        first = part * length
        labels = target[first : first + length]
        for i in range(labels.shape[0]):
            label, position = labels[i], first + i
            n = position // grid.inner
            begin = n * grid.step_n + (position - n * grid.inner) * grid.step_inner
            if grid.step_class == 1:
                row = grad_input[begin : begin + grid.classes]
                for c in range(row.shape[0]):
                    row[c] = zero
            if label != ignore:
                if label < 0 or label >= grid.classes:
                    status[0] = 1 + position
                else:
                    w = -(weight[label] if weight.shape[0] else grad.dtype.type(1))
                    g = grad[0] if reduced else grad[position]
                    if total_weight.shape[0]:
                        w /= total_weight[0]
                    grad_input[begin + label * grid.step_class] = w * g


# ---- planning ---------------------------------------------------------------------------------------------------


def outer_dim_inner(spec: Spec, dim: int) -> tuple[int, int, int] | None:
    """Dense memory as (outer, D, inner) around one dimension, in the order in which it lies; None if not dense."""
    if spec.ndim == 0:
        return 1, 1, 1
    if not spec.is_dense:
        return None
    inner = spec.strides[dim] if spec.shape[dim] > 1 else 1
    inner = max(inner, 1) if spec.numel else product(spec.shape[dim % spec.ndim + 1 :])
    return (spec.numel // (inner * spec.shape[dim]) if spec.numel else 0), spec.shape[dim], inner


def _common(name: str, dim: int, *operands: Operand) -> tuple[int, int, int]:
    first = operands[0].spec
    relevant = [axis for axis in range(first.ndim) if first.shape[axis] > 1]
    view = outer_dim_inner(first, dim)
    for operand in operands:
        same = operand.spec.shape == first.shape and all(operand.spec.strides[a] == first.strides[a] for a in relevant)
        if view is None or not same:
            raise ProofError(f"{name}: an operand is {operand.spec}, expected dense and laid out as {first}")
    assert view is not None
    return view


def _shifted_exp(x, high):
    return scalar.exp(x - high)


def _shared(e, total):
    return e / total


def _log_shared(x, high, total):
    return (x - high) - scalar.log(total)


def _of_product(grad, out, total):
    return out * (grad - total)


def _of_logarithm(grad, out, total):
    return grad - scalar.exp(out) * total


def _product(grad, out):
    return grad * out


def _columns_of(b: PlanBuilder, outer: int, extent: int, inner: int, itemsize: int, unit: int) -> tuple[int, int, int]:
    """Blocks of columns, columns of each, and blocks in a chunk: what is read again should lie near, and all threads have work.

    A column's bits do not depend on the block that it is in. ``unit`` is the cost of an element.
    """
    width = min(COLUMNS, max(NARROWEST, BLOCK_BYTES // max(1, extent * itemsize) // NARROWEST * NARROWEST))
    divided = b.workers > 1 and outer * extent * inner * unit >= SHARED_COST
    while divided and width > NARROWEST and outer * -(-inner // width) < EACH * b.workers:
        width //= 2
    blocks = -(-inner // width)
    return blocks, width, column_grain(blocks, outer * blocks, extent * min(inner, width) * unit)


def _is_for_all_threads(units: int, size: int) -> bool:
    """Whether so few units share so many elements that each should be computed by all threads, in several launches."""
    return 0 < units < FEW and size >= FEW_SIZE


def plan_softmax(b: PlanBuilder, x: Operand, out: Operand, dim: int, *, log: bool = False) -> None:
    """Softmax, or its logarithm, over ``dim``; x and out float32 or float64, dense, of the same shape and strides."""
    outer, extent, inner = _common("softmax", dim, x, out)
    code, cost = x.code, outer * extent * inner * EXP_COST
    blocks, width, grain = _columns_of(b, outer, extent, inner, x.spec.dtype.itemsize, EXP_COST)
    if _is_for_all_threads(outer * blocks, outer * extent * inner):
        x, out = (_seen_as(operand, outer, extent, inner) for operand in (x, out))
        high, total = (_one_each(b, x, outer, inner) for _ in range(2))
        plan_reduce(b, "max", x, high, (1,))
        plan_elementwise(b, "softmax_exp", _shifted_exp, code, [x, high], [out], cost=EXP_COST)
        plan_reduce(b, "sum", out, total, (1,))
        if log:
            plan_elementwise(b, "softmax_log", _log_shared, code, [x, high, total], [out], cost=EXP_COST)
        else:
            plan_elementwise(b, "softmax_share", _shared, code, [out, total], [out])
        return
    if inner == 1:
        b.launch(
            softmax_rows, x.array(outer, extent), out.array(outer, extent), int(log),
            work=outer if extent else 0, grain=max(1, GRAIN_COST // max(1, extent * EXP_COST)), cost=cost,
        )  # fmt: skip
        return
    shape = outer, extent, inner
    b.launch(
        softmax_columns, x.array(*shape), out.array(*shape), b.scratch(x.spec.dtype, 2 * COLUMNS, per_worker=True).flat,
        b.scratch(dtypes.float64, COLUMNS, per_worker=True).flat, blocks, width, int(log),
        work=outer * blocks if extent else 0, grain=grain, cost=cost,
    )  # fmt: skip


def _seen_as(operand: Operand, outer: int, extent: int, inner: int) -> Operand:
    return operand.view((outer, extent, inner), (extent * inner, inner, 1))


def _one_each(b: PlanBuilder, like: Operand, outer: int, inner: int) -> Operand:
    """A number for each row or column that is softened."""
    return b.scratch(like.spec.dtype, outer * inner).view((outer, 1, inner), (inner, 0, 1))


def plan_softmax_backward(
    b: PlanBuilder, grad_output: Operand, out: Operand, grad_input: Operand, dim: int, *, log: bool = False
) -> None:
    """Gradient of `plan_softmax` from its output; all operands dense, of the same shape and strides."""
    outer, extent, inner = _common("softmax_backward", dim, out, grad_output, grad_input)
    unit = EXP_COST if log else 2
    operands = grad_output, out, grad_input
    blocks, width, grain = _columns_of(b, outer, extent, inner, out.spec.dtype.itemsize, unit)
    if _is_for_all_threads(outer * blocks, outer * extent * inner):
        g, y, d = (_seen_as(operand, outer, extent, inner) for operand in operands)
        total = _one_each(b, y, outer, inner)
        if not log:
            plan_elementwise(b, "softmax_product", _product, out.code, [g, y], [d])
        plan_reduce(b, "sum", g if log else d, total, (1,))
        slope = _of_logarithm if log else _of_product
        plan_elementwise(b, "softmax_slope", slope, out.code, [g, y, total], [d], cost=unit)
        return
    if inner == 1:
        b.launch(
            softmax_backward_rows, *[o.array(outer, extent) for o in operands], int(log),
            work=outer, grain=max(1, GRAIN_COST // max(1, extent * unit)), cost=outer * extent * unit,
        )  # fmt: skip
        return
    b.launch(
        softmax_backward_columns, *[o.array(outer, extent, inner) for o in operands],
        b.scratch(out.spec.dtype, COLUMNS, per_worker=True).flat,
        b.scratch(dtypes.float64, COLUMNS, per_worker=True).flat, blocks, width, int(log), work=outer * blocks,
        grain=grain, cost=outer * extent * inner * unit,
    )  # fmt: skip


def _class_strides(name: str, spec: Spec, target: Spec) -> tuple[int, int, int, int, int]:
    """classes, inner positions, and strides of image, class and position of [N, C, d1, ...] (or [C])."""
    if spec.ndim == 1:
        return spec.shape[0], 1, 0, spec.strides[0], 0
    expected = (spec.shape[0], *spec.shape[2:])
    if tuple(target.shape) != expected or not target.is_contiguous:
        raise ProofError(f"{name}: target is {target}, expected contiguous, of shape {expected}")
    stride, extent = 0, 1
    for axis in range(spec.ndim - 1, 1, -1):
        if spec.shape[axis] == 1:
            continue
        if extent == 1:
            stride = spec.strides[axis]
        elif spec.strides[axis] != stride * extent:
            raise ProofError(f"{name}: the input is {spec}, expected positions that lie at one stride")
        extent *= spec.shape[axis]
    return spec.shape[1], product(spec.shape[2:]), spec.strides[0], spec.strides[1], stride


def _parts_of(positions: int, width: int) -> tuple[int, int]:
    length = max(1, min(PARTIAL // 8, GRAIN_COST // max(1, width)))
    return max(1, -(-positions // length)), length


def plan_nll_loss(
    b: PlanBuilder,
    x: Operand,
    target: Operand,
    weight: Operand | None,
    out: Operand,
    total_weight: Operand,
    *,
    reduction: str,
    ignore_index: int = -100,
) -> None:
    """Negative log-likelihood: ``-weight[target] * x[..., target, ...]``, reduced.

    x
        Log-probabilities [N, C], [N, C, d1, ...] or [C]; positions d1, ... lie at one stride.
    target
        int64, x's shape without C, contiguous. A label out of range sets the status to 1 + its position.
    weight
        [C] or None.
    out
        target's shape, contiguous, for reduction ``none``; one element for ``sum`` and ``mean``.
    total_weight
        One element: the sum of the targets' weights, by which the mean divides; the backward reads it.
    """
    classes, inner, *strides = _class_strides("nll_loss", x.spec, target.spec)
    positions = target.spec.numel
    none = reduction == "none"
    parts, length = _parts_of(positions, 8)
    sums = b.scratch(dtypes.float64, 2 * parts)
    b.launch(
        nll_forward, x.flat, target.flat, _or_empty(weight, x, classes), out.array(positions) if none else x.array(0),
        sums.array(parts, 2), STATUS, ClassGrid(classes, max(1, inner), *strides), ignore_index, length,
        work=parts, grain=1, cost=8 * positions,
    )  # fmt: skip
    b.launch(
        nll_finish, sums.array(parts, 2), x.array(0) if none else out.array(1), total_weight.array(1),
        int(reduction == "mean"), work=1, grain=1, cost=2 * parts,
    )  # fmt: skip


def plan_nll_loss_backward(
    b: PlanBuilder,
    grad_output: Operand,
    target: Operand,
    weight: Operand | None,
    total_weight: Operand,
    grad_input: Operand,
    *,
    reduction: str,
    ignore_index: int = -100,
) -> None:
    """Gradient of `plan_nll_loss`: grad_output is [target's shape], contiguous, for ``none``, else one element."""
    classes, inner, *strides = _class_strides("nll_loss_backward", grad_input.spec, target.spec)
    positions = target.spec.numel
    none = reduction == "none"
    parts, length = _parts_of(positions, classes)
    if not grad_input.spec.is_dense:
        raise ProofError(f"nll_loss_backward: grad_input is {grad_input.spec}, expected dense")
    if strides[1] != 1:
        plan_fill(b, grad_input, 0)
    b.launch(
        nll_backward, grad_output.array(positions if none else 1), target.flat, _or_empty(weight, grad_input, classes),
        total_weight.array(1 if reduction == "mean" else 0), grad_input.flat, STATUS,
        ClassGrid(classes, max(1, inner), *strides), ignore_index, int(not none), length,
        work=parts if positions else 0, grain=1, cost=positions * classes,
    )  # fmt: skip


def _or_empty(operand: Operand | None, like: Operand, extent: int) -> Array:
    return like.array(0) if operand is None else operand.array(extent)
