"""Models in use: eval mode under jit, weights that are prepared once, folded norms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numgrad as ng
import numgrad.nn.functional as F
from numgrad.errors import CaptureError
from tests.compile import random_steps


class Net(ng.nn.Module):
    """Convolutions of each algorithm, with norms after some: Winograd's, of few channels, by rows, grouped, depthwise."""

    def __init__(self) -> None:
        super().__init__()
        self.first = ng.nn.Conv2d(3, 16, 7, stride=2, padding=3, bias=False)
        self.square = ng.nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.point = ng.nn.Conv2d(16, 32, 1)
        self.deep = ng.nn.Conv2d(32, 32, 3, padding=1, groups=32, bias=False)
        self.groups = ng.nn.Conv2d(32, 32, 3, padding=1, groups=4)
        self.norms = ng.nn.ModuleList([ng.nn.BatchNorm2d(n) for n in (16, 16, 32, 32)])
        self.head = ng.nn.Linear(32, 8)
        self.last = ng.nn.BatchNorm1d(8)

    def forward(self, x: ng.Tensor) -> ng.Tensor:
        x = F.relu(self.norms[0](self.first(x)))
        x = F.relu(self.norms[1](self.square(x)) + x)
        x = self.norms[2](self.point(x))
        x = F.relu(self.norms[3](self.deep(x)))
        x = self.groups(x).mean((2, 3))
        return self.last(self.head(x))


def net() -> Net:
    ng.manual_seed(3)
    model = Net()
    for _ in range(3):  # statistics other than those that it begins with
        model(ng.randn(4, 3, 32, 32))
    return model.eval()


def inputs(count: int) -> list[ng.Tensor]:
    ng.manual_seed(4)
    return [ng.randn(2, 3, 32, 32) for _ in range(count)]


def test_a_module_in_eval_mode_is_replayed_without_a_graph() -> None:
    model = net()
    jitted, (x, y) = ng.jit(model), inputs(2)
    with ng.no_grad():
        expected = [model(x), model(y)]
    for _ in range(3):
        got = [jitted(x), jitted(y)]
        assert not any(each.requires_grad for each in got)
        assert all(map(ng.equal, got, expected))
    assert ng.is_grad_enabled()
    assert ng.jit.stats(jitted)[:3] == (1, 5, 0)
    with pytest.raises(CaptureError, match="a graph that is still to be run"):
        jitted(x.clone().requires_grad_())
    model.train()
    with pytest.raises(CaptureError, match="a graph that is still to be run"):
        jitted(x)


@pytest.mark.parametrize("options", [{"freeze": True}, {"fold": True}], ids=["freeze", "fold"])
def test_what_weights_decide_is_computed_once_and_after_each_change(options: dict[str, bool], tmp_path: Path) -> None:
    model = net()
    jitted, plain = ng.jit(model, **options), ng.jit(model)
    optimizer = ng.optim.SGD(model.parameters(), lr=0.01)
    state = {name: tensor.clone() * 1.25 for name, tensor in model.state_dict().items()}

    def step() -> None:
        optimizer.zero_grad()
        model(inputs(1)[0]).square().mean().backward()
        optimizer.step()

    def scale() -> None:
        with ng.no_grad():
            model.point.bias.mul_(2)
            model.norms[2].running_var.add_(1)

    def agree(one: ng.Tensor, other: ng.Tensor) -> bool:
        if "fold" in options:
            return bool((one - other).abs().max() <= 2e-6 * other.abs().max())
        return ng.equal(one, other)

    for change in (lambda: None, step, lambda: model.load_state_dict(state), scale):
        change()
        for x in inputs(4):
            assert agree(jitted(x), plain(x))
    stats, before = ng.jit.stats(jitted), ng.jit.stats(plain)
    assert stats.captures == before.captures
    assert stats.launches < before.launches
    assert stats.passes["freeze"]["launches"] >= 5
    if "fold" in options:
        assert stats.passes["fold"]["norms"] == 5 * stats.captures
    ng.jit.save(jitted, tmp_path / "net")
    program = ng.jit.load(tmp_path / "net")
    for x in inputs(3):
        assert ng.equal(program(x), jitted(x))
    with ng.no_grad():
        program.state_dict()["head.bias"].add_(1)
        model.head.bias.add_(1)
    assert ng.equal(program(x), jitted(x))


def test_folding_is_refused_in_train_mode() -> None:
    model = net().train()

    @ng.jit(fold=True)
    def step(x: ng.Tensor) -> ng.Tensor:
        return model(x).detach()

    with pytest.raises(CaptureError, match="a batch norm is in train mode.* call eval"):
        step(inputs(1)[0])


def test_a_folded_norm_is_the_float64_one_but_for_rounding() -> None:
    model, (x,) = net().double(), inputs(1)
    with ng.no_grad():
        expected = model(x.double()).numpy()
    got = ng.jit(model.float(), fold=True)
    for _ in range(3):
        np.testing.assert_allclose(got(x).numpy(), expected, rtol=0, atol=3e-6 * np.abs(expected).max())


def test_weights_that_a_step_trains_are_prepared_in_each() -> None:
    def run(wrap: Any) -> list[bytes]:
        model = net()
        optimizer = ng.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

        @wrap
        def step(x: ng.Tensor) -> ng.Tensor:
            optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            optimizer.step()
            return loss.detach()

        return [step(x).numpy().tobytes() for x in inputs(6)]

    assert run(ng.jit(freeze=True)) == run(lambda step: step)


def test_random_programs_with_what_is_constant_taken_out() -> None:
    wrong, replayed, count = random_steps.mismatches(range(60), freeze=True)
    assert not wrong, wrong[0]
    assert replayed > count // 2
