"""Products of a matrix and a vector: each element of the matrix is used once, so it is read in the order of memory.

`multiply_columns` sums along rows that lie in memory, four at a time, so that the vector is read once for them.
`add_rows` adds multiples of rows to a line of the result, which stays in the first cache.
"""

from __future__ import annotations

from typing import NamedTuple

from numgrad.kernels.gemm_layout import Matrices, Right, Steps
from numgrad.kernels.gemm_pack import plan_add_splits, plan_pack
from numgrad.runtime.kernel import kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder

TARGET_ITEMS = 16
LINE = 1 << 10  # columns of an item of `add_rows`
LEAST_SUM = 64  # rows of a part of a sum of rows
FEW_ROWS, LONG_ROW = 16, 1 << 12  # of so few rows, so long ones are left to kernels that share out sums


class VectorSizes(NamedTuple):
    """A matrix and how it is shared out."""

    rows: int
    columns: int
    block: int  # rows of an item, or columns
    splits: int  # parts of the sum over rows
    split_rows: int
    vector_step: int  # elements of the vector from one to the next


@kernel("T[:], T[:], T[:], T[:], VectorSizes, Steps, Steps, Steps, i8", VectorSizes, Steps, reassociate=True)
def multiply_columns(matrix, vector, bias, out, sizes, steps, vector_steps, out_steps, accumulate, start, stop):
    """``out[g, i] (+)= sum_p matrix[g, i, p] * vector[g, p] + bias[i]``; an item is a block of rows."""
    rows, columns, block = sizes.rows, sizes.columns, sizes.block
    blocks = (rows + block - 1) // block
    zero = out.dtype.type(0)
    for item in range(start, stop):
        batch, first = item // blocks, item % blocks * block
        last = min(rows, first + block)
        line = vector[batch * vector_steps.batch :][:columns]
        goal = out[batch * out_steps.batch :]
        begin = batch * steps.batch
        i = first
        while i < last:
            t0, t1, t2, t3 = zero, zero, zero, zero
            r0 = matrix[begin + i * steps.row :][:columns]
            count = 4 if i + 4 <= last else 1
            if count == 4:
                r1 = matrix[begin + (i + 1) * steps.row :][:columns]
                r2 = matrix[begin + (i + 2) * steps.row :][:columns]
                r3 = matrix[begin + (i + 3) * steps.row :][:columns]
                for p in range(line.shape[0]):
                    x = line[p]
                    t0 += r0[p] * x
                    t1 += r1[p] * x
                    t2 += r2[p] * x
                    t3 += r3[p] * x
            else:
                for p in range(line.shape[0]):
                    t0 += r0[p] * line[p]
            if bias.shape[0] > 0:
                t0 += bias[i]
                if count == 4:
                    t1 += bias[i + 1]
                    t2 += bias[i + 2]
                    t3 += bias[i + 3]
            if accumulate:
                t0 += goal[i]
                if count == 4:
                    t1 += goal[i + 1]
                    t2 += goal[i + 2]
                    t3 += goal[i + 3]
            goal[i] = t0
            if count == 4:
                goal[i + 1] = t1
                goal[i + 2] = t2
                goal[i + 3] = t3
            i += count


