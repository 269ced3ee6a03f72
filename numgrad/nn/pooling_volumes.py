"""Pooling layers of one and three dimensions, to given extents, by p-norms, and undone."""

from __future__ import annotations

from typing import Any

from numgrad.nn import functional as F
from numgrad.nn.module import Module
from numgrad.nn.pooling import _AdaptiveAvgPool, _AvgPool, _MaxPool
from numgrad.tensor.checked import Pair, several
from numgrad.tensor.tensor import Tensor

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "MaxPool1d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
]


class _LPPool(Module):
    """The p-norm under each window."""

    def __init__(
        self, norm_type: float, kernel_size: Pair, stride: Pair | None = None, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def extra_repr(self) -> str:
        return f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, ceil_mode={self.ceil_mode}"


class _AdaptiveMaxPool(Module):
    """The largest value of each part of the input."""

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class _MaxUnpool(Module):
    """Values at the positions from which a max pooling took them."""

    _ndim = 0

    def __init__(self, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0) -> None:
        super().__init__()
        name = f"MaxUnpool{self._ndim}d"
        self.kernel_size = several(name, "kernel_size", kernel_size, self._ndim)
        self.stride = self.kernel_size if stride is None else several(name, "stride", stride, self._ndim)
        self.padding = several(name, "padding", padding, self._ndim)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxPool1d(_MaxPool):
    """The largest value under each window of input [N, C, L]; padding is never the maximum.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.MaxPool1d(3, stride=2, padding=1)(ng.ones(1, 2, 8)).shape
    numgrad.Size([1, 2, 4])
    """

    def forward(self, input: Tensor) -> Any:
        return F.max_pool1d(
            input, self.kernel_size, self.stride, self.padding, self.dilation,
            ceil_mode=self.ceil_mode, return_indices=self.return_indices,
        )  # fmt: skip


class AvgPool1d(Module):
    """The mean under each window of input [N, C, L].

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.AvgPool1d(2)(ng.ones(1, 2, 8)).shape
    numgrad.Size([1, 2, 4])
    """

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Pair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = several("AvgPool1d", "kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else several("AvgPool1d", "stride", stride, 1)
        self.padding = several("AvgPool1d", "padding", padding, 1)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxPool3d(_MaxPool):
    """The largest value under each window of input [N, C, D, H, W]; padding is never the maximum.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.MaxPool3d(3, stride=2, padding=1)(ng.ones(1, 2, 8, 8, 8)).shape
    numgrad.Size([1, 2, 4, 4, 4])
    """

    def forward(self, input: Tensor) -> Any:
        return F.max_pool3d(
            input, self.kernel_size, self.stride, self.padding, self.dilation,
            ceil_mode=self.ceil_mode, return_indices=self.return_indices,
        )  # fmt: skip


class AvgPool3d(_AvgPool):
    """The mean under each window of input [N, C, D, H, W].

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.AvgPool3d(2)(ng.ones(1, 2, 8, 8, 8)).shape
    numgrad.Size([1, 2, 4, 4, 4])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool3d(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad, self.divisor_override,
        )  # fmt: skip


class LPPool1d(_LPPool):
    """The norm_type-norm of each window of input [N, C, L].

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.LPPool1d(2, 2)(ng.ones(1, 2, 8)).shape
    numgrad.Size([1, 2, 4])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.lp_pool1d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest values of windows that cut input [N, C, L] into ``output_size`` parts.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.AdaptiveMaxPool1d(1)(ng.ones(1, 2, 8)).shape
    numgrad.Size([1, 2, 1])
    """

    def forward(self, input: Tensor) -> Any:
        return F.adaptive_max_pool1d(input, self.output_size, self.return_indices)


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Means of windows that cut input [N, C, L] into ``output_size`` parts.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.AdaptiveAvgPool1d(1)(ng.ones(1, 2, 8)).shape
    numgrad.Size([1, 2, 1])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool1d(input, self.output_size)


class MaxUnpool1d(_MaxUnpool):
    """Zeros with the values of `MaxPool1d` where they stood, by the indices that it returned.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> values, indices = nn.MaxPool1d(2, return_indices=True)(ng.ones(1, 2, 8))
    >>> nn.MaxUnpool1d(2)(values, indices).shape
    numgrad.Size([1, 2, 8])
    """

    _ndim = 1

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        return F.max_unpool1d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class LPPool2d(_LPPool):
    """The norm_type-norm of each window of input [N, C, H, W].

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.LPPool2d(2, 2)(ng.ones(1, 2, 8, 8)).shape
    numgrad.Size([1, 2, 4, 4])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.lp_pool2d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest values of windows that cut input [N, C, H, W] into ``output_size`` parts.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.AdaptiveMaxPool2d(1)(ng.ones(1, 2, 8, 8)).shape
    numgrad.Size([1, 2, 1, 1])
    """

    def forward(self, input: Tensor) -> Any:
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)


class MaxUnpool2d(_MaxUnpool):
    """Zeros with the values of `MaxPool2d` where they stood, by the indices that it returned.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> values, indices = nn.MaxPool2d(2, return_indices=True)(ng.ones(1, 2, 8, 8))
    >>> nn.MaxUnpool2d(2)(values, indices).shape
    numgrad.Size([1, 2, 8, 8])
    """

    _ndim = 2

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        return F.max_unpool2d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class LPPool3d(_LPPool):
    """The norm_type-norm of each window of input [N, C, D, H, W].

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.LPPool3d(2, 2)(ng.ones(1, 2, 8, 8, 8)).shape
    numgrad.Size([1, 2, 4, 4, 4])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.lp_pool3d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest values of windows that cut input [N, C, D, H, W] into ``output_size`` parts.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.AdaptiveMaxPool3d(1)(ng.ones(1, 2, 8, 8, 8)).shape
    numgrad.Size([1, 2, 1, 1, 1])
    """

    def forward(self, input: Tensor) -> Any:
        return F.adaptive_max_pool3d(input, self.output_size, self.return_indices)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Means of windows that cut input [N, C, D, H, W] into ``output_size`` parts.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.AdaptiveAvgPool3d(1)(ng.ones(1, 2, 8, 8, 8)).shape
    numgrad.Size([1, 2, 1, 1, 1])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool3d(input, self.output_size)


class MaxUnpool3d(_MaxUnpool):
    """Zeros with the values of `MaxPool3d` where they stood, by the indices that it returned.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> values, indices = nn.MaxPool3d(2, return_indices=True)(ng.ones(1, 2, 8, 8, 8))
    >>> nn.MaxUnpool3d(2)(values, indices).shape
    numgrad.Size([1, 2, 8, 8, 8])
    """

    _ndim = 3

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        return F.max_unpool3d(input, indices, self.kernel_size, self.stride, self.padding, output_size)
