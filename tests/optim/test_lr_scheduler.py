"""Schedulers: torch's rates to the last bit, torch's words, resuming."""

from __future__ import annotations

from typing import Any

import pytest

import numgrad as ng
from numgrad import nn, optim
from tests.nn.twins import Library, ours, outcome, theirs
from tests.recorded import plain


def _optimizer(lib: Library, name: str = "SGD", **options: Any) -> Any:
    options = {"lr": 0.3, **({"momentum": 0.9} if name == "SGD" else {}), **options}
    groups = [{"params": [lib.nn.Parameter(lib.t.ones(1))]}, {"params": [lib.nn.Parameter(lib.t.ones(1))], "lr": 0.7}]
    return getattr(lib.optim, name)(groups, **options)


SCHEDULERS: dict[str, Any] = {
    "step": lambda lib, o: lib.schedulers.StepLR(o, 3, 0.3),
    "milestones": lambda lib, o: lib.schedulers.MultiStepLR(o, [2, 5, 5, 9], 0.7),
    "exponential": lambda lib, o: lib.schedulers.ExponentialLR(o, 0.9),
    "cosine": lambda lib, o: lib.schedulers.CosineAnnealingLR(o, 4, 0.01),
    "linear": lambda lib, o: lib.schedulers.LinearLR(o, 0.2, 0.9, 6),
    "lambda": lambda lib, o: lib.schedulers.LambdaLR(o, lambda epoch: 0.8**epoch),
    "lambdas": lambda lib, o: lib.schedulers.LambdaLR(o, [lambda epoch: 0.8**epoch, lambda epoch: 1 / (epoch + 1)]),
    "one cycle": lambda lib, o: lib.schedulers.OneCycleLR(o, [1.0, 2.0], total_steps=20),
    "one cycle, linear": lambda lib, o: lib.schedulers.OneCycleLR(
        o, 1.0, epochs=4, steps_per_epoch=5, anneal_strategy="linear", pct_start=0.4
    ),
    "one cycle, three phases": lambda lib, o: lib.schedulers.OneCycleLR(
        o, 1.0, total_steps=20, three_phase=True, cycle_momentum=False, div_factor=10.0, final_div_factor=5.0
    ),
}


def _rates(lib: Library, make: Any, name: str, steps: int) -> list[Any]:
    optimizer = _optimizer(lib, name)
    scheduler = make(lib, optimizer)
    seen = []
    for _ in range(steps):
        seen.append(
            [(g["lr"], g.get("momentum"), g.get("betas")) for g in optimizer.param_groups] + [scheduler.get_last_lr()]
        )
        optimizer.step()
        scheduler.step()
    return seen


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_rates_are_torchs(name: str, optimizer: str, torch_says: Any) -> None:
    wanted = torch_says(lambda torch: _rates(theirs(torch), SCHEDULERS[name], optimizer, 20))
    assert plain(_rates(ours(), SCHEDULERS[name], optimizer, 20)) == wanted


PLATEAUS: dict[str, dict[str, Any]] = {
    "plain": {"patience": 1},
    "max": {"mode": "max", "patience": 2, "factor": 0.3},
    "absolute": {"threshold_mode": "abs", "threshold": 0.2, "patience": 1, "cooldown": 2},
    "max, absolute": {"mode": "max", "threshold_mode": "abs", "threshold": 0.2, "patience": 0},
    "limits": {"patience": 0, "min_lr": [0.1, 0.2], "factor": 0.2},
    "tiny": {"patience": 0, "eps": 0.2},
}


def _plateau(lib: Library, name: str) -> list[Any]:
    metrics = [3, 2, 2.5, 2.1, 1.95, 1.9, 1.9, 1.9, float("nan"), 1.0, 1.0, 1.5, 1.5, 1.5, 0.5, 1, 1, 1]
    scheduler = lib.schedulers.ReduceLROnPlateau(_optimizer(lib), **PLATEAUS[name])
    seen = []
    for metric in metrics:
        scheduler.step(lib.t.tensor(metric))
        seen.append((scheduler.get_last_lr(), scheduler.num_bad_epochs, scheduler.cooldown_counter))
    return seen


@pytest.mark.parametrize("name", PLATEAUS)
def test_plateau_is_torchs(name: str, torch_says: Any) -> None:
    assert plain(_plateau(ours(), name)) == torch_says(lambda torch: _plateau(theirs(torch), name))


