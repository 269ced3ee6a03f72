"""Filling memory with one value, or with a sequence of numbers."""

from __future__ import annotations

import numpy as np

from numgrad.runtime.kernel import kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder

STRETCH = 1 << 20  # numbers that are counted in 32 bits


@kernel("T[:], T")
def fill(out, value, start, stop):
    out = out[start:stop]
    for i in range(out.shape[0]):
        out[i] = value


@kernel("T[:], f8, f8")
def ramp(out, first, step, start, stop):
    for begin in range(start, stop, STRETCH):
        y, number = out[begin : min(stop, begin + STRETCH)], np.float64(begin)
        for i in range(y.shape[0]):
            y[i] = first + (number + np.int32(i)) * step  # vectors of 64-bit integers cannot be converted on most CPUs


@kernel("T[:], i8, i8")
def integer_ramp(out, first, step, start, stop):
    y, number = out[start:stop], first + start * step
    for i in range(y.shape[0]):
        y[i] = number
        number += step


@kernel("T[:], f8, f8, f8")
def line(out, first, last, step, start, stop):
    end = out.shape[0] - 1
    half = out.shape[0] // 2 if end else 1
    for begin in range(start, min(half, stop), STRETCH):
        y, number = out[begin : min(half, stop, begin + STRETCH)], np.float64(begin)
        for i in range(y.shape[0]):
            y[i] = first + step * (number + np.int32(i))
    for begin in range(max(start, half), stop, STRETCH):
        y, number = out[begin : min(stop, begin + STRETCH)], np.float64(end - begin)
        for i in range(y.shape[0]):
            y[i] = last - step * (number - np.int32(i))


@kernel("T[:], i8, i8, f8")
def integer_line(out, first, last, step, start, stop):
    """Rounded towards 0, as in torch; the ends are exact."""
    end = out.shape[0] - 1
    half = out.shape[0] // 2
    for i in range(start, stop):
        if i == 0:
            out[i] = first
        elif i == end:
            out[i] = last
        else:
            out[i] = np.int64(first + step * i if i < half else last - step * (end - i))


def plan_fill(b: PlanBuilder, out: Operand, value: float) -> None:
    """Write ``value`` into all of a dense operand."""
    b.launch(fill, out.flat, value, work=out.extent, grain=GRAIN_COST)


def plan_ramp(b: PlanBuilder, out: Operand, first: float, step: float) -> None:
    """Write first, first + step, … into a contiguous operand; each value is computed on its own, so errors don't add up."""
    chosen = ramp if out.spec.dtype.is_floating_point else integer_ramp
    b.launch(chosen, out.flat, first, step, work=out.extent, grain=GRAIN_COST)


def plan_line(b: PlanBuilder, out: Operand, first: float, last: float) -> None:
    """Write numbers at even distances from first to last into a contiguous operand, each half counted from its end.

    Integers lie within 2**53, where all of them are floating-point numbers as well.
    """
    count = out.extent
    step = (last - first) / (count - 1) if count > 1 else 0.0
    chosen = line if out.spec.dtype.is_floating_point else integer_line
    b.launch(chosen, out.flat, first, last, step, work=count, grain=GRAIN_COST)
