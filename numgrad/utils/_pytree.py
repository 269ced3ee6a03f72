"""Containers of tensors as flat lists and back, under the names by which programs import them from torch.

>>> from numgrad.utils._pytree import tree_flatten, tree_map, tree_unflatten
>>> leaves, spec = tree_flatten({"a": (1, [2]), "b": 3})
>>> leaves, spec.num_leaves
([1, 2, 3], 3)
>>> tree_unflatten([10, 20, 30], spec)
{'a': (10, [20]), 'b': 30}
>>> tree_map(lambda leaf: leaf + 1, [1, {"x": 2}])
[2, {'x': 3}]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from numgrad.tensor.trees import Build, flatten

__all__ = [
    "TreeSpec",
    "tree_flatten",
    "tree_leaves",
    "tree_map",
    "tree_map_",
    "tree_map_only",
    "tree_structure",
    "tree_unflatten",
]


class TreeSpec:
    """The form of a container: tuples, named tuples, lists and dicts, which may contain each other. All else is a leaf.

    >>> from numgrad.utils._pytree import tree_structure
    >>> tree_structure([1, (2, 3)]) == tree_structure([4, (5, 6)])
    True
    """

    def __init__(self, build: Build, num_leaves: int) -> None:
        self._build = build
        self._form = build(list(range(num_leaves)))  # a container of the form, whose leaves are their numbers
        self.num_leaves = num_leaves

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        """A container of this form.

        Raises
        ------
        ValueError
            There are more or fewer leaves than the form has.
        """
        values = list(leaves)
        if len(values) != self.num_leaves:
            raise ValueError(
                f"tree_unflatten: there are {len(values)} leaves, expected {self.num_leaves}, as the form {self} has"
            )
        return self._build(values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TreeSpec) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        return f"TreeSpec({self._form!r})"


def tree_flatten(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list[Any], TreeSpec]:
    """The leaves of a container, and its form. What ``is_leaf`` is true of is taken as a leaf."""
    leaves, build = flatten(tree, is_leaf)
    return leaves, TreeSpec(build, len(leaves))


def tree_unflatten(leaves: Iterable[Any], treespec: TreeSpec) -> Any:
    """A container of the form ``treespec``.

    Raises
    ------
    TypeError
        ``treespec`` is no form.
    ValueError
        There are more or fewer leaves than the form has.
    """
    if not isinstance(treespec, TreeSpec):
        raise TypeError(
            f"tree_unflatten: treespec is {type(treespec).__name__}, expected TreeSpec; the leaves come first"
        )
    return treespec.unflatten(leaves)


def tree_leaves(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[Any]:
    """The leaves of a container."""
    return flatten(tree, is_leaf)[0]


def tree_structure(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> TreeSpec:
    """The form of a container."""
    return tree_flatten(tree, is_leaf)[1]


def tree_map(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """A container of the form of ``tree`` with ``func`` of each leaf, and of the leaves of ``rests`` in its stead.

    Raises
    ------
    ValueError
        One of ``rests`` has another form.
    """
    leaves, spec = tree_flatten(tree, is_leaf)
    columns = [leaves]
    for rest in rests:
        values, form = tree_flatten(rest, is_leaf)
        if form != spec:
            raise ValueError(f"tree_map: a container has the form {form}, expected {spec}, as the first has")
        columns.append(values)
    return spec.unflatten(map(func, *columns))


def tree_map_(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """``tree``, after ``func`` of each leaf."""
    tree_map(func, tree, *rests, is_leaf=is_leaf)
    return tree


def tree_map_only(
    kinds: Any, func: Callable[[Any], Any], tree: Any, is_leaf: Callable[[Any], bool] | None = None
) -> Any:
    """`tree_map` of the leaves that are instances of ``kinds``, a class or a tuple of classes; others stay.

    >>> from numgrad.utils._pytree import tree_map_only
    >>> tree_map_only(int, lambda leaf: -leaf, [1, "x"])
    [-1, 'x']
    """
    return tree_map(lambda leaf: func(leaf) if isinstance(leaf, kinds) else leaf, tree, is_leaf=is_leaf)
