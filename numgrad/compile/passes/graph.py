"""`Graph`: a captured step as its passes see and change it.

A graph is a list of steps in the order of their running. Blocks are disjoint memory: two places share memory if, and only if, they
are in one block and their bytes overlap. A pass may drop, add, replace and reorder steps as long as each block that is *kept*, and
each that was there before the step (held, an argument, begun), has the same contents after the step; a block of kind ``made`` that
is not kept is *temporary* and may vanish. Calls of the host and functions that are called again stay in their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from numgrad.compile.capture import Again, Applied, Block, Place
from numgrad.compile.passes.memory import Life, floor_of, lives_of, peak
from numgrad.layout import Spec
from numgrad.registry import Op
from numgrad.runtime.plan import Plan
from numgrad.runtime.program import Program


class Graph:
    """The steps of a program, and what passes ask of them.

    Attributes
    ----------
    steps
        Ops, and functions that are called again, in the order of their running.
    kept
        Blocks of kind ``made`` that outlive the step: results, and new gradients.
    notes
        What each pass did, under its name: counts, bytes, seconds.
    prepared
        Steps that run before the others, once as long as the memory that they read stays the same.
    homes
        Blocks that lie in the memory of a kept one, which is written later, each with that and its offset.
    """

    def __init__(self, steps: Iterable[Applied | Again], kept: Iterable[Block]) -> None:
        self.steps = list(steps)
        self.kept = frozenset(kept)
        self.notes: dict[str, dict[str, float]] = {}
        self.homes: dict[Block, Place] = {}
        self.prepared: list[Applied] = []
        self._lives: tuple[list[Applied | Again], dict[Block, Life]] | None = None  # of these steps

    # ---- questions --------------------------------------------------------------------------------------------

    def is_temporary(self, block: Block) -> bool:
        """Whether nobody sees this block's contents after the step."""
        return block.kind == "made" and block not in self.kept

    @property
    def lives(self) -> dict[Block, Life]:
        """The lives of the blocks that the steps make, in the order in which they begin."""
        if self._lives is None or self._lives[0] is not self.steps:
            self._lives = self.steps, lives_of(self.steps, self.kept)
        return self._lives[1]

    def peak(self) -> int:
        """The bytes in use at the fullest moment."""
        return peak(self.lives.values(), len(self.steps))

    def floor(self) -> int:
        """The least that `peak` may become by order, or by making results again."""
        return floor_of(self.steps, self.kept)

    def readers(self) -> dict[Block, list[int]]:
        """For each block the numbers of the steps that read it; one that changes a block counts as a reader too."""
        return self._numbers(lambda step: (*step.reads, *step.changes))

    def writers(self) -> dict[Block, list[int]]:
        """For each block the numbers of the steps that make or change it."""
        return self._numbers(lambda step: (*step.makes, *step.changes))

    def users(self) -> dict[Block, list[int]]:
        """For each block the numbers of the steps whose launches touch it, tables of addresses included."""
        return self._numbers(Applied.blocks)

    def _numbers(self, blocks_of: Any) -> dict[Block, list[int]]:
        numbers: dict[Block, list[int]] = {}
        for number, step in enumerate(self.steps):
            for block in dict.fromkeys(blocks_of(step)) if isinstance(step, Applied) else ():
                numbers.setdefault(block, []).append(number)
        return numbers

    # ---- changes ----------------------------------------------------------------------------------------------

    def note(self, name: str, **counts: float) -> None:
        """Add to what the pass ``name`` says that it did."""
        noted = self.notes.setdefault(name, {})
        for key, value in counts.items():
            noted[key] = noted.get(key, 0) + value

    def applied(
        self, op: Op, plan: Plan, params: Any, inputs: Sequence[tuple[Place, Spec] | None], line: str = ""
    ) -> Applied:
        """A new step, in no place yet: an op with this plan for the specs of ``inputs``, and new blocks for what it allocates."""
        places = [None if each is None else each[0] for each in inputs]
        step = Applied(op, params, plan, places, line)
        step.specs[0].extend(None if each is None else each[1] for each in inputs)
        for where in places:
            if where is not None:
                step.reads += [where[0], *(block for _, block, _ in where[0].words)]
        specs = iter([each.spec for each in plan.outputs if each.source is None])
        for nbytes in plan.allocations:
            spec = next(specs) if nbytes is None else None
            size = nbytes if spec is None else spec.nbytes
            block = Block(-1, "made", size, None)  # type: ignore[arg-type]
            block.maker = line
            if spec is not None:
                block.spec = spec
                step.specs[1].append(spec)
            step.makes.append(block)
            places.append((block, 0))
        step.changes += [places[position][0] for position in plan.changed]  # type: ignore[index]
        return step


def is_whole(where: Place, spec: Spec) -> bool:
    """Whether a dense tensor covers all of a block's bytes that are ever written."""
    block, offset = where
    return offset == 0 and spec.numel * spec.dtype.itemsize == spec.nbytes and block.nbytes == spec.nbytes


def is_of_kernels(step: Applied | Again) -> bool:
    """Whether a step is launches of kernels, with no Python in it."""
    return isinstance(step, Applied) and isinstance(step.program, Program)


def front_first(steps: Iterable[Applied | Again]) -> list[Applied | Again]:
    """The steps, with those functions first that run before all launches: what the step did before them does not decide."""
    steps = list(steps)
    stop = next((k for k, step in enumerate(steps) if isinstance(step, Again) and step.after), len(steps))
    front = [step for step in steps[:stop] if isinstance(step, Again)]
    return [*front, *(step for k, step in enumerate(steps) if k >= stop or not isinstance(step, Again))]


def has_effects(step: Applied | Again) -> bool:
    """Whether a step does more than write its blocks: it may end the replay, or calls Python."""
    return not is_of_kernels(step) or step.op.status_function is not None  # type: ignore[union-attr]
