"""How tensors behave in Python: numbers, iteration, equality, copies, pickles, NumPy on either side."""

from __future__ import annotations

import copy
import operator
import pickle
from types import ModuleType

import numpy as np
import pytest

import numgrad as ng


def test_one_element_is_a_number() -> None:
    assert (float(ng.tensor(2.5)), int(ng.tensor([3])), bool(ng.tensor([[0.0]]))) == (2.5, 3, False)
    assert (
        ng.tensor(2).item(),
        type(ng.tensor(2).item()),
        type(ng.tensor(2.0).item()),
        type(ng.tensor(True).item()),
    ) == (
        2,
        int,
        float,
        bool,
    )
    assert [10, 20, 30][ng.tensor(1)] == 20
    with pytest.raises(TypeError, match="only integer tensors of a single element can be converted to an index"):
        [10, 20][ng.tensor(1.0)]


def test_many_elements_are_not() -> None:
    with pytest.raises(RuntimeError, match="a Tensor with 3 elements cannot be converted to Scalar"):
        ng.ones(3).item()
    with pytest.raises(RuntimeError, match="Boolean value of Tensor with more than one value is ambiguous"):
        bool(ng.ones(3))
    with pytest.raises(RuntimeError, match="Boolean value of Tensor with no values is ambiguous"):
        bool(ng.ones(0))
    for number in (float, int):
        with pytest.raises(ValueError, match="only one element tensors can be converted"):
            number(ng.ones(2))


def test_length_and_iteration() -> None:
    x = ng.arange(6).view(2, 3)
    assert len(x) == 2
    assert [row.tolist() for row in x] == [[0, 1, 2], [3, 4, 5]]
    _, second = x
    assert second.tolist() == [3, 4, 5]
    assert list(reversed([1])) == [1]
    with pytest.raises(TypeError, match="len\\(\\) of a 0-d tensor"):
        len(ng.tensor(1))
    with pytest.raises(TypeError, match="iteration over a 0-d tensor"):
        iter(ng.tensor(1))
    assert 4 in x
    assert 9 not in x


def test_iteration_is_differentiable() -> None:
    x = ng.ones(3, requires_grad=True)
    total = ng.zeros(())
    for weight, element in enumerate(x):
        total = total + weight * element
    total.backward()
    assert x.grad.tolist() == [0.0, 1.0, 2.0]


def test_hash_is_identity_and_equality_is_elementwise() -> None:
    x, y = ng.ones(2), ng.ones(2)
    assert len({x, y, x}) == 2
    assert {x: 1}[x] == 1
    assert (x == y).tolist() == [True, True]
    assert (x != y).tolist() == [False, False]
    assert ng.equal(x, y)
    assert not ng.equal(x, ng.ones(3))


def test_deepcopy() -> None:
    x = ng.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    (x * x).sum().backward()
    y = copy.deepcopy({"x": x, "same": x})
    assert y["x"] is y["same"]
    assert y["x"].requires_grad
    assert y["x"].grad.tolist() == x.grad.tolist()
    assert not np.shares_memory(y["x"].detach().numpy(), x.detach().numpy())
    assert not np.shares_memory(y["x"].grad.numpy(), x.grad.numpy())
    with pytest.raises(
        RuntimeError, match="Only Tensors created explicitly by the user .* support the deepcopy protocol"
    ):
        copy.deepcopy(x * 2)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(protocol: int) -> None:
    for x in (
        ng.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True),
        ng.arange(5),
        ng.tensor(True),
        ng.zeros(0, 3),
        ng.arange(6.0).view(2, 3).t(),
    ):
        y = pickle.loads(pickle.dumps(x, protocol))
        assert (y.dtype, y.shape, y.requires_grad) == (x.dtype, x.shape, x.requires_grad)
        np.testing.assert_array_equal(y.detach().numpy(), x.detach().numpy())
        y.detach().fill_(1)  # its memory is its own, and can be written
    assert pickle.loads(pickle.dumps(ng.float32, protocol)) is ng.float32


OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.floordiv, operator.mod]
COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]


@pytest.mark.parametrize("apply", OPERATORS + COMPARISONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    "other",
    [
        3,
        2.5,
        np.float64(2.5),
        np.float32(2.5),
        np.int64(3),
        np.array([1.0, 2.0, 4.0]),
        np.array(2.0),
        np.array([1, 2, 3]),
    ],
    ids=lambda x: f"{type(x).__name__}{getattr(x, 'shape', '')}",
)
def test_operands_on_both_sides(apply: object, other: object) -> None:
    x = ng.tensor([1.0, 2.0, 3.0], dtype=ng.float64)
    for result, wanted in (
        (apply(x, other), apply(x.numpy(), other)),  # type: ignore[operator]
        (apply(other, x), apply(other, x.numpy())),  # type: ignore[operator]
    ):
        assert isinstance(result, ng.Tensor)
        np.testing.assert_allclose(result.numpy(), wanted, rtol=1e-15)


