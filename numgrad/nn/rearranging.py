"""Layers that rearrange pixels: upsampling, patches and columns, shuffles, and the dimension that becomes several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numgrad.layout import product
from numgrad.nn import functional as F
from numgrad.nn.module import Module
from numgrad.tensor import shaping
from numgrad.tensor.arguments import as_int, check_tensor, wrap_dim
from numgrad.tensor.checked import Pair
from numgrad.tensor.tensor import Tensor

__all__ = [
    "ChannelShuffle",
    "Fold",
    "PixelShuffle",
    "PixelUnshuffle",
    "Unflatten",
    "Unfold",
    "Upsample",
    "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
]


class Upsample(Module):
    """The input in other extents, by `functional.interpolate` and its modes.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.Upsample(scale_factor=2)(ng.ones(1, 1, 2, 2)).shape
    numgrad.Size([1, 1, 4, 4])
    """

    def __init__(
        self,
        size: Pair | None = None,
        scale_factor: float | Sequence[float] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        self.name = type(self).__name__
        self.size = size
        if isinstance(scale_factor, (tuple, list)):
            self.scale_factor: Any = tuple(float(factor) for factor in scale_factor)
        else:
            self.scale_factor = float(scale_factor) if scale_factor else None  # type: ignore[arg-type]
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.interpolate(
            input, self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor
        )

    def extra_repr(self) -> str:
        extents = f"scale_factor={self.scale_factor!r}" if self.scale_factor is not None else f"size={self.size!r}"
        return f"{extents}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Images in other extents, by the nearest pixel.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.UpsamplingNearest2d(scale_factor=2)(ng.ones(1, 1, 2, 2)).shape
    numgrad.Size([1, 1, 4, 4])
    """

    def __init__(self, size: Pair | None = None, scale_factor: float | Sequence[float] | None = None) -> None:
        super().__init__(size, scale_factor, "nearest")


class UpsamplingBilinear2d(Upsample):
    """Images in other extents, by bilinear interpolation with aligned corners.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.UpsamplingBilinear2d(scale_factor=2)(ng.ones(1, 1, 2, 2)).shape
    numgrad.Size([1, 1, 4, 4])
    """

    def __init__(self, size: Pair | None = None, scale_factor: float | Sequence[float] | None = None) -> None:
        super().__init__(size, scale_factor, "bilinear", True)


class Unflatten(Module):
    """The dimension ``dim`` as several, of extents ``unflattened_size``, of which one may be -1.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.Unflatten(1, (2, -1))(ng.ones(1, 6)).shape
    numgrad.Size([1, 2, 3])
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        if not isinstance(unflattened_size, (tuple, list)):
            raise TypeError(
                f"Unflatten: unflattened_size must be a tuple of ints, but found type {type(unflattened_size).__name__}; "
                "dimensions have no names here"
            )
        self.dim = as_int("Unflatten", "dim", dim)
        self.unflattened_size = tuple(as_int("Unflatten", "unflattened_size", extent) for extent in unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        axis = wrap_dim("unflatten", self.dim, check_tensor("unflatten", "input", input).ndim)
        extent, size = input.shape[axis], self.unflattened_size
        known = product([each for each in size if each != -1])
        if size.count(-1) > 1 or known != extent if -1 not in size else (known == 0 or extent % known):
            raise RuntimeError(
                f"unflatten: Provided sizes {list(size)} don't multiply up to the size of dim {self.dim} ({extent}) in the input "
                "tensor"
            )
        filled = [extent // known if each == -1 else each for each in size]
        return shaping.reshape(input, (*input.shape[:axis], *filled, *input.shape[axis + 1 :]))

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class PixelShuffle(Module):
    """[..., C * r², H, W] as [..., C, H * r, W * r], for the factor r.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.PixelShuffle(2)(ng.ones(1, 8, 3, 3)).shape
    numgrad.Size([1, 2, 6, 6])
    """

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """[..., C, H * r, W * r] as [..., C * r², H, W], for the factor r.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.PixelUnshuffle(2)(ng.ones(1, 2, 6, 6)).shape
    numgrad.Size([1, 8, 3, 3])
    """

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """The channels in another order: the first of each group, then the second of each, ...

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.ChannelShuffle(2)(ng.arange(4).reshape(1, 4, 1)).flatten()
    tensor([0, 2, 1, 3])
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Tensor) -> Tensor:
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"


class Unfold(Module):
    """The patches of images [N, C, H, W] as columns [N, C * R * S, L].

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.Unfold(2)(ng.ones(1, 2, 3, 3)).shape
    numgrad.Size([1, 8, 4])
    """

    def __init__(self, kernel_size: Pair, dilation: Pair = 1, padding: Pair = 0, stride: Pair = 1) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class Fold(Module):
    """Columns added where `Unfold` took them, into images ``[N, C, *output_size]``.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.Fold((3, 3), 2)(ng.ones(1, 8, 4)).shape
    numgrad.Size([1, 2, 3, 3])
    """

    def __init__(
        self, output_size: Pair, kernel_size: Pair, dilation: Pair = 1, padding: Pair = 0, stride: Pair = 1
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}, "
            f"padding={self.padding}, stride={self.stride}"
        )
