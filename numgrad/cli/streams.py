"""What commands print to: streams that may be closed, full, a pipe that nobody reads, or of few characters."""

from __future__ import annotations

import codecs
import io
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

# What the commands' own texts have beyond ASCII; other characters come as escapes (\xe9), which lose nothing.
_PLAIN = {
    "…": "...",
    "×": "x",
    "·": "*",
    "–": "-",
    "—": "-",
    "µ": "u",
    "²": "^2",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
}
_ERRORS = "numgrad.plain"


class OutputError(Exception):
    """stdout cannot be written; ``reason`` is the operating system's error."""

    def __init__(self, reason: OSError) -> None:
        super().__init__(reason.strerror or str(reason))
        self.reason = reason


class _Raw(io.RawIOBase):
    """A file descriptor of this process. The first failure is handed on, and what is written later goes nowhere."""

    def __init__(self, descriptor: int, failed: Callable[[OSError], None]) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._failed: Callable[[OSError], None] | None = failed

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: Any, /) -> int:
        while self._failed is not None:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:  # a pipe that somebody has set so, and that is full for a moment
                select.select([], [self._descriptor], [])
            except OSError as error:
                failed, self._failed = self._failed, None
                failed(error)
        return memoryview(data).nbytes


def _raise(error: OSError) -> None:
    raise OutputError(error) from error


def _drop(error: OSError) -> None:
    """Nobody reads it."""


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """What stands for characters that a stream's encoding lacks. A file's name that is no text keeps its bytes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    parts = []
    for character in error.object[error.start : error.end]:
        if "\udc80" <= character <= "\udcff":
            parts.append(bytes([ord(character) - 0xDC00]))
        else:
            parts.append(_PLAIN.get(character, "").encode() or character.encode("ascii", "backslashreplace"))
    return b"".join(parts), error.end


codecs.register_error(_ERRORS, _plain)


@contextmanager
def guarded() -> Iterator[None]:
    """While entered, print() raises OutputError where stdout cannot be written, and nothing where stderr cannot.

    No character is refused by either. Streams that somebody else has put in their place (a test, an application that
    calls `cli.main`) are left alone.
    """
    before = sys.stdout, sys.stderr
    try:
        if sys.stdout is sys.__stdout__:
            sys.stdout = _stream(sys.stdout, 1, _raise)
        if sys.stderr is sys.__stderr__:
            sys.stderr = _stream(sys.stderr, 2, _drop)
        yield
    finally:
        sys.stdout, sys.stderr = before


def _stream(own: TextIO | None, number: int, failed: Callable[[OSError], None]) -> TextIO:
    encoding = (own and own.encoding) or "utf-8"
    if sys.platform == "win32" and isinstance(own, io.TextIOWrapper):  # a console's stream is no plain descriptor
        own.reconfigure(errors=_ERRORS)
        return own
    raw = _Raw(own.fileno() if own is not None else number, failed)
    lines = number == 2 or raw.isatty()
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding=encoding, errors=_ERRORS, line_buffering=lines)
