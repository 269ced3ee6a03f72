"""One process at a time per file: an advisory lock that the operating system drops when its holder dies."""

from __future__ import annotations

import errno
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger("numgrad.weights")

_POLL_SECONDS = 0.05

if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def _take(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True
else:
    import fcntl

    def _take(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextmanager
def exclusive(path: Path) -> Iterator[bool]:
    """Hold the lock file `path`, waiting for whoever has it; yields False where the file system has no locks.

    The lock file is removed at the end. A killed holder leaves it behind, unlocked, and the next one takes it.

    Raises
    ------
    OSError
        If the lock file cannot be created.
    """
    handle, locked = _acquire(path)
    try:
        yield locked
    finally:
        if locked and sys.platform != "win32":
            path.unlink(missing_ok=True)  # while it is held: `_acquire` notices that what it waited for is gone
        os.close(handle)


def _acquire(path: Path) -> tuple[int, bool]:
    told = False
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            path.unlink(missing_ok=True)  # a link that somebody put there: what it leads to is none of ours
            continue
        try:
            taken = _take(handle)
        except OSError as error:  # some network file systems know no locks
            log.info("no file locks in %s (%s): going on without", path.parent, error)
            return handle, False
        except BaseException:
            os.close(handle)
            raise
        if taken and _still_there(path, handle):
            return handle, True
        os.close(handle)
        if not taken:
            if not told:
                log.info("waiting for another process that is downloading %s", path.stem)
                told = True
            time.sleep(_POLL_SECONDS)


def _still_there(path: Path, handle: int) -> bool:
    """False if the last holder has removed the file that we opened: a lock on it would exclude nobody."""
    if sys.platform == "win32":  # pragma: no cover
        return True
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except FileNotFoundError:
        return False
