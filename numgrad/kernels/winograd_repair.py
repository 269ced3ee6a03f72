"""Tiles that Winograd's algorithm would spoil: how they are noticed, and how their part is computed as it is written.

A transform mixes the elements of a tile, so an output takes up rounding errors of all of them, and a NaN of any. That does
harm where a tile is *uneven*: where one of its pixels is so much larger than all that some output sees that this output
would lose digits to it. For each tile of a source, `watcher` compares the pixels' sums of squares over the channels: a tile is
uneven if that of some pixel is more than `MOST_UNEVEN` squared times the largest in some output's window, or is not finite,
or is beyond `HUGEST`. Training data are not: the largest ratio of norms is 2 for the inputs of ResNet18's layers, 4 for
their gradients, 5 behind max pooling. The decision is the tile's alone, so it depends on no other image and no thread.

Most tiles are let pass by a bound that takes one instruction for each vector: the sum over the whole tile is no smaller than
the largest pixel's, and each window has one of the four pixels in the middle. An uneven tile is flagged, and after all
else `repair_kernel` computes its outputs by the direct sum. In the sum over tiles that is a weight's gradient such tiles
count as zeros, and `repair_weight_kernel` adds what belongs there; a tile of the gradient is flagged by the ratio
of its pixels among themselves, those aside that are zero.
"""

from __future__ import annotations

import functools

from numgrad.kernels.gemm_rows import lanes, tile_shape
from numgrad.runtime import simd
from numgrad.runtime.kernel import Device, Kernel, device, kernel
from numgrad.runtime.plan import Operand, PlanBuilder
from numgrad.runtime.simd import ADD, address_of

MOST_UNEVEN = 32  # a tile's largest pixel, in norms, over the largest in the window of one of its outputs
HUGEST = {"f4": 2.0**100, "f8": 2.0**900}  # squares of what the transforms do not carry beyond the largest number
NORMS = 48  # elements of room for the sums of squares of a tile's pixels: 36, in whole lines of a cache
# What tiles are watched for: the windows of 3 x 3 pixels that outputs see, those that the taps of a weight's gradient see,
# which are as large as the tile's part of the output, or single pixels.
UNWATCHED, OUTPUTS, TAPS, PIXELS = 0, 1, 2, 3
PASS, FLAG, DROP = 0, 1, 2  # uneven tiles: not looked for, flagged, flagged and taken as zeros
SHARE_TILES = 64  # of an item of the repair
LINES = 4  # pixels whose squares are summed side by side


