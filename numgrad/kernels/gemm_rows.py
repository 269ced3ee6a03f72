"""The kernels behind matrix products and convolutions: products of rows, which taps of a grid select.

They compute, for every row ``m`` (a position of the output), batch ``g`` and column ``j``::

    out[g, m, j] = sum over taps t and channels c of  a[g, source(m, t), c] * b[g, t, c, j]

A matrix product has one tap and ``source(m) = m``. In a convolution rows are pixels, and ``source`` is the pixel that a
tap of the kernel sees. So nothing like im2col is ever stored: the micro-kernel gets addresses of rows. A tap beyond the
image reads a row of zeros, and is left out if all rows of a tile would read it.

`Grid` defines ``source``; `plan_rows` chooses blocks and launches.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from numgrad import dtypes
from numgrad.kernels.gemm_layout import Blocks, Matrices, Right, Steps, block_of
from numgrad.kernels.gemm_pack import plan_add_splits, plan_bias
from numgrad.kernels.grid import Grid, next_position, position_of
from numgrad.runtime import simd, target
from numgrad.runtime.kernel import Kernel, device, kernel
from numgrad.runtime.plan import Operand, PlanBuilder
from numgrad.runtime.simd import ADD, DOT_LINES, STORE, address_of

ROW_BLOCK = 64  # rows whose table is made at once
ITEM_COST = 1 << 18  # multiplications in a chunk: about 5 us
READ_COST = 8  # multiplications in the time of reading an element of b from memory
TARGET_ITEMS = 16  # items that large enough work is cut into
STREAM_CHANNELS = 8
SPLIT_CHANNELS = 32  # the fewest channels in a part of a split sum
CHANNEL_BYTES = 1 << 17  # of b's panel that is used before the next rows, unless it is split


class RightSteps(NamedTuple):
    """Elements of the right operand from one batch, tap, channel and panel to the next, and between the tile's steps."""

    batch: int
    tap: int
    channel: int
    panel: int
    step: int


class RowSteps(NamedTuple):
    """Elements from one batch, row and so on to the next, in the operands and in the result."""

    a: Steps
    b: RightSteps
    bias_batch: int
    out: Steps
    out_split: int


class ChannelSum(NamedTuple):
    """How the sum over channels is cut."""

    channels: int
    split_channels: int  # of a part that has a result of its own
    block_channels: int  # of b's panel that is in use at a time
    splits: int
    shared: int  # batches that an item does one after the other, by the same table
    mode: int  # of the first block of channels; those after it are added
    ahead: int  # elements of b from those in use to those fetched meanwhile


class RowRoom(NamedTuple):
    """The memory of a worker."""

    zeros: int  # elements of ``spare`` that are a row of zeros; the others take results that nobody reads
    spare: int  # elements
    words: int  # of tables


@device
def write_row(words, index, stride, image, y, x, grid, base, row_bytes, zero_row):
    """Write the addresses of one row's sources, ``stride`` words apart, a tap each; True if one of them is ``zero_row``."""
    has_gaps = False
    for r in range(grid.taps_h):
        source_y = y * grid.scale_h + r * grid.step_h + grid.shift_h
        inside_h = source_y >= 0
        if grid.divide_h > 1:
            inside_h = inside_h and source_y % grid.divide_h == 0
            source_y = source_y // grid.divide_h
        inside_h = inside_h and source_y < grid.source_h
        line = base + (image * grid.source_h + source_y) * grid.source_w * row_bytes
        scaled_x = x * grid.scale_w + grid.shift_w
        for _ in range(grid.taps_w):
            source_x, inside = scaled_x, inside_h and scaled_x >= 0
            if grid.divide_w > 1:
                inside = inside and scaled_x % grid.divide_w == 0
                source_x = scaled_x // grid.divide_w
            inside = inside and source_x < grid.source_w
            if inside:
                words[index] = line + source_x * row_bytes
            else:
                words[index] = zero_row
                has_gaps = True
            index += stride
            scaled_x += grid.step_w
    return has_gaps


