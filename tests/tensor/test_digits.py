"""Every way from Python's and NumPy's numbers to a tensor keeps the digits and gets torch's dtype, or is refused."""

from __future__ import annotations

import array
import collections
import enum
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng

FLOATS = [0.1, -1e-300, 1e300, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0, 16777217.0, 3.4028234663852886e38]
INTS = [0, 1, -1, 2**24 + 1, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)]

WAYS: dict[str, Any] = {
    "tensor": lambda value, dtype: ng.tensor(value, dtype=dtype),
    "list": lambda value, dtype: ng.tensor([value], dtype=dtype)[0],
    "nested": lambda value, dtype: ng.tensor([[0, value], [value, 1]], dtype=dtype)[1, 0],
    "tuple": lambda value, dtype: ng.tensor(((value,),), dtype=dtype)[0, 0],
    "as_tensor": lambda value, dtype: ng.as_tensor(value, dtype=dtype),
    "as_tensor of a list": lambda value, dtype: ng.as_tensor([value], dtype=dtype)[0],
    "new_tensor": lambda value, dtype: ng.ones(1, dtype=dtype).new_tensor([value])[0],
    "new_tensor with a dtype": lambda value, dtype: ng.ones(1).new_tensor(value, dtype=dtype),
    "0-d array": lambda value, dtype: ng.tensor(np.array(value), dtype=dtype),
    "list of 0-d arrays": lambda value, dtype: ng.tensor([np.array(value)], dtype=dtype)[0],
    "list of arrays": lambda value, dtype: ng.tensor([np.array([0, value])], dtype=dtype)[0, 1],
    "list of tensors": lambda value, dtype: ng.tensor([ng.tensor(value, dtype=dtype)], dtype=dtype)[0],
    "full": lambda value, dtype: ng.full((2,), value, dtype=dtype)[1],
    "full of a 0-d tensor": lambda value, dtype: ng.full((2,), ng.tensor(value, dtype=dtype), dtype=dtype)[1],
    "full_like": lambda value, dtype: ng.full_like(ng.ones(2, dtype=dtype), value)[1],
    "new_full": lambda value, dtype: ng.ones(1).new_full((2,), value, dtype=dtype)[1],
    "fill_": lambda value, dtype: ng.ones(2, dtype=dtype).fill_(value)[1],
    "copy_": lambda value, dtype: ng.ones(2, dtype=dtype).copy_(value)[1],
    "item assignment": lambda value, dtype: assigned(ng.ones(2, dtype=dtype), value)[1],
    "masked_fill": lambda value, dtype: ng.ones(2, dtype=dtype).masked_fill(ng.tensor([True, False]), value)[0],
    "where": lambda value, dtype: ng.where(ng.tensor([True]), value, ng.ones(1, dtype=dtype))[0],
    "where beside a 0-d tensor": lambda value, dtype: ng.where(ng.tensor(False), ng.ones((), dtype=dtype), value),
    "sum": lambda value, dtype: ng.zeros(1, dtype=dtype)[0] + value,
    "sum with alpha": lambda value, dtype: ng.add(ng.zeros(1, dtype=dtype), value, alpha=1)[0],
    "difference from the left": lambda value, dtype: value - ng.zeros(1, dtype=dtype)[0],
    "in place": lambda value, dtype: ng.zeros(1, dtype=dtype).add_(value)[0],
    "clamp": lambda value, dtype: ng.full((1,), value, dtype=dtype).clamp(value, value)[0],
    "arange": lambda value, dtype: (
        ng.arange(value, value + 1, 2, dtype=dtype)[0]
        if isinstance(value, int) and value < 2**62
        else ng.tensor(value, dtype=dtype)
    ),
}


def assigned(target: ng.Tensor, value: Any) -> ng.Tensor:
    target[1] = value
    return target


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [float, np.float64], ids=["python", "numpy"])
def test_float64_keeps_all_digits(way: str, kind: Any) -> None:
    for value in FLOATS:
        if "sum" in way or "difference" in way or way == "in place":
            value = value or 0.5  # 0.0 + -0.0 is 0.0
        made = WAYS[way](kind(value), ng.float64)
        assert made.dtype is ng.float64
        assert (repr(made.item()), made.shape) == (repr(value), ())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [int, np.int64], ids=["python", "numpy"])
def test_int64_keeps_all_digits(way: str, kind: Any) -> None:
    for value in INTS:
        made = WAYS[way](kind(value), ng.int64)
        assert made.dtype is ng.int64
        assert made.item() == value


def test_ints_and_floats_in_one_list() -> None:
    assert ng.tensor([2**62 + 1, 1.5], dtype=ng.int64).tolist() == [2**62 + 1, 1]
    assert ng.tensor([[2**53 + 1], [0.1]], dtype=ng.float64).tolist() == [[float(2**53)], [0.1]]
    assert ng.tensor([2**70, True], dtype=ng.float64).tolist() == [float(2**70), 1.0]


