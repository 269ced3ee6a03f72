"""The training step while another process keeps one CPU busy: how much slower do numgrad and torch get?

Shared machines, containers with a quota and laptops are like that. Each side takes turns with itself (alone, then with
the neighbour) and with the other.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from benchmarks import common
from benchmarks.train_step import NUMGRAD, open_sides

_BUSY = "while True: pass"


@contextmanager
def neighbour() -> Iterator[None]:
    """A process that computes all the time, on the last of the CPUs that this process may use."""
    process = subprocess.Popen([sys.executable, "-c", _BUSY])
    try:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(process.pid, {max(os.sched_getaffinity(0))})
        yield
    finally:
        process.terminate()
        process.wait()


def measure(options: dict[str, Any], steps: int, rounds: int) -> dict[str, dict[str, float]]:
    """Median seconds of a step of each side, alone and beside the neighbour."""

    def beside(side: common.Side) -> Any:
        with neighbour():
            return side.ask(steps=steps)

    with ExitStack() as stack:
        sides = open_sides(stack, options, last=False)
        turns: dict[str, Callable[[], Any]] = {}
        for name, side in sides.items():
            turns[f"{name} alone"] = lambda side=side: side.ask(steps=steps)
            turns[f"{name} beside"] = lambda side=side: beside(side)
        for side in sides.values():
            side.ask(steps=1)  # compiles
        results = common.take_turns(turns, rounds)
    found: dict[str, dict[str, float]] = {}
    for name in sides:
        for how in ("alone", "beside"):
            totals = [
                sum(parts) for turn in results[f"{name} {how}"] for parts in zip(*turn["seconds"].values(), strict=True)
            ]
            found.setdefault(name, {})[how] = common.median(totals)
    return found


def main() -> int:
    """Print the table."""
    args = common.parser(__doc__, batch_size=1, image_size=64, steps=5, rounds=3, threads=0).parse_args()
    facts = common.machine()
    options = {"batch_size": args.batch_size, "image_size": args.image_size, "threads": args.threads}
    found = measure(options, args.steps, args.rounds)
    if args.json:
        print(json.dumps({"machine": facts, **options, "sides": found}, indent=2))
        return 0
    common.print_machine(facts)
    rows = [
        [name, f"{1e3 * s['alone']:.1f}", f"{1e3 * s['beside']:.1f}", f"{s['beside'] / s['alone']:.2f}"]
        for name, s in found.items()
    ]
    common.print_table(["median ms of a step", "alone", "beside a busy process", "slow-down"], rows)
    others = [s["beside"] for name, s in found.items() if name != NUMGRAD]
    for other in others:
        print(f"torch / numgrad beside a busy process: {other / found[NUMGRAD]['beside']:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
