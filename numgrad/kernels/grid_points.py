"""The pixels under the points of a grid, and their weights: interpolation of images and volumes at any positions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numgrad import dtypes
from numgrad.runtime.kernel import device, kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder

NEAREST, LINEAR, CUBIC = 0, 1, 2
ZEROS, BORDER, REFLECTION = 0, 1, 2
TAPS = {NEAREST: 1, LINEAR: 2, CUBIC: 4}  # along each axis
POINT_COST = 64  # elementary operations for an axis of a point


class Image(NamedTuple):
    """The extents of the image, the slowest axis first, 1 for one that is not there; the axes, and what a point means."""

    depth: int
    height: int
    width: int
    axes: int
    mode: int
    padding: int
    aligned: int


class Orders(NamedTuple):
    """How often weights are differentiated along each axis."""

    depth: int
    height: int
    width: int


@device
def within_image(at, extent, padding, aligned, zero):
    """(position, slope): the position brought into the image, as the padding says, and how it moves with the one given."""
    one = zero + 1
    slope = one
    if padding == ZEROS:
        return at, slope
    if padding == REFLECTION:
        edge = zero if aligned else zero - one / 2
        span = zero + (max(extent - 1, 1) if aligned else extent)
        beyond = at - edge
        if beyond < 0:
            beyond, slope = -beyond, -slope
        flips = np.floor(beyond / span)
        rest = beyond - flips * span
        if flips % 2 != 0:
            rest, slope = span - rest, -slope
        at = rest + edge
    last = zero + (extent - 1)
    if at <= 0:
        return zero, zero
    if at >= last:
        return last, zero
    return at, slope


@device
def position_on(axis, coordinate, image, zero):
    """(position, slope, extent) of a coordinate from -1 to 1 in pixels of an axis."""
    extent = image.width
    if axis == 1:
        extent = image.height
    elif axis == 2:
        extent = image.depth
    scale = (zero + (extent - 1 if image.aligned else extent)) / 2
    at = coordinate * scale + (zero + (extent - 1)) / 2
    if image.mode == CUBIC:  # whose pixels are brought into the image, each by itself
        return at, scale, extent
    at, slope = within_image(at, extent, image.padding, image.aligned, zero)
    return at, slope * scale, extent


@device
def cubic_weight(tap, far, order):
    """The weight of a tap of Keys' cubic convolution with a = -3/4, ``far`` from the second one; derivatives by ``far``."""
    sign = 1 if tap < 2 else -1
    d = far + 1 if tap == 0 else far if tap == 1 else 1 - far if tap == 2 else 2 - far
    outer = tap == 0 or tap == 3
    a, b, c, e = (-0.75, 3.75, -6.0, 3.0) if outer else (1.25, -2.25, 0.0, 1.0)
    if order == 0:
        value = ((a * d + b) * d + c) * d + e
    elif order == 1:
        value = ((3 * a * d + 2 * b) * d + c) * sign
    elif order == 2:
        value = 6 * a * d + 2 * b
    else:
        value = 6 * a * sign if order == 3 else 0.0
    return value


@device
def write_weights(point, image, orders, factors, out, zero):
    """``out[t]`` becomes the product of the weights of tap t along the axes, differentiated as ``orders`` say."""
    axes, mode = image.axes, image.mode
    taps = 1 if mode == NEAREST else 2 if mode == LINEAR else 4
    for axis in range(axes):
        order = orders.width if axis == 0 else orders.height if axis == 1 else orders.depth
        at, slope, _ = position_on(axis, point[axis], image, zero)
        far, moved = at - np.floor(at), zero + 1
        for _ in range(order):
            moved *= slope
        for tap in range(taps):
            if mode == NEAREST:
                value = zero + (1 if order == 0 else 0)
            elif mode == LINEAR:
                value = zero
                if order == 0:
                    value = far if tap else 1 - far
                elif order == 1:
                    value = zero + (1 if tap else -1)
            else:
                value = out.dtype.type(cubic_weight(tap, far, order))
            factors[4 * axis + tap] = value * moved
    planes = taps if axes == 3 else 1
    t = 0
    for i in range(planes):
        deep = factors[8 + i] if axes == 3 else zero + 1
        for j in range(taps):
            row = deep * factors[4 + j]
            for k in range(taps):
                out[t] = row * factors[k]
                t += 1


@device
def write_pixels(point, image, first, places, out, zero):
    """``out[t]`` becomes the row-major number of tap t's pixel, -1 for none, in an image whose first plane is ``first``."""
    axes, mode = image.axes, image.mode
    taps = 1 if mode == NEAREST else 2 if mode == LINEAR else 4
    for axis in range(axes):
        at, _, extent = position_on(axis, point[axis], image, zero)
        low = np.floor(at)
        if mode == NEAREST:
            rest = at - low
            if rest > 0.5 or (rest == 0.5 and low % 2 != 0):
                low += 1
        for tap in range(taps):
            pixel = low + tap - (1 if mode == CUBIC else 0)
            if mode == CUBIC:
                pixel, _ = within_image(pixel, extent, image.padding, image.aligned, zero)
            # Compared before it is made an integer, which NaN and large numbers have none of.
            places[4 * axis + tap] = int(pixel) if 0 <= pixel <= extent - 1 else -1
    planes = taps if axes == 3 else 1
    t = 0
    for i in range(planes):
        deep = places[8 + i] if axes == 3 else 0
        for j in range(taps):
            row = places[4 + j]
            for k in range(taps):
                column = places[k]
                seen = deep >= 0 and row >= 0 and column >= 0
                out[t] = ((first + deep) * image.height + row) * image.width + column if seen else -1
                t += 1


@kernel("T[:, :], Image, Orders, T[:, :], T[:]", Image, Orders)
def weigh_points(grid, image, orders, out, factors, start, stop, worker):
    """Work: points."""
    factors = factors[worker * 12 : (worker + 1) * 12]
    for p in range(start, stop):
        write_weights(grid[p], image, orders, factors, out[p], out.dtype.type(0))


@kernel("T[:, :], Image, i8, i8[:, :], i8[:]", Image)
def find_pixels(grid, image, points, out, places, start, stop, worker):
    """Work: points, ``points`` of each image."""
    places = places[worker * 12 : (worker + 1) * 12]
    for p in range(start, stop):
        write_pixels(grid[p], image, p // points * image.depth, places, out[p], grid.dtype.type(0))


def plan_weigh_points(b: PlanBuilder, grid: Operand, image: Image, orders: Orders, out: Operand) -> None:
    """`weigh_points` for a contiguous grid [P, axes] and ``out`` [P, taps]."""
    points, taps = out.spec.shape
    room = b.scratch(out.spec.dtype, 12, per_worker=True)
    cost = image.axes * POINT_COST + taps
    b.launch(
        weigh_points, grid.array(points, image.axes), image, orders, out.array(points, taps), room.flat,
        work=points, grain=GRAIN_COST // cost + 1, cost=points * cost,
    )  # fmt: skip


def plan_find_pixels(b: PlanBuilder, grid: Operand, image: Image, points: int, out: Operand) -> None:
    """`find_pixels` for a contiguous grid [P, axes], ``points`` of each image, and ``out`` [P, taps]."""
    count, taps = out.spec.shape
    room = b.scratch(dtypes.int64, 12, per_worker=True)
    cost = image.axes * POINT_COST + taps
    b.launch(
        find_pixels, grid.array(count, image.axes), image, max(points, 1), out.array(count, taps), room.flat,
        work=count, grain=GRAIN_COST // cost + 1, cost=count * cost,
    )  # fmt: skip
