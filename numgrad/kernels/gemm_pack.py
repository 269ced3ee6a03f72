"""Before and after products of rows: packing an operand into panels, and adding up the parts of a split sum."""

from __future__ import annotations

import functools
from typing import NamedTuple

from numgrad import dtypes
from numgrad.kernels.gemm_layout import Matrices, Right, Steps, TapSteps
from numgrad.runtime import simd, target
from numgrad.runtime.kernel import Device, Kernel, device, kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder
from numgrad.runtime.program import Array
from numgrad.runtime.simd import address_of

PACK_CHANNELS = 64  # channels whose runs of memory are read whole while they are transposed
# Panels that a run of columns is copied to: a kilobyte, where a panel's part would be two lines of a cache.
TOGETHER = 8


class Panels(NamedTuple):
    """Panels that hold a right operand, ``width`` columns each, and how they are written."""

    panels: int
    together: int  # panels of an item, 1 unless columns lie side by side
    taps: int
    channels: int
    width: int
    columns: int


@functools.cache
def line_filler(code: str) -> Device:
    """The function that fills a line of one dtype."""
    copy, copy_end = simd.copy_tile(code, 1), simd.line_tile(code)
    itemsize = 4 if code == "f4" else 8
    lanes = target.host_target().lanes(itemsize)

    @device
    def fill_line(source, goal, filled, width):
        """``filled`` elements from one address to the other, and zeros behind them, ``width`` in all."""
        whole = filled // lanes * lanes
        for j in range(0, whole, lanes):
            copy(source + j * itemsize, goal + j * itemsize)
        for j in range(whole, width, lanes):
            copy_end(source + j * itemsize, goal + j * itemsize, filled - j, width - j)

    return fill_line


@functools.cache
def column_packer(code: str) -> Device:
    """The function that packs columns of one dtype into a panel."""
    transpose, fill_line = simd.transpose_tile(code), line_filler(code)
    itemsize = 4 if code == "f4" else 8
    lanes = target.host_target().lanes(itemsize)

    @device
    def pack_columns(source, begin, channel_step, column_step, count, filled, width, goal):
        """``goal[c, j] = source[begin + c * channel_step + j * column_step]`` for ``filled`` of ``width`` columns, then zeros."""
        if column_step == 1:
            for c in range(count):
                fill_line(address_of(source, begin + c * channel_step), address_of(goal, c * width), filled, width)
            return
        done = 0  # columns that are turned by squares
        turned = count
        if channel_step == 1:
            done = filled // lanes * lanes
            turned = count // lanes * lanes
            for j in range(0, done, lanes):
                for c in range(0, turned, lanes):
                    transpose(
                        address_of(source, begin + j * column_step + c), column_step * itemsize,
                        address_of(goal, c * width + j), width * itemsize,
                    )  # fmt: skip
        for j in range(filled):
            for c in range(turned if j < done else 0, count):
                goal[c * width + j] = source[begin + c * channel_step + j * column_step]
        for c in range(count if filled < width else 0):
            end = address_of(goal, c * width + filled)
            fill_line(end, end, 0, width - filled)

    return pack_columns


@functools.cache
def pack_kernel(code: str) -> Kernel:
    """The kernel that packs elements of one dtype."""
    pack_columns, fill_line = column_packer(code), line_filler(code)

    @kernel(f"{code}[:], {code}[:], Panels, TapSteps", Panels, TapSteps)
    def pack_panels(source, out, sizes, steps, start, stop):
        """``out[g, panel, t, c, :width] = source[g, t, c, panel * width + ...]``, zeros beyond ``columns``.

        An item is a block of at most `PACK_CHANNELS` channels of one tap, and ``together`` panels.
        """
        panel_count, together, taps, channels, width, columns = sizes
        batch_step, tap_step, channel_step, column_step = steps
        blocks = (channels + PACK_CHANNELS - 1) // PACK_CHANNELS
        shares = (panel_count + together - 1) // together
        for item in range(start, stop):
            block = item % blocks
            rest = item // blocks
            tap = rest % taps
            rest //= taps
            panel = rest % shares * together
            batch = rest // shares
            first = block * PACK_CHANNELS
            count = min(PACK_CHANNELS, channels - first)
            begin = batch * batch_step + tap * tap_step + first * channel_step + panel * width * column_step
            goal_begin = (((batch * panel_count + panel) * taps + tap) * channels + first) * width
            goal = out[goal_begin:][: count * width]
            filled = min(width, columns - panel * width)
            if column_step == 1:
                for c in range(count):
                    for p in range(min(together, panel_count - panel)):
                        line, row = goal_begin + (p * taps * channels + c) * width, begin + c * channel_step + p * width
                        used = min(width, columns - (panel + p) * width)
                        fill_line(address_of(source, row), address_of(out, line), used, width)
            else:
                pack_columns(source, begin, channel_step, column_step, count, filled, width, goal)

    return pack_panels


