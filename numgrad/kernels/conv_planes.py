"""Convolutions of small groups, such as ResNeXt's: vectors run over pixels, and no product is spent on zeros.

A group of few channels fills a part of a vector of channels. So a worker copies the channels of some groups, a band of an
image's rows at a time, into planes with a border of zeros: a channel's pixels lie side by side, each row behind the one before.
From there a tap is a distance, the same for all pixels of the band, and a register tile has rows of output channels and
vectors of pixels, across the ends of rows; what it computes between them is not read. With strides the source's rows and
columns are sorted by their remainders (phases), and so a gradient's, whose pixels of one phase see the same taps.

The border is as wide as a kernel reaches, so no pixel reads another's neighbours, and what is not finite spoils what sees it.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from numgrad import dtypes
from numgrad.kernels.conv_geometry import Conv2dGeometry
from numgrad.kernels.gemm_layout import Matrices, TapSteps
from numgrad.kernels.gemm_rows import ITEM_COST, TARGET_ITEMS, lanes, tile_shape
from numgrad.kernels.grid import Grid
from numgrad.runtime import simd, target
from numgrad.runtime.kernel import Device, Kernel, device, kernel
from numgrad.runtime.plan import Operand, PlanBuilder
from numgrad.runtime.simd import ADD, STORE, address_of

ROOM_BYTES = 3 << 16  # of a worker's planes: they stay in the second cache
LEAST_ROWS = 4  # of a band: each copies the rows around it, too
LONGEST_STEP, LONGEST_SPREAD = 4, 16
# Vectors of a register tile by its rows, for a CPU with 32 registers and one with 16.
VECTORS = {32: {8: 3, 4: 6, 2: 8, 1: 8}, 16: {4: 3, 2: 5, 1: 8}}
REST_VECTORS = 2  # of the tile at the end of a band


class Planes(NamedTuple):
    """Where the pixels of a band lie in planes; distances count elements."""

    lines: int  # rows of a phase
    pitch: int  # from one of them to the next
    phase: int  # from one phase to the next
    channel: int  # from one channel to the next
    first_y: int  # the source's row and column of the first element, for the first row of an image
    first_x: int
    phases_h: int
    phases_w: int


class Sets(NamedTuple):
    """How groups and rows are shared out; an item is a band of rows of an image, for a set of groups."""

    groups: int  # of a set
    sets: int
    channels: int  # of the source, in a group
    columns: int  # of the result, in a group
    band: int  # rows of the result, of one phase
    bands: int
    room: int  # elements of the source's planes
    goal: int  # from one plane of the result to the next


def fits(geometry: Conv2dGeometry, code: str, most: int = 1) -> bool:
    """Whether to use planes: in several groups, each narrower than a register tile of channels, or ``most`` tiles for outputs.

    Planes would hold what long steps leave unseen, and what lies between taps that are far apart.
    """
    g, width = geometry, tile_shape(code, "many")[1]
    is_narrow = 0 < g.group_c < width and 0 < g.group_k < most * width
    is_near = max(g.stride) <= LONGEST_STEP and max(g.dilation) <= LONGEST_SPREAD
    return is_narrow and is_near and g.groups > 1 and not g.is_depthwise and g.pixels > 0


def fills_a_vector(groups: int, columns: int, channels: int, code: str) -> bool:
    """Whether a group's columns are one vector, for sums so long that products of rows are faster than planes."""
    return groups > 1 and columns == lanes(code) and 2 * channels >= columns


def together(geometry: Conv2dGeometry, code: str) -> int:
    """Groups of a set: as few as have a vector of channels on both sides, or all."""
    g, vector = geometry, lanes(code)
    for count in range(1, g.groups):
        if g.groups % count == 0 and count * min(g.group_c, g.group_k) >= vector:
            return count
    return g.groups


