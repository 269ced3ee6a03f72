"""MobileNetV2: blocks that widen, filter each channel by itself, and narrow again. Sandler et al. 2018."""

# ruff: noqa: N801 (torchvision's names)

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numgrad import nn
from numgrad.models.blocks import (
    Conv2dNormActivation,
    NormLayer,
    Sequential,
    initialise,
    make_divisible,
    normal_of_a_hundredth,
)
from numgrad.models.builders import build, register
from numgrad.models.weights import WeightsEnum, weights_of
from numgrad.nn import functional as F
from numgrad.tensor import shaping
from numgrad.tensor.tensor import Tensor

__all__ = [
    "MobileNetV2",
    "MobileNet_V2_Weights",
    "mobilenet_v2",
]

# The paper's table 2: how much a block widens, its output's channels, the number of blocks, the stride of the first.
_SETTING = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class InvertedResidual(nn.Module):
    """A convolution of one pixel that widens, one for each channel by itself, and one of one pixel that narrows.

    Raises
    ------
    ValueError
        The stride is neither 1 nor 2.
    """

    def __init__(self, inp: int, oup: int, stride: int, expand_ratio: int, norm_layer: NormLayer | None = None) -> None:
        super().__init__()
        if stride not in (1, 2):
            raise ValueError(f"stride should be 1 or 2 instead of {stride}")
        norm = norm_layer or nn.BatchNorm2d
        self.stride = stride
        self.use_res_connect = stride == 1 and inp == oup
        self.out_channels = oup
        wide = round(inp * expand_ratio)
        layers: list[nn.Module] = []
        if expand_ratio != 1:
            layers.append(Conv2dNormActivation(inp, wide, 1, norm_layer=norm, activation_layer=nn.ReLU6))
        layers += [
            Conv2dNormActivation(wide, wide, stride=stride, groups=wide, norm_layer=norm, activation_layer=nn.ReLU6),
            nn.Conv2d(wide, oup, 1, bias=False),
            norm(oup),
        ]
        self.conv = Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv(x)
        return x + out if self.use_res_connect else out


class MobileNetV2(nn.Module):
    """MobileNetV2 for images [N, 3, H, W].

    Parameters
    ----------
    num_classes
        Size of the output [N, num_classes].
    width_mult
        Factor of the channels of every layer.
    inverted_residual_setting
        For each stage [how much a block widens, channels, blocks, stride of the first]; None: the paper's.
    round_nearest
        Channels are multiples of this number.
    block, norm_layer
        Make a block, and a norm for a number of channels; None: `InvertedResidual` and `nn.BatchNorm2d`.
    dropout
        Probability of the dropout before the last layer.

    Raises
    ------
    ValueError
        The setting is empty or its rows have not four numbers.

    >>> import numgrad as ng
    >>> from numgrad import models
    >>> models.MobileNetV2(num_classes=10, width_mult=0.25).eval()(ng.ones(1, 3, 32, 32)).shape
    numgrad.Size([1, 10])
    """

    def __init__(
        self,
        num_classes: int = 1000,
        width_mult: float = 1.0,
        inverted_residual_setting: Sequence[Sequence[int]] | None = None,
        round_nearest: int = 8,
        block: Any = None,
        norm_layer: NormLayer | None = None,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        block = block or InvertedResidual
        norm = norm_layer or nn.BatchNorm2d
        setting = _SETTING if inverted_residual_setting is None else inverted_residual_setting
        if len(setting) == 0 or len(setting[0]) != 4:
            raise ValueError(
                f"inverted_residual_setting should be non-empty or a 4-element list, got {inverted_residual_setting}"
            )
        before = make_divisible(32 * width_mult, round_nearest)
        self.last_channel = make_divisible(1280 * max(1.0, width_mult), round_nearest)
        layers: list[nn.Module] = [
            Conv2dNormActivation(3, before, stride=2, norm_layer=norm, activation_layer=nn.ReLU6)
        ]
        for ratio, channels, count, stride in setting:
            after = make_divisible(channels * width_mult, round_nearest)
            for number in range(count):
                layers.append(block(before, after, 1 if number else stride, expand_ratio=ratio, norm_layer=norm))
                before = after
        layers.append(Conv2dNormActivation(before, self.last_channel, 1, norm_layer=norm, activation_layer=nn.ReLU6))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout), nn.Linear(self.last_channel, num_classes))
        initialise(self, normal_of_a_hundredth)

    def forward(self, x: Tensor) -> Tensor:
        x = F.adaptive_avg_pool2d(self.features(x), (1, 1))
        return self.classifier(shaping.flatten(x, 1))  # type: ignore[no-any-return]


class MobileNet_V2_Weights(WeightsEnum):
    """Weights of `mobilenet_v2`."""

    IMAGENET1K_V1 = weights_of("mobilenet_v2.imagenet1k_v1")
    IMAGENET1K_V2 = weights_of("mobilenet_v2.imagenet1k_v2")
    DEFAULT = IMAGENET1K_V2


@register(MobileNet_V2_Weights)
def mobilenet_v2(
    *, weights: MobileNet_V2_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> MobileNetV2:
    """MobileNetV2; ``kwargs`` are arguments of `MobileNetV2`, the others and the errors are those of `resnet18`."""
    return build(MobileNet_V2_Weights, weights, progress, kwargs, MobileNetV2)
