"""Sampling of images where a grid says, and its two gradients, each in one pass.

Points go in groups: of a group the taps are found once, and then read for one plane of the image after the other. A tap beyond
the image has the place -1 and the weight 0. Of many channels those of a pixel lie side by side, so that vectors hold them, where
the pixels of a plane that neighbours see lie anywhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.kernels.grid_points import (
    CUBIC,
    LINEAR,
    NEAREST,
    POINT_COST,
    TAPS,
    Image,
    Orders,
    position_on,
    write_pixels,
    write_weights,
)
from numgrad.layout import product
from numgrad.runtime.kernel import device, kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder
from numgrad.runtime.program import Array

GROUP = 64  # points whose taps are found together
NEAR = 1 << 15  # elements of the planes into which a point is spread before the next one
MANY = 8  # channels from which on they lie side by side
SIDE = 32  # channels of a block that is spread at once


@device
def find_axes(grid, first, count, image, marks, lows):
    """Of ``count`` points from ``first`` on the lower pixel along each axis, the distance from it, and the position's slope.

    ``lows`` [3, GROUP] and ``marks`` [6, GROUP]: distances, and from row 3 on slopes. A pixel that is none is far beyond.
    """
    zero = marks.dtype.type(0)
    for axis in range(3):
        low_of, far_of, slope_of = lows[axis], marks[axis], marks[3 + axis]
        if axis >= image.axes:
            for q in range(count):
                low_of[q], far_of[q], slope_of[q] = 0, zero, zero
            continue
        for q in range(count):
            at, slope, extent = position_on(axis, grid[first + q, axis], image, zero)
            low = np.floor(at)
            far = at - low
            if image.mode == NEAREST:
                low += 1 if far > 0.5 or (far == 0.5 and low % 2 != 0) else 0
                far = zero
            # Compared before it is made an integer, which NaN and large numbers have none of.
            low_of[q] = int(low if -1 <= low <= extent else -zero - 2)
            far_of[q], slope_of[q] = far, slope


@device
def share_of(tap, far):
    return far if tap else 1 - far


@device
def find_taps(grid, first, count, image, marks, lows, weights, places):
    """The weights and the places [T, GROUP] of ``count`` points from ``first`` on; 0 and -1 of pixels that are none."""
    zero = weights.dtype.type(0)
    if image.mode == CUBIC:
        whole = Orders(0, 0, 0)
        for q in range(count):
            write_weights(grid[first + q], image, whole, marks[0], weights[:, q], zero)
            write_pixels(grid[first + q], image, 0, lows[0], places[:, q], zero)
        for t in range(places.shape[0]):
            for q in range(count):
                weights[t, q] = weights[t, q] if places[t, q] >= 0 else zero
        return
    find_axes(grid, first, count, image, marks, lows)
    columns, rows, planes, x, y, z = lows[0], lows[1], lows[2], marks[0], marks[1], marks[2]
    for t in range(places.shape[0]):
        k, j, i = t & 1, (t >> 1) & 1, t >> 2
        weight, pixel = weights[t], places[t]
        for q in range(count):
            column, row, plane = columns[q] + k, rows[q] + j, planes[q] + i
            seen = (column >= 0) & (column < image.width) & (row >= 0) & (row < image.height)
            seen = seen & (plane >= 0) & (plane < image.depth)
            share = share_of(i, z[q]) * share_of(j, y[q]) * share_of(k, x[q])
            weight[q] = share if seen else zero
            pixel[q] = (plane * image.height + row) * image.width + column if seen else -1


@device
def add_slopes(axis, t, count, products, marks, total):
    """Add to ``total`` the products of tap t times the slopes of its weights along an axis, of linear interpolation."""
    k, j, i = t & 1, (t >> 1) & 1, t >> 2
    x, y, z, slope = marks[0], marks[1], marks[2], marks[3 + axis]
    sign = products.dtype.type(1 if (k if axis == 0 else j if axis == 1 else i) else -1)
    for q in range(count):
        deep = share_of(i, z[q]) if axis != 2 else sign * slope[q]
        high = share_of(j, y[q]) if axis != 1 else sign * slope[q]
        wide = share_of(k, x[q]) if axis != 0 else sign * slope[q]
        total[q] += products[q] * (deep * high * wide)


@device
def tap_of(plane, pixel):
    """The element at a pixel, or 0 at -1."""
    value = plane[max(pixel, 0)]
    return value if pixel >= 0 else plane.dtype.type(0)


@device
def group_of(unit, points):
    """(image, first point, number of points) of a group."""
    groups = (points + GROUP - 1) // GROUP
    n = unit // groups
    first = (unit - n * groups) * GROUP
    return n, first, min(GROUP, points - first)


@kernel("T[:, :, :], T[:, :, :], Image, T[:, :, :], T[:, :, :], i8[:, :, :], T[:, :, :], i8[:, :, :]", Image)
def sample_points(x, grid, image, out, marks, lows, weights, places, start, stop, worker):
    """Work: groups of points. ``out[n, c, p] = sum over t of weight t * x[n, c, place t]``."""
    points, channels = grid.shape[1], x.shape[1]
    weights, places = weights[worker], places[worker]
    for unit in range(start, stop):
        n, first, count = group_of(unit, points)
        find_taps(grid[n], first, count, image, marks[worker], lows[worker], weights, places)
        for c in range(channels):
            plane, y = x[n, c], out[n, c, first : first + count]
            if weights.shape[0] == 4:
                e, f, g, h = weights[0], weights[1], weights[2], weights[3]
                i, j, k, m = places[0], places[1], places[2], places[3]
                for q in range(y.shape[0]):
                    y[q] = (
                        e[q] * tap_of(plane, i[q])
                        + f[q] * tap_of(plane, j[q])
                        + g[q] * tap_of(plane, k[q])
                        + h[q] * tap_of(plane, m[q])
                    )
            else:
                for q in range(y.shape[0]):
                    y[q] = 0
                for t in range(weights.shape[0]):
                    w, at = weights[t], places[t]
                    for q in range(y.shape[0]):
                        y[q] += w[q] * tap_of(plane, at[q])


@kernel("T[:, :, :], T[:, :, :], Image, T[:, :, :], T[:, :, :], i8[:, :, :], T[:, :, :], i8[:, :, :]", Image)
def sample_pixels(x, grid, image, out, marks, lows, weights, places, start, stop, worker):
    """`sample_points` of channels side by side: ``out[n, p, c] = sum over t of weight t * x[n, place t, c]``."""
    points = grid.shape[1]
    weights, places = weights[worker], places[worker]
    zero = out.dtype.type(0)
    for unit in range(start, stop):
        n, first, count = group_of(unit, points)
        find_taps(grid[n], first, count, image, marks[worker], lows[worker], weights, places)
        for q in range(count):
            y = out[n, first + q]
            if weights.shape[0] == 4 and min(places[0, q], places[1, q], places[2, q], places[3, q]) >= 0:
                e, f, g, h = weights[0, q], weights[1, q], weights[2, q], weights[3, q]
                i, j, k, m = x[n, places[0, q]], x[n, places[1, q]], x[n, places[2, q]], x[n, places[3, q]]
                for c in range(y.shape[0]):
                    y[c] = e * i[c] + f * j[c] + g * k[c] + h * m[c]
                continue
            for c in range(y.shape[0]):
                y[c] = zero
            for t in range(weights.shape[0]):
                if places[t, q] >= 0:
                    w, v = weights[t, q], x[n, places[t, q]]
                    for c in range(y.shape[0]):
                        y[c] += w * v[c]


@kernel("T[:, :, :], T[:, :, :], Image, i8, T[:, :, :], T[:, :, :], i8[:, :, :], T[:, :, :], i8[:, :, :]", Image)
def spread_pixels(grad, grid, image, block, out, marks, lows, weights, places, start, stop, worker):
    """`spread_points` of channels side by side. Work: blocks of an image's channels."""
    points, channels = grid.shape[1], out.shape[2]
    blocks = (channels + block - 1) // block
    weights, places = weights[worker], places[worker]
    for unit in range(start, stop):
        n = unit // blocks
        begin = (unit - n * blocks) * block
        end = min(channels, begin + block)
        for i in range(out.shape[1]):
            y = out[n, i, begin:end]
            for c in range(y.shape[0]):
                y[c] = 0
        for first in range(0, points, GROUP):
            count = min(GROUP, points - first)
            find_taps(grid[n], first, count, image, marks[worker], lows[worker], weights, places)
            for q in range(count):
                g = grad[n, first + q, begin:end]
                for t in range(weights.shape[0]):
                    if places[t, q] >= 0:
                        w, y = weights[t, q], out[n, places[t, q], begin:end]
                        for c in range(y.shape[0]):
                            y[c] += w * g[c]


