"""States of optimizers: loaded as a whole or not at all, in the forms that checkpoints have them in."""

from __future__ import annotations

import copy
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import optim

SHAPES = ((2, 3), (4,))


def _optimizer(lib: Any, name: str = "Adam", **options: Any) -> tuple[Any, list[Any]]:
    params = [lib.ones(*shape, requires_grad=True) for shape in SHAPES]
    return getattr(lib.optim, name)(params, **options), params


def _step(optimizer: Any, params: list[Any]) -> list[np.ndarray]:
    optimizer.zero_grad()
    sum((p**2).sum() for p in params).backward()  # type: ignore[union-attr]
    optimizer.step()
    return [np.array(p.detach().numpy()) for p in params]


def _trained(lib: Any, name: str = "Adam", **options: Any) -> tuple[Any, list[Any]]:
    optimizer, params = _optimizer(lib, name, **options)
    for _ in range(3):
        _step(optimizer, params)
    return optimizer, params


def _plain(optimizer: Any) -> Any:
    return {
        number: {name: value.tolist() if hasattr(value, "tolist") else value for name, value in state.items()}
        for number, state in optimizer.state_dict()["state"].items()
    }, [dict(group) for group in optimizer.state_dict()["param_groups"]]


STEPS: dict[str, Any] = {
    "int": lambda lib: 3,
    "float": lambda lib: 3.0,
    "tensor": lambda lib: lib.tensor(3.0),
    "tensor of int64": lambda lib: lib.tensor(3),
    "tensor of float64": lambda lib: lib.tensor(3.0, dtype=lib.float64),
}


@pytest.mark.parametrize("kind", STEPS)
def test_a_step_may_be_a_number(kind: str, torch: ModuleType) -> None:
    values = []
    for lib in (ng, torch):
        source, params = _trained(lib)
        saved = copy.deepcopy(source.state_dict())
        for state in saved["state"].values():
            state["step"] = STEPS[kind](lib)
        optimizer = lib.optim.Adam(params)
        optimizer.load_state_dict(saved)
        values.append((_step(optimizer, params), [float(optimizer.state[p]["step"]) for p in params]))
    for mine, theirs in zip(*values, strict=True):
        for one, other in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.parametrize("step", [np.int64(3), np.float32(3), np.array(3), np.array([3.0], ">f8")])
