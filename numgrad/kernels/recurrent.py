"""Recurrent layers: all time steps of one direction in one launch, forward and backward.

The rows of a step are sequences, which know nothing of each other. So a thread takes a block of sequences through all steps
and waits for nobody. At each step it multiplies the hidden states by the packed weight, gate by gate, and makes the gates and
the new states of the products while they lie in its caches. The products with the inputs were made before, of all steps at
once; so are afterwards those for the gradients of the weights, from the gradients of the gates that the backward leaves.

Steps lie one behind the other in memory, and may have fewer and fewer rows, as those of packed sequences have: ``starts`` says
where each begins. Loops over a row store one array each: so their vectors need few checks that arrays do not overlap.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any, NamedTuple

from numgrad.kernels.gemm_layout import Right
from numgrad.kernels.gemm_pack import plan_pack
from numgrad.kernels.gemm_panels import DEPTH, panel_product
from numgrad.kernels.gemm_rows import tile_shape
from numgrad.kernels.scalar import sigmoid
from numgrad.kernels.vector_math import tanh
from numgrad.runtime.kernel import Device, Kernel, device, kernel
from numgrad.runtime.plan import Operand, PlanBuilder
from numgrad.runtime.program import Array
from numgrad.runtime.simd import ADD, STORE, address_of

MOST_ROWS = 128  # of a block
# Gates that the weight has; and rows of ``width`` that are stored of each step: a GRU's product with the last gate's weight
# lies by itself, since it is multiplied by another gate.
GATES = {"lstm": 4, "gru": 3, "tanh": 1, "relu": 1}
SLOTS = {"lstm": 4, "gru": 4, "tanh": 1, "relu": 1}


class Recurrence(NamedTuple):
    """Steps, rows of the largest step, elements of a state, rows of a block; whether the last step comes first."""

    steps: int
    rows: int
    width: int
    row_block: int
    reverse: int


# ---- one row of a step ------------------------------------------------------------------------------------------


@device
def squash(line):
    """The sigmoids, in place."""
    for j in range(line.shape[0]):
        line[j] = sigmoid(line[j])


@device
def add_to(line, other):
    """``line += other``, which may be shorter or empty."""
    for j in range(other.shape[0]):
        line[j] += other[j]


@device
def lstm_row(gates, bias_ih, bias_hh, hidden_before, cell_before, cell, out):
    """Gates: input, forget, cell, output."""
    width = out.shape[0]
    taken, kept, new, shown = (
        gates[:width],
        gates[width:][:width],
        gates[2 * width :][:width],
        gates[3 * width :][:width],
    )
    add_to(gates, bias_ih)
    add_to(gates, bias_hh)
    squash(gates[: 2 * width])
    for j in range(width):
        new[j] = tanh(new[j])
    squash(shown)
    for j in range(width):
        cell[j] = kept[j] * cell_before[j] + taken[j] * new[j]
    for j in range(width):
        out[j] = shown[j] * tanh(cell[j])


@device
def lstm_row_back(grad, gates, states, before, grads, extra, grad_hidden, grad_cell):
    """``grad_hidden`` has the gradient of this step's output; ``grad_cell`` becomes that of the cell before."""
    width = grad.shape[0]
    taken, kept, new, shown = (
        gates[:width],
        gates[width:][:width],
        gates[2 * width :][:width],
        gates[3 * width :][:width],
    )
    to_taken, to_kept = grads[:width], grads[width:][:width]
    to_new, to_shown = grads[2 * width :][:width], grads[3 * width :][:width]
    for j in range(width):
        to_shown[j] = tanh(states[j])
    for j in range(width):
        grad_cell[j] += grad_hidden[j] * shown[j] * (1 - to_shown[j] * to_shown[j])
    for j in range(width):
        to_shown[j] = grad_hidden[j] * to_shown[j] * (shown[j] * (1 - shown[j]))
    for j in range(width):
        to_taken[j] = grad_cell[j] * new[j] * (taken[j] * (1 - taken[j]))
    for j in range(width):
        to_kept[j] = grad_cell[j] * before[j] * (kept[j] * (1 - kept[j]))
    for j in range(width):
        to_new[j] = grad_cell[j] * taken[j] * (1 - new[j] * new[j])
    for j in range(width):
        grad_cell[j] *= kept[j]


