"""Reading and writing by index tensors, of int64 or int32. They count from 0: -1 is out of range, as in torch."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.errors import DtypeError, OutOfRangeError, ShapeError
from numgrad.kernels.elementwise import broadcast_shapes
from numgrad.kernels.index import plan_gather_elements, plan_index_select, plan_linear_index
from numgrad.kernels.pieces import broadcast_strides
from numgrad.kernels.scatter import ADD, REPLACE, plan_index_scatter, plan_move_rows, plan_scatter_elements
from numgrad.layout import contiguous_strides, product
from numgrad.ops import rules
from numgrad.ops.creation import arange, cast, full, zeros_like
from numgrad.ops.elementwise import add, mul
from numgrad.ops.layouts import contiguous, plan_copy
from numgrad.ops.proofs import prove_dim, prove_ints, prove_shapes
from numgrad.ops.view import expand, reshape, slice_backward
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder


def _checked_index(b: PlanBuilder, name: str, index: Operand) -> Operand:
    """The index as kernels expect it: int64 and contiguous."""
    if index.spec.dtype is dtypes.int64:
        return contiguous(b, index)
    if index.spec.dtype is not dtypes.int32:
        raise DtypeError(
            f"{name}(): Expected dtype int64 or int32 for index, but got {index.spec.dtype}; convert with .long()"
        )
    shape = tuple(index.spec.shape)
    wide = b.scratch(dtypes.int64, index.spec.numel).view(shape, contiguous_strides(shape))
    plan_copy(b, index, wide)
    return wide


def out_of_range(status: int, params: Any) -> Exception:
    return OutOfRangeError(
        f"index out of range: the index at position {status - 1} (row-major) names no element; they count from 0, and only "
        "tensor[index] counts negative ones from the end"
    )


def _rows_index(index: Any, rest: tuple[int, ...]) -> Any:
    """[B, ...i] as [B, i, *rest]: every element of the rest has the same row."""
    b, *shape = index._spec.shape
    count = product(shape)
    flat = reshape(index, (b, count, *(1,) * len(rest)))
    return expand(flat, size=(b, count, *rest))


linear_index = Op(
    "linear_index",
    ("indices",),
    {"extents": ()},
    differentiable=False,
    variadic=True,
    elementwise=True,
    doc="One index, from 0 on, into several dimensions of so many ``extents`` merged, from one index for each, which broadcast. "
    "Negative ones count from the end.",
)
linear_index.on_status(out_of_range)


@linear_index.plan
def _(b: PlanBuilder, *indices: Operand, extents: Any) -> None:
    extents = prove_ints("linear_index", "extents", extents, len(indices), 0)
    shape = broadcast_shapes("linear_index", *(index.spec.shape for index in indices))
    out = b.output(dtypes.int64, shape)
    spread = [index.view(shape, tuple(broadcast_strides(index.spec, shape))) for index in indices]
    plan_linear_index(b, [_checked_index(b, "linear_index", index) for index in spread], extents, out)


@linear_index.oracle
def _(*indices, extents):
    wrapped = [np.where(index < 0, index + extent, index) for index, extent in zip(indices, extents, strict=True)]
    return np.ravel_multi_index(np.broadcast_arrays(*wrapped), extents).astype(np.int64)


# ---- rows -------------------------------------------------------------------------------------------------------

index_select = Op(
    "index_select",
    ("input", "index"),
    {"dim": 0},
    saves=("index",),
    graph_inputs=(0,),
    doc="The slices of input along ``dim`` that index names; the dimension is replaced by index's shape.",
)
index_select.on_status(out_of_range)


@index_select.plan
def _(b: PlanBuilder, input: Operand, index: Operand, dim: int) -> None:
    index = _checked_index(b, "index_select", index)
    shape = input.spec.shape
    prove_dim("index_select", dim, len(shape))
    out = b.output(input.spec.dtype, (*shape[:dim], *index.spec.shape, *shape[dim + 1 :]))
    plan_index_select(b, contiguous(b, input), index, out, dim)


@index_select.backward
def _(ctx, grad):
    (index,) = ctx.saved
    return index_select_backward(grad, index, size=tuple(ctx.input_specs[0].shape), dim=ctx.params.dim), None


index_select.linear_in("input")


@index_select.batch
def _(batch, x, index, dim):
    if batch.only(0):
        return index_select(x, index, dim=dim + 1)
    if batch.only(1):
        return rules.to_dim(index_select(x, index, dim=dim), dim, 0)
    shape = tuple(index._spec.shape[1:])
    moved = rules.to_dim(x, dim + 1, 1)  # [B, D, *rest]
    size, _, *rest = moved._spec.shape
    taken = gather(moved, _rows_index(index, tuple(rest)), dim=1)  # [B, i, *rest]
    return reshape(rules.to_dim(taken, 1, 1 + dim), (size, *rest[:dim], *shape, *rest[dim:]))


@index_select.oracle
def _(x, index, dim):
    return np.take(x, index, dim)


index_select_backward = Op(
    "index_select_backward",
    ("grad", "index"),
    {"size": (), "dim": 0},
    saves=("index",),
    graph_inputs=(0,),
    doc="Zeros of shape ``size`` to which the gradient's slices are added where `index_select` took them.",
)
index_select_backward.on_status(out_of_range)


@index_select_backward.plan
def _(b: PlanBuilder, grad: Operand, index: Operand, size: Any, dim: int) -> None:
    index = _checked_index(b, "index_select_backward", index)
    out = b.output(grad.spec.dtype, prove_ints("index_select_backward", "size", size))
    prove_dim("index_select_backward", dim, len(size))
    prove_shapes("index_select_backward", ("grad",), (grad,), (*size[:dim], *index.spec.shape, *size[dim + 1 :]))
    plan_index_scatter(b, contiguous(b, grad), index, out, dim, zero=True)


@index_select_backward.backward
def _(ctx, grad):
    (index,) = ctx.saved
    return index_select(grad, index, dim=ctx.params.dim), None


index_select_backward.linear_in("grad")


@index_select_backward.batch
def _(batch, grad, index, size, dim):
    if batch.only(0):
        return index_select_backward(grad, index, size=(batch.size, *size), dim=dim + 1)
    grad, index = batch.all(grad, index)
    count = product(index._spec.shape[1:])
    rest = (*size[:dim], *size[dim + 1 :])
    rows = rules.to_dim(reshape(grad, (batch.size, *size[:dim], count, *size[dim + 1 :])), 1 + dim, 1)
    zeros = full(size=(batch.size, size[dim], *rest), value=0.0, dtype=grad._spec.dtype)
    return rules.to_dim(scatter_add(zeros, _rows_index(index, rest), rows, dim=1), 1, 1 + dim)


@index_select_backward.oracle
def _(grad, index, size, dim):
    out = np.zeros(size, grad.dtype)
    ndim = index.ndim
    moved = np.moveaxis(grad, range(dim, dim + ndim), range(ndim)).reshape(index.size, *size[:dim], *size[dim + 1 :])
    np.add.at(np.moveaxis(out, dim, 0), index.ravel(), moved)
    return out


move_rows = Op(
    "move_rows",
    ("input", "index", "goals"),
    {"count": 0},
    saves=("index", "goals"),
    graph_inputs=(0,),
    doc="""``count`` rows, zeros to which the rows of input [V, D] are added: row index[i] to row goals[i], for vectors [N].

    Nothing of the size N x D is made.
    """,
)
move_rows.on_status(out_of_range)


@move_rows.plan
def _(b: PlanBuilder, input: Operand, index: Operand, goals: Operand, count: int) -> None:
    index, goals = (_checked_index(b, "move_rows", each) for each in (index, goals))
    (count,) = prove_ints("move_rows", "count", (count,))
    if input.spec.ndim != 2 or index.spec.ndim != 1 or goals.spec.shape != index.spec.shape:
        raise ShapeError(
            f"move_rows: got input {input.spec}, index {index.spec} and goals {goals.spec}, expected a matrix and two vectors of "
            "one length"
        )
    out = b.output(input.spec.dtype, (count, input.spec.shape[1]))
    plan_move_rows(b, contiguous(b, input), index, goals, out)


@move_rows.backward
def _(ctx, grad):
    index, goals = ctx.saved
    return move_rows(grad, goals, index, count=ctx.input_specs[0].shape[0]), None, None


move_rows.linear_in("input")


@move_rows.batch
def _(batch, x, index, goals, count):
    if batch.only(0):
        size, rows, width = x._spec.shape
        moved = move_rows(reshape(rules.to_dim(x, 0, 1), (rows, size * width)), index, goals, count=count)
        return rules.to_dim(reshape(moved, (count, size, width)), 1, 0)
    x, index, goals = batch.all(x, index, goals)
    size, rows, width = x._spec.shape
    own = reshape(arange(count=size, dtype=index._spec.dtype), (size, 1))
    index, goals = add(index, mul(own, rows)), add(goals, mul(cast(own, dtype=goals._spec.dtype), count))
    moved = move_rows(rules.folded(x), rules.folded(index), rules.folded(goals), count=size * count)
    return reshape(moved, (size, count, width))


@move_rows.oracle
def _(x, index, goals, count):
    out = np.zeros((count, x.shape[1]), x.dtype)
    np.add.at(out, goals, x[index])
    return out


# ---- elements ---------------------------------------------------------------------------------------------------


def prove_elements(name: str, input: Operand, index: Operand, dim: int) -> None:
    """Prove the shapes of an index of elements along ``dim``."""
    prove_dim(name, dim, max(input.spec.ndim, 1))
    a, i = input.spec.shape, index.spec.shape
    if len(a) != len(i) or any(n > m for axis, (n, m) in enumerate(zip(i, a, strict=False)) if axis != dim):
        raise ShapeError(
            f"{name}: Size does not match at dimension {dim}: expected index {list(i)} to be no larger than self {list(a)} apart "
            f"from dimension {dim}"
        )


def _one_for_all(b: PlanBuilder, name: str, input: Operand, index: Operand, dim: int) -> Operand | None:
    """The vector of an index that says the same for all lines, as a vector does that was expanded: it names slices."""
    shape, strides = tuple(index.spec.shape), index.spec.strides
    others = [axis for axis in range(len(shape)) if axis != dim]
    if not others or any(shape[axis] != input.spec.shape[axis] for axis in others):
        return None
    if any(strides[axis] and shape[axis] > 1 for axis in others) or index.spec.numel <= shape[dim]:
        return None
    return _checked_index(b, name, index.view((shape[dim],), (strides[dim],)))


def _any_index(b: PlanBuilder, name: str, index: Operand) -> Operand:
    """The index as kernels expect it; one without elements may have any dtype, as in torch."""
    if index.spec.numel:
        return _checked_index(b, name, index)
    return b.scratch(dtypes.int64, 0).view(tuple(index.spec.shape), contiguous_strides(index.spec.shape))


def plan_scatter(
    b: PlanBuilder, name: str, input: Operand, index: Operand, src: Operand, dim: int, way: int
) -> None:  # fmt: skip
    """The output of an op that writes ``src``, of at least index's extents, into its input."""
    prove_elements(name, input, index, dim)
    out = b.output(input.spec.dtype, tuple(input.spec.shape))
    plan_copy(b, input, out)
    if src.spec.shape == index.spec.shape and (rows := _one_for_all(b, name, input, index, dim)) is not None:
        plan_index_scatter(b, contiguous(b, src), rows, out, dim, way=way)
    else:
        plan_scatter_elements(b, src, _any_index(b, name, index), out, dim, way)


