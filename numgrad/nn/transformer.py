"""Transformers: encoders and decoders of layers that attend, and both together."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from numgrad.devices import on_cpu
from numgrad.dtypes import dtype as Dtype
from numgrad.errors import warn
from numgrad.nn import functional as F
from numgrad.nn import init
from numgrad.nn.activation import GELU, Dropout, ReLU
from numgrad.nn.attention import MultiheadAttention
from numgrad.nn.containers import ModuleList
from numgrad.nn.linear import Linear
from numgrad.nn.module import Module
from numgrad.nn.norm import LayerNorm
from numgrad.tensor import creation, diagonals
from numgrad.tensor.arguments import as_int, check_tensor
from numgrad.tensor.attention_heads import canonical_mask
from numgrad.tensor.conversions import typename
from numgrad.tensor.tensor import Tensor

__all__ = [
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]

Activation = str | Callable[[Tensor], Tensor]


def _activation(activation: Activation) -> Callable[[Tensor], Tensor]:
    if not isinstance(activation, str):
        return activation
    named: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu}
    if activation not in named:
        raise RuntimeError(f"activation should be relu/gelu, not {activation}")
    return named[activation]


def _causal_mask(sz: int, dtype: Dtype | None) -> Tensor:
    """[sz, sz]: -infinity above the diagonal, 0 elsewhere."""
    return diagonals.triu(creation.full((sz, sz), float("-inf"), dtype=dtype), 1)


def _is_causal(mask: Tensor | None, hint: bool | None, length: int) -> bool:
    """Whether a mask of numbers is the causal one: as the hint says, or if there is none by comparison."""
    if hint is not None or mask is None:
        return hint is True
    return tuple(mask.shape) == (length, length) and bool((mask == _causal_mask(length, mask.dtype)).all())


def _length(x: Tensor, layers: Any) -> int:
    """The length of a sequence, batched as the first layer takes it."""
    batch_first = len(layers) and getattr(getattr(layers[0], "self_attn", None), "batch_first", False)
    return x.shape[1 if batch_first and x.ndim == 3 else 0]


class _Layer(Module):
    """What layers of encoders and decoders have in common: attention to oneself, and a network of two linear layers."""

    self_attn: MultiheadAttention
    activation: Callable[[Tensor], Tensor]
    _crosses = False  # whether it also attends to an encoder's output

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Dtype | None = None,
    ) -> None:
        super().__init__()
        common: dict[str, Any] = {"bias": bias, "device": device, "dtype": dtype}
        attention: dict[str, Any] = {"dropout": dropout, "batch_first": batch_first, **common}
        self.self_attn = MultiheadAttention(d_model, nhead, **attention)
        if self._crosses:
            self.multihead_attn = MultiheadAttention(d_model, nhead, **attention)
        self.linear1 = Linear(d_model, dim_feedforward, **common)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, **common)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, eps=layer_norm_eps, **common)
        self.norm2 = LayerNorm(d_model, eps=layer_norm_eps, **common)
        if self._crosses:
            self.norm3 = LayerNorm(d_model, eps=layer_norm_eps, **common)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        if self._crosses:
            self.dropout3 = Dropout(dropout)
        self.activation = _activation(activation)
        if not self._crosses:
            is_relu = self.activation is F.relu or isinstance(self.activation, ReLU)
            is_gelu = self.activation is F.gelu or isinstance(self.activation, GELU)
            self.activation_relu_or_gelu = 1 if is_relu else 2 if is_gelu else 0  # torch's name and numbers

    def _sa_block(
        self, x: Tensor, attn_mask: Tensor | None, key_padding_mask: Tensor | None, is_causal: bool = False
    ) -> Tensor:
        return self.dropout1(self._attended(self.self_attn, x, x, attn_mask, key_padding_mask, is_causal))  # type: ignore[no-any-return]

    @staticmethod
    def _attended(
        attention: Module, x: Tensor, memory: Tensor, mask: Tensor | None, padding: Tensor | None, is_causal: bool
    ) -> Any:
        out, _ = attention(
            x, memory, memory, attn_mask=mask, key_padding_mask=padding, need_weights=False, is_causal=is_causal
        )
        return out

    def _fed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))  # type: ignore[no-any-return]


class TransformerEncoderLayer(_Layer):
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

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """The output for ``src``; the masks are those of `MultiheadAttention`."""
        check_tensor("TransformerEncoderLayer", "src", src)
        other = None if src_mask is None else src_mask.dtype
        padding = canonical_mask(src_key_padding_mask, "src_key_padding_mask", src.dtype, other, "src_mask")
        mask = canonical_mask(src_mask, "src_mask", src.dtype)
        x = src
        if self.norm_first:
            x = x + self._sa_block(self.norm1(x), mask, padding, is_causal)
            return x + self._ff_block(self.norm2(x))
        x = self.norm1(x + self._sa_block(x, mask, padding, is_causal))
        return self.norm2(x + self._ff_block(x))  # type: ignore[no-any-return]

    def _ff_block(self, x: Tensor) -> Tensor:
        return self.dropout2(self._fed_forward(x))  # type: ignore[no-any-return]


class TransformerDecoderLayer(_Layer):
    """As `TransformerEncoderLayer`, with attention to an encoder's output between the two; the arguments are the same.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> layer = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True)
    >>> layer(ng.ones(2, 5, 8), ng.ones(2, 3, 8)).shape
    numgrad.Size([2, 5, 8])
    """

    _crosses = True

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """The output for ``tgt``, which also sees ``memory``; the masks are those of `MultiheadAttention`."""
        check_tensor("TransformerDecoderLayer", "tgt", tgt)
        own = tgt_mask, tgt_key_padding_mask, tgt_is_causal
        others = memory_mask, memory_key_padding_mask, memory_is_causal
        x = tgt
        if self.norm_first:
            x = x + self._sa_block(self.norm1(x), *own)
            x = x + self._mha_block(self.norm2(x), memory, *others)
            return x + self._ff_block(self.norm3(x))
        x = self.norm1(x + self._sa_block(x, *own))
        x = self.norm2(x + self._mha_block(x, memory, *others))
        return self.norm3(x + self._ff_block(x))  # type: ignore[no-any-return]

    def _mha_block(
        self,
        x: Tensor,
        mem: Tensor,
        attn_mask: Tensor | None,
        key_padding_mask: Tensor | None,
        is_causal: bool = False,
    ) -> Tensor:
        return self.dropout2(self._attended(self.multihead_attn, x, mem, attn_mask, key_padding_mask, is_causal))  # type: ignore[no-any-return]

    def _ff_block(self, x: Tensor) -> Tensor:
        return self.dropout3(self._fed_forward(x))  # type: ignore[no-any-return]


class _Stack(Module):
    """Copies of one layer, one after the other, and a norm after the last."""

    def __init__(self, layer: Module, num_layers: int, norm: Module | None) -> None:
        super().__init__()
        if not isinstance(layer, Module):
            raise TypeError(f"{typename(layer)} is not a Module subclass")
        num_layers = as_int(type(self).__name__, "num_layers", num_layers)
        # What does not fit into memory is refused now, and not after the copies that do.
        creation.empty(max(num_layers, 0) * sum(parameter.numel() for parameter in layer.parameters()))
        self.layers = ModuleList([copy.deepcopy(layer) for _ in range(num_layers)])
        self.num_layers = num_layers
        self.norm = norm


class TransformerEncoder(_Stack):
    """``num_layers`` copies of a layer, one after the other.

    Parameters
    ----------
    encoder_layer
        The layer, a `TransformerEncoderLayer` or another module with its arguments.
    num_layers
        How many copies.
    norm
        A module after the last one.
    enable_nested_tensor, mask_check
        torch's switches of a faster way with padded batches, which numgrad has not; that a layer would not go that way is
        warned of as in torch.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
    >>> encoder(ng.ones(2, 5, 8)).shape
    numgrad.Size([2, 5, 8])
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__(encoder_layer, num_layers, norm)
        reason = _why_not_nested(encoder_layer)
        if enable_nested_tensor and reason:
            warn(
                "enable_nested_tensor is True, but self.use_nested_tensor is False because "
                f"{reason.format('encoder_layer')}"
            )
        self.enable_nested_tensor = enable_nested_tensor
        self.use_nested_tensor = enable_nested_tensor and not reason
        self.mask_check = mask_check

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        """The last layer's output; the masks are those of `MultiheadAttention`.

        ``is_causal`` promises that ``mask`` is the causal one; None: it is compared with it.
        """
        check_tensor("TransformerEncoder", "src", src)
        other = None if mask is None else mask.dtype
        padding = canonical_mask(src_key_padding_mask, "src_key_padding_mask", src.dtype, other, "mask")
        mask = canonical_mask(mask, "mask", src.dtype)
        is_causal = _is_causal(mask, is_causal, _length(src, self.layers))
        output = src
        for layer in self.layers:
            output = layer(output, src_mask=mask, is_causal=is_causal, src_key_padding_mask=padding)
        return output if self.norm is None else self.norm(output)


