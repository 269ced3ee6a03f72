"""The store of compiled kernels: object code in files, right before it is quick.

A file's name holds the key: a hash of the runtime's sources, the versions of Python, Numba and
llvmlite, the CPU's name and features and the debug mode (the folder), and of the kernel's own code with everything
that it calls (the file). A file that is missing, truncated, damaged or foreign means "compile it again", and a folder
that cannot be written means "keep it in memory": never a wrong number, never a crash.

What lies in the store is executed. So the folder and each file must belong to the user, be writable by the user alone, and
files must be plain ones of no more than `_MOST_BYTES`: not links, pipes, devices or folders. What is not so is never opened
to be read; the kernel is compiled again, its file takes the place of what lay under its name, and one warning a process
says what was wrong.

Folders of other keys (older versions, other settings) stay for a while, since they may be in use; `_clean` removes what
nobody has used for long. The store's folder may be one in which the user keeps other things: a folder is the store's if
`_MARK` lies in it, and of its files those are whose names and kinds are what the store writes. Nothing else is removed.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import re
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
_MOST_BYTES = 1 << 24  # of a file; the largest of numgrad's own has 0.1 MB
_DAY = 86400
_MARK = ".numgrad-kernels"  # a file in each folder of kernels, which says for which key it was made
# Names of what the store writes, and of the folders that it writes them into.
_FOLDER, _KERNEL = re.compile("[0-9a-f]{24}"), re.compile(r"\w{1,64}-[0-9a-f]{32}\.o", re.ASCII)
_TEMPORARY, _CLAIM = (
    re.compile(r"\.numgrad-new-\w{8}", re.ASCII),
    re.compile(r"\.claim-\w{1,64}-[0-9a-f]{32}", re.ASCII),
)
_KEPT_FOLDERS = 16  # of other keys; those beyond go after a week without use, and any after a quarter of a year
_log = logging.getLogger("numgrad.store")
# Settings of Numba's that change the code it makes.
_NUMBA_SETTINGS = ("NUMBA_OPT", "NUMBA_LOOP_VECTORIZE", "NUMBA_SLP_VECTORIZE", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")


@functools.cache
def base_key() -> str:
    """Hash of everything that all kernels depend on: what the kernels say is in the keys of their files."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
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
        # Closed whatever the umask is: who may write to a folder above could exchange those below.
        for closed in (*reversed(root.parents), root, place):
            if not closed.exists():
                closed.mkdir(mode=0o700, exist_ok=True)
        for closed in (root, place):
            if not _is_own_folder(closed):
                reason = (
                    f"{closed} must belong to you and be writable by you alone (chmod go-w), or choose another folder"
                )
                _log.warning("no kernel is loaded or stored: %s by NUMGRAD_KERNEL_STORE", reason)
                return None, reason
    except (OSError, RuntimeError) as error:
        _log.info("kernels stay in memory: %s", error)
        return None, str(error)
    _clean(root, place)
    return place, ""


def _is_own_folder(place: Path) -> bool:
    """Whether a folder, or a link and the folder that it leads to, belong to the user and are closed to others."""
    link = place.lstat()
    if not stat.S_ISLNK(link.st_mode):
        return stat.S_ISDIR(link.st_mode) and _is_closed(link)
    # A link counts as who made it; its permissions say nothing.
    return _is_own(link) and place.is_dir() and _is_closed(place.stat())


def _is_own(facts: os.stat_result) -> bool:
    # On Windows the user's profile folder is closed by its access list.
    return not hasattr(os, "getuid") or facts.st_uid == os.getuid()


