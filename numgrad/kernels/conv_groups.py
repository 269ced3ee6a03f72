"""Convolutions of many small groups, such as ResNeXt's: several groups are computed as one with zeros between them.

A group of 4 channels fills a quarter of a tile's columns, and needs as many tables and copies as a full one. Four groups
taken as one, with a weight that is zero outside of their blocks, need the same multiplications and a quarter of everything
else: two to four times faster on ResNeXt50's. But 0 * inf is NaN, so an infinite or NaN element turns the results of all
groups in its set into NaN at that pixel. The products notice that (`gemm_rows.Watched`), and `repair_groups` computes such
pixels for each group by itself.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from numgrad.kernels.conv_geometry import Conv2dGeometry
from numgrad.kernels.gemm_layout import Blocks, Matrices, TapSteps
from numgrad.kernels.gemm_rows import Watched, tile_shape
from numgrad.kernels.grid import Grid, next_position, position_of
from numgrad.runtime.kernel import kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder


@kernel("T[:], T[:], i8, i8, i8, i8")
def spread_groups(narrow, wide, taps, channels, group_k, merged, start, stop):
    """Widen filters of ``channels`` to ``merged`` times as many, with zeros where the others' channels are; an item is one."""
    for k in range(start, stop):
        offset = k // group_k % merged * channels
        for tap in range(taps):
            line = wide[(k * taps + tap) * merged * channels :][: merged * channels]
            for c in range(line.shape[0]):
                line[c] = 0
            source, goal = narrow[(k * taps + tap) * channels :][:channels], line[offset : offset + channels]
            for c in range(source.shape[0]):
                goal[c] = source[c]


@kernel("T[:], T[:], i8, i8, i8, i8")
def pick_groups(wide, narrow, taps, channels, group_k, merged, start, stop):
    """The inverse of `spread_groups`: the blocks of the groups themselves."""
    for k in range(start, stop):
        offset = k // group_k % merged * channels
        for tap in range(taps):
            source = wide[(k * taps + tap) * merged * channels + offset :][:channels]
            goal = narrow[(k * taps + tap) * channels :][:channels]
            for c in range(source.shape[0]):
                goal[c] = source[c]


class Groups(NamedTuple):
    """Groups of a convolution: how many are taken as one, the number of such sets, and the channels of one group."""

    merged: int
    sets: int
    channels: int  # of the source
    columns: int  # of the result


@kernel("T[:], T[:], T[:], T[:], i8[:], Grid, Blocks, Groups, TapSteps, i8, i8", Grid, Blocks, Groups, TapSteps)
def repair_groups(source, weight, bias, out, flags, grid, blocks, groups, steps, source_row, out_row, start, stop):
    """Recompute, group by group, the pixels of a set of groups that are not finite; an item is a block of rows.

    The weight's ``steps`` go from one group, tap, channel and column to the next.
    """
    row_block, merged, channels, columns = blocks.row_block, groups.merged, groups.channels, groups.columns
    for item in range(start, stop):
        flagged = 0
        for i in range(item, flags.shape[0], blocks.row_blocks):
            flagged |= flags[i]
        if not flagged:
            continue
        image, y, x = position_of(item * row_block, grid)
        for m in range(item * row_block, min(blocks.rows, (item + 1) * row_block)):
            if m > item * row_block:
                image, y, x = next_position(m, y, x, image, grid)
            begin = ((image * grid.out_h + y) * grid.out_w + x) * out_row
            for group in range(groups.sets * merged):
                if group % merged == 0:
                    value = out[begin + group * columns]
                    is_spoiled = value - value != 0
                if not is_spoiled:
                    continue
                for j in range(columns):
                    total = bias[group * columns + j] if bias.shape[0] > 0 else out.dtype.type(0)
                    for tap in range(grid.taps_h * grid.taps_w):
                        source_y = y * grid.scale_h + tap // grid.taps_w * grid.step_h + grid.shift_h
                        source_x = x * grid.scale_w + tap % grid.taps_w * grid.step_w + grid.shift_w
                        if (
                            source_y < 0
                            or source_x < 0
                            or source_y % grid.divide_h != 0
                            or source_x % grid.divide_w != 0
                        ):
                            continue
                        source_y, source_x = source_y // grid.divide_h, source_x // grid.divide_w
                        if source_y < grid.source_h and source_x < grid.source_w:
                            pixel = (image * grid.source_h + source_y) * grid.source_w + source_x
                            first = pixel * source_row + group * channels
                            factors = group * steps.batch + tap * steps.tap + j * steps.column
                            for c in range(channels):
                                total += source[first + c] * weight[factors + c * steps.channel]
                    out[begin + group * columns + j] = total


def merged_groups(geometry: Conv2dGeometry, code: str) -> int:
    """How many groups are taken at a time: as many as fill a tile's columns."""
    g, width = geometry, tile_shape(code, "many")[1]
    if g.groups == 1 or g.is_depthwise:
        return 1
    most = max(1, width // max(g.group_c, g.group_k, 1))
    return max(count for count in range(1, most + 1) if g.groups % count == 0)


def merge(geometry: Conv2dGeometry, count: int) -> Conv2dGeometry:
    """The geometry with ``count`` groups in one."""
    return dataclasses.replace(geometry, groups=geometry.groups // count)


def plan_spread(b: PlanBuilder, weight: Operand, geometry: Conv2dGeometry, count: int) -> Operand:
    """The weight with zeros, in scratch memory."""
    g = geometry
    wide = b.scratch(weight.spec.dtype, g.k * g.filter_size * count)
    b.launch(
        spread_groups, weight.array(g.k * g.filter_size), wide.flat, g.r * g.s, g.group_c, g.group_k, count,
        work=g.k, grain=GRAIN_COST // (g.filter_size * count) + 1, cost=wide.extent,
    )  # fmt: skip
    return wide


def plan_pick(b: PlanBuilder, wide: Operand, weight: Operand, geometry: Conv2dGeometry, count: int) -> None:
    """The weight's gradient from one that has values for the zeros, too."""
    g = geometry
    b.launch(
        pick_groups, wide.flat, weight.array(g.k * g.filter_size), g.r * g.s, g.group_c, g.group_k, count,
        work=g.k, grain=GRAIN_COST // (g.filter_size * count) + 1, cost=wide.extent,
    )  # fmt: skip


def plan_repair(
    b: PlanBuilder, watched: Watched | None, source: Matrices, weight: Operand, bias: Operand | None, goal: Matrices, grid: Grid,
    geometry: Conv2dGeometry, count: int, *, turned: bool,
) -> None:  # fmt: skip
    """Recompute results that groups of one set have spoiled for each other.

    ``geometry`` is that of single groups, ``weight`` has no zeros; ``turned``: the source has the output's channels.
    """
    g = geometry
    if watched is None:
        return
    channels, columns = (g.group_k, g.group_c) if turned else (g.group_c, g.group_k)
    channel_step, column_step = (g.filter_size, 1) if turned else (1, g.filter_size)
    nothing = b.scratch(goal.operand.spec.dtype, 0).array(0)
    b.launch(
        repair_groups, source.operand.flat, weight.array(g.k * g.filter_size), bias.array(g.k) if bias else nothing,
        goal.operand.flat, watched.flags.flat, grid, watched.blocks, Groups(count, g.groups // count, channels, columns),
        TapSteps(g.group_k * g.filter_size, g.group_c, channel_step, column_step), source.row, goal.row,
        work=watched.blocks.row_blocks, grain=1, cost=watched.flags.extent,
    )  # fmt: skip
