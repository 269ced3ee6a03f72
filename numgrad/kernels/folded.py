"""Sums of what a formula computes, in the launch that computes it: the values go through a tile in the caches.

The operands are seen as rows of one length. *inner*: each row is added up, a block of `BLOCK` values at a time. *outer*: the rows
are added up, one below the other. As in `reduce`, blocks are added in float64, and few sums are cut into parts that are combined in
a fixed order. No sum is reordered by LLVM: the values of a block are added half onto half.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

from numgrad import dtypes
from numgrad.kernels.elementwise import Formula
from numgrad.kernels.pieces import broadcast_strides, coalesce
from numgrad.kernels.reduce import parts_of, plan_reduce
from numgrad.kernels.reduce_kernels import BLOCK
from numgrad.kernels.source import free_name, function_from
from numgrad.layout import Spec, product
from numgrad.runtime.kernel import Device, Kernel, device
from numgrad.runtime.plan import Operand, PlanBuilder, grain_of

MOST_COLUMNS = 2048  # whose sums stay in the first cache, in float64; parts of rows would be read from far apart


class Rows(NamedTuple):
    """The rows that are added up, and the parts that a sum is cut into."""

    rows: int
    columns: int
    parts: int
    part_length: int
    step: int  # between results


@device
def sum_of(values, count):
    """The sum of the first values, which it overwrites: the upper half is added to the lower one, again and again."""
    while count > 1:
        half = (count + 1) // 2
        low, high = values[: count - half], values[half:count]
        for i in range(count - half):
            low[i] += high[i]
        count = half
    return values[0]


@functools.cache
def folded_kernel(name: str, function: Device, pattern: str, stored: int, inner: bool) -> Kernel:
    """The kernel for one pattern: a letter for each input and then each of ``stored`` outputs, ``a`` for consecutive elements of
    a row, ``s`` for one element of it. The function's last result is added up.
    """
    count_in = len(pattern) - stored
    operands = [f"x{k}" for k in range(count_in)] + [f"y{k}" for k in range(stored)]
    views = []
    for operand, letter in zip(operands, pattern, strict=True):
        begin = f"{operand}[row * {operand}_s"
        views.append(f"{operand}_v = {begin} + first :][:n]" if letter == "a" else f"{operand}_v = {begin}]")
    reads = [f"{o}_v[i]" if letter == "a" else f"{o}_v" for o, letter in zip(operands, pattern, strict=True)][:count_in]
    loop = [f"result = function({', '.join(reads)})"]
    loop += [f"y{k}_v[i] = result[{k}]" for k in range(stored)]
    value = f"result[{stored}]" if stored else "result"
    head = [f"rows, columns, parts, part_length, step, {', '.join(f'{o}_s' for o in operands)} = grid"]
    if inner:
        lines = [
            *head, "tile = tile[worker * BLOCK : (worker + 1) * BLOCK]",
            "for unit in range(start, stop):",
            "    row = unit // parts",
            "    first = (unit - row * parts) * part_length",
            "    last = min(columns, first + part_length)",
            "    total = 0.0",
            "    while first < last:",
            "        n = min(BLOCK, last - first)",
            *[f"        {line}" for line in [*views, "tile_v = tile[:n]", "for i in range(n):"]],
            *[f"            {line}" for line in [*loop, f"tile_v[i] = {value}"]],
            "        total += sum_of(tile_v, n)",
            "        first += n",
            "    out[unit * step] = total / divisor",
        ]  # fmt: skip
    else:
        lines = [
            *head, "first, n = 0, columns", "totals = tile[worker * columns : (worker + 1) * columns]",
            "for part in range(start, stop):",
            "    for i in range(n):",
            "        totals[i] = 0.0",
            "    for row in range(part * part_length, min(rows, (part + 1) * part_length)):",
            *[f"        {line}" for line in [*views, "for i in range(n):"]],
            *[f"            {line}" for line in [*loop, f"totals[i] += {value}"]],
            "    for i in range(n):",
            "        out[part * columns + i * step] = totals[i] / divisor",
        ]  # fmt: skip
    own_name = free_name(f"folded_{name}", ())
    text = f"def {own_name}({', '.join(operands)}, tile, out, grid, divisor, start, stop, worker):\n"
    names: dict[str, Any] = {"function": function, "sum_of": sum_of, "BLOCK": BLOCK}
    generated = function_from(text + "".join(f"    {line}\n" for line in lines), own_name, names)
    generated.__name__ = name
    types = [f"A{k}[:]" for k in range(len(operands))]
    return Kernel(generated, ", ".join([*types, "T[:]", "O[:]", "Grid", "f8"]), [_grid(tuple(operands))])


@functools.cache
def _grid(operands: tuple[str, ...]) -> Any:
    """The record of a pattern: `Rows`, and each operand's step from row to row."""
    return NamedTuple("Grid", [*((field, int) for field in Rows._fields), *((f"{o}_s", int) for o in operands)])  # type: ignore[misc]


def plan_folded(
    b: PlanBuilder, name: str, scalar: Formula, inputs: Sequence[Operand], stored: Sequence[Operand], out: Operand,
    values: Spec, axes: Sequence[int | None], divisor: float,
) -> bool:  # fmt: skip
    """Add the launches of a formula that writes ``stored`` and of the sum of its last result over axes: whether it did.

    It does not unless all operands lie in rows of one length, and rows or columns are added up.

    values
        The shape and layout of what the formula computes, to which the inputs broadcast.
    axes
        For each axis of ``values`` that of ``out``, or None if it is added up.
    """
    shape, operands = tuple(values.shape), [*inputs, *stored]
    steps = [0 if axis is None else out.spec.strides[axis] for axis in axes]
    strides = [*[broadcast_strides(each.spec, shape) for each in operands], steps, list(values.strides)]
    extents, (*strides, steps, _) = coalesce(shape, strides)
    if len(extents) == 1:
        extents, steps, strides = [1, *extents], [0, *steps], [[0, *row] for row in strides]
    if len(extents) != 2 or all(steps) or any(row[1] not in (0, 1) for row in strides) or not product(extents):
        return False
    inner, (rows, columns) = not steps[1], extents
    if not inner and columns > MOST_COLUMNS:
        return False
    count, units, width = (columns, rows, 1) if inner else (rows, 1, columns)
    parts, part_length = parts_of(count, units, width)
    goal, step, over, whole = out, max(steps), divisor, parts == 1 and (not inner or rows == 1 or steps[0] > 0)
    if not whole:  # partial sums, which a second launch combines
        goal, step, over = b.scratch(dtypes.float64, rows * columns // count * parts), 1, 1.0
    pattern = "".join("a" if row[1] else "s" for row in strides)
    kernel = folded_kernel(name, scalar.function, pattern, len(stored), inner)
    tile = b.scratch(*(values.dtype, BLOCK) if inner else (dtypes.float64, columns), per_worker=True)
    grid = kernel.parameters[-2].record(rows, columns, parts, part_length, step, *[row[0] for row in strides])
    b.launch(
        kernel, *[each.flat for each in operands], tile.flat, goal.flat, grid, over,
        work=parts * units, grain=grain_of(part_length * width * (scalar.cost + 1) + 16),
        cost=rows * columns * (scalar.cost + 1),
    )  # fmt: skip
    if not whole:
        kept = columns if not inner else rows if steps[0] else 1
        source = goal.view((kept, goal.extent // kept), (goal.extent // kept, 1) if inner else (1, kept))
        plan_reduce(b, "sum", source, out.view((kept,), (max(steps),)), (1,), divisor)
    return True
