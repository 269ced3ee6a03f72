"""Scans along the middle of three dimensions: running sums, products and extremes, and recurrences of the first order.

A unit of work is one line, or several that lie side by side in memory and are walked together. Running sums of few and
long lines are cut into parts by their lengths alone: the sums of the parts come first, then each part begins with what
is before it. So the bits are the same for any number of threads. Products are not cut: that of a part may overflow
where what is before it is 0.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from numgrad import dtypes
from numgrad.errors import ProofError
from numgrad.kernels import scalar
from numgrad.layout import product
from numgrad.runtime.kernel import Device, Kernel, device, kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder, column_grain

COLUMNS = 64  # lines that are walked together
BLOCK = 128  # elements whose exponentials are taken at once
COMPARED = 32  # elements that are compared with an extreme at once: of a few of them one is mostly larger
SHORT = 256  # up to so many elements of a line an extreme often changes
PART = 1 << 11  # elements of a part of a line
MOST_PARTS = 64
NEAR = 8.0  # how far an element may be above the sum before it where both are counted from it


class Walk(NamedTuple):
    """How units walk through [outer, length, width]: blocks of columns, parts of lines, and from which end."""

    length: int
    width: int
    blocks: int
    parts: int
    part_length: int
    reverse: int


@device
def added(total, x):
    """The next of running sums."""
    return total + x


@device
def multiplied(total, x):
    """The next of running products."""
    return total * x


@device
def part_of(unit, walk):
    """Where a part of a line of one column begins, and how many elements it has."""
    line = unit // walk.parts
    begin = (unit - line * walk.parts) * walk.part_length
    count = min(walk.length, begin + walk.part_length) - begin
    return line * walk.length + (walk.length - begin - count if walk.reverse else begin), count


def _running(name: str, step: Device) -> Kernel:
    def running(x, out, before, totals, walk, start, stop, worker):
        length, width = walk.length, walk.width
        own = totals[worker * COLUMNS : (worker + 1) * COLUMNS]
        done = start
        for unit in range(start, stop):
            part = unit % walk.parts
            block = unit // walk.parts
            o = block // walk.blocks
            begin = part * walk.part_length
            count = min(length, begin + walk.part_length) - begin
            first = o * length * width
            if width == 1:
                first += length - begin - count if walk.reverse else begin
                if unit < done:
                    continue
                v, y = x[first : first + count], out[first : first + count]
                total = before[unit]
                if unit + 3 < stop and (
                    part_of(unit + 1, walk)[1] == part_of(unit + 2, walk)[1] == part_of(unit + 3, walk)[1] == count
                ):
                    # A sum waits for the one before it: those of four lines, or parts, do so at the same time.
                    done = unit + 4
                    f1, f2, f3 = part_of(unit + 1, walk)[0], part_of(unit + 2, walk)[0], part_of(unit + 3, walk)[0]
                    v1, y1, t1 = x[f1 : f1 + count], out[f1 : f1 + count], before[unit + 1]
                    v2, y2, t2 = x[f2 : f2 + count], out[f2 : f2 + count], before[unit + 2]
                    v3, y3, t3 = x[f3 : f3 + count], out[f3 : f3 + count], before[unit + 3]
                    for i in range(count):
                        k = np.uint64(count - 1 - i if walk.reverse else i)
                        total, t1 = step(total, v[k]), step(t1, v1[k])
                        t2, t3 = step(t2, v2[k]), step(t3, v3[k])
                        y[k], y1[k], y2[k], y3[k] = total, t1, t2, t3
                    continue
                if walk.reverse:
                    for i in range(count):
                        total = step(total, v[count - 1 - i])
                        y[count - 1 - i] = total
                else:
                    for i in range(count):
                        total = step(total, v[i])
                        y[i] = total
                continue
            left = (block - o * walk.blocks) * COLUMNS
            columns = min(COLUMNS, width - left)
            t = own[:columns]
            for j in range(t.shape[0]):
                t[j] = before[unit]
            for i in range(count):
                offset = first + left + (length - 1 - i if walk.reverse else i) * width
                v, y = x[offset : offset + columns], out[offset : offset + columns]
                for j in range(y.shape[0]):
                    t[j] = step(t[j], v[j])
                    y[j] = t[j]

    running.__name__ = f"running_{name}"
    return kernel("T[:], R[:], A[:], A[:], Walk", Walk)(running)


_RUNNING = {"sum": _running("sum", added), "product": _running("product", multiplied)}


@kernel("A[:], i8")
def begin_lines(before, value, start, stop):
    """What is before the first element of each line."""
    for i in range(start, stop):
        before[i] = value


@kernel("T[:], A[:], Walk", Walk, reassociate=True)
def add_parts(x, totals, walk, start, stop):
    """Sums of the parts of lines of one column; work: all parts."""
    length = walk.length
    for unit in range(start, stop):
        o = unit // walk.parts
        begin = (unit - o * walk.parts) * walk.part_length
        end = min(length, begin + walk.part_length)
        line = x[o * length : (o + 1) * length]
        v = line[length - end : length - begin] if walk.reverse else line[begin:end]
        total = totals.dtype.type(0)
        for i in range(v.shape[0]):
            total += v[i]
        totals[unit] = total


@kernel("A[:], A[:], i8")
def add_before(totals, before, parts, start, stop):
    """For each part the sum of those before it; work: lines."""
    for line in range(start, stop):
        total = totals.dtype.type(0)
        for unit in range(line * parts, (line + 1) * parts):
            before[unit] = total
            total += totals[unit]


@device
def not_below(x, best):
    """x takes the place of the largest so far; the last of equal ones does, and the last NaN."""
    return (x != x) | (x >= best)


@device
def not_above(x, best):
    """x takes the place of the smallest so far; the last of equal ones does, and the last NaN."""
    return (x != x) | (x <= best)


def _running_extreme(name: str, replaces: Device) -> Kernel:
    @device
    def following(x, best, position, i):
        """The largest so far, with one more element, and its place."""
        takes = replaces(x, best)
        return x if takes else best, i if takes else position

    @device
    def short_lines(x, values, indices, length):
        """Four lines, of which several may be the same: each waits for the element before, and all do so at the same time."""
        v0, v1, v2, v3 = x
        y0, y1, y2, y3 = values
        p0, p1, p2, p3 = indices
        b0, b1, b2, b3 = v0[0], v1[0], v2[0], v3[0]
        i0, i1, i2, i3 = 0, 0, 0, 0
        for i in range(length):
            b0, i0 = following(v0[i], b0, i0, i)
            b1, i1 = following(v1[i], b1, i1, i)
            b2, i2 = following(v2[i], b2, i2, i)
            b3, i3 = following(v3[i], b3, i3, i)
            y0[i], y1[i], y2[i], y3[i] = b0, b1, b2, b3
            p0[i], p1[i], p2[i], p3[i] = i0, i1, i2, i3

    def running(x, values, indices, walk, start, stop):
        length, width = walk.length, walk.width
        if width == 1 and length <= SHORT:
            for unit in range(start, stop, 4):
                l0, l1, l2, l3 = unit, min(unit + 1, stop - 1), min(unit + 2, stop - 1), min(unit + 3, stop - 1)
                short_lines(
                    (x[l0 * length :], x[l1 * length :], x[l2 * length :], x[l3 * length :]),
                    (values[l0 * length :], values[l1 * length :], values[l2 * length :], values[l3 * length :]),
                    (indices[l0 * length :], indices[l1 * length :], indices[l2 * length :], indices[l3 * length :]), length,
                )  # fmt: skip
            return
        for unit in range(start, stop):
            o = unit // walk.blocks
            first = o * length * width
            if width == 1:
                best, position = x[first], 0
                for begin in range(0, length, COMPARED):
                    here, end = first + begin, first + min(length, begin + COMPARED)
                    v, y, positions = x[here:end], values[here:end], indices[here:end]
                    later = 0
                    for i in range(v.shape[0]):
                        later += replaces(v[i], best)
                    if later:
                        for i in range(v.shape[0]):
                            if replaces(v[i], best):
                                best, position = v[i], begin + i
                            y[i] = best
                            positions[i] = position
                    else:
                        for i in range(y.shape[0]):
                            y[i] = best
                            positions[i] = position
                continue
            left = (unit - o * walk.blocks) * COLUMNS
            columns = min(COLUMNS, width - left)
            offset = first + left
            for j in range(columns):
                values[offset + j] = x[offset + j]
                indices[offset + j] = 0
            for i in range(1, length):
                offset += width
                v = x[offset : offset + columns]
                last, y = values[offset - width : offset - width + columns], values[offset : offset + columns]
                previous, positions = (
                    indices[offset - width : offset - width + columns],
                    indices[offset : offset + columns],
                )
                for j in range(y.shape[0]):
                    take = replaces(v[j], last[j])
                    y[j] = v[j] if take else last[j]
                    positions[j] = i if take else previous[j]

    running.__name__ = f"running_{name}"
    return kernel("T[:], T[:], i8[:], Walk", Walk)(running)


_EXTREMES = {"max": _running_extreme("max", not_below), "min": _running_extreme("min", not_above)}


@device
def next_sum(x, top, total):
    """The largest so far and the sum of the exponentials of the distances from it, with one more."""
    if x == top:  # infinite ones, too, whose distance is no number
        return top, total + 1.0
    if x < top:
        return top, total + scalar.exp(x - top)
    if top == top:
        return x, total * scalar.exp(top - x) + 1.0
    return top, top


@device
def log_line(x, out, sums):
    """A line of `running_logsumexp`, in blocks: exponentials, then sums, then logarithms, the first and last in vectors."""
    top, total = -math.inf, 0.0
    for begin in range(0, x.shape[0], BLOCK):
        v, y = x[begin : min(x.shape[0], begin + BLOCK)], out[begin : min(x.shape[0], begin + BLOCK)]
        largest, bad = np.float64(v[0]), 0
        for i in range(v.shape[0]):
            largest = np.float64(v[i]) if v[i] > largest else largest
            bad |= not (v[i] < math.inf)
        # Where an element is far above the sum before it, the distances from it would lose what comes before.
        if bad or not (largest - (top if total > 0.0 else np.float64(v[0])) < NEAR):
            for i in range(v.shape[0]):
                top, total = next_sum(np.float64(v[i]), top, total)
                y[i] = top + scalar.log(total)
            continue
        if largest > top:
            total = total * scalar.exp(top - largest) if total > 0.0 else 0.0
            top = largest
        s = sums[: v.shape[0]]
        for i in range(s.shape[0]):
            s[i] = scalar.exp(np.float64(v[i]) - top)
        for i in range(s.shape[0]):
            total += s[i]
            s[i] = total
        for i in range(s.shape[0]):
            y[i] = top + scalar.log(s[i])


@kernel("T[:], T[:], f8[:], f8[:], Walk", Walk)
def running_logsumexp(x, out, tops, sums, walk, start, stop, worker):
    """log(exp(x[0]) + ... + exp(x[i])): the largest so far, and the sum of the exponentials of the distances from it."""
    tops = tops[worker * COLUMNS : (worker + 1) * COLUMNS]
    sums = sums[worker * BLOCK : (worker + 1) * BLOCK]
    for unit in range(start, stop):
        o = unit // walk.blocks
        if walk.width == 1:
            log_line(x[o * walk.length : (o + 1) * walk.length], out[o * walk.length : (o + 1) * walk.length], sums)
            continue
        left = (unit - o * walk.blocks) * COLUMNS
        columns = min(COLUMNS, walk.width - left)
        for j in range(columns):
            tops[j] = -math.inf
            sums[j] = 0.0
        for i in range(walk.length):
            offset = (o * walk.length + i) * walk.width + left
            for j in range(columns):
                tops[j], sums[j] = next_sum(np.float64(x[offset + j]), tops[j], sums[j])
                out[offset + j] = tops[j] + scalar.log(sums[j])


@device
def recur_lines(x, factor, out, length, reverse):
    """Four lines of `recur`, of which several may be the same."""
    v0, v1, v2, v3 = x
    f0, f1, f2, f3 = factor
    y0, y1, y2, y3 = out
    k = np.uint64(length - 1 if reverse else 0)
    t0, t1, t2, t3 = np.float64(v0[k]), np.float64(v1[k]), np.float64(v2[k]), np.float64(v3[k])
    y0[k], y1[k], y2[k], y3[k] = t0, t1, t2, t3  # not 0 times the factor, which may be infinite
    for i in range(1, length):
        k = np.uint64(length - 1 - i if reverse else i)
        t0, t1, t2, t3 = v0[k] + f0[k] * t0, v1[k] + f1[k] * t1, v2[k] + f2[k] * t2, v3[k] + f3[k] * t3
        y0[k], y1[k], y2[k], y3[k] = t0, t1, t2, t3


@kernel("T[:], T[:], T[:], f8[:], Walk", Walk)
def recur(x, factor, out, totals, walk, start, stop, worker):
    """out[i] = x[i] + factor[i] * out[i - 1], or with ``reverse`` + factor[i] * out[i + 1]; there is nothing before the first."""
    length, width = walk.length, walk.width
    own = totals[worker * COLUMNS : (worker + 1) * COLUMNS]
    if width == 1:
        for unit in range(
            start, stop, 4
        ):  # an element waits for the one before it: those of four lines at the same time
            n1, n2, n3 = min(unit + 1, stop - 1), min(unit + 2, stop - 1), min(unit + 3, stop - 1)
            recur_lines(
                (x[unit * length :], x[n1 * length :], x[n2 * length :], x[n3 * length :]),
                (factor[unit * length :], factor[n1 * length :], factor[n2 * length :], factor[n3 * length :]),
                (out[unit * length :], out[n1 * length :], out[n2 * length :], out[n3 * length :]), length, walk.reverse,
            )  # fmt: skip
        return
    for unit in range(start, stop):
        o = unit // walk.blocks
        left = (unit - o * walk.blocks) * COLUMNS
        columns = min(COLUMNS, width - left)
        t = own[:columns]
        for i in range(length):
            offset = (o * length + (length - 1 - i if walk.reverse else i)) * width + left
            v, f, y = x[offset : offset + columns], factor[offset : offset + columns], out[offset : offset + columns]
            if i == 0:  # not 0 times the factor, which may be infinite
                for j in range(y.shape[0]):
                    t[j] = v[j]
                    y[j] = v[j]
            else:
                for j in range(y.shape[0]):
                    t[j] = v[j] + f[j] * t[j]
                    y[j] = t[j]


# ---- planning ---------------------------------------------------------------------------------------------------


def _walk(name: str, dim: int, *operands: Operand, reverse: bool = False) -> tuple[Walk, int]:
    """How contiguous operands of one shape are walked along ``dim``, in one part; and the number of units."""
    shape = tuple(operands[0].spec.shape)
    for operand in operands:
        if not operand.spec.is_contiguous or tuple(operand.spec.shape) != shape:
            raise ProofError(f"{name}: an operand is {operand.spec}, expected contiguous, of shape {list(shape)}")
    length, width = shape[dim], product(shape[dim + 1 :])
    blocks = -(-width // COLUMNS)
    units = product(shape[:dim]) * blocks if length else 0
    return Walk(length, width, blocks, 1, length, int(reverse)), units


def _work(walk: Walk, units: int, cost: int) -> dict[str, Any]:
    """Work and grain of units that cost so much for an element."""
    cost *= walk.part_length * min(walk.width, COLUMNS)
    return {"work": units, "grain": column_grain(walk.blocks, units, cost), "cost": cost * units}


def plan_running(b: PlanBuilder, kind: str, x: Operand, out: Operand, dim: int, *, reverse: bool = False) -> None:
    """Running sums (kind ``sum``) or products (``product``) along ``dim``, from its end with ``reverse``.

    x, out
        Contiguous, of one shape. out's dtype is x's for floating point, which is added up in float64, or else int64.
    """
    walk, lines = _walk(f"running {kind}", dim, x, out, reverse=reverse)
    if not lines:
        return
    wide = dtypes.float64 if out.spec.dtype.is_floating_point else dtypes.int64
    parts = min(MOST_PARTS // lines, walk.length // PART) if kind == "sum" and walk.width == 1 else 1
    if parts > 1:
        part_length = -(-walk.length // parts)
        walk = walk._replace(parts=-(-walk.length // part_length), part_length=part_length)
    units = lines * walk.parts
    before = b.scratch(wide, units)
    if parts > 1:
        sums = b.scratch(wide, units)
        b.launch(add_parts, x.flat, sums.flat, walk, **_work(walk, units, 1))
        b.launch(add_before, sums.flat, before.flat, walk.parts, work=lines, grain=1 + GRAIN_COST // walk.parts)
    else:
        b.launch(begin_lines, before.flat, int(kind == "product"), work=lines, grain=GRAIN_COST)
    totals = b.scratch(wide, COLUMNS, per_worker=True)
    work = _work(walk, units, 4)
    if walk.width == 1:
        work["grain"] = -(-work["grain"] // 4) * 4
    b.launch(_RUNNING[kind], x.flat, out.flat, before.flat, totals.flat, walk, **work)


def plan_running_extreme(b: PlanBuilder, kind: str, x: Operand, values: Operand, indices: Operand, dim: int) -> None:
    """The largest (kind ``max``) or smallest (``min``) so far along ``dim``, and where it is: the last of equal ones, or of NaNs.

    x, values, indices
        Contiguous, of one shape. values has x's dtype, indices int64.
    """
    walk, units = _walk(f"running {kind}", dim, x, values, indices)
    b.launch(_EXTREMES[kind], x.flat, values.flat, indices.flat, walk, **_work(walk, units, 4))


def plan_running_logsumexp(b: PlanBuilder, x: Operand, out: Operand, dim: int) -> None:
    """The logarithm of the running sum of exponentials along ``dim``; both are contiguous, of floating point and of one shape."""
    walk, units = _walk("running logsumexp", dim, x, out)
    tops, sums = (b.scratch(dtypes.float64, count, per_worker=True).flat for count in (COLUMNS, BLOCK))
    b.launch(running_logsumexp, x.flat, out.flat, tops, sums, walk, **_work(walk, units, 40))


def plan_recurrence(b: PlanBuilder, x: Operand, factor: Operand, out: Operand, dim: int, *, reverse: bool) -> None:
    """out[i] = x[i] + factor[i] * out[i - 1] along ``dim``; all are contiguous, of one shape and floating-point dtype."""
    walk, units = _walk("recurrence", dim, x, factor, out, reverse=reverse)
    totals = b.scratch(dtypes.float64, COLUMNS, per_worker=True)
    b.launch(recur, x.flat, factor.flat, out.flat, totals.flat, walk, **_work(walk, units, 4))
