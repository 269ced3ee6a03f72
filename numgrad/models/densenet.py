"""Densely connected networks: each layer sees the outputs of all before it. Huang et al. 2016."""

# ruff: noqa: N801 (torchvision's names)

from __future__ import annotations

from typing import Any

from numgrad import nn
from numgrad.models.blocks import Sequential, initialise, run, zero_offset
from numgrad.models.builders import build, register
from numgrad.models.weights import WeightsEnum, weights_of
from numgrad.nn import functional as F
from numgrad.tensor import joining, shaping
from numgrad.tensor.tensor import Tensor
from numgrad.utils.checkpoint import checkpoint

__all__ = [
    "DenseNet",
    "DenseNet121_Weights",
    "DenseNet161_Weights",
    "DenseNet169_Weights",
    "DenseNet201_Weights",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
]


class _DenseLayer(nn.Module):
    """Norm, ReLU, convolution of one pixel; norm, ReLU, 3x3 convolution to ``growth_rate`` channels."""

    def __init__(
        self, num_input_features: int, growth_rate: int, bn_size: int, drop_rate: float, memory_efficient: bool = False
    ) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(num_input_features)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(num_input_features, bn_size * growth_rate, kernel_size=1, bias=False)
        self.norm2 = nn.BatchNorm2d(bn_size * growth_rate)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(bn_size * growth_rate, growth_rate, kernel_size=3, padding=1, bias=False)
        self.drop_rate = float(drop_rate)
        self.memory_efficient = memory_efficient

    def _narrowed(self, *inputs: Tensor) -> Tensor:
        return run((self.norm1, self.relu1, self.conv1), joining.cat(inputs, 1))

    def forward(self, input: Tensor | list[Tensor]) -> Tensor:
        inputs = [input] if isinstance(input, Tensor) else input
        if self.memory_efficient and any(each.requires_grad for each in inputs):
            out = checkpoint(self._narrowed, *inputs, use_reentrant=False)
        else:
            out = self._narrowed(*inputs)
        out = run((self.norm2, self.relu2, self.conv2), out)
        return F.dropout(out, p=self.drop_rate, training=self.training) if self.drop_rate > 0 else out

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Keys of old files have a dot before the number: ``norm.1.weight`` is ``norm1.weight``."""
        for name in self._modules:
            old, new = f"{prefix}{name[:-1]}.{name[-1]}.", f"{prefix}{name}."
            for key in [key for key in state_dict if key.startswith(old)]:
                state_dict[new + key.removeprefix(old)] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *rest)


class _DenseBlock(nn.ModuleDict):
    """Layers each of which gets the block's input and the outputs of all layers before it."""

    def __init__(
        self,
        num_layers: int,
        num_input_features: int,
        bn_size: int,
        growth_rate: int,
        drop_rate: float,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__()
        for number in range(num_layers):
            width = num_input_features + number * growth_rate
            layer = _DenseLayer(width, growth_rate, bn_size, drop_rate, memory_efficient)
            self.add_module(f"denselayer{number + 1}", layer)

    def forward(self, init_features: Tensor) -> Tensor:
        features = [init_features]
        for layer in self.values():
            features.append(layer(features))
        return joining.cat(features, 1)


class _Transition(Sequential):
    """Norm, ReLU, convolution of one pixel, and half the size."""

    def __init__(self, num_input_features: int, num_output_features: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(num_input_features)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(num_input_features, num_output_features, kernel_size=1, bias=False)
        self.pool = nn.AvgPool2d(kernel_size=2, stride=2)


class DenseNet(nn.Module):
    """A DenseNet with narrow layers and compression (the paper's DenseNet-BC) for images [N, 3, H, W] of at least 29 pixels.

    Parameters
    ----------
    growth_rate
        Channels that each layer adds, the paper's k.
    block_config
        Layers of each of the four blocks.
    num_init_features
        Channels of the first convolution.
    bn_size
        A layer's convolution of one pixel has bn_size * growth_rate channels.
    drop_rate
        Probability of the dropout behind each layer; 0: there is none.
    num_classes
        Size of the output [N, num_classes].
    memory_efficient
        Whether to compute each layer's first half again in the backward, instead of keeping it.

    >>> import numgrad as ng
    >>> from numgrad import models
    >>> model = models.DenseNet(8, (1, 1, 1, 1), num_init_features=16, num_classes=10).eval()
    >>> model(ng.ones(1, 3, 32, 32)).shape
    numgrad.Size([1, 10])
    """

    def __init__(
        self,
        growth_rate: int = 32,
        block_config: tuple[int, int, int, int] = (6, 12, 24, 16),
        num_init_features: int = 64,
        bn_size: int = 4,
        drop_rate: float = 0,
        num_classes: int = 1000,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__()
        width = num_init_features
        self.features = Sequential(
            {
                "conv0": nn.Conv2d(3, width, kernel_size=7, stride=2, padding=3, bias=False),
                "norm0": nn.BatchNorm2d(width),
                "relu0": nn.ReLU(inplace=True),
                "pool0": nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
            }
        )
        for number, layers in enumerate(block_config, 1):
            block = _DenseBlock(layers, width, bn_size, growth_rate, drop_rate, memory_efficient)
            self.features.add_module(f"denseblock{number}", block)
            width += layers * growth_rate
            if number < len(block_config):
                self.features.add_module(f"transition{number}", _Transition(width, width // 2))
                width //= 2
        self.features.add_module("norm5", nn.BatchNorm2d(width))
        self.classifier = nn.Linear(width, num_classes)
        initialise(self, mode="fan_in")
        zero_offset(self.classifier)

    def forward(self, x: Tensor) -> Tensor:
        out = F.adaptive_avg_pool2d(F.relu(self.features(x), inplace=True), (1, 1))
        return self.classifier(shaping.flatten(out, 1))  # type: ignore[no-any-return]


class DenseNet121_Weights(WeightsEnum):
    """Weights of `densenet121`."""

    IMAGENET1K_V1 = weights_of("densenet121.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class DenseNet161_Weights(WeightsEnum):
    """Weights of `densenet161`."""

    IMAGENET1K_V1 = weights_of("densenet161.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class DenseNet169_Weights(WeightsEnum):
    """Weights of `densenet169`."""

    IMAGENET1K_V1 = weights_of("densenet169.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


class DenseNet201_Weights(WeightsEnum):
    """Weights of `densenet201`."""

    IMAGENET1K_V1 = weights_of("densenet201.imagenet1k_v1")
    DEFAULT = IMAGENET1K_V1


@register(DenseNet121_Weights)
def densenet121(*, weights: DenseNet121_Weights | str | None = None, progress: bool = True, **kwargs: Any) -> DenseNet:
    """DenseNet-121; ``kwargs`` are arguments of `DenseNet`, the others and the errors are those of `resnet18`."""
    return build(DenseNet121_Weights, weights, progress, kwargs, DenseNet)


@register(DenseNet161_Weights)
def densenet161(*, weights: DenseNet161_Weights | str | None = None, progress: bool = True, **kwargs: Any) -> DenseNet:
    """DenseNet-161; arguments and errors as for `densenet121`."""
    return build(DenseNet161_Weights, weights, progress, kwargs, DenseNet, 48, (6, 12, 36, 24), 96)


@register(DenseNet169_Weights)
def densenet169(*, weights: DenseNet169_Weights | str | None = None, progress: bool = True, **kwargs: Any) -> DenseNet:
    """DenseNet-169; arguments and errors as for `densenet121`."""
    return build(DenseNet169_Weights, weights, progress, kwargs, DenseNet, 32, (6, 12, 32, 32))


@register(DenseNet201_Weights)
def densenet201(*, weights: DenseNet201_Weights | str | None = None, progress: bool = True, **kwargs: Any) -> DenseNet:
    """DenseNet-201; arguments and errors as for `densenet121`."""
    return build(DenseNet201_Weights, weights, progress, kwargs, DenseNet, 32, (6, 12, 48, 32))
