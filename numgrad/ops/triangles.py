"""Plans of factors and solutions: those of large matrices are made of halves, so that most of the work is products of matrices.

When half of the columns or rows is done, what it takes from the other half is one product (Toledo, 1997, "Locality of reference in
LU decomposition with partial pivoting"). So all threads have work even for a single matrix.
"""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple

from numgrad import dtypes
from numgrad.kernels.triangles import (
    COLUMNS,
    add_logarithms,
    cholesky,
    eliminate,
    exchange_rows,
    first_failure,
    multiply_diagonals,
    panel_kernel,
    plan_band,
    spoil,
    substitute,
    substitute_few,
    write_identity,
)
from numgrad.layout import contiguous_strides, product
from numgrad.ops.layouts import contiguous, plan_copy
from numgrad.ops.stacks import Rooms, Stack, copy_of, cuts, middle_of, part_of, plan_move, stack_of
from numgrad.runtime.kernel import Kernel
from numgrad.runtime.plan import STATUS, Operand, PlanBuilder, grain_of

WHOLE = 128  # rows of matrices that are not cut
BLOCK = 64  # rows of larger ones that are solved one after the other
PANEL = 32  # columns of these that are eliminated one after the other
STEP = 64  # columns of a Cholesky factor that are taken from those behind them in one product
FEW = 4  # right sides that are solved one by one


# ---- substitution -----------------------------------------------------------------------------------------------


def plan_substitute(
    b: PlanBuilder, a: Operand, out: Operand, upper: bool, unit: bool, rooms: Rooms | None = None
) -> None:
    """``out`` [..., n, k], contiguous, becomes X of A X = out, for A [..., n, n], of which one triangle is read.

    Scratch memory is taken from ``rooms``, if there are some already.
    """
    sides = stack_of(b, out)
    if sides.batch * sides.m * sides.n == 0:
        return
    if sides.n <= FEW:
        _plan_few(b, stack_of(b, contiguous(b, a)), sides, upper, unit)
    elif sides.m <= WHOLE:
        _plan_block(b, stack_of(b, contiguous(b, a)), sides, upper, unit, 0)
    else:
        block = part_of(sides.m, BLOCK)
        _Substitution(rooms or Rooms(b, sides), stack_of(b, a), sides, upper, unit, block).rows(0, sides.m)


class _Substitution(NamedTuple):
    """How solutions of large triangles replace their right sides."""

    rooms: Rooms
    a: Stack
    sides: Stack
    upper: bool
    unit: bool
    block: int  # rows that are not cut

    def rows(self, first: int, last: int) -> None:
        """Rows of the solution, from what the others left of the right sides."""
        b, a, sides, size = self.rooms.b, self.a, self.sides, last - first
        if size <= self.block:
            with self.rooms.room(size, size) as block:
                plan_move(b, a.matrices(first, first), block.matrices(), block)
                _plan_block(b, block, sides, self.upper, self.unit, first)
            return
        middle = middle_of(first, last)
        halves = [(first, middle), (middle, last)]
        (begin, end), (left, right) = reversed(halves) if self.upper else halves
        self.rows(begin, end)
        with self.rooms.room(end - begin, sides.n) as solved:
            plan_move(b, sides.matrices(begin), solved.matrices(), solved, -1.0)
            self.rooms.plan_gemm(
                a.matrices(left, begin), solved.matrices(), sides.matrices(left),
                m=right - left, n=sides.n, k=end - begin, batch=sides.batch, accumulate=True,
            )  # fmt: skip
        self.rows(left, right)


