"""Functions with `prange`: turns that are independent, for every rule one, and turns that are not, each with the reason.

In plain Python and for the numbers that carry derivatives `prange` is `range`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import prange

TAKEN: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
SERIAL: list[tuple[Callable[..., Any], tuple[Any, ...], str]] = []
_X = np.sin(np.arange(1.0, 71.0))  # 70 turns: parts of three, and a shorter one
_SHORT = _X[:5].copy()
_M = np.cos(np.arange(1.0, 71.0 * 3 + 1)).reshape(71, 3)


def taken(*args: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Runs in parts."""
    return lambda function: TAKEN.append((function, args)) or function  # type: ignore[func-returns-value]


def serial(reason: str, *args: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Runs one turn after the other, since ``reason``."""
    return lambda function: SERIAL.append((function, args, reason)) or function  # type: ignore[func-returns-value]


# ---- independent ------------------------------------------------------------------------------------------------


@taken(_X, 0.7)
def own_elements(x, scale):
    out = np.zeros_like(x)
    for i in prange(x.shape[0]):
        out[i] = math.sin(x[i]) * scale
        out[i] *= x[i]
    return out


@taken(_SHORT)
def read_by_all(x):
    out = np.zeros(40)
    total = 0.25
    for i in prange(40):
        s = 0.0
        for j in range(x.shape[0]):
            s += math.sin(x[j] * (i + 1))
        out[i] = s * x[0]
        total -= s
    return out, total


@taken(_X)
def extremes_of_numpy(x):
    """Reductions by functions that hand a NaN on, or pass it over."""
    low, high, least, most = 0.3, -3.0, x[0], x[1]
    for i in prange(x.shape[0]):
        low = np.minimum(x[i] * 2.0, low)
        high = np.maximum(high, math.sin(x[i]))
        least = np.fmin(least, x[i])
        most = np.fmax(x[i] * x[i], most)
    return low * high, low, high, least, most


@taken(_X, 3)
def reductions(x, n):
    """A sum, a product, both ends and a count; one of them in a branch, one in an inner loop."""
    total, product, low, high, count = 0.5, 1.5, 0.3, -3.0, 0
    for i in prange(x.shape[0]):
        v = x[i] * x[i] + 0.5
        if v > 0.7:
            total += v
            count += 1
        for k in range(n):
            product *= 1.0 + 0.01 * v * k
        low = min(low, x[i] * 2.0)
        high = max(high, math.sin(x[i]))
    return total * product + low * high + count


@taken(_X, 0.4)
def as_many_steps_as_it_takes(x, tol):
    """The room of a part's tape is found by a run that counts."""
    out = np.empty(x.shape[0])
    for i in prange(x.shape[0]):
        v = x[i]
        while abs(v) > tol:
            v = v * 0.7 + 0.01 * math.sin(v)
        out[i] = v * v
    return out


@taken(_X, 4)
def stencil_in_time(u, steps):
    n = u.shape[0]
    old = u.copy()
    new = u.copy()
    for t in range(steps):
        for i in prange(1, n - 1):
            new[i] = old[i] + (0.2 + 0.01 * t) * (old[i - 1] - 2.0 * old[i] + old[i + 1]) * old[i + 1]
        old, new = new, old
    return old


@taken(_M)
def rows(m):
    """An array that is made anew in each turn, views, and the columns of what is written."""
    out = np.zeros((3, m.shape[0]))
    for i in prange(m.shape[0] - 1):
        row = m[i]
        work = np.zeros(3)
        for k in range(3):
            work[k] = math.tanh(row[k] + m[i + 1, k])
            for j in range(k):
                work[j] += work[k] * row[j]
        for k in range(3):
            out[k, i + 1] = work[k] * work[0]
    return out


@taken(_X)
def twice_with_the_same_names(x):
    out = np.zeros_like(x)
    v = 2.0
    for i in prange(x.shape[0]):
        v = x[i] * x[i]
        for _ in range(2):
            v = math.sin(v) + 0.1 * x[i]
        out[i] = v
    for i in prange(x.shape[0]):
        v = out[i]
        for _ in range(3):
            v *= 0.5 + out[i]
        out[i] = v
    return out


@taken(_X, 2, True)
def in_branches_and_loops(x, steps, flag):
    total = 0.0
    out = x.copy()
    for t in range(steps):
        if flag:
            for i in prange(x.shape[0] - t):
                out[i] = out[i] * math.cos(x[i])
                if out[i] > 0.0:
                    v = out[i]
                    while v > 0.2:
                        v *= 0.6 + 0.1 * v
                    total += v
    return total


@taken(_SHORT, 0)
def no_turn(x, n):
    total = x[0]
    for i in prange(n):
        total += x[i]
    return total


def in_single_precision(x, c):
    out = np.zeros_like(x)
    for i in prange(1, x.shape[0]):
        out[i] = x[i - 1] * x[i] + x[0] * c
    return out


def asserted(x):
    out = np.zeros_like(x)
    for i in prange(x.shape[0]):
        assert x[i] > 0.0, "it is negative"
        out[i] = math.sqrt(x[i])
    return out


# ---- dependent --------------------------------------------------------------------------------------------------


@serial("v goes from turn to turn", _SHORT)
def carried(x):
    out = np.zeros_like(x)
    v = 0.3
    for i in prange(x.shape[0]):
        v = math.tanh(v + x[i])
        out[i] = v
    return out


@serial("v is what the last turn left", _SHORT)
def last(x):
    v = 0.3
    for i in prange(x.shape[0]):
        v = x[i] * x[i]
    return v


@serial("total goes from turn to turn", _SHORT)
def read_while_it_grows(x):
    out = np.zeros_like(x)
    total = 0.0
    for i in prange(x.shape[0]):
        total += x[i]
        out[i] = total
    return out


@serial("total goes from turn to turn", _SHORT)
def two_reductions_of_one(x):
    total = 1.0
    for i in prange(x.shape[0]):
        total += x[i]
        total *= 0.9
    return total


@serial("a turn reads elements of out that others may write", _SHORT)
def neighbours(x):
    out = x.copy()
    for i in prange(1, x.shape[0]):
        out[i] = out[i - 1] * 0.5 + x[i]
    return out


@serial("out is written at indices", _SHORT)
def scattered(x):
    out = np.zeros(3)
    for i in prange(x.shape[0]):
        out[i % 3] += x[i] * x[i]
    return out


@serial("out is written at indices", _SHORT)
def around_the_end(x):
    """The first turn writes the last element."""
    out = np.zeros_like(x)
    for i in prange(x.shape[0] + 1):
        out[i - 1] = out[i - 1] * 0.5 + x[min(i, 2)]
    return out


@serial("a turn reads elements of buffer", _SHORT)
def what_the_turn_before_left(x):
    buffer = np.zeros(9)
    out = np.zeros_like(x)
    for i in prange(x.shape[0]):
        out[i] = buffer[i] * x[i]
        buffer[i + 1] = x[i] + buffer[i + 1]
    return out


@serial("buffer is written at indices", _SHORT)
def one_buffer_for_all(x):
    buffer = np.zeros(1)
    out = np.zeros_like(x)
    for i in prange(x.shape[0]):
        out[i] = buffer[0] * x[i]
        buffer[0] = x[i]
    return out


@serial("it may be left", _SHORT)
def left_early(x):
    total = 0.0
    for i in prange(x.shape[0]):
        if x[i] < 0.0:
            break
        total += x[i]
    return total


@serial("its step is not 1", _SHORT)
def by_twos(x):
    total = 0.0
    for i in prange(0, x.shape[0], 2):
        total += x[i] * x[i]
    return total


@serial("arrays change their names", _SHORT)
def swaps(x):
    a = x.copy()
    b = x * x
    for _ in prange(x.shape[0]):
        a, b = b, a
    return a


@serial("i is changed in it, or read after it", _SHORT)
def read_after(x):
    total = 0.0
    i = 0
    for i in prange(x.shape[0]):
        total += x[i]
    return total * i


@serial("it is in another one", _SHORT)
def nested(x):
    out = np.zeros((5, 5))
    for i in prange(5):
        for j in prange(5):
            out[i, j] = x[i] * x[j]
    return out