@device
def gru_row(gates, bias_ih, bias_hh, hidden_before, cell_before, cell, out):
    """Gates: reset, update, new; behind them the product of the hidden state that the reset gate multiplies."""
    width = out.shape[0]
    reset, update, new, product = gates[:width], gates[width:][:width], gates[2 * width :][:width], gates[3 * width :]
    add_to(gates, bias_ih)
    add_to(gates, bias_hh[: 2 * width])
    add_to(product, bias_hh[2 * width :])
    squash(gates[: 2 * width])
    for j in range(width):
        new[j] = tanh(new[j] + reset[j] * product[j])
    for j in range(width):
        out[j] = (hidden_before[j] - new[j]) * update[j] + new[j]


@device
def gru_row_back(grad, gates, states, before, grads, extra, grad_hidden, grad_cell):
    """``grad_hidden`` becomes the gradient of the hidden state before, but for the products."""
    width = grad.shape[0]
    reset, update, new, product = gates[:width], gates[width:][:width], gates[2 * width :][:width], gates[3 * width :]
    to_reset, to_update, to_new = grads[:width], grads[width:][:width], grads[2 * width :][:width]
    for j in range(width):
        to_new[j] = grad_hidden[j] * (1 - update[j]) * (1 - new[j] * new[j])
    for j in range(width):
        to_reset[j] = to_new[j] * product[j] * (reset[j] * (1 - reset[j]))
    for j in range(width):
        to_update[j] = before[j] - new[j]
    for j in range(width):
        to_update[j] = grad_hidden[j] * to_update[j] * (update[j] * (1 - update[j]))
    for j in range(2 * width):
        extra[j] = grads[j]
    to_product = extra[2 * width :][:width]
    for j in range(width):
        to_product[j] = to_new[j] * reset[j]
    for j in range(width):
        grad_hidden[j] *= update[j]


@device
def tanh_row(gates, bias_ih, bias_hh, hidden_before, cell_before, cell, out):
    """``gates`` are ``out``."""
    add_to(out, bias_ih)
    add_to(out, bias_hh)
    for j in range(out.shape[0]):
        out[j] = tanh(out[j])


@device
def tanh_row_back(grad, gates, states, before, grads, extra, grad_hidden, grad_cell):
    """``gates`` are the outputs."""
    for j in range(grads.shape[0]):
        grads[j] = grad_hidden[j] * (1 - gates[j] * gates[j])


@device
def relu_row(gates, bias_ih, bias_hh, hidden_before, cell_before, cell, out):
    """``gates`` are ``out``."""
    add_to(out, bias_ih)
    add_to(out, bias_hh)
    zero = out.dtype.type(0)
    for j in range(out.shape[0]):
        out[j] = zero if out[j] <= zero else out[j]


@device
def relu_row_back(grad, gates, states, before, grads, extra, grad_hidden, grad_cell):
    """``gates`` are the outputs."""
    zero = grads.dtype.type(0)
    for j in range(grads.shape[0]):
        grads[j] = zero if gates[j] <= zero else grad_hidden[j]


ROWS: dict[str, tuple[Device, Device]] = {
    "lstm": (lstm_row, lstm_row_back),
    "gru": (gru_row, gru_row_back),
    "tanh": (tanh_row, tanh_row_back),
    "relu": (relu_row, relu_row_back),
}


# ---- kernels ----------------------------------------------------------------------------------------------------


@device
def rows_of(t, first, last, starts):
    """(the first row of step t in memory, how many rows of the block from ``first`` to ``last`` it has)."""
    begin = starts[t]
    return begin, min(last, starts[t + 1] - begin) - first


