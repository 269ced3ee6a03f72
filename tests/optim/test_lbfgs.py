"""L-BFGS: torch's losses, step by step, with and without its line search; closures that fail; states both ways."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import optim
from numgrad.optim.line_search import minimum_of_cubic

OPTIONS: dict[str, dict[str, Any]] = {
    "fixed": {"lr": 0.5},
    "searched": {"line_search_fn": "strong_wolfe"},
    "short memory": {"lr": 0.3, "history_size": 2, "max_iter": 4},
    "few calls": {"line_search_fn": "strong_wolfe", "max_eval": 5, "history_size": 3},
    "tolerant": {"line_search_fn": "strong_wolfe", "tolerance_grad": 1e-2, "tolerance_change": 1e-3},
}


class _Problem:
    """A smooth function of two parameters, one of which has no gradient at first, and its closure."""

    def __init__(self, lib: Any, options: dict[str, Any], dtype: str = "float64") -> None:
        rng = np.random.default_rng(5)
        kind = getattr(lib, dtype)
        self.matrix = lib.tensor(rng.normal(size=(6, 6)) + 2 * np.eye(6), dtype=kind)
        self.x = lib.tensor(rng.normal(size=(2, 3)), dtype=kind, requires_grad=True)
        self.y = lib.tensor(rng.normal(size=2), dtype=kind, requires_grad=True)
        self.unused = lib.zeros(1, dtype=kind, requires_grad=True)
        self.optimizer = lib.optim.LBFGS([self.x, self.y, self.unused], **options)
        self.losses: list[float] = []

    def closure(self) -> Any:
        self.optimizer.zero_grad()
        v = self.matrix @ self.x.reshape(-1)
        loss = (v * v).sum() + (self.x.reshape(-1)[:2] * self.y).sum() + (self.y**2).sum() + (self.y**4).sum()
        loss.backward()
        self.losses.append(loss.item())
        return loss


@pytest.mark.parametrize("name", OPTIONS)
def test_losses_are_torchs(name: str, torch: ModuleType) -> None:
    mine, theirs = (_Problem(lib, OPTIONS[name]) for lib in (ng, torch))
    for _ in range(4):
        results = [float(each.optimizer.step(each.closure).detach()) for each in (mine, theirs)]
        np.testing.assert_allclose(*results, rtol=1e-9)
    np.testing.assert_allclose(mine.losses, theirs.losses, rtol=1e-8)
    np.testing.assert_allclose(mine.x.detach().numpy(), theirs.x.detach().numpy(), rtol=1e-8, atol=1e-10)
    states = [each.optimizer.state_dict()["state"][0] for each in (mine, theirs)]
    assert list(states[0]) == list(states[1])
    assert {key: type(value).__name__ for key, value in states[0].items()} == {
        key: type(value).__name__ for key, value in states[1].items()
    }
    assert [states[0][key] for key in ("n_iter", "func_evals")] == [states[1][key] for key in ("n_iter", "func_evals")]


def _arrays(value: Any, lib: Any) -> Any:
    """Tensors of one library as those of another."""
    if isinstance(value, dict):
        return {key: _arrays(each, lib) for key, each in value.items()}
    if isinstance(value, list):
        return [_arrays(each, lib) for each in value]
    return lib.tensor(np.array(value.detach().numpy())) if hasattr(value, "detach") else value


def test_states_go_both_ways(torch: ModuleType) -> None:
    options = OPTIONS["short memory"]
    problems = {lib: _Problem(lib, options) for lib in (ng, torch)}
    for problem in problems.values():
        problem.optimizer.step(problem.closure)
    ends = []
    for source, target in ((ng, torch), (torch, ng), (ng, ng)):
        other = _Problem(target, options)
        for name in ("x", "y"):
            value = _arrays(getattr(problems[source], name), target)
            getattr(other, name).data.copy_(value)
        other.optimizer.load_state_dict(_arrays(problems[source].optimizer.state_dict(), target))
        other.optimizer.step(other.closure)
        ends.append(other.losses)
    for each in ends[1:]:
        np.testing.assert_allclose(each, ends[0], rtol=1e-9)


@pytest.mark.parametrize("name", ["fixed", "searched"])
def test_float32_gets_there(name: str) -> None:
    problem = _Problem(ng, OPTIONS[name], "float32")
    for _ in range(5):
        problem.optimizer.step(problem.closure)
    assert problem.losses[-1] < 1e-6


@pytest.mark.parametrize("calls", [1, 2, 3])
def test_a_closure_that_fails_leaves_everything_as_it_was(calls: int) -> None:
    problem = _Problem(ng, {"lr": 0.05, "max_iter": 4})
    problem.optimizer.step(problem.closure)
    before = problem.x.tolist(), problem.y.tolist(), repr(problem.optimizer.state_dict()), problem.optimizer._step_count
    left = calls

    def failing() -> Any:
        nonlocal left
        left -= 1
        if not left:
            raise ArithmeticError
        return problem.closure()

    with pytest.raises(ArithmeticError):
        problem.optimizer.step(failing)
    after = problem.x.tolist(), problem.y.tolist(), repr(problem.optimizer.state_dict()), problem.optimizer._step_count
    assert after == before


def test_other_searches_and_limits_are_refused() -> None:
    problem = _Problem(ng, {"line_search_fn": "armijo"})
    with pytest.raises(RuntimeError, match="only 'strong_wolfe' is supported"):
        problem.optimizer.step(problem.closure)
    problem = _Problem(ng, {})
    problem.optimizer.param_groups[0]["max_eval"] = "5"
    with pytest.raises(TypeError, match="max_eval is '5', expected a number"):
        problem.optimizer.step(problem.closure)
    assert not problem.losses


def test_nothing_to_do() -> None:
    """At a minimum, and without elements, the closure is called once."""
    for shape in ((2,), (0,)):
        x = ng.zeros(shape, requires_grad=True)
        optimizer = optim.LBFGS([x])
        calls = []

        def closure(x: Any = x, calls: Any = calls) -> Any:
            calls.append(1)
            loss = (x * x).sum()
            loss.backward()
            return loss

        assert optimizer.step(closure).item() == 0
        assert len(calls) == 1


def test_the_smallest_value_of_a_cubic() -> None:
    def cubic(x: float) -> float:
        return x**3 - 3 * x

    for one, two in ((0.0, 3.0), (3.0, 0.0)):
        slopes = 3 * one**2 - 3, 3 * two**2 - 3
        assert minimum_of_cubic(one, cubic(one), slopes[0], two, cubic(two), slopes[1]) == pytest.approx(1.0)
    assert minimum_of_cubic(0.0, 0.0, 1.0, 1.0, 2 / 3, 1.0) == pytest.approx(0.5)  # one that rises everywhere
