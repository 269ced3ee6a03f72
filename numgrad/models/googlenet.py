"""GoogLeNet: four branches side by side, and two further classifiers for the training. Szegedy et al. 2014."""

# ruff: noqa: N801 (torchvision's names)

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from numgrad import nn
from numgrad.models.blocks import run
from numgrad.models.builders import assembled, chosen, fixed, register
from numgrad.models.weights import WeightsEnum, weights_of
from numgrad.nn import functional as F
from numgrad.tensor import joining, shaping
from numgrad.tensor.tensor import Tensor

__all__ = [
    "GoogLeNet",
    "GoogLeNetOutputs",
    "GoogLeNet_Weights",
    "googlenet",
]


class GoogLeNetOutputs(NamedTuple):
    """What `GoogLeNet` returns in training: the scores, and those of the further classifiers, the deeper one first."""

    logits: Tensor
    aux_logits2: Tensor | None
    aux_logits1: Tensor | None


class BasicConv2d(nn.Module):
    """A convolution without offset, a batch norm and ReLU; ``kwargs`` are further arguments of `nn.Conv2d`."""

    def __init__(self, in_channels: int, out_channels: int, **kwargs: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, bias=False, **kwargs)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return run((self.conv, self.bn, _RELU), x)


_RELU = nn.ReLU(inplace=True)


def zero_centred(x: Tensor) -> Tensor:
    """Images that torchvision's presets have normalised, as TensorFlow's models want them: from -1 to 1 in each channel."""
    scaled = [
        x[:, channel : channel + 1] * (std / 0.5) + (mean - 0.5) / 0.5
        for channel, (mean, std) in enumerate(((0.485, 0.229), (0.456, 0.224), (0.406, 0.225)))
    ]
    return joining.cat(scaled, 1)


