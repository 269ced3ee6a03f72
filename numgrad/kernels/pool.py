"""Pooling: the largest value of each box of a volume, with or without its place, or the mean.

A volume is [N, D, H, W, C] in memory: row-major N C D H W is N * C volumes of one channel; images have a depth of 1, lines a
height of 1. Boxes are windows, parts into which an axis is cut, or windows placed by a number from 0 to 1; a table says where each
begins and how many taps it has. One text makes all of it, by the walks of `pool_walk`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numgrad import dtypes
from numgrad.errors import ProofError
from numgrad.kernels.pool_walk import lanes_of, walk, walk_lanes
from numgrad.kernels.reduce import plan_reduce
from numgrad.kernels.reduce_kernels import choose
from numgrad.kernels.windows import PARTS, Axis, Boxes, Window, counted_in, taps_inside
from numgrad.layout import Spec, channels_last_strides, product
from numgrad.runtime.kernel import Kernel, device, kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder

# What a vector's lanes are; of few elements there is no vector.
OUTPUTS, CHANNELS, ELEMENTS, NOTHING = LANES = ("outputs", "channels", "elements", "nothing")


class Volume(NamedTuple):
    """The extents of volumes and of their outputs."""

    depth: int
    height: int
    width: int
    channels: int
    planes: int
    rows: int
    columns: int


class Results(NamedTuple):
    """Of maxima: whether their places are written; of means: whether padding counts, and what divides sums (0: the count)."""

    has_places: int
    count_pad: int
    divisor: int


@device
def write_edges(edges, first, outputs, extent, axis, sample):
    """Write where the boxes along an axis begin, and how many taps of each are inside, from ``edges[first]`` on."""
    size, step, pad, dilation = axis
    # In the type of the number, and cut, as the method's authors do (Graham, 2014).
    alpha = sample.dtype.type(extent - size) / sample.dtype.type(max(outputs - 1, 1))
    shift = int(sample[0] * alpha)
    for i in range(outputs):
        if size == 0:
            begin = i * extent // outputs
            count = ((i + 1) * extent + outputs - 1) // outputs - begin
        elif step == 0:
            begin, count = extent - size, size
            if i < outputs - 1:
                begin = int((i + sample[0]) * alpha) - shift
            begin = max(0, min(begin, extent - size))  # whatever the number is, NaN included
        else:
            begin = i * step - pad
            low, high = taps_inside(begin, dilation, size, extent)
            begin, count = begin + low * dilation, high - low
        edges[2 * (first + i)] = begin
        edges[2 * (first + i) + 1] = count


def _pool_kernel(kind: str, by: str) -> Kernel:
    walked = walk(kind, by == ELEMENTS)
    keeps_places = kind == "max"
    by_outputs, by_channels, by_elements, by_nothing = [by == each for each in LANES]

    def pool(x, samples, out, indices, edges, volume, boxes, results, lowest, start, stop, worker):
        depth, height, width, channels, planes, rows, columns = volume
        _, _, _, dil_d = boxes.depth
        _, _, _, dil_h = boxes.rows
        size, step, pad, dil_w = boxes.columns
        has_places, count_pad, divisor = results
        lanes = walk_lanes(x)
        room = 2 * (planes + rows + columns)
        edges = edges[worker * room : (worker + 1) * room]
        last_axis = samples.shape[1] - 1
        of_width = last_axis if last_axis == 2 else 0  # of two numbers the width's comes first, as in torch
        known = -1
        inner = 1 if by_elements else ((columns if by_outputs else channels) + lanes - 1) // lanes
        unit = 1 if by_outputs else channels
        n = start // (rows * planes)
        d = start // rows - n * planes
        p = start - (n * planes + d) * rows - 1
        for row in range(start, stop):
            p += 1
            if p == rows:
                p, d = 0, d + 1
                if d == planes:
                    d, n = 0, n + 1
            at = n if samples.shape[0] > 1 else 0
            if known != at:
                known = at
                write_edges(edges, 0, planes, depth, boxes.depth, samples[at, 0:1])
                write_edges(edges, planes, rows, height, boxes.rows, samples[at, min(1, last_axis) :])
                if not by_outputs:
                    write_edges(edges, planes + rows, columns, width, boxes.columns, samples[at, of_width:])
            front, deep = edges[2 * d], edges[2 * d + 1]
            top, high = edges[2 * (planes + p)], edges[2 * (planes + p) + 1]
            corner = (front * height + top) * width
            source = (n * depth * height * width + corner) * channels
            goal = row * columns * channels
            layers = 0
            if not keeps_places:
                layers = counted_in(d, depth, planes, boxes.depth, count_pad) * counted_in(
                    p, height, rows, boxes.rows, count_pad
                )
            if by_nothing:
                for q in range(columns):
                    begin, taps = edges[2 * (planes + rows + q)], edges[2 * (planes + rows + q) + 1]
                    value, where = lowest, begin
                    for i in range(deep):
                        for j in range(high):
                            line = (i * height * dil_d + j * dil_h) * width + begin
                            for k in range(taps):
                                pixel = line + k * dil_w
                                new = x[source + pixel]
                                if not keeps_places:
                                    value += new
                                else:
                                    take = (new > value) | (new != new)
                                    value, where = choose(take, new, value), choose(take, pixel, where)
                    if keeps_places:
                        if has_places:
                            indices[goal + q] = corner + where if taps else 0
                    else:
                        share = divisor if divisor else layers * counted_in(q, width, columns, boxes.columns, count_pad)
                        if share != 0:
                            value = value / x.dtype.type(share)
                    out[goal + q] = value
            else:
                for q in range(1 if by_outputs else columns):
                    share = divisor
                    if by_outputs:
                        begin, taps = 0, size
                    else:
                        begin, taps = edges[2 * (planes + rows + q)], edges[2 * (planes + rows + q) + 1]
                        if not keeps_places and divisor == 0:
                            share = layers * counted_in(q, width, columns, boxes.columns, count_pad)
                    origin = corner + begin if taps else 0
                    for block in range(inner):
                        lane_step, move, lane_place, walked_taps, tap_step = 1, 0, 0, taps, dil_w
                        if by_outputs:
                            first = max(0, min(block * lanes, columns - lanes))
                            position, limit, count = first * step - pad, width, min(lanes, columns)
                            lane_step, move, lane_place = step, dil_w, step
                            to = goal + first
                            if not keeps_places and divisor == 0:
                                end = position + (count - 1) * step + size
                                is_even = position >= 0 and end <= width
                                share = layers * size if is_even else 0
                        elif by_channels:
                            position, limit, count = 0, channels, min(lanes, channels)
                            first = max(0, min(block * lanes, channels - lanes))
                            limit -= first
                            to = goal + q * channels + first
                        else:
                            first, position, limit, count = 0, 0, (taps - 1) * dil_w + 1 if taps else 0, 1
                            lane_step, move, tap_step = dil_w, lanes * dil_w, lanes * dil_w
                            walked_taps = (taps + lanes - 1) // lanes
                            to = goal + q
                        from_ = source + begin * channels
                        if by_channels:
                            from_ += first
                        walked(
                            x, from_, deep, height * width * dil_d, high, width * dil_h, walked_taps, tap_step, unit, position,
                            lane_step, move, limit, lowest, x.dtype.type(share), out, to, count, indices, has_places,
                            origin + position, lane_place, edges,
                        )  # fmt: skip
                        if not keeps_places and by_outputs and share == 0:
                            for j in range(first, first + count):
                                own = layers * counted_in(j, width, columns, boxes.columns, count_pad)
                                if own > 0:
                                    out[goal + j] = out[goal + j] / x.dtype.type(own)
            if keeps_places and has_places:
                if deep == 0 or high == 0:  # no tap is inside
                    for j in range(goal, goal + columns * channels):
                        indices[j] = 0
                elif by_outputs:  # where nothing is larger than the lowest, the first tap inside has it
                    for j in range(columns):
                        left = j * step - pad
                        if left >= 0:
                            break
                        low, behind = taps_inside(left, dil_w, size, width)
                        if low == behind:
                            indices[goal + j] = 0
                        elif out[goal + j] == lowest:
                            indices[goal + j] = corner + left + low * dil_w

    pool.__name__ = f"{kind}_pool_by_{by}"
    pool.__doc__ = (
        "Work: rows of the output. Of equal values the first wins, and the last NaN over all others, as in torch."
    )
    return kernel("T[:], S[:, :], T[:], i8[:], I[:], Volume, Boxes, Results, T", Volume, Boxes, Results)(pool)


_KERNELS = {(kind, by): _pool_kernel(kind, by) for kind in ("max", "sum") for by in LANES}


# ---- planning ---------------------------------------------------------------------------------------------------


class View(NamedTuple):
    """A tensor as volumes [N, D, H, W, C] in memory."""

    channels_last: bool
    volumes: int
    depth: int
    height: int
    width: int
    channels: int

    @property
    def extents(self) -> tuple[int, int, int]:
        """Depth, height and width."""
        return self.depth, self.height, self.width


def _row_major(spec: Spec, ndim: int) -> View:
    lead = spec.ndim - ndim
    depth, height, width = (1,) * (3 - ndim) + tuple(spec.shape[lead:])
    return View(False, product(spec.shape[:lead]), depth, height, width, 1)


def view_of(spec: Spec, ndim: int) -> View | None:
    """The view of [N, C, *extents] or [C, *extents] of ``ndim`` extents; of [..., *extents] where it is row-major."""
    lead = spec.ndim - ndim
    if lead in (1, 2):
        shape = (1,) * (2 - lead) + tuple(spec.shape)
        strides = (0,) * (2 - lead) + tuple(spec.strides)
        n, c, *image = shape
        last = channels_last_strides(shape)
        if all(extent == 1 or own == other for extent, own, other in zip(shape, strides, last, strict=True)):
            depth, height, width = (1,) * (3 - ndim) + tuple(image)
            return View(True, n, depth, height, width, c)
    return _row_major(spec, ndim) if spec.is_contiguous else None


def views_of(name: str, ndim: int, *operands: Operand) -> list[View]:
    """Views of operands that must all have the same layout."""
    views = [view_of(operand.spec, ndim) for operand in operands]
    for view in views:
        if view is None or view[0] != views[0][0]:  # type: ignore[index]
            # If an extent is 1, both layouts may fit; then the other one is tried.
            break
    else:
        return [view for view in views if view]
    if all(operand.spec.is_contiguous for operand in operands):
        return [_row_major(operand.spec, ndim) for operand in operands]
    specs = ", ".join(repr(operand.spec) for operand in operands)
    raise ProofError(f"{name}: operands are {specs}, expected all contiguous or all channels-last")


def _taps(axis: Axis, extent: int, outputs: int) -> int:
    """The most taps of a box along an axis."""
    return min(axis.size, extent) if axis.size else extent // max(outputs, 1) + 1


def _launch(
    b: PlanBuilder, kind: str, image: View, pooled: View, boxes: Boxes, x: Operand, samples: Operand | None, out: Operand,
    indices: Operand | None, results: Results, lowest: float,
) -> None:  # fmt: skip
    taps = [_taps(*each) for each in zip(boxes, image.extents, pooled.extents, strict=True)]
    columns, lanes = boxes.columns, lanes_of(x.spec.dtype.itemsize)
    layers = taps[0] * taps[1]
    # Cycles of a row of outputs: by lanes that are outputs, by lanes that are elements of one box after the other, by none.
    of_tap = 5 if columns.step <= 2 else 60
    of_outputs = layers * columns.size * of_tap * -(-pooled.width // lanes)
    of_elements = (layers * (taps[2] // lanes + 1) * 6 + 40) * pooled.width
    of_nothing = (layers * taps[2] * 3 + 12) * pooled.width
    if image.channels > 1:
        by, cost = CHANNELS, layers * taps[2] * pooled.width * (image.channels + 8)
    elif of_nothing <= of_elements and (of_nothing <= of_outputs or not columns.size * columns.step):
        by, cost = NOTHING, of_nothing
    elif columns.size and columns.step and of_outputs <= of_elements:
        by, cost = OUTPUTS, layers * columns.size * (pooled.width + 8)
    else:
        by, cost = ELEMENTS, (layers * (taps[2] + 8) + 40) * pooled.width
    reach = product(image.extents) + (columns.dilation + 1) * 64
    edges = b.scratch(dtypes.int32 if reach < 1 << 31 else dtypes.int64, 2 * sum(pooled.extents), per_worker=True)
    numbers = (
        samples.array(image.volumes, samples.spec.shape[-1]) if samples else b.scratch(dtypes.float32, 3).array(1, 3)
    )
    places = indices or b.scratch(dtypes.int64, 1)
    rows = pooled.volumes * pooled.depth * pooled.height
    b.launch(
        _KERNELS[kind, by], x.flat, numbers, out.flat, places.flat, edges.flat,
        Volume(*image.extents, image.channels, *pooled.extents), boxes, results, lowest,
        work=rows if pooled.width * pooled.channels else 0, grain=GRAIN_COST // (cost + 1) + 1, cost=rows * cost,
    )  # fmt: skip


def plan_max_pool(
    b: PlanBuilder, x: Operand, out: Operand, indices: Operand | None, boxes: Boxes, ndim: int, samples: Operand | None = None
) -> None:  # fmt: skip
    """Max pooling over the last ``ndim`` dimensions; without ``indices`` they are not written.

    x
        [N, C, *extents] or [C, *extents], any dtype with an order; channels-last or contiguous, as out and indices.
    out, indices
        The same with the outputs' extents; indices are int64, row-major in a volume. Padding counts as less than all else.
    samples
        Contiguous numbers [..., ndim] for each volume of a row-major input, that say where boxes of step 0 lie.
    """
    operands = (x, out) if indices is None else (x, out, indices)
    image, pooled, *_ = views_of("max_pool", ndim, *operands)
    if samples is not None and image.channels_last:
        image, pooled = _row_major(x.spec, ndim), _row_major(out.spec, ndim)
    dtype = x.spec.dtype
    lowest = -np.inf if dtype.is_floating_point else int(np.iinfo(dtype.numpy).min)
    results = Results(int(indices is not None), 0, 0)
    _launch(b, "max", image, pooled, boxes, x, samples, out, indices, results, lowest)


def parts(extent: int, count: int) -> Axis:
    """The boxes that cut an axis into ``count`` parts: windows, if all are of one size."""
    return Axis(extent // count, extent // count, 0, 1) if count and extent % count == 0 else PARTS


def plan_avg_pool(
    b: PlanBuilder,
    x: Operand,
    out: Operand,
    window: Window | None,
    ndim: int,
    *,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> None:
    """Average pooling over the last ``ndim`` dimensions, as `plan_max_pool`; window None: adaptive to out's extents."""
    image, pooled = views_of("avg_pool", ndim, x, out)
    if window is None and pooled.extents == (1, 1, 1):
        plan_reduce(b, "mean", x, out, tuple(range(-ndim, 0)))
        return
    boxes = window.record if window else Boxes(*map(parts, image.extents, pooled.extents))
    results = Results(0, int(count_include_pad), divisor_override or 0)
    _launch(b, "sum", image, pooled, boxes, x, None, out, None, results, 0)
