"""Calls of many shapes: those that recur stay known while plans are forgotten, and what is kept of all others is bounded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

import numgrad as ng
import numgrad.nn.functional as F
from numgrad import layout, registry
from numgrad.registry import memo, plans
from numgrad.runtime.fast import start as fast
from numgrad.tensor import known

RECURRING = range(3, 23)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for a few plans, and no patience."""
    fast.load()
    if fast.run_known is fast.unknown:
        pytest.skip("this interpreter is served by Python")
    registry.forget_plans()
    monkeypatch.setattr(plans, "_plans_made", 0)
    monkeypatch.setattr(plans, "_MOST_PLANS", 60)
    monkeypatch.setattr(memo, "_AT_ONCE", 100)  # a step by ops uses some 40
    monkeypatch.setattr(memo, "_PATIENCE", 4)


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many plans are made, how often half of them are forgotten, and how many calls are watched."""
    numbers = dict.fromkeys(["planned", "forgotten", "watched"], 0)

    def counting(module: Any, name: str, key: str) -> None:
        function = getattr(module, name)

        def counted(*args: Any) -> Any:
            numbers[key] += 1
            return function(*args)

        monkeypatch.setattr(module, name, counted)

    counting(registry.Op, "make_plan", "planned")
    counting(plans, "_forget_half", "forgotten")
    counting(known, "watch", "watched")
    return numbers


def rows(n: int) -> tuple[ng.Tensor, ng.Tensor, ng.Tensor]:
    x = ng.arange(2.0 * n).reshape(n, 2) / n - 0.7
    return x.requires_grad_(), x.detach() + 1, ng.ones(n)


OPERANDS = {n: rows(n) for n in RECURRING}


def run(sizes: Iterable[int]) -> list[list[float]]:
    """Gradients of a function of several ops, for each number of rows."""
    gradients = []
    for n in sizes:
        x, y, grad = OPERANDS.get(n) or rows(n)
        x.grad = None
        F.cosine_similarity(x, y, eps=0.01).backward(grad)
        gradients.append(x.grad.tolist())
    return gradients


def known_calls() -> set[Any]:
    return {(id(table), key, id(step)) for table in memo.tables for key, step in table.items() if step}


def test_what_recurs_is_learned_once_however_many_plans_are_forgotten(counts: dict[str, int]) -> None:
    expected = run(RECURRING)
    for _ in range(4):
        assert run(RECURRING) == expected
    assert counts["forgotten"] > 5
    known_before = known_calls()
    counts.update(planned=0, forgotten=0, watched=0)
    for _ in range(3):
        assert run(RECURRING) == expected
    assert counts == {"planned": 0, "forgotten": 0, "watched": 0}
    for n in range(100, 200):  # shapes that never come back
        run([n])
    assert counts["forgotten"] > 5
    assert run(RECURRING) == expected
    assert known_before <= known_calls()


def test_what_is_too_much_for_the_room_does_not_push_itself_out(
    counts: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = run(RECURRING)
    monkeypatch.setattr(memo, "_ROOM", 60)
    for _ in range(12):
        run(RECURRING)
    stay = known_calls()
    assert len(stay) > 8
    counts.update(watched=0)
    for _ in range(4):
        assert run(RECURRING) == expected
    assert known_calls() == stay
    assert counts["watched"] == 0
    assert memo._held < 70


def test_what_is_not_used_any_more_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memo, "_ROOM", 60)
    for _ in range(6):
        run(RECURRING)
    before = known_calls()
    for _ in range(12):
        run(range(40, 44))
    assert known_calls() - before
    assert before - known_calls()
    assert memo._held < 70


def test_what_never_ends_takes_bounded_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memo, "_ROOM", 60)
    monkeypatch.setattr(memo, "_MOST_MET", 100)
    for n in range(3, 90):
        for _ in range(5):
            run([n])
        assert memo._held < 70
        assert sum([memo._weight(step) for table in memo.tables for step in table.values()]) < 70
        assert len(memo._met.numbers) <= 100
    x = ng.arange(1000)
    for _ in range(3):
        for number in range(1000):
            assert x[number].item() == number
            assert x[number:].numel() == 1000 - number
    assert sum([memo._weight(step) for table in memo.tables for step in table.values()]) < 70


def test_a_spec_that_somebody_holds_stays_the_spec_of_its_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "_MOST_INTERNED", 50)
    specs = [layout.spec_of(ng.float32, (n, 7919)) for n in range(300)]
    for n in range(1000):
        layout.spec_of(ng.float32, (n, 7927))
    assert all(layout.spec_of(ng.float32, (n, 7919)) is spec for n, spec in enumerate(specs))
    held = layout._held_by_others
    assert len(layout._interned) <= 50 + held
    del specs
    layout._drop_unused()
    assert layout._held_by_others <= held - 300
