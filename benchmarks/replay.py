"""Whole training steps, captured and replayed: numgrad op by op, `ng.jit`, torch, torch.compile and JAX's jit, turn by turn.

``python -m benchmarks.replay --write`` makes docs/benchmarks/replay.md. Each side runs in a process of its own with the same
weights and data, and only one is at work at a time. What is counted is a whole step: forward, backward, the optimizer.
Inputs stay where they are, since each library has its own best way of bringing them there. JAX updates donated buffers, and is
waited for at the end of a turn and not after each step, which is its best way.
"""

from __future__ import annotations

import functools
import gc
import json
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import common
from benchmarks.train_step import LEARNING_RATE, MOMENTUM, arrays, data
from benchmarks.transformer_step import block

PAGE = common.ROOT / "docs" / "benchmarks" / "replay.md"
EAGER, REPLAY, FUSED = "numgrad, op by op", "ng.jit", "ng.jit, fuse=True"
TORCH, COMPILED, JAX = "torch", "torch.compile", "jax.jit"
TOKENS, WIDTH, HEADS, BATCH = 128, 256, 4, 8


class Case(NamedTuple):
    """A step: how many of it a turn has, and how its rows are named."""

    name: str
    steps: int
    rounds: int


CASES = {
    "mlp_small": Case("MLP 2-16-16-1, batch 32, MSE, SGD with momentum", 300, 15),
    "mlp": Case("MLP 784-256-10, batch 64, cross-entropy, SGD with momentum", 50, 9),
    "transformer": Case(f"transformer block, {BATCH} x {TOKENS} x {WIDTH}, {HEADS} heads, MSE, AdamW", 4, 7),
    "tutorial": Case("ResNet18, 1 x 3 x 64 x 64 (torch's autograd tutorial), SGD with momentum", 5, 7),
    "resnet": Case("ResNet18, 8 x 3 x 224 x 224, SGD with momentum", 1, 5),
}


# ---- the steps, in the words that torch and numgrad share ----------------------------------------------------------


