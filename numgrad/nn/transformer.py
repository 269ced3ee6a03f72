"""`TransformerEncoderLayer`, one layer of a transformer's encoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numgrad.dtypes import dtype as Dtype
from numgrad.nn import functional as F
from numgrad.nn.activation import Dropout
from numgrad.nn.attention import MultiheadAttention
from numgrad.nn.linear import Linear
from numgrad.nn.module import Module
from numgrad.nn.norm import LayerNorm
from numgrad.tensor.tensor import Tensor

__all__ = ["TransformerEncoderLayer"]


class TransformerEncoderLayer(Module):
    """Self-attention, then a network of two linear layers, each with dropout, a residual connection and layer norm.

    Parameters
    ----------
    d_model
        Width of input and output.
    nhead
        Number of heads.
    dim_feedforward
        Width between the two linear layers.
    dropout
        The probability of all four dropouts.
    activation
        'relu', 'gelu' or a function.
    layer_norm_eps
        Added to the variance.
    batch_first
        Whether the input is [N, L, d_model] instead of [L, N, d_model].
    norm_first
        Whether to normalise before attention and network, instead of after the additions.
    bias
        Whether linear layers and norms have an offset.
    device
        'cpu', the only device, or None.
    dtype
        Of the parameters; None: the default dtype.

    Raises
    ------
    RuntimeError
        The activation is unknown.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True, activation="gelu")
    >>> layer(ng.ones(2, 5, 8)).shape
    numgrad.Size([2, 5, 8])
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[Tensor], Tensor] = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Dtype | None = None,
    ) -> None:
        super().__init__()
        common: dict[str, Any] = {"bias": bias, "device": device, "dtype": dtype}
        self.self_attn = MultiheadAttention(d_model, nhead, dropout=dropout, batch_first=batch_first, **common)
        self.linear1 = Linear(d_model, dim_feedforward, **common)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, **common)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, eps=layer_norm_eps, **common)
        self.norm2 = LayerNorm(d_model, eps=layer_norm_eps, **common)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        if isinstance(activation, str):
            activations: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu}
            if activation not in activations:
                raise RuntimeError(f"activation should be relu/gelu, not {activation}")
            activation = activations[activation]
        self.activation = activation

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """The output for ``src``; the masks are those of `MultiheadAttention`."""

        def attended(x: Tensor) -> Tensor:
            out, _ = self.self_attn(
                x, x, x, key_padding_mask=src_key_padding_mask, need_weights=False, attn_mask=src_mask,
                is_causal=is_causal,
            )  # fmt: skip
            return self.dropout1(out)  # type: ignore[no-any-return]

        def fed_forward(x: Tensor) -> Tensor:
            return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))  # type: ignore[no-any-return]

        if self.norm_first:
            x = src + attended(self.norm1(src))
            return x + fed_forward(self.norm2(x))
        x = self.norm1(src + attended(src))
        return self.norm2(x + fed_forward(x))  # type: ignore[no-any-return]
