"""The verifier of programs: it is run whenever one is made, after all passes, and knows none of them.

A program is refused if

- a step reads memory of the program's own that no step before it has written, or a block is made twice;
- a block lies outside of its region, or two blocks that live at the same time share memory;
- a launch would touch bytes beyond a block, or the kernels' dtypes are not those of the operands;
- something that outlives the step is not written any more: a result, a new gradient, memory that was there before;
- functions that are called again, or calls of the host, are others than in the step that was captured, or in another order.
"""

from __future__ import annotations

import bisect
import heapq
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

from numgrad.compile.passes.graph import front_first, is_of_kernels
from numgrad.compile.passes.memory import ALIGNMENT, Life, lives_of
from numgrad.compile.steps import Again, Applied, Block
from numgrad.errors import KernelError
from numgrad.layout import Spec
from numgrad.runtime.program import Program

Spot = tuple[Hashable, int]  # the name of a region of memory, and bytes from its beginning
_Steps = Sequence[Applied | Again]


def verify(
    captured: _Steps,
    steps: _Steps,
    kept: frozenset[Block],
    spots: Mapping[Block, Spot],
    regions: Mapping[Hashable, int],
) -> None:
    """Check a program, made from the ``captured`` steps, whose own blocks lie at ``spots`` in ``regions`` of so many bytes.

    Raises
    ------
    KernelError
        The program is wrong, which is a fault of numgrad's.
    """
    _check_order(steps)
    for number, step in enumerate(steps):
        if isinstance(step, Applied):
            _check_operands(number, step)
    _check_lasting(captured, steps, kept)
    lives = lives_of(steps, kept)
    if missing := [block for block in lives if block not in spots]:
        raise KernelError(f"program: {_name(missing[0])} has no memory")
    check_layout([(lives[block], spots[block]) for block in lives], regions)


def check_layout(placed: Sequence[tuple[Life, Spot]], regions: Mapping[Hashable, int]) -> None:
    """Check that all blocks lie inside of their regions, and that no two that live at the same time overlap.

    Raises
    ------
    KernelError
        The plan is wrong.
    """
    by_region: dict[Hashable, list[tuple[int, int, int, int]]] = {}
    for (nbytes, first, last), (region, begin) in placed:
        if begin % ALIGNMENT or begin < 0 or begin + nbytes > regions[region]:
            raise KernelError(
                f"memory plan: a block lies at {begin} to {begin + nbytes} of {regions[region]} bytes of {region}"
            )
        by_region.setdefault(region, []).append((first, last, begin, begin + nbytes))
    for region, several in by_region.items():
        several.sort()
        live: list[
            tuple[int, int]
        ] = []  # beginnings and ends of those that live at a step: disjoint, so in both orders
        ending: list[tuple[int, int, int]] = []  # a heap of them, by the last steps of their lives
        for first, last, begin, end in several:
            while ending and ending[0][0] < first:
                del live[bisect.bisect_left(live, heapq.heappop(ending)[1:])]
            position = bisect.bisect_left(live, (begin, end))
            for other_begin, other_end in live[max(position - 1, 0) : position + 1]:
                if other_begin < end and begin < other_end:
                    raise KernelError(
                        f"memory plan: two blocks at {begin} and {other_begin} of {region} live at the same time in the same memory"
                    )
            live.insert(position, (begin, end))
            heapq.heappush(ending, (last, begin, end))


def _check_order(steps: _Steps) -> None:
    """Each block is made once, before it is read."""
    written: set[Block] = set()
    for number, step in enumerate(steps):
        if isinstance(step, Again):
            continue
        for block in (*step.reads, *step.changes):
            if block not in written and block.kind == "made":
                raise KernelError(f"program: step {number}, {step.op.name}, reads {_name(block)} before it is written")
        for block in step.makes:
            if block in written:
                raise KernelError(f"program: step {number}, {step.op.name}, makes {_name(block)} again")
            written.add(block)
        for block in step.own():
            if block not in written:
                raise KernelError(f"program: step {number}, {step.op.name}, touches {_name(block)}, which nobody made")


