"""The folders where weights lie on this machine, and the check of a file's hash. Only `clear` writes there."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from numgrad import config
from numgrad.weights.entries import Source
from numgrad.weights.errors import CacheError

log = logging.getLogger("numgrad.weights")

_TORCH_HOME = config.Knob("TORCH_HOME", "", "torch's folder; read only, to use what torch has downloaded")
_XDG_CACHE_HOME = config.Knob("XDG_CACHE_HOME", "~/.cache", "the parent of torch's folder where TORCH_HOME is not set")


def folder() -> Path:
    """numgrad's own folder of weights: ``$NUMGRAD_HOME/weights``, or one in the platform's cache. Not created here.

    Raises
    ------
    CacheError
        Neither the environment nor the system knows a home folder.
    """
    home = config.HOME()
    try:
        parent = Path(home).expanduser() if home else config.cache_folder()
    except RuntimeError:
        parent = Path("~")
    if str(parent).startswith("~"):  # some versions of platformdirs leave the ~ in the path
        raise CacheError(
            "find", parent, FileNotFoundError(errno.ENOENT, "this user has no home folder, HOME is not set")
        )
    return parent.absolute() / "weights"


def warn_of_others(path: Path) -> None:
    """Log a warning if other users may write to a folder: they can replace a file after its hash was compared."""
    facts = path.stat()
    if not hasattr(os, "geteuid"):
        return  # Windows: the access list of the user's profile folder keeps others out
    if facts.st_uid not in (os.geteuid(), 0):
        log.warning("%s belongs to another user (%d), who can change the weights in it", path, facts.st_uid)
    elif facts.st_mode & stat.S_IWOTH and not facts.st_mode & stat.S_ISVTX:
        log.warning("%s can be written by all users, who can change the weights in it: chmod o-w", path)


def torch_folder() -> Path:
    """The folder where ``torch.hub`` keeps its downloads; numgrad reads it and never writes there."""
    home = Path(_TORCH_HOME() or f"{_XDG_CACHE_HOME()}/torch")
    try:
        home = home.expanduser()
    except RuntimeError:  # without a home folder there is no such file either
        pass
    return home / "hub" / "checkpoints"


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal.

    Raises
    ------
    CacheError
        The file cannot be read.
    """
    # `pooch.file_hash` is no faster (33 ms for 46 MB), and importing pooch would add 0.1 s to a warm start.
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CacheError("read", path, error) from error


def is_right(path: Path, source: Source) -> bool:
    """Whether the file at `path` exists and has the hash of `source`; the whole file is read.

    Raises
    ------
    CacheError
        The file exists but cannot be read.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return False
    except OSError as error:
        raise CacheError("read", path, error) from error
    if source.size_exact and size != source.size:
        return False  # truncated, or another file: no need to read it
    return sha256(path) == source.sha256


def candidates(sources: Iterable[Source]) -> Iterator[tuple[Path, Source]]:
    """The existing files that may be one of the sources, in the order in which they are tried."""
    sources = tuple(sources)
    for parent in (folder(), torch_folder()):
        for source in sources:
            path = parent / source.file
            if os.path.isfile(path):  # unlike Path.is_file, False where the folder may not be entered
                yield path, source


def find(sources: Iterable[Source]) -> Path | None:
    """The first local file whose full hash is right, or None. Logs a warning for each file with a wrong hash."""
    for path, source in candidates(sources):
        try:
            if is_right(path, source):
                return path
        except CacheError:
            if path.parent == folder():
                raise
            continue  # torch's folder, which this user may be unable to read
        log.warning("%s is corrupt (its SHA-256 is not %s)", path, source.sha256)
    return None


def own_files(sources: Iterable[Source]) -> Iterator[Path]:
    """The files that numgrad has written for these sources: weights, unfinished downloads and locks."""
    for source in sources:
        for pattern in (source.file, f"{source.file}.lock", f"{source.file}.part", f"{source.file}.*.part"):
            yield from sorted(folder().glob(pattern))


def clear(sources: Iterable[Source], *, dry_run: bool = False) -> list[Path]:
    """Remove `own_files`, and the folder if it is then empty. Returns what was (or would be) removed.

    Raises
    ------
    CacheError
        A file cannot be removed.
    """
    removed = list(own_files(sources))
    if dry_run:
        return removed
    for path in removed:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise CacheError("remove", path, error) from error
    with contextlib.suppress(OSError):  # missing, or not empty: other files there are not numgrad's
        folder().rmdir()
    return removed