gather = Op(
    "gather",
    ("input", "index"),
    {"dim": 0},
    saves=("index",),
    graph_inputs=(0,),
    doc="out[i][j][k] = input[i][index[i][j][k]][k] for dim 1, and so on.",
)
gather.on_status(out_of_range)


@gather.plan
def _(b: PlanBuilder, input: Operand, index: Operand, dim: int) -> None:
    prove_elements("gather", input, index, dim)
    out = b.output(input.spec.dtype, tuple(index.spec.shape))
    if (rows := _one_for_all(b, "gather", input, index, dim)) is not None:
        plan_index_select(b, contiguous(b, input), rows, out, dim)
    else:
        plan_gather_elements(b, input, _any_index(b, "gather", index), out, dim)


@gather.backward
def _(ctx, grad):
    (index,) = ctx.saved
    zeros = full(size=tuple(ctx.input_specs[0].shape), value=0.0, dtype=grad.dtype)
    return scatter_add(zeros, index, grad, dim=ctx.params.dim), None


gather.linear_in("input")
gather.batch(rules.along_dim)


@gather.oracle
def _(x, index, dim):
    cut = tuple(slice(None) if axis == dim else slice(0, n) for axis, n in enumerate(index.shape))
    return np.take_along_axis(x[cut] if x.ndim else x, index, dim if x.ndim else None)


