"""`Recording`: the launches of a stretch of code, which one compiled loop can run again.

Every number is computed by a launch, so the list of launches with their addresses is the whole computation. A replay
reads the present contents of its inputs and writes the same memory as the recorded run: the same inputs give the same
bits. Recordings are the base of compiled training steps, and they test that nothing computes without a launch.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from numgrad.engine import dispatch, private
from numgrad.engine.tape import TensorBase
from numgrad.registry import find
from numgrad.runtime import locks, memory, program, threads
from numgrad.runtime.host import HostCall
from numgrad.runtime.scope import Scope

_recordings: weakref.WeakSet[Recording] = weakref.WeakSet()


def _moved(old: TensorBase, new: TensorBase) -> None:
    for recording in list(_recordings):
        recording.moved(old, new)


private.listeners.append(_moved)


def _end_those_of_other_threads() -> None:
    """End the recordings of other threads in the child of a fork, where new threads may get the numbers of the old ones."""
    for recording in list(_recordings):
        if recording._thread not in (None, threading.get_ident()):
            recording._thread = None
            recording._withdraw()


locks.at_fork(_end_those_of_other_threads)


class Recording(Scope):
    """A context that records the launches of this thread, independently of other recordings.

    The recording keeps all memory that it saw alive, so its addresses stay valid as long as the recording exists.

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
        super().__init__()
        self.names: list[str] = []  # of the kernels, in the order of their launches
        self._status = np.zeros(1, np.int64)
        # In their order: launches as `bound_launches` gives them, and calls of the host.
        self._bound: list[tuple[int, np.ndarray, int, int, int] | Callable[[], int]] = []
        self._stretches: list[np.ndarray | Callable[[], int]] | None = None
        self._alive: list[Any] = []
        self._mirrors: list[tuple[TensorBase, TensorBase]] = []
        self._thread: int | None = None  # the thread that is being recorded
        _recordings.add(self)

    def __enter__(self) -> Recording:
        if self._thread is not None:
            raise RuntimeError("Recording: it is recording already; what is inside it takes another Recording()")
        self._stretches = None
        try:
            self._thread = threading.get_ident()
            program.observe(self)
            dispatch.recorders.append(self)
            memory.keep_new(self._alive)
            self._undo = ((self, "_thread", None), self._undo, self._withdraw)
        except BaseException:
            self._thread = None
            self._withdraw()
            raise
        return self

    def _withdraw(self) -> None:
        """Stop all reports to this recording."""
        memory.stop_keeping(self._alive)
        if self in dispatch.recorders:
            dispatch.recorders.remove(self)
        program.stop_observing(self)

    def launched(self, launched: program.Program | HostCall, addresses: tuple[int, ...]) -> None:
        """Called by the launch door after each program."""
        if self._thread is None:  # an interrupt kept the context from being left
            self._withdraw()
            return
        if isinstance(launched, HostCall):
            self._bound.append(functools.partial(launched.run, addresses))
        else:
            self._bound += launched.bound_launches(addresses, self._status.ctypes.data)
        self._alive.append(launched)
        self.names += launched.names()

    def applied(self, op: Any, inputs: tuple[Any, ...], outputs: list[Any], plan: Any, params: Any) -> None:
        """Called by dispatch after each op: keep the memory that existed before the recording, too."""
        if self._thread == threading.get_ident():
            self._alive += [tensor._storage for tensor in inputs if tensor is not None]

    def moved(self, old: TensorBase, new: TensorBase) -> None:
        """Called for a tensor whose private layout has ended: the recorded launches still use its old memory."""
        if any(storage is old._storage for storage in self._alive):
            self._mirrors.append((old, new))

    def __len__(self) -> int:
        return len(self._bound)

    def _in_stretches(self) -> list[np.ndarray | Callable[[], int]]:
        """What was recorded, with the launches between two calls of the host as one table of rows."""
        stretches: list[np.ndarray | Callable[[], int]] = []
        for is_call, several in itertools.groupby(self._bound, callable):
            if is_call:
                stretches += several  # type: ignore[arg-type]
            else:
                rows = [(entry, slots.ctypes.data, *others) for entry, slots, *others in several]  # type: ignore[misc]
                stretches.append(np.array(rows, np.int64).reshape(-1, program.LAUNCH_WORDS))
        return stretches

    def replay(self) -> None:
        """Run all launches again, in their order.

        Raises
        ------
        RuntimeError
            A kernel reported a status, such as an index out of range. Or this thread is recording: that recording would
            not see the replay's launches.
        """
        if any(recording._thread == threading.get_ident() for recording in _recordings):
            raise RuntimeError(
                "replay: this thread is recording, and a recording cannot be part of another; leave it first"
            )
        if self._stretches is None:
            self._stretches = self._in_stretches()
        self._status[0] = 0
        for old, new in self._mirrors:
            find("copy_")(old, new)
        threads.start()
        run = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 3)(program.run_bound.address())
        for stretch in self._stretches:
            if isinstance(stretch, np.ndarray):
                run(threads.ADDRESS, stretch.ctypes.data, len(stretch))
            else:
                self._status[0] = stretch() or self._status[0]
        for old, new in reversed(self._mirrors):
            find("copy_")(new, old)
        if self._status[0]:
            raise RuntimeError(f"replay: a kernel reported status {self._status[0]}")
