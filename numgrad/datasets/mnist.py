"""MNIST and two datasets of its format: 28x28 grey images of 10 classes, 60000 to train and 10000 to test."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from numgrad.datasets.vision import Downloadable, folder_of, need_pillow
from numgrad.tensor import creation
from numgrad.tensor.tensor import Tensor
from numgrad.transforms.pictures import from_array
from numgrad.utils.data.dataset import rows
from numgrad.weights.entries import Source
from numgrad.weights.files import fetch_file, verified

_CHUNK = 1 << 20


class MNIST(Downloadable):
    """Images of handwritten digits.

    The files are those of torchvision, in the same places: ``root/MNIST/raw``. Unpacked ones are used where they are;
    what numgrad downloads stays packed. Every download has its full SHA-256 checked.

    Parameters
    ----------
    root
        The folder; None: ``datasets`` in numgrad's own folder, which ``NUMGRAD_HOME`` moves.
    train
        The 60000 images to train with, or the 10000 to test with.
    transform, target_transform
        Functions of a sample's image, a picture of Pillow's, and of its class, an int.
    download
        Download what is missing or corrupt, as pretrained weights are, and by the same settings (``NUMGRAD_OFFLINE``).

    ``data`` is a tensor [N, 28, 28] of uint8, ``targets`` one of int64.

    Raises
    ------
    RuntimeError
        The files are not there, or corrupt; among these errors are those of `numgrad.weights.fetch`.

    >>> from numgrad import datasets
    >>> train = datasets.MNIST(download=True)  # doctest: +SKIP
    >>> train.data.shape  # doctest: +SKIP
    numgrad.Size([60000, 28, 28])
    """

    mirrors: tuple[str, ...] = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )
    # (file, bytes, SHA-256): images and labels to train, then to test.
    resources = (
        ("train-images-idx3-ubyte.gz", 9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
        ("train-labels-idx1-ubyte.gz", 28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
        ("t10k-images-idx3-ubyte.gz", 1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        ("t10k-labels-idx1-ubyte.gz", 4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    )
    classes = [  # noqa: RUF012 (as in torchvision, a list)
        "0 - zero", "1 - one", "2 - two", "3 - three", "4 - four",
        "5 - five", "6 - six", "7 - seven", "8 - eight", "9 - nine",
    ]  # fmt: skip

    def _load(self) -> None:
        images, labels = (self._read(index) for index in ((0, 1) if self.train else (2, 3)))
        if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
            raise RuntimeError(
                f"{self.raw_folder}: {list(images.shape)} of images do not fit to {list(labels.shape)} of labels"
            )
        self.data: Any = creation.from_numpy(images)
        self.targets: Any = creation.from_numpy(labels.astype(np.int64))

    @property
    def raw_folder(self) -> str:
        """The folder of the files."""
        return str(folder_of(self.root) / type(self).__name__ / "raw")

    def download(self) -> None:
        """Download what is missing or corrupt.

        >>> from numgrad import datasets
        >>> datasets.MNIST("folder").download()  # doctest: +SKIP
        """
        for index in range(len(self.resources)):
            packed, unpacked, source = self._file(index)
            if not unpacked.exists():
                fetch_file(type(self).__name__, packed, source)

    def _file(self, index: int) -> tuple[Path, Path, Source]:
        name, size, sha256 = self.resources[index]
        packed = Path(self.raw_folder) / name
        urls = tuple(mirror + name for mirror in self.mirrors)
        return packed, packed.with_suffix(""), Source(name, "idx", size, True, urls, sha256)

    def _read(self, index: int) -> np.ndarray:
        packed, unpacked, source = self._file(index)
        if unpacked.exists():
            return _idx(unpacked.read_bytes(), unpacked)
        if not packed.exists():
            raise RuntimeError(f"Dataset not found. You can use download=True to download it ({packed} is not there)")
        if not verified(packed, source):
            raise RuntimeError(
                f"{packed} is corrupt: its SHA-256 is not {source.sha256}. Use download=True to replace it"
            )
        try:
            return _idx(gzip.decompress(packed.read_bytes()), packed)
        except (OSError, EOFError, zlib.error) as error:
            raise RuntimeError(f"{packed} cannot be unpacked: {error}") from error

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        need_pillow()
        image = from_array(_numpy(self.data)[index][..., None], "L")
        return self._sample(image, int(_numpy(self.targets)[index]))

    def __len__(self) -> int:
        return len(self.data)

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train else 'Test'}"

    def _collated_batch(self, indices: list[int]) -> Any:
        transform = self._batch_transform(MNIST)
        if transform is None or not (isinstance(self.data, Tensor) and isinstance(self.targets, Tensor)):
            return None
        chosen = rows((self.data, self.targets), indices)
        return chosen and [transform(chosen[0].unsqueeze(1)), chosen[1]]


def _numpy(values: Any) -> Any:
    """A tensor as an array, which takes single indices faster; what a program has put in its place as it is."""
    return values.numpy() if isinstance(values, Tensor) else values


def _idx(content: bytes, path: Path) -> np.ndarray:
    """The array of bytes in a file of the IDX format: a magic number, extents, and the values."""
    kind, dims = (content[2], content[3]) if len(content) >= 4 and content[:2] == b"\0\0" else (0, 0)
    if kind != 8 or not 1 <= dims <= 3 or len(content) < 4 + 4 * dims:
        raise RuntimeError(f"{path} is corrupt: it does not begin as an IDX file of bytes")
    shape = np.frombuffer(content, ">u4", dims, 4).tolist()
    if len(content) != 4 + 4 * dims + math.prod(shape):
        raise RuntimeError(
            f"{path} is corrupt: it has {len(content)} bytes, expected {4 + 4 * dims + math.prod(shape)} for {shape}"
        )
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dims).reshape(shape).copy()


class FashionMNIST(MNIST):
    """Articles of clothing, from Zalando; otherwise as `MNIST`.

    >>> from numgrad import datasets
    >>> datasets.FashionMNIST.classes[7]
    'Sneaker'
    """

    mirrors = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)
    resources = (
        ("train-images-idx3-ubyte.gz", 26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        ("train-labels-idx1-ubyte.gz", 29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        ("t10k-images-idx3-ubyte.gz", 4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        ("t10k-labels-idx1-ubyte.gz", 5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    )
    classes = [  # noqa: RUF012 (as in torchvision, a list)
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ]  # fmt: skip


class KMNIST(MNIST):
    """Handwritten hiragana, from the CODH; otherwise as `MNIST`.

    >>> from numgrad import datasets
    >>> datasets.KMNIST.classes[:3]
    ['o', 'ki', 'su']
    """

    mirrors = ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",)
    resources = (
        ("train-images-idx3-ubyte.gz", 18165135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
        ("train-labels-idx1-ubyte.gz", 29497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
        ("t10k-images-idx3-ubyte.gz", 3041136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
        ("t10k-labels-idx1-ubyte.gz", 5120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
    )
    classes = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]  # noqa: RUF012 (as in torchvision, a list)
