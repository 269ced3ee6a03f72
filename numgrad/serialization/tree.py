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


def resolve(root: Any, make_leaf: Callable[[TensorRecord], Any], refusal: Callable[[str], Exception]) -> Any:
    """Copy a tree, with every tensor record replaced by what ``make_leaf`` makes of it.

    A record or container that is reached twice becomes one object that is reached twice. There is no recursion, so a
    deep tree cannot exhaust Python's stack.

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
    done: dict[int, tuple[Any, int, int]] = {}
    open_nodes: set[int] = set()
    todo = [root]
    while todo:
        node = todo[-1]
        if type(node) in _SCALARS or id(node) in done:
            todo.pop()
        elif type(node) is TensorRecord:
            done[id(node)] = (make_leaf(node), 0, 1)
        elif type(node) not in _CONTAINERS:
            name = getattr(node, "name", "a bare storage")
            raise refusal(f"{name} stands where a tensor, number, string or container was expected")
        elif id(node) not in open_nodes:
            open_nodes.add(id(node))
            for child in _children(node):
                if id(child) in open_nodes:
                    raise refusal(f"a {type(node).__name__} contains itself")
                if type(child) not in _SCALARS:
                    todo.append(child)
        else:
            below = [done[id(child)] for child in _children(node) if type(child) not in _SCALARS]
            depth = 1 + max((entry[1] for entry in below), default=0)
            visits = len(_children(node)) + sum(entry[2] for entry in below)
            if depth > MAX_DEPTH:
                raise refusal(f"containers are nested more than {MAX_DEPTH} deep")
            if visits > MAX_VISITS:
                raise refusal(f"shared containers would be visited more than {MAX_VISITS} times")
            open_nodes.remove(id(node))
            done[id(node)] = (_rebuilt(node, done), depth, visits)
    return root if type(root) in _SCALARS else done[id(root)][0]


def _children(node: Any) -> list[Any]:
    if isinstance(node, dict):
        extra = [node._metadata] if hasattr(node, "_metadata") else []
        return [*node.values(), *extra]
    return list(node)


def _rebuilt(node: Any, done: dict[int, tuple[Any, int, int]]) -> Any:
    def new(child: Any) -> Any:
        return child if type(child) in _SCALARS else done[id(child)][0]

    if isinstance(node, dict):
        copy = type(node)()
        for key, value in node.items():
            copy[key] = new(value)
        if hasattr(node, "_metadata"):
            copy._metadata = new(node._metadata)  # type: ignore[attr-defined]
        return copy
    return type(node)(new(child) for child in node)
