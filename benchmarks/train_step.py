"""ResNet18's training step: torch as the tutorial writes it, torch channels_last, and numgrad, turn by turn.

Each runs in its own process with the same weights, images and number of threads. A turn is one step that is not counted
and then --steps that are; a part's number is the median of all turns.
"""

from __future__ import annotations

import json
import sys
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from benchmarks import common

PARTS = ("forward", "backward", "optimizer")
NUMGRAD, TORCH, TORCH_LAST = "numgrad", "torch", "torch channels_last"
# The tutorial's 1e-2 sends this loss, which has no lower bound, to infinity within some dozen steps.
LEARNING_RATE, MOMENTUM = 1e-6, 0.9


# ---- the sides --------------------------------------------------------------------------------------------------


def arrays(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """The same initial values for every side: each array depends on its name and shape alone."""
    import numpy as np

    made = {}
    for name, shape in shapes.items():
        random = np.random.default_rng(zlib.crc32(name.encode()))
        if name.endswith("num_batches_tracked"):
            made[name] = np.zeros(shape, np.int64)
        elif len(shape) > 1:
            spread = (2 / (shape[0] * int(np.prod(shape[2:])))) ** 0.5 if len(shape) == 4 else 0.03
            made[name] = (random.standard_normal(shape) * spread).astype(np.float32)
        else:
            low, high = (0.5, 1.5) if name.endswith(("weight", "running_var")) else (-0.1, 0.1)
            made[name] = random.uniform(low, high, shape).astype(np.float32)
    return made


def data(batch_size: int, image_size: int) -> tuple[Any, Any]:
    """Images and labels, as arrays."""
    import numpy as np

    random = np.random.default_rng(0)
    images = random.random((batch_size, 3, image_size, image_size), np.float32)
    return images, random.random((batch_size, 1000), np.float32)


def numgrad_side(batch_size: int, image_size: int, threads: int) -> Callable[..., Any]:
    """The step in numgrad."""
    import numgrad as ng
    from numgrad import models, optim

    if threads:
        ng.set_num_threads(threads)
    model = models.resnet18()
    model.load_state_dict(arrays({name: tuple(value.shape) for name, value in model.state_dict().items()}))
    images, labels = (ng.from_numpy(array) for array in data(batch_size, image_size))
    optimizer = optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
    return lambda steps: _steps(model, images, labels, optimizer, steps)


def torch_side(batch_size: int, image_size: int, threads: int, channels_last: bool = False) -> Callable[..., Any]:
    """The step in torch; ``channels_last`` as torch's guide to that layout says."""
    import torch

    from benchmarks.torch_resnet import ResNet18

    if threads:
        torch.set_num_threads(threads)
    model = ResNet18()
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays(shapes).items()})
    images, labels = (torch.from_numpy(array) for array in data(batch_size, image_size))
    if channels_last:
        model, images = model.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
    return lambda steps: _steps(model, images, labels, optimizer, steps)


def _steps(model: Any, images: Any, labels: Any, optimizer: Any, steps: int) -> dict[str, Any]:
    return timed_steps(lambda: (model(images) - labels).sum(), optimizer, steps)


def timed_steps(loss_of: Callable[[], Any], optimizer: Any, steps: int) -> dict[str, Any]:
    """One step to warm up, then ``steps``: seconds of each part of each step, and the first loss."""
    spent: dict[str, list[float]] = {part: [] for part in PARTS}
    for number in range(steps + 1):
        begin = time.perf_counter()
        loss = loss_of()
        predicted = time.perf_counter()
        loss.backward()
        derived = time.perf_counter()
        optimizer.step()
        optimizer.zero_grad()
        end = time.perf_counter()
        if number == 0:
            first = loss.item()
            continue
        for part, seconds in zip(PARTS, (predicted - begin, derived - predicted, end - derived), strict=True):
            spent[part].append(seconds)
    return {"seconds": spent, "loss": first}


def open_sides(stack: ExitStack, options: Mapping[str, Any], last: bool = True) -> dict[str, common.Side]:
    """numgrad's side, and torch's where torch is installed; they are closed with the stack."""
    jobs: dict[str, tuple[str, dict[str, Any]]] = {}
    if common.has("torch"):
        jobs[TORCH] = ("torch_side", {})
        if last:
            jobs[TORCH_LAST] = ("torch_side", {"channels_last": True})
    jobs[NUMGRAD] = ("numgrad_side", {})
    return {
        name: stack.enter_context(common.Side(f"benchmarks.train_step:{function}", {**options, **more}))
        for name, (function, more) in jobs.items()
    }


# ---- the comparison ---------------------------------------------------------------------------------------------


def measure(options: Mapping[str, Any], steps: int, rounds: int) -> dict[str, dict[str, Any]]:
    """Median seconds of each part, first loss and peak memory, by side."""
    with ExitStack() as stack:
        return measure_sides(open_sides(stack, options), steps, rounds)


def measure_sides(sides: Mapping[str, common.Side], steps: int, rounds: int) -> dict[str, dict[str, Any]]:
    """The same of sides that are open and whose jobs answer as `timed_steps` does."""
    turns = {name: lambda side=side: side.ask(steps=steps) for name, side in sides.items()}
    first = common.take_turns(turns, 1)  # compiles, and grows the pools
    results = common.take_turns(turns, rounds)
    found: dict[str, dict[str, Any]] = {}
    for name, side in sides.items():
        columns = {part: [s for turn in results[name] for s in turn["seconds"][part]] for part in PARTS}
        columns["total"] = [sum(parts) for parts in zip(*columns.values(), strict=True)]
        found[name] = {
            "seconds": {part: common.median(values) for part, values in columns.items()},
            "loss": first[name][0]["loss"],
            "peak_bytes": side.peak_bytes(),
        }
    return found


def main() -> int:
    """Print the table."""
    parser = common.parser(__doc__, batch_size=1, image_size=64, steps=10, rounds=5, threads=0)
    args = parser.parse_args()
    facts = common.machine()
    options = {"batch_size": args.batch_size, "image_size": args.image_size, "threads": args.threads}
    found = measure(options, args.steps, args.rounds)
    if args.json:
        print(
            json.dumps(
                {"machine": facts, **options, "steps": args.steps, "rounds": args.rounds, "sides": found}, indent=2
            )
        )
        return 0
    common.print_machine(facts)
    threads = args.threads or "all"
    print(
        f"ResNet18 training step, {args.batch_size} x 3 x {args.image_size} x {args.image_size}, float32, "
        f"{threads} threads"
    )
    rows = [
        [name, *(f"{1e3 * side['seconds'][part]:.2f}" for part in (*PARTS, "total")), f"{side['peak_bytes'] / 1e6:.0f}"]
        for name, side in found.items()
    ]
    common.print_table(["median ms", *PARTS, "total", "peak MB"], rows)
    for name in (TORCH, TORCH_LAST):
        if name in found:
            time_ratio = found[name]["seconds"]["total"] / found[NUMGRAD]["seconds"]["total"]
            memory_ratio = found[NUMGRAD]["peak_bytes"] / found[name]["peak_bytes"]
            difference = abs(found[name]["loss"] / found[NUMGRAD]["loss"] - 1)
            print(f"{name} / numgrad: time {time_ratio:.2f}; numgrad / {name}: memory {memory_ratio:.2f}; "
                  f"first losses differ by {difference:.1e}")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
