"""Triangles of matrices: elimination with exchanges of rows, substitution, and the permutations that the exchanges make.

`ops.triangles` cuts large matrices into blocks for them. Four rows at a time are subtracted from another, so that each of
its elements is read and written once for four multiplications.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from numgrad import dtypes
from numgrad.kernels.gemm_layout import Steps
from numgrad.layout import product
from numgrad.runtime.kernel import Kernel, device, kernel
from numgrad.runtime.plan import GRAIN_COST, STATUS, Operand, PlanBuilder

BLOCK = 8  # columns that are eliminated before the columns behind them
COLUMNS = 128  # of a right side that are solved together, and of a matrix that are reduced together


@device
def subtract_rows(line, factors, matrix, first, left, right):
    """``line -= factors @ matrix[first:, left:right]``."""
    count = factors.shape[0]
    whole = count - count % 4
    for k in range(0, whole, 4):
        f0, f1, f2, f3 = factors[k], factors[k + 1], factors[k + 2], factors[k + 3]
        r0, r1 = matrix[first + k, left:right], matrix[first + k + 1, left:right]
        r2, r3 = matrix[first + k + 2, left:right], matrix[first + k + 3, left:right]
        for j in range(line.shape[0]):
            line[j] -= (f0 * r0[j] + f1 * r1[j]) + (f2 * r2[j] + f3 * r3[j])
    for k in range(whole, count):
        f0, r0 = factors[k], matrix[first + k, left:right]
        for j in range(line.shape[0]):
            line[j] -= f0 * r0[j]


@kernel("T[:, :, :], i4[:, :], i4[:], i8, i8")
def eliminate(matrices, pivots, info, pivot, first, start, stop):
    """Work: matrices, each replaced by its factors L and U, block by block of columns.

    They may be what is left of the columns from ``first`` on when those before have been eliminated.
    """
    for number in range(start, stop):
        a, exchanged = matrices[number], pivots[number, first:]
        if first == 0:
            info[number] = 0
        rows, columns = a.shape[0], a.shape[1]
        count = min(rows, columns)
        for begin in range(0, count, BLOCK):
            end = min(begin + BLOCK, count)
            for k in range(begin, end):
                row = k
                if pivot:
                    largest = abs(a[k, k])
                    for i in range(k + 1, rows):
                        size = abs(a[i, k])
                        if size > largest or (size != size and largest == largest):
                            row, largest = i, size
                    if row != k:
                        one, other = a[k], a[row]
                        for j in range(columns):
                            held = one[j]
                            one[j] = other[j]
                            other[j] = held
                exchanged[k] = first + row + 1
                head, line = a[k, k], a[k, k + 1 : end]
                if head == 0 and info[number] == 0:
                    info[number] = first + k + 1
                for i in range(k + 1, rows):
                    if head != 0:
                        a[i, k] /= head
                    factor, y = a[i, k], a[i, k + 1 : end]
                    for j in range(y.shape[0]):
                        y[j] -= factor * line[j]
            for left in range(end, columns, COLUMNS):
                right = min(columns, left + COLUMNS)
                for i in range(begin + 1, rows):
                    subtract_rows(a[i, left:right], a[i, begin : min(i, end)], a, begin, left, right)


@device
def bits_of_single(x):
    """The size of a number as an integer, which vectors compare: a NaN's is the largest."""
    return np.float32(abs(x)).view(np.int32)


@device
def bits_of_double(x):
    """`bits_of_single` for float64."""
    return np.float64(abs(x)).view(np.int64)


@device
def single_of_bits(bits):
    """The size that `bits_of_single` tells."""
    return np.int32(bits).view(np.float32)


@device
def double_of_bits(bits):
    """The size that `bits_of_double` tells."""
    return np.int64(bits).view(np.float64)


SIZES = {"f4": (bits_of_single, single_of_bits), "f8": (bits_of_double, double_of_bits)}


@functools.cache
def panel_kernel(code: str) -> Kernel:
    """`eliminate` for a few columns, each of which lies in a row; of one dtype."""
    bits_of, _ = SIZES[code]

    @kernel(f"{code}[:, :, :], i4[:, :], i4[:], i8, i8")
    def eliminate_panel(panels, pivots, info, pivot, first, start, stop):
        for number in range(start, stop):
            a, exchanged = panels[number], pivots[number, first:]
            columns, rows = a.shape
            if first == 0:
                info[number] = 0
            for k in range(min(columns, rows)):
                column, row = a[k, k:], 0
                if pivot:
                    largest = bits_of(column[0])
                    for i in range(1, column.shape[0]):
                        largest = max(largest, bits_of(column[i]))
                    while bits_of(column[row]) != largest:
                        row += 1
                    if row:
                        for j in range(columns):
                            held = a[j, k]
                            a[j, k] = a[j, k + row]
                            a[j, k + row] = held
                exchanged[k] = first + k + row + 1
                head, below = column[0], column[1:]
                if head == 0:
                    if info[number] == 0:
                        info[number] = first + k + 1
                else:
                    for i in range(below.shape[0]):
                        below[i] /= head
                whole = columns - (columns - k - 1) % 4
                for j in range(k + 1, whole, 4):
                    f0, f1, f2, f3 = a[j, k], a[j + 1, k], a[j + 2, k], a[j + 3, k]
                    y0, y1, y2, y3 = a[j, k + 1 :], a[j + 1, k + 1 :], a[j + 2, k + 1 :], a[j + 3, k + 1 :]
                    for i in range(below.shape[0]):
                        factor = below[i]
                        y0[i] -= f0 * factor
                        y1[i] -= f1 * factor
                        y2[i] -= f2 * factor
                        y3[i] -= f3 * factor
                for j in range(whole, columns):
                    f0, y0 = a[j, k], a[j, k + 1 :]
                    for i in range(below.shape[0]):
                        y0[i] -= f0 * below[i]

    return eliminate_panel


