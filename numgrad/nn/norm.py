"""Normalising layers: layer, group and RMS norm, and normalisation across channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numgrad.devices import on_cpu
from numgrad.dtypes import dtype as Dtype
from numgrad.nn import functional as F
from numgrad.nn.batchnorm import scale_one_shift_zero
from numgrad.nn.module import Module
from numgrad.nn.parameter import Parameter
from numgrad.tensor import creation
from numgrad.tensor.tensor import Tensor

__all__ = [
    "CrossMapLRN2d",
    "GroupNorm",
    "LayerNorm",
    "LocalResponseNorm",
    "RMSNorm",
]


class LocalResponseNorm(Module):
    """input / (k + alpha * mean of the squares of ``size`` channels around each) ** beta.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.LocalResponseNorm(2)(ng.ones(1, 4, 3)).shape
    numgrad.Size([1, 4, 3])
    """

    def __init__(self, size: int, alpha: float = 0.0001, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Tensor) -> Tensor:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class CrossMapLRN2d(Module):
    """`LocalResponseNorm` of images [N, C, H, W], each channel with the ``size`` around it, under its older name.

    torch's sums begin with a channel too many from the middle of the first ``size`` on, and its gradients without it.

    Raises
    ------
    ValueError
        The input has another number of dimensions.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.CrossMapLRN2d(3)(ng.ones(1, 4, 2, 2)).shape
    numgrad.Size([1, 4, 2, 2])
    """

    def __init__(self, size: int, alpha: float = 0.0001, beta: float = 0.75, k: float = 1) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim != 4:
            raise ValueError(f"CrossMapLRN2d: Expected input to be 4D, got {input.ndim}D instead.")
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class RMSNorm(Module):
    """Divides each sample by the root of the mean of its squares over its last dimensions, then scales each element.

    ``eps`` is by default the distance of 1 to the next number of the input's dtype.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.RMSNorm(2, elementwise_affine=False)(ng.tensor([3.0, 4.0]))
    tensor([0.8485, 1.1314])
    """

    weight: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Dtype | None = None,
    ) -> None:
        super().__init__()
        on_cpu("RMSNorm", device)
        shape = tuple(normalized_shape) if isinstance(normalized_shape, Sequence) else (normalized_shape,)
        self.normalized_shape = shape
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        learnt = Parameter(creation.empty(shape, dtype=dtype)) if elementwise_affine else None
        self.register_parameter("weight", learnt)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Scale 1."""
        scale_one_shift_zero(self.weight, None)

    def forward(self, input: Tensor) -> Tensor:
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class LayerNorm(Module):
    """Normalises each sample over its last dimensions, then scales and shifts each element.

    Parameters
    ----------
    normalized_shape
        The extents of those dimensions; an int for one.
    eps
        Added to the variance.
    elementwise_affine
        Whether to learn a scale and, unless ``bias`` is False, a shift for each element.
    bias
        See elementwise_affine.
    device
        'cpu', the only device, or None.
    dtype
        Of the parameters; None: the default dtype.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.LayerNorm(4)
    LayerNorm((4,), eps=1e-05, elementwise_affine=True, bias=True)
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Dtype | None = None,
    ) -> None:
        super().__init__()
        on_cpu("LayerNorm", device)
        shape = tuple(normalized_shape) if isinstance(normalized_shape, Sequence) else (normalized_shape,)
        self.normalized_shape = shape
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        for name, learnt in (("weight", elementwise_affine), ("bias", elementwise_affine and bias)):
            self.register_parameter(name, Parameter(creation.empty(shape, dtype=dtype)) if learnt else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Scale 1, shift 0."""
        scale_one_shift_zero(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, *self._two(self._parameters, "weight", "bias"), self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class GroupNorm(Module):
    """Normalises each of ``num_groups`` groups of the channels of its input [N, C, ...], then scales and shifts.

    Scale and shift (``affine``, ``bias``) are learnt for each channel.

    Raises
    ------
    ValueError
        num_channels is not divisible by num_groups.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.GroupNorm(2, 4)(ng.ones(2, 4, 3)).shape
    numgrad.Size([2, 4, 3])
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        on_cpu("GroupNorm", device)
        if num_groups == 0:
            raise ValueError("GroupNorm: num_groups is 0, expected a positive int")
        if num_channels % num_groups:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        for name, learnt in (("weight", affine), ("bias", affine and bias)):
            self.register_parameter(name, Parameter(creation.empty(num_channels, dtype=dtype)) if learnt else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Scale 1, shift 0."""
        scale_one_shift_zero(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, *self._two(self._parameters, "weight", "bias"), self.eps)

    def extra_repr(self) -> str:
        sizes = f"{self.num_groups}, {self.num_channels}, eps={self.eps}"
        return f"{sizes}, affine={self.affine}, bias={self.bias is not None}"
