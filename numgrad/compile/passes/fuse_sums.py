"""Fuse a sum, or a mean, with the elementwise op or chain that makes what it adds up: both are one launch.

If nobody else reads what is added up, it vanishes. The op and its sum run at the place of the op. Blocks are added half onto half,
so a sum may differ in its last bits from the eager one, and is not less exact.
"""

from __future__ import annotations

from typing import Any

from numgrad.compile.passes.compiling import Compiling
from numgrad.compile.passes.fuse import applied_to, dtypes_of, formula_of, inputs_of, results_of
from numgrad.compile.passes.graph import Graph, has_effects
from numgrad.compile.steps import Applied
from numgrad.ops.chains import Chain, Fold, Link, chain

ENOUGH = 1 << 12  # elements; a sum of fewer takes no time
MANY = 1 << 18  # elements from which one way through memory less pays, although they are stored all the same


def fuse_sums(graph: Graph) -> None:
    """Fuse sums with what makes their terms."""
    users = graph.users()
    makers = {block: step for step in graph.steps if formula_of(step) is not None for block, _ in results_of(step)}
    replaced: dict[int, Applied] = {}  # by the id of a maker
    gone: set[int] = set()
    nbytes = 0
    with Compiling() as compiling:
        for number, step in enumerate(graph.steps):
            maker: Any = None if not _is_sum(step) else makers.get(step.reads[0])  # type: ignore[union-attr]
            if maker is None or id(maker) in replaced:
                continue
            block = step.reads[0]  # type: ignore[union-attr]
            vanishes = graph.is_temporary(block) and all(k == number or graph.steps[k] is maker for k in users[block])
            pays = block.spec.numel >= (ENOUGH if vanishes else MANY)  # type: ignore[union-attr]
            fused = _fused(graph, maker, step, vanishes) if pays else None
            if fused is not None:
                replaced[id(maker)] = fused
                gone.add(id(step))
                nbytes += block.nbytes if vanishes else 0
    graph.steps = [replaced.get(id(step), step) for step in graph.steps if id(step) not in gone]
    graph.note("sums", sums=len(gone), bytes=nbytes, **compiling.notes)


def _is_sum(step: Any) -> bool:
    """Whether a step may be fused: it adds up floating-point numbers over some of their axes."""
    if not isinstance(step, Applied) or step.op.sums_function is None or has_effects(step) or step.changes:
        return False
    spec, out = step.specs[0][0], step.specs[1][0]
    return bool(
        spec is not None and out.numel and spec.ndim and out.dtype is spec.dtype and spec.dtype.is_floating_point
    )


def _fused(graph: Graph, maker: Any, step: Any, vanishes: bool) -> Applied | None:
    """One step for both; None if what is added up is read otherwise than it was written, or lies in no rows."""
    products = list(results_of(maker))
    (term,) = inputs_of(step)
    position = next(k for k, (block, _) in enumerate(products) if block is term.block)
    if term.offset or term.spec is not products[position][1]:
        return None
    axes, divisor = step.op.sums_function(term.spec, **step.params._asdict())
    inputs = list(inputs_of(maker))
    links, results = _links_of(maker, len(inputs))
    kept = [k for k in range(len(products)) if k != position or not vanishes]
    fold = Fold(step.op.name, results[position], axes, divisor)
    op = chain(links, len(inputs), tuple([results[k] for k in kept]), fold)
    ((total, result),) = results_of(step)
    plan = op.planned_for([each.spec for each in inputs], [*[products[k][1] for k in kept], result], term.spec)
    if plan is None:
        return None
    return applied_to(graph, op, plan, inputs, [*[products[k][0] for k in kept], total], step.line)


def _links_of(maker: Any, inputs: int) -> tuple[tuple[Link, ...], tuple[int, ...]]:
    """The links of an op that is a chain, or of one that is not, and the numbers of its results."""
    if isinstance(maker.op, Chain):
        return maker.op.links, maker.op.results
    link = Link(maker.op.name, formula_of(maker), tuple(range(inputs)), dtypes_of(maker))
    return (link,), tuple(range(inputs, inputs + len(link.makes)))
