"""Gradients of convolutions with few pixels and many channels: reading or writing the weight takes all the time.

Each line of the weight, the channels of one tap, is touched once, in the order of memory, and combined with all pixels that
the tap sees; these are few enough to stay in the nearest cache. Register tiles, as in `gemm_rows`, would walk through the
weight in steps of a whole filter and wait for memory at each. Measured for 512 to 512 channels at 2 x 2
pixels, 3 x 3 taps: 0.6 ms instead of 1.1 for the input's gradient, 0.63 instead of 1.0 for the weight's. Forward there is
no gain: there the register tiles also read the weight in order.
"""

from __future__ import annotations

import functools

from numgrad import dtypes
from numgrad.kernels.conv_geometry import Conv2dGeometry
from numgrad.kernels.gemm_layout import Matrices
from numgrad.kernels.gemm_pack import plan_add_splits
from numgrad.kernels.gemm_rows import lanes
from numgrad.kernels.grid import Grid, list_pixels
from numgrad.runtime import simd, target
from numgrad.runtime.kernel import Kernel, device, kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder
from numgrad.runtime.simd import address_of, fence

TOGETHER = 4  # output channels that are read side by side, so that sums are stored less often
SPLITS = 16  # of the sum over output channels; fixed, so that the bits are fixed
MOST_BYTES = 1 << 14  # of the input, which each tap runs over: half of a nearest cache
MOST_PIXELS = {"input": 16, "weight": 4}  # of the output; beyond them arithmetic decides, and register tiles win
# Words for a tap: the number of its pairs of pixels, then these.
INPUT_WORDS, WEIGHT_WORDS = (1 + 2 * MOST_PIXELS[direction] for direction in ("input", "weight"))


def fits(geometry: Conv2dGeometry, direction: str, code: str) -> bool:
    """Whether to use this module's kernels, for direction "input" or "weight"."""
    g = geometry
    itemsize = 4 if code == "f4" else 8
    return (
        g.groups == 1
        and 0 < g.pixels <= MOST_PIXELS[direction]
        and g.n * g.h * g.w * g.c * itemsize <= MOST_BYTES
        and g.c % lanes(code) == 0
        and g.k % (TOGETHER * SPLITS) == 0
    )