def _why_not_nested(layer: Module) -> str:
    """torch's reason for not going its faster way with a layer, which is called {}; empty for none."""
    if not isinstance(layer, TransformerEncoderLayer):
        return "{} was not TransformerEncoderLayer"
    if layer.norm_first:
        return "{}.norm_first was True"
    attention = layer.self_attn
    reasons = (
        (
            not attention.batch_first,
            "self_attn.batch_first was not True(use batch_first for better inference performance)",
        ),
        (not attention._qkv_same_embed_dim, "self_attn._qkv_same_embed_dim was not True"),
        (attention.in_proj_bias is None, "self_attn was passed bias=False"),
        (not layer.activation_relu_or_gelu, "activation_relu_or_gelu was not True"),
        (layer.norm1.eps != layer.norm2.eps, "norm1.eps was not equal to {}.norm2.eps"),
        (attention.num_heads % 2 == 1, "self_attn.num_heads is odd"),
    )
    return next((f"{{}}.{text}" for holds, text in reasons if holds), "")


class TransformerDecoder(_Stack):
    """``num_layers`` copies of a `TransformerDecoderLayer`, one after the other, and a module ``norm`` after the last.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16, batch_first=True), 2)
    >>> decoder(ng.ones(2, 5, 8), ng.ones(2, 3, 8)).shape
    numgrad.Size([2, 5, 8])
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__(decoder_layer, num_layers, norm)

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """The last layer's output for ``tgt``, which sees ``memory``; ``tgt_is_causal`` None: tgt_mask is looked at."""
        check_tensor("TransformerDecoder", "tgt", tgt)
        tgt_is_causal = _is_causal(tgt_mask, tgt_is_causal, _length(tgt, self.layers))
        output = tgt
        for layer in self.layers:
            output = layer(
                output, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=tgt_is_causal,
                memory_is_causal=memory_is_causal,
            )  # fmt: skip
        return output if self.norm is None else self.norm(output)


