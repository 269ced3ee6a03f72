"""Indexing: values and gradients of any basic index are NumPy's; writing too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import numgrad as ng

SHAPES = st.lists(st.integers(0, 4), min_size=0, max_size=4).map(tuple)


@st.composite
def indexed(draw: Any) -> tuple[tuple[int, ...], Any]:
    """A shape and a basic index of it."""
    shape = draw(SHAPES)
    items: list[Any] = []
    for extent in shape[: draw(st.integers(0, len(shape)))]:
        choices = [
            st.builds(
                slice,
                *(st.none() | st.integers(-extent - 2, extent + 2) for _ in range(2)),
                st.integers(1, 3) | st.none(),
            )
        ]
        if extent:
            choices.append(st.integers(-extent, extent - 1))
        items.append(draw(st.one_of(choices)))
    for _ in range(draw(st.integers(0, 2))):
        items.insert(draw(st.integers(0, len(items))), None)
    if draw(st.booleans()):
        items.append(Ellipsis)
    return shape, tuple(items) if len(items) != 1 or draw(st.booleans()) else items[0]


@given(indexed())
@settings(max_examples=300, deadline=None)
def test_values_and_gradients(case: tuple[tuple[int, ...], Any]) -> None:
    shape, index = case
    array = np.arange(float(np.prod(shape, dtype=int))).reshape(shape)
    x = ng.tensor(array, requires_grad=True)
    wanted = array[index]
    found = x[index]
    np.testing.assert_array_equal(found.detach().numpy(), wanted)
    weights = np.arange(1.0, wanted.size + 1).reshape(wanted.shape)
    found.backward(ng.tensor(weights))
    gradient = np.zeros(shape)
    gradient[index] = weights
    np.testing.assert_array_equal(x.grad.numpy(), gradient)


@given(indexed(), st.booleans())
@settings(max_examples=200, deadline=None)
def test_writing(case: tuple[tuple[int, ...], Any], tracked: bool) -> None:
    shape, index = case
    array = np.arange(float(np.prod(shape, dtype=int))).reshape(shape)
    leaf = ng.tensor(array, requires_grad=tracked)
    x = leaf * 1.0
    value = -1.0 - np.arange(float(array[index].size)).reshape(array[index].shape)
    x[index] = ng.tensor(value)
    array[index] = value
    np.testing.assert_array_equal(x.detach().numpy(), array)
    if tracked:
        x.sum().backward()
        kept = np.ones(shape)
        kept[index] = 0
        np.testing.assert_array_equal(leaf.grad.numpy(), kept)


def test_an_index_is_a_view() -> None:
    x = ng.zeros(3, 4)
    x[1].fill_(5)
    x[:, 2] = 7
    x[0, 0] = 1
    x[..., -1] = ng.arange(3.0)
    assert x.tolist() == [[1, 0, 7, 0], [5, 5, 7, 1], [0, 0, 7, 2]]


@pytest.mark.parametrize("index", [5, -6, (0, 3), (slice(None), -4)], ids=str)
def test_out_of_bounds(index: Any) -> None:
    with pytest.raises(IndexError, match="index -?[0-9] is out of bounds for dimension [01] with size [35]"):
        ng.ones(5, 3)[index]


def test_refused() -> None:
    x = ng.ones(5, 3)
    with pytest.raises(IndexError, match="too many indices for tensor of dimension 2"):
        x[0, 0, 0]
    with pytest.raises(IndexError, match="can only have a single ellipsis"):
        x[..., ...]
    with pytest.raises(ValueError, match="step must be greater than zero"):
        x[::-1]
    with pytest.raises((TypeError, IndexError)):
        x["a"]
    with pytest.raises((TypeError, IndexError)):
        x[1.0]
    with pytest.raises(RuntimeError):
        x[0] = ng.ones(4)
    assert (x.numpy() == 1).all()


def test_writing_what_overlaps() -> None:
    x = ng.arange(6.0)
    x[1:] = x[:-1]
    assert x.tolist() == [0, 0, 1, 2, 3, 4]


def test_changing_what_overlaps() -> None:
    array = np.arange(9.0).reshape(3, 3)
    x = ng.tensor(array)
    x.add_(x.t())
    np.testing.assert_array_equal(x.numpy(), array + array.T)
    y = ng.tensor([2.0, 3.0, 5.0, 7.0])
    y[1:].mul_(y[:-1])
    assert y.tolist() == [2, 6, 15, 35]
    y.mul_(y)
    assert y.tolist() == [4, 36, 225, 1225]


def test_writing_over_repeated_memory_is_refused() -> None:
    x = ng.zeros(1, 3).expand(4, 3)
    with pytest.raises(
        RuntimeError, match="more than one element of the written-to tensor refers to a single memory location"
    ):
        x.add_(1)
