"""What the ops of recurrent layers share: plans, their steps in other ops, and the steps of their oracles.

The rows of all steps lie one behind the other: ``batch_sizes[t]`` of them belong to step t, the most to the first. Sequences
of one length are those where all steps have the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from numgrad.errors import ShapeError
from numgrad.kernels.gemm import plan_gemm
from numgrad.kernels.gemm_layout import Matrices
from numgrad.kernels.recurrent import (
    GATES,
    SLOTS,
    plan_recurrent,
    plan_recurrent_backward,
    plan_states_before,
)
from numgrad.ops import rules
from numgrad.ops.creation import full
from numgrad.ops.elementwise import add, mul, sub
from numgrad.ops.joining import cat, split
from numgrad.ops.layouts import check_floating, contiguous
from numgrad.ops.linalg import linear, mm
from numgrad.ops.proofs import prove_dtype, prove_ints, prove_shapes
from numgrad.ops.reduce import sum_
from numgrad.ops.view import narrow, transpose
from numgrad.runtime.plan import Operand, PlanBuilder

Arrays = Any  # of NumPy, in oracles

# ---- planning ---------------------------------------------------------------------------------------------------


def _prove(
    name: str, kind: str, batch_sizes: Any, reverse: Any, hidden: Operand | None, **operands: tuple[Operand | None, Any]
) -> tuple[int, int, int]:
    """The rows of all steps, those of the first, and the width of a state; ``operands`` with their shapes.

    In a shape "n" is the rows of all steps, "b" those of the first, "w" the width, "g" that of the gates.

    Raises
    ------
    RuntimeError
        An operand has another shape or dtype, the sizes grow, or there is no step.
    TypeError
        ``batch_sizes`` is no tuple of ints, or ``reverse`` no bool.
    """
    prove_ints(name, "batch_sizes", batch_sizes, low=0)
    if reverse.__class__ is not bool:
        raise TypeError(f"{name}: reverse is {reverse!r}, expected a bool")
    if not batch_sizes or any(later > former for former, later in itertools.pairwise(batch_sizes)):
        raise ShapeError(f"{name}: batch_sizes are {list(batch_sizes)}, expected at least one, in decreasing order")
    if hidden is None or hidden.spec.ndim != 2 or hidden.spec.shape[1] == 0:
        raise ShapeError(f"{name}: hidden is {hidden and hidden.spec}, expected shape [{batch_sizes[0]}, width]")
    check_floating(name, hidden)
    width = hidden.spec.shape[1]
    letters = {
        "n": sum(batch_sizes),
        "b": batch_sizes[0],
        "w": width,
        "g": GATES[kind] * width,
        "s": SLOTS[kind] * width,
    }
    for word, (operand, shape) in {"hidden": (hidden, "bw"), **operands}.items():
        expected = tuple([letters[n] if isinstance(n, str) else n for n in shape])
        if operand is None:
            raise ShapeError(f"{name}: {word} is None, expected shape {list(expected)}")
        prove_shapes(name, (word,), (operand,), expected)
        prove_dtype(name, word, operand, hidden.spec.dtype)
    return letters["n"], letters["b"], width


def _dense(b: PlanBuilder, x: Operand | None) -> Operand | None:
    return None if x is None else contiguous(b, x)


def plan_layer(
    b: PlanBuilder, name: str, kind: str, input: Operand, weight_ih: Operand, weight_hh: Operand, bias: Operand | None,
    hidden: Operand, batch_sizes: Any, reverse: Any, *, cell: Operand | None = None, bias_hidden: Operand | None = None,
) -> None:  # fmt: skip
    features = input.spec.shape[1] if input.spec.ndim == 2 else 0
    given = {"bias": (bias, "g"), "bias_hidden": (bias_hidden, "w"), "cell": (cell, "bw")}
    rows, _, width = _prove(
        name, kind, batch_sizes, reverse, hidden, input=(input, ("n", features)), weight_ih=(weight_ih, ("g", features)),
        weight_hh=(weight_hh, "gw"), **{word: pair for word, pair in given.items() if pair[0] is not None},
    )  # fmt: skip
    out = gates = b.output(hidden.spec.dtype, (rows, width))
    cells = None if cell is None else b.output(hidden.spec.dtype, (rows, width))
    slots = SLOTS[kind] * width
    if slots > width:
        gates = b.output(hidden.spec.dtype, (rows, slots))
    plan_gemm(
        b, Matrices(input, 0, *input.spec.strides), Matrices(weight_ih, 0, *weight_ih.spec.strides).transposed,
        Matrices(gates, 0, slots), m=rows, n=GATES[kind] * width, k=features, bias=_dense(b, bias),
    )  # fmt: skip
    plan_recurrent(
        b, kind, weight_hh, contiguous(b, hidden), _dense(b, cell), _dense(b, bias_hidden), out, gates, cells,
        batch_sizes=batch_sizes, reverse=reverse,
    )  # fmt: skip


def plan_backward_layer(
    b: PlanBuilder, name: str, kind: str, grad: Operand, weight: Operand, hidden: Operand, out: Operand,
    batch_sizes: Any, reverse: Any, *, gates: Operand | None = None, grad_cells: Operand | None = None,
    cell: Operand | None = None, cells: Operand | None = None,
) -> None:  # fmt: skip
    """Outputs: gradients of the gates (of a GRU's products apart), the hidden states before, gradients of the first states."""
    given = {"grad_cells": (grad_cells, "nw"), "gates": (gates, "ns"), "cell": (cell, "bw"), "cells": (cells, "nw")}
    rows, first, width = _prove(
        name, kind, batch_sizes, reverse, hidden, grad=(grad, "nw"), weight=(weight, "gw"), out=(out, "nw"),
        **{word: pair for word, pair in given.items() if pair[0] is not None},
    )  # fmt: skip
    dtype, steps = hidden.spec.dtype, {"batch_sizes": batch_sizes, "reverse": reverse}
    grads = b.output(dtype, (rows, GATES[kind] * width))
    extra = b.output(dtype, (rows, width)) if kind == "gru" else None
    before, grad_hidden = b.output(dtype, (rows, width)), b.output(dtype, (first, width))
    grad_cell = None if cell is None else b.output(dtype, (first, width))
    out, hidden = contiguous(b, out), contiguous(b, hidden)
    states, initial = (out, hidden) if kind == "gru" else (_dense(b, cells), _dense(b, cell))
    plan_recurrent_backward(
        b, kind, contiguous(b, grad), _dense(b, grad_cells), weight, _dense(b, gates) or out, states, initial, grads, extra,
        grad_hidden, grad_cell, **steps,
    )  # fmt: skip
    plan_states_before(b, out, hidden, before, **steps)


# ---- the steps in other ops, for derivatives of higher order and tangents ------------------------------


def _order(count: int, reverse: bool) -> Sequence[int]:
    return range(count - 1, -1, -1) if reverse else range(count)


def rows_in(x: Any) -> int:
    return x._spec.shape[0]  # type: ignore[no-any-return]


def _adapted(state: Any, first: Any, count: int) -> Any:
    """The first ``count`` rows of a step's states; of the initial ones, where sequences begin."""
    have = rows_in(state)
    if have > count:
        return narrow(state, 0, 0, count)
    return state if have == count else cat(state, narrow(first, 0, have, count - have), dim=0)


def parts(x: Any, count: int) -> tuple[Any, ...]:
    return split(x, sizes=(x._spec.shape[1] // count,) * count, dim=1)  # type: ignore[no-any-return]


def run_steps(
    step: Callable[..., tuple[Any, ...]], initial: tuple[Any, ...], batch_sizes: tuple[int, ...], reverse: bool
) -> list[Any]:
    """The states of all steps: ``step(t, *states before)`` returns those of step t."""
    states: Sequence[Any] = initial
    results: list[Any] = [None] * len(batch_sizes)
    for t in _order(len(batch_sizes), reverse):
        states = [_adapted(state, first, batch_sizes[t]) for state, first in zip(states, initial, strict=True)]
        states = results[t] = step(t, *states)
    return [cat(*parts, dim=0) for parts in zip(*results, strict=True)]


def pieces_before(states: Any, first: Any, batch_sizes: tuple[int, ...], reverse: bool) -> list[Any]:
    """For each step the states that it reads."""
    pieces = split(states, sizes=batch_sizes, dim=0)
    result: list[Any] = [None] * len(batch_sizes)
    state = first
    for t in _order(len(batch_sizes), reverse):
        result[t] = _adapted(state, first, batch_sizes[t])
        state = pieces[t]
    return result


def states_before(states: Any, first: Any, batch_sizes: tuple[int, ...], reverse: bool) -> Any:
    """The states that each row reads."""
    return cat(*pieces_before(states, first, batch_sizes, reverse), dim=0)


def zeros(like: Any, rows: int) -> Any:
    return full(size=(rows, like._spec.shape[1]), value=0.0, dtype=like._spec.dtype)


def backward_steps(
    step: Callable[..., tuple[tuple[Any, ...], tuple[Any, ...]]], initial: tuple[Any, ...],
    batch_sizes: tuple[int, ...], reverse: bool,
) -> tuple[list[Any], list[Any]]:  # fmt: skip
    """``step(t, *gradients of its states)`` returns those of the states before and its results; both for all steps.

    These are the gradients of the initial states, and the results of all steps joined.
    """
    grads = [zeros(first, 0) for first in initial]
    ended: list[list[Any]] = [[] for _ in initial]
    results: list[Any] = [None] * len(batch_sizes)
    for t in _order(len(batch_sizes), not reverse):
        have, count = rows_in(grads[0]), batch_sizes[t]
        if have > count:
            for pieces, grad in zip(ended, grads, strict=True):
                pieces.insert(0, narrow(grad, 0, count, have - count))
        grads = [
            _adapted(grad, grad if have >= count else zeros(first, count), count)
            for grad, first in zip(grads, initial, strict=True)
        ]
        grads, results[t] = step(t, *grads)  # type: ignore[assignment]
    first_grads = [cat(grad, *pieces, dim=0) if pieces else grad for grad, pieces in zip(grads, ended, strict=True)]
    return first_grads, [cat(*parts, dim=0) for parts in zip(*results, strict=True)]


def slope(y: Any) -> Any:
    """The derivative of the sigmoid y."""
    return mul(y, sub(1.0, y))


def tanh_slope(y: Any) -> Any:
    return sub(1.0, mul(y, y))


def pushed_product(x: Any, weight: Any, to_x: Any, to_weight: Any, to_bias: Any = None) -> Any:
    """The tangent of x @ weight.T + bias from those of the three, each of which may be None."""
    tangent = None if to_x is None else linear(to_x, weight, None)
    tangent = rules.added(tangent, None if to_weight is None else linear(x, to_weight, None))
    if tangent is None:
        tangent = full(size=(rows_in(x), rows_in(weight)), value=0.0, dtype=x._spec.dtype)
    return tangent if to_bias is None else add(tangent, to_bias)


def _turned(x: Any) -> Any:
    return transpose(x, dim0=0, dim1=1)


def gradients(
    ctx: Any, x: Any, weight_ih: Any, to_products: tuple[Any, ...], grads: Any, before: Any
) -> tuple[Any, ...]:
    """Gradients of input, weight_ih, weight_hh and bias; ``to_products`` are those of the products with the states."""
    parts = [mm(_turned(part), before) for part in to_products] if ctx.needs[2] else []
    return (
        mm(grads, weight_ih) if ctx.needs[0] else None,
        mm(_turned(grads), x) if ctx.needs[1] else None,
        cat(*parts, dim=0) if len(parts) > 1 else parts[0] if parts else None,
        sum_(grads, dims=(0,)) if ctx.needs[3] else None,
    )


# ---- oracles ----------------------------------------------------------------------------------------------------


def squashed(x: Arrays) -> Arrays:
    return 1 / (1 + np.exp(-x))


def _spans(batch_sizes: tuple[int, ...], reverse: bool) -> Iterator[tuple[int, slice]]:
    """The rows of each step: how many, and where."""
    starts = [0, *itertools.accumulate(batch_sizes)]
    for t in _order(len(batch_sizes), reverse):
        yield batch_sizes[t], slice(starts[t], starts[t + 1])


def oracle(
    step: Callable[..., tuple[Arrays, ...]], x: Arrays, weight_ih: Arrays, bias: Arrays, initial: tuple[Arrays, ...],
    batch_sizes: tuple[int, ...], reverse: bool,
) -> tuple[Arrays, ...]:  # fmt: skip
    products, states = x @ weight_ih.T + (0 if bias is None else bias), [first.copy() for first in initial]
    results = tuple([np.empty((len(x), first.shape[1]), products.dtype) for first in initial])
    for count, rows in _spans(batch_sizes, reverse):
        new = step(products[rows], *[state[:count] for state in states])
        for state, result, value in zip(states, results, new, strict=True):
            state[:count] = result[rows] = value
    return results


def oracle_back(
    step: Callable[..., tuple[Any, Any]], initial: tuple[Arrays, ...], states: tuple[Arrays, ...],
    arrays: tuple[Arrays, ...], batch_sizes: tuple[int, ...], reverse: bool,
) -> tuple[list[Arrays], list[Arrays]]:  # fmt: skip
    current, before = [first.copy() for first in initial], [np.empty_like(state) for state in states]
    for count, rows in _spans(batch_sizes, reverse):
        for now, old, state in zip(current, before, states, strict=True):
            old[rows] = now[:count]
            now[:count] = state[rows]
    grads, pieces = [np.zeros_like(first) for first in initial], {}
    for count, rows in _spans(batch_sizes, not reverse):
        new, pieces[rows.start] = step(
            *[grad[:count] for grad in grads], *[old[rows] for old in before], *[array[rows] for array in arrays]
        )
        for grad, value in zip(grads, new, strict=True):
            grad[:count] = value
    parts = [pieces[start] for start in sorted(pieces)]
    return grads, [np.concatenate(column) for column in zip(*parts, strict=True)]