@kernel("T[:, :, :], T[:, :, :], Image, i8, T[:, :, :], T[:, :, :], i8[:, :, :], T[:, :, :], i8[:, :, :]", Image)
def spread_points(grad, grid, image, block, out, marks, lows, weights, places, start, stop, worker):
    """Work: blocks of an image's planes. ``out[n, c, place t] += weight t * grad[n, c, p]``, from zeros, in the order of p."""
    points, channels = grid.shape[1], out.shape[1]
    blocks = (channels + block - 1) // block
    weights, places = weights[worker], places[worker]
    for unit in range(start, stop):
        n = unit // blocks
        begin = (unit - n * blocks) * block
        end = min(channels, begin + block)
        for c in range(begin, end):
            plane = out[n, c]
            for i in range(plane.shape[0]):
                plane[i] = 0
        for first in range(0, points, GROUP):
            count = min(GROUP, points - first)
            find_taps(grid[n], first, count, image, marks[worker], lows[worker], weights, places)
            for c in range(begin, end):
                plane, g = out[n, c], grad[n, c, first : first + count]
                for q in range(g.shape[0]):
                    for t in range(weights.shape[0]):
                        pixel = places[t, q]
                        if pixel >= 0:
                            plane[pixel] += weights[t, q] * g[q]


@kernel(
    "T[:, :, :], T[:, :, :], T[:, :, :], Image, T[:, :, :], T[:, :, :], i8[:, :, :], T[:, :, :], i8[:, :, :]", Image
)
def slope_of_points(grad, x, grid, image, out, marks, lows, products, places, start, stop, worker):
    """Work: groups of points. ``out[n, p, axis] = sum over t of (sum over c of grad * x at place t) * slope of weight t``."""
    points, channels = grid.shape[1], x.shape[1]
    zero = out.dtype.type(0)
    products, places = products[worker], places[worker]
    taps = places.shape[0]
    for unit in range(start, stop):
        n, first, count = group_of(unit, points)
        find_taps(grid[n], first, count, image, marks[worker], lows[worker], products[taps:], places)
        for t in range(taps):
            total, at = products[t, :count], places[t]
            for q in range(total.shape[0]):
                total[q] = 0
            for c in range(channels):
                plane, g = x[n, c], grad[n, c, first : first + count]
                for q in range(total.shape[0]):
                    total[q] += g[q] * tap_of(plane, at[q])
            for q in range(total.shape[0]):  # even of gradients that are not finite
                total[q] = total[q] if at[q] >= 0 else zero
        for axis in range(image.axes):
            if image.mode == CUBIC:
                orders = Orders(0, 1 if axis == 1 else 0, 1 if axis == 0 else 0)
                for q in range(count):
                    slopes, total = products[taps:, q], zero
                    write_weights(grid[n, first + q], image, orders, marks[worker, 0], slopes, zero)
                    for t in range(taps):
                        total += products[t, q] * slopes[t]
                    out[n, first + q, axis] = total
                continue
            sums = products[taps, :count]
            for q in range(count):
                sums[q] = zero
            if image.mode == LINEAR:
                for t in range(taps):
                    add_slopes(axis, t, count, products[t], marks[worker], sums)
            for q in range(count):
                out[n, first + q, axis] = sums[q]


