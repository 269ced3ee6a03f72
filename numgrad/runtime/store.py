"""The store of compiled kernels: object code in files. It is correct first, and fast second.

A path holds the key in two parts. The folder is a hash of the runtime's sources, the versions of Python, Numba and llvmlite,
the CPU's name and features and the debug mode. The file is a hash of the kernel's own code with everything that it calls. A
file that is missing, truncated, damaged or foreign means "compile it again", and a folder that cannot be written means "keep
it in memory": never a wrong number, never a crash.

Code in the store is executed. So the folder and each file must belong to the user and be writable by the user alone. Files
must be plain ones of at most `_MOST_BYTES`: not links, pipes, devices or folders. Anything else is never opened for reading.
The kernel is compiled again, its file replaces whatever had its name, and one warning a process says what was wrong.

Folders of other keys (older versions, other settings) stay for a while, since they may be in use; `_clean` removes those
that nobody has used for long. The user may keep other things in the store's folder. A subfolder is the store's if it has
the file `_MARK`, and a file in it is the store's if the store writes such names and kinds. Nothing else is removed.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import logging
import os
import re
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from numgrad import config, files
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
# Names of the store's folders and files.
_FOLDER, _KERNEL = re.compile("[0-9a-f]{24}"), re.compile(r"\w{1,64}-[0-9a-f]{32}\.o", re.ASCII)
_TEMPORARY, _CLAIM = (
    re.compile(r"\.numgrad-new-\w{8}", re.ASCII),
    re.compile(r"\.claim-\w{1,64}-[0-9a-f]{32}", re.ASCII),
)
_KEPT_FOLDERS = 16  # of other keys; those beyond go after a week without use, and any after a quarter of a year
_log = logging.getLogger("numgrad.store")
# Settings of Numba's that change the code it makes.
NUMBA_SETTINGS = ("NUMBA_OPT", "NUMBA_LOOP_VECTORIZE", "NUMBA_SLP_VECTORIZE", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")


@functools.cache
def runtime_sources() -> str:
    """Hash of the runtime's sources, by which all kernels are made and called."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


@functools.cache
def base_key() -> str:
    """Hash of everything that all kernels depend on; the keys of their files hash their own code."""
    digest = hashlib.sha256(runtime_sources().encode())
    settings = [f"{name}={os.environ.get(name)}" for name in NUMBA_SETTINGS]
    versions = [sys.version, _version("numba"), _version("llvmlite")]
    parts = [*versions, *target.cpu(), str(config.checks_indices()), *settings]
    digest.update("\n".join(parts).encode())
    return digest.hexdigest()[:24]


def _version(package: str) -> str:
    """The text of a package's version, read without importing it (`importlib.metadata` takes 20 ms)."""
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
    live, reason = _folder()
    if live is None or os.access(live, os.W_OK | os.X_OK):
        return reason
    return f"{live} cannot be written"


@functools.cache
def _folder() -> tuple[Path | None, str]:
    chosen = config.KERNEL_STORE()
    if chosen == "off":
        return None, "NUMGRAD_KERNEL_STORE is off"
    try:
        root = Path(chosen).absolute() if chosen else config.cache_folder() / "kernels"
        if not root.is_absolute():
            raise RuntimeError("no home folder")
        live = root / base_key()
        # Closed whatever the umask is: anybody who may write to a folder could exchange those below it.
        for closed in (*reversed(root.parents), root, live):
            if not closed.exists():
                closed.mkdir(mode=0o700, exist_ok=True)
        for closed in (root, live):
            if not _is_own_folder(closed):
                reason = (
                    f"{closed} must belong to you and be writable by you alone (chmod go-w), or choose another folder"
                )
                _log.warning("no kernel is loaded or stored: %s by NUMGRAD_KERNEL_STORE", reason)
                return None, reason
    except (OSError, RuntimeError) as error:
        _log.info("kernels stay in memory: %s", error)
        return None, str(error)
    _clean(root, live)
    return live, ""


