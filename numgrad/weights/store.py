"""`fetch` and its relatives: from a name to a verified local file, in numgrad's cache, in torch's, or downloaded."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from pathlib import Path

from numgrad import config
from numgrad.weights import cache
from numgrad.weights.download import Failure, Policy, Transfer
from numgrad.weights.entries import Entry, Source, entry, list_weights
from numgrad.weights.errors import (
    CacheError,
    DownloadError,
    HashMismatchError,
    NotDownloadedError,
    NotVerifiedError,
    OfflineError,
    WeightsError,
    how_to_place_by_hand,
)
from numgrad.weights.lock import exclusive

log = logging.getLogger("numgrad.weights")


def fetch(name: str, *, force: bool = False, progress: bool | None = None, policy: Policy | None = None) -> Path:
    """The local file of these weights, with its full SHA-256 checked. A missing file is downloaded.

    Parameters
    ----------
    name
        As for `entry`.
    force
        Download even if there is a good local file.
    progress
        Show a progress bar on stderr; None: only on a terminal.
    policy
        Timeouts, tries and waits; None: the defaults.

    Raises
    ------
    UnknownWeightsError, NotVerifiedError
        The registry does not have the name, or not the file's full hash.
    OfflineError, DownloadError
        A download is needed and not allowed, or every source failed.
    HashMismatchError
        The local or downloaded bytes are wrong, and no source has the right ones.
    CacheError
        The cache folder cannot be read or written.

    Examples
    --------
    >>> path = fetch("resnet18")  # doctest: +SKIP
    >>> state = numgrad.load(path)  # doctest: +SKIP
    """
    return fetch_entry(entry(name), force=force, progress=progress, policy=policy)


def fetch_entry(
    weights: Entry, *, force: bool = False, progress: bool | None = None, policy: Policy | None = None
) -> Path:
    """`fetch` for an entry that need not be in the registry; the same arguments and errors."""
    sources = _usable(weights)
    if not force and (file := cache.find(sources)):
        return file
    if config.OFFLINE.is_set():
        raise _refused_offline(weights, sources)
    failures: list[Failure] = []
    for source in sources:
        if file := download(cache.folder() / source.file, source, urls(source), failures, force, progress, policy):
            return file
    raise failed(weights.name, failures, _by_hand(sources))


def download(
    target: Path,
    source: Source,
    addresses: tuple[str, ...],
    failures: list[Failure],
    force: bool = False,
    progress: bool | None = None,
    policy: Policy | None = None,
) -> Path | None:
    """Download a file from one of its addresses, unless another process did; None, with the reasons in ``failures``.

    Raises
    ------
    CacheError
        The folder cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        cache.warn_of_others(target.parent)
        with exclusive(_beside(target, "lock")) as alone:
            if not force and cache.is_right(target, source):
                return target  # another process has downloaded it while this one waited
            # Without locks, two processes could write one part: each gets a part of its own, and none is resumed.
            part = _beside(target, "part" if alone else f"{os.getpid()}.part")
            if force:
                part.unlink(missing_ok=True)
            _require_room(target, source, part)
            log.info("downloading %s to %s", source.file, target)
            transfer = Transfer(source, target, part, policy or Policy(), progress, failures)
            return target if transfer.run(addresses) else None
    except OSError as error:
        raise CacheError("write", target, error) from error


def _beside(target: Path, suffix: str) -> Path:
    return target.with_name(f"{target.name}.{suffix}")


def _require_room(target: Path, source: Source, part: Path) -> None:
    missing = source.size - (part.lstat().st_size if part.is_file() and not part.is_symlink() else 0)
    free = shutil.disk_usage(target.parent).free
    if free < missing:
        reason = f"{os.strerror(errno.ENOSPC)}: {missing / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free"
        raise OSError(errno.ENOSPC, reason)


def urls(source: Source) -> tuple[str, ...]:
    """The URLs of this file: the registry's, or the one under ``NUMGRAD_WEIGHTS_URL``.

    The variable replaces the registry's URLs and is not merely tried first. A closed network that sets it to its own
    server sees no requests to any other.
    """
    base = config.WEIGHTS_URL()
    return (f"{base.rstrip('/')}/{source.file}",) if base else source.urls


def _usable(weights: Entry) -> tuple[Source, ...]:
    if weights.usable:
        return weights.usable
    first = weights.sources[0]
    siblings = [each.name for each in list_weights() if each.model == weights.model and each.verified]
    instead = f"Use {' or '.join(siblings)}, or get" if siblings else "Get"
    raise NotVerifiedError(
        f"{weights.name} is not yet verified: numgrad does not know the full SHA-256 of {first.file}, and the eight "
        f"digits in its name are too few to trust a download. {instead} {first.urls[0]} yourself and, "
        "if you trust what came, load that file with numgrad.load(path)."
    )


