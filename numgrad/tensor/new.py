"""The methods ``new_*``: new tensors with the dtype of another."""

from __future__ import annotations

from typing import Any

from numgrad.dtypes import dtype as Dtype
from numgrad.tensor.creation import empty, full, ones, tensor, zeros
from numgrad.tensor.known import UNDEFINED
from numgrad.tensor.surface import public
from numgrad.tensor.tensor import Tensor


@public("method")
def new_tensor(input: Tensor, data: Any, *, dtype: Dtype | None = None, requires_grad: bool = False) -> Tensor:
    """`tensor` with this tensor\'s dtype, unless another is given.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As `tensor`.

    >>> import numgrad as ng
    >>> ng.zeros(1, dtype=ng.float64).new_tensor([1, 2])
    tensor([1., 2.], dtype=numgrad.float64)
    """
    return tensor(data, dtype=dtype or input.dtype, requires_grad=requires_grad)


@public("method", known=UNDEFINED)
def new_empty(input: Tensor, *size: Any, dtype: Dtype | None = None, requires_grad: bool = False) -> Tensor:
    """`empty` with this tensor\'s dtype, unless another is given.

    Raises
    ------
    TypeError, RuntimeError
        As `empty`.

    >>> import numgrad as ng
    >>> ng.zeros(1, dtype=ng.float64).new_empty(2, 3).shape
    numgrad.Size([2, 3])
    """
    return empty(*size, dtype=dtype or input.dtype, requires_grad=requires_grad)


@public("method", known=True)
def new_zeros(input: Tensor, *size: Any, dtype: Dtype | None = None, requires_grad: bool = False) -> Tensor:
    """`zeros` with this tensor\'s dtype, unless another is given.

    Raises
    ------
    TypeError, RuntimeError
        As `zeros`.

    >>> import numgrad as ng
    >>> ng.ones(1, dtype=ng.int64).new_zeros(2)
    tensor([0, 0])
    """
    return zeros(*size, dtype=dtype or input.dtype, requires_grad=requires_grad)


@public("method", known=True)
def new_ones(input: Tensor, *size: Any, dtype: Dtype | None = None, requires_grad: bool = False) -> Tensor:
    """`ones` with this tensor\'s dtype, unless another is given.

    Raises
    ------
    TypeError, RuntimeError
        As `ones`.

    >>> import numgrad as ng
    >>> ng.zeros(1, dtype=ng.int64).new_ones(2)
    tensor([1, 1])
    """
    return ones(*size, dtype=dtype or input.dtype, requires_grad=requires_grad)


@public("method", known=True)
def new_full(
    input: Tensor, size: Any, fill_value: Any, *, dtype: Dtype | None = None, requires_grad: bool = False
) -> Tensor:
    """`full` with this tensor\'s dtype, unless another is given.

    Raises
    ------
    TypeError, RuntimeError
        As `full`.

    >>> import numgrad as ng
    >>> ng.zeros(1).new_full((2,), 7)
    tensor([7., 7.])
    """
    return full(size, fill_value, dtype=dtype or input.dtype, requires_grad=requires_grad)
