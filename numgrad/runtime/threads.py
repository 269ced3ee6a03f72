"""The pool's Python half: worker threads are started, counted, stopped at exit and forgotten in a forked child."""

from __future__ import annotations

import atexit
import ctypes
import os
import platform
import threading

import numpy as np

from numgrad import config
from numgrad.runtime import pool

_block = np.zeros(pool.POOL_BYTES // 8 + 8, np.int64)
ADDRESS = (_block.ctypes.data + 63) // 64 * 64  # of the pool's words, for the whole life of the process
_words = _block[(ADDRESS - _block.ctypes.data) // 8 :]
_FUTEX_NUMBER = {"x86_64": 202, "aarch64": 98, "arm64": 98}
_SPINS = 2000
_lock = threading.RLock()
_workers: list[threading.Thread] = []
_count = 0
ready = False  # whether the workers are there; read without the lock before each launch that splits


def available_cpus() -> int:
    """CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def get_num_threads() -> int:
    """Threads that a launch may use, the calling one included."""
    global _count
    if not _count:
        text = config.NUM_THREADS()
        _count = int(text) if text else available_cpus()
        if _count < 1:
            raise ValueError(f"NUMGRAD_NUM_THREADS is {text!r}, expected a positive integer")
    return _count


def set_num_threads(count: int) -> None:
    """Use ``count`` threads from the next launch on. Results do not change: they have the same bits for any count."""
    global _count
    if type(count) is not int or count < 1:
        raise ValueError(f"set_num_threads: count is {count!r}, expected a positive int")
    with _lock:
        if count != _count:
            stop()
            _count = count


def start() -> None:
    """Start the workers if they are not there. Called before a launch that may split."""
    global ready
    with _lock:
        if ready:
            return
        run = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64)(pool.work_until_stopped.address())
        _words[pool.STOP // 8] = 0
        _words[pool.SPINS // 8] = _SPINS
        _words[pool.FUTEX // 8] = _FUTEX_NUMBER[platform.machine()]
        for index in range(len(_workers) + 1, get_num_threads()):
            thread = threading.Thread(target=run, args=(ADDRESS, index), name=f"numgrad-{index}", daemon=True)
            thread.start()
            _workers.append(thread)
        ready = True


def stop() -> None:
    """Stop the workers and wait until they are gone."""
    global ready
    with _lock:
        ready = False
        if not _workers:
            return
        _words[pool.STOP // 8] = 1
        ctypes.CFUNCTYPE(None, ctypes.c_int64)(pool.wake_all.address())(ADDRESS)
        for thread in _workers:
            thread.join()
        _workers.clear()


def _forget_workers_after_fork() -> None:
    global _lock, ready
    ready = False
    _lock = threading.RLock()
    _workers.clear()
    _words[: pool.POOL_BYTES // 8] = 0


atexit.register(stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_workers_after_fork)
