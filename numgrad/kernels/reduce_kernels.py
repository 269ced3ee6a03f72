"""The loops of reductions, and the functions of each kind: for one value, for a row, and for rows side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from numgrad import dtypes
from numgrad.kernels.loops import Extents3, Extents4, Steps3, Steps4, offset3, offset4
from numgrad.runtime.kernel import Device, Kernel, device, intrinsic, kernel

KEPT, REDUCED = 4, 3  # loops that the kernels have room for
BLOCK = 1024  # elements that are added in the input's own type
COLUMNS = 512  # outputs that one unit of outer work accumulates; in float64 they fill 4 KB of cache


@intrinsic
def larger(typing_context, a, b):
    """The larger of two values of one type; NaN if one of them is NaN."""
    return _extreme(a, "maximum", ">")


@intrinsic
def smaller(typing_context, a, b):
    """The smaller of two values of one type; NaN if one of them is NaN."""
    return _extreme(a, "minimum", "<")


@intrinsic
def choose(typing_context, condition, a, b):
    """a where the condition holds, else b, both of one type: a select, where LLVM might leave ``if`` a branch."""

    def emit(context, builder, signature, args):
        return builder.select(*args)

    return a(condition, a, a), emit


@larger.in_python
def _(a, b):
    return np.maximum(a, b)


@smaller.in_python
def _(a, b):
    return np.minimum(a, b)


@choose.in_python
def _(condition, a, b):
    return a if condition else b


def _extreme(a: Any, name: str, comparison: str) -> Any:
    # LLVM vectorises a reduction by its own NaN-propagating maximum, but none that is written with comparisons.
    from llvmlite import ir
    from numba import types
    from numba.core import cgutils

    def emit(context, builder, signature, args):
        if isinstance(a, types.Float):
            kind = args[0].type
            suffix = "f32" if isinstance(kind, ir.FloatType) else "f64"
            function_type = ir.FunctionType(kind, [kind, kind])
            function = cgutils.get_or_insert_function(builder.module, function_type, f"llvm.{name}.{suffix}")
            return builder.call(function, args)
        compare = builder.icmp_signed if getattr(a, "signed", False) else builder.icmp_unsigned
        return builder.select(compare(comparison, *args), *args)

    return a(a, a), emit


class Kept(NamedTuple):
    """The loops over a reduction's outputs."""

    extents: Extents4
    source: Steps4
    result: Steps4


class Reduced(NamedTuple):
    """The loops over the elements of one output, and how they are cut into parts."""

    extents: Extents3
    source: Steps3
    length: int  # of all loops together
    part_length: int
    outputs: int  # of one part


class Columns(NamedTuple):
    """The outputs of one row, which are accumulated side by side, `COLUMNS` at once."""

    width: int
    result_step: int
    blocks: int


@device
def part_of(unit, outputs):
    """unit // outputs; mostly there is one part, and nothing is divided."""
    return 0 if unit < outputs else unit // outputs


# ---- the kinds of reductions: for one value, a row, and four rows at once -----------------------------------------


@device
def begin_float(x, position):
    return np.float64(0)


@device
def begin_float_product(x, position):
    return np.float64(1)


@device
def begin_int(x, position):
    return 0


@device
def begin_int_product(x, position):
    return 1


@device
def begin_false(x, position):
    return False


@device
def begin_true(x, position):
    return True


@device
def begin_first(x, position):
    return x[position]


@device
def itself(v):
    return v


@device
def squared(v):
    wide = np.float64(v)  # in which squares of float32 neither overflow nor vanish
    return wide * wide


@device
def add(a, v):
    return a + v


@device
def multiply(a, v):
    return a * v


@device
def either(a, v):
    return (a != 0) | (v != 0)


@device
def both(a, v):
    return (a != 0) & (v != 0)


@device
def add_float_row(a, row):
    for first in range(0, row.shape[0], BLOCK):
        block = row[first : first + BLOCK]
        s = row.dtype.type(0)
        for i in range(block.shape[0]):
            s += block[i]
        a += s
    return a


@device
def add_row(a, row):
    for i in range(row.shape[0]):
        a += row[i]
    return a


@device
def multiply_row(a, row):
    for i in range(row.shape[0]):
        a *= row[i]
    return a


@device
def either_row(a, row):
    for i in range(row.shape[0]):
        a |= row[i] != 0
    return a


@device
def both_row(a, row):
    for i in range(row.shape[0]):
        a &= row[i] != 0
    return a


@device
def larger_row(a, row):
    for i in range(row.shape[0]):
        a = larger(a, row[i])
    return a


@device
def smaller_row(a, row):
    for i in range(row.shape[0]):
        a = smaller(a, row[i])
    return a


@device
def add_squares_row(a, row):
    for first in range(0, row.shape[0], BLOCK):
        block = row[first : first + BLOCK]
        s = np.float64(0)
        for i in range(block.shape[0]):
            s += squared(block[i])
        a += s
    return a


@device
def divided(a, divisor):
    return a / divisor


@device
def rooted(a, divisor):
    return math.sqrt(a / divisor)


@device
def as_it_is(a, divisor):
    return a


# ---- the two loops ----------------------------------------------------------------------------------------------


