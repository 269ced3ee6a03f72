"""Transforms that draw: from numgrad's default generator, and which transforms from Python's `random`, as in torchvision."""

from __future__ import annotations

import math
import numbers
import random as python_random
from collections.abc import Callable, Sequence
from typing import Any

from numgrad import dtypes
from numgrad.errors import warn
from numgrad.nn.module import Module
from numgrad.tensor import creation, random
from numgrad.tensor.tensor import Tensor
from numgrad.transforms import functional as F
from numgrad.transforms.checks import two
from numgrad.transforms.modes import InterpolationMode, as_mode, dimensions

_TRIES = 10  # of a rectangle that may be too large


def drawn(low: float, high: float) -> float:
    """A uniform number."""
    return float(random.uniform_(creation.empty(1, dtype=dtypes.float32), low, high).item())


def drawn_below(end: int) -> int:
    """A uniform integer from 0 to end - 1."""
    return int(random.randint(0, end, (1,)).item())


def happens(p: float) -> bool:
    """True with this probability."""
    return bool(random.rand(1).item() < p)


class RandomApply(Module):
    """All of the transforms, one after the other, with probability ``p``, or none.

    >>> import numgrad as ng
    >>> from numgrad import transforms
    >>> transforms.RandomApply([transforms.Lambda(lambda x: -x)], p=1.0)(ng.ones(2))
    tensor([-1., -1.])
    """

    def __init__(self, transforms: Sequence[Callable[[Any], Any]], p: float = 0.5) -> None:
        super().__init__()
        self.transforms = transforms
        self.p = p

    def forward(self, img: Any) -> Any:
        if self.p < random.rand(1).item():
            return img
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self) -> str:
        return "\n".join(
            [f"{type(self).__name__}(", f"    p={self.p}", *(f"    {each}" for each in self.transforms), ")"]
        )


class RandomTransforms:
    """Base class of transforms with a list of them.

    >>> from numgrad import transforms
    >>> isinstance(transforms.RandomOrder([]), transforms.RandomTransforms)
    True
    """

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        if not isinstance(transforms, Sequence):
            raise TypeError("Argument transforms should be a sequence")
        self.transforms = transforms

    def __repr__(self) -> str:
        return "\n".join([f"{type(self).__name__}(", *(f"    {each}" for each in self.transforms), ")"])


class RandomOrder(RandomTransforms):
    """All of the transforms, in random order.

    >>> from numgrad import transforms
    >>> transforms.RandomOrder([transforms.Lambda(lambda x: x + 1), transforms.Lambda(lambda x: x + 2)])(0)
    3
    """

    def __call__(self, img: Any) -> Any:
        order = list(range(len(self.transforms)))
        python_random.shuffle(order)
        for index in order:
            img = self.transforms[index](img)
        return img


class RandomChoice(RandomTransforms):
    """One of the transforms, drawn with these weights, or all as likely.

    >>> from numgrad import transforms
    >>> transforms.RandomChoice([transforms.Lambda(lambda x: x + 1), transforms.Lambda(lambda x: x + 2)], p=[0, 1])(0)
    2
    """

    def __init__(self, transforms: Sequence[Callable[..., Any]], p: Sequence[float] | None = None) -> None:
        super().__init__(transforms)
        if p is not None and not isinstance(p, Sequence):
            raise TypeError("Argument p should be a sequence")
        self.p = p

    def __call__(self, *args: Any) -> Any:
        return python_random.choices(self.transforms, weights=self.p)[0](*args)

    def __repr__(self) -> str:
        return f"{super().__repr__()}(p={self.p})"


