"""The results of ``python -m benchmarks surface``: a file for each CPU, into which runs merge, and the pages made of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks import common
from benchmarks.surface_operands import Point, point_of
from benchmarks.surface_reasons import reason

FOLDER = common.ROOT / "docs" / "benchmarks" / "surface"
SLOW, VERY_SLOW = 0.8, 0.5


def machine() -> dict[str, Any]:
    """What the numbers depend on; the CPU's name is followed by LLVM's, as makers give one name to several generations."""
    from llvmlite import binding

    facts = common.machine()
    facts["cpu"] = f"{facts['cpu']} ({binding.get_host_cpu_name()})"
    return {name: value for name, value in facts.items() if name != "load"}


class Results:
    """Microseconds of both sides, by call and point."""

    def __init__(self, machine: dict[str, Any]) -> None:
        self.machine = machine
        self.calls: dict[str, dict[Point, tuple[float | None, float]]] = {}

    def add(self, text: str, point: Point, torch: float | None, own: float) -> None:
        """Seconds of a call at a point."""
        micro = [None if value is None else float(f"{1e6 * value:.4g}") for value in (torch, own)]
        self.calls.setdefault(text, {})[point] = (micro[0], micro[1] or 0.0)

    def ratios(self) -> dict[tuple[str, Point], float]:
        """torch's time / numgrad's, where there are both."""
        return {
            (text, point): torch / own
            for text, times in self.calls.items()
            for point, (torch, own) in times.items()
            if torch is not None
        }

    def as_json(self) -> dict[str, Any]:
        """What the file holds."""
        calls = {
            text: {str(point): list(times) for point, times in sorted(self.calls[text].items())}
            for text in sorted(self.calls)
        }
        return {"machine": self.machine, "microseconds of torch and numgrad": calls}

    def save(self, folder: Path) -> None:
        """Merge into the file of this CPU; what was measured again is overwritten."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{re.sub('[^a-z0-9]+', '-', self.machine['cpu'].lower()).strip('-')}.json"
        merged = read(path) if path.exists() else Results(self.machine)
        merged.machine = self.machine
        for text, times in self.calls.items():
            merged.calls.setdefault(text, {}).update(times)
        lines = json.dumps(merged.as_json(), indent=1)
        lines = re.sub(r"\[\s+([^\]]+?),\s+([^\]]+?)\s+\]", r"[\1, \2]", lines)  # a point a line
        partial_path = path.with_suffix(".part")
        partial_path.write_text(lines + "\n", "utf-8")
        partial_path.replace(path)

    def show(self, everything: bool) -> None:
        """Print the slow points, or all, the slowest first; and a summary."""
        ratios = self.ratios()
        rows = sorted(ratios, key=ratios.__getitem__) if ratios else [(t, p) for t in self.calls for p in self.calls[t]]
        common.print_table(
            ["median µs", "point", "torch", "numgrad", "torch / numgrad", "why"],
            [
                [
                    text,
                    str(point),
                    *("" if value is None else f"{value:.1f}" for value in self.calls[text][point]),
                    f"{ratios[text, point]:.2f}" if ratios else "",
                    reason(text, point) if ratios.get((text, point), 1.0) < SLOW else "",
                ]
                for text, point in rows
                if everything or not ratios or ratios[text, point] < SLOW
            ],
        )
        if ratios:
            print(
                "{} calls, {} points, median {}; {} below 0.5, {} below 0.8, {} at 1 or above".format(
                    len(self.calls), *_counts(ratios.values())
                )
            )


def read(path: Path) -> Results:
    """The results of a file."""
    data = json.loads(path.read_text("utf-8"))
    results = Results(data["machine"])
    for text, times in data["microseconds of torch and numgrad"].items():
        results.calls[text] = {point_of(name): (torch, own) for name, (torch, own) in times.items()}
    return results


