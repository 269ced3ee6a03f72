"""Weighted sums along one dimension, of elements and weights that a table lists: interpolation and its transpose.

Along the last dimension neighbours have other taps, and no vector holds them. So as many rows as a vector has lanes are summed
together: they are transposed, summed as vectors, and the sums transposed back.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from numgrad.runtime import simd, target
from numgrad.runtime.kernel import Kernel, kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder
from numgrad.runtime.simd import address_of

# Weights are kept in fixed point, since constants of a plan are int64: 52 bits behind the point, for weights below 2**11.
_UNIT = 1.0 / (1 << 52)
_MOST_WEIGHT = 1 << 10
_MOST_ROOM = 1 << 19  # bytes of a worker's rows and sums, which stay in its second cache


@kernel("T[:, :, :], i8[:], i8[:], i8[:], T[:, :, :]")
def sum_taps_of_rows(x, starts, places, weights, out, start, stop):
    """out[o, i] = sum of weights[t] * x[o, places[t]] over the taps t of i; work: rows of out."""
    count = out.shape[1]
    real = out.dtype.type
    for unit in range(start, stop):
        o = unit // count
        i = unit - o * count
        y = out[o, i]
        for j in range(y.shape[0]):
            y[j] = real(0)
        for t in range(starts[i], starts[i + 1]):
            v = x[o, places[t]]
            weight = real(weights[t] * 2.220446049250313e-16)
            for j in range(y.shape[0]):
                y[j] += weight * v[j]


@kernel("T[:, :], i8[:], i8[:], i8[:], T[:, :]")
def sum_taps_of_elements(x, starts, places, weights, out, start, stop):
    """out[o, i] = sum of weights[t] * x[o, places[t]] over the taps t of i; work: rows of out."""
    real = out.dtype.type
    for o in range(start, stop):
        v, y = x[o], out[o]
        for i in range(y.shape[0]):
            total = real(0)
            for t in range(starts[i], starts[i + 1]):
                total += real(weights[t] * 2.220446049250313e-16) * v[places[t]]
            y[i] = total


class Sides(NamedTuple):
    """Elements of a row of x, of a row of out, and rows."""

    extent: int
    results: int
    rows: int


@functools.cache
def taps_in_squares(itemsize: int) -> Kernel:
    """`sum_taps_of_elements` for elements of 4 or 8 bytes, by squares of rows."""
    code = "f4" if itemsize == 4 else "f8"
    square, lanes = simd.transpose_tile(code), target.host_target().lanes(itemsize)

    @kernel("T[:], i8[:], i8[:], i8[:], T[:], T[:], T[:], Sides", Sides)
    def sum_taps_in_squares(x, starts, places, weights, columns, sums, out, sides, start, stop, worker):
        """Work: squares of rows. ``columns`` and ``sums`` have, for each worker, a vector for each element of both rows."""
        extent, count, rows = sides
        columns = columns[worker * extent * lanes : (worker + 1) * extent * lanes]
        sums = sums[worker * count * lanes : (worker + 1) * count * lanes]
        real = out.dtype.type
        for unit in range(start, stop):
            v, y = x[unit * lanes * extent :], out[unit * lanes * count :]
            few = min(lanes, rows - unit * lanes)
            whole = extent // lanes * lanes if few == lanes else 0
            for j in range(0, whole, lanes):
                square(address_of(v, j), extent * itemsize, address_of(columns, j * lanes), lanes * itemsize)
            for j in range(whole, extent):
                for r in range(few):
                    columns[j * lanes + r] = v[r * extent + j]
            for i in range(count):
                total = sums[i * lanes : (i + 1) * lanes]
                first, end = starts[i], starts[i + 1]
                if end - first == 2:
                    a, b = columns[places[first] * lanes :][:lanes], columns[places[first + 1] * lanes :][:lanes]
                    p, q = (
                        real(weights[first] * 2.220446049250313e-16),
                        real(weights[first + 1] * 2.220446049250313e-16),
                    )
                    for r in range(lanes):
                        total[r] = p * a[r] + q * b[r]
                    continue
                for r in range(lanes):
                    total[r] = real(0)
                for t in range(first, end):
                    a, p = columns[places[t] * lanes :][:lanes], real(weights[t] * 2.220446049250313e-16)
                    for r in range(lanes):
                        total[r] += p * a[r]
            whole = count // lanes * lanes if few == lanes else 0
            for i in range(0, whole, lanes):
                square(address_of(sums, i * lanes), lanes * itemsize, address_of(y, i), count * itemsize)
            for i in range(whole, count):
                for r in range(few):
                    y[r * count + i] = sums[i * lanes + r]

    return sum_taps_in_squares


def fixed_point(weights: np.ndarray) -> np.ndarray:
    """Weights as the kernels take them."""
    assert not weights.size or abs(weights).max() < _MOST_WEIGHT
    return np.rint(weights / _UNIT).astype(np.int64)


def plan_sum_taps(
    b: PlanBuilder,
    x: Operand,
    out: Operand,
    sides: tuple[int, int, int, int],
    starts: np.ndarray,
    places: np.ndarray,
    weights: np.ndarray,
) -> None:
    """Sums of taps along one dimension.

    x, out
        Dense, in one order of memory: (outer, extent, inner) and (outer, count, inner).
    sides
        outer, extent, count, inner.
    starts, places, weights
        The taps of element i of out are starts[i] to starts[i + 1] - 1: where they lie in x, and their factors.
    """
    outer, extent, count, inner = sides
    assert len(starts) == count + 1
    assert starts[-1] == len(places) == len(weights)
    assert not len(places) or 0 <= places.min() <= places.max() < extent
    if outer * count * inner == 0:
        return
    tables = (b.constant(starts), b.constant(places), b.constant(fixed_point(weights)))
    cost = outer * (len(places) + count) * (inner + 4)
    itemsize = x.spec.dtype.itemsize
    lanes = target.host_target().lanes(itemsize)
    if inner == 1 and lanes > 1 and outer >= lanes and (extent + count) * lanes * itemsize <= _MOST_ROOM:
        squares, cost = -(-outer // lanes), outer * (len(places) + 2 * count + extent)
        columns, sums = (b.scratch(x.spec.dtype, each * lanes, per_worker=True).flat for each in (extent, count))
        b.launch(
            taps_in_squares(itemsize), x.array(outer * extent), *tables, columns, sums, out.array(outer * count),
            Sides(extent, count, outer), work=squares, grain=max(1, GRAIN_COST * squares // cost), cost=cost,
        )  # fmt: skip
        return
    if inner == 1:
        b.launch(
            sum_taps_of_elements, x.array(outer, extent), *tables, out.array(outer, count),
            work=outer, grain=max(1, GRAIN_COST * outer // cost), cost=cost,
        )  # fmt: skip
        return
    b.launch(
        sum_taps_of_rows, x.array(outer, extent, inner), *tables, out.array(outer, count, inner),
        work=outer * count, grain=max(1, GRAIN_COST * outer * count // cost), cost=cost,
    )  # fmt: skip
