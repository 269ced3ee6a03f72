"""Convolutions of 3 x 3 kernels with stride 1 by Winograd's minimal filtering, in all three directions.

An output tile of m x m pixels costs (m + 2)^2 multiplications for each pair of channels, where the direct sum takes
9 m^2: 2.25 times fewer for m = 2, four times for m = 4. With the matrices of `matrices`, for a tile d of the input, a
kernel g and a tile e of the gradient::

    output = A' [(G g G') * (B' d B)] A        grad_weight = G' [sum over tiles (A e A') * (B' d B)] G

(Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016), and the input's gradient is the output of
the kernel turned by 180 degrees. Products and the sum over channels or tiles are matrix products, one for each of the
(m + 2)^2 points.

The price is rounding. In float32, the L2 error as a part of the result's norm, for 256 channels of N(0, 1) numbers, by
the points of m = 4 (the choice of points is what decides: Barabasz, Anderson, Soodhalter and Gregg, "Error analysis and
improving the accuracy of Winograd convolution for deep neural networks", 2020):

==========================  ==================  ============
points, besides infinity    output, input       weight
==========================  ==================  ============
0, 1, -1, 2, -2 (textbook)  2.7e-6              1.6e-6
0, 1, -1, 1/2, -2           1.8e-6              1.1e-6
0, 3/4, -3/4, 3/2, -3/2     1.3e-6              0.8e-6
==========================  ==================  ============

The last are the best of fifteen sets that were tried. The largest error, as a part of the largest element, is 2e-6 with
them, 4e-7 for m = 2, and 2e-7 for the direct sum. Tiles with elements that would spoil outputs which do not see them are
computed by the direct sum (`winograd_repair`).
"""

from __future__ import annotations

import functools
from fractions import Fraction

from numgrad import dtypes
from numgrad.kernels.gemm_pack import Right, plan_pack
from numgrad.kernels.gemm_panels import plan_panels
from numgrad.kernels.gemm_rows import lanes, tile_shape
from numgrad.kernels.winograd_kernels import (
    GOAL,
    NEITHER,
    SOURCE,
    Matrix,
    filter_kernel,
    most_words,
    transform_kernel,
    weight_kernel,
)
from numgrad.kernels.winograd_repair import FEW, OUTPUTS, PIXELS, TAPS, plan_repair, plan_repair_weight, watched_room
from numgrad.runtime.kernel import kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder

POINTS = {
    2: (Fraction(0), Fraction(1), Fraction(-1)),
    4: (Fraction(0), Fraction(3, 4), Fraction(-3, 4), Fraction(3, 2), Fraction(-3, 2)),
}
BLOCK_BYTES = 1 << 22  # of transformed tiles that are in use at a time, so that they stay in a cache
LEAST_SUM = 256  # tiles that are summed before the sums go to memory
ROOM_BYTES = 3 << 18  # of what a worker transforms for itself, so that it stays in its second cache
NEAR_BYTES = 1 << 22  # of transformed filters that all workers read again and again
BLOCKS = 8  # of tiles, at the least
LEAST_OUTPUTS = 32  # of a block of outputs, whose tiles are transformed for it alone


@functools.cache
def matrices(m: int) -> tuple[Matrix, Matrix, Matrix]:
    """(A', G, B') by Toom and Cook, for outputs of m and kernels of 3.

    >>> [[int(x) for x in row] for row in matrices(2)[0]]
    [[1, 1, 1, 0], [0, 1, -1, 1]]
    """
    points = POINTS[m]
    size = m + 2

    def product(roots: list[Fraction]) -> list[Fraction]:
        """Coefficients of the polynomial with these roots, lowest first, ``size`` of them."""
        coefficients = [Fraction(1)]
        for root in roots:
            shifted, scaled = [Fraction(0), *coefficients], [*(-root * c for c in coefficients), Fraction(0)]
            coefficients = [a + b for a, b in zip(shifted, scaled, strict=True)]
        return coefficients + [Fraction(0)] * (size - len(coefficients))

    output = [[point**i for point in points] + [Fraction(int(i == m - 1))] for i in range(m)]
    kernel_rows, input_rows = [], []
    for j, point in enumerate(points):
        others = [p for i, p in enumerate(points) if i != j]
        norm = Fraction(1)
        for other in others:
            norm *= point - other
        kernel_rows.append([point**i / norm for i in range(3)])
        input_rows.append(product(others))
    kernel_rows.append([Fraction(0), Fraction(0), Fraction(1)])
    input_rows.append(product(list(points)))

    def floats(rows: list[list[Fraction]]) -> Matrix:
        return tuple(tuple(float(x) for x in row) for row in rows)

    return floats(output), floats(kernel_rows), floats(input_rows)


