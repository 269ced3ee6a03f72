"""Images that are tensors [..., H, W]: where their pixels go."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.dtypes import dtype as Dtype
from numgrad.nn import functional as F
from numgrad.tensor import arguments, creation, indexing, joining, layers, pointwise, rounding
from numgrad.tensor.tensor import Tensor
from numgrad.transforms.modes import InterpolationMode, check_image


def crop(img: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    """A part of the image; where it reaches beyond, there are zeros."""
    check_image(img)
    rows, columns = img.shape[-2:]
    inside = img[..., max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
    before = (max(-left, 0), max(-top, 0))
    after = (max(left + width - columns, 0), max(top + height - rows, 0))
    if not any(before + after):
        return inside
    # What lies wholly beyond the image is all zeros, and no wider than what was asked for.
    missing = [width - inside.shape[-1], height - inside.shape[-2]]
    left_top = [min(extent, lacks) for extent, lacks in zip(before, missing, strict=True)]
    right_bottom = [lacks - extent for extent, lacks in zip(left_top, missing, strict=True)]
    return pad(inside, (*left_top, *right_bottom), 0, "constant")


def pad(img: Tensor, padding: Sequence[int], fill: float, padding_mode: str) -> Tensor:
    """Left, top, right and bottom margins; negative ones cut off."""
    check_image(img)
    left, top, right, bottom = padding
    if padding_mode == "constant":
        return F.pad(img, (left, right, top, bottom), value=fill)
    for dim, before, after in ((-1, left, right), (-2, top, bottom)):
        extent = img.shape[dim]
        kept = np.arange(extent)[max(-before, 0) : extent - max(-after, 0)]
        margins = max(before, 0), max(after, 0)
        if not any(margins) and len(kept) == extent:
            continue
        if padding_mode == "reflect" and max(margins) >= len(kept):
            raise RuntimeError(
                f"Padding size should be less than the corresponding input dimension, but got: padding {margins} at "
                f"dimension {dim} of input {list(img.shape)}"
            )
        index = np.pad(kept, margins, mode=padding_mode)  # type: ignore[call-overload]
        img = indexing.index_select(img, dim, creation.from_numpy(index))
    return img


# ---- resizing -----------------------------------------------------------------------------------------------------


def _triangle(distance: np.ndarray) -> np.ndarray:
    return np.maximum(1 - distance, 0)  # type: ignore[no-any-return]


def _cubic(distance: np.ndarray) -> np.ndarray:
    near = (1.5 * distance - 2.5) * distance * distance + 1
    far = ((distance - 5) * distance + 8) * distance * -0.5 + 2
    return np.where(distance < 1, near, np.where(distance < 2, far, 0)).astype(distance.dtype)


# For each mode that is antialiased how far a pixel reaches, and the weight at a distance.
_FILTERS: dict[InterpolationMode, tuple[int, Callable[[np.ndarray], np.ndarray]]] = {
    InterpolationMode.BILINEAR: (1, _triangle),
    InterpolationMode.BICUBIC: (2, _cubic),
}


def weights(before: int, after: int, dtype: Dtype, mode: InterpolationMode = InterpolationMode.BILINEAR) -> Tensor:
    """The matrix [after, before] of antialiased resampling: a triangle, say, around the centre of each output pixel.

    When the image shrinks, the triangle is as wide as two output pixels, so that every input pixel counts. Centres are
    rounded to the image's dtype, as in torch: far from the corner this rounding matters more than that of the sums.
    """
    support, weight = _FILTERS[mode]
    number = dtype.numpy.type
    scale = number(before / after)
    stretch = max(scale, number(1))
    reach = support * stretch
    matrix = np.zeros((after, before), dtype.numpy)
    for row in range(after):
        centre = scale * number(row + 0.5)
        first, last = max(int(centre - reach + number(0.5)), 0), min(int(centre + reach + number(0.5)), before)
        distance = np.abs((np.arange(first, last).astype(dtype.numpy) - centre + number(0.5)) / stretch)
        values = weight(distance)
        matrix[row, first:last] = values / values.sum()
    return creation.from_numpy(matrix)


def resize(
    img: Tensor, size: tuple[int, int], mode: InterpolationMode = InterpolationMode.BILINEAR, antialias: bool = True
) -> Tensor:
    """Another height and width. Integers are rounded; bicubic bytes keep within theirs."""
    check_image(img)
    height, width = img.shape[-2:]
    if (height, width) == size:
        return img
    if mode not in _TENSOR_MODES:
        raise ValueError(f"Interpolation mode '{mode.value}' is unsupported with Tensor input")
    if 0 in (height, width, *size):
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input {(height, width)}, output {size}"
        )
    values = _floating(img)
    if antialias and mode in _FILTERS:
        values = layers.matmul(values, weights(width, size[1], values.dtype, mode).T)
        values = layers.matmul(weights(height, size[0], values.dtype, mode), values)
    else:
        smooth = mode in _FILTERS
        batch = values.reshape(1, -1, height, width)
        batch = F.interpolate(batch, size=size, mode=mode.value, align_corners=False if smooth else None)
        values = batch.reshape(*img.shape[:-2], *size)
    if mode is InterpolationMode.BICUBIC and img.dtype is dtypes.uint8:
        values = values.clamp(0, 255)
    return _as_before(values, img.dtype)


_TENSOR_MODES = (
    InterpolationMode.NEAREST,
    InterpolationMode.NEAREST_EXACT,
    InterpolationMode.BILINEAR,
    InterpolationMode.BICUBIC,
)


def _floating(img: Tensor) -> Tensor:
    return img if img.dtype in (dtypes.float32, dtypes.float64) else arguments.cast(img, dtypes.float32)


def _as_before(values: Tensor, dtype: Dtype) -> Tensor:
    return arguments.cast(values if dtype.is_floating_point else rounding.round(values), dtype)


# ---- maps of the plane, blurs, and holes ----------------------------------------------------------------------------


def warp(
    img: Tensor, matrix: Sequence[float], mode: InterpolationMode, fill: Any, size: tuple[int, int] | None = None
) -> Tensor:
    """Each pixel of the result from where the matrix [2, 3] sends it, in pixels from the centre."""
    check_image(img)
    if mode not in (InterpolationMode.NEAREST, InterpolationMode.BILINEAR):
        raise ValueError(f"Interpolation mode '{mode.value}' is unsupported with Tensor input")
    channels = img.shape[-3] if img.ndim > 2 else 1
    fills = None if fill is None else list(fill) if isinstance(fill, (list, tuple)) else [fill]
    if fills is not None and len(fills) not in (1, channels):
        raise ValueError(
            "The number of elements in 'fill' cannot broadcast to match the number of channels of the image "
            f"({len(fills)} != {channels})"
        )
    height, width = img.shape[-2:]
    values = _floating(img).reshape(-1, channels, height, width)
    count = values.shape[0]
    if fills is not None:  # one more channel says where there is no image
        values = joining.cat([values, creation.ones(count, 1, height, width, dtype=values.dtype)], 1)
    grid = _grid(matrix, (height, width), size or (height, width), values.dtype.numpy)
    sent = creation.from_numpy(grid).expand(count, *grid.shape)
    values = F.grid_sample(values, sent, mode=mode.value, padding_mode="zeros", align_corners=False)
    if fills is not None:
        there, values = values[:, -1:], values[:, :-1]
        colour = creation.tensor(fills, dtype=values.dtype).reshape(1, -1, 1, 1)
        if mode is InterpolationMode.NEAREST:
            values = pointwise.where(there < 0.5, colour, values)
        else:
            values = values * there + (1 - there) * colour
    return _as_before(values.reshape(*img.shape[:-2], *values.shape[-2:]), img.dtype)


def _grid(matrix: Sequence[float], before: tuple[int, int], after: tuple[int, int], dtype: Any) -> np.ndarray:
    height, width = after
    x = (np.arange(width) + (0.5 - 0.5 * width)).astype(dtype)[:, None]
    y = (np.arange(height) + (0.5 - 0.5 * height)).astype(dtype)[:, None, None]
    along_x, along_y, shift = np.array(matrix, dtype).reshape(2, 3).T / np.array(
        [0.5 * before[1], 0.5 * before[0]], dtype
    )
    return x * along_x + y * along_y + shift  # type: ignore[no-any-return]


def warped_size(matrix: Sequence[float], height: int, width: int) -> tuple[int, int]:
    """The height and width that hold the whole image after its turn by the matrix."""
    corners = np.array([[x * width, y * height, 1] for x in (-0.5, 0.5) for y in (-0.5, 0.5)], np.float32)
    moved = corners @ np.array(matrix, np.float32).reshape(2, 3).T
    shift = np.array([0.5 * width, 0.5 * height], np.float32)
    least, most = (np.trunc((each + shift) / 1e-4) * 1e-4 for each in (moved.min(0), moved.max(0)))
    across, down = np.ceil(most.astype(np.float32)) - np.floor(least.astype(np.float32))
    return int(down), int(across)


def gaussian_blur(img: Tensor, kernel_size: Sequence[int], sigma: Sequence[float]) -> Tensor:
    """The mean around each pixel, weighted by a bell; kernel and sigma across and down."""
    check_image(img)
    if img.ndim < 3:
        raise TypeError(f"Input image tensor should have at least 3 dimensions, but found {img.ndim}")
    across, down = (extent // 2 for extent in kernel_size)
    values = pad(_floating(img), (across, down, across, down), 0, "reflect")
    values = values.reshape(-1, 1, *values.shape[-2:])
    for extent, width, shape in zip(kernel_size, sigma, ((1, 1, 1, -1), (1, 1, -1, 1)), strict=True):
        x = np.linspace(-(extent - 1) / 2, (extent - 1) / 2, extent)
        bell = np.exp(-0.5 * (x / width) ** 2)
        values = F.conv2d(values, creation.tensor(bell / bell.sum(), dtype=values.dtype).reshape(shape))
    return _as_before(values.reshape(img.shape), img.dtype)


def erase(img: Tensor, top: int, left: int, height: int, width: int, value: Tensor, inplace: bool) -> Tensor:
    """The image with other values in a rectangle."""
    check_image(img)
    changed = img if inplace else img.clone()
    changed[..., top : top + height, left : left + width] = value
    return changed


def normalize(img: Tensor, mean: Any, std: Any, inplace: bool) -> Tensor:
    """(img - mean) / std, channel by channel."""
    check_image(img)
    if not img.dtype.is_floating_point:
        raise TypeError(f"Input tensor should be a float tensor. Got {img.dtype}.")
    if img.ndim < 3:
        raise ValueError(
            f"Expected tensor to be a tensor image of size (..., C, H, W). Got tensor.size() = {img.shape}"
        )
    mean, std = (creation.as_tensor(each, dtype=img.dtype) for each in (mean, std))
    if 0 in std.numpy():
        raise ValueError(f"std evaluated to zero after conversion to {img.dtype}, leading to division by zero.")
    mean, std = (each.reshape(-1, 1, 1) if each.ndim == 1 else each for each in (mean, std))
    return img.sub_(mean).div_(std) if inplace else pointwise.div(pointwise.sub(img, mean), std)


def turn(angle: float, shear: Sequence[float] = (0, 0), scale: float = 1, shift: Sequence[float] = (0, 0),
         center: Sequence[float] = (0, 0)) -> list[float]:  # fmt: skip
    """The matrix [2, 3] that takes a point back from a turn by degrees, a shear, a scale and a shift around a centre."""
    turned, lean, tilt = math.radians(angle), math.radians(shear[0]), math.radians(shear[1])
    # R(turned) @ shear(lean, tilt), inverted: it has determinant 1.
    a = math.cos(turned - tilt) / math.cos(tilt)
    b = -a * math.tan(lean) - math.sin(turned)
    c = math.sin(turned - tilt) / math.cos(tilt)
    d = -c * math.tan(lean) + math.cos(turned)
    rows = []
    for (x, y), middle in (((d, -b), center[0]), ((-c, a), center[1])):
        x, y = x / scale, y / scale
        rows += [x, y, x * (-center[0] - shift[0]) + y * (-center[1] - shift[1]) + middle]
    return rows
