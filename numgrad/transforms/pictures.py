"""Images of Pillow's; whoever has one has imported Pillow."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from numgrad.transforms.colours import check_gamma, check_hue
from numgrad.transforms.modes import InterpolationMode, is_picture, pillows

# What an array of a picture's values has to be; of all other modes, bytes.
_SIXTEEN = "I;16" if sys.byteorder == "little" else "I;16B"
_KINDS: dict[str, Any] = {"I": np.int32, _SIXTEEN: np.int16, "F": np.float32}


def check_picture(img: Any) -> None:
    """Refuse what is neither a tensor nor a picture."""
    if not is_picture(img):
        raise TypeError(f"img should be PIL Image. Got {type(img)}")


def as_array(img: Any) -> np.ndarray:
    """A copy of the pixels, [H, W, C]."""
    pixels = np.array(img, _KINDS.get(img.mode, np.uint8))
    return (255 * pixels if img.mode == "1" else pixels).reshape(img.size[1], img.size[0], len(img.getbands()))


def from_array(pixels: np.ndarray, mode: str | None) -> Any:
    """A picture of an array [H, W, C]; ``mode`` has to fit to its channels and dtype."""
    from PIL import Image

    if np.issubdtype(pixels.dtype, np.floating) and mode != "F":
        pixels = (pixels * 255).astype(np.uint8)
    channels = pixels.shape[2]
    if channels == 1:
        pixels = pixels[:, :, 0]
        kinds = {"uint8": "L", "int16": _SIXTEEN, "int32": "I", "float32": "F"}
        fitting = kinds.get(pixels.dtype.name)
        if mode is not None and mode != fitting:
            raise ValueError(f"Incorrect mode ({mode}) supplied for input type {pixels.dtype}. Should be {fitting}")
        mode = fitting
    else:
        allowed = {2: ["LA"], 3: ["RGB", "YCbCr", "HSV"], 4: ["RGBA", "CMYK", "RGBX"]}[channels]
        if mode is not None and mode not in allowed:
            raise ValueError(f"Only modes {allowed} are supported for {channels}D inputs")
        if mode is None and pixels.dtype == np.uint8:
            mode = allowed[0]
    if mode is None:
        raise TypeError(f"Input type {pixels.dtype} is not supported")
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    if picture.mode == mode:
        return picture
    return Image.frombytes(mode, picture.size, np.ascontiguousarray(pixels).tobytes())


def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """A part of the picture; where it reaches beyond, it is black."""
    return img.crop((left, top, left + width, top + height))


def resize(img: Any, size: tuple[int, int], mode: InterpolationMode) -> Any:
    """Another height and width, antialiased."""
    return img.resize(size[::-1], pillows(mode))


def flip(img: Any, horizontal: bool) -> Any:
    """Left for right, or top for bottom."""
    from PIL import Image

    return img.transpose(Image.Transpose.FLIP_LEFT_RIGHT if horizontal else Image.Transpose.FLIP_TOP_BOTTOM)


def pad(img: Any, padding: Sequence[int], fill: Any, padding_mode: str) -> Any:
    """Left, top, right and bottom margins; negative ones cut off."""
    from PIL import Image, ImageOps

    left, top, right, bottom = padding
    if padding_mode == "constant":
        expanded = ImageOps.expand(img, border=tuple(padding), fill=filling(fill, img))
        if img.mode == "P":
            expanded.putpalette(img.getpalette())
        return expanded
    cut = [max(-each, 0) for each in padding]
    if any(cut):
        img = img.crop((cut[0], cut[1], img.width - cut[2], img.height - cut[3]))
    left, top, right, bottom = (max(each, 0) for each in padding)
    pixels = np.asarray(img)
    margins = [(top, bottom), (left, right), (0, 0)][: pixels.ndim]
    padded = Image.fromarray(np.pad(pixels, margins, mode=padding_mode))  # type: ignore[call-overload]
    if img.mode == "P":
        padded.putpalette(img.getpalette())
    return padded


def filling(fill: Any, img: Any) -> Any:
    """The colour of new pixels, as Pillow takes it: one number, or one for each channel."""
    channels = len(img.getbands())
    values = [0 if fill is None else fill] if not isinstance(fill, (list, tuple)) else list(fill)
    if len(values) == 1:
        values = values * channels
    if len(values) != channels:
        raise ValueError(
            "The number of elements in 'fill' does not match the number of channels of the image "
            f"({len(values)} != {channels})"
        )
    if img.mode != "F":
        values = [int(each) for each in values]
    return values[0] if channels == 1 else tuple(values)


def rotate(img: Any, angle: float, mode: InterpolationMode, expand: bool, center: Any, fill: Any) -> Any:
    """Turn counter-clockwise, around the centre or another pixel."""
    return img.rotate(angle, pillows(mode), expand, center, fillcolor=filling(fill, img))


def warp(img: Any, matrix: Sequence[float], mode: InterpolationMode, fill: Any) -> Any:
    """Each pixel from where the matrix sends it, counted from the corner."""
    from PIL import Image

    return img.transform(img.size, Image.Transform.AFFINE, matrix, pillows(mode), fillcolor=filling(fill, img))


def enhance(img: Any, name: str, factor: float) -> Any:
    """Pillow's enhancement of this name."""
    from PIL import ImageEnhance

    return getattr(ImageEnhance, name)(img).enhance(factor)


def adjust_hue(img: Any, factor: float) -> Any:
    """Turn the circle of colours."""
    from PIL import Image

    check_hue(factor)
    if img.mode in ("L", "1", "I", "F"):
        return img
    hue, saturation, value = img.convert("HSV").split()
    turned = Image.fromarray(np.array(hue) + np.array(int(factor * 255) % 256, np.uint8))
    return Image.merge("HSV", (turned, saturation, value)).convert(img.mode)


def adjust_gamma(img: Any, gamma: float, gain: float) -> Any:
    """gain * value ** gamma, for values between 0 and 1."""
    check_gamma(gamma)
    table = [int((255 + 1 - 1e-3) * gain * (value / 255.0) ** gamma) for value in range(256)] * 3
    return img.convert("RGB").point(table).convert(img.mode)


def invert(img: Any) -> Any:
    """Bright for dark."""
    from PIL import ImageOps

    return ImageOps.invert(img)


def to_grayscale(img: Any, channels: int) -> Any:
    """One channel, or three alike."""
    if channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")
    grey = img.convert("L")
    return grey if channels == 1 else grey.convert("RGB")
