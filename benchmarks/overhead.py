"""Small work, where overhead decides: single ops, a chain of 100 multiplications of 4 × 4, a tiny network."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from benchmarks import common

# name: how many of it a measurement repeats
CASES = {
    "chain of 100 mul, forward + backward": 10,
    "mul that records": 1000,
    "mul without a graph": 1000,
    "relu that records": 1000,
    "view": 1000,
    "chain of 100 own ops, forward + backward": 10,
    "chain of 100 autograd.Function, forward + backward": 10,
    "own op of a million elements, checked": 20,
    "own op of a million elements, checked=False": 20,
    "sum + backward": 200,
    "Linear 16-16, batch 32, records": 500,
    "MLP 2-16-16-1, batch 32, whole step": 20,
}


def numgrad_side(threads: int) -> Callable[..., Any]:
    """The cases in numgrad."""
    import numgrad as ng
    from numgrad import nn, optim

    if threads:
        ng.set_num_threads(threads)
    return _job(ng, nn, optim, _pair_of_kernels(ng, True), _pair_of_kernels(ng, False))


def torch_side(threads: int) -> Callable[..., Any]:
    """The cases in torch."""
    import torch

    if threads:
        torch.set_num_threads(threads)
    return _job(torch, torch.nn, torch.optim, square(torch), square(torch))


def _pair_of_kernels(ng: Any, checked: bool) -> Callable[..., Any]:
    """The square as a registered pair of ``@njit`` kernels, with or without the checks of indices."""
    import numba

    @numba.njit
    def forward(x, out):  # type: ignore[no-untyped-def]
        for i in range(x.shape[0]):
            for j in range(x.shape[1]):
                out[i, j] = x[i, j] * x[i, j]

    @numba.njit
    def backward(grad_out, x, grad_x):  # type: ignore[no-untyped-def]
        for i in range(x.shape[0]):
            for j in range(x.shape[1]):
                grad_x[i, j] = 2 * x[i, j] * grad_out[i, j]

    made: Callable[..., Any] = ng.custom_op(f"square_checked_{checked}", forward, backward, checked=checked)
    return made


def square(lib: Any) -> Callable[..., Any]:
    """The square as an `autograd.Function`, which is all that torch has without a compiler."""

    class Square(lib.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            (x,) = ctx.saved_tensors
            return 2 * x * grad

    apply: Callable[..., Any] = Square.apply
    return apply


def _job(lib: Any, nn: Any, optim: Any, own: Callable[..., Any], unchecked: Callable[..., Any]) -> Callable[..., Any]:
    """The cases, written once: both libraries have the same names."""
    lib.manual_seed(0)
    x = lib.rand(4, 4, requires_grad=True)
    plain, other, million = lib.rand(4, 4), lib.rand(4, 4), lib.rand(1000, 1000)
    layer, batch, target = nn.Linear(16, 16), lib.rand(32, 16), lib.rand(32, 1)
    points = lib.rand(32, 2)
    model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    loss_function = nn.MSELoss()

    function = square(lib)

    def chain(step: Callable[..., Any]) -> None:
        y = x
        for _ in range(100):
            y = step(y)
        y.sum().backward()
        x.grad = None

    def summed() -> None:
        x.sum().backward()
        x.grad = None

    def train() -> None:
        optimizer.zero_grad()
        loss_function(model(points), target).backward()
        optimizer.step()

    actions = (
        lambda: chain(lambda y: y * other),
        lambda: x * other,
        lambda: plain * other,
        lambda: lib.relu(x),
        lambda: plain.view(16),
        lambda: chain(own),
        lambda: chain(function),
        lambda: own(million),
        lambda: unchecked(million),
        summed,
        lambda: layer(batch),
        train,
    )
    table = dict(zip(CASES, actions, strict=True))
    return lambda repeats: {name: common.median_seconds(table[name], repeats, inner) for name, inner in CASES.items()}


def main() -> int:
    """Print the table."""
    return common.compare_cases("benchmarks.overhead", __doc__, digits=1, repeats=20, rounds=5)


if __name__ == "__main__":
    sys.exit(main())