def _perceptron(nn: Any, sizes: tuple[int, ...]) -> Any:
    layers = [part for pair in pairwise(sizes) for part in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def inputs_of(case: str) -> tuple[Any, Any]:
    """Inputs and what is wanted, as arrays."""
    import numpy as np

    random = np.random.default_rng(0)
    if case == "mlp_small":
        return random.standard_normal((32, 2), np.float32), random.standard_normal((32, 1), np.float32)
    if case == "mlp":
        return random.standard_normal((64, 784), np.float32), random.integers(0, 10, 64)
    if case == "transformer":
        shape = (BATCH, TOKENS, WIDTH)
        return random.standard_normal(shape, np.float32), random.standard_normal(shape, np.float32)
    return data(*((1, 64) if case == "tutorial" else (8, 224)))


def _loaded(lib: Any, model: Any, tensor: Any) -> Any:
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    model.load_state_dict({name: tensor(array) for name, array in arrays(shapes).items()})
    return model


def parts_of(lib: Any, case: str, resnet: Callable[[], Any]) -> tuple[Any, Any, Callable[[Any, Any], Any]]:
    """The model, the optimizer and the loss of a prediction."""
    nn, losses = lib.nn, lib.nn.functional
    if case in ("mlp_small", "mlp"):
        model = _loaded(lib, _perceptron(nn, (2, 16, 16, 1) if case == "mlp_small" else (784, 256, 10)), lib.from_numpy)
        optimizer = lib.optim.SGD(model.parameters(), lr=1e-3, momentum=MOMENTUM)
        return model, optimizer, losses.mse_loss if case == "mlp_small" else losses.cross_entropy
    if case == "transformer":
        model = _loaded(lib, block(nn, losses.scaled_dot_product_attention, WIDTH, HEADS, 0.0), lib.from_numpy)
        return model, lib.optim.AdamW(model.parameters(), lr=1e-4), losses.mse_loss
    model = _loaded(lib, resnet(), lib.from_numpy)
    optimizer = lib.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
    return model, optimizer, lambda predicted, wanted: (predicted - wanted).sum()


def training_step(model: Any, optimizer: Any, loss_of: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


# ---- the sides --------------------------------------------------------------------------------------------------


def numgrad_side(case: str, kind: str) -> Callable[..., Any]:
    """The step in numgrad, op by op or replayed."""
    import numgrad as ng
    from numgrad.models import resnet18

    x, y = map(ng.from_numpy, inputs_of(case))
    step = training_step(*parts_of(ng, case, resnet18))
    loss = step(x, y).item()
    for _ in range(3):  # kernels are compiled, states begun
        eager = _seconds(lambda: step(x, y).item())
    if kind == EAGER:
        return _job(lambda: step(x, y), lambda loss: loss.item(), 0.0, loss=loss)
    replayed = ng.jit(step, fuse=kind == FUSED)
    first = _seconds(lambda: replayed(x, y).item())
    replayed(x, y)
    stats = ng.jit.stats(replayed)
    assert (stats.captures, stats.replays) == (1, 1), stats
    other = ng.jit(step, fuse=kind == FUSED)
    second = _seconds(lambda: other(x, y).item())
    facts = {"eager": eager, "second": second, "launches": stats.launches, "planned": stats.planned}
    return _job(lambda: replayed(x, y), lambda loss: loss.item(), first, loss=loss, **facts)


def torch_side(case: str, kind: str) -> Callable[..., Any]:
    """The step in torch; compiled are the loss with its gradient, and the optimizer's step, as torch's guide says."""
    import torch

    from benchmarks.torch_resnet import ResNet18

    x, y = map(torch.from_numpy, inputs_of(case))
    model, optimizer, loss_of = parts_of(torch, case, ResNet18)
    if kind == TORCH:
        step = training_step(model, optimizer, loss_of)
        loss = step(x, y).item()
        return _job(lambda: step(x, y), lambda loss: loss.item(), 0.0, loss=loss)
    compiled = torch.compile(lambda x, y: loss_of(model(x), y))
    update = torch.compile(optimizer.step)

    def whole() -> Any:
        optimizer.zero_grad()
        loss = compiled(x, y)
        loss.backward()
        update()
        return loss.detach()

    losses: list[float] = []
    first = _seconds(lambda: losses.append(whole().item())) + _seconds(
        lambda: whole().item()
    )  # the optimizer's first step is another
    for _ in range(3):
        whole()
    return _job(whole, lambda loss: loss.item(), first, loss=losses[0])


def jax_side(case: str, kind: str) -> Callable[..., Any]:
    """The step in JAX: pure functions, the whole step under one ``jit``."""
    import jax
    import jax.numpy as jnp

    from benchmarks import jax_steps

    weights, states, step = jax_steps.step_of(case, arrays)
    x, y = map(jnp.asarray, inputs_of(case))
    compiled = jax.jit(step, donate_argnums=(0, 1))
    now = [jax.tree.map(jnp.array, weights), jax.tree.map(jnp.array, states)]

    def run() -> Any:
        *now[:], loss = compiled(*now, x, y)
        return loss

    losses: list[float] = []
    first = _seconds(lambda: losses.append(float(run())))
    for _ in range(3):
        run()
    return _job(run, float, first, loss=losses[0])


def _seconds(action: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def _job(run: Callable[[], Any], value: Callable[[Any], float], first: float, **facts: Any) -> Callable[..., Any]:
    """A turn: seconds and CPU seconds of a step."""

    def turn(steps: int) -> dict[str, Any]:
        gc.collect()
        value(run())
        begin, cpu = time.perf_counter(), time.process_time()
        for _ in range(steps):
            out = run()
        value(out)
        end, end_cpu = time.perf_counter(), time.process_time()
        return {"seconds": (end - begin) / steps, "cpu": (end_cpu - cpu) / steps, "first": first, **facts}

    return turn


# ---- the comparison ---------------------------------------------------------------------------------------------


def sides_of() -> dict[str, str]:
    """The function of each side by its name; those whose library is not there are left out."""
    sides = {EAGER: "numgrad_side", REPLAY: "numgrad_side", FUSED: "numgrad_side"}
    if common.has("torch"):
        sides |= {TORCH: "torch_side", COMPILED: "torch_side"}
    if common.has("jax"):
        sides[JAX] = "jax_side"
    return sides


def measure(case: str, rounds: int | None, chosen: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Median seconds of a step, of the first call, and peak memory, by side; a side that fails has its error."""
    steps, turns = CASES[case].steps, rounds or CASES[case].rounds
    found: dict[str, dict[str, Any]] = {}
    with ExitStack() as stack:
        sides = {}
        for name, function in chosen.items():
            try:
                side = common.Side(f"benchmarks.replay:{function}", {"case": case, "kind": name})
            except SystemExit as error:
                found[name] = {"error": str(error)}
                continue
            sides[name] = stack.enter_context(side)
        jobs = {name: functools.partial(side.ask, steps=steps) for name, side in sides.items()}
        common.take_turns(jobs, 1)
        results = common.take_turns(jobs, turns)
        for name, several in results.items():
            medians = {key: common.median(each[key] for each in several) for key in ("seconds", "cpu")}
            best = min(each["seconds"] for each in several)
            found[name] = {**several[0], **medians, "best": best, "peak_bytes": sides[name].peak_bytes()}
    return found


def rows_of(found: dict[str, dict[str, Any]]) -> list[list[str]]:
    """The cells of a table's rows."""
    rows = []
    for name, side in found.items():
        if "error" in side:
            rows.append([name, "fails", *[""] * 6])
            continue
        ours = found[REPLAY]
        rows.append([
            name,
            _time(side["seconds"]),
            _time(side["best"]),
            _time(side["cpu"]),
            f"{side['seconds'] / ours['seconds']:.2f}",
            f"{side['best'] / ours['best']:.2f}",
            _time(side["first"]) if side["first"] else "",
            f"{(side['peak_bytes'] or 0) / 1e6:.0f}",
        ])  # fmt: skip
    return rows


HEAD = ["", "step", "best turn", "CPU time", "÷ `ng.jit`", "best ÷ best", "capture or compile", "peak MB"]


def _time(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e3)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def page_of(results: dict[str, Any], facts: dict[str, Any]) -> str:
    """docs/benchmarks/replay.md."""
    versions = ", ".join(f"{k} {facts[k]}" for k in ("numgrad", "numba", "numpy", "torch", "jax") if facts.get(k))
    lines = [
        "# Replayed training steps",
        "",
        f"{facts['cpu']}, {facts['cpus']} CPUs; Python {facts['python']}, {versions}. Made by `python -m benchmarks.replay "
        "--write`, while other work ran on the machine: each side in a process of its own, one after the other, at a priority "
        "above that work. Medians of turns, and the best turn. `÷ ng.jit` says how many times as long as `ng.jit` a side takes. "
        "Peak memory is that of the whole process, libraries included. torch.compile is given the loss and the optimizer's "
        "step; `jax.jit` the whole step, with donated buffers.",
    ]
    for case in filter(results.__contains__, CASES):
        found = results[case]
        lines += ["", f"## {CASES[case].name}", "", f"| {' | '.join(HEAD)} |", f"|---|{'---:|' * (len(HEAD) - 1)}"]
        lines += [f"| {' | '.join(row)} |" for row in rows_of(found)]
        ours = found[REPLAY]
        lines += [
            "",
            f"{ours['launches']} launches, planned memory of {ours['planned'] / 1e6:.3g} MB. The first capture of the process took "
            f"{ours['first'] / ours['eager']:.1f} times as long as the eager step before it, the next one "
            f"{ours['second'] / ours['eager']:.1f} times.",
        ]
        losses = {name: side["loss"] for name, side in found.items() if "loss" in side}
        spread = max(abs(loss / losses[EAGER] - 1) for loss in losses.values())
        lines += [f"First losses differ by at most {spread:.0e}."]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Print the tables, or write the page."""
    parser = common.parser(__doc__, rounds=0)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), help="these cases")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(common.ROOT)}")
    parser.add_argument(
        "--without", nargs="+", choices=(EAGER, FUSED, TORCH, COMPILED, JAX), default=[], help="these sides"
    )
    parser.add_argument(
        "--keep", type=Path, help="a file of all numbers, to which these are added; --write takes them all"
    )
    args = parser.parse_args()
    facts = common.machine(("numgrad", "numba", "numpy", "torch", "jax"))
    results = json.loads(args.keep.read_text("utf-8"))["cases"] if args.keep and args.keep.exists() else {}
    chosen = {name: function for name, function in sides_of().items() if name not in args.without}
    for case in args.only:
        results[case] = measure(case, args.rounds or None, chosen)
        if not args.json:
            print(f"\n{CASES[case].name}")
            common.print_table(HEAD, rows_of(results[case]))
    if args.json:
        print(json.dumps({"machine": facts, "cases": results}, indent=2))
    if args.keep:
        args.keep.write_text(json.dumps({"machine": facts, "cases": results}, indent=2), "utf-8")
    if args.write:
        PAGE.write_text(page_of(results, facts), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
