"""Steps of ever new shapes must not make the pool grow: ``python -m tests.runtime.varying_shapes --steps 10000``.

Prints, for each workload, resident memory beyond what the process had after its second step, and the bound: twice the
most bytes of live tensors, and 64 MB.
"""

from __future__ import annotations

import argparse
import mmap
from collections.abc import Callable
from pathlib import Path

import numpy as np

import numgrad as ng
from numgrad import nn, optim
from numgrad.runtime import memory

MEGABYTE = 1 << 20


def _mlp(chance: np.random.Generator) -> Callable[[], None]:
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))
    optimizer = optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def step() -> None:
        loss = model(ng.randn(int(chance.integers(1, 6000)), 64)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def _transformer(chance: np.random.Generator) -> Callable[[], None]:
    embedding, layer = nn.Embedding(100, 64), nn.TransformerEncoderLayer(64, 4, 128)
    optimizer = optim.Adam([*embedding.parameters(), *layer.parameters()], lr=1e-3)

    def step() -> None:
        length, batch = int(chance.integers(1, 60)), int(chance.integers(1, 30))
        loss = layer(embedding(ng.randint(0, 100, (length, batch)))).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def _tensors(chance: np.random.Generator) -> Callable[[], None]:
    def step() -> None:
        _ = [ng.full((int(length),), 1.0) for length in chance.integers(1, 300_000, 20)]

    return step


WORKLOADS = {"mlp": _mlp, "transformer": _transformer, "tensors": _tensors}


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


def growth(workload: str, steps: int) -> tuple[int, int]:
    """The most resident memory beyond that of the second step, and its bound; bytes."""
    step = WORKLOADS[workload](np.random.default_rng(0))
    step()
    step()
    memory.reset_peak()
    begin, most = _resident(), 0
    for number in range(steps):
        step()
        if number % 10 == 9:
            most = max(most, _resident() - begin)
    return most, 2 * memory.memory_stats()["peak"] + 64 * MEGABYTE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--workload", choices=WORKLOADS, action="append", help="default: all")
    arguments = parser.parse_args()
    for workload in arguments.workload or WORKLOADS:
        most, bound = growth(workload, arguments.steps)
        peak = memory.memory_stats()["peak"]
        print(
            f"{workload}: {arguments.steps} steps, at most {most / MEGABYTE:.0f} MB more than at first, bound"
            f" {bound / MEGABYTE:.0f} MB (peak of live tensors {peak / MEGABYTE:.0f} MB)",
            flush=True,
        )


if __name__ == "__main__":
    main()
