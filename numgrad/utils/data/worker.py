"""The worker process of a loader: it fetches what it is told to, until it is told to end or its loader is gone."""

from __future__ import annotations

import os
import pickle
import queue
import random as python_random
import signal
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from numgrad.runtime.threads import set_num_threads
from numgrad.tensor import random
from numgrad.utils.data.fetch import Fetch, fetcher
from numgrad.utils.data.messages import Receiver, Sender

__all__ = ["WorkerInfo", "get_worker_info"]

LOOK_SECONDS = 5.0  # after which either side looks whether the other is alive, should the pipe not tell
END = b"end"  # the last task, and no pickle


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """What a worker process knows of itself; see `get_worker_info`.

    ``id`` is from 0 to ``num_workers - 1``, ``seed`` that of numgrad's and Python's random numbers in it, ``dataset`` its own
    copy. ``rng`` and ``worker_method`` are always the same: workers are processes.
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any
    rng: None = None
    worker_method: str | None = "multiprocessing"


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """In a worker process of a `DataLoader` what it knows of itself, elsewhere None.

    >>> from numgrad.utils.data import get_worker_info
    >>> get_worker_info() is None
    True
    """
    return _info


@dataclass(frozen=True)
class Job:
    """What all workers of a loader do."""

    dataset: Any
    streams: bool
    batches: bool
    collate_fn: Callable[[Any], Any]
    drop_last: bool
    base_seed: int
    init_fn: Callable[[int], Any] | None
    num_workers: int

    def fetcher(self) -> Fetch:
        """A function from indices to a batch; a stream begins anew."""
        return fetcher(self.dataset, self.streams, self.batches, self.collate_fn, self.drop_last)


class Ended:
    """A worker's answer when its stream has ended."""


class Again:
    """To a worker: another pass begins. It answers with the same."""


class Failure:
    """An exception of a worker's as it is sent to the loader: its class, and the text of its traceback."""

    def __init__(self, error: BaseException, where: str) -> None:
        self.kind = type(error)
        self.text = "".join(traceback.format_exception(error))
        self.where = where

    def reraise(self) -> None:
        """Raise an exception of the same class that says where it comes from, or a RuntimeError if the class takes no text."""
        message = f"Caught {self.kind.__name__} {self.where}.\nOriginal {self.text}"
        error: BaseException
        try:
            if self.kind is KeyError:
                error = KeyError(_Lines(message))
            elif getattr(self.kind, "message", None):
                error = self.kind(message=message)  # type: ignore[call-arg]
            else:
                error = self.kind(message)
        except Exception:  # whatever that class's own code raises for these arguments
            raise RuntimeError(message) from None
        raise error


class _Lines(str):
    """A text whose ``repr`` is the text, since a KeyError shows that of its argument."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def run(job: Job, worker_id: int, connection: Connection, copied: list[Receiver]) -> None:
    """The whole life of a worker process. ``copied`` are the loader's ends of pipes, of which a fork has made copies."""
    for receiver in copied:
        receiver.close()  # or no worker would notice when the loader closes them
    _leave_interrupts_to_the_loader()
    tasks: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(connection, tasks, os.getppid()), daemon=True).start()
    sender = Sender(connection)
    try:
        _work(job, worker_id, tasks, sender)
    except (BrokenPipeError, ConnectionResetError):
        pass  # the loader is gone, or does not want the rest


def _leave_interrupts_to_the_loader() -> None:
    # Ctrl-C reaches all processes of a terminal. The loader's raises, and ends the workers as it is let go. A handler of
    # Python's, unlike SIG_IGN, is not inherited by programs that a dataset may start.
    signal.signal(signal.SIGINT, lambda *_: None)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _read(connection: Connection, tasks: queue.SimpleQueue[bytes | None], parent_pid: int) -> None:
    """Take tasks from the pipe at once, so that the loader never waits for a worker that is waiting for it."""
    try:
        while True:
            if connection.poll(LOOK_SECONDS):
                task = connection.recv_bytes()
                if task == END:
                    break
                tasks.put(task)
            elif os.getppid() != parent_pid:
                break
    except (EOFError, OSError):
        pass  # closed by the loader, or by its end
    tasks.put(None)
    time.sleep(2 * LOOK_SECONDS)
    os._exit(1)  # still at work on a batch that nobody will take


def _work(job: Job, worker_id: int, tasks: queue.SimpleQueue[bytes | None], sender: Sender) -> None:
    global _info
    set_num_threads(1)
    seed = job.base_seed + worker_id
    python_random.seed(seed)
    random.manual_seed(seed)
    np.random.seed(_numpy_seed(job.base_seed, worker_id))
    _info = WorkerInfo(worker_id, job.num_workers, seed, job.dataset)
    where = f"in DataLoader worker process {worker_id}"
    fetch: Fetch | None = None
    failure: Failure | None = None
    try:
        if job.init_fn is not None:
            job.init_fn(worker_id)
        fetch = job.fetcher()
    except Exception as error:  # the user's code; sent in the place of the first batch
        failure = Failure(error, where)
    while (task := tasks.get()) is not None:
        number: int | None = None
        answer: Any
        try:
            number, index = pickle.loads(task)
            if isinstance(index, Again):
                answer, failure = index, None
                fetch = job.fetcher()
            elif failure is not None:
                answer, failure = failure, None
            elif fetch is None:
                raise RuntimeError(f"the worker failed to begin, {where}")
            else:
                answer = fetch(index)
            sender.send((number, answer))
        except StopIteration as error:
            sender.send((number, Ended() if job.streams else Failure(error, where)))
        except (BrokenPipeError, ConnectionResetError):
            raise
        except Exception as error:  # the user's code, or a batch that cannot be pickled
            _send_failure(sender, number, Failure(error, where))
        del task
        answer = None  # the memory is free while the next batch is made


def _send_failure(sender: Sender, number: int | None, failure: Failure) -> None:
    try:
        sender.send((number, failure))
    except (pickle.PicklingError, AttributeError, TypeError):  # a class that the loader could not find
        failure.where, failure.kind = f"{failure.where} ({failure.kind.__qualname__})", RuntimeError
        sender.send((number, failure))


def _numpy_seed(base_seed: int, worker_id: int) -> np.ndarray:
    """Four words, as torch seeds NumPy in its workers: neighbouring seeds give streams that have nothing in common."""
    words = [worker_id, base_seed & 0xFFFFFFFF, base_seed >> 32, 0]
    return np.random.SeedSequence(words).generate_state(4)