class Transformer(Module):
    """An encoder, and a decoder that sees its output: Vaswani et al., 2017.

    Parameters
    ----------
    d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias, device, dtype
        Those of `TransformerEncoderLayer`, for all layers.
    num_encoder_layers, num_decoder_layers
        How many layers each has; after the last there is a `LayerNorm`.
    custom_encoder, custom_decoder
        Modules in their places.

    Matrices are drawn by `init.xavier_uniform_`.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> model = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
    >>> mask = model.generate_square_subsequent_mask(5)
    >>> model(ng.ones(2, 3, 8), ng.ones(2, 5, 8), tgt_mask=mask).shape
    numgrad.Size([2, 5, 8])
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        custom_encoder: Any = None,
        custom_decoder: Any = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Dtype | None = None,
    ) -> None:
        super().__init__()
        layer = d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias
        norm: dict[str, Any] = {"eps": layer_norm_eps, "bias": bias, "device": device, "dtype": dtype}
        if custom_encoder is not None:
            self.encoder = custom_encoder
        else:
            encoder_layer = TransformerEncoderLayer(*layer, device, dtype)
            self.encoder = TransformerEncoder(encoder_layer, num_encoder_layers, LayerNorm(d_model, **norm))
        if custom_decoder is not None:
            self.decoder = custom_decoder
        else:
            decoder_layer = TransformerDecoderLayer(*layer, device, dtype)
            self.decoder = TransformerDecoder(decoder_layer, num_decoder_layers, LayerNorm(d_model, **norm))
        self._reset_parameters()
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def _reset_parameters(self) -> None:
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter)

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """The decoder's output for ``tgt``, of its shape; a RuntimeError if batches or widths differ."""
        for name, each in (("src", src), ("tgt", tgt)):
            check_tensor("Transformer", name, each)
        axis = 0 if self.batch_first else 1
        if src.ndim == 3 and src.shape[axis] != tgt.shape[axis]:
            raise RuntimeError("the batch number of src and tgt must be equal")
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise RuntimeError("the feature number of src and tgt must be equal to d_model")
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        return self.decoder(  # type: ignore[no-any-return]
            tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )  # fmt: skip

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Dtype | None = None) -> Tensor:
        """The causal mask [sz, sz]: -infinity above the diagonal, 0 elsewhere.

        >>> from numgrad import nn
        >>> nn.Transformer.generate_square_subsequent_mask(2)
        tensor([[0., -inf],
                [0., 0.]])
        """
        on_cpu("generate_square_subsequent_mask", device)
        return _causal_mask(sz, dtype)
