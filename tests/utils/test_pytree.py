"""Containers as flat lists and back, against torch's private module of the name, which programs import."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, namedtuple
from typing import Any

import pytest

import numgrad as ng
from numgrad.utils import _pytree as trees

Point = namedtuple("Point", "x y")
COUNTS: Any = defaultdict(list, a=1, b=[2, 3])
TREES = [1, None, [], (), {}, [1, 2], (1, [2, {"a": 3}]), OrderedDict(b=1, a=(2,)), Point(1, [2]), COUNTS, "text"]


@pytest.mark.parametrize("tree", TREES, ids=repr)
def test_there_and_back(tree: Any) -> None:
    leaves, spec = trees.tree_flatten(tree)
    again = trees.tree_unflatten(leaves, spec)
    assert again == tree
    assert type(again) is type(tree)
    assert spec.num_leaves == len(leaves)
    assert trees.tree_leaves(tree) == leaves
    assert trees.tree_structure(tree) == spec
    theirs = pytest.importorskip("torch.utils._pytree")
    assert theirs.tree_flatten(tree)[0] == leaves
    double = lambda leaf: (leaf, leaf)  # noqa: E731
    assert trees.tree_map(double, tree) == theirs.tree_map(double, tree)


def test_default_factories_stay() -> None:
    again = trees.tree_map(lambda leaf: leaf, COUNTS)
    assert again.default_factory is list
    assert ng.func.vmap(lambda d: d["a"] * 2)(defaultdict(list, a=ng.ones(2))).tolist() == [2, 2]


def test_maps_of_several() -> None:
    assert trees.tree_map(lambda a, b: a + b, [1, {"x": 2}], [10, {"x": 20}]) == [11, {"x": 22}]
    assert trees.tree_map_only(ng.Tensor, lambda x: x.shape, [ng.ones(2), 3]) == [(2,), 3]
    assert trees.tree_map(len, [(1, 2), (3,)], is_leaf=lambda part: isinstance(part, tuple)) == [2, 1]
    seen: list[int] = []
    tree = [1, (2,)]
    assert trees.tree_map_(seen.append, tree) is tree
    assert seen == [1, 2]


def test_forms_that_differ() -> None:
    assert trees.tree_structure([1]) != trees.tree_structure((1,))
    assert len({trees.tree_structure([n]) for n in "ab"}) == 1
    with pytest.raises(ValueError, match="tree_map: a container has the form"):
        trees.tree_map(lambda a, b: a, [1, 2], [1, (2,)])
    leaves, spec = trees.tree_flatten([1, 2])
    with pytest.raises(ValueError, match="there are 3 leaves, expected 2"):
        trees.tree_unflatten([*leaves, 3], spec)
    with pytest.raises(TypeError, match="the leaves come first"):
        trees.tree_unflatten(spec, leaves)  # type: ignore[arg-type]
