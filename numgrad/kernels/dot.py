"""The sum of the products of two vectors."""

from __future__ import annotations

from numgrad.runtime.kernel import kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder

PART = 1 << 14  # products that are added in the vectors' own type


@kernel("T[:], T[:], i8, i8, i8, T[:]", reassociate=True)
def sum_products(x, y, count, x_step, y_step, sums, start, stop):
    """``sums[i]`` is the sum of part i; work: parts."""
    for part in range(start, stop):
        first = part * PART
        left = min(PART, count - first)
        total = sums.dtype.type(0)
        if x_step == 1 and y_step == 1:
            v, w = x[first:][:left], y[first:][:left]
            for i in range(v.shape[0]):
                total += v[i] * w[i]
        else:
            for i in range(first, first + left):
                total += x[i * x_step] * y[i * y_step]
        sums[part] = total


@kernel("T[:], T[:]")
def add_sums(sums, out, start, stop):
    """``out[0]`` is the sum of all."""
    total = sums[0] * 0
    for i in range(sums.shape[0]):
        total += sums[i]
    out[0] = total


def plan_dot(b: PlanBuilder, x: Operand, y: Operand, out: Operand) -> None:
    """``out = sum(x * y)`` for vectors of one dtype and any strides."""
    (count,) = x.spec.shape
    parts = max(1, -(-count // PART))
    sums = b.scratch(x.spec.dtype, parts) if parts > 1 else out
    b.launch(
        sum_products, x.array(x.extent), y.array(y.extent), count, x.spec.strides[0], y.spec.strides[0], sums.array(parts),
        work=parts, grain=max(1, GRAIN_COST // PART), cost=count + 1,
    )  # fmt: skip
    if parts > 1:
        b.launch(add_sums, sums.array(parts), out.array(1), work=1, grain=1, cost=parts)
