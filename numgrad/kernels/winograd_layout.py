"""Records for the kernels of Winograd's algorithm, which describe memory.

Each of the (m + 2)^2 points of a tile has a matrix of its own: of tiles and channels, or of channels and outputs.
"""

from __future__ import annotations

from typing import NamedTuple

from numgrad.kernels.conv_geometry import Conv2dGeometry
from numgrad.kernels.gemm_rows import lanes
from numgrad.runtime.kernel import device

SOURCE, GOAL, NEITHER = 0, 1, 2  # which side of a transform is an image
FEW = 4  # pixels of a tile that are watched by themselves
# Subjects of watching: the windows of 3 x 3 pixels that outputs see; those that the taps of a weight's gradient see, which
# are as large as the tile's part of the output; or single pixels.
OUTPUTS, TAPS, PIXELS = 0, 1, 2


class Images(NamedTuple):
    """Images of a source and a goal, and the tiles that the goal is cut into, numbered through all images."""

    height: int  # of the source
    width: int
    goal_height: int
    goal_width: int
    padding: int
    channels: int  # of the source
    outputs: int  # channels of the goal
    tiles_h: int  # of an image, from top to bottom
    tiles_w: int
    tiles: int


class Tiling(NamedTuple):
    """The tiles of the image that is one side of a transform."""

    height: int
    width: int
    tiles_h: int
    tiles_w: int
    step: int  # pixels from one tile to the next
    origin: int  # of the first tile, in pixels
    pixel_step: int  # elements from one pixel to the next


class Points(NamedTuple):
    """The layout of points: point i of unit u is element ``base + i * plane + u * unit``; an image uses only the base."""

    base: int
    plane: int
    unit: int


class Form(NamedTuple):
    """Which of a kernel's transforms is meant (see `winograd_kernels.transformer`)."""

    number: int  # of its matrix
    rows: int
    columns: int
    image_side: int
    watching: int


class Panel(NamedTuple):
    """Channels that lie side by side in the goal, and elements from one such panel to the next."""

    width: int
    step: int = 0


class Area(NamedTuple):
    """Matrices in a worker's memory, one for each point: the first element, and from one matrix and one row to the next.

    Where columns are packed into panels, ``row`` leads from one panel to the next.
    """

    begin: int
    plane: int
    row: int


class FilterRoom(NamedTuple):
    """A worker's memory in `filter_kernel`, in elements.

    It begins with a pixel of zeros, one that nobody reads and `watched_room`. Unless filters are given, a panel of them
    follows as it is read (nothing where they are turned), and the transformed ones; then tiles and their products.
    """

    filters: Area
    tiles: Area
    products: Area
    size: int


class WeightRoom(NamedTuple):
    """A worker's memory in `weight_kernel`, in elements: two pixels and `watched_room`; tiles of the input, as [point, panel
    of channels, tile, channel]; those of the gradient; and sums."""

    tiles: Area
    grads: Area
    sums: Area
    size: int


NO_IMAGE = Tiling(1, 1, 1, 1, 1, 0, 1)
IN_IMAGE = Points(0, 0, 0)


def images_of(geometry: Conv2dGeometry, m: int, turned: bool = False) -> Images:
    """Those of a convolution with tiles of m x m pixels; ``turned``: of its input's gradient, whose source is the output."""
    g = geometry
    source, goal, padding, channels, outputs = (g.h, g.w), (g.out_h, g.out_w), g.padding[0], g.c, g.k
    if turned:
        source, goal, padding, channels, outputs = goal, source, 2 - padding, outputs, channels
    tiles_h, tiles_w = -(-goal[0] // m), -(-goal[1] // m)
    return Images(*source, *goal, padding, channels, outputs, tiles_h, tiles_w, g.n * tiles_h * tiles_w)


def watched_room(code: str) -> int:
    """Elements of the sums that a watching transform leaves."""
    return (1 + FEW) * lanes(code)


@device
def tile_position(number, tiles_h, tiles_w, step):
    """(image, top, left) of a tile, whose neighbours are ``step`` pixels away."""
    image = number // (tiles_h * tiles_w)
    rest = number - image * tiles_h * tiles_w
    return image, rest // tiles_w * step, rest % tiles_w * step
