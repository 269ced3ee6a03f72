"""`glu`: one half of a dimension, times the sigmoid of the other; and its gradient, in both halves at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad.errors import ShapeError
from numgrad.kernels import scalar
from numgrad.kernels.elementwise import plan_elementwise
from numgrad.ops import rules
from numgrad.ops.elementwise import add, mul, sigmoid, sub
from numgrad.ops.joining import cat
from numgrad.ops.layouts import check_floating
from numgrad.ops.proofs import prove_dim
from numgrad.ops.view import narrow
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder

_COST = 20  # of a sigmoid


def _gated(x, gate):
    return x * scalar.sigmoid(gate)


def _shares(g, x, gate):
    s = scalar.sigmoid(gate)
    return g * s, g * x * ((1 - s) * s)


def _halves(name: str, x: Operand, dim: int) -> tuple[Operand, Operand]:
    """Views of both halves of a dimension."""
    spec = x.spec
    if spec.shape[prove_dim(name, dim, spec.ndim)] % 2:
        raise ShapeError(f"{name}: dimension {dim} of {list(spec.shape)} has no halves")
    shape = (*spec.shape[:dim], spec.shape[dim] // 2, *spec.shape[dim + 1 :])
    distance = spec.strides[dim] * shape[dim] if spec.numel else 0
    return x.view(shape, spec.strides), x.view(shape, spec.strides, distance)


glu = Op(
    "glu",
    ("input",),
    {"dim": 0},
    saves=("input",),
    doc="The first half of ``dim`` times the sigmoid of the second.",
)


@glu.plan
def _(b: PlanBuilder, input: Operand, dim: int) -> None:
    check_floating("glu", input)
    x, gate = _halves("glu", input, dim)
    out = b.output(input.spec.dtype, tuple(x.spec.shape))
    plan_elementwise(b, "glu", _gated, input.code, [x, gate], [out], cost=_COST)


@glu.backward
def _(ctx, grad):
    return glu_backward(grad, *ctx.saved, dim=ctx.params.dim)


@glu.jvp
def _(ctx, tangent):
    return _along(ctx.inputs[0], tangent, ctx.params.dim)


glu.batch(rules.along_dim)


@glu.oracle
def _(x, dim):
    x, gate = np.split(x, 2, dim)
    return x / (1 + np.exp(-gate))


glu_backward = Op(
    "glu_backward",
    ("grad", "input"),
    {"dim": 0},
    saves=("grad", "input"),
    doc="Gradient of `glu` with respect to its input.",
)


@glu_backward.plan
def _(b: PlanBuilder, grad: Operand, input: Operand, dim: int) -> None:
    check_floating("glu_backward", input)
    x, gate = _halves("glu_backward", input, dim)
    if tuple(grad.spec.shape) != tuple(x.spec.shape) or grad.spec.dtype is not input.spec.dtype:
        raise ShapeError(f"glu_backward: grad is {grad.spec}, expected {input.spec.dtype} {list(x.spec.shape)}")
    out = b.output(input.spec.dtype, tuple(input.spec.shape))
    halves = _halves("glu_backward", out, dim)
    plan_elementwise(b, "glu_backward", _shares, input.code, [grad, x, gate], halves, (0, 1), cost=_COST)


@glu_backward.backward
def _(ctx, tangent):
    (grad, input), dim = ctx.saved, ctx.params.dim
    to_grad = _along(input, tangent, dim) if ctx.needs[0] else None
    return to_grad, _bent(grad, input, tangent, dim) if ctx.needs[1] else None


@glu_backward.jvp
def _(ctx, grad_tangent, tangent):
    (grad, input), dim = ctx.inputs, ctx.params.dim
    moved = None if grad_tangent is None else glu_backward(grad_tangent, input, dim=dim)
    return moved if tangent is None else rules.added(moved, _bent(grad, input, tangent, dim))


glu_backward.batch(rules.along_dim)


@glu_backward.oracle
def _(grad, input, dim):
    x, gate = np.split(input, 2, dim)
    s = 1 / (1 + np.exp(-gate))
    return np.concatenate([grad * s, grad * x * s * (1 - s)], dim)


def _of_halves(x: Any, dim: int) -> tuple[Any, Any]:
    half = x._spec.shape[dim] // 2
    return narrow(x, dim, 0, half), narrow(x, dim, half, half)


def _slope(s: Any) -> Any:
    """The derivative of a sigmoid, by its value."""
    return sub(s, mul(s, s))


def _along(input: Any, tangent: Any, dim: int) -> Any:
    """How the result moves with the input."""
    (x, gate), (to_x, to_gate) = _of_halves(input, dim), _of_halves(tangent, dim)
    s = sigmoid(gate)
    return add(mul(to_x, s), mul(to_gate, mul(x, _slope(s))))


def _bent(grad: Any, input: Any, tangent: Any, dim: int) -> Any:
    """How the gradient moves with the input: the second derivative, which is symmetric."""
    (x, gate), (to_x, to_gate) = _of_halves(input, dim), _of_halves(tangent, dim)
    s = sigmoid(gate)
    slope = mul(grad, _slope(s))
    bend = mul(mul(mul(slope, x), sub(1.0, add(s, s))), to_gate)
    return cat(mul(slope, to_gate), add(mul(slope, to_x), bend), dim=dim)
