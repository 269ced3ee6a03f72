"""How much memory the steps of a graph need at each moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from numgrad.compile.capture import Again, Applied, Block

ALIGNMENT = 64


class Life(NamedTuple):
    """A block's bytes, and the numbers of the first and of the last step that touch it."""

    nbytes: int
    first: int
    last: int


def room(nbytes: int) -> int:
    """The bytes that a block takes: whole cache lines."""
    return -(-max(nbytes, 1) // ALIGNMENT) * ALIGNMENT


def lives_of(steps: Sequence[Applied | Again], kept: frozenset[Block]) -> dict[Block, Life]:
    """The lives of the blocks that the steps make; one that is kept lives to the end."""
    spans: dict[Block, list[int]] = {}
    for number, step in enumerate(steps):
        for block in step.blocks() if isinstance(step, Applied) else ():
            if block.kind == "made":
                spans.setdefault(block, [number, number])[1] = number
    end = len(steps)
    return {block: Life(block.nbytes, a, end if block in kept else b) for block, (a, b) in spans.items()}


def usage(lives: Iterable[Life], count: int) -> np.ndarray:
    """The bytes in use at each of ``count`` steps, and after them.

    >>> usage([Life(64, 0, 1), Life(100, 1, 2)], 3).tolist()
    [64, 192, 128, 0]
    """
    spans = np.array([(room(life.nbytes), life.first, life.last) for life in lives], np.int64).reshape(-1, 3)
    moments = np.zeros(count + 2, np.int64)
    np.add.at(moments, spans[:, 1], spans[:, 0])
    np.add.at(moments, spans[:, 2] + 1, -spans[:, 0])
    result: np.ndarray = np.cumsum(moments)[:-1]
    return result


def peak_of(steps: Sequence[Applied | Again], kept: frozenset[Block]) -> int:
    """The bytes in use at the fullest moment."""
    return int(usage(lives_of(steps, kept).values(), len(steps)).max(initial=0))


def eager_peak(blocks: Iterable[Block], count: int) -> int:
    """The most bytes of new memory that were in use while a step of ``count`` ops was captured."""
    lives = []
    for block in blocks:
        if block.kind == "made":
            last = block.died - 1 if block.died >= 0 else count
            lives.append(Life(block.nbytes, block.born, max(block.born, last)))
    return int(usage(lives, count).max(initial=0))
