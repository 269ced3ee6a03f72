"""Leave out the ops whose results nobody reads."""

from __future__ import annotations

from numgrad.compile.passes.graph import Graph
from numgrad.compile.steps import Again, Applied
from numgrad.runtime.program import Program


def drop_dead(graph: Graph) -> None:
    """Drop each op that has no effect, and writes temporary blocks alone that no later op reads."""
    live = set(graph.kept)
    needed: list[Applied | Again] = []
    for step in reversed(graph.steps):
        if isinstance(step, Again):
            needed.append(step)
            continue
        lasting = any(block.kind != "made" or block in live for block in step.changes)
        effect = step.op.status_function is not None or not (isinstance(step.program, Program) or step.makes)
        if lasting or effect or any(block in live for block in step.makes):
            needed.append(step)
            live.update(step.blocks())
    graph.note("dead", ops=len(graph.steps) - len(needed))
    graph.steps = needed[::-1]
