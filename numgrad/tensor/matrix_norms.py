"""Norms of vectors and matrices, ranks, conditions, and the products of vectors in ``numgrad.linalg``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from numgrad import ops
from numgrad.dtypes import as_dtype, int64
from numgrad.dtypes import dtype as Dtype
from numgrad.errors import DtypeError, ShapeError
from numgrad.ops import matrices as _m
from numgrad.tensor import creation, diagonals, reductions, shaping
from numgrad.tensor.arguments import as_int, as_number, cast, check_tensor, wrap_dim
from numgrad.tensor.grids import broadcast_tensors
from numgrad.tensor.matrices import check_flag, check_floating, check_square, check_two_dims, tolerances
from numgrad.tensor.spectra import eigvalsh, svdvals
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor

Number = int | float


@public("linalg", name="vector_norm", known=True)
def vector_norm(
    x: Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Dtype | None = None
) -> Tensor:
    """The norm of vectors along ``dim``, or of all elements: sum(abs(x) ** ord) ** (1 / ord).

    For ord = inf and -inf it is the largest and the smallest absolute value, for 0 the number of nonzero elements. Where
    the 2-norm is 0, so are its derivatives.

    Raises
    ------
    RuntimeError
        x is not of floating point, or there are no elements for an infinite or a negative ord.
    TypeError
        ``ord`` is not a number.

    >>> import numgrad as ng
    >>> ng.linalg.vector_norm(ng.tensor([[3.0, 4.0], [0.0, 1.0]]), dim=1)
    tensor([5., 1.])
    """
    if as_number(ord) is None:
        raise TypeError(f"linalg_vector_norm(): argument 'ord' must be Number, not {type(ord).__name__}")
    return reductions.norm(x, ord, dim, keepdim, dtype=dtype)


def _two_dims(name: str, dim: Any, ndim: int) -> tuple[int, int]:
    dims = tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    if len(dims) != 2:
        raise ShapeError(f"{name}: dim must be a 2-tuple. Got {list(dims)}")
    first, second = (wrap_dim(name, each, ndim) for each in dims)
    if first == second:
        raise ShapeError(f"{name}: dims must be different. Got ({dims[0]}, {dims[1]})")
    return first, second


_ORDERS = (1, -1, 2, -2, math.inf, -math.inf)


@public("linalg", known=True)
def matrix_norm(
    A: Tensor,
    ord: float | str = "fro",
    dim: Sequence[int] = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: Dtype | None = None,
) -> Tensor:
    """The norm of matrices in two dimensions.

    ====================  ===============================================
    ord                   norm
    ====================  ===============================================
    'fro'                 the 2-norm of the elements
    'nuc'                 the sum of the singular values
    inf, -inf             the largest, the smallest sum of a row's absolute values
    1, -1                 the same of columns
    2, -2                 the largest, the smallest singular value
    ====================  ===============================================

    Raises
    ------
    RuntimeError
        A has less than two dimensions or is not of floating point, or there is no such norm.

    >>> import numgrad as ng
    >>> A = ng.tensor([[1.0, -2.0], [3.0, 4.0]])
    >>> ng.linalg.matrix_norm(A, 1), ng.linalg.matrix_norm(A, ng.inf)
    (tensor(6.), tensor(7.))
    """
    name = "linalg.matrix_norm"
    check_floating(name, check_two_dims(name, A))
    keepdim = check_flag("linalg_matrix_norm", "keepdim", keepdim)
    first, second = _two_dims(name, dim, A._spec.ndim)
    number = as_number(ord)
    if ord not in ("fro", "nuc") if isinstance(ord, str) else number not in _ORDERS:
        raise RuntimeError(f"{name}: Order {ord} not supported.")
    if ord == "fro":
        return reductions.norm(A, 2, (first, second), keepdim, dtype=dtype)
    A = A if dtype is None else cast(A, as_dtype(name, dtype))
    if number is None or abs(number) == 2:
        others = [axis for axis in range(A._spec.ndim) if axis not in (first, second)]
        values = svdvals(shaping.permute(A, [*others, first, second]))
        reduced = reductions.sum if number is None else reductions.amax if number > 0 else reductions.amin
        result = reduced(values, -1)
        for axis in sorted((first, second)) if keepdim else ():
            result = shaping.unsqueeze(result, axis)
        return result
    summed, compared = (first, second) if abs(number) == 1 else (second, first)
    sums = reductions.norm(A, 1, summed, True)
    result = (reductions.amax if number > 0 else reductions.amin)(sums, compared, True)
    return result if keepdim else ops.view.squeeze(result, dims=tuple(sorted((first, second))))  # type: ignore[no-any-return]


def nuclear_norm(input: Tensor, dim: Any, keepdim: bool, dtype: Dtype | None) -> Tensor:
    """`matrix_norm` of order 'nuc' for `numgrad.norm`, over all dimensions if ``dim`` is None."""
    dims = tuple(range(input._spec.ndim)) if dim is None and input._spec.ndim > 1 else (-2, -1) if dim is None else dim
    return matrix_norm(input, "nuc", dims, keepdim, dtype=dtype)


@public("linalg", name="norm", known=True)
def linalg_norm(
    A: Tensor,
    ord: Any = None,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: Dtype | None = None,
) -> Tensor:
    """`vector_norm` or `matrix_norm`.

    Without ``ord`` the 2-norm of all elements, or of those along ``dim``. With it ``dim`` tells by one dimension or by two, or A
    by its own, whether they are vectors or matrices; an ``ord`` that is a string is of matrices.

    Raises
    ------
    RuntimeError
        ``dim`` has neither one nor two dimensions, or without it A; errors of the two functions.

    >>> import numgrad as ng
    >>> A = ng.tensor([[3.0, 0.0], [4.0, 0.0]])
    >>> ng.linalg.norm(A), ng.linalg.norm(A, "nuc"), ng.linalg.norm(A, 1, dim=0)
    (tensor(5.), tensor(5.), tensor([7., 0.]))
    """
    ndim = check_tensor("linalg_norm", "self", A)._spec.ndim
    if dim is not None:
        dims = tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
        if len(dims) not in (1, 2) and ord is not None:
            raise ShapeError(f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dims)}")
    elif ord is not None and ndim not in (1, 2):
        raise ShapeError(
            f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {ndim}D; give dim, or use "
            "vector_norm, which takes all elements"
        )
    if ord is None:
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)
    is_matrix = isinstance(ord, str) or (ndim == 2 if dim is None else len(dims) == 2)
    if is_matrix:
        return matrix_norm(A, ord, (-2, -1) if dim is None else dims, keepdim, dtype=dtype)
    return vector_norm(A, ord, dim, keepdim, dtype=dtype)


# ---- ranks and conditions ---------------------------------------------------------------------------------------


@public("linalg", known=True)
def matrix_rank(
    A: Tensor,
    tol: Any = None,
    hermitian: bool = False,
    *,
    atol: Any = None,
    rtol: Any = None,
) -> Tensor:
    """The numbers [...] of singular values of A [..., m, n] above max(atol, rtol * the largest), of dtype int64.

    Tolerances are as of `pinv`; ``tol`` is the older name of ``atol``. With ``hermitian`` A is taken for symmetric.

    Raises
    ------
    LinAlgError
        A has an element that is not finite.
    RuntimeError
        A has less than two dimensions or is not of floating point.

    >>> import numgrad as ng
    >>> ng.linalg.matrix_rank(ng.ones(3, 3))
    tensor(1)
    """
    name = "linalg.matrix_rank"
    A = check_floating(name, check_two_dims(name, A)).detach()
    if tol is not None:
        atol, rtol = tol, 0.0 if rtol is None else rtol
    absolute, relative = tolerances(name, A, atol, rtol)
    if check_flag("matrix_rank", "hermitian", hermitian):
        values = ops.elementwise.absolute(eigvalsh(check_square(name, A)))
    else:
        values = svdvals(A)
    if not values._spec.shape[-1]:
        return creation.zeros(*values._spec.shape[:-1], dtype=creation.tensor(0).dtype)
    limit = relative * reductions.amax(values, -1)
    limit = limit if absolute is None else ops.elementwise.maximum(limit, absolute)
    return reductions.sum(ops.elementwise.gt(values, shaping.unsqueeze(limit, -1)), -1)


@public("linalg", known=True)
def cond(A: Tensor, p: float | str | None = None) -> Tensor:
    """The condition of A [..., m, n]: its norm times that of its inverse, in one of the norms of `matrix_norm`.

    None and 2 stand for the ratio of the largest to the smallest singular value, -2 for its inverse; the others take square
    matrices. A singular matrix has the condition inf.

    Raises
    ------
    RuntimeError
        A has less than two dimensions, is not of floating point, or there is no such norm.

    >>> import numgrad as ng
    >>> ng.linalg.cond(ng.tensor([[2.0, 0.0], [0.0, 0.5]]))
    tensor(4.)
    """
    name = "linalg.cond"
    check_floating(name, check_two_dims(name, A))
    number = as_number(p)
    if p not in ("fro", "nuc") if isinstance(p, str) else p is not None and number not in _ORDERS:
        raise RuntimeError(f"{name} got an invalid norm type: {p}")
    if p is None or (number is not None and abs(number) == 2):
        values = svdvals(A)
        k = values._spec.shape[-1]
        large, small = (shaping.select(values, -1, index) for index in (0, k - 1))
        return small / large if number == -2 else large / small
    inverse, info = ops.systems.inv_ex(check_square(name, A))
    order: Any = p
    result = matrix_norm(A, order) * matrix_norm(_finite_where(inverse, info), order)
    return ops.elementwise.where(ops.elementwise.ne(info, 0), math.inf, result)  # type: ignore[no-any-return]


def _finite_where(inverse: Tensor, info: Tensor) -> Tensor:
    """The inverses, and zeros for what is none."""
    return ops.elementwise.where(_m.column(_m.column(ops.elementwise.ne(info, 0))), 0.0, inverse)  # type: ignore[no-any-return]


# ---- vectors ----------------------------------------------------------------------------------------------------


@public("linalg", known=True)
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The dot products of vectors along a dimension of tensors that broadcast.

    Raises
    ------
    RuntimeError
        The dtypes differ, or are not of floating point, or the shapes do not broadcast.

    >>> import numgrad as ng
    >>> ng.linalg.vecdot(ng.tensor([[1.0, 2.0], [3.0, 4.0]]), ng.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    name = "linalg.vecdot"
    check_floating(name, check_tensor("linalg_vecdot", "x", x))
    check_tensor("linalg_vecdot", "y", y)
    if x._spec.dtype is not y._spec.dtype:
        raise RuntimeError(
            f"{name}: Expected x and y to have the same dtype, but found x of type {x._spec.dtype.torch_name} and y of type "
            f"{y._spec.dtype.torch_name} instead"
        )
    return reductions.sum(x * y, dim)


@public("linalg", name="cross", known=True)
def linalg_cross(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The cross products of vectors of three elements along ``dim``, of tensors that broadcast.

    Raises
    ------
    RuntimeError
        The tensors have different numbers of dimensions or dtypes, or the dimension is not of three elements.

    >>> import numgrad as ng
    >>> ng.linalg.cross(ng.tensor([1.0, 0.0, 0.0]), ng.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    name = "linalg.cross"
    check_tensor("linalg_cross", "self", x)
    check_tensor("linalg_cross", "other", y)
    if x._spec.ndim != y._spec.ndim:
        raise ShapeError(f"{name}: inputs must have the same number of dimensions.")
    axis = wrap_dim(name, dim, x._spec.ndim)
    sizes = [each._spec.shape[axis] if each._spec.ndim else 1 for each in (x, y)]
    if sizes != [3, 3]:
        raise ShapeError(f"{name}: inputs dimension {dim} must have length 3. Got {sizes[0]} and {sizes[1]}")
    if x._spec.dtype is not y._spec.dtype:
        raise RuntimeError(
            f"{name}: expected scalar type {x._spec.dtype.torch_name} but found {y._spec.dtype.torch_name}; convert one with "
            ".to(dtype)"
        )

    if x._spec.shape != y._spec.shape:
        x, y = broadcast_tensors(x, y)
    return ops.vectors.cross(x, y, dim=axis)  # type: ignore[no-any-return]


@public("function", "method", known=True)
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """`linalg.cross` along ``dim``, by default the first one of three elements.

    Raises
    ------
    RuntimeError
        As `linalg.cross`, or there is no dimension of three elements.

    >>> import numgrad as ng
    >>> ng.cross(ng.tensor([1.0, 0.0, 0.0]), ng.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    if dim is None:
        shape = check_tensor("cross", "self", input)._spec.shape
        if 3 not in shape:
            raise ShapeError(f"no dimension of size 3 in input, which has the shape {list(shape)}")
        dim = shape.index(3)
    return linalg_cross(input, other, dim=dim)


@public("linalg", known=True)
def vander(x: Tensor, *, N: int | None = None) -> Tensor:
    """Vandermonde's matrices [..., n, N] of x [..., n]: its powers 0 to N - 1 in columns; N is n by default.

    Raises
    ------
    RuntimeError
        x has no dimensions, or N is not above 1.

    >>> import numgrad as ng
    >>> ng.linalg.vander(ng.tensor([1, 2, 3]))
    tensor([[1, 1, 1],
            [1, 2, 4],
            [1, 3, 9]])
    """
    if check_tensor("linalg_vander", "x", x)._spec.ndim == 0:
        raise ShapeError("linalg.vander: x must be at least 1D, but it is 0D")
    if x._spec.dtype.is_bool:
        raise DtypeError("linalg.vander supports floating point and integer tensors, but got Bool")
    x = x if x._spec.dtype.is_floating_point else cast(x, int64)
    count = x._spec.shape[-1] if N is None else as_int("linalg_vander", "N", N)
    if count <= 1 and N is not None:
        raise RuntimeError(f"N must be greater than 1, got {count}")
    columns = [ops.creation.full(size=tuple(x._spec.shape), value=1, dtype=x._spec.dtype)]
    while len(columns) < count:
        columns.append(columns[-1] * x)
    return ops.joining.stack(*columns[:count], dim=x._spec.ndim)  # type: ignore[no-any-return]


@public("linalg", name="diagonal", known=True)
def linalg_diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonals of matrices in two dimensions, as the last dimension of a view.

    Raises
    ------
    IndexError
        There is no such dimension.
    RuntimeError
        The two are one.

    >>> import numgrad as ng
    >>> ng.linalg.diagonal(ng.tensor([[1.0, 2.0], [3.0, 4.0]]), offset=1)
    tensor([2.])
    """
    return diagonals.diagonal(A, offset, dim1, dim2)
