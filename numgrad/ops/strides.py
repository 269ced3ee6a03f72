"""Views by strides of their own: diagonals, and windows that slide along a dimension."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.errors import ShapeError
from numgrad.kernels.fill import plan_fill
from numgrad.layout import Spec
from numgrad.ops.creation import arange
from numgrad.ops.elementwise import add, mul
from numgrad.ops.index import index_select_backward
from numgrad.ops.layouts import plan_copy
from numgrad.ops.proofs import prove_dim, prove_int, prove_ints, prove_shapes
from numgrad.ops.rules import to_dim
from numgrad.ops.view import unsqueeze
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder

_DIAGONAL: dict[str, Any] = {"offset": 0, "dim1": 0, "dim2": 1}

diagonal = Op(
    "diagonal",
    ("input",),
    _DIAGONAL,
    doc="The diagonal of each matrix of dim1 and dim2, ``offset`` columns to the right of the main one, as the last dimension.",
)


def _geometry(spec: Spec, offset: int, dim1: int, dim2: int) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Shape and strides of a diagonal, and where it begins."""
    prove_dim("diagonal", dim1, spec.ndim)
    prove_dim("diagonal", dim2, spec.ndim)
    prove_int("diagonal", "offset", offset)
    if dim1 == dim2:
        raise ShapeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    rows, columns = spec.shape[dim1], spec.shape[dim2]
    length = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    kept = [axis for axis in range(spec.ndim) if axis not in (dim1, dim2)]
    begin = offset * spec.strides[dim2] if offset > 0 else -offset * spec.strides[dim1]
    shape = (*(spec.shape[axis] for axis in kept), length)
    strides = (*(spec.strides[axis] for axis in kept), spec.strides[dim1] + spec.strides[dim2])
    return shape, strides, begin if length and spec.numel else 0


@diagonal.plan
def _(b: PlanBuilder, input: Operand, offset: int, dim1: int, dim2: int) -> None:
    b.view(input, *_geometry(input.spec, offset, dim1, dim2))


@diagonal.backward
def _(ctx, grad):
    return diagonal_backward(grad, size=tuple(ctx.input_specs[0].shape), **ctx.params._asdict())


diagonal.linear_in("input")


@diagonal.batch
def _(batch, x, offset, dim1, dim2):
    return diagonal(x, offset=offset, dim1=dim1 + 1, dim2=dim2 + 1)


@diagonal.oracle
def _(x, offset, dim1, dim2):
    return np.diagonal(x, offset, dim1, dim2)


diagonal_backward = Op(
    "diagonal_backward",
    ("grad",),
    {"size": (), **_DIAGONAL},
    doc="Zeros of shape ``size`` with the gradient on the diagonals that `diagonal` took.",
)


@diagonal_backward.plan
def _(b: PlanBuilder, grad: Operand, size: Any, offset: int, dim1: int, dim2: int) -> None:
    out = b.output(grad.spec.dtype, prove_ints("diagonal_backward", "size", size, low=0))
    shape, strides, begin = _geometry(out.spec, offset, dim1, dim2)
    prove_shapes("diagonal_backward", ("grad",), (grad,), shape)
    plan_fill(b, out, 0)
    plan_copy(b, grad, out.view(shape, strides, begin))


@diagonal_backward.backward
def _(ctx, grad):
    p = ctx.params
    return diagonal(grad, offset=p.offset, dim1=p.dim1, dim2=p.dim2)


diagonal_backward.linear_in("grad")


@diagonal_backward.batch
def _(batch, grad, size, offset, dim1, dim2):
    return diagonal_backward(grad, size=(batch.size, *size), offset=offset, dim1=dim1 + 1, dim2=dim2 + 1)


@diagonal_backward.oracle
def _(grad, size, offset, dim1, dim2):
    out = np.zeros(size, grad.dtype)
    np.moveaxis(out, (dim1, dim2), (-2, -1))[
        ..., np.arange(grad.shape[-1]) + max(-offset, 0), np.arange(grad.shape[-1]) + max(offset, 0)
    ] = grad
    return out


unfold = Op(
    "unfold",
    ("input",),
    {"dim": 0, "size": 1, "step": 1},
    doc="Windows of ``size`` elements along a dimension, ``step`` apart; their elements are in a new last dimension.",
)


@unfold.plan
def _(b: PlanBuilder, input: Operand, dim: int, size: int, step: int) -> None:
    spec = input.spec
    prove_dim("unfold", dim, spec.ndim)
    prove_int("unfold", "step", step, 1)
    prove_int("unfold", "size", size, 0, spec.shape[dim])
    count = (spec.shape[dim] - size) // step + 1
    shape = (*spec.shape[:dim], count, *spec.shape[dim + 1 :], size)
    strides = (*spec.strides[:dim], spec.strides[dim] * step, *spec.strides[dim + 1 :], spec.strides[dim])
    b.view(input, shape, strides)


@unfold.backward
def _(ctx, grad):
    dim, size, step = ctx.params
    shape = tuple(ctx.input_specs[0].shape)
    windows = to_dim(grad, len(shape), dim + 1)
    count = grad._spec.shape[dim]
    begins = unsqueeze(mul(arange(count=count, dtype=dtypes.int64), step), dim=1)
    places = add(begins, arange(count=size, dtype=dtypes.int64))
    return index_select_backward(windows, places, size=shape, dim=dim)


unfold.linear_in("input")


@unfold.batch
def _(batch, x, dim, size, step):
    return unfold(x, dim=dim + 1, size=size, step=step)


@unfold.oracle
def _(x, dim, size, step):
    return np.lib.stride_tricks.sliding_window_view(x, size, dim)[(slice(None),) * dim + (slice(None, None, step),)]
