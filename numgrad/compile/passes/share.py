"""Lay blocks into memory that is there from the beginning of a replay, but is written late.

New gradients and results are such memory: it is bound before the first launch. A block whose life ends before the first write of a
gradient may lie in its memory. This runs after all passes that change steps.
"""

from __future__ import annotations

from numgrad.compile.capture import Block
from numgrad.compile.passes.graph import Graph
from numgrad.compile.passes.memory import Life, room, usage

_SMALLEST, _SMALLEST_SHARE = 1 << 12, 1 << 10  # bytes, and share of the gradients, that are worth an address to write


def find_homes(graph: Graph) -> None:
    """Find homes for blocks, first for those of the fullest moment, the largest first, each in the smallest that has room."""
    every = graph.lives
    later = {block: life for block, life in every.items() if block in graph.kept}
    homes = sorted(later, key=lambda home: later[home].nbytes)
    least = max(sum([life.nbytes for life in later.values()]) // _SMALLEST_SHARE, _SMALLEST)
    begun, largest = max([life.first for life in later.values()], default=0), homes and later[homes[-1]].nbytes
    lives = {block: life for block, life in every.items() if block not in graph.kept}
    fitting = [
        block for block, life in lives.items() if life.last < begun and least <= life.nbytes <= largest
    ]
    if not fitting:
        return
    placed: dict[Block, list[tuple[int, int, Life]]] = {home: [] for home in homes}
    homes_of: dict[Block, tuple[Block, int]] = {}
    moments = usage(lives.values(), len(graph.steps)).tolist()
    fullest = {block: max(moments[lives[block].first : lives[block].last + 1]) for block in fitting}
    for block in sorted(fitting, key=lambda block: (-fullest[block], -lives[block].nbytes)):
        life = lives[block]
        for home in homes:
            if life.nbytes > later[home].nbytes or life.last >= later[home].first:
                continue
            offset, size = 0, room(life.nbytes)
            for begin, end, other in placed[home]:
                if other.first <= life.last and life.first <= other.last:
                    if begin - offset >= size:
                        break
                    offset = max(offset, end)
            if offset + life.nbytes <= later[home].nbytes:
                placed[home] = sorted([*placed[home], (offset, offset + size, life)], key=lambda each: each[0])
                homes_of[block] = home, offset
                break
    if homes_of:
        graph.homes = homes_of
        graph.note("share", blocks=len(homes_of), bytes=sum(block.nbytes for block in homes_of))
