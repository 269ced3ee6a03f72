"""For each element of a row the product of the others: the derivative of a product."""

from __future__ import annotations

from numgrad import dtypes
from numgrad.runtime.kernel import kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder


@kernel("T[:], T[:], f8[:], i8")
def products_of_others(x, out, ahead, count, start, stop):
    """Work: rows of ``count`` elements. The product of the elements before each, then times that of those behind it."""
    for row in range(start, stop):
        a, y = x[row * count : (row + 1) * count], out[row * count : (row + 1) * count]
        p = ahead[row * count : (row + 1) * count]
        product = 1.0
        for i in range(a.shape[0]):
            p[i] = product
            product *= a[i]
        product = 1.0
        for i in range(a.shape[0] - 1, -1, -1):
            y[i] = p[i] * product
            product *= a[i]


def plan_products_of_others(b: PlanBuilder, x: Operand, out: Operand) -> None:
    """``x`` and ``out`` are contiguous, of shape [rows, count]."""
    rows, count = x.spec.shape
    ahead = b.scratch(dtypes.float64, rows * count)
    b.launch(
        products_of_others, x.flat, out.flat, ahead.flat, count,
        work=rows, grain=max(1, GRAIN_COST // (8 * count + 1)), cost=8 * rows * count,
    )  # fmt: skip
