"""Matrix products."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad.errors import DtypeError, ShapeError
from numgrad.kernels.gemm import plan_gemm
from numgrad.kernels.gemm_layout import Matrices
from numgrad.ops import rules
from numgrad.ops.elementwise import add
from numgrad.ops.layouts import contiguous, unsupported
from numgrad.ops.reduce import sum_
from numgrad.ops.view import transpose, unsqueeze
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder


def check_dtypes(name: str, first: Operand, second: Operand) -> None:
    """Refuse operands of two dtypes, and those of bools."""
    if first.spec.dtype is not second.spec.dtype:
        raise DtypeError(
            f"{name}: mat1 and mat2 must have the same dtype, but got {first.spec.dtype.torch_name} and "
            f"{second.spec.dtype.torch_name}; convert one with .to(dtype)"
        )
    if first.spec.dtype.is_bool:
        raise unsupported(name, first)


def _flops(inputs: Any, out: Any) -> int:
    return 2 * out.numel * inputs[0].shape[-1]  # type: ignore[no-any-return]


mm = Op(
    "mm",
    ("input", "mat2"),
    saves=("input", "mat2"),
    bilinear=True,
    doc="Matrix product: [M, K] @ [K, N] gives [M, N].",
)


@mm.plan
def _(b: PlanBuilder, input: Operand, mat2: Operand) -> None:
    (m, k), (rows, n) = input.spec.shape, mat2.spec.shape
    if rows != k:
        raise ShapeError(f"mat1 and mat2 shapes cannot be multiplied ({m}x{k} and {rows}x{n})")
    check_dtypes("mm", input, mat2)
    out = b.output(input.spec.dtype, (m, n))
    plan_gemm(
        b, Matrices(input, 0, *input.spec.strides), Matrices(mat2, 0, *mat2.spec.strides), Matrices(out, 0, n), m=m, n=n, k=k
    )  # fmt: skip


@mm.backward
def _(ctx, grad):
    a, b = ctx.saved
    return (
        mm(grad, transpose(b, dim0=0, dim1=1)) if ctx.needs[0] else None,
        mm(transpose(a, dim0=0, dim1=1), grad) if ctx.needs[1] else None,
    )


mm.linear_in("input")
mm.linear_in("mat2")


@mm.batch
def _(batch, a, b):
    if batch.flags == (True, False):
        return rules.unfolded(mm(rules.folded(a), b), batch.size)
    return bmm(*batch.all(a, b))


mm.flops(_flops)


@mm.oracle
def _(a, b):
    return a @ b


bmm = Op(
    "bmm",
    ("input", "mat2"),
    saves=("input", "mat2"),
    bilinear=True,
    doc="Matrix products of a batch: [B, M, K] @ [B, K, N] gives [B, M, N].",
)


@bmm.plan
def _(b: PlanBuilder, input: Operand, mat2: Operand) -> None:
    (batch, m, k), (batches, rows, n) = input.spec.shape, mat2.spec.shape
    if batch != batches or k != rows:
        raise ShapeError(
            f"bmm: Expected size for first two dimensions of batch2 tensor to be: [{batch}, {k}] but got: [{batches}, {rows}]."
        )
    check_dtypes("bmm", input, mat2)
    out = b.output(input.spec.dtype, (batch, m, n))
    plan_gemm(
        b, Matrices(input, *input.spec.strides), Matrices(mat2, *mat2.spec.strides), Matrices(out, m * n, n),
        m=m, n=n, k=k, batch=batch,
    )  # fmt: skip


@bmm.backward
def _(ctx, grad):
    a, b = ctx.saved
    return (
        bmm(grad, transpose(b, dim0=1, dim1=2)) if ctx.needs[0] else None,
        bmm(transpose(a, dim0=1, dim1=2), grad) if ctx.needs[1] else None,
    )


bmm.linear_in("input")
bmm.linear_in("mat2")


@bmm.batch
def _(batch, a, b):
    a, b = batch.all(a, b)
    return rules.unfolded(bmm(rules.folded(a), rules.folded(b)), batch.size)


bmm.flops(_flops)


@bmm.oracle
def _(a, b):
    return a @ b


linear = Op(
    "linear",
    ("input", "weight", "bias"),
    saves=("input", "weight"),
    self_name="input",
    bilinear=True,
    doc="input [N, in] times the transpose of weight [out, in], plus bias [out] (or None).",
)


@linear.plan
def _(b: PlanBuilder, input: Operand, weight: Operand, bias: Operand | None) -> None:
    (m, k), (n, columns) = input.spec.shape, weight.spec.shape
    if columns != k:
        raise ShapeError(
            f"linear: mat1 and mat2 shapes cannot be multiplied ({m}x{k} and {columns}x{n}): input has {k} features, expected "
            f"{columns} as weight of shape {list(weight.spec.shape)} has"
        )
    check_dtypes("linear", input, weight)
    if bias is not None:
        check_dtypes("linear", input, bias)
        if tuple(bias.spec.shape) != (n,):
            raise ShapeError(f"linear: bias has shape {list(bias.spec.shape)}, expected [{n}] as weight has {n} rows")
        bias = contiguous(b, bias)
    out = b.output(input.spec.dtype, (m, n))
    plan_gemm(
        b, Matrices(input, 0, *input.spec.strides), Matrices(weight, 0, *weight.spec.strides).transposed,
        Matrices(out, 0, n), m=m, n=n, k=k, bias=bias,
    )  # fmt: skip


@linear.backward
def _(ctx, grad):
    x, weight = ctx.saved
    return (
        mm(grad, weight) if ctx.needs[0] else None,
        mm(transpose(grad, dim0=0, dim1=1), x) if ctx.needs[1] else None,
        sum_(grad, dims=(0,)) if ctx.needs[2] else None,
    )


@linear.shown_as
def _(specs, needs, params):
    return ("MmBackward0", (0, 1)) if specs[2] is None else ("AddmmBackward0", (2, 0, 1))


@linear.jvp
def _(ctx, to_x, to_weight, to_bias):
    x, weight, _ = ctx.inputs
    tangent = None if to_x is None else linear(to_x, weight, None)
    tangent = rules.added(tangent, None if to_weight is None else linear(x, to_weight, None))
    return rules.added(tangent, to_bias)


@linear.batch
def _(batch, x, weight, bias):
    if batch.only(0):
        return rules.unfolded(linear(rules.folded(x), weight, bias), batch.size)
    if batch.only(0, 2):
        out = rules.unfolded(linear(rules.folded(*batch.all(x)), weight, None), batch.size)
    else:
        out = bmm(batch.all(x)[0], transpose(batch.all(x, weight)[1], dim0=1, dim1=2))
    if bias is None:
        return out
    return add(out, unsqueeze(bias, dim=1) if batch.flags[2] else bias)


linear.flops(_flops)


@linear.oracle
def _(x, weight, bias):
    out = x @ weight.T
    return out if bias is None else out + bias


def broadcast_batch(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    """The batch dimensions of a matrix product, broadcast."""
    try:
        return np.broadcast_shapes(first, second)
    except ValueError as error:
        raise ShapeError(f"matmul: batch dimensions {list(first)} and {list(second)} cannot be broadcast") from error
