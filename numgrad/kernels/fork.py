"""Parts of a loop in a kernel, on all threads: the turns of a `prange` in functions with loops (`numgrad.loops`)."""

from __future__ import annotations

from typing import Any

from numgrad.runtime.kernel import BAD_INDEX, intrinsic
from numgrad.runtime.threads import MOST_THREADS


@intrinsic
def fork_parts(typing_context, function, pool, parts, given):
    """``function(part, *given)`` for ``range(parts)``, each a chunk of a region of the pool's (see `runtime.pool`).

    ``pool`` holds the addresses of the pool's words and of `run_region`. A kernel that has the pool's workers already, since it
    runs for several examples, runs the parts itself. The first array of ``given`` has a word for each part; an index that is
    out of range, in a function that checks them, leaves BAD_INDEX there.
    """
    from numba import types

    inner = function.get_call_type(typing_context, (types.int64, *given.types), {})

    def emit(context, builder, signature, args):
        from llvmlite import ir
        from numba.core import cgutils

        word = ir.IntType(64)
        compiled = function.dispatcher.get_compile_result(inner)
        context.active_code_library.add_linking_library(compiled.library)
        frame = cgutils.alloca_once_value(builder, args[3])
        entry_type = ir.FunctionType(ir.VoidType(), [word] * 4)
        entry = ir.Function(builder.module, entry_type, builder.module.get_unique_name("numgrad_part"))
        entry.linkage = "internal"
        body = ir.IRBuilder(entry.append_basic_block())
        items = cgutils.unpack_tuple(body, body.load(body.inttoptr(entry.args[0], frame.type)))
        statuses = context.make_array(given.types[0])(context, body, items[0]).data
        with cgutils.for_range_slice(body, entry.args[1], entry.args[2], ir.Constant(word, 1)) as (part, _):
            status, _ = context.call_internal_no_propagate(body, compiled.fndesc, inner, [part, *items])
            with cgutils.if_unlikely(body, status.is_error):
                body.store(ir.Constant(word, BAD_INDEX), body.gep(statuses, [part]))
        body.ret_void()
        words = context.make_array(signature.args[1])(context, builder, args[1]).data
        region_type = ir.FunctionType(ir.VoidType(), [word] * 6)
        address = builder.load(builder.gep(words, [ir.Constant(word, 1)]))
        builder.call(
            builder.inttoptr(address, region_type.as_pointer()),
            [
                builder.load(words), builder.ptrtoint(entry, word), builder.ptrtoint(frame, word), args[2],
                ir.Constant(word, 1), ir.Constant(word, MOST_THREADS),
            ],
        )  # fmt: skip
        return context.get_dummy_value()

    return types.none(function, pool, types.int64, given), emit


@fork_parts.in_python
def _(function: Any, pool: Any, parts: int, given: tuple[Any, ...]) -> None:
    for part in range(parts):
        function(part, *given)