@kernel("T[:], T[:], T[:], T[:], VectorSizes, Steps, Steps, Steps, i8, i8", VectorSizes, Steps)
def add_rows(matrix, vector, bias, out, sizes, steps, vector_steps, out_steps, out_split, accumulate, start, stop):
    """``out[g, j] (+)= sum_p vector[g, p] * matrix[g, p, j] + bias[j]``; an item is a block of columns, of a part of the sum."""
    rows, columns, block, splits, split_rows, step = sizes
    blocks = (columns + block - 1) // block
    row = steps.row
    for item in range(start, stop):
        first = item % blocks * block
        split, batch = item // blocks % splits, item // (blocks * splits)
        width = min(columns, first + block) - first
        line = out[batch * out_steps.batch + split * out_split + first :][:width]
        if not accumulate:
            for j in range(line.shape[0]):
                line[j] = bias[first + j] if bias.shape[0] > 0 else 0
        p, last = split * split_rows, min(rows, (split + 1) * split_rows)
        begin, factors = batch * steps.batch + first, batch * vector_steps.batch
        while p < last:
            at, x = begin + p * row, factors + p * step
            r0, x0 = matrix[at:][:width], vector[x]
            if p + 8 <= last:
                r1, x1 = matrix[at + row :][:width], vector[x + step]
                r2, x2 = matrix[at + 2 * row :][:width], vector[x + 2 * step]
                r3, x3 = matrix[at + 3 * row :][:width], vector[x + 3 * step]
                r4, x4 = matrix[at + 4 * row :][:width], vector[x + 4 * step]
                r5, x5 = matrix[at + 5 * row :][:width], vector[x + 5 * step]
                r6, x6 = matrix[at + 6 * row :][:width], vector[x + 6 * step]
                r7, x7 = matrix[at + 7 * row :][:width], vector[x + 7 * step]
                for j in range(line.shape[0]):
                    one = r0[j] * x0 + r1[j] * x1 + r2[j] * x2 + r3[j] * x3
                    two = r4[j] * x4 + r5[j] * x5 + r6[j] * x6 + r7[j] * x7
                    line[j] += one + two
                p += 8
            else:
                for j in range(line.shape[0]):
                    line[j] += r0[j] * x0
                p += 1


def plan_vector(
    b: PlanBuilder, left: Matrices, right: Matrices, out: Matrices, *, m: int, n: int, k: int, batch: int,
    bias: Operand | None, accumulate: bool,
) -> bool:  # fmt: skip
    """Add the launch of `plan_gemm`, if one side is a vector, the other a matrix with adjacent elements: whether it is."""
    if batch * m * n * k == 0 or m == n or (m > 1 and n > 1):
        return False
    if m == 1:
        matrix, line, step = right, left.offset, left.column
        vector, vector_batch, count = left.operand, left.batch, n
        along = right.row == 1 and right.column != 1
        if along:
            matrix = right.transposed
        goal = out
    else:
        if out.row != 1 or bias is not None:
            return False
        matrix, line, step = left, right.offset, right.row
        vector, vector_batch, count = right.operand, right.batch, m
        along = left.column == 1
        if not along:
            matrix = left.transposed
        goal = Matrices(out.operand, out.batch, 0, 1, out.offset)
    if matrix.column != 1 or (along and count < FEW_ROWS and k > LONG_ROW):
        return False
    lines = Matrices(vector, vector_batch, 0, step, line)
    nothing = b.scratch(out.operand.spec.dtype, 0).array(0)
    biases = bias.array(n) if bias else nothing
    worth = max(1, min(TARGET_ITEMS, batch * count * k // GRAIN_COST))
    pieces = -(-worth // batch)
    if along:
        if step != 1 and k > 1:
            view = Right(vector, vector_batch, 0, 0, step, line)
            lines = Matrices(plan_pack(b, view, batch=batch, taps=1, channels=1, columns=k, width=k), k, 0)
        block = -(-count // (4 * pieces)) * 4
        items = batch * -(-count // block)
        b.launch(
            multiply_columns, matrix.array, lines.array, biases, goal.array, VectorSizes(count, k, block, 1, count, 1),
            matrix.steps, lines.steps, goal.steps, int(accumulate), work=items, grain=GRAIN_COST // (block * k) + 1,
            cost=batch * count * k,
        )  # fmt: skip
        return True
    block = min(count, LINE)
    blocks = -(-count // block)
    splits = min(-(-pieces // blocks), max(1, k // LEAST_SUM))
    split_rows = -(-k // splits)
    splits = -(-k // split_rows)
    target, out_split = goal, 0
    if splits > 1:
        out_split = batch * count
        target = Matrices(b.scratch(out.operand.spec.dtype, splits * out_split), count, count)
    b.launch(
        add_rows, matrix.array, lines.array, biases if splits == 1 else nothing, target.array,
        VectorSizes(k, count, block, splits, split_rows, step), matrix.steps, lines.steps, target.steps, out_split,
        int(accumulate and splits == 1), work=batch * blocks * splits, grain=GRAIN_COST // (block * split_rows) + 1,
        cost=batch * count * k,
    )  # fmt: skip
    if splits > 1:
        goal = Matrices(goal.operand, goal.batch, 0, 1, goal.offset)
        plan_add_splits(
            b, target.array, biases, goal, splits=splits, rows=1, columns=count, batch=batch, accumulate=accumulate
        )
    return True
