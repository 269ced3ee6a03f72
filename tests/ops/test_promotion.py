"""dtypes of results: torch is asked for every pair of dtypes, with dimensions, without, and as Python numbers."""

from __future__ import annotations

import itertools
from types import ModuleType
from typing import Any

import pytest

import numgrad as ng
from numgrad import dtypes

NAMES = [d.name for d in dtypes.ALL]
NUMBERS: list[Any] = [True, 3, 2.5]


# Of bools torch makes ints or bools where numgrad refuses: powers, signs, squares.
NOT_OF_BOOLS = {"pow", "sign", "square"}


def dtype_of(lib: ModuleType, x: Any, y: Any, op: str) -> str:
    try:
        found = getattr(lib, op)(x, y)
    except (RuntimeError, TypeError):
        return "refused"
    return str(found.dtype).split(".")[-1]


def operand(lib: ModuleType, name: str, shape: tuple[int, ...]) -> Any:
    return lib.ones(shape, dtype=getattr(lib, name))


@pytest.mark.parametrize("shapes", [((2,), (2,)), ((2,), ()), ((), (2,)), ((), ())], ids=str)
@pytest.mark.parametrize("op", ["add", "mul", "div", "maximum", "eq", "sub"])
def test_pairs(op: str, shapes: tuple[Any, Any], torch: ModuleType) -> None:
    wrong = {}
    for first, second in itertools.product(NAMES, NAMES):
        found = [
            dtype_of(lib, operand(lib, first, shapes[0]), operand(lib, second, shapes[1]), op) for lib in (ng, torch)
        ]
        if found[0] != found[1]:
            wrong[first, second] = found
    assert not wrong


@pytest.mark.parametrize("shape", [(2,), ()], ids=str)
@pytest.mark.parametrize("op", ["add", "mul", "div", "eq", "pow", "sub", "remainder"])
def test_numbers(op: str, shape: tuple[int, ...], torch: ModuleType) -> None:
    wrong = {}
    for name, number in itertools.product(NAMES, NUMBERS):
        if name == "bool" and op in NOT_OF_BOOLS:
            continue
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
        if name == "bool" and op in NOT_OF_BOOLS:
            continue
        pair = []
        for lib in (ng, torch):
            try:
                pair.append(str(getattr(lib, op)(operand(lib, name, (2,))).dtype).split(".")[-1])
            except (RuntimeError, TypeError):
                pair.append("refused")
        if pair[0] != pair[1]:
            found[name] = pair
    assert not found
