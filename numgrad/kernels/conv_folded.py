"""Convolutions of few channels, such as the first of a network: a row of the kernel is one run of ``s * c`` elements.

The input is copied with its padding, so that all elements that a pixel sees lie at fixed distances from the first one. A
register tile gets the addresses of first elements and walks from there (`simd.window_tile`): for the output along the rows
of the kernel, for the weight's gradient along the lines of the output. It needs no table of taps and copies no pixel; both
took as long as the products.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from numgrad import dtypes
from numgrad.kernels.conv_geometry import Conv2dGeometry
from numgrad.kernels.conv_outer import plan_add_parts
from numgrad.kernels.gemm_layout import Blocks, Matrices, Right, block_of
from numgrad.kernels.gemm_pack import plan_bias, plan_pack, plan_turn
from numgrad.kernels.gemm_rows import ITEM_COST, TARGET_ITEMS, lanes, tile_shape
from numgrad.kernels.grid import Grid
from numgrad.runtime import simd
from numgrad.runtime.kernel import Kernel, kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder
from numgrad.runtime.simd import ADD, STORE, address_of

PIXEL_BLOCK = 128  # pixels whose lines stay in the first caches while all tiles use them
ROW_BLOCK = 160  # elements of a filter that share these lines
LEAST_PIXELS = 512  # of a part of the sum over pixels


@kernel("T[:], T[:], i8, i8, i8, i8, i8")
def pad_image(x, out, height, row, pad_h, pad_w, out_height, start, stop):
    """Copy images into larger ones with zeros around; an item is a line of the larger, ``row`` elements the smaller's.

    ``pad_w`` counts elements too.
    """
    wide = row + 2 * pad_w
    for item in range(start, stop):
        image = item // out_height
        y = item - image * out_height - pad_h
        line = out[item * wide : (item + 1) * wide]
        for i in range(line.shape[0]):
            line[i] = 0
        if 0 <= y < height:
            inner, source = line[pad_w : pad_w + row], x[(image * height + y) * row :][:row]
            for i in range(inner.shape[0]):
                inner[i] = source[i]


class Windows(NamedTuple):
    """The windows of padded images that an output's pixels see; steps count elements, but for ``line_step``."""

    high: int  # lines of an image
    wide: int  # elements of a line
    out_h: int
    out_w: int
    line_step: int  # lines from one line of the output to the next
    pixel_step: int
    taps: int  # rows of the kernel
    tap_step: int
    run: int  # elements of a row


class PixelBlocks(NamedTuple):
    """Blocks that the output's pixels are summed in: their size, how many there are, and how many are a split's."""

    height: int
    width: int
    blocks: int
    split_blocks: int


def tile_vectors(code: str, columns: int) -> int:
    """Vectors of a tile's columns: one, if it holds all of them."""
    vector = lanes(code)
    return 1 if columns <= vector else tile_shape(code, "many")[1] // vector


