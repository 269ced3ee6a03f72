"""Products of matrices whose right operand is packed into panels: the form that has no tables and the least overhead.

``out[g, i, j] (+)= sum over k of a[g, i, k] * b[g, panel of j, k, j]``. The left operand may have any strides, so
both of its transpositions are read in place. The sum is cut into blocks of `DEPTH` steps: a panel of b's block stays in the
first cache while all rows use it, and a's block in the second while all panels do.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from numgrad.kernels.gemm_layout import Blocks, Matrices, Steps, block_of
from numgrad.kernels.gemm_rows import ITEM_COST, TARGET_ITEMS, lanes, tile_shape
from numgrad.runtime import simd
from numgrad.runtime.kernel import Device, Kernel, device, kernel
from numgrad.runtime.plan import PlanBuilder
from numgrad.runtime.program import Array
from numgrad.runtime.simd import ADD, STORE, STREAM, address_of

DEPTH = 256
ROW_BLOCK = 96
STREAM_STEPS, STREAM_BYTES = 16, 1 << 20


class PanelSteps(NamedTuple):
    """Elements from one batch, panel and step of the sum to the next, where the right operand is packed into panels."""

    batch: int
    panel: int
    step: int


class Sum(NamedTuple):
    """The sum over k: its steps, the steps taken at a time, and the mode of the first of these blocks."""

    steps: int
    depth: int
    mode: int


@functools.cache
def panel_product(code: str, form: str = "many", ahead: int = 0) -> Device:
    """The product of a block, for one dtype and one register tile (see `tile_shape`); all distances are in bytes.

    ``ahead`` is `simd.strided_tile`'s.
    """
    tile_rows, tile_columns = tile_shape(code, form)
    tile = simd.strided_tile(code, tile_rows, tile_columns // lanes(code), ahead)
    itemsize = 4 if code == "f4" else 8

    @device
    def multiply(left, a_row, a_step, rows, right, b_panel, b_step, steps, out, out_row, columns, mode):
        for j in range(0, columns, tile_columns):
            panel = right + j // tile_columns * b_panel
            for i in range(0, rows, tile_rows):
                tile(
                    left + i * a_row, a_row, a_step, min(tile_rows, rows - i), panel, b_step, steps,
                    out + i * out_row + j * itemsize, out_row, min(tile_columns, columns - j), mode,
                )  # fmt: skip

    return multiply


@functools.cache
def panels_kernel(code: str) -> Kernel:
    """The kernel for one dtype."""
    tile_columns, multiply = tile_shape(code, "many")[1], panel_product(code)
    itemsize = 4 if code == "f4" else 8

    @kernel(f"{code}[:], {code}[:], {code}[:], Steps, PanelSteps, Steps, Blocks, Sum", Steps, PanelSteps, Blocks, Sum)
    def multiply_panels(a, b, out, a_steps, b_steps, out_steps, blocks, sums, start, stop):
        a_row, out_row = a_steps.row, out_steps.row
        mode = sums.mode
        if mode == STREAM and (address_of(out, 0) % 64 or out_row * itemsize % 64 or out_steps.batch * itemsize % 64):
            mode = STORE
        for item in range(start, stop):
            first_row, last_row, first_column, last_column, batch = block_of(item, blocks)
            panel = first_column // tile_columns
            goal = address_of(out, batch * out_steps.batch + first_row * out_row + first_column)
            for k in range(0, sums.steps, sums.depth):
                multiply(
                    address_of(a, batch * a_steps.batch + first_row * a_row + k * a_steps.column), a_row * itemsize,
                    a_steps.column * itemsize, last_row - first_row,
                    address_of(b, batch * b_steps.batch + panel * b_steps.panel + k * b_steps.step),
                    b_steps.panel * itemsize, b_steps.step * itemsize, min(sums.depth, sums.steps - k), goal,
                    out_row * itemsize, last_column - first_column, mode if k == 0 else ADD,
                )  # fmt: skip

    return multiply_panels


def plan_panels(
    b: PlanBuilder, a: Matrices, right: Array, right_steps: PanelSteps, out: Matrices, *, rows: int, columns: int,
    steps: int, batch: int, accumulate: bool = False,
) -> None:  # fmt: skip
    """Launch `panels_kernel`; ``out``'s columns lie side by side.

    Every panel is read in its whole width. ``rows``, ``columns``, ``steps`` and ``batch`` are positive.
    """
    code = a.operand.code
    tile_rows, tile_columns = tile_shape(code, "many")
    panels = -(-columns // tile_columns)
    _prove(a.array, batch, a.batch, rows, a.row, steps, a.column)
    _prove(right, batch, right_steps.batch, panels, right_steps.panel, steps, right_steps.step, tile_columns)
    _prove(out.array, batch, out.batch, rows, out.row, columns)
    multiplications = batch * rows * columns * steps
    row_block = min(ROW_BLOCK // tile_rows, -(-rows // tile_rows)) * tile_rows
    row_blocks = -(-rows // row_block)
    row_block = -(-rows // (row_blocks * tile_rows)) * tile_rows  # equal shares
    column_blocks = 1
    worth = min(TARGET_ITEMS, multiplications // ITEM_COST)
    if batch * row_blocks < worth:
        column_blocks = min(panels, -(-worth // (batch * row_blocks)))
    column_block = -(-panels // column_blocks) * tile_columns
    column_blocks = -(-columns // column_block)
    items = batch * row_blocks * column_blocks
    # A result that is large for its few multiplications is written past the caches: it need not be read first.
    streams = steps <= STREAM_STEPS and batch * rows * columns * (4 if code == "f4" else 8) >= STREAM_BYTES
    mode = ADD if accumulate else STREAM if streams else STORE
    b.launch(
        panels_kernel(code), a.array, right, out.array, a.steps, right_steps, out.steps,
        Blocks(rows, columns, row_block, column_block, row_blocks, column_blocks),
        Sum(steps, -(-steps // -(-steps // DEPTH)), mode),
        work=items, grain=ITEM_COST * items // multiplications + 1, cost=multiplications // 8 + 1,
    )  # fmt: skip


def _prove(array: Array, *counts_and_strides: int) -> None:
    """Prove that an array holds the last addressed element; a last count without a stride counts neighbours."""
    counts, strides = counts_and_strides[::2], (*counts_and_strides[1::2], 1)
    last = sum((count - 1) * stride for count, stride in zip(counts, strides, strict=False))
    if last >= array.shape[0]:
        raise AssertionError(f"a product of panels reaches element {last} of an array of {array.shape[0]}")
