"""EfficientNet and EfficientNetV2: depth, width and size of the images scaled together. Tan and Le 2019 and 2021."""

# ruff: noqa: N801 (torchvision's names)

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from numgrad import nn
from numgrad.models.blocks import (
    Conv2dNormActivation,
    NormLayer,
    SqueezeExcitation,
    StochasticDepth,
    initialise,
    make_divisible,
)
from numgrad.models.builders import build, register
from numgrad.models.weights import WeightsEnum, weights_of
from numgrad.tensor import shaping
from numgrad.tensor.tensor import Tensor

__all__ = [
    "EfficientNet",
    "EfficientNet_B0_Weights",
    "EfficientNet_B1_Weights",
    "EfficientNet_B2_Weights",
    "EfficientNet_B3_Weights",
    "EfficientNet_B4_Weights",
    "EfficientNet_B5_Weights",
    "EfficientNet_B6_Weights",
    "EfficientNet_B7_Weights",
    "EfficientNet_V2_L_Weights",
    "EfficientNet_V2_M_Weights",
    "EfficientNet_V2_S_Weights",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_v2_l",
    "efficientnet_v2_m",
    "efficientnet_v2_s",
]


@dataclass
class _Stage:
    """A stage: blocks that widen by ``expand_ratio``; the first has the stride. ``block`` makes one."""

    expand_ratio: float
    kernel: int
    stride: int
    input_channels: int
    out_channels: int
    num_layers: int
    block: Callable[..., nn.Module]

    @staticmethod
    def adjust_channels(channels: int, width_mult: float, min_value: int | None = None) -> int:
        """The scaled number of channels, a multiple of 8."""
        return make_divisible(channels * width_mult, 8, min_value)


class MBConvConfig(_Stage):
    """A stage of `MBConv` blocks, whose width and depth are scaled."""

    def __init__(
        self,
        expand_ratio: float,
        kernel: int,
        stride: int,
        input_channels: int,
        out_channels: int,
        num_layers: int,
        width_mult: float = 1.0,
        depth_mult: float = 1.0,
        block: Callable[..., nn.Module] | None = None,
    ) -> None:
        before, after = (self.adjust_channels(each, width_mult) for each in (input_channels, out_channels))
        layers = self.adjust_depth(num_layers, depth_mult)
        super().__init__(expand_ratio, kernel, stride, before, after, layers, block or MBConv)

    @staticmethod
    def adjust_depth(num_layers: int, depth_mult: float) -> int:
        """The scaled number of blocks."""
        return math.ceil(num_layers * depth_mult)


