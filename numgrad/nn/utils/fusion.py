"""Linear layers and convolutions that compute the batch norm after them as well, in eval mode."""

from __future__ import annotations

import copy
from typing import Any

from numgrad.nn.batchnorm import _BatchNorm
from numgrad.nn.conv import _Convolution
from numgrad.nn.linear import Linear
from numgrad.nn.parameter import Parameter
from numgrad.tensor import arguments, creation
from numgrad.tensor.tensor import Tensor

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]


def _fused(layer: Any, bn: _BatchNorm) -> Any:
    """A copy of a layer, to be changed.

    Raises
    ------
    AssertionError
        A module is in train mode, or the norm has no running statistics.
    """
    if layer.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    _statistics(bn)
    return copy.deepcopy(layer)


def _statistics(bn: _BatchNorm) -> tuple[Tensor, Tensor]:
    """The running statistics of a norm, which has to have some."""
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("bn.running_mean and bn.running_var must not be None")
    return bn.running_mean, bn.running_var


def fuse_conv_bn_eval(conv: _Convolution, bn: _BatchNorm, transpose: bool = False) -> _Convolution:
    """A convolution that computes what both modules do, in eval mode; ``transpose`` is True for a transposed convolution.

    Raises
    ------
    AssertionError
        A module is in train mode, or the norm has no running statistics.

    >>> from numgrad import nn
    >>> fuse_conv_bn_eval(nn.Conv1d(2, 3, 1, bias=False).eval(), nn.BatchNorm1d(3).eval())
    Conv1d(2, 3, kernel_size=(1,), stride=(1,))
    """
    fused = _fused(conv, bn)
    mean, var = _statistics(bn)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight, fused.bias, mean, var, bn.eps, bn.weight, bn.bias, transpose
    )
    return fused  # type: ignore[no-any-return]


def fuse_conv_bn_weights(
    conv_w: Tensor,
    conv_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of a convolution that computes what a convolution and a batch norm do, given by their parameters.

    >>> import numgrad as ng
    >>> ones = ng.ones(1)
    >>> fuse_conv_bn_weights(ng.ones(1, 1, 1), None, ones, ones, 0.0, ones * 2, None)[1].detach()
    tensor([-2.])
    """
    shape = [-1, 1] + [1] * (conv_w.ndim - 2)
    if transpose:
        shape[:2] = [1, -1]
    scale, shift = _scale_and_shift(bn_rm, bn_rv, bn_eps, bn_w, bn_b, conv_b)
    return _parameters(conv_w, conv_w * scale.reshape(shape), conv_b, shift)


def fuse_linear_bn_eval(linear: Linear, bn: _BatchNorm) -> Linear:
    """A linear layer that computes what both modules do, in eval mode.

    Raises
    ------
    AssertionError
        A module is in train mode, the norm has no running statistics, or the sizes do not fit.

    >>> from numgrad import nn
    >>> fuse_linear_bn_eval(nn.Linear(2, 3, bias=False).eval(), nn.BatchNorm1d(3).eval())
    Linear(in_features=2, out_features=3, bias=True)
    """
    fused = _fused(linear, bn)
    if linear.out_features != bn.num_features and bn.num_features != 1:
        raise AssertionError(
            "To fuse, linear.out_features == bn.num_features or bn.num_features == 1, got linear.out_features="
            f"{linear.out_features} and bn.num_features={bn.num_features}"
        )
    mean, var = _statistics(bn)
    fused.weight, fused.bias = fuse_linear_bn_weights(fused.weight, fused.bias, mean, var, bn.eps, bn.weight, bn.bias)
    return fused  # type: ignore[no-any-return]


def fuse_linear_bn_weights(
    linear_w: Tensor,
    linear_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of a linear layer that computes what one and a batch norm do, given by their parameters.

    >>> import numgrad as ng
    >>> ones = ng.ones(1)
    >>> fuse_linear_bn_weights(ng.ones(1, 1), None, ones, ones, 0.0, ones * 2, ones)[1].detach()
    tensor([-1.])
    """
    scale, shift = _scale_and_shift(bn_rm, bn_rv, bn_eps, bn_w, bn_b, linear_b)
    return _parameters(linear_w, linear_w * scale.unsqueeze(-1), linear_b, shift)


def _scale_and_shift(
    mean: Tensor, var: Tensor, eps: float, weight: Tensor | None, bias: Tensor | None, before: Tensor | None
) -> tuple[Tensor, Tensor]:
    """What a batch norm multiplies by, and what it gives for an input that is ``before`` (None: 0)."""
    scale = (var + eps).rsqrt()
    scale = scale if weight is None else scale * weight
    shift = ((creation.zeros_like(mean) if before is None else before) - mean) * scale
    return scale, shift if bias is None else shift + bias


def _parameters(weight: Tensor, fused: Tensor, bias: Tensor | None, shift: Tensor) -> tuple[Parameter, Parameter]:
    """The results as parameters, of the dtypes that weight and bias had, that require a gradient where these did."""
    dtype = weight.dtype if bias is None else bias.dtype
    needs_grad = bias is not None and bias.requires_grad
    return (
        Parameter(arguments.cast(fused.detach(), weight.dtype), weight.requires_grad),
        Parameter(arguments.cast(shift.detach(), dtype), needs_grad),
    )
