"""`ImageClassification`: prepares images for a classifier, as torchvision does."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad.dtypes import from_numpy_dtype
from numgrad.tensor import creation
from numgrad.tensor.tensor import Tensor
from numgrad.transforms import functional
from numgrad.transforms.modes import InterpolationMode


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
        'bilinear' or 'bicubic'; antialiased, like Pillow's.

    Raises
    ------
    TypeError
        The argument of the call is not an image.
    ValueError
        The array's shape, dtype or number of channels is wrong, or the interpolation is neither.

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
        if interpolation not in ("bilinear", "bicubic"):
            raise ValueError(
                f"ImageClassification: interpolation is {interpolation!r}, expected 'bilinear' or 'bicubic'"
            )
        self.crop_size = crop_size
        self.resize_size = resize_size
        self.mean = tuple(mean)
        self.std = tuple(std)
        self.interpolation = interpolation

    def __call__(self, img: Any) -> Tensor:
        mode = InterpolationMode(self.interpolation)
        image = (
            _resized_picture(img, self.resize_size, mode)
            if _is_picture(img)
            else functional.resize(_checked(img), self.resize_size, mode)
        )
        if image.shape[-3] != len(self.mean):
            raise ValueError(
                f"ImageClassification: the image has {image.shape[-3]} channels, expected {len(self.mean)}"
            )
        image = functional.center_crop(image, self.crop_size)
        if not image.is_floating_point():
            image = functional.convert_image_dtype(image)
        return functional.normalize(image, self.mean, self.std)

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


def _is_picture(img: Any) -> bool:
    # Recognised by its methods, so that arrays can be prepared without Pillow.
    return hasattr(img, "convert") and hasattr(img, "resize") and not isinstance(img, (Tensor, np.ndarray))


def _resized_picture(img: Any, shorter: int, mode: InterpolationMode) -> Tensor:
    try:
        from PIL import Image
    except ImportError:
        raise ImportError(
            "ImageClassification: Pillow is needed for PIL images: pip install 'numgrad[image]', or pass a uint8 "
            "array [C, H, W]"
        ) from None
    if not isinstance(img, Image.Image):
        raise TypeError(f"ImageClassification: got {type(img).__name__}, expected a PIL image, a Tensor or an array")
    return functional.pil_to_tensor(functional.resize(img.convert("RGB"), shorter, mode))


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
