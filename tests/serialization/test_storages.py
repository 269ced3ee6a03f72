"""Reading many storages with two threads: whatever becomes of the second."""

from __future__ import annotations

import _thread
import io
import threading
import time
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from numgrad.serialization import WeightsFormatError
from numgrad.serialization.source import ByteSource
from numgrad.serialization.storages import _LARGE, Extent, read_storages

SIZES = {"a": _LARGE, "b": 10, "c": 3 * _LARGE, "d": 2 * _LARGE, "e": 0, "f": _LARGE}


def file_and_extents() -> tuple[ByteSource, dict[str, Extent]]:
    chance = np.random.default_rng(0)
    pieces = {name: chance.integers(0, 256, size, np.uint8).tobytes() for name, size in SIZES.items()}
    extents, offset = {}, 0
    for name, piece in pieces.items():
        extents[name] = Extent(offset, len(piece), zlib.crc32(piece))
        offset += len(piece)
    return ByteSource(io.BytesIO(b"".join(pieces.values()))), extents


def nobody(*_: Any) -> int:
    """A thread that finds no memory to begin with."""
    return 0


def refused(*_: Any) -> int:
    raise RuntimeError("can't start new thread")


def no_memory(*_: Any) -> int:
    raise MemoryError


def late(function: Callable[..., None], args: tuple[Any, ...]) -> int:
    """A thread that begins when all is over."""
    return START(lambda: (time.sleep(0.3), function(*args)), ())


START = _thread.start_new_thread


@pytest.mark.parametrize("start", [START, nobody, refused, no_memory, late], ids=lambda function: function.__name__)
def test_all_is_read_whatever_becomes_of_the_second_thread(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_thread, "start_new_thread", start)
    monkeypatch.setattr(threading, "_start_new_thread", start)
    source, extents = file_and_extents()
    storages = read_storages(source, extents)
    assert list(storages) == list(SIZES)
    assert all(zlib.crc32(storages[name].data) == extents[name].crc for name in SIZES)
    if start is late:
        time.sleep(0.5)


@pytest.mark.parametrize("start", [START, refused], ids=lambda function: function.__name__)
def test_of_several_faults_the_first_in_the_file_is_told(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_thread, "start_new_thread", start)
    source, extents = file_and_extents()
    wrong = {name: Extent(e.offset, e.nbytes, 1) if name in "bcd" else e for name, e in extents.items()}
    for _ in range(5):
        with pytest.raises(WeightsFormatError, match="the checksum of storage b is"):
            read_storages(source, wrong)


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_nothing_that_was_not_read_is_given(error: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    source, extents = file_and_extents()
    read, mains, begun = source.read_into, threading.get_ident(), threading.Event()

    def failing(offset: int, raw: np.ndarray) -> None:
        if threading.get_ident() == mains:
            begun.set()
            raise error
        assert begun.wait(60)  # else the others may read all of it
        read(offset, raw)

    monkeypatch.setattr(source, "read_into", failing)
    with pytest.raises(error):
        read_storages(source, extents)
