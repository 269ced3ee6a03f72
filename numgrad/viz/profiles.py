"""What a profile saw, as pictures: `timeline` of ops and stretches, and `memory` over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from numgrad import profiler
from numgrad.viz import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def timeline(of: profiler.profile, ax: Axes | None = None) -> Axes:
    """The ops of a profile in time, as bars, over the stretches (`record_function`) that they are in.

    Names are written into bars that are wide enough; the legend has those of the ops that take the most time. For long profiles
    ``profile.export_chrome_trace`` writes a file for https://ui.perfetto.dev.

    Raises
    ------
    TypeError
        ``of`` is no profile, or ``ax`` no Axes.
    ValueError
        The profile has seen nothing.
    ImportError
        matplotlib is not installed.

    >>> import numgrad as ng
    >>> with ng.profiler.profile() as seen:
    ...     y = (ng.ones(1000) * 2).sum()
    >>> ng.viz.timeline(seen).get_xlabel()
    'milliseconds'
    """
    events = _events("timeline", of)
    begin = min(event.start for event in events)
    rows = _rows(events)
    ax = canvas.axes("timeline", ax, (8.0, 1.0 + 0.4 * max(rows)))
    from matplotlib import colormaps

    span = max(event.start + event.duration for event in events) - begin
    palette = colormaps["tab20"]
    color = {name: palette(n % 20) for n, name in enumerate(sorted({event.name for event in events}))}
    bars: dict[
        Any, list[tuple[float, float]]
    ] = {}  # one collection for a row and a color: thousands of artists take minutes
    for event, row in zip(events, rows, strict=True):
        left, width = (event.start - begin) / 1e6, event.duration / 1e6
        bars.setdefault((row, color[event.name] if event.kind == "op" else "#dddddd"), []).append((left, width))
        if event.duration > 0.012 * span * max(len(event.name), 2):
            ax.text(left + width / 2, row, event.name, ha="center", va="center", fontsize=7, clip_on=True)
    for (row, shade), ranges in bars.items():
        ax.broken_barh(ranges, (row - 0.4, 0.8), facecolors=shade, edgecolor="white", linewidth=0.3)
    for name in [row.name.split()[0] for row in of.rows() if row.kind == "op"][:8]:
        ax.bar(0, 0, color=color[name], label=name)
    ax.legend(frameon=False, fontsize=7, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.35))
    ax.set(xlabel="milliseconds", xlim=(0, span / 1e6), ylim=(max(rows) + 0.6, 0.4), yticks=[])
    return ax


def memory(of: profiler.profile, ax: Axes | None = None) -> Axes:
    """The memory of tensors after each op of a profile that was made with ``profile_memory=True``, in MB over milliseconds.

    Raises
    ------
    TypeError
        ``of`` is no profile, or ``ax`` no Axes.
    ValueError
        The profile has seen no op, or did not look at the memory.
    ImportError
        matplotlib is not installed.

    >>> import numgrad as ng
    >>> with ng.profiler.profile(profile_memory=True) as seen:
    ...     y = (ng.ones(1000) * 2).sum()
    >>> ng.viz.memory(seen).get_ylabel()
    'MB'
    """
    events = [event for event in _events("memory", of) if event.kind == "op"]
    if not events or not of.profile_memory:
        raise ValueError("viz.memory: the profile has to be made with profile_memory=True, and to see an op")
    ax = canvas.axes("memory", ax, (8.0, 3.0))
    begin = min(event.start for event in events)
    time = np.array([event.start + event.duration - begin for event in events]) / 1e6
    used = np.array([event.memory for event in events]) / 1e6
    ax.fill_between(time, used, step="post", alpha=0.3)
    ax.step(time, used, where="post", linewidth=1)
    peak = int(used.argmax())
    ax.annotate(
        f"{used[peak]:.3g} MB after {events[peak].name}",
        (time[peak], used[peak]),
        xytext=(0, 4),
        textcoords="offset points",
        ha="right" if time[peak] > time[-1] / 2 else "left",
        fontsize=8,
    )
    ax.set(xlabel="milliseconds", ylabel="MB", ylim=(0, 1.15 * used[peak] or 1))
    return ax


def _events(caller: str, of: Any) -> list[Any]:
    if not isinstance(of, profiler.profile):
        raise TypeError(f"viz.{caller}: expected a numgrad.profiler.profile, got {type(of).__name__}")
    if not of.events:
        raise ValueError(f"viz.{caller}: the profile has seen nothing")
    return sorted(of.events, key=lambda event: (event.start, -event.duration))


def _rows(events: list[Any]) -> list[int]:
    """For each event, in the order of their starts, how many others it lies in, and one."""
    rows: list[int] = []
    open_ends: list[int] = []
    for event in events:
        while open_ends and open_ends[-1] <= event.start:
            open_ends.pop()
        open_ends.append(event.start + event.duration)
        rows.append(len(open_ends))
    return rows
