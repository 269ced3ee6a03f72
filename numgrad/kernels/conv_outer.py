"""Sums of outer products over pixels: the kernel behind the gradients of weights.

``grad_weight[k, r, s, c] = sum over the output's pixels of grad_out[pixel, k] * x[pixel seen through (r, s), c]``

Both rows of a pixel are contiguous in channels-last layout. The pixels that a tap sees inside the image are copied
together, a block of them at a time, so that the micro-kernel walks at fixed distances over memory in the first caches. The
sum is cut into fixed blocks of pixels, and large sums into parts that are added later.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from numgrad import dtypes
from numgrad.kernels.gemm_layout import Blocks, Matrices, Steps
from numgrad.kernels.gemm_rows import ITEM_COST, TARGET_ITEMS, lanes, tile_shape
from numgrad.kernels.grid import Grid, list_pixels
from numgrad.runtime import simd
from numgrad.runtime.kernel import Kernel, device, kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder
from numgrad.runtime.simd import ADD, STORE, STREAM, address_of

PIXEL_BLOCK = 128  # pixels whose rows are kept in the first caches while all tiles use them
ROW_BLOCK = 132  # rows of the result that share a copy of the right side
LEAST_PIXELS = 512  # of a part of the sum
STREAM_BYTES = 1 << 21  # a gradient from this size on is written past the caches


class OuterSteps(NamedTuple):
    """Elements from one row to the next of both sides, and from one part of the result to the next."""

    left: Steps
    right: Steps
    out_batch: int
    out_split: int
    out_row: int
    out_tap: int


class PixelSum(NamedTuple):
    """How the sum over pixels is cut."""

    splits: int
    split_pixels: int  # of a part that has a result of its own
    pixel_block: int  # whose rows are copied together
    tap_rows: int  # rows of the kernel that an item does
    mode: int  # of the first block of pixels; those after it are added


@functools.cache
def outer_kernel(code: str) -> Kernel:
    """The kernel for one dtype."""
    tile_rows, tile_columns = tile_shape(code, "many")
    tile = simd.strided_tile(code, tile_rows, tile_columns // lanes(code))
    copy = simd.copy_tile(code, tile_columns // lanes(code))
    itemsize = 4 if code == "f4" else 8

    @device
    def gather(array, begin, row, words, side, count, columns, width, room):
        """Copy ``columns`` elements, from ``begin`` on, of each listed row of ``array`` into rows of ``width``."""
        whole = columns // tile_columns * tile_columns
        for i in range(count):
            first = begin + words[2 * i + side] * row
            for j in range(0, whole, tile_columns):
                copy(address_of(array, first + j), address_of(room, i * width + j))
            if whole < columns:
                source, line = array[first + whole : first + columns], room[i * width + whole : i * width + columns]
                for j in range(line.shape[0]):
                    line[j] = source[j]

    @kernel(
        f"{code}[:], {code}[:], {code}[:], {code}[:], i8[:], Grid, OuterSteps, Blocks, PixelSum, i8, i8",
        Grid, OuterSteps, Blocks, PixelSum,
    )  # fmt: skip
    def sum_outer_products(
        left, right, out, room, words, grid, steps, blocks, sums, in_place, left_room, start, stop, worker
    ):  # fmt: skip
        rows, columns, row_block, _, row_blocks, _ = blocks
        splits, split_pixels, pixel_block, tap_rows, mode = sums
        taps_w, left_row, out_row = grid.taps_w, steps.left.row, steps.out_row
        pixels, room_count = grid.images * grid.out_h * grid.out_w, left_room + pixel_block * tile_columns
        room = room[worker * room_count : (worker + 1) * room_count]
        words = words[worker * 2 * pixel_block : (worker + 1) * 2 * pixel_block]
        left_copy, right_copy = room[:left_room], room[left_room:]
        if mode == STREAM and (address_of(out, 0) % 64 or out_row * itemsize % 64 or steps.out_tap * itemsize % 64):
            mode = STORE
        for item in range(start, stop):
            row_index = item % row_blocks
            rest = item // row_blocks
            first_r = rest % (grid.taps_h // tap_rows) * tap_rows
            rest //= grid.taps_h // tap_rows
            split = rest % splits
            batch = rest // splits
            first_row = row_index * row_block
            height = min(rows, first_row + row_block) - first_row
            left_begin, right_begin = batch * steps.left.batch + first_row, batch * steps.right.batch
            first_pixel = split * split_pixels
            last_pixel = min(pixels, first_pixel + split_pixels)
            for pixel in range(first_pixel, last_pixel, pixel_block):
                until = min(last_pixel, pixel + pixel_block)
                block_mode = mode if pixel == first_pixel else ADD
                for tap in range(first_r * taps_w, (first_r + tap_rows) * taps_w):
                    count = list_pixels(words, pixel, until, tap // taps_w, tap % taps_w, grid)
                    if in_place:  # all pixels are listed, and the gradient's rows follow each other
                        left_from, left_step = address_of(left, left_begin + pixel * left_row), left_row * itemsize
                    else:
                        gather(left, left_begin, left_row, words, 0, count, height, row_block, left_copy)
                        left_from, left_step = address_of(left_copy, 0), row_block * itemsize
                    for j in range(0, columns, tile_columns):
                        columns_left = min(tile_columns, columns - j)
                        gather(
                            right, right_begin + j, steps.right.row, words, 1, count, columns_left, tile_columns, right_copy
                        )  # fmt: skip
                        begin = batch * steps.out_batch + split * steps.out_split + tap * steps.out_tap
                        goal = address_of(out, begin + first_row * out_row + j)
                        for i in range(0, height, tile_rows):
                            tile(
                                left_from + i * itemsize, itemsize, left_step, min(tile_rows, height - i),
                                address_of(right_copy, 0), tile_columns * itemsize, count, goal + i * out_row * itemsize,
                                out_row * itemsize, columns_left, block_mode,
                            )  # fmt: skip

    return sum_outer_products


def plan_outer(
    b: PlanBuilder, grid: Grid, left: Matrices, right: Matrices, out: Operand,
    *, batch: int, rows: int, columns: int, out_row: int, out_tap: int,
) -> None:  # fmt: skip
    """``out[g, i, tap, j] = sum over pixels of left[pixel, i] * right[pixel, j]``, dense over g.

    ``left`` are the gradient's rows, ``right`` those of x; ``out[i, tap, j]`` is at element
    ``i * out_row + tap * out_tap + j``.
    """
    code = out.code
    dtype = dtypes.by_code(code)
    tile_rows, tile_columns = tile_shape(code, "many")
    pixels, taps = grid.rows, grid.taps
    size = rows * columns * taps
    row_blocks = -(-rows // (ROW_BLOCK // tile_rows * tile_rows))
    splits, split_pixels = 1, pixels
    multiplications = batch * size * pixels
    # Where pixels alone make work enough, all taps share the rows of a block of them.
    tap_rows = grid.taps_h if pixels >= TARGET_ITEMS * LEAST_PIXELS else 1
    taps_h = grid.taps_h // tap_rows
    items = batch * taps_h * row_blocks
    worth = min(TARGET_ITEMS, multiplications // ITEM_COST)
    if items < worth:
        if pixels >= 2 * LEAST_PIXELS:
            splits = min(-(-worth // items), pixels // LEAST_PIXELS)
            split_pixels = -(-pixels // splits)
            splits = -(-pixels // split_pixels)
        else:
            row_blocks = min(-(-rows // tile_rows), row_blocks * -(-worth // items))
    row_block = -(-rows // (row_blocks * tile_rows)) * tile_rows  # equal shares
    row_blocks = -(-rows // row_block)
    items = batch * splits * taps_h * row_blocks
    pixel_block = -(-split_pixels // -(-split_pixels // PIXEL_BLOCK))
    # Without a border every tap sees every pixel.
    reach_h = (grid.out_h - 1) * grid.scale_h + (grid.taps_h - 1) * grid.step_h + grid.shift_h
    reach_w = (grid.out_w - 1) * grid.scale_w + (grid.taps_w - 1) * grid.step_w + grid.shift_w
    in_place = min(grid.shift_h, grid.shift_w) >= 0 and reach_h < grid.source_h and reach_w < grid.source_w
    left_room = -(-pixel_block * row_block // 16) * 16
    room = b.scratch(dtype, left_room + pixel_block * tile_columns, per_worker=True)
    words = b.scratch(dtypes.int64, 2 * pixel_block, per_worker=True)
    goal = b.scratch(dtype, splits * batch * size) if splits > 1 else out
    streams = splits == 1 and batch * size * dtype.itemsize >= STREAM_BYTES and pixels <= pixel_block
    b.launch(
        outer_kernel(code), left.array, right.array, goal.flat, room.flat, words.flat, grid,
        OuterSteps(left.steps, right.steps, size, batch * size, out_row, out_tap),
        Blocks(rows, columns, row_block, columns, row_blocks, 1),
        PixelSum(splits, split_pixels, pixel_block, tap_rows, STREAM if streams else STORE), int(in_place), left_room,
        work=items, grain=ITEM_COST * items // multiplications + 1, cost=multiplications // 8 + 1,
    )  # fmt: skip
    if splits > 1:
        plan_add_parts(b, goal, out, splits, batch * size)


def plan_add_parts(b: PlanBuilder, parts: Operand, out: Operand, splits: int, total: int) -> None:
    """``out = sum of parts``, each of ``total`` elements, one after the other."""
    line = 1024
    b.launch(
        add_parts, parts.flat, out.flat, splits, total, line,
        work=-(-total // line), grain=GRAIN_COST // (splits * line) + 1, cost=splits * total,
    )  # fmt: skip


@kernel("T[:], T[:], i8, i8, i8")
def add_parts(parts, out, splits, total, line, start, stop):
    """``out = sum of parts``, in order; an item is ``line`` elements."""
    begin, end = start * line, min(total, stop * line)
    goal = out[begin:end]
    first = parts[begin:end]
    for i in range(goal.shape[0]):
        goal[i] = first[i]
    for split in range(1, splits):
        part = parts[split * total + begin : split * total + end]
        for i in range(goal.shape[0]):
            goal[i] += part[i]
