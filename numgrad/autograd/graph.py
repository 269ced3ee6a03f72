"""``torch.autograd.graph``: nodes, edges, hooks on several tensors, and hooks on saved tensors."""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any, NamedTuple

from numgrad.autograd.mutation import allow_mutation_on_saved_tensors
from numgrad.engine import dispatch, private
from numgrad.engine.backward import nodes_below
from numgrad.engine.constants import is_constant
from numgrad.engine.hooks import RemovableHandle, tensor_hooks
from numgrad.engine.tape import AccumulateGrad, Node, TensorBase, gradient_edge, modes
from numgrad.engine.views import refresh
from numgrad.runtime import locks
from numgrad.runtime.scope import Scope
from numgrad.tensor.arguments import check_tensor
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


def nodes_behind(tensors: Iterable[Tensor], ends: Container[Node] = ()) -> dict[Node, None]:
    """The nodes of the tensors' graphs, with the ``ends`` that are among them, but not what is below these."""
    return nodes_below([(tensor.grad_fn, 0) for tensor in tensors if tensor.grad_fn is not None], ends)


class GradientEdge(NamedTuple):
    """The point of the graph where a gradient arrives: output ``output_nr`` of ``node``.

    It can stand for a tensor in `autograd.grad`. It keeps the graph alive, but not the tensor's memory.
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
    refresh(check_tensor("get_gradient_edge", "tensor", tensor))
    edge = gradient_edge(tensor)
    if edge is None:
        raise RuntimeError("It is not possible to get the gradient edge for a Tensor that does not require gradients")
    return GradientEdge(edge[0].seen(), edge[1])


def increment_version(tensor: Tensor | Sequence[Tensor]) -> None:
    """Tell autograd that the memory of these tensors was changed without its knowledge.

    Raises
    ------
    TypeError
        A value is not a tensor; nothing has been changed.
    """
    tensors = [tensor] if isinstance(tensor, Tensor) else list(tensor)
    for each in tensors:
        check_tensor("increment_version", "tensor", each)
    for each in tensors:
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
        With mode 'all' it gets the list of the gradients when the last one has arrived (None for tensors that this backward
        does not reach); with 'any' it gets the first gradient that arrives.

    Raises
    ------
    ValueError
        ``mode`` is neither 'all' nor 'any'.

    >>> import numgrad as ng
    >>> a, b = ng.ones(1, requires_grad=True), ng.ones(1, requires_grad=True)
    >>> handle = ng.autograd.graph.register_multi_grad_hook([a, b], lambda grads: print(grads))
    >>> (2 * a + 3 * b).sum().backward()
    [tensor([2.]), tensor([3.])]
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    lock = locks.renewed()
    passes: dict[Any, list[Any]] = {}  # for each running backward: the number of missing gradients, and the gradients
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


# ---- hooks on saved tensors ------------------------------------------------------------------------------------


class saved_tensors_hooks(Scope):  # noqa: N801 (torch's name)
    """A context in which ``pack_hook`` turns each tensor that an op saves for its backward into something else.

    In the backward, ``unpack_hook`` gets this object and returns a tensor of the same shape, dtype and values. In nested
    contexts the innermost counts. Both hooks run without recording.

    A tensor that the pack hook returns unchanged is still checked for changes in place.

    Raises
    ------
    RuntimeError
        Entered within `disable_saved_tensors_hooks`, or the pack hook changes its argument.

    >>> import numgrad as ng
    >>> x = ng.tensor([1.0, 2.0], requires_grad=True)
    >>> with ng.autograd.graph.saved_tensors_hooks(lambda t: t.numpy().tolist(), ng.tensor):
    ...     y = x.exp()
    >>> y.sum().backward()
    >>> x.grad
    tensor([2.7183, 7.3891])
    """

    def __init__(self, pack_hook: Callable[[Tensor], Any], unpack_hook: Callable[[Any], Tensor]) -> None:
        super().__init__()
        self.pack_hook = pack_hook
        self.unpack_hook = unpack_hook

    def __enter__(self) -> None:
        if _disabled.reasons:
            raise RuntimeError(_disabled.reasons[-1])
        token = _packing.token()
        hooks = (*modes.saved_hooks, (self.pack_hook, self.unpack_hook))
        self._undo = ((modes, "saved_hooks", modes.saved_hooks), self._undo, _packing.settle, token)
        modes.saved_hooks = hooks


class save_on_cpu(saved_tensors_hooks):  # noqa: N801
    """A context in which saved tensors are kept in the memory of the CPU.

    All tensors are in that memory, so nothing is copied. ``pin_memory`` and ``device_type`` are accepted without effect,
    so that programs written for accelerators run.
    """

    def __init__(self, pin_memory: bool = False, device_type: str = "cpu") -> None:
        super().__init__(lambda tensor: tensor, lambda tensor: tensor)


class _Disabled(threading.local):
    reasons: tuple[str, ...] = ()


_disabled = _Disabled()


class disable_saved_tensors_hooks(Scope):  # noqa: N801
    """A context in which entering `saved_tensors_hooks` raises RuntimeError with this message."""

    def __init__(self, error_message: str) -> None:
        super().__init__()
        self.error_message = error_message

    def __enter__(self) -> None:
        if modes.saved_hooks:
            raise RuntimeError(self.error_message)
        reasons = (*_disabled.reasons, self.error_message)
        self._undo = ((_disabled, "reasons", _disabled.reasons), self._undo)
        _disabled.reasons = reasons


def pack_node(node: Node) -> None:
    """Pack the saved tensors of a new node, if this thread has hooks."""
    if not modes.saved_hooks or not node.saved:
        return
    pack, unpack = modes.saved_hooks[-1]
    before, modes.grad_enabled = modes.grad_enabled, False
    hooks, modes.saved_hooks = modes.saved_hooks, ()
    try:
        node.saved = _Packed(node, pack, unpack)  # type: ignore[assignment]
    finally:
        modes.grad_enabled, modes.saved_hooks = before, hooks


# The engine calls `pack_node` for each new node while any thread has hooks.
_packing = locks.Membership((dispatch.node_watchers, pack_node))


class _Packed:
    """A node's packed saved tensors; each access unpacks them again."""

    def __init__(self, node: Node, pack: Callable[[Any], Any], unpack: Callable[[Any], Any]) -> None:
        assert node.saved is not None
        self.plain = list(node.saved)  # the tensors that were not packed
        self.unpack_hook = unpack
        self.packed: list[Any] = [None] * len(self.plain)
        self.specs: list[Any] = [None if tensor is None else tensor._spec for tensor in self.plain]
        outputs = dict(node.saving.outputs)
        self.numbers = [outputs.get(index) for index in range(len(self.plain))]  # None: the tensor is not an output
        self.edges = [None if tensor is None else gradient_edge(tensor) for tensor in self.plain]
        for index, tensor in enumerate(self.plain):
            # A tensor that its own op has changed is left to the check for changes in place. Constants stay as they are.
            if tensor is None or tensor._storage.version != node.versions[index] or is_constant(tensor):
                continue
            packed = pack(private.alias(tensor, Tensor))
            if tensor._storage.version != node.versions[index]:
                raise RuntimeError(
                    "A saved tensor pack hook is modifying its input in place. Tensors provided as input to pack hook "
                    "can not be modified by in-place operations as this can lead to unexpected side-effects; work on a "
                    "clone()."
                )
            self.packed[index] = (packed,)
            if not (isinstance(packed, TensorBase) and packed._storage is tensor._storage):
                self.plain[index] = None

    def __len__(self) -> int:
        return len(self.plain)

    def unpack(self, node: Node, create_graph: bool) -> list[Any]:
        """The tensors; with ``create_graph``, with their history."""
        tensors = list(self.plain)
        for index, tensor in enumerate(tensors):
            if tensor is not None and tensor._storage.version != node.versions[index]:
                raise node.modified(index, tensor)
        for index, packed in enumerate(self.packed):
            if packed is None:
                continue
            before, modes.grad_enabled = modes.grad_enabled, False
            try:
                tensor = self.unpack_hook(*packed)
            finally:
                modes.grad_enabled = before
            self._check(node, index, tensor)
            tensors[index] = _linked(node, tensor, self.numbers[index], self.edges[index]) if create_graph else tensor
        return tensors

    def _check(self, node: Node, index: int, tensor: Any) -> None:
        if not isinstance(tensor, TensorBase):
            raise TypeError(f"the unpack hook returned {type(tensor).__name__}, expected a Tensor")
        spec = self.specs[index]
        if tensor._spec.shape != spec.shape or tensor._spec.dtype is not spec.dtype:
            raise RuntimeError(
                f"the unpack hook returned a tensor of shape {list(tensor._spec.shape)} and {tensor._spec.dtype}, "
                f"expected {list(spec.shape)} and {spec.dtype}, as {node.name()} saved it"
            )


def _linked(node: Node, tensor: TensorBase, number: int | None, edge: Any) -> TensorBase:
    """The tensor with the saved tensor's history: output ``number`` of the node, or the target of ``edge``."""
    linked: Tensor = private.alias(tensor, Tensor)
    if number is not None:
        if number < len(node.output_specs) and linked.is_floating_point():
            linked._node, linked._output_nr = node, number
    elif edge is not None and isinstance(edge[0], AccumulateGrad):
        linked._requires_grad, linked._accumulator = True, weakref.ref(edge[0])
    elif edge is not None:
        linked._node, linked._output_nr = edge
    return linked
