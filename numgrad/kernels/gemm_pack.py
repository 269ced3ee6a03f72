"""What surrounds products of rows: packing an operand into panels, and adding up the parts of a split sum."""

from __future__ import annotations

from dataclasses import dataclass

from numgrad import dtypes
from numgrad.runtime.kernel import kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder
from numgrad.runtime.program import Array

PACK_CHANNELS = 16  # whose lines of memory are used whole while they are turned


@kernel("T[:], T[:], i8, i8, i8, i8, i8, i8, i8, i8, i8")
def pack_panels(
    source, out, panels, taps, channels, width, columns, batch_step, tap_step, channel_step, column_step, start, stop
):
    """``out[g, panel, t, c, :width] = source[g, t, c, panel * width + ...]``, zeros beyond ``columns``.

    An item is a block of at most `PACK_CHANNELS` channels of one tap.
    """
    blocks = (channels + PACK_CHANNELS - 1) // PACK_CHANNELS
    zero = source.dtype.type(0)
    for item in range(start, stop):
        block = item % blocks
        rest = item // blocks
        tap = rest % taps
        rest //= taps
        panel = rest % panels
        batch = rest // panels
        first = block * PACK_CHANNELS
        count = min(PACK_CHANNELS, channels - first)
        begin = batch * batch_step + tap * tap_step + first * channel_step + panel * width * column_step
        goal = out[(((batch * panels + panel) * taps + tap) * channels + first) * width :][: count * width]
        wanted = min(width, columns - panel * width)
        if column_step == 1:
            for c in range(count):
                line, row = goal[c * width : (c + 1) * width], source[begin + c * channel_step :][:wanted]
                for j in range(row.shape[0]):
                    line[j] = row[j]
                for j in range(row.shape[0], line.shape[0]):
                    line[j] = zero
        else:
            for j in range(wanted):
                for c in range(count):
                    goal[c * width + j] = source[begin + c * channel_step + j * column_step]
            for j in range(wanted, width):
                for c in range(count):
                    goal[c * width + j] = zero


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
    code = right.operand.code
    packed = b.scratch(dtypes.by_code(code), batch * panels * taps * channels * width)
    blocks = -(-channels // PACK_CHANNELS)
    item = min(channels, PACK_CHANNELS) * width
    b.launch(
        pack_panels, from_offset(right.operand, right.offset), packed.flat, panels, taps, channels, width, columns,
        right.batch, right.tap, right.channel, right.column,
        work=batch * panels * taps * blocks, grain=GRAIN_COST // (2 * item + 1) + 1, cost=packed.extent,
    )  # fmt: skip
    return packed
