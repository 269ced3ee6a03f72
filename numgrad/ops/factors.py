"""Factorizations into triangles: Cholesky, QR, LU, with derivatives made of ops."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.errors import GradError, LinAlgError, ShapeError
from numgrad.kernels.reflections import plan_copy_upper
from numgrad.kernels.triangles import plan_permute
from numgrad.layout import contiguous_strides
from numgrad.layout import product as count_of
from numgrad.ops import rules
from numgrad.ops.elementwise import add, mul, neg, sub
from numgrad.ops.joining import cat
from numgrad.ops.layouts import contiguous, plan_copy
from numgrad.ops.matrices import (
    adjoint,
    check_matrices,
    failed,
    half_lower,
    identity,
    lower,
    product,
    prove_flags,
    skew,
    symmetric,
    upper,
)
from numgrad.ops.reflections import plan_multiply_reflections, plan_reflect
from numgrad.ops.stacks import copy_of
from numgrad.ops.systems import solve_triangular
from numgrad.ops.triangles import plan_cholesky, plan_eliminate
from numgrad.ops.view import narrow
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder

# ---- Cholesky ---------------------------------------------------------------------------------------------------

cholesky_ex = Op(
    "linalg_cholesky_ex",
    ("A",),
    {"upper": False, "check_errors": False},
    outputs=("L", "info"),
    public=2,
    saves=("L",),
    doc="""L of A = L L^T, or with ``upper`` U of A = U^T U, for symmetric A [..., n, n], of which that triangle is read.

    For each A the order of the smallest leading part that is not positive definite, or 0. Where there is one, L is NaN, or
    with ``check_errors`` it is an error. The derivative is Murray's (2016), and symmetric.
    """,
)


@cholesky_ex.on_status
def _(status, params):
    text = (
        "The factorization could not be completed because the input is not positive-definite (the leading minor of order "
        "{info} is not positive-definite)."
    )
    return failed("linalg.cholesky", text)(status, params)


@cholesky_ex.plan
def _(b: PlanBuilder, A: Operand, upper: bool, check_errors: bool) -> None:
    batch, _, _ = check_matrices("linalg.cholesky", A, square=True)
    prove_flags("linalg.cholesky", upper=upper, check_errors=check_errors)
    out, info = b.output(A.spec.dtype, tuple(A.spec.shape)), b.output(dtypes.int32, batch)
    plan_cholesky(b, A, out, info, upper, check_errors)


@cholesky_ex.backward
def _(ctx, grad, _):
    (factor,) = ctx.saved
    low, grad = (adjoint(factor), adjoint(grad)) if ctx.params.upper else (factor, grad)
    back = adjoint(low)
    inner = symmetric(half_lower(product(back, grad)))
    left = solve_triangular(back, inner, upper=True)  # L^-T S, and from the right by L^-1
    return mul(adjoint(solve_triangular(back, adjoint(left), upper=True)), 0.5)


@cholesky_ex.jvp
def _(ctx, tangent):
    factor = ctx.outputs[0]
    low = adjoint(factor) if ctx.params.upper else factor
    left = solve_triangular(low, mul(symmetric(tangent), 0.5))
    inner = solve_triangular(low, adjoint(left))
    result = product(low, half_lower(inner))
    return adjoint(result) if ctx.params.upper else result, None


cholesky_ex.batch(rules.leading)


@cholesky_ex.oracle
def _(a, upper, check_errors):
    factor = np.linalg.cholesky(a.swapaxes(-1, -2) if upper else a)
    return factor.swapaxes(-1, -2) if upper else factor, np.zeros(a.shape[:-2], np.int32)


# ---- QR ---------------------------------------------------------------------------------------------------------

qr = Op(
    "linalg_qr",
    ("A",),
    {"mode": "reduced"},
    outputs=("Q", "R"),
    public=2,
    saves=("Q", "R"),
    doc="""Q with orthonormal columns and upper triangular R of A = Q R, for A [..., m, n] and k = min(m, n).

    'reduced': Q [..., m, k] and R [..., k, n]; 'complete': Q [..., m, m] and R [..., m, n]; 'r': R as reduced and an empty
    Q. The derivative is Walter and Lehmann's (2010), where the first k columns of A are independent.
    """,
)
_MODES = ("reduced", "complete", "r")


@qr.plan
def _(b: PlanBuilder, A: Operand, mode: str) -> None:
    batch, m, n = check_matrices("linalg.qr", A)
    if mode not in _MODES:
        raise ValueError(
            f"qr received unrecognized mode {mode!r} but expected one of 'reduced' (default), 'r', or 'complete'"
        )
    k = m if mode == "complete" else min(m, n)
    q = b.output(A.spec.dtype, (0,) if mode == "r" else (*batch, m, k))
    r = b.output(A.spec.dtype, (*batch, k, n))
    work = copy_of(b, A)
    shape = (*batch, min(m, n))
    tau = b.scratch(A.spec.dtype, count_of(shape)).view(shape, contiguous_strides(shape))
    plan_reflect(b, work, tau)
    plan_copy_upper(b, work, r)
    if mode != "r":
        plan_multiply_reflections(b, work, tau, q)


geqrf = Op(
    "geqrf",
    ("A",),
    outputs=("a", "tau"),
    public=2,
    differentiable=False,
    doc="R in the upper triangles of a [..., m, n], and below them and in tau [..., min(m, n)] the reflections that make Q.",
)


@geqrf.plan
def _(b: PlanBuilder, A: Operand) -> None:
    batch, m, n = check_matrices("torch.geqrf", A)
    a, tau = b.output(A.spec.dtype, tuple(A.spec.shape)), b.output(A.spec.dtype, (*batch, min(m, n)))
    plan_copy(b, A, a)
    plan_reflect(b, a, tau)


geqrf.batch(rules.leading)


@geqrf.oracle
def _(a):
    raw, tau = np.linalg.qr(a, "raw")
    return raw.swapaxes(-1, -2), tau


def _check_slope(q: Any, r: Any, mode: str) -> None:
    if mode == "r":
        raise GradError(
            "linalg.qr: the derivative depends on Q, which mode='r' does not compute; use mode='reduced' to differentiate"
        )
    if q._spec.shape[-1] > r._spec.shape[-1]:
        raise GradError(
            "linalg.qr: the derivative is not defined for mode='complete' and more rows than columns; use mode='reduced'"
        )


def _head_and_rest(r: Any) -> tuple[Any, Any]:
    """The square part of R, and what is beside it, or None."""
    k, n = r._spec.shape[-2:]
    axis = r._spec.ndim - 1
    return (r, None) if k == n else (narrow(r, axis, 0, k), narrow(r, axis, k, n - k))


@qr.backward
def _(ctx, to_q, to_r):
    q, r = ctx.saved
    _check_slope(q, r, ctx.params.mode)
    head, rest = _head_and_rest(r)
    to_head, to_rest, axis = to_r, None, r._spec.ndim - 1
    if to_r is not None and rest is not None:
        k, n = r._spec.shape[-2:]
        to_head, to_rest = narrow(to_r, axis, 0, k), narrow(to_r, axis, k, n - k)
        to_q = rules.added(to_q, product(q, rest, adjoint(to_rest)))
    inner = None if to_head is None else product(head, adjoint(to_head))
    if to_q is not None:
        inner = rules.added(inner, neg(product(adjoint(to_q), q)))
    low = lower(inner, -1)
    total = product(q, add(lower(inner), adjoint(low)))
    total = total if to_q is None else add(total, to_q)
    to_a = adjoint(solve_triangular(head, adjoint(total), upper=True))
    if rest is None:
        return to_a
    beside = product(q, to_rest) if to_rest is not None else mul(product(q, rest), 0.0)
    return cat(to_a, beside, dim=axis)


@qr.jvp
def _(ctx, tangent):
    q, r = ctx.outputs[:2]
    _check_slope(q, r, ctx.params.mode)
    head, rest = _head_and_rest(r)
    axis = r._spec.ndim - 1
    k, n = r._spec.shape[-2:]
    first = tangent if rest is None else narrow(tangent, axis, 0, k)
    scaled = adjoint(solve_triangular(adjoint(head), adjoint(first)))  # dA R^-1
    inner = product(adjoint(q), scaled)
    turned = skew(lower(inner, -1))
    d_q = add(product(q, sub(turned, inner)), scaled)
    d_r = upper(product(sub(inner, turned), head))
    if rest is not None:
        beside = add(product(adjoint(d_q), q, rest), product(adjoint(q), narrow(tangent, axis, k, n - k)))
        d_r = cat(d_r, beside, dim=axis)
    return d_q, d_r


@qr.batch
def _(batch, a, mode):
    q, r = qr(a, mode=mode)
    return (mul(r, 0.0) if mode == "r" else q), r


@qr.oracle
def _(a, mode):
    return (np.zeros(0), np.linalg.qr(a, "r")) if mode == "r" else tuple(np.linalg.qr(a, mode))


# ---- LU ---------------------------------------------------------------------------------------------------------

lu_factor_ex = Op(
    "linalg_lu_factor_ex",
    ("A",),
    {"pivot": True, "check_errors": False},
    outputs=("LU", "pivots", "info"),
    public=3,
    saves=("LU", "pivots"),
    doc="""L and U of P A = L U, for A [..., m, n], in one matrix without the ones of L's diagonal, and the exchanges of rows.

    ``pivots`` [..., min(m, n)] has for each row the row from 1 that it was exchanged with. ``info`` is the first column
    without a pivot, or 0.
    """,
)
lu_factor_ex.on_status(
    failed(
        "torch.linalg.lu_factor",
        "U[{info},{info}] is zero and using it on lu_solve would result in a division by zero. If you still want to perform the "
        "factorization, consider calling linalg.lu(A, pivot) or linalg.lu_factor_ex(A, pivot)",
    )
)


@lu_factor_ex.plan
def _(b: PlanBuilder, A: Operand, pivot: bool, check_errors: bool) -> None:
    batch, m, n = check_matrices("linalg.lu_factor", A)
    prove_flags("linalg.lu_factor", pivot=pivot, check_errors=check_errors)
    out = b.output(A.spec.dtype, tuple(A.spec.shape))
    pivots, info = b.output(dtypes.int32, (*batch, min(m, n))), b.output(dtypes.int32, batch)
    plan_copy(b, A, out)
    plan_eliminate(b, out, pivots, info, pivot, check_errors)


class _Parts:
    """L and U of a square head, and what is below L or beside U of it, or None."""

    def __init__(self, both: Any) -> None:
        self.m, self.n = both._spec.shape[-2:]
        self.k, self.axis = min(self.m, self.n), both._spec.ndim - 1
        self.head, self.below, self.beside = self.cut(both)

    def cut(self, x: Any) -> tuple[Any, Any, Any]:
        """The square head of a matrix, its rows below and its columns beside it."""
        k, axis = self.k, self.axis
        head = narrow(narrow(x, axis - 1, 0, k), axis, 0, k)
        below = narrow(x, axis - 1, k, self.m - k) if self.m > k else None
        beside = narrow(x, axis, k, self.n - k) if self.n > k else None
        return head, below, beside

    def joined(self, head: Any, below: Any, beside: Any) -> Any:
        """The reverse of `cut`."""
        if below is not None:
            return cat(head, below, dim=self.axis - 1)
        return head if beside is None else cat(head, beside, dim=self.axis)

    def by_l(self, x: Any, adjoined: bool = False) -> Any:
        """L^-1 x, or L^-T x."""
        if adjoined:
            return solve_triangular(adjoint(self.head), x, upper=True, unitriangular=True)
        return solve_triangular(self.head, x, unitriangular=True)

    def by_u(self, x: Any, adjoined: bool = False) -> Any:
        """x U^-1, or x U^-T."""
        if adjoined:
            return adjoint(solve_triangular(self.head, adjoint(x), upper=True))
        return adjoint(solve_triangular(adjoint(self.head), adjoint(x)))


@lu_factor_ex.backward
def _(ctx, grad, *_):
    both, pivots = ctx.saved
    parts = _Parts(both)
    to_head, to_below, to_beside = parts.cut(grad)
    low = add(lower(parts.head, -1), identity(parts.head, parts.k))
    up = upper(parts.head)
    inner_l, inner_u = product(adjoint(low), lower(to_head, -1)), product(upper(to_head), adjoint(up))
    below = beside = None
    if to_beside is not None:
        inner_l, beside = sub(inner_l, product(to_beside, adjoint(parts.beside))), parts.by_l(to_beside, True)
    if to_below is not None:
        inner_u, below = sub(inner_u, product(adjoint(parts.below), to_below)), parts.by_u(to_below, True)
    inner = add(lower(inner_l, -1), upper(inner_u))
    joined = parts.joined(parts.by_u(parts.by_l(inner, True), True), below, beside)
    return product(permutation(pivots, rows=parts.m, dtype=both._spec.dtype), joined)


@lu_factor_ex.jvp
def _(ctx, tangent):
    both, pivots = ctx.outputs[:2]
    parts = _Parts(both)
    order = permutation(pivots, rows=parts.m, dtype=both._spec.dtype)
    d_head, d_below, d_beside = parts.cut(product(adjoint(order), tangent))
    inner = parts.by_u(parts.by_l(d_head))
    in_l, in_u = lower(inner, -1), upper(inner)
    low, up = add(lower(parts.head, -1), identity(parts.head, parts.k)), upper(parts.head)
    below = beside = None
    if d_below is not None:  # A2 = L2 U
        below = sub(parts.by_u(d_below), product(parts.below, in_u))
    if d_beside is not None:  # A2 = L U2
        beside = sub(parts.by_l(d_beside), product(in_l, parts.beside))
    d_head = add(product(low, in_l), product(in_u, up))
    return parts.joined(d_head, below, beside), None, None


lu_factor_ex.batch(rules.leading)


@lu_factor_ex.oracle
def _(a, pivot, check_errors):
    """Elimination, one element after the other."""
    out, (m, n) = a.copy(), a.shape[-2:]
    pivots = np.zeros((*a.shape[:-2], min(m, n)), np.int32)
    info = np.zeros(a.shape[:-2], np.int32)
    for index in np.ndindex(a.shape[:-2]):
        matrix = out[index]
        for k in range(min(m, n)):
            row = k + (int(np.argmax(np.abs(matrix[k:, k]))) if pivot else 0)
            pivots[(*index, k)] = row + 1
            matrix[[k, row]] = matrix[[row, k]]
            for i in range(k + 1, m):
                matrix[i, k] /= matrix[k, k]
                matrix[i, k + 1 :] -= matrix[i, k] * matrix[k, k + 1 :]
    return out, pivots, info


permutation = Op(
    "permutation",
    ("pivots",),
    {"rows": 0, "dtype": dtypes.float32},
    differentiable=False,
    doc="The matrix P [..., rows, rows] of A = P L U, for the exchanges of rows that `linalg_lu_factor_ex` gives.",
)


@permutation.on_status
def _(status, params):
    return LinAlgError(f"lu_unpack: pivots must be between 1 and {params.rows}, the number of rows, which one is not")


@permutation.plan
def _(b: PlanBuilder, pivots: Operand, rows: int, dtype: Any) -> None:
    if pivots.spec.dtype is not dtypes.int32 or not pivots.spec.ndim:
        raise ShapeError(
            f"lu_unpack: pivots are {pivots.spec}, expected numgrad.int32 with the pivots in the last dimension"
        )
    if rows.__class__ is not int or rows < pivots.spec.shape[-1]:
        raise ShapeError(f"lu_unpack: got {rows!r} rows, expected at least as many as pivots, {pivots.spec.shape[-1]}")
    out = b.output(dtype, (*pivots.spec.shape[:-1], rows, rows))
    plan_permute(b, contiguous(b, pivots), out)


permutation.batch(rules.leading)


@permutation.oracle
def _(pivots, rows, dtype):
    out = np.broadcast_to(np.eye(rows), (*pivots.shape[:-1], rows, rows)).copy()
    for index in np.ndindex(pivots.shape[:-1]):
        for k in reversed(range(pivots.shape[-1])):
            other = pivots[(*index, k)] - 1
            out[index][[k, other]] = out[index][[other, k]]
    return out
