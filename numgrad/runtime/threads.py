"""The pool's Python half: worker threads are started, counted, dismissed at exit and around a fork.

Workers start at the first launch that is worth splitting. They are threads of the operating system's, each in one compiled
function, that Python knows nothing of (`workers`). ``docs/threads.md`` says why what happens here is safe.
"""

from __future__ import annotations

import atexit
import ctypes
import logging
import os
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
# How long an idle thread spins before it sleeps: about what sleeping and waking costs, and longer than the Python code
# between two launches.
_SPIN_SECONDS = 50e-6

_block = np.zeros((pool.POOL_BYTES + pool.LINE) // 8, np.int64)
ctypes.pythonapi.Py_IncRef(ctypes.py_object(_block))  # never freed: at exit a daemon thread may still be in a launch
ADDRESS = -(-_block.ctypes.data // pool.LINE) * pool.LINE  # of the pool's words, for the whole life of the process
_words = _block[(ADDRESS - _block.ctypes.data) // 8 :][: pool.POOL_BYTES // 8]
_lock = locks.awaited()
_tasks, _ = words_for_ever(MOST_THREADS * pool.TASK_WORDS)
_tasks = _tasks.reshape(MOST_THREADS, pool.TASK_WORDS)  # of each worker, by its index
_count = 0
_spins = 0
_leaving = False  # the interpreter is: no thread may be started any more
_COMPILED = (pool.spin, pool.dismiss, pool.work, workers.start, workers.join)
count_listeners: list[Callable[[], None]] = []  # called after the number of threads has changed
ready = False  # whether the workers are there; read without the lock before each launch that splits


def get_num_threads() -> int:
    """Threads that a launch may use, the calling one included.

    Raises
    ------
    ValueError
        NUMGRAD_NUM_THREADS is not a number of threads.
    """
    global _count
    if not _count:
        text = config.NUM_THREADS().strip()
        if text and not (text.isdecimal() and 1 <= int(text) <= MOST_THREADS):
            raise ValueError(f"NUMGRAD_NUM_THREADS is {text!r}, expected an integer from 1 to {MOST_THREADS}")
        _count = int(text) if text else min(available_cpus(), MOST_THREADS)
    return _count


def set_num_threads(count: int) -> None:
    """Use ``count`` threads from the next launch on. Results do not change: they have the same bits for any count.

    Raises
    ------
    ValueError
        ``count`` is not a number of threads.
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
    """Start the workers if they are not there. Called before a launch that may split."""
    global ready
    if kernels.rehearsal is not None:
        for native in _COMPILED:
            native.address()
        ready = True
    while not (ready or _leaving):
        wanted = get_num_threads() - 1
        if wanted:  # compiled without the lock, so that locks are always taken in one order (see `build`)
            _calibrate()
            for native in _COMPILED:
                native.address()
        with _lock:
            if not (ready or _leaving) and wanted == get_num_threads() - 1:
                _start(wanted)


def _start(wanted: int) -> None:
    global ready
    stop()  # what an interrupted start or stop has left
    generation = int(_words[pool.GENERATION // 8])
    _words[pool.SPINS // 8] = _spins
    _words[pool.SYSTEM // 8 :][: wait.SYSTEM_WORDS] = wait.SYSTEM
    for index in range(1, wanted + 1):
        task = _tasks[index]
        task[1:] = ADDRESS, index, generation
        error = _called(workers.start, 3)(workers.SYSTEM, pool.work.address(), task.ctypes.data)
        if error:  # no room for its stack, or the user has as many as may be
            _log.warning("launches use %d threads, expected %d: %s", index, wanted + 1, os.strerror(error))
            wanted = index - 1
            break
    _words[pool.THREADS // 8] = wanted
    _words[pool.READY // 8] = ready = True


def stop() -> None:
    """Dismiss the workers and wait until they are gone; each finishes the chunk that it is at."""
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
    """At exit: no worker may come back from compiled code into an interpreter that is being taken down."""
    global _leaving
    with _lock:
        stop()
        _leaving = True


def _after_fork_in_child() -> None:
    global ready
    ready = False
    _tasks[:] = 0
    _words[:] = 0  # another thread of the parent may have held the pool


atexit.register(_leave)
# A fork copies only the thread that calls it. Without workers there is nothing to lose; they start again, in parent and
# child, at the next launch that splits.
locks.at_fork(before=stop, in_child=_after_fork_in_child)
