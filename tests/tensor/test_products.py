"""Products of tensors beside torch's, and their derivatives: `einsum` and its kin, sums with products, distances."""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad.tensor import einsum as sums
from tests.tensor.calls import Row, Table, assert_same, check_batches, check_derivatives, f64, i64, told

row = Table()

# ---- einsum -----------------------------------------------------------------------------------------------------

for _equation, *_shapes in (
    ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)), ("ij->ji", (2, 3)), ("ij", (2, 3)), ("ba", (2, 3)),
    ("ii", (3, 3)), ("ii->i", (3, 3)), ("iji->j", (2, 3, 2)), ("iii->i", (2, 2, 2)), ("ij->", (2, 3)), ("i,i", (3,), (3,)),
    ("i,j->ij", (2,), (3,)), ("i,j->ji", (2,), (3,)), ("bij,bjk->bik", (2, 3, 2), (2, 2, 4)),
    ("bij,bjk->ibk", (2, 3, 2), (2, 2, 4)),
    ("...ij,...jk->...ik", (2, 2, 3), (3, 2)), ("...ij,...jk", (2, 1, 2, 3), (3, 3, 2)), ("i...->...", (2, 3, 2)),
    ("...i->i...", (2, 3)), ("...,...->...", (2, 1), (3,)), ("...i,i->...", (2, 3), (3,)), ("...->", (2, 3)),
    ("bhid,bhjd->bhij", (2, 2, 3, 2), (2, 2, 2, 2)), ("bihd,bjhd->bhij", (2, 3, 2, 2), (2, 2, 2, 2)), ("ij,ij->ij", (2, 3), (2, 3)),
    ("bi,bi->b", (2, 3), (2, 3)), ("ij,kl->", (2, 3), (2, 2)), ("ij,jk,kl->il", (2, 3), (3, 2), (2, 4)), (",i->i", (), (3,)),
    ("bn,anm,bm->ba", (2, 3), (4, 3, 2), (2, 2)), ("ij,ij,ij->i", (2, 3), (2, 3), (2, 3)), ("i,i,i,i->", (2,), (2,), (2,), (2,)),
    ("ij,jk->ik", (2, 1), (3, 2)), ("ij,ij->ij", (1, 3), (2, 1)), ("aB,Bc", (2, 3), (3, 2)), (" i j , j -> i ", (2, 3), (3,)),
    ("ab,bc,cd,de,ef,fg,gh->ah", *((2, 2),) * 7), ("ij,k->k", (2, 3), (2,)), ("...ii->...i", (2, 3, 3)), ("ij,j->i", (0, 3), (3,)),
    ("ij,jk->ik", (2, 0), (0, 3)),
):  # fmt: skip
    row(f"einsum {_equation} of {_shapes}", lambda lib, *t, e=_equation: lib.einsum(e, *t), *[f64(*s) for s in _shapes])
row("einsum of a list", lambda lib, x, y: lib.einsum("ij,jk->ik", [x, y]), f64(2, 3), f64(3, 2))
row("einsum of sublists", lambda lib, x, y: lib.einsum(x, [0, 1], y, [1, 2], [0, 2]), f64(2, 3), f64(3, 2))
row("einsum of sublists alone", lambda lib, x, y: lib.einsum(x, [..., 0], y, [0, ...]), f64(2, 3), f64(3))
row("einsum of integers", lambda lib, x, y: lib.einsum("ij,jk->ik", x, y), i64(0, 9, 2, 3), i64(0, 9, 3, 2))
row("tensordot", lambda lib, x, y: [lib.tensordot(x, y, 1), lib.tensordot(x, y.t(), ([1], [1]))], f64(2, 3), f64(3, 4))
row("tensordot of two", lambda lib, x, y: lib.tensordot(x, y), f64(2, 3, 2), f64(3, 2, 4))
row("tensordot crossed", lambda lib, x, y: lib.tensordot(x, y, dims=([0, 1], [1, 0])), f64(2, 3, 4), f64(3, 2))
row("tensordot of none", lambda lib, x, y: lib.tensordot(x, y, 0), f64(2), f64(3))

# ---- products ---------------------------------------------------------------------------------------------------