@functools.cache
def tile_shape(code: str, form: str) -> tuple[int, int]:
    """(rows, columns) of the register tile; form is "many", "few" (rows) or "narrow" (one vector of columns), or "dot"."""
    if form == "narrow":
        return (16 if target.host_target().registers >= 32 else 12), lanes(code)
    rows, columns = getattr(target.host_target().tiles, form)
    return rows, columns if form == "dot" else columns * lanes(code)


def lanes(code: str) -> int:
    """Elements of a vector."""
    return target.host_target().lanes(4 if code == "f4" else 8)


@functools.cache
def rows_kernel(code: str, form: str) -> Kernel:
    """The kernel for one dtype and one form of micro-kernel (see `tile_shape`)."""
    tile_rows, tile_columns = tile_shape(code, form)
    if form == "dot":
        dots, step = simd.dot_tile(code, tile_rows, tile_columns), lanes(code)

        @device
        def tile(table, segments, count, a_shift, b, b_step, ahead, out_rows, out_shift, used_rows, mode):
            whole = count // step
            dots(
                table, segments, whole, count - whole * step, a_shift, b, b_step, ahead, out_rows, out_shift, used_rows, mode
            )  # fmt: skip

    else:
        tile, step = simd.broadcast_tile(code, tile_rows, tile_columns // lanes(code)), 1
    itemsize = 4 if code == "f4" else 8
    tap_words, is_dot = 1 + tile_rows, form == "dot"
    floats = f"{code}[:], " * 5

    @kernel(
        f"{floats} i8[:], Grid, RowSteps, Blocks, ChannelSum, RowRoom",
        Grid, RowSteps, Blocks, ChannelSum, RowRoom,
    )  # fmt: skip
    def multiply_rows(a, b, bias, out, spare, words, grid, steps, blocks, sums, room, start, stop, worker):
        taps, row_bytes, out_steps = grid.taps_h * grid.taps_w, steps.a.row * itemsize, steps.out
        channels, split_channels, block_channels, splits, shared, mode, ahead = sums
        spare = spare[worker * room.spare : (worker + 1) * room.spare]  # see `RowRoom`
        for i in range(spare.shape[0]):
            spare[i] = 0
        words = words[worker * room.words : (worker + 1) * room.words]
        zero_row = address_of(spare, 0)
        unread_row = address_of(spare, room.zeros)
        table = address_of(words, 0)
        tile_words = 1 + tile_rows + taps * tap_words
        for item in range(start, stop):
            first_row, last_row, first_column, last_column, rest = block_of(item, blocks)
            split = rest % splits
            batch = rest // splits * shared  # the first of those that share the table
            first_channel = split * split_channels
            last_channel = min(channels, first_channel + split_channels)
            base = address_of(a, batch * steps.a.batch)
            count = (last_row - first_row + tile_rows - 1) // tile_rows
            out_base = batch * out_steps.batch + split * steps.out_split
            image, y, x = position_of(first_row, grid)
            for t in range(count):
                tile_begin = t * tile_words
                taps_begin = tile_begin + 1 + tile_rows
                has_gaps = False
                for i in range(tile_rows):
                    m = first_row + t * tile_rows + i
                    if m < last_row:
                        if m > first_row:
                            image, y, x = next_position(m, y, x, image, grid)
                        begin = out_base + ((image * grid.out_h + y) * grid.out_w + x) * out_steps.row
                        words[tile_begin + 1 + i] = address_of(out, begin)
                        if bias.shape[0] > 0:
                            for g in range(shared):
                                line = out[begin + g * out_steps.batch + first_column :][: last_column - first_column]
                                for j in range(line.shape[0]):
                                    line[j] = bias[(batch + g) * steps.bias_batch + first_column + j]
                        if write_row(
                            words, taps_begin + 1 + i, tap_words, image, y, x, grid, base, row_bytes, zero_row
                        ):
                            has_gaps = True
                    else:
                        words[tile_begin + 1 + i] = unread_row - first_column * itemsize
                        for tap in range(taps):
                            words[taps_begin + tap * tap_words + 1 + i] = zero_row
                seen_taps = 0
                for tap in range(taps):
                    source, goal = taps_begin + tap * tap_words, taps_begin + seen_taps * tap_words
                    is_seen = not has_gaps
                    for i in range(1, tap_words if has_gaps else 1):
                        is_seen = is_seen or words[source + i] != zero_row
                    if is_seen:
                        words[goal] = tap * steps.b.tap * itemsize
                        if goal != source:
                            for i in range(1, tap_words):
                                words[goal + i] = words[source + i]
                        seen_taps += 1
                words[tile_begin] = seen_taps
            for g in range(shared):
                for channel in range(first_channel, last_channel, block_channels):
                    step_count = min(block_channels, last_channel - channel)
                    block_mode = mode if channel == first_channel else ADD
                    for j in range(first_column, last_column, tile_columns):
                        panel = j // tile_columns
                        right = address_of(
                            b, (batch + g) * steps.b.batch + channel * steps.b.channel + panel * steps.b.panel
                        )
                        columns_left = min(tile_columns, last_column - j)
                        next_address = ahead * itemsize
                        if not is_dot:
                            # The memory behind the part of b in use, up to this panel's share of it.
                            share = taps * min(block_channels, last_channel - channel) * tile_columns * itemsize
                            next_address += right + (j - first_column) // tile_columns * (
                                share - steps.b.panel * itemsize
                            )
                        for t in range(count):
                            tile_begin = t * tile_words
                            if is_dot:
                                # Each of the rows' tiles fetches a share of the next columns.
                                fetched = t * words[tile_begin] * (step_count // step) * 64 * DOT_LINES
                                panel_bytes = tile_columns * steps.b.step * itemsize
                                next_address = right + panel_bytes + fetched if fetched < panel_bytes else right
                            tile(
                                table + 8 * (tile_begin + 1 + tile_rows), words[tile_begin], step_count,
                                (g * steps.a.batch + channel) * itemsize, right, steps.b.step * itemsize, next_address,
                                table + 8 * (tile_begin + 1), (g * out_steps.batch + j) * itemsize, columns_left, block_mode,
                            )  # fmt: skip

    return multiply_rows


# ---- planning -------------------------------------------------------------------------------------------------------


def plan_rows(
    b: PlanBuilder, form: str, grid: Grid, a: Matrices, right: Right | Operand, out: Matrices,
    *, batch: int, channels: int, columns: int, bias: Matrices | None = None, accumulate: bool = False,
) -> None:  # fmt: skip
    """Launch `rows_kernel`; rows of ``a``, ``out`` and ``bias`` are contiguous.

    ``right`` is packed into panels of the form's width, or read in place. In place, form "dot" needs ``right.channel`` 1;
    the others need ``right.column`` 1 and ``columns`` a multiple of that width.
    """
    code = a.operand.code
    dtype = dtypes.by_code(code)
    tile_rows, tile_columns = tile_shape(code, form)
    rows, taps = grid.rows, grid.taps
    if rows * columns * batch == 0:
        return
    no_bias = b.scratch(dtype, 0)
    bias_batch = bias.batch if bias else 0
    bias_array = bias.operand.array(columns + (batch - 1) * bias_batch) if bias else no_bias.array(0)
    if channels * taps == 0:
        plan_bias(
            b, bias_array, out, rows=rows, columns=columns, batch=batch, bias_batch=bias_batch, accumulate=accumulate
        )
        return
    if isinstance(right, Operand):
        right_array, panel_step = right.flat, taps * channels * tile_columns
        batch_step = -(-columns // tile_columns) * panel_step
        right_steps = RightSteps(batch_step, channels * tile_columns, tile_columns, panel_step, tile_columns)
    elif form == "dot":
        right_array = right.array
        right_steps = RightSteps(right.batch, right.tap, 1, tile_columns * right.column, right.column)
    else:
        right_array = right.array
        right_steps = RightSteps(right.batch, right.tap, right.channel, tile_columns, right.channel)

    # Of strided taps, a position sees only some. For a few rows, reading b takes most of the time.
    multiplications = batch * max(rows, READ_COST) * columns * channels * taps // (grid.divide_h * grid.divide_w) + 1
    row_block = min(ROW_BLOCK // tile_rows, -(-rows // tile_rows)) * tile_rows
    row_blocks = -(-rows // row_block)
    column_block = -(-columns // tile_columns) * tile_columns
    unit = lanes(code) if form == "dot" else 1
    splits, split_channels = 1, channels
    worth = min(TARGET_ITEMS, multiplications // ITEM_COST)
    if worth > row_blocks * batch:
        pieces = -(-worth // (row_blocks * batch))
        if pieces > 1 and form != "dot" and isinstance(right, Right) and channels >= 2 * SPLIT_CHANNELS:
            splits = min(pieces, channels // SPLIT_CHANNELS)
            split_channels = -(-channels // (splits * unit)) * unit
            splits = -(-channels // split_channels)
        elif pieces > 1:
            column_block = max(1, -(-columns // (pieces * tile_columns))) * tile_columns
    column_blocks = -(-columns // column_block)
    block_channels = split_channels
    while (
        form != "dot" and taps * block_channels * tile_columns * dtype.itemsize > CHANNEL_BYTES and block_channels > 32
    ):
        block_channels = -(-block_channels // 2)

    # Groups of a convolution, which lie side by side, share their tables.
    shared = 1
    if batch > 1 and a.batch < a.row and out.batch < out.row and splits == 1:
        most = max(1, batch * row_blocks * column_blocks // TARGET_ITEMS)
        shared = max(count for count in range(1, min(batch, most) + 1) if batch % count == 0)

    # An unpacked right operand comes from memory: while a few of its channels are used, the next ones are fetched.
    ahead = 0
    if form != "dot":
        if isinstance(right, Right):
            block_channels = min(block_channels, STREAM_CHANNELS)
        ahead = block_channels * right_steps.channel

    zeros = channels + (shared - 1) * a.batch
    unread = column_block + tile_columns + (shared - 1) * out.batch
    room = RowRoom(zeros, zeros + unread, row_block // tile_rows * (1 + tile_rows) * (1 + taps))
    words = b.scratch(dtypes.int64, room.words, per_worker=True)
    spare = b.scratch(dtype, room.spare, per_worker=True)
    goal, out_split = out, 0
    if splits > 1:
        out_split = batch * rows * columns
        goal = Matrices(b.scratch(dtype, splits * out_split), rows * columns, columns)
    items = batch // shared * splits * row_blocks * column_blocks
    adds = splits == 1 and (accumulate or bias is not None)
    blocks = Blocks(rows, columns, row_block, column_block, row_blocks, column_blocks)
    b.launch(
        rows_kernel(code, form), a.array, right_array, bias_array if splits == 1 else no_bias.array(0), goal.array,
        spare.flat, words.flat, grid,
        RowSteps(a.steps, right_steps, bias_batch, goal.steps, out_split), blocks,
        ChannelSum(channels, split_channels, block_channels, splits, shared, ADD if adds else STORE, ahead),
        room, work=items, grain=ITEM_COST * items // multiplications + 1, cost=multiplications // 8 + 1,
    )  # fmt: skip
    if splits > 1:
        plan_add_splits(
            b, goal.array, bias_array, out, splits=splits, rows=rows, columns=columns, batch=batch, bias_batch=bias_batch,
            accumulate=accumulate,
        )  # fmt: skip
