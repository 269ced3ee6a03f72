"""Transforms that do the same to each image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numgrad.dtypes import dtype as Dtype
from numgrad.nn.module import Module
from numgrad.tensor.tensor import Tensor
from numgrad.transforms import functional as F
from numgrad.transforms.checks import margins, two
from numgrad.transforms.modes import InterpolationMode, as_mode


class Compose:
    """Transforms one after the other.

    >>> import numgrad as ng
    >>> from numgrad import transforms
    >>> transforms.Compose([transforms.CenterCrop(2), transforms.Normalize([0.5], [0.5])])(ng.ones(1, 4, 4))
    tensor([[[1., 1.],
             [1., 1.]]])
    """

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = transforms

    def __call__(self, img: Any) -> Any:
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self) -> str:
        return "\n".join([f"{type(self).__name__}(", *(f"    {each}" for each in self.transforms), ")"])


class ToTensor:
    """A picture or an array [H, W, C] as a tensor [C, H, W]; bytes become floats between 0 and 1.

    >>> import numpy as np
    >>> from numgrad import transforms
    >>> transforms.ToTensor()(np.full((1, 2, 1), 51, np.uint8))
    tensor([[[0.2000, 0.2000]]])
    """

    def __call__(self, pic: Any) -> Tensor:
        return F.to_tensor(pic)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class PILToTensor:
    """A picture as a tensor [C, H, W] of the same values.

    >>> from numgrad import transforms
    >>> transforms.PILToTensor()
    PILToTensor()
    """

    def __call__(self, pic: Any) -> Tensor:
        return F.pil_to_tensor(pic)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class ToPILImage:
    """A tensor [C, H, W] or an array [H, W, C] as a picture, of the mode that fits or of this one.

    >>> from numgrad import transforms
    >>> transforms.ToPILImage("L")
    ToPILImage(mode=L)
    """

    def __init__(self, mode: str | None = None) -> None:
        self.mode = mode

    def __call__(self, pic: Any) -> Any:
        return F.to_pil_image(pic, self.mode)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'' if self.mode is None else f'mode={self.mode}'})"


class ConvertImageDtype(Module):
    """The image in another dtype, with its values in that one's range; see `functional.convert_image_dtype`.

    >>> import numgrad as ng
    >>> from numgrad import transforms
    >>> transforms.ConvertImageDtype(ng.float32)(ng.tensor([[0, 255]], dtype=ng.uint8))
    tensor([[0., 1.]])
    """

    def __init__(self, dtype: Dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, image: Tensor) -> Tensor:
        return F.convert_image_dtype(image, self.dtype)


ConvertDtype = ConvertImageDtype


class Normalize(Module):
    """(tensor - mean) / std, channel by channel.

    >>> import numgrad as ng
    >>> from numgrad import transforms
    >>> transforms.Normalize([0.5], [0.25])(ng.ones(1, 1, 2))
    tensor([[[2., 2.]]])
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> None:
        super().__init__()
        self.mean = mean
        self.std = std
        self.inplace = inplace

    def forward(self, tensor: Tensor) -> Tensor:
        return F.normalize(tensor, self.mean, self.std, self.inplace)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(mean={self.mean}, std={self.std})"


class Resize(Module):
    """The image with another height and width, or another shorter side; see `functional.resize`.

    >>> import numgrad as ng
    >>> from numgrad import transforms
    >>> transforms.Resize(15)(ng.zeros(3, 30, 50)).shape
    numgrad.Size([3, 15, 25])
    """

    def __init__(
        self,
        size: int | Sequence[int],
        interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
        max_size: int | None = None,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        if not isinstance(size, (int, Sequence)):
            raise TypeError(f"Size should be int or sequence. Got {type(size)}")
        if isinstance(size, Sequence) and len(size) not in (1, 2):
            raise ValueError("If size is a sequence, it should have 1 or 2 values")
        self.size = size
        self.max_size = max_size
        self.interpolation = as_mode(interpolation)
        self.antialias = antialias

    def forward(self, img: Any) -> Any:
        return F.resize(img, self.size, self.interpolation, self.max_size, self.antialias)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(size={self.size}, interpolation={self.interpolation.value}, "
            f"max_size={self.max_size}, antialias={self.antialias})"
        )


class _Sized(Module):
    """A transform of which a height and a width is all that there is to know."""

    def __init__(self, size: int | Sequence[int]) -> None:
        super().__init__()
        self.size = two(size)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size})"


class CenterCrop(_Sized):
    """The centre of the image; one that is smaller gets margins of zeros.

    >>> import numgrad as ng
    >>> from numgrad import transforms
    >>> transforms.CenterCrop(2)(ng.arange(16).reshape(4, 4))
    tensor([[ 5,  6],
            [ 9, 10]])
    """

    def forward(self, img: Any) -> Any:
        return F.center_crop(img, self.size)


class FiveCrop(_Sized):
    """The four corners of the image and its centre, a tuple.

    >>> import numgrad as ng
    >>> from numgrad import transforms
    >>> len(transforms.FiveCrop((2, 3))(ng.zeros(3, 4, 4)))
    5
    """

    def forward(self, img: Any) -> tuple[Any, ...]:
        return F.five_crop(img, self.size)


class TenCrop(_Sized):
    """`FiveCrop` of the image, and of the image flipped.

    >>> import numgrad as ng
    >>> from numgrad import transforms
    >>> len(transforms.TenCrop(2)(ng.zeros(3, 4, 4)))
    10
    """

    def __init__(self, size: int | Sequence[int], vertical_flip: bool = False) -> None:
        super().__init__(size)
        self.vertical_flip = vertical_flip

    def forward(self, img: Any) -> tuple[Any, ...]:
        return F.ten_crop(img, self.size, self.vertical_flip)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size}, vertical_flip={self.vertical_flip})"


class Pad(Module):
    """The image with margins; see `functional.pad`.

    >>> import numgrad as ng
    >>> from numgrad import transforms
    >>> transforms.Pad((1, 0), fill=7)(ng.tensor([[1, 2]]))
    tensor([[7, 1, 2, 7]])
    """

    def __init__(self, padding: int | Sequence[int], fill: Any = 0, padding_mode: str = "constant") -> None:
        super().__init__()
        margins(padding, fill, padding_mode)
        self.padding = padding
        self.fill = fill
        self.padding_mode = padding_mode

    def forward(self, img: Any) -> Any:
        return F.pad(img, self.padding, self.fill, self.padding_mode)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(padding={self.padding}, fill={self.fill}, padding_mode={self.padding_mode})"


class Grayscale(Module):
    """One grey channel, or three alike.

    >>> import numgrad as ng
    >>> from numgrad import transforms
    >>> transforms.Grayscale()(ng.ones(3, 2, 2)).shape
    numgrad.Size([1, 2, 2])
    """

    def __init__(self, num_output_channels: int = 1) -> None:
        super().__init__()
        self.num_output_channels = num_output_channels

    def forward(self, img: Any) -> Any:
        return F.rgb_to_grayscale(img, self.num_output_channels)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(num_output_channels={self.num_output_channels})"


class Lambda:
    """A function as a transform.

    >>> from numgrad import transforms
    >>> transforms.Lambda(lambda x: 2 * x)(3)
    6
    """

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        if not callable(lambd):
            raise TypeError(f"Argument lambd should be callable, got {type(lambd).__name__!r}")
        self.lambd = lambd

    def __call__(self, img: Any) -> Any:
        return self.lambd(img)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"
