"""Where elements are not 0: their positions, the rows that a mask selects, and rows written to the places of a mask.

The elements that count are counted in blocks, all at once; sums of these numbers say where each block's part of the result
begins, so that blocks can be filled by any number of threads. No branch depends on an element.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.errors import ProofError
from numgrad.layout import product
from numgrad.runtime.kernel import device, kernel
from numgrad.runtime.plan import GRAIN_COST, STATUS, Operand, PlanBuilder

BLOCK = 4096  # elements


@kernel("M[:], i8[:]")
def count_blocks(mask, offsets, start, stop):
    """How many elements of each block are not 0; work: blocks."""
    for block in range(start, stop):
        m = mask[block * BLOCK : min(mask.shape[0], (block + 1) * BLOCK)]
        count = 0
        for i in range(m.shape[0]):
            count += m[i] != 0
        offsets[block] = count


@kernel("i8[:], i8, i8, i8[:]")
def sum_blocks(offsets, most, refuse, status, start, stop):
    """From numbers to what is before each block, and the whole; no more than ``most``. Work: 1."""
    total = 0
    for block in range(offsets.shape[0] - 1):
        count = offsets[block]
        offsets[block] = min(total, most)
        total += count
    offsets[offsets.shape[0] - 1] = min(total, most)
    if refuse and total > most:
        status[0] = 1


@kernel("M[:], i8[:], i8[:]")
def write_positions(mask, offsets, out, start, stop):
    """The positions of what is not 0; work: blocks."""
    for block in range(start, stop):
        first = block * BLOCK
        m, y = mask[first : min(mask.shape[0], first + BLOCK)], out[offsets[block] : offsets[block + 1]]
        count, i = 0, 0
        while count < y.shape[0] and i < m.shape[0]:
            y[np.uint64(count)] = first + i
            count += m[np.uint64(i)] != 0
            i += 1


@kernel("i8[:], i8[:], i8[:], i8[:, :]")
def write_coordinates(positions, offsets, extents, out, start, stop):
    """Positions in row-major order, which ascend, as indices of each dimension; work: positions."""
    last = extents.shape[0] - 1
    width = extents[last]
    line, begin = -1, -width
    for i in range(start, min(stop, offsets[offsets.shape[0] - 1])):
        position = positions[i]
        if not begin <= position < begin + width or line < 0:
            line = position // width
            begin = line * width
            rest = line
            for axis in range(last - 1, -1, -1):
                above = rest // extents[axis]
                out[i, axis] = rest - above * extents[axis]
                rest = above
        else:
            for axis in range(last):
                out[i, axis] = out[i - 1, axis]
        out[i, last] = position - begin


@kernel("T[:, :], M[:], i8[:], T[:, :]")
def select_rows(x, mask, offsets, out, start, stop):
    """The rows of x where the mask is not 0; work: blocks."""
    for block in range(start, stop):
        first, last = block * BLOCK, min(mask.shape[0], (block + 1) * BLOCK)
        m, begin, end = mask[first:last], offsets[block], offsets[block + 1]
        for i in range(m.shape[0]):
            if m[i] != 0 and begin < end:
                v, y = x[first + i], out[begin]
                for j in range(y.shape[0]):
                    y[j] = v[j]
                begin += 1


@kernel("T[:], M[:], i8[:], T[:]")
def select_elements(x, mask, offsets, out, start, stop):
    """The elements of x where the mask is not 0; work: blocks."""
    for block in range(start, stop):
        first, last = block * BLOCK, min(mask.shape[0], (block + 1) * BLOCK)
        v, m, y = x[first:last], mask[first:last], out[offsets[block] : offsets[block + 1]]
        if y.shape[0] == v.shape[0]:
            for i in range(y.shape[0]):
                y[i] = v[i]
            continue
        count, i = 0, 0
        while count < y.shape[0] and i < v.shape[0]:
            y[np.uint64(count)] = v[np.uint64(i)]  # the next one is written over it where the mask is 0
            count += m[np.uint64(i)] != 0
            i += 1


@kernel("T[:, :], M[:], i8[:], T[:, :]")
def place_rows(source, mask, offsets, out, start, stop):
    """The rows of the source, one after the other, where the mask is not 0; work: blocks."""
    for block in range(start, stop):
        first, last = block * BLOCK, min(mask.shape[0], (block + 1) * BLOCK)
        m, begin, end = mask[first:last], offsets[block], offsets[block + 1]
        for i in range(m.shape[0]):
            if m[i] != 0 and begin < end:
                v, y = source[begin], out[first + i]
                for j in range(y.shape[0]):
                    y[j] = v[j]
                begin += 1


@kernel("T[:], M[:], i8[:], T[:]")
def place_elements(source, mask, offsets, out, start, stop):
    """The elements of the source, one after the other, where the mask is not 0; work: blocks."""
    for block in range(start, stop):
        first, last = block * BLOCK, min(mask.shape[0], (block + 1) * BLOCK)
        m, y, v = mask[first:last], out[first:last], source[offsets[block] : offsets[block + 1]]
        if v.shape[0] == 0:
            continue
        count, most = 0, v.shape[0] - 1
        for i in range(y.shape[0]):
            value = v[np.uint64(min(count, most))]
            y[i] = value if m[i] != 0 else y[i]
            count += m[i] != 0


@kernel("T[:, :], i8[:], i8")
def fill_rest(out, offsets, value, start, stop):
    """One value in the rows behind those that were selected; work: rows."""
    nothing = out.dtype.type(value)
    for i in range(max(start, offsets[offsets.shape[0] - 1]), stop):
        y = out[i]
        for j in range(y.shape[0]):
            y[j] = nothing


@kernel("T[:], b1[:], i8")
def begin_rows(x, out, inner, start, stop):
    """Whether each row of so many elements differs from the one before it; work: rows."""
    if start == 0:
        out[0] = True
    first = max(1, start)
    if inner == 1:
        v, before, y = x[first:stop], x[first - 1 : stop - 1], out[first:stop]
        for i in range(y.shape[0]):
            y[i] = v[i] != before[i]
        return
    for row in range(first, stop):
        v, before = x[row * inner : (row + 1) * inner], x[(row - 1) * inner : row * inner]
        differ = 0
        for j in range(v.shape[0]):
            differ |= v[j] != before[j]
        out[row] = differ != 0


@device
def places_before(row, columns, shift):
    """How many places of the rows before this one a triangle has up to its edge, which is ``row + shift`` columns from the left."""
    first = min(max(-shift, 0), row)  # rows before have none, and from the last on all
    last = max(first, min(max(columns - shift, 0), row))
    return (last - first) * (first + last - 1 + 2 * shift) // 2 + (row - last) * columns


@kernel("T[:, :], i8, i8, i8")
def write_triangle(out, columns, shift, lower, start, stop):
    """Row and column of each place left of a triangle's edge, or right of it; work: rows."""
    for row in range(start, stop):
        edge = min(max(row + shift, 0), columns)
        begin, end, first = places_before(row, columns, shift), places_before(row + 1, columns, shift), 0
        if not lower:
            begin, end, first = row * columns - begin, (row + 1) * columns - end, edge
        rows, places = out[0, begin:end], out[1, begin:end]
        number = out.dtype.type(row)
        for i in range(rows.shape[0]):
            rows[i] = number
        for i in range(places.shape[0]):
            places[i] = first + i


