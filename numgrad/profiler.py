"""`profile` measures the time of each op; `record_function` marks a stretch of code in the profiles."""

from __future__ import annotations

import html
import json
import threading
import time
from dataclasses import dataclass
from typing import Any

from numgrad import registry
from numgrad.runtime import locks, program
from numgrad.runtime.host import HostCall
from numgrad.runtime.memory import memory_stats
from numgrad.runtime.scope import Scope

__all__ = [
    "Event",
    "Row",
    "profile",
    "record_function",
]

_active: list[profile] = []


@dataclass(frozen=True)
class Event:
    """One op, or one stretch of code: its start and duration in nanoseconds.

    ``nbytes`` counts the bytes of an op's inputs and outputs; ``kernels`` has the names of the launched kernels. ``flops``
    are the multiplications and additions of matrix products and convolutions, by their definition; 0 for other ops. ``memory``
    is how many bytes of tensors there are after the op, if the profile looks at that.

    >>> import numgrad as ng
    >>> with ng.profiler.profile() as p:
    ...     y = ng.mm(ng.ones(2, 3), ng.ones(3, 4))
    >>> event = p.events[-1]
    >>> event.name, event.flops
    ('mm', 48)
    """

    name: str
    start: int
    duration: int
    thread: int
    kind: str = "op"
    nbytes: int = 0
    shapes: str = ""
    kernels: tuple[str, ...] = ()
    flops: int = 0
    memory: int = 0


@dataclass
class Row:
    """The sum of all events with one name; times are in seconds.

    >>> import numgrad as ng
    >>> with ng.profiler.profile() as p:
    ...     y = ng.exp(ng.exp(ng.ones(2)))
    >>> [row] = [row for row in p.rows() if row.name == "exp"]
    >>> row.calls, row.total >= row.mean > 0
    (2, True)
    """

    name: str
    calls: int = 0
    total: float = 0.0
    share: float = 0.0
    nbytes: int = 0
    kind: str = "op"
    flops: int = 0

    @property
    def mean(self) -> float:
        """Mean seconds of a call."""
        return self.total / self.calls


