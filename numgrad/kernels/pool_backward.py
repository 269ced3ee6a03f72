"""Gradients of pooling: those of maxima go to their places, those of means to all elements of their boxes.

No two work items write the same element, and each element's terms are added in the order of the outputs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numgrad.kernels.pool import Results, Volume, parts, views_of
from numgrad.kernels.windows import (
    ONE,
    Axis,
    Boxes,
    Window,
    counted_in,
    end_inside,
    first_inside,
    held_until,
    windows_over,
)
from numgrad.layout import product
from numgrad.runtime.kernel import Kernel, kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder

ENOUGH = 16  # work items, for all threads to have some
_LARGE = 1 << 14  # elements of a volume that several threads share
_FEW = 8  # columns of a window that are gone through one after the other, for all outputs each


class Bands(NamedTuple):
    """How volumes are divided: an axis of ``extent`` into ``parts``, each of which sees some of its ``outputs`` boxes."""

    parts: int
    extent: int
    outputs: int
    axis: Axis


@kernel("T[:], i8[:], T[:], i8, i8, i8, Bands", Bands)
def max_pool_backward(grad, indices, grad_input, outputs, elements, channels, bands, start, stop):
    """Work: bands of volumes [elements, channels]; each output's gradient goes to its index."""
    zero = grad.dtype.type(0)
    for unit in range(start, stop):
        n = unit // bands.parts
        band = unit - n * bands.parts
        low, high = band * bands.extent // bands.parts, (band + 1) * bands.extent // bands.parts
        begin, end = 0, outputs
        if bands.parts > 1:
            row = outputs // bands.outputs
            begin = row * windows_over(low, bands.extent, bands.outputs, bands.axis)[0]
            end = row * windows_over(high - 1, bands.extent, bands.outputs, bands.axis)[1]
        row = elements // bands.extent
        first, length = low * row, (high - low) * row
        count = np.uint64(length)  # what is before the first is beyond it
        y = grad_input[(n * elements + first) * channels : (n * elements + first + length) * channels]
        for i in range(y.shape[0]):
            y[i] = zero
        base = n * outputs * channels
        begin, end = base + begin * channels, base + end * channels
        g, where = grad[begin:end], indices[begin:end]
        if channels == 1:
            for i in range(g.shape[0]):
                pixel = np.uint64(where[i] - first)
                if pixel < count:
                    y[pixel] += g[i]
        else:
            for i in range(0, g.shape[0], channels):
                g_line, where_line = g[i : i + channels], where[i : i + channels]
                for c in range(g_line.shape[0]):
                    pixel = np.uint64(where_line[c] - first)
                    if pixel < count:
                        y[pixel * np.uint64(channels) + np.uint64(c)] += g_line[c]


def _average_backward(by_outputs: bool) -> Kernel:
    def avg_pool_backward(grad, grad_input, sums, volume, boxes, results, start, stop, worker):
        depth, height, width, channels, planes, rows, columns = volume
        size, step, pad, _ = boxes.columns
        _, count_pad, divisor = results
        zero = grad.dtype.type(0)
        line, pooled = width * channels, columns * channels
        sums = sums[worker * pooled : (worker + 1) * pooled]
        last = (columns - 1) * step - pad + size
        is_even = divisor != 0 or (
            size > 0 and ((pad == 0 and last <= width) or (count_pad != 0 and last <= width + pad))
        )
        row = start
        while row < stop:
            i = row // height
            h = row - i * height
            n = i // depth
            i -= n * depth
            front, back = windows_over(i, depth, planes, boxes.depth)
            if i > 0 and row - height >= start and windows_over(i - 1, depth, planes, boxes.depth) == (front, back):
                end = min(stop, row + height - h)  # the rest of a plane is as the one before
                goal = grad_input[row * line : end * line]
                source = grad_input[(row - height) * line : (end - height) * line]
                for w in range(goal.shape[0]):
                    goal[w] = source[w]
                row = end
                continue
            top, bottom = windows_over(h, height, rows, boxes.rows)
            y = grad_input[row * line : (row + 1) * line]
            for w in range(y.shape[0]):
                y[w] = zero
            for q in range(sums.shape[0]):
                sums[q] = zero
            for d in range(front, back):
                for p in range(top, bottom):
                    at = ((n * planes + d) * rows + p) * pooled
                    g = grad[at : at + pooled]
                    layers = counted_in(d, depth, planes, boxes.depth, count_pad) * counted_in(
                        p, height, rows, boxes.rows, count_pad
                    )
                    if is_even:
                        share = grad.dtype.type(divisor if divisor else layers * size)
                        for q in range(sums.shape[0]):
                            sums[q] += g[q] / share
                    else:
                        for q in range(columns):
                            share = grad.dtype.type(layers * counted_in(q, width, columns, boxes.columns, count_pad))
                            for c in range(q * channels, (q + 1) * channels):
                                sums[c] += g[c] / share
            if by_outputs:
                if size == 2 and step == 2 and pad == 0:
                    pairs = y[: 2 * columns]
                    for q in range(sums.shape[0]):
                        pairs[2 * q] = sums[q]
                        pairs[2 * q + 1] = sums[q]
                else:
                    for j in range(size):
                        at = j - pad
                        first, end = first_inside(at, step), end_inside(at, step, width, columns)
                        if first < end:
                            part, into = sums[first:end], y[at + first * step :]
                            for q in range(part.shape[0]):
                                into[q * step] += part[q]
            else:
                for q in range(columns):
                    begin, end = q * step - pad, q * step - pad + size
                    if size == 0:
                        begin, end = q * width // columns, ((q + 1) * width + columns - 1) // columns
                    begin, end = max(begin, 0), min(end, width)
                    if channels == 1:
                        for w in range(begin, end):
                            y[w] += sums[q]
                    else:
                        part = sums[q * channels : (q + 1) * channels]
                        for w in range(begin, end):
                            into = y[w * channels : (w + 1) * channels]
                            for c in range(into.shape[0]):
                                into[c] += part[c]
            end = min(stop, row - h + held_until(h, height, rows, boxes.rows, top, bottom))
            for below in range(row + 1, end):
                goal = grad_input[below * line : (below + 1) * line]
                for w in range(goal.shape[0]):
                    goal[w] = y[w]
            row = end

    avg_pool_backward.__name__ += "_by_outputs" if by_outputs else "_by_channels"
    avg_pool_backward.__doc__ = (
        "Work: rows of the input: first the sums of the boxes over a row, then each to its columns, by the taps of a box for all "
        "outputs, or by outputs. Rows and planes under the same boxes are copied."
    )
    return kernel("T[:], T[:], T[:], Volume, Boxes, Results", Volume, Boxes, Results)(avg_pool_backward)


