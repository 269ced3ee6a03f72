"""Calls of functions of several ops that are one op with one node, where gradients are needed.

`known` learns calls; of those of several ops that need a gradient it asks `step_of` for the step. The call is rehearsed on copies
of its tensors, with its backward. The launches of the forward become one plan, those of the backward another (`joined`): the same
kernels on the same numbers. What the backward reads of what was computed between is kept by the node.

The node stands for the graph that the function would have made. That graph is made from the saved inputs as soon as somebody asks
for more than first gradients: looks behind the node, or records the backward. Then the node only passes its gradient on (`unfold`).
Each contribution to an input's gradient is an edge of its own, in the order in which the graph sends them, so sums have the same
bits.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from operator import attrgetter
from typing import Any

from numgrad import errors
from numgrad.engine import dispatch
from numgrad.engine.backward import nodes_below
from numgrad.engine.constants import is_constant
from numgrad.engine.tape import AccumulateGrad, Node, Record, TensorBase, modes, tensor_over
from numgrad.node_types import class_of
from numgrad.registry import OPS, Op, Windows, memo
from numgrad.runtime import locks
from numgrad.runtime.fast import start as fast
from numgrad.runtime.fast.layout import MOST_INPUTS
from numgrad.tensor import joined, known
from numgrad.tensor.known_backwards import Run, learned

_MOST_LAYOUTS = 4  # of incoming gradients, for which a backward is learned
_WEIGHT = 2  # of an op, a record and what runs for it, as plans are weighed
_MOST_UNFOLDED = 16  # times, after which the function makes its graph itself
_unfolding = locks.renewed()


class _UnfitError(Exception):
    """This call cannot be one op."""


class _Call:
    """A call of a function, without its tensors."""

    def __init__(self, function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        self.function, self.names, self.count = function, tuple(kwargs), len(args)
        values = (*args, *kwargs.values())
        self.sources = [source for source, _ in known.tensors_of(values)]
        self.values = known.replaced(values, iter([_NO_TENSOR] * len(self.sources)))

    def __call__(self, tensors: Sequence[Any]) -> Any:
        values = known.replaced(self.values, iter(tensors))
        return self.function(*values[: self.count], **dict(zip(self.names, values[self.count :], strict=True)))


_NO_TENSOR = object.__new__(TensorBase)  # stands where a tensor stood


class _Rehearsal:
    """A call on copies of its tensors, and its backward.

    Attributes
    ----------
    results
        The results, of which the number ``position`` has a gradient, from ``root``.
    saved
        Numbers of the results whose memory a node has saved.
    read
        What the backward reads: numbers of tensors, of results, and (step, output) of what was computed between.
    contributions
        Pairs of the number of a tensor and a gradient, in the order of their arrival.
    """

    def __init__(self, call: _Call, tensors: Sequence[Any], needs: Sequence[bool], grads: Sequence[Any] | None) -> None:
        self.copies = [known.copy_of(tensor) for tensor in tensors]
        specs, warned = [copy._spec for copy in self.copies], errors.warned
        for copy, need in zip(self.copies, needs, strict=True):
            copy._requires_grad = need
        before, modes.grad_enabled = modes.grad_enabled, True
        try:
            self.forward, self.result = known.watch(call, (self.copies,), {})
            self.results = self.result if isinstance(self.result, tuple) else (self.result,)
            self.position = self._differentiable()
            self.root = self.results[self.position]._node
            self.unread, copied = self._kept()
            grad = _plain(self.results[self.position]) if grads is None else grads[self.position]
            self.grad = known.copy_of(grad)
            modes.grad_enabled = False
            cloned, clones = known.watch(lambda: [OPS["clone"](self.copies[number]) for number in copied], (), {})
            self.clones = dict(zip(copied, clones, strict=True))
            self.forward.launched += cloned.launched
            self.backward, self.contributions = known.watch(self._gradients, (), {})
        finally:
            modes.grad_enabled = before
        fits = self.forward.fits and self.backward.fits and errors.warned == warned
        if not fits or not self.contributions or [copy._spec for copy in self.copies] != specs:
            raise _UnfitError
        self.read = self._read()

    def _differentiable(self) -> int:
        """The number of the only result that has a gradient."""
        if any(each.__class__ is not dispatch.tensor_class or each._requires_grad for each in self.results):
            raise _UnfitError
        floating = [number for number, each in enumerate(self.results) if each._spec.dtype.is_floating_point]
        if len(floating) != 1 or self.results[floating[0]]._node is None or self.results[floating[0]]._output_nr != 0:
            raise _UnfitError
        return floating[0]

    def _kept(self) -> tuple[set[int], list[int]]:
        """The tensors on whose numbers nothing depends that a node has saved, and those whose numbers only other memory has.

        The graph can be made again whatever becomes of the former; of the latter the node keeps a copy, since the graph, too, would
        not mind if they changed.
        """
        origins: dict[Any, set[int]] = {copy._storage: {number} for number, copy in enumerate(self.copies)}
        for _, operands, outputs, _ in self.forward.launched:
            read = set().union(*[origins.get(each._storage, ()) for each in operands if each is not None])
            for output in outputs:
                origins[output._storage] = origins.get(output._storage, set()) | read
        saved = [each for node in nodes_below([(self.root, 0)]) for each in node.saved or () if each is not None]
        depends = set().union(*[origins.get(each._storage, ()) for each in saved])
        itself = {each._storage for each in saved}
        self.saved = {number for number, each in enumerate(self.results) if each._storage in itself}
        copied = [number for number in sorted(depends) if self.copies[number]._storage not in itself]
        return set(range(len(self.copies))) - depends, [n for n in copied if self.copies[n]._spec.is_contiguous]

    def _gradients(self) -> list[tuple[int, Any]]:
        """Run the backward, up to the copies: as `engine.backward` does, which would add what arrives there."""
        numbers = {id(copy): number for number, copy in enumerate(self.copies)}
        waiting: dict[Any, list[Any]] = {self.root: [self.grad, *[None] * (len(self.root.output_specs) - 1)]}
        heap, arrived, windows = [(-self.root.sequence, self.root)], [], Windows()

        def slots_of(target: Any) -> list[Any]:
            if target not in waiting:
                waiting[target] = [None] * len(target.output_specs)
                heappush(heap, (-target.sequence, target))
            return waiting[target]

        while heap:
            node = heappop(heap)[1]
            grads = waiting.pop(node)
            joined = windows.add_to(node, grads, node.record.op is not None)
            if node.__class__ is AccumulateGrad:  # of windows; others arrive at once
                arrived += [(numbers[id(node.variable)], grads[0])] if joined else []
                continue
            if node.__class__ is not Node:
                raise _UnfitError  # a function of a user's
            if node.record.joins:
                slots_of(windows.put(node, grads[0]))
                continue
            for edge, grad in zip(node.edges, node.apply(grads, False), strict=True):
                if edge is None or grad is None:
                    continue
                target, number = edge
                slots = [None] if target.__class__ is AccumulateGrad else slots_of(target)
                joined = windows.add_to(target, slots, False)
                if target.__class__ is AccumulateGrad:
                    where = numbers[id(target.variable)]
                    arrived += [(where, each) for each in (*slots, grad)[not joined :]]
                    continue
                slots[number] = grad if slots[number] is None else OPS["add"](slots[number], grad)
        return arrived

    def _read(self) -> tuple[list[int], list[int], list[tuple[int, int]]]:
        inputs = {copy._storage: number for number, copy in enumerate(self.copies)}
        results = {each._storage: number for number, each in enumerate(self.results)}
        between: dict[Any, Any] = {}
        for step, (_, _, outputs, plan) in enumerate(self.forward.launched):
            for number, (output, planned) in enumerate(zip(outputs, plan.outputs, strict=True)):
                if planned.source is None:
                    between[output._storage] = step, number
        own = {self.grad._storage}
        read: tuple[set[Any], set[Any], set[Any]] = (set(), set(), set())
        steps = [*self.backward.launched, (False, [grad for _, grad in self.contributions], [], None)]
        for _, operands, outputs, _ in steps:
            for operand in operands:
                if operand is None or operand._storage in own:
                    continue
                for numbers, which in zip((inputs, results, between), read, strict=True):
                    if operand._storage in numbers:
                        which.add(numbers[operand._storage])  # type: ignore[attr-defined]
                        break
                else:
                    filled = operand._storage in self.forward.filled or operand._storage in self.backward.filled
                    if not (filled or is_constant(operand)):
                        raise _UnfitError
            own.update([output._storage for output in outputs])
        return sorted(read[0]), sorted(read[1]), sorted(read[2])

    def given_by(self, step: int, number: int) -> Any:
        """The tensor that a step of the forward gave."""
        return _plain(self.forward.launched[step][2][number])


def _plain(tensor: Any) -> Any:
    """A tensor over the same memory, outside of the graph."""
    return tensor_over(dispatch.tensor_class, tensor._storage, tensor._spec, tensor._address)


class _GraphOp(Op):
    """A call of a function as an op.

    Its inputs are those to which gradients are sent, in the order of their arrival, so that one may be there twice, and then the
    others. It saves all of them, for `unfold`, and what the backward reads of the rest.
    """

    def __init__(self, call: _Call, rehearsal: _Rehearsal, plan: Any) -> None:
        root = rehearsal.root
        first, self.root_params = root.name(), root.params
        self.call, self.position, self.forward_plan = call, rehearsal.position, plan
        self.arrivals = [number for number, _ in rehearsal.contributions]
        self.order = [*self.arrivals, *[n for n in range(len(rehearsal.copies)) if n not in self.arrivals]]
        self.read = rehearsal.read
        self.times_unfolded = 0
        inputs = [f"input{number}" for number in range(len(self.order))]
        between, copied = len(rehearsal.results) + len(self.read[2]), [*rehearsal.clones]
        outputs = [f"output{number}" for number in range(between + len(copied))]
        self.slots = [self.order.index(number) for number in range(len(rehearsal.copies))]  # places of the tensors
        self.unread = rehearsal.unread
        kept = [outputs[number] for number in self.read[1]] + outputs[len(rehearsal.results) : between]
        tensors = [outputs[between + copied.index(n)] if n in copied else inputs[p] for n, p in enumerate(self.slots)]
        super().__init__(
            first, inputs, outputs=outputs, public=len(rehearsal.results), saves=[*tensors, *kept],
            node_name=first, register=False,
        )  # fmt: skip
        self.backward_function = self._backward
        _, slots = root.op.graph_node(root.input_specs, root.needs, root.params)
        self.node_class, self.last_class = (class_of(base, first, slots, root.op) for base in (_Folded, _Last))
        self.through: _Through | None = None  # once it is needed

    def _backward(self, ctx: Any, *grads: Any) -> tuple[Any, ...]:
        """The gradients as they are, for the graph that is now behind the node."""
        if self.unfold(ctx.node) is None:
            ctx.node.unpack(False)  # which says what was freed or changed
        return grads

    def has_all(self, node: Any) -> bool:
        """Whether all is there, and as it was, of which the graph can be made, and the results that its nodes have saved."""
        saved = node.saved
        return saved is not None and all(
            number in self.unread or saved[number]._storage.version == node.versions[number]
            for number in range(len(self.slots) + len(self.read[1]))
        )

    def unfold(self, node: Any) -> Any:
        """Make the graph that the node stands for; its last node, or None where what is needed was freed or has changed."""
        with _unfolding:
            if node.record.run is None:  # another thread was faster
                return node.op.unfold(node)
            if not self.has_all(node):
                return None
            root = self._graph_of(node, node.saved[: len(self.slots)])
            root.__class__, _folded[root] = self.last_class, weakref.ref(node)
            edges: list[Any] = [None] * self.public
            edges[self.position] = root, 0
            specs = node.record.output_specs
            self.through = self.through or _Through(self)
            record = Record(self.through, (), tuple([each is not None for each in edges]), specs, specs)
            record.run = None
            node.edges, node.saved, node.versions, node.record = edges, [], [], record
        self.times_unfolded += 1
        if self.times_unfolded > _MOST_UNFOLDED:
            self.forward_plan.records.clear()
        return root

    def _graph_of(self, node: Any, inputs: Sequence[Any]) -> Any:
        edges = [node.edges[slot] for slot in self.slots]
        stand_ins = [_plain(tensor) for tensor in inputs]
        for tensor, edge in zip(stand_ins, edges, strict=True):
            if edge is not None:
                tensor._node, tensor._output_nr = edge
        before, hooks = modes.grad_enabled, modes.saved_hooks
        modes.grad_enabled, modes.saved_hooks = True, ()  # hooks are for what is saved while they are there
        try:
            _, result = known.watch(self.call, (stand_ins,), {})  # by ops, since it is watched
        finally:
            modes.grad_enabled, modes.saved_hooks = before, hooks
        root = (result if isinstance(result, tuple) else (result,))[self.position]._node
        ends = {edge[0] for edge in edges if edge is not None}
        inner = sorted(set(nodes_below([(root, 0)], ends)) - ends, key=lambda each: each.sequence)
        for number, each in enumerate(inner):  # between this node and those before it
            each.sequence = node.sequence - 1 + (number + 1) / (len(inner) + 1)  # type: ignore[assignment]
        running = modes.backward
        while running is not None:
            if running.useful is not None and node in running.useful:
                running.useful.update(inner)
            running = running.outer
        return root


class _Through(Op):
    """The op of a node behind which there is a graph: passes the gradient on."""

    def __init__(self, graph: _GraphOp) -> None:
        super().__init__(graph.name, ["output"], node_name=graph.node_name, register=False)
        self.backward_function = lambda ctx, *grads: grads
        self.graph, self.node_class, self.root_params = graph, graph.node_class, graph.root_params

    def unfold(self, node: Any) -> Any:
        """The last node of the graph behind."""
        return next(edge[0] for edge in node.edges if edge is not None)


class _Folded(Node):
    """A node that stands for a graph, as users see it: in all but its identity it is the last node of that graph."""

    __slots__ = ()

    params = property(attrgetter("op.root_params"))  # type: ignore[assignment]

    @property
    def _last(self) -> Any:
        return self.op.unfold(self)

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """Those of the graph; of the node itself, if what the graph is made of was freed or has changed."""
        last = self._last
        return super().next_functions if last is None else last.next_functions  # type: ignore[no-any-return]

    @property
    def metadata(self) -> dict[Any, Any]:
        """A dict for the user's notes."""
        return self._shown().metadata  # type: ignore[no-any-return]

    def register_hook(self, fn: Any) -> Any:
        """As `Node.register_hook`."""
        return self._shown().register_hook(fn)

    def register_prehook(self, fn: Any) -> Any:
        """As `Node.register_prehook`."""
        return self._shown().register_prehook(fn)

    def saved_tensor(self, is_output: bool, number: int) -> Any:
        """As `Node.saved_tensor`."""
        last = self._last
        return self.unpack(False) if last is None else last.saved_tensor(is_output, number)  # the first raises

    def _shown(self) -> Any:
        last = self._last
        return super() if last is None else last


