"""Copies between operands that lie along different axes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from numgrad.kernels.transpose import BLOCK
from numgrad.ops.layouts import plan_copy

from .running import run

rng = np.random.default_rng(0)
SHAPES = [
    (64, 64),
    (131, 257),
    (3, 5000),
    (5000, 3),
    (BLOCK + 1, 70),
    (2, 3, 47, 33),
    (4, 16, 9, 11),
    (2, 40, 5, 3, 16),
]


def numbers(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    return rng.integers(-100, 100, shape).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int32, np.bool_])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_copies_in_every_order(shape: tuple[int, ...], dtype: type) -> None:
    orders = list(itertools.permutations(range(len(shape))))
    for order in orders if len(orders) <= 24 else orders[::11]:
        x = numbers(tuple(shape[axis] for axis in order), dtype).transpose(np.argsort(order))

        def planner(b, x_):
            plan_copy(b, x_, b.output(x_.spec.dtype, shape))

        (got,) = run(planner, x, counts=(1, 2))
        np.testing.assert_array_equal(got, x)


def test_windows() -> None:
    x = rng.standard_normal((150, 200))[3:140, 5:190]

    def planner(b, x_):
        part = b.output(x_.spec.dtype, (200, 150)).view((185, 137), (150, 1), 7)
        plan_copy(b, b.inputs[0].view((185, 137), (1, 200)), part)

    (got,) = run(planner, x)
    np.testing.assert_array_equal(got.ravel()[7:].tolist()[:137], x[:, 0])
    flat = got.ravel()
    written = np.lib.stride_tricks.as_strided(flat[7:], (185, 137), (150 * 8, 8))
    np.testing.assert_array_equal(written, x.T)
    assert (flat[:7] == 77).all()
    assert (flat[7 + 137 : 157] == 77).all()
