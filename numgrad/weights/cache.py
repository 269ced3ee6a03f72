"""Where weights lie on this machine, and whether a file is the right one. Reads; writes only in `clear`."""

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
from numgrad.weights.errors import CacheError
from numgrad.weights.registry import Source

log = logging.getLogger("numgrad.weights")

_TORCH_HOME = config.Knob("TORCH_HOME", "", "torch's folder; read only, to use what torch has downloaded")
_XDG_CACHE_HOME = config.Knob("XDG_CACHE_HOME", "~/.cache", "the parent of torch's folder where TORCH_HOME is not set")


def folder() -> Path:
    """numgrad's own folder of weights: ``$NUMGRAD_HOME/weights``, or that of the platform's cache. Not created here.

    Raises
    ------
    CacheError
        If neither the environment nor the system knows a home folder.
    """
    home = config.HOME()
    try:
        place = Path(home).expanduser() if home else config.cache_folder()
    except RuntimeError:
        place = Path("~")
    if str(place).startswith("~"):  # some versions of platformdirs leave it so
        raise CacheError(
            "find", place, FileNotFoundError(errno.ENOENT, "this user has no home folder, HOME is not set")
        )
    return place.absolute() / "weights"


def warn_of_others(place: Path) -> None:
    """Log it if other users may change what is in a folder: they can exchange a file after its hash was compared."""
    facts = place.stat()
    if not hasattr(os, "geteuid"):
        return  # Windows: the user's profile folder is closed by its access list
    if facts.st_uid not in (os.geteuid(), 0):
        log.warning("%s belongs to another user (%d), who can change the weights in it", place, facts.st_uid)
    elif facts.st_mode & stat.S_IWOTH and not facts.st_mode & stat.S_ISVTX:
        log.warning("%s can be written by all users, who can change the weights in it: chmod o-w", place)


def torch_folder() -> Path:
    """The folder where ``torch.hub`` keeps its downloads; numgrad reads it and never writes there."""
    home = Path(_TORCH_HOME() or f"{_XDG_CACHE_HOME()}/torch")
    try:
        home = home.expanduser()
    except RuntimeError:  # there is no home folder, and so no such file
        pass
    return home / "hub" / "checkpoints"


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal.

    Raises
    ------
    CacheError
        If the file cannot be read.
    """
    # Not `pooch.file_hash`: a warm start would import pooch (0.1 s) for it, and hashes 46 MB in the same 33 ms.
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CacheError("read", path, error) from error


def is_right(path: Path, source: Source) -> bool:
    """True if the file at `path` is there and its bytes are `source`'s: all of them are read and hashed.

    Raises
    ------
    CacheError
        If the file is there but cannot be read.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return False
    except OSError as error:
        raise CacheError("read", path, error) from error
    if source.size_exact and size != source.size:
        return False  # truncated or foreign: told without reading it
    return sha256(path) == source.sha256


def candidates(sources: Iterable[Source]) -> Iterator[tuple[Path, Source]]:
    """The places where a file may already be, in the order in which they are asked."""
    sources = tuple(sources)
    for place in (folder(), torch_folder()):
        for source in sources:
            path = place / source.file
            if os.path.isfile(path):  # unlike Path.is_file, False where the folder may not be entered
                yield path, source


def find(sources: Iterable[Source]) -> Path | None:
    """The first local file whose full hash is right, or None. Logs the ones that are wrong."""
    for path, source in candidates(sources):
        try:
            if is_right(path, source):
                return path
        except CacheError:
            if path.parent == folder():
                raise
            continue  # somebody else's folder: not being able to read it is no fault
        log.warning("%s is corrupt (its SHA-256 is not %s)", path, source.sha256)
    return None


def own_files(sources: Iterable[Source]) -> Iterator[Path]:
    """What numgrad has written for these sources: the files, unfinished downloads and lock files."""
    for source in sources:
        for pattern in (source.file, f"{source.file}.lock", f"{source.file}.part", f"{source.file}.*.part"):
            yield from sorted(folder().glob(pattern))


def clear(sources: Iterable[Source], *, dry_run: bool = False) -> list[Path]:
    """Remove `own_files`, and the folder if nothing else is in it; say what went (or would go).

    Raises
    ------
    CacheError
        If a file cannot be removed.
    """
    removed = list(own_files(sources))
    if dry_run:
        return removed
    for path in removed:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise CacheError("remove", path, error) from error
    with contextlib.suppress(OSError):  # not there, or not empty: other files in it are not ours to judge
        folder().rmdir()
    return removed
