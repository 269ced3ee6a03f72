"""`Transfer` downloads one file from several URLs, with retries, resuming, and a hash check before the final renaming.

pooch's `HTTPDownloader` does the HTTP: proxies, certificates, redirects, streaming. This module adds what pooch lacks:
several mirrors of one file, resuming a broken download, telling temporary failures from lasting ones, refusing a body of
the wrong length before it is fetched, and files with ordinary permissions (`pooch.retrieve` leaves them at 0600). pooch
is imported when a download begins.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import re
import socket
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, TypeVar
from urllib.parse import SplitResult, urlsplit

from numgrad import files
from numgrad.weights import cache as local
from numgrad.weights.entries import Source
from numgrad.weights.errors import CacheError
from numgrad.weights.progress import Bar, make_bar

if TYPE_CHECKING:
    import requests

log = logging.getLogger("numgrad.weights")

_T = TypeVar("_T")

_CHUNK_BYTES = 1 << 18
# After a try that brought at least this much, the count of failures begins again.
_PROGRESS_BYTES = 1 << 18
_LONGEST_WAIT_SECONDS = 30.0
_LONG_URL = 60
# Answers of a server that is busy or between two states: worth another try.
_PASSING_STATUS = frozenset({408, 416, 425, 429, 500, 502, 503, 504})
_NO_WAY = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL)


@dataclass(frozen=True)
class Policy:
    """How patient a download is. `tries` limits the fruitless tries in a row; the waits between them double.

    >>> Policy(tries=3, backoff=1.0).wait(1), Policy(tries=3, backoff=1.0).wait(2)
    (1.0, 2.0)
    """

    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    tries: int = 3
    backoff: float = 1.0

    def wait(self, failures: int, retry_after: float = 0.0) -> float:
        """Seconds to wait after so many failures in a row; at least the server's `retry_after`, within reason."""
        return min(max(self.backoff * 2.0 ** (failures - 1), retry_after), _LONGEST_WAIT_SECONDS)


@dataclass(frozen=True)
class Failure:
    """One failed try and its reason. `wrong_bytes`: the download was complete, but it is a different file."""

    url: str
    reason: str
    wrong_bytes: bool = False

    def __str__(self) -> str:
        """URL and reason in one line, as messages list them. A long URL is cut to its host and the file's name.

        >>> print(Failure("https://host/" + 9 * "folder/" + "a.pth", "HTTP 404 Not Found"))
        https://host/.../a.pth: HTTP 404 Not Found
        """
        parts = _parts(self.url)
        short = f"{parts.scheme}://{parts.netloc}/.../{parts.path.rpartition('/')[2]}"
        return f"{short if len(short) < len(self.url) > _LONG_URL else self.url}: {self.reason}"


@dataclass
class Transfer:
    """The download of one `source` into `part`, which then becomes `target`. `failures` collects the failed tries."""

    source: Source
    target: Path
    part: Path
    policy: Policy = field(default_factory=Policy)
    progress: bool | None = None
    failures: list[Failure] = field(default_factory=list)

    def run(self, urls: Sequence[str]) -> bool:
        """Try each URL in turn. Returns True when `target` has the right hash, False when every URL failed.

        Raises
        ------
        CacheError
            The bytes cannot be written.
        """
        for url in urls:
            if self._from(url):
                try:
                    os.replace(self.part, self.target)
                except OSError as error:
                    raise CacheError("move the finished download to", self.target, error) from error
                return True
        return False

    def _from(self, url: str) -> bool:
        failures_in_row, most = 0, _size(self.part)
        while failures_in_row < self.policy.tries:
            start = _size(self.part)
            failed: _TryFailedError | None = None
            # A process that dies between the last byte and the renaming leaves a complete part.
            if not (start and self.source.size_exact and start == self.source.size):
                try:
                    start = self._request(url)
                except _TryFailedError as error:
                    failed = error
            if failed is None:
                if local.is_right(self.part, self.source):
                    return True
                failed = self._wrong_bytes(start)
            self._note(url, failed)
            if not failed.may_pass:
                return False
            size = _size(self.part)
            failures_in_row = 1 if size - most >= _PROGRESS_BYTES else failures_in_row + 1
            most = max(most, size)
            if failures_in_row >= (min(2, self.policy.tries) if failed.once_more else self.policy.tries):
                return False
            seconds = self.policy.wait(failures_in_row, failed.retry_after)
            log.info("%s: %s; asking again in %g s", url, failed.reason, seconds)
            time.sleep(seconds)
        return False

    def _wrong_bytes(self, start: int) -> _TryFailedError:
        size = _size(self.part)
        if not size or (self.source.size_exact and size < self.source.size):
            return _TryFailedError(f"the connection ended after {size} of {self.source.size} bytes", may_pass=True)
        reason = f"wrong bytes: SHA-256 is {local.sha256(self.part)}, expected {self.source.sha256}"
        self.part.unlink(missing_ok=True)
        # If an earlier try brought the beginning, that half may be the bad one: one download from the start is worth it.
        # If this server sent everything, it would send the same again.
        return _TryFailedError(reason, may_pass=start > 0, wrong_bytes=True)

    def _note(self, url: str, failed: _TryFailedError) -> None:
        self.failures.append(Failure(url, failed.reason, failed.wrong_bytes))
        log.debug("%s from %s: %s%s", self.source.file, url, failed.reason, failed.details)

    def _request(self, url: str) -> int:
        """Request the rest of `part` from `url` and append it. Returns the offset at which the server began."""
        import pooch  # type: ignore[import-untyped, unused-ignore]
        import requests

        with _Sink(self.part, self.source, self.progress) as sink:
            headers = {
                "User-Agent": user_agent(),
                # Lengths and offsets of a compressed answer would differ from the file's.
                "Accept-Encoding": "identity",
                **({"Range": f"bytes={sink.start}-"} if sink.start else {}),
            }
            download = pooch.HTTPDownloader(
                chunk_size=_CHUNK_BYTES,
                headers=headers,
                timeout=(self.policy.connect_timeout, self.policy.read_timeout),
                hooks={"response": sink.check},
            )
            try:
                download(url, sink, None)
            except requests.HTTPError as error:
                raise _refusal_of(error, sink) from error
            except (requests.RequestException, OSError) as error:  # errors of the disk leave the sink as CacheError
                raise failure_of(error, url, self.policy) from error
            return sink.start


