"""What a row of the table of samples is, and factories of inputs. The table itself: `samples`.

Inputs are made in float64 and converted to the dtype under test; ints and bools stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Rng = np.random.Generator
Arrays = tuple[Any, ...]  # of np.ndarray, or None for an input left out


@dataclass(frozen=True, eq=False)  # there is one of each
class Sample:
    """One valid application of an op."""

    op: str
    label: str
    make: Callable[[Rng], Arrays]
    params: dict[str, Any] = field(default_factory=dict)
    smooth: bool = True  # the gradient exists at these points, so finite differences find it
    small: bool = True  # small enough for a full Jacobian
    tolerance: float = 1.0  # by how much the op may be rougher than most, for reasons of its formula
    fixed: tuple[int, ...] = ()  # positions of inputs that take no gradient
    changes: tuple[int, ...] = ()  # positions of inputs that the op changes
    moments: bool = False  # the oracle gives the mean and the standard deviation to expect

    def arrays(self, dtype: str = "float64") -> Arrays:
        """The inputs, always the same."""
        seed = sum(map(ord, self.op + self.label))
        return tuple(as_dtype(x, dtype) for x in self.make(np.random.default_rng(seed)))

    def __str__(self) -> str:
        return f"{self.op}-{self.label}"


@dataclass(frozen=True)
class Refusal:
    """One application that the op refuses, before anything is changed."""

    op: str
    label: str
    make: Callable[[Rng], Arrays]
    error: type[Exception]
    match: str
    params: dict[str, Any] = field(default_factory=dict)
    call: Callable[..., Any] | None = None  # what refuses, if it is not the op itself: a function over the tensors

    def arrays(self) -> Arrays:
        """The inputs, always the same."""
        return tuple(None if x is None else np.asarray(x) for x in self.make(np.random.default_rng(len(self.label))))

    def __str__(self) -> str:
        return f"{self.op}-{self.label}"


def as_dtype(x: Any, dtype: str) -> Any:
    """An array of floating point in another dtype; everything else as it is."""
    if x is None:
        return None
    x = np.asarray(x)
    with np.errstate(over="ignore"):
        return x.astype(dtype) if x.dtype.kind == "f" else x


SAMPLES: dict[str, list[Sample]] = {}
# For ops that take only some tensors, such as symmetric matrices: a function that makes the inputs out of any, of tensors as
# of arrays, by which whoever varies a row's inputs stays within what the op takes.
THROUGH: dict[str, Callable[..., Any]] = {}
REFUSALS: dict[str, list[Refusal]] = {}


def good(op: str, label: str, *inputs: Any, params: dict[str, Any] | None = None, **facts: Any) -> None:
    """Add a valid sample; ``inputs`` are factories of one array each, or one `together`."""
    SAMPLES.setdefault(op, []).append(Sample(op, label, _maker(inputs), params or {}, **facts))


def bad(
    op: str,
    label: str,
    *inputs: Any,
    error: type[Exception],
    match: str,
    params: dict[str, Any] | None = None,
    call: Callable[..., Any] | None = None,
) -> None:
    """Add a refusal."""
    REFUSALS.setdefault(op, []).append(Refusal(op, label, _maker(inputs), error, match, params or {}, call))


def _maker(inputs: Arrays) -> Callable[[Rng], Arrays]:
    if len(inputs) == 1 and isinstance(inputs[0], together):
        return inputs[0].function
    return lambda rng: tuple(None if make is None else make(rng) for make in inputs)


class together:  # noqa: N801 (used as a function)
    """All inputs of a sample from one function, where they depend on each other."""

    def __init__(self, function: Callable[[Rng], Arrays]) -> None:
        self.function = function


# ---- factories of inputs ----------------------------------------------------------------------------------------


def normal(*shape: int, scale: float = 1.0) -> Callable[[Rng], np.ndarray]:
    """Normally distributed."""
    return lambda rng: np.asarray(rng.normal(size=shape) * scale)


def uniform(low: float, high: float, *shape: int) -> Callable[[Rng], np.ndarray]:
    """Evenly distributed."""
    return lambda rng: np.asarray(rng.uniform(low, high, shape))


def positive(*shape: int) -> Callable[[Rng], np.ndarray]:
    """From 0.3 to 3."""
    return uniform(0.3, 3.0, *shape)


def off_zero(*shape: int) -> Callable[[Rng], np.ndarray]:
    """Of both signs, at least 0.2 away from 0."""
    return lambda rng: np.asarray(rng.choice([-1.0, 1.0], shape) * rng.uniform(0.2, 2.0, shape))


def off_integers(*shape: int) -> Callable[[Rng], np.ndarray]:
    """At least 0.1 away from integers and halves."""
    return lambda rng: np.asarray(
        rng.integers(-3, 3, shape) + rng.choice([0.0, 0.5], shape) + rng.uniform(0.1, 0.4, shape)
    )


def spread(*shape: int) -> Callable[[Rng], np.ndarray]:
    """All elements different, by at least 0.1."""
    count = int(np.prod(shape, dtype=int))
    return lambda rng: (rng.permutation(count) * 0.1 - 0.05 * count).reshape(shape)


def integers(low: int, high: int, *shape: int, dtype: str = "int64") -> Callable[[Rng], np.ndarray]:
    """Integers from low up to, not including, high."""
    return lambda rng: np.asarray(rng.integers(low, high, shape).astype(dtype))


def bools(*shape: int) -> Callable[[Rng], np.ndarray]:
    """True and False."""
    return lambda rng: np.asarray(rng.integers(0, 2, shape).astype(bool))


def ramp(low: float, high: float, *shape: int) -> Callable[[Rng], np.ndarray]:
    """Evenly spaced, in random order, so that sums are of a known size."""
    count = int(np.prod(shape, dtype=int))
    return lambda rng: rng.permutation(np.linspace(low, high, count)).reshape(shape)


def constant(values: Any, dtype: str = "float64") -> Callable[[Rng], np.ndarray]:
    """These values."""
    return lambda rng: np.array(values, dtype)


SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-300, -2.5]
LARGE = 70_001  # elements: more than one chunk of work
