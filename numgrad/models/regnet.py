"""RegNet: widths that grow linearly with the depth, rounded to stages. Radosavovic et al. 2020."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from numgrad import nn
from numgrad.models.blocks import (
    ActivationLayer,
    Conv2dNormActivation,
    NormLayer,
    SqueezeExcitation,
    initialise,
    make_divisible,
    normal_of_a_hundredth,
)
from numgrad.models.builders import build, register
from numgrad.models.regnet_weights import (
    RegNet_X_1_6GF_Weights,
    RegNet_X_3_2GF_Weights,
    RegNet_X_8GF_Weights,
    RegNet_X_16GF_Weights,
    RegNet_X_32GF_Weights,
    RegNet_X_400MF_Weights,
    RegNet_X_800MF_Weights,
    RegNet_Y_1_6GF_Weights,
    RegNet_Y_3_2GF_Weights,
    RegNet_Y_8GF_Weights,
    RegNet_Y_16GF_Weights,
    RegNet_Y_32GF_Weights,
    RegNet_Y_128GF_Weights,
    RegNet_Y_400MF_Weights,
    RegNet_Y_800MF_Weights,
)
from numgrad.tensor import shaping
from numgrad.tensor.tensor import Tensor

__all__ = [
    "RegNet",
    "regnet_x_1_6gf",
    "regnet_x_3_2gf",
    "regnet_x_8gf",
    "regnet_x_16gf",
    "regnet_x_32gf",
    "regnet_x_400mf",
    "regnet_x_800mf",
    "regnet_y_1_6gf",
    "regnet_y_3_2gf",
    "regnet_y_8gf",
    "regnet_y_16gf",
    "regnet_y_32gf",
    "regnet_y_128gf",
    "regnet_y_400mf",
    "regnet_y_800mf",
]


class SimpleStemIN(Conv2dNormActivation):
    """A 3x3 convolution of stride 2, a norm and an activation."""

    def __init__(self, width_in: int, width_out: int, norm_layer: NormLayer, activation_layer: ActivationLayer) -> None:
        super().__init__(width_in, width_out, stride=2, norm_layer=norm_layer, activation_layer=activation_layer)


class BottleneckTransform(nn.Sequential):
    """A convolution of one pixel, one of 3x3 in groups, perhaps a gate of channels, and one of one pixel."""

    def __init__(
        self,
        width_in: int,
        width_out: int,
        stride: int,
        norm_layer: NormLayer,
        activation_layer: ActivationLayer,
        group_width: int,
        bottleneck_multiplier: float,
        se_ratio: float | None,
    ) -> None:
        wide = round(width_out * bottleneck_multiplier)
        common: dict[str, Any] = {"norm_layer": norm_layer, "activation_layer": activation_layer}
        layers: dict[str, nn.Module] = {
            "a": Conv2dNormActivation(width_in, wide, 1, **common),
            "b": Conv2dNormActivation(wide, wide, 3, stride, groups=wide // group_width, **common),
        }
        if se_ratio:
            layers["se"] = SqueezeExcitation(wide, round(se_ratio * width_in), activation=activation_layer)
        layers["c"] = Conv2dNormActivation(wide, width_out, 1, norm_layer=norm_layer, activation_layer=None)
        super().__init__(layers)


class ResBottleneckBlock(nn.Module):
    """A `BottleneckTransform` beside a residual connection, which is a convolution where shapes differ."""

    def __init__(
        self,
        width_in: int,
        width_out: int,
        stride: int,
        norm_layer: NormLayer,
        activation_layer: ActivationLayer,
        group_width: int = 1,
        bottleneck_multiplier: float = 1.0,
        se_ratio: float | None = None,
    ) -> None:
        super().__init__()
        self.proj: nn.Module | None = None
        if width_in != width_out or stride != 1:
            self.proj = Conv2dNormActivation(
                width_in, width_out, 1, stride, norm_layer=norm_layer, activation_layer=None
            )
        self.f = BottleneckTransform(
            width_in, width_out, stride, norm_layer, activation_layer, group_width, bottleneck_multiplier, se_ratio
        )
        self.activation = activation_layer(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation((x if self.proj is None else self.proj(x)) + self.f(x))  # type: ignore[no-any-return]


class AnyStage(nn.Sequential):
    """Blocks of one width; the first has the stride."""

    def __init__(
        self,
        width_in: int,
        width_out: int,
        stride: int,
        depth: int,
        block_constructor: Callable[..., nn.Module],
        *common: Any,
        stage_index: int = 0,
    ) -> None:
        super().__init__()
        for number in range(depth):
            before, step = (width_out, 1) if number else (width_in, stride)
            self.add_module(f"block{stage_index}-{number}", block_constructor(before, width_out, step, *common))


class BlockParams:
    """Depth, width, width of the groups, bottleneck's factor and stride of each stage, and the gates' ratio."""

    def __init__(
        self,
        depths: Sequence[int],
        widths: Sequence[int],
        group_widths: Sequence[int],
        bottleneck_multipliers: Sequence[float],
        strides: Sequence[int],
        se_ratio: float | None = None,
    ) -> None:
        self.depths = depths
        self.widths = widths
        self.group_widths = group_widths
        self.bottleneck_multipliers = bottleneck_multipliers
        self.strides = strides
        self.se_ratio = se_ratio

    @classmethod
    def from_init_params(
        cls,
        depth: int,
        w_0: int,
        w_a: float,
        w_m: float,
        group_width: int,
        bottleneck_multiplier: float = 1.0,
        se_ratio: float | None = None,
    ) -> BlockParams:
        """The stages of the paper's section 3.3: block j has width w_0 + w_a j, rounded to w_0 w_m^k, and that to 8.

        Raises
        ------
        ValueError
            w_a is negative, w_0 is no positive multiple of 8, or w_m is not larger than 1.
        """
        if w_a < 0 or w_0 <= 0 or w_m <= 1 or w_0 % 8 != 0:
            raise ValueError(
                f"Invalid RegNet settings: w_0 has to be a positive multiple of 8, w_a not negative and w_m more than 1; "
                f"got w_0={w_0}, w_a={w_a}, w_m={w_m}"
            )
        # In float32, as the trained networks were made: in float64 other widths could come out.
        capacity = np.round(
            np.log((np.arange(depth, dtype=np.float32) * np.float32(w_a) + w_0) / np.float32(w_0))
            / np.float32(math.log(w_m))
        )
        every = (np.round(w_0 * np.float32(w_m) ** capacity / 8) * 8).astype(int).tolist()
        grouped = [(width, len(list(blocks))) for width, blocks in itertools.groupby(every)]
        widths, groups = [], []
        for width, _ in grouped:
            bottleneck = int(width * bottleneck_multiplier)
            groups.append(min(group_width, bottleneck))
            widths.append(int(make_divisible(bottleneck, groups[-1]) / bottleneck_multiplier))
        count = len(grouped)
        depths = [length for _, length in grouped]
        return cls(depths, widths, groups, [bottleneck_multiplier] * count, [2] * count, se_ratio)

    def stages(self) -> Iterator[tuple[int, int, int, int, float]]:
        """Width, stride, depth, width of the groups and bottleneck's factor of each stage."""
        return zip(self.widths, self.strides, self.depths, self.group_widths, self.bottleneck_multipliers, strict=True)


