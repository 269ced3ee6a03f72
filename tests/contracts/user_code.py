"""What a user's program looks like to a type checker: ``mypy`` reads this file, and each type has to be what is asserted."""

from __future__ import annotations

from typing import Any, assert_type

import numgrad as ng
import numgrad.numpy as gnp
from numgrad import Tensor, nn, optim
from numgrad.nn import functional as F
from numgrad.utils.data import DataLoader, Dataset, TensorDataset


def arithmetic(x: Tensor) -> Tensor:
    assert_type(x + 1, Tensor)
    assert_type(2 / x, Tensor)
    assert_type(x @ x, Tensor)
    assert_type(x == x, Tensor)
    assert_type(-x, Tensor)
    x += 1
    return x


def functions_and_methods(x: Tensor) -> None:
    assert_type(x.sum(dim=0, keepdim=True), Tensor)
    assert_type(ng.sum(x, 0), Tensor)
    assert_type(x.tanh(), Tensor)
    assert_type(ng.tanh(x), Tensor)
    assert_type(x.exp_(), Tensor)
    assert_type(x.add_(1, alpha=2), Tensor)
    assert_type(x.masked_fill(x > 0, 0.0), Tensor)
    assert_type(x.reshape(2, 3), Tensor)
    assert_type(x.split(2), tuple[Tensor, ...])
    assert_type(ng.cat([x, x], dim=1), Tensor)
    assert_type(ng.allclose(x, x), bool)
    assert_type(ng.zeros(2, dtype=ng.float64), Tensor)
    assert_type(F.relu(x, inplace=True), Tensor)
    assert_type(F.cross_entropy(x, x), Tensor)
    assert_type(x.dtype, ng.dtype)


def mistakes(x: Tensor) -> None:
    x.summ()  # type: ignore[attr-defined]
    ng.tanhh(x)  # type: ignore[attr-defined]
    x.narrow(0, 1)  # type: ignore[call-arg]
    x.argmax("0")  # type: ignore[arg-type]
    ng.linear(x, 3)  # type: ignore[arg-type]


def step(x: Tensor, target: Tensor) -> float:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    optimizer = optim.SGD(model.parameters(), lr=1e-2, momentum=0.9)
    loss = F.mse_loss(model(x), target)
    loss.backward()
    optimizer.step()
    with ng.no_grad():
        return float(loss)


class Numbered(Dataset[tuple[Tensor, int]]):
    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return ng.ones(2), index


def batches(x: Tensor) -> None:
    loader = DataLoader(TensorDataset(x, x), batch_size=2)
    assert_type(loader, DataLoader[tuple[Tensor, ...]])
    assert_type(DataLoader(Numbered()), DataLoader[tuple[Tensor, int]])
    assert_type(DataLoader([1, 2]), DataLoader[int])


class Scaled(ng.autograd.Function):
    """Arguments have the names that a user gives them."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return x * scale

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad * ctx.scale, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:
        return tangent * ctx.scale


def arrays(x: gnp.ndarray) -> None:
    assert_type(2 * x + x.T @ x, gnp.ndarray)
    assert_type(x > 0, gnp.ndarray)
    assert_type(x[0], gnp.ndarray)
    assert_type(x.shape, tuple[int, ...])
    x.max(axis=0)
    x += 1
    x.maxx()  # type: ignore[attr-defined]
