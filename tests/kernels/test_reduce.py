from __future__ import annotations

import itertools

import numpy as np
import pytest

from numgrad import dtypes
from numgrad.kernels.reduce import plan_reduce
from numgrad.kernels.reduce_index import plan_reduce_index

from .running import run

NUMPY = {"sum": np.sum, "mean": np.mean, "prod": np.prod, "max": np.max, "min": np.min, "any": np.any, "all": np.all}
rng = np.random.default_rng(0)


def out_dtype(kind: str, x: np.ndarray) -> dtypes.dtype:
    own = dtypes.from_numpy_dtype(x.dtype)
    if kind in ("any", "all"):
        return dtypes.bool_
    return own if kind in ("max", "min") or own.is_floating_point else dtypes.int64


def reduced(
    x: np.ndarray, kind: str, dims: tuple[int, ...], keepdim: bool = False, counts=(0,), strides=None
) -> np.ndarray:
    shape = tuple(1 if d in dims else n for d, n in enumerate(x.shape) if keepdim or d not in dims)

    def planner(b, operand):
        plan_reduce(b, kind, operand, b.output(out_dtype(kind, x), shape, strides), dims)

    return run(planner, x, counts=counts)[0]


def expected(x: np.ndarray, kind: str, dims: tuple[int, ...], keepdim: bool = False) -> np.ndarray:
    wide = x.astype(np.float64) if x.dtype.kind == "f" else x
    options = {"dtype": np.int64} if kind in ("sum", "prod") and x.dtype.kind != "f" else {}
    return NUMPY[kind](wide, axis=dims, keepdims=keepdim, **options)


def check(x: np.ndarray, kind: str, dims: tuple[int, ...], keepdim: bool = False, **options) -> None:
    got, want = reduced(x, kind, dims, keepdim, **options), expected(x, kind, dims, keepdim)
    if x.dtype.kind == "f" and kind in ("sum", "mean", "prod"):
        scale = max(1.0, float(np.abs(x).astype(np.float64).sum() / max(1, want.size))) if kind == "sum" else 1.0
        np.testing.assert_allclose(
            got,
            want,
            rtol=3e-6 if x.dtype == np.float32 else 1e-12,
            atol=scale * (1e-6 if x.dtype == np.float32 else 1e-14),
        )
    else:
        np.testing.assert_array_equal(got, want)


def subsets(ndim: int):
    return itertools.chain.from_iterable(itertools.combinations(range(ndim), k) for k in range(ndim + 1))


def arrays(shape: tuple[int, ...], dtype) -> list[np.ndarray]:
    """The same shape with several strides: contiguous, permuted, sliced with steps, expanded."""
    x = (rng.standard_normal(shape) * 3).astype(dtype)
    order = rng.permutation(len(shape))
    permuted = np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))
    stepped = np.zeros([2 * n for n in shape], dtype)[tuple(slice(None, None, 2) for _ in shape)]
    stepped[...] = x
    expanded = np.broadcast_to(x[:, :1], shape)
    return [x, permuted, stepped, expanded]


# Each pair compiles kernels of its own, so not all are here.
PAIRS = [
    *((kind, np.float32) for kind in NUMPY),
    ("sum", np.float64),
    ("sum", np.int64),
    ("prod", np.int64),
    ("max", np.int64),
    ("sum", np.bool_),
    ("any", np.bool_),
]


@pytest.mark.parametrize(("kind", "dtype"), PAIRS)
def test_every_subset_of_dims(kind: str, dtype) -> None:
    for x in arrays((3, 4, 2, 5), dtype):
        for dims in subsets(4):
            check(x, kind, dims, keepdim=len(dims) % 2 == 0)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_small_integers_sum_in_int64(dtype) -> None:
    x = rng.integers(0, 120, (37, 41)).astype(dtype)
    for kind in ("sum", "max"):
        for dims in subsets(2):
            check(x, kind, dims)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("shape", "dims"),
    [
        ((1_000_003,), (0,)),
        ((70_001, 3), (0,)),
        ((3, 70_001), (1,)),
        ((16_384, 64), (0,)),
        ((300, 1700), (0,)),
        ((300, 1700), (1,)),
        ((8, 17, 31, 64), (0, 1, 2)),
        ((8, 64, 17, 31), (0, 2, 3)),
        ((5, 4001, 30), (0, 2)),
        ((40, 2000, 7), (1,)),
    ],
)
def test_large_inputs_have_the_same_bits_for_any_thread_count(shape, dims, dtype) -> None:
    x = (rng.standard_normal(shape) + 0.5).astype(dtype)
    for kind in ("sum", "mean", "max"):
        check(x, kind, dims, counts=(1, 2, 3))


def test_channels_last_input() -> None:
    x = np.ascontiguousarray(rng.standard_normal((6, 33, 40, 70)).astype(np.float32)).transpose(0, 3, 1, 2)
    check(x, "sum", (0, 2, 3), counts=(1, 2, 3))
    check(x, "mean", (2, 3))
    check(x, "max", (1,))