class FusedMBConvConfig(_Stage):
    """A stage of `FusedMBConv` blocks."""

    def __init__(
        self,
        expand_ratio: float,
        kernel: int,
        stride: int,
        input_channels: int,
        out_channels: int,
        num_layers: int,
        block: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__(expand_ratio, kernel, stride, input_channels, out_channels, num_layers, block or FusedMBConv)


class _Residual(nn.Module):
    """A block whose input is added to its output where both have one shape."""

    def __init__(self, cnf: _Stage, stochastic_depth_prob: float, layers: list[nn.Module]) -> None:
        super().__init__()
        if not 1 <= cnf.stride <= 2:
            raise ValueError(f"stride should be 1 or 2 instead of {cnf.stride}")
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels
        self.block = nn.Sequential(*layers)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        self.out_channels = cnf.out_channels

    def forward(self, input: Tensor) -> Tensor:
        out = self.block(input)
        if self.use_res_connect:
            out = self.stochastic_depth(out)
            out += input
        return out  # type: ignore[no-any-return]


class MBConv(_Residual):
    """Widen by a convolution of one pixel, filter each channel by itself, gate the channels, narrow.

    Raises
    ------
    ValueError
        The stride is neither 1 nor 2.
    """

    def __init__(
        self,
        cnf: MBConvConfig,
        stochastic_depth_prob: float,
        norm_layer: NormLayer,
        se_layer: Callable[..., nn.Module] = SqueezeExcitation,
    ) -> None:
        before, wide = cnf.input_channels, cnf.adjust_channels(cnf.input_channels, cnf.expand_ratio)
        common: dict[str, Any] = {"norm_layer": norm_layer, "activation_layer": nn.SiLU}
        layers: list[nn.Module] = []
        if wide != before:
            layers.append(Conv2dNormActivation(before, wide, 1, **common))
        layers += [
            Conv2dNormActivation(wide, wide, cnf.kernel, cnf.stride, groups=wide, **common),
            se_layer(wide, max(1, before // 4), activation=partial(nn.SiLU, inplace=True)),
            Conv2dNormActivation(wide, cnf.out_channels, 1, norm_layer=norm_layer, activation_layer=None),
        ]
        super().__init__(cnf, stochastic_depth_prob, layers)


class FusedMBConv(_Residual):
    """Widen by a convolution over all channels and narrow; if nothing is widened, that one convolution alone.

    Raises
    ------
    ValueError
        The stride is neither 1 nor 2.
    """

    def __init__(self, cnf: FusedMBConvConfig, stochastic_depth_prob: float, norm_layer: NormLayer) -> None:
        before, wide = cnf.input_channels, cnf.adjust_channels(cnf.input_channels, cnf.expand_ratio)
        first = wide if wide != before else cnf.out_channels
        layers: list[nn.Module] = [
            Conv2dNormActivation(before, first, cnf.kernel, cnf.stride, norm_layer=norm_layer, activation_layer=nn.SiLU)
        ]
        if wide != before:
            layers.append(Conv2dNormActivation(wide, cnf.out_channels, 1, norm_layer=norm_layer, activation_layer=None))
        super().__init__(cnf, stochastic_depth_prob, layers)


class EfficientNet(nn.Module):
    """EfficientNet, of the first or the second kind, for images [N, 3, H, W].

    Parameters
    ----------
    inverted_residual_setting
        One `MBConvConfig` or `FusedMBConvConfig` for each stage.
    dropout
        Probability of the dropout before the last layer.
    stochastic_depth_prob
        Probability with which the last block is left out in training; that of others grows evenly from 0.
    num_classes
        Size of the output [N, num_classes].
    norm_layer
        Makes a norm for a number of channels; default `nn.BatchNorm2d`.
    last_channel
        Channels before the pool; None: four times those of the last stage.

    Raises
    ------
    ValueError
        The setting is empty.
    TypeError
        The setting is no sequence of stages.

    >>> import numgrad as ng
    >>> from numgrad import models
    >>> stage = models.efficientnet.MBConvConfig(4, 3, 2, 8, 16, 2)
    >>> models.EfficientNet([stage], dropout=0.2, num_classes=10).eval()(ng.ones(1, 3, 32, 32)).shape
    numgrad.Size([1, 10])
    """

    def __init__(
        self,
        inverted_residual_setting: Sequence[MBConvConfig | FusedMBConvConfig],
        dropout: float,
        stochastic_depth_prob: float = 0.2,
        num_classes: int = 1000,
        norm_layer: NormLayer | None = None,
        last_channel: int | None = None,
    ) -> None:
        super().__init__()
        if not inverted_residual_setting:
            raise ValueError("The inverted_residual_setting should not be empty")
        if not all(isinstance(stage, _Stage) for stage in inverted_residual_setting):
            raise TypeError("The inverted_residual_setting should be List[MBConvConfig]")
        norm = norm_layer or nn.BatchNorm2d
        common: dict[str, Any] = {"norm_layer": norm, "activation_layer": nn.SiLU}
        layers: list[nn.Module] = [
            Conv2dNormActivation(3, inverted_residual_setting[0].input_channels, stride=2, **common)
        ]
        total, done = sum(stage.num_layers for stage in inverted_residual_setting), 0
        for stage in inverted_residual_setting:
            stage_blocks: list[nn.Module] = []
            for number in range(stage.num_layers):
                row = copy.copy(stage)
                if number:
                    row.input_channels, row.stride = row.out_channels, 1
                stage_blocks.append(row.block(row, stochastic_depth_prob * done / total, norm))
                done += 1
            layers.append(nn.Sequential(*stage_blocks))
        before = inverted_residual_setting[-1].out_channels
        last = 4 * before if last_channel is None else last_channel
        layers.append(Conv2dNormActivation(before, last, 1, **common))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout, inplace=True), nn.Linear(last, num_classes))
        bound = 1.0 / math.sqrt(num_classes)
        initialise(self, partial(nn.init.uniform_, a=-bound, b=bound))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(shaping.flatten(self.avgpool(self.features(x)), 1))  # type: ignore[no-any-return]


_Row = tuple[int, int, int, int, int, int]

# The paper's table 1: widening, kernel, stride, channels before and after, blocks.
_B = (
    (1, 3, 1, 32, 16, 1),
    (6, 3, 2, 16, 24, 2),
    (6, 5, 2, 24, 40, 2),
    (6, 3, 2, 40, 80, 3),
    (6, 5, 1, 80, 112, 3),
    (6, 5, 2, 112, 192, 4),
    (6, 3, 1, 192, 320, 1),
)
# The second paper's table 4, and its larger networks: the first three stages are fused.
_S = (
    (1, 3, 1, 24, 24, 2),
    (4, 3, 2, 24, 48, 4),
    (4, 3, 2, 48, 64, 4),
    (4, 3, 2, 64, 128, 6),
    (6, 3, 1, 128, 160, 9),
    (6, 3, 2, 160, 256, 15),
)
_M = (
    (1, 3, 1, 24, 24, 3),
    (4, 3, 2, 24, 48, 5),
    (4, 3, 2, 48, 80, 5),
    (4, 3, 2, 80, 160, 7),
    (6, 3, 1, 160, 176, 14),
    (6, 3, 2, 176, 304, 18),
    (6, 3, 1, 304, 512, 5),
)
_L = (
    (1, 3, 1, 32, 32, 4),
    (4, 3, 2, 32, 64, 7),
    (4, 3, 2, 64, 96, 7),
    (4, 3, 2, 96, 192, 10),
    (6, 3, 1, 192, 224, 19),
    (6, 3, 2, 224, 384, 25),
    (6, 3, 1, 384, 640, 7),
)


def _first_kind(width_mult: float, depth_mult: float, dropout: float, **config: Any) -> EfficientNet:
    setting = [MBConvConfig(*row, width_mult=width_mult, depth_mult=depth_mult) for row in _B]
    return EfficientNet(setting, **{"dropout": dropout, **config})


def _first_kind_slow_statistics(width_mult: float, depth_mult: float, dropout: float, **config: Any) -> EfficientNet:
    """B5 to B7, whose norms are TensorFlow's."""
    norm = partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
    return _first_kind(width_mult, depth_mult, dropout, **{"norm_layer": norm, **config})


def _second_kind(rows: tuple[_Row, ...], dropout: float, **config: Any) -> EfficientNet:
    setting: list[MBConvConfig | FusedMBConvConfig] = [
        *(FusedMBConvConfig(*row) for row in rows[:3]),
        *(MBConvConfig(*row) for row in rows[3:]),
    ]
    norm = partial(nn.BatchNorm2d, eps=1e-3)
    return EfficientNet(setting, **{"dropout": dropout, "norm_layer": norm, "last_channel": 1280, **config})


class EfficientNet_B0_Weights(WeightsEnum):
    """Weights of `efficientnet_b0`."""

    IMAGENET1K_V1 = weights_of("efficientnet_b0.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class EfficientNet_B1_Weights(WeightsEnum):
    """Weights of `efficientnet_b1`."""

    IMAGENET1K_V1 = weights_of("efficientnet_b1.imagenet1k_v1")
    IMAGENET1K_V2 = weights_of("efficientnet_b1.imagenet1k_v2")
    DEFAULT = IMAGENET1K_V2


class EfficientNet_B2_Weights(WeightsEnum):
    """Weights of `efficientnet_b2`."""

    IMAGENET1K_V1 = weights_of("efficientnet_b2.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class EfficientNet_B3_Weights(WeightsEnum):
    """Weights of `efficientnet_b3`."""

    IMAGENET1K_V1 = weights_of("efficientnet_b3.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class EfficientNet_B4_Weights(WeightsEnum):
    """Weights of `efficientnet_b4`."""

    IMAGENET1K_V1 = weights_of("efficientnet_b4.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class EfficientNet_B5_Weights(WeightsEnum):
    """Weights of `efficientnet_b5`."""

    IMAGENET1K_V1 = weights_of("efficientnet_b5.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class EfficientNet_B6_Weights(WeightsEnum):
    """Weights of `efficientnet_b6`."""

    IMAGENET1K_V1 = weights_of("efficientnet_b6.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class EfficientNet_B7_Weights(WeightsEnum):
    """Weights of `efficientnet_b7`."""

    IMAGENET1K_V1 = weights_of("efficientnet_b7.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class EfficientNet_V2_S_Weights(WeightsEnum):
    """Weights of `efficientnet_v2_s`."""

    IMAGENET1K_V1 = weights_of("efficientnet_v2_s.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class EfficientNet_V2_M_Weights(WeightsEnum):
    """Weights of `efficientnet_v2_m`."""

    IMAGENET1K_V1 = weights_of("efficientnet_v2_m.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class EfficientNet_V2_L_Weights(WeightsEnum):
    """Weights of `efficientnet_v2_l`."""

    IMAGENET1K_V1 = weights_of("efficientnet_v2_l.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


@register(EfficientNet_B0_Weights)
def efficientnet_b0(
    *, weights: EfficientNet_B0_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> EfficientNet:
    """EfficientNet-B0; ``kwargs`` are arguments of `EfficientNet`, the others and the errors are those of `resnet18`."""
    return build(EfficientNet_B0_Weights, weights, progress, kwargs, _first_kind, 1.0, 1.0, 0.2)


@register(EfficientNet_B1_Weights)
def efficientnet_b1(
    *, weights: EfficientNet_B1_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> EfficientNet:
    """EfficientNet-B1; arguments and errors as for `efficientnet_b0`."""
    return build(EfficientNet_B1_Weights, weights, progress, kwargs, _first_kind, 1.0, 1.1, 0.2)


@register(EfficientNet_B2_Weights)
def efficientnet_b2(
    *, weights: EfficientNet_B2_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> EfficientNet:
    """EfficientNet-B2; arguments and errors as for `efficientnet_b0`."""
    return build(EfficientNet_B2_Weights, weights, progress, kwargs, _first_kind, 1.1, 1.2, 0.3)


@register(EfficientNet_B3_Weights)
def efficientnet_b3(
    *, weights: EfficientNet_B3_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> EfficientNet:
    """EfficientNet-B3; arguments and errors as for `efficientnet_b0`."""
    return build(EfficientNet_B3_Weights, weights, progress, kwargs, _first_kind, 1.2, 1.4, 0.3)


@register(EfficientNet_B4_Weights)
def efficientnet_b4(
    *, weights: EfficientNet_B4_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> EfficientNet:
    """EfficientNet-B4; arguments and errors as for `efficientnet_b0`."""
    return build(EfficientNet_B4_Weights, weights, progress, kwargs, _first_kind, 1.4, 1.8, 0.4)


@register(EfficientNet_B5_Weights)
def efficientnet_b5(
    *, weights: EfficientNet_B5_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> EfficientNet:
    """EfficientNet-B5; arguments and errors as for `efficientnet_b0`."""
    return build(EfficientNet_B5_Weights, weights, progress, kwargs, _first_kind_slow_statistics, 1.6, 2.2, 0.4)


@register(EfficientNet_B6_Weights)
def efficientnet_b6(
    *, weights: EfficientNet_B6_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> EfficientNet:
    """EfficientNet-B6; arguments and errors as for `efficientnet_b0`."""
    return build(EfficientNet_B6_Weights, weights, progress, kwargs, _first_kind_slow_statistics, 1.8, 2.6, 0.5)


@register(EfficientNet_B7_Weights)
def efficientnet_b7(
    *, weights: EfficientNet_B7_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> EfficientNet:
    """EfficientNet-B7; arguments and errors as for `efficientnet_b0`."""
    return build(EfficientNet_B7_Weights, weights, progress, kwargs, _first_kind_slow_statistics, 2.0, 3.1, 0.5)


@register(EfficientNet_V2_S_Weights)
def efficientnet_v2_s(
    *, weights: EfficientNet_V2_S_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> EfficientNet:
    """EfficientNetV2-S; arguments and errors as for `efficientnet_b0`."""
    return build(EfficientNet_V2_S_Weights, weights, progress, kwargs, _second_kind, _S, 0.2)


@register(EfficientNet_V2_M_Weights)
def efficientnet_v2_m(
    *, weights: EfficientNet_V2_M_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> EfficientNet:
    """EfficientNetV2-M; arguments and errors as for `efficientnet_b0`."""
    return build(EfficientNet_V2_M_Weights, weights, progress, kwargs, _second_kind, _M, 0.3)


@register(EfficientNet_V2_L_Weights)
def efficientnet_v2_l(
    *, weights: EfficientNet_V2_L_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> EfficientNet:
    """EfficientNetV2-L; arguments and errors as for `efficientnet_b0`."""
    return build(EfficientNet_V2_L_Weights, weights, progress, kwargs, _second_kind, _L, 0.4)
