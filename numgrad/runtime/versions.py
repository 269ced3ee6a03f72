"""Counting changes in place of many storages in one call of machine code, which nothing can interrupt."""

from __future__ import annotations

from collections.abc import Callable

from numgrad.runtime import objects
from numgrad.runtime.kernel import native
from numgrad.runtime.memory import Storage
from numgrad.runtime.objects import list_get, list_size, put_new
from numgrad.runtime.words import peek, python_to_word, word_to_python

_VERSION = objects.offset_of(object.__new__(Storage), "version")


@native(3, returns=True)
def count_changes(self, arguments, count):
    """``count_changes(storages)``: add 1 to the version of each storage of a list, once for each time that it occurs."""
    storages = peek(arguments)
    for index in range(list_size(storages)):
        version = list_get(storages, index) + _VERSION
        following = word_to_python(python_to_word(peek(version)) + 1)
        if following == 0:
            return 0
        put_new(version, following)
    return word_to_python(0)


_counter: Callable[[list[Storage]], int] | None = None


def counter() -> Callable[[list[Storage]], int]:
    """`count_changes` as a built-in function of the interpreter."""
    global _counter
    if _counter is None:
        _counter = objects.built_in(count_changes, 0, rehearsed=lambda storages: 0)
    return _counter
