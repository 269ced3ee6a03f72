"""Matrix products against NumPy in float64, over shapes, strides, batches and what is added."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from numgrad import dtypes
from numgrad.kernels.gemm import plan_gemm
from numgrad.kernels.gemm_layout import Matrices
from numgrad.runtime.plan import Operand, PlanBuilder

from .running import run

TOLERANCE = {"float32": 2e-6, "float64": 2e-14, "int64": 0}
SHAPES = [
    (1, 1, 1), (4, 6, 16), (1, 100, 64), (100, 1, 64), (7, 5, 3), (33, 65, 17), (64, 64, 64), (130, 70, 50),
    (16, 512, 512), (5, 0, 3), (5, 3, 0), (0, 3, 4), (200, 96, 128), (8, 1000, 512), (300, 7, 48),
    (2, 64, 640), (65, 3, 4), (1, 1, 1001), (9, 1, 203), (1, 517, 7), (517, 1, 7), (1, 300, 203), (1, 1, 32791),
    (20, 16, 40), (9, 8, 24), (30, 1, 20), (1, 100, 3000), (1003, 1, 100), (6, 1, 5000), (1, 2100, 90),
]  # fmt: skip


def check(m: int, n: int, k: int, *, dtype: str, turned: tuple[bool, bool], batch: int = 1, bias: bool = False,
          accumulate: bool = False, padding: int = 0, counts: tuple[int, ...] = (0,)) -> None:  # fmt: skip
    """Both operands lie in rows of ``padding`` more elements, as slices of larger matrices do.

    Sums are exact in any order, but where several numbers of threads have to come to the same bits.
    """
    rng = np.random.default_rng(m * n + k)
    a = rng.integers(-50, 50, (batch, *((k, m) if turned[0] else (m, k)))) / (1 if dtype == "int64" else 16)
    b = rng.integers(-50, 50, (batch, *((n, k) if turned[1] else (k, n)))) / (1 if dtype == "int64" else 16)
    if len(counts) > 1:
        a, b = rng.standard_normal(a.shape), rng.standard_normal(b.shape)
    before = rng.integers(-50, 50, (batch, m, n)).astype(dtype)
    added = rng.integers(-50, 50, n).astype(dtype)
    wide_a, wide_b = (np.pad(x, ((0, 0), (0, 0), (0, padding))).astype(dtype) for x in (a, b))
    row_a, row_b = wide_a.shape[2], wide_b.shape[2]

    def plan(builder: PlanBuilder, left: Operand, right: Operand, extra: Operand, old: Operand) -> None:
        out = (
            builder.in_place(old)
            if accumulate
            else builder.output(dtypes.from_numpy_dtype(np.dtype(dtype)), (batch, m, n))
        )
        first, second = Matrices(left, wide_a[0].size, row_a), Matrices(right, wide_b[0].size, row_b)
        plan_gemm(
            builder, first.transposed if turned[0] else first, second.transposed if turned[1] else second,
            Matrices(out, m * n, n), m=m, n=n, k=k, batch=batch, bias=extra if bias else None, accumulate=accumulate,
        )  # fmt: skip

    expected: Any = (a.swapaxes(1, 2) if turned[0] else a) @ (b.swapaxes(1, 2) if turned[1] else b)
    expected = expected + (added if bias else 0) + (before if accumulate else 0)
    if expected.size == 0:
        return
    results = run(plan, wide_a, wide_b, added, before, counts=counts)
    got = before if accumulate else results[0]
    scale = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE[dtype] * scale)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("turned", [(False, False), (False, True), (True, False), (True, True)])
@pytest.mark.parametrize("shape", SHAPES)
def test_products(shape: tuple[int, int, int], turned: tuple[bool, bool], dtype: str) -> None:
    check(*shape, dtype=dtype, turned=turned)
    check(*shape, dtype=dtype, turned=turned, batch=3, bias=True)
    check(*shape, dtype=dtype, turned=turned, accumulate=True, padding=5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "shape", [(1, 64, 32), (3, 70, 31), (70, 64, 64), (130, 33, 40), (90, 1, 64), (520, 513, 2), (600, 512, 3)]
)
def test_sample(shape: tuple[int, int, int], dtype: str) -> None:
    for turned in [(False, False), (False, True), (True, False)]:
        check(*shape, dtype=dtype, turned=turned, batch=2, bias=True)
        check(*shape, dtype=dtype, turned=turned, accumulate=True)


@pytest.mark.parametrize(
    "shape",
    [
        (4, 512, 1024),
        (300, 300, 300),
        (1, 2000, 512),
        (600, 512, 3),
        (1023, 1, 300),
        (1, 300, 4001),
        (1024, 256, 64),
        (200, 200, 4096),
        (64, 64, 3000),
        (24, 300, 5000),
    ],
)
@pytest.mark.parametrize("turned", [(False, False), (False, True), (True, False)])
def test_same_bits_for_any_number_of_threads(shape: tuple[int, int, int], turned: tuple[bool, bool]) -> None:
    check(*shape, dtype="float32", turned=turned, counts=(1, 2, 5))


@pytest.mark.parametrize("turned", [(False, False), (False, True), (True, False)])
def test_nan_and_infinity_stay_in_their_rows_and_columns(turned: tuple[bool, bool]) -> None:
    m, n, k = 13, 70, 32
    a, b = np.ones((k, m) if turned[0] else (m, k), np.float32), np.ones((n, k) if turned[1] else (k, n), np.float32)
    (a.T if turned[0] else a)[4, 7] = np.nan
    (b.T if turned[1] else b)[5, 66] = np.inf

    def plan(builder: PlanBuilder, left: Operand, right: Operand) -> None:
        plan_gemm(
            builder, Matrices(left, 0, 1, m) if turned[0] else Matrices(left, 0, k),
            Matrices(right, 0, 1, k) if turned[1] else Matrices(right, 0, n),
            Matrices(builder.output(dtypes.float32, (m, n)), 0, n), m=m, n=n, k=k,
        )  # fmt: skip

    (got,) = run(plan, a, b)
    expected = np.full((m, n), np.float32(k))
    expected[:, 66], expected[4] = np.inf, np.nan
    np.testing.assert_array_equal(got, expected)


def test_bias_and_accumulate_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="exclude"):
        check(2, 2, 2, dtype="float32", turned=(False, False), bias=True, accumulate=True)
