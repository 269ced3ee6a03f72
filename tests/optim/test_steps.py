"""Optimizers against torch's, step by step, for every option; and what a step leaves alone."""

from __future__ import annotations

import itertools
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn, optim
from tests.nn.twins import array, copy_state

SGD = [
    {"lr": 0.1, "momentum": momentum, "weight_decay": decay, "maximize": maximize, **rest}
    for momentum, decay, maximize in itertools.product((0, 0.9), (0, 0.01), (False, True))
    for rest in ({}, {"dampening": 0.3}, {"nesterov": True})
    if momentum or not rest
]
ADAM = [
    {"lr": 0.01, "weight_decay": decay, "maximize": maximize, "amsgrad": amsgrad}
    for decay, maximize, amsgrad in itertools.product((0, 0.1), (False, True), (False, True))
]
ADAM.append({"lr": 0.02, "betas": (0.3, 0.5), "eps": 1e-3})
CASES = [
    *(("SGD", options) for options in SGD),
    *(("Adam", options) for options in ADAM),
    *(("AdamW", options) for options in ADAM),
]


def _model(nn: Any) -> Any:
    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.Tanh(), nn.Flatten(), nn.Linear(20, 4)).double()


def _twins(torch: ModuleType) -> tuple[Any, Any]:
    wanted, mine = _model(torch.nn), _model(nn)
    copy_state(wanted, mine)
    return mine, wanted


def _differentiate(model: Any, tensor: Any, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(2, 3, 4, 4))
    (model(tensor(values)) ** 2).sum().backward()


@pytest.mark.parametrize(("name", "options"), CASES, ids=[f"{name}-{number}" for number, (name, _) in enumerate(CASES)])
def test_parameters_are_torchs(name: str, options: dict[str, Any], torch: ModuleType) -> None:
    mine, wanted = _twins(torch)
    optimizer = getattr(optim, name)(mine.parameters(), **options)
    reference = getattr(torch.optim, name)(wanted.parameters(), **options)
    for step in range(5):
        for model, tensor, taker in ((mine, ng.tensor, optimizer), (wanted, torch.tensor, reference)):
            taker.zero_grad()
            _differentiate(model, tensor, step)
            if step == 1:  # a parameter without a gradient is left alone, and its state with it
                model[0].bias.grad = None
            taker.step()
        for parameter, other in zip(mine.parameters(), wanted.parameters(), strict=True):
            np.testing.assert_allclose(array(parameter), array(other), rtol=1e-9, atol=1e-12)
    states = optimizer.state_dict()["state"], reference.state_dict()["state"]
    assert states[0].keys() == states[1].keys()
    for number, state in states[0].items():
        assert state.keys() == states[1][number].keys()
        for key, value in state.items():
            np.testing.assert_allclose(array(value), array(states[1][number][key]), rtol=1e-9, atol=1e-12)


def test_the_tutorials_numbers() -> None:
    x = nn.Parameter(ng.tensor([1.0], dtype=ng.float64))
    optimizer = optim.SGD([x], lr=0.1, momentum=0.9)
    seen = []
    for _ in range(3):
        x.grad = ng.tensor([2.0], dtype=ng.float64)
        optimizer.step()
        seen.append((x.item(), optimizer.state[x]["momentum_buffer"].item()))
    np.testing.assert_allclose(seen, [(0.8, 2), (0.42, 3.8), (-0.122, 5.42)], rtol=1e-12)


def test_groups_have_their_own_options(torch: ModuleType) -> None:
    mine, wanted = _twins(torch)
    takers = []
    for model, library in ((mine, optim), (wanted, torch.optim)):
        groups = [
            {"params": model[0].parameters(), "lr": 0.5},
            {"params": model[3].weight, "momentum": 0.9, "nesterov": True},
            {"params": [model[3].bias], "weight_decay": 0.1},
        ]
        takers.append(library.SGD(groups, lr=0.01))
    for step in range(3):
        for model, tensor, taker in zip((mine, wanted), (ng.tensor, torch.tensor), takers, strict=True):
            taker.zero_grad()
            _differentiate(model, tensor, step)
            taker.step()
            taker.param_groups[0]["lr"] *= 0.5
    for parameter, other in zip(mine.parameters(), wanted.parameters(), strict=True):
        np.testing.assert_allclose(array(parameter), array(other), rtol=1e-9)


