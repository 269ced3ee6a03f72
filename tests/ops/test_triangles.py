"""Factors and solutions of matrices that are cut: against NumPy, at sizes around the cuts, with the same bits for all threads."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad.ops import stacks
from numgrad.ops.factors import lu_factor_ex
from numgrad.ops.stacks import cuts, full, middle_of, part_of
from numgrad.ops.triangles import PANEL, WHOLE
from tests.ops.applying import for_threads

SHAPES = [(WHOLE + 1,) * 2, (193, 193), (2, 1, 131, 131), (0, 140, 140), (517, 517)]
TOLERANCES = {"float32": 2e-3, "float64": 1e-10}


def matrices(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    """Matrices far from singular."""
    return (np.random.default_rng(seed).normal(size=shape) + 3 * shape[-1] ** 0.5 * np.eye(*shape[-2:])).astype(dtype)


def positive(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    a = matrices(shape, "float64")
    return (a @ a.swapaxes(-1, -2) / shape[-1]).astype(dtype)


def close(found: Any, wanted: Any, dtype: str) -> None:
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max(initial=0) <= TOLERANCES[dtype] * max(1, np.abs(wanted).max(initial=0))


every = pytest.mark.parametrize("dtype", list(TOLERANCES))
shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)


@shapes
@every
@pytest.mark.parametrize("columns", [1, 3, 150])
def test_solutions(shape: tuple[int, ...], dtype: str, columns: int) -> None:
    a, b = matrices(shape, dtype), matrices((*shape[:-1], columns), dtype, 1)
    close(ng.linalg.solve(ng.tensor(a), ng.tensor(b)), np.linalg.solve(a.astype("f8"), b), dtype)


@shapes
@every
@pytest.mark.parametrize("columns", [1, 3, 150])
@pytest.mark.parametrize("unit", [False, True])
def test_substitution_reads_one_triangle(shape: tuple[int, ...], dtype: str, columns: int, unit: bool) -> None:
    """Of matrices that lie in rows or in columns."""
    a, b = matrices(shape, "float64") / shape[-1], matrices((*shape[:-1], columns), dtype, 1)
    a[...] += np.eye(shape[-1])
    for upper in (False, True):
        for turned in (False, True):
            triangle = (np.triu if upper else np.tril)(a)
            if unit:
                triangle = triangle * (1 - np.eye(shape[-1])) + np.eye(shape[-1])
            other = np.full(a.shape, np.nan)
            given = np.where(np.abs((np.triu if upper else np.tril)(np.ones(a.shape), 0)) > 0, a, other)
            if unit:
                given = np.where(np.eye(shape[-1]) > 0, np.nan, given)
            given = given.astype(dtype)
            x = ng.tensor(np.ascontiguousarray(given.swapaxes(-1, -2))).mT if turned else ng.tensor(given)
            found = ng.linalg.solve_triangular(x, ng.tensor(b), upper=upper, unitriangular=unit)
            close(found, np.linalg.solve(triangle, b), dtype)


@shapes
@every
def test_cholesky(shape: tuple[int, ...], dtype: str) -> None:
    a = positive(shape, dtype)
    factor = np.linalg.cholesky(a.astype("f8"))
    low = np.tril(a) + np.triu(np.full(a.shape, np.nan), 1).astype(dtype)
    close(ng.linalg.cholesky(ng.tensor(low)), factor, dtype)
    close(ng.linalg.cholesky(ng.tensor(low.swapaxes(-1, -2)), upper=True), factor.swapaxes(-1, -2), dtype)


@every
@pytest.mark.parametrize("shape", [*SHAPES, (300, 140), (140, 300), (2, 150, 400), (400, 129), (129, 400)], ids=str)
@pytest.mark.parametrize("pivot", [True, False])
def test_lu(shape: tuple[int, ...], dtype: str, pivot: bool) -> None:
    a = matrices(shape, dtype)
    rows = np.random.default_rng(3).permutation(shape[-2]) if pivot else np.arange(shape[-2])
    a = np.ascontiguousarray(a[..., rows, :])
    both, pivots, info = lu_factor_ex(ng.tensor(a), pivot=pivot)
    least = min(shape[-2:])
    low = np.tril(both.numpy()[..., :least], -1) + np.eye(shape[-2], least)
    found = low.astype("f8") @ np.triu(both.numpy()[..., :least, :])
    wanted = a.copy()
    for index in np.ndindex(shape[:-2]):
        for k, row in enumerate(pivots.numpy()[index] - 1):
            wanted[index][[k, row]] = wanted[index][[row, k]]
    close(found, wanted, dtype)
    assert not info.numpy().any()
    if pivot:
        assert np.abs(low).max(initial=0) <= 1
    else:
        assert (pivots.numpy() == np.arange(1, least + 1)).all()


@shapes
@every
def test_inverses_and_determinants(shape: tuple[int, ...], dtype: str) -> None:
    a = matrices(shape, dtype)[..., ::-1, :].copy()
    close(ng.linalg.inv(ng.tensor(a)), np.linalg.inv(a.astype("f8")), dtype)
    sign, logarithm = ng.linalg.slogdet(ng.tensor(a))
    signs, logarithms = np.linalg.slogdet(a.astype("f8"))
    assert (sign.numpy() == signs).all()
    close(logarithm, logarithms, dtype)
    small = a.astype("f8") / np.exp(logarithms / shape[-1])[..., None, None]  # or it would be no number
    close(ng.linalg.det(ng.tensor(small)), np.linalg.det(small), "float64")


@pytest.mark.parametrize("n", [3, WHOLE, WHOLE + 1, 300])
def test_what_has_no_factor_is_named(n: int) -> None:
    """Column or leading part, of the first block or of a later one; the others of a batch are whole."""
    for where in sorted({1, n // 3, n - 1, n}):
        a = np.eye(n) + 0.5 / n
        singular, negative = a.copy(), a.copy()
        singular[where - 1] = singular[0] if where > 1 else 0.0
        singular[:, where - 1] = singular[:, 0] if where > 1 else 0.0
        if where > 1:
            singular = np.eye(n)
            singular[where - 1, where - 1] = 0
        negative[where - 1, where - 1] = -3
        _, info = ng.linalg.cholesky_ex(ng.tensor(np.stack([a, negative, a])))
        factor, _ = ng.linalg.cholesky_ex(ng.tensor(np.stack([a, negative, a])))
        assert info.tolist() == [0, where, 0]
        assert factor[1].isnan().all()
        close(factor[2], np.linalg.cholesky(a), "float64")
        solution, info = ng.linalg.inv_ex(ng.tensor(np.stack([singular, a])))
        assert info.tolist() == [where, 0]
        assert solution[0].isnan().all()
        close(solution[1], np.linalg.inv(a), "float64")
        with pytest.raises(ng.linalg.LinAlgError, match=f"leading minor of order {where} "):
            ng.linalg.cholesky(ng.tensor(negative))


@pytest.mark.parametrize("n", [40, 200])
def test_a_nan_is_a_pivot_and_spreads(n: int) -> None:
    a = matrices((n, n), "float64")
    a[n // 2, 3] = np.nan
    both, pivots, _ = lu_factor_ex(ng.tensor(a))
    assert pivots[3].item() == n // 2 + 1
    assert both.isnan().any()
    assert ng.linalg.det(ng.tensor(a)).isnan()
    assert ng.linalg.solve(ng.tensor(a), ng.ones(n, 2, dtype=ng.float64)).isnan().all()


CALLS = {
    "cholesky": lambda a: ng.linalg.cholesky(a @ a.mT),
    "lu": lambda a: ng.linalg.lu_factor(a)[0],
    "inverse": ng.linalg.inv,
    "substitution": lambda a: ng.linalg.solve_triangular(a, a, upper=True),
    "few": lambda a: ng.linalg.solve_triangular(a, a[..., :3], upper=False),
    "logarithm": lambda a: ng.linalg.slogdet(a)[1],
}


@pytest.mark.parametrize("call", list(CALLS))
@every
def test_bits_do_not_depend_on_threads(call: str, dtype: str) -> None:
    for shape in ((300, 300), (3, 140, 140)):
        a = ng.tensor(matrices(shape, dtype))
        results = for_threads(lambda a=a: CALLS[call](a).numpy())  # type: ignore[misc]
        assert (results[0] == results[1]).all()
        assert (results[0] == results[2]).all()


@pytest.mark.parametrize("call", [name for name in CALLS if name != "lu"])
def test_gradients_of_what_is_cut(call: str) -> None:
    """Along a direction, against differences."""
    a = matrices((WHOLE + 5,) * 2, "float64") / 40
    a += 2 * np.eye(len(a))
    direction, weight = matrices(a.shape, "float64", 5) / len(a), matrices(a.shape, "float64", 6)

    def value(x: ng.Tensor) -> ng.Tensor:
        result = CALLS[call](x)
        return (result * ng.tensor(weight[tuple(slice(n) for n in result.shape)])).sum()

    x = ng.tensor(a, requires_grad=True)
    value(x).backward()
    step = 1e-5
    moved = [value(ng.tensor(a + side * step * direction)).item() for side in (1, -1)]
    numerical, analytical = (moved[0] - moved[1]) / (2 * step), float((x.grad.numpy() * direction).sum())
    assert abs(numerical - analytical) <= 1e-6 * max(1, abs(analytical))


def test_cuts() -> None:
    for n in (1, 31, 32, 33, 129, 1000, 5000):
        assert full(n) >= n
        assert full(n) % 32 == 0
        blocks = cuts(n, part_of(n, PANEL))
        assert blocks[0][0] == 0
        assert blocks[-1][1] == n
        assert all(one[1] == other[0] for one, other in itertools.pairwise(blocks))
        assert len(blocks) <= stacks.PARTS
        if n > PANEL:
            assert 7 < middle_of(7, 7 + n) < 7 + n


def test_scratch_memory_is_used_again() -> None:
    """So it takes less than the matrix, or an inverse's with its factors, however deep the cuts are."""
    from numgrad.layout import spec_of
    from numgrad.ops.factors import cholesky_ex
    from numgrad.ops.systems import inv_ex

    for n in (1024, 3000):
        spec = spec_of(ng.float32, (n, n))
        for op, times in ((lu_factor_ex, 1), (cholesky_ex, 0.5), (inv_ex, 3)):
            builder = op.planned((spec,), op.Params(*op.defaults))
            assert sum(nbytes for nbytes in builder.allocations if nbytes) < times * spec.nbytes


def test_large_matrices_have_plans() -> None:
    """Whose launches fit into a program, whatever their size."""
    from numgrad.layout import spec_of
    from numgrad.ops.factors import cholesky_ex
    from numgrad.ops.systems import inv_ex
    from numgrad.runtime.program import laid_out

    for n in (1000, 4000, 20_000):
        spec = spec_of(ng.float32, (n, n))
        for op in (cholesky_ex, inv_ex, lu_factor_ex):
            builder = op.planned((spec,), op.Params(*op.defaults))
            assert laid_out(builder.finish().program.launches, builder.addresses, stepped=True).splits
