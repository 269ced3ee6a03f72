"""Sorting by keys: integers of 32 or 64 bits in the order of the elements, with a NaN behind all others and no -0.0.

Lines are sorted by their bytes, the lowest first, each pass keeping the order of equal bytes: what is stable has one result,
so the bits are the same for any number of threads. Short lines are sorted by insertion.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from numgrad import dtypes
from numgrad.errors import ProofError
from numgrad.runtime.kernel import Kernel, device, intrinsic, kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder

INSERTED = 48  # elements of a line that is sorted by insertion
BINS = 256
BLOCK = 256  # elements that are compared with a limit at once
SPARE = 16  # room for candidates, beside twice the selected elements


# ---- keys -------------------------------------------------------------------------------------------------------


@intrinsic
def ordered(typing_context, x):
    """The integer, of 32 bits or of 64 for dtypes of 64, that stands in the order of integers where x does in its own."""
    from numba.core import types

    of_floats = isinstance(x, types.Float)
    width = 64 if x in (types.int64, types.float64) else 32

    def emit(context, builder, signature, args):
        from llvmlite import ir

        (value,) = args
        kind = ir.IntType(width)
        if not of_floats:
            if value.type.width == width:
                return value
            is_signed = getattr(x, "signed", False)  # a bool has no such attribute
            return (builder.sext if is_signed else builder.zext)(value, kind)
        bits = builder.bitcast(builder.fadd(value, value.type(0.0)), kind)  # -0.0 is 0.0
        turned = builder.xor(bits, builder.lshr(builder.ashr(bits, kind(width - 1)), kind(1)))
        return builder.select(builder.fcmp_unordered("uno", value, value), kind((1 << (width - 1)) - 1), turned)

    return (types.int64 if width == 64 else types.int32)(x), emit


@ordered.in_python
def _(x):
    if not isinstance(x, np.floating):
        return np.int64(x) if x.dtype.itemsize == 8 else np.int32(x)
    kind = np.int64 if x.dtype.itemsize == 8 else np.int32
    largest = np.iinfo(kind).max
    bits: Any = (x + x.dtype.type(0)).view(kind)
    return kind(largest) if x != x else bits ^ (largest if bits < 0 else 0)


@kernel("T[:], K[:], i8")
def order_keys(x, keys, descending, start, stop):
    """The key of each element; of larger ones the smaller key with ``descending``."""
    v, k = x[start:stop], keys[start:stop]
    if descending:
        for i in range(k.shape[0]):
            k[i] = ~ordered(v[i])
    else:
        for i in range(k.shape[0]):
            k[i] = ordered(v[i])


# ---- sorting ----------------------------------------------------------------------------------------------------


@device
def insert(keys, positions, count):
    """Sort the first ``count`` keys, and the positions with them."""
    for i in range(1, count):
        key, position = keys[i], positions[i]
        j = i - 1
        while j >= 0 and keys[j] > key:
            keys[j + 1], positions[j + 1] = keys[j], positions[j]
            j -= 1
        keys[j + 1], positions[j + 1] = key, position


def _kernels(width: int) -> tuple[Kernel, Kernel]:
    """The kernels for keys of so many bytes: one that sorts lines, and one that finds the smallest elements of each."""
    last = width - 1

    @device
    def sort_keys(keys, positions, spare_keys, spare_positions, counts, count):
        """Sort the first ``count`` keys, and the positions with them; the spare arrays have room for as many."""
        if count <= INSERTED:
            insert(keys, positions, count)
            return
        for b in range(BINS * width):
            counts[b] = 0
        for i in range(count):
            key = np.int64(keys[i])
            for byte in range(width):
                counts[byte * BINS + ((key >> (8 * byte)) & (BINS - 1))] += 1
        is_spare = False
        for byte in range(width):
            bins = counts[byte * BINS : (byte + 1) * BINS]
            shift = 8 * byte
            flip = BINS // 2 if byte == last else 0  # of a sign, which comes first
            if bins[(np.int64(keys[0]) >> shift) & (BINS - 1)] == count:
                continue  # all have the same byte
            total = 0
            for b in range(BINS):
                bin_size = bins[b ^ flip]
                bins[b ^ flip] = total
                total += bin_size
            if is_spare:
                for i in range(count):
                    key = spare_keys[i]
                    bin = (np.int64(key) >> shift) & (BINS - 1)
                    goal = bins[bin]
                    bins[bin] = goal + 1
                    keys[goal], positions[goal] = key, spare_positions[i]
            else:
                for i in range(count):
                    key = keys[i]
                    bin = (np.int64(key) >> shift) & (BINS - 1)
                    goal = bins[bin]
                    bins[bin] = goal + 1
                    spare_keys[goal], spare_positions[goal] = key, positions[i]
            is_spare = not is_spare
        if is_spare:
            for i in range(count):
                keys[i], positions[i] = spare_keys[i], spare_positions[i]

    def sort_lines(keys, indices, spare_keys, positions, counts, length, start, stop, worker):
        """Work: lines. Their keys are sorted as well."""
        spare = spare_keys[worker * length : (worker + 1) * length]
        own = positions[2 * worker * length : (2 * worker + 1) * length]
        other = positions[(2 * worker + 1) * length : (2 * worker + 2) * length]
        bins = counts[worker * BINS * width : (worker + 1) * BINS * width]
        for line in range(start, stop):
            k, out = keys[line * length : (line + 1) * length], indices[line * length : (line + 1) * length]
            for i in range(length):
                own[i] = i
            sort_keys(k, own, spare, other, bins, length)
            for i in range(length):
                out[i] = own[i]

    def select_lines(keys, indices, candidates, positions, counts, select, start, stop, worker):
        """Work: lines. Candidates below a limit are collected, and sorted where their room is full."""
        length, end, room, first = select.length, select.end, select.room, select.first
        own_keys = candidates[2 * worker * room : (2 * worker + 1) * room]
        other_keys = candidates[(2 * worker + 1) * room : (2 * worker + 2) * room]
        own = positions[2 * worker * room : (2 * worker + 1) * room]
        other = positions[(2 * worker + 1) * room : (2 * worker + 2) * room]
        bins = counts[worker * BINS * width : (worker + 1) * BINS * width]
        for line in range(start, stop):
            k = keys[line * length : (line + 1) * length]
            size, has_limit, limit = 0, False, k[0]
            for begin in range(0, length, BLOCK):
                block = k[begin : min(length, begin + BLOCK)]
                if has_limit:
                    hits = 0
                    for i in range(block.shape[0]):
                        hits += block[i] < limit
                    if hits == 0:
                        continue
                for i in range(block.shape[0]):
                    if has_limit and block[i] >= limit:
                        continue
                    own_keys[size], own[size] = block[i], begin + i
                    size += 1
                    if size == room:
                        sort_keys(own_keys, own, other_keys, other, bins, size)
                        size, has_limit, limit = end, True, own_keys[end - 1]
            sort_keys(own_keys, own, other_keys, other, bins, size)
            out = indices[line * (end - first) : (line + 1) * (end - first)]
            for i in range(end - first):
                out[i] = own[first + i]

    return (
        kernel("K[:], i8[:], K[:], I[:], i8[:], i8")(sort_lines),
        kernel("K[:], i8[:], K[:], I[:], i8[:], Select", Select)(select_lines),
    )


class Select(NamedTuple):
    """The selected elements of a sorted line, from ``first`` up to ``end``, and the room for candidates."""

    length: int
    end: int
    first: int
    room: int


_KERNELS = {4: _kernels(4), 8: _kernels(8)}


# ---- searching --------------------------------------------------------------------------------------------------


class Search(NamedTuple):
    """Lengths of the sorted lines and of what is searched in each; whether one line serves all, and which side is meant."""

    length: int
    searched: int
    shared: int
    right: int


@kernel("T[:], T[:], i8[:], Search", Search)
def search_lines(lines, values, out, search, start, stop):
    """How many elements of a sorted line come before each value: those below it, with ``right`` those not above it."""
    for unit in range(start, stop):
        v = values[unit]
        begin = 0 if search.shared else unit // search.searched * search.length
        line = lines[begin : begin + search.length]
        low, rest = 0, line.shape[0]
        if search.right:
            while rest > 0:
                half = rest // 2
                comes = not (line[low + half] > v)
                low = low + half + 1 if comes else low
                rest = rest - half - 1 if comes else half
        else:
            while rest > 0:
                half = rest // 2
                comes = not (line[low + half] >= v)
                low = low + half + 1 if comes else low
                rest = rest - half - 1 if comes else half
        out[unit] = low


# ---- planning ---------------------------------------------------------------------------------------------------


def _keys(b: PlanBuilder, name: str, x: Operand, descending: bool) -> tuple[Operand, int, int]:
    """The keys of contiguous lines, their number and their length."""
    if not x.spec.is_contiguous or not x.spec.ndim:
        raise ProofError(f"{name}: the input is {x.spec}, expected contiguous lines")
    kind = dtypes.int64 if x.spec.dtype.itemsize == 8 else dtypes.int32
    keys, length = b.scratch(kind, x.spec.numel), x.spec.shape[-1]
    b.launch(order_keys, x.flat, keys.flat, int(descending), work=x.spec.numel, grain=GRAIN_COST // 2)
    return keys, x.spec.numel // max(1, length), length


def _positions(b: PlanBuilder, count: int) -> Operand:
    return b.scratch(dtypes.int32 if count <= dtypes.int32.largest else dtypes.int64, 2 * count, per_worker=True)


def plan_sort(b: PlanBuilder, x: Operand, indices: Operand, *, descending: bool) -> None:
    """Where the elements of each line are found in sorted order, equal ones in their own; NaN comes last, or first of all.

    x
        Contiguous lines along the last dimension, any dtype.
    indices
        int64, contiguous, of x's shape.
    """
    keys, lines, length = _keys(b, "sort", x, descending)
    kind, width = keys.spec.dtype, keys.spec.dtype.itemsize
    cost = 16 * width * length + 8 * BINS
    b.launch(
        _KERNELS[width][0], keys.flat, indices.array(lines * length),
        b.scratch(kind, length, per_worker=True).flat, _positions(b, length).flat,
        b.scratch(dtypes.int64, BINS * width, per_worker=True).flat, length,
        work=lines if length else 0, grain=max(1, GRAIN_COST // cost), cost=lines * cost,
    )  # fmt: skip


def plan_select(
    b: PlanBuilder, x: Operand, indices: Operand, *, end: int, first: int = 0, descending: bool
) -> None:  # fmt: skip
    """The indices of a sorted line from ``first`` up to ``end``, without sorting all of it.

    x
        Contiguous lines along the last dimension, any dtype, with at least ``end`` elements.
    indices
        int64, contiguous: x's shape with a last extent of ``end - first``.
    """
    keys, lines, length = _keys(b, "select", x, descending)
    if not 0 <= first <= end <= length:
        raise ProofError(f"select: elements {first} to {end} of lines of {length}")
    kind, width = keys.spec.dtype, keys.spec.dtype.itemsize
    room = min(length, 2 * end + SPARE)
    cost = 4 * length + 16 * width * room + 8 * BINS
    b.launch(
        _KERNELS[width][1], keys.flat, indices.array(lines * (end - first)),
        b.scratch(kind, 2 * room, per_worker=True).flat, _positions(b, room).flat,
        b.scratch(dtypes.int64, BINS * width, per_worker=True).flat, Select(length, end, first, room),
        work=lines if end > first else 0, grain=max(1, GRAIN_COST // cost), cost=lines * cost,
    )  # fmt: skip


def plan_search(b: PlanBuilder, lines: Operand, values: Operand, out: Operand, *, right: bool) -> None:
    """Where each of ``values`` would be inserted into a sorted line.

    lines
        Contiguous along the last dimension: one for all values, or one for each line of values.
    values, out
        Contiguous, of one shape; values has the lines' dtype, out is int64.
    """
    shape = tuple(values.spec.shape)
    shared = lines.spec.ndim == 1
    if not all(operand.spec.is_contiguous for operand in (lines, values, out)) or tuple(out.spec.shape) != shape:
        raise ProofError(f"search: {values.spec} in {lines.spec} to {out.spec}, expected contiguous, values as out")
    if not shared and tuple(lines.spec.shape[:-1]) != shape[:-1]:
        raise ProofError(f"search: {values.spec} in {lines.spec}, expected a line for each line of values")
    length, searched = lines.spec.shape[-1], shape[-1] if shape else 1
    cost = 8 * (1 + length.bit_length())
    b.launch(
        search_lines, lines.flat, values.flat, out.flat, Search(length, searched, int(shared), int(right)),
        work=values.spec.numel, grain=max(1, GRAIN_COST // cost), cost=values.spec.numel * cost,
    )  # fmt: skip
