"""A walk over the elements of boxes, written over explicit vectors: the innermost loops of all pooling.

A vector's lanes are outputs that lie beside each other, the channels of one output, or elements of one output's box. All three read
``x[lane 0's place + lane * step]`` for each *tap*, of which there are planes, rows and columns, and keep the largest value and
where it was, or the sum, in registers. LLVM would leave what does not fill its vectors, often all of a short row, to a loop
over one after the other, and would read and write the results in memory for each tap.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from numgrad.runtime import target
from numgrad.runtime.kernel import Intrinsic, intrinsic
from numgrad.runtime.simd_emit import Tile

_PARAMETERS = 23


def lanes_of(itemsize: int) -> int:
    """Elements of a vector: of small integers too as many as of 32 bits, since each has a place of 32 bits or more."""
    return max(1, target.host_target().lanes(max(itemsize, 4)))


@intrinsic
def walk_lanes(typing_context, x):
    """How many elements of an array a walk takes at once."""
    from numba import types

    def emit(context, builder, signature, args):
        from llvmlite import ir

        return ir.Constant(ir.IntType(64), lanes_of(context.get_abi_sizeof(context.get_data_type(x.dtype))))

    return types.int64(x), emit


@walk_lanes.in_python
def _(x):
    return lanes_of(x.itemsize)


class _Walk:
    """Emits the walk of one kind ("max" or "sum") over elements of one type."""

    def __init__(
        self, context: Any, builder: Any, kind: str, is_alone: bool, array: Any, edges: Any, args: list[Any]
    ) -> None:
        from llvmlite import ir
        from numba import types

        self.ir, self.builder, self.kind, self.is_alone = ir, builder, kind, is_alone
        self.context, self.tile = context, Tile(context, builder, "f4", 1, 1)
        dtype = array.dtype
        self.element = context.get_data_type(dtype)
        self.is_float, self.signed = isinstance(dtype, types.Float), bool(getattr(dtype, "signed", False))
        self.itemsize: int = context.get_abi_sizeof(self.element)
        self.lanes = lanes_of(self.itemsize)
        self.spot = context.get_data_type(edges.dtype)
        (
            self.x, self.source, self.planes, self.plane_step, self.rows, self.row_step, self.columns, self.column_step,
            self.unit, self.at, self.lane_step, self.move, self.limit, self.start, self.share, self.out, self.goal, self.count,
            self.indices, self.has_places, self.origin, self.lane_place,
        ) = args  # fmt: skip

    def vector_of(self, kind: Any) -> Any:
        return self.ir.VectorType(kind, self.lanes)

    def splat(self, value: Any) -> Any:
        kind, small = self.vector_of(value.type), self.ir.IntType(32)
        undefined = self.ir.Constant(kind, self.ir.Undefined)
        first = self.builder.insert_element(undefined, value, self.ir.Constant(small, 0))
        zeros = self.ir.Constant(self.ir.VectorType(small, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(first, undefined, zeros)

    def numbers(self, kind: Any) -> Any:
        return self.ir.Constant(self.vector_of(kind), list(range(self.lanes)))

    def either(self, condition: Any, first: Callable[[], list[Any]], second: Callable[[], list[Any]]) -> list[Any]:
        """The values of one of two pieces of code, of which only that one runs."""
        builder = self.builder
        inside, beside, after = (builder.append_basic_block(name) for name in ("first", "second", "either"))
        builder.cbranch(condition, inside, beside)
        results = []
        for block, emit in ((inside, first), (beside, second)):
            builder.position_at_end(block)
            results.append((emit(), builder.block))
            builder.branch(after)
        builder.position_at_end(after)
        phis = []
        for number, value in enumerate(results[0][0]):
            phi = builder.phi(value.type)
            for values, block in results:
                phi.add_incoming(values[number], block)
            phis.append(phi)
        return phis

    # ---- reading and writing ----------------------------------------------------------------------------------------

    def address(self, array: Any, index: Any, itemsize: int) -> Any:
        base = self.builder.bitcast(array, self.ir.IntType(8).as_pointer())
        return self.builder.gep(base, [self.builder.mul(index, self.tile.word(itemsize))])

    def inside(self, position: Any, step: Any) -> Any:
        """Which lanes lie inside, if lane 0 is at a position and the others are ``step`` apart."""
        builder = self.builder
        places = builder.add(self.splat(position), builder.mul(self.numbers(position.type), self.splat(step)))
        return builder.icmp_unsigned("<", places, self.splat(self.limit))  # what is negative is too large

    def whole(self, pointer: Any) -> Any:
        kind = self.vector_of(self.element)
        return self.builder.load(self.builder.bitcast(pointer, kind.as_pointer()), align=self.itemsize)

    def masked(self, verb: str, kind: Any, pointer: Any, mask: Any, value: Any) -> Any:
        """LLVM's masked load (``value`` elsewhere) or store."""
        from numba.core import cgutils

        ir, builder, small = self.ir, self.builder, self.ir.IntType(32)
        vector = self.vector_of(kind)
        size = self.context.get_abi_sizeof(kind)
        word = {"float": "f32", "double": "f64"}.get(str(kind), str(kind))
        pointer = builder.bitcast(pointer, vector.as_pointer())
        kinds = [pointer.type, small, mask.type]
        arguments = [pointer, ir.Constant(small, size), mask]
        if verb == "load":
            function = ir.FunctionType(vector, [*kinds, vector])
            arguments.append(value)
        else:
            function = ir.FunctionType(ir.VoidType(), [vector, *kinds])
            arguments.insert(0, value)
        name = f"llvm.masked.{verb}.v{self.lanes}{word}.p0"
        return builder.call(cgutils.get_or_insert_function(builder.module, function, name), arguments)

    def shuffled(self) -> Any:
        """Which of two vectors' elements are every second one, if the second vector ends with the last of them."""
        taken = [2 * k if 2 * k < self.lanes else 2 * k + 1 for k in range(self.lanes)]
        return self.ir.Constant(self.ir.VectorType(self.ir.IntType(32), self.lanes), taken)

    def read_all(self, step: int, offset: Any, position: Any) -> Any:
        """The lanes from an offset on, which are all inside, and 1 or 2 apart."""
        pointer = self.address(self.x, offset, self.itemsize)
        if step == 1:
            return self.whole(pointer)
        second = self.tile.advance(pointer, (self.lanes - 1) * self.itemsize)
        return self.builder.shuffle_vector(self.whole(pointer), self.whole(second), self.shuffled())

    def read_some(self, step: int, offset: Any, position: Any) -> Any:
        """The same where only lanes at positions in [0, limit) are inside, the others have the start; a ``step`` of 0 is any."""
        builder, word, elsewhere = self.builder, self.tile.word, self.splat(self.start)
        pointer = self.address(self.x, offset, self.itemsize)
        parts = [
            self.masked("load", self.element, self.tile.advance(pointer, shift * self.itemsize), mask, elsewhere)
            for shift in (0, self.lanes - 1)[: max(step, 1)]
            for mask in [self.inside(builder.add(position, word(shift)), word(1))]
            if step
        ]
        if step == 2:
            return builder.shuffle_vector(*parts, self.shuffled())
        return parts[0] if parts else self.one_by_one(offset, position)

    def one_by_one(self, offset: Any, position: Any) -> Any:
        """The lanes by way of memory."""
        from numba.core import cgutils

        builder, word = self.builder, self.tile.word
        room = cgutils.alloca_once(builder, self.vector_of(self.element))
        goal = builder.bitcast(room, self.ir.IntType(8).as_pointer())

        def turn(lane: Any, carried: list[Any]) -> list[Any]:
            apart = builder.mul(lane, self.lane_step)
            is_inside = builder.icmp_unsigned("<", builder.add(position, apart), self.limit)
            source = self.address(self.x, builder.select(is_inside, builder.add(offset, apart), word(0)), self.itemsize)
            value = builder.load(builder.bitcast(source, self.element.as_pointer()), align=self.itemsize)
            value = builder.select(is_inside, value, self.start)
            builder.store(value, builder.bitcast(self.address(goal, lane, self.itemsize), value.type.as_pointer()))
            return []

        self.tile.loop(word(self.lanes), [], turn)
        return builder.load(room)

    def write(self, array: Any, kind: Any, vector: Any) -> None:
        """The first ``count`` lanes go to ``goal``."""
        builder, size = self.builder, self.context.get_abi_sizeof(kind)
        pointer = self.address(array, self.goal, size)
        with builder.if_else(builder.icmp_signed(">=", self.count, self.tile.word(self.lanes))) as (is_whole, is_part):
            with is_whole:
                builder.store(vector, builder.bitcast(pointer, vector.type.as_pointer()), align=size)
            with is_part:
                mask = builder.icmp_unsigned("<", self.numbers(self.ir.IntType(64)), self.splat(self.count))
                self.masked("store", kind, pointer, mask, vector)

    def write_one(self, array: Any, value: Any) -> None:
        size = self.context.get_abi_sizeof(value.type)
        pointer = self.builder.bitcast(self.address(array, self.goal, size), value.type.as_pointer())
        self.builder.store(value, pointer, align=size)

    # ---- values -----------------------------------------------------------------------------------------------------

    def exceeds(self, new: Any, old: Any) -> Any:
        if self.is_float:
            return self.builder.fcmp_ordered(">", new, old)
        return (self.builder.icmp_signed if self.signed else self.builder.icmp_unsigned)(">", new, old)

    def is_nan(self, value: Any) -> Any:
        if self.is_float:
            return self.builder.fcmp_unordered("uno", value, value)
        return self.ir.Constant(self.ir.VectorType(self.ir.IntType(1), value.type.count), [0] * value.type.count)

    def add(self, a: Any, b: Any) -> Any:
        return self.builder.fadd(a, b) if self.is_float else self.builder.add(a, b)

    def divided(self, total: Any, share: Any) -> Any:
        """By the share, if it is not 0."""
        builder = self.builder
        if self.is_float:
            is_nothing = builder.fcmp_ordered("==", self.share, self.element(0.0))
            return self.either(is_nothing, lambda: [total], lambda: [builder.fdiv(total, share)])[0]
        is_nothing = builder.icmp_signed("==", self.share, self.element(0))
        return self.either(is_nothing, lambda: [total], lambda: [builder.sdiv(total, share)])[0]

    def halves(self, vector: Any) -> tuple[Any, Any]:
        half, small = vector.type.count // 2, self.ir.IntType(32)
        index = self.ir.VectorType(small, half)
        low, high = (self.ir.Constant(index, list(range(k, k + half))) for k in (0, half))
        return self.builder.shuffle_vector(vector, vector, low), self.builder.shuffle_vector(vector, vector, high)

    def of_lanes(self, values: Any, places: Any) -> tuple[Any, Any]:
        """All lanes as one: of equal values the first place wins, and the last NaN over all others."""
        builder, first = self.builder, self.ir.Constant(self.ir.IntType(32), 0)
        while values.type.count > 1:
            a, b = self.halves(values)
            if self.kind == "sum":
                values = self.add(a, b)
                continue
            at_a, at_b = self.halves(places)
            is_earlier = builder.icmp_signed("<", at_b, at_a)
            is_equal = builder.fcmp_ordered("==", a, b) if self.is_float else builder.icmp_signed("==", a, b)
            is_later_nan = builder.and_(
                self.is_nan(b), builder.or_(builder.not_(self.is_nan(a)), builder.not_(is_earlier))
            )
            take = builder.or_(self.exceeds(b, a), builder.or_(builder.and_(is_equal, is_earlier), is_later_nan))
            values, places = builder.select(take, b, a), builder.select(take, at_b, at_a)
        return builder.extract_element(values, first), builder.extract_element(places, first)

    def folded(self, read: Callable[[int, Any, Any], Any], step: int) -> list[Any]:
        """The lanes' values and places after all taps."""
        builder, tile = self.builder, self.tile
        begin = builder.add(self.source, self.at)

        def plane(i: Any, carried: list[Any]) -> list[Any]:
            of_plane = builder.mul(i, self.plane_step)

            def row(j: Any, carried: list[Any]) -> list[Any]:
                of_row = builder.add(of_plane, builder.mul(j, self.row_step))

                def column(k: Any, carried: list[Any]) -> list[Any]:
                    pixels = builder.add(of_row, builder.mul(k, self.column_step))
                    offset = builder.add(begin, builder.mul(pixels, self.unit))
                    new = read(step, offset, builder.add(self.at, builder.mul(k, self.move)))
                    if self.kind == "sum":
                        return [self.add(carried[0], new), carried[1]]
                    best, places = carried
                    take = builder.or_(self.exceeds(new, best), self.is_nan(new))
                    pixels = builder.trunc(pixels, self.spot) if self.spot.width < 64 else pixels
                    return [builder.select(take, new, best), builder.select(take, self.splat(pixels), places)]

                return tile.loop(self.columns, carried, column)

            return tile.loop(self.rows, carried, row)

        places = self.ir.Constant(self.vector_of(self.spot), [0] * self.lanes)
        return tile.loop(self.planes, [self.splat(self.start), places], plane)

    def emit(self) -> None:
        builder, word = self.builder, self.tile.word
        moved = builder.mul(builder.sub(self.columns, word(1)), self.move)
        across = builder.mul(word(self.lanes - 1), self.lane_step)
        last = builder.add(self.at, builder.add(moved, across))
        starts_inside = builder.icmp_signed(">=", self.at, word(0))
        is_full = builder.and_(starts_inside, builder.icmp_signed("<", last, self.limit))

        def of_step(step: int) -> list[Any]:
            return self.either(
                is_full, lambda: self.folded(self.read_all, step), lambda: self.folded(self.read_some, step)
            )

        def not_one() -> list[Any]:
            return self.either(is_step(2), lambda: of_step(2), lambda: self.folded(self.read_some, 0))

        def is_step(step: int) -> Any:
            return builder.icmp_signed("==", self.lane_step, word(step))

        values, places = self.either(is_step(1), lambda: of_step(1), not_one)
        long = self.ir.IntType(64)
        writes_places = self.kind == "max"

        def widened(spot: Any) -> Any:
            wide = self.vector_of(long) if isinstance(spot.type, self.ir.VectorType) else long
            return builder.sext(spot, wide) if self.spot.width < 64 else spot

        if self.is_alone:
            lane_step = builder.trunc(self.lane_step, self.spot) if self.spot.width < 64 else self.lane_step
            apart = builder.mul(self.numbers(self.spot), self.splat(lane_step))
            value, spot = self.of_lanes(values, builder.add(places, apart))
            self.write_one(self.out, self.divided(value, self.share) if self.kind == "sum" else value)
            if writes_places:
                with builder.if_then(self.has_places):
                    self.write_one(self.indices, builder.add(widened(spot), self.origin))
            return
        if self.kind == "sum":
            values = self.divided(values, self.splat(self.share))
        self.write(self.out, self.element, values)
        if writes_places:
            with builder.if_then(self.has_places):
                apart = builder.mul(self.numbers(long), self.splat(self.lane_place))
                wide = builder.add(builder.add(widened(places), self.splat(self.origin)), apart)
                self.write(self.indices, long, wide)


