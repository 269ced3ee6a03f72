"""SIMD micro-kernels, written as LLVM vector IR: the innermost loops of matrix products and convolutions.

Each computes one register tile of ``rows`` x ``columns`` elements. The operands lie in *segments*: a table of int64 words
holds their addresses for each segment. So a matrix product (one segment) and a convolution (a segment for each tap) share a
tile. All addresses count bytes.

==================  ============================================================================================
`broadcast_tile`    ``out[i, j] = sum_s sum_k a_s[i][k] * b_s[k][j]``: rows of a are read along k, b has a vector of
                    columns for each k. Vectors run over j.
`dot_tile`          ``out[i, j] = sum_s sum_k a_s[i][k] * b_s[j][k]``: both are read along k, and so are vectors; the
                    sum over lanes comes last.
`strided_tile`      ``out[i, j] = sum_k a[i, k] * b[k][j]``, with everything at fixed distances: no table is read.
`strip_tile`        the same of an a that is packed into strips, one after the other.
`window_tile`       ``out[i, j] = sum_s sum_k a_i[s, k] * b[s, k][j]``: rows of a lie anywhere, and each is read at the
                    same distances from its start, along segments of an image's lines.
==================  ============================================================================================

``mode`` says how the tile is written: `STORE` it, `ADD` it to the old values, or `STREAM` it past the caches.
`update_tile` adds to lines in memory. `transpose_tile` and `simd_transforms.transform_tile` prepare operands for the others
and convert their results. The tests specify all of them as plain sums.
"""

from __future__ import annotations

from numgrad.runtime.kernel import Intrinsic, intrinsic
from numgrad.runtime.simd_emit import ADD, LINE, STORE, STREAM, Tile

__all__ = [
    "ADD", "DOT_LINES", "STORE", "STREAM", "address_of", "broadcast_tile", "copy_tile", "dot_tile", "fence", "line_tile",
    "prefetch", "strided_tile", "strip_tile", "transpose_tile", "update_tile", "window_tile",
]  # fmt: skip

DOT_LINES = 2  # cache lines that a dot tile prefetches with each step


def _words(count: int):
    from numba import types

    return types.void(*[types.int64] * count)


@intrinsic
def address_of(typing_context, array, index):
    """The address of an element of an array of one dimension; the index is not checked."""
    from numba import types

    def emit(context, builder, signature, args):
        from llvmlite import ir

        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.ptrtoint(builder.gep(data, [args[1]]), ir.IntType(64))

    return types.int64(array, types.int64), emit


@intrinsic
def prefetch(typing_context, address):
    """Ask for the line of an address, which is read soon; it need not be valid."""
    from numba import types

    def emit(context, builder, signature, args):
        t = Tile(context, builder, "f4", 1, 1)
        t.prefetch(t.pointer(args[0]))
        return context.get_dummy_value()

    return types.void(types.int64), emit


def broadcast_tile(code: str, rows: int, vectors: int) -> Intrinsic:
    """``tile(table, segments, steps, a_shift, b, b_step, ahead, out_rows, out_shift, columns, mode)``.

    A segment of ``table`` is ``1 + rows`` words: what to add to ``b``, and the address of each row of a (to which
    ``a_shift`` is added). ``b`` moves by ``b_step`` bytes with each of ``steps``, while as many bytes are prefetched
    from the address ``ahead`` on. ``out_rows`` is the address of ``rows`` words, the addresses of the rows to write (plus
    ``out_shift``). The first ``columns`` elements of each are written.
    """

    @intrinsic
    def tile(typing_context, table, segments, steps, a_shift, b, b_step, ahead, out_rows, out_shift, columns, mode):
        def emit(context, builder, signature, args):
            t = Tile(context, builder, code, rows, vectors)
            table, segments, steps, a_shift, b, b_step, ahead, out_rows, out_shift, columns, mode = args

            def segment(index, carried):
                record = t.pointer(builder.add(table, builder.mul(index, t.word(8 * (1 + rows)))))
                a = [t.advance(t.pointer(t.read_word(record, 1 + i)), a_shift) for i in range(rows)]
                start = t.advance(t.pointer(b), t.read_word(record, 0))

                def step(k, carried):
                    b_now, later, totals = carried[0], carried[1], carried[2:]
                    for line in range(0, t.columns * t.itemsize, 64):
                        t.prefetch(t.advance(later, line))
                    results = t.add_outer_product(a, builder.mul(k, t.word(t.itemsize)), b_now, totals)
                    return [t.advance(b_now, b_step), t.advance(later, t.columns * t.itemsize), *results]

                return t.loop(steps, [start, *carried], step)[1:]

            totals = t.loop(segments, [t.pointer(ahead), *t.zeros(rows * vectors)], segment)[1:]
            t.store_vectors(totals, t.pointer(out_rows), out_shift, columns, mode)
            return context.get_dummy_value()

        return _words(11), emit

    return tile


