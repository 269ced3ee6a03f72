"""`scaled_dot_product_attention`, with torch's arguments; `numgrad.nn.attention` calls it."""

from __future__ import annotations

import math

import numpy as np

from numgrad import dtypes, ops
from numgrad.layout import product
from numgrad.tensor import arguments, comparison, creation, layers, pointwise, random, reductions, shaping
from numgrad.tensor.surface import public
from numgrad.tensor.tensor import Tensor


@public("function", "functional", known=True)
def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(query @ key^T * scale + mask) @ value over the last two dimensions.

    Without mask and dropout it is one op, which does not store the matrix of scores.

    Parameters
    ----------
    query, key, value
        [..., L, E], [..., S, E] and [..., S, V]; leading dimensions broadcast.
    attn_mask
        Broadcasts to [..., L, S]. A bool mask is True where a query sees a key; a mask of query's dtype is added to the
        scores. A query that sees no key gets 0.
    dropout_p
        The probability of dropping a weight. It applies outside of training as well, so pass 0 there.
    is_causal
        Let query i see only the keys up to i.
    scale
        Factor of the scores; None: 1 / sqrt(E).
    enable_gqa
        Allow key and value fewer heads (the third dimension from the end); several heads of the query share one.

    Raises
    ------
    RuntimeError
        Shapes or dtypes do not fit, both a mask and ``is_causal`` are given, or ``dropout_p`` is not a probability.

    >>> import numgrad as ng
    >>> q = ng.ones(1, 2, 3, 4)
    >>> scaled_dot_product_attention(q, q, q).shape
    numgrad.Size([1, 2, 3, 4])
    """
    name = "scaled_dot_product_attention"
    for word, x in (("query", query), ("key", key), ("value", value)):
        arguments.check_tensor(name, word, x)
        if x.ndim < 2:
            raise RuntimeError(f"{name}: {word} has shape {list(x.shape)}, expected at least 2 dimensions")
        if x.dtype is not query.dtype:
            raise RuntimeError(
                f"Expected query, key, and value to have the same dtype, but got query.dtype: {query.dtype} "
                f"key.dtype: {key.dtype} and value.dtype: {value.dtype} instead."
            )
    if attn_mask is not None and is_causal:
        raise RuntimeError(f"{name}: Explicit attn_mask should not be set when is_causal=True")
    if not 0.0 <= dropout_p <= 1.0:
        raise RuntimeError(f"{name}: dropout probability has to be between 0 and 1, but got {dropout_p}")
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise RuntimeError(
            f"{name}: query, key and value have shapes {list(query.shape)}, {list(key.shape)} and {list(value.shape)}, "
            "expected [..., L, E], [..., S, E] and [..., S, V]"
        )
    if enable_gqa:
        key, value = (_with_heads(name, x, query) for x in (key, value))
    width = query.shape[-1]
    factor = float(scale) if scale is not None else 1.0 / math.sqrt(width) if width else 1.0
    lead = tuple(query.shape[:-2])
    fused = attn_mask is None and dropout_p == 0 and lead == tuple(key.shape[:-2]) == tuple(value.shape[:-2])
    if not fused or not query.numel() or not key.numel() or not value.numel():
        return _step_by_step(name, query, key, value, attn_mask, dropout_p, is_causal, factor)
    heads = lead if len(lead) == 2 else (1, product(lead))
    if len(lead) != 2:
        query, key, value = (shaping.reshape(x, (*heads, *x.shape[-2:])) for x in (query, key, value))
    out = ops.attention.attention(query, key, value, scale=factor, causal=is_causal)
    return out if len(lead) == 2 else shaping.reshape(out, (*lead, *out.shape[-2:]))  # type: ignore[no-any-return]


def _with_heads(name: str, x: Tensor, query: Tensor) -> Tensor:
    """``x`` with each head repeated, so that it has as many heads as query."""
    heads, query_heads = (t.shape[-3] if t.ndim > 2 else 0 for t in (x, query))
    if not heads or query_heads % heads:
        raise RuntimeError(
            f"{name}: query has {query_heads} heads and key or value {heads}, expected a multiple when enable_gqa=True"
        )
    if heads == query_heads:
        return x
    lead, tail = x.shape[:-3], x.shape[-2:]
    spread = shaping.expand(shaping.unsqueeze(x, -3), (*lead, heads, query_heads // heads, *tail))
    return shaping.reshape(spread, (*lead, query_heads, *tail))


def _step_by_step(
    name: str, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout_p: float, causal: bool, factor: float
) -> Tensor:  # fmt: skip
    scores = layers.matmul(pointwise.mul(query, factor), shaping.transpose(key, -2, -1))
    if causal:
        mask = comparison.ge(shaping.unsqueeze(creation.arange(query.shape[-2]), 1), creation.arange(key.shape[-2]))
    if mask is None:
        shares = layers.softmax(scores, -1)
    else:
        arguments.check_tensor(name, "attn_mask", mask)
        if mask.dtype is not dtypes.bool_ and mask.dtype is not query.dtype:
            raise RuntimeError(
                "Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: "
                f"{mask.dtype} and  query.dtype: {query.dtype} instead."
            )
        added = mask.dtype is not dtypes.bool_
        seen = comparison.gt(mask, -math.inf) if added else mask
        # The lowest number instead of -infinity: a query that sees nothing gets the gradient 0 and not NaN.
        lowest = float(np.finfo(query.dtype.numpy).min)
        shares = layers.softmax(pointwise.where(seen, pointwise.add(scores, mask) if added else scores, lowest), -1)
        shares = pointwise.where(reductions.any(seen, -1, keepdim=True), shares, 0.0)
    if dropout_p:
        shares = random.dropout(shares, dropout_p, True)
    return layers.matmul(shares, value)
