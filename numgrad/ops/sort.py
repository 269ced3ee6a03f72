"""Sorting along a dimension, the smallest or largest elements, and searching in what is sorted.

All of it is stable: of equal elements the first comes first. A NaN is larger than all numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad import dtypes
from numgrad.errors import DtypeError, ShapeError
from numgrad.kernels.index import plan_gather_elements
from numgrad.kernels.search import plan_find_bins, plan_search
from numgrad.kernels.sort import NANS_LAST, NANS_MISSING, NANS_WIN, plan_select, plan_sort
from numgrad.layout import contiguous_strides, output_strides, product
from numgrad.ops import rules
from numgrad.ops.creation import full
from numgrad.ops.index import gather, scatter_add
from numgrad.ops.layouts import contiguous, plan_copy
from numgrad.ops.proofs import prove_dim, prove_dtype, prove_int
from numgrad.ops.view import reshape, unsqueeze
from numgrad.registry import Op
from numgrad.runtime.plan import Operand, PlanBuilder


class _Lines:
    """An operand and its outputs with ``dim`` as the last dimension, the others in the order of a layout."""

    def __init__(self, b: PlanBuilder, strides: tuple[int, ...], dim: int) -> None:
        order = sorted(range(len(strides)), key=lambda axis: (-strides[axis], axis))
        self.b = b
        self.order = [*(axis for axis in order if axis != dim), dim]

    def _turned(self, x: Operand) -> Operand:
        shape, strides = (tuple(each[axis] for axis in self.order) for each in (x.spec.shape, x.spec.strides))
        return x.view(shape, strides)

    def of(self, x: Operand) -> Operand:
        """x as contiguous lines."""
        return contiguous(self.b, self._turned(x))

    def for_output(self, out: Operand) -> Operand:
        """Contiguous lines to be written: the output itself if it lies so, else scratch memory for `finish`."""
        turned = self._turned(out)
        if turned.spec.is_contiguous:
            return turned
        shape = tuple(turned.spec.shape)
        return self.b.scratch(out.spec.dtype, out.spec.numel).view(shape, contiguous_strides(shape))

    def finish(self, lines: Operand, out: Operand) -> None:
        """Bring written lines to the output."""
        if lines.index != out.index:
            plan_copy(self.b, lines, self._turned(out))


def _plan(
    b: PlanBuilder, input: Operand, dim: int, end: int | None, first: int, descending: bool, keepdim: bool = True,
    nans: int = NANS_LAST,
) -> None:  # fmt: skip
    """Values and indices of the sorted elements from ``first`` up to ``end``, or (None) of all in the input's layout."""
    shape = tuple(input.spec.shape)
    length = shape[dim] if end is None else end - first
    result = (*shape[:dim], length, *shape[dim + 1 :])
    strides = output_strides(shape, [input.spec]) if end is None else contiguous_strides(result)
    shown, shown_strides = result, strides
    if not keepdim:
        shown, shown_strides = ((*each[:dim], *each[dim + 1 :]) for each in (result, strides))
        shown_strides = contiguous_strides(shown)
        strides = (*shown_strides[:dim], 1, *shown_strides[dim:])
    values, indices = (b.output(dtype, shown, shown_strides) for dtype in (input.spec.dtype, dtypes.int64))
    if 0 in result:
        return
    values, indices = values.view(result, tuple(strides)), indices.view(result, tuple(strides))
    lines = _Lines(b, tuple(strides), dim)
    x, places, chosen = lines.of(input), lines.for_output(indices), lines.for_output(values)
    if end is None:
        plan_sort(b, x, places, descending=descending)
    else:
        plan_select(b, x, places, end=end, first=first, descending=descending, nans=nans)
    plan_gather_elements(b, x, places, chosen, len(shape) - 1)
    lines.finish(places, indices)
    lines.finish(chosen, values)


def _follows_indices(op: Op) -> None:
    """The derivatives of an op whose values are elements of the input, named by its second output."""

    @op.backward
    def _(ctx, grad, _indices_grad=None):
        (indices,), dim, shape = ctx.saved, ctx.params.dim, tuple(ctx.input_specs[0].shape)
        if indices._spec.ndim < len(shape):
            grad, indices = unsqueeze(grad, dim=dim), unsqueeze(indices, dim=dim)
        zeros = full(size=shape, value=0.0, dtype=grad._spec.dtype)
        return scatter_add(zeros, indices, grad, dim=dim)

    @op.jvp
    def _(ctx, tangent):
        indices, dim = ctx.outputs[1], ctx.params.dim
        if indices._spec.ndim == tangent._spec.ndim:
            return gather(tangent, indices, dim=dim), None
        picked = gather(tangent, unsqueeze(indices, dim=dim), dim=dim)
        return reshape(picked, tuple(indices._spec.shape)), None

    op.batch(rules.along_dim)


