"""``matrix @ tile @ matrix.T``, lane by lane: the transforms of Winograd's algorithm, as LLVM vector IR."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from numgrad.runtime.kernel import Intrinsic, intrinsic
from numgrad.runtime.simd_emit import Tile

Matrix = tuple[tuple[float, ...], ...]
# Bytes from where a vector is written to where one will be soon: there are more streams of them than a CPU follows by itself.
AHEAD = 128
SQUARES = 4  # sums that squares are added to in turn: a transform leaves few registers, an addition takes four cycles


def transform_tile(code: str, matrices: Sequence[Matrix], watched: Sequence[bool]) -> Intrinsic:
    """``tile(number, sources, source_shift, goals, goal_shift, few, sums)``: ``goal = matrix @ source @ matrix.T``.

    ``number`` says which of the matrices is meant. ``sources`` and ``goals`` are addresses of tables of the elements' addresses,
    row by row. A transform that is ``watched`` adds the squares of all elements to the first of five vectors at the address
    ``sums``, and those of the elements at four addresses, in the table ``few``, to the others.
    """

    @intrinsic
    def tile(typing_context, number, sources, source_shift, goals, goal_shift, few, sums):
        from numba import types

        def emit(context, builder, signature, args):
            t = Tile(context, builder, code, 1, 1)
            number, *operands = args
            blocks = [builder.append_basic_block("transform") for _ in matrices]
            done = builder.append_basic_block("done")
            choice = builder.switch(number, blocks[-1])
            for index, block in enumerate(blocks):
                if index < len(blocks) - 1:
                    choice.add_case(t.word(index), block)
                builder.position_at_end(block)
                _transform(t, matrices[index], watched[index], *operands)
                builder.branch(done)
            builder.position_at_end(done)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 7), emit

    return tile


def _transform(t: Tile, matrix: Matrix, watching: bool, sources, source_shift, goals, goal_shift, few, sums) -> None:
    rows, columns, builder = len(matrix), len(matrix[0]), t.builder
    table, written, room = t.pointer(sources), t.pointer(goals), t.room(rows * columns)

    def transform_column(j, squares):
        """A column of ``matrix @ source``."""
        words, squares = t.advance(table, builder.mul(j, t.word(8))), list(squares)
        column = [
            t.read_vector(t.pointer(builder.add(t.read_word(words, i * columns), source_shift))) for i in range(columns)
        ]
        for i, value in enumerate(_product(t, matrix, column)):
            builder.store(value, builder.gep(room, [builder.add(j, t.word(i * columns))]))
        if watching:  # while they are in registers
            for i, value in enumerate(column):
                squares[i % SQUARES] = t.multiply_add(value, value, squares[i % SQUARES])
        return squares

    def transform_row(i, _):
        words, first = t.advance(written, builder.mul(i, t.word(8 * rows))), builder.mul(i, t.word(columns))
        values = [builder.load(builder.gep(room, [builder.add(first, t.word(j))])) for j in range(columns)]
        for j, value in enumerate(_product(t, matrix, values)):
            address = builder.add(t.read_word(words, j), goal_shift)
            t.prefetch(t.pointer(builder.add(address, t.word(AHEAD))), to_write=True)
            builder.store(value, t.pointer(address, t.vector), align=t.itemsize)
        return []

    # Written out, the turns take several times as long to compile, and more registers than there are.
    squares = t.loop(t.word(columns), t.zeros(SQUARES) if watching else [], transform_column, rolled=True)
    if watching:
        _add_sums(t, functools.reduce(builder.fadd, squares), few, source_shift, sums)
    t.loop(t.word(rows), [], transform_row, rolled=True)


def _add_sums(t: Tile, total, few, shift, sums) -> None:
    builder, pointer = t.builder, t.pointer(sums)
    results = [builder.fadd(t.read_vector(pointer), total)]
    for i in range(4):
        value = t.read_vector(t.pointer(builder.add(t.read_word(t.pointer(few), i), shift)))
        results.append(t.multiply_add(value, value, t.read_vector(pointer, i + 1)))
    for i, result in enumerate(results):
        goal = builder.bitcast(t.advance(pointer, i * t.lanes * t.itemsize), t.vector.as_pointer())
        builder.store(result, goal, align=t.itemsize)


def _product(t: Tile, matrix: Matrix, values: Sequence[Any]) -> list[Any]:
    """``matrix @ values`` for a column of vectors; rows that differ only in signs share their parts."""
    builder = t.builder
    results: list[Any] = [None] * len(matrix)
    for i, factors in enumerate(matrix):
        if results[i] is not None:
            continue
        twin = next((k for k in range(i + 1, len(matrix)) if [*map(abs, matrix[k])] == [*map(abs, factors)]), None)
        if twin is None:
            results[i] = _weighted(t, factors, values)
            continue
        even = _weighted(t, [f if f == g else 0 for f, g in zip(factors, matrix[twin], strict=True)], values)
        odd = _weighted(t, [f if f != g else 0 for f, g in zip(factors, matrix[twin], strict=True)], values)
        results[i] = odd if even is None else builder.fadd(even, odd)
        results[twin] = builder.fneg(odd) if even is None else builder.fsub(even, odd)
    return results


def _weighted(t: Tile, factors: Sequence[float], values: Sequence[Any]) -> Any:
    """The sum of values times factors; None if all factors are 0."""
    builder, total = t.builder, None
    for factor, value in zip(factors, values, strict=True):
        if factor == 0:
            continue
        constant = t.ir.Constant(t.vector, [factor] * t.lanes)
        if total is None:
            total = value if factor == 1 else builder.fmul(value, constant)
        elif factor == 1:
            total = builder.fadd(total, value)
        elif factor == -1:
            total = builder.fsub(total, value)
        else:
            total = t.multiply_add(constant, value, total)
    return total
