"""Gradients of loops: 25 programs against the same compiled by Numba, against JAX's jit and torch, turn by turn.

``python -m benchmarks.loops --write`` makes docs/benchmarks/loops.md. All sides run in this process on one thread (JAX and
torch if they are installed): CPU times and wall times, medians of turns. A gradient is value and gradient together; a primal is
the value alone. ``--compile`` measures the first call of each program instead, in a process with an empty store of kernels.
``--threads`` measures programs with `prange` on one thread and on two, and ``--threads --write`` writes the page's table of these.
"""

from __future__ import annotations

import os

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from benchmarks import common
from benchmarks.loop_programs import Case, cases
from benchmarks.report import machine_line

PAGE = common.ROOT / "docs" / "benchmarks" / "loops.md"
SIDES = ("primal", "numgrad", "jax primal", "jax", "torch")
_LONG = 2.0  # seconds of one call, after which a side gets no second turn
_SHORT = 0.02  # seconds of one call, below which a turn is two, and the second counts
_AGREE = 1e-6  # of the sides' gradients, in relation to the largest number; JAX decides a hit of a ray by a rounding


# ---- the sides --------------------------------------------------------------------------------------------------


def by_numba(function: FunctionType) -> Any:
    """A function and the functions that it calls, compiled with the flags that numgrad uses."""
    import numba

    scope = dict(function.__globals__)
    made = FunctionType(function.__code__, scope, function.__name__, function.__defaults__)
    for name in function.__code__.co_names:
        if isinstance(scope.get(name), FunctionType):
            scope[name] = by_numba(scope[name])
    return numba.njit(error_model="numpy", fastmath={"contract"})(made)


def primal(case: Case) -> Callable[[], Any]:
    """The value, by Numba alone."""
    made = by_numba(case.function)
    return lambda: made(*case.args)


def numgrad(case: Case) -> tuple[Callable[[], Any], Callable[[], int]]:
    """Value and gradient by the tape, and the bytes that are kept between forward and backward."""
    import numgrad as ng

    op = ng.differentiable(case.function)
    given = [
        ng.tensor(a, dtype=ng.float64, requires_grad=True) if k in case.wrt else a for k, a in enumerate(case.args)
    ]
    leaves = [given[k] for k in case.wrt]

    def gradient() -> Any:
        value = op(*given)
        return value, ng.autograd.grad(value, leaves)

    def tape() -> int:
        (found,) = re.findall(r"^tape: (\d+) bytes$", op.report(*given), re.MULTILINE)
        return int(found)

    return gradient, tape


def sides(name: str, case: Case) -> tuple[dict[str, Callable[[], Any]], dict[str, Any]]:
    """Calls by side, and what is known of them: bytes of the tape, of JAX's temporaries, and how far gradients differ."""
    gradient, tape = numgrad(case)
    calls: dict[str, Callable[[], Any]] = {"primal": primal(case), "numgrad": gradient}
    own = np.concatenate([np.ravel(g.numpy()) for g in gradient()[1]])
    facts: dict[str, Any] = {"tape": tape(), "apart": {}}

    def agree(side: str, numbers: np.ndarray) -> None:
        facts["apart"][side] = float(np.abs(numbers - own).max() / max(1.0, np.abs(own).max()))

    if common.has("jax"):
        in_jax = _jax()
        if name in in_jax.PROGRAMS:
            calls["jax"], calls["jax primal"], facts["temporaries"] = in_jax.compiled(name, case.args, case.wrt)
            agree("jax", in_jax.numbers(calls["jax"]()))
    if common.has("torch"):
        from benchmarks.loop_programs import in_torch

        if name in in_torch.PROGRAMS:
            calls["torch"] = in_torch.eager(name, case.args, case.wrt)
    return calls, facts


def _jax() -> ModuleType:
    import jax

    jax.config.update("jax_enable_x64", True)
    from benchmarks.loop_programs import in_jax

    return in_jax


# ---- times ------------------------------------------------------------------------------------------------------


def measure(calls: dict[str, Callable[[], Any]], seconds: float) -> dict[str, dict[str, float]]:
    """Medians of CPU and wall times by side, in seconds, turn by turn."""
    order = [side for side in SIDES if side in calls]
    times: dict[str, list[tuple[float, float]]] = {side: [] for side in order}
    long: set[str] = set()
    for side in order:  # compiles and warms up
        first = _timed(calls[side])
        if side == "torch" and first[1] > _LONG:
            long.add(side)
            times[side].append(first)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times["primal"]) < 5:
        for side in order:
            if side not in long:
                if times[side] and times[side][-1][1] < _SHORT:
                    calls[side]()  # caches have the last side's memory and code
                times[side].append(_timed(calls[side]))
    return {
        side: {"cpu": statistics.median(c for c, _ in found), "wall": statistics.median(w for _, w in found)}
        for side, found in times.items()
    }


