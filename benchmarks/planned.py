"""Memory of training steps beyond parameters, states and inputs: op by op, and as `ng.jit` plans it.

``python -m benchmarks.planned`` prints a table for the steps of `benchmarks.replay`, which drop the gradients of the step before,
and for the same steps when they drop their own in the end. *Measured* is the most memory that the pool had given out at once, in
its size classes; *planned* are the bytes of `ng.jit.stats`.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Callable
from typing import Any

import numgrad as ng
from benchmarks.replay import CASES, inputs_of, parts_of
from numgrad.models import resnet18
from numgrad.runtime import memory


def step_of(case: str, drops: bool) -> tuple[Callable[[], Any], Any, tuple[ng.Tensor, ...]]:
    """The step, its optimizer, and its arguments."""
    model, optimizer, loss_of = parts_of(ng, case, resnet18)

    def step(x: ng.Tensor, y: ng.Tensor) -> ng.Tensor:
        if not drops:
            optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        if drops:
            optimizer.zero_grad()
        return loss.detach()

    return step, optimizer, tuple(map(ng.from_numpy, inputs_of(case)))  # type: ignore[return-value]


def measured(step: Callable[..., Any], optimizer: Any, arguments: Any, base: int | None) -> tuple[int, int]:
    """The most bytes that were in use during a step, beyond ``base``; and that."""
    for _ in range(2):
        step(*arguments)
    optimizer.zero_grad()
    gc.collect()
    base = memory.memory_stats()["live"] if base is None else base
    memory.reset_peak()
    step(*arguments)
    return memory.memory_stats()["peak"] - base, base


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("cases", nargs="*", default=list(CASES))
    parser.add_argument("--off", nargs="*", default=[], help="passes that are switched off")
    options = parser.parse_args()
    print("| step | gradients | measured: op by op, MB | replayed | ratio | planned: op by op, MB | replayed | ratio |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for case in options.cases:
        for drops in (False, True):
            step, optimizer, arguments = step_of(case, drops)
            eager, base = measured(step, optimizer, arguments, None)
            replayed = ng.jit(step, passes=dict.fromkeys(options.off, False))
            ours, _ = measured(replayed, optimizer, arguments, base)
            stats = ng.jit.stats(replayed)
            print(
                f"| {CASES[case].name} | {'dropped' if drops else 'stay'} "
                f"| {eager / 1e6:.3f} | {ours / 1e6:.3f} | {ours / eager:.2f} "
                f"| {stats.eager_peak / 1e6:.3f} | {stats.planned / 1e6:.3f} | {stats.planned / stats.eager_peak:.2f} |",
                flush=True,
            )
            del step, optimizer, arguments, replayed
            gc.collect()
    return 0


if __name__ == "__main__":
    sys.exit(main())