@functools.cache
def watcher(code: str, side: int, watched: int) -> Device:
    """``is_uneven(words, norms, image, top, left, vectors)`` for a tile of ``side`` x ``side`` pixels.

    ``words`` holds the pixels' addresses, those beyond the image leading to zeros. ``image`` says (height, width, first tile's
    origin, bytes from one pixel to the next), ``top`` and ``left`` where in it the tile's first pixel is.
    """
    many, one = simd.squares_tile(code, LINES), simd.squares_tile(code, 1)
    groups = side * side // LINES
    near, far = (2, max(2, side - 3)) if watched == OUTPUTS else (2, 2)
    most_uneven, hugest = float(MOST_UNEVEN**2), HUGEST[code]

    @device
    def least_inside(words, image, top, left, rows, columns, vectors):
        """No more than the largest norm in any window, since each has one of these pixels."""
        height, width = image[:2]
        if watched == TAPS and min(rows, columns) < 3:
            return -1.0
        # Where a tile reaches beyond the image, the last pixels inside are in the windows of those outside.
        up, down = min(near, height - 1 - top), min(far, height - 1 - top)
        before, behind = min(near, width - 1 - left), min(far, width - 1 - left)
        least = one(address_of(words, up * side + before), 0, 1, vectors)
        if far > near:
            least = min(least, one(address_of(words, up * side + behind), 0, 1, vectors))
            least = min(least, one(address_of(words, down * side + before), 0, 1, vectors))
            least = min(least, one(address_of(words, down * side + behind), 0, 1, vectors))
        return least

    @device
    def least_of_last(words, image, top, left, rows, columns, vectors):
        """The smallest norm of the last four pixels, neighbours of the tile among them where it has but one in a row."""
        _, width, _, pixel_bytes = image
        last = address_of(words, (rows - 1) * side + columns - 1)
        up = width * pixel_bytes if top + rows > 1 else 0
        before = pixel_bytes if left + columns > 1 else 0
        least = min(one(last, 0, 1, vectors), one(last, -before, 1, vectors))
        return min(least, min(one(last, -up, 1, vectors), one(last, -up - before, 1, vectors)))

    @device
    def sees_too_little(norms, most, image, top, left, rows, columns):
        """True if some window has nothing that is large enough."""
        height, width = image[:2]
        down, across, high, wide = (rows, columns, 3, 3) if watched == OUTPUTS else (3, 3, rows, columns)
        for y in range(down):
            for x in range(across):
                if top + y >= height or left + x >= width or top + y + high <= 0 or left + x + wide <= 0:
                    continue  # all of it is padding
                largest = norms[y * side + x]
                for i in range(high):
                    for j in range(wide):
                        largest = max(largest, norms[(y + i) * side + x + j])
                if most > most_uneven * largest:
                    return True
        return False

    @device
    def is_uneven(words, norms, image, top, left, vectors):
        height, width, origin, _ = image
        if watched == PIXELS:
            rows, columns = min(side, height - top), min(side, width - left)
            least = least_of_last(words, image, top, left, rows, columns, vectors)
        else:  # the outputs of the tile
            rows, columns = min(side - 2, height - origin - 2 - top), min(side - 2, width - origin - 2 - left)
            least = least_inside(words, image, top, left, rows, columns, vectors)
        total = many(address_of(words, 0), 0, groups, vectors)
        if total <= most_uneven * least and total <= hugest:
            return False
        most = norms[0] * 0
        smallest = least + most
        for i in range(side * side):
            norm = one(address_of(words, i), 0, 1, vectors)
            if not norm <= hugest:
                return True
            norms[i] = norm
            most = max(most, norm)
            if norm > 0 and (smallest == 0 or norm < smallest):
                smallest = norm
        if watched != PIXELS:
            return sees_too_little(norms, most, image, top, left, rows, columns)
        # A tap that looks beyond the border sees none of a pixel there.
        if least == 0 and (top == 0 or left == 0 or top + rows == height or left + columns == width):
            smallest = least
        return most > most_uneven * smallest

    return is_uneven


