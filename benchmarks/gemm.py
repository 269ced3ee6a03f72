"""Matrix products through the public functions, numgrad and torch: squares in every transposition, batches, vectors, sums.

Each runs in its own process; a number is the best turn's median of one call.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from benchmarks import common

_TURNS = {
    "": ("a", "b"),
    " (right turned)": ("a", "b.mT"),
    " (left turned)": ("a.mT", "b"),
    " (both turned)": ("a.mT", "b.mT"),
}
_SECONDS = 0.01  # of one measurement


class Case(NamedTuple):
    """A call: its name, its text, the shapes of the operands that the text names, and its floating-point operations."""

    name: str
    text: str
    shapes: dict[str, tuple[int, ...]]
    operations: int


def _product(m: int, n: int, k: int, turned: str = "", batch: int = 0) -> Case:
    first, second = _TURNS[turned]
    left = (k, m) if first != "a" else (m, k)
    right = (n, k) if second != "b" else (k, n)
    many = (batch,) if batch else ()
    function = "bmm" if batch else "mm"
    name = f"{f'{batch} of ' if batch else ''}{m} x {k} @ {k} x {n}{turned}"
    return Case(
        name, f"lib.{function}({first}, {second})", {"a": many + left, "b": many + right}, 2 * m * n * k * max(1, batch)
    )


def cases() -> Iterator[Case]:
    """All cases."""
    for size in (64, 128, 256, 512, 1024, 2048):
        for turned in _TURNS:
            yield _product(size, size, size, turned)
    for m, n, k in ((1000, 1000, 1000), (1021, 1021, 1021), (17, 17, 17), (4, 4, 4)):
        yield _product(m, n, k)
    for m, n, k, turned in (
        (64, 256, 784, " (right turned)"), (64, 784, 256, ""), (256, 784, 64, " (left turned)"),
        (1, 1000, 512, " (right turned)"), (1, 512, 1000, ""), (1000, 512, 1, " (left turned)"),
        (1, 4096, 4096, ""), (4096, 1, 4096, ""), (8, 4096, 4096, " (right turned)"), (32, 16, 16, " (right turned)"),
        (1024, 1024, 256, " (right turned)"), (1024, 256, 256, " (right turned)"), (256, 256, 1024, " (left turned)"),
        (1024, 256, 1024, " (right turned)"), (10000, 32, 32, ""), (32, 32, 10000, " (left turned)"),
    ):  # fmt: skip
        yield _product(m, n, k, turned)
    for batch, m, n, k in (
        (64, 64, 64, 64),
        (256, 32, 32, 32),
        (1000, 8, 8, 8),
        (16, 256, 256, 256),
        (32, 128, 64, 128),
    ):
        for turned in _TURNS if m == n == k == 64 else ("", " (right turned)"):
            yield _product(m, n, k, turned, batch)
    for n in (64, 1000, 3000):
        square, line = (n, n), (n,)
        yield Case(f"{n}: matrix, vector", "lib.mv(a, v)", {"a": square, "v": line}, 2 * n * n)
        yield Case(f"{n}: turned matrix, vector", "lib.mv(a.mT, v)", {"a": square, "v": line}, 2 * n * n)
        yield Case(f"{n}: vector, matrix", "lib.matmul(v, a)", {"a": square, "v": line}, 2 * n * n)
        yield Case(f"{n}: outer", "lib.outer(v, w)", {"v": line, "w": line}, n * n)
    for n in (100, 10000, 1000000):
        yield Case(f"{n}: dot", "lib.dot(v, w)", {"v": (n,), "w": (n,)}, 2 * n)
    for n in (64, 512):
        shapes = {"a": (n, n), "b": (n, n), "c": (n, n), "v": (n,), "s": (16, n, n), "t": (16, n, n)}
        yield Case(f"{n}: addmm of a row", "lib.addmm(v, a, b)", shapes, 2 * n**3)
        yield Case(f"{n}: addmm of a matrix", "lib.addmm(c, a, b)", shapes, 2 * n**3)
        yield Case(f"{n}: addmm with factors", "lib.addmm(c, a, b, beta=0.5, alpha=2.0)", shapes, 2 * n**3)
        yield Case(f"{n}: addmv", "lib.addmv(v, a, v)", shapes, 2 * n**2)
        yield Case(f"{n}: baddbmm", "lib.baddbmm(t, s, s)", shapes, 32 * n**3)
        yield Case(f"{n}: linear", "F.linear(a, b, v)", shapes, 2 * n**3)
        yield Case(f"{n}: batch @ matrix", "lib.matmul(s, a)", shapes, 32 * n**3)
        yield Case(f"{n}: matrix @ batch", "lib.matmul(a, s)", shapes, 32 * n**3)
        yield Case(f"{n}: einsum ij,kj->ik", "lib.einsum('ij,kj->ik', a, b)", shapes, 2 * n**3)
        yield Case(f"{n}: einsum bij,bkj->bik", "lib.einsum('bij,bkj->bik', s, t)", shapes, 32 * n**3)
        yield Case(f"{n}: einsum ij,ij->", "lib.einsum('ij,ij->', a, b)", shapes, 2 * n**2)
        yield Case(f"{n}: einsum bij,j->bi", "lib.einsum('bij,j->bi', s, v)", shapes, 32 * n**2)


def _side(lib: Any, functional: Any, threads: int, dtype: str) -> Callable[..., dict[str, float]]:
    import numpy as np

    if threads:
        lib.set_num_threads(threads)
    random = np.random.default_rng(0)
    calls = {}
    for case in cases():
        names = {name: lib.tensor(random.uniform(-1, 1, shape).astype(dtype)) for name, shape in case.shapes.items()}
        calls[case.name] = eval(f"lambda: {case.text}", {"lib": lib, "F": functional, **names})  # texts of this file
    return turn_of(calls)


def turn_of(calls: dict[str, Callable[[], Any]]) -> Callable[..., dict[str, float]]:
    """A side's turn: the median seconds of each call whose name has a text."""

    def turn(repeats: int, only: str) -> dict[str, float]:
        found = {}
        for name, call in calls.items():
            if only in name:
                call()
                inner = max(1, int(_SECONDS / repeats / max(common.median_seconds(call, 3), 1e-7)))
                found[name] = common.median_seconds(call, repeats, inner)
        return found

    return turn


