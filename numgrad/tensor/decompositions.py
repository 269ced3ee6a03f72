"""Factorizations into triangles: Cholesky, QR, LU, and solutions by their factors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numgrad import ops
from numgrad.errors import ShapeError
from numgrad.ops import matrices as _m
from numgrad.tensor import creation, layers, shaping
from numgrad.tensor.arguments import check_tensor
from numgrad.tensor.matrices import (
    broadcast,
    check_flag,
    check_floating,
    check_square,
    check_two_dims,
    named,
    transposed,
)
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor

_f, _s = ops.factors, ops.systems

# ---- Cholesky ---------------------------------------------------------------------------------------------------


@public("linalg", known=True)
def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """Lower triangular L of A = L L^T, or with ``upper`` upper triangular U of A = U^T U, for positive definite A [..., n, n].

    A is taken for symmetric: one triangle is read, and the gradient is symmetric.

    Raises
    ------
    LinAlgError
        A matrix is not positive definite; `cholesky_ex` says so without an error.
    RuntimeError
        A has less than two dimensions, is not square or not of floating point.

    >>> import numgrad as ng
    >>> ng.linalg.cholesky(ng.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    check_square("linalg.cholesky", A)
    return _f.cholesky_ex(A, upper=check_flag("linalg.cholesky", "upper", upper), check_errors=True)[0]  # type: ignore[no-any-return]


@public("linalg", known=True)
def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> Any:
    """`cholesky` without its error: ``(L, info)``, where ``info`` [...] is 0, or the order of the leading minor that fails.

    L of a matrix that is not positive definite means nothing.

    Raises
    ------
    LinAlgError
        A matrix is not positive definite, with ``check_errors``.
    RuntimeError
        As `cholesky`.

    >>> import numgrad as ng
    >>> ng.linalg.cholesky_ex(ng.tensor([[1.0, 0.0], [0.0, -1.0]])).info
    tensor(2, dtype=numgrad.int32)
    """
    name = "linalg.cholesky_ex"
    check_square("linalg.cholesky", A)
    flags = {"upper": check_flag(name, "upper", upper), "check_errors": check_flag(name, "check_errors", check_errors)}
    return named("linalg_cholesky_ex", ("L", "info"), _f.cholesky_ex(A, **flags))


@public("function", "method", name="cholesky", known=True)
def _older_cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """`linalg.cholesky` under its older name.

    Raises
    ------
    RuntimeError
        As `linalg.cholesky`.

    >>> import numgrad as ng
    >>> ng.cholesky(ng.tensor([[4.0]]))
    tensor([[2.]])
    """
    return cholesky(input, upper=upper)


@public("function", "method", known=True)
def cholesky_solve(input: Tensor, input2: Tensor, upper: bool = False) -> Tensor:
    """X of A X = input [..., n, k], for input2 [..., n, n], the Cholesky factor of A, with ``upper`` the upper one. Both broadcast.

    Raises
    ------
    RuntimeError
        The shapes or dtypes do not fit, or are not of floating point.

    >>> import numgrad as ng
    >>> ng.cholesky_solve(ng.tensor([[8.0]]), ng.tensor([[2.0]]))
    tensor([[2.]])
    """
    name = "cholesky_solve"
    check_two_dims(name, input, "input")
    check_square(name, input2, "input2")
    upper = check_flag(name, "upper", upper)
    n, (rows, columns) = input2._spec.shape[-1], input._spec.shape[-2:]
    if rows != n:
        raise ShapeError(
            f"Incompatible matrix sizes for cholesky_solve: each A matrix is {n} by {n} but each b matrix is {rows} by {columns}"
        )
    factor, right = broadcast(input2, input)
    low = transposed(factor) if upper else factor
    return _s.solve_triangular(transposed(low), _s.solve_triangular(low, right), upper=True)  # type: ignore[no-any-return]


@public("function", "method", known=True)
def cholesky_inverse(input: Tensor, upper: bool = False) -> Tensor:
    """The inverse of A [..., n, n], for input, its Cholesky factor, with ``upper`` the upper one.

    Raises
    ------
    RuntimeError
        It has less than two dimensions, is not square or not of floating point.

    >>> import numgrad as ng
    >>> ng.cholesky_inverse(ng.tensor([[2.0]]))
    tensor([[0.2500]])
    """
    check_floating("cholesky_inverse", check_square("cholesky_inverse", input, "input"))
    return cholesky_solve(_m.identity(input, input._spec.shape[-1]), input, upper)


# ---- QR ---------------------------------------------------------------------------------------------------------


@public("linalg", known=True)
def qr(A: Tensor, mode: str = "reduced") -> Any:
    """``(Q, R)`` of A = Q R, for A [..., m, n] and k = min(m, n): Q has orthonormal columns, R is upper triangular.

    'reduced': Q [..., m, k], R [..., k, n]; 'complete': Q [..., m, m], R [..., m, n]; 'r': an empty Q and R as reduced. R may
    have a negative diagonal, as LAPACK leaves it. There is a derivative where the first k columns are independent, for
    'reduced', and for 'complete' if m <= n (Walter and Lehmann, 2010).

    Raises
    ------
    RuntimeError
        A has less than two dimensions or is not of floating point, or there is no such mode.

    >>> import numgrad as ng
    >>> Q, R = ng.linalg.qr(ng.tensor([[3.0, 1.0], [4.0, 2.0]]))
    >>> (Q @ R).round(decimals=4)
    tensor([[3., 1.],
            [4., 2.]])
    """
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode {mode!r} but expected one of 'reduced' (default), 'r', or 'complete'"
        )
    return named("linalg_qr", ("Q", "R"), _f.qr(check_two_dims("linalg.qr", A), mode=mode))


