"""The loops of reductions, and the functions of each kind: for one value, for a row, and for rows side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from numgrad import dtypes
from numgrad.kernels.loops import Extents3, Extents4, Steps3, Steps4, offset3, offset4
from numgrad.kernels.reduce_rows import fold_row, fold_steps
from numgrad.runtime.kernel import Device, Kernel, device, intrinsic, kernel

KEPT, REDUCED = 4, 3  # loops that the kernels have room for
BLOCK = 1024  # elements that are added in the input's own type
COLUMNS = 1024  # outputs that one unit of outer work accumulates; in float64 they fill 8 KB of cache


@intrinsic
def larger(typing_context, a, b):
    """The larger of two values of one type; NaN if one of them is NaN."""
    return _extreme(a, ">")


@intrinsic
def smaller(typing_context, a, b):
    """The smaller of two values of one type; NaN if one of them is NaN."""
    return _extreme(a, "<")


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


def _extreme(a: Any, comparison: str) -> Any:
    from numba import types

    def emit(context, builder, signature, args):
        if isinstance(
            a, types.Float
        ):  # b where it is NaN, and a where that is: three instructions, LLVM's maximum takes seven
            chosen = builder.select(builder.fcmp_ordered(comparison, *args), *args)
            return builder.select(builder.fcmp_unordered("uno", args[0], args[0]), args[0], chosen)
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
    """The outputs of one row, which are accumulated side by side, `COLUMNS` at once.

    Every ``every``-th element of a row belongs to an output: those between are taken too, and not written. ``tail`` elements of a
    row behind the last one belong to the outputs, too.
    """

    width: int
    result_step: int
    blocks: int
    block: int  # elements of one, a multiple of ``every``
    every: int
    tail: int


@device
def part_of(unit, outputs):
    """unit // outputs; mostly there is one part, and nothing is divided."""
    return 0 if unit < outputs else unit // outputs


# ---- the kinds of reductions: for one value, for a row, and for every few elements of one --------------------------


@intrinsic
def known(typing_context, v):
    """v, or 0 for NaN."""

    def emit(context, builder, signature, args):
        zero = args[0].type(0.0)
        return builder.select(builder.fcmp_unordered("uno", args[0], args[0]), zero, args[0])

    return v(v), emit


@known.in_python
def _(v):
    return type(v)(0) if v != v else v


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


def _blocks(kind: str) -> tuple[Device, Device]:
    """Folds of a row, and of every ``step``-th element of one, that add blocks of `BLOCK` elements in the row's type."""
    fold, fold_every = fold_row(kind), fold_steps(kind)

    @device
    def row_of_blocks(a, row):
        for first in range(0, row.shape[0], BLOCK):
            a += fold(a, row[first : first + BLOCK])
        return a

    @device
    def steps_of_blocks(a, row, step):
        for first in range(0, row.shape[0], BLOCK * step):
            a += fold_every(a, row[first : first + BLOCK * step], step)
        return a

    return row_of_blocks, steps_of_blocks


def _whole(kind: str, join: Device) -> tuple[Device, Device]:
    """Folds that take a whole row at once, which ``join`` adds to what there is."""
    fold, fold_every = fold_row(kind), fold_steps(kind)

    @device
    def whole_row(a, row):
        return join(a, fold(a, row))

    @device
    def whole_steps(a, row, step):
        return join(a, fold_every(a, row, step))

    return whole_row, whole_steps


def _one_by_one(fold: Device) -> tuple[Device, Device]:
    """Folds of what LLVM vectorises by itself."""

    @device
    def row_of_values(a, row):
        for i in range(row.shape[0]):
            a = fold(a, row[i])
        return a

    @device
    def steps_of_values(a, row, step):
        for i in range(0, row.shape[0], step):
            a = fold(a, row[i])
        return a

    return row_of_values, steps_of_values


