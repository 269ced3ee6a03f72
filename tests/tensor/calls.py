"""Tables of calls of public functions, and what is asked of each: torch's results and gradients, and the derivatives' own.

A row is a function ``(lib, *tensors)`` with arrays to make the tensors of; ``lib`` is numgrad or torch.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import numgrad as ng

Call = Callable[..., Any]


@dataclass(frozen=True)
class Row:
    """A call, its arrays, and what may not be asked of it."""

    label: str
    call: Call
    arrays: tuple[np.ndarray, ...]
    smooth: bool = True  # finite differences find its derivative
    batches: bool = True  # `vmap` goes through it
    torchs_gradient: bool = True  # torch has a gradient that can be compared
    tolerance: float = 1.0

    def __str__(self) -> str:
        return self.label


class Table(list[Row]):
    """Rows, added by calling it."""

    def __call__(self, label: str, call: Call, *arrays: Any, **facts: Any) -> None:
        self.append(Row(label, call, tuple(np.asarray(x) for x in arrays), **facts))


def f64(*shape: int) -> np.ndarray:
    """Numbers of both signs, all different, none near 0."""
    count = int(np.prod(shape, dtype=int))
    numbers = 0.37 + np.arange(count) * 0.29 + count * 0.0137
    signs = np.where(np.arange(count) % 3 == 1, -1.0, 1.0)
    return (np.random.default_rng(count).permutation(numbers * signs)).reshape(shape)


def i64(low: int, high: int, *shape: int) -> np.ndarray:
    """Integers from low up to, not including, high."""
    return np.random.default_rng(high * 7 + len(shape)).integers(low, high, shape)


def leaves(lib: Any, arrays: tuple[np.ndarray, ...], grad: bool = True) -> list[Any]:
    """The arrays as tensors; those of floating point require a gradient."""
    tensors = [lib.tensor(x.copy()) for x in arrays]
    return [x.requires_grad_() if grad and x.is_floating_point() else x for x in tensors]


def parts(result: Any) -> list[Any]:
    """The tensors of a result."""
    return [part for each in result for part in parts(each)] if isinstance(result, (tuple, list)) else [result]


def told(lib: Any, row: Row) -> list[Any]:
    """What a call gives: dtypes, shapes, values, and the gradients of a weighted sum."""
    inputs = leaves(lib, row.arrays)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outputs = parts(row.call(lib, *inputs))
    found: list[Any] = []
    total: Any = None
    for number, out in enumerate(outputs):
        if not hasattr(out, "detach"):
            found.append(out)
            continue
        found.append((str(out.dtype).split(".")[-1], tuple(out.shape), np.array(out.detach().numpy())))
        if out.requires_grad and row.torchs_gradient:
            weights = (
                np.cos(np.arange(out.numel()) + number).reshape(tuple(out.shape)).astype(out.detach().numpy().dtype)
            )
            part = (out * lib.tensor(weights)).sum()
            total = part if total is None else total + part
    if total is not None:
        total.backward()
        found += [None if x.grad is None else np.array(x.grad.numpy()) for x in inputs]
    return found


def assert_same(mine: list[Any], theirs: list[Any], tolerance: float = 1.0) -> None:
    """The results of both libraries are equal but for rounding."""
    assert len(mine) == len(theirs)
    for a, b in zip(mine, theirs, strict=True):
        if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == 3 and isinstance(a[2], np.ndarray):
            assert a[:2] == b[:2]
            a, b = a[2], b[2]
        if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
            precise = 1e-5 if a.dtype == np.float32 else 1e-10
            np.testing.assert_allclose(a, b, rtol=precise * tolerance, atol=precise * tolerance, equal_nan=True)
        elif a is None and isinstance(b, np.ndarray):
            assert not b.any()  # torch gives zeros where nothing depends on it
        elif b is None and isinstance(a, np.ndarray):
            assert not a.any()
        else:
            assert a == b


def _is_differentiable(row: Row, inputs: Any) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return any(getattr(out, "requires_grad", False) for out in parts(row.call(ng, *inputs)))


def check_derivatives(row: Row) -> None:
    """Gradients of both orders and the forward derivative agree with finite differences."""
    inputs = tuple(leaves(ng, row.arrays))
    floating = [x for x in inputs if x.is_floating_point()]

    def function(*given: Any) -> Any:
        rest = iter(given)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outputs = parts(row.call(ng, *[next(rest) if x.is_floating_point() else x for x in inputs]))
        outputs = [out for out in outputs if hasattr(out, "detach") and out.is_floating_point()]
        return tuple(outputs) if len(outputs) > 1 else outputs[0]

    if not floating or not _is_differentiable(row, inputs):
        return
    assert ng.autograd.gradcheck(function, tuple(floating), check_forward_ad=True)
    assert ng.autograd.gradgradcheck(function, tuple(floating))


def check_batches(row: Row) -> None:
    """`vmap` over the tensors of floating point is one call after the other."""
    stacks = [np.stack([x, x * 0.5 - 1]) if x.dtype.kind == "f" else x for x in row.arrays]
    dims = tuple(0 if x.dtype.kind == "f" else None for x in row.arrays)
    if all(dim is None for dim in dims):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = parts(
            ng.func.vmap(lambda *given: tuple(parts(row.call(ng, *given))), in_dims=dims)(*map(ng.tensor, stacks))
        )
        singles = [
            parts(row.call(ng, *[ng.tensor(x if dim is None else x[k]) for x, dim in zip(stacks, dims, strict=True)]))
            for k in range(2)
        ]
    for place, out in enumerate(found):
        np.testing.assert_allclose(
            out.numpy(), np.stack([each[place].numpy() for each in singles]), rtol=1e-10, atol=1e-12
        )
