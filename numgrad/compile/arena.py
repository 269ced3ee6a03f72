"""The static memory plan of a captured program: blocks whose lives do not overlap share memory.

A block lives from the op that makes it to the last one that touches it. Blocks are placed from the largest to the smallest,
each at the lowest offset that no block which lives at the same time covers (Pisarchyk and Lee, "Efficient memory management
for deep neural net inference", 2020: greedy by size).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from numgrad.compile.passes.memory import Life, room, usage


class Layout(NamedTuple):
    """Where each block begins in the arena, the arena's bytes, and the bytes at the fullest moment."""

    offsets: list[int]
    nbytes: int
    fullest: int


def lay_out(lives: Sequence[Life]) -> Layout:
    """Lay blocks into one arena.

    >>> lay_out([Life(100, 0, 1), Life(60, 1, 2), Life(100, 2, 3)])
    Layout(offsets=[0, 128, 0], nbytes=192, fullest=192)
    """
    sizes = np.array([room(life.nbytes) for life in lives], np.int64)
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
    fullest = int(usage(lives, int(last.max(initial=-1)) + 1).max(initial=0))
    return Layout(offsets.tolist(), int(ends.max(initial=0)), fullest)
