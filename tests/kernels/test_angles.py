"""Sine, cosine, powers and remainders against longer numbers, and the quick forms against the words that are right everywhere."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

import numgrad as ng
from numgrad.kernels import angles, quotients, scalar, vector_math
from numgrad.kernels.quick import quick_form
from numgrad.runtime.kernel import kernel

from .running import run


@kernel("T[:], T[:], T[:, :]")
def all_of(x, y, out, start, stop):
    for i in range(x.shape[0]):
        out[0, i] = angles.sin(x[i])
        out[1, i] = angles.cos(x[i])
        out[2, i] = angles.tan(x[i])
    for i in range(x.shape[0]):
        out[3, i] = angles.atan(x[i])
        out[4, i] = angles.atan2(x[i], y[i])
        out[5, i] = quotients.hypot(x[i], y[i])
        out[6, i] = quotients.power(x[i], y[i])
    for i in range(x.shape[0]):
        out[7, i] = angles.asin(y[i])
        out[8, i] = angles.acos(y[i])
    for i in range(x.shape[0]):
        out[9, i] = vector_math.asinh(x[i])
        out[10, i] = vector_math.acosh(x[i])
        out[11, i] = vector_math.erfc(x[i])


# For each row: NumPy's function, and the most units in the last place that float32 and float64 are off.
ROWS = (
    (np.sin, 2, 2), (np.cos, 2, 2), (np.tan, 2, 2), (np.arctan, 2, 2), (np.arctan2, 0.6, 2), (np.hypot, 0.6, 2),
    (np.power, 0.6, 2), (np.arcsin, 2, 2), (np.arccos, 2, 1.5), (np.arcsinh, 3, 3), (np.arccosh, 3, 3),
    (np.vectorize(math.erfc, otypes=[np.float64]), 1, 7),
)  # fmt: skip


def of(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    shape = (len(ROWS), len(x))
    return run(
        lambda b, x_, y_: b.launch(
            all_of, x_.flat, y_.flat, b.output(x_.spec.dtype, shape).array(*shape), work=1, grain=1
        ),
        x, y,
    )[0]  # fmt: skip


def exact(function, x: np.ndarray, y: np.ndarray, row: int) -> np.ndarray:
    if row in (7, 8):
        return function(y.astype(np.longdouble))
    if row == 11:
        return function(x.astype(np.float64))
    return function(x.astype(np.longdouble), *([y.astype(np.longdouble)] if row in (4, 5, 6) else []))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_units_in_the_last_place(dtype) -> None:
    rng = np.random.default_rng(0)
    near = rng.integers(0, 100, 3000) * (math.pi / 4)  # where sines, cosines and tangents are near 0
    x = np.concatenate([rng.uniform(-30, 30, 20_000), rng.normal(size=9000) * 10.0 ** rng.uniform(-9, 3, 9000), near])
    y = np.concatenate([rng.uniform(-1, 1, 22_000), 1 - 10.0 ** rng.uniform(-7, 0, 10_000)])
    x, y = x.astype(dtype), y.astype(dtype)
    got = of(x, y)
    with np.errstate(all="ignore"):
        for row, (function, *most) in enumerate(ROWS):
            want = exact(function, x, y, row)
            rounded = np.abs(want.astype(dtype))
            normal = np.isfinite(rounded) & (rounded > np.finfo(dtype).tiny)
            error = np.abs(got[row] - want)[normal] / np.spacing(rounded[normal])
            assert error.max() < most[dtype == np.float64], function
            assert np.array_equal(np.isnan(got[row]), np.isnan(want)), function


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_many_quarter_turns(dtype) -> None:
    """Near multiples of pi/2 up to the largest argument nothing of the small rest may be lost."""
    n = np.random.default_rng(1).integers(0, int(angles.reach.reference(dtype(0)) / 2), 4000)
    x = (n * (math.pi / 2)).astype(dtype)
    got = of(x, np.zeros_like(x))
    half = sum(map(Fraction, (math.pi, 1.2246467991473532e-16, -2.9947698097183397e-33))) / 2  # 160 bits of pi
    turns = [round(Fraction(v) / half) for v in x.tolist()]
    rest = np.array([float(Fraction(v) - n * half) for v, n in zip(x.tolist(), turns, strict=True)], np.longdouble)
    sine = np.choose(np.array(turns) % 4, [np.sin(rest), np.cos(rest), -np.sin(rest), -np.cos(rest)])
    error = np.abs(got[0] - sine) / np.spacing(np.abs(sine).astype(dtype))
    assert error.max() < 2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_at_the_ends(dtype) -> None:
    ends = np.array(
        [0.0, -0.0, 1, -1, 0.5, -0.5, 2, -2, 3, -3, np.inf, -np.inf, np.nan, 1e-40, -1e-40, 2.0**24, 1e30], dtype
    )
    x, y = (each.ravel() for each in np.meshgrid(ends, ends))
    got = of(x, y)
    with np.errstate(all="ignore"):
        for row, (function, *_) in enumerate(ROWS):
            want = exact(function, x, y, row).astype(dtype)
            if row < 3:  # right up to there
                largest = angles.reach.reference(dtype(0))
                want = np.where(np.abs(x) > largest, np.nan, want)
                got[row] = np.where(np.abs(x) > largest, np.nan, got[row])
            np.testing.assert_allclose(got[row], want, rtol=1e-6, err_msg=str(function))
            some = ~np.isnan(want)
            np.testing.assert_array_equal(np.signbit(got[row])[some], np.signbit(want)[some], err_msg=str(function))


NAMES = ("sin", "cos", "tan", "fmod", "remainder", "floor_divide")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
def test_quick_forms_give_the_bits_of_the_words(name: str, dtype) -> None:
    """Stretches with an argument outside of the domain, and the same elements without it."""
    rng = np.random.default_rng(2)
    x = (rng.normal(size=3000) * 10.0 ** rng.integers(-6, 6, 3000)).astype(dtype)
    y = (rng.normal(size=3000) * 10.0 ** rng.integers(-2, 2, 3000)).astype(dtype)
    x[100:400], y[100:400] = rng.integers(-50, 50, 300) * 0.5, rng.integers(1, 9, 300) * -0.5
    function = getattr(ng, name)
    numbers = (x, y) if name in NAMES[3:] else (x,)
    quick = function(*map(ng.tensor, numbers)).numpy()
    spoiled = [each.copy() for each in numbers]
    spoiled[0][::100] = 1e30  # in each stretch
    words = function(*map(ng.tensor, spoiled)).numpy()
    rest = np.arange(3000) % 100 != 0
    np.testing.assert_array_equal(quick[rest].view(np.uint8), words[rest].view(np.uint8))
    if name in NAMES[3:]:
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(words, getattr(np, name)(*spoiled))
    else:
        at = spoiled[0].astype(np.longdouble) if dtype == np.float32 else spoiled[0]
        np.testing.assert_allclose(words, getattr(np, name)(at), rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("name", "low", "high", "outside"), [("lgamma", 0.01, 30.0, -0.5), ("erfinv", -0.83, 0.83, 0.999)]
)
def test_quick_forms_of_special_functions(name: str, low: float, high: float, outside: float, dtype) -> None:
    x = np.random.default_rng(3).uniform(low, high, 1000).astype(dtype)
    spoiled = x.copy()
    spoiled[::100] = outside  # in each stretch
    quick, words = (getattr(ng, name)(ng.tensor(each)).numpy() for each in (x, spoiled))
    rest = np.arange(1000) % 100 != 0
    np.testing.assert_array_equal(quick[rest].view(np.uint8), words[rest].view(np.uint8))


def test_quick_forms_of_what_has_none() -> None:
    assert quick_form(lambda x: x + 1, "f4") is None
    assert quick_form(lambda x: scalar.exp(x), "f4") is None
    assert quick_form(_branching, "f4") is None
    for function in (_of_two_names, _named_inside, _renamed, _listed):
        assert quick_form(function, "f4") is None
    assert quick_form(_twice, "i8") is None
    form = quick_form(_twice, "f8")
    assert form is not None
    assert form.holds(1.0)
    assert not form.holds(1e30)
    assert form.function(1.0) == math.sin(2.0) + 2.0


def _branching(x):
    if x > 0:
        return scalar.sin(x)
    return x


def _of_two_names(x):
    y = x = scalar.sin(x)
    return x + y


def _named_inside(x):
    return scalar.sin(x) + (x := 2 * x)


def _renamed(x):
    x = scalar.sin(x)
    return x


def _listed(x):
    return sum([scalar.sin(x * k) for k in (1, 2)])


def _twice(x):
    y = 2 * x
    return scalar.sin(y) + y
