"""The backward pass: nodes in the reverse of their order, each once, without recursion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Sequence
from functools import partial
from heapq import heappop, heappush
from typing import Any

from numgrad.engine.tape import AccumulateGrad, Edge, Node, TensorBase, modes
from numgrad.errors import GradError
from numgrad.layout import contiguous_strides
from numgrad.registry import OPS, Windows, chain
from numgrad.runtime import locks

# Called in place of ``node.apply(grads, create_graph)``, to inspect the gradients of each node.
monitor: Callable[[Node, list[Any], bool], tuple[Any, ...]] | None = None

_WIDE = 16  # edges; from so many on it pays to count the holders of each storage
_leaf_locks = tuple(locks.renewed() for _ in range(64))  # a leaf's is chosen by its id


class BackwardPass:
    """The waiting nodes: for each a slot for the gradient of every output, and a heap of them, latest first."""

    def __init__(self, roots: Sequence[Edge], useful: set[Node] | None) -> None:
        self.roots = roots
        self.slots: dict[Node, list[Any]] = {}
        self.windows = Windows()
        self.heap: list[tuple[int, Node]] = []
        self.owned: set[Node] = set()  # waiting leaves whose gradient shares memory with no other tensor
        self.useful = useful  # None: all nodes
        self.at_end: list[Callable[[], None]] = []
        self.outer: BackwardPass | None = modes.backward  # the one in which this one runs

    def reaches(self, node: Node) -> bool:
        """Whether a gradient may arrive at this node."""
        if self.useful is None:
            self.useful = set(nodes_below(self.roots))
        return node in self.useful


def run_backward(
    roots: Sequence[Edge],
    grads: Sequence[TensorBase],
    retain_graph: bool,
    create_graph: bool,
    captures: Sequence[Edge] | None = None,
    composite: bool = False,
) -> list[TensorBase | None]:
    """Propagate ``grads`` from ``roots`` to the leaves.

    Without ``captures``, leaves accumulate into ``.grad``. With them, only nodes on a path to them run, no leaf is
    changed, and the gradients at these edges are returned (None where none arrives). With ``composite``, or while tangents
    are carried, backwards use differentiable ops, though nothing is recorded.
    """
    composite = create_graph or composite or modes.forward is not None
    captured: dict[tuple[Node, int], Any] = {edge: None for edge in captures or () if edge is not None}
    useful, watched = None if captures is None else _nodes_above(roots, captured), monitor
    pending = BackwardPass(roots, useful)
    before = modes.grad_enabled, modes.backward
    modes.grad_enabled, modes.backward = create_graph, pending
    try:
        _send(roots, grads, None, pending)
        heap, waiting, windows = pending.heap, pending.slots, pending.windows
        puts_off = not composite and watched is None and not chain.wrappers
        while heap:
            node = heappop(heap)[1]
            incoming, hooks = waiting.pop(node), node.hooks
            if windows and windows.add_to(node, incoming, not (hooks or captured or node.record.op is None)):
                pending.owned.add(node)
            if hooks is not None:
                incoming = hooks.on_tensors(node, incoming)
            if captured:
                for number, grad in enumerate(incoming):
                    if (node, number) in captured:
                        captured[node, number] = grad
            if node.__class__ is AccumulateGrad:
                if captures is None:
                    if hooks is not None:
                        incoming = hooks.on_entry(incoming)
                    if incoming[0] is not None:  # else a hook removed it
                        is_seen = hooks and (hooks.before or hooks.after or any(hooks.tensor.values()))  # may keep it
                        accumulate(node.variable, incoming[0], node in pending.owned and not is_seen, create_graph)
                    if hooks is not None:
                        hooks.on_exit((), incoming)
            elif useful is None or any(edge is not None and edge[0] in useful for edge in node.edges):
                if puts_off and hooks is None and node.record.joins:
                    target = windows.put(node, incoming[0])
                    if target not in waiting:
                        heappush(heap, (-target.sequence, target))
                        waiting[target] = [None] * len(target.record.output_specs)
                    continue
                if hooks is not None:
                    incoming = hooks.on_entry(incoming)
                if hooks is not None and all(grad is None for grad in incoming):
                    outgoing = (None,) * len(node.edges)  # a hook removed them
                else:
                    apply = node.apply if watched is None else partial(watched, node)
                    outgoing = apply(incoming, composite)
                if hooks is not None:
                    outgoing = hooks.on_exit(outgoing, incoming)
                if not retain_graph:
                    node.saved = None
                edges = node.edges
                if len(outgoing) != len(edges):
                    raise GradError(
                        f"function {node.name()} returned an incorrect number of gradients (expected {len(edges)}, got "
                        f"{len(outgoing)})"
                    )
                _send(edges, outgoing, incoming if hooks is None and node.makes_results else None, pending)
            incoming = grad = outgoing = None  # type: ignore[assignment]
        for call in pending.at_end:
            call()
    finally:
        modes.grad_enabled, modes.backward = before
    return [captured[edge] if edge is not None else None for edge in captures or ()]


def _send(
    edges: Sequence[Edge], outgoing: Sequence[Any], incoming: Sequence[Any] | None, pending: BackwardPass
) -> None:
    """Add gradients to the slots at the ends of ``edges``.

    ``incoming`` are the gradients that went into the node they come from. None: any tensor may share their memory.
    """
    waiting, useful = pending.slots, pending.useful
    holders = None
    if len(edges) > _WIDE and incoming is not None:
        holders = Counter([id(grad._storage) for grad in (*incoming, *outgoing) if grad is not None])
    for position, edge in enumerate(edges):
        grad = outgoing[position]
        if edge is None or grad is None or (useful is not None and edge[0] not in useful):
            continue
        node, number = edge
        slots = waiting.get(node)
        if slots is None:
            heappush(pending.heap, (-node.sequence, node))
            waiting[node] = [None] * len(node.record.output_specs)
            waiting[node][number] = grad
            if incoming is not None and node.__class__ is AccumulateGrad:
                if holders is None:
                    storages = [other._storage for other in (*incoming, *outgoing) if other is not None]
                    is_new = storages.count(grad._storage) == 1
                else:
                    is_new = holders[id(grad._storage)] == 1
                if is_new:  # no other gradient of this node has its memory
                    pending.owned.add(node)
        else:
            if pending.windows:  # gradients are added in the order in which they come
                pending.windows.add_to(node, slots, False)
            slots[number] = grad if slots[number] is None else OPS["add"](slots[number], grad)
            if node.__class__ is AccumulateGrad:
                pending.owned.add(node)


def _nodes_above(roots: Sequence[Edge], captured: dict[tuple[Node, int], Any]) -> set[Node]:
    """Nodes on a path from the roots to a captured edge, the captured nodes included."""
    below = nodes_below(roots)
    useful = {node for node, _ in captured}.intersection(below)
    for node in sorted(below, key=lambda node: node.sequence):
        if any(edge is not None and edge[0] in useful for edge in node.edges):
            useful.add(node)
    return useful


def nodes_below(roots: Sequence[Edge], ends: Container[Node] = ()) -> dict[Node, None]:
    """All nodes that the roots lead to, with the ``ends`` that are among them, but not what is below these."""
    seen: dict[Node, None] = {}
    stack = [edge[0] for edge in roots if edge is not None]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen[node] = None
            stack.extend(edge[0] for edge in (() if node in ends else node.edges) if edge is not None)
    return seen


def accumulate(variable: TensorBase, grad: Any, owned: bool, create_graph: bool) -> None:
    """Add ``grad`` to a leaf's ``.grad``. The first one is stored as it is if the engine owns it, else copied.

    A lock orders threads that accumulate into the same leaf.
    """
    with _leaf_locks[id(variable) >> 8 & 63]:
        if variable._grad is None:
            spec, own = variable._spec, grad._spec
            if spec.is_dense:
                fits = own is spec or (own.is_dense and own.lies_like(spec))
            else:  # it has a gradient in rows
                fits = own.is_contiguous and not own.is_private
            if create_graph or not owned or not fits:
                strides = spec.strides if spec.is_dense else contiguous_strides(spec.shape)
                grad = OPS["to_strides"](grad, strides=strides)
            elif spec.is_dense:
                grad._spec = spec  # one of the two layouts may be private
            variable._grad = grad
        elif create_graph or variable._grad._node is not None:
            variable._grad = OPS["add"](variable._grad, grad)
        else:
            add = OPS["add"].in_place  # type: ignore[attr-defined]
            chain.dispatch(add, (variable._grad, grad), add.defaults)
    if variable._hooks is not None:
        variable._hooks.on_accumulated(variable)