def _timed(call: Callable[[], Any]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.process_time() - cpu, time.perf_counter() - wall


def compile_times(names: list[str]) -> dict[str, dict[str, float]]:
    """CPU seconds of first calls: numgrad's gradient, and Numba's primal, in this process, whose store has to be empty."""

    def warm(x, n):
        s = 0.0
        for i in range(n):
            s += x[i] * x[i]
        return s

    numgrad(Case(warm, (np.ones(3), 3), (0,)))[0]()
    by_numba(warm)(np.ones(3), 3)
    found = {}
    for name, case in cases(small=True).items():
        if name in names:
            both = {"numgrad": numgrad(case)[0], "numba": primal(case)}
            found[name] = {side: _timed(call)[0] - _timed(call)[0] for side, call in both.items()}
    return found


def ask_compile_times(names: list[str]) -> dict[str, dict[str, float]]:
    """`compile_times`, of a process of its own with an empty store."""
    with tempfile.TemporaryDirectory() as store:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.loops", "--compile", "--json", *names],
            env={**common.environment(), "NUMGRAD_KERNEL_STORE": store}, cwd=common.ROOT, stdout=subprocess.PIPE, text=True,
            check=True,
        )  # fmt: skip
    found: dict[str, dict[str, float]] = json.loads(done.stdout)
    return found


# ---- threads ----------------------------------------------------------------------------------------------------


def thread_times(names: list[str], seconds: float) -> dict[str, dict[str, float]]:
    """Medians of wall times, in seconds: the value by Numba, gradients with `range`, and with `prange` by number of threads."""
    import numgrad as ng
    from benchmarks.loop_programs.parallel import pairs

    found = {}
    for name, (plain, parallel) in pairs().items():
        if names and name not in names:
            continue
        gradient = numgrad(parallel)[0]
        calls = {
            "primal": (1, primal(plain)),
            "range": (1, numgrad(plain)[0]),
            "one": (1, gradient),
            "two": (2, gradient),
        }
        times: dict[str, list[float]] = {side: [] for side in calls}
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(times["two"]) < 5:
            for side, (threads, call) in calls.items():
                ng.set_num_threads(threads)
                call()  # compiles, starts threads, warms up
                times[side].append(_timed(call)[1])
        found[name] = {side: statistics.median(each) for side, each in times.items()}
    return found


_THREADS = re.compile(r"(?<=<!-- threads -->\n).*?(?=<!-- end -->)", re.DOTALL)


def thread_table(found: dict[str, dict[str, float]]) -> str:
    """The page's table of threads."""
    rows = [
        ["program", "value, ms", "gradient, `range`", "`prange`, one thread", "two threads", "one ÷ two"],
        ["---"] + ["---:"] * 5,
    ]
    for name, each in found.items():
        times = [f"{1e3 * each[side]:.2f}" for side in ("primal", "range", "one", "two")]
        rows.append([f"`{name}`", *times, f"{each['one'] / each['two']:.2f}"])
    return "\n".join("| " + " | ".join(each) + " |" for each in rows) + "\n"


# ---- the page ---------------------------------------------------------------------------------------------------


def row(name: str, found: dict[str, Any], first: dict[str, float] | None) -> list[str]:
    """A line of the table."""

    def ratio(one: str, two: str, clock: str = "cpu", digits: int = 2) -> str:
        return f"{found[one][clock] / found[two][clock]:.{digits}f}" if one in found and two in found else ""

    def megabytes(key: str) -> str:
        return f"{found['facts'][key] / 1e6:.3g}" if key in found["facts"] else ""

    torch = ratio("torch", "numgrad", digits=1)
    compiling = (
        f"{first['numgrad']:.1f}, {first['numba']:.1f}, {first['numgrad'] / first['numba']:.1f}" if first else ""
    )
    return [
        f"`{name}`", f"{1e3 * found['primal']['cpu']:.2f}", f"{1e3 * found['numgrad']['cpu']:.2f}",
        ratio("numgrad", "primal"), ratio("numgrad", "primal", "wall"), ratio("jax", "numgrad") or "cannot",
        ratio("jax", "numgrad", "wall"), ratio("jax", "jax primal"), torch, megabytes("tape"), megabytes("temporaries"), compiling,
    ]  # fmt: skip


HEAD = [
    "program", "value, ms", "gradient, ms", "gradient ÷ value", "the same, wall", "JAX ÷ numgrad", "the same, wall",
    "JAX's gradient ÷ value", "torch ÷ numgrad", "tape, MB", "JAX's temporaries, MB", "compiling: numgrad, Numba (s), ÷",
]  # fmt: skip


