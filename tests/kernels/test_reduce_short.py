"""Reductions of short rows, by squares that are transposed."""

from __future__ import annotations

import numpy as np
import pytest

from numgrad.kernels.reduce import plan_reduce
from numgrad.kernels.reduce_short import ENOUGH

from .running import run

rng = np.random.default_rng(0)
ORACLES = {"sum": np.sum, "mean": np.mean, "max": np.max, "min": np.min}


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
