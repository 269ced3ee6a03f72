"""ConvNeXt: convolutional networks stage_blocks like vision transformers. Liu et al. 2022."""

# ruff: noqa: N801 (torchvision's names)

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from numgrad import nn
from numgrad.models.blocks import Conv2dNormActivation, NormLayer, Permute, StochasticDepth, zero_offset
from numgrad.models.builders import build, register
from numgrad.models.weights import WeightsEnum, weights_of
from numgrad.tensor import creation, shaping
from numgrad.tensor.tensor import Tensor

__all__ = [
    "ConvNeXt",
    "ConvNeXt_Base_Weights",
    "ConvNeXt_Large_Weights",
    "ConvNeXt_Small_Weights",
    "ConvNeXt_Tiny_Weights",
    "convnext_base",
    "convnext_large",
    "convnext_small",
    "convnext_tiny",
]


class LayerNorm2d(nn.LayerNorm):
    """`nn.LayerNorm` over the channels of [N, C, H, W]."""

    def forward(self, input: Tensor) -> Tensor:
        return shaping.permute(super().forward(shaping.permute(input, 0, 2, 3, 1)), 0, 3, 1, 2)


class CNBlock(nn.Module):
    """A 7x7 convolution of each channel by itself, a norm and a perceptron over the channels, beside a residual connection."""

    def __init__(
        self, dim: int, layer_scale: float, stochastic_depth_prob: float, norm_layer: NormLayer | None = None
    ) -> None:
        super().__init__()
        norm = norm_layer or partial(nn.LayerNorm, eps=1e-6)
        self.block = nn.Sequential(
            nn.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim),
            Permute([0, 2, 3, 1]),
            norm(dim),
            nn.Linear(dim, 4 * dim),
            nn.GELU(),
            nn.Linear(4 * dim, dim),
            Permute([0, 3, 1, 2]),
        )
        self.layer_scale = nn.Parameter(creation.full((dim, 1, 1), float(layer_scale)))
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")

    def forward(self, input: Tensor) -> Tensor:
        out = self.stochastic_depth(self.layer_scale * self.block(input))
        out += input
        return out


@dataclass
class CNBlockConfig:
    """A stage: its channels, those of the next one or None for the last, and the number of its blocks."""

    input_channels: int
    out_channels: int | None
    num_layers: int


class ConvNeXt(nn.Module):
    """A ConvNeXt for images [N, 3, H, W] of at least 32 pixels a side.

    Parameters
    ----------
    block_setting
        One `CNBlockConfig` for each stage.
    stochastic_depth_prob
        Probability with which the last block is left out in training; that of others grows evenly from 0.
    layer_scale
        The factor of each residual branch at first.
    num_classes
        Size of the output [N, num_classes].
    block, norm_layer
        Make a block, and a norm over the channels; None: `CNBlock`, and `LayerNorm2d` with eps=1e-6.

    Raises
    ------
    ValueError
        The setting is empty.
    TypeError
        The setting is no sequence of `CNBlockConfig`.

    >>> import numgrad as ng
    >>> from numgrad import models
    >>> stages = [models.convnext.CNBlockConfig(8, 16, 1), models.convnext.CNBlockConfig(16, None, 1)]
    >>> models.ConvNeXt(stages, num_classes=10).eval()(ng.ones(1, 3, 32, 32)).shape
    numgrad.Size([1, 10])
    """

    def __init__(
        self,
        block_setting: Sequence[CNBlockConfig],
        stochastic_depth_prob: float = 0.0,
        layer_scale: float = 1e-6,
        num_classes: int = 1000,
        block: Callable[..., nn.Module] | None = None,
        norm_layer: NormLayer | None = None,
    ) -> None:
        super().__init__()
        if not block_setting:
            raise ValueError("The block_setting should not be empty")
        if not all(isinstance(stage, CNBlockConfig) for stage in block_setting):
            raise TypeError("The block_setting should be List[CNBlockConfig]")
        norm = norm_layer or partial(LayerNorm2d, eps=1e-6)
        first, last = block_setting[0].input_channels, block_setting[-1]
        layers: list[nn.Module] = [
            Conv2dNormActivation(3, first, 4, 4, 0, norm_layer=norm, activation_layer=None, bias=True)
        ]
        total, done = sum(stage.num_layers for stage in block_setting), 0
        for stage in block_setting:
            stage_blocks: list[nn.Module] = []
            for _ in range(stage.num_layers):
                chance = stochastic_depth_prob * done / max(1, total - 1)
                stage_blocks.append((block or CNBlock)(stage.input_channels, layer_scale, chance))
                done += 1
            layers.append(nn.Sequential(*stage_blocks))
            if stage.out_channels is not None:
                halved = nn.Conv2d(stage.input_channels, stage.out_channels, kernel_size=2, stride=2)
                layers.append(nn.Sequential(norm(stage.input_channels), halved))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        width = last.input_channels if last.out_channels is None else last.out_channels
        self.classifier = nn.Sequential(norm(width), nn.Flatten(1), nn.Linear(width, num_classes))
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(module.weight, std=0.02)
                zero_offset(module)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)))  # type: ignore[no-any-return]


