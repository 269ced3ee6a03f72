"""torchvision's functions on images: tensors [..., C, H, W] or [H, W], and Pillow's pictures where Pillow is installed.

A tensor's values are between 0 and 1 in floating point, and up to the dtype's largest in integers. What a function does to a
picture, Pillow does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from numgrad.dtypes import dtype as Dtype
from numgrad.dtypes import float32, get_default_dtype
from numgrad.errors import warn
from numgrad.tensor import arguments, creation
from numgrad.tensor.tensor import Tensor
from numgrad.transforms import colours, pictures, tensors
from numgrad.transforms.checks import margins, two
from numgrad.transforms.modes import InterpolationMode, as_mode, dimensions, is_picture

__all__ = [
    "InterpolationMode",
    "adjust_brightness",
    "adjust_contrast",
    "adjust_gamma",
    "adjust_hue",
    "adjust_saturation",
    "affine",
    "center_crop",
    "convert_image_dtype",
    "crop",
    "erase",
    "five_crop",
    "gaussian_blur",
    "get_dimensions",
    "get_image_num_channels",
    "get_image_size",
    "hflip",
    "invert",
    "normalize",
    "pad",
    "pil_to_tensor",
    "resize",
    "resized_crop",
    "rgb_to_grayscale",
    "rotate",
    "ten_crop",
    "to_grayscale",
    "to_pil_image",
    "to_tensor",
    "vflip",
]

_NEAREST, _BILINEAR = InterpolationMode.NEAREST, InterpolationMode.BILINEAR


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


# ---- between tensors, arrays and pictures ---------------------------------------------------------------------------


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


# ---- where pixels go --------------------------------------------------------------------------------------------------


def resized_shape(height: int, width: int, shorter: int, longest: int | None = None) -> tuple[int, int]:
    """Height and width after resizing the shorter side; the longer side keeps the ratio, rounded down.

    >>> resized_shape(300, 500, 256), resized_shape(300, 500, 256, longest=400)
    ((256, 426), (240, 400))
    """
    longer = int(shorter * max(height, width) / min(height, width))
    if longest is not None:
        if longest <= shorter:
            raise ValueError(
                f"max_size = {longest} must be strictly greater than the requested size for the smaller edge size = {[shorter]}"
            )
        if longer > longest:
            shorter, longer = int(longest * shorter / longer), longest
    return (shorter, longer) if height <= width else (longer, shorter)


def resize(
    img: Any,
    size: int | Sequence[int],
    interpolation: InterpolationMode | int = _BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:
    """The image with another height and width, or with ``size`` as its shorter side and no more than ``max_size``.

    Bilinear and bicubic are antialiased, unless that is switched off for a tensor.

    Raises
    ------
    TypeError
        ``interpolation`` or the image is none.
    ValueError
        Not one or two sizes, sizes that contradict ``max_size``, or a mode that tensors have not.

    >>> import numgrad as ng
    >>> resize(ng.zeros(3, 30, 50), 15).shape, resize(ng.zeros(30, 50), (5, 5)).shape
    (numgrad.Size([3, 15, 25]), numgrad.Size([5, 5]))
    """
    mode = as_mode(interpolation)
    sizes = [size] if isinstance(size, int) else list(size)
    if len(sizes) not in (1, 2):
        raise ValueError(f"Size must be an int or a 1 or 2 element tuple/list, not a {len(sizes)} element tuple/list")
    if max_size is not None and len(sizes) != 1:
        raise ValueError(
            "max_size should only be passed if size specifies the length of the smaller edge, i.e. size should be an int or "
            "a sequence of length 1 in torchscript mode."
        )
    _, height, width = dimensions(img)
    shape = resized_shape(height, width, sizes[0], max_size) if len(sizes) == 1 else (sizes[0], sizes[1])
    if shape == (height, width):
        return img
    if isinstance(img, Tensor):
        return tensors.resize(img, shape, mode, bool(antialias))
    if antialias is False:
        warn("Anti-alias option is always applied for PIL Image input. Argument antialias is ignored.")
    return pictures.resize(img, shape, mode)


def pad(img: Any, padding: int | Sequence[int], fill: Any = 0, padding_mode: str = "constant") -> Any:
    """The image with margins: all alike, or left/right and top/bottom, or left, top, right, bottom. Negative ones cut off.

    They are filled with ``fill``, or by ``padding_mode``: 'edge' repeats the last pixel, 'reflect' what is before it,
    'symmetric' both.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or length, or the mode is none of these.
    RuntimeError
        A tensor has fewer pixels than 'reflect' asks for.

    >>> import numgrad as ng
    >>> pad(ng.tensor([[1, 2, 3]]), (2, 0), padding_mode="reflect")
    tensor([[3, 2, 1, 2, 3, 2, 1]])
    """
    sides = margins(padding, fill, padding_mode)
    if isinstance(img, Tensor):
        if isinstance(fill, (list, tuple)):
            raise TypeError("Got inappropriate fill arg")
        return tensors.pad(img, sides, 0 if fill is None else fill, padding_mode)
    pictures.check_picture(img)
    return pictures.pad(img, sides, fill, padding_mode)


def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """A part of the image; where it reaches beyond, there are zeros.

    >>> import numgrad as ng
    >>> crop(ng.tensor([[1, 2], [3, 4]]), 1, 1, 2, 2)
    tensor([[4, 0],
            [0, 0]])
    """
    if isinstance(img, Tensor):
        return tensors.crop(img, top, left, height, width)
    pictures.check_picture(img)
    return pictures.crop(img, top, left, height, width)


def center_crop(img: Any, output_size: int | Sequence[int]) -> Any:
    """The centre of the image; one that is smaller gets margins of zeros.

    >>> import numgrad as ng
    >>> center_crop(ng.arange(4).expand(3, 4), (1, 2))
    tensor([[1, 2]])
    """
    height, width = two(output_size)
    _, rows, columns = dimensions(img)
    lacks = max(width - columns, 0), max(height - rows, 0)
    if any(lacks):
        img = pad(img, [lacks[0] // 2, lacks[1] // 2, (lacks[0] + 1) // 2, (lacks[1] + 1) // 2])
        _, rows, columns = dimensions(img)
    return crop(img, round((rows - height) / 2.0), round((columns - width) / 2.0), height, width)


def resized_crop(
    img: Any,
    top: int,
    left: int,
    height: int,
    width: int,
    size: int | Sequence[int],
    interpolation: InterpolationMode | int = _BILINEAR,
    antialias: bool | None = True,
) -> Any:
    """A part of the image, resized.

    >>> import numgrad as ng
    >>> resized_crop(ng.zeros(3, 9, 9), 1, 1, 4, 6, (2, 2)).shape
    numgrad.Size([3, 2, 2])
    """
    return resize(crop(img, top, left, height, width), size, interpolation, antialias=antialias)


def five_crop(img: Any, size: int | Sequence[int]) -> tuple[Any, ...]:
    """The four corners and the centre: top left, top right, bottom left, bottom right.

    Raises
    ------
    ValueError
        The image is smaller.

    >>> import numgrad as ng
    >>> [part.item() for part in five_crop(ng.arange(9).reshape(3, 3), 1)]
    [0, 2, 6, 8, 4]
    """
    height, width = two(size)
    _, rows, columns = dimensions(img)
    if width > columns or height > rows:
        raise ValueError(f"Requested crop size {(height, width)} is bigger than input size {(rows, columns)}")
    corners = [(top, left) for top in (0, rows - height) for left in (0, columns - width)]
    return (*(crop(img, top, left, height, width) for top, left in corners), center_crop(img, (height, width)))


def ten_crop(img: Any, size: int | Sequence[int], vertical_flip: bool = False) -> tuple[Any, ...]:
    """`five_crop` of the image, and of the image flipped.

    >>> import numgrad as ng
    >>> [part.item() for part in ten_crop(ng.arange(9).reshape(3, 3), 1)]
    [0, 2, 6, 8, 4, 2, 0, 8, 6, 4]
    """
    return five_crop(img, size) + five_crop(vflip(img) if vertical_flip else hflip(img), size)


def hflip(img: Any) -> Any:
    """Left for right.

    >>> import numgrad as ng
    >>> hflip(ng.tensor([[1, 2]]))
    tensor([[2, 1]])
    """
    return _flipped(img, horizontal=True)


def vflip(img: Any) -> Any:
    """Top for bottom.

    >>> import numgrad as ng
    >>> vflip(ng.tensor([[1], [2]]))
    tensor([[2],
            [1]])
    """
    return _flipped(img, horizontal=False)


def _flipped(img: Any, horizontal: bool) -> Any:
    if isinstance(img, Tensor):
        dimensions(img)
        return img.flip(-1 if horizontal else -2)
    pictures.check_picture(img)
    return pictures.flip(img, horizontal)


def rotate(
    img: Any,
    angle: float,
    interpolation: InterpolationMode | int = _NEAREST,
    expand: bool = False,
    center: Sequence[int] | None = None,
    fill: Any = None,
) -> Any:
    """The image turned counter-clockwise by degrees, around its centre or the point ``center`` (x, y).

    With ``expand`` it gets as large as the turned image is. What was outside is ``fill``: a number, or one for each channel.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or length, or the mode is neither nearest nor bilinear (nor bicubic, for pictures).

    >>> import numgrad as ng
    >>> rotate(ng.tensor([[1.0, 2.0], [3.0, 4.0]]), 90)
    tensor([[2., 4.],
            [1., 3.]])
    """
    mode = as_mode(interpolation)
    if not isinstance(angle, (int, float)):
        raise TypeError("Argument angle should be int or float")
    if center is not None and not isinstance(center, (list, tuple)):
        raise TypeError("Argument center should be a sequence")
    if not isinstance(img, Tensor):
        pictures.check_picture(img)
        return pictures.rotate(img, angle, mode, expand, center, fill)
    matrix = tensors.turn(-angle, center=_from_middle(img, center))
    size = tensors.warped_size(matrix, *dimensions(img)[1:]) if expand else None
    return tensors.warp(img, matrix, mode, fill, size)


def affine(
    img: Any,
    angle: float,
    translate: Sequence[float],
    scale: float,
    shear: float | Sequence[float],
    interpolation: InterpolationMode | int = _NEAREST,
    fill: Any = None,
    center: Sequence[int] | None = None,
) -> Any:
    """The image turned clockwise by degrees, sheared by degrees (x, y), scaled, and moved by pixels (x, y).

    What was outside is ``fill``: a number, or one for each channel.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type, length or range, or the mode is neither nearest nor bilinear (nor bicubic, for
        pictures).

    >>> import numgrad as ng
    >>> affine(ng.tensor([[1.0, 2.0], [3.0, 4.0]]), 0, (1, 0), 1, 0, fill=9)
    tensor([[9., 1.],
            [9., 3.]])
    """
    mode = as_mode(interpolation)
    if not isinstance(angle, (int, float)):
        raise TypeError("Argument angle should be int or float")
    if not isinstance(translate, (list, tuple)):
        raise TypeError("Argument translate should be a sequence")
    if len(translate) != 2:
        raise ValueError("Argument translate should be a sequence of length 2")
    if scale <= 0:
        raise ValueError("Argument scale should be positive")
    if not isinstance(shear, (int, float, list, tuple)):
        raise TypeError("Shear should be either a single value or a sequence of two values")
    leans = [shear, 0.0] if isinstance(shear, (int, float)) else list(shear)
    if len(leans) == 1:
        leans = leans * 2
    if len(leans) != 2:
        raise ValueError(f"Shear should be a sequence containing two values. Got {leans}")
    if center is not None and not isinstance(center, (list, tuple)):
        raise TypeError("Argument center should be a sequence")
    if isinstance(img, Tensor):
        return tensors.warp(img, tensors.turn(angle, leans, scale, translate, _from_middle(img, center)), mode, fill)
    _, height, width = dimensions(img)
    around = center or (width * 0.5, height * 0.5)
    return pictures.warp(img, tensors.turn(angle, leans, scale, translate, around), mode, fill)


def _from_middle(img: Tensor, center: Sequence[float] | None) -> tuple[float, float]:
    _, height, width = dimensions(img)
    return (0.0, 0.0) if center is None else (center[0] - width * 0.5, center[1] - height * 0.5)


# ---- values -----------------------------------------------------------------------------------------------------------


def gaussian_blur(img: Any, kernel_size: int | Sequence[int], sigma: float | Sequence[float] | None = None) -> Any:
    """The image blurred by a bell of ``kernel_size`` pixels, odd, and deviation ``sigma``: one for both sides, or (x, y).

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type, length or range.
    RuntimeError
        The image is not larger than half the kernel.

    >>> import numgrad as ng
    >>> gaussian_blur(ng.eye(3)[None], 3, 1.0)[0, 1]
    tensor([0.3715, 0.3544, 0.3715])
    """
    if not isinstance(kernel_size, (int, list, tuple)):
        raise TypeError(f"kernel_size should be int or a sequence of integers. Got {type(kernel_size)}")
    extents = [kernel_size] * 2 if isinstance(kernel_size, int) else list(kernel_size)
    if len(extents) != 2:
        raise ValueError(f"If kernel_size is a sequence its length should be 2. Got {len(extents)}")
    if any(extent % 2 == 0 or extent < 0 for extent in extents):
        raise ValueError(f"kernel_size should have odd and positive integers. Got {extents}")
    if sigma is not None and not isinstance(sigma, (int, float, list, tuple)):
        raise TypeError(f"sigma should be either float or sequence of floats. Got {type(sigma)}")
    if sigma is None:
        sigma = [extent * 0.15 + 0.35 for extent in extents]
    deviations = [float(sigma)] * 2 if isinstance(sigma, (int, float)) else list(sigma)
    if len(deviations) == 1:
        deviations = deviations * 2
    if len(deviations) != 2:
        raise ValueError(f"If sigma is a sequence, its length should be 2. Got {len(deviations)}")
    if any(deviation <= 0 for deviation in deviations):
        raise ValueError(f"sigma should have positive values. Got {deviations}")
    if isinstance(img, Tensor):
        return tensors.gaussian_blur(img, extents, deviations)
    if not is_picture(img):
        raise TypeError(f"img should be PIL Image or Tensor. Got {type(img)}")
    return to_pil_image(tensors.gaussian_blur(pil_to_tensor(img), extents, deviations), mode=img.mode)


def erase(img: Tensor, i: int, j: int, h: int, w: int, v: Tensor, inplace: bool = False) -> Tensor:
    """The image with ``v``, a tensor that broadcasts, in its rows i to i + h and columns j to j + w.

    >>> import numgrad as ng
    >>> erase(ng.zeros(1, 2, 2), 0, 1, 2, 1, ng.tensor(5.0))
    tensor([[[0., 5.],
             [0., 5.]]])
    """
    if not isinstance(img, Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(img)}")
    return tensors.erase(img, i, j, h, w, v, inplace)


def adjust_brightness(img: Any, brightness_factor: float) -> Any:
    """Darker for a factor below 1, black for 0, brighter above 1.

    >>> import numgrad as ng
    >>> adjust_brightness(ng.tensor([[0.2, 0.8]]), 2)
    tensor([[0.4000, 1.0000]])
    """
    if isinstance(img, Tensor):
        return colours.adjust_brightness(img, brightness_factor)
    pictures.check_picture(img)
    return pictures.enhance(img, "Brightness", brightness_factor)


def adjust_contrast(img: Any, contrast_factor: float) -> Any:
    """Less contrast for a factor below 1, grey for 0, more above 1.

    >>> import numgrad as ng
    >>> adjust_contrast(ng.tensor([[0.25, 0.75]]), 0.5)
    tensor([[0.3750, 0.6250]])
    """
    if isinstance(img, Tensor):
        return colours.adjust_contrast(img, contrast_factor)
    pictures.check_picture(img)
    return pictures.enhance(img, "Contrast", contrast_factor)


def adjust_saturation(img: Any, saturation_factor: float) -> Any:
    """Less colour for a factor below 1, grey for 0, more above 1.

    >>> import numgrad as ng
    >>> adjust_saturation(ng.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1), 0).flatten()
    tensor([0.2989, 0.2989, 0.2989])
    """
    if isinstance(img, Tensor):
        return colours.adjust_saturation(img, saturation_factor)
    pictures.check_picture(img)
    return pictures.enhance(img, "Color", saturation_factor)


def adjust_hue(img: Any, hue_factor: float) -> Any:
    """The circle of colours turned by this part of a turn, from -0.5 to 0.5.

    >>> import numgrad as ng
    >>> adjust_hue(ng.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1), 0.5).flatten()
    tensor([0., 1., 1.])
    """
    if isinstance(img, Tensor):
        return colours.adjust_hue(img, hue_factor)
    pictures.check_picture(img)
    return pictures.adjust_hue(img, hue_factor)


def adjust_gamma(img: Any, gamma: float, gain: float = 1) -> Any:
    """gain * img ** gamma, for values between 0 and 1: darker for a gamma above 1.

    >>> import numgrad as ng
    >>> adjust_gamma(ng.tensor([[0.5, 1.0]]), 2)
    tensor([[0.2500, 1.0000]])
    """
    if isinstance(img, Tensor):
        return colours.adjust_gamma(img, gamma, gain)
    pictures.check_picture(img)
    return pictures.adjust_gamma(img, gamma, gain)


def invert(img: Any) -> Any:
    """Bright for dark.

    >>> import numgrad as ng
    >>> invert(ng.tensor([[0, 255]], dtype=ng.uint8))
    tensor([[255,   0]], dtype=numgrad.uint8)
    """
    if isinstance(img, Tensor):
        return colours.invert(img)
    pictures.check_picture(img)
    return pictures.invert(img)


def rgb_to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """One grey channel, or three alike.

    >>> import numgrad as ng
    >>> rgb_to_grayscale(ng.ones(3, 1, 1)).shape
    numgrad.Size([1, 1, 1])
    """
    if isinstance(img, Tensor):
        return colours.to_grayscale(img, num_output_channels)
    return to_grayscale(img, num_output_channels)


def to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """`rgb_to_grayscale` of a picture.

    >>> to_grayscale(3)
    Traceback (most recent call last):
        ...
    TypeError: Input should be PIL Image
    """
    if not is_picture(img):
        raise TypeError("Input should be PIL Image")
    return pictures.to_grayscale(img, num_output_channels)