scatter_add = Op(
    "scatter_add",
    ("input", "index", "src"),
    {"dim": 0},
    saves=("index",),
    graph_inputs=(0, 2),
    doc="input, with src[i][j][k] added at [i][index[i][j][k]][k] for dim 1, and so on.",
)
scatter_add.on_status(out_of_range)


@scatter_add.plan
def _(b: PlanBuilder, input: Operand, index: Operand, src: Operand, dim: int) -> None:
    if src.spec.dtype is not input.spec.dtype or src.spec.ndim != index.spec.ndim:
        raise ShapeError(
            f"scatter_add: src is {src.spec}, expected {input.spec.dtype} with index's number of dimensions"
        )
    if any(n > m for n, m in zip(index.spec.shape, src.spec.shape, strict=True)):
        raise ShapeError(f"scatter_add: index {list(index.spec.shape)} is larger than src {list(src.spec.shape)}")
    plan_scatter(b, "scatter_add", input, index, src, dim, ADD)


@scatter_add.backward
def _(ctx, grad):
    (index,) = ctx.saved
    to_src = None
    if ctx.needs[2]:
        to_src, size = gather(grad, index, dim=ctx.params.dim), tuple(ctx.input_specs[2].shape)
        if tuple(to_src._spec.shape) != size:
            to_src = slice_backward(to_src, size=size, starts=(0,) * len(size), steps=(1,) * len(size))
    return grad, None, to_src