def _room(b: PlanBuilder, image: Image, dtype: dtypes.dtype, times: int = 1) -> tuple[Array, ...]:
    """Scratch memory of each worker, of a group's points: what is found along each axis, numbers of their taps, and places."""
    taps, workers = TAPS[image.mode] ** image.axes, b.workers
    return (
        b.scratch(dtype, 6 * GROUP, per_worker=True).array(workers, 6, GROUP),
        b.scratch(dtypes.int64, 3 * GROUP, per_worker=True).array(workers, 3, GROUP),
        b.scratch(dtype, times * taps * GROUP, per_worker=True).array(workers, times * taps, GROUP),
        b.scratch(dtypes.int64, taps * GROUP, per_worker=True).array(workers, taps, GROUP),
    )


def _flat(operand: Operand) -> Array:
    """[N, C, ...] as [N, C, pixels]."""
    n, c, *image = operand.spec.shape
    return operand.array(n, c, product(image))


def _by_groups(image: Image, n: int, points: int, channels: int) -> dict[str, Any]:
    taps, groups = TAPS[image.mode] ** image.axes, -(-points // GROUP)
    cost = min(GROUP, points) * (2 * image.axes * POINT_COST + taps * (channels + 2)) + 1
    return {"work": n * groups, "grain": GRAIN_COST // cost + 1, "cost": n * groups * cost}


def plan_sample_pixels(b: PlanBuilder, x: Operand, grid: Operand, image: Image, out: Operand) -> None:
    """Images [N, ..., C] at the points of a grid [N, ..., axes]: ``out`` [N, ..., C]; all contiguous."""
    n, *extents, channels = out.spec.shape
    points, pixels = product(extents), product(x.spec.shape[1:-1])
    b.launch(
        sample_pixels, x.array(n, pixels, channels), grid.array(n, points, image.axes), image,
        out.array(n, points, channels), *_room(b, image, x.spec.dtype), **_by_groups(image, n, points, channels // 4),
    )  # fmt: skip


def plan_spread_pixels(b: PlanBuilder, grad: Operand, grid: Operand, image: Image, out: Operand) -> None:
    """The gradient [N, ..., C] of the images; all contiguous."""
    n, *extents, channels = grad.spec.shape
    points, pixels, taps = product(extents), product(out.spec.shape[1:-1]), TAPS[image.mode] ** image.axes
    block = min(channels, SIDE)
    units = n * -(-channels // block)
    cost = points * (2 * image.axes * POINT_COST + taps * (block // 4 + 2)) + block * pixels // 4 + 1
    b.launch(
        spread_pixels, grad.array(n, points, channels), grid.array(n, points, image.axes), image, block,
        out.array(n, pixels, channels), *_room(b, image, grad.spec.dtype),
        work=units, grain=GRAIN_COST // cost + 1, cost=units * cost,
    )  # fmt: skip


def plan_sample_points(b: PlanBuilder, x: Operand, grid: Operand, image: Image, out: Operand) -> None:
    """Images [N, C, ...] at the points of a grid [N, ..., axes]: ``out`` [N, C, ...]; all contiguous."""
    n, channels, *extents = out.spec.shape
    points = product(extents)
    b.launch(
        sample_points, _flat(x), grid.array(n, points, image.axes), image, _flat(out), *_room(b, image, x.spec.dtype),
        **_by_groups(image, n, points, channels),
    )  # fmt: skip


def plan_spread_points(b: PlanBuilder, grad: Operand, grid: Operand, image: Image, out: Operand) -> None:
    """The gradient [N, C, ...] of the images; all contiguous."""
    n, channels, *extents = grad.spec.shape
    points, pixels, taps = product(extents), product(out.spec.shape[2:]), TAPS[image.mode] ** image.axes
    # A block's planes fit into a cache, and share what is computed of the points.
    block = min(channels, max(1, NEAR // max(pixels, 1))) or 1
    units = n * -(-channels // block)
    cost = points * (2 * image.axes * POINT_COST + taps * (block + 2)) + block * pixels + 1
    b.launch(
        spread_points, _flat(grad), grid.array(n, points, image.axes), image, block, _flat(out),
        *_room(b, image, grad.spec.dtype), work=units, grain=GRAIN_COST // cost + 1, cost=units * cost,
    )  # fmt: skip


def plan_slope_of_points(b: PlanBuilder, grad: Operand, x: Operand, grid: Operand, image: Image, out: Operand) -> None:
    """The gradient [N, ..., axes] of the grid; all contiguous."""
    n, channels, *extents = grad.spec.shape
    points = product(extents)
    b.launch(
        slope_of_points, _flat(grad), _flat(x), grid.array(n, points, image.axes), image,
        out.array(n, points, image.axes), *_room(b, image, x.spec.dtype, times=2),
        **_by_groups(image, n, points, channels),
    )  # fmt: skip
