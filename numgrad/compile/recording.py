"""`Recording`: the launches of a stretch of code, which one compiled loop can run again.

Every number comes out of the launch door, so the list of launches with their addresses is the whole computation. A
replay reads what its inputs hold now and writes the same memory as the recorded run: with the same inputs the same
bits. It is the base of compiled training steps, and the test that nothing computes outside the door.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from typing import Any

import numpy as np

from numgrad.engine import dispatch, private
from numgrad.engine.tape import TensorBase
from numgrad.registry import find
from numgrad.runtime import memory, program, threads

_recordings: weakref.WeakSet[Recording] = weakref.WeakSet()


def _moved(old: TensorBase, new: TensorBase) -> None:
    for recording in list(_recordings):
        recording.moved(old, new)


private.listeners.append(_moved)


class Recording:
    """A context that records what this thread launches; others, inside it or in other threads, record for themselves.

    The recording keeps all memory that it saw alive: its addresses stay valid as long as it does.

    >>> import numgrad as ng
    >>> x = ng.ones(3)
    >>> with ng.compile.Recording() as recording:
    ...     y = (x * 2).sum()
    >>> _ = x.fill_(5)
    >>> recording.replay()
    >>> y
    tensor(30.)
    """

    def __init__(self) -> None:
        self.names: list[str] = []  # of the kernels, in the order of their launches
        self._status = np.zeros(1, np.int64)
        self._bound: list[tuple[int, np.ndarray, int, int, int]] = []
        self._rows: np.ndarray | None = None
        self._alive: list[Any] = []
        self._mirrors: list[tuple[TensorBase, TensorBase]] = []
        self._thread: int | None = None  # that is recorded now
        _recordings.add(self)

    def __enter__(self) -> Recording:
        if self._thread is not None:
            raise RuntimeError("Recording: it is recording already; what is inside it takes another Recording()")
        self._rows = None
        self._thread = threading.get_ident()
        program.observe(self)
        dispatch.recorders.append(self)
        memory.keep_new(self._alive)
        return self

    def __exit__(self, *exception: object) -> None:
        memory.stop_keeping(self._alive)
        dispatch.recorders.remove(self)
        program.stop_observing(self)
        self._thread = None

    def launched(self, launched: program.Program, addresses: tuple[int, ...]) -> None:
        """Told by the launch door."""
        self._bound += launched.bound_launches(addresses, self._status.ctypes.data)
        self._alive.append(launched)
        self.names += launched.names()

    def applied(self, op: Any, inputs: tuple[Any, ...], outputs: list[Any]) -> None:
        """Told by dispatch: memory that was there before must stay as well."""
        if self._thread == threading.get_ident():
            self._alive += [tensor._storage for tensor in inputs if tensor is not None]

    def moved(self, old: TensorBase, new: TensorBase) -> None:
        """Told of a tensor whose private layout has ended: what was recorded goes on to use the old memory."""
        if any(storage is old._storage for storage in self._alive):
            self._mirrors.append((old, new))

    def __len__(self) -> int:
        return len(self._bound)

    def replay(self) -> None:
        """Run all launches again, in their order.

        Raises
        ------
        RuntimeError
            A kernel reported a status, such as an index out of range; or this thread is recording, which would not see
            the replay's launches.
        """
        if any(recording._thread == threading.get_ident() for recording in _recordings):
            raise RuntimeError(
                "replay: this thread is recording, and a recording cannot be part of another; leave it first"
            )
        if self._rows is None:
            rows = [
                (entry, slots.ctypes.data, work, grain, workers) for entry, slots, work, grain, workers in self._bound
            ]
            self._rows = np.array(rows, np.int64).reshape(-1, program.LAUNCH_WORDS)
        self._status[0] = 0
        for old, new in self._mirrors:
            find("copy_")(old, new)
        threads.start()
        run = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 3)(program.run_bound.address())
        run(threads.ADDRESS, self._rows.ctypes.data, len(self._rows))
        for old, new in reversed(self._mirrors):
            find("copy_")(new, old)
        if self._status[0]:
            raise RuntimeError(f"replay: a kernel reported status {self._status[0]}")
