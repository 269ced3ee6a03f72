"""Reductions with indices: argmax, argmin, and max and min with indices, over the loops of `reduce`.

The index counts the reduced dimensions in their logical order, so they are merged but never sorted. Of equal values the
first wins, and the first NaN wins over everything, as in NumPy and torch.
"""

from __future__ import annotations

from typing import NamedTuple

from numgrad import dtypes
from numgrad.errors import ProofError
from numgrad.kernels.loops import Extents4, Steps4, offset3, offset4
from numgrad.kernels.reduce import (
    Loop,
    _dense,
    dense_rows,
    in_memory_order,
    kept_record,
    merged,
    parts_of,
    plan_gather,
    reduced_record,
    split_dims,
)
from numgrad.kernels.reduce_kernels import (
    BLOCK,
    COLUMNS,
    KEPT,
    REDUCED,
    Columns,
    Kept,
    Reduced,
    choose,
    larger_row,
    part_of,
    smaller_row,
)
from numgrad.kernels.reduce_short import ENOUGH
from numgrad.layout import product
from numgrad.runtime.kernel import Device, Kernel, device, kernel
from numgrad.runtime.plan import Operand, PlanBuilder, grain_of

STRIDE = 64
SHORT = 32  # elements of a row that are compared one after the other


@device
def is_larger(v, best):
    """v replaces best: larger, or the first NaN."""
    return (v > best) | ((v != v) & (best == best))


@device
def is_smaller(v, best):
    """v replaces best: smaller, or the first NaN."""
    return (v < best) | ((v != v) & (best == best))


class Results(NamedTuple):
    """The loops over the outputs of partial results, of which the last is the columns."""

    extents: Extents4
    steps: Steps4
    columns: int
    column_step: int


@device
def first_match(row, best):
    """Position of the first element that is best, or NaN; searched in strides that vectorise."""
    position = 0
    for begin in range(0, row.shape[0], STRIDE):
        block = row[begin : begin + STRIDE]
        matches = 0
        for i in range(block.shape[0]):
            matches += (block[i] == best) | (block[i] != block[i])
        position = begin
        if matches:
            break
    while position < row.shape[0] - 1 and row[position] != best and row[position] == row[position]:
        position += 1
    return position


def _inner_kernel(name: str, extreme_row: Device, better: Device) -> Kernel:
    def arg_inner(x, values, indices, kept, reduced, start, stop):
        count, part_length, outputs = reduced.length, reduced.part_length, reduced.outputs
        row_length, step = reduced.extents.n2, reduced.source.s2
        for unit in range(start, stop):
            part = part_of(unit, outputs)
            index = unit - part * outputs
            base = offset4(index, kept.extents, kept.source)
            position = part * part_length
            last = min(count, position + part_length)
            first, where, where_offset = position, position, base + offset3(position, reduced.extents, reduced.source)
            best = x[where_offset]
            where_length = 0  # 0: where is exact, else best is the extreme of so many elements from there on
            while position < last:
                length = min(
                    min(BLOCK, row_length - (position if position < row_length else position % row_length)),
                    last - position,
                )
                offset = base + offset3(position, reduced.extents, reduced.source)
                if step == 1:
                    v = extreme_row(x[offset], x[offset : offset + length])
                    if better(v, best) or position == first:
                        best, where, where_offset, where_length = v, position, offset, length
                else:
                    for i in range(length):
                        v = x[offset + i * step]
                        if better(v, best):
                            best, where, where_offset, where_length = v, position + i, offset + i * step, 0
                position += length
            if where_length:
                where += first_match(x[where_offset : where_offset + where_length], best)
            goal = offset4(index, kept.extents, kept.result) + part * outputs
            values[goal] = best
            indices[goal] = where

    arg_inner.__name__ = f"{name}_inner"
    return kernel("T[:], T[:], i8[:], Kept, Reduced", Kept, Reduced)(arg_inner)


