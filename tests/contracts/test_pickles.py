"""Public functions and methods are pickled and copied as torch's are: their names lead to the very same objects."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
import runpy
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import numgrad as ng
from numgrad.distributions import constraints

CONF = Path(__file__).parents[2] / "docs" / "conf.py"


def modules() -> list[Any]:
    """Those that have a page in the reference, and those that stand in them."""
    utils = ng.nn.utils
    inner = [utils.parametrize, utils.prune, utils.rnn, ng.transforms.functional, ng.numpy.linalg, ng.numpy.random]
    return [*map(importlib.import_module, runpy.run_path(str(CONF))["MODULES"]), *inner]


def functions() -> Iterator[tuple[str, Any]]:
    """Public functions, and the public methods of public classes."""
    for module in modules():
        for name in getattr(module, "__all__", None) or dir(module):
            value = getattr(module, name)
            inside = {} if name.startswith("_") else {name: value}
            if isinstance(value, type):
                members = (each for each in dir(value) if not each.startswith("_"))
                inside = {f"{name}.{each}": inspect.getattr_static(value, each) for each in members}
            for path, each in inside.items():
                if isinstance(each, types.FunctionType) and each.__globals__["__name__"].startswith("numgrad"):
                    yield f"{module.__name__}.{path}", each


def test_each_is_found_by_its_names() -> None:
    def survives(function: Any) -> bool:
        try:
            return pickle.loads(pickle.dumps(function)) is function
        except (pickle.PicklingError, AttributeError):
            return False

    all_of_them = {id(function): (path, function) for path, function in functions()}
    assert len(all_of_them) > 2000
    lost = [
        f"{path}: called {function.__module__}.{function.__qualname__}"
        for path, function in all_of_them.values()
        if not survives(function) or copy.deepcopy(function) is not function
    ]
    assert not lost


@pytest.mark.parametrize("registry", ["biject_to", "transform_to"])
def test_so_are_the_tables_of_transforms(registry: str) -> None:
    table = getattr(ng.distributions, registry)
    again = pickle.loads(pickle.dumps(table))
    parts = constraints.cat([constraints.positive, constraints.simplex], lengths=[1, 2])
    for constraint in (
        constraints.real,
        constraints.interval(1, 3),
        constraints.independent(constraints.unit_interval, 1),
        parts,
    ):
        assert repr(again(constraint)) == repr(table(constraint))
