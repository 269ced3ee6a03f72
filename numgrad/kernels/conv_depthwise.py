"""Convolutions in which every channel has a filter of its own (groups = C = K): no products of matrices, but of rows.

A tap multiplies a row of channels by a row of the weight, which is transposed to ``[tap, channel]`` first. Sums of some vectors
of channels stay in registers over all taps, and for the weight's gradient along a line of pixels.
"""

from __future__ import annotations

import functools

from numgrad import dtypes
from numgrad.kernels.gemm_pack import plan_turn
from numgrad.kernels.grid import Grid, next_position, position_of
from numgrad.runtime import target
from numgrad.runtime.kernel import Intrinsic, Kernel, device, intrinsic, kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder
from numgrad.runtime.simd import address_of
from numgrad.runtime.simd_emit import Tile

MOST_SPLITS = 32
TOGETHER = 3  # taps of a row whose sums stay in registers along a line


def _vectors() -> int:
    """Vectors of channels in a register tile: sums of three taps, and what they are multiplied by, fill the registers."""
    return 4 if target.host_target().registers >= 32 else 2


@device
def divided(value, divide):
    """``value / divide`` if that is whole and not negative, else -1; halves without a division, which takes ten times as long."""
    if value < 0:
        return -1
    if divide == 2:
        return value >> 1 if value & 1 == 0 else -1
    whole = value // divide
    return whole if whole * divide == value else -1


def _filter_tile(code: str, vectors: int) -> Intrinsic:
    """``tile(table, taps, shift, weight_shift, bias, out)``: ``out = bias + sum over taps of source * weight``, lane by lane.

    ``table`` is the address of a pair of addresses for each tap, to which the shifts are added; a ``bias`` of 0 is none.
    """

    @intrinsic
    def tile(typing_context, table, taps, shift, weight_shift, bias, out):
        from numba import types

        def emit(context, builder, signature, args):
            t = Tile(context, builder, code, 1, vectors)
            table, taps, shift, weight_shift, bias, out = args
            before, has_bias = builder.block, builder.icmp_signed("!=", bias, t.word(0))
            with builder.if_then(has_bias):
                first = [t.read_vector(t.pointer(bias), j) for j in range(vectors)]
                inside = builder.block
            totals = []
            for value in first:
                total = builder.phi(t.vector)
                total.add_incoming(t.zeros(1)[0], before)
                total.add_incoming(value, inside)
                totals.append(total)

            def step(index, carried):
                record = t.pointer(builder.add(table, builder.mul(index, t.word(16))))
                x = t.pointer(builder.add(t.read_word(record, 0), shift))
                w = t.pointer(builder.add(t.read_word(record, 1), weight_shift))
                return [
                    t.multiply_add(t.read_vector(x, j), t.read_vector(w, j), total) for j, total in enumerate(carried)
                ]

            for j, total in enumerate(t.loop(taps, totals, step)):
                goal = t.advance(t.pointer(out), j * t.lanes * t.itemsize)
                builder.store(total, builder.bitcast(goal, t.vector.as_pointer()), align=t.itemsize)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 6), emit

    return tile


def _sum_tile(code: str, taps: int, vectors: int) -> Intrinsic:
    """``tile(source, source_step, tap_step, grad, grad_step, count, sums, sums_step)``: ``sums[t] += grad * source[t]``.

    Over ``count`` pixels, which are ``source_step`` and ``grad_step`` bytes apart; the taps' sources are ``tap_step`` apart, and
    their sums ``sums_step``.
    """

    @intrinsic
    def tile(typing_context, source, source_step, tap_step, grad, grad_step, count, sums, sums_step):
        from numba import types

        def emit(context, builder, signature, args):
            t = Tile(context, builder, code, taps, vectors)
            source, source_step, tap_step, grad, grad_step, count, sums, sums_step = args
            goals = [t.pointer(builder.add(sums, builder.mul(sums_step, t.word(i)))) for i in range(taps)]
            first = [t.read_vector(goal, j) for goal in goals for j in range(vectors)]

            def step(index, carried):
                g_now, x_now, totals = carried[0], carried[1], carried[2:]
                g = [t.read_vector(g_now, j) for j in range(vectors)]
                results = []
                for i in range(taps):
                    x = t.advance(x_now, builder.mul(tap_step, t.word(i)))
                    for j in range(vectors):
                        results.append(t.multiply_add(t.read_vector(x, j), g[j], totals[i * vectors + j]))
                return [t.advance(g_now, grad_step), t.advance(x_now, source_step), *results]

            totals = t.loop(count, [t.pointer(grad), t.pointer(source), *first], step)[2:]
            for i, goal in enumerate(goals):
                for j in range(vectors):
                    pointer = t.advance(goal, j * t.lanes * t.itemsize)
                    total = totals[i * vectors + j]
                    builder.store(total, builder.bitcast(pointer, t.vector.as_pointer()), align=t.itemsize)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 8), emit

    return tile


