"""Random programs against numbers that carry derivatives, which share nothing with the translation.

Run many, each with a seed of its own::

    python -m tests.loops.random_programs --count 20000
    python -m tests.loops.random_programs --count 2000 --compiled
    python -m tests.loops.random_programs --count 3000 --second

Compared are the results, the last contents of changed arguments, and the gradients by all inputs for random gradients of
results and contents. ``--compiled`` does it with the op on the tape; ``--second`` compares the derivative along a direction and
the Hessian times it, by translating the gradient again.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import math
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import prange

from numgrad.errors import KernelError
from numgrad.loops import independence
from numgrad.loops.structure import outermost
from tests.loops import duals
from tests.loops.generator import ALL, Generator, arguments
from tests.loops.rewritten import takes
from tests.loops.running import Run

NAMES = ("x", "y", "a", "m")  # the real arguments, by which programs are differentiated
CHANGED = ("a", "m")
PLAIN: dict[str, Any] = {"math": math, "np": np, "prange": prange}
_LARGEST = 1e8  # derivatives beyond it have lost their digits


GATHERED: Counter[str] = (
    Counter()
)  # reverse loops in gather form and their programs; runs of loops that are independent


class Truth(NamedTuple):
    """What a program gives, and the derivatives of the weighted sum of all that it gives."""

    args: list[Any]
    outs: list[float]
    weights: list[float]
    last: dict[str, np.ndarray]
    last_weights: dict[str, np.ndarray]
    grads: dict[str, np.ndarray]
    way: list[Any]
    along: float
    turned: dict[str, np.ndarray]


def truth(seed: int, source: str, second: bool = False) -> Truth | None:
    """What the numbers say; None where there are no derivatives, or none that mean anything."""
    x, y, a, m, n = arguments(seed)
    args = [x, y, np.array(a), np.array(m), n]
    rng = np.random.default_rng(seed)
    way = [rng.normal(size=np.shape(arg)) for arg in args[:4]]
    lifted, total = duals.lift(args, range(4), way if second else None)
    duals.forget_ties()
    try:
        outs = duals.flat(duals.scope(source, f"program {seed} of duals")["f"](*lifted))
    except OverflowError:
        return None
    if duals.ties():  # max(a, b) of equal numbers with other derivatives: any of them is right
        return None
    weights = rng.normal(size=len(outs)).tolist()
    last_weights = {"a": rng.normal(size=4), "m": rng.normal(size=(3, 3))}
    numbers = [*outs, *duals.flat(lifted[2]), *duals.flat(lifted[3])]
    every = [*weights, *last_weights["a"], *last_weights["m"].reshape(-1)]
    _, grad, along, turned = duals.weighted(numbers, every, total)
    sizes = np.abs([*grad, *turned, along, *[duals.plain(v) for v in numbers]])
    if not np.all(sizes < _LARGEST):
        return None
    last = {
        name: np.array([duals.plain(v) for v in duals.flat(lifted[k])]).reshape(args[k].shape)
        for name, k in (("a", 2), ("m", 3))
    }
    plain = [float(duals.plain(v)) for v in outs]
    return Truth(args, plain, weights, last, last_weights, _split(grad), way, along, _split(turned))


def _split(flat: np.ndarray) -> dict[str, np.ndarray]:
    return {"x": flat[0], "y": flat[1], "a": flat[2:6], "m": flat[6:].reshape(3, 3)}


def _differs(what: str, got: Any, want: Any, tolerance: float = 1e-9) -> str:
    """Empty if the two agree, in relation to the largest number wanted."""
    got, want = np.asarray(got, float).reshape(-1), np.asarray(want, float).reshape(-1)
    error = np.abs(got - want).max(initial=0.0)
    if error <= tolerance * max(1.0, np.abs(want).max(initial=0.0)):  # False for a NaN
        return ""
    return f"{what} differs by {error:.2g}\n  got  {got}\n  want {want}"


# ---- three ways to compare --------------------------------------------------------------------------------------


def _seeds(run: Run, t: Truth) -> dict[str, Any]:
    """The gradients of a run's results."""
    returned = [r for r in run.sweeps.results if r.changes is None]
    grads: dict[str, Any] = {r.name: w for r, w in zip(returned, t.weights, strict=True)}
    return grads | {r.name: t.last_weights[r.changes] for r in run.sweeps.results if r.changes}


