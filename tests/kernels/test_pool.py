from __future__ import annotations

import itertools

import numpy as np
import pytest

from numgrad import dtypes
from numgrad.errors import KernelError
from numgrad.kernels.pool import plan_avg_pool, plan_max_pool
from numgrad.kernels.pool_backward import plan_avg_pool_backward, plan_max_pool_backward
from numgrad.kernels.windows import Window

from .running import run

rng = np.random.default_rng(0)

WINDOWS = [
    (Window((2, 2), (2, 2)), False),
    (Window((3, 3), (2, 2), (1, 1)), False),
    (Window((3, 2), (1, 2), (1, 0)), False),
    (Window((3, 3), (2, 2), (1, 1)), True),
    (Window((2, 3), (3, 2), (1, 1)), True),
    (Window((5, 1), (1, 3), (2, 0)), False),
]
DILATED = [(Window((2, 3), (2, 1), (1, 1), (2, 3)), False), (Window((3, 3), (3, 2), (1, 1), (2, 2)), True)]
SHAPES = [(2, 3, 9, 11), (1, 17, 7, 8), (3, 1, 6, 6), (2, 64, 23, 19)]


def laid_out(x: np.ndarray, channels_last: bool) -> np.ndarray:
    if not channels_last:
        return np.ascontiguousarray(x)
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, -3, -1)), -1, -3)


