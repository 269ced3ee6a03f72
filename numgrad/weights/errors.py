"""Exceptions of the weights store. Each message names the file, its URL, its hash and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class WeightsError(RuntimeError):
    """Base class: numgrad could not provide a verified local file of pretrained weights."""


class UnknownWeightsError(WeightsError, ValueError):
    """The registry has no weights with this name."""


class NotVerifiedError(WeightsError):
    """The registry does not know the full SHA-256 of these weights, so a download could not be verified."""


class NotDownloadedError(WeightsError):
    """There is no local file of these weights."""


class OfflineError(NotDownloadedError):
    """There is no local file, and NUMGRAD_OFFLINE forbids a download."""


class DownloadError(WeightsError):
    """No source delivered the file. The message lists their answers."""


class HashMismatchError(WeightsError):
    """A local or downloaded file does not have the hash in the registry."""


class CacheError(WeightsError):
    """The cache folder cannot be read or written; ``__cause__`` is the operating system's error."""

    def __init__(self, action: str, path: Path, error: OSError) -> None:
        self.path = path
        self.errno = error.errno
        super().__init__(
            f"cannot {action} {path}: {error.strerror or error}. "
            "Make room or give access there, or set NUMGRAD_HOME to a folder that can be written."
        )


def how_to_place_by_hand(urls: Sequence[str], sha256: str, target: Path) -> str:
    """Instructions for installing a file without a network.

    >>> print(how_to_place_by_hand(["https://host/a.pth"], "ab12", Path("a.pth")))
    To put the file there by hand, get it on a machine that can reach the network and copy it:
      from    https://host/a.pth
      to      a.pth
      sha256  ab12
    """
    first, *others = urls
    lines = [
        "To put the file there by hand, get it on a machine that can reach the network and copy it:",
        f"  from    {first}",
        *(f"  or      {url}" for url in others),
        f"  to      {target}",
        f"  sha256  {sha256}",
    ]
    return "\n".join(lines)
