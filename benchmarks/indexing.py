"""Indexing, sorting and scanning beside torch: vectors and matrices of 10^2 to 10^7 elements, along each dimension, with gradients.

``python -m benchmarks.indexing --size 1000000 --only cum --threads 1``: one size of a run, cases with this text. ``--backward``
times a call with its gradients. The numbers are the same for both libraries; a result below 1 means that torch is ahead.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from benchmarks import common

DTYPES = {"f4": "float32", "f8": "float64", "i8": "int64"}
# Text of the call; the operands are in `operands`. "f": for floating point only, "i": for integers only, "g": has a gradient.
CALLS = (
    ("x[i]", "g"), ("x[m]", "g"), ("x.masked_select(m)", "g"), ("x.take(i)", "g"), ("x.gather(0, i)", "g"),
    ("x.index_select(0, i)", "g"), ("x.index_put((i,), y)", "g"), ("x.index_put((i,), y, accumulate=True)", "g"),
    ("x.index_add(0, i, y)", "g"), ("x.index_copy(0, i, y)", "g"), ("x.index_fill(0, i, 1)", "g"), ("x.scatter(0, i, y)", "g"),
    ("x.scatter_add(0, i, y)", "g"), ("x.scatter_add(0, few, y)", "g"), ("x.scatter_reduce(0, i, y, 'amax')", "g"),
    ("x.index_reduce(0, i, y, 'amax')", ""), ("x.masked_scatter(m, y)", "g"), ("x.masked_fill(m, 0)", "g"),
    ("x.cumsum(0)", "g"), ("x.cumprod(0)", "g"), ("x.cummax(0)", "g"), ("x.logcumsumexp(0)", "fg"), ("x.sort()", "g"),
    ("x.argsort()", ""), ("x.sort(descending=True)", ""), ("s.sort()", ""), ("r.sort()", ""), ("x.topk(min(10, k))", "g"),
    ("x.topk(k // 10)", "g"), ("x.kthvalue(k // 2)", "g"), ("x.median()", "g"), ("x.median(0)", "g"), ("lib.unique(x)", ""),
    ("lib.unique(r)", ""), ("lib.unique(r, return_inverse=True, return_counts=True)", ""), ("lib.unique_consecutive(r)", ""),
    ("lib.unique_consecutive(s, return_inverse=True, return_counts=True)", ""), ("lib.searchsorted(s, x)", ""),
    ("lib.bucketize(x, edges)", ""), ("lib.histc(x, 100)", "f"), ("lib.histogram(x, 100)", "f"),
    ("lib.histogramdd(points, 5)", "f"), ("lib.bincount(few)", "i"), ("lib.bincount(i)", "i"), ("lib.bincount(few, y)", ""),
    ("lib.randperm(k)", "i"), ("lib.nonzero(m)", "i"), ("lib.nonzero(r)", ""), ("lib.argwhere(M > 5)", ""), ("x.roll(7)", "g"),
    ("x.flip(0)", "g"), ("x.repeat_interleave(3)", "g"), ("x.repeat_interleave(reps)", "g"), ("lib.isin(r, edges)", ""),
    ("X[rows]", "g"), ("X[:, cols]", "g"), ("X[rows, J0]", "g"), ("X[M > 5]", "g"), ("X[rowmask]", "g"), ("X.gather(0, I0)", "g"),
    ("X.gather(1, I1)", "g"), ("X.take_along_dim(I1, 1)", "g"), ("X.index_select(0, rows)", "g"),
    ("X.index_select(1, cols)", "g"), ("X.index_add(0, rows, Y)", "g"), ("X.index_add(1, cols, Y)", "g"),
    ("X.index_copy(1, cols, Y)", "g"), ("X.index_reduce(0, rows, Y, 'amax')", "f"), ("X.index_reduce(1, cols, Y, 'amax')", "f"),
    ("X.scatter(0, I0, Y)", "g"), ("X.scatter(1, I1, Y)", "g"), ("X.scatter_add(0, I0, Y)", "g"), ("X.scatter_add(1, I1, Y)", "g"),
    ("X.scatter_reduce(1, I1, Y, 'amax')", "g"), ("X.index_put((rows, J0), Y[:, 0])", "g"), ("X.cumsum(0)", "g"),
    ("X.cumsum(1)", "g"), ("X.cumprod(0)", "g"), ("X.cumprod(1)", "g"), ("X.cummax(0)", "g"), ("X.cummax(1)", "g"),
    ("X.logcumsumexp(0)", "fg"), ("X.logcumsumexp(1)", "fg"), ("X.sort(0)", "g"), ("X.sort(1)", "g"), ("X.argsort(1)", ""),
    ("X.topk(5, 0)", "g"), ("X.topk(5, 1)", "g"), ("X.kthvalue(3, 0)", "g"), ("X.kthvalue(3, 1)", "g"), ("X.median(0)", "g"),
    ("X.median(1)", "g"), ("X.roll(3, 0)", "g"), ("X.roll(3, 1)", "g"), ("X.flip(0)", "g"), ("X.flip(1)", "g"),
    ("X.flip(0, 1)", "g"),
    ("X.tril()", "g"), ("X.triu()", "g"), ("X.repeat_interleave(2, 0)", "g"), ("X.repeat_interleave(2, 1)", "g"),
    ("F.embedding(rows, X)", "fg"), ("F.embedding(zipf, X)", "fg"), ("F.one_hot(few)", "i"), ("lib.unique(R, dim=0)", ""),
)  # fmt: skip
MOST_ONE_HOT = 10**5  # rows


def operands(lib: Any, count: int, dtype: str, needs_grad: bool) -> dict[str, Any]:
    """What the calls name: x, y of ``count`` elements, X, Y matrices of as many, the same numbers for both libraries."""
    import numpy as np

    random = np.random.default_rng(0)
    width = max(10, min(1000, int(count**0.5)))
    height = count // width
    kind = np.dtype(dtype)

    def values(*shape: int) -> Any:
        if kind.kind == "i":
            return random.integers(0, 1 << 40, shape)
        return random.standard_normal(shape).astype(kind)

    def below(high: int, *shape: int) -> Any:
        return random.integers(0, high, shape)

    x, edges = values(count), np.linspace(-3, 3, 64)
    arrays = {
        "x": x, "y": values(count), "X": values(height, width), "Y": values(height, width), "s": np.sort(x),
        "r": below(100, count).astype(kind), "R": below(3, height, 4).astype(kind),
        "edges": edges.astype(kind) if kind.kind == "f" else (np.arange(64) << 34),
        "points": random.standard_normal((max(1, count // 3), 3)).astype(kind if kind.kind == "f" else np.float32),
        "i": below(count, count), "few": below(min(1000, count), count), "m": random.random(count) < 0.5,
        "M": below(11, height, width), "rowmask": random.random(height) < 0.5, "rows": below(height, height),
        "cols": below(width, width), "I0": below(height, height, width), "I1": below(width, height, width),
        "J0": below(width, height), "reps": below(5, count), "zipf": np.minimum(random.zipf(1.3, height) - 1, height - 1),
    }  # fmt: skip
    tensors = {name: lib.tensor(array) for name, array in arrays.items()}
    if count > MOST_ONE_HOT:
        tensors["few"] = tensors["few"].clone()
    if needs_grad:
        for name in "xyXY":
            tensors[name].requires_grad_()
    return {**tensors, "k": count, "lib": lib, "min": min}


def numgrad_side(threads: int) -> Callable[..., Any]:
    """The job in numgrad."""
    import numgrad as ng
    import numgrad.nn.functional as functional

    return _job(ng, functional, threads)


def torch_side(threads: int) -> Callable[..., Any]:
    """The job in torch."""
    import torch
    import torch.nn.functional as functional

    return _job(torch, functional, threads)


def _job(lib: Any, functional: Any, threads: int) -> Callable[..., Any]:
    if threads:
        lib.set_num_threads(threads)
    known: dict[Any, dict[str, Any]] = {}

    def run(text: str, count: int, dtype: str, backward: bool, seconds: float) -> float | str:
        key = (count, dtype, backward)
        if key not in known:
            known.clear()
            known[key] = {**operands(lib, count, dtype, backward), "F": functional}
        names = known[key]
        call = eval(f"lambda: {text}", names)  # the texts are those of this file
        begin = time.perf_counter()
        try:
            out = call()
        except (RuntimeError, TypeError, ValueError, AttributeError, IndexError, NotImplementedError) as error:
            return f"{type(error).__name__}: {error}"
        if backward:
            call = _with_backward(call, out, [names[name] for name in "xyXY"])
        if not seconds:
            call()
            return 0.0
        if backward or time.perf_counter() - begin < seconds:  # else this was a call like any other
            begin = time.perf_counter()
            call()
        once = time.perf_counter() - begin
        repeats = max(1, min(7, int(seconds / max(once, 1e-7))))
        return common.median_seconds(call, repeats, max(1, int(seconds / repeats / max(once, 1e-7))))

    return run


def _with_backward(call: Callable[[], Any], out: Any, leaves: list[Any]) -> Callable[[], Any]:
    def root(result: Any) -> Any:
        return result if hasattr(result, "backward") else result[0]

    grad = root(out).detach().clone()

    def both() -> None:
        root(call()).backward(grad)
        for leaf in leaves:
            leaf.grad = None

    return both


def _cases(dtype: str, count: int, backward: bool, only: list[str]) -> list[str]:
    kinds = "fg" if dtype != "i8" else "i"
    return [
        text
        for text, flags in CALLS
        if ("g" in flags if backward else True)
        and ("f" not in flags or "f" in kinds)
        and ("i" not in flags or "i" in kinds)
        and (not only or any(word in text for word in only))
        and ("one_hot" not in text or count <= MOST_ONE_HOT)
        and (text != "x.topk(k // 10)" or count > 10)
    ]


def main() -> int:
    """Print the ratios, the worst first; 1 if a call failed on one side only."""
    parser = common.parser(__doc__, threads=0, rounds=3, seconds=0.03)
    parser.add_argument("--backward", action="store_true", help="time each function with its gradients")
    parser.add_argument(
        "--size", type=int, action="append", help="elements; may be given several times (10000, 1000000)"
    )
    parser.add_argument("--dtype", choices=DTYPES, action="append", help="may be given several times (default: f4)")
    parser.add_argument("--only", action="append", metavar="TEXT", help="calls with one of these texts in them")
    args = parser.parse_args()
    facts = common.machine()
    names = ["torch", "numgrad"] if common.has("torch") else ["numgrad"]
    seconds: dict[str, dict[str, Any]] = {}
    with ExitStack() as stack:
        sides = {
            name: stack.enter_context(common.Side(f"benchmarks.indexing:{name}_side", {"threads": args.threads}))
            for name in names
        }
        for dtype in args.dtype or ["f4"]:
            for count in args.size or [10**4, 10**6]:
                for text in _cases(dtype, count, args.backward, args.only or []):
                    request = {
                        "text": text, "count": count, "dtype": DTYPES[dtype], "backward": args.backward, "seconds": args.seconds,
                    }  # fmt: skip
                    turns: dict[str, list[Any]] = {name: [] for name in names}
                    for side in sides.values():  # once, for what is compiled or tensors at a first call
                        side.ask(**{**request, "seconds": 0.0})
                    for _ in range(args.rounds):
                        for name, side in sides.items():
                            time.sleep(0.005)
                            turns[name].append(side.ask(**request))
                            if isinstance(turns[name][-1], str):
                                break
                    seconds[f"{text} @ {count:.0e} {dtype}"] = {
                        name: each[0] if isinstance(each[0], str) else common.median(each)
                        for name, each in turns.items()
                    }
    if args.json:
        print(json.dumps({"machine": facts, "cases": seconds}, indent=1))
        return 0
    common.print_machine(facts)
    failed = {case: each for case, each in seconds.items() if any(isinstance(value, str) for value in each.values())}
    ratios = {
        case: each["torch"] / each["numgrad"]
        for case, each in seconds.items()
        if case not in failed and "torch" in each
    }
    common.print_table(
        ["median µs", *names, "torch / numgrad"],
        [
            [case, *(f"{1e6 * seconds[case][name]:.1f}" for name in names), f"{ratios[case]:.2f}"]
            for case in sorted(ratios, key=ratios.__getitem__)
        ],
    )
    for case, each in failed.items():
        print(f"{case}: {each}")
    if ratios:
        print(
            f"{len(ratios)} calls, median {common.median(ratios.values()):.2f}; {sum(each < 1 for each in ratios.values())} below "
            f"1, {sum(each < 0.8 for each in ratios.values())} below 0.8"
        )
    return 1 if any(len({isinstance(value, str) for value in each.values()}) > 1 for each in failed.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
