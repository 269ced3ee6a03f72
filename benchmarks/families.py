"""A roofline for each family of ops: the bytes a second that it reaches, beside what this machine can do.

A family's bytes are those that have to pass at least: each operand once. The limits are measured in the same run, by loops that
only read, only write, or read two numbers and write one; *outside* on arrays that are larger than the caches, *inside* on
arrays that fit the second cache of one CPU, where the units that load and store are the limit. Both are called as ops are,
so what a launch costs is in both.
"""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import numgrad as ng
import numgrad.nn.functional as F
from benchmarks import common
from numgrad import optim
from numgrad.compile import Recording
from numgrad.runtime import program, threads
from numgrad.runtime.kernel import kernel
from numgrad.runtime.program import Address, Array, Launch, Program

SHAPES = {"inside": (128, 256), "outside": (4096, 4096)}
# Family: what is called, what limits it, and bytes for each element.
FAMILIES: dict[str, tuple[Callable[..., Any], str, int]] = {
    "pointwise, one input: relu": (lambda x, y: x.relu(), "update", 8),
    "pointwise, two inputs: +": (lambda x, y: x + y, "update", 12),
    "pointwise, every other element: +": (lambda x, y: x[:, ::2] + y[:, ::2], "update", 10),
    "transcendental: exp": (lambda x, y: x.exp(), "update", 8),
    "transcendental: tanh": (lambda x, y: x.tanh(), "update", 8),
    "reduction over all: sum": (lambda x, y: x.sum(), "read", 4),
    "reduction over dim 0: sum": (lambda x, y: x.sum(0), "read", 4),
    "reduction over dim 1: sum": (lambda x, y: x.sum(1), "read", 4),
    "reduction over dim 1: amax": (lambda x, y: x.amax(1), "read", 4),
    "softmax over dim 1": (lambda x, y: F.softmax(x, 1), "update", 8),
    "softmax over dim 0": (lambda x, y: F.softmax(x, 0), "update", 8),
    "norm: layer_norm": (lambda x, y: F.layer_norm(x, (x.shape[1],)), "update", 8),
    "random numbers: rand": (lambda x, y: ng.rand(*x.shape), "write", 4),
    "random numbers: randn": (lambda x, y: ng.randn(*x.shape), "write", 4),
}
OPTIMIZERS: dict[str, tuple[Callable[[list[Any]], Any], int]] = {
    "optimizer: SGD with momentum": (lambda p: optim.SGD(p, lr=1e-3, momentum=0.9), 20),
    "optimizer: Adam": (lambda p: optim.Adam(p, lr=1e-3), 28),
}


@kernel("f4[:], f4[:], f4[:]", reassociate=True)
def read(x, y, sums, start, stop):
    x, total = x[start:stop], np.float32(0)
    for i in range(x.shape[0]):
        total += x[i]
    sums[start // GRAIN] = total


@kernel("f4[:], f4[:], f4[:]")
def write(x, y, sums, start, stop):
    y = y[start:stop]
    for i in range(y.shape[0]):
        y[i] = np.float32(0.5)


@kernel("f4[:], f4[:], f4[:]")
def update(x, y, sums, start, stop):
    x, y = x[start:stop], y[start:stop]
    for i in range(x.shape[0]):
        y[i] = y[i] + np.float32(0.5) * x[i]


GRAIN = 1 << 14


def limits(count: int, seconds: float = 0.3) -> dict[str, float]:
    """Bytes a second of the three loops over arrays of so many float32."""
    x, y, sums = np.ones(count, np.float32), np.ones(count, np.float32), np.ones(-(-count // GRAIN), np.float32)
    arrays = tuple(Array(Address(k), (each.size,)) for k, each in enumerate((x, y, sums)))
    addresses = tuple(each.ctypes.data for each in (x, y, sums))
    found = {}
    for run, nbytes in ((read, 4), (write, 4), (update, 12)):
        launches = [Launch(run, (), arrays, count, GRAIN, 1 << 30, threads.get_num_threads())]
        found[run.name] = nbytes * count / _best([(Program(launches, 3), addresses)], seconds)
    return found


def _best(calls: list[tuple[Program, tuple[int, ...]]], seconds: float) -> float:
    """The tenth part of runs is faster than so many seconds."""
    spent = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(spent) < 5:
        begin = time.perf_counter()
        for made, addresses in calls:
            program.launch(made, *addresses)
        spent.append(time.perf_counter() - begin)
    return float(np.quantile(spent, 0.1))


class _Calls(Recording):
    """The programs that were launched, and their addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Program, tuple[int, ...]]] = []

    def launched(self, launched: Program, addresses: tuple[int, ...]) -> None:
        super().launched(launched, addresses)
        self.calls.append((launched, addresses))


def _recorded(action: Callable[[], Any]) -> _Calls:
    action()
    with _Calls() as recording:
        recording.result = action()  # type: ignore[attr-defined]  # its memory is held
    return recording


def measure(seconds: float = 0.3) -> dict[str, Any]:
    """The limits inside and outside, and for each family the bytes a second and the share of the limit."""
    found: dict[str, Any] = {"limits": {}, "families": {}}
    for place, shape in SHAPES.items():
        count = shape[0] * shape[1]
        at = found["limits"][place] = limits(count, seconds)
        x, y = ng.randn(*shape), ng.randn(*shape)
        jobs = {name: (functools.partial(f, x, y), by, size) for name, (f, by, size) in FAMILIES.items()}
        for name, (make, size) in OPTIMIZERS.items():
            parameter = ng.nn.Parameter(ng.randn(*shape))
            parameter.grad = ng.randn(*shape)
            jobs[name] = (make([parameter]).step, "update", size)
        for name, (action, by, size) in jobs.items():
            recording = _recorded(action)  # which holds the memory that its launches read and write
            reached = size * count / _best(recording.calls, seconds)
            found["families"].setdefault(name, {})[place] = {"bytes": reached, "share": reached / at[by]}
    return found


def main() -> int:
    """Print the table, for one thread and for all."""
    args = common.parser(__doc__).parse_args()
    facts, most = common.machine(), threads.get_num_threads()
    found = {}
    for count in sorted({1, most}):
        ng.set_num_threads(count)
        found[count] = measure()
    if args.json:
        print(json.dumps({"machine": facts, "threads": found}, indent=2))
        return 0
    common.print_machine(facts)
    _print(found)
    return 0


def _print(found: dict[int, dict[str, Any]]) -> None:
    """The limits, and a table that Markdown reads."""
    for count, at in found.items():
        for place, rates in at["limits"].items():
            text = ", ".join(f"{name} {rate / 1e9:.1f}" for name, rate in rates.items())
            print(f"- limits {place} the caches, threads: {count}; GB/s: {text}")
    columns = [(count, place) for count in found for place in SHAPES]
    print("\n| family | " + " | ".join(f"{place}, threads: {count}" for count, place in columns) + " |")
    print("|---|" + "---:|" * len(columns))
    for name in next(iter(found.values()))["families"]:
        cells = [found[count]["families"][name][place] for count, place in columns]
        print(f"| {name} | " + " | ".join(f"{c['bytes'] / 1e9:.1f} ({c['share']:.2f})" for c in cells) + " |")


if __name__ == "__main__":
    sys.exit(main())
