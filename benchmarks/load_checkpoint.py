"""Reading and writing a resnet18 checkpoint: numgrad and torch side by side, in one process, turn by turn.

Run from the root of the repository::

    python benchmarks/load_checkpoint.py --rounds 30

The files lie in the system's page cache, so what is measured is the readers and not the disk. Medians are compared,
since both sides see the same noise when they take turns. numgrad verifies the checksums of the data; torch does not.
The row with SHA-256 is what pretrained weights cost when they are on the machine: the whole file is hashed, then read.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from numgrad.serialization import load, save
from numgrad.weights import cache
from tests.serialization.dialects import resnet18_arrays, resnet18_checkpoint


def medians(rounds: int, *functions: Callable[[], Any]) -> list[float]:
    """Median milliseconds of each function; they take turns, after one round to warm up."""
    times: list[list[float]] = [[] for _ in functions]
    for turn in range(rounds + 1):
        for function, spent in zip(functions, times, strict=True):
            started = time.perf_counter()
            function()
            if turn:
                spent.append(1000 * (time.perf_counter() - started))
    return [statistics.median(spent) for spent in times]


def main() -> int:
    """Print the table; without torch, numgrad's column alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    args = parser.parse_args()
    found = measure(args.rounds)
    if args.json:
        print(json.dumps({"milliseconds": found}, indent=2))
        return 0
    print(f"{'resnet18, 47 MB':28}{'numgrad ms':>12}{'torch ms':>12}{'ratio':>8}")
    for label, values in found.items():
        ours, theirs = values["numgrad"], values.get("torch")
        print(f"{label:28}{ours:12.1f}" + (f"{theirs:12.1f}{ours / theirs:8.2f}" if theirs else ""))
    return 0


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Median milliseconds by case and side."""
    try:
        import torch
    except ImportError:
        torch = None  # type: ignore[assignment]
    found: dict[str, dict[str, float]] = {}

    def report(label: str, ours: Callable[[], Any], theirs: Callable[[], Any] | None) -> None:
        spent = medians(rounds, ours, *([theirs] if theirs else []))
        found[label] = dict(zip(("numgrad", "torch"), spent, strict=False))

    arrays = resnet18_arrays()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        (path / "published.pth").write_bytes(resnet18_checkpoint(arrays))
        save(arrays, path / "numgrad.pth")
        save(arrays, path / "a.safetensors")
        files = {"published dialect": "published.pth", "written by numgrad": "numgrad.pth"}
        if torch is not None:
            state = {name: torch.from_numpy(array) for name, array in arrays.items()}
            torch.save(state, path / "torch.pth")
            torch.save(state, path / "legacy.pth", _use_new_zipfile_serialization=False)
            files |= {"written by torch": "torch.pth", "torch's legacy format": "legacy.pth"}
        for label, name in files.items():
            report(f"load, {label}", lambda file=path / name: load(file),
                   torch and (lambda file=path / name: torch.load(file, weights_only=True)))  # fmt: skip
        published = path / "published.pth"
        report("load, verify=False", lambda: load(published, verify=False),
               torch and (lambda: torch.load(published, weights_only=True)))  # fmt: skip
        report("SHA-256, then load", lambda: (cache.sha256(published), load(published, verify=False)),
               torch and (lambda: torch.load(published, weights_only=True)))  # fmt: skip
        report("load, safetensors", lambda: load(path / "a.safetensors"), None)
        report("save", lambda: save(arrays, path / "ours.pth"),
               torch and (lambda: torch.save(state, path / "theirs.pth")))  # fmt: skip
    return found


if __name__ == "__main__":
    sys.exit(main())
