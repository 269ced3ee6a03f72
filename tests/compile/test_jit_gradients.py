"""`jit`: gradients that a step finds, reads, drops and makes are those of eager steps, whoever holds or replaces them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import numgrad as ng
from numgrad import nn
from numgrad.errors import CaptureError
from tests.compile.steps import check

Body = Callable[[nn.Module, Any, ng.Tensor], Any]


def loss_of(model: nn.Module, x: ng.Tensor) -> ng.Tensor:
    return model(x).square().sum()  # type: ignore[no-any-return]


def around(body: Body, optimizer: str = "SGD") -> Callable[[], tuple[Any, list[Any]]]:
    """A step that does what ``body`` does with a model and an optimizer."""

    def build() -> tuple[Any, list[Any]]:
        model = nn.Linear(3, 1)
        stepper = getattr(ng.optim, optimizer)(model.parameters(), lr=0.1)
        return (lambda x: body(model, stepper, x)), [model, stepper]

    return build


def backward_outside(model: nn.Module, _: Any) -> None:
    loss_of(model, ng.full((2, 3), 0.3)).backward()


def drop_outside(_: nn.Module, optimizer: Any) -> None:
    optimizer.zero_grad()


def strided_outside(model: nn.Module, _: Any) -> None:
    model.weight.grad = ng.arange(6.0).view(1, 6)[:, ::2]


XS = [(ng.full((2, 3), 1 + number / 10),) for number in range(6)]


def after(*changes: Any) -> list[tuple[Any, ...]]:
    """Calls, each after one of the changes in turn."""
    return [call for number, x in enumerate(XS) for call in ((changes[number % len(changes)],), x)]


def delayed(model: nn.Module, optimizer: Any, x: ng.Tensor) -> ng.Tensor:
    optimizer.step()
    optimizer.zero_grad()
    loss = loss_of(model, x)
    loss.backward()
    return loss.detach()


def scaled_by_presence(model: nn.Module, optimizer: Any, x: ng.Tensor) -> ng.Tensor:
    scale = 1.0 if model.weight.grad is None else 2.0
    optimizer.zero_grad()
    loss = loss_of(model, x) * scale
    loss.backward()
    optimizer.step()
    return loss.detach()


def doubled_and_dropped(model: nn.Module, _: Any, x: ng.Tensor) -> ng.Tensor:
    doubled = model.weight.grad * 2
    model.weight.grad = None
    return doubled


def carried_over(model: nn.Module, optimizer: Any, x: ng.Tensor) -> ng.Tensor:
    model.weight.grad.mul_(2)
    carried = model.weight.grad * x[:1]
    optimizer.zero_grad()
    loss_of(model, x).backward()
    model.weight.grad.add_(carried)
    return carried


def stepped(_: nn.Module, optimizer: Any, x: ng.Tensor) -> None:
    optimizer.step()


def stepped_and_dropped(_: nn.Module, optimizer: Any, x: ng.Tensor) -> None:
    optimizer.step()
    optimizer.zero_grad()


PATTERNS: dict[str, tuple[Body, list[tuple[Any, ...]]]] = {
    "accumulated from none": (lambda m, o, x: loss_of(m, x).backward(), [*XS, (drop_outside,), *XS]),
    "step first, then backward": (delayed, [*XS, (drop_outside,), *XS]),
    "whether there is one decides": (scaled_by_presence, [*XS, (drop_outside,), *XS]),
    "read and dropped": (doubled_and_dropped, after(backward_outside)),
    "changed, read and made anew": (carried_over, after(backward_outside)),
    "stepped": (stepped, after(backward_outside, drop_outside, strided_outside)),
    "stepped and dropped": (stepped_and_dropped, after(backward_outside, backward_outside, drop_outside)),
}


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("name", PATTERNS)
def test_gradients_from_before_the_step_are_read_where_they_are(name: str, optimizer: str) -> None:
    body, calls = PATTERNS[name]
    assert check(around(body, optimizer), calls).replays >= 2


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_every_third_call_steps(optimizer: str) -> None:
    def build() -> tuple[Any, list[Any]]:
        model = nn.Linear(3, 1)
        stepper = getattr(ng.optim, optimizer)(model.parameters(), lr=0.1)

        def step(x: ng.Tensor, is_last: bool) -> ng.Tensor:
            loss = loss_of(model, x) / 3
            loss.backward()
            if is_last:
                stepper.step()
                stepper.zero_grad()
            return loss.detach()

        return step, [model, stepper]

    assert check(build, [(x, number % 3 == 2) for number, (x,) in enumerate(3 * XS)]).replays > 6


@pytest.mark.parametrize("body", [lambda m, o, x: m.weight.grad.view(-1), lambda m, o, x: m.weight.grad[:, 1:]])
def test_results_do_not_lie_in_a_gradient_from_before(body: Body) -> None:
    step, (model, optimizer) = around(body)()
    backward_outside(model, optimizer)
    with pytest.raises(
        CaptureError, match=r"lies in the gradient that was there before the step; return its clone\(\)"
    ):
        ng.jit(step)(*XS[0])


def test_an_argument_that_becomes_the_gradient_is_no_replay() -> None:
    weight, x = ng.ones(3, requires_grad=True), ng.ones(3)
    step = ng.jit(lambda x: (weight * x).sum().backward())
    for _ in range(3):
        step(x)
    weight.grad = x
    with pytest.raises(CaptureError, match="an argument is the gradient of a tensor"):
        step(x)
