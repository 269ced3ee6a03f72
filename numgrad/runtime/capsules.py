"""DLPack's capsules: memory that libraries pass to each other, with a function that says when it is no longer used.

The functions that end a life are machine code: another library may call ours from any thread, with or without the GIL, and also
after the interpreter has ended, when nothing of Python's may be touched any more. So a Python callback would not do.

What is passed out is one block: the address of a Python object that keeps the memory alive, DLPack's structure, shape and
strides. The object holds the block too, so that dropping one reference ends all. What comes in is kept by a capsule of our own,
whose destructor calls the other library's function.
"""

from __future__ import annotations

import ctypes
import struct
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from numgrad.runtime import locks
from numgrad.runtime.kernel import device, native
from numgrad.runtime.objects import decref
from numgrad.runtime.words import call_system, interpreter_function, peek, stack_words

CPU = 1  # kDLCPU
READ_ONLY, IS_COPIED = 1, 2
VERSION = (1, 1)  # of DLPack: what is written here

_is_initialized = interpreter_function("Py_IsInitialized", 0, "int")
_take_gil = interpreter_function("PyGILState_Ensure", 0, "int")
_leave_gil = interpreter_function("PyGILState_Release", 1, "void")
_capsule_name = interpreter_function("PyCapsule_GetName", 1)
_capsule_pointer = interpreter_function("PyCapsule_GetPointer", 2)
_capsule_context = interpreter_function("PyCapsule_GetContext", 1)
_fetch_error = interpreter_function("PyErr_Fetch", 3, "void")
_restore_error = interpreter_function("PyErr_Restore", 3, "void")

# The names' first eight bytes tell a capsule of ours that nobody has taken ("used_..." then), and one that keeps memory.
_OURS, _KEEPER = (int.from_bytes(name, sys.byteorder) for name in (b"dltensor", b"numgrad_"))
_taking = locks.awaited()
_names = [ctypes.create_string_buffer(name) for name in (b"dltensor", b"dltensor_versioned", b"numgrad_dltensor")]
_used_names = [ctypes.create_string_buffer(name) for name in (b"used_dltensor", b"used_dltensor_versioned")]
for _kept in (_names, _used_names):  # capsules may outlive this module
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(_kept))

# data, device type and number, dimensions, dtype (code, bits, lanes), shape, strides, offset in bytes
_TENSOR = "PiiiBBHPPQ"
_OLD = struct.Struct(f"@{_TENSOR}PP")  # the tensor, its manager, its deleter
_NEW = struct.Struct(f"@IIPPQ{_TENSOR}")  # version, manager, deleter, flags, the tensor


@device
def _drop(managed):
    decref(peek(managed - 8))


@native(1)
def delete(managed):
    """The deleter of what is passed out: drops the object whose address stands before the structure."""
    if _is_initialized() != 0:
        state = _take_gil()
        _drop(managed)
        _leave_gil(state)


@native(1)
def destroy(capsule):
    """The destructor of capsules: ends what nobody has taken, and what a keeper kept. An error that is underway stays."""
    name = _capsule_name(capsule)
    kind = peek(name)
    if kind in (_OURS, _KEEPER):
        error = stack_words(3)
        _fetch_error(error, error + 8, error + 16)
        managed = _capsule_pointer(capsule, name)
        if kind == _OURS:
            _drop(managed)
        else:
            deleter = _capsule_context(capsule)
            if deleter != 0:
                call_system(deleter, managed, 0, 0, 0, 0, 0)
        _restore_error(peek(error), peek(error + 8), peek(error + 16))


def _function(name: str, result: Any, *arguments: Any) -> Any:
    return ctypes.PYFUNCTYPE(result, *arguments)((name, ctypes.pythonapi))


