"""Random formulas: value, first and second derivative against dual numbers of float64 and of 250 digits, on wide ranges."""

from __future__ import annotations

import math
import random
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import scalar
from tests.ops import formulas

WORDS = {name: getattr(scalar, name) for name in ("exp", "expm1", "log", "log1p", "sqrt", "tanh", "where")}
LARGEST = {ng.float32: 3.4e38, ng.float64: 1.7e308}
SMALLEST = {ng.float32: 1.2e-38, ng.float64: 1e-60}
DIGITS = {ng.float32: 2.5e-7, ng.float64: 4e-14}

# Formulas whose slopes are finite where exponentials, squares or quotients on the way are not.
SATURATING = [
    "1 / (1 + exp(-x))", "x / (1 + exp(-x))", "log1p(exp(x)) - x * (x > 0)", "x * tanh(log1p(exp(x)))", "1 / (1 + exp(-x)) ** 3",
    "exp(x) / (exp(x) + exp(y))", "1 / (exp(x) + exp(-x))", "x * exp(-y * y)", "(x * x) / (x * x + 1)", "x / (1 + abs(x))",
    "(1 + x * x) ** -0.5", "x / sqrt(1 + x * x)", "log(1 + exp(x - y)) + log(1 + exp(y - x))", "1 / (2 + 3 * exp(-x) + exp(-y))",
    "exp(-x * x) * y", "0.5 * x * (1 + tanh(0.8 * (x + 0.04 * x * x * x)))", "1 - 2 / (exp(2 * x) + 1)", "1 / (1 + sqrt(exp(x)))",
    "y / (1 + exp(-x)) / (1 + exp(x))", "tanh(x * y)", "exp(-x ** 4) + 1 / (1 + exp(x ** 4))", "-exp(x) / (-1 - exp(x))",
]  # fmt: skip


def points(rng: random.Random, count: int) -> np.ndarray:
    """Pairs of either sign, of all sizes from 1e-6 to 1e6."""
    sizes = [10 ** rng.uniform(-6, rng.choice([0.5, 1.5, 3, 6])) * rng.choice([-1, 1]) for _ in range(2 * count)]
    return np.float32(sizes).astype(np.float64).reshape(count, 2)


def computed(text: str, pairs: np.ndarray, axes: np.ndarray, dtype: Any) -> list[np.ndarray]:
    """Value, slope and curvature along one of the axes at each point, by numgrad."""
    op = ng.elementwise(formulas.function(text, WORDS))
    inputs = [ng.tensor(pairs[:, axis], dtype=dtype).requires_grad_() for axis in range(2)]
    out: Any = op(*inputs)
    results = [out.detach().numpy(), np.zeros(len(pairs)), np.zeros(len(pairs))]
    for axis, x in enumerate(inputs):
        (slope,) = ng.autograd.grad(out.sum(), x, create_graph=True, materialize_grads=True)
        results[1] = np.where(axes == axis, slope.detach().numpy(), results[1])
        if slope.requires_grad:
            (curvature,) = ng.autograd.grad(slope.sum(), x, materialize_grads=True, allow_unused=True)
            results[2] = np.where(axes == axis, curvature.numpy(), results[2])
    return results


def as_float(number: Any) -> float:
    """A number of any class, as a float that may be infinite."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf
    except ValueError:
        return math.nan


def wrong(text: str, rng: random.Random, dtype: Any, count: int = 24) -> list[tuple[Any, ...]]:
    """Where numgrad is farther from the truth than rounding and float64's own cancellation allow."""
    pairs, axes = points(rng, count), np.array([rng.randrange(2) for _ in range(count)])
    got = computed(text, pairs, axes, dtype)
    found = []
    for place, (pair, axis) in enumerate(zip(pairs.tolist(), axes, strict=True)):
        direction = (1.0 - axis, float(axis))
        truth = [as_float(t) for t in formulas.judged(text, pair, direction, Decimal)]
        plain = [as_float(t) for t in formulas.judged(text, pair, direction, np.float64)]
        if not math.isfinite(plain[0]):
            continue  # the function itself overflows in float64
        for order in range(3):
            exact = truth[order]
            if math.isnan(exact):
                break
            if abs(exact) > LARGEST[dtype]:
                continue
            lost = abs(plain[order] - exact)
            if math.isfinite(lost):
                # A digit of the value is what cancels in a small slope; float64's own may have been lucky.
                allowed = DIGITS[dtype] * abs(exact) + SMALLEST[dtype] + 100 * lost + 2**-52 * abs(plain[0])
            else:  # float64 has no derivative by the rules of calculus alone, and numgrad has
                allowed = 1e-3 * abs(exact) + 1e-12
            if not abs(float(got[order][place]) - exact) <= allowed:
                found.append((order, pair, axis, got[order][place], exact, plain[order]))
    return found


@pytest.mark.parametrize("number", range(len(SATURATING)))
def test_saturating_formulas(number: int) -> None:
    # Formulas of float32 are computed in float64: its own digits are asked of a few.
    for dtype in (ng.float32, ng.float64) if number % 8 == 0 else (ng.float32,):
        assert not wrong(SATURATING[number], random.Random(1), dtype, 40), dtype


@pytest.mark.parametrize("seed", [*range(8), *[pytest.param(seed, marks=pytest.mark.soak) for seed in range(8, 100)]])
def test_random_formulas(seed: int) -> None:
    rng = random.Random(seed)
    text = formulas.formula(rng, rng.choice([1, 2, 2, 3]))
    assert not wrong(text, rng, ng.float64 if seed % 3 == 0 else ng.float32), text