row("outer", lambda lib, x, y: [lib.outer(x, y), x.ger(y)], f64(2), f64(3))
row("outer promotes", lambda lib, x, y: x.outer(y), f64(2), i64(0, 5, 3))
row("mv", lambda lib, x, y: [lib.mv(x, y), x.mv(y)], f64(2, 3), f64(3))
row("vdot", lambda lib, x, y: lib.vdot(x, y), f64(3), f64(3))
row("inner", lambda lib, x, y: [lib.inner(x, y), x.inner(y[0]), lib.inner(x, y[0, 0])], f64(2, 3), f64(4, 3))
for _shapes in (((2,), (3,)), ((2, 2), (3,)), ((2, 1, 2), (2, 3)), ((), (2,))):
    row(f"kron {_shapes}", lambda lib, x, y: lib.kron(x, y), f64(*_shapes[0]), f64(*_shapes[1]))
row("chain_matmul", lambda lib, x, y, z: lib.chain_matmul(x, y, z), f64(2, 3), f64(3, 4), f64(4, 2))
for _beta, _alpha in ((1, 1), (0.5, 2), (0, 1), (2, 0)):
    _by: dict[str, Any] = {"beta": _beta, "alpha": _alpha}
    row(f"addmm {_by}", lambda lib, x, a, b, k=_by: lib.addmm(x, a, b, **k), f64(4), f64(2, 3), f64(3, 4))
    row(f"addmm_ {_by}", lambda lib, x, a, b, k=_by: (x * 1).addmm_(a, b, **k), f64(2, 4), f64(2, 3), f64(3, 4))
    row(f"addmv {_by}", lambda lib, x, a, b, k=_by: x.addmv(a, b, **k), f64(2), f64(2, 3), f64(3))
    row(f"addr {_by}", lambda lib, x, a, b, k=_by: lib.addr(x, a, b, **k), f64(2, 3), f64(2), f64(3))
    row(f"baddbmm {_by}", lambda lib, x, a, b, k=_by: x.baddbmm(a, b, **k), f64(2, 2, 1), f64(2, 2, 3), f64(2, 3, 1))
    row(f"addbmm {_by}", lambda lib, x, a, b, k=_by: lib.addbmm(x, a, b, **k), f64(2, 1), f64(2, 2, 3), f64(2, 3, 1))
row(
    "addmm of integers",
    lambda lib, x, a, b: lib.addmm(x, a, b, beta=2),
    i64(0, 9, 2, 2),
    i64(0, 9, 2, 3),
    i64(0, 9, 3, 2),
)

# ---- distances --------------------------------------------------------------------------------------------------

for _p in (0.0, 1.0, 1.5, 2.0, 3.0, float("inf")):
    row(
        f"cdist {_p}",
        lambda lib, x, y, p=_p: lib.cdist(x, y, p),
        f64(3, 2),
        f64(2, 2),
        smooth=_p > 0,
        torchs_gradient=_p > 0,
    )
_BY_PRODUCT = "use_mm_for_euclid_dist"
row(
    "cdist by a product",
    lambda lib, x, y: lib.cdist(x, y, compute_mode=_BY_PRODUCT),
    f64(3, 2),
    f64(2, 2),
    tolerance=1e3,
)
row("cdist of batches", lambda lib, x, y: lib.cdist(x, y), f64(2, 1, 2, 3), f64(3, 2, 3))
row("cdist of the same", lambda lib, x: lib.cdist(x, x), f64(3, 2), smooth=False)
row(
    "cdist of the same by a product",
    lambda lib, x: lib.cdist(x, x, compute_mode=_BY_PRODUCT),
    np.eye(3),
    smooth=False,
    torchs_gradient=False,
    tolerance=1e4,
)
row("cdist of nothing", lambda lib, x, y: [lib.cdist(x, y), lib.cdist(x[:, :0], y[:, :0])], f64(0, 2), f64(3, 2))


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


