"""Eigenvalues of symmetric matrices and singular values, with their vectors.

Vectors are those that LAPACK chooses: for real matrices any of them may change its sign, and those of equal values are any
basis. A function that depends on that choice has no derivative; the others have theirs where the values are distinct, and
those of the values alone everywhere (Giles, 2008; Townsend, 2016).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad.errors import GradError
from numgrad.kernels import lapack
from numgrad.ops import rules
from numgrad.ops.elementwise import add, div, mul, neg, square, sub
from numgrad.ops.matrices import (
    adjoint,
    check_matrices,
    column,
    diagonal,
    failed,
    filled,
    product,
    prove_flags,
    row,
    skew,
    symmetric,
    with_diagonal,
)
from numgrad.ops.view import narrow
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder

# ---- symmetric matrices -----------------------------------------------------------------------------------------

_UNSETTLED = (
    "The algorithm failed to converge because the input matrix is ill-conditioned or has too many repeated eigenvalues (error "
    "code: {info})."
)


def _check_symmetric(name: str, A: Operand, UPLO: str) -> tuple[int, ...]:
    batch, n, _ = check_matrices(name, A, square=True)
    if not isinstance(UPLO, str) or UPLO.upper() not in ("L", "U"):
        raise ValueError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    return (*batch, n)


eigh = Op(
    "linalg_eigh",
    ("A",),
    {"UPLO": "L"},
    outputs=("eigenvalues", "eigenvectors"),
    public=2,
    saves=("eigenvalues", "eigenvectors"),
    doc="""Eigenvalues [..., n], ascending, and eigenvectors, as columns, of symmetric A [..., n, n], of which one triangle
    is read: 'L' or 'U'.
    """,
)
eigh.on_status(failed("linalg.eigh", _UNSETTLED))


@eigh.plan
def _(b: PlanBuilder, A: Operand, UPLO: str) -> None:
    values = b.output(A.spec.dtype, _check_symmetric("linalg.eigh", A, UPLO))
    b.host_call(lapack.eigh, [A], [values, b.output(A.spec.dtype, tuple(A.spec.shape))], uplo=UPLO.upper())


def _differences(values: Any) -> Any:
    """values[j] - values[i], with ones on the diagonal."""
    return with_diagonal(sub(row(values), column(values)), filled(values, tuple(values._spec.shape), 1.0))


@eigh.backward
def _(ctx, to_values, to_vectors):
    values, vectors = ctx.saved
    back = adjoint(vectors)
    if to_vectors is None:
        return product(mul(vectors, row(to_values)), back)
    on_diagonal = filled(values, tuple(values._spec.shape), 0.0) if to_values is None else to_values
    inner = div(product(back, to_vectors), _differences(values))
    return product(vectors, with_diagonal(inner, on_diagonal), back)


@eigh.jvp
def _(ctx, tangent):
    values, vectors = ctx.outputs
    inner = product(adjoint(vectors), tangent, vectors)
    turned = with_diagonal(div(inner, _differences(values)), filled(values, tuple(values._spec.shape), 0.0))
    return diagonal(inner), product(vectors, turned)


eigh.batch(rules.leading)


@eigh.oracle
def _(a, UPLO):
    return tuple(np.linalg.eigh(a, UPLO))


eigvalsh = Op(
    "linalg_eigvalsh",
    ("A",),
    {"UPLO": "L"},
    saves=("A",),
    node_name="LinalgEighBackward0",
    doc="The eigenvalues of `linalg_eigh` alone; a backward computes the vectors.",
)
eigvalsh.on_status(failed("linalg.eigh", _UNSETTLED))


@eigvalsh.plan
def _(b: PlanBuilder, A: Operand, UPLO: str) -> None:
    values = b.output(A.spec.dtype, _check_symmetric("linalg.eigh", A, UPLO))
    b.host_call(lapack.eigvalsh, [A], [values], uplo=UPLO.upper())


@eigvalsh.backward
def _(ctx, grad):
    _, vectors = eigh(ctx.saved[0], **ctx.params._asdict())
    return product(mul(vectors, row(grad)), adjoint(vectors))


@eigvalsh.jvp
def _(ctx, tangent):
    _, vectors = eigh(ctx.inputs[0], **ctx.params._asdict())
    return diagonal(product(adjoint(vectors), tangent, vectors))


eigvalsh.batch(rules.leading)


@eigvalsh.oracle
def _(a, UPLO):
    return np.linalg.eigvalsh(a, UPLO)


# ---- singular values --------------------------------------------------------------------------------------------

_NOT_FINITE = "The algorithm failed to converge because the input matrix contained non-finite values."

svd = Op(
    "linalg_svd",
    ("A",),
    {"full_matrices": True},
    outputs=("U", "S", "Vh"),
    public=3,
    saves=("U", "S", "Vh"),
    doc="""U, S and V^T of A = U diag(S) V^T, for A [..., m, n] and k = min(m, n); S [..., k] is descending.

    U [..., m, k] and V^T [..., k, n], or with ``full_matrices`` square. Gradients of the vectors beyond the k-th count for 0.
    """,
)
svd.on_status(failed("linalg.svd", _NOT_FINITE))


@svd.plan
def _(b: PlanBuilder, A: Operand, full_matrices: bool) -> None:
    batch, m, n = check_matrices("linalg.svd", A)
    prove_flags("linalg.svd", full_matrices=full_matrices)
    k = min(m, n)
    u = b.output(A.spec.dtype, (*batch, m, m if full_matrices else k))
    s = b.output(A.spec.dtype, (*batch, k))
    vh = b.output(A.spec.dtype, (*batch, n if full_matrices else k, n))
    b.host_call(lapack.svd, [A], [u, s, vh], full_matrices=full_matrices)


def _first(x: Any, k: int, axis: int) -> Any:
    """The first k vectors along an axis from the end; None of None."""
    return x if x is None or x._spec.shape[axis] == k else narrow(x, x._spec.ndim + axis, 0, k)


@svd.backward
def _(ctx, to_u, to_s, to_vh):
    u, s, vh = ctx.saved
    k = s._spec.shape[-1]
    u, to_u, vh, to_vh = _first(u, k, -1), _first(to_u, k, -1), _first(vh, k, -2), _first(to_vh, k, -2)
    m, n = u._spec.shape[-2], vh._spec.shape[-1]
    if to_u is None and to_vh is None:
        return product(mul(u, row(to_s)), vh)
    gaps, inner, outside = _differences(square(s)), None, None
    if to_u is not None:
        of_u = product(adjoint(u), to_u)
        inner = mul(div(skew(of_u), gaps), row(s))
        if m > k:
            outside = product(div(sub(to_u, product(u, of_u)), row(s)), vh)
    if to_vh is not None:
        of_v = product(vh, adjoint(to_vh))
        inner = rules.added(inner, mul(column(s), div(skew(of_v), gaps)))
        if n > k:
            rest = sub(to_vh, product(adjoint(of_v), vh))
            outside = rules.added(outside, product(u, div(rest, column(s))))
    if to_s is not None:
        inner = with_diagonal(inner, to_s)
    return rules.added(product(u, inner, vh), outside)


@svd.jvp
def _(ctx, tangent):
    u, s, vh = ctx.outputs
    m, n, k = u._spec.shape[-2], vh._spec.shape[-1], s._spec.shape[-1]
    if m != n and ctx.params.full_matrices:
        raise GradError(
            "linalg.svd: the vectors beyond the smaller dimension have no forward derivative; use full_matrices=False"
        )
    v = adjoint(vh)
    inner = product(adjoint(u), tangent, v)
    d_s = diagonal(inner)
    inner = with_diagonal(inner, filled(s, tuple(s._spec.shape), 0.0))
    gaps = _differences(square(s))
    d_u = product(u, div(symmetric(mul(inner, row(s))), gaps))
    d_vh = neg(product(div(symmetric(mul(column(s), inner)), gaps), vh))
    if m > k:
        along = product(tangent, v)
        d_u = add(d_u, div(sub(along, product(u, adjoint(u), along)), row(s)))
    if n > k:
        along = product(adjoint(u), tangent)
        d_vh = add(d_vh, div(sub(along, product(along, v, vh)), column(s)))
    return d_u, d_s, d_vh


svd.batch(rules.leading)


@svd.oracle
def _(a, full_matrices):
    return tuple(np.linalg.svd(a, full_matrices))


svdvals = Op(
    "linalg_svdvals",
    ("A",),
    saves=("A",),
    node_name="LinalgSvdBackward0",
    doc="The singular values of `linalg_svd` alone; a backward computes the vectors.",
)
svdvals.on_status(failed("linalg.svd", _NOT_FINITE))


@svdvals.plan
def _(b: PlanBuilder, A: Operand) -> None:
    batch, m, n = check_matrices("linalg.svd", A)
    b.host_call(lapack.svdvals, [A], [b.output(A.spec.dtype, (*batch, min(m, n)))])


@svdvals.backward
def _(ctx, grad):
    u, _, vh = svd(ctx.saved[0], full_matrices=False)
    return product(mul(u, row(grad)), vh)


@svdvals.jvp
def _(ctx, tangent):
    u, _, vh = svd(ctx.inputs[0], full_matrices=False)
    return diagonal(product(adjoint(u), tangent, adjoint(vh)))


svdvals.batch(rules.leading)


@svdvals.oracle
def _(a):
    return np.linalg.svd(a, compute_uv=False)