def test_a_step_may_be_an_array(step: Any) -> None:
    source, params = _trained(ng)
    saved = source.state_dict()
    expected = _step(*_resumed(saved, params))
    for state in saved["state"].values():
        state["step"] = step
    for mine, theirs in zip(_step(*_resumed(saved, params)), expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def _resumed(saved: Any, params: list[Any]) -> tuple[Any, list[Any]]:
    twins = [ng.tensor(p.detach().numpy(), requires_grad=True) for p in params]
    optimizer = optim.Adam(twins)
    optimizer.load_state_dict(saved)
    return optimizer, twins


def test_arrays_of_any_memory_are_converted() -> None:
    source, params = _trained(ng)
    saved = source.state_dict()
    expected = _step(*_resumed(saved, params))
    for change in (
        lambda a: a.astype(">f4"),
        lambda a: a.astype("f8"),
        lambda a: np.broadcast_to(a, a.shape),
        lambda a: a[::-1].copy()[::-1],
        np.asfortranarray,
    ):
        other = copy.deepcopy(saved)
        for state in other["state"].values():
            for name in ("exp_avg", "exp_avg_sq"):
                state[name] = change(state[name].numpy())
        for mine, theirs in zip(_step(*_resumed(other, params)), expected, strict=True):
            np.testing.assert_array_equal(mine, theirs)


BAD: dict[str, tuple[str, Any, type[Exception]]] = {
    "wrong shape": ("exp_avg", np.ones((3, 2), "f4"), RuntimeError),
    "broadcastable": ("exp_avg_sq", np.ones(1, "f4"), RuntimeError),
    "scalar": ("exp_avg", ng.tensor(1.0), RuntimeError),
    "list": ("exp_avg", [1.0], TypeError),
    "number": ("exp_avg_sq", 3.0, TypeError),
    "complex": ("exp_avg", np.ones(4, "c8"), TypeError),
    "object": ("exp_avg", np.ones(4, object), TypeError),
    "step of two": ("step", np.ones(2), TypeError),
    "step of text": ("step", "3", TypeError),
    "step missing": ("step", None, TypeError),
    "complex step": ("step", np.complex64(1), TypeError),
}


@pytest.mark.parametrize("kind", BAD)
def test_one_bad_entry_changes_nothing(kind: str) -> None:
    name, value, error = BAD[kind]
    source, _ = _trained(ng, lr=0.5)
    saved = copy.deepcopy(source.state_dict())
    saved["state"][1][name] = value
    optimizer, params = _trained(ng)
    before, state, groups = copy.deepcopy(_plain(optimizer)), optimizer.state, optimizer.param_groups
    with pytest.raises(error):
        optimizer.load_state_dict(saved)
    assert _plain(optimizer) == before
    assert optimizer.state is state
    assert optimizer.param_groups is groups
    _step(optimizer, params)


def test_a_state_that_is_no_dict_changes_nothing() -> None:
    optimizer, _ = _trained(ng)
    before = copy.deepcopy(_plain(optimizer))
    with pytest.raises(TypeError, match="expected a dict"):
        optimizer.load_state_dict({"state": {0: [1, 2]}, "param_groups": optimizer.state_dict()["param_groups"]})
    assert _plain(optimizer) == before


def test_nothing_is_shared_with_what_was_loaded() -> None:
    source, _ = _trained(ng)
    saved = source.state_dict()
    saved["param_groups"][0]["notes"] = [1]
    saved["state"][7] = {"of nobody": 1}
    optimizer, params = _optimizer(ng)
    optimizer.load_state_dict(saved)
    _step(optimizer, params)
    optimizer.param_groups[0]["notes"].append(2)
    assert saved["param_groups"][0]["notes"] == [1]
    assert saved["state"][0]["step"].item() == 3
    assert optimizer.state[7] == {"of nobody": 1}


def test_old_sgd_states(torch: ModuleType) -> None:
    """A momentum buffer may be None or missing, and options that are younger than the checkpoint too."""
    values = []
    for lib in (ng, torch):
        optimizer, params = _optimizer(lib, "SGD", momentum=0.9)
        group = {"lr": 0.1, "momentum": 0.9, "dampening": 0, "weight_decay": 0, "nesterov": False, "params": [10, 11]}
        optimizer.load_state_dict({"state": {10: {"momentum_buffer": None}}, "param_groups": [group]})
        values.append(_step(optimizer, params) + _step(optimizer, params))
    for mine, theirs in zip(*values, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6)


def test_adamw_stays_adamw_with_the_state_of_an_adam(torch: ModuleType) -> None:
    values = []
    for lib in (ng, torch):
        source, params = _trained(lib, weight_decay=0.5)
        optimizer = lib.optim.AdamW(params, weight_decay=0.5)
        optimizer.load_state_dict(source.state_dict())
        values.append(_step(optimizer, params))
    for mine, theirs in zip(*values, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6)


def test_names_are_the_loaded_ones(torch: ModuleType) -> None:
    found = []
    for lib in (ng, torch):
        named = [("a", lib.ones(1, requires_grad=True))]
        other = lib.optim.SGD([("b", lib.ones(1, requires_grad=True))])
        optimizer = lib.optim.SGD(named)
        optimizer.load_state_dict(other.state_dict())
        first = optimizer.param_groups[0]["param_names"]
        optimizer.load_state_dict(lib.optim.SGD([lib.ones(1, requires_grad=True)]).state_dict())
        found.append((first, optimizer.param_groups[0]["param_names"]))
    assert found[0] == found[1] == (["b"], ["b"])


@pytest.mark.parametrize("betas", [(0, 0.9), (0.9, 0), (1.0, 0.5), (0.5, -0.1), ("a", 0.5)])
def test_betas_are_refused_as_by_torch(betas: Any, torch: ModuleType) -> None:
    kinds = []
    for lib in (ng, torch):
        with pytest.raises((ValueError, TypeError)) as caught, warnings.catch_warnings():
            lib.optim.Adam([lib.ones(1, requires_grad=True)], betas=betas)
        kinds.append(caught.type)
    assert kinds[0] is kinds[1]


def test_a_tensor_that_keeps_its_gradient_can_be_optimized(torch: ModuleType) -> None:
    values = []
    for lib in (ng, torch):
        x = lib.ones(2, requires_grad=True)
        y = x * 2
        with pytest.raises(ValueError, match="non-leaf"):
            lib.optim.SGD([y], 0.1)
        y.retain_grad()
        optimizer = lib.optim.SGD([y], 0.1)
        (y * 3).sum().backward()
        optimizer.step()
        values.append(y.tolist())
    np.testing.assert_allclose(values[0], values[1], rtol=1e-6)