def test_float32_is_rounded_once() -> None:
    # Exactly between two floats of 32 bits but for the last digits of 64, which decide.
    above, below = 1 + 2**-24 + 2**-50, 1 + 2**-24 - 2**-50
    for way, make in WAYS.items():
        if way not in ("arange", "clamp"):
            assert [make(value, ng.float32).item() for value in (above, below)] == [1 + 2**-23, 1.0], way


class Color(enum.IntEnum):
    RED = 3


LITERALS: list[str] = [
    "1", "1.5", "True", "[1, 2.5]", "[True, 1]", "[True, 1.5]", "[]", "[[]]", "[[], []]", "()", "range(3)",
    "[np.float64(0.1)]", "[np.float64(0.1), 0.1]", "[np.float32(0.1), 2.0]", "[np.float32(1), np.float64(0.1)]",
    "[np.int8(1), True]", "[np.int8(1), 2]", "[np.int8(1), np.uint8(2)]", "[np.bool_(True), False]", "[np.int16(7)]",
    "np.float64(0.1)", "np.int16(3)", "np.bool_(True)", "np.array(0.1)", "np.array([1, 2], np.int32)",
    "[np.array([0.1]), np.array([0.2])]", "[np.ones(2, np.float32), np.ones(2)]", "[[np.ones(2, np.int8)], [np.ones(2)]]",
    "[T.tensor(0.1, dtype=T.float64)]", "[[T.tensor(1)], [2.5]]", "[T.ones(1, 1), 2]", "[T.tensor([1]), T.tensor(2.5)]",
    "T.tensor([0.1], dtype=T.float64)", "array.array('d', [0.1])", "collections.deque([1, 2.5])", "Color.RED", "[Color.RED]",
    "1e40", "[1e300]", "2**63", "[2**63]", "[-2**63 - 1]", "[[1, 2], [3]]", "[1, [2]]", "[[1], 2]", "[np.ones(1), 2]",
    "'abc'", "['a']", "b'abc'", "[None]", "None", "{1, 2}", "{}", "[{}]", "object()", "[T.ones(2)]", "[T.ones(2), T.ones(2)]",
]  # fmt: skip


def made(lib: ModuleType, text: str) -> Any:
    """dtype, shape and values; or the class of the refusal."""
    names = {"T": lib, "np": np, "array": array, "collections": collections, "Color": Color}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, of copies that are slow
            result = eval(text, names)
    except Exception as error:
        return next(c for c in type(error).__mro__ if c.__module__ == "builtins").__name__
    return str(result.dtype).split(".")[-1], tuple(result.shape), result.tolist()


@pytest.mark.parametrize("literal", LITERALS)
@pytest.mark.parametrize("form", ["T.tensor({})", "T.as_tensor({})", "T.ones(1, dtype=T.float64).new_tensor({})"])
def test_dtypes_and_refusals_are_those_of_torch(form: str, literal: str, torch: ModuleType) -> None:
    assert made(ng, form.format(literal)) == made(torch, form.format(literal))


GIVEN = [
    "[1, 2]", "[0.1]", "[True]", "[300]", "[-1]", "[-300]", "[255]", "[256]", "[128]", "[300.7]", "[1.9, -1.9]", "[1e20]",
    "[float('nan')]", "[float('inf')]", "[2**62 + 1, 1.0]", "[2**63 - 1]", "[2**70]", "['1']", "[None]", "[1e40]", "[]", "3",
    "np.array([300])", "np.array([1.5, -1.5])", "np.array(['1'])", "np.array([0.1], np.float32)",
    "[127.5]", "[-0.5]", "[-1, 2.5]", "[[1], [-300]]", "[[1.5], [300]]",
]  # fmt: skip
DTYPES = [
    "T.bool",
    "T.uint8",
    "T.int8",
    "T.int32",
    "T.int64",
    "T.float32",
    "T.float64",
    "float",
    "int",
    "bool",
    "'float32'",
]


@pytest.mark.parametrize("dtype", DTYPES)
def test_with_a_dtype_as_torch(dtype: str, torch: ModuleType) -> None:
    wrong = {}
    for literal in GIVEN:
        text = f"T.tensor({literal}, dtype={dtype})"
        found = made(ng, text), made(torch, text)
        if str(found[0]) != str(found[1]):  # as texts, since NaN is not equal to itself
            wrong[text] = found
    assert not wrong


FILLS = ["3", "2.5", "True", "-1", "300", "-300", "1e40", "2**53 + 1", "float('nan')", "float('inf')", "-0.0", "np.int64(3)",
         "np.float64(0.1)", "np.float32(0.1)", "np.uint8(200)", "T.tensor(3)", "T.tensor(0.1, dtype=T.float64)",
         "T.tensor([3.0])", "'a'", "None", "[1]"]  # fmt: skip


@pytest.mark.parametrize(
    "form",
    [
        "T.full((2,), {})",
        "T.full((2,), {}, dtype=T.uint8)",
        "T.full((2,), {}, dtype=T.int64)",
        "T.full((2,), {}, dtype=float)",
        "T.full_like(T.ones(2, dtype=T.int8), {})",
        "T.ones(2).new_full((2,), {})",
        "T.ones(2, dtype=T.uint8).fill_({})",
        "T.ones(2).fill_({})",
        "T.ones(2, dtype=T.float64).fill_({})",
    ],
)
def test_filling_as_torch(form: str, torch: ModuleType) -> None:
    wrong = {}
    for value in FILLS:
        found = [str(made(lib, form.format(value))) for lib in (ng, torch)]
        if found[0] != found[1]:
            wrong[value] = found
    assert not wrong


