from __future__ import annotations

import numpy as np
import pytest

from numgrad import dtypes
from numgrad.kernels.index import plan_gather_elements, plan_index_select, plan_linear_index
from numgrad.kernels.scatter import REPLACE, plan_index_scatter, plan_scatter_elements

from .running import run

rng = np.random.default_rng(0)


def select(x, index, dim, counts=(0,), status=0):
    shape = (*x.shape[:dim], *index.shape, *x.shape[dim + 1 :])
    return run(
        lambda b, x_, i_: plan_index_select(b, x_, i_, b.output(x_.spec.dtype, shape), dim),
        x, index, counts=counts, status=status,
    )[0]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8, np.bool_])
@pytest.mark.parametrize("dim", [0, 1, 2])
def test_index_select(dim: int, dtype) -> None:
    x = rng.integers(-30, 30, (5, 7, 3)).astype(dtype)  # what becomes of -1.5 as uint8 depends on the processor
    for shape in [(4,), (2, 3), (0,), ()]:
        index = rng.integers(0, x.shape[dim], shape)
        np.testing.assert_array_equal(select(x, index, dim), np.take(x, index, dim))


def test_embedding_rows() -> None:
    x = rng.standard_normal((1000, 64)).astype(np.float32)
    index = rng.integers(0, 1000, (50, 40))
    np.testing.assert_array_equal(select(x, index, 0, counts=(1, 2, 3)), x[index])


def test_index_out_of_range() -> None:
    x = rng.standard_normal((5, 3)).astype(np.float32)
    select(x, np.array([0, 4, 5]), 0, status=3)
    select(x, np.array([0, -6, 4]), 0, status=2)
    select(x, np.array([0, 4, -1]), 0, status=3)


def scatter(source, index, out, dim, counts=(0,), status=0, **options):
    def planner(b, source_, index_, out_):
        plan_index_scatter(b, source_, index_, b.in_place(out_), dim, **options)

    run(planner, source, index, out, counts=counts, status=status)
    return out


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize(
    ("shape", "dim", "count"),
    [((5, 7, 3), 0, 9), ((5, 7, 3), 1, 9), ((5, 7, 3), 2, 0), ((500, 96), 0, 3000), ((4000,), 0, 200_000)],
)
def test_index_add(shape, dim: int, count: int, dtype) -> None:
    out = (rng.standard_normal(shape) * 10).astype(dtype)
    index = rng.integers(0, shape[dim], count)
    source = (rng.standard_normal((*shape[:dim], count, *shape[dim + 1 :])) * 10).astype(dtype)
    want = out.astype(np.float64 if dtype != np.int64 else dtype)
    place = (slice(None),) * dim + (index,)
    np.add.at(want, place, source)
    got = scatter(source, index, out.copy(), dim, counts=(1, 2, 3))
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-3 if dtype == np.float32 else 1e-9)
    cleared = scatter(source, index, np.full_like(out, 7), dim, zero=True)
    zeros = np.zeros_like(want)
    np.add.at(zeros, place, source)
    np.testing.assert_allclose(cleared, zeros, rtol=1e-4, atol=1e-3 if dtype == np.float32 else 1e-9)
    put = out.copy()
    for i, where in enumerate(index):
        put[(slice(None),) * dim + (where,)] = source[(slice(None),) * dim + (i,)]
    np.testing.assert_array_equal(scatter(source, index, out.copy(), dim, way=REPLACE, counts=(1, 2, 3)), put)


def test_scatter_out_of_range() -> None:
    scatter(np.ones((4, 2), np.float32), np.array([0, 2, 3, 1]), np.zeros((3, 2), np.float32), 0, status=3)


def test_several_indices_as_one() -> None:
    indices = [rng.integers(-n, n, (7, 2)) for n in (5, 6)]

    def planner(b, *operands):
        plan_linear_index(b, list(operands), (5, 6), b.output(dtypes.int64, (7, 2)))

    linear = run(planner, *indices, counts=(1, 2))[0]
    np.testing.assert_array_equal(linear, indices[0] % 5 * 6 + indices[1] % 6)
    for wrong in (-6, 5):
        indices[0][1, 0] = wrong
        run(planner, *indices, status=3)


def gather(x, index, dim, counts=(0,), status=0):
    return run(
        lambda b, x_, i_: plan_gather_elements(b, x_, i_, b.output(x_.spec.dtype, index.shape), dim),
        x, index, counts=counts, status=status,
    )[0]  # fmt: skip


def scatter_elements(source, index, out, dim, counts=(0,), status=0, **options):
    def planner(b, source_, index_, out_):
        plan_scatter_elements(b, source_, index_, b.in_place(out_), dim, **options)

    run(planner, source, index, out, counts=counts, status=status)
    return out


def places(index: np.ndarray, dim: int):
    grid = list(np.indices(index.shape))
    grid[dim] = index
    return tuple(grid)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize(
    ("shape", "index_shape"),
    [((6,), (9,)), ((5, 8), (4, 8)), ((5, 8), (7, 3)), ((4, 6, 3, 5), (4, 6, 3, 5)), ((4, 6, 3, 5), (2, 5, 3, 4)),
     ((300, 200), (300, 200)), ((2, 3), (0, 3))],
)  # fmt: skip
def test_gather_and_scatter(shape, index_shape, dtype) -> None:
    x = (rng.standard_normal(shape) * 10).astype(dtype)
    for dim in range(len(shape)):
        if any(n > m for d, (n, m) in enumerate(zip(index_shape, shape, strict=True)) if d != dim):
            continue
        index = rng.integers(0, shape[dim], index_shape)
        where = places(index, dim)
        np.testing.assert_array_equal(gather(x, index, dim, counts=(1, 2, 3)), x[where])
        np.testing.assert_array_equal(gather(np.ascontiguousarray(x.T).T, index, dim), x[where])
        source = (rng.standard_normal([n + 1 for n in index_shape]) * 10).astype(dtype)
        part = source[tuple(slice(n) for n in index_shape)]
        want = x.astype(np.float64 if dtype != np.int64 else dtype)
        np.add.at(want, where, part)
        got = scatter_elements(source, index, x.copy(), dim, counts=(1, 2, 3))
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
        put = x.copy()
        for position in np.ndindex(*index_shape):
            target = list(position)
            target[dim] = index[position]
            put[tuple(target)] = part[position]
        np.testing.assert_array_equal(scatter_elements(source, index, x.copy(), dim, way=REPLACE), put)
        filled = scatter_elements(np.full((), 3, dtype), index, x.copy(), dim, way=REPLACE)
        assert (filled[where] == 3).all()


def test_elements_out_of_range() -> None:
    x = rng.standard_normal((3, 4)).astype(np.float32)
    index = np.array([[0, 1], [2, 4]])
    gather(x, index, 1, status=4)
    scatter_elements(np.ones((2, 2), np.float32), index, x, 1, status=4)
