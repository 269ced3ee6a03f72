"""Matrix products: `plan_gemm` chooses a form by strides and sizes: `gemm_small`, `gemm_vector`, `gemm_rows`, `gemm_blocks`."""

from __future__ import annotations

import functools
from typing import NamedTuple

from numgrad.kernels.gemm_blocks import plan_blocks
from numgrad.kernels.gemm_layout import Matrices, Right, Steps
from numgrad.kernels.gemm_pack import plan_add_splits, plan_pack
from numgrad.kernels.gemm_rows import lanes, plan_rows, tile_shape
from numgrad.kernels.gemm_small import NARROW, plan_small
from numgrad.kernels.gemm_vector import plan_vector
from numgrad.kernels.grid import plain_grid
from numgrad.runtime.kernel import kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder

SKINNY = 16  # up to so many rows the right operand is read in place, since each element is used only a few times
LONG, SPLITS = 1 << 15, 16  # a sum from so many products on is cut into parts


class Sizes(NamedTuple):
    """Sizes of a product of matrices: m x k times k x n."""

    m: int
    n: int
    k: int


@kernel("T[:], T[:], T[:], T[:], Sizes, Steps, Steps, Steps, i8", Sizes, Steps)
def multiply_plainly(a, b, bias, out, sizes, a_steps, b_steps, out_steps, accumulate, start, stop):
    """``out[g, i, j] (+)= sum_p a[g, i, p] * b[g, p, j]`` for any dtype, without vectors; an item is a row."""
    m, n, k = sizes
    for item in range(start, stop):
        batch = item // m
        i = item - batch * m
        line = out[batch * out_steps.batch + i * out_steps.row :][:n]
        if not accumulate:
            for j in range(n):
                line[j] = bias[j] if bias.shape[0] > 0 else 0
        for p in range(k):
            left = a[batch * a_steps.batch + i * a_steps.row + p * a_steps.column]
            begin = batch * b_steps.batch + p * b_steps.row
            for j in range(n):
                line[j] += left * b[begin + j * b_steps.column]


@kernel("T[:], T[:], T[:], Sizes, Steps, Steps, Steps", Sizes, Steps)
def multiply_outer(a, b, out, sizes, a_steps, b_steps, out_steps, start, stop):
    """``out[g, i, j] = a[g, i, 0] * b[g, 0, j]``; an item is a row, and the columns of b lie side by side."""
    m, n, _ = sizes
    for item in range(start, stop):
        batch = item // m
        i = item - batch * m
        line, right = out[batch * out_steps.batch + i * out_steps.row :][:n], b[batch * b_steps.batch :][:n]
        left = a[batch * a_steps.batch + i * a_steps.row]
        for j in range(line.shape[0]):
            line[j] = left * right[j]


def plan_gemm(
    b: PlanBuilder, left: Matrices, right: Matrices, out: Matrices, *, m: int, n: int, k: int, batch: int = 1,
    bias: Operand | None = None, accumulate: bool = False,
) -> None:  # fmt: skip
    """``out[g] (+)= left[g] (m x k) @ right[g] (k x n) + bias (n)`` for ``batch`` values of g.

    Transposed, sliced and broadcast operands need no copy; columns of ``out`` lie side by side. With ``accumulate`` the
    product is added to ``out``, and ``bias`` must be None.
    """
    if bias is not None and accumulate:
        raise ValueError("plan_gemm: bias and accumulate exclude each other")
    code = out.operand.code
    if code not in ("f4", "f8"):
        _plan_plainly(b, left, right, out, Sizes(m, n, k), batch, bias, accumulate)
        return
    if k == 1 and bias is None and not accumulate and batch * m * n:
        _plan_outer(b, left, right, out, m, n, batch)
        return
    if plan_small(b, left, right, out, m=m, n=n, k=k, batch=batch, bias=bias, accumulate=accumulate):
        return
    if plan_vector(b, left, right, out, m=m, n=n, k=k, batch=batch, bias=bias, accumulate=accumulate):
        return
    vector = lanes(code)
    if batch == m == n == 1 and k >= LONG and bias is None:
        _plan_long(b, left, right, out, k, accumulate)
        return
    if n == 1 and m > 1 and out.row == 1 and bias is None and left.column == 1:
        _plan_column(b, left, right, out, m, k, batch, accumulate)
        return
    empty = batch * m * n * k == 0
    few_rows, few_columns = tile_shape(code, "few")
    dots = not empty and k >= vector and ((right.row == 1 and m <= SKINNY) or n <= NARROW)
    by_rows = empty or dots or (m <= few_rows and right.column == 1 and n % few_columns == 0)
    if left.column != 1 and k > 1 and not empty and by_rows:
        packed = plan_pack(b, _one_tap(left), batch=batch, taps=1, channels=m, columns=k, width=k)
        left = Matrices(packed, m * k, k)
    multiply = functools.partial(
        plan_rows, b, batch=batch, channels=k, columns=n, bias=Matrices(bias, 0, 0) if bias else None,
        accumulate=accumulate,
    )  # fmt: skip
    grid = plain_grid(m)
    if dots:
        factors = _one_tap(right)
        if right.row != 1:
            dense = plan_pack(b, _one_tap(right.transposed), batch=batch, taps=1, channels=n, columns=k, width=k)
            factors = Right(dense, n * k, 0, 1, k)
        multiply("dot", grid, left, factors, out)
        return
    if by_rows:
        multiply("few", grid, left, _one_tap(right), out)
        return
    plan_blocks(b, left, right, out, m=m, n=n, k=k, batch=batch, bias=bias, accumulate=accumulate)


