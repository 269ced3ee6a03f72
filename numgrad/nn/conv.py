"""`Conv2d`, the convolutional layer, and what those of other dimensions share with it."""

from __future__ import annotations

import math
from typing import Any

from numgrad.devices import on_cpu
from numgrad.dtypes import dtype as Dtype
from numgrad.errors import ShapeError
from numgrad.layout import convolved_strides
from numgrad.nn import functional as F
from numgrad.nn import init
from numgrad.nn.module import Module
from numgrad.nn.parameter import Parameter
from numgrad.tensor import creation
from numgrad.tensor.arguments import as_int
from numgrad.tensor.checked import Pair, several
from numgrad.tensor.tensor import Tensor

__all__ = ["Conv2d"]

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


def margins_of(
    padding: tuple[int, ...] | str, kernel_size: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[int, ...]:
    """The padding of both sides, from the last dimension on, as `functional.pad` takes it.

    >>> margins_of("same", (2, 3), (1, 1))
    (1, 1, 0, 1)
    """
    if padding == "valid":
        return (0,) * (2 * len(kernel_size))
    if isinstance(padding, str):
        total = [gap * (taps - 1) for gap, taps in zip(dilation, kernel_size, strict=True)]
        return tuple(side for whole in reversed(total) for side in (whole // 2, whole - whole // 2))
    return tuple(amount for amount in reversed(padding) for _ in range(2))


class _Convolution(Module):
    """Weights, and an offset for each output channel, of a convolution of ``_ndim`` dimensions."""

    _ndim = 0
    transposed = False
    weight: Parameter
    bias: Parameter | None

    def _build(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair,
        padding: Pair | str,
        dilation: Pair,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Dtype | None,
    ) -> None:
        name = type(self).__name__
        on_cpu(name, device)
        self.groups = as_int(name, "groups", groups)
        if self.groups <= 0:
            raise ValueError("groups must be a positive integer")
        self.in_channels = as_int(name, "in_channels", in_channels)
        self.out_channels = as_int(name, "out_channels", out_channels)
        for word, channels in (("in_channels", self.in_channels), ("out_channels", self.out_channels)):
            if channels % self.groups:
                raise ValueError(f"{word} must be divisible by groups")
        if (
            isinstance(kernel_size, (tuple, list)) and len(kernel_size) == 1 < self._ndim
        ):  # in torch the size of a 1D kernel
            raise ShapeError(f"{name}: kernel_size is {kernel_size}, expected an int or {self._ndim}")
        self.kernel_size = several(name, "kernel_size", kernel_size, self._ndim)
        self.stride = several(name, "stride", stride, self._ndim)
        self.dilation = several(name, "dilation", dilation, self._ndim)
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"Invalid padding string {padding!r}, should be one of {{'same', 'valid'}}")
            if padding == "same" and set(self.stride) != {1}:
                raise ValueError("padding='same' is not supported for strided convolutions")
            self.padding: tuple[int, ...] | str = padding
        else:
            self.padding = several(name, "padding", padding, self._ndim)
        if padding_mode not in PADDING_MODES:
            raise ValueError(f"padding_mode must be one of {PADDING_MODES}, but got padding_mode='{padding_mode}'")
        self.padding_mode = padding_mode
        self.output_padding = (0,) * self._ndim
        self.weight = Parameter(self._uninitialized(dtype))
        self.register_parameter("bias", Parameter(creation.empty(self.out_channels, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def _uninitialized(self, dtype: Dtype | None) -> Tensor:
        """Memory for the weight."""
        return creation.empty(*self._weight_shape(), dtype=dtype)

    def _weight_shape(self) -> tuple[int, ...]:
        channels = (self.in_channels, self.out_channels) if self.transposed else (self.out_channels, self.in_channels)
        size = (channels[0], channels[1] // self.groups, *self.kernel_size)
        return tuple(creation.checked_size(type(self).__name__, size))

    def reset_parameters(self) -> None:
        """Redraw weight and bias."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in, _ = init.fans(self.weight)
            bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != (0,) * self._ndim:
            text += f", padding={self.padding}"
        if self.dilation != (1,) * self._ndim:
            text += f", dilation={self.dilation}"
        if self.output_padding != (0,) * self._ndim:
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        return text if self.padding_mode == "zeros" else f"{text}, padding_mode={self.padding_mode}"


class _Conv(_Convolution):
    _function: Any = None

    def __init__(
        self,
        in_channels: int,
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
        super().__init__()
        self._build(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype
        )  # fmt: skip

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, *self._two(self._parameters, "weight", "bias"))

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The convolution with another weight and offset, as layers that compute theirs call it."""
        padding = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, margins_of(padding, self.kernel_size, self.dilation), mode=self.padding_mode)
            padding = 0  # type: ignore[assignment]
        return self._function(input, weight, bias, self.stride, padding, self.dilation, self.groups)  # type: ignore[no-any-return]


class Conv2d(_Conv):
    """Cross-correlation of input [N, C, H, W] (or [C, H, W]) with learnt weights.

    Parameters
    ----------
    in_channels, out_channels
        C of the input and of the output.
    kernel_size, stride, dilation
        An int, or a pair for height and width.
    padding
        Zeros added on each side: an int, a pair, 'valid' (none), or 'same' (the output is as large as the input).
    groups
        Number of groups that the channels are divided into; no output sees the input of another group.
    bias
        Whether to learn an offset for each output channel.
    padding_mode
        'zeros', or one of the modes of `functional.pad`: 'reflect', 'replicate', 'circular'.
    device
        'cpu', the only device, or None.
    dtype
        Of the parameters; None: the default dtype.

    The weight has shape [out_channels, in_channels / groups, height, width]; its layout is private, with the input channels
    last, as the kernels read it, until its memory is looked at. Weight and bias are drawn from the uniform distribution on
    [-1 / sqrt(fan_in), 1 / sqrt(fan_in)).

    Raises
    ------
    ValueError
        The channels are not divisible by ``groups``, or the padding or its mode is unknown.

    >>> from numgrad import nn
    >>> nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False)
    Conv2d(3, 64, kernel_size=(7, 7), stride=(2, 2), padding=(3, 3), bias=False)
    """

    _ndim = 2
    _function = staticmethod(F.conv2d)

    def _uninitialized(self, dtype: Dtype | None) -> Tensor:
        shape = self._weight_shape()
        return creation.uninitialized(creation.chosen_dtype("Conv2d", dtype), shape, convolved_strides(shape))
