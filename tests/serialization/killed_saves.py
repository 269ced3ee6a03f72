"""Processes that are killed while they save: ``python -m tests.serialization.killed_saves --kills 2000``.

Each saves one state after the other to the same file until it is killed; then the file must hold one of these states, whole,
and nothing else may lie beside it. Where files without a name exist (O_TMPFILE) there is one moment that leaves something:
between the two calls that give the new file a name and move it to its place. What is left then is a whole state.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from numgrad.serialization import load, save


def state_of(number: int) -> dict[str, np.ndarray]:
    """A state whose arrays all say which one it is."""
    return {f"layer{index}": np.full((3 + 5000 * index, 8), number, np.int32) for index in range(4)}


def number_of(path: Path) -> int:
    """Which state a file holds; an AssertionError if it is none, whole."""
    numbers = {int(number) for array in load(path).values() for number in np.unique(array)}
    assert len(numbers) == 1, f"{path} is made of {numbers}"
    return numbers.pop()


def kill_once(path: Path, chance: random.Random) -> str:
    """Kill a process at its saves; 'clean', or 'left' if it left a whole file under a temporary name."""
    save(state_of(0), path)
    mode = path.stat().st_mode
    child = os.fork()
    if not child:
        number = 1
        while True:
            save(state_of(number), path)
            number += 1
    time.sleep(chance.random() * 0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    number_of(path)
    assert path.stat().st_mode == mode
    others = [other for other in path.parent.iterdir() if other != path]
    for other in others:
        assert other.name.startswith(f".{path.name}."), other
        number_of(other.rename(other.with_suffix(path.suffix)))
        other.with_suffix(path.suffix).unlink()
    assert len(others) <= 1
    return "left" if others else "clean"


def main() -> None:
    """Kill as many as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    chance = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".pth", ".safetensors"):
            path = Path(folder) / f"state{suffix}"
            print(suffix, dict(Counter(kill_once(path, chance) for _ in range(args.kills // 2))), flush=True)
            path.unlink()


if __name__ == "__main__":
    main()