_folded: weakref.WeakKeyDictionary[Node, weakref.ref[Node]] = weakref.WeakKeyDictionary()


class _Last(Node):
    """The last node of a graph for which another one stands. What its backward does with its own output leads to that one."""

    __slots__ = ()

    def unpack(self, create_graph: bool) -> list[Any]:
        """As `Node.unpack`."""
        saved, folded = super().unpack(create_graph), _folded[self]()
        if create_graph and folded is not None:
            for slot, _ in self.saving.outputs:
                if saved[slot]._node is self:
                    saved[slot]._node, saved[slot]._output_nr = folded, folded.op.graph.position  # type: ignore[attr-defined]
        return saved


class _OfFunction(Run):
    """`Run` for the nodes of a call of a function; learns layouts of gradients when it meets them."""

    def __init__(self, op: _GraphOp, rehearsal: _Rehearsal) -> None:
        inputs, _, _ = op.read
        kept = range(len(op.slots), len(op.saves))
        super().__init__([*range(-1, -1 - len(rehearsal.results), -1), *inputs, *kept])
        self.op, self.layouts = op, 0

    def __call__(self, node: Any, grads: Any) -> Any:
        """The gradients of a node's inputs."""
        gradients = self.by_plans(node, grads)
        return self._otherwise(node, grads) if gradients is None else gradients

    def _otherwise(self, node: Any, grads: Any) -> Any:
        saved = node.saved
        if saved.__class__ is list and grads.__class__ is list and known.is_free():
            if all(saved[read]._storage.version == node.versions[read] for read in self.reads if read >= 0):
                gradients = self.by_plans(node, grads, self._apply)
                if gradients is not None:
                    return gradients
            if self.layouts < _MOST_LAYOUTS and self.op.has_all(node):
                self.layouts += 1
                needs = [node.record.needs[slot] for slot in self.op.slots]
                try:
                    rehearsal = _Rehearsal(self.op.call, saved[: len(needs)], needs, grads)
                    self.learn(rehearsal, grads)
                except _UnfitError:
                    self.layouts = _MOST_LAYOUTS
                else:
                    return self.by_plans(node, grads) or node.by_formula(grads, False)
        return node.by_formula(grads, False)

    def _apply(self, table: Any, key: Any, node: Any, grads: Any, _: int) -> Any:
        return fast.run(table, key, *self.operands(node, grads))

    def learn(self, rehearsal: _Rehearsal, grads: Sequence[Any]) -> None:
        """Learn the backward of a rehearsal, for gradients of that layout."""
        op, times_forgotten = self.op, memo.times_forgotten
        if [number for number, _ in rehearsal.contributions] != op.arrivals or rehearsal.read != op.read:
            raise _UnfitError
        inputs, results, between = op.read
        incoming = [None if grad is None else rehearsal.grad for grad in grads]
        read = [rehearsal.copies[number] for number in inputs] + [
            _plain(rehearsal.results[number]) for number in results
        ]
        copies = [*incoming, *read, *[rehearsal.given_by(*each) for each in between]]
        kept = [grad for _, grad in rehearsal.contributions] + [None] * (len(op.order) - len(op.arrivals))
        filled = rehearsal.forward.filled | rehearsal.backward.filled
        found_out = learned(rehearsal.backward.launched, filled, copies, kept)
        if found_out is None or memo.times_forgotten != times_forgotten:
            raise _UnfitError
        self.keep(grads, tuple([None if each is None else each._spec for each in copies]), found_out)


