"""One step of recurrent networks: `RNNCell`, `LSTMCell` and `GRUCell`."""

from __future__ import annotations

from typing import Any

from numgrad.devices import on_cpu
from numgrad.dtypes import dtype as Dtype
from numgrad.nn.module import Module
from numgrad.nn.parameter import Parameter
from numgrad.nn.recurrent import redraw
from numgrad.tensor import creation, recurrent, shaping
from numgrad.tensor.arguments import as_int, check_tensor
from numgrad.tensor.tensor import Tensor

__all__ = ["GRUCell", "LSTMCell", "RNNCell", "RNNCellBase"]


class RNNCellBase(Module):
    """What the cells share: parameters and checks.

    Parameters
    ----------
    input_size, hidden_size
        Widths of input and hidden state.
    bias
        Whether to learn two offsets.
    num_chunks
        Gates.
    device
        'cpu', the only device, or None.
    dtype
        Of the parameters; None: the default dtype.

    >>> from numgrad import nn
    >>> nn.RNNCellBase(3, 4, True, num_chunks=2).weight_ih.shape
    numgrad.Size([8, 3])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: Any = None,
        dtype: Dtype | None = None,
    ) -> None:
        super().__init__()
        on_cpu(type(self).__name__, device)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = as_int("RNNCellBase", "num_chunks", num_chunks) * as_int("RNNCellBase", "hidden_size", hidden_size)
        self.weight_ih = Parameter(creation.empty(rows, input_size, dtype=dtype))
        self.weight_hh = Parameter(creation.empty(rows, hidden_size, dtype=dtype))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(creation.empty(rows, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Redraw all parameters."""
        redraw(self)

    def _step(self, function: Any, input: Tensor, states: list[Any] | None, words: list[str]) -> list[Tensor]:
        """The states after one step of ``function``, from those of one sequence or of a batch; None means zeros."""
        name = type(self).__name__
        for word, x in (("input", input), *zip(words, states or [], strict=False)):
            if check_tensor(name, word, x).ndim not in (1, 2):
                raise ValueError(f"{name}: Expected {word} to be 1D or 2D, got {x.ndim}D instead")
        is_batched = input.ndim == 2
        if not is_batched:
            input = shaping.unsqueeze(input, 0)
        if states is None:
            states = [creation.zeros(input.shape[0], self.hidden_size, dtype=input.dtype)] * len(words)
        elif not is_batched:
            states = [shaping.unsqueeze(state, 0) for state in states]
        hx = states if len(words) > 1 else states[0]
        out = function(input, hx, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        after = list(out) if isinstance(out, tuple) else [out]
        return after if is_batched else [shaping.squeeze(state, 0) for state in after]

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        nonlinearity = getattr(self, "nonlinearity", "tanh")
        return text if nonlinearity == "tanh" else f"{text}, nonlinearity={nonlinearity}"


class RNNCell(RNNCellBase):
    """One step of an `RNN`: ``forward(input, hx=None)`` takes [batch, input_size] and [batch, hidden_size], or without batch.

    Parameters
    ----------
    input_size, hidden_size, bias, device, dtype
        As in `RNNCellBase`.
    nonlinearity
        "tanh" or "relu".

    Raises
    ------
    RuntimeError
        Input and state do not fit, or the nonlinearity is unknown.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.RNNCell(3, 4)(ng.ones(2, 3)).shape
    numgrad.Size([2, 4])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        functions = {"tanh": recurrent.rnn_tanh_cell, "relu": recurrent.rnn_relu_cell}
        if self.nonlinearity not in functions:
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self._step(functions[self.nonlinearity], input, None if hx is None else [hx], ["hidden"])[0]


class LSTMCell(RNNCellBase):
    """One step of an `LSTM`: ``forward(input, hx=None)`` takes [batch, input_size] and a pair of [batch, hidden_size].

    It returns the hidden state and the cell. All of it may be without batch.

    Parameters
    ----------
    input_size, hidden_size, bias, device, dtype
        As in `RNNCellBase`.

    Raises
    ------
    RuntimeError
        Input and states do not fit.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> hidden, cell = nn.LSTMCell(3, 4)(ng.ones(2, 3))
    >>> hidden.shape, cell.shape
    (numgrad.Size([2, 4]), numgrad.Size([2, 4]))
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Dtype | None = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        states = None if hx is None else list(hx)
        return tuple(self._step(recurrent.lstm_cell, input, states, ["hx[0]", "hx[1]"]))  # type: ignore[return-value]


class GRUCell(RNNCellBase):
    """One step of a `GRU`: ``forward(input, hx=None)`` takes [batch, input_size] and [batch, hidden_size], or without batch.

    Parameters
    ----------
    input_size, hidden_size, bias, device, dtype
        As in `RNNCellBase`.

    Raises
    ------
    RuntimeError
        Input and state do not fit.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> nn.GRUCell(3, 4)(ng.ones(3)).shape
    numgrad.Size([4])
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Dtype | None = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._step(recurrent.gru_cell, input, None if hx is None else [hx], ["hidden"])[0]
