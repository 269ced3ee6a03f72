"""Optimizers: refusals in torch's words, groups, and resuming bit for bit."""

from __future__ import annotations

import copy
import io
import pickle
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn, optim
from tests.nn.twins import Library, array, ours, outcome, theirs
from tests.recorded import plain


def _p(lib: Library) -> Any:
    return lib.nn.Parameter(lib.t.ones(2))


def _twice(lib: Library) -> Any:
    p = _p(lib)
    return lib.optim.SGD([{"params": [p]}, {"params": [p]}])


CASES: dict[str, Any] = {
    "none": lambda lib: lib.optim.SGD([]),
    "a tensor": lambda lib: lib.optim.SGD(lib.t.ones(2)),
    "an int": lambda lib: lib.optim.SGD([3]),
    "not a leaf": lambda lib: lib.optim.SGD([_p(lib) * 2]),
    "a set in a group": lambda lib: lib.optim.SGD([{"params": {_p(lib)}}]),
    "in two groups": _twice,
    "no params": lambda lib: lib.optim.SGD([{"lr": 3}]),
    "group of int": lambda lib: lib.optim.SGD([_p(lib)]).add_param_group(3),
    "half named": lambda lib: lib.optim.SGD([("a", _p(lib)), _p(lib)]),
    "lr": lambda lib: lib.optim.SGD([_p(lib)], lr=-1),
    "momentum": lambda lib: lib.optim.SGD([_p(lib)], momentum=-1),
    "weight decay": lambda lib: lib.optim.SGD([_p(lib)], weight_decay=-1),
    "nesterov": lambda lib: lib.optim.SGD([_p(lib)], nesterov=True),
    "nesterov dampened": lambda lib: lib.optim.SGD([_p(lib)], momentum=0.1, nesterov=True, dampening=0.1),
    "adam lr": lambda lib: lib.optim.Adam([_p(lib)], lr=-1),
    "adam beta 1": lambda lib: lib.optim.Adam([_p(lib)], betas=(1, 2)),
    "adam beta 2": lambda lib: lib.optim.Adam([_p(lib)], betas=(0.5, 2)),
    "adam eps": lambda lib: lib.optim.Adam([_p(lib)], eps=-1),
    "adam weight decay": lambda lib: lib.optim.AdamW([_p(lib)], weight_decay=-1),
    **{
        f"{name} {option}={value!r}": lambda lib, n=name, o=option, v=value: getattr(lib.optim, n)([_p(lib)], **{o: v})
        for name, options in {
            "Adamax": {"lr": -1, "eps": -1, "betas": (0.5, 2), "weight_decay": -1},
            "NAdam": {"lr": -1, "eps": -1, "betas": (0.5, 2), "weight_decay": -1, "momentum_decay": -1},
            "RAdam": {"lr": -1, "eps": -1, "betas": (2, 0.5), "weight_decay": -1},
            "Adagrad": {"lr": -1, "lr_decay": -1, "weight_decay": -1, "initial_accumulator_value": -1, "eps": -1},
            "Adadelta": {"lr": -1, "rho": 2, "eps": -1, "weight_decay": -1},
            "RMSprop": {"lr": -1, "alpha": -1, "eps": -1, "weight_decay": -1, "momentum": -1},
            "Rprop": {"lr": -1, "etas": (1.5, 2.0)},
            "ASGD": {"lr": -1, "weight_decay": -1},
            "LBFGS": {"lr": -1},
            "Adafactor": {"lr": -1, "beta2_decay": 1, "eps": (-1, 1), "d": 0.5, "weight_decay": -1},
            "Muon": {"lr": -1, "momentum": -1, "weight_decay": -1, "adjust_lr_fn": "x"},
        }.items()
        for option, value in options.items()
    },
    "Adafactor second eps": lambda lib: lib.optim.Adafactor([_p(lib)], eps=(None, -1)),
    "LBFGS of groups": lambda lib: lib.optim.LBFGS([{"params": [_p(lib)]}, {"params": [_p(lib)]}]),
    "lr of two": lambda lib: lib.optim.SGD([_p(lib)], lr=lib.t.ones(2)),
    "adam lr of two": lambda lib: lib.optim.Adam([_p(lib)], lr=lib.t.ones(2)),
    "adam lr and foreach": lambda lib: lib.optim.Adam([_p(lib)], lr=lib.t.ones(1), foreach=True),
    "adam a beta of each kind": lambda lib: lib.optim.Adam([_p(lib)], betas=(0.5, lib.t.tensor(0.5))),
    "adam betas of two": lambda lib: lib.optim.Adam(
        [_p(lib)], betas=(lib.t.tensor(0.5), lib.t.tensor([0.5]).repeat(1))
    ),
    "fused and differentiable": lambda lib: lib.optim.Adagrad([_p(lib)], fused=True, differentiable=True),
    "names in one group": lambda lib: lib.optim.SGD([("a", _p(lib))]).add_param_group({"params": [_p(lib)]}),
    "no names in one group": lambda lib: lib.optim.SGD([_p(lib)]).add_param_group({"params": [("a", _p(lib))]}),
    "load no groups": lambda lib: lib.optim.SGD([_p(lib)]).load_state_dict({"param_groups": [], "state": {}}),
    "load more": lambda lib: lib.optim.SGD([_p(lib)]).load_state_dict(
        {"param_groups": [{"params": [0, 1]}], "state": {}}
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_words_are_torchs(name: str, torch_says: Any) -> None:
    assert list(outcome(CASES[name], ours())) == torch_says(lambda torch: outcome(CASES[name], theirs(torch)))


def test_a_required_option_has_to_be_set() -> None:
    with pytest.raises(ValueError, match="didn't specify a value of required optimization parameter lr"):
        optim.Optimizer([nn.Parameter(ng.ones(1))], {"lr": optim.optimizer.required})
    group = {"params": [nn.Parameter(ng.ones(1))], "lr": 0.5}
    assert optim.Optimizer([group], {"lr": optim.optimizer.required}).param_groups[0]["lr"] == 0.5


def test_duplicates_warn() -> None:
    x = nn.Parameter(ng.ones(1))
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optim.SGD([x, x])


def test_a_refused_group_is_not_added() -> None:
    x = nn.Parameter(ng.ones(1))
    optimizer = optim.SGD([x], lr=0.1)
    with pytest.raises(ValueError, match="Invalid learning rate"):
        optimizer.add_param_group({"params": nn.Parameter(ng.ones(1)), "lr": -1})
    with pytest.raises(ValueError, match="more than one parameter group"):
        optimizer.add_param_group({"params": [x]})
    assert len(optimizer.param_groups) == 1


def test_groups_and_names() -> None:
    model = nn.Linear(2, 1)
    optimizer = optim.SGD(model.named_parameters(), lr=0.1)
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer.state_dict()["param_groups"][0]["params"] == [0, 1]
    optimizer = optim.SGD([model.weight], lr=0.1, momentum=0.5)
    optimizer.add_param_group({"params": model.bias, "lr": 1.0})
    assert optimizer.param_groups[1]["momentum"] == 0.5
    assert optimizer.state_dict()["param_groups"][1]["params"] == [1]


REPRS: dict[str, Any] = {
    "SGD": {"lr": 0.5},
    "Adam": {},
    "AdamW": {"betas": (0.5, 0.6)},
    "Adamax": {"weight_decay": 0.1},
    "NAdam": {},
    "RAdam": {},
    "Adagrad": {},
    "Adadelta": {},
    "RMSprop": {"centered": True},
    "Rprop": {},
    "ASGD": {},
    "LBFGS": {"history_size": 3},
    "Adafactor": {"maximize": True},
    "Muon": {},
}


@pytest.mark.parametrize("name", REPRS)
def test_reprs_and_groups_are_torchs(name: str, torch_says: Any) -> None:
    def shown(lib: Library) -> list[Any]:
        optimizer = getattr(lib.optim, name)([lib.nn.Parameter(lib.t.ones(2, 3))], **REPRS[name])
        return [repr(optimizer), list(optimizer.state_dict()["param_groups"][0].items()), list(optimizer.defaults)]

    assert plain(shown(ours())) == torch_says(lambda torch: shown(theirs(torch)))


def _train(model: nn.Module, optimizer: optim.Optimizer, scheduler: Any, begin: int, end: int) -> None:
    for step in range(begin, end):
        x = ng.tensor(np.random.default_rng(step).normal(size=(4, 3, 5, 5)).astype(np.float32))
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
        scheduler.step()


def _make(name: str, options: dict[str, Any]) -> tuple[nn.Module, optim.Optimizer, Any]:
    ng.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 2))
    optimizer = getattr(optim, name)(model.parameters(), **options)
    return model, optimizer, optim.lr_scheduler.CosineAnnealingLR(optimizer, 6)


