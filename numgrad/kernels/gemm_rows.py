"""The kernels behind matrix products and convolutions: products of rows that are found through a grid of taps.

What is computed is, for every row ``m`` (a place of the output), batch ``g`` and column ``j``::

    out[g, m, j] = sum over taps t and channels c of  a[g, source(m, t), c] * b[g, t, c, j]

A matrix product has one tap and ``source(m) = m``. In a convolution rows are pixels and ``source`` is the pixel that a
tap of the kernel looks at, so nothing like im2col is ever stored: the micro-kernel is given addresses of rows. A tap
beyond the image looks at a row of zeros, and is left out where all rows of a tile do so.

`Grid` says how ``source`` works; `plan_rows` chooses blocks and launches.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import NamedTuple

from numgrad import dtypes
from numgrad.kernels.gemm_pack import Right, add_splits, from_offset, plan_bias
from numgrad.runtime import simd, target
from numgrad.runtime.kernel import Kernel, device, kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder
from numgrad.runtime.simd import ADD, DOT_LINES, STORE, address_of

ROW_BLOCK = 64  # rows whose table is made at once
ITEM_COST = 1 << 18  # multiplications in a chunk: about 5 us
READ_COST = 8  # multiplications in the time that it takes to read an element of b from memory
WANTED_ITEMS = 16
STREAM_CHANNELS = 8
SPLIT_CHANNELS = 32  # the fewest that a split sum is cut into
CHANNEL_BYTES = 1 << 17  # of b's panel that is used before the next rows, unless it is split


class Grid(NamedTuple):
    """How rows are places (image, y, x) of an output, and which place of the source a tap (r, s) looks at.

    ``source_y = (y * scale_h + r * step_h + shift_h) / divide_h``, if that is whole and inside; x likewise.
    """

    images: int = 1
    out_h: int = 1
    out_w: int = 1
    source_h: int = 1
    source_w: int = 1
    taps_h: int = 1
    taps_w: int = 1
    scale_h: int = 1
    scale_w: int = 1
    step_h: int = 1
    step_w: int = 1
    shift_h: int = 0
    shift_w: int = 0
    divide_h: int = 1
    divide_w: int = 1

    @property
    def rows(self) -> int:
        """Places of the output."""
        return self.images * self.out_h * self.out_w

    @property
    def taps(self) -> int:
        """Taps of the kernel."""
        return self.taps_h * self.taps_w


def plain_grid(rows: int) -> Grid:
    """The grid of a matrix product: one tap, every row is its own source."""
    return Grid(out_w=rows, source_w=rows)


@device
def place_of(m, grid):
    """(image, y, x) of row m. Rows whose sources are divided alike come together, so that they share their taps."""
    images, out_h, out_w, _, _, _, _, _, _, _, _, _, _, divide_h, divide_w = grid
    residue_h, high, m = residue_of(m, out_h, divide_h, images * out_w)
    residue_w, wide, m = residue_of(m, out_w, divide_w, images * high)
    image = m // (high * wide)
    rest = m - image * high * wide
    y = rest // wide
    return image, y * divide_h + residue_h, (rest - y * wide) * divide_w + residue_w


@device
def residue_of(m, extent, divide, others):
    """(residue, places, rest) of item m, where each of ``extent`` places has ``others`` items and they are in the order of
    their residues by ``divide``; ``rest`` counts from the residue's first item."""
    less = extent // divide
    most = extent - less * divide  # residues that have one place more
    if m < most * (less + 1) * others:
        residue = m // ((less + 1) * others)
        return residue, less + 1, m - residue * (less + 1) * others
    m -= most * (less + 1) * others
    residue = m // (less * others)
    return most + residue, less, m - residue * less * others


@device
def next_place(m, y, x, image, grid):
    """(image, y, x) of row m, from that of the row before: dividing is slow."""
    _, out_h, out_w, _, _, _, _, _, _, _, _, _, _, divide_h, divide_w = grid
    x += divide_w
    if x < out_w:
        return image, y, x
    y += divide_h
    if y < out_h:
        return image, y, x % divide_w
    return place_of(m, grid)


