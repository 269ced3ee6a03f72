"""Reductions over arbitrary dimensions of an arbitrarily strided input.

At plan time the dimensions are sorted and merged, and a reduction takes one of three forms:

- *inner*: the elements of one output lie next to each other (or at one stride) in rows;
- *outer*: outputs lie next to each other, so that rows are added up, vectorised over the outputs;
- an input that fits neither is first gathered into dense scratch memory.

If there are too few outputs for all threads, each output's range is cut into parts. A second launch combines the partial
results in a fixed order, so that the bits depend on the shapes alone. Floating-point sums add short
blocks in the input's type and the blocks in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from numgrad.errors import ProofError
from numgrad.kernels.loops import Extents3, Extents4, Steps3, Steps4, offset3, offset4
from numgrad.kernels.reduce_kernels import (
    ALL,
    ANY,
    BLOCK,
    COLUMNS,
    FLOAT_NORM,
    FLOAT_PRODUCT,
    FLOAT_SQUARES,
    FLOAT_SUM,
    INT_PRODUCT,
    INT_SUM,
    KEPT,
    KNOWN_SUM,
    MAX,
    MIN,
    REDUCED,
    Columns,
    Kept,
    Reduced,
    Reduction,
)
from numgrad.kernels.reduce_short import plan_short_rows
from numgrad.layout import Spec, product
from numgrad.runtime.kernel import kernel
from numgrad.runtime.plan import Operand, PlanBuilder, grain_of

GATHERED = 8  # loops that the gathering kernel has room for
NARROW = 64  # columns; below, several rows are taken for one
SIDE_BY_SIDE = 256  # columns of such a row, about
MOST_EVERY = 4  # steps between columns that are read together with what lies between
PARTIAL = 1 << 15  # elements of one partial result, at least
MOST_UNITS = 64


def _reduction_of(kind: str, floating: bool) -> Reduction:
    table = {"max": MAX, "min": MIN, "any": ANY, "all": ALL, "squares": FLOAT_SQUARES, "norm": FLOAT_NORM}
    table["nansum"] = KNOWN_SUM
    if kind in ("sum", "mean"):
        return FLOAT_SUM if floating else INT_SUM
    if kind == "prod":
        return FLOAT_PRODUCT if floating else INT_PRODUCT
    return table[kind]


# ---- planning ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Loop:
    """One dimension after merging: extent, the input's stride, the output's (0 if the dimension is reduced)."""

    extent: int
    stride: int
    out_stride: int = 0


def merged(loops: list[Loop]) -> list[Loop]:
    """The same loops in the same order; neighbours that form one loop in both memories are joined."""
    result: list[Loop] = []
    for loop in loops:
        if loop.extent == 1:
            continue
        if result:
            last = result[-1]
            if last.stride == loop.extent * loop.stride and last.out_stride == loop.extent * loop.out_stride:
                result[-1] = Loop(last.extent * loop.extent, loop.stride, loop.out_stride)
                continue
        result.append(loop)
    return result


def in_memory_order(loops: list[Loop]) -> list[Loop]:
    """Outermost first; expanded dimensions (stride 0) outermost of all."""
    return sorted(loops, key=lambda loop: (loop.stride == 0, loop.stride, loop.out_stride), reverse=True)


def split_dims(x: Spec, out: Spec, dims: tuple[int, ...]) -> tuple[list[Loop], list[Loop]]:
    """Kept and reduced loops; ``out`` has the kept dimensions, or all with extents of 1 where reduced."""
    if any(not -max(x.ndim, 1) <= dim < max(x.ndim, 1) for dim in dims):
        raise IndexError(f"reduce: dims {dims} are out of range for {x.ndim} dimensions")
    reduced_dims = {dim % x.ndim for dim in dims} if x.ndim else set()
    kept_dims = [dim for dim in range(x.ndim) if dim not in reduced_dims]
    of_out = kept_dims if out.ndim == x.ndim else range(len(kept_dims))
    expected = tuple(x.shape[dim] for dim in kept_dims)
    if out.ndim not in (x.ndim, len(kept_dims)) or tuple(out.shape[dim] for dim in of_out) != expected:
        raise ProofError(
            f"reduce: out is of shape {tuple(out.shape)}, expected the dims kept of {tuple(x.shape)}: {expected}"
        )
    extents = [*zip(x.shape, x.strides, strict=True)]
    kept = [Loop(*extents[dim], out.strides[out_dim]) for dim, out_dim in zip(kept_dims, of_out, strict=True)]
    return kept, [Loop(*extents[dim]) for dim in sorted(reduced_dims)]


def _extents(loops: list[Loop], room: int) -> list[Loop]:
    return [Loop(1, 0)] * (room - len(loops)) + loops


def kept_record(kept: list[Loop]) -> Kept:
    """The record of kept loops that kernels take."""
    loops = _extents(kept, KEPT)
    return Kept(
        Extents4(*[k.extent for k in loops[1:]]),
        source=Steps4(*[k.stride for k in loops]),
        result=Steps4(*[k.out_stride for k in loops]),
    )


def reduced_record(reduced: list[Loop], count: int, part_length: int, outputs: int) -> Reduced:
    """The record of reduced loops that kernels take."""
    loops = _extents(reduced, REDUCED)
    # Without elements none is read, but a position is still divided by the extents.
    extents, steps = Extents3(*[max(1, r.extent) for r in loops[1:]]), Steps3(*[r.stride for r in loops])
    return Reduced(extents, steps, count, part_length, outputs)


def parts_of(count: int, units: int, width: int) -> tuple[int, int]:
    """How many parts each of ``units`` reductions over ``count`` steps of ``width`` elements has, and their length."""
    parts = min(MOST_UNITS // max(units, 1), count * width * units // PARTIAL)
    if parts <= 1:
        return 1, max(count, 1)
    multiple = BLOCK if width == 1 else 4
    length = -(-count // parts)
    length = -(-length // multiple) * multiple
    return -(-count // length), length


def plan_reduce(
    b: PlanBuilder, kind: str, x: Operand, out: Operand, dims: tuple[int, ...], divisor: float = 1.0
) -> None:
    """Reduce ``dims`` of ``x`` into ``out``.

    kind
        ``sum prod max min any all``, or of floating point ``mean``, ``squares`` (their sum, over ``divisor``) or ``norm``
        (the root of that sum, which may overflow float32 where the root does not).
    x
        Any shape, strides (0 too) and dtype.
    out
        The kept dimensions in their order, or all of them with extents of 1 where reduced; any strides. Its dtype is
        that of x for max and min, bool for any and all, x's or float64 for sums of floating point, int64 for others.
    """
    reduction = _reduction_of(kind, x.spec.dtype.is_floating_point)
    kept, reduced = split_dims(x.spec, out.spec, dims)
    if kind == "mean":
        divisor = 1.0 * product([r.extent for r in reduced])
    _plan(b, reduction, x, out, kept, reduced, divisor)


def dense_rows(outer: list[Loop], inner: list[Loop]) -> tuple[int, int] | None:
    """Number and length of the rows, if these lie one after the other, and so do their results."""
    if len(outer) != 1 or len(inner) != 1 or inner[0].stride != 1:
        return None
    dense = outer[0].stride == inner[0].extent and outer[0].out_stride == 1
    return (outer[0].extent, inner[0].extent) if dense else None


def _are_far_apart(kept: list[Loop], reduced: list[Loop]) -> bool:
    """Whether an output's rows are short, with those of other outputs between them."""
    if len(reduced) < 2 or not 4 <= reduced[-1].extent < BLOCK or not all(loop.stride for loop in reduced):
        return False
    return any(0 < loop.stride < reduced[-2].stride for loop in kept)


