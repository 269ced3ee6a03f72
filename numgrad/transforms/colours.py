"""Images that are tensors: the values of their pixels."""

from __future__ import annotations

from numgrad import dtypes
from numgrad.dtypes import dtype as Dtype
from numgrad.tensor import arguments, joining, pointwise
from numgrad.tensor.tensor import Tensor
from numgrad.transforms.modes import check_channels, check_image


def largest(dtype: Dtype) -> int:
    """The value of a bright pixel."""
    return 1 if dtype.is_floating_point or dtype.is_bool else int(dtype.largest)


def convert_dtype(img: Tensor, dtype: Dtype) -> Tensor:
    """The image in another dtype, with its values in that one's range."""
    before = img.dtype
    if before is dtype:
        return img
    if before.is_floating_point:
        if dtype.is_floating_point:
            return arguments.cast(img, dtype)
        if (before is dtypes.float32 and dtype in (dtypes.int32, dtypes.int64)) or dtype is dtypes.int64:
            raise RuntimeError(f"The cast from {before} to {dtype} cannot be performed safely.")
        return arguments.cast(img * (largest(dtype) + 1 - 1e-3), dtype)  # each integer gets an equal share
    if dtype.is_floating_point:
        return arguments.cast(img, dtype) / float(largest(before))
    if largest(before) > largest(dtype):
        factor = (largest(before) + 1) // (largest(dtype) + 1)
        return arguments.cast(pointwise.div(img, factor, rounding_mode="floor"), dtype)
    return arguments.cast(img, dtype) * ((largest(dtype) + 1) // (largest(before) + 1))


def to_grayscale(img: Tensor, channels: int) -> Tensor:
    """One channel, or three alike, of a coloured image or a grey one."""
    if img.ndim < 3:
        raise TypeError(f"Input image tensor should have at least 3 dimensions, but found {img.ndim}")
    check_channels(img)
    if channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")
    if img.shape[-3] == 3:
        red, green, blue = img.unbind(-3)
        grey = arguments.cast(0.2989 * red + 0.587 * green + 0.114 * blue, img.dtype).unsqueeze(-3)
    else:
        grey = img.clone()
    return grey.expand(*img.shape[:-3], channels, *img.shape[-2:]) if channels == 3 else grey


def blend(img: Tensor, other: Tensor | float, share: float) -> Tensor:
    """``share`` of the image, and the rest of the other one, which for shares above 1 is subtracted."""
    mixed = float(share) * img + (1 - float(share)) * other
    return arguments.cast(mixed.clamp(0, largest(img.dtype)), img.dtype)


def adjust_brightness(img: Tensor, factor: float) -> Tensor:
    """Towards black, or away from it."""
    _check_factor("brightness_factor", factor)
    check_channels(img)
    return blend(img, 0.0, factor)


def adjust_contrast(img: Tensor, factor: float) -> Tensor:
    """Towards the mean grey, or away from it."""
    _check_factor("contrast_factor", factor)
    check_channels(img)
    grey = to_grayscale(img, 1) if img.ndim > 2 and img.shape[-3] == 3 else img
    values = grey if img.dtype.is_floating_point else arguments.cast(grey, dtypes.float32)
    return blend(img, values.mean(dim=tuple(range(-min(img.ndim, 3), 0)), keepdim=True), factor)


def adjust_saturation(img: Tensor, factor: float) -> Tensor:
    """Towards grey, or away from it."""
    _check_factor("saturation_factor", factor)
    check_channels(img)
    if img.ndim < 3 or img.shape[-3] == 1:
        return img
    return blend(img, to_grayscale(img, 1), factor)


def adjust_hue(img: Tensor, factor: float) -> Tensor:
    """Turn the circle of colours."""
    check_hue(factor)
    check_channels(img)
    if img.ndim < 3 or img.shape[-3] == 1:
        return img
    hue, saturation, value = _hsv(convert_dtype(img, dtypes.float32))
    corner = 6 * ((hue + factor) % 1.0)
    # Each of red, green and blue lies below the value as the hue is away from its own third of the circle.
    parts = []
    for start in (5.0, 3.0, 1.0):
        along = (corner + start) % 6.0
        away = pointwise.minimum(along, 4.0 - along).clamp(0, 1)
        parts.append((value - value * saturation * away).clamp(0, 1))
    return convert_dtype(joining.stack(parts, -3), img.dtype)


def _hsv(img: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    red, green, blue = img.unbind(-3)
    most = img.amax(-3)
    spread = most - img.amin(-3)
    is_grey = spread == 0
    saturation = spread / pointwise.where(is_grey, 1.0, most)
    divisor = pointwise.where(is_grey, 1.0, spread)
    from_red, from_green, from_blue = ((most - each) / divisor for each in (red, green, blue))
    hue = pointwise.where(
        most == red,
        from_blue - from_green,
        pointwise.where(most == green, 2.0 + from_red - from_blue, 4.0 + from_green - from_red),
    )
    return (hue / 6.0 + 1.0) % 1.0, saturation, most


def adjust_gamma(img: Tensor, gamma: float, gain: float) -> Tensor:
    """gain * img ** gamma, for values between 0 and 1."""
    check_channels(img)
    check_gamma(gamma)
    values = img if img.dtype.is_floating_point else convert_dtype(img, dtypes.float32)
    return convert_dtype((gain * values**gamma).clamp(0, 1), img.dtype)


def invert(img: Tensor) -> Tensor:
    """Bright for dark."""
    check_image(img)
    check_channels(img)
    return largest(img.dtype) - img


def check_hue(factor: float) -> None:
    """Refuse more than half a turn."""
    if not -0.5 <= factor <= 0.5:
        raise ValueError(f"hue_factor ({factor}) is not in [-0.5, 0.5].")


def check_gamma(gamma: float) -> None:
    """Refuse a negative exponent."""
    if gamma < 0:
        raise ValueError("Gamma should be a non-negative real number")


def _check_factor(name: str, factor: float) -> None:
    if factor < 0:
        raise ValueError(f"{name} ({factor}) is not non-negative.")
