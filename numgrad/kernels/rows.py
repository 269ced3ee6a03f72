"""Weighted sums of rows that an index names, and the two products that are their gradients.

An index of -1 names no row; any other that is out of range leaves the status 1 + its position.
"""

from __future__ import annotations

from numgrad.runtime.kernel import kernel
from numgrad.runtime.plan import GRAIN_COST, STATUS, Operand, PlanBuilder

LINE = 64  # bytes of a row from which a thread takes its share: a line of a cache


@kernel("T[:, :], i8[:, :], T[:, :], T[:, :], i8[:]")
def sum_rows(rows, index, weights, out, status, start, stop):
    """``out[p] = sum over t of weights[p, t] * rows[index[p, t]]``; work: p."""
    taps, extent = index.shape[1], rows.shape[0]
    for p in range(start, stop):
        y, places, factors = out[p], index[p], weights[p]
        t, begun = 0, False
        while t < taps:
            if t + 4 <= taps and min(min(places[t], places[t + 1]), min(places[t + 2], places[t + 3])) >= 0:
                i, j, k, n = places[t], places[t + 1], places[t + 2], places[t + 3]
                if max(max(i, j), max(k, n)) < extent:
                    e, f, g, h = factors[t], factors[t + 1], factors[t + 2], factors[t + 3]
                    a, b, c, d = rows[i], rows[j], rows[k], rows[n]
                    if begun:
                        for q in range(y.shape[0]):
                            y[q] += e * a[q] + f * b[q] + g * c[q] + h * d[q]
                    else:
                        for q in range(y.shape[0]):
                            y[q] = e * a[q] + f * b[q] + g * c[q] + h * d[q]
                    begun = True
                    t += 4
                    continue
            if not begun:
                for q in range(y.shape[0]):
                    y[q] = 0
                begun = True
            number, factor = places[t], factors[t]
            if 0 <= number < extent:
                v = rows[number]
                for q in range(y.shape[0]):
                    y[q] += factor * v[q]
            elif number != -1:
                status[0] = 1 + p * taps + t
            t += 1
        if not begun:
            for q in range(y.shape[0]):
                y[q] = 0


@kernel("T[:, :], i8[:, :], T[:, :], T[:, :], i8, i8[:]")
def add_rows(grad, index, weights, out, columns, status, start, stop):
    """``out[index[p, t]] += weights[p, t] * grad[p]``, from zeros; work: blocks of ``columns`` columns."""
    taps, extent = index.shape[1], out.shape[0]
    for block in range(start, stop):
        first = block * columns
        last = min(out.shape[1], first + columns)
        for r in range(extent):
            line = out[r, first:last]
            for q in range(line.shape[0]):
                line[q] = 0
        for p in range(grad.shape[0]):
            g = grad[p, first:last]
            for t in range(taps):
                number, factor = index[p, t], weights[p, t]
                if 0 <= number < extent:
                    line = out[number, first:last]
                    for q in range(line.shape[0]):
                        line[q] += factor * g[q]
                elif number != -1:
                    status[0] = 1 + p * taps + t


@kernel("T[:, :], T[:, :], i8[:, :], T[:, :], i8[:]", reassociate=True)
def row_products(grad, rows, index, out, status, start, stop):
    """``out[p, t] = sum(grad[p] * rows[index[p, t]])``; work: p."""
    taps, extent = index.shape[1], rows.shape[0]
    for p in range(start, stop):
        g = grad[p]
        for t in range(taps):
            number = index[p, t]
            total = out.dtype.type(0)
            if 0 <= number < extent:
                v = rows[number]
                for q in range(g.shape[0]):
                    total += g[q] * v[q]
            elif number != -1:
                status[0] = 1 + p * taps + t
            out[p, t] = total


def plan_sum_rows(b: PlanBuilder, rows: Operand, index: Operand, weights: Operand, out: Operand) -> None:
    """`sum_rows`; all are contiguous, the index of int64."""
    (extent, columns), (count, taps) = rows.spec.shape, index.spec.shape
    cost = taps * (columns + 8) + columns + 1
    b.launch(
        sum_rows, rows.array(extent, columns), index.array(count, taps), weights.array(count, taps), out.array(count, columns),
        STATUS, work=count, grain=GRAIN_COST // cost + 1, cost=count * cost,
    )  # fmt: skip


def plan_add_rows(b: PlanBuilder, grad: Operand, index: Operand, weights: Operand, out: Operand) -> None:
    """`add_rows`; all are contiguous, the index of int64."""
    (extent, columns), (count, taps) = out.spec.shape, index.spec.shape
    block = LINE // out.spec.dtype.itemsize
    b.launch(
        add_rows, grad.array(count, columns), index.array(count, taps), weights.array(count, taps), out.array(extent, columns),
        block, STATUS, work=-(-columns // block), grain=1, cost=(count * taps + extent) * (columns + 8),
    )  # fmt: skip


def plan_row_products(b: PlanBuilder, grad: Operand, rows: Operand, index: Operand, out: Operand) -> None:
    """`row_products`; all are contiguous, the index of int64."""
    (extent, columns), (count, taps) = rows.spec.shape, index.spec.shape
    cost = taps * (columns + 8) + 1
    b.launch(
        row_products, grad.array(count, columns), rows.array(extent, columns), index.array(count, taps), out.array(count, taps),
        STATUS, work=count, grain=GRAIN_COST // cost + 1, cost=count * cost,
    )  # fmt: skip
