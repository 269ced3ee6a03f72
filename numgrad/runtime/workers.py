"""Threads of the operating system that run compiled code, unknown to Python.

A Python thread needs memory before its function begins, and its starter waits for it to begin: for ever, if that memory is
missing. A thread of this module needs only its stack, and the system says at once if there is none.

A thread is started with a *task*: the word HANDLE, which is 0 while there is no such thread, and the words that its function
reads. `start` and `join` are a compiled call each, so that Ctrl-C cannot come between the system's call and the word that
records it. ``system`` is the address of a few words for the operating system's functions.
"""

from __future__ import annotations

import ctypes
import errno
import sys

import numpy as np

from numgrad.runtime.kernel import device, native
from numgrad.runtime.objects import words_for_ever
from numgrad.runtime.words import call_system, peek, poke

HANDLE = 0
_CREATE, _JOIN, _EXTRA = 0, 8, 16  # words at ``system``
_STACK_BYTES = 8 << 20  # addresses, not memory: as for a main thread on Linux; other systems give threads much less
_FOREVER, _IS_RESERVATION, _NO_MEMORY = 0xFFFFFFFF, 0x10000, errno.ENOMEM


@device
def posix_start(system, entry, task):
    error = call_system(peek(system + _CREATE), task + HANDLE, peek(system + _EXTRA), entry, task, 0, 0) & 0xFFFFFFFF
    if error != 0:
        poke(task + HANDLE, 0)  # it may have been written all the same
    return error


@device
def posix_join(system, task):
    call_system(peek(system + _JOIN), peek(task + HANDLE), 0, 0, 0, 0, 0)


@device
def windows_start(system, entry, task):
    handle = call_system(peek(system + _CREATE), 0, _STACK_BYTES, entry, task, _IS_RESERVATION, 0)
    poke(task + HANDLE, handle)
    return 0 if handle != 0 else _NO_MEMORY


@device
def windows_join(system, task):
    call_system(peek(system + _JOIN), peek(task + HANDLE), _FOREVER, 0, 0, 0, 0)
    call_system(peek(system + _EXTRA), peek(task + HANDLE), 0, 0, 0, 0, 0)


_start, _join = (windows_start, windows_join) if sys.platform == "win32" else (posix_start, posix_join)


@native(3, returns=True)
def start(system, entry, task):
    """Start a thread that calls ``entry(task)``; 0, or the system's error, if no thread was started."""
    return _start(system, entry, task)


@native(2)
def join(system, task):
    """Wait until the thread of a task is gone, if there is one."""
    if peek(task + HANDLE) != 0:
        _join(system, task)
        poke(task + HANDLE, 0)


def _system() -> tuple[np.ndarray, int]:
    words, address = words_for_ever(32)
    if sys.platform == "win32":
        library, names = ctypes.WinDLL("kernel32"), ("CreateThread", "WaitForSingleObject", "CloseHandle")
    else:
        library, names = ctypes.CDLL(None), ("pthread_create", "pthread_join")
        attributes = words[8:].ctypes.data  # larger than any system's pthread_attr_t
        library.pthread_attr_init(ctypes.c_void_p(attributes))
        library.pthread_attr_setstacksize(ctypes.c_void_p(attributes), ctypes.c_size_t(_STACK_BYTES))
        words[_EXTRA // 8] = attributes
    for index, name in enumerate(names):
        words[index] = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
    return words, address


_words, SYSTEM = _system()
