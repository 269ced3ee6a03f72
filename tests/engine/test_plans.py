"""Plans are kept, and not for ever: shapes that never end take bounded memory, and change no result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import layout, registry
from numgrad.ops.view import slice_
from numgrad.registry import plans


def kept() -> int:
    return sum(len(op.plans) for op in list(plans.ops))


def test_shapes_that_never_end_leave_a_bounded_number_of_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    registry.forget_plans()
    monkeypatch.setattr(plans, "_plans_made", 0)
    monkeypatch.setattr(plans, "_MOST_PLANS", 60)
    monkeypatch.setattr(layout, "_MOST_INTERNED", 100)
    layout._drop_unused()
    before = layout._held_by_others
    w = ng.tensor([1.0, -2.0], requires_grad=True)
    most = 0
    for n in range(1, 150):
        w.grad = None
        (ng.ones(n, 2) * w).tanh().sum().backward()
        np.testing.assert_allclose(w.grad.numpy(), n * (1 - np.tanh([1.0, -2.0]) ** 2), rtol=1e-4)
        most = max(most, kept())
    assert 20 < most <= 61
    assert len(layout._interned) <= 100 + layout._held_by_others
    assert layout._held_by_others < 200 + before


def test_a_plan_that_is_used_again_is_found_again() -> None:
    x = ng.ones(3, 7)
    registry.forget_plans()
    x * 2
    before = kept()
    for _ in range(5):
        x * 2
    assert kept() == before > 0


def test_a_product_of_a_new_height_is_not_planned_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    planned: list[Any] = []
    from_the_start = plans._planned
    before = ng.get_num_threads()
    ng.set_num_threads(2)  # which forgets all plans
    monkeypatch.setattr(plans, "_planned", lambda *args: planned.append(args) or from_the_start(*args))
    try:
        right = ng.rand(64, 256)
        for rows in range(260, 860, 5):  # whose items are cut in different ways
            left = ng.rand(rows, 64)
            np.testing.assert_allclose((left @ right).numpy(), left.numpy() @ right.numpy(), rtol=1e-4)
    finally:
        ng.set_num_threads(before)
    assert len([args for args in planned if args[0].name == "mm"]) < plans._MOST_TEMPLATES


@pytest.mark.parametrize("needs_grad", [False, True])
def test_one_plan_serves_every_start_of_a_slice(needs_grad: bool) -> None:
    array = np.arange(600.0).reshape(50, 4, 3)
    x = ng.tensor(array)[:, :, :].requires_grad_(needs_grad)
    registry.forget_plans()
    for i in range(-50, 50):
        for index in (i, (i, i % 4), (i % 25, ..., 1), slice(i % 40, i % 40 + 7, 2), (None, slice(i % 48, i % 48 + 2))):
            np.testing.assert_array_equal(x[index].detach().numpy(), array[index])
        np.testing.assert_array_equal(x.select(0, i).detach().numpy(), array[i])
        np.testing.assert_array_equal(x.narrow(0, i % 49, 2).detach().numpy(), array[i % 49 : i % 49 + 2])
    assert len(slice_.plans) <= 6
    assert kept() <= 12


def test_slices_that_share_a_plan_have_gradients_of_their_own() -> None:
    x = ng.ones(9, 2, dtype=ng.float64, requires_grad=True)
    rows = [x[i] * i for i in range(9)]
    sum(row.sum() for row in rows).backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.repeat(np.arange(9.0), 2).reshape(9, 2))
    assert [x[i : i + 2].grad_fn._saved_starts for i in (3, 5)] == [(3, 0), (5, 0)]


@pytest.mark.parametrize(
    ("starts", "sizes", "error"),
    [
        ((3, 0), (2, 2), RuntimeError),
        ((0, 1), (2, 2), RuntimeError),
        ((-1, 0), (2, 2), RuntimeError),
        ((1 << 70, 0), (2, 2), RuntimeError),
        ((True, 0), (2, 2), TypeError),
        ((1.0, 0), (2, 2), TypeError),
        ((1,), (2, 2), TypeError),
        ([1, 0], (2, 2), TypeError),
        (1, (2, 2), TypeError),
        ((5, 0), (0, 2), RuntimeError),
        ((0, 3), (0, 0), RuntimeError),
    ],
)
def test_a_plan_for_every_start_serves_none_that_reaches_beyond(
    starts: tuple[int, ...], sizes: tuple[int, ...], error: type[Exception]
) -> None:
    x = ng.arange(8).reshape(4, 2)
    for is_planned in (False, True):
        if is_planned:
            slice_(x, starts=(0, 0), steps=(1, 1), sizes=sizes)
            assert (
                slice_(x, starts=(2, 0), steps=(1, 1), sizes=sizes).tolist() == x[2 : 2 + sizes[0], : sizes[1]].tolist()
            )
        with pytest.raises(error, match="slice"):
            slice_(x, starts=starts, steps=(1, 1), sizes=sizes)
