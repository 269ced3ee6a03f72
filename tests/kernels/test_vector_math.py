from __future__ import annotations

import math

import numpy as np
import pytest

from numgrad.kernels.vector_math import atanh, cosh, erf, exp, exp2, expm1, log, log1p, log2, log10, sinh, tanh
from numgrad.runtime.kernel import kernel

from .running import run


@kernel("T[:], T[:]")
def exp_of(x, out, start, stop):
    for i in range(out.shape[0]):
        out[i] = exp(x[i])


@kernel("T[:], T[:]")
def log_of(x, out, start, stop):
    for i in range(out.shape[0]):
        out[i] = log(x[i])


@kernel("T[:], T[:]")
def erf_of(x, out, start, stop):
    for i in range(out.shape[0]):
        out[i] = erf(x[i])


@kernel("T[:], T[:]")
def tanh_of(x, out, start, stop):
    for i in range(out.shape[0]):
        out[i] = tanh(x[i])


@kernel("T[:], T[:]")
def log1p_of(x, out, start, stop):
    for i in range(out.shape[0]):
        out[i] = log1p(x[i])


@kernel("T[:], T[:]")
def expm1_of(x, out, start, stop):
    for i in range(out.shape[0]):
        out[i] = expm1(x[i])


@kernel("T[:], T[:, :]")
def others_of(x, out, start, stop):
    """One kernel for six functions."""
    for i in range(x.shape[0]):
        out[0, i] = exp2(x[i])
    for i in range(x.shape[0]):
        out[1, i] = log2(x[i])
    for i in range(x.shape[0]):
        out[2, i] = log10(x[i])
    for i in range(x.shape[0]):
        out[3, i] = sinh(x[i])
    for i in range(x.shape[0]):
        out[4, i] = cosh(x[i])
    for i in range(x.shape[0]):
        out[5, i] = atanh(x[i])


OTHERS = (np.exp2, np.log2, np.log10, np.sinh, np.cosh, np.arctanh)


@kernel("T[:], T[:]", reassociate=True)
def all_of(x, out, start, stop):
    """In a kernel that may reorder sums."""
    for i in range(out.shape[0]):
        out[i] = log(x[i])
    for i in range(out.shape[0]):
        out[i] = erf(out[i])


