"""Shapes never seen before: what the first call with each takes beyond a later one, and what 2,000 of them leave behind; and what
a step takes where many shapes recur in turn.
"""

from __future__ import annotations

import gc
import json
import mmap
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import common

FIRST, WARM = 41, 24  # the smallest number of rows; how many shapes each case has had before it is measured
NEW_SHAPES = 2000
RECURRING, ROUNDS = (10, 200, 400), 7  # numbers of shapes; the first rounds learn


def _cases(lib: Any, functional: Any) -> dict[str, tuple[Callable[[int], tuple[Any, ...]], Callable[..., Any]]]:
    """By name: the operands for a number of rows, and the call."""
    nn = lib.nn
    weight, bias = lib.rand(16, 5, requires_grad=True), lib.rand(16, requires_grad=True)
    table, gain = lib.rand(50, 16, requires_grad=True), lib.rand(16, requires_grad=True)
    cell = nn.LSTMCell(5, 16)

    def rows(width: int, count: int = 1) -> Callable[[int], tuple[Any, ...]]:
        return lambda n: tuple([lib.rand(n, width, requires_grad=True) for _ in range(count)])

    def with_labels(n: int) -> tuple[Any, ...]:
        return lib.rand(n, 5, requires_grad=True), (lib.rand(n) * 5).long()

    def labels(n: int) -> tuple[Any, ...]:
        return ((lib.rand(n) * 50).long(),)

    return {
        "x * 2": (rows(5), lambda x: x * 2),
        "x * y": (rows(5, 2), lambda x, y: x * y),
        "x + bias": (rows(16), lambda x: x + bias),
        "relu": (rows(5), lib.relu),
        "sum": (rows(5), lambda x: x.sum()),
        "mean(1)": (rows(5), lambda x: x.mean(1)),
        "amax(1)": (rows(5), lambda x: x.amax(1)),
        "x @ w": (rows(16), lambda x: x @ weight),
        "linear": (rows(5), lambda x: functional.linear(x, weight, bias)),
        "softmax": (rows(5), lambda x: functional.softmax(x, 1)),
        "cross_entropy": (with_labels, functional.cross_entropy),
        "layer_norm": (rows(16), lambda x: functional.layer_norm(x, (16,), gain, bias)),
        "embedding": (labels, lambda i: functional.embedding(i, table)),
        "x[2:-1]": (rows(5), lambda x: x[2:-1]),
        "x[3]": (rows(5), lambda x: x[3]),
        "cat": (rows(5, 2), lambda *x: lib.cat(x)),
        "stack": (rows(5, 2), lambda *x: lib.stack(x)),
        "reshape": (rows(6), lambda x: x.reshape(-1, 3)),
        "view": (rows(6), lambda x: x.view(-1)),
        "transpose": (rows(6), lambda x: x.transpose(0, 1)),
        "dropout": (rows(5), lambda x: functional.dropout(x, 0.3)),
        "LSTMCell": (rows(5), lambda x: cell(x)[0]),
    }


def numgrad_side(threads: int) -> Callable[..., Any]:
    """The job in numgrad."""
    import numgrad as ng
    import numgrad.nn.functional as functional
    from numgrad.runtime.fast import start

    start.load()
    return _job(ng, functional, threads, _state)


def torch_side(threads: int) -> Callable[..., Any]:
    """The job in torch."""
    import torch
    import torch.nn.functional as functional

    return _job(torch, functional, threads, lambda: {})


def _state() -> dict[str, float]:
    """Plans that are kept, and kernels that are loaded."""
    from numgrad.registry import plans
    from numgrad.runtime.kernel import Kernel

    kernels = sum(len(each._entries) for each in gc.get_objects() if isinstance(each, Kernel))
    return {"plans": sum(len(op.plans) for op in list(plans.ops)), "kernels": kernels}


def _resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE if sys.platform == "linux" else 0