@kernel("T[:, :, :], i4[:, :], T[:]")
def multiply_diagonals(factors, pivots, out, start, stop):
    """Work: matrices. ``out`` gets the determinants of those that `eliminate` replaced by these factors."""
    for number in range(start, stop):
        a, exchanged, total = factors[number], pivots[number], 1.0
        for k in range(exchanged.shape[0]):
            total *= a[k, k] if exchanged[k] == k + 1 else -a[k, k]
        out[number] = total


@kernel("T[:, :, :], i4[:, :], T[:], T[:]")
def add_logarithms(factors, pivots, signs, logarithms, start, stop):
    """Work: matrices, as for `multiply_diagonals`: the signs, and the logarithms of sizes."""
    for number in range(start, stop):
        a, exchanged, sign, total = factors[number], pivots[number], 1.0, 0.0
        for k in range(exchanged.shape[0]):
            head = a[k, k]
            if (head < 0) != (exchanged[k] != k + 1):
                sign = -sign
            if head == 0 or head != head:
                sign = 0.0
            total += math.log(abs(head)) if head != 0 else -np.inf
        signs[number] = sign
        logarithms[number] = total


@kernel("i4[:], i8[:], i8")
def first_failure(info, status, batched, start, stop):
    """The status for the first matrix whose ``info`` is not 0, as `lapack.matrix_of` reads it."""
    for number in range(info.shape[0]):
        if info[number] != 0 and status[0] == 0:
            status[0] = ((number + 1 if batched else 0) << 32) | info[number]


@kernel("T[:, :, :], T[:, :, :], i8, i8, i8, i8")
def substitute(matrices, sides, blocks, upper, unit, first, start, stop):
    """Work: blocks of columns of right sides, whose rows from ``first`` on are replaced by the solution."""
    for item in range(start, stop):
        number = item // blocks
        a, x = matrices[number], sides[number, first:]
        n, left = a.shape[0], (item - number * blocks) * COLUMNS
        right = min(x.shape[1], left + COLUMNS)
        for step in range(n):
            row = n - 1 - step if upper else step
            line = x[row, left:right]
            begin = row + 1 if upper else 0
            subtract_rows(line, a[row, begin : begin + step], x, begin, left, right)
            if not unit:
                head = a[row, row]
                for j in range(line.shape[0]):
                    line[j] /= head


@kernel("T[:, :, :], T[:, :, :], i8, i8", reassociate=True)
def substitute_few(matrices, sides, upper, unit, start, stop):
    """Work: right sides, each a row of ``sides``, which is replaced by the solution."""
    count = sides.shape[1]
    for item in range(start, stop):
        number = item // count
        a, x = matrices[number], sides[number, item - number * count]
        n = a.shape[0]
        for step in range(n):
            row = n - 1 - step if upper else step
            begin = row + 1 if upper else 0
            factors, solved = a[row, begin : begin + step], x[begin : begin + step]
            total = x.dtype.type(0)
            for k in range(factors.shape[0]):
                total += factors[k] * solved[k]
            rest = x[row] - total
            x[row] = rest if unit else rest / a[row, row]


@kernel("i4[:, :], T[:, :, :], i8, i8, i8, i8")
def exchange_rows(pivots, sides, first, last, left, right, start, stop):
    """Work: matrices. As `eliminate` exchanged rows ``first`` to ``last``, they are, in columns ``left`` to ``right``."""
    for number in range(start, stop):
        exchanged, x = pivots[number], sides[number]
        for k in range(first, last):
            row = exchanged[k] - 1
            if row != k:
                one, other = x[k, left:right], x[row, left:right]
                for j in range(one.shape[0]):
                    held = one[j]
                    one[j] = other[j]
                    other[j] = held


@kernel("T[:], T[:], Steps, Steps, i8, i8, T", Steps)
def move_rows(x, out, x_steps, out_steps, rows, columns, factor, start, stop):
    """Work: rows of matrices, whose elements lie side by side. ``out`` gets those of x times a factor."""
    for item in range(start, stop):
        number = item // rows
        row = item - number * rows
        v = x[number * x_steps.batch + row * x_steps.row :][:columns]
        y = out[number * out_steps.batch + row * out_steps.row :][:columns]
        for j in range(y.shape[0]):
            y[j] = factor * v[j]


