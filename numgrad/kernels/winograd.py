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
them, 4e-7 for m = 2, and 2e-7 for the direct sum. A tile with an element that would spoil outputs which do not see it is
computed by the direct sum (`winograd_repair`).
"""

from __future__ import annotations

import functools
from fractions import Fraction

from numgrad import dtypes
from numgrad.kernels.conv_geometry import Conv2dGeometry
from numgrad.kernels.gemm_layout import Blocks, Matrices, Right
from numgrad.kernels.gemm_pack import plan_pack
from numgrad.kernels.gemm_panels import PanelSteps, plan_panels
from numgrad.kernels.gemm_rows import lanes, tile_shape
from numgrad.kernels.winograd_kernels import filter_kernel, most_words, transform_kernel, weight_kernel
from numgrad.kernels.winograd_layout import (
    FEW,
    GOAL,
    IN_IMAGE,
    NEITHER,
    NO_IMAGE,
    OUTPUTS,
    PIXELS,
    SOURCE,
    TAPS,
    Area,
    FilterRoom,
    Images,
    Panel,
    Points,
    Tiling,
    WeightRoom,
    images_of,
    watched_room,
)
from numgrad.kernels.winograd_repair import plan_repair, plan_repair_weight
from numgrad.runtime.kernel import kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder
from numgrad.runtime.program import Array
from numgrad.runtime.simd_transforms import Matrix

POINTS = {
    2: (Fraction(0), Fraction(1), Fraction(-1)),
    4: (Fraction(0), Fraction(3, 4), Fraction(-3, 4), Fraction(3, 2), Fraction(-3, 2)),
}
BLOCK_BYTES = 1 << 22  # of transformed tiles that are in use at a time, so that they stay in a cache
LEAST_SUM = 256  # tiles that are summed before the sums go to memory
ROOM_BYTES = 3 << 18  # of a worker's own transformed values, so that they stay in its second cache
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
    b: PlanBuilder, matrix: Matrix, source: Operand, goal: Operand, *, units: range, channels: int,
    image: tuple[int, Tiling] = (NEITHER, NO_IMAGE), source_points: Points = IN_IMAGE, goal_points: Points = IN_IMAGE,
    panel: Panel | None = None, flags: Array | None = None, subject: int = OUTPUTS, prepares: bool = False,
) -> None:  # fmt: skip
    """Transform units, which are counted from the first one; tiles of an image are numbered through all images.

    ``image`` has the side of the transform that is an image, and its tiles. With ``flags``, a word for each tile, tiles are
    watched for their ``subject``.
    """
    image_side, tiling = image
    size = len(matrix) ** 2 + len(matrix[0]) ** 2
    words = b.scratch(dtypes.int64, size + FEW, per_worker=True)
    spare = b.scratch(source.spec.dtype, 2 * channels + watched_room(source.code), per_worker=True)
    cost = size * channels
    b.launch(
        transform_kernel(source.code, matrix, image_side, flags is not None), source.flat, goal.flat, spare.flat, words.flat,
        flags or words.flat, subject, tiling, _numbered(source_points, units.start), _numbered(goal_points, units.start),
        panel or Panel(channels), channels, units.start,
        work=len(units), grain=2 * GRAIN_COST // cost + 1, cost=len(units) * cost, prepares=prepares,
    )  # fmt: skip


def _numbered(points: Points, first_unit: int) -> Points:
    """The points of units that are counted from the first, for a kernel that numbers them through."""
    return Points(points.base - first_unit * points.unit, points.plane, points.unit)


def fits(code: str, channels: int, outputs: int) -> bool:
    """True if the numbers of channels are whole vectors."""
    return code in ("f4", "f8") and channels % lanes(code) == 0 and outputs % lanes(code) == 0


def is_one_launch(m: int, code: str, direction: str, tiles: int, channels: int, outputs: int) -> bool:
    """Whether a convolution has so few tiles that it is one launch, with each worker's results in a cache."""
    if tiles > 2 * _own_outputs(code):
        return False
    if direction == "weight":
        size = _weight_room(m, code, channels, outputs, tiles).size
    else:
        blocks = _own_blocks(code, tiles, outputs)
        size = _filter_room(m, code, channels, outputs, *blocks, transformed=False, turned=direction == "input").size
    return size * (4 if code == "f4" else 8) <= ROOM_BYTES


