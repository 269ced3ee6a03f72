"""Datasets of images, as torchvision's: MNIST and CIFAR with their downloads, folders of pictures, and `Digits`, which is here.

>>> from numgrad.datasets import Digits
>>> from numgrad.utils.data import DataLoader
>>> images, labels = next(iter(DataLoader(Digits(), batch_size=32, shuffle=True)))
>>> images.shape, labels.shape
(numgrad.Size([32, 1, 8, 8]), numgrad.Size([32]))
"""

from __future__ import annotations

from numgrad.datasets.cifar import CIFAR10, CIFAR100
from numgrad.datasets.digits import Digits
from numgrad.datasets.fake import FakeData
from numgrad.datasets.folder import DatasetFolder, ImageFolder
from numgrad.datasets.mnist import KMNIST, MNIST, FashionMNIST
from numgrad.datasets.vision import VisionDataset

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "KMNIST",
    "MNIST",
    "DatasetFolder",
    "Digits",
    "FakeData",
    "FashionMNIST",
    "ImageFolder",
    "VisionDataset",
]
