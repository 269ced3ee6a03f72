"""The processes that make calls and may die: one line of theirs before each call, one after."""

from __future__ import annotations

import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0  # seconds without a new call after which a process counts as hung; a kernel may have to be compiled
_GRACE = 10.0  # seconds for a hung process to write where it is
_CHUNK = 5000  # calls of one process: a new one begins with an empty pool, and shows what depends on that


@dataclass
class Report:
    """What came of a walk."""

    counts: Counter[str] = field(default_factory=Counter)  # by what came of the call
    refusals: Counter[str] = field(default_factory=Counter)  # by the class of the exception
    faults: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """Calls, how many succeeded, refusals by class, findings."""
        done = sum(count for what, count in self.counts.items() if what in DONE)
        refused = ", ".join(f"{name} {count}" for name, count in self.refusals.most_common())
        return (
            f"{self.counts.total()} calls, {done} succeeded, {self.refusals.total()} refused ({refused}); "
            f"{len(self.faults)} findings; in detail: {dict(self.counts.most_common())}"
        )


DONE = ("done", "both done", "done alone", "explained", "too large to compare")


class Walk:
    """A walk over a range of seeds in one or several processes, for as long as there is time.

    Parameters
    ----------
    options
        Of the command, for its processes.
    seconds
        When to end, at the latest.
    describe
        The call of a seed, to read.
    progress
        Whether to print a line about it every so often.
    """

    def __init__(self, options: list[str], seconds: float, describe: object, progress: bool = False) -> None:
        self.report = Report()
        self._options = options
        self._begun = time.monotonic()
        self._until = self._begun + seconds
        self._describe = describe
        self._progress = progress
        self._told = self._begun
        self._lock = threading.Lock()

    def run(self, begin: int, end: int, processes: int = 1) -> Report:
        """Make the calls of these seeds."""
        size = max(1, min(_CHUNK, -(-(end - begin) // processes)))
        with ThreadPoolExecutor(processes) as workers:
            chunks = [(seed, min(seed + size, end)) for seed in range(begin, end, size)]
            for _ in workers.map(lambda chunk: self._chunk(*chunk), chunks):
                pass
        self.report.faults.sort(key=lambda fault: int(fault.split(":")[0].removeprefix("seed ")))
        return self.report

    def _is_over(self) -> bool:
        return time.monotonic() > self._until

    def _chunk(self, seed: int, end: int) -> None:
        while seed < end and not self._is_over():
            command = [
                sys.executable,
                "-u",
                "-X",
                "faulthandler",
                "-m",
                "tests.walk.hostile",
                "--work",
                str(seed),
                str(end),
            ]
            with tempfile.TemporaryFile("w+") as complaints:
                process = subprocess.Popen(
                    command + self._options, cwd=ROOT, stdout=subprocess.PIPE, stderr=complaints, text=True
                )
                seed, cause = self._followed(process, seed)
                if cause:
                    complaints.seek(0)
                    self._lost(seed - 1, cause, process.returncode, complaints.read())

    def _lost(self, seed: int, cause: str, code: int, complaints: str) -> None:
        """A process is gone, and the call before it was torch's or ours."""
        with self._lock:
            self.report.counts[cause] += 1
            if "torch" in cause:
                return
            what = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            trace = (
                complaints[complaints.find("Fatal Python error") :]
                if "Fatal Python error" in complaints
                else complaints
            )
            trace = "\n    ".join(trace.partition("Extension modules")[0].splitlines()[:25])
            fault = f"seed {seed}: {cause} ({what}): {self._describe(seed)}\n    {trace}"  # type: ignore[operator]
            self.report.faults.append(fault)
            self._tell(fault)

    def _followed(self, process: subprocess.Popen[str], seed: int) -> tuple[int, str]:
        """Read what a process prints; the seed to go on with, and 'hangs' or 'dies' if the call before it did."""
        lines = _Lines(process)
        cause, begun, with_torch = "", False, False
        try:
            while line := lines.next(PATIENCE):
                word, number, *rest = line.split(" ", 3)
                seed = int(number)
                begun, with_torch = word != "end", word == "torch"
                if word == "end":
                    self._count(seed, rest)
                    seed += 1
                if self._is_over():
                    return seed, ""
            cause = "hangs" if line is None else ""
        finally:
            if cause:
                process.send_signal(signal.SIGABRT)  # on which faulthandler writes where it is
                try:
                    process.wait(_GRACE)
                except subprocess.TimeoutExpired:
                    cause += " and cannot be stopped"
            if cause or self._is_over():
                process.kill()
            process.wait()
            lines.close()
        cause = cause or ("dies" if process.returncode or begun else "")
        return (seed + 1 if cause else seed), cause + " in torch" * (with_torch and bool(cause))

    def _count(self, seed: int, rest: list[str]) -> None:
        outcome, _, what = rest[0].partition("/")
        with self._lock:
            if outcome == "wrong":
                self.report.counts["wrong"] += 1
                self.report.faults.append(f"seed {seed}: {rest[1]}")
                self._tell(self.report.faults[-1])
            else:
                self.report.counts[outcome.replace("_", " ")] += 1
                if what:
                    self.report.refusals[what] += 1
            if self._progress and time.monotonic() - self._told > 10:
                self._told = time.monotonic()
                count = self.report.counts.total()
                rate = count / (self._told - self._begun)
                self._tell(
                    f"... {count} calls, {rate:.0f} a second, {len(self.report.faults)} findings, at seed {seed}"
                )

    def _tell(self, line: str) -> None:
        if self._progress:
            print(line, file=sys.stderr, flush=True)


class _Lines:
    """Lines of a process, with a limit for the time to the next one."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._queue: queue.Queue[str] = queue.Queue()
        self._thread = threading.Thread(target=self._read, args=(process,), daemon=True)
        self._thread.start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._queue.put(line.rstrip("\n"))
        self._queue.put("")

    def next(self, seconds: float) -> str | None:
        """The next line; '' at the end, None if none came in time."""
        try:
            return self._queue.get(timeout=seconds)
        except queue.Empty:
            return None

    def close(self) -> None:
        """Wait for the reader of a process that has ended."""
        self._thread.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