class RegNet(nn.Module):
    """A RegNet for images [N, 3, H, W].

    Parameters
    ----------
    block_params
        The stages.
    num_classes
        Size of the output [N, num_classes].
    stem_width
        Channels of the first convolution.
    stem_type, block_type, norm_layer, activation
        Make the stem, a block, a norm for a number of channels, and an activation; None: `SimpleStemIN`,
        `ResBottleneckBlock`, `nn.BatchNorm2d`, `nn.ReLU`.

    >>> import numgrad as ng
    >>> from numgrad import models
    >>> params = models.regnet.BlockParams.from_init_params(depth=4, w_0=8, w_a=8.0, w_m=2.0, group_width=8)
    >>> models.RegNet(params, num_classes=10).eval()(ng.ones(1, 3, 32, 32)).shape
    numgrad.Size([1, 10])
    """

    def __init__(
        self,
        block_params: BlockParams,
        num_classes: int = 1000,
        stem_width: int = 32,
        stem_type: Callable[..., nn.Module] | None = None,
        block_type: Callable[..., nn.Module] | None = None,
        norm_layer: NormLayer | None = None,
        activation: ActivationLayer | None = None,
    ) -> None:
        super().__init__()
        norm, act = norm_layer or nn.BatchNorm2d, activation or nn.ReLU
        self.stem = (stem_type or SimpleStemIN)(3, stem_width, norm, act)
        before = stem_width
        stages: dict[str, nn.Module] = {}
        for number, (width, stride, depth, group, factor) in enumerate(block_params.stages(), 1):
            common = (block_type or ResBottleneckBlock, norm, act, group, factor, block_params.se_ratio)
            stages[f"block{number}"] = AnyStage(before, width, stride, depth, *common, stage_index=number)
            before = width
        self.trunk_output = nn.Sequential(stages)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(before, num_classes)
        initialise(self, normal_of_a_hundredth)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(shaping.flatten(self.avgpool(self.trunk_output(self.stem(x))), 1))  # type: ignore[no-any-return]


