"""Sums of outer products over pixels: the kernel behind the gradients of weights.

``grad_weight[k, r, s, c] = sum over the output's pixels of grad_out[pixel, k] * x[pixel seen through (r, s), c]``

Both rows of a pixel are contiguous in channels-last layout, so the micro-kernel walks over a list of pixels, those that
a tap sees inside the image. The sum is cut into fixed blocks of pixels, and large ones into parts that are added later.
"""

from __future__ import annotations

import functools

from numgrad import dtypes
from numgrad.kernels.gemm_pack import from_offset
from numgrad.kernels.gemm_rows import ITEM_COST, WANTED_ITEMS, Grid, Rows, lanes, tile_shape
from numgrad.runtime import simd
from numgrad.runtime.kernel import Kernel, device, kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder
from numgrad.runtime.simd import ADD, STORE, STREAM, address_of

PIXEL_BLOCK = 64  # pixels whose rows are kept in the first caches while all tiles use them
ROW_BLOCK = 64
STREAM_BYTES = 1 << 21  # a gradient from this size on is written past the caches
FAR_BYTES = 1 << 10  # rows so far apart fall on the same places of a cache, and are copied together


@device
def list_pixels(words, first, last, r, s, grid, x_base, x_bytes, y_base, y_bytes):
    """Write (address in grad_out, address in x) of the pixels that tap (r, s) sees; how many there are."""
    _, out_h, out_w, source_h, source_w, _, _, scale_h, scale_w, step_h, step_w, shift_h, shift_w, _, _ = grid
    image = first // (out_h * out_w)
    y = first // out_w - image * out_h
    x = first % out_w
    kept = 0
    for pixel in range(first, last):
        source_y = y * scale_h + r * step_h + shift_h
        source_x = x * scale_w + s * step_w + shift_w
        if 0 <= source_y < source_h and 0 <= source_x < source_w:
            words[2 * kept] = y_base + pixel * y_bytes
            words[2 * kept + 1] = x_base + ((image * source_h + source_y) * source_w + source_x) * x_bytes
            kept += 1
        x += 1
        if x == out_w:
            x, y = 0, y + 1
            if y == out_h:
                y, image = 0, image + 1
    return kept


@device
def gather(array, base, itemsize, words, place, kept, first, wanted, width, room):
    """Copy ``wanted`` elements of each listed row, from ``first`` on, into rows of ``width``, and list these."""
    for i in range(kept):
        begin = (words[2 * i + place] - base) // itemsize + first
        source, line = array[begin : begin + wanted], room[i * width : (i + 1) * width]
        for j in range(source.shape[0]):
            line[j] = source[j]
        for j in range(source.shape[0], line.shape[0]):
            line[j] = 0


