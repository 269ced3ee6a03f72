"""Determinants of matrices, and their cofactors.

Derivatives are those of Giles (2008), "Collected matrix derivative results", and where another source is named, of that.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad.kernels import lapack
from numgrad.ops import rules
from numgrad.ops.elementwise import mul, sub
from numgrad.ops.matrices import (
    adjoint,
    check_matrices,
    column,
    filled,
    product,
)
from numgrad.ops.reduce import sum_
from numgrad.ops.systems import inv_ex
from numgrad.ops.triangles import plan_determinants
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder

det = Op(
    "linalg_det",
    ("A",),
    saves=("A",),
    doc="Determinants of A [..., n, n]. The gradient is that of the cofactors, which singular matrices have, too.",
)


@det.plan
def _(b: PlanBuilder, A: Operand) -> None:
    batch, _, _ = check_matrices("linalg.det", A, square=True)
    plan_determinants(b, A, b.output(A.spec.dtype, batch))


@det.backward
def _(ctx, grad):
    return mul(column(column(grad)), cofactor(ctx.saved[0]))


@det.jvp
def _(ctx, tangent):
    return _inner(cofactor(ctx.inputs[0]), tangent)


det.batch(rules.leading)


@det.oracle
def _(a):
    return np.linalg.det(a)


def _inner(x: Any, y: Any) -> Any:
    """The sums of the products of the elements of matrices."""
    return sum_(mul(x, y), dims=(x._spec.ndim - 2, x._spec.ndim - 1))


cofactor = Op(
    "cofactor",
    ("A",),
    saves=("A", "out"),
    doc="det(A) inv(A)^T of A [..., n, n], also of singular ones; derivatives are those of A that has an inverse.",
)


@cofactor.plan
def _(b: PlanBuilder, A: Operand) -> None:
    check_matrices("cofactor", A, square=True)
    b.host_call(lapack.cofactor, [A], [b.output(A.spec.dtype, tuple(A.spec.shape))])


@cofactor.backward
def _(ctx, grad):
    a, out = ctx.saved
    back = adjoint(inv_ex(a)[0])
    return sub(mul(column(column(_inner(grad, back))), out), product(back, adjoint(grad), out))


@cofactor.jvp
def _(ctx, tangent):
    out, back = ctx.outputs[0], adjoint(inv_ex(ctx.inputs[0])[0])
    return sub(mul(column(column(_inner(out, tangent))), back), product(out, adjoint(tangent), back))


cofactor.batch(rules.leading)


@cofactor.oracle
def _(a):
    return np.linalg.det(a)[..., None, None] * np.linalg.inv(a).swapaxes(-1, -2)


slogdet = Op(
    "linalg_slogdet",
    ("A",),
    outputs=("sign", "logabsdet"),
    public=2,
    saves=("A",),
    doc="The sign and the logarithm of the absolute value of the determinants of A [..., n, n]: 0 and -inf of singular ones.",
)


@slogdet.plan
def _(b: PlanBuilder, A: Operand) -> None:
    batch, _, _ = check_matrices("linalg.slogdet", A, square=True)
    plan_determinants(b, A, b.output(A.spec.dtype, batch), b.output(A.spec.dtype, batch))


@slogdet.backward
def _(ctx, _, grad):
    return None if grad is None else mul(column(column(grad)), adjoint(inv_ex(ctx.saved[0])[0]))


@slogdet.jvp
def _(ctx, tangent):
    back = adjoint(inv_ex(ctx.inputs[0])[0])
    return filled(tangent, tuple(tangent._spec.shape[:-2]), 0.0), _inner(back, tangent)


slogdet.batch(rules.leading)


@slogdet.oracle
def _(a):
    sign, logarithm = np.linalg.slogdet(a)  # which takes a NaN on U's diagonal for a zero
    return sign, np.where(np.isnan(a).any((-2, -1)), np.nan, logarithm)
