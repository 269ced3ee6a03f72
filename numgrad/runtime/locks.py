"""Locks, and how a fork treats them: the only module of numgrad that makes a lock.

A fork copies the memory of a process and one of its threads. A lock that another thread held stays locked in the child
for ever, and its data may be half-changed. So each lock is one of two kinds:

`awaited`
    Its data are inconsistent for a moment while it is held: the compiler's state, the lists of blocks. A fork waits until
    nobody holds it. The child finds the lock free and the data whole.
`renewed`
    Its data are consistent at any moment, such as a slot that is set in one step; or its holder runs the user's code, for
    which a fork must not wait. The child gets it free, whoever held it.

The locks of Numba and llvmlite are awaited as well, and so are imports that numgrad or these may begin in any thread: a child
that imports a module which another thread was importing would wait for ever. A fork does not wait for computations: memory
that another thread was writing, a gradient or a parameter, is in the child as it was at that moment.

While it waits, a fork holds no lock but the one that it waited for, so it waits for nobody who waits for it. The exception
is a thread that already held a lock: all are reentrant, since a finalizer, a signal's handler or a hook may fork, or use
numgrad, inside of any of them. Only such a fork gives up after a while.
"""

from __future__ import annotations

import _thread
import importlib
import itertools
import logging
import math
import operator
import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

_log = logging.getLogger("numgrad.locks")
_PATIENCE = 20.0  # seconds that a fork inside of an awaited lock waits: two forks may wait for each other
# Packages that any thread may import when it needs them. None of them waits for another thread while it is imported.
_PACKAGES = sys.stdlib_module_names | {"numgrad", "numba", "llvmlite", "numpy"}
_ROUNDS = 16  # of waiting for imports and locks by turns

_awaited: list[Any] = []
_every: weakref.WeakSet[Any] = weakref.WeakSet()


class Handlers(NamedTuple):
    """Functions to call around a fork; see `at_fork`."""

    before: Callable[[], None] | None
    in_child: Callable[[], None]


_handlers: list[Handlers] = []


class _Fork:
    """A fork under way: the locks that it holds, and whether Ctrl-C came while it waited for them."""

    def __init__(self) -> None:
        self.held: list[Any] = []
        self.interrupted = False


class _Forking(threading.local):
    """The forks under way in a thread."""

    def __init__(self) -> None:
        self.forks: list[_Fork] = []


_forking = _Forking()


def awaited() -> Any:
    """A reentrant lock that forks wait for. Its holder waits for nothing but awaited locks and the compiler."""
    lock = renewed()
    _awaited.append(lock)
    return lock


def renewed() -> Any:
    """A reentrant lock that is free in the child of a fork, unless the thread that forks has it."""
    lock = threading.RLock()
    _every.add(lock)
    return lock


def latch() -> Any:
    """A lock that one thread takes and another releases, in one call: a fork leaves it alone, for the parent's call."""
    return _thread.allocate_lock()


def at_fork(in_child: Callable[[], None], before: Callable[[], None] | None = None) -> None:
    """Call ``before`` when a fork holds all awaited locks, and ``in_child`` in the child, when its locks are free."""
    _handlers.append(Handlers(before, in_child))


class _Token:
    """Keeps a switch on as long as it lives."""

    __slots__ = ("__weakref__", "thread")

    def __init__(self) -> None:
        self.thread = threading.get_ident()


class Switch:
    """Something that is on for all threads while at least one of them needs it, such as a wrapper around all ops.

    Each user holds a `token`. So nothing has to be counted down, which Ctrl-C could prevent: a `runtime.scope.Scope` drops
    its token as it ends. In the child of a fork the switch is on only if the surviving thread needs it.

    Parameters
    ----------
    turn_on, turn_off
        Called with an awaited lock held. After Ctrl-C, ``turn_on`` may be called when it is on already.
    """

    def __init__(self, turn_on: Callable[[], None], turn_off: Callable[[], None]) -> None:
        self._turn_on, self._turn_off = turn_on, turn_off
        self._lock = awaited()
        self._tokens: list[weakref.ref[_Token]] = []
        self._on = False
        at_fork(self._forget_others)

    def token(self) -> Any:
        """Turn it on; it may be turned off once the returned token is gone."""
        token = _Token()
        with self._lock:
            self._tokens.append(weakref.ref(token))
            if not self._on:
                self._turn_on()
                self._on = True
        return token

    def settle(self) -> None:
        """Turn it off if nobody needs it any more."""
        with self._lock:
            self._keep([token for reference in self._tokens if (token := reference()) is not None])

    def _keep(self, tokens: list[_Token]) -> None:
        self._tokens = [weakref.ref(token) for token in tokens]
        if self._on and not tokens:
            self._on = False
            self._turn_off()

    def _forget_others(self) -> None:
        thread, tokens = threading.get_ident(), [reference() for reference in self._tokens]
        self._keep([token for token in tokens if token is not None and token.thread == thread])


