"""QR factors of matrices that are cut: against NumPy, at sizes around the cuts, with the same bits for all threads."""

from __future__ import annotations

import numpy as np
import pytest

import numgrad as ng
from numgrad.ops.factors import qr
from numgrad.ops.reflections import WHOLE
from tests.ops.applying import for_threads

SHAPES = [(WHOLE + 1,) * 2, (WHOLE + 6, WHOLE + 2), (WHOLE + 2, WHOLE + 6), (100, 300), (300, 100), (333, 333),
          (2, 90, 80), (2, 1, 80, 90), (0, 80, 80)]  # fmt: skip
TOLERANCES = {"float32": 2e-5, "float64": 1e-12}


def matrix(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("mode", ["reduced", "complete", "r"])
@pytest.mark.parametrize("dtype", list(TOLERANCES))
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_factors(shape: tuple[int, ...], dtype: str, mode: str) -> None:
    """Orthogonal columns, whose product with R is A; R is NumPy's, which has LAPACK's signs."""
    a, tolerance = matrix(shape, dtype), 20 * TOLERANCES[dtype]
    q, r = (each.numpy() for each in ng.linalg.qr(ng.tensor(a), mode))
    wanted = np.linalg.qr(a.astype("f8"), "r" if mode == "r" else mode)  # type: ignore[call-overload]
    wanted = wanted if mode == "r" else wanted[1]
    assert r.shape == wanted.shape
    assert np.abs(r - wanted).max(initial=0) <= tolerance * max(1, np.abs(wanted).max(initial=0))
    if mode == "r":
        assert q.shape == (0,)
        return
    assert np.abs(q.swapaxes(-1, -2) @ q - np.eye(q.shape[-1])).max(initial=0) <= tolerance
    assert np.abs(q @ r - a).max(initial=0) <= tolerance * 10
    assert (np.tril(r, -1) == 0).all()


@pytest.mark.parametrize("shape", [(200, 120), (120, 200)], ids=str)
def test_reflections_are_lapacks(shape: tuple[int, int]) -> None:
    a = matrix(shape, "float64")
    both, tau = ng.geqrf(ng.tensor(a))
    raw, factors = np.linalg.qr(a, "raw")
    np.testing.assert_allclose(both.numpy(), raw.T, atol=1e-11)
    np.testing.assert_allclose(tau.numpy(), factors, atol=1e-12)


@pytest.mark.parametrize("n", [40, 150])
def test_columns_that_need_no_reflection(n: int) -> None:
    """Zeros below the diagonal, a column of zeros, sizes whose squares are no numbers."""
    a = np.triu(matrix((n, n), "float64"))
    both, tau = ng.geqrf(ng.tensor(a))
    assert (both.numpy() == a).all()
    assert (tau.numpy() == 0).all()
    a[:, n // 2] = 0
    q, r = (each.numpy() for each in ng.linalg.qr(ng.tensor(a)))
    np.testing.assert_allclose(q @ r, a, atol=1e-12)
    for size in (1e-200, 1e200):
        b = matrix((n, n), "float64") * size
        q, r = (each.numpy() for each in ng.linalg.qr(ng.tensor(b)))
        assert np.abs(q @ (r / size) - b / size).max() < 1e-11
        assert np.abs(q.T @ q - np.eye(n)).max() < 1e-12


@pytest.mark.parametrize("n", [40, 150])
def test_a_nan_spreads(n: int) -> None:
    a = matrix((n, n), "float64")
    a[n // 2, n // 3] = np.nan
    q, r = ng.linalg.qr(ng.tensor(a))
    assert r[: n // 3, : n // 3].isfinite().all()
    assert r[n // 3 :, n // 3 :].triu().isnan().any()
    assert q.isnan().any()


def test_bits_do_not_depend_on_threads() -> None:
    for shape in ((300, 200), (3, 100, 140)):
        for dtype in TOLERANCES:
            a = ng.tensor(matrix(shape, dtype))
            results = for_threads(lambda a=a: [each.numpy() for each in ng.linalg.qr(a)])  # type: ignore[misc]
            for other in results[1:]:
                assert all((x == y).all() for x, y in zip(results[0], other, strict=True))


def test_gradient_of_what_is_cut() -> None:
    """Along a direction, against differences."""
    a = matrix((WHOLE + 20, WHOLE + 8), "float64")
    direction, weights = matrix(a.shape, "float64") / 50 + np.eye(*a.shape), matrix((WHOLE + 8, WHOLE + 8), "float64")

    def value(x: ng.Tensor) -> ng.Tensor:
        q, r = ng.linalg.qr(x)
        return (r * ng.tensor(weights)).sum() + (q[: WHOLE + 8] * ng.tensor(weights)).sum()

    x = ng.tensor(a, requires_grad=True)
    value(x).backward()
    step = 1e-6
    moved = [value(ng.tensor(a + side * step * direction)).item() for side in (1, -1)]
    numerical, analytical = (moved[0] - moved[1]) / (2 * step), float((x.grad.numpy() * direction).sum())
    assert abs(numerical - analytical) <= 1e-5 * max(1, abs(analytical))


def test_large_matrices_have_plans() -> None:
    """Whose launches fit into a program, and whose scratch memory is used again."""
    from numgrad.layout import spec_of
    from numgrad.runtime.program import laid_out

    for shape in ((1000, 1000), (20_000, 300), (300, 20_000), (9000, 9000)):
        spec = spec_of(ng.float32, shape)
        builder = qr.planned((spec,), qr.Params("reduced"))
        assert laid_out(builder.finish().program.launches, builder.addresses, stepped=True).splits
        assert sum(nbytes for nbytes in builder.allocations if nbytes) < 6 * spec.nbytes
