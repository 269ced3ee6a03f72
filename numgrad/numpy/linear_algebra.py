"""``numgrad.numpy.linalg``: NumPy's linear algebra."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numgrad.numpy.arrays import as_floats, axis_of, dtype_of, linalg, ng, operands, tensor, values_of
from numgrad.numpy.table import implements
from numgrad.tensor.tensor import Tensor


def _matrices(name: str, a: Any, square: bool = True) -> Tensor:
    x = as_floats(a)
    if x.ndim < 2:
        raise np.linalg.LinAlgError(f"{x.ndim}-dimensional array given. Array must be at least two-dimensional")
    if square and x.shape[-1] != x.shape[-2]:
        raise np.linalg.LinAlgError("Last 2 dimensions of the array must be square")
    return x


@implements("linalg.inv")
def inv(a: Any) -> Tensor:
    """The inverse of matrices.

    Raises
    ------
    numpy.linalg.LinAlgError
        A matrix is singular.
    """
    return linalg.inv(_matrices("inv", a))  # type: ignore[no-any-return]


@implements("linalg.solve")
def solve(a: Any, b: Any) -> Tensor:
    """The x with ``a @ x = b``; a ``b`` of one dimension is a vector, any other matrices.

    >>> import numgrad.numpy as np
    >>> np.linalg.solve([[2.0, 0.0], [0.0, 4.0]], [2.0, 2.0])
    array([1. , 0.5])
    """
    matrix, right = operands((a, b), to_float=True)
    matrix = _matrices("solve", matrix)
    if right.ndim == 1:
        return ng.squeeze(linalg.solve(matrix, ng.unsqueeze(right, -1)), -1)  # type: ignore[no-any-return]
    if right.shape[-2] != matrix.shape[-1]:
        raise ValueError(f"solve: shapes {tuple(matrix.shape)} and {tuple(right.shape)} do not fit")
    shape = np.broadcast_shapes(tuple(matrix.shape[:-2]), tuple(right.shape[:-2]))
    return linalg.solve(matrix, ng.broadcast_to(right, (*shape, *right.shape[-2:])))  # type: ignore[no-any-return]


@implements("linalg.det")
def det(a: Any) -> Tensor:
    """The determinant of matrices."""
    return linalg.det(_matrices("det", a))  # type: ignore[no-any-return]


@implements("linalg.slogdet")
def slogdet(a: Any) -> Any:
    """The sign of the determinant, and the logarithm of its magnitude."""
    kind = type(np.linalg.slogdet(np.eye(1)))
    return kind(*linalg.slogdet(_matrices("slogdet", a)))


@implements("linalg.cholesky")
def cholesky(a: Any, /, *, upper: bool = False) -> Tensor:
    """The triangular factor of symmetric positive definite matrices; only one triangle is read."""
    x = _matrices("cholesky", a)
    half = ng.triu(x, 1) if upper else ng.tril(x, -1)
    lower = linalg.cholesky(half + ng.swapaxes(half, -1, -2) + ng.diag_embed(ng.diagonal(x, 0, -2, -1)))
    return ng.swapaxes(lower, -1, -2) if upper else lower  # type: ignore[no-any-return]


@implements("linalg.qr")
def qr(a: Any, mode: str = "reduced") -> Any:
    """The orthogonal and the triangular factor."""
    x = _matrices("qr", a, square=False)
    if mode not in ("reduced", "complete", "r"):
        raise TypeError(f"numpy.linalg.qr: mode {mode!r} is refused; take 'reduced', 'complete' or 'r'")
    if mode == "r":
        return linalg.qr(x, "reduced")[1]
    return type(np.linalg.qr(np.eye(1)))(*linalg.qr(x, mode))


@implements("linalg.svd")
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """The singular values and vectors."""
    x = _matrices("svd", a, square=False)
    if not compute_uv:
        return linalg.svdvals(x)
    return type(np.linalg.svd(np.eye(1)))(*linalg.svd(x, full_matrices=bool(full_matrices)))


@implements("linalg.svdvals")
def svdvals(x: Any, /) -> Tensor:
    """The singular values."""
    return linalg.svdvals(_matrices("svdvals", x, square=False))  # type: ignore[no-any-return]


@implements("linalg.eigh")
def eigh(a: Any, UPLO: str = "L") -> Any:  # noqa: N803 (NumPy's name)
    """The eigenvalues and eigenvectors of symmetric matrices, of which one triangle is read."""
    x = _matrices("eigh", a)
    return type(np.linalg.eigh(np.eye(1)))(*linalg.eigh(x, UPLO.upper()))


@implements("linalg.eigvalsh")
def eigvalsh(a: Any, UPLO: str = "L") -> Tensor:  # noqa: N803 (NumPy's name)
    """The eigenvalues of symmetric matrices."""
    return linalg.eigvalsh(_matrices("eigvalsh", a), UPLO.upper())  # type: ignore[no-any-return]


@implements("linalg.pinv")
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Tensor:
    """The pseudoinverse."""
    x = _matrices("pinv", a, square=False)
    relative = rtol if rcond is None else rcond
    if relative is None:  # NumPy's: not that of torch
        relative = 1e-15 if rtol is None else max(x.shape[-2:]) * np.finfo(dtype_of(x)).eps
    return linalg.pinv(x, rtol=float(values_of(relative)), hermitian=bool(hermitian))  # type: ignore[no-any-return]


@implements("linalg.lstsq")
def lstsq(a: Any, b: Any, rcond: Any = None) -> tuple[Any, Any, Any, Any]:
    """The solution of least squares, the sums of squares that are left, the rank and the singular values.

    The solution and the sums have gradients where the matrix has full column rank.
    """
    matrix, right = operands((a, b), to_float=True)
    if matrix.ndim != 2 or right.ndim not in (1, 2):
        raise np.linalg.LinAlgError("lstsq: expected a matrix, and a vector or a matrix")
    columns = ng.unsqueeze(right, 1) if right.ndim == 1 else right
    limit = np.finfo(dtype_of(matrix)).eps * max(matrix.shape) if rcond is None else rcond
    rank = np.linalg.lstsq(values_of(matrix), values_of(columns), limit)[2]
    if rank == matrix.shape[1]:
        solution = linalg.lstsq(matrix, columns).solution
    else:
        solution = ng.matmul(linalg.pinv(matrix, rtol=float(limit)), columns)
    squares = ng.sum((columns - ng.matmul(matrix, solution)) ** 2, 0)
    if rank < matrix.shape[1] or matrix.shape[0] <= matrix.shape[1]:
        squares = squares[:0]
    return (ng.squeeze(solution, 1) if right.ndim == 1 else solution), squares, int(rank), linalg.svdvals(matrix)


@implements("linalg.matrix_power")
def matrix_power(a: Any, n: int) -> Tensor:
    """A product of matrices with themselves; inverses for negative powers."""
    x = tensor(a)
    if x.dtype.is_floating_point:
        return linalg.matrix_power(_matrices("matrix_power", x), n)  # type: ignore[no-any-return]
    return tensor(np.linalg.matrix_power(values_of(x), n))


@implements("linalg.matrix_rank")
def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Tensor:  # noqa: N803
    """The number of singular values that count."""
    options = {} if rtol is None else {"rtol": values_of(rtol)}
    return tensor(np.asarray(np.linalg.matrix_rank(values_of(tensor(A)), values_of(tol), hermitian, **options)))


@implements("linalg.norm")
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The norm of vectors or matrices; by default of all elements.

    >>> import numgrad.numpy as np
    >>> np.linalg.norm([3.0, 4.0])
    array(5.)
    """
    value = as_floats(x)
    if ord == 0 and axis is None and value.ndim == 2:
        raise ValueError("Invalid norm order for matrices.")
    if axis is None and ord is None:
        total = linalg.vector_norm(ng.reshape(value, (-1,)), 2)
        return ng.reshape(total, (1,) * value.ndim) if keepdims else total  # type: ignore[no-any-return]
    if axis is None:
        if value.ndim not in (1, 2):
            raise ValueError("Improper number of dimensions to norm.")
        axis = 0 if value.ndim == 1 else (0, 1)
    axes = axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(axis_of(n, value.ndim) for n in axes)
    if len(axes) == 1:
        return linalg.vector_norm(value, 2 if ord is None else ord, dim=axes, keepdim=bool(keepdims))  # type: ignore[no-any-return]
    if len(axes) != 2 or axes[0] == axes[1]:
        raise ValueError("Improper number of dimensions to norm.")
    if ord not in (None, "fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf):
        raise ValueError(f"Invalid norm order {ord!r} for matrices.")
    return linalg.matrix_norm(value, "fro" if ord is None else ord, dim=axes, keepdim=bool(keepdims))  # type: ignore[no-any-return]


@implements("linalg.vector_norm")
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Tensor:
    """The norm of vectors, by default of all elements."""
    value = as_floats(x)
    axes = (
        None if axis is None else tuple(axis_of(n, value.ndim) for n in (axis if isinstance(axis, tuple) else (axis,)))
    )
    return linalg.vector_norm(value, ord, dim=axes, keepdim=bool(keepdims))  # type: ignore[no-any-return]


@implements("linalg.matrix_norm")
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Tensor:
    """The norm of matrices in the last two axes."""
    return linalg.matrix_norm(_matrices("matrix_norm", x, square=False), ord, keepdim=bool(keepdims))  # type: ignore[no-any-return]


@implements("linalg.cond")
def cond(x: Any, p: Any = None) -> Tensor:
    """The condition number."""
    return linalg.cond(_matrices("cond", x, square=p not in (None, 2, -2)), p)  # type: ignore[no-any-return]


@implements("linalg.tensorsolve")
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Tensor:
    """The x with ``tensordot(a, x) = b``."""
    matrix, right = operands((a, b), to_float=True)
    return linalg.tensorsolve(matrix, right, axes)  # type: ignore[no-any-return]


@implements("linalg.tensorinv")
def tensorinv(a: Any, ind: int = 2) -> Tensor:
    """The inverse of `tensordot` with an array."""
    return linalg.tensorinv(as_floats(a), ind)  # type: ignore[no-any-return]
