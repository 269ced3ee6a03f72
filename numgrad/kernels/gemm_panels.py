"""Products of matrices whose right operand is packed into panels: the form that has no tables and the least overhead.

``out[g, i, j] (+)= sum over k of a[g, i, k] * b[g, panel of j, k, j]``. The left operand lies at any strides, so both of
its transpositions are read where they are. The sum is cut into blocks of `DEPTH` steps: a panel of b's block stays in the
first cache while all rows use it, and a's block in the second while all panels do.
"""

from __future__ import annotations

import functools

from numgrad.kernels.gemm_rows import ITEM_COST, WANTED_ITEMS, lanes, tile_shape
from numgrad.runtime import simd
from numgrad.runtime.kernel import Kernel, kernel
from numgrad.runtime.plan import PlanBuilder
from numgrad.runtime.program import Array
from numgrad.runtime.simd import ADD, STORE, STREAM, address_of

DEPTH = 256
ROW_BLOCK = 96
STREAM_STEPS, STREAM_BYTES = 16, 1 << 20


@functools.cache
def panels_kernel(code: str) -> Kernel:
    """The kernel for one dtype."""
    tile_rows, tile_columns = tile_shape(code, "many")
    tile = simd.strided_tile(code, tile_rows, tile_columns // lanes(code))
    itemsize = 4 if code == "f4" else 8

    @kernel(f"{code}[:], {code}[:], {code}[:], {'i8, ' * 17}")
    def multiply_panels(
        a, b, out, a_batch, a_row, a_step, b_batch, b_panel, b_step, out_batch, out_row, rows, columns, steps, depth,
        row_block, column_block, row_blocks, column_blocks, mode, start, stop,
    ):  # fmt: skip
        if mode == STREAM and (address_of(out, 0) % 64 or out_row * itemsize % 64 or out_batch * itemsize % 64):
            mode = STORE
        for item in range(start, stop):
            row_index = item % row_blocks
            rest = item // row_blocks
            column_index = rest % column_blocks
            batch = rest // column_blocks
            first_row, first_column = row_index * row_block, column_index * column_block
            last_row, last_column = min(rows, first_row + row_block), min(columns, first_column + column_block)
            for k in range(0, steps, depth):
                count = min(depth, steps - k)
                how = mode if k == 0 else ADD
                for j in range(first_column, last_column, tile_columns):
                    right = address_of(b, batch * b_batch + j // tile_columns * b_panel + k * b_step)
                    wanted_columns = min(tile_columns, last_column - j)
                    left = address_of(a, batch * a_batch + first_row * a_row + k * a_step)
                    goal = address_of(out, batch * out_batch + first_row * out_row + j)
                    for i in range(0, last_row - first_row, tile_rows):
                        tile(
                            left + i * a_row * itemsize, a_row * itemsize, a_step * itemsize,
                            min(tile_rows, last_row - first_row - i), right, b_step * itemsize, count,
                            goal + i * out_row * itemsize, out_row * itemsize, wanted_columns, how,
                        )  # fmt: skip

    return multiply_panels


def plan_panels(
    b: PlanBuilder, code: str, a: Array, right: Array, out: Array, *, rows: int, columns: int, steps: int, batch: int,
    a_strides: tuple[int, int, int], b_strides: tuple[int, int, int], out_strides: tuple[int, int],
    accumulate: bool = False,
) -> None:  # fmt: skip
    """Launch `panels_kernel`; strides count elements: (batch, row, step), (batch, panel, step) and (batch, row).

    Every panel is read in its whole width. ``rows``, ``columns``, ``steps`` and ``batch`` are positive.
    """
    tile_rows, tile_columns = tile_shape(code, "many")
    _prove(a, batch, a_strides[0], rows, a_strides[1], steps, a_strides[2])
    panels = -(-columns // tile_columns)
    _prove(right, batch, b_strides[0], panels, b_strides[1], steps, b_strides[2], tile_columns)
    _prove(out, batch, out_strides[0], rows, out_strides[1], 1, 0, columns)
    multiplications = batch * rows * columns * steps
    row_block = min(ROW_BLOCK // tile_rows, -(-rows // tile_rows)) * tile_rows
    row_blocks = -(-rows // row_block)
    row_block = -(-rows // (row_blocks * tile_rows)) * tile_rows  # equal shares
    column_blocks = 1
    worth = min(WANTED_ITEMS, multiplications // ITEM_COST)
    if batch * row_blocks < worth:
        column_blocks = min(panels, -(-worth // (batch * row_blocks)))
    column_block = -(-panels // column_blocks) * tile_columns
    column_blocks = -(-columns // column_block)
    items = batch * row_blocks * column_blocks
    # What is large for its few multiplications is written past the caches: it need not be read first.
    streams = steps <= STREAM_STEPS and batch * rows * columns * (4 if code == "f4" else 8) >= STREAM_BYTES
    mode = ADD if accumulate else STREAM if streams else STORE
    b.launch(
        panels_kernel(code), a, right, out, *a_strides, *b_strides, *out_strides, rows, columns, steps,
        -(-steps // -(-steps // DEPTH)), row_block, column_block, row_blocks, column_blocks, mode,
        work=items, grain=ITEM_COST * items // multiplications + 1, cost=multiplications // 8 + 1,
    )  # fmt: skip


def _prove(array: Array, *counts_and_strides: int) -> None:
    """Prove that an array holds the last element that is addressed; a last count without stride is of neighbours."""
    counts, strides = counts_and_strides[::2], (*counts_and_strides[1::2], 1)
    last = sum((count - 1) * stride for count, stride in zip(counts, strides, strict=False))
    if last >= array.shape[0]:
        raise AssertionError(f"a product of panels reaches element {last} of an array of {array.shape[0]}")