@public("function", "method", name="qr")
def _older_qr(input: Tensor, some: bool = True) -> Any:
    """`linalg.qr`: reduced, or complete with ``some=False``.

    Raises
    ------
    RuntimeError
        As `linalg.qr`.

    >>> import numgrad as ng
    >>> ng.qr(ng.ones(3, 2)).R.shape
    numgrad.Size([2, 2])
    """
    return qr(input, "reduced" if check_flag("qr", "some", some) else "complete")


@public("linalg", known=True)
def householder_product(A: Tensor, tau: Tensor) -> Tensor:
    """The first n columns of the product of the reflections 1 - tau[i] v[i] v[i]^T, for A [..., m, n] and tau [..., k].

    v[i] is the i-th column of A below its diagonal, with a 1 on it and zeros above. m >= n >= k.

    Raises
    ------
    RuntimeError
        The shapes do not fit, or A is not of floating point.

    >>> import numgrad as ng
    >>> ng.linalg.householder_product(ng.zeros(2, 2), ng.tensor([2.0]))
    tensor([[-1.,  0.],
            [ 0.,  1.]])
    """
    name = "torch.linalg.householder_product"
    check_floating(name, check_two_dims(name, A, "input"))
    *batch, m, n = A._spec.shape
    if m < n:
        raise ShapeError(f"{name}: input.shape[-2] must be greater than or equal to input.shape[-1], got {[m, n]}")
    shape = tuple(check_tensor(name, "tau", tau)._spec.shape)
    if shape[:-1] != tuple(batch) or not shape or shape[-1] > n:
        raise ShapeError(f"{name}: tau has shape {list(shape)}, expected {batch} and at most {n}, the columns of input")
    k = shape[-1]
    ones = creation.full((*batch, n), 1.0, dtype=A._spec.dtype)
    vectors = shaping.narrow(_m.with_diagonal(_m.lower(A, -1), ones), -1, 0, k)
    # The product is 1 - V T V^T with (1 + D S) T = D, for D = diag(tau) and the part S of V^T V above the diagonal (Schreiber
    # and Van Loan 1989).
    scaled = shaping.unsqueeze(tau, -1) * transposed(vectors)
    inner = layers.matmul(scaled, vectors)
    left = _s.solve_triangular(inner, shaping.narrow(scaled, -1, 0, n), upper=True, unitriangular=True)
    unit = _m.with_diagonal(creation.zeros(*batch, m, n, dtype=A._spec.dtype), ones)
    return unit - layers.matmul(vectors, left)


# ---- LU ---------------------------------------------------------------------------------------------------------


@public("linalg", known=True)
def lu_factor(A: Tensor, *, pivot: bool = True) -> Any:
    """``(LU, pivots)`` of A [..., m, n], for `lu_solve`: L below the diagonal of LU, whose own is ones, and U.

    ``pivots`` [..., min(m, n)] has for each row the row, from 1, that it was exchanged with; none is with ``pivot=False``.

    Raises
    ------
    LinAlgError
        U has a zero on its diagonal; `lu_factor_ex` says so without an error.
    RuntimeError
        A has less than two dimensions or is not of floating point.

    >>> import numgrad as ng
    >>> ng.linalg.lu_factor(ng.tensor([[1.0, 2.0], [2.0, 8.0]]))
    numgrad.return_types.linalg_lu_factor(
    LU=tensor([[ 2.0000,  8.0000],
            [ 0.5000, -2.0000]]),
    pivots=tensor([2, 2], dtype=numgrad.int32))
    """
    check_two_dims("linalg.lu_factor", A)
    pivot = check_flag("linalg.lu_factor", "pivot", pivot)
    return named("linalg_lu_factor", ("LU", "pivots"), _f.lu_factor_ex(A, pivot=pivot, check_errors=True)[:2])


