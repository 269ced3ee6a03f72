"""Applying a row's op: to tensors, to NumPy by its oracle, and the check of a gradient by one random inner product."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import numgrad as ng
from numgrad.registry import OPS
from tests.ops.rows import THROUGH, Sample


def changes_input(name: str) -> bool:
    """Whether the op writes over its first input."""
    return name.endswith("_")


def tensors(arrays: Sequence[Any], *, grad: bool = False) -> list[Any]:
    """Arrays as tensors of their own; with ``grad`` those of floating point require one."""
    made = [None if x is None else ng.tensor(np.asarray(x)) for x in arrays]
    for x in made:
        if grad and x is not None and x.is_floating_point():
            x.requires_grad_()
    return made


def apply(name: str, inputs: Sequence[Any], params: dict[str, Any]) -> tuple[Any, ...]:
    """The op's public outputs. What an in-place op changes is a clone, and what takes only some tensors gets such ones."""
    if name in THROUGH:
        inputs = THROUGH[name](*inputs)
    inputs = [inputs[0].clone(), *inputs[1:]] if changes_input(name) else inputs
    result = OPS[name](*inputs, **params)
    return result if isinstance(result, tuple) else (result,)


def expected(sample: Sample, arrays: Sequence[Any]) -> tuple[np.ndarray, ...]:
    """The public outputs by the oracle, in float64."""
    op = OPS[sample.op]
    assert op.oracle_function is not None
    wide = [x.astype("float64") if x is not None and x.dtype.kind == "f" else x for x in arrays]
    wide = list(THROUGH[sample.op](*wide)) if sample.op in THROUGH else wide
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # NumPy's about means of nothing
        result = op.oracle_function(*wide, **op.Params(**sample.params)._asdict())
    result = result if isinstance(result, tuple) else (result,)
    return tuple(np.asarray(x) for x in result[: op.public])


def as_array(tensor: Any) -> np.ndarray:
    """A copy of a tensor's values, row-major, which leaves its own layout as it is."""
    return np.array(tensor._array(), order="C")


def floating(values: Sequence[Any]) -> list[Any]:
    """Those that are tensors of floating point."""
    return [x for x in values if x is not None and x.is_floating_point()]


def gradients(
    function: Callable[..., Any], inputs: Sequence[Any], cotangents: Sequence[Any], *, create_graph: bool = False
) -> list[Any]:
    """Gradients of ``function``'s outputs for the inputs that require one; zeros where none arrives."""
    outputs = [y for y in floating(function(*inputs)) if y.requires_grad]
    weights = [u for u, y in zip(cotangents, floating(function(*inputs)), strict=True) if y.requires_grad]
    wanted = [x for x in floating(inputs) if x.requires_grad]
    if not outputs:
        return [ng.zeros_like(x) for x in wanted]
    return list(
        ng.autograd.grad(outputs, wanted, weights, create_graph=create_graph, allow_unused=True, materialize_grads=True)
    )


def directional(
    function: Callable[..., Any], inputs: Sequence[Any], seed: int = 0, step: float = 1e-6
) -> tuple[float, float, float]:
    """For random v and u: u . (J v) by central differences, (J^T u) . v by autograd, and the size of their terms."""
    rng = np.random.default_rng(seed)
    moving = [x for x in floating(inputs) if x.requires_grad]
    outputs = floating(function(*inputs))
    u = [rng.normal(size=y.shape) for y in outputs]
    v = [rng.normal(size=x.shape) for x in moving]

    def at(distance: float) -> list[np.ndarray]:
        directions = iter(v)
        moved = [
            ng.tensor(as_array(x) + distance * next(directions)).requires_grad_() if any(x is m for m in moving) else x
            for x in inputs
        ]
        return [as_array(y) for y in floating(function(*moved))]

    ahead, behind = at(step), at(-step)
    numerical = [w * (a - b) / (2 * step) for w, a, b in zip(u, ahead, behind, strict=True)]
    found = gradients(function, inputs, [ng.tensor(w) for w in u])
    analytical = [as_array(g) * d for g, d in zip(found, v, strict=True)]
    size = sum(float(np.abs(x).sum()) for x in (*numerical, *analytical))
    return sum(float(x.sum()) for x in numerical), sum(float(x.sum()) for x in analytical), size


def for_threads(call: Callable[[], Any]) -> list[Any]:
    """What a call gives with one thread, two and five."""
    before, results = ng.get_num_threads(), []
    for threads in (1, 2, 5):
        ng.set_num_threads(threads)
        results.append(call())
    ng.set_num_threads(before)
    return results


def agree(numerical: float, analytical: float, size: float, tolerance: float = 1.0) -> bool:
    """Whether two inner products are the same but for the error of the differences."""
    return abs(numerical - analytical) <= tolerance * (2e-8 * size + 1e-9)
