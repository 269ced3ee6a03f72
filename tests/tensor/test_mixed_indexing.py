"""Index tensors, masks, slices, ints, None and ... together, read and written: as torch, gradients included."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng


def mask(lib: Any, *shape: int) -> Any:
    return lib.arange(int(np.prod(shape))).reshape(shape) % 3 == 1


INDICES: dict[str, Callable[[Any], Any]] = {
    "rows": lambda lib: lib.tensor([2, 0, -1]),
    "a matrix of rows": lambda lib: lib.tensor([[2, 0], [1, 1]]),
    "list": lambda lib: [0, 2],
    "columns": lambda lib: (slice(None), lib.tensor([3, 0, 3])),
    "last": lambda lib: (Ellipsis, lib.tensor([1, -1])),
    "pairs": lambda lib: (lib.tensor([0, 2]), lib.tensor([1, 3])),
    "broadcast pairs": lambda lib: (lib.tensor([[0], [2]]), lib.tensor([1, 3, 0])),
    "pairs at the end": lambda lib: (slice(None), lib.tensor([1, 3]), lib.tensor([0, 4])),
    "apart": lambda lib: (lib.tensor([0, 2]), slice(1, 3), lib.tensor([1, 3])),
    "apart, all": lambda lib: (lib.tensor([0, 2]), slice(None), lib.tensor([[1], [3]])),
    "with an int": lambda lib: (1, slice(None), lib.tensor([0, 4])),
    "with an int between": lambda lib: (lib.tensor([0, 2]), 1, lib.tensor([0, 4])),
    "with a step": lambda lib: (lib.tensor([0, 2]), slice(None, None, 2)),
    "with None": lambda lib: (None, lib.tensor([0, 2]), slice(1, None)),
    "with None between": lambda lib: (lib.tensor([0, 2]), None, lib.tensor([1, 3])),
    "with ...": lambda lib: (lib.tensor([0, 2]), Ellipsis, None),
    "scalar tensor": lambda lib: (lib.tensor(1), lib.tensor([0, 2])),
    "mask": lambda lib: mask(lib, 3, 4, 5),
    "mask of rows": lambda lib: mask(lib, 3),
    "mask of the first two": lambda lib: mask(lib, 3, 4),
    "mask of the last two": lambda lib: (slice(None), mask(lib, 4, 5)),
    "mask in the middle": lambda lib: (slice(1, None), mask(lib, 4)),
    "mask and index": lambda lib: (mask(lib, 3), slice(None), lib.tensor([2])),
    "int and mask": lambda lib: (0, mask(lib, 4, 5)),
    "nothing": lambda lib: lib.zeros(0, dtype=lib.int64),
    "empty mask": lambda lib: lib.zeros(3, 4, 5) > 1,
    "True": lambda lib: True,
    "False": lambda lib: False,
}


def given(lib: Any) -> Any:
    return lib.arange(60, dtype=lib.float64).reshape(3, 4, 5)


def weights(lib: Any, like: Any) -> Any:
    return lib.arange(like.numel(), dtype=lib.float64).reshape(tuple(like.shape)) + 1


@pytest.mark.parametrize("layout", ["plain", "transposed", "stepped"])
@pytest.mark.parametrize("name", INDICES)
def test_reading(name: str, layout: str, torch: ModuleType) -> None:
    found = []
    for lib in (ng, torch):
        leaf = given(lib).requires_grad_()
        x = {"plain": lambda t: t * 1, "transposed": lambda t: t.reshape(5, 4, 3).permute(2, 1, 0)}.get(
            layout, lambda t: (t.unsqueeze(-1) * 1).expand(3, 4, 5, 2)[..., 1]
        )(leaf)
        out = x[INDICES[name](lib)]
        (out * weights(lib, out)).sum().backward()
        found.append((out.detach().numpy(), leaf.grad.numpy()))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", [name for name in INDICES if name not in ("a matrix of rows", "columns", "False")])
def test_writing(name: str, torch: ModuleType) -> None:
    found = []
    for lib in (ng, torch):
        leaf = given(lib).requires_grad_()
        x = (leaf * 1).transpose(0, 2).contiguous().transpose(0, 2)
        index = INDICES[name](lib)
        value = (weights(lib, x[index].detach()) * 0.5).requires_grad_()
        x[index] = value * 3
        x[index] *= 2
        (x * weights(lib, x)).sum().backward()
        found.append((x.detach().numpy(), leaf.grad.numpy(), value.grad.numpy()))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("name", ["pairs", "rows", "mask", "mask of the first two"])
def test_index_put(name: str, accumulate: bool, torch: ModuleType) -> None:
    found = []
    for lib in (ng, torch):
        leaf = given(lib).requires_grad_()
        index = INDICES[name](lib)
        index = index if isinstance(index, tuple) else (index,)
        value = lib.tensor([0.5], dtype=lib.float64, requires_grad=True)
        out = leaf.index_put(index, value, accumulate)
        same = (leaf * 1).index_put_(index, value, accumulate)
        assert out.tolist() == same.tolist()
        (out * weights(lib, out) + same).sum().backward()
        found.append((out.detach().numpy(), leaf.grad.numpy(), value.grad.numpy()))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_array_equal(ours, theirs)
