"""For each element of a row the product of the others: the derivative of a product."""

from __future__ import annotations

import numpy as np

from numgrad import dtypes
from numgrad.runtime.kernel import device, kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder


@device
def halfway(a, b, p, q, y, z):
    """Of two rows at once, each from both of its ends: a product waits for the one before it, and these are four.

    Up to the middle the products that each end has met are noted, and beyond it they meet those of the other end.
    """
    count = a.shape[0]
    f, g, h, k = 1.0, 1.0, 1.0, 1.0  # from the begin and the end of a, and of b
    for step in range(count // 2):
        i, j = np.uint64(step), np.uint64(count - 1 - step)
        p[i], p[j], q[i], q[j] = f, g, h, k
        f, g, h, k = f * a[i], g * a[j], h * b[i], k * b[j]
    if count % 2:
        i = np.uint64(count // 2)
        y[i], z[i] = f * g, h * k
        f, g, h, k = f * a[i], g * a[i], h * b[i], k * b[i]
    for step in range((count + 1) // 2, count):
        i, j = np.uint64(step), np.uint64(count - 1 - step)
        y[i], y[j], z[i], z[j] = p[i] * f, p[j] * g, q[i] * h, q[j] * k
        f, g, h, k = f * a[i], g * a[j], h * b[i], k * b[j]


@kernel("T[:], T[:], f8[:], i8")
def products_of_others(x, out, ahead, count, start, stop, worker):
    """Work: rows of ``count`` elements. The product of the elements before each, then times that of those behind it."""
    p = ahead[2 * worker * count : (2 * worker + 1) * count]
    q = ahead[(2 * worker + 1) * count : 2 * (worker + 1) * count]
    for row in range(start, stop, 2):
        other = min(row + 1, stop - 1)
        here, there = row * count, other * count
        halfway(
            x[here : here + count], x[there : there + count], p, q, out[here : here + count], out[there : there + count]
        )


def plan_products_of_others(b: PlanBuilder, x: Operand, out: Operand) -> None:
    """``x`` and ``out`` are contiguous, of shape [rows, count]."""
    rows, count = x.spec.shape
    ahead = b.scratch(dtypes.float64, 2 * count, per_worker=True)
    b.launch(
        products_of_others, x.flat, out.flat, ahead.flat, count,
        work=rows, grain=max(1, GRAIN_COST // (8 * count + 1)), cost=8 * rows * count,
    )  # fmt: skip
