"""What training programs do besides: checkpoints, means of weights, cycled momentum, scaled losses, searches along lines."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

import numgrad as ng
from numgrad import nn
from numgrad.errors import CaptureError
from numgrad.nn import functional as F
from numgrad.optim import lr_scheduler
from numgrad.utils.checkpoint import checkpoint
from tests.compile.steps import bits, check
from tests.compile.test_jit import batches, perceptron


def training(
    optimizer_of: Callable[..., Any] = ng.optim.SGD,
    loss_of: Callable[..., Any] | None = None,
    after_of: Callable[..., Any] | None = None,
    **options: Any,
) -> tuple[Any, list[Any]]:
    model = perceptron()
    optimizer = optimizer_of(model.parameters(), **{"lr": 0.1, **options})
    after = None if after_of is None else after_of(model, optimizer)

    def step(x: ng.Tensor, y: ng.Tensor) -> ng.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y) if loss_of is None else loss_of(model, x, y)
        loss.backward()
        optimizer.step()
        if after is not None:
            after()
        return loss.detach()

    return step, [model, optimizer]


def _checkpointed(model: nn.Module, x: ng.Tensor, y: ng.Tensor) -> ng.Tensor:
    return F.cross_entropy(checkpoint(model, x), y)


def _forked(model: nn.Module, x: ng.Tensor, y: ng.Tensor) -> ng.Tensor:
    with ng.random.fork_rng():
        noise = ng.rand(8, 4)
    return F.cross_entropy(model(x + noise), y)


def _scaled() -> tuple[Any, list[Any]]:
    model = perceptron()
    optimizer, scaler = (
        ng.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        ng.amp.GradScaler("cpu", growth_interval=2),
    )

    def step(x: ng.Tensor, y: ng.Tensor) -> ng.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss.detach()

    return step, [model, optimizer, scaler]


def _mean_of(model: nn.Module, optimizer: Any) -> Callable[[], None]:
    means = [parameter.detach().clone() for parameter in model.parameters()]

    @ng.no_grad()
    def update() -> None:
        for mean, parameter in zip(means, model.parameters(), strict=True):
            mean.lerp_(parameter, 0.1)

    return update


def _cycled(model: nn.Module, optimizer: Any) -> Callable[[], None]:
    return lr_scheduler.OneCycleLR(optimizer, 0.2, total_steps=50).step


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(lambda: training(loss_of=_checkpointed), id="checkpoint"),
        pytest.param(lambda: training(loss_of=_forked), id="fork_rng"),
        pytest.param(lambda: training(after_of=_mean_of), id="means"),
        pytest.param(lambda: training(after_of=_cycled, momentum=0.9), id="cycled momentum"),
    ],
)
def test_they_have_the_bits_of_eager_steps(build: Any) -> None:
    stats = check(build, batches(8, 8, 4))
    assert (stats.captures, stats.replays + stats.eager) == (1, 7)


def test_a_momentum_that_changes_between_steps_takes_no_new_capture_unless_it_is_switched_off() -> None:
    schedule: list[Any] = []

    def build() -> Any:
        step, state = training(momentum=0.9)
        schedule[:] = [lr_scheduler.CyclicLR(state[1], 0.01, 0.2, step_size_up=3)]
        return step, state

    calls: list[Any] = []
    for number, call in enumerate(batches(14, 8, 4)):
        calls += [call, (lambda *_: schedule[0].step(),)]
        if number in (6, 10):
            calls.append((lambda _, optimizer, on=number > 6: optimizer.param_groups[0].update(momentum=0.5 * on),))
    assert check(build, calls)[:3] == (2, 11, 1)  # one is without momentum


def _averaged(model: nn.Module, optimizer: Any) -> Callable[[], None]:
    mean = ng.optim.swa_utils.AveragedModel(model)
    return lambda: mean.update_parameters(model)


def _searched() -> tuple[Any, list[Any]]:
    model = nn.Linear(4, 3)
    optimizer = ng.optim.LBFGS(model.parameters(), lr=0.1)

    def closure() -> ng.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(closure.x), closure.y)
        loss.backward()
        return loss

    def step(x: ng.Tensor, y: ng.Tensor) -> None:
        closure.x, closure.y = x, y
        optimizer.step(closure)

    return step, [model, optimizer]


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: training(after_of=_averaged), "AveragedModel.update_parameters.*outside of the step"),
        (lambda: training(ng.optim.Adafactor), "a step of Adafactor.*take another optimizer"),
        (_scaled, "unscales gradients with a GradScaler.*enabled=False"),
        (_searched, re.escape("ng.jit(closure)")),
    ],
    ids=["AveragedModel", "Adafactor", "GradScaler", "LBFGS"],
)
def test_what_decides_by_values_is_refused_by_name_and_runs_eagerly_if_asked(build: Any, says: str) -> None:
    calls = batches(3, 8, 4)
    with pytest.raises(CaptureError, match=rf"test_jit_training.py:\d+ .*{says}"):
        ng.jit(build()[0])(*calls[0])
    stats = check(build, calls, fallback="eager")
    assert stats[:3] == (0, 0, 3)
    assert re.search(says, stats.reasons[0])


def test_the_closure_of_a_search_is_replayed() -> None:
    ((x, y),) = batches(1, 8, 4)

    def run(wrap: Callable[..., Any]) -> Any:
        ng.manual_seed(0)
        model = nn.Linear(4, 3)
        optimizer = ng.optim.LBFGS(model.parameters(), lr=0.1, line_search_fn="strong_wolfe")

        def closure() -> ng.Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            return loss.detach()

        wrapped = wrap(closure)
        return [bits(optimizer.step(wrapped)) for _ in range(3)], bits([model, optimizer]), wrapped

    expected, got = run(lambda closure: closure), run(ng.jit)
    assert got[:2] == expected[:2]
    assert ng.jit.stats(got[2]).replays > 10
