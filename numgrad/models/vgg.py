"""VGG networks: stacks of 3x3 convolutions. Simonyan and Zisserman 2014."""

# ruff: noqa: N801 (torchvision's names)

from __future__ import annotations

from typing import Any

from numgrad import nn
from numgrad.models import blocks
from numgrad.models.builders import build, register
from numgrad.models.weights import WeightsEnum, weights_of
from numgrad.tensor import shaping
from numgrad.tensor.tensor import Tensor

__all__ = [
    "VGG",
    "VGG11_BN_Weights",
    "VGG11_Weights",
    "VGG13_BN_Weights",
    "VGG13_Weights",
    "VGG16_BN_Weights",
    "VGG16_Weights",
    "VGG19_BN_Weights",
    "VGG19_Weights",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
]

# Channels of the convolutions of each stage; a maximum pool halves the size behind each. The letters are the paper's.
_STAGES: dict[str, tuple[tuple[int, ...], ...]] = {
    "A": ((64,), (128,), (256,) * 2, (512,) * 2, (512,) * 2),
    "B": ((64,) * 2, (128,) * 2, (256,) * 2, (512,) * 2, (512,) * 2),
    "D": ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3),
    "E": ((64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4, (512,) * 4),
}


class VGG(nn.Module):
    """A VGG network for images [N, 3, H, W] of at least 32 pixels a side.

    Parameters
    ----------
    features
        The convolutional part; its output has 512 channels.
    num_classes
        Size of the output [N, num_classes].
    init_weights
        Whether to draw initial values as the paper's authors did later: He's for convolutions.
    dropout
        Probability of the two dropouts in the classifier.

    >>> import numgrad as ng
    >>> from numgrad import models, nn
    >>> features = nn.Sequential(nn.Conv2d(3, 512, 3, stride=4))
    >>> models.VGG(features, num_classes=10).eval()(ng.ones(1, 3, 32, 32)).shape
    numgrad.Size([1, 10])
    """

    def __init__(
        self, features: nn.Module, num_classes: int = 1000, init_weights: bool = True, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, num_classes),
        )
        if init_weights:
            blocks.initialise(self, blocks.normal_of_a_hundredth)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(shaping.flatten(self.avgpool(self.features(x)), 1))  # type: ignore[no-any-return]


def _vgg(letter: str, normalised: bool, **config: Any) -> VGG:
    """One of the paper's networks, with or without batch norms."""
    layers: list[nn.Module] = []
    before = 3
    for stage in _STAGES[letter]:
        for channels in stage:
            layers.append(nn.Conv2d(before, channels, kernel_size=3, padding=1))
            if normalised:
                layers.append(nn.BatchNorm2d(channels))
            layers.append(nn.ReLU(inplace=True))
            before = channels
        layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
    return VGG(blocks.Sequential(*layers), **config)


class VGG11_Weights(WeightsEnum):
    """Weights of `vgg11`."""

    IMAGENET1K_V1 = weights_of("vgg11.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class VGG11_BN_Weights(WeightsEnum):
    """Weights of `vgg11_bn`."""

    IMAGENET1K_V1 = weights_of("vgg11_bn.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class VGG13_Weights(WeightsEnum):
    """Weights of `vgg13`."""

    IMAGENET1K_V1 = weights_of("vgg13.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class VGG13_BN_Weights(WeightsEnum):
    """Weights of `vgg13_bn`."""

    IMAGENET1K_V1 = weights_of("vgg13_bn.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class VGG16_Weights(WeightsEnum):
    """Weights of `vgg16`."""

    IMAGENET1K_V1 = weights_of("vgg16.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class VGG16_BN_Weights(WeightsEnum):
    """Weights of `vgg16_bn`."""

    IMAGENET1K_V1 = weights_of("vgg16_bn.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class VGG19_Weights(WeightsEnum):
    """Weights of `vgg19`."""

    IMAGENET1K_V1 = weights_of("vgg19.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class VGG19_BN_Weights(WeightsEnum):
    """Weights of `vgg19_bn`."""

    IMAGENET1K_V1 = weights_of("vgg19_bn.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


@register(VGG11_Weights)
def vgg11(*, weights: VGG11_Weights | str | None = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG-11; ``kwargs`` are arguments of `VGG`, the others and the errors are those of `resnet18`."""
    return build(VGG11_Weights, weights, progress, kwargs, _vgg, "A", False)


@register(VGG11_BN_Weights)
def vgg11_bn(*, weights: VGG11_BN_Weights | str | None = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG-11 with batch norms; arguments and errors as for `vgg11`."""
    return build(VGG11_BN_Weights, weights, progress, kwargs, _vgg, "A", True)


@register(VGG13_Weights)
def vgg13(*, weights: VGG13_Weights | str | None = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG-13; arguments and errors as for `vgg11`."""
    return build(VGG13_Weights, weights, progress, kwargs, _vgg, "B", False)


@register(VGG13_BN_Weights)
def vgg13_bn(*, weights: VGG13_BN_Weights | str | None = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG-13 with batch norms; arguments and errors as for `vgg11`."""
    return build(VGG13_BN_Weights, weights, progress, kwargs, _vgg, "B", True)


@register(VGG16_Weights)
def vgg16(*, weights: VGG16_Weights | str | None = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG-16; arguments and errors as for `vgg11`."""
    return build(VGG16_Weights, weights, progress, kwargs, _vgg, "D", False)


@register(VGG16_BN_Weights)
def vgg16_bn(*, weights: VGG16_BN_Weights | str | None = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG-16 with batch norms; arguments and errors as for `vgg11`."""
    return build(VGG16_BN_Weights, weights, progress, kwargs, _vgg, "D", True)


@register(VGG19_Weights)
def vgg19(*, weights: VGG19_Weights | str | None = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG-19; arguments and errors as for `vgg11`."""
    return build(VGG19_Weights, weights, progress, kwargs, _vgg, "E", False)


@register(VGG19_BN_Weights)
def vgg19_bn(*, weights: VGG19_BN_Weights | str | None = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG-19 with batch norms; arguments and errors as for `vgg11`."""
    return build(VGG19_BN_Weights, weights, progress, kwargs, _vgg, "E", True)