@functools.cache
def filter_kernel(code: str) -> Kernel:
    """The kernel for one dtype."""
    itemsize, vectors = 4 if code == "f4" else 8, _vectors()
    width = target.host_target().lanes(itemsize)
    tile, rest_tile = _filter_tile(code, vectors), _filter_tile(code, 1)

    @kernel(f"{code}[:], {code}[:], {code}[:], {code}[:], i8[:], i8, Grid", Grid)
    def filter_channels(source, weight, bias, out, words, channels, grid, start, stop, worker):
        """``out[m, c] = bias[c] + sum over taps of source[source(m, t), c] * weight[t, c]``, rows as in `Grid`."""
        count = 2 * grid.taps_h * grid.taps_w
        words = words[worker * count : (worker + 1) * count]
        table = address_of(words, 0)
        image, y, x = position_of(start, grid)
        same, seen, moved = 0, 0, 0  # the next so many pixels see the same taps, each from one step further
        for m in range(start, stop):
            if m > start:
                image, y, x = next_position(m, y, x, image, grid)
            begin = ((image * grid.out_h + y) * grid.out_w + x) * channels
            if same > 0:
                same -= 1
                moved += grid.scale_w * channels
            else:
                seen, moved, last, is_cut = 0, 0, 0, False
                for r in range(grid.taps_h):
                    source_y = y * grid.scale_h + r * grid.step_h + grid.shift_h
                    if grid.divide_h > 1:
                        source_y = divided(source_y, grid.divide_h)
                    if source_y < 0 or source_y >= grid.source_h:
                        continue
                    above = (image * grid.source_h + source_y) * grid.source_w
                    for s in range(grid.taps_w):
                        source_x = x * grid.scale_w + s * grid.step_w + grid.shift_w
                        if source_x < 0:
                            is_cut = True
                            continue
                        if grid.divide_w > 1:
                            source_x = divided(source_x, grid.divide_w)
                            if source_x < 0:
                                continue
                        if source_x >= grid.source_w:
                            is_cut = True
                            continue
                        words[2 * seen] = address_of(source, (above + source_x) * channels)
                        words[2 * seen + 1] = address_of(weight, (r * grid.taps_w + s) * channels)
                        seen += 1
                        last = max(last, source_x)
                if not is_cut:
                    same = min((grid.out_w - 1 - x) // grid.divide_w, (grid.source_w - 1 - last) // grid.scale_w)
            c, shift = 0, moved * itemsize
            while c + width <= channels:
                first = address_of(bias, c) if bias.shape[0] > 0 else 0
                if c + vectors * width <= channels:
                    tile(table, seen, shift + c * itemsize, c * itemsize, first, address_of(out, begin + c))
                    c += vectors * width
                else:
                    rest_tile(table, seen, shift + c * itemsize, c * itemsize, first, address_of(out, begin + c))
                    c += width
            if c < channels:
                line, from_source, from_weight = (
                    out[begin + c : begin + channels],
                    address_of(source, 0),
                    address_of(weight, 0),
                )
                for i in range(line.shape[0]):
                    line[i] = bias[c + i] if bias.shape[0] > 0 else 0
                for t in range(seen):
                    row = source[(words[2 * t] - from_source) // itemsize + moved + c :]
                    factors = weight[(words[2 * t + 1] - from_weight) // itemsize + c :]
                    for i in range(line.shape[0]):
                        line[i] += row[i] * factors[i]

    return filter_channels


@functools.cache
def sum_kernel(code: str) -> Kernel:
    """The kernel for one dtype."""
    itemsize, vectors = 4 if code == "f4" else 8, _vectors()
    width = target.host_target().lanes(itemsize)
    tile, rest_tile = _sum_tile(code, TOGETHER, vectors), _sum_tile(code, TOGETHER, 1)
    one_tile, one_rest = _sum_tile(code, 1, vectors), _sum_tile(code, 1, 1)

    @device
    def sum_run(source, from_source, step, tap_step, grad, from_grad, count, sums, goal, channels, many):
        """``sums[t] += grad * source[t]`` of ``count`` pixels, for one tap or `TOGETHER` ones."""
        c, row = 0, channels * itemsize
        while c + width <= channels:
            x, g, to = address_of(source, from_source + c), address_of(grad, from_grad + c), address_of(sums, goal + c)
            if c + vectors * width <= channels:
                if many:
                    tile(x, step * row, tap_step * row, g, row, count, to, row)
                else:
                    one_tile(x, step * row, tap_step * row, g, row, count, to, row)
                c += vectors * width
            else:
                if many:
                    rest_tile(x, step * row, tap_step * row, g, row, count, to, row)
                else:
                    one_rest(x, step * row, tap_step * row, g, row, count, to, row)
                c += width
        if c < channels:
            for t in range(TOGETHER if many else 1):
                total = sums[goal + t * channels + c :][: channels - c]
                for p in range(count):
                    line = grad[from_grad + p * channels + c :]
                    values = source[from_source + (p * step + t * tap_step) * channels + c :]
                    for i in range(total.shape[0]):
                        total[i] += line[i] * values[i]

    @device
    def inside(s, grid):
        """The first position of a row from which tap ``s`` is inside, and the first behind them."""
        reach = s * grid.step_w + grid.shift_w
        first = max(0, (grid.scale_w - 1 - reach) // grid.scale_w)
        return first, min(grid.out_w, (grid.source_w - 1 - reach) // grid.scale_w + 1)

    @kernel(f"{code}[:], {code}[:], {code}[:], i8, i8, Grid", Grid)
    def sum_channels(grad, source, parts, channels, split_lines, grid, start, stop):
        """``parts[split, t, c] = sum over the split's lines of grad[m, c] * source[source(m, t), c]``; an item is a split.

        Nothing is divided in such a grid.
        """
        size = grid.taps_h * grid.taps_w * channels
        lines = grid.images * grid.out_h
        for split in range(start, stop):
            sums = parts[split * size :][:size]
            for i in range(sums.shape[0]):
                sums[i] = 0
            for line in range(split * split_lines, min(lines, (split + 1) * split_lines)):
                image, y = line // grid.out_h, line % grid.out_h
                from_grad = line * grid.out_w * channels
                for r in range(grid.taps_h):
                    source_y = y * grid.scale_h + r * grid.step_h + grid.shift_h
                    if source_y < 0 or source_y >= grid.source_h:
                        continue
                    above = (image * grid.source_h + source_y) * grid.source_w
                    s = 0
                    while s < grid.taps_w:
                        many = s + TOGETHER <= grid.taps_w
                        taps = TOGETHER if many else 1
                        low, high = inside(s, grid)
                        for t in range(1, taps):  # of all of them
                            a, b = inside(s + t, grid)
                            low, high = max(low, a), min(high, b)
                        if high < low:
                            high = low
                        reach, goal = s * grid.step_w + grid.shift_w, (r * grid.taps_w + s) * channels
                        if high > low:
                            sum_run(
                                source, (above + low * grid.scale_w + reach) * channels, grid.scale_w, grid.step_w, grad,
                                from_grad + low * channels, high - low, sums, goal, channels, many,
                            )  # fmt: skip
                        for t in range(taps if many else 0):  # what one tap sees and another does not
                            a, b = inside(s + t, grid)
                            reach = (s + t) * grid.step_w + grid.shift_w
                            for x in range(a, b):
                                if x < low or x >= high:
                                    sum_run(
                                        source, (above + x * grid.scale_w + reach) * channels, 1, 1, grad,
                                        from_grad + x * channels, 1, sums, goal + t * channels, channels, False,
                                    )  # fmt: skip
                        s += taps

    return sum_channels


@kernel("T[:], T[:], i8, i8, i8")
def add_and_turn(parts, out, splits, taps, channels, start, stop):
    """``out[c, t] = sum of parts[:, t, c]``, in order; an item is a channel."""
    for c in range(start, stop):
        for t in range(taps):
            total = parts[t * channels + c]
            for split in range(1, splits):
                total += parts[(split * taps + t) * channels + c]
            out[c * taps + t] = total


def plan_filter_channels(
    b: PlanBuilder, source: Operand, weight: Operand, bias: Operand | None, out: Operand, grid: Grid, channels: int
) -> None:
    """The output (with a forward grid) or the input's gradient (with a backward grid)."""
    dtype, taps = source.spec.dtype, grid.taps
    turned, nothing = b.scratch(dtype, taps * channels), b.scratch(dtype, 0)
    plan_turn(b, weight, turned, rows=channels, columns=taps)
    words = b.scratch(dtypes.int64, 2 * taps, per_worker=True)
    b.launch(
        filter_kernel(source.code), source.flat, turned.flat, bias.array(channels) if bias else nothing.array(0), out.flat,
        words.flat, channels, grid, work=grid.rows, grain=GRAIN_COST // (taps * channels) + 1, cost=grid.rows * taps * channels,
    )  # fmt: skip


def plan_sum_channels(b: PlanBuilder, grad_out: Operand, x: Operand, out: Operand, grid: Grid, channels: int) -> None:
    """The weight's gradient."""
    taps = grid.taps
    cost = grid.rows * taps * channels
    lines = grid.images * grid.out_h
    splits = max(1, min(MOST_SPLITS, lines, cost // GRAIN_COST))
    split_lines = -(-lines // splits)
    splits = -(-lines // split_lines)
    parts = b.scratch(x.spec.dtype, splits * taps * channels)
    b.launch(
        sum_kernel(x.code), grad_out.flat, x.flat, parts.flat, channels, split_lines, grid,
        work=splits, grain=1, cost=cost,
    )  # fmt: skip
    b.launch(
        add_and_turn, parts.flat, out.flat, splits, taps, channels,
        work=channels, grain=GRAIN_COST // (splits * taps) + 1, cost=splits * taps * channels,
    )  # fmt: skip
