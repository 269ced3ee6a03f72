"""Recurrent networks of any number of layers, and their cells, with torch's arguments; `numgrad.nn.recurrent` calls them.

A layer in one direction is one op over all steps (`ops.recurrent`). One step alone is the same op.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from numgrad import dtypes
from numgrad.engine.tape import TensorBase
from numgrad.ops import recurrent as ops
from numgrad.tensor import creation, indexing, joining, layers, pointwise, random, shaping
from numgrad.tensor.arguments import as_int, check_tensor
from numgrad.tensor.checked import flag, real
from numgrad.tensor.surface import public
from numgrad.tensor.tensor import Tensor

_GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}


# ---- one layer in one direction ---------------------------------------------------------------------------------


def _layer(
    kind: str, x: Tensor, states: Sequence[Tensor], weights: Sequence[Tensor], biases: tuple[Tensor | None, Tensor | None],
    batch_sizes: tuple[int, ...], reverse: bool,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Of all steps the hidden states, and an LSTM's cells; ``weights`` are two, or three with a projection."""
    w_ih, w_hh, *projection = weights
    if projection:
        hidden, cell = states
        return ops.projected_lstm(x, w_ih, w_hh, projection[0], *biases, hidden, cell, batch_sizes, reverse)
    if kind == "lstm":
        return ops.lstm_layer(x, w_ih, w_hh, *biases, *states, batch_sizes=batch_sizes, reverse=reverse)  # type: ignore[no-any-return]
    if kind == "gru":
        return (ops.gru_layer(x, w_ih, w_hh, *biases, *states, batch_sizes=batch_sizes, reverse=reverse),)
    squash = kind.removeprefix("rnn_")
    return (
        ops.rnn_layer(x, w_ih, w_hh, *biases, *states, nonlinearity=squash, batch_sizes=batch_sizes, reverse=reverse),
    )


def _last(rows: Tensor, batch_sizes: tuple[int, ...], reverse: bool) -> Tensor:
    """The states in which the sequences end, from those of all steps."""
    if reverse or batch_sizes[-1] == batch_sizes[0]:
        return shaping.narrow(rows, 0, 0 if reverse else rows.shape[0] - batch_sizes[0], batch_sizes[0])
    starts = np.array([0, *itertools.accumulate(batch_sizes[:-1])])
    lengths = np.searchsorted(-np.array(batch_sizes), -np.arange(batch_sizes[0]), "left")
    return indexing.index_select(rows, 0, creation.from_numpy(starts[lengths - 1] + np.arange(batch_sizes[0])))


# ---- networks ---------------------------------------------------------------------------------------------------


class _Network(NamedTuple):
    """The arguments of a network after its input, as torch orders them."""

    hx: Any
    params: Any
    has_biases: Any
    num_layers: Any
    dropout: Any
    train: Any
    bidirectional: Any


def _run(name: str, input: Any, *given: Any) -> tuple[Tensor, ...]:
    """The outputs of the last layer, and for each kind of state that in which each layer ends.

    The arguments are those for an input [steps, batch, features], or those for packed rows: data and batch_sizes in the place
    of the input, and no batch_first.
    """
    network = _Network(*given[:-1])
    is_packed = isinstance(network.params, TensorBase) or (name == "lstm" and isinstance(network.hx, TensorBase))
    if is_packed:
        check_tensor(name, "data", input)
        batch_sizes = _sizes(name, network.hx)
        out, states = _layers(name, input, batch_sizes, _Network(*given[1:]))
        return out, *states
    check_tensor(name, "input", input)
    batch_first = flag(name, "batch_first", given[-1])
    if input.ndim != 3:
        raise RuntimeError(f"{name}: input must have 3 dimensions, got {input.ndim}")
    x = shaping.transpose(input, 0, 1) if batch_first else input
    steps, batch, features = x.shape
    if steps == 0:
        raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
    out, states = _layers(name, shaping.reshape(x, steps * batch, features), (batch,) * steps, network)
    out = shaping.reshape(out, steps, batch, out.shape[1])
    out = shaping.transpose(out, 0, 1) if batch_first else out
    return shaping.drop_base_of_copy(out, input), *states