def _is_closed(facts: os.stat_result) -> bool:
    return _is_own(facts) and not (hasattr(os, "getuid") and facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def _fault(facts: os.stat_result) -> str:
    """Why a file cannot be a kernel that the user stored; '' if it can."""
    if not stat.S_ISREG(facts.st_mode):
        return "is a link, a folder, a pipe or a device"
    if not _is_closed(facts):
        return "belongs to another user or can be written by others"
    return f"has {facts.st_size} bytes" if facts.st_size > _MOST_BYTES else ""


def get(name: str, key: str) -> bytes | None:
    """The stored object code, or None if there is none that can be trusted."""
    place = folder()
    if place is None:
        return None
    path = place / f"{name}-{key}.o"
    try:
        fault = _fault(path.lstat())  # before it is opened, since opening alone does something to some devices
        blob = b"" if fault else _read(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        _log.info("stored kernel %s cannot be read: %s", path, error)
        return None
    if fault:
        _warn_of(path, fault)
        return None
    payload = blob[_HEAD:]
    if blob[:_HEAD] == _MAGIC + _digest(name, key, payload):
        return payload
    _log.warning("stored kernel %s is damaged; compiling it again", path)
    return None


def _read(path: Path) -> bytes:
    """The bytes of a plain file of the user's; b"" if what the path leads to has become something else."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with open(path, "rb", opener=lambda name, _: os.open(name, flags)) as file:
        return b"" if _fault(os.fstat(file.fileno())) else file.read(_MOST_BYTES)


_warned = False


def _warn_of(path: Path, fault: str) -> None:
    """Say once in a process that the store has something that is not to be trusted: there may be a hundred such files."""
    global _warned
    level, _warned = logging.INFO if _warned else logging.WARNING, True
    text = (
        "stored kernel %s is not used, since it %s; compiling it again. See who can write to %s, or remove that folder"
    )
    _log.log(level, text, path, fault, path.parent)


def has(name: str, key: str) -> bool:
    """Whether there is a file of it that may be read; `get` looks at what is in it."""
    place = folder()
    try:
        return place is not None and not _fault((place / f"{name}-{key}.o").lstat())
    except OSError:
        return False


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
                handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
                facts = os.fstat(handle)
                if not _is_claim(facts):
                    raise OSError(f"{path} is no file of the store's")
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
                if handle is not None:
                    os.close(handle)
                    handle = None
                break
    try:
        yield at_once
    finally:
        if handle is not None:
            with contextlib.suppress(OSError):
                path.unlink()  # while it is held
            os.close(handle)


def _is_claim(facts: os.stat_result) -> bool:
    return stat.S_ISREG(facts.st_mode) and _is_closed(facts) and facts.st_size == 0


def is_empty() -> bool:
    """Whether the store has no kernel at all; True where there is no store."""
    place = folder()
    return place is None or not any(name.endswith(".o") for name in os.listdir(place))


def put(name: str, key: str, payload: bytes) -> None:
    """Store object code; the file appears whole or not at all."""
    place = folder()
    if place is None:
        return
    try:
        _write(place / f"{name}-{key}.o", _MAGIC + _digest(name, key, payload) + payload)
    except OSError as error:
        _log.info("kernel %s stays in memory: %s", name, error)


def _write(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".numgrad-new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _digest(name: str, key: str, payload: bytes) -> bytes:
    return hashlib.sha256(f"{name}-{key}\n".encode() + payload).digest()


# ---- folders of kernels, and what nobody has used for long --------------------------------------------------------


def _mark_of(place: Path) -> bytes:
    return f"numgrad made this folder, for kernels with the key {place.name}, and removes it when it is old\n".encode()


def _is_marked(place: Path) -> bool:
    """Whether a folder has the mark of the store, and is no link to one."""
    with contextlib.suppress(OSError):  # what cannot be read is not the store's
        return not place.is_symlink() and _read(place / _MARK) == _mark_of(place)
    return False


def _clean(root: Path, live: Path) -> None:
    """Note that the live folder is in use, and remove folders that have not been for long; at most once a day.

    A folder's time says when a process last began to use it. One that is removed under a process all the same is only
    a store that has nothing and takes nothing.
    """
    try:
        now = time.time()
        marked = _is_marked(live)
        if marked and now - live.stat().st_mtime < _DAY:
            return
        if not marked:
            _write(live / _MARK, _mark_of(live))
        os.utime(live)
        others = [place for place in root.iterdir() if _FOLDER.fullmatch(place.name) and place != live]
        aged = sorted(((now - place.lstat().st_mtime) / _DAY, place) for place in others if _is_marked(place))
        for rank, (days, place) in enumerate(aged):
            if days > 90 or (days > 7 and rank >= _KEPT_FOLDERS):
                _remove_folder(place)
        for leftover in live.iterdir():  # of processes that were killed while they wrote
            if _is_leftover(leftover) and now - leftover.lstat().st_mtime > _DAY:
                leftover.unlink(missing_ok=True)
    except OSError as error:
        _log.info("the kernel store is not cleaned: %s", error)


def _is_leftover(path: Path) -> bool:
    if _TEMPORARY.fullmatch(path.name):
        return _is_plain(path)
    return _CLAIM.fullmatch(path.name) is not None and _is_claim(path.lstat())


def _is_plain(path: Path) -> bool:
    facts = path.lstat()
    return stat.S_ISREG(facts.st_mode) and _is_own(facts)


def _remove_folder(place: Path) -> None:
    """Remove what the store wrote into a folder, and the folder if there is nothing else in it."""
    foreign = False
    try:
        for path in place.iterdir():
            if _is_leftover(path) or (_KERNEL.fullmatch(path.name) and _is_plain(path)):
                path.unlink(missing_ok=True)
            elif path.name != _MARK:
                foreign = True
        if not foreign:
            (place / _MARK).unlink(missing_ok=True)
            place.rmdir()
    except OSError as error:
        _log.info("%s is not removed: %s", place, error)


def usage() -> tuple[int, int, int]:
    """How many kernels there are for this process, their bytes, and those of all of the store's folders."""
    live = folder()
    if live is None:
        return 0, 0, 0
    sizes = {place: _sizes(place) for place in live.parent.iterdir() if place.name == live.name or _is_marked(place)}
    own = sizes.get(live, [])
    return len(own), sum(own), sum(map(sum, sizes.values()))


def _sizes(place: Path) -> list[int]:
    """Bytes of each kernel in a folder; other processes may be at it."""
    sizes = []
    with contextlib.suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            if _KERNEL.fullmatch(entry.name):
                with contextlib.suppress(FileNotFoundError):
                    facts = entry.stat(follow_symlinks=False)
                    if not _fault(facts):
                        sizes.append(facts.st_size)
    return sizes