def _job(lib: Any, functional: Any, threads: int, state: Callable[[], dict[str, float]]) -> Callable[..., Any]:
    if threads:
        lib.set_num_threads(threads)
    lib.manual_seed(0)
    cases = _cases(lib, functional)
    nn = lib.nn
    model = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = lib.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def step(n: int) -> float:
        points, targets = lib.rand(n, 5), lib.rand(n, 1)
        begin = time.perf_counter()
        optimizer.zero_grad()
        functional.mse_loss(model(points), targets).backward()
        optimizer.step()
        return time.perf_counter() - begin

    def recurring(shapes: int) -> float:
        """Seconds of a step of five functions of several ops with their backward, of the median of the last rounds."""
        operands = []
        for n in range(FIRST, FIRST + shapes):
            x, y, labels = lib.rand(n, 5, requires_grad=True), lib.rand(n, 5), (lib.rand(n) * 5).long()
            calls = (
                lambda x, y, labels: functional.cross_entropy(x, labels, label_smoothing=0.1),
                lambda x, y, labels: functional.cosine_similarity(x, y),
                lambda x, y, labels: functional.kl_div(x, y, log_target=True, reduction="batchmean"),
                lambda x, y, labels: functional.normalize(x),
                lambda x, y, labels: functional.poisson_nll_loss(x, y),
            )
            operands.append((x, y, labels, [(call, lib.ones_like(call(x, y, labels).detach())) for call in calls]))
        seconds = []
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            for x, y, labels, calls_and_cotangents in operands:
                for call, cotangent in calls_and_cotangents:
                    x.grad = None
                    call(x, y, labels).backward(cotangent)
            seconds.append((time.perf_counter() - begin) / shapes)
        return common.median(seconds[ROUNDS // 2 :])

    def first_and_later(make: Callable[[int], Any], call: Callable[..., Any], n: int) -> list[list[float]]:
        """Seconds forward and backward, of the first call with these shapes and of the third."""
        operands, seconds = make(n), []
        for _ in range(3):
            begin = time.perf_counter()
            result = call(*operands)
            forward = time.perf_counter() - begin
            cotangent = lib.ones_like(result)
            begin = time.perf_counter()
            result.backward(cotangent)
            seconds.append([forward, time.perf_counter() - begin])
        return [seconds[0], seconds[2]]

    def measure(shapes: int) -> dict[str, Any]:
        found: dict[str, list[float]] = {}
        for name, (make, call) in cases.items():
            runs = [first_and_later(make, call, FIRST + n) for n in range(WARM + shapes)][WARM:]
            found[name] = [common.median(first[k] - later[k] for first, later in runs) for k in (0, 1)]
        for n in range(1000 - 2 * WARM, 1000):
            step(n)
        extra = []
        for n in range(1000, 1000 + shapes):
            first = step(n)
            step(n)
            extra.append(first - step(n))
        found["MLP's step"] = [common.median(extra)]
        before, kernels = _resident(), state()
        for n in range(2000, 2000 + NEW_SHAPES):
            step(n)
        gc.collect()
        facts = {"megabytes": (_resident() - before) / 1e6, "before": kernels, "after": state()}
        return {"seconds": found, **facts, "recurring": [recurring(count) for count in RECURRING]}

    return measure


def main() -> int:
    """Print the table."""
    args = common.parser(__doc__, shapes=40, threads=0).parse_args()
    facts = common.machine()
    with ExitStack() as stack:
        names = ["torch", "numgrad"] if common.has("torch") else ["numgrad"]
        options = {"threads": args.threads}
        sides = {name: stack.enter_context(common.Side(f"benchmarks.shapes:{name}_side", options)) for name in names}
        found = {name: side.ask(shapes=args.shapes) for name, side in sides.items()}
    if args.json:
        print(json.dumps({"machine": facts, **found}, indent=2))
        return 0
    common.print_machine(facts)
    rows = [
        [case, *[" + ".join(f"{1e6 * value:.0f}" for value in found[name]["seconds"][case]) for name in names]]
        for case in found["numgrad"]["seconds"]
    ]
    common.print_table(["µs more the first time, forward + backward", *names], rows)
    turns = [[str(n), *[f"{1e6 * found[name]['recurring'][k]:.0f}" for name in names]] for k, n in enumerate(RECURRING)]
    common.print_table(["recurring shapes: µs a step of five functions", *names], turns)
    ours = found["numgrad"]
    print(
        f"after {NEW_SHAPES} new shapes of the MLP's step: {ours['after']['plans']:.0f} plans are kept, memory grew by "
        f"{ours['megabytes']:.0f} MB"
        + (f" (torch: {found['torch']['megabytes']:.0f} MB)" if "torch" in found else "")
        + f", {ours['after']['kernels'] - ours['before']['kernels']:.0f} kernels were loaded or compiled"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