@pytest.mark.parametrize("name", SCHEDULERS)
def test_resuming_gives_the_same_rates(name: str) -> None:
    lib = ours()
    wanted = _rates(lib, SCHEDULERS[name], "SGD", 12)
    first = _optimizer(lib)
    clock = SCHEDULERS[name](lib, first)
    for _ in range(5):
        first.step()
        clock.step()
    kept = first.state_dict(), clock.state_dict()
    second = _optimizer(lib, lr=5.0)
    again = SCHEDULERS[name](lib, second)
    second.load_state_dict(kept[0])
    again.load_state_dict(kept[1])
    for step in range(5, 12):
        assert again.get_last_lr() == wanted[step][-1]
        second.step()
        again.step()


def _resumed(lib: Library, name: str) -> list[Any]:
    optimizer = _optimizer(lib)
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    scheduler = getattr(lib.schedulers, name)(optimizer, 4 if name != "ExponentialLR" else 0.5, last_epoch=2)
    optimizer.step()
    rates = [scheduler.get_last_lr()]
    scheduler.step()
    return [*rates, scheduler.get_last_lr()]


@pytest.mark.parametrize("name", ["StepLR", "ExponentialLR", "CosineAnnealingLR"])
def test_last_epoch_resumes(name: str, torch_says: Any) -> None:
    assert plain(_resumed(ours(), name)) == torch_says(lambda torch: _resumed(theirs(torch), name))


CASES: dict[str, Any] = {
    "no optimizer": lambda lib: lib.schedulers.StepLR(3, 2),
    "no optimizer to plateau": lambda lib: lib.schedulers.ReduceLROnPlateau(3),
    "lambdas": lambda lib: lib.schedulers.LambdaLR(_optimizer(lib), [abs]),
    "linear start": lambda lib: lib.schedulers.LinearLR(_optimizer(lib), start_factor=0),
    "linear end": lambda lib: lib.schedulers.LinearLR(_optimizer(lib), end_factor=3),
    "cycle unknown": lambda lib: lib.schedulers.OneCycleLR(_optimizer(lib), 0.1),
    "cycle negative": lambda lib: lib.schedulers.OneCycleLR(_optimizer(lib), 0.1, total_steps=-1),
    "cycle epochs": lambda lib: lib.schedulers.OneCycleLR(_optimizer(lib), 0.1, epochs=0, steps_per_epoch=3),
    "cycle steps": lambda lib: lib.schedulers.OneCycleLR(_optimizer(lib), 0.1, epochs=3, steps_per_epoch=0),
    "cycle start": lambda lib: lib.schedulers.OneCycleLR(_optimizer(lib), 0.1, total_steps=9, pct_start=3),
    "cycle strategy": lambda lib: lib.schedulers.OneCycleLR(_optimizer(lib), 0.1, total_steps=9, anneal_strategy="x"),
    "cycle tops": lambda lib: lib.schedulers.OneCycleLR(_optimizer(lib), [0.1], total_steps=9),
    "cycle over": lambda lib: _beyond(lib),
    "plateau factor": lambda lib: lib.schedulers.ReduceLROnPlateau(_optimizer(lib), factor=1.0),
    "plateau mode": lambda lib: lib.schedulers.ReduceLROnPlateau(_optimizer(lib), mode="x"),
    "plateau threshold": lambda lib: lib.schedulers.ReduceLROnPlateau(_optimizer(lib), threshold_mode="x"),
    "plateau lowest": lambda lib: lib.schedulers.ReduceLROnPlateau(_optimizer(lib), min_lr=[1]),
}


def _beyond(lib: Library) -> None:
    scheduler = lib.schedulers.OneCycleLR(_optimizer(lib), 0.1, total_steps=2)
    for _ in range(4):
        scheduler.step()


@pytest.mark.parametrize("name", CASES)
def test_words_are_torchs(name: str, torch_says: Any) -> None:
    assert list(outcome(CASES[name], ours())) == torch_says(lambda torch: outcome(CASES[name], theirs(torch)))


def test_scheduler_before_optimizer_warns() -> None:
    scheduler = optim.lr_scheduler.StepLR(_optimizer(ours()), 2)
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        scheduler.step()


def test_resuming_needs_the_optimizers_state() -> None:
    with pytest.raises(KeyError, match="initial_lr"):
        optim.lr_scheduler.StepLR(optim.SGD([nn.Parameter(ng.ones(1))]), 2, last_epoch=3)
