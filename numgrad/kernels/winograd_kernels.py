"""The kernels of Winograd's algorithm: transforms alone, and whole convolutions a block at a time.

A transform reads and writes the (m + 2)^2 points of a tile at places that are far apart, so what a thread has transformed
it should also multiply: between the caches of two cores each line costs about what eight multiply-adds of a vector do
(measured for 64 channels at 16 x 16: 74 us in one thread, 141 in two that pass transformed filters to each other).
`filter_kernel` and `weight_kernel` keep all that lies between an operand and a result in memory of their own.
"""

from __future__ import annotations

import functools

from numgrad.kernels.gemm_rows import lanes, tile_shape
from numgrad.kernels.winograd_repair import FEW, OUTPUTS, PIXELS, TAPS, watched_room, watcher
from numgrad.runtime import simd
from numgrad.runtime.kernel import Device, Kernel, device, kernel
from numgrad.runtime.simd import STORE, address_of

Matrix = tuple[tuple[float, ...], ...]
SOURCE, GOAL, NEITHER = 0, 1, 2  # which side of a transform is an image


@functools.cache
def transformer(code: str, matrix: Matrix, watching: bool = False) -> Device:
    """``transform(...)``: ``matrix @ tile @ matrix.T`` for the units ``start`` to ``stop``, a vector of channels at a time.

    What a unit is lies at ``base + i * plane + unit * step`` for the tile's element i, where a place is (base, plane, step).
    On the side that is an image, a unit is a tile of it, and ``image`` says (height, width, tiles in a column, in a row, step
    between tiles, first one's origin, elements from one pixel to the next); of the place only the base counts. ``panel``:
    channels that lie side by side in the goal, and the distance of such panels.

    ``words`` is room for all addresses of a tile, ``spare`` for a pixel of zeros, one that nobody reads and `watched_room`.
    A ``watching`` one sets ``flags[first_flag + unit]`` for tiles that may be uneven, by what is ``watched``, and takes them as
    zeros where they are to be summed.
    """
    rows, columns = len(matrix), len(matrix[0])
    tile = simd.transform_tile(code, matrix, watching)
    list_few, passes = watcher(code)
    vector, itemsize = lanes(code), 4 if code == "f4" else 8
    side_words = columns**2 + rows**2

    @device
    def transform_channels(sources, source_shift, goals, goal_shift, few, sums, panel, channels):
        panel_width, panel_step = panel
        for first in range(0, channels, panel_width):
            shift = goal_shift + first // panel_width * panel_step
            for c in range(0, min(panel_width, channels - first), vector):
                place, goal_place = (source_shift + first + c) * itemsize, (shift + c) * itemsize
                if watching:
                    tile(sources, place, goals, goal_place, address_of(few, 0), address_of(sums, 0))
                else:
                    tile(sources, place, goals, goal_place)

    @device
    def transform(
        source, goal, spare, words, flags, first_flag, watched, image_side, image, source_place, goal_place, panel, channels,
        start, stop,
    ):  # fmt: skip
        height, width, tiles_h, tiles_w, step, origin, pixel_step = image
        source_base, source_plane, source_unit = source_place
        goal_base, goal_plane, goal_unit = goal_place
        for i in range(channels):
            spare[i] = 0
        for i in range(columns * columns):
            words[i] = address_of(source, source_base + i * source_plane)
        for i in range(rows * rows):
            words[columns * columns + i] = address_of(goal, goal_base + i * goal_plane)
        side = columns if image_side == 0 else rows
        sources, goals = address_of(words, 0), address_of(words, columns * columns)
        for unit in range(start, stop):
            source_shift, goal_shift = unit * source_unit, unit * goal_unit
            if image_side != 2:
                place = unit // (tiles_h * tiles_w)
                rest = unit - place * tiles_h * tiles_w
                top, left = rest // tiles_w * step + origin, rest % tiles_w * step + origin
                for i in range(side):
                    y = top + i
                    line = (place * height + y) * width
                    for j in range(side):
                        x = left + j
                        inside = 0 <= y < height and 0 <= x < width
                        pixel = (line + x) * pixel_step
                        if image_side == 0:
                            found = address_of(source, source_base + pixel) if inside else address_of(spare, 0)
                            words[i * side + j] = found
                        else:
                            found = address_of(goal, goal_base + pixel) if inside else address_of(spare, channels)
                            words[columns * columns + i * side + j] = found
                if image_side == 0:
                    source_shift = 0
                else:
                    goal_shift = 0
            if watching:
                few, sums = words[side_words:], spare[2 * channels :]
                here = (height, width, origin, pixel_step * itemsize)
                has_bound = list_few(words, few, columns, watched, here, top, left)
                for i in range((1 + FEW) * vector):
                    sums[i] = 0
                transform_channels(sources, source_shift, goals, goal_shift, few, sums, panel, channels)
                flagged = not (has_bound and passes(sums, watched))
                flags[first_flag + unit] = flagged
                if flagged and watched != OUTPUTS:
                    for i in range(columns * columns):
                        words[i] = address_of(spare, 0)
                    transform_channels(sources, source_shift, goals, goal_shift, few, sums, panel, channels)
            else:
                transform_channels(sources, source_shift, goals, goal_shift, words, spare, panel, channels)

    return transform


