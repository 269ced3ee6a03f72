"""Attention over heads as one op, so that no matrix of scores is stored."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad.errors import DtypeError, ShapeError
from numgrad.kernels.attention import head_strides, plan_attention, plan_attention_backward
from numgrad.layout import output_strides, private_strides
from numgrad.ops import rules
from numgrad.ops.creation import arange
from numgrad.ops.elementwise import le, mul, sub, where
from numgrad.ops.layouts import contiguous, with_strides
from numgrad.ops.linalg import bmm
from numgrad.ops.loss import softmax
from numgrad.ops.reduce import sum_
from numgrad.ops.view import reshape, transpose
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder

attention = Op(
    "attention",
    ("query", "key", "value"),
    {"scale": 1.0, "causal": False},
    outputs=("out", "logs"),
    saves=("query", "key", "value", "out", "logs"),
    node_name="ScaledDotProductFlashAttentionForCpuBackward0",
    doc="""softmax(scale * query @ key^T) @ value for query [B, H, L, E], key [B, H, S, E] and value [B, H, S, V].

    With ``causal`` query i sees the keys up to i. No extent may be 0. The result lies in memory as [B, L, H, V].
    """,
)


def _adjacent(b: PlanBuilder, x: Operand) -> Operand:
    return x if x.spec.shape[3] == 1 or x.spec.strides[3] == 1 else contiguous(b, x)


def _checked(name: str, q: Operand, k: Operand, v: Operand) -> None:
    shapes = [tuple(x.spec.shape) for x in (q, k, v)]
    fits = [len(shape) for shape in shapes] == [4, 4, 4] and 0 not in shapes[0] + shapes[1] + shapes[2]
    if not fits or shapes[0][:2] != shapes[1][:2] or shapes[1][:3] != shapes[2][:3] or shapes[0][3] != shapes[1][3]:
        raise ShapeError(
            f"{name}: query, key and value have shapes {', '.join(str(list(shape)) for shape in shapes)}, expected "
            "[B, H, L, E], [B, H, S, E] and [B, H, S, V] with no extent 0"
        )
    for word, x in (("query", q), ("key", k), ("value", v)):
        if not x.spec.dtype.is_floating_point or x.spec.dtype is not q.spec.dtype:
            raise DtypeError(f"{name}: {word} is of {x.spec.dtype}, expected floating point, the same for all three")


@attention.plan
def _(b: PlanBuilder, query: Operand, key: Operand, value: Operand, scale: float, causal: bool) -> None:
    _checked("attention", query, key, value)
    (batch, heads, queries, _), columns = query.spec.shape, value.spec.shape[3]
    shape = (batch, heads, queries, columns)
    strides = head_strides(*shape)
    like_query = output_strides(tuple(query.spec.shape), [query.spec])
    if query.spec.is_private or like_query != head_strides(*query.spec.shape):
        strides = private_strides(shape, strides)  # as in torch, the result shows the order of the query's axes
    out = b.output(query.spec.dtype, shape, strides)
    logs = b.output(query.spec.dtype, shape[:3])
    q, k, v = (_adjacent(b, x) for x in (query, key, value))
    plan_attention(b, q, k, v, out, logs, scale=scale, causal=causal)


@attention.flops
def _(inputs, out):
    query, key, value = inputs[:3]
    return 2 * query.numel * key.shape[2] + 2 * out.numel * value.shape[2]


@attention.backward
def _(ctx, grad):
    q, k, v, out, logs = ctx.saved
    p = ctx.params
    if not ctx.create_graph:
        return attention_backward(grad, q, k, v, out, logs, scale=p.scale, causal=p.causal)
    q, k, v, grad = (_joined(x) for x in (q, k, v, grad))
    shares = _shares_of(q, k, p.scale, p.causal)
    to_shares = bmm(grad, transpose(v, dim0=1, dim1=2))
    to_scores = mul(shares, sub(to_shares, sum_(mul(to_shares, shares), dims=(2,), keepdim=True)))
    to_q, to_k = bmm(to_scores, k), bmm(transpose(to_scores, dim0=1, dim1=2), q)
    to_v = bmm(transpose(shares, dim0=1, dim1=2), grad)
    grads = mul(to_q, p.scale), mul(to_k, p.scale), to_v
    return tuple(reshape(x, tuple(spec.shape)) for x, spec in zip(grads, ctx.input_specs, strict=True))


@attention.jvp
def _(ctx, *tangents):
    q, k, v = (_joined(x) for x in ctx.inputs)
    to_q, to_k, to_v = (None if t is None else _joined(t) for t in tangents)
    scale = ctx.params.scale
    shares = _shares_of(q, k, scale, ctx.params.causal)
    tangent = None if to_v is None else bmm(shares, to_v)
    if to_q is not None or to_k is not None:
        from_q = None if to_q is None else bmm(to_q, transpose(k, dim0=1, dim1=2))
        from_k = None if to_k is None else bmm(q, transpose(to_k, dim0=1, dim1=2))
        to_scores = mul(rules.added(from_q, from_k), scale)
        inner = sub(to_scores, sum_(mul(shares, to_scores), dims=(2,), keepdim=True))
        tangent = rules.added(bmm(mul(shares, inner), v), tangent)
    return reshape(tangent, tuple(ctx.outputs[0]._spec.shape))


attention.batch(rules.of_images)


def _joined(x: Any) -> Any:
    """[B, H, rows, columns] as [B * H, rows, columns]."""
    batch, heads, rows, columns = x._spec.shape
    return reshape(x, (batch * heads, rows, columns))


def _shares_of(q: Any, k: Any, scale: float, causal: bool) -> Any:
    """softmax(scale * q @ k^T) for q [N, L, E] and k [N, S, E], in ops."""
    scores = mul(bmm(q, transpose(k, dim0=1, dim1=2)), scale)
    if causal:
        (_, queries, keys), dtype = scores._spec.shape, scores._spec.dtype
        seen = le(arange(count=keys, dtype=dtype), reshape(arange(count=queries, dtype=dtype), (queries, 1)))
        scores = where(seen, scores, -float("inf"))
    return softmax(scores, dim=2)


def _oracle_shares(q: np.ndarray, k: np.ndarray, scale: float, causal: bool) -> np.ndarray:
    scores = scale * q @ k.swapaxes(2, 3)
    if causal:
        scores = np.where(np.tri(*scores.shape[2:], dtype=np.bool_), scores, -np.inf)
    shares = np.exp(scores - scores.max(3, keepdims=True))
    return np.asarray(shares / shares.sum(3, keepdims=True))


@attention.oracle
def _(q, k, v, scale, causal):
    return _oracle_shares(q, k, scale, causal) @ v


attention_backward = Op(
    "attention_backward",
    ("grad", "query", "key", "value", "out", "logs"),
    {"scale": 1.0, "causal": False},
    outputs=("grad_query", "grad_key", "grad_value"),
    public=3,
    doc="Gradients of `attention`; ``logs`` [B, H, L] are the logarithms of its rows' sums of exponentials.",
)


@attention_backward.plan
def _(
    b: PlanBuilder,
    grad: Operand,
    query: Operand,
    key: Operand,
    value: Operand,
    out: Operand,
    logs: Operand,
    scale: float,
    causal: bool,
) -> None:
    _checked("attention_backward", query, key, value)
    shape, dtype = (*query.spec.shape[:3], value.spec.shape[3]), query.spec.dtype
    for word, x, expected in (("grad", grad, shape), ("out", out, shape), ("logs", logs, shape[:3])):
        if tuple(x.spec.shape) != expected or x.spec.dtype is not dtype:
            raise ShapeError(f"attention_backward: {word} is {x.spec}, expected shape {list(expected)} of {dtype}")
    grads = [b.output(dtype, s, head_strides(*s)) for s in (tuple(x.spec.shape) for x in (query, key, value))]
    strides = head_strides(*shape)
    q, k, v = (_adjacent(b, x) for x in (query, key, value))
    plan_attention_backward(
        b, q, k, v, with_strides(b, out, strides), contiguous(b, logs), with_strides(b, grad, strides), grads,
        scale=scale, causal=causal,
    )  # fmt: skip


attention_backward.batch(rules.of_images)


@attention_backward.oracle
def _(grad, q, k, v, out, logs, scale, causal):
    scores = scale * q @ k.swapaxes(2, 3)
    shares = np.exp(scores - logs[..., None])
    if causal:
        shares = np.where(np.tri(*scores.shape[2:], dtype=np.bool_), shares, 0)
    to_scores = shares * (grad @ v.swapaxes(2, 3) - (grad * out).sum(3, keepdims=True)) * scale
    return to_scores @ k, to_scores.swapaxes(2, 3) @ q, shares.swapaxes(2, 3) @ grad
