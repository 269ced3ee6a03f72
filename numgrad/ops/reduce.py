"""Reductions over dimensions. ``dims`` are sorted and not negative; empty ``dims`` reduce nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.errors import DtypeError, ShapeError, describe
from numgrad.kernels import scalar
from numgrad.kernels.products import plan_products_of_others
from numgrad.kernels.reduce import plan_reduce
from numgrad.kernels.reduce_index import plan_reduce_index
from numgrad.layout import product
from numgrad.ops import rules
from numgrad.ops.creation import arange, full
from numgrad.ops.elementwise import div, eq, mul, where
from numgrad.ops.fused import fused_op
from numgrad.ops.index import gather
from numgrad.ops.joining import cat
from numgrad.ops.layouts import contiguous
from numgrad.ops.proofs import prove_dims, prove_ints
from numgrad.ops.view import expand, narrow, permute, reshape, view
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder

_PARAMS: dict[str, Any] = {"dims": (), "keepdim": False}


def _reduced_shape(shape: Any, dims: tuple[int, ...], keepdim: bool) -> tuple[int, ...]:
    if keepdim:
        return tuple(1 if axis in dims else extent for axis, extent in enumerate(shape))
    return tuple(extent for axis, extent in enumerate(shape) if axis not in dims)


def _proved_shape(input: Operand, dims: Any, keepdim: bool) -> tuple[int, ...]:
    """The shape of a reduction over dims; a 0-d input counts as one dimension, as in torch."""
    shape = input.spec.shape
    return _reduced_shape(shape, prove_dims("a reduction", dims, max(len(shape), 1)), keepdim)


def _axes(spec: Any, dims: tuple[int, ...], keepdim: bool) -> tuple[int | None, ...]:
    """For each axis that of the result, or None if it is reduced."""
    return tuple(None if d in dims else d if keepdim else d - sum(k < d for k in dims) for d in range(spec.ndim))


def _with_kept_dims(tensor: Any, shape: Any, dims: tuple[int, ...]) -> Any:
    """A result of a reduction, with its reduced dimensions as extents of 1."""
    kept = _reduced_shape(shape, dims, keepdim=True)
    return tensor if tuple(tensor._spec.shape) == kept else view(tensor, size=kept)


def _spread(grad: Any, shape: Any, dims: tuple[int, ...]) -> Any:
    """The gradient of a sum: the same for each added element."""
    return expand(_with_kept_dims(grad, shape, dims), size=tuple(shape))


def _shown_as(op: Op, stem: str) -> None:
    """The name of torch's node: one for all dims, one for some."""

    @op.shown_as
    def _(specs: Any, needs: Any, params: Any) -> Any:
        return f"{stem}{0 if len(params.dims) == specs[0].ndim and not params.keepdim else 1}", None


# ---- sums -------------------------------------------------------------------------------------------------------

sum_ = Op("sum", ("input",), _PARAMS, doc="Sum over dims; of bools and integers in int64.")


@sum_.plan
def _(b: PlanBuilder, input: Operand, dims: Any, keepdim: bool) -> None:
    own = input.spec.dtype
    out = b.output(own if own.is_floating_point else dtypes.int64, _proved_shape(input, dims, keepdim))
    plan_reduce(b, "sum", input, out, dims)


@sum_.backward
def _(ctx, grad):
    return _spread(grad, ctx.input_specs[0].shape, ctx.params.dims)


sum_.linear_in("input")
sum_.sums(lambda spec, dims, keepdim: (_axes(spec, dims, keepdim), 1.0))
sum_.batch(rules.over_dims)
_shown_as(sum_, "SumBackward")


@sum_.oracle
def _(x, dims, keepdim):
    return np.sum(x, dims, keepdims=keepdim)


mean = Op("mean", ("input",), _PARAMS, doc="Mean over dims, of floating point.")


