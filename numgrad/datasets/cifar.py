"""CIFAR-10 and CIFAR-100: 32x32 coloured images, 50000 to train and 10000 to test."""

from __future__ import annotations

import gzip
import os
import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from numgrad.datasets.vision import Downloadable, folder_of, need_pillow
from numgrad.serialization.atomic import replacing
from numgrad.tensor import creation
from numgrad.transforms.pictures import from_array
from numgrad.utils.data.dataset import rows
from numgrad.weights.entries import Source
from numgrad.weights.files import fetch_file, verified

_PIXELS = 3 * 32 * 32
_MOST_TEXT = 1 << 16


class CIFAR10(Downloadable):
    """Photographs of 10 kinds of animals and vehicles.

    numgrad reads the binary version, which has no pickles; torchvision's archive is another one. The archive's full SHA-256
    is checked, and what is unpacked from it appears in ``root/cifar-10-batches-bin`` whole or not at all.

    Parameters
    ----------
    root
        The folder; None: ``datasets`` in numgrad's own folder, which ``NUMGRAD_HOME`` moves.
    train
        The 50000 images to train with, or the 10000 to test with.
    transform, target_transform
        Functions of a sample's image, a picture of Pillow's, and of its class, an int.
    download
        Download what is missing or corrupt, as pretrained weights are, and by the same settings (``NUMGRAD_OFFLINE``).

    ``data`` is an array [N, 32, 32, 3] of uint8, ``targets`` a list of ints, ``classes`` the names.

    Raises
    ------
    RuntimeError
        The files are not there, or corrupt; among these errors are those of `numgrad.weights.fetch`.

    >>> from numgrad import datasets
    >>> train = datasets.CIFAR10(download=True)  # doctest: +SKIP
    >>> train.data.shape, train.classes[3]  # doctest: +SKIP
    ((50000, 32, 32, 3), 'cat')
    """

    base_folder = "cifar-10-batches-bin"
    filename = "cifar-10-binary.tar.gz"
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
    size = 170052171
    sha256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
    train_list: tuple[str, ...] = (
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
    )
    test_list = ("test_batch.bin",)
    meta = "batches.meta.txt"
    images_per_file = (10000, 10000)  # to train, to test
    labels_per_image = 1  # of which the last one is the class

    def _load(self) -> None:
        if missing := self._missing():
            if not self._archive().exists():
                raise RuntimeError(
                    "Dataset not found or corrupted. You can use download=True to download it "
                    f"({missing[0]} is not there, or has the wrong size)"
                )
            self._unpack()
        records = np.concatenate([self._read(name) for name in (self.train_list if self.train else self.test_list)])
        labels = self.labels_per_image
        self.data: np.ndarray = np.ascontiguousarray(records[:, labels:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        self.targets: list[int] = records[:, labels - 1].tolist()
        self.classes = (self._folder() / self.meta).read_text(encoding="utf-8").split()
        if max(self.targets) >= len(self.classes):
            raise RuntimeError(f"{self._folder()} is corrupt: there are labels beyond its {len(self.classes)} classes")

    def download(self) -> None:
        """Download what is missing or corrupt, and unpack it.

        >>> from numgrad import datasets
        >>> datasets.CIFAR10("folder").download()  # doctest: +SKIP
        """
        if self._missing():
            fetch_file(type(self).__name__, self._archive(), self._source())
            self._unpack()

    def _source(self) -> Source:
        return Source(self.filename, "tar", self.size, True, (self.url,), self.sha256)

    def _archive(self) -> Path:
        return folder_of(self.root) / self.filename

    def _folder(self) -> Path:
        return folder_of(self.root) / self.base_folder

    def _bytes_of(self, name: str) -> int:
        images = self.images_per_file[name in self.test_list]
        return images * (self.labels_per_image + _PIXELS)

    def _missing(self) -> list[Path]:
        """Files that are not there, or that are too short or too long."""
        folder = self._folder()
        names = [*self.train_list, *self.test_list]
        paths = [folder / name for name in names if _size(folder / name) != self._bytes_of(name)]
        return paths if _size(folder / self.meta) else [*paths, folder / self.meta]

    def _unpack(self) -> None:
        archive, names = self._archive(), {*self.train_list, *self.test_list, self.meta}
        if not verified(archive, self._source()):
            raise RuntimeError(
                f"{archive} is corrupt: its SHA-256 is not {self.sha256}. Use download=True to replace it"
            )
        self._folder().mkdir(parents=True, exist_ok=True)
        try:
            with tarfile.open(archive, "r:gz") as packed:
                for member in packed:
                    name = os.path.basename(member.name)  # and nothing of the path: no file goes elsewhere
                    file = packed.extractfile(member) if name in names and member.isreg() else None
                    if file is None:
                        continue
                    with replacing(self._folder() / name) as target:
                        target.write(file.read(_MOST_TEXT if name == self.meta else self._bytes_of(name)))
        except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise RuntimeError(f"{archive} cannot be unpacked: {error}") from error
        if missing := self._missing():
            raise RuntimeError(f"{archive} has no {missing[0].name} of the right size")

    def _read(self, name: str) -> np.ndarray:
        records = np.fromfile(self._folder() / name, np.uint8)
        return records.reshape(-1, self.labels_per_image + _PIXELS)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        need_pillow()
        return self._sample(from_array(self.data[index], "RGB"), self.targets[index])

    def __len__(self) -> int:
        return len(self.data)

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train else 'Test'}"

    def _collated_batch(self, indices: list[int]) -> Any:
        transform = self._batch_transform(CIFAR10)
        if transform is None or not isinstance(self.data, np.ndarray):
            return None
        chosen = rows((creation.from_numpy(self.data),), indices)
        if chosen is None:
            return None
        labels = creation.tensor([self.targets[index] for index in indices])
        return [transform(chosen[0].permute(0, 3, 1, 2).contiguous()), labels]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


class CIFAR100(CIFAR10):
    """Photographs of 100 kinds of things; otherwise as `CIFAR10`.

    >>> from numgrad import datasets
    >>> datasets.CIFAR100.base_folder
    'cifar-100-binary'
    """

    base_folder = "cifar-100-binary"
    filename = "cifar-100-binary.tar.gz"
    url = "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"
    size = 168513733
    sha256 = "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"
    train_list = ("train.bin",)
    test_list = ("test.bin",)
    meta = "fine_label_names.txt"
    images_per_file = (50000, 10000)
    labels_per_image = 2
