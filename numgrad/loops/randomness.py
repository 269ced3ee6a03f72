"""Random numbers that are a function of a seed and a counter: the reverse sweep finds them again without a tape.

The counter and the seed are mixed by multiplications and shifts like those of SplitMix64 (Steele, Lea and Flood, Fast splittable
pseudorandom number generators, 2014), in 62 bits, so that Python's integers and compiled int64 agree. Equal arguments give equal
numbers, in any order and by any thread. Programs that are translated call these functions like any other; they are read in place.

>>> uniform(3, 0) == uniform(3, 0), uniform(3, 0) == uniform(3, 1)
(True, False)
"""

from __future__ import annotations

import math

_HALF = 0x7FFFFFFF  # 31 bits


def _times(x: int, low: int, high: int) -> int:
    """The lower 62 bits of a product; both factors are given or taken as halves of 31 bits."""
    a = x & _HALF
    b = x >> 31
    bottom = a * low
    middle = (b * low + (bottom >> 31)) & _HALF
    middle = (middle + a * high) & _HALF
    return (middle << 31) | (bottom & _HALF)


def _mixed(x: int) -> int:
    """A number of 62 bits for another one, with every bit depending on every bit."""
    x = x ^ (x >> 30)
    x = _times(x, 0x1CE4E5B9, 0x7EB08EDA)
    x = x ^ (x >> 27)
    x = _times(x, 0x133111EB, 0x29A09376)
    return x ^ (x >> 31)


def uniform(seed: int, counter: int) -> float:
    """A number from 0 to 1, 1 excluded, with 53 random bits.

    ``seed`` and ``counter`` are integers from 0 to 2**61.
    """
    x = _mixed(seed + 1)
    x = _mixed((x ^ counter) & 0x3FFFFFFFFFFFFFFF)
    x = _mixed((x + 0x1E3779B97F4A7C15) & 0x3FFFFFFFFFFFFFFF)
    return (x >> 9) * (1.0 / 9007199254740992.0)


def normal(seed: int, counter: int) -> float:
    """A number with mean 0 and variance 1 of the normal distribution (Box and Muller, 1958).

    ``seed`` and ``counter`` are integers from 0 to 2**60.
    """
    radius = math.sqrt(-2.0 * math.log(1.0 - uniform(seed, 2 * counter)))
    return radius * math.cos(2.0 * math.pi * uniform(seed, 2 * counter + 1))