@functools.cache
def repair_kernel(code: str, m: int) -> Kernel:
    """The kernel that computes the outputs of flagged tiles by the direct sum; an item is a panel of outputs for some tiles."""
    width_of_panel = tile_shape(code, "many")[1]
    tile = simd.strided_tile(code, m, width_of_panel // lanes(code))
    itemsize = 4 if code == "f4" else 8

    @kernel(f"{code}[:], {code}[:], {code}[:], {code}[:], i8[:], {'i8, ' * 14}")
    def repair_tiles(
        source, weight, goal, room, flags, height, width, goal_height, goal_width, tiles_h, tiles_w, padding, channels,
        outputs, tiles, turned, share, panels, room_count, start, stop, worker,
    ):  # fmt: skip
        packed = room[worker * room_count : (worker + 1) * room_count]
        for item in range(start, stop):
            first, first_tile = item % panels * width_of_panel, item // panels * share
            columns = min(width_of_panel, outputs - first)
            is_packed = False
            for number in range(first_tile, min(tiles, first_tile + share)):
                if flags[number] == 0:
                    continue
                if not is_packed:  # as [tap, channel, output]
                    for tap in range(9):
                        for c in range(channels):
                            line = packed[(tap * channels + c) * width_of_panel :][:columns]
                            for i in range(columns):
                                if turned:
                                    line[i] = weight[(c * 9 + 8 - tap) * outputs + first + i]
                                else:
                                    line[i] = weight[((first + i) * 9 + tap) * channels + c]
                    is_packed = True
                image = number // (tiles_h * tiles_w)
                rest = number - image * tiles_h * tiles_w
                top, left = rest // tiles_w * m, rest % tiles_w * m
                right = min(goal_width, left + m)
                for y in range(top, min(goal_height, top + m)):
                    goal_line = (image * goal_height + y) * goal_width
                    for x in range(left, right):
                        line = goal[(goal_line + x) * outputs + first :][:columns]
                        for i in range(line.shape[0]):
                            line[i] = 0
                    for r in range(3):
                        seen_y = y + r - padding
                        if seen_y < 0 or seen_y >= height:
                            continue
                        for s in range(3):
                            x, end = max(left, padding - s), min(right, width + padding - s)
                            if x < end:
                                pixel = (image * height + seen_y) * width + x + s - padding
                                tile(
                                    address_of(source, pixel * channels), channels * itemsize, itemsize, end - x,
                                    address_of(packed, (r * 3 + s) * channels * width_of_panel), width_of_panel * itemsize,
                                    channels, address_of(goal, (goal_line + x) * outputs + first), outputs * itemsize,
                                    columns, ADD,
                                )  # fmt: skip

    return repair_tiles


@functools.cache
def repair_weight_kernel(code: str, m: int) -> Kernel:
    """The kernel that adds what flagged tiles contribute to a weight's gradient; an item is a few of the output channels."""
    rows, vector = tile_shape(code, "many")[0], lanes(code)
    tile = simd.strided_tile(code, rows, 1)
    itemsize = 4 if code == "f4" else 8

    @kernel(f"{code}[:], {code}[:], {code}[:], i8[:], {'i8, ' * 12}")
    def repair_sums(
        grad, source, grad_weight, flags, height, width, goal_height, goal_width, tiles_h, tiles_w, padding, channels,
        outputs, tiles, output_block, row_block, start, stop,
    ):  # fmt: skip
        """``flags``: those of the source's tiles, then those of the gradient's, of each block of outputs."""
        for item in range(start, stop):
            first = item * row_block
            own_flags = flags[(1 + first // output_block) * tiles :][:tiles]
            last = min(outputs, first + row_block)
            for number in range(tiles):
                if flags[number] == 0 and own_flags[number] == 0:
                    continue
                image = number // (tiles_h * tiles_w)
                rest = number - image * tiles_h * tiles_w
                top, left = rest // tiles_w * m, rest % tiles_w * m
                right = min(goal_width, left + m)
                for y in range(top, min(goal_height, top + m)):
                    for tap in range(9):
                        r, s = tap // 3, tap % 3
                        seen_y = y + r - padding
                        x, end = max(left, padding - s), min(right, width + padding - s)
                        if seen_y < 0 or seen_y >= height or x >= end:
                            continue
                        pixel = (image * height + seen_y) * width + x + s - padding
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
    b: PlanBuilder, m: int, source: Operand, weight: Operand, goal: Operand, flags: Operand, image: tuple[int, ...], channels: int,
    outputs: int, turned: bool,
) -> None:  # fmt: skip
    """Compute the flagged tiles' outputs again; see `winograd.plan_winograd`."""
    code, width = source.code, tile_shape(source.code, "many")[1]
    panels, tiles = -(-outputs // width), flags.extent
    room_count = 9 * channels * width
    room = b.scratch(source.spec.dtype, room_count, per_worker=True)
    b.launch(
        repair_kernel(code, m), source.flat, weight.flat, goal.flat, room.flat, flags.flat, *image, channels, outputs,
        tiles, int(turned), SHARE_TILES, panels, room_count, work=panels * -(-tiles // SHARE_TILES), grain=1,
        cost=panels * tiles,
    )  # fmt: skip


def plan_repair_weight(
    b: PlanBuilder, m: int, grad_out: Operand, x: Operand, grad_weight: Operand, flags: Operand, image: tuple[int, ...], channels: int,
    outputs: int, output_block: int,
) -> None:  # fmt: skip
    """Add what flagged tiles contribute; see `winograd.plan_winograd_weight`."""
    tiles_h, tiles_w = image[4:6]
    blocks = -(-outputs // output_block)
    tiles = flags.extent // (1 + blocks)
    rows = tile_shape(x.code, "many")[0]
    row_block = min(output_block, -(-outputs // (8 * rows)) * rows)
    if output_block % row_block:
        row_block = output_block
    b.launch(
        repair_weight_kernel(x.code, m), grad_out.flat, x.flat, grad_weight.flat, flags.flat, *image, channels, outputs,
        tiles, output_block, row_block, work=-(-outputs // row_block), grain=1, cost=tiles * -(-outputs // row_block),
    )  # fmt: skip
