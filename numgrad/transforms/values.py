"""The values of an image's pixels; public as `functional`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numgrad.tensor.tensor import Tensor
from numgrad.transforms import colours, pictures, tensors
from numgrad.transforms.exchange import pil_to_tensor, to_pil_image
from numgrad.transforms.modes import is_picture


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
