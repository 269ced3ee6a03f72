"""torchvision's transforms of images: tensors [..., C, H, W], and Pillow's pictures where Pillow is installed.

>>> import numpy as np
>>> from numgrad import transforms
>>> prepare = transforms.Compose([transforms.ToTensor(), transforms.Resize((8, 8)), transforms.Normalize([0.5], [0.5])])
>>> prepare(np.zeros((28, 28), np.uint8)).shape
numgrad.Size([1, 8, 8])
"""

from __future__ import annotations

from numgrad.transforms import functional
from numgrad.transforms.chance import (
    RandomApply,
    RandomChoice,
    RandomCrop,
    RandomErasing,
    RandomGrayscale,
    RandomHorizontalFlip,
    RandomOrder,
    RandomResizedCrop,
    RandomTransforms,
    RandomVerticalFlip,
)
from numgrad.transforms.classification import ImageClassification
from numgrad.transforms.fixed import (
    CenterCrop,
    Compose,
    ConvertDtype,
    ConvertImageDtype,
    FiveCrop,
    Grayscale,
    Lambda,
    Normalize,
    Pad,
    PILToTensor,
    Resize,
    TenCrop,
    ToPILImage,
    ToTensor,
)
from numgrad.transforms.jitter import ColorJitter, GaussianBlur, RandomAffine, RandomRotation
from numgrad.transforms.modes import InterpolationMode

__all__ = [
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "ConvertDtype",
    "ConvertImageDtype",
    "FiveCrop",
    "GaussianBlur",
    "Grayscale",
    "ImageClassification",
    "InterpolationMode",
    "Lambda",
    "Normalize",
    "PILToTensor",
    "Pad",
    "RandomAffine",
    "RandomApply",
    "RandomChoice",
    "RandomCrop",
    "RandomErasing",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomOrder",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomTransforms",
    "RandomVerticalFlip",
    "Resize",
    "TenCrop",
    "ToPILImage",
    "ToTensor",
    "functional",
]
