"""Run once what depends on weights alone, and again when one of them has changed: packing, transforms of filters, folded norms.

Constant is memory that was there before the step and that nothing in it changes. A whole op whose inputs are constant runs once,
and so do those launches of another op that only prepare a constant operand (`Launch.prepares`). What they write then lies in memory
of its own. A replay notices changes by the versions of the weights' storages, and so not those that are made past them: through an
array of NumPy's, or through ``data``. So the pass is off unless it is asked for.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from numgrad.compile.passes.graph import Graph, has_effects
from numgrad.compile.steps import Applied, Block, Place
from numgrad.ops.update import Update
from numgrad.runtime import memory
from numgrad.runtime.program import Array, Launch, Pair, Program


def take_out(graph: Graph) -> None:
    """Move launches that depend on constants alone to `Graph.prepared`."""
    changed = {block for step in graph.steps if isinstance(step, Applied) for block in step.changes}
    # The options of an optimizer are filled by Python before each replay.
    updates = [step for step in graph.steps if isinstance(step, Applied) and isinstance(step.op, Update)]
    changed |= {block for step in updates for block in step.blocks()}
    early: set[Block] = set()  # what is made once
    rest, before = [], len(graph.prepared)

    def is_constant(block: Block) -> bool:
        return block in early or (block.kind == "held" and block not in changed)

    for step in graph.steps:
        if has_effects(step) or not isinstance(step, Applied) or step.op.random or step.changes:
            rest.append(step)
        elif all(map(is_constant, step.reads)) and not any(b in graph.kept or b in changed for b in step.makes):
            early.update(step.makes)
            graph.prepared.append(step)
        else:
            constant = {n for n, where in enumerate(step.places) if where is not None and is_constant(where[0])}
            chosen = _preparing(step, constant)
            if chosen:
                graph.prepared.append(_part(step, chosen, True))
                early.update(graph.prepared[-1].makes)
                left = [each for each in step.program.launches if each not in chosen]  # type: ignore[union-attr]
                step = _part(step, left, False)
            rest.append(step)
    read = {block for step in rest if isinstance(step, Applied) for block in step.blocks()}
    lasting = {block: _lasting(block) for block in early & read}
    graph.steps = [_moved(step, lasting) if isinstance(step, Applied) else step for step in rest]
    graph.prepared = [_moved(step, lasting) for step in graph.prepared]
    launches = sum(len(step.program.names()) for step in graph.prepared[before:])
    graph.note("freeze", launches=launches, bytes=sum(block.nbytes for block in lasting))


def _preparing(step: Applied, constant: set[int]) -> list[Launch]:
    """The launches that only prepare constant operands."""
    inputs, program = len(step.specs[0]), step.program
    assert isinstance(program, Program)
    outputs = {inputs + n for n, nbytes in enumerate(step.plan.allocations) if nbytes is None}
    chosen: list[Launch] = []
    own_so_far: set[int] = set()
    other: set[int] = set()  # operands of the launches that stay
    for launch in program.launches:
        used = _operands(launch)
        if (
            isinstance(launch, Launch)
            and launch.prepares
            and not used & (outputs | other)
            and min(used, default=-1) >= 0
        ):
            own = {index for index in used if index >= inputs}
            if {index for index in used if index < inputs} <= constant:
                chosen.append(launch)
                own_so_far |= own
                continue
        other |= {index for index in used if index >= inputs} - own_so_far
    return chosen


def _operands(launch: Launch | Pair) -> set[int]:
    """The numbers of a launch's operands; negative ones are the status and the table of all addresses."""
    arguments = [each for part in launch.parts for each in part.arguments]
    return {each.address.index for each in arguments if isinstance(each, Array)}


def _part(step: Applied, launches: Sequence[Launch | Pair], is_early: bool) -> Applied:
    """A step of some of the launches: those that prepare, with what they write, or the others."""
    inputs, program = len(step.specs[0]), step.program
    assert isinstance(program, Program)
    used = set().union(*map(_operands, launches))
    every = set(range(inputs)) if min(used, default=0) < 0 else used
    prepared = set().union(*[_operands(each) for each in program.launches if each not in launches])
    plan = copy.copy(step.plan)
    plan.program = Program(launches, program.address_count)
    places: list[Place | None] = []
    for number, where in enumerate(step.places):
        keeps = number in used or number in every or (not is_early and (number < inputs or number not in prepared))
        places.append(where if keeps else None)
    part = Applied(step.op, step.params, plan, places, step.line)
    part.specs = (list(step.specs[0]), [] if is_early else list(step.specs[1]))
    part.reads = list(step.reads)
    part.makes = [block for block in step.makes if any(where is not None and where[0] is block for where in places)]
    if is_early:
        part.reads = [where[0] for where in places[:inputs] if where is not None]
    return part


def _lasting(block: Block) -> Block:
    """Memory of its own for what is made once."""
    held = Block(-1, "held", block.nbytes, memory.allocate(block.nbytes))
    held.spec, held.maker = block.spec, block.maker
    return held


def _moved(step: Applied, lasting: dict[Block, Block]) -> Applied:
    """The step with blocks replaced."""
    if not any(block in lasting for block in step.blocks()):
        return step
    moved = Applied(step.op, step.params, step.plan, [], step.line)
    moved.places = [None if where is None else (lasting.get(where[0], where[0]), where[1]) for where in step.places]
    moved.specs = step.specs
    held = [lasting[where[0]] for where in step.places if where is not None and where[0] in lasting]
    moved.reads = [lasting.get(block, block) for block in step.reads]
    moved.reads += [block for block in held if block not in moved.reads]
    moved.makes = [block for block in step.makes if block not in lasting]
    moved.changes = list(step.changes)
    return moved
