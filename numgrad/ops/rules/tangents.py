"""Forward derivatives. Elementwise ops have theirs from the scalar backward, linear ones are their own."""

from __future__ import annotations

from typing import Any

from numgrad.ops.attention import attention, joined, shares_of
from numgrad.ops.conv import conv2d, conv2d_backward_input, conv2d_backward_weight
from numgrad.ops.creation import cast, copy_, to_strides, zeros_like
from numgrad.ops.elementwise import add, div, eq, exp, le, mul, rsqrt, square, sub, where
from numgrad.ops.index import gather, index_put, index_select, index_select_backward, scatter_add
from numgrad.ops.joining import cat, split, stack, unbind
from numgrad.ops.layer_norm import layer_norm
from numgrad.ops.linalg import bmm, linear, mm
from numgrad.ops.loss import log_softmax, nll_loss, nll_loss_backward, softmax
from numgrad.ops.norm import batch_norm_eval, batch_norm_relu_eval, batch_norm_relu_training, batch_norm_training
from numgrad.ops.pool import (
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_backward,
    avg_pool2d,
    avg_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
)
from numgrad.ops.random import dropout
from numgrad.ops.reduce import (
    amax,
    amin,
    chosen,
    max_dim,
    mean,
    min_dim,
    norm,
    prod,
    products_of_others,
    squares,
    sum_,
    sum_to_size,
)
from numgrad.ops.view import (
    as_strided,
    as_strided_backward,
    expand,
    permute,
    reshape,
    slice_,
    slice_backward,
    squeeze,
    tie_backward,
    transpose,
    unsqueeze,
    view,
)

# ---- linear ops -------------------------------------------------------------------------------------------------

for _op in (
    adaptive_avg_pool2d, adaptive_avg_pool2d_backward, as_strided, as_strided_backward, avg_pool2d, avg_pool2d_backward,
    cast, expand, gather, index_select, index_select_backward, max_pool2d_backward, mean, nll_loss, nll_loss_backward,
    permute, slice_, slice_backward, squeeze, sum_, sum_to_size, to_strides, transpose, unsqueeze, view,
):  # fmt: skip
    _op.linear_in(_op.inputs[0])
for _op in (mm, bmm, conv2d_backward_input, conv2d_backward_weight):
    _op.linear_in(_op.inputs[0])
    _op.linear_in(_op.inputs[1])
for _op in (cat, split, stack, unbind):
    _op.linear_in(_op.inputs[0])
tie_backward.linear_in("input")
scatter_add.linear_in("input", "src")
index_put.linear_in("input", "values")


def _added(first: Any, second: Any) -> Any:
    return second if first is None else first if second is None else add(first, second)


@linear.jvp
def _(ctx, to_x, to_weight, to_bias):
    x, weight, _ = ctx.inputs
    found = None if to_x is None else linear(to_x, weight, None)
    found = _added(found, None if to_weight is None else linear(x, to_weight, None))
    return _added(found, to_bias)


@conv2d.jvp
def _(ctx, to_x, to_weight, to_bias):
    x, weight, _ = ctx.inputs
    params = ctx.params._asdict()
    found = None if to_x is None else conv2d(to_x, weight, None, **params)
    found = _added(found, None if to_weight is None else conv2d(x, to_weight, None, **params))
    return _added(found, None if to_bias is None else reshape(to_bias, (to_bias._spec.numel, 1, 1)))


@copy_.jvp
def _(ctx, _, to_src):
    if to_src is None:
        return None
    dtype = ctx.inputs[0]._spec.dtype
    return to_src if to_src._spec.dtype is dtype else cast(to_src, dtype=dtype)


# ---- reductions -------------------------------------------------------------------------------------------------


def _kept(tensor: Any, shape: Any, dims: tuple[int, ...]) -> Any:
    """A reduction's result with its reduced dimensions as extents of 1."""
    return reshape(tensor, tuple(1 if axis in dims else extent for axis, extent in enumerate(shape)))


