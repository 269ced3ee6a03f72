"""Pictures: images side by side, and the filters of a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from numgrad.tensor.tensor import Tensor
from numgrad.viz.canvas import array, axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["filters", "images"]


def images(
    pictures: Any,
    *,
    titles: Sequence[Any] | None = None,
    nrow: int = 8,
    value_range: tuple[float, float] | None = None,
    cmap: str = "gray",
    ax: Axes | None = None,
) -> Axes:
    """Images side by side.

    Parameters
    ----------
    pictures
        [N, C, H, W] or [N, H, W], or a sequence of [C, H, W] or [H, W], whose sizes may differ; 1, 3 or 4 channels.
    titles
        A text above each.
    nrow
        The images in a row, as of `numgrad.utils.make_grid`.
    value_range
        What is black and what is white; by default 0 and 255 for uint8, else the least and the largest value there is.
        In colors, 0 and 1.
    cmap
        matplotlib's map of colors for images of one channel.
    ax
        Where to draw; by default in a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    TypeError
        These are no numbers.
    ValueError
        They are no images, there are none, or another number of titles.

    >>> import numgrad as ng
    >>> ax = ng.viz.images(ng.rand(10, 1, 8, 8), titles=range(10), nrow=5)
    >>> len(ax.images), len(ax.texts)
    (10, 10)
    """
    shown = [_upright(picture) for picture in pictures]
    if not shown:
        raise ValueError("viz.images: there are no images")
    if titles is not None and len(titles) != len(shown):
        raise ValueError(f"viz.images: expected {len(shown)} titles, got {len(titles)}")
    if nrow < 1:
        raise ValueError(f"viz.images: nrow must be at least 1, got {nrow}")
    low, high = value_range or _range(shown)
    return _grid("images", shown, titles, nrow, {"vmin": low, "vmax": high, "cmap": cmap}, ax)


def filters(
    weight: Any,
    *,
    nrow: int = 8,
    ax: Axes | None = None,
) -> Axes:
    """The filters of a convolution, or the rows of a matrix that are images.

    Filters of three channels are drawn in colors, each by its own least and largest value; of all others each channel is an
    image, blue where it is negative and red where it is positive.

    Parameters
    ----------
    weight
        [K, C, R, S], [K, R, S], or a module that has such a ``weight``.
    nrow
        The images in a row.
    ax
        Where to draw; by default in a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    ValueError
        The shape is another.

    >>> import numgrad as ng
    >>> len(ng.viz.filters(ng.nn.Conv2d(3, 16, 5)).images)
    16
    """
    if not isinstance(weight, Tensor) and hasattr(weight, "weight"):
        weight = weight.weight
    numbers = array("filters", "weight", weight).astype(np.float64)
    if numbers.ndim not in (3, 4) or not numbers.size:
        raise ValueError(
            f"viz.filters: expected a weight [K, C, R, S] or [K, R, S], got the shape {list(numbers.shape)}"
        )
    if numbers.ndim == 4 and numbers.shape[1] == 3:
        low, high = (edge(numbers, (1, 2, 3), keepdims=True) for edge in (np.min, np.max))
        scaled = (numbers - low) / np.maximum(high - low, 1e-12)
        return _grid("filters", list(scaled.transpose(0, 2, 3, 1)), None, nrow, {}, ax)
    flat = numbers.reshape(-1, *numbers.shape[-2:])
    top = float(np.abs(flat).max()) or 1.0
    return _grid("filters", list(flat), None, nrow, {"vmin": -top, "vmax": top, "cmap": "RdBu_r"}, ax)


def _upright(picture: Any) -> np.ndarray:
    """[H, W], or [H, W, C] with 3 or 4 channels."""
    pixels = array("images", "pictures", picture)
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3, 4):
        pixels = pixels[0] if pixels.shape[0] == 1 else pixels.transpose(1, 2, 0)
    elif pixels.ndim != 2:
        raise ValueError(
            f"viz.images: expected images [H, W] or [C, H, W] with 1, 3 or 4 channels, got the shape {list(pixels.shape)}"
        )
    if not pixels.size:
        raise ValueError(f"viz.images: an image has no pixels: {list(pixels.shape)}")
    return pixels


def _range(shown: list[np.ndarray]) -> tuple[float, float]:
    if all(image.dtype == np.uint8 for image in shown):
        return 0, 255
    return float(min(np.nanmin(image) for image in shown)), float(max(np.nanmax(image) for image in shown))


def _grid(
    caller: str,
    shown: list[np.ndarray],
    titles: Sequence[Any] | None,
    nrow: int,
    look: dict[str, Any],
    ax: Axes | None,
) -> Axes:
    """Images in cells of one size, each drawn where it lies, so that no picture of all has to be made."""
    columns = min(nrow, len(shown))
    rows = -(-len(shown) // columns)
    height, width = (max(image.shape[side] for image in shown) for side in (0, 1))
    border = max(height, width) / 12
    above = border if titles is None else border + 0.22 * height
    across, down = width + border, height + above
    cell = min(1.0, 8.0 / columns, 8.0 / rows)
    ax = axes(caller, ax, (cell * columns, cell * rows * down / across))
    for number, image in enumerate(shown):
        row, column = divmod(number, columns)
        left, top = column * across, row * down
        pixels = np.clip(image, 0, 1) if image.ndim == 3 and image.dtype.kind == "f" else image
        ax.imshow(
            pixels, extent=(left, left + image.shape[1], top + image.shape[0], top), interpolation="nearest", **look
        )
        if titles is not None:
            ax.text(
                left + image.shape[1] / 2, top - 0.5 * border, str(titles[number]), ha="center", va="bottom", fontsize=8
            )
    ax.set(xlim=(-border, columns * across), ylim=(rows * down - above + border, -above))
    ax.set_aspect("equal")
    ax.set_axis_off()
    return ax
