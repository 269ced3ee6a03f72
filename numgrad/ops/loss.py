"""Softmax, log-softmax and the negative log-likelihood."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.errors import DtypeError, ShapeError
from numgrad.kernels.softmax import plan_nll_loss, plan_nll_loss_backward, plan_softmax, plan_softmax_backward
from numgrad.layout import contiguous_strides, output_strides
from numgrad.ops import rules
from numgrad.ops.creation import full
from numgrad.ops.elementwise import div, exp, mul, sub
from numgrad.ops.layouts import check_floating, contiguous, with_strides
from numgrad.ops.proofs import prove_dim, prove_dtype, prove_int, prove_ints, prove_shapes
from numgrad.ops.reduce import sum_
from numgrad.ops.view import expand, reshape
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder


def _softmax_pair(name: str, log: bool) -> Op:
    op = Op(
        name,
        ("input",),
        {"dim": -1},
        saves=("out",),
        doc=f"{'log of ' if log else ''}exp(input) / sum(exp(input)) along ``dim``, safe for large inputs.",
    )

    @op.plan
    def _(b: PlanBuilder, input: Operand, dim: int) -> None:
        spec = input.spec
        check_floating(name, input)
        shape = tuple(spec.shape)
        dim = prove_dim(name, dim, max(len(shape), 1), -max(len(shape), 1))
        strides = output_strides(shape, [spec]) if spec.is_private else contiguous_strides(shape)
        out = b.output(spec.dtype, shape, strides)
        plan_softmax(b, with_strides(b, input, strides), out, dim, log=log)

    @op.oracle
    def _(x, dim):
        shifted = x - x.max(dim, keepdims=True)
        logs = shifted - np.log(np.exp(shifted).sum(dim, keepdims=True))
        return logs if log else np.exp(logs)

    backward = Op(
        f"{name}_backward",
        ("grad", "out"),
        {"dim": -1},
        saves=("grad", "out"),
        doc=f"Gradient of `{name}` with respect to its input, from its output.",
    )

    @backward.plan
    def _(b: PlanBuilder, grad: Operand, out: Operand, dim: int) -> None:
        shape = tuple(out.spec.shape)
        dim = prove_dim(f"{name}_backward", dim, max(len(shape), 1), -max(len(shape), 1))
        check_floating(f"{name}_backward", out)
        prove_shapes(f"{name}_backward", ("grad",), (grad,), shape)
        prove_dtype(f"{name}_backward", "grad", grad, out.spec.dtype)
        strides = output_strides(shape, [out.spec])
        grad_input = b.output(out.spec.dtype, shape, strides)
        plan_softmax_backward(
            b, with_strides(b, grad, strides), with_strides(b, out, strides), grad_input, dim, log=log
        )

    def composite(grad, out, dim):
        if log:
            return sub(grad, mul(exp(out), sum_(grad, dims=(dim,), keepdim=True)))
        return mul(out, sub(grad, sum_(mul(grad, out), dims=(dim,), keepdim=True)))

    @op.backward
    def _(ctx, grad):
        (out,) = ctx.saved
        dim = ctx.params.dim
        return composite(grad, out, dim) if ctx.create_graph else backward(grad, out, dim=dim)

    @op.jvp
    def _(ctx, tangent):
        (out,) = ctx.outputs
        dims = (ctx.params.dim % max(out._spec.ndim, 1),)
        if log:
            return sub(tangent, sum_(mul(exp(out), tangent), dims=dims, keepdim=True))
        return mul(out, sub(tangent, sum_(mul(tangent, out), dims=dims, keepdim=True)))

    op.batch(rules.along_dim)
    backward.batch(rules.along_dim)

    @backward.oracle
    def _(grad, out, dim):
        if log:
            return grad - np.exp(out) * grad.sum(dim, keepdims=True)
        return out * (grad - (grad * out).sum(dim, keepdims=True))

    return op


softmax = _softmax_pair("softmax", log=False)
log_softmax = _softmax_pair("log_softmax", log=True)
softmax.cheap()
log_softmax.cheap()


# ---- negative log-likelihood ------------------------------------------------------------------------------------

nll_loss = Op(
    "nll_loss",
    ("input", "target", "weight"),
    {"reduction": "mean", "ignore_index": -100},
    outputs=("out", "total_weight"),
    saves=("target", "weight", "total_weight"),
    graph_inputs=(0,),
    doc="""Minus the log-probability of each target class, weighted and reduced.

    input [N, C] or [N, C, d1, ...], target int64 [N] or [N, d1, ...], weight [C] or None. The mean divides by the targets'
    weights; targets equal to ignore_index do not count.
    """,
)


_INT64 = -(1 << 63), (1 << 63) - 1


def check_reduction(reduction: Any) -> None:
    """Refuse what is no reduction."""
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction; expected 'none', 'mean' or 'sum'")


def _class_layout(spec: Any) -> tuple[int, ...]:
    return (
        spec.strides
        if spec.is_dense and (spec.ndim <= 2 or spec.is_channels_last())
        else contiguous_strides(spec.shape)
    )


@nll_loss.plan
def _(
    b: PlanBuilder, input: Operand, target: Operand, weight: Operand | None, reduction: str, ignore_index: int
) -> None:
    shape, spec = tuple(input.spec.shape), input.spec
    check_reduction(reduction)
    prove_int("nll_loss", "ignore_index", ignore_index, *_INT64)
    check_floating("nll_loss", input)
    if target.spec.dtype is not dtypes.int64:
        raise DtypeError(f"nll_loss: expected target dtype to be Long, but got {target.spec.dtype.torch_name}")
    if not spec.ndim:
        raise ShapeError("nll_loss: input has no dimensions, expected [C], [N, C] or [N, C, d1, ...]")
    positions = () if spec.ndim == 1 else (shape[0], *shape[2:])
    if tuple(target.spec.shape) != positions:
        raise ShapeError(
            f"nll_loss: Expected input batch_size ({shape[0]}) to match target batch_size: target has shape "
            f"{list(target.spec.shape)}, expected {list(positions)} for input {list(shape)}"
        )
    classes = shape[0] if spec.ndim == 1 else shape[1]
    if weight is not None and (tuple(weight.spec.shape) != (classes,) or weight.spec.dtype is not spec.dtype):
        raise ShapeError(
            f"nll_loss: weight tensor should be defined either for all {classes} classes or no classes, of {spec.dtype}, but got "
            f"weight tensor of shape: {list(weight.spec.shape)} and {weight.spec.dtype}"
        )
    out = b.output(spec.dtype, positions if reduction == "none" else ())
    total = b.output(spec.dtype, ())
    plan_nll_loss(
        b, with_strides(b, input, _class_layout(spec)), contiguous(b, target), weight and contiguous(b, weight), out, total,
        reduction=reduction, ignore_index=ignore_index,
    )  # fmt: skip


@nll_loss.on_status
def _(status, params):
    return IndexError(f"Target at position {status - 1} (row-major) is out of bounds of the classes")


@nll_loss.backward
def _(ctx, grad):
    target, weight, total = ctx.saved
    p = ctx.params._asdict()
    return nll_loss_backward(grad, target, weight, total, size=tuple(ctx.input_specs[0].shape), **p), None, None


nll_loss.tie(("input",), ("input",))
nll_loss.linear_in("input")


@nll_loss.batch
def _(batch, x, target, weight, reduction, ignore_index):
    if batch.flags[2]:
        return NotImplemented
    x, target = batch.all(x, target)
    shape = tuple(target._spec.shape)
    if x._spec.ndim > 2:  # [B, N, C, ...], else [B, C]
        x, target = rules.folded(x), rules.folded(target)
    counting = {"reduction": "none", "ignore_index": ignore_index}
    losses = reshape(nll_loss(x, target, weight, **counting), shape)
    if reduction == "none":
        return losses
    dims = tuple(range(1, len(shape)))
    total = sum_(losses, dims=dims)
    if reduction == "sum":
        return total
    ones = full(size=(1,) * x._spec.ndim, value=-1.0, dtype=x._spec.dtype)  # whose losses are the targets' weights
    weights = nll_loss(expand(ones, size=tuple(x._spec.shape)), target, weight, **counting)
    return div(total, sum_(reshape(weights, shape), dims=dims))


def _picked(x: np.ndarray, target: np.ndarray, weight: Any, ignore_index: int) -> tuple[np.ndarray, np.ndarray]:
    """The log-probability and the weight of each target."""
    classes_last = np.moveaxis(x, 1, -1) if x.ndim > 1 else x
    weights = np.ones(classes_last.shape[-1]) if weight is None else weight
    kept = target != ignore_index
    safe = np.where(kept, target, 0)
    return np.take_along_axis(classes_last, safe[..., None], -1)[..., 0], np.where(kept, weights[safe], 0)


@nll_loss.oracle
def _(x, target, weight, reduction, ignore_index):
    values, weights = _picked(x, target, weight, ignore_index)
    losses = -values * weights
    if reduction == "none":
        return losses
    return losses.sum() / (weights.sum() if reduction == "mean" else 1)


nll_loss_backward = Op(
    "nll_loss_backward",
    ("grad", "target", "weight", "total_weight"),
    {"size": (), "reduction": "mean", "ignore_index": -100},
    saves=("target", "weight"),
    graph_inputs=(0,),
    doc="Gradient of `nll_loss` with respect to its input of shape ``size``.",
)


@nll_loss_backward.plan
def _(
    b: PlanBuilder, grad: Operand, target: Operand, weight: Any, total_weight: Operand, size: Any, **counting: Any
) -> None:
    name = "nll_loss_backward"
    check_floating(name, grad)
    if not prove_ints(name, "size", size):
        raise ShapeError(f"{name}: size is (), expected that of an input [C], [N, C] or [N, C, d1, ...]")
    positions = () if len(size) == 1 else (size[0], *size[2:])
    classes = size[0] if len(size) == 1 else size[1]
    check_reduction(counting["reduction"])
    prove_int(name, "ignore_index", counting["ignore_index"], *_INT64)
    whole = counting["reduction"] == "none"
    prove_shapes(
        name,
        ("grad", "target", "total_weight"),
        (grad, target, total_weight),
        positions if whole else (),
        positions,
        (),
    )
    prove_dtype(name, "target", target, dtypes.int64)
    prove_dtype(name, "total_weight", total_weight, grad.spec.dtype)
    if weight is not None:
        prove_shapes(name, ("weight",), (weight,), (classes,))
        prove_dtype(name, "weight", weight, grad.spec.dtype)
    out = b.output(grad.spec.dtype, size)
    plan_nll_loss_backward(
        b, contiguous(b, grad), contiguous(b, target), weight and contiguous(b, weight), total_weight, out, **counting
    )


@nll_loss_backward.on_status
def _(status, params):
    return IndexError(f"Target at position {status - 1} (row-major) is out of bounds of the classes")


@nll_loss_backward.backward
def _(ctx, grad):
    target, weight = ctx.saved
    p = ctx.params
    return nll_loss(grad, target, weight, reduction=p.reduction, ignore_index=p.ignore_index), None, None, None


nll_loss_backward.linear_in("grad")


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
    counting = {"reduction": "none", "ignore_index": ignore_index}
    if len(size) == 1:
        return nll_loss_backward(grad, target, weight, one, size=(batch.size, *size), **counting)
    shape = (batch.size * size[0], *size[1:])
    grads = nll_loss_backward(rules.folded(grad), rules.folded(target), weight, one, size=shape, **counting)
    return rules.unfolded(grads, batch.size)


@nll_loss_backward.oracle
def _(grad, target, weight, total_weight, size, reduction, ignore_index):
    out = np.zeros(size, grad.dtype)
    classes_last = np.moveaxis(out, 1, -1) if out.ndim > 1 else out
    _, weights = _picked(out, target, weight, ignore_index)
    values = -grad * weights / (total_weight if reduction == "mean" else 1)
    np.put_along_axis(classes_last, np.where(target == ignore_index, 0, target)[..., None], values[..., None], -1)
    return out
