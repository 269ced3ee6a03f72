"""QR factors by Householder's reflections, as LAPACK's ``geqr2`` and ``org2r`` have them.

Rows are read as they lie: a reflection is applied by a sum of rows, and then subtracted from each. Of large matrices, which
`ops.reflections` cuts, a few columns are reflected that lie in rows each; what they change beside them are products.
"""

from __future__ import annotations

import functools
import math

from numgrad.kernels.triangles import SIZES
from numgrad.layout import product
from numgrad.runtime.kernel import Kernel, device, kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder


@device
def begin_reflection(a, j):
    """Replace column j of ``a`` from the diagonal on by beta and v[1:], of H = 1 - tau v v^T; tau."""
    top, big = a[j, j], abs(a[j, j])
    for i in range(j + 1, a.shape[0]):
        if abs(a[i, j]) > big:
            big = abs(a[i, j])
    scale, total = big if big > 0 else big * 0 + 1, 0.0
    for i in range(j + 1, a.shape[0]):
        part = a[i, j] / scale
        total += part * part
    if total == 0:
        return a.dtype.type(0)
    first = top / scale
    norm = a.dtype.type(scale * math.sqrt(first * first + total)) if big < math.inf else big
    beta = -norm if top >= 0 else norm
    for i in range(j + 1, a.shape[0]):
        a[i, j] /= top - beta
    a[j, j] = beta
    return (beta - top) / beta


@device
def apply_reflection(a, j, tau, target, first, sums):
    """``target -= tau v (v^T target)`` from column ``first`` on, for the reflection that lies in column j of ``a``."""
    head, rows = target[j, first:], a.shape[0]
    w = sums[: head.shape[0]]
    for c in range(w.shape[0]):
        w[c] = head[c]
    whole = j + 1 + (rows - j - 1) // 4 * 4
    for i in range(j + 1, whole, 4):
        v0, v1, v2, v3 = a[i, j], a[i + 1, j], a[i + 2, j], a[i + 3, j]
        r0, r1, r2, r3 = target[i, first:], target[i + 1, first:], target[i + 2, first:], target[i + 3, first:]
        for c in range(w.shape[0]):
            w[c] += (v0 * r0[c] + v1 * r1[c]) + (v2 * r2[c] + v3 * r3[c])
    for i in range(whole, rows):
        v0, r0 = a[i, j], target[i, first:]
        for c in range(w.shape[0]):
            w[c] += v0 * r0[c]
    for c in range(w.shape[0]):
        w[c] *= tau
        head[c] -= w[c]
    for i in range(j + 1, rows):
        v0, r0 = a[i, j], target[i, first:]
        for c in range(w.shape[0]):
            r0[c] -= v0 * w[c]


@kernel("T[:, :, :], T[:, :], T[:]")
def reflect(matrices, taus, sums, start, stop, worker):
    """Work: matrices, each replaced by R and, below it, the reflections; ``taus`` are their factors."""
    columns = matrices.shape[2]
    sums = sums[worker * columns : (worker + 1) * columns]
    for number in range(start, stop):
        a, factors = matrices[number], taus[number]
        for j in range(factors.shape[0]):
            tau = begin_reflection(a, j)
            factors[j] = tau
            if tau != 0:
                apply_reflection(a, j, tau, a, j + 1, sums)


@kernel("T[:, :, :], T[:, :], T[:, :, :], T[:]")
def multiply_reflections(matrices, taus, out, sums, start, stop, worker):
    """Work: matrices. ``out`` gets the first columns of the product of the reflections."""
    columns = out.shape[2]
    sums = sums[worker * columns : (worker + 1) * columns]
    for number in range(start, stop):
        a, factors, q = matrices[number], taus[number], out[number]
        for i in range(q.shape[0]):
            line = q[i]
            for c in range(line.shape[0]):
                line[c] = 0
            if i < line.shape[0]:
                line[i] = 1
        for j in range(factors.shape[0] - 1, -1, -1):
            if factors[j] != 0:
                apply_reflection(a, j, factors[j], q, j, sums)


