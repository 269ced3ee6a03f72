"""Sorting by keys: integers of 32 or 64 bits in the order of the elements, with a NaN behind all others and no -0.0.

Lines are sorted by their bytes, the lowest first, each pass keeping the order of equal bytes: what is stable has one result,
so the bits are the same for any number of threads. Short lines are sorted by how many of their elements are smaller than each,
which vectors count, and the shortest by insertion.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from numgrad import dtypes
from numgrad.errors import ProofError
from numgrad.runtime.kernel import Kernel, device, intrinsic, kernel
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder

INSERTED = 16  # elements of a line that is sorted by insertion
COUNTED = 64  # elements of a line of which one, or a few, are found by comparing each with all
COMPARED = 224  # elements of a line from which sorting by bytes is faster than comparing each with all
BINS = 256
BLOCK = 256  # elements that are compared with a limit at once
SPARE = 16  # room for candidates, beside twice the selected elements
FEW = 32  # selected elements that are found by a limit, where there are many others
LANES = 64  # elements apart that share a minimum: as many minima give the first limit of a line, or a quarter of a short one
LOOKED = 32  # elements that are compared with the limit at once
LONG = 1 << 13  # elements of a line whose ranks are counted by digits of 11 bits, and not of 8
NANS_LAST, NANS_WIN, NANS_MISSING = range(3)  # how an element of a rank is found where there are NaNs
MOST_DIGITS = 1 << 11  # counts of a worker; enough for the 256 of each of eight bytes, too


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


@device
def count_smaller(keys, ranks):
    """For each key how many are smaller; no branch depends on one."""
    count = keys.shape[0]
    for i in range(ranks.shape[0]):
        ranks[i] = 0
    whole = count // 4 * 4
    for j in range(0, whole, 4):
        first, second, third, fourth = keys[j], keys[j + 1], keys[j + 2], keys[j + 3]
        for i in range(ranks.shape[0]):
            key = keys[i]
            ranks[i] = (
                ranks[i] + (first < key) + (second < key) + (third < key) + (fourth < key)
            )  # NumPy adds two bools to one
    for j in range(whole, count):
        first = keys[j]
        for i in range(ranks.shape[0]):
            ranks[i] += first < keys[i]


@device
def sort_by_counts(keys, positions, spare_keys, spare_positions, counts, count):
    """Sort the first ``count`` keys, and the positions with them, by how many others are smaller.

    ``counts`` has room for as many, as the spare arrays have.
    """
    ranks, k = spare_positions[:count], keys[:count]
    count_smaller(k, ranks)
    for i in range(count):
        counts[i] = 0
    for i in range(count):  # equal ones have the same rank, and come after each other in their order
        rank = ranks[i]
        equal = counts[rank]
        counts[rank] = equal + 1
        ranks[i] = rank + equal
    for i in range(count):
        goal = ranks[i]
        spare_keys[goal], counts[goal] = k[i], positions[i]
    for i in range(count):
        k[i], positions[i] = spare_keys[i], counts[i]


class _Kernels(NamedTuple):
    """The kernels for keys of one width: of whole lines, of a few of their smallest, of one rank, of many of the smallest."""

    sort: Kernel
    select: Kernel
    rank: Kernel
    first: Kernel


def _kernels(width: int) -> _Kernels:
    last, largest = width - 1, (1 << (8 * width - 1)) - 1

    @device
    def sort_keys(keys, positions, spare_keys, spare_positions, counts, count):
        """Sort the first ``count`` keys, and the positions with them; the spare arrays have room for as many."""
        if count <= INSERTED:
            insert(keys, positions, count)
            return
        if count <= COMPARED:
            sort_by_counts(keys, positions, spare_keys, spare_positions, counts, count)
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

    @device
    def digits(key):
        """The key as an integer without a sign, in the same order."""
        if width == 4:
            return np.uint64(np.int64(key) + (1 << 31))
        return np.uint64(key) ^ np.uint64(1 << 63)

    @device
    def key_of_rank(keys, spare, counts, rank):
        """The key that would be at ``rank`` if the keys were sorted, and how many are smaller."""
        size = keys.shape[0]
        differing = np.uint64(0)
        for i in range(size):
            differing |= digits(keys[i]) ^ digits(keys[0])
        bits = 0
        while bits < 64 and differing >> np.uint64(bits):
            bits += 1
        most = 11 if size >= LONG else 8
        smaller = 0
        values = keys
        while bits > 0 and size > 1:
            count = min(bits, most)
            shift, mask = np.uint64(bits - count), np.uint64((1 << count) - 1)
            bits -= count
            bins = counts[: 1 << count]
            for b in range(bins.shape[0]):
                bins[b] = 0
            for i in range(size):
                bins[(digits(values[i]) >> shift) & mask] += 1
            digit = 0
            while rank - smaller >= bins[digit]:
                smaller += bins[digit]
                digit += 1
            kept = 0
            most_kept = bins[digit]
            i = 0
            while kept < most_kept and i < size:  # in place from the second time on: what is written has been read
                key = values[np.uint64(i)]
                spare[np.uint64(kept)] = key
                kept += ((digits(key) >> shift) & mask) == np.uint64(digit)
                i += 1
            values, size = spare, most_kept
        return values[0], smaller

    def rank_lines(keys, indices, spare_keys, counts, length, rank, nans, start, stop, worker):
        """Where the element of a rank is in each line, of equal ones in their order. NaN has the largest key: where there is one,
        it is the first NaN (`NANS_WIN`), or the lower middle one of the other elements (`NANS_MISSING`). Work: lines."""
        spare = spare_keys[worker * length : (worker + 1) * length]
        bins = counts[worker * MOST_DIGITS : (worker + 1) * MOST_DIGITS]
        for line in range(start, stop):
            k = keys[line * length : (line + 1) * length]
            missing, own = 0, rank
            for i in range(length):
                missing += k[i] == largest
            if nans == NANS_MISSING:
                own = (length - missing - 1) // 2
            if own < 0 or (missing and nans == NANS_WIN):
                key, equal = k.dtype.type(largest), 0
            elif length <= COUNTED:
                ranks, smaller = spare[:length], 0
                count_smaller(k, ranks)
                for i in range(length):
                    smaller = max(smaller, ranks[i] if ranks[i] <= own else 0)
                equal = own - smaller
                for i in range(length):  # equal keys have the same rank
                    if ranks[i] == smaller:
                        if equal == 0:
                            indices[line] = i
                            break
                        equal -= 1
                continue
            else:
                key, smaller = key_of_rank(k, spare, bins, own)
                equal = own - smaller
            for begin in range(0, length, BLOCK):
                block = k[begin : min(length, begin + BLOCK)]
                hits = 0
                for i in range(block.shape[0]):
                    hits += block[i] == key
                if hits <= equal:
                    equal -= hits
                    continue
                for i in range(block.shape[0]):
                    if block[i] == key:
                        if equal == 0:
                            indices[line] = begin + i
                            break
                        equal -= 1
                break

    def first_lines(keys, indices, spare_keys, chosen_keys, positions, counts, length, end, start, stop, worker):
        """Where the first ``end`` elements of each sorted line are: what is below the last one, and as many of its equals."""
        spare = spare_keys[worker * length : (worker + 1) * length]
        own_keys = chosen_keys[2 * worker * end : (2 * worker + 1) * end]
        other_keys = chosen_keys[(2 * worker + 1) * end : (2 * worker + 2) * end]
        own = positions[2 * worker * end : (2 * worker + 1) * end]
        other = positions[(2 * worker + 1) * end : (2 * worker + 2) * end]
        bins = counts[worker * MOST_DIGITS : (worker + 1) * MOST_DIGITS]
        for line in range(start, stop):
            k, out = keys[line * length : (line + 1) * length], indices[line * end : (line + 1) * end]
            key, smaller = key_of_rank(k, spare, bins, end - 1)
            size, equal, i = 0, end - smaller, 0
            while size < end and i < length:
                each = k[np.uint64(i)]
                own_keys[np.uint64(size)], own[np.uint64(size)] = each, i
                size += (each < key) | ((each == key) & (equal > 0))
                equal -= each == key
                i += 1
            sort_keys(own_keys, own, other_keys, other, bins, end)
            for i in range(end):
                out[i] = own[i]

    @device
    def first_limit(keys, minima, smallest, count):
        """A key that at least ``count`` of the keys do not exceed: of so many ``minima`` of elements apart a rank.

        ``smallest`` has room for ``count``.
        """
        lanes = minima.shape[0]
        for i in range(lanes):
            minima[i] = keys[i]
        for begin in range(lanes, keys.shape[0] - lanes + 1, lanes):
            block = keys[begin : begin + lanes]
            for i in range(lanes):
                minima[i] = min(minima[i], block[i])
        for i in range(lanes):
            key = minima[i]
            j = min(i, count)
            while j > 0 and smallest[j - 1] > key:
                if j < count:
                    smallest[j] = smallest[j - 1]
                j -= 1
            if j < count:
                smallest[j] = key
        return smallest[count - 1]

    def select_lines(keys, indices, candidates, positions, counts, select, start, stop, worker):
        """Work: lines. Candidates below a limit are collected, and sorted where their room is full. Short lines are compared."""
        length, end, room, first, lanes = select.length, select.end, select.room, select.first, select.lanes
        is_short = length <= COUNTED and lanes == 0
        own_keys = candidates[2 * worker * room : (2 * worker + 1) * room]
        other_keys = candidates[(2 * worker + 1) * room : (2 * worker + 2) * room]
        own = positions[2 * worker * room : (2 * worker + 1) * room]
        other = positions[(2 * worker + 1) * room : (2 * worker + 2) * room]
        bins = counts[worker * MOST_DIGITS : (worker + 1) * MOST_DIGITS]
        for line in range(start, stop):
            k = keys[line * length : (line + 1) * length]
            out = indices[line * (end - first) : (line + 1) * (end - first)]
            if is_short:
                ranks, equal = own_keys[:length], bins[:end]
                count_smaller(k, ranks)
                for i in range(end):
                    equal[i] = 0
                for i in range(length):
                    rank = ranks[i]
                    if rank < end:
                        goal = rank + equal[rank]
                        equal[rank] += 1
                        if first <= goal < end:
                            out[goal - first] = i
                continue
            size, has_limit, limit = 0, False, k[0]
            if lanes:
                limit = first_limit(k, own_keys[:lanes], other_keys, end)
                has_limit = limit < largest
                limit = k.dtype.type(limit + has_limit)
            for begin in range(0, length, LOOKED):
                block = k[begin : min(length, begin + LOOKED)]
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
            for i in range(end - first):
                out[i] = own[first + i]

    return _Kernels(
        kernel("K[:], i8[:], K[:], I[:], i8[:], i8")(sort_lines),
        kernel("K[:], i8[:], K[:], I[:], i8[:], Select", Select)(select_lines),
        kernel("K[:], i8[:], K[:], i8[:], i8, i8, i8")(rank_lines),
        kernel("K[:], i8[:], K[:], K[:], I[:], i8[:], i8, i8")(first_lines),
    )


class Select(NamedTuple):
    """The selected elements of a sorted line, from ``first`` up to ``end``, and the room for candidates."""

    length: int
    end: int
    first: int
    room: int
    lanes: int  # minima for the first limit, at most the room; 0: there is none


_KERNELS = {4: _kernels(4), 8: _kernels(8)}


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
        _KERNELS[width].sort, keys.flat, indices.array(lines * length),
        b.scratch(kind, length, per_worker=True).flat, _positions(b, length).flat,
        b.scratch(dtypes.int64, BINS * width, per_worker=True).flat, length,
        work=lines if length else 0, grain=max(1, GRAIN_COST // cost), cost=lines * cost,
    )  # fmt: skip


def plan_select(
    b: PlanBuilder, x: Operand, indices: Operand, *, end: int, first: int = 0, descending: bool, nans: int = NANS_LAST
) -> None:  # fmt: skip
    """The indices of a sorted line from ``first`` up to ``end``, without sorting all of it.

    nans
        For one index of floating point: that of the first NaN where there is one (`NANS_WIN`), or that of the lower median of all
        else (`NANS_MISSING`), the first NaN if there is nothing else.
    x
        Contiguous lines along the last dimension, any dtype, with at least ``end`` elements.
    indices
        int64, contiguous: x's shape with a last extent of ``end - first``.
    """
    keys, lines, length = _keys(b, "select", x, descending)
    if not 0 <= first <= end <= length or (nans and (descending or first != end - 1)):
        raise ProofError(f"select: elements {first} to {end} of lines of {length}")
    kind, width = keys.spec.dtype, keys.spec.dtype.itemsize
    counts = b.scratch(dtypes.int64, MOST_DIGITS, per_worker=True).flat
    lanes = LANES if length >= 4 * LANES else LANES // 4
    lanes = lanes if 2 * end <= lanes and 4 * lanes <= length else 0
    room = length if length <= COUNTED and not lanes else min(length, max(2 * end + SPARE, lanes))
    work = lines if end > first else 0
    if nans or (first == end - 1 and not lanes):
        cost = 16 * length + BINS
        b.launch(
            _KERNELS[width].rank, keys.flat, indices.array(lines), b.scratch(kind, length, per_worker=True).flat, counts,
            length, first, nans, work=work, grain=max(1, GRAIN_COST // cost), cost=lines * cost,
        )  # fmt: skip
    elif first == 0 and end > FEW:
        cost = 16 * length + 16 * width * end + 8 * BINS
        b.launch(
            _KERNELS[width].first, keys.flat, indices.array(lines * end), b.scratch(kind, length, per_worker=True).flat,
            b.scratch(kind, 2 * end, per_worker=True).flat, _positions(b, end).flat, counts, length, end,
            work=work, grain=max(1, GRAIN_COST // cost), cost=lines * cost,
        )  # fmt: skip
    else:
        cost = 4 * length + 16 * width * room + 8 * BINS
        b.launch(
            _KERNELS[width].select, keys.flat, indices.array(lines * (end - first)),
            b.scratch(kind, 2 * room, per_worker=True).flat, _positions(b, room).flat, counts,
            Select(length, end, first, room, lanes), work=work, grain=max(1, GRAIN_COST // cost), cost=lines * cost,
        )  # fmt: skip