def _plan_outer(b: PlanBuilder, left: Matrices, right: Matrices, out: Matrices, m: int, n: int, batch: int) -> None:
    """Products of columns and rows."""
    if right.column != 1 and n > 1:
        view = Right(right.operand, right.batch, 0, 0, right.column, right.offset)
        right = Matrices(plan_pack(b, view, batch=batch, taps=1, channels=1, columns=n, width=n), n, 0)
    b.launch(
        multiply_outer, left.array, right.array, out.array, Sizes(m, n, 1), left.steps, right.steps, out.steps,
        work=batch * m, grain=GRAIN_COST // (n + 8) + 1, cost=batch * m * n,
    )  # fmt: skip


def _plan_long(b: PlanBuilder, left: Matrices, right: Matrices, out: Matrices, k: int, accumulate: bool) -> None:
    """The product of two long vectors as a sum of products of their parts, for several threads."""
    vector = lanes(out.operand.code)
    length = k // (SPLITS * vector) * vector
    whole = SPLITS * length
    parts = Matrices(b.scratch(out.operand.spec.dtype, SPLITS), 1, 1)
    first, second = left._replace(batch=length * left.column), right._replace(batch=length * right.row)
    plan_gemm(b, first, second, parts, m=1, n=1, k=length, batch=SPLITS)
    no_bias = b.scratch(out.operand.spec.dtype, 0).array(0)
    plan_add_splits(b, parts.array, no_bias, out, splits=SPLITS, rows=1, columns=1, accumulate=accumulate)
    if k > whole:
        rest = left.from_column(whole), right.transposed.from_column(whole).transposed
        plan_gemm(b, *rest, out, m=1, n=1, k=k - whole, accumulate=True)


def _plan_plainly(
    b: PlanBuilder, left: Matrices, right: Matrices, out: Matrices, sizes: Sizes, batch: int, bias: Operand | None,
    accumulate: bool,
) -> None:  # fmt: skip
    m, n, k = sizes
    no_bias = b.scratch(out.operand.spec.dtype, 0)
    b.launch(
        multiply_plainly, left.array, right.array, bias.array(n) if bias else no_bias.array(0), out.array,
        sizes, left.steps, right.steps, out.steps, int(accumulate),
        work=batch * m if n else 0, grain=GRAIN_COST // (n * k + n + 1) + 1, cost=batch * m * n * (k + 1),
    )  # fmt: skip


def _plan_column(
    b: PlanBuilder, left: Matrices, right: Matrices, out: Matrices, m: int, k: int, batch: int, accumulate: bool
) -> None:
    """A column is written as a row: out^T = right^T @ left^T, with left's rows as columns."""
    line = Matrices(right.operand, right.batch, 0, offset=right.offset)
    if right.row != 1 and k > 1:
        view = Right(right.operand, right.batch, 0, 0, right.row, right.offset)
        line = Matrices(plan_pack(b, view, batch=batch, taps=1, channels=1, columns=k, width=k), k, 0)
    factors = _one_tap(left.transposed)
    goal = Matrices(out.operand, out.batch, 0, offset=out.offset)
    plan_rows(b, "dot", plain_grid(1), line, factors, goal, batch=batch, channels=k, columns=m, accumulate=accumulate)


def _one_tap(right: Matrices) -> Right:
    """The right operand of a product as that of a convolution with one tap."""
    return Right(right.operand, right.batch, 0, right.row, right.column, right.offset)
