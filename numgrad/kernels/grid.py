"""The geometry of convolutions for kernels: which pixel of the source each tap sees from each position of the output."""

from __future__ import annotations

from typing import NamedTuple

from numgrad.runtime.kernel import device


class Grid(NamedTuple):
    """How rows are positions (image, y, x) of an output, and which pixel of the source a tap (r, s) sees from there.

    ``source_y = (y * scale_h + r * step_h + shift_h) / divide_h``, if that is whole and inside; x likewise.
    """

    images: int = 1
    out_h: int = 1
    out_w: int = 1
    source_h: int = 1
    source_w: int = 1
    taps_h: int = 1
    taps_w: int = 1
    scale_h: int = 1
    scale_w: int = 1
    step_h: int = 1
    step_w: int = 1
    shift_h: int = 0
    shift_w: int = 0
    divide_h: int = 1
    divide_w: int = 1

    @property
    def rows(self) -> int:
        """Positions of the output."""
        return self.images * self.out_h * self.out_w

    @property
    def taps(self) -> int:
        """Taps of the kernel."""
        return self.taps_h * self.taps_w


def plain_grid(rows: int) -> Grid:
    """The grid of a matrix product: one tap, every row is its own source."""
    return Grid(out_w=rows, source_w=rows)


@device
def position_of(m, grid):
    """(image, y, x) of row m. Rows whose sources have the same residue are neighbours, so that they share their taps."""
    residue_h, high, m = residue_of(m, grid.out_h, grid.divide_h, grid.images * grid.out_w)
    residue_w, wide, m = residue_of(m, grid.out_w, grid.divide_w, grid.images * high)
    image = m // (high * wide)
    rest = m - image * high * wide
    y = rest // wide
    return image, y * grid.divide_h + residue_h, (rest - y * wide) * grid.divide_w + residue_w


@device
def residue_of(m, extent, divide, others):
    """(residue, count, rest) of item m.

    Each of ``extent`` positions has ``others`` items, which are ordered by the position's residue modulo ``divide``.
    ``count`` is the number of positions with the residue, ``rest`` counts items from the first of that residue.
    """
    less = extent // divide
    most = extent - less * divide  # residues that have one position more
    if m < most * (less + 1) * others:
        residue = m // ((less + 1) * others)
        return residue, less + 1, m - residue * (less + 1) * others
    m -= most * (less + 1) * others
    residue = m // (less * others)
    return most + residue, less, m - residue * less * others


@device
def next_position(m, y, x, image, grid):
    """(image, y, x) of row m, from that of the row before: dividing is slow."""
    x += grid.divide_w
    if x < grid.out_w:
        return image, y, x
    y += grid.divide_h
    if y < grid.out_h:
        return image, y, x % grid.divide_w
    return position_of(m, grid)


@device
def list_pixels(words, first, last, r, s, grid):
    """Write (pixel, pixel of the source) for pixels from ``first`` to ``last`` that tap (r, s) sees; their number.

    In such a grid nothing is divided.
    """
    image = first // (grid.out_h * grid.out_w)
    y = first // grid.out_w - image * grid.out_h
    x = first % grid.out_w
    count = 0
    for pixel in range(first, last):
        source_y = y * grid.scale_h + r * grid.step_h + grid.shift_h
        source_x = x * grid.scale_w + s * grid.step_w + grid.shift_w
        if 0 <= source_y < grid.source_h and 0 <= source_x < grid.source_w:
            words[2 * count] = pixel
            words[2 * count + 1] = (image * grid.source_h + source_y) * grid.source_w + source_x
            count += 1
        x += 1
        if x == grid.out_w:
            x, y = 0, y + 1
            if y == grid.out_h:
                y, image = 0, image + 1
    return count
