"""A long run whose memory has to stay flat: training steps that use most of what autograd has.

::

    python -m tests.autograd.soak --steps 5000

prints the resident memory after 100 steps and at the end, and what was left over of tensors and nodes.
"""

from __future__ import annotations

import argparse
import gc
import sys
from typing import Any

import numgrad as ng
from numgrad import nn
from numgrad.engine.tape import Node, TensorBase
from numgrad.nn import functional as F
from numgrad.runtime.memory import empty_cache
from numgrad.utils.checkpoint import checkpoint

WARM = 100


class Square(ng.autograd.Function):
    """input squared."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        return grad * 2 * x


def resident() -> int:
    """Bytes of this process that are in memory."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * 4096


def alive() -> tuple[int, int]:
    """How many tensors and nodes there are."""
    gc.collect()
    things = gc.get_objects()
    kinds = [type(each) for each in things]  # isinstance would ask proxies, which may warn
    return sum(issubclass(kind, TensorBase) for kind in kinds), sum(issubclass(kind, Node) for kind in kinds)


class Soak:
    """A small network, its optimizers, and one step of everything."""

    def __init__(self) -> None:
        ng.manual_seed(0)
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2))
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 4))
        parameters = [*self.features.parameters(), *self.head.parameters()]
        self.optimizers = [ng.optim.SGD(parameters, lr=1e-3, momentum=0.9), ng.optim.Adam(parameters, lr=1e-4)]
        self.head[1].register_full_backward_hook(lambda module, grad_input, grad_output: None)
        self.head[4].weight.register_hook(lambda grad: grad * 1.0)
        self.steps = 0

    def step(self) -> float:
        """One training step, with all of it."""
        optimizer = self.optimizers[self.steps % 2]
        self.steps += 1
        x = ng.rand(6, 1, 8, 8).requires_grad_()
        targets = ng.tensor([0, 1, 2, 3, 0, 1])
        with ng.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
            found = self.features(x)
        scores = checkpoint(self.head, found, use_reentrant=False)
        loss = F.cross_entropy(scores, targets) + Square.apply(scores).mean()
        canvas = ng.zeros(6, 4)
        canvas[:, 1:3] = scores[:, :2]
        canvas[0] *= 2
        canvas[ng.tensor([1, 2])] = scores[3:5]
        (slope,) = ng.autograd.grad(loss, x, create_graph=True)
        optimizer.zero_grad()
        (loss + (slope * slope).sum() + canvas.sum() * 1e-3).backward()
        optimizer.step()
        if self.steps % 10 == 0:
            ng.autograd.functional.hessian(lambda v: (v * v * v).sum(), ng.rand(3))
            self.refusals()
        return float(loss.item())

    def refusals(self) -> None:
        """Errors leave nothing behind."""
        y = ng.ones(3, requires_grad=True).exp()
        z = (y * y).sum()
        with ng.no_grad():
            y.add_(1)
        for wrong in (z.backward, y.detach().add_, lambda: y.split(2)[0].mul_(2)):
            try:
                wrong()
            except (RuntimeError, TypeError):
                continue
            raise AssertionError("not refused")


def run(steps: int) -> tuple[list[int], list[tuple[int, int]]]:
    """Resident bytes, and tensors and nodes, after `WARM` steps and after all."""
    soak = Soak()
    memory, objects = [], []
    for number in range(1, steps + 1):
        soak.step()
        if number in (WARM, steps):
            objects.append(alive())
            empty_cache()  # what the pool keeps is bounded, and no leak
            memory.append(resident())
    return memory, objects


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=5000)
    steps = parser.parse_args().steps
    memory, objects = run(steps)
    growth = memory[1] / memory[0] - 1
    sys.stdout.write(
        f"{steps} steps: {memory[0] / 1e6:.1f} MB after {WARM}, {memory[1] / 1e6:.1f} MB at the end ({growth:+.2%}); "
        f"tensors and nodes: {objects[0]} and {objects[1]}\n"
    )
    return growth > 0.01 or objects[0] != objects[1]


if __name__ == "__main__":
    sys.exit(main())
