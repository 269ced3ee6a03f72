"""`CompileProgress`: shows on stderr that kernels are compiled for the first time."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TextIO

from numgrad.runtime import build, locks, store

_PLAIN_SECONDS = 5.0  # between two lines on a stream that is not a terminal
_LINE = 76


class CompileProgress:
    """While entered, reports compiled kernels: in one changing line on a terminal, elsewhere in a line now and then.

    Attributes
    ----------
    kernels, seconds
        Number of compiled kernels, and the time that they took.

    Prints nothing if the store has every kernel.

    >>> with CompileProgress() as progress:
    ...     pass
    >>> progress.kernels
    0
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = sys.stderr if stream is None else stream
        self.kernels = 0
        self.seconds = 0.0
        self._terminal = self.stream.isatty()
        self._last_report = 0.0
        self._lock = locks.renewed()

    def __enter__(self) -> CompileProgress:
        build.listeners.append(self._compiled)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        build.listeners.remove(self._compiled)
        if not self.kernels:
            return
        kept = "they stay in memory" if store.problem() else "they are kept for the next run"
        text = f"compiled {self.kernels} kernels in {self.seconds:.1f} s; {kept}"
        self._write(f"\r{text:{_LINE}}\n" if self._terminal else f"{text}\n")

    def _compiled(self, name: str, seconds: float) -> None:
        with self._lock:
            self.kernels += 1
            self.seconds += seconds
            if self._terminal:
                text = f"compiling kernels (only once): {self.kernels}, {self.seconds:.1f} s  {name}"
                self._write(f"\r{text[:_LINE]:{_LINE}}")
            elif not self._last_report or time.monotonic() - self._last_report >= _PLAIN_SECONDS:
                first = "" if self._last_report else ", which happens only once"
                self._last_report = time.monotonic()
                self._write(f"compiling kernels{first}: {self.kernels} in {self.seconds:.1f} s\n")

    def _write(self, text: str) -> None:
        try:
            self.stream.write(text)
            self.stream.flush()
        except OSError:
            pass  # the reader is gone
