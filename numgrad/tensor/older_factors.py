"""Factorizations under torch's older names, and products with the reflections of QR."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numgrad import dtypes, ops
from numgrad.engine.tape import modes
from numgrad.errors import GradError, ShapeError
from numgrad.ops import matrices as _m
from numgrad.tensor import creation, decompositions, joining, layers, shaping
from numgrad.tensor.arguments import check_tensor
from numgrad.tensor.matrices import broadcast, check_flag, check_floating, check_two_dims, named, transposed
from numgrad.tensor.surface import public

if TYPE_CHECKING:
    from numgrad.tensor.tensor import Tensor


# ---- LU ---------------------------------------------------------------------------------------------------------


@public("function", "method", name="lu")
def _older_lu(A: Tensor, pivot: bool = True, get_infos: bool = False) -> Any:
    """``(LU, pivots)`` as `linalg.lu_factor`, without its error; with ``get_infos`` also ``info``, as `linalg.lu_factor_ex`.

    Raises
    ------
    RuntimeError
        A has less than two dimensions or is not of floating point.

    >>> import numgrad as ng
    >>> LU, pivots = ng.lu(ng.tensor([[1.0, 2.0], [2.0, 8.0]]))
    >>> pivots
    tensor([2, 2], dtype=numgrad.int32)
    """
    get_infos = check_flag("lu", "get_infos", get_infos)
    parts = decompositions.lu_factor_ex(A, pivot=check_flag("lu", "pivot", pivot))
    return named("lu", ("LU", "pivots", "info"), parts) if get_infos else tuple(parts[:2])


@public("function", known=True)
def lu_unpack(LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True) -> Any:
    """``(P, L, U)`` of the result of `lu` or `linalg.lu_factor`: A = P L U. What is not asked for is empty.

    Raises
    ------
    RuntimeError
        ``LU_data`` has less than two dimensions, or the pivots do not fit or are not of int32.

    >>> import numgrad as ng
    >>> P, L, U = ng.lu_unpack(*ng.linalg.lu_factor(ng.tensor([[1.0, 2.0], [2.0, 8.0]])))
    >>> P @ L @ U
    tensor([[1., 2.],
            [2., 8.]])
    """
    name = "lu_unpack"
    check_two_dims("torch.lu_unpack", LU_data, "LU_data")
    check_tensor(name, "LU_pivots", LU_pivots)
    *batch, m, n = LU_data._spec.shape
    k = min(m, n)
    data, pivots = check_flag(name, "unpack_data", unpack_data), check_flag(name, "unpack_pivots", unpack_pivots)
    if pivots and LU_pivots._spec.dtype is not dtypes.int32:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype.\n"
            "Note: this function is intended to be used with the output produced by torch.linalg.lu_factor"
        )
    if pivots and tuple(LU_pivots._spec.shape) != (*batch, k):
        raise ShapeError(f"torch.lu_unpack: LU_pivots has shape {list(LU_pivots._spec.shape)}, expected {[*batch, k]}")
    nothing = creation.empty(0, dtype=LU_data._spec.dtype)
    order = decompositions.permutation_of(LU_pivots, LU_data) if pivots else nothing
    low = high = nothing
    if data:
        ones = creation.full((*batch, k), 1.0, dtype=LU_data._spec.dtype)
        low = _m.with_diagonal(_m.lower(shaping.narrow(LU_data, -1, 0, k), -1), ones)
        high = _m.upper(shaping.narrow(LU_data, -2, 0, k))
    return named(name, ("P", "L", "U"), (order, low, high))


@public("function", "method", name="lu_solve", known=True)
def _older_lu_solve(input: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """`linalg.lu_solve` with torch's older order of the arguments.

    Raises
    ------
    RuntimeError
        As `linalg.lu_solve`.

    >>> import numgrad as ng
    >>> ng.lu_solve(ng.tensor([[2.0], [9.0]]), *ng.linalg.lu_factor(ng.tensor([[2.0, 0.0], [1.0, 4.0]])))
    tensor([[1.],
            [2.]])
    """
    return decompositions.lu_solve(LU_data, LU_pivots, input)


# ---- QR ---------------------------------------------------------------------------------------------------------


@public("function", "method")
def geqrf(input: Tensor) -> Any:
    """``(a, tau)`` as LAPACK has a QR factorization: R in the upper triangle of a, the reflections below it; for `ormqr`.

    There is no derivative, as in torch; `linalg.qr` has one.

    Raises
    ------
    RuntimeError
        The input has less than two dimensions, is not of floating point, or requires a gradient.

    >>> import numgrad as ng
    >>> a, tau = ng.geqrf(ng.tensor([[3.0, 0.0], [4.0, 5.0]]))
    >>> a[0], tau
    (tensor([-5., -4.]), tensor([1.6000, 0.0000]))
    """
    name = "torch.geqrf"
    if check_tensor("geqrf", "input", input)._spec.ndim < 2:
        raise ShapeError(f"{name}: input must have at least 2 dimensions.")
    check_floating(name, input)
    if modes.grad_enabled and input.requires_grad:
        raise GradError("the derivative for 'geqrf' is not implemented. linalg.qr has one; or call it under no_grad()")
    return named("geqrf", ("a", "tau"), ops.factors.geqrf(input))


@public("function", "method", known=True)
def orgqr(input: Tensor, input2: Tensor) -> Tensor:
    """`linalg.householder_product` under its older name.

    Raises
    ------
    RuntimeError
        As `linalg.householder_product`.

    >>> import numgrad as ng
    >>> ng.orgqr(ng.zeros(2, 2), ng.tensor([2.0]))
    tensor([[-1.,  0.],
            [ 0.,  1.]])
    """
    return decompositions.householder_product(input, input2)


@public("function", "method", known=True)
def ormqr(input: Tensor, input2: Tensor, input3: Tensor, left: bool = True, transpose: bool = False) -> Tensor:
    """The product Q input3, for the square Q of all reflections in input and input2, as `geqrf` has them.

    ``transpose``: Q^T instead; ``left=False``: from the right, input3 Q.

    Raises
    ------
    RuntimeError
        The shapes or dtypes do not fit.

    >>> import numgrad as ng
    >>> ng.ormqr(ng.zeros(2, 1), ng.tensor([2.0]), ng.ones(2, 1))
    tensor([[-1.],
            [ 1.]])
    """
    name = "torch.ormqr"
    check_floating(name, check_two_dims(name, input, "input"))
    check_two_dims(name, input3, "other")
    left, transpose = check_flag("ormqr", "left", left), check_flag("ormqr", "transpose", transpose)
    *batch, m, n = input._spec.shape
    side = -2 if left else -1
    if input3._spec.shape[side] != m:
        raise ShapeError(f"{name}: other.shape[{side}] must be equal to input.shape[-2]")
    k = check_tensor("ormqr", "tau", input2)._spec.shape[-1] if input2._spec.ndim else 0
    if tuple(input2._spec.shape) != (*batch, k) or k > min(m, n):
        raise ShapeError(f"{name}: tau has shape {list(input2._spec.shape)}, expected {batch} and at most {min(m, n)}")
    square = shaping.narrow(input, -1, 0, min(m, n))
    if m > n:
        square = joining.cat([square, creation.zeros(*batch, m, m - n, dtype=input.dtype)], -1)
    q, other = broadcast(decompositions.householder_product(square, input2), input3)
    q = transposed(q) if transpose else q
    return layers.matmul(q, other) if left else layers.matmul(other, q)
