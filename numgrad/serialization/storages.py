"""Reading the bytes of many tensors, two at a time, with their checksums."""

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
    """Where in the file a run of bytes lies; ``crc`` is None where there is no checksum to compare."""

    offset: int
    nbytes: int
    crc: int | None = None


def read_storages(source: ByteSource, extents: Mapping[str, Extent]) -> dict[str, np.ndarray]:
    """The bytes of all extents by name, in the order in which they lie in the file, with their checksums verified.

    Neither zlib nor a read holds Python's lock, so that two threads read nearly twice as fast where two cores are free: one
    thread is kept waiting by new pages and by checksums, which take as long as the copy from the system's cache. An own
    array for each, so that none keeps the memory of another alive.

    Raises
    ------
    WeightsFormatError
        A checksum is wrong, or the file has become shorter; of several faults, the first in the file.
    MemoryError
        There is no room for all.
    """
    in_order = sorted(extents.items(), key=lambda item: item[1].offset)
    # Made here and not by the threads, whose memory allocators would keep pages of their own.
    storages = {name: np.empty(extent.nbytes, np.uint8) for name, extent in in_order}
    large = [item for item in in_order if item[1].nbytes >= _LARGE]
    if len(large) < 2:
        for name, extent in in_order:
            _read(source, name, extent, storages[name])
    else:
        _Reading(source, in_order, storages).run()
    return storages


class _Reading:
    """Two threads that take one extent after the other; of them, the caller's waits for nothing that the other has not begun.

    A thread that finds no memory to begin with never begins, and `threading` would wait for it for ever.
    """

    def __init__(
        self, source: ByteSource, in_order: Sequence[tuple[str, Extent]], storages: Mapping[str, np.ndarray]
    ) -> None:
        self._source, self._in_order, self._storages = source, in_order, storages
        # Taken from the end: the largest first, so that the threads end at about the same time.
        self._left = sorted(range(len(in_order)), key=lambda index: in_order[index][1].nbytes)
        # Until an extent was read: a thread that dies of having no memory may find none to say so.
        unread = MemoryError(f"load: there was no memory to read {source.name} with")
        self._faults: list[Exception | None] = [unread] * len(in_order)
        self._has_begun = False  # set before the other thread takes anything
        self._running = locks.latch()

    def run(self) -> None:
        """Read everything; raise the first fault in the file, if there is one."""
        self._running.acquire()
        try:
            with suppress(RuntimeError, MemoryError):  # where the system has no thread left, one is enough
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
