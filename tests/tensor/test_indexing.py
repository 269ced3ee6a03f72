"""Indexing: values and gradients of any basic index are NumPy's; writing too."""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import numgrad as ng
from numgrad import ops

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
    with pytest.raises(ValueError, match="step must be greater than zero beside index tensors"):
        x[::-1, [0, 1]]
    with pytest.raises(ValueError, match="slice step cannot be zero"):
        x[::0]
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


def test_writing_a_tensor_to_its_own_elements_in_another_order() -> None:
    array, order = np.arange(12.0).reshape(3, 4), np.array([2, 0, 1])
    for accumulate in (False, True):
        x = ng.tensor(array)
        x.index_put_((ng.tensor(order),), x, accumulate=accumulate)
        expected = array.copy()
        expected[order] = array[order] + array if accumulate else array
        np.testing.assert_array_equal(x.numpy(), expected)
    x = ng.tensor(array)
    row = x[1]
    row[ng.tensor([1, 2, 3, 0])] = row
    np.testing.assert_array_equal(x.numpy(), [array[0], np.roll(array[1], 1), array[2]])


def test_index_put_with_ints_alone() -> None:
    x, row = ng.arange(6.0).reshape(2, 3), ng.ones(3)
    assert x.index_put((ng.tensor(-1),), row).tolist() == [[0, 1, 2], [1, 1, 1]]
    assert x.index_put((ng.tensor(-1),), row, accumulate=True).tolist() == [[0, 1, 2], [4, 5, 6]]
    with pytest.raises(IndexError):
        x.index_put((ng.tensor(2),), row)


@pytest.mark.parametrize("shape", [(3, 0, 5), (0, 4)])
def test_rolling_nothing(shape: tuple[int, ...]) -> None:
    for dim in range(len(shape)):
        assert tuple(ng.roll(ng.zeros(shape), -2, dim).shape) == shape
    with pytest.raises(IndexError):
        ng.roll(ng.tensor(1.0), 1, 0)


@pytest.mark.parametrize("right", [False, True])
def test_searching_a_line_that_ends_with_nan(right: bool) -> None:
    line = np.array([1.0, 2.0, 2.0, 3.0, np.nan, np.nan])
    values = np.array([0.0, 1.0, 2.0, 2.5, 3.0, 9.0, np.inf, -np.inf])
    expected = np.searchsorted(line, values, "right" if right else "left")
    assert ng.searchsorted(ng.tensor(line), ng.tensor(values), right=right).tolist() == expected.tolist()
    assert ng.searchsorted(ng.tensor(line[:4]), ng.tensor([np.nan]).double(), right=right).tolist() == [4]


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


# ---- dtypes of indices ------------------------------------------------------------------------------------------

BYTES = [
    np.array([1, 0, 1, 0, 1], np.uint8),
    np.array([0, 2, 255, 0, 0], np.uint8),
    np.zeros(5, np.uint8),
    np.array(1, np.uint8),
    np.array(0, np.uint8),
    np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 7, 0], [0, 0, 1]], np.uint8),
]