def transposed(matrix: Matrix) -> Matrix:
    """The transpose."""
    return tuple(zip(*matrix, strict=True))


@kernel("T[:], T[:], i8")
def add_bias(out, bias, columns, start, stop):
    """``out[m, :] += bias``; an item is a row."""
    for item in range(start, stop):
        line = out[item * columns : (item + 1) * columns]
        for j in range(line.shape[0]):
            line[j] += bias[j]


def _plan_transform(
    b: PlanBuilder, matrix: Matrix, source: Operand, goal: Operand, *, units: int, channels: int,
    image_side: int = NEITHER, image: tuple[int, ...] = (1, 1, 1, 1, 1, 0), first_unit: int = 0,
    source_place: tuple[int, int, int] = (0, 0, 0), goal_place: tuple[int, int, int] = (0, 0, 0),
    panel: tuple[int, int] | None = None, flags: Operand | None = None, first_flag: int = 0, watched: int = OUTPUTS,
) -> None:  # fmt: skip
    """``image``: height, width, tiles in each, step between tiles and first one's origin; places: base, plane, unit.

    ``panel``: channels that lie side by side in the goal, and the distance of such panels. With ``flags``,
    a word for each unit from ``first_flag`` on, tiles are ``watched``.
    """
    size = len(matrix) ** 2 + len(matrix[0]) ** 2
    words = b.scratch(dtypes.int64, size + FEW, per_worker=True)
    spare_count = 2 * channels + watched_room(source.code)
    spare = b.scratch(source.spec.dtype, spare_count, per_worker=True)
    cost = size * channels
    b.launch(
        transform_kernel(source.code, matrix, flags is not None), source.flat, goal.flat, spare.flat, words.flat,
        (flags or words).flat, first_flag, watched, spare_count, image_side, *image, channels, first_unit, *source_place,
        *goal_place, *(panel or (channels, channels)), channels,
        work=units, grain=2 * GRAIN_COST // cost + 1, cost=units * cost,
    )  # fmt: skip


def fits(code: str, channels: int, outputs: int) -> bool:
    """True if the numbers of channels are whole vectors."""
    return code in ("f4", "f8") and channels % lanes(code) == 0 and outputs % lanes(code) == 0


def is_one_launch(m: int, code: str, direction: str, tiles: int, channels: int, outputs: int) -> bool:
    """Whether a convolution with so few tiles is one launch, in which each worker has all that it makes in a cache."""
    if tiles > 2 * _own_outputs(code):
        return False
    if direction == "weight":
        room = _WeightRoom(m, code, channels, outputs, tiles).count
    else:
        room = _filter_room(m, code, channels, outputs, tiles, direction == "input").count
    return room * (4 if code == "f4" else 8) <= ROOM_BYTES


