"""Tensors as text: character by character what torch prints, but for the names of the library and its dtypes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import numgrad as ng

INF, NAN = float("inf"), float("nan")
RNG = np.random.default_rng(0)
ARRAYS = {
    "scalar": np.array(2.5),
    "integral scalar": np.array(3.0),
    "int scalar": np.array(7),
    "bool scalar": np.array(True),
    "empty": np.zeros(0),
    "empty matrix": np.zeros((0, 3)),
    "empty ints": np.zeros(0, np.int64),
    "empty bools": np.zeros((2, 0), bool),
    "one": np.array([1.5]),
    "integral floats": np.array([1.0, 20.0, -300.0]),
    "fractions": np.array([1.0, 2.25, -3.125]),
    "small": np.array([1e-5, 2.0]),
    "tiny": np.array([1e-30, 1e-20]),
    "large": np.array([1e10, 1.0]),
    "large integral": np.array([1e9, 1.0]),
    "ratio": np.array([0.001, 2.0]),
    "ratio above 1000": np.array([0.0009, 2.0]),
    "inf": np.array([INF, 1.0, -INF]),
    "nan": np.array([NAN, 1.5]),
    "only nan": np.array([NAN, NAN]),
    "only inf": np.array([INF, -INF]),
    "zeros": np.zeros(3),
    "negative zeros": np.array([-0.0, 0.0]),
    "ints": np.array([1, -20, 300]),
    "bools": np.array([True, False]),
    "uint8": np.array([1, 200], np.uint8),
    "int32": np.array([[1, 2], [3, 4]], np.int32),
    "matrix": RNG.normal(size=(3, 4)),
    "three dims": RNG.normal(size=(2, 3, 4)),
    "four dims": np.arange(24.0).reshape(2, 3, 2, 2),
    "row of many": np.arange(60.0),
    "row of many ints": np.arange(100),
    "wide matrix": RNG.normal(size=(2, 30)),
    "summarised": np.arange(1001.0),
    "summarised ints": np.arange(5000),
    "summarised matrix": RNG.normal(size=(40, 50)),
    "summarised long matrix": RNG.normal(size=(1000, 3)),
    "summarised wide": RNG.normal(size=(3, 1000)),
    "summarised cube": RNG.normal(size=(12, 11, 10)),
    "summarised with a hidden large one": np.concatenate([np.ones(600), [1e9], np.ones(600)]),
    "ones and more": np.ones((1, 1, 1, 2)),
}


def theirs_as_ours(text: str) -> str:
    return text.replace("torch.", "numgrad.")


def unwrapped(text: str) -> str:
    """The name of a dtype is longer here, and may go to a line of its own where torch's does not."""
    return re.sub(r",\n +(dtype|grad_fn|size)=", r", \1=", text)


@pytest.mark.parametrize("dtype", ["as it is", "float32"])
@pytest.mark.parametrize("name", ARRAYS)
def test_repr(name: str, dtype: str, torch_says: Any) -> None:
    array = ARRAYS[name]
    if dtype == "float32":
        if array.dtype.kind != "f":
            pytest.skip("not of floating point")
        array = array.astype(dtype)
    wanted = torch_says(lambda torch: repr(torch.tensor(array)))
    assert unwrapped(repr(ng.tensor(array))) == unwrapped(theirs_as_ours(wanted))


@pytest.mark.parametrize(
    "name", ["scalar", "matrix", "row of many", "summarised", "wide matrix", "empty", "empty matrix"]
)
def test_suffixes(name: str, torch_says: Any) -> None:
    array = ARRAYS[name].astype(np.float32)

    def texts(lib: Any) -> list[str]:
        x = lib.tensor(array, requires_grad=True)
        return [repr(x), repr(x * 2), repr(x.exp().double())]

    ours, theirs = texts(ng), [theirs_as_ours(text) for text in torch_says(texts)]
    assert ours[:2] == theirs[:2]
    assert unwrapped(ours[2]) == unwrapped(theirs[2])
    assert str(ng.tensor(array, requires_grad=True)) == ours[0]


def test_layouts_do_not_matter(torch_says: Any) -> None:
    array = np.random.default_rng(1).normal(size=(4, 3))
    wanted = torch_says(lambda torch: repr(torch.tensor(array).t()[1:, ::2]))
    assert repr(ng.tensor(array).t()[1:, ::2]) == theirs_as_ours(wanted)


def test_the_default_dtype_is_not_named(torch: ModuleType) -> None:
    try:
        ng.set_default_dtype(ng.float64)
        torch.set_default_dtype(torch.float64)
        for array in (np.array([1.5]), np.array([1.5], np.float32)):
            assert unwrapped(repr(ng.tensor(array))) == unwrapped(theirs_as_ours(repr(torch.tensor(array))))
    finally:
        ng.set_default_dtype(ng.float32)
        torch.set_default_dtype(torch.float32)


FLOATS = hnp.arrays(
    st.sampled_from([np.float32, np.float64]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    elements=st.one_of(
        st.sampled_from([0.0, 1.0, -1.0, 0.5, 1000.0, 1001.0, 1e8, 1e-4, INF, NAN]),
        st.floats(-(2.0**40), 2.0**40, width=32),
    ),
)


@given(FLOATS)
@settings(max_examples=200, deadline=None)
def test_repr_of_anything(array: np.ndarray) -> None:
    torch = pytest.importorskip("torch", reason="torch, the third opinion, is not installed")
    assert unwrapped(repr(ng.tensor(array))) == unwrapped(theirs_as_ours(repr(torch.tensor(array))))


def test_format() -> None:
    assert f"{ng.tensor(2.5):.2f}" == "2.50"
    assert f"{ng.tensor(3)}" == "3"
    assert "tensor([1.])" in f"{ng.ones(1)}"


OPTIONS: list[dict[str, object]] = [
    {"precision": 2},
    {"precision": 0},
    {"precision": 7, "linewidth": 30},
    {"threshold": 5, "edgeitems": 1},
    {"threshold": 5, "edgeitems": 0},
    {"linewidth": 40},
    {"sci_mode": True},
    {"sci_mode": False},
    {"profile": "short"},
    {"profile": "full"},
    {"profile": "short", "precision": 6},
]


@pytest.fixture
def printoptions(torch: ModuleType) -> Iterator[None]:
    """Options are as they were after the test."""
    yield
    for lib in (ng, torch):
        lib.set_printoptions(profile="default")


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_options_have_torchs_effect(options: dict[str, object], torch: ModuleType, printoptions: None) -> None:
    names = [
        "scalar",
        "integral floats",
        "fractions",
        "ratio above 1000",
        "nan",
        "zeros",
        "ints",
        "matrix",
        "wide matrix",
    ]
    names += ["row of many", "summarised", "summarised matrix", "large", "empty"]
    for name in names:
        for lib in (ng, torch):
            lib.set_printoptions(profile="default")
            lib.set_printoptions(**options)
        array = ARRAYS[name] if ARRAYS[name].dtype.kind != "f" else ARRAYS[name].astype(np.float32)
        assert repr(ng.tensor(array)) == repr(torch.tensor(array)), name


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 'default', 'short' or 'full'"):
        ng.set_printoptions(profile="long")
    with pytest.raises(ValueError, match="precision is -1"):
        ng.set_printoptions(precision=-1)
    with pytest.raises(TypeError, match="'linewidth' must be int"):
        ng.set_printoptions(linewidth=1.5)
    assert repr(ng.tensor([1.12345])) == "tensor([1.1235])"
