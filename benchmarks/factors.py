"""Factors and solutions of a matrix through the public functions, numgrad and torch.

Each runs in its own process; a number is the best turn's median of one call.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from benchmarks import common
from benchmarks.gemm import turn_of

SIZES = (128, 256, 512, 1024)
TEXTS = {
    "cholesky": "lib.linalg.cholesky(spd)",
    "lu_factor": "lib.linalg.lu_factor(a)",
    "qr": "lib.linalg.qr(a)",
    "solve": "lib.linalg.solve(a, b)",
    "solve, one side": "lib.linalg.solve(a, v)",
    "inv": "lib.linalg.inv(a)",
    "slogdet": "lib.linalg.slogdet(a)",
    "solve_triangular": "lib.linalg.solve_triangular(low, b, upper=False)",
    "solve_triangular, one side": "lib.linalg.solve_triangular(low, v, upper=False)",
    "cholesky_solve": "lib.cholesky_solve(b, low)",
    "cholesky_inverse": "lib.cholesky_inverse(low)",
}


def _side(lib: Any, threads: int, dtype: str) -> Callable[..., dict[str, float]]:
    import numpy as np

    if threads:
        lib.set_num_threads(threads)
    random = np.random.default_rng(0)
    calls = {}
    for n in SIZES:
        a, b = random.normal(size=(2, n, n))
        wide = n * np.eye(n)
        arrays = {"a": a, "b": b, "v": b[:, :1].copy(), "spd": a @ a.T + wide, "low": np.tril(a) + wide}
        names = {name: lib.tensor(array.astype(dtype)) for name, array in arrays.items()}
        for name, text in TEXTS.items():
            calls[f"{n}: {name}"] = eval(f"lambda: {text}", {"lib": lib, **names})  # texts of this file
    return turn_of(calls)


def numgrad_side(threads: int, dtype: str) -> Callable[..., dict[str, float]]:
    """The calls in numgrad."""
    import numgrad as ng

    return _side(ng, threads, dtype)


def torch_side(threads: int, dtype: str) -> Callable[..., dict[str, float]]:
    """The calls in torch."""
    import torch

    return _side(torch, threads, dtype)


def main() -> int:
    """Print the table."""
    parser = common.parser(__doc__, repeats=5, rounds=3, threads=0)
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    parser.add_argument("--only", default="", metavar="TEXT", help="only calls with this text in their names")
    args = parser.parse_args()
    facts = common.machine()
    names = ["numgrad", *(["torch"] if common.has("torch") else [])]
    options = {"threads": args.threads, "dtype": args.dtype}
    jobs = {name: (f"benchmarks.factors:{name}_side", options) for name in names}
    best = common.best_of_sides(jobs, {"repeats": args.repeats, "only": args.only}, args.rounds)
    if args.json:
        print(json.dumps({"machine": facts, **options, "seconds": best}, indent=2))
        return 0
    common.print_machine(facts)
    rows = []
    for call in best["numgrad"]:
        times = [best[name][call] for name in reversed(names)]
        ratio = [f"{times[0] / times[1]:.2f}"] if len(times) > 1 else []
        rows.append([call, *(f"{1e6 * seconds:.0f}" for seconds in times), *ratio])
    common.print_table(["µs", *reversed(names), *(["torch's time / ours"] if "torch" in names else [])], rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
