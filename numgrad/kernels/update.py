"""Optimizers: one pass over all parameters in one launch.

A table lists the tensors: int64 rows of addresses and a length, which the planner cuts into pieces of `PIECE` elements
(`Pieces`). A kernel reads arrays straight from these addresses. Hyper-parameters are float64 data in an
operand, so that a recorded launch sees new values. The arithmetic is in the parameters' type, in torch's order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from numgrad import dtypes
from numgrad.runtime.kernel import intrinsic, kernel
from numgrad.runtime.memory import array_over
from numgrad.runtime.plan import Operand, PlanBuilder

PIECE = 1 << 14  # elements of one row of the table: some 10 us of work

# Columns of the tables.
SGD_COLUMNS = ("param", "grad", "momentum_buffer", "is_first", "length")
ADAM_COLUMNS = ("param", "grad", "exp_avg", "exp_avg_sq", "max_exp_avg_sq", "length")
# Elements of the operands of hyper-parameters.
SGD_HYPER = ("lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize")
ADAM_HYPER = ("lr", "beta1", "beta2", "eps", "weight_decay", "decoupled_weight_decay", "maximize", "amsgrad")
ADAM_STATE = ("step", "step_size", "sqrt_bias_correction2")  # the caller reads only step


@intrinsic
def array_at(typing_context, address, length, like):
    """The array of ``length`` elements of the scalar ``like``'s type that lies at an address."""
    from llvmlite import ir
    from numba import types

    array = types.Array(like, 1, "C")

    def emit(context, builder, signature, args):
        from numba.np.arrayobj import populate_array

        value = context.make_array(array)(context, builder)
        itemsize = ir.Constant(ir.IntType(64), context.get_abi_sizeof(context.get_data_type(like)))
        data = builder.inttoptr(args[0], value.data.type)
        populate_array(value, data=data, shape=[args[1]], strides=[itemsize], itemsize=itemsize, meminfo=None)
        return value._getvalue()

    return array(types.int64, types.int64, like), emit


@array_at.in_python
def _(address, length, like):
    return array_over(int(address), (int(length),), like.dtype)


@kernel("i8[:, :], f8[:], T")
def sgd(table, hyper, zero, start, stop):
    """Work: rows of `SGD_COLUMNS`. A row's first step makes the gradient its buffer, and clears its ``is_first``."""
    decay, momentum, nesterov = hyper[3], hyper[1], hyper[4] != 0.0
    step = type_of(zero, -hyper[0])
    sign = type_of(zero, -1.0 if hyper[5] != 0.0 else 1.0)
    for row in range(start, stop):
        length = table[row, 4]
        p, g = array_at(table[row, 0], length, zero), array_at(table[row, 1], length, zero)
        # A first buffer is the gradient, without the old content, which is undefined.
        first = table[row, 3] != 0
        d, m, k = type_of(zero, decay), type_of(zero, momentum), type_of(zero, 1.0 if first else 1.0 - hyper[2])
        if momentum == 0.0:
            for i in range(p.shape[0]):
                v = sign * g[i]
                v = v + d * p[i] if decay != 0.0 else v
                p[i] += step * v
        else:
            buffer = array_at(table[row, 2], length, zero)
            if first:
                table[row, 3] = 0
                for i in range(p.shape[0]):
                    buffer[i] = zero
            for i in range(p.shape[0]):
                v = sign * g[i]
                v = v + d * p[i] if decay != 0.0 else v
                a = m * buffer[i] + k * v
                buffer[i] = a
                p[i] += step * (v + m * a if nesterov else a)


@kernel("f8[:], f8[:]")
def adam_advance(hyper, state, start, stop):
    """Count the step, and compute the factors that depend on it."""
    state[0] += 1.0
    state[1] = hyper[0] / (1.0 - hyper[1] ** state[0])
    state[2] = math.sqrt(1.0 - hyper[2] ** state[0])


@kernel("i8[:, :], f8[:], f8[:], T")
def adam(table, hyper, state, zero, start, stop):
    """Work: rows of `ADAM_COLUMNS`."""
    decay, decoupled, amsgrad = hyper[4], hyper[5] != 0.0, hyper[7] != 0.0
    sign = type_of(zero, -1.0 if hyper[6] != 0.0 else 1.0)
    added = type_of(zero, 0.0 if decoupled else decay)
    retained = type_of(zero, 1.0 - hyper[0] * decay if decoupled else 1.0)
    lerp, remaining, lerp_is_small = type_of(zero, 1.0 - hyper[1]), type_of(zero, hyper[1]), abs(1.0 - hyper[1]) < 0.5
    beta2, new2 = type_of(zero, hyper[2]), type_of(zero, 1.0 - hyper[2])
    eps, step, root = type_of(zero, hyper[3]), type_of(zero, -state[1]), type_of(zero, state[2])
    for row in range(start, stop):
        length = table[row, 5]
        p, g = array_at(table[row, 0], length, zero), array_at(table[row, 1], length, zero)
        mean, square = array_at(table[row, 2], length, zero), array_at(table[row, 3], length, zero)
        largest = array_at(table[row, 4] if amsgrad else table[row, 3], length, zero)
        for i in range(p.shape[0]):
            v, q = sign * g[i], retained * p[i]
            v = v + added * q if decay != 0.0 else v
            a = mean[i]
            a = a + lerp * (v - a) if lerp_is_small else v - (v - a) * remaining
            b = beta2 * square[i] + new2 * v * v
            mean[i] = a
            square[i] = b
            if amsgrad:
                c = largest[i]
                b = b if (b > c) | (b != b) else c
                largest[i] = b
            p[i] = q + step * a / (math.sqrt(b) / root + eps)


