"""`Scope`: contexts whose end cannot be interrupted.

CPython handles signals, and so raises KeyboardInterrupt, at three kinds of points of Python code in the main thread: at the
entry of a function, at a jump backwards, and after a call. Stores one after the other have no such point between them. A
``with`` statement needs care at three points:

- ``__enter__`` is a Python function that ends with stores of prepared values. So no such point lies between the first store
  and the instruction from which on ``__exit__`` is certain to be called. (A function in C would not do: since Python 3.14
  signals are also handled between its return and that instruction.)
- ``__exit__`` is machine code. One in Python can be interrupted at its entry, and then nothing is restored and nobody tries
  again. Around a call of machine code the exception comes before it, in the block, or after it, behind the block.
- Old values lie on a stack of the context's own, so that it may be entered again inside of itself.

``contextlib.contextmanager`` has an ``__exit__`` in Python: a context that it leaves open ends when the last traceback is freed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numgrad.runtime import objects
from numgrad.runtime.kernel import native
from numgrad.runtime.objects import call_none, decref, incref, set_attribute, tuple_get, tuple_size
from numgrad.runtime.words import peek, poke, word_to_python


class _AtFirst:
    """`Scope.__exit__` until its first look-up, which a ``with`` statement does before it enters."""

    def __get__(self, scope: Any, cls: type) -> Any:
        Scope.__exit__ = objects.built_in_method_of_any(Scope, leave, _leave_in_rehearsal)  # type: ignore[method-assign]
        return Scope.__exit__ if scope is None else scope.__exit__


class Scope:
    """Base class of contexts. The ``__enter__`` of a subclass ends with stores, and has no calls from the first one on::

        self._undo = ((target, "name", target.name), self._undo)
        target.name = value

    At the end of the block each name of each target (three items each) has its old value again. A third item of ``_undo`` is
    a function that is called then, and only saves time; a fourth is held until then.
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
    for index in range(0, tuple_size(stores), 3):
        failed += set_attribute(tuple_get(stores, index), tuple_get(stores, index + 1), tuple_get(stores, index + 2))
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
    return 0 if failed else word_to_python(0)  # 0 is false: exceptions go on


def _leave_in_rehearsal(self: Scope, *exception: object) -> None:
    if self._undo:
        stores, self._undo = self._undo[:2]
        for index in range(0, len(stores), 3):
            setattr(*stores[index : index + 3])