OPTIMIZERS = [
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-3}),
    ("Adam", {"lr": 1e-2, "weight_decay": 1e-3}),
    ("AdamW", {"amsgrad": True}),
    *[(name, {}) for name in ("Adamax", "NAdam", "RAdam", "Adagrad", "Adadelta", "Rprop", "Adafactor")],
    ("RMSprop", {"momentum": 0.9, "centered": True}),
    ("ASGD", {"t0": 1}),
]


def _as_file(states: Any) -> Any:
    """Through a checkpoint in torch's format."""
    file = io.BytesIO()
    ng.save(states, file)
    file.seek(0)
    return ng.load(file)


@pytest.mark.parametrize("keep", [copy.deepcopy, _as_file], ids=["deepcopy", "file"])
@pytest.mark.parametrize(("name", "options"), OPTIMIZERS)
def test_resumes_bit_for_bit(name: str, options: dict[str, Any], keep: Any) -> None:
    whole = _make(name, options)
    _train(*whole, 0, 5)
    first = _make(name, options)
    _train(*first, 0, 2)
    states = keep(tuple(dict(part.state_dict()) for part in first))
    _train(*first, 2, 3)  # must not reach what was kept
    second = _make(name, options)
    for part, state in zip(second, states, strict=True):
        part.load_state_dict(state)
    _train(*second, 2, 5)
    for key, value in whole[0].state_dict().items():
        assert array(value).tobytes() == array(second[0].state_dict()[key]).tobytes(), key
    assert whole[1].param_groups[0]["lr"] == second[1].param_groups[0]["lr"]