class _Need(NamedTuple):
    """What the launches of a plan need of an operand: bytes that they touch, bytes that it has, and its itemsize."""

    touched: int
    nbytes: int
    itemsize: int
    spec: Spec | None
    code: str | None  # as what dtype kernels take it
    is_right: bool


def _needs(step: Applied) -> list[_Need]:
    """What a step needs of each operand, which follows from its plan and the specs."""
    inputs, outputs = step.specs
    known = step.plan.needs
    program = step.program
    if known is not None and known[0] is program and known[1] == inputs and known[2] == outputs:
        return known[3]  # type: ignore[no-any-return]
    results = iter(outputs)
    specs = [*inputs, *[next(results, None) if nbytes is None else None for nbytes in step.plan.allocations]]
    of_launches, codes = program.touched() if isinstance(program, Program) else ([], {})
    needs = []
    for index, spec in enumerate(specs):
        own = 0 if spec is None else spec.nbytes
        touched, code = own, None
        if index < len(of_launches):
            touched, code = of_launches[index], codes.get(index)
        itemsize, is_right = (1, True) if spec is None else (spec.dtype.itemsize, code in (None, spec.dtype.code))
        needs.append(_Need(touched, max(touched, own), itemsize, spec, code, is_right))
    step.plan.needs = program, list(inputs), list(outputs), needs
    return needs


def _check_operands(number: int, step: Applied) -> None:
    """What the launches touch lies inside of the blocks, and is of the operands' dtypes."""
    needs = _needs(step)
    if len(needs) != len(step.places):
        raise KernelError(
            f"program: step {number}, {step.op.name}, has {len(step.places)} operands, expected {len(needs)}"
        )
    for index, (where, need) in enumerate(zip(step.places, needs, strict=True)):
        touched, nbytes, itemsize, spec, code, is_right = need
        if where is None:
            if touched:
                raise KernelError(
                    f"program: step {number}, {step.op.name}, uses operand {index}, which it is not given"
                )
            continue
        block, offset = where
        if offset < 0 or offset + nbytes > block.nbytes:
            raise KernelError(
                f"program: step {number}, {step.op.name}, touches bytes {offset} to {offset + nbytes} of {_name(block)}, which "
                f"has {block.nbytes}"
            )
        if offset % itemsize or not is_right:
            raise KernelError(f"program: step {number}, {step.op.name}, takes operand {index}, {spec}, for {code}")


def _check_lasting(captured: _Steps, steps: _Steps, kept: frozenset[Block]) -> None:
    """What outlives the step is still written, and what runs in Python runs in its order."""
    now = {block for step in steps if isinstance(step, Applied) for block in (*step.makes, *step.changes)}
    for step in captured:
        for block in (*step.makes, *step.changes) if isinstance(step, Applied) else ():
            if block not in now and (block.kind != "made" or block in kept):
                raise KernelError(f"program: {_name(block)} outlives the step, and is not written")
    before = [_in_python(step) for step in front_first(captured) if not is_of_kernels(step)]
    after = [_in_python(step) for step in front_first(steps) if not is_of_kernels(step)]
    # A call of the host whose results nobody reads may be left out.
    needed = [
        _in_python(step) for step in captured if isinstance(step, Again) or not (is_of_kernels(step) or step.makes)
    ]
    rest = iter(before)
    if not all(any(one == other for other in rest) for one in after) or Counter(needed) - Counter(after):
        raise KernelError("program: what runs in Python is not what the step ran, or in another order")


def _in_python(step: Applied | Again) -> tuple[int, str]:
    """What a step calls in Python, and the line that did so."""
    return (id(step), step.name) if isinstance(step, Again) else (id(step.program), step.line)


def _name(block: Block) -> str:
    return f"a block of {block.nbytes} bytes ({block.kind}{', ' + str(block.spec) if block.spec is not None else ''})"
