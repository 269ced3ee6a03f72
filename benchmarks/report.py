"""The results of ``python -m benchmarks`` as a table in Markdown and as a plot."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.sections import Row
from benchmarks.train_step import NUMGRAD, TORCH

_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#555555"  # distinct for every kind of colour vision


def rows_of(results: dict[str, Any]) -> dict[str, list[Row]]:
    """All rows, by section."""
    found: dict[str, list[Row]] = {}
    for section in results["sections"].values():
        for row in section["rows"]:
            found.setdefault(row["section"], []).append(Row(**row))
    return found


def machine_line(results: dict[str, Any]) -> str:
    """The machine and the versions in one line."""
    facts = results["machine"]
    versions = ", ".join(f"{name} {facts[name]}" for name in ("numgrad", "numba", "numpy", "torch") if facts.get(name))
    return f"{facts['cpu']}, {facts['cpus']} CPUs; Python {facts['python']}, {versions}"


# ---- Markdown ---------------------------------------------------------------------------------------------------


def as_markdown(results: dict[str, Any], picture: str | None) -> str:
    """The whole table."""
    minutes = sum(part["seconds"] for part in results["sections"].values()) / 60
    lines = [
        "# Benchmarks",
        "",
        f"{machine_line(results)}. Made by `python -m benchmarks{' --quick' if results['quick'] else ''}` in "
        f"{minutes:.0f} minutes; medians, each side in a process of its own, turn by turn. Ratios say how "
        "many times better numgrad is; above 1 it is ahead. `channels_last` is torch's own advice for convolutional nets.",
    ]
    if picture:
        lines += ["", f"![How many times faster than torch]({picture})"]
    for section, rows in rows_of(results).items():
        sides = list(dict.fromkeys(side for row in rows for side in row.values))
        lines += ["", f"## {section.capitalize()}", ""]
        compared = any(row.ratios for row in rows)
        heads = ["", "unit", *sides, *(["numgrad against torch", "against torch's best"] if compared else [])]
        lines += [f"| {' | '.join(heads)} |", f"|{'---|' * 2}{'---:|' * (len(heads) - 2)}"]
        for row in rows:
            cells = [row.name, row.unit, *(_number(row.values.get(side)) for side in sides)]
            if compared:
                cells += [f"{row.ratios[key]:.2f}" if row.ratios else "" for key in (TORCH, "best")]
            lines.append(f"| {' | '.join(cells)} |")
    lines += _roofline(results)
    return "\n".join(lines) + "\n"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _roofline(results: dict[str, Any]) -> Iterator[str]:
    for step, found in results["sections"].get("roofline", {}).get("raw", {}).items():
        limits, kernels = found["limits"], found["kernels"]
        total, limit = (sum(k[key] for k in kernels.values()) for key in ("seconds", "limit_seconds"))
        yield ""
        yield f"## The kernels of {step}"
        yield ""
        yield (
            f"Limits measured in the same run: {limits['flops'] / 1e9:.0f} GFLOP/s in float32, "
            f"{limits['bytes'] / 1e9:.0f} GB/s. All launches: {1e3 * total:.2f} ms; at these limits {1e3 * limit:.2f} ms, "
            f"a share of {limit / total:.2f}. Operands that a cache has kept are read faster than memory: shares above 1."
        )
        yield ""
        yield "| kernel | launches | ms | GFLOP/s | GB/s | share of the limit |"
        yield "|---|---:|---:|---:|---:|---:|"
        for name, k in kernels.items():
            yield (
                f"| {name} | {k['launches']} | {1e3 * k['seconds']:.3f} | {1e-9 * k['operations'] / k['seconds']:.1f} "
                f"| {1e-9 * k['bytes'] / k['seconds']:.1f} | {k['share']:.2f} |"
            )


# ---- the plot ---------------------------------------------------------------------------------------------------


def draw(results: dict[str, Any], path: Path) -> bool:
    """A bar for each plotted row: how many times better numgrad is than torch; False without matplotlib or rows."""
    sections = {name: [row for row in rows if row.plotted and row.ratios] for name, rows in rows_of(results).items()}
    sections = {name: rows for name, rows in sections.items() if rows}
    if not sections:
        return False
    if not find_spec("matplotlib"):
        print("matplotlib is not installed: no plot (python -m pip install matplotlib)", file=sys.stderr)
        return False
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "numgrad", "font.family": "DejaVu Sans", "font.size": 9})
    import matplotlib.pyplot as plt

    count = sum(map(len, sections.values()))
    figure, axes = plt.subplots(figsize=(8.4, 1.5 + 0.27 * (count + 1.2 * len(sections))))
    axes.set_xscale("log", base=2)
    place, ticks, labels = 0.0, [], []
    ratios = [value for rows in sections.values() for row in rows for value in row.ratios.values()]
    low, high = min(0.5, *ratios) / 1.25, max(4.0, *ratios) * 1.6
    for section, rows in sections.items():
        ticks.append(place)
        labels.append(section)
        place += 1
        for row in rows:
            best, as_is = row.ratios["best"], row.ratios[TORCH]
            colour = _BLUE if best >= 1 else _ORANGE
            axes.barh(place, best - 1, left=1, height=0.66, color=colour, zorder=2)
            if as_is > best * 1.02:  # torch's best is not the way that people write it
                axes.plot([best, as_is], [place, place], color=colour, lw=1.2, zorder=2)
                axes.plot([as_is], [place], marker="|", ms=8, mew=1.6, color=colour, zorder=2)
            text = f"{best:.2f}" if best < 10 else f"{best:.0f}"
            axes.text(max(best, as_is, 1) * 1.06, place, text, va="center", ha="left", fontsize=8.5, zorder=3)
            ticks.append(place)
            labels.append(f"{row.name}   {_number(row.values[NUMGRAD])} {row.unit}")
            place += 1
        place += 0.2
    axes.axvline(1, color="black", lw=1, zorder=3)
    axes.set_yticks(ticks, labels)
    for label in axes.get_yticklabels():
        if label.get_text() in sections:
            label.set_fontweight("bold")
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(place, -0.8)
    axes.set_xlim(low, high)
    marks = [2.0**power for power in range(-6, 8) if low <= 2.0**power <= high]
    axes.set_xticks(marks, ["torch = 1" if mark == 1 else f"{mark:g}×" for mark in marks])
    axes.minorticks_off()
    axes.grid(axis="x", color="#dddddd", lw=0.7, zorder=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    inch = 1 / figure.get_figheight()
    figure.text(0.012, 1 - 0.22 * inch, "How many times better numgrad is than torch's best variant", fontsize=12,
                fontweight="bold", va="center")  # fmt: skip
    figure.text(0.012, 1 - 0.46 * inch, "bar and number: against the best of torch's layouts; tick: against torch as it is usually "
                "written; beside the names: numgrad's own values", fontsize=8.5, color=_GREY, va="center")  # fmt: skip
    figure.text(0.012, 0.12 * inch, machine_line(results), fontsize=8, color=_GREY, va="center")
    figure.tight_layout(rect=(0, 0.2 * inch, 1, 1 - 0.55 * inch))
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return True
