"""`multi_head_attention_forward`: attention of several heads with linear maps around it; `numgrad.nn.attention` calls it."""

from __future__ import annotations

import math
from typing import Any

from numgrad import dtypes
from numgrad.dtypes import dtype as Dtype
from numgrad.errors import warn
from numgrad.tensor import arguments, creation, joining, layers, margins, pointwise, random, reductions, shaping
from numgrad.tensor.arguments import check_tensor
from numgrad.tensor.attention import scaled_dot_product_attention
from numgrad.tensor.surface import public
from numgrad.tensor.tensor import Tensor


@public("functional")
def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Attention of ``num_heads`` heads side by side; what `nn.MultiheadAttention` computes.

    Parameters
    ----------
    query, key, value
        [L, N, E], [S, N, K] and [S, N, V]; or without N, which is a batch of one.
    embed_dim_to_check
        E.
    in_proj_weight, in_proj_bias
        The weights [3 * E, E] of the three maps before the heads, and their offsets [3 * E] or None.
    bias_k, bias_v
        One more key and one more value [1, 1, E] for every sequence, or None.
    add_zero_attn
        Whether there is one more key, and one more value, of zeros.
    dropout_p, training
        The probability with which a weight is dropped, in training.
    out_proj_weight, out_proj_bias
        The map after the heads.
    key_padding_mask, attn_mask
        [N, S]; and [L, S] or [N * num_heads, L, S]: True where a key is *not* seen, or numbers to add to the scores.
    need_weights, average_attn_weights
        Whether the weights are returned too: [N, L, S], or without averaging [N, num_heads, L, S].
    use_separate_proj_weight, q_proj_weight, k_proj_weight, v_proj_weight
        The weights of the three maps, if they are not in one matrix: [E, E], [E, K] and [E, V].
    static_k, static_v
        Keys and values after their maps: [N * num_heads, S, E / num_heads].
    is_causal
        A promise that attn_mask is the causal mask, which then need not be read.

    Returns
    -------
    tuple
        The output [L, N, E], and the weights or None.

    Raises
    ------
    AssertionError
        Sizes do not fit.
    RuntimeError
        A mask has the wrong shape, or ``is_causal`` is given without a mask.

    >>> import numgrad as ng
    >>> x, weight = ng.ones(3, 1, 2), ng.ones(6, 2)
    >>> out, shares = ng.nn.functional.multi_head_attention_forward(
    ...     x, x, x, 2, 1, weight, None, None, None, False, 0.0, weight[:2], None
    ... )
    >>> out.shape, shares
    (numgrad.Size([3, 1, 2]), tensor([[[0.3333, 0.3333, 0.3333],
             [0.3333, 0.3333, 0.3333],
             [0.3333, 0.3333, 0.3333]]]))
    """
    is_batched = _check_dims(query, key, value, key_padding_mask, attn_mask, num_heads)
    same = query is key and key is value
    # Inside, the batch comes first: the rows of `nn.MultiheadAttention(batch_first=True)` are in their own order then.
    query, key, value = (
        shaping.transpose(x, 0, 1) if is_batched else shaping.unsqueeze(x, 0) for x in (query, key, value)
    )
    if key_padding_mask is not None and not is_batched:
        key_padding_mask = shaping.unsqueeze(key_padding_mask, 0)
    other = None if attn_mask is None else attn_mask.dtype
    key_padding_mask = canonical_mask(key_padding_mask, "key_padding_mask", query.dtype, other, "attn_mask")
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
            "`generate_square_subsequent_mask` to create this mask."
        )
    is_causal = is_causal and key_padding_mask is None and not need_weights
    attn_mask = None if is_causal else canonical_mask(attn_mask, "attn_mask", query.dtype)
    _check_extents(query, key, value, embed_dim_to_check, num_heads, use_separate_proj_weight)
    weights: Any = in_proj_weight
    if use_separate_proj_weight:
        weights = q_proj_weight, k_proj_weight, v_proj_weight
        for word, weight, x in zip(("query", "key", "value"), weights, (query, key, value), strict=True):
            if weight is None:
                raise AssertionError(f"use_separate_proj_weight is True but {word[0]}_proj_weight is None")
            expected = (query.shape[2], x.shape[2])
            if tuple(weight.shape) != expected:
                raise AssertionError(f"expecting {word} weights shape of {expected}, but got {weight.shape}")
    elif weights is None:
        raise AssertionError("use_separate_proj_weight is False but in_proj_weight is None")
    for letter, bias, opposite in (("k", bias_k, bias_v), ("v", bias_v, bias_k)):
        if bias is not None and opposite is None:
            raise AssertionError(f"bias_{letter} is set but bias_{'v' if letter == 'k' else 'k'} is None")
        if bias is not None and (static_k if letter == "k" else static_v) is not None:
            raise AssertionError(f"bias cannot be added to static {'key' if letter == 'k' else 'value'}.")
    batch, rows = query.shape[0], query.shape[1]
    _check_mask(attn_mask, batch, num_heads, rows, key.shape[1])
    if isinstance(weights, Tensor) and same and bias_k is None:
        q, k, v = _packed(query, weights, in_proj_bias, num_heads)
    else:
        separate = weights if isinstance(weights, tuple) else joining.chunk(weights, 3)
        biases: Any = (None, None, None) if in_proj_bias is None else joining.chunk(in_proj_bias, 3)
        more = None, bias_k, bias_v
        q, k, v = (
            _heads(x, weight, bias, added, num_heads)
            for x, weight, bias, added in zip((query, key, value), separate, biases, more, strict=True)
        )
    k, v = _static("static_k", static_k, k), _static("static_v", static_v, v)
    if add_zero_attn:
        zero = creation.zeros((batch, num_heads, 1, k.shape[-1]), dtype=k.dtype)
        k, v = joining.cat([k, zero], 2), joining.cat([v, zero], 2)
    mask = _merged(attn_mask, key_padding_mask, batch, num_heads, key.shape[1], k.shape[2])
    dropped = dropout_p if training else 0.0
    shares = None
    if need_weights:
        scores = layers.matmul(pointwise.mul(q, math.sqrt(1.0 / q.shape[-1])), shaping.transpose(k, -2, -1))
        shares = layers.softmax(scores if mask is None else pointwise.add(scores, mask), -1)
        shares = random.dropout(shares, dropped, True) if dropped else shares
        out = layers.matmul(shares, v)
        shares = reductions.mean(shares, 1) if average_attn_weights else shares
    else:
        out = scaled_dot_product_attention(q, k, v, mask, dropped, is_causal)
    out = shaping.reshape(shaping.transpose(out, 1, 2), (batch, rows, embed_dim_to_check))
    out = layers.linear(out, out_proj_weight, out_proj_bias)
    if not is_batched:
        return shaping.squeeze(out, 0), None if shares is None else shaping.squeeze(shares, 0)
    return shaping.transpose(out, 0, 1), shares


def canonical_mask(
    mask: Tensor | None, name: str, dtype: Dtype, other: Dtype | None = None, other_name: str = ""
) -> Tensor | None:
    """A mask as numbers to add to scores of a dtype: -infinity where it is True. Warns if another mask has another dtype.

    Raises
    ------
    AssertionError
        The mask is neither bool nor of floating point.

    >>> import numgrad as ng
    >>> canonical_mask(ng.tensor([True, False]), "mask", ng.float32)
    tensor([-inf, 0.])
    """
    if mask is None:
        return None
    is_bool = mask.dtype is dtypes.bool_
    if not is_bool and not mask.dtype.is_floating_point:
        raise AssertionError(f"only bool and floating types of {name} are supported")
    if other is not None and mask.dtype is not other:
        warn(f"Support for mismatched {name} and {other_name} is deprecated. Use same type for both instead.")
    if is_bool:
        unseen, seen = (creation.tensor(number, dtype=dtype) for number in (-math.inf, 0.0))
        return pointwise.where(mask, unseen, seen)
    return arguments.cast(mask, dtype)


def _check_dims(
    query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None, mask: Tensor | None, num_heads: int
) -> bool:
    """Whether there is a batch.

    Raises
    ------
    AssertionError
        An operand has another number of dimensions.
    """
    for name, operand in (("query", query), ("key", key), ("value", value)):
        check_tensor("multi_head_attention_forward", name, operand)
    if query.ndim not in (2, 3):
        raise AssertionError(
            f"query should be unbatched 2D or batched 3D tensor but received {query.ndim}-D query tensor"
        )
    dims = query.ndim
    what = f"For {'batched' if dims == 3 else 'unbatched'} ({dims}-D) `query`, expected"
    if key.ndim != dims or value.ndim != dims:
        raise AssertionError(
            f"{what} `key` and `value` to be {dims}-D but found {key.ndim}-D and {value.ndim}-D tensors respectively"
        )
    if padding is not None and padding.ndim != dims - 1:
        raise AssertionError(
            f"{what} `key_padding_mask` to be `None` or {dims - 1}-D but found {padding.ndim}-D tensor instead"
        )
    if mask is not None and mask.ndim not in (2, 3):
        raise AssertionError(f"{what} `attn_mask` to be `None`, 2-D or 3-D but found {mask.ndim}-D tensor instead")
    if mask is not None and dims == 2 and mask.ndim == 3:
        expected = (num_heads, query.shape[0], key.shape[0])
        if tuple(mask.shape) != expected:
            raise AssertionError(f"Expected `attn_mask` shape to be {expected} but got {mask.shape}")
    return dims == 3


def _check_extents(query: Tensor, key: Tensor, value: Tensor, width: int, num_heads: int, separate: bool) -> None:
    """Refuse operands [N, L, E] that do not belong together.

    Raises
    ------
    AssertionError
        Batches, lengths or widths differ.
    """
    if query.shape[2] != width:
        raise AssertionError(f"was expecting embedding dimension of {width}, but got {query.shape[2]}")
    if width % num_heads:
        raise AssertionError(f"embed_dim {width} not divisible by num_heads {num_heads}")
    if separate and key.shape[:2] != value.shape[:2]:
        lengths = [(x.shape[1], x.shape[0]) for x in (key, value)]
        raise AssertionError(f"key's sequence and batch dims {lengths[0]} do not match value's {lengths[1]}")
    if not separate and key.shape != value.shape:
        raise AssertionError(f"key shape {tuple(key.shape)} does not match value shape {tuple(value.shape)}")
    if not separate and key.shape[2] != width:
        raise AssertionError(f"was expecting embedding dimension of {width} for key and value, but got {key.shape[2]}")
    if key.shape[0] != query.shape[0]:
        raise AssertionError(f"query has the batch size {query.shape[0]}, but key and value {key.shape[0]}")


def _check_mask(mask: Tensor | None, batch: int, num_heads: int, rows: int, keys: int) -> None:
    if mask is None:
        return
    expected = (rows, keys) if mask.ndim == 2 else (batch * num_heads, rows, keys)
    if tuple(mask.shape) != expected:
        raise RuntimeError(f"The shape of the {mask.ndim}D attn_mask is {mask.shape}, but should be {expected}.")


def _packed(x: Tensor, weight: Tensor, bias: Tensor | None, num_heads: int) -> list[Tensor]:
    """Query, key and value [N, heads, L, width] of one input, from one matrix product."""
    shape = (x.shape[0], x.shape[1], 3, num_heads, weight.shape[0] // (3 * num_heads))
    projected = shaping.permute(shaping.reshape(layers.linear(x, weight, bias), shape), 2, 0, 3, 1, 4)
    return [projected[0], projected[1], projected[2]]


def _heads(x: Tensor, weight: Tensor, bias: Tensor | None, added: Tensor | None, num_heads: int) -> Tensor:
    """An input [N, L, E] as heads [N, heads, L, width], with one more row if ``added``."""
    projected = layers.linear(x, weight, bias)
    if added is not None:
        projected = joining.cat([projected, shaping.expand(added, (x.shape[0], 1, projected.shape[-1]))], 1)
    batch, rows, width = projected.shape
    return shaping.transpose(shaping.reshape(projected, (batch, rows, num_heads, width // num_heads)), 1, 2)


def _static(name: str, given: Tensor | None, projected: Tensor) -> Tensor:
    """Keys or values that are given as heads in the place of those that the maps gave."""
    if given is None:
        return projected
    batch, heads, _, width = projected.shape
    for axis, expected in ((0, batch * heads), (2, width)):
        if given.shape[axis] != expected:
            raise AssertionError(f"expecting {name}.size({axis}) of {expected}, but got {given.shape[axis]}")
    return shaping.reshape(given, (batch, heads, given.shape[1], width))


def _merged(
    mask: Tensor | None, padding: Tensor | None, batch: int, num_heads: int, keys: int, all_keys: int
) -> Tensor | None:
    """Both masks as one tensor, to be added to the scores [N, heads, L, S]; keys that were added are seen."""
    parts = []
    if mask is not None:
        parts.append(mask if mask.ndim == 2 else shaping.reshape(mask, (batch, num_heads, *mask.shape[1:])))
    if padding is not None:
        for axis, expected in ((0, batch), (1, keys)):
            if padding.shape[axis] != expected:
                raise AssertionError(
                    f"Expected key_padded_mask.shape[{axis}] to be {expected}, but got {padding.shape[axis]}"
                )
        parts.append(shaping.reshape(padding, (batch, 1, 1, keys)))
    if all_keys > keys:
        parts = [margins.pad(part, (0, all_keys - keys)) for part in parts]
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else pointwise.add(*parts)
