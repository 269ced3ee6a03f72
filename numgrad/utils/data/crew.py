"""The worker processes of one iterator: started, watched, and ended, whatever happens."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import threading
import time
import weakref
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any

from numgrad.errors import warn
from numgrad.utils.data.messages import Receiver
from numgrad.utils.data.worker import END, LOOK_SECONDS, Job, run

_PATIENCE = 5.0  # seconds for all workers together to finish what they are at

_crews: weakref.WeakSet[Crew] = weakref.WeakSet()


class Crew:
    """As many processes as the job says, each with a pipe of its own."""

    def __init__(self, context: Any, job: Job) -> None:
        self._pid = os.getpid()
        self._processes: list[Any] = []
        self._connections: list[Connection] = []
        self._receivers: list[Receiver] = []
        self._open: set[int] = set()  # workers that are expected to answer
        self.is_stopped = False
        _crews.add(self)
        try:
            for worker_id in range(job.num_workers):
                self._start(context, job, worker_id)
        except BaseException:
            self.stop()
            raise

    def _start(self, context: Any, job: Job, worker_id: int) -> None:
        ours, theirs = context.Pipe()
        self._connections.append(ours)
        self._receivers.append(Receiver(ours))
        # What a fork copies keeps pipes open that others wait to see closed.
        forks = context.get_start_method() == "fork"
        copied = [receiver for crew in _crews for receiver in crew._receivers] if forks else []
        process = context.Process(
            target=run,
            args=(job, worker_id, theirs, copied),
            name=f"DataLoader worker {worker_id}",
            daemon=True,
        )
        try:
            with _interrupts_later():
                process.start()
                self._processes.append(process)
                self._open.add(worker_id)
        except (TypeError, AttributeError, pickle.PicklingError):
            warn(
                "Got pickle error when attempting to start a worker Process. This might be because the worker Process "
                "arguments are not picklable. Python 3.14+ changed the multiprocessing start method in non-Mac POSIX "
                "platforms to 'forkserver', which requires the worker Process arguments to be picklable. You can also try "
                "multiprocessing.set_start_method('fork')."
            )
            raise
        finally:
            theirs.close()

    def give(self, worker_id: int, task: Any) -> None:
        """Send a task to a worker. To one that is gone it is not sent, which `answers` will tell."""
        self._send(worker_id, pickle.dumps(task))

    def _send(self, worker_id: int, data: bytes) -> None:
        try:
            self._connections[worker_id].send_bytes(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def dismiss(self, worker_id: int) -> None:
        """Let a worker end; nothing more is expected of it."""
        self._open.discard(worker_id)
        self._receivers[worker_id].close()

    def answers(self, timeout: float) -> list[tuple[int, Any]]:
        """Wait at most ``timeout`` seconds, or for ever where it is 0; pairs of a worker and its message, or none.

        Raises
        ------
        RuntimeError
            A worker has died.
        """
        deadline = time.monotonic() + timeout
        while True:
            seconds = max(min(LOOK_SECONDS, deadline - time.monotonic()), 0) if timeout else LOOK_SECONDS
            by_connection = {self._connections[worker_id]: worker_id for worker_id in sorted(self._open)}
            ready = wait([*by_connection], seconds)
            if ready:
                return [self._received(by_connection[connection]) for connection in ready]  # type: ignore[index]
            self._check_alive(self._open)
            if timeout and time.monotonic() >= deadline:
                return []

    def _received(self, worker_id: int) -> tuple[int, Any]:
        try:
            return worker_id, self._receivers[worker_id].receive()
        except (EOFError, ConnectionResetError):
            self._processes[worker_id].join(LOOK_SECONDS)
            self._check_alive([worker_id])
            raise RuntimeError(f"{_name([self._processes[worker_id]])} closed its pipe") from None

    def _check_alive(self, worker_ids: Iterable[int]) -> None:
        dead = [self._processes[each] for each in sorted(worker_ids) if not self._processes[each].is_alive()]
        if dead:
            raise RuntimeError(f"{_name(dead)} exited unexpectedly{_reasons(dead)}")

    def stop(self) -> None:
        """End all workers: those that do not within some seconds are killed. In the child of a fork they are another's."""
        if self.is_stopped:
            return
        self.is_stopped = True
        if self._pid != os.getpid():
            for receiver in self._receivers:
                receiver.close()
            return
        try:
            for worker_id, receiver in enumerate(self._receivers):
                if worker_id in self._open:
                    self._send(worker_id, END)  # the pipe may be open in a process that the program has forked
                receiver.close()
            deadline = time.monotonic() + _PATIENCE
            for process in self._processes:
                process.join(max(deadline - time.monotonic(), 0))
        finally:
            for process in self._processes:
                if process.is_alive():
                    process.kill()
                process.join()


def _name(processes: list[Any]) -> str:
    return f"DataLoader worker (pid(s) {', '.join(str(each.pid) for each in processes)})"


def _reasons(processes: list[Any]) -> str:
    """By which signals they died, if by any: the system kills with SIGKILL where memory runs out."""
    names = []
    for process in processes:
        if process.exitcode is not None and process.exitcode < 0:
            with contextlib.suppress(ValueError):
                names.append(signal.Signals(-process.exitcode).name)
    return f": killed by {', '.join(names)}" if names else ""


@contextlib.contextmanager
def _interrupts_later() -> Iterator[None]:
    """Keep Ctrl-C waiting for the moment in which a process is started.

    In this process it would lose sight of the new one, and there it would be answered before that one has its own way to do
    so. The mask is for a spawned process, the handler for this one, whose other threads may take the signal.
    """
    came: list[tuple[int, FrameType | None]] = []
    handler = signal.getsignal(signal.SIGINT)
    defers = callable(handler) and threading.current_thread() is threading.main_thread()
    masks = hasattr(signal, "pthread_sigmask")
    before: Any = signal.pthread_sigmask(signal.SIG_BLOCK, ()) if masks else ()
    try:
        if defers:
            signal.signal(signal.SIGINT, lambda number, frame: came.append((number, frame)))
        if masks:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        yield
    finally:
        if masks:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if defers:
            signal.signal(signal.SIGINT, handler)
        if came and callable(handler):
            handler(*came[-1])
