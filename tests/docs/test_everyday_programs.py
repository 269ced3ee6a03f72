"""Programs as they are written for torch, run in both libraries from the same numbers: the losses follow each other."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng


def equal_start(net: Any, rng: np.random.Generator, lib: Any) -> None:
    """The same initial parameters in both libraries."""
    with lib.no_grad():
        for parameter in net.parameters():
            parameter.copy_(lib.tensor(rng.normal(size=tuple(parameter.shape)) * 0.1))


def classify(lib: Any) -> list[float]:
    """A convolutional network that flattens by ``view``, with a penalty on its weights as vectors."""
    nn, functional = lib.nn, lib.nn.functional

    class Net(nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(1, 6, 3)
            self.conv2 = nn.Conv2d(6, 8, 3)
            self.norm = nn.BatchNorm2d(6)
            self.fc = nn.Linear(8 * 2 * 2, 5)

        def forward(self, x: Any) -> Any:
            x = functional.max_pool2d(functional.relu(self.norm(self.conv1(x))), 2)
            x = functional.relu(self.conv2(x), inplace=True)
            x = functional.max_pool2d(x, 2, ceil_mode=True)
            return functional.log_softmax(self.fc(x.view(x.size(0), -1)), dim=1)

    rng = np.random.default_rng(0)
    net = Net().double()
    equal_start(net, rng, lib)
    optimizer = lib.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    x, y = lib.tensor(rng.normal(size=(12, 1, 12, 12))), lib.tensor(rng.integers(0, 5, 12))
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        penalty = sum(p.view(-1).pow(2).sum() for p in net.parameters())
        loss = functional.nll_loss(net(x), y) + 1e-3 * penalty
        loss.backward()
        flat = lib.cat([p.grad.view(-1) for p in net.parameters()])
        for p in net.parameters():
            p.grad.data.div_(max(1.0, flat.norm().item()))
        optimizer.step()
        losses.append(loss.item())
    return losses


def adversaries(lib: Any) -> list[float]:
    """Two networks with activations in place that train each other; the critic's weights are clipped through ``.data``."""
    nn = lib.nn
    rng = np.random.default_rng(1)
    generator = nn.Sequential(
        nn.Linear(3, 16),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Linear(16, 16),
        nn.ELU(inplace=True),
        nn.Linear(16, 16),
        nn.Tanh(),
    ).double()
    critic = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(4, 6, 2), nn.BatchNorm2d(6), nn.SiLU(inplace=True),
        nn.Flatten(), nn.Linear(6, 1),
    ).double()  # fmt: skip
    for net in (generator, critic):
        equal_start(net, rng, lib)
    of_generator = lib.optim.Adam(generator.parameters(), lr=1e-2, betas=(0.5, 0.999))
    of_critic = lib.optim.Adam(critic.parameters(), lr=1e-2, betas=(0.5, 0.999))
    loss_of = nn.BCEWithLogitsLoss()
    losses = []
    for _ in range(8):
        real, noise = lib.tensor(rng.normal(size=(8, 1, 4, 4))), lib.tensor(rng.normal(size=(8, 3)))
        fake = generator(noise).view(-1, 1, 4, 4)
        of_critic.zero_grad()
        loss = loss_of(critic(real), lib.ones(8, 1).double()) + loss_of(critic(fake.detach()), lib.zeros(8, 1).double())
        loss.backward()
        of_critic.step()
        for p in critic.parameters():
            p.data.clamp_(-0.2, 0.2)
        of_generator.zero_grad()
        other = loss_of(critic(fake), lib.ones(8, 1).double())
        other.backward()
        of_generator.step()
        losses += [loss.item(), other.item()]
    return losses


def solver(lib: Any) -> list[float]:
    """An explicit solver whose parameters are moved by hand between forward and backward of its steps."""
    rng = np.random.default_rng(2)
    w = lib.tensor(rng.normal(size=(3, 3)) * 0.3, requires_grad=True)
    target, state = lib.tensor(rng.normal(size=3)), lib.tensor(rng.normal(size=3))
    losses = []
    for _ in range(10):
        y = state.clone()
        for _ in range(5):
            y = y + 0.1 * (w @ y).tanh()
        loss = ((y - target) ** 2).sum()
        w.data.add_(1e-3)  # no change for autograd: what it saved is read as it is now, in both libraries
        loss.backward()
        w.data -= 0.1 * w.grad.data
        w.grad.data.zero_()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("program", [classify, adversaries, solver])
def test_losses_follow_torchs(program: Any, torch: ModuleType) -> None:
    mine, his = program(ng), program(torch)
    np.testing.assert_allclose(mine, his, rtol=1e-7)
    assert mine[-1] != mine[0]