@functools.cache
def windows_kernel(code: str, vectors: int) -> Kernel:
    """The kernel of the output for one dtype and tile."""
    tile_rows, tile_columns = tile_shape(code, "many")[0], vectors * lanes(code)
    tile = simd.window_tile(code, tile_rows, vectors)
    itemsize = 4 if code == "f4" else 8

    @kernel(f"{code}[:], {code}[:], {code}[:], i8[:], Windows, Blocks, i8", Windows, Blocks)
    def multiply_windows(source, panels, out, words, windows, blocks, mode, start, stop, worker):
        """``out[m, j] = sum over taps t and their elements i of source[t * tap_step + i from m on] * weight[t, i, j]``.

        A tap is a row of the kernel here.
        """
        high, wide, out_h, out_w, line_step, pixel_step, taps, tap_step, run = windows
        words_count, columns = blocks.row_block, blocks.columns
        words = words[worker * words_count : (worker + 1) * words_count]
        for item in range(start, stop):
            first_row, last_row, first_column, last_column, _ = block_of(item, blocks)
            count = last_row - first_row
            image = first_row // (out_h * out_w)
            y, x = first_row // out_w - image * out_h, first_row % out_w
            for i in range((count + tile_rows - 1) // tile_rows * tile_rows):
                if i < count:
                    words[i] = address_of(source, (image * high + y * line_step) * wide + x * pixel_step)
                    x += 1
                    if x == out_w:
                        x, y = 0, y + 1
                        if y == out_h:
                            y, image = 0, image + 1
                else:
                    words[i] = words[count - 1]
            for j in range(first_column, last_column, tile_columns):
                panel = address_of(panels, j * taps * run)
                for i in range(0, count, tile_rows):
                    tile(
                        address_of(words, i), 0, itemsize, tap_step * itemsize, taps, min(tile_rows, count - i), panel,
                        tile_columns * itemsize, run, address_of(out, (first_row + i) * columns + j), columns * itemsize,
                        min(tile_columns, last_column - j), mode,
                    )  # fmt: skip

    return multiply_windows


@functools.cache
def sums_kernel(code: str, vectors: int) -> Kernel:
    """The kernel of the weight's gradient for one dtype and tile."""
    tile_rows, tile_columns = tile_shape(code, "many")[0], vectors * lanes(code)
    tile = simd.window_tile(code, tile_rows, vectors)
    itemsize = 4 if code == "f4" else 8

    @kernel(f"{f'{code}[:], ' * 4} i8[:], Windows, Blocks, PixelBlocks", Windows, Blocks, PixelBlocks)
    def sum_windows(source, grad, parts, room, words, windows, blocks, pixels, start, stop, worker):
        """``parts[split, i, j] = sum over the split's pixels of source[i from the pixel on] * grad[pixel, j]``."""
        high, wide, out_h, out_w, line_step, pixel_step, _, tap_step, run = windows
        rows, columns, row_block, _, row_blocks, _ = blocks
        block_h, block_w, block_count, split_blocks = pixels
        words, room_count = words[worker * row_block : (worker + 1) * row_block], block_h * block_w * tile_columns
        room = room[worker * room_count : (worker + 1) * room_count]
        across, down = (out_w + block_w - 1) // block_w, (out_h + block_h - 1) // block_h
        for item in range(start, stop):
            split, first_row = item // row_blocks, item % row_blocks * row_block
            height = min(rows, first_row + row_block) - first_row
            for i in range((height + tile_rows - 1) // tile_rows * tile_rows):
                row = first_row + min(i, height - 1)
                words[i] = address_of(source, row // run * tap_step + row % run)
            mode = STORE
            for block in range(split * split_blocks, min(block_count, (split + 1) * split_blocks)):
                image, x = block // (across * down), block % across * block_w
                y = block // across % down * block_h
                lines, steps = min(block_h, out_h - y), min(block_w, out_w - x)
                begin = ((image * high + y * line_step) * wide + x * pixel_step) * itemsize
                pixel = (image * out_h + y) * out_w + x
                for j in range(0, columns, tile_columns):
                    right, right_step = address_of(grad, pixel * columns + j), columns * itemsize
                    columns_left = min(tile_columns, columns - j)
                    if (pixel + lines * steps - 1) * columns + j + tile_columns > grad.shape[0]:
                        # The last pixel's last vector would reach beyond it.
                        for i in range(lines * steps):
                            grads = grad[(pixel + i) * columns + j :][:columns_left]
                            line = room[i * tile_columns :][:columns_left]
                            for k in range(line.shape[0]):
                                line[k] = grads[k]
                        right, right_step = address_of(room, 0), tile_columns * itemsize
                    for i in range(0, height, tile_rows):
                        tile(
                            address_of(words, i), begin, pixel_step * itemsize, line_step * wide * itemsize, lines,
                            min(tile_rows, height - i), right, right_step, steps,
                            address_of(parts, (split * rows + first_row + i) * columns + j), columns * itemsize, columns_left,
                            mode,
                        )  # fmt: skip
                mode = ADD

    return sum_windows


@kernel("T[:], T[:], T[:], Grid, i8, i8", Grid)
def repair_taps(grad, x, grad_weight, grid, channels, outputs, start, stop):
    """Recompute sums that 0 * NaN has spoiled: of taps that do not see the pixel, since it lies in their padding.

    An item is an output channel.
    """
    high, wide, taps = grid.source_h, grid.source_w, grid.taps_h * grid.taps_w
    size = taps * channels
    for k in range(start, stop):
        filters = grad_weight[k * size : (k + 1) * size]
        is_spoiled = False
        for i in range(size):
            if filters[i] - filters[i] != 0:
                is_spoiled = True
        for tap in range(taps if is_spoiled else 0):
            shift_h = tap // grid.taps_w * grid.step_h + grid.shift_h
            shift_w = tap % grid.taps_w * grid.step_w + grid.shift_w
            for c in range(channels):
                total, is_seen = 0.0, False
                for line in range(grid.images * grid.out_h):
                    image, y = line // grid.out_h, line % grid.out_h * grid.scale_h + shift_h
                    if is_seen or y < 0 or y >= high:
                        continue
                    for column in range(grid.out_w):
                        source_x = column * grid.scale_w + shift_w
                        if 0 <= source_x < wide:
                            g = grad[(line * grid.out_w + column) * outputs + k]
                            if g - g != 0:
                                is_seen = True
                                break
                            total += g * x[((image * high + y) * wide + source_x) * channels + c]
                if not is_seen:
                    filters[tap * channels + c] = total


def _windows(g: Conv2dGeometry, high: int, wide: int) -> Windows:
    return Windows(
        high, wide, g.out_h, g.out_w, g.stride[0], g.stride[1] * g.c, g.r, g.dilation[0] * wide, g.s * g.c
    )  # fmt: skip


def _plan_padded(b: PlanBuilder, x: Operand, g: Conv2dGeometry) -> tuple[Operand, int, int]:
    """The input with its padding, in scratch memory, and the lines of an image and elements of a line."""
    if g.padding == (0, 0):
        return x, g.h, g.w * g.c
    (pad_h, pad_w), row = g.padding, g.w * g.c
    high, wide = g.h + 2 * pad_h, row + 2 * pad_w * g.c
    padded = b.scratch(x.spec.dtype, g.n * high * wide)
    b.launch(
        pad_image, x.flat, padded.flat, g.h, row, pad_h, pad_w * g.c, high,
        work=g.n * high, grain=GRAIN_COST // wide + 1, cost=padded.extent,
    )  # fmt: skip
    return padded, high, wide


def plan_forward(
    b: PlanBuilder, x: Operand, weight: Operand, bias: Operand | None, out: Operand, geometry: Conv2dGeometry
) -> None:
    """The output."""
    g, code = geometry, x.code
    vectors = tile_vectors(code, g.k)
    tile_rows, tile_columns = tile_shape(code, "many")[0], vectors * lanes(code)
    rows, run = g.pixels, g.s * g.c
    padded, high, wide = _plan_padded(b, x, g)
    panels = plan_pack(
        b, Right(weight, 0, run, 1, g.filter_size), batch=1, taps=g.r, channels=run, columns=g.k, width=tile_columns
    )
    if bias is not None:
        plan_bias(b, bias.array(g.k), Matrices(out, 0, g.k), rows=rows, columns=g.k)
    row_block = min(PIXEL_BLOCK // tile_rows, -(-rows // tile_rows)) * tile_rows
    multiplications = rows * g.k * g.filter_size
    worth = max(1, min(TARGET_ITEMS, multiplications // ITEM_COST))
    if -(-rows // row_block) < worth:
        row_block = -(-rows // (worth * tile_rows)) * tile_rows
    row_blocks, column_block = -(-rows // row_block), -(-g.k // tile_columns) * tile_columns
    if row_blocks < worth:
        column_block = max(1, column_block // (-(-worth // row_blocks) * tile_columns)) * tile_columns
    column_blocks = -(-g.k // column_block)
    items = row_blocks * column_blocks
    words = b.scratch(dtypes.int64, row_block, per_worker=True)
    b.launch(
        windows_kernel(code, vectors), padded.flat, panels.flat, out.array(rows * g.k), words.flat,
        _windows(g, high, wide), Blocks(rows, g.k, row_block, column_block, row_blocks, column_blocks),
        STORE if bias is None else ADD,
        work=items, grain=ITEM_COST * items // multiplications + 1, cost=multiplications // 8 + 1,
    )  # fmt: skip


def plan_weight(b: PlanBuilder, grad_out: Operand, x: Operand, grad_weight: Operand, geometry: Conv2dGeometry) -> None:
    """The weight's gradient: first as [r, s, c, k], so that vectors are full, in parts that are added and transposed."""
    g, code, dtype = geometry, x.code, x.spec.dtype
    vectors = tile_vectors(code, g.k)
    tile_rows, tile_columns = tile_shape(code, "many")[0], vectors * lanes(code)
    rows, size = g.filter_size, g.filter_size * g.k
    padded, high, wide = _plan_padded(b, x, g)
    block_w = -(-g.out_w // -(-g.out_w // PIXEL_BLOCK))
    block_h = 1
    if block_w == g.out_w:  # whole lines follow each other
        block_h = -(-g.out_h // -(-g.out_h // max(1, PIXEL_BLOCK // block_w)))
    blocks = g.n * -(-g.out_h // block_h) * -(-g.out_w // block_w)
    multiplications = size * g.pixels
    worth = max(1, min(TARGET_ITEMS, multiplications // ITEM_COST))
    row_blocks = -(-rows // ROW_BLOCK)
    splits = max(1, min(-(-worth // row_blocks), g.pixels // LEAST_PIXELS, blocks))
    row_blocks = min(-(-rows // tile_rows), max(row_blocks, -(-worth // splits)))
    row_block = -(-rows // (row_blocks * tile_rows)) * tile_rows
    row_blocks = -(-rows // row_block)
    split_blocks = -(-blocks // splits)
    splits = -(-blocks // split_blocks)
    words = b.scratch(dtypes.int64, row_block, per_worker=True)
    room = b.scratch(dtype, block_h * block_w * tile_columns, per_worker=True)
    parts, items = b.scratch(dtype, splits * size), splits * row_blocks
    b.launch(
        sums_kernel(code, vectors), padded.flat, grad_out.array(g.pixels * g.k), parts.flat, room.flat, words.flat,
        _windows(g, high, wide), Blocks(rows, g.k, row_block, g.k, row_blocks, 1),
        PixelBlocks(block_h, block_w, blocks, split_blocks),
        work=items, grain=ITEM_COST * items // multiplications + 1, cost=multiplications // 8 + 1,
    )  # fmt: skip
    total = parts
    if splits > 1:
        total = b.scratch(dtype, size)
        plan_add_parts(b, parts, total, splits, size)
    plan_turn(b, total, grad_weight, rows=rows, columns=g.k)
    if g.padding != (0, 0):
        b.launch(
            repair_taps, grad_out.array(g.pixels * g.k), x.array(g.n * g.h * g.w * g.c), grad_weight.array(size),
            g.forward_grid, g.c, g.k, work=g.k, grain=GRAIN_COST // rows + 1, cost=size,
        )  # fmt: skip
