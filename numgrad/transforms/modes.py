"""`InterpolationMode`, and pictures of Pillow's: what is one, and what it measures."""

from __future__ import annotations

import sys
from enum import Enum
from typing import Any

from numgrad.tensor.tensor import Tensor


class InterpolationMode(Enum):
    """How values between pixels are computed. Tensors have the first four, pictures all.

    >>> from numgrad.transforms import InterpolationMode
    >>> InterpolationMode("bilinear")
    <InterpolationMode.BILINEAR: 'bilinear'>
    """

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


# Pillow's constants.
_NUMBERS = {
    0: InterpolationMode.NEAREST,
    1: InterpolationMode.LANCZOS,
    2: InterpolationMode.BILINEAR,
    3: InterpolationMode.BICUBIC,
    4: InterpolationMode.BOX,
    5: InterpolationMode.HAMMING,
}
_TO_PILLOW = {mode: number for number, mode in _NUMBERS.items()} | {InterpolationMode.NEAREST_EXACT: 0}


def as_mode(interpolation: Any) -> InterpolationMode:
    """The mode itself, or the one of this number of Pillow's."""
    if isinstance(interpolation, InterpolationMode):
        return interpolation
    if isinstance(interpolation, int) and interpolation in _NUMBERS:
        return _NUMBERS[interpolation]
    raise TypeError("Argument interpolation should be a InterpolationMode or a corresponding Pillow integer constant")


def pillows(mode: InterpolationMode) -> int:
    """Pillow's number of this mode."""
    return _TO_PILLOW[mode]


def is_picture(img: Any) -> bool:
    """Whether this is an image of Pillow's; if that was not imported yet, there is none."""
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(img, pillow.Image)


def dimensions(img: Any) -> tuple[int, int, int]:
    """Channels, height and width of a tensor [..., C, H, W] or [H, W], or of a picture."""
    if isinstance(img, Tensor):
        check_image(img)
        return 1 if img.ndim == 2 else img.shape[-3], img.shape[-2], img.shape[-1]
    if is_picture(img):
        return len(img.getbands()), img.size[1], img.size[0]
    raise TypeError(f"Unexpected type {type(img)}")


def check_image(img: Any) -> None:
    """Refuse what has not at least a height and a width."""
    if not isinstance(img, Tensor) or img.ndim < 2:
        raise TypeError("Tensor is not a torch image.")


def check_channels(img: Tensor) -> None:
    """Refuse a tensor that is neither grey nor coloured."""
    check_image(img)
    channels = dimensions(img)[0]
    if channels not in (1, 3):
        raise TypeError(f"Input image tensor permitted channel values are [1, 3], but found {channels}")
