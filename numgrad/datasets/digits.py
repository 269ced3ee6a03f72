"""`Digits`: 8x8 images of handwritten digits that come with numgrad, for programs that need no network."""

from __future__ import annotations

import functools
from importlib import resources
from typing import Any, ClassVar

import numpy as np

from numgrad.datasets.vision import Transform, VisionDataset
from numgrad.dtypes import get_default_dtype
from numgrad.tensor import arguments, creation
from numgrad.utils.data.dataset import rows

_TRAINING = 1437  # four fifths; those after come from other writers
_WHITE = 16.0


class Digits(VisionDataset):
    """1797 handwritten digits of 8x8 pixels: 1437 to train with, the others to test with.

    A sample is a tensor [1, 8, 8] of values between 0 and 1, and an int. ``data`` is a tensor [N, 8, 8] of uint8 from 0 to
    16, ``targets`` one of int64.

    The data are the test set of "Optical Recognition of Handwritten Digits" by E. Alpaydin and C. Kaynak (1998), UCI Machine
    Learning Repository, https://doi.org/10.24432/C50P49, licensed under CC BY 4.0
    (https://creativecommons.org/licenses/by/4.0/), as scikit-learn has them; they were only packed.

    Parameters
    ----------
    train
        Which part; None: both.
    transform, target_transform
        Functions of a sample's image, and of its class.

    >>> from numgrad.datasets import Digits
    >>> image, label = Digits(train=True)[0]
    >>> image.shape, label, len(Digits(train=False))
    (numgrad.Size([1, 8, 8]), 0, 360)
    """

    classes: ClassVar[list[str]] = [str(digit) for digit in range(10)]

    def __init__(
        self, train: bool | None = True, transform: Transform = None, target_transform: Transform = None
    ) -> None:
        super().__init__(transform=transform, target_transform=target_transform)
        self.train = train
        part = slice(None) if train is None else slice(_TRAINING) if train else slice(_TRAINING, None)
        images, labels = _arrays()
        self.data = creation.tensor(images[part])
        self.targets = creation.tensor(labels[part].astype(np.int64))

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        pixels = self.data.numpy()[index][None] / _WHITE
        image = arguments.cast(creation.tensor(pixels), get_default_dtype())
        return self._sample(image, int(self.targets.numpy()[index]))

    def __len__(self) -> int:
        return len(self.data)

    def extra_repr(self) -> str:
        return "" if self.train is None else f"Split: {'Train' if self.train else 'Test'}"

    def _collated_batch(self, indices: list[int]) -> Any:
        if self._is_other(Digits) or self.transform is not None:
            return None
        chosen = rows((self.data, self.targets), indices)
        return chosen and [arguments.cast(chosen[0].unsqueeze(1), get_default_dtype()) / _WHITE, chosen[1]]


@functools.cache
def _arrays() -> tuple[np.ndarray, np.ndarray]:
    with resources.files("numgrad.datasets").joinpath("digits.npz").open("rb") as file, np.load(file) as arrays:
        return arrays["images"], arrays["labels"]