def strides(shape: tuple[int, ...], channels_last: bool) -> tuple[int, ...]:
    return tuple(s // 8 for s in laid_out(np.zeros(shape), channels_last).strides)


def taps(window: Window, p: int, q: int):
    for i, j in itertools.product(range(window.kernel_size[0]), range(window.kernel_size[1])):
        yield (
            p * window.stride[0] - window.padding[0] + i * window.dilation[0],
            q * window.stride[1] - window.padding[1] + j * window.dilation[1],
        )


def max_pool_oracle(x: np.ndarray, window: Window, ceil_mode: bool):
    n, c, height, width = x.shape
    p, q = window.output_extents((height, width), ceil_mode)
    out, indices = np.full((n, c, p, q), -np.inf, x.dtype), np.zeros((n, c, p, q), np.int64)
    for a, b, i, j in itertools.product(range(n), range(c), range(p), range(q)):
        inside = [(h, w) for h, w in taps(window, i, j) if 0 <= h < height and 0 <= w < width]
        values = [x[a, b, h, w] for h, w in inside]
        best = int(np.argmax(values))
        nans = np.flatnonzero(np.isnan(values))
        best = int(nans[-1]) if len(nans) else best
        out[a, b, i, j], indices[a, b, i, j] = values[best], inside[best][0] * width + inside[best][1]
    return out, indices


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_max_pool(shape, channels_last: bool, dtype) -> None:
    for window, ceil_mode in WINDOWS + DILATED if shape[1] < 64 else WINDOWS[1:2]:
        x = np.round(rng.standard_normal(shape) * 3).astype(dtype)
        x.reshape(-1)[::37] = np.nan
        want = max_pool_oracle(x, window, ceil_mode)
        x = laid_out(x, channels_last)
        pooled = want[0].shape

        def forward(b, x_, window=window, pooled=pooled):
            s = strides(pooled, channels_last)
            plan_max_pool(
                b, x_, b.output(x_.spec.dtype, pooled, s), b.output(dtypes.int64, pooled, s), window.record, 2
            )

        out, indices = run(forward, x, counts=(1, 2, 3))
        np.testing.assert_array_equal(out, want[0])
        np.testing.assert_array_equal(indices, want[1])

        def values(b, x_, window=window, pooled=pooled):
            out = b.output(x_.spec.dtype, pooled, strides(pooled, channels_last))
            plan_max_pool(b, x_, out, None, window.record, 2)

        np.testing.assert_array_equal(run(values, x, counts=(1, 2))[0], out)

        def backward(b, g_, indices_):
            out = b.output(g_.spec.dtype, shape, strides(shape, channels_last))
            plan_max_pool_backward(b, g_, indices_, out, 2)

        g = laid_out(rng.standard_normal(pooled).astype(dtype), channels_last)
        got = run(backward, g, laid_out(indices, channels_last), counts=(1, 2, 3))[0]
        expected = np.zeros((shape[0] * shape[1], shape[2] * shape[3]))
        planes = np.arange(shape[0] * shape[1])[:, None]
        np.add.at(expected, (planes, want[1].reshape(len(planes), -1)), g.reshape(len(planes), -1).astype(np.float64))
        np.testing.assert_allclose(got, expected.reshape(shape), rtol=1e-5, atol=1e-6)


def average_oracle(x: np.ndarray, windows, shape: tuple[int, ...]):
    """``windows(p, q)`` gives the pixels and the divisor; output and the matrix of the linear map."""
    height, width = x.shape[2:]
    matrix = np.zeros((shape[2] * shape[3], height * width))
    for p, q in itertools.product(range(shape[2]), range(shape[3])):
        inside, divisor = windows(p, q)
        for h, w in inside:
            matrix[p * shape[3] + q, h * width + w] = 1 / divisor
    return (x.reshape(*x.shape[:2], -1) @ matrix.T).reshape(shape), matrix


def check_average(x, shape, windows, window, channels_last, **options) -> None:
    want, matrix = average_oracle(x.astype(np.float64), windows, shape)

    def forward(b, x_):
        plan_avg_pool(b, x_, b.output(x_.spec.dtype, shape, strides(shape, channels_last)), window, 2, **options)

    out = run(forward, laid_out(x, channels_last), counts=(1, 2, 3))[0]
    np.testing.assert_allclose(out, want, rtol=1e-5, atol=1e-6)
    g = rng.standard_normal(shape).astype(x.dtype)

    def backward(b, g_):
        out = b.output(g_.spec.dtype, x.shape, strides(x.shape, channels_last))
        plan_avg_pool_backward(b, g_, out, window, 2, **options)

    got = run(backward, laid_out(g, channels_last), counts=(1, 2, 3))[0]
    expected = g.reshape(*shape[:2], -1).astype(np.float64) @ matrix
    np.testing.assert_allclose(got, expected.reshape(x.shape), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_avg_pool(shape, channels_last: bool) -> None:
    n, c, height, width = shape
    x = rng.standard_normal(shape).astype(np.float32 if c != 17 else np.float64)
    for (window, ceil_mode), include, override in itertools.product(WINDOWS, (True, False), (None, 5)):
        pooled = window.output_extents((height, width), ceil_mode)

        def windows(p, q, window=window, include=include, override=override):
            inside = [(h, w) for h, w in taps(window, p, q) if 0 <= h < height and 0 <= w < width]
            padded = [
                (h, w) for h, w in taps(window, p, q)
                if h < height + window.padding[0] and w < width + window.padding[1]
            ]  # fmt: skip
            return inside, override or (len(padded) if include else len(inside))

        check_average(
            x, (n, c, *pooled), windows, window, channels_last, count_include_pad=include, divisor_override=override
        )


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("extents", [(1, 1), (3, 4), (7, 7), (10, 2), (12, 13)])
def test_adaptive_avg_pool(extents, channels_last: bool) -> None:
    x = rng.standard_normal((2, 5, 7, 9)).astype(np.float32)

    def windows(p, q):
        rows = range(p * 7 // extents[0], -(-(p + 1) * 7 // extents[0]))
        columns = range(q * 9 // extents[1], -(-(q + 1) * 9 // extents[1]))
        return list(itertools.product(rows, columns)), len(rows) * len(columns)

    check_average(x, (2, 5, *extents), windows, None, channels_last)


def test_unbatched_and_empty() -> None:
    x = rng.standard_normal((3, 6, 6)).astype(np.float32)
    got = run(lambda b, x_: plan_avg_pool(b, x_, b.output(x_.spec.dtype, (3, 3, 3)), Window((2, 2), (2, 2)), 2), x)[0]
    np.testing.assert_allclose(got, x.reshape(3, 3, 2, 3, 2).mean((2, 4)), rtol=1e-6, atol=1e-6)
    empty = np.zeros((0, 3, 6, 6), np.float32)
    got = run(
        lambda b, x_: plan_avg_pool(b, x_, b.output(x_.spec.dtype, (0, 3, 3, 3)), Window((2, 2), (2, 2)), 2), empty
    )
    assert got[0].shape == (0, 3, 3, 3)


def test_mixed_layouts_are_refused() -> None:
    x = laid_out(np.zeros((2, 3, 6, 6), np.float32), True)
    with pytest.raises(KernelError, match="all contiguous or all channels-last"):
        run(lambda b, x_: plan_avg_pool(b, x_, b.output(x_.spec.dtype, (2, 3, 3, 3)), Window((2, 2), (2, 2)), 2), x)
