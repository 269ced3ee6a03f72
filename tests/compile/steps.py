"""Steps that are run eagerly and by `jit`, and compared bit by bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import numgrad as ng

Build = Callable[[], tuple[Callable[..., Any], list[Any]]]


def bits(value: Any) -> Any:
    """Tensors, and state dicts of modules and optimizers, as bytes in containers."""
    if isinstance(value, ng.Tensor):
        return value.dtype, tuple(value.shape), value.requires_grad, np.array(value.detach()._values()).tobytes()
    if isinstance(value, ng.nn.Module):
        grads = [None if p.grad is None else bits(p.grad) for p in value.parameters()]
        return bits(value.state_dict()), grads
    if isinstance(value, ng.optim.Optimizer):
        return bits(value.state_dict()), value._step_count
    if hasattr(value, "state_dict"):
        return bits(value.state_dict())
    if isinstance(value, dict):
        return {key: bits(each) for key, each in value.items()}
    return [bits(each) for each in value] if isinstance(value, (tuple, list)) else value


def outcome(
    build: Build, wrap: Callable[..., Any], calls: Sequence[tuple[Any, ...]], **options: Any
) -> tuple[Any, Any]:
    """What a step returns for each call, and the state that it leaves; and the step."""
    ng.manual_seed(1)
    step, state = build()
    ng.manual_seed(2)
    wrapped = wrap(step, **options)
    seen = []
    for call in calls:
        if len(call) == 1 and callable(call[0]):  # something that happens between two steps
            call[0](*state)
        else:
            seen.append(bits(wrapped(*call)))
    return [*seen, bits(state), ng.initial_seed(), bits(ng.get_rng_state())], wrapped


def check(build: Build, calls: Sequence[tuple[Any, ...]], **options: Any) -> Any:
    """Compare a step with its replays; the stats of the latter."""
    expected, _ = outcome(build, lambda step: step, calls)
    got, step = outcome(build, ng.jit, calls, **options)
    assert len(got) == len(expected)
    for number, (one, other) in enumerate(zip(got, expected, strict=True)):
        assert one == other, f"result {number} of {len(got) - 3} calls, the state, the seed and the generator"
    return ng.jit.stats(step)
