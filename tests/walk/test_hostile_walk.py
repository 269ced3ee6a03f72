"""A short walk over the public surface with hostile arguments; ``python -m tests.walk.hostile`` walks for as long as one likes."""

from __future__ import annotations

import importlib.util
import random

import pytest

import numgrad as ng
from tests.walk import hostile, recipes, targets

HAS_TORCH = importlib.util.find_spec("torch") is not None


@pytest.mark.slow
def test_hostile_calls_are_answered_or_refused() -> None:
    counts, faults = hostile.walk(2500, with_torch=HAS_TORCH, seconds=120)
    assert not faults, "\n".join(faults)
    assert counts.total() > 200, counts
    done = counts["both done"] + counts["done"]
    assert done > counts.total() / 10, "hardly any call succeeds, so hardly anything is compared"


def test_a_walk_reaches_the_whole_surface() -> None:
    names = targets.names()
    assert {"function:matmul", "method:view", "operator:iadd", "functional:conv2d", "operator:setitem"} <= set(names)
    assert len(names) > 250
    drawn = {hostile.drawn(seed)[0] for seed in range(6000)}
    assert len(drawn) > 0.95 * len(names)


@pytest.mark.parametrize(
    ("ours", "theirs"), [(ng.ones(2), [3.0, 1.0]), (ng.ones(2), [1.0]), (ng.ones(2, dtype=ng.int64), [1.0, 1.0])]
)
def test_differences_are_noticed(ours: ng.Tensor, theirs: list[float], torch: object) -> None:
    with pytest.raises(hostile.WrongError):
        hostile.compared("function:exp", ours, torch.tensor(theirs))  # type: ignore[attr-defined]


def test_crashes_exceptions_and_changed_operands_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMGRAD_WALK_FAULT", "3:crash,5:exception,7:change")
    _, faults = hostile.walk(9)
    assert [fault.split(":")[0] for fault in faults] == ["seed 3", "seed 5", "seed 7"]
    assert "SIGSEGV" in faults[0]
    assert "AttributeError" in faults[1]
    assert "an operand has changed" in faults[2]


def test_a_call_is_the_same_each_time() -> None:
    assert [hostile.described(seed) for seed in range(30)] == [hostile.described(seed) for seed in range(30)]
    rng = random.Random(0)
    for _ in range(200):
        recipe = recipes.tensor(rng)
        made = recipes.build(ng, recipe, [])
        assert tuple(made.shape) == recipe.value[1]
        assert made.dtype.name == recipe.value[0]