def _sizes(name: str, batch_sizes: Any) -> tuple[int, ...]:
    check_tensor(name, "batch_sizes", batch_sizes)
    if batch_sizes.ndim != 1 or batch_sizes.dtype is not dtypes.int64:
        raise RuntimeError(
            f"{name}: batch_sizes should be a 1D int64 tensor, but got a {batch_sizes.ndim}D {batch_sizes.dtype} one"
        )
    return tuple(batch_sizes.tolist())


def _tensors(name: str, word: str, values: Any) -> list[Tensor]:
    if not isinstance(values, (list, tuple)):
        raise TypeError(f"{name}(): argument '{word}' must be tuple of Tensors, not {type(values).__name__}")
    return [check_tensor(name, word, value) for value in values]


def _layers(name: str, x: Tensor, batch_sizes: tuple[int, ...], network: _Network) -> tuple[Tensor, tuple[Tensor, ...]]:
    initial = _tensors(name, "hx", network.hx if name == "lstm" else (network.hx,))
    if name == "lstm" and len(initial) != 2:
        raise RuntimeError("lstm expects two hidden states")
    params, num_layers = _tensors(name, "params", network.params), as_int(name, "num_layers", network.num_layers)
    has_biases, train = flag(name, "has_biases", network.has_biases), flag(name, "train", network.train)
    directions = 2 if flag(name, "bidirectional", network.bidirectional) else 1
    dropout = real(name, "dropout", network.dropout)
    if any(state.ndim != 3 or state.shape[0] != num_layers * directions for state in initial):
        raise RuntimeError(
            f"{name}: initial states have shapes {', '.join(str(list(state.shape)) for state in initial)}, expected "
            f"[{num_layers * directions}, {batch_sizes[0] if batch_sizes else 0}, width]"
        )
    is_projected = name == "lstm" and initial[0].shape[2] != initial[1].shape[2]
    count = 2 + 2 * has_biases + is_projected
    if len(params) != count * num_layers * directions:
        raise RuntimeError(
            f"{name}: got {len(params)} weights and biases, expected {count * num_layers * directions}: {count} for each of "
            f"{num_layers} layers in {directions} directions"
        )
    ends: list[list[Tensor]] = []
    for layer in range(num_layers):
        outs = []
        for direction in range(directions):
            number = layer * directions + direction
            own = params[number * count : (number + 1) * count]
            biases = (own[2], own[3]) if has_biases else (None, None)
            weights = [*own[:2], *(own[-1:] if is_projected else ())]
            states = [shaping.select(state, 0, number) for state in initial]
            rows = _layer(name, x, states, weights, biases, batch_sizes, direction == 1)
            ends.append([_last(each, batch_sizes, direction == 1) for each in rows])
            outs.append(rows[0])
        x = outs[0] if directions == 1 else joining.cat(outs, 1)
        if dropout and train and layer + 1 < num_layers:
            x = random.dropout(x, dropout, True)
    return x, tuple([joining.stack(states) for states in zip(*ends, strict=True)])


