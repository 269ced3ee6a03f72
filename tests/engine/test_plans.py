"""Plans are kept, and not for ever: shapes that never end take bounded memory, and change no result."""

from __future__ import annotations

import numpy as np
import pytest

import numgrad as ng
from numgrad import layout, registry
from numgrad.registry import plans


def kept() -> int:
    return sum(len(op.plans) for op in list(plans.ops))


def test_shapes_that_never_end_leave_a_bounded_number_of_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    registry.forget_plans()
    monkeypatch.setattr(plans, "_plans_made", 0)
    monkeypatch.setattr(plans, "_MOST_PLANS", 60)
    monkeypatch.setattr(layout, "_MOST_INTERNED", 100)
    w = ng.tensor([1.0, -2.0], requires_grad=True)
    most = 0
    for n in range(1, 150):
        w.grad = None
        (ng.ones(n, 2) * w).tanh().sum().backward()
        np.testing.assert_allclose(w.grad.numpy(), n * (1 - np.tanh([1.0, -2.0]) ** 2), rtol=1e-4)
        most = max(most, kept())
    assert 20 < most <= 61
    assert len(layout._interned) <= 100


def test_a_plan_that_is_used_again_is_found_again() -> None:
    x = ng.ones(3, 7)
    registry.forget_plans()
    x * 2
    before = kept()
    for _ in range(5):
        x * 2
    assert kept() == before > 0
