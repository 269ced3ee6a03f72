"""Layers where there is nothing to compute, and divisors below 0; in both layouts, with gradients, by torch."""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn

IMAGE = np.random.default_rng(3).normal(size=(2, 5, 6, 7)).astype(np.float32)


def _pooled(lib: Any, last: bool, **options: Any) -> list[np.ndarray]:
    x = lib.tensor(IMAGE)
    if last:
        x = x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    x.requires_grad_()
    out = lib.nn.functional.avg_pool2d(x, **options)
    (out * out).sum().backward()
    return [np.array(value.detach().numpy()) for value in (out, x.grad)]


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("divisor", [-1, -3, 5])
@pytest.mark.parametrize(
    "window", [{"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}]
)
def test_a_divisor_may_be_negative(divisor: int, window: dict[str, Any], last: bool, torch: ModuleType) -> None:
    for mine, theirs in zip(
        *(_pooled(lib, last, divisor_override=divisor, **window) for lib in (ng, torch)), strict=True
    ):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def _convolved(lib: Any, shape: tuple[int, ...], weight: tuple[int, ...], bias: bool, **options: Any) -> Any:
    x, w = (lib.zeros(*size, requires_grad=True) for size in (shape, weight))
    b = lib.ones(weight[0], requires_grad=True) if bias else None
    try:
        out = lib.nn.functional.conv2d(x, w, b, **options)
        out.sum().backward()
    except RuntimeError:
        return "refused"
    grads = [p.grad for p in (x, w, b) if p is not None]
    return tuple(out.shape), [(tuple(g.shape), g.tolist()) for g in grads], out.requires_grad


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("shape", "weight", "options"),
    [
        ((2, 0, 4, 4), (3, 0, 2, 2), {}),
        ((0, 4, 4), (3, 0, 2, 2), {}),
        ((2, 0, 4, 5), (3, 0, 2, 2), {"stride": 2, "padding": 1, "dilation": 1}),
        ((0, 0, 4, 4), (3, 0, 2, 2), {}),
        ((0, 2, 4, 4), (3, 2, 2, 2), {}),
        ((2, 0, 1, 1), (3, 0, 2, 2), {}),
        ((2, 0, 4, 4), (0, 0, 2, 2), {}),
        ((2, 2, 4, 4), (0, 2, 2, 2), {}),
        ((2, 4, 4, 4), (0, 2, 2, 2), {"groups": 2}),
        ((2, 2, 4, 4), (3, 0, 2, 2), {}),
        ((2, 0, 4, 4), (3, 2, 2, 2), {}),
        ((2, 2, 0, 4), (3, 2, 2, 2), {}),
        ((2, 2, 0, 4), (3, 2, 2, 2), {"padding": 1}),
        ((2, 2, 4, 4), (3, 2, 0, 2), {}),
    ],
)
def test_convolutions_of_nothing(
    shape: tuple[int, ...], weight: tuple[int, ...], options: dict[str, Any], bias: bool, torch: ModuleType
) -> None:
    assert _convolved(ng, shape, weight, bias, **options) == _convolved(torch, shape, weight, bias, **options)


def test_modules_of_no_channels() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layer = nn.Conv2d(0, 3, 2)
    out = layer(ng.zeros(2, 0, 4, 4))
    assert tuple(out.shape) == (2, 0, 3, 3)
    out.sum().backward()
    assert layer.bias.grad.tolist() == [0, 0, 0]
    assert tuple(nn.GroupNorm(1, 2)(ng.zeros(0, 2, 3)).shape) == (0, 2, 3)
    assert nn.functional.cross_entropy(ng.zeros(0, 3), ng.zeros(0, 3)).isnan()


def test_a_bool_is_no_size_and_spoils_no_plan() -> None:
    """A plan is found again by its arguments, of which True equals 1: a shape must never hold the one for the other."""
    x = ng.ones(1, 1, 4, 4)
    for call in (
        lambda size: nn.functional.adaptive_avg_pool2d(x, size),
        lambda size: nn.functional.max_pool2d(x, size),
        lambda size: nn.functional.avg_pool2d(x, 2, divisor_override=size),
        lambda size: nn.functional.conv2d(x, ng.ones(1, 1, 1, 1), groups=size),
        lambda size: nn.functional.group_norm(x, size),
    ):
        with pytest.raises(TypeError, match="must be int, not bool"):
            call(True)
        assert [type(extent) for extent in call(1).shape] == [int] * 4
