"""`allow_mutation_on_saved_tensors`: saved tensors are copied before they are changed in place."""

from __future__ import annotations

import threading
import weakref
from typing import Any

import numpy as np

from numgrad.engine import dispatch, private
from numgrad.engine.tape import Node, TensorBase, gradient_edge, tensor_over
from numgrad.runtime import locks, memory
from numgrad.runtime.scope import Scope
from numgrad.tensor.tensor import Tensor


class _Watched(threading.local):
    contexts: tuple[dict[int, list[weakref.ref[Node]]], ...] = ()  # for each storage with saved tensors, their nodes


_watched = _Watched()


class allow_mutation_on_saved_tensors(Scope):  # noqa: N801 (torch's name)
    """A context in which tensors that are saved for a backward may be changed in place: the backward gets the old values.

    A saved tensor is copied right before a change reaches its memory, through whatever alias; without a change there is no
    copy. The context applies to graphs that this thread records inside, and to changes that it makes inside.

    >>> import numgrad as ng
    >>> x = ng.ones(2, requires_grad=True)
    >>> with ng.autograd.graph.allow_mutation_on_saved_tensors():
    ...     y = x * 2
    ...     z = (y * y).sum()
    ...     y.zero_()
    ...     z.backward()
    tensor([0., 0.], grad_fn=<CopyBackwards>)
    >>> x.grad
    tensor([8., 8.])
    """

    def __enter__(self) -> None:
        token = _copying.token()
        contexts: Any = (*_watched.contexts, {})
        self._undo = ((_watched, "contexts", _watched.contexts), self._undo, _copying.settle, token)
        _watched.contexts = contexts


def _note(node: Node) -> None:
    """Called for each new node: note the storages of its saved tensors."""
    if _watched.contexts and isinstance(node.saved, list):
        for tensor in node.saved:
            if tensor is not None:
                nodes = _watched.contexts[-1].setdefault(id(tensor._storage), [])
                nodes.append(weakref.ref(node))


def _moved(old: TensorBase, new: TensorBase) -> None:
    """Called for a tensor whose private layout has ended and which has another storage now."""
    for context in _watched.contexts:
        if id(old._storage) in context:
            context.setdefault(id(new._storage), []).extend(context.pop(id(old._storage)))


private.listeners.append(_moved)


def _save(op: Any, inputs: tuple[Any, ...], plan: Any, edges: Any) -> None:
    """Called before an op is applied: copy the saved tensors that it will change."""
    for position in plan.changed if _watched.contexts else ():
        storage = inputs[position]._storage
        for context in _watched.contexts:
            for reference in context.pop(id(storage), ()):
                node = reference()
                if node is not None and isinstance(node.saved, list):
                    _copy(node, node.saved, storage)


_copying = locks.Membership((dispatch.node_watchers, _note), (dispatch.guards, _save))


def _copy(node: Node, saved: list[Any], storage: Any) -> None:
    for index, tensor in enumerate(saved):
        if tensor is not None and tensor._storage is storage and storage.version == node.versions[index]:
            saved[index] = _apart(tensor)
            node.versions[index] = saved[index]._storage.version


def _apart(tensor: TensorBase) -> Tensor:
    """A copy with the same layout, gaps included, and the same history."""
    nbytes, begin = tensor._spec.nbytes, tensor._address - tensor._storage.address
    storage = memory.allocate(nbytes)
    np.asarray(storage)[:nbytes] = np.asarray(tensor._storage)[begin : begin + nbytes]
    copied: Tensor = tensor_over(Tensor, storage, tensor._spec, storage.address)
    edge = gradient_edge(tensor)
    if tensor._node is None and edge is not None:
        copied._requires_grad, copied._accumulator = True, weakref.ref(edge[0])
    copied._node, copied._output_nr = tensor._node, tensor._output_nr
    return copied