def dot_tile(code: str, rows: int, columns: int) -> Intrinsic:
    """``tile(table, segments, steps, rest, a_shift, b, b_step, ahead, out_rows, out_shift, wanted, mode)``.

    A segment of ``table`` is ``1 + rows`` words, as in `broadcast_tile`; ``b_step`` is the distance of b's rows, of
    which ``used_rows`` (at least 1) exist; ``steps`` counts whole vectors, and ``rest`` the elements behind them, less than a
    vector. With each step `DOT_LINES` cache lines are prefetched from the address ``ahead`` on.
    """

    @intrinsic
    def tile(
        typing_context, table, segments, steps, rest, a_shift, b, b_step, ahead, out_rows, out_shift, used_rows, mode
    ):
        def emit(context, builder, signature, args):
            t = Tile(context, builder, code, rows, 1)
            table, segments, steps, rest, a_shift, b, b_step, ahead, out_rows, out_shift, used_rows, mode = args
            last, some = builder.sub(used_rows, t.word(1)), t.lanes_below(rest)
            starts = []
            for j in range(columns):  # rows of b beyond the last one are read as that one
                row = builder.select(builder.icmp_signed("<", t.word(j), last), t.word(j), last)
                starts.append(t.advance(t.pointer(b), builder.mul(row, b_step)))

            def segment(index, carried):
                record = t.pointer(builder.add(table, builder.mul(index, t.word(8 * (1 + rows)))))
                a = [t.advance(t.pointer(t.read_word(record, 1 + i)), a_shift) for i in range(rows)]
                shift = t.read_word(record, 0)
                right = [t.advance(start, shift) for start in starts]

                def products(k, totals, read):
                    offset = builder.mul(k, t.word(t.lanes * t.itemsize))
                    # The shorter side waits in registers for the other: with the sums that just fills them.
                    few, many = (a, right) if rows < columns else (right, a)
                    waiting = [read(t.advance(row, offset)) for row in few]
                    results = list(totals)
                    for many_index, row in enumerate(many):
                        vector = read(t.advance(row, offset))
                        for few_index, value in enumerate(waiting):
                            i, j = (few_index, many_index) if few is a else (many_index, few_index)
                            results[i * columns + j] = t.multiply_add(value, vector, totals[i * columns + j])
                    return results

                def step(k, carried):
                    later, totals = carried[0], carried[1:]
                    for line in range(DOT_LINES):
                        t.prefetch(t.advance(later, 64 * line))
                    return [t.advance(later, 64 * DOT_LINES), *products(k, totals, t.read_vector)]

                def last_step(_, totals):
                    return products(steps, totals, lambda pointer: t.read_part(pointer, some))

                later, *totals = t.loop(steps, carried, step)
                once = builder.zext(builder.icmp_signed(">", rest, t.word(0)), t.ir.IntType(64))
                return [later, *t.loop(once, totals, last_step)]

            totals = t.loop(segments, [t.pointer(ahead), *t.zeros(rows * columns)], segment)[1:]
            sums = [t.sum_of_lanes(total) for total in totals]
            out = [t.pointer(builder.add(t.read_word(t.pointer(out_rows), i), out_shift)) for i in range(rows)]
            for j in range(columns):
                with builder.if_then(builder.icmp_signed("<", t.word(j), used_rows)):
                    for i in range(rows):
                        pointer = builder.bitcast(t.advance(out[i], j * t.itemsize), t.element.as_pointer())
                        before = builder.load(pointer, align=t.itemsize)
                        total = builder.fadd(before, sums[i * columns + j])
                        adds = builder.icmp_signed("==", mode, t.word(ADD))
                        builder.store(builder.select(adds, total, sums[i * columns + j]), pointer, align=t.itemsize)
            return context.get_dummy_value()

        return _words(12), emit

    return tile


