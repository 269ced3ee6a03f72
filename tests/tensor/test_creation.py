"""New tensors: shapes, dtypes, values, refusals."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import numgrad as ng


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1, ng.int64),
        (1.5, ng.float32),
        (True, ng.bool),
        ([1, 2], ng.int64),
        ([1, 2.5], ng.float32),
        ([[True], [False]], ng.bool),
        ([], ng.float32),
        (np.float64(1.5), ng.float64),
        (np.int32(3), ng.int32),
        (np.arange(3, dtype=np.uint8), ng.uint8),
        (((1.0, 2.0), (3.0, 4.0)), ng.float32),
    ],
)
def test_tensor_takes_the_dtype_of_data(data: object, dtype: ng.dtype) -> None:
    made = ng.tensor(data)
    assert made.dtype is dtype
    np.testing.assert_array_equal(made.numpy(), np.asarray(data))


def test_tensor_copies() -> None:
    array = np.zeros(3)
    made = ng.tensor(array)
    array[0] = 1
    assert made[0].item() == 0


def test_tensor_of_tensors() -> None:
    assert ng.tensor([ng.tensor(1.0), ng.tensor(2.0)]).tolist() == [1.0, 2.0]
    assert ng.tensor(ng.ones(2)).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("data", "error"),
    [([[1, 2], [3]], ValueError), ("abc", TypeError), ([None], RuntimeError), ({}, RuntimeError), ([1j], TypeError)],
)
def test_tensor_refuses(data: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        ng.tensor(data)


def test_both_forms_of_a_size() -> None:
    for function in (ng.zeros, ng.ones, ng.rand, ng.randn, ng.empty):
        assert function(2, 3).shape == function((2, 3)).shape == function([2, 3]).shape == (2, 3)
        assert function(()).shape == function().shape == ()
        assert function(0, 3).numel() == 0
        assert function((5, 5), requires_grad=True).requires_grad


def test_refused_sizes() -> None:
    with pytest.raises(RuntimeError, match="negative dimension"):
        ng.zeros(2, -1)
    with pytest.raises(TypeError, match="must be tuple of ints"):
        ng.zeros(2.0)
    with pytest.raises(TypeError, match="must be tuple of ints"):
        ng.ones("2")


def test_values() -> None:
    np.testing.assert_array_equal(ng.zeros(2, 2).numpy(), np.zeros((2, 2), np.float32))
    np.testing.assert_array_equal(ng.full((2,), 1.5).numpy(), [1.5, 1.5])
    assert (ng.full((1,), 7).dtype, ng.full((1,), True).dtype) == (ng.int64, ng.bool)
    np.testing.assert_array_equal(ng.eye(2, 3).numpy(), np.eye(2, 3))
    for like in (ng.zeros_like, ng.ones_like, ng.empty_like):
        made = like(ng.arange(3))
        assert (made.dtype, made.shape) == (ng.int64, (3,))
    assert ng.full_like(ng.ones(2, dtype=ng.float64), 2).dtype is ng.float64
    assert ng.zeros_like(ng.ones(2), dtype=ng.int32).dtype is ng.int32


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 7))
@settings(max_examples=50, deadline=None)
def test_arange_of_ints(start: int, end: int, step: int) -> None:
    if end < start:
        step = -step
    np.testing.assert_array_equal(ng.arange(start, end, step).numpy(), np.arange(start, end, step))


@pytest.mark.parametrize(("start", "end", "step"), [(0.0, 1.0, 0.1), (1, 2.5, 0.5), (2.0, -1.0, -0.25), (0, 0, 1)])
def test_arange_of_floats(start: float, end: float, step: float, torch: object) -> None:
    ours, theirs = ng.arange(start, end, step), torch.arange(start, end, step)  # type: ignore[attr-defined]
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-6)
    assert ours.dtype.name == str(theirs.dtype).split(".")[1]


LINES = [
    (0, 1, 5),
    (-2.0, 3.0, 1),
    (1, 0, 4),
    (0, 1, 0),
    (0, 5, 3),
    (0.5, 5.5, 3),
    (0.9, 5.9, 2),
    (-5, 5, 4),
    (100, -100, 7),
    (-7, 120, 1000),
    (0, 4, 197),
    (0, 127, 127),
    (3, 3, 5),
]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32", "int16", "int8", "uint8"])
@pytest.mark.parametrize(("start", "end", "steps"), LINES)
def test_linspace(start: float, end: float, steps: int, dtype: str, torch: ModuleType) -> None:
    if dtype == "uint8":
        start, end = abs(start), abs(end)
    ours, theirs = (lib.linspace(start, end, steps, dtype=getattr(lib, dtype)).numpy() for lib in (ng, torch))
    assert ours.dtype == theirs.dtype
    if ours.dtype.kind == "f":
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-5)  # torch computes in float32
        assert (ours[:1].tolist(), ours[-1:].tolist()) == (theirs[:1].tolist(), theirs[-1:].tolist())
    else:
        np.testing.assert_array_equal(ours, theirs)


@given(st.integers(-(2**40), 2**40), st.integers(-(2**40), 2**40), st.integers(0, 60))
@settings(max_examples=200, deadline=None)
def test_linspace_of_ints(start: int, end: int, steps: int) -> None:
    torch = pytest.importorskip("torch")
    ours = ng.linspace(start, end, steps, dtype=ng.int64).numpy()
    np.testing.assert_array_equal(ours, torch.linspace(start, end, steps, dtype=torch.int64).numpy())
    if steps > 1:
        assert (ours[0], ours[-1]) == (start, end)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda lib: lib.linspace(0, 256, 3, dtype=lib.uint8), RuntimeError),
        (lambda lib: lib.linspace(-129, 0, 3, dtype=lib.int8), RuntimeError),
        (lambda lib: lib.linspace(0, math.nan, 3, dtype=lib.int64), RuntimeError),
        (lambda lib: lib.linspace(0, math.inf, 3, dtype=lib.int32), RuntimeError),
        (lambda lib: lib.linspace(0, 1e39, 3), RuntimeError),
        (lambda lib: lib.linspace(0, 2**63, 3, dtype=lib.int64), RuntimeError),
        (lambda lib: lib.linspace(0, 1, 3, dtype=lib.bool), RuntimeError),
        (lambda lib: lib.linspace(0, 5, -1), RuntimeError),
        (lambda lib: lib.linspace(0, 5, 2.5), TypeError),
        (lambda lib: lib.linspace(0, 5, True), TypeError),
        (lambda lib: lib.linspace("a", 5, 3), TypeError),
        (lambda lib: lib.arange(3, dtype=lib.bool), RuntimeError),
    ],
)
def test_lines_that_are_refused(call: Callable[[Any], Any], error: type[Exception], torch: ModuleType) -> None:
    for lib in (ng, torch):
        with pytest.raises(error):
            call(lib)


def test_lines_that_only_numgrad_refuses_or_keeps() -> None:
    """torch gives 255, 178, 101, 25 for the first, and for the second three times 2**60, which is no end of it."""
    with pytest.raises(RuntimeError, match="without overflow"):
        ng.linspace(-1, 25, 4, dtype=ng.uint8)
    with pytest.raises(RuntimeError, match=r"expected within 2\*\*53"):
        ng.linspace(2**60 + 1, 2**60 + 9, 3, dtype=ng.int64)
    ends = [-(2**63), 2**63 - 1]
    assert ng.linspace(*ends, 2, dtype=ng.int64).tolist() == ends


def test_random_numbers_follow_the_seed() -> None:
    ng.manual_seed(3)
    first = [ng.rand(5).tolist(), ng.randn(5).tolist(), ng.randint(0, 10, (5,)).tolist(), ng.randperm(5).tolist()]
    ng.manual_seed(3)
    assert [
        ng.rand(5).tolist(),
        ng.randn(5).tolist(),
        ng.randint(0, 10, (5,)).tolist(),
        ng.randperm(5).tolist(),
    ] == first
    assert ng.rand(5).tolist() != first[0]
    assert sorted(ng.randperm(9).tolist()) == list(range(9))
    many = ng.rand(10_000).numpy()
    assert many.min() >= 0
    assert many.max() < 1
    assert abs(many.mean() - 0.5) < 5 / math.sqrt(12 * many.size)


@pytest.mark.parametrize(
    "make", [lambda: ng.empty(40, 50), lambda: ng.empty(50, 40).T, lambda: ng.empty(40, 100)[:, ::2]]
)
@pytest.mark.parametrize("recorded", [False, True])
def test_draws_into_a_tensor(make: Callable[[], ng.Tensor], recorded: bool) -> None:
    ng.manual_seed(5)
    with ng.set_grad_enabled(recorded):
        target = make()
        assert target.uniform_(-1, 3) is target
        values = target.numpy().copy()
        assert -1 <= values.min() < -0.9
        assert 2.9 < values.max() <= 3
        assert target.normal_(1, 0.5) is target
    assert abs(target.numpy().mean() - 1) < 0.06
    assert abs(target.numpy().std() - 0.5) < 0.05
    assert abs(np.corrcoef(values.ravel(), target.numpy().ravel())[0, 1]) < 0.1
    with pytest.raises(RuntimeError):
        ng.ones(3).long().uniform_()


def test_what_is_drawn_into_a_leaf_counts_as_a_change() -> None:
    x = ng.ones(3, requires_grad=True)
    y = x * x
    with ng.no_grad():
        x.normal_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


# ---- NumPy ------------------------------------------------------------------------------------------------------


def test_from_numpy_and_numpy_share_memory() -> None:
    array = np.arange(6.0).reshape(2, 3)
    shared = ng.from_numpy(array)
    shared[0, 0] = 9.0
    assert array[0, 0] == 9.0
    array[1, 1] = -1.0
    assert shared[1, 1].item() == -1.0
    assert np.shares_memory(shared.numpy(), array)
    assert ng.from_numpy(array.T).stride() == (1, 3)
    assert ng.from_numpy(array[:, ::2]).stride() == (3, 2)
    view = shared.t()[1:]
    assert np.shares_memory(view.numpy(), array)
    np.testing.assert_array_equal(view.numpy(), array.T[1:])


def test_memory_lives_as_long_as_anybody_looks_at_it() -> None:
    array = ng.full((1000,), 3.0).numpy()
    made = ng.from_numpy(np.full(1000, 4.0))
    junk = [ng.zeros(1000) for _ in range(10)]
    assert (array == 3).all()
    assert (made.numpy() == 4).all()
    assert len(junk) == 10


@pytest.mark.parametrize(
    ("array", "error"),
    [
        (np.arange(3.0)[::-1], ValueError),
        (np.arange(3).astype(">i8"), (ValueError, TypeError)),
        (np.array([1j]), TypeError),
        (np.array(["a"]), TypeError),
        ([1.0], TypeError),
        (np.arange(3, dtype=np.uint64), TypeError),
    ],
)
def test_from_numpy_refuses(array: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        ng.from_numpy(array)  # type: ignore[arg-type]


def test_from_numpy_does_not_write_to_what_is_read_only() -> None:
    array = np.arange(3.0)
    array.flags.writeable = False
    with pytest.raises(ValueError, match="copy"):
        ng.from_numpy(array)


def test_as_tensor() -> None:
    x = ng.ones(2)
    assert ng.as_tensor(x) is x
    array = np.ones(2)
    assert np.shares_memory(ng.as_tensor(array).numpy(), array)
    assert ng.as_tensor([1, 2]).dtype is ng.int64
    assert ng.as_tensor(array, dtype=ng.float32).dtype is ng.float32
