"""Reductions of short rows that lie one after the other: as many rows at once as a vector has lanes.

A loop over one short row is mostly overhead. Here squares of the rows are transposed in registers, and the former columns are
folded row by row, in the input's own type.
"""

from __future__ import annotations

import functools

from numgrad.kernels.reduce_kernels import larger, smaller
from numgrad.runtime import simd, target
from numgrad.runtime.kernel import Device, Kernel, device, kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder
from numgrad.runtime.simd import address_of

LONGEST = 4  # squares that a row may span
ENOUGH = 256  # rows


@device
def plus(a, b):
    return a + b


_FOLDS: dict[str, Device] = {"sum": plus, "mean": plus, "max": larger, "min": smaller}


@functools.cache
def short_rows_kernel(itemsize: int, kind: str) -> Kernel:
    """The kernel for one kind of reduction of elements of 4 or 8 bytes."""
    square, fold = simd.transpose_tile("f4" if itemsize == 4 else "f8"), _FOLDS[kind]
    lanes = target.host_target().lanes(itemsize)

    @kernel("T[:], T[:], O[:], i8, f8")
    def reduce_short_rows(x, turned, out, count, divisor, start, stop, worker):
        """Work: blocks of ``lanes`` rows of ``count`` elements."""
        size = (count + lanes - 1) // lanes * lanes * lanes
        turned = turned[worker * size : (worker + 1) * size]
        for block in range(start, stop):
            first = block * lanes
            # The last square of a row reads on into the next rows: the elements there are not used, but must exist.
            if (first + lanes - 1) * count + size // lanes <= x.shape[0]:
                for column in range(0, count, lanes):
                    square(
                        address_of(x, first * count + column), count * itemsize,
                        address_of(turned, column * lanes), lanes * itemsize,
                    )  # fmt: skip
            else:
                for i in range(min(lanes, out.shape[0] - first)):
                    for j in range(count):
                        turned[j * lanes + i] = x[(first + i) * count + j]
            a = turned[:lanes]
            for j in range(1, count - 2, 3):
                u, v, w = turned[j * lanes :], turned[(j + 1) * lanes :], turned[(j + 2) * lanes :]
                for i in range(lanes):
                    a[i] = fold(fold(a[i], u[i]), fold(v[i], w[i]))
            for j in range(1 + (count - 1) // 3 * 3, count):
                u = turned[j * lanes :]
                for i in range(lanes):
                    a[i] = fold(a[i], u[i])
            y = out[first : first + lanes]
            for i in range(y.shape[0]):
                y[i] = a[i] / divisor if kind == "mean" else a[i]

    return reduce_short_rows


def plan_short_rows(b: PlanBuilder, kind: str, x: Operand, out: Operand, rows: int, count: int, divisor: float) -> bool:
    """Reduce ``rows`` rows of ``count`` elements that lie one after the other, if it pays: whether a launch was added."""
    itemsize = x.spec.dtype.itemsize
    lanes = target.host_target().lanes(itemsize)
    if not x.spec.dtype.is_floating_point or lanes < 4 or kind not in _FOLDS or rows < ENOUGH:
        return False
    if not 1 < count <= LONGEST * lanes:
        return False
    size = -(-count // lanes) * lanes * lanes
    blocks = -(-rows // lanes)
    turned = b.scratch(x.spec.dtype, size, per_worker=True)
    b.launch(
        short_rows_kernel(itemsize, kind), x.array(rows * count), turned.flat, out.array(rows), count, divisor,
        work=blocks, grain=max(1, GRAIN_COST // (2 * size)), cost=2 * blocks * size,
    )  # fmt: skip
    return True