def _plan(
    b: PlanBuilder,
    reduction: Reduction,
    x: Operand,
    out: Operand,
    kept: list[Loop],
    reduced: list[Loop],
    divisor: float,
) -> None:
    kept, reduced = merged(in_memory_order(kept)), merged(in_memory_order(reduced))
    outputs, count = product([k.extent for k in kept]), product([r.extent for r in reduced])
    if outputs == 0:
        return
    moving = [loop for loop in (*kept, *reduced) if loop.stride]
    nearest = min(moving, key=lambda loop: loop.stride, default=None)
    columns = nearest if any(nearest is k for k in kept) and outputs * count > 1 and count > 0 else None
    if columns is not None:
        kept = [k for k in kept if k is not columns]
    elif reduced and not reduced[-1].stride:
        columns = Loop(1, 1, 1)  # one element over and over
    rows = dense_rows(kept, reduced) if columns is None else None
    if rows and plan_short_rows(b, reduction, x, out, *rows, divisor):
        return
    if columns is None and _are_far_apart(kept, reduced):
        # First each row, in the order of memory, then what they came to.
        part, joined = reduction.part or reduction, reduction.join or reduction
        middle = b.scratch(reduction.accumulator or x.spec.dtype, product([k.extent for k in (*kept, *reduced[:-1])]))
        order = in_memory_order([*kept, *reduced[:-1]])
        loops = _dense(order, 1)
        _plan(b, part, x, middle, loops, reduced[-1:], 1.0)

        def step(loop: Loop) -> int:
            """Between the elements of a loop in ``middle``."""
            return next(d.out_stride for each, d in zip(order, loops, strict=True) if each is loop)

        kept = [Loop(k.extent, step(k), k.out_stride) for k in kept]
        reduced = [Loop(r.extent, step(r)) for r in reduced[:-1]]
        _plan(b, joined, middle, out, kept, reduced, divisor)
        return
    every = columns.stride if columns else 1
    if len(kept) > KEPT or len(reduced) > REDUCED or every > MOST_EVERY:
        gathered, loops = plan_gather(b, x, (*kept, *([columns] if columns else [])), reduced)
        _plan(
            b, reduction, gathered, out, loops[: len(loops) - len(reduced)], loops[len(loops) - len(reduced) :], divisor
        )
        return
    if columns is None:
        _plan_inner(b, reduction, x, out, kept, reduced, divisor)
        return
    together = SIDE_BY_SIDE // columns.extent
    dense = every == 1 and len(reduced) == 1 and reduced[0].stride == columns.extent
    if dense and columns.extent < NARROW and count >= 4 * together:
        # Rows side by side are taken for one long row; what they come to is folded as another reduction.
        lines, left = count // together, count % together
        wide = Loop(together * columns.extent, 1, 1)
        result, loops, parts = _plan_outer(
            b, reduction, x, None, kept, [Loop(lines, wide.extent)], wide, 1, left * columns.extent, 1.0
        )
        folded = [Loop(parts, product([k.extent for k in kept]) * wide.extent), Loop(together, columns.extent)]
        _plan(b, reduction.join or reduction, result, out, _of_partial(kept, loops, columns), folded, divisor)
        return
    result, loops, parts = _plan_outer(b, reduction, x, out, kept, reduced, columns, every, 0, divisor)
    if parts > 1:
        loops = _of_partial(kept, loops, columns)
        _plan(b, reduction.join or reduction, result, out, loops, [Loop(parts, outputs)], divisor)


