"""Weighted sums along one dimension, of elements and weights that a table lists: interpolation and its transpose."""

from __future__ import annotations

import numpy as np

from numgrad.runtime.kernel import kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder

# Weights are kept in fixed point, since constants of a plan are int64: 52 bits behind the point, for weights below 2**11.
_UNIT = 1.0 / (1 << 52)
_MOST_WEIGHT = 1 << 10


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
