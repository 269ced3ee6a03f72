"""Recurrent layers in one direction: all steps of packed sequences, as one op for each kind.

The rows of all steps lie one behind the other: ``batch_sizes[t]`` of them belong to step t, the most to the first. Sequences
of one length are those where all steps have the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad.ops import rules
from numgrad.ops.elementwise import add, gt, mul, sigmoid, sub, tanh, where
from numgrad.ops.joining import cat, split
from numgrad.ops.linalg import linear, mm
from numgrad.ops.recurrences import (
    backward_steps,
    gradients,
    oracle,
    oracle_back,
    parts,
    pieces_before,
    plan_backward_layer,
    plan_layer,
    pushed_product,
    rows_in,
    run_steps,
    slope,
    squashed,
    states_before,
    tanh_slope,
    zeros,
)  # fmt: skip
from numgrad.ops.reduce import sum_
from numgrad.ops.view import narrow
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder

Arrays = Any  # of NumPy, in oracles

# ---- LSTM -------------------------------------------------------------------------------------------------------

lstm_layer = Op(
    "lstm_layer",
    ("input", "weight_ih", "weight_hh", "bias", "hidden", "cell"),
    {"batch_sizes": (), "reverse": False},
    outputs=("out", "cells", "gates"),
    public=2,
    saves=("input", "weight_ih", "weight_hh", "bias", "hidden", "cell", "out", "cells", "gates"),
    self_name="input",
    doc="""The hidden states and the cells of all steps of an LSTM, from input [N, features], hidden and cell [B, width].

    ``bias`` is the sum of both, or None. With ``reverse`` the last step comes first.
    """,
)


@lstm_layer.plan
def _(
    b: PlanBuilder, input: Operand, weight_ih: Operand, weight_hh: Operand, bias: Any, hidden: Operand,
    cell: Operand, batch_sizes: Any, reverse: Any,
) -> None:  # fmt: skip
    steps = (batch_sizes, reverse)
    plan_layer(b, "lstm_layer", "lstm", input, weight_ih, weight_hh, bias, hidden, *steps, cell=cell)


def _lstm_gates(products: Any, hidden: Any, weight: Any) -> tuple[Any, ...]:
    """The gates from the products with the input, and the hidden states before."""
    taken, kept, new, shown = parts(add(products, linear(hidden, weight, None)), 4)
    return sigmoid(taken), sigmoid(kept), tanh(new), sigmoid(shown)


@lstm_layer.backward
def _(ctx, grad, grad_cells):
    x, weight_ih, weight_hh, bias, hidden, cell, out, cells, gates = ctx.saved
    steps = ctx.params._asdict()
    back: Any = lstm_layer_backward
    if ctx.create_graph:
        before = states_before(out, hidden, **steps)
        gates, back = cat(*_lstm_gates(linear(x, weight_ih, bias), before, weight_hh), dim=1), _lstm_back
    grad = zeros(out, rows_in(out)) if grad is None else grad
    grads, before, to_hidden, to_cell = back(grad, grad_cells, weight_hh, hidden, cell, out, cells, gates, **steps)
    return *gradients(ctx, x, weight_ih, (grads,), grads, before), to_hidden, to_cell


@lstm_layer.jvp
def _(ctx, to_x, to_ih, to_hh, to_bias, to_hidden, to_cell):
    x, weight_ih, weight_hh, bias, hidden, cell = ctx.inputs
    (out, cells), steps = ctx.outputs, ctx.params._asdict()
    before, high = states_before(out, hidden, **steps), tanh(cells)
    taken, kept, new, shown = _lstm_gates(linear(x, weight_ih, bias), before, weight_hh)
    to_products = add(
        pushed_product(x, weight_ih, to_x, to_ih, to_bias), pushed_product(before, weight_hh, None, to_hh)
    )
    cell_slopes = (
        mul(slope(taken), new), mul(slope(kept), states_before(cells, cell, **steps)), mul(tanh_slope(new), taken)
    )  # fmt: skip
    rows = to_products, cat(*cell_slopes, dim=1), kept, mul(slope(shown), high), mul(tanh_slope(high), shown)
    pieces = [split(each, sizes=steps["batch_sizes"], dim=0) for each in rows]

    def step(t: int, to_hidden: Any, to_cell: Any) -> tuple[Any, ...]:
        products, slopes, kept, of_shown, of_cell = (each[t] for each in pieces)
        *to_gates, to_shown = parts(add(products, linear(to_hidden, weight_hh, None)), 4)
        to_cell = mul(kept, to_cell)
        for tangent, factor in zip(to_gates, parts(slopes, 3), strict=True):
            to_cell = add(to_cell, mul(tangent, factor))
        return add(mul(of_shown, to_shown), mul(of_cell, to_cell)), to_cell

    initial = [zeros(cell, rows_in(cell)) if tangent is None else tangent for tangent in (to_hidden, to_cell)]
    return tuple(run_steps(step, tuple(initial), **steps))


lstm_layer.batch(rules.of_sequences)


@lstm_layer.oracle
def _(x, weight_ih, weight_hh, bias, hidden, cell, batch_sizes, reverse):
    def step(products: Arrays, hidden: Arrays, cell: Arrays) -> tuple[Arrays, ...]:
        taken, kept, new, shown = np.split(products + hidden @ weight_hh.T, 4, 1)
        cell = squashed(kept) * cell + squashed(taken) * np.tanh(new)
        return squashed(shown) * np.tanh(cell), cell

    return oracle(step, x, weight_ih, bias, (hidden, cell), batch_sizes, reverse)


def projected_lstm(
    x: Any, weight_ih: Any, weight_hh: Any, weight_hr: Any, bias: Any, hidden: Any, cell: Any,
    batch_sizes: tuple[int, ...], reverse: bool,
) -> tuple[Any, ...]:  # fmt: skip
    """An LSTM whose hidden states are multiplied by ``weight_hr`` [size, width], step by step in other ops: (out, cells)."""
    products = split(linear(x, weight_ih, bias), sizes=batch_sizes, dim=0)

    def step(t: int, hidden: Any, cell: Any) -> tuple[Any, ...]:
        taken, kept, new, shown = _lstm_gates(products[t], hidden, weight_hh)
        cell = add(mul(kept, cell), mul(taken, new))
        return linear(mul(shown, tanh(cell)), weight_hr, None), cell

    return tuple(run_steps(step, (hidden, cell), batch_sizes, reverse))


lstm_layer_backward = Op(
    "lstm_layer_backward",
    ("grad", "grad_cells", "weight_hh", "hidden", "cell", "out", "cells", "gates"),
    {"batch_sizes": (), "reverse": False},
    outputs=("grad_gates", "before", "grad_hidden", "grad_cell"),
    public=4,
    doc="""Gradients of the gates of an `lstm_layer` before they are squashed, and of its initial states.

    ``before`` are the hidden states that each row read, which the gradient of weight_hh is made of.
    """,
)


@lstm_layer_backward.plan
def _(
    b: PlanBuilder, grad: Operand, grad_cells: Any, weight_hh: Operand, hidden: Operand, cell: Operand,
    out: Operand, cells: Operand, gates: Operand, batch_sizes: Any, reverse: Any,
) -> None:  # fmt: skip
    plan_backward_layer(
        b, "lstm_layer_backward", "lstm", grad, weight_hh, hidden, out, batch_sizes, reverse, gates=gates,
        grad_cells=grad_cells, cell=cell, cells=cells,
    )  # fmt: skip


lstm_layer_backward.batch(rules.of_sequences)


def _lstm_back(
    grad: Any, grad_cells: Any, weight: Any, hidden: Any, cell: Any, out: Any, cells: Any, gates: Any,
    batch_sizes: tuple[int, ...], reverse: bool,
) -> tuple[Any, ...]:  # fmt: skip
    """`lstm_layer_backward` in other ops."""
    steps: Any = {"batch_sizes": batch_sizes, "reverse": reverse}
    grad, gates, cells_now = (split(x, sizes=batch_sizes, dim=0) for x in (grad, gates, cells))
    extra = (None,) * len(grad) if grad_cells is None else split(grad_cells, sizes=batch_sizes, dim=0)
    cells_before = pieces_before(cells, cell, **steps)

    def step(t: int, to_hidden: Any, to_cell: Any) -> Any:
        taken, kept, new, shown = parts(gates[t], 4)
        to_hidden, high = add(to_hidden, grad[t]), tanh(cells_now[t])
        to_cell = add(rules.added(to_cell, extra[t]), mul(mul(to_hidden, shown), tanh_slope(high)))
        grads = cat(
            mul(mul(to_cell, new), slope(taken)),
            mul(mul(to_cell, cells_before[t]), slope(kept)),
            mul(mul(to_cell, taken), tanh_slope(new)),
            mul(mul(to_hidden, high), slope(shown)),
            dim=1,
        )
        return (mm(grads, weight), mul(to_cell, kept)), (grads,)

    (to_hidden, to_cell), (grads,) = backward_steps(step, (hidden, cell), **steps)
    return grads, states_before(out, hidden, **steps), to_hidden, to_cell


@lstm_layer_backward.oracle
def _(grad, grad_cells, weight, hidden, cell, out, cells, gates, batch_sizes, reverse):
    def step(to_hidden, to_cell, before, cell_before, grad, grad_cells, cells, gates):
        taken, kept, new, shown = np.split(gates, 4, 1)
        to_hidden, high = to_hidden + grad, np.tanh(cells)
        to_cell = to_cell + grad_cells + to_hidden * shown * (1 - high**2)
        to_taken, to_kept = to_cell * new * taken * (1 - taken), to_cell * cell_before * kept * (1 - kept)
        to_new, to_shown = to_cell * taken * (1 - new**2), to_hidden * high * shown * (1 - shown)
        grads = np.concatenate((to_taken, to_kept, to_new, to_shown), 1)
        return (grads @ weight, to_cell * kept), (grads, before)

    rows = grad, np.zeros_like(grad) if grad_cells is None else grad_cells, cells, gates
    firsts, results = oracle_back(step, (hidden, cell), (out, cells), rows, batch_sizes, reverse)
    return *results, *firsts


# ---- GRU --------------------------------------------------------------------------------------------------------

gru_layer = Op(
    "gru_layer",
    ("input", "weight_ih", "weight_hh", "bias", "bias_hidden", "hidden"),
    {"batch_sizes": (), "reverse": False},
    outputs=("out", "gates"),
    saves=("input", "weight_ih", "weight_hh", "bias", "bias_hidden", "hidden", "out", "gates"),
    self_name="input",
    doc="""The hidden states of all steps of a GRU, from input [N, features] and hidden [B, width].

    ``bias`` [3 * width] is the sum of both but for the last gate, whose bias of the hidden state is ``bias_hidden``; or both
    are None. With ``reverse`` the last step comes first.
    """,
)


@gru_layer.plan
def _(
    b: PlanBuilder, input: Operand, weight_ih: Operand, weight_hh: Operand, bias: Any, bias_hidden: Any,
    hidden: Operand, batch_sizes: Any, reverse: Any,
) -> None:  # fmt: skip
    steps = (batch_sizes, reverse)
    plan_layer(b, "gru_layer", "gru", input, weight_ih, weight_hh, bias, hidden, *steps, bias_hidden=bias_hidden)


def _gru_gates(x: Any, weight_ih: Any, weight_hh: Any, bias: Any, bias_hidden: Any, before: Any) -> tuple[Any, ...]:
    """The gates of all rows, and the products that the reset gates multiply, from the hidden states before."""
    reset, update, new = parts(linear(x, weight_ih, bias), 3)
    to_reset, to_update, product = parts(linear(before, weight_hh, None), 3)
    product = product if bias_hidden is None else add(product, bias_hidden)
    reset, update = sigmoid(add(reset, to_reset)), sigmoid(add(update, to_update))
    return reset, update, tanh(add(new, mul(reset, product))), product


@gru_layer.backward
def _(ctx, grad):
    x, weight_ih, weight_hh, bias, bias_hidden, hidden, out, gates = ctx.saved
    steps = ctx.params._asdict()
    back: Any = gru_layer_backward
    if ctx.create_graph:
        before = states_before(out, hidden, **steps)
        gates, back = cat(*_gru_gates(x, weight_ih, weight_hh, bias, bias_hidden, before), dim=1), _gru_back
    grads, last, before, to_hidden = back(grad, weight_hh, hidden, out, gates, **steps)
    to_products = narrow(grads, 1, 0, 2 * before._spec.shape[1]), last
    to_bias_hidden = sum_(last, dims=(0,)) if ctx.needs[4] else None
    return *gradients(ctx, x, weight_ih, to_products, grads, before), to_bias_hidden, to_hidden


@gru_layer.jvp
def _(ctx, to_x, to_ih, to_hh, to_bias, to_bias_hidden, to_hidden):
    x, weight_ih, weight_hh, bias, bias_hidden, hidden = ctx.inputs
    (out,), steps = ctx.outputs, ctx.params._asdict()
    before = states_before(out, hidden, **steps)
    reset, update, new, product = _gru_gates(x, weight_ih, weight_hh, bias, bias_hidden, before)
    from_input = parts(pushed_product(x, weight_ih, to_x, to_ih, to_bias), 3)
    *from_hidden, to_product = parts(pushed_product(before, weight_hh, None, to_hh), 3)
    to_product = rules.added(to_product, to_bias_hidden)
    to_products = cat(*map(add, from_input[:2], from_hidden), to_product, dim=1)
    slopes = slope(reset), slope(update), mul(sub(1.0, update), tanh_slope(new))
    rows = to_products, from_input[2], cat(*slopes, dim=1), reset, product, update, sub(before, new)
    pieces = [split(each, sizes=steps["batch_sizes"], dim=0) for each in rows]

    def step(t: int, to_hidden: Any) -> tuple[Any, ...]:
        products, to_new, slopes, reset, product, update, change = (each[t] for each in pieces)
        to_reset, to_update, to_product = parts(add(products, linear(to_hidden, weight_hh, None)), 3)
        of_reset, of_update, of_new = parts(slopes, 3)
        to_new = add(to_new, add(mul(mul(to_reset, of_reset), product), mul(reset, to_product)))
        return (add(add(mul(mul(to_update, of_update), change), mul(update, to_hidden)), mul(of_new, to_new)),)

    return run_steps(step, (zeros(hidden, rows_in(hidden)) if to_hidden is None else to_hidden,), **steps)[0]


gru_layer.batch(rules.of_sequences)


@gru_layer.oracle
def _(x, weight_ih, weight_hh, bias, bias_hidden, hidden, batch_sizes, reverse):
    def step(products: Arrays, hidden: Arrays) -> tuple[Arrays, ...]:
        mine, (*others, product) = np.split(products, 3, 1), np.split(hidden @ weight_hh.T, 3, 1)
        reset, update = (squashed(a + b) for a, b in zip(mine, others, strict=False))
        new = np.tanh(mine[2] + reset * (product + (0 if bias_hidden is None else bias_hidden)))
        return ((1 - update) * new + update * hidden,)

    return oracle(step, x, weight_ih, bias, (hidden,), batch_sizes, reverse)[0]


gru_layer_backward = Op(
    "gru_layer_backward",
    ("grad", "weight_hh", "hidden", "out", "gates"),
    {"batch_sizes": (), "reverse": False},
    outputs=("grad_gates", "grad_product", "before", "grad_hidden"),
    public=4,
    doc="""Gradients of the gates of a `gru_layer` before they are squashed, and of its initial states.

    ``grad_product`` is that of the hidden states' product with the last gate's weight, and ``before`` are the hidden states that
    each row read.
    """,
)


@gru_layer_backward.plan
def _(
    b: PlanBuilder, grad: Operand, weight_hh: Operand, hidden: Operand, out: Operand, gates: Operand,
    batch_sizes: Any, reverse: Any,
) -> None:  # fmt: skip
    name = "gru_layer_backward"
    plan_backward_layer(b, name, "gru", grad, weight_hh, hidden, out, batch_sizes, reverse, gates=gates)


gru_layer_backward.batch(rules.of_sequences)


def _gru_back(
    grad: Any, weight: Any, hidden: Any, out: Any, gates: Any, batch_sizes: tuple[int, ...], reverse: bool
) -> tuple[Any, ...]:
    """`gru_layer_backward` in other ops."""
    steps: Any = {"batch_sizes": batch_sizes, "reverse": reverse}
    grad, gates = (split(x, sizes=batch_sizes, dim=0) for x in (grad, gates))
    before = pieces_before(out, hidden, **steps)

    def step(t: int, to_hidden: Any) -> Any:
        reset, update, new, product = parts(gates[t], 4)
        to_hidden = add(to_hidden, grad[t])
        to_new = mul(mul(to_hidden, sub(1.0, update)), tanh_slope(new))
        to_update = mul(mul(to_hidden, sub(before[t], new)), slope(update))
        to_reset, to_product = mul(mul(to_new, product), slope(reset)), mul(to_new, reset)
        back = mm(cat(to_reset, to_update, to_product, dim=1), weight)
        return (add(mul(to_hidden, update), back),), (cat(to_reset, to_update, to_new, dim=1), to_product)

    (to_hidden,), results = backward_steps(step, (hidden,), **steps)
    return *results, cat(*before, dim=0), to_hidden


@gru_layer_backward.oracle
def _(grad, weight, hidden, out, gates, batch_sizes, reverse):
    def step(to_hidden, before, grad, gates):
        reset, update, new, product = np.split(gates, 4, 1)
        to_hidden = to_hidden + grad
        to_new = to_hidden * (1 - update) * (1 - new**2)
        to_update = to_hidden * (before - new) * update * (1 - update)
        to_reset, to_product = to_new * product * reset * (1 - reset), to_new * reset
        back = np.concatenate((to_reset, to_update, to_product), 1) @ weight
        grads = np.concatenate((to_reset, to_update, to_new), 1)
        return (to_hidden * update + back,), (grads, to_product, before)

    firsts, results = oracle_back(step, (hidden,), (out,), (grad, gates), batch_sizes, reverse)
    return *results, *firsts


# ---- plain ------------------------------------------------------------------------------------------------------

rnn_layer = Op(
    "rnn_layer",
    ("input", "weight_ih", "weight_hh", "bias", "hidden"),
    {"nonlinearity": "tanh", "batch_sizes": (), "reverse": False},
    saves=("input", "weight_ih", "weight_hh", "hidden", "out"),
    self_name="input",
    doc="""The hidden states of all steps of a plain recurrence, from input [N, features] and hidden [B, width].

    ``nonlinearity`` is "tanh" or "relu", and ``bias`` the sum of both, or None. With ``reverse`` the last step comes first.
    """,
)


def _prove_nonlinearity(name: str, nonlinearity: Any) -> None:
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"{name}: nonlinearity is {nonlinearity!r}, expected 'tanh' or 'relu'")


@rnn_layer.plan
def _(
    b: PlanBuilder, input: Operand, weight_ih: Operand, weight_hh: Operand, bias: Any, hidden: Operand,
    nonlinearity: Any, batch_sizes: Any, reverse: Any,
) -> None:  # fmt: skip
    _prove_nonlinearity("rnn_layer", nonlinearity)
    plan_layer(b, "rnn_layer", nonlinearity, input, weight_ih, weight_hh, bias, hidden, batch_sizes, reverse)


@rnn_layer.backward
def _(ctx, grad):
    x, weight_ih, weight_hh, hidden, out = ctx.saved
    back = _rnn_back if ctx.create_graph else rnn_layer_backward
    grads, before, to_hidden = back(grad, weight_hh, hidden, out, **ctx.params._asdict())
    return *gradients(ctx, x, weight_ih, (grads,), grads, before), to_hidden


def _sloped(value: Any, out: Any, nonlinearity: str) -> Any:
    """A value times the derivative of the nonlinearity where it was ``out``."""
    return mul(value, tanh_slope(out)) if nonlinearity == "tanh" else where(gt(out, 0.0), value, 0.0)


@rnn_layer.jvp
def _(ctx, to_x, to_ih, to_hh, to_bias, to_hidden):
    x, weight_ih, weight_hh, _, hidden = ctx.inputs
    (out,), (nonlinearity, *steps) = ctx.outputs, ctx.params
    before = states_before(out, hidden, *steps)
    rows = add(pushed_product(x, weight_ih, to_x, to_ih, to_bias), pushed_product(before, weight_hh, None, to_hh))
    products, outs = (split(each, sizes=steps[0], dim=0) for each in (rows, out))

    def step(t: int, to_hidden: Any) -> tuple[Any, ...]:
        return (_sloped(add(products[t], linear(to_hidden, weight_hh, None)), outs[t], nonlinearity),)

    return run_steps(step, (zeros(hidden, rows_in(hidden)) if to_hidden is None else to_hidden,), *steps)[0]


rnn_layer.batch(rules.of_sequences)


@rnn_layer.oracle
def _(x, weight_ih, weight_hh, bias, hidden, nonlinearity, batch_sizes, reverse):
    def step(products: Arrays, hidden: Arrays) -> tuple[Arrays, ...]:
        total = products + hidden @ weight_hh.T
        return (np.tanh(total) if nonlinearity == "tanh" else np.maximum(total, 0),)

    return oracle(step, x, weight_ih, bias, (hidden,), batch_sizes, reverse)[0]


rnn_layer_backward = Op(
    "rnn_layer_backward",
    ("grad", "weight_hh", "hidden", "out"),
    {"nonlinearity": "tanh", "batch_sizes": (), "reverse": False},
    outputs=("grad_sums", "before", "grad_hidden"),
    public=3,
    doc="""Gradients of the sums of an `rnn_layer` before they are squashed, and of its initial states.

    ``before`` are the hidden states that each row read.
    """,
)


@rnn_layer_backward.plan
def _(
    b: PlanBuilder, grad: Operand, weight_hh: Operand, hidden: Operand, out: Operand, nonlinearity: Any,
    batch_sizes: Any, reverse: Any,
) -> None:  # fmt: skip
    _prove_nonlinearity("rnn_layer_backward", nonlinearity)
    plan_backward_layer(b, "rnn_layer_backward", nonlinearity, grad, weight_hh, hidden, out, batch_sizes, reverse)


rnn_layer_backward.batch(rules.of_sequences)


def _rnn_back(
    grad: Any, weight: Any, hidden: Any, out: Any, nonlinearity: str, batch_sizes: tuple[int, ...], reverse: bool
) -> tuple[Any, ...]:
    """`rnn_layer_backward` in other ops."""
    steps: Any = {"batch_sizes": batch_sizes, "reverse": reverse}
    grad, outs = (split(x, sizes=batch_sizes, dim=0) for x in (grad, out))

    def step(t: int, to_hidden: Any) -> Any:
        grads = _sloped(add(to_hidden, grad[t]), outs[t], nonlinearity)
        return (mm(grads, weight),), (grads,)

    (to_hidden,), (grads,) = backward_steps(step, (hidden,), **steps)
    return grads, states_before(out, hidden, **steps), to_hidden


@rnn_layer_backward.oracle
def _(grad, weight, hidden, out, nonlinearity, batch_sizes, reverse):
    def step(to_hidden, before, grad, out):
        grads = (to_hidden + grad) * (1 - out**2 if nonlinearity == "tanh" else out > 0)
        return (grads @ weight,), (grads, before)

    firsts, results = oracle_back(step, (hidden,), (out,), (grad, out), batch_sizes, reverse)
    return *results, *firsts
