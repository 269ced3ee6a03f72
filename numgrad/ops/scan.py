"""Scans along a dimension: each element of the result is made of those before it. Results are row-major, as torch's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.errors import DtypeError, ShapeError
from numgrad.kernels.scan import plan_recurrence, plan_running, plan_running_extreme, plan_running_logsumexp
from numgrad.ops import rules
from numgrad.ops.creation import full
from numgrad.ops.elementwise import add, eq, exp, mul, sub, where
from numgrad.ops.index import gather, scatter_add
from numgrad.ops.joining import cat
from numgrad.ops.layouts import check_floating, contiguous
from numgrad.ops.proofs import prove_dim
from numgrad.ops.view import narrow
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder


def _shifted(x: Any, dim: int, value: float, *, back: bool = False) -> Any:
    """Each element at the place of the next one, or with ``back`` of the one before; ``value`` where none comes."""
    shape = tuple(x._spec.shape)
    kept = narrow(x, dim, 1 if back else 0, shape[dim] - 1)
    edge = full(size=(*shape[:dim], 1, *shape[dim + 1 :]), value=value, dtype=x._spec.dtype)
    return cat(kept, edge, dim=dim) if back else cat(edge, kept, dim=dim)


# ---- sums and products ------------------------------------------------------------------------------------------

cumsum = Op(
    "cumsum",
    ("input",),
    {"dim": 0, "reverse": False},
    doc="Running sums along ``dim``, of bools and integers in int64; with ``reverse`` from the end.",
)


@cumsum.plan
def _(b: PlanBuilder, input: Operand, dim: int, reverse: bool) -> None:
    prove_dim("cumsum", dim, input.spec.ndim)
    own = input.spec.dtype
    out = b.output(own if own.is_floating_point else dtypes.int64, tuple(input.spec.shape))
    plan_running(b, "sum", contiguous(b, input), out, dim, reverse=reverse)


@cumsum.backward
def _(ctx, grad):
    return cumsum(grad, dim=ctx.params.dim, reverse=not ctx.params.reverse)


cumsum.linear_in("input")
cumsum.batch(rules.along_dim)


@cumsum.oracle
def _(x, dim, reverse):
    return np.flip(np.cumsum(np.flip(x, dim), dim), dim) if reverse else np.cumsum(x, dim)


recurrence = Op(
    "recurrence",
    ("input", "factor"),
    {"dim": 0, "reverse": False},
    saves=("factor", "out"),
    doc="out[i] = input[i] + factor[i] * out[i - 1] along ``dim``; with ``reverse`` from the end, + factor[i] * out[i + 1]. The "
    "first factor is not read.",
)


@recurrence.plan
def _(b: PlanBuilder, input: Operand, factor: Operand, dim: int, reverse: bool) -> None:
    prove_dim("recurrence", dim, input.spec.ndim)
    check_floating("recurrence", input)
    if tuple(factor.spec.shape) != tuple(input.spec.shape) or factor.spec.dtype is not input.spec.dtype:
        raise ShapeError(f"recurrence: factor is {factor.spec}, expected {input.spec.dtype} {list(input.spec.shape)}")
    out = b.output(input.spec.dtype, tuple(input.spec.shape))
    plan_recurrence(b, contiguous(b, input), contiguous(b, factor), out, dim, reverse=reverse)


@recurrence.backward
def _(ctx, grad):
    (factor, out), (dim, reverse) = ctx.saved, ctx.params
    if not grad._spec.shape[dim]:
        return grad, grad
    to_input = recurrence(grad, _shifted(factor, dim, 0.0, back=not reverse), dim=dim, reverse=not reverse)
    return to_input, mul(to_input, _shifted(out, dim, 0.0, back=reverse)) if ctx.needs[1] else None


@recurrence.jvp
def _(ctx, tangent, factor_tangent):
    (_, factor), (out,), (dim, reverse) = ctx.inputs, ctx.outputs, ctx.params
    moved = tangent
    if factor_tangent is not None and out._spec.shape[dim]:
        by_factor = mul(factor_tangent, _shifted(out, dim, 0.0, back=reverse))
        moved = by_factor if moved is None else add(moved, by_factor)
    return recurrence(moved, factor, dim=dim, reverse=reverse)


recurrence.batch(rules.along_dim)


@recurrence.oracle
def _(x, factor, dim, reverse):
    x, factor = (np.moveaxis(np.flip(each, dim) if reverse else each, dim, 0) for each in (x, factor))
    out = np.zeros_like(x)
    for i in range(len(x)):
        out[i] = x[i] + (factor[i] * out[i - 1] if i else 0)
    out = np.moveaxis(out, 0, dim)
    return np.flip(out, dim) if reverse else out


cumprod = Op(
    "cumprod",
    ("input",),
    {"dim": 0},
    saves=("input", "out"),
    doc="Running products along ``dim``, of bools and integers in int64.",
)


@cumprod.plan
def _(b: PlanBuilder, input: Operand, dim: int) -> None:
    prove_dim("cumprod", dim, input.spec.ndim)
    own = input.spec.dtype
    out = b.output(own if own.is_floating_point else dtypes.int64, tuple(input.spec.shape))
    plan_running(b, "product", contiguous(b, input), out, dim)


@cumprod.backward
def _(ctx, grad):
    (x, out), dim = ctx.saved, ctx.params.dim
    if not grad._spec.shape[dim]:
        return grad
    # What is before each element times a sum over what is behind it: nothing is divided by an element, which may be 0.
    behind = recurrence(grad, _shifted(x, dim, 0.0, back=True), dim=dim, reverse=True)
    return mul(behind, _shifted(out, dim, 1.0))


@cumprod.jvp
def _(ctx, tangent):
    (x,), (out,), dim = ctx.inputs, ctx.outputs, ctx.params.dim
    if not x._spec.shape[dim]:
        return tangent
    return recurrence(mul(tangent, _shifted(out, dim, 1.0)), x, dim=dim)


cumprod.batch(rules.along_dim)


@cumprod.oracle
def _(x, dim):
    return np.cumprod(x, dim)


# ---- extremes ---------------------------------------------------------------------------------------------------


def _running_extreme(name: str, kind: str) -> Op:
    op = Op(
        name,
        ("input",),
        {"dim": 0},
        outputs=("values", "indices"),
        public=2,
        saves=("indices",),
        doc=f"The {'largest' if kind == 'max' else 'smallest'} element so far along ``dim``, and its index (the last of equal "
        "ones, or of NaNs), to which the gradient goes.",
    )

    @op.plan
    def _(b: PlanBuilder, input: Operand, dim: int) -> None:
        prove_dim(name, dim, input.spec.ndim)
        shape = tuple(input.spec.shape)
        values, indices = b.output(input.spec.dtype, shape), b.output(dtypes.int64, shape)
        plan_running_extreme(b, kind, contiguous(b, input), values, indices, dim)

    @op.backward
    def _(ctx, grad, _indices_grad=None):
        (indices,) = ctx.saved
        zeros = full(size=tuple(grad._spec.shape), value=0.0, dtype=grad._spec.dtype)
        return scatter_add(zeros, indices, grad, dim=ctx.params.dim)

    @op.jvp
    def _(ctx, tangent):
        return gather(tangent, ctx.outputs[1], dim=ctx.params.dim), None

    op.batch(rules.along_dim)

    @op.oracle
    def _(x, dim):
        moved = np.moveaxis(x, dim, 0)
        places = np.zeros(moved.shape, np.int64)
        values = moved.copy()
        for i in range(1, len(moved)):
            best = values[i - 1]
            later = moved[i] >= best if kind == "max" else moved[i] <= best
            takes = later | (moved[i] != moved[i])
            values[i] = np.where(takes, moved[i], best)
            places[i] = np.where(takes, i, places[i - 1])
        return np.moveaxis(values, 0, dim), np.moveaxis(places, 0, dim)

    return op


cummax = _running_extreme("cummax", "max")
cummin = _running_extreme("cummin", "min")


# ---- exponentials -----------------------------------------------------------------------------------------------

logcumsumexp = Op(
    "logcumsumexp",
    ("input",),
    {"dim": 0},
    saves=("input", "out"),
    doc="log(exp(input[0]) + ... + exp(input[i])) along ``dim``, without overflow; of floating point.",
)


@logcumsumexp.plan
def _(b: PlanBuilder, input: Operand, dim: int) -> None:
    prove_dim("logcumsumexp", dim, input.spec.ndim)
    if not input.spec.dtype.is_floating_point:
        raise DtypeError(
            f"\"logcumsumexp_out_cpu\" not implemented for '{input.spec.dtype.torch_name}'; convert with .float() first"
        )
    plan_running_logsumexp(b, contiguous(b, input), b.output(input.spec.dtype, tuple(input.spec.shape)), dim)


def _shares(x: Any, out: Any, dim: int) -> tuple[Any, Any]:
    """exp(x - out), each element's share of its sum, and exp(out[i - 1] - out[i]), that of all before; 0 for exp(-inf)."""
    before = _shifted(out, dim, -math.inf)
    # Behind an infinite element the sum stays what it is: its share is 1, and not exp(inf - inf).
    since = where(eq(before, out), 0.0, sub(before, out))
    shares = (where(eq(each, -math.inf), 0.0, exp(less)) for each, less in ((x, sub(x, out)), (before, since)))
    return tuple(shares)  # type: ignore[return-value]


@logcumsumexp.backward
def _(ctx, grad):
    (x, out), dim = ctx.saved, ctx.params.dim
    if not grad._spec.shape[dim]:
        return grad
    share, of_before = _shares(x, out, dim)
    return mul(share, recurrence(grad, _shifted(of_before, dim, 0.0, back=True), dim=dim, reverse=True))


@logcumsumexp.jvp
def _(ctx, tangent):
    (x,), (out,), dim = ctx.inputs, ctx.outputs, ctx.params.dim
    if not x._spec.shape[dim]:
        return tangent
    share, of_before = _shares(x, out, dim)
    return recurrence(mul(share, tangent), of_before, dim=dim)


logcumsumexp.batch(rules.along_dim)


@logcumsumexp.oracle
def _(x, dim):
    return np.logaddexp.accumulate(x, dim)