def _counts(ratios: Iterable[float]) -> list[str]:
    values = list(ratios)
    counts = [
        sum(value < VERY_SLOW for value in values),
        sum(value < SLOW for value in values),
        sum(value >= 1 for value in values),
    ]
    return [str(len(values)), f"{common.median(values):.2f}", *map(str, counts)]


def write_pages(folder: Path) -> None:
    """A page for each file, and one that leads to them, beside the folder; pages without a file stay as they are."""
    rows = []
    for path in sorted(folder.glob("*.json")):
        results = read(path)
        path.with_suffix(".md").write_text(page(results), "utf-8")
        ratios = results.ratios()
        rows.append([f"[{results.machine['cpu']}]({folder.name}/{path.stem}.md)", *_counts(ratios.values())])
    for path in sorted(folder.glob("*.md")):
        if not path.with_suffix(".json").exists():
            title = path.read_text("utf-8").partition("\n")[0].removeprefix("# ")
            rows.append([f"[{title}]({folder.name}/{path.name})", *[""] * 5])
    lines = [
        "# Every public function beside torch",
        "",
        "torch's time divided by numgrad's: above 1 numgrad is ahead. A point is a call at one size, in one dtype and layout, "
        "without or with its backward, on so many threads; both libraries take turns in one run. Made by "
        "`python -m benchmarks surface --save`, which merges into the file of the CPU that it runs on.",
        "",
        *_table(["CPU", "points", "median", "below 0.5", "below 0.8", "at 1 or above"], rows),
    ]
    folder.with_suffix(".md").write_text("\n".join(lines) + "\n", "utf-8")


def page(results: Results) -> str:
    """The page of a CPU: counts by kind of point, and all calls that are slow somewhere, by reason."""
    ratios = results.ratios()
    facts = results.machine
    versions = ", ".join(f"{name} {facts[name]}" for name in ("python", "numba", "numpy", "torch") if facts.get(name))
    kinds: dict[Point, list[float]] = {}
    slow: dict[str, dict[str, list[Point]]] = {}
    for (text, point), value in ratios.items():
        kinds.setdefault(point, []).append(value)
        if value < SLOW:
            slow.setdefault(reason(text, point) or "Not explained yet", {}).setdefault(text, []).append(point)
    lines = [
        f"# {facts['cpu']}",
        "",
        f"{facts['cpus']} CPUs; {versions}. Ratios are torch's time / numgrad's, medians of turns in one run.",
        "",
        "{} points, median {}; {} below 0.5, {} below 0.8, {} at 1 or above.".format(*_counts(ratios.values())),
        "",
        *_table(
            ["size, dtype, layout, direction, threads", "points", "median", "below 0.5", "below 0.8", "at 1 or above"],
            [[str(point), *_counts(kinds[point])] for point in sorted(kinds)],
        ),
        "",
        f"## What is below {SLOW}, and why",
        "",
        "A line a call: how many of its points that the reason speaks of are below, and the slowest of them.",
    ]
    for why in sorted(slow, key=lambda why: (why == "Not explained yet", -sum(map(len, slow[why].values())))):
        lines += ["", f"### {why}", ""]
        worst = {
            text: min(below, key=lambda point, text=text: ratios[text, point])  # type: ignore[misc]
            for text, below in slow[why].items()
        }
        lines += _table(
            ["call", "points", "slowest", "torch, µs", "numgrad, µs", "ratio"],
            [
                [
                    f"`{text}`",
                    f"{len(slow[why][text])} of {len(results.calls[text])}",
                    str(point),
                    *(f"{value:.1f}" for value in results.calls[text][point] if value is not None),
                    f"{ratios[text, point]:.2f}",
                ]
                for text, point in sorted(worst.items(), key=lambda item: ratios[item])
            ],
        )
    return "\n".join(lines) + "\n"


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    return [
        f"| {' | '.join(header)} |",
        f"|---|{'---:|' * (len(header) - 1)}",
        *(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows),
    ]
