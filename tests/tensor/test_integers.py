"""Integers: their arithmetic wraps as torch's; what has no result is refused before anything is changed."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from tests.kernels.test_integers import INTEGERS, ends, true_power, wrapped

BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "==": operator.eq,
    "<": operator.lt,
    ">=": operator.ge,
}
IN_PLACE: dict[str, Callable[[Any, Any], Any]] = {
    "+=": operator.iadd,
    "-=": operator.isub,
    "*=": operator.imul,
    "//=": operator.ifloordiv,
    "%=": operator.imod,
    "**=": operator.ipow,
}


def without_a_result(symbol: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Where integers have none: division by 0. The negative power of 0, which torch calls 0, is one."""
    if symbol.rstrip("=") in ("//", "%"):
        return y == 0
    return (x == 0) & (y < 0) if symbol.rstrip("=") == "**" else np.zeros(len(x), bool)


@pytest.mark.parametrize("dtypes_", list(itertools.product(INTEGERS, INTEGERS)), ids="-".join)
def test_pairs_of_integer_tensors_are_those_of_torch(dtypes_: tuple[str, str], torch: ModuleType) -> None:
    first, second = dtypes_
    x, y = (np.array(each, d) for each, d in zip(zip(*itertools.product(ends(first), ends(second))), dtypes_))  # noqa: B905
    for symbol, function in (BINARY | IN_PLACE).items():
        keep = ~without_a_result(symbol, x, y)
        ours = function(ng.tensor(x[keep]), ng.tensor(y[keep]))
        theirs = function(torch.tensor(x[keep]), torch.tensor(y[keep]))
        assert str(theirs.dtype).endswith(ours.dtype.name), symbol
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), err_msg=symbol)


# Numbers become operands of the dtype, as in the pairs above, which say that int16 is between int8 and int32.
BESIDE_NUMBERS = [name for name in INTEGERS if name != "int16"]


@pytest.mark.parametrize("dtype", BESIDE_NUMBERS)
@pytest.mark.parametrize("number", [0, 1, 2, 3, 7, 100, -1, -2, -100, True, False, 2.0, 3.0, -1.0, 0.5, 0.0])
def test_numbers_beside_integers_are_those_of_torch(dtype: str, number: Any, torch: ModuleType) -> None:
    x = np.array(ends(dtype), dtype)
    info = np.iinfo(dtype)
    fits = isinstance(number, float) or info.min <= number <= info.max
    for symbol, function in (BINARY | IN_PLACE).items():
        if not fits and symbol not in ("+", "-", "*", "&", "|", "^", "+=", "-=", "*="):
            continue  # `test_numbers_beyond_the_dtype`
        for swapped in (False, True) if symbol in BINARY else (False,):
            base = x[x != 0] if swapped and symbol in ("//", "%") else x[x >= 0] if swapped and symbol == "**" else x
            found = []
            for lib in (ng, torch):
                operands = (number, lib.tensor(base)) if swapped else (lib.tensor(base), number)
                try:
                    result = function(*operands)
                    found.append((str(result.dtype).split(".")[-1], result.numpy()))
                except RuntimeError as error:
                    found.append(("refused", "ZeroDivision" in str(error)))
            assert found[0][0] == found[1][0], f"{symbol} {swapped}"
            if symbol.startswith("**") and found[0][0] == "float32":  # torch's square root is a power on some CPUs
                np.testing.assert_array_max_ulp(found[0][1], found[1][1], 1)
            else:
                np.testing.assert_array_equal(found[0][1], found[1][1], err_msg=f"{symbol} {swapped}")


