"""The store of compiled kernels: object code in files, right before it is quick.

A file's name holds the key: a hash of the runtime's sources, the versions of Python, Numba and
llvmlite, the CPU's name and features and the debug mode (the folder), and of the kernel's own code with everything
that it calls (the file). A file that is missing, truncated, damaged or foreign means "compile it again", and a folder
that cannot be written means "keep it in memory": never a wrong number, never a crash.

What lies in the store is executed, so the folder and the files must belong to the user and be closed to others.

Folders of other keys (older versions, other settings) stay for a while, since they may be in use; `_clean` removes what
nobody has used for long.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import re
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from numgrad import config
from numgrad.runtime import target

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_MAGIC = b"numgrad kernel 1\n"
_HEAD = len(_MAGIC) + 32
_DAY = 86400
_KEPT_FOLDERS = 16  # of other keys; those beyond go after a week without use, and any after a quarter of a year
_log = logging.getLogger("numgrad.store")
# Settings of Numba's that change the code it makes.
_NUMBA_SETTINGS = ("NUMBA_OPT", "NUMBA_LOOP_VECTORIZE", "NUMBA_SLP_VECTORIZE", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")


@functools.cache
def base_key() -> str:
    """Hash of everything that all kernels depend on: what the kernels say is in the keys of their files."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    settings = [f"{name}={os.environ.get(name)}" for name in _NUMBA_SETTINGS]
    versions = [sys.version, _version("numba"), _version("llvmlite")]
    parts = [*versions, *target.cpu(), str(config.checks_indices()), *settings]
    digest.update("\n".join(parts).encode())
    return digest.hexdigest()[:24]


def _version(package: str) -> str:
    """The text that names a package's version, read without importing it (`importlib.metadata` takes 20 ms)."""
    from importlib.util import find_spec

    spec = find_spec(package)
    if spec and spec.origin:
        try:
            return Path(spec.origin).with_name("_version.py").read_text()
        except OSError:
            pass
    from importlib.metadata import version

    return version(package)


def folder() -> Path | None:
    """The folder of this process's kernels, made if need be; None where there is no safe one."""
    return _folder()[0]


def problem() -> str:
    """Why kernels are not stored; '' if they are."""
    place, reason = _folder()
    if place is None or os.access(place, os.W_OK | os.X_OK):
        return reason
    return f"{place} cannot be written"


@functools.cache
def _folder() -> tuple[Path | None, str]:
    chosen = config.KERNEL_STORE()
    if chosen == "off":
        return None, "NUMGRAD_KERNEL_STORE is off"
    try:
        root = Path(chosen).absolute() if chosen else config.cache_folder() / "kernels"
        if not root.is_absolute():
            raise RuntimeError("no home folder")
        place = root / base_key()
        root.parent.mkdir(parents=True, exist_ok=True)
        for closed in (root, place):
            closed.mkdir(mode=0o700, exist_ok=True)
        if not (_is_ours(root) and _is_ours(place)):
            return None, f"{place} must belong to you and be writable by you alone"
    except (OSError, RuntimeError) as error:
        _log.info("kernels stay in memory: %s", error)
        return None, str(error)
    _clean(root, place)
    return place, ""