@intrinsic
def type_of(typing_context, like, value):
    """``value``, a float64, as the type of ``like``."""
    from numba import types

    def emit(context, builder, signature, args):
        return context.cast(builder, args[1], types.float64, like)

    return like(like, types.float64), emit


@type_of.in_python
def _(like, value):
    return type(like)(value)


# ---- planning ---------------------------------------------------------------------------------------------------


class Pieces:
    """The rows of a table for tensors of these lengths; each flag has a column of its own.

    A row is ``(*addresses, *flags, length)`` of a piece of at most `PIECE` elements. ``columns`` says for each column of
    addresses whether it is used (else it is 0). ``count`` is the number of rows.
    """

    def __init__(
        self, lengths: Sequence[int], itemsize: int, columns: Sequence[bool], flags: Sequence[Sequence[int]] = ()
    ) -> None:
        pieces = np.array([-(-length // PIECE) for length in lengths], np.int64)
        self.count = int(pieces.sum())
        self._tensor = np.repeat(np.arange(len(pieces)), pieces)
        self._columns = len(columns)
        first = (np.arange(self.count) - np.repeat(np.cumsum(pieces) - pieces, pieces)) * PIECE
        # The table for tensors at the address 0.
        self._rows = np.zeros((self.count, self._columns + len(flags) + 1), np.int64)
        self._rows[:, : self._columns] = first[:, None] * itemsize * np.array(columns)
        for column, marks in enumerate(flags, self._columns):
            self._rows[:, column] = np.array(marks, np.int64)[self._tensor]
        self._rows[:, -1] = np.minimum(PIECE, np.array(lengths, np.int64)[self._tensor] - first)

    def table(self, addresses: np.ndarray) -> np.ndarray:
        """The table, int64, for tensors at these addresses, int64, a row for each.

        >>> Pieces([PIECE + 1], 4, (True, False), [(1,)]).table(np.array([[4096, 0]])).tolist()
        [[4096, 0, 1, 16384], [69632, 0, 1, 1]]
        """
        table = self._rows.copy()
        table[:, : self._columns] += addresses.take(self._tensor, 0)
        return table


def grain_of(rows: int, elements: int) -> int:
    """Rows of a chunk: as many as have about `PIECE` elements, so that small tensors do not get a thread each.

    >>> grain_of(6, 353), grain_of(100, 100 * PIECE)
    (6, 1)
    """
    return max(1, min(rows, rows * PIECE // max(elements, 1)))


def plan_sgd(b: PlanBuilder, table: Operand, hyper: Operand, dtype: dtypes.dtype, grain: int = 1) -> None:
    """SGD, with torch's momentum, over all tensors of the table, which are of ``dtype``; ``grain`` rows are a chunk.

    table
        int64 [rows, 5], `SGD_COLUMNS`; ``momentum_buffer`` may be 0 without momentum. Changed in place: ``is_first``.
    hyper
        float64 [6], `SGD_HYPER`; the last two are 0 or 1.
    """
    rows = table.spec.shape[0]
    b.launch(
        sgd, table.array(rows, len(SGD_COLUMNS)), hyper.array(len(SGD_HYPER)), 0.0,
        work=rows, grain=grain, cost=rows * PIECE // grain, binding=(dtype.code,),
    )  # fmt: skip


def plan_adam(
    b: PlanBuilder, table: Operand, hyper: Operand, state: Operand, dtype: dtypes.dtype, grain: int = 1
) -> None:
    """Adam or AdamW over all tensors of the table, which are of ``dtype`` and have taken the same number of steps.

    table
        int64 [rows, 6], `ADAM_COLUMNS`; ``max_exp_avg_sq`` may be 0 without amsgrad.
    hyper
        float64 [8], `ADAM_HYPER`; the last three are 0 or 1.
    state
        float64 [3], `ADAM_STATE`, changed in place: each run counts one step.
    """
    rows = table.spec.shape[0]
    b.launch(adam_advance, hyper.array(len(ADAM_HYPER)), state.array(len(ADAM_STATE)), work=1, grain=1)
    b.launch(
        adam, table.array(rows, len(ADAM_COLUMNS)), hyper.array(len(ADAM_HYPER)), state.array(len(ADAM_STATE)), 0.0,
        work=rows, grain=grain, cost=rows * PIECE // grain, binding=(dtype.code,),
    )  # fmt: skip