scatter_add.linear_in("input", "src")
scatter_add.batch(rules.along_dim)


@scatter_add.oracle
def _(x, index, src, dim):
    out = x.copy()
    places = list(np.indices(index.shape))
    if places:
        places[dim] = index
    np.add.at(out, tuple(places), src[tuple(slice(0, n) for n in index.shape)])
    return out


index_put = Op(
    "index_put",
    ("input", "index", "values"),
    {"accumulate": False, "dim": 0},
    saves=("index",),
    graph_inputs=(0, 2),
    doc="input, with its slices along ``dim`` that index names replaced by, or increased by, those of values.",
)
index_put.on_status(out_of_range)


def _prove_put(
    b: PlanBuilder, name: str, input: Operand, index: Operand, values: Operand, dim: int
) -> Operand:  # fmt: skip
    """The index as kernels expect it, where the operands fit."""
    index = _checked_index(b, name, index)
    shape = tuple(input.spec.shape)
    if not shape:
        raise IndexError(f"{name}: the input has no dimensions, expected at least one")
    prove_dim(name, dim, len(shape))
    expected = (*shape[:dim], *index.spec.shape, *shape[dim + 1 :])
    if tuple(values.spec.shape) != expected or values.spec.dtype is not input.spec.dtype:
        raise ShapeError(f"{name}: values is {values.spec}, expected shape {list(expected)} of {input.spec.dtype}")
    return index


@index_put.plan
def _(b: PlanBuilder, input: Operand, index: Operand, values: Operand, accumulate: bool, dim: int) -> None:
    index = _prove_put(b, "index_put", input, index, values, dim)
    out = b.output(input.spec.dtype, tuple(input.spec.shape))
    plan_copy(b, input, out)
    plan_index_scatter(b, contiguous(b, values), index, out, dim, way=ADD if accumulate else REPLACE)


@index_put.backward
def _(ctx, grad):
    (index,), dim = ctx.saved, ctx.params.dim
    to_values = index_select(grad, index, dim=dim) if ctx.needs[2] else None
    if ctx.params.accumulate or not ctx.needs[0]:
        return grad, None, to_values
    zeros = full(size=tuple(ctx.input_specs[2].shape), value=0.0, dtype=grad.dtype)
    return index_put(grad, index, zeros, dim=dim), None, to_values


index_put.linear_in("input", "values")


@index_put.batch
def _(batch, x, index, values, accumulate, dim):
    if batch.flags[1]:
        return NotImplemented
    x, _, values = batch.all(x, index, values)
    return index_put(x, index, values, accumulate=accumulate, dim=dim + 1)


@index_put.oracle
def _(x, index, values, accumulate, dim):
    out = x.copy()
    places = (slice(None),) * dim + (index,)
    if accumulate:
        np.add.at(out, places, values)
    else:
        out[places] = values
    return out


index_put_ = Op(
    "index_put_",
    ("input", "index", "values"),
    {"accumulate": False, "dim": 0},
    saves=("index",),
    graph_inputs=(0, 2),
    node_name="IndexPutBackward0",
    mutates=True,
    doc="`index_put` written over input, which it returns; an index out of range is refused before anything is written.",
)
index_put_.on_status(out_of_range)


@index_put_.plan
def _(b: PlanBuilder, input: Operand, index: Operand, values: Operand, accumulate: bool, dim: int) -> None:
    index = _prove_put(b, "index_put_", input, index, values, dim)
    target = b.in_place(input)
    out = contiguous(b, target)
    plan_index_scatter(b, contiguous(b, values), index, out, dim, way=ADD if accumulate else REPLACE, checked=True)
    if out is not target:
        plan_copy(b, out, target)


index_put_.backward_function = index_put.backward_function


@index_put_.jvp
def _(ctx, to_input, _, to_values):
    x, index, values = ctx.inputs
    to_input = zeros_like(x) if to_input is None else to_input
    to_values = zeros_like(values) if to_values is None else to_values
    return index_put(to_input, index, to_values, accumulate=ctx.params.accumulate, dim=ctx.params.dim)


@index_put_.batch
def _(batch, x, index, values, accumulate, dim):
    if batch.flags[1] or not batch.flags[0]:
        return NotImplemented
    _, _, values = batch.all(x, index, values)
    return index_put_(x, index, values, accumulate=accumulate, dim=dim + 1)


index_put_.oracle_function = index_put.oracle_function
