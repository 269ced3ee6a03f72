"""Batch norm over dim 1: plans for the kernels of `norm_kernels`."""

from __future__ import annotations

import math

from numgrad import dtypes
from numgrad.errors import ProofError
from numgrad.kernels.norm_kernels import (
    Statistics,
    batch_norm_apply_columns,
    batch_norm_apply_rows,
    batch_norm_backward_columns,
    batch_norm_backward_finish,
    batch_norm_backward_rows,
    batch_norm_backward_sums_columns,
    batch_norm_backward_sums_rows,
    batch_norm_finish,
    batch_norm_from_running,
    batch_norm_stats_columns,
    batch_norm_stats_rows,
)
from numgrad.kernels.reduce import PARTIAL
from numgrad.layout import Spec, channels_last_strides, product
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder
from numgrad.runtime.program import Array

MOST_PARTS = 64


def channel_view(spec: Spec) -> tuple[int, int, int] | None:
    """Memory as (outer, channels, inner); inner is 1 for channels-last and None is for any other layout."""
    n, c, inner = spec.shape[0], spec.shape[1], product(spec.shape[2:])
    relevant = [axis for axis in range(spec.ndim) if spec.shape[axis] != 1]
    channels_last = channels_last_strides(spec.shape)
    if all(spec.strides[axis] == channels_last[axis] for axis in relevant):
        return n * inner, c, 1
    return (n, c, inner) if spec.is_contiguous else None


def _common_view(name: str, x: Operand, others: tuple[Operand | None, ...]) -> tuple[int, int, int]:
    view = channel_view(x.spec)
    if view is None:
        raise ProofError(f"{name}: the input is {x.spec}, expected contiguous or channels-last")
    for other in others:
        if other is not None and (other.spec.shape != x.spec.shape or channel_view(other.spec) != view):
            raise ProofError(f"{name}: an operand is {other.spec}, expected the layout of the input, {x.spec}")
    return view


