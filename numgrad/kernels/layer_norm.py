"""Layer norm over the last dimensions: every row of a matrix (M, D) is normalised by its own mean and variance.

With ``hat = (x - mean) * rstd`` and ``h = g * weight``: ``grad_x = rstd * (h - mean(h) - hat * mean(h * hat))``,
``grad_weight = sum(g * hat)`` and ``grad_bias = sum(g)`` over rows (Ba, Kiros, Hinton 2016).
"""

from __future__ import annotations

import math

import numpy as np

from numgrad import dtypes
from numgrad.errors import KernelError
from numgrad.kernels.reduce import (
    PARTIAL,
    plan_reduce,
)
from numgrad.kernels.reduce_kernels import (
    add_float_row,
)
from numgrad.layout import product, spec_of
from numgrad.runtime.kernel import kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder
from numgrad.runtime.program import Array

MOST_PARTS = 64


@kernel("T[:, :], T[:], T[:], T[:, :], T[:], T[:], f8", reassociate=True)
def layer_norm_forward(x, weight, bias, out, mean, rstd, eps, start, stop):
    x, out, mean, rstd = x[start:stop], out[start:stop], mean[start:stop], rstd[start:stop]
    for i in range(x.shape[0]):
        v, y = x[i], out[i]
        width = v.shape[0]
        m = y.dtype.type(add_float_row(0.0, v) / width)
        for j in range(y.shape[0]):
            d = v[j] - m
            y[j] = d * d
        k = y.dtype.type(1.0 / math.sqrt(add_float_row(0.0, y) / width + eps))
        mean[i] = m
        rstd[i] = k
        for j in range(y.shape[0]):
            y[j] = (v[j] - m) * k
        if weight.shape[0]:
            for j in range(y.shape[0]):
                y[j] *= weight[j]
        if bias.shape[0]:
            for j in range(y.shape[0]):
                y[j] += bias[j]


@kernel("T[:, :], T[:, :], T[:], T[:], T[:], T[:, :], f8[:, :], f8[:, :], i8", reassociate=True)
def layer_norm_backward(grad, x, weight, mean, rstd, grad_input, grad_weights, grad_biases, length, start, stop):
    """Work: parts of ``length`` rows; each adds up its own share of the parameters' gradients."""
    zero = mean.dtype.type(0)
    wants_input, wants_parameters = grad_input.shape[0] > 0, grad_weights.shape[0] > 0
    for part in range(start, stop):
        first = part * length
        gs, xs = grad[first : first + length], x[first : first + length]
        if wants_parameters:
            a, b = grad_weights[part], grad_biases[part]
            for j in range(a.shape[0]):
                a[j] = 0.0
                b[j] = 0.0
        for i in range(gs.shape[0]):
            g, v, m, k = gs[i], xs[i], mean[first + i], rstd[first + i]
            if wants_parameters:
                a, b = grad_weights[part], grad_biases[part]
                for j in range(a.shape[0]):
                    a[j] += g[j] * ((v[j] - m) * k)
                    b[j] += g[j]
            if wants_input:
                y = grad_input[first + i]
                if weight.shape[0]:
                    for j in range(y.shape[0]):
                        y[j] = g[j] * weight[j]
                else:
                    for j in range(y.shape[0]):
                        y[j] = g[j]
                s = 0.0
                q = 0.0
                for j in range(y.shape[0]):
                    s += y[j]
                    q += y[j] * np.float64((v[j] - m) * k)
                width = y.shape[0]
                s, q = s / width, q / width
                h, t = zero + mean.dtype.type(s), zero + mean.dtype.type(q)
                for j in range(y.shape[0]):
                    y[j] = k * ((y[j] - h) - t * ((v[j] - m) * k))


def _rows(name: str, x: Operand, normalized: int, *others: Operand | None) -> tuple[int, int]:
    for operand in (x, *others):
        if operand is not None and not (operand.spec.is_contiguous and operand.spec.shape == x.spec.shape):
            raise KernelError(
                f"{name}: an operand is {operand.spec}, expected contiguous, of shape {tuple(x.spec.shape)}"
            )
    split = x.spec.ndim - normalized
    return product(x.spec.shape[:split]), product(x.spec.shape[split:])


def _or_empty(operand: Operand | None, like: Operand, extent: int) -> Array:
    return like.array(0) if operand is None else operand.array(extent)


def plan_layer_norm(
    b: PlanBuilder,
    x: Operand,
    weight: Operand | None,
    bias: Operand | None,
    out: Operand,
    mean: Operand,
    rstd: Operand,
    *,
    normalized: int,
    eps: float,
) -> None:
    """Layer norm over the last ``normalized`` dimensions.

    x, out
        Contiguous, float32 or float64 as everything here.
    weight, bias
        The normalised dimensions, contiguous, or None.
    mean, rstd
        One value for each row (the leading dimensions), saved for the backward.
    """
    rows, width = _rows("layer_norm", x, normalized, out)
    b.launch(
        layer_norm_forward, x.array(rows, width), _or_empty(weight, x, width), _or_empty(bias, x, width),
        out.array(rows, width), mean.array(rows), rstd.array(rows), eps,
        work=rows, grain=max(1, GRAIN_COST // max(1, 4 * width)), cost=4 * rows * width,
    )  # fmt: skip


def plan_layer_norm_backward(
    b: PlanBuilder,
    grad_output: Operand,
    x: Operand,
    weight: Operand | None,
    mean: Operand,
    rstd: Operand,
    grad_input: Operand | None,
    grad_weight: Operand | None,
    grad_bias: Operand | None,
    *,
    normalized: int,
) -> None:
    """Gradients of `plan_layer_norm`; those that are None are not computed."""
    rows, width = _rows("layer_norm_backward", x, normalized, grad_output, grad_input)
    length = max(-(-PARTIAL // max(1, 4 * width)), -(-rows // MOST_PARTS), 1)
    parts = max(1, -(-rows // length))
    kept = parts if grad_weight is not None or grad_bias is not None else 0
    sums = [b.scratch(dtypes.float64, kept * width) for _ in range(2)]
    b.launch(
        layer_norm_backward, grad_output.array(rows, width), x.array(rows, width), _or_empty(weight, x, width),
        mean.array(rows), rstd.array(rows), x.array(0, 0) if grad_input is None else grad_input.array(rows, width),
        *[s.array(kept, width) for s in sums], length, work=parts, grain=1, cost=6 * rows * width,
    )  # fmt: skip
    for total, out in zip(sums, (grad_weight, grad_bias), strict=True):
        if out is not None:
            flat = Operand(out.index, spec_of(out.spec.dtype, (width,)), out.extent)
            table = Operand(total.index, spec_of(dtypes.float64, (kept, width)), total.extent)
            plan_reduce(b, "sum", table, flat, (0,))
