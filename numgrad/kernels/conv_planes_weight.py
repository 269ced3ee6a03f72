"""The gradient of the weight of a convolution of small groups, from planes as in `conv_planes`.

``grad_weight[k, r, s, c]`` is the product of two planes of a band, the gradient's and the input's moved by a tap, and vectors run
over pixels. Between the rows the gradient is 0, where the input's plane may hold another row's pixel: that spoils the
result if it is not finite. `repair_taps_of_groups` sums such results pixel by pixel.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from numgrad import dtypes
from numgrad.kernels.conv_geometry import Conv2dGeometry
from numgrad.kernels.conv_outer import plan_add_parts
from numgrad.kernels.conv_planes import ROOM_BYTES, Planes, bands_of, plane_filler, planes_of, together, whole
from numgrad.kernels.gemm_rows import ITEM_COST, TARGET_ITEMS, lanes
from numgrad.kernels.grid import Grid
from numgrad.runtime import simd, target
from numgrad.runtime.kernel import Kernel, kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder
from numgrad.runtime.simd import ADD, STORE, address_of

TILE_ROWS = 4  # output channels of a register tile
TAP_WORDS = 1 + TILE_ROWS
LONG = 1 << 10  # elements of a plane that make the sum over a tile's lanes, at its end, a small part of it


class Sums(NamedTuple):
    """How groups and the sum over bands are shared out; an item is a part of the bands, for a set of groups."""

    groups: int  # of a set
    sets: int
    channels: int  # of the input, in a group
    columns: int  # of the output, in a group
    bands: int  # of an image
    split_bands: int  # of all images, in a part that has a result of its own
    left: int  # elements of the gradient's planes
    right: int  # of the input's
    together: int  # bands whose planes are held at a time: a tile's sums stay in registers over all of them
    out_split: int  # elements from one part's result to the next


@functools.cache
def sums_kernel(code: str) -> Kernel:
    """The kernel for one dtype."""
    width, itemsize = lanes(code), 4 if code == "f4" else 8
    tile_columns = 4 if target.host_target().registers >= 32 else 2
    tile = simd.dot_tile(code, TILE_ROWS, tile_columns)
    fill_planes = plane_filler(code)

    @kernel(f"{code}[:], {code}[:], {code}[:], {code}[:], i8[:], Grid, Planes, Planes, Sums", Grid, Planes, Sums)
    def sum_planes(grad, source, parts, room, words, grid, of_grad, of_source, sums, start, stop, worker):
        channels, columns = sums.groups * sums.channels, sums.groups * sums.columns
        taps = grid.taps_h * grid.taps_w
        filter_size = taps * sums.channels
        lefts, rights = sums.together * sums.left, sums.together * sums.right
        size = lefts + rights + width * width + filter_size + tile_columns
        room = room[worker * size : (worker + 1) * size]
        left, right = room[:lefts], room[lefts : lefts + rights]
        square, spare = room[lefts + rights :][: width * width], room[lefts + rights + width * width :]
        count = TILE_ROWS + sums.together * TAP_WORDS
        words = words[worker * count : (worker + 1) * count]
        goals, table = address_of(words, 0), address_of(words, TILE_ROWS)
        for held in range(sums.together):
            for i in range(TILE_ROWS):
                words[TILE_ROWS + held * TAP_WORDS + 1 + i] = address_of(left, held * sums.left + i * of_grad.channel)
        vectors = (of_grad.lines * of_grad.pitch + width - 1) // width
        for item in range(start, stop):
            set_index, split = item % sums.sets, item // sums.sets
            first, last = split * sums.split_bands, min(grid.images * sums.bands, (split + 1) * sums.split_bands)
            for number in range(first, last, sums.together):
                mode, bands = STORE if number == first else ADD, min(sums.together, last - number)
                for held in range(bands):
                    image, top = (number + held) // sums.bands, (number + held) % sums.bands * of_grad.lines
                    row = sums.sets * columns
                    fill_planes(
                        grad, image * grid.out_h * grid.out_w * row + set_index * columns, row, grid.out_h, grid.out_w, top,
                        columns, of_grad, left[held * sums.left :][: sums.left], square,
                    )  # fmt: skip
                    row = sums.sets * channels
                    fill_planes(
                        source, image * grid.source_h * grid.source_w * row + set_index * channels, row, grid.source_h,
                        grid.source_w, top * grid.scale_h, channels, of_source, right[held * sums.right :][: sums.right],
                        square,
                    )  # fmt: skip
                for group in range(sums.groups):
                    for k in range(0, sums.columns, TILE_ROWS):
                        filter_index = (set_index * sums.groups + group) * sums.columns + k
                        for i in range(TILE_ROWS):
                            if k + i < sums.columns:
                                words[i] = address_of(parts, split * sums.out_split + (filter_index + i) * filter_size)
                            else:
                                words[i] = address_of(spare, 0)
                        shift = (group * sums.columns + k) * of_grad.channel * itemsize
                        for tap in range(taps):
                            y = tap // grid.taps_w * grid.step_h + grid.shift_h - of_source.first_y
                            x = tap % grid.taps_w * grid.step_w + grid.shift_w - of_source.first_x
                            remainder = y % grid.scale_h * grid.scale_w + x % grid.scale_w
                            offset = y // grid.scale_h * of_source.pitch + x // grid.scale_w
                            for held in range(bands):
                                words[TILE_ROWS + held * TAP_WORDS] = (
                                    held * sums.right + remainder * of_source.phase + offset
                                ) * itemsize
                            for c in range(0, sums.channels, tile_columns):
                                begin = address_of(right, (group * sums.channels + c) * of_source.channel)
                                tile(
                                    table, bands, vectors, 0, shift, begin, of_source.channel * itemsize, begin, goals,
                                    (tap * sums.channels + c) * itemsize, min(tile_columns, sums.channels - c), mode,
                                )  # fmt: skip

    return sum_planes


@kernel("T[:], T[:], T[:], Grid, i8, i8, i8", Grid)
def repair_taps_of_groups(grad, source, out, grid, groups, channels, columns, start, stop):
    """Sum anew, pixel by pixel, the taps of a group of which a result is not finite; an item is a tap of a group.

    ``channels`` and ``columns`` are those of the input and the output in a group.
    """
    taps = grid.taps_h * grid.taps_w
    for item in range(start, stop):
        group, tap = item // taps, item % taps
        first = group * columns * taps * channels + tap * channels
        is_spoiled = False
        for k in range(columns):
            line = out[first + k * taps * channels :][:channels]
            for c in range(line.shape[0]):
                is_spoiled = is_spoiled or line[c] - line[c] != 0
        if not is_spoiled:
            continue
        for k in range(columns):
            line = out[first + k * taps * channels :][:channels]
            for c in range(line.shape[0]):
                line[c] = 0
        for row in range(grid.images * grid.out_h):
            image, y = row // grid.out_h, row % grid.out_h
            source_y = y * grid.scale_h + tap // grid.taps_w * grid.step_h + grid.shift_h
            if source_y < 0 or source_y >= grid.source_h:
                continue
            for x in range(grid.out_w):
                source_x = x * grid.scale_w + tap % grid.taps_w * grid.step_w + grid.shift_w
                if source_x < 0 or source_x >= grid.source_w:
                    continue
                pixel = (image * grid.source_h + source_y) * grid.source_w + source_x
                values = source[(pixel * groups + group) * channels :][:channels]
                factors = ((row * grid.out_w + x) * groups + group) * columns
                for k in range(columns):
                    factor = grad[factors + k]
                    line = out[first + k * taps * channels :][:channels]
                    for c in range(line.shape[0]):
                        line[c] += factor * values[c]


def plan_planes_weight(
    b: PlanBuilder, grad_out: Operand, x: Operand, grad_weight: Operand, geometry: Conv2dGeometry
) -> None:
    """``grad_weight`` for a geometry that `conv_planes.fits`."""
    g, grid, code = geometry, geometry.forward_grid, grad_weight.code
    dtype, vector, size, taps = (
        grad_weight.spec.dtype,
        lanes(code),
        geometry.k * geometry.filter_size,
        geometry.r * geometry.s,
    )
    groups = together(g, code)
    sets = g.groups // groups
    one = planes_of(grid, 1, vector)
    wide_in, wide_out = (
        whole(groups * g.group_c, code),
        max(whole(groups * g.group_k, code), groups * g.group_k + TILE_ROWS),
    )
    band = bands_of(
        g.out_h, g.n * sets, (wide_in * one.phases_h * one.phases_w + wide_out) * one.pitch * dtype.itemsize
    )
    of_source = planes_of(grid, band, vector)
    length = band * of_source.pitch
    of_grad = Planes(band, of_source.pitch, length, (length + 2 * vector) // 32 * 32 + 48, 0, 0, 1, 1)
    bands = -(-g.out_h // band)
    splits = min(g.n * bands, -(-TARGET_ITEMS // sets))
    split_bands = -(-g.n * bands // splits)
    splits = -(-g.n * bands // split_bands)
    left, right = wide_out * of_grad.channel, wide_in * of_source.channel + 2 * vector
    multiplications = g.pixels * taps * g.group_c * g.k + 1
    goal = b.scratch(dtype, splits * size) if splits > 1 else grad_weight
    tile_columns = 4 if target.host_target().registers >= 32 else 2
    held = max(1, min(split_bands, LONG // length, 2 * ROOM_BYTES // ((left + right) * dtype.itemsize)))
    held = -(-split_bands // -(-split_bands // held))  # equal shares
    room = held * (left + right) + vector * vector + g.filter_size + tile_columns
    memory = b.scratch(dtype, room, per_worker=True)
    words = b.scratch(dtypes.int64, TILE_ROWS + held * TAP_WORDS, per_worker=True)
    b.launch(
        sums_kernel(code), grad_out.array(g.pixels * g.k), x.array(g.n * g.h * g.w * g.c), goal.flat, memory.flat,
        words.flat, grid,
        of_grad, of_source, Sums(groups, sets, g.group_c, g.group_k, bands, split_bands, left, right, held, size),
        work=sets * splits, grain=ITEM_COST * sets * splits // multiplications + 1, cost=multiplications // 8 + 1,
    )  # fmt: skip
    if splits > 1:
        plan_add_parts(b, goal, grad_weight, splits, size)
    b.launch(
        repair_taps_of_groups, grad_out.array(g.pixels * g.k), x.array(g.n * g.h * g.w * g.c), grad_weight.array(size), grid,
        g.groups, g.group_c, g.group_k, work=g.groups * taps, grain=GRAIN_COST // (g.group_c * g.group_k) + 1, cost=size,
    )  # fmt: skip
