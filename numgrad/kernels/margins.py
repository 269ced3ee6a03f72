"""Margins that go on from what they frame: mirrored, repeated, or from the other side; and products of vectors of three.

A table for each of the last three axes says which element of the input each one of the result is. Along the last axis nearly
all of them lie side by side, and are copied as a block.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numgrad.runtime.kernel import kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder


class Run(NamedTuple):
    """The elements ``begin`` to ``end`` of a row of the result, which lie side by side in the input, from ``source`` on."""

    begin: int
    end: int
    source: int


@kernel("T[:, :, :, :], i8[:], i8[:], i8[:], Run, T[:, :, :, :]", Run)
def continue_rows(x, planes, rows, columns, run, out, start, stop):
    """``out[n, d, h, w] = x[n, planes[d], rows[h], columns[w]]``; work: rows of out."""
    depth, height = out.shape[1], out.shape[2]
    begin, end, source = run
    for plane in range(start // height, (stop + height - 1) // height):
        n = plane // depth
        d = plane - n * depth
        x_plane, y_plane = x[n, planes[d]], out[n, d]
        for h in range(max(0, start - plane * height), min(height, stop - plane * height)):
            v, y = x_plane[rows[h]], y_plane[h]
            for w in range(begin):
                y[w] = v[columns[w]]
            a, b = v[source:], y[begin:end]
            for w in range(b.shape[0]):
                b[w] = a[w]
            for w in range(end, y.shape[0]):
                y[w] = v[columns[w]]


@kernel("T[:, :, :, :], i8[:], i8[:], i8[:], i8[:], i8[:], Run, T[:, :, :, :]", Run)
def gather_margins(grad, plane_starts, planes, row_starts, rows, columns, run, out, start, stop):
    """The transpose: each row of ``out`` adds up the rows that were made of it, in their order; work: rows of out."""
    depth, height = out.shape[1], out.shape[2]
    for unit in range(start, stop):
        h = unit % height
        rest = unit // height
        d = rest % depth
        n = rest // depth
        y = out[n, d, h]
        for w in range(y.shape[0]):
            y[w] = 0
        for i in range(plane_starts[d], plane_starts[d + 1]):
            for j in range(row_starts[h], row_starts[h + 1]):
                g = grad[n, planes[i], rows[j]]
                for w in range(run.begin):
                    y[columns[w]] += g[w]
                a, b = g[run.begin : run.end], y[run.source :]
                for w in range(a.shape[0]):
                    b[w] += a[w]
                for w in range(run.end, g.shape[0]):
                    y[columns[w]] += g[w]


@kernel("T[:, :, :], T[:, :, :], T[:, :, :]")
def cross_rows(x, y, out, start, stop):
    """The cross products along axis 1, of extent 3; work: axis 0."""
    for o in range(start, stop):
        for i in range(out.shape[2]):
            a, b, c = x[o, 0, i], x[o, 1, i], x[o, 2, i]
            d, e, f = y[o, 0, i], y[o, 1, i], y[o, 2, i]
            out[o, 0, i] = b * f - c * e
            out[o, 1, i] = c * d - a * f
            out[o, 2, i] = a * e - b * d


def run_of(columns: np.ndarray) -> Run:
    """The longest run of neighbours in a table that is not empty.

    >>> run_of(np.array([1, 0, 1, 2, 1]))
    Run(begin=1, end=4, source=0)
    """
    breaks = np.flatnonzero(np.diff(columns) != 1) + 1
    edges = np.concatenate([[0], breaks, [len(columns)]])
    longest = int(np.argmax(np.diff(edges)))
    begin = int(edges[longest])
    return Run(begin, int(edges[longest + 1]), int(columns[begin]))


def plan_continue(b: PlanBuilder, x: Operand, out: Operand, tables: list[np.ndarray]) -> None:
    """`continue_rows` for contiguous operands [N, D, H, W]; ``tables`` hold places in x for each element of out's axes."""
    _prove(tables, x.spec.shape[1:], out.spec.shape[1:])
    if out.spec.numel == 0:
        return
    tables, source, (n, depth, height, width) = _joined(tables, x.spec.shape, out.spec.shape)
    b.launch(
        continue_rows, x.array(*source), *map(b.constant, tables), run_of(tables[2]), out.array(n, depth, height, width),
        work=n * depth * height, grain=GRAIN_COST // (width + 8) + 1, cost=n * depth * height * (width + 8),
    )  # fmt: skip


def plan_gather_margins(b: PlanBuilder, grad: Operand, out: Operand, tables: list[np.ndarray]) -> None:
    """`gather_margins` for contiguous operands [N, D, H, W]; ``tables`` as of `plan_continue`, of which it is the transpose."""
    _prove(tables, out.spec.shape[1:], grad.spec.shape[1:])
    if out.spec.numel == 0:
        return
    tables, (n, depth, height, width), result = _joined(tables, out.spec.shape, grad.spec.shape)
    readers = []
    for table, extent in zip(tables[:2], (depth, height), strict=True):
        starts = np.zeros(extent + 1, np.int64)
        starts[1:] = np.cumsum(np.bincount(table, minlength=extent))
        readers += [b.constant(starts), b.constant(np.argsort(table, kind="stable").astype(np.int64))]
    cost = n * len(tables[0]) * len(tables[1]) * (len(tables[2]) + 8) + n * depth * height * width
    work = n * depth * height
    b.launch(
        gather_margins, grad.array(*result), *readers, b.constant(tables[2]), run_of(tables[2]),
        out.array(n, depth, height, width), work=work, grain=GRAIN_COST * work // cost + 1, cost=cost,
    )  # fmt: skip


def _joined(
    tables: list[np.ndarray], source: tuple[int, ...], result: tuple[int, ...]
) -> tuple[list[np.ndarray], tuple[int, ...], tuple[int, ...]]:
    """The tables and both shapes; with the last two axes as one where the last has no margins, as of channels."""
    n, depth, height, width = source
    if not np.array_equal(tables[2], np.arange(width)):
        return tables, source, result
    columns = (tables[1][:, None] * width + tables[2]).ravel()
    return (
        [np.zeros(1, np.int64), tables[0], columns],
        (n, 1, depth, height * width),
        (n, 1, result[1], result[2] * width),
    )


def _prove(tables: list[np.ndarray], source: tuple[int, ...], result: tuple[int, ...]) -> None:
    for table, extent, count in zip(tables, source, result, strict=True):
        assert len(table) == count
        assert not count or 0 <= table.min() <= table.max() < extent


def plan_cross(b: PlanBuilder, x: Operand, y: Operand, out: Operand, outer: int, inner: int) -> None:
    """`cross_rows` for contiguous operands [outer, 3, inner]."""
    shape = (outer, 3, inner)
    b.launch(
        cross_rows, x.array(*shape), y.array(*shape), out.array(*shape),
        work=outer if inner else 0, grain=GRAIN_COST // (9 * inner + 8) + 1, cost=outer * (9 * inner + 8),
    )  # fmt: skip
