"""The oracle itself, against differences: nothing else checks what checks everything."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.loop_programs import cases
from tests.loops import duals

RULES = {**duals._UNARY, **duals._BINARY, "arctan2": duals._arctan2, "hypot": duals._hypotenuse}


@pytest.mark.parametrize("name", RULES)
def test_slopes_and_second_derivatives(name: str) -> None:
    rule = RULES[name]
    at = np.array([0.62, 0.37])[: rule.__code__.co_argcount]
    _, slopes, curves = rule(*at)
    h = 1e-5
    for k in range(len(at)):
        step = h * np.eye(len(at))[k]
        ahead, behind = rule(*(at + step)), rule(*(at - step))
        np.testing.assert_allclose((ahead[0] - behind[0]) / (2 * h), slopes[k], rtol=1e-8, atol=1e-9)
        for j in range(len(at)):
            np.testing.assert_allclose((ahead[1][j] - behind[1][j]) / (2 * h), curves[k][j], rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", cases(small=True))
def test_programs(name: str) -> None:
    """Along one direction: the value's difference is the derivative, the gradient's the Hessian's product."""
    function, args, wrt = cases(small=True)[name]
    twin = duals.twin(function)
    rng = np.random.default_rng(1)
    way = [rng.normal(size=np.shape(args[k])) for k in wrt]

    def at(t: float) -> duals.Dual:
        moved = list(args)
        for k, w in zip(wrt, way, strict=True):
            moved[k] = args[k] + t * w
        return twin(*duals.lift(moved, wrt)[0])

    found = twin(*duals.lift(args, wrt, way)[0])
    assert found.value == pytest.approx(
        function(*[np.copy(a) if isinstance(a, np.ndarray) else a for a in args]), rel=1e-13
    )
    h = 1e-6
    ahead, behind = at(h), at(-h)
    assert found.along == pytest.approx((ahead.value - behind.value) / (2 * h), rel=1e-6, abs=1e-6)
    turned = (ahead.grad - behind.grad) / (2 * h)
    np.testing.assert_allclose(found.turned, turned, rtol=1e-5, atol=1e-6 * max(1.0, np.abs(turned).max()))
    assert found.along == pytest.approx(found.grad @ np.concatenate([np.ravel(w) for w in way]), rel=1e-12)


def test_ties_are_counted() -> None:
    duals.forget_ties()
    x, y = duals.lift([1.0, 1.0], [0, 1])[0]
    assert max(x, x) is x
    assert not duals.ties()
    max(x, y)
    assert duals.ties()
    duals.forget_ties()