def _of_partial(kept: list[Loop], loops: list[Loop], columns: Loop) -> list[Loop]:
    """The loops from partial results, whose places in ``loops`` are those of their outputs, and from columns side by side."""
    placed = [Loop(k.extent, r.out_stride, k.out_stride) for k, r in zip(kept, loops, strict=True)]
    return [*placed, Loop(columns.extent, 1, columns.out_stride)]


def _plan_inner(
    b: PlanBuilder,
    reduction: Reduction,
    x: Operand,
    out: Operand,
    kept: list[Loop],
    reduced: list[Loop],
    divisor: float,
) -> None:
    """Rows that are folded to one value each."""
    outputs, count = product([k.extent for k in kept]), product([r.extent for r in reduced])
    parts, part_length = parts_of(count, outputs, 1)
    result, loops, step, part = out, kept, divisor, reduction
    if parts > 1:
        part = reduction.part or reduction
        result, loops, step = b.scratch(reduction.accumulator or x.spec.dtype, parts * outputs), _dense(kept, 1), 1.0
    rows = part.steps if reduced and reduced[-1].stride != 1 else part.inner
    b.launch(
        rows, x.flat, result.flat, kept_record(loops), reduced_record(reduced, count, part_length, outputs), step,
        work=outputs * parts, grain=grain_of(part_length + 16), cost=outputs * count, binding=(x.code, result.code),
    )  # fmt: skip
    if parts > 1:
        loops = [Loop(k.extent, r.out_stride, k.out_stride) for k, r in zip(kept, loops, strict=True)]
        _plan(b, reduction.join or reduction, result, out, loops, [Loop(parts, outputs)], divisor)