@kernel("T[:], T[:], T[:], i8, i8, i8, i8, Steps, i8, i8", Steps)
def add_splits(parts, bias, out, splits, split_step, rows, columns, steps, bias_batch, accumulate, start, stop):
    """``out[g, m, :] (+)= bias + the sum of its parts``, parts lying as ``[split, g, m, column]``; an item is a row."""
    for item in range(start, stop):
        batch = item // rows
        line = out[batch * steps.batch + (item - batch * rows) * steps.row :][:columns]
        if not accumulate:
            if bias.shape[0] > 0:
                for j in range(line.shape[0]):
                    line[j] = bias[batch * bias_batch + j]
            else:
                for j in range(line.shape[0]):
                    line[j] = 0
        for split in range(splits):
            part = parts[split * split_step + item * columns :][:columns]
            for j in range(line.shape[0]):
                line[j] += part[j]


def plan_add_splits(
    b: PlanBuilder, parts: Array, bias: Array, out: Matrices, *, splits: int, rows: int, columns: int, batch: int = 1,
    bias_batch: int = 0, accumulate: bool = False,
) -> None:  # fmt: skip
    """``out[g, m, :] (+)= bias[g] + the sum of its parts``; an empty bias is no bias, and with ``accumulate`` none is added."""
    count = batch * rows * columns
    b.launch(
        add_splits, parts, bias, out.array, splits, count, rows, columns, out.steps, bias_batch, int(accumulate),
        work=batch * rows, grain=GRAIN_COST // (max(1, splits) * columns) + 1, cost=count * max(1, splits),
    )  # fmt: skip


def plan_bias(
    b: PlanBuilder, bias: Array, out: Matrices, *, rows: int, columns: int, batch: int = 1, bias_batch: int = 0,
    accumulate: bool = False,
) -> None:  # fmt: skip
    """``out[g, m, :] = bias[g]`` (zeros, if it is empty), to which products are added.

    With ``accumulate`` nothing is done: products are added to the old values.
    """
    plan_add_splits(
        b, out.operand.array(0), bias, out, splits=0, rows=rows, columns=columns, batch=batch, bias_batch=bias_batch,
        accumulate=accumulate,
    )  # fmt: skip


def plan_pack(
    b: PlanBuilder, right: Right, *, batch: int, taps: int, channels: int, columns: int, width: int
) -> Operand:
    """Pack into panels ``[g, panel, t, c, width]``; the scratch operand that holds them."""
    code = right.operand.code
    sizes = Panels(-(-columns // width), TOGETHER if right.column == 1 else 1, taps, channels, width, columns)
    packed = b.scratch(dtypes.by_code(code), batch * sizes.panels * taps * channels * width)
    blocks = -(-channels // PACK_CHANNELS)
    item = min(channels, PACK_CHANNELS) * min(sizes.panels, sizes.together) * width
    b.launch(
        pack_kernel(code), right.array, packed.flat, sizes, right.steps,
        work=batch * -(-sizes.panels // sizes.together) * taps * blocks, grain=GRAIN_COST // (2 * item + 1) + 1,
        cost=packed.extent, prepares=True,
    )  # fmt: skip
    return packed


def plan_turn(b: PlanBuilder, source: Operand, goal: Operand, *, rows: int, columns: int) -> None:
    """``goal = source`` transposed; the source has ``rows`` rows and ``columns`` columns, and both are dense."""
    b.launch(
        pack_kernel(source.code), source.array(rows * columns), goal.array(rows * columns),
        Panels(1, 1, 1, columns, rows, rows), TapSteps(0, 0, 1, columns),
        work=-(-columns // PACK_CHANNELS), grain=1, cost=rows * columns,
    )  # fmt: skip