_AVERAGE_BACKWARD = {by_outputs: _average_backward(by_outputs) for by_outputs in (False, True)}


# ---- planning ---------------------------------------------------------------------------------------------------


def plan_max_pool_backward(
    b: PlanBuilder, grad: Operand, indices: Operand, grad_input: Operand, ndim: int, boxes: Boxes | None = None
) -> None:
    """Gradient of `pool.plan_max_pool`: each value of ``grad`` goes to its index, all of one layout.

    The boxes, where they are known, let several threads work on one volume.
    """
    pooled, _, image = views_of("max_pool_backward", ndim, grad, indices, grad_input)
    outputs, elements, channels = product(pooled.extents), product(image.extents), image.channels
    axis = 0 if image.depth > 1 else 1
    extent, over = image.extents[axis], pooled.extents[axis]
    bands = Bands(1, max(extent, 1), over, boxes[axis] if boxes else ONE)
    if boxes and over and image.volumes < ENOUGH and elements * channels >= _LARGE:
        bands = bands._replace(parts=min(extent, -(-ENOUGH // max(image.volumes, 1))))
    units = image.volumes * bands.parts
    cost = (elements + 4 * outputs) * channels // bands.parts + 1
    b.launch(
        max_pool_backward, grad.flat, indices.flat, grad_input.flat, outputs, elements, channels, bands,
        work=units if elements * channels else 0, grain=GRAIN_COST // cost + 1, cost=units * cost,
    )  # fmt: skip


def plan_avg_pool_backward(
    b: PlanBuilder,
    grad: Operand,
    grad_input: Operand,
    window: Window | None,
    ndim: int,
    *,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> None:
    """Gradient of `pool.plan_avg_pool`, both operands of one layout."""
    pooled, image = views_of("avg_pool_backward", ndim, grad, grad_input)
    boxes = window.record if window else Boxes(*map(parts, image.extents, pooled.extents))
    by_outputs = image.channels == 1 and 0 < boxes.columns.size <= _FEW
    over = [_most_over(*each) for each in zip(boxes, pooled.extents, strict=True)]
    sums = b.scratch(grad.spec.dtype, pooled.width * pooled.channels, per_worker=True)
    rows = image.volumes * image.depth * image.height
    cost = (2 * image.width + over[0] * over[1] * pooled.width) * image.channels + 8
    volume = Volume(*image.extents, image.channels, *pooled.extents)
    b.launch(
        _AVERAGE_BACKWARD[by_outputs], grad.flat, grad_input.flat, sums.flat, volume, boxes,
        Results(0, int(count_include_pad), divisor_override or 0),
        work=rows if image.width * image.channels else 0, grain=GRAIN_COST // cost + 1, cost=rows * cost,
    )  # fmt: skip


def _most_over(axis: Axis, outputs: int) -> int:
    """The most boxes over an element, along an axis."""
    return max(1, min(-(-axis.size // max(axis.step, 1)), outputs))
