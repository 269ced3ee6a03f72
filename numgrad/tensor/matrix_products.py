"""Products, powers and exponentials of matrices, and tensors that are matrices between their dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from numgrad import ops
from numgrad.errors import ShapeError
from numgrad.layout import product
from numgrad.tensor import creation, layers, shaping
from numgrad.tensor.arguments import as_int, check_tensor, shape_of, wrap_dim
from numgrad.tensor.matrices import check_square
from numgrad.tensor.products import multiplied_in_order
from numgrad.tensor.surface import public
from numgrad.tensor.systems import inv, solve

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor

_s = ops.systems

# ---- powers and exponentials ------------------------------------------------------------------------------------


@public("linalg", known=True)
def matrix_power(A: Tensor, n: int) -> Tensor:
    """The n-th power of A [..., k, k], by squaring; of the inverse for a negative n, and the identity for 0.

    Raises
    ------
    LinAlgError
        n is negative, and a matrix singular.
    RuntimeError
        A has less than two dimensions or is not square.

    >>> import numgrad as ng
    >>> ng.linalg.matrix_power(ng.tensor([[1.0, 1.0], [0.0, 1.0]]), 5)
    tensor([[1., 5.],
            [0., 1.]])
    """
    name = "linalg.matrix_power"
    check_square(name, A)
    exponent = as_int("linalg_matrix_power", "n", n)
    if exponent == 0:
        one = creation.eye(A._spec.shape[-1], dtype=A._spec.dtype)
        return shaping.clone(shaping.expand(one, tuple(A._spec.shape)))
    base = inv(A) if exponent < 0 else A
    exponent, result = abs(exponent), None
    while exponent:
        if exponent & 1:
            result = base if result is None else layers.matmul(result, base)
        exponent >>= 1
        base = layers.matmul(base, base) if exponent else base
    return shaping.clone(A) if result is A else result  # type: ignore[return-value]


@public("function", "method", name="matrix_power")
def _older_matrix_power(input: Tensor, n: int) -> Tensor:
    """`linalg.matrix_power`.

    Raises
    ------
    RuntimeError
        As `linalg.matrix_power`.

    >>> import numgrad as ng
    >>> ng.matrix_power(ng.tensor([[2.0]]), 3)
    tensor([[8.]])
    """
    return matrix_power(input, n)


@public("linalg")
def matrix_exp(A: Tensor) -> Tensor:
    """The exponential of A [..., n, n], as of a power series, not of its elements (Higham, 2005).

    Raises
    ------
    RuntimeError
        A has less than two dimensions, is not square or not of floating point.

    >>> import numgrad as ng
    >>> ng.linalg.matrix_exp(ng.tensor([[0.0, 1.0], [0.0, 0.0]]))
    tensor([[1., 1.],
            [0., 1.]])
    """
    return _s.matrix_exp(check_square("linalg.matrix_exp", A))  # type: ignore[no-any-return]


@public("function", "method", name="matrix_exp")
def _older_matrix_exp(input: Tensor) -> Tensor:
    """`linalg.matrix_exp`.

    Raises
    ------
    RuntimeError
        As `linalg.matrix_exp`.

    >>> import numgrad as ng
    >>> ng.matrix_exp(ng.zeros(1, 1))
    tensor([[1.]])
    """
    return matrix_exp(input)


# ---- tensors as matrices ----------------------------------------------------------------------------------------


@public("linalg", known=True)
def tensorinv(A: Tensor, ind: int = 2) -> Tensor:
    """The inverse of A as a map from its dimensions behind ``ind`` to those before: of shape A.shape[ind:] + A.shape[:ind].

    Raises
    ------
    RuntimeError
        ``ind`` is not positive, or the two parts of the shape have not the same product.
    LinAlgError
        The matrix is singular.

    >>> import numgrad as ng
    >>> ng.linalg.tensorinv(ng.eye(6).reshape(2, 3, 6)).shape
    numgrad.Size([6, 2, 3])
    """
    shape, split = tuple(check_tensor("linalg_tensorinv", "self", A)._spec.shape), as_int("tensorinv", "ind", ind)
    if split <= 0:
        raise RuntimeError(f"Expected a strictly positive integer for 'ind', but got {split}")
    rows, columns = product(shape[:split]), product(shape[split:])
    if rows != columns:
        raise ShapeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got "
            f"{columns} != {rows}"
        )
    return shaping.reshape(inv(shaping.reshape(A, (rows, columns))), (*shape[split:], *shape[:split]))


@public("linalg", known=True)
def tensorsolve(A: Tensor, B: Tensor, dims: Sequence[int] | None = None) -> Tensor:
    """X of tensordot(A, X) = B: A of shape B.shape + X.shape; ``dims`` of A are moved to its end before.

    Raises
    ------
    RuntimeError
        The elements of A are not those of a square matrix with as many rows as B has elements.
    LinAlgError
        The matrix is singular.

    >>> import numgrad as ng
    >>> ng.linalg.tensorsolve(ng.eye(6).reshape(6, 2, 3), ng.arange(6.0))
    tensor([[0., 1., 2.],
            [3., 4., 5.]])
    """
    check_tensor("linalg_tensorsolve", "self", A)
    rank = A._spec.ndim
    if dims is not None:
        last = [wrap_dim("tensorsolve", each, rank) for each in dims]
        A = shaping.permute(A, [axis for axis in range(rank) if axis not in last] + last)
    rows, rest = product(shape_of("linalg_tensorsolve", B)), tuple(A._spec.shape[B._spec.ndim :])
    if product(rest) != rows or A._spec.numel != rows * rows:
        raise ShapeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), but got "
            f"{product(rest)} != {product(tuple(A._spec.shape[: B._spec.ndim]))}"
        )
    return shaping.reshape(solve(shaping.reshape(A, (rows, rows)), shaping.reshape(B, (rows,))), rest)


@public("linalg", known=True)
def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of matrices, in the order of the fewest multiplications; the first and the last may be vectors.

    Raises
    ------
    RuntimeError
        There are less than two, or the shapes do not fit.

    >>> import numgrad as ng
    >>> ng.linalg.multi_dot([ng.ones(2, 3), ng.ones(3, 4), ng.ones(4)])
    tensor([12., 12.])
    """
    each = list(tensors)
    if len(each) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(each)}")
    for number, x in enumerate(each):
        ranks = (1, 2) if number in (0, len(each) - 1) else (2,)
        if check_tensor("multi_dot", "tensors", x)._spec.ndim not in ranks:
            raise ShapeError(
                f"multi_dot(): tensor {number} must be {' or '.join(f'{rank}D' for rank in ranks)} but got {x._spec.ndim}D"
            )
    sizes = [1 if each[0]._spec.ndim == 1 else each[0]._spec.shape[0]]
    for x in each:
        sizes.append(1 if x is each[-1] and x._spec.ndim == 1 else x._spec.shape[-1])
    return multiplied_in_order(each, sizes, layers.matmul)