@device
def write_row(words, place, stride, image, y, x, grid, base, row_bytes, nowhere):
    """Write the addresses of one row's sources, ``stride`` words apart, a tap each; True if one of them is nowhere."""
    (
        _,
        _,
        _,
        source_h,
        source_w,
        taps_h,
        taps_w,
        scale_h,
        scale_w,
        step_h,
        step_w,
        shift_h,
        shift_w,
        divide_h,
        divide_w,
    ) = grid
    missing = False
    for r in range(taps_h):
        source_y = y * scale_h + r * step_h + shift_h
        inside = source_y >= 0
        if divide_h > 1:
            inside = inside and source_y % divide_h == 0
            source_y = source_y // divide_h
        inside = inside and source_y < source_h
        line = base + (image * source_h + source_y) * source_w * row_bytes
        source_x = x * scale_w + shift_w
        for _ in range(taps_w):
            found, within = source_x, inside and source_x >= 0
            if divide_w > 1:
                within = within and source_x % divide_w == 0
                found = source_x // divide_w
            within = within and found < source_w
            if within:
                words[place] = line + found * row_bytes
            else:
                words[place] = nowhere
                missing = True
            place += stride
            source_x += step_w
    return missing


@functools.cache
def tile_shape(code: str, form: str) -> tuple[int, int]:
    """(rows, columns) of the register tile; form is "many" or "few" (rows; vectors of columns), or "dot"."""
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
        tile = simd.dot_tile(code, tile_rows, tile_columns)
        step = lanes(code)
    else:
        tile = simd.broadcast_tile(code, tile_rows, tile_columns // lanes(code))
        step = 1
    itemsize = 4 if code == "f4" else 8
    record, is_dot = 1 + tile_rows, form == "dot"
    floats, scalars = f"{code}[:], " * 5, "i8, " * 41

    @kernel(f"{floats} i8[:], i8[:], {scalars}")
    def multiply_rows(
        a, b, bias, out, spare, words, flags,
        images, out_h, out_w, source_h, source_w, taps_h, taps_w,
        scale_h, scale_w, step_h, step_w, shift_h, shift_w, divide_h, divide_w,
        a_batch, a_row, b_batch, b_tap, b_channel, b_panel, b_step, ahead, out_batch, out_split, out_row,
        columns, channels, split_channels, block_channels, row_block, column_block, row_blocks, column_blocks, splits,
        shared, mode, bias_batch, zeros, spare_count, words_count, start, stop, worker,
    ):  # fmt: skip
        grid = (
            images, out_h, out_w, source_h, source_w, taps_h, taps_w,
            scale_h, scale_w, step_h, step_w, shift_h, shift_w, divide_h, divide_w,
        )  # fmt: skip
        rows, taps = images * out_h * out_w, taps_h * taps_w
        spare = spare[worker * spare_count : (worker + 1) * spare_count]  # zeros to read, then a place to write to
        for i in range(spare.shape[0]):
            spare[i] = 0
        words = words[worker * words_count : (worker + 1) * words_count]
        nowhere = address_of(spare, 0)
        nobody = address_of(spare, zeros)
        table = address_of(words, 0)
        tile_words = 1 + tile_rows + taps * record
        for item in range(start, stop):
            row_index = item % row_blocks
            rest = item // row_blocks
            column_index = rest % column_blocks
            rest //= column_blocks
            split = rest % splits
            batch = rest // splits * shared  # the first of those that share the table
            first_row = row_index * row_block
            last_row = min(rows, first_row + row_block)
            first_column = column_index * column_block
            last_column = min(columns, first_column + column_block)
            first_channel = split * split_channels
            last_channel = min(channels, first_channel + split_channels)
            base = address_of(a, batch * a_batch)
            count = (last_row - first_row + tile_rows - 1) // tile_rows
            out_base = batch * out_batch + split * out_split
            image, y, x = place_of(first_row, grid)
            for t in range(count):
                place = t * tile_words
                records = place + 1 + tile_rows
                missing = False
                for i in range(tile_rows):
                    m = first_row + t * tile_rows + i
                    if m < last_row:
                        if m > first_row:
                            image, y, x = next_place(m, y, x, image, grid)
                        begin = out_base + ((image * out_h + y) * out_w + x) * out_row
                        words[place + 1 + i] = address_of(out, begin)
                        if bias.shape[0] > 0:
                            for g in range(shared):
                                line = out[begin + g * out_batch + first_column :][: last_column - first_column]
                                for j in range(line.shape[0]):
                                    line[j] = bias[(batch + g) * bias_batch + first_column + j]
                        if write_row(
                            words, records + 1 + i, record, image, y, x, grid, base, a_row * itemsize, nowhere
                        ):
                            missing = True
                    else:
                        words[place + 1 + i] = nobody - first_column * itemsize
                        for tap in range(taps):
                            words[records + tap * record + 1 + i] = nowhere
                kept = 0
                for tap in range(taps):
                    source, goal = records + tap * record, records + kept * record
                    wanted = not missing
                    for i in range(1, record if missing else 1):
                        wanted = wanted or words[source + i] != nowhere
                    if wanted:
                        words[goal] = tap * b_tap * itemsize
                        if goal != source:
                            for i in range(1, record):
                                words[goal + i] = words[source + i]
                        kept += 1
                words[place] = kept
            for g in range(shared):
                for channel in range(first_channel, last_channel, block_channels):
                    steps = min(block_channels, last_channel - channel) // step
                    how = mode if channel == first_channel else ADD
                    for j in range(first_column, last_column, tile_columns):
                        panel = j // tile_columns
                        right = address_of(b, (batch + g) * b_batch + channel * b_channel + panel * b_panel)
                        wanted_columns = min(tile_columns, last_column - j)
                        later = ahead * itemsize
                        if not is_dot:
                            # What follows b's part that is in use, as far as this panel's share of it.
                            share = taps * min(block_channels, last_channel - channel) * tile_columns * itemsize
                            later += right + (j - first_column) // tile_columns * (share - b_panel * itemsize)
                        for t in range(count):
                            place = t * tile_words
                            if is_dot:
                                # Each of the rows' tiles fetches a share of the next columns.
                                fetched = t * words[place] * steps * 64 * DOT_LINES
                                row_bytes = tile_columns * b_step * itemsize
                                later = right + row_bytes + fetched if fetched < row_bytes else right
                            tile(
                                table + 8 * (place + 1 + tile_rows), words[place], steps, (g * a_batch + channel) * itemsize,
                                right, b_step * itemsize, later, table + 8 * (place + 1), (g * out_batch + j) * itemsize,
                                wanted_columns, how,
                            )  # fmt: skip
            if flags.shape[0] > 0:
                flags[item] = 0
                image, y, x = place_of(first_row, grid)
                for m in range(first_row, last_row):
                    if m > first_row:
                        image, y, x = next_place(m, y, x, image, grid)
                    begin = out_base + ((image * out_h + y) * out_w + x) * out_row + first_column
                    for g in range(shared):
                        value = out[begin + g * out_batch]
                        if value - value != 0:
                            flags[item] = 1

    return multiply_rows


# ---- planning -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rows:
    """Where rows lie: ``m``-th row of batch ``g`` at element ``g * batch + m * row`` from ``offset`` on."""

    operand: Operand
    batch: int
    row: int
    offset: int = 0


class Watched(NamedTuple):
    """Which of `rows_kernel`'s items had a result that is not finite in the first column of a batch: a word for each, and
    the rows of each; item ``i`` has the block of rows ``i % row_blocks``."""

    flags: Operand
    row_block: int
    row_blocks: int


def plan_rows(
    b: PlanBuilder, form: str, grid: Grid, a: Rows, right: Right, out: Rows,
    *, batch: int, channels: int, columns: int, packed: bool = False, bias: Operand | None = None, bias_batch: int = 0,
    accumulate: bool = False, watch: bool = False,
) -> Watched | None:  # fmt: skip
    """Launch `rows_kernel`, and with ``watch`` say what it found.

    With form "dot", ``right.channel`` is 1; else ``right`` is ``packed`` into panels of the form's
    width, or ``right.column`` is 1 and ``columns`` a multiple of that width.
    """
    code = a.operand.code
    dtype = dtypes.by_code(code)
    tile_rows, tile_columns = tile_shape(code, form)
    rows, taps = grid.rows, grid.taps
    if rows * columns * batch == 0:
        return None
    no_bias = b.scratch(dtype, 0)
    bias_array = bias.array(columns + (batch - 1) * bias_batch) if bias else no_bias.array(0)
    if channels * taps == 0:
        plan_bias(
            b, bias_array, from_offset(out.operand, out.offset), rows=rows, columns=columns, out_row=out.row, batch=batch,
            out_batch=out.batch, bias_batch=bias_batch, accumulate=accumulate,
        )  # fmt: skip
        return None
    if packed:
        panels = -(-columns // tile_columns)
        channel_step, step, tap_step = tile_columns, tile_columns, channels * tile_columns
        panel_step, batch_step = taps * tap_step, panels * taps * tap_step
    elif form == "dot":
        channel_step, step, tap_step = 1, right.column, right.tap
        panel_step, batch_step = tile_columns * right.column, right.batch
    else:
        channel_step, step, tap_step = right.channel, right.channel, right.tap
        panel_step, batch_step = tile_columns, right.batch

    # Of strided taps, a place sees one in so many. For a few rows, reading b takes the time.
    multiplications = batch * max(rows, READ_COST) * columns * channels * taps // (grid.divide_h * grid.divide_w) + 1
    row_block = min(ROW_BLOCK // tile_rows, -(-rows // tile_rows)) * tile_rows
    row_blocks = -(-rows // row_block)
    column_block = -(-columns // tile_columns) * tile_columns
    unit = lanes(code) if form == "dot" else 1
    splits, split_channels = 1, channels
    worth = min(WANTED_ITEMS, multiplications // ITEM_COST)
    if worth > row_blocks * batch:
        wanted = -(-worth // (row_blocks * batch))
        if wanted > 1 and form != "dot" and not packed and channels >= 2 * SPLIT_CHANNELS:
            splits = min(wanted, channels // SPLIT_CHANNELS)
            split_channels = -(-channels // (splits * unit)) * unit
            splits = -(-channels // split_channels)
        elif wanted > 1:
            column_block = max(1, -(-columns // (wanted * tile_columns))) * tile_columns
    column_blocks = -(-columns // column_block)
    block_channels = split_channels
    while (
        form != "dot" and taps * block_channels * tile_columns * dtype.itemsize > CHANNEL_BYTES and block_channels > 32
    ):
        block_channels = -(-block_channels // 2)

    # Groups of a convolution, which lie side by side, share their tables.
    shared = 1
    if batch > 1 and a.batch < a.row and out.batch < out.row and splits == 1:
        wanted = max(1, batch * row_blocks * column_blocks // WANTED_ITEMS)
        shared = max(count for count in range(1, min(batch, wanted) + 1) if batch % count == 0)

    # An unpacked right operand comes from memory: while a few of its channels are used, the next ones are fetched.
    ahead = 0
    if form != "dot":
        if not packed:
            block_channels = min(block_channels, STREAM_CHANNELS)
        ahead = block_channels * channel_step

    tables = row_block // tile_rows * (1 + tile_rows + taps * (1 + tile_rows))
    words = b.scratch(dtypes.int64, tables, per_worker=True)
    zeros = channels + (shared - 1) * a.batch
    spare_count = zeros + column_block + tile_columns + (shared - 1) * out.batch
    spare = b.scratch(dtype, spare_count, per_worker=True)
    goal, goal_array = out, from_offset(out.operand, out.offset)
    out_split = 0
    if splits > 1:
        out_split = batch * rows * columns
        parts = b.scratch(dtype, splits * out_split)
        goal, goal_array = Rows(parts, rows * columns, columns), parts.flat
    items = batch // shared * splits * row_blocks * column_blocks
    flags = b.scratch(dtypes.int64, items if watch else 0)
    adds = splits == 1 and (accumulate or bias is not None)
    b.launch(
        rows_kernel(code, form),
        from_offset(a.operand, a.offset), from_offset(right.operand, right.offset),
        bias_array if splits == 1 else no_bias.array(0), goal_array, spare.flat, words.flat, flags.flat,
        *grid,
        a.batch, a.row, batch_step, tap_step, channel_step, panel_step, step, ahead, goal.batch, out_split, goal.row,
        columns, channels, split_channels, block_channels, row_block, column_block, row_blocks, column_blocks, splits,
        shared, ADD if adds else STORE, bias_batch, zeros, spare_count, tables,
        work=items, grain=ITEM_COST * items // multiplications + 1, cost=multiplications // 8 + 1,
    )  # fmt: skip
    if splits > 1:
        b.launch(
            add_splits, goal_array, bias_array, from_offset(out.operand, out.offset), splits, out_split, rows, columns,
            out.batch, out.row, bias_batch, int(accumulate),
            work=batch * rows, grain=GRAIN_COST // (splits * columns) + 1, cost=batch * rows * columns * splits,
        )  # fmt: skip
    return Watched(flags, row_block, row_blocks) if watch else None
