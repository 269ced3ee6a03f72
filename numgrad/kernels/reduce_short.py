"""Reductions of rows that lie one after the other, so many that what surrounds a row would take longer than the row.

Rows of two to four elements are read across all rows at once; LLVM takes them apart. Of rows of a few vectors, as many as a vector
has lanes are transposed in registers, and the former columns are folded row by row. Longer rows are folded by `reduce_rows`.
All of these compute in the type that the kind's terms have: float64 for squares, else the input's own.
"""

from __future__ import annotations

import functools

from numgrad.kernels.reduce_kernels import BLOCK, Reduction, as_it_is
from numgrad.runtime import simd, target
from numgrad.runtime.kernel import Kernel, kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder
from numgrad.runtime.simd import address_of

ACROSS = 4  # elements of the longest row that is read across
LONGEST = 2  # squares that a row may span
ENOUGH = 256  # rows


@functools.cache
def across_kernel(count: int, reduction: Reduction, divides: bool) -> Kernel:
    """The kernel for rows of so many elements, from 2 to `ACROSS`."""
    fold, term, finish = reduction.fold, reduction.term, reduction.finish if divides else as_it_is

    @kernel("T[:], O[:], f8")
    def reduce_across(x, out, divisor, start, stop):
        y, v = out[start:stop], x[start * count : stop * count]
        for i in range(y.shape[0]):
            a = fold(term(v[count * i]), term(v[count * i + 1]))
            if count == 3:
                a = fold(a, term(v[count * i + 2]))
            if count == 4:
                a = fold(a, fold(term(v[count * i + 2]), term(v[count * i + 3])))
            y[i] = finish(a, divisor)

    return reduce_across


@functools.cache
def squares_kernel(itemsize: int, reduction: Reduction, divides: bool) -> Kernel:
    """The kernel for one kind of reduction of elements of 4 or 8 bytes, in rows of a few vectors."""
    square = simd.transpose_tile("f4" if itemsize == 4 else "f8")
    fold, term, finish = reduction.fold, reduction.term, reduction.finish if divides else as_it_is
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
            for i in range(lanes):
                a[i] = term(a[i])
            for j in range(1, count - 2, 3):
                u, v, w = turned[j * lanes :], turned[(j + 1) * lanes :], turned[(j + 2) * lanes :]
                for i in range(lanes):
                    a[i] = fold(fold(a[i], term(u[i])), fold(term(v[i]), term(w[i])))
            for j in range(1 + (count - 1) // 3 * 3, count):
                u = turned[j * lanes :]
                for i in range(lanes):
                    a[i] = fold(a[i], term(u[i]))
            y = out[first : first + lanes]
            for i in range(y.shape[0]):
                y[i] = finish(a[i], divisor)

    return reduce_short_rows


@functools.cache
def rows_kernel(reduction: Reduction, divides: bool) -> Kernel:
    """The kernel for rows of at most a block."""
    fold_row, begin, finish = reduction.fold_row, reduction.begin, reduction.finish if divides else as_it_is

    @kernel("T[:], O[:], i8, f8")
    def reduce_rows(x, out, count, divisor, start, stop):
        for i in range(start, stop):
            first = i * count
            out[i] = finish(fold_row(begin(x, first), x[first : first + count]), divisor)

    return reduce_rows


def plan_short_rows(
    b: PlanBuilder, reduction: Reduction, x: Operand, out: Operand, rows: int, count: int, divisor: float
) -> bool:
    """Reduce ``rows`` rows of ``count`` elements that lie one after the other, if it pays: whether a launch was added."""
    itemsize = x.spec.dtype.itemsize
    lanes = target.host_target().lanes(itemsize)
    if not x.spec.dtype.is_floating_point or lanes < 4 or rows < ENOUGH or not 1 < count <= BLOCK:
        return False
    divides = divisor != 1.0 or reduction.finishes
    if count <= ACROSS or count > LONGEST * lanes or reduction.is_wide:
        rows_fold = across_kernel(count, reduction, divides) if count <= ACROSS else rows_kernel(reduction, divides)
        numbers = (divisor,) if count <= ACROSS else (count, divisor)
        b.launch(
            rows_fold, x.array(rows * count), out.array(rows), *numbers,
            work=rows, grain=max(1, GRAIN_COST // (count + 16)), cost=rows * (count + 16),
        )  # fmt: skip
        return True
    size = -(-count // lanes) * lanes * lanes
    blocks = -(-rows // lanes)
    turned = b.scratch(x.spec.dtype, size, per_worker=True)
    b.launch(
        squares_kernel(itemsize, reduction, divides),
        x.array(rows * count), turned.flat, out.array(rows), count, divisor,
        work=blocks, grain=max(1, GRAIN_COST // (2 * size)), cost=2 * blocks * size,
    )  # fmt: skip
    return True
