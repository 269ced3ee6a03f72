"""The kernels of Winograd's algorithm: transforms alone, and whole convolutions a block at a time.

A transform reads and writes the (m + 2)^2 points of a tile at addresses that are far apart. So a thread should multiply the
points that it has transformed: between the caches of two cores each line costs about as much as eight multiply-adds of a
vector (measured for 64 channels at 16 x 16: 74 us in one thread, 141 in two that pass transformed filters to each other).
`filter_kernel` and `weight_kernel` keep all intermediate values in memory of their own.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from numgrad.kernels.gemm_layout import Blocks, block_of
from numgrad.kernels.gemm_rows import lanes, tile_shape
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
    FilterRoom,
    Form,
    Images,
    Panel,
    Points,
    Tiling,
    WeightRoom,
    tile_position,
    watched_room,
)
from numgrad.kernels.winograd_repair import watcher
from numgrad.runtime import simd
from numgrad.runtime.kernel import Device, Kernel, device, kernel
from numgrad.runtime.simd import STORE, address_of
from numgrad.runtime.simd_transforms import Matrix, transform_tile


class Transform(NamedTuple):
    """One of a kernel's transforms."""

    matrix: Matrix
    image_side: int
    watching: bool = False


@functools.cache
def transformer(code: str, *transforms: Transform) -> tuple[Device, list[Form]]:
    """``transform(form, ...)``: ``matrix @ tile @ matrix.T`` for the units ``start`` to ``stop``, a vector of channels at a time.

    All transforms of a kernel are one function, which is compiled once; the forms say which of them is meant. On the side that
    is an image, a unit is one of its tiles; the records of `winograd_layout` describe the memory.

    ``words`` is room for all addresses of a tile, ``spare`` for a pixel of zeros, one that nobody reads and `watched_room`.
    A watching transform sets ``flags[unit]`` for tiles that may be uneven. Their ``subject`` is OUTPUTS, TAPS or PIXELS.
    Where tiles are summed, it takes flagged ones as zeros.
    """
    matrices, watched = [each.matrix for each in transforms], [each.watching for each in transforms]
    forms = [
        Form(number, len(matrix), len(matrix[0]), image_side, int(watching))
        for number, (matrix, image_side, watching) in enumerate(transforms)
    ]
    tile = transform_tile(code, matrices, watched)
    list_few, passes = watcher(code)
    vector, itemsize = lanes(code), 4 if code == "f4" else 8
    may_watch = any(watched)

    @device
    def transform(
        form, source, goal, spare, words, flags, subject, tiling, source_points, goal_points, panel, channels, start, stop
    ):  # fmt: skip
        height, width, tiles_h, tiles_w, step, origin, pixel_step = tiling
        number, rows, columns, image_side, watching = form
        inputs, outputs = columns * columns, rows * rows
        for i in range(channels):
            spare[i] = 0
        for i in range(inputs):
            words[i] = address_of(source, source_points.base + i * source_points.plane)
        for i in range(outputs):
            words[inputs + i] = address_of(goal, goal_points.base + i * goal_points.plane)
        # The addresses of the side that is an image: which these are, what they count from, and the one beyond the image.
        side, first_word, begin, outside = columns, 0, address_of(source, source_points.base), address_of(spare, 0)
        if image_side == GOAL:
            side, first_word = rows, inputs
            begin, outside = address_of(goal, goal_points.base), address_of(spare, channels)
        few, sums = words[inputs + outputs :], spare[2 * channels :]
        sources, goals, few_words, totals = (
            address_of(words, 0), address_of(words, inputs), address_of(few, 0), address_of(sums, 0),
        )  # fmt: skip
        top, left = 0, 0
        for unit in range(start, stop):
            source_shift, goal_shift = unit * source_points.unit, unit * goal_points.unit
            if image_side != NEITHER:
                image, top, left = tile_position(unit, tiles_h, tiles_w, step)
                top, left = top + origin, left + origin
                for i in range(side):
                    y = top + i
                    line = (image * height + y) * width
                    for j in range(side):
                        x = left + j
                        inside = 0 <= y < height and 0 <= x < width
                        pixel = begin + (line + x) * pixel_step * itemsize
                        words[first_word + i * side + j] = pixel if inside else outside
                if image_side == SOURCE:
                    source_shift = 0
                else:
                    goal_shift = 0
            has_bound, is_watched = False, may_watch and watching != 0
            if is_watched:
                has_bound = list_few(words, few, columns, subject, tiling, top, left)
                for i in range((1 + FEW) * vector):
                    sums[i] = 0
            for _ in range(2):  # the second time for a tile that is flagged: one call of `tile` is compiled once
                for first in range(0, channels, panel.width):
                    shift = goal_shift + first // panel.width * panel.step
                    for c in range(0, min(panel.width, channels - first), vector):
                        tile(
                            number, sources, (source_shift + first + c) * itemsize, goals, (shift + c) * itemsize,
                            few_words, totals,
                        )  # fmt: skip
                if not is_watched:
                    break
                flagged = not (has_bound and passes(sums, subject))
                flags[unit] = flagged
                if not flagged or subject == OUTPUTS:
                    break
                for i in range(inputs):
                    words[i] = address_of(spare, 0)
                is_watched = False

    return transform, forms


