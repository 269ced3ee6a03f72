"""`guarded`: the streams that commands print to. They may be closed, full, without a reader, or short of characters."""

from __future__ import annotations

import codecs
import io
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

# The commands' own characters beyond ASCII. Others are printed as escapes (\xe9), which lose nothing.
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
    """A file descriptor of this process. The first failure is passed to ``failed``; later output is dropped."""

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
            except BlockingIOError:  # a non-blocking pipe that is full for a moment
                select.select([], [self._descriptor], [])
            except OSError as error:
                failed, self._failed = self._failed, None
                failed(error)
        return memoryview(data).nbytes


def _raise(error: OSError) -> None:
    raise OutputError(error) from error


def _drop(error: OSError) -> None:
    """Ignore the failure."""


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """The replacement of characters that a stream's encoding lacks. Undecodable bytes of a file's name stay as they are."""
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
    """While entered, print() raises OutputError if stdout cannot be written; errors of stderr are ignored.

    Neither refuses any character. Streams that a test or an application has put in their place are left alone.
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


def _stream(stream: TextIO | None, number: int, failed: Callable[[OSError], None]) -> TextIO:
    encoding = (stream and stream.encoding) or "utf-8"
    if sys.platform == "win32" and isinstance(stream, io.TextIOWrapper):  # a console is not a plain file descriptor
        stream.reconfigure(errors=_ERRORS)
        return stream
    raw = _Raw(stream.fileno() if stream is not None else number, failed)
    lines = number == 2 or raw.isatty()
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding=encoding, errors=_ERRORS, line_buffering=lines)
