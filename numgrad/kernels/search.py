"""Searching in sorted lines: where values would be inserted, and the bins of a histogram."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numgrad.errors import ProofError
from numgrad.kernels.reduce_kernels import choose
from numgrad.runtime.kernel import kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder

SEARCHED = 256  # values that are searched at once


class Search(NamedTuple):
    """Lengths of the sorted lines and of what is searched in each; whether one line serves all, and which side is meant."""

    length: int
    searched: int
    shared: int
    right: int


@kernel("T[:], T[:], i8[:], Search", Search)
def search_lines(lines, values, out, search, start, stop):
    """How many elements of a sorted line come before each value: those below it, with ``right`` those not above it.

    A NaN comes behind all elements, and one in a line behind all values. All values of a block take the same steps, one
    after the other: no branch depends on them, and their reads overlap.
    """
    unit = start
    while unit < stop:
        row = 0 if search.shared else unit // search.searched
        last = min(stop, unit + SEARCHED)
        if not search.shared:
            last = min(last, (row + 1) * search.searched)
        line = lines[row * search.length : (row + 1) * search.length]
        v, low = values[unit:last], out[unit:last]
        unit = last
        for i in range(low.shape[0]):
            low[i] = 0
        rest = line.shape[0]
        while rest > 0:
            half = (rest + 1) // 2
            if search.right:
                for i in range(low.shape[0]):
                    low[i] += choose((line[np.uint64(low[i] + half - 1)] <= v[i]) | (v[i] != v[i]), half, 0)
            else:
                for i in range(low.shape[0]):
                    low[i] += choose((line[np.uint64(low[i] + half - 1)] < v[i]) | (v[i] != v[i]), half, 0)
            rest -= half


@kernel("T[:], T[:], i8[:], i8, i8, f8")
def find_bins(x, edges, places, step, first, scale, start, stop):
    """The bin of each ``step``-th element from ``first`` on; their number for what lies outside of all, and for NaN.

    Bins of one width are computed, for a ``scale`` that is not 0, and moved by one where that was rounded across an edge.
    """
    bins = edges.shape[0] - 1
    e, low, high = edges, edges[0], edges[bins]
    for i in range(start, stop):
        v = x[np.uint64(first + i * step)]
        inside = (v >= low) & (v <= high)
        v = v if inside else low
        if scale != 0.0:
            number = min(max(np.int64((v - low) * scale), 0), bins - 1)
            number -= np.int64(v < e[np.uint64(number)])
            number += np.int64((v >= e[np.uint64(number + 1)]) & (number < bins - 1))
        else:
            number, rest = 0, bins + 1
            while rest > 0:
                half = (rest + 1) // 2
                number += choose(e[np.uint64(number + half - 1)] <= v, half, 0)
                rest -= half
            number = min(number - 1, bins - 1)
        places[i] = number if inside else bins


# ---- planning ---------------------------------------------------------------------------------------------------


def plan_search(b: PlanBuilder, lines: Operand, values: Operand, out: Operand, *, right: bool) -> None:
    """Where each of ``values`` would be inserted into a sorted line.

    lines
        Contiguous along the last dimension: one for all values, or one for each line of values.
    values, out
        Contiguous, of one shape; values has the lines' dtype, out is int64.
    """
    shape = tuple(values.spec.shape)
    shared = lines.spec.ndim == 1
    if not all(operand.spec.is_contiguous for operand in (lines, values, out)) or tuple(out.spec.shape) != shape:
        raise ProofError(f"search: {values.spec} in {lines.spec} to {out.spec}, expected contiguous, values as out")
    if not shared and tuple(lines.spec.shape[:-1]) != shape[:-1]:
        raise ProofError(f"search: {values.spec} in {lines.spec}, expected a line for each line of values")
    length, searched = lines.spec.shape[-1], shape[-1] if shape else 1
    cost = 8 * (1 + length.bit_length())
    b.launch(
        search_lines, lines.flat, values.flat, out.flat, Search(length, searched, int(shared), int(right)),
        work=values.spec.numel, grain=max(1, GRAIN_COST // cost), cost=values.spec.numel * cost,
    )  # fmt: skip


def plan_find_bins(b: PlanBuilder, x: Operand, edges: Operand, places: Operand, column: int, scale: float) -> None:
    """The bin of each element of a column; their number for what lies outside of all, and for NaN.

    x
        [N, D], contiguous, of floating point.
    edges
        A vector of at least two in order, contiguous, of x's dtype. Each bin has its left edge, and the last one its right.
    places
        int64 [N], contiguous.
    scale
        Bins for a unit of x where all have one width, or 0.
    """
    rows, columns = x.spec.shape
    if not 0 <= column < columns or edges.spec.numel < 2:
        raise ProofError(f"find_bins: column {column} of {x.spec}, edges {edges.spec}")
    cost = 16 if scale else 8 * edges.spec.numel.bit_length()
    b.launch(
        find_bins, x.flat, edges.flat, places.array(rows), columns, column, scale,
        work=rows, grain=max(1, GRAIN_COST // cost), cost=rows * cost,
    )  # fmt: skip
