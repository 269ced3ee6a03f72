"""A residual network in torch's modules, under torchvision's names: what numgrad's is compared with."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class Block(nn.Module):
    """Basic (two 3x3 convolutions) or bottleneck (1x1, 3x3, 1x1)."""

    def __init__(
        self, before: int, planes: int, stride: int, basic: bool, groups: int, base: int, dilation: int
    ) -> None:
        super().__init__()
        width = planes * base // 64 * groups
        after = planes if basic else 4 * planes
        spread: dict[str, Any] = {"padding": dilation, "dilation": dilation, "groups": groups}
        if basic:
            convs = [
                nn.Conv2d(before, planes, 3, stride, 1, bias=False),
                nn.Conv2d(planes, planes, 3, 1, 1, bias=False),
            ]
        else:
            convs = [
                nn.Conv2d(before, width, 1, bias=False),
                nn.Conv2d(width, width, 3, stride, bias=False, **spread),
                nn.Conv2d(width, after, 1, bias=False),
            ]
        for number, conv in enumerate(convs, 1):
            self.add_module(f"conv{number}", conv)
            self.add_module(f"bn{number}", nn.BatchNorm2d(conv.out_channels))
        self.count = len(convs)
        self.downsample = None
        if stride != 1 or before != after:
            self.downsample = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for number in range(1, self.count + 1):
            out = self.get_submodule(f"bn{number}")(self.get_submodule(f"conv{number}")(out))
            if number < self.count:
                out = out.relu()
        return (out + (x if self.downsample is None else self.downsample(x))).relu()


class ResNet(nn.Module):
    """The network for images [N, 3, H, W]."""

    def __init__(
        self,
        layers: tuple[int, ...],
        basic: bool,
        classes: int = 1000,
        groups: int = 1,
        base: int = 64,
        dilate: tuple[bool, ...] = (False, False, False),
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        before, dilation = 64, 1
        for stage, blocks in enumerate(layers):
            planes, stride, first = 64 << stage, 1 if stage == 0 else 2, dilation
            if stage and dilate[stage - 1]:
                dilation, stride = dilation * stride, 1
            made = []
            for number in range(blocks):
                spread = dilation if number else first
                made.append(Block(before, planes, 1 if number else stride, basic, groups, base, spread))
                before = planes if basic else 4 * planes
            self.add_module(f"layer{stage + 1}", nn.Sequential(*made))
        self.fc = nn.Linear(before, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.bn1(self.conv1(x)).relu())
        for stage in range(1, 5):
            x = self.get_submodule(f"layer{stage}")(x)
        return self.fc(x.mean((2, 3)))