def test_float32_sum_is_accurate() -> None:
    x = np.full(1 << 22, 0.1, np.float32)
    exact = float(np.float32(0.1)) * x.size
    assert abs(float(reduced(x, "sum", (0,))) - exact) <= 3e-7 * exact
    assert np.abs(reduced(x.reshape(-1, 64), "sum", (0,)) - exact / 64).max() <= 3e-7 * exact / 64


def test_output_may_have_any_strides() -> None:
    x = rng.standard_normal((7, 5, 3, 4)).astype(np.float32)
    got = reduced(x, "sum", (3,), strides=(1, 7, 35))
    np.testing.assert_allclose(got, x.sum(3), rtol=1e-5, atol=1e-5)
    got = reduced(rng.standard_normal((4000, 6, 5)).astype(np.float32), "max", (0,), strides=(1, 6))
    assert got.strides == (4, 24)


def test_many_dimensions_that_do_not_merge() -> None:
    x = np.ascontiguousarray(rng.standard_normal((2, 3, 2, 3, 2, 3, 2, 3)).astype(np.float32))
    check(x, "sum", (0, 2, 4, 6))
    check(x, "sum", (1, 3, 5, 7))
    check(x.transpose(7, 0, 6, 1, 5, 2, 4, 3), "max", (0, 2, 4, 6))


def test_empty_reductions() -> None:
    x = np.zeros((3, 0, 5), np.float32)
    assert (reduced(x, "sum", (1,)) == 0).all()
    assert (reduced(x, "prod", (1,)) == 1).all()
    assert np.isnan(reduced(x, "mean", (1,))).all()
    assert not reduced(x, "any", (1,)).any()
    assert reduced(x, "all", (1,)).all()
    assert reduced(x, "sum", (0,)).shape == (0, 5)
    assert reduced(x, "sum", (0, 1, 2)) == 0


def test_scalar_input() -> None:
    assert reduced(np.array(3.5, np.float32), "sum", ()) == 3.5


@pytest.mark.parametrize("kind", ["max", "min"])
def test_nan_is_propagated(kind: str) -> None:
    for n in (1, 5, 100, 5000):
        x = rng.standard_normal((n, 9)).astype(np.float32)
        x[n // 2, 3] = np.nan
        x[0, 5] = np.inf
        check(x, kind, (0,))
        check(np.ascontiguousarray(x.T), kind, (1,))


def test_infinities_are_summed() -> None:
    x = np.zeros(5000, np.float32)
    x[77] = np.inf
    assert reduced(x, "sum", (0,)) == np.inf
    x[4000] = -np.inf
    assert np.isnan(reduced(x, "sum", (0,)))


# ---- with indices -----------------------------------------------------------------------------------------------


def with_indices(x: np.ndarray, kind: str, dims: tuple[int, ...], counts=(0,), values: bool = True):
    shape = tuple(n for d, n in enumerate(x.shape) if d not in dims)

    def planner(b, operand):
        v = b.output(operand.spec.dtype, shape) if values else None
        plan_reduce_index(b, kind, operand, v, b.output(dtypes.int64, shape), dims)

    return run(planner, x, counts=counts)


def check_indices(x: np.ndarray, kind: str, dims: tuple[int, ...], **options) -> None:
    kept = [d for d in range(x.ndim) if d not in dims]
    flat = x.transpose(*kept, *dims).reshape(*(x.shape[d] for d in kept), -1)
    want = (np.argmax if kind == "max" else np.argmin)(flat, axis=-1)
    values, indices = with_indices(x, kind, dims, **options)
    np.testing.assert_array_equal(indices, want)
    np.testing.assert_array_equal(values, np.take_along_axis(flat, want[..., None], -1)[..., 0])


@pytest.mark.parametrize("kind", ["max", "min"])
@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_indices_of_every_dim(kind: str, dtype) -> None:
    for x in arrays((3, 4, 2, 5), dtype):
        x = np.round(x) if x.dtype.kind == "f" else x
        for dims in [(0,), (1,), (2,), (3,), (0, 1, 2, 3), (1, 3)]:
            check_indices(x, kind, dims)


@pytest.mark.parametrize(
    ("shape", "dims"),
    [
        ((1_000_003,), (0,)),
        ((70_001, 3), (0,)),
        ((3, 70_001), (1,)),
        ((300, 1700), (0,)),
        ((50, 60, 70), (1,)),
        ((128, 10), (1,)),
    ],
)
def test_indices_of_large_inputs(shape, dims) -> None:
    x = rng.integers(0, 10_000, shape).astype(np.float32)
    check_indices(x, "max", dims, counts=(1, 2, 3))
    check_indices(x, "min", dims)


def test_first_nan_wins() -> None:
    x = rng.standard_normal((6000, 3)).astype(np.float32)
    x[2500, 1] = x[40, 1] = x[5999, 2] = np.nan
    check_indices(x, "max", (0,))
    check_indices(np.ascontiguousarray(x.T), "min", (1,))
    assert with_indices(x, "max", (0, 1), values=False)[0] == 40 * 3 + 1
