"""Gradients where there is no one right answer: the choices are torch's."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng

NAN, INF = float("nan"), float("inf")
ONE: dict[str, tuple[Any, list[list[float]]]] = {
    "amax": (lambda lib, x: x.amax(1), [[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]),
    "amin": (lambda lib, x: x.amin(1), [[1.0, 1.0, 3.0], [2.0, 2.0, 2.0]]),
    "amax with NaN": (lambda lib, x: x.amax(1), [[1.0, NAN, 3.0], [2.0, 2.0, 2.0]]),
    "max of all": (lambda lib, x: x.max(), [[1.0, 3.0], [3.0, 3.0]]),
    "min of all": (lambda lib, x: x.min(), [[1.0, 3.0], [1.0, 3.0]]),
    "max along": (lambda lib, x: x.max(1)[0], [[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]),
    "min along": (lambda lib, x: x.min(1)[0], [[1.0, 1.0, 3.0], [2.0, 2.0, 2.0]]),
    "max along with NaN": (lambda lib, x: x.max(1)[0], [[1.0, NAN, 3.0], [NAN, NAN, 2.0]]),
    "clamp at the bounds": (lambda lib, x: x.clamp(-1.0, 1.0), [[-1.0, 1.0, 0.0], [-2.0, 2.0, NAN]]),
    "clamp below": (lambda lib, x: x.clamp(min=0.0), [[-1.0, 0.0, -0.0], [1.0, NAN, -INF]]),
    "clamp above": (lambda lib, x: x.clamp(max=0.0), [[-1.0, 0.0, -0.0], [1.0, NAN, INF]]),
    "abs": (lambda lib, x: x.abs(), [[0.0, -0.0, -2.0]]),
    "sign": (lambda lib, x: x.sign(), [[0.0, -0.0, -2.0]]),
    "relu": (lambda lib, x: x.relu(), [[0.0, -0.0, 1.0, -1.0]]),
    "sqrt at 0": (lambda lib, x: x.sqrt(), [[0.0, 1.0, 4.0]]),
    "pow 2 at 0": (lambda lib, x: x**2, [[0.0, -1.0, 2.0]]),
    "pow 0 at 0": (lambda lib, x: x**0, [[0.0, -1.0, 2.0]]),
    "pow 1 at 0": (lambda lib, x: x**1, [[0.0, -1.0, 2.0]]),
    "pow 0.5 at 0": (lambda lib, x: x**0.5, [[0.0, 1.0, 2.0]]),
    "pow 1.5 at 0": (lambda lib, x: x**1.5, [[0.0, 1.0, 2.0]]),
    "pow -1 at 0": (lambda lib, x: x**-1, [[0.0, 1.0, 2.0]]),
    "number to the power": (lambda lib, x: 0.0**x, [[0.0, 1.0, 2.0]]),
    "2 to the power": (lambda lib, x: 2.0**x, [[0.0, 1.0, -2.0]]),
    "norm at 0": (lambda lib, x: x.norm(), [[0.0, 0.0]]),
    "floor": (lambda lib, x: x.floor(), [[0.0, 0.5]]),
    "softplus at the threshold": (lambda lib, x: lib.nn.functional.softplus(x), [[20.0, 20.1, -800.0]]),
    "prod with zeros": (lambda lib, x: lib.prod(x), [[0.0, 2.0, 3.0]]),
    "std": (lambda lib, x: x.std(), [[1.0, 2.0, 4.0]]),
    "var along": (lambda lib, x: x.var(1), [[1.0, 2.0, 4.0], [0.0, 0.0, 0.0]]),
    "max_pool2d": (
        lambda lib, x: lib.nn.functional.max_pool2d(x.view(1, 1, 2, 4), 2),
        [[1.0, 1.0, 2.0, 3.0], [1.0, 1.0, 3.0, 2.0]],
    ),
    "log_softmax far apart": (lambda lib, x: lib.log_softmax(x, 1), [[1000.0, -1000.0, 0.0]]),
}


def gradient(lib: ModuleType, function: Any, *values: Any) -> list[np.ndarray]:
    inputs = [lib.tensor(v, dtype=lib.float64, requires_grad=True) for v in values]
    out = function(lib, *inputs)
    weights = 1.0 + np.arange(out.numel(), dtype=float).reshape(tuple(out.shape))
    out.backward(lib.tensor(weights))
    return [np.zeros(x.shape) if x.grad is None else np.array(x.grad.numpy()) for x in inputs]


@pytest.mark.parametrize("name", ONE)
def test_of_one(name: str, torch: ModuleType) -> None:
    function, values = ONE[name]
    (ours,), (theirs,) = gradient(ng, function, values), gradient(torch, function, values)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-300)


TWO = {
    "maximum": lambda lib, x, y: lib.maximum(x, y),
    "minimum": lambda lib, x, y: lib.minimum(x, y),
    "max": lambda lib, x, y: lib.max(x, y),
    "clamp min": lambda lib, x, y: lib.clamp(x, min=y),
    "clamp max": lambda lib, x, y: lib.clamp(x, max=y),
    "pow": lambda lib, x, y: lib.pow(x, y),
    "remainder": lambda lib, x, y: lib.remainder(x, y),
    "where": lambda lib, x, y: lib.where(x > y, x, y),
}


@pytest.mark.parametrize("name", TWO)
def test_of_two(name: str, torch: ModuleType) -> None:
    x, y = [1.0, 2.0, 0.0, 0.0, 3.0, -0.0, 4.0], [1.0, 1.0, 0.0, 2.0, 5.0, 0.0, 4.0]
    if name in ("maximum", "minimum", "max"):
        x, y = [*x, NAN, 1.0, NAN], [*y, 1.0, NAN, NAN]
    if name == "remainder":
        y = [1.0, 1.5, 1.0, 2.0, -5.0, 3.0, 4.0]
    for ours, theirs in zip(gradient(ng, TWO[name], x, y), gradient(torch, TWO[name], x, y), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