@device
def rows_before(t, first, last, starts, task):
    """The same of the step whose states step t reads; no rows where it is the first."""
    before = t + 1 if task.reverse else t - 1
    if before < 0 or before >= task.steps:
        return 0, 0
    begin, count = rows_of(before, first, last, starts)
    return begin, max(count, 0)


@functools.cache
def forward_kernel(code: str, kind: str, form: str) -> Kernel:
    """The kernel for one dtype, one kind of layer and one register tile."""
    multiply, tile_columns, finish = panel_product(code, form), tile_shape(code, form)[1], ROWS[kind][0]
    gate_count, slots, has_cells, is_gru = GATES[kind], SLOTS[kind], kind == "lstm", kind == "gru"
    itemsize = 4 if code == "f4" else 8

    @kernel(f"{code}[:], " * 8 + "i8[:], Recurrence", Recurrence)
    def recurrent_forward(
        panels, hidden, cell, bias_ih, bias_hh, out, gates, cells, starts, task, start, stop
    ):  # fmt: skip
        """An item is a block of rows; ``gates`` hold the products with the inputs, to which those with the states are added."""
        steps, rows, width = task.steps, task.rows, task.width
        row_bytes, step_bytes, slot_bytes = width * itemsize, tile_columns * itemsize, slots * width * itemsize
        gate_room = (width + tile_columns - 1) // tile_columns * tile_columns * width
        for item in range(start, stop):
            first = item * task.row_block
            last = min(rows, first + task.row_block)
            for index in range(steps):
                t = steps - 1 - index if task.reverse else index
                begin, count = rows_of(t, first, last, starts)
                previous, seen = rows_before(t, first, last, starts, task)
                seen = min(seen, count)  # rows whose states before are those of a step; the others begin here
                for gate in range(gate_count if count > 0 else 0):
                    is_apart = is_gru and gate == 2
                    goal = address_of(gates, ((begin + first) * slots + (3 if is_apart else gate)) * width)
                    for k in range(0, width, DEPTH):
                        right = address_of(panels, gate * gate_room + k * tile_columns)
                        depth, mode = min(DEPTH, width - k), STORE if is_apart and k == 0 else ADD
                        if seen > 0:
                            multiply(
                                address_of(out, (previous + first) * width + k), row_bytes, itemsize, seen, right,
                                width * step_bytes, step_bytes, depth, goal, slot_bytes, width, mode,
                            )  # fmt: skip
                        if seen < count:
                            multiply(
                                address_of(hidden, (first + seen) * width + k), row_bytes, itemsize, count - seen, right,
                                width * step_bytes, step_bytes, depth, goal + seen * slot_bytes, slot_bytes, width, mode,
                            )  # fmt: skip
                for i in range(count):
                    n, before = begin + first + i, previous + first + i
                    hidden_before = out[before * width :][:width] if i < seen else hidden[(first + i) * width :][:width]
                    cell_before, new_cell = cell[:0], cells[:0]
                    if has_cells:
                        cell_before = (
                            cells[before * width :][:width] if i < seen else cell[(first + i) * width :][:width]
                        )
                        new_cell = cells[n * width :][:width]
                    line = gates[n * slots * width :][: slots * width]
                    finish(
                        line, bias_ih, bias_hh, hidden_before, cell_before, new_cell, out[n * width :][:width]
                    )  # fmt: skip

    return recurrent_forward