class _TryFailedError(Exception):
    """One try failed. `may_pass`: another try of the same URL may work; `once_more`: it is worth only one."""

    def __init__(
        self,
        reason: str,
        *,
        may_pass: bool,
        once_more: bool = False,
        wrong_bytes: bool = False,
        retry_after: float = 0.0,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.may_pass = may_pass
        self.once_more = once_more
        self.wrong_bytes = wrong_bytes
        self.retry_after = retry_after

    @property
    def details(self) -> str:
        """The messages of the underlying libraries, for the log."""
        return "".join(f"\n  {type(each).__name__}: {each}" for each in _chain(self.__cause__))


class _Sink:
    """The file object that the downloader writes to. It continues `part` or starts it again, as the server answers."""

    def __init__(self, part: Path, source: Source, progress: bool | None) -> None:
        self.part = part
        self.source = source
        # A size in MiB may be off in its last digit. The hash decides; this limit stops an endless body.
        self.limit = source.size if source.size_exact else source.size + source.size // 100 + (1 << 20)
        self._file: IO[bytes] = self._guarded(lambda: _opened(part))
        self.start = _size(part)
        if self.start >= self.limit:
            self.start = 0
            self._guarded(lambda: self._file.truncate(0))
        self.size = self.start
        self._file.seek(self.start)
        self._bar = Bar()
        self._progress = progress
        self._response: requests.Response | None = None

    def __enter__(self) -> _Sink:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._bar.close()
        if self._response is not None:
            self._response.close()  # the downloader leaves the connection of a failed try to the garbage collector
        try:
            # Flushed to disk before the renaming: a power cut must not leave a file with holes under the final name.
            if kind is None:
                self._guarded(lambda: os.fsync(self._file.fileno()))
        finally:
            self._file.close()
            no_room = isinstance(error, CacheError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            if no_room or not self.size:
                self.part.unlink(missing_ok=True)  # half a file must not take up a full disk

    def check(self, response: requests.Response, **_: Any) -> None:
        """Check the offset and the length in the answer's headers before its body is fetched."""
        self._response = response
        if response.is_redirect or response.status_code >= 400:
            return
        total: str | None = response.headers.get("Content-Length")
        if response.status_code == 206:
            span, _slash, total = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
            if span.partition("-")[0] != str(self.start):
                self.restart()
                raise _TryFailedError(f"asked for bytes {self.start}-, got {span or 'an unnamed range'}", may_pass=True)
        elif self.start:
            log.info("%s cannot continue downloads: from the start again", response.url)
            self.restart()
        if self.source.size_exact and total and total.isdigit() and int(total) != self.source.size:
            raise _TryFailedError(f"offers {total} bytes, expected {self.source.size}", may_pass=False)
        self._bar = make_bar(self.source.file, self.source.size, self.start, show=self._progress)

    def restart(self) -> None:
        """Empty the file: the download begins again at the first byte."""
        self._guarded(lambda: self._file.truncate(0))
        self._file.seek(0)
        self.start = self.size = 0
        self._bar.reset()

    def write(self, data: bytes) -> int:
        """Append bytes; refuse more than the file can have."""
        if self.size + len(data) > self.limit:
            self.restart()
            raise _TryFailedError(f"sends more than {self.limit} bytes", may_pass=False)
        self._guarded(lambda: self._file.write(data))
        self.size += len(data)
        self._bar.update(len(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing. The downloader flushes after every chunk; lost bytes would only be fetched again."""

    def _guarded(self, action: Callable[[], _T]) -> _T:
        try:
            return action()
        except OSError as error:
            raise CacheError("write", self.part, error) from error


def _refusal_of(error: requests.HTTPError, sink: _Sink) -> _TryFailedError:
    """The failure for a server's answer with an error status."""
    response = error.response
    assert response is not None  # every error of raise_for_status has one
    if response.status_code == 416:
        sink.restart()  # the server's file is shorter than our part of it
    retry_after = response.headers.get("Retry-After", "")
    return _TryFailedError(
        f"HTTP {response.status_code} {response.reason}".rstrip(),
        may_pass=response.status_code in _PASSING_STATUS,
        retry_after=float(retry_after) if retry_after.isdigit() else 0.0,
    )


def failure_of(error: Exception, url: str, policy: Policy) -> _TryFailedError:
    """The failure for an exception of the network: a readable reason, and whether another try may help."""
    import ssl

    import requests

    contacted = _parts(getattr(getattr(error, "request", None), "url", None) or url).hostname
    host = "the host" if contacted == _parts(url).hostname else contacted  # after a redirect
    causes = list(_chain(error))

    def caused_by(*kinds: type[BaseException]) -> BaseException | None:
        return next((each for each in causes if isinstance(each, kinds)), None)

    if isinstance(error, requests.exceptions.ProxyError):
        answer = re.search(r"Tunnel connection failed: (\d+)", str(error))
        said = f"refuses: HTTP {answer[1]}" if answer else "cannot be reached"
        return _TryFailedError(f"the proxy on the way {said} (see HTTPS_PROXY, HTTP_PROXY, NO_PROXY)", may_pass=False)
    if caused_by(socket.gaierror):
        return _TryFailedError(f"{host} cannot be looked up: no network, or no such name", may_pass=False)
    if certificate := caused_by(ssl.SSLCertVerificationError):
        reason = getattr(certificate, "verify_message", "") or "it cannot be verified"
        return _TryFailedError(f"{host} has a certificate that is not accepted: {reason}", may_pass=False)
    if isinstance(error, requests.exceptions.SSLError) or caused_by(ssl.SSLError):
        return _TryFailedError(f"{host} makes no TLS connection", may_pass=False)
    if caused_by(ConnectionRefusedError):
        return _TryFailedError(f"{host} refuses the connection", may_pass=True, once_more=True)
    if isinstance(error, requests.ConnectTimeout):
        reason = f"no connection within {policy.connect_timeout:g} s"
        return _TryFailedError(reason, may_pass=True, once_more=True)
    # While the body is read, requests wraps the timeout in a ConnectionError.
    if isinstance(error, requests.ReadTimeout) or "Read timed out" in str(error):
        return _TryFailedError(f"no data for {policy.read_timeout:g} s", may_pass=True)
    if any(isinstance(each, OSError) and each.errno in _NO_WAY for each in causes):
        return _TryFailedError(f"there is no way to {host}: no network", may_pass=False)
    if isinstance(error, requests.TooManyRedirects):
        return _TryFailedError("redirects without end", may_pass=False)
    if isinstance(error, ValueError):  # InvalidURL, InvalidSchema, MissingSchema and their like
        return _TryFailedError("this is not a URL that can be requested", may_pass=False)
    return _TryFailedError("the connection broke off", may_pass=True)


def _parts(url: str) -> SplitResult:
    """The parts of a URL; a text that is not a URL becomes the path."""
    try:
        return urlsplit(url)
    except ValueError:
        return SplitResult("", "", url, "", "")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and its causes, which the underlying libraries keep in one of three attributes."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        reason = getattr(error, "reason", None)
        error = reason if isinstance(reason, BaseException) else error.__cause__ or error.__context__


def _opened(part: Path) -> IO[bytes]:
    """The part that an earlier try left, or a new file. A link is removed, and its target stays as it is: another user may
    have put it there."""
    if not _is_own(part):
        part.unlink(missing_ok=True)
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        return io.BufferedRandom(files.opened(part, flags, access="r+b"))
    except FileNotFoundError:
        return io.BufferedRandom(files.opened(part, flags | os.O_CREAT | os.O_EXCL, access="r+b"))


def _is_own(path: Path) -> bool:
    """Whether this is a regular file of this user, and no link of any kind leads to or from it."""
    try:
        facts = path.lstat()
    except OSError:
        return False
    ours = not hasattr(os, "geteuid") or facts.st_uid == os.geteuid()
    return stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1 and ours


def _size(path: Path) -> int:
    return path.lstat().st_size if _is_own(path) else 0


@cache
def user_agent() -> str:
    """The name that numgrad sends to servers; some of them refuse clients without one."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"numgrad/{version('numgrad')}"
    except PackageNotFoundError:
        return "numgrad/checkout"