def _parts(outer: int, channels: int, inner: int) -> tuple[int, int]:
    """Number of parts and how many rows (inner == 1) or images each has."""
    width = channels if inner == 1 else inner
    length = max(-(-PARTIAL // max(width, 1)), -(-outer // MOST_PARTS), 1)
    return max(1, -(-outer // length)), length


def _rows_grain(width: int) -> int:
    return max(1, GRAIN_COST // max(width, 1))


def _or_empty(operand: Operand | None, like: Operand, *shape: int) -> Array:
    return like.array(*(0,) * len(shape)) if operand is None else operand.array(*shape)


def plan_batch_norm(
    b: PlanBuilder,
    x: Operand,
    weight: Operand | None,
    bias: Operand | None,
    running_mean: Operand | None,
    running_var: Operand | None,
    out: Operand,
    save_mean: Operand | None,
    save_invstd: Operand | None,
    *,
    training: bool,
    momentum: float | Operand,
    eps: float,
    relu: bool = False,
    residual: Operand | None = None,
) -> None:
    """Batch norm: ``out = relu?((x - mean) * invstd * weight + bias (+ residual))``.

    x, out, residual
        [N, C, ...], all channels-last or all contiguous; float32 or float64, as are all operands.
    weight, bias
        [C] or None.
    running_mean, running_var
        [C]. In training they are updated in place, or None; otherwise they give the statistics.
    save_mean, save_invstd
        [C]; in training the batch's mean and 1 / sqrt(biased variance + eps), for the backward; or None. Not
        written without ``training`` or for an empty x.
    momentum
        The new value's weight in the running statistics; an operand (float64, one element) if a replay may change it.
    """
    outer, c, inner = _common_view("batch_norm", x, (out, residual))
    if x.spec.numel == 0:
        return  # as in torch, running statistics stay
    dtype = x.spec.dtype
    scale, shift = b.scratch(dtype, c), b.scratch(dtype, c)
    if training:
        parts, length = _parts(outer, c, inner)
        means, squares = b.scratch(dtypes.float64, parts * c), b.scratch(dtypes.float64, parts * c)
        part_arrays = means.array(parts, c), squares.array(parts, c)
        if inner == 1:
            b.launch(
                batch_norm_stats_columns,
                x.array(outer, c),
                *part_arrays,
                length,
                work=parts,
                grain=1,
                cost=2 * outer * c,
            )
        else:
            unit_cost = length * inner
            b.launch(
                batch_norm_stats_rows, x.array(outer, c, inner), *part_arrays, length,
                work=parts * c, grain=_rows_grain(unit_cost), cost=2 * outer * c * inner,
            )  # fmt: skip
        save_mean = save_mean or b.scratch(dtype, c)
        save_invstd = save_invstd or b.scratch(dtype, c)
        factor = momentum if isinstance(momentum, Operand) else None
        b.launch(
            batch_norm_finish, *part_arrays, _or_empty(weight, x, c), _or_empty(bias, x, c),
            save_mean.array(c), save_invstd.array(c), _or_empty(running_mean, x, c), _or_empty(running_var, x, c),
            scale.array(c), shift.array(c), factor.array(1) if factor else means.array(0),
            Statistics(0.0 if isinstance(momentum, Operand) else momentum, eps, outer * inner, length * inner),
            work=c, grain=_rows_grain(8 * parts + 32), cost=c * (8 * parts + 32),
        )  # fmt: skip
        mean = save_mean
    else:
        if running_mean is None or running_var is None:
            raise ProofError("batch_norm: running_mean and running_var are None, expected statistics when not training")
        invstd = b.scratch(dtype, c)
        b.launch(
            batch_norm_from_running, running_var.array(c), _or_empty(weight, x, c), _or_empty(bias, x, c),
            invstd.array(c), scale.array(c), shift.array(c), eps, work=c, grain=GRAIN_COST // 16, cost=16 * c,
            prepares=True,
        )  # fmt: skip
        mean = running_mean
    rows, width = (outer, c) if inner == 1 else (outer * c, inner)
    apply = batch_norm_apply_columns if inner == 1 else batch_norm_apply_rows
    b.launch(
        apply, x.array(rows, width), _or_empty(residual, x, rows, width), mean.array(c), scale.array(c), shift.array(c),
        out.array(rows, width), 0.0 if relu else -math.inf, work=rows, grain=_rows_grain(width), cost=rows * width,
    )  # fmt: skip


def plan_batch_norm_backward(
    b: PlanBuilder,
    grad_output: Operand,
    x: Operand,
    weight: Operand | None,
    mean: Operand,
    spread: Operand,
    grad_input: Operand | None,
    grad_weight: Operand | None,
    grad_bias: Operand | None,
    *,
    training: bool,
    eps: float,
    out: Operand | None = None,
    grad_residual: Operand | None = None,
) -> None:
    """Gradients of `plan_batch_norm`; those that are None are not computed.

    grad_output, x, out, grad_input, grad_residual
        [N, C, ...], all of one layout. ``out`` is the saved output if a ReLU was fused, and only then is
        ``grad_residual`` computed (without a ReLU it is grad_output itself).
    mean, spread
        [C]: in training the saved mean and invstd, otherwise running_mean and running_var.
    """
    outer, c, inner = _common_view("batch_norm_backward", x, (grad_output, out, grad_input, grad_residual))
    if grad_residual is not None and (out is None or grad_input is None):
        raise ProofError(
            "batch_norm_backward: grad_residual is wanted, expected with a fused ReLU's output and grad_input"
        )
    dtype = x.spec.dtype
    scale, grad_mean, slope = b.scratch(dtype, c), b.scratch(dtype, c), b.scratch(dtype, c)
    invstd = spread
    if not training:
        invstd = b.scratch(dtype, c)
        b.launch(
            batch_norm_from_running, spread.array(c), x.array(0), x.array(0), invstd.array(c), scale.array(c),
            slope.array(c), eps, work=c, grain=GRAIN_COST // 16, cost=16 * c,
        )  # fmt: skip
    parts, length = _parts(outer, c, inner)
    needs_sums = x.spec.numel > 0 and (training or grad_weight is not None or grad_bias is not None)
    parts = parts if needs_sums else 0
    sums, dots = b.scratch(dtypes.float64, parts * c), b.scratch(dtypes.float64, parts * c)
    part_arrays = sums.array(parts, c), dots.array(parts, c)
    if needs_sums and inner == 1:
        b.launch(
            batch_norm_backward_sums_columns, x.array(outer, c), grad_output.array(outer, c),
            _or_empty(out, x, outer, c), mean.array(c), *part_arrays, length, work=parts, grain=1, cost=3 * outer * c,
        )  # fmt: skip
    elif needs_sums:
        b.launch(
            batch_norm_backward_sums_rows, x.array(outer, c, inner), grad_output.array(outer, c, inner),
            _or_empty(out, x, outer, c, inner), mean.array(c), *part_arrays, length,
            work=parts * c, grain=_rows_grain(length * inner), cost=3 * outer * c * inner,
        )  # fmt: skip
    b.launch(
        batch_norm_backward_finish, *part_arrays, invstd.array(c), _or_empty(weight, x, c),
        _or_empty(grad_weight, x, c), _or_empty(grad_bias, x, c), scale.array(c), grad_mean.array(c), slope.array(c),
        1.0 / (outer * inner) if training and outer * inner else 0.0,
        work=c, grain=_rows_grain(4 * parts + 16), cost=c * (4 * parts + 16),
    )  # fmt: skip
    if grad_input is None:
        return
    rows, width = (outer, c) if inner == 1 else (outer * c, inner)
    b.launch(
        batch_norm_backward_columns if inner == 1 else batch_norm_backward_rows,
        x.array(rows if training else 0, width), grad_output.array(rows, width), _or_empty(out, x, rows, width), mean.array(c),
        scale.array(c), grad_mean.array(c), slope.array(c), grad_input.array(rows, width),
        _or_empty(grad_residual, x, rows, width), work=rows, grain=_rows_grain(width), cost=2 * rows * width,
    )  # fmt: skip
