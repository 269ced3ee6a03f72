"""`fetch_file`: one verified file in a folder of the caller's, such as a dataset's, by the same rules as weights."""

from __future__ import annotations

import logging
from pathlib import Path

from numgrad import config
from numgrad.weights import cache, store
from numgrad.weights.download import Failure, Policy
from numgrad.weights.entries import Source
from numgrad.weights.errors import HashMismatchError, OfflineError, how_to_place_by_hand

log = logging.getLogger("numgrad.weights")


def verified(target: Path, source: Source) -> bool:
    """Whether the file is there and has the right SHA-256. A warning is logged if it is there and has not."""
    if cache.is_right(target, source):
        return True
    if target.exists():
        log.warning("%s is corrupt (its SHA-256 is not %s)", target, source.sha256)
    return False


def fetch_file(
    name: str, target: Path, source: Source, *, progress: bool | None = None, policy: Policy | None = None
) -> Path:
    """The file ``target`` with its full SHA-256 checked; what is missing or corrupt is downloaded.

    Where ``NUMGRAD_WEIGHTS_URL`` is set, from ``name/file`` under it and from nowhere else.

    Raises
    ------
    OfflineError, DownloadError
        A download is needed and not allowed, or every source failed.
    HashMismatchError
        The local or downloaded bytes are wrong, and no source has the right ones.
    CacheError
        The folder cannot be read or written.

    Examples
    --------
    >>> fetch_file("MNIST", Path("raw/a.gz"), source)  # doctest: +SKIP
    PosixPath('raw/a.gz')
    """
    if verified(target, source):
        return target
    base = config.WEIGHTS_URL()
    addresses = (f"{base.rstrip('/')}/{name}/{source.file}",) if base else source.urls
    by_hand = how_to_place_by_hand(addresses, source.sha256 or "", target)
    if config.OFFLINE.is_set():
        forbidden = "NUMGRAD_OFFLINE is set, so that it is not downloaded"
        if target.exists():
            raise HashMismatchError(f"{name}: {target} is corrupt, and {forbidden} again.\n{by_hand}")
        raise OfflineError(f"{name}: {target} is not there, and {forbidden}.\n{by_hand}")
    failures: list[Failure] = []
    if file := store.download(target, source, addresses, failures, progress=progress, policy=policy):
        return file
    raise store.failed(name, failures, by_hand)