def _short_kernel(name: str, better: Device) -> Kernel:
    def arg_short(x, values, indices, count, start, stop):
        """Rows of ``count`` elements that lie one after the other, without anything round a row."""
        for i in range(start, stop):
            row = x[i * count : (i + 1) * count]
            best, where = row[0], 0
            for j in range(1, row.shape[0]):
                take = better(row[j], best)
                best, where = choose(take, row[j], best), choose(take, j, where)
            values[i] = best
            indices[i] = where

    arg_short.__name__ = f"{name}_short"
    return kernel("T[:], T[:], i8[:], i8")(arg_short)


def _outer_kernel(name: str, better: Device) -> Kernel:
    def arg_outer(x, best, where, values, indices, kept, reduced, columns, start, stop, worker):
        count, part_length, outputs = reduced.length, reduced.part_length, reduced.outputs
        result_step, blocks = columns.result_step, columns.blocks
        best = best[worker * COLUMNS : (worker + 1) * COLUMNS]
        where = where[worker * COLUMNS : (worker + 1) * COLUMNS]
        for unit in range(start, stop):
            row = unit // blocks
            column = (unit - row * blocks) * COLUMNS
            part = part_of(row, outputs)
            index = row - part * outputs
            n = min(COLUMNS, columns.width - column)
            base = offset4(index, kept.extents, kept.source) + column
            first_position = part * part_length
            b, w = best[:n], where[:n]
            offset = base + offset3(first_position, reduced.extents, reduced.source)
            x0 = x[offset : offset + n]
            for j in range(b.shape[0]):
                b[j] = x0[j]
                w[j] = first_position
            for position in range(first_position + 1, min(count, first_position + part_length)):
                offset = base + offset3(position, reduced.extents, reduced.source)
                x0 = x[offset : offset + n]
                for j in range(b.shape[0]):
                    v = x0[j]
                    take = better(v, b[j])
                    b[j] = v if take else b[j]
                    w[j] = position if take else w[j]
            first = offset4(index, kept.extents, kept.result) + part * outputs * columns.width + column * result_step
            for j in range(n):
                values[first + j * result_step] = b[j]
                indices[first + j * result_step] = w[j]

    arg_outer.__name__ = f"{name}_outer"
    return kernel("T[:], T[:], i8[:], T[:], i8[:], Kept, Reduced, Columns", Kept, Reduced, Columns)(arg_outer)


def _combine_kernel(name: str, better: Device) -> Kernel:
    def arg_combine(part_values, part_indices, values, indices, results, outputs, parts, start, stop):
        """Partial results of all outputs, part after part, into one each; the first of equal ones wins."""
        for index in range(start, stop):
            best, where = part_values[index], part_indices[index]
            for part in range(1, parts):
                v = part_values[part * outputs + index]
                if better(v, best):
                    best, where = v, part_indices[part * outputs + index]
            row = index // results.columns
            goal = offset4(row, results.extents, results.steps) + (index - row * results.columns) * results.column_step
            values[goal] = best
            indices[goal] = where

    arg_combine.__name__ = f"{name}_combine"
    return kernel("T[:], i8[:], T[:], i8[:], Results, i8, i8", Results)(arg_combine)


_KERNELS = {
    "max": (
        _inner_kernel("argmax", larger_row, is_larger),
        _short_kernel("argmax", is_larger),
        _outer_kernel("argmax", is_larger),
        _combine_kernel("argmax", is_larger),
    ),
    "min": (
        _inner_kernel("argmin", smaller_row, is_smaller),
        _short_kernel("argmin", is_smaller),
        _outer_kernel("argmin", is_smaller),
        _combine_kernel("argmin", is_smaller),
    ),
}


