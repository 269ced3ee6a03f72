"""`VisionDataset`: what all datasets of images have in common."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numgrad import config
from numgrad.dtypes import get_default_dtype
from numgrad.tensor import arguments
from numgrad.tensor.tensor import Tensor
from numgrad.transforms.fixed import Compose, Normalize, ToTensor
from numgrad.utils.data import Dataset

Transform = Callable[[Any], Any] | None


class VisionDataset(Dataset[tuple[Any, Any]]):
    """Base class of datasets whose samples are an image and its target.

    Parameters
    ----------
    root
        The folder of the dataset's files.
    transforms
        A function of both, or in its place
    transform, target_transform
        a function of either.

    Raises
    ------
    ValueError
        Both kinds are given.

    >>> from numgrad.datasets import FakeData
    >>> FakeData(size=5)
    Dataset FakeData
        Number of datapoints: 5
    """

    def __init__(
        self,
        root: str | Path | None = None,
        transforms: Callable[[Any, Any], Any] | None = None,
        transform: Transform = None,
        target_transform: Transform = None,
    ) -> None:
        self.root = os.path.expanduser(root) if isinstance(root, str) else root
        apart = transform is not None or target_transform is not None
        if transforms is not None and apart:
            raise ValueError("Only transforms or transform/target_transform can be passed as argument")
        self.transform = transform
        self.target_transform = target_transform
        self.transforms = StandardTransform(transform, target_transform) if apart else transforms

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def _sample(self, image: Any, target: Any) -> tuple[Any, Any]:
        """An image and its target after the transforms."""
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def _batch_transform(self, base: type) -> Callable[[Tensor], Tensor] | None:
        """The transform for a batch of bytes [N, C, H, W] at once, where that has the same bits as image by image.

        So it is for `ToTensor` with or without `Normalize`, by far the commonest; else, and for a class with samples of its
        own, None.
        """
        if self._is_other(base):
            return None
        transform = self.transform
        steps: list[Any] = list(transform.transforms) if type(transform) is Compose else [transform]
        if not steps or type(steps[0]) is not ToTensor or any(type(step) is not Normalize for step in steps[1:]):
            return None
        return lambda batch: Compose(steps[1:])(arguments.cast(batch, get_default_dtype()) / 255.0)

    def _is_other(self, base: Any) -> bool:
        """Whether samples or targets may be others than those of ``base``."""
        same = type(self).__getitem__ is base.__getitem__ and not hasattr(self, "__getitems__")
        return not same or self.target_transform is not None

    def __repr__(self) -> str:
        body = [f"Number of datapoints: {len(self)}"]
        if self.root is not None:
            body.append(f"Root location: {self.root}")
        body += self.extra_repr().splitlines()
        if self.transforms is not None:
            body.append(repr(self.transforms))
        return "\n".join([f"Dataset {type(self).__name__}", *(f"    {line}" for line in body)])

    def extra_repr(self) -> str:
        """More lines for ``repr``.

        >>> VisionDataset().extra_repr()
        ''
        """
        return ""


class Downloadable(VisionDataset):
    """A dataset in two parts, to train and to test, that `download` fetches; ``classes`` names its targets."""

    classes: list[str]

    def __init__(
        self,
        root: str | Path | None = None,
        train: bool = True,
        transform: Transform = None,
        target_transform: Transform = None,
        download: bool = False,
    ) -> None:
        super().__init__(folder_of(root), transform=transform, target_transform=target_transform)
        self.train = train
        if download:
            self.download()
        self._load()

    def download(self) -> None:
        """Download what is missing or corrupt."""
        raise NotImplementedError

    def _load(self) -> None:
        """Read the part."""
        raise NotImplementedError

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The number of each class."""
        return {name: index for index, name in enumerate(self.classes)}


class StandardTransform:
    """A transform of the image and one of the target as one function of both.

    >>> StandardTransform(lambda x: x + 1)(1, 2)
    (2, 2)
    """

    def __init__(self, transform: Transform = None, target_transform: Transform = None) -> None:
        self.transform = transform
        self.target_transform = target_transform

    def __call__(self, input: Any, target: Any) -> tuple[Any, Any]:
        if self.transform is not None:
            input = self.transform(input)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return input, target

    def __repr__(self) -> str:
        lines = [type(self).__name__]
        for head, transform in (("Transform: ", self.transform), ("Target transform: ", self.target_transform)):
            if transform is not None:
                first, *others = repr(transform).splitlines()
                lines += [head + first, *(" " * len(head) + line for line in others)]
        return "\n".join(lines)


def folder_of(root: str | Path | None) -> Path:
    """The folder that was given, or ``datasets`` in numgrad's own, which ``NUMGRAD_HOME`` moves."""
    if root is not None:
        return Path(root).expanduser()
    home = config.HOME()
    return (Path(home).expanduser() if home else config.cache_folder()) / "datasets"


def need_pillow() -> None:
    """Refuse to make pictures without Pillow."""
    try:
        import PIL.Image  # noqa: F401
    except ImportError:
        raise ImportError(
            "Pillow is needed for this dataset's images: pip install 'numgrad[image]', or use its .data and .targets"
        ) from None
