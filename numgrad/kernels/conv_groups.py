"""Convolutions of many small groups, such as ResNeXt's: several groups are computed as one with zeros between them.

A group of 4 channels fills a quarter of a tile's columns and takes as many tables and copies as a full one. Taken four
at a time, with a weight that is zero outside of their blocks, groups take the same multiplications and a quarter of all
else: two to four times faster on ResNeXt50's. But 0 * inf is NaN, so an infinite or NaN element makes NaN of all that the
groups that are taken with its own have at that place. The products notice that (`gemm_rows.Watched`), and
`repair_groups` computes such places for each group by itself.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from numgrad.kernels.gemm_rows import Grid, Rows, Watched, next_place, place_of, tile_shape
from numgrad.runtime.kernel import kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder

if TYPE_CHECKING:
    from numgrad.kernels.conv import Conv2dGeometry


@kernel("T[:], T[:], i8, i8, i8, i8")
def spread_groups(narrow, wide, taps, channels, group_k, merged, start, stop):
    """Widen filters of ``channels`` to ``merged`` times as many, with zeros in the others' places; an item is one."""
    for k in range(start, stop):
        place = k // group_k % merged * channels
        for tap in range(taps):
            line = wide[(k * taps + tap) * merged * channels :][: merged * channels]
            for c in range(line.shape[0]):
                line[c] = 0
            source, goal = narrow[(k * taps + tap) * channels :][:channels], line[place : place + channels]
            for c in range(source.shape[0]):
                goal[c] = source[c]


@kernel("T[:], T[:], i8, i8, i8, i8")
def pick_groups(wide, narrow, taps, channels, group_k, merged, start, stop):
    """The opposite of `spread_groups`: what lies in the groups' own places."""
    for k in range(start, stop):
        place = k // group_k % merged * channels
        for tap in range(taps):
            source = wide[(k * taps + tap) * merged * channels + place :][:channels]
            goal = narrow[(k * taps + tap) * channels :][:channels]
            for c in range(source.shape[0]):
                goal[c] = source[c]


@kernel(f"T[:], T[:], T[:], T[:], i8[:], {'i8, ' * 15} {'i8, ' * 13}")
def repair_groups(
    source, weight, bias, out, flags, images, out_h, out_w, source_h, source_w, taps_h, taps_w, scale_h, scale_w, step_h,
    step_w, shift_h, shift_w, divide_h, divide_w, row_block, row_blocks, sets, merged, channels, columns, source_row,
    out_row, w_group, w_tap, w_channel, w_column, has_bias, start, stop,
):  # fmt: skip
    """Compute again, group by group, what is not finite at a place of a set of groups; an item is a block of rows.

    A group has so many ``channels`` of the source and ``columns`` of the result.
    """
    grid = (
        images, out_h, out_w, source_h, source_w, taps_h, taps_w,
        scale_h, scale_w, step_h, step_w, shift_h, shift_w, divide_h, divide_w,
    )  # fmt: skip
    rows = images * out_h * out_w
    for item in range(start, stop):
        flagged = 0
        for i in range(item, flags.shape[0], row_blocks):
            flagged |= flags[i]
        if not flagged:
            continue
        image, y, x = place_of(item * row_block, grid)
        for m in range(item * row_block, min(rows, (item + 1) * row_block)):
            if m > item * row_block:
                image, y, x = next_place(m, y, x, image, grid)
            begin = ((image * out_h + y) * out_w + x) * out_row
            for group in range(sets * merged):
                if group % merged == 0:
                    value = out[begin + group * columns]
                    is_spoiled = value - value != 0
                if not is_spoiled:
                    continue
                for j in range(columns):
                    total = bias[group * columns + j] if has_bias else out.dtype.type(0)
                    for tap in range(taps_h * taps_w):
                        seen_y = y * scale_h + tap // taps_w * step_h + shift_h
                        seen_x = x * scale_w + tap % taps_w * step_w + shift_w
                        if seen_y < 0 or seen_x < 0 or seen_y % divide_h != 0 or seen_x % divide_w != 0:
                            continue
                        seen_y, seen_x = seen_y // divide_h, seen_x // divide_w
                        if seen_y < source_h and seen_x < source_w:
                            pixel = ((image * source_h + seen_y) * source_w + seen_x) * source_row + group * channels
                            factors = group * w_group + tap * w_tap + j * w_column
                            for c in range(channels):
                                total += source[pixel + c] * weight[factors + c * w_channel]
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
    """The weight's gradient out of one that has the zeros' places, too."""
    g = geometry
    b.launch(
        pick_groups, wide.flat, weight.array(g.k * g.filter_size), g.r * g.s, g.group_c, g.group_k, count,
        work=g.k, grain=GRAIN_COST // (g.filter_size * count) + 1, cost=wide.extent,
    )  # fmt: skip


def plan_repair(
    b: PlanBuilder, watched: Watched | None, source: Rows, weight: Operand, bias: Operand | None, goal: Rows, grid: Grid,
    geometry: Conv2dGeometry, count: int, *, turned: bool,
) -> None:  # fmt: skip
    """Compute again what groups that were taken together have spoiled for each other.

    ``geometry`` is that of single groups, ``weight`` has no zeros; ``turned``: the source has the output's channels.
    """
    g = geometry
    if watched is None:
        return
    inner, outer = (g.group_k, g.group_c) if turned else (g.group_c, g.group_k)
    of_channel, of_column = (g.filter_size, 1) if turned else (1, g.filter_size)
    nothing = b.scratch(goal.operand.spec.dtype, 0).array(0)
    b.launch(
        repair_groups, source.operand.flat, weight.array(g.k * g.filter_size), bias.array(g.k) if bias else nothing,
        goal.operand.flat, watched.flags.flat, *grid, watched.row_block, watched.row_blocks, g.groups // count, count, inner,
        outer, source.row, goal.row, g.group_k * g.filter_size, g.group_c, of_channel, of_column, int(bias is not None),
        work=watched.row_blocks, grain=1, cost=watched.flags.extent,
    )  # fmt: skip
