"""The standard's linear algebra, over matrices in the last two axes."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any, NamedTuple

from numgrad.array_api.functions import linalg, ng
from numgrad.array_api.promotion import operands
from numgrad.dtypes import dtype as Dtype
from numgrad.tensor.arguments import check_tensor
from numgrad.tensor.tensor import Tensor

__all__ = [
    "cholesky", "cross", "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh", "inv", "matmul", "matrix_norm",
    "matrix_power", "matrix_rank", "matrix_transpose", "outer", "pinv", "qr", "slogdet", "solve", "svd", "svdvals",
    "tensordot", "trace", "vecdot", "vector_norm",
]  # fmt: skip


class EighResult(NamedTuple):
    """The result of `eigh`."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class QRResult(NamedTuple):
    """The result of `qr`."""

    Q: Tensor
    R: Tensor


class SlogdetResult(NamedTuple):
    """The result of `slogdet`."""

    sign: Tensor
    logabsdet: Tensor


class SVDResult(NamedTuple):
    """The result of `svd`."""

    U: Tensor
    S: Tensor
    Vh: Tensor


def matmul(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The product of matrices, or of a vector and matrices.

    >>> import numgrad as ng
    >>> matmul(ng.tensor([[1.0, 2.0]]), ng.tensor([3.0, 4.0]))
    tensor([11.])
    """
    return ng.matmul(*operands("matmul", x1, x2))  # type: ignore[no-any-return]


def matrix_transpose(x: Tensor, /) -> Tensor:
    """A view with the last two axes exchanged.

    >>> import numgrad as ng
    >>> matrix_transpose(ng.ones(4, 2, 3)).shape
    numgrad.Size([4, 3, 2])
    """
    return check_tensor("matrix_transpose", "x", x).mT  # type: ignore[no-any-return]


def tensordot(x1: Tensor, x2: Tensor, /, *, axes: int | tuple[Sequence[int], Sequence[int]] = 2) -> Tensor:
    """The sums of products over so many of the last and first axes, or over two lists of axes.

    >>> import numgrad as ng
    >>> tensordot(ng.ones(2, 3), ng.ones(3, 4), axes=1).shape
    numgrad.Size([2, 4])
    """
    dims = axes if isinstance(axes, int) else tuple(tuple(each) for each in axes)
    return ng.tensordot(*operands("tensordot", x1, x2), dims=dims)  # type: ignore[no-any-return]


def vecdot(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    """The sums of products along an axis, counted from the end; the other axes broadcast.

    Raises
    ------
    ValueError
        The arrays differ in the extent of the axis.

    >>> import numgrad as ng
    >>> vecdot(ng.tensor([1.0, 2.0]), ng.tensor([3.0, 4.0]))
    tensor(11.)
    """
    x1, x2 = operands("vecdot", x1, x2)
    if x1.shape[axis] != x2.shape[axis]:
        raise ValueError(f"vecdot: axis {axis} has extents {x1.shape[axis]} and {x2.shape[axis]}, expected one")
    first, second = ng.movedim(x1, axis, -1), ng.movedim(x2, axis, -1)
    return ng.sum(first * second, -1, dtype=first.dtype)  # type: ignore[no-any-return]


def cholesky(x: Tensor, /, *, upper: builtins.bool = False) -> Tensor:
    """The triangular factor L of symmetric positive definite matrices L Lᵀ, or the upper one.

    >>> import numgrad as ng
    >>> cholesky(ng.tensor([[4.0]]))
    tensor([[2.]])
    """
    return linalg.cholesky(x, upper=upper)  # type: ignore[no-any-return]


def cross(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    """The cross product of vectors of three elements along an axis; the other axes broadcast.

    >>> import numgrad as ng
    >>> cross(ng.tensor([1.0, 0.0, 0.0]), ng.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    x1, x2 = operands("cross", x1, x2)
    if x1.shape[axis] != 3 or x2.shape[axis] != 3:
        raise ValueError(f"cross: axis {axis} has extents {x1.shape[axis]} and {x2.shape[axis]}, expected 3")
    x1, x2 = ng.broadcast_tensors(x1, x2)
    return linalg.cross(x1, x2, dim=axis)  # type: ignore[no-any-return]


def det(x: Tensor, /) -> Tensor:
    """The determinants of square matrices.

    >>> import numgrad as ng
    >>> det(2 * ng.eye(3))
    tensor(8.)
    """
    return linalg.det(x)  # type: ignore[no-any-return]


def diagonal(x: Tensor, /, *, offset: int = 0) -> Tensor:
    """A view of the diagonals, or of those ``offset`` above.

    >>> import numgrad as ng
    >>> diagonal(ng.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    return ng.diagonal(x, offset, -2, -1)  # type: ignore[no-any-return]


def eig(x: Tensor, /) -> Any:
    """Refused: the eigenvalues of a matrix that is not symmetric are complex numbers.

    Raises
    ------
    NotImplementedError
        Always; `eigh` takes symmetric matrices.
    """
    return linalg.eig(x)


def eigvals(x: Tensor, /) -> Tensor:
    """Refused: the eigenvalues of a matrix that is not symmetric are complex numbers.

    Raises
    ------
    NotImplementedError
        Always; `eigvalsh` takes symmetric matrices.
    """
    return linalg.eigvals(x)  # type: ignore[no-any-return]


def eigh(x: Tensor, /) -> EighResult:
    """The eigenvalues of symmetric matrices, upwards, and eigenvectors in columns.

    >>> import numgrad as ng
    >>> eigh(ng.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    tensor([1., 2.])
    """
    return EighResult(*linalg.eigh(x))


def eigvalsh(x: Tensor, /) -> Tensor:
    """The eigenvalues of symmetric matrices, upwards.

    >>> import numgrad as ng
    >>> eigvalsh(ng.tensor([[2.0, 0.0], [0.0, 1.0]]))
    tensor([1., 2.])
    """
    return linalg.eigvalsh(x)  # type: ignore[no-any-return]


def inv(x: Tensor, /) -> Tensor:
    """The inverses of square matrices.

    >>> import numgrad as ng
    >>> inv(ng.tensor([[4.0]]))
    tensor([[0.2500]])
    """
    return linalg.inv(x)  # type: ignore[no-any-return]


def matrix_norm(x: Tensor, /, *, keepdims: builtins.bool = False, ord: Any = "fro") -> Tensor:
    """A norm of each matrix: 'fro', 'nuc', 1, -1, 2, -2, inf or -inf.

    >>> import numgrad as ng
    >>> matrix_norm(ng.tensor([[3.0, 4.0]]))
    tensor(5.)
    """
    return linalg.matrix_norm(x, "fro" if ord is None else ord, keepdim=keepdims)  # type: ignore[no-any-return]


def matrix_power(x: Tensor, n: int, /) -> Tensor:
    """Square matrices to an integer power.

    >>> import numgrad as ng
    >>> matrix_power(ng.tensor([[2.0]]), 3)
    tensor([[8.]])
    """
    return linalg.matrix_power(x, n)  # type: ignore[no-any-return]


def matrix_rank(x: Tensor, /, *, rtol: Any = None) -> Tensor:
    """The number of singular values above ``rtol`` of the largest; by default above the larger extent times eps.

    >>> import numgrad as ng
    >>> matrix_rank(ng.ones(2, 2))
    tensor(1)
    """
    return linalg.matrix_rank(x, rtol=rtol)  # type: ignore[no-any-return]


def outer(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The products of each two elements of two vectors.

    >>> import numgrad as ng
    >>> outer(ng.tensor([1, 2]), ng.tensor([3, 4]))
    tensor([[3, 4],
            [6, 8]])
    """
    return ng.outer(*operands("outer", x1, x2))  # type: ignore[no-any-return]


def pinv(x: Tensor, /, *, rtol: Any = None) -> Tensor:
    """The pseudo-inverses, without singular values below ``rtol`` of the largest.

    >>> import numgrad as ng
    >>> pinv(ng.tensor([[2.0], [0.0]]))
    tensor([[0.5000, 0.0000]])
    """
    return linalg.pinv(x, rtol=rtol)  # type: ignore[no-any-return]


def qr(x: Tensor, /, *, mode: str = "reduced") -> QRResult:
    """The factors Q, with orthogonal columns, and R, upper triangular; 'reduced' or 'complete'.

    >>> import numgrad as ng
    >>> qr(ng.ones(3, 2)).R.shape
    numgrad.Size([2, 2])
    """
    return QRResult(*linalg.qr(x, mode))


def slogdet(x: Tensor, /) -> SlogdetResult:
    """The sign of the determinants, and the logarithm of their magnitudes.

    >>> import numgrad as ng
    >>> slogdet(ng.eye(2)).logabsdet
    tensor(0.)
    """
    return SlogdetResult(*linalg.slogdet(x))


def solve(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The x of ``x1 x = x2`` for square matrices ``x1``; ``x2`` is a vector if it has one axis, else matrices that broadcast.

    >>> import numgrad as ng
    >>> solve(ng.tensor([[2.0]]), ng.tensor([4.0]))
    tensor([2.])
    """
    x1, x2 = operands("solve", x1, x2)
    if x2.ndim == 1:
        return linalg.solve(x1, ng.unsqueeze(x2, -1)).squeeze(-1)  # type: ignore[no-any-return]
    if x1.ndim - 1 == x2.ndim:  # torch takes such a batch for one of vectors, if the extents allow it
        x2 = ng.unsqueeze(x2, 0)
    return linalg.solve(x1, x2)  # type: ignore[no-any-return]


def svd(x: Tensor, /, *, full_matrices: builtins.bool = True) -> SVDResult:
    """The factors U, S, Vh of ``x = U @ diag(S) @ Vh``, with singular values downwards.

    >>> import numgrad as ng
    >>> svd(ng.tensor([[3.0, 0.0], [0.0, 4.0]])).S
    tensor([4., 3.])
    """
    return SVDResult(*linalg.svd(x, full_matrices))


def svdvals(x: Tensor, /) -> Tensor:
    """The singular values, downwards.

    >>> import numgrad as ng
    >>> svdvals(ng.tensor([[3.0, 0.0], [0.0, 4.0]]))
    tensor([4., 3.])
    """
    return linalg.svdvals(x)  # type: ignore[no-any-return]


def trace(x: Tensor, /, *, offset: int = 0, dtype: Dtype | None = None) -> Tensor:
    """The sums of the diagonals, or of those ``offset`` above; of integers in int64, unless a dtype is given.

    >>> import numgrad as ng
    >>> trace(ng.tensor([[1, 2], [3, 4]]))
    tensor(5)
    """
    return ng.sum(diagonal(x, offset=offset), -1, dtype=dtype)  # type: ignore[no-any-return]


def vector_norm(x: Tensor, /, *, axis: Any = None, keepdims: builtins.bool = False, ord: float = 2) -> Tensor:
    """The norm over these axes, by default all: the root ``ord`` of the sum of powers, the largest, smallest, or the count.

    >>> import numgrad as ng
    >>> vector_norm(ng.tensor([3.0, 4.0]))
    tensor(5.)
    """
    if axis == ():
        return linalg.vector_norm(ng.unsqueeze(x, -1), ord, -1)  # type: ignore[no-any-return]
    return linalg.vector_norm(x, ord, axis, keepdims)  # type: ignore[no-any-return]