@functools.cache
def walk(kind: str, is_alone: bool) -> Intrinsic:
    """The walk that keeps the largest value and its place ("max"), or a sum ("sum"); see `_in_python` for what it does.

    ``is_alone`` makes one value of all lanes.
    """

    @intrinsic
    def walked(
        typing_context, x, source, planes, plane_step, rows, row_step, columns, column_step, unit, at, lane_step, move, limit,
        start, share, out, goal, count, indices, has_places, origin, lane_place, edges,
    ):  # fmt: skip
        from numba import types

        def emit(context, builder, signature, args):
            kinds = dict(zip(range(_PARAMETERS), signature.args, strict=True))
            plain = []
            for number, value in enumerate(args[:-1]):
                numba_type = kinds[number]
                if isinstance(numba_type, types.Array):
                    plain.append(context.make_array(numba_type)(context, builder, value).data)
                elif number == 19:  # a truth is a word
                    plain.append(builder.icmp_signed("!=", value, value.type(0)))
                else:
                    plain.append(value)
            _Walk(context, builder, kind, is_alone, x, edges, plain).emit()
            return context.get_dummy_value()

        i8 = types.int64
        signature = types.void(
            x, i8, i8, i8, i8, i8, i8, i8, i8, i8, i8, i8, i8, x.dtype, x.dtype, out, i8, i8, indices, i8, i8, i8, edges
        )  # fmt: skip
        return signature, emit

    walked.in_python(functools.partial(_in_python, kind, is_alone))
    return walked


