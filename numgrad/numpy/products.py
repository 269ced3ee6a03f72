"""Products of arrays, and the sums that they are made with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from numgrad.numpy.arrays import axis_of, is_int, linalg, ng, operands, tensor, values_of
from numgrad.numpy.table import implements
from numgrad.tensor.tensor import Tensor


def _refuse_scalars(name: str, *values: Tensor) -> None:
    for value in values:
        if value.ndim == 0:
            raise ValueError(f"{name}: an operand has no dimensions, take multiply")


def _contracted(function: Any, *values: Tensor) -> Tensor:
    """A product, which of bools says whether any term is True."""
    if values[0].dtype.is_bool:
        return ng.ne(function(*(v.long() for v in values)), 0)  # type: ignore[no-any-return]
    return function(*values)  # type: ignore[no-any-return]


def matmul(x1: Any, x2: Any) -> Tensor:
    x, y = operands((x1, x2))
    _refuse_scalars("matmul", x, y)
    if x.shape[-1] != y.shape[-2 if y.ndim > 1 else 0]:
        raise ValueError(
            f"matmul: the core dimensions do not fit: shapes {tuple(x.shape)} and {tuple(y.shape)}, {x.shape[-1]} is not "
            f"{y.shape[-2 if y.ndim > 1 else 0]}"
        )
    return _contracted(ng.matmul, x, y)


def vecdot(x1: Any, x2: Any) -> Tensor:
    x, y = operands((x1, x2))
    _refuse_scalars("vecdot", x, y)
    if x.shape[-1] != y.shape[-1]:
        raise ValueError(f"vecdot: the last axes have {x.shape[-1]} and {y.shape[-1]} elements")
    return _contracted(lambda x, y: ng.sum(x * y, -1), x, y)


def matvec(x1: Any, x2: Any) -> Tensor:
    x, y = operands((x1, x2))
    return ng.squeeze(matmul(x, ng.unsqueeze(y, -1)), -1)  # type: ignore[no-any-return]


def vecmat(x1: Any, x2: Any) -> Tensor:
    x, y = operands((x1, x2))
    return ng.squeeze(matmul(ng.unsqueeze(x, -2), y), -2)  # type: ignore[no-any-return]


@implements("linalg.matmul")
def _matmul(x1: Any, x2: Any, /) -> Tensor:
    """The product of matrices, or of stacks of them."""
    return matmul(x1, x2)


@implements("linalg.vecdot")
def _vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Tensor:
    """The sum of products along an axis."""
    x, y = operands((x1, x2))
    return vecdot(ng.movedim(x, axis, -1), ng.movedim(y, axis, -1))


@implements("dot", reads=True)
def dot(a: Any, b: Any, out: Any = None) -> Tensor:
    """The sum of products over the last axis of ``a`` and the last but one of ``b``; a product with a number.

    >>> import numgrad.numpy as np
    >>> np.dot([1.0, 2.0], [3.0, 4.0])
    array(11.)
    """
    x, y = operands((a, b))
    if x.ndim == 0 or y.ndim == 0:
        return x * y if not x.dtype.is_bool else ng.logical_and(x, y)  # type: ignore[no-any-return]
    axis = max(y.ndim - 2, 0)
    if x.shape[-1] != y.shape[axis]:
        raise ValueError(
            f"shapes {tuple(x.shape)} and {tuple(y.shape)} not aligned: {x.shape[-1]} (dim {x.ndim - 1}) != "
            f"{y.shape[axis]} (dim {axis})"
        )
    return _contracted(lambda x, y: ng.tensordot(x, y, dims=([x.ndim - 1], [axis])), x, y)


@implements("inner", reads=True)
def inner(a: Any, b: Any, /) -> Tensor:
    """The sum of products over the last axes."""
    x, y = operands((a, b))
    if x.ndim == 0 or y.ndim == 0:
        return dot(x, y)
    if x.shape[-1] != y.shape[-1]:
        raise ValueError(
            f"inner: shapes {tuple(x.shape)} and {tuple(y.shape)} not aligned: {x.shape[-1]} != {y.shape[-1]}"
        )
    return _contracted(lambda x, y: ng.tensordot(x, y, dims=([x.ndim - 1], [y.ndim - 1])), x, y)


@implements("vdot", reads=True)
def vdot(a: Any, b: Any, /) -> Tensor:
    """The sum of the products of all elements."""
    x, y = operands((a, b))
    return dot(ng.reshape(x, (-1,)), ng.reshape(y, (-1,)))


@implements("outer", reads=True)
def outer(a: Any, b: Any, out: Any = None) -> Tensor:
    """Each element of ``a`` times each of ``b``."""
    x, y = operands((a, b))
    return dot(ng.reshape(x, (-1, 1)), ng.reshape(y, (1, -1)))


@implements("linalg.outer")
def linalg_outer(x1: Any, x2: Any, /) -> Tensor:
    """As `outer`, of vectors alone."""
    x, y = operands((x1, x2))
    if x.ndim != 1 or y.ndim != 1:
        raise ValueError(f"Input arrays must be one-dimensional, but they are x1.ndim={x.ndim} and x2.ndim={y.ndim}.")
    return outer(x, y)


@implements("tensordot", reads=True)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Tensor:
    """The sum of products over pairs of axes, or over the last ``axes`` of ``a`` and the first of ``b``.

    >>> import numgrad.numpy as np
    >>> np.tensordot(np.ones((2, 3)), np.ones((3, 2)), axes=([0, 1], [1, 0]))
    array(6.)
    """
    x, y = operands((a, b))
    if is_int(axes):
        count = axes.__index__()
        first, second = list(range(x.ndim - count, x.ndim)), list(range(count))
    else:
        first, second = ([n] if is_int(n) else list(n) for n in axes)
    first, second = [axis_of(n, x.ndim) for n in first], [axis_of(n, y.ndim) for n in second]
    if [x.shape[n] for n in first] != [y.shape[n] for n in second]:
        raise ValueError(
            f"shape-mismatch for sum: shapes {tuple(x.shape)} and {tuple(y.shape)}, axes {first} and {second}"
        )
    return _contracted(lambda x, y: ng.tensordot(x, y, dims=(first, second)), x, y)


@implements("linalg.tensordot")
def linalg_tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Tensor:
    """As `tensordot`."""
    return tensordot(x1, x2, axes)


@implements("kron", reads=True)
def kron(a: Any, b: Any) -> Tensor:
    """The Kronecker product."""
    x, y = operands((a, b))
    return ng.kron(x, y)  # type: ignore[no-any-return]


@implements("einsum", reads=True)
def einsum(*args: Any, out: Any = None, dtype: Any = None, optimize: Any = False, **options: Any) -> Tensor:
    """Einstein's sum, as ``einsum("ij,jk", x, y)`` or ``einsum(x, [0, 1], y, [1, 2])``.

    >>> import numgrad.numpy as np
    >>> np.einsum("ij,ij->i", np.ones((2, 3)), np.ones((2, 3)))
    array([3., 3.])
    """
    if isinstance(args[0], str):
        return ng.einsum(_explicit(args[0], len(args) - 1), *operands(args[1:], dtype))  # type: ignore[no-any-return]
    lists = args[1 : len(args) // 2 * 2 : 2]
    given = operands(args[: len(args) // 2 * 2 : 2], dtype)
    target = args[-1] if len(args) % 2 else None
    mixed = [v for pair in zip(given, lists, strict=True) for v in pair]
    return ng.einsum(*mixed, *([] if target is None else [target]))  # type: ignore[no-any-return]


def _explicit(subscripts: str, operand_count: int) -> str:
    text = subscripts.replace(" ", "")
    if text.split("->")[0].count(",") + 1 != operand_count:
        raise ValueError(
            f"einsum: {subscripts!r} has {text.split('->')[0].count(',') + 1} terms for {operand_count} operands"
        )
    return text


@implements("cross")
def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Tensor:
    """The cross product of vectors of three elements.

    Raises
    ------
    ValueError
        The vectors do not have three elements; those of two are no longer NumPy's either.
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = operands((a, b))
    x, y = ng.movedim(x, axisa, -1), ng.movedim(y, axisb, -1)
    if x.shape[-1] != 3 or y.shape[-1] != 3:
        raise ValueError(f"cross: expected vectors of 3 elements, got {x.shape[-1]} and {y.shape[-1]}")
    shape = np.broadcast_shapes(tuple(x.shape), tuple(y.shape))
    x, y = ng.broadcast_to(x, shape), ng.broadcast_to(y, shape)
    return ng.movedim(ng.cross(x, y, dim=-1), -1, axisc)  # type: ignore[no-any-return]


@implements("linalg.cross")
def linalg_cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Tensor:
    """As `cross`."""
    return cross(x1, x2, axis=axis)


@implements("linalg.multi_dot")
def multi_dot(arrays: Sequence[Any], *, out: Any = None) -> Tensor:
    """The product of two or more matrices, in the order that multiplies least; the first and the last may be vectors."""
    if len(arrays) < 2:
        raise ValueError("Expecting at least two arrays.")
    return linalg.multi_dot(operands(arrays))  # type: ignore[no-any-return]


@implements("einsum_path")
def einsum_path(*args: Any, **options: Any) -> Any:
    """The order in which `einsum` would contract: NumPy's."""
    given: Any = [values_of(tensor(a)) if not isinstance(a, (str, list)) else a for a in args]
    return np.einsum_path(*given, **options)