def plan_reduce_index(
    b: PlanBuilder, kind: str, x: Operand, values: Operand | None, indices: Operand, dims: tuple[int, ...]
) -> None:
    """Maximum or minimum over ``dims``, and its index; for argmax and argmin ``values`` is None.

    kind
        ``max`` or ``min``.
    x
        Any shape, strides (0 too) and dtype, not empty along ``dims``.
    values, indices
        The kept dimensions in their order, or all of them with extents of 1 where reduced; both have the same strides.
        values has x's dtype, indices int64: the position in the reduced dimensions, flattened in logical order.
    """
    if values is not None and values.spec.strides != indices.spec.strides:
        raise ProofError(
            f"max with indices: strides of indices are {indices.spec.strides}, expected {values.spec.strides}"
        )
    kept, reduced = split_dims(x.spec, indices.spec, dims)
    if values is None:
        values = b.scratch(x.spec.dtype, indices.extent)
    _plan(b, kind, x, values, indices, kept, reduced)


def _plan(
    b: PlanBuilder, kind: str, x: Operand, values: Operand, indices: Operand, kept: list[Loop], reduced: list[Loop]
) -> None:
    inner, short, outer, combine = _KERNELS[kind]
    kept, reduced = merged(in_memory_order(kept)), merged(reduced)
    outputs, count = product([k.extent for k in kept]), product([r.extent for r in reduced])
    if outputs * count == 0:
        return
    nearest = min((loop for loop in (*kept, *reduced) if loop.stride), key=lambda loop: loop.stride, default=None)
    columns = nearest if any(nearest is k for k in kept) else None
    if columns is not None:
        kept = [k for k in kept if k is not columns]
    # Lines with gaps between their elements take more time than a copy of them, and lines without.
    has_gaps = nearest is not None and nearest.stride != 1 and (columns is not None or count > SHORT)
    if len(kept) > KEPT or len(reduced) > REDUCED or has_gaps:
        gathered, loops = plan_gather(b, x, (*kept, *([columns] if columns else [])), reduced)
        split = len(loops) - len(reduced)
        _plan(b, kind, gathered, values, indices, loops[:split], loops[split:])
        return
    rows = dense_rows(kept, reduced) if columns is None and count <= SHORT else None
    if rows and rows[0] >= ENOUGH:
        b.launch(
            short, x.array(outputs * count), values.array(outputs), indices.array(outputs), count,
            work=outputs, grain=grain_of(4 * count), cost=4 * outputs * count,
        )  # fmt: skip
        return
    width = columns.extent if columns else 1
    blocks = -(-width // COLUMNS)
    units = outputs // width
    parts, part_length = parts_of(count, units * blocks, min(width, COLUMNS))
    results, result_kept, result_columns = (values, indices), kept, columns
    if parts > 1:
        results = b.scratch(x.spec.dtype, parts * outputs), b.scratch(dtypes.int64, parts * outputs)
        result_kept = _dense(kept, width)
        result_columns = columns and Loop(columns.extent, columns.stride, 1)
    records = kept_record(result_kept), reduced_record(reduced, count, part_length, units)
    grain = grain_of(2 * part_length * min(width, COLUMNS) + 16)
    flat = [result.flat for result in results]
    if result_columns is None:
        b.launch(inner, x.flat, *flat, *records, work=units * parts, grain=grain, cost=2 * outputs * count)
    else:
        b.launch(
            outer, x.flat,
            b.scratch(x.spec.dtype, COLUMNS, per_worker=True).flat,
            b.scratch(dtypes.int64, COLUMNS, per_worker=True).flat,
            *flat, *records, Columns(width, result_columns.out_stride, blocks, COLUMNS, 1, 0),
            work=units * parts * blocks, grain=grain, cost=2 * outputs * count,
        )  # fmt: skip
    if parts > 1:
        loops = [*kept, columns or Loop(1, 0, 0)]
        loops = [Loop(1, 0)] * (KEPT + 1 - len(loops)) + loops
        extents, steps = [loop.extent for loop in loops], [loop.out_stride for loop in loops]
        grid = Results(Extents4(*extents[1:4]), Steps4(*steps[:4]), extents[4], steps[4])
        b.launch(
            combine, *flat, values.flat, indices.flat, grid, outputs, parts,
            work=outputs, grain=grain_of(4 * parts),
        )  # fmt: skip
