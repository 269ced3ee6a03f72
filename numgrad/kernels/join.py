"""Joining any number of tensors in one launch: a table says where each piece of a source lies and where it goes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from numgrad.errors import ProofError
from numgrad.kernels.pieces import coalesce
from numgrad.kernels.update import array_at, grain_of
from numgrad.layout import Spec, contiguous_strides
from numgrad.runtime.kernel import kernel
from numgrad.runtime.plan import Operand, PlanBuilder

PIECE = 1 << 14  # elements from which on a source is cut into several rows of the table

ROW_COST = 32  # elements that take as long as reading a row of the table

# Columns of the table; after them, for each axis, the extents, then the steps in the source, then those in the result.
INPUT, BYTES, SPAN, BEGIN, LINES, AXES = range(6)


@kernel("i8[:], i8[:, :], T[:], T")
def join(addresses, table, out, zero, start, stop):
    """Work: rows of the table. The last axis has a loop of its own, the others an odometer."""
    axes = (table.shape[1] - 5) // 3
    last = 4 + axes
    for row in range(start, stop):
        source = array_at(addresses[table[row, 0]] + table[row, 1], table[row, 2], zero)
        count, step, out_step = table[row, last], table[row, last + axes], table[row, last + 2 * axes]
        for line in range(table[row, 4]):
            rest, a, c = line, 0, table[row, 3]
            for axis in range(last - 1, 4, -1):
                extent = table[row, axis]
                a += rest % extent * table[row, axis + axes]
                c += rest % extent * table[row, axis + 2 * axes]
                rest //= extent
            if step == 1 and out_step == 1:
                x, y = source[a : a + count], out[c : c + count]
                for i in range(count):
                    y[i] = x[i]
            else:
                for i in range(count):
                    out[c + i * out_step] = source[a + i * step]


def plan_join(b: PlanBuilder, specs: Sequence[Spec], inputs: np.ndarray, begins: np.ndarray, out: Operand) -> None:
    """Copy the inputs of these numbers, of one dtype and not empty, to ``out``, a contiguous operand.

    For each input of the plan, ``specs`` has its shape and strides, ``begins`` its first element in the result.
    """
    if not len(inputs):
        return
    numbers: dict[Spec, int] = {}
    kinds = np.array([numbers.setdefault(specs[number], len(numbers)) for number in inputs.tolist()], np.int64)
    strides = contiguous_strides(out.spec.shape)
    pieces = [_pieces(spec, strides) for spec in numbers]
    axes = max(len(extents) for rows in pieces for _, _, extents, _, _ in rows)
    templates = [
        np.array([_row(piece, axes, spec) for piece in rows]) for spec, rows in zip(numbers, pieces, strict=True)
    ]
    counts = np.array([len(rows) for rows in templates], np.int64)
    first = np.cumsum(counts) - counts  # index of a kind's first row among all templates
    repeats = counts[kinds]
    within = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    table = np.concatenate(templates)[np.repeat(first[kinds], repeats) + within]
    table[:, INPUT] = np.repeat(inputs, repeats)
    table[:, BEGIN] += np.repeat(begins[inputs], repeats)
    _prove(table, axes, out)
    rows = len(table)
    cost = out.extent + ROW_COST * rows
    b.launch(
        join, b.table, b.constant(table), out.flat, 0,
        work=rows, grain=grain_of(rows, cost), cost=cost, binding=(out.code,),
    )  # fmt: skip


_Piece = tuple[int, int, list[int], list[int], list[int]]  # first element of the source and of the result, axes


def _pieces(spec: Spec, strides: tuple[int, ...]) -> list[_Piece]:
    """The elements of a source of this layout, cut along the longest axis if there are many."""
    extents, (steps, out_steps) = coalesce(tuple(spec.shape), [list(spec.strides), list(strides)])
    longest = max(range(len(extents)), key=extents.__getitem__)
    length = max(1, extents[longest] * PIECE // spec.numel)
    if length >= extents[longest]:
        return [(0, 0, extents, steps, out_steps)]
    pieces = []
    for begin in range(0, extents[longest], length):
        cut = list(extents)
        cut[longest] = min(length, extents[longest] - begin)
        pieces.append((begin * steps[longest], begin * out_steps[longest], cut, steps, out_steps))
    return pieces


def _row(piece: _Piece, axes: int, spec: Spec) -> list[int]:
    source, begin, extents, steps, out_steps = piece
    missing = axes - len(extents)
    lines = list(accumulate(extents[:-1], int.__mul__, initial=1))[-1]
    span = spec.extent - source
    row = [0, source * spec.dtype.itemsize, span, begin, lines]
    for numbers, filler in ((extents, 1), (steps, 0), (out_steps, 0)):
        row += [filler] * missing + numbers
    return row


def _prove(table: np.ndarray, axes: int, out: Operand) -> None:
    """Prove that each row stays within its source and within the result."""
    extents, steps, out_steps = (table[:, AXES + k * axes : AXES + (k + 1) * axes] for k in range(3))
    reach = ((extents - 1) * steps).sum(1) < table[:, SPAN]
    within = table[:, BEGIN] + ((extents - 1) * out_steps).sum(1) < out.extent
    if not (reach.all() and within.all() and (extents > 0).all() and table[:, BEGIN].min() >= 0):
        raise ProofError("join: a row of the table reaches beyond its operands")
