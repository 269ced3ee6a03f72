"""What the benchmarks share: sides in processes of their own that take turns, medians, ratios, the machine's name.

A *side* is one way of doing the work (numgrad, torch, ...). Each runs in a process of its own, so that thread pools,
allocators and libraries do not meet and peak memory can be told apart. Only one side is ever at work: the parent asks
one after the other, waits for the answer, and leaves a pause in which the threads of the last side fall asleep.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAUSE = 0.3  # seconds between turns: longer than any pool's threads spin
# Settings that make OpenBLAS slower than it is; one without the other is worse.
_UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


def environment(**changed: str) -> dict[str, str]:
    """The environment of the processes that are measured."""
    kept = {name: value for name, value in os.environ.items() if name not in _UNSET}
    path = os.pathsep.join([str(ROOT), *filter(None, [kept.get("PYTHONPATH")])])
    return {**kept, "PYTHONPATH": path, **changed}


def has(package: str) -> bool:
    """Whether a package is installed; says so on stderr where it is not."""
    if find_spec(package):
        return True
    print(f"{package} is not installed: its column is left out (python -m pip install {package})", file=sys.stderr)
    return False


class Side:
    """A process that makes one job and then runs it whenever it is asked.

    Parameters
    ----------
    job
        'module:function'. The function is called once in that process, with ``options``, and returns another that is
        called with the options of each request and returns what JSON can hold.
    options
        Its arguments.
    """

    def __init__(self, job: str, options: Mapping[str, Any], **environ: str) -> None:
        self.job = job
        command = [sys.executable, "-m", "benchmarks.worker", job, json.dumps(dict(options))]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(**environ), cwd=ROOT
        )
        self._answer()  # it is ready

    def ask(self, **request: Any) -> Any:
        """Run the job once; its result."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def peak_bytes(self) -> int | None:
        """The most memory that the process has had in RAM so far."""
        found: int | None = self.ask(peak=True)
        return found

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.job} ended with code {self._process.wait()}; its error is above")
        return json.loads(line)

    def __enter__(self) -> Side:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass
        if error is not None:
            self._process.terminate()
        self._process.wait()


def take_turns(jobs: Mapping[str, Callable[[], Any]], rounds: int, pause: float = PAUSE) -> dict[str, list[Any]]:
    """Call each in turn, ``rounds`` times over (A B C A B C ...); what each returned."""
    results: dict[str, list[Any]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            time.sleep(pause)
            results[name].append(job())
    return results


def best_of_sides(
    jobs: Mapping[str, tuple[str, Mapping[str, Any]]], request: Mapping[str, Any], rounds: int
) -> dict[str, dict[str, float]]:
    """The least seconds of each case of each side, a process for 'module:function' and its options, which take turns."""
    with ExitStack() as stack:
        sides = {name: stack.enter_context(Side(*job)) for name, job in jobs.items()}
        results = take_turns({name: lambda side=side: side.ask(**request) for name, side in sides.items()}, rounds)
    return {name: {case: min(turn[case] for turn in turns) for case in turns[0]} for name, turns in results.items()}


def median(values: Iterable[float]) -> float:
    """The median."""
    return statistics.median(values)


def median_seconds(action: Callable[[], Any], repeats: int, inner: int = 1) -> float:
    """Median seconds of one call, from ``repeats`` measurements of ``inner`` calls each."""
    spent = []
    for _ in range(repeats):
        begin = time.perf_counter()
        for _ in range(inner):
            action()
        spent.append((time.perf_counter() - begin) / inner)
    return median(spent)


def machine(packages: Sequence[str] = ("numgrad", "numba", "numpy", "torch")) -> dict[str, Any]:
    """What the numbers depend on."""
    from numgrad.cli.machine import cpu_name

    def installed(package: str) -> str | None:
        try:
            return version(package)
        except PackageNotFoundError:
            return None

    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    found = {package: installed(package) for package in packages}
    return {"cpu": cpu_name(), "cpus": cpus, "python": sys.version.split()[0], "load": load, **found}


def print_machine(facts: Mapping[str, Any]) -> None:
    """One line about the machine, and a warning where it was busy."""
    versions = ", ".join(f"{k} {v}" for k, v in facts.items() if v and k not in ("cpu", "cpus", "load"))
    print(f"{facts['cpu']}, {facts['cpus']} CPUs; {versions}")
    if facts["load"] is not None and facts["load"] > 0.5:
        print(f"The machine's load was {facts['load']:.1f} at the start: compare columns, not runs.")


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns, the first to the left and the others to the right."""
    table = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    for row in table:
        first, *others = (f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
        print("  ".join([first.strip().ljust(widths[0]), *others]).rstrip())


def parser(text: str | None, **defaults: float) -> argparse.ArgumentParser:
    """A benchmark's parser: its options, numbers of the kind of their defaults, and ``--json``."""
    made = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in defaults.items():
        made.add_argument(
            f"--{name.replace('_', '-')}",
            type=type(default),
            default=default,
            metavar="N",
            help=f"(default: {default})",
        )
    made.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    return made


def compare_cases(module: str, text: str | None, digits: int, **defaults: int) -> int:
    """The command of a benchmark whose sides answer with seconds by case: a table of microseconds, or JSON.

    ``module`` has ``torch_side`` and ``numgrad_side``, jobs of a `Side`, which are asked with ``repeats``.
    """
    args = parser(text, **defaults, threads=0).parse_args()
    facts = machine()
    found = _seconds_of_cases(module, args.threads, args.repeats, args.rounds)
    if args.json:
        print(json.dumps({"machine": facts, "cases": found}, indent=2))
        return 0
    print_machine(facts)
    names = list(next(iter(found.values())))
    both = "torch" in names
    rows = [
        [case, *[f"{1e6 * value:.{digits}f}" for value in seconds.values()]]
        + ([f"{seconds['torch'] / seconds['numgrad']:.2f}"] if both else [])
        for case, seconds in found.items()
    ]
    print_table(["median µs", *names, *(["torch / numgrad"] if both else [])], rows)
    return 0


def _seconds_of_cases(module: str, threads: int, repeats: int, rounds: int) -> dict[str, dict[str, float]]:
    """Median seconds by case and side, the sides in processes of their own, turn by turn."""
    names = ["torch", "numgrad"] if has("torch") else ["numgrad"]
    with ExitStack() as stack:
        sides = {name: stack.enter_context(Side(f"{module}:{name}_side", {"threads": threads})) for name in names}
        turns = {name: functools.partial(side.ask, repeats=repeats) for name, side in sides.items()}
        take_turns(turns, 1)
        results = take_turns(turns, rounds)
    cases = results["numgrad"][0]
    return {case: {name: median(turn[case] for turn in results[name]) for name in names} for case in cases}
