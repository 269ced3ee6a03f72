"""Python objects in machine code: functions that the interpreter calls as its own, and the fields of objects.

A compiled function reads and writes the slots of a few numgrad classes. The offset of a slot is measured, not assumed:
`offset_of` puts a mark into the slot and looks for it. The functions of the interpreter's stable C interface do the rest. So
nothing here depends on how an interpreter lays out its objects, but for one fact of CPython: ``id`` is an address.
References are counted as in C: a slot holds one, and a function returns a new one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numgrad.errors import KernelError
from numgrad.runtime import kernel
from numgrad.runtime.kernel import Native, device
from numgrad.runtime.words import interpreter_function, peek, poke

incref = interpreter_function("Py_IncRef", 1, "void")
decref = interpreter_function("Py_DecRef", 1, "void")  # does nothing with 0
type_of = interpreter_function("PyObject_Type", 1)
is_subtype = interpreter_function("PyType_IsSubtype", 2, "int")
new_of_type = interpreter_function("PyType_GenericAlloc", 2)
get_attribute = interpreter_function("PyObject_GetAttr", 2)
set_attribute = interpreter_function("PyObject_SetAttr", 3, "int")
call_one = interpreter_function("PyObject_CallOneArg", 2)
call_none = interpreter_function("PyObject_CallNoArgs", 1)
error_occurred = interpreter_function("PyErr_Occurred", 0)
dict_get = interpreter_function("PyDict_GetItemWithError", 2)
size_of = interpreter_function("PyObject_Size", 1)
list_new = interpreter_function("PyList_New", 1)
list_size = interpreter_function("PyList_Size", 1)
list_get = interpreter_function("PyList_GetItem", 2)
list_set = interpreter_function("PyList_SetItem", 3, "int")
list_append = interpreter_function("PyList_Append", 2, "int")
list_set_slice = interpreter_function("PyList_SetSlice", 4, "int")
new_weak_reference = interpreter_function("PyWeakref_NewRef", 2)
tuple_new = interpreter_function("PyTuple_New", 1)
tuple_get = interpreter_function("PyTuple_GetItem", 2)
tuple_size = interpreter_function("PyTuple_Size", 1)
tuple_set = interpreter_function("PyTuple_SetItem", 3, "int")
number_to_int = interpreter_function("PyNumber_Long", 1)
number_to_float = interpreter_function("PyNumber_Float", 1)
iterator_next = interpreter_function("PyIter_Next", 1)

_METH_FASTCALL, _METH_NOARGS = 0x0080, 0x0004


class _MethodDefinition(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


_alive: list[Any] = []  # for ever, as `words_for_ever`
ctypes.pythonapi.Py_IncRef(ctypes.py_object(_alive))


def _definition(function: Native, flags: int, name: str = "", doc: str = "") -> int:
    text = f"{name}($self, /)\n--\n\n{doc}".encode() if doc else None  # which `inspect` reads
    definition = _MethodDefinition((name or function.name).encode(), function.address(), flags, text)
    _alive.append(definition)
    return ctypes.addressof(definition)


def built_in(function: Native, owner: int, rehearsed: Callable[..., Any]) -> Callable[..., Any]:
    """``function(self, arguments, count)`` as a built-in function of the interpreter; ``self`` is the int ``owner``.

    In a process that only rehearses, where nothing is compiled, it is ``rehearsed`` instead.
    """
    if kernel.rehearsal is not None:
        function.address()
        return rehearsed
    create = ctypes.pythonapi.PyCFunction_NewEx
    create.restype, create.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
    wrapper: Callable[..., Any] = create(_definition(function, _METH_FASTCALL), owner, None)
    return wrapper


def built_in_method(cls: type, function: Native, replaced: Any = None) -> Any:
    """``function(self, 0)`` as a method without arguments of a class, which has the name and text of the ``replaced`` one.

    In a rehearsal it is that one, or one that does nothing.
    """
    if kernel.rehearsal is not None:
        function.address()
        return replaced or (lambda self: None)
    return _method(
        cls, function, _METH_NOARGS, *(() if replaced is None else (replaced.__name__, replaced.__doc__ or ""))
    )


def built_in_method_of_any(cls: type, function: Native, rehearsed: Callable[..., Any]) -> Any:
    """``function(self, arguments, count)`` as a method with any arguments of a class; ``rehearsed`` in a rehearsal."""
    if kernel.rehearsal is not None:
        function.address()
        return rehearsed
    return _method(cls, function, _METH_FASTCALL)


def _method(cls: type, function: Native, flags: int, name: str = "", doc: str = "") -> Any:
    create = ctypes.pythonapi.PyDescr_NewMethod
    create.restype, create.argtypes = ctypes.py_object, [ctypes.py_object, ctypes.c_void_p]
    return create(cls, _definition(function, flags, name, doc))


def words_for_ever(count: int) -> tuple[np.ndarray, int]:
    """Words that are never freed, and their address: objects may die after the interpreter has cleared its modules."""
    words = np.zeros(count, np.int64)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(words))
    return words, words.ctypes.data


def words_of(instance: Any) -> np.ndarray:
    """A copy of the memory of an object, without items that lie behind it."""
    count = type(instance).__basicsize__ // 8
    return np.array((ctypes.c_int64 * count).from_address(id(instance)), np.int64)


def offset_of(instance: Any, name: str) -> int:
    """The offset of a slot in an object, in bytes; the content of the slot is replaced.

    Raises
    ------
    KernelError
        It is not found: this interpreter lays out its objects in another way.
    """
    candidates = set(range(type(instance).__basicsize__ // 8))
    for _ in range(2):
        mark = object()
        setattr(instance, name, mark)
        candidates &= {index for index, word in enumerate(words_of(instance).tolist()) if word == id(mark)}
    if len(candidates) != 1:
        raise KernelError(f"the slot {name} of {type(instance).__name__} is not found in its memory")
    return 8 * candidates.pop()


def parts_of_builtins() -> dict[str, int]:
    """Bytes from the start of an object to its class, of a float to its number, of a slice to its bounds, of a tuple to its items.

    Raises
    ------
    KernelError
        One is not found: this interpreter lays out its objects in another way.
    """
    examples = [(slice(object(), object(), object()), 1.5 + number) for number in range(2)]
    parts: dict[str, Callable[[slice, float], tuple[Any, int]]] = {
        "type": lambda piece, number: (number, id(float)),
        "float_value": lambda piece, number: (number, int(np.float64(number).view(np.int64))),
        "slice_start": lambda piece, number: (piece, id(piece.start)),
        "slice_stop": lambda piece, number: (piece, id(piece.stop)),
        "slice_step": lambda piece, number: (piece, id(piece.step)),
    }
    offsets = {}
    for name, part in parts.items():
        candidates: set[int] | None = None
        for example in examples:
            instance, searched = part(*example)
            at = {index for index, word in enumerate(words_of(instance).tolist()) if word == searched}
            candidates = at if candidates is None else candidates & at
        if candidates is None or len(candidates) != 1:
            raise KernelError(f"{name.replace('_', ' of ')} is not found in the memory of objects")
        offsets[name] = 8 * candidates.pop()
    items = tuple([object() for _ in range(3)])
    first = id(items) + tuple.__basicsize__
    if [ctypes.c_int64.from_address(first + 8 * position).value for position in range(3)] != [*map(id, items)]:
        raise KernelError("the items of a tuple are not found in its memory")
    return offsets | {"tuple_items": tuple.__basicsize__}


def template(instance: Any, without: Sequence[str]) -> list[int]:
    """Words for `new_like`: the class, the number of slots, and for each slot its offset and its value.

    The slots ``without`` stay empty.
    """
    cls = type(instance)
    names = [name for owner in cls.__mro__ for name in getattr(owner, "__slots__", ())]
    values = {name: getattr(instance, name) for name in names if name not in without and not name.startswith("__")}
    words = [id(cls), len(values)]
    for name, value in values.items():
        words += [offset_of(instance, name), id(value)]
        setattr(instance, name, value)
    _alive.append((cls, tuple(values.values())))
    return words


@device
def new_like(words):
    """A new object of a template's class with the template's values; 0 if there is no memory."""
    instance = new_of_type(peek(words), 0)
    if instance != 0:
        entry = words + 16
        for _ in range(peek(words + 8)):
            value = peek(entry + 8)
            incref(value)
            poke(instance + peek(entry), value)
            entry += 16
    return instance


@device
def put(slot, value):
    """Store a new reference to ``value`` in an empty slot."""
    incref(value)
    poke(slot, value)


@device
def put_new(slot, value):
    """Replace the reference in a slot, and drop the old one."""
    before = peek(slot)
    poke(slot, value)
    decref(before)


def addresses_of(objects: Sequence[Any]) -> list[int]:
    """Addresses of objects that live for ever from now on."""
    _alive.append(list(objects))
    return [id(each) for each in objects]
