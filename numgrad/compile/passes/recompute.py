"""Compute cheap results again just before the backward reads them, in the place of keeping them.

The op that made a block runs once more, over the same inputs, in the place where the block is next read: the same kernels, the
same numbers, the same bits. Ops say by `Op.cheap` that they may; of some the last launches alone run again, from what others left.
Blocks are chosen greedily: the one that frees most at the fullest moment (Chen et al., "Training Deep Nets with Sublinear Memory
Cost", 2016, recompute stretches of layers; here nothing that multiplies matrices runs again).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from numgrad.compile.passes.graph import Graph, is_of_kernels
from numgrad.compile.passes.memory import peak_of, room, usage
from numgrad.compile.steps import Again, Applied, Block, Place
from numgrad.layout import Spec
from numgrad.runtime.plan import Plan
from numgrad.runtime.program import Array, Launch, Pair, Program
from numgrad.tensor.changes import planned

_SMALLEST_PEAK = 1 << 20  # below it, all lies in the caches
_SMALLEST_SHARE = 1 / 128  # of the peak, of a block that is worth a launch


class _Plan(NamedTuple):
    """How blocks are made again: by the step with the number ``maker``, before the step ``at``."""

    maker: int
    blocks: tuple[Block, ...]
    at: int
    gain: int


def make_again(graph: Graph) -> None:
    """Make blocks again for the backward, as long as that lowers the bytes in use at the fullest moment."""
    before = peak = graph.peak()
    if before < _SMALLEST_PEAK or graph.floor() >= before - before * _SMALLEST_SHARE:
        return
    if not _may_gain(graph):
        return
    work = _Work(graph)
    while (plan := work.best()) is not None:
        steps = work.with_plan(plan)
        now = peak_of(steps, graph.kept)
        if now <= peak:
            peak = now
            work.accept(steps)
        else:
            work.refused.add(plan.blocks)
    if peak < before - before * _SMALLEST_SHARE:
        graph.note("recompute", ops=len(work.steps) - len(graph.steps), bytes=before - peak)
        graph.steps = work.steps


def _may_gain(graph: Graph) -> bool:
    """Whether an op that may run again has results worth it that only wait at the fullest moment: what `_Work.best` needs."""
    lives = graph.lives
    moments = usage(lives.values(), len(graph.steps))
    moment = int(moments.argmax())
    least = int(moments[moment] * _SMALLEST_SHARE)
    for step in graph.steps[:moment]:
        if isinstance(step, Applied) and step.op.cheap_launches is not None:
            waiting = [room(each.nbytes) for each in step.makes if each in lives and lives[each].last > moment]
            if waiting and sum(waiting) >= least and launches_again(step) is not None:
                return True
    return False


class _Work:
    """The steps so far, and which of them make something again."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.steps = list(graph.steps)
        self.refused: set[tuple[Block, ...]] = set()
        self.again: dict[Block, Block] = {}  # by a block that is made again: the second one
        self.parts: dict[int, tuple[Plan, Plan]] = {}  # by a plan's id: the plan, and that of its last launches
        self._renamed: dict[Block, Block] = {}  # by the plan that was looked at last
        self.update()

    def update(self) -> None:
        """Look at the steps."""
        steps = self.steps
        now = Graph(steps, self.graph.kept)
        self.users, self.writers = now.users(), now.writers()
        self.makers = {block: step for step in steps if isinstance(step, Applied) for block in step.makes}
        self.lives = now.lives
        self.usage = usage(self.lives.values(), len(steps))
        self.walls = np.cumsum([not is_of_kernels(step) for step in steps])
        self.in_tables = {
            block for s in steps if isinstance(s, Applied) for w in s.places if w for _, block, _ in w[0].words
        }

    def accept(self, steps: list[Applied | Again]) -> None:
        """Go on with these steps."""
        self.steps = steps
        self.again.update(self._renamed)
        self.update()

    def best(self) -> _Plan | None:
        """What frees most at the fullest moment; None if nothing does."""
        moment = int(self.usage.argmax())
        least = int(self.usage[moment] * _SMALLEST_SHARE)
        third = {self.again[block] for block in self.again.values() if block in self.again}
        best: _Plan | None = None
        for number, step in enumerate(self.steps[:moment]):
            if not isinstance(step, Applied) or not step.makes or third & set(step.makes):
                continue
            plan = self._plan(number, step, moment)
            if plan is not None and plan.gain >= least and (best is None or plan.gain > best.gain):
                best = plan
        return best

    def _plan(self, number: int, step: Applied, moment: int) -> _Plan | None:
        launches = launches_again(step)
        if launches is None:
            return None
        outputs = _outputs(step)
        outputs = outputs[:1] if launches else outputs
        gone = []
        at = len(self.steps)
        for block in outputs:
            if block in self.again or not self.graph.is_temporary(block) or block in self.in_tables:
                continue
            if len(self.writers[block]) > 1 or not self.lives[block].first <= moment <= self.lives[block].last:
                continue
            users = self.users[block]
            later = [user for user in users if user > moment]
            if moment in users or not later:
                continue
            gone.append(block)
            at = min(at, later[0])
        blocks = tuple(gone)
        if not blocks or blocks in self.refused:
            return None
        gain = sum(room(block.nbytes) for block in blocks)
        for block in _inputs(step, launches):
            if block in self.again and self.lives[block].last < at:
                continue  # its second one can be made earlier
            if block.kind == "made" and self.lives[block].last < moment:
                gain -= room(block.nbytes)
            if any(number < writer < at for writer in self.writers.get(block, ())):
                return None
            if block.kind != "made" and self.walls[at] > self.walls[number]:  # Python may change it
                return None
        return _Plan(number, blocks, at, gain) if gain > 0 else None

    def _by_another(self, step: Applied) -> tuple[Applied, dict[Block, Block]]:
        """The step of the op that gives the first output again, and its block by that."""
        assert step.op.cheap_by is not None
        op, names = step.op.cheap_by
        known = _named(step)
        inputs = [known[name] for name in names]
        specs = tuple(spec for _, spec in inputs)
        again = self.graph.applied(op, planned(op, specs, step.params), step.params, inputs, step.line)
        return again, {_outputs(step)[0]: _outputs(again)[0]}

    def with_plan(self, plan: _Plan) -> list[Applied | Again]:
        """The steps with what the plan says."""
        step = self.steps[plan.maker]
        assert isinstance(step, Applied)
        launches = launches_again(step)
        assert launches is not None
        earlier: list[Applied] = []
        replaced: dict[Block, Block] = {}
        for block in _inputs(step, launches):
            if block in self.again and self.lives[block].last < plan.at:
                self._earlier(block, plan.at, earlier, replaced)
        step_again, again = self._step_again(step, launches, replaced)
        renamed = self._renamed = {block: again[block] for block in plan.blocks}
        moved = set(map(id, earlier))
        steps: list[Applied | Again] = []
        for number, old in enumerate(self.steps):
            if number == plan.at:
                steps += [*earlier, step_again]
            if id(old) not in moved:
                steps.append(old if number < plan.at else with_blocks(old, renamed))
        return steps

    def _earlier(self, block: Block, at: int, earlier: list[Applied], replaced: dict[Block, Block]) -> None:
        """Make the second one of a block before the step ``at``, if it is made later now, and what that reads too."""
        again = replaced[block] = self.again[block]
        maker = self.makers[again]
        if self.users[again][0] >= at and maker not in earlier:
            for read in dict.fromkeys(maker.reads):
                for first, second in self.again.items():
                    if second is read and self.users[second][0] >= at:
                        self._earlier(first, at, earlier, {})
            earlier.append(maker)

    def _step_again(
        self, step: Applied, launches: int, replaced: dict[Block, Block]
    ) -> tuple[Applied, dict[Block, Block]]:
        """The step that makes the outputs of another one again, and its blocks by theirs."""
        step = with_blocks(step, replaced)  # type: ignore[assignment]
        if step.op.cheap_by is not None:
            return self._by_another(step)
        plan, program = step.plan, step.program
        assert isinstance(program, Program)
        if launches:
            if id(plan) not in self.parts:
                part = copy.copy(plan)
                part.program = Program(program.launches[-launches:], program.address_count)
                self.parts[id(plan)] = plan, part
            plan = self.parts[id(plan)][1]
        used = _addresses(program.launches[-launches:])
        count = len(step.specs[0])
        own = _outputs(step)[:1] if launches else step.makes
        others = {block: _like(block, step.line) for block in own}
        places: list[Place | None] = []
        for index, where in enumerate(step.places):
            if where is None or (launches and index not in used):
                places.append(None)
            else:
                places.append((others.get(where[0], where[0]), where[1]) if index >= count else where)
        again = Applied(step.op, step.params, plan, places, step.line)
        again.specs = step.specs
        again.makes = list(others.values())
        again.reads = [where[0] for where in places if where is not None and where[0] not in again.makes]
        return again, others