@squares.jvp
def _(ctx, tangent):
    (x,), (dims, keepdim, divisor) = ctx.inputs, ctx.params
    return div(sum_(mul(mul(x, 2.0), tangent), dims=dims, keepdim=keepdim), divisor)


@norm.jvp
def _(ctx, tangent):
    (x,), (out,), (dims, keepdim, divisor) = ctx.inputs, ctx.outputs, ctx.params
    is_flat = eq(out, 0)
    direction = div(x, _kept(where(is_flat, 1.0, out), x._spec.shape, dims))
    slope = div(sum_(mul(direction, tangent), dims=dims, keepdim=keepdim), divisor or 1.0)
    return where(is_flat, 0.0, slope)


@prod.jvp
def _(ctx, tangent):
    (x,), dims = ctx.inputs, ctx.params.dims
    return sum_(mul(tangent, products_of_others(x, dims)), dims=dims, keepdim=ctx.params.keepdim)


def _extreme(ctx: Any, tangent: Any) -> Any:
    (x,), (out,), (dims, keepdim, nans) = ctx.inputs, ctx.outputs, ctx.params
    mask = chosen(x, _kept(out, x._spec.shape, dims), nans)
    total = sum_(mul(tangent, mask), dims=dims, keepdim=keepdim)
    return div(total, sum_(mask, dims=dims, keepdim=keepdim))


amax.jvp(_extreme)
amin.jvp(_extreme)


def _picked(ctx: Any, tangent: Any) -> Any:
    dim, shape = ctx.params.dim, tangent._spec.shape
    indices = ctx.outputs[1]
    found = gather(tangent, _kept(indices, shape, (dim,)), dim=dim) if shape else tangent
    return reshape(found, tuple(indices._spec.shape)), None


max_dim.jvp(_picked)
min_dim.jvp(_picked)


@max_pool2d.jvp
def _(ctx, tangent):
    indices = ctx.outputs[1]
    n, c, h, w = tangent._spec.shape
    shape = tuple(indices._spec.shape)
    flat = gather(reshape(tangent, (n, c, h * w)), reshape(indices, (n, c, shape[2] * shape[3])), dim=2)
    return reshape(flat, shape), None


# ---- softmax, norms ---------------------------------------------------------------------------------------------


@softmax.jvp
def _(ctx, tangent):
    (out,), dim = ctx.outputs, ctx.params.dim
    return mul(out, sub(tangent, sum_(mul(tangent, out), dims=(_counted(dim, out),), keepdim=True)))


@log_softmax.jvp
def _(ctx, tangent):
    (out,), dim = ctx.outputs, ctx.params.dim
    return sub(tangent, sum_(mul(exp(out), tangent), dims=(_counted(dim, out),), keepdim=True))


def _counted(dim: int, tensor: Any) -> int:
    return dim % max(tensor._spec.ndim, 1)


def _normed(x: Any, tangent: Any, dims: tuple[int, ...], eps: float) -> tuple[Any, Any]:
    """The input with mean 0 and variance 1 over dims, and the tangent of that (or None)."""
    centred = sub(x, mean(x, dims=dims, keepdim=True))
    scale = rsqrt(add(mean(square(centred), dims=dims, keepdim=True), eps))
    normed = mul(centred, scale)
    if tangent is None:
        return normed, None
    inner = sub(tangent, mean(tangent, dims=dims, keepdim=True))
    inner = sub(inner, mul(normed, mean(mul(tangent, normed), dims=dims, keepdim=True)))
    return normed, mul(scale, inner)


def _affine(normed: Any, tangent: Any, weight: Any, to_weight: Any, to_bias: Any) -> Any:
    """The tangent of ``normed * weight + bias``; weight and bias in a form that broadcasts."""
    found = tangent if tangent is None or weight is None else mul(tangent, weight)
    found = _added(found, None if to_weight is None else mul(normed, to_weight))
    return _added(found, to_bias)


@layer_norm.jvp
def _(ctx, to_x, to_weight, to_bias):
    x, weight, _ = ctx.inputs
    dims = tuple(range(x._spec.ndim - ctx.params.normalized, x._spec.ndim))
    return _affine(*_normed(x, to_x, dims, ctx.params.eps), weight, to_weight, to_bias)


