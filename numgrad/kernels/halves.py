"""Conversions of float16 and bfloat16, which are kept as 16 bits and computed with as float32.

Kernels see an int16. All 65536 numbers of either dtype are float32 numbers; of a float32 the nearest half is taken, the even
one of two, as IEEE 754 rounds.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from numgrad.dtypes import bfloat16
from numgrad.dtypes import dtype as Dtype
from numgrad.kernels.integers import from_float
from numgrad.runtime import target
from numgrad.runtime.kernel import Device, device, intrinsic

_SCALE = np.float32(2.0**112)  # from the exponents of float16 to those of float32


@device
def from_float16(x):
    """The float32 of float16 bits."""
    magnitude = np.int32((x & 0x7FFF) << 13)
    finite = magnitude.view(np.float32) * _SCALE
    value = finite if magnitude < 0x0F800000 else np.int32(magnitude | 0x7F800000).view(np.float32)
    return -value if x < 0 else value


@device
def to_float16(x):
    """The bits of the float16 nearest to a float32."""
    return nearest_float16(np.float32(x))


@intrinsic
def nearest_float16(typing_context, x):
    """`to_float16` of a float32, by the CPU's instruction for it where there is one; NaN has one form, with its sign."""
    from numba import types

    def emit(context, builder, signature, args):
        from llvmlite import ir

        (value,) = args
        word, short = ir.IntType(32), ir.IntType(16)
        whole = builder.bitcast(value, word)
        if target.host_target().vector_bytes >= 16:
            bits = builder.bitcast(builder.fptrunc(value, ir.HalfType()), short)
        else:
            bits = builder.trunc(_rounded(builder, whole), short)
        sign = builder.and_(builder.trunc(builder.lshr(whole, word(16)), short), short(0x8000))
        return builder.select(
            builder.fcmp_unordered("uno", value, value), builder.or_(sign, short(0x7E00)), builder.or_(bits, sign)
        )

    return types.int16(x), emit


def _rounded(builder: Any, whole: Any) -> Any:
    """The bits without the sign, by integers: a small number is added to one whose last place is the smallest float16."""
    from llvmlite import ir

    word = whole.type
    magnitude = builder.and_(whole, word(0x7FFFFFFF))
    last = builder.and_(builder.lshr(magnitude, word(13)), word(1))
    normal = builder.lshr(builder.add(builder.sub(magnitude, word(0x37FFF001)), last), word(13))
    small = builder.bitcast(magnitude, ir.FloatType())
    tiny = builder.sub(builder.bitcast(builder.fadd(small, small.type(0.5)), word), word(0x3F000000))
    bits = builder.select(builder.icmp_unsigned(">=", magnitude, word(0x38800000)), normal, tiny)
    return builder.select(builder.icmp_unsigned(">=", magnitude, word(0x477FF000)), word(0x7C00), bits)


@nearest_float16.in_python
def _(x):
    if x != x:
        return np.int16(0x7E00 - 0x8000) if np.signbit(x) else np.int16(0x7E00)
    with np.errstate(over="ignore"):
        return np.float16(x).view(np.int16)


@device
def from_bfloat16(x):
    """The float32 of bfloat16 bits, which are its upper half."""
    value = np.int32((x & 0x7FFF) << 16).view(np.float32)
    return -value if x < 0 else value


@device
def to_bfloat16(x):
    """The bits of the bfloat16 nearest to a float32."""
    whole = np.float32(x).view(np.int32)
    magnitude = np.int32(whole & 0x7FFFFFFF)
    last = np.int32(np.int32(magnitude >> 16) & 1)
    bits = np.int32(np.int32(magnitude + 0x7FFF + last) >> 16)
    bits = np.int32(0x7FC0) if magnitude > 0x7F800000 else bits
    return np.int16(bits | np.int32(np.int32(whole >> 16) & 0x8000))


@functools.cache
def conversion(source: Dtype, target: Dtype) -> Device:
    """The conversion of one number, where one of two different dtypes is a half."""
    widen = from_bfloat16 if source is bfloat16 else from_float16
    narrow = to_bfloat16 if target is bfloat16 else to_float16
    if not source.is_half:

        def converted(x):
            return narrow(np.float32(x))
    elif target.is_half:

        def converted(x):
            return narrow(widen(x))
    elif target.is_bool:

        def converted(x):
            return widen(x) != 0
    elif target.is_floating_point:
        return widen
    else:
        cut = from_float("f4", target.code)

        def converted(x):
            return cut(widen(x))

    return Device(converted)
