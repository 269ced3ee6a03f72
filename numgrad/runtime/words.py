"""Intrinsics over int64 words and addresses, in which the pool, the launch door and the fast path are written."""

from __future__ import annotations

from typing import Any

from numgrad.runtime import target
from numgrad.runtime.kernel import Intrinsic, intrinsic


def _signature(count: int, returns: bool = True) -> Any:
    from numba import types

    return (types.int64 if returns else types.void)(*[types.int64] * count)


def _word(builder: Any, address: Any) -> Any:
    from llvmlite import ir

    return builder.inttoptr(address, ir.IntType(64).as_pointer())


def _function(builder: Any, name: str, result: Any, arguments: list[Any], var_arg: bool = False) -> Any:
    from llvmlite import ir
    from numba.core import cgutils

    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, arguments, var_arg=var_arg), name)


@intrinsic
def peek(typing_context, address):
    """The word at an address."""

    def emit(context, builder, signature, args):
        return builder.load(_word(builder, args[0]))

    return _signature(1), emit


@intrinsic
def poke(typing_context, address, value):
    """Write a word at an address."""

    def emit(context, builder, signature, args):
        builder.store(args[1], _word(builder, args[0]))
        return context.get_dummy_value()

    return _signature(2, returns=False), emit


@intrinsic
def atomic_load(typing_context, address):
    """The word at an address, sequentially consistent."""

    def emit(context, builder, signature, args):
        return builder.load_atomic(_word(builder, args[0]), "seq_cst", 8)

    return _signature(1), emit


@intrinsic
def atomic_store(typing_context, address, value):
    """Write a word, sequentially consistent."""

    def emit(context, builder, signature, args):
        builder.store_atomic(args[1], _word(builder, args[0]), "seq_cst", 8)
        return context.get_dummy_value()

    return _signature(2, returns=False), emit


@intrinsic
def release_store(typing_context, address, value):
    """Write a word after everything that this thread wrote before: a plain store on x86."""

    def emit(context, builder, signature, args):
        builder.store_atomic(args[1], _word(builder, args[0]), "release", 8)
        return context.get_dummy_value()

    return _signature(2, returns=False), emit


@intrinsic
def atomic_add(typing_context, address, value):
    """Add to a word; the value before."""

    def emit(context, builder, signature, args):
        return builder.atomic_rmw("add", _word(builder, args[0]), args[1], "seq_cst")

    return _signature(2), emit


