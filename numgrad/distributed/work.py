"""`Work`: communication under way, which is carried on whenever somebody waits for any of it.

MPI moves a message while a process is inside one of its functions. So what is under way is written as *steps*, generators of
`Messages`: when all messages of a step have arrived, the next step begins. `progress` looks at every work of this process,
without waiting. A waiting process does that again and again, so that no rank waits for another that waits for it.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from datetime import timedelta
from typing import Any

from numgrad.runtime import locks
from numgrad.tensor.tensor import Tensor

Steps = Generator["Messages", None, None]

_SPIN_SECONDS = 5e-3  # of looking without a pause: messages in shared memory move while both sides look
_SHORTEST, _LONGEST = 20e-6, 1e-3  # pauses between later looks; a CPU may be shared with the rank that is waited for
_CHECKED = 0.2  # seconds between looks for ranks that have left

_lock = locks.renewed()
_running: list[Work] = []


class Messages:
    """Messages that are waited for together: requests of MPI, and the tensors whose memory they read and write."""

    def __init__(self, mpi: Any, comm: Any) -> None:
        self._mpi, self._comm = mpi, comm
        self._requests: list[Any] = []
        self._statuses: list[Any] = []
        self._sizes: list[int] = []  # bytes that have to arrive; -1: no matter
        self._held: list[Any] = []
        self.sources: list[int] = []  # the ranks that they came from, when they have arrived

    def memory(self, tensor: Tensor) -> Any:
        """A contiguous tensor's memory as bytes, for MPI."""
        self._held.append(tensor)
        return [self._mpi.buffer.fromaddress(tensor._address, tensor._spec.nbytes), self._mpi.BYTE]

    def add(self, request: Any, size: int = -1) -> None:
        """Wait for this request as well."""
        self._requests.append(request)
        self._sizes.append(size)

    def send(self, tensor: Tensor, to: int, tag: int) -> None:
        """Begin to send a contiguous tensor."""
        self.add(self._comm.Isend(self.memory(tensor), to, tag))

    def receive(self, tensor: Tensor, source: int, tag: int) -> None:
        """Begin to receive into a contiguous tensor."""
        self.add(self._comm.Irecv(self.memory(tensor), source, tag), tensor._spec.nbytes)

    def have_arrived(self, name: str) -> bool:
        """Whether all messages have arrived.

        Raises
        ------
        RuntimeError
            One has another size than the tensor that waits for it, or MPI reports an error.
        """
        if len(self._statuses) != len(self._requests):
            self._statuses = [self._mpi.Status() for _ in self._requests]
        try:
            if not self._mpi.Request.Testall(self._requests, self._statuses):
                return False
        except self._mpi.Exception as error:
            raise RuntimeError(
                f"{name}: {error}; do the tensors have the same shapes and dtypes on all ranks?"
            ) from error
        for size, status in zip(self._sizes, self._statuses, strict=True):
            if size >= 0 and status.Get_count(self._mpi.BYTE) != size:
                raise RuntimeError(
                    f"{name}: {status.Get_count(self._mpi.BYTE)} bytes came from rank {status.Get_source()}, expected {size}; do "
                    "the tensors have the same shapes and dtypes on all ranks?"
                )
        self.sources = [status.Get_source() for status in self._statuses]
        return True


class Work:
    """Communication under way: the result of a function of `numgrad.distributed` with ``async_op=True``.

    Its tensors may be neither read nor changed before `wait` has returned.

    >>> import numgrad as ng
    >>> from numgrad import distributed
    >>> distributed.init_process_group("mpi")
    >>> x = ng.ones(2)
    >>> distributed.all_reduce(x, async_op=True).wait()
    True
    >>> distributed.destroy_process_group()
    """

    def __init__(
        self, name: str, group: Any, steps: Steps, tensors: Sequence[Tensor] = (), peers: Sequence[int] | None = None
    ) -> None:
        self._name, self._group, self._steps, self._tensors = name, group, steps, list(tensors)
        self._peers = group.members if peers is None else peers  # ranks of all that it waits for
        self._number = group.begin() if peers is None else None
        self._messages: Messages | None = None
        self._error: BaseException | None = None
        self._is_completed = False
        with _lock:
            self._advance()
            if not self._is_completed:
                _running.append(self)

    def _advance(self) -> None:
        try:
            while self._messages is None or self._messages.have_arrived(self._name):
                self._messages = next(self._steps)
        except StopIteration:
            self._is_completed = True
            self._messages = None
        except BaseException as error:
            self._is_completed, self._error = True, error
            raise

    def is_completed(self) -> bool:
        """Whether it is done; carries on with it, but does not wait."""
        progress()
        return self._is_completed

    def is_success(self) -> bool:
        """Whether it is done, and without an error."""
        return self._is_completed and self._error is None

    def exception(self) -> BaseException | None:
        """The error by which it ended, or None."""
        return self._error

    def result(self) -> list[Tensor]:
        """The tensors that it writes.

        Raises
        ------
        RuntimeError
            It is not done.
        """
        if not self._is_completed:
            raise RuntimeError(f"{self._name}: it is still under way; wait() first")
        return list(self._tensors)

    def wait(self, timeout: timedelta | None = None) -> bool:
        """Wait until it is done; True.

        Parameters
        ----------
        timeout
            How long to wait; None: as long as the group was told to.

        Raises
        ------
        RuntimeError
            It takes longer, a rank has left, or tensors of ranks differ in size.
        """
        if self._error is not None:
            raise self._error
        limit = (timeout or self._group.timeout).total_seconds()
        begin = checked = now = time.monotonic()
        pause = 0.0  # which gives the CPU to whoever is ready
        while not self._is_completed:
            progress()
            if self._is_completed:
                break
            time.sleep(pause)
            now = time.monotonic()
            if now - begin > _SPIN_SECONDS:
                pause = min(max(1.2 * pause, _SHORTEST), _LONGEST)
            if now - checked > _CHECKED:
                checked = now
                if self._group.company is not None:
                    self._group.company.check(self._name, self._peers, self._group.name, self._number)
                if now - begin > limit:
                    raise RuntimeError(
                        f"{self._name}: rank {self._group.rank} waited for {limit:g} s, and it was not done"
                    )
        return True


def run(name: str, group: Any, steps: Steps, tensors: Sequence[Tensor], async_op: bool) -> Work | None:
    """Begin, and wait for it unless ``async_op`` is set."""
    work = Work(name, group, steps, tensors)
    if async_op:
        return work
    work.wait()
    return None


def progress() -> None:
    """Carry on with all communication of this process, as far as messages have arrived."""
    with _lock:
        for work in tuple(_running):
            try:
                work._advance()
            finally:
                if work._is_completed:
                    _running.remove(work)


def _forget() -> None:
    """In the child of a fork: MPI is the parent's."""
    _running.clear()


locks.at_fork(_forget)