def _sorted_places(x: Any, dim: int, descending: bool) -> np.ndarray:
    """NumPy's stable order, which has NaN last, as that of descending elements has it first."""
    if not descending:
        return np.argsort(x, dim, kind="stable")
    reverse = np.flip(np.argsort(np.flip(x, dim), dim, kind="stable"), dim)
    return x.shape[dim] - 1 - reverse


def _elements_at(x: Any, places: Any, dim: int, keepdim: bool) -> tuple[Any, Any]:
    """The elements that places with an extent of 1 at ``dim`` name, and these."""
    values = np.take_along_axis(x, places, dim)
    return (values, places) if keepdim else (np.squeeze(values, dim), np.squeeze(places, dim))


sort = Op(
    "sort",
    ("input",),
    {"dim": 0, "descending": False},
    outputs=("values", "indices"),
    public=2,
    saves=("indices",),
    doc="The elements along ``dim`` in order, and their indices. Equal ones keep their order; NaN is last, or first.",
)


@sort.plan
def _(b: PlanBuilder, input: Operand, dim: int, descending: bool) -> None:
    _plan(b, input, prove_dim("sort", dim, input.spec.ndim), None, 0, descending)


_follows_indices(sort)


@sort.oracle
def _(x, dim, descending):
    places = _sorted_places(x, dim, descending)
    return np.take_along_axis(x, places, dim), places


topk = Op(
    "topk",
    ("input",),
    {"k": 1, "dim": 0, "largest": True},
    outputs=("values", "indices"),
    public=2,
    saves=("indices",),
    doc="The k largest or smallest elements along ``dim`` in that order, and their indices, as a stable `sort` begins.",
)


@topk.plan
def _(b: PlanBuilder, input: Operand, k: int, dim: int, largest: bool) -> None:
    prove_dim("topk", dim, input.spec.ndim)
    if not 0 <= prove_int("topk", "k", k) <= input.spec.shape[dim]:
        raise ShapeError(
            f"topk: selected index k out of range: k is {k}, dim {dim} has {input.spec.shape[dim]} elements"
        )
    _plan(b, input, dim, k, 0, largest)


_follows_indices(topk)


@topk.oracle
def _(x, k, dim, largest):
    places = np.take(_sorted_places(x, dim, largest), np.arange(k), dim)
    return np.take_along_axis(x, places, dim), places


kthvalue = Op(
    "kthvalue",
    ("input",),
    {"k": 1, "dim": 0, "keepdim": False, "nans": False},
    outputs=("values", "indices"),
    public=2,
    saves=("indices",),
    doc="The k-th smallest element along ``dim``, counted from 1, and its index: the k-th of a stable `sort`; or with ``nans`` "
    "the first NaN, if there is one.",
)


@kthvalue.plan
def _(b: PlanBuilder, input: Operand, k: int, dim: int, keepdim: bool, nans: bool) -> None:
    prove_dim("kthvalue", dim, input.spec.ndim)
    if not 1 <= prove_int("kthvalue", "k", k) <= input.spec.shape[dim]:
        raise ShapeError(
            f"kthvalue(): selected number k out of range for dimension {dim}: k is {k}, there are {input.spec.shape[dim]} elements"
        )
    _plan(
        b, input, dim, k, k - 1, False, keepdim, NANS_WIN if nans and input.spec.dtype.is_floating_point else NANS_LAST
    )


_follows_indices(kthvalue)


@kthvalue.oracle
def _(x, k, dim, keepdim, nans):
    places = np.take(_sorted_places(x, dim, False), [k - 1], dim)
    if nans and x.dtype.kind == "f":
        places = np.where(np.isnan(x).any(dim, keepdims=True), np.isnan(x).argmax(dim, keepdims=True), places)
    return _elements_at(x, places, dim, keepdim)


nanmedian = Op(
    "nanmedian",
    ("input",),
    {"dim": 0, "keepdim": False},
    outputs=("values", "indices"),
    public=2,
    saves=("indices",),
    doc="The lower median along ``dim`` of the elements that are not NaN, and its index; of floating point. NaN if all are.",
)


