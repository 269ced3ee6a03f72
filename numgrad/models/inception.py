"""Inception v3: convolutions along one axis after the other. Szegedy et al. 2015."""

# ruff: noqa: N801 (torchvision's names)

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from numgrad import nn
from numgrad.models.builders import assembled, chosen, fixed, register
from numgrad.models.googlenet import BasicConv2d, zero_centred
from numgrad.models.weights import WeightsEnum, weights_of
from numgrad.nn import functional as F
from numgrad.tensor import joining, shaping
from numgrad.tensor.tensor import Tensor

__all__ = [
    "Inception3",
    "InceptionOutputs",
    "Inception_V3_Weights",
    "inception_v3",
]

Conv = Callable[..., nn.Module]


class InceptionOutputs(NamedTuple):
    """What `Inception3` returns in training: the scores, and those of the further classifier."""

    logits: Tensor
    aux_logits: Tensor | None


def _smoothed(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, kernel_size=3, stride=1, padding=1)


class InceptionA(nn.Module):
    """Four branches that keep the size: 1x1; 5x5; 3x3 twice; a pool."""

    def __init__(self, in_channels: int, pool_features: int, conv_block: Conv = BasicConv2d) -> None:
        super().__init__()
        self.branch1x1 = conv_block(in_channels, 64, kernel_size=1)
        self.branch5x5_1 = conv_block(in_channels, 48, kernel_size=1)
        self.branch5x5_2 = conv_block(48, 64, kernel_size=5, padding=2)
        self.branch3x3dbl_1 = conv_block(in_channels, 64, kernel_size=1)
        self.branch3x3dbl_2 = conv_block(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = conv_block(96, 96, kernel_size=3, padding=1)
        self.branch_pool = conv_block(in_channels, pool_features, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        five = self.branch5x5_2(self.branch5x5_1(x))
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return joining.cat([self.branch1x1(x), five, double, self.branch_pool(_smoothed(x))], 1)


class InceptionB(nn.Module):
    """Three branches that halve the size: 3x3; 3x3 twice; a pool."""

    def __init__(self, in_channels: int, conv_block: Conv = BasicConv2d) -> None:
        super().__init__()
        self.branch3x3 = conv_block(in_channels, 384, kernel_size=3, stride=2)
        self.branch3x3dbl_1 = conv_block(in_channels, 64, kernel_size=1)
        self.branch3x3dbl_2 = conv_block(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = conv_block(96, 96, kernel_size=3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return joining.cat([self.branch3x3(x), double, F.max_pool2d(x, kernel_size=3, stride=2)], 1)


class InceptionC(nn.Module):
    """Four branches that keep the size: 1x1; 1x7 and 7x1; the same twice; a pool."""

    def __init__(self, in_channels: int, channels_7x7: int, conv_block: Conv = BasicConv2d) -> None:
        super().__init__()
        wide: dict[str, Any] = {"kernel_size": (1, 7), "padding": (0, 3)}
        tall: dict[str, Any] = {"kernel_size": (7, 1), "padding": (3, 0)}
        few = channels_7x7
        self.branch1x1 = conv_block(in_channels, 192, kernel_size=1)
        self.branch7x7_1 = conv_block(in_channels, few, kernel_size=1)
        self.branch7x7_2 = conv_block(few, few, **wide)
        self.branch7x7_3 = conv_block(few, 192, **tall)
        self.branch7x7dbl_1 = conv_block(in_channels, few, kernel_size=1)
        self.branch7x7dbl_2 = conv_block(few, few, **tall)
        self.branch7x7dbl_3 = conv_block(few, few, **wide)
        self.branch7x7dbl_4 = conv_block(few, few, **tall)
        self.branch7x7dbl_5 = conv_block(few, 192, **wide)
        self.branch_pool = conv_block(in_channels, 192, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return joining.cat([self.branch1x1(x), seven, double, self.branch_pool(_smoothed(x))], 1)


class InceptionD(nn.Module):
    """Three branches that halve the size: 3x3; 1x7, 7x1 and 3x3; a pool."""

    def __init__(self, in_channels: int, conv_block: Conv = BasicConv2d) -> None:
        super().__init__()
        self.branch3x3_1 = conv_block(in_channels, 192, kernel_size=1)
        self.branch3x3_2 = conv_block(192, 320, kernel_size=3, stride=2)
        self.branch7x7x3_1 = conv_block(in_channels, 192, kernel_size=1)
        self.branch7x7x3_2 = conv_block(192, 192, kernel_size=(1, 7), padding=(0, 3))
        self.branch7x7x3_3 = conv_block(192, 192, kernel_size=(7, 1), padding=(3, 0))
        self.branch7x7x3_4 = conv_block(192, 192, kernel_size=3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        three = self.branch3x3_2(self.branch3x3_1(x))
        seven = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return joining.cat([three, seven, F.max_pool2d(x, kernel_size=3, stride=2)], 1)


class InceptionE(nn.Module):
    """Four branches that keep the size: 1x1; 1x3 beside 3x1; the same behind 3x3; a pool."""

    def __init__(self, in_channels: int, conv_block: Conv = BasicConv2d) -> None:
        super().__init__()
        wide: dict[str, Any] = {"kernel_size": (1, 3), "padding": (0, 1)}
        tall: dict[str, Any] = {"kernel_size": (3, 1), "padding": (1, 0)}
        self.branch1x1 = conv_block(in_channels, 320, kernel_size=1)
        self.branch3x3_1 = conv_block(in_channels, 384, kernel_size=1)
        self.branch3x3_2a = conv_block(384, 384, **wide)
        self.branch3x3_2b = conv_block(384, 384, **tall)
        self.branch3x3dbl_1 = conv_block(in_channels, 448, kernel_size=1)
        self.branch3x3dbl_2 = conv_block(448, 384, kernel_size=3, padding=1)
        self.branch3x3dbl_3a = conv_block(384, 384, **wide)
        self.branch3x3dbl_3b = conv_block(384, 384, **tall)
        self.branch_pool = conv_block(in_channels, 192, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        three = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        parts = [
            self.branch1x1(x),
            self.branch3x3_2a(three),
            self.branch3x3_2b(three),
            self.branch3x3dbl_3a(double),
            self.branch3x3dbl_3b(double),
            self.branch_pool(_smoothed(x)),
        ]
        return joining.cat(parts, 1)


class InceptionAux(nn.Module):
    """A classifier beside the network, on activations [N, in_channels, H, W] of at least 17 pixels a side."""

    def __init__(self, in_channels: int, num_classes: int, conv_block: Conv = BasicConv2d) -> None:
        super().__init__()
        self.conv0 = conv_block(in_channels, 128, kernel_size=1)
        self.conv1 = conv_block(128, 768, kernel_size=5)
        self.fc = nn.Linear(768, num_classes)
        # The standard deviations of initial values, as torchvision has them; those of a block do not reach its convolution.
        self.conv1.stddev = 0.01
        self.fc.stddev = 0.001

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(self.conv0(F.avg_pool2d(x, kernel_size=5, stride=3)))
        return self.fc(shaping.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))  # type: ignore[no-any-return]


class Inception3(nn.Module):
    """Inception v3 for images [N, 3, H, W] of at least 75 pixels a side. In training it returns `InceptionOutputs`.

    Parameters
    ----------
    num_classes
        Size of the outputs [N, num_classes].
    aux_logits
        Whether there is the further classifier; without it the output in training is one tensor as well.
    transform_input
        Whether to take images that torchvision's presets normalise, for weights that were trained on others.
    inception_blocks
        What makes a convolution, the blocks A to E and the further classifier; None: the classes of this module.
    init_weights
        Whether to draw initial values from a truncated normal distribution; None: yes.
    dropout
        Probability of the dropout before the last layer.

    Raises
    ------
    ValueError
        ``inception_blocks`` has not seven elements.

    >>> import numgrad as ng
    >>> from numgrad import models
    >>> model = models.Inception3(num_classes=10, aux_logits=False, init_weights=False).eval()
    >>> model(ng.ones(1, 3, 75, 75)).shape
    numgrad.Size([1, 10])
    """

    AuxLogits: nn.Module | None

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        inception_blocks: Sequence[Conv] | None = None,
        init_weights: bool | None = None,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        standard = (BasicConv2d, InceptionA, InceptionB, InceptionC, InceptionD, InceptionE, InceptionAux)
        made_of = standard if inception_blocks is None else inception_blocks
        if len(made_of) != 7:
            raise ValueError(f"length of inception_blocks should be 7 instead of {len(made_of)}")
        conv, a, b, c, d, e, aux = made_of
        self.aux_logits = aux_logits
        self.transform_input = transform_input
        self.Conv2d_1a_3x3 = conv(3, 32, kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = conv(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = conv(32, 64, kernel_size=3, padding=1)
        self.maxpool1 = nn.MaxPool2d(kernel_size=3, stride=2)
        self.Conv2d_3b_1x1 = conv(64, 80, kernel_size=1)
        self.Conv2d_4a_3x3 = conv(80, 192, kernel_size=3)
        self.maxpool2 = nn.MaxPool2d(kernel_size=3, stride=2)
        self.Mixed_5b = a(192, pool_features=32)
        self.Mixed_5c = a(256, pool_features=64)
        self.Mixed_5d = a(288, pool_features=64)
        self.Mixed_6a = b(288)
        self.Mixed_6b = c(768, channels_7x7=128)
        self.Mixed_6c = c(768, channels_7x7=160)
        self.Mixed_6d = c(768, channels_7x7=160)
        self.Mixed_6e = c(768, channels_7x7=192)
        self.AuxLogits = aux(768, num_classes) if aux_logits else None
        self.Mixed_7a = d(768)
        self.Mixed_7b = e(1280)
        self.Mixed_7c = e(2048)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(2048, num_classes)
        if init_weights is not False:
            for module in self.modules():
                if isinstance(module, (nn.Conv2d, nn.Linear)):
                    std = float(getattr(module, "stddev", 0.1))
                    nn.init.trunc_normal_(module.weight, mean=0.0, std=std, a=-2, b=2)

    def forward(self, x: Tensor) -> Tensor | InceptionOutputs:
        if self.transform_input:
            x = zero_centred(x)
        x = self.maxpool1(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))))
        x = self.maxpool2(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        aux = self.AuxLogits(x) if self.AuxLogits is not None and self.training else None
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        x = self.fc(shaping.flatten(self.dropout(self.avgpool(x)), 1))
        return InceptionOutputs(x, aux) if self.training and self.aux_logits else x


class Inception_V3_Weights(WeightsEnum):
    """Weights of `inception_v3`."""

    IMAGENET1K_V1 = weights_of("inception_v3.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


@register(Inception_V3_Weights)
def inception_v3(
    *, weights: Inception_V3_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> Inception3:
    """Inception v3; ``kwargs`` are arguments of `Inception3`, the others and the errors are those of `resnet18`.

    With pretrained weights transform_input is True; aux_logits=False leaves the further classifier out.
    """
    member = chosen(Inception_V3_Weights, weights, kwargs)
    if member is None:
        return Inception3(**kwargs)
    keeps_aux = kwargs.pop("aux_logits", True)
    kwargs.setdefault("transform_input", True)
    fixed(kwargs, "init_weights", False)
    model = assembled(member, progress, Inception3, **kwargs)
    if not keeps_aux:
        model.aux_logits = False
        model.AuxLogits = None
    return model
