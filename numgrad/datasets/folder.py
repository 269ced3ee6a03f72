"""`DatasetFolder` and `ImageFolder`: files in a folder for each class."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numgrad.datasets.vision import Transform, VisionDataset, need_pillow

IMG_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")

_Path = str | Path
_Check = Callable[[str], bool] | None


def find_classes(directory: _Path) -> tuple[list[str], dict[str, int]]:
    """The names of the folders in a folder, sorted, and the number of each.

    Raises
    ------
    FileNotFoundError
        There is none.

    >>> find_classes("data")  # doctest: +SKIP
    (['cat', 'dog'], {'cat': 0, 'dog': 1})
    """
    with os.scandir(directory) as entries:
        classes = sorted(entry.name for entry in entries if entry.is_dir())
    if not classes:
        raise FileNotFoundError(f"Couldn't find any class folder in {directory}.")
    return classes, {name: index for index, name in enumerate(classes)}


def make_dataset(
    directory: _Path,
    class_to_idx: dict[str, int] | None = None,
    extensions: str | tuple[str, ...] | None = None,
    is_valid_file: _Check = None,
    allow_empty: bool = False,
) -> list[tuple[str, int]]:
    """The files of each class's folder, at any depth, sorted, with the class's number.

    Raises
    ------
    ValueError
        ``class_to_idx`` is empty, or both or neither of ``extensions`` and ``is_valid_file`` are given.
    FileNotFoundError
        A class has no file, and ``allow_empty`` is False.

    >>> make_dataset("data", {"cat": 0}, ".png")  # doctest: +SKIP
    [('data/cat/1.png', 0)]
    """
    directory = os.path.expanduser(directory)
    if class_to_idx is None:
        _, class_to_idx = find_classes(directory)
    elif not class_to_idx:
        raise ValueError("'class_to_index' must have at least one entry to collect any samples.")
    if (extensions is None) == (is_valid_file is None):
        raise ValueError("Both extensions and is_valid_file cannot be None or not None at the same time")
    endings = (extensions,) if isinstance(extensions, str) else tuple(extensions or ())

    def fits(path: str) -> bool:
        return is_valid_file(path) if is_valid_file is not None else path.lower().endswith(endings)

    samples: list[tuple[str, int]] = []
    empty: list[str] = []
    for name, index in sorted(class_to_idx.items()):
        before = len(samples)
        for folder, _, files in sorted(os.walk(os.path.join(directory, name), followlinks=True)):
            samples += [(path, index) for file in sorted(files) if fits(path := os.path.join(folder, file))]
        if len(samples) == before:
            empty.append(name)
    if empty and not allow_empty:
        supported = f"Supported extensions are: {', '.join(endings)}" if endings else ""
        raise FileNotFoundError(f"Found no valid file for the classes {', '.join(empty)}. {supported}")
    return samples


class DatasetFolder(VisionDataset):
    """Files ``root/class/.../file``, read by ``loader``; a class is a folder's name, and its number the place in their order.

    Parameters
    ----------
    root
        The folder of the classes' folders.
    loader
        A function from a file's path to a sample.
    extensions, is_valid_file
        Which files are samples: the endings of their names, or a function of a path.
    transform, target_transform
        Functions of what the loader returns, and of the class's number.
    allow_empty
        Accept folders without samples.

    Raises
    ------
    FileNotFoundError
        There is no folder of a class, or none of its files is a sample.

    >>> from numgrad.datasets import DatasetFolder
    >>> DatasetFolder("data", np.load, extensions=(".npy",))  # doctest: +SKIP
    """

    def __init__(
        self,
        root: _Path,
        loader: Callable[[str], Any],
        extensions: tuple[str, ...] | None = None,
        transform: Transform = None,
        target_transform: Transform = None,
        is_valid_file: _Check = None,
        allow_empty: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.classes, self.class_to_idx = self.find_classes(root)
        self.samples = self.make_dataset(root, self.class_to_idx, extensions, is_valid_file, allow_empty)
        self.loader = loader
        self.extensions = extensions
        self.targets = [target for _, target in self.samples]

    @staticmethod
    def make_dataset(
        directory: _Path,
        class_to_idx: dict[str, int],
        extensions: tuple[str, ...] | None = None,
        is_valid_file: _Check = None,
        allow_empty: bool = False,
    ) -> list[tuple[str, int]]:
        """`folder.make_dataset`, for subclasses to replace.

        >>> DatasetFolder.make_dataset("data", {"cat": 0}, ".png")  # doctest: +SKIP
        [('data/cat/1.png', 0)]
        """
        if class_to_idx is None:
            raise ValueError("The class_to_idx parameter cannot be None.")
        return make_dataset(directory, class_to_idx, extensions, is_valid_file, allow_empty)

    def find_classes(self, directory: _Path) -> tuple[list[str], dict[str, int]]:
        """`folder.find_classes`, for subclasses to replace.

        >>> dataset.find_classes("data")  # doctest: +SKIP
        (['cat', 'dog'], {'cat': 0, 'dog': 1})
        """
        return find_classes(os.path.expanduser(directory))

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, target = self.samples[index]
        return self._sample(self.loader(path), target)

    def __len__(self) -> int:
        return len(self.samples)


def default_loader(path: str) -> Any:
    """The file as a picture in RGB.

    >>> default_loader("data/cat/1.png").size  # doctest: +SKIP
    (640, 480)
    """
    need_pillow()
    from PIL import Image

    with open(path, "rb") as file, Image.open(file) as picture:
        return picture.convert("RGB")


class ImageFolder(DatasetFolder):
    """Pictures ``root/class/.../file``, in RGB; otherwise as `DatasetFolder`. Needs Pillow.

    >>> from numgrad.datasets import ImageFolder
    >>> ImageFolder("data").classes  # doctest: +SKIP
    ['cat', 'dog']
    """

    def __init__(
        self,
        root: _Path,
        transform: Transform = None,
        target_transform: Transform = None,
        loader: Callable[[str], Any] = default_loader,
        is_valid_file: _Check = None,
        allow_empty: bool = False,
    ) -> None:
        extensions = IMG_EXTENSIONS if is_valid_file is None else None
        super().__init__(root, loader, extensions, transform, target_transform, is_valid_file, allow_empty)
        self.imgs = self.samples
