"""Arithmetic of integers as in torch, and the conversion of floating point to integers.

It differs from Numba's, and sometimes from the processor's: it wraps, and operations without a result are found before they
are computed.
"""

from __future__ import annotations

import functools

import numpy as np

from numgrad.runtime.kernel import Device, device


@device
def floor_divide(x, y):
    """The floor of x / y. The smallest integer by -1 wraps to itself. Where y is 0, nobody reads the result."""
    return -x if y == -1 else x // y


@device
def power(x, y):
    """x to the power y, wrapping. A negative power is cut to an integer: 0, but for 1 and -1."""
    if y < 0:
        last = 1 - 2 * (y & 1)
        return 1 if x == 1 else last if x == -1 else 0
    result, square, rest = np.int64(1), np.int64(x), np.int64(y)
    while rest:
        if rest & 1:
            result *= square
        square *= square
        rest >>= 1
    return result


@device
def sign(x):
    """-1, 0 or 1."""
    return 1 if x > 0 else -1 if x < 0 else 0


@device
def fmod(x, y):
    """The remainder of x / y cut to an integer, with the sign of x; y is not 0, or nobody reads the result."""
    remainder = x - x if y == -1 else x % y
    return remainder - y if remainder != 0 and (x < 0) != (y < 0) else remainder


@device
def gcd(x, y):
    """The greatest common divisor of abs(x) and abs(y), by Euclid; that of 0 and 0 is 0."""
    x, y = abs(np.int64(x)), abs(np.int64(y))
    while y != 0:
        x, y = y, x % y
    return abs(x)


@device
def lcm(x, y):
    """The least common multiple of abs(x) and abs(y), wrapping; 0 if either is."""
    divisor = gcd(x, y)
    return np.int64(0) if divisor == 0 else abs(np.int64(x) // divisor * np.int64(y))


@functools.cache
def from_float(source: str, target: str) -> Device:
    """The conversion of a number of dtype ``source`` ('f4', 'f8') to the integers ``target``, defined for all numbers.

    It is torch's on x86, on every processor. The number is truncated to an integer of 64 bits for int64 and uint8, of 32
    bits for the others; numbers out of its range, NaN and infinities become the smallest such integer. The lowest bits are
    the result. The machine's own instructions may differ even between a vector's element and one in the scalar loop behind it.
    """
    number = np.float32 if source == "f4" else np.float64
    # The lowest bits of a float32 beyond 2**31 are 0, whichever way it is truncated.
    bits = 64 if target == "i8" or (target == "u1" and source == "f8") else 32
    integer = np.int64 if bits == 64 else np.int32
    limit, smallest = number(2.0 ** (bits - 1)), integer(-(1 << (bits - 1)))

    def converted(x):
        return integer(x) if abs(x) < limit else smallest

    return Device(converted)