@nanmedian.plan
def _(b: PlanBuilder, input: Operand, dim: int, keepdim: bool) -> None:
    prove_dim("nanmedian", dim, input.spec.ndim)
    if not input.spec.dtype.is_floating_point:
        raise DtypeError(f"nanmedian: input has dtype {input.spec.dtype}, expected floating point; others have no NaN")
    if not input.spec.shape[dim]:
        raise ShapeError(f"nanmedian(): dimension {dim} has no elements")
    _plan(b, input, dim, 1, 0, False, keepdim, NANS_MISSING)


_follows_indices(nanmedian)


@nanmedian.oracle
def _(x, dim, keepdim):
    rank = np.maximum((~np.isnan(x)).sum(dim, keepdims=True) - 1, 0) // 2
    return _elements_at(x, np.take_along_axis(_sorted_places(x, dim, False), rank, dim), dim, keepdim)


searchsorted = Op(
    "searchsorted",
    ("sorted_sequence", "input"),
    {"right": False},
    differentiable=False,
    doc="For each element of input the number of elements of its sorted line that are below it, with ``right`` not above it. "
    "There is one line for all, or one for each line of input.",
)


@searchsorted.plan
def _(b: PlanBuilder, sorted_sequence: Operand, input: Operand, right: bool) -> None:
    lines, values = sorted_sequence.spec, input.spec
    if lines.dtype is not values.dtype:
        raise DtypeError(
            f"searchsorted: boundaries are of {lines.dtype} and input of {values.dtype}, expected one dtype; convert with .to()"
        )
    if not lines.ndim or (lines.ndim > 1 and tuple(lines.shape[:-1]) != tuple(values.shape[:-1])):
        raise ShapeError(
            "searchsorted: boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor and input "
            f"value tensor must match, but we got boundaries tensor {list(lines.shape)} and input value tensor "
            f"{list(values.shape)}"
        )
    out = b.output(dtypes.int64, tuple(values.shape))
    plan_search(b, contiguous(b, sorted_sequence), contiguous(b, input), out, right=right)


@searchsorted.batch
def _(batch, lines, values, right):
    if batch.only(1) and lines._spec.ndim == 1:
        return searchsorted(lines, values, right=right)
    lines, values = batch.all(lines, values)
    shape = tuple(values._spec.shape)
    if lines._spec.ndim == 2:  # one line for all values of an example
        values = reshape(values, (shape[0], product(shape[1:])))
    return reshape(searchsorted(lines, values, right=right), shape)


@searchsorted.oracle
def _(lines, values, right):
    side: Any = "right" if right else "left"
    if lines.ndim == 1:
        return np.searchsorted(lines, values, side)
    rows = lines.reshape(-1, lines.shape[-1]), values.reshape(-1, values.shape[-1])
    positions = [np.searchsorted(line, row, side) for line, row in zip(*rows, strict=True)]
    return np.array(positions, np.int64).reshape(values.shape)


find_bins = Op(
    "find_bins",
    ("input", "edges"),
    {"column": 0, "scale": 0.0},
    differentiable=False,
    doc="For each row of input [N, D] the bin into which its element of a column falls, between edges in order; the number of bins "
    "where it lies outside of all. ``scale`` is the number of bins for a unit where all have one width, or 0.",
)


@find_bins.plan
def _(b: PlanBuilder, input: Operand, edges: Operand, column: int, scale: float) -> None:
    if input.spec.ndim != 2 or edges.spec.ndim != 1 or edges.spec.numel < 2:
        raise ShapeError(
            f"find_bins: got {input.spec} and edges {edges.spec}, expected a matrix and at least two edges"
        )
    if not input.spec.dtype.is_floating_point:
        raise DtypeError(f"find_bins: the input is of {input.spec.dtype}, expected floating point")
    prove_dtype("find_bins", "edges", edges, input.spec.dtype)
    prove_int("find_bins", "column", column, 0, input.spec.shape[1] - 1)
    if not (isinstance(scale, float) and 0 <= scale < float("inf")):
        raise ValueError(f"find_bins: scale is {scale!r}, expected a finite float")
    out = b.output(dtypes.int64, (input.spec.shape[0],))
    plan_find_bins(b, contiguous(b, input), contiguous(b, edges), out, column, scale)


@find_bins.batch
def _(batch, x, edges, column, scale):
    if batch.flags[1]:
        return NotImplemented
    return rules.unfolded(find_bins(rules.folded(x), edges, column=column, scale=scale), batch.size)


@find_bins.oracle
def _(x, edges, column, scale):
    v, last = x[:, column], len(edges) - 2
    places = np.clip(np.searchsorted(edges, v, "right") - 1, 0, last)
    return np.where((v >= edges[0]) & (v <= edges[-1]), places, last + 1)
