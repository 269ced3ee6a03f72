"""`ImageClassification`: prepares images for a classifier, as torchvision does."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad.dtypes import dtype as Dtype
from numgrad.dtypes import float32, float64, from_numpy_dtype
from numgrad.tensor import arguments, creation, joining, layers, pointwise, rounding, shaping
from numgrad.tensor.tensor import Tensor


class ImageClassification:
    """Resize the shorter side, cut out the centre, scale to [0, 1], normalise.

    Called with a PIL image, which is converted to RGB, or with a tensor or array [..., C, H, W] of uint8, or of floating
    point between 0 and 1. Returns float32 [..., C, crop_size, crop_size] (float64 for float64).

    Parameters
    ----------
    crop_size, resize_size
        Length in pixels of the result's sides, and of the shorter side before cropping.
    mean, std
        Mean and standard deviation of each channel, for values between 0 and 1.
    interpolation
        'bilinear', the only one implemented; antialiased, like Pillow's.

    Raises
    ------
    TypeError
        The argument of the call is not an image.
    ValueError
        The array's shape, dtype or number of channels is wrong, or the interpolation is not implemented.

    >>> import numgrad as ng
    >>> prepare = ImageClassification(crop_size=224)
    >>> prepare(ng.zeros(3, 300, 500, dtype=ng.uint8)).shape
    numgrad.Size([3, 224, 224])
    """

    def __init__(
        self,
        *,
        crop_size: int,
        resize_size: int = 256,
        mean: tuple[float, ...] = (0.485, 0.456, 0.406),
        std: tuple[float, ...] = (0.229, 0.224, 0.225),
        interpolation: str = "bilinear",
    ) -> None:
        if interpolation != "bilinear":
            raise ValueError(f"ImageClassification: interpolation is {interpolation!r}, expected 'bilinear'")
        self.crop_size = crop_size
        self.resize_size = resize_size
        self.mean = tuple(mean)
        self.std = tuple(std)
        self.interpolation = interpolation

    def __call__(self, img: Any) -> Tensor:
        image = (
            _resized_picture(img, self.resize_size) if _is_picture(img) else _resized(_checked(img), self.resize_size)
        )
        if image.shape[-3] != len(self.mean):
            raise ValueError(
                f"ImageClassification: the image has {image.shape[-3]} channels, expected {len(self.mean)}"
            )
        image = _cropped(image, self.crop_size)
        if not image.is_floating_point():
            image = pointwise.div(arguments.cast(image, float32), 255.0)
        mean, std = (creation.tensor(each, dtype=image.dtype).reshape(-1, 1, 1) for each in (self.mean, self.std))
        return pointwise.div(pointwise.sub(image, mean), std)

    def __repr__(self) -> str:
        return (
            "ImageClassification(\n"
            f"    crop_size=[{self.crop_size}]\n"
            f"    resize_size=[{self.resize_size}]\n"
            f"    mean={list(self.mean)}\n"
            f"    std={list(self.std)}\n"
            f"    interpolation={self.interpolation}\n"
            ")"
        )


def resized_shape(height: int, width: int, shorter: int) -> tuple[int, int]:
    """Height and width after resizing the shorter side; the longer side keeps the ratio, rounded down.

    >>> resized_shape(300, 500, 256)
    (256, 426)
    """
    longer = int(shorter * max(height, width) / min(height, width))
    return (shorter, longer) if height <= width else (longer, shorter)


def _is_picture(img: Any) -> bool:
    # Recognised by its methods, so that arrays can be prepared without Pillow.
    return hasattr(img, "convert") and hasattr(img, "resize") and not isinstance(img, (Tensor, np.ndarray))


def _resized_picture(img: Any, shorter: int) -> Tensor:
    try:
        from PIL import Image
    except ImportError:
        raise ImportError(
            "ImageClassification: Pillow is needed for PIL images: pip install 'numgrad[image]', or pass a uint8 "
            "array [C, H, W]"
        ) from None
    if not isinstance(img, Image.Image):
        raise TypeError(f"ImageClassification: got {type(img).__name__}, expected a PIL image, a Tensor or an array")
    width, height = img.size
    height, width = resized_shape(height, width, shorter)
    pixels = np.array(img.convert("RGB").resize((width, height), Image.Resampling.BILINEAR))
    return creation.from_numpy(pixels).permute(2, 0, 1)


def _checked(img: Any) -> Tensor:
    if not isinstance(img, (Tensor, np.ndarray)):
        raise TypeError(
            f"ImageClassification: got {type(img).__name__}, expected a PIL image, a Tensor or an array [..., C, H, W]"
        )
    dtype = img.dtype if isinstance(img, Tensor) else from_numpy_dtype(img.dtype)
    if img.ndim < 3 or 0 in img.shape or dtype.name not in ("uint8", "float32", "float64"):
        raise ValueError(
            f"ImageClassification: got {dtype} of shape {list(img.shape)}, expected uint8, float32 or float64 [..., "
            "C, H, W]"
        )
    return img.detach() if isinstance(img, Tensor) else creation.tensor(img)


def _weights(before: int, after: int, dtype: Dtype) -> Tensor:
    """The matrix [after, before] of antialiased bilinear resampling: a triangle around the centre of each output pixel.

    When the image shrinks, the triangle is as wide as two output pixels, so that every input pixel counts. Centres are
    rounded to the image's dtype, as in torch: far from the corner this rounding matters more than that of the sums.
    """
    number = dtype.numpy.type
    scale = number(before / after)
    reach = max(scale, number(1))
    matrix = np.zeros((after, before), dtype.numpy)
    for row in range(after):
        centre = scale * number(row + 0.5)
        first, last = max(int(centre - reach + number(0.5)), 0), min(int(centre + reach + number(0.5)), before)
        distance = np.abs((np.arange(first, last).astype(dtype.numpy) - centre + number(0.5)) / reach)
        triangle = np.maximum(1 - distance, 0)
        matrix[row, first:last] = triangle / triangle.sum()
    return creation.from_numpy(matrix)


def _resized(image: Tensor, shorter: int) -> Tensor:
    *_, height, width = image.shape
    new_height, new_width = resized_shape(height, width, shorter)
    if (new_height, new_width) == (height, width):
        return image
    dtype = image.dtype if image.dtype is float64 else float32
    out = arguments.cast(image, dtype)
    out = layers.matmul(out, _weights(width, new_width, dtype).T)
    out = layers.matmul(_weights(height, new_height, dtype), out)
    return out if image.is_floating_point() else arguments.cast(rounding.round(out), image.dtype)


def _cropped(image: Tensor, size: int) -> Tensor:
    """The centre of the image; a smaller image is padded with zeros."""
    for dim in (-2, -1):
        missing = size - image.shape[dim]
        if missing > 0:
            shape = list(image.shape)
            pieces = []
            for extent in (missing // 2, (missing + 1) // 2):
                shape[dim] = extent
                pieces.append(creation.zeros(shape, dtype=image.dtype))
            image = joining.cat([pieces[0], image, pieces[1]], dim)
        elif missing < 0:
            image = shaping.narrow(image, dim, round(-missing / 2.0), size)
    return image