def of(x: np.ndarray, function=exp_of) -> np.ndarray:
    return run(lambda b, x_: b.launch(function, x_.flat, b.output(x_.spec.dtype, x.shape).flat, work=1, grain=1), x)[0]


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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log(dtype) -> None:
    info = np.finfo(dtype)
    first, last = (
        info.minexp - info.nmant,
        np.log2(float(info.max)) - 1e-9,
    )  # the smallest subnormal number, and the largest
    x = np.concatenate([2.0 ** np.linspace(first, last, 100_003), np.linspace(0.4, 2.5, 200_003)]).astype(dtype)
    want = np.log(x.astype(np.longdouble))
    error = np.abs(of(x, log_of) - want) / np.spacing(np.abs(want).astype(dtype))
    assert error.max() < 1.5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_at_the_ends(dtype) -> None:
    x = np.array([0, -0.0, -1, -1e-30, -np.inf, np.inf, np.nan, 1], dtype)
    want = np.array([-np.inf, -np.inf, np.nan, np.nan, np.nan, np.inf, np.nan, 0], dtype)
    np.testing.assert_array_equal(of(x, log_of), want)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_erf(dtype) -> None:
    x = np.concatenate([np.linspace(-7, 7, 40_003), np.geomspace(1e-38, 1.1, 4003)]).astype(dtype)
    exact = [math.erf(v) for v in x.tolist()]
    error = np.abs(of(x, erf_of) - np.array(exact)) / np.spacing(np.abs(exact).astype(dtype))
    assert error.max() < (2 if dtype == np.float32 else 3)  # of which the C library's own is up to one


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_erf_at_the_ends(dtype) -> None:
    x = np.array([0, -0.0, 1e4, -1e4, np.inf, -np.inf, np.nan], dtype)
    got = of(x, erf_of)
    np.testing.assert_array_equal(got, np.array([0, 0, 1, -1, 1, -1, np.nan], dtype))
    assert np.signbit(got[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_digits_are_lost_where_sums_may_be_reordered(dtype) -> None:
    x = np.linspace(0.2, 5, 20_003).astype(dtype)
    want = np.array([math.erf(v) for v in np.log(x.astype(np.float64)).tolist()])
    assert (np.abs(of(x, all_of) - want) / np.spacing(np.abs(want).astype(dtype))).max() < 5


@pytest.mark.parametrize(("dtype", "ulps"), [(np.float32, 2), (np.float64, 3)])
def test_tanh(dtype, ulps: float) -> None:
    x = np.concatenate([np.linspace(-20, 20, 40_003), np.geomspace(1e-38, 1, 4003)]).astype(dtype)
    want = np.tanh(x.astype(np.longdouble))
    error = np.abs(of(x, tanh_of) - want) / np.spacing(np.abs(want).astype(dtype))
    assert error.max() < ulps


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log1p(dtype) -> None:
    info = np.finfo(dtype)
    small = 2.0 ** np.linspace(info.minexp - info.nmant, 2, 20_003)
    large = 2.0 ** np.linspace(0, np.log2(float(info.max)) - 1e-9, 20_003)
    x = np.concatenate([small, -small[small < 0.999], large, np.linspace(-0.99, 3, 50_003)]).astype(dtype)
    want = np.log1p(x.astype(np.longdouble))
    error = np.abs(of(x, log1p_of) - want) / np.spacing(np.abs(want).astype(dtype))
    assert error.max() < 2.5
    ends = of(np.array([0, -0.0, -1, -2, -np.inf, np.inf, np.nan], dtype), log1p_of)
    np.testing.assert_array_equal(ends, np.array([0, 0, -np.inf, np.nan, np.nan, np.inf, np.nan], dtype))
    assert np.signbit(ends[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_expm1(dtype) -> None:
    info = np.finfo(dtype)
    small = 2.0 ** np.linspace(info.minexp - info.nmant, 1, 20_003)
    x = np.concatenate([small, -small, np.linspace(-60, 88.7 if dtype == np.float32 else 709.7, 50_003)]).astype(dtype)
    want = np.expm1(x.astype(np.longdouble))
    error = np.abs(of(x, expm1_of) - want) / np.spacing(np.abs(want).astype(dtype))
    assert error.max() < 2.5
    ends = of(np.array([0, -0.0, -1e4, -np.inf, 1e4, np.inf, np.nan], dtype), expm1_of)
    np.testing.assert_array_equal(ends, np.array([0, 0, -1, -1, np.inf, np.inf, np.nan], dtype))
    assert np.signbit(ends[1])


def others(x: np.ndarray) -> np.ndarray:
    def plan(b, x_):
        b.launch(others_of, x_.flat, b.output(x_.spec.dtype, (6, x.size)).array(6, x.size), work=1, grain=1)

    return run(plan, x)[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_others(dtype) -> None:
    info = np.finfo(dtype)
    powers = np.linspace(info.minexp - info.nmant, info.maxexp - 1e-4, 60_003)
    largest = np.log(float(info.max))
    far = np.linspace(-largest - 0.69, largest + 0.69, 60_003)
    small = 2.0 ** np.linspace(info.minexp - info.nmant, 1, 20_003)
    inside = np.concatenate([small[small < 0.99], -small[small < 0.99], np.linspace(-0.9999, 0.9999, 60_003)])
    inputs = [powers, 2.0**powers, 2.0**powers, np.r_[far, small, -small], far, inside]
    for row, (values, function, most) in enumerate(zip(inputs, OTHERS, (2, 2, 2.5, 2, 2, 4), strict=True)):
        x = values.astype(dtype)
        want = function(x.astype(np.longdouble))
        error = np.abs(others(x)[row] - want) / np.spacing(np.abs(want).astype(dtype))
        assert error[np.isfinite(error)].max() < most, function.__name__
    x = np.linspace(0.4, 2.5, 60_003).astype(dtype)
    for row, function in ((1, np.log2), (2, np.log10)):
        want = function(x.astype(np.longdouble))
        assert (np.abs(others(x)[row] - want) / np.spacing(np.abs(want).astype(dtype))).max() < 3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_others_at_the_ends(dtype) -> None:
    x = np.array([0, -0.0, 1, -1, -2, 1e4, -1e4, np.inf, -np.inf, np.nan], dtype)
    got = others(x)
    with np.errstate(all="ignore"):
        for row, function in enumerate(OTHERS):
            rounding = 4 * np.finfo(dtype).eps
            np.testing.assert_allclose(got[row], function(x), rtol=rounding, err_msg=function.__name__)
    assert np.signbit(got[[3, 5], 1]).all()
    whole = np.arange(-126, 127).astype(dtype)
    assert (others(whole)[0] == 2.0**whole).all()
    assert (others((2.0**whole).astype(dtype))[1] == whole).all()
    tens = np.arange(-4 if dtype == np.float64 else 0, 11)
    assert (others((10.0**tens).astype(dtype))[2] == tens).all()