@functools.cache
def transform_kernel(code: str, matrix: Matrix, watching: bool = False) -> Kernel:
    """The kernel that transforms alone; an item is a unit."""
    entries = len(matrix) ** 2 + len(matrix[0]) ** 2 + FEW
    transform_units = transformer(code, matrix, watching)

    @kernel(f"{code}[:], {code}[:], {code}[:], i8[:], i8[:], {'i8, ' * 21}")
    def transform(
        source, goal, spare, words, flags, first_flag, watched, spare_count, image_side, height, width, tiles_h, tiles_w, step,
        origin, pixel_step, first_unit, source_base, source_plane, source_unit, goal_base, goal_plane, goal_unit,
        panel_width, panel_step, channels, start, stop, worker,
    ):  # fmt: skip
        # Units are counted from the first, but tiles of an image are numbered through.
        transform_units(
            source, goal, spare[worker * spare_count : (worker + 1) * spare_count],
            words[worker * entries : (worker + 1) * entries], flags, first_flag, watched, image_side,
            (height, width, tiles_h, tiles_w, step, origin, pixel_step),
            (source_base - first_unit * source_unit, source_plane, source_unit),
            (goal_base - first_unit * goal_unit, goal_plane, goal_unit), (panel_width, panel_step), channels,
            first_unit + start, first_unit + stop,
        )  # fmt: skip

    return transform


def most_words(m: int) -> int:
    """Words that the transforms of tiles of this side need."""
    return 2 * (m + 2) ** 2 + FEW


