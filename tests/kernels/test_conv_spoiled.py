"""What is not finite, or far too large, reaches what sees it and nothing else, whatever algorithm a convolution takes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from numgrad import dtypes
from numgrad.kernels.conv import plan_conv2d_backward_input, plan_conv2d_forward
from numgrad.kernels.conv_backward import plan_conv2d_backward_weight
from numgrad.kernels.conv_geometry import Conv2dGeometry
from numgrad.runtime.plan import PlanBuilder

from .running import run
from .test_conv import GEOMETRIES, LOSS, TOLERANCE, expected

ONE, TWO, NONE = (1, 1), (2, 2), (0, 0)
WINOGRAD = [
    Conv2dGeometry(2, 16, 9, 11, 32, 3, 3, ONE, ONE),  # a tile's last row alone, and three of a row
    Conv2dGeometry(1, 64, 14, 14, 64, 3, 3, ONE, ONE),  # two of each
    Conv2dGeometry(2, 32, 20, 17, 32, 3, 3, ONE, ONE),  # parts as launches of their own
    Conv2dGeometry(1, 32, 12, 13, 48, 3, 3),
    Conv2dGeometry(1, 32, 5, 6, 32, 3, 3, ONE, TWO),
    Conv2dGeometry(1, 48, 4, 8, 16, 3, 3, ONE, ONE),
]
GROUPED = [
    Conv2dGeometry(1, 6, 4, 4, 6, 2, 1, ONE, NONE, ONE, 3),
    Conv2dGeometry(2, 32, 9, 9, 32, 3, 3, TWO, ONE, ONE, 8),
    Conv2dGeometry(2, 64, 14, 14, 64, 3, 3, ONE, ONE, ONE, 16),
    Conv2dGeometry(1, 24, 3, 3, 12, 1, 1, ONE, NONE, ONE, 6),
    Conv2dGeometry(1, 128, 2, 2, 128, 3, 3, ONE, ONE, ONE, 32),
    Conv2dGeometry(2, 12, 17, 15, 12, 3, 3, (3, 2), (1, 2), ONE, 4),
]
OTHERS = [g for g in GEOMETRIES if 0 < g.pixels * g.k * g.filter_size < 1e7]
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]


def numbers(g: Conv2dGeometry, dtype: str = "float32", scale: float = 1.0) -> Arrays:
    """The input, the weight and the output's gradient."""
    rng = np.random.default_rng(g.c * g.k + g.h)
    shapes = (g.n, g.h, g.w, g.c), (g.k, g.r, g.s, g.group_c), (g.n, g.out_h, g.out_w, g.k)
    x, weight, grad = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    return x * np.dtype(dtype).type(scale), weight, grad * np.dtype(dtype).type(scale)


def results(g: Conv2dGeometry, arrays: Arrays, algorithm: str = "direct", counts: tuple[int, ...] = (0,)) -> Arrays:
    """The output, the gradient of the input, the gradient of the weight."""
    x, weight, grad = arrays
    kind = dtypes.from_numpy_dtype(x.dtype)

    def forward(b, x, w):
        plan_conv2d_forward(b, x, w, None, b.output(kind, grad.shape), g, algorithm)

    def backward_input(b, grad, w):
        plan_conv2d_backward_input(b, grad, w, b.output(kind, x.shape), g, algorithm)

    def backward_weight(b, grad, x):
        plan_conv2d_backward_weight(b, grad, x, b.output(kind, weight.shape), g, algorithm)

    found = [run(forward, x, weight, counts=counts), run(backward_input, grad, weight, counts=counts)]
    return (*(arrays[0] for arrays in found), run(backward_weight, grad, x, counts=counts)[0])


def seen(g: Conv2dGeometry, arrays: Arrays, place: int, index: tuple[int, ...]) -> list[np.ndarray]:
    """Where the results read one element of the arrays."""
    ones = [np.ones_like(a) for a in arrays]
    ones[place] = np.zeros_like(ones[place])
    ones[place][index] = 1
    return [a != 0 for a in expected(g, *ones)]


