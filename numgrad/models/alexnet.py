"""AlexNet, in the form of Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks"."""

# ruff: noqa: N801 (torchvision's names)

from __future__ import annotations

from typing import Any

from numgrad import nn
from numgrad.models.builders import build, register
from numgrad.models.weights import WeightsEnum, weights_of
from numgrad.tensor import shaping
from numgrad.tensor.tensor import Tensor

__all__ = [
    "AlexNet",
    "AlexNet_Weights",
    "alexnet",
]


class AlexNet(nn.Module):
    """AlexNet for images [N, 3, H, W] of at least 63 pixels a side.

    Parameters
    ----------
    num_classes
        Size of the output [N, num_classes].
    dropout
        Probability of the two dropouts in the classifier.

    >>> import numgrad as ng
    >>> from numgrad import models
    >>> models.AlexNet(num_classes=10).eval()(ng.ones(1, 3, 64, 64)).shape
    numgrad.Size([1, 10])
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, kernel_size=11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(64, 192, kernel_size=5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(192, 384, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(shaping.flatten(self.avgpool(self.features(x)), 1))  # type: ignore[no-any-return]


class AlexNet_Weights(WeightsEnum):
    """Weights of `alexnet`."""

    IMAGENET1K_V1 = weights_of("alexnet.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


@register(AlexNet_Weights)
def alexnet(*, weights: AlexNet_Weights | str | None = None, progress: bool = True, **kwargs: Any) -> AlexNet:
    """AlexNet; ``kwargs`` are arguments of `AlexNet`, the others and the errors are those of `resnet18`."""
    return build(AlexNet_Weights, weights, progress, kwargs, AlexNet)