@pytest.mark.parametrize("mask", BYTES, ids=lambda mask: str(mask.tolist()))
def test_bytes_are_a_mask(mask: np.ndarray, torch: ModuleType) -> None:
    """As in torch, which warns of them: what is not 0 is taken, in reading and in writing, as an array and as a tensor."""
    array = np.arange(15.0).reshape(5, 3)
    for to_index in (lambda lib: lib.tensor(mask), lambda lib: mask):
        with pytest.warns(UserWarning, match="indexing with dtype .*uint8 is now deprecated"):
            ours = ng.tensor(array)[to_index(ng)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = torch.tensor(array)[to_index(torch)]
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
        written = ng.tensor(array)
        with pytest.warns(UserWarning, match="deprecated"):
            written[to_index(ng)] = -1
        np.testing.assert_array_equal(written.numpy(), np.where(_bools(mask, array), -1, array))
        with pytest.warns(UserWarning, match="deprecated"):
            put = ng.tensor(array).index_put((ng.tensor(mask),), ng.tensor(-1.0, dtype=ng.float64))
        np.testing.assert_array_equal(put.numpy(), written.numpy())


def _bools(mask: np.ndarray, array: np.ndarray) -> np.ndarray:
    return np.broadcast_to((mask != 0).reshape(mask.shape + (1,) * (array.ndim - mask.ndim)), array.shape)


def test_bytes_beside_other_indices(torch: ModuleType) -> None:
    array = np.arange(15.0).reshape(5, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for lib in (ng, torch):
            mask = lib.tensor(np.array([1, 0, 1], np.uint8))
            x = lib.tensor(array)
            assert x[:, mask].tolist() == array[:, [0, 2]].tolist()
            assert x[lib.tensor([1, 3]), mask].tolist() == [3.0, 11.0]
            assert x[-1, mask].tolist() == [12.0, 14.0]
            with pytest.raises(IndexError, match="The shape of the mask"):
                x[mask]


def test_the_warning_of_bytes_names_the_line() -> None:
    with pytest.warns(UserWarning, match="deprecated") as caught:
        ng.ones(3)[ng.tensor([1, 0, 1], dtype=ng.uint8)]
    assert caught[0].filename == __file__


INDICES: dict[str, Any] = {
    "int8": lambda lib: lib.tensor([1, 0], dtype=lib.int8),
    "int16": lambda lib: lib.tensor([[1]], dtype=lib.int16),
    "int32": lambda lib: lib.tensor([1, -5], dtype=lib.int32),
    "int64": lambda lib: lib.tensor([-1, 4, 0]),
    "floats": lambda lib: lib.tensor([1.0, 0.0]),
    "one float": lambda lib: lib.tensor(1.0),
    "no floats": lambda lib: lib.tensor([]),
    "one int8": lambda lib: lib.tensor(1, dtype=lib.int8),
    "one int64": lambda lib: lib.tensor(-2),
    "an array of int32": lambda lib: np.array([1, 0], np.int32),
    "an array without dimensions": lambda lib: np.array(-2),
    "an array of int16": lambda lib: np.array([1, 0], np.int16),
    "an empty list": lambda lib: [],
    "a list": lambda lib: [1, -1],
    "a list of bools": lambda lib: [True, False, False, True, False],
    "too low": lambda lib: lib.tensor([0, -6]),
    "too high": lambda lib: lib.tensor([5]),
    "a float": lambda lib: 1.0,
    "a complex": lambda lib: 1j,
    "a dict": lambda lib: {},
    "a text": lambda lib: "a",
    "a slice to a float": lambda lib: slice(0, 2.0),
}


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
def test_dtypes_of_indices(index: Any, torch: ModuleType) -> None:
    """The same elements as torch, or its class of error."""
    array = np.arange(15.0).reshape(5, 3)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = torch.tensor(array)[index(torch)]
    except (IndexError, TypeError) as error:
        with pytest.raises(type(error)):
            ng.tensor(array)[index(ng)]
        return
    np.testing.assert_array_equal(ng.tensor(array)[index(ng)].numpy(), theirs.numpy())


def _embedding(lib: Any, x: Any, index: Any) -> Any:
    return lib.nn.functional.embedding(index, x)


def _module(lib: Any, x: Any, index: Any) -> Any:
    layer = lib.nn.Embedding(5, 3)
    layer.weight = lib.nn.Parameter(x)
    return layer(index)


def _scatter_add(lib: Any, x: Any, index: Any) -> Any:
    rows = index.unsqueeze(1)
    return lib.scatter_add(x, 0, rows, lib.ones(*rows.shape, dtype=lib.float64))


BY_INDEX: dict[str, Any] = {
    "embedding": _embedding,
    "Embedding": _module,
    "index_select": lambda lib, x, index: lib.index_select(x, 0, index),
    "Tensor.index_select": lambda lib, x, index: x.index_select(0, index),
    "gather": lambda lib, x, index: lib.gather(x, 0, index.unsqueeze(1)),
    "Tensor.gather": lambda lib, x, index: x.gather(1, index.unsqueeze(0)),
    "scatter_add": _scatter_add,
    "Tensor.scatter_add": lambda lib, x, index: x.scatter_add(
        1, index.unsqueeze(0), lib.ones(1, len(index), dtype=lib.float64)
    ),
}


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "int16", "float32", "bool"])
@pytest.mark.parametrize("indices", [[0, 2, 1, 2], [0, -1], [-5], [5], [2**31 - 1, 0], []], ids=str)
@pytest.mark.parametrize("function", BY_INDEX.values(), ids=BY_INDEX)
def test_functions_of_an_index(function: Any, indices: list[int], dtype: str, torch: ModuleType) -> None:
    """-1 is out of range where torch says so; the error is of torch's class, and nothing is left of it."""
    array = np.arange(15.0).reshape(5, 3)
    kind = np.dtype(dtype)
    index = np.array(indices, np.int64).astype(kind)
    x = ng.tensor(array)
    try:
        theirs = function(torch, torch.tensor(array), torch.tensor(index))
    except (IndexError, RuntimeError) as error:
        with pytest.raises(IndexError if isinstance(error, IndexError) else RuntimeError):
            function(ng, x, ng.tensor(index))
    else:
        np.testing.assert_array_equal(function(ng, x, ng.tensor(index)).detach().numpy(), theirs.detach().numpy())
    np.testing.assert_array_equal(x.numpy(), array)


