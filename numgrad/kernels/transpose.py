"""Copies between operands that are contiguous along different axes, by squares that are transposed in registers.

A square has as many rows as a vector has lanes, so that it reads and writes whole cache lines. Lines that lie a power of two
apart share few sets of a cache: one that is not finished at once is evicted before it is used again.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from numgrad.kernels.loops import Extents3, Steps3
from numgrad.layout import product
from numgrad.runtime import simd, target
from numgrad.runtime.kernel import Kernel, kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder
from numgrad.runtime.simd import address_of

OTHERS = 3  # axes beside the two that the kernel has room for
BLOCK = 64  # elements of the source's line that one unit takes: 4 cache lines of float32
ENOUGH = 1 << 12  # elements; below, squares do not pay


class Lines(NamedTuple):
    """Lines of both sides, and the grid of the other axes; steps count elements."""

    blocks: int  # of columns
    others: Extents3
    source: Steps3
    goal: Steps3
    rows: int
    columns: int
    source_step: int  # from row to row
    goal_step: int  # from column to column


@functools.cache
def transpose_kernel(itemsize: int) -> Kernel:
    """The kernel for elements of 4 or 8 bytes, of whatever type."""
    code = "f4" if itemsize == 4 else "f8"
    square, copy = simd.transpose_tile(code), simd.copy_tile(code, 1)
    lanes = target.host_target().lanes(itemsize)

    @kernel("T[:], T[:], T[:], Lines", Lines)
    def transpose(source, goal, room, lines, start, stop, worker):
        """``goal[j * goal_step + i] = source[i * source_step + j]`` for i < rows, j < columns, in each of the others.

        Work: blocks of `BLOCK` columns. ``room`` has a square for each worker: of columns that are fewer, a part is copied.
        """
        room = room[worker * lanes * lanes : (worker + 1) * lanes * lanes]
        blocks, others, source_steps, goal_steps, rows, columns, source_step, goal_step = lines
        n1, n2 = others
        s0, s1, s2 = source_steps
        g0, g1, g2 = goal_steps
        for unit in range(start, stop):
            other = unit // blocks
            first = (unit - other * blocks) * BLOCK
            last = min(columns, first + BLOCK)
            k = other // n2
            i2 = other - k * n2
            i0 = k // n1
            i1 = k - i0 * n1
            x = source[i0 * s0 + i1 * s1 + i2 * s2 + first :]
            y = goal[i0 * g0 + i1 * g1 + i2 * g2 + first * goal_step :]
            whole_rows, whole_columns = rows // lanes * lanes, (last - first) // lanes * lanes
            for i in range(0, whole_rows, lanes):
                for j in range(0, whole_columns, lanes):
                    square(
                        address_of(x, i * source_step + j), source_step * itemsize,
                        address_of(y, j * goal_step + i), goal_step * itemsize,
                    )  # fmt: skip
                few = last - first - whole_columns
                if few > 0 and (i + lanes - 1) * source_step + whole_columns + lanes <= x.shape[0]:
                    square(
                        address_of(x, i * source_step + whole_columns), source_step * itemsize,
                        address_of(room, 0), lanes * itemsize,
                    )  # fmt: skip
                    for j in range(few):
                        copy(address_of(room, j * lanes), address_of(y, (whole_columns + j) * goal_step + i))
                else:
                    for j in range(whole_columns, last - first):
                        for k in range(i, i + lanes):
                            y[j * goal_step + k] = x[k * source_step + j]
            for i in range(whole_rows, rows):
                line, position = x[i * source_step :][: last - first], np.uint64(i)
                for j in range(line.shape[0]):
                    y[position] = line[j]
                    position += np.uint64(goal_step)

    return transpose


def plan_transpose(
    b: PlanBuilder, source: Operand, goal: Operand, extents: Sequence[int], strides: Sequence[Sequence[int]]
) -> bool:
    """Copy ``source`` to ``goal``, of one dtype, if squares apply: whether a launch was added.

    ``extents`` and ``strides`` (the source's, the goal's) are of one grid over both; the goal's last axis is its line.
    """
    itemsize = source.spec.dtype.itemsize
    lanes = target.host_target().lanes(itemsize)
    across, along = strides
    if source.spec.dtype is not goal.spec.dtype or itemsize not in (4, 8) or lanes < 4 or product(extents) < ENOUGH:
        return False
    if along[-1] != 1 or 1 not in across[:-1] or 0 in across or len(extents) > OTHERS + 2:
        return False
    axis, last = list(across).index(1), len(extents) - 1
    if max(extents[axis], extents[last]) < lanes:
        return False
    others = [(1, 0, 0)] * (OTHERS + 2 - len(extents))
    others += [(extents[a], across[a], along[a]) for a in range(last) if a != axis]
    blocks = -(-extents[axis] // BLOCK)
    cost = 2 * min(extents[axis], BLOCK) * extents[last]
    units = product([n for n, _, _ in others]) * blocks
    b.launch(
        transpose_kernel(itemsize), source.flat, goal.flat, b.scratch(source.spec.dtype, lanes * lanes, per_worker=True).flat,
        Lines(
            blocks, Extents3(*[n for n, _, _ in others[1:]]), Steps3(*[step for _, step, _ in others]),
            Steps3(*[step for _, _, step in others]),
            rows=extents[last], columns=extents[axis], source_step=across[last], goal_step=along[axis],
        ),
        work=units, grain=max(1, GRAIN_COST // cost), cost=units * cost,
    )  # fmt: skip
    return True
