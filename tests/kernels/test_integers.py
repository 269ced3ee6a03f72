"""Integers: floating point becomes one by one rule, wherever it lies; checks and gates; the functions of one element."""

from __future__ import annotations

import itertools
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import dtypes
from numgrad.kernels import integers
from numgrad.kernels.elementwise import plan_check, plan_elementwise

from .running import run

INTEGERS = ["uint8", "int8", "int16", "int32", "int64"]

# ---- from floating point ----------------------------------------------------------------------------------------

HARD = [
    *(0.0, -0.0, 0.9, -0.9, 1.5, -1.5, 127.0, 128.0, 255.0, 256.0, -1.0, -128.0, -129.0, -255.0, -256.0, -257.0, 300.0),
    *(
        32767.0,
        32768.0,
        -32769.0,
        65536.5,
        1e5,
        -1e5,
        2147483520.0,
        2147483647.0,
        2147483647.5,
        2147483648.0,
        -2147483648.5,
    ),
    *(
        -2147483649.0,
        3e9,
        3e9 + 7,
        -3e9 - 7,
        4294967299.0,
        -4294967299.0,
        1e10,
        2.0**40 + 5,
        2.0**52 + 9,
        -(2.0**52) - 9,
    ),
    *(2.0**63 - 1024, 2.0**63, -(2.0**63), 1e19, -1e19, 1e30, -1e30, np.inf, -np.inf, np.nan),
]


def rule(values: np.ndarray, dtype: str) -> np.ndarray:
    """By Python's ints: cut to 64 bits for int64 and uint8, to 32 for the others; what does not fit is the smallest."""
    bits = 64 if dtype in ("int64", "uint8") else 32
    wide = []
    for value in values.tolist():
        whole = int(value) if np.isfinite(value) else 1 << 70
        wide.append(whole if -(1 << (bits - 1)) <= whole < 1 << (bits - 1) else -(1 << (bits - 1)))
    return np.array(wide, np.int64).astype(dtype)


