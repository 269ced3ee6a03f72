"""dtypes of results: torch is asked for every pair of dtypes, with dimensions, without, and as numbers of Python and NumPy."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import dtypes

NAMES = [d.name for d in dtypes.ALL]
NUMBERS: list[Any] = [True, 3, 2.5]
# With dimensions, and yet for the same kernels as a tensor without: each pair of dtypes is compiled once.
ONE = (1,)
# Loops over these are those over int64 and uint8, by one generator: what results are of them is asked where nothing is computed.
UNCOMPUTED = {"int8", "int16", "int32"}
COMPUTED = [name for name in NAMES if name not in UNCOMPUTED]


def dtype_of(lib: ModuleType, x: Any, y: Any, op: str) -> str:
    try:
        found = getattr(lib, op)(x, y)
    except (RuntimeError, TypeError):
        return "refused"
    return str(found.dtype).split(".")[-1]


def operand(lib: ModuleType, name: str, shape: tuple[int, ...]) -> Any:
    return lib.ones(shape, dtype=getattr(lib, name))


def pairs_of(shapes: tuple[Any, Any]) -> list[tuple[str, str]]:
    """All pairs of dtypes where nothing is computed, otherwise those whose results are of one that is."""
    pairs = list(itertools.product(NAMES, NAMES))
    if (0,) in shapes:
        return pairs
    return [pair for pair in pairs if is_computed(*pair)]


def is_computed(first: str, second: str) -> bool:
    """Whether what both become is a dtype whose loops are compiled for these tests."""
    return ng.promote_types(getattr(ng, first), getattr(ng, second)).name not in UNCOMPUTED


@pytest.mark.parametrize("shapes", [((0,), (0,)), ((0,), ()), ((), (0,)), ((), ())], ids=str)
@pytest.mark.parametrize("op", ["add", "mul", "div", "maximum", "eq", "sub"])
def test_pairs(op: str, shapes: tuple[Any, Any], torch: ModuleType) -> None:
    wrong = {}
    for first, second in pairs_of(shapes):
        found = [
            dtype_of(lib, operand(lib, first, shapes[0]), operand(lib, second, shapes[1]), op) for lib in (ng, torch)
        ]
        if found[0] != found[1]:
            wrong[first, second] = found
    assert not wrong


@pytest.mark.parametrize("shape", [(0,), ONE, ()], ids=str)
@pytest.mark.parametrize("op", ["add", "mul", "div", "eq", "pow", "sub", "remainder"])
def test_numbers(op: str, shape: tuple[int, ...], torch: ModuleType) -> None:
    wrong = {}
    for name, number in itertools.product(NAMES if shape == (0,) else COMPUTED, NUMBERS):
        for swapped in (False, True):
            found = []
            for lib in (ng, torch):
                x = operand(lib, name, shape)
                if swapped and op not in ("pow", "remainder"):
                    symbol = {
                        "add": "__radd__",
                        "mul": "__rmul__",
                        "div": "__rtruediv__",
                        "sub": "__rsub__",
                        "eq": "__eq__",
                    }[op]
                    try:
                        found.append(str(getattr(x, symbol)(number).dtype).split(".")[-1])
                    except (RuntimeError, TypeError):
                        found.append("refused")
                elif not swapped:
                    found.append(dtype_of(lib, x, number, op))
            if found and found[0] != found[1]:
                wrong[name, number, swapped] = found
    assert not wrong


@pytest.mark.parametrize("default", ["float32", "float64"])
def test_result_type_and_the_default_dtype(default: str, torch: ModuleType) -> None:
    before = ng.get_default_dtype(), torch.get_default_dtype()
    try:
        ng.set_default_dtype(getattr(ng, default))
        torch.set_default_dtype(getattr(torch, default))
        for name, number in itertools.product(NAMES, NUMBERS):
            ours = ng.result_type(operand(ng, name, (2,)), number)
            theirs = torch.result_type(operand(torch, name, (2,)), number)
            assert ours.name == str(theirs).split(".")[-1]
        assert (ng.ones(2, dtype=ng.int64) / 2).dtype.name == default
        assert ng.tensor([1.5]).dtype.name == default
    finally:
        ng.set_default_dtype(before[0])
        torch.set_default_dtype(before[1])


def test_promote_types(torch: ModuleType) -> None:
    for first, second in itertools.product(NAMES, NAMES):
        ours = ng.promote_types(getattr(ng, first), getattr(ng, second))
        assert ours.name == str(torch.promote_types(getattr(torch, first), getattr(torch, second))).split(".")[-1]


@pytest.mark.parametrize(
    "op", ["sum", "prod", "mean", "amax", "exp", "sigmoid", "neg", "abs", "sign", "floor", "round", "square", "isnan"]
)
def test_unary(op: str, torch: ModuleType) -> None:
    found = {}
    for name in NAMES:
        pair = []
        for lib in (ng, torch):
            try:
                shape = (0,) if name in UNCOMPUTED and op != "amax" else ONE  # nothing has no largest
                pair.append(str(getattr(lib, op)(operand(lib, name, shape)).dtype).split(".")[-1])
            except (RuntimeError, TypeError):
                pair.append("refused")
        if pair[0] != pair[1]:
            found[name] = pair
    assert not found


# ---- operators, between everything that they take ----------------------------------------------------------------

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv,
    "%": operator.mod, "**": operator.pow, "&": operator.and_, "|": operator.or_, "^": operator.xor,
    "<<": operator.lshift, ">>": operator.rshift, "==": operator.eq, "<": operator.lt, ">=": operator.ge,
}  # fmt: skip
IN_PLACE: dict[str, Callable[[Any, Any], Any]] = {
    "+=": operator.iadd, "-=": operator.isub, "*=": operator.imul, "/=": operator.itruediv, "//=": operator.ifloordiv,
    "%=": operator.imod, "**=": operator.ipow, "&=": operator.iand, "|=": operator.ior, "^=": operator.ixor,
    "<<=": operator.ilshift, ">>=": operator.irshift,
}  # fmt: skip
SYMBOLS = [*OPERATORS, *IN_PLACE]

# torch takes NumPy's bools for floating-point numbers, which would cost integers their digits; here they are bools.
OF_NUMPY: list[Any] = [np.int8(3), np.uint8(3), np.int32(3), np.int64(3), np.float32(2.5), np.float64(2.5)]


def outcome(lib: ModuleType, symbol: str, x: Any, y: Any) -> Any:
    """The dtype, shape and values of an operation, or the class of its refusal."""
    function = OPERATORS.get(symbol) or IN_PLACE[symbol]
    try:
        result = function(x, y)
    except (RuntimeError, TypeError) as error:
        return "TypeError" if isinstance(error, TypeError) else "RuntimeError"
    assert symbol in OPERATORS or result is x
    return str(result.dtype).split(".")[-1], tuple(result.shape), result.tolist()


def filled(lib: ModuleType, name: str, shape: tuple[int, ...], value: int = 3) -> Any:
    return lib.full(shape, value, dtype=getattr(lib, name))


@pytest.mark.parametrize("shapes", [((0,), (0,)), ((0,), ()), ((), (0,)), ((), ())], ids=str)
@pytest.mark.parametrize("symbol", SYMBOLS)
def test_operators_between_tensors(symbol: str, shapes: tuple[Any, Any], torch: ModuleType) -> None:
    """With no elements there is nothing to compute, and so nothing to compile."""
    wrong = {}
    for first, second in pairs_of(shapes):
        if symbol.startswith("**") and first == second == "bool":
            continue  # torch has that power for numbers and not for tensors
        found = [
            outcome(lib, symbol, filled(lib, first, shapes[0]), filled(lib, second, shapes[1])) for lib in (ng, torch)
        ]
        if found[0] != found[1]:
            wrong[first, second] = found
    assert not wrong


@pytest.mark.parametrize("shape", [(0,), ONE, ()], ids=str)
@pytest.mark.parametrize("symbol", SYMBOLS)
def test_operators_beside_numbers(symbol: str, shape: tuple[int, ...], torch: ModuleType) -> None:
    wrong = {}
    for name, number in itertools.product(NAMES if shape == (0,) else COMPUTED, NUMBERS + OF_NUMPY):
        if symbol == "**" and name == "bool" and number is True:
            continue
        for swapped in (False, True) if symbol in OPERATORS else (False,):
            found = []
            for lib in (ng, torch):
                x = filled(lib, name, shape)
                found.append(outcome(lib, symbol, *((number, x) if swapped else (x, number))))
            if found[0] != found[1] and str(found[0]) != str(found[1]):
                same = "Error" not in str(found) and found[0][:2] == found[1][:2]
                if not (same and np.allclose(found[0][2], found[1][2], rtol=1e-6)):
                    wrong[name, repr(number), swapped] = found
    assert not wrong


@pytest.mark.parametrize("number", [np.bool_(True), np.bool_(False)], ids=str)
def test_bools_of_numpy_are_bools(number: np.bool_) -> None:
    for name, symbol in itertools.product(NAMES, SYMBOLS):
        shape = (0,)
        found = [outcome(ng, symbol, filled(ng, name, shape), value) for value in (number, bool(number))]
        assert found[0] == found[1]


FUNCTIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "clamp": lambda lib, x, y: lib.clamp(x, y),
    "clamp max": lambda lib, x, y: lib.clamp(x, max=y),
    "clamp_": lambda lib, x, y: x.clamp_(y),
    "clamp_min": lambda lib, x, y: x.clamp_min(y),
    "clamp_max_": lambda lib, x, y: x.clamp_max_(y),
    "where": lambda lib, x, y: lib.where(lib.tensor([True]), x, y),
    "where otherwise": lambda lib, x, y: lib.where(lib.tensor([False]), y, x),
    "pow": lambda lib, x, y: lib.pow(x, y),
    "remainder_": lambda lib, x, y: x.remainder_(y),
    "floor_divide": lambda lib, x, y: x.floor_divide(y),
    "bitwise_and_": lambda lib, x, y: x.bitwise_and_(y),
    "bitwise_left_shift": lambda lib, x, y: lib.bitwise_left_shift(x, y),
    "eq_": lambda lib, x, y: x.eq_(y),
    "lt_": lambda lib, x, y: x.lt_(y),
    "result_type": lambda lib, x, y: lib.ones(0, dtype=lib.result_type(x, y)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_beside_numbers_and_0d_tensors(name: str, torch: ModuleType) -> None:
    wrong = {}
    others: list[Any] = NUMBERS + OF_NUMPY + NAMES
    shapes = [(name, (0,)) for name in NAMES] + [(name, shape) for name in COMPUTED for shape in (ONE, ())]
    for (dtype, shape), other in itertools.product(shapes, others):
        if shape != (0,) and isinstance(other, str) and not is_computed(dtype, other):
            continue
        if name == "pow" and dtype == other == "bool":
            continue  # torch has that power for numbers and not for tensors
        if name.startswith("clamp") and dtype == "bool" and other is True:
            continue  # and these bounds for tensors and not for numbers
        found = []
        for lib in (ng, torch):
            x, y = filled(lib, dtype, shape), filled(lib, other, ()) if isinstance(other, str) else other
            try:
                result = FUNCTIONS[name](lib, x, y)
                found.append(f"{str(result.dtype).split('.')[-1]} {result.tolist()}")
            except (RuntimeError, TypeError) as error:
                found.append("TypeError" if isinstance(error, TypeError) else "RuntimeError")
        if name == "pow":  # its values are compared elsewhere, to some digits
            found = [each.split()[0] for each in found]
        if found[0] != found[1]:
            wrong[dtype, shape, repr(other)] = found
    assert not wrong


@pytest.mark.parametrize("name", ["add", "sub"])
def test_alpha(name: str, torch: ModuleType) -> None:
    wrong = {}
    for first, second, alpha in itertools.product(NAMES, NAMES, [2, 2.5, True, np.int64(2), np.float64(2.5)]):
        shape = ONE if is_computed(first, second) else (0,)
        for form in (name, f"{name}_"):
            found = []
            for lib in (ng, torch):
                x, y = filled(lib, first, shape), filled(lib, second, shape)
                try:
                    result = getattr(x, form)(y, alpha=alpha)
                    found.append(f"{str(result.dtype).split('.')[-1]} {result.tolist()}")
                except RuntimeError:
                    found.append("refused")
            if found[0] != found[1]:
                wrong[first, second, repr(alpha), form] = found
    assert not wrong
    assert getattr(ng.zeros(1, dtype=ng.float64), name)(0.1, alpha=3).item() in (0.1 * 3, -(0.1 * 3))


def test_result_type_takes_values_and_promote_types_takes_dtypes(torch: ModuleType) -> None:
    for lib in (ng, torch):
        x = lib.ones(2)
        for values in ((lib.int8, lib.float32), (x, lib.float32), (x, None), (x, "a"), (None, None), (x, [1])):
            with pytest.raises(TypeError):
                lib.result_type(*values)
        for types in ((x, lib.int8), ("a", lib.int8), (None, lib.int8)):
            with pytest.raises(TypeError):
                lib.promote_types(*types)
        assert lib.promote_types(lib.int8, float) is lib.float64
        assert lib.promote_types(bool, int) is lib.int64
    with pytest.raises(TypeError, match="promote_types"):
        ng.result_type(ng.int8, ng.float32)
    with pytest.raises(TypeError):
        ng.result_type()