@functools.cache
def panel_reflector(code: str) -> Kernel:
    """`reflect` for a few columns of one dtype, each of which lies in a row; ``taus`` are those from ``first`` on."""
    bits_of, size_of = SIZES[code]

    @kernel(f"{code}[:, :, :], {code}[:, :], i8", reassociate=True)
    def reflect_panel(panels, taus, first, start, stop):
        for number in range(start, stop):
            a, factors = panels[number], taus[number, first:]
            columns, rows = a.shape
            for j in range(min(columns, rows)):
                top, below = a[j, j], a[j, j + 1 :]
                largest = bits_of(top)
                for i in range(below.shape[0]):
                    largest = max(largest, bits_of(below[i]))
                big = size_of(largest)
                scale = big if big > 0 else big * 0 + 1  # a NaN stays one
                total = a.dtype.type(0)
                for i in range(below.shape[0]):
                    part = below[i] / scale
                    total += part * part
                if total == 0:
                    factors[j] = 0
                    continue
                ratio = top / scale
                norm = scale * math.sqrt(ratio * ratio + total) if big < math.inf else big
                beta = -norm if top >= 0 else norm
                head = top - beta
                for i in range(below.shape[0]):
                    below[i] /= head
                tau = (beta - top) / beta
                a[j, j], factors[j] = beta, tau
                for c in range(j + 1, columns):
                    other = a[c, j + 1 :]
                    w = a.dtype.type(0)
                    for i in range(below.shape[0]):
                        w += below[i] * other[i]
                    w = (w + a[c, j]) * tau
                    a[c, j] -= w
                    for i in range(below.shape[0]):
                        other[i] -= w * below[i]

    return reflect_panel


@kernel("T[:, :, :]")
def begin_vectors(vectors, start, stop):
    """Work: matrices, of whose rows the elements before the diagonal become 0, and that on it 1."""
    for number in range(start, stop):
        a = vectors[number]
        for j in range(a.shape[0]):
            before = a[j, :j]
            for i in range(before.shape[0]):
                before[i] = 0
            if j < a.shape[1]:
                a[j, j] = 1


@kernel("T[:, :, :], T[:, :], T[:, :, :], i8")
def join_factors(inner, taus, out, first, start, stop):
    """Work: matrices. ``out`` gets -T of the product I - V^T T V of reflections, whose V V^T is ``inner`` (LAPACK's ``larft``)."""
    for number in range(start, stop):
        g, factors, y = inner[number], taus[number, first:], out[number]
        for i in range(y.shape[0]):
            line = y[i]
            for j in range(line.shape[0]):
                line[j] = 0
        for j in range(y.shape[0]):
            tau = factors[j]
            for i in range(j):
                total = y[i, i] * g[i, j]
                for k in range(i + 1, j):
                    total += y[i, k] * g[k, j]
                y[i, j] = -tau * total
            y[j, j] = -tau


@kernel("T[:, :, :], T[:, :, :]")
def copy_upper(matrices, out, start, stop):
    """Work: matrices. ``out`` gets the first rows of the upper triangles, and zeros below."""
    for number in range(start, stop):
        for i in range(out.shape[1]):
            source, line = matrices[number, i], out[number, i]
            for c in range(line.shape[0]):
                line[c] = source[c] if c >= i else 0


def plan_copy_upper(b: PlanBuilder, a: Operand, out: Operand) -> None:
    """``out`` [..., k, n] gets the upper triangles of ``a`` [..., m, n]; both contiguous."""
    *batch, m, n = a.spec.shape
    count, rows = product(batch), out.spec.shape[-2]
    b.launch(
        copy_upper, a.array(count, m, n), out.array(count, rows, n),
        work=count if rows * n else 0, grain=GRAIN_COST // (rows * n + 8) + 1, cost=count * (rows * n + 8),
    )  # fmt: skip
