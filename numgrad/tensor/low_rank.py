"""Singular vectors of the largest singular values alone, from products with random matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from numgrad.tensor import layers, random, reductions
from numgrad.tensor.arguments import as_int, check_tensor
from numgrad.tensor.decompositions import qr
from numgrad.tensor.matrices import check_flag, check_two_dims, transposed
from numgrad.tensor.shaping import expand
from numgrad.tensor.spectra import svd
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


def _basis(a: Tensor, q: int, rounds: int) -> Tensor:
    """Q [..., m, q], orthonormal columns that nearly span those of a [..., m, n] (Halko, Martinsson, Tropp 2009)."""
    drawn = random.randn(a._spec.shape[-1], q, dtype=a._spec.dtype)
    columns = qr(layers.matmul(a, drawn)).Q
    for _ in range(rounds):
        rows = qr(layers.matmul(transposed(a), columns)).Q
        columns = qr(layers.matmul(a, rows)).Q
    return columns  # type: ignore[no-any-return]


@public("function")
def svd_lowrank(
    A: Tensor, q: int | None = 6, niter: int | None = 2, M: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """``(U, S, V)`` of A - M = U diag(S) V^T as far as its rank is q: for A [..., m, n] [..., m, q], [..., q] and [..., n, q].

    Each of ``niter`` rounds makes it more exact. It draws from the default generator.

    Raises
    ------
    RuntimeError
        A has less than two dimensions or is not of floating point, or M does not broadcast to A.

    >>> import numgrad as ng
    >>> U, S, V = ng.svd_lowrank(ng.ones(4, 3), q=1)
    >>> ng.allclose((U * S) @ V.T, ng.ones(4, 3))
    True
    """
    check_two_dims("svd_lowrank", A)
    q = 6 if q is None else as_int("svd_lowrank", "q", q)
    rounds = 2 if niter is None else as_int("svd_lowrank", "niter", niter)
    if M is not None:
        A = A - expand(check_tensor("svd_lowrank", "M", M), tuple(A._spec.shape))
    wide = A._spec.shape[-2] < A._spec.shape[-1]
    tall = transposed(A) if wide else A
    basis = _basis(tall, q, rounds)
    u, s, vh = svd(layers.matmul(transposed(basis), tall), full_matrices=False)
    u, v = layers.matmul(basis, u), transposed(vh)
    return (v, s, u) if wide else (u, s, v)


@public("function")
def pca_lowrank(A: Tensor, q: int | None = None, center: bool = True, niter: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """The q principal components of rows A [..., m, n]: `svd_lowrank` of A less the means of its columns, unless not ``center``.

    The columns of the third part are the directions; q is min(6, m, n) by default.

    Raises
    ------
    ValueError
        q is negative or more than min(m, n), or ``niter`` is negative.
    RuntimeError
        A has less than two dimensions or is not of floating point.

    >>> import numgrad as ng
    >>> _, S, _ = ng.pca_lowrank(ng.tensor([[1.0, 2.0], [3.0, 2.0], [5.0, 2.0]]), q=1)
    >>> S
    tensor([2.8284])
    """
    m, n = check_two_dims("pca_lowrank", A)._spec.shape[-2:]
    q = min(6, m, n) if q is None else as_int("pca_lowrank", "q", q)
    niter = as_int("pca_lowrank", "niter", niter)
    if not 0 <= q <= min(m, n):
        raise ValueError(f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}")
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    if check_flag("pca_lowrank", "center", center):
        A = A - reductions.mean(A, -2, keepdim=True)
    return svd_lowrank(A, q, niter)