_SUMS, _KNOWN_SUMS = _blocks("sum"), _blocks("nansum")
_SQUARES, _PRODUCTS = _whole("squares", add), _whole("product", multiply)
_LARGEST, _SMALLEST = _whole("max", larger), _whole("min", smaller)
add_float_row, larger_row, smaller_row = _SUMS[0], _LARGEST[0], _SMALLEST[0]


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


def _inner_kernel(name: str, begin: Device, fold: Device, finish: Device, strided: bool) -> Kernel:
    def reduce_inner(x, out, kept, reduced, divisor, start, stop):
        count, part_length, outputs = reduced.length, reduced.part_length, reduced.outputs
        n1, n2 = reduced.extents
        s0, s1, step = reduced.source
        for unit in range(start, stop):
            part = part_of(unit, outputs)
            index = unit - part * outputs
            position = part * part_length
            last = min(count, position + part_length)
            base = offset4(index, kept.extents, kept.source)
            i0, i1, first = 0, 0, position  # of the first row, and the position in it
            if position >= n2:
                i1 = position // n2
                first = position - i1 * n2
                if i1 >= n1:
                    i0 = i1 // n1
                    i1 -= i0 * n1
            a = begin(x, base + i0 * s0 + i1 * s1 + first * step)
            while position < last:
                length = min(n2 - first, last - position)
                offset = base + i0 * s0 + i1 * s1 + first * step
                if strided:
                    a = fold(a, x[offset : offset + (length - 1) * step + 1], step)
                else:
                    a = fold(a, x[offset : offset + length])
                position += length
                first = 0
                i1 += 1
                if i1 == n1:
                    i0, i1 = i0 + 1, 0
            out[offset4(index, kept.extents, kept.result) + part * outputs] = finish(a, divisor)

    reduce_inner.__name__ = f"{name}_{'steps' if strided else 'inner'}"
    return kernel("T[:], O[:], Kept, Reduced, f8", Kept, Reduced)(reduce_inner)


