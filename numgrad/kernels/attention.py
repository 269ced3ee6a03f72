"""Attention over heads: ``softmax(scale * q @ k^T) @ v``, a block of queries at a time, forward and backward.

The scores of a block of queries against all keys stay in the caches of their thread. Only the logarithm of each row's sum of
exponentials is stored, from which the backward recomputes the probabilities (Dao et al., 2022). Keys and values come in whole
rows, so a row's softmax is the plain one. Operands are copied first, so that any strides will do, and multiplied by the
register tiles of `simd`.

The backward works on transposed scores, keys by queries: then the gradients of keys and values read them row by row.

With ``causal``, a block multiplies keys that its queries do not see by zeros. That is right unless one of them is not finite,
which shows in a sum: then the sum is recomputed over the visible keys.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

from numgrad.errors import ProofError
from numgrad.kernels.gemm_panels import panel_product
from numgrad.kernels.gemm_rows import lanes, tile_shape
from numgrad.kernels.reduce_kernels import larger_row
from numgrad.kernels.room import ROOMS
from numgrad.kernels.vector_math import exp
from numgrad.runtime import simd
from numgrad.runtime.kernel import Device, Kernel, device, kernel
from numgrad.runtime.plan import Operand, PlanBuilder
from numgrad.runtime.simd import ADD, STORE, address_of, prefetch
from numgrad.runtime.simd_emit import LINE

FORWARD_QUERIES, BACKWARD_QUERIES = 128, 64  # in a block
EXP_COST = 4
AHEAD = 12  # rows that are asked for before they are read
room1 = ROOMS["room1"]


class Extents(NamedTuple):
    """Extents of an attention: query [B, H, L, E], key [B, H, S, E], value [B, H, S, V]."""

    batch: int
    heads: int
    queries: int
    keys: int
    inner: int
    values: int


class Steps(NamedTuple):
    """Elements of an operand from one batch, head and row to the next."""

    batch: int
    head: int
    row: int


class Blocks(NamedTuple):
    """The division of the work, and the elements of each worker's scratch memory."""

    queries: int  # of a block
    room: int


class Task(NamedTuple):
    """The arguments of an attention beside its arrays."""

    extents: Extents
    q: Steps
    k: Steps
    v: Steps
    blocks: Blocks
    causal: int
    scale: float


@device
def cut(room, begin, count):
    """So many elements of the scratch memory, and where the next ones begin.

    A slice of a slice of a slice is another way to them, of which LLVM loses the thread: loops over such lines stay scalar.
    """
    return room1(room, begin, count), begin + count


