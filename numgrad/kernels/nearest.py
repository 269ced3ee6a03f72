"""Elements of images at the places that tables name, one for each axis: interpolation by the nearest."""

from __future__ import annotations

import numpy as np

from numgrad.layout import product
from numgrad.runtime.kernel import kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder


@kernel("T[:, :, :, :], i8[:], i8[:], i8[:], T[:, :, :, :], i8, i8")
def take_nearest(x, planes, rows, columns, out, inner, times, start, stop):
    """Work: rows of ``out`` [outer, D, H, W * inner]; ``times``: how often each column comes, or 0 if the table says it."""
    depth, height = out.shape[1], out.shape[2]
    last_image, last_plane, last_row = -1, -1, -1
    for unit in range(start, stop):
        n = unit // (depth * height)
        d = unit // height - n * depth
        h = unit - (n * depth + d) * height
        plane, row = planes[d], rows[h]
        y = out[n, d, h]
        if n == last_image and plane == last_plane and row == last_row:
            before = out[n, d, h - 1] if h > 0 else out[n, d - 1, height - 1]
            for j in range(y.shape[0]):
                y[j] = before[j]
            continue
        last_image, last_plane, last_row = n, plane, row
        v = x[n, plane, row]
        if times == 1:
            for j in range(y.shape[0]):
                y[j] = v[j]
        elif times == 2 and inner == 1:
            for j in range(v.shape[0]):
                y[np.uint64(j) * np.uint64(2)] = v[j]
                y[np.uint64(j) * np.uint64(2) + np.uint64(1)] = v[j]
        elif inner == 1:
            for j in range(y.shape[0]):
                y[j] = v[columns[j]]
        else:
            for w in range(columns.shape[0]):
                one, other = y[w * inner : (w + 1) * inner], v[columns[w] * inner : (columns[w] + 1) * inner]
                for c in range(one.shape[0]):
                    one[c] = other[c]


def plan_take_nearest(
    b: PlanBuilder, x: Operand, out: Operand, outer: int, inner: int, extents: tuple[int, ...], tables: list[np.ndarray]
) -> None:
    """Both dense in one order: (outer, *extents, inner), with three extents; ``tables`` has the places of ``out`` along each."""
    for extent, table in zip(extents, tables, strict=True):
        assert not len(table) or 0 <= table.min() <= table.max() < extent
    count, columns = [len(table) for table in tables], tables[2]
    times = len(columns) // extents[2]
    regular = times * extents[2] == len(columns) and (columns == np.arange(len(columns)) // max(times, 1)).all()
    work, cost = outer * count[0] * count[1], count[2] * inner + 8
    assert product(out.spec.shape) == outer * product(count) * inner
    b.launch(
        take_nearest, x.array(outer, *extents[:2], extents[2] * inner), *(b.constant(table) for table in tables),
        out.array(outer, *count[:2], count[2] * inner), inner, times if regular else 0,
        work=work if count[2] * inner else 0, grain=GRAIN_COST // cost + 1, cost=work * cost,
    )  # fmt: skip