@pytest.mark.parametrize(("name", "options"), [("SGD", {"momentum": 0.9}), ("SGD", {}), ("Adam", {"amsgrad": True})])
def test_parameters_that_several_threads_change(name: str, options: dict[str, Any], torch: ModuleType) -> None:
    rng = np.random.default_rng(3)
    values = [rng.normal(size=size) for size in (3, 50_000, 70_001)]
    takers = []
    for lib in (ng, torch):
        params = [lib.tensor(value, requires_grad=True) for value in values]
        takers.append((lib, params, getattr(lib.optim, name)(params, lr=0.1, **options)))
    for _ in range(3):
        grads = [rng.normal(size=value.shape) for value in values]
        for lib, params, optimizer in takers:
            for param, grad in zip(params, grads, strict=True):
                param.grad = lib.tensor(grad)
            optimizer.step()
        for mine, other in zip(takers[0][1], takers[1][1], strict=True):
            np.testing.assert_allclose(mine.detach().numpy(), other.detach().numpy(), rtol=1e-9, atol=1e-12)


def test_dtypes_and_layouts_mix() -> None:
    single, double = nn.Parameter(ng.ones(3)), nn.Parameter(ng.ones(2, dtype=ng.float64))
    turned = nn.Parameter(ng.ones(2, 3).t().detach())
    optimizer = optim.SGD([single, double, turned], lr=1.0, momentum=0.5)
    for _ in range(2):
        single.grad, double.grad = ng.ones(3), ng.ones(2, dtype=ng.float64)
        turned.grad = ng.arange(6).float().reshape(3, 2)  # row-major, unlike its parameter
        optimizer.step()
    assert single.tolist() == [-1.5] * 3
    assert double.tolist() == [-1.5] * 2
    np.testing.assert_allclose(array(turned), 1 - 2.5 * np.arange(6).reshape(3, 2))


def test_an_unfit_gradient_changes_nothing() -> None:
    fit, unfit = nn.Parameter(ng.ones(3)), nn.Parameter(ng.ones(3))
    for optimizer in (optim.SGD([fit, unfit], lr=1.0), optim.Adam([fit, unfit])):
        fit.grad = ng.ones(3)
        unfit._grad = ng.ones(2)
        with pytest.raises(RuntimeError, match="grad"):
            optimizer.step()
        assert fit.tolist() == [1, 1, 1]


def test_a_step_is_seen_by_saved_values() -> None:
    x = nn.Parameter(ng.ones(2))
    y = (x * x).sum()
    x.grad = ng.ones(2)
    optim.SGD([x], lr=1.0).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_closure_runs_with_gradients() -> None:
    x = nn.Parameter(ng.tensor([3.0]))
    optimizer = optim.SGD([x], lr=0.5)

    def closure() -> ng.Tensor:
        optimizer.zero_grad()
        loss = (x * x).sum()
        loss.backward()
        return loss

    with ng.no_grad():
        assert optimizer.step(closure).item() == 9
    assert x.item() == 0


def test_zero_grad() -> None:
    x = nn.Parameter(ng.ones(2))
    optimizer = optim.SGD([x])
    x.grad = ng.ones(2)
    optimizer.zero_grad(set_to_none=False)
    assert x.grad.tolist() == [0, 0]
    optimizer.zero_grad()
    assert x.grad is None
    optimizer.step()
    assert x.tolist() == [1, 1]
    assert not optimizer.state_dict()["state"]


def test_empty_parameters() -> None:
    x = nn.Parameter(ng.ones(0, 3))
    for optimizer in (optim.SGD([x], momentum=0.9), optim.Adam([x])):
        x.grad = ng.ones(0, 3)
        optimizer.step()