@functools.cache
def backward_kernel(code: str, kind: str, form: str) -> Kernel:
    """The kernel for one dtype, one kind of layer and one register tile."""
    multiply, tile_columns, go_back = panel_product(code, form), tile_shape(code, form)[1], ROWS[kind][1]
    gate_count, slots, has_cells, is_gru = GATES[kind], SLOTS[kind], kind == "lstm", kind == "gru"
    itemsize, has_states = 4 if code == "f4" else 8, kind in ("lstm", "gru")

    @kernel(f"{code}[:], " * 10 + "i8[:], Recurrence", Recurrence)
    def recurrent_backward(
        panels, grad, grad_cells, gates, states, initial, grads, extra, grad_hidden, grad_cell, starts, task, start, stop
    ):  # fmt: skip
        """An item is a block of rows.

        ``states`` are those of all steps that the derivatives read, cells or hidden states, and ``initial`` those before
        them. ``grads`` are the gradients of the gates, and ``extra`` those of a GRU's products with the states. ``grad_hidden`` and
        ``grad_cell`` hold what comes from the step behind, and in the end the gradients of the initial states.
        """
        steps, rows, width = task.steps, task.rows, task.width
        row_bytes, step_bytes, grad_bytes = width * itemsize, tile_columns * itemsize, gate_count * width * itemsize
        zero, to_products = grad.dtype.type(0), extra if is_gru else grads
        for item in range(start, stop):
            first = item * task.row_block
            last = min(rows, first + task.row_block)
            for position in range(first * width, last * width):
                grad_hidden[position] = zero
            for position in range(first * width, last * width if has_cells else 0):
                grad_cell[position] = zero
            for index in range(steps):
                t = index if task.reverse else steps - 1 - index
                begin, count = rows_of(t, first, last, starts)
                previous, seen = rows_before(t, first, last, starts, task)
                for i in range(count):
                    row, n, before = first + i, begin + first + i, previous + first + i
                    to_hidden, to_cell = grad_hidden[row * width :][:width], grad_cell[:0]
                    state, state_before = states[:0], initial[:0]
                    if has_states:
                        state = states[n * width :][:width]
                        state_before = states[before * width :][:width] if i < seen else initial[row * width :][:width]
                    if has_cells:
                        to_cell = grad_cell[row * width :][:width]
                        if grad_cells.shape[0] > 0:
                            add_to(to_cell, grad_cells[n * width :][:width])
                    add_to(to_hidden, grad[n * width :][:width])
                    go_back(
                        grad[n * width :][:width], gates[n * slots * width :][: slots * width], state, state_before,
                        grads[n * gate_count * width :][: gate_count * width],
                        extra[n * gate_count * width :][: gate_count * width] if is_gru else extra[:0], to_hidden, to_cell,
                    )  # fmt: skip
                for gate in range(gate_count if count > 0 else 0):
                    for k in range(0, width, DEPTH):
                        multiply(
                            address_of(to_products, ((begin + first) * gate_count + gate) * width + k), grad_bytes, itemsize, count,
                            address_of(panels, (gate * width + k) * tile_columns), gate_count * width * step_bytes,
                            step_bytes, min(DEPTH, width - k), address_of(grad_hidden, first * width), row_bytes, width,
                            ADD if is_gru or gate + k > 0 else STORE,
                        )  # fmt: skip

    return recurrent_backward


@kernel("T[:], T[:], T[:], i8[:], Recurrence", Recurrence)
def states_before(out, hidden, before, starts, task, start, stop):
    """For each row of each step the hidden state that it read; an item is a step."""
    width = task.width
    for t in range(start, stop):
        begin, count = rows_of(t, 0, task.rows, starts)
        previous, seen = rows_before(t, 0, task.rows, starts, task)
        seen = min(seen, count)
        old, line = out[previous * width :][: seen * width], before[begin * width :][: count * width]
        for j in range(old.shape[0]):
            line[j] = old[j]
        old, line = hidden[seen * width :][: (count - seen) * width], line[seen * width :]
        for j in range(old.shape[0]):
            line[j] = old[j]


# ---- planning ---------------------------------------------------------------------------------------------------


