"""No public function is forgotten by ``python -m benchmarks.surface``."""

from __future__ import annotations

import re

import pytest

import numgrad as ng
from benchmarks.surface import cases, operands
from benchmarks.surface_cases import NOT_TIMED, REASONS, SIZES
from numgrad.nn import functional
from numgrad.tensor.surface import functions_of

HOMES = ("function", "functional", "linalg", "special", "method")


def test_each_public_function_is_timed_or_explained() -> None:
    named = set(re.findall(r"\w+", " ".join(cases()))) | set(NOT_TIMED)
    timed = {function.__wrapped__ for home in HOMES for name, function in functions_of(home).items() if name in named
             if hasattr(function, "__wrapped__")}  # fmt: skip
    forgotten = {
        name
        for home in HOMES
        for name, function in functions_of(home).items()
        if name not in named
        and getattr(function, "__wrapped__", function) not in timed
        and not (name.endswith("_") and not name.startswith("_"))
        and name.removesuffix("_copy") not in named  # the copy of a view
    }
    assert not forgotten, f"without a call in benchmarks/surface_cases.py: {' '.join(sorted(forgotten))}"


def test_what_is_not_timed_is_public_and_not_timed() -> None:
    public = {name for home in HOMES for name in functions_of(home)}
    assert set(NOT_TIMED) <= public
    assert not set(NOT_TIMED) & {name for text in cases() for name in re.findall(r"\.(\w+)\(", text)[:1]}


@pytest.mark.filterwarnings("ignore")  # torch warns of the same names
def test_each_call_runs() -> None:
    names = {"lib": ng, "F": functional, **operands(ng, "small", needs_grad=False)}
    for text in cases():
        eval(text, names)


def test_reasons_are_of_calls() -> None:
    texts = [f"{text} @ {size}" for text in cases() for size in SIZES]
    assert all(any(part in text for text in texts) for part in REASONS)
