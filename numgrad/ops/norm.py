"""Batch norm. Training uses the batch's statistics, and updates the running ones in place; evaluation uses these."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from numgrad.errors import DtypeError, ShapeError
from numgrad.kernels.norm import plan_batch_norm, plan_batch_norm_backward
from numgrad.layout import product, strides_like
from numgrad.ops import rules
from numgrad.ops.elementwise import add, le, mul, rsqrt, square, sub, where
from numgrad.ops.layouts import contiguous, with_strides
from numgrad.ops.proofs import prove_dtype, prove_shapes
from numgrad.ops.reduce import mean, sum_
from numgrad.ops.view import reshape
from numgrad.registry import Op, SavedCall, saved_calls
from numgrad.runtime.plan import Operand, PlanBuilder

_INPUTS = ("input", "weight", "bias", "running_mean", "running_var")


def _checked(b: PlanBuilder, x: Operand, *vectors: tuple[str, Operand | None]) -> list[Operand | None]:
    """The vectors, contiguous, proved to have one element for each channel."""
    spec = x.spec
    if spec.ndim < 2:
        raise ShapeError(f"batch_norm: input has shape {list(spec.shape)}, expected [N, C] or [N, C, ...]")
    if not spec.dtype.is_floating_point:
        raise DtypeError(f"batch_norm: input is of {spec.dtype}, expected floating point")
    for name, vector in vectors:
        if vector is None:
            continue
        if tuple(vector.spec.shape) != (spec.shape[1],):
            raise ShapeError(
                f"{name} should contain {spec.shape[1]} elements not {vector.spec.numel} (batch_norm of input {list(spec.shape)})"
            )
        if vector.spec.dtype is not spec.dtype:
            raise DtypeError(f"batch_norm: {name} is of {vector.spec.dtype}, expected {spec.dtype} as input is")
    return [None if vector is None else contiguous(b, vector) for _, vector in vectors]


def _check_eps(eps: Any, training: bool) -> None:
    """Refuse an eps for which a root would not be positive."""
    if isinstance(eps, (tuple, str)) or eps is None:
        raise TypeError(f"batch_norm(): argument 'eps' must be float, not {type(eps).__name__}")
    if eps <= 0.0 and (training or eps < 0.0):
        kind = "positive during training" if training else "non-negative"
        raise ValueError(f"batch_norm eps must be {kind}, but got {eps}")


def _checked_residual(input: Operand, residual: Operand | None) -> None:
    if residual is not None and (
        residual.spec.shape != input.spec.shape or residual.spec.dtype is not input.spec.dtype
    ):
        raise ShapeError(
            f"batch_norm: residual is {residual.spec}, expected the shape and dtype of the input, {input.spec}"
        )


def _channel_dims(ndim: int) -> tuple[int, ...]:
    return (0, *range(2, ndim))


def _over_channels(vector: Any, ndim: int) -> Any:
    """[C], or None, in a form that broadcasts against [N, C, ...]."""
    return None if vector is None else reshape(vector, (1, vector._spec.shape[0], *(1,) * (ndim - 2)))


def _as_channels(batch: rules.Batch, x: Any, *vectors: Any, **params: Any) -> Any:
    """The batching rule: the channels of all examples become channels. A residual, if there is one, comes last."""
    names = batch.op.inputs[1:]
    for name, vector, flag in zip(names[2:4], vectors[2:4], batch.flags[3:5], strict=True):
        if vector is not None and not flag and "momentum" in params:
            raise RuntimeError(
                f"vmap: batch_norm got a batched tensor as input while {name}, which will be updated in place, was not batched. "
                "Use eval(), track_running_stats=False, or pass batched buffers by functional_call"
            )
    every = batch.all(x, *vectors)
    flat = [None if vector is None else reshape(vector, (product(vector._spec.shape),)) for vector in every[1:5]]
    residual = [None if value is None else rules.as_groups(value) for value in every[5:]]
    return rules.from_groups(batch.op(rules.as_groups(every[0]), *flat, *residual, **params), batch.size)


# ---- training ---------------------------------------------------------------------------------------------------

batch_norm_training = Op(
    "batch_norm_training",
    _INPUTS,
    {"momentum": 0.1, "eps": 1e-5},
    outputs=("out", "mean", "invstd"),
    saves=("input", "weight", "mean", "invstd"),
    node_name="NativeBatchNormBackward0",
    self_name="input",
    graph_inputs=(0, 1, 2),
    doc="""(input - mean) * invstd * weight + bias, for each channel of input [N, C, ...], with the batch's statistics.

    running_mean and running_var (or None) move towards these by ``momentum``; running_var takes the unbiased variance.
    """,
)


@batch_norm_training.plan
def _plan_training(
    b: PlanBuilder,
    input: Operand,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    residual: Any = None,
    *,
    momentum: float,
    eps: float,
    relu: bool = False,
) -> None:
    _check_eps(eps, training=True)
    if (running_mean is None) != (running_var is None):
        raise ValueError("running_mean and running_var must either both be None or neither be None")
    _checked_residual(input, residual)
    names = dict(zip(_INPUTS[1:], (weight, bias, running_mean, running_var), strict=True))
    weight, bias, *_ = _checked(b, input, *names.items())
    shape, dtype = tuple(input.spec.shape), input.spec.dtype
    if input.spec.numel // max(shape[1], 1) == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size numgrad.Size({list(shape)})"
        )
    for vector in (running_mean, running_var):
        if vector is not None:
            if not vector.spec.is_contiguous:
                raise ShapeError("batch_norm: running statistics must be contiguous, since they are updated in place")
            b.changes(vector)
    strides = strides_like(input.spec, tuple(input.spec.shape))
    out = b.output(dtype, shape, strides)
    saved_mean, invstd = b.output(dtype, (shape[1],)), b.output(dtype, (shape[1],))
    plan_batch_norm(
        b, with_strides(b, input, strides), weight, bias, running_mean, running_var, out, saved_mean, invstd,
        training=True, momentum=momentum, eps=eps, relu=relu,
        residual=None if residual is None else with_strides(b, residual, strides),
    )  # fmt: skip


@batch_norm_training.backward
def _(ctx, grad):
    x, weight, *_ = ctx.saved
    return (*_training_grads(ctx, grad, x, weight), None, None)


def _training_grads(ctx: Any, grad: Any, x: Any, weight: Any) -> tuple[Any, ...]:
    """The gradients of input, weight and bias in differentiable ops."""
    dims, ndim = _channel_dims(x.ndim), x.ndim
    centred = sub(x, mean(x, dims=dims, keepdim=True))
    scale = rsqrt(mean(square(centred), dims=dims, keepdim=True) + ctx.params.eps)
    normed = mul(centred, scale)
    inner = sub(grad, mean(grad, dims=dims, keepdim=True))
    inner = sub(inner, mul(normed, mean(mul(grad, normed), dims=dims, keepdim=True)))
    if weight is not None:
        scale = mul(scale, _over_channels(weight, ndim))
    return (mul(scale, inner), *_affine_grads(ctx, grad, normed, dims))


def _affine_grads(ctx: Any, grad: Any, normed: Any, dims: tuple[int, ...]) -> tuple[Any, Any]:
    return (
        sum_(mul(grad, normed), dims=dims) if ctx.needs[1] else None,
        sum_(grad, dims=dims) if ctx.needs[2] else None,
    )


def _oracle_normed(x: np.ndarray, m: np.ndarray, v: np.ndarray, weight: Any, bias: Any, eps: float) -> np.ndarray:
    form = (1, -1, *(1,) * (x.ndim - 2))
    out = (x - m.reshape(form)) / np.sqrt(v.reshape(form) + eps)
    out = out if weight is None else out * weight.reshape(form)
    return out if bias is None else out + bias.reshape(form)


def _training_tangent(ctx: Any, to_x: Any, to_weight: Any, to_bias: Any) -> Any:
    x, weight = ctx.inputs[:2]
    ndim = x._spec.ndim
    normed, tangent = rules.normalized(x, to_x, _channel_dims(ndim), ctx.params.eps)
    return rules.affine(normed, tangent, *(_over_channels(v, ndim) for v in (weight, to_weight, to_bias)))


@batch_norm_training.jvp
def _(ctx, *tangents):
    return _training_tangent(ctx, *tangents[:3])


batch_norm_training.batch(_as_channels)


@batch_norm_training.oracle
def _(x, weight, bias, running_mean, running_var, momentum, eps):
    dims = _channel_dims(x.ndim)
    return _oracle_normed(x, x.mean(dims), x.var(dims), weight, bias, eps)


# ---- evaluation -------------------------------------------------------------------------------------------------

batch_norm_eval = Op(
    "batch_norm_eval",
    _INPUTS,
    {"eps": 1e-5},
    saves=("input", "weight", "running_mean", "running_var"),
    node_name="NativeBatchNormBackward0",
    self_name="input",
    graph_inputs=(0, 1, 2),
    doc="(input - running_mean) / sqrt(running_var + eps) * weight + bias, for each channel of input [N, C, ...].",
)


@batch_norm_eval.plan
def _plan_eval(
    b: PlanBuilder,
    input: Operand,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    residual: Any = None,
    *,
    eps: float,
    relu: bool = False,
) -> None:
    _check_eps(eps, training=False)
    _checked_residual(input, residual)
    names = dict(zip(_INPUTS[1:], (weight, bias, running_mean, running_var), strict=True))
    weight, bias, running_mean, running_var = _checked(b, input, *names.items())
    strides = strides_like(input.spec, tuple(input.spec.shape))
    out = b.output(input.spec.dtype, tuple(input.spec.shape), strides)
    plan_batch_norm(
        b, with_strides(b, input, strides), weight, bias, running_mean, running_var, out, None, None,
        training=False, momentum=0.0, eps=eps, relu=relu,
        residual=None if residual is None else with_strides(b, residual, strides),
    )  # fmt: skip


@batch_norm_eval.backward
def _(ctx, grad):
    x, weight, running_mean, running_var = ctx.saved
    _refuse_statistics(ctx)
    return (*_eval_grads(ctx, grad, x, weight, running_mean, running_var), None, None)


def _refuse_statistics(ctx: Any) -> None:
    if ctx.needs[3] or ctx.needs[4]:
        raise RuntimeError("batch_norm: the derivative with respect to running statistics is not implemented")


def _eval_grads(ctx: Any, grad: Any, x: Any, weight: Any, running_mean: Any, running_var: Any) -> tuple[Any, ...]:
    dims, ndim = _channel_dims(x.ndim), x.ndim
    scale = _over_channels(rsqrt(running_var + ctx.params.eps), ndim)
    normed = mul(sub(x, _over_channels(running_mean, ndim)), scale)
    if weight is not None:
        scale = mul(scale, _over_channels(weight, ndim))
    return (mul(grad, scale), *_affine_grads(ctx, grad, normed, dims))


def _eval_tangent(ctx: Any, to_x: Any, to_weight: Any, to_bias: Any, to_mean: Any, to_var: Any) -> Any:
    if to_mean is not None or to_var is not None:
        raise NotImplementedError("batch_norm: the derivative with respect to running statistics is not implemented")
    x, weight, _, running_mean, running_var = ctx.inputs[:5]
    ndim = x._spec.ndim
    scale = rsqrt(add(_over_channels(running_var, ndim), ctx.params.eps))
    normed = mul(sub(x, _over_channels(running_mean, ndim)), scale)
    tangent = None if to_x is None else mul(to_x, scale)
    return rules.affine(normed, tangent, *(_over_channels(v, ndim) for v in (weight, to_weight, to_bias)))


batch_norm_eval.jvp(_eval_tangent)
batch_norm_eval.batch(_as_channels)


@batch_norm_eval.oracle
def _(x, weight, bias, running_mean, running_var, eps):
    return _oracle_normed(x, running_mean, running_var, weight, bias, eps)


# ---- with the ReLU that follows, and the residual added between ---------------------------------------------------

_FUSED = (*_INPUTS, "residual")

batch_norm_relu_training = Op(
    "batch_norm_relu_training",
    _FUSED,
    {"momentum": 0.1, "eps": 1e-5},
    outputs=("out", "mean", "invstd"),
    saves=("input", "weight", "mean", "invstd", "out"),
    node_name="NativeBatchNormReluBackward0",
    self_name="input",
    graph_inputs=(0, 1, 2, 5),
    doc="""max(0, batch_norm_training(input, ...) + residual) in one pass; residual, of input's shape, may be None.

    The backward masks by the saved output: where that is not above 0, the gradient is 0.
    """,
)
batch_norm_relu_training.plan(functools.partial(_plan_training, relu=True))

batch_norm_relu_eval = Op(
    "batch_norm_relu_eval",
    _FUSED,
    {"eps": 1e-5},
    saves=("input", "weight", "running_mean", "running_var", "out"),
    node_name="NativeBatchNormReluBackward0",
    self_name="input",
    graph_inputs=(0, 1, 2, 5),
    doc="max(0, batch_norm_eval(input, ...) + residual) in one pass; residual, of input's shape, may be None.",
)
batch_norm_relu_eval.plan(functools.partial(_plan_eval, relu=True))
for _op in (batch_norm_training, batch_norm_eval, batch_norm_relu_training, batch_norm_relu_eval):
    _op.cheap(last=1)  # the launch that applies the factors to each element


@batch_norm_relu_training.jvp
def _(ctx, *tangents):
    return where(le(ctx.outputs[0], 0), 0.0, rules.added(_training_tangent(ctx, *tangents[:3]), tangents[5]))


@batch_norm_relu_eval.jvp
def _(ctx, *tangents):
    return where(le(ctx.outputs[0], 0), 0.0, rules.added(_eval_tangent(ctx, *tangents[:5]), tangents[5]))


batch_norm_relu_training.batch(_as_channels)
batch_norm_relu_eval.batch(_as_channels)


def _fused_grads(ctx: Any, grad: Any, training: bool) -> tuple[Any, ...]:
    x, weight, mean_, spread, out = ctx.saved
    grad = where(le(out, 0), 0.0, grad)
    if training:
        return (*_training_grads(ctx, grad, x, weight), None, None, grad)
    return (*_eval_grads(ctx, grad, x, weight, mean_, spread), None, None, grad)


@batch_norm_relu_training.backward
def _(ctx, grad):
    return _fused_grads(ctx, grad, training=True)


@batch_norm_relu_eval.backward
def _(ctx, grad):
    _refuse_statistics(ctx)
    return _fused_grads(ctx, grad, training=False)


@batch_norm_relu_training.oracle
def _(x, weight, bias, running_mean, running_var, residual, momentum, eps):
    dims = _channel_dims(x.ndim)
    normed = _oracle_normed(x, x.mean(dims), x.var(dims), weight, bias, eps)
    return np.maximum(normed if residual is None else normed + residual, 0)


@batch_norm_relu_eval.oracle
def _(x, weight, bias, running_mean, running_var, residual, eps):
    normed = _oracle_normed(x, running_mean, running_var, weight, bias, eps)
    return np.maximum(normed if residual is None else normed + residual, 0)


def _prepare(op: Op, training: bool, relu: bool) -> None:
    """Let nodes of the op run the fused backward; the op's own consists of ops, for recorded gradients."""
    positions = (0, 1, 2, 5) if relu else (0, 1, 2)
    reads = (-1, *range(len(op.saves)))

    @op.prepares
    def _(record):
        if not training and (record.needs[3] or record.needs[4]):
            return None  # `backward` refuses it
        needs = tuple([record.needs[position] for position in positions])
        backward = batch_norm_relu_backward if relu else batch_norm_backward
        call = SavedCall(backward, reads, backward.Params(needs=needs, training=training, eps=record.params.eps))
        return saved_calls(len(record.needs), (call, [each for each in positions if record.needs[each]]))


