"""Modules that learn the size of their input from the first one: `LazyLinear` and the like."""

from __future__ import annotations

from typing import Any

from numgrad import dtypes
from numgrad.dtypes import dtype as Dtype
from numgrad.nn import batchnorm, convolutions
from numgrad.nn.conv import Conv2d, _Convolution
from numgrad.nn.linear import Linear
from numgrad.nn.module import Module
from numgrad.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy
from numgrad.tensor import creation
from numgrad.tensor.arguments import check_tensor
from numgrad.tensor.checked import Pair
from numgrad.tensor.tensor import Tensor

__all__ = [
    "LazyBatchNorm1d",
    "LazyBatchNorm2d",
    "LazyBatchNorm3d",
    "LazyConv1d",
    "LazyConv2d",
    "LazyConv3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
    "LazyInstanceNorm1d",
    "LazyInstanceNorm2d",
    "LazyInstanceNorm3d",
    "LazyLinear",
]


class LazyModuleMixin(Module):
    """What makes a module lazy: before its first call it gives its parameters their shapes and becomes another class.

    A subclass has `UninitializedParameter` and `UninitializedBuffer` among its members, defines ``initialize_parameters`` with
    the arguments of ``forward``, and names the class that it becomes in ``cls_to_become``; None: it stays what it is. A state of
    such a module that is saved before the first call has no values for these members; one with values can be loaded into it.
    """

    cls_to_become: type[Module] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.register_forward_pre_hook(LazyModuleMixin._infer_parameters, with_kwargs=True)

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Give members their shapes, by the arguments of the first call; subclasses define it."""
        raise NotImplementedError(f"initialize_parameters is not implemented for {type(self).__name__}")

    def has_uninitialized_params(self) -> bool:
        """Whether a parameter or a buffer of this module has no shape yet."""
        return any(is_lazy(member) for member in (*self._parameters.values(), *self._buffers.values()))

    def _infer_parameters(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """The hook before the first call, which is the last."""
        self.initialize_parameters(*args, **kwargs)
        if self.has_uninitialized_params():
            raise RuntimeError(f"module {self._get_name()} has not been fully initialized")
        # By its function: a handle would not be the one of a copy.
        own = [number for number, hook in self._forward_pre_hooks.items() if hook is LazyModuleMixin._infer_parameters]
        for number in own:
            del self._forward_pre_hooks[number], self._forward_pre_hooks_with_kwargs[number]
        if self.cls_to_become is not None:
            self.__class__ = self.cls_to_become  # type: ignore[assignment]


def _learnt(is_learnt: bool, device: Any, dtype: Dtype | None) -> UninitializedParameter | None:
    return UninitializedParameter(device=device, dtype=dtype) if is_learnt else None


class LazyLinear(LazyModuleMixin, Linear):
    """A `Linear` whose in_features is the last extent of its first input.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> layer = nn.LazyLinear(3)
    >>> layer(ng.ones(5, 2)).shape, layer
    (numgrad.Size([5, 3]), Linear(in_features=2, out_features=3, bias=True))
    """

    cls_to_become = Linear

    def __init__(self, out_features: int, bias: bool = True, device: Any = None, dtype: Dtype | None = None) -> None:
        super().__init__(0, 0, False)
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        self.out_features = out_features
        self.bias = _learnt(bias, device, dtype)

    def reset_parameters(self) -> None:
        """Redraw weight and bias, if they have shapes."""
        if not self.has_uninitialized_params() and self.in_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:  # type: ignore[override]
        """Take in_features from the input.

        Raises
        ------
        AssertionError
            The weight was loaded and has another one.
        """
        check_tensor("linear", "input", input)
        if isinstance(self.weight, UninitializedParameter):
            self.in_features = input.shape[-1]
            self.weight.materialize((self.out_features, self.in_features))
            if isinstance(self.bias, UninitializedParameter):
                self.bias.materialize((self.out_features,))
            self.reset_parameters()
        if self.in_features == 0:
            if input.shape[-1] != self.weight.shape[-1]:
                raise AssertionError(
                    f"The in_features inferred from input: {input.shape[-1]} is not equal to in_features from self.weight: "
                    f"{self.weight.shape[-1]}"
                )
            self.in_features = input.shape[-1]


# ---- convolutions -----------------------------------------------------------------------------------------------


class _LazyConvolution(LazyModuleMixin, _Convolution):
    """A convolution whose in_channels is the number of channels of its first input."""

    def _wait(self, out_channels: int, bias: bool, device: Any, dtype: Dtype | None) -> None:
        """Forget the empty weight with which the constructor of the class that this becomes made do."""
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        self.out_channels = out_channels
        self.bias = _learnt(bias, device, dtype)

    def reset_parameters(self) -> None:
        """Redraw weight and bias, if they have shapes."""
        if not self.has_uninitialized_params() and self.in_channels != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor, *args: Any, **kwargs: Any) -> None:
        """Take in_channels from the input.

        Raises
        ------
        ValueError
            The channels are not divisible by ``groups``.
        RuntimeError
            The input has the wrong number of dimensions.
        """
        check_tensor(type(self).__name__, "input", input)
        if isinstance(self.weight, UninitializedParameter):
            dims = self._ndim + 1, self._ndim + 2
            if input.ndim not in dims:
                raise RuntimeError(
                    f"Expected {dims[0]}D (unbatched) or {dims[1]}D (batched) input to {type(self).__name__}, but got input of "
                    f"size: {input.shape}"
                )
            channels = input.shape[-self._ndim - 1]
            if channels % self.groups:
                raise ValueError("in_channels must be divisible by groups")
            self.in_channels = channels
            for target, name, value in self.weight.becoming(self._uninitialized(self.weight.dtype)):
                setattr(target, name, value)
            if isinstance(self.bias, UninitializedParameter):
                self.bias.materialize((self.out_channels,))
            self.reset_parameters()


class _LazyConv(_LazyConvolution):
    def __init__(
        self,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair | str = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Dtype | None = None,
    ) -> None:
        super().__init__(0, 0, kernel_size, stride, padding, dilation, groups, False, padding_mode, device, dtype)
        self._wait(out_channels, bias, device, dtype)


class _LazyTransposed(_LazyConvolution):
    def __init__(
        self,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair = 0,
        output_padding: Pair = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Pair = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Dtype | None = None,
    ) -> None:
        super().__init__(
            0, 0, kernel_size, stride, padding, output_padding, groups, False, dilation, padding_mode, device, dtype
        )
        self._wait(out_channels, bias, device, dtype)


class LazyConv1d(_LazyConv, convolutions.Conv1d):
    """A `Conv1d` whose in_channels is the number of channels of its first input.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> layer = nn.LazyConv1d(3, 2)
    >>> type(layer).__name__, layer(ng.ones(1, 2, 4)).shape, type(layer).__name__
    ('LazyConv1d', numgrad.Size([1, 3, 3]), 'Conv1d')
    """

    cls_to_become = convolutions.Conv1d


class LazyConv2d(_LazyConv, Conv2d):
    """A `Conv2d` whose in_channels is the number of channels of its first input.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> layer = nn.LazyConv2d(3, 2)
    >>> type(layer).__name__, layer(ng.ones(1, 2, 4, 4)).shape, type(layer).__name__
    ('LazyConv2d', numgrad.Size([1, 3, 3, 3]), 'Conv2d')
    """

    cls_to_become = Conv2d


class LazyConv3d(_LazyConv, convolutions.Conv3d):
    """A `Conv3d` whose in_channels is the number of channels of its first input.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> layer = nn.LazyConv3d(3, 2)
    >>> type(layer).__name__, layer(ng.ones(1, 2, 4, 4, 4)).shape, type(layer).__name__
    ('LazyConv3d', numgrad.Size([1, 3, 3, 3, 3]), 'Conv3d')
    """

    cls_to_become = convolutions.Conv3d


class LazyConvTranspose1d(_LazyTransposed, convolutions.ConvTranspose1d):
    """A `ConvTranspose1d` whose in_channels is the number of channels of its first input.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> layer = nn.LazyConvTranspose1d(3, 2)
    >>> type(layer).__name__, layer(ng.ones(1, 2, 4)).shape, type(layer).__name__
    ('LazyConvTranspose1d', numgrad.Size([1, 3, 5]), 'ConvTranspose1d')
    """

    cls_to_become = convolutions.ConvTranspose1d


class LazyConvTranspose2d(_LazyTransposed, convolutions.ConvTranspose2d):
    """A `ConvTranspose2d` whose in_channels is the number of channels of its first input.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> layer = nn.LazyConvTranspose2d(3, 2)
    >>> type(layer).__name__, layer(ng.ones(1, 2, 4, 4)).shape, type(layer).__name__
    ('LazyConvTranspose2d', numgrad.Size([1, 3, 5, 5]), 'ConvTranspose2d')
    """

    cls_to_become = convolutions.ConvTranspose2d


class LazyConvTranspose3d(_LazyTransposed, convolutions.ConvTranspose3d):
    """A `ConvTranspose3d` whose in_channels is the number of channels of its first input.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> layer = nn.LazyConvTranspose3d(3, 2)
    >>> type(layer).__name__, layer(ng.ones(1, 2, 4, 4, 4)).shape, type(layer).__name__
    ('LazyConvTranspose3d', numgrad.Size([1, 3, 5, 5, 5]), 'ConvTranspose3d')
    """

    cls_to_become = convolutions.ConvTranspose3d


# ---- norms ------------------------------------------------------------------------------------------------------


class _LazyNorm(LazyModuleMixin, batchnorm._NormBase):
    """A norm whose num_features is the second extent of its first input."""

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        # What the class that this becomes would make has no elements yet, and is left out.
        super().__init__(0, eps, momentum, False, False, device, dtype, bias=False)
        self.affine = affine
        self.track_running_stats = track_running_stats
        self.weight = _learnt(affine, device, dtype)
        self.bias = _learnt(affine and bias, device, dtype)
        if track_running_stats:
            self.running_mean = UninitializedBuffer(device=device, dtype=dtype)
            self.running_var = UninitializedBuffer(device=device, dtype=dtype)
            self.num_batches_tracked = creation.tensor(0, dtype=dtypes.int64)

    def reset_parameters(self) -> None:
        """Scale 1, shift 0, and no batch seen, if the members have shapes."""
        if not self.has_uninitialized_params() and self.num_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:  # type: ignore[override]
        """Take num_features from the input."""
        check_tensor(type(self).__name__, "input", input)
        if self.has_uninitialized_params():
            self.num_features = input.shape[1]
            for member in (self.weight, self.bias, self.running_mean, self.running_var):
                if isinstance(member, (UninitializedParameter, UninitializedBuffer)):
                    member.materialize((self.num_features,))
            self.reset_parameters()


class LazyBatchNorm1d(_LazyNorm, batchnorm._BatchNorm):
    """A `BatchNorm1d` with as many features as its first input has channels.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> layer = nn.LazyBatchNorm1d()
    >>> type(layer).__name__, layer(ng.ones(2, 2, 4)).shape, type(layer).__name__
    ('LazyBatchNorm1d', numgrad.Size([2, 2, 4]), 'BatchNorm1d')
    """

    cls_to_become = batchnorm.BatchNorm1d


class LazyBatchNorm2d(_LazyNorm, batchnorm._BatchNorm):
    """A `BatchNorm2d` with as many features as its first input has channels.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> layer = nn.LazyBatchNorm2d()
    >>> type(layer).__name__, layer(ng.ones(2, 2, 4, 4)).shape, type(layer).__name__
    ('LazyBatchNorm2d', numgrad.Size([2, 2, 4, 4]), 'BatchNorm2d')
    """

    cls_to_become = batchnorm.BatchNorm2d


class LazyBatchNorm3d(_LazyNorm, batchnorm._BatchNorm):
    """A `BatchNorm3d` with as many features as its first input has channels.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> layer = nn.LazyBatchNorm3d()
    >>> type(layer).__name__, layer(ng.ones(2, 2, 4, 4, 4)).shape, type(layer).__name__
    ('LazyBatchNorm3d', numgrad.Size([2, 2, 4, 4, 4]), 'BatchNorm3d')
    """

    cls_to_become = batchnorm.BatchNorm3d


class LazyInstanceNorm1d(_LazyNorm, batchnorm._InstanceNorm):
    """An `InstanceNorm1d` with as many features as its first input has channels.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> layer = nn.LazyInstanceNorm1d()
    >>> type(layer).__name__, layer(ng.ones(2, 2, 4)).shape, type(layer).__name__
    ('LazyInstanceNorm1d', numgrad.Size([2, 2, 4]), 'InstanceNorm1d')
    """

    cls_to_become = batchnorm.InstanceNorm1d


class LazyInstanceNorm2d(_LazyNorm, batchnorm._InstanceNorm):
    """An `InstanceNorm2d` with as many features as its first input has channels.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> layer = nn.LazyInstanceNorm2d()
    >>> type(layer).__name__, layer(ng.ones(2, 2, 4, 4)).shape, type(layer).__name__
    ('LazyInstanceNorm2d', numgrad.Size([2, 2, 4, 4]), 'InstanceNorm2d')
    """

    cls_to_become = batchnorm.InstanceNorm2d


class LazyInstanceNorm3d(_LazyNorm, batchnorm._InstanceNorm):
    """An `InstanceNorm3d` with as many features as its first input has channels.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> layer = nn.LazyInstanceNorm3d()
    >>> type(layer).__name__, layer(ng.ones(2, 2, 4, 4, 4)).shape, type(layer).__name__
    ('LazyInstanceNorm3d', numgrad.Size([2, 2, 4, 4, 4]), 'InstanceNorm3d')
    """

    cls_to_become = batchnorm.InstanceNorm3d