def _inner_kernel(name: str, begin: Device, fold: Device, fold_row: Device, finish: Device, term: Device) -> Kernel:
    def reduce_inner(x, out, kept, reduced, divisor, start, stop):
        count, part_length, outputs = reduced.length, reduced.part_length, reduced.outputs
        row_length, step = reduced.extents.n2, reduced.source.s2
        for unit in range(start, stop):
            part = part_of(unit, outputs)
            index = unit - part * outputs
            base = offset4(index, kept.extents, kept.source)
            position = part * part_length
            last = min(count, position + part_length)
            offset = base + offset3(position, reduced.extents, reduced.source)
            a = begin(x, offset)
            while position < last:
                length = min(
                    row_length - (position if position < row_length else position % row_length), last - position
                )
                if step == 1:
                    a = fold_row(a, x[offset : offset + length])
                else:
                    for i in range(length):
                        a = fold(a, term(x[offset + i * step]))
                position += length
                if position < last:
                    offset = base + offset3(position, reduced.extents, reduced.source)
            out[offset4(index, kept.extents, kept.result) + part * outputs] = finish(a, divisor)

    reduce_inner.__name__ = f"{name}_inner"
    return kernel("T[:], O[:], Kept, Reduced, f8", Kept, Reduced, reassociate=True)(reduce_inner)


def _outer_kernel(name: str, begin: Device, fold: Device, finish: Device, term: Device) -> Kernel:
    def reduce_outer(x, accumulators, out, kept, reduced, columns, divisor, start, stop, worker):
        count, part_length, outputs = reduced.length, reduced.part_length, reduced.outputs
        row_length, step = reduced.extents.n2, reduced.source.s2
        result_step, blocks = columns.result_step, columns.blocks
        accumulators = accumulators[worker * COLUMNS : (worker + 1) * COLUMNS]
        for unit in range(start, stop):
            row = unit // blocks
            column = (unit - row * blocks) * COLUMNS
            part = part_of(row, outputs)
            index = row - part * outputs
            n = min(COLUMNS, columns.width - column)
            base = offset4(index, kept.extents, kept.source) + column
            position = part * part_length
            last = min(count, position + part_length)
            a = accumulators[:n]
            offset = base + offset3(position, reduced.extents, reduced.source)
            for j in range(a.shape[0]):
                a[j] = begin(x, offset + j)
            while position < last:
                length = min(
                    row_length - (position if position < row_length else position % row_length), last - position
                )
                for _ in range(length // 4):
                    x0, x1 = x[offset : offset + n], x[offset + step : offset + step + n]
                    x2, x3 = (
                        x[offset + 2 * step : offset + 2 * step + n],
                        x[offset + 3 * step : offset + 3 * step + n],
                    )
                    for j in range(a.shape[0]):
                        first_two, last_two = fold(term(x0[j]), term(x1[j])), fold(term(x2[j]), term(x3[j]))
                        a[j] = fold(a[j], fold(first_two, last_two))
                    offset += 4 * step
                for _ in range(length % 4):
                    x0 = x[offset : offset + n]
                    for j in range(a.shape[0]):
                        a[j] = fold(a[j], term(x0[j]))
                    offset += step
                position += length
                if position < last:
                    offset = base + offset3(position, reduced.extents, reduced.source)
            first = offset4(index, kept.extents, kept.result) + part * outputs * columns.width + column * result_step
            if result_step == 1:
                y = out[first : first + n]
                for j in range(y.shape[0]):
                    y[j] = finish(a[j], divisor)
            else:
                for j in range(n):
                    out[first + j * result_step] = finish(a[j], divisor)

    reduce_outer.__name__ = f"{name}_outer"
    return kernel("T[:], A[:], O[:], Kept, Reduced, Columns, f8", Kept, Reduced, Columns)(reduce_outer)


@dataclass(frozen=True)
class Reduction:
    """A kind of reduction: its kernels and the type that it accumulates in (None: the input's).

    If a reduction is cut into parts, ``part`` computes them and ``join`` combines them; None: the kind itself does.
    """

    inner: Kernel
    outer: Kernel
    accumulator: dtypes.dtype | None
    part: Reduction | None = None
    join: Reduction | None = None


def _reduction(
    name: str,
    accumulator: dtypes.dtype | None,
    begin: Device,
    fold: Device,
    fold_row: Device,
    finish: Device = as_it_is,
    term: Device = itself,
    part: Reduction | None = None,
    join: Reduction | None = None,
) -> Reduction:
    inner = _inner_kernel(name, begin, fold, fold_row, finish, term)
    return Reduction(inner, _outer_kernel(name, begin, fold, finish, term), accumulator, part, join)


# `larger` and `smaller` fold any value; a product of few values is not worth kernels of a third kind.
FLOAT_SUM = _reduction("sum", dtypes.float64, begin_float, add, add_float_row, divided)
FLOAT_SQUARES = _reduction(
    "squares", dtypes.float64, begin_float, add, add_squares_row, divided, squared, join=FLOAT_SUM
)
FLOAT_NORM = _reduction(
    "norm", dtypes.float64, begin_float, add, add_squares_row, rooted, squared, FLOAT_SQUARES,
    _reduction("root", dtypes.float64, begin_float, add, add_float_row, rooted),
)  # fmt: skip
INT_SUM = _reduction("sum_int", dtypes.int64, begin_int, add, add_row)
FLOAT_PRODUCT = _reduction("prod", dtypes.float64, begin_float_product, multiply, multiply_row)
INT_PRODUCT = _reduction("prod_int", dtypes.int64, begin_int_product, multiply, multiply_row)
MAX = _reduction("max", None, begin_first, larger, larger_row)
MIN = _reduction("min", None, begin_first, smaller, smaller_row)
ANY = _reduction("any", dtypes.bool_, begin_false, either, either_row)
ALL = _reduction("all", dtypes.bool_, begin_true, both, both_row)