class Inception(nn.Module):
    """Convolutions of one pixel, of 3x3, of 3x3 (5x5 in the paper), and a pool, side by side."""

    def __init__(
        self,
        in_channels: int,
        ch1x1: int,
        ch3x3red: int,
        ch3x3: int,
        ch5x5red: int,
        ch5x5: int,
        pool_proj: int,
        conv_block: Callable[..., nn.Module] = BasicConv2d,
    ) -> None:
        super().__init__()
        one = partial(conv_block, in_channels, kernel_size=1)
        three = partial(conv_block, kernel_size=3, padding=1)
        self.branch1 = one(ch1x1)
        self.branch2 = nn.Sequential(one(ch3x3red), three(ch3x3red, ch3x3))
        self.branch3 = nn.Sequential(one(ch5x5red), three(ch5x5red, ch5x5))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1, ceil_mode=True), one(pool_proj))

    def forward(self, x: Tensor) -> Tensor:
        return joining.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class InceptionAux(nn.Module):
    """A classifier beside the network, on activations [N, in_channels, H, W]."""

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        conv_block: Callable[..., nn.Module] = BasicConv2d,
        dropout: float = 0.7,
    ) -> None:
        super().__init__()
        self.conv = conv_block(in_channels, 128, kernel_size=1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, num_classes)
        self.dropout = nn.Dropout(p=dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = shaping.flatten(self.conv(F.adaptive_avg_pool2d(x, (4, 4))), 1)
        return self.fc2(self.dropout(F.relu(self.fc1(x), inplace=True)))  # type: ignore[no-any-return]


# What the inception blocks of each stage are made of; a maximum pool stands between the stages.
_STAGES = (
    (
        ("inception3a", 192, 64, 96, 128, 16, 32, 32),
        ("inception3b", 256, 128, 128, 192, 32, 96, 64),
    ),
    (
        ("inception4a", 480, 192, 96, 208, 16, 48, 64),
        ("inception4b", 512, 160, 112, 224, 24, 64, 64),
        ("inception4c", 512, 128, 128, 256, 24, 64, 64),
        ("inception4d", 512, 112, 144, 288, 32, 64, 64),
        ("inception4e", 528, 256, 160, 320, 32, 128, 128),
    ),
    (
        ("inception5a", 832, 256, 160, 320, 32, 128, 128),
        ("inception5b", 832, 384, 192, 384, 48, 128, 128),
    ),
)
_POOLS = {3: 3, 4: 2}  # kernels of the pools behind the stages
_AFTER = {"inception4a": "aux1", "inception4d": "aux2"}  # behind which blocks the further classifiers stand


class GoogLeNet(nn.Module):
    """GoogLeNet for images [N, 3, H, W] of at least 15 pixels a side. In training it returns `GoogLeNetOutputs`.

    Parameters
    ----------
    num_classes
        Size of the outputs [N, num_classes].
    aux_logits
        Whether there are the two further classifiers; without them the output in training is one tensor as well.
    transform_input
        Whether to take images that torchvision's presets normalise, for weights that were trained on others.
    init_weights
        Whether to draw initial values from a truncated normal distribution; None: yes.
    blocks
        What makes a convolution, an inception block and a further classifier; None: the classes of this module.
    dropout, dropout_aux
        Probabilities of the dropouts before the last layers.

    Raises
    ------
    ValueError
        ``blocks`` has not three elements.

    >>> import numgrad as ng
    >>> from numgrad import models
    >>> model = models.GoogLeNet(num_classes=10, aux_logits=False, init_weights=False).eval()
    >>> model(ng.ones(1, 3, 32, 32)).shape
    numgrad.Size([1, 10])
    """

    aux1: nn.Module | None
    aux2: nn.Module | None

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        init_weights: bool | None = None,
        blocks: Sequence[Callable[..., nn.Module]] | None = None,
        dropout: float = 0.2,
        dropout_aux: float = 0.7,
    ) -> None:
        super().__init__()
        made_of: Sequence[Callable[..., nn.Module]] = blocks or (BasicConv2d, Inception, InceptionAux)
        if len(made_of) != 3:
            raise ValueError(f"blocks length should be 3 instead of {len(made_of)}")
        conv, inception, aux = made_of
        self.aux_logits = aux_logits
        self.transform_input = transform_input
        self.conv1 = conv(3, 64, kernel_size=7, stride=2, padding=3)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = conv(64, 64, kernel_size=1)
        self.conv3 = conv(64, 192, kernel_size=3, padding=1)
        self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        for number, stage in enumerate(_STAGES, 3):
            for name, *widths in stage:
                self.add_module(name, inception(*widths))
            if number in _POOLS:
                self.add_module(f"maxpool{number}", nn.MaxPool2d(_POOLS[number], stride=2, ceil_mode=True))
        self.aux1 = aux(512, num_classes, dropout=dropout_aux) if aux_logits else None
        self.aux2 = aux(528, num_classes, dropout=dropout_aux) if aux_logits else None
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(1024, num_classes)
        if init_weights is not False:
            for module in self.modules():
                if isinstance(module, (nn.Conv2d, nn.Linear)):
                    nn.init.trunc_normal_(module.weight, mean=0.0, std=0.01, a=-2, b=2)

    def forward(self, x: Tensor) -> Tensor | GoogLeNetOutputs:
        if self.transform_input:
            x = zero_centred(x)
        x = self.maxpool2(self.conv3(self.conv2(self.maxpool1(self.conv1(x)))))
        scores: dict[str, Tensor] = {}
        for number, stage in enumerate(_STAGES, 3):
            for name, *_ in stage:
                x = getattr(self, name)(x)
                aux = self._modules.get(_AFTER[name]) if name in _AFTER else None
                if aux is not None and self.training:
                    scores[_AFTER[name]] = aux(x)
            if number in _POOLS:
                x = getattr(self, f"maxpool{number}")(x)
        x = self.fc(self.dropout(shaping.flatten(self.avgpool(x), 1)))
        if self.training and self.aux_logits:
            return GoogLeNetOutputs(x, scores.get("aux2"), scores.get("aux1"))
        return x


class GoogLeNet_Weights(WeightsEnum):
    """Weights of `googlenet`."""

    IMAGENET1K_V1 = weights_of("googlenet.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


@register(GoogLeNet_Weights)
def googlenet(*, weights: GoogLeNet_Weights | str | None = None, progress: bool = True, **kwargs: Any) -> GoogLeNet:
    """GoogLeNet; ``kwargs`` are arguments of `GoogLeNet`, the others and the errors are those of `resnet18`.

    With pretrained weights there are further classifiers only if aux_logits=True is given, and transform_input is True.
    """
    member = chosen(GoogLeNet_Weights, weights, kwargs)
    if member is None:
        return GoogLeNet(**kwargs)
    keeps_aux = kwargs.pop("aux_logits", False)
    kwargs.setdefault("transform_input", True)
    fixed(kwargs, "init_weights", False)
    model = assembled(member, progress, GoogLeNet, **kwargs)
    if keeps_aux:
        warnings.warn(
            "auxiliary heads in the pretrained googlenet model are NOT pretrained, so make sure to train them",
            UserWarning,
            stacklevel=2,
        )
    else:
        model.aux_logits = False
        model.aux1 = model.aux2 = None
    return model
