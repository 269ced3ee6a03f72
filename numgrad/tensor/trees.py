"""Trees: nested tuples, lists and dicts of tensors, as one flat list and back. The transforms use them for arguments."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable
from typing import Any

Build = Callable[[list[Any]], Any]


def flatten(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list[Any], Build]:
    """The leaves of a tree, and a function that builds a tree of the same form from other leaves.

    What ``is_leaf`` is true of is a leaf, whatever it contains.

    >>> leaves, build = flatten({"a": (1, [2]), "b": 3})
    >>> leaves, build([10, 20, 30])
    ([1, 2, 3], {'a': (10, [20]), 'b': 30})
    """
    if is_leaf is not None and is_leaf(tree):
        return [tree], lambda leaves: leaves[0]
    if isinstance(tree, dict):
        keys, parts = list(tree), [flatten(value, is_leaf) for value in tree.values()]
        kind: Any = type(tree)
        if isinstance(tree, defaultdict):
            kind = functools.partial(kind, tree.default_factory)
        return _joined(parts, lambda values: kind(zip(keys, values, strict=True)))
    if isinstance(tree, (tuple, list)):
        parts = [flatten(value, is_leaf) for value in tree]
        if hasattr(tree, "_fields"):
            return _joined(parts, type(tree)._make)  # type: ignore[union-attr]
        return _joined(parts, type(tree))
    return [tree], lambda leaves: leaves[0]


def _joined(parts: list[tuple[list[Any], Build]], make: Callable[[list[Any]], Any]) -> tuple[list[Any], Build]:
    def build(leaves: list[Any]) -> Any:
        values, begin = [], 0
        for part, build_part in parts:
            values.append(build_part(leaves[begin : begin + len(part)]))
            begin += len(part)
        return make(values)

    return [leaf for part, _ in parts for leaf in part], build


def spread(tree: Any, form: Any, what: str) -> list[Any]:
    """A value of ``tree`` for each leaf of ``form``; one value in place of a subtree counts for all of its leaves.

    Raises
    ------
    ValueError
        The trees do not have the same form.
    """
    if isinstance(tree, (tuple, list, dict)):
        if (
            not isinstance(form, (tuple, list, dict))
            or isinstance(form, dict) != isinstance(tree, dict)
            or len(form) != len(tree)
        ):
            raise ValueError(f"vmap: {what} {tree!r} does not have the form of the values that it is for")
        if isinstance(tree, dict):
            return [leaf for key in form for leaf in spread(tree[key], form[key], what)]
        return [leaf for part, of in zip(tree, form, strict=True) for leaf in spread(part, of, what)]
    return [tree] * len(flatten(form)[0])
