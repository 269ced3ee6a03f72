"""Steps with much elementwise work: op by op, replayed by `ng.jit`, and with ``fuse=True``, in alternating turns of one process."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numgrad as ng
from benchmarks.replay import training_step
from numgrad import nn, optim
from numgrad.nn import functional as F

Step = tuple[Callable[..., Any], tuple[ng.Tensor, ...]]


def reaction() -> Step:
    """Gray and Scott's two reagents on a grid."""

    def step(u: ng.Tensor, v: ng.Tensor) -> Any:
        with ng.no_grad():
            for _ in range(3):
                reacted = u * v * v
                spread = ng.roll(u, 1, 0) + ng.roll(u, -1, 0) + ng.roll(u, 1, 1) + ng.roll(u, -1, 1) - 4 * u
                u = u + 0.1 * (0.16 * spread - reacted + 0.04 * (1 - u))
                v = v + 0.1 * (reacted - 0.1 * v)
        return u, v

    return step, (ng.randn(512, 512), ng.randn(512, 512))


def losses() -> Step:
    """A robust loss with a penalty, and its gradient."""

    def step(x: ng.Tensor, y: ng.Tensor) -> Any:
        leaf = x.detach().requires_grad_()
        error = ng.tanh(leaf) * 2 - y
        loss = (F.softplus(error.abs() * 4) + 0.01 * leaf * leaf).mean()
        loss.backward()
        return loss, leaf.grad

    return step, (ng.randn(2048, 256), ng.randn(2048, 256))


def halves() -> Step:
    """A chain in float16, each op of which converts to float32 and back."""

    def step(x: ng.Tensor, y: ng.Tensor) -> Any:
        with ng.no_grad():
            return ((x * y).tanh() + x) * 0.5 + y

    return step, (ng.randn(1024, 512).half(), ng.randn(1024, 512).half())


class Gated(nn.Module):
    """A gated layer of a language model, without its attention."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.up, self.down = nn.Linear(64, 512), nn.Linear(64, 512), nn.Linear(512, 64)

    def forward(self, x: ng.Tensor) -> ng.Tensor:
        return x + 0.3 * self.down(F.silu(self.gate(x)) * self.up(x))


def gated() -> Step:
    """A step of Adam."""
    model = Gated()
    step = training_step(model, optim.Adam(model.parameters(), lr=1e-3), F.mse_loss)
    return step, (ng.randn(512, 64), ng.randn(512, 64))


def small() -> Step:
    """A step of SGD."""
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return training_step(model, optimizer, F.mse_loss), (ng.randn(32, 2), ng.randn(32, 1))


CASES = {
    "Gray-Scott, 3 steps, 512 x 512": reaction,
    "softplus loss of tanh, gradient, 2048 x 256": losses,
    "float16 chain, 1024 x 512": halves,
    "gated MLP 64-512-64, batch 512, Adam": gated,
    "MLP 2-16-16-1, batch 32, SGD": small,
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--threads", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.threads:
        ng.set_num_threads(arguments.threads)
    print("| step | op by op, us | replayed | fused | launches | of which fused away | planned, KB | kernels, s |")
    print("|---|---|---|---|---|---|---|---|")
    for name, make in CASES.items():
        ng.manual_seed(0)
        sides = [(wrap(step), args) for wrap in (lambda f: f, ng.jit, ng.jit(fuse=True)) for step, args in [make()]]
        for step, args in sides:
            for _ in range(4):
                step(*args)
        times: list[list[float]] = [[], [], []]
        for _ in range(arguments.rounds):
            for seconds, (step, args) in zip(times, sides, strict=True):
                begin = time.perf_counter()
                for _ in range(5):
                    step(*args)
                seconds.append((time.perf_counter() - begin) / 5)
        eager, replayed, fused = (1e6 * statistics.median(each) for each in times)
        plain, made = (ng.jit.stats(step) for step, _ in sides[1:])
        noted = [made.passes[key] for key in ("fuse", "sums")]
        kernels, seconds = sum(each["kernels"] for each in noted), sum(each["seconds"] for each in noted)
        print(
            f"| {name} | {eager:.1f} | {replayed:.1f} | {fused:.1f} | {plain.launches} | {plain.launches - made.launches} "
            f"| {plain.planned >> 10} → {made.planned >> 10} | {kernels:.0f}, {seconds:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
