"""`choose`: whether the weights of ``numgrad train-step`` come from a checkpoint or from the seed."""

from __future__ import annotations

import _thread
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from numgrad import config, weights
from numgrad.runtime import locks
from numgrad.weights import Policy, WeightsError

# `auto` can fall back on random weights, so it does not wait long.
HASTY = Policy(connect_timeout=3.0, read_timeout=10.0, tries=1)
_REACH_SECONDS = 2.0


@dataclass(frozen=True)
class Choice:
    """The checkpoint to load, or None for weights from the seed, and the reason for that."""

    path: Path | None
    reason: str = ""


def choose(text: str, model: str) -> Choice:
    """The choice for ``--weights``, which is 'auto', 'imagenet', 'random', or a file's name.

    Raises
    ------
    WeightsError
        The pretrained weights of 'imagenet' cannot be fetched.
    FileNotFoundError, IsADirectoryError
        There is no such file.

    >>> choose("random", "resnet18")
    Choice(path=None, reason='')
    """
    if text == "random":
        return Choice(None)
    if text == "imagenet":
        return Choice(weights.fetch(model))
    if text == "auto":
        return _automatic(model)
    path = Path(text)
    if path.is_dir():
        raise IsADirectoryError(f"--weights {text}: this is a folder, expected a checkpoint's file")
    if not path.exists():
        raise FileNotFoundError(
            f"--weights {text}: there is no such file (and it is none of the words auto, imagenet and random)"
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
    """Whether the server of a URL, or the proxy before it, accepts a connection within ``seconds``.

    The connection is made in a thread: the look-up of a name can take half a minute, whatever the socket's timeout.

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
        # `threading` would wait for the thread to begin, for ever if that fails for lack of memory.
        _thread.start_new_thread(knock, ())
    except RuntimeError:  # the system has no thread left
        return False
    at_work.acquire(timeout=seconds)
    return bool(answers)