def strided_tile(code: str, rows: int, vectors: int, ahead: int = 0) -> Intrinsic:
    """``tile(a, a_row, a_step, wanted, b, b_step, steps, out, out_row, columns, mode)``.

    a's element (i, k) is at ``a + i * a_row + k * a_step``, b's columns for k at ``b + k * b_step``. Of the tile's rows
    ``used_rows`` (at least 1) exist and are written, of its columns the first ``columns``. The columns of so many steps ``ahead``
    are prefetched: where b lies in rows that are pages apart, the CPU does not foresee them.
    """

    @intrinsic
    def tile(typing_context, a, a_row, a_step, used_rows, b, b_step, steps, out, out_row, columns, mode):
        def emit(context, builder, signature, args):
            t = Tile(context, builder, code, rows, vectors)
            a, a_row, a_step, used_rows, b, b_step, steps, out, out_row, columns, mode = args
            goals = t.row_pointers(out, out_row)
            t.prefetch_rows(goals, mode)
            last = builder.sub(used_rows, t.word(1))
            left = []
            for i in range(rows):  # rows beyond the last one are read as that one
                row = builder.select(builder.icmp_signed("<", t.word(i), last), t.word(i), last)
                left.append(t.pointer(builder.add(a, builder.mul(row, a_row))))

            later = builder.mul(b_step, t.word(ahead))

            def step(k, carried):
                b_now, totals = carried[0], carried[1:]
                for line in range(0, t.columns * t.itemsize if ahead else 0, LINE):
                    t.prefetch(t.advance(t.advance(b_now, later), line))
                results = t.add_outer_product(left, builder.mul(k, a_step), b_now, totals)
                return [t.advance(b_now, b_step), *results]

            totals = t.loop(steps, [t.pointer(b), *t.zeros(rows * vectors)], step)[1:]
            t.write_rows(totals, goals, used_rows, columns, mode)
            return context.get_dummy_value()

        return _words(11), emit

    return tile


def strip_tile(code: str, rows: int, vectors: int) -> Intrinsic:
    """``tile(a, b, b_step, steps, ahead, ahead_step, out, out_row, wanted, columns, mode)``.

    a's element (i, k) is element ``k * rows + i`` from ``a`` on. So one address leads to all rows, where `strided_tile` has
    one for each, and the tile may have more of them. With each step the line of ``ahead`` is prefetched, which then moves on
    by ``ahead_step`` bytes: all tiles of a panel together fetch the next one. Otherwise as there.
    """

    @intrinsic
    def tile(
        typing_context, a, b, b_step, steps, ahead, ahead_step, out, out_row, used_rows, columns, mode
    ):  # fmt: skip
        def emit(context, builder, signature, args):
            t = Tile(context, builder, code, rows, vectors)
            a, b, b_step, steps, ahead, ahead_step, out, out_row, used_rows, columns, mode = args
            goals = t.row_pointers(out, out_row)
            t.prefetch_rows(goals, mode)

            def step(k, carried):
                a_now, b_now, later, totals = carried[0], carried[1], carried[2], carried[3:]
                t.prefetch(later)
                left = [t.advance(a_now, i * t.itemsize) for i in range(rows)]
                results = t.add_outer_product(left, t.word(0), b_now, totals)
                return [
                    t.advance(a_now, rows * t.itemsize), t.advance(b_now, b_step), t.advance(later, ahead_step), *results
                ]  # fmt: skip

            first = [t.pointer(a), t.pointer(b), t.pointer(ahead), *t.zeros(rows * vectors)]
            t.write_rows(t.loop(steps, first, step)[3:], goals, used_rows, columns, mode)
            return context.get_dummy_value()

        return _words(11), emit

    return tile


