"""Residual networks: ResNet, ResNeXt and Wide ResNet. The module tree is torchvision's, so its checkpoints load.

He et al. 2015; Xie et al. 2016; Zagoruyko and Komodakis 2016.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from numgrad import nn
from numgrad.models.blocks import initialise
from numgrad.models.builders import build, fixed, register
from numgrad.models.resnet_weights import (
    ResNet18_Weights,
    ResNet34_Weights,
    ResNet50_Weights,
    ResNet101_Weights,
    ResNet152_Weights,
    ResNeXt50_32X4D_Weights,
    ResNeXt101_32X8D_Weights,
    ResNeXt101_64X4D_Weights,
    Wide_ResNet50_2_Weights,
    Wide_ResNet101_2_Weights,
)
from numgrad.nn.fusion import norm_relu
from numgrad.tensor import shaping
from numgrad.tensor.tensor import Tensor

__all__ = [
    "BasicBlock",
    "Bottleneck",
    "ResNet",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "wide_resnet50_2",
    "wide_resnet101_2",
]

NormLayer = Callable[[int], nn.Module]


def _conv3x3(inputs: int, outputs: int, stride: int = 1, groups: int = 1, dilation: int = 1) -> nn.Conv2d:
    """Keeps height and width, but for the stride."""
    return nn.Conv2d(inputs, outputs, 3, stride, dilation, dilation, groups, bias=False)


def _conv1x1(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 1, stride, bias=False)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a residual connection: the block of ResNet-18 and 34.

    Raises
    ------
    ValueError
        groups or base_width differ from those of a plain ResNet.
    NotImplementedError
        The dilation is not 1.

    >>> import numgrad as ng
    >>> from numgrad import models
    >>> models.BasicBlock(64, 64)(ng.ones(1, 64, 4, 4)).shape
    numgrad.Size([1, 64, 4, 4])
    """

    expansion: ClassVar[int] = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: NormLayer | None = None,
    ) -> None:
        super().__init__()
        norm = norm_layer or nn.BatchNorm2d
        if groups != 1 or base_width != 64:
            raise ValueError("BasicBlock only supports groups=1 and base_width=64")
        if dilation > 1:
            raise NotImplementedError("Dilation > 1 not supported in BasicBlock")
        self.conv1 = _conv3x3(inplanes, planes, stride)
        self.bn1 = norm(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = _conv3x3(planes, planes)
        self.bn2 = norm(planes)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        out = norm_relu(self.bn1, self.relu, self.conv1(x))
        return norm_relu(self.bn2, self.relu, self.conv2(out), identity)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a residual connection: the block of the deeper ResNets.

    The 3x3 convolution has the stride ("ResNet v1.5"); in the original paper the first convolution has it.

    >>> import numgrad as ng
    >>> from numgrad import models
    >>> models.Bottleneck(64, 16)(ng.ones(1, 64, 4, 4)).shape
    numgrad.Size([1, 64, 4, 4])
    """

    expansion: ClassVar[int] = 4

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: NormLayer | None = None,
    ) -> None:
        super().__init__()
        norm = norm_layer or nn.BatchNorm2d
        width = int(planes * (base_width / 64.0)) * groups
        self.conv1 = _conv1x1(inplanes, width)
        self.bn1 = norm(width)
        self.conv2 = _conv3x3(width, width, stride, groups, dilation)
        self.bn2 = norm(width)
        self.conv3 = _conv1x1(width, planes * self.expansion)
        self.bn3 = norm(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        out = norm_relu(self.bn1, self.relu, self.conv1(x))
        out = norm_relu(self.bn2, self.relu, self.conv2(out))
        return norm_relu(self.bn3, self.relu, self.conv3(out), identity)


class ResNet(nn.Module):
    """A residual network of four stages for images [N, 3, H, W].

    Parameters
    ----------
    block
        `BasicBlock` or `Bottleneck`.
    layers
        Number of blocks of each stage.
    num_classes
        Size of the output [N, num_classes].
    zero_init_residual
        Start the scale of each block's last norm at 0, so that every block starts as the identity.
    groups, width_per_group
        Groups and width of the 3x3 convolutions: ResNeXt's and Wide ResNet's parameters.
    replace_stride_with_dilation
        For each of the last three stages, whether to keep the size and dilate the kernels instead.
    norm_layer
        Makes a norm for a number of channels; default `nn.BatchNorm2d`.

    Raises
    ------
    ValueError
        ``replace_stride_with_dilation`` does not have three elements.

    >>> import numgrad as ng
    >>> from numgrad import models
    >>> model = models.ResNet(models.BasicBlock, [1, 1, 1, 1], num_classes=10)
    >>> model(ng.rand(2, 3, 32, 32)).shape
    numgrad.Size([2, 10])
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        layers: list[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
        replace_stride_with_dilation: list[bool] | None = None,
        norm_layer: NormLayer | None = None,
    ) -> None:
        super().__init__()
        self._norm_layer = norm_layer or nn.BatchNorm2d
        dilate = replace_stride_with_dilation or [False, False, False]
        if len(dilate) != 3:
            raise ValueError(
                f"replace_stride_with_dilation should be None or a 3-element tuple, got {replace_stride_with_dilation}"
            )
        self.inplanes = 64
        self.dilation = 1
        self.groups = groups
        self.base_width = width_per_group
        self.conv1 = nn.Conv2d(3, self.inplanes, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = self._norm_layer(self.inplanes)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._make_layer(block, 64, layers[0])
        self.layer2 = self._make_layer(block, 128, layers[1], 2, dilate[0])
        self.layer3 = self._make_layer(block, 256, layers[2], 2, dilate[1])
        self.layer4 = self._make_layer(block, 512, layers[3], 2, dilate[2])
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        self._initialise(zero_init_residual)

    def _initialise(self, zero_init_residual: bool) -> None:
        initialise(self)
        if zero_init_residual:
            for module in self.modules():
                if isinstance(module, (BasicBlock, Bottleneck)):
                    last = module.bn3 if isinstance(module, Bottleneck) else module.bn2
                    if last.weight is not None:
                        nn.init.zeros_(last.weight)

    def _make_layer(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        planes: int,
        blocks: int,
        stride: int = 1,
        dilate: bool = False,
    ) -> nn.Sequential:
        before = self.dilation
        if dilate:
            self.dilation *= stride
            stride = 1
        outputs = planes * block.expansion
        downsample = None
        if stride != 1 or self.inplanes != outputs:
            downsample = nn.Sequential(_conv1x1(self.inplanes, outputs, stride), self._norm_layer(outputs))
        common = (self.groups, self.base_width)
        stage = [block(self.inplanes, planes, stride, downsample, *common, before, self._norm_layer)]
        self.inplanes = outputs
        for _ in range(1, blocks):
            stage.append(block(self.inplanes, planes, 1, None, *common, self.dilation, self._norm_layer))
        return nn.Sequential(*stage)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(norm_relu(self.bn1, self.relu, self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(shaping.flatten(self.avgpool(x), 1))  # type: ignore[no-any-return]


@register(ResNet18_Weights)
def resnet18(*, weights: ResNet18_Weights | str | None = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """ResNet-18.

    Parameters
    ----------
    weights
        A member of `ResNet18_Weights`, or its name; None: random initial values.
    progress
        Show a bar while a file is downloaded (on a terminal).
    kwargs
        Further arguments of `ResNet`, such as num_classes.

    Raises
    ------
    WeightsError
        The weights cannot be fetched; see `numgrad.weights.fetch`.
    ValueError
        num_classes is not that of the weights.

    >>> import numgrad as ng
    >>> from numgrad.models import resnet18
    >>> model = resnet18(num_classes=10)
    >>> len(model.state_dict())
    122
    """
    return build(ResNet18_Weights, weights, progress, kwargs, ResNet, BasicBlock, [2, 2, 2, 2])


@register(ResNet34_Weights)
def resnet34(*, weights: ResNet34_Weights | str | None = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """ResNet-34; arguments and errors as for `resnet18`."""
    return build(ResNet34_Weights, weights, progress, kwargs, ResNet, BasicBlock, [3, 4, 6, 3])


@register(ResNet50_Weights)
def resnet50(*, weights: ResNet50_Weights | str | None = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """ResNet-50; arguments and errors as for `resnet18`."""
    return build(ResNet50_Weights, weights, progress, kwargs, ResNet, Bottleneck, [3, 4, 6, 3])


@register(ResNet101_Weights)
def resnet101(*, weights: ResNet101_Weights | str | None = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """ResNet-101; arguments and errors as for `resnet18`."""
    return build(ResNet101_Weights, weights, progress, kwargs, ResNet, Bottleneck, [3, 4, 23, 3])


@register(ResNet152_Weights)
def resnet152(*, weights: ResNet152_Weights | str | None = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """ResNet-152; arguments and errors as for `resnet18`."""
    return build(ResNet152_Weights, weights, progress, kwargs, ResNet, Bottleneck, [3, 8, 36, 3])


@register(ResNeXt50_32X4D_Weights)
def resnext50_32x4d(
    *, weights: ResNeXt50_32X4D_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> ResNet:
    """ResNeXt-50 with 32 groups of width 4; arguments and errors as for `resnet18`."""
    fixed(kwargs, "groups", 32)
    fixed(kwargs, "width_per_group", 4)
    return build(ResNeXt50_32X4D_Weights, weights, progress, kwargs, ResNet, Bottleneck, [3, 4, 6, 3])


@register(ResNeXt101_32X8D_Weights)
def resnext101_32x8d(
    *, weights: ResNeXt101_32X8D_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> ResNet:
    """ResNeXt-101 with 32 groups of width 8; arguments and errors as for `resnet18`."""
    fixed(kwargs, "groups", 32)
    fixed(kwargs, "width_per_group", 8)
    return build(ResNeXt101_32X8D_Weights, weights, progress, kwargs, ResNet, Bottleneck, [3, 4, 23, 3])


@register(ResNeXt101_64X4D_Weights)
def resnext101_64x4d(
    *, weights: ResNeXt101_64X4D_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> ResNet:
    """ResNeXt-101 with 64 groups of width 4; arguments and errors as for `resnet18`."""
    fixed(kwargs, "groups", 64)
    fixed(kwargs, "width_per_group", 4)
    return build(ResNeXt101_64X4D_Weights, weights, progress, kwargs, ResNet, Bottleneck, [3, 4, 23, 3])


@register(Wide_ResNet50_2_Weights)
def wide_resnet50_2(
    *, weights: Wide_ResNet50_2_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> ResNet:
    """Wide ResNet-50: ResNet-50 with 3x3 convolutions twice as wide; arguments and errors as for `resnet18`."""
    fixed(kwargs, "width_per_group", 128)
    return build(Wide_ResNet50_2_Weights, weights, progress, kwargs, ResNet, Bottleneck, [3, 4, 6, 3])


@register(Wide_ResNet101_2_Weights)
def wide_resnet101_2(
    *, weights: Wide_ResNet101_2_Weights | str | None = None, progress: bool = True, **kwargs: Any
) -> ResNet:
    """Wide ResNet-101: ResNet-101 with 3x3 convolutions twice as wide; arguments and errors as for `resnet18`."""
    fixed(kwargs, "width_per_group", 128)
    return build(Wide_ResNet101_2_Weights, weights, progress, kwargs, ResNet, Bottleneck, [3, 4, 23, 3])
