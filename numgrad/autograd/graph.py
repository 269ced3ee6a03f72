"""The graph behind tensors: nodes, edges, hooks on several tensors, and hooks for what the forward saves."""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from numgrad.autograd.mutation import allow_mutation_on_saved_tensors
from numgrad.engine import dispatch, private
from numgrad.engine.constants import is_constant
from numgrad.engine.hooks import RemovableHandle, tensor_hooks
from numgrad.engine.tape import AccumulateGrad, Node, TensorBase, gradient_edge, modes
from numgrad.engine.views import refresh
from numgrad.runtime import locks
from numgrad.tensor.tensor import Tensor

__all__ = [
    "GradientEdge",
    "Node",
    "RemovableHandle",
    "allow_mutation_on_saved_tensors",
    "disable_saved_tensors_hooks",
    "get_gradient_edge",
    "increment_version",
    "register_multi_grad_hook",
    "save_on_cpu",
    "saved_tensors_hooks",
]


class GradientEdge(NamedTuple):
    """A place in the graph that a gradient arrives at: output ``output_nr`` of ``node``.

    It can stand for a tensor in `autograd.grad` and keeps the graph alive, but not the tensor's memory.
    """

    node: Node
    output_nr: int


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """The edge at which the gradient of ``tensor`` arrives.

    Raises
    ------
    RuntimeError
        The tensor requires no gradient.

    >>> import numgrad as ng
    >>> x = ng.tensor(2.0, requires_grad=True)
    >>> y = x * x
    >>> edge = ng.autograd.graph.get_gradient_edge(y)
    >>> ng.autograd.grad(y * 3, edge)
    (tensor(3.),)
    """
    refresh(tensor)
    edge = gradient_edge(tensor)
    if edge is None:
        raise RuntimeError("It is not possible to get the gradient edge for a Tensor that does not require gradients")
    return GradientEdge(edge[0].seen(), edge[1])


def increment_version(tensor: Tensor | Sequence[Tensor]) -> None:
    """Tell autograd that the memory of these tensors was changed behind its back."""
    for each in (tensor,) if isinstance(tensor, Tensor) else tensor:
        each._storage.version += 1


