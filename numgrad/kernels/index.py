"""Reading by index: rows (index_select, embedding, advanced indexing) and elements (gather); elements in reverse order.

Indices count from 0; one out of range, such as -1, leaves the status 1 + its position. They are looked at in blocks that stay
in the nearest cache, each before it is used: nothing is read at a place that was not proved.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numgrad.errors import ProofError
from numgrad.kernels.loops import Extents4, Steps4, offset4
from numgrad.kernels.reduce import Loop, merged
from numgrad.kernels.reduce_kernels import KEPT
from numgrad.layout import product
from numgrad.runtime.kernel import device, kernel
from numgrad.runtime.plan import GRAIN_COST, STATUS, Operand, PlanBuilder

CHECKED = 512  # indices that are looked at before they are used


@device
def all_within(index, extent):
    """Whether no index is out of range: a loop by itself, that the loop which uses them need not look."""
    bad = 0
    for i in range(index.shape[0]):
        bad |= index[i] | (extent - 1 - index[i])  # negative if one of them is
    return bad >= 0


@device
def mark_outside(index, extent, status, position):
    """Leave the status of an index out of range, of those of which the first is at this position."""
    for i in range(index.shape[0]):
        if index[i] < 0 or index[i] >= extent:
            status[0] = 1 + position + i


# ---- rows -------------------------------------------------------------------------------------------------------


@kernel("i8[:], i8[:], i8[:], i8, i8")
def linear_index(index, linear, status, extent, following, start, stop):
    """linear = index, or (following) linear * extent + index; negative indices count from the end."""
    numbers, goals = index[start:stop], linear[start:stop]
    bad = 0
    for i in range(goals.shape[0]):
        number = numbers[i] + (extent if numbers[i] < 0 else 0)
        bad |= number | (extent - 1 - number)
        goals[i] = goals[i] * extent + number if following else number
    if bad < 0:
        for i in range(numbers.shape[0]):
            if numbers[i] < -extent or numbers[i] >= extent:
                status[0] = 1 + start + i


@kernel("T[:, :, :], i8[:], T[:, :, :], i8[:]")
def gather_rows(x, index, out, status, start, stop):
    """out[o, i] = x[o, index[i]]; work: rows of out."""
    count, extent = index.shape[0], x.shape[1]
    unit = start
    while unit < stop:
        o = unit // count
        first = unit - o * count
        last = min(count, first + min(CHECKED, stop - unit))
        unit += last - first
        numbers = index[first:last]
        if not all_within(numbers, extent):
            mark_outside(numbers, extent, status, first)
        else:
            for i in range(numbers.shape[0]):
                v, y = x[o, np.uint64(numbers[i])], out[o, first + i]
                for j in range(y.shape[0]):
                    y[j] = v[j]


@kernel("T[:, :, :], T[:, :, :], i8")
def reverse_rows(x, out, lines, start, stop):
    """out[o, i] = x[o, n - 1 - i]; work: rows of out. With ``lines`` the elements of each x[0, i] in reverse order."""
    for unit in range(start, stop):
        if lines:
            v, y = x[0, unit], out[0, unit]
            last = np.uint64(y.shape[0] - 1)  # unsigned: it is not counted from the end, which would not vectorise
            for j in range(y.shape[0]):
                y[j] = v[last - np.uint64(j)]
        else:
            n = x.shape[1]
            o = unit // n
            i = unit - o * n
            v, y = x[o, n - 1 - i], out[o, i]
            for j in range(y.shape[0]):
                y[j] = v[j]


def row_view(name: str, operand: Operand, dim: int) -> tuple[int, int, int]:
    """A contiguous operand as (outer, the extent of dim, inner)."""
    spec = operand.spec
    if not spec.is_contiguous:
        raise ProofError(f"{name}: an operand is {spec}, expected contiguous")
    shape = spec.shape
    return product(shape[:dim]), shape[dim], product(shape[dim + 1 :])


def plan_linear_index(b: PlanBuilder, indices: list[Operand], extents: tuple[int, ...], linear: Operand) -> None:
    """From one index for each of several dimensions to one that counts from 0: ``(i0 * extents[1] + i1) * extents[2] ...``.

    indices, linear
        int64, contiguous, of one shape. Negative indices count from the end; a bad one leaves the status 1 + its position.
    """
    count = linear.spec.numel
    for position, (index, extent) in enumerate(zip(indices, extents, strict=True)):
        b.launch(
            linear_index, index.array(count), linear.array(count), STATUS, extent, int(position > 0),
            work=count, grain=GRAIN_COST // 2,
        )  # fmt: skip


def plan_index_select(b: PlanBuilder, x: Operand, index: Operand, out: Operand, dim: int) -> None:
    """``out[..., i, ...] = x[..., index[i], ...]`` at ``dim``: index_select, embedding, advanced indexing.

    x
        Contiguous, any dtype.
    index
        int64, contiguous, any shape.
    out
        Contiguous: x's shape with the dimension replaced by index's.
    """
    outer, extent, inner = row_view("index_select", x, dim)
    count = index.spec.numel
    if inner == 1:
        source = Source(Extents4(1, 1, outer), Steps4(0, 0, 0, extent), count, 0, -(-count // CHECKED), 0, extent, 1)
        _launch_elements(b, x, index, out, source, outer)
        return
    b.launch(
        gather_rows, x.array(outer, extent, inner), index.array(count), out.array(outer, count, inner), STATUS,
        work=outer * count, grain=max(1, GRAIN_COST // (inner + 8)), cost=outer * count * (inner + 8),
    )  # fmt: skip


def plan_reverse(b: PlanBuilder, x: Operand, out: Operand, dim: int) -> None:
    """``out[..., i, ...] = x[..., n - 1 - i, ...]`` at ``dim``; both contiguous, of one shape and dtype."""
    outer, extent, inner = row_view("reverse", x, dim)
    lines = inner == 1
    shape = (1, outer, extent) if lines else (outer, extent, inner)
    length = shape[2]
    b.launch(
        reverse_rows, x.array(*shape), out.array(*shape), int(lines),
        work=shape[0] * shape[1], grain=max(1, GRAIN_COST // (length + 8)), cost=shape[0] * shape[1] * (length + 8),
    )  # fmt: skip


# ---- elements ---------------------------------------------------------------------------------------------------


class Source(NamedTuple):
    """The operands of `gather_elements`: rows of the result, and the first element in x of a row."""

    extents: Extents4
    row: Steps4
    width: int
    index_row: int  # from a row of the index to the next; 0 where one serves all
    blocks: int  # of a row
    step: int  # of x along a row
    extent: int  # of x along dim
    dim_step: int


@kernel("T[:], i8[:], T[:], i8[:], Source", Source)
def gather_elements(x, index, out, status, source, start, stop):
    """Work: blocks of rows of ``source.width`` elements of the result."""
    width, extent = source.width, source.extent
    for unit in range(start, stop):
        row = unit // source.blocks
        begin = (unit - row * source.blocks) * CHECKED
        count = min(width, begin + CHECKED) - begin
        base = offset4(row, source.extents, source.row) + begin * source.step
        position = row * source.index_row + begin
        numbers, y = index[position : position + count], out[row * width + begin : row * width + begin + count]
        if not all_within(numbers, extent):
            mark_outside(numbers, extent, status, position)
        elif source.step == 0 and source.dim_step == 1:
            line = x[base : base + extent]
            for j in range(y.shape[0]):
                y[j] = line[np.uint64(numbers[j])]
        else:
            for j in range(y.shape[0]):
                y[j] = x[np.uint64(base + numbers[j] * source.dim_step + j * source.step)]


def _launch_elements(
    b: PlanBuilder, x: Operand, index: Operand, out: Operand, source: Source, rows: int
) -> None:  # fmt: skip
    cost = 4 * min(source.width, CHECKED) + 16
    b.launch(
        gather_elements, x.flat, index.flat, out.flat, STATUS, source,
        work=rows * source.blocks, grain=max(1, GRAIN_COST // cost), cost=rows * source.blocks * cost,
    )  # fmt: skip


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
        width, width, -(-width // CHECKED), grid[-1].stride, extents[dim], strides[dim],
    )  # fmt: skip
    _launch_elements(b, x, index, out, source, rows)
