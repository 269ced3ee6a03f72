"""Each kernel of a training step, ResNet18's or a transformer block's: its time, and its share of what this machine can do.

The machine's limits are measured in the same run: multiply-adds by the micro-kernel on operands in the first cache, memory by
``y += a * x`` on arrays far larger than the caches. A step is recorded and its launches are run again one by one, in their
order, so that what lies in a cache is what lies there in a step. A launch's limit is the larger of its operations at the
one rate and its operands, each counted once, at the other: what a cache has kept needs no memory, and the share of such a
launch may be above 1.
"""

from __future__ import annotations

import ctypes
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import numgrad as ng
from benchmarks import common
from benchmarks.train_step import arrays, data
from benchmarks.transformer_step import block
from numgrad import models, nn, optim
from numgrad.compile import Recording
from numgrad.runtime import program, simd, target, threads
from numgrad.runtime.kernel import Kernel, kernel
from numgrad.runtime.program import Address, Array, Launch, Pair, Program

_ITEMSIZE = {"f4": 4, "f8": 8, "i1": 1, "i2": 2, "i4": 4, "i8": 8, "u1": 1, "b1": 1}
# Kernels whose launch cost is an eighth of their multiplications (see `kernels.gemm_rows`).
_MULTIPLYING = (
    "multiply_rows",
    "multiply_panels",
    "multiply_blocks",
    "sum_outer_products",
    "stream_input",
    "stream_weight",
)
# Kernels that are given a table of addresses: bytes that pass for each element.
_TABLE_BYTES = {"sgd": 20, "adam": 28}


# ---- the limits -------------------------------------------------------------------------------------------------


def peak_flops(seconds: float = 0.5) -> float:
    """float32 operations a second of the micro-kernel, two for each multiply-add, on all threads."""
    rows, vectors = target.host_target().tiles.many
    columns = vectors * target.host_target().lanes(4)
    steps, segments, calls = 64, 64, 64
    tile = simd.broadcast_tile("f4", rows, vectors)

    @kernel("i8, " * 7)
    def multiply(table, segments, steps, b, b_step, out_rows, columns, start, stop, worker):
        for _ in range(start, stop):
            place = out_rows + worker * 8 * 64
            tile(table, segments, steps, 0, b, b_step, b, place, 0, columns, 0)

    a, b = np.full((rows, steps), 1e-3, np.float32), np.full((steps, columns), 1e-3, np.float32)
    out = np.zeros((threads.get_num_threads(), 64, columns), np.float32)
    table = np.array([[0, *(a[i].ctypes.data for i in range(rows))]] * segments, np.int64)
    out_rows = np.array([[one[i].ctypes.data for i in range(64)] for one in out], np.int64)
    arguments = (
        table.ctypes.data, segments, steps, b.ctypes.data, 4 * columns, out_rows.ctypes.data, columns,
    )  # fmt: skip
    best = _best(_program(multiply, (), arguments, work=calls), (), seconds)
    return 2 * rows * columns * steps * segments * calls / best


def peak_bytes(seconds: float = 1.0) -> float:
    """Bytes a second of ``y += a * x``: two arrays read, one of them written."""

    @kernel("f4[:], f4[:]")
    def add_multiple(x, y, start, stop):
        x, y = x[start:stop], y[start:stop]
        for i in range(x.shape[0]):
            y[i] = y[i] + np.float32(0.5) * x[i]

    count = 1 << 25
    x, y = np.ones(count, np.float32), np.ones(count, np.float32)
    arguments = (Array(Address(0), (count,)), Array(Address(1), (count,)))
    made = _program(add_multiple, (), arguments, work=count, grain=1 << 18, addresses=2)
    return 12 * count / _best(made, (x.ctypes.data, y.ctypes.data), seconds)


def _program(
    run: Kernel, binding: tuple[str, ...], arguments: tuple[Any, ...], work: int, grain: int = 1, addresses: int = 0
) -> Program:
    return Program([Launch(run, binding, arguments, work, grain, 1 << 30, threads.get_num_threads())], addresses)


def _best(made: Program, addresses: tuple[int, ...], seconds: float) -> float:
    spent = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(spent) < 3:
        begin = time.perf_counter()
        program.launch(made, *addresses)
        spent.append(time.perf_counter() - begin)
    return min(spent)


# ---- the step ---------------------------------------------------------------------------------------------------


class _Timed(Recording):
    """A recording that keeps the launches, and runs them one by one with a watch in its hand."""

    def __init__(self) -> None:
        super().__init__()
        self.launches: list[Launch | Pair] = []
        self.kernels: list[str] = []

    def launched(self, launched: Program, addresses: tuple[int, ...]) -> None:
        super().launched(launched, addresses)
        self.launches += launched.launches
        self.kernels += launched.names()

    def seconds(self, repeats: int) -> list[float]:
        """Median seconds of each launch."""
        self.replay()
        assert self._stretches is not None
        (rows,) = self._stretches  # a step of launches alone
        assert isinstance(rows, np.ndarray)
        run = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 3)(program.run_bound.address())
        first, width = rows.ctypes.data, rows.strides[0]
        spent: list[list[float]] = [[] for _ in self.launches]
        for _ in range(repeats):
            for number, times in enumerate(spent):
                begin = time.perf_counter()
                run(threads.ADDRESS, first + width * number, 1)
                times.append(time.perf_counter() - begin)
        return [common.median(times) for times in spent]