@functools.cache
def transform_kernel(code: str, matrix: Matrix, image_side: int, watching: bool = False) -> Kernel:
    """The kernel that only transforms; an item is a unit, numbered from the first one on."""
    words_count, sums_count = len(matrix) ** 2 + len(matrix[0]) ** 2 + FEW, watched_room(code)
    transform_units, (form,) = transformer(code, Transform(matrix, image_side, watching))
    arrays = f"{code}[:], {code}[:], {code}[:], i8[:], i8[:]"

    @kernel(f"{arrays}, i8, Tiling, Points, Points, Panel, i8, i8", Tiling, Points, Panel)
    def transform(
        source, goal, spare, words, flags, subject, tiling, source_points, goal_points, panel, channels, first_unit, start, stop,
        worker,
    ):  # fmt: skip
        spare_count = 2 * channels + sums_count
        transform_units(
            form, source, goal, spare[worker * spare_count : (worker + 1) * spare_count],
            words[worker * words_count : (worker + 1) * words_count], flags, subject, tiling, source_points, goal_points, panel,
            channels, first_unit + start, first_unit + stop,
        )  # fmt: skip

    return transform


def most_words(m: int) -> int:
    """Words that the transforms of tiles of this side need."""
    return 2 * (m + 2) ** 2 + FEW