@public("function")
def lstm(
    input: Tensor,
    hx: Sequence[Tensor],
    params: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Long short-term memory: the hidden states of the last layer, and the last hidden states and cells of all layers.

    Parameters
    ----------
    input
        [steps, batch, features], or [batch, steps, features] with ``batch_first``.
    hx
        Hidden states and cells before the first step, [layers * directions, batch, width] each.
    params
        For each layer, and in it for each direction: weight_ih [4 * width, features], weight_hh [4 * width, width], with
        ``has_biases`` bias_ih and bias_hh [4 * width], and weight_hr [size, width], if the hidden states have another size than
        the cells.
    has_biases, num_layers, bidirectional
        As the words say.
    dropout
        The probability with which, in training (``train``), elements between layers are dropped.

    As in torch, rows of packed sequences can be given instead, by position: data, batch_sizes, hx, params, has_biases,
    num_layers, dropout, train, bidirectional. See `nn.LSTM` and `nn.utils.rnn`.

    Raises
    ------
    RuntimeError
        Shapes, dtypes or the number of weights do not fit, or there is no step.

    >>> import numgrad as ng
    >>> hx, params = (ng.zeros(1, 1, 2), ng.zeros(1, 1, 2)), (ng.ones(8, 3), ng.ones(8, 2))
    >>> lstm(ng.ones(4, 1, 3), hx, params, False, 1, 0.0, False, False, False)[0].shape
    numgrad.Size([4, 1, 2])
    """
    return _run("lstm", input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)  # type: ignore[return-value]


@public("function")
def gru(
    input: Tensor,
    hx: Tensor,
    params: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Tensor, Tensor]:
    """Gated recurrent units: the hidden states of the last layer, and the last ones of all layers.

    The arguments are those of `lstm`, but that ``hx`` is one tensor [layers * directions, batch, width], and that weights have
    3 * width rows. See `nn.GRU`.

    Raises
    ------
    RuntimeError
        Shapes, dtypes or the number of weights do not fit, or there is no step.

    >>> import numgrad as ng
    >>> hx, params = ng.zeros(1, 1, 2), (ng.ones(6, 3), ng.ones(6, 2))
    >>> gru(ng.ones(4, 1, 3), hx, params, False, 1, 0.0, False, False, False)[0].shape
    numgrad.Size([4, 1, 2])
    """
    return _run("gru", input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)  # type: ignore[return-value]


@public("function")
def rnn_tanh(
    input: Tensor,
    hx: Tensor,
    params: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Tensor, Tensor]:
    """A plain recurrence with tanh: the hidden states of the last layer, and the last ones of all layers.

    The arguments are those of `lstm`, but that ``hx`` is one tensor [layers * directions, batch, width], and that weights have
    width rows. See `nn.RNN`.

    Raises
    ------
    RuntimeError
        Shapes, dtypes or the number of weights do not fit, or there is no step.

    >>> import numgrad as ng
    >>> hx, params = ng.zeros(1, 1, 2), (ng.ones(2, 3), ng.ones(2, 2))
    >>> rnn_tanh(ng.ones(4, 1, 3), hx, params, False, 1, 0.0, False, False, False)[0].shape
    numgrad.Size([4, 1, 2])
    """
    return _run("rnn_tanh", input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)  # type: ignore[return-value]


@public("function")
def rnn_relu(
    input: Tensor,
    hx: Tensor,
    params: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Tensor, Tensor]:
    """A plain recurrence with ReLU: the hidden states of the last layer, and the last ones of all layers.

    The arguments are those of `lstm`, but that ``hx`` is one tensor [layers * directions, batch, width], and that weights have
    width rows. See `nn.RNN`.

    Raises
    ------
    RuntimeError
        Shapes, dtypes or the number of weights do not fit, or there is no step.

    >>> import numgrad as ng
    >>> hx, params = ng.zeros(1, 1, 2), (ng.ones(2, 3), ng.ones(2, 2))
    >>> rnn_relu(ng.ones(4, 1, 3), hx, params, False, 1, 0.0, False, False, False)[0].shape
    numgrad.Size([4, 1, 2])
    """
    return _run("rnn_relu", input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)  # type: ignore[return-value]


# ---- cells ------------------------------------------------------------------------------------------------------


def _cell(name: str, input: Any, states: list[Any], w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> tuple[Tensor, ...]:
    """One step of one layer."""
    kind = name.removesuffix("_cell")
    for word, tensor in (("input", input), *(("hx", state) for state in states), ("w_ih", w_ih), ("w_hh", w_hh)):
        check_tensor(name, word, tensor)
    for word, tensor, count in (
        ("input", input, 2),
        *(("hx", state, 2) for state in states),
        ("w_ih", w_ih, 2),
        ("w_hh", w_hh, 2),
    ):
        if tensor.ndim != count:
            raise IndexError(f"{name}: {word} has shape {list(tensor.shape)}, expected {count} dimensions")
    if input.shape[1] != w_ih.shape[1]:
        raise RuntimeError(f"input has inconsistent input_size: got {input.shape[1]} expected {w_ih.shape[1]}")
    width = w_hh.shape[1]
    for number, state in enumerate(states):
        if state.shape[0] != input.shape[0]:
            raise RuntimeError(
                f"Input batch size {input.shape[0]} doesn't match hidden{number} batch size {state.shape[0]}"
            )
        if state.shape[1] != width:
            raise RuntimeError(f"hidden{number} has inconsistent hidden_size: got {state.shape[1]}, expected {width}")
    for word, weight in (("weight_ih", w_ih), ("weight_hh", w_hh)):
        if weight.shape[0] != _GATES[kind] * width:
            raise RuntimeError(
                f"{word} first dim must be {_GATES[kind]} * hidden_size = {_GATES[kind] * width}, but got {weight.shape[0]}"
            )
    if width == 0:  # nothing to compute, but to be a result of all operands
        gates = pointwise.add(layers.linear(input, w_ih, b_ih), layers.linear(states[0], w_hh, b_hh))
        return tuple([pointwise.add(state, gates) for state in states])
    return _layer(kind, input, states, (w_ih, w_hh), (b_ih, b_hh), (input.shape[0],), False)


@public("function")
def lstm_cell(
    input: Tensor,
    hx: Sequence[Tensor],
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """One step of an LSTM: the hidden state and the cell after it.

    Parameters
    ----------
    input
        [batch, features].
    hx
        Hidden state and cell before it, [batch, width] each.
    w_ih, w_hh
        [4 * width, features] and [4 * width, width]: gates for the input, for forgetting, the new cell, the output.
    b_ih, b_hh
        [4 * width].

    Raises
    ------
    RuntimeError
        Shapes or dtypes do not fit.

    >>> import numgrad as ng
    >>> zeros = ng.zeros(1, 1)
    >>> lstm_cell(ng.ones(1, 1), (zeros, zeros), ng.ones(4, 1), ng.ones(4, 1))
    (tensor([[0.3696]]), tensor([[0.5568]]))
    """
    states = _tensors("lstm_cell", "hx", hx)
    if len(states) != 2:
        raise RuntimeError("lstm_cell expects two hidden states")
    return _cell("lstm_cell", input, states, w_ih, w_hh, b_ih, b_hh)  # type: ignore[return-value]


@public("function")
def gru_cell(
    input: Tensor,
    hx: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    """One step of gated recurrent units: the hidden state [batch, width] after it.

    Parameters
    ----------
    input, hx
        [batch, features], and the hidden state before, [batch, width].
    w_ih, w_hh
        [3 * width, features] and [3 * width, width]: gates for resetting, for updating, the new state.
    b_ih, b_hh
        [3 * width].

    Raises
    ------
    RuntimeError
        Shapes or dtypes do not fit.

    >>> import numgrad as ng
    >>> gru_cell(ng.ones(1, 1), ng.zeros(1, 1), ng.ones(3, 1), ng.ones(3, 1))
    tensor([[0.2048]])
    """
    return _cell("gru_cell", input, [hx], w_ih, w_hh, b_ih, b_hh)[0]


@public("function")
def rnn_tanh_cell(
    input: Tensor,
    hx: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    """tanh(input @ w_ih.T + b_ih + hx @ w_hh.T + b_hh): the hidden state [batch, width] after it.

    Parameters
    ----------
    input, hx
        [batch, features], and the hidden state before, [batch, width].
    w_ih, w_hh
        [width, features] and [width, width].
    b_ih, b_hh
        [width].

    Raises
    ------
    RuntimeError
        Shapes or dtypes do not fit.

    >>> import numgrad as ng
    >>> rnn_tanh_cell(ng.ones(1, 1), ng.zeros(1, 1), ng.ones(1, 1), ng.ones(1, 1))
    tensor([[0.7616]])
    """
    return _cell("rnn_tanh_cell", input, [hx], w_ih, w_hh, b_ih, b_hh)[0]


@public("function")
def rnn_relu_cell(
    input: Tensor,
    hx: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    """relu(input @ w_ih.T + b_ih + hx @ w_hh.T + b_hh): the hidden state [batch, width] after it.

    Parameters
    ----------
    input, hx
        [batch, features], and the hidden state before, [batch, width].
    w_ih, w_hh
        [width, features] and [width, width].
    b_ih, b_hh
        [width].

    Raises
    ------
    RuntimeError
        Shapes or dtypes do not fit.

    >>> import numgrad as ng
    >>> rnn_relu_cell(ng.ones(1, 1), ng.zeros(1, 1), ng.ones(1, 1), ng.ones(1, 1))
    tensor([[1.]])
    """
    return _cell("rnn_relu_cell", input, [hx], w_ih, w_hh, b_ih, b_hh)[0]
