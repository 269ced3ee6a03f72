"""Every family of `numgrad.models`: the first training step of a new process, cold and warm, and later ones beside torch's.

*Cold* is the whole command ``numgrad train-step --steps 1`` with an empty store of kernels, *warm* the same again. Steps
(forward, backward, SGD with momentum) are medians of processes that take turns; torch's models are torchvision's, and without
it the column is left out. ``--cold 0`` leaves out what takes longest.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import common
from benchmarks.train_step import timed_steps

# Images are of 64 pixels a side, unless the network has to have more.
MODELS = {
    "alexnet": 64,
    "vgg11": 64,
    "resnet18": 64,
    "squeezenet1_1": 64,
    "googlenet": 64,
    "inception_v3": 299,
    "densenet121": 64,
    "mobilenet_v2": 64,
    "mobilenet_v3_small": 64,
    "mnasnet1_0": 64,
    "shufflenet_v2_x1_0": 64,
    "efficientnet_b0": 64,
    "regnet_y_400mf": 64,
    "convnext_tiny": 64,
    "vit_b_16": 224,
}
# Without the classifiers beside the network, so that both sides return one tensor; the first steps have them.
CONFIG = {"googlenet": {"aux_logits": False}, "inception_v3": {"aux_logits": False}}
SIDES = {"torch": "torch_side", "numgrad": "numgrad_side"}


def numgrad_side(model: str, batch_size: int, size: int) -> Callable[..., Any]:
    """The step in numgrad."""
    import numgrad as ng
    from numgrad import models, optim

    return _side(models, optim, ng.from_numpy, model, batch_size, size)


def torch_side(model: str, batch_size: int, size: int) -> Callable[..., Any]:
    """The step in torch."""
    import torch
    from torch import optim
    from torchvision import models

    return _side(models, optim, torch.from_numpy, model, batch_size, size)


def _side(models: Any, optim: Any, tensor: Any, name: str, batch_size: int, size: int) -> Callable[..., Any]:
    import numpy as np

    model = models.get_model(name, **CONFIG.get(name, {}))
    rng = np.random.default_rng(0)
    images: Any = tensor(rng.standard_normal((batch_size, 3, size, size)).astype(np.float32))
    optimizer = optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def loss() -> Any:
        return model(images).square().mean()

    return lambda steps: timed_steps(loss, optimizer, steps)


def first_steps(model: str, batch_size: int, size: int) -> dict[str, float]:
    """Seconds of the command for one step, with an empty store of kernels and with a filled one."""
    command = ["-m", "numgrad", "train-step", "--weights", "random", "--steps", "1", "--json"]
    command += ["--model", model, "--batch-size", str(batch_size), "--image-size", str(size)]
    found = {}
    with tempfile.TemporaryDirectory(prefix="numgrad-cold-") as store:
        for name in ("cold", "warm"):
            begin = time.perf_counter()
            subprocess.run(
                [sys.executable, *command],
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=common.environment(NUMGRAD_KERNEL_STORE=store),
            )
            found[name] = time.perf_counter() - begin
    return found


def measure(model: str, batch_size: int, size: int, steps: int, rounds: int, cold: bool) -> dict[str, float]:
    """What a model's row has, in seconds."""
    found = first_steps(model, batch_size, size) if cold else {}
    names = [name for name in SIDES if name == "numgrad" or all(map(common.has, ("torch", "torchvision")))]
    options = {"model": model, "batch_size": batch_size, "size": size}
    with ExitStack() as stack:
        sides = {name: stack.enter_context(common.Side(f"benchmarks.models:{SIDES[name]}", options)) for name in names}
        jobs = {name: (lambda side=side: side.ask(steps=steps)) for name, side in sides.items()}  # type: ignore[misc]
        for name, answers in common.take_turns(jobs, rounds).items():
            totals = [sum(parts) for each in answers for parts in zip(*each["seconds"].values(), strict=True)]
            found[name] = common.median(totals)
    return found


def _cells(found: dict[str, float]) -> list[str]:
    ratio = f"{found['torch'] / found['numgrad']:.2f}" if "torch" in found else ""
    seconds = [f"{found[name]:.1f}" if name in found else "" for name in ("cold", "warm")]
    return [*seconds, *(f"{1e3 * found[name]:.1f}" if name in found else "" for name in SIDES), ratio]


HEAD = ("model", "images", "cold, s", "warm, s", "torch, ms", "numgrad, ms", "torch / numgrad")


def as_page(facts: dict[str, Any], batch_size: int, rows: Sequence[Sequence[str]]) -> str:
    """The table as a page in Markdown."""
    lines = ["# Models", "", " ".join((__doc__ or "").split("\n\n", 1)[1].split()), ""]
    versions = ", ".join(
        f"{name} {facts[name]}" for name in ("numgrad", "numba", "torch", "torchvision") if facts[name]
    )
    lines += [
        f"{facts['cpu']}, {facts['cpus']} CPUs; {versions}; float32, batches of {batch_size}. Other programs ran meanwhile "
        f"(load {facts['load']:.1f}), so compare columns and not rows: `python -m benchmarks.models`.",
        "",
        f"| {' | '.join(HEAD)} |",
        "|---|---|" + "---:|" * (len(HEAD) - 2),
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Print the table, row by row."""
    parser = common.parser(__doc__, batch_size=4, steps=3, rounds=5, cold=1)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"some of {', '.join(MODELS)} (default: all)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the table to a page in Markdown, too")
    args = parser.parse_args()
    facts = common.machine(("numgrad", "numba", "numpy", "torch", "torchvision"))
    found, rows = {}, []
    if not args.json:
        common.print_machine(facts)
    for model in args.models or MODELS:
        size = MODELS.get(model, 224)
        found[model] = measure(model, args.batch_size, size, args.steps, args.rounds, bool(args.cold))
        rows.append([model, f"{size} x {size}", *_cells(found[model])])
        if args.output:
            args.output.write_text(as_page(facts, args.batch_size, rows), "utf-8")
        if not args.json:
            print("  ".join(rows[-1]), flush=True)
    if args.json:
        print(json.dumps({"machine": facts, "batch_size": args.batch_size, "models": found}, indent=2))
        return 0
    common.print_table(HEAD, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
