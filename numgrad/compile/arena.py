"""The static memory plan of a captured program: blocks whose lives do not overlap share memory.

A block lives from the op that makes it to the last one that touches it. Blocks are placed one after the other, each at the lowest
offset that no block which lives at the same time covers. The order decides: from the largest to the smallest (Pisarchyk and Lee,
"Efficient memory management for deep neural net inference", 2020: greedy by size), or, where that takes more than the bytes in use
at the fullest moment, the best of a few.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
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
    moments = usage(lives, int(last.max(initial=-1)) + 1)
    fullest = int(moments.max(initial=0))
    spans = last - first + 1
    best: tuple[np.ndarray, int] | None = None
    # From the largest to the smallest; by bytes times steps; those of the fullest moments first; in the order of their lives.
    orders: tuple[Callable[[], tuple[np.ndarray, ...]], ...] = (
        lambda: (-sizes,),
        lambda: (-sizes * spans,),
        lambda: (-sizes, -_crowds(lives, moments)),
        lambda: (-sizes, first),
        lambda: (-last, -sizes),
    )
    for keys in orders:
        offsets = _placed(np.lexsort(keys()), sizes, first, last)
        nbytes = int((offsets + sizes).max(initial=0))
        if best is None or nbytes < best[1]:
            best = offsets, nbytes
        if nbytes <= fullest + fullest // 128:
            break
    assert best is not None
    return Layout(best[0].tolist(), best[1], fullest)


def _crowds(lives: Sequence[Life], moments: np.ndarray) -> np.ndarray:
    """The bytes in use at the fullest moment of each life."""
    usage = moments.tolist()
    return np.array([max(usage[life.first : life.last + 1]) for life in lives], np.int64)


def _placed(order: np.ndarray, sizes: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """The offsets of blocks that are placed in this order, each in the lowest gap."""
    offsets = np.full(len(sizes), -1, np.int64)
    placed: list[tuple[int, int, int, int]] = []  # offset, end, first and last step, from the lowest
    rows = zip(order.tolist(), sizes[order].tolist(), first[order].tolist(), last[order].tolist(), strict=True)
    for block, size, begun, done in rows:
        offset = 0
        for begin, end, earliest, latest in placed:
            if earliest <= done and latest >= begun:
                if begin - offset >= size:
                    break
                if end > offset:
                    offset = end
        offsets[block] = offset
        bisect.insort(placed, (offset, offset + size, begun, done))
    return offsets
