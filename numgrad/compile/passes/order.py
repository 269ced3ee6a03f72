"""Reorder steps so that less memory is in use at once.

Steps that give more memory back than they take run as soon as they can: the gradient of a weight before that of the input beside
it, an optimizer's step of parameters once their gradients are there. Each op runs with the same inputs, so all bits stay.
"""

from __future__ import annotations

import heapq

from numgrad.compile.capture import Again, Applied, Block
from numgrad.compile.passes.graph import Graph, front_first, has_effects, is_of_kernels
from numgrad.compile.passes.memory import lives_of, peak_of, room

_SMALLEST_PEAK = 1 << 16  # bytes; below it, looking is not worth the time


def reorder(graph: Graph) -> None:
    """Run steps that free memory early, if that lowers the bytes in use at the fullest moment."""
    before = graph.peak()
    if before < _SMALLEST_PEAK or before <= graph.floor():
        return
    steps = ordered(graph)
    after = peak_of(steps, graph.kept)
    if after < before:
        moved = sum(one is not other for one, other in zip(steps, front_first(graph.steps), strict=True))
        graph.note("order", moved=moved, bytes=before - after)
        graph.steps = steps


def ordered(graph: Graph) -> list[Applied | Again]:
    """The steps, each that frees memory as early as it can run."""
    steps = front_first(graph.steps)
    lives = lives_of(steps, graph.kept)
    needs, followers = _dependencies(steps)
    end = len(steps)
    touched = [step.own() if isinstance(step, Applied) else () for step in steps]
    left: dict[Block, int] = {}  # steps that are still to touch a block
    numbers: dict[Block, int] = {}  # the sum of their numbers, so that of one that is left it is the number
    for number, blocks in enumerate(touched):
        for block in blocks:
            left[block] = left.get(block, 0) + 1
            numbers[block] = numbers.get(block, 0) + number
    # What each step takes, less what it gives back: blocks that no other step is still to touch.
    nets = [
        sum([room(block.nbytes) for block in step.makes if lives[block].last > lives[block].first])
        if isinstance(step, Applied)
        else 0
        for step in steps
    ]
    waiting = [len(each) for each in needs]
    ready = [number for number, count in enumerate(waiting) if not count]
    by_net = [(nets[number], number) for number in ready]  # an entry that is not true any more is left out later
    heapq.heapify(by_net)
    is_done = [False] * len(steps)
    result: list[Applied | Again] = []
    while ready:
        while is_done[by_net[0][1]] or by_net[0][0] != nets[by_net[0][1]]:
            heapq.heappop(by_net)
        chosen = by_net[0][1] if by_net[0][0] < 0 else ready[0]
        is_done[chosen] = True
        result.append(steps[chosen])
        for block in touched[chosen]:
            left[block] -= 1
            numbers[block] -= chosen
            if left[block] == 1 and lives[block].last < end:
                number = numbers[block]
                nets[number] -= room(block.nbytes)
                if not waiting[number]:
                    heapq.heappush(by_net, (nets[number], number))
        for follower in followers[chosen]:
            waiting[follower] -= 1
            if not waiting[follower]:
                heapq.heappush(ready, follower)
                heapq.heappush(by_net, (nets[follower], follower))
        while ready and is_done[ready[0]]:
            heapq.heappop(ready)
    return result


def _dependencies(steps: list[Applied | Again]) -> tuple[list[set[int]], list[list[int]]]:
    """For each step the numbers of those that must run before it, and of those that must run after it.

    What runs in Python stays between what was before and after it. A change of lasting memory does not pass a step that may end
    the replay with a status: what ran before that is done, and nothing else.
    """
    needs: list[set[int]] = [set() for _ in steps]
    writer: dict[Block, int] = {}
    readers: dict[Block, list[int]] = {}
    wall = -1  # the last step in Python
    since: list[int] = []  # the steps after it
    effect = -1  # the last step that may end the replay
    lasting: list[int] = []  # changes of lasting memory after it
    for number, step in enumerate(steps):
        mine = needs[number]
        if isinstance(step, Again) and not step.after and wall < 0:
            continue  # it runs before all launches
        if not is_of_kernels(step):
            mine.update(since or ((wall,) if wall >= 0 else ()))
            wall, since = number, []
        elif wall >= 0:
            mine.add(wall)
        since.append(number)
        if not isinstance(step, Applied):
            continue
        changes = {*step.changes, *step.makes}
        if has_effects(step):
            mine.update(lasting)
            if effect >= 0:
                mine.add(effect)
            effect, lasting = number, []
        elif any(block.kind != "made" for block in step.changes):
            if effect >= 0:
                mine.add(effect)
            lasting.append(number)
        for block in dict.fromkeys((*step.reads, *changes)):
            if block in writer:
                mine.add(writer[block])
        for block in changes:
            mine.update(readers.pop(block, ()))
            writer[block] = number
        for block in step.reads:
            if block not in changes:
                readers.setdefault(block, []).append(number)
        mine.discard(number)
    followers: list[list[int]] = [[] for _ in steps]
    for number, mine in enumerate(needs):
        for each in mine:
            followers[each].append(number)
    return needs, followers
