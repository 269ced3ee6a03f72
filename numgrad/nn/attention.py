"""Multi-head attention, on which `numgrad.nn.transformer` builds."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.devices import on_cpu
from numgrad.dtypes import dtype as Dtype
from numgrad.nn import functional as F
from numgrad.nn import init
from numgrad.nn.linear import Linear
from numgrad.nn.module import Module
from numgrad.nn.parameter import Parameter
from numgrad.tensor import arguments, creation, joining, pointwise, reductions, shaping
from numgrad.tensor.arguments import as_int, check_tensor
from numgrad.tensor.layers import matmul
from numgrad.tensor.tensor import Tensor

__all__ = ["MultiheadAttention"]


class MultiheadAttention(Module):
    """Attention of ``num_heads`` heads side by side, with linear maps before and after.

    Parameters
    ----------
    embed_dim
        Width of query and output.
    num_heads
        Number of heads, each of width embed_dim / num_heads.
    dropout
        The probability with which a weight is dropped in train mode.
    bias
        Whether the linear maps have an offset.
    kdim, vdim
        Widths of key and value, where they differ from embed_dim.
    batch_first
        Whether batches are [N, L, E] instead of [L, N, E].
    device
        'cpu', the only device, or None.
    dtype
        Of the parameters; None: the default dtype.

    ``add_bias_kv`` and ``add_zero_attn`` have to stay False.

    Raises
    ------
    ValueError
        A size is not positive.
    AssertionError
        The width cannot be divided among the heads.
    NotImplementedError
        ``add_bias_kv`` or ``add_zero_attn`` is True.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> x = ng.ones(2, 5, 8)
    >>> out, weights = nn.MultiheadAttention(8, 2, batch_first=True)(x, x, x)
    >>> out.shape, weights.shape
    (numgrad.Size([2, 5, 8]), numgrad.Size([2, 5, 5]))
    """

    in_proj_weight: Parameter | None
    q_proj_weight: Parameter | None
    k_proj_weight: Parameter | None
    v_proj_weight: Parameter | None
    in_proj_bias: Parameter | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Dtype | None = None,
    ) -> None:
        on_cpu("MultiheadAttention", device)
        # NumPy's integers would overflow below. Other types are refused there, with torch's classes of errors.
        embed_dim, num_heads = [int(n) if isinstance(n, np.integer) else n for n in (embed_dim, num_heads)]
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                "embed_dim and num_heads must be greater than 0, got "
                f"embed_dim={embed_dim} and num_heads={num_heads} instead"
            )
        for name, enabled in (("add_bias_kv", add_bias_kv), ("add_zero_attn", add_zero_attn)):
            if enabled:
                raise NotImplementedError(f"MultiheadAttention: {name}=True is not implemented; leave it False")
        super().__init__()
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else as_int("MultiheadAttention", "kdim", kdim)
        self.vdim = embed_dim if vdim is None else as_int("MultiheadAttention", "vdim", vdim)
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        assert self.head_dim * num_heads == embed_dim, "embed_dim must be divisible by num_heads"
        same = self._qkv_same_embed_dim
        for name, shape in (
            ("q_proj_weight", None if same else (embed_dim, embed_dim)),
            ("k_proj_weight", None if same else (embed_dim, self.kdim)),
            ("v_proj_weight", None if same else (embed_dim, self.vdim)),
            ("in_proj_weight", (3 * embed_dim, embed_dim) if same else None),
            ("in_proj_bias", (3 * embed_dim,) if bias else None),
        ):
            parameter = None if shape is None else Parameter(creation.empty(*shape, dtype=dtype))
            self.register_parameter(name, parameter)
        self.out_proj = Linear(embed_dim, embed_dim, bias=bias, dtype=dtype)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """The output, and the weights (None unless ``need_weights``): [N, L, S], or [N, heads, L, S] if not averaged.

        ``key_padding_mask`` [N, S] and ``attn_mask`` [L, S] or [N * heads, L, S] are True where a key is *not* seen, or
        are added to the scores. ``is_causal`` promises that attn_mask is the causal mask, which then need not be read.

        Raises
        ------
        AssertionError
            Sizes do not fit.
        RuntimeError
            A mask has the wrong shape, or ``is_causal`` is given without a mask.
        """
        for name, operand in (("query", query), ("key", key), ("value", value)):
            check_tensor("multi_head_attention", name, operand)
        batched = query.ndim == 3
        if query.ndim not in (2, 3) or key.ndim != query.ndim or value.ndim != query.ndim:
            raise AssertionError(
                "query should be unbatched 2D or batched 3D tensor, and key and value have as many dimensions, but "
                f"received {query.ndim}-D, {key.ndim}-D and {value.ndim}-D"
            )
        if is_causal and attn_mask is None:
            raise RuntimeError("Need attn_mask if specifying the is_causal hint.")
        same = query is key and key is value
        if not batched:
            inputs = [shaping.unsqueeze(x, 0) for x in (query, key, value)]
        elif self.batch_first:
            inputs = [query, key, value]
        else:
            inputs = [shaping.transpose(x, 0, 1) for x in (query, key, value)]
        for name, x, width in zip(
            ("query", "key", "value"), inputs, (self.embed_dim, self.kdim, self.vdim), strict=True
        ):
            if x.shape[-1] != width:
                raise AssertionError(f"was expecting embedding dimension of {width} for {name}, but got {x.shape[-1]}")
        q, k, v = self._packed(inputs[0]) if same and self._qkv_same_embed_dim else self._separate(inputs)
        if key_padding_mask is not None and not batched:
            key_padding_mask = shaping.unsqueeze(key_padding_mask, 0)
        if is_causal and key_padding_mask is None and not need_weights:
            mask = None
        else:
            is_causal, mask = False, self._mask(q, k, attn_mask, key_padding_mask)
        dropped = self.dropout if self.training else 0.0
        weights = None
        if need_weights:
            scores = matmul(pointwise.mul(q, self.head_dim**-0.5), shaping.transpose(k, -2, -1))
            weights = F.softmax(scores if mask is None else pointwise.add(scores, mask), -1)
            weights = F.dropout(weights, dropped) if dropped else weights
            out = matmul(weights, v)
            weights = reductions.mean(weights, 1) if average_attn_weights else weights
        else:
            out = F.scaled_dot_product_attention(q, k, v, mask, dropped, is_causal)
        rows = shaping.reshape(shaping.transpose(out, 1, 2), (out.shape[0], out.shape[2], self.embed_dim))
        rows = self.out_proj(rows)
        if not batched:
            return shaping.squeeze(rows, 0), None if weights is None else shaping.squeeze(weights, 0)
        return (rows if self.batch_first else shaping.transpose(rows, 0, 1)), weights

    def _packed(self, x: Tensor) -> list[Tensor]:
        """Query, key and value [N, heads, L, width] of one input, from one matrix product."""
        assert self.in_proj_weight is not None
        shape = (x.shape[0], x.shape[1], 3, self.num_heads, self.head_dim)
        projected = shaping.reshape(F.linear(x, self.in_proj_weight, self.in_proj_bias), shape)
        projected = shaping.permute(projected, 2, 0, 3, 1, 4)
        return [projected[0], projected[1], projected[2]]

    def _separate(self, inputs: list[Tensor]) -> list[Tensor]:
        """Query, key and value [N, heads, L, width], each from its own input."""
        weights: Any = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        if self.in_proj_weight is not None:
            weights = joining.chunk(self.in_proj_weight, 3)
        biases: Any = (None, None, None) if self.in_proj_bias is None else joining.chunk(self.in_proj_bias, 3)
        return [
            shaping.transpose(
                shaping.reshape(F.linear(x, weight, bias), (x.shape[0], x.shape[1], self.num_heads, self.head_dim)),
                1,
                2,
            )
            for x, weight, bias in zip(inputs, weights, biases, strict=True)
        ]

    def _mask(self, q: Tensor, k: Tensor, attn_mask: Tensor | None, key_padding_mask: Tensor | None) -> Tensor | None:
        """Both masks as one tensor, to be added to the scores [N, heads, L, S]."""
        batch, rows, keys = q.shape[0], q.shape[2], k.shape[2]
        parts = []
        if attn_mask is not None:
            expected = (rows, keys) if attn_mask.ndim == 2 else (batch * self.num_heads, rows, keys)
            if attn_mask.ndim not in (2, 3):
                raise RuntimeError(f"attn_mask's dimension {attn_mask.ndim} is not supported")
            if tuple(attn_mask.shape) != expected:
                raise RuntimeError(
                    f"The shape of the {attn_mask.ndim}D attn_mask is {tuple(attn_mask.shape)}, but should be {expected}."
                )
            added = _added("attn_mask", attn_mask, q.dtype)
            parts.append(added if added.ndim == 2 else shaping.reshape(added, (batch, self.num_heads, rows, keys)))
        if key_padding_mask is not None:
            if tuple(key_padding_mask.shape) != (batch, keys):
                raise AssertionError(
                    f"expecting key_padding_mask shape of {(batch, keys)}, but got {tuple(key_padding_mask.shape)}"
                )
            added = _added("key_padding_mask", key_padding_mask, q.dtype)
            parts.append(shaping.reshape(added, (batch, 1, 1, keys)))
        if not parts:
            return None
        return parts[0] if len(parts) == 1 else pointwise.add(*parts)


def _added(name: str, mask: Tensor, dtype: Dtype) -> Tensor:
    """A mask as numbers to add to scores: -infinity where it is True."""
    if mask.dtype is dtypes.bool_:
        return pointwise.where(mask, creation.tensor(float("-inf"), dtype=dtype), creation.tensor(0.0, dtype=dtype))
    if not mask.dtype.is_floating_point:
        raise AssertionError(f"only bool and floating types of {name} are supported")
    return arguments.cast(mask, dtype)