def _outer_kernel(name: str, begin: Device, fold: Device, finish: Device, term: Device) -> Kernel:
    @device
    def fold_tail(a, x, offset, n):
        x0 = x[offset : offset + n]
        for j in range(x0.shape[0]):
            a[j] = fold(a[j], term(x0[j]))

    def reduce_outer(x, accumulators, out, kept, reduced, columns, divisor, start, stop, worker):
        count, part_length, outputs = reduced.length, reduced.part_length, reduced.outputs
        row_length, step = reduced.extents.n2, reduced.source.s2
        result_step, blocks, every = columns.result_step, columns.blocks, columns.every
        accumulators = accumulators[worker * COLUMNS : (worker + 1) * COLUMNS]
        for unit in range(start, stop):
            row = unit // blocks
            column = (unit - row * blocks) * columns.block
            part = part_of(row, outputs)
            index = row - part * outputs
            n = min(columns.block, columns.width - column)
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
                for _ in range(length // 8):
                    x0, x1 = x[offset : offset + n], x[offset + step : offset + step + n]
                    x2, x3 = x[offset + 2 * step :][:n], x[offset + 3 * step :][:n]
                    x4, x5 = x[offset + 4 * step :][:n], x[offset + 5 * step :][:n]
                    x6, x7 = x[offset + 6 * step :][:n], x[offset + 7 * step :][:n]
                    for j in range(a.shape[0]):
                        first_two, last_two = fold(term(x0[j]), term(x1[j])), fold(term(x2[j]), term(x3[j]))
                        third_two, fourth_two = fold(term(x4[j]), term(x5[j])), fold(term(x6[j]), term(x7[j]))
                        a[j] = fold(a[j], fold(fold(first_two, last_two), fold(third_two, fourth_two)))
                    offset += 8 * step
                for _ in range(length % 8 // 3):
                    x0, x1, x2 = x[offset : offset + n], x[offset + step :][:n], x[offset + 2 * step :][:n]
                    for j in range(a.shape[0]):
                        a[j] = fold(a[j], fold(fold(term(x0[j]), term(x1[j])), term(x2[j])))
                    offset += 3 * step
                for _ in range(length % 8 % 3):
                    fold_tail(a, x, offset, n)
                    offset += step
                position += length
                if position < last:
                    offset = base + offset3(position, reduced.extents, reduced.source)
            if columns.tail and last == count:
                fold_tail(a, x, offset, columns.tail)
            first = offset4(index, kept.extents, kept.result)
            if every == 1:
                first += part * outputs * columns.width + column * result_step
                if result_step == 1:
                    y = out[first : first + n]
                    for j in range(y.shape[0]):
                        y[j] = finish(a[j], divisor)
                else:
                    for j in range(n):
                        out[first + j * result_step] = finish(a[j], divisor)
            else:
                written = (columns.width + every - 1) // every
                first += part * outputs * written + column // every * result_step
                for j in range((n + every - 1) // every):
                    out[first + j * result_step] = finish(a[j * every], divisor)

    reduce_outer.__name__ = f"{name}_outer"
    return kernel("T[:], A[:], O[:], Kept, Reduced, Columns, f8", Kept, Reduced, Columns)(reduce_outer)


@dataclass(frozen=True, eq=False)
class Reduction:
    """A kind of reduction: its kernels, the functions that they are made of, and the type that it accumulates in.

    Without an ``accumulator`` that is the input's. If a reduction is cut into parts, ``part`` computes them and ``join`` combines
    them; None: the kind itself does.
    """

    inner: Kernel
    steps: Kernel  # as ``inner``, for elements that do not lie next to each other
    outer: Kernel
    begin: Device
    fold: Device
    fold_row: Device
    term: Device
    finish: Device
    accumulator: dtypes.dtype | None
    part: Reduction | None = None
    join: Reduction | None = None

    @property
    def finishes(self) -> bool:
        """Whether a result is more than what was folded, even over a divisor of 1."""
        return self.finish is rooted

    @property
    def is_wide(self) -> bool:
        """Whether its terms are of another type than the input."""
        return self.term is squared


def _reduction(
    name: str,
    accumulator: dtypes.dtype | None,
    begin: Device,
    fold: Device,
    folds: tuple[Device, Device],
    finish: Device = as_it_is,
    term: Device = itself,
    part: Reduction | None = None,
    join: Reduction | None = None,
) -> Reduction:
    inner, steps = [_inner_kernel(name, begin, folds[k], finish, strided=k == 1) for k in range(2)]
    outer = _outer_kernel(name, begin, fold, finish, term)
    return Reduction(inner, steps, outer, begin, fold, folds[0], term, finish, accumulator, part, join)


# `larger` and `smaller` fold any value; a product of few values is not worth kernels of a third kind.
FLOAT_SUM = _reduction("sum", dtypes.float64, begin_float, add, _SUMS, divided)
KNOWN_SUM = _reduction("nansum", dtypes.float64, begin_float, add, _KNOWN_SUMS, divided, known, join=FLOAT_SUM)
FLOAT_SQUARES = _reduction("squares", dtypes.float64, begin_float, add, _SQUARES, divided, squared, join=FLOAT_SUM)
FLOAT_NORM = _reduction(
    "norm", dtypes.float64, begin_float, add, _SQUARES, rooted, squared, FLOAT_SQUARES,
    _reduction("root", dtypes.float64, begin_float, add, _SUMS, rooted, part=FLOAT_SUM),
)  # fmt: skip
INT_SUM = _reduction("sum_int", dtypes.int64, begin_int, add, _one_by_one(add))
FLOAT_PRODUCT = _reduction("prod", dtypes.float64, begin_float_product, multiply, _PRODUCTS)
INT_PRODUCT = _reduction("prod_int", dtypes.int64, begin_int_product, multiply, _one_by_one(multiply))
MAX = _reduction("max", None, begin_first, larger, _LARGEST)
MIN = _reduction("min", None, begin_first, smaller, _SMALLEST)
ANY = _reduction("any", dtypes.bool_, begin_false, either, _one_by_one(either))
ALL = _reduction("all", dtypes.bool_, begin_true, both, _one_by_one(both))