def _by_hand(sources: tuple[Source, ...]) -> str:
    """How to install the preferred file by hand."""
    best = sources[0]
    return how_to_place_by_hand(urls(best), best.sha256 or "", cache.folder() / best.file)


def _corrupt(sources: tuple[Source, ...]) -> list[Path]:
    return [path for path, _ in cache.candidates(sources) if path.parent == cache.folder()]


def _refused_offline(weights: Entry, sources: tuple[Source, ...]) -> WeightsError:
    if corrupt := _corrupt(sources):
        return HashMismatchError(
            f"{weights.name}: {corrupt[0]} is corrupt, and NUMGRAD_OFFLINE is set, so that it is not downloaded again.\n"
            + _by_hand(sources)
        )
    return OfflineError(
        f"{weights.name} is not on this machine (looked in {cache.folder()} and {cache.torch_folder()}), and "
        f"NUMGRAD_OFFLINE is set, so that it is not downloaded.\n{_by_hand(sources)}"
    )


def failed(name: str, failures: list[Failure], by_hand: str) -> WeightsError:
    """The error where no source delivered a file; ``by_hand`` says how to do without."""
    tries: dict[str, list[Failure]] = {}
    for failure in failures:
        tries.setdefault(failure.url, []).append(failure)
    listed = "\n".join(f"  {each[-1]}{f' ({len(each)} tries)' if len(each) > 1 else ''}" for each in tries.values())
    text = f"{name}: no source delivered the file.\n{listed}\n{by_hand}"
    return HashMismatchError(text) if any(failure.wrong_bytes for failure in failures) else DownloadError(text)


def path(name: str) -> Path:
    """The path of these weights' file, present or after a download. Nothing is hashed or fetched.

    Raises
    ------
    UnknownWeightsError
        There are no weights with this name.

    Examples
    --------
    >>> path("resnet18").name
    'resnet18-f37072fd.pth'
    """
    weights = entry(name)
    sources = weights.usable or weights.sources
    return next((file for file, _ in cache.candidates(sources)), cache.folder() / sources[0].file)


def cached_path(name: str) -> Path | None:
    """The local file of these weights, with its full SHA-256 checked, or None. Never touches the network.

    Raises
    ------
    UnknownWeightsError, NotVerifiedError, CacheError
        As for `fetch`.

    Examples
    --------
    >>> cached_path("resnet18")  # doctest: +SKIP
    PosixPath('/home/me/.cache/numgrad/weights/resnet18-f37072fd.pth')
    """
    return cache.find(_usable(entry(name)))


def verify(name: str) -> Path:
    """Check the hash of these weights' local file and return its path.

    Raises
    ------
    NotDownloadedError
        There is no local file.
    HashMismatchError
        The local file is corrupt; ``fetch`` replaces it.
    UnknownWeightsError, NotVerifiedError, CacheError
        As for `fetch`.

    Examples
    --------
    >>> verify("resnet18")  # doctest: +SKIP
    PosixPath('/home/me/.cache/numgrad/weights/resnet18-f37072fd.pth')
    """
    weights = entry(name)
    sources = _usable(weights)
    # numgrad's own files come first, and alone: a good copy in torch's folder must not hide a bad one here.
    for file, source in cache.candidates(sources):
        if file.parent == cache.folder() and not cache.is_right(file, source):
            raise HashMismatchError(
                f"{weights.name}: {file} is corrupt: its SHA-256 is {cache.sha256(file)}, expected {source.sha256}. "
                f"`numgrad weights download {weights.name}` replaces it.\n{_by_hand(sources)}"
            )
    if good := cache.find(sources):
        return good
    raise NotDownloadedError(
        f"{weights.name} is not on this machine; `numgrad weights download {weights.name}` gets it."
    )


def clear(name: str | None = None, *, dry_run: bool = False) -> list[Path]:
    """Remove these weights' files from numgrad's cache, finished or not; without a name, those of all weights.

    Returns the removed paths. Torch's folder, and files that the registry does not know, are left alone.

    Raises
    ------
    UnknownWeightsError
        There are no weights with this name.
    CacheError
        A file cannot be removed.

    Examples
    --------
    >>> clear("resnet18")  # doctest: +SKIP
    [PosixPath('/home/me/.cache/numgrad/weights/resnet18-f37072fd.pth')]
    """
    entries = list_weights() if name is None else (entry(name),)
    return cache.clear([source for each in entries for source in each.sources], dry_run=dry_run)
