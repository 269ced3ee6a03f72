"""Reductions of short rows, of few columns, and of columns with steps between them."""

from __future__ import annotations

import numpy as np
import pytest

from numgrad.kernels.reduce import plan_reduce
from numgrad.kernels.reduce_short import ENOUGH

from .running import run

rng = np.random.default_rng(0)
ORACLES = {"sum": np.sum, "mean": np.mean, "max": np.max, "min": np.min}
MORE = {"nansum": np.nansum, "norm": lambda x, axis: np.sqrt((x * x).sum(axis)), "prod": np.prod}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ORACLES)
@pytest.mark.parametrize("count", [2, 3, 4, 5, 8, 13, 16, 17, 31, 32, 33, 64, 65])
def test_short_rows(count: int, kind: str, dtype: type) -> None:
    for rows in (ENOUGH, ENOUGH + 1, 1001):
        x = rng.standard_normal((rows, count)).astype(dtype)
        x[rows // 2, count // 2] = np.nan
        x[rows // 3, 0] = -np.inf

        def planner(b, x_, rows=rows):
            plan_reduce(b, kind, x_, b.output(x_.spec.dtype, (rows,)), (1,))

        (got,) = run(planner, x, counts=(1, 2, 3))
        want = ORACLES[kind](x.astype(np.float64), 1)
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5 if dtype == np.float32 else 1e-12)


def test_short_rows_of_a_window() -> None:
    x = rng.standard_normal((1000, 6)).astype(np.float32)

    def planner(b, x_):
        plan_reduce(b, "sum", x_, b.output(x_.spec.dtype, (10, 100, 1)), (2,))

    (got,) = run(planner, x[1:].reshape(-1)[:5000].reshape(10, 100, 5))
    np.testing.assert_allclose(got[..., 0], x[1:].reshape(-1)[:5000].reshape(10, 100, 5).sum(2), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", MORE)
def test_short_rows_of_other_kinds(kind: str) -> None:
    for count in (3, 13, 65):
        x = rng.standard_normal((ENOUGH + 1, count)).astype(np.float32)
        x[3, 1] = np.nan

        def planner(b, x_):
            plan_reduce(b, kind, x_, b.output(x_.spec.dtype, (ENOUGH + 1,)), (1,))

        (got,) = run(planner, x, counts=(1, 2))
        np.testing.assert_allclose(got, MORE[kind](x.astype(np.float64), 1), rtol=2e-6, atol=1e-5)


@pytest.mark.parametrize("kind", ["sum", "mean", "max", "norm"])
def test_few_columns_in_long_rows(kind: str) -> None:
    """Rows side by side are taken for one: what is left over, parts, and what they come to."""
    for shape, dims in (((1027, 3), (0,)), ((70001, 5), (0,)), ((2, 3001, 16), (1,)), ((19, 5, 31), (0, 2))):
        x = rng.standard_normal(shape).astype(np.float32)
        kept = tuple(extent for axis, extent in enumerate(shape) if axis not in dims)

        def planner(b, x_, kept=kept, dims=dims):
            plan_reduce(b, kind, x_, b.output(x_.spec.dtype, kept), dims)

        (got,) = run(planner, x, counts=(1, 2, 3))
        np.testing.assert_allclose(got, {**ORACLES, **MORE}[kind](x.astype(np.float64), dims), rtol=2e-6, atol=2e-4)


@pytest.mark.parametrize("step", [2, 3, 5])
@pytest.mark.parametrize("kind", ["sum", "min"])
def test_elements_with_steps_between_them(kind: str, step: int) -> None:
    base = rng.standard_normal((301, 1100 * step)).astype(np.float32)
    x = base[:, : 1099 * step + 1 : step]
    for dim in (0, 1):

        def planner(b, x_, dim=dim):
            plan_reduce(b, kind, x_, b.output(x_.spec.dtype, (x.shape[1 - dim],)), (dim,))

        (got,) = run(planner, x, counts=(1, 2))
        np.testing.assert_allclose(got, ORACLES[kind](x.astype(np.float64), dim), rtol=2e-6, atol=2e-4)