@functools.cache
def stream_input_kernel(code: str) -> Kernel:
    """The kernel for one dtype."""
    vector, itemsize = lanes(code), 4 if code == "f4" else 8
    many = target.host_target().tiles.update
    few = max(1, many // 2)
    update_many, update_few, update_one = (simd.update_tile(code, lines, TOGETHER) for lines in (many, few, 1))

    @kernel(f"{code}[:], {code}[:], {code}[:], i8[:], Grid, i8, i8, i8", Grid)
    def stream_input(grad, weight, parts, words, grid, channels, outputs, share, start, stop, worker):
        """The input's gradient, as parts to be summed; an item is a share of the output channels."""
        taps, part_size = grid.taps_h * grid.taps_w, grid.images * grid.source_h * grid.source_w * channels
        pixels = grid.images * grid.out_h * grid.out_w
        words = words[worker * taps * INPUT_WORDS : (worker + 1) * taps * INPUT_WORDS]
        for tap in range(taps):
            pairs = words[tap * INPUT_WORDS + 1 : (tap + 1) * INPUT_WORDS]
            count = list_pixels(pairs, 0, pixels, tap // grid.taps_w, tap % grid.taps_w, grid)
            words[tap * INPUT_WORDS] = count
            for i in range(count):
                pairs[2 * i] = address_of(grad, pairs[2 * i] * outputs)
                pairs[2 * i + 1] = address_of(parts, pairs[2 * i + 1] * channels)
        table = address_of(words, 0)
        for item in range(start, stop):
            part = parts[item * part_size : (item + 1) * part_size]
            for i in range(part.shape[0]):
                part[i] = 0
            for k in range(item * share, (item + 1) * share, TOGETHER):
                for tap in range(taps):
                    begin, row = address_of(weight, (k * taps + tap) * channels), taps * channels * itemsize
                    pair, count = table + 8 * (tap * INPUT_WORDS + 1), words[tap * INPUT_WORDS]
                    shift, goal_shift, vectors = k * itemsize, item * part_size * itemsize, channels // vector
                    while count >= many:
                        update_many(pair, shift, goal_shift, begin, row, vectors)
                        pair, count = pair + 16 * many, count - many
                    while count >= few:
                        update_few(pair, shift, goal_shift, begin, row, vectors)
                        pair, count = pair + 16 * few, count - few
                    if count > 0:
                        update_one(pair, shift, goal_shift, begin, row, vectors)

    return stream_input


@functools.cache
def stream_weight_kernel(code: str) -> Kernel:
    """The kernel for one dtype. It writes past the caches: memory that is only written need not be read first."""
    vector, itemsize = lanes(code), 4 if code == "f4" else 8
    write = simd.copy_tile(code, 1, past_caches=True)

    @device
    def sum_pixels(line, grad, source, pairs, k):
        """``line = sum over the pixels that a tap sees of grad[pixel, k] * source[pixel]``, written once."""
        count = pairs[0]
        if count == 0:
            for c in range(line.shape[0]):
                line[c] = 0
            return
        g0, p0 = grad[pairs[1] + k], source[pairs[2] :]
        if count == 1:
            for c in range(line.shape[0]):
                line[c] = g0 * p0[c]
            return
        g1, p1 = grad[pairs[3] + k], source[pairs[4] :]
        if count == 2:
            for c in range(line.shape[0]):
                line[c] = g0 * p0[c] + g1 * p1[c]
            return
        g2, p2 = grad[pairs[5] + k], source[pairs[6] :]
        if count == 3:
            for c in range(line.shape[0]):
                line[c] = g0 * p0[c] + g1 * p1[c] + g2 * p2[c]
            return
        g3, p3 = grad[pairs[7] + k], source[pairs[8] :]
        for c in range(line.shape[0]):
            line[c] = g0 * p0[c] + g1 * p1[c] + g2 * p2[c] + g3 * p3[c]

    @kernel(f"{code}[:], {code}[:], {code}[:], {code}[:], i8[:], Grid, i8, i8", Grid)
    def stream_weight(grad, source, grad_weight, spare, words, grid, channels, outputs, start, stop, worker):
        """The weight's gradient; an item is an output channel."""
        line = spare[worker * channels : (worker + 1) * channels]
        taps, pixels = grid.taps_h * grid.taps_w, grid.images * grid.out_h * grid.out_w
        words = words[worker * taps * WEIGHT_WORDS : (worker + 1) * taps * WEIGHT_WORDS]
        for tap in range(taps):  # how many pixels it sees, then where each lies in the one and the other
            pairs = words[tap * WEIGHT_WORDS : (tap + 1) * WEIGHT_WORDS]
            pairs[0] = list_pixels(pairs[1:], 0, pixels, tap // grid.taps_w, tap % grid.taps_w, grid)
            for i in range(pairs[0]):
                pairs[1 + 2 * i] *= outputs
                pairs[2 + 2 * i] *= channels
        for k in range(start, stop):
            for tap in range(taps):
                begin = (k * taps + tap) * channels
                goal = grad_weight[begin : begin + channels]
                if address_of(goal, 0) % (vector * itemsize) == 0:
                    sum_pixels(line, grad, source, words[tap * WEIGHT_WORDS : (tap + 1) * WEIGHT_WORDS], k)
                    for c in range(0, channels, vector):
                        write(address_of(line, c), address_of(goal, c))
                else:
                    sum_pixels(goal, grad, source, words[tap * WEIGHT_WORDS : (tap + 1) * WEIGHT_WORDS], k)
        fence()

    return stream_weight


def plan_input(b: PlanBuilder, grad_out: Operand, weight: Operand, grad_x: Operand, geometry: Conv2dGeometry) -> None:
    """The gradient of the input."""
    g, pixels = geometry, geometry.n * geometry.h * geometry.w
    size = pixels * g.c
    parts = b.scratch(grad_x.spec.dtype, SPLITS * size)
    words = b.scratch(dtypes.int64, g.r * g.s * INPUT_WORDS, per_worker=True)
    b.launch(
        stream_input_kernel(grad_x.code), grad_out.array(g.pixels * g.k), weight.array(g.k * g.filter_size), parts.flat,
        words.flat, g.forward_grid, g.c, g.k, g.k // SPLITS, work=SPLITS, grain=1, cost=g.pixels * weight.extent // 8 + 1,
    )  # fmt: skip
    nothing = b.scratch(grad_x.spec.dtype, 0).array(0)
    plan_add_splits(b, parts.flat, nothing, Matrices(grad_x, 0, g.c), splits=SPLITS, rows=pixels, columns=g.c)


def plan_weight(b: PlanBuilder, grad_out: Operand, x: Operand, grad_weight: Operand, geometry: Conv2dGeometry) -> None:
    """The gradient of the weight."""
    g = geometry
    spare = b.scratch(x.spec.dtype, g.c, per_worker=True)
    words = b.scratch(dtypes.int64, g.r * g.s * WEIGHT_WORDS, per_worker=True)
    b.launch(
        stream_weight_kernel(x.code), grad_out.array(g.pixels * g.k), x.array(g.n * g.h * g.w * g.c),
        grad_weight.array(g.k * g.filter_size), spare.flat, words.flat, g.forward_grid, g.c, g.k,
        work=g.k, grain=4 * GRAIN_COST // g.filter_size + 1, cost=g.pixels * grad_weight.extent // 8 + 1,
    )  # fmt: skip
