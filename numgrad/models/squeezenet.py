"""SqueezeNet: few parameters, by convolutions of one pixel. Iandola et al. 2016."""

# ruff: noqa: N801 (torchvision's names)

from __future__ import annotations

from typing import Any

from numgrad import nn
from numgrad.models import blocks
from numgrad.models.builders import build, register
from numgrad.models.weights import WeightsEnum, weights_of
from numgrad.tensor import joining, shaping
from numgrad.tensor.tensor import Tensor

__all__ = [
    "SqueezeNet",
    "SqueezeNet1_0_Weights",
    "SqueezeNet1_1_Weights",
    "squeezenet1_0",
    "squeezenet1_1",
]


class Fire(nn.Module):
    """A convolution of one pixel to few channels, and from these two side by side, of one pixel and of 3x3."""

    def __init__(self, inplanes: int, squeeze_planes: int, expand1x1_planes: int, expand3x3_planes: int) -> None:
        super().__init__()
        self.inplanes = inplanes
        self.squeeze = nn.Conv2d(inplanes, squeeze_planes, kernel_size=1)
        self.squeeze_activation = nn.ReLU(inplace=True)
        self.expand1x1 = nn.Conv2d(squeeze_planes, expand1x1_planes, kernel_size=1)
        self.expand1x1_activation = nn.ReLU(inplace=True)
        self.expand3x3 = nn.Conv2d(squeeze_planes, expand3x3_planes, kernel_size=3, padding=1)
        self.expand3x3_activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze_activation(self.squeeze(x))
        sides = self.expand1x1_activation(self.expand1x1(x)), self.expand3x3_activation(self.expand3x3(x))
        return joining.cat(sides, 1)


# Squeezed and expanded channels of the eight fires, the same in both versions, and the fires before which a pool stands.
_FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
_VERSIONS = {"1_0": (96, 7, (0, 3, 7)), "1_1": (64, 3, (0, 2, 4))}


class SqueezeNet(nn.Module):
    """SqueezeNet for images [N, 3, H, W] of at least 21 pixels a side (17 for version 1_1).

    Parameters
    ----------
    version
        '1_0', the paper's, or '1_1', which takes less than half of its time.
    num_classes
        Size of the output [N, num_classes].
    dropout
        Probability of the dropout before the last convolution.

    Raises
    ------
    ValueError
        There is no such version.

    >>> import numgrad as ng
    >>> from numgrad import models
    >>> models.SqueezeNet("1_1", num_classes=10).eval()(ng.ones(1, 3, 32, 32)).shape
    numgrad.Size([1, 10])
    """

    def __init__(self, version: str = "1_0", num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        if version not in _VERSIONS:
            raise ValueError(f"Unsupported SqueezeNet version {version}: 1_0 or 1_1 expected")
        self.num_classes = num_classes
        before, size, pooled = _VERSIONS[version]
        layers: list[nn.Module] = [nn.Conv2d(3, before, kernel_size=size, stride=2), nn.ReLU(inplace=True)]
        for number, (few, many) in enumerate(_FIRES):
            if number in pooled:
                layers.append(nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True))
            layers.append(Fire(before, few, many, many))
            before = 2 * many
        self.features = nn.Sequential(*layers)
        last = nn.Conv2d(before, num_classes, kernel_size=1)
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout), last, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d((1, 1))
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                if module is last:
                    blocks.normal_of_a_hundredth(module.weight)
                else:
                    nn.init.kaiming_uniform_(module.weight)
                blocks.zero_offset(module)

    def forward(self, x: Tensor) -> Tensor:
        return shaping.flatten(self.classifier(self.features(x)), 1)


class SqueezeNet1_0_Weights(WeightsEnum):
    """Weights of `squeezenet1_0`."""

    IMAGENET1K_V1 = weights_of("squeezenet1_0.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class SqueezeNet1_1_Weights(WeightsEnum):
    """Weights of `squeezenet1_1`."""

    IMAGENET1K_V1 = weights_of("squeezenet1_1.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


@register(SqueezeNet1_0_Weights)
def squeezenet1_0(
    *, weights: SqueezeNet1_0_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> SqueezeNet:
    """SqueezeNet 1.0; ``kwargs`` are arguments of `SqueezeNet`, the others and the errors are those of `resnet18`."""
    return build(SqueezeNet1_0_Weights, weights, progress, kwargs, SqueezeNet, "1_0")


@register(SqueezeNet1_1_Weights)
def squeezenet1_1(
    *, weights: SqueezeNet1_1_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> SqueezeNet:
    """SqueezeNet 1.1; arguments and errors as for `squeezenet1_0`."""
    return build(SqueezeNet1_1_Weights, weights, progress, kwargs, SqueezeNet, "1_1")