class profile(Scope):  # noqa: N801 (torch's name)
    """A context that measures every op of the thread that entered it.

    The time of an op includes planning, memory, kernels and recording. Measuring costs about a microsecond for each op.

    Parameters
    ----------
    record_shapes
        Tell ops apart by the shapes of their inputs.
    profile_memory
        Note after each op how much memory tensors take, for `numgrad.viz.memory`.

    >>> import numgrad as ng
    >>> with ng.profiler.profile() as p:
    ...     y = (ng.ones(1000) * 2).sum()
    >>> [(row.name, row.calls) for row in sorted(p.rows(), key=lambda row: row.name)]
    [('full', 1), ('mul', 1), ('sum', 1)]
    """

    def __init__(self, record_shapes: bool = False, profile_memory: bool = False) -> None:
        super().__init__()
        self.record_shapes = record_shapes
        self.profile_memory = profile_memory
        self.events: list[Event] = []
        self.thread = 0
        self.seconds = 0.0
        self._kernels: list[str] = []
        self._begin = 0
        self._is_over = True

    def __enter__(self) -> profile:
        token = _timing.token()
        before, self._is_over = self._is_over, False
        try:
            self.thread = threading.get_ident()
            program.observe(self)
            _active.append(self)
            self._begin = time.perf_counter_ns()
            self._undo = ((self, "_is_over", before), self._undo, self._stopped, token)
        except BaseException:
            self._is_over = before
            self._withdraw()
            raise
        return self

    def _stopped(self) -> None:
        self.seconds += (time.perf_counter_ns() - self._begin) / 1e9
        self._withdraw()
        _timing.settle()

    def _withdraw(self) -> None:
        """Once it is over, stop all reports to this profile."""
        if self._is_over:
            if self in _active:
                _active.remove(self)
            program.stop_observing(self)

    def launched(self, launched: program.Program | HostCall, addresses: tuple[int, ...]) -> None:
        """Called by the launch door after each program."""
        if self._is_over:  # an interrupt kept the context from being left
            self._withdraw()
        else:
            self._kernels += launched.names()

    def applied(self, op: Any, inputs: tuple[Any, ...], outputs: Any, start: int, end: int) -> None:
        """Called after each op."""
        results = outputs if isinstance(outputs, tuple) else (outputs,)
        specs = [tensor._spec for tensor in (*inputs, *results) if hasattr(tensor, "_spec")]
        nbytes = sum(spec.numel * spec.dtype.itemsize for spec in specs)
        shapes = (
            " ".join(str(tuple(t._spec.shape)) for t in inputs if hasattr(t, "_spec")) if self.record_shapes else ""
        )
        flops = (
            0
            if op.flops_function is None
            else op.flops_function([getattr(t, "_spec", None) for t in inputs], results[0]._spec)
        )
        kernels = tuple(self._kernels)
        used = memory_stats()["live"] if self.profile_memory else 0
        self.events.append(Event(op.name, start, end - start, self.thread, "op", nbytes, shapes, kernels, flops, used))
        self._kernels = []

    # ---- results -------------------------------------------------------------------------------------------------

    def rows(self, sort_by: str = "total") -> list[Row]:
        """One row for each name of an op or stretch, sorted by ``sort_by`` ('total', 'calls', 'mean', 'nbytes', 'flops', 'name').

        Raises
        ------
        ValueError
            There is no such column.
        """
        if sort_by not in ("total", "calls", "mean", "nbytes", "flops", "name"):
            raise ValueError(
                f"profile: sort_by is {sort_by!r}, expected 'total', 'calls', 'mean', 'nbytes', 'flops' or 'name'"
            )
        rows: dict[tuple[str, str], Row] = {}
        for event in self.events:
            name = f"{event.name} {event.shapes}".rstrip()
            row = rows.setdefault((event.kind, name), Row(name, kind=event.kind))
            row.calls += 1
            row.total += event.duration / 1e9
            row.nbytes += event.nbytes
            row.flops += event.flops
        op_time = sum(row.total for row in rows.values() if row.kind == "op")
        for row in rows.values():
            row.share = row.total / op_time if op_time else 0.0
        return sorted(rows.values(), key=lambda row: getattr(row, sort_by), reverse=sort_by != "name")

    def table(self, sort_by: str = "total", row_limit: int = 100) -> str:
        """The rows as text, with the time outside of ops in the last line."""
        head = ("op", "calls", "time ms", "mean us", "share %", "MB", "GB/s", "GFLOP/s")
        lines: list[tuple[str, ...]] = [head]
        for row in self.rows(sort_by)[:row_limit]:
            name = row.name if row.kind == "op" else f"[{row.name}]"
            rate = row.nbytes / row.total / 1e9 if row.total else 0.0
            speed = f"{row.flops / row.total / 1e9:.2f}" if row.flops and row.total else ""
            measured = (f"{row.nbytes / 1e6:.2f}", f"{rate:.2f}", speed) if row.kind == "op" else ("", "", "")
            times = f"{row.total * 1e3:.3f}", f"{row.mean * 1e6:.1f}", f"{row.share * 100:.1f}"
            lines.append((name, str(row.calls), *times, *measured))
        inside = sum(event.duration for event in self.events if event.kind == "op") / 1e9
        lines.append(("all ops", str(sum(e.kind == "op" for e in self.events)), f"{inside * 1e3:.3f}", *[""] * 5))
        lines.append(("outside of ops", "", f"{max(self.seconds - inside, 0.0) * 1e3:.3f}", *[""] * 5))
        widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
        texts = []
        for name, *cells in lines:
            aligned = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
            texts.append("  ".join([name.ljust(widths[0]), *aligned]))
        return "\n".join([texts[0], "-" * len(texts[0]), *texts[1:]])

    def _repr_html_(self) -> str:
        """What a notebook shows: the table."""
        return f"<pre>{html.escape(self.table(row_limit=25))}</pre>"

    def export_chrome_trace(self, path: Any) -> None:
        """Write the events in the format of Chrome's ``about:tracing`` and https://ui.perfetto.dev."""
        events = [
            {
                "name": event.name,
                "cat": event.kind,
                "ph": "X",
                "ts": (event.start - self._begin) / 1e3,
                "dur": event.duration / 1e3,
                "pid": 0,
                "tid": event.thread,
                "args": {
                    "bytes": event.nbytes,
                    "flops": event.flops,
                    "shapes": event.shapes,
                    "kernels": list(event.kernels),
                },
            }
            for event in self.events
        ]
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"traceEvents": events, "displayTimeUnit": "ms"}, file)

    def __str__(self) -> str:
        return self.table()


class record_function:  # noqa: N801 (torch's name)
    """A context that appears as one stretch in the running profiles of this thread.

    >>> import numgrad as ng
    >>> with ng.profiler.profile() as p, ng.profiler.record_function("forward"):
    ...     y = ng.ones(3) * 2
    >>> [row.name for row in p.rows() if row.kind == "stretch"]
    ['forward']
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._starts: list[int] = []

    def __enter__(self) -> record_function:
        self._starts.append(time.perf_counter_ns())
        return self

    def __exit__(self, *exception: object) -> None:
        start, thread = self._starts.pop(), threading.get_ident()
        for running in tuple(_active):
            if running.thread == thread and not running._is_over:
                running.events.append(Event(self.name, start, time.perf_counter_ns() - start, thread, "stretch"))


def _timed(inner: Any, op: Any, inputs: tuple[Any, ...], params: Any) -> Any:
    start = time.perf_counter_ns()
    outputs = inner(op, inputs, params)
    end = time.perf_counter_ns()
    thread = threading.get_ident()
    for running in tuple(_active):
        if running._is_over:  # an interrupt kept the context from being left
            running._withdraw()
        elif running.thread == thread:
            running.applied(op, inputs, outputs, start, end)
    if not _active:
        _timing.settle()
    return outputs


# While a profile runs, ops go through `_timed` on their way to the engine.
_timing = locks.Switch(lambda: registry.wrap_dispatch(0, _timed), lambda: registry.unwrap_dispatch(_timed))


def _forget_other_threads() -> None:
    """Drop the profiles of other threads in the child of a fork, where new threads may get the numbers of the old ones."""
    thread = threading.get_ident()
    _active[:] = [running for running in _active if running.thread == thread]


locks.at_fork(_forget_other_threads)
