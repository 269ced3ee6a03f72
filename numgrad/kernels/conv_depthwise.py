"""Convolutions in which every channel has a filter of its own (groups = C = K): no products of matrices, but of rows.

A tap multiplies a row of channels by a row of the weight, which is turned to ``[tap, channel]`` first.
"""

from __future__ import annotations

from numgrad.kernels.gemm_pack import PACK_CHANNELS, pack_kernel
from numgrad.kernels.gemm_rows import Grid, next_place, place_of
from numgrad.runtime.kernel import kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder

MOST_SPLITS = 32
GRID_TYPES = "i8, " * 15


@kernel(f"T[:], T[:], T[:], T[:], i8, {GRID_TYPES}")
def filter_channels(
    source, weight, bias, out, channels, images, out_h, out_w, source_h, source_w, taps_h, taps_w,
    scale_h, scale_w, step_h, step_w, shift_h, shift_w, divide_h, divide_w, start, stop,
):  # fmt: skip
    """``out[m, c] = bias[c] + sum over taps of source[source(m, t), c] * weight[t, c]``, rows as in `Grid`."""
    grid = (
        images, out_h, out_w, source_h, source_w, taps_h, taps_w,
        scale_h, scale_w, step_h, step_w, shift_h, shift_w, divide_h, divide_w,
    )  # fmt: skip
    image, y, x = place_of(start, grid)
    for m in range(start, stop):
        if m > start:
            image, y, x = next_place(m, y, x, image, grid)
        begin = ((image * out_h + y) * out_w + x) * channels
        line = out[begin : begin + channels]
        if bias.shape[0] > 0:
            for c in range(line.shape[0]):
                line[c] = bias[c]
        else:
            for c in range(line.shape[0]):
                line[c] = 0
        for r in range(taps_h):
            found_y = y * scale_h + r * step_h + shift_h
            if found_y < 0 or found_y % divide_h != 0 or found_y // divide_h >= source_h:
                continue
            above = (image * source_h + found_y // divide_h) * source_w
            s = 0
            while s < taps_w:
                found_x = x * scale_w + s * step_w + shift_w
                last_x = found_x + 2 * step_w
                factors = weight[(r * taps_w + s) * channels :]
                if divide_w == 1 and s + 2 < taps_w and min(found_x, last_x) >= 0 and max(found_x, last_x) < source_w:
                    # Three taps at a time: the line is read and written once.
                    w0, w1, w2 = factors[:channels], factors[channels:][:channels], factors[2 * channels :][:channels]
                    x0 = source[(above + found_x) * channels :][:channels]
                    x1 = source[(above + found_x + step_w) * channels :][:channels]
                    x2 = source[(above + last_x) * channels :][:channels]
                    for c in range(line.shape[0]):
                        line[c] += x0[c] * w0[c] + x1[c] * w1[c] + x2[c] * w2[c]
                    s += 3
                    continue
                s += 1
                if found_x < 0 or found_x % divide_w != 0 or found_x // divide_w >= source_w:
                    continue
                row, factors = source[(above + found_x // divide_w) * channels :][:channels], factors[:channels]
                for c in range(line.shape[0]):
                    line[c] += row[c] * factors[c]


@kernel("T[:], T[:], T[:], i8, i8, i8, i8, i8, i8, i8, i8, i8, i8, i8, i8, i8, i8, i8")
def sum_channels(
    grad, x, parts, channels, split_rows, rows, out_h, out_w, source_h, source_w, taps_h, taps_w,
    scale_h, scale_w, step_h, step_w, shift_h, shift_w, start, stop,
):  # fmt: skip
    """``parts[split, t, c] = sum over the split's rows of grad[m, c] * x[source(m, t), c]``; an item is a split."""
    for split in range(start, stop):
        mine = parts[split * taps_h * taps_w * channels :][: taps_h * taps_w * channels]
        for i in range(mine.shape[0]):
            mine[i] = 0
        for m in range(split * split_rows, min(rows, (split + 1) * split_rows)):
            image = m // (out_h * out_w)
            y, left = m // out_w - image * out_h, m % out_w
            line = grad[m * channels : (m + 1) * channels]
            for r in range(taps_h):
                found_y = y * scale_h + r * step_h + shift_h
                if found_y < 0 or found_y >= source_h:
                    continue
                for s in range(taps_w):
                    found_x = left * scale_w + s * step_w + shift_w
                    if found_x < 0 or found_x >= source_w:
                        continue
                    row = x[((image * source_h + found_y) * source_w + found_x) * channels :][:channels]
                    total = mine[(r * taps_w + s) * channels :][:channels]
                    for c in range(line.shape[0]):
                        total[c] += line[c] * row[c]


@kernel("T[:], T[:], i8, i8, i8")
def add_and_turn(parts, out, splits, taps, channels, start, stop):
    """``out[c, t] = sum of parts[:, t, c]``, in order; an item is a channel."""
    for c in range(start, stop):
        for t in range(taps):
            total = parts[t * channels + c]
            for split in range(1, splits):
                total += parts[(split * taps + t) * channels + c]
            out[c * taps + t] = total


def plan_filter_channels(
    b: PlanBuilder, source: Operand, weight: Operand, bias: Operand | None, out: Operand, grid: Grid, channels: int
) -> None:
    """The output (with a forward grid) or the input's gradient (with a backward grid)."""
    dtype, taps = source.spec.dtype, grid.taps
    turned, nothing = b.scratch(dtype, taps * channels), b.scratch(dtype, 0)
    b.launch(
        pack_kernel(source.code), weight.flat, turned.flat, 1, 1, 1, taps, channels, channels, 0, 0, 1, taps,
        work=-(-taps // PACK_CHANNELS), grain=1, cost=taps * channels,
    )  # fmt: skip
    b.launch(
        filter_channels, source.flat, turned.flat, bias.array(channels) if bias else nothing.array(0), out.flat,
        channels, *grid, work=grid.rows, grain=GRAIN_COST // (taps * channels) + 1, cost=grid.rows * taps * channels,
    )  # fmt: skip


def plan_sum_channels(b: PlanBuilder, grad_out: Operand, x: Operand, out: Operand, grid: Grid, channels: int) -> None:
    """The weight's gradient."""
    taps = grid.taps
    cost = grid.rows * taps * channels
    splits = max(1, min(MOST_SPLITS, grid.rows, cost // GRAIN_COST))
    split_rows = -(-grid.rows // splits)
    splits = -(-grid.rows // split_rows)
    parts = b.scratch(x.spec.dtype, splits * taps * channels)
    b.launch(
        sum_channels, grad_out.flat, x.flat, parts.flat, channels, split_rows, grid.rows, *grid[1:13],
        work=splits, grain=1, cost=cost,
    )  # fmt: skip
    b.launch(
        add_and_turn, parts.flat, out.flat, splits, taps, channels,
        work=channels, grain=GRAIN_COST // (splits * taps) + 1, cost=splits * taps * channels,
    )  # fmt: skip