def register_multi_grad_hook(
    tensors: Sequence[Tensor], fn: Callable[..., None], *, mode: str = "all"
) -> RemovableHandle:
    """Call ``fn`` once in each backward for several tensors.

    Parameters
    ----------
    tensors
        Tensors that require a gradient.
    fn
        With mode 'all' it gets the list of their gradients when the last of them is there (None for those that this
        backward does not reach); with 'any' the first gradient as soon as it is there.

    Raises
    ------
    ValueError
        ``mode`` is neither.

    >>> import numgrad as ng
    >>> a, b = ng.ones(1, requires_grad=True), ng.ones(1, requires_grad=True)
    >>> handle = ng.autograd.graph.register_multi_grad_hook([a, b], lambda grads: print(grads))
    >>> (2 * a + 3 * b).sum().backward()
    [tensor([2.]), tensor([3.])]
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    lock = locks.renewed()
    passes: dict[Any, list[Any]] = {}  # for each backward that runs: how many are missing, the gradients
    edges = [get_gradient_edge(tensor) for tensor in tensors]

    def end(running: Any) -> None:
        with lock:
            missing, grads = passes.pop(running)
        if missing and mode == "all":
            fn(grads)

    def arrived(position: int, grad: Tensor) -> None:
        running = modes.backward
        with lock:
            state = passes.get(running)
            first = state is None
            if state is None:
                expected = sum(running.reaches(edge.node) for edge in edges)
                state = passes[running] = [expected, [None] * len(edges)]
                running.at_end.append(lambda: end(running))
            state[0] -= 1
            state[1][position] = grad
            complete = state[0] == 0
        if mode == "any" and first:
            fn(grad)
        elif mode == "all" and complete:
            fn(state[1])

    tables = [tensor_hooks(tensor) for tensor in tensors]
    handle = RemovableHandle(*tables)
    for position, table in enumerate(tables):
        table[handle.id] = functools.partial(arrived, position)
    return handle


# ---- hooks for what is saved ------------------------------------------------------------------------------------


class saved_tensors_hooks:  # noqa: N801 (torch's name)
    """A context in which ``pack_hook`` turns each tensor that an op saves for its backward into something else.

    ``unpack_hook`` gets that back when the backward asks for it, and returns a tensor of the same shape, dtype and
    values. Where contexts are nested, the innermost counts. Both run without recording.

    Memory that a pack hook returns as it is stays under the check for changes in place.

    Raises
    ------
    RuntimeError
        Within `disable_saved_tensors_hooks`; or the pack hook changes its argument.

    >>> import numgrad as ng
    >>> x = ng.tensor([1.0, 2.0], requires_grad=True)
    >>> with ng.autograd.graph.saved_tensors_hooks(lambda t: t.numpy().tolist(), ng.tensor):
    ...     y = x.exp()
    >>> y.sum().backward()
    >>> x.grad
    tensor([2.7183, 7.3891])
    """

    def __init__(self, pack_hook: Callable[[Tensor], Any], unpack_hook: Callable[[Any], Tensor]) -> None:
        self.pack_hook = pack_hook
        self.unpack_hook = unpack_hook

    def __enter__(self) -> None:
        if _disabled.reasons:
            raise RuntimeError(_disabled.reasons[-1])
        modes.saved_hooks = (*modes.saved_hooks, (self.pack_hook, self.unpack_hook))
        _packing.enter()

    def __exit__(self, *exception: object) -> None:
        modes.saved_hooks = modes.saved_hooks[:-1]
        _packing.leave()


class save_on_cpu(saved_tensors_hooks):  # noqa: N801
    """A context in which saved tensors are kept in the memory of the CPU.

    That is where all of numgrad's tensors are, so nothing is copied. ``pin_memory`` and ``device_type`` have no meaning
    and are accepted, so that programs written for accelerators run.
    """

    def __init__(self, pin_memory: bool = False, device_type: str = "cpu") -> None:
        super().__init__(lambda tensor: tensor, lambda tensor: tensor)


class _Disabled(threading.local):
    reasons: tuple[str, ...] = ()


_disabled = _Disabled()


class disable_saved_tensors_hooks:  # noqa: N801
    """A context in which entering `saved_tensors_hooks` raises RuntimeError with this message."""

    def __init__(self, error_message: str) -> None:
        self.error_message = error_message

    def __enter__(self) -> None:
        if modes.saved_hooks:
            raise RuntimeError(self.error_message)
        _disabled.reasons = (*_disabled.reasons, self.error_message)

    def __exit__(self, *exception: object) -> None:
        _disabled.reasons = _disabled.reasons[:-1]


def pack_node(node: Node) -> None:
    """Pack what a new node saved, if this thread has hooks."""
    if not modes.saved_hooks or not node.saved:
        return
    pack, unpack = modes.saved_hooks[-1]
    before, modes.grad_enabled = modes.grad_enabled, False
    hooks, modes.saved_hooks = modes.saved_hooks, ()
    try:
        node.saved = _Packed(node, pack, unpack)  # type: ignore[assignment]
    finally:
        modes.grad_enabled, modes.saved_hooks = before, hooks


# The engine tells it of new nodes while some thread has hooks.
_packing = locks.Membership((dispatch.node_watchers, pack_node))


class _Packed:
    """A node's saved tensors, packed; they are unpacked each time that somebody asks."""

    def __init__(self, node: Node, pack: Callable[[Any], Any], unpack: Callable[[Any], Any]) -> None:
        assert node.saved is not None
        self.plain = list(node.saved)  # what was not packed
        self.unpack_hook = unpack
        self.packed: list[Any] = [None] * len(self.plain)
        self.specs: list[Any] = [None if tensor is None else tensor._spec for tensor in self.plain]
        outputs = dict(node.saving.outputs)
        self.numbers = [outputs.get(place) for place in range(len(self.plain))]  # None: it is no output
        self.edges = [None if tensor is None else gradient_edge(tensor) for tensor in self.plain]
        for place, tensor in enumerate(self.plain):
            # One that its own op has changed is left to the check for changes in place; numbers are no tensors.
            if tensor is None or tensor._storage.version != node.versions[place] or is_constant(tensor):
                continue
            packed = pack(private.alias(tensor, Tensor))
            if tensor._storage.version != node.versions[place]:
                raise RuntimeError(
                    "A saved tensor pack hook is modifying its input in place. Tensors provided as input to pack hook "
                    "can not be modified by in-place operations as this can lead to unexpected side-effects; work on a "
                    "clone()."
                )
            self.packed[place] = (packed,)
            if not (isinstance(packed, TensorBase) and packed._storage is tensor._storage):
                self.plain[place] = None

    def __len__(self) -> int:
        return len(self.plain)

    def unpack(self, node: Node, create_graph: bool) -> list[Any]:
        """The tensors; with ``create_graph``, with their places in the graph."""
        tensors = list(self.plain)
        for place, tensor in enumerate(tensors):
            if tensor is not None and tensor._storage.version != node.versions[place]:
                raise node.modified(place, tensor)
        for place, packed in enumerate(self.packed):
            if packed is None:
                continue
            before, modes.grad_enabled = modes.grad_enabled, False
            try:
                tensor = self.unpack_hook(*packed)
            finally:
                modes.grad_enabled = before
            self._check(node, place, tensor)
            tensors[place] = _linked(node, tensor, self.numbers[place], self.edges[place]) if create_graph else tensor
        return tensors

    def _check(self, node: Node, place: int, tensor: Any) -> None:
        if not isinstance(tensor, TensorBase):
            raise TypeError(f"the unpack hook returned {type(tensor).__name__}, expected a Tensor")
        spec = self.specs[place]
        if tensor._spec.shape != spec.shape or tensor._spec.dtype is not spec.dtype:
            raise RuntimeError(
                f"the unpack hook returned a tensor of shape {list(tensor._spec.shape)} and {tensor._spec.dtype}, "
                f"expected {list(spec.shape)} and {spec.dtype}, as {node.name()} saved it"
            )


def _linked(node: Node, tensor: TensorBase, number: int | None, edge: Any) -> TensorBase:
    """The tensor with the history of the saved one: output ``number`` of the node, or what ``edge`` leads to."""
    linked: Tensor = private.alias(tensor, Tensor)
    if number is not None:
        if number < len(node.output_specs) and linked.is_floating_point():
            linked._node, linked._output_nr = node, number
    elif edge is not None and isinstance(edge[0], AccumulateGrad):
        linked._requires_grad, linked._accumulator = True, weakref.ref(edge[0])
    elif edge is not None:
        linked._node, linked._output_nr = edge
    return linked
