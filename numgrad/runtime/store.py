"""The store of compiled kernels: object code in files, right before it is quick.

A file's name holds the key: a hash of numgrad's runtime sources, the versions of Python, Numba and llvmlite, the CPU's
name and features and the debug mode (the folder), and of the kernel's own code with everything that it calls (the
file). A file that is missing, truncated, damaged or foreign means "compile it again", and a folder that cannot be
written means "keep it in memory": never a wrong number, never a crash.

What lies in the store is executed, so the folder must belong to the user and be closed to others.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import stat
import sys
import tempfile
from pathlib import Path

from numgrad import config
from numgrad.runtime import target

_MAGIC = b"numgrad kernel 1\n"
_log = logging.getLogger("numgrad.store")


@functools.cache
def base_key() -> str:
    """Hash of everything that all kernels depend on."""
    from importlib.metadata import version

    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    parts = [sys.version, version("numba"), version("llvmlite"), *target.cpu(), str(config.DEBUG.is_set())]
    digest.update("\n".join(parts).encode())
    return digest.hexdigest()[:24]


@functools.cache
def folder() -> Path | None:
    """The folder of this process's kernels, made if need be; None where there is no safe one."""
    chosen = config.KERNEL_STORE()
    if chosen == "off":
        return None
    try:
        root = Path(chosen) if chosen else config.cache_folder() / "kernels"
        place = root / base_key()
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: no home folder
        _log.info("kernels stay in memory: %s", error)
        return None
    return place if _is_ours(root) and _is_ours(place) else None


def _is_ours(place: Path) -> bool:
    if not hasattr(os, "getuid"):
        return True  # Windows: the user's profile folder is closed by its access list
    facts = place.stat()
    if facts.st_uid == os.getuid() and not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return True
    _log.warning("kernel store %s is not used: it must belong to you and be writable by you alone", place)
    return False


def get(name: str, key: str) -> bytes | None:
    """The stored object code, or None if there is none that can be trusted."""
    place = folder()
    if place is None:
        return None
    path = place / f"{name}-{key}.o"
    try:
        blob = path.read_bytes()
    except OSError:
        return None
    head = len(_MAGIC) + 32
    payload = blob[head:]
    if blob[: len(_MAGIC)] == _MAGIC and blob[len(_MAGIC) : head] == hashlib.sha256(payload + key.encode()).digest():
        return payload
    _log.warning("stored kernel %s is damaged; compiling it again", path)
    return None


def put(name: str, key: str, payload: bytes) -> None:
    """Store object code; the file appears whole or not at all."""
    place = folder()
    if place is None:
        return
    blob = _MAGIC + hashlib.sha256(payload + key.encode()).digest() + payload
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=place, prefix=".new-")
        with os.fdopen(handle, "wb") as file:
            file.write(blob)
        os.replace(temporary, place / f"{name}-{key}.o")
    except OSError as error:
        _log.info("kernel %s stays in memory: %s", name, error)
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)