def summary(results: dict[str, dict[str, Any]], first: dict[str, dict[str, float]]) -> list[str]:
    """What the table says, in sentences."""
    own = {name: r["numgrad"]["cpu"] / r["primal"]["cpu"] for name, r in results.items()}
    jax = {name: r["jax"]["cpu"] / r["numgrad"]["cpu"] for name, r in results.items() if "jax" in r}
    slow = {name: f"`{name}` {value:.1f}" for name, value in own.items() if value > 5}
    behind = [f"`{name}` {value:.2f}" for name, value in sorted(jax.items(), key=lambda item: item[1]) if value < 1]
    lines = [
        f"Gradient with its value ÷ value: {statistics.median(own.values()):.2f} in the median of {len(own)} programs, "
        f"{max(own.values()):.1f} at most" + (f"; above 5: {', '.join(slow.values())}." if slow else "."),
    ]
    if jax:
        lines.append(
            f"Against JAX: ahead on {sum(v >= 1 for v in jax.values())} of {len(jax)} programs that JAX can reverse, "
            f"{statistics.median(jax.values()):.1f} times in the median"
            + (f"; behind on {', '.join(behind)}." if behind else ".")
        )
    if first:
        ratios = [f["numgrad"] / f["numba"] for f in first.values()]
        lines.append(
            f"Compiling, once in the life of the store: {statistics.median(ratios):.1f} times what Numba takes for the value "
            f"alone in the median, {max(ratios):.1f} at most."
        )
    return lines


TEXT = """# Gradients of loops, beside JAX and torch

{machine}. Made by `python -m benchmarks.loops --write`; float64, one thread, CPU times where nothing else is said, medians of
turns in one process. Other processes were at work on the machine, which the wall times show and the CPU times mostly do not; JAX's
CPU times have those of its own threads.

The programs are in [benchmarks/loop_programs](../../benchmarks/loop_programs): each is written once for Numba, and as users of
JAX (scans, whole arrays) and torch (eager) write it. A *value* is the program compiled by Numba alone; a *gradient* is value and
gradient through the tape, `op(...)` and `autograd.grad`. JAX cannot reverse loops whose number of turns it finds while they run.
The *tape* is what the op keeps between forward and backward.

{lines}

{table}

## Turns that threads share

Programs whose loops say `prange` where they said `range`, larger than above, by `python -m benchmarks.loops --threads --write`
(under `chrt -r 5`, since others were at work): wall times in milliseconds, medians of turns. The bits of a gradient are the same
for one thread and two.

<!-- threads -->
{threads}<!-- end -->
"""


def as_page(machine: dict[str, Any], results: dict[str, Any], first: dict[str, dict[str, float]]) -> str:
    """docs/benchmarks/loops.md."""
    rows = [HEAD, ["---"] + ["---:"] * (len(HEAD) - 1)]
    rows += [row(name, found, first.get(name)) for name, found in results.items()]
    lines = summary(results, first)
    lines += [
        f"`{name}`: JAX's gradient differs by {found['facts']['apart']['jax']:.1e}."
        for name, found in results.items()
        if found["facts"]["apart"].get("jax", 0.0) > _AGREE
    ]
    return TEXT.format(
        machine=machine_line({"machine": machine}) + _versions(),
        lines="\n".join(f"- {line}" for line in lines),
        table="\n".join("| " + " | ".join(each) + " |" for each in rows),
        threads=_THREADS.findall(PAGE.read_text("utf-8"))[0],
    )


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="programs (default: all)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of turns for each program (default: 3)")
    parser.add_argument("--compile", action="store_true", help="times of first calls, in this process")
    parser.add_argument("--threads", action="store_true", help="programs with prange on one thread and two")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(common.ROOT)}")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    args = parser.parse_args()
    every = cases()
    names = args.names or list(every)
    if args.threads:
        table = thread_table(thread_times(args.names, args.seconds))
        print(table)
        if args.write:
            PAGE.write_text(_THREADS.sub(table, PAGE.read_text("utf-8")), "utf-8")
        return 0
    if args.compile:
        print(json.dumps(compile_times(names)))
        return 0
    import numgrad as ng

    ng.set_num_threads(1)
    results: dict[str, dict[str, Any]] = {}
    for name in names:
        calls, facts = sides(name, every[name])
        results[name] = {**measure(calls, args.seconds), "facts": facts}
        print(" | ".join(row(name, results[name], None)), file=sys.stderr, flush=True)
    first = ask_compile_times(names)
    if args.json:
        print(json.dumps({"machine": common.machine(), "results": results, "compile": first}, indent=1))
        return 0
    page = as_page(common.machine(), results, first)
    print(page)
    if args.write:
        PAGE.write_text(page, "utf-8")
    return 0


def _versions() -> str:
    from importlib.metadata import version

    return f", jax {version('jax')}" if common.has("jax") else ""


if __name__ == "__main__":
    sys.exit(main())
