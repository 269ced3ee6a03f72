"""How the elements of several operands are walked: axes joined and ordered, and cut into pieces, each with a loop of its own."""

from __future__ import annotations

from typing import NamedTuple

from numgrad.layout import Spec, product

TILE = 32  # elements of an edge of a tile
TILED_FROM = 1 << 14  # elements in all
SHORT = 8  # elements of a row that are no loop of their own, but steps of one along another axis
LOOP = 256  # steps of that loop, where the other axes are too few to be split


class Piece(NamedTuple):
    """Part of the elements: where each operand begins, the extents, and each operand's strides."""

    offsets: list[int]
    extents: list[int]
    strides: list[list[int]]


def pieces(extents: list[int], strides: list[list[int]]) -> list[Piece]:
    """All elements; in tiles, if an operand lies along another axis than the result, so that no cache line is read twice.

    The tiles are two more axes of the odometer; the elements beyond them at two edges are pieces of their own.
    """
    start, last = [0] * len(strides), len(extents) - 1
    axis = other_line(extents, strides)
    if axis is None:
        return _by_short_rows(start, extents, strides)
    rows, columns = (extents[a] // TILE for a in (axis, last))
    others = [a for a in range(last) if a != axis]
    tiled = [[*(row[a] for a in others), row[axis] * TILE, row[last] * TILE, row[axis], row[last]] for row in strides]
    pieces = [Piece(start, [*(extents[a] for a in others), rows, columns, TILE, TILE], tiled)]
    inside = list(extents)
    for edge, tiled_extent in ((axis, rows * TILE), (last, columns * TILE)):
        leftover = list(inside)
        leftover[edge], inside[edge] = inside[edge] - tiled_extent, tiled_extent
        if leftover[edge]:
            pieces.append(Piece([row[edge] * tiled_extent for row in strides], leftover, strides))
    return pieces


def short_of(extents: list[int]) -> int:
    """The elements of a row, if they are few and `_by_short_rows` has put a longer axis beside them."""
    return next((n for n in range(2, SHORT + 1) if extents[-1] == n and len(extents) > 2 and extents[-2] >= 2 * n), 0)


def _by_short_rows(start: list[int], extents: list[int], strides: list[list[int]]) -> list[Piece]:
    """All elements; where rows are short, with the next longer axis beside theirs, in stretches if others lie between."""
    last = len(extents) - 1
    axis = next((a for a in reversed(range(last)) if extents[a] >= 2 * extents[last]), None)
    if axis is None or extents[last] > SHORT or product(extents) < LOOP:
        return [Piece(start, extents, strides)]
    count, rest = extents[axis] // LOOP, extents[axis] % LOOP
    between = range(axis + 1, last)

    def piece(offsets: list[int], loops: int, loop: int) -> Piece:
        axes = [[*row[:axis], row[axis] * LOOP, *(row[a] for a in between), row[axis], row[last]] for row in strides]
        return Piece(offsets, [*extents[:axis], loops, *(extents[a] for a in between), loop, extents[last]], axes)

    if not count or (axis == last - 1 and product(extents[:axis]) >= SHORT * SHORT):
        return [piece(start, 1, extents[axis])]
    edges = [piece([row[axis] * LOOP * count for row in strides], 1, rest)] if rest else []
    return [piece(start, count, LOOP), *edges]


def other_line(extents: list[int], strides: list[list[int]]) -> int | None:
    """The axis along which an input is contiguous while the result is along the last, if both are long."""
    if len(extents) < 2 or strides[-1][-1] != 1 or extents[-1] < TILE or product(extents) < TILED_FROM:
        return None
    for row in strides[:-1]:
        if row[-1] > 1 and 1 in row[:-1]:
            axis = row.index(1)
            if extents[axis] >= TILE:
                return axis
    return None


def broadcast_strides(spec: Spec, shape: tuple[int, ...]) -> list[int]:
    """The strides of an operand that broadcasts to a shape: 0 where it has no axis, or one of extent 1."""
    missing = len(shape) - spec.ndim
    strides = [0 if extent == 1 else stride for extent, stride in zip(spec.shape, spec.strides, strict=True)]
    return [0] * missing + strides


def coalesce(shape: tuple[int, ...], strides: list[list[int]]) -> tuple[list[int], list[list[int]]]:
    """Drop axes of extent 1, order the others by the result's strides, and join those that form one line in all operands."""
    axes = [axis for axis in range(len(shape)) if shape[axis] != 1]
    axes.sort(key=lambda axis: (-strides[-1][axis], axis))
    extents: list[int] = []
    merged: list[list[int]] = [[] for _ in strides]
    for axis in axes:
        fits = extents and all(row[-1] == steps[axis] * shape[axis] for row, steps in zip(merged, strides, strict=True))
        if fits:
            extents[-1] *= shape[axis]
            for row, steps in zip(merged, strides, strict=True):
                row[-1] = steps[axis]
        else:
            extents.append(shape[axis])
            for row, steps in zip(merged, strides, strict=True):
                row.append(steps[axis])
    if not extents:
        return [1], [[1] for _ in strides]
    return extents, merged
