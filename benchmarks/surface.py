"""Every public function at two sizes, numgrad and torch turn by turn; the slow ones in a table, with the reason.

Operands are float32 in rows; small ones have a thousand numbers, large ones a million (linear algebra: matrices of 8 and
128, images of 4 × 8² and 8 × 32 × 56²). ``--backward`` times the function with its gradients, where it has any.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import common
from benchmarks.report import machine_line
from benchmarks.surface_cases import CALLS, REASONS, SIZES

_GROUP = 25  # cases between two turns: a few tenths of a second
_SLOW = 0.5
_LEAVES = ("x", "y", "w", "v", "A", "B", "stack", "points", "line", "image", "volume", "queries")


def cases() -> list[str]:
    """The calls that are timed, as Python text."""
    return [template.format(name) for template, names in CALLS for name in names.split()]


def operands(lib: Any, size: str, needs_grad: bool) -> dict[str, Any]:
    """What the texts of the calls name, the same numbers for both libraries."""
    import numpy as np

    n, k, (batch, channels, side) = SIZES[size]
    random = np.random.default_rng(0)

    def floats(*shape: int) -> Any:
        return lib.tensor(random.uniform(0.1, 0.9, shape).astype(np.float32))

    def integers(high: int, *shape: int) -> Any:
        return lib.tensor(random.integers(0, high, shape))

    grams = floats(8, k, k)
    made = {
        "x": floats(n, n), "y": floats(n, n), "w": floats(n, n) + 1, "e": floats(n, n), "v": floats(n),
        "i": integers(n, n, n), "j": integers(n, n, n) + 1, "rows": integers(n, n), "classes": integers(n, n),
        "m": floats(n, n) > 0.5, "signs": (floats(n, n) > 0.5).float() * 2 - 1, "sorted_v": floats(n).sort()[0],
        "A": lib.eye(k) * k + floats(k, k), "B": floats(k, k), "stack": grams,
        "spd": grams @ grams.mT + lib.eye(k), "points": floats(min(n, 256), 3), "cube": floats(4, 3, 3),
        "line": floats(batch, channels, side * 8), "image": floats(batch, channels, side, side),
        "volume": floats(batch, channels, 8, side // 2, side // 2), "kernel1": floats(channels, channels, 3),
        "kernel2": floats(channels, channels, 3, 3), "kernel3": floats(channels, channels, 3, 3, 3),
        "grid": floats(batch, side, side, 2) * 2 - 1, "theta": floats(batch, 2, 3), "queries": floats(batch, 4, side, 16),
        "array": np.ones(n, np.float32),
    }  # fmt: skip
    if needs_grad:
        for name in _LEAVES:
            made[name].requires_grad_()
    return made


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
    """Times the calls that it is asked for: seconds, or the error's text, or None where there is no gradient."""
    if threads:
        lib.set_num_threads(threads)
    warnings.simplefilter("ignore")
    known: dict[tuple[str, bool], dict[str, Any]] = {}

    def run(texts: list[str], size: str, backward: bool, seconds: float) -> list[float | str | None]:
        key = (size, backward)
        if key not in known:
            known[key] = {"lib": lib, "F": functional, **operands(lib, size, backward)}
        return [_measured(text, known[key], backward, seconds) for text in texts]

    return run


def _measured(text: str, names: dict[str, Any], backward: bool, seconds: float) -> float | str | None:
    """Median seconds of a call (with its backward), from repeats that take ``seconds`` together."""
    call = eval(f"lambda: {text}", names)  # the texts are of this folder
    try:
        out = call()
        if backward:
            call = _with_backward(call, out, [names[name] for name in _LEAVES])
            if call is None:
                return None
        call()
    except (RuntimeError, TypeError, ValueError, AttributeError, IndexError, NotImplementedError) as error:
        return f"{type(error).__name__}: {error}"
    begin = time.perf_counter()
    call()
    once = time.perf_counter() - begin
    repeats = 5
    inner = max(1, int(seconds / repeats / max(once, 1e-7)))
    return common.median_seconds(call, repeats, inner)


def _with_backward(call: Callable[[], Any], out: Any, leaves: list[Any]) -> Callable[[], Any] | None:
    """The call and its backward from ones; None where nothing of it needs a gradient."""

    def roots_of(result: Any) -> list[Any]:
        parts = result if isinstance(result, (tuple, list)) else [result]
        return [part for part in parts if getattr(part, "grad_fn", None) is not None]

    if not roots_of(out):
        return None
    grads = [root.detach().clone().fill_(1) for root in roots_of(out)]

    def both() -> None:
        roots = roots_of(call())
        for root, grad in zip(roots, grads, strict=True):
            root.backward(grad, retain_graph=len(roots) > 1)
        for leaf in leaves:
            leaf.grad = None

    return both


