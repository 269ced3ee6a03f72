"""`resolve`, the last step of reading: replaces the records in a pickle's containers by the caller's tensors."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

from numgrad.serialization.numpy_pickles import SCALAR_TYPES, ArrayRecord
from numgrad.serialization.pickle_machine import PickleMachine
from numgrad.serialization.pickle_text import Octets
from numgrad.serialization.placeholder import Placeholder
from numgrad.serialization.records import StorageRecord, StorageView, TensorRecord

MAX_DEPTH = 128
# Shared containers are legal, but a walk visits each as often as it is reached: ten lists, each with the next one ten times,
# take 10**10 visits. Every caller walks the tree (to print, to load), so the walk has to end in practice.
MAX_VISITS = 10_000_000

_SCALARS = SCALAR_TYPES | {type(None), bool, int, float, complex, str, bytes}
_CONTAINERS = (dict, OrderedDict, Counter, list, tuple)

# The resolved node, its depth in containers, and the number of visits of a walk over it.
_Done = tuple[Any, int, int]


def resolve(root: Any, make_leaf: Callable[[TensorRecord], Any], machine: PickleMachine) -> Any:
    """The tree with every tensor record replaced by ``make_leaf`` of it; lists and dicts change in place.

    An object that is reached twice stays one object. There is no recursion, so a deep tree cannot exhaust Python's stack. A
    walk ends at a placeholder; its contents are a tree of their own, and may lead back to it.

    Raises
    ------
    WeightsFormatError
        The tree contains itself, is deeper than 128, is shared too often, or holds a value that is not a container, a
        tensor or a plain scalar.

    Examples
    --------
    >>> resolve({"a": [1, (2.0, None)]}, repr, PickleMachine(b"", "a.pth"))
    {'a': [1, (2.0, None)]}
    """
    tree = _Tree(make_leaf, machine)
    result = tree.resolved(root)
    while tree.placeholders:
        placeholder = tree.placeholders.pop()
        placeholder.arguments = tree.resolved(placeholder.arguments)
        placeholder.state = tree.resolved(placeholder.state)
        placeholder.items = tree.resolved(placeholder.items)
    return result


class _Tree:
    """The nodes resolved so far, and the placeholders whose contents are not yet resolved."""

    def __init__(self, make_leaf: Callable[[TensorRecord], Any], machine: PickleMachine) -> None:
        self.placeholders: list[Placeholder] = []
        self._make_leaf = make_leaf
        self._machine = machine
        self._done: dict[int, _Done] = {}
        # Nodes are remembered by identity, so they must stay alive.
        self._alive: list[Any] = []

    def resolved(self, root: Any) -> Any:
        """The tree under one root."""
        self._alive.append(root)
        done = self._done
        open_nodes: set[int] = set()
        todo = [root]
        while todo:
            node = todo[-1]
            kind = type(node)
            if kind in _SCALARS or id(node) in done:
                todo.pop()
            elif kind not in _CONTAINERS:
                self._alive.append(node)
                done[id(node)] = (self._leaf(node), 0, 1)
            else:
                children = _children(node)
                waiting = [child for child in children if type(child) not in _SCALARS and id(child) not in done]
                if waiting:
                    # The node comes up again after these. A node that is already open is its own descendant.
                    open_nodes.add(id(node))
                    if not open_nodes.isdisjoint(map(id, waiting)):
                        raise self._machine.refusal(f"a {kind.__name__} contains itself")
                    todo += waiting
                else:
                    done[id(node)] = self._finished(node, children)
                    open_nodes.discard(id(node))
        return root if type(root) in _SCALARS else done[id(root)][0]

    def _leaf(self, node: Any) -> Any:
        kind = type(node)
        if kind is TensorRecord:
            return self._make_leaf(node)
        if kind is Octets:
            return self._machine.text(node)
        if kind is ArrayRecord and node.value is not None:
            node = node.value
            if type(node) is not Placeholder:
                return node
        name = getattr(
            node,
            "name",
            "a bare storage" if kind in (StorageRecord, StorageView) else "a NumPy array or dtype without contents",
        )
        if type(node) is not Placeholder:
            if not self._machine.skip:
                raise self._machine.refusal(f"{name} stands where a tensor, number, string or container was expected")
            node = Placeholder(name)
        self.placeholders.append(node)
        return node

    def _finished(self, node: Any, children: list[Any]) -> _Done:
        done = self._done
        below = [done[id(child)] for child in children if type(child) not in _SCALARS]
        depth = 1 + max((entry[1] for entry in below), default=0)
        visits = len(children) + sum(entry[2] for entry in below)
        if depth > MAX_DEPTH:
            raise self._machine.refusal(f"containers are nested more than {MAX_DEPTH} deep")
        if visits > MAX_VISITS:
            raise self._machine.refusal(f"shared containers would be visited more than {MAX_VISITS} times")
        if not below:
            return node, depth, visits

        def new(child: Any) -> Any:
            return child if type(child) in _SCALARS else done[id(child)][0]

        if isinstance(node, tuple):
            return tuple(map(new, node)), depth, visits
        for key, child in node.items() if isinstance(node, dict) else enumerate(node):
            node[key] = new(child)
        if _has_metadata(node):
            node._metadata = new(node._metadata)
        return node, depth, visits


def _children(node: Any) -> list[Any]:
    if isinstance(node, dict):
        metadata = [node.__dict__["_metadata"]] if _has_metadata(node) else []
        return [*node.values(), *metadata, *(key for key in node if type(key) is Placeholder)]
    return list(node)


def _has_metadata(node: Any) -> bool:
    return type(node) is OrderedDict and "_metadata" in node.__dict__
