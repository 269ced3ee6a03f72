"""How the ranks of a run end: together. One that fails ends all; one that leaves is missed by those who wait for it.

An exception that nobody catches aborts the run: the others would wait for ever for what this rank does not send. A rank that
leaves in another way (``sys.exit``, the end of its program) tells all others how much it has taken part in, and stays until
they leave as well. Who waits for it in anything else raises. A rank that is killed is the launcher's to notice.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Any

_LEFT = 1  # the tag of a farewell
_PAUSE = 1e-3
_GRACE = 5.0  # seconds that a message of a rank that has left may still be on its way
_READING = 0.2  # seconds in which a launcher reads what ranks have printed; it drops the rest when the run is aborted


def abort(mpi: Any) -> None:
    """End all ranks, after what this one has printed was read."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
        time.sleep(_READING)
    finally:
        mpi.COMM_WORLD.Abort(1)


class Company:
    """The ranks of a run, as seen by one of them.

    ``begun`` has for each group, by its name, how many times this rank has taken part in something that all do together.
    """

    def __init__(self, mpi: Any) -> None:
        self.begun: Counter[str] = Counter()
        self._mpi = mpi
        self._comm = mpi.COMM_WORLD.Dup()
        self._gone: dict[int, tuple[float, dict[str, int]]] = {}  # by rank: when its farewell was seen, its ``begun``
        self._process = os.getpid()
        self._is_over = False
        self._hook = sys.excepthook
        sys.excepthook = self._failed
        atexit.register(self.leave)

    def check(self, name: str, ranks: Sequence[int], group: str, number: int | None) -> None:
        """Refuse to wait on for ranks that have left.

        Parameters
        ----------
        name
            The function that waits, for the message.
        ranks
            Those that it waits for.
        group, number
            It is what the ranks of this group do together for the ``number``-th time; None: a message between two.

        Raises
        ------
        RuntimeError
            One of them has left before.
        """
        self._hear()
        for rank in ranks:
            if rank in self._gone:
                seen, begun = self._gone[rank]
                is_missed = time.monotonic() - seen > _GRACE if number is None else begun.get(group, 0) < number
                if is_missed:
                    raise RuntimeError(f"{name}: rank {rank} has left the run, and is waited for in vain")

    def _hear(self) -> None:
        """Take the farewells that have come."""
        status = self._mpi.Status()
        while self._comm.Iprobe(self._mpi.ANY_SOURCE, _LEFT, status):
            text = bytearray(status.Get_count(self._mpi.BYTE))
            self._comm.Recv([text, self._mpi.BYTE], status.Get_source(), _LEFT)
            self._gone[status.Get_source()] = time.monotonic(), json.loads(text)

    def leave(self) -> None:
        """Tell the others, and wait until they leave."""
        if self._is_over or os.getpid() != self._process:
            return
        self._is_over = True
        atexit.unregister(self.leave)
        others = [rank for rank in range(self._comm.Get_size()) if rank != self._comm.Get_rank()]
        text = json.dumps(self.begun).encode()
        farewells = [self._comm.Isend([text, self._mpi.BYTE], rank, _LEFT) for rank in others]
        while not (self._mpi.Request.Testall(farewells) and len(self._gone) == len(others)):
            time.sleep(_PAUSE)
            self._hear()
        if sys.excepthook == self._failed:  # else somebody has put another one before it
            sys.excepthook = self._hook
        self._comm.Free()

    def _failed(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """The hook for exceptions that nobody catches."""
        if self._is_over or os.getpid() != self._process:
            self._hook(kind, error, trace)
            return
        self._is_over = True
        try:
            sys.stderr.write(f"rank {self._comm.Get_rank()} of {self._comm.Get_size()} ends the run:\n")
            self._hook(kind, error, trace)
        finally:
            abort(self._mpi)
