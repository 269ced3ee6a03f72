"""Eigenvalues of symmetric matrices and singular values, with their vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numgrad import ops
from numgrad.tensor import creation
from numgrad.tensor.matrices import check_flag, check_square, check_two_dims, named, transposed
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor

_e = ops.spectra

# ---- eigenvalues ------------------------------------------------------------------------------------------------


def _triangle(UPLO: Any) -> str:
    if not isinstance(UPLO, str) or UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    return UPLO.upper()


@public("linalg")
def eigh(A: Tensor, UPLO: str = "L") -> Any:
    """``(eigenvalues, eigenvectors)`` of symmetric A [..., n, n]: the values ascending, the vectors as columns.

    The triangle ``UPLO`` of A is read. Any vector may have the other sign, and those of equal values be any basis: gradients
    of the vectors exist where the values are distinct, and mean something for functions in which the signs do not matter.
    Gradients of the values exist everywhere.

    Raises
    ------
    LinAlgError
        The algorithm does not converge, as for NaN.
    RuntimeError
        A has less than two dimensions, is not square or not of floating point, or ``UPLO`` is neither 'L' nor 'U'.

    >>> import numgrad as ng
    >>> ng.linalg.eigh(ng.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    tensor([1., 2.])
    """
    values_and_vectors = _e.eigh(check_square("linalg.eigh", A), UPLO=_triangle(UPLO))
    return named("linalg_eigh", ("eigenvalues", "eigenvectors"), values_and_vectors)


@public("linalg", known=True)
def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """The eigenvalues [..., n], ascending, of symmetric A [..., n, n], of which the triangle ``UPLO`` is read.

    Raises
    ------
    LinAlgError
        The algorithm does not converge, as for NaN.
    RuntimeError
        As `eigh`.

    >>> import numgrad as ng
    >>> ng.linalg.eigvalsh(ng.tensor([[0.0, 1.0], [1.0, 0.0]]))
    tensor([-1.,  1.])
    """
    return _e.eigvalsh(check_square("linalg.eigh", A), UPLO=_triangle(UPLO))  # type: ignore[no-any-return]


def _complex(name: str, instead: str) -> RuntimeError:
    return NotImplementedError(
        f"linalg.{name}: the eigenvalues of a matrix that is not symmetric are complex numbers, which numgrad does not have; of a "
        f"symmetric matrix linalg.{instead} gives them"
    )


@public("linalg")
def eig(A: Tensor) -> Any:
    """Refused: its results are complex numbers, which numgrad does not have. Of symmetric matrices `eigh` gives them.

    Raises
    ------
    NotImplementedError
        Always.

    >>> import numgrad as ng
    >>> ng.linalg.eig(ng.eye(2))
    Traceback (most recent call last):
    NotImplementedError: linalg.eig: the eigenvalues of a matrix that is not symmetric are complex numbers, which numgrad does not have; of a symmetric matrix linalg.eigh gives them
    """  # noqa: E501
    raise _complex("eig", "eigh")


@public("linalg")
def eigvals(A: Tensor) -> Tensor:
    """Refused: its results are complex numbers, which numgrad does not have. Of symmetric matrices `eigvalsh` gives them.

    Raises
    ------
    NotImplementedError
        Always.

    >>> import numgrad as ng
    >>> ng.linalg.eigvals(ng.eye(2))
    Traceback (most recent call last):
    NotImplementedError: linalg.eigvals: the eigenvalues of a matrix that is not symmetric are complex numbers, which numgrad does not have; of a symmetric matrix linalg.eigvalsh gives them
    """  # noqa: E501
    raise _complex("eigvals", "eigvalsh")


# ---- singular values --------------------------------------------------------------------------------------------


def _check_driver(driver: Any) -> None:
    if driver is not None:
        raise RuntimeError("linalg.svd: keyword argument `driver` is only supported on CUDA inputs, expected None")


@public("linalg")
def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> Any:
    """``(U, S, Vh)`` of A = U diag(S) Vh, for A [..., m, n] and k = min(m, n); S [..., k] is descending.

    U is [..., m, m] and Vh [..., n, n], or with ``full_matrices=False`` [..., m, k] and [..., k, n]. Both vectors of a singular
    value may have the other sign, and those of equal values be any basis: gradients of the vectors exist where the values
    are distinct, and not 0 if m != n, and mean something for functions in which the signs do not matter. Gradients of the
    values exist everywhere; `svdvals` is for these alone.

    Raises
    ------
    LinAlgError
        A has an element that is not finite.
    RuntimeError
        A has less than two dimensions or is not of floating point, or a driver is given, which is for other devices.

    >>> import numgrad as ng
    >>> ng.linalg.svd(ng.tensor([[3.0, 0.0], [0.0, 5.0]])).S
    tensor([5., 3.])
    """
    _check_driver(driver)
    full = check_flag("linalg.svd", "full_matrices", full_matrices)
    return named("linalg_svd", ("U", "S", "Vh"), _e.svd(check_two_dims("linalg.svd", A), full_matrices=full))


@public("linalg", known=True)
def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """The singular values [..., min(m, n)], descending, of A [..., m, n].

    Raises
    ------
    LinAlgError
        A has an element that is not finite.
    RuntimeError
        As `svd`.

    >>> import numgrad as ng
    >>> ng.linalg.svdvals(ng.tensor([[3.0, 0.0], [0.0, -5.0]]))
    tensor([5., 3.])
    """
    _check_driver(driver)
    return _e.svdvals(check_two_dims("linalg.svd", A))  # type: ignore[no-any-return]


@public("function", "method", name="svd")
def _older_svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> Any:
    """``(U, S, V)`` of input = U diag(S) V^T: `linalg.svd`, but with V in the place of its transpose, and reduced by default.

    Without ``compute_uv`` U and V are zeros.

    Raises
    ------
    RuntimeError
        As `linalg.svd`.

    >>> import numgrad as ng
    >>> ng.svd(ng.ones(3, 2)).V.shape
    numgrad.Size([2, 2])
    """
    check_two_dims("linalg.svd", input)
    some, compute = check_flag("svd", "some", some), check_flag("svd", "compute_uv", compute_uv)
    if compute:
        u, s, vh = _e.svd(input, full_matrices=not some)
        return named("svd", ("U", "S", "V"), (u, s, transposed(vh)))
    *batch, m, n = input._spec.shape
    u, v = (creation.zeros(*batch, each, each, dtype=input._spec.dtype) for each in (m, n))
    return named("svd", ("U", "S", "V"), (u, svdvals(input), v))
