"""Convolutions in which every channel has a filter of its own (groups = C = K): no products of matrices, but of rows.

A tap multiplies a row of channels by a row of the weight, which is transposed to ``[tap, channel]`` first.
"""

from __future__ import annotations

from numgrad.kernels.gemm_pack import plan_turn
from numgrad.kernels.grid import Grid, next_position, position_of
from numgrad.runtime.kernel import kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder

MOST_SPLITS = 32


@kernel("T[:], T[:], T[:], T[:], i8, Grid", Grid)
def filter_channels(source, weight, bias, out, channels, grid, start, stop):
    """``out[m, c] = bias[c] + sum over taps of source[source(m, t), c] * weight[t, c]``, rows as in `Grid`."""
    source_w, taps_w, step_w, divide_w = grid.source_w, grid.taps_w, grid.step_w, grid.divide_w
    image, y, x = position_of(start, grid)
    for m in range(start, stop):
        if m > start:
            image, y, x = next_position(m, y, x, image, grid)
        begin = ((image * grid.out_h + y) * grid.out_w + x) * channels
        line = out[begin : begin + channels]
        if bias.shape[0] > 0:
            for c in range(line.shape[0]):
                line[c] = bias[c]
        else:
            for c in range(line.shape[0]):
                line[c] = 0
        for r in range(grid.taps_h):
            source_y = y * grid.scale_h + r * grid.step_h + grid.shift_h
            if source_y < 0 or source_y % grid.divide_h != 0 or source_y // grid.divide_h >= grid.source_h:
                continue
            above = (image * grid.source_h + source_y // grid.divide_h) * source_w
            s = 0
            while s < taps_w:
                source_x = x * grid.scale_w + s * step_w + grid.shift_w
                last_x = source_x + 2 * step_w
                factors = weight[(r * taps_w + s) * channels :]
                is_inside = min(source_x, last_x) >= 0 and max(source_x, last_x) < source_w
                if divide_w == 1 and s + 2 < taps_w and is_inside:
                    # Three taps at a time: the line is read and written once.
                    w0, w1, w2 = factors[:channels], factors[channels:][:channels], factors[2 * channels :][:channels]
                    x0 = source[(above + source_x) * channels :][:channels]
                    x1 = source[(above + source_x + step_w) * channels :][:channels]
                    x2 = source[(above + last_x) * channels :][:channels]
                    for c in range(line.shape[0]):
                        line[c] += x0[c] * w0[c] + x1[c] * w1[c] + x2[c] * w2[c]
                    s += 3
                    continue
                s += 1
                if source_x < 0 or source_x % divide_w != 0 or source_x // divide_w >= source_w:
                    continue
                row, factors = source[(above + source_x // divide_w) * channels :][:channels], factors[:channels]
                for c in range(line.shape[0]):
                    line[c] += row[c] * factors[c]


@kernel("T[:], T[:], T[:], i8, i8, Grid", Grid)
def sum_channels(grad, source, parts, channels, split_rows, grid, start, stop):
    """``parts[split, t, c] = sum over the split's rows of grad[m, c] * source[source(m, t), c]``; an item is a split.

    Nothing is divided in such a grid.
    """
    out_h, out_w, taps_w = grid.out_h, grid.out_w, grid.taps_w
    size, rows = grid.taps_h * taps_w * channels, grid.images * out_h * out_w
    for split in range(start, stop):
        sums = parts[split * size :][:size]
        for i in range(sums.shape[0]):
            sums[i] = 0
        for m in range(split * split_rows, min(rows, (split + 1) * split_rows)):
            image = m // (out_h * out_w)
            y, x = m // out_w - image * out_h, m % out_w
            line = grad[m * channels : (m + 1) * channels]
            for r in range(grid.taps_h):
                source_y = y * grid.scale_h + r * grid.step_h + grid.shift_h
                if source_y < 0 or source_y >= grid.source_h:
                    continue
                for s in range(taps_w):
                    source_x = x * grid.scale_w + s * grid.step_w + grid.shift_w
                    if source_x < 0 or source_x >= grid.source_w:
                        continue
                    row = source[((image * grid.source_h + source_y) * grid.source_w + source_x) * channels :][
                        :channels
                    ]
                    total = sums[(r * taps_w + s) * channels :][:channels]
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
    plan_turn(b, weight, turned, rows=channels, columns=taps)
    b.launch(
        filter_channels, source.flat, turned.flat, bias.array(channels) if bias else nothing.array(0), out.flat,
        channels, grid, work=grid.rows, grain=GRAIN_COST // (taps * channels) + 1, cost=grid.rows * taps * channels,
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
        sum_channels, grad_out.flat, x.flat, parts.flat, channels, split_rows, grid,
        work=splits, grain=1, cost=cost,
    )  # fmt: skip
    b.launch(
        add_and_turn, parts.flat, out.flat, splits, taps, channels,
        work=channels, grain=GRAIN_COST // (splits * taps) + 1, cost=splits * taps * channels,
    )  # fmt: skip
