"""`Scope`: contexts whose end cannot be interrupted, and `Demand`: what is on while a context of any thread needs it.

CPython handles signals, and so raises KeyboardInterrupt, at three kinds of points of Python code in the main thread: at the
entry of a function, at a jump backwards, and after a call. Stores one after the other have no such point between them. A
``with`` statement has three places that matter:

- ``__enter__`` is a Python function, the last steps of which store what was prepared, so that there is no such point from the
  first store to the place from which on ``__exit__`` is certain to be called. (A function in C would not do: since Python
  3.14 signals are also handled between the return of one and that place.)
- ``__exit__`` is machine code. One in Python can be interrupted at its entry, and then nothing is restored and nobody tries
  again. Before a call of machine code the block is interrupted, or after it what follows the block.
- What has to be restored is a stack of the context's own, so that it may be entered again inside of itself.

``contextlib.contextmanager`` has an ``__exit__`` in Python: what that leaves open is closed when the last traceback is freed.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from numgrad.runtime import locks, objects
from numgrad.runtime.kernel import native
from numgrad.runtime.objects import call_none, decref, incref, set_attribute, tuple_get, tuple_size
from numgrad.runtime.words import peek, poke, word_to_python


class _AtFirst:
    """`Scope.__exit__` until somebody looks for it, as a ``with`` statement does before it enters."""

    def __get__(self, scope: Any, cls: type) -> Any:
        Scope.__exit__ = objects.built_in_method_of_any(Scope, leave, _leave_in_rehearsal)  # type: ignore[method-assign]
        return Scope.__exit__ if scope is None else scope.__exit__


class Scope:
    """Base class of contexts. The ``__enter__`` of a subclass ends with stores, and has no calls from the first one on::

        self._undo = ((target, "name", target.name), self._undo)
        target.name = value

    At the end of the block each name of each target (three items each) has its old value again. A third item of what is
    stored is a function that is called then, and does nothing but save time; a fourth is held until then.
    """

    __slots__ = ("__weakref__", "_undo")

    def __init__(self) -> None:
        self._undo: tuple[Any, ...] = ()

    __exit__: Callable[..., Any] = _AtFirst()  # type: ignore[assignment]


_example = Scope()
_UNDO = objects.offset_of(_example, "_undo")
del _example


@native(3, returns=True)
def leave(self, arguments, count):
    """``Scope.__exit__(*exception)``."""
    undo = peek(self + _UNDO)
    items = 0 if undo == 0 else tuple_size(undo)
    if items < 2:  # it was not entered
        return word_to_python(0)
    stores, rest = tuple_get(undo, 0), tuple_get(undo, 1)
    incref(rest)
    poke(self + _UNDO, rest)  # the reference to ``undo`` is ours now
    failed = 0
    for place in range(0, tuple_size(stores), 3):
        failed += set_attribute(tuple_get(stores, place), tuple_get(stores, place + 1), tuple_get(stores, place + 2))
    tidy = 0
    if items > 2:
        tidy = tuple_get(undo, 2)
        incref(tidy)
    decref(undo)
    if tidy != 0 and failed == 0:
        result = call_none(tidy)
        decref(result)
        failed = -1 if result == 0 else 0
    decref(tidy)
    return 0 if failed else word_to_python(0)  # which is false: exceptions go on


def _leave_in_rehearsal(self: Scope, *exception: object) -> None:
    if self._undo:
        stores, self._undo = self._undo[:2]
        for place in range(0, len(stores), 3):
            setattr(*stores[place : place + 3])


class _Token:
    __slots__ = ("__weakref__",)


class Demand:
    """Something of the whole process that is switched on while a scope of any thread needs it.

    A scope keeps a `token` as long as it does. ``on`` and ``off`` switch, and do nothing where that is done already.
    """

    def __init__(self, on: Callable[[], None], off: Callable[[], None]) -> None:
        self._on, self._off = on, off
        self._tokens: list[weakref.ref[_Token]] = []
        self._lock = locks.awaited()

    def token(self) -> Any:
        """Switch on, until what is returned is gone and `tidy` was called."""
        token = _Token()
        with self._lock:
            self._tokens.append(weakref.ref(token))
            self._on()
        return token

    def tidy(self) -> None:
        """Switch off if nobody needs it any more."""
        with self._lock:
            self._tokens[:] = [reference for reference in self._tokens if reference() is not None]
            if not self._tokens:
                self._off()
