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
}


@pytest.mark.torch
@pytest.mark.parametrize("label", REFUSED)
def test_refusals_have_torchs_class(label: str, torch: ModuleType) -> None:
    with pytest.raises(Exception) as theirs:  # noqa: PT011 (its class is the question)
        REFUSED[label](torch)
    with pytest.raises(theirs.type):
        REFUSED[label](ng)
