"""Products of small matrices in one launch: what prepares the large ones (tables of addresses, panels) would take longer."""

from __future__ import annotations

import functools
from typing import NamedTuple

from numgrad.kernels.gemm_layout import Matrices, Steps
from numgrad.runtime import simd, target
from numgrad.runtime.kernel import Kernel, kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder
from numgrad.runtime.simd import ADD, STORE, address_of

ROWS = 8  # of a register tile, of one vector of columns; as many sums as hide the latency of one
MOST_STEPS = 1 << 10  # of all tiles: about 2 us
MOST_OF_LINE = 1 << 6  # the same, for a single row or column: most of a tile is not used
MOST_SUM = 256  # products of a sum, which are added one after the other
MOST_COPIED = 1 << 9  # elements of the right operand that are copied, for each tile of rows that reads them
STEP_COST = 16  # elementary operations of a tile's step


class Small(NamedTuple):
    """Sizes of a product of small matrices, and the elements of the copy of the right one, 0 if it is read in place."""

    rows: int
    columns: int
    sum: int
    copied: int


@functools.cache
def small_kernel(code: str) -> Kernel:
    """The kernel for one dtype."""
    itemsize = 4 if code == "f4" else 8
    width = target.host_target().lanes(itemsize)
    line = simd.strided_tile(code, 1, 1)
    tile, transpose, put = simd.strided_tile(code, ROWS, 1), simd.transpose_tile(code), simd.copy_tile(code, 1)
    floats = f"{code}[:], " * 5

    @kernel(f"{floats} Small, Steps, Steps, Steps, i8", Small, Steps)
    def multiply_small(a, b, bias, out, copies, sizes, a_steps, b_steps, out_steps, accumulate, start, stop, worker):
        """``out[g, i, j] (+)= sum_p a[g, i, p] * b[g, p, j] + bias[j]``; an item is a matrix."""
        rows, columns, count, copied = sizes
        panels = (columns + width - 1) // width
        copy = copies[worker * copied : (worker + 1) * copied]
        mode = ADD if accumulate or bias.shape[0] > 0 else STORE
        for g in range(start, stop):
            right, right_step, right_panel = address_of(b, g * b_steps.batch), b_steps.row * itemsize, width * itemsize
            if copied:
                right, right_step, right_panel = address_of(copy, 0), width * itemsize, count * width * itemsize
                for panel in range(panels):
                    begin = g * b_steps.batch + panel * width * b_steps.column
                    goal = copy[panel * count * width : (panel + 1) * count * width]
                    used = min(width, columns - panel * width)
                    squares = count // width * width if used == width and b_steps.row == 1 else 0
                    for p in range(0, squares, width):
                        transpose(
                            address_of(b, begin + p),
                            b_steps.column * itemsize,
                            address_of(goal, p * width),
                            width * itemsize,
                        )
                    for j in range(used):
                        source = begin + j * b_steps.column
                        for p in range(squares, count):
                            goal[p * width + j] = b[source + p * b_steps.row]
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
            for i in range(0, rows, ROWS):
                left = address_of(a, g * a_steps.batch + i * a_steps.row)
                goals = address_of(out, g * out_steps.batch + i * out_steps.row)
                for panel in range(panels):
                    factors, results = right + panel * right_panel, goals + panel * width * itemsize
                    used = min(width, columns - panel * width)
                    if rows == 1:
                        line(left, 0, a_steps.column * itemsize, 1, factors, right_step, count, results, 0, used, mode)
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
    copied = 0 if in_place else panels * width * k
    if steps * batch <= 0 or k > MOST_SUM or steps > (MOST_OF_LINE if min(m, n) == 1 else MOST_STEPS):
        return False
    if panels > 1 if in_place else n * k > tiles * MOST_COPIED:
        return False
    copies = b.scratch(dtype, copied, per_worker=True)
    b.launch(
        small_kernel(code), left.array, right.array, bias.array(biases) if bias else copies.array(0), out.array, copies.flat,
        Small(m, n, k, copied), left.steps, right.steps, out.steps, int(accumulate),
        work=batch, grain=GRAIN_COST // (steps * STEP_COST + copied) + 1, cost=batch * (steps * STEP_COST + copied),
    )  # fmt: skip
    return True
