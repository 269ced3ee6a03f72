"""Functions of shapes, copies and indices beside torch's, and their derivatives."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from tests.tensor.calls import Row, Table, assert_same, check_batches, check_derivatives, f64, i64, told

row = Table()

# ---- repeated, turned round -------------------------------------------------------------------------------------

row("repeat", lambda lib, x: x.repeat(2, 3), f64(2, 3))
row("repeat with new dims", lambda lib, x: x.repeat(2, 1, 3), f64(3))
row("repeat of a tuple", lambda lib, x: x.repeat((1, 1)), f64(2, 3))
row("repeat nothing", lambda lib, x: x.repeat(0, 1), f64(2, 3))
row("repeat of all of four", lambda lib, x: x.repeat(2, 3, 2, 2), f64(2, 2, 2, 2))
row("repeat of a transpose", lambda lib, x: x.t().repeat(2, 1), f64(2, 3))
row("repeat of a scalar", lambda lib, x: x.repeat(3), f64())
row("tile", lambda lib, x: lib.tile(x, (2,)), f64(2, 3))
row("tile method", lambda lib, x: x.tile(2, 1, 2), f64(2, 3))
row("repeat_interleave", lambda lib, x: x.repeat_interleave(2), f64(2, 3))
row("repeat_interleave dim", lambda lib, x: lib.repeat_interleave(x, 3, dim=1), f64(2, 3))
row("repeat_interleave by a vector", lambda lib, x, n: lib.repeat_interleave(x, n, dim=0), f64(3, 2), [2, 0, 1])
row("repeat_interleave by one", lambda lib, x, n: x.repeat_interleave(n, 1, output_size=6), f64(2, 3), [2])
row("repeat_interleave alone", lambda lib, n: lib.repeat_interleave(n), [2, 0, 1])
row("flip", lambda lib, x: lib.flip(x, (0, -1)), f64(2, 3, 4))
row("flip of ints", lambda lib, x: x.flip(1), f64(2, 3))
row("flip nothing", lambda lib, x: x.flip(()), f64(2, 3))
row("flip integers", lambda lib, x: x.flip(0), i64(0, 9, 5))
row("fliplr", lambda lib, x: x.fliplr(), f64(2, 3))
row("flipud", lambda lib, x: lib.flipud(x), f64(2, 3))
row("roll", lambda lib, x: lib.roll(x, 1), f64(2, 3))
row("roll two", lambda lib, x: x.roll((1, -4), (0, 1)), f64(2, 3))
row("roll none", lambda lib, x: x.roll(0, 1), f64(2, 3))
row("rot90", lambda lib, x: [lib.rot90(x, k, (0, 1)) for k in range(-1, 4)], f64(2, 3))
row("rot90 of others", lambda lib, x: x.rot90(1, [1, 2]), f64(2, 3, 2))

# ---- grids, stacks ----------------------------------------------------------------------------------------------

for _indexing in ("ij", "xy"):
    row(f"meshgrid {_indexing}", lambda lib, x, y, i=_indexing: lib.meshgrid(x, y, indexing=i), f64(2), f64(3))
row("meshgrid of three", lambda lib, x, y, z: lib.meshgrid([x, y, z], indexing="xy"), f64(2), f64(3), f64(2))
row("meshgrid of a scalar", lambda lib, x: lib.meshgrid(x, indexing="xy"), f64())
row("cartesian_prod", lambda lib, x, y: lib.cartesian_prod(x, y), f64(2), f64(3))
row("cartesian_prod of one", lambda lib, x: lib.cartesian_prod(x), f64(2))
row("combinations", lambda lib, x: [lib.combinations(x), lib.combinations(x, 3), lib.combinations(x, 1)], f64(4))
row("combinations again", lambda lib, x: [lib.combinations(x, r, True) for r in (2, 3)], f64(3))
row("combinations of none", lambda lib, x: [lib.combinations(x, 0), lib.combinations(x, 5)], f64(3), batches=False)
row("broadcast_tensors", lambda lib, x, y: lib.broadcast_tensors(x, y), f64(2, 1), f64(3))
row("broadcast_to", lambda lib, x: [lib.broadcast_to(x, (2, 3)), x.broadcast_to((2, 3))], f64(3))
row("broadcast_shapes", lambda lib: [tuple(lib.broadcast_shapes((2, 1), 3)), tuple(lib.broadcast_shapes((0,), (1,)))])
for _depth in (1, 2, 3):
    for _shape in ((), (2,), (2, 3), (2, 3, 1)):
        row(f"atleast {_depth} of {_shape}", lambda lib, x, d=_depth: getattr(lib, f"atleast_{d}d")(x), f64(*_shape))
row("atleast of several", lambda lib, x, y: lib.atleast_2d(x, y), f64(2), f64())
for _name in ("hstack", "vstack", "dstack", "column_stack", "row_stack"):
    for _shape in ((), (2,), (2, 3), (2, 3, 2)):
        row(f"{_name} of {_shape}", lambda lib, x, y, n=_name: getattr(lib, n)([x, y]), f64(*_shape), f64(*_shape))
row("concat", lambda lib, x, y: [lib.concat((x, y), 1), lib.concatenate((x, y))], f64(2, 2), f64(2, 2))
row("block_diag", lambda lib, x, y, z: lib.block_diag(x, y, z), f64(2, 3), f64(2), f64())
row("block_diag promotes", lambda lib, x, y: lib.block_diag(x, y), i64(0, 9, 2, 2), f64(1, 1))
row(
    "vander",
    lambda lib, x: [lib.vander(x), lib.vander(x, 4, True), lib.vander(x, 1)],
    f64(3),
    tolerance=10,
    torchs_gradient=False,
)

# ---- elements and slices written by index -----------------------------------------------------------------------

_INDEX = i64(0, 3, 4, 2)
row("scatter", lambda lib, x, i, s: lib.scatter(x, 0, i, s), f64(3, 2), [[0, 2], [1, 0]], f64(2, 2))
row("scatter a part", lambda lib, x, i, s: x.scatter(1, i, s), f64(3, 3), [[2], [0]], f64(3, 2), torchs_gradient=False)
row("scatter a number", lambda lib, x, i: x.scatter(0, i, 2), f64(3, 2), _INDEX)
row("scatter value", lambda lib, x, i: x.scatter(0, i, value=2.5), f64(3, 2), _INDEX)
row("scatter in place", lambda lib, x, i: (x * 1).scatter_(0, i, 1.5), f64(3, 2), _INDEX)
row("scatter add", lambda lib, x, i: lib.scatter(x.detach(), 0, i, 2.0, reduce="add"), f64(3, 2), _INDEX)
row(
    "scatter multiply",
    lambda lib, x, i, s: x.scatter(0, i, s, reduce="multiply"),
    i64(1, 9, 3, 2),
    _INDEX,
    i64(1, 5, 4, 2),
)
row("scatter of a scalar", lambda lib, x, i: x.scatter(0, i, 7.0), f64(), np.array(0))
row("scatter into bools", lambda lib, i: lib.zeros(3, 4, dtype=lib.bool).scatter_(1, i, True), i64(0, 4, 3, 2))
row("scatter_add in place", lambda lib, x, i, s: (x * 1).scatter_add_(0, i, s), f64(3, 2), _INDEX, f64(4, 2))
for _reduce in ("sum", "prod", "mean", "amax", "amin"):
    for _self in (True, False):
        row(
            f"scatter_reduce {_reduce} {_self}",
            lambda lib, x, i, s, r=_reduce, k=_self: lib.scatter_reduce(x, 0, i, s, r, include_self=k),
            f64(3, 2), _INDEX, f64(4, 2),
        )  # fmt: skip
        row(
            f"scatter_reduce integers {_reduce} {_self}",
            lambda lib, x, i, s, r=_reduce, k=_self: x.scatter_reduce(0, i, s, r, include_self=k),
            i64(-5, 5, 3, 2), _INDEX, i64(-4, 5, 4, 2),
        )  # fmt: skip
        if _reduce != "sum":
            row(
                f"index_reduce {_reduce} {_self}",
                lambda lib, x, i, s, r=_reduce, k=_self: x.index_reduce(1, i, s, r, include_self=k),
                f64(2, 3), [0, 2, 2], f64(2, 3) + 0.05,
            )  # fmt: skip
row(
    "scatter_reduce ties",
    lambda lib, x, i, s: x.scatter_reduce(0, i, s, "amax"),
    np.zeros(2),
    [0, 0, 1],
    np.zeros(3),
    smooth=False,
)
row(
    "scatter_reduce in place",
    lambda lib, x, i, s: (x * 1).scatter_reduce_(0, i, s, "amin"),
    f64(3, 2),
    _INDEX,
    f64(4, 2),
)
row("index_add", lambda lib, x, i, s: lib.index_add(x, 0, i, s), f64(3, 2), [0, 2, 2], f64(3, 2))
row("index_add alpha", lambda lib, x, i, s: x.index_add(1, i, s, alpha=2.5), f64(2, 3), [0, 2], f64(2, 2))
row(
    "index_add in place",
    lambda lib, x, i, s: (x * 1).index_add_(-1, i, s),
    f64(2, 3),
    np.array([0, 2], np.int32),
    f64(2, 2),
)
row(
    "index_copy",
    lambda lib, x, i, s: [x.index_copy(1, i, s), (x * 1).index_copy_(1, i, s)],
    f64(2, 3),
    [2, 0],
    f64(2, 2),
)
row("index_fill", lambda lib, x, i: [x.index_fill(1, i, 7), (x * 1).index_fill_(0, i[:1], -1.5)], f64(2, 3), [1, 2])
row(
    "index_fill by a tensor",
    lambda lib, x, i, v: x.index_fill(0, i, v),
    f64(3, 2),
    [1, 2],
    f64(),
    torchs_gradient=False,
)
row("take", lambda lib, x, i: [lib.take(x, i), x.take(i[0])], f64(2, 3), [[0, -1], [5, 0]])
row("put", lambda lib, x, i, s: [x.put(i, s), (x * 1).put_(i, s)], f64(2, 3), [[0, -1], [3, 2]], f64(4))
row("put added", lambda lib, x, i, s: lib.tensor(1.0) * x.put(i, s, accumulate=True), f64(2, 3), [0, 0, 1], f64(3))
row("take_along_dim", lambda lib, x, i: lib.take_along_dim(x, i, 1), f64(3, 4), i64(0, 4, 3, 2))
row("take_along_dim broadcast", lambda lib, x, i: x.take_along_dim(i, dim=0), f64(3, 4), i64(0, 3, 2, 1))
row("take_along_dim of all", lambda lib, x, i: x.take_along_dim(i), f64(3, 4), i64(0, 12, 2, 2))
_MASK = np.array([[True, False, True], [False, False, True]])
row("masked_select", lambda lib, x, m: [lib.masked_select(x, m), x.masked_select(m[0])], f64(2, 3), _MASK)
row("masked_select broadcast", lambda lib, x, m: x.masked_select(m), f64(3), _MASK)
row("masked_select of a scalar", lambda lib, x: x.masked_select(x.detach() > 0), f64(), batches=False)
row("masked_scatter", lambda lib, x, m, s: x.masked_scatter(m, s), f64(2, 3), _MASK, f64(4))
row("masked_scatter in place", lambda lib, x, m, s: (x * 1).masked_scatter_(m[0], s), f64(2, 3), _MASK, f64(2, 2))

# ---- diagonals, triangles, windows ------------------------------------------------------------------------------

for _offset in (-4, -1, 0, 2, 9):
    row(f"tril {_offset}", lambda lib, x, k=_offset: [lib.tril(x, k), x.tril(diagonal=k)], f64(3, 4))
    row(f"triu {_offset}", lambda lib, x, k=_offset: [lib.triu(x, k), (x * 1).triu_(k)], f64(2, 3, 3))
    row(
        f"indices of triangles {_offset}", lambda lib, k=_offset: [lib.tril_indices(3, 4, k), lib.triu_indices(4, 3, k)]
    )
    row(f"diag {_offset}", lambda lib, x, y, k=_offset: [lib.diag(x, k), y.diag(k)], f64(3), f64(2, 4))
    row(f"diagonal {_offset}", lambda lib, x, k=_offset: [lib.diagonal(x, k), x.diagonal(k, 2, 0)], f64(3, 2, 3))
    row(f"diag_embed {_offset}", lambda lib, x, k=_offset: [lib.diag_embed(x, k), x.diag_embed(k, 0, 2)], f64(2, 3))
row("diagflat", lambda lib, x: lib.diagflat(x, 1), f64(2, 2))
row("diagonal_scatter", lambda lib, x, s: x.diagonal_scatter(s, 1), f64(3, 3), f64(2))
row(
    "fill_diagonal_",
    lambda lib, x: [(x * 1).fill_diagonal_(2.5), lib.zeros(7, 2).fill_diagonal_(1, wrap=True)],
    f64(2, 3),
)
row("fill_diagonal_ of a cube", lambda lib, x: (x * 1).fill_diagonal_(1.0), f64(2, 2, 2))
row("trace", lambda lib, x: [lib.trace(x), x.trace()], f64(2, 3))
row("unfold", lambda lib, x: [x.unfold(1, 3, 2), x.unfold(0, 2, 2), x.unfold(-1, 0, 1)], f64(2, 7))
row("unfold of a scalar", lambda lib, x: [x.unfold(0, 1, 1), x.unfold(0, 0, 1)], f64())
row("as_strided", lambda lib, x: lib.as_strided(x, (2, 2), (3, 1), 1), f64(2, 4), batches=False)
row("as_strided overlapping", lambda lib, x: x.as_strided((3, 3), (1, 1)), f64(6), batches=False)
row("as_strided of a view", lambda lib, x: x.detach()[1:].as_strided((2,), (2,), 0), f64(6), batches=False)
row(
    "as_strided_scatter",
    lambda lib, x, s: x.as_strided_scatter(s, (2,), (2,), 1),
    f64(4),
    f64(2),
    batches=False,
    torchs_gradient=False,
)

# ---- shapes -----------------------------------------------------------------------------------------------------

row("ravel", lambda lib, x: [lib.ravel(x), x.t().ravel()], f64(2, 3))
row("reshape_as", lambda lib, x, y: x.reshape_as(y), f64(2, 3), f64(6, 1))
row("resize", lambda lib, x: x.resize(3, 2), f64(2, 3))
row("ndimension", lambda lib, x: x.ndimension(), f64(2, 3), batches=False)
row("swapaxes", lambda lib, x: [lib.swapaxes(x, 0, -1), x.swapdims(0, 1)], f64(2, 3, 4))
row("movedim", lambda lib, x: [lib.movedim(x, 0, -1), x.moveaxis((0, 2), (1, 0)), x.movedim([-1], [0])], f64(2, 3, 4))
row("unflatten", lambda lib, x: [lib.unflatten(x, 1, (2, -1)), x.unflatten(0, (1, 2))], f64(2, 4))
row("squeeze_", lambda lib, x: [(x * 2).squeeze_(), (x * 2).squeeze_(0), (x * 2).squeeze_((0, 2))], f64(1, 2, 1))
row("unsqueeze_", lambda lib, x: [(x * 2).unsqueeze_(0), (x * 2).unsqueeze_(-1)], f64(2))
row("transpose_", lambda lib, x: [(x * 2).transpose_(0, 1), (x * 2).t_(), (x * 2).swapaxes_(0, -1)], f64(2, 3))
row(
    "sum_to_size",
    lambda lib, x: [x.sum_to_size(2, 1), x.sum_to_size(3), x.sum_to_size(()), x.sum_to_size(2, 3)],
    f64(2, 3),
)
row("fill", lambda lib, x, v: [lib.fill(x, 2.0), lib.fill(x, v)], f64(2), f64(), torchs_gradient=False)
row("filled by functions", lambda lib: [lib.fill_(lib.ones(2), 3), lib.zero_(lib.ones(2))])
row("select_scatter", lambda lib, x, s: x.select_scatter(s, 1, -1), f64(2, 3), f64(2))
row("slice_scatter", lambda lib, x, s: lib.slice_scatter(x, s, 1, 0, None, 2), f64(2, 3), f64(2, 2))
row("narrow_copy", lambda lib, x: x.narrow_copy(1, 1, 2), f64(2, 3))
row("tensor_split", lambda lib, x: [lib.tensor_split(x, n) for n in (1, 2, 3, 7)], f64(5, 2))
row("tensor_split at", lambda lib, x: [x.tensor_split((1, 3), 0), x.tensor_split((3, 1, -1, 9))], f64(5, 2))
row("tensor_split by a tensor", lambda lib, x, i: [x.tensor_split(i), x.tensor_split(i[0])], f64(5), [2, 4])
row("hsplit", lambda lib, x: [lib.hsplit(x, 2), x.vsplit(1), x[0].hsplit((1,)), x[None].dsplit(4)], f64(2, 4))
row(
    "split by other names",
    lambda lib, x: [x.split_with_sizes([1, 3]), lib.unsafe_split(x, 3), x.unsafe_chunk(2)],
    f64(4),
)
row(
    "nonzero", lambda lib, x: [lib.nonzero(x), x.nonzero(as_tuple=True), lib.argwhere(x), lib.where(x)], i64(0, 2, 3, 4)
)
row("nonzero of a scalar", lambda lib, x: [lib.nonzero(x), lib.nonzero(x, as_tuple=True), x.argwhere()], np.array(3))
row("nonzero of nothing", lambda lib, x: [lib.nonzero(x), x.nonzero(as_tuple=True)], np.zeros((0, 2), np.int64))
row("nonzero of NaN", lambda lib, x: lib.nonzero(x), np.array([0.0, np.nan, np.inf, -0.0]), smooth=False, batches=False)
row("nonzero_static", lambda lib, x: [lib.nonzero_static(x, size=n) for n in (0, 1, 5)], i64(0, 2, 2, 2))
row("unravel_index", lambda lib, x: lib.unravel_index(x, (3, 4)), [[0, 5], [11, 7]])


@pytest.mark.torch
@pytest.mark.parametrize("row", row, ids=str)
def test_it_is_torchs(row: Row, torch: ModuleType) -> None:
    assert_same(told(ng, row), told(torch, row), row.tolerance)


@pytest.mark.parametrize("row", [each for each in row if each.smooth], ids=str)
def test_derivatives(row: Row) -> None:
    check_derivatives(row)


@pytest.mark.parametrize("row", [each for each in row if each.batches], ids=str)
def test_many_examples(row: Row) -> None:
    check_batches(row)


# ---- refused ----------------------------------------------------------------------------------------------------

REFUSED: dict[str, Any] = {
    "repeat with too few": lambda lib: lib.ones(2, 3).repeat(2),
    "repeat a negative time": lambda lib: lib.ones(2).repeat(-1),
    "repeat_interleave a negative time": lambda lib: lib.ones(2).repeat_interleave(-1),
    "repeat_interleave of another length": lambda lib: lib.ones(2).repeat_interleave(lib.tensor([1, 2, 3])),
    "flip twice": lambda lib: lib.ones(2).flip((0, 0)),
    "flip out of range": lambda lib: lib.ones(2).flip(1),
    "fliplr of a vector": lambda lib: lib.ones(2).fliplr(),
    "roll unaligned": lambda lib: lib.ones(2, 2).roll((1, 1), 0),
    "rot90 of a vector": lambda lib: lib.rot90(lib.ones(2)),
    "rot90 in a line": lambda lib: lib.rot90(lib.ones(2, 2), 1, (0, 0)),
    "broadcast_shapes": lambda lib: lib.broadcast_shapes((2,), (3,)),
    "broadcast_tensors": lambda lib: lib.broadcast_tensors(lib.ones(2), lib.ones(3)),
    "meshgrid of nothing": lambda lib: lib.meshgrid(indexing="ij"),
    "meshgrid of a matrix": lambda lib: lib.meshgrid(lib.ones(2, 2), indexing="ij"),
    "meshgrid of two dtypes": lambda lib: lib.meshgrid(lib.ones(2), lib.arange(2), indexing="ij"),
    "meshgrid otherwise": lambda lib: lib.meshgrid(lib.ones(2), indexing="yx"),
    "cartesian_prod of a matrix": lambda lib: lib.cartesian_prod(lib.ones(2, 2), lib.ones(2)),
    "combinations of a matrix": lambda lib: lib.combinations(lib.ones(2, 2)),
    "hstack of nothing": lambda lib: lib.hstack([]),
    "block_diag of three dims": lambda lib: lib.block_diag(lib.ones(2, 2, 2)),
    "scatter out of range": lambda lib: lib.zeros(3).scatter(0, lib.tensor([3]), 1.0),
    "scatter of another dtype": lambda lib: lib.zeros(3).scatter(0, lib.tensor([1]), lib.tensor([1])),
    "scatter by floats": lambda lib: lib.zeros(3).scatter(0, lib.tensor([1.0]), 1.0),
    "scatter too much": lambda lib: lib.zeros(3, 2).scatter(0, lib.tensor([[0, 1, 1]]), 1.0),
    "scatter without a source": lambda lib: lib.zeros(3).scatter(0, lib.tensor([1])),
    "scatter reduced otherwise": lambda lib: lib.zeros(3).scatter(0, lib.tensor([1]), 1.0, reduce="max"),
    "scatter_ into a leaf": lambda lib: lib.zeros(3, requires_grad=True).scatter_(0, lib.tensor([1]), 1.0),
    "index_add of a matrix": lambda lib: lib.zeros(3).index_add(0, lib.tensor([[1]]), lib.ones(1)),
    "index_add of another shape": lambda lib: lib.zeros(3, 2).index_add(0, lib.tensor([1]), lib.ones(1, 3)),
    "index_add of another dtype": lambda lib: lib.zeros(3).index_add(0, lib.tensor([1]), lib.tensor([1])),
    "index_copy out of range": lambda lib: lib.zeros(3).index_copy(0, lib.tensor([4]), lib.ones(1)),
    "index_fill by int32": lambda lib: lib.zeros(3).index_fill(0, lib.tensor([1], dtype=lib.int32), 1.0),
    "index_fill by a vector": lambda lib: lib.zeros(3).index_fill(0, lib.tensor([1]), lib.ones(1)),
    "take out of range": lambda lib: lib.zeros(3).take(lib.tensor([3])),
    "take by int32": lambda lib: lib.zeros(3).take(lib.tensor([1], dtype=lib.int32)),
    "take_along_dim of other ranks": lambda lib: lib.take_along_dim(lib.ones(2, 2), lib.tensor([0]), 0),
    "masked_select by integers": lambda lib: lib.zeros(3).masked_select(lib.tensor([1, 0, 1])),
    "masked_scatter of too few": lambda lib: lib.zeros(3).masked_scatter(lib.tensor([True] * 3), lib.ones(2)),
    "tril of a vector": lambda lib: lib.tril(lib.ones(2)),
    "tril_indices of floats": lambda lib: lib.tril_indices(2, 2, dtype=lib.float32),
    "diagonal of one dim": lambda lib: lib.diagonal(lib.ones(2, 2), 0, 1, 1),
    "diagonal of a vector": lambda lib: lib.diagonal(lib.ones(2)),
    "diag of a cube": lambda lib: lib.diag(lib.ones(2, 2, 2)),
    "diagonal_scatter of another shape": lambda lib: lib.diagonal_scatter(lib.ones(2, 2), lib.ones(3)),
    "fill_diagonal_ of a vector": lambda lib: lib.ones(2).fill_diagonal_(1),
    "fill_diagonal_ of a box": lambda lib: lib.ones(2, 2, 3).fill_diagonal_(1),
    "trace of a vector": lambda lib: lib.trace(lib.ones(2)),
    "unfold too much": lambda lib: lib.ones(2).unfold(0, 3, 1),
    "unfold by nothing": lambda lib: lib.ones(2).unfold(0, 1, 0),
    "as_strided too far": lambda lib: lib.ones(2).as_strided((3,), (1,)),
    "as_strided backwards": lambda lib: lib.ones(2).as_strided((2,), (-1,), 1),
    "as_strided of other lengths": lambda lib: lib.ones(2).as_strided((2,), (1, 1)),
    "resize to another count": lambda lib: lib.ones(2).resize(3),
    "resize_ of one with a gradient": lambda lib: lib.ones(2, requires_grad=True).resize_(3),
    "resize_ to a negative extent": lambda lib: lib.ones(2).resize_(-1),
    "movedim twice": lambda lib: lib.ones(2, 2).movedim((0, 0), (0, 1)),
    "movedim of other lengths": lambda lib: lib.ones(2, 2).movedim((0, 1), (0,)),
    "unflatten otherwise": lambda lib: lib.ones(4).unflatten(0, (3, 2)),
    "squeeze_ of a leaf": lambda lib: lib.ones(1, requires_grad=True).squeeze_(),
    "unsqueeze_ of a view of a leaf": lambda lib: lib.ones(2, requires_grad=True)[:1].unsqueeze_(0),
    "sum_to_size of another": lambda lib: lib.ones(2, 3).sum_to_size(2),
    "select_scatter of another shape": lambda lib: lib.ones(2, 2).select_scatter(lib.ones(3), 0, 0),
    "tensor_split into none": lambda lib: lib.ones(2).tensor_split(0),
    "tensor_split of a scalar": lambda lib: lib.tensor(1.0).tensor_split(1),
    "hsplit unevenly": lambda lib: lib.ones(3).hsplit(2),
    "vsplit of a vector": lambda lib: lib.ones(2).vsplit(1),
    "unravel_index of floats": lambda lib: lib.unravel_index(lib.ones(2), (2,)),
    "where with one value": lambda lib: lib.where(lib.ones(2) > 0, lib.ones(2)),
}


@pytest.mark.torch
@pytest.mark.parametrize("label", REFUSED)
def test_refusals_have_torchs_class(label: str, torch: ModuleType) -> None:
    with pytest.raises(Exception) as theirs:  # noqa: PT011 (its class is the question)
        REFUSED[label](torch)
    with pytest.raises(theirs.type):
        REFUSED[label](ng)


def test_a_tensor_that_became_a_view_of_itself_keeps_its_history() -> None:
    x = ng.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    y = x * 2
    first = y[0]
    y.squeeze_(0)
    y[1] = 7.0
    assert (y.shape, first.tolist(), y.tolist()) == ((3,), [2.0, 7.0, 6.0], [2.0, 7.0, 6.0])
    (first * ng.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert x.grad.tolist() == [[2.0, 0.0, 200.0]]


def test_a_graph_notices_that_what_it_saved_has_another_shape() -> None:
    x = ng.ones(1, 2, requires_grad=True)
    y = x * 1
    out = (y * y).sum()
    y.squeeze_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.backward()


def test_a_resized_tensor_keeps_its_elements() -> None:
    x = ng.arange(4)
    y = x[2:]
    assert x.resize_(2, 3).flatten()[:4].tolist() == [0, 1, 2, 3]
    assert (y.tolist(), x.is_contiguous()) == ([2, 3], True)
    assert x.resize_(2).tolist() == [0, 1]
    with pytest.raises(RuntimeError, match="this tensor is a view"):
        y.resize_(9)


def test_a_view_of_strides_is_a_view() -> None:
    x = ng.zeros(4)
    x.as_strided((2,), (3,))[1] = 5
    x.unfold(0, 2, 1)[0, 1].fill_(3)
    assert x.tolist() == [0.0, 3.0, 0.0, 5.0]
    assert x[2:].as_strided((2,), (1,), 0).tolist() == [0.0, 3.0]
