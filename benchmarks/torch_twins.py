"""What examples import from `numgrad.datasets` and `numgrad.models`, for torch, where torchvision is not installed."""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.data import Dataset

from benchmarks.common import ROOT
from benchmarks.torch_resnet import ResNet18

_TRAINING = 1437


class Digits(Dataset):
    """numgrad's `Digits` as tensors of torch."""

    def __init__(self, train: bool | None = True) -> None:
        part = slice(None) if train is None else slice(_TRAINING) if train else slice(_TRAINING, None)
        with np.load(ROOT / "numgrad" / "datasets" / "digits.npz") as arrays:
            self.data = torch.tensor(arrays["images"][part])
            self.targets = torch.tensor(arrays["labels"][part].astype(np.int64))

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.data[index][None] / 16.0, int(self.targets[index])


def resnet18(weights: None = None, num_classes: int = 1000) -> ResNet18:
    """A ResNet18 with random values."""
    return ResNet18(num_classes)