def _fetch_add(typing_context, array, index, value):
    """Add to an element of an int64 array, which other threads may do at the same time; the element before."""
    from numba import types

    def emit(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.atomic_rmw("add", builder.gep(data, [args[1]]), args[2], "seq_cst")

    return types.int64(array, types.int64, types.int64), emit


def _add_to_element(array: Any, index: int, value: int) -> int:
    before = int(array[index])
    array[index] += value
    return before


fetch_add = Intrinsic(_fetch_add, _add_to_element)


@intrinsic
def compare_and_swap(typing_context, address, expected, value):
    """Write ``value`` if the word is ``expected``; 1 if it was."""

    def emit(context, builder, signature, args):
        from llvmlite import ir

        swapped = builder.cmpxchg(_word(builder, args[0]), args[1], args[2], "seq_cst", "seq_cst")
        return builder.zext(builder.extract_value(swapped, 1), ir.IntType(64))

    return _signature(3), emit


@intrinsic
def stack_words(typing_context, count):
    """Address of ``count`` words on this call's stack."""

    def emit(context, builder, signature, args):
        from llvmlite import ir

        return builder.ptrtoint(builder.alloca(ir.IntType(64), size=args[0]), ir.IntType(64))

    return _signature(1), emit


@intrinsic
def call_entry(typing_context, entry, slots, start, stop, worker):
    """Call a kernel's entry by its address."""

    def emit(context, builder, signature, args):
        from llvmlite import ir

        function_type = ir.FunctionType(ir.VoidType(), [ir.IntType(64)] * 4)
        builder.call(builder.inttoptr(args[0], function_type.as_pointer()), args[1:])
        return context.get_dummy_value()

    return _signature(5, returns=False), emit


@intrinsic
def call_native(typing_context, function, first, second, third):
    """Call a native function of three words that returns one, by its address."""

    def emit(context, builder, signature, args):
        from llvmlite import ir

        function_type = ir.FunctionType(ir.IntType(64), [ir.IntType(64)] * 3)
        return builder.call(builder.inttoptr(args[0], function_type.as_pointer()), args[1:])

    return _signature(4), emit


@intrinsic
def python_to_word(typing_context, pyobject):
    """The value of a Python int; the thread must hold the GIL."""

    def emit(context, builder, signature, args):
        from llvmlite import ir

        word = ir.IntType(64)
        return builder.call(_function(builder, "PyLong_AsLongLong", word, [word]), args)

    return _signature(1), emit


@intrinsic
def word_to_python(typing_context, value):
    """A new Python int; the thread must hold the GIL."""

    def emit(context, builder, signature, args):
        from llvmlite import ir

        word = ir.IntType(64)
        return builder.call(_function(builder, "PyLong_FromLongLong", word, [word]), args)

    return _signature(1), emit


@intrinsic
def double_to_python(typing_context, bits):
    """A new Python float, from the bits of a float64; the thread must hold the GIL."""

    def emit(context, builder, signature, args):
        from llvmlite import ir

        value = builder.bitcast(args[0], ir.DoubleType())
        return builder.call(_function(builder, "PyFloat_FromDouble", ir.IntType(64), [ir.DoubleType()]), [value])

    return _signature(1), emit


@intrinsic
def single_to_python(typing_context, bits):
    """A new Python float, from the bits of a float32, the lower half of the word; the thread must hold the GIL."""

    def emit(context, builder, signature, args):
        from llvmlite import ir

        single = builder.bitcast(builder.trunc(args[0], ir.IntType(32)), ir.FloatType())
        value = builder.fpext(single, ir.DoubleType())
        return builder.call(_function(builder, "PyFloat_FromDouble", ir.IntType(64), [ir.DoubleType()]), [value])

    return _signature(1), emit


@intrinsic
def release_gil(typing_context):
    """Let other Python threads run; returns the state for `acquire_gil`."""

    def emit(context, builder, signature, args):
        from llvmlite import ir

        return builder.call(_function(builder, "PyEval_SaveThread", ir.IntType(64), []), [])

    return _signature(0), emit


@intrinsic
def acquire_gil(typing_context, state):
    """Take the GIL back."""

    def emit(context, builder, signature, args):
        from llvmlite import ir

        builder.call(_function(builder, "PyEval_RestoreThread", ir.VoidType(), [ir.IntType(64)]), args)
        return context.get_dummy_value()

    return _signature(1, returns=False), emit


@intrinsic
def pause(typing_context):
    """Tell the CPU that this is a spin loop."""

    def emit(context, builder, signature, args):
        from llvmlite import ir

        triple = target.triple().lower()
        if triple.startswith(("x86", "amd64", "i686")):
            builder.call(_function(builder, "llvm.x86.sse2.pause", ir.VoidType(), []), [])
        elif triple.startswith(("aarch64", "arm64")):
            # A barrier of about 10 ns; the architecture's own hint (yield) does nothing on most cores.
            kind = ir.IntType(32)
            builder.call(_function(builder, "llvm.aarch64.isb", ir.VoidType(), [kind]), [ir.Constant(kind, 15)])
        return context.get_dummy_value()

    return _signature(0, returns=False), emit


@intrinsic
def address_of_word(typing_context, value):
    """Address of a copy of a word on the stack; valid until the next call from the same line."""

    def emit(context, builder, signature, args):
        from llvmlite import ir
        from numba.core import cgutils

        slot = cgutils.alloca_once(builder, ir.IntType(64))  # once per function, also in a loop
        builder.store(args[0], slot)
        return builder.ptrtoint(slot, ir.IntType(64))

    return _signature(1), emit


@intrinsic
def call_system(typing_context, function, a, b, c, d, e, f):
    """Call a C function of up to six integer or pointer arguments by its address; returns its result."""

    def emit(context, builder, signature, args):
        from llvmlite import ir

        function_type = ir.FunctionType(ir.IntType(64), [ir.IntType(64)] * 6)
        return builder.call(builder.inttoptr(args[0], function_type.as_pointer()), args[1:])

    return _signature(7), emit


def interpreter_function(name: str, arity: int, result: str = "word") -> Intrinsic:
    """A function of the interpreter's C interface, over pointers and sizes as words; the thread must hold the GIL.

    ``result`` is what it returns in C: a 'word', an 'int', or 'void' (then this gives 0).
    """

    def call(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        from llvmlite import ir

        word = ir.IntType(64)
        type_ = {"word": word, "int": ir.IntType(32), "void": ir.VoidType()}[result]
        value = builder.call(_function(builder, name, type_, [word] * len(args)), args)
        return value if result == "word" else builder.sext(value, word) if result == "int" else ir.Constant(word, 0)

    def none(typing_context):
        return _signature(0), call

    def one(typing_context, a):
        return _signature(1), call

    def two(typing_context, a, b):
        return _signature(2), call

    def three(typing_context, a, b, c):
        return _signature(3), call

    def four(typing_context, a, b, c, d):
        return _signature(4), call

    return intrinsic((none, one, two, three, four)[arity])
