"""The pool's Python half: worker threads are started, counted, dismissed at exit and around a fork.

Workers start at the first launch that is worth splitting. They are threads of the operating system, each in one compiled
function, and Python does not know them (`workers`). ``docs/threads.md`` says why this module is safe.
"""

from __future__ import annotations

import atexit
import ctypes
import logging
import os
import threading
import time
from collections.abc import Callable

import numpy as np

from numgrad import config
from numgrad.runtime import kernel as kernels
from numgrad.runtime import locks, pool, wait, workers
from numgrad.runtime.cpus import available_cpus
from numgrad.runtime.objects import words_for_ever

_log = logging.getLogger("numgrad.threads")
MOST_THREADS = 1024
# How long an idle thread spins before it sleeps: about the cost of sleeping and waking in a virtual machine, and longer than the
# Python code between two launches.
_SPIN_SECONDS = 100e-6

_block = np.zeros((pool.POOL_BYTES + pool.LINE) // 8, np.int64)
ctypes.pythonapi.Py_IncRef(ctypes.py_object(_block))  # never freed: at exit a daemon thread may still be in a launch
ADDRESS = -(-_block.ctypes.data // pool.LINE) * pool.LINE  # of the pool's words, for the whole life of the process
_words = _block[(ADDRESS - _block.ctypes.data) // 8 :][: pool.POOL_BYTES // 8]
_lock = locks.awaited()
_tasks, _ = words_for_ever(MOST_THREADS * pool.TASK_WORDS)
_tasks = _tasks.reshape(MOST_THREADS, pool.TASK_WORDS)  # of each worker, by its index
_count = 0
_spins = 0
_leaving = False  # the interpreter is leaving: no thread may be started any more
_COMPILED = (pool.spin, pool.dismiss, pool.work, workers.start, workers.join)
count_listeners: list[Callable[[], None]] = []  # called after the number of threads has changed
ready = False  # whether the workers run; read without the lock before each launch that splits


def get_num_threads() -> int:
    """Threads that a launch may use, the calling one included: NUMGRAD_NUM_THREADS, or as many as there are CPUs for this process.

    Raises
    ------
    ValueError
        NUMGRAD_NUM_THREADS is not a number of threads.

    >>> import numgrad as ng
    >>> ng.get_num_threads() >= 1
    True
    """
    global _count
    if not _count:
        if problem := config.NUM_THREADS.problem():
            raise ValueError(problem)
        text = config.NUM_THREADS().strip()
        _count = int(text) if text else min(available_cpus(), MOST_THREADS)
    return _count


def set_num_threads(count: int) -> None:
    """Use ``count`` threads from the next launch on. Results do not change: they have the same bits for any count.

    Raises
    ------
    ValueError
        ``count`` is not a number of threads.

    >>> import numgrad as ng
    >>> before = ng.get_num_threads()
    >>> ng.set_num_threads(1)
    >>> ng.get_num_threads()
    1
    >>> ng.set_num_threads(before)
    """
    global _count
    if type(count) is not int or not 1 <= count <= MOST_THREADS:
        raise ValueError(f"set_num_threads: count is {count!r}, expected an int from 1 to {MOST_THREADS}")
    with _lock:
        changed = count != _count
        if changed:
            stop()
            _count = count
    if changed:
        for listener in count_listeners:
            listener()


def start() -> None:
    """Start the workers unless they run. Called before a launch that may split."""
    global ready
    if kernels.rehearsal is not None:
        for native in _COMPILED:
            native.address()
        ready = True
    while not (ready or _leaving):
        worker_count = get_num_threads() - 1
        if worker_count:  # compiled without the lock, so that locks are always taken in one order (see `build`)
            _calibrate()
            for native in _COMPILED:
                native.address()
        with _lock:
            if not (ready or _leaving) and worker_count == get_num_threads() - 1:
                _start(worker_count)


def _start(worker_count: int) -> None:
    global ready
    stop()  # leftovers of an interrupted start or stop
    generation = int(_words[pool.GENERATION // 8])
    _words[pool.SPINS // 8] = _spins
    _words[pool.SYSTEM // 8 :][: wait.SYSTEM_WORDS] = wait.SYSTEM
    for index in range(1, worker_count + 1):
        task = _tasks[index]
        task[1:] = ADDRESS, index, generation
        error = _called(workers.start, 3)(workers.SYSTEM, pool.work.address(), task.ctypes.data)
        if error:  # no room for its stack, or the user's limit of threads is reached
            _log.warning("launches use %d threads, expected %d: %s", index, worker_count + 1, os.strerror(error))
            worker_count = index - 1
            break
    _words[pool.THREADS // 8] = worker_count
    _words[pool.READY // 8] = ready = True


def stop() -> None:
    """Dismiss the workers and wait until they are gone; each finishes its chunk."""
    global ready
    with _lock:
        _words[pool.READY // 8] = ready = False
        running = np.flatnonzero(_tasks[:, workers.HANDLE])
        if not len(running):
            return
        _words[pool.THREADS // 8] = 0
        _called(pool.dismiss, 1)(ADDRESS)
        for index in running:
            _called(workers.join, 2)(workers.SYSTEM, _tasks[index].ctypes.data)


def _called(native: kernels.Native, arity: int) -> Callable[..., int]:
    """A compiled function over words, which runs without the GIL."""
    return ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * arity)(native.address())


def _calibrate() -> None:
    """Find the turns of a spin loop in `_SPIN_SECONDS`: a pause takes from 5 to 50 ns, depending on the CPU."""
    global _spins
    if _spins:
        return
    turns = 1000
    run = _called(pool.spin, 1)
    seconds = []
    for _ in range(3):
        begin = time.perf_counter()
        run(turns)
        seconds.append(time.perf_counter() - begin)
    _spins = max(100, min(100_000, round(turns * _SPIN_SECONDS / max(min(seconds), 1e-9))))


# ---- exit and fork ----------------------------------------------------------------------------------------------


def _leave() -> None:
    """At exit: no worker may return from compiled code into an interpreter that is shutting down."""
    global _leaving
    with _lock:
        stop()
        _leaving = True


class _Origin(threading.local):
    """How the process began, if its first thread was not the main one of its parent."""

    is_aside = False  # of the fork under way
    end: _End | None = None


class _End:
    """Dismisses the workers when its thread ends."""

    def __del__(self) -> None:
        stop()


_origin = _Origin()


def _before_fork() -> None:
    # A fork copies only the thread that calls it. Without workers there is nothing to lose; they start again, in parent
    # and child, at the next launch that splits.
    stop()
    _origin.is_aside = threading.current_thread() is not threading.main_thread()


def _after_fork_in_child() -> None:
    global ready
    if _origin.is_aside:  # the child runs nothing at exit: it ends with its last thread, which must not be a worker
        _origin.end = _End()
    ready = False
    _tasks[:] = 0
    _words[:] = 0  # another thread of the parent may have held the pool


atexit.register(_leave)
locks.at_fork(before=_before_fork, in_child=_after_fork_in_child)