def _is_ours(place: Path) -> bool:
    if not hasattr(os, "getuid"):
        return True  # Windows: the user's profile folder is closed by its access list
    for facts in (place.lstat(), place.stat()):  # a link counts as who made it, too
        linked = stat.S_ISLNK(facts.st_mode)
        if facts.st_uid != os.getuid() or (not linked and facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
            _log.warning("kernel store %s is not used: it must belong to you and be writable by you alone", place)
            return False
    return True


def get(name: str, key: str) -> bytes | None:
    """The stored object code, or None if there is none that can be trusted."""
    place = folder()
    if place is None:
        return None
    path = place / f"{name}-{key}.o"
    try:
        with open(path, "rb") as file:
            if hasattr(os, "getuid") and os.fstat(file.fileno()).st_uid != os.getuid():
                return None
            blob = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        _log.info("stored kernel %s cannot be read: %s", path, error)
        return None
    payload = blob[_HEAD:]
    if blob[:_HEAD] == _MAGIC + _digest(name, key, payload):
        return payload
    _log.warning("stored kernel %s is damaged; compiling it again", path)
    return None


def has(name: str, key: str) -> bool:
    """Whether there is a file of it; `get` looks at what is in it."""
    place = folder()
    return place is not None and (place / f"{name}-{key}.o").exists()


@contextlib.contextmanager
def claim(name: str, key: str, patience: float) -> Iterator[bool]:
    """While entered, no other process compiles this kernel, unless it lost its patience.

    Yields True if nobody was at it, False if somebody is or was: then `get` may have it now. The claim is a lock that
    the system drops when its holder dies. Where there are no locks, everybody is alone.
    """
    place = folder()
    handle = None
    at_once = True
    if place is not None and fcntl is not None:
        path = place / f".claim-{name}-{key}"
        deadline = time.monotonic() + patience
        while handle is None:
            try:
                handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(handle).st_nlink == 0:  # its holder has just removed it; the name may be another's claim
                    os.close(handle)
                    handle, at_once = None, False
            except BlockingIOError:
                os.close(handle)  # type: ignore[arg-type]
                handle = None
                at_once = False
                if time.monotonic() >= deadline:
                    break
                time.sleep(0.01)
            except OSError as error:  # no room, or a file system without locks
                _log.info("no claim on kernel %s: %s", name, error)
                break
    try:
        yield at_once
    finally:
        if handle is not None:
            with contextlib.suppress(OSError):
                path.unlink()  # while it is held
            os.close(handle)


def is_empty() -> bool:
    """Whether the store has no kernel at all; True where there is no store."""
    place = folder()
    return place is None or not any(name.endswith(".o") for name in os.listdir(place))


def put(name: str, key: str, payload: bytes) -> None:
    """Store object code; the file appears whole or not at all."""
    place = folder()
    if place is None:
        return
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=place, prefix=".new-")
        with os.fdopen(handle, "wb") as file:
            file.write(_MAGIC + _digest(name, key, payload) + payload)
        os.replace(temporary, place / f"{name}-{key}.o")
    except OSError as error:
        _log.info("kernel %s stays in memory: %s", name, error)
        if temporary:
            Path(temporary).unlink(missing_ok=True)


def _digest(name: str, key: str, payload: bytes) -> bytes:
    return hashlib.sha256(f"{name}-{key}\n".encode() + payload).digest()


# ---- what nobody has used for long ------------------------------------------------------------------------------


def _clean(root: Path, live: Path) -> None:
    """Note that the live folder is in use, and remove folders that have not been for long; at most once a day.

    A folder's time says when a process last began to use it. One that is removed under a process all the same is only
    a store that has nothing and takes nothing.
    """
    try:
        now = time.time()
        fresh = now - live.stat().st_mtime < _DAY and any(live.iterdir())
        if fresh:
            return
        os.utime(live)
        others = [place for place in root.iterdir() if re.fullmatch("[0-9a-f]{24}", place.name) and place != live]
        aged = sorted(((now - place.stat().st_mtime) / _DAY, place) for place in others if place.is_dir())
        for rank, (days, place) in enumerate(aged):
            if days > 90 or (days > 7 and rank >= _KEPT_FOLDERS):
                shutil.rmtree(place, ignore_errors=True)
        for leftover in (
            *live.glob(".new-*"),
            *live.glob(".claim-*"),
        ):  # of processes that were killed while they wrote
            if now - leftover.stat().st_mtime > _DAY:
                leftover.unlink(missing_ok=True)
    except OSError as error:
        _log.info("the kernel store is not cleaned: %s", error)