def _own_outputs(code: str) -> int:
    """Outputs of a block, in whole panels; a worker transforms their filters for itself."""
    width = tile_shape(code, "many")[1]
    return -(-LEAST_OUTPUTS // width) * width


def _own_blocks(code: str, tiles: int, outputs: int) -> tuple[int, int]:
    """Tiles and outputs of a block; a worker transforms its filters for itself."""
    part, rows = _own_outputs(code), tile_shape(code, "many")[0]
    # A single block of outputs is halved by tiles, so that there are items for two threads.
    return (tiles if outputs > part or tiles < 2 * rows else _half(tiles, rows)), part


def _half(count: int, rows: int) -> int:
    """Half of them, in whole register tiles."""
    return -(-count // (2 * rows)) * rows


def plan_winograd(
    b: PlanBuilder, m: int, source: Operand, weight: Operand, goal: Operand, geometry: Conv2dGeometry, *, turned: bool,
    bias: Operand | None = None,
) -> None:  # fmt: skip
    """``goal = source`` filtered by ``weight``: the output, or (``turned``) the input's gradient.

    There are three ways. Each item of one launch computes some outputs, or, once the filters are transformed, some tiles. If
    neither fits into a cache, the parts are launches of their own.
    """
    code, rows = source.code, tile_shape(source.code, "many")[0]
    images = images_of(geometry, m, turned)
    channels, outputs, tiles = images.channels, images.outputs, images.tiles
    filters = _Filters(b, m, weight, channels, outputs, turned)
    flags = b.scratch(dtypes.int64, tiles)  # of the tiles that are uneven
    block = _many_tiles(tiles, ROOM_BYTES // _tile_bytes(m, code, channels, outputs), rows)
    if is_one_launch(m, code, "input" if turned else "forward", tiles, channels, outputs):
        blocks = _own_blocks(code, tiles, outputs)
        _plan_filter(b, m, images, source, weight, goal, flags, *blocks, transformed=False, turned=turned)
    elif block and (m + 2) ** 2 * channels * outputs * source.spec.dtype.itemsize <= NEAR_BYTES:
        transformed = filters.transformed(0, outputs, outputs)
        _plan_filter(b, m, images, source, transformed, goal, flags, block, outputs, transformed=True, turned=turned)
    else:
        _plan_parts(b, m, images, source, filters, goal, flags)
    plan_repair(b, m, images, source, weight, goal, flags, turned)
    if bias is not None:
        count = goal.extent // outputs
        b.launch(
            add_bias, goal.flat, bias.flat, outputs, work=count, grain=GRAIN_COST // outputs + 1, cost=count * outputs
        )


class _Filters:
    """The filters of a convolution, and their transforms.

    Transforms lie as [point, panel of outputs, channel, output], so that vectors run over outputs.
    """

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
        if self.turned:  # by 180 degrees: filters lie as [channel, tap, output], and are read from the last tap on
            weights, points = self.weight, Points(8 * outputs + first, -outputs, 9 * outputs)
        else:
            right = Right(self.weight, 0, channels, 1, 9 * channels, 9 * channels * first)
            weights = plan_pack(b, right, batch=1, taps=9, channels=channels, columns=count, width=count)
            points = Points(0, channels * count, count)
        _plan_transform(
            b, matrices(self.m)[1], weights, self.memory, units=range(channels), channels=count, source_points=points,
            goal_points=Points(0, plane, width), panel=Panel(width, channels * width),
            prepares=count == outputs,  # or else other calls write the same memory
        )  # fmt: skip
        return self.memory


def _filter_room(
    m: int, code: str, channels: int, outputs: int, tile_block: int, output_block: int, *, transformed: bool, turned: bool
) -> FilterRoom:  # fmt: skip
    """The memory of a worker of `filter_kernel`, for blocks of so many tiles and outputs."""
    width, points = tile_shape(code, "many")[1], (m + 2) ** 2
    panel = channels * width
    filter_plane, tile_row, product_row = (
        _apart(-(-output_block // width) * panel),
        _apart(channels),
        _apart(output_block),
    )
    begin = 2 * max(channels, outputs) + watched_room(code) + (0 if transformed or turned else 9 * panel)
    filters = Area(begin, filter_plane, panel)
    tiles = Area(begin + (0 if transformed else points * filter_plane), _apart(tile_block * tile_row), tile_row)
    products = Area(tiles.begin + points * tiles.plane, _apart(tile_block * product_row), product_row)
    return FilterRoom(filters, tiles, products, products.begin + points * products.plane)


def _tile_bytes(m: int, code: str, channels: int, outputs: int) -> int:
    """About the bytes of a tile in a worker's memory."""
    return (m + 2) ** 2 * (_apart(channels) + _apart(outputs)) * (4 if code == "f4" else 8)


def _plan_filter(
    b: PlanBuilder, m: int, images: Images, source: Operand, weight: Operand, goal: Operand, flags: Operand,
    tile_block: int, output_block: int, *, transformed: bool, turned: bool,
) -> None:  # fmt: skip
    """Launch `filter_kernel`, in blocks of these sizes."""
    channels, outputs, tiles, points = images.channels, images.outputs, images.tiles, (m + 2) ** 2
    room = _filter_room(
        m, source.code, channels, outputs, tile_block, output_block, transformed=transformed, turned=turned
    )
    blocks = Blocks(outputs, tiles, output_block, tile_block, -(-outputs // output_block), -(-tiles // tile_block))
    memory = b.scratch(source.spec.dtype, room.size, per_worker=True)
    words = b.scratch(dtypes.int64, most_words(m), per_worker=True)
    cost = points * (tiles * channels * outputs + (0 if transformed else 16 * channels * outputs)) // 8
    b.launch(
        filter_kernel(source.code, m, *matrices(m)), source.flat, weight.flat, goal.flat, memory.flat, words.flat,
        flags.flat, images, blocks, room, int(transformed), int(turned),
        work=blocks.row_blocks * blocks.column_blocks, grain=1, cost=cost,
    )  # fmt: skip


def _plan_parts(
    b: PlanBuilder, m: int, images: Images, source: Operand, filters: _Filters, goal: Operand, flags: Operand
) -> None:  # fmt: skip
    """Transforms and products as launches of their own, over blocks of tiles and of outputs that fit into the last cache."""
    dtype, width = source.spec.dtype, filters.width
    channels, outputs, tiles, tiles_h, tiles_w = (
        filters.channels,
        filters.outputs,
        images.tiles,
        images.tiles_h,
        images.tiles_w,
    )
    output, _, entry = matrices(m)
    points = (m + 2) ** 2
    block = _block(tiles, points * (channels + outputs) * dtype.itemsize)
    part = _part(outputs, points * channels * dtype.itemsize, width) if block >= tiles else outputs
    filter_steps = PanelSteps(filters.plane(part), channels * width, width)
    tile_row, product_row = _apart(channels), _apart(outputs)
    tile_plane, product_plane = _apart(block * tile_row), _apart(block * product_row)
    inputs, products = b.scratch(dtype, points * tile_plane), b.scratch(dtype, points * product_plane)
    source_image = SOURCE, Tiling(images.height, images.width, tiles_h, tiles_w, m, -images.padding, channels)
    goal_image = GOAL, Tiling(images.goal_height, images.goal_width, tiles_h, tiles_w, m, 0, outputs)
    if part == outputs:
        transformed = filters.transformed(0, outputs, part)
    for first_tile in range(0, tiles, block):
        units = range(first_tile, min(tiles, first_tile + block))
        _plan_transform(
            b, entry, source, inputs, units=units, channels=channels, image=source_image,
            goal_points=Points(0, tile_plane, tile_row), flags=flags.flat,
        )  # fmt: skip
        for first in range(0, outputs, part):
            columns = min(part, outputs - first)
            if part < outputs:
                transformed = filters.transformed(first, columns, part)
            plan_panels(
                b, Matrices(inputs, tile_plane, tile_row), transformed.flat, filter_steps,
                Matrices(products, product_plane, product_row, offset=first), rows=len(units), columns=columns,
                steps=channels, batch=points,
            )  # fmt: skip
        _plan_transform(
            b, output, products, goal, units=units, channels=outputs, image=goal_image,
            source_points=Points(0, product_plane, product_row),
        )  # fmt: skip


def _many_tiles(tiles: int, most: int, rows: int) -> int:
    """Tiles of a block, in whole register tiles of ``rows`` rows; 0 if there are too few blocks for equal shares."""
    least = 2 * rows
    if most < least or tiles < BLOCKS * least:
        return 0
    return max(least, min(most // rows, tiles // (BLOCKS * rows)) * rows)


def _apart(count: int) -> int:
    """Elements from one row or matrix to the next: a little more than ``count``.

    A multiple of a large power of two would put the same element of all rows into the same few lines of a cache.
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
    b: PlanBuilder, m: int, grad_out: Operand, x: Operand, grad_weight: Operand, geometry: Conv2dGeometry
) -> None:
    """The gradient of the weight (K 3 3 C): in one launch for few tiles, else the parts as launches of their own."""
    code, images = x.code, images_of(geometry, m)
    channels, outputs, tiles = images.channels, images.outputs, images.tiles
    if not is_one_launch(m, code, "weight", tiles, channels, outputs):
        flags = b.scratch(dtypes.int64, 2 * tiles)  # of the input's uneven tiles, and of the gradient's
        _plan_weight_parts(b, m, images, grad_out, x, grad_weight, flags)
        plan_repair_weight(b, m, images, grad_out, x, grad_weight, flags, outputs)
        return
    room, block = _weight_room(m, code, channels, outputs, tiles), _weight_block(code, outputs)
    blocks = -(-outputs // block)
    flags = b.scratch(dtypes.int64, (1 + blocks) * tiles)
    memory = b.scratch(x.spec.dtype, room.size, per_worker=True)
    words = b.scratch(dtypes.int64, most_words(m), per_worker=True)
    output, filtering, entry = matrices(m)
    run = weight_kernel(code, m, entry, transposed(output), transposed(filtering))
    b.launch(
        run, grad_out.flat, x.flat, grad_weight.flat, memory.flat, words.flat, flags.flat, images, room, block,
        work=blocks, grain=1, cost=(m + 2) ** 2 * channels * outputs * (tiles + 16) // 8,
    )  # fmt: skip
    plan_repair_weight(b, m, images, grad_out, x, grad_weight, flags, block)


def _weight_block(code: str, outputs: int) -> int:
    """Outputs of a block of `weight_kernel`."""
    part = _own_outputs(code)
    return part if outputs > part else _half(outputs, max(tile_shape(code, "many")[0], lanes(code)))


def _weight_room(m: int, code: str, channels: int, outputs: int, tiles: int) -> WeightRoom:
    """The memory of a worker of `weight_kernel`."""
    width, points, block = tile_shape(code, "many")[1], (m + 2) ** 2, _weight_block(code, outputs)
    panel, grad_row = tiles * width, _apart(block)
    inputs = Area(2 * max(channels, outputs) + watched_room(code), _apart(-(-channels // width) * panel), panel)
    grads = Area(inputs.begin + points * inputs.plane, _apart(tiles * grad_row), grad_row)
    sums = Area(grads.begin + points * grads.plane, _apart(block * channels), channels)
    return WeightRoom(inputs, grads, sums, sums.begin + points * sums.plane)


def _plan_weight_parts(
    b: PlanBuilder, m: int, images: Images, grad_out: Operand, x: Operand, grad_weight: Operand, flags: Operand
) -> None:  # fmt: skip
    """Transforms and products as launches of their own, over blocks of tiles and of outputs that fit into the last cache."""
    dtype, code = x.spec.dtype, x.code
    channels, outputs, tiles, tiles_h, tiles_w = (
        images.channels,
        images.outputs,
        images.tiles,
        images.tiles_h,
        images.tiles_w,
    )
    output, filtering, entry = matrices(m)
    points, width = (m + 2) ** 2, tile_shape(code, "many")[1]
    block = _block(tiles, points * (channels + outputs) * dtype.itemsize, LEAST_SUM)
    panel, row = block * width, _apart(outputs)  # the input's tiles lie as [point, panel of channels, tile, channel]
    tile_plane, grad_plane = _apart(-(-channels // width) * panel), _apart(block * row)
    inputs, grads = b.scratch(dtype, points * tile_plane), b.scratch(dtype, points * grad_plane)
    part = _part(outputs, points * channels * dtype.itemsize, width) if block >= tiles else outputs
    sums = b.scratch(dtype, points * part * channels)
    source_image = SOURCE, Tiling(images.height, images.width, tiles_h, tiles_w, m, -images.padding, channels)
    goal_image = SOURCE, Tiling(images.goal_height, images.goal_width, tiles_h, tiles_w, m, 0, outputs)

    def finish(first: int, rows: int) -> None:
        """Transform the sums of some of the outputs."""
        _plan_transform(
            b, transposed(filtering), sums, grad_weight, units=range(rows), channels=channels,
            source_points=Points(0, part * channels, channels),
            goal_points=Points(9 * channels * first, channels, 9 * channels),
        )  # fmt: skip

    for first_tile in range(0, tiles, block):
        units = range(first_tile, min(tiles, first_tile + block))
        _plan_transform(
            b, entry, x, inputs, units=units, channels=channels, image=source_image,
            goal_points=Points(0, tile_plane, width), panel=Panel(width, panel), flags=flags.flat, subject=TAPS,
        )  # fmt: skip
        _plan_transform(
            b, transposed(output), grad_out, grads, units=units, channels=outputs, image=goal_image,
            goal_points=Points(0, grad_plane, row), flags=flags.array(tiles, offset=tiles), subject=PIXELS,
        )  # fmt: skip
        for first in range(0, outputs, part):
            rows = min(part, outputs - first)
            plan_panels(
                b, Matrices(grads, grad_plane, 1, row, first), inputs.flat, PanelSteps(tile_plane, panel, width),
                Matrices(sums, part * channels, channels), rows=rows, columns=channels, steps=len(units), batch=points,
                accumulate=first_tile > 0,
            )  # fmt: skip
            if part < outputs:
                finish(first, rows)
    if part == outputs:
        finish(0, outputs)