def step_of(function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """The step (`runtime/fast/known.py`) for a call that needs a gradient; False if it has to be left to the function."""
    try:
        return _step_of(_Call(function, args, kwargs), [t for _, t in known.tensors_of((*args, *kwargs.values()))])
    except Exception:  # the call itself was right
        return False


def _step_of(call: _Call, tensors: list[Any]) -> Any:
    needs = [known.needs_grad(tensor) for tensor in tensors]
    rehearsal = _Rehearsal(call, tensors, needs, None)
    arrivals = [number for number, _ in rehearsal.contributions]
    order = [*arrivals, *[number for number in range(len(tensors)) if number not in arrivals]]
    results = [*map(_plain, rehearsal.results), *[rehearsal.given_by(*each) for each in rehearsal.read[2]]]
    results += rehearsal.clones.values()
    if not rehearsal.saved.issubset(rehearsal.read[1]):
        raise _UnfitError  # a change of such a result would go unnoticed
    inputs = [rehearsal.copies[number] for number in order]
    if len(order) > MOST_INPUTS or len(results) > MOST_INPUTS:
        raise _UnfitError
    plan = joined.plan_of(rehearsal.forward.launched, inputs, tuple(results), rehearsal.forward.filled)
    if plan is None or plan.changed:
        raise _UnfitError
    is_tuple = isinstance(rehearsal.result, tuple)
    known.make_ready(plan, len(rehearsal.results) if is_tuple else 1)
    plan.weight += _WEIGHT
    op = _GraphOp(call, rehearsal, plan)
    run = _OfFunction(op, rehearsal)
    grads = [rehearsal.grad if number == op.position else None for number in range(op.public)]
    run.learn(rehearsal, grads)
    specs = tuple([each._spec for each in inputs])
    needed = tuple([needs[number] for number in order])
    record = Record(op, (), needed, specs, [each._spec for each in rehearsal.results])
    record.run = run
    plan.records[sum([1 << slot for slot, need in enumerate(needed) if need])] = record
    if plan.fast is None or (is_tuple and op.public == 1):
        raise _UnfitError
    sources = [call.sources[number] for number in order]
    return plan, (), 0, None, known.class_of(rehearsal.result), *sources


known.graph_step = step_of
