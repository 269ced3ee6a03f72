"""MNASNet B1: an architecture that was searched for by its time on a phone. Tan et al. 2018."""

# ruff: noqa: N801 (torchvision's names)

from __future__ import annotations

from functools import partial
from typing import Any

from numgrad import nn
from numgrad.models.blocks import Sequential, initialise, make_divisible
from numgrad.models.builders import build, register
from numgrad.models.weights import WeightsEnum, weights_of
from numgrad.tensor.tensor import Tensor

__all__ = [
    "MNASNet",
    "MNASNet0_5_Weights",
    "MNASNet0_75_Weights",
    "MNASNet1_0_Weights",
    "MNASNet1_3_Weights",
    "mnasnet0_5",
    "mnasnet0_75",
    "mnasnet1_0",
    "mnasnet1_3",
]

# TensorFlow's momentum of 0.9997 in torch's sense.
_MOMENTUM = 1 - 0.9997
_DEPTHS = (32, 16, 24, 40, 80, 96, 192, 320)
# Kernel, stride of the first block, widening and number of blocks of each stage.
_STAGES = ((3, 2, 3, 3), (5, 2, 3, 3), (5, 2, 6, 3), (3, 1, 6, 2), (5, 2, 6, 4), (3, 1, 6, 1))


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution that keeps height and width, but for the stride, and a norm."""
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, momentum=_MOMENTUM),
    ]


class _InvertedResidual(nn.Module):
    """Widen, filter each channel by itself, narrow."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = before * expansion
        self.apply_residual = before == after and stride == 1
        self.layers = Sequential(
            *_conv(before, wide, 1),
            nn.ReLU(inplace=True),
            *_conv(wide, wide, kernel, stride, wide),
            nn.ReLU(inplace=True),
            *_conv(wide, after, 1),
        )

    def forward(self, input: Tensor) -> Tensor:
        out = self.layers(input)
        return out + input if self.apply_residual else out


class MNASNet(nn.Module):
    """MNASNet for images [N, 3, H, W].

    Parameters
    ----------
    alpha
        Factor of the channels of every layer.
    num_classes
        Size of the output [N, num_classes].
    dropout
        Probability of the dropout before the last layer.

    Raises
    ------
    ValueError
        alpha is not positive.

    >>> import numgrad as ng
    >>> from numgrad import models
    >>> models.MNASNet(0.25, num_classes=10).eval()(ng.ones(1, 3, 32, 32)).shape
    numgrad.Size([1, 10])
    """

    _version = 2  # in files of the first the stem is not scaled: they fit for an alpha of 1 alone

    def __init__(self, alpha: float, num_classes: int = 1000, dropout: float = 0.2) -> None:
        super().__init__()
        if alpha <= 0.0:
            raise ValueError(f"alpha should be greater than 0.0 instead of {alpha}")
        self.alpha = alpha
        self.num_classes = num_classes
        widths = [make_divisible(depth * alpha, 8) for depth in _DEPTHS]
        layers: list[nn.Module] = [
            *_conv(3, widths[0], 3, 2),
            nn.ReLU(inplace=True),
            *_conv(widths[0], widths[0], 3, groups=widths[0]),
            nn.ReLU(inplace=True),
            *_conv(widths[0], widths[1], 1),
        ]
        for before, after, (kernel, stride, expansion, count) in zip(widths[1:], widths[2:], _STAGES, strict=False):
            others = (_InvertedResidual(after, after, kernel, 1, expansion) for _ in range(count - 1))
            layers.append(nn.Sequential(_InvertedResidual(before, after, kernel, stride, expansion), *others))
        self.layers = Sequential(*layers, *_conv(widths[-1], 1280, 1), nn.ReLU(inplace=True))
        self.classifier = nn.Sequential(nn.Dropout(p=dropout, inplace=True), nn.Linear(1280, num_classes))
        initialise(self, partial(nn.init.kaiming_uniform_, mode="fan_out", nonlinearity="sigmoid"))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.layers(x).mean((2, 3)))  # type: ignore[no-any-return]


class MNASNet0_5_Weights(WeightsEnum):
    """Weights of `mnasnet0_5`."""

    IMAGENET1K_V1 = weights_of("mnasnet0_5.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class MNASNet0_75_Weights(WeightsEnum):
    """Weights of `mnasnet0_75`."""

    IMAGENET1K_V1 = weights_of("mnasnet0_75.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class MNASNet1_0_Weights(WeightsEnum):
    """Weights of `mnasnet1_0`."""

    IMAGENET1K_V1 = weights_of("mnasnet1_0.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class MNASNet1_3_Weights(WeightsEnum):
    """Weights of `mnasnet1_3`."""

    IMAGENET1K_V1 = weights_of("mnasnet1_3.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


@register(MNASNet0_5_Weights)
def mnasnet0_5(*, weights: MNASNet0_5_Weights | str | None = None, progress: bool = True, **kwargs: Any) -> MNASNet:
    """MNASNet of width 0.5; ``kwargs`` are arguments of `MNASNet`, the others and the errors are those of `resnet18`."""
    return build(MNASNet0_5_Weights, weights, progress, kwargs, MNASNet, 0.5)


@register(MNASNet0_75_Weights)
def mnasnet0_75(*, weights: MNASNet0_75_Weights | str | None = None, progress: bool = True, **kwargs: Any) -> MNASNet:
    """MNASNet of width 0.75; arguments and errors as for `mnasnet0_5`."""
    return build(MNASNet0_75_Weights, weights, progress, kwargs, MNASNet, 0.75)


@register(MNASNet1_0_Weights)
def mnasnet1_0(*, weights: MNASNet1_0_Weights | str | None = None, progress: bool = True, **kwargs: Any) -> MNASNet:
    """MNASNet of width 1.0; arguments and errors as for `mnasnet0_5`."""
    return build(MNASNet1_0_Weights, weights, progress, kwargs, MNASNet, 1.0)


@register(MNASNet1_3_Weights)
def mnasnet1_3(*, weights: MNASNet1_3_Weights | str | None = None, progress: bool = True, **kwargs: Any) -> MNASNet:
    """MNASNet of width 1.3; arguments and errors as for `mnasnet0_5`."""
    return build(MNASNet1_3_Weights, weights, progress, kwargs, MNASNet, 1.3)