def _plan_outer(
    b: PlanBuilder,
    reduction: Reduction,
    x: Operand,
    out: Operand | None,
    kept: list[Loop],
    reduced: list[Loop],
    columns: Loop,
    every: int,
    tail: int,
    divisor: float,
) -> tuple[Operand, list[Loop], int]:
    """Rows below each other that are folded onto each other: where the results are, its kept loops, and the number of parts.

    The results of parts, and those without an ``out``, are in scratch memory: for each part all outputs, the columns last.
    """
    accumulator = reduction.accumulator or x.spec.dtype
    count, units = product([r.extent for r in reduced]), product([k.extent for k in kept])
    outputs = units * columns.extent
    width = (columns.extent - 1) * every + 1
    block = COLUMNS // every * every
    blocks = -(-width // block)
    parts, part_length = parts_of(count, units * blocks, min(width, COLUMNS))
    result, loops, result_step, step = out, kept, columns.out_stride, divisor
    if parts > 1 or result is None:
        reduction = reduction.part or reduction
        result, loops = b.scratch(accumulator, parts * outputs), _dense(kept, columns.extent)
        result_step, step = 1, 1.0
    cost = part_length * min(width, block) + 16
    b.launch(
        reduction.outer, x.flat, b.scratch(accumulator, COLUMNS, per_worker=True).flat, result.flat,
        kept_record(loops), reduced_record(reduced, count, part_length, units),
        Columns(width, result_step, blocks, block, every, tail), step,
        work=units * parts * blocks, grain=grain_of(cost), cost=units * width * count,
        binding=(x.code, accumulator.code, result.code),
    )  # fmt: skip
    return result, loops, parts


def _dense(kept: list[Loop], step: int) -> list[Loop]:
    """The same loops with a dense output, whose innermost stride is ``step``."""
    result: list[Loop] = []
    for loop in reversed(kept):
        result.insert(0, Loop(loop.extent, loop.stride, step))
        step *= loop.extent
    return result


class Outer(NamedTuple):
    """The four outer loops of a gathered grid and their steps."""

    extents: Extents4
    steps: Steps4


class Rows(NamedTuple):
    """The inner loops of a gathered grid: planes of rows, and the elements of a row."""

    planes: int
    extents: Extents3
    steps: Steps3
    length: int
    step: int


@kernel("T[:], T[:], Outer, Rows", Outer, Rows)
def gather_strided(x, out, outer, rows, start, stop):
    """out[i] = the ``i``-th element of a strided grid, row by row."""
    inner = rows.planes * rows.extents.n1 * rows.extents.n2
    for row in range(start, stop):
        high = row // inner
        base = offset4(high, outer.extents, outer.steps)
        base += offset3(row - high * inner, rows.extents, rows.steps)
        y = out[row * rows.length : (row + 1) * rows.length]
        for i in range(y.shape[0]):
            y[i] = x[base + i * rows.step]


def plan_gather(b: PlanBuilder, x: Operand, kept: tuple[Loop, ...], reduced: list[Loop]) -> tuple[Operand, list[Loop]]:
    """Copy a strided grid into dense scratch memory, kept loops outermost; the loops over the copy."""
    loops = [*kept, *reduced]
    if len(loops) > GATHERED:
        raise ProofError(
            f"reduce: the input has {len(loops)} dimensions that do not merge, expected at most {GATHERED}"
        )
    total = product([loop.extent for loop in loops])
    out = b.scratch(x.spec.dtype, total)
    grid = _extents(loops, GATHERED)
    extents, steps = [loop.extent for loop in grid], [loop.stride for loop in grid]
    b.launch(
        gather_strided, x.flat, out.flat, Outer(Extents4(*extents[1:4]), Steps4(*steps[:4])),
        Rows(extents[4], Extents3(*extents[5:7]), Steps3(*steps[4:7]), extents[7], steps[7]),
        work=total // max(1, grid[-1].extent), grain=grain_of(4 * grid[-1].extent), cost=4 * total,
    )  # fmt: skip
    dense = _dense(loops, 1)
    return out, [Loop(loop.extent, d.out_stride, loop.out_stride) for loop, d in zip(loops, dense, strict=True)]
