"""Grids of three or four loops over memory, as records, and where an item of one lies."""

from __future__ import annotations

from typing import NamedTuple

from numgrad.runtime.kernel import device


class Extents3(NamedTuple):
    """Of a grid of three loops; the outermost one's is not needed."""

    n1: int
    n2: int


class Extents4(NamedTuple):
    """Of a grid of four loops; the outermost one's is not needed."""

    n1: int
    n2: int
    n3: int


class Steps3(NamedTuple):
    """Elements from one item of each of three loops to the next."""

    s0: int
    s1: int
    s2: int


class Steps4(NamedTuple):
    """Elements from one item of each of four loops to the next."""

    s0: int
    s1: int
    s2: int
    s3: int


@device
def offset3(index, extents, steps):
    """Offset of the ``index``-th position of a grid of three loops."""
    n1, n2 = extents
    s0, s1, s2 = steps
    if index < n2:  # mostly a few merged loops fill the last positions, and nothing is divided
        return index * s2
    row = index // n2
    column = (index - row * n2) * s2
    if row < n1:
        return row * s1 + column
    high = row // n1
    return high * s0 + (row - high * n1) * s1 + column


@device
def offset4(index, extents, steps):
    """Offset of the ``index``-th position of a grid of four loops."""
    n1, n2, n3 = extents
    s0, s1, s2, s3 = steps
    if index < n3:
        return index * s3
    row = index // n3
    return offset3(row, (n1, n2), (s0, s1, s2)) + (index - row * n3) * s3
