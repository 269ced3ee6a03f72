"""Multi-head attention, on which `numgrad.nn.transformer` builds."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad.devices import on_cpu
from numgrad.dtypes import dtype as Dtype
from numgrad.nn import functional as F
from numgrad.nn import init
from numgrad.nn.attention_kernels import SDPBackend as SDPBackend  # torch has them under ``nn.attention``
from numgrad.nn.attention_kernels import sdpa_kernel as sdpa_kernel
from numgrad.nn.linear import NonDynamicallyQuantizableLinear
from numgrad.nn.module import Module
from numgrad.nn.parameter import Parameter
from numgrad.tensor import creation, pointwise, shaping
from numgrad.tensor.arguments import as_int, check_tensor
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
    add_bias_kv
        Whether to learn one more key and one more value, which every sequence gets.
    add_zero_attn
        Whether every sequence gets one more key, and one more value, of zeros.
    kdim, vdim
        Widths of key and value, where they differ from embed_dim.
    batch_first
        Whether batches are [N, L, E] instead of [L, N, E].
    device
        'cpu', the only device, or None.
    dtype
        Of the parameters; None: the default dtype.

    Raises
    ------
    ValueError
        A size is not positive.
    AssertionError
        The width cannot be divided among the heads.

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
    bias_k: Parameter | None
    bias_v: Parameter | None

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
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, dtype=dtype)
        for name in ("bias_k", "bias_v"):
            # Without it an attribute that is None, as torch has it, and no parameter that is None.
            setattr(self, name, Parameter(creation.empty(1, 1, embed_dim, dtype=dtype)) if add_bias_kv else None)
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)
        for row in (self.bias_k, self.bias_v):
            if row is not None:
                init.xavier_normal_(row)

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
        if self.batch_first and batched:  # what was one tensor stays one
            turned = {id(x): shaping.transpose(x, 0, 1) for x in (query, key, value)}
            query, key, value = (turned[id(x)] for x in (query, key, value))
        out, weights = F.multi_head_attention_forward(
            query, key, value, self.embed_dim, self.num_heads, self.in_proj_weight, self.in_proj_bias, self.bias_k, self.bias_v,
            self.add_zero_attn, self.dropout, self.out_proj.weight, self.out_proj.bias, self.training, key_padding_mask,
            need_weights, attn_mask, not self._qkv_same_embed_dim, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight,
            average_attn_weights=average_attn_weights, is_causal=is_causal,
        )  # fmt: skip
        return (shaping.transpose(out, 0, 1) if self.batch_first and batched else out), weights

    def merge_masks(
        self, attn_mask: Tensor | None, key_padding_mask: Tensor | None, query: Tensor
    ) -> tuple[Tensor | None, int | None]:
        """Both masks, of numbers, as one [N, heads, L, L] for query [N, L, E], and a number for their kind.

        The number is 1 for a key_padding_mask alone, which stays [N, L], 2 with an attn_mask, None for no mask.
        """
        if attn_mask is None:
            return key_padding_mask, None if key_padding_mask is None else 1
        batch, rows, _ = query.shape
        heads = self.num_heads
        if attn_mask.ndim == 3:
            merged = shaping.reshape(attn_mask, (batch, -1, rows, rows))
        else:
            merged = shaping.expand(shaping.reshape(attn_mask, (1, 1, rows, rows)), (batch, heads, rows, rows))
        if key_padding_mask is not None:
            padding = shaping.reshape(key_padding_mask, (batch, 1, 1, rows))
            merged = pointwise.add(merged, shaping.expand(padding, (batch, heads, 1, rows)))
        return merged, 2