@functools.cache
def filter_kernel(code: str, m: int, output: Matrix, filtering: Matrix, entry: Matrix) -> Kernel:
    """The kernel that filters tiles of an image; an item is a block of tiles for a block of outputs.

    The item transforms the filters, unless they are ``transformed`` already.
    """
    points, words_count = (m + 2) ** 2, most_words(m)
    transform, (of_filters, of_tiles, of_products) = transformer(
        code, Transform(filtering, NEITHER), Transform(entry, SOURCE, watching=True), Transform(output, GOAL)
    )
    tile_rows, panel = tile_shape(code, "many")
    tile, turn = simd.strided_tile(code, tile_rows, panel // lanes(code)), simd.transpose_tile(code)
    vector, itemsize, sums_count = lanes(code), 4 if code == "f4" else 8, watched_room(code)
    arrays = f"{code}[:], {code}[:], {code}[:], {code}[:], i8[:], i8[:]"

    @kernel(f"{arrays}, Images, Blocks, FilterRoom, i8, i8", Images, Blocks, FilterRoom)
    def filter_tiles(
        source, weight, goal, room, words, flags, images, blocks, areas, transformed, turned, start, stop, worker
    ):
        """``blocks``: rows are outputs, columns tiles."""
        channels, outputs, tiles_h, tiles_w = images.channels, images.outputs, images.tiles_h, images.tiles_w
        filter_plane, tile_row, product_row = areas.filters.plane, areas.tiles.row, areas.products.row
        room = room[worker * areas.size : (worker + 1) * areas.size]
        words = words[worker * words_count : (worker + 1) * words_count]
        packed, own_filters = room[2 * max(channels, outputs) + sums_count :], room[areas.filters.begin :]
        tiles, products = room[areas.tiles.begin :], room[areas.products.begin :]
        for item in range(start, stop):
            first, last, first_tile, last_tile, _ = block_of(item, blocks)
            if not transformed:
                for j in range(first, last, panel):
                    count = min(panel, last - j)
                    # By 180 degrees: the filter lies as [channel, tap, output], and is read from its last tap on.
                    filters, filter_points = weight, Points(8 * outputs + j, -outputs, 9 * outputs)
                    if not turned:
                        filters, filter_points = packed, Points(0, channels * panel, panel)
                        for tap in range(9):
                            for row in range(0, count, vector):
                                for c in range(0, channels, vector):
                                    turn(
                                        address_of(weight, ((j + row) * 9 + tap) * channels + c), 9 * channels * itemsize,
                                        address_of(packed, (tap * channels + c) * panel + row), panel * itemsize,
                                    )  # fmt: skip
                    transform(
                        of_filters, filters, own_filters, room, words, flags, OUTPUTS, NO_IMAGE, filter_points,
                        Points((j - first) * channels, filter_plane, panel), Panel(panel, 0), count, 0, channels,
                    )  # fmt: skip
            transform(
                of_tiles, source, tiles, room, words, flags, OUTPUTS,  # each block of outputs sets the same flags
                Tiling(images.height, images.width, tiles_h, tiles_w, m, -images.padding, channels), IN_IMAGE,
                Points(-first_tile * tile_row, areas.tiles.plane, tile_row), Panel(channels, 0), channels, first_tile, last_tile,
            )  # fmt: skip
            for point in range(points):
                for j in range(first, last, panel):
                    if transformed:
                        right = address_of(weight, point * filter_plane + j * channels)
                    else:
                        right = address_of(own_filters, point * filter_plane + (j - first) * channels)
                    left = address_of(tiles, point * areas.tiles.plane)
                    to = address_of(products, point * areas.products.plane + j - first)
                    for i in range(0, last_tile - first_tile, tile_rows):
                        tile(
                            left + i * tile_row * itemsize, tile_row * itemsize, itemsize,
                            min(tile_rows, last_tile - first_tile - i), right, panel * itemsize, channels,
                            to + i * product_row * itemsize, product_row * itemsize, min(panel, last - j), STORE,
                        )  # fmt: skip
            transform(
                of_products, products, goal, room, words, flags, OUTPUTS,
                Tiling(images.goal_height, images.goal_width, tiles_h, tiles_w, m, 0, outputs),
                Points(-first_tile * product_row, areas.products.plane, product_row), Points(first, 0, 0),
                Panel(last - first, 0), last - first, first_tile, last_tile,
            )  # fmt: skip

    return filter_tiles


@functools.cache
def weight_kernel(code: str, m: int, entry: Matrix, spreading: Matrix, closing: Matrix) -> Kernel:
    """The kernel of the weight's gradient for few tiles; an item is a block of outputs."""
    points, words_count = (m + 2) ** 2, most_words(m)
    transform, (of_tiles, of_grads, of_sums) = transformer(
        code, Transform(entry, SOURCE, True), Transform(spreading, SOURCE, True), Transform(closing, NEITHER)
    )
    tile_rows, panel = tile_shape(code, "many")
    tile = simd.strided_tile(code, tile_rows, panel // lanes(code))
    itemsize = 4 if code == "f4" else 8
    arrays = f"{code}[:], {code}[:], {code}[:], {code}[:], i8[:], i8[:]"

    @kernel(f"{arrays}, Images, WeightRoom, i8", Images, WeightRoom)
    def sum_tiles(grad, source, grad_weight, room, words, flags, images, areas, output_block, start, stop, worker):
        channels, outputs, tiles_h, tiles_w = images.channels, images.outputs, images.tiles_h, images.tiles_w
        tile_count, grad_row = images.tiles, areas.grads.row
        room = room[worker * areas.size : (worker + 1) * areas.size]
        words = words[worker * words_count : (worker + 1) * words_count]
        tiles, grads, sums = room[areas.tiles.begin :], room[areas.grads.begin :], room[areas.sums.begin :]
        transform(  # each worker for itself: they set the same flags
            of_tiles, source, tiles, room, words, flags, TAPS,
            Tiling(images.height, images.width, tiles_h, tiles_w, m, -images.padding, channels), IN_IMAGE,
            Points(0, areas.tiles.plane, panel), Panel(panel, areas.tiles.row), channels, 0, tile_count,
        )  # fmt: skip
        for item in range(start, stop):
            first = item * output_block
            rows = min(outputs, first + output_block) - first
            transform(
                of_grads, grad, grads, room, words, flags[(1 + item) * tile_count :], PIXELS,
                Tiling(images.goal_height, images.goal_width, tiles_h, tiles_w, m, 0, outputs), Points(first, 0, 0),
                Points(0, areas.grads.plane, grad_row), Panel(rows, 0), rows, 0, tile_count,
            )  # fmt: skip
            for point in range(points):
                for j in range(0, channels, panel):
                    right = address_of(tiles, point * areas.tiles.plane + j // panel * areas.tiles.row)
                    left = address_of(grads, point * areas.grads.plane)
                    to = address_of(sums, point * areas.sums.plane + j)
                    for i in range(0, rows, tile_rows):
                        tile(
                            left + i * itemsize, itemsize, grad_row * itemsize, min(tile_rows, rows - i), right,
                            panel * itemsize, tile_count, to + i * channels * itemsize, channels * itemsize,
                            min(panel, channels - j), STORE,
                        )  # fmt: skip
            transform(
                of_sums, sums, grad_weight, room, words, flags, OUTPUTS, NO_IMAGE, Points(0, areas.sums.plane, channels),
                Points(9 * channels * first, channels, 9 * channels), Panel(channels, 0), channels, 0, rows,
            )  # fmt: skip

    return sum_tiles