def ways(values: np.ndarray, dtype: str) -> dict[str, np.ndarray]:
    """One conversion by many ways: each element meets vectors, what they leave over, strides, transposition, threads."""
    to, n = getattr(ng, dtype), len(values)
    x = ng.tensor(values)
    many = np.tile(values, 40_003 // n + 1)[:40_003]
    into, piece = ng.zeros(n, dtype=to), ng.zeros(n, 2, dtype=to)
    into[:] = x
    piece[:, 1] = x
    masked = ng.zeros(n, dtype=to)
    masked[ng.ones(n, dtype=ng.bool)] = x
    square = ng.tensor(np.tile(values, (128, 1)))
    return {
        "to": x.to(to).numpy(),
        "one by one": np.array([ng.tensor(value).to(to).item() for value in values], dtype),
        "many": ng.tensor(many).to(to).numpy(),
        "strided": ng.tensor(np.repeat(values, 2))[::2].to(to).numpy(),
        "transposed": square.t().to(to).numpy().T[5],
        "into a transposed": ng.zeros(n, 128, dtype=to).copy_(square.t()).numpy()[:, 7],
        "copy_": ng.zeros(n, dtype=to).copy_(x).numpy(),
        "x[:]": into.numpy(),
        "x[:, 1]": piece[:, 1].numpy(),
        "x[mask]": masked.numpy(),
        "tensor of an array": ng.tensor(np.tile(values, 9), dtype=to).numpy(),
        "as_tensor": ng.as_tensor(values, dtype=to).numpy(),
    }


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("source", ["float32", "float64"])
def test_floats_become_integers_by_one_rule(source: str, dtype: str, torch: ModuleType) -> None:
    values = np.array(HARD, source)
    wanted = rule(values, dtype)
    for way, got in ways(values, dtype).items():
        np.testing.assert_array_equal(got, np.resize(wanted, got.shape), err_msg=way)
    theirs = torch.tensor(values).to(getattr(torch, dtype)).numpy()
    np.testing.assert_array_equal(wanted, theirs)


@pytest.mark.parametrize("source", ["float32", "float64"])
def test_what_is_not_0_is_true(source: str) -> None:
    values = np.array(HARD, source)
    for way, got in ways(values, "bool").items():
        np.testing.assert_array_equal(got, np.resize(values != 0, got.shape), err_msg=way)


def test_the_issue_of_nine_elements() -> None:
    assert ng.full((9,), 256.0).to(ng.uint8).tolist() == [0] * 9


def test_a_fused_kernel_may_not_convert_by_itself() -> None:
    """What computes in floating point and writes integers would convert as the processor likes."""
    with pytest.raises(ng.errors.KernelError, match="expected a cast of its own"):
        run(
            lambda b, x: plan_elementwise(b, "half", lambda x: x / 2, "f4", [x], [b.output(dtypes.int32, (3,))]),
            np.ones(3, np.float32),
        )


# ---- checks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [None, 0, 1, 9_999, 39_999])
@pytest.mark.parametrize("layout", ["dense", "strided", "transposed", "broadcast"])
def test_a_check_looks_at_every_element(layout: str, place: int | None) -> None:
    dense = np.ones(40_000, np.int32)
    if place is not None:
        dense[place] = 0
    x = {
        "dense": lambda: dense,
        "strided": lambda: np.repeat(dense, 3)[::3],
        "transposed": lambda: dense.reshape(200, 200).T,
        "broadcast": lambda: np.broadcast_to(dense[:, None], (40_000, 5)),
    }[layout]()

    def planner(b: Any, x_: Any) -> None:
        plan_check(b, "is_zero", lambda y: y == 0, "i4", [x_])

    run(planner, np.asarray(x), counts=(1, 2), status=int(place is not None))


def test_a_gated_kernel_does_nothing_after_a_status() -> None:
    for divisor, status in ((0, 1), (2, 0)):
        out = np.arange(40_000, dtype=np.int64)

        def planner(b: Any, x: Any, y: Any) -> None:
            plan_check(b, "is_zero", lambda y: y == 0, "i8", [y])
            plan_elementwise(b, "half", lambda x, y: x // y, "i8", [x, y], [b.in_place(x)], gated=True)

        run(planner, out, np.array(divisor), counts=(1, 2), status=status)
        np.testing.assert_array_equal(out, np.arange(40_000) // (divisor or 1))


# ---- arithmetic -------------------------------------------------------------------------------------------------


def ends(dtype: str) -> list[int]:
    info = np.iinfo(dtype)
    return [
        value
        for value in (info.min, info.min + 1, -3, -2, -1, 0, 1, 2, 3, 7, info.max - 1, info.max)
        if info.min <= value <= info.max
    ]


def pairs(dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Each end with each, so often that vectors and what they leave over see them."""
    x, y = zip(*itertools.product(ends(dtype), ends(dtype)), strict=True)
    return np.array(x, dtype), np.array(y, dtype)


def wrapped(value: int, dtype: str) -> int:
    info = np.iinfo(dtype)
    return (value - int(info.min)) % (1 << info.bits) + int(info.min)


def true_power(x: int, y: int, dtype: str) -> int:
    if y < 0:
        return {1: 1, -1: -1 if y % 2 else 1}.get(x, 0)
    bits = np.iinfo(dtype).bits
    return wrapped(pow(x, y, 1 << bits), dtype)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_device_functions_are_exact(dtype: str) -> None:
    """The functions as Python, by Python's ints, and the ops by them."""
    for x, y in zip(*(each.tolist() for each in pairs(dtype)), strict=True):
        if y:
            assert integers.floor_divide(x, y) == x // y
        assert integers.sign(x) == (x > 0) - (x < 0)
    x, y = pairs(dtype)
    sign = ng.sign(ng.tensor(x))
    assert sign.numpy().tolist() == np.sign(x.astype(object)).tolist()
    keep = y != 0
    quotient = ng.floor_divide(ng.tensor(x[keep]), ng.tensor(y[keep])).tolist()
    rest = ng.remainder(ng.tensor(x[keep]), ng.tensor(y[keep])).tolist()
    both = list(zip(x[keep].tolist(), y[keep].tolist(), strict=True))
    assert quotient == [wrapped(a // b, dtype) for a, b in both]
    assert rest == [a % b for a, b in both]
    keep = (x != 0) | (y >= 0)
    power = ng.pow(ng.tensor(x[keep]), ng.tensor(y[keep])).tolist()
    assert power == [true_power(a, b, dtype) for a, b in zip(x[keep].tolist(), y[keep].tolist(), strict=True)]