@pytest.mark.parametrize("n", [1, 3, 9, 70, 10_000])
@pytest.mark.parametrize("dtype", [*BESIDE_NUMBERS, "bool"])
def test_division_by_0_is_refused_and_changes_nothing(dtype: str, n: int, torch: ModuleType) -> None:
    x, y = np.ones(n, dtype), np.ones(n, dtype)
    y[-1] = 0
    other = np.ones(n, "int64") if dtype == "bool" else x
    for function in (operator.floordiv, operator.mod):
        for divisor in (ng.tensor(y), ng.tensor(y[-1:]), ng.tensor(y[-1]), 0):
            with pytest.raises(RuntimeError, match="ZeroDivisionError"):
                function(ng.tensor(other), divisor)
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            function(torch.tensor(other), torch.tensor(y))
    if dtype == "bool":
        return
    kept = ng.tensor(x)
    view = kept[: n - n // 2]
    for function in (operator.ifloordiv, operator.imod):
        for divisor in (ng.tensor(y), ng.tensor(y[-1]), 0):
            with pytest.raises(RuntimeError, match="ZeroDivisionError"):
                function(kept, divisor)
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            function(view, 0)
    assert kept.tolist() == x.tolist()
    assert ng.floor_divide(ng.tensor(x[:0]), ng.tensor(y[-1:])).shape == (0,)


def test_a_negative_power_of_0_is_refused_and_changes_nothing() -> None:
    x = ng.tensor([2, 0, 5])
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        x ** ng.tensor([1, -1, 1])
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        x **= ng.tensor(-1)
    with pytest.raises(RuntimeError, match="negative integer powers are not allowed"):
        x**-1
    assert x.tolist() == [2, 0, 5]
    assert (ng.tensor([0, 2]) ** ng.tensor([0, -1])).tolist() == [1, 0]
    assert (ng.tensor([0.0]) ** ng.tensor([-1.0])).tolist() == [float("inf")]


# ---- numbers that a dtype does not have -------------------------------------------------------------------------

BEYOND = [-1, 256, 300, -129, 128, 32_768, -(2**31) - 1, 2**31, 2**63 - 1, -(2**63)]


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("number", BEYOND)
def test_numbers_beyond_the_dtype(dtype: str, number: int) -> None:
    """Compared as the numbers that they are; sums wrap, as any sum does; and what is neither is refused."""
    info, x = np.iinfo(dtype), np.array(ends(dtype), dtype)
    if info.min <= number <= info.max:
        pytest.skip("the dtype has it")
    whole = x.astype(object)
    for other in (number, ng.tensor(number), np.int64(number)):
        for symbol in ("==", "<", ">="):
            got = BINARY[symbol](ng.tensor(x), other)
            assert got.tolist() == BINARY[symbol](whole, number).tolist(), symbol
        assert (ng.tensor(x) != other).tolist() == [True] * len(x)
        assert ng.lt(ng.tensor(x[0]), other).item() == (x[0] < number)
    for symbol in ("+", "-", "*", "&", "|", "^"):
        for got, wide in (
            (BINARY[symbol](ng.tensor(x), number), BINARY[symbol](whole, number)),
            (BINARY[symbol](number, ng.tensor(x)), BINARY[symbol](number, whole)),
        ):
            assert got.dtype.name == dtype
            assert got.tolist() == [wrapped(value, dtype) for value in wide.tolist()], symbol
    powers = number ** ng.tensor(x[x > 0])
    assert powers.tolist() == [true_power(number, int(each), dtype) for each in x[x > 0]]
    refused: list[Callable[[Any], Any]] = [
        lambda x: x // number,
        lambda x: x % number,
        lambda x: number // x,
        lambda x: number % x,
        lambda x: x.__ifloordiv__(number),
        lambda x: x.clamp(min=number),
        lambda x: ng.maximum(x, number),
    ]
    refused += [lambda x: x**number, lambda x: x.__ipow__(number)]
    if abs(number) > info.max:
        refused += [
            lambda x: x.fill_(number),
            lambda x: x.masked_fill(x > 0, number),
            lambda x: x.masked_fill_(x > 0, number),
            lambda x: ng.where(x > 0, x, number),
            lambda x: x.__setitem__(0, number),
        ]
    for call in refused:
        kept = ng.tensor(x)
        with pytest.raises(RuntimeError, match=r"without overflow|negative integer powers"):
            call(kept)
        assert kept.tolist() == x.tolist()


def test_ints_beyond_64_bits() -> None:
    for x in (ng.tensor([1], dtype=ng.uint8), ng.tensor([1]), ng.tensor([True])):
        for call in (lambda x: x + 2**64, lambda x: x < 2**63, lambda x: x == -(2**63) - 1, lambda x: x // 2**64):
            with pytest.raises((OverflowError, RuntimeError)):
                call(x)
    assert (ng.tensor([1.0]) < 2**64).tolist() == [True]


def test_comparisons_of_bytes_with_what_is_negative() -> None:
    x = ng.tensor([0, 1, 255], dtype=ng.uint8)
    for minus in (-1, ng.tensor(-1), ng.tensor([-1]), np.int64(-1), np.array(-1), ng.tensor(-1, dtype=ng.int8)):
        assert (x > minus).tolist() == [True] * 3
        assert (x == minus).tolist() == [False] * 3
        assert (x < minus).tolist() == [False] * 3
        assert ng.le(x, minus).tolist() == [False] * 3
        assert not ng.any(minus > x)
    assert (x < 0.5).tolist() == [True, False, False]
    assert (ng.tensor(3, dtype=ng.uint8) < ng.tensor(-1)).item() is False


# ---- filling by a mask ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [*INTEGERS, "bool", "float32"])
@pytest.mark.parametrize("value", [0.5, -0.9, 2.0, 3, -1, 300, True, 1e10, float("nan"), float("inf")])
def test_masked_fill_keeps_the_dtype(dtype: str, value: Any, torch: ModuleType) -> None:
    array = np.array([0, 1, 2, 3], dtype)
    for make in (lambda lib: value, lambda lib: lib.tensor(value)):
        found = []
        for lib in (ng, torch):
            x, mask = lib.tensor(array), lib.tensor([True, False, True, False])
            try:
                filled = x.masked_fill(mask, make(lib))
                assert x.masked_fill_(mask, make(lib)) is x
                found.append((str(filled.dtype).split(".")[-1], filled.tolist(), x.tolist()))
            except RuntimeError:
                found.append(("refused", x.tolist()))
        np.testing.assert_equal(found[0], found[1])


def test_masked_fill_of_a_tensor_sends_its_gradient_on() -> None:
    value = ng.tensor(3.0, dtype=ng.float64, requires_grad=True)
    x = ng.ones(3, requires_grad=True)
    x.masked_fill(ng.tensor([True, False, True]), value).sum().backward()
    assert value.grad.item() == 2
    assert x.grad.tolist() == [0, 1, 0]


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32"])
def test_a_mask_is_of_bools(dtype: str, torch: ModuleType) -> None:
    for lib in (ng, torch):
        with pytest.raises(RuntimeError, match="masked_fill_? only supports boolean masks"):
            lib.zeros(2).masked_fill(lib.tensor(np.array([1, 0], dtype)), 1.0)


# ---- bools ------------------------------------------------------------------------------------------------------

WITH_BOOLS: dict[str, Callable[[Any, Any], Any]] = {
    "b - b": lambda lib, b: b - b,
    "b - True": lambda lib, b: b - True,
    "1 - b": lambda lib, b: 1 - b,
    "-b": lambda lib, b: -b,
    "+b": lambda lib, b: +b,
    "~b": lambda lib, b: ~b,
    "b + b": lambda lib, b: b + b,
    "b * b": lambda lib, b: b * b,
    "b / b": lambda lib, b: b / lib.tensor([True, True]),
    "b // b": lambda lib, b: b // b,
    "b % b": lambda lib, b: b % b,
    "b // 2": lambda lib, b: b // 2,
    "b % 2": lambda lib, b: b % 2,
    "b ** 2": lambda lib, b: b**2,
    "b ** 2.0": lambda lib, b: b**2.0,
    "b + 2": lambda lib, b: b + 2,
    "b * -1": lambda lib, b: b * -1,
    "b & b": lambda lib, b: b & b,
    "b ^ 1": lambda lib, b: b ^ 1,
    "b | 2": lambda lib, b: b | 2,
    "b < 2": lambda lib, b: b < 2,
    "b == -1": lambda lib, b: b == -1,
    "abs": lambda lib, b: abs(b),
    "sign": lambda lib, b: lib.sign(b),
    "square": lambda lib, b: lib.square(b),
    "relu": lambda lib, b: lib.relu(b),
    "floor": lambda lib, b: lib.floor(b),
    "sum": lambda lib, b: b.sum(),
    "prod": lambda lib, b: b.prod(),
    "mean": lambda lib, b: b.mean(),
    "amax": lambda lib, b: b.amax(),
    "clamp": lambda lib, b: b.clamp(0, 1),
    "exp": lambda lib, b: lib.exp(b),
    "b += b": lambda lib, b: operator.iadd(b, b),
    "b += 1": lambda lib, b: operator.iadd(b, 1),
    "b -= b": lambda lib, b: operator.isub(b, b),
    "b *= 2": lambda lib, b: operator.imul(b, 2),
    "b //= 2": lambda lib, b: operator.ifloordiv(b, 2),
}


@pytest.mark.parametrize("function", WITH_BOOLS.values(), ids=WITH_BOOLS)
def test_bools_are_those_of_torch_or_refused(function: Callable[[Any, Any], Any], torch: ModuleType) -> None:
    found = []
    for lib in (ng, torch):
        try:
            result = function(lib, lib.tensor([True, False]))
            found.append((str(result.dtype).split(".")[-1], result.tolist()))
        except RuntimeError:
            found.append("refused")
    assert found[0] == found[1]