def _named(step: Applied) -> dict[str, tuple[Place, Spec]]:
    """The inputs and outputs of an op by their names."""
    count, named = len(step.specs[0]), {}
    for name, where, spec in zip(step.op.inputs, step.places, step.specs[0], strict=False):
        if where is not None and spec is not None:
            named[name] = where, spec
    outputs = [where for where, n in zip(step.places[count:], step.plan.allocations, strict=True) if n is None]
    for name, where, spec in zip(step.op.outputs, outputs, step.specs[1], strict=False):
        if where is not None:
            named[name] = where, spec
    return named


def launches_again(step: Applied) -> int | None:
    """How many of the last launches make the first output again, 0 if all make all outputs; None if it may not be."""
    cheap = step.op.cheap_launches
    if cheap is None or not isinstance(step.program, Program) or step.op.status_function is not None:
        return None
    if step.op.cheap_by is not None:
        known = _named(step)
        return 1 if all(name in known for name in step.op.cheap_by[1]) else None
    if cheap == 0 and step.changes:
        return None
    used = _addresses(step.program.launches)
    return None if cheap > len(step.program.launches) or min(used, default=-1) < 0 else cheap


def _addresses(launches: Sequence[Launch | Pair]) -> set[int]:
    """The numbers of the addresses that the launches use."""
    arguments = (argument for launch in launches for part in launch.parts for argument in part.arguments)
    return {argument.address.index for argument in arguments if isinstance(argument, Array)}


