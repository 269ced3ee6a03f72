"""Products with vectors: of a matrix and a vector, of two vectors, and the cross product."""

from __future__ import annotations

import numpy as np

from numgrad.errors import ShapeError
from numgrad.kernels.dot import plan_dot
from numgrad.kernels.gemm import plan_gemm
from numgrad.kernels.gemm_layout import Matrices
from numgrad.kernels.margins import plan_cross
from numgrad.layout import product
from numgrad.ops import rules
from numgrad.ops.elementwise import mul
from numgrad.ops.layouts import contiguous
from numgrad.ops.linalg import bmm, check_dtypes
from numgrad.ops.proofs import prove_dim
from numgrad.ops.reduce import sum_
from numgrad.ops.view import squeeze, transpose, unsqueeze
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder

mv = Op(
    "mv",
    ("input", "vec"),
    saves=("input", "vec"),
    bilinear=True,
    doc="The product of a matrix and a vector: [M, K] and [K] give [M].",
)


@mv.plan
def _(b: PlanBuilder, input: Operand, vec: Operand) -> None:
    if input.spec.ndim != 2 or vec.spec.ndim != 1 or input.spec.shape[1] != vec.spec.shape[0]:
        raise ShapeError(
            f"mv: got shapes {list(input.spec.shape)} and {list(vec.spec.shape)}, expected a matrix [n, m] and a vector [m]"
        )
    check_dtypes("mv", input, vec)
    m, k = input.spec.shape
    out = b.output(input.spec.dtype, (m,))
    if 1 not in input.spec.strides and min(m, k) > 1:  # picked out of vectors once, not element by element
        input = contiguous(b, input)
    plan_gemm(
        b, Matrices(input, 0, *input.spec.strides), Matrices(vec, 0, vec.spec.strides[0], 1), Matrices(out, 0, 1, 1),
        m=m, n=1, k=k,
    )  # fmt: skip


@mv.backward
def _(ctx, grad):
    a, x = ctx.saved
    return (
        mul(unsqueeze(grad, dim=1), x) if ctx.needs[0] else None,
        mv(transpose(a, dim0=0, dim1=1), grad) if ctx.needs[1] else None,
    )


mv.linear_in("input")
mv.linear_in("vec")


@mv.batch
def _(batch, a, x):
    if batch.flags == (True, False):
        return rules.unfolded(mv(rules.folded(a), x), batch.size)
    a, x = batch.all(a, x)
    return squeeze(bmm(a, unsqueeze(x, dim=2)), dims=(2,))


@mv.flops
def _(inputs, out):
    return 2 * inputs[0].numel


@mv.oracle
def _(a, x):
    return a @ x


dot = Op(
    "dot",
    ("input", "other"),
    saves=("input", "other"),
    bilinear=True,
    commutes=True,
    doc="The sum of the products of two vectors: [K] and [K] give a tensor without dimensions.",
)


@dot.plan
def _(b: PlanBuilder, input: Operand, other: Operand) -> None:
    if input.spec.ndim != 1 or other.spec.ndim != 1 or input.spec.shape != other.spec.shape:
        raise ShapeError(
            f"dot: expected two 1D tensors of one length, but got {list(input.spec.shape)} and {list(other.spec.shape)}"
        )
    check_dtypes("dot", input, other)
    plan_dot(b, input, other, b.output(input.spec.dtype, ()))


@dot.backward
def _(ctx, grad):
    x, y = ctx.saved
    return mul(grad, y) if ctx.needs[0] else None, mul(grad, x) if ctx.needs[1] else None


dot.linear_in("input")
dot.linear_in("other")


@dot.batch
def _(batch, x, y):
    if batch.flags == (True, False):
        return mv(x, y)
    if batch.flags == (False, True):
        return mv(y, x)
    return sum_(mul(x, y), dims=(1,))


@dot.flops
def _(inputs, out):
    return 2 * inputs[0].numel


@dot.oracle
def _(x, y):
    return x @ y


cross = Op(
    "cross",
    ("input", "other"),
    {"dim": -1},
    saves=("input", "other"),
    bilinear=True,
    node_name="LinalgCrossBackward0",
    doc="The cross products of the vectors of three along ``dim``, for inputs of one shape.",
)


@cross.plan
def _(b: PlanBuilder, input: Operand, other: Operand, dim: int) -> None:
    shape = tuple(input.spec.shape)
    dim = prove_dim("cross", dim, len(shape), -len(shape))
    if tuple(other.spec.shape) != shape or shape[dim] != 3:
        raise ShapeError(
            f"cross: got {list(shape)} and {list(other.spec.shape)}, expected one shape with 3 in dimension {dim}"
        )
    check_dtypes("cross", input, other)
    out = b.output(input.spec.dtype, shape)
    plan_cross(
        b,
        contiguous(b, input),
        contiguous(b, other),
        out,
        product(shape[: dim % len(shape)]),
        product(shape[dim % len(shape) + 1 :]),
    )


@cross.backward
def _(ctx, grad):
    x, y = ctx.saved
    dim = ctx.params.dim
    return cross(y, grad, dim=dim) if ctx.needs[0] else None, cross(grad, x, dim=dim) if ctx.needs[1] else None


cross.linear_in("input")
cross.linear_in("other")
cross.batch(rules.along_dim)


@cross.oracle
def _(x, y, dim):
    return np.moveaxis(np.cross(np.moveaxis(x, dim, -1), np.moveaxis(y, dim, -1)), -1, dim)
