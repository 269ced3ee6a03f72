"""Products of matrices that pack what they read, block by block, in the memory of the worker that uses it.

An item is a block of the result. The sum is cut into parts of `DEPTH` steps: for each, the rows of the left operand are
packed into strips, which stay in the second cache, and the columns of the right one into a panel after the other, each of
which stays in the first cache while all rows use it. Where many items would pack the same panels, they are packed before.

A packed operand lies as the micro-kernel reads it, whatever its strides were: rows that are a power of two apart fall on the
same lines of a cache, and those of a transposed operand on a line each.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

from numgrad.kernels.gemm_layout import Blocks, Matrices, Right, Steps, block_of
from numgrad.kernels.gemm_pack import column_packer, plan_add_splits, plan_pack
from numgrad.kernels.gemm_panels import panel_product
from numgrad.kernels.gemm_rows import TARGET_ITEMS, lanes, tile_shape
from numgrad.runtime import simd
from numgrad.runtime.kernel import Device, Kernel, device, kernel
from numgrad.runtime.plan import Operand, PlanBuilder
from numgrad.runtime.simd import ADD, STORE, STREAM, address_of

DEPTH = 256
# Rows of a product whose items pack the right operand by themselves: panels that another CPU has packed, and that lie changed in
# its cache, take as long to read as to multiply. 256 x 256 x 256 on two CPUs of a Zen 4: 168 us instead of 216.
MOST_ROWS = 256
ITEM_COST = 1 << 16  # multiplications in an item: about 2 us
LEAST_ROWS, LEAST_COLUMNS = 48, 64  # of an item, if there are more than two: each packs the other operand anew
BLOCK_ROWS = (96, 84, 132, 108)  # of an item of a tall product: few enough to stay in the second cache
LEAST_SHARE = 128  # columns of an item of a tall product, which packs its rows for them
LEAST_SUM = 512  # steps of a part of a sum that has a result of its own
LITTLE_ROWS, NARROW_PANELS = 64, 2  # an item of so few panels reads its rows in place
AHEAD = 8  # steps of a sum, whose columns of a right operand are fetched where it is read in place
IN_PLACE_ROWS = 24  # so few rows use a right operand too seldom to pack it
NEAR_BYTES = 1 << 15  # of a right operand whose panels stay in the first cache as they lie
# So few steps, of rows that are so near each other, leave a left operand's rows in the first cache as they lie.
NEAR_STEPS, NEAR_ROW_BYTES = 128, 1 << 11
STREAM_STEPS, STREAM_BYTES = 16, 1 << 20


class BlockRight(NamedTuple):
    """Elements of the right operand from one batch, step of the sum, column, and panel of columns to the next."""

    batch: int
    row: int
    column: int
    panel: int


class BlockSum(NamedTuple):
    """The sum over k: how it is cut, and the memory of a worker."""

    steps: int
    split_steps: int  # of a part that has a result of its own
    depth: int  # steps at a time
    splits: int
    out_split: int  # elements from one part's result to the next
    mode: int  # of the first steps
    left: int  # elements of the packed block of the left operand, 0 if it is read in place
    right: int  # the same of the right operand's panel, 0 if none is packed here
    in_place: int  # whether whole panels of the right operand are not packed here


@functools.cache
def strip_packer(code: str) -> Device:
    """The function that packs rows of one dtype into strips (see `simd.strip_tile`)."""
    transpose, copy = simd.transpose_tile(code), simd.copy_tile(code, 1)
    width, strip = lanes(code), tile_shape(code, "strip")[0]
    itemsize = 4 if code == "f4" else 8
    groups = (strip + width - 1) // width

    @device
    def pack_strips(source, begin, row, column, rows, readable, steps, goal):
        """``goal[i // strip][p][i % strip] = source[begin + i * row + p * column]``; of rows that are not there, zeros.

        So many rows from the first one on are ``readable``. A vector's last elements may go to the next step's place, which is
        written later, or behind the last strip.
        """
        for i in range(0, rows, strip):
            base = i * steps
            used = min(strip, rows - i)
            done = 0
            if used == strip and i + groups * width <= readable:
                if row == 1:
                    done = steps
                    for p in range(steps):
                        for g in range(groups - 1, -1, -1):
                            copy(
                                address_of(source, begin + i + g * width + p * column),
                                address_of(goal, base + p * strip + g * width),
                            )
                elif column == 1:
                    done = steps // width * width
                    for p in range(0, done, width):
                        for g in range(groups - 1, -1, -1):
                            transpose(
                                address_of(source, begin + (i + g * width) * row + p), row * itemsize,
                                address_of(goal, base + p * strip + g * width), strip * itemsize,
                            )  # fmt: skip
            for p in range(done, steps):
                for r in range(used):
                    goal[base + p * strip + r] = source[begin + (i + r) * row + p * column]
                for r in range(used, strip):
                    goal[base + p * strip + r] = 0

    return pack_strips


@functools.cache
def blocks_kernel(code: str) -> Kernel:
    """The kernel for one dtype."""
    width, strip = tile_shape(code, "many")[1], tile_shape(code, "strip")[0]
    packed = simd.strip_tile(code, strip, width // lanes(code))
    near, far = (
        panel_product(code),
        panel_product(code, ahead=AHEAD),
    )  # for a right operand that lies packed, or in place
    pack_strips, pack_columns = strip_packer(code), column_packer(code)
    itemsize = 4 if code == "f4" else 8
    floats = f"{code}[:], " * 5

    @kernel(f"{floats} Steps, BlockRight, Steps, Blocks, BlockSum", Steps, BlockRight, Blocks, BlockSum)
    def multiply_blocks(a, b, bias, out, room, a_steps, b_steps, out_steps, blocks, sums, start, stop, worker):
        steps, split_steps, depth, splits, out_split, first_mode, left_size, right_size, in_place = sums
        room = room[worker * (left_size + right_size) : (worker + 1) * (left_size + right_size)]
        left, own = room[:left_size], room[left_size:]
        out_row = out_steps.row * itemsize
        if first_mode == STREAM and (address_of(out, 0) % 64 or out_row % 64 or out_steps.batch * itemsize % 64):
            first_mode = STORE
        for item in range(start, stop):
            first_row, last_row, first_column, last_column, rest = block_of(item, blocks)
            split, batch, rows = rest % splits, rest // splits, last_row - first_row
            begin = split * split_steps
            end = min(steps, begin + split_steps)
            goal = batch * out_steps.batch + split * out_split + first_row * out_steps.row
            if bias.shape[0] > 0:
                for i in range(rows):
                    line = out[goal + i * out_steps.row + first_column :][: last_column - first_column]
                    for j in range(line.shape[0]):
                        line[j] = bias[first_column + j]
            for k in range(begin, end, depth):
                count = min(depth, end - k)
                mode = first_mode if k == begin else ADD
                source = batch * a_steps.batch + first_row * a_steps.row + k * a_steps.column
                if left_size:
                    pack_strips(
                        a, source, a_steps.row, a_steps.column, rows, blocks.rows - first_row, count, left
                    )  # fmt: skip
                for j in range(first_column, last_column, width):
                    right, right_step = address_of(own, 0), width * itemsize
                    factors = batch * b_steps.batch + k * b_steps.row
                    columns = min(width, last_column - j)
                    if right_size and (columns < width or not in_place):
                        pack_columns(
                            b, factors + j * b_steps.column, b_steps.row, b_steps.column, count, columns, width, own
                        )
                    else:
                        right, right_step = address_of(b, factors + j // width * b_steps.panel), b_steps.row * itemsize
                    if left_size:
                        # While the strips multiply by a panel that lies packed they fetch the next one, a share each.
                        ahead, ahead_step = right, 0
                        if right_step == width * itemsize and not right_size:
                            strips = (rows + strip - 1) // strip
                            ahead_step = (right_step + strips - 1) // strips
                            if j + width < last_column:
                                ahead += b_steps.panel * itemsize
                            elif k + depth < end:
                                following = factors + depth * b_steps.row
                                ahead = address_of(b, following + first_column // width * b_steps.panel)
                        for i in range(0, rows, strip):
                            packed(
                                address_of(left, i * count), right, right_step, count, ahead, ahead_step,
                                address_of(out, goal + i * out_steps.row + j), out_row, min(strip, rows - i), columns, mode,
                            )  # fmt: skip
                            ahead += count * ahead_step
                    elif right_step == width * itemsize:
                        near(
                            address_of(a, source), a_steps.row * itemsize, a_steps.column * itemsize, rows, right, 0, right_step,
                            count, address_of(out, goal + j), out_row, columns, mode,
                        )  # fmt: skip
                    else:
                        far(
                            address_of(a, source), a_steps.row * itemsize, a_steps.column * itemsize, rows, right, 0, right_step,
                            count, address_of(out, goal + j), out_row, columns, mode,
                        )  # fmt: skip

    return multiply_blocks


def plan_blocks(
    b: PlanBuilder, left: Matrices, right: Matrices, out: Matrices, *, m: int, n: int, k: int, batch: int,
    bias: Operand | None, accumulate: bool,
) -> None:  # fmt: skip
    """Launch `blocks_kernel` for `plan_gemm`; no extent is 0, and columns of ``out`` lie side by side."""
    dtype, code = out.operand.spec.dtype, out.operand.code
    width, strip = tile_shape(code, "many")[1], tile_shape(code, "strip")[0]
    multiplications = batch * m * n * k
    worth = max(1, min(TARGET_ITEMS // 2, multiplications // ITEM_COST))
    tall, tile_rows = m > MOST_ROWS, tile_shape(code, "many")[0]
    few = m <= IN_PLACE_ROWS and -(-m // tile_rows) * tile_rows < -(-m // strip) * strip
    row_block, column_block, splits = -(-m // strip) * strip, -(-n // width) * width, 1
    if tall:
        # As little as possible for the busiest worker: one item more than the others have is a thread's time.
        loads = [
            (-(-batch * -(-m // rows) // b.workers) * rows, rows) for rows in (r // strip * strip for r in BLOCK_ROWS)
        ]
        row_block = min(loads, key=lambda load: load[0])[1]
        pieces = min(-(-b.workers // (batch * -(-m // row_block))), max(1, n // LEAST_SHARE))
        column_block = -(-n // (pieces * width)) * width
    elif worth > batch:
        # A sum is cut by the sizes alone: its bits may not depend on the number of threads.
        most, pieces = max(2, (m // LEAST_ROWS if m >= n else n // LEAST_COLUMNS)), -(-worth // batch)
        if most < pieces and k >= 2 * LEAST_SUM and bias is None:
            splits = min(-(-pieces // most), k // LEAST_SUM) if most > 2 else min(pieces, k // LEAST_SUM)
            most = most if most > 2 else 1
        # As many for each thread, and no more: each packs all of the other operand. But narrow items read a few rows in place.
        pieces = min(most, pieces)
        if few or m > LITTLE_ROWS or -(-n // (pieces * width)) > NARROW_PANELS:
            pieces = min(most, b.workers // math.gcd(b.workers, batch * splits))
        if m >= n:
            row_block = -(-m // (pieces * strip)) * strip
        else:
            column_block = -(-n // (pieces * width)) * width
    row_blocks, column_blocks = -(-m // row_block), -(-n // column_block)
    split_steps = -(-k // splits)
    splits = -(-k // split_steps)
    depth = -(-split_steps // -(-split_steps // DEPTH))

    source, panels, packs = (
        right.array,
        BlockRight(right.batch, right.row, right.column, width * right.column),
        width * depth,
    )
    if tall:
        view = Right(right.operand, right.batch, 0, right.row, right.column, right.offset)
        source = plan_pack(b, view, batch=batch, taps=1, channels=k, columns=n, width=width).flat
        panels, packs = BlockRight(-(-n // width) * k * width, width, 1, k * width), 0
    in_place = tall or (right.column == 1 and (m <= IN_PLACE_ROWS or k * right.row * dtype.itemsize <= NEAR_BYTES))
    if in_place and n % width == 0:  # else a panel that is not whole has to be packed
        packs = 0
    strips = -(-min(row_block, m) // strip) * strip * depth + 2 * lanes(code)
    near = left.column == 1 and k <= NEAR_STEPS and left.row * dtype.itemsize <= NEAR_ROW_BYTES
    if column_block <= NARROW_PANELS * width or near or few:
        strips = 0

    goal, out_split = out, 0
    if splits > 1:
        out_split = batch * m * n
        goal = Matrices(b.scratch(dtype, splits * out_split), m * n, n)
    streams = k <= STREAM_STEPS and batch * m * n * dtype.itemsize >= STREAM_BYTES
    adds = splits == 1 and (accumulate or bias is not None)
    mode = ADD if adds else STREAM if streams else STORE
    items = batch * splits * row_blocks * column_blocks
    room = b.scratch(dtype, strips + packs, per_worker=True)
    b.launch(
        blocks_kernel(code), left.array, source, bias.array(n) if bias else room.array(0), goal.array, room.flat,
        left.steps, panels, goal.steps, Blocks(m, n, row_block, column_block, row_blocks, column_blocks),
        BlockSum(k, split_steps, depth, splits, out_split, mode, strips, packs, int(in_place)),
        work=items, grain=ITEM_COST * items // multiplications + 1, cost=multiplications // 8 + 1,
    )  # fmt: skip
    if splits > 1:
        plan_add_splits(
            b, goal.array, room.array(0), out, splits=splits, rows=m, columns=n, batch=batch, accumulate=accumulate
        )