def test_an_embedding_takes_a_matrix() -> None:
    for weight in (ng.ones(3), ng.ones(3, 2, 2)):
        with pytest.raises(RuntimeError, match="'weight' must be 2-D"):
            ng.nn.functional.embedding(ng.tensor([0]), weight)


SEQUENCES = [
    range(2), (..., (2, 1, 0)), (slice(None), ()), ((True, False, True), 1),
    (range(3), [0, 1, 2]), [range(2)], (slice(None), range(2)), [[0, 1], [1, 2]], ((0, 1), (1, 2)), ((0, 1),),
    (0, (1, 2)), [slice(None), 1], [None, 0], [..., 0], [[0, 1]], [[[0, 1], [1, 2]]], [[0]] * 40, [0] * 40, [], [[]], [(), ()],
    range(0), (range(0),), [[True, False, True]], ((True, False, True),), [np.array([0, 1]), 1], (slice(None), [[0, 1], [1, 2]]),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence:UserWarning")  # of both
@pytest.mark.parametrize("index", SEQUENCES, ids=lambda index: str(index)[:40])
def test_sequences_are_read_as_torch_reads_them(index: Any, torch: ModuleType) -> None:
    numbers = np.arange(12.0).reshape(3, 4)
    ours, theirs = ng.tensor(numbers), torch.tensor(numbers)
    np.testing.assert_array_equal(ours[index].numpy(), theirs[index].numpy())
    ours[index], theirs[index] = -1, -1
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_a_list_that_is_read_as_a_tuple_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="non-tuple sequence"):
        assert ng.arange(4).reshape(2, 2)[[[0, 1], [1, 0]]].tolist() == [1, 2]


def test_sequences_beyond_the_end_are_refused() -> None:
    with pytest.raises(IndexError, match="index 3 is out of bounds for dimension 0 with size 3"):
        ng.ones(3)[range(5)]


@pytest.mark.parametrize(
    "index",
    [
        np.s_[::-1],
        np.s_[3:0:-2, 1],
        np.s_[None, ..., ::-2],
        np.s_[1:3:-1],
        np.s_[::-1, None, ::-1],
        np.s_[2, ::-1],
    ],
)
def test_negative_steps_read_and_write(index: Any) -> None:
    array = np.arange(20.0).reshape(5, 4)
    x = ng.tensor(array, requires_grad=True)
    got = x[index]
    assert got.tolist() == array[index].tolist()
    (got * got).sum().backward()
    expected = np.zeros((5, 4))
    expected[index] = 2 * array[index]
    assert x.grad.tolist() == expected.tolist()
    for value in (
        7.0,
        np.arange(1.0, 1 + array[index].size).reshape(array[index].shape),
        np.ones((1, *array[index].shape)),
    ):
        y, changed = ng.tensor(array), array.copy()
        y[index] = ng.tensor(value)
        changed[index] = value
        assert y.tolist() == changed.tolist()
    y = ng.tensor(array)
    y[::-1] = y
    y[::-1] += 1
    assert y.tolist() == (array[::-1] + 1).tolist()


def test_a_mask_of_bytes_in_a_tuple_warns_once() -> None:
    mask = ng.tensor([1, 0, 1], dtype=ng.uint8)
    for index in (mask, (mask,), (mask, ng.tensor([0, 1]))):
        with pytest.warns(UserWarning, match="deprecated") as warned:
            ng.ones(3, 4)[index]
        assert len(warned) == 1


def test_index_put_names_the_leaf_whatever_view_of_it_is_written_to() -> None:
    leaf = ng.ones(3, 4, requires_grad=True)
    for indices in ((ng.tensor([0]),), (None, ng.tensor([0]))):
        with pytest.raises(RuntimeError, match="index_put_: a leaf Variable"):
            leaf.index_put_(indices, ng.zeros(4))


@pytest.mark.parametrize("starts", [(3, 0), (-1, 0), (0, 1), (True, 0), (0,), (1.0, 0)])
def test_apply_moved_proves_where_a_view_begins(starts: tuple[Any, ...]) -> None:
    from numgrad.runtime.fast import start

    start.load()
    x, rest = ng.arange(12).view(3, 4), ((1, 1), (1, 4), (0,))
    for row in range(3):
        assert ops.view.slice_.apply_moved(x, (row, 0), *rest).tolist() == x.tolist()[row]
    with pytest.raises((TypeError, RuntimeError)):
        ops.view.slice_.apply_moved(x, starts, *rest)