def _convnext(first: int, third: int, stochastic_depth_prob: float, **config: Any) -> ConvNeXt:
    """A network of the paper: channels of the first stage, and blocks of the third."""
    widths = [first, 2 * first, 4 * first, 8 * first]
    setting = [CNBlockConfig(*row) for row in zip(widths, [*widths[1:], None], (3, 3, third, 3), strict=True)]
    return ConvNeXt(setting, **{"stochastic_depth_prob": stochastic_depth_prob, **config})


class ConvNeXt_Tiny_Weights(WeightsEnum):
    """Weights of `convnext_tiny`."""

    IMAGENET1K_V1 = weights_of("convnext_tiny.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class ConvNeXt_Small_Weights(WeightsEnum):
    """Weights of `convnext_small`."""

    IMAGENET1K_V1 = weights_of("convnext_small.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class ConvNeXt_Base_Weights(WeightsEnum):
    """Weights of `convnext_base`."""

    IMAGENET1K_V1 = weights_of("convnext_base.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class ConvNeXt_Large_Weights(WeightsEnum):
    """Weights of `convnext_large`."""

    IMAGENET1K_V1 = weights_of("convnext_large.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


@register(ConvNeXt_Tiny_Weights)
def convnext_tiny(
    *, weights: ConvNeXt_Tiny_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> ConvNeXt:
    """ConvNeXt tiny; ``kwargs`` are arguments of `ConvNeXt`, the others and the errors are those of `resnet18`."""
    return build(ConvNeXt_Tiny_Weights, weights, progress, kwargs, _convnext, 96, 9, 0.1)


@register(ConvNeXt_Small_Weights)
def convnext_small(
    *, weights: ConvNeXt_Small_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> ConvNeXt:
    """ConvNeXt small; arguments and errors as for `convnext_tiny`."""
    return build(ConvNeXt_Small_Weights, weights, progress, kwargs, _convnext, 96, 27, 0.4)


@register(ConvNeXt_Base_Weights)
def convnext_base(
    *, weights: ConvNeXt_Base_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> ConvNeXt:
    """ConvNeXt base; arguments and errors as for `convnext_tiny`."""
    return build(ConvNeXt_Base_Weights, weights, progress, kwargs, _convnext, 128, 27, 0.5)


@register(ConvNeXt_Large_Weights)
def convnext_large(
    *, weights: ConvNeXt_Large_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> ConvNeXt:
    """ConvNeXt large; arguments and errors as for `convnext_tiny`."""
    return build(ConvNeXt_Large_Weights, weights, progress, kwargs, _convnext, 192, 27, 0.5)
