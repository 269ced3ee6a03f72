"""`FakeData`: random images, for programs that only have to run."""

from __future__ import annotations

from typing import Any

from numgrad import dtypes
from numgrad.datasets.vision import Transform, VisionDataset, need_pillow
from numgrad.tensor import random
from numgrad.tensor.random import Generator
from numgrad.transforms.exchange import to_pil_image


class FakeData(VisionDataset):
    """Random pictures with random classes; a sample is always the same, and draws nothing from the default generator.

    Parameters
    ----------
    size, image_size, num_classes
        The number of samples, the extents [C, H, W] of an image, and the number of classes.
    transform, target_transform
        Functions of a sample's picture, and of its class, an int.
    random_offset
        Another number gives other samples.

    >>> from numgrad.datasets import FakeData
    >>> len(FakeData(size=5, image_size=(3, 32, 32)))
    5
    """

    def __init__(
        self,
        size: int = 1000,
        image_size: tuple[int, int, int] = (3, 224, 224),
        num_classes: int = 10,
        transform: Transform = None,
        target_transform: Transform = None,
        random_offset: int = 0,
    ) -> None:
        super().__init__(transform=transform, target_transform=target_transform)
        self.size = size
        self.num_classes = num_classes
        self.image_size = image_size
        self.random_offset = random_offset

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if index >= len(self):
            raise IndexError(f"{type(self).__name__} index out of range")
        need_pillow()
        generator = Generator().manual_seed(index + self.random_offset)
        pixels = random.randint(0, 256, tuple(self.image_size), generator=generator, dtype=dtypes.uint8)
        target = random.randint(0, self.num_classes, (1,), generator=generator).item()
        return self._sample(to_pil_image(pixels), target)

    def __len__(self) -> int:
        return self.size