class _Likely(Module):
    """A transform of which a probability is all that there is to know."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"


class RandomHorizontalFlip(_Likely):
    """Left for right with probability ``p``.

    >>> import numgrad as ng
    >>> from numgrad import transforms
    >>> transforms.RandomHorizontalFlip(p=1)(ng.tensor([[1, 2]]))
    tensor([[2, 1]])
    """

    def forward(self, img: Any) -> Any:
        return F.hflip(img) if happens(self.p) else img


class RandomVerticalFlip(_Likely):
    """Top for bottom with probability ``p``.

    >>> import numgrad as ng
    >>> from numgrad import transforms
    >>> transforms.RandomVerticalFlip(p=1)(ng.tensor([[1], [2]])).flatten()
    tensor([2, 1])
    """

    def forward(self, img: Any) -> Any:
        return F.vflip(img) if happens(self.p) else img


class RandomGrayscale(_Likely):
    """Grey with probability ``p``, in as many channels as before.

    >>> import numgrad as ng
    >>> from numgrad import transforms
    >>> transforms.RandomGrayscale(p=1)(ng.rand(3, 2, 2)).shape
    numgrad.Size([3, 2, 2])
    """

    def __init__(self, p: float = 0.1) -> None:
        super().__init__(p)

    def forward(self, img: Any) -> Any:
        channels = dimensions(img)[0]
        return F.rgb_to_grayscale(img, channels) if happens(self.p) else img


class RandomCrop(Module):
    """A part of the image, after margins as of `functional.pad`; ``pad_if_needed`` adds some to an image that is too small.

    >>> import numgrad as ng
    >>> from numgrad import transforms
    >>> transforms.RandomCrop(32, padding=4)(ng.zeros(3, 32, 32)).shape
    numgrad.Size([3, 32, 32])
    """

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: Any = 0,
        padding_mode: str = "constant",
    ) -> None:
        super().__init__()
        self.size = two(size)
        self.padding = padding
        self.pad_if_needed = pad_if_needed
        self.fill = fill
        self.padding_mode = padding_mode

    @staticmethod
    def get_params(img: Any, output_size: Sequence[int]) -> tuple[int, int, int, int]:
        """Top, left, height and width of a random part.

        Raises
        ------
        ValueError
            The image is too small.

        >>> import numgrad as ng
        >>> RandomCrop.get_params(ng.zeros(3, 4, 5), (4, 5))
        (0, 0, 4, 5)
        """
        _, rows, columns = dimensions(img)
        height, width = output_size
        if rows < height or columns < width:
            raise ValueError(f"Required crop size {(height, width)} is larger than input image size {(rows, columns)}")
        if (rows, columns) == (height, width):
            return 0, 0, height, width
        return drawn_below(rows - height + 1), drawn_below(columns - width + 1), height, width

    def forward(self, img: Any) -> Any:
        if self.padding is not None:
            img = F.pad(img, self.padding, self.fill, self.padding_mode)
        _, rows, columns = dimensions(img)
        height, width = self.size
        if self.pad_if_needed and columns < width:
            img = F.pad(img, [width - columns, 0], self.fill, self.padding_mode)
        if self.pad_if_needed and rows < height:
            img = F.pad(img, [0, height - rows], self.fill, self.padding_mode)
        return F.crop(img, *self.get_params(img, self.size))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size}, padding={self.padding})"


def _check_ranges(scale: Any, ratio: Any) -> None:
    if not isinstance(scale, Sequence):
        raise TypeError("Scale should be a sequence")
    if not isinstance(ratio, Sequence):
        raise TypeError("Ratio should be a sequence")
    if scale[0] > scale[1] or ratio[0] > ratio[1]:
        warn("Scale and ratio should be of kind (min, max)")


def _drawn_sides(area: int, scale: Sequence[float], ratio: Sequence[float]) -> tuple[int, int]:
    """Two sides whose product is a share of the area, and whose ratio is as likely to be above 1 as below."""
    share = area * drawn(scale[0], scale[1])
    aspect = math.exp(drawn(math.log(ratio[0]), math.log(ratio[1])))
    return round(math.sqrt(share * aspect)), round(math.sqrt(share / aspect))


class RandomResizedCrop(Module):
    """A part of the image of random area and ratio of sides, resized.

    Parameters
    ----------
    size
        Height and width of the result.
    scale, ratio
        Smallest and largest share of the image's area, and ratio of width to height.
    interpolation, antialias
        As for `functional.resize`.

    >>> import numgrad as ng
    >>> from numgrad import transforms
    >>> transforms.RandomResizedCrop(8)(ng.zeros(3, 20, 30)).shape
    numgrad.Size([3, 8, 8])
    """

    def __init__(
        self,
        size: int | Sequence[int],
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3.0 / 4.0, 4.0 / 3.0),
        interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.size = two(size)
        _check_ranges(scale, ratio)
        self.interpolation = as_mode(interpolation)
        self.antialias = antialias
        self.scale = scale
        self.ratio = ratio

    @staticmethod
    def get_params(img: Any, scale: Sequence[float], ratio: Sequence[float]) -> tuple[int, int, int, int]:
        """Top, left, height and width of a random part; of the centre, if nothing that was drawn fits.

        >>> import numgrad as ng
        >>> RandomResizedCrop.get_params(ng.zeros(3, 4, 4), (1.0, 1.0), (1.0, 1.0))
        (0, 0, 4, 4)
        """
        _, rows, columns = dimensions(img)
        for _ in range(_TRIES):
            width, height = _drawn_sides(rows * columns, scale, ratio)
            if 0 < width <= columns and 0 < height <= rows:
                return drawn_below(rows - height + 1), drawn_below(columns - width + 1), height, width
        width, height = columns, rows
        if columns / rows < min(ratio):
            height = round(columns / min(ratio))
        elif columns / rows > max(ratio):
            width = round(rows * max(ratio))
        return (rows - height) // 2, (columns - width) // 2, height, width

    def forward(self, img: Any) -> Any:
        part = self.get_params(img, self.scale, self.ratio)
        return F.resized_crop(img, *part, self.size, self.interpolation, antialias=self.antialias)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(size={self.size}, scale={tuple(round(each, 4) for each in self.scale)}, "
            f"ratio={tuple(round(each, 4) for each in self.ratio)}, interpolation={self.interpolation.value}, "
            f"antialias={self.antialias})"
        )


class RandomErasing(Module):
    """A random rectangle of a tensor [..., C, H, W] erased, with probability ``p``.

    Parameters
    ----------
    scale, ratio
        Smallest and largest share of the image's area, and ratio of height to width.
    value
        A number, one for each channel, or 'random': normal numbers.
    inplace
        Change the tensor itself.

    >>> import numgrad as ng
    >>> from numgrad import transforms
    >>> (transforms.RandomErasing(p=1, value=5)(ng.zeros(3, 8, 8)) == 5).any()
    tensor(True)
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: Any = 0,
        inplace: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(value, (numbers.Number, str, tuple, list)):
            raise TypeError("Argument value should be either a number or str or a sequence")
        if isinstance(value, str) and value != "random":
            raise ValueError("If value is str, it should be 'random'")
        _check_ranges(scale, ratio)
        if scale[0] < 0 or scale[1] > 1:
            raise ValueError("Scale should be between 0 and 1")
        if p < 0 or p > 1:
            raise ValueError("Random erasing probability should be between 0 and 1")
        self.p = p
        self.scale = scale
        self.ratio = ratio
        self.value = value
        self.inplace = inplace

    @staticmethod
    def get_params(
        img: Tensor, scale: Sequence[float], ratio: Sequence[float], value: Sequence[float] | None = None
    ) -> tuple[int, int, int, int, Tensor]:
        """Top, left, height, width and values of a rectangle; of the image itself, if nothing that was drawn fits.

        >>> import numgrad as ng
        >>> RandomErasing.get_params(ng.zeros(1, 4, 4), (0.25, 0.25), (1.0, 1.0), [0.0])[2:4]
        (2, 2)
        """
        channels, rows, columns = img.shape[-3:]
        for _ in range(_TRIES):
            height, width = _drawn_sides(rows * columns, scale, ratio)
            if height < rows and width < columns:
                values = (
                    random.randn(channels, height, width, dtype=dtypes.float32)
                    if value is None
                    else creation.tensor(value).reshape(-1, 1, 1)
                )
                return drawn_below(rows - height + 1), drawn_below(columns - width + 1), height, width, values
        return 0, 0, rows, columns, img

    def forward(self, img: Tensor) -> Tensor:
        if not happens(self.p):
            return img
        value = None if isinstance(self.value, str) else self.value
        if isinstance(value, numbers.Number):
            value = [value]
        if value is not None and len(value) not in (1, img.shape[-3]):
            raise ValueError(
                f"If value is a sequence, it should have either a single value or {img.shape[-3]} (number of input channels)"
            )
        colours = None if value is None else [float(each) for each in value]
        return F.erase(img, *self.get_params(img, self.scale, self.ratio, colours), self.inplace)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(p={self.p}, scale={self.scale}, ratio={self.ratio}, value={self.value}, "
            f"inplace={self.inplace})"
        )
