"""Batching rules: how ops are applied to many examples at once. Elementwise ops have one rule, `batch.elementwise`."""

from __future__ import annotations

from typing import Any

from numgrad.layout import product
from numgrad.ops.attention import attention, attention_backward
from numgrad.ops.conv import conv2d, conv2d_backward_input, conv2d_backward_weight
from numgrad.ops.creation import full, to_strides, zeros_like
from numgrad.ops.elementwise import add, div, mul
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
from numgrad.ops.reduce import (
    all_,
    amax,
    amin,
    any_,
    argmax,
    argmin,
    max_dim,
    mean,
    min_dim,
    norm,
    prod,
    squares,
    sum_,
    sum_to_size,
)
from numgrad.ops.rules.batch import Batch, folded, unfolded
from numgrad.ops.view import (
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
from numgrad.registry import OPS

# ---- dimensions move by one -------------------------------------------------------------------------------------


def _over_dims(batch: Batch, x: Any, dims: Any, **params: Any) -> Any:
    return batch.op(x, dims=tuple(d + 1 for d in dims), **params)


for _op in (sum_, mean, prod, amax, amin, any_, all_, squares, norm):
    _op.batch(_over_dims)


def _along_dim(batch: Batch, *values: Any, dim: int, **params: Any) -> Any:
    """An op of several tensors of one shape along ``dim``."""
    values = batch.all(*values)
    rank = values[0]._spec.ndim - 1
    if rank:
        return batch.op(*values, dim=dim % rank + 1, **params)
    found = batch.op(*[unsqueeze(value, dim=1) for value in values], dim=1, **params)
    parts = found if isinstance(found, tuple) else (found,)
    parts = tuple(squeeze(part, dims=(1,)) if part._spec.ndim > 1 else part for part in parts)
    return parts if isinstance(found, tuple) else parts[0]


for _op in (max_dim, min_dim, argmax, argmin, softmax, log_softmax, gather, scatter_add):
    _op.batch(_along_dim)
for _name in ("softmax_backward", "log_softmax_backward"):
    OPS[_name].batch(_along_dim)


def _joined(batch: Batch, *tensors: Any, dim: int) -> Any:
    return batch.op(*batch.all(*tensors), dim=dim + 1)


for _op in (cat, stack):
    _op.batch(_joined)


@unbind.batch
def _(batch, x, dim):
    return unbind(x, dim=dim + 1)


@split.batch
def _(batch, x, sizes, dim):
    return split(x, sizes=sizes, dim=dim + 1)


@zeros_like.batch
def _(batch, x):
    return zeros_like(x)


@to_strides.batch
def _(batch, x, strides):
    return to_strides(x, strides=(max(1, product(x._spec.shape[1:])), *strides))


# ---- views ------------------------------------------------------------------------------------------------------


@view.batch
def _(batch, x, size):
    return view(x, size=(batch.size, *size))


@permute.batch
def _(batch, x, dims):
    return permute(x, dims=(0, *(d + 1 for d in dims)))


@transpose.batch
def _(batch, x, dim0, dim1):
    return transpose(x, dim0=dim0 + 1, dim1=dim1 + 1)


@tie_backward.batch
def _(batch, x, other, zeros):
    return tie_backward(batch.all(x)[0], other, zeros=zeros)


@expand.batch
def _(batch, x, size):
    b, *shape = x._spec.shape
    x = view(x, size=(b, *(1,) * (len(size) - len(shape)), *shape))
    return expand(x, size=(b, *size))


@sum_to_size.batch
def _(batch, x, size):
    b, *shape = x._spec.shape
    found = sum_to_size(x, size=(b, *(1,) * (len(shape) - len(size)), *size))
    return reshape(found, (b, *size))


@unsqueeze.batch
def _(batch, x, dim):
    return unsqueeze(x, dim=dim + 1)


@squeeze.batch
def _(batch, x, dims):
    return squeeze(x, dims=tuple(d + 1 for d in dims))


@slice_.batch
def _(batch, x, starts, steps, sizes):
    return slice_(x, starts=(0, *starts), steps=(1, *steps), sizes=(batch.size, *sizes))


@slice_backward.batch
def _(batch, grad, size, starts, steps):
    return slice_backward(grad, size=(batch.size, *size), starts=(0, *starts), steps=(1, *steps))


# ---- products ---------------------------------------------------------------------------------------------------


def _swapped(x: Any) -> Any:
    return transpose(x, dim0=1, dim1=2)


def _swapped_2d(x: Any) -> Any:
    return transpose(x, dim0=0, dim1=1)


@mm.batch
def _(batch, a, b):
    if batch.flags == (True, False):
        return unfolded(mm(folded(a), b), batch.size)
    return bmm(*batch.all(a, b))


@bmm.batch
def _(batch, a, b):
    a, b = batch.all(a, b)
    return unfolded(bmm(folded(a), folded(b)), batch.size)


@linear.batch
def _(batch, x, weight, bias):
    if batch.only(0):
        return unfolded(linear(folded(x), weight, bias), batch.size)
    if batch.only(0, 2):
        out = unfolded(linear(folded(*batch.all(x)), weight, None), batch.size)
    else:
        out = bmm(batch.all(x)[0], _swapped(batch.all(x, weight)[1]))
    if bias is None:
        return out
    return add(out, unsqueeze(bias, dim=1) if batch.flags[2] else bias)


# ---- convolution: examples as images, or as groups --------------------------------------------------------------


def _as_groups(x: Any) -> Any:
    """[B, N, C, ...] as [N, B * C, ...]."""
    b, n, c, *rest = x._spec.shape
    return reshape(_swapped_2d(x), (n, b * c, *rest))


def _from_groups(x: Any, size: int) -> Any:
    """[N, B * C, ...] as [B, N, C, ...]."""
    n, channels, *rest = x._spec.shape
    return _swapped_2d(reshape(x, (n, size, channels // size if size else 0, *rest)))


@conv2d.batch
def _(batch, x, weight, bias, groups, **params):
    if batch.only(0):
        return unfolded(conv2d(folded(x), weight, bias, groups=groups, **params), batch.size)
    size = batch.size
    if batch.only(0, 2):
        out = unfolded(conv2d(folded(*batch.all(x)), weight, None, groups=groups, **params), size)
    elif groups == 1 and not batch.flags[0]:
        out = _from_groups(conv2d(x, folded(weight), None, groups=1, **params), size)
    else:
        x, weight = batch.all(x, weight)
        out = _from_groups(conv2d(_as_groups(x), folded(weight), None, groups=size * groups, **params), size)
    if bias is None:
        return out
    form = (size, 1, -1, 1, 1) if batch.flags[2] else (-1, 1, 1)
    length = bias._spec.shape[-1]
    return add(out, reshape(bias, tuple(length if extent < 0 else extent for extent in form)))


@conv2d_backward_input.batch
def _(batch, grad, weight, size, groups, **params):
    n, *image = size
    if batch.only(0):
        made = conv2d_backward_input(folded(grad), weight, size=(batch.size * n, *image), groups=groups, **params)
        return unfolded(made, batch.size)
    grad, weight = batch.all(grad, weight)
    shape = (n, batch.size * image[0], *image[1:])
    made = conv2d_backward_input(
        _as_groups(grad), folded(weight), size=shape, groups=batch.size * groups, **params
    )  # fmt: skip
    return _from_groups(made, batch.size)


@conv2d_backward_weight.batch
def _(batch, grad, x, size, groups, **params):
    grad, x = batch.all(grad, x)
    k, *rest = size
    made = conv2d_backward_weight(
        _as_groups(grad), _as_groups(x), size=(batch.size * k, *rest), groups=batch.size * groups, **params
    )  # fmt: skip
    return unfolded(made, batch.size)


# ---- pooling ----------------------------------------------------------------------------------------------------


def _of_images(batch: Batch, *values: Any, **params: Any) -> Any:
    """An op of images [N, C, H, W], each for itself."""
    if "size" in params:
        n, *image = params["size"]
        params["size"] = (batch.size * n, *image)
    found = batch.op(*[folded(value) for value in batch.all(*values)], **params)
    if isinstance(found, tuple):
        return tuple(unfolded(part, batch.size) for part in found)
    return unfolded(found, batch.size)


for _op in (
    adaptive_avg_pool2d, adaptive_avg_pool2d_backward, avg_pool2d, avg_pool2d_backward, max_pool2d, max_pool2d_backward,
):  # fmt: skip
    _op.batch(_of_images)


for _op in (attention, attention_backward):  # of [B, H, rows, columns]
    _op.batch(_of_images)


# ---- norms ------------------------------------------------------------------------------------------------------


@layer_norm.batch
def _(batch, x, weight, bias, normalized, eps):
    if batch.only(0):
        return layer_norm(x, weight, bias, normalized=normalized, eps=eps)
    x, weight, bias = batch.all(x, weight, bias)
    out = layer_norm(x, None, None, normalized=normalized, eps=eps)
    missing = x._spec.ndim - 1 - normalized

    def broadcast(vector: Any) -> Any:
        b, *shape = vector._spec.shape
        return reshape(vector, (b, *(1,) * missing, *shape))

    out = out if weight is None else mul(out, broadcast(weight))
    return out if bias is None else add(out, broadcast(bias))


def _by_channels(batch: Batch, x: Any, *vectors: Any, **params: Any) -> Any:
    """Batch norm: the channels of all examples are channels. A residual, if there is one, comes last."""
    named = batch.op.inputs[1:]
    for name, vector, flag in zip(named, vectors, batch.flags[1:], strict=True):
        if vector is not None and name.startswith("running") and not flag and "momentum" in params:
            raise RuntimeError(
                f"vmap: batch_norm got a batched tensor as input while {name}, which will be updated in place, was not batched. "
                "Use eval(), track_running_stats=False, or pass batched buffers by functional_call"
            )
    every = batch.all(x, *vectors)
    laid = [
        None
        if value is None
        else _as_groups(value)
        if name == "residual"
        else reshape(value, (product(value._spec.shape),))
        for name, value in zip(named, every[1:], strict=True)
    ]
    return _from_groups(batch.op(_as_groups(every[0]), *laid, **params), batch.size)


for _op in (batch_norm_training, batch_norm_eval, batch_norm_relu_training, batch_norm_relu_eval):
    _op.batch(_by_channels)


# ---- indexing ---------------------------------------------------------------------------------------------------


def _rows_index(index: Any, rest: tuple[int, ...]) -> Any:
    """[B, ...i] as [B, i, *rest]: for each element of the rest the same row."""
    b, *shape = index._spec.shape
    count = product(shape)
    flat = reshape(index, (b, count, *(1,) * len(rest)))
    return expand(flat, size=(b, count, *rest))


def _to_dim(x: Any, source: int, target: int) -> Any:
    order = [axis for axis in range(x._spec.ndim) if axis != source]
    order.insert(target, source)
    return permute(x, dims=tuple(order))


@index_select.batch
def _(batch, x, index, dim):
    if batch.only(0):
        return index_select(x, index, dim=dim + 1)
    if batch.only(1):
        return _to_dim(index_select(x, index, dim=dim), dim, 0)
    shape = tuple(index._spec.shape[1:])
    moved = _to_dim(x, dim + 1, 1)  # [B, D, *rest]
    rest = tuple(moved._spec.shape[2:])
    taken = gather(moved, _rows_index(index, rest), dim=1)
    return _rows_back(taken, shape, dim)


def _rows_back(taken: Any, shape: tuple[int, ...], dim: int) -> Any:
    """[B, i, *rest] as [B, ..., *shape, ...], the shape at ``dim`` of the rest."""
    b, _, *rest = taken._spec.shape
    placed = _to_dim(taken, 1, 1 + dim)
    return reshape(placed, (b, *rest[:dim], *shape, *rest[dim:]))


@index_select_backward.batch
def _(batch, grad, index, size, dim):
    if batch.only(0):
        return index_select_backward(grad, index, size=(batch.size, *size), dim=dim + 1)
    grad, index = batch.all(grad, index)
    count = product(index._spec.shape[1:])
    rest = (*size[:dim], *size[dim + 1 :])
    rows = _to_dim(reshape(grad, (batch.size, *size[:dim], count, *size[dim + 1 :])), 1 + dim, 1)
    zeros = full(size=(batch.size, size[dim], *rest), value=0.0, dtype=grad._spec.dtype)
    return _to_dim(scatter_add(zeros, _rows_index(index, rest), rows, dim=1), 1, 1 + dim)


@index_put.batch
def _(batch, x, index, values, accumulate):
    if batch.flags[1]:
        return NotImplemented
    x, _, values = batch.all(x, index, values)
    ndim = index._spec.ndim
    found = index_put(_to_dim(x, 0, 1), index, _to_dim(values, 0, ndim), accumulate=accumulate)
    return _to_dim(found, 1, 0)


# ---- losses -----------------------------------------------------------------------------------------------------


def _classes(batch: Batch, x: Any, target: Any) -> tuple[Any, Any, tuple[int, ...]]:
    """The examples' inputs [B, C] or [B, N, C, ...] and targets as those of one batch, and the shape of a loss for each."""
    shape = tuple(target._spec.shape)
    if x._spec.ndim == 2:
        return x, target, shape
    return folded(x), folded(target), shape


def _unreduced_weights(batch: Batch, x: Any, target: Any, weight: Any, ignore_index: int) -> Any:
    ones = full(size=(1,) * x._spec.ndim, value=-1.0, dtype=x._spec.dtype)
    return nll_loss(
        expand(ones, size=tuple(x._spec.shape)), target, weight, reduction="none", ignore_index=ignore_index
    )  # fmt: skip


@nll_loss.batch
def _(batch, x, target, weight, reduction, ignore_index):
    if batch.flags[2]:
        return NotImplemented
    x, target = batch.all(x, target)
    x, target, shape = _classes(batch, x, target)
    losses = nll_loss(x, target, weight, reduction="none", ignore_index=ignore_index)
    losses = reshape(losses, shape)
    if reduction == "none":
        return losses
    dims = tuple(range(1, len(shape)))
    total = sum_(losses, dims=dims)
    if reduction == "sum":
        return total
    weights = reshape(_unreduced_weights(batch, x, target, weight, ignore_index), shape)
    return div(total, sum_(weights, dims=dims))


@nll_loss_backward.batch
def _(batch, grad, target, weight, total_weight, size, reduction, ignore_index):
    if batch.flags[2]:
        return NotImplemented
    grad, target = batch.all(grad, target)
    if reduction == "mean":
        grad = div(grad, total_weight)
    shape = tuple(target._spec.shape)
    if reduction != "none":
        grad = expand(reshape(grad, (batch.size, *(1,) * (len(shape) - 1))), size=shape)
    one = full(size=(), value=1.0, dtype=grad._spec.dtype)
    shared = {"reduction": "none", "ignore_index": ignore_index}
    if len(size) == 1:
        return nll_loss_backward(grad, target, weight, one, size=(batch.size, *size), **shared)
    shape = (batch.size * size[0], *size[1:])
    made = nll_loss_backward(folded(grad), folded(target), weight, one, size=shape, **shared)
    return unfolded(made, batch.size)
