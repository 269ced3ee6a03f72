"""How new results lie in memory: as torch's, whatever the layouts of the operands are."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng


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


@pytest.mark.parametrize("name", OPS)
def test_a_result_lies_as_its_operands_do(name: str, torch: ModuleType) -> None:
    # The rule is one for all, and each order has loops of its own for each.
    seen, count = 0, 60 if name == "binary" else 8
    for seed in range(count):
        results = []
        for lib in (ng, torch):
            rng = np.random.default_rng(seed)
            shape = tuple(int(n) for n in rng.integers(2, 5, int(rng.integers(1, 5))))
            x, y = operand(lib, rng, shape), operand(lib, rng, shape)
            results.append(OPS[name](lib, x, y))
        ours, theirs = results
        strides = [
            [s for s, n in zip(each.stride(), each.shape, strict=True) if n != 1] for each in (ours, theirs)
        ]  # of one element, who cares
        assert strides[0] == strides[1], f"seed {seed}: {strides}, {ours.shape}"
        seen += not ours.is_contiguous()
    assert seen > count / 6 or name == "softmax"  # which is row-major
