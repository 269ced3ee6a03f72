"""Tiles that Winograd's algorithm would spoil: how they are found, and computed by the direct sum.

A transform mixes the elements of a tile, so an output takes rounding errors from all of them, and NaN from any. That does harm
in an *uneven* tile: one with a pixel so much larger than all pixels of some output's window that this output would lose
digits. Pixels are compared by their norms over the channels. A tile is uneven if one norm is more than `MOST_UNEVEN` times
the largest in the window of some output, or not finite, or `HUGEST`. Training data are not uneven: the largest ratio is 2 for
the inputs of ResNet18's layers, 4 for their gradients, 5 behind max pooling. The decision depends on the tile alone, not on
another image or a thread.

While `simd_transforms.transform_tile` transforms a tile, it sums the squares, at no cost beside its loads and stores. The sum is
no smaller than any pixel's square, and each window has one of the four pixels that `list_few` finds. So a tile that passes
`simd_norms.even_tile` is even. Any other tile is flagged. At the end `repair_kernel` checks flagged tiles exactly, and computes
the outputs of uneven ones by the direct sum. A weight's gradient is a sum over tiles, and flagged tiles count as zeros in it:
tiles of the input if some tap sees too little, tiles of the output's gradient if their pixels are uneven among themselves
(`MOST_UNEVEN_GRAD`). `repair_weight_kernel` adds their contributions.
"""

from __future__ import annotations

import functools

from numgrad.kernels.gemm_rows import lanes, tile_shape
from numgrad.kernels.winograd_layout import OUTPUTS, PIXELS, TAPS, Images, tile_position
from numgrad.runtime import simd, simd_norms
from numgrad.runtime.kernel import Device, Kernel, device, kernel
from numgrad.runtime.plan import Operand, PlanBuilder
from numgrad.runtime.simd import ADD, address_of

MOST_UNEVEN, MOST_UNEVEN_GRAD = 32, 1024
HUGEST = {"f4": 2.0**50, "f8": 2.0**450}  # norms; beyond them transforms may leave the range of numbers
MOST_M = 4  # outputs of a tile's side; one kernel serves all, since a repair is rare and compiling is not
SHARE = 16  # tiles of an item of the repair


@functools.cache
def watcher(code: str) -> tuple[Device, Device]:
    """``list_few(words, few, side, subject, tiling, top, left)`` and ``passes(sums, subject)``.

    The first writes the addresses of `FEW` pixels of a tile of ``side`` x ``side`` pixels, and returns whether each window has
    one of them. ``words`` holds the addresses of all pixels; those beyond the image lead to zeros. ``top`` and ``left`` are the
    position of the tile's first pixel in the image.
    """
    surely_even, is_even = simd_norms.even_tile(code, True), simd_norms.even_tile(code, False)
    itemsize = 4 if code == "f4" else 8
    hugest, most, most_of_grad = HUGEST[code] ** 2, float(MOST_UNEVEN**2), float(MOST_UNEVEN_GRAD**2)

    @device
    def list_few(words, few, side, subject, tiling, top, left):
        height, width, origin = tiling.height, tiling.width, tiling.origin
        margin = 0 if subject == PIXELS else 2
        rows = min(side - margin, height - origin - margin - top)  # of pixels, or of outputs
        columns = min(side - margin, width - origin - margin - left)
        if subject == PIXELS:
            # The last ones: those of a square, which reaches out of the tile where it has but one in a row.
            last = words[(rows - 1) * side + columns - 1]
            pixel_bytes = tiling.pixel_step * itemsize
            up = width * pixel_bytes if top + rows > 1 else 0
            before = pixel_bytes if left + columns > 1 else 0
            few[0], few[1], few[2], few[3] = last, last - before, last - up, last - up - before
            return True
        # Each window has one of these. Where the tile reaches beyond the image, the last pixels inside are in the windows
        # that begin inside and have those outside.
        last_row, last_column = height - 1 - top, width - 1 - left
        if subject == OUTPUTS:
            up, down, before, behind = 2, max(2, side - 3), 2, max(2, side - 3)
        else:
            up, down, before, behind = min(2, rows - 1), 2, min(2, columns - 1), 2
        up, down = min(up, last_row) * side, min(down, last_row) * side
        before, behind = min(before, last_column), min(behind, last_column)
        few[0], few[1] = words[up + before], words[up + behind]
        few[2], few[3] = words[down + before], words[down + behind]
        if subject != TAPS or min(rows, columns) > 1:
            return True
        # There are three rows of windows, or columns.
        if rows == 1:
            few[3] = words[min(1, last_row) * side + before]
        else:
            few[3] = words[up + min(1, last_column)]
        return max(rows, columns) > 2

    @device
    def passes(sums, subject):
        real = sums.dtype.type
        limit = real(most_of_grad if subject == PIXELS else most)
        address = address_of(sums, 0)
        return surely_even(address, limit, real(hugest)) or is_even(address, limit, real(hugest))

    return list_few, passes


