"""Linear systems: solutions, inverses, least squares, pseudoinverses; and exponentials of matrices.

Derivatives are those of Giles (2008), "Collected matrix derivative results", and where another source is named, of that.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.errors import LinAlgError, ShapeError
from numgrad.kernels import lapack
from numgrad.ops import rules
from numgrad.ops.elementwise import absolute, add, div, maximum, mul, neg, sub
from numgrad.ops.joining import cat
from numgrad.ops.layouts import plan_copy
from numgrad.ops.matrices import (
    _FAR,
    adjoint,
    band,
    check_alike,
    check_matrices,
    failed,
    filled,
    product,
    prove_flags,
)
from numgrad.ops.reduce import amax
from numgrad.ops.stacks import copy_of
from numgrad.ops.triangles import plan_solve, plan_substitute
from numgrad.ops.view import narrow
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder


def _check_system(name: str, a: Operand, b: Operand) -> None:
    """Refuse what is no system A X = B of square matrices A."""
    _, n, _ = check_matrices(name, a, square=True)
    check_matrices(name, b, letter="B")
    check_alike(name, a, b)
    rows, columns = b.spec.shape[-2:]
    if rows != n or b.spec.ndim != a.spec.ndim:
        raise ShapeError(
            f"{name}: Incompatible shapes of A and B for the equation AX = B ({n}x{n} and {rows}x{columns}); A is "
            f"{list(a.spec.shape)}, B {list(b.spec.shape)}"
        )


# ---- solutions --------------------------------------------------------------------------------------------------

solve_ex = Op(
    "linalg_solve_ex",
    ("A", "B"),
    {"check_errors": False},
    outputs=("result", "info"),
    public=2,
    saves=("A", "result"),
    doc="""X of A X = B, for A [..., n, n] and B [..., n, k], and for each A the column that has no pivot, or 0.

    Where there is one, X is NaN, or with ``check_errors`` it is an error.
    """,
)
solve_ex.on_status(failed("torch.linalg.solve", "The solver failed because the input matrix is singular."))


@solve_ex.plan
def _(b: PlanBuilder, A: Operand, B: Operand, check_errors: bool) -> None:
    _check_system("linalg.solve", A, B)
    prove_flags("linalg.solve", check_errors=check_errors)
    out, info = b.output(A.spec.dtype, tuple(B.spec.shape)), b.output(dtypes.int32, tuple(A.spec.shape[:-2]))
    plan_copy(b, B, out)
    plan_solve(b, copy_of(b, A), out, info, check_errors, inverse=False)


@solve_ex.backward
def _(ctx, grad, _):
    a, x = ctx.saved
    to_b = solve_ex(adjoint(a), grad)[0]
    return neg(product(to_b, adjoint(x))) if ctx.needs[0] else None, to_b


@solve_ex.jvp
def _(ctx, to_a, to_b):
    change = to_b
    if to_a is not None:
        change = rules.added(change, neg(product(to_a, ctx.outputs[0])))
    return solve_ex(ctx.inputs[0], change)[0], None


solve_ex.batch(rules.leading)


@solve_ex.oracle
def _(a, b, check_errors):
    return np.linalg.solve(a, b), np.zeros(a.shape[:-2], np.int32)


solve_triangular = Op(
    "linalg_solve_triangular",
    ("A", "B"),
    {"upper": False, "unitriangular": False},
    saves=("A", "out"),
    doc="""X of A X = B, for triangular A [..., n, n], of which one triangle is read, and B [..., n, k].

    With ``unitriangular`` the diagonal is not read either, and taken for ones. A zero on it gives infinities and NaN.
    """,
)


@solve_triangular.plan
def _(b: PlanBuilder, A: Operand, B: Operand, upper: bool, unitriangular: bool) -> None:
    _check_system("linalg.solve_triangular", A, B)
    prove_flags("linalg.solve_triangular", upper=upper, unitriangular=unitriangular)
    out = b.output(A.spec.dtype, tuple(B.spec.shape))
    plan_copy(b, B, out)
    plan_substitute(b, A, out, upper, unitriangular)


def _triangle(x: Any, upper: bool, unitriangular: bool) -> Any:
    """The part of a matrix that `solve_triangular` reads."""
    edge = int(unitriangular)
    return band(x, low=edge, high=_FAR) if upper else band(x, low=-_FAR, high=-edge)


@solve_triangular.backward
def _(ctx, grad):
    (a, x), (upper, unit) = ctx.saved, ctx.params
    to_b = solve_triangular(adjoint(a), grad, upper=not upper, unitriangular=unit)
    return _triangle(neg(product(to_b, adjoint(x))), upper, unit) if ctx.needs[0] else None, to_b


@solve_triangular.jvp
def _(ctx, to_a, to_b):
    change = to_b
    if to_a is not None:
        change = rules.added(change, neg(product(_triangle(to_a, *ctx.params), ctx.outputs[0])))
    return solve_triangular(ctx.inputs[0], change, **ctx.params._asdict())


solve_triangular.batch(rules.leading)


@solve_triangular.oracle
def _(a, b, upper, unitriangular):
    """Substitution, one row after the other."""
    x, n = np.zeros_like(b), a.shape[-1]
    for k in reversed(range(n)) if upper else range(n):
        known = range(k + 1, n) if upper else range(k)
        x[..., k, :] = b[..., k, :] - sum(a[..., k, j, None] * x[..., j, :] for j in known)
        if not unitriangular:
            x[..., k, :] /= a[..., k, k, None]
    return x


inv_ex = Op(
    "linalg_inv_ex",
    ("A",),
    {"check_errors": False},
    outputs=("inverse", "info"),
    public=2,
    saves=("inverse",),
    doc="The inverse of A [..., n, n], and for each the column that has no pivot, or 0; errors as `linalg_solve_ex`.",
)
inv_ex.on_status(
    failed(
        "linalg.inv",
        "The diagonal element {info} is zero, the inversion could not be completed because the input matrix is singular.",
    )
)


@inv_ex.plan
def _(b: PlanBuilder, A: Operand, check_errors: bool) -> None:
    batch, _, _ = check_matrices("linalg.inv", A, square=True)
    prove_flags("linalg.inv", check_errors=check_errors)
    out, info = b.output(A.spec.dtype, tuple(A.spec.shape)), b.output(dtypes.int32, batch)
    plan_solve(b, copy_of(b, A), out, info, check_errors, inverse=True)


@inv_ex.backward
def _(ctx, grad, _):
    (inverse,) = ctx.saved
    back = adjoint(inverse)
    return neg(product(back, grad, back))


@inv_ex.jvp
def _(ctx, tangent):
    return neg(product(ctx.outputs[0], tangent, ctx.outputs[0])), None


inv_ex.batch(rules.leading)


@inv_ex.oracle
def _(a, check_errors):
    return np.linalg.inv(a), np.zeros(a.shape[:-2], np.int32)


# ---- pseudoinverses ---------------------------------------------------------------------------------------------

pinv = Op(
    "linalg_pinv",
    ("A", "atol", "rtol"),
    {"hermitian": False},
    saves=("A", "out"),
    graph_inputs=(0,),
    doc="""The pseudoinverse of A [..., m, n], of the singular values above max(atol, rtol * the largest).

    ``rtol`` and ``atol`` (or None for 0) have the leading dimensions of A. The derivative is Golub and Pereyra's (1973), of
    matrices of constant rank.
    """,
)


@pinv.on_status
def _(status, params):
    return LinAlgError(
        "linalg.pinv: The algorithm failed to converge because the input matrix contained non-finite values."
    )


@pinv.plan
def _(b: PlanBuilder, A: Operand, atol: Operand | None, rtol: Operand, hermitian: bool) -> None:
    batch, m, n = check_matrices("linalg.pinv", A, square=hermitian)
    prove_flags("linalg.pinv", hermitian=hermitian)
    tolerances = [rtol] if atol is None else [atol, rtol]
    for each in tolerances:
        if tuple(each.spec.shape) != batch or each.spec.dtype.is_bool:
            raise ShapeError(f"linalg.pinv: a tolerance is {each.spec}, expected numbers of shape {list(batch)}")
    out = b.output(A.spec.dtype, (*batch, n, m))
    b.host_call(lapack.pinv, [A, *tolerances], [out], hermitian=hermitian, with_atol=atol is not None)


def _pinv_gradient(a: Any, p: Any, grad: Any) -> Any:
    """The gradient for A of its pseudoinverse P."""
    pt, gt = adjoint(p), adjoint(grad)
    first = product(pt, grad, pt)
    left, right = product(gt, p, pt), product(pt, p, gt)
    return add(
        sub(sub(left, product(a, p, left)), first),
        sub(right, product(right, p, a)),
    )


def _pinv_tangent(a: Any, p: Any, tangent: Any) -> Any:
    """The tangent of the pseudoinverse P of A."""
    pt, at = adjoint(p), adjoint(tangent)
    left, right = product(p, pt, at), product(at, pt, p)
    return add(
        sub(sub(left, product(left, a, p)), product(p, tangent, p)),
        sub(right, product(p, a, right)),
    )


@pinv.backward
def _(ctx, grad):
    a, out = ctx.saved
    return _pinv_gradient(a, out, grad), None, None


@pinv.jvp
def _(ctx, tangent, *_):
    return None if tangent is None else _pinv_tangent(ctx.inputs[0], ctx.outputs[0], tangent)


pinv.batch(rules.leading)


@pinv.oracle
def _(a, atol, rtol, hermitian):
    return np.linalg.pinv(a, rtol, hermitian=hermitian)


lstsq = Op(
    "linalg_lstsq",
    ("A", "B"),
    {"rcond": 0.0},
    outputs=("solution", "rank"),
    public=2,
    saves=("A", "B"),
    doc="""X of the smallest norm for which A X - B is smallest, for A [..., m, n] and B [..., m, k], and ranks.

    Singular values up to ``rcond`` times the largest count for 0. The derivative is that of pinv(A) B.
    """,
)
lstsq.on_status(
    failed(
        "torch.linalg.lstsq", "The algorithm failed to converge because the input matrix contained non-finite values."
    )
)


@lstsq.plan
def _(b: PlanBuilder, A: Operand, B: Operand, rcond: float) -> None:
    batch, m, n = check_matrices("torch.linalg.lstsq", A)
    check_matrices("torch.linalg.lstsq", B, letter="B")
    check_alike("torch.linalg.lstsq", A, B)
    if B.spec.ndim != A.spec.ndim or B.spec.shape[-2] != m:
        raise ShapeError(
            f"torch.linalg.lstsq: input.size(-2) should match other.size(-2), got {list(A.spec.shape)} and "
            f"{list(B.spec.shape)}"
        )
    if rcond.__class__ is not float:
        raise TypeError(f"torch.linalg.lstsq: rcond is {rcond!r}, expected a float")
    out, rank = b.output(A.spec.dtype, (*batch, n, B.spec.shape[-1])), b.output(dtypes.int64, batch)
    b.host_call(lapack.lstsq, [A, B], [out, rank], rcond=rcond)


def _pseudoinverse(a: Any, rcond: float) -> Any:
    return pinv(a, None, filled(a, tuple(a._spec.shape[:-2]), rcond))


@lstsq.backward
def _(ctx, grad, _):
    a, b = ctx.saved
    p = _pseudoinverse(a, ctx.params.rcond)
    to_a = _pinv_gradient(a, p, product(grad, adjoint(b))) if ctx.needs[0] else None
    return to_a, product(adjoint(p), grad) if ctx.needs[1] else None


@lstsq.jvp
def _(ctx, to_a, to_b):
    a, b = ctx.inputs
    p = _pseudoinverse(a, ctx.params.rcond)
    tangent = None if to_a is None else product(_pinv_tangent(a, p, to_a), b)
    return rules.added(tangent, None if to_b is None else product(p, to_b)), None


lstsq.batch(rules.leading)


@lstsq.oracle
def _(a, b, rcond):
    s = np.linalg.svd(a, compute_uv=False)
    return np.linalg.pinv(a, rcond) @ b, (s > rcond * s[..., :1]).sum(-1)


# ---- exponentials -----------------------------------------------------------------------------------------------

matrix_exp = Op(
    "linalg_matrix_exp",
    ("A",),
    saves=("A",),
    doc="""The exponential of A [..., n, n], by Pade's approximant with scaling and squaring (Higham, 2005).

    The derivative is a block of the exponential of [[A, E], [0, A]] (Mathias, 1996).
    """,
)


@matrix_exp.plan
def _(b: PlanBuilder, A: Operand) -> None:
    check_matrices("linalg.matrix_exp", A, square=True)
    b.host_call(lapack.matrix_exp, [A], [b.output(A.spec.dtype, tuple(A.spec.shape))])


def _along(a: Any, direction: Any) -> Any:
    """The derivative of the exponential at A in a direction, of size 1 within: or its size would leave A no digits."""
    n, axis = a._spec.shape[-1], a._spec.ndim - 1
    if not n:
        return direction
    size = maximum(amax(absolute(direction), dims=(axis - 1, axis), keepdim=True), 1.0)
    below = cat(filled(a, tuple(a._spec.shape), 0.0), a, dim=axis)
    whole = matrix_exp(cat(cat(a, div(direction, size), dim=axis), below, dim=axis - 1))
    return mul(narrow(narrow(whole, axis - 1, 0, n), axis, n, n), size)


@matrix_exp.backward
def _(ctx, grad):
    return _along(adjoint(ctx.saved[0]), grad)


@matrix_exp.jvp
def _(ctx, tangent):
    return _along(ctx.inputs[0], tangent)


matrix_exp.batch(rules.leading)


@matrix_exp.oracle
def _(a):
    """Taylor's series after halving often, and as many squares."""
    small, total = a / 2.0**10, np.zeros_like(a)
    term = np.broadcast_to(np.eye(a.shape[-1]), a.shape)
    for k in range(1, 20):
        total, term = total + term, term @ small / k
    for _ in range(10):
        total = total @ total
    return total