def _by_channel(vector: Any, ndim: int) -> Any:
    return None if vector is None else reshape(vector, (1, vector._spec.numel, *(1,) * (ndim - 2)))


def _training_tangent(ctx: Any, to_x: Any, to_weight: Any, to_bias: Any) -> Any:
    x, weight = ctx.inputs[:2]
    ndim = x._spec.ndim
    normed, tangent = _normed(x, to_x, (0, *range(2, ndim)), ctx.params.eps)
    return _affine(normed, tangent, *(_by_channel(v, ndim) for v in (weight, to_weight, to_bias)))


def _eval_tangent(ctx: Any, to_x: Any, to_weight: Any, to_bias: Any, to_mean: Any, to_var: Any) -> Any:
    if to_mean is not None or to_var is not None:
        raise NotImplementedError("batch_norm: the derivative with respect to running statistics is not implemented")
    x, weight, _, running_mean, running_var = ctx.inputs[:5]
    ndim = x._spec.ndim
    scale = rsqrt(add(_by_channel(running_var, ndim), ctx.params.eps))
    normed = mul(sub(x, _by_channel(running_mean, ndim)), scale)
    tangent = None if to_x is None else mul(to_x, scale)
    return _affine(normed, tangent, *(_by_channel(v, ndim) for v in (weight, to_weight, to_bias)))


@batch_norm_training.jvp
def _(ctx, *tangents):
    return _training_tangent(ctx, *tangents[:3])


@batch_norm_eval.jvp
def _(ctx, *tangents):
    return _eval_tangent(ctx, *tangents)


@batch_norm_relu_training.jvp
def _(ctx, *tangents):
    return where(le(ctx.outputs[0], 0), 0.0, _added(_training_tangent(ctx, *tangents[:3]), tangents[5]))


@batch_norm_relu_eval.jvp
def _(ctx, *tangents):
    return where(le(ctx.outputs[0], 0), 0.0, _added(_eval_tangent(ctx, *tangents[:5]), tangents[5]))


# ---- attention --------------------------------------------------------------------------------------------------


@attention.jvp
def _(ctx, *tangents):
    q, k, v = (joined(x) for x in ctx.inputs)
    to_q, to_k, to_v = (None if t is None else joined(t) for t in tangents)
    scale = ctx.params.scale
    shares = shares_of(q, k, scale, ctx.params.causal)
    found = None if to_v is None else bmm(shares, to_v)
    if to_q is not None or to_k is not None:
        turned = [None if x is None else transpose(x, dim0=1, dim1=2) for x in (k, to_k)]
        to_scores = _added(
            None if to_q is None else bmm(to_q, turned[0]), None if to_k is None else bmm(q, turned[1])
        )  # fmt: skip
        to_scores = mul(to_scores, scale)
        inner = sub(to_scores, sum_(mul(shares, to_scores), dims=(2,), keepdim=True))
        found = _added(bmm(mul(shares, inner), v), found)
    return reshape(found, tuple(ctx.outputs[0]._spec.shape))


# ---- ops whose hidden outputs the derivative needs ----------------------------------------------------------------


@dropout.composite
def _(x, state, p):
    return mul(x, dropout(add(zeros_like(x), 1.0), state, p=p))


def linear_jvp(op: Any, inputs: tuple[Any, ...], params: Any, tangents: tuple[Any, ...]) -> Any:
    """The forward derivative of an op that is linear in groups of inputs; None if none of them has a tangent."""
    found = None
    for group in op.linear_groups:
        places = range(len(inputs)) if op.inputs == ("tensors",) else [op.inputs.index(name) for name in group]
        if all(tangents[place] is None for place in places):
            continue
        given = list(inputs)
        for place in places:
            given[place] = zeros_like(inputs[place]) if tangents[place] is None else tangents[place]
        found = _added(found, op(*given, **params._asdict()))
    return found


__all__ = ["linear_jvp"]
