"""The verifier of programs: it is run whenever one is made, after all passes, and knows none of them.

A program is refused if

- a step reads memory of the program's own that no step before it has written, or a block is made twice;
- a block lies outside of its region, or two blocks that live at the same time share memory;
- a launch would touch bytes beyond a block, or the kernels' dtypes are not those of the operands;
- something that outlives the step is not written any more: a result, a new gradient, memory that was there before;
- functions that are called again, or calls of the host, are others than in the step that was captured, or in another order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

from numgrad.compile.capture import Again, Applied, Block
from numgrad.compile.passes.graph import front_first, is_of_kernels
from numgrad.compile.passes.memory import ALIGNMENT, Life, lives_of
from numgrad.errors import KernelError
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
    by_region: dict[Hashable, list[tuple[int, Life]]] = {}
    for life, (region, begin) in placed:
        if begin % ALIGNMENT or begin < 0 or begin + life.nbytes > regions[region]:
            raise KernelError(
                f"memory plan: a block lies at {begin} to {begin + life.nbytes} of {regions[region]} bytes of {region}"
            )
        by_region.setdefault(region, []).append((begin, life))
    for region, several in by_region.items():
        several.sort(key=lambda each: each[0])
        for position, (begin, life) in enumerate(several):
            for other_begin, other in several[position + 1 :]:
                if other_begin >= begin + life.nbytes:
                    break
                if other.first <= life.last and life.first <= other.last:
                    raise KernelError(
                        f"memory plan: two blocks at {begin} and {other_begin} of {region} live at the same time in the same memory"
                    )


def _check_order(steps: _Steps) -> None:
    """Each block is made once, before it is read."""
    written: set[Block] = set()
    for number, step in enumerate(steps):
        if isinstance(step, Again):
            continue
        for block in (*step.reads, *step.changes):
            if block.kind == "made" and block not in written:
                raise KernelError(f"program: step {number}, {step.op.name}, reads {_name(block)} before it is written")
        for block in step.makes:
            if block in written:
                raise KernelError(f"program: step {number}, {step.op.name}, makes {_name(block)} again")
            written.add(block)
        known = {*step.reads, *step.makes, *step.changes}
        for block in step.blocks():
            if block.kind == "made" and block not in known and block not in written:
                raise KernelError(f"program: step {number}, {step.op.name}, touches {_name(block)}, which nobody made")


def _check_operands(number: int, step: Applied) -> None:
    """What the launches touch lies inside of the blocks, and is of the operands' dtypes."""
    inputs, outputs = step.specs
    specs = [*inputs]
    results = iter(outputs)
    specs += [next(results, None) if nbytes is None else None for nbytes in step.plan.allocations]
    if len(specs) != len(step.places):
        raise KernelError(
            f"program: step {number}, {step.op.name}, has {len(step.places)} operands, expected {len(specs)}"
        )
    program = step.program
    for index, (where, spec) in enumerate(zip(step.places, specs, strict=True)):
        touched = program.touched[index] if isinstance(program, Program) else 0 if spec is None else spec.nbytes
        if where is None:
            if touched:
                raise KernelError(
                    f"program: step {number}, {step.op.name}, uses operand {index}, which it is not given"
                )
            continue
        block, offset = where
        end = offset + max(touched, 0 if spec is None else spec.extent * spec.dtype.itemsize)
        if offset < 0 or end > block.nbytes:
            raise KernelError(
                f"program: step {number}, {step.op.name}, touches bytes {offset} to {end} of {_name(block)}, which has "
                f"{block.nbytes}"
            )
        code = program.codes.get(index) if isinstance(program, Program) else None
        if spec is not None and (offset % spec.dtype.itemsize or code not in (None, spec.dtype.code)):
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
