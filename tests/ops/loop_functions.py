"""Functions with loops that the tests of `ng.differentiable` share: each is compiled once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import numgrad as ng


@ng.differentiable
def decay(x: Any, rate: Any, steps: Any) -> Any:
    """The state after some steps of a nonlinear decay, and each step's mean: [N], 0-d -> [N], [steps]."""
    y = np.empty_like(x)
    means = np.zeros(steps)
    for i in range(x.shape[0]):
        y[i] = x[i]
    for t in range(steps):
        for i in range(x.shape[0]):
            y[i] = y[i] - rate * y[i] * y[i]
            means[t] += y[i] / x.shape[0]
    return y, means


@ng.differentiable
def root(x: Any, tolerance: Any) -> Any:
    """The square root by Newton's method, and the number of steps, which depends on the value: 0-d -> 0-d, 0-d int64."""
    y = x
    steps = 0
    while abs(y * y - x) > tolerance:
        y = 0.5 * (y + x / y)
        steps += 1
    return y, steps


@ng.differentiable
def smooth(u: Any, weight: Any, steps: Any) -> None:
    """Steps of a smoothing in place, with weights for each point: [N], [N]."""
    for _ in range(steps):
        left = u[0]
        for i in range(1, u.shape[0] - 1):
            old = u[i]
            u[i] = old + weight[i] * (left - 2.0 * old + u[i + 1])
            left = old


@ng.differentiable
def picked(x: Any, places: Any, sign: Any) -> Any:
    """The product of exponentials of some elements, by their places: [N], [M] of integers -> 0-d."""
    total = 1.0
    for k in range(places.shape[0]):
        v = x[places[k]]
        if sign and v < 0.0:
            v = -v
        total *= math.exp(0.1 * v)
    return total


@ng.differentiable
def measured(x: Any, how: str = "exact") -> Any:
    """The square root of a number that must not be negative, by the function that ``how`` names."""
    if x < 0.0:
        raise ValueError("x is negative")
    if how == "exact":
        return math.sqrt(x)
    value, _ = root(x, 1e-14)
    return value


@ng.differentiable
def spread(x: Any) -> Any:
    """Products of neighbours, of which the reverse adds to three places in each turn: [N] -> [N]."""
    out = np.zeros_like(x)
    for i in range(1, x.shape[0] - 1):
        out[i] = x[i - 1] * x[i] + math.sin(x[i + 1])
    return out


def summed(x: Any) -> Any:
    """A sum of costly terms, in order: [N] -> []."""
    total = 0.0
    for i in range(x.shape[0]):
        total += math.exp(x[i]) * (1.0 + math.sin(i * x[i]))
    return total


def by_tensors(x: Any, rate: Any, steps: int) -> tuple[Any, Any]:
    """`decay` in ops of tensors."""
    means = []
    for _ in range(steps):
        x = x - rate * x * x
        means.append(x.mean())
    return x, ng.stack(means)


def smoothed(u: Any, weight: Any, steps: int) -> Any:
    """`smooth` in ops of tensors, without a change in place."""
    for _ in range(steps):
        inner = u[1:-1] + weight[1:-1] * (u[:-2] - 2.0 * u[1:-1] + u[2:])
        u = ng.cat((u[:1], inner, u[-1:]))
    return u


def used() -> list[Any]:
    """Values and gradients of all of them, as numbers; also a recipe for `numgrad.runtime.helpers`."""
    x = ng.tensor([0.3, 0.5, 0.8], dtype=ng.float64, requires_grad=True)
    rate = ng.tensor(0.4, dtype=ng.float64, requires_grad=True)
    y, means = decay(x, rate, 2)
    u = x * 1.0
    smooth(u, rate.expand(3), 2)
    value, _ = root(rate, 1e-12)
    total = y.sum() + means.sum() + u.sum() + value + picked(x, np.array([0, -1]), True)
    total.backward()
    return [total.tolist(), x.grad.tolist(), rate.grad.tolist()]


SCALE = 2.0


def scaled(x: Any) -> Any:
    """A helper that sees a global."""
    return x * SCALE