@mean.plan
def _(b: PlanBuilder, input: Operand, dims: Any, keepdim: bool) -> None:
    if not input.spec.dtype.is_floating_point:
        raise DtypeError(
            f"mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: "
            f"{input.spec.dtype.torch_name}; convert with .float() first"
        )
    out = b.output(input.spec.dtype, _proved_shape(input, dims, keepdim))
    plan_reduce(b, "mean", input, out, dims)


@mean.backward
def _(ctx, grad):
    shape = ctx.input_specs[0].shape
    count = product([shape[d] for d in ctx.params.dims])
    return _spread(div(grad, float(count)), shape, ctx.params.dims)


mean.linear_in("input")
mean.sums(lambda spec, dims, keepdim: (_axes(spec, dims, keepdim), float(product([spec.shape[d] for d in dims]))))
mean.batch(rules.over_dims)
_shown_as(mean, "MeanBackward")


@mean.oracle
def _(x, dims, keepdim):
    return np.mean(x, dims, keepdims=keepdim)


def _of_squares(name: str, saves: tuple[str, ...], doc: str) -> Op:
    op = Op(name, ("input",), {**_PARAMS, "divisor": 1.0}, saves=saves, doc=doc)

    @op.plan
    def _(b: PlanBuilder, input: Operand, dims: Any, keepdim: bool, divisor: float) -> None:
        spec = input.spec
        if not spec.dtype.is_floating_point:
            raise DtypeError(
                f"{name}: expected a floating point tensor as input, got {spec.dtype.torch_name}; convert with .float() first"
            )
        out = b.output(spec.dtype, _proved_shape(input, dims, keepdim))
        plan_reduce(b, name, input, out, dims, divisor)

    return op


squares = _of_squares("squares", ("input",), "Sum of the squares over dims, divided by ``divisor``.")
norm = _of_squares(
    "norm",
    ("input", "out"),
    "Root of the sum of squares over dims, divided by ``divisor`` first. Where it is 0, its derivatives of any order are 0.",
)


@squares.backward
def _(ctx, grad):
    (x,), dims = ctx.saved, ctx.params.dims
    return mul(x, _with_kept_dims(div(mul(grad, 2.0), ctx.params.divisor), ctx.input_specs[0].shape, dims))


@squares.jvp
def _(ctx, tangent):
    (x,), (dims, keepdim, divisor) = ctx.inputs, ctx.params
    return div(sum_(mul(mul(x, 2.0), tangent), dims=dims, keepdim=keepdim), divisor)


squares.batch(rules.over_dims)


@squares.oracle
def _(x, dims, keepdim, divisor):
    return np.divide(np.sum(x * x, dims, keepdims=keepdim), divisor)


@norm.backward
def _(ctx, grad):
    x, out = ctx.saved
    grad, out = (_with_kept_dims(each, ctx.input_specs[0].shape, ctx.params.dims) for each in (grad, out))
    is_flat = eq(out, 0)
    # By a divisor of 0 the norm is infinite, or NaN, wherever x is.
    slope = where(is_flat, 0.0, div(grad, ctx.params.divisor or 1.0))
    length = where(is_flat, 1.0, out)
    return mul(slope, div(x, length)) if ctx.create_graph else _SCALED(slope, x, length)


_SCALED = fused_op(
    "norm_backward", ("slope", "x", "length"), ("grad_input",), lambda slope, x, n: (slope * (x / n),), (0,), 4
)


@norm.jvp
def _(ctx, tangent):
    (x,), (out,), (dims, keepdim, divisor) = ctx.inputs, ctx.outputs, ctx.params
    is_flat = eq(out, 0)
    direction = div(x, _with_kept_dims(where(is_flat, 1.0, out), x._spec.shape, dims))
    slope = div(sum_(mul(direction, tangent), dims=dims, keepdim=keepdim), divisor or 1.0)
    return where(is_flat, 0.0, slope)


norm.batch(rules.over_dims)


@norm.oracle
def _(x, dims, keepdim, divisor):
    return np.sqrt(np.divide(np.sum(x * x, dims, keepdims=keepdim), divisor))