def window_tile(code: str, rows: int, vectors: int) -> Intrinsic:
    """``tile(table, a_shift, a_step, a_segment, segments, wanted, b, b_step, steps, out, out_row, columns, mode)``.

    ``table`` holds the addresses of ``rows`` elements of a, to which ``a_shift`` is added; from there each of ``segments``
    starts ``a_segment`` further, and each of a segment's ``steps`` is ``a_step`` further. b moves on by ``b_step`` with
    every step, and does not go back with a segment. Of the tile's rows ``used_rows`` are written, of its columns the first
    ``columns``.
    """

    @intrinsic
    def tile(
        typing_context,
        table,
        a_shift,
        a_step,
        a_segment,
        segments,
        used_rows,
        b,
        b_step,
        steps,
        out,
        out_row,
        columns,
        mode,
    ):
        def emit(context, builder, signature, args):
            t = Tile(context, builder, code, rows, vectors)
            table, a_shift, a_step, a_segment, segments, used_rows, b, b_step, steps, out, out_row, columns, mode = args
            goals = t.row_pointers(out, out_row)
            t.prefetch_rows(goals, mode)
            records = t.pointer(table)
            left = [t.advance(t.pointer(t.read_word(records, i)), a_shift) for i in range(rows)]

            def segment(index, carried):
                begin = builder.mul(index, a_segment)
                starts = [t.advance(row, begin) for row in left]

                def step(k, carried):
                    b_now, totals = carried[0], carried[1:]
                    results = t.add_outer_product(starts, builder.mul(k, a_step), b_now, totals)
                    return [t.advance(b_now, b_step), *results]

                return t.loop(steps, carried, step)

            totals = t.loop(segments, [t.pointer(b), *t.zeros(rows * vectors)], segment)[1:]
            t.write_rows(totals, goals, used_rows, columns, mode)
            return context.get_dummy_value()

        return _words(13), emit

    return tile


def transpose_tile(code: str) -> Intrinsic:
    """``tile(source, source_row, goal, goal_row)``: a square of as many rows as a vector has lanes, transposed."""

    @intrinsic
    def tile(typing_context, source, source_row, goal, goal_row):
        def emit(context, builder, signature, args):
            t = Tile(context, builder, code, 1, 1)
            source, source_row, goal, goal_row = args
            rows = [
                t.read_vector(t.pointer(builder.add(source, builder.mul(t.word(i), source_row))))
                for i in range(t.lanes)
            ]
            half = t.lanes // 2
            while half:  # exchange the blocks beside the diagonal: halves, quarters, ...
                index = t.ir.VectorType(t.ir.IntType(32), t.lanes)
                low = [j if not j & half else t.lanes + j - half for j in range(t.lanes)]
                high = [j + half if not j & half else t.lanes + j for j in range(t.lanes)]
                for i in range(t.lanes):
                    if not i & half:
                        first, second = rows[i], rows[i + half]
                        rows[i] = builder.shuffle_vector(first, second, t.ir.Constant(index, low))
                        rows[i + half] = builder.shuffle_vector(first, second, t.ir.Constant(index, high))
                half //= 2
            for i, row in enumerate(rows):
                pointer = t.pointer(builder.add(goal, builder.mul(t.word(i), goal_row)), t.vector)
                builder.store(row, pointer, align=t.itemsize)
            return context.get_dummy_value()

        return _words(4), emit

    return tile


