"""Convolutions of many small groups, such as ResNeXt's: several groups are computed as one with zeros between them.

A group of 4 channels fills a quarter of a tile's columns and takes as many tables and copies as a full one. Taken four
at a time, with a weight that is zero outside of their blocks, groups take the same multiplications and a quarter of all
else: two to four times faster on ResNeXt50's. The price: 0 * inf is NaN, so an infinite or NaN channel makes NaN of
the outputs of the groups that are taken with its own.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from numgrad.kernels.gemm_rows import tile_shape
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
