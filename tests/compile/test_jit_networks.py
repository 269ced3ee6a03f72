"""A hundred steps of networks, replayed and eager: the same bits, with schedules, clipping and switches in between."""

from __future__ import annotations

from typing import Any

import pytest

import numgrad as ng
from numgrad import nn
from numgrad.models import resnet18
from numgrad.nn import functional as F
from tests.compile.steps import check


def _step(model: nn.Module, optimizer: Any, loss_of: Any) -> Any:
    def step(x: ng.Tensor, y: ng.Tensor) -> ng.Tensor:
        optimizer.zero_grad()
        loss = loss_of(model, x, y)
        if model.training:
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        return loss.detach()

    return step


def perceptron() -> Any:
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Dropout(0.3), nn.Linear(16, 3))
    optimizer = ng.optim.Adam(model.parameters(), lr=0.01)
    schedule = ng.optim.lr_scheduler.CosineAnnealingLR(optimizer, 50)
    return _step(model, optimizer, lambda model, x, y: F.cross_entropy(model(x), y)), [model, optimizer, schedule]


class Sorter(nn.Module):
    """An LSTM over a sequence, whose last output is classified."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 8, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x: ng.Tensor) -> ng.Tensor:
        return self.head(self.lstm(x)[0][:, -1])


def recurrent() -> Any:
    model = Sorter()
    optimizer = ng.optim.RMSprop(model.parameters(), lr=0.01)
    schedule = ng.optim.lr_scheduler.StepLR(optimizer, 10, 0.5)
    return _step(model, optimizer, lambda model, x, y: F.cross_entropy(model(x), y)), [model, optimizer, schedule]


class Reader(nn.Module):
    """A small transformer over tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8, 3)

    def forward(self, x: ng.Tensor) -> ng.Tensor:
        return self.head(self.layers(self.embedding(x)).mean(1))


def transformer() -> Any:
    model = Reader()
    optimizer = ng.optim.AdamW(model.parameters(), lr=0.01)
    schedule = ng.optim.lr_scheduler.OneCycleLR(optimizer, 0.02, 120)
    return _step(model, optimizer, lambda model, x, y: F.cross_entropy(model(x), y)), [model, optimizer, schedule]


def residual() -> Any:
    model = resnet18()
    optimizer = ng.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    schedule = ng.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    return _step(model, optimizer, lambda model, x, y: F.cross_entropy(model(x), y)), [model, optimizer, schedule]


def _calls(count: int, make: Any) -> list[Any]:
    """Batches, with a step of the schedule after each tenth, and a switch to eval mode for every seventh."""
    ng.manual_seed(3)
    calls: list[Any] = []
    for number in range(count):
        switched = number % 7 == 6
        if switched:
            calls.append((lambda model, *_: model.eval(),))
        calls.append((make(), ng.randint(0, 3, (4,))))
        if switched:
            calls.append((lambda model, *_: model.train(),))
        elif number % 10 == 9:
            calls.append((lambda model, optimizer, schedule: schedule.step(),))
    return calls


MAKES = {
    perceptron: lambda: ng.randn(4, 4),
    recurrent: lambda: ng.randn(4, 5, 3),
    transformer: lambda: ng.randint(0, 11, (4, 6)),
    residual: lambda: ng.randn(4, 3, 32, 32),
}
SHORT = [(perceptron, 1, 100), (perceptron, 4, 100), (recurrent, 2, 100), (transformer, 2, 100), (residual, 2, 8)]
LONG = [(build, threads, 100) for build in MAKES for threads in (1, 2, 4) if (build, threads, 100) not in SHORT]


@pytest.mark.parametrize(
    ("build", "threads", "count"),
    [*SHORT, *[pytest.param(*each, marks=pytest.mark.soak) for each in LONG]],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_many_steps_have_the_same_bits(build: Any, threads: int, count: int) -> None:
    before = ng.get_num_threads()
    try:
        ng.set_num_threads(threads)
        stats = check(build, _calls(count, MAKES[build]))
    finally:
        ng.set_num_threads(before)
    assert stats.replays >= count - 4
    assert stats.captures == 2
    assert stats.planned <= 1.1 * stats.eager_peak  # new gradients are bound from the beginning
