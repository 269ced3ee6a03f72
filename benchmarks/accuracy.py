"""Errors of the elementary and special functions in units in the last place, against mpmath.

Half of the samples of a function lie evenly in an interval where it does most, the others evenly in the bits of a float over the
whole domain, denormals among them. An error is the distance from the exact value by the spacing of the dtype there.

    python -m benchmarks accuracy --match erf --count 100000
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import common
from benchmarks.accuracy_functions import FUNCTIONS, Function

PAGE = common.ROOT / "docs" / "benchmarks" / "accuracy.md"
DTYPES = ("float32", "float64")


class Worst(NamedTuple):
    """The largest error of a function in a dtype, in units in the last place, and where it is."""

    error: float
    at: tuple[float, ...]


def samples(function: Function, dtype: str, count: int, seed: int = 0) -> list[Any]:
    """The arguments, an array for each."""
    import numpy as np

    random = np.random.default_rng(seed)
    two = isinstance(function.core[0], tuple)
    cores = function.core if two else (function.core,)
    domains = function.domain if isinstance(function.domain[0], tuple) else (function.domain,) * len(cores)
    arrays = []
    for core, (low, high) in zip(cores, domains, strict=True):
        even = random.uniform(*core, count // 2).astype(dtype)
        kind = np.int32 if dtype == "float32" else np.int64
        biggest = np.finfo(dtype).max
        ends = np.array([max(low, -biggest), min(high, biggest)], dtype)
        first, last = (_ordered(end, kind) for end in ends)
        bits = [int(first + (last - first) * share) for share in random.uniform(0, 1, count - count // 2)]
        spread = np.array([_number(each, kind, dtype) for each in bits])
        arrays.append(np.concatenate([even, spread, ends]) if len(cores) == 1 else np.concatenate([even, spread]))
    inside = np.logical_and.reduce([np.isfinite(each) for each in arrays])
    return [each[inside] for each in arrays]


def _ordered(number: Any, kind: Any) -> int:
    """An integer that counts the floats from 0."""
    bits = int(number.view(kind))
    return bits if bits >= 0 else -(bits - int(_lowest(kind)))


def _number(order: int, kind: Any, dtype: str) -> Any:
    bits = order if order >= 0 else int(_lowest(kind)) - order
    return kind(bits).view(dtype)


def _lowest(kind: Any) -> Any:
    import numpy as np

    return np.iinfo(kind).min


def worst_of(function: Function, dtype: str, count: int, seed: int = 0) -> Worst:
    """The largest error of so many samples."""
    import mpmath
    import numpy as np

    import numgrad as ng

    arguments = samples(function, dtype, count, seed)
    home = functools.reduce(getattr, function.name.split("."), ng)
    tensors = [ng.tensor(each) for each in arguments]
    results = (home(1, *tensors) if function.name == "polygamma" else home(*tensors)).numpy()
    limits = np.finfo(dtype)
    mantissa, least = limits.nmant, int(limits.minexp) - limits.nmant
    worst = Worst(0.0, tuple(float(each[0]) for each in arguments))
    with mpmath.workdps(50):
        most = mpmath.mpf(float(limits.max)) * (1 + mpmath.mpf(2) ** (-mantissa - 2))
        for index, got in enumerate(results):
            at = tuple(float(each[index]) for each in arguments)
            numbers = [mpmath.mpf(each) for each in at]
            try:
                exact = mpmath.re(function.exact(mpmath, *numbers))
            except (ZeroDivisionError, ValueError):  # a pole
                continue
            error = _error(mpmath, float(got), exact, mantissa, least, most, function.envelope, numbers)
            if not error <= worst.error:
                worst = Worst(error, at)
    return worst


def _error(m: Any, got: float, exact: Any, mantissa: int, least: int, most: Any, envelope: Any, numbers: Any) -> float:
    if abs(exact) > most or not m.isfinite(exact):
        exact = m.inf * m.sign(exact)
    if not m.isfinite(exact) or got != got or abs(got) == float("inf"):
        return 0.0 if m.mpf(got) == exact or m.isnan(exact) else float("inf")
    size = abs(exact) if envelope is None else max(abs(exact), envelope(m, *numbers))
    exponent = max(int(m.floor(m.log(size, 2))) - mantissa, least) if size else least
    return float(abs(m.mpf(got) - exact) / m.mpf(2) ** exponent)


def measure(names: Iterable[Function], count: int) -> dict[str, dict[str, Worst]]:
    """By function and dtype."""
    table = {}
    for function in names:
        table[function.name] = {dtype: worst_of(function, dtype, count) for dtype in DTYPES}
        shown = ", ".join(f"{dtype} {worst.error:.2f} at {worst.at}" for dtype, worst in table[function.name].items())
        print(f"{function.name}: {shown}", flush=True)
    return table


def page(table: dict[str, dict[str, Worst]], count: int) -> str:
    """The table in Markdown."""
    lines = [
        "# Accuracy of elementary and special functions",
        "",
        f"The largest error of {count:,} samples against mpmath (50 digits), in units in the last place of the result; 0.5 is "
        "correct rounding. Half of the samples lie evenly in the first interval, the others evenly in the bits of the dtype "
        f"over the second, denormals included. Made by `python -m benchmarks accuracy --count {count} --save`; a test keeps the "
        "bounds. The bounds of `bessel_j1` and `bessel_y1` are for arguments just below 8, that of `bessel_y0` for some between "
        "0.2 and 0.3, which need more samples to be found: elsewhere errors are below 8.",
        "",
        "| function | evenly in | by bits in | float32 | at | float64 | at | bounds |",
        "|---|---|---|---:|---|---:|---|---|",
    ]
    for function in FUNCTIONS:
        if function.name in table:
            cells = [f"`{function.name}`{'' if function.envelope is None else ' *'}", *map(_interval, function[2:4])]
            for dtype in DTYPES:
                worst = table[function.name][dtype]
                cells += [f"{worst.error:.2f}", ", ".join(f"{each:.6g}" for each in worst.at)]
            lines.append(f"| {' | '.join([*cells, ', '.join(f'{each:g}' for each in function.bounds)])} |")
    lines += [
        "",
        "\\* Relative to the size of the waves: near a zero other than that at 0 the error of the result is that of its argument.",
    ]
    return "\n".join(lines) + "\n"


def _interval(ends: Any) -> str:
    if isinstance(ends[0], tuple):
        return "; ".join(map(_interval, ends))
    if ends == (-float("inf"), float("inf")):
        return "all numbers"
    return f"{ends[0]:g} to {ends[1]:g}".replace("inf", "∞")


def main() -> int:
    """Measure and print; 1 if a bound is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--match", default="", metavar="TEXT", help="only functions with this text in their name")
    parser.add_argument("--count", type=int, default=10000, metavar="N", help="samples of each (default: 10000)")
    parser.add_argument("--save", nargs="?", type=Path, const=PAGE, metavar="FILE", help="write the table, too")
    args = parser.parse_args()
    chosen = [each for each in FUNCTIONS if args.match in each.name]
    table = measure(chosen, args.count)
    if args.save:
        args.save.write_text(page(table, args.count), "utf-8")
    exceeded = [
        f"{function.name} {dtype}: {table[function.name][dtype].error:.2f}, bound {bound:g}"
        for function in chosen
        for dtype, bound in zip(DTYPES, function.bounds, strict=True)
        if not table[function.name][dtype].error <= bound
    ]
    print("\n".join(["beyond their bounds:", *exceeded] if exceeded else ["all within their bounds"]))
    return 1 if exceeded else 0


if __name__ == "__main__":
    sys.exit(main())
