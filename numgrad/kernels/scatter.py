"""Writing by index: rows (index_add, index_put, the backward of `index_select`) and elements (scatter, scatter_add).

Since indices may repeat, the destination is divided among work items, each of which walks all indices in order: sums have the
same bits for any number of threads, and of several assignments the last wins. There are as many items as workers where rows
are narrow, since each walks the indices once more. Indices count from 0; one out of range leaves the status 1 + its position.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numgrad import dtypes
from numgrad.errors import ProofError
from numgrad.kernels.fill import plan_fill
from numgrad.kernels.index import CHECKED, all_within, mark_outside, row_view
from numgrad.kernels.loops import Extents4, Steps4, offset4
from numgrad.kernels.reduce_kernels import KEPT, choose
from numgrad.layout import product
from numgrad.runtime.kernel import Device, Kernel, device, kernel
from numgrad.runtime.plan import GRAIN_COST, STATUS, Operand, PlanBuilder, column_grain

MOST_OWNERS = 16  # work items that walk the same indices
DIVIDED = 8 << 20  # bytes of a line that several workers fill; below, one fills it before others have found their part
COLUMNS = 64  # lines side by side that a unit walks together
REPLACE, ADD, MULTIPLY, LARGEST, SMALLEST = range(5)  # what becomes of an element to which a value comes


@device
def replaced(old, value):
    """The value."""
    return value


@device
def added(old, value):
    """The sum."""
    return old + value


@device
def multiplied(old, value):
    """The product."""
    return old * value


@device
def largest(old, value):
    """The larger one; NaN stays, as in torch."""
    return choose((value > old) | (value != value), value, old)


@device
def smallest(old, value):
    """The smaller one; NaN stays."""
    return choose((value < old) | (value != value), value, old)


@device
def picked(numbers, top, bottom, chosen):
    """The places of numbers within [top, bottom) to the front of ``chosen``; how many there are. No branch depends on them."""
    count = 0
    for i in range(numbers.shape[0]):
        chosen[np.uint64(count)] = i
        count += (numbers[i] >= top) & (numbers[i] < bottom)
    return count


@kernel("i8[:], i8[:], i8")
def check_index(index, status, extent, start, stop):
    """Leave the status of an index out of range, before anything is written."""
    if not all_within(index[start:stop], extent):
        mark_outside(index[start:stop], extent, status, start)


# ---- rows -------------------------------------------------------------------------------------------------------


def _scatter_rows(way: Device) -> Kernel:
    def scatter_rows(source, index, out, status, rows, zero, start, stop):
        """out[o, index[i]] = way(out[o, index[i]], source[o, i]), in order of i; a unit owns ``rows`` rows of one out[o]."""
        count, extent = index.shape[0], out.shape[1]
        blocks = -(-extent // rows)
        if status[0]:  # of `check_index`: nothing is written over
            return
        nothing = out.dtype.type(0)
        for unit in range(start, stop):
            o = unit // blocks
            top = (unit - o * blocks) * rows
            bottom = min(extent, top + rows)
            if zero:
                for row in range(top, bottom):
                    y = out[o, row]
                    for j in range(y.shape[0]):
                        y[j] = nothing
            for begin in range(0, count, CHECKED):
                numbers = index[begin : min(count, begin + CHECKED)]
                if top == 0 and not all_within(numbers, extent):
                    mark_outside(numbers, extent, status, begin)
                for i in range(numbers.shape[0]):
                    row = numbers[i]
                    if top <= row < bottom:
                        v, y = source[o, begin + i], out[o, row]
                        for j in range(y.shape[0]):
                            y[j] = way(y[j], v[j])

    return kernel("T[:, :, :], i8[:], T[:, :, :], i8[:], i8, i8")(scatter_rows)


@kernel("T[:, :], i8[:], i8[:], T[:, :], i8[:], i8")
def move_rows(x, index, goals, out, status, rows, start, stop):
    """out[goals[i]] += x[index[i]], from zeros; a unit owns ``rows`` rows of out."""
    count = index.shape[0]
    if not (all_within(index, x.shape[0]) and all_within(goals, out.shape[0])):
        mark_outside(index, x.shape[0], status, 0)
        mark_outside(goals, out.shape[0], status, 0)
        return
    for unit in range(start, stop):
        top = unit * rows
        bottom = min(out.shape[0], top + rows)
        for row in range(top, bottom):
            y = out[row]
            for j in range(y.shape[0]):
                y[j] = 0
        i = 0
        while i < count:
            goal = goals[i]
            if goal < top or goal >= bottom:
                i += 1
                continue
            v0, y = x[index[i]], out[goal]
            if i + 3 < count and goals[i + 1] == goal and goals[i + 2] == goal and goals[i + 3] == goal:
                # An element of the sum is read and written once for four that are added.
                v1, v2, v3 = x[index[i + 1]], x[index[i + 2]], x[index[i + 3]]
                for j in range(y.shape[0]):
                    y[j] += (v0[j] + v1[j]) + (v2[j] + v3[j])
                i += 4
            else:
                for j in range(y.shape[0]):
                    y[j] += v0[j]
                i += 1


def plan_index_scatter(
    b: PlanBuilder, source: Operand, index: Operand, out: Operand, dim: int, *,
    way: int = ADD, zero: bool = False, checked: bool = False,
) -> None:  # fmt: skip
    """``out[..., index[i], ...] (+)= source[..., i, ...]`` at ``dim``: index_add, index_put, the backward of index_select.

    source
        Contiguous: out's shape with the dimension replaced by index's.
    index
        int64, contiguous, any shape.
    out
        Contiguous, any dtype. ``zero`` clears it first. With ``checked`` all indices are looked at before anything is written.
    way
        What becomes of an element: `REPLACE`, `ADD`, `MULTIPLY`, `LARGEST`, `SMALLEST`.
    """
    outer, extent, inner = row_view("index_scatter", out, dim)
    count = index.spec.numel
    if checked:
        b.launch(check_index, index.array(count), STATUS, extent, work=count, grain=GRAIN_COST)
    if inner == 1:
        if zero:
            plan_fill(b, out, 0)
        lines = [(1, 0, 0, 0)] * (KEPT - 1) + [(outer, count, 0, extent)]
        _launch_elements(b, source, index, out, way, lines, (1, 1, 1), count, extent)
        return
    rows = _rows_of_owner(b, outer, extent, inner, count)
    units, cost = -(-extent // rows), (count + extent) * (inner + 8)
    b.launch(
        _ROWS[way], source.array(outer, count, inner), index.array(count), out.array(outer, extent, inner), STATUS,
        rows, int(zero), work=outer * units, grain=max(1, GRAIN_COST * units // max(1, cost)), cost=outer * cost,
    )  # fmt: skip


def _rows_of_owner(b: PlanBuilder, outer: int, extent: int, inner: int, count: int) -> int:
    """Rows of a work item of each of ``outer`` results [extent, inner] to which ``count`` rows go.

    Two items for each worker, since indices need not be spread evenly; wide rows are not divided, whose parts in the caches
    of several cores would take longer than the sums.
    """
    most = (count + extent) * inner * outer // GRAIN_COST if b.workers > 1 else 1
    owners = max(1, min(MOST_OWNERS // max(1, outer), 2 * b.workers, most))
    return max(1, -(-extent // owners))


def plan_move_rows(b: PlanBuilder, x: Operand, index: Operand, goals: Operand, out: Operand) -> None:
    """``out[goals[i]] += x[index[i]]``, from zeros, for x [V, D], out [G, D], and index and goals [N]: all contiguous.

    Index and goals are of int64. One out of range leaves the status 1 + its position.
    """
    count, (extent, inner) = index.spec.numel, out.spec.shape
    rows = _rows_of_owner(b, 1, extent, inner, count)
    units = -(-extent // rows)
    cost = (count + extent) * (inner + 8)
    b.launch(
        move_rows, x.array(*x.spec.shape), index.array(count), goals.array(count), out.array(extent, inner), STATUS, rows,
        work=units, grain=max(1, GRAIN_COST * units // max(1, cost)), cost=cost,
    )  # fmt: skip


# ---- elements ---------------------------------------------------------------------------------------------------


class Side(NamedTuple):
    """Steps of one operand of `scatter_elements`: from line to line, along dim, and from a line to its neighbour."""

    lines: Steps4
    dim: int
    column: int


class Lines(NamedTuple):
    """Lines along dim. A unit owns ``columns`` neighbouring ones of ``width``, or (0) ``rows`` elements of one line."""

    extents: Extents4
    length: int  # of a line
    extent: int  # of out along dim
    width: int
    blocks: int
    columns: int
    rows: int


def _scatter_elements(way: Device) -> Kernel:
    def scatter_elements(
        source, index, out, status, places, lines, of_source, of_index, of_out, start, stop, worker
    ):  # fmt: skip
        """Along dim in order: a unit owns some lines of out, or a part of one."""
        length, extent = lines.length, lines.extent
        if status[0]:
            return
        chosen = places[worker * CHECKED : (worker + 1) * CHECKED]
        for unit in range(start, stop):
            line = unit // lines.blocks
            block = unit - line * lines.blocks
            first_source = offset4(line, lines.extents, of_source.lines)
            first_index = offset4(line, lines.extents, of_index.lines)
            first_out = offset4(line, lines.extents, of_out.lines)
            if lines.columns:
                left = block * lines.columns
                columns = min(lines.columns, lines.width - left)
                first_source += left * of_source.column
                first_index += left * of_index.column
                first_out += left * of_out.column
                for i in range(length):
                    position = first_index + i * of_index.dim
                    numbers = index[position : position + columns]
                    if not all_within(numbers, extent):
                        mark_outside(numbers, extent, status, position)
                        continue
                    begin = first_source + i * of_source.dim
                    for j in range(numbers.shape[0]):
                        value = source[np.uint64(begin + j * of_source.column)]
                        goal = np.uint64(first_out + numbers[j] * of_out.dim + j * of_out.column)
                        out[goal] = way(out[goal], value)
                continue
            top = block * lines.rows
            for begin in range(0, length, CHECKED):
                numbers = index[first_index + begin : first_index + min(length, begin + CHECKED)]
                if block == 0 and not all_within(numbers, extent):
                    mark_outside(numbers, extent, status, first_index + begin)
                    continue
                here = first_source + begin * of_source.dim
                if lines.blocks == 1:
                    for i in range(numbers.shape[0]):
                        goal = np.uint64(first_out + numbers[i] * of_out.dim)
                        out[goal] = way(out[goal], source[np.uint64(here + i * of_source.dim)])
                else:
                    for k in range(picked(numbers, top, min(extent, top + lines.rows), chosen)):
                        i = chosen[k]
                        goal = np.uint64(first_out + numbers[np.uint64(i)] * of_out.dim)
                        out[goal] = way(out[goal], source[np.uint64(here + i * of_source.dim)])

    return kernel("T[:], i8[:], T[:], i8[:], i8[:], Lines, Side, Side, Side", Lines, Side)(scatter_elements)


_WAYS = (replaced, added, multiplied, largest, smallest)
_ROWS = tuple(map(_scatter_rows, _WAYS))
_ELEMENTS = tuple(map(_scatter_elements, _WAYS))


def plan_scatter_elements(
    b: PlanBuilder, source: Operand, index: Operand, out: Operand, dim: int, way: int = ADD
) -> None:
    """torch.scatter_add, scatter, scatter_reduce: ``out[i][index[i][j][k]][k] (+)= source[i][j][k]`` (dim 1), in order of j.

    source
        At least index's extents, any strides; or one element (numel 1), for all positions.
    index
        int64, contiguous.
    out
        Dense or not, but no two of its elements share memory; it holds its values already.
    way
        What becomes of an element: `REPLACE`, `ADD`, `MULTIPLY`, `LARGEST`, `SMALLEST`.
    """
    if not index.spec.is_contiguous:
        raise ProofError(f"scatter: index is {index.spec}, expected contiguous")
    shape, index_strides = index.spec.shape or (1,), index.spec.strides or (1,)
    out_strides, out_shape = out.spec.strides or (1,), out.spec.shape or (1,)
    source_strides = (0,) * len(shape) if source.spec.numel == 1 else source.spec.strides
    others = [
        (n, source_strides[d], index_strides[d], out_strides[d]) for d, n in enumerate(shape) if d != dim and n != 1
    ]
    lines: list[tuple[int, int, int, int]] = []
    for n, *steps in others:
        if lines and all(before == n * step for before, step in zip(lines[-1][1:], steps, strict=True)):
            n *= lines.pop()[0]
        lines.append((n, *steps))  # type: ignore[arg-type]
    if len(lines) > KEPT + 1:
        raise ProofError(
            f"scatter: the index has {len(lines)} dimensions that do not merge, expected at most {KEPT + 2}"
        )
    lines = [(1, 0, 0, 0)] * (KEPT + 1 - len(lines)) + lines
    along = (source_strides[dim], index_strides[dim], out_strides[dim])
    _launch_elements(b, source, index, out, way, lines, along, shape[dim], out_shape[dim])


def _launch_elements(
    b: PlanBuilder, source: Operand, index: Operand, out: Operand, way: int, lines: list[tuple[int, int, int, int]],
    dim_steps: tuple[int, int, int], length: int, extent: int,
) -> None:  # fmt: skip
    """``lines`` are extents and the steps of source, index and out; the last lie side by side where that of the index is 1."""
    together = COLUMNS if lines[-1][2] == 1 else int(len(lines) > KEPT and lines[0][0] > 1)
    if together:
        width, *columns = lines.pop()
    else:
        width, *columns = 1, 0, 0, 0
        lines = lines[len(lines) - KEPT :]
    count = product([line[0] for line in lines])
    owners = 1 if count >= b.workers or out.spec.nbytes < DIVIDED else max(1, min(b.workers, MOST_OWNERS, extent))
    blocks = max(1, -(-width // together)) if together else owners
    cost = 8 * length * min(max(1, together), width)
    work = count * blocks if length and width else 0
    sides = [
        Side(Steps4(*[line[side] for line in lines]), dim_steps[side - 1], columns[side - 1]) for side in (1, 2, 3)
    ]
    grid = Lines(
        Extents4(*[line[0] for line in lines[1:]]), length, extent, width, blocks, together, -(-extent // blocks)
    )  # fmt: skip
    b.launch(
        _ELEMENTS[way], source.flat, index.flat, out.flat, STATUS, b.scratch(dtypes.int64, CHECKED, per_worker=True).flat,
        grid, *sides,
        work=work, grain=column_grain(blocks, work, cost), cost=work * cost,
    )  # fmt: skip
