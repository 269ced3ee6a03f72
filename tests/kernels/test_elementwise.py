"""Elementwise kernels over operands that lie across each other: in tiles, with edges of any size."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import numgrad as ng
from numgrad.kernels.elementwise import plan_elementwise
from numgrad.kernels.pieces import TILE
from numgrad.kernels.source import function_from
from numgrad.ops.layouts import plan_copy

from .running import run

rng = np.random.default_rng(0)
SHAPES = [(160, 128), (131, 257), (33, 1000), (TILE, 1024), (TILE - 1, 1024), (1000, 1), (5, 67, 97), (3, 64, 2, 96)]


def added(x, y):
    return x + y


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_operands_that_lie_across(shape: tuple[int, ...]) -> None:
    x, y = rng.standard_normal(shape[::-1]).astype(np.float32).T, rng.standard_normal(shape).astype(np.float32)

    def planner(b, x_, y_):
        plan_elementwise(b, "added", added, "f4", [x_, y_], [b.output(x_.spec.dtype, shape)])

    (got,) = run(planner, x, y, counts=(1, 2, 4))
    np.testing.assert_array_equal(got, x + y)


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 2, 1), (2, 1, 0), (2, 0, 1), (1, 2, 0)], ids=str)
def test_orders_of_three_dimensions(order: tuple[int, ...]) -> None:
    x = rng.standard_normal((41, 35, 77)).transpose(order)
    row = rng.standard_normal(x.shape[2])

    def planner(b, x_, row_):
        plan_elementwise(b, "added", added, "f8", [x_, row_], [b.output(x_.spec.dtype, x.shape)])

    (got,) = run(planner, x, row, counts=(1, 2))
    np.testing.assert_array_equal(got, x + row)


@pytest.mark.parametrize(
    ("shape", "order"),
    [
        ((1000, 2), (0, 1)),
        ((3, 700), (1, 0)),
        ((6, 8, 2, 9, 2), (0, 1, 3, 2, 4)),
        ((5, 4, 2, 2, 40), (0, 4, 1, 2, 3)),
        ((600, 3, 4, 2), (0, 1, 2, 3)),
        ((4, 300, 5, 3), (0, 1, 3, 2)),
        ((20, 7, 8), (0, 1, 2)),
        ((7, 2, 7, 7), (3, 0, 1, 2)),
    ],
    ids=str,
)
def test_short_rows(shape: tuple[int, ...], order: tuple[int, ...]) -> None:
    """Steps of a loop along another axis, in stretches where others lie between, and as many as there are."""
    x = rng.standard_normal(shape).astype(np.float32).transpose(order)
    wide, column = np.repeat(x, 3, -1)[..., ::3], rng.standard_normal((*x.shape[:-1], 1)).astype(np.float32)

    def planner(b, x_, wide_, column_):
        sums, copy = b.output(x_.spec.dtype, x.shape), b.output(x_.spec.dtype, x.shape)
        plan_elementwise(b, "added", added, "f4", [wide_, column_], [sums])
        plan_copy(b, x_, copy)

    sums, copy = run(planner, x, wide, column, counts=(1, 2, 4))
    np.testing.assert_array_equal(sums, x + column)
    np.testing.assert_array_equal(copy, x)


def test_a_result_that_lies_across() -> None:
    x, y = rng.standard_normal((2, 130, 190))

    def planner(b, x_, y_):
        plan_elementwise(b, "added", added, "f8", [x_, y_], [b.output(x_.spec.dtype, (130, 190), (1, 130))])

    (got,) = run(planner, x, y, counts=(1, 2))
    np.testing.assert_array_equal(got, x + y)


@pytest.mark.parametrize(
    "make",
    [lambda x: x, lambda x: x[:, ::3], lambda x: x.T, lambda x: x[3:50, 1:]],
    ids=["whole", "strided", "turned", "part"],
)
def test_a_result_that_overwrites_an_input(make) -> None:
    x = make(rng.standard_normal((130, 190)))
    y, before = rng.standard_normal(x.shape), x.copy()

    def planner(b, x_, y_):
        plan_elementwise(b, "added", added, "f8", [x_, y_], [b.changes(x_)])
        b.output(x_.spec.dtype, ())

    run(planner, x, y)
    np.testing.assert_array_equal(x, before + y)


def test_a_result_that_overwrites_both_inputs() -> None:
    x = rng.standard_normal(1000)
    before = x.copy()

    def planner(b, x_, y_):
        plan_elementwise(b, "added", added, "f8", [x_, y_], [b.changes(x_)])
        b.output(x_.spec.dtype, ())

    run(planner, x, x)
    np.testing.assert_array_equal(x, before + before)


def test_functions_of_one_name_keep_their_sources() -> None:
    """The flat and the strided loop of an op have one name; a debugger shows the one that it is in."""
    texts = [f"def of_this_test(x):\n    return {sign}x\n" for sign in "+-+"]
    functions = [function_from(text, "of_this_test", {}) for text in texts]
    assert [inspect.getsource(function) for function in functions] == texts


@pytest.mark.parametrize("step", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", [ng.float32, ng.float64, ng.int64, ng.uint8, ng.bool])
def test_every_few_elements_are_those_of_a_copy(dtype, step: int) -> None:
    """Picked out of vectors, with a rest of all lengths, by plain and quick forms, up to the last element of the memory."""
    random = np.random.default_rng(step)
    for count in (1, 2, 7, 15, 16, 17, 31, 33, 64, 257, 1000):
        numbers = random.integers(0, 2 if dtype is ng.bool else 100, (2, (count - 1) * step + 1)).astype(dtype.numpy)
        x, y = (ng.tensor(row)[::step] for row in numbers)
        a, b = (ng.tensor(row[::step].copy()) for row in numbers)
        np.testing.assert_array_equal((x == y).numpy(), (a == b).numpy())
        np.testing.assert_array_equal(ng.maximum(x, y).numpy(), ng.maximum(a, b).numpy())
        if dtype.is_floating_point:
            np.testing.assert_array_equal(ng.sin(x).numpy(), ng.sin(a).numpy())
            whole = ng.tensor(numbers[0])
            whole[::step] += y  # read and written in place
            np.testing.assert_array_equal(whole[::step].numpy(), (a + b).numpy())


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 8])
def test_products_of_others(count: int) -> None:
    """Rows in pairs and alone, of even and odd numbers of elements, with zeros."""
    random = np.random.default_rng(count)
    for rows in (1, 2, 3, 5):
        numbers = random.integers(0, 4, (rows, count)).astype(np.float64)
        x = ng.tensor(numbers, requires_grad=True)
        ng.prod(x, 1).sum().backward()
        others = [[np.prod(np.delete(row, i)) for i in range(count)] for row in numbers]
        np.testing.assert_array_equal(x.grad.numpy(), others)
