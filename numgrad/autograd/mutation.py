"""`allow_mutation_on_saved_tensors`: what a backward will read is copied before it is changed in place."""

from __future__ import annotations

import threading
import weakref
from typing import Any

import numpy as np

from numgrad.engine import dispatch, private
from numgrad.engine.tape import Node, TensorBase, gradient_edge
from numgrad.runtime import locks, memory
from numgrad.tensor.tensor import Tensor


class _Watched(threading.local):
    contexts: tuple[dict[int, list[weakref.ref[Node]]], ...] = ()  # for each storage that was saved from, the nodes


_watched = _Watched()


class allow_mutation_on_saved_tensors:  # noqa: N801 (torch's name)
    """A context in which tensors that are saved for a backward may be changed in place: the backward gets the old values.

    They are copied right before a change that would reach them, by whatever alias; what nobody changes is not copied. It
    holds for the graphs that this thread records inside and for the changes that it makes inside.

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
        _watched.contexts = (*_watched.contexts, {})
        _copying.enter()

    def __exit__(self, *exception: object) -> None:
        _watched.contexts = _watched.contexts[:-1]
        _copying.leave()


def _note(node: Node) -> None:
    """Told of new nodes."""
    if _watched.contexts and isinstance(node.saved, list):
        for tensor in node.saved:
            if tensor is not None:
                nodes = _watched.contexts[-1].setdefault(id(tensor._storage), [])
                nodes.append(weakref.ref(node))


def _moved(old: TensorBase, new: TensorBase) -> None:
    """Told of tensors whose private layout ends."""
    for context in _watched.contexts:
        if id(old._storage) in context:
            context.setdefault(id(new._storage), []).extend(context.pop(id(old._storage)))


private.listeners.append(_moved)


def _save(op: Any, inputs: tuple[Any, ...], plan: Any, edges: Any) -> None:
    """Told of an op before it is applied: copy what it is about to change."""
    for position in plan.changed if _watched.contexts else ():
        storage = inputs[position]._storage
        for context in _watched.contexts:
            for reference in context.pop(id(storage), ()):
                node = reference()
                if node is not None and isinstance(node.saved, list):
                    _copy(node, node.saved, storage)


_copying = locks.Membership((dispatch.node_watchers, _note), (dispatch.guards, _save))


def _copy(node: Node, saved: list[Any], storage: Any) -> None:
    for place, tensor in enumerate(saved):
        if tensor is not None and tensor._storage is storage and storage.version == node.versions[place]:
            saved[place] = _apart(tensor)
            node.versions[place] = saved[place]._storage.version


def _apart(tensor: TensorBase) -> Tensor:
    """A copy in the same layout, gaps included, with the same place in the graph."""
    nbytes, begin = tensor._spec.nbytes, tensor._address - tensor._storage.address
    storage = memory.allocate(nbytes)
    np.asarray(storage)[:nbytes] = np.asarray(tensor._storage)[begin : begin + nbytes]
    copied = Tensor(storage, tensor._spec, storage.address)
    edge = gradient_edge(tensor)
    if tensor._node is None and edge is not None:
        copied._requires_grad, copied._accumulator = True, weakref.ref(edge[0])
    copied._node, copied._output_nr = tensor._node, tensor._output_nr
    return copied