def _outputs(step: Applied) -> list[Block]:
    count = len(step.specs[0])
    places = zip(step.places[count:], step.plan.allocations, strict=True)
    return [where[0] for where, nbytes in places if nbytes is None and where is not None]


def _inputs(step: Applied, launches: int) -> list[Block]:
    """The blocks that the launches read that run again."""
    if step.op.cheap_by is not None:
        known = _named(step)
        return [known[name][0][0] for name in step.op.cheap_by[1]]
    if not launches:
        return list(dict.fromkeys(step.reads))
    program = step.program
    assert isinstance(program, Program)
    used = _addresses(program.launches[-launches:])
    first = _outputs(step)[0]
    blocks = (where[0] for index, where in enumerate(step.places) if where is not None and index in used)
    return [block for block in dict.fromkeys(blocks) if block is not first]


def _like(block: Block, line: str) -> Block:
    other = Block(-1, "made", block.nbytes, None)
    other.spec, other.maker = block.spec, line
    return other


def with_blocks(step: Applied | Again, renamed: dict[Block, Block]) -> Applied | Again:
    """The step over other blocks; itself if it touches none of those that are renamed."""
    if isinstance(step, Again) or not any(where is not None and where[0] in renamed for where in step.places):
        return step
    other = copy.copy(step)
    other.places = [where if where is None else (renamed.get(where[0], where[0]), where[1]) for where in step.places]
    other.reads = [renamed.get(block, block) for block in step.reads]
    other.changes = [renamed.get(block, block) for block in step.changes]
    return other
