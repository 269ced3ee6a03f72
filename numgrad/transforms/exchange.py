"""Between tensors, arrays and pictures; public as `functional`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from numgrad.dtypes import dtype as Dtype
from numgrad.dtypes import float32, get_default_dtype
from numgrad.tensor import arguments, creation
from numgrad.tensor.tensor import Tensor
from numgrad.transforms import colours, pictures, tensors
from numgrad.transforms.modes import dimensions, is_picture


def get_dimensions(img: Any) -> list[int]:
    """Channels, height and width.

    >>> import numgrad as ng
    >>> get_dimensions(ng.zeros(3, 4, 5))
    [3, 4, 5]
    """
    return list(dimensions(img))


def get_image_size(img: Any) -> list[int]:
    """Width and height.

    >>> import numgrad as ng
    >>> get_image_size(ng.zeros(3, 4, 5))
    [5, 4]
    """
    return list(dimensions(img)[:0:-1])


def get_image_num_channels(img: Any) -> int:
    """The number of channels.

    >>> import numgrad as ng
    >>> get_image_num_channels(ng.zeros(3, 4, 5))
    3
    """
    return dimensions(img)[0]


def to_tensor(pic: Any) -> Tensor:
    """A picture or an array [H, W] or [H, W, C] as a tensor [C, H, W]; bytes become floats between 0 and 1.

    Raises
    ------
    TypeError
        ``pic`` is neither.
    ValueError
        The array has not two or three dimensions.

    >>> import numpy as np
    >>> to_tensor(np.full((1, 2), 51, np.uint8))
    tensor([[[0.2000, 0.2000]]])
    """
    if not isinstance(pic, np.ndarray) and not is_picture(pic):
        raise TypeError(f"pic should be PIL Image or ndarray. Got {type(pic)}")
    pixels = pic if isinstance(pic, np.ndarray) else pictures.as_array(pic)
    if pixels.ndim not in (2, 3):
        raise ValueError(f"pic should be 2/3 dimensional. Got {pixels.ndim} dimensions.")
    img = creation.tensor(np.atleast_3d(pixels).transpose(2, 0, 1).copy())
    return img if pixels.dtype != np.uint8 else arguments.cast(img, get_default_dtype()) / 255.0


def pil_to_tensor(pic: Any) -> Tensor:
    """A picture as a tensor [C, H, W] of the same values; 16 bits without a sign become int32.

    Raises
    ------
    TypeError
        ``pic`` is no picture.

    >>> from PIL import Image  # doctest: +SKIP
    >>> pil_to_tensor(Image.new("L", (2, 1), 51))  # doctest: +SKIP
    tensor([[[51, 51]]], dtype=numgrad.uint8)
    """
    if not is_picture(pic):
        raise TypeError(f"pic should be PIL Image. Got {type(pic)}")
    pixels = np.array(pic)
    if pixels.dtype == np.uint16:  # which numgrad has not
        pixels = pixels.astype(np.int32)
    return creation.tensor(pixels.reshape(pic.size[1], pic.size[0], -1).transpose(2, 0, 1).copy())


def to_pil_image(pic: Any, mode: str | None = None) -> Any:
    """A tensor [C, H, W] or [H, W], or an array [H, W, C] or [H, W], as a picture; floats are between 0 and 1.

    Raises
    ------
    TypeError
        ``pic`` is neither, or there is no mode for its dtype.
    ValueError
        There is no mode for its dimensions or channels, or another than ``mode``.
    ImportError
        Pillow is not installed.

    >>> import numgrad as ng
    >>> to_pil_image(ng.zeros(3, 4, 5)).size  # doctest: +SKIP
    (5, 4)
    """
    if not isinstance(pic, (Tensor, np.ndarray)):
        raise TypeError(f"pic should be Tensor or ndarray. Got {type(pic)}.")
    pixels = pic.detach().numpy() if isinstance(pic, Tensor) else pic
    if pixels.ndim not in (2, 3):
        raise ValueError(f"pic should be 2/3 dimensional. Got {pixels.ndim} dimensions.")
    if isinstance(pic, Tensor) and pixels.ndim == 3:
        pixels = pixels.transpose(1, 2, 0)
    pixels = np.atleast_3d(pixels)
    if not 0 < pixels.shape[2] <= 4:
        raise ValueError(f"pic should not have > 4 channels. Got {pixels.shape[2]} channels.")
    return pictures.from_array(pixels, mode)


def convert_image_dtype(image: Tensor, dtype: Dtype = float32) -> Tensor:
    """The image in another dtype, with its values in that one's range: 0 to 1, or up to its largest integer.

    Raises
    ------
    RuntimeError
        A floating-point dtype does not have all integers of the other.
    TypeError
        ``image`` is not a tensor.

    >>> import numgrad as ng
    >>> convert_image_dtype(ng.tensor([[0.0, 0.5, 1.0]]), ng.uint8)
    tensor([[  0, 127, 255]], dtype=numgrad.uint8)
    """
    if not isinstance(image, Tensor):
        raise TypeError("Input img should be Tensor Image")
    return colours.convert_dtype(image, dtype)


def normalize(tensor: Tensor, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> Tensor:
    """(tensor - mean) / std, with a number for each channel of [..., C, H, W].

    Raises
    ------
    TypeError
        The tensor is none, or not of floating point.
    ValueError
        It has not three dimensions, or a deviation is 0.

    >>> import numgrad as ng
    >>> normalize(ng.ones(1, 1, 2), [0.5], [0.25])
    tensor([[[2., 2.]]])
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(tensor)}")
    return tensors.normalize(tensor, mean, std, inplace)
