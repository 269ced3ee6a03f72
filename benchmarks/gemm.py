"""Matrix products of all shapes: numgrad and torch, GFLOP/s.

Each runs in its own process; a number is the best turn's median.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from benchmarks import common

# (m, n, k, left is transposed, right is transposed)
SHAPES = [
    (512, 512, 512, False, False), (1024, 1024, 1024, False, False), (2048, 2048, 2048, False, False),
    (1024, 1024, 1024, False, True), (1024, 1024, 1024, True, False),
    (64, 256, 784, False, True), (64, 784, 256, False, False), (256, 784, 64, True, False),
    (1, 1000, 512, False, True), (1, 512, 1000, False, False), (1000, 512, 1, True, False),
    (1, 4096, 4096, False, False), (4096, 1, 4096, False, False), (8, 4096, 4096, False, True),
    (32, 16, 16, False, True), (1024, 1024, 256, False, True), (1024, 256, 256, False, True), (256, 256, 1024, True, False),
    (1024, 256, 1024, False, True),
]  # fmt: skip


def _name(m: int, n: int, k: int, left: bool, right: bool) -> str:
    return f"{m} x {k}{' (turned)' if left else ''} @ {k} x {n}{' (turned)' if right else ''}"


def _timed(actions: dict[str, Callable[[], Any]]) -> Callable[..., dict[str, float]]:
    def turn(repeats: int) -> dict[str, float]:
        for action in actions.values():
            action()
        return {name: common.median_seconds(action, repeats) for name, action in actions.items()}

    return turn


def numgrad_side(threads: int) -> Callable[..., dict[str, float]]:
    """`plan_gemm`'s plans, run over NumPy's memory."""
    import numpy as np

    from numgrad import dtypes
    from numgrad.kernels.gemm import plan_gemm
    from numgrad.kernels.gemm_layout import Matrices
    from numgrad.layout import spec_of
    from numgrad.runtime import threads as pool
    from numgrad.runtime.plan import PlanBuilder

    if threads:
        pool.set_num_threads(threads)
    actions = {}

    class Memory:
        def __init__(self, count: int) -> None:
            self.array = np.random.default_rng(count).standard_normal(count + 16, np.float32)
            self._address = -(-self.array.ctypes.data // 64) * 64

    for m, n, k, left, right in SHAPES:
        builder = PlanBuilder((spec_of(dtypes.float32, (m * k,)), spec_of(dtypes.float32, (k * n,))))
        first, second = builder.inputs
        assert first is not None
        assert second is not None
        plan_gemm(
            builder,
            Matrices(first, 0, 1, m) if left else Matrices(first, 0, k),
            Matrices(second, 0, 1, k) if right else Matrices(second, 0, n),
            Matrices(builder.output(dtypes.float32, (m, n)), 0, n), m=m, n=n, k=k,
        )  # fmt: skip
        plan, a, b, out = builder.finish(), Memory(m * k), Memory(k * n), Memory(m * n)
        actions[_name(m, n, k, left, right)] = lambda plan=plan, a=a, b=b, out=out: plan.run(
            [a._address, b._address, out._address]
        )
    return _timed(actions)


def torch_side(threads: int) -> Callable[..., dict[str, float]]:
    """torch.mm into a given output."""
    import torch

    if threads:
        torch.set_num_threads(threads)
    actions = {}
    for m, n, k, left, right in SHAPES:
        a = torch.rand(k, m).T if left else torch.rand(m, k)
        b, out = torch.rand(n, k).T if right else torch.rand(k, n), torch.empty(m, n)
        actions[_name(m, n, k, left, right)] = lambda a=a, b=b, out=out: torch.mm(a, b, out=out)
    return _timed(actions)


def main() -> int:
    """Print the table."""
    args = common.parser(__doc__, repeats=9, rounds=5, threads=0).parse_args()
    facts = common.machine()
    names = ["numgrad", *(["torch"] if common.has("torch") else [])]
    with ExitStack() as stack:
        sides = {
            name: stack.enter_context(common.Side(f"benchmarks.gemm:{name}_side", {"threads": args.threads}))
            for name in names
        }
        turns = {name: lambda side=side: side.ask(repeats=args.repeats) for name, side in sides.items()}
        results = common.take_turns(turns, args.rounds)
    best = {name: {key: min(turn[key] for turn in found) for key in found[0]} for name, found in results.items()}
    if args.json:
        print(json.dumps({"machine": facts, "threads": args.threads, "seconds": best}, indent=2))
        return 0
    common.print_machine(facts)
    rows = []
    for m, n, k, left, right in SHAPES:
        key = _name(m, n, k, left, right)
        row = [key, *(f"{2e-9 * m * n * k / best[name][key]:.1f}" for name in names)]
        rows.append(row + ([f"{best['torch'][key] / best['numgrad'][key]:.2f}"] if "torch" in names else []))
    common.print_table(["GFLOP/s", *names, *(["torch's time / ours"] if "torch" in names else [])], rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
