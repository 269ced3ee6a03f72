"""Checksums of what was read, computed while reading goes on."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import numpy as np

# Below this a checksum takes less time than handing it to another thread.
_LARGE = 1 << 18
# Reading is about twice as fast as summing.
_THREADS = 2


class Checksums:
    """Verifies CRC-32 checksums, those of large arrays on other threads.

    Neither zlib nor a read from a file holds Python's lock, so the two proceed side by side, and a checkpoint that is
    verified takes hardly longer to read than one that is not. Leaving the ``with`` block waits for all of them.

    Parameters
    ----------
    refusal:
        Makes the exception to raise from the reason.

    Examples
    --------
    >>> with Checksums(ValueError) as checksums:
    ...     checksums.expect(0x8587D865, np.frombuffer(b"abcde", np.uint8), "letters")
    """

    def __init__(self, refusal: Callable[[str], Exception]) -> None:
        self._refusal = refusal
        self._pool: ThreadPoolExecutor | None = None
        self._pending: list[tuple[int, Future[int], str]] = []

    def expect(self, crc: int, data: np.ndarray, what: str) -> None:
        """Verify that ``data`` has the checksum ``crc``, now or before the block ends; ``what`` is for the message."""
        if data.size < _LARGE:
            self._compare(crc, zlib.crc32(data.data), what)
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="numgrad-checksums")
        self._pending.append((crc, self._pool.submit(zlib.crc32, data.data), what))

    def __enter__(self) -> Checksums:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=kind is not None)
        if kind is None:
            for crc, future, what in self._pending:
                self._compare(crc, future.result(), what)

    def _compare(self, expected: int, found: int, what: str) -> None:
        if found != expected:
            raise self._refusal(
                f"the checksum of {what} is {found:08x}, expected {expected:08x}: the file is damaged, get it again"
            )
