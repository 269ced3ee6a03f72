"""The last step of reading: from the containers that a pickle described to the ones that the caller gets."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

from numgrad.serialization.records import TensorRecord

MAX_DEPTH = 128
# Shared containers are legal, but walking them visits each as often as it is reached: ten lists that hold each other
# ten times are 10**10 visits. Every caller walks (to print, to load), so the walk has to be finite in practice.
MAX_VISITS = 10_000_000

_SCALARS = (type(None), bool, int, float, str)
_CONTAINERS = (dict, OrderedDict, Counter, list, tuple)

# What became of a node, how many containers deep it is, and how many visits a walk over it takes.
_Done = tuple[Any, int, int]


def resolve(root: Any, make_leaf: Callable[[TensorRecord], Any], refusal: Callable[[str], Exception]) -> Any:
    """The tree with every tensor record replaced by what ``make_leaf`` makes of it; lists and dicts change in place.

    What is reached twice stays one object that is reached twice. There is no recursion, so a deep tree cannot exhaust
    Python's stack.

    Raises
    ------
    Exception
        What ``refusal`` makes of the reason: the tree contains itself, is deeper than 128 or astronomically shared, or
        holds something that is neither a container, a tensor nor a plain scalar.

    Examples
    --------
    >>> resolve({"a": [1, (2.0, None)]}, make_leaf=repr, refusal=ValueError)
    {'a': [1, (2.0, None)]}
    """
    done: dict[int, _Done] = {}
    open_nodes: set[int] = set()
    todo = [root]
    while todo:
        node = todo[-1]
        kind = type(node)
        if kind in _SCALARS or id(node) in done:
            todo.pop()
        elif kind is TensorRecord:
            done[id(node)] = (make_leaf(node), 0, 1)
        elif kind not in _CONTAINERS:
            name = getattr(node, "name", "a bare storage")
            raise refusal(f"{name} stands where a tensor, number, string or container was expected")
        else:
            children = _children(node)
            waiting = [child for child in children if type(child) not in _SCALARS and id(child) not in done]
            if waiting:
                # The node is looked at again when these are done. One that is open already is its own descendant.
                open_nodes.add(id(node))
                if not open_nodes.isdisjoint(map(id, waiting)):
                    raise refusal(f"a {kind.__name__} contains itself")
                todo += waiting
            else:
                done[id(node)] = _finished(node, children, done, refusal)
                open_nodes.discard(id(node))
    return root if type(root) in _SCALARS else done[id(root)][0]


def _children(node: Any) -> list[Any]:
    if isinstance(node, dict):
        metadata = [node.__dict__["_metadata"]] if _has_metadata(node) else []
        return [*node.values(), *metadata]
    return list(node)


def _has_metadata(node: Any) -> bool:
    return type(node) is OrderedDict and "_metadata" in node.__dict__


def _finished(node: Any, children: list[Any], done: dict[int, _Done], refusal: Callable[[str], Exception]) -> _Done:
    below = [done[id(child)] for child in children if type(child) not in _SCALARS]
    depth = 1 + max((entry[1] for entry in below), default=0)
    visits = len(children) + sum(entry[2] for entry in below)
    if depth > MAX_DEPTH:
        raise refusal(f"containers are nested more than {MAX_DEPTH} deep")
    if visits > MAX_VISITS:
        raise refusal(f"shared containers would be visited more than {MAX_VISITS} times")
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
