"""Conversions of float16 and bfloat16, which are kept as 16 bits and computed with as float32.

Kernels see an int16. All 65536 numbers of either dtype are float32 numbers; of a float32 the nearest half is taken, the even
one of two, as IEEE 754 rounds.
"""

from __future__ import annotations

import functools

import numpy as np

from numgrad.dtypes import bfloat16
from numgrad.dtypes import dtype as Dtype
from numgrad.kernels.integers import from_float
from numgrad.runtime.kernel import Device, device

_SCALE = np.float32(2.0**112)  # from the exponents of float16 to those of float32
_HALF = np.float32(0.5)  # its unit in the last place is the smallest float16


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
    whole = np.float32(x).view(np.int32)
    magnitude = np.int32(whole & 0x7FFFFFFF)  # each step in 32 bits, of which a vector holds twice as many as of 64
    last = np.int32(np.int32(magnitude >> 13) & 1)
    normal = np.int32(np.int32(magnitude - 0x37FFF001 + last) >> 13)
    tiny = np.int32(np.float32(abs(x) + _HALF).view(np.int32) - 0x3F000000)
    bits = normal if magnitude >= 0x38800000 else tiny
    bits = np.int32(0x7C00) if magnitude >= 0x477FF000 else bits
    bits = np.int32(0x7E00) if magnitude > 0x7F800000 else bits
    return np.int16(bits | np.int32(np.int32(whole >> 16) & 0x8000))


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
