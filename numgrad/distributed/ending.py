"""How the ranks of a run end: together. One that fails ends all; one that leaves is missed by those who wait for it.

An exception that nobody catches aborts the run: the others would wait for ever for what this rank does not send. A rank that
leaves in another way (``sys.exit``, the end of its program) tells all others, and stays until they leave as well. Who waits
for it meanwhile raises. A rank that is killed is the launcher's to notice.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
from types import TracebackType
from typing import Any

_LEFT = 1  # the tag of a farewell
_PAUSE = 1e-3


class Company:
    """The ranks of a run, as seen by one of them."""

    def __init__(self, mpi: Any) -> None:
        self._mpi = mpi
        self._comm = mpi.COMM_WORLD.Dup()
        self._process = os.getpid()
        self._is_over = False
        self._hook = sys.excepthook
        sys.excepthook = self._failed
        atexit.register(self.leave)

    def check(self, name: str) -> None:
        """Refuse to wait on, if a rank has left.

        Raises
        ------
        RuntimeError
            A rank has left, and ``name`` waits for all.
        """
        status = self._mpi.Status()
        if self._comm.Iprobe(self._mpi.ANY_SOURCE, _LEFT, status):
            raise RuntimeError(f"{name}: rank {status.Get_source()} has left the run, and is waited for in vain")

    def leave(self) -> None:
        """Tell the others, and wait until they leave."""
        if self._is_over or os.getpid() != self._process:
            return
        self._is_over = True
        atexit.unregister(self.leave)
        others = [rank for rank in range(self._comm.Get_size()) if rank != self._comm.Get_rank()]
        farewells = [self._comm.Isend(b"", rank, _LEFT) for rank in others]
        farewells += [self._comm.Irecv(bytearray(1), rank, _LEFT) for rank in others]
        while not self._mpi.Request.Testall(farewells):
            time.sleep(_PAUSE)
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
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            self._mpi.COMM_WORLD.Abort(1)
