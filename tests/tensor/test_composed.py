"""Functions of small tensors as one op: what comes out is what their ops give, and what is asked of arguments stays."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import numgrad as ng
import numgrad.nn.functional as F
from benchmarks.surface_cases import cases
from benchmarks.surface_operands import operands
from numgrad.registry import chain
from numgrad.runtime.fast import start as fast
from numgrad.tensor import composed


@contextmanager
def by_ops() -> Iterator[None]:
    """Nothing is one op: something listens to all of them."""

    def listener(inner: Any, op: Any, inputs: Any, params: Any) -> Any:
        return inner(op, inputs, params)

    chain.wrap_dispatch(0, listener)
    try:
        yield
    finally:
        chain.unwrap_dispatch(listener)


def plans() -> int:
    return sum(len(known) for known, _ in composed._all)


def shown(result: Any) -> Any:
    """All that can be seen of a result: classes, layouts, bits."""
    if isinstance(result, ng.Tensor):
        return result.dtype, tuple(result.shape), result.stride(), result.requires_grad, result._array().tobytes()
    if isinstance(result, (tuple, list)):
        return type(result), [shown(each) for each in result]
    return result


def answer(text: str, names: dict[str, Any]) -> Any:
    ng.manual_seed(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return shown(eval(text, {"lib": ng, "F": F, **names}))
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        return type(error), str(error)


# Memory that nobody has written, and what differs from one call to the next.
UNDEFINED = ("empty", "seed")


@pytest.mark.parametrize("layout", ["contiguous", "strided"])
def test_later_calls_are_those_of_the_ops(layout: str) -> None:
    fast.load()
    before = plans()
    for text in [each for each in cases() if not any(word in each for word in UNDEFINED)]:
        names = operands(ng, text, "1e2", layout=layout)
        others = {name: value.clone() if isinstance(value, ng.Tensor) else value for name, value in names.items()}
        for name, value in names.items():  # other numbers, of the same layout
            if isinstance(value, ng.Tensor):
                others[name] = operands(ng, name, "1e2", layout=layout)[name]
                others[name].copy_(value.flip(0))
        with by_ops():
            first, then = answer(text, names), answer(text, others)
        assert [answer(text, names) for _ in range(4)] == [first] * 4, text
        assert answer(text, others) == then, text
    assert plans() > before + 50