def _in_python(
    kind: str, is_alone: bool, x: Any, source: int, planes: int, plane_step: int, rows: int, row_step: int, columns: int,
    column_step: int, unit: int, at: int, lane_step: int, move: int, limit: int, start: Any, share: Any, out: Any, goal: int,
    count: int, indices: Any, has_places: int, origin: int, lane_place: int, edges: Any,
) -> None:  # fmt: skip
    """Fold what the lanes see at each tap, beginning with ``start``, divide sums by ``share`` if it is not 0, and write.

    Lane 0 of tap (i, j, k) is ``x[source + at + pixels * unit]``, and the lanes are ``lane_step`` apart, where ``pixels`` is
    ``i * plane_step + j * row_step + k * column_step``. Lane 0 is at position ``at + k * move``; what is not in [0, limit) is
    not read. The first ``count`` lanes go to ``out[goal:]``, and of a maximum, if ``has_places``, their places, which are
    ``origin + lane * lane_place + pixels``, to ``indices[goal:]``. ``is_alone`` makes one value of all lanes, whose places
    are ``origin + lane * lane_step + pixels``.
    """
    lanes = lanes_of(x.itemsize)
    values, places = np.full(lanes, start, x.dtype), np.zeros(lanes, np.int64)
    for i in range(planes):
        for j in range(rows):
            for k in range(columns):
                pixels = i * plane_step + j * row_step + k * column_step
                for lane in range(lanes):
                    if 0 <= at + k * move + lane * lane_step < limit:
                        new = x[source + at + pixels * unit + lane * lane_step]
                        if kind == "sum":
                            values[lane] += new
                        elif new > values[lane] or new != new:
                            values[lane], places[lane] = new, pixels
    if is_alone:
        places += np.arange(lanes) * lane_step
        order = np.argsort(places)
        value, spot = values[order[0]], places[order[0]]
        for lane in order[1:]:
            if kind == "sum":
                value = value + values[lane]
            elif values[lane] > value or values[lane] != values[lane]:
                value, spot = values[lane], places[lane]
        values, places, count = np.array([value]), np.array([spot]), 1
    else:
        places += np.arange(lanes) * lane_place
    if kind == "sum" and share:
        values = values / share
    out[goal : goal + count] = values[:count]
    if kind == "max" and has_places:
        indices[goal : goal + count] = places[:count] + origin