def operations_and_bytes(launch: Launch | Pair) -> tuple[float, float]:
    """What a launch computes, and the size of what it reads and writes."""
    if isinstance(launch, Pair):
        (first, one), (second, two) = (operations_and_bytes(part) for part in launch.parts)
        return first + second, one + two
    name = launch.kernel.name
    for table, each in _TABLE_BYTES.items():
        if name == table:
            return 2.0 * launch.cost, float(each * launch.cost)
    total = 0
    for parameter, argument in zip(launch.kernel.bound(launch.binding), launch.arguments, strict=True):
        if isinstance(argument, Array):
            total += int(np.prod(argument.shape, dtype=np.int64)) * _ITEMSIZE[parameter.type]
    return (16.0 if name in _MULTIPLYING else 1.0) * launch.cost, float(total)


def resnet18_step(batch_size: int, image_size: int) -> Callable[[], None]:
    """The tutorial's step."""
    model = models.resnet18()
    model.load_state_dict(arrays({name: tuple(value.shape) for name, value in model.state_dict().items()}))
    images, labels = (ng.from_numpy(array) for array in data(batch_size, image_size))
    optimizer = optim.SGD(model.parameters(), lr=1e-6, momentum=0.9)
    return _stepping(lambda: (model(images) - labels).sum(), optimizer)


def transformer_step(batch_size: int, image_size: int) -> Callable[[], None]:
    """The step of `benchmarks.transformer_step`; ``image_size`` counts tokens."""
    model = block(nn, nn.functional.scaled_dot_product_attention, 256, 4, 0.1)
    x, goal = ng.randn(batch_size, image_size, 256), ng.randn(batch_size, image_size, 256)
    return _stepping(lambda: ((model(x) - goal) ** 2).mean(), optim.AdamW(model.parameters(), lr=1e-4))


def _stepping(loss: Callable[[], ng.Tensor], optimizer: optim.Optimizer) -> Callable[[], None]:
    def step() -> None:
        loss().backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


STEPS = {"resnet18": resnet18_step, "transformer": transformer_step}


def measure(name: str, batch_size: int, image_size: int, repeats: int) -> dict[str, Any]:
    """The machine's limits, and a row for each kernel of the step, the one that takes longest first."""
    limits = {"flops": peak_flops(), "bytes": peak_bytes()}
    step = STEPS[name](batch_size, image_size)
    for _ in range(2):
        step()
    with _Timed() as recording:
        step()
    kernels: dict[str, dict[str, Any]] = {}
    for launch, name, seconds in zip(recording.launches, recording.kernels, recording.seconds(repeats), strict=True):
        operations, size = operations_and_bytes(launch)
        row = kernels.setdefault(
            name, {"launches": 0, "seconds": 0.0, "operations": 0.0, "bytes": 0.0, "limit_seconds": 0.0}
        )
        row["launches"] += 1
        row["seconds"] += seconds
        row["operations"] += operations
        row["bytes"] += size
        row["limit_seconds"] += max(operations / limits["flops"], size / limits["bytes"])
    for row in kernels.values():
        row["share"] = row["limit_seconds"] / row["seconds"]
    ordered = dict(sorted(kernels.items(), key=lambda item: -item[1]["seconds"]))
    return {"limits": limits, "kernels": ordered}


def main() -> int:
    """Print the table."""
    parser = common.parser(__doc__, batch_size=1, image_size=64, repeats=15)
    parser.add_argument(
        "--step", default="resnet18", choices=STEPS, help="whose step; the transformer's image size is its tokens"
    )
    args = parser.parse_args()
    facts = common.machine()
    found = measure(args.step, args.batch_size, args.image_size, args.repeats)
    if args.json:
        print(
            json.dumps(
                {
                    "machine": facts,
                    "step": args.step,
                    "batch_size": args.batch_size,
                    "image_size": args.image_size,
                    **found,
                },
                indent=2,
            )
        )
        return 0
    common.print_machine(facts)
    limits, kernels = found["limits"], found["kernels"]
    print(f"limits: {limits['flops'] / 1e9:.0f} GFLOP/s, {limits['bytes'] / 1e9:.0f} GB/s")
    rows = [
        [name, str(k["launches"]), f"{1e3 * k['seconds']:.3f}", f"{1e-9 * k['operations'] / k['seconds']:.1f}",
         f"{1e-9 * k['bytes'] / k['seconds']:.1f}", f"{1e3 * k['limit_seconds']:.3f}", f"{k['share']:.2f}"]
        for name, k in kernels.items()
    ]  # fmt: skip
    total, limit = (sum(k[key] for k in kernels.values()) for key in ("seconds", "limit_seconds"))
    rows.append(["all", str(sum(k["launches"] for k in kernels.values())), f"{1e3 * total:.3f}", "", "",
                 f"{1e3 * limit:.3f}", f"{limit / total:.2f}"])  # fmt: skip
    common.print_table(["kernel", "launches", "ms", "GFLOP/s", "GB/s", "limit ms", "share of the limit"], rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