def test_a_filled_tensor_has_its_own_zero() -> None:
    ng.full((3,), 0.0)
    assert str(ng.full((3,), -0.0).tolist()) == "[-0.0, -0.0, -0.0]"
    assert str(ng.full((3,), 0.0).tolist()) == "[0.0, 0.0, 0.0]"


def test_numbers_do_not_leave_plans_behind() -> None:
    ng.full((7,), 0.5)
    before = len(ng.ops.creation.full.plans), len(ng.ops.elementwise.clone.plans)
    for k in range(50):
        ng.full((7,), 0.5 + k)
    assert (len(ng.ops.creation.full.plans), len(ng.ops.elementwise.clone.plans)) == before


@pytest.mark.parametrize(
    "call",
    [
        "T.arange(np.int64(3))", "T.arange(np.float64(3))", "T.arange(np.float32(2.5))", "T.arange(2**53, 2**53 + 3)",
        "T.arange(2**62, 2**62 + 7, 3)", "T.arange(0, 5, 2.5, dtype=T.int64)", "T.arange(0, 1, 0.1, dtype=float)",
        "T.arange(T.tensor(3))", "T.arange(T.tensor(3.0))", "T.arange(True)", "T.arange(5, 0)", "T.arange(0, 5, 0)",
        "T.arange(0, float('inf'))", "T.arange(float('nan'))", "T.arange('3')", "T.arange(3, dtype=int)",
        "T.linspace(np.float64(0), np.int64(1), 3)", "T.linspace(0, 1, 3, dtype=float)", "T.linspace(0, 1, 2.0)",
        "T.linspace(0, 1, True)", "T.linspace(0, 1, -1)", "T.linspace(T.tensor(0.0), T.tensor(1.0), 3)", "T.eye(2.0)",
        "T.eye(-1)", "T.eye(2, -1)", "T.eye(2, dtype=float)", "T.eye(np.int64(2), True)", "T.zeros(2, dtype=float)",
        "T.ones(2, dtype=int)", "T.zeros(2, dtype='float32')", "T.zeros(2, dtype=np.float32)", "T.zeros(True)",
        "T.zeros(np.int64(2))", "T.zeros((2, T.tensor(2)))", "T.zeros(None)", "T.zeros([[2]])", "T.zeros(-1)",
        "T.zeros(2**40, 2**40)", "T.zeros_like([1, 2])",
        "T.ones_like(1)", "T.full_like([1], 1)", "T.empty_like(None)", "T.ones_like(T.ones(2), dtype=float)",
        "T.rand(0, dtype=float)", "T.randn(0, dtype=float)", "T.randint(0, 5, (0,), dtype=float)", "T.rand(1, dtype='a')",
        "T.ones(2).to(float)", "T.ones(2).to(int)", "T.ones(2).to(bool)", "T.ones(2).to(np.float32)", "T.ones(2).sum(dtype=int)",
        "T.ones(2).new_zeros(2, dtype=int)", "T.ones(2).new_ones((2,))", "T.ones(2, dtype=T.int8).new_empty(0)",
    ],
)  # fmt: skip
def test_creation_as_torch(call: str, torch: ModuleType) -> None:
    assert made(ng, call) == made(torch, call)


def test_what_cannot_be_shared_is_copied() -> None:
    values = np.arange(3.0)
    for strange in (values[::-1], values.astype(">f8"), np.frombuffer(values.tobytes(), np.float64)):
        made = ng.as_tensor(strange)
        assert made.dtype is ng.float64
        assert made.tolist() == strange.tolist()
    assert ng.tensor(np.arange(3).astype(">i4")).dtype is ng.int32


def test_arrays_that_numgrad_has_no_dtype_for() -> None:
    assert ng.tensor(np.ones(2, np.float16)).dtype is ng.float16
    for strange in (np.ones(2, np.uint32), np.ones(2, np.longdouble)):
        with pytest.raises(TypeError, match="can't convert"):
            ng.tensor(strange)
        assert ng.tensor(strange, dtype=ng.float64).tolist() == [1.0] * len(strange)
    for strange in (np.ones(2, complex), np.array(["1"]), np.array([None]), np.array(["2020"], "datetime64[D]")):
        for dtype in (None, ng.float32):
            with pytest.raises(TypeError, match="can't convert"):
                ng.tensor(strange, dtype=dtype)


def test_a_module_takes_pythons_float() -> None:
    assert ng.nn.Linear(2, 2).to(float).weight.dtype is ng.float64
    assert ng.nn.Linear(2, 2, dtype=float).weight.dtype is ng.float64
    with pytest.raises(TypeError, match="floating point"):
        ng.nn.Linear(2, 2).to(int)