@functools.cache
def outer_kernel(code: str) -> Kernel:
    """The kernel for one dtype."""
    tile_rows, tile_columns = tile_shape(code, "many")
    tile = simd.outer_tile(code, tile_rows, tile_columns // lanes(code))
    itemsize = 4 if code == "f4" else 8
    floats, scalars = f"{code}[:], " * 4, "i8, " * 38

    @kernel(f"{floats} i8[:], {scalars}")
    def sum_outer_products(
        left, right, out, room, words,
        images, out_h, out_w, source_h, source_w, taps_h, taps_w,
        scale_h, scale_w, step_h, step_w, shift_h, shift_w, divide_h, divide_w,
        swapped, left_batch, left_row, right_batch, right_row, out_batch, out_split, out_row, out_tap,
        rows, columns, split_pixels, pixel_block, row_block, row_blocks, splits, gather_left, gather_right, mode,
        spare_count, room_count, left_room, words_count, start, stop, worker,
    ):  # fmt: skip
        grid = (
            images, out_h, out_w, source_h, source_w, taps_h, taps_w,
            scale_h, scale_w, step_h, step_w, shift_h, shift_w, divide_h, divide_w,
        )  # fmt: skip
        pixels = images * out_h * out_w
        room = room[worker * room_count : (worker + 1) * room_count]
        words = words[worker * words_count : (worker + 1) * words_count]
        left_copy, right_copy = room[spare_count : spare_count + left_room], room[spare_count + left_room :]
        for i in range(spare_count):
            room[i] = 0
        goals, pairs = words[: row_block + tile_rows], words[row_block + tile_rows :]
        listed = pairs[2 * pixel_block :]
        if mode == STREAM and (address_of(out, 0) % 64 or out_row * itemsize % 64 or out_tap * itemsize % 64):
            mode = STORE
        for item in range(start, stop):
            row_index = item % row_blocks
            rest = item // row_blocks
            r = rest % taps_h
            rest //= taps_h
            split = rest % splits
            batch = rest // splits
            first_row = row_index * row_block
            last_row = min(rows, first_row + row_block)
            left_base, right_base = address_of(left, batch * left_batch), address_of(right, batch * right_batch)
            begin = batch * out_batch + split * out_split
            for i in range(row_block + tile_rows):
                if first_row + i < last_row:
                    goals[i] = address_of(out, begin + (first_row + i) * out_row)
                else:
                    goals[i] = address_of(room, 0)
            first_pixel = split * split_pixels
            last_pixel = min(pixels, first_pixel + split_pixels)
            for pixel in range(first_pixel, last_pixel, pixel_block):
                until = min(last_pixel, pixel + pixel_block)
                how = mode if pixel == first_pixel else ADD
                for s in range(taps_w):
                    if swapped:
                        kept = list_pixels(
                            pairs,
                            pixel,
                            until,
                            r,
                            s,
                            grid,
                            left_base,
                            left_row * itemsize,
                            right_base,
                            right_row * itemsize,
                        )
                        for i in range(kept):
                            pairs[2 * i], pairs[2 * i + 1] = pairs[2 * i + 1], pairs[2 * i]
                    else:
                        kept = list_pixels(
                            pairs,
                            pixel,
                            until,
                            r,
                            s,
                            grid,
                            right_base,
                            right_row * itemsize,
                            left_base,
                            left_row * itemsize,
                        )
                    for i in range(2 * kept):
                        listed[i] = pairs[i]
                    left_shift = first_row * itemsize
                    if gather_left:
                        wide = row_block + tile_rows
                        gather(
                            left,
                            address_of(left, 0),
                            itemsize,
                            pairs,
                            0,
                            kept,
                            first_row,
                            last_row - first_row,
                            wide,
                            left_copy,
                        )
                        for i in range(kept):
                            listed[2 * i] = address_of(left_copy, i * wide)
                        left_shift = 0
                    for j in range(0, columns, tile_columns):
                        wanted = min(tile_columns, columns - j)
                        right_shift = j * itemsize
                        if gather_right:
                            gather(
                                right,
                                address_of(right, 0),
                                itemsize,
                                pairs,
                                1,
                                kept,
                                j,
                                wanted,
                                tile_columns,
                                right_copy,
                            )
                            for i in range(kept):
                                listed[2 * i + 1] = address_of(right_copy, i * tile_columns)
                            right_shift = 0
                        out_shift = ((r * taps_w + s) * out_tap + j) * itemsize
                        for i in range(0, last_row - first_row, tile_rows):
                            tile(
                                address_of(listed, 0), kept, left_shift + i * itemsize, right_shift,
                                address_of(goals, i), out_shift, wanted, how,
                            )  # fmt: skip

    return sum_outer_products


def plan_outer(
    b: PlanBuilder, grid: Grid, left: Rows, right: Rows, out: Operand,
    *, swapped: bool, batch: int, rows: int, columns: int, out_row: int, out_tap: int,
) -> None:  # fmt: skip
    """``out[g, i, tap, j] = sum over pixels of left[pixel, i] * right[pixel, j]``, dense over g.

    The row of x is ``right``'s, or ``left``'s where they are ``swapped``; ``out[i, tap, j]`` is at element
    ``i * out_row + tap * out_tap + j``.
    """
    code = out.code
    dtype = dtypes.by_code(code)
    tile_rows, tile_columns = tile_shape(code, "many")
    pixels, taps = grid.rows, grid.taps
    size = rows * columns * taps
    row_block = min(ROW_BLOCK // tile_rows, -(-rows // tile_rows)) * tile_rows
    splits, split_pixels = 1, pixels
    multiplications = batch * size * pixels
    items = batch * grid.taps_h * -(-rows // row_block)
    worth = min(WANTED_ITEMS, multiplications // ITEM_COST)
    if items < worth:
        if pixels >= 1024:
            splits = min(-(-worth // items), pixels // 512)
            split_pixels = -(-pixels // splits)
            splits = -(-pixels // split_pixels)
        else:
            row_block = max(tile_rows, row_block // -(-worth // items) // tile_rows * tile_rows)
    row_blocks = -(-rows // row_block)
    items = batch * splits * grid.taps_h * row_blocks
    pixel_block = min(PIXEL_BLOCK, split_pixels)
    far = row_block > 2 * tile_rows and pixels > tile_rows
    gather_left = (rows % tile_rows != 0 and not swapped) or (far and left.row * dtype.itemsize >= FAR_BYTES)
    gather_right = columns % tile_columns != 0 or (far and right.row * dtype.itemsize >= FAR_BYTES)
    spare_count = -(-(taps * max(out_tap, columns) + tile_columns) // 16) * 16
    left_room = -(-pixel_block * (row_block + tile_rows) // 16) * 16
    room_count = spare_count + left_room + pixel_block * tile_columns
    room = b.scratch(dtype, room_count, per_worker=True)
    words_count = row_block + tile_rows + 4 * pixel_block
    words = b.scratch(dtypes.int64, words_count, per_worker=True)
    goal = b.scratch(dtype, splits * batch * size) if splits > 1 else out
    streams = splits == 1 and batch * size * dtype.itemsize >= STREAM_BYTES and pixels <= pixel_block
    b.launch(
        outer_kernel(code), from_offset(left.operand, left.offset), from_offset(right.operand, right.offset), goal.flat,
        room.flat, words.flat, *grid, int(swapped), left.batch, left.row, right.batch, right.row, size, batch * size,
        out_row, out_tap, rows, columns, split_pixels, pixel_block, row_block, row_blocks, splits,
        int(gather_left), int(gather_right), STREAM if streams else STORE, spare_count, room_count, left_room,
        words_count, work=items, grain=ITEM_COST * items // multiplications + 1, cost=multiplications // 8 + 1,
    )  # fmt: skip
    if splits > 1:
        total = batch * size
        line = 1024
        b.launch(
            add_parts, goal.flat, out.flat, splits, total, line,
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