@pytest.mark.parametrize("other", ["a", None, [1.0], object()], ids=lambda other: type(other).__name__)
def test_foreign_operands_are_refused(other: object) -> None:
    x = ng.ones(2)
    for apply in (operator.add, operator.mul, operator.truediv, operator.lt):
        with pytest.raises(TypeError):
            apply(x, other)
        with pytest.raises(TypeError):
            apply(other, x)


def test_numpy_functions_see_an_array() -> None:
    x = ng.tensor([1.0, 4.0])
    np.testing.assert_array_equal(np.asarray(x), [1.0, 4.0])
    np.testing.assert_array_equal(np.array(x, dtype=np.int64), [1, 4])
    assert np.shares_memory(np.asarray(x), x.numpy())
    assert not np.shares_memory(np.array(x), x.numpy())


@pytest.mark.parametrize("name", ["float", "double", "long", "int", "bool"])
def test_conversions(name: str) -> None:
    numpy_name = {"float": "float32", "double": "float64", "long": "int64", "int": "int32", "bool": "bool"}[name]
    x = ng.tensor([0.0, 1.5, -2.7])
    converted = getattr(x, name)()
    assert converted.dtype.name == numpy_name
    np.testing.assert_array_equal(converted.numpy(), x.numpy().astype(numpy_name))
    assert getattr(converted, name)() is converted


def test_to() -> None:
    x = ng.ones(2)
    assert x.to(ng.float64).dtype is ng.float64
    assert x.to(ng.float32) is x
    assert x.to("cpu") is x
    assert x.to(ng.ones(1, dtype=ng.int64)).dtype is ng.int64
    assert x.to() is x.to(None) is x.to("cpu", ng.float32, True) is x
    assert x.to(copy=True) is not x
    assert x.to("cpu", float).dtype is x.to(dtype=float).dtype is ng.float64
    with pytest.raises(TypeError, match="must be a dtype"):
        x.to(3.0)
    with pytest.raises(RuntimeError, match="device is 3, expected 'cpu'"):
        x.to(3)
    with pytest.raises(RuntimeError, match="'cpu', the only one"):
        x.to("cuda")


def test_sizes() -> None:
    x = ng.ones(2, 3)
    assert (x.size(), x.size(1), x.size(-2), x.dim(), x.ndim, x.numel(), x.nelement()) == ((2, 3), 3, 2, 2, 2, 6, 6)
    assert repr(x.shape) == "numgrad.Size([2, 3])"
    assert x.shape.numel() == 6
    assert (x.stride(), x.t().stride(), x.is_contiguous(), x.t().is_contiguous()) == ((3, 1), (1, 3), True, False)
    assert x[1:].storage_offset() == 3
    with pytest.raises(IndexError, match="Dimension out of range"):
        x.size(2)


@pytest.mark.parametrize(
    "text",
    ["S[1:]", "S[::2]", "S[-1]", "S[:0].numel()", "S + (4,)", "(4,) + S", "S + S", "S * 2", "2 * S", "ng.Size([True])"],
)
def test_parts_and_sums_of_sizes_are_sizes(text: str, torch: ModuleType) -> None:
    ours, theirs = (eval(text, {"ng": library, "S": library.ones(1, 2, 3).shape}) for library in (ng, torch))
    assert repr(ours) == repr(theirs).replace("torch.", "numgrad.")


@pytest.mark.parametrize("text", ["S + [4]", "[4] + S", "S + 'a'", "S + (1.5,)", "(1.5,) + S", "ng.Size([1.5])"])
def test_sizes_hold_ints(text: str) -> None:
    with pytest.raises(TypeError, match="can only concatenate|takes an iterable of 'int'"):
        eval(text, {"ng": ng, "S": ng.ones(1, 2, 3).shape})


def test_names_of_the_memory() -> None:
    x = ng.zeros(2, 3)
    assert x.data_ptr() == x.view(6).data_ptr() == x.detach().data_ptr() == x.data.data_ptr()
    assert x[1].data_ptr() == x.data_ptr() + 3 * 4
    assert x.clone().data_ptr() != x.data_ptr()
    assert x.contiguous().data_ptr() == x.data_ptr()
    assert x.t().contiguous().data_ptr() != x.data_ptr()
