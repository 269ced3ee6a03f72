"""Maxima of boxes that cut a volume into parts, or that lie where numbers between 0 and 1 say; and maxima without positions."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from numgrad import dtypes
from numgrad.kernels.pool import Window, image_view, taps_inside
from numgrad.kernels.pool_planes import TWO, Windows, end_inside, first_inside, max_pool_backward_planes
from numgrad.kernels.reduce_kernels import larger
from numgrad.layout import product
from numgrad.runtime.kernel import device, kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder


class Boxes(NamedTuple):
    """The extents of the boxes, all 0 if they are the parts into which the volume is cut."""

    depth: int
    height: int
    width: int


@device
def box_edges(bounds, first, count, extent, window, sample):
    """Write begin and end of the ``count`` boxes along an axis from ``bounds[first]`` on."""
    for i in range(count):
        begin, end = i * extent // count, ((i + 1) * extent + count - 1) // count
        if window:
            begin = extent - window
            if i < count - 1:
                # In the type of the number, and cut, as the method's authors do (Graham, 2014).
                alpha = sample.dtype.type(extent - window) / sample.dtype.type(count - 1)
                begin = int((i + sample[0]) * alpha) - int(sample[0] * alpha)
            begin = max(0, min(begin, extent - window))  # whatever the number is, NaN included
            end = begin + window
        bounds[2 * (first + i)], bounds[2 * (first + i) + 1] = begin, end


@kernel("T[:, :, :, :], T[:, :], Boxes, i8[:], T[:, :, :, :], i8[:, :, :, :]", Boxes)
def max_boxes(x, samples, boxes, bounds, out, indices, start, stop, worker):
    """Work: volumes. Of equal values the first wins, and the last NaN over all others."""
    depth, height, width = x.shape[1], x.shape[2], x.shape[3]
    planes, rows, columns = out.shape[1], out.shape[2], out.shape[3]
    room = 2 * (planes + rows + columns)
    bounds = bounds[worker * room : (worker + 1) * room]
    last_axis = samples.shape[1] - 1
    of_width = last_axis if last_axis == 2 else 0  # of two numbers the width's comes first, as in torch
    for n in range(start, stop):
        at = n if samples.shape[0] > 1 else 0
        box_edges(bounds, 0, planes, depth, boxes.depth, samples[at, 0:1])
        box_edges(bounds, planes, rows, height, boxes.height, samples[at, min(1, last_axis) :])
        box_edges(bounds, planes + rows, columns, width, boxes.width, samples[at, of_width:])
        for d in range(planes):
            for h in range(rows):
                for w in range(columns):
                    i, j, k = bounds[2 * d], bounds[2 * (planes + h)], bounds[2 * (planes + rows + w)]
                    last = bounds[2 * (planes + rows + w) + 1]
                    best, where = x[n, i, j, k], (i * height + j) * width + k
                    for p in range(i, bounds[2 * d + 1]):
                        for q in range(j, bounds[2 * (planes + h) + 1]):
                            line, begin = x[n, p, q], (p * height + q) * width
                            for r in range(k, last):
                                value = line[r]
                                if value > best or value != value:
                                    best, where = value, begin + r
                    out[n, d, h, w], indices[n, d, h, w] = best, where


@kernel("T[:, :, :], T[:, :, :], Windows, T", Windows)
def max_values_planes(x, out, windows, lowest, start, stop):
    """Work: rows of the output, of planes that lie row after row; see `pool_planes.max_pool_planes`."""
    r, step_h, pad_h, dil_h = windows.rows
    s, step_w, pad_w, dil_w = windows.columns
    height, width = x.shape[1], x.shape[2]
    out_height, out_width = out.shape[1], out.shape[2]
    for row in range(start, stop):
        n = row // out_height
        p = row - n * out_height
        best = out[n, p]
        for q in range(best.shape[0]):
            best[q] = lowest
        first_row, end_row = taps_inside(p * step_h - pad_h, dil_h, r, height)
        for i in range(first_row, end_row):
            h = p * step_h - pad_h + i * dil_h
            for j in range(s):
                at = j * dil_w - pad_w
                first, end = first_inside(at, step_w), end_inside(at, step_w, width, out_width)
                if first >= end:
                    continue
                v, y = x[n, h, at + first * step_w :], best[first:end]
                if step_w == 1:
                    for q in range(y.shape[0]):
                        y[q] = larger(v[q], y[q])
                elif step_w == 2:
                    for q in range(y.shape[0]):
                        y[q] = larger(v[np.uint64(q) * TWO], y[q])
                else:
                    for q in range(y.shape[0]):
                        y[q] = larger(v[q * step_w], y[q])


@kernel("T[:, :, :, :], T[:, :, :, :], Windows, T", Windows)
def max_values(x, out, windows, lowest, start, stop):
    """Work: rows of the output, of images with the channels last."""
    r, step_h, pad_h, dil_h = windows.rows
    s, step_w, pad_w, dil_w = windows.columns
    height, width = x.shape[1], x.shape[2]
    out_height, out_width = out.shape[1], out.shape[2]
    for row in range(start, stop):
        n = row // out_height
        p = row - n * out_height
        first_row, end_row = taps_inside(p * step_h - pad_h, dil_h, r, height)
        for q in range(out_width):
            best = out[n, p, q]
            for c in range(best.shape[0]):
                best[c] = lowest
            first, end = taps_inside(q * step_w - pad_w, dil_w, s, width)
            for i in range(first_row, end_row):
                for j in range(first, end):
                    v = x[n, p * step_h - pad_h + i * dil_h, q * step_w - pad_w + j * dil_w]
                    for c in range(best.shape[0]):
                        best[c] = larger(v[c], best[c])


def plan_max_values(b: PlanBuilder, x: Operand, out: Operand, window: Window) -> None:
    """Max pooling of floating point without positions: [N, C, H, W], both operands contiguous or both channels-last."""
    views = image_view(x.spec), image_view(out.spec)
    if views[0] is None or views[1] is None or views[0][0] != views[1][0]:
        image, pooled = ((n * c, h, w, 1) for n, c, h, w in (x.spec.shape, out.spec.shape))
    else:
        image, pooled = views[0][1], views[1][1]
    rows = pooled[0] * pooled[1]
    taps = min(window.kernel_size[0], image[1]) * min(window.kernel_size[1], image[2])
    cost = pooled[2] * (pooled[3] + 8) * taps
    grain = GRAIN_COST // max(cost, 1) + 1
    if image[3] == 1:
        b.launch(
            max_values_planes, x.array(*image[:3]), out.array(*pooled[:3]), window.record, -math.inf,
            work=rows, grain=grain, cost=rows * cost,
        )  # fmt: skip
        return
    b.launch(
        max_values,
        x.array(*image),
        out.array(*pooled),
        window.record,
        -math.inf,
        work=rows,
        grain=grain,
        cost=rows * cost,
    )


def plan_max_boxes(
    b: PlanBuilder, x: Operand, samples: Operand | None, boxes: Boxes, out: Operand, indices: Operand, dims: int
) -> None:
    """`max_boxes` for contiguous images [..., *image] of ``dims`` dimensions, and numbers [..., dims] that place boxes."""
    lead = len(x.spec.shape) - dims
    count, ones = product(x.spec.shape[:lead]), (1,) * (3 - dims)
    image, pooled = (*ones, *x.spec.shape[lead:]), (*ones, *out.spec.shape[lead:])
    room = b.scratch(dtypes.int64, 2 * sum(pooled), per_worker=True)
    numbers = samples.array(count, dims) if samples else b.scratch(x.spec.dtype, 3).array(1, 3)
    volume = product(image)
    b.launch(
        max_boxes, x.array(count, *image), numbers, boxes, room.flat, out.array(count, *pooled),
        indices.array(count, *pooled), work=count if product(pooled) else 0, grain=GRAIN_COST // (2 * volume + 1) + 1,
        cost=2 * volume * count + 1,
    )  # fmt: skip


def plan_max_boxes_backward(b: PlanBuilder, grad: Operand, indices: Operand, out: Operand, planes: int) -> None:
    """Gradients of each of ``planes`` go to their indices in ``out``; all contiguous."""
    outputs, elements = grad.spec.numel // max(planes, 1), out.spec.numel // max(planes, 1)
    b.launch(
        max_pool_backward_planes, grad.array(planes, outputs), indices.array(planes, outputs), out.array(planes, elements),
        work=planes, grain=GRAIN_COST // (elements + 4 * outputs + 1) + 1, cost=planes * (elements + 4 * outputs) + 1,
    )  # fmt: skip
