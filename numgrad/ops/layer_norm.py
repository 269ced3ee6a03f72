"""Layer norm over the last dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad.errors import DtypeError, ShapeError
from numgrad.kernels.layer_norm import plan_layer_norm, plan_layer_norm_backward
from numgrad.ops import rules
from numgrad.ops.elementwise import add, mul, rsqrt, square, sub
from numgrad.ops.layouts import contiguous
from numgrad.ops.proofs import prove_dtype, prove_int, prove_shapes
from numgrad.ops.reduce import mean as mean_
from numgrad.ops.reduce import sum_
from numgrad.ops.view import reshape
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder

layer_norm = Op(
    "layer_norm",
    ("input", "weight", "bias"),
    {"normalized": 1, "eps": 1e-5},
    outputs=("out", "mean", "rstd"),
    saves=("input", "weight", "mean", "rstd"),
    node_name="NativeLayerNormBackward0",
    self_name="input",
    doc="(input - mean) / sqrt(variance + eps) * weight + bias, with the statistics of the last ``normalized`` dimensions.",
)


def _rows_shape(spec: Any, normalized: int) -> tuple[int, ...]:
    return tuple(spec.shape[: spec.ndim - normalized])


@layer_norm.plan
def _(
    b: PlanBuilder, input: Operand, weight: Operand | None, bias: Operand | None, normalized: int, eps: float
) -> None:
    spec = input.spec
    if not spec.dtype.is_floating_point:
        raise DtypeError(f"layer_norm: input is of {spec.dtype}, expected floating point")
    prove_int("layer_norm", "normalized", normalized, 0, spec.ndim)
    shape = tuple(spec.shape[spec.ndim - normalized :])
    for name, vector in (("weight", weight), ("bias", bias)):
        if vector is not None and (tuple(vector.spec.shape) != shape or vector.spec.dtype is not spec.dtype):
            raise ShapeError(f"layer_norm: {name} is {vector.spec}, expected shape {list(shape)} of {spec.dtype}")
    rows = _rows_shape(spec, normalized)
    out, mean, rstd = b.output(spec.dtype, tuple(spec.shape)), b.output(spec.dtype, rows), b.output(spec.dtype, rows)
    weight, bias = [None if vector is None else contiguous(b, vector) for vector in (weight, bias)]
    plan_layer_norm(b, contiguous(b, input), weight, bias, out, mean, rstd, normalized=normalized, eps=eps)


def _filled(grads: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """The computed gradients, and None for the others."""
    computed = iter(grads if isinstance(grads, tuple) else (grads,))
    return tuple(next(computed) if needed else None for needed in needs)


@layer_norm.backward
def _(ctx, grad):
    x, weight, mean, rstd = ctx.saved
    p = ctx.params
    if not ctx.create_graph:
        return _filled(
            layer_norm_backward(grad, x, weight, mean, rstd, needs=ctx.needs, normalized=p.normalized), ctx.needs
        )
    dims = tuple(range(x.ndim - p.normalized, x.ndim))
    rows = tuple(range(x.ndim - p.normalized))
    centred = sub(x, mean_(x, dims=dims, keepdim=True))
    scale = rsqrt(mean_(square(centred), dims=dims, keepdim=True) + p.eps)
    normed = mul(centred, scale)
    inner = grad if weight is None else mul(grad, weight)
    shift = mul(normed, mean_(mul(inner, normed), dims=dims, keepdim=True))
    to_x = mul(scale, sub(sub(inner, mean_(inner, dims=dims, keepdim=True)), shift))
    to_weight = sum_(mul(grad, normed), dims=rows) if ctx.needs[1] else None
    return to_x, to_weight, sum_(grad, dims=rows) if ctx.needs[2] else None


layer_norm.cheap()
layer_norm.tie(layer_norm.inputs, layer_norm.inputs, zeros=False)


@layer_norm.jvp
def _(ctx, to_x, to_weight, to_bias):
    x, weight, _ = ctx.inputs
    dims = tuple(range(x._spec.ndim - ctx.params.normalized, x._spec.ndim))
    return rules.affine(*rules.normalized(x, to_x, dims, ctx.params.eps), weight, to_weight, to_bias)


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


@layer_norm.oracle
def _(x, weight, bias, normalized, eps):
    axes = tuple(range(x.ndim - normalized, x.ndim))
    out = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)
    out = out if weight is None else out * weight
    return out if bias is None else out + bias


layer_norm_backward = Op(
    "layer_norm_backward",
    ("grad", "input", "weight", "mean", "rstd"),
    {"needs": (True, True, True), "normalized": 1},
    outputs=("grad_input", "grad_weight", "grad_bias"),
    public=3,
    doc="The needed gradients of `layer_norm` for input, weight and bias.",
)


@layer_norm_backward.plan
def _(
    b: PlanBuilder,
    grad: Operand,
    input: Operand,
    weight: Any,
    mean: Operand,
    rstd: Operand,
    needs: Any,
    normalized: int,
) -> None:
    spec, name = input.spec, "layer_norm_backward"
    prove_int(name, "normalized", normalized, 0, spec.ndim)
    if not spec.dtype.is_floating_point:
        raise DtypeError(f"{name}: input is of {spec.dtype}, expected floating point")
    rows = _rows_shape(spec, normalized)
    prove_shapes(name, ("grad", "mean", "rstd"), (grad, mean, rstd), spec.shape, rows, rows)
    operands = {"grad": grad, "mean": mean, "rstd": rstd}
    if weight is not None:
        prove_shapes(name, ("weight",), (weight,), spec.shape[spec.ndim - normalized :])
        operands["weight"] = weight
    for word, operand in operands.items():
        prove_dtype(name, word, operand, spec.dtype)
    shapes = (tuple(spec.shape), *(tuple(spec.shape[spec.ndim - normalized :]),) * 2)
    gradients = [b.output(spec.dtype, shape) if needed else None for shape, needed in zip(shapes, needs, strict=True)]
    plan_layer_norm_backward(
        b, contiguous(b, grad), contiguous(b, input), None if weight is None else contiguous(b, weight),
        contiguous(b, mean), contiguous(b, rstd), *gradients, normalized=normalized,
    )  # fmt: skip


@layer_norm_backward.oracle
def _(grad, x, weight, mean, rstd, needs, normalized):
    axes, rows = tuple(range(x.ndim - normalized, x.ndim)), tuple(range(x.ndim - normalized))
    form = (*mean.shape, *(1,) * normalized)
    normed = (x - mean.reshape(form)) * rstd.reshape(form)
    inner = grad if weight is None else grad * weight
    to_x = inner - inner.mean(axes, keepdims=True) - normed * (inner * normed).mean(axes, keepdims=True)
    every = (to_x * rstd.reshape(form), (grad * normed).sum(rows), grad.sum(rows))
    return tuple(g for g, needed in zip(every, needs, strict=True) if needed)