def places(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Pixels of an image: its corners, and all that differ in where they lie in a tile and by a border."""
    n, high, wide, channels = shape
    rows, columns = {0, 1, 2, 3, 4, high - 2, high - 1}, {0, 3, 5, wide - 1}
    pixels = [(y, x) for y, x in itertools.product(rows, columns) if 0 <= y < high and 0 <= x < wide]
    return [(i % n, y, x, (7 * i) % channels) for i, (y, x) in enumerate(pixels)]


def check(g: Conv2dGeometry, algorithm: str, dtype: str, values: tuple[float, ...], few: bool = False) -> None:
    """Plant values in the input and in the gradient; what does not see them is as it would be with a 0 in that place."""
    arrays = numbers(g, dtype)
    for place in (0, 2):
        for number, index in enumerate(places(arrays[place].shape)[:: 5 if few else 1]):
            value = values[number % len(values)]
            planted, plain = ([a.copy() for a in arrays] for _ in range(2))
            planted[place][index], plain[place][index] = value, 0
            sights = seen(g, arrays, place, index)
            for name, got, want, sight in zip(
                ("output", "grad_input", "grad_weight"), results(g, tuple(planted), algorithm),
                expected(g, *plain), sights, strict=True,
            ):  # fmt: skip
                if name == ("grad_input", "", "output")[place]:
                    continue  # it does not read this array
                case = f"{name} {index} {value} {g}"
                np.testing.assert_array_equal(np.isfinite(got), np.isfinite(value) | ~sight, err_msg=case)
                limit = TOLERANCE[dtype] * max(1.0, np.abs(want).max()) * LOSS[algorithm]
                np.testing.assert_allclose(got[~sight], want[~sight], rtol=0, atol=limit, err_msg=case)


SPOILERS = (np.nan, np.inf, 1e5, -np.inf, 1e8)


@pytest.mark.parametrize("algorithm", ["winograd2", "winograd4"])
@pytest.mark.parametrize("geometry", WINOGRAD, ids=str)
def test_winograd(geometry: Conv2dGeometry, algorithm: str) -> None:
    check(geometry, algorithm, "float32", SPOILERS)


@pytest.mark.parametrize("algorithm", ["winograd2", "winograd4"])
def test_winograd_in_double_precision(algorithm: str) -> None:
    check(WINOGRAD[0], algorithm, "float64", (np.nan, 1e14, np.inf, 1e200))


@pytest.mark.parametrize("geometry", GROUPED, ids=str)
def test_groups(geometry: Conv2dGeometry) -> None:
    check(geometry, "direct", "float32", SPOILERS)


@pytest.mark.parametrize("geometry", OTHERS, ids=str)
def test_others(geometry: Conv2dGeometry) -> None:
    check(geometry, "direct", "float32", SPOILERS, few=True)


@pytest.mark.parametrize("algorithm", ["winograd2", "winograd4"])
@pytest.mark.parametrize("geometry", WINOGRAD, ids=str)
def test_nothing_is_nothing(geometry: Conv2dGeometry, algorithm: str) -> None:
    """A large pixel over zeros: what does not see it is exactly 0."""
    zeros = numbers(geometry, scale=0)
    others = numbers(geometry)
    for place, index in itertools.product((0, 2), [(0, 0, 0, 3), (0, 3, 4, 5), (0, 2, 2, 0)]):
        arrays = [others[0], others[1], others[2]]
        arrays[place] = zeros[place].copy()
        arrays[place][index] = 1e8
        for got, sight in zip(
            results(geometry, tuple(arrays), algorithm), seen(geometry, zeros, place, index), strict=True
        ):
            if sight.any():
                assert (got[~sight] == 0).all(), (place, index)


def test_same_bits_for_any_number_of_threads() -> None:
    for geometry, algorithm in [(g, "winograd4") for g in WINOGRAD] + [(g, "direct") for g in GROUPED]:
        x, weight, grad = numbers(geometry)
        rng = np.random.default_rng(0)
        for array, value in itertools.product((x, grad), (np.nan, np.inf, 1e6)):
            array[tuple(rng.integers(0, extent) for extent in array.shape)] = value
        results(geometry, (x, weight, grad), algorithm, counts=(1, 2, 5))


def flagged(g: Conv2dGeometry, arrays: Arrays) -> list[float]:
    """The share of the tiles that are flagged, in each direction."""
    x, weight, grad = arrays
    plans = [
        (lambda b, x, w: plan_conv2d_forward(b, x, w, None, b.output(dtypes.float32, grad.shape), g, "winograd4"), x, weight),
        (lambda b, e, w: plan_conv2d_backward_input(b, e, w, b.output(dtypes.float32, x.shape), g, "winograd4"), grad, weight),
        (lambda b, e, x: plan_conv2d_backward_weight(b, e, x, b.output(dtypes.float32, weight.shape), g, "winograd4"), grad, x),
    ]  # fmt: skip
    shares = []
    for planner, *inputs in plans:

        def visible(b: PlanBuilder, *operands, planner=planner):
            """Words that all workers share are the flags."""
            scratch = b.scratch

            def shown(dtype, count, *, per_worker=False):
                if dtype is dtypes.int64 and not per_worker and count:
                    return b.output(dtype, (count,))
                return scratch(dtype, count, per_worker=per_worker)

            b.scratch = shown
            planner(b, *operands)

        (flags,) = [found for found in run(visible, *inputs) if found.dtype == np.int64]
        assert set(np.unique(flags)) <= {0, 1}
        shares.append(float(flags.mean()))
    return shares


@pytest.mark.parametrize("channels", [32, 64])
@pytest.mark.parametrize("size", [14, 28, 30])
def test_training_data_are_not_flagged(channels: int, size: int) -> None:
    g = Conv2dGeometry(2, channels, size, size, channels, 3, 3, ONE, ONE)
    x, weight, grad = numbers(g)
    x = np.maximum(x, 0)  # behind a ReLU
    pooled = np.zeros_like(grad)  # before max pooling: one of four has a gradient
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, 4, (2, size // 2, size // 2, channels))
    for i in range(4):
        window = grad[:, i // 2 :: 2, i % 2 :: 2] ** (3 if channels > 32 else 1)  # with heavy tails
        pooled[:, i // 2 :: 2, i % 2 :: 2] = np.where(chosen == i, window, 0)
    for arrays in ((x, weight, grad), (x, weight, pooled)):
        shares = flagged(g, arrays)
        assert max(shares) <= 0.015, shares
    x[0, 5, 5, 0] = 1e6
    assert 0 < max(flagged(g, (x, weight, grad))) < 0.15
