"""What surrounds products of rows: packing an operand into panels, and adding up the parts of a split sum."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from numgrad import dtypes
from numgrad.runtime import simd, target
from numgrad.runtime.kernel import Kernel, kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder
from numgrad.runtime.program import Array
from numgrad.runtime.simd import address_of

PACK_CHANNELS = 64  # whose runs of memory are read whole while they are turned
# Panels that a run of columns is copied to: a kilobyte, where a panel's part would be two lines of a cache.
TOGETHER = 8


@functools.cache
def pack_kernel(code: str) -> Kernel:
    """The kernel that packs elements of one dtype."""
    transpose, copy = simd.transpose_tile(code), simd.copy_tile(code, 1)
    itemsize = 4 if code == "f4" else 8
    lanes = target.host_target().lanes(itemsize)

    @kernel(f"{code}[:], {code}[:], i8, i8, i8, i8, i8, i8, i8, i8, i8, i8")
    def pack_panels(
        source,
        out,
        panels,
        together,
        taps,
        channels,
        width,
        columns,
        batch_step,
        tap_step,
        channel_step,
        column_step,
        start,
        stop,
    ):
        """``out[g, panel, t, c, :width] = source[g, t, c, panel * width + ...]``, zeros beyond ``columns``.

        An item is a block of at most `PACK_CHANNELS` channels of one tap, and ``together`` panels, which is 1 unless
        columns lie side by side.
        """
        blocks = (channels + PACK_CHANNELS - 1) // PACK_CHANNELS
        shares = (panels + together - 1) // together
        for item in range(start, stop):
            block = item % blocks
            rest = item // blocks
            tap = rest % taps
            rest //= taps
            panel = rest % shares * together
            batch = rest // shares
            first = block * PACK_CHANNELS
            count = min(PACK_CHANNELS, channels - first)
            begin = batch * batch_step + tap * tap_step + first * channel_step + panel * width * column_step
            place = (((batch * panels + panel) * taps + tap) * channels + first) * width
            goal = out[place:][: count * width]
            wanted = min(width, columns - panel * width)
            if column_step == 1:
                full = min(together, columns // width - panel) if width % lanes == 0 else 0  # panels without an end
                for c in range(count):
                    for p in range(full):
                        line, row = place + (p * taps * channels + c) * width, begin + c * channel_step + p * width
                        for j in range(0, width, lanes):
                            copy(address_of(source, row + j), address_of(out, line + j))
                    for p in range(full, min(together, panels - panel)):
                        line = out[place + (p * taps * channels + c) * width :][:width]
                        row = source[begin + c * channel_step + p * width :][
                            : min(width, columns - (panel + p) * width)
                        ]
                        for j in range(row.shape[0]):
                            line[j] = row[j]
                        for j in range(row.shape[0], line.shape[0]):
                            line[j] = 0
            else:
                turned = 0  # columns and channels that are turned by squares
                if channel_step == 1 and count % lanes == 0:
                    turned = wanted // lanes * lanes
                    for j in range(0, turned, lanes):
                        for c in range(0, count, lanes):
                            transpose(
                                address_of(source, begin + j * column_step + c), column_step * itemsize,
                                address_of(goal, c * width + j), width * itemsize,
                            )  # fmt: skip
                for j in range(turned, wanted):
                    for c in range(count):
                        goal[c * width + j] = source[begin + c * channel_step + j * column_step]
                for j in range(wanted, width):
                    for c in range(count):
                        goal[c * width + j] = 0

    return pack_panels


@kernel("T[:], T[:], T[:], i8, i8, i8, i8, i8, i8, i8, i8")
def add_splits(
    parts, bias, out, splits, split_step, rows, columns, out_batch, out_row, bias_batch, accumulate, start, stop
):
    """``out[g, m, :] (+)= bias + the sum of its parts``, parts lying as ``[split, g, m, column]``; an item is a row."""
    for item in range(start, stop):
        batch = item // rows
        line = out[batch * out_batch + (item - batch * rows) * out_row :][:columns]
        if not accumulate:
            if bias.shape[0] > 0:
                for j in range(line.shape[0]):
                    line[j] = bias[batch * bias_batch + j]
            else:
                for j in range(line.shape[0]):
                    line[j] = 0
        for split in range(splits):
            part = parts[split * split_step + item * columns :][:columns]
            for j in range(line.shape[0]):
                line[j] += part[j]


def plan_bias(
    b: PlanBuilder, bias: Array, out: Array, *, rows: int, columns: int, out_row: int, batch: int = 1, out_batch: int = 0,
    bias_batch: int = 0, accumulate: bool = False,
) -> None:  # fmt: skip
    """``out[g, m, :] = bias[g]`` (zeros, if it is empty), to which products are added; strides count elements.

    With ``accumulate`` nothing is changed: there is nothing to add.
    """
    nothing = Array(out.address, (0,))
    b.launch(
        add_splits, nothing, bias, out, 0, 0, rows, columns, out_batch, out_row, bias_batch, int(accumulate),
        work=batch * rows, grain=GRAIN_COST // columns + 1, cost=batch * rows * columns,
    )  # fmt: skip


@dataclass(frozen=True)
class Right:
    """Where ``b[g, t, c, j]`` lies: element ``g * batch + t * tap + c * channel + j * column`` from ``offset`` on."""

    operand: Operand
    batch: int
    tap: int
    channel: int
    column: int
    offset: int = 0


def from_offset(operand: Operand, offset: int) -> Array:
    """All of an operand from an element on."""
    return operand.array(operand.extent - offset, offset=offset)


def plan_pack(
    b: PlanBuilder, right: Right, *, batch: int, taps: int, channels: int, columns: int, width: int
) -> Operand:
    """Pack into panels ``[g, panel, t, c, width]``; the scratch operand that holds them."""
    panels = -(-columns // width)
    together = TOGETHER if right.column == 1 else 1
    code = right.operand.code
    packed = b.scratch(dtypes.by_code(code), batch * panels * taps * channels * width)
    blocks = -(-channels // PACK_CHANNELS)
    item = min(channels, PACK_CHANNELS) * min(panels, together) * width
    b.launch(
        pack_kernel(code), from_offset(right.operand, right.offset), packed.flat, panels, together, taps, channels, width,
        columns, right.batch, right.tap, right.channel, right.column,
        work=batch * -(-panels // together) * taps * blocks, grain=GRAIN_COST // (2 * item + 1) + 1, cost=packed.extent,
    )  # fmt: skip
    return packed
