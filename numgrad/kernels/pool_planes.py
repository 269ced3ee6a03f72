"""Pooling of planes that lie row after row, as in contiguous N C H W: vectorised along the rows.

A row of outputs is computed tap by tap: each tap has one loop, over all outputs for which it lies inside the plane. The
input's elements of one loop lie ``step`` apart; steps of 1 and 2 have loops of their own, in which LLVM reads whole vectors.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numgrad.kernels.reduce_kernels import (
    choose,
)
from numgrad.runtime.kernel import device, kernel

TWO = np.uint64(2)  # an unsigned index is never counted from the end, which would not vectorise


class Axis(NamedTuple):
    """A window along one axis; ``size`` 0 marks the windows of adaptive pooling."""

    size: int
    step: int
    pad: int
    dilation: int


class Windows(NamedTuple):
    """The windows of a pooling."""

    rows: Axis
    columns: Axis


class Means(NamedTuple):
    """Of average pooling: whether padding counts, and what sums are divided by (0: the number of pixels)."""

    count_pad: int
    divisor: int


@device
def first_inside(at, step):
    """The first output whose tap is not before the plane; for output 0 the tap lies at ``at``."""
    return 0 if at >= 0 else (-at + step - 1) // step


@device
def end_inside(at, step, extent, outputs):
    """One after the last output whose tap is not behind the plane."""
    return 0 if at >= extent else min(outputs, (extent - 1 - at) // step + 1)


# ---- max --------------------------------------------------------------------------------------------------------


@device
def take_larger(new, best, offsets, offset, q):
    """The better of two values goes to ``best[q]``, and the offset of its tap to ``offsets[q]``."""
    old, before = best[q], offsets[q]
    take = (new > old) | (new != new)
    best[q] = choose(take, new, old)
    offsets[q] = choose(take, offset, before)


@kernel("T[:, :, :], T[:, :, :], i8[:, :, :], i4[:], Windows, T", Windows)
def max_pool_planes(x, out, indices, offsets, windows, lowest, start, stop, worker):
    """Work: rows of the output. Values and indices as `pool.max_pool_forward` gives them."""
    r, step_h, pad_h, dil_h = windows.rows
    s, step_w, pad_w, dil_w = windows.columns
    height, width = x.shape[1], x.shape[2]
    out_height, out_width = out.shape[1], out.shape[2]
    offsets = offsets[worker * out_width : (worker + 1) * out_width]
    for row in range(start, stop):
        n = row // out_height
        p = row - n * out_height
        best, where = out[n, p], indices[n, p]
        top = p * step_h - pad_h
        i_first = 0 if top >= 0 else (-top + dil_h - 1) // dil_h
        # If no tap beats the first value, all values are the lowest, and the index is that of the first tap inside.
        for q in range(out_width):
            left = q * step_w - pad_w
            j_first = 0 if left >= 0 else (-left + dil_w - 1) // dil_w
            best[q] = lowest
            offsets[q] = np.int32(i_first * dil_h * width + j_first * dil_w)
        for i in range(i_first, r):
            h = top + i * dil_h
            if h >= height:
                break
            for j in range(s):
                at = j * dil_w - pad_w
                first, end = first_inside(at, step_w), end_inside(at, step_w, width, out_width)
                if first >= end:
                    continue
                v, b, k = x[n, h, at + first * step_w :], best[first:end], offsets[first:end]
                offset = np.int32(i * dil_h * width + j * dil_w)
                if step_w == 1:
                    for q in range(b.shape[0]):
                        take_larger(v[q], b, k, offset, q)
                elif step_w == 2:
                    for q in range(b.shape[0]):
                        take_larger(v[np.uint64(q) * TWO], b, k, offset, q)
                else:
                    for q in range(b.shape[0]):
                        take_larger(v[q * step_w], b, k, offset, q)
        origin = top * width - pad_w
        for q in range(out_width):
            where[q] = origin + q * step_w + offsets[q]
        if i_first >= r or top + i_first * dil_h >= height:  # no tap of the whole row is inside
            for q in range(out_width):
                where[q] = 0
        for q in range(out_width):  # those of an output beside the plane, which are few
            left = q * step_w - pad_w
            if left < 0 or left >= width:
                j_first = 0 if left >= 0 else (-left + dil_w - 1) // dil_w
                if j_first >= s or left + j_first * dil_w >= width:
                    where[q] = 0


@kernel("T[:, :], i8[:, :], T[:, :]")
def max_pool_backward_planes(grad, indices, grad_input, start, stop):
    """Work: planes; each output's gradient goes to its index."""
    zero = grad.dtype.type(0)
    for n in range(start, stop):
        g, where, y = grad[n], indices[n], grad_input[n]
        for i in range(y.shape[0]):
            y[i] = zero
        for i in range(g.shape[0]):
            pixel = where[i]
            if 0 <= pixel < y.shape[0]:
                y[pixel] += g[i]