@public("linalg", known=True)
def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> Any:
    """`lu_factor` without its error: ``(LU, pivots, info)``, where ``info`` [...] is 0, or the first column without a pivot.

    Raises
    ------
    LinAlgError
        There is one, with ``check_errors``.
    RuntimeError
        As `lu_factor`.

    >>> import numgrad as ng
    >>> ng.linalg.lu_factor_ex(ng.zeros(2, 2)).info
    tensor(1, dtype=numgrad.int32)
    """
    check_two_dims("linalg.lu_factor", A)
    name = "linalg.lu_factor_ex"
    flags = {"pivot": check_flag(name, "pivot", pivot), "check_errors": check_flag(name, "check_errors", check_errors)}
    return named("linalg_lu_factor_ex", ("LU", "pivots", "info"), _f.lu_factor_ex(A, **flags))


def permutation_of(pivots: Tensor, like: Tensor) -> Tensor:
    """The matrices P of A = P L U."""
    return _f.permutation(pivots, rows=like._spec.shape[-2], dtype=like._spec.dtype)  # type: ignore[no-any-return]


@public("linalg", known=True)
def lu(A: Tensor, *, pivot: bool = True) -> Any:
    """``(P, L, U)`` of A = P L U, for A [..., m, n] and k = min(m, n): a permutation, L [..., m, k], U [..., k, n].

    With ``pivot=False`` no rows are exchanged and P is empty.

    Raises
    ------
    RuntimeError
        A has less than two dimensions or is not of floating point.

    >>> import numgrad as ng
    >>> P, L, U = ng.linalg.lu(ng.tensor([[1.0, 2.0], [2.0, 8.0]]))
    >>> U
    tensor([[ 2.,  8.],
            [ 0., -2.]])
    """
    check_two_dims("linalg.lu", A)
    pivot = check_flag("linalg.lu", "pivot", pivot)
    both, pivots, _ = _f.lu_factor_ex(A, pivot=pivot, check_errors=False)
    *batch, m, n = A._spec.shape
    k = min(m, n)
    ones = creation.full((*batch, k), 1.0, dtype=A._spec.dtype)
    low = _m.with_diagonal(_m.lower(shaping.narrow(both, -1, 0, k), -1), ones)
    order = permutation_of(pivots, A) if pivot else creation.empty(0, dtype=A._spec.dtype)
    return named("linalg_lu", ("P", "L", "U"), (order, low, _m.upper(shaping.narrow(both, -2, 0, k))))


@public("linalg", known=True)
def lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False) -> Tensor:
    """X of A X = B, for the `lu_factor` of A [..., n, n] and B [..., n, k]; ``left=False``: X A = B; ``adjoint``: with A^T.

    Raises
    ------
    RuntimeError
        The shapes or dtypes do not fit, or are not of floating point.

    >>> import numgrad as ng
    >>> factors = ng.linalg.lu_factor(ng.tensor([[2.0, 0.0], [1.0, 4.0]]))
    >>> ng.linalg.lu_solve(*factors, ng.tensor([[2.0], [9.0]]))
    tensor([[1.],
            [2.]])
    """
    name = "linalg.lu_solve"
    check_square(name, LU, "LU")
    check_two_dims(name, B, "B")
    check_tensor(name, "pivots", pivots)
    left, adjoint = check_flag(name, "left", left), check_flag(name, "adjoint", adjoint)
    if not left:
        return transposed(lu_solve(LU, pivots, transposed(B), adjoint=not adjoint))
    n, rows = LU._spec.shape[-1], B._spec.shape[-2]
    if rows != n or tuple(pivots._spec.shape) != tuple(LU._spec.shape[:-1]):
        raise ShapeError(
            f"{name}: got LU {list(LU._spec.shape)}, pivots {list(pivots._spec.shape)} and B {list(B._spec.shape)}, expected "
            "[..., n, n], [..., n] and [..., n, k]"
        )
    order, _ = broadcast(permutation_of(pivots, LU), B)
    both, right = broadcast(LU, B)
    if adjoint:
        back = transposed(both)
        inner = _s.solve_triangular(back, right, upper=False)
        return layers.matmul(order, _s.solve_triangular(back, inner, upper=True, unitriangular=True))
    inner = _s.solve_triangular(both, layers.matmul(transposed(order), right), unitriangular=True)
    return _s.solve_triangular(both, inner, upper=True)  # type: ignore[no-any-return]
