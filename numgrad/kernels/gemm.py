"""Matrix products: `plan_gemm` chooses among the forms of `gemm_rows` and `gemm_panels` by strides and sizes."""

from __future__ import annotations

import functools

from numgrad.kernels.gemm_pack import Right, from_offset, plan_bias, plan_pack
from numgrad.kernels.gemm_panels import plan_panels
from numgrad.kernels.gemm_rows import Rows, lanes, plain_grid, plan_rows, tile_shape
from numgrad.runtime.kernel import kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder

SKINNY = 64  # rows up to which the right operand is read where it lies, since each element of it is used but seldom
NEAR_BYTES = 1 << 14  # of a right operand that stays in the first cache wherever it lies
NEAR_STEPS, FAR_BYTES = 64, 1 << 10  # so many steps, or such short ones, need no copy
NARROW = 16  # columns up to which a vector of columns would be mostly empty


@kernel("T[:], T[:], T[:], T[:], i8, i8, i8, i8, i8, i8, i8, i8, i8, i8, i8, i8")
def multiply_integers(
    a,
    b,
    bias,
    out,
    m,
    n,
    k,
    a_row,
    a_column,
    b_row,
    b_column,
    out_row,
    a_batch,
    b_batch,
    out_batch,
    accumulate,
    start,
    stop,
):
    """``out[g, i, j] (+)= sum_p a[g, i, p] * b[g, p, j]`` for any dtype, without vectors; an item is a row."""
    for item in range(start, stop):
        batch = item // m
        i = item - batch * m
        line = out[batch * out_batch + i * out_row :][:n]
        if not accumulate:
            for j in range(n):
                line[j] = bias[j] if bias.shape[0] > 0 else 0
        for p in range(k):
            left = a[batch * a_batch + i * a_row + p * a_column]
            begin = batch * b_batch + p * b_row
            for j in range(n):
                line[j] += left * b[begin + j * b_column]


def plan_gemm(
    b: PlanBuilder,
    left: Operand,
    right: Operand,
    out: Operand,
    *,
    m: int,
    n: int,
    k: int,
    a_strides: tuple[int, ...],
    b_strides: tuple[int, ...],
    out_stride: int,
    batch: int = 1,
    a_batch: int = 0,
    b_batch: int = 0,
    out_batch: int = 0,
    a_offset: int = 0,
    b_offset: int = 0,
    out_offset: int = 0,
    bias: Operand | None = None,
    accumulate: bool = False,
) -> None:
    """``out[g] (+)= left[g] (m x k) @ right[g] (k x n) + bias (n)`` for ``batch`` values of g.

    Strides (row, column), batch strides and offsets count elements, so that transposed, sliced and broadcast operands
    need no copy. Rows of ``out`` are contiguous, ``out_stride`` apart. With ``accumulate`` the product is added to what
    ``out`` holds, and ``bias`` must be None.
    """
    if bias is not None and accumulate:
        raise ValueError("plan_gemm: bias and accumulate exclude each other")
    code = out.code
    if code not in ("f4", "f8"):
        no_bias = b.scratch(out.spec.dtype, 0)
        b.launch(
            multiply_integers, left.array(left.extent - a_offset, offset=a_offset),
            right.array(right.extent - b_offset, offset=b_offset), bias.array(n) if bias else no_bias.array(0),
            out.array(out.extent - out_offset, offset=out_offset), m, n, k, *a_strides, *b_strides, out_stride,
            a_batch, b_batch, out_batch, int(accumulate),
            work=batch * m if n else 0, grain=GRAIN_COST // (n * k + n + 1) + 1, cost=batch * m * n * (k + 1),
        )  # fmt: skip
        return
    a = Rows(left, a_batch, a_strides[0], a_offset)
    b_side = Right(right, b_batch, 0, b_strides[0], b_strides[1], b_offset)
    c = Rows(out, out_batch, out_stride, out_offset)
    vector = lanes(code)
    if n == 1 and m > 1 and out_stride == 1 and bias is None and a_strides[1] == 1 and k % vector == 0:
        # A column is written as a row: out^T = right^T @ left^T, with left's rows as columns.
        if b_strides[0] != 1 and k > 1:
            dense = plan_pack(
                b,
                Right(right, b_batch, 0, 0, b_strides[0], b_offset),
                batch=batch,
                taps=1,
                channels=1,
                columns=k,
                width=k,
            )
            a = Rows(dense, k, 0)
        else:
            a = Rows(right, b_batch, 0, b_offset)
        b_side = Right(left, a_batch, 0, 1, a_strides[0], a_offset)
        c = Rows(out, out_batch, 0, out_offset)
        plan_rows(b, "dot", plain_grid(1), a, b_side, c, batch=batch, channels=k, columns=m, accumulate=accumulate)
        return
    empty = batch * m * n * k == 0
    few_rows, few_columns = tile_shape(code, "few")
    width = tile_shape(code, "many")[1]
    dot_fits = k % vector == 0 and k > 0 and m > 0
    dots = dot_fits and ((b_strides[0] == 1 and (m <= SKINNY or n <= NARROW)) or n <= NARROW)
    by_rows = empty or dots or (m <= few_rows and b_strides[1] == 1 and n % few_columns == 0)
    # Steps along a's columns may be far apart; steps along its rows fall on the same places of a cache then.
    far = k > NEAR_STEPS and a_strides[1] * out.spec.dtype.itemsize >= FAR_BYTES
    if a_strides[1] != 1 and k > 1 and not empty and (by_rows or far):
        view = Right(left, a_batch, 0, a_strides[0], a_strides[1], a_offset)
        a = Rows(plan_pack(b, view, batch=batch, taps=1, channels=m, columns=k, width=k), m * k, k)
        a_strides = (k, 1)
    multiply = functools.partial(plan_rows, b, batch=batch, channels=k, columns=n, bias=bias, accumulate=accumulate)
    grid = plain_grid(m)
    if dots:
        if b_strides[0] != 1:
            view = Right(right, b_batch, 0, b_strides[1], b_strides[0], b_offset)
            dense = plan_pack(b, view, batch=batch, taps=1, channels=n, columns=k, width=k)
            b_side = Right(dense, n * k, 0, 1, k)
        multiply("dot", grid, a, b_side, c)
        return
    if by_rows:
        multiply("few", grid, a, b_side, c)
        return
    if bias is not None:
        plan_bias(
            b, bias.array(n), from_offset(out, out_offset), rows=m, columns=n, out_row=out_stride, batch=batch,
            out_batch=out_batch,
        )  # fmt: skip
    near = m <= SKINNY or n * k * out.spec.dtype.itemsize <= NEAR_BYTES
    if b_strides[1] == 1 and n % width == 0 and near:
        panels, strides = from_offset(right, b_offset), (b_batch, width, b_strides[0])
    else:
        panels = plan_pack(b, b_side, batch=batch, taps=1, channels=k, columns=n, width=width).flat
        strides = (-(-n // width) * k * width, k * width, width)
    plan_panels(
        b, code, from_offset(a.operand, a.offset), panels, from_offset(out, out_offset), rows=m, columns=n, steps=k,
        batch=batch, a_strides=(a.batch, a_strides[0], a_strides[1]), b_strides=strides, out_strides=(out_batch, out_stride),
        accumulate=accumulate or bias is not None,
    )  # fmt: skip
