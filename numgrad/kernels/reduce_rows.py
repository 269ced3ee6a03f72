"""Rows of memory folded to one value, written over explicit vectors.

LLVM leaves the elements of a row that do not fill its vectors, up to 31 of float32, to a loop over one after the other, and puts no
maximum that is written with comparisons into vectors. Here the last vector of a row overlaps the one before, with the lanes
that were taken before set to what changes nothing. The order depends on a row's length and the CPU's width of vectors alone.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from numgrad.runtime import target
from numgrad.runtime.kernel import Intrinsic, intrinsic
from numgrad.runtime.simd_emit import Tile

# Sums that are carried side by side. An addition takes three cycles or four, and two begin in each.
# Pairs, since a kernel that refers to a dict cannot be stored.
_SIDE_BY_SIDE = (("sum", 8), ("nansum", 8), ("squares", 4), ("product", 4), ("max", 4), ("min", 4))
_WIDE = ("squares", "product")  # computed in float64


class _Fold:
    """Emits the pieces of one kind of fold over elements of one type; values are vectors or single elements."""

    def __init__(self, context: Any, builder: Any, kind: str, dtype: Any) -> None:
        from llvmlite import ir
        from numba import types

        self.ir, self.builder, self.kind = ir, builder, kind
        self.element = context.get_data_type(dtype)
        self.is_float, self.signed = isinstance(dtype, types.Float), bool(getattr(dtype, "signed", False))
        self.watches = self.is_float and kind in ("max", "min")
        self.result = ir.DoubleType() if kind in _WIDE else self.element
        self.itemsize: int = context.get_abi_sizeof(self.element)
        self.lanes = target.host_target().lanes(self.itemsize)

    def kind_of(self, element: Any, lanes: int) -> Any:
        return self.ir.VectorType(element, lanes) if lanes else element

    def read(self, pointer: Any, lanes: int) -> Any:
        kind = self.kind_of(self.element, lanes)
        return self.builder.load(self.builder.bitcast(pointer, kind.as_pointer()), align=self.itemsize)

    def identity(self, start: Any, lanes: int) -> Any:
        """What changes nothing: 0, 1, or of extremes the value that the fold begins with, in each lane."""
        if self.kind in ("max", "min"):
            return self.in_all_lanes(start, lanes)
        value = 1.0 if self.kind == "product" else 0.0
        return self.ir.Constant(self.kind_of(self.result, lanes), [value] * lanes if lanes else value)

    def in_all_lanes(self, value: Any, lanes: int) -> Any:
        if not lanes:
            return value
        ir, small = self.ir, self.ir.IntType(32)
        undefined = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
        first = self.builder.insert_element(undefined, value, ir.Constant(small, 0))
        return self.builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(small, lanes), [0] * lanes))

    def term(self, value: Any, lanes: int) -> Any:
        """What an element adds."""
        builder = self.builder
        if self.kind == "nansum":
            zero = self.ir.Constant(value.type, [0.0] * lanes if lanes else 0.0)
            return builder.select(builder.fcmp_unordered("uno", value, value), zero, value)
        wide = self.kind_of(self.result, lanes)
        if value.type != wide:
            value = builder.fpext(value, wide)
        return builder.fmul(value, value, flags=("contract",)) if self.kind == "squares" else value

    def join(self, a: Any, b: Any) -> Any:
        """Two folds as one."""
        builder = self.builder
        if self.kind == "product":
            return builder.fmul(a, b)
        if self.kind not in ("max", "min"):
            return builder.fadd(a, b, flags=("contract",))
        comparison = ">" if self.kind == "max" else "<"
        if self.is_float:  # b where one of them is NaN, which `watch` sees
            return builder.select(builder.fcmp_ordered(comparison, a, b), a, b)
        compare = builder.icmp_signed if self.signed else builder.icmp_unsigned
        return builder.select(compare(comparison, a, b), a, b)

    def watch(self, seen: Any, values: list[Any]) -> Any:
        """Whether a lane has been NaN, with more values, of which two are looked at by one comparison; of extremes alone."""
        if not self.watches:
            return seen
        for first, second in zip(values[::2], [*values[1::2], values[-1]], strict=False):
            seen = self.builder.or_(seen, self.builder.fcmp_unordered("uno", first, second))
        return seen

    def of_lanes(self, vector: Any) -> Any:
        """The lanes of a vector, halves onto halves."""
        lanes, small = self.lanes, self.ir.IntType(32)
        while lanes > 1:
            half = lanes // 2
            index = self.ir.VectorType(small, half)
            parts = [self.ir.Constant(index, list(range(k, k + half))) for k in (0, half)]
            vector = self.join(*[self.builder.shuffle_vector(vector, vector, part) for part in parts])
            lanes = half
        return self.builder.extract_element(vector, self.ir.Constant(small, 0))

    def read_row(self, tile: Tile, pointer: Any, first: Any, step: Any) -> Any:
        """A vector of elements from number ``first`` on, that lie ``step`` apart: None is 1, and an int is known here."""
        builder, lanes = self.builder, self.lanes
        size = tile.word(self.itemsize)
        if step is None:
            return self.read(tile.advance(pointer, builder.mul(first, size)), lanes)
        if step == 2:  # from two vectors, of which the second ends with the last element that is taken
            begin = tile.advance(pointer, builder.mul(first, tile.word(2 * self.itemsize)))
            pair = self.read(begin, lanes), self.read(tile.advance(begin, (lanes - 1) * self.itemsize), lanes)
            taken = [2 * k if 2 * k < lanes else 2 * k + 1 for k in range(lanes)]
            index = self.ir.VectorType(self.ir.IntType(32), lanes)
            return builder.shuffle_vector(*pair, self.ir.Constant(index, taken))
        vector = self.ir.Constant(self.kind_of(self.element, lanes), self.ir.Undefined)
        nbytes = builder.mul(step, size)
        at = tile.advance(pointer, builder.mul(first, nbytes))
        for lane in range(lanes):
            vector = builder.insert_element(vector, self.read(at, 0), self.ir.Constant(self.ir.IntType(32), lane))
            at = tile.advance(at, nbytes)
        return vector

    def row(self, tile: Tile, pointer: Any, count: Any, start: Any, step: Any = None) -> Any:
        """``count`` elements from a pointer on, at least as many as a vector has lanes."""
        builder, lanes, many = self.builder, self.lanes, dict(_SIDE_BY_SIDE)[self.kind]

        def vector(first: Any) -> Any:
            return self.read_row(tile, pointer, first, step)

        def turn(index: Any, carried: list[Any]) -> list[Any]:
            first = builder.mul(index, tile.word(many * lanes))
            terms = [self.term(vector(builder.add(first, tile.word(k * lanes))), lanes) for k in range(many)]
            joined = [self.join(total, term) for total, term in zip(carried, terms, strict=False)]
            return [*joined, self.watch(carried[-1], terms)]

        turns = builder.udiv(count, tile.word(many * lanes))
        none = self.ir.Constant(self.ir.VectorType(self.ir.IntType(1), lanes), [0] * lanes)
        *totals, seen = tile.loop(turns, [*[self.identity(start, lanes)] * many, none], turn)
        done = builder.mul(turns, tile.word(many * lanes))

        def single(index: Any, carried: list[Any]) -> list[Any]:
            term = self.term(vector(builder.add(done, builder.mul(index, tile.word(lanes)))), lanes)
            return [carried[1], self.join(carried[0], term), self.watch(carried[2], [term])]  # two take turns

        rest = builder.udiv(builder.sub(count, done), tile.word(lanes))
        *totals[:2], seen = tile.loop(rest, [*totals[:2], seen], single)
        # The last elements, in a vector that ends with them.
        left = builder.urem(count, tile.word(lanes))
        last = self.term(vector(builder.sub(count, tile.word(lanes))), lanes)
        numbers = self.ir.Constant(self.ir.VectorType(self.ir.IntType(64), lanes), list(range(lanes, 0, -1)))
        fresh = builder.icmp_unsigned("<=", numbers, self.in_all_lanes(left, lanes))
        totals[0] = self.join(totals[0], builder.select(fresh, last, self.identity(start, lanes)))
        while len(totals) > 1:
            half = len(totals) // 2
            totals = [self.join(a, b) for a, b in zip(totals[:half], totals[half:], strict=True)]
        return self.or_none(self.of_lanes(totals[0]), builder.bitcast(self.watch(seen, [last]), self.ir.IntType(lanes)))

    def or_none(self, value: Any, seen: Any) -> Any:
        """NaN where one was seen."""
        if not self.watches:
            return value
        is_known = self.builder.icmp_unsigned("==", seen, seen.type(0))
        return self.builder.select(is_known, value, self.element(float("nan")))

    def one_by_one(self, tile: Tile, pointer: Any, count: Any, start: Any, step: Any = None) -> Any:
        """``count`` elements from a pointer on, in their order."""
        nbytes = tile.word(self.itemsize)
        if step is not None:
            nbytes = self.builder.mul(step, nbytes)

        def turn(index: Any, carried: list[Any]) -> list[Any]:
            term = self.term(self.read(tile.advance(pointer, self.builder.mul(index, nbytes)), 0), 0)
            return [self.join(carried[0], term), self.watch(carried[1], [term])]

        value, seen = tile.loop(count, [self.identity(start, 0), self.ir.IntType(1)(0)], turn)
        return self.or_none(value, seen)


@functools.cache
def fold_row(kind: str) -> Intrinsic:
    """``fold(start, row)``: a row of memory folded to one value; ``start`` is what an extreme begins with, and else not looked at.

    ``sum`` and ``nansum``, which takes NaN for 0, add in the row's type, of floating point; ``squares`` and ``product`` compute in
    float64; ``max`` and ``min`` are NaN if an element is, and take integers too.
    """

    @intrinsic
    def fold(typing_context, start, row):
        def emit(context, builder, signature, args):
            return _emitted(context, builder, kind, row, args)

        return _result(kind, row)(start, row), emit

    fold.in_python(functools.partial(_in_python, kind))
    return fold


@functools.cache
def fold_steps(kind: str) -> Intrinsic:
    """``fold(start, row, step)``: `fold_row` for every ``step``-th element of a row of memory, the first one and the last."""

    @intrinsic
    def fold(typing_context, start, row, step):
        from numba import types

        def emit(context, builder, signature, args):
            return _emitted(context, builder, kind, row, args)

        return _result(kind, row)(start, row, types.int64), emit

    fold.in_python(lambda start, row, step: _in_python(kind, start, row[::step]))
    return fold


def _result(kind: str, row: Any) -> Any:
    from numba import types

    return types.float64 if kind in _WIDE else row.dtype


def _emitted(context: Any, builder: Any, kind: str, row: Any, args: Any) -> Any:
    """The value of a fold; the arguments are the start, the row, and the step if it is not 1."""
    from numba.core import cgutils

    start, data, *steps = args
    array = context.make_array(row)(context, builder, data)
    each, tile = _Fold(context, builder, kind, row.dtype), Tile(context, builder, "f4", 1, 1)
    pointer = builder.bitcast(array.data, each.ir.IntType(8).as_pointer())
    count = cgutils.unpack_tuple(builder, array.shape)[0]
    for step in steps:
        count = builder.udiv(builder.add(count, builder.sub(step, tile.word(1))), step)
    model = context.data_model_manager[row.dtype]
    start = model.as_data(builder, start) if kind in ("max", "min") else None
    slot = cgutils.alloca_once(builder, each.result)
    long, short = each.row, each.one_by_one
    if each.lanes == 1:
        builder.store(short(tile, pointer, count, start, *steps), slot)
    else:
        with builder.if_else(builder.icmp_signed(">=", count, tile.word(each.lanes))) as (is_long, is_short):
            with is_long:
                if steps:
                    with builder.if_else(builder.icmp_signed("==", steps[0], tile.word(2))) as (is_pairs, is_other):
                        with is_pairs:
                            builder.store(long(tile, pointer, count, start, 2), slot)
                        with is_other:
                            builder.store(long(tile, pointer, count, start, steps[0]), slot)
                else:
                    builder.store(long(tile, pointer, count, start), slot)
            with is_short:
                builder.store(short(tile, pointer, count, start, *steps), slot)
    value = builder.load(slot)
    return value if kind in _WIDE else model.from_data(builder, value)


def _in_python(kind: str, start: Any, row: Any) -> Any:
    if kind in ("max", "min"):
        extreme = np.maximum if kind == "max" else np.minimum
        return functools.reduce(extreme, row, start)
    if kind == "nansum":
        return np.nansum(row)
    wide = row.astype(np.float64) if kind in _WIDE else row
    return np.prod(wide) if kind == "product" else np.sum(wide * wide if kind == "squares" else wide)
