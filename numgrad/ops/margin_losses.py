"""Losses of margins between the scores of classes: of each row one pass, and one for its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad.dtypes import int64
from numgrad.errors import ShapeError
from numgrad.kernels.margin_losses import (
    plan_multi_margin,
    plan_multi_margin_backward,
    plan_multilabel_margin,
    plan_multilabel_margin_backward,
)
from numgrad.layout import product
from numgrad.ops.creation import arange
from numgrad.ops.elementwise import add, bitwise_and, div, eq, gt, lt, mul, ne, sub, where
from numgrad.ops.index import gather, out_of_range, scatter_add
from numgrad.ops.layouts import check_floating, contiguous
from numgrad.ops.loss import check_reduction
from numgrad.ops.proofs import prove_dtype, prove_int
from numgrad.ops.reduce import any_, mean, sum_
from numgrad.ops.scan import cumsum
from numgrad.ops.view import expand, reshape
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder


def _checked(name: str, input: Operand, target: Operand, each: bool, reduction: Any) -> tuple[int, ...]:
    """The shape of the loss of scores [N, C] or [C], and targets: as many as rows, or as scores."""
    shape = tuple(input.spec.shape)
    check_floating(name, input)
    check_reduction(reduction)
    prove_dtype(name, "target", target, int64)
    if len(shape) > 2 or (shape and not shape[-1]):
        raise ShapeError(f"{name}: input has shape {list(shape)}, expected [N, C] or [C]")
    rows = (shape[0],) if len(shape) == 2 else ()
    if target.spec.numel != product(shape if each else rows):
        raise ShapeError(f"{name}: target has shape {list(target.spec.shape)}, which is not that of {list(shape)}")
    return rows if reduction == "none" else ()


def _rows(x: Any) -> Any:
    return x if x._spec.ndim == 2 else reshape(x, (1, x._spec.numel))


def _spread(grad: Any, x: Any, reduction: str) -> Any:
    """The gradient of each row's loss [N or 1, 1], divided as the row's terms are."""
    rows = _rows(x)._spec.shape
    grad = reshape(grad, (grad._spec.numel, 1))
    grad = div(grad, float(rows[0])) if reduction == "mean" else grad
    return div(grad, float(rows[1]))


def _reduced(losses: Any, x: Any, reduction: str) -> Any:
    if reduction != "none":
        return (mean if reduction == "mean" else sum_)(losses, dims=(0,))
    return losses if x._spec.ndim == 2 else reshape(losses, ())


# ---- one class for each row -------------------------------------------------------------------------------------

_MULTI: dict[str, Any] = {"p": 1, "margin": 1.0, "reduction": "mean"}

multi_margin_loss = Op(
    "multi_margin_loss",
    ("input", "target"),
    _MULTI,
    saves=("input", "target"),
    graph_inputs=(0,),
    doc="The sum over the other classes of max(0, margin - input[target] + input[class])**p, divided by C; input [N, C] or [C].",
)
multi_margin_loss.on_status(out_of_range)


def _prove_multi(p: Any, margin: Any) -> None:
    prove_int("multi_margin_loss", "p", p, 1, 2)
    if margin.__class__ is not float:
        raise TypeError(f"multi_margin_loss: margin is {margin!r}, expected a float")


@multi_margin_loss.plan
def _(b: PlanBuilder, input: Operand, target: Operand, p: int, margin: float, reduction: str) -> None:
    shape = _checked("multi_margin_loss", input, target, False, reduction)
    _prove_multi(p, margin)
    out = b.output(input.spec.dtype, shape)
    plan_multi_margin(b, contiguous(b, input), contiguous(b, target), out, reduction, p, margin)


def _multi_gaps(x: Any, target: Any, margin: float) -> tuple[Any, Any]:
    """The margins [N, C], and which are of other classes and positive."""
    rows = _rows(x)
    column = reshape(target, (rows._spec.shape[0], 1))
    gaps = add(sub(rows, gather(rows, column, dim=1)), margin)
    others = ne(column, arange(start=0, step=1, count=rows._spec.shape[1], dtype=int64))
    return gaps, bitwise_and(gt(gaps, 0.0), others)


@multi_margin_loss.jvp
def _(ctx, tangent, _):
    x, target = ctx.inputs
    p = ctx.params
    gaps, counts = _multi_gaps(x, target, p.margin)
    rows = _rows(tangent)
    moved = sub(rows, gather(rows, reshape(target, (rows._spec.shape[0], 1)), dim=1))
    steps = where(counts, moved if p.p == 1 else mul(moved, mul(gaps, 2.0)), 0.0)
    return _reduced(div(sum_(steps, dims=(1,)), float(gaps._spec.shape[1])), x, p.reduction)


@multi_margin_loss.backward
def _(ctx, grad):
    x, target = ctx.saved
    if not ctx.create_graph:
        return multi_margin_loss_backward(grad, x, target, **ctx.params._asdict()), None
    p = ctx.params
    gaps, counts = _multi_gaps(x, target, p.margin)
    share = _spread(grad, x, p.reduction)
    steps = where(counts, share if p.p == 1 else mul(share, mul(gaps, 2.0)), 0.0)
    own = eq(reshape(target, (gaps._spec.shape[0], 1)), arange(start=0, step=1, count=gaps._spec.shape[1], dtype=int64))
    total = sub(steps, where(own, sum_(steps, dims=(1,), keepdim=True), 0.0))
    return reshape(total, tuple(x._spec.shape)), None


@multi_margin_loss.oracle
def _(x, target, p, margin, reduction):
    rows = x.reshape(-1, x.shape[-1])
    target = target.reshape(-1, 1)
    gaps = np.maximum(rows - np.take_along_axis(rows, target, 1) + margin, 0) ** p
    losses = np.where(np.arange(rows.shape[1]) == target, 0, gaps).sum(1) / rows.shape[1]
    return losses.reshape(x.shape[:-1]) if reduction == "none" else getattr(losses, reduction)()


multi_margin_loss_backward = Op(
    "multi_margin_loss_backward",
    ("grad", "input", "target"),
    _MULTI,
    graph_inputs=(0, 1),
    doc="Gradient of `multi_margin_loss` with respect to its input.",
)
multi_margin_loss_backward.on_status(out_of_range)


@multi_margin_loss_backward.plan
def _(b: PlanBuilder, grad: Operand, input: Operand, target: Operand, p: int, margin: float, reduction: str) -> None:
    name = "multi_margin_loss_backward"
    shape = _checked(name, input, target, False, reduction)
    _prove_multi(p, margin)
    _check_grad(name, grad, input, shape)
    out = b.output(input.spec.dtype, tuple(input.spec.shape))
    plan_multi_margin_backward(
        b, contiguous(b, grad), contiguous(b, input), contiguous(b, target), out, reduction, p, margin
    )


def _check_grad(name: str, grad: Operand, input: Operand, shape: tuple[int, ...]) -> None:
    if tuple(grad.spec.shape) != shape or grad.spec.dtype is not input.spec.dtype:
        raise ShapeError(f"{name}: grad is {grad.spec}, expected {list(shape)} of {input.spec.dtype}")


def _of_examples(batch: Any, x: Any, target: Any, reduction: str, **params: Any) -> Any:
    """The rows of all examples together; their losses are reduced for each example."""
    x, target = batch.all(x, target)
    count, rows = x._spec.shape[-1], tuple(x._spec.shape[1:-1])
    flat = reshape(x, (batch.size * product(rows), count))
    names = reshape(target, (target._spec.numel,) if target._spec.numel < x._spec.numel else tuple(flat._spec.shape))
    losses = reshape(batch.op(flat, names, reduction="none", **params), (batch.size, *rows))
    if reduction == "none" or not rows:
        return losses
    return (mean if reduction == "mean" else sum_)(losses, dims=(1,))


def _gradients_of_examples(batch: Any, grad: Any, x: Any, target: Any, reduction: str, **params: Any) -> Any:
    """The gradients of the rows of all examples together."""
    grad, x, target = batch.all(grad, x, target)
    count, rows = x._spec.shape[-1], product(x._spec.shape[1:-1])
    each = expand(reshape(grad, (batch.size, grad._spec.numel // max(batch.size, 1))), size=(batch.size, rows))
    each = (
        div(reshape(each, (batch.size * rows,)), float(rows))
        if reduction == "mean"
        else reshape(each, (batch.size * rows,))
    )
    flat = reshape(x, (batch.size * rows, count))
    names = reshape(target, (target._spec.numel,) if target._spec.numel < x._spec.numel else tuple(flat._spec.shape))
    return reshape(batch.op(each, flat, names, reduction="none", **params), tuple(x._spec.shape))


multi_margin_loss.batch(_of_examples)
multi_margin_loss_backward.batch(_gradients_of_examples)


@multi_margin_loss_backward.oracle
def _(grad, x, target, p, margin, reduction):
    rows = x.reshape(-1, x.shape[-1])
    target = target.reshape(-1, 1)
    gaps = rows - np.take_along_axis(rows, target, 1) + margin
    own = np.arange(rows.shape[1]) == target
    share = np.asarray(grad).reshape(-1, 1) / (len(rows) if reduction == "mean" else 1) / rows.shape[1]
    steps = np.where(own | (gaps <= 0), 0, share * (1 if p == 1 else 2 * gaps))
    return (steps - own * steps.sum(1, keepdims=True)).reshape(x.shape)


# ---- several classes for each row -------------------------------------------------------------------------------

multilabel_margin_loss = Op(
    "multilabel_margin_loss",
    ("input", "target"),
    {"reduction": "mean"},
    saves=("input", "target"),
    graph_inputs=(0,),
    doc="""The sum over targets and other classes of max(0, 1 - input[target] + input[class]), divided by C; input [N, C] or [C].

    ``target`` lists the classes of each row, up to the first that is negative.
    """,
)
multilabel_margin_loss.on_status(out_of_range)


@multilabel_margin_loss.plan
def _(b: PlanBuilder, input: Operand, target: Operand, reduction: str) -> None:
    shape = _checked("multilabel_margin_loss", input, target, True, reduction)
    out = b.output(input.spec.dtype, shape)
    plan_multilabel_margin(b, contiguous(b, input), contiguous(b, target), out, reduction)


def _listed(x: Any, target: Any) -> tuple[Any, Any, Any]:
    """The classes listed in each row, 0 beyond the end of the list, the margins [N, K, C], and which of them count."""
    rows = _rows(x)
    n, count = rows._spec.shape
    listed = reshape(target, (n, count))
    ended = cumsum(where(lt(listed, 0), 1, mul(listed, 0)), dim=1)
    inside = eq(ended, 0)
    classes = where(inside, listed, 0)
    names = reshape(classes, (n, count, 1))
    positions = arange(start=0, step=1, count=count, dtype=int64)
    is_listed = any_(bitwise_and(eq(names, positions), reshape(inside, (n, count, 1))), dims=(1,), keepdim=True)
    scores = reshape(gather(rows, classes, dim=1), (n, count, 1))
    gaps = add(sub(reshape(rows, (n, 1, count)), scores), 1.0)
    counts = bitwise_and(gt(gaps, 0.0), bitwise_and(reshape(inside, (n, count, 1)), eq(is_listed, False)))
    return classes, gaps, counts


@multilabel_margin_loss.jvp
def _(ctx, tangent, _):
    x, target = ctx.inputs
    classes, gaps, counts = _listed(x, target)
    n, _, count = gaps._spec.shape
    rows = _rows(tangent)
    moved = sub(reshape(rows, (n, 1, count)), reshape(gather(rows, classes, dim=1), (n, count, 1)))
    losses = div(sum_(where(counts, moved, 0.0), dims=(1, 2)), float(count))
    return _reduced(losses, x, ctx.params.reduction)


@multilabel_margin_loss.backward
def _(ctx, grad):
    x, target = ctx.saved
    reduction = ctx.params.reduction
    if not ctx.create_graph:
        return multilabel_margin_loss_backward(grad, x, target, reduction=reduction), None
    classes, _, counts = _listed(x, target)
    share = _spread(grad, x, reduction)
    steps = where(counts, reshape(share, (share._spec.shape[0], 1, 1)), 0.0)
    total = scatter_add(sum_(steps, dims=(1,)), classes, mul(sum_(steps, dims=(2,)), -1.0), dim=1)
    return reshape(total, tuple(x._spec.shape)), None


multilabel_margin_loss.batch(_of_examples)


@multilabel_margin_loss.oracle
def _(x, target, reduction):
    rows, listed = x.reshape(-1, x.shape[-1]), target.reshape(-1, x.shape[-1])
    losses = np.zeros(len(rows))
    for n, (row, names) in enumerate(zip(rows, listed, strict=True)):
        names = names[: np.argmax(np.append(names, -1) < 0)]
        others = np.delete(row, names)
        losses[n] = np.maximum(1 - row[names][:, None] + others, 0).sum() / len(row)
    return losses.reshape(x.shape[:-1]) if reduction == "none" else getattr(losses, reduction)()


multilabel_margin_loss_backward = Op(
    "multilabel_margin_loss_backward",
    ("grad", "input", "target"),
    {"reduction": "mean"},
    graph_inputs=(0, 1),
    doc="Gradient of `multilabel_margin_loss` with respect to its input.",
)
multilabel_margin_loss_backward.on_status(out_of_range)


@multilabel_margin_loss_backward.plan
def _(b: PlanBuilder, grad: Operand, input: Operand, target: Operand, reduction: str) -> None:
    name = "multilabel_margin_loss_backward"
    _check_grad(name, grad, input, _checked(name, input, target, True, reduction))
    out = b.output(input.spec.dtype, tuple(input.spec.shape))
    plan_multilabel_margin_backward(b, contiguous(b, grad), contiguous(b, input), contiguous(b, target), out, reduction)


multilabel_margin_loss_backward.batch(_gradients_of_examples)


@multilabel_margin_loss_backward.oracle
def _(grad, x, target, reduction):
    rows, listed = x.reshape(-1, x.shape[-1]), target.reshape(-1, x.shape[-1])
    share = np.broadcast_to(np.asarray(grad).reshape(-1), len(rows)) / rows.shape[1]
    share = share / (len(rows) if reduction == "mean" else 1)
    out = np.zeros_like(rows)
    for n, (row, names) in enumerate(zip(rows, listed, strict=True)):
        names = names[: np.argmax(np.append(names, -1) < 0)]
        others = np.setdiff1d(np.arange(len(row)), names)
        steps = share[n] * (1 - row[names][:, None] + row[others] > 0)
        np.add.at(out[n], names, -steps.sum(1))
        np.add.at(out[n], others, steps.sum(0))
    return out.reshape(x.shape)