def _is_own_folder(path: Path) -> bool:
    """Whether a folder (or a link and its target folder) belongs to the user and is closed to others."""
    link = path.lstat()
    if not stat.S_ISLNK(link.st_mode):
        return stat.S_ISDIR(link.st_mode) and _is_closed(link)
    # Of a link only the owner counts; its permissions say nothing.
    return _is_own(link) and path.is_dir() and _is_closed(path.stat())


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
    """The stored object code, or None if there is none to be trusted."""
    live = folder()
    if live is None:
        return None
    path = live / f"{name}-{key}.o"
    try:
        fault = _fault(path.lstat())  # before it is opened: merely opening some devices has effects
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
    """The bytes of a plain file of the user's; b"" if the path has become something else."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with io.BufferedReader(files.opened(path, flags)) as file:
        return b"" if _fault(os.fstat(file.fileno())) else file.read(_MOST_BYTES)


_warned = False


def _warn_of(path: Path, fault: str) -> None:
    """Warn of a file that must not be trusted, once a process: there may be a hundred of them."""
    global _warned
    level, _warned = logging.INFO if _warned else logging.WARNING, True
    text = (
        "stored kernel %s is not used, since it %s; compiling it again. See who can write to %s, or remove that folder"
    )
    _log.log(level, text, path, fault, path.parent)


def has(name: str, key: str) -> bool:
    """Whether the kernel has a file that may be read; `get` checks the content."""
    live = folder()
    try:
        return live is not None and not _fault((live / f"{name}-{key}.o").lstat())
    except OSError:
        return False


@contextlib.contextmanager
def claim(name: str, key: str, patience: float) -> Iterator[bool]:
    """While entered, no other process compiles this kernel, unless its patience ran out.

    Yields True if nobody else was compiling it, False if somebody is or was: then `get` may have it now. The claim is a lock
    that the system drops when its holder dies. On a system without locks every process compiles for itself.
    """
    live = folder()
    file = None
    at_once = True
    if live is not None and fcntl is not None:
        path = live / f".claim-{name}-{key}"
        deadline = time.monotonic() + patience
        while file is None:
            try:
                file = files.opened(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
                if not _is_claim(os.fstat(file.fileno())):
                    raise OSError(f"{path} is no file of the store's")
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(file.fileno()).st_nlink == 0:  # its holder has just removed it; the name may be another's
                    file.close()
                    file, at_once = None, False
            except BlockingIOError:
                file.close()  # type: ignore[union-attr]
                file, at_once = None, False
                if time.monotonic() >= deadline:
                    break
                time.sleep(0.01)
            except OSError as error:  # no room, or a file system without locks
                _log.info("no claim on kernel %s: %s", name, error)
                if file is not None:
                    file.close()
                    file = None
                break
    try:
        yield at_once
    finally:
        if file is not None:
            with contextlib.suppress(OSError):
                path.unlink()  # while it is held
            file.close()


def _is_claim(facts: os.stat_result) -> bool:
    return stat.S_ISREG(facts.st_mode) and _is_closed(facts) and facts.st_size == 0


def is_empty() -> bool:
    """Whether the store has no kernel at all; True where there is no store."""
    live = folder()
    return live is None or not any(name.endswith(".o") for name in os.listdir(live))


def put(name: str, key: str, payload: bytes) -> None:
    """Store object code; the file appears whole or not at all."""
    live = folder()
    if live is None:
        return
    try:
        _write(live / f"{name}-{key}.o", _MAGIC + _digest(name, key, payload) + payload)
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


# ---- folders of kernels, and the removal of old ones -------------------------------------------------------------


def _mark_of(path: Path) -> bytes:
    return f"numgrad made this folder, for kernels with the key {path.name}, and removes it when it is old\n".encode()


def _is_marked(path: Path) -> bool:
    """Whether a folder has the mark of the store, and is no link to one."""
    with contextlib.suppress(OSError):  # an unreadable folder is not the store's
        return not path.is_symlink() and _read(path / _MARK) == _mark_of(path)
    return False


def _clean(root: Path, live: Path) -> None:
    """Note that the live folder is in use, and remove folders that nobody has used for long; at most once a day.

    A folder's time says when a process last began to use it. A process whose folder is removed all the same only finds a
    store that has nothing and takes nothing.
    """
    try:
        now = time.time()
        marked = _is_marked(live)
        if marked and now - live.stat().st_mtime < _DAY:
            return
        if not marked:
            _write(live / _MARK, _mark_of(live))
        os.utime(live)
        others = [path for path in root.iterdir() if _FOLDER.fullmatch(path.name) and path != live]
        aged = sorted(((now - path.lstat().st_mtime) / _DAY, path) for path in others if _is_marked(path))
        for rank, (days, path) in enumerate(aged):
            if days > 90 or (days > 7 and rank >= _KEPT_FOLDERS):
                _remove_folder(path)
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


def _remove_folder(old: Path) -> None:
    """Remove the store's files from a folder, and the folder if nothing else is in it."""
    foreign = False
    try:
        for path in old.iterdir():
            if _is_leftover(path) or (_KERNEL.fullmatch(path.name) and _is_plain(path)):
                path.unlink(missing_ok=True)
            elif path.name != _MARK:
                foreign = True
        if not foreign:
            (old / _MARK).unlink(missing_ok=True)
            old.rmdir()
    except OSError as error:
        _log.info("%s is not removed: %s", old, error)


def usage() -> tuple[int, int, int]:
    """Number of kernels for this process, their bytes, and the bytes of all folders of the store."""
    live = folder()
    if live is None:
        return 0, 0, 0
    sizes = {path: _sizes(path) for path in live.parent.iterdir() if path.name == live.name or _is_marked(path)}
    kernels = sizes.get(live, [])
    return len(kernels), sum(kernels), sum(map(sum, sizes.values()))


def _sizes(path: Path) -> list[int]:
    """Bytes of each kernel in a folder, which other processes may be changing."""
    sizes = []
    with contextlib.suppress(OSError), os.scandir(path) as entries:
        for entry in entries:
            if _KERNEL.fullmatch(entry.name):
                with contextlib.suppress(FileNotFoundError):
                    facts = entry.stat(follow_symlinks=False)
                    if not _fault(facts):
                        sizes.append(facts.st_size)
    return sizes
