"""The tutorial "What is torch.nn really?": a classifier in plain tensors that is made shorter step by step.

The pictures are made here: ten patterns of 28 × 28 with noise. Each step has to train as well as the one before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import numgrad as ng
import numgrad.nn.functional as F
from numgrad import nn, optim

BATCH, RATE = 64, 0.5


@pytest.fixture(scope="module")
def data() -> tuple[ng.Tensor, ng.Tensor]:
    rng = np.random.default_rng(0)
    patterns = rng.uniform(0, 1, (10, 784)) > 0.7
    labels = rng.integers(0, 10, 1024)
    pictures = patterns[labels] * 0.5 + rng.uniform(0, 0.5, (1024, 784))
    x, y = map(ng.tensor, (pictures.astype(np.float32), labels.astype(np.int64)))
    assert x.shape == (1024, 784)
    assert (y.min().item(), y.max().item()) == (0, 9)
    return x, y


def batches(x: ng.Tensor, y: ng.Tensor) -> Iterator[tuple[ng.Tensor, ng.Tensor]]:
    for i in range((len(x) - 1) // BATCH + 1):
        yield x[i * BATCH : (i + 1) * BATCH], y[i * BATCH : (i + 1) * BATCH]


def accuracy(out: ng.Tensor, yb: ng.Tensor) -> ng.Tensor:
    return (ng.argmax(out, dim=1) == yb).float().mean()


def log_softmax(x: ng.Tensor) -> ng.Tensor:
    return x - x.exp().sum(-1).log().unsqueeze(-1)


def nll(input: ng.Tensor, target: ng.Tensor) -> ng.Tensor:
    return -input[ng.arange(target.shape[0]), target].mean()


def start() -> tuple[ng.Tensor, ng.Tensor]:
    ng.manual_seed(0)
    weights = ng.randn(784, 10) / math.sqrt(784)
    weights.requires_grad_()
    return weights, ng.zeros(10, requires_grad=True)


def test_from_nothing(data: tuple[ng.Tensor, ng.Tensor]) -> None:
    weights, bias = start()

    def model(xb: ng.Tensor) -> ng.Tensor:
        return log_softmax(xb @ weights + bias)

    xb, yb = data[0][:BATCH], data[1][:BATCH]
    preds = model(xb)
    assert preds.shape == (BATCH, 10)
    assert "grad_fn" in repr(preds[0])
    before = nll(preds, yb).item()
    assert before == pytest.approx(math.log(10), rel=0.3)
    for xb, yb in batches(*data):
        loss = nll(model(xb), yb)
        loss.backward()
        with ng.no_grad():
            weights -= weights.grad * RATE
            bias -= bias.grad * RATE
            weights.grad.zero_()
            bias.grad.zero_()
    assert loss.item() < before / 3
    assert accuracy(model(xb), yb).item() > 0.9


def test_with_the_functions_that_are_there(data: tuple[ng.Tensor, ng.Tensor]) -> None:
    weights, bias = start()
    xb, yb = data[0][:BATCH], data[1][:BATCH]
    out = xb @ weights + bias
    assert F.cross_entropy(out, yb).item() == pytest.approx(nll(log_softmax(out), yb).item(), rel=1e-6)


class Logistic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(ng.randn(784, 10) / math.sqrt(784))
        self.bias = nn.Parameter(ng.zeros(10))

    def forward(self, xb: ng.Tensor) -> ng.Tensor:
        return xb @ self.weights + self.bias


class Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lin = nn.Linear(784, 10)

    def forward(self, xb: ng.Tensor) -> ng.Tensor:
        return self.lin(xb)


def loop_over_parameters(model: nn.Module) -> Callable[[], None]:
    def step() -> None:
        with ng.no_grad():
            for p in model.parameters():
                p -= p.grad * RATE
            model.zero_grad()

    return step


def optimizer(model: nn.Module) -> Callable[[], None]:
    opt = optim.SGD(model.parameters(), lr=RATE)

    def step() -> None:
        opt.step()
        opt.zero_grad()

    return step


@pytest.mark.parametrize("stepper", [loop_over_parameters, optimizer])
@pytest.mark.parametrize("model_class", [Logistic, Linear])
def test_modules_and_optimizers(data: tuple[ng.Tensor, ng.Tensor], model_class: type, stepper: Callable) -> None:
    model = model_class()
    step = stepper(model)
    for xb, yb in batches(*data):
        loss = F.cross_entropy(model(xb), yb)
        loss.backward()
        step()
    assert all(p.grad is None for p in model.parameters())
    assert accuracy(model(data[0]), data[1]).item() > 0.9


def test_the_same_start_gives_the_same_bits_by_hand_and_by_optimizer(data: tuple[ng.Tensor, ng.Tensor]) -> None:
    found = []
    for stepper in (loop_over_parameters, optimizer):
        ng.manual_seed(1)
        model = Linear()
        step = stepper(model)
        for xb, yb in batches(*data):
            F.cross_entropy(model(xb), yb).backward()
            step()
        found.append(model.lin.weight.detach().numpy())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5, atol=1e-7)


def loss_batch(
    model: nn.Module, loss_func: Callable, xb: ng.Tensor, yb: ng.Tensor, opt: optim.Optimizer | None = None
) -> tuple:
    loss = loss_func(model(xb), yb)
    if opt is not None:
        loss.backward()
        opt.step()
        opt.zero_grad()
    return loss.item(), len(xb)


def fit(epochs: int, model: nn.Module, opt: optim.Optimizer, train: tuple, valid: tuple) -> list[float]:
    history = []
    for _ in range(epochs):
        model.train()
        for xb, yb in batches(*train):
            loss_batch(model, F.cross_entropy, xb, yb, opt)
        model.eval()
        with ng.no_grad():
            losses, nums = zip(*[loss_batch(model, F.cross_entropy, xb, yb) for xb, yb in batches(*valid)], strict=True)
        history.append(float(np.sum(np.multiply(losses, nums)) / np.sum(nums)))
    return history


class Lambda(nn.Module):
    def __init__(self, func: Callable[[ng.Tensor], ng.Tensor]) -> None:
        super().__init__()
        self.func = func

    def forward(self, x: ng.Tensor) -> ng.Tensor:
        return self.func(x)


def test_a_convolutional_network_in_a_sequential(data: tuple[ng.Tensor, ng.Tensor]) -> None:
    ng.manual_seed(2)
    model = nn.Sequential(
        Lambda(lambda x: x.view(-1, 1, 28, 28)),
        nn.Conv2d(1, 16, kernel_size=3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 16, kernel_size=3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 10, kernel_size=3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        Lambda(lambda x: x.view(x.size(0), -1)),
    )
    opt = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x, y = data
    history = fit(3, model, opt, (x[:768], y[:768]), (x[768:], y[768:]))
    assert len(history) == 3
    assert all(math.isfinite(loss) for loss in history)
    assert history[-1] < history[0]