def _regnet(
    depth: int, w_0: int, w_a: float, w_m: float, group_width: int, se_ratio: float | None, **config: Any
) -> RegNet:
    """A network of the paper. ``bottleneck_multiplier`` may be given, too."""
    factor = config.pop("bottleneck_multiplier", 1.0)
    params = BlockParams.from_init_params(depth, w_0, w_a, w_m, group_width, factor, se_ratio)
    return RegNet(params, **config)


@register(RegNet_Y_400MF_Weights)
def regnet_y_400mf(
    *, weights: RegNet_Y_400MF_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> RegNet:
    """RegNetY-400 MF; ``kwargs`` are arguments of `RegNet`, the others and the errors are those of `resnet18`."""
    return build(RegNet_Y_400MF_Weights, weights, progress, kwargs, _regnet, 16, 48, 27.89, 2.09, 8, 0.25)


@register(RegNet_Y_800MF_Weights)
def regnet_y_800mf(
    *, weights: RegNet_Y_800MF_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> RegNet:
    """RegNetY-800 MF; arguments and errors as for `regnet_y_400mf`."""
    return build(RegNet_Y_800MF_Weights, weights, progress, kwargs, _regnet, 14, 56, 38.84, 2.4, 16, 0.25)


@register(RegNet_Y_1_6GF_Weights)
def regnet_y_1_6gf(
    *, weights: RegNet_Y_1_6GF_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> RegNet:
    """RegNetY-1.6 GF; arguments and errors as for `regnet_y_400mf`."""
    return build(RegNet_Y_1_6GF_Weights, weights, progress, kwargs, _regnet, 27, 48, 20.71, 2.65, 24, 0.25)


@register(RegNet_Y_3_2GF_Weights)
def regnet_y_3_2gf(
    *, weights: RegNet_Y_3_2GF_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> RegNet:
    """RegNetY-3.2 GF; arguments and errors as for `regnet_y_400mf`."""
    return build(RegNet_Y_3_2GF_Weights, weights, progress, kwargs, _regnet, 21, 80, 42.63, 2.66, 24, 0.25)


@register(RegNet_Y_8GF_Weights)
def regnet_y_8gf(*, weights: RegNet_Y_8GF_Weights | str | None = None, progress: bool = True, **kwargs: Any) -> RegNet:
    """RegNetY-8 GF; arguments and errors as for `regnet_y_400mf`."""
    return build(RegNet_Y_8GF_Weights, weights, progress, kwargs, _regnet, 17, 192, 76.82, 2.19, 56, 0.25)


@register(RegNet_Y_16GF_Weights)
def regnet_y_16gf(
    *, weights: RegNet_Y_16GF_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> RegNet:
    """RegNetY-16 GF; arguments and errors as for `regnet_y_400mf`."""
    return build(RegNet_Y_16GF_Weights, weights, progress, kwargs, _regnet, 18, 200, 106.23, 2.48, 112, 0.25)


@register(RegNet_Y_32GF_Weights)
def regnet_y_32gf(
    *, weights: RegNet_Y_32GF_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> RegNet:
    """RegNetY-32 GF; arguments and errors as for `regnet_y_400mf`."""
    return build(RegNet_Y_32GF_Weights, weights, progress, kwargs, _regnet, 20, 232, 115.89, 2.53, 232, 0.25)


@register(RegNet_Y_128GF_Weights)
def regnet_y_128gf(
    *, weights: RegNet_Y_128GF_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> RegNet:
    """RegNetY-128 GF; arguments and errors as for `regnet_y_400mf`."""
    return build(RegNet_Y_128GF_Weights, weights, progress, kwargs, _regnet, 27, 456, 160.83, 2.52, 264, 0.25)


@register(RegNet_X_400MF_Weights)
def regnet_x_400mf(
    *, weights: RegNet_X_400MF_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> RegNet:
    """RegNetX-400 MF; arguments and errors as for `regnet_y_400mf`."""
    return build(RegNet_X_400MF_Weights, weights, progress, kwargs, _regnet, 22, 24, 24.48, 2.54, 16, None)


@register(RegNet_X_800MF_Weights)
def regnet_x_800mf(
    *, weights: RegNet_X_800MF_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> RegNet:
    """RegNetX-800 MF; arguments and errors as for `regnet_y_400mf`."""
    return build(RegNet_X_800MF_Weights, weights, progress, kwargs, _regnet, 16, 56, 35.73, 2.28, 16, None)


@register(RegNet_X_1_6GF_Weights)
def regnet_x_1_6gf(
    *, weights: RegNet_X_1_6GF_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> RegNet:
    """RegNetX-1.6 GF; arguments and errors as for `regnet_y_400mf`."""
    return build(RegNet_X_1_6GF_Weights, weights, progress, kwargs, _regnet, 18, 80, 34.01, 2.25, 24, None)


@register(RegNet_X_3_2GF_Weights)
def regnet_x_3_2gf(
    *, weights: RegNet_X_3_2GF_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> RegNet:
    """RegNetX-3.2 GF; arguments and errors as for `regnet_y_400mf`."""
    return build(RegNet_X_3_2GF_Weights, weights, progress, kwargs, _regnet, 25, 88, 26.31, 2.25, 48, None)


@register(RegNet_X_8GF_Weights)
def regnet_x_8gf(*, weights: RegNet_X_8GF_Weights | str | None = None, progress: bool = True, **kwargs: Any) -> RegNet:
    """RegNetX-8 GF; arguments and errors as for `regnet_y_400mf`."""
    return build(RegNet_X_8GF_Weights, weights, progress, kwargs, _regnet, 23, 80, 49.56, 2.88, 120, None)


@register(RegNet_X_16GF_Weights)
def regnet_x_16gf(
    *, weights: RegNet_X_16GF_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> RegNet:
    """RegNetX-16 GF; arguments and errors as for `regnet_y_400mf`."""
    return build(RegNet_X_16GF_Weights, weights, progress, kwargs, _regnet, 22, 216, 55.59, 2.1, 128, None)


@register(RegNet_X_32GF_Weights)
def regnet_x_32gf(
    *, weights: RegNet_X_32GF_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> RegNet:
    """RegNetX-32 GF; arguments and errors as for `regnet_y_400mf`."""
    return build(RegNet_X_32GF_Weights, weights, progress, kwargs, _regnet, 23, 320, 69.86, 2.0, 168, None)
