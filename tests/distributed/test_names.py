"""The functions take torch's arguments, in torch's order."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

import pytest

import numgrad as ng
from numgrad import distributed

FUNCTIONS = [name for name in distributed.__all__ if inspect.isfunction(getattr(distributed, name))]
# What torch has beyond numgrad's last argument.
BEYOND = {"DistributedDataParallel": "delay_all_reduce_named_params", "new_group": "sort_ranks"}


def arguments(function: Any) -> list[str]:
    """The names of a function's arguments, without torch's own."""
    return [name for name in inspect.signature(function).parameters if not name.startswith("_")]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arguments_are_torchs(torch: ModuleType, name: str) -> None:
    ours = arguments(getattr(distributed, name))
    theirs = arguments(getattr(torch.distributed, name))
    assert theirs[: len(ours)] == ours
    assert theirs[len(ours) : len(ours) + 1] in ([], [BEYOND.get(name)])


def test_the_wrapper_takes_torchs_arguments(torch: ModuleType) -> None:
    ours = arguments(ng.nn.parallel.DistributedDataParallel)
    theirs = arguments(torch.nn.parallel.DistributedDataParallel)
    assert theirs[: len(ours)] == ours
    assert theirs[len(ours)] == BEYOND["DistributedDataParallel"]


def test_operations_are_torchs(torch: ModuleType) -> None:
    for op in distributed.ReduceOp:
        assert hasattr(torch.distributed.ReduceOp, op.name)
