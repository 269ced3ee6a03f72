"""Steps that are saved: what a process writes, and what another one does with it. ``python -m tests.compile.saved_steps``."""

from __future__ import annotations

import hashlib
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import numgrad as ng
import numgrad.nn.functional as F
from numgrad.compile.saved.program import digest_of
from numgrad.compile.saved.writing import DIGEST, PROGRAM, VERSION
from numgrad.serialization import WeightsFormatError

CALLS = 20


def perceptron(kind: str) -> tuple[Any, ng.nn.Module]:
    """A jitted step of SGD with momentum ("sgd"), or of Adam with dropout and another learning rate ("adam")."""
    ng.manual_seed(0)
    chance = [ng.nn.Dropout(0.3)] if kind == "adam" else []
    model = ng.nn.Sequential(ng.nn.Linear(8, 16), ng.nn.ReLU(), *chance, ng.nn.Linear(16, 4))
    optimizer: Any = ng.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    if kind == "adam":
        optimizer = ng.optim.Adam(model.parameters(), lr=0.01)

    @ng.jit
    def step(x: ng.Tensor, labels: ng.Tensor) -> ng.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss

    return step, model


def data(number: int) -> tuple[ng.Tensor, ng.Tensor]:
    """What the step is called with, at each call something else."""
    chance = np.random.default_rng(number)
    return ng.tensor(chance.standard_normal((32, 8), np.float32)), ng.tensor(chance.integers(0, 4, 32))


def digest(results: list[ng.Tensor], state: dict[str, ng.Tensor]) -> str:
    """All bits of results and of a state dict."""
    hashed = hashlib.sha256()
    for each in (*results, *state.values()):
        hashed.update(np.ascontiguousarray(each.detach()._values()).tobytes())
    return hashed.hexdigest()


def main(paths: list[str]) -> None:
    """Load programs, run each `CALLS` times, and print a line of JSON on it."""
    for path in paths:
        program = ng.jit.load(path)
        results = [program(*data(number)) for number in range(CALLS)]
        print(json.dumps([digest(results, program.state_dict()), "numba" in sys.modules]))


# ---- hostile files ----------------------------------------------------------------------------------------------


def parts(path: Path) -> tuple[dict[str, Any], dict[str, ng.Tensor], dict[str, str]]:
    """The document, the memory and the metadata of a file."""
    metadata = ng.serialization.load_metadata(path)
    return json.loads(metadata[PROGRAM]), ng.load(path), metadata


def forge(path: Path, document: Any, memory: dict[str, ng.Tensor], metadata: dict[str, str]) -> None:
    """Write a file with a digest that fits."""
    text = json.dumps(document)
    right = digest_of(text, memory, lambda tensor: tensor._values())
    ng.save(memory, path, format="safetensors", metadata={**metadata, PROGRAM: text, DIGEST: right})


_VALUES: tuple[Any, ...] = (
    -1, 0, 1, 2, 3, 7, 64, 1 << 40, 1 << 62, 1 << 63, 10**40, None, True, False, "", "relu", "made", "memory", "argument",
    [], [[]], {}, {"float": "nan"}, {"float": "0x1p+0"}, {"dtype": "float64"}, {"dtype": "bool"}, ["float64", [2], [1], False],
)  # fmt: skip


def mutate(value: Any, chance: random.Random) -> Any:
    """The JSON value with one change at a random place."""
    if isinstance(value, (list, dict)) and value and chance.random() < 0.9:
        keys = range(len(value)) if isinstance(value, list) else list(value)
        kind = chance.random()
        if isinstance(value, list) and kind < 0.04:
            return value[: chance.randrange(len(value))]
        if isinstance(value, list) and kind < 0.08:
            return [*value, value[chance.randrange(len(value))]]
        if isinstance(value, list) and kind < 0.12:
            return chance.sample(value, len(value))
        key: Any = chance.choice(keys)
        copied: Any = list(value) if isinstance(value, list) else dict(value)
        copied[key] = mutate(value[key], chance)
        return copied
    if type(value) is int and chance.random() < 0.5:
        return value + chance.choice((-1, 1, 4, 64))
    return chance.choice(_VALUES)


def attack(path: Path, seeds: range, say: Callable[[str], None] = lambda text: None) -> dict[str, int]:
    """Load changed copies of a file, and run what is not refused: a crash ends the process, anything else is counted."""
    document, memory, metadata = parts(path)
    forged, seen = path.with_suffix(".forged"), {"refused": 0, "refused at the call": 0, "ran": 0}
    for seed in seeds:
        chance, changed = random.Random(seed), document
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            changed = mutate(changed, chance)
        say(f"seed {seed}")
        forge(forged, changed, memory, metadata)
        try:
            program = ng.jit.load(forged)
        except (WeightsFormatError, MemoryError) as error:
            say(f"  refused: {error!s:.300}")
            seen["refused"] += 1
            continue
        try:
            for number in range(2):
                program(*data(number))
            seen["ran"] += 1
        except (RuntimeError, TypeError, IndexError, MemoryError) as error:
            say(f"  refused at the call: {error!s:.300}")
            seen["refused at the call"] += 1
    return seen


if __name__ == "__main__":
    if sys.argv[1] == "attack":
        talks = "-v" in sys.argv
        found = attack(
            Path(sys.argv[2]), range(*map(int, sys.argv[3:5])), lambda text: print(text, flush=True) if talks else None
        )
        print(json.dumps(found))
    else:
        main(sys.argv[1:])

__all__ = ["CALLS", "VERSION", "attack", "data", "digest", "forge", "mutate", "parts", "perceptron"]