# ---- planning ---------------------------------------------------------------------------------------------------


def _offsets(b: PlanBuilder, mask: Operand, most: int, status: bool = False) -> tuple[Operand, int]:
    """Where the part of each block of the first ``most`` begins, and the number of blocks.

    With ``status`` a mask of more leaves the status 1.
    """
    if not mask.spec.is_contiguous:
        raise ProofError(f"a mask is {mask.spec}, expected contiguous")
    blocks = -(-mask.spec.numel // BLOCK)
    offsets = b.scratch(dtypes.int64, blocks + 1)
    b.launch(
        count_blocks,
        mask.flat,
        offsets.flat,
        work=blocks,
        grain=max(1, 4 * GRAIN_COST // BLOCK),
        cost=mask.spec.numel // 4,
    )
    b.launch(sum_blocks, offsets.flat, most, int(status), STATUS, work=1, grain=1, cost=blocks)
    return offsets, blocks


def _blocks_of_work(blocks: int, inner: int) -> dict[str, Any]:
    cost = BLOCK * (inner + 1)
    return {"work": blocks, "grain": max(1, GRAIN_COST // cost), "cost": blocks * cost}


def plan_nonzero(b: PlanBuilder, x: Operand, out: Operand, fill: int) -> None:
    """The indices of the first ``count`` elements that are not 0, in row-major order, and behind them ``fill``.

    x
        Contiguous, any dtype, of at least one dimension.
    out
        int64 [count, ndim], contiguous.
    """
    count, ndim = out.spec.shape
    offsets, blocks = _offsets(b, x, count)
    positions = out if ndim == 1 else b.scratch(dtypes.int64, count)
    b.launch(write_positions, x.flat, offsets.flat, positions.flat, **_blocks_of_work(blocks, 1))
    if ndim > 1:
        extents = b.constant(list(x.spec.shape))  # type: ignore[arg-type]
        b.launch(
            write_coordinates, positions.flat, offsets.flat, extents, out.array(count, ndim),
            work=count, grain=GRAIN_COST // (4 * ndim), cost=4 * count * ndim,
        )  # fmt: skip
    b.launch(fill_rest, out.array(count, ndim), offsets.flat, fill, work=count, grain=GRAIN_COST, cost=1)


def _rows(name: str, x: Operand, mask: Operand) -> tuple[int, int]:
    """The number of rows of x for a mask of its first dimensions, and the elements of one."""
    shape, leading = tuple(x.spec.shape), mask.spec.ndim
    if not x.spec.is_contiguous or shape[:leading] != tuple(mask.spec.shape):
        raise ProofError(f"{name}: an operand is {x.spec}, expected contiguous, of a shape that begins with the mask's")
    return mask.spec.numel, product(shape[leading:])


def plan_masked_select(b: PlanBuilder, x: Operand, mask: Operand, out: Operand) -> None:
    """The first rows of x where a mask of its first dimensions is not 0, in row-major order, and zeros behind them.

    x, mask
        Contiguous, any dtype.
    out
        [count, *rest], contiguous, of x's dtype.
    """
    rows, inner = _rows("masked_select", x, mask)
    count = out.spec.shape[0]
    offsets, blocks = _offsets(b, mask, count)
    if inner == 1:
        b.launch(select_elements, x.flat, mask.flat, offsets.flat, out.flat, **_blocks_of_work(blocks, 1))
    else:
        b.launch(
            select_rows, x.array(rows, inner), mask.flat, offsets.flat, out.array(count, inner),
            **_blocks_of_work(blocks, inner),
        )  # fmt: skip
    b.launch(fill_rest, out.array(count, inner), offsets.flat, 0, work=count, grain=GRAIN_COST, cost=1)


def plan_masked_place(b: PlanBuilder, source: Operand, mask: Operand, out: Operand, *, all: bool) -> None:
    """The rows of the source, one after the other, written where a mask of out's first dimensions is not 0.

    source
        [count, *rest], contiguous. With ``all`` a mask of more than ``count`` leaves the status 1, else the first places count.
    mask
        Contiguous, any dtype.
    out
        Contiguous, of the source's dtype; it holds its values already.
    """
    rows, inner = _rows("masked_scatter", out, mask)
    count = source.spec.shape[0]
    offsets, blocks = _offsets(b, mask, count, status=all)
    if inner == 1:
        b.launch(place_elements, source.flat, mask.flat, offsets.flat, out.flat, **_blocks_of_work(blocks, 1))
    else:
        b.launch(
            place_rows, source.array(count, inner), mask.flat, offsets.flat, out.array(rows, inner),
            **_blocks_of_work(blocks, inner),
        )  # fmt: skip


def plan_begins(b: PlanBuilder, x: Operand, out: Operand) -> None:
    """Whether each slice of x's first dimension differs from the one before it; the first does. A NaN differs from itself.

    x
        Contiguous, any dtype.
    out
        A vector of bools, contiguous.
    """
    rows = x.spec.shape[0]
    inner = x.spec.numel // max(1, rows)
    b.launch(
        begin_rows, x.flat, out.flat, inner,
        work=rows, grain=max(1, GRAIN_COST // (inner + 1)), cost=rows * (inner + 1),
    )  # fmt: skip


def plan_triangle(b: PlanBuilder, out: Operand, rows: int, columns: int, shift: int, lower: bool) -> None:
    """Rows and columns of the places of a matrix left of ``row + shift`` columns (lower), or from there on; out is [2, count]."""
    count = out.spec.shape[1]
    if not out.spec.is_contiguous or count != triangle_count(rows, columns, shift, lower):
        raise ProofError(f"places of a triangle: out is {out.spec}, expected contiguous, of all places")
    if count:
        cost = 2 * columns
        b.launch(
            write_triangle, out.array(2, count), columns, shift, int(lower),
            work=rows, grain=max(1, GRAIN_COST // cost), cost=rows * cost,
        )  # fmt: skip


def triangle_count(rows: int, columns: int, shift: int, lower: bool) -> int:
    """How many places `plan_triangle` writes."""
    left: int = places_before(rows, columns, shift)
    return left if lower else rows * columns - left
