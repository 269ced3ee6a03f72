"""Joining any number of tensors along a dimension, old or new, and the reverse."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from operator import itemgetter
from typing import Any

import numpy as np

from numgrad.errors import DtypeError, ShapeError
from numgrad.kernels.join import plan_join
from numgrad.layout import Spec, contiguous_strides, spec_of
from numgrad.ops.creation import full
from numgrad.ops.layouts import plan_copy
from numgrad.ops.proofs import prove_dim, prove_ints
from numgrad.ops.view import permute, slice_, unsqueeze
from numgrad.registry import EVERY, Op, find
from numgrad.runtime.plan import GRAIN_COST, Operand, PlanBuilder

_FEW = 16  # inputs with a launch each; more of them share one launch, but for large ones
_MOST_SINGLE = 64

cat = Op(
    "cat", ("tensors",), {"dim": 0}, variadic=True,
    doc="Tensors, any number of them, joined along an existing dimension.",
)  # fmt: skip


@cat.plan
def _(b: PlanBuilder, *tensors: Operand, dim: int) -> None:
    _plan_joined(b, "cat", tensors, _specs("cat", tensors), dim)


def _specs(op: str, tensors: Sequence[Operand]) -> list[Spec]:
    if not tensors or any(tensor is None for tensor in tensors):
        raise ShapeError(f"{op}: got {len(tensors)} inputs, expected at least one tensor and no None")
    return [tensor.spec for tensor in tensors]


def _plan_joined(b: PlanBuilder, op: str, tensors: Sequence[Operand], specs: list[Spec], dim: int) -> None:
    """Join tensors, with these specs, along an existing dimension."""
    first = specs[0]
    prove_dim(op, dim, first.ndim)
    kinds = dict.fromkeys(specs)
    for spec in kinds:
        if spec.ndim != first.ndim or any(
            axis != dim and extent != first.shape[axis] for axis, extent in enumerate(spec.shape)
        ):
            raise ShapeError(
                f"{op}: tensor {specs.index(spec)} has shape {list(spec.shape)}, expected that of tensor 0, "
                f"{list(first.shape)}, except in dimension {dim}"
            )
        if spec.dtype is not first.dtype:
            raise DtypeError(
                f"{op}: tensor {specs.index(spec)} is of {spec.dtype}, expected {first.dtype}, as tensor 0"
            )
    extents = {spec: spec.shape[dim] for spec in kinds}
    ends = list(accumulate([extents[spec] for spec in specs]))
    shape = (*first.shape[:dim], ends[-1], *first.shape[dim + 1 :])
    out = b.output(first.dtype, shape)
    strides = contiguous_strides(shape)
    begins = [begin * strides[dim] for begin in (0, *ends[:-1])]
    if len(tensors) <= _FEW:
        single = [position for position, spec in enumerate(specs) if spec.numel]
    else:
        large = {spec for spec in kinds if spec.numel >= GRAIN_COST}
        single = [position for position, spec in enumerate(specs) if spec in large][:_MOST_SINGLE] if large else []
    for position in single:
        spec = specs[position]
        source = tensors[position].view(tuple(spec.shape), spec.strides)
        plan_copy(b, source, out.view(tuple(spec.shape), strides, begins[position]))
    if len(tensors) > _FEW:
        joined = np.array([spec.numel > 0 for spec in specs])
        joined[single] = False
        plan_join(b, specs, np.flatnonzero(joined), np.array(begins), out)


@cat.backward
def _(ctx, grad):
    dim = ctx.params.dim
    pieces = split(grad, sizes=tuple([spec.shape[dim] for spec in ctx.input_specs]), dim=dim)
    return tuple([piece if needed else None for piece, needed in zip(pieces, ctx.needs, strict=True)])


cat.linear_in("tensors")


@cat.batch
def _joined(batch: Any, *tensors: Any, dim: int) -> Any:
    return batch.op(*batch.all(*tensors), dim=dim + 1)


@cat.oracle
def _(*arrays, dim):
    return np.concatenate(arrays, dim)


split = Op(
    "split",
    ("input",),
    {"sizes": (), "dim": 0},
    outputs=("pieces",),
    public=EVERY,
    doc="Views of the input, one after the other along a dimension, of the given sizes.",
)


@split.plan
def _(b: PlanBuilder, input: Operand, sizes: tuple[int, ...], dim: int) -> None:
    spec = input.spec
    prove_dim("split", dim, spec.ndim)
    if sum(prove_ints("split", "sizes", sizes, low=0)) != spec.shape[dim]:
        raise ShapeError(f"split: the sizes sum to {sum(sizes)}, expected {spec.shape[dim]}")
    b.exposed(input)
    before, after, begin = tuple(spec.shape[:dim]), tuple(spec.shape[dim + 1 :]), 0
    for size in sizes:
        b.view(input, (*before, size, *after), spec.strides, begin * spec.strides[dim])
        begin += size


@split.backward
def _(ctx, *grads):
    """The pieces joined again; unused pieces are zeros."""
    sizes, dim = ctx.params
    spec = ctx.input_specs[0]
    parts: list[Any] = []
    missing = 0
    for size, grad in zip((*sizes, 0), (*grads, None), strict=True):
        if grad is None:
            missing += size
            continue
        if missing:
            parts.append(_zeros(spec, dim, missing))
            missing = 0
        parts.append(grad)
    if missing or not parts:
        parts.append(_zeros(spec, dim, missing))
    return cat(*parts, dim=dim)


split.linear_in("input")


@split.batch
def _(batch, x, sizes, dim):
    return split(x, sizes=sizes, dim=dim + 1)


@split.oracle
def _(x, sizes, dim):
    return tuple(np.split(x, np.cumsum(sizes)[:-1], dim))


stack = Op(
    "stack", ("tensors",), {"dim": 0}, variadic=True,
    doc="Tensors of one shape, any number of them, joined along a new dimension.",
)  # fmt: skip


@stack.plan
def _(b: PlanBuilder, *tensors: Operand, dim: int) -> None:
    specs = _specs("stack", tensors)
    prove_dim("stack", dim, specs[0].ndim + 1)
    wider = {}
    for spec in dict.fromkeys(specs):
        if spec.shape != specs[0].shape:
            raise ShapeError(
                f"stack: tensor {specs.index(spec)} has shape {list(spec.shape)}, expected that of tensor 0, "
                f"{list(specs[0].shape)}"
            )
        shape, strides = spec.shape, tuple(spec.strides)
        wider[spec] = spec_of(spec.dtype, (*shape[:dim], 1, *shape[dim:]), (*strides[:dim], 0, *strides[dim:]))
    _plan_joined(b, "stack", tensors, [wider[spec] for spec in specs], dim)


@stack.backward
def _(ctx, grad):
    pieces = unbind(grad, dim=ctx.params.dim)
    return tuple([piece if needed else None for piece, needed in zip(pieces, ctx.needs, strict=True)])


stack.linear_in("tensors")
stack.batch(_joined)


@stack.oracle
def _(*arrays, dim):
    return np.stack(arrays, dim)


unbind = Op(
    "unbind",
    ("input",),
    {"dim": 0},
    outputs=("slices",),
    public=EVERY,
    doc="Views of the input: its slices along a dimension, without it.",
)


@unbind.plan
def _(b: PlanBuilder, input: Operand, dim: int) -> None:
    spec = input.spec
    prove_dim("unbind", dim, spec.ndim)
    b.exposed(input)
    shape, strides = (*spec.shape[:dim], *spec.shape[dim + 1 :]), (*spec.strides[:dim], *spec.strides[dim + 1 :])
    for index in range(spec.shape[dim]):
        b.view(input, shape, strides, index * spec.strides[dim])


@unbind.backward
def _(ctx, *grads):
    dim, spec = ctx.params.dim, ctx.input_specs[0]
    if all(grad is None for grad in grads):
        return _zeros(spec, dim, spec.shape[dim])
    shape = (*spec.shape[:dim], *spec.shape[dim + 1 :])
    unused = (
        find("expand")(full(size=(), value=0.0, dtype=spec.dtype), size=shape)
        if any(g is None for g in grads)
        else None
    )
    return stack(*[unused if grad is None else grad for grad in grads], dim=dim)


unbind.linear_in("input")


@unbind.batch
def _(batch, x, dim):
    return unbind(x, dim=dim + 1)


@unbind.oracle
def _(x, dim):
    return tuple(np.moveaxis(x, dim, 0))


def _zeros(spec: Any, dim: int, extent: int) -> Any:
    size = (*spec.shape[:dim], extent, *spec.shape[dim + 1 :])
    return find("expand")(full(size=(), value=0.0, dtype=spec.dtype), size=size)


@slice_.join_windows
def _(spec, windows, strided):
    """Windows of one dimension, whole in the others, which do not overlap: zeros where there is none."""
    sizes, ndim = windows[0][0].sizes, spec.ndim
    cut = [axis for axis in range(ndim) if sizes[axis] != spec.shape[axis]]
    if len(cut) != 1:
        return None
    axis = cut[0]
    rows = []
    for p, grad in windows:
        size = p.sizes[axis]
        others = p.sizes == sizes or (p.sizes[:axis] == sizes[:axis] and p.sizes[axis + 1 :] == sizes[axis + 1 :])
        if not others or (size > 1 and p.steps[axis] != 1) or p.dropped not in ((), (axis,)):
            return None
        rows.append((p.starts[axis], size, bool(p.dropped), grad))
    rows.sort(key=itemgetter(0))
    order = list(range(ndim))
    if strided and spec.is_dense and not spec.is_private:
        order.sort(key=lambda each: -spec.strides[each])
    dim, turns = order.index(axis), order != list(range(ndim))
    rest = tuple([each - (each > axis) for each in order if each != axis])
    alone = len(rows) == spec.shape[axis] and all(dropped for _, _, dropped, _ in rows)
    parts: list[Any] = []
    end = 0
    for start, size, dropped, grad in [*rows, (spec.shape[axis], 0, False, None)]:
        if start < end:
            return None
        if start > end:
            gap = _zeros(spec, axis, start - end)
            parts.append(permute(gap, dims=tuple(order)) if turns else gap)
        if size:
            if dropped:
                grad = permute(grad, dims=rest) if turns else grad
                parts.append(grad if alone else unsqueeze(grad, dim=dim))
            else:
                parts.append(permute(grad, dims=tuple(order)) if turns else grad)
        end = start + size
    total = (stack if alone else cat)(*parts, dim=dim)
    return permute(total, dims=tuple([order.index(each) for each in range(ndim)])) if turns else total
