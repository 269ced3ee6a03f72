"""Layer norm over the last dimensions: every row of a matrix (M, D) is normalised by its own mean and variance.

With ``hat = (x - mean) * rstd`` and ``h = g * weight``: ``grad_x = rstd * (h - mean(h) - hat * mean(h * hat))``,
``grad_weight = sum(g * hat)`` and ``grad_bias = sum(g)`` over rows (Ba, Kiros, Hinton 2016).
"""

from __future__ import annotations

import math

from numgrad import dtypes
from numgrad.errors import ProofError
from numgrad.kernels.reduce import (
    PARTIAL,
    plan_reduce,
)
from numgrad.kernels.reduce_kernels import (
    BLOCK,
    add_float_row,
)
from numgrad.layout import product, spec_of
from numgrad.runtime.kernel import device, kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder
from numgrad.runtime.program import Array

MOST_PARTS = 64


@device
def add_squares(row, m):
    """The sum of the squared distances from m."""
    a = 0.0
    for first in range(0, row.shape[0], BLOCK):
        block = row[first : first + BLOCK]
        s = row.dtype.type(0)
        for j in range(block.shape[0]):
            d = block[j] - m
            s += d * d
        a += s
    return a


@kernel("T[:, :], T[:], T[:], T[:, :], T[:], T[:], f8", reassociate=True)
def layer_norm_forward(x, weight, bias, out, mean, rstd, eps, start, stop):
    x, out, mean, rstd = x[start:stop], out[start:stop], mean[start:stop], rstd[start:stop]
    for i in range(x.shape[0]):
        v, y = x[i], out[i]
        width = v.shape[0]
        m = y.dtype.type(add_float_row(0.0, v) / width)
        k = y.dtype.type(1.0 / math.sqrt(add_squares(v, m) / width + eps))
        mean[i] = m
        rstd[i] = k
        if weight.shape[0] and bias.shape[0]:
            for j in range(y.shape[0]):
                y[j] = ((v[j] - m) * k) * weight[j] + bias[j]
        elif weight.shape[0]:
            for j in range(y.shape[0]):
                y[j] = ((v[j] - m) * k) * weight[j]
        elif bias.shape[0]:
            for j in range(y.shape[0]):
                y[j] = ((v[j] - m) * k) + bias[j]
        else:
            for j in range(y.shape[0]):
                y[j] = (v[j] - m) * k


@device
def add_parameters(a, b, g, v, m, k):
    """Add a row's share of the parameters' gradients to ``a`` and ``b``."""
    for j in range(a.shape[0]):
        a[j] += g[j] * ((v[j] - m) * k)
        b[j] += g[j]


@device
def add_parameters_of_four(a, b, gs, xs, mean, rstd):
    """The same for four rows at once, which are first added up in their own type."""
    g0, g1, g2, g3 = gs[0], gs[1], gs[2], gs[3]
    v0, v1, v2, v3 = xs[0], xs[1], xs[2], xs[3]
    m0, m1, m2, m3 = mean[0], mean[1], mean[2], mean[3]
    k0, k1, k2, k3 = rstd[0], rstd[1], rstd[2], rstd[3]
    for j in range(a.shape[0]):
        first = g0[j] * ((v0[j] - m0) * k0) + g1[j] * ((v1[j] - m1) * k1)
        a[j] += first + (g2[j] * ((v2[j] - m2) * k2) + g3[j] * ((v3[j] - m3) * k3))
    for j in range(b.shape[0]):
        b[j] += (g0[j] + g1[j]) + (g2[j] + g3[j])


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
                # The rows that follow are in the cache when their own gradients are computed.
                if i % 4 == 0 and i + 4 <= gs.shape[0]:
                    add_parameters_of_four(
                        grad_weights[part], grad_biases[part], gs[i : i + 4], xs[i : i + 4],
                        mean[first + i :], rstd[first + i :],
                    )  # fmt: skip
                elif i >= gs.shape[0] // 4 * 4:
                    add_parameters(grad_weights[part], grad_biases[part], g, v, m, k)
            if wants_input:
                y = grad_input[first + i]
                # No stores in a loop that sums: they would make LLVM check for overlaps, and sum in another order.
                s = 0.0
                q = 0.0
                for begin in range(0, g.shape[0], BLOCK):
                    f, e, w = g[begin : begin + BLOCK], v[begin : begin + BLOCK], weight[begin : begin + BLOCK]
                    some, dots = zero, zero
                    for j in range(f.shape[0]):
                        z = f[j] * w[j] if weight.shape[0] else f[j]
                        some += z
                        dots += z * ((e[j] - m) * k)
                    s += some
                    q += dots
                width = y.shape[0]
                s, q = s / width, q / width
                h, t = zero + mean.dtype.type(s), zero + mean.dtype.type(q)
                if weight.shape[0]:
                    for j in range(y.shape[0]):
                        y[j] = k * ((g[j] * weight[j] - h) - t * ((v[j] - m) * k))
                else:
                    for j in range(y.shape[0]):
                        y[j] = k * ((g[j] - h) - t * ((v[j] - m) * k))


def _rows(name: str, x: Operand, normalized: int, *others: Operand | None) -> tuple[int, int]:
    for operand in (x, *others):
        if operand is not None and not (operand.spec.is_contiguous and operand.spec.shape == x.spec.shape):
            raise ProofError(
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
        Contiguous, float32 or float64, as are all operands.
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
    sum_rows = parts if grad_weight is not None or grad_bias is not None else 0
    sums = [b.scratch(dtypes.float64, sum_rows * width) for _ in range(2)]
    b.launch(
        layer_norm_backward, grad_output.array(rows, width), x.array(rows, width), _or_empty(weight, x, width),
        mean.array(rows), rstd.array(rows), x.array(0, 0) if grad_input is None else grad_input.array(rows, width),
        *[s.array(sum_rows, width) for s in sums], length, work=parts, grain=1, cost=6 * rows * width,
    )  # fmt: skip
    for total, out in zip(sums, (grad_weight, grad_bias), strict=True):
        if out is not None:
            flat = Operand(out.index, spec_of(out.spec.dtype, (width,)), out.extent)
            table = Operand(total.index, spec_of(dtypes.float64, (sum_rows, width)), total.extent)
            plan_reduce(b, "sum", table, flat, (0,))