def _plan_block(b: PlanBuilder, a: Stack, sides: Stack, upper: bool, unit: bool, first: int) -> None:
    n, blocks = a.m, -(-sides.n // COLUMNS)
    cost = n * n * min(sides.n, COLUMNS) // 16 + n + 8
    b.launch(
        substitute, a.array, sides.array, blocks, int(upper), int(unit), first,
        work=a.batch * blocks, grain=grain_of(cost), cost=a.batch * blocks * cost,
    )  # fmt: skip


def _plan_few(b: PlanBuilder, a: Stack, sides: Stack, upper: bool, unit: bool) -> None:
    cost = a.m * a.m // 8 + 8 * a.m + 8
    with Rooms(b, sides).room(sides.n, sides.m) if sides.n > 1 else contextlib.nullcontext(sides.transposed) as rows:
        if sides.n > 1:
            plan_copy(b, sides.transposed.operand, rows.operand)
        b.launch(
            substitute_few, a.array, rows.array, int(upper), int(unit),
            work=a.batch * sides.n, grain=grain_of(cost), cost=a.batch * sides.n * cost,
        )  # fmt: skip
        if sides.n > 1:
            plan_copy(b, rows.transposed.operand, sides.operand)


# ---- elimination ------------------------------------------------------------------------------------------------


def plan_eliminate(
    b: PlanBuilder,
    out: Operand,
    pivots: Operand,
    info: Operand,
    pivot: bool,
    check_errors: bool,
    rooms: Rooms | None = None,
) -> None:
    """``out`` [..., m, n], contiguous, becomes L and U; ``pivots`` [..., min(m, n)] and ``info`` [...] are of int32.

    With ``check_errors`` the status says which matrix has no pivot in which column. ``rooms``: as for `plan_substitute`.
    """
    whole = stack_of(b, out)
    least = min(whole.m, whole.n)
    if not whole.batch:
        return
    exchanged, failed = pivots.array(whole.batch, least), info.array(whole.batch)
    if least <= WHOLE:
        _plan_elimination(b, eliminate, whole, exchanged, failed, pivot, 0)
    else:
        elimination = _Elimination(rooms or Rooms(b, whole), whole, exchanged, failed, pivot)
        elimination.columns(0, least)
        elimination.behind(0, least, whole.n)
    if check_errors:
        _plan_check(b, info, whole.batch, out)


def _plan_elimination(
    b: PlanBuilder, kernel: Kernel, panel: Stack, exchanged: Any, failed: Any, pivot: bool, first: int
) -> None:
    cost = min(panel.m, panel.n) * panel.m * panel.n // 8 + panel.m * panel.n + 8
    b.launch(
        kernel, panel.array, exchanged, failed, int(pivot), first,
        work=panel.batch, grain=grain_of(cost), cost=panel.batch * cost,
    )  # fmt: skip


class _Elimination(NamedTuple):
    """How large matrices are replaced by their factors."""

    rooms: Rooms
    whole: Stack
    exchanged: Any
    failed: Any
    pivot: bool

    def columns(self, first: int, last: int) -> None:
        """Columns, from what those before left; rows are exchanged in them, and in no others."""
        b, whole = self.rooms.b, self.whole
        if last - first <= part_of(min(whole.m, whole.n), PANEL):
            columns = whole.part((first, whole.m), (first, last))
            with self.rooms.room(last - first, whole.m - first) as panel:
                plan_copy(b, columns, panel.transposed.operand)
                kernel = panel_kernel(whole.operand.code)
                _plan_elimination(b, kernel, panel, self.exchanged, self.failed, self.pivot, first)
                plan_copy(b, panel.transposed.operand, columns)
            return
        middle = middle_of(first, last)
        self.columns(first, middle)
        self.behind(first, middle, last)
        self.columns(middle, last)
        if self.pivot:
            _plan_exchange(b, self.exchanged, whole, (middle, last), (first, middle))

    def behind(self, first: int, last: int, end: int) -> None:
        """What the columns ``first`` to ``last`` take from those behind them, up to ``end``."""
        b, whole = self.rooms.b, self.whole
        size, width = last - first, end - last
        if not width:
            return
        if self.pivot:
            _plan_exchange(b, self.exchanged, whole, (first, last), (last, end))
        right = whole.matrices(first, last)
        with self.rooms.room(size, width) as beside:
            plan_move(b, right, beside.matrices(), beside)
            head = Stack(whole.part((first, last), (first, last)), whole.batch, size, size)
            _Substitution(self.rooms, head, beside, False, True, part_of(whole.n, BLOCK)).rows(0, size)
            plan_move(b, beside.matrices(), right, beside)
            if last < whole.m:
                plan_move(b, beside.matrices(), beside.matrices(), beside, -1.0)
                self.rooms.plan_gemm(
                    whole.matrices(last, first), beside.matrices(), whole.matrices(last, last),
                    m=whole.m - last, n=width, k=size, batch=whole.batch, accumulate=True,
                )  # fmt: skip


def _plan_exchange(
    b: PlanBuilder, exchanged: Any, sides: Stack, rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    cost = (rows[1] - rows[0]) * (columns[1] - columns[0]) // 4 + 8
    b.launch(
        exchange_rows, exchanged, sides.array, *rows, *columns,
        work=sides.batch, grain=grain_of(cost), cost=sides.batch * cost,
    )  # fmt: skip


def _plan_check(b: PlanBuilder, info: Operand, count: int, out: Operand) -> None:
    """The status of the first matrix that failed."""
    is_batch = int(out.spec.ndim > 2)
    b.launch(first_failure, info.array(count), STATUS, is_batch, work=1, grain=1, cost=count)


def plan_solve(b: PlanBuilder, a: Operand, out: Operand, info: Operand, check_errors: bool, inverse: bool) -> None:
    """``out`` [..., n, k] becomes X of A X = out, or the inverse of A [..., n, n]; NaN where A is singular.

    All are contiguous; ``a`` is overwritten by its factors. ``info`` [...] of int32 says which column has no pivot, or is 0.
    """
    sides = stack_of(b, out)
    count, n = sides.batch, sides.m
    pivots = b.scratch(dtypes.int32, count * n)
    shape = (*a.spec.shape[:-2], n)
    pivots = pivots.view(shape, contiguous_strides(shape))
    rooms = Rooms(b, sides)
    plan_eliminate(b, a, pivots, info, True, check_errors, rooms)
    cost = n * sides.n + 8
    each: dict[str, Any] = {"work": count if n * sides.n else 0, "grain": grain_of(cost), "cost": count * cost}
    if inverse:
        b.launch(write_identity, sides.array, **each)
    _plan_exchange(b, pivots.array(count, n), sides, (0, n), (0, sides.n))
    plan_substitute(b, a, out, False, True, rooms)
    plan_substitute(b, a, out, True, False, rooms)
    b.launch(spoil, info.array(count), sides.array, **each)


def plan_determinants(b: PlanBuilder, a: Operand, *outputs: Operand) -> None:
    """Determinants of ``a`` [..., n, n], or their signs and logarithms."""
    shape = tuple(a.spec.shape)
    count, n = product(shape[:-2]), shape[-1]
    factors, pivots = copy_of(b, a), b.scratch(dtypes.int32, count * n)
    plan_eliminate(b, factors, pivots, b.scratch(dtypes.int32, count), True, check_errors=False)
    b.launch(
        multiply_diagonals if len(outputs) == 1 else add_logarithms,
        factors.array(count, n, n), pivots.array(count, n), *(out.array(count) for out in outputs),
        work=count, grain=grain_of(8 * n + 8), cost=count * (8 * n + 8),
    )  # fmt: skip


# ---- Cholesky ---------------------------------------------------------------------------------------------------


def plan_cholesky(b: PlanBuilder, a: Operand, out: Operand, info: Operand, upper: bool, check_errors: bool) -> None:
    """``out`` becomes the triangular factor of ``a`` [..., n, n], contiguous; ``info`` [...] is of int32.

    With ``check_errors`` the status says which matrix has no factor, and the order of its part that fails.
    """
    results = stack_of(b, out)
    count, n = results.batch, results.m
    if not count:
        return
    if n <= WHOLE:
        _plan_factor(b, stack_of(b, contiguous(b, a)), results, info, upper, 0)
    else:
        source, rooms = stack_of(b, a), Rooms(b, results)
        with rooms.room(n, n) if upper else contextlib.nullcontext(results) as factors:
            plan_copy(b, (source.transposed if upper else source).operand, factors.operand)
            for first, last in cuts(n, part_of(n, STEP)):
                _plan_factor_columns(rooms, factors, info, first, last)
            if upper:
                plan_copy(b, factors.transposed.operand, results.operand)
        plan_band(b, results.operand, results.operand, 0 if upper else -n, n if upper else 0, 1.0)
        cost = n * n + 8
        b.launch(spoil, info.array(count), results.array, work=count, grain=grain_of(cost), cost=count * cost)
    if check_errors:
        _plan_check(b, info, count, out)


def _plan_factor(b: PlanBuilder, a: Stack, out: Stack, info: Operand, upper: bool, first: int) -> None:
    cost = a.m * a.m * a.m // 12 + a.m * a.m + 8
    b.launch(
        cholesky, a.array, out.array, info.array(a.batch), int(upper), first,
        work=a.batch, grain=grain_of(cost), cost=a.batch * cost,
    )  # fmt: skip


def _plan_factor_columns(rooms: Rooms, factors: Stack, info: Operand, first: int, last: int) -> None:
    """Columns of the lower factor, and what they take from those behind them."""
    b, size, rest = rooms.b, last - first, factors.n - last
    with rooms.room(size, size) as block, rooms.room(size, size) as factor:
        head = factors.matrices(first, first)
        plan_move(b, head, block.matrices(), block)
        _plan_factor(b, block, factor, info, False, first)
        plan_move(b, factor.matrices(), head, block)
        if not rest:
            return
        with rooms.room(size, rest) as below, rooms.room(size, rest) as negative:  # transposes of what is below
            columns = factors.part((last, factors.n), (first, last))
            plan_copy(b, columns, below.transposed.operand)
            _Substitution(rooms, factor, below, False, False, part_of(factors.n, BLOCK)).rows(0, size)
            plan_copy(b, below.transposed.operand, columns)
            plan_move(b, below.matrices(), negative.matrices(), below, -1.0)
            for left, right in cuts(rest, 4 * max(size, STEP)):
                rooms.plan_gemm(
                    negative.matrices(0, left).transposed, below.matrices(0, left),
                    factors.matrices(last + left, last + left),
                    m=rest - left, n=right - left, k=size, batch=factors.batch, accumulate=True,
                )  # fmt: skip
