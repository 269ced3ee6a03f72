"""Filling memory with one value, or with a sequence of numbers."""

from __future__ import annotations

import math

import numpy as np

from numgrad.kernels import angles, bessel_vectors
from numgrad.runtime.kernel import kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder

STRETCH = 1 << 20  # numbers that are counted in 32 bits


@kernel("T[:], T")
def fill(out, value, start, stop):
    out = out[start:stop]
    for i in range(out.shape[0]):
        out[i] = value


@kernel("T[:], i8")
def unit_rows(out, columns, start, stop):
    """Work: rows of a matrix with ones on its diagonal, and zeros elsewhere."""
    y = out[start * columns : stop * columns]
    for i in range(y.shape[0]):
        y[i] = 0
    for i in range(start, min(stop, columns)):
        out[i * columns + i] = 1


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


# Windows are symmetric: a place is counted from the nearer end, k of ``period`` steps, which is exact and best near the ends.
# Blocks, since integers of 32 bits become floating-point numbers in vectors, and those of 64 do not before AVX-512.
_BLOCK = 4096


@kernel("T[:], f8, f8, f8, f8")
def sine_window(out, period, start_value, slope, bend, start, stop):
    """A polynomial of u = sin(pi k / period)**2, in which cosines of whole turns have no cancellation."""
    step = 0.5 * math.pi / period
    for begin in range(start, stop, _BLOCK):
        base = np.float64(begin)
        for i in range(min(_BLOCK, stop - begin)):
            k = base + np.float64(np.int32(i))
            half = angles.short_sin(min(k, period - k) * step)  # of half the angle, at most pi / 4
            square = half * half
            u = 4.0 * square * (1.0 - square)
            out[begin + i] = start_value + u * (slope + u * bend)


@kernel("T[:], f8")
def triangle_window(out, period, start, stop):
    step = 2.0 / period
    for begin in range(start, stop, _BLOCK):
        base = np.float64(begin)
        for i in range(min(_BLOCK, stop - begin)):
            k = base + np.float64(np.int32(i))
            out[begin + i] = step * min(k, period - k)


@kernel("T[:], f8, f8")
def kaiser_window(out, period, beta, start, stop):
    middle = bessel_vectors.i0(beta)
    step = beta * (2.0 / period)
    for begin in range(start, stop, _BLOCK):
        base = np.float64(begin)
        for i in range(min(_BLOCK, stop - begin)):
            k = base + np.float64(np.int32(i))
            out[begin + i] = bessel_vectors.i0(step * math.sqrt(max(k * (period - k), 0.0))) / middle


def plan_window(b: PlanBuilder, out: Operand, shape: str, period: float, numbers: tuple[float, ...]) -> None:
    """Write a window into a contiguous operand: 'sine' with three numbers, 'triangle', or 'kaiser' with beta."""
    chosen = {"sine": sine_window, "triangle": triangle_window, "kaiser": kaiser_window}[shape]
    b.launch(chosen, out.flat, period, *numbers, work=out.extent, grain=GRAIN_COST // 16)


def plan_fill(b: PlanBuilder, out: Operand, value: float) -> None:
    """Write ``value`` into all of a dense operand."""
    b.launch(fill, out.flat, value, work=out.extent, grain=GRAIN_COST)


def plan_unit(b: PlanBuilder, out: Operand) -> None:
    """Write ones on the diagonal of a contiguous matrix, and zeros elsewhere."""
    rows, columns = out.spec.shape
    b.launch(
        unit_rows, out.flat, columns, work=rows if columns else 0, grain=GRAIN_COST // (columns + 1) + 1, cost=rows * columns
    )  # fmt: skip


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
