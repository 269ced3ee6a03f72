"""ShuffleNetV2: half of the channels passes by, and the halves are shuffled. Ma et al. 2018."""

# ruff: noqa: N801 (torchvision's names)

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numgrad import nn
from numgrad.models.blocks import Sequential
from numgrad.models.builders import build, register
from numgrad.models.weights import WeightsEnum, weights_of
from numgrad.tensor import channels, joining
from numgrad.tensor.tensor import Tensor

__all__ = [
    "ShuffleNetV2",
    "ShuffleNet_V2_X0_5_Weights",
    "ShuffleNet_V2_X1_0_Weights",
    "ShuffleNet_V2_X1_5_Weights",
    "ShuffleNet_V2_X2_0_Weights",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
]


def _pointwise(inputs: int, outputs: int) -> list[nn.Module]:
    """A convolution of one pixel, a norm and ReLU."""
    return [nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


def _depthwise(width: int, stride: int) -> list[nn.Module]:
    """A 3x3 convolution of each channel by itself, and a norm."""
    return [nn.Conv2d(width, width, 3, stride, 1, groups=width, bias=False), nn.BatchNorm2d(width)]


class InvertedResidual(nn.Module):
    """A block: with stride 1 one half of the channels passes by, with another one both halves are computed from all.

    Raises
    ------
    ValueError
        The stride is not 1, 2 or 3, or with stride 1 the numbers of channels differ or are odd.
    """

    def __init__(self, inp: int, oup: int, stride: int) -> None:
        super().__init__()
        if not 1 <= stride <= 3:
            raise ValueError(f"stride should be 1, 2 or 3 instead of {stride}")
        half = oup // 2
        if stride == 1 and inp != 2 * half:
            raise ValueError(
                f"Invalid combination of stride {stride}, inp {inp} and oup {oup} values. If stride == 1 then inp "
                "should be equal to oup // 2 << 1."
            )
        self.stride = stride
        self.branch1 = Sequential(*([] if stride == 1 else [*_depthwise(inp, stride), *_pointwise(inp, half)]))
        before = half if stride == 1 else inp
        self.branch2 = Sequential(*_pointwise(before, half), *_depthwise(half, stride), *_pointwise(half, half))

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 1:
            passing, rest = joining.chunk(x, 2, 1)
            halves = passing, self.branch2(rest)
        else:
            halves = self.branch1(x), self.branch2(x)
        return channels.channel_shuffle(joining.cat(halves, 1), 2)


class ShuffleNetV2(nn.Module):
    """ShuffleNetV2 for images [N, 3, H, W].

    Parameters
    ----------
    stages_repeats
        Number of blocks of each of the three stages.
    stages_out_channels
        Channels of the first convolution, of the three stages and of the last convolution.
    num_classes
        Size of the output [N, num_classes].
    inverted_residual
        Makes a block.

    Raises
    ------
    ValueError
        There are not three numbers of blocks, or not five of channels.

    >>> import numgrad as ng
    >>> from numgrad import models
    >>> models.ShuffleNetV2([1, 1, 1], [8, 16, 32, 64, 64], num_classes=10).eval()(ng.ones(1, 3, 32, 32)).shape
    numgrad.Size([1, 10])
    """

    def __init__(
        self,
        stages_repeats: Sequence[int],
        stages_out_channels: Sequence[int],
        num_classes: int = 1000,
        inverted_residual: Callable[..., nn.Module] = InvertedResidual,
    ) -> None:
        super().__init__()
        if len(stages_repeats) != 3:
            raise ValueError(f"expected stages_repeats as list of 3 positive ints, got {list(stages_repeats)}")
        if len(stages_out_channels) != 5:
            raise ValueError(
                f"expected stages_out_channels as list of 5 positive ints, got {list(stages_out_channels)}"
            )
        before, last = stages_out_channels[0], stages_out_channels[-1]
        self.conv1 = Sequential(
            nn.Conv2d(3, before, 3, 2, 1, bias=False), nn.BatchNorm2d(before), nn.ReLU(inplace=True)
        )
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        for stage, (repeats, after) in enumerate(zip(stages_repeats, stages_out_channels[1:-1], strict=True), 2):
            others = (inverted_residual(after, after, 1) for _ in range(repeats - 1))
            self.add_module(f"stage{stage}", nn.Sequential(inverted_residual(before, after, 2), *others))
            before = after
        self.conv5 = Sequential(*_pointwise(before, last))
        self.fc = nn.Linear(last, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stage4(self.stage3(self.stage2(self.maxpool(self.conv1(x)))))
        return self.fc(self.conv5(x).mean((2, 3)))  # type: ignore[no-any-return]


class ShuffleNet_V2_X0_5_Weights(WeightsEnum):
    """Weights of `shufflenet_v2_x0_5`."""

    IMAGENET1K_V1 = weights_of("shufflenet_v2_x0_5.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class ShuffleNet_V2_X1_0_Weights(WeightsEnum):
    """Weights of `shufflenet_v2_x1_0`."""

    IMAGENET1K_V1 = weights_of("shufflenet_v2_x1_0.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class ShuffleNet_V2_X1_5_Weights(WeightsEnum):
    """Weights of `shufflenet_v2_x1_5`."""

    IMAGENET1K_V1 = weights_of("shufflenet_v2_x1_5.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class ShuffleNet_V2_X2_0_Weights(WeightsEnum):
    """Weights of `shufflenet_v2_x2_0`."""

    IMAGENET1K_V1 = weights_of("shufflenet_v2_x2_0.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


@register(ShuffleNet_V2_X0_5_Weights)
def shufflenet_v2_x0_5(
    *, weights: ShuffleNet_V2_X0_5_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> ShuffleNetV2:
    """ShuffleNetV2 of width 0.5; ``kwargs`` are arguments of `ShuffleNetV2`, the others and the errors are those of `resnet18`."""
    return build(
        ShuffleNet_V2_X0_5_Weights, weights, progress, kwargs, ShuffleNetV2, [4, 8, 4], [24, 48, 96, 192, 1024]
    )


@register(ShuffleNet_V2_X1_0_Weights)
def shufflenet_v2_x1_0(
    *, weights: ShuffleNet_V2_X1_0_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> ShuffleNetV2:
    """ShuffleNetV2 of width 1.0; arguments and errors as for `shufflenet_v2_x0_5`."""
    return build(
        ShuffleNet_V2_X1_0_Weights, weights, progress, kwargs, ShuffleNetV2, [4, 8, 4], [24, 116, 232, 464, 1024]
    )


@register(ShuffleNet_V2_X1_5_Weights)
def shufflenet_v2_x1_5(
    *, weights: ShuffleNet_V2_X1_5_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> ShuffleNetV2:
    """ShuffleNetV2 of width 1.5; arguments and errors as for `shufflenet_v2_x0_5`."""
    return build(
        ShuffleNet_V2_X1_5_Weights, weights, progress, kwargs, ShuffleNetV2, [4, 8, 4], [24, 176, 352, 704, 1024]
    )


@register(ShuffleNet_V2_X2_0_Weights)
def shufflenet_v2_x2_0(
    *, weights: ShuffleNet_V2_X2_0_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> ShuffleNetV2:
    """ShuffleNetV2 of width 2.0; arguments and errors as for `shufflenet_v2_x0_5`."""
    return build(
        ShuffleNet_V2_X2_0_Weights, weights, progress, kwargs, ShuffleNetV2, [4, 8, 4], [24, 244, 488, 976, 2048]
    )