@kernel("T[:, :, :]")
def write_identity(matrices, start, stop):
    """Work: matrices, whose rows may be more than columns."""
    for number in range(start, stop):
        for i in range(matrices.shape[1]):
            line = matrices[number, i]
            for j in range(line.shape[0]):
                line[j] = 0
            if i < line.shape[0]:
                line[i] = 1


@kernel("i4[:], T[:, :, :]")
def spoil(info, matrices, start, stop):
    """Work: matrices, which become NaN where ``info`` is not 0."""
    for number in range(start, stop):
        if info[number] != 0:
            for i in range(matrices.shape[1]):
                line = matrices[number, i]
                for j in range(line.shape[0]):
                    line[j] = np.nan


@kernel("T[:, :, :], T[:, :, :], i4[:], i8, i8", reassociate=True)
def cholesky(matrices, out, info, upper, first, start, stop):
    """Work: matrices. ``out`` gets the factor of one triangle, zeros beside it, or NaN where there is none.

    They may be blocks from the row ``first`` on, where the blocks before have been taken off.
    """
    for number in range(start, stop):
        a, y, failed = matrices[number], out[number], 0
        n = a.shape[0]
        for i in range(n):
            line = y[i]
            for j in range(i + 1):
                one, other = line[:j], y[j, :j]
                total = y.dtype.type(0)
                for k in range(one.shape[0]):
                    total += one[k] * other[k]
                rest = (a[j, i] if upper else a[i, j]) - total
                if j < i:
                    line[j] = rest / y[j, j]
                elif rest > 0:
                    line[i] = math.sqrt(rest)
                else:
                    failed = i + 1
            if failed:
                break
        if first == 0 or (failed and info[number] == 0):
            info[number] = first + failed
        for i in range(n):
            for j in range(i + 1, n):
                y[i, j] = y[j, i] if upper else 0
                if upper:
                    y[j, i] = 0
        if failed:
            for i in range(n):
                for j in range(n):
                    y[i, j] = np.nan


@kernel("i4[:, :], i8[:, :], T[:, :, :], i8[:]")
def permute(pivots, orders, out, status, start, stop):
    """Work: matrices with a 1 where a row goes; the status is 1 for a row that there is not."""
    for number in range(start, stop):
        order, y, exchanged = orders[number], out[number], pivots[number]
        rows = order.shape[0]
        for i in range(rows):
            order[i] = i
            for j in range(rows):
                y[i, j] = 0
        for k in range(exchanged.shape[0]):
            row = exchanged[k] - 1
            if row < 0 or row >= rows:
                status[0] = 1
            else:
                held = order[k]
                order[k] = order[row]
                order[row] = held
        for j in range(rows):
            y[order[j], j] = 1


@kernel("T[:, :], T[:, :], i8, i8, i8, f8")
def keep_band(x, out, rows, low, high, diagonal, start, stop):
    """Work: rows, with zeros but where the column is ``low`` to ``high`` behind the row; the diagonal times a factor."""
    for number in range(start, stop):
        v, y = x[number], out[number]
        row = number % rows
        first = min(max(row + low, 0), y.shape[0])
        last = max(first, min(row + high + 1, y.shape[0]))
        before, inside, behind = y[:first], y[first:last], y[last:]
        kept = v[first:last]
        for j in range(before.shape[0]):
            before[j] = 0
        for j in range(inside.shape[0]):
            inside[j] = kept[j]
        for j in range(behind.shape[0]):
            behind[j] = 0
        if diagonal != 1 and first <= row < last:
            y[row] = v[row] * diagonal


# ---- planning ---------------------------------------------------------------------------------------------------


def plan_permute(b: PlanBuilder, pivots: Operand, out: Operand) -> None:
    """``out`` [..., n, n] becomes the matrices P of A = P L U for ``pivots`` [..., at most n] of int32; both contiguous."""
    *batch, n, _ = out.spec.shape
    count = product(batch)
    orders = b.scratch(dtypes.int64, count * n)
    b.launch(
        permute, pivots.array(count, pivots.spec.shape[-1]), orders.array(count, n), out.array(count, n, n), STATUS,
        work=count if n else 0, grain=GRAIN_COST // (n * n + 8) + 1, cost=count * (n * n + 8),
    )  # fmt: skip


def plan_band(b: PlanBuilder, x: Operand, out: Operand, low: int, high: int, diagonal: float) -> None:
    """``out`` gets the band of the matrices x [..., m, n]; both contiguous."""
    *batch, m, n = x.spec.shape
    rows, most = product(batch) * m, m + n
    low, high = (max(-most, min(most, number)) for number in (low, high))
    b.launch(
        keep_band, x.array(rows, n), out.array(rows, n), m, low, high, diagonal,
        work=rows, grain=GRAIN_COST // (n + 8) + 1, cost=rows * (n + 8),
    )  # fmt: skip