def measure(threads: int, rounds: int, seconds: float, backward: bool, only: str) -> dict[str, dict[str, Any]]:
    """What each side took for each case and size, ``"text @ size"``: a median, an error's text or None."""
    sides = ["torch", "numgrad"] if common.has("torch") else ["numgrad"]
    texts = [text for text in cases() if only in text]
    found: dict[str, dict[str, Any]] = {}
    with ExitStack() as stack:
        made = {
            name: stack.enter_context(common.Side(f"benchmarks.surface:{name}_side", {"threads": threads}))
            for name in sides
        }
        for size in SIZES:
            for first in range(0, len(texts), _GROUP):
                group = texts[first : first + _GROUP]
                print(f"{size}: {first + 1} to {first + len(group)} of {len(texts)}", file=sys.stderr)
                request = {"texts": group, "size": size, "backward": backward}
                for side in made.values():  # once, for what is compiled or made at a first call
                    side.ask(**request, seconds=0.0)
                turns = common.take_turns(
                    {name: partial(side.ask, **request, seconds=seconds) for name, side in made.items()},
                    rounds,
                )
                for index, text in enumerate(group):
                    found[f"{text} @ {size}"] = {name: _middle([turn[index] for turn in turns[name]]) for name in made}
    return found


def _middle(answers: list[Any]) -> Any:
    return answers[0] if not isinstance(answers[0], float) else common.median(answers)


def ratio(sides: dict[str, Any]) -> float | None:
    """torch's seconds / numgrad's."""
    both = sides.get("torch"), sides["numgrad"]
    return both[0] / both[1] if all(isinstance(value, float) for value in both) else None


def reason(case: str) -> str:
    """Why a case is slow, by its text or a part of it; "" where nobody has said so."""
    return next((words for part, words in REASONS.items() if part in case), "")


def as_markdown(facts: dict[str, Any], found: dict[str, dict[str, Any]]) -> str:
    """The large calls that are slow, as a page; the small ones are slow for one reason."""
    ratios = {case: value for case, sides in found.items() if (value := ratio(sides)) is not None}
    lines = [
        "# Every public function beside torch",
        "",
        f"{machine_line({'machine': facts})}. Made by `python -m benchmarks.surface --output FILE`; forward, float32.",
        "",
        f"{summary(ratios)}. Small calls below {_SLOW} are so for Python between a call and its kernel, and are not listed.",
        "",
        "| large call | torch, µs | numgrad, µs | torch / numgrad | why |",
        "|---|---:|---:|---:|---|",
    ]
    for case in sorted(ratios, key=ratios.__getitem__):
        text, _, size = case.rpartition(" @ ")
        if size == "large" and ratios[case] < _SLOW:
            torch, own = (f"{1e6 * found[case][side]:.1f}" for side in ("torch", "numgrad"))
            lines.append(f"| `{text}` | {torch} | {own} | {ratios[case]:.2f} | {reason(case)} |")
    return "\n".join(lines) + "\n"


def summary(ratios: dict[str, float]) -> str:
    """How many calls there are, and how fast."""
    return (
        f"{len(ratios)} calls, median ratio {common.median(ratios.values()):.2f}; "
        f"{sum(value < _SLOW for value in ratios.values())} below {_SLOW}, "
        f"{sum(value < 0.8 for value in ratios.values())} below 0.8, {sum(value >= 1 for value in ratios.values())} at 1 or above"
    )


def main() -> int:
    """Print what is slow, and a summary; 1 if a call failed on one side only."""
    parser = common.parser(__doc__, threads=0, rounds=3, seconds=0.01)
    parser.add_argument("--backward", action="store_true", help="time each function with its gradients")
    parser.add_argument("--only", default="", metavar="TEXT", help="only calls with this text in them")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the slow ones to a page in Markdown, too")
    parser.add_argument("--all", action="store_true", help="print every call, not the slow ones alone")
    args = parser.parse_args()
    facts = common.machine()
    found = measure(args.threads, args.rounds, args.seconds, args.backward, args.only)
    if args.json:
        print(json.dumps({"machine": facts, "cases": found}, indent=1))
        return 0
    common.print_machine(facts)
    ratios = {case: ratio(sides) for case, sides in found.items()}
    known = {case: value for case, value in ratios.items() if value is not None}
    shown = sorted(known, key=known.__getitem__)
    common.print_table(
        ["median µs", "torch", "numgrad", "torch / numgrad", "why"],
        [
            [
                case,
                *(f"{1e6 * found[case][side]:.1f}" for side in ("torch", "numgrad")),
                f"{known[case]:.2f}",
                reason(case) if known[case] < _SLOW else "",
            ]
            for case in shown
            if args.all or known[case] < _SLOW
        ],
    )
    wrong = {case: side for case, side in found.items() if len({isinstance(value, str) for value in side.values()}) > 1}
    for case, side in wrong.items():
        print(f"{case}: {side}")
    if known:
        print(summary(known))
    if args.output:
        args.output.write_text(as_markdown(facts, found), "utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
