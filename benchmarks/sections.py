"""What ``python -m benchmarks`` runs: sections, each of which runs benchmarks of this folder and gives rows."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks import common
from benchmarks.train_step import NUMGRAD, TORCH

SIZES = ((1, 64), (1, 224), (8, 64), (8, 224), (32, 64))  # of the training step: batch, pixels a side


@dataclass
class Row:
    """One comparison: a value for each side."""

    section: str
    name: str
    unit: str
    values: dict[str, float]
    plotted: bool = False
    more_is_better: bool = False
    ratios: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """How many times better numgrad is than torch as it is, and than the best of torch's variants."""
        ours, others = self.values.get(NUMGRAD), [v for side, v in self.values.items() if side.startswith(TORCH)]
        if ours and others:
            best = max(others) if self.more_is_better else min(others)
            as_is = self.values.get(TORCH, best)
            self.ratios = {
                TORCH: ours / as_is if self.more_is_better else as_is / ours,
                "best": ours / best if self.more_is_better else best / ours,
            }


@dataclass
class Found:
    """What a section gives: rows, and what its benchmarks printed."""

    rows: list[Row]
    raw: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"rows": [asdict(row) for row in self.rows], "raw": self.raw}


def run(module: str, **options: Any) -> dict[str, Any]:
    """What ``python -m benchmarks.MODULE --json`` prints, with these options.

    Raises
    ------
    RuntimeError
        It failed; its own words are on stderr.
    """
    arguments = [text for name, value in options.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    command = [sys.executable, "-m", f"benchmarks.{module}", "--json", *arguments]
    done = subprocess.run(command, env=common.environment(), cwd=common.ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[1:])} ended with code {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _size(batch: int, size: int) -> str:
    return f"{batch} × {size}²"


# ---- the sections -----------------------------------------------------------------------------------------------


def step(quick: bool) -> Found:
    """ResNet18's training step at five sizes, and the most memory that each side had."""
    turns = dict(zip(SIZES, [(10, 3), (5, 2), (5, 2), (2, 2), (3, 2)] if quick else [(10, 6), (8, 4), (10, 4), (4, 4), (6, 4)],
                     strict=True))  # fmt: skip
    rows, memory, raw = [], [], {}
    for (batch, size), (steps, rounds) in turns.items():
        found = raw[_size(batch, size)] = run(
            "train_step", batch_size=batch, image_size=size, steps=steps, rounds=rounds
        )
        sides = found["sides"]
        milliseconds = {side: 1e3 * facts["seconds"]["total"] for side, facts in sides.items()}
        rows.append(Row("training step", f"ResNet18, {_size(batch, size)}", "ms", milliseconds, plotted=True))
        peaks = {side: facts["peak_bytes"] / 1e6 for side, facts in sides.items() if facts["peak_bytes"]}
        shown = (batch, size) in ((1, 64), (8, 224))
        memory.append(Row("peak memory", f"ResNet18, {_size(batch, size)}", "MB", peaks, plotted=shown))
    return Found(rows + memory, raw)


def transformer(quick: bool) -> Found:
    """The training step of a transformer block."""
    found = run("transformer_step", steps=10, rounds=3) if quick else run("transformer_step", steps=20, rounds=7)
    values = {side: 1e3 * facts["seconds"]["total"] for side, facts in found["sides"].items()}
    return Found([Row("training step", "transformer block, 8 × 128 × 256", "ms", values, plotted=True)], found)


def recurrent(quick: bool) -> Found:
    """The training steps of a layer of LSTM and one of GRU."""
    turns = {"steps": 2, "rounds": 2} if quick else {"steps": 5, "rounds": 5}
    rows, raw = [], {}
    for kind in ("LSTM", "GRU"):
        found = raw[kind] = run("recurrent", kind=kind, **turns)
        values = {side: 1e3 * facts["seconds"]["total"] for side, facts in found["sides"].items()}
        rows.append(Row("training step", f"{kind}, 64 × 100 × 256", "ms", values, plotted=True))
    return Found(rows, raw)


def convolutions(quick: bool) -> Found:
    """ResNet18's 20 convolutions in three directions, at three batch sizes."""
    from benchmarks.conv import DIRECTIONS, layers

    rows, raw = [], {}
    for batch, size in ((1, 64), (8, 224), (32, 64)):
        big = batch > 1
        repeats, rounds = (1 if big else 5, 2) if quick else (3 if big else 10, 4)
        found = raw[_size(batch, size)] = run("conv", batch_size=batch, image_size=size, repeats=repeats, rounds=rounds)
        seconds = found["seconds"]
        for direction in DIRECTIONS:
            total = dict.fromkeys(seconds, 0.0)
            single = []
            for name, count, shape in layers(batch, size):
                if shape["c"] == 3 and direction == "input":  # nobody asks for the images' gradient
                    continue
                key = f"{name}, {direction}"
                single.append(
                    Row(
                        "convolutions",
                        f"{_size(batch, size)}: {key}",
                        "ms",
                        {s: 1e3 * seconds[s][key] for s in seconds},
                    )
                )
                for side in seconds:
                    total[side] += 1e3 * count * seconds[side][key]
            rows.append(
                Row("convolutions", f"all 20, {direction}, {_size(batch, size)}", "ms", _default(total), plotted=True)
            )
            rows += [Row(row.section, row.name, row.unit, _default(row.values)) for row in single]
    return Found(rows, raw)


def _default(values: dict[str, float]) -> dict[str, float]:
    """With the side that users get under numgrad's own name."""
    return {NUMGRAD if side == "numgrad auto" else side: value for side, value in values.items()}


def products(quick: bool) -> Found:
    """Matrix products by the public functions, in both dtypes."""
    rows, raw = [], {}
    for dtype in ("float32", "float64"):
        turns = {"repeats": 3, "rounds": 2} if quick else {"repeats": 5, "rounds": 5}
        found = raw[dtype] = run("gemm", dtype=dtype, **turns)
        for name in found["seconds"][NUMGRAD]:
            microseconds = {side: 1e6 * seconds[name] for side, seconds in found["seconds"].items()}
            shown = dtype == "float32" and name in (
                "64 x 64 @ 64 x 64",
                "512 x 512 @ 512 x 512",
                "2048 x 2048 @ 2048 x 2048",
            )
            rows.append(Row("matrix products", f"{name}, {dtype}", "µs", microseconds, plotted=shown))
    return Found(rows, raw)


def overhead(quick: bool) -> Found:
    """Small work, where overhead decides."""
    found = run("overhead", repeats=10, rounds=3) if quick else run("overhead", repeats=20, rounds=5)
    rows = []
    for case, seconds in found["cases"].items():
        shown = any(word in case for word in ("chain", "MLP", "mul that records"))
        rows.append(
            Row("small work", case, "µs", {side: 1e6 * value for side, value in seconds.items()}, plotted=shown)
        )
    return Found(rows, found)


def small(quick: bool) -> Found:
    """Small calls one by one, and small programs."""
    found = run("small", repeats=5, rounds=2) if quick else run("small", repeats=15, rounds=3)
    rows = [
        Row("small calls", case, "µs", {side: 1e6 * value for side, value in seconds.items()})
        for case, seconds in found["cases"].items()
    ]
    return Found(rows, found)


def shapes(quick: bool) -> Found:
    """What a shape never seen before takes beyond one that was, what 2,000 of them leave behind, and many that recur."""
    from benchmarks.shapes import RECURRING

    found = run("shapes", shapes=20 if quick else 40)
    ours = found[NUMGRAD]
    rows = [
        Row("new shapes", f"{case}, {direction}", "µs more", {NUMGRAD: 1e6 * value})
        for case, values in ours["seconds"].items()
        for direction, value in zip(("forward", "backward") if len(values) > 1 else ("all",), values, strict=True)
    ]
    left = {"plans kept": ours["after"]["plans"], "kernels": ours["after"]["kernels"] - ours["before"]["kernels"]}
    rows += [Row("new shapes", f"2,000 of an MLP: {name}", "", {NUMGRAD: value}) for name, value in left.items()]
    grown = {side: facts["megabytes"] for side, facts in found.items() if side != "machine"}
    rows.append(Row("new shapes", "2,000 of an MLP: memory", "MB more", grown))
    sides = [side for side in found if side != "machine"]
    for number, count in enumerate(RECURRING):
        step = {side: 1e6 * found[side]["recurring"][number] for side in sides}
        rows.append(Row("recurring shapes", f"five functions with their backward, {count} shapes", "µs", step))
    return Found(rows, found)


def memory(quick: bool) -> Found:
    """Ops that memory bounds."""
    found = run("memory", repeats=3, rounds=2) if quick else run("memory", repeats=5, rounds=5)
    shown = ("gelu", "sum over", "layer_norm", "max_pool2d 3", "transpose", "AdamW")
    return Found(
        [
            Row("memory-bound ops", case, "µs", {side: 1e6 * value for side, value in seconds.items()},
                plotted=case.startswith(shown))
            for case, seconds in found["cases"].items()
        ],
        found,
    )  # fmt: skip


def startup(quick: bool) -> Found:
    """Whole processes, with an empty and a full store of kernels."""
    found = run("startup", rounds=3 if quick else 7, empty_rounds=1)
    rows = []
    for name, seconds in found["seconds"].items():
        if name != "import torch":
            values = {NUMGRAD: seconds}
            if name == "import numgrad" and "import torch" in found["seconds"]:
                values = {TORCH: found["seconds"]["import torch"], NUMGRAD: seconds}
            label = "import" if len(values) > 1 else name
            rows.append(Row("start", label, "s", values, plotted=len(values) > 1))
    rows += [Row("peak memory", name, "MB", {NUMGRAD: value / 1e6}) for name, value in found["peak_bytes"].items()]
    return Found(rows, found)


def busy(quick: bool) -> Found:
    """The step beside a process that keeps a core busy."""
    found = run("busy_neighbour", steps=3, rounds=2) if quick else run("busy_neighbour", steps=5, rounds=3)
    sides = found["sides"]
    beside = {side: 1e3 * facts["beside"] for side, facts in sides.items()}
    slower = {side: facts["beside"] / facts["alone"] for side, facts in sides.items()}
    return Found(
        [
            Row("busy neighbour", "ResNet18, 1 × 64², one core busy", "ms", beside, plotted=True),
            Row("busy neighbour", "slow-down", "times", slower),
        ],
        found,
    )


def checkpoint(quick: bool) -> Found:
    """Reading and writing a checkpoint."""
    found = run("load_checkpoint", rounds=5 if quick else 20)
    rows = [
        Row("checkpoints", name, "ms", values, plotted=name in ("load, written by torch", "save"))
        for name, values in found["milliseconds"].items()
    ]
    return Found(rows, found)


def roofline(quick: bool) -> Found:
    """Each kernel's share of the machine's limits; no comparison with torch."""
    raw = {
        f"ResNet18's step, {_size(batch, size)}": run(
            "roofline", batch_size=batch, image_size=size, repeats=repeats // (3 if quick else 1)
        )
        for batch, size, repeats in ((1, 64, 30), (8, 224, 9))
    }
    block = {"step": "transformer", "batch_size": 8, "image_size": 128}
    raw["the transformer block's step, 8 × 128 × 256"] = run("roofline", **block, repeats=10 if quick else 30)
    return Found([], raw)


SECTIONS: dict[str, Callable[[bool], Found]] = {
    "step": step,
    "transformer": transformer,
    "recurrent": recurrent,
    "conv": convolutions,
    "gemm": products,
    "memory": memory,
    "overhead": overhead,
    "small": small,
    "shapes": shapes,
    "startup": startup,
    "busy": busy,
    "checkpoint": checkpoint,
    "roofline": roofline,
}
