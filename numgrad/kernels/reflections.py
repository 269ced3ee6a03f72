"""QR factors of small matrices by Householder's reflections, as LAPACK's ``geqr2`` and ``org2r`` have them.

NumPy computes them in float64 whatever the dtype, and one call takes longer than a small matrix does. Of large ones its blocks
are faster. Rows are read as they lie: a reflection is applied by a sum of rows, and then subtracted from each.
"""

from __future__ import annotations

import math

from numgrad.layout import product
from numgrad.runtime.kernel import device, kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder

MOST = 256  # rows or columns, the fewer of them


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


@kernel("T[:, :, :], T[:, :, :]")
def copy_upper(matrices, out, start, stop):
    """Work: matrices. ``out`` gets the first rows of the upper triangles, and zeros below."""
    for number in range(start, stop):
        for i in range(out.shape[1]):
            source, line = matrices[number, i], out[number, i]
            for c in range(line.shape[0]):
                line[c] = source[c] if c >= i else 0


def plan_reflect(b: PlanBuilder, a: Operand, tau: Operand) -> None:
    """``a`` [..., m, n] becomes R and reflections, ``tau`` [..., min(m, n)]; both contiguous."""
    *batch, m, n = a.spec.shape
    count, least = product(batch), min(m, n)
    cost = least * m * n // 4 + m * n + 8
    b.launch(
        reflect, a.array(count, m, n), tau.array(count, least), b.scratch(a.spec.dtype, n, per_worker=True).flat,
        work=count if least else 0, grain=GRAIN_COST // cost + 1, cost=count * cost,
    )  # fmt: skip


def plan_multiply_reflections(b: PlanBuilder, a: Operand, tau: Operand, out: Operand) -> None:
    """``out`` [..., m, k] gets the first columns of Q, of what `plan_reflect` leaves; all contiguous."""
    *batch, m, n = a.spec.shape
    count, columns, least = product(batch), out.spec.shape[-1], tau.spec.shape[-1]
    cost = least * m * columns // 4 + m * columns + 8
    b.launch(
        multiply_reflections, a.array(count, m, n), tau.array(count, least), out.array(count, m, columns),
        b.scratch(a.spec.dtype, columns, per_worker=True).flat,
        work=count if m * columns else 0, grain=GRAIN_COST // cost + 1, cost=count * cost,
    )  # fmt: skip


def plan_copy_upper(b: PlanBuilder, a: Operand, out: Operand) -> None:
    """``out`` [..., k, n] gets the upper triangles of ``a`` [..., m, n]; both contiguous."""
    *batch, m, n = a.spec.shape
    count, rows = product(batch), out.spec.shape[-2]
    b.launch(
        copy_upper, a.array(count, m, n), out.array(count, rows, n),
        work=count if rows * n else 0, grain=GRAIN_COST // (rows * n + 8) + 1, cost=count * (rows * n + 8),
    )  # fmt: skip
