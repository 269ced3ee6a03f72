"""Batch norm over dim 1, forward and backward, with ReLU and a residual addition fused in.

An input N C H W is read as memory: channels-last as a matrix (N H W, C), whose *columns* are the channels, and
contiguous as (N, C, H W), where a channel is a set of *rows*. Each layout has its own small kernels. Shared kernels combine
their results, one for each channel and part of the input, in a fixed order.

The statistics are sums of differences from the part's first value, in float64, so that a mean far from zero costs no
digits; parts are combined by Chan, Golub and LeVeque's formula.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from numgrad.kernels.reduce_kernels import choose
from numgrad.runtime.kernel import kernel

# ---- statistics -------------------------------------------------------------------------------------------------


@kernel("T[:, :], f8[:, :], f8[:, :], i8")
def batch_norm_stats_columns(x, means, squares, length, start, stop):
    """Mean of each channel, and sum of squared differences from it, of parts of ``length`` rows."""
    for part in range(start, stop):
        rows = x[part * length : (part + 1) * length]
        s, q, shift = means[part], squares[part], rows[0]
        for j in range(s.shape[0]):
            s[j] = 0.0
            q[j] = 0.0
        count = rows.shape[0]
        fours = count - count % 4
        for i in range(0, fours, 4):
            x0, x1, x2, x3 = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
            for j in range(s.shape[0]):
                k = np.float64(shift[j])
                d0, d1, d2, d3 = x0[j] - k, x1[j] - k, x2[j] - k, x3[j] - k
                s[j] += (d0 + d1) + (d2 + d3)
                q[j] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3)
        for i in range(fours, count):
            x0 = rows[i]
            for j in range(s.shape[0]):
                d0 = x0[j] - np.float64(shift[j])
                s[j] += d0
                q[j] += d0 * d0
        for j in range(s.shape[0]):
            mean = s[j] / count
            q[j] -= s[j] * mean
            s[j] = shift[j] + mean


@kernel("T[:, :, :], f8[:, :], f8[:, :], i8", reassociate=True)
def batch_norm_stats_rows(x, means, squares, length, start, stop):
    """The same of parts of ``length`` images; a unit is one channel of one part."""
    channels = x.shape[1]
    for unit in range(start, stop):
        part = unit // channels
        c = unit - part * channels
        images = x[part * length : (part + 1) * length]
        shift = np.float64(images[0, c, 0])
        s = 0.0
        q = 0.0
        for n in range(images.shape[0]):
            row = images[n, c]
            for i in range(row.shape[0]):
                d = row[i] - shift
                s += d
                q += d * d
        mean = s / (images.shape[0] * images.shape[2])
        means[part, c] = shift + mean
        squares[part, c] = q - s * mean


class Statistics(NamedTuple):
    """The parts in which statistics of so many ``values`` were computed, and their weight in the running ones."""

    momentum: float
    eps: float
    values: int
    part_count: int  # values of a part; of the last perhaps fewer


@kernel("f8[:, :], f8[:, :], T[:], T[:], T[:], T[:], T[:], T[:], T[:], T[:], f8[:], Statistics", Statistics)
def batch_norm_finish(
    means, squares, weight, bias, save_mean, save_invstd, running_mean, running_var, scale, shift, factor, taken,
    start, stop,
):  # fmt: skip
    """From the parts' statistics, the saved ones, scale and shift. ``factor``, if not empty, is the momentum.

    The first part's row becomes the mean and the sum of squares of all.
    """
    parts = means.shape[0]
    momentum, eps, count, part_count = taken
    if factor.shape[0]:
        momentum = factor[0]
    mean, square = means[0, start:stop], squares[0, start:stop]
    weights, seen = np.float64(min(part_count, count)), 0.0
    for part in range(1, parts):
        other, other_square = means[part, start:stop], squares[part, start:stop]
        seen = weights
        here = np.float64(min(part_count, count - part * part_count))
        weights = seen + here
        share, cross = here / weights, seen * here / weights
        for c in range(mean.shape[0]):
            d = other[c] - mean[c]
            mean[c] += d * share
            square[c] += other_square[c] + d * d * cross
    save_mean, save_invstd = save_mean[start:stop], save_invstd[start:stop]
    scale, shift = scale[start:stop], shift[start:stop]
    inverse_count, inverse_free = 1.0 / np.float64(count), 1.0 / np.float64(count - 1)
    for c in range(mean.shape[0]):
        save_mean[c] = mean[c]
        invstd = 1.0 / math.sqrt(square[c] * inverse_count + eps)
        save_invstd[c] = invstd
        scale[c] = invstd
        shift[c] = 0.0
    if running_mean.shape[0]:
        running_mean, running_var = running_mean[start:stop], running_var[start:stop]
        for c in range(mean.shape[0]):
            running_mean[c] += momentum * (mean[c] - running_mean[c])
            running_var[c] += momentum * (square[c] * inverse_free - running_var[c])
    if weight.shape[0]:
        weight = weight[start:stop]
        for c in range(mean.shape[0]):
            scale[c] *= weight[c]
    if bias.shape[0]:
        bias = bias[start:stop]
        for c in range(mean.shape[0]):
            shift[c] = bias[c]


@kernel("T[:], T[:], T[:], T[:], T[:], T[:], f8")
def batch_norm_from_running(running_var, weight, bias, invstd, scale, shift, eps, start, stop):
    """The results of `batch_norm_finish`, from the running statistics."""
    for c in range(start, stop):
        inverse = 1.0 / math.sqrt(running_var[c] + eps)
        invstd[c] = inverse
        scale[c] = inverse * weight[c] if weight.shape[0] else inverse
        shift[c] = bias[c] if bias.shape[0] else 0.0


# ---- out = max(lower, (x - mean) * scale + shift + residual) -----------------------------------------------------


@kernel("T[:, :], T[:, :], T[:], T[:], T[:], T[:, :], T")
def batch_norm_apply_columns(x, residual, mean, scale, shift, out, lower, start, stop):
    added = residual.shape[0] > 0
    x, out, residual = x[start:stop], out[start:stop], residual[start:stop]
    for i in range(x.shape[0]):
        v, y = x[i], out[i]
        if added:
            r = residual[i]
            for j in range(y.shape[0]):
                t = (v[j] - mean[j]) * scale[j] + shift[j] + r[j]
                y[j] = lower if t < lower else t
        else:
            for j in range(y.shape[0]):
                t = (v[j] - mean[j]) * scale[j] + shift[j]
                y[j] = lower if t < lower else t


@kernel("T[:, :], T[:, :], T[:], T[:], T[:], T[:, :], T")
def batch_norm_apply_rows(x, residual, mean, scale, shift, out, lower, start, stop):
    channels = mean.shape[0]
    added = residual.shape[0] > 0
    for unit in range(start, stop):
        c = unit % channels
        m, k, h = mean[c], scale[c], shift[c]
        v, y = x[unit], out[unit]
        if added:
            r = residual[unit]
            for j in range(y.shape[0]):
                t = (v[j] - m) * k + h + r[j]
                y[j] = lower if t < lower else t
        else:
            for j in range(y.shape[0]):
                t = (v[j] - m) * k + h
                y[j] = lower if t < lower else t


# ---- backward: sums of g and g * (x - mean) for each channel, then grad_input ------------------------------------


@kernel("T[:, :], T[:, :], T[:, :], T[:], f8[:, :], f8[:, :], i8")
def batch_norm_backward_sums_columns(x, grad, out, mean, sums, dots, length, start, stop):
    """``out`` (not empty: a ReLU was fused) masks the gradient."""
    masked = out.shape[0] > 0
    for part in range(start, stop):
        rows, grads = x[part * length : (part + 1) * length], grad[part * length : (part + 1) * length]
        masks = out[part * length : (part + 1) * length]
        s, q = sums[part], dots[part]
        zero = mean.dtype.type(0)
        for j in range(s.shape[0]):
            s[j] = 0.0
            q[j] = 0.0
        count = rows.shape[0]
        whole = count - count % 4
        if masked:
            for i in range(0, whole, 4):
                x0, x1, x2, x3 = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
                g0, g1, g2, g3 = grads[i], grads[i + 1], grads[i + 2], grads[i + 3]
                m0, m1, m2, m3 = masks[i], masks[i + 1], masks[i + 2], masks[i + 3]
                for j in range(s.shape[0]):
                    a0, a1 = choose(m0[j] <= zero, zero, g0[j]), choose(m1[j] <= zero, zero, g1[j])
                    a2, a3 = choose(m2[j] <= zero, zero, g2[j]), choose(m3[j] <= zero, zero, g3[j])
                    k = mean[j]
                    s[j] += (a0 + a1) + (a2 + a3)
                    q[j] += (a0 * (x0[j] - k) + a1 * (x1[j] - k)) + (a2 * (x2[j] - k) + a3 * (x3[j] - k))
        else:
            for i in range(0, whole, 4):
                x0, x1, x2, x3 = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
                g0, g1, g2, g3 = grads[i], grads[i + 1], grads[i + 2], grads[i + 3]
                for j in range(s.shape[0]):
                    k = mean[j]
                    s[j] += (g0[j] + g1[j]) + (g2[j] + g3[j])
                    q[j] += (g0[j] * (x0[j] - k) + g1[j] * (x1[j] - k)) + (g2[j] * (x2[j] - k) + g3[j] * (x3[j] - k))
        for i in range(whole, count):
            x0, g0 = rows[i], grads[i]
            for j in range(s.shape[0]):
                a0 = g0[j]
                if masked and masks[i, j] <= zero:
                    a0 = zero
                s[j] += a0
                q[j] += a0 * (x0[j] - mean[j])


@kernel("T[:, :, :], T[:, :, :], T[:, :, :], T[:], f8[:, :], f8[:, :], i8", reassociate=True)
def batch_norm_backward_sums_rows(x, grad, out, mean, sums, dots, length, start, stop):
    channels = x.shape[1]
    masked = out.shape[0] > 0
    zero = mean.dtype.type(0)
    for unit in range(start, stop):
        part = unit // channels
        c = unit - part * channels
        m = mean[c]
        s = 0.0
        q = 0.0
        for n in range(part * length, min(x.shape[0], (part + 1) * length)):
            v, g = x[n, c], grad[n, c]
            if masked:
                o = out[n, c]
                for i in range(v.shape[0]):
                    a = choose(o[i] <= zero, zero, g[i])
                    s += a
                    q += a * np.float64(v[i] - m)
            else:
                for i in range(v.shape[0]):
                    s += g[i]
                    q += g[i] * np.float64(v[i] - m)
        sums[part, c] = s
        dots[part, c] = q


@kernel("f8[:, :], f8[:, :], T[:], T[:], T[:], T[:], T[:], T[:], T[:], f8")
def batch_norm_backward_finish(
    sums, dots, invstd, weight, grad_weight, grad_bias, scale, grad_mean, slope, inverse_count, start, stop
):
    """Parameter gradients, and the coefficients of ``grad_input = scale * (g - grad_mean - slope * (x - mean))``.

    ``inverse_count`` is 1 / count, or 0 where the statistics did not depend on the input (evaluation).
    """
    invstd, scale, grad_mean, slope = invstd[start:stop], scale[start:stop], grad_mean[start:stop], slope[start:stop]
    zero = scale.dtype.type(0)
    for c in range(scale.shape[0]):
        scale[c] = invstd[c]
        grad_mean[c] = zero
        slope[c] = zero
    if sums.shape[0]:
        s, q = sums[0, start:stop], dots[0, start:stop]
        for part in range(1, sums.shape[0]):
            other_s, other_q = sums[part, start:stop], dots[part, start:stop]
            for c in range(s.shape[0]):
                s[c] += other_s[c]
                q[c] += other_q[c]
        for c in range(s.shape[0] if inverse_count > 0 else 0):  # else 0 * NaN would be NaN
            grad_mean[c] = s[c] * inverse_count
            slope[c] = q[c] * inverse_count * np.float64(invstd[c]) * np.float64(invstd[c])
    if weight.shape[0]:
        weight = weight[start:stop]
        for c in range(scale.shape[0]):
            scale[c] *= weight[c]
    if grad_weight.shape[0]:
        grad_weight = grad_weight[start:stop]
        for c in range(scale.shape[0]):
            grad_weight[c] = dots[0, start + c] * invstd[c] if sums.shape[0] else zero
    if grad_bias.shape[0]:
        grad_bias = grad_bias[start:stop]
        for c in range(scale.shape[0]):
            grad_bias[c] = sums[0, start + c] if sums.shape[0] else zero


@kernel("T[:, :], T[:, :], T[:, :], T[:], T[:], T[:], T[:], T[:, :], T[:, :]")
def batch_norm_backward_columns(x, grad, out, mean, scale, grad_mean, slope, grad_input, grad_residual, start, stop):
    """Without ``x`` the statistics are constant: ``grad_input = scale * g``."""
    masked, has_residual = out.shape[0] > 0, grad_residual.shape[0] > 0
    zero = mean.dtype.type(0)
    for i in range(start, stop):
        g, y = grad[i], grad_input[i]
        if x.shape[0] == 0:
            if masked:
                o, r = out[i], grad_residual[i] if has_residual else y
                for j in range(r.shape[0]):
                    r[j] = choose(o[j] <= zero, zero, g[j])
                g = r
            for j in range(y.shape[0]):
                y[j] = scale[j] * g[j]
            continue
        v = x[i]
        if masked and not has_residual:
            o = out[i]
            for j in range(y.shape[0]):
                a = choose(o[j] <= zero, zero, g[j])
                y[j] = scale[j] * ((a - grad_mean[j]) - slope[j] * (v[j] - mean[j]))
            continue
        if masked:
            o, r = out[i], grad_residual[i]
            for j in range(r.shape[0]):
                r[j] = choose(o[j] <= zero, zero, g[j])
            g = r
        for j in range(y.shape[0]):
            y[j] = scale[j] * ((g[j] - grad_mean[j]) - slope[j] * (v[j] - mean[j]))


@kernel("T[:, :], T[:, :], T[:, :], T[:], T[:], T[:], T[:], T[:, :], T[:, :]")
def batch_norm_backward_rows(x, grad, out, mean, scale, grad_mean, slope, grad_input, grad_residual, start, stop):
    """Without ``x`` the statistics are constant: ``grad_input = scale * g``."""
    channels = mean.shape[0]
    masked, has_residual = out.shape[0] > 0, grad_residual.shape[0] > 0
    zero = mean.dtype.type(0)
    for unit in range(start, stop):
        c = unit % channels
        m, k, h, t = mean[c], scale[c], grad_mean[c], slope[c]
        g, y = grad[unit], grad_input[unit]
        if x.shape[0] == 0:
            if masked:
                o, r = out[unit], grad_residual[unit] if has_residual else y
                for j in range(r.shape[0]):
                    r[j] = choose(o[j] <= zero, zero, g[j])
                g = r
            for j in range(y.shape[0]):
                y[j] = k * g[j]
            continue
        v = x[unit]
        if masked and not has_residual:
            o = out[unit]
            for j in range(y.shape[0]):
                a = choose(o[j] <= zero, zero, g[j])
                y[j] = k * ((a - h) - t * (v[j] - m))
            continue
        if masked:
            o, r = out[unit], grad_residual[unit]
            for j in range(r.shape[0]):
                r[j] = choose(o[j] <= zero, zero, g[j])
            g = r
        for j in range(y.shape[0]):
            y[j] = k * ((g[j] - h) - t * (v[j] - m))
