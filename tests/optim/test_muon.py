"""Muon, whose iteration is in bfloat16: to its rounding as torch's; and where torch's class says so, refused."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import optim

OPTIONS: list[dict[str, Any]] = [
    {"lr": 0.1},
    {"lr": 0.1, "nesterov": False, "momentum": 0.5, "weight_decay": 0.0, "adjust_lr_fn": "match_rms_adamw"},
    {"lr": 0.1, "adjust_lr_fn": "original", "ns_steps": 3, "ns_coefficients": (2.0, -1.5, 0.5)},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_steps_are_torchs(dtype: str, options: dict[str, Any], torch: ModuleType) -> None:
    rng = np.random.default_rng(2)
    values = [rng.normal(size=shape) for shape in ((3, 4), (5, 2), (1, 1))]
    takers = []
    for lib in (ng, torch):
        params = [lib.tensor(value, dtype=getattr(lib, dtype), requires_grad=True) for value in values]
        takers.append((lib, params, lib.optim.Muon(params, **options)))
    for _ in range(10):
        grads = [rng.normal(size=value.shape) for value in values]
        for lib, params, optimizer in takers:
            for param, grad in zip(params, grads, strict=True):
                param.grad = lib.tensor(grad, dtype=getattr(lib, dtype))
            optimizer.step()
    for mine, theirs in zip(takers[0][1], takers[1][1], strict=True):
        np.testing.assert_allclose(mine.detach().numpy(), theirs.detach().numpy(), atol=0.02 * options["lr"])
    for mine, theirs in zip(takers[0][2].state.values(), takers[1][2].state.values(), strict=True):
        assert list(mine) == list(theirs) == ["momentum_buffer"]
        np.testing.assert_allclose(mine["momentum_buffer"].numpy(), theirs["momentum_buffer"].numpy(), rtol=1e-5)


def test_an_update_is_nearly_orthogonal() -> None:
    x = ng.zeros(4, 6, dtype=ng.float64, requires_grad=True)
    optimizer = optim.Muon([x], lr=1.0, weight_decay=0.0)
    x.grad = ng.tensor(np.random.default_rng(0).normal(size=(4, 6)))
    optimizer.step()
    singular = np.linalg.svd(x.detach().numpy(), compute_uv=False)
    assert (singular > 0.6).all()
    assert (singular < 1.4).all()


def test_only_matrices_are_taken() -> None:
    for shape in ((3,), (), (2, 2, 2)):
        with pytest.raises(ValueError, match="Muon only supports 2D parameters whereas we found a parameter with size"):
            optim.Muon([ng.ones(shape, requires_grad=True)])
    for options, words in (({"ns_steps": 100}, "less than 100"), ({"ns_coefficients": (1, 2)}, "exactly 3 values")):
        with pytest.raises(ValueError, match=words):
            optim.Muon([ng.ones(2, 2, requires_grad=True)], **options)


def test_a_parameter_listed_twice_takes_two_steps(torch: ModuleType) -> None:
    values = []
    for lib in (ng, torch):
        x = lib.ones(2, 3, dtype=lib.float64, requires_grad=True)
        with pytest.warns(UserWarning, match="duplicate"):
            optimizer = lib.optim.Adafactor([x, x], lr=0.1)
        for _ in range(3):
            x.grad = lib.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]], dtype=lib.float64)
            optimizer.step()
        values.append([x.detach().numpy(), optimizer.state[x]["step"].numpy(), optimizer.state[x]["row_var"].numpy()])
    for mine, theirs in zip(*values, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12)


def test_private_layouts_are_taken() -> None:
    """What is planned from a gradient with a private layout does not have to be planned for ever."""
    conv = ng.nn.Conv2d(4, 8, 3)
    optimizer = optim.Adafactor([conv.weight, conv.bias], lr=0.1)
    x = ng.ones(2, 4, 16, 16).contiguous(memory_format=ng.channels_last)
    for _ in range(2):
        optimizer.zero_grad()
        conv(x).square().sum().backward()
        optimizer.step()
    assert conv.weight.isfinite().all()
