"""How much memory the steps of a graph need at each moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
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
    first: dict[Block, int] = {}
    last: dict[Block, int] = {}
    for number, step in enumerate(steps):
        for block in step.own() if isinstance(step, Applied) else ():
            if block not in last:
                first[block] = number
            last[block] = number
    for block in kept & last.keys():
        last[block] = len(steps)
    return {block: Life(block.nbytes, begin, last[block]) for block, begin in first.items()}


def usage(lives: Iterable[Life], count: int) -> np.ndarray:
    """The bytes in use at each of ``count`` steps, and after them.

    >>> usage([Life(64, 0, 1), Life(100, 1, 2)], 3).tolist()
    [64, 192, 128, 0]
    """
    return np.array(_usage(lives, count), np.int64)


def _usage(lives: Iterable[Life], count: int) -> list[int]:
    changes = [0] * (count + 2)
    for nbytes, first, last in lives:
        size = room(nbytes)
        changes[first] += size
        changes[last + 1] -= size
    return list(accumulate(changes))[:-1]


def peak(lives: Iterable[Life], count: int) -> int:
    """The bytes in use at the fullest moment of ``count`` steps."""
    return max(_usage(lives, count))


def floor_of(steps: Iterable[Applied | Again], kept: frozenset[Block]) -> int:
    """The bytes that are in use at the fullest moment in whatever order the steps run, and if results are made again."""
    least = [sum([room(block.nbytes) for block in step.own()]) for step in steps if isinstance(step, Applied)]
    return max(sum([room(block.nbytes) for block in kept if block.kind == "made"]), *least, 0)


def peak_of(steps: Sequence[Applied | Again], kept: frozenset[Block]) -> int:
    """The bytes in use at the fullest moment."""
    return peak(lives_of(steps, kept).values(), len(steps))


def eager_peak(blocks: Iterable[Block], count: int) -> int:
    """The most bytes of new memory that were in use while a step of ``count`` ops was captured."""
    lives = []
    for block in blocks:
        if block.kind == "made":
            last = block.died - 1 if block.died >= 0 else count
            lives.append(Life(block.nbytes, block.born, max(block.born, last)))
    return peak(lives, count)
