"""Normalising layers: batch, instance, layer, group and RMS norm, and normalisation across channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numgrad import dtypes
from numgrad.devices import on_cpu
from numgrad.dtypes import dtype as Dtype
from numgrad.errors import warn
from numgrad.nn import functional as F
from numgrad.nn import init
from numgrad.nn.module import Module
from numgrad.nn.parameter import Parameter
from numgrad.tensor import creation, layers, shaping
from numgrad.tensor.arguments import check_tensor
from numgrad.tensor.tensor import Tensor

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LayerNorm",
    "LocalResponseNorm",
    "RMSNorm",
]


def _scale_one_shift_zero(weight: Tensor | None, bias: Tensor | None) -> None:
    if weight is not None:
        init.ones_(weight)
    if bias is not None:
        init.zeros_(bias)


class _BatchNorm(Module):
    """Normalises each channel of its input by the mean and the biased variance of the batch.

    Parameters
    ----------
    num_features
        C of the input.
    eps
        Added to the variance.
    momentum
        How far running statistics move towards the batch's; None: they are the mean over all batches so far.
    affine
        Whether to learn a scale (1 at first) and, unless ``bias`` is False, a shift (0) for each channel.
    track_running_stats
        Whether to keep running statistics, which eval mode uses; the running variance is the unbiased one.
    device
        'cpu', the only device, or None.
    dtype
        Of parameters and statistics; None: the default dtype.

    Raises
    ------
    ValueError
        The input has the wrong number of dimensions or, in train mode, only one value for each channel.
    RuntimeError
        The input has the wrong number of channels.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> layer = nn.BatchNorm2d(3)
    >>> layer(ng.ones(2, 3, 4, 4)).shape
    numgrad.Size([2, 3, 4, 4])
    >>> layer.running_mean
    tensor([0.1000, 0.1000, 0.1000])
    """

    _version = 2  # num_batches_tracked is part of the state since 2
    _dims: tuple[int, ...] = ()

    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        on_cpu(type(self).__name__, device)
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        for name, learnt in (("weight", affine), ("bias", affine and bias)):
            self.register_parameter(name, Parameter(creation.empty(num_features, dtype=dtype)) if learnt else None)
        for name in ("running_mean", "running_var"):
            self.register_buffer(name, creation.empty(num_features, dtype=dtype) if track_running_stats else None)
        counter = creation.tensor(0, dtype=dtypes.int64) if track_running_stats else None
        self.register_buffer("num_batches_tracked", counter)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget all batches: mean 0, variance 1, no batch counted."""
        if self.track_running_stats:
            self.running_mean.zero_()  # type: ignore[union-attr]
            self.running_var.fill_(1)  # type: ignore[union-attr]
            self.num_batches_tracked.zero_()  # type: ignore[union-attr]

    def reset_parameters(self) -> None:
        """Scale 1, shift 0, and no batch seen."""
        self.reset_running_stats()
        _scale_one_shift_zero(self.weight, self.bias)

    def _check_input_dim(self, input: Tensor) -> None:
        check_tensor("batch_norm", "input", input)
        if input.ndim not in self._dims:
            expected = " or ".join(f"{dims}D" for dims in self._dims)
            raise ValueError(f"expected {expected} input (got {input.ndim}D input)")

    def forward(self, input: Tensor) -> Tensor:
        return self._normalised(F.batch_norm, input)

    def _normalised(self, function: Callable[..., Tensor], input: Tensor, *more: Any) -> Tensor:
        """Call ``function``, which takes the arguments of `functional.batch_norm` and ``more``, and count the batch."""
        self._check_input_dim(input)
        mean, var, weight, bias = self.running_mean, self.running_var, self.weight, self.bias
        if not self.training and mean is not None and var is not None:
            return function(input, mean, var, weight, bias, False, 0.0, self.eps, *more)
        momentum = 0.0 if self.momentum is None else self.momentum
        if not (self.training and self.track_running_stats):
            return function(input, None, None, weight, bias, True, momentum, self.eps, *more)
        counter = self.num_batches_tracked
        if self.momentum is None and counter is not None:
            momentum = 1.0 / (counter.item() + 1)
        out = function(input, mean, var, weight, bias, True, momentum, self.eps, *more)
        if counter is not None:  # only now: a batch that was refused does not count
            layers.count_batch(counter)
        return out

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *report: Any
    ) -> None:
        key = f"{prefix}num_batches_tracked"
        old = (local_metadata.get("version") or 1) < 2
        if old and self.num_batches_tracked is not None and key not in state_dict:
            state_dict[key] = self.num_batches_tracked.detach()
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *report)

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    __doc__ = (_BatchNorm.__doc__ or "").replace("of its input", "of its input [N, C] or [N, C, L]", 1)
    _dims = (2, 3)


class BatchNorm2d(_BatchNorm):
    __doc__ = (_BatchNorm.__doc__ or "").replace("of its input", "of its input [N, C, H, W]", 1)
    _dims = (4,)


class BatchNorm3d(_BatchNorm):
    __doc__ = (_BatchNorm.__doc__ or "").replace("of its input", "of its input [N, C, D, H, W]", 1)
    _dims = (5,)


class _InstanceNorm(_BatchNorm):
    """Normalises each channel of each image by its mean and its biased variance; an input without a batch is one image.

    The arguments are `BatchNorm2d`'s, but that nothing is learnt and no running statistics are kept by default.

    Raises
    ------
    ValueError
        The input has the wrong number of dimensions, with ``affine`` the wrong number of channels, or only one value for each
        channel of an image.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.InstanceNorm1d(2)(ng.ones(3, 2, 4)).shape
    numgrad.Size([3, 2, 4])
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        alone = input.ndim == self._dims[0]
        axis = 0 if alone else 1
        if input.shape[axis] != self.num_features:
            if self.affine:
                raise ValueError(
                    f"expected input's size at dim={axis} to match num_features ({self.num_features}), but got: "
                    f"{input.shape[axis]}."
                )
            warn(
                f"input's size at dim={axis} does not match num_features. You can silence this warning by not passing in "
                "num_features, which is not used because affine=False"
            )
        images = shaping.unsqueeze(input, 0) if alone else input
        fresh = self.training or not self.track_running_stats
        momentum = 0.0 if self.momentum is None else self.momentum
        out = F.instance_norm(
            images, self.running_mean, self.running_var, self.weight, self.bias, fresh, momentum, self.eps
        )
        return shaping.squeeze(out, 0) if alone else out


class InstanceNorm1d(_InstanceNorm):
    __doc__ = (_InstanceNorm.__doc__ or "").replace("of each image", "of each row of its input [N, C, L]", 1)
    _dims = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    __doc__ = (_InstanceNorm.__doc__ or "").replace("of each image", "of each image of its input [N, C, H, W]", 1)
    _dims = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    __doc__ = (_InstanceNorm.__doc__ or "").replace("of each image", "of each volume of its input [N, C, D, H, W]", 1)
    _dims = (4, 5)


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
        _scale_one_shift_zero(self.weight, None)

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
        _scale_one_shift_zero(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

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
        _scale_one_shift_zero(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        sizes = f"{self.num_groups}, {self.num_channels}, eps={self.eps}"
        return f"{sizes}, affine={self.affine}, bias={self.bias is not None}"
