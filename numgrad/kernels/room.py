"""Arrays that lie in memory which a kernel is given: the local arrays and tapes of functions with loops (`numgrad.loops`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numgrad.runtime.independent import MARK
from numgrad.runtime.kernel import Intrinsic, intrinsic

MOST_DIMENSIONS = 6


def _room(ndim: int) -> Intrinsic:
    """``room(memory, begin, *extents)``: the array of these extents that begins at an element of a 1-D array."""

    def emit_room(memory: Any, begin: Any, extents: tuple[Any, ...]) -> Any:
        from numba import types

        array = types.Array(memory.dtype, ndim, "C")

        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            from llvmlite import ir
            from numba.np.arrayobj import populate_array

            source = context.make_array(signature.args[0])(context, builder, args[0])
            result = context.make_array(array)(context, builder)
            itemsize = ir.Constant(ir.IntType(64), context.get_abi_sizeof(context.get_data_type(memory.dtype)))
            strides = [itemsize]
            for extent in reversed(args[3:]):
                strides.insert(0, builder.mul(strides[0], extent))
            data = builder.gep(source.data, [args[1]])
            populate_array(result, data=data, shape=args[2:], strides=strides, itemsize=itemsize, meminfo=None)
            return result._getvalue()

        return array(memory, types.int64, *[types.int64] * ndim), emit

    typed: Callable[..., Any]  # Numba asks for its parameters by number
    if ndim == 1:
        typed = lambda context, memory, begin, a: emit_room(memory, begin, (a,))  # noqa: E731
    elif ndim == 2:
        typed = lambda context, memory, begin, a, b: emit_room(memory, begin, (a, b))  # noqa: E731
    elif ndim == 3:
        typed = lambda context, memory, begin, a, b, c: emit_room(memory, begin, (a, b, c))  # noqa: E731
    elif ndim == 4:
        typed = lambda context, memory, begin, a, b, c, d: emit_room(memory, begin, (a, b, c, d))  # noqa: E731
    elif ndim == 5:
        typed = lambda context, memory, begin, a, b, c, d, e: emit_room(memory, begin, (a, b, c, d, e))  # noqa: E731
    else:
        typed = lambda context, memory, begin, a, b, c, d, e, f: emit_room(memory, begin, (a, b, c, d, e, f))  # noqa: E731
    typed.__name__ = f"room{ndim}"
    return Intrinsic(typed, _in_python)


def _in_python(memory: Any, begin: int, *extents: int) -> Any:
    size = 1
    for extent in extents:
        size *= int(extent)
    return memory[begin : begin + size].reshape(extents)


ROOMS = {f"room{ndim}": _room(ndim) for ndim in range(1, MOST_DIMENSIONS + 1)}


@intrinsic
def tape_ahead(typing_context, tape, index):
    """Ask for the memory round an element of a tape that will be read soon: too many streams lie between for the CPU to see it."""
    from numba import types

    def emit(context, builder, signature, args):
        from llvmlite import ir

        number, byte = ir.IntType(32), ir.IntType(8).as_pointer()
        name, kind = "llvm.prefetch.p0", ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        prefetch = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        memory = context.make_array(signature.args[0])(context, builder, args[0]).data
        address = builder.bitcast(builder.gep(memory, [args[1]]), byte)
        builder.call(prefetch, [address, *[ir.Constant(number, each) for each in (0, 2, 1)]])  # read, to L2, data
        return context.get_dummy_value()

    return types.none(tape, types.int64), emit


@tape_ahead.in_python
def _(tape, index):
    pass


@intrinsic
def add_in_any_order(typing_context, total, term):
    """A sum that a loop makes by itself; LLVM may take it apart into sums of its own, one for each lane of a vector."""
    from numba import types

    def emit(context, builder, signature, args):
        return builder.fadd(*args, flags=("reassoc", "contract"))

    return types.float64(types.float64, types.float64), emit


@add_in_any_order.in_python
def _(total, term):
    return total + term


@intrinsic
def independent_turns(typing_context):
    """Stands in a loop of which no turn reads or writes an element that another one writes (`runtime.independent`)."""
    from numba import types

    def emit(context, builder, signature, args):
        from llvmlite import ir

        mark = builder.module.globals.get(MARK)
        builder.call(mark or ir.Function(builder.module, ir.FunctionType(ir.VoidType(), []), MARK), [])
        return context.get_dummy_value()

    return types.none(), emit


@independent_turns.in_python
def _():
    pass


ROOMS |= {
    "independent_turns": independent_turns,
    "tape_ahead": tape_ahead,
    "add_in_any_order": add_in_any_order,
}