class Membership(Switch):
    """A switch that puts items into lists which others read: pairs of a list and an item."""

    def __init__(self, *pairs: tuple[list[Any], Any]) -> None:
        super().__init__(self._add, self._remove)
        self._pairs = pairs

    def _add(self) -> None:
        for items, item in self._pairs:
            if item not in items:
                items.append(item)

    def _remove(self) -> None:
        for items, item in self._pairs:
            if item in items:
                items.remove(item)


# ---- the fork ---------------------------------------------------------------------------------------------------

_unlock = operator.methodcaller("release")
_pop = operator.methodcaller("pop")


def _take(held: list[Any], locks: Iterable[Any], patience: float = 0.0) -> None:
    """Append the locks that are free to ``held``; in one step of Python, so that no Ctrl-C loses one."""
    locks = tuple(locks)
    arguments = (True, patience) if patience else (False,)
    held.extend(itertools.compress(locks, map(operator.methodcaller("acquire", *arguments), locks)))


def _release(held: list[Any]) -> None:
    """Release all held locks; in one step of Python, too."""
    deque(map(_unlock, map(_pop, itertools.repeat(held, len(held)))), maxlen=0)


def _before_fork() -> None:
    fork = _Fork()
    _forking.forks.append(fork)
    is_inside = any(lock._is_owned() for lock in _to_await())
    deadline = time.monotonic() + _PATIENCE if is_inside else math.inf
    try:
        for _ in range(_ROUNDS):
            _take_all(fork.held, deadline)
            names = _imports_of_others()
            if not names:
                break
            _release(fork.held)  # an import may need them to go on
            for name in names:
                _await_import(name)
        for handlers in tuple(_handlers):
            if handlers.before is not None:
                handlers.before()
    except KeyboardInterrupt:  # the interpreter would print and forget it
        fork.interrupted = True


def _take_all(held: list[Any], deadline: float) -> None:
    """Wait until all awaited locks are free at once, holding none but the one waited for."""
    first: list[Any] = []
    while True:
        _take(held, first, min(max(deadline - time.monotonic(), 1e-3), threading.TIMEOUT_MAX))
        locks = _to_await()
        _take(held, [lock for lock in locks if lock not in held])
        missing = [lock for lock in locks if lock not in held]
        if not missing:
            return
        if time.monotonic() >= deadline:
            _log.warning("a fork goes ahead, though %d locks were not free for %.0f s", len(missing), _PATIENCE)
            return
        _release(held)
        first = missing[:1]


def _to_await() -> list[Any]:
    """Awaited locks, with those of Numba and llvmlite if these are imported."""
    compiler = getattr(sys.modules.get("numba.core.compiler_lock"), "global_compiler_lock", None)
    library = getattr(sys.modules.get("llvmlite.binding.ffi"), "lib", None)
    foreign = [getattr(compiler, "_lock", None), getattr(getattr(library, "_lock", None), "_lock", None)]
    return [*_awaited, *[lock for lock in foreign if hasattr(lock, "_at_fork_reinit")]]


def _imports_of_others() -> list[str]:
    """Modules of `_PACKAGES` that other threads are importing or searching."""
    table = getattr(sys.modules.get("_frozen_importlib"), "_module_locks", {})  # weak references to locks
    owners = [(name, getattr(reference(), "owner", None)) for name, reference in table.copy().items()]
    nobody = (None, threading.get_ident())
    return [name for name, owner in owners if owner not in nobody and name.partition(".")[0] in _PACKAGES]


def _await_import(name: str) -> None:
    """Wait until another thread has imported a module."""
    try:
        importlib.import_module(name)
    except ImportError as error:  # it failed in the other thread, too
        _log.info("%s cannot be imported: %s", name, error)


def _fork_done() -> _Fork:
    # None, if another thread imported this module after the fork had begun.
    return _forking.forks.pop() if _forking.forks else _Fork()


def _after_fork_in_parent() -> None:
    fork = _fork_done()
    _release(fork.held)
    if fork.interrupted:  # after the fork: it swallows an exception raised here
        threading.Timer(0.05, _thread.interrupt_main).start()


def _after_fork_in_child() -> None:
    _release(_fork_done().held)
    for lock in {*_every, *_to_await()}:
        if lock.acquire(blocking=False):  # nobody's, or this thread's from before
            lock.release()
        else:
            lock._at_fork_reinit()
    for handlers in _handlers:
        handlers.in_child()


if hasattr(os, "register_at_fork"):
    # Before any lock exists: a module that registered its own would miss a fork during its import.
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
