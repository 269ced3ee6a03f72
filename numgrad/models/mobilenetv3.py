"""MobileNetV3: MobileNetV2's blocks with gates of channels and hard swish. Howard et al. 2019."""

# ruff: noqa: N801 (torchvision's names)

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from numgrad import nn
from numgrad.models.blocks import (
    Conv2dNormActivation,
    NormLayer,
    SqueezeExcitation,
    initialise,
    make_divisible,
    normal_of_a_hundredth,
)
from numgrad.models.builders import build, register
from numgrad.models.weights import WeightsEnum, weights_of
from numgrad.tensor import shaping
from numgrad.tensor.tensor import Tensor

__all__ = [
    "MobileNetV3",
    "MobileNet_V3_Large_Weights",
    "MobileNet_V3_Small_Weights",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
]

_HARD_GATE = partial(SqueezeExcitation, scale_activation=nn.Hardsigmoid)


class InvertedResidualConfig:
    """One row of the paper's tables 1 and 2; channels are scaled by ``width_mult``.

    ``activation`` is 'RE' for ReLU or 'HS' for hard swish, ``use_se`` says whether the block has a gate of channels.
    """

    def __init__(
        self,
        input_channels: int,
        kernel: int,
        expanded_channels: int,
        out_channels: int,
        use_se: bool,
        activation: str,
        stride: int,
        dilation: int,
        width_mult: float,
    ) -> None:
        self.input_channels = self.adjust_channels(input_channels, width_mult)
        self.kernel = kernel
        self.expanded_channels = self.adjust_channels(expanded_channels, width_mult)
        self.out_channels = self.adjust_channels(out_channels, width_mult)
        self.use_se = use_se
        self.use_hs = activation == "HS"
        self.stride = stride
        self.dilation = dilation

    @staticmethod
    def adjust_channels(channels: int, width_mult: float) -> int:
        """The scaled number of channels, a multiple of 8."""
        return make_divisible(channels * width_mult, 8)


