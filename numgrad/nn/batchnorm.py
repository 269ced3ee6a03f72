"""Normalisation of each channel, over batches or images."""

from __future__ import annotations

from collections.abc import Callable
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
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "SyncBatchNorm",
]


def scale_one_shift_zero(weight: Tensor | None, bias: Tensor | None) -> None:
    if weight is not None:
        init.ones_(weight)
    if bias is not None:
        init.zeros_(bias)


class _NormBase(Module):
    """Scale, shift and running statistics of each channel."""

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
        scale_one_shift_zero(self.weight, self.bias)

    def _check_input_dim(self, input: Tensor) -> None:
        check_tensor("batch_norm", "input", input)
        if input.ndim not in self._dims:
            expected = " or ".join(f"{dims}D" for dims in self._dims)
            raise ValueError(f"expected {expected} input (got {input.ndim}D input)")

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


class _BatchNorm(_NormBase):
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

    def forward(self, input: Tensor) -> Tensor:
        return self._normalised(F.batch_norm, input)

    def _normalised(self, function: Callable[..., Tensor], input: Tensor, *more: Any) -> Tensor:
        """Call ``function``, which takes the arguments of `functional.batch_norm` and ``more``, and count the batch."""
        self._check_input_dim(input)
        weight, bias = self._two(self._parameters, "weight", "bias")
        mean, var = self._two(self._buffers, "running_mean", "running_var")
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


class BatchNorm1d(_BatchNorm):
    __doc__ = (_BatchNorm.__doc__ or "").replace("of its input", "of its input [N, C] or [N, C, L]", 1)
    _dims = (2, 3)


class BatchNorm2d(_BatchNorm):
    __doc__ = (_BatchNorm.__doc__ or "").replace("of its input", "of its input [N, C, H, W]", 1)
    _dims = (4,)


class BatchNorm3d(_BatchNorm):
    __doc__ = (_BatchNorm.__doc__ or "").replace("of its input", "of its input [N, C, D, H, W]", 1)
    _dims = (5,)


class SyncBatchNorm(_BatchNorm):
    """`BatchNorm2d` for inputs [N, C, ...] of any number of dimensions. Over one process there is nothing to keep in step.

    Parameters
    ----------
    num_features, eps, momentum, affine, track_running_stats, device, dtype, bias
        Those of `BatchNorm2d`.
    process_group
        Kept, and otherwise without effect.

    Raises
    ------
    ValueError
        The input has less than two dimensions, or no channels.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.SyncBatchNorm(3)(ng.ones(2, 3, 4)).shape
    numgrad.Size([2, 3, 4])
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: Any = None,
        device: Any = None,
        dtype: Dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)
        self.process_group = process_group

    def _check_input_dim(self, input: Tensor) -> None:
        if check_tensor("batch_norm", "input", input).ndim < 2:
            raise ValueError(f"expected at least 2D input (got {input.ndim}D input)")
        if input.shape[1] == 0:
            raise ValueError("SyncBatchNorm number of input channels should be non-zero")

    @classmethod
    def convert_sync_batchnorm(cls, module: Module, process_group: Any = None) -> Module:
        """The module with a `SyncBatchNorm` in the place of each batch norm, over the same parameters and statistics.

        >>> from numgrad import nn
        >>> nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(nn.BatchNorm1d(2)))
        Sequential(
          (0): SyncBatchNorm(2, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
        )
        """
        converted = module
        if isinstance(module, _BatchNorm):
            converted = cls(
                module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats, process_group,
                bias=module.bias is not None,
            )  # fmt: skip
            for name in (*module._parameters, *module._buffers):
                setattr(converted, name, getattr(module, name))
            converted.training = module.training
        for name, child in module.named_children():
            converted.add_module(name, cls.convert_sync_batchnorm(child, process_group))
        return converted


class _InstanceNorm(_NormBase):
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