def test_loading_copies() -> None:
    x, y = nn.Parameter(ng.ones(2)), nn.Parameter(ng.ones(2))
    first, second = optim.SGD([x], lr=1.0, momentum=0.5), optim.SGD([y], lr=9.0, momentum=0.5)
    x.grad = ng.ones(2)
    first.step()
    second.load_state_dict(first.state_dict())
    first.step()
    assert second.state[y]["momentum_buffer"].tolist() == [1, 1]
    assert second.param_groups[0]["lr"] == 1


@pytest.mark.parametrize(("name", "options"), OPTIMIZERS)
def test_torchs_state_loads_and_ours_loads_into_torch(name: str, options: dict[str, Any], torch: ModuleType) -> None:
    values = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)
    x, y = nn.Parameter(ng.tensor(values)), torch.nn.Parameter(torch.tensor(values))
    mine, wanted = getattr(optim, name)([x], **options), getattr(torch.optim, name)([y], **options)
    x.grad, y.grad = ng.tensor(values), torch.tensor(values)
    wanted.step()
    x.data.copy_(ng.tensor(array(y)))
    mine.load_state_dict(_numpy(wanted.state_dict()))
    mine.step()
    wanted.step()
    np.testing.assert_allclose(array(x), array(y), rtol=1e-6)
    state = mine.state_dict()
    state["state"] = {0: {key: torch.tensor(array(value)) for key, value in state["state"][0].items()}}
    wanted.load_state_dict(state)
    mine.step()
    wanted.step()
    np.testing.assert_allclose(array(x), array(y), rtol=1e-6)


def _numpy(state: Any) -> Any:
    if isinstance(state, dict):
        return {key: _numpy(value) for key, value in state.items()}
    if isinstance(state, list):
        return [_numpy(value) for value in state]
    return state.numpy() if hasattr(state, "numpy") else state


def test_model_and_optimizer_are_copied_together() -> None:
    model, optimizer, scheduler = _make(*OPTIMIZERS[0])
    _train(model, optimizer, scheduler, 0, 1)
    for clone in (copy.deepcopy, lambda both: pickle.loads(pickle.dumps(both))):
        twin, other, clock = clone((model, optimizer, scheduler))
        assert clock.optimizer is other
        assert all(p in other.state for p in twin.parameters())
        _train(twin, other, clock, 1, 2)
    _train(model, optimizer, scheduler, 1, 2)
    assert ng.equal(model[0].weight, twin[0].weight)
