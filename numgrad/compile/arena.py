"""The static memory plan of a captured program: blocks whose lives do not overlap share memory.

A block lives from the op that makes it to the last one that touches it. Blocks are placed from the largest to the smallest,
each at the lowest offset that no block which lives at the same time covers (Pisarchyk and Lee, "Efficient memory management
for deep neural net inference", 2020: greedy by size).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from numgrad.errors import KernelError

ALIGNMENT = 64


class Life(NamedTuple):
    """A block's bytes, and the numbers of the first and of the last op that touch it."""

    nbytes: int
    first: int
    last: int


class Layout(NamedTuple):
    """Where each block begins in the arena, the arena's bytes, and the bytes without sharing and at the fullest moment."""

    offsets: list[int]
    nbytes: int
    unshared: int
    fullest: int


def lay_out(lives: Sequence[Life]) -> Layout:
    """Lay blocks into one arena.

    >>> lay_out([Life(100, 0, 1), Life(60, 1, 2), Life(100, 2, 3)])
    Layout(offsets=[0, 128, 0], nbytes=192, unshared=320, fullest=192)
    """
    sizes = np.array([-(-max(life.nbytes, 1) // ALIGNMENT) * ALIGNMENT for life in lives], np.int64)
    first = np.array([life.first for life in lives], np.int64)
    last = np.array([life.last for life in lives], np.int64)
    offsets = np.full(len(lives), -1, np.int64)
    order = np.argsort(-sizes, kind="stable")
    for block in order:
        beside = np.flatnonzero((offsets >= 0) & (first <= last[block]) & (last >= first[block]))
        beside = beside[np.argsort(offsets[beside], kind="stable")]
        offset = 0
        for other in beside:
            if offsets[other] - offset >= sizes[block]:
                break
            offset = max(offset, offsets[other] + sizes[other])
        offsets[block] = offset
    ends = offsets + sizes
    moments = np.zeros(int(last.max(initial=-1)) + 2, np.int64)
    np.add.at(moments, first, sizes)
    np.add.at(moments, last + 1, -sizes)
    fullest = int(np.cumsum(moments).max(initial=0))
    return Layout(offsets.tolist(), int(ends.max(initial=0)), int(sizes.sum()), fullest)


def verify(lives: Sequence[Life], layout: Layout) -> None:
    """Check that no two blocks that live at the same time overlap, and that all lie inside.

    Raises
    ------
    KernelError
        The plan is wrong, which is a fault of numgrad's.
    """
    order = sorted(range(len(lives)), key=lambda block: layout.offsets[block])
    for position, block in enumerate(order):
        life, begin = lives[block], layout.offsets[block]
        end = begin + life.nbytes
        if begin % ALIGNMENT or begin < 0 or end > layout.nbytes:
            raise KernelError(f"memory plan: block {block} lies at {begin} to {end} of {layout.nbytes} bytes")
        for other in order[position + 1 :]:
            if layout.offsets[other] >= end:
                break
            if lives[other].first <= life.last and life.first <= lives[other].last:
                raise KernelError(f"memory plan: blocks {block} and {other} live at the same time in the same memory")