def _task(b: PlanBuilder, batch_sizes: tuple[int, ...], width: int, form: str, code: str, reverse: bool) -> Recurrence:
    """Blocks for each worker, and more where some end before the others."""
    rows, tile_rows = batch_sizes[0], tile_shape(code, form)[0]
    parts = b.workers if batch_sizes[-1] == rows else 4 * b.workers
    row_block = min(MOST_ROWS // tile_rows, -(-rows // (parts * tile_rows))) * tile_rows
    return Recurrence(len(batch_sizes), rows, width, max(row_block, tile_rows), int(reverse))


def _form(b: PlanBuilder, code: str, rows: int) -> str:
    """The tile with few rows where the other would leave threads without any; the results have the same bits."""
    return "few" if rows <= tile_shape(code, "many")[0] * max(1, b.workers // 2) else "many"


def _starts(b: PlanBuilder, batch_sizes: tuple[int, ...]) -> Any:
    return b.constant([0, *itertools.accumulate(batch_sizes)])


def _array(b: PlanBuilder, operand: Operand | None, like: Operand) -> Array:
    """All of an operand, or an empty array."""
    return b.scratch(like.spec.dtype, 0).array(0) if operand is None else operand.flat


def plan_recurrent(
    b: PlanBuilder, kind: str, weight: Operand, hidden: Operand, cell: Operand | None,
    bias_ih: Operand | None, bias_hh: Operand | None,
    out: Operand, gates: Operand, cells: Operand | None, *, batch_sizes: tuple[int, ...], reverse: bool,
) -> None:  # fmt: skip
    """Launch the forward; all operands but ``weight`` are dense, and ``gates`` hold the products with the inputs."""
    code, (rows, width) = out.code, hidden.spec.shape
    if rows == 0:
        return
    form, (row_step, column_step) = _form(b, code, rows), weight.spec.strides
    factors = Right(weight, width * row_step, 0, column_step, row_step)
    panels = plan_pack(
        b, factors, batch=GATES[kind], taps=1, channels=width, columns=width, width=tile_shape(code, form)[1]
    )
    task = _task(b, batch_sizes, width, form, code, reverse)
    b.launch(
        forward_kernel(code, kind, form), panels.flat, hidden.flat, _array(b, cell, out), _array(b, bias_ih, out),
        _array(b, bias_hh, out), out.flat,
        gates.flat, _array(b, cells, out), _starts(b, batch_sizes), task,
        work=-(-rows // task.row_block), grain=1, cost=out.spec.numel * GATES[kind] * (width // 8 + 10),
    )  # fmt: skip


def plan_recurrent_backward(
    b: PlanBuilder, kind: str, grad: Operand, grad_cells: Operand | None, weight: Operand, gates: Operand,
    states: Operand | None, initial: Operand | None, grads: Operand, extra: Operand | None, grad_hidden: Operand,
    grad_cell: Operand | None, *, batch_sizes: tuple[int, ...], reverse: bool,
) -> None:  # fmt: skip
    """Launch the backward; all operands but ``weight`` are dense."""
    code, (rows, width) = grad.code, grad_hidden.spec.shape
    if rows == 0:
        return
    form = _form(b, code, rows)
    panels = plan_pack(
        b, Right(weight, 0, 0, *weight.spec.strides), batch=1, taps=1, channels=GATES[kind] * width, columns=width,
        width=tile_shape(code, form)[1],
    )  # fmt: skip
    task = _task(b, batch_sizes, width, form, code, reverse)
    b.launch(
        backward_kernel(code, kind, form), panels.flat, grad.flat, _array(b, grad_cells, grad), gates.flat,
        _array(b, states, grad), _array(b, initial, grad), grads.flat, _array(b, extra, grad), grad_hidden.flat,
        _array(b, grad_cell, grad), _starts(b, batch_sizes), task,
        work=-(-rows // task.row_block), grain=1, cost=grad.spec.numel * GATES[kind] * (width // 8 + 10),
    )  # fmt: skip


def plan_states_before(
    b: PlanBuilder, out: Operand, hidden: Operand, before: Operand, *, batch_sizes: tuple[int, ...], reverse: bool
) -> None:
    """Launch `states_before`; all operands are dense."""
    rows, width = hidden.spec.shape
    task = Recurrence(len(batch_sizes), rows, width, 0, int(reverse))
    b.launch(
        states_before, out.flat, hidden.flat, before.flat, _starts(b, batch_sizes), task,
        work=len(batch_sizes), grain=max(1, (1 << 15) // (rows * width + 1)), cost=before.spec.numel,
    )  # fmt: skip
