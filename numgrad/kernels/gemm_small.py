"""Products of small matrices in one launch: what prepares the large ones (tables of addresses, panels) would take longer."""

from __future__ import annotations

import functools
from typing import NamedTuple

from numgrad.kernels.gemm_layout import Matrices, Steps
from numgrad.kernels.gemm_pack import column_packer
from numgrad.runtime import simd, target
from numgrad.runtime.kernel import Kernel, kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder
from numgrad.runtime.simd import ADD, STORE, address_of

ROWS = 8  # of a register tile, of one vector of columns; as many sums as hide the latency of one
MOST_STEPS = 1 << 10  # of all tiles: about 2 us
MOST_OF_LINE = 1 << 6  # the same, for a single row or column: most of a tile is not used
MOST_OF_NARROW = 1 << 11  # the same, for a few columns of rows in memory, which other forms have to turn
NARROW = 16  # up to so many columns, a vector of columns would be mostly empty
DEPTH = 256  # products of a sum, which are added one after the other; these sums then are
MOST_TURNED = 1 << 9  # elements of the right operand that are copied in another order, for each tile of rows
STEP_COST = 16  # elementary operations of a tile's step


class Small(NamedTuple):
    """Sizes of a product of small matrices, how many steps of its sum are taken at a time, and how many elements of the right
    matrix are copied for these, 0 if it is read in place."""

    rows: int
    columns: int
    sum: int
    depth: int
    copied: int


@functools.cache
def small_kernel(code: str) -> Kernel:
    """The kernel for one dtype."""
    itemsize = 4 if code == "f4" else 8
    width = target.host_target().lanes(itemsize)
    line, tile = simd.strided_tile(code, 1, 1), simd.strided_tile(code, ROWS, 1)
    pack_columns, put = column_packer(code), simd.copy_tile(code, 1)
    floats = f"{code}[:], " * 5

    @kernel(f"{floats} Small, Steps, Steps, Steps, i8", Small, Steps)
    def multiply_small(a, b, bias, out, copies, sizes, a_steps, b_steps, out_steps, accumulate, start, stop, worker):
        """``out[g, i, j] (+)= sum_p a[g, i, p] * b[g, p, j] + bias[j]``; an item is a matrix."""
        rows, columns, steps, depth, copied = sizes
        panels = (columns + width - 1) // width
        copy = copies[worker * copied : (worker + 1) * copied]
        for g in range(start, stop):
            if bias.shape[0] > 0:
                begin = g * out_steps.batch
                whole = columns // width * width if bias.shape[0] == columns else 0
                for j in range(0, whole, width):
                    for i in range(rows):
                        put(address_of(bias, j), address_of(out, begin + i * out_steps.row + j))
                for j in range(whole, columns):
                    value = bias[j if bias.shape[0] == columns else 0]
                    for i in range(rows):
                        out[begin + i * out_steps.row + j] = value
            for k in range(0, steps, depth):
                count = min(depth, steps - k)
                mode = ADD if accumulate or k > 0 or bias.shape[0] > 0 else STORE
                begin = g * b_steps.batch + k * b_steps.row
                right, right_step, right_panel = address_of(b, begin), b_steps.row * itemsize, width * itemsize
                if copied:
                    right, right_step, right_panel = address_of(copy, 0), width * itemsize, count * width * itemsize
                    for panel in range(panels):
                        pack_columns(
                            b, begin + panel * width * b_steps.column, b_steps.row, b_steps.column, count,
                            min(width, columns - panel * width), width, copy[panel * count * width :],
                        )  # fmt: skip
                for i in range(0, rows, ROWS):
                    left = address_of(a, g * a_steps.batch + i * a_steps.row + k * a_steps.column)
                    goals = address_of(out, g * out_steps.batch + i * out_steps.row)
                    for panel in range(panels):
                        factors, results = right + panel * right_panel, goals + panel * width * itemsize
                        used = min(width, columns - panel * width)
                        if rows == 1:
                            line(
                                left, 0, a_steps.column * itemsize, 1, factors, right_step, count, results, 0, used, mode
                            )  # fmt: skip
                        else:
                            tile(
                                left, a_steps.row * itemsize, a_steps.column * itemsize, min(ROWS, rows - i),
                                factors, right_step, count, results, out_steps.row * itemsize, used, mode,
                            )  # fmt: skip

    return multiply_small


def plan_small(
    b: PlanBuilder, left: Matrices, right: Matrices, out: Matrices, *, m: int, n: int, k: int, batch: int,
    bias: Operand | None, accumulate: bool,
) -> bool:  # fmt: skip
    """Add the launch of `plan_gemm`, if the matrices are small and this form is the fastest: whether it is."""
    dtype, code = out.operand.spec.dtype, out.operand.code
    biases = n
    if n == 1 and out.row == 1:  # a column is written as a row
        left, right, m, n = right.transposed, left.transposed, n, m
    width = target.host_target().lanes(dtype.itemsize)
    tiles, panels = -(-m // ROWS), -(-n // width)
    steps = tiles * panels * k
    in_place = right.column == 1 and n % width == 0
    depth = min(k, DEPTH)
    copied = 0 if in_place else panels * width * depth
    most = MOST_OF_LINE if min(m, n) == 1 else MOST_OF_NARROW if n <= NARROW and right.column == 1 else MOST_STEPS
    if steps * batch <= 0 or steps > most:
        return False
    if panels > 1 if in_place else (right.column != 1 and n * k > tiles * MOST_TURNED):
        return False
    copies = b.scratch(dtype, copied, per_worker=True)
    cost = steps * STEP_COST + copied * -(-k // DEPTH)
    b.launch(
        small_kernel(code), left.array, right.array, bias.array(biases) if bias else copies.array(0), out.array, copies.flat,
        Small(m, n, k, depth, copied), left.steps, right.steps, out.steps, int(accumulate),
        work=batch, grain=GRAIN_COST // cost + 1, cost=batch * cost,
    )  # fmt: skip
    return True
