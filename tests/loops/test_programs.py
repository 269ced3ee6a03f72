"""The programs of `benchmarks.loop_programs` as ops on the tape: gradients, Hessians times vectors, gradcheck."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from benchmarks.loop_programs import Case, cases
from tests.loops import duals
from tests.loops.running import Run

CASES = cases(small=True)
TWICE = [name for name in CASES if name != "barrier"]  # its second derivative by the volatility jumps at the barrier
OFTEN = (
    "crf",
    "kepler",
    "lu_solve",
    "sparse",
    "viterbi",
)  # whose second derivatives and values alone are compiled in every run
LONG = (
    "wave",
    "level_set",
    "quadrature",
    "ray_march",
)  # to compile, twice over; in plain Python they are tested as well


def leaves(case: Case) -> list[Any]:
    """The arguments, with tensors in the places by which is differentiated."""
    return [ng.tensor(a, dtype=ng.float64, requires_grad=True) if k in case.wrt else a for k, a in enumerate(case.args)]


def flat(grads: Any) -> np.ndarray:
    return np.concatenate([np.ravel(g.detach().numpy()) for g in grads])


@pytest.fixture(scope="module")
def ops() -> dict[str, Any]:
    """Each program is translated and compiled once."""
    return {name: ng.differentiable(case.function) for name, case in CASES.items()}


@pytest.mark.parametrize("name", CASES)
def test_gradients(name: str, ops: dict[str, Any]) -> None:
    case = CASES[name]
    want = duals.twin(case.function)(*duals.lift(case.args, case.wrt)[0])
    given = leaves(case)
    value = ops[name](*given)
    assert value.shape == ()
    assert value.item() == pytest.approx(want.value, rel=1e-12)
    got = flat(ng.autograd.grad(value, [given[k] for k in case.wrt]))
    np.testing.assert_allclose(got, want.grad, rtol=1e-9, atol=1e-9 * np.abs(want.grad).max())


@pytest.mark.parametrize(
    "name", [name if name in OFTEN else pytest.param(name, marks=pytest.mark.soak) for name in CASES]
)
def test_differences(name: str, ops: dict[str, Any]) -> None:
    """Of values that the op computes, along one direction."""
    case = CASES[name]
    rng = np.random.default_rng(1)
    ways = {k: rng.normal(size=np.shape(case.args[k])) for k in case.wrt}

    def at(t: float) -> float:
        moved = [ng.tensor(a + t * ways[k], dtype=ng.float64) if k in ways else a for k, a in enumerate(case.args)]
        return ops[name](*moved).item()

    given = leaves(case)
    grads = ng.autograd.grad(ops[name](*given), [given[k] for k in case.wrt])
    got = sum(float(np.sum(g.numpy() * ways[k])) for k, g in zip(case.wrt, grads, strict=True))
    assert got == pytest.approx((at(1e-6) - at(-1e-6)) / 2e-6, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", TWICE)
def test_hessians_in_plain_python(name: str) -> None:
    case = CASES[name]
    rng = np.random.default_rng(3)
    way = [rng.normal(size=np.shape(case.args[k])) for k in case.wrt]
    want = duals.twin(case.function)(*duals.lift(case.args, case.wrt, way)[0]).turned
    names = inspect.getfullargspec(case.function).args
    by = [names[k] for k in case.wrt]
    run = Run(case.function, case.args, needs=by)
    run.record()
    product = run.turned({"out_0": 1.0}, dict(zip(by, way, strict=True)))
    got = np.concatenate([np.ravel(product.get(n, np.zeros(np.size(w)))) for n, w in zip(by, way, strict=True)])
    np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-9 * max(1.0, np.abs(want).max()))


@pytest.mark.parametrize(
    "name",
    [name if name in OFTEN else pytest.param(name, marks=pytest.mark.soak) for name in TWICE if name not in LONG],
)
def test_hessians_times_vectors(name: str, ops: dict[str, Any]) -> None:
    case = CASES[name]
    rng = np.random.default_rng(2)
    way = [rng.normal(size=np.shape(case.args[k])) for k in case.wrt]
    want = duals.twin(case.function)(*duals.lift(case.args, case.wrt, way)[0]).turned
    given = leaves(case)
    by = [given[k] for k in case.wrt]
    grads = ng.autograd.grad(ops[name](*given), by, create_graph=True)
    along = sum((g * ng.tensor(w)).sum() for g, w in zip(grads, way, strict=True))
    got = ng.autograd.grad(along, by, allow_unused=True, materialize_grads=True)
    np.testing.assert_allclose(flat(got), want, rtol=1e-8, atol=1e-9 * max(1.0, np.abs(want).max()))


@pytest.mark.parametrize("name", OFTEN)
def test_gradcheck(name: str, ops: dict[str, Any]) -> None:
    case = CASES[name]
    given = leaves(case)

    def of_leaves(*moved: Any) -> Any:
        rest = iter(moved)
        return ops[name](*[next(rest) if k in case.wrt else a for k, a in enumerate(given)])

    by = [given[k] for k in case.wrt]
    assert ng.autograd.gradcheck(of_leaves, by)
    assert ng.autograd.gradgradcheck(of_leaves, by, atol=1e-4)