class InvertedResidual(nn.Module):
    """A block of MobileNetV3.

    Raises
    ------
    ValueError
        The stride is neither 1 nor 2.
    """

    def __init__(
        self,
        cnf: InvertedResidualConfig,
        norm_layer: NormLayer,
        se_layer: Callable[..., nn.Module] = _HARD_GATE,
    ) -> None:
        super().__init__()
        if not 1 <= cnf.stride <= 2:
            raise ValueError(f"stride should be 1 or 2 instead of {cnf.stride}")
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels
        self.out_channels = cnf.out_channels
        wide = cnf.expanded_channels
        common: dict[str, Any] = {
            "norm_layer": norm_layer,
            "activation_layer": nn.Hardswish if cnf.use_hs else nn.ReLU,
        }
        layers: list[nn.Module] = []
        if wide != cnf.input_channels:
            layers.append(Conv2dNormActivation(cnf.input_channels, wide, 1, **common))
        stride = 1 if cnf.dilation > 1 else cnf.stride
        layers.append(
            Conv2dNormActivation(wide, wide, cnf.kernel, stride, groups=wide, dilation=cnf.dilation, **common)
        )
        if cnf.use_se:
            layers.append(se_layer(wide, make_divisible(wide // 4, 8)))
        layers.append(Conv2dNormActivation(wide, cnf.out_channels, 1, norm_layer=norm_layer, activation_layer=None))
        self.block = nn.Sequential(*layers)

    def forward(self, input: Tensor) -> Tensor:
        out = self.block(input)
        if self.use_res_connect:
            out += input
        return out  # type: ignore[no-any-return]


class MobileNetV3(nn.Module):
    """MobileNetV3 for images [N, 3, H, W].

    Parameters
    ----------
    inverted_residual_setting
        One `InvertedResidualConfig` for each block.
    last_channel
        Width of the layer before the last.
    num_classes
        Size of the output [N, num_classes].
    block, norm_layer
        Make a block, and a norm for a number of channels; None: `InvertedResidual`, and `nn.BatchNorm2d` with eps=0.001
        and momentum=0.01.
    dropout
        Probability of the dropout before the last layer.

    Raises
    ------
    ValueError
        The setting is empty.
    TypeError
        The setting is no sequence of `InvertedResidualConfig`.

    >>> import numgrad as ng
    >>> from numgrad import models
    >>> row = models.mobilenetv3.InvertedResidualConfig(16, 3, 32, 24, True, "HS", 2, 1, 1.0)
    >>> models.MobileNetV3([row], 32, num_classes=10).eval()(ng.ones(1, 3, 32, 32)).shape
    numgrad.Size([1, 10])
    """

    def __init__(
        self,
        inverted_residual_setting: Sequence[InvertedResidualConfig],
        last_channel: int,
        num_classes: int = 1000,
        block: Any = None,
        norm_layer: NormLayer | None = None,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        if not inverted_residual_setting:
            raise ValueError("The inverted_residual_setting should not be empty")
        if not all(isinstance(row, InvertedResidualConfig) for row in inverted_residual_setting):
            raise TypeError("The inverted_residual_setting should be List[InvertedResidualConfig]")
        block = block or InvertedResidual
        norm = norm_layer or partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
        common: dict[str, Any] = {"norm_layer": norm, "activation_layer": nn.Hardswish}
        first, last = inverted_residual_setting[0].input_channels, inverted_residual_setting[-1].out_channels
        self.features = nn.Sequential(
            Conv2dNormActivation(3, first, stride=2, **common),
            *(block(row, norm) for row in inverted_residual_setting),
            Conv2dNormActivation(last, 6 * last, 1, **common),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(6 * last, last_channel),
            nn.Hardswish(inplace=True),
            nn.Dropout(p=dropout, inplace=True),
            nn.Linear(last_channel, num_classes),
        )
        initialise(self, normal_of_a_hundredth)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(shaping.flatten(self.avgpool(self.features(x)), 1))  # type: ignore[no-any-return]


_Row = tuple[int, int, int, int, bool, str, int, int]


def _large(tail: int, dilation: int) -> tuple[_Row, ...]:
    """The paper's table 1; ``tail`` divides the channels of the last stage."""
    wide, last = 960 // tail, 160 // tail
    return (
        (16, 3, 16, 16, False, "RE", 1, 1),
        (16, 3, 64, 24, False, "RE", 2, 1),
        (24, 3, 72, 24, False, "RE", 1, 1),
        (24, 5, 72, 40, True, "RE", 2, 1),
        (40, 5, 120, 40, True, "RE", 1, 1),
        (40, 5, 120, 40, True, "RE", 1, 1),
        (40, 3, 240, 80, False, "HS", 2, 1),
        (80, 3, 200, 80, False, "HS", 1, 1),
        (80, 3, 184, 80, False, "HS", 1, 1),
        (80, 3, 184, 80, False, "HS", 1, 1),
        (80, 3, 480, 112, True, "HS", 1, 1),
        (112, 3, 672, 112, True, "HS", 1, 1),
        (112, 5, 672, last, True, "HS", 2, dilation),
        (last, 5, wide, last, True, "HS", 1, dilation),
        (last, 5, wide, last, True, "HS", 1, dilation),
    )


def _small(tail: int, dilation: int) -> tuple[_Row, ...]:
    """The paper's table 2."""
    wide, last = 576 // tail, 96 // tail
    return (
        (16, 3, 16, 16, True, "RE", 2, 1),
        (16, 3, 72, 24, False, "RE", 2, 1),
        (24, 3, 88, 24, False, "RE", 1, 1),
        (24, 5, 96, 40, True, "HS", 2, 1),
        (40, 5, 240, 40, True, "HS", 1, 1),
        (40, 5, 240, 40, True, "HS", 1, 1),
        (40, 5, 120, 48, True, "HS", 1, 1),
        (48, 5, 144, 48, True, "HS", 1, 1),
        (48, 5, 288, last, True, "HS", 2, dilation),
        (last, 5, wide, last, True, "HS", 1, dilation),
        (last, 5, wide, last, True, "HS", 1, dilation),
    )


def _mobilenet_v3(
    rows: Callable[[int, int], tuple[_Row, ...]],
    last_channel: int,
    width_mult: float = 1.0,
    reduced_tail: bool = False,
    dilated: bool = False,
    **config: Any,
) -> MobileNetV3:
    """A network of the paper; ``reduced_tail`` and ``dilated`` are those of a backbone of segmentation."""
    tail = 2 if reduced_tail else 1
    setting = [InvertedResidualConfig(*row, width_mult) for row in rows(tail, 2 if dilated else 1)]
    return MobileNetV3(setting, InvertedResidualConfig.adjust_channels(last_channel // tail, width_mult), **config)


class MobileNet_V3_Large_Weights(WeightsEnum):
    """Weights of `mobilenet_v3_large`."""

    IMAGENET1K_V1 = weights_of("mobilenet_v3_large.imagenet1k_v1")
    IMAGENET1K_V2 = weights_of("mobilenet_v3_large.imagenet1k_v2")
    DEFAULT = IMAGENET1K_V2


class MobileNet_V3_Small_Weights(WeightsEnum):
    """Weights of `mobilenet_v3_small`."""

    IMAGENET1K_V1 = weights_of("mobilenet_v3_small.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


@register(MobileNet_V3_Large_Weights)
def mobilenet_v3_large(
    *, weights: MobileNet_V3_Large_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> MobileNetV3:
    """MobileNetV3 large. ``kwargs`` are arguments of `MobileNetV3`, and width_mult, a factor of all channels, and, for
    segmentation, reduced_tail and dilated; the others and the errors are those of `resnet18`.
    """
    return build(MobileNet_V3_Large_Weights, weights, progress, kwargs, _mobilenet_v3, _large, 1280)


@register(MobileNet_V3_Small_Weights)
def mobilenet_v3_small(
    *, weights: MobileNet_V3_Small_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> MobileNetV3:
    """MobileNetV3 small; arguments and errors as for `mobilenet_v3_large`."""
    return build(MobileNet_V3_Small_Weights, weights, progress, kwargs, _mobilenet_v3, _small, 1024)
