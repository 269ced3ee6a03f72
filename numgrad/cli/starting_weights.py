"""Where the weights of ``numgrad train-step`` come from: a checkpoint, or the seed."""

from __future__ import annotations

import _thread
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from numgrad import config, weights
from numgrad.runtime import locks
from numgrad.weights import Policy, WeightsError

# `auto` has something to fall back on, so it is not patient.
HASTY = Policy(connect_timeout=3.0, read_timeout=10.0, tries=1)
_REACH_SECONDS = 2.0


@dataclass(frozen=True)
class Choice:
    """The checkpoint to load, or None for weights from the seed, and why that is so."""

    path: Path | None
    reason: str = ""


def choose(wanted: str, model: str) -> Choice:
    """What ``--weights`` means for a model: 'auto', 'imagenet', 'random', or a file's name.

    Raises
    ------
    WeightsError
        'imagenet' cannot be had.
    FileNotFoundError, IsADirectoryError
        There is no such file.

    >>> choose("random", "resnet18")
    Choice(path=None, reason='')
    """
    if wanted == "random":
        return Choice(None)
    if wanted == "imagenet":
        return Choice(weights.fetch(model))
    if wanted == "auto":
        return _automatic(model)
    path = Path(wanted)
    if path.is_dir():
        raise IsADirectoryError(f"--weights {wanted}: this is a folder, expected a checkpoint's file")
    if not path.exists():
        raise FileNotFoundError(
            f"--weights {wanted}: there is no such file (and it is none of the words auto, imagenet and random)"
        )
    return Choice(path)


def _automatic(model: str) -> Choice:
    try:
        entry = weights.entry(model)
        if here := weights.cached_path(model):
            return Choice(here)
        if config.OFFLINE.is_set():
            return Choice(None, "no checkpoint is on this machine and NUMGRAD_OFFLINE is set")
        server = config.WEIGHTS_URL() or (entry.usable or entry.sources)[0].urls[0]
        if not reachable(server):
            return Choice(None, f"no checkpoint is on this machine and {urlsplit(server).hostname} cannot be reached")
        return Choice(weights.fetch(model, policy=HASTY))
    except WeightsError as error:
        return Choice(None, str(error).partition("\n")[0].rstrip("."))


def reachable(url: str, seconds: float = _REACH_SECONDS) -> bool:
    """Whether the server of a URL, or the proxy on the way to it, takes a connection within so many seconds.

    A name server that does not answer makes a look-up take up to half a minute, which no timeout of a socket bounds.

    >>> reachable("http://127.0.0.1:1/", seconds=1.0)
    False
    """
    import socket
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if proxy and parts.hostname and not proxy_bypass(parts.hostname):
        parts = urlsplit(proxy if "//" in proxy else f"//{proxy}", scheme="http")
    host, port = parts.hostname, parts.port or {"https": 443}.get(parts.scheme, 80)
    answers: list[bool] = []
    at_work = locks.latch()

    def knock() -> None:
        try:
            socket.create_connection((host, port), timeout=seconds).close()
            answers.append(True)
        except (OSError, UnicodeError):
            pass
        finally:
            at_work.release()

    at_work.acquire()
    try:
        # `threading` would wait until the thread has begun, for ever where it finds no memory to begin with.
        _thread.start_new_thread(knock, ())
    except RuntimeError:  # the system has no thread left
        return False
    at_work.acquire(timeout=seconds)
    return bool(answers)
