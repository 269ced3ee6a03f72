"""Pooling layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numgrad.nn import functional as F
from numgrad.nn.module import Module
from numgrad.tensor.checked import Pair
from numgrad.tensor.tensor import Tensor

__all__ = ["AdaptiveAvgPool2d", "AvgPool2d", "MaxPool2d"]


class _MaxPool(Module):
    """The largest value under each window."""

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Pair = 0,
        dilation: Pair = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"ceil_mode={self.ceil_mode}"
        )


class _AvgPool(Module):
    """The mean under each window."""

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Pair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AdaptiveAvgPool(Module):
    """Means over windows chosen so that the output has a given size."""

    def __init__(self, output_size: int | Sequence[int | None]) -> None:
        super().__init__()
        self.output_size = output_size

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class MaxPool2d(_MaxPool):
    """The largest value under each window of input [N, C, H, W].

    Parameters
    ----------
    kernel_size, stride, padding, dilation
        An int, or a pair for height and width; the stride is by default the window's size. Padding is never
        the maximum.
    return_indices
        Whether to return each value's index in the image as well.
    ceil_mode
        Whether a window may reach beyond the end.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.MaxPool2d(3, stride=2, padding=1)(ng.ones(1, 2, 8, 8)).shape
    numgrad.Size([1, 2, 4, 4])
    """

    def forward(self, input: Tensor) -> Any:
        return F.max_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )


class AvgPool2d(_AvgPool):
    """The mean under each window of input [N, C, H, W].

    Parameters
    ----------
    kernel_size, stride, padding
        An int, or a pair for height and width; the stride is by default the window's size.
    ceil_mode
        Whether a window may reach beyond the end.
    count_include_pad
        Whether the zeros of the padding count.
    divisor_override
        What to divide by instead of the number of elements.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.AvgPool2d(2)(ng.ones(1, 2, 8, 8)).shape
    numgrad.Size([1, 2, 4, 4])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Means over windows chosen so that the output has ``output_size`` (an int, a pair; None: as the input).

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.AdaptiveAvgPool2d(1)(ng.ones(1, 2, 8, 8)).shape
    numgrad.Size([1, 2, 1, 1])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(input, self.output_size)