@functools.cache
def repair_kernel(code: str) -> Kernel:
    """The kernel that computes the outputs of uneven tiles of ``m`` by the direct sum; an item is `SHARE` tiles."""
    vector, itemsize = lanes(code), 4 if code == "f4" else 8
    tile, norm_of = simd.strided_tile(code, MOST_M, 1), simd_norms.norm_tile(code)
    hugest, most_uneven = HUGEST[code] ** 2, float(MOST_UNEVEN**2)

    @device
    def is_uneven(source, norms, image, top, left, images, m):
        """Whether one of the tile's outputs sees too little."""
        side = m + 2
        height, width, padding, channels = images.height, images.width, images.padding, images.channels
        most = norms.dtype.type(0)
        for i in range(side * side):
            y, x = top + i // side, left + i % side
            norms[i] = 0
            if 0 <= y < height and 0 <= x < width:
                pixel = (image * height + y) * width + x
                norms[i] = norm_of(address_of(source, pixel * channels), channels // vector)
                if not norms[i] <= hugest:
                    return True
                most = max(most, norms[i])
        for y in range(min(m, height + padding - 2 - top)):
            for x in range(min(m, width + padding - 2 - left)):
                largest = norms[y * side + x]
                for i in range(9):
                    largest = max(largest, norms[(y + i // 3) * side + x + i % 3])
                if most > most_uneven * largest:
                    return True
        return False

    @kernel(f"{code}[:], {code}[:], {code}[:], {code}[:], i8[:], Images, i8, i8, i8", Images)
    def repair_tiles(source, weight, goal, room, flags, images, m, turned, room_count, start, stop, worker):
        height, width, goal_height, goal_width, padding, channels, outputs, tiles_h, tiles_w, tiles = images
        room = room[worker * room_count : (worker + 1) * room_count]
        for item in range(start, stop):
            first_tile, last_tile = item * SHARE, min(tiles, (item + 1) * SHARE)
            flagged = 0
            for number in range(first_tile, last_tile):
                if flags[number]:
                    image, top, left = tile_position(number, tiles_h, tiles_w, m)
                    uneven = is_uneven(source, room, image, top - padding, left - padding, images, m)
                    flags[number] = uneven
                    flagged += uneven
            for first in range(0, outputs if flagged else 0, vector):
                for i in range(9 * channels * vector):  # the filters as [tap, channel, output]
                    tap, c, k = i // vector // channels, i // vector % channels, first + i % vector
                    room[i] = weight[(c * 9 + 8 - tap) * outputs + k if turned else (k * 9 + tap) * channels + c]
                for number in range(first_tile, last_tile):
                    if not flags[number]:
                        continue
                    image, top, left = tile_position(number, tiles_h, tiles_w, m)
                    right = min(goal_width, left + m)
                    for y in range(top, min(goal_height, top + m)):
                        goal_line = (image * goal_height + y) * goal_width
                        for x in range(left, right):
                            for i in range(vector):
                                goal[(goal_line + x) * outputs + first + i] = 0
                        for tap in range(9):
                            source_y, shift = y + tap // 3 - padding, tap % 3 - padding
                            x, end = max(left, -shift), min(right, width - shift)
                            if 0 <= source_y < height and x < end:
                                pixel = (image * height + source_y) * width + x + shift
                                tile(
                                    address_of(source, pixel * channels), channels * itemsize, itemsize, end - x,
                                    address_of(room, tap * channels * vector), vector * itemsize, channels,
                                    address_of(goal, (goal_line + x) * outputs + first), outputs * itemsize, vector, ADD,
                                )  # fmt: skip

    return repair_tiles


@functools.cache
def repair_weight_kernel(code: str) -> Kernel:
    """The kernel that adds what flagged tiles contribute to a weight's gradient; an item is a few of the output channels."""
    rows, vector = tile_shape(code, "many")[0], lanes(code)
    tile = simd.strided_tile(code, rows, 1)
    itemsize = 4 if code == "f4" else 8

    @kernel(f"{code}[:], {code}[:], {code}[:], i8[:], Images, i8, i8, i8", Images)
    def repair_sums(grad, source, grad_weight, flags, images, m, output_block, row_block, start, stop):
        """``flags``: those of the source's tiles, then those of the gradient's, of each block of outputs."""
        height, width, goal_height, goal_width, padding, channels, outputs, tiles_h, tiles_w, tiles = images
        for item in range(start, stop):
            first = item * row_block
            own_flags = flags[(1 + first // output_block) * tiles :][:tiles]
            last = min(outputs, first + row_block)
            for number in range(tiles):
                if flags[number] == 0 and own_flags[number] == 0:
                    continue
                image, top, left = tile_position(number, tiles_h, tiles_w, m)
                right = min(goal_width, left + m)
                for y in range(top, min(goal_height, top + m)):
                    for tap in range(9):
                        source_y, shift = y + tap // 3 - padding, tap % 3 - padding
                        x, end = max(left, -shift), min(right, width - shift)
                        if source_y < 0 or source_y >= height or x >= end:
                            continue
                        pixel = (image * height + source_y) * width + x + shift
                        goal_pixel = (image * goal_height + y) * goal_width + x
                        for k in range(first, last, rows):
                            for c in range(0, channels, vector):
                                tile(
                                    address_of(grad, goal_pixel * outputs + k), itemsize, outputs * itemsize,
                                    min(rows, last - k), address_of(source, pixel * channels + c), channels * itemsize,
                                    end - x, address_of(grad_weight, (k * 9 + tap) * channels + c), 9 * channels * itemsize,
                                    vector, ADD,
                                )  # fmt: skip

    return repair_sums


def plan_repair(
    b: PlanBuilder, m: int, images: Images, source: Operand, weight: Operand, goal: Operand, flags: Operand, turned: bool
) -> None:  # fmt: skip
    """Compute the flagged tiles' outputs again; see `winograd.plan_winograd`."""
    code, tiles = source.code, images.tiles
    room_count = max(9 * images.channels * lanes(code), (m + 2) ** 2)
    room = b.scratch(source.spec.dtype, room_count, per_worker=True)
    b.launch(
        repair_kernel(code), source.flat, weight.flat, goal.flat, room.flat, flags.flat, images, m,
        int(turned), room_count, work=-(-tiles // SHARE), grain=1, cost=tiles,
    )  # fmt: skip


def plan_repair_weight(
    b: PlanBuilder, m: int, images: Images, grad_out: Operand, x: Operand, grad_weight: Operand, flags: Operand,
    output_block: int,
) -> None:  # fmt: skip
    """Add what flagged tiles contribute; see `winograd.plan_winograd_weight`."""
    tiles, outputs = images.tiles, images.outputs
    rows = tile_shape(x.code, "many")[0]
    row_block = min(output_block, -(-outputs // (8 * rows)) * rows)
    if output_block % row_block:
        row_block = output_block
    b.launch(
        repair_weight_kernel(x.code), grad_out.flat, x.flat, grad_weight.flat, flags.flat, images, m,
        output_block, row_block, work=-(-outputs // row_block), grain=1, cost=tiles * -(-outputs // row_block),
    )  # fmt: skip
