"""Plans of QR factors: those of large matrices take a few reflections at a time, so that most of the work is products.

Such a block of reflections is I - V^T T V (Schreiber and Van Loan, 1989), for the rows V of vectors and a triangle T.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from numgrad.kernels.reflections import begin_vectors, join_factors, multiply_reflections, panel_reflector, reflect
from numgrad.kernels.triangles import write_identity
from numgrad.ops.layouts import plan_copy
from numgrad.ops.stacks import Rooms, Stack, cuts, part_of, stack_of
from numgrad.runtime.plan import Operand, PlanBuilder, grain_of

WHOLE = 64  # rows or columns, the fewer of them, of matrices that are not cut
BLOCK = 32  # reflections at a time


def plan_reflect(b: PlanBuilder, a: Operand, tau: Operand) -> None:
    """``a`` [..., m, n] becomes R and reflections, ``tau`` [..., min(m, n)]; both contiguous."""
    whole = stack_of(b, a)
    least = min(whole.m, whole.n)
    if whole.batch * least == 0:
        return
    taus = tau.array(whole.batch, least)
    if least <= WHOLE:
        cost = least * whole.m * whole.n // 4 + whole.m * whole.n + 8
        b.launch(
            reflect, whole.array, taus, b.scratch(a.spec.dtype, whole.n, per_worker=True).flat,
            work=whole.batch, grain=grain_of(cost), cost=whole.batch * cost,
        )  # fmt: skip
        return
    rooms = Rooms(b, whole)
    for first, last in cuts(least, part_of(least, BLOCK)):
        size, rows = last - first, whole.m - first
        columns = whole.part((first, whole.m), (first, last))
        with rooms.room(size, rows) as panel:
            plan_copy(b, columns, panel.transposed.operand)
            cost = size * size * rows // 4 + 8 * size * rows + 8
            b.launch(
                panel_reflector(a.code), panel.array, taus, first,
                work=whole.batch, grain=grain_of(cost), cost=whole.batch * cost,
            )  # fmt: skip
            plan_copy(b, panel.transposed.operand, columns)
            if last < whole.n:
                with _joined(rooms, panel, taus, first) as joined:
                    _plan_block(rooms, panel, joined.transposed, whole, (first, last))


def plan_multiply_reflections(b: PlanBuilder, a: Operand, tau: Operand, out: Operand) -> None:
    """``out`` [..., m, k] gets the first columns of Q, of what `plan_reflect` leaves; all contiguous."""
    whole, q = stack_of(b, a), stack_of(b, out)
    least = min(whole.m, whole.n)
    if q.batch * q.m * q.n == 0:
        return
    taus = tau.array(whole.batch, least)
    if least <= WHOLE:
        cost = least * q.m * q.n // 4 + q.m * q.n + 8
        b.launch(
            multiply_reflections, whole.array, taus, q.array, b.scratch(a.spec.dtype, q.n, per_worker=True).flat,
            work=q.batch, grain=grain_of(cost), cost=q.batch * cost,
        )  # fmt: skip
        return
    cost = q.m * q.n // 8 + 8
    b.launch(write_identity, q.array, work=q.batch, grain=grain_of(cost), cost=q.batch * cost)
    rooms = Rooms(b, whole)
    for first, last in reversed(cuts(least, part_of(least, BLOCK))):
        with rooms.room(last - first, whole.m - first) as panel:
            plan_copy(b, whole.part((first, whole.m), (first, last)), panel.transposed.operand)
            with _joined(rooms, panel, taus, first) as joined:
                _plan_block(rooms, panel, joined, q, (first, first))


@contextlib.contextmanager
def _joined(rooms: Rooms, panel: Stack, taus: Any, first: int) -> Iterator[Stack]:
    """-T of the reflections that lie in a panel, which becomes their V."""
    b, size = rooms.b, panel.m
    cost = size * size + 8
    b.launch(begin_vectors, panel.array, work=panel.batch, grain=grain_of(cost), cost=panel.batch * cost)
    with rooms.room(size, size) as joined:
        with rooms.room(size, size) as inner:
            rooms.plan_gemm(
                panel.matrices(), panel.matrices().transposed, inner.matrices(),
                m=size, n=size, k=panel.n, batch=panel.batch,
            )  # fmt: skip
            cost = size * size * size // 6 + 8
            b.launch(
                join_factors, inner.array, taus, joined.array, first,
                work=panel.batch, grain=grain_of(cost), cost=panel.batch * cost,
            )  # fmt: skip
        yield joined


def _plan_block(rooms: Rooms, vectors: Stack, joined: Stack, target: Stack, corner: tuple[int, int]) -> None:
    """The target from a row and column on gets V^T (-T) V of itself added, or with the transpose of T the reverse of that."""
    size, rows = vectors.m, vectors.n
    width = target.n - corner[1]
    if width <= 0:
        return
    reached = target.matrices(*corner)
    with rooms.room(size, width) as inner, rooms.room(size, width) as scaled:
        each: dict[str, Any] = {"n": width, "batch": vectors.batch}
        rooms.plan_gemm(vectors.matrices(), reached, inner.matrices(), m=size, k=rows, **each)
        rooms.plan_gemm(joined.matrices(), inner.matrices(), scaled.matrices(), m=size, k=size, **each)
        rooms.plan_gemm(
            vectors.matrices().transposed, scaled.matrices(), reached, m=rows, k=size, accumulate=True, **each
        )  # fmt: skip
