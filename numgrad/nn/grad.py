"""Gradients of convolutions, without a convolution before: by the input, or by the weight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numgrad import autograd
from numgrad.nn import functional as F
from numgrad.tensor import creation
from numgrad.tensor.checked import Pair
from numgrad.tensor.tensor import Tensor

__all__ = ["conv1d_input", "conv1d_weight", "conv2d_input", "conv2d_weight", "conv3d_input", "conv3d_weight"]


def _gradient(
    function: Callable[..., Tensor], size: Sequence[int], other: Tensor, first: bool, grad_output: Tensor, options: Any
) -> Tensor:
    """The gradient of a convolution by one operand of a size, the first or the second; it reads the other alone."""
    with autograd.enable_grad():
        unknown = creation.zeros(tuple(size), dtype=other.dtype, requires_grad=True)
        operands = (unknown, other) if first else (other, unknown)
        out = function(*operands, None, *options)
        create_graph = other.requires_grad or grad_output.requires_grad
        (result,) = autograd.grad(out, unknown, grad_output, create_graph=create_graph)
    return result


def conv1d_input(
    input_size: Sequence[int],
    weight: Tensor,
    grad_output: Tensor,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Tensor:
    """The gradient of `functional.conv1d` by an input of a size, for the gradient ``grad_output`` of its output.

    >>> import numgrad as ng
    >>> conv1d_input((1, 1, 3), ng.ones(1, 1, 2), ng.ones(1, 1, 2)).sum()
    tensor(4.)
    """
    return _gradient(F.conv1d, input_size, weight, True, grad_output, (stride, padding, dilation, groups))


def conv1d_weight(
    input: Tensor,
    weight_size: Sequence[int],
    grad_output: Tensor,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Tensor:
    """The gradient of `functional.conv1d` by a weight of a size, for the gradient ``grad_output`` of its output.

    >>> import numgrad as ng
    >>> conv1d_weight(ng.ones(1, 1, 3), (1, 1, 2), ng.ones(1, 1, 2)).sum()
    tensor(4.)
    """
    return _gradient(F.conv1d, weight_size, input, False, grad_output, (stride, padding, dilation, groups))


def conv2d_input(
    input_size: Sequence[int],
    weight: Tensor,
    grad_output: Tensor,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Tensor:
    """The gradient of `functional.conv2d` by an input of a size, for the gradient ``grad_output`` of its output.

    >>> import numgrad as ng
    >>> conv2d_input((1, 1, 3, 3), ng.ones(1, 1, 2, 2), ng.ones(1, 1, 2, 2)).sum()
    tensor(16.)
    """
    return _gradient(F.conv2d, input_size, weight, True, grad_output, (stride, padding, dilation, groups))


def conv2d_weight(
    input: Tensor,
    weight_size: Sequence[int],
    grad_output: Tensor,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Tensor:
    """The gradient of `functional.conv2d` by a weight of a size, for the gradient ``grad_output`` of its output.

    >>> import numgrad as ng
    >>> conv2d_weight(ng.ones(1, 1, 3, 3), (1, 1, 2, 2), ng.ones(1, 1, 2, 2)).sum()
    tensor(16.)
    """
    return _gradient(F.conv2d, weight_size, input, False, grad_output, (stride, padding, dilation, groups))


def conv3d_input(
    input_size: Sequence[int],
    weight: Tensor,
    grad_output: Tensor,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Tensor:
    """The gradient of `functional.conv3d` by an input of a size, for the gradient ``grad_output`` of its output.

    >>> import numgrad as ng
    >>> conv3d_input((1, 1, 3, 3, 3), ng.ones(1, 1, 2, 2, 2), ng.ones(1, 1, 2, 2, 2)).sum()
    tensor(64.)
    """
    return _gradient(F.conv3d, input_size, weight, True, grad_output, (stride, padding, dilation, groups))


def conv3d_weight(
    input: Tensor,
    weight_size: Sequence[int],
    grad_output: Tensor,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Tensor:
    """The gradient of `functional.conv3d` by a weight of a size, for the gradient ``grad_output`` of its output.

    >>> import numgrad as ng
    >>> conv3d_weight(ng.ones(1, 1, 3, 3, 3), (1, 1, 2, 2, 2), ng.ones(1, 1, 2, 2, 2)).sum()
    tensor(64.)
    """
    return _gradient(F.conv3d, weight_size, input, False, grad_output, (stride, padding, dilation, groups))
