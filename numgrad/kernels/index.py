"""Reading and writing by index: rows (index_select, embedding, advanced indexing) and elements (gather, scatter).

Indices count from 0; one out of range, such as -1, leaves the status 1 + its position. If indices may repeat, the
destination is divided among work items, each of which walks all indices in order: sums have the same bits for any number of
threads, and of several assignments the last wins.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numgrad.errors import ProofError
from numgrad.kernels.loops import Extents4, Steps4, offset4
from numgrad.kernels.reduce import (
    Loop,
    merged,
)
from numgrad.kernels.reduce_kernels import (
    KEPT,
)
from numgrad.layout import product
from numgrad.runtime.kernel import device, kernel
from numgrad.runtime.plan import GRAIN_COST, STATUS, Operand, PlanBuilder

MOST_OWNERS = 8  # work items that walk the same indices; the cost of more would exceed their gain
REPLACE, ADD, MULTIPLY, LARGEST, SMALLEST = range(5)  # what `scatter_elements` makes of an element and a value


@device
def within(index, extent):
    """The index, or -1 if it is out of range."""
    return index if 0 <= index < extent else -1


@device
def all_within(index, extent):
    """Whether no index is out of range: a loop by itself, that the loop which uses them need not look."""
    bad = 0
    for i in range(index.shape[0]):
        bad |= index[i] | (extent - 1 - index[i])  # negative if one of them is
    return bad >= 0


@device
def combined(old, value, way):
    """An element and a value that comes to it. NaN stays, as in torch."""
    if way == ADD:
        return old + value
    if way == MULTIPLY:
        return old * value
    if way == LARGEST:
        return value if value > old or value != value else old
    if way == SMALLEST:
        return value if value < old or value != value else old
    return value


# ---- rows -------------------------------------------------------------------------------------------------------


@kernel("i8[:], i8[:], i8[:], i8, i8")
def linear_index(index, linear, status, extent, following, start, stop):
    """linear = index, or (following) linear * extent + index: one step from several indices to one."""
    for i in range(start, stop):
        number = within(index[i], extent)
        if number < 0:
            status[0] = 1 + i
            number = 0
        linear[i] = linear[i] * extent + number if following else number


@kernel("T[:, :, :], i8[:], T[:, :, :], i8[:]")
def gather_rows(x, index, out, status, start, stop):
    """out[o, i] = x[o, index[i]]; work: rows of out."""
    count = index.shape[0]
    unit = start
    while unit < stop:
        o = unit // count
        first = unit - o * count
        last = min(count, first + stop - unit)
        unit += last - first
        if x.shape[2] == 1:  # rows of one element
            values, copies, numbers = x[o, :, 0], out[o, first:last, 0], index[first:last]
            if all_within(numbers, x.shape[1]):
                for i in range(numbers.shape[0]):
                    copies[i] = values[np.uint64(numbers[i])]
            else:
                for i in range(first, last):
                    if within(index[i], x.shape[1]) < 0:
                        status[0] = 1 + i
            continue
        for i in range(first, last):
            row = within(index[i], x.shape[1])
            if row < 0:
                status[0] = 1 + i
            else:
                v, y = x[o, row], out[o, i]
                for j in range(y.shape[0]):
                    y[j] = v[j]


@kernel("T[:, :, :], T[:, :, :], i8")
def reverse_rows(x, out, lines, start, stop):
    """out[o, i] = x[o, n - 1 - i]; work: rows of out. With ``lines`` the elements of each x[0, i] in reverse order."""
    for unit in range(start, stop):
        if lines:
            v, y = x[0, unit], out[0, unit]
            last = np.uint64(y.shape[0] - 1)  # see `pool_planes.TWO`
            for j in range(y.shape[0]):
                y[j] = v[last - np.uint64(j)]
        else:
            n = x.shape[1]
            o = unit // n
            i = unit - o * n
            v, y = x[o, n - 1 - i], out[o, i]
            for j in range(y.shape[0]):
                y[j] = v[j]


class Blocks(NamedTuple):
    """How each out[o] is divided among units."""

    row_blocks: int
    rows: int  # of a block
    column_blocks: int
    columns: int


@kernel("T[:, :, :], i8[:], T[:, :, :], i8[:], Blocks, i8, i8, i8", Blocks)
def scatter_rows(source, index, out, status, blocks, add, zero, skip, start, stop):
    """out[o, index[i]] (+)= source[o, i], in order of i; a unit owns a block of rows and columns of one out[o]."""
    row_blocks, rows, column_blocks, columns = blocks
    nothing = out.dtype.type(0)
    for unit in range(start, stop):
        block = unit // column_blocks
        left = (unit - block * column_blocks) * columns
        right = min(out.shape[2], left + columns)
        o = block // row_blocks
        top = (block - o * row_blocks) * rows
        bottom = min(out.shape[1], top + rows)
        if zero:
            for row in range(top, bottom):
                y = out[o, row, left:right]
                for j in range(y.shape[0]):
                    y[j] = nothing
        if out.shape[2] == 1:
            values, sums = source[o, :, 0], out[o, :, 0]
            for i in range(index.shape[0]):
                row = within(index[i], out.shape[1])
                if row < 0:
                    status[0] = 1 + i
                elif top <= row < bottom and row != skip:
                    sums[row] = sums[row] + values[i] if add else values[i]
            continue
        for i in range(index.shape[0]):
            row = within(index[i], out.shape[1])
            if row < 0:
                status[0] = 1 + i
            elif top <= row < bottom and row != skip:
                v, y = source[o, i, left:right], out[o, row, left:right]
                if add:
                    for j in range(y.shape[0]):
                        y[j] += v[j]
                else:
                    for j in range(y.shape[0]):
                        y[j] = v[j]


@kernel("T[:, :], i8[:], i8[:], T[:, :], i8[:], Blocks", Blocks)
def move_rows(x, index, goals, out, status, blocks, start, stop):
    """out[goals[i]] += x[index[i]], from zeros; a unit owns a block of rows and columns of out."""
    count = index.shape[0]
    if not (all_within(index, x.shape[0]) and all_within(goals, out.shape[0])):
        for i in range(count):
            if within(index[i], x.shape[0]) < 0 or within(goals[i], out.shape[0]) < 0:
                status[0] = 1 + i
        return
    for unit in range(start, stop):
        block = unit // blocks.column_blocks
        left = (unit - block * blocks.column_blocks) * blocks.columns
        right = min(out.shape[1], left + blocks.columns)
        top = block * blocks.rows
        bottom = min(out.shape[0], top + blocks.rows)
        for row in range(top, bottom):
            y = out[row, left:right]
            for j in range(y.shape[0]):
                y[j] = 0
        i = 0
        while i < count:
            goal = goals[i]
            if goal < top or goal >= bottom:
                i += 1
                continue
            v0, y = x[index[i], left:right], out[goal, left:right]
            if i + 3 < count and goals[i + 1] == goal and goals[i + 2] == goal and goals[i + 3] == goal:
                # An element of the sum is read and written once for four that are added.
                v1, v2, v3 = x[index[i + 1], left:right], x[index[i + 2], left:right], x[index[i + 3], left:right]
                for j in range(y.shape[0]):
                    y[j] += (v0[j] + v1[j]) + (v2[j] + v3[j])
                i += 4
            else:
                for j in range(y.shape[0]):
                    y[j] += v0[j]
                i += 1


def _row_view(name: str, operand: Operand, dim: int, dims: int) -> tuple[int, int, int]:
    """A contiguous operand as (outer, the dims indexed, inner)."""
    spec = operand.spec
    if not spec.is_contiguous:
        raise ProofError(f"{name}: an operand is {spec}, expected contiguous")
    shape = spec.shape
    return product(shape[:dim]), product(shape[dim : dim + dims]), product(shape[dim + dims :])


def plan_linear_index(b: PlanBuilder, indices: list[Operand], extents: tuple[int, ...], linear: Operand) -> None:
    """From one index for each of several dimensions to one: ``linear = (i0 * extents[1] + i1) * extents[2] ...``.

    indices, linear
        int64, contiguous, of one shape. A bad index leaves the status 1 + its position.
    """
    count = linear.spec.numel
    for position, (index, extent) in enumerate(zip(indices, extents, strict=True)):
        b.launch(
            linear_index,
            index.array(count),
            linear.array(count),
            STATUS,
            extent,
            position,
            work=count,
            grain=GRAIN_COST // 4,
        )


def plan_index_select(b: PlanBuilder, x: Operand, index: Operand, out: Operand, dim: int, *, dims: int = 1) -> None:
    """``out[..., i, ...] = x[..., index[i], ...]`` at ``dim``: index_select, embedding, advanced indexing.

    x
        Contiguous, any dtype. ``dims`` dimensions from ``dim`` on are indexed as one (`plan_linear_index`).
    index
        int64, contiguous, any shape.
    out
        Contiguous: x's shape with the dimensions indexed replaced by index's.
    """
    outer, extent, inner = _row_view("index_select", x, dim, dims)
    count = index.spec.numel
    b.launch(
        gather_rows, x.array(outer, extent, inner), index.array(count), out.array(outer, count, inner), STATUS,
        work=outer * count, grain=max(1, GRAIN_COST // (inner + 8)), cost=outer * count * (inner + 8),
    )  # fmt: skip


def plan_reverse(b: PlanBuilder, x: Operand, out: Operand, dim: int) -> None:
    """``out[..., i, ...] = x[..., n - 1 - i, ...]`` at ``dim``; both contiguous, of one shape and dtype."""
    outer, extent, inner = _row_view("reverse", x, dim, 1)
    lines = inner == 1
    shape = (1, outer, extent) if lines else (outer, extent, inner)
    length = shape[2]
    b.launch(
        reverse_rows, x.array(*shape), out.array(*shape), int(lines),
        work=shape[0] * shape[1], grain=max(1, GRAIN_COST // (length + 8)), cost=shape[0] * shape[1] * (length + 8),
    )  # fmt: skip


def plan_index_scatter(
    b: PlanBuilder,
    source: Operand,
    index: Operand,
    out: Operand,
    dim: int,
    *,
    dims: int = 1,
    accumulate: bool = True,
    zero: bool = False,
    skip: int = -1,
) -> None:
    """``out[..., index[i], ...] (+)= source[..., i, ...]``: index_add, index_put, the backward of `plan_index_select`.

    Operands are as there, with source in out's place and out in x's. ``zero`` clears out first; ``skip`` names an index
    that is left out (embedding's padding_idx).
    """
    outer, extent, inner = _row_view("index_scatter", out, dim, dims)
    count = index.spec.numel
    blocks, units = _blocks(outer, extent, inner, count)
    cost = (count + extent) * (inner + 8)
    b.launch(
        scatter_rows, source.array(outer, count, inner), index.array(count), out.array(outer, extent, inner), STATUS,
        blocks, int(accumulate), int(zero), skip,
        work=outer * units, grain=max(1, GRAIN_COST * units // max(1, cost)), cost=outer * cost,
    )  # fmt: skip


def _blocks(outer: int, extent: int, inner: int, count: int) -> tuple[Blocks, int]:
    """The blocks of each of ``outer`` results [extent, inner] to which ``count`` rows go, and their number."""
    owners = max(1, min(MOST_OWNERS // max(1, outer), count * inner * outer // GRAIN_COST))
    # Halves of the rows, so that a thread adds to what it has just written; blocks of columns, since all indices may name
    # rows of one half.
    row_blocks = max(1, min(owners, extent, 2))
    column_blocks = max(1, min(owners // row_blocks, inner // 16))
    columns, rows = -(-inner // column_blocks), -(-extent // row_blocks)
    column_blocks, row_blocks = -(-inner // max(1, columns)), -(-extent // max(1, rows))
    return Blocks(row_blocks, rows, column_blocks, columns), row_blocks * column_blocks


def plan_move_rows(b: PlanBuilder, x: Operand, index: Operand, goals: Operand, out: Operand) -> None:
    """``out[goals[i]] += x[index[i]]``, from zeros, for x [V, D], out [G, D], and index and goals [N]: all contiguous.

    Index and goals are of int64. One out of range leaves the status 1 + its position.
    """
    count, (extent, inner) = index.spec.numel, out.spec.shape
    blocks, units = _blocks(1, extent, inner, count)
    cost = (count + extent) * (inner + 8)
    b.launch(
        move_rows, x.array(*x.spec.shape), index.array(count), goals.array(count), out.array(extent, inner), STATUS, blocks,
        work=units, grain=max(1, GRAIN_COST * units // max(1, cost)), cost=cost,
    )  # fmt: skip


# ---- elements ---------------------------------------------------------------------------------------------------


class Source(NamedTuple):
    """The operands of `gather_elements`: rows of the index, and the first element in x of a row."""

    extents: Extents4
    row: Steps4
    width: int
    step: int  # of x along a row
    extent: int  # of x along dim
    dim_step: int


@kernel("T[:], i8[:], T[:], i8[:], Source", Source)
def gather_elements(x, index, out, status, source, start, stop):
    """Work: rows of ``source.width`` elements of the index."""
    width = source.width
    for row in range(start, stop):
        base = offset4(row, source.extents, source.row)
        numbers, y = index[row * width : (row + 1) * width], out[row * width : (row + 1) * width]
        if all_within(numbers, source.extent):
            for j in range(y.shape[0]):
                y[j] = x[np.uint64(base + numbers[j] * source.dim_step + j * source.step)]
        else:
            for j in range(y.shape[0]):
                if within(numbers[j], source.extent) < 0:
                    status[0] = 1 + row * width + j


class Side(NamedTuple):
    """Steps of one operand of `scatter_elements`: from line to line, along dim, and from a line to its neighbour."""

    lines: Steps4
    dim: int
    column: int


class Lines(NamedTuple):
    """Lines along dim; a unit owns ``columns`` neighbouring ones of ``width``."""

    extents: Extents4
    length: int  # of a line
    extent: int  # of out along dim
    width: int
    blocks: int
    columns: int


@kernel("T[:], i8[:], T[:], i8[:], Lines, Side, Side, Side, i8, i8", Lines, Side)
def scatter_elements(
    source, index, out, status, lines, of_source, of_index, of_out, way, broadcast, start, stop
):  # fmt: skip
    """Along dim in order: a unit owns some lines of out. ``broadcast``: the source is one value."""
    for unit in range(start, stop):
        line = unit // lines.blocks
        left = (unit - line * lines.blocks) * lines.columns
        right = min(lines.width, left + lines.columns)
        first_source = offset4(line, lines.extents, of_source.lines)
        first_index = offset4(line, lines.extents, of_index.lines)
        first_out = offset4(line, lines.extents, of_out.lines)
        if right == left + 1 and of_index.dim == 1 and way <= ADD:  # a line by itself, and the ways most used
            first_source += left * of_source.column
            first_index += left * of_index.column
            first_out += left * of_out.column
            numbers = index[first_index : first_index + lines.length]
            if all_within(numbers, lines.extent):
                for i in range(numbers.shape[0]):
                    value = source[np.uint64(0 if broadcast else first_source + i * of_source.dim)]
                    goal = np.uint64(first_out + numbers[i] * of_out.dim)
                    out[goal] = out[goal] + value if way == ADD else value
            else:
                for i in range(numbers.shape[0]):
                    if within(numbers[i], lines.extent) < 0:
                        status[0] = 1 + first_index + i
            continue
        for i in range(lines.length):
            for j in range(left, right):
                position = first_index + i * of_index.dim + j * of_index.column
                number = within(index[position], lines.extent)
                if number < 0:
                    status[0] = 1 + position
                else:
                    value = source[0] if broadcast else source[first_source + i * of_source.dim + j * of_source.column]
                    goal = first_out + number * of_out.dim + j * of_out.column
                    out[goal] = combined(out[goal], value, way)


def plan_gather_elements(b: PlanBuilder, x: Operand, index: Operand, out: Operand, dim: int) -> None:
    """torch.gather: ``out[i][j][k] = x[i][index[i][j][k]][k]`` (dim 1).

    x
        Any strides and dtype. A scalar counts as one dimension.
    index, out
        Contiguous, of one shape; index is int64 and nowhere but at ``dim`` larger than x.
    """
    if not index.spec.is_contiguous or not out.spec.is_contiguous:
        raise ProofError(f"gather: index is {index.spec} and out {out.spec}, expected contiguous")
    strides, extents = x.spec.strides or (1,), x.spec.shape or (1,)
    shape, index_strides = index.spec.shape or (1,), index.spec.strides or (1,)
    loops = merged([Loop(n, 0 if d == dim else strides[d], index_strides[d]) for d, n in enumerate(shape)])
    if len(loops) > KEPT + 1:
        raise ProofError(
            f"gather: the index has {len(loops)} dimensions that do not merge, expected at most {KEPT + 1}"
        )
    grid = [Loop(1, 0)] * (KEPT + 1 - len(loops)) + loops
    width, rows = grid[-1].extent, index.spec.numel // max(1, grid[-1].extent)
    source = Source(
        Extents4(*[loop.extent for loop in grid[1:-1]]), Steps4(*[loop.stride for loop in grid[:-1]]),
        width, grid[-1].stride, extents[dim], strides[dim],
    )  # fmt: skip
    b.launch(
        gather_elements, x.flat, index.flat, out.flat, STATUS, source,
        work=rows, grain=max(1, GRAIN_COST // (4 * width + 16)), cost=rows * (4 * width + 16),
    )  # fmt: skip


def plan_scatter_elements(
    b: PlanBuilder, source: Operand, index: Operand, out: Operand, dim: int, way: int = ADD
) -> None:
    """torch.scatter_add, scatter, scatter_reduce: ``out[i][index[i][j][k]][k] (+)= source[i][j][k]`` (dim 1), in order of j.

    way
        What becomes of an element: `REPLACE`, `ADD`, `MULTIPLY`, `LARGEST`, `SMALLEST`.

    source
        At least index's extents, any strides; or one element (numel 1), for all positions.
    index
        int64, contiguous.
    out
        Dense or not, but no two of its elements share memory; it holds its values already.
    """
    if not index.spec.is_contiguous:
        raise ProofError(f"scatter: index is {index.spec}, expected contiguous")
    shape, index_strides = index.spec.shape or (1,), index.spec.strides or (1,)
    out_strides, out_shape = out.spec.strides or (1,), out.spec.shape or (1,)
    broadcast = source.spec.numel == 1
    source_strides = (0,) * len(shape) if broadcast else source.spec.strides
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
    inner = lines.pop() if lines else (1, 0, 0, 0)
    lines = [(1, 0, 0, 0)] * (KEPT - len(lines)) + lines
    # Side by side in memory lines are walked together, else one by one.
    columns = 1 if index_strides[dim] == 1 and shape[dim] > 1 else 64
    blocks = -(-inner[0] // columns)
    units = product([line[0] for line in lines]) * blocks
    cost = 8 * shape[dim] * min(columns, inner[0])
    sides = [
        Side(Steps4(*[line[side] for line in lines]), steps[dim], inner[side])
        for side, steps in enumerate((source_strides, index_strides, out_strides), 1)
    ]
    grid = Lines(Extents4(*[line[0] for line in lines[1:]]), shape[dim], out_shape[dim], inner[0], blocks, columns)
    b.launch(
        scatter_elements, source.flat, index.flat, out.flat, STATUS, grid, *sides, way, int(broadcast),
        work=units if index.spec.numel else 0, grain=max(1, GRAIN_COST // max(1, cost)), cost=units * cost,
    )  # fmt: skip