prod = Op("prod", ("input",), _PARAMS, saves=("input",), doc="Product over dims; of bools and integers in int64.")


@prod.plan
def _(b: PlanBuilder, input: Operand, dims: Any, keepdim: bool) -> None:
    own = input.spec.dtype
    out = b.output(own if own.is_floating_point else dtypes.int64, _proved_shape(input, dims, keepdim))
    plan_reduce(b, "prod", input, out, dims)


def _products_of_others(rows: Any) -> Any:
    """For each element of [N, count] the product of the others in its row: pair by pair up a tree, and down again.

    Zeros do no harm, and derivatives of any order exist.
    """
    n, count = rows._spec.shape
    if count <= 1:
        return expand(full(size=(1, 1), value=1.0, dtype=rows._spec.dtype), size=(n, count))
    if count % 2:
        rows = cat(rows, expand(full(size=(1, 1), value=1.0, dtype=rows._spec.dtype), size=(n, 1)), dim=1)
    pairs = reshape(rows, (n, (count + 1) // 2, 2))
    left, right = narrow(pairs, 2, 0, 1), narrow(pairs, 2, 1, 1)
    others = _products_of_others(reshape(mul(left, right), (n, (count + 1) // 2)))
    others = reshape(others, (n, (count + 1) // 2, 1))
    return narrow(reshape(cat(mul(others, right), mul(others, left), dim=2), (n, count + count % 2)), 1, 0, count)


_OTHERS = Op("products_of_others", ("rows",), doc="`_products_of_others` in one launch.", register=False)


@_OTHERS.plan
def _(b: PlanBuilder, rows: Operand) -> None:
    plan_products_of_others(b, contiguous(b, rows), b.output(rows.spec.dtype, tuple(rows.spec.shape)))


def products_of_others(x: Any, dims: tuple[int, ...], recorded: bool = True) -> Any:
    """For each element the product of the other elements in its product over dims."""
    shape = x._spec.shape
    kept = [d for d in range(len(shape)) if d not in dims]
    order = (*kept, *dims)
    form = (product([shape[d] for d in kept]), product([shape[d] for d in dims]))
    rows = reshape(permute(x, dims=order), form)
    others = _products_of_others(rows) if recorded else _OTHERS(rows)
    others = reshape(others, tuple(shape[d] for d in order))
    return permute(others, dims=tuple(order.index(d) for d in range(len(shape))))


prod.adopt(_OTHERS, "others")


@prod.backward
def _(ctx, grad):
    (x,), dims = ctx.saved, ctx.params.dims
    # Not the product divided by x, which fails where the product is 0 or infinite.
    return mul(_with_kept_dims(grad, ctx.input_specs[0].shape, dims), products_of_others(x, dims, ctx.create_graph))


@prod.jvp
def _(ctx, tangent):
    (x,), dims = ctx.inputs, ctx.params.dims
    return sum_(mul(tangent, products_of_others(x, dims)), dims=dims, keepdim=ctx.params.keepdim)


prod.batch(rules.over_dims)
_shown_as(prod, "ProdBackward")


@prod.oracle
def _(x, dims, keepdim):
    return np.prod(x, dims, keepdims=keepdim)


sum_to_size = Op(
    "sum_to_size",
    ("input",),
    {"size": ()},
    doc="Sum over the dimensions that broadcasting to the input's shape would add or repeat.",
)


def _repeated_dims(shape: Any, size: Any) -> tuple[int, ...]:
    missing = len(shape) - len(size)
    fits = missing >= 0 and all(s in (1, n) for s, n in zip(size, shape[missing:], strict=True))
    if not fits:
        raise ShapeError(describe("sum_to_size", "size", list(size), f"one that broadcasts to {list(shape)}"))
    return tuple(d for d in range(len(shape)) if d < missing or (size[d - missing] == 1 and shape[d] != 1))


@sum_to_size.plan
def _(b: PlanBuilder, input: Operand, size: tuple[int, ...]) -> None:
    shape = tuple(input.spec.shape)
    prove_ints("sum_to_size", "size", size)
    if size == shape:
        b.view(input, size, input.spec.strides)
        return
    dims = _repeated_dims(shape, size)
    out = b.output(input.spec.dtype, size)
    missing = len(shape) - len(size)
    kept = (1,) * missing + size
    plan_reduce(b, "sum", input, out.view(kept, (0,) * missing + out.spec.strides), dims)


@sum_to_size.sums
def _(spec, size):
    dims, missing = _repeated_dims(spec.shape, size), spec.ndim - len(size)
    return tuple(None if axis in dims else axis - missing for axis in range(spec.ndim)), 1.0


@sum_to_size.backward
def _(ctx, grad):
    return expand(grad, size=tuple(ctx.input_specs[0].shape))


sum_to_size.linear_in("input")


@sum_to_size.batch
def _(batch, x, size):
    b, *shape = x._spec.shape
    total = sum_to_size(x, size=(b, *(1,) * (len(shape) - len(size)), *size))
    return reshape(total, (b, *size))


@sum_to_size.oracle
def _(x, size):
    dims = _repeated_dims(x.shape, size)
    return np.sum(x, dims, keepdims=True).reshape(size)


# ---- extremes ---------------------------------------------------------------------------------------------------


def _check_not_empty(name: str, spec: Any, dims: tuple[int, ...]) -> None:
    for d in dims:
        if spec.shape[d] == 0:
            raise IndexError(
                f"{name}(): Expected reduction dim {d} to have non-zero size; the input has shape {list(spec.shape)}"
            )


_EQUAL = fused_op(
    "equal_backward", ("x", "extreme"), ("mask",), lambda x, m: (scalar.where(x == m, 1, 0),), (0,), 2,
    differentiable=False,
)  # fmt: skip
_EQUAL_OR_NAN = fused_op(
    "equal_or_nan_backward", ("x", "extreme"), ("mask",), lambda x, m: (scalar.where((x == m) | (x != x), 1, 0),), (0,), 2,
    differentiable=False,
)  # fmt: skip


def chosen(x: Any, extreme: Any, nans: bool) -> Any:
    """1 where x is the extreme, or, with ``nans``, the NaN that replaces it; else 0."""
    return (_EQUAL_OR_NAN if nans else _EQUAL)(x, extreme)


def _extreme(name: str, kind: str, oracle: Any) -> Op:
    op = Op(
        name,
        ("input",),
        {**_PARAMS, "nans": False},
        saves=("input", "out"),
        doc=f"The {'largest' if kind == 'max' else 'smallest'} element over dims; NaN if there is one. Equal elements "
        "share the gradient, as in torch, with ``nans`` also those that are NaN; without, the gradient of NaN is NaN.",
    )

    @op.plan
    def _(b: PlanBuilder, input: Operand, dims: Any, keepdim: bool, nans: bool) -> None:
        _check_not_empty(name, input.spec, dims)
        plan_reduce(b, kind, input, b.output(input.spec.dtype, _proved_shape(input, dims, keepdim)), dims)

    @op.backward
    def _(ctx, grad):
        x, out = ctx.saved
        dims, shape = ctx.params.dims, ctx.input_specs[0].shape
        mask = chosen(x, _with_kept_dims(out, shape, dims), ctx.params.nans)
        share = div(_with_kept_dims(grad, shape, dims), sum_(mask, dims=dims, keepdim=True))
        # Of a whole tensor, ``nans``, a gradient that is NaN goes to the extreme alone.
        return where(eq(mask, 1), share, 0) if ctx.params.nans else mul(share, mask)

    @op.jvp
    def _(ctx, tangent):
        (x,), (out,), (dims, keepdim, nans) = ctx.inputs, ctx.outputs, ctx.params
        mask = chosen(x, _with_kept_dims(out, x._spec.shape, dims), nans)
        total = sum_(mul(tangent, mask), dims=dims, keepdim=keepdim)
        return div(total, sum_(mask, dims=dims, keepdim=keepdim))

    op.batch(rules.over_dims)

    @op.oracle
    def _(x, dims, keepdim, nans):
        return oracle(x, dims, keepdims=keepdim)

    return op


amax = _extreme("amax", "max", np.max)
amin = _extreme("amin", "min", np.min)


def _extreme_with_index(name: str, kind: str) -> Op:
    op = Op(
        name,
        ("input",),
        {"dim": 0, "keepdim": False},
        outputs=("values", "indices"),
        public=2,
        saves=("indices",),
        doc=f"The {'largest' if kind == 'max' else 'smallest'} element along one dimension, and its index (the first of "
        "equal ones, or of NaNs), to which the gradient goes.",
    )

    @op.plan
    def _(b: PlanBuilder, input: Operand, dim: int, keepdim: bool) -> None:
        _check_not_empty(name, input.spec, (dim,))
        shape = _proved_shape(input, (dim,), keepdim)
        values = b.output(input.spec.dtype, shape)
        indices = b.output(dtypes.int64, shape)
        plan_reduce_index(b, kind, input, values, indices, (dim,))

    @op.backward
    def _(ctx, grad, _indices_grad=None):
        (indices,) = ctx.saved
        dim, shape = ctx.params.dim, ctx.input_specs[0].shape
        places = arange(count=shape[dim], dtype=dtypes.int64)
        places = view(places, size=tuple(shape[dim] if axis == dim else 1 for axis in range(len(shape))))
        is_chosen = eq(places, _with_kept_dims(indices, shape, (dim,)))
        return where(is_chosen, _with_kept_dims(grad, shape, (dim,)), 0)

    @op.jvp
    def _(ctx, tangent):
        dim, shape = ctx.params.dim, tangent._spec.shape
        indices = ctx.outputs[1]
        picked = gather(tangent, _with_kept_dims(indices, shape, (dim,)), dim=dim) if shape else tangent
        return reshape(picked, tuple(indices._spec.shape)), None

    op.batch(rules.along_dim)

    @op.oracle
    def _(x, dim, keepdim):
        extreme, index_of = (np.max, np.argmax) if kind == "max" else (np.min, np.argmin)
        return extreme(x, dim, keepdims=keepdim), index_of(x, dim, keepdims=keepdim)

    return op


max_dim = _extreme_with_index("max", "max")
min_dim = _extreme_with_index("min", "min")


def _arg(name: str, kind: str, oracle: Any) -> Op:
    op = Op(
        name,
        ("input",),
        {"dim": 0, "keepdim": False},
        differentiable=False,
        doc=f"Index of the {'largest' if kind == 'max' else 'smallest'} element along one dimension, the first of equal ones.",
    )

    @op.plan
    def _(b: PlanBuilder, input: Operand, dim: int, keepdim: bool) -> None:
        _check_not_empty(name, input.spec, (dim,))
        out = b.output(dtypes.int64, _proved_shape(input, (dim,), keepdim))
        plan_reduce_index(b, kind, input, None, out, (dim,))

    op.batch(rules.along_dim)

    @op.oracle
    def _(x, dim, keepdim):
        return oracle(x, dim, keepdims=keepdim)

    return op


argmax = _arg("argmax", "max", np.argmax)
argmin = _arg("argmin", "min", np.argmin)


def _logical(name: str, oracle: Any) -> Op:
    op = Op(name, ("input",), _PARAMS, differentiable=False, doc=f"Whether {name} of the elements over dims is not 0.")

    @op.plan
    def _(b: PlanBuilder, input: Operand, dims: Any, keepdim: bool) -> None:
        out = b.output(dtypes.bool_, _proved_shape(input, dims, keepdim))
        plan_reduce(b, name, input, out, dims)

    op.batch(rules.over_dims)

    @op.oracle
    def _(x, dims, keepdim):
        return oracle(x, dims, keepdims=keepdim)

    return op


any_ = _logical("any", np.any)
all_ = _logical("all", np.all)
