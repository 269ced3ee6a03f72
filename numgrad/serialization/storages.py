"""Reading the bytes of many tensors, some at a time, with their checksums."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from numgrad.serialization.source import ByteSource

# Below this a read takes less time than handing it to another thread.
_LARGE = 1 << 18
# One thread is kept waiting by new pages and by checksums, which take as long as the copy from the system's cache.
_THREADS = 2


@dataclass(frozen=True)
class Extent:
    """Where in the file a run of bytes lies; ``crc`` is None where there is no checksum to compare."""

    offset: int
    nbytes: int
    crc: int | None = None


def read_storages(source: ByteSource, extents: Mapping[str, Extent]) -> dict[str, np.ndarray]:
    """The bytes of all extents by name, in the order in which they lie in the file, with their checksums verified.

    Neither zlib nor a read holds Python's lock, so that two threads read nearly twice as fast where two cores are free.
    An own array for each, so that none keeps the memory of another alive.

    Raises
    ------
    WeightsFormatError
        A checksum is wrong, or the file has become shorter; of several faults, the first in the file.
    """
    in_order = sorted(extents.items(), key=lambda item: item[1].offset)
    large = sorted((item for item in in_order if item[1].nbytes >= _LARGE), key=lambda item: -item[1].nbytes)
    # Made here and not by the threads, whose memory allocators would keep pages of their own.
    storages = {name: np.empty(extent.nbytes, np.uint8) for name, extent in in_order}
    if len(large) < 2:
        for name, extent in in_order:
            _read(source, name, extent, storages[name])
        return storages
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="numgrad-load")
    try:
        # The largest first, so that the threads end at about the same time.
        running = {name: pool.submit(_read, source, name, extent, storages[name]) for name, extent in large}
        for name, extent in in_order:
            if name in running:
                running[name].result()
            else:
                _read(source, name, extent, storages[name])
    finally:
        pool.shutdown(cancel_futures=True)
    return storages


def _read(source: ByteSource, name: str, extent: Extent, raw: np.ndarray) -> None:
    source.read_into(extent.offset, raw)
    if extent.crc is not None and (crc := zlib.crc32(raw.data)) != extent.crc:
        raise source.refusal(
            f"the checksum of storage {name} is {crc:08x}, expected {extent.crc:08x}: the file is damaged, get it again"
        )