REFUSED: dict[str, Any] = {
    "einsum of nothing": lambda lib: lib.einsum("i"),
    "einsum of more": lambda lib: lib.einsum("i", lib.ones(2), lib.ones(2)),
    "einsum of fewer": lambda lib: lib.einsum("i,i", lib.ones(2)),
    "einsum of another rank": lambda lib: lib.einsum("ij", lib.ones(2)),
    "einsum with dots of another rank": lambda lib: lib.einsum("ij...", lib.ones(2)),
    "einsum of another extent": lambda lib: lib.einsum("i,i", lib.ones(2), lib.ones(3)),
    "einsum of a diagonal of another extent": lambda lib: lib.einsum("ii", lib.ones(2, 3)),
    "einsum to what is not there": lambda lib: lib.einsum("i->j", lib.ones(2)),
    "einsum to the same twice": lambda lib: lib.einsum("i->ii", lib.ones(2)),
    "einsum with a digit": lambda lib: lib.einsum("1", lib.ones(2)),
    "einsum with a dot": lambda lib: lib.einsum("i.", lib.ones(2)),
    "tensordot of other extents": lambda lib: lib.tensordot(lib.ones(2, 3), lib.ones(2, 3), 1),
    "tensordot of too many": lambda lib: lib.tensordot(lib.ones(2), lib.ones(2), 2),
    "outer of a matrix": lambda lib: lib.outer(lib.ones(2, 2), lib.ones(2)),
    "mv of another length": lambda lib: lib.mv(lib.ones(2, 3), lib.ones(2)),
    "inner of another length": lambda lib: lib.inner(lib.ones(2), lib.ones(3)),
    "chain_matmul of other shapes": lambda lib: lib.chain_matmul(lib.ones(2, 3), lib.ones(2, 3)),
    "addmm of another dtype": lambda lib: lib.addmm(lib.ones(2, 2), lib.ones(2, 2).double(), lib.ones(2, 2).double()),
    "addmm of another shape": lambda lib: lib.addmm(lib.ones(3), lib.ones(2, 2), lib.ones(2, 2)),
    "addmm_ of another shape": lambda lib: lib.ones(2).addmm_(lib.ones(2, 2), lib.ones(2, 2)),
    "cdist of vectors": lambda lib: lib.cdist(lib.ones(2), lib.ones(2)),
    "cdist of integers": lambda lib: lib.cdist(lib.tensor([[1]]), lib.tensor([[1]])),
    "cdist of other widths": lambda lib: lib.cdist(lib.ones(2, 2), lib.ones(2, 3)),
    "cdist of a negative p": lambda lib: lib.cdist(lib.ones(2, 2), lib.ones(2, 2), -1.0),
    "cdist otherwise": lambda lib: lib.cdist(lib.ones(2, 2), lib.ones(2, 2), compute_mode="fast"),
}


@pytest.mark.torch
@pytest.mark.parametrize("label", REFUSED)
def test_refusals_have_torchs_class(label: str, torch: ModuleType) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(Exception) as theirs:  # noqa: PT011 (its class is the question)
            REFUSED[label](torch)
        with pytest.raises(theirs.type):
            REFUSED[label](ng)


def test_what_beta_0_multiplies_counts_for_nothing() -> None:
    ones = ng.ones(2, 2)
    assert ng.addmm(ng.full((2, 2), float("nan")), ones, ones, beta=0).tolist() == [[2, 2], [2, 2]]


def test_the_order_of_contraction_is_the_cheapest() -> None:
    sizes = ((0, 100), (1, 2), (2, 100), (3, 2))
    assert sums._path(((0, 1), (1, 2), (2, 3)), (0, 3), sizes) == ((1, 2), (0, 1))
    chain = tuple((k, k + 1) for k in range(7))
    pairs = sums._path(chain, (0, 7), tuple((k, 2 + k % 3) for k in range(8)))
    assert len(pairs) == 6


def test_distances_far_from_the_origin_keep_their_digits() -> None:
    x = ng.tensor(np.random.default_rng(0).normal(size=(40, 3)) + 1e4).float()
    exact = np.linalg.norm(x.double().numpy()[:, None] - x.double().numpy()[None], axis=-1)
    by_product = ng.cdist(x, x, compute_mode="use_mm_for_euclid_dist").numpy()
    apart = exact > 0.5
    np.testing.assert_allclose(by_product[apart], exact[apart], rtol=1e-4)


def test_distances_do_not_overflow() -> None:
    x = ng.tensor([[1e30, 0.0]])
    assert ng.cdist(x, ng.zeros(1, 2)).item() == pytest.approx(1e30)
