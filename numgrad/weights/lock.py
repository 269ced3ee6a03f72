"""`exclusive`: one process at a time for each file, by a lock that the operating system drops when its holder dies."""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from numgrad import files

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
    """Hold the lock file `path`, after waiting for its holder. Yields False where the file system has no locks.

    The lock file is removed at the end. A killed holder leaves it behind, unlocked, and the next one takes it.

    Raises
    ------
    OSError
        The lock file cannot be created.
    """
    file, locked = _acquire(path)
    try:
        yield locked
    finally:
        if locked and sys.platform != "win32":
            path.unlink(missing_ok=True)  # while it is held: the `_acquire` of a waiting process notices
        file.close()


def _acquire(path: Path) -> tuple[io.FileIO, bool]:
    announced = False
    while True:
        try:
            file = files.opened(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), access="r+b")
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            path.unlink(missing_ok=True)  # another user may have put this link there
            continue
        try:
            taken = _take(file.fileno())
        except OSError as error:  # some network file systems have no locks
            log.info("no file locks in %s (%s): going on without", path.parent, error)
            return file, False
        except BaseException:
            file.close()
            raise
        if taken and _still_there(path, file.fileno()):
            return file, True
        file.close()
        if not taken:
            if not announced:
                log.info("waiting for another process that is downloading %s", path.stem)
                announced = True
            time.sleep(_POLL_SECONDS)


def _still_there(path: Path, handle: int) -> bool:
    """False if the last holder has removed the opened file: a lock on it would not exclude the others."""
    if sys.platform == "win32":  # pragma: no cover
        return True
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except FileNotFoundError:
        return False
