"""Recurrent networks: `RNN`, `LSTM` and `GRU`."""

from __future__ import annotations

import math
import numbers
from typing import Any

from numgrad.devices import on_cpu
from numgrad.dtypes import dtype as Dtype
from numgrad.errors import warn
from numgrad.nn import init
from numgrad.nn.module import Module
from numgrad.nn.parameter import Parameter
from numgrad.nn.utils.rnn import PackedSequence
from numgrad.tensor import creation, indexing, recurrent, shaping
from numgrad.tensor.arguments import check_tensor
from numgrad.tensor.tensor import Tensor

__all__ = ["GRU", "LSTM", "RNN", "RNNBase"]

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}
_FUNCTIONS = {
    "LSTM": recurrent.lstm, "GRU": recurrent.gru, "RNN_TANH": recurrent.rnn_tanh, "RNN_RELU": recurrent.rnn_relu,
}  # fmt: skip


def redraw(module: Any) -> None:
    """Draw all parameters anew."""
    bound = 1 / math.sqrt(module.hidden_size) if module.hidden_size > 0 else 0.0
    for weight in module.parameters():
        init.uniform_(weight, -bound, bound)


class RNNBase(Module):
    """What `RNN`, `LSTM` and `GRU` share: parameters, checks, and packed sequences.

    Parameters
    ----------
    mode
        "LSTM", "GRU", "RNN_TANH" or "RNN_RELU".
    input_size, hidden_size
        Widths of input and hidden state.
    num_layers
        Layers, each of which reads the outputs of the one below.
    bias
        Whether to learn offsets, two for each gate as in torch.
    batch_first
        Whether input and output are [batch, steps, width] instead of [steps, batch, width]. States are [layers * directions,
        batch, width] in any case.
    dropout
        The probability with which, in training, outputs of all layers but the last are dropped.
    bidirectional
        Whether each layer goes through the steps in both directions; outputs are the two hidden states side by side.
    proj_size
        Of an LSTM, the width that its hidden states are projected to; 0: they are not.
    device
        'cpu', the only device, or None.
    dtype
        Of the parameters; None: the default dtype.

    Parameters are drawn from the uniform distribution on [-1 / sqrt(hidden_size), 1 / sqrt(hidden_size)).

    Raises
    ------
    ValueError, TypeError
        An argument is not of its type, or out of its range.

    >>> from numgrad import nn
    >>> nn.RNNBase("GRU", 3, 4, num_layers=2)
    RNNBase(3, 4, num_layers=2)
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Dtype | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(dropout, numbers.Number) or isinstance(dropout, bool) or not 0 <= dropout <= 1:  # type: ignore[operator]
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
            )
        if dropout > 0 and num_layers == 1:  # type: ignore[operator]
            warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
                f"num_layers greater than 1, but got dropout={dropout} and num_layers={num_layers}"
            )
        for name, flag in (("bias", bias), ("batch_first", batch_first)):
            if not isinstance(flag, bool):
                raise TypeError(f"{name} should be of type bool, got: {type(flag).__name__}")
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size)):
            if not isinstance(size, int):
                raise TypeError(f"{name} should be of type int, got: {type(size).__name__}")
            if size <= 0:
                raise ValueError(f"{name} must be greater than zero")
        if num_layers <= 0:
            raise ValueError("num_layers must be greater than zero")
        if proj_size < 0:
            raise ValueError("proj_size should be a positive integer or zero to disable projections")
        if proj_size >= hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")
        if mode not in _GATES:
            raise ValueError(f"Unrecognized RNN mode: {mode}")
        on_cpu(type(self).__name__, device)
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        rows, out = _GATES[mode] * hidden_size, proj_size or hidden_size
        directions = ("", "_reverse") if bidirectional else ("",)
        self._all_weights: list[list[str]] = []
        for layer in range(num_layers):
            features = input_size if layer == 0 else out * len(directions)
            shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, features), "weight_hh": (rows, out)}
            if bias:
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
            if proj_size:
                shapes["weight_hr"] = (proj_size, hidden_size)
            for suffix in directions:
                names = {f"{name}_l{layer}{suffix}": shape for name, shape in shapes.items()}
                for name, shape in names.items():
                    self.register_parameter(name, Parameter(creation.empty(*shape, dtype=dtype)))
                self._all_weights.append(list(names))
        self.reset_parameters()

    @property
    def _flat_weights_names(self) -> list[str]:
        return [name for names in self._all_weights for name in names]

    @property
    def _flat_weights(self) -> list[Tensor]:
        return [getattr(self, name) for name in self._flat_weights_names]

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def flatten_parameters(self) -> None:
        """Does nothing: in torch it lays parameters side by side for a library of GPUs."""

    def reset_parameters(self) -> None:
        """Redraw all parameters."""
        redraw(self)

    def check_input(self, input: Tensor, batch_sizes: Tensor | None) -> None:
        """Refuse an input of another dtype, number of dimensions or width."""
        dtype = self._flat_weights[0].dtype
        if input.dtype is not dtype:
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({dtype}). Convert input: input.to({dtype}), or "
                f"convert model: model.to({input.dtype})"
            )
        expected = 3 if batch_sizes is None else 2
        if input.ndim != expected:
            raise RuntimeError(f"input must have {expected} dimensions, got {input.ndim}")
        if self.input_size != input.shape[-1]:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.shape[-1]}"
            )

    def _states_shape(self, batch: int, width: int) -> tuple[int, int, int]:
        return self.num_layers * (2 if self.bidirectional else 1), batch, width

    def _batch(self, input: Tensor, batch_sizes: Tensor | None) -> int:
        return input.shape[0 if self.batch_first else 1] if batch_sizes is None else int(batch_sizes[0])

    def get_expected_hidden_size(self, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, int, int]:
        """The shape of hidden states."""
        return self._states_shape(self._batch(input, batch_sizes), self.proj_size or self.hidden_size)

    def check_hidden_size(
        self, hx: Tensor, expected_hidden_size: tuple[int, int, int], msg: str = "Expected hidden size {}, got {}"
    ) -> None:
        """Refuse states of another shape."""
        if tuple(hx.shape) != tuple(expected_hidden_size):
            raise RuntimeError(msg.format(tuple(expected_hidden_size), list(hx.shape)))

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        """Refuse an input or states that do not fit."""
        self.check_input(input, batch_sizes)
        self.check_hidden_size(hidden, self.get_expected_hidden_size(input, batch_sizes))

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        """The states of the sequences in another order."""
        return hx if permutation is None else indexing.index_select(hx, 1, permutation)

    # What differs for an LSTM, which has two states.

    def _zero_states(self, input: Tensor, batch: int) -> Any:
        return creation.zeros(self._states_shape(batch, self.hidden_size), dtype=input.dtype)

    def _check_dims(self, hx: Any, expected: int) -> None:
        if hx.ndim != expected:
            kind = "batched 3-D" if expected == 3 else "unbatched 2-D"
            raise RuntimeError(f"For {kind} input, hx should also be {expected}-D but got {hx.ndim}-D tensor")

    @staticmethod
    def _mapped(function: Any, hx: Any) -> Any:
        return function(hx)

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        if type(self) is RNNBase:
            return super().forward(input, hx)  # type: ignore[no-any-return]
        name = self.mode.partition("_")[0]
        arguments = [self._flat_weights, self.bias, self.num_layers, self.dropout, self.training, self.bidirectional]
        if isinstance(input, PackedSequence):
            data, batch_sizes, sorted_indices, unsorted_indices = input
            if hx is None:
                hx = self._zero_states(data, int(batch_sizes[0]))
            else:
                hx = self.permute_hidden(hx, sorted_indices)
            self.check_forward_args(data, hx, batch_sizes)
            out, *states = _FUNCTIONS[self.mode](data, batch_sizes, hx, *arguments)  # type: ignore[operator]
            packed = PackedSequence(out, batch_sizes, sorted_indices, unsorted_indices)
            return packed, self.permute_hidden(self._joined(states), unsorted_indices)
        if check_tensor(name, "input", input).ndim not in (2, 3):
            what = "" if name in ("LSTM", "GRU") else " tensor"
            raise ValueError(f"{name}: Expected input to be 2D or 3D, got {input.ndim}D{what} instead")
        is_batched, batch_dim = input.ndim == 3, 0 if self.batch_first else 1
        if not is_batched:
            input = shaping.unsqueeze(input, batch_dim)
        if hx is None:
            hx = self._zero_states(input, self._batch(input, None))
        else:
            self._check_dims(hx, 3 if is_batched else 2)
            if not is_batched:
                hx = self._mapped(lambda state: shaping.unsqueeze(state, 1), hx)
        self.check_forward_args(input, hx, None)
        out, *states = _FUNCTIONS[self.mode](input, hx, *arguments, self.batch_first)  # type: ignore[operator]
        if is_batched:
            return out, self._joined(states)
        states = [shaping.squeeze(state, 1) for state in states]
        return shaping.squeeze(out, batch_dim), self._joined(states)

    @staticmethod
    def _joined(states: list[Tensor]) -> Any:
        return states[0]

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.proj_size:
            text += f", proj_size={self.proj_size}"
        if self.num_layers != 1:
            text += f", num_layers={self.num_layers}"
        for name in ("bias", "batch_first", "dropout", "bidirectional"):
            value = getattr(self, name)
            if value is not True if name == "bias" else value:
                text += f", {name}={value}"
        return text


class RNN(RNNBase):
    """Plain recurrence: h_t = tanh(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh), or ReLU in the place of tanh.

    ``forward(input, hx=None)`` takes [steps, batch, input_size], [steps, input_size] for one sequence, or a `PackedSequence`, and
    the states [layers * directions, batch, hidden_size] before the first step, which are zeros by default. It returns the
    outputs of all steps and the last states.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype
        As in `RNNBase`.
    nonlinearity
        "tanh" or "relu"; by position it comes after ``num_layers``.

    Raises
    ------
    ValueError, TypeError
        An argument is not of its type, or out of its range.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> layer = nn.RNN(3, 4, nonlinearity="relu")
    >>> out, last = layer(ng.ones(5, 2, 3))
    >>> out.shape, last.shape
    (numgrad.Size([5, 2, 4]), numgrad.Size([1, 2, 4]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if len(args) > 3:
            nonlinearity, args = args[3], (*args[:3], *args[4:])
        else:
            nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(f"RNN_{nonlinearity.upper()}", *args, **kwargs)
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory, with gates for the input, for forgetting, for the new cell and for the output.

    ``forward(input, hx=None)`` takes [steps, batch, input_size], [steps, input_size] for one sequence, or a `PackedSequence`, and
    hidden states and cells before the first step, zeros by default. It returns the outputs of all steps, and the last hidden
    states and cells. With ``proj_size`` the hidden states have that width, and the steps are separate ops.

    Parameters
    ----------
    args, kwargs
        Those of `RNNBase` but ``mode``.

    Raises
    ------
    ValueError, TypeError
        An argument is not of its type, or out of its range.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> layer = nn.LSTM(3, 4, batch_first=True, bidirectional=True)
    >>> out, (hidden, cell) = layer(ng.ones(2, 5, 3))
    >>> out.shape, hidden.shape, cell.shape
    (numgrad.Size([2, 5, 8]), numgrad.Size([2, 2, 4]), numgrad.Size([2, 2, 4]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def get_expected_cell_size(self, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, int, int]:
        """The shape of cells."""
        return self._states_shape(self._batch(input, batch_sizes), self.hidden_size)

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        self.check_input(input, batch_sizes)
        hidden_size = self.get_expected_hidden_size(input, batch_sizes)
        self.check_hidden_size(hidden[0], hidden_size, "Expected hidden[0] size {}, got {}")
        cell_size = self.get_expected_cell_size(input, batch_sizes)
        self.check_hidden_size(hidden[1], cell_size, "Expected hidden[1] size {}, got {}")

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        if permutation is None:
            return hx
        return tuple([indexing.index_select(state, 1, permutation) for state in hx[:2]])

    def _zero_states(self, input: Tensor, batch: int) -> Any:
        widths = self.proj_size or self.hidden_size, self.hidden_size
        return tuple([creation.zeros(self._states_shape(batch, width), dtype=input.dtype) for width in widths])

    def _check_dims(self, hx: Any, expected: int) -> None:
        if hx[0].ndim != expected or hx[1].ndim != expected:
            kind = "batched 3-D" if expected == 3 else "unbatched 2-D"
            raise RuntimeError(
                f"For {kind} input, hx and cx should also be {expected}-D but got ({hx[0].ndim}-D, {hx[1].ndim}-D) tensors"
            )

    @staticmethod
    def _mapped(function: Any, hx: Any) -> Any:
        return tuple([function(state) for state in hx[:2]])

    @staticmethod
    def _joined(states: list[Tensor]) -> Any:
        return tuple(states)


class GRU(RNNBase):
    """Gated recurrent units, with gates for resetting and for updating the hidden state.

    ``forward(input, hx=None)`` is that of `RNN`.

    Parameters
    ----------
    args, kwargs
        Those of `RNNBase` but ``mode`` and ``proj_size``.

    Raises
    ------
    ValueError, TypeError
        An argument is not of its type, or out of its range.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.GRU(3, 4, num_layers=2)(ng.ones(5, 2, 3))[0].shape
    numgrad.Size([5, 2, 4])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)
