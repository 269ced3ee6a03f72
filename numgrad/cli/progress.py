"""What a user sees on stderr while kernels are compiled for the first time."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TextIO

from numgrad.runtime import build, locks

_PLAIN_SECONDS = 5.0  # between two lines where there is no terminal
_LINE = 76


class CompileProgress:
    """While entered, tells of kernels that are compiled: a line that changes on a terminal, else a line now and then.

    Attributes
    ----------
    kernels, seconds
        How many kernels were compiled, and the time that took.

    Nothing is printed if the store has every kernel.

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
        self._told = 0.0
        self._lock = locks.renewed()

    def __enter__(self) -> CompileProgress:
        build.listeners.append(self._compiled)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        build.listeners.remove(self._compiled)
        if not self.kernels:
            return
        text = f"compiled {self.kernels} kernels in {self.seconds:.1f} s; they are kept for the next run"
        self._write(f"\r{text:{_LINE}}\n" if self._terminal else f"{text}\n")

    def _compiled(self, name: str, seconds: float) -> None:
        with self._lock:
            self.kernels += 1
            self.seconds += seconds
            if self._terminal:
                text = f"compiling kernels (only once): {self.kernels}, {self.seconds:.1f} s  {name}"
                self._write(f"\r{text[:_LINE]:{_LINE}}")
            elif not self._told or time.monotonic() - self._told >= _PLAIN_SECONDS:
                first = "" if self._told else ", which happens only once"
                self._told = time.monotonic()
                self._write(f"compiling kernels{first}: {self.kernels} in {self.seconds:.1f} s\n")

    def _write(self, text: str) -> None:
        try:
            self.stream.write(text)
            self.stream.flush()
        except OSError:
            pass  # nobody reads it