def _with_unchanged(run: Run, t: Truth, grads: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """With what arrays that the program never changes get from the weights of their last contents: these."""
    changed = {r.changes for r in run.sweeps.results}
    full = {
        name: np.array(grads.get(name, np.zeros(np.shape(t.grads[name]))), float).reshape(np.shape(t.grads[name]))
        for name in NAMES
    }
    for name in CHANGED:
        if name not in changed:
            full[name] = full[name] + t.last_weights[name]
    return full


def compare_plain(function: Callable[..., Any], t: Truth, watches: bool = True, **options: Any) -> str:
    """The texts of the sweeps, run as plain Python."""
    run = Run(function, t.args, **options)
    plain = {name: a.copy() for name, a in run.plain().items()}
    said = ""
    for name, a in run.record().items():
        said = said or _differs(f"{name} of plain and record", plain[name], a)
    returned = [run.results[r.name][0] for r in run.sweeps.results if r.changes is None]
    said = said or _differs("result", returned, t.outs)
    for r in run.sweeps.results:
        if r.changes:
            said = said or _differs(f"last contents of {r.changes}", run.results[r.name], t.last[r.changes])
    grads = run.reverse(_seeds(run, t))
    full = _with_unchanged(run, t, grads)
    for name in NAMES:
        said = said or _differs(f"gradient by {name}", full[name], t.grads[name])
    again = run.reverse(_seeds(run, t))
    said = said or next(
        (f"the second reverse differs in {n}" for n in grads if not np.array_equal(grads[n], again[n])), ""
    )
    GATHERED["loops"] += takes(run.sweeps.reverse)
    GATHERED["programs"] += takes(run.sweeps.reverse) > 0
    GATHERED["sums"] += takes(run.sweeps.record)
    if said or not watches:
        return said
    again, watch = run.rewritten(_seeds(run, t))  # the text that is compiled
    GATHERED["independent"] += watch.loops
    said = next(filter(None, [_differs(f"rewritten, gradient by {n}", again[n], grads[n]) for n in grads]), "")
    return said or (f"not independent: {watch.found[0]}" if watch.found else "")


def compare_second(function: Callable[..., Any], t: Truth) -> str:
    """The derivative along a direction, and the Hessian times it, by translating the gradient again."""
    run = Run(function, t.args)
    tangents = run.tangent(dict(zip(NAMES, t.way, strict=True)))
    seeds = _seeds(run, t)
    along = sum(float(np.sum(tangents[name] * g)) for name, g in seeds.items() if name in tangents)
    changed = {r.changes for r in run.sweeps.results}
    along += sum(float(np.sum(t.way[NAMES.index(n)] * t.last_weights[n])) for n in CHANGED if n not in changed)
    said = _differs("derivative along", along, t.along)
    if said or not run.sweeps.needs:
        return said
    run.record()
    product = run.turned(seeds, dict(zip(NAMES, t.way, strict=True)))
    for name in NAMES:
        got = product.get(name, np.zeros(np.shape(t.turned[name])))
        said = said or _differs(f"Hessian times direction, {name}", got, t.turned[name], 1e-8)
    return said


def compare_compiled(function: Callable[..., Any], t: Truth, **options: Any) -> str:
    """The op on the tape."""
    import numgrad as ng

    op = ng.differentiable(function, **options)
    leaves = {name: ng.tensor(t.args[k], dtype=ng.float64, requires_grad=True) for k, name in enumerate(NAMES)}
    changed = {name: leaves[name].clone() for name in CHANGED}
    outs = op(leaves["x"], leaves["y"], changed["a"], changed["m"], t.args[4])
    outs = outs if isinstance(outs, tuple) else (outs,)
    said = _differs("result", [float(o) for o in outs], t.outs)
    loss = sum(o * w for o, w in zip(outs, t.weights, strict=True))
    for name, now in changed.items():
        said = said or _differs(f"last contents of {name}", now.detach().numpy(), t.last[name])
        loss = loss + (now * ng.tensor(t.last_weights[name])).sum()
    loss.backward()
    for name, leaf in leaves.items():
        got = np.zeros(leaf.shape) if leaf.grad is None else leaf.grad.numpy()
        said = said or _differs(f"gradient by {name}", got, t.grads[name])
    return said


def compare_parts(function: Callable[..., Any], t: Truth) -> str:
    """Like `compare_plain`, with the tapes of all outer loops made in parts, by the square root and with few snapshots.

    The gradients have the bits that they have without. And with nothing cheap or dear kept.
    """
    loops = outer_loops(inspect.getsource(function))
    said = ""
    whole = _gradients(function, t, {}) if loops else {}
    for snapshots in (None, 1, 2, 3) if loops else ():
        checkpoint = dict.fromkeys(loops, snapshots)
        said = said or compare_plain(function, t, checkpoint=checkpoint)
        for name, grad in _gradients(function, t, checkpoint).items():
            if not said and grad.tobytes() != whole[name].tobytes():
                said = f"the gradient by {name} has other bits with {checkpoint}"
    return said or compare_plain(function, t, recompute=True)


def _gradients(function: Callable[..., Any], t: Truth, checkpoint: Any) -> dict[str, np.ndarray]:
    run = Run(function, t.args, checkpoint=checkpoint)
    run.record()
    return run.reverse(_seeds(run, t))


def outer_loops(source: str) -> tuple[str, ...]:
    """What names the loops of a function's own level."""
    (function,) = ast.parse(source).body
    return tuple(sorted(outermost(function)))


COMPARISONS: dict[str, Callable[..., str]] = {
    "plain": compare_plain,
    "second": compare_second,
    "parts": compare_parts,
    "compiled": compare_compiled,
}


def check(seed: int, how: str = "plain", size: int = 14, features: frozenset[str] = ALL, **options: Any) -> str:
    """``right``, ``skipped``, ``refused`` with the reason, or what is wrong."""
    return check_source(Generator(seed, size, features).source(), seed, how, **options)


def check_source(source: str, seed: int = 0, how: str = "plain", **options: Any) -> str:
    """`check`, of a program's text with the arguments of program ``seed``."""
    t = truth(seed, source, second=how == "second")
    if t is None:
        return "skipped"
    function = duals.scope(source, f"program {seed}", PLAIN)["f"]
    most = independence.MOST_PARTS
    independence.MOST_PARTS = (most, 2, 3)[seed % 3]  # parts of one turn or of more
    try:
        return COMPARISONS[how](function, t, **options) or "right"
    except KernelError as error:
        return f"refused: {error}"
    finally:
        independence.MOST_PARTS = most


def tallied(
    seeds: Iterable[int], check: Callable[[int], str], good: Sequence[str], what: str
) -> tuple[Counter[str], list[str]]:
    """How often a check said each of the ``good`` words, or something else, which is wrong; and that, with the seeds."""
    tally: Counter[str] = Counter()
    wrong: list[str] = []
    for seed in seeds:
        try:
            said = check(seed)
        except Exception:
            said = traceback.format_exc(limit=-4)
        word = said.partition(":")[0]
        tally[word if word in good else "wrong"] += 1
        if word not in good:
            wrong.append(f"{what} {seed}: {said}")
    return tally, wrong


def mismatches(seeds: Iterable[int], how: str = "plain", **options: Any) -> tuple[Counter[str], list[str]]:
    """How many programs were right, skipped, refused, wrong; and what was wrong, with the seeds."""
    return tallied(seeds, lambda seed: check(seed, how, **options), ("right", "skipped", "refused"), "program")


def main() -> int:
    """The command: 1 if a program was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="the first program's seed")
    parser.add_argument("--size", type=int, default=14, help="lines of a program, about")
    parser.add_argument("--show", action="store_true", help="print the first program and what is made of it, and end")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--compiled", dest="how", action="store_const", const="compiled", default="plain")
    how.add_argument("--second", dest="how", action="store_const", const="second")
    how.add_argument("--parts", dest="how", action="store_const", const="parts", help="checkpoints; nothing kept")
    args = parser.parse_args()
    if args.show:
        show(args.first, args.size)
        return 0
    started, seeds = time.process_time(), range(args.first, args.first + args.count)
    tally: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for seed in seeds:
        more, wrong = mismatches([seed], args.how, size=args.size)
        tally += more
        if more["refused"]:
            reasons[check(seed, args.how, args.size).rpartition(":")[2][:100]] += 1
        for text in wrong:
            print(text, flush=True)
    print(
        f"in gather form: {GATHERED['loops']} loops of {GATHERED['programs']} programs; "
        f"independent: {GATHERED['independent']}; sums taken apart: {GATHERED['sums']}"
    )
    print(f"{args.how}: {dict(tally)}, {time.process_time() - started:.0f} s of CPU time")
    for reason, count in reasons.most_common(20):
        print(f"  refused {count}: {reason}")
    return 1 if tally["wrong"] else 0


def show(seed: int, size: int) -> None:
    """Print a program and its sweeps."""
    source = Generator(seed, size).source()
    function = duals.scope(source, f"program {seed}", PLAIN)["f"]
    x, y, a, m, n = arguments(seed)
    sweeps = Run(function, [x, y, np.array(a), np.array(m), n]).sweeps
    print(source, sweeps.record.text, sweeps.reverse.text, sep="\n\n")


if __name__ == "__main__":
    sys.exit(main())
