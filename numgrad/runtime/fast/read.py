"""Numbers read in machine code: `Tensor.item`, ``float(tensor)``, ``int(tensor)`` and ``bool(tensor)``.

Reading one number is a look at a few slots and a load, for which Python would take ten times as long. What is not so simple (more
elements or none, a dtype without numbers of Python's, a step that is captured) is left to the methods in Python.
"""

from __future__ import annotations

from typing import Any

from numgrad import dtypes
from numgrad.dtypes import bool_, dtype, float32, float64, int32, int64
from numgrad.layout import Spec
from numgrad.runtime import objects
from numgrad.runtime.fast.layout import Layout
from numgrad.runtime.kernel import Native, device, native
from numgrad.runtime.objects import (
    call_one,
    decref,
    get_attribute,
    incref,
    number_to_float,
    number_to_int,
    size_of,
)
from numgrad.runtime.words import double_to_python, peek, python_to_word, single_to_python, word_to_python

READER = Layout("how numbers of a dtype are read")
OTHER, SINGLE, DOUBLE, LONG, INT, BOOL = range(6)  # kinds of numbers
ITEM, AS_FLOAT, AS_INT, AS_BOOL = range(4)  # what is asked for
KIND = READER.word("kind", "the kind of its numbers")
NONE = READER.word("none", "None")
TRUE = READER.word("true", "True")
FALSE = READER.word("false", "False")
MODES = READER.word("modes", "the threads' modes")
CAPTURE = READER.word("capture", "the name of the mode that is the capture of a step, or None")
METHODS = READER.count("methods", "the methods in Python, in the order of what is asked for")
FIRST_METHOD = READER.size

_KINDS = {float32: SINGLE, float64: DOUBLE, int64: LONG, int32: INT, bool_: BOOL}
_NAMES = ("item", "__float__", "__int__", "__bool__")
SPEC_DTYPE, SPEC_NUMEL = (objects.offset_of(object.__new__(Spec), name) for name in ("dtype", "numel"))
DTYPE_READER = objects.offset_of(object.__new__(dtype), "reader")


def install(tensor: Any, modes: Any) -> None:
    """Make machine code of the four methods of a tensor's class."""
    cls = type(tensor)
    at = [objects.offset_of(tensor, name) for name in ("_spec", "_address")]
    replaced = [getattr(cls, name) for name in _NAMES]
    for each in {value for value in vars(dtypes).values() if isinstance(value, dtype)}:
        constants = objects.addresses_of([None, True, False, modes, "capture"])
        names = ("none", "true", "false", "modes", "capture")
        filled = READER.filled(
            kind=_KINDS.get(each, OTHER),
            methods=objects.addresses_of(replaced),
            **dict(zip(names, constants, strict=True)),
        )
        words, each.reader = objects.words_for_ever(len(filled))
        words[:] = filled
    for goal, method in enumerate(replaced):
        setattr(cls, _NAMES[goal], objects.built_in_method(cls, _reader(goal, *at), method))


def _reader(goal: int, spec_at: int, address_at: int) -> Native:
    """The method that gives what is asked for, for tensors whose slots lie there."""

    def read(self, ignored):  # type: ignore[no-untyped-def]
        spec = peek(self + spec_at)
        if spec == 0:  # it was never initialized
            size_of(self)  # raises the error
            return 0
        return number(self, spec, address_at, goal)

    return native(2, returns=True)(read)


@device
def number(tensor, spec, address_at, goal):
    """The number in a tensor of one element; 0 for an error."""
    words = python_to_word(peek(peek(spec + SPEC_DTYPE) + DTYPE_READER))
    kind = peek(words + KIND)
    simple = kind != OTHER and python_to_word(peek(spec + SPEC_NUMEL)) == 1
    if simple:
        capture = get_attribute(peek(words + MODES), peek(words + CAPTURE))
        if capture == 0:
            return 0
        decref(capture)
        simple = capture == peek(words + NONE)
    if not simple:
        return call_one(peek(words + FIRST_METHOD + 8 * goal), tensor)
    address = python_to_word(peek(tensor + address_at))
    bits = peek(address & -8) >> 8 * (address & 7)  # a load that crosses no page
    if kind == INT:
        bits = bits << 32 >> 32
    if kind == BOOL:
        bits = bits & 0xFF
    if goal == AS_BOOL or (goal == ITEM and kind == BOOL):
        if kind == SINGLE:
            bits = bits & 0x7FFFFFFF
        if kind == DOUBLE:
            bits = bits & 0x7FFFFFFFFFFFFFFF
        truth = peek(words + TRUE) if bits != 0 else peek(words + FALSE)
        incref(truth)
        return truth
    value = 0
    if kind == SINGLE:
        value = single_to_python(bits)
    elif kind == DOUBLE:
        value = double_to_python(bits)
    else:
        value = word_to_python(bits)
    if value != 0 and goal == AS_FLOAT and kind >= LONG:
        whole = value
        value = number_to_float(whole)
        decref(whole)
    if value != 0 and goal == AS_INT and kind < LONG:
        real = value
        value = number_to_int(real)
        decref(real)
    return value
