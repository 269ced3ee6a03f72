"""Batches of images as one picture: `make_grid`, and `save_image`, which writes it to a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numgrad.autograd import no_grad
from numgrad.dtypes import uint8
from numgrad.tensor import arguments, clamping, creation, joining, reductions, shaping
from numgrad.tensor.tensor import Tensor

__all__ = ["make_grid", "save_image"]


@no_grad()
def make_grid(
    tensor: Tensor | Sequence[Tensor],
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> Tensor:
    """Images side by side in one image, with a border around each, as torchvision's function of this name.

    Parameters
    ----------
    tensor
        Images [N, C, H, W], or several [C, H, W]; also one [C, H, W] or [H, W]. One channel becomes three.
    nrow
        The images in a row.
    padding, pad_value
        The width of the borders, and their value.
    normalize
        Shift and scale values to [0, 1], from ``value_range`` or the least and the largest.
    scale_each
        Do so for each image by itself.

    Returns
    -------
    Tensor
        [C, H', W'].

    Raises
    ------
    TypeError
        It is no tensor and no sequence of tensors, or ``value_range`` is no tuple.
    ValueError
        It has less than 2 or more than 4 dimensions.

    >>> import numgrad as ng
    >>> ng.utils.make_grid(ng.ones(3, 1, 4, 4), nrow=2).shape
    numgrad.Size([3, 14, 14])
    """
    parts = [tensor] if isinstance(tensor, Tensor) else list(tensor) if isinstance(tensor, Sequence) else []
    if not parts or not all(isinstance(part, Tensor) for part in parts):
        raise TypeError(f"make_grid: tensor or list of tensors expected, got {type(tensor).__name__}")
    if value_range is not None and not isinstance(value_range, tuple):
        raise TypeError("make_grid: value_range has to be a tuple (min, max) if specified. min and max are numbers")
    images = tensor if isinstance(tensor, Tensor) else joining.stack(parts)
    if not 2 <= images.ndim <= 4:
        raise ValueError(f"make_grid: expected [N, C, H, W], [C, H, W] or [H, W], got the shape {list(images.shape)}")
    while images.ndim < 4:
        images = shaping.unsqueeze(images, 0)
    if images.shape[1] == 1:
        images = joining.cat([images] * 3, 1)
    if normalize:
        images = _normalized(images, value_range, scale_each)
    count, channels, height, width = images.shape
    if count == 1:
        return shaping.squeeze(images, 0)
    columns = min(nrow, count)
    rows = -(-count // columns)
    size = (channels, rows * (height + padding) + padding, columns * (width + padding) + padding)
    grid = creation.full(size, pad_value, dtype=images.dtype)
    for number in range(count):
        top, left = (
            cell * step + padding
            for cell, step in zip(divmod(number, columns), (height + padding, width + padding), strict=True)
        )
        grid[:, top : top + height, left : left + width] = images[number]
    return grid


def _normalized(images: Tensor, value_range: tuple[float, float] | None, scale_each: bool) -> Tensor:
    over = (1, 2, 3) if scale_each else (0, 1, 2, 3)
    low, high = value_range or (
        reductions.amin(images, over, keepdim=True),
        reductions.amax(images, over, keepdim=True),
    )
    width = high - low
    width = clamping.clamp(width, min=1e-5) if isinstance(width, Tensor) else max(width, 1e-5)
    return (clamping.clamp(images, low, high) - low) / width


def save_image(tensor: Tensor | Sequence[Tensor], fp: Any, format: str | None = None, **kwargs: Any) -> None:
    """Write images, as one of `make_grid`, to a file that Pillow knows by its name or by ``format``.

    Parameters
    ----------
    tensor
        Images with values in [0, 1].
    fp
        A path, or an open file.
    kwargs
        For `make_grid`.

    Raises
    ------
    ImportError
        Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("save_image needs Pillow; install it with: python -m pip install 'numgrad[image]'") from error

    grid = make_grid(tensor, **kwargs)
    values = arguments.cast(clamping.clamp(grid * 255 + 0.5, 0, 255), uint8)
    Image.fromarray(shaping.permute(values, (1, 2, 0)).contiguous().numpy()).save(fp, format=format)
