"""Every public function beside torch, in one run: sizes, dtypes, layouts, forward and backward, 1 and 2 threads.

A *point* is one of each: ``1e6 float32 strided backward 2``. Sizes are the numbers in a square operand; matrices of linear
algebra and images grow along (`surface_operands`). Any part of the product can be run by itself, and ``--save`` merges what it
measured into the file of this CPU, from which its page is written:

    python -m benchmarks surface                                          the default: 15 minutes on 2 cores
    python -m benchmarks surface --match 'lib.sin(' 'lib.cos(' --all      two functions, every ratio
    python -m benchmarks surface --sizes 1e7 --dtypes float64 --layouts strided --threads 2 --part 1/10 --save
"""

from __future__ import annotations

import gc
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import common, surface_results
from benchmarks.surface_cases import cases
from benchmarks.surface_operands import DIRECTIONS, DTYPES, LAYOUTS, LEAVES, SIDES, Point, has_layout, operand, points
from benchmarks.surface_operands import names_in as operands_of

_GROUP = 40  # calls between two turns: some tenths of a second
_LONG = 0.5  # seconds: a call that takes longer is made once


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
    lib.set_num_threads(threads)
    warnings.simplefilter("ignore")
    names: dict[str, Any] = {}
    last: list[Any] = [None]

    def run(texts: list[str], point: list[Any], seconds: float) -> list[float | str | None]:
        size, dtype, layout, direction, _ = point
        if point != last[0]:
            last[0] = point
            names.clear()
            gc.collect()
            names.update(lib=lib, F=functional)
        answers = []
        for text in texts:
            for name in operands_of(text):
                if name not in names:
                    names[name] = operand(lib, name, size, dtype, layout)
                    if direction == "backward" and name in LEAVES:
                        names[name].requires_grad_()
            answers.append(_measured(text, names, direction == "backward", seconds))
        return answers

    return run


def _measured(text: str, names: dict[str, Any], backward: bool, seconds: float) -> float | str | None:
    """Median seconds of a call (with its backward), from repeats that take ``seconds`` together."""
    call = eval(f"lambda: {text}", names)  # the texts are of this folder
    try:
        out = call()
        if backward:
            call = _with_backward(call, out, [names[name] for name in LEAVES if name in names])
            if call is None:
                return None
        del out
        call()  # the backward compiles at its first call
        begin = time.perf_counter()
        call()
        once = time.perf_counter() - begin
    except (RuntimeError, TypeError, ValueError, AttributeError, IndexError, NotImplementedError) as error:
        return f"{type(error).__name__}: {error}"
    if once > _LONG:
        return once
    repeats = 5 if once < 10 * seconds else 3
    return common.median_seconds(call, repeats, max(1, int(seconds / repeats / max(once, 1e-7))))


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


def measure(
    chosen: list[Point], texts: list[str], rounds: int, seconds: float
) -> Iterator[tuple[Point, dict[str, dict[str, Any]]]]:
    """For each point, in groups of calls, what each side took: a median, an error's text or None."""
    sides = ["torch", "numgrad"] if common.has("torch") else ["numgrad"]
    for threads in dict.fromkeys(point.threads for point in chosen):
        pause = common.PAUSE if threads > 1 else 0.02
        with ExitStack() as stack:
            jobs = {
                name: stack.enter_context(common.Side(f"benchmarks.surface:{name}_side", {"threads": threads}))
                for name in sides
            }
            for point in chosen:
                if point.threads != threads:
                    continue
                timed = set(cases(point.size))
                calls = [text for text in texts if text in timed and has_layout(text, point.layout)]
                for first in range(0, len(calls), _GROUP):
                    group = calls[first : first + _GROUP]
                    print(f"{point}: {first + 1} to {first + len(group)} of {len(calls)}", file=sys.stderr)
                    request = {"texts": group, "point": list(point), "seconds": seconds}
                    turns = common.take_turns(
                        {name: partial(job.ask, **request) for name, job in jobs.items()}, rounds, pause
                    )
                    yield (
                        point,
                        {
                            text: {name: _middle([turn[index] for turn in turns[name]]) for name in jobs}
                            for index, text in enumerate(group)
                        },
                    )


def _middle(answers: list[Any]) -> Any:
    return answers[0] if not isinstance(answers[0], float) else common.median(answers)


def _part(texts: list[str], part: str) -> list[str]:
    """The K-th of N parts of a list."""
    index, _, count = part.partition("/")
    return texts[int(index) - 1 :: int(count)]


def main() -> int:
    """Print what is slow, and a summary; 1 if a call failed on one side only."""
    parser = common.parser(__doc__, rounds=3, seconds=0.01)
    parser.add_argument("--sizes", nargs="+", choices=SIDES, default=["1e2", "1e4", "1e6"])
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=["float32"])
    parser.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=["contiguous"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], metavar="N")
    parser.add_argument("--forward", action="store_true", help="only without gradients (default: both)")
    parser.add_argument("--backward", action="store_true", help="only with the backward (default: both)")
    parser.add_argument(
        "--match", nargs="+", default=[""], metavar="TEXT", help="calls with one of these in their text"
    )
    parser.add_argument("--part", default="1/1", metavar="K/N", help="the K-th of N parts of the calls")
    parser.add_argument("--all", action="store_true", help=f"print every ratio, not those below {surface_results.SLOW}")
    parser.add_argument(
        "--save", nargs="?", type=Path, const=surface_results.FOLDER, metavar="FOLDER",
        help="merge the results into the file of this CPU, and write its page (default: docs/benchmarks/surface)",
    )  # fmt: skip
    args = parser.parse_args()
    directions = [name for name in DIRECTIONS if getattr(args, name)] or list(DIRECTIONS)
    texts = _part([text for text in cases() if any(part in text for part in args.match)], args.part)
    results = surface_results.Results(surface_results.machine())
    wrong = []
    for point, answers in measure(
        list(points(args.sizes, args.dtypes, args.layouts, directions, args.threads)), texts, args.rounds, args.seconds
    ):
        for text, sides in answers.items():
            if all(isinstance(value, float) for value in sides.values()):
                results.add(text, point, sides.get("torch"), sides["numgrad"])
            elif len({isinstance(value, str) for value in sides.values()}) > 1:
                wrong.append(f"{text} @ {point}: {sides}")
        if args.save:
            results.save(args.save)
    if args.json:
        print(json.dumps(results.as_json(), indent=1))
    else:
        common.print_machine(common.machine())
        results.show(everything=args.all)
    for line in wrong:
        print(line, file=sys.stderr)
    if args.save:
        surface_results.write_pages(args.save)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
