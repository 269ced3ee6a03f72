"""Triangles of matrices: elimination with exchanges of rows, substitution, and the permutations that the exchanges make.

NumPy has no function for these. Four rows at a time are subtracted from another, so that each of its elements is read and
written once for four multiplications.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.layout import contiguous_strides, product
from numgrad.runtime.kernel import device, kernel
from numgrad.runtime.plan import GRAIN_COST, STATUS, Operand, PlanBuilder

BLOCK = 32  # columns that are eliminated before the columns behind them
MOST = 256  # rows of systems and of factors up to which these loops are faster than NumPy's LAPACK
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


@kernel("T[:, :, :], i4[:, :], i4[:], i8")
def eliminate(matrices, pivots, info, pivot, start, stop):
    """Work: matrices, each replaced by its factors L and U, block by block of columns."""
    for number in range(start, stop):
        a, exchanged = matrices[number], pivots[number]
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
                exchanged[k] = row + 1
                head, line = a[k, k], a[k, k + 1 : end]
                if head == 0 and info[number] == 0:
                    info[number] = k + 1
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


@kernel("i4[:], i8[:], i8")
def first_failure(info, status, batched, start, stop):
    """The status for the first matrix whose ``info`` is not 0, as `lapack.matrix_of` reads it."""
    for number in range(info.shape[0]):
        if info[number] != 0 and status[0] == 0:
            status[0] = ((number + 1 if batched else 0) << 32) | info[number]


@kernel("T[:, :, :], T[:, :, :], i8, i8, i8")
def substitute(matrices, sides, blocks, upper, unit, start, stop):
    """Work: blocks of columns of right sides, each replaced by the solution."""
    for item in range(start, stop):
        number = item // blocks
        a, x = matrices[number], sides[number]
        n, left = a.shape[0], (item - number * blocks) * COLUMNS
        right = min(x.shape[1], left + COLUMNS)
        for step in range(n):
            row = n - 1 - step if upper else step
            line = x[row, left:right]
            first = row + 1 if upper else 0
            subtract_rows(line, a[row, first : first + step], x, first, left, right)
            if not unit:
                head = a[row, row]
                for j in range(line.shape[0]):
                    line[j] /= head


@kernel("i4[:, :], T[:, :, :]")
def exchange_rows(pivots, sides, start, stop):
    """Work: matrices, whose rows are exchanged as `eliminate` did it."""
    for number in range(start, stop):
        exchanged, x = pivots[number], sides[number]
        for k in range(exchanged.shape[0]):
            row = exchanged[k] - 1
            if row != k:
                one, other = x[k], x[row]
                for j in range(one.shape[0]):
                    held = one[j]
                    one[j] = other[j]
                    other[j] = held


@kernel("T[:, :, :]")
def write_identity(matrices, start, stop):
    """Work: matrices."""
    for number in range(start, stop):
        for i in range(matrices.shape[1]):
            line = matrices[number, i]
            for j in range(line.shape[0]):
                line[j] = 0
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


@kernel("T[:, :, :], T[:, :, :], i4[:], i8", reassociate=True)
def cholesky(matrices, out, info, upper, start, stop):
    """Work: matrices. ``out`` gets the factor of one triangle, zeros beside it, or NaN where there is none."""
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
        info[number] = failed
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


def plan_eliminate(
    b: PlanBuilder, out: Operand, pivots: Operand, info: Operand, pivot: bool, check_errors: bool
) -> None:
    """``out`` [..., m, n], contiguous, becomes L and U; ``pivots`` [..., min(m, n)] and ``info`` [...] are of int32.

    With ``check_errors`` the status says which matrix has no pivot in which column.
    """
    *batch, m, n = out.spec.shape
    count, least = product(batch), min(m, n)
    cost = least * m * n // 8 + m * n + 8
    b.launch(
        eliminate, out.array(count, m, n), pivots.array(count, least), info.array(count), int(pivot),
        work=count, grain=GRAIN_COST // cost + 1, cost=count * cost,
    )  # fmt: skip
    if check_errors:
        b.launch(first_failure, info.array(count), STATUS, int(bool(batch)), work=1, grain=1, cost=count)


def plan_cholesky(b: PlanBuilder, a: Operand, out: Operand, info: Operand, upper: bool, check_errors: bool) -> None:
    """``out`` becomes the triangular factor of ``a`` [..., n, n], both contiguous; ``info`` [...] is of int32.

    With ``check_errors`` the status says which matrix has no factor, and the order of its part that fails.
    """
    *batch, n, _ = out.spec.shape
    count, cost = product(batch), n * n * n // 12 + n * n + 8
    b.launch(
        cholesky, a.array(count, n, n), out.array(count, n, n), info.array(count), int(upper),
        work=count, grain=GRAIN_COST // cost + 1, cost=count * cost,
    )  # fmt: skip
    if check_errors:
        b.launch(first_failure, info.array(count), STATUS, int(bool(batch)), work=1, grain=1, cost=count)


def plan_solve(b: PlanBuilder, a: Operand, out: Operand, info: Operand, check_errors: bool, inverse: bool) -> None:
    """``out`` [..., n, k] becomes X of A X = out, or the inverse of A [..., n, n]; NaN where A is singular.

    All are contiguous; ``a`` is overwritten by its factors. ``info`` [...] of int32 says which column has no pivot, or is 0.
    """
    *batch, n, k = out.spec.shape
    count, cost = product(batch), n * k + 8
    pivots = b.scratch(dtypes.int32, count * n)
    exchanged, sides = pivots.array(count, n), out.array(count, n, k)
    shape = (*batch, n)
    plan_eliminate(b, a, pivots.view(shape, contiguous_strides(shape)), info, True, check_errors)
    each: dict[str, Any] = {"work": count if n * k else 0, "grain": GRAIN_COST // cost + 1, "cost": count * cost}
    if inverse:
        b.launch(write_identity, sides, **each)
    b.launch(exchange_rows, exchanged, sides, **each)
    plan_substitute(b, a, out, False, True)
    plan_substitute(b, a, out, True, False)
    b.launch(spoil, info.array(count), sides, **each)


def plan_substitute(b: PlanBuilder, a: Operand, out: Operand, upper: bool, unit: bool) -> None:
    """``out`` [..., n, k] becomes X of A X = out, for A [..., n, n], of which one triangle is read; both contiguous."""
    *batch, n, k = out.spec.shape
    count, blocks = product(batch), -(-k // COLUMNS)
    cost = n * n * min(k, COLUMNS) // 16 + n + 8
    b.launch(
        substitute, a.array(count, n, n), out.array(count, n, k), blocks, int(upper), int(unit),
        work=count * blocks if n else 0, grain=GRAIN_COST // cost + 1, cost=count * blocks * cost,
    )  # fmt: skip


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