def offsets(grid: Grid) -> tuple[tuple[int, int], tuple[int, int]]:
    """(least, most) rows and columns of the source from a position's own, over all phases and taps; (0, 0) if none is seen."""
    reach = []
    for taps, step, shift, divide in (
        (grid.taps_h, grid.step_h, grid.shift_h, grid.divide_h),
        (grid.taps_w, grid.step_w, grid.shift_w, grid.divide_w),
    ):
        # The first and the last tap may see nothing in a phase: some rows of zeros more.
        ends = (shift, (taps - 1) * step + shift + divide - 1, shift + divide - 1, (taps - 1) * step + shift)
        reach.append((min(ends) // divide, max(ends) // divide))
    return reach[0], reach[1]


def planes_of(grid: Grid, band: int, ends: int) -> Planes:
    """The planes for ``band`` rows of a phase, with room for ``ends`` elements behind the last."""
    (least_y, most_y), (least_x, most_x) = offsets(grid)
    wide = -(-grid.out_w // grid.divide_w)
    lines = band + (most_y - least_y) // grid.scale_h
    full = wide + (most_x - least_x) // grid.scale_w
    # The zeros before a row are those behind the row before.
    lead = max(0, -least_x // grid.scale_w)
    pitch = max(full - lead, min(full, (grid.source_w - 1 - least_x) // grid.scale_w + 1), wide)
    phase = lines * pitch + full + ends  # a vector may reach beyond the last row
    channel = (phase * grid.scale_h * grid.scale_w + ends) // 32 * 32 + 48  # an odd number of lines of a cache
    return Planes(lines, pitch, phase, channel, least_y, least_x, grid.scale_h, grid.scale_w)


@functools.cache
def plane_filler(code: str) -> Device:
    """The function that copies channels of a band into planes, for one dtype."""
    width, itemsize = lanes(code), 4 if code == "f4" else 8
    transpose, copy = simd.transpose_tile(code), simd.copy_tile(code, 1)

    @device
    def fill_planes(source, begin, row, high, wide, top, channels, planes, goal, square):
        """``channels`` of an image, whose first element is ``begin``, from its row ``top`` on; pixels are ``row`` apart.

        Planes beyond the channels, up to whole vectors, hold anything. ``square`` is memory for one.
        """
        for i in range(goal.shape[0]):
            goal[i] = 0
        step = planes.phases_w * row
        for line in range(planes.lines * planes.phases_h):
            y = top + planes.first_y + line
            if y < 0 or y >= high:
                continue
            line_goal = line % planes.phases_h * planes.phases_w * planes.phase + line // planes.phases_h * planes.pitch
            for phase in range(planes.phases_w):
                left = planes.first_x + phase
                skip = max(0, (planes.phases_w - 1 - left) // planes.phases_w)
                count = min(planes.pitch, (wide - left + planes.phases_w - 1) // planes.phases_w) - skip
                first = begin + (y * wide + left + skip * planes.phases_w) * row
                goal_first = line_goal + phase * planes.phase + skip
                for c in range(0, channels, width):
                    for x in range(0, count, width):
                        start = x if x + width <= count else max(0, count - width)
                        some = min(width, count - start)
                        base, to = first + start * step + c, goal_first + c * planes.channel + start
                        if base + (some - 1) * step + width > source.shape[0]:
                            for i in range(min(width, channels - c)):
                                for j in range(some):
                                    goal[to + i * planes.channel + j] = source[base + j * step + i]
                            continue
                        if some == width:
                            square_from, square_step = address_of(source, base), step * itemsize
                        else:  # zeros behind the row, where zeros are or the next row will be
                            square_from, square_step = address_of(square, 0), width * itemsize
                            for j in range(some):
                                copy(address_of(source, base + j * step), address_of(square, j * width))
                            for i in range(some * width, width * width):
                                square[i] = 0
                        transpose(square_from, square_step, address_of(goal, to), planes.channel * itemsize)

    return fill_planes


@functools.cache
def plane_reader(code: str) -> Device:
    """The inverse of `plane_filler` for a row of pixels."""
    width, itemsize = lanes(code), 4 if code == "f4" else 8
    transpose, copy = simd.transpose_tile(code), simd.copy_tile(code, 1)

    @device
    def read_planes(planes, first, plane, count, channels, out, begin, step, square):
        """``out[begin + i * step + c] = planes[first + c * plane + i]`` for ``count`` pixels."""
        for c in range(0, channels, width):
            few = min(width, channels - c)
            for x in range(0, count, width):
                start = x if x + width <= count else max(0, count - width)
                some = min(width, count - start)
                source, goal = address_of(planes, first + c * plane + start), begin + start * step + c
                if few == width and some == width:
                    transpose(source, plane * itemsize, address_of(out, goal), step * itemsize)
                    continue
                transpose(source, plane * itemsize, address_of(square, 0), width * itemsize)
                for j in range(some):
                    if few == width:
                        copy(address_of(square, j * width), address_of(out, goal + j * step))
                    else:
                        line, values = out[goal + j * step :][:few], square[j * width :][:few]
                        for i in range(line.shape[0]):
                            line[i] = values[i]

    return read_planes


@functools.cache
def planes_kernel(code: str, tile_rows: int, vectors: int) -> Kernel:
    """The kernel for one dtype and a shape of the register tile."""
    width, itemsize = lanes(code), 4 if code == "f4" else 8
    most, least = vectors * width, REST_VECTORS * width
    tile, rest_tile = (simd.broadcast_tile(code, tile_rows, count) for count in (vectors, REST_VECTORS))
    fill_planes, read_planes = plane_filler(code), plane_reader(code)
    tap_words = 1 + tile_rows
    floats = f"{code}[:], " * 5

    @kernel(f"{floats} i8[:], Grid, Planes, Sets, TapSteps, i8, i8", Grid, Planes, Sets, TapSteps)
    def filter_planes(
        source, weight, bias, out, room, words, grid, planes, sets, steps, source_row, out_row, start, stop, worker
    ):  # fmt: skip
        """The weight's ``steps`` go from one group, tap, channel (side by side) and column to the next."""
        channels, columns, plane = sets.groups * sets.channels, sets.groups * sets.columns, sets.goal
        size = sets.room + (columns + width - 1) // width * width * plane + width * width
        room = room[worker * size : (worker + 1) * size]
        held, results, square = room[: sets.room], room[sets.room : size - width * width], room[size - width * width :]
        count = tile_rows + grid.taps_h * grid.taps_w * tap_words
        words = words[worker * count : (worker + 1) * count]
        goals, table = address_of(words, 0), address_of(words, tile_rows)
        for i in range(tile_rows):
            words[i] = address_of(results, i * plane)
        high = (grid.out_h + grid.divide_h - 1) // grid.divide_h
        for item in range(start, stop):
            set_index = item % sets.sets
            image, first = item // (sets.sets * sets.bands), item // sets.sets % sets.bands * sets.band
            rows = min(high, first + sets.band) - first
            fill_planes(
                source, image * grid.source_h * grid.source_w * source_row + set_index * channels, source_row, grid.source_h,
                grid.source_w, first * grid.scale_h, channels, planes, held, square,
            )  # fmt: skip
            until = (rows * planes.pitch + least - 1) // least * least
            for phase in range(grid.divide_h * grid.divide_w):
                phase_y, phase_x = phase // grid.divide_w, phase % grid.divide_w
                seen = 0
                for tap in range(grid.taps_h * grid.taps_w):
                    y = phase_y + tap // grid.taps_w * grid.step_h + grid.shift_h
                    x = phase_x + tap % grid.taps_w * grid.step_w + grid.shift_w
                    if y % grid.divide_h == 0 and x % grid.divide_w == 0:
                        y, x = y // grid.divide_h - planes.first_y, x // grid.divide_w - planes.first_x
                        remainder = y % planes.phases_h * planes.phases_w + x % planes.phases_w
                        shift = y // planes.phases_h * planes.pitch + x // planes.phases_w
                        words[tile_rows + seen * tap_words] = (remainder * planes.phase + shift) * itemsize
                        for i in range(tile_rows):
                            words[tile_rows + seen * tap_words + 1 + i] = address_of(
                                weight, tap * steps.tap + i * steps.column
                            )
                        seen += 1
                mode = STORE
                if bias.shape[0] > 0:
                    mode = ADD
                    for c in range(columns):
                        line = results[c * plane :][:until]
                        value = bias[set_index * columns + c]
                        for i in range(line.shape[0]):
                            line[i] = value
                for group in range(sets.groups):
                    factors = (set_index * sets.groups + group) * steps.batch
                    j = 0
                    while j < until:
                        right = address_of(held, group * sets.channels * planes.channel + j)
                        is_whole = j + most <= until
                        for k in range(0, sets.columns, tile_rows):
                            shift = (factors + k * steps.column) * itemsize
                            to = ((group * sets.columns + k) * plane + j) * itemsize
                            if is_whole:
                                tile(
                                    table, seen, sets.channels, shift, right, planes.channel * itemsize, right,
                                    goals, to, most, mode,
                                )  # fmt: skip
                            else:
                                rest_tile(
                                    table, seen, sets.channels, shift, right, planes.channel * itemsize, right,
                                    goals, to, least, mode,
                                )  # fmt: skip
                        j += most if is_whole else least
                for line in range(rows):
                    y = (first + line) * grid.divide_h + phase_y
                    if y < grid.out_h and phase_x < grid.out_w:
                        read_planes(
                            results, line * planes.pitch, plane, (grid.out_w - phase_x + grid.divide_w - 1) // grid.divide_w,
                            columns, out, ((image * grid.out_h + y) * grid.out_w + phase_x) * out_row + set_index * columns,
                            grid.divide_w * out_row, square,
                        )  # fmt: skip

    return filter_planes


def whole(channels: int, code: str) -> int:
    """Channels rounded up to whole vectors."""
    vector = lanes(code)
    return -(-channels // vector) * vector


def bands_of(high: int, others: int, row_bytes: int) -> int:
    """Rows of a band: as many as fit into a cache with ``row_bytes`` each, and make work enough for threads with ``others``."""
    band = max(LEAST_ROWS, ROOM_BYTES // max(row_bytes, 1))
    bands = max(-(-high // band), min(-(-TARGET_ITEMS // max(others, 1)), -(-high // (2 * LEAST_ROWS))))
    return -(-high // bands)


def plan_planes(
    b: PlanBuilder, grid: Grid, source: Matrices, weight: Operand, steps: TapSteps, bias: Operand | None, out: Matrices,
    geometry: Conv2dGeometry, *, channels: int, columns: int,
) -> None:  # fmt: skip
    """``out[pixel, g, j] = bias + sum over taps and channels of source * weight``; each side has so many in a group.

    Channels lie side by side in all operands; ``steps`` are those of `planes_kernel`.
    """
    code, dtype = out.operand.code, dtypes.by_code(out.operand.code)
    tiles = VECTORS[32 if target.host_target().registers >= 32 else 16]
    tile_rows = max(rows for rows in tiles if columns % rows == 0)
    groups = together(geometry, code)
    sets = geometry.groups // groups
    high = -(-grid.out_h // grid.divide_h)
    ends = REST_VECTORS * lanes(code)
    one = planes_of(grid, 1, ends)
    wide_in, wide_out = whole(groups * channels, code), whole(groups * columns, code)
    row_bytes = (wide_in * one.phases_h * one.phases_w + wide_out) * one.pitch * dtype.itemsize
    band = bands_of(high, grid.images * sets, row_bytes)
    planes = planes_of(grid, band, ends)
    goal = (band * planes.pitch + 2 * ends) // 32 * 32 + 48
    room = wide_in * planes.channel + 2 * ends
    items = grid.images * sets * -(-high // band)
    multiplications = (
        grid.rows * grid.taps * channels * columns * geometry.groups // (grid.divide_h * grid.divide_w) + 1
    )
    nothing = b.scratch(dtype, 0).array(0)
    held = b.scratch(dtype, room + wide_out * goal + lanes(code) ** 2, per_worker=True)
    words = b.scratch(dtypes.int64, tile_rows + grid.taps * (1 + tile_rows), per_worker=True)
    b.launch(
        planes_kernel(code, tile_rows, tiles[tile_rows]), source.operand.flat, weight.flat,
        bias.array(columns * geometry.groups) if bias else nothing, out.operand.flat, held.flat, words.flat, grid, planes,
        Sets(groups, sets, channels, columns, band, -(-high // band), room, goal), steps, source.row, out.row,
        work=items, grain=ITEM_COST * items // multiplications + 1, cost=multiplications // 8 + 1,
    )  # fmt: skip
