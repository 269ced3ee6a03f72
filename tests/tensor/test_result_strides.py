"""How new results lie in memory: as torch's, whatever the layouts of the operands are."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad.runtime import helpers


def operand(lib: ModuleType, rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """A tensor of this shape whose axes lie in memory in any order, with gaps or shown many times."""
    order = [int(axis) for axis in rng.permutation(len(shape))]
    steps, singles = [int(n) for n in rng.integers(1, 3, len(shape))], rng.random(len(shape)) < 0.15
    sizes = [1 if singles[axis] else shape[axis] * steps[axis] for axis in order]
    x = lib.zeros(*sizes).permute(*[int(axis) for axis in np.argsort(order)])
    x = x[tuple(slice(None, None, 1 if single else step) for step, single in zip(steps, singles, strict=True))]
    if rng.random() < 0.3:
        return x.expand(*shape)
    return x[0] if rng.random() < 0.15 and len(shape) > 1 else x


OPS = {
    "unary": lambda lib, x, y: x.tanh(),
    "number": lambda lib, x, y: x * 2.5,
    "binary": lambda lib, x, y: x + y,
    "compared": lambda lib, x, y: x < y,
    "where": lambda lib, x, y: lib.where(x > 0, y, x),
    "clone": lambda lib, x, y: x.clone(),
    "cast": lambda lib, x, y: x.double(),
    "zeros_like": lambda lib, x, y: lib.zeros_like(x),
    "ones_like": lambda lib, x, y: lib.ones_like(x, dtype=lib.int32),
    "softmax": lambda lib, x, y: x.softmax(0),
    "full_like": lambda lib, x, y: lib.full_like(x, 2.5),
}


def count(name: str) -> int:
    """How many pairs of operands; the rule is one for all."""
    return 60 if name == "binary" else 20


def layout(lib: ModuleType, name: str, seed: int) -> tuple[list[int], bool]:
    """The strides of a result, but of single elements, for which nobody cares; and whether it is row-major."""
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(2, 5, int(rng.integers(1, 5))))
    x, y = operand(lib, rng, shape), operand(lib, rng, shape)
    result = OPS[name](lib, x, y)
    return [s for s, n in zip(result.stride(), result.shape, strict=True) if n != 1], result.is_contiguous()


def layouts() -> dict[str, list[Any]]:
    """All of them, in a process that rehearses: each has loops of its own, and none is run."""
    return {name: [layout(ng, name, seed) for seed in range(count(name))] for name in OPS}


@pytest.fixture(scope="module")
def ours() -> dict[str, list[Any]]:
    return helpers.ask("tests.tensor.test_result_strides:layouts", {})["result"]


@pytest.mark.parametrize("name", OPS)
def test_a_result_lies_as_its_operands_do(name: str, ours: dict[str, list[Any]], torch: ModuleType) -> None:
    for seed, (strides, _) in enumerate(ours[name]):
        assert strides == layout(torch, name, seed)[0], f"seed {seed}"
    seen = sum(not row_major for _, row_major in ours[name])
    assert seen > count(name) / 6 or name == "softmax"  # which is row-major


def test_a_result_that_is_computed_lies_as_one_that_is_not(ours: dict[str, list[Any]]) -> None:
    for name in OPS:
        assert [list(layout(ng, name, seed)) for seed in range(3)] == ours[name][:3], name
