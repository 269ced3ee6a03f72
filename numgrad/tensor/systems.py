"""Linear systems: solutions, inverses, determinants, least squares."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from numgrad import ops
from numgrad.dtypes import int64
from numgrad.errors import ShapeError
from numgrad.tensor import creation, layers, matrix_norms, shaping
from numgrad.tensor.arguments import check_tensor
from numgrad.tensor.matrices import (
    broadcast,
    check_flag,
    check_floating,
    check_square,
    check_two_dims,
    epsilon,
    named,
    tolerances,
    transposed,
)
from numgrad.tensor.spectra import svdvals
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor

_s, _f = ops.systems, ops.factors

# ---- solutions --------------------------------------------------------------------------------------------------


def _is_vector(a: Tensor, b: Tensor) -> bool:
    """Whether B is one vector for each A, as torch decides it, and not a matrix."""
    one, other = tuple(a._spec.shape), tuple(b._spec.shape)
    return len(other) == 1 or (len(other) == len(one) - 1 and other == one[:-1])


def _solved(name: str, a: Any, b: Any, left: Any, check_errors: bool) -> tuple[Tensor, Tensor]:
    check_square(name, a)
    check_tensor(name, "B", b)
    left = check_flag(name, "left", left)
    is_vector = _is_vector(a, b)
    if is_vector and not left:
        raise ShapeError(f"{name}: Vector broadcasting of the left hand side is not supported for left=False")
    right = shaping.unsqueeze(b, -1) if is_vector else check_two_dims(name, b, "B")
    n, rows = a._spec.shape[-1], right._spec.shape[-2 if left else -1]
    if rows != n:
        equation = "AX = B" if left else "XA = B"
        raise ShapeError(
            f"{name}: Incompatible shapes of A and B for the equation {equation} ({n}x{n} and "
            f"{'x'.join(map(str, right._spec.shape[-2:]))})"
        )
    first, second = broadcast(a if left else transposed(a), right if left else transposed(right))
    result, info = _s.solve_ex(first, second, check_errors=check_errors)
    result = result if left else transposed(result)
    return (shaping.drop_base_of_copy(shaping.squeeze(result, -1), b) if is_vector else result), info


@public("linalg", known=True)
def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """X of A X = B, or with ``left=False`` of X A = B, for A [..., n, n] and B [..., n, k] or [..., n], which broadcast.

    Raises
    ------
    LinAlgError
        A matrix is singular; `solve_ex` says so without an error.
    RuntimeError
        The shapes or dtypes do not fit, or are not of floating point.

    >>> import numgrad as ng
    >>> ng.linalg.solve(ng.tensor([[2.0, 0.0], [1.0, 4.0]]), ng.tensor([2.0, 9.0]))
    tensor([1., 2.])
    """
    return _solved("linalg.solve", A, B, left, True)[0]


@public("linalg", known=True)
def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> Any:
    """`solve` without its error: ``(result, info)``, where ``info`` [...] is 0, or the column of A that has no pivot.

    The result for a singular matrix means nothing.

    Raises
    ------
    LinAlgError
        A matrix is singular, with ``check_errors``.
    RuntimeError
        As `solve`.

    >>> import numgrad as ng
    >>> ng.linalg.solve_ex(ng.ones(2, 2), ng.ones(2)).info
    tensor(2, dtype=numgrad.int32)
    """
    result_and_info = _solved(
        "linalg.solve_ex", A, B, left, check_flag("linalg.solve_ex", "check_errors", check_errors)
    )
    return named("linalg_solve_ex", ("result", "info"), result_and_info)


@public("linalg", known=True)
def solve_triangular(
    A: Tensor,
    B: Tensor,
    *,
    upper: bool,
    left: bool = True,
    unitriangular: bool = False,
) -> Tensor:
    """X of A X = B, or with ``left=False`` of X A = B, for triangular A [..., n, n] and B [..., n, k], which broadcast.

    Only one triangle of A is read, and with ``unitriangular`` its diagonal is taken for ones. Nothing is checked: a zero on
    the diagonal gives infinities and NaN.

    Raises
    ------
    RuntimeError
        The shapes or dtypes do not fit, or are not of floating point.

    >>> import numgrad as ng
    >>> ng.linalg.solve_triangular(ng.tensor([[2.0, 7.0], [1.0, 4.0]]), ng.tensor([[2.0], [9.0]]), upper=False)
    tensor([[1.],
            [2.]])
    """
    name = "linalg.solve_triangular"
    check_square(name, A)
    check_two_dims(name, B, "B")
    upper, left = check_flag(name, "upper", upper), check_flag(name, "left", left)
    unit = check_flag(name, "unitriangular", unitriangular)
    n, rows = A._spec.shape[-1], B._spec.shape[-2 if left else -1]
    if rows != n:
        equation = "AX = B" if left else "XA = B"
        raise ShapeError(
            f"{name}: Incompatible shapes of A and B for the equation {equation} ({n}x{n} and "
            f"{'x'.join(map(str, B._spec.shape[-2:]))})"
        )
    if left:
        return _s.solve_triangular(*broadcast(A, B), upper=upper, unitriangular=unit)  # type: ignore[no-any-return]
    first, second = broadcast(transposed(A), transposed(B))
    return transposed(_s.solve_triangular(first, second, upper=not upper, unitriangular=unit))


@public("function", "method")
def triangular_solve(
    input: Tensor,
    A: Tensor,
    upper: bool = True,
    transpose: bool = False,
    unitriangular: bool = False,
) -> Any:
    """`linalg.solve_triangular` in its older form: ``(solution, cloned_coefficient)`` of A X = input, or of A^T X = input.

    Raises
    ------
    RuntimeError
        As `linalg.solve_triangular`.

    >>> import numgrad as ng
    >>> ng.triangular_solve(ng.tensor([[4.0], [4.0]]), ng.tensor([[2.0, 1.0], [0.0, 2.0]])).solution
    tensor([[1.],
            [2.]])
    """
    flipped = check_flag("triangular_solve", "transpose", transpose)
    upper = check_flag("triangular_solve", "upper", upper)
    check_two_dims("triangular_solve", A)
    matrix = transposed(A) if flipped else A
    solution = solve_triangular(matrix, input, upper=upper != flipped, unitriangular=unitriangular)
    return named("triangular_solve", ("solution", "cloned_coefficient"), (solution, shaping.clone(A)))


# ---- inverses ---------------------------------------------------------------------------------------------------


@public("linalg", known=True)
def inv(A: Tensor) -> Tensor:
    """The inverse of A [..., n, n]. To multiply by one, `solve` is faster and loses fewer digits.

    Raises
    ------
    LinAlgError
        A matrix is singular; `inv_ex` says so without an error.
    RuntimeError
        A has less than two dimensions, is not square or not of floating point.

    >>> import numgrad as ng
    >>> ng.linalg.inv(ng.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    return _s.inv_ex(check_square("linalg.inv", A), check_errors=True)[0]  # type: ignore[no-any-return]


@public("function", "method", known=True)
def inverse(input: Tensor) -> Tensor:
    """`linalg.inv`.

    Raises
    ------
    RuntimeError
        As `linalg.inv`.

    >>> import numgrad as ng
    >>> ng.inverse(ng.tensor([[2.0]]))
    tensor([[0.5000]])
    """
    return inv(input)


@public("linalg", known=True)
def inv_ex(A: Tensor, *, check_errors: bool = False) -> Any:
    """`inv` without its error: ``(inverse, info)``, where ``info`` [...] is 0, or the column of A that has no pivot.

    Raises
    ------
    LinAlgError
        A matrix is singular, with ``check_errors``.
    RuntimeError
        As `inv`.

    >>> import numgrad as ng
    >>> ng.linalg.inv_ex(ng.zeros(2, 2)).info
    tensor(1, dtype=numgrad.int32)
    """
    flag = check_flag("linalg.inv_ex", "check_errors", check_errors)
    result_and_info = _s.inv_ex(check_square("linalg.inv", A), check_errors=flag)
    return named("linalg_inv_ex", ("inverse", "info"), result_and_info)


@public("linalg", known=True)
def pinv(
    A: Tensor,
    rcond: Any = None,
    hermitian: bool = False,
    *,
    atol: Any = None,
    rtol: Any = None,
) -> Tensor:
    """The pseudoinverse (Moore-Penrose) of A [..., m, n]: [..., n, m].

    Singular values up to max(atol, rtol * the largest) count for 0; each is a number, or a tensor [...]. ``rcond`` is the older
    name of ``rtol``, which is max(m, n) times the dtype's epsilon by default, or 0 if ``atol`` is given. With ``hermitian`` A
    is taken for symmetric. The derivative is that of matrices of this rank.

    Raises
    ------
    LinAlgError
        A has an element that is not finite.
    RuntimeError
        A has less than two dimensions, or is not of floating point.

    >>> import numgrad as ng
    >>> ng.linalg.pinv(ng.tensor([[2.0, 0.0], [0.0, 0.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.0000]])
    """
    check_floating("linalg.pinv", check_two_dims("linalg.pinv", A))
    limits = tolerances("linalg.pinv", A, atol, rcond if rtol is None else rtol)
    return _s.pinv(A, *limits, hermitian=check_flag("linalg.pinv", "hermitian", hermitian))  # type: ignore[no-any-return]


@public("function", "method", known=True)
def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """`linalg.pinv` with torch's older default for ``rcond``.

    Raises
    ------
    RuntimeError
        As `linalg.pinv`.

    >>> import numgrad as ng
    >>> ng.pinverse(ng.tensor([[2.0], [0.0]]))
    tensor([[0.5000, 0.0000]])
    """
    return pinv(input, rcond)


# ---- determinants -----------------------------------------------------------------------------------------------


@public("linalg", known=True)
def det(A: Tensor) -> Tensor:
    """The determinants [...] of A [..., n, n]. Singular matrices have a gradient, and second ones where they are not.

    Raises
    ------
    RuntimeError
        A has less than two dimensions, is not square or not of floating point.

    >>> import numgrad as ng
    >>> ng.linalg.det(ng.tensor([[2.0, 1.0], [0.0, 3.0]]))
    tensor(6.)
    """
    return ops.determinants.det(check_square("linalg.det", A))  # type: ignore[no-any-return]


@public("function", "method", name="det", known=True)
def _older_det(input: Tensor) -> Tensor:
    """`linalg.det`.

    Raises
    ------
    RuntimeError
        As `linalg.det`.

    >>> import numgrad as ng
    >>> ng.det(ng.tensor([[2.0]]))
    tensor(2.)
    """
    return det(input)


@public("linalg", known=True)
def slogdet(A: Tensor) -> Any:
    """``(sign, logabsdet)`` of A [..., n, n]: det(A) = sign * exp(logabsdet), without overflow. 0 and -inf of singular ones.

    Raises
    ------
    RuntimeError
        As `det`.

    >>> import numgrad as ng
    >>> sign, logabsdet = ng.linalg.slogdet(ng.tensor([[0.0, 1.0], [1.0, 0.0]]))
    >>> sign, logabsdet
    (tensor(-1.), tensor(0.))
    """
    return named("linalg_slogdet", ("sign", "logabsdet"), ops.determinants.slogdet(check_square("linalg.slogdet", A)))


@public("function", "method", name="slogdet")
def _older_slogdet(input: Tensor) -> Any:
    """`linalg.slogdet`.

    Raises
    ------
    RuntimeError
        As `linalg.slogdet`.

    >>> import numgrad as ng
    >>> ng.slogdet(ng.tensor([[-1.0]])).sign
    tensor(-1.)
    """
    return slogdet(input)


@public("function", "method", known=True)
def logdet(input: Tensor) -> Tensor:
    """The logarithms of the determinants of input [..., n, n]: -inf where one is 0, NaN where it is negative.

    Raises
    ------
    RuntimeError
        As `det`.

    >>> import numgrad as ng
    >>> ng.logdet(ng.tensor([[1.0, 0.0], [0.0, 1.0]]))
    tensor(0.)
    """
    sign, logabsdet = ops.determinants.slogdet(check_square("logdet", input))
    return ops.elementwise.where(ops.elementwise.lt(sign, 0), math.nan, logabsdet)  # type: ignore[no-any-return]


# ---- least squares ----------------------------------------------------------------------------------------------

_DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


@public("linalg", known=True)
def lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None) -> Any:
    """X of the smallest norm for which A X - B is smallest: ``(solution, residuals, rank, singular_values)``.

    A [..., m, n] and B [..., m, k] or [..., m] broadcast. Singular values up to ``rcond`` times the largest count for 0; by
    default that is max(m, n) times the dtype's epsilon. LAPACK's 'gelsd' computes the solution, and ``driver``, 'gelsy' by
    default, only says as in torch which other results there are: residuals [..., k] where m > n and all ranks are n (not
    for 'gelsy'), ranks (not for 'gels'), singular values ('gelsd' and 'gelss'); the others are empty.

    Raises
    ------
    LinAlgError
        A has an element that is not finite.
    RuntimeError
        The shapes or dtypes do not fit, are not of floating point, or there is no such driver.

    >>> import numgrad as ng
    >>> A = ng.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    >>> ng.linalg.lstsq(A, ng.tensor([[1.0], [3.0], [5.0]])).solution.round(decimals=4)
    tensor([[1.],
            [2.]])
    """
    name = "torch.linalg.lstsq"
    check_floating(name, check_two_dims(name, A, "input"))
    check_tensor(name, "other", B)
    driver = "gelsy" if driver is None else driver
    if driver not in _DRIVERS:
        raise RuntimeError(f"{name}: parameter `driver` should be one of ({', '.join(_DRIVERS)}), got {driver!r}")
    is_vector = _is_vector(A, B)
    right = shaping.unsqueeze(B, -1) if is_vector else check_two_dims(name, B, "other")
    m, n = A._spec.shape[-2:]
    if right._spec.shape[-2] != m:
        raise ShapeError(f"{name}: input.size(-2) should match other.size(-{1 if is_vector else 2})")
    first, second = broadcast(A, right)
    limit = max(m, n) * epsilon(A) if rcond is None else float(rcond)
    solution, rank = _s.lstsq(first, second, rcond=limit)
    nothing = creation.empty(0, dtype=A._spec.dtype)
    residuals = values = nothing
    if m > n and driver != "gelsy" and (driver == "gels" or min(rank.reshape(-1).tolist(), default=n) == n):
        residuals = matrix_norms.vector_norm(layers.matmul(first, solution) - second, 2, -2).square()
    if driver in ("gelsd", "gelss"):
        values = svdvals(first.detach())
    if driver == "gels":
        rank = creation.empty(0, dtype=int64)
    solution = shaping.squeeze(solution, -1) if is_vector else solution
    parts = ("solution", "residuals", "rank", "singular_values")
    return named("linalg_lstsq", parts, (solution, residuals, rank, values))