@functools.cache
def filter_kernel(code: str, m: int, output: Matrix, filtering: Matrix, entry: Matrix) -> Kernel:
    """The kernel that filters tiles of an image; an item is a block of tiles for a block of outputs.

    The filters are transformed in the item, or ``given``: transformed already. Each worker's ``room`` holds what
    `winograd._Room` says.
    """
    points = (m + 2) ** 2
    transform_filters, finish = transformer(code, filtering), transformer(code, output)
    transform_tiles = transformer(code, entry, watching=True)
    tile_rows, panel = tile_shape(code, "many")
    tile, turn = simd.strided_tile(code, tile_rows, panel // lanes(code)), simd.transpose_tile(code)
    vector, itemsize, sums_count = lanes(code), 4 if code == "f4" else 8, watched_room(code)

    @kernel(f"{code}[:], {code}[:], {code}[:], {code}[:], i8[:], i8[:], {'i8, ' * 25}")
    def filter_tiles(
        source, weight, goal, room, words, flags,
        height, width, goal_height, goal_width, tiles_h, tiles_w, padding, channels, outputs, tiles, tile_block,
        output_block, output_blocks, given, turned, seen_row, made_row, tuned_plane, seen_plane, made_plane,
        tuned_begin, seen_begin, made_begin, room_count, words_count,
        start, stop, worker,
    ):  # fmt: skip
        room = room[worker * room_count : (worker + 1) * room_count]
        words = words[worker * words_count : (worker + 1) * words_count]
        # The room: two pixels and what is watched, a panel of filters as it is read, the transformed filters, tiles and results.
        packed, own = room[2 * max(channels, outputs) + sums_count :], room[tuned_begin:]
        seen, made = room[seen_begin:], room[made_begin:]
        for item in range(start, stop):
            first, first_tile = item % output_blocks * output_block, item // output_blocks * tile_block
            last, last_tile = min(outputs, first + output_block), min(tiles, first_tile + tile_block)
            if not given:
                for j in range(first, last, panel):
                    count = min(panel, last - j)
                    # By 180 degrees: the filter lies as [channel, tap, output], and is read from its last tap on.
                    filters, place = weight, (8 * outputs + j, -outputs, 9 * outputs)
                    if not turned:
                        filters, place = packed, (0, channels * panel, panel)
                        for tap in range(9):
                            for row in range(0, count, vector):
                                for c in range(0, channels, vector):
                                    turn(
                                        address_of(weight, ((j + row) * 9 + tap) * channels + c), 9 * channels * itemsize,
                                        address_of(packed, (tap * channels + c) * panel + row), panel * itemsize,
                                    )  # fmt: skip
                    transform_filters(
                        filters, own, room, words, flags, 0, OUTPUTS, 2, (1, 1, 1, 1, 1, 0, 1), place,
                        ((j - first) * channels, tuned_plane, panel), (panel, 0), count, 0, channels,
                    )  # fmt: skip
            transform_tiles(
                source, seen, room, words, flags, 0, OUTPUTS, 0,  # each block of outputs sets the same flags
                (height, width, tiles_h, tiles_w, m, -padding, channels), (0, 0, 0),
                (-first_tile * seen_row, seen_plane, seen_row), (channels, 0), channels, first_tile, last_tile,
            )  # fmt: skip
            for point in range(points):
                for j in range(first, last, panel):
                    if given:
                        right = address_of(weight, point * tuned_plane + j * channels)
                    else:
                        right = address_of(own, point * tuned_plane + (j - first) * channels)
                    left = address_of(seen, point * seen_plane)
                    to = address_of(made, point * made_plane + j - first)
                    for i in range(0, last_tile - first_tile, tile_rows):
                        tile(
                            left + i * seen_row * itemsize, seen_row * itemsize, itemsize,
                            min(tile_rows, last_tile - first_tile - i), right, panel * itemsize, channels,
                            to + i * made_row * itemsize, made_row * itemsize, min(panel, last - j), STORE,
                        )  # fmt: skip
            finish(
                made, goal, room, words, flags, 0, OUTPUTS, 1, (goal_height, goal_width, tiles_h, tiles_w, m, 0, outputs),
                (-first_tile * made_row, made_plane, made_row), (first, 0, 0), (last - first, 0), last - first,
                first_tile, last_tile,
            )  # fmt: skip

    return filter_tiles


@functools.cache
def weight_kernel(code: str, m: int, entry: Matrix, spreading: Matrix, closing: Matrix) -> Kernel:
    """The kernel of the weight's gradient for few tiles; an item is a block of outputs."""
    points = (m + 2) ** 2
    transform_tiles, transform_grad = (transformer(code, matrix, watching=True) for matrix in (entry, spreading))
    finish = transformer(code, closing)
    tile_rows, panel = tile_shape(code, "many")
    tile = simd.strided_tile(code, tile_rows, panel // lanes(code))
    itemsize = 4 if code == "f4" else 8

    @kernel(f"{code}[:], {code}[:], {code}[:], {code}[:], i8[:], i8[:], {'i8, ' * 21}")
    def sum_tiles(
        grad, source, grad_weight, room, words, flags,
        height, width, goal_height, goal_width, tiles_h, tiles_w, padding, channels, outputs, tiles, output_block,
        panel_step, wanted_row, seen_plane, wanted_plane, sums_plane, seen_begin, wanted_begin, sums_begin,
        room_count, words_count, start, stop, worker,
    ):  # fmt: skip
        room = room[worker * room_count : (worker + 1) * room_count]
        words = words[worker * words_count : (worker + 1) * words_count]
        seen, wanted, sums = room[seen_begin:], room[wanted_begin:], room[sums_begin:]
        transform_tiles(  # each worker for itself: they set the same flags
            source, seen, room, words, flags, 0, TAPS, 0, (height, width, tiles_h, tiles_w, m, -padding, channels), (0, 0, 0),
            (0, seen_plane, panel), (panel, panel_step), channels, 0, tiles,
        )  # fmt: skip
        for item in range(start, stop):
            first = item * output_block
            rows = min(outputs, first + output_block) - first
            transform_grad(
                grad, wanted, room, words, flags, (1 + item) * tiles, PIXELS, 0,
                (goal_height, goal_width, tiles_h, tiles_w, m, 0, outputs), (first, 0, 0),
                (0, wanted_plane, wanted_row), (rows, 0), rows, 0, tiles,
            )  # fmt: skip
            for point in range(points):
                for j in range(0, channels, panel):
                    right = address_of(seen, point * seen_plane + j // panel * panel_step)
                    left = address_of(wanted, point * wanted_plane)
                    to = address_of(sums, point * sums_plane + j)
                    for i in range(0, rows, tile_rows):
                        tile(
                            left + i * itemsize, itemsize, wanted_row * itemsize, min(tile_rows, rows - i), right,
                            panel * itemsize, tiles, to + i * channels * itemsize, channels * itemsize,
                            min(panel, channels - j), STORE,
                        )  # fmt: skip
            finish(
                sums, grad_weight, room, words, flags, 0, OUTPUTS, 2, (1, 1, 1, 1, 1, 0, 1), (0, sums_plane, channels),
                (9 * channels * first, channels, 9 * channels), (channels, 0), channels, 0, rows,
            )  # fmt: skip

    return sum_tiles