_prepare(batch_norm_training, training=True, relu=False)
_prepare(batch_norm_eval, training=False, relu=False)
_prepare(batch_norm_relu_training, training=True, relu=True)
_prepare(batch_norm_relu_eval, training=False, relu=True)

for _op in (batch_norm_training, batch_norm_eval):
    _op.tie(("input", "weight", "bias"), ("input", "weight"), zeros=False)
for _op in (batch_norm_relu_training, batch_norm_relu_eval):
    _op.tie(("input", "weight", "bias", "residual"), ("input", "weight", "residual"), zeros=False)

# ---- the fused backward of all  ---------------------------------------------------------------------------------

batch_norm_backward = Op(
    "batch_norm_backward",
    ("grad", "input", "weight", "mean", "spread"),
    {"needs": (True, True, True), "training": True, "eps": 1e-5},
    outputs=("grad_input", "grad_weight", "grad_bias"),
    public=3,
    doc="The needed gradients of batch norm for input, weight and bias; ``spread`` is invstd in training, else the "
    "running variance.",
)


@batch_norm_backward.plan
def _plan_backward(
    b: PlanBuilder,
    grad: Operand,
    input: Operand,
    weight: Any,
    mean: Any,
    spread: Any,
    out: Any = None,
    *,
    needs: Any,
    training: bool,
    eps: float,
) -> None:
    weight, mean, spread = _checked(b, input, ("weight", weight), ("mean", mean), ("spread", spread))
    _check_eps(eps, training=False)
    prove_shapes("batch_norm_backward", ("grad", "mean", "spread"), (grad, mean, spread), input.spec.shape, None, None)
    for name, operand in (("grad", grad), ("out", out)):
        if operand is not None:
            prove_shapes("batch_norm_backward", (name,), (operand,), input.spec.shape)
            prove_dtype("batch_norm_backward", name, operand, input.spec.dtype)
    strides = strides_like(input.spec, tuple(input.spec.shape))
    dtype, shape = input.spec.dtype, tuple(input.spec.shape)
    gradients = [
        b.output(dtype, (shape[1],) if position in (1, 2) else shape, None if position in (1, 2) else strides)
        if needed
        else None
        for position, needed in enumerate(needs)
    ]
    grad_input, grad_weight, grad_bias, grad_residual = (*gradients, None)[:4]
    if grad_residual is not None and grad_input is None:
        grad_input = b.scratch(dtype, input.spec.numel).view(shape, strides)
    plan_batch_norm_backward(
        b, with_strides(b, grad, strides), with_strides(b, input, strides), weight, mean, spread,
        grad_input, grad_weight, grad_bias, training=training, eps=eps, grad_residual=grad_residual,
        out=None if out is None else with_strides(b, out, strides),
    )  # fmt: skip


