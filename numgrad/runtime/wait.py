"""How a thread sleeps until a word changes, by operating system.

The pool needs two things. ``wait(system, address, expected, attempt)`` sleeps while the low half of the word at
``address`` is ``expected``; it may come back early, for any reason, and callers look again. ``wake(system, address,
count)`` wakes up to ``count`` sleepers and gives their number, or 0 if nobody is left asleep. ``system`` is the address
of a few words for the operating system's functions. Python finds those functions and writes their addresses there, so
compiled code needs no symbol of theirs.

=========  ==============================================  =====================================================
method     where                                           what it calls
=========  ==============================================  =====================================================
futex      Linux (glibc and musl) on 64-bit little-endian  ``syscall(SYS_futex, …)`` on the low half of the word
ulock      macOS                                           ``__ulock_wait``, ``__ulock_wake`` (what libc++ uses)
address    Windows 8 and later                             ``WaitOnAddress``, ``WakeByAddressAll``
poll       anywhere                                        ``usleep`` or ``Sleep``, 50 us to 2 ms at a time
=========  ==============================================  =====================================================

``NUMGRAD_WAIT`` forces one of them. Only ``futex`` and ``poll`` have been run by numgrad's tests so far; the other two
are a call each and fall back to ``poll`` if their function is missing.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Callable
from typing import Any

from numgrad import config
from numgrad.runtime.kernel import device
from numgrad.runtime.words import address_of_word, atomic_load, call_system

WAIT_FUNCTION, WAKE_FUNCTION, NUMBER = 0, 8, 16  # offsets of the words at ``system``
SYSTEM_WORDS = 3
EVERYBODY = 1 << 30

_WAIT_PRIVATE, _WAKE_PRIVATE = 128, 129
_UL_COMPARE_AND_WAIT, _ULF_WAKE_ALL, _ULF_NO_ERRNO = 1, 0x100, 0x1000000
_FOREVER = 0xFFFFFFFF
_FUTEX_NUMBER = {"x86_64": 202, "aarch64": 98, "arm64": 98, "riscv64": 98, "loongarch64": 98, "ppc64le": 221}
_NAP, _LONGEST_NAP = 50, 2000  # microseconds


@device
def futex_wait(system, address, expected, attempt):
    function, number = atomic_load(system + WAIT_FUNCTION), atomic_load(system + NUMBER)
    call_system(function, number, address, _WAIT_PRIVATE, expected & 0xFFFFFFFF, 0, 0)


@device
def futex_wake(system, address, count):
    function, number = atomic_load(system + WAKE_FUNCTION), atomic_load(system + NUMBER)
    return max(0, call_system(function, number, address, _WAKE_PRIVATE, count, 0, 0))


@device
def ulock_wait(system, address, expected, attempt):
    operation = _UL_COMPARE_AND_WAIT | _ULF_NO_ERRNO
    call_system(atomic_load(system + WAIT_FUNCTION), operation, address, expected & 0xFFFFFFFF, 0, 0, 0)


@device
def ulock_wake(system, address, count):
    operation = _UL_COMPARE_AND_WAIT | _ULF_NO_ERRNO | _ULF_WAKE_ALL
    call_system(atomic_load(system + WAKE_FUNCTION), operation, address, 0, 0, 0, 0)
    return 0


@device
def address_wait(system, address, expected, attempt):
    call_system(atomic_load(system + WAIT_FUNCTION), address, address_of_word(expected), 8, _FOREVER, 0, 0)


@device
def address_wake(system, address, count):
    call_system(atomic_load(system + WAKE_FUNCTION), address, 0, 0, 0, 0, 0)
    return 0


@device
def poll_wait(system, address, expected, attempt):
    nap = min(_NAP << min(attempt, 8), _LONGEST_NAP)
    call_system(atomic_load(system + WAIT_FUNCTION), nap // atomic_load(system + NUMBER), 0, 0, 0, 0, 0)


@device
def poll_wake(system, address, count):
    return 0


def _functions(library: Any, *names: str) -> tuple[int, ...]:
    return tuple(ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0 for name in names)


def _futex_system() -> tuple[int, ...]:
    syscall = _functions(ctypes.CDLL(None), "syscall")
    return (*syscall, *syscall, _FUTEX_NUMBER[platform.machine().lower()])


def _ulock_system() -> tuple[int, ...]:
    return (*_functions(ctypes.CDLL(None), "__ulock_wait", "__ulock_wake"), 0)


def _address_system() -> tuple[int, ...]:
    library = ctypes.WinDLL("api-ms-win-core-synch-l1-2-0")  # type: ignore[attr-defined,unused-ignore]
    return (*_functions(library, "WaitOnAddress", "WakeByAddressAll"), 0)


def _poll_system() -> tuple[int, ...]:
    if sys.platform == "win32":
        return (*_functions(ctypes.WinDLL("kernel32"), "Sleep"), 0, 1000)  # milliseconds
    return (*_functions(ctypes.CDLL(None), "usleep"), 0, 1)


_METHODS: dict[str, tuple[Any, Any, Callable[[], tuple[int, ...]]]] = {
    "futex": (futex_wait, futex_wake, _futex_system),
    "ulock": (ulock_wait, ulock_wake, _ulock_system),
    "address": (address_wait, address_wake, _address_system),
    "poll": (poll_wait, poll_wake, _poll_system),
}
_BEST = {"linux": "futex", "darwin": "ulock", "win32": "address"}


def _choose() -> tuple[str, Any, Any, tuple[int, ...]]:
    # A word that means nothing is refused at the end of numgrad's import, and by a command with one line.
    method = "auto" if config.WAIT.problem() else config.WAIT().strip().lower()
    for name in (method, _BEST.get(sys.platform, "poll"), "poll"):
        if name in _METHODS:
            wait, wake, system = _METHODS[name]
            try:
                return name, wait, wake, system()
            except (AttributeError, KeyError, OSError):  # no such function, or an unknown machine
                continue
    raise OSError("this platform has neither futex, __ulock_wait, WaitOnAddress nor a way to sleep")


#: The method in use, its two device functions, and the words that they expect at ``system``.
METHOD, wait, wake, SYSTEM = _choose()
