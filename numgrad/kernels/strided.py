"""Every second, third or fourth element of memory, read so that LLVM picks it out of whole vectors.

An index that is multiplied might wrap around for all that LLVM knows, and so elements are gathered one by one, which takes three
times as long on AMD's CPUs. Here the product is said not to, and the address to lie within the array.
"""

from __future__ import annotations

import functools
from typing import Any

from numgrad.runtime.kernel import Intrinsic, intrinsic


@functools.cache
def every(step: int) -> Intrinsic:
    """``get(array, i)``: element ``step * i`` of a contiguous array, for i from 0 on."""

    @intrinsic
    def get(typing_context, array, i):
        from numba import types

        def emit(context, builder, signature, args):
            array = signature.args[0]
            fields = context.data_model_manager[array]
            index = builder.mul(args[1], args[1].type(step), flags=("nuw", "nsw"))
            if context.enable_boundscheck:
                extents = builder.extract_value(args[0], fields.get_field_position("shape"))
                with builder.if_then(
                    builder.icmp_unsigned(">=", index, builder.extract_value(extents, 0)), likely=False
                ):
                    context.call_conv.return_user_exc(builder, IndexError, ("index is out of bounds",))
            data = builder.extract_value(args[0], fields.get_field_position("data"))
            element = builder.load(builder.gep(data, [index], inbounds=True))
            return context.data_model_manager[array.dtype].from_data(builder, element)

        return array.dtype(array, types.int64), emit

    get.in_python(functools.partial(_in_python, step))
    return get


def _in_python(step: int, array: Any, i: int) -> Any:
    return array[step * i]