@batch_norm_backward.oracle
def _oracle_backward(grad, x, weight, mean, spread, needs, training, eps):
    form, dims = (1, -1, *(1,) * (x.ndim - 2)), _channel_dims(x.ndim)
    invstd = (spread if training else 1 / np.sqrt(spread + eps)).reshape(form)
    normed = (x - mean.reshape(form)) * invstd
    inner = grad
    if training:
        inner = grad - grad.mean(dims, keepdims=True) - normed * (grad * normed).mean(dims, keepdims=True)
    scale = invstd if weight is None else invstd * weight.reshape(form)
    every = (inner * scale, (grad * normed).sum(dims), grad.sum(dims), grad)
    return tuple(g for g, needed in zip(every, needs, strict=False) if needed)


batch_norm_relu_backward = Op(
    "batch_norm_relu_backward",
    ("grad", "input", "weight", "mean", "spread", "out"),
    {"needs": (True, True, True, True), "training": True, "eps": 1e-5},
    outputs=("grad_input", "grad_weight", "grad_bias", "grad_residual"),
    public=4,
    doc="`batch_norm_backward` of the gradient where ``out``, the fused ReLU's result, is above 0; and that gradient itself.",
)
batch_norm_relu_backward.plan(_plan_backward)


@batch_norm_relu_backward.oracle
def _(grad, x, weight, mean, spread, out, needs, training, eps):
    masked = np.where(out > 0, grad, 0)
    return _oracle_backward(masked, x, weight, mean, spread, needs, training, eps)
