from __future__ import annotations

import numpy as np
import pytest

from numgrad.kernels.vector_math import exp
from numgrad.runtime.kernel import kernel

from .running import run


@kernel("T[:], T[:]")
def exp_of(x, out, start, stop):
    for i in range(out.shape[0]):
        out[i] = exp(x[i])


def of(x: np.ndarray) -> np.ndarray:
    return run(lambda b, x_: b.launch(exp_of, x_.flat, b.output(x_.spec.dtype, x.shape).flat, work=1, grain=1), x)[0]


@pytest.mark.parametrize(("dtype", "low", "high"), [(np.float32, -103.9, 88.7), (np.float64, -745, 709.7)])
def test_exp(dtype, low: float, high: float) -> None:
    x = np.concatenate([np.linspace(low, high, 200_003), np.linspace(-2, 2, 100_003)]).astype(dtype)
    want = np.exp(x.astype(np.longdouble))
    error = np.abs(of(x) - want) / np.spacing(want.astype(dtype))
    assert error.max() < 2


def test_exp_at_the_ends() -> None:
    for dtype in (np.float32, np.float64):
        x = np.array([0, -0.0, -1e4, -np.inf, 1e4, np.inf, np.nan], dtype)
        np.testing.assert_array_equal(of(x), np.array([1, 1, 0, 0, np.inf, np.inf, np.nan], dtype))