def _own_outputs(code: str) -> int:
    """Outputs of a block whose filters a worker transforms for itself: whole panels."""
    width = tile_shape(code, "many")[1]
    return -(-LEAST_OUTPUTS // width) * width


def _filter_room(m: int, code: str, channels: int, outputs: int, tiles: int, turned: bool) -> _Room:
    part, rows = _own_outputs(code), tile_shape(code, "many")[0]
    # A single block of outputs is halved by tiles, so that there are items for two threads.
    block = tiles if outputs > part or tiles < 2 * rows else _half(tiles, rows)
    return _Room(m, code, channels, outputs, block, part, given=False, turned=turned)


def _half(count: int, rows: int) -> int:
    """Half of them, in whole register tiles."""
    return -(-count // (2 * rows)) * rows


def plan_winograd(
    b: PlanBuilder, m: int, source: Operand, weight: Operand, goal: Operand, *, images: int,
    source_size: tuple[int, int], goal_size: tuple[int, int], padding: int, channels: int, outputs: int, turned: bool,
    bias: Operand | None = None,
) -> None:  # fmt: skip
    """``goal = source`` filtered by ``weight``: the output, or (``turned``) the input's gradient.

    ``channels`` are the source's, ``outputs`` the goal's; the weight lies as [output, tap, channel], or as [channel,
    tap, output] if ``turned``. There are three ways: each item of a launch does all for some outputs, or for some tiles
    once the filters are transformed, or, where neither fits into a cache, the parts are launches of their own.
    """
    code, rows = source.code, tile_shape(source.code, "many")[0]
    tiles_h, tiles_w = -(-goal_size[0] // m), -(-goal_size[1] // m)
    tiles = images * tiles_h * tiles_w
    image = (*source_size, *goal_size, tiles_h, tiles_w, padding)
    filters = _Filters(b, m, weight, channels, outputs, turned)
    flags = b.scratch(dtypes.int64, tiles)  # of the tiles that are uneven
    block = _many_tiles(tiles, ROOM_BYTES // _Room.tile_bytes(m, code, channels, outputs), rows)
    if is_one_launch(m, code, "input" if turned else "forward", tiles, channels, outputs):
        _plan_filter(b, _filter_room(m, code, channels, outputs, tiles, turned), source, weight, goal, flags, image)
    elif block and (m + 2) ** 2 * channels * outputs * source.spec.dtype.itemsize <= NEAR_BYTES:
        given = _Room(m, code, channels, outputs, block, outputs, given=True, turned=turned)
        _plan_filter(b, given, source, filters.transformed(0, outputs, outputs), goal, flags, image)
    else:
        _plan_parts(b, m, source, filters, goal, flags, image)
    plan_repair(b, m, source, weight, goal, flags, image, channels, outputs, turned)
    if bias is not None:
        count = images * goal_size[0] * goal_size[1]
        b.launch(
            add_bias, goal.flat, bias.flat, outputs, work=count, grain=GRAIN_COST // outputs + 1, cost=count * outputs
        )


class _Filters:
    """The filters of a convolution, to be transformed; they come to lie as [point, panel of outputs, channel, output], so
    that vectors run over outputs."""

    def __init__(self, b: PlanBuilder, m: int, weight: Operand, channels: int, outputs: int, turned: bool) -> None:
        self.b, self.m, self.weight, self.channels, self.outputs, self.turned = b, m, weight, channels, outputs, turned
        self.width = tile_shape(weight.code, "many")[1]
        self.memory: Operand | None = None

    def plane(self, part: int) -> int:
        """Elements from one point to the next, for ``part`` outputs."""
        return _apart(-(-part // self.width) * self.channels * self.width)

    def transformed(self, first: int, count: int, part: int) -> Operand:
        """``count`` outputs' filters, from ``first`` on, in memory for ``part`` that all calls share."""
        b, channels, outputs, width, plane = self.b, self.channels, self.outputs, self.width, self.plane(part)
        if self.memory is None:
            self.memory = b.scratch(self.weight.spec.dtype, (self.m + 2) ** 2 * plane)
        if self.turned:  # by 180 degrees: what lies as [channel, tap, output] is read from its last tap on
            place, weights = (8 * outputs + first, -outputs, 9 * outputs), self.weight
        else:
            right = Right(self.weight, 0, channels, 1, 9 * channels, 9 * channels * first)
            weights = plan_pack(b, right, batch=1, taps=9, channels=channels, columns=count, width=count)
            place = (0, channels * count, count)
        _plan_transform(
            b, matrices(self.m)[1], weights, self.memory, units=channels, channels=count, source_place=place,
            goal_place=(0, plane, width), panel=(width, channels * width),
        )  # fmt: skip
        return self.memory


class _Room:
    """The memory of a worker of `filter_kernel`, for blocks of so many tiles and outputs, in elements.

    It begins with a pixel of zeros, one for what nobody wants and what is watched; then follow, unless filters are ``given``, a
    panel of them as it is read (or nothing where they need not be ``turned`` round) and the transformed ones; then tiles and
    results.
    """

    def __init__(
        self,
        m: int,
        code: str,
        channels: int,
        outputs: int,
        tile_block: int,
        output_block: int,
        *,
        given: bool,
        turned: bool,
    ) -> None:
        width = tile_shape(code, "many")[1]
        self.m, self.channels, self.outputs, self.given, self.turned = m, channels, outputs, given, turned
        self.tile_block, self.output_block = tile_block, output_block
        self.seen_row, self.made_row = _apart(channels), _apart(output_block)
        self.tuned_plane = _apart(-(-output_block // width) * channels * width)
        self.seen_plane, self.made_plane = _apart(tile_block * self.seen_row), _apart(tile_block * self.made_row)
        points, begin = (m + 2) ** 2, 2 * max(channels, outputs) + watched_room(code)
        self.tuned_begin = begin + (0 if given or turned else 9 * channels * width)
        self.seen_begin = self.tuned_begin + (0 if given else points * self.tuned_plane)
        self.made_begin = self.seen_begin + points * self.seen_plane
        self.count = self.made_begin + points * self.made_plane

    @staticmethod
    def tile_bytes(m: int, code: str, channels: int, outputs: int) -> int:
        """About what a tile takes."""
        return (m + 2) ** 2 * (_apart(channels) + _apart(outputs)) * (4 if code == "f4" else 8)


def _plan_filter(
    b: PlanBuilder, room: _Room, source: Operand, weight: Operand, goal: Operand, flags: Operand, image: tuple[int, ...]
) -> None:  # fmt: skip
    """Launch `filter_kernel`, in blocks of the room's sizes."""
    r, points, tiles = room, (room.m + 2) ** 2, flags.extent
    output_blocks = -(-r.outputs // r.output_block)
    items = -(-tiles // r.tile_block) * output_blocks
    memory = b.scratch(source.spec.dtype, r.count, per_worker=True)
    words = b.scratch(dtypes.int64, most_words(r.m), per_worker=True)
    cost = points * (tiles * r.channels * r.outputs + (0 if r.given else 16 * r.channels * r.outputs)) // 8
    b.launch(
        filter_kernel(source.code, r.m, *matrices(r.m)), source.flat, weight.flat, goal.flat, memory.flat, words.flat,
        flags.flat, *image, r.channels, r.outputs, tiles, r.tile_block, r.output_block, output_blocks, int(r.given), int(r.turned),
        r.seen_row, r.made_row, r.tuned_plane, r.seen_plane, r.made_plane, r.tuned_begin, r.seen_begin, r.made_begin,
        r.count, most_words(r.m), work=items, grain=1, cost=cost,
    )  # fmt: skip


def _plan_parts(
    b: PlanBuilder, m: int, source: Operand, filters: _Filters, goal: Operand, flags: Operand, image: tuple[int, ...]
) -> None:  # fmt: skip
    """Transforms and products as launches of their own, over blocks of tiles and of outputs that fit into the last cache."""
    dtype, code = source.spec.dtype, source.code
    channels, outputs, width = filters.channels, filters.outputs, filters.width
    output, _, entry = matrices(m)
    source_size, goal_size, (tiles_h, tiles_w, padding) = image[:2], image[2:4], image[4:]
    points, tiles = (m + 2) ** 2, flags.extent
    block = _block(tiles, points * (channels + outputs) * dtype.itemsize)
    part = _part(outputs, points * channels * dtype.itemsize, width) if block >= tiles else outputs
    plane = filters.plane(part)
    seen_row, made_row = _apart(channels), _apart(outputs)
    seen_plane, made_plane = _apart(block * seen_row), _apart(block * made_row)
    seen, made = b.scratch(dtype, points * seen_plane), b.scratch(dtype, points * made_plane)
    if part == outputs:
        tuned = filters.transformed(0, outputs, part)
    for first_tile in range(0, tiles, block):
        count = min(block, tiles - first_tile)
        _plan_transform(
            b, entry, source, seen, units=count, channels=channels, image_side=SOURCE, first_unit=first_tile,
            image=(*source_size, tiles_h, tiles_w, m, -padding), goal_place=(0, seen_plane, seen_row), flags=flags,
        )  # fmt: skip
        for first in range(0, outputs, part):
            columns = min(part, outputs - first)
            if part < outputs:
                tuned = filters.transformed(first, columns, part)
            plan_panels(
                b, code, seen.flat, tuned.flat, made.array(made.extent - first, offset=first), rows=count,
                columns=columns, steps=channels, batch=points, a_strides=(seen_plane, seen_row, 1),
                b_strides=(plane, channels * width, width), out_strides=(made_plane, made_row),
            )  # fmt: skip
        _plan_transform(
            b, output, made, goal, units=count, channels=outputs, image_side=GOAL, first_unit=first_tile,
            image=(*goal_size, tiles_h, tiles_w, m, 0), source_place=(0, made_plane, made_row),
        )  # fmt: skip


def _many_tiles(tiles: int, most: int, rows: int) -> int:
    """Tiles of a block, whole register tiles of so many rows, where there are enough blocks for threads to have equal shares;
    else 0."""
    least = 2 * rows
    if most < least or tiles < BLOCKS * least:
        return 0
    return max(least, min(most // rows, tiles // (BLOCKS * rows)) * rows)


def _apart(count: int) -> int:
    """Elements from one row or matrix to the next: a little more than ``count``, since a multiple of a large power of
    two would put the same place of all of them into the same few places of a cache.
    """
    return count + 16


def _block(tiles: int, tile_bytes: int, least: int = 64) -> int:
    """Tiles that are transformed and multiplied before the next ones: equal parts, whole register tiles."""
    most = max(least, BLOCK_BYTES // tile_bytes // 8 * 8)
    parts = -(-tiles // most)
    return -(-tiles // (parts * 8)) * 8


def _part(outputs: int, output_bytes: int, width: int) -> int:
    """Outputs whose kernels are transformed and used before the next ones, so that they stay in a cache."""
    most = max(4 * width, BLOCK_BYTES // output_bytes // width * width)
    parts = -(-outputs // most)
    return min(outputs, -(-outputs // (parts * width)) * width)


def plan_winograd_weight(
    b: PlanBuilder, m: int, grad_out: Operand, x: Operand, grad_weight: Operand, *, images: int,
    source_size: tuple[int, int], goal_size: tuple[int, int], padding: int, channels: int, outputs: int,
) -> None:  # fmt: skip
    """The gradient of the weight (K 3 3 C): in one launch for few tiles, else the parts as launches of their own."""
    code = x.code
    tiles_h, tiles_w = -(-goal_size[0] // m), -(-goal_size[1] // m)
    tiles = images * tiles_h * tiles_w
    image = (*source_size, *goal_size, tiles_h, tiles_w, padding)
    if not is_one_launch(m, code, "weight", tiles, channels, outputs):
        flags = b.scratch(dtypes.int64, 2 * tiles)  # of the input's uneven tiles, and of the gradient's
        _plan_weight_parts(b, m, grad_out, x, grad_weight, flags, image, channels, outputs)
        plan_repair_weight(b, m, grad_out, x, grad_weight, flags, image, channels, outputs, outputs)
        return
    r = _WeightRoom(m, code, channels, outputs, tiles)
    blocks = -(-outputs // r.output_block)
    flags = b.scratch(dtypes.int64, (1 + blocks) * tiles)
    memory = b.scratch(x.spec.dtype, r.count, per_worker=True)
    words = b.scratch(dtypes.int64, most_words(m), per_worker=True)
    output, filtering, entry = matrices(m)
    run = weight_kernel(code, m, entry, transposed(output), transposed(filtering))
    b.launch(
        run, grad_out.flat, x.flat, grad_weight.flat, memory.flat, words.flat, flags.flat, *image,
        channels, outputs, tiles, r.output_block, r.panel, r.wanted_row, r.seen_plane, r.wanted_plane, r.sums_plane,
        r.seen_begin, r.wanted_begin, r.sums_begin, r.count, most_words(m),
        work=blocks, grain=1, cost=(m + 2) ** 2 * channels * outputs * (tiles + 16) // 8,
    )  # fmt: skip
    plan_repair_weight(b, m, grad_out, x, grad_weight, flags, image, channels, outputs, r.output_block)


class _WeightRoom:
    """The memory of a worker of `weight_kernel`, in elements: two pixels, what is watched; tiles of the input, as [point,
    panel of channels, tile, channel]; those of the gradient; and sums."""

    def __init__(self, m: int, code: str, channels: int, outputs: int, tiles: int) -> None:
        width, points = tile_shape(code, "many")[1], (m + 2) ** 2
        rows, part = tile_shape(code, "many")[0], _own_outputs(code)
        self.output_block = block = part if outputs > part else _half(outputs, max(rows, lanes(code)))
        self.wanted_row, self.panel = _apart(block), tiles * width
        self.seen_plane, self.wanted_plane = _apart(-(-channels // width) * self.panel), _apart(tiles * self.wanted_row)
        self.sums_plane = _apart(block * channels)
        self.seen_begin = 2 * max(channels, outputs) + watched_room(code)
        self.wanted_begin = self.seen_begin + points * self.seen_plane
        self.sums_begin = self.wanted_begin + points * self.wanted_plane
        self.count = self.sums_begin + points * self.sums_plane


def _plan_weight_parts(
    b: PlanBuilder, m: int, grad_out: Operand, x: Operand, grad_weight: Operand, flags: Operand, image: tuple[int, ...],
    channels: int, outputs: int,
) -> None:  # fmt: skip
    """Transforms and products as launches of their own, over blocks of tiles and of outputs that fit into the last cache."""
    dtype, code = x.spec.dtype, x.code
    output, filtering, entry = matrices(m)
    points, width = (m + 2) ** 2, tile_shape(code, "many")[1]
    source_size, goal_size, (tiles_h, tiles_w, padding) = image[:2], image[2:4], image[4:]
    tiles = flags.extent // 2
    block = _block(tiles, points * (channels + outputs) * dtype.itemsize, LEAST_SUM)
    panel, row = block * width, _apart(outputs)  # seen lies as [point, panel of channels, tile, channel]
    seen_plane, wanted_plane = _apart(-(-channels // width) * panel), _apart(block * row)
    seen, wanted = b.scratch(dtype, points * seen_plane), b.scratch(dtype, points * wanted_plane)
    part = _part(outputs, points * channels * dtype.itemsize, width) if block >= tiles else outputs
    sums = b.scratch(dtype, points * part * channels)

    def finish(first: int, rows: int) -> None:
        """Transform the sums of some of the outputs."""
        _plan_transform(
            b, transposed(filtering), sums, grad_weight, units=rows, channels=channels,
            source_place=(0, part * channels, channels), goal_place=(9 * channels * first, channels, 9 * channels),
        )  # fmt: skip

    for first_tile in range(0, tiles, block):
        count = min(block, tiles - first_tile)
        _plan_transform(
            b, entry, x, seen, units=count, channels=channels, image_side=SOURCE, first_unit=first_tile,
            image=(*source_size, tiles_h, tiles_w, m, -padding), goal_place=(0, seen_plane, width), panel=(width, panel),
            flags=flags, watched=TAPS,
        )  # fmt: skip
        _plan_transform(
            b, transposed(output), grad_out, wanted, units=count, channels=outputs, image_side=SOURCE,
            first_unit=first_tile, image=(*goal_size, tiles_h, tiles_w, m, 0), goal_place=(0, wanted_plane, row),
            flags=flags, first_flag=tiles, watched=PIXELS,
        )  # fmt: skip
        for first in range(0, outputs, part):
            rows = min(part, outputs - first)
            plan_panels(
                b, code, wanted.array(wanted.extent - first, offset=first), seen.flat, sums.flat, rows=rows,
                columns=channels, steps=count, batch=points, a_strides=(wanted_plane, 1, row),
                b_strides=(seen_plane, panel, width), out_strides=(part * channels, channels),
                accumulate=first_tile > 0,
            )  # fmt: skip
            if part < outputs:
                finish(first, rows)
    if part == outputs:
        finish(0, outputs)