# ---- average ----------------------------------------------------------------------------------------------------


@device
def window_count(begin, end, extent, count_pad):
    """Rows or columns of a window that the divisor counts."""
    return end - begin if count_pad else min(end, extent) - max(begin, 0)


@device
def count_inside(at, k, extent, pad, count_pad):
    """The same for a window that begins at ``at``."""
    return window_count(at, min(at + k, extent + pad), extent, count_pad)


@kernel("T[:, :, :], T[:, :, :], Windows, Means", Windows, Means)
def avg_pool_planes(x, out, windows, means, start, stop):
    """Work: rows of the output."""
    r, step_h, pad_h, _ = windows.rows
    s, step_w, pad_w, _ = windows.columns
    count_pad, divisor = means
    height, width = x.shape[1], x.shape[2]
    out_height, out_width = out.shape[1], out.shape[2]
    zero = x.dtype.type(0)
    for row in range(start, stop):
        n = row // out_height
        p = row - n * out_height
        y = out[n, p]
        top = p * step_h - pad_h
        rows = count_inside(top, r, height, pad_h, count_pad)
        for q in range(y.shape[0]):
            y[q] = zero
        for h in range(max(top, 0), min(top + r, height)):
            for j in range(s):
                at = j - pad_w
                first, end = first_inside(at, step_w), end_inside(at, step_w, width, out_width)
                if first >= end:
                    continue
                v, part = x[n, h, at + first * step_w :], y[first:end]
                if step_w == 1:
                    for q in range(part.shape[0]):
                        part[q] += v[q]
                elif step_w == 2:
                    for q in range(part.shape[0]):
                        part[q] += v[np.uint64(q) * TWO]
                else:
                    for q in range(part.shape[0]):
                        part[q] += v[q * step_w]
        for q in range(y.shape[0]):
            columns = count_inside(q * step_w - pad_w, s, width, pad_w, count_pad)
            share = y.dtype.type(divisor if divisor else rows * columns)
            y[q] = y[q] / share if divisor or share > zero else y[q]


@kernel("T[:, :, :], T[:, :, :], T[:], Windows, Means", Windows, Means)
def avg_pool_backward_planes(grad, grad_input, sums, windows, means, start, stop, worker):
    """Work: rows of the input: first the sums of the windows over it, then each to its columns."""
    r, step_h, pad_h, _ = windows.rows
    s, step_w, pad_w, _ = windows.columns
    count_pad, divisor = means
    height, width = grad_input.shape[1], grad_input.shape[2]
    out_height, out_width = grad.shape[1], grad.shape[2]
    zero = grad.dtype.type(0)
    sums = sums[worker * out_width : (worker + 1) * out_width]
    for row in range(start, stop):
        n = row // height
        h = row - n * height
        y = grad_input[n, h]
        for w in range(y.shape[0]):
            y[w] = zero
        for q in range(sums.shape[0]):
            sums[q] = zero
        for p in range(max(0, (h + pad_h - r + step_h) // step_h), min(out_height - 1, (h + pad_h) // step_h) + 1):
            g, rows = grad[n, p], count_inside(p * step_h - pad_h, r, height, pad_h, count_pad)
            for q in range(sums.shape[0]):
                columns = count_inside(q * step_w - pad_w, s, width, pad_w, count_pad)
                share = g.dtype.type(divisor if divisor else rows * columns)
                sums[q] += g[q] / share
        for j in range(s):
            at = j - pad_w
            first, end = first_inside(at, step_w), end_inside(at, step_w, width, out_width)
            if first >= end:
                continue
            part, into = sums[first:end], y[at + first * step_w :]
            for q in range(part.shape[0]):
                into[np.uint64(q) * np.uint64(step_w)] += part[q]