def copy_tile(code: str, vectors: int, past_caches: bool = False) -> Intrinsic:
    """``tile(source, goal)``: copy ``vectors`` vectors.

    ``past_caches`` writes to memory without reading it first, which pays only for values that are not used again soon. The
    goal must then lie at a multiple of a vector's size, and `fence` must follow.
    """

    @intrinsic
    def tile(typing_context, source, goal):
        def emit(context, builder, signature, args):
            t = Tile(context, builder, code, 1, vectors)
            values = [t.read_vector(t.pointer(args[0]), j) for j in range(vectors)]
            for j, value in enumerate(values):
                pointer = t.advance(t.pointer(args[1]), j * t.lanes * t.itemsize)
                size = t.itemsize * (t.lanes if past_caches else 1)
                store = builder.store(value, builder.bitcast(pointer, t.vector.as_pointer()), align=size)
                if past_caches:
                    one = t.ir.Constant(t.ir.IntType(32), 1)
                    store.set_metadata("nontemporal", builder.module.add_metadata([one]))
            return context.get_dummy_value()

        return _words(2), emit

    return tile


def line_tile(code: str) -> Intrinsic:
    """``tile(source, goal, used, room)``: ``used`` elements of a vector and zeros behind them, ``room`` in all.

    What is not used is not read; a room of more than a vector is taken for one.
    """

    @intrinsic
    def tile(typing_context, source, goal, used, room):
        def emit(context, builder, signature, args):
            t = Tile(context, builder, code, 1, 1)
            source, goal, used, room = args
            value, pointer = t.read_part(t.pointer(source), t.lanes_below(used)), t.pointer(goal)
            # A store of some lanes takes some CPUs ten times as long as one of all.
            with builder.if_else(builder.icmp_signed(">=", room, t.word(t.lanes))) as (whole, part):
                with whole:
                    builder.store(value, builder.bitcast(pointer, t.vector.as_pointer()), align=t.itemsize)
                with part:
                    t.write_chosen(value, pointer, t.lanes_below(room))
            return context.get_dummy_value()

        return _words(4), emit

    return tile


def update_tile(code: str, lines: int, terms: int) -> Intrinsic:
    """``tile(table, factor_shift, line_shift, b, b_row, vectors)``: ``line[i] += sum over t of factor[i][t] * b[t]``.

    ``table`` is the address of ``lines`` pairs of words: the address of a line's factors, ``terms`` side by side, and that of
    the line. The shifts are added to them. Rows of b are ``b_row`` bytes apart, and ``vectors`` vectors long, as the lines
    are. No line may occur twice.
    """

    @intrinsic
    def tile(typing_context, table, factor_shift, line_shift, b, b_row, vectors):
        def emit(context, builder, signature, args):
            t = Tile(context, builder, code, lines, 1)
            table, factor_shift, line_shift, b, b_row, vectors = args
            record = t.pointer(table)
            goals, factors = [], []
            for i in range(lines):
                first = t.pointer(builder.add(t.read_word(record, 2 * i), factor_shift))
                factors += [t.read_broadcast(t.advance(first, j * t.itemsize)) for j in range(terms)]
                goals.append(t.pointer(builder.add(t.read_word(record, 2 * i + 1), line_shift)))
            rows = [t.pointer(builder.add(b, builder.mul(t.word(j), b_row))) for j in range(terms)]

            def step(index, _):
                offset = builder.mul(index, t.word(t.lanes * t.itemsize))
                values = [t.read_vector(t.advance(row, offset)) for row in rows]
                for i, goal in enumerate(goals):
                    pointer = t.advance(goal, offset)
                    total = t.read_vector(pointer)
                    for j, value in enumerate(values):
                        total = t.multiply_add(factors[i * terms + j], value, total)
                    builder.store(total, builder.bitcast(pointer, t.vector.as_pointer()), align=t.itemsize)
                return []

            t.loop(vectors, [], step)
            return context.get_dummy_value()

        return _words(6), emit

    return tile


@intrinsic
def fence(typing_context):
    """Other threads see all writes before it, also those past the caches, before any write after it."""

    def emit(context, builder, signature, args):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return _words(0), emit
