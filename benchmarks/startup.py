"""Whole processes: scripts/train_step.py from an empty store of kernels and from a full one, and the bare imports.

``--examples`` adds an autoencoder and a learning cart from an empty store, ``--wheel FILE`` the first training step after that
wheel was installed (scripts/release_wheel.py makes one with compiled kernels). `BARS` says what they may take.

Byte code is kept, as it is by default, in a folder of this run's own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import common

BARS = {  # seconds
    "train_step.py, empty store": 8.0,
    "vae.py, one epoch, empty store": 10.0,
    "cart_pole.py, one update, empty store": 10.0,
    "first step with the wheel": 1.0,
}
EXAMPLES = {
    "vae.py, one epoch, empty store": "import vae; vae.main(epochs=1)",
    "cart_pole.py, one update, empty store": "import cart_pole; cart_pole.main(updates=1)",
}
FIRST_STEP = """
import time
begin = time.perf_counter()
import numgrad as ng
from numgrad.models import resnet18
model = resnet18(weights=None)
loss = (model(ng.rand(1, 3, 64, 64)) - ng.rand(1, 1000)).sum()
loss.backward()
ng.optim.SGD(model.parameters(), lr=1e-2, momentum=0.9).step()
print(time.perf_counter() - begin)
"""
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


def measure_examples() -> dict[str, float]:
    """Seconds of each of `EXAMPLES`, in an empty store of its own."""
    found = {}
    for name, text in EXAMPLES.items():
        with tempfile.TemporaryDirectory() as store:
            text = f"import sys; sys.path.append({str(common.ROOT / 'examples')!r}); {text}"
            found[name], _ = process(["-c", text], NUMGRAD_KERNEL_STORE=store)
    return found


def measure_wheel(wheel: str, rounds: int) -> float:
    """Median seconds of the tutorial's first step, its imports included, where nothing but the wheel's kernels is at hand."""
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", f"{folder}/packages", wheel]
        subprocess.run(install, check=True)
        for number in range(rounds + 1):
            settings = {"NUMGRAD_KERNEL_STORE": f"{folder}/store-{number}", "PYTHONPATH": f"{folder}/packages"}
            environment = {**common.environment(), **settings}
            done = subprocess.run(
                [sys.executable, "-c", FIRST_STEP],
                env=environment,
                cwd=folder,
                check=True,
                capture_output=True,
                text=True,
            )
            if number:  # the first brings files into the system's cache
                seconds.append(float(done.stdout))
    return common.median(seconds)


def main() -> int:
    """Print the table."""
    parser = common.parser(__doc__, rounds=7, empty_rounds=1)
    parser.add_argument("--examples", action="store_true", help="examples from an empty store as well")
    parser.add_argument("--wheel", metavar="FILE", help="a wheel with compiled kernels")
    args = parser.parse_args()
    facts = common.machine()
    found, peaks = measure(args.rounds, args.empty_rounds)
    if args.examples:
        found |= measure_examples()
    if args.wheel:
        found["first step with the wheel"] = measure_wheel(str(Path(args.wheel).absolute()), args.rounds)
    if args.json:
        print(json.dumps({"machine": facts, "seconds": found, "peak_bytes": peaks}, indent=2))
        return 0
    common.print_machine(facts)
    rows = [[name, f"{value:.3f}", f"{BARS[name]:.0f}" if name in BARS else ""] for name, value in found.items()]
    common.print_table(["median s of a process", "seconds", "at most"], rows)
    for name, peak in peaks.items():
        print(f"peak memory, {name}: {peak / 1e6:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
