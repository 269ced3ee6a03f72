"""Whole processes: scripts/train_step.py from an empty store of kernels and from a full one, and the bare imports."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from benchmarks import common

SCRIPT = [str(common.ROOT / "scripts" / "train_step.py"), "--json"]


def seconds(arguments: Sequence[str], **environ: str) -> float:
    """How long a Python process with these arguments takes, its start and end included."""
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], env=common.environment(**environ), capture_output=True, text=True
    )
    spent = time.perf_counter() - begin
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with code {done.returncode}:\n{done.stderr}")
    return spent


def measure(rounds: int, empty_rounds: int) -> dict[str, float]:
    """Median seconds of each kind of process."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        # Random weights from the seed, so that no network is part of what is measured.
        chosen = {"NUMGRAD_OFFLINE": "1", "NUMGRAD_HOME": f"{folder}/home"}
        stores = [f"{folder}/store-{number}" for number in range(max(1, empty_rounds))]
        empty = [seconds(SCRIPT, NUMGRAD_KERNEL_STORE=store, **chosen) for store in stores]
        turns = {
            "train_step.py, full store": lambda: seconds(SCRIPT, NUMGRAD_KERNEL_STORE=stores[0], **chosen),
            "import numgrad": lambda: seconds(["-c", "import numgrad"]),
            "numgrad --help": lambda: seconds(["-m", "numgrad", "--help"]),
            "import numpy": lambda: seconds(["-c", "import numpy"]),
            "python alone": lambda: seconds(["-c", ""]),
        }
        if common.has("torch"):
            turns["import torch"] = lambda: seconds(["-c", "import torch"])
        for turn in turns.values():
            turn()  # files into the system's cache
        results = common.take_turns(turns, rounds, pause=0.0)
    found["train_step.py, empty store"] = common.median(empty)
    return {**found, **{name: common.median(values) for name, values in results.items()}}


def main() -> int:
    """Print the table."""
    args = common.parser(__doc__, rounds=7, empty_rounds=1).parse_args()
    facts = common.machine()
    found = measure(args.rounds, args.empty_rounds)
    if args.json:
        print(json.dumps({"machine": facts, "seconds": found}, indent=2))
        return 0
    common.print_machine(facts)
    common.print_table(["median s of a process", "seconds"], [[name, f"{value:.3f}"] for name, value in found.items()])
    return 0


if __name__ == "__main__":
    sys.exit(main())
