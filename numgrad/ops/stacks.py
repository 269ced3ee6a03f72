"""Stacks of matrices as operands of plans: their parts, rooms for others in scratch memory, and where large ones are cut."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from numgrad.dtypes import dtype as Dtype
from numgrad.kernels.gemm import plan_gemm
from numgrad.kernels.gemm_layout import Matrices
from numgrad.kernels.triangles import move_rows
from numgrad.layout import contiguous_strides, product
from numgrad.ops.layouts import contiguous, plan_copy
from numgrad.runtime.plan import Operand, PlanBuilder, grain_of

PARTS = 32  # that a matrix is cut into at the most: a plan's launches are counted


class Stack(NamedTuple):
    """Matrices [batch, m, n]."""

    operand: Operand
    batch: int
    m: int
    n: int

    @property
    def array(self) -> Any:
        """All of them as a kernel's array; they are contiguous."""
        return self.operand.array(self.batch, self.m, self.n)

    def matrices(self, row: int = 0, column: int = 0) -> Matrices:
        """From a row and a column on, as an operand of a product."""
        step, down, right = self.operand.spec.strides
        return Matrices(self.operand, step, down, right, row * down + column * right)

    def part(self, rows: tuple[int, int], columns: tuple[int, int]) -> Operand:
        """Rows and columns from the first numbers to the second ones, as an operand of its own."""
        _, down, right = self.operand.spec.strides
        shape = self.batch, rows[1] - rows[0], columns[1] - columns[0]
        return self.operand.view(shape, self.operand.spec.strides, rows[0] * down + columns[0] * right)

    @property
    def transposed(self) -> Stack:
        """The transposes."""
        step, down, right = self.operand.spec.strides
        return Stack(self.operand.view((self.batch, self.n, self.m), (step, right, down)), self.batch, self.n, self.m)


def stack_of(b: PlanBuilder, x: Operand) -> Stack:
    """The matrices of an operand [..., m, n]; copied only if there are several, with gaps between them."""
    *batch, m, n = x.spec.shape
    count = product(batch)
    if count != 1 and len(batch) != 1:
        x = contiguous(b, x)
    if len(batch) != 1:
        down, right = x.spec.strides[-2:]
        x = x.view((count, m, n), (contiguous_strides((count, m, n))[0] if count != 1 else 0, down, right))
    return Stack(x, count, m, n)


def copy_of(b: PlanBuilder, a: Operand) -> Operand:
    """The matrices, contiguous in scratch memory."""
    shape = tuple(a.spec.shape)
    copy = b.scratch(a.spec.dtype, a.spec.numel).view(shape, contiguous_strides(shape))
    plan_copy(b, a, copy)
    return copy


class Rooms:
    """Scratch memory for as many matrices as there are in a stack. It is used again, since launches come one after the other."""

    def __init__(self, b: PlanBuilder, like: Stack) -> None:
        self.b = b
        self._count, self._dtype = like.batch, like.operand.spec.dtype
        self._free: list[Operand] = []

    @contextlib.contextmanager
    def room(self, m: int, n: int) -> Iterator[Stack]:
        """A contiguous stack of this size, until the context ends."""
        shape = self._count, m, n
        memory = self.taken(self._dtype, product(shape))
        yield Stack(memory.view(shape, contiguous_strides(shape)), *shape)
        self._free.append(memory)

    def taken(self, dtype: Dtype, count: int) -> Operand:
        """So many elements or more, until they are given back."""
        free = [each for each in self._free if each.spec.dtype is dtype]
        if not free:
            return self.b.scratch(dtype, count)
        enough = [each for each in free if each.extent >= count]
        memory = min(enough, key=lambda each: each.extent) if enough else max(free, key=lambda each: each.extent)
        self._free.remove(memory)
        return memory if enough else self.b.enlarged(memory, count)

    def plan_gemm(self, left: Matrices, right: Matrices, out: Matrices, **sizes: Any) -> None:
        """`plan_gemm`, whose own scratch memory is used again, too."""
        lender = _Lender(self)
        plan_gemm(lender, left, right, out, **sizes)  # type: ignore[arg-type]
        self._free += lender.lent


class _Lender:
    """A builder that has its scratch memory from rooms."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self.lent: list[Operand] = []
        self.workers = rooms.b.workers

    def scratch(self, dtype: Dtype, count: int, *, per_worker: bool = False) -> Operand:
        """As `PlanBuilder.scratch`."""
        extent = count * self.workers if per_worker else count
        memory = self._rooms.taken(dtype, extent)
        self.lent.append(memory)
        return memory.view((extent,), (1,))

    def launch(self, *arguments: Any, prepares: bool = False, **words: Any) -> None:
        """As `PlanBuilder.launch`; it prepares nothing for good, since other launches write the same memory."""
        self._rooms.b.launch(*arguments, **words)


def cuts(n: int, size: int) -> list[tuple[int, int]]:
    """Where the blocks of so many rows begin and end."""
    return [(first, min(first + size, n)) for first in range(0, n, size)]


def full(count: int) -> int:
    """So many rows or more, of whole vectors."""
    return -(-count // 32) * 32


def middle_of(first: int, last: int) -> int:
    """Where rows are halved."""
    return first + full(-(-(last - first) // 2))


def part_of(n: int, least: int) -> int:
    """Rows that are not cut, of so many."""
    return max(least, full(-(-n // PARTS)))


def plan_move(b: PlanBuilder, x: Matrices, out: Matrices, like: Stack, factor: float = 1.0) -> None:
    """As many rows and columns of x as a stack has, times a factor, become those of ``out``, whose columns lie side by side.

    Raises
    ------
    ValueError
        There is a factor, and the columns of x do not lie so.
    """
    if x.column != 1 and like.n > 1:
        if factor != 1:
            raise ValueError(f"plan_move: columns of x are {x.column} elements apart, expected 1 for a factor")
        shape = like.batch, like.m, like.n
        source, goal = (each.operand.view(shape, (each.batch, each.row, each.column), each.offset) for each in (x, out))
        plan_copy(b, source, goal)
        return
    cost = like.n // 8 + 8
    work = like.batch * like.m
    b.launch(
        move_rows, x.array, out.array, x.steps, out.steps, like.m, like.n, factor,
        work=work, grain=grain_of(cost), cost=work * cost,
    )  # fmt: skip
