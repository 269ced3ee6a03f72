"""Fuse chains of elementwise ops: each is one launch of a kernel compiled for it, and what is read nowhere else vanishes.

The members of a chain are ops with a `formula`, whose results have one shape and one layout; each reads a result of another
member as it was written. They run together at the place of the first or of the last of them, so one of them moves across the
steps between, which may touch nothing that it writes and write nothing that it reads. A move may not lengthen the lives of
more bytes than it shortens.

Each value is rounded to the dtype in which its own op would have stored it. LLVM may still contract a product of one op with a
sum of the next to one multiply-add, as it does within an op, so results may differ in their last bits from eager ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from numgrad.compile.passes.compiling import Compiling
from numgrad.compile.passes.graph import Graph, has_effects
from numgrad.compile.steps import Again, Applied, Block, Place
from numgrad.layout import Spec
from numgrad.ops.chains import Link, chain
from numgrad.registry import Op
from numgrad.runtime.plan import Plan

MOST_LINKS = 32  # formulas of a chain
MOST_OPERANDS = 16  # inputs and results, whose addresses a loop holds in registers


class _Node:
    """A step, or the members of a chain, in their order."""

    def __init__(self, steps: list[Applied | Again], formulas: list[Any] | None) -> None:
        self.steps, self.formulas = steps, formulas  # formulas: of each step, if it may be a member
        self.is_fixed = any(isinstance(step, Again) or has_effects(step) for step in steps)
        applied = [step for step in steps if isinstance(step, Applied)]
        self.writes = {block for step in applied for block in (*step.makes, *step.changes)}
        self.reads = {block for step in applied for block in step.blocks()} - self.writes

    @property
    def spec(self) -> Spec:
        """The layout of the results of a chain."""
        return self.steps[0].specs[1][0]  # type: ignore[union-attr]

    def is_crossed(self, other: _Node) -> bool:
        """Whether this node and another, one after the other, have to stay in their order."""
        if self.is_fixed or other.is_fixed:
            return True
        return not (
            self.writes.isdisjoint(other.reads)
            and self.writes.isdisjoint(other.writes)
            and self.reads.isdisjoint(other.writes)
        )

    def joined(self, later: _Node) -> _Node:
        """Both, this one first."""
        return _Node([*self.steps, *later.steps], [*self.formulas, *later.formulas])  # type: ignore[misc]


class Value(NamedTuple):
    """What a place holds, as a tensor of this spec."""

    block: Block
    offset: int
    spec: Spec


def fuse_chains(graph: Graph) -> None:
    """Fuse chains of elementwise ops, wherever that leaves out a launch."""
    fuser = _Fuser(graph)
    for number, step in enumerate(graph.steps):
        fuser.add(number, step)
    with Compiling() as compiling:
        graph.steps = list(fuser.steps())
    graph.note("fuse", chains=fuser.chains, ops=fuser.ops, bytes=fuser.nbytes, **compiling.notes)


class _Fuser:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[_Node] = []
        self.users = graph.users()
        self.chains = self.ops = self.nbytes = 0

    # ---- which ops belong together ------------------------------------------------------------------------------

    def add(self, number: int, step: Applied | Again) -> None:
        """Add the next step, to a chain or as a node of its own."""
        formula = formula_of(step)
        node = _Node([step], None if formula is None else [formula])
        before = [k for k, each in enumerate(self.nodes) if formula and not each.writes.isdisjoint(node.reads)]
        position: int | None = None
        for k in reversed(before):
            if position is None:
                if self._may_join(self.nodes[k], node):
                    position = self._join(k, node, number)
            elif self._may_join(self.nodes[k], self.nodes[position]):
                position = self._sink(k, position)
        if position is None:
            self.nodes.append(node)

    def _may_join(self, one: _Node, other: _Node) -> bool:
        """Whether one chain may hold the members of both; what ``other`` reads of ``one`` it reads as it was written."""
        if one.formulas is None or other.formulas is None or not _same_lines(one.spec, other.spec):
            return False
        written = {(block, 0, spec) for step in one.steps for block, spec in results_of(step)}
        read = {value for step in other.steps for value in inputs_of(step)}
        if any(value.block in one.writes and value not in written for value in read):
            return False
        operands = {value for step in one.steps for value in inputs_of(step)} | read
        return len(one.steps) + len(other.steps) <= MOST_LINKS and len(operands) <= MOST_OPERANDS

    def _join(self, k: int, node: _Node, number: int) -> int | None:
        """Join the newest step with the chain ``k``: the place of both, or None if neither may move to the other."""
        between = self.nodes[k + 1 :]
        crossed = [each for each in between if each.is_crossed(node)]
        if not crossed and (not between or self._grows(node, number, up=True) <= 0):
            self.nodes[k] = self.nodes[k].joined(node)
            return k
        if any(self.nodes[k].is_crossed(each) for each in between):
            return None
        if self._grows(self.nodes[k], number, up=False) > 0:
            return None
        self.nodes.append(self.nodes.pop(k).joined(node))
        return len(self.nodes) - 1

    def _sink(self, k: int, position: int) -> int:
        """Move the chain ``k`` to that at ``position``, if it may: the position of the latter."""
        if any(self.nodes[k].is_crossed(each) for each in self.nodes[k + 1 : position]):
            return position
        self.nodes[position] = self.nodes[k].joined(self.nodes[position])
        del self.nodes[k]
        return position - 1

    def _grows(self, node: _Node, number: int, up: bool) -> int:
        """The bytes that live longer if a node moves up from step ``number``, or down to it, less those that live shorter."""
        ended = [block for block in node.reads if self.graph.is_temporary(block)]
        ended = [
            block for block in ended if (self.users[block][-1] == number if up else self.users[block][-1] < number)
        ]
        new, old = sum([block.nbytes for block in node.writes]), sum([block.nbytes for block in ended])
        return new - old if up else old - new

    # ---- chains as steps ----------------------------------------------------------------------------------------

    def steps(self) -> Iterator[Applied | Again]:
        """The steps, with each chain as one."""
        for node in self.nodes:
            if len(node.steps) == 1:
                yield node.steps[0]
            else:
                yield self._fused(node)

    def _fused(self, node: _Node) -> Applied:
        members: list[Any] = node.steps
        mine = {id(step) for step in members}
        numbers = {number for number, step in enumerate(self.graph.steps) if id(step) in mine}
        products = [(block, spec) for step in members for block, spec in results_of(step)]
        written = [
            number
            for number, (block, _) in enumerate(products)
            if not self.graph.is_temporary(block) or not numbers.issuperset(self.users[block])
        ]
        values: dict[Value, int] = {}
        results = {Value(block, 0, spec) for block, spec in products}
        for step in members:
            for value in inputs_of(step):
                if value not in results:
                    values.setdefault(value, len(values))
        inputs = list(values)
        for block, spec in products:
            values[Value(block, 0, spec)] = len(values)
        links = tuple(
            Link(step.op.name, formula, tuple([values[each] for each in inputs_of(step)]), dtypes_of(step))
            for step, formula in zip(members, node.formulas, strict=True)  # type: ignore[arg-type]
        )
        op = chain(links, len(inputs), tuple([len(inputs) + number for number in written]))
        self.chains += 1
        self.ops += len(members)
        self.nbytes += sum([block.nbytes for number, (block, _) in enumerate(products) if number not in written])
        plan = op.planned_for([each.spec for each in inputs], [products[number][1] for number in written])
        assert plan is not None
        return applied_to(self.graph, op, plan, inputs, [products[number][0] for number in written], members[-1].line)


def applied_to(graph: Graph, op: Op, plan: Plan, inputs: Sequence[Value], goals: Sequence[Block], line: str) -> Applied:
    """A new step that writes blocks which there are already, as others know them."""
    operands: Sequence[tuple[Place, Spec]] = [((each.block, each.offset), each.spec) for each in inputs]
    step = graph.applied(op, plan, op.defaults, operands, line)
    left = iter(goals)
    for position, nbytes in enumerate(plan.allocations):
        if nbytes is None:
            step.makes[position] = block = next(left)
            step.places[len(inputs) + position] = (block, 0)
    return step


def formula_of(step: Applied | Again) -> Any:
    """The formula of a step that may be a member: it makes dense results of one layout, and changes nothing."""
    if not isinstance(step, Applied) or has_effects(step) or step.changes or None in step.specs[0]:
        return None
    specs = step.specs[1]
    if not specs or not specs[0].numel or any(not _same_lines(spec, specs[0]) for spec in specs):
        return None
    if any(where is None or where[0].words for where in step.places):
        return None
    return step.op.formula(step.specs[0], specs, step.params)  # type: ignore[arg-type]


def _same_lines(one: Spec, other: Spec) -> bool:
    """Whether two specs have one shape and the same strides, wherever an extent is not 1."""
    return tuple(one.shape) == tuple(other.shape) and all(
        a == b for n, a, b in zip(one.shape, one.strides, other.strides, strict=True) if n != 1
    )


def inputs_of(step: Any) -> Iterator[Value]:
    """What a step reads."""
    for where, spec in zip(step.places, step.specs[0], strict=False):
        yield Value(where[0], where[1], spec)


def results_of(step: Any) -> Iterator[tuple[Block, Spec]]:
    """The results that a step makes; scratch memory is none."""
    return zip([block for block in step.makes if block.spec is not None], step.specs[1], strict=True)


def dtypes_of(step: Any) -> tuple[Any, ...]:
    """Those of a step's results."""
    return tuple([spec.dtype for spec in step.specs[1]])
