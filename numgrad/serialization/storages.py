"""`read_storages`: reads the bytes of many tensors in two threads, and compares their checksums."""

from __future__ import annotations

import _thread
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from numgrad.runtime import locks
from numgrad.serialization.source import ByteSource

# Below this a read takes less time than handing it to another thread.
_LARGE = 1 << 18


@dataclass(frozen=True)
class Extent:
    """A run of bytes in the file; ``crc`` is None if there is no checksum to compare."""

    offset: int
    nbytes: int
    crc: int | None = None


def read_storages(source: ByteSource, extents: Mapping[str, Extent]) -> dict[str, np.ndarray]:
    """The bytes of all extents by name, in file order, with verified checksums.

    Reads and zlib release Python's lock, so two threads are nearly twice as fast if two cores are free: new pages and
    checksums take as long as the copy from the system's cache. Each extent gets an array of its own, so that none keeps the
    memory of others alive.

    Raises
    ------
    WeightsFormatError
        A checksum is wrong, or the file has become shorter. Of several faults, the first in the file is raised.
    MemoryError
        There is not enough memory.
    """
    in_order = sorted(extents.items(), key=lambda item: item[1].offset)
    # Allocated here, since the allocators of other threads would keep pages of their own.
    storages = {name: np.empty(extent.nbytes, np.uint8) for name, extent in in_order}
    large = [item for item in in_order if item[1].nbytes >= _LARGE]
    if len(large) < 2:
        for name, extent in in_order:
            _read(source, name, extent, storages[name])
    else:
        _Reading(source, in_order, storages).run()
    return storages


class _Reading:
    """Two threads that take one extent after the other. The caller's thread waits only if the other has begun.

    A thread that lacks the memory to begin never begins, and `threading` would wait for it for ever.
    """

    def __init__(
        self, source: ByteSource, in_order: Sequence[tuple[str, Extent]], storages: Mapping[str, np.ndarray]
    ) -> None:
        self._source, self._in_order, self._storages = source, in_order, storages
        # Taken from the end, so the largest first: the threads finish at about the same time.
        self._left = sorted(range(len(in_order)), key=lambda index: in_order[index][1].nbytes)
        # Set in advance: a thread that dies for lack of memory may lack the memory to report it.
        unread = MemoryError(f"load: there was no memory to read {source.name} with")
        self._faults: list[Exception | None] = [unread] * len(in_order)
        self._has_begun = False  # set before the other thread takes anything
        self._running = locks.latch()

    def run(self) -> None:
        """Read everything; raise the first fault in the file, if there is one."""
        self._running.acquire()
        try:
            with suppress(RuntimeError, MemoryError):  # if the system has no thread left, one is enough
                _thread.start_new_thread(self._help, ())
            self._take_all()
        finally:
            self._left.clear()  # after Ctrl-C
            if self._has_begun:
                self._running.acquire()
        for fault in self._faults:
            if fault is not None:
                raise fault

    def _help(self) -> None:
        self._has_begun = True
        try:
            self._take_all()
        finally:
            self._running.release()

    def _take_all(self) -> None:
        while True:
            try:
                index = self._left.pop()
            except IndexError:
                return
            name, extent = self._in_order[index]
            try:
                _read(self._source, name, extent, self._storages[name])
                self._faults[index] = None
            except Exception as fault:
                self._faults[index] = fault


def _read(source: ByteSource, name: str, extent: Extent, raw: np.ndarray) -> None:
    source.read_into(extent.offset, raw)
    if extent.crc is not None and (crc := zlib.crc32(raw.data)) != extent.crc:
        raise source.refusal(
            f"the checksum of storage {name} is {crc:08x}, expected {extent.crc:08x}: the file is damaged, get it again"
        )