_new_capsule = _function("PyCapsule_New", ctypes.py_object, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
_is_valid = _function("PyCapsule_IsValid", ctypes.c_int, ctypes.py_object, ctypes.c_void_p)
_get_pointer = _function("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)
_set_name = _function("PyCapsule_SetName", ctypes.c_int, ctypes.py_object, ctypes.c_void_p)
_set_context = _function("PyCapsule_SetContext", ctypes.c_int, ctypes.py_object, ctypes.c_void_p)
_increase = _function("Py_IncRef", None, ctypes.py_object)


class Described(NamedTuple):
    """The memory behind a capsule; ``strides`` count elements, ``address`` is that of the first one."""

    address: int
    device_type: int
    code: int
    bits: int
    lanes: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    read_only: bool


def pass_out(
    owner: Any,
    address: int,
    shape: Sequence[int],
    strides: Sequence[int],
    code: int,
    bits: int,
    flags: int | None,
) -> Any:
    """A capsule over memory that ``owner`` keeps alive; with ``flags`` of DLPack 1, with None of the older kind.

    Whoever takes it keeps ``owner`` alive until he calls the deleter; if nobody does, the capsule's end is the owner's.
    """
    layout = _OLD if flags is None else _NEW
    begin = struct.calcsize("@P")
    extents = begin + layout.size
    ndim = len(shape)
    block = ctypes.create_string_buffer(extents + 16 * ndim)
    at = ctypes.addressof(block)
    struct.pack_into(f"@{2 * ndim}q", block, extents, *shape, *strides)
    tensor = (address, CPU, 0, ndim, code, bits, 1, at + extents, at + extents + 8 * ndim, 0)
    deleter = delete.address()
    if flags is None:
        layout.pack_into(block, begin, *tensor, 0, deleter)
    else:
        layout.pack_into(block, begin, *VERSION, 0, deleter, flags, *tensor)
    kept = (owner, block)
    struct.pack_into("@P", block, 0, id(kept))
    _increase(kept)
    return _new_capsule(at + begin, ctypes.addressof(_names[0 if flags is None else 1]), destroy.address())


def describe(capsule: Any) -> Described:
    """What a capsule that nobody has taken says of its memory.

    Raises
    ------
    TypeError
        It is no capsule of DLPack, or somebody has taken it.
    BufferError
        It is of a DLPack whose structure is not known.
    """
    versioned = bool(_is_valid(capsule, ctypes.addressof(_names[1])))
    name = ctypes.addressof(_names[versioned])
    if not versioned and not _is_valid(capsule, name):
        raise TypeError(
            f"from_dlpack: got {capsule!r}, expected a capsule named dltensor or dltensor_versioned that nobody has consumed; a "
            "capsule can be consumed once"
        )
    at = _get_pointer(capsule, name)
    if versioned:
        major, minor = struct.unpack("@II", ctypes.string_at(at, 8))
        if major != VERSION[0]:
            raise BufferError(f"from_dlpack: the capsule is of DLPack {major}.{minor}, expected {VERSION[0]}")
        *_, flags, address, device_type, _, ndim, code, bits, lanes, shape, strides, offset = _NEW.unpack(
            ctypes.string_at(at, _NEW.size)
        )
    else:
        flags = 0
        address, device_type, _, ndim, code, bits, lanes, shape, strides, offset, *_ = _OLD.unpack(
            ctypes.string_at(at, _OLD.size)
        )
    extents = _words(shape, ndim)
    steps = _words(strides, ndim) if strides else _row_major(extents)
    return Described(address + offset, device_type, code, bits, lanes, extents, steps, bool(flags & READ_ONLY))


def _words(address: int, count: int) -> tuple[int, ...]:
    return struct.unpack(f"@{count}q", ctypes.string_at(address, 8 * count)) if count else ()


def _row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, step = [], 1
    for extent in reversed(shape):
        strides.append(step)
        step *= extent
    return tuple(reversed(strides))


def take(capsule: Any) -> Any:
    """Take what a described capsule passes: an object that keeps the memory alive, and ends it with its own life.

    Raises
    ------
    TypeError
        Somebody else has taken it.
    """
    versioned = bool(_is_valid(capsule, ctypes.addressof(_names[1])))
    name, layout = ctypes.addressof(_names[versioned]), _NEW if versioned else _OLD
    with _taking:
        if not _is_valid(capsule, name):
            raise TypeError("from_dlpack: the capsule was consumed by another thread; a capsule can be consumed once")
        at = _get_pointer(capsule, name)
        fields = layout.unpack(ctypes.string_at(at, layout.size))
        keeper = _new_capsule(at, ctypes.addressof(_names[2]), destroy.address())
        _set_name(capsule, ctypes.addressof(_used_names[versioned]))
        _set_context(keeper, fields[3] if versioned else fields[-1])
    return keeper
