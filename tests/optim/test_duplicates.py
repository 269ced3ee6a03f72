"""A parameter that is listed twice: a warning, and two steps of which the second starts where the first ended."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import optim

MAKERS: dict[str, Callable[[Any, Any], Any]] = {
    "sgd": lambda lib, p: lib.optim.SGD(p, 0.01),
    "momentum": lambda lib, p: lib.optim.SGD(p, 0.01, 0.9),
    "nesterov": lambda lib, p: lib.optim.SGD(p, 0.01, 0.9, weight_decay=0.1, nesterov=True),
    "dampening": lambda lib, p: lib.optim.SGD(p, 0.01, 0.9, 0.5),
    "adam": lambda lib, p: lib.optim.Adam(p, 0.1),
    "amsgrad": lambda lib, p: lib.optim.Adam(p, 0.1, amsgrad=True, weight_decay=0.1),
    "adamw": lambda lib, p: lib.optim.AdamW(p, 0.1),
}


def _trained(lib: Any, make: Callable[[Any, Any], Any], steps: int = 4) -> list[Any]:
    p = lib.tensor([1.0, 2.0, 3.0], requires_grad=True)
    q = lib.tensor([[1.0, 2.0], [0.5, -1.0]], requires_grad=True)
    shared = lib.tensor([4.0], requires_grad=True)
    other = lib.tensor([0.0], requires_grad=True)
    other.data = shared.data  # another parameter of the same memory
    optimizer = make(lib, [p, q, p, shared, p, other])
    for step in range(steps):
        optimizer.zero_grad()
        ((p * p).sum() * (step + 1) + (q**3).sum() + (shared * other).sum()).backward()
        optimizer.step()
    values = [np.array(x.detach().numpy()) for x in (p, q, shared)]
    state = optimizer.state[p]
    return values + [np.array(state[name].detach().numpy()) for name in sorted(state)]


@pytest.mark.parametrize("name", MAKERS)
def test_each_mention_is_a_step(name: str, torch: ModuleType) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for mine, theirs in zip(_trained(ng, MAKERS[name]), _trained(torch, MAKERS[name]), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=2e-6)


def test_large_ones_do_not_race() -> None:
    p = ng.ones(1_000_000, requires_grad=True)
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optimizer = optim.SGD([p] * 8, lr=1.0)
    p.sum().backward()
    optimizer.step()
    assert (p == -7).all()


def test_in_two_groups_is_refused() -> None:
    p = ng.ones(1, requires_grad=True)
    with pytest.raises(ValueError, match="more than one parameter group"):
        optim.Adam([{"params": [p]}, {"params": [p]}])