def numgrad_side(threads: int, dtype: str) -> Callable[..., dict[str, float]]:
    """The calls in numgrad."""
    import numgrad as ng
    import numgrad.nn.functional as functional

    return _side(ng, functional, threads, dtype)


def torch_side(threads: int, dtype: str) -> Callable[..., dict[str, float]]:
    """The calls in torch."""
    import torch
    import torch.nn.functional as functional

    return _side(torch, functional, threads, dtype)


def main() -> int:
    """Print the table."""
    parser = common.parser(__doc__, repeats=5, rounds=5, threads=0)
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    parser.add_argument("--only", default="", metavar="TEXT", help="only cases with this text in their names")
    args = parser.parse_args()
    facts = common.machine()
    names = ["numgrad", *(["torch"] if common.has("torch") else [])]
    options = {"threads": args.threads, "dtype": args.dtype}
    jobs = {name: (f"benchmarks.gemm:{name}_side", options) for name in names}
    best = common.best_of_sides(jobs, {"repeats": args.repeats, "only": args.only}, args.rounds)
    if args.json:
        print(json.dumps({"machine": facts, **options, "seconds": best}, indent=2))
        return 0
    common.print_machine(facts)
    shown = [case for case in cases() if case.name in best["numgrad"]]
    ratios = {case.name: best["torch"][case.name] / best["numgrad"][case.name] for case in shown if "torch" in names}
    rows = []
    for case in shown:
        row = [case.name, *(f"{1e-9 * case.operations / best[name][case.name]:.1f}" for name in names)]
        rows.append(row + ([f"{ratios[case.name]:.2f}"] if ratios else []))
    common.print_table(["GFLOP/s", *names, *(["torch's time / ours"] if ratios else [])], rows)
    if ratios:
        print(f"median {common.median(ratios.values()):.2f}, lowest {min(ratios.values()):.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