@device
def fetch_row(source, begin, columns):
    """Ask for the lines of a row that is read soon: rows of a head lie pages apart, so the CPU does not foresee them."""
    for j in range(0, columns, LINE // source.itemsize):
        prefetch(address_of(source, begin + j))


@device
def copy_rows(source, begin, row, rows, columns, factor, goal):
    """Copy rows that lie ``row`` apart, times a factor, into dense rows."""
    for i in range(rows):
        fetch_row(source, begin + (i + AHEAD) * row, columns)
        line, out = source[begin + i * row :][:columns], goal[i * columns : (i + 1) * columns]
        for j in range(line.shape[0]):
            out[j] = line[j] * factor


@device
def pack_rows(source, begin, row, rows, columns, width, factor, goal):
    """Copy rows, times a factor, into panels of ``width`` columns, ``[panel, row, column]``; zeros beyond the columns."""
    zero = goal.dtype.type(0)
    for panel in range((columns + width - 1) // width):
        first = panel * width
        here = min(width, columns - first)
        for i in range(rows):
            fetch_row(source, begin + (i + AHEAD) * row + first, here)
            line = source[begin + i * row + first :][:here]
            out = goal[(panel * rows + i) * width :][:width]
            for j in range(line.shape[0]):
                out[j] = line[j] * factor
            for j in range(line.shape[0], out.shape[0]):
                out[j] = zero


@functools.cache
def turner(code: str) -> Device:
    """The function that transposes matrices of one dtype, by squares in registers."""
    square, width = simd.transpose_tile(code), lanes(code)
    itemsize = 4 if code == "f4" else 8

    @device
    def turn(source, begin, row, rows, columns, factor, goal, goal_begin, goal_row):
        """``goal[j, i] = source[i, j] * factor``; the rows of both begin ``row`` and ``goal_row`` elements apart."""
        whole = rows // width * width if columns >= width else 0
        for i in range(0, whole, width):
            for j in range(0, columns - width + 1, width):
                square(
                    address_of(source, begin + i * row + j), row * itemsize,
                    address_of(goal, goal_begin + j * goal_row + i), goal_row * itemsize,
                )  # fmt: skip
        for i in range(rows):
            line = source[begin + i * row :][:columns]
            for j in range(columns // width * width if i < whole else 0, columns):
                goal[goal_begin + j * goal_row + i] = line[j]
        for j in range(columns if factor != 1 else 0):
            out = goal[goal_begin + j * goal_row :][:rows]
            for i in range(out.shape[0]):
                out[i] *= factor

    return turn


@functools.cache
def column_panels(code: str) -> Device:
    """The function that packs columns of one dtype."""
    turn = turner(code)

    @device
    def pack_columns(source, begin, row, rows, columns, width, factor, goal):
        """Copy the transposed matrix into panels: ``[panel of rows, column, row]``; zeros beyond the rows."""
        zero = goal.dtype.type(0)
        for panel in range((rows + width - 1) // width):
            first = panel * width
            here, out = min(width, rows - first), panel * columns * width
            turn(source, begin + first * row, row, here, columns, factor, goal, out, width)
            for j in range(columns if here < width else 0):
                for i in range(here, width):
                    goal[out + j * width + i] = zero

    return pack_columns


@device
def is_spoiled(line, zero):
    """Whether an element is not finite."""
    total = zero
    for j in range(line.shape[0]):
        total += line[j] * zero
    return total != 0


@device
def add_row(line, factor, row):
    """``line += factor * row``."""
    for j in range(line.shape[0]):
        line[j] += factor * row[j]


@functools.cache
def multiplier(code: str) -> Device:
    """Matrix products of operands in scratch memory, for one dtype: `panel_product`, with its distances in elements."""
    product, width, size = panel_product(code), tile_shape(code, "many")[1], 4 if code == "f4" else 8

    @device
    def multiply(a, a_row, rows, steps, b, b_rows, columns, out, out_begin, out_row, mode):
        """``out[i, j] = sum_k a[i, k] * b[k, j]``, b in panels of ``b_rows`` rows; with ``mode`` ADD, added to the old values."""
        product(
            address_of(a, 0), a_row * size, size, rows, address_of(b, 0), width * b_rows * size, width * size, steps,
            address_of(out, out_begin), out_row * size, columns, mode,
        )  # fmt: skip

    return multiply


@functools.cache
def forward_kernel(code: str) -> Kernel:
    """The kernel for one dtype."""
    multiply, width, pack_columns = multiplier(code), tile_shape(code, "many")[1], column_panels(code)

    @kernel(f"{code}[:], " * 6 + "Task", Task, reassociate=True)
    def attention_forward(q, k, v, out, logs, room, task, start, stop, worker):
        """An item is a block of queries of one head."""
        _, heads, queries, keys, inner, values = task.extents
        q_batch, q_head, q_row = task.q
        k_batch, k_head, k_row = task.k
        v_batch, v_head, v_row = task.v
        block, room_count = task.blocks
        causal, scale = task.causal, out.dtype.type(task.scale)
        one, zero = out.dtype.type(1), out.dtype.type(0)
        blocks = (queries + block - 1) // block
        key_room, value_room = (keys + width - 1) // width * width * inner, (values + width - 1) // width * width * keys
        packed_keys, begin = cut(room, worker * room_count, key_room)
        packed_values, begin = cut(room, begin, value_room)
        rows, begin = cut(room, begin, block * inner)
        shares, begin = cut(room, begin, block)
        scores, _ = cut(room, begin, block * keys)
        for item in range(start, stop):
            unit = item // blocks
            first = (item - unit * blocks) * block
            batch = unit // heads
            head = unit - batch * heads
            count = min(block, queries - first)
            seen = min(keys, first + count) if causal else keys
            copy_rows(q, batch * q_batch + head * q_head + first * q_row, q_row, count, inner, scale, rows)
            pack_columns(k, batch * k_batch + head * k_head, k_row, seen, inner, width, one, packed_keys)
            multiply(rows, inner, count, inner, packed_keys, inner, seen, scores, 0, seen, STORE)
            pack_rows(v, batch * v_batch + head * v_head, v_row, seen, values, width, one, packed_values)
            for i in range(count):
                line = scores[i * seen : (i + 1) * seen]
                valid = line[: min(seen, first + i + 1)] if causal else line
                high = larger_row(valid[0], valid)
                total = zero
                for j in range(valid.shape[0]):
                    e = exp(valid[j] - high)
                    valid[j] = e
                    total += e
                shares[i] = one / total
                for j in range(valid.shape[0], line.shape[0]):
                    line[j] = zero
                logs[unit * queries + first + i] = high + math.log(total)
            begin = ((batch * queries + first) * heads + head) * values
            multiply(scores, seen, count, seen, packed_values, seen, values, out, begin, heads * values, STORE)
            for i in range(count):
                line = out[begin + i * heads * values :][:values]
                if causal and is_spoiled(line, zero):  # 0 * NaN of a key that the query does not see
                    for j in range(line.shape[0]):
                        line[j] = zero
                    for t in range(min(seen, first + i + 1)):
                        row = v[batch * v_batch + head * v_head + t * v_row :][:values]
                        add_row(line, scores[i * seen + t], row)
                for j in range(line.shape[0]):  # by the row's sum of exponentials: there are fewer values than keys
                    line[j] *= shares[i]

    return attention_forward


@functools.cache
def backward_kernel(code: str) -> Kernel:
    """The kernel for one dtype."""
    multiply, width = multiplier(code), tile_shape(code, "many")[1]
    pack_columns, turn = column_panels(code), turner(code)

    @kernel(f"{code}[:], " * 10 + "Task", Task, reassociate=True)
    def attention_backward(q, k, v, out, logs, grad, grad_q, grad_k, grad_v, room, task, start, stop, worker):
        """An item is a head. With p the probabilities, ``d_scores = p * (grad @ v^T - rowsum(grad * out))``."""
        _, heads, queries, keys, inner, values = task.extents
        q_batch, q_head, q_row = task.q
        k_batch, k_head, k_row = task.k
        v_batch, v_head, v_row = task.v
        block, room_count = task.blocks
        causal, scale = task.causal, out.dtype.type(task.scale)
        one, zero = out.dtype.type(1), out.dtype.type(0)
        wide_inner, wide_values = (inner + width - 1) // width * width, (values + width - 1) // width * width
        wide_block = (block + width - 1) // width * width
        packed_keys, begin = cut(room, worker * room_count, wide_inner * keys)
        key_rows, begin = cut(room, begin, keys * inner)
        value_rows, begin = cut(room, begin, keys * values)
        packed_q, begin = cut(room, begin, wide_inner * block)
        turned_q, begin = cut(room, begin, wide_block * inner)
        packed_g, begin = cut(room, begin, wide_values * block)
        turned_g, begin = cut(room, begin, wide_block * values)
        logs_here, begin = cut(room, begin, block)
        dots, begin = cut(room, begin, block)
        p, begin = cut(room, begin, keys * block)
        d, begin = cut(room, begin, keys * block)
        turned, _ = cut(room, begin, keys * block)
        out_row, q_out, v_out = heads * values, heads * inner, heads * values
        for unit in range(start, stop):
            batch = unit // heads
            head = unit - batch * heads
            k_begin, v_begin = batch * k_batch + head * k_head, batch * v_batch + head * v_head
            pack_rows(k, k_begin, k_row, keys, inner, width, one, packed_keys)
            copy_rows(k, k_begin, k_row, keys, inner, one, key_rows)
            copy_rows(v, v_begin, v_row, keys, values, one, value_rows)
            to_k, to_v = (batch * keys * heads + head) * inner, (batch * keys * heads + head) * values
            for t in range(keys if causal else 0):  # which the first block of queries does not see all
                line = grad_k[to_k + t * q_out :][:inner]
                for j in range(line.shape[0]):
                    line[j] = zero
                line = grad_v[to_v + t * v_out :][:values]
                for j in range(line.shape[0]):
                    line[j] = zero
            for first in range(0, queries, block):
                count, mode = min(block, queries - first), ADD if causal or first > 0 else STORE
                seen = min(keys, first + count) if causal else keys
                q_begin = batch * q_batch + head * q_head + first * q_row
                o_begin = ((batch * queries + first) * heads + head) * values
                pack_rows(q, q_begin, q_row, count, inner, width, scale, packed_q)
                pack_columns(q, q_begin, q_row, count, inner, width, scale, turned_q)
                pack_rows(grad, o_begin, out_row, count, values, width, one, packed_g)
                pack_columns(grad, o_begin, out_row, count, values, width, one, turned_g)
                for i in range(count):
                    logs_here[i] = logs[unit * queries + first + i]
                    fetch_row(out, o_begin + (i + AHEAD) * out_row, values)
                    g, o = grad[o_begin + i * out_row :][:values], out[o_begin + i * out_row :][:values]
                    total = zero
                    for j in range(g.shape[0]):
                        total += g[j] * o[j]
                    dots[i] = total
                multiply(key_rows, inner, seen, inner, turned_q, inner, count, p, 0, count, STORE)
                multiply(value_rows, values, seen, values, turned_g, values, count, d, 0, count, STORE)
                for t in range(seen):
                    begin = min(count, max(0, t - first)) if causal else 0  # of the queries that see this key
                    line, slope = p[t * count : (t + 1) * count], d[t * count : (t + 1) * count]
                    for j in range(begin):
                        line[j] = zero
                        slope[j] = zero
                    line, slope = line[begin:], slope[begin:]
                    high, dot = logs_here[begin:count], dots[begin:count]
                    for j in range(line.shape[0]):
                        e = exp(line[j] - high[j])
                        line[j] = e
                        slope[j] = e * (slope[j] - dot[j])
                if causal and (is_spoiled(dots[:count], zero) or is_spoiled(logs_here[:count], zero)):
                    # Query by query: 0 * NaN of one that does not see the key would spoil the key's sum.
                    for t in range(seen):
                        for i in range(max(0, t - first), count):
                            row = grad[o_begin + i * out_row :][:values]
                            add_row(grad_v[to_v + t * v_out :][:values], p[t * count + i], row)
                            row = q[q_begin + i * q_row :][:inner]
                            add_row(grad_k[to_k + t * q_out :][:inner], d[t * count + i] * scale, row)
                else:
                    multiply(p, count, seen, count, packed_g, count, values, grad_v, to_v, v_out, mode)
                    multiply(d, count, seen, count, packed_q, count, inner, grad_k, to_k, q_out, mode)
                turn(d, 0, count, seen, count, scale, turned, 0, seen)
                to_q = ((batch * queries + first) * heads + head) * inner
                # The keys that are seen lie together in a panel.
                multiply(turned, seen, count, seen, packed_keys, keys, inner, grad_q, to_q, q_out, STORE)
                for i in range(count if causal else 0):
                    line = grad_q[to_q + i * q_out :][:inner]
                    if is_spoiled(line, zero):
                        for j in range(line.shape[0]):
                            line[j] = zero
                        for t in range(min(seen, first + i + 1)):
                            add_row(line, turned[i * seen + t], key_rows[t * inner : (t + 1) * inner])

    return attention_backward


# ---- planning ---------------------------------------------------------------------------------------------------


def _geometry(name: str, q: Operand, k: Operand, v: Operand) -> tuple[Extents, list[Steps]]:
    """The extents, and the steps of all three."""
    (batch, heads, queries, inner), (keys, values) = q.spec.shape, v.spec.shape[2:]
    shapes = ((batch, heads, queries, inner), (batch, heads, keys, inner), (batch, heads, keys, values))
    steps: list[Steps] = []
    for operand, shape in zip((q, k, v), shapes, strict=True):
        if tuple(operand.spec.shape) != shape or 0 in shape or (shape[3] > 1 and operand.spec.strides[3] != 1):
            raise ProofError(f"{name}: an operand is {operand.spec}, expected shape {shape} with adjacent columns")
        steps.append(Steps(*operand.spec.strides[:3]))
    return Extents(batch, heads, queries, keys, inner, values), steps


def head_strides(batch: int, heads: int, rows: int, columns: int) -> tuple[int, ...]:
    """Strides of [B, H, rows, columns] in memory that goes B, rows, H, columns: heads side by side."""
    return rows * heads * columns, columns, heads * columns, 1


def _check_layout(name: str, operand: Operand, rows: int, columns: int, e: Extents) -> None:
    shape = (e.batch, e.heads, rows, columns)
    strides = head_strides(*shape)
    same = all(n == 1 or a == b for n, a, b in zip(shape, operand.spec.strides, strides, strict=True))
    if tuple(operand.spec.shape) != shape or not same:
        raise ProofError(f"{name}: an operand is {operand.spec}, expected shape {shape} with strides {strides}")


def _up(count: int, width: int) -> int:
    return -(-count // width) * width


def plan_attention(
    b: PlanBuilder, q: Operand, k: Operand, v: Operand, out: Operand, logs: Operand, *, scale: float, causal: bool
) -> None:
    """``out = softmax(scale * q @ k^T) @ v``; with ``causal`` query i sees the keys up to i.

    q, k, v
        [B, H, L, E], [B, H, S, E], [B, H, S, V], float32 or float64, no extent 0, columns adjacent.
    out
        [B, H, L, V] with the strides of `head_strides`.
    logs
        [B, H, L], contiguous: the logarithm of each row's sum of exponentials.
    """
    e, steps = _geometry("attention", q, k, v)
    _check_layout("attention", out, e.queries, e.values, e)
    code, dtype = q.code, q.spec.dtype
    width = tile_shape(code, "many")[1]
    block = min(FORWARD_QUERIES, e.queries)
    room = (
        _up(e.keys, width) * e.inner + _up(e.values, width) * e.keys + block * (e.inner + e.keys + 1)
    )  # fmt: skip
    items = e.batch * e.heads * -(-e.queries // block)
    b.launch(
        forward_kernel(code), q.array(q.extent), k.array(k.extent), v.array(v.extent), out.array(out.extent),
        logs.array(logs.extent), b.scratch(dtype, room, per_worker=True).flat,
        Task(e, steps[0], steps[1], steps[2], Blocks(block, room), int(causal), scale),
        work=items, grain=1, cost=items * block * e.keys * (e.inner + e.values + 8 * EXP_COST) // 8 + 1,
    )  # fmt: skip


def plan_attention_backward(
    b: PlanBuilder, q: Operand, k: Operand, v: Operand, out: Operand, logs: Operand, grad: Operand, grads: Any,
    *, scale: float, causal: bool,
) -> None:  # fmt: skip
    """Gradients of `plan_attention` into ``grads``, those of q, k and v; all with the strides of `head_strides`."""
    e, steps = _geometry("attention_backward", q, k, v)
    for operand, count, columns in (
        (out, e.queries, e.values),
        (grad, e.queries, e.values),
        (grads[0], e.queries, e.inner),
        (grads[1], e.keys, e.inner),
        (grads[2], e.keys, e.values),
    ):
        _check_layout("attention_backward", operand, count, columns, e)
    code, dtype = q.code, q.spec.dtype
    width = tile_shape(code, "many")[1]
    block = min(BACKWARD_QUERIES, e.queries)
    room = (
        (_up(e.inner, width) + e.inner + e.values) * e.keys
        + (_up(e.inner, width) + _up(e.values, width)) * block + _up(block, width) * (e.inner + e.values)
        + 2 * block + 3 * block * e.keys
    )  # fmt: skip
    items = e.batch * e.heads
    b.launch(
        backward_kernel(code), q.array(q.extent), k.array(k.extent), v.array(v.extent), out.array(out.extent),
        logs.array(logs.extent), grad.array(grad.extent), *[g.array(g.extent) for g in grads],
        b.scratch(dtype, room, per_worker=True).flat,
        Task(e, steps[0], steps[1], steps[2], Blocks(block, room), int(causal), scale),
        work=items, grain=1, cost=items * e.queries * e.keys * (3 * e.inner + 2 * e.values + 8 * EXP_COST) // 8 + 1,
    )  # fmt: skip
