"""Whole processes: scripts/train_step.py from an empty store of kernels and from a full one, and the bare imports.

Byte code is kept, as it is by default, in a folder of this run's own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from benchmarks import common

SCRIPT = [str(common.ROOT / "scripts" / "train_step.py"), "--json"]


def process(arguments: Sequence[str], **environ: str) -> tuple[float, str]:
    """How long a Python process with these arguments takes, its start and end included, and what it prints."""
    environment = common.environment(**environ)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True)
    spent = time.perf_counter() - begin
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with code {done.returncode}:\n{done.stderr}")
    return spent, done.stdout


def measure(rounds: int, empty_rounds: int) -> tuple[dict[str, float], dict[str, int]]:
    """Median seconds of each kind of process, and the most memory that the training steps took."""
    found: dict[str, float] = {}
    peaks: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        # Random weights from the seed, so that no network is part of what is measured.
        kept = {"PYTHONPYCACHEPREFIX": f"{folder}/bytecode"}
        chosen = {"NUMGRAD_OFFLINE": "1", "NUMGRAD_HOME": f"{folder}/home", **kept}
        process(["-c", "import numgrad.cli.step, numgrad.runtime.codegen"], **kept)
        stores = [f"{folder}/store-{number}" for number in range(max(1, empty_rounds))]
        empty = []
        for store in stores:
            spent, printed = process(SCRIPT, NUMGRAD_KERNEL_STORE=store, **chosen)
            empty.append(spent)
            peaks["train_step.py, empty store"] = json.loads(printed)["memory"]["peak_resident_bytes"]
        _, printed = process(SCRIPT, NUMGRAD_KERNEL_STORE=stores[0], **chosen)
        peaks["train_step.py, full store"] = json.loads(printed)["memory"]["peak_resident_bytes"]
        commands = {
            "import numgrad": ["-c", "import numgrad"],
            "numgrad --help": ["-m", "numgrad", "--help"],
            "import numpy": ["-c", "import numpy"],
            "python alone": ["-c", ""],
        }
        if common.has("torch"):
            commands["import torch"] = ["-c", "import torch"]
        turns = {
            "train_step.py, full store": lambda: process(SCRIPT, NUMGRAD_KERNEL_STORE=stores[0], **chosen)[0],
            **{name: lambda command=command: process(command, **kept)[0] for name, command in commands.items()},
        }
        for turn in turns.values():
            turn()  # files into the system's cache
        results = common.take_turns(turns, rounds, pause=0.0)
    found["train_step.py, empty store"] = common.median(empty)
    return {**found, **{name: common.median(values) for name, values in results.items()}}, peaks


def main() -> int:
    """Print the table."""
    args = common.parser(__doc__, rounds=7, empty_rounds=1).parse_args()
    facts = common.machine()
    found, peaks = measure(args.rounds, args.empty_rounds)
    if args.json:
        print(json.dumps({"machine": facts, "seconds": found, "peak_bytes": peaks}, indent=2))
        return 0
    common.print_machine(facts)
    common.print_table(["median s of a process", "seconds"], [[name, f"{value:.3f}"] for name, value in found.items()])
    for name, peak in peaks.items():
        print(f"peak memory, {name}: {peak / 1e6:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
