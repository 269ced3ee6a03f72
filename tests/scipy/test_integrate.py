"""`solve_ivp`: its solutions are SciPy's, its gradients are those of closed forms and of differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numgrad as ng

integrate = pytest.importorskip("scipy.integrate")
TIGHT = {"rtol": 1e-9, "atol": 1e-11}


def pendulum(t: Any, y: Any, p: Any) -> Any:
    return ng.stack([y[1], -p[0] * y[0].sin() - p[1] * y[1] + (p[0] * t).cos()])


@pytest.mark.parametrize("method", ["RK45", "RK23", "DOP853", "Radau", "BDF", "LSODA"])
def test_states_are_scipys_and_gradients_those_of_differences(method: str) -> None:
    y0, p = np.array([0.4, -0.2]), np.array([1.5, 0.3])
    times = np.array([0.0, 0.5, 0.5001, 1.7, 2.0])
    # The methods of low order need many steps for many digits.
    tolerance = TIGHT if method in ("DOP853", "RK45", "LSODA") else {"rtol": 1e-6, "atol": 1e-8}

    def loss(y0: Any, p: Any) -> Any:
        y = ng.scipy.solve_ivp(
            pendulum, (0, 2), y0, method, times, args=(p,), jit=method in ("DOP853", "Radau"), **tolerance
        ).y
        return (y * ng.arange(1, 6)).sum() + y[0, 3] * y[1, 4]

    leaves = [ng.tensor(each, requires_grad=True) for each in (y0, p)]
    gradients = ng.autograd.grad(loss(*leaves), leaves)

    def array_side(t: float, y: Any, p: Any) -> Any:
        return [y[1], -p[0] * np.sin(y[0]) - p[1] * y[1] + np.cos(p[0] * t)]

    def exact(v: Any) -> Any:
        y = integrate.solve_ivp(array_side, (0, 2), v[:2], "DOP853", times, args=(v[2:],), rtol=1e-12, atol=1e-13).y
        return (y * np.arange(1, 6)).sum() + y[0, 3] * y[1, 4]

    v = np.concatenate([y0, p])
    differences = [(exact(v + s) - exact(v - s)) / 2e-5 for s in 1e-5 * np.eye(4)]
    bound = 1e-6 if tolerance is TIGHT else 2e-3
    np.testing.assert_allclose(np.concatenate([g.numpy() for g in gradients]), differences, rtol=bound)
    with ng.no_grad():
        assert loss(*leaves).item() == pytest.approx(exact(v), rel=bound)


@pytest.mark.parametrize("jit", [False, True])
def test_trees_dtypes_and_time_backward(jit: bool) -> None:
    rate = ng.tensor([0.5], requires_grad=True)
    y0 = {"x": ng.ones(2, 1, requires_grad=True), "z": ng.tensor(2.0, dtype=ng.float64)}

    def side(t: Any, y: Any) -> Any:
        assert (t.dtype, t.shape) == (ng.float64, ())
        return {"x": -rate * y["x"], "z": y["z"] * 0 + y["x"].sum().double()}

    result = ng.scipy.solve_ivp(side, (1, 0), y0, t_eval=[0.5, 0.0], parameters=[rate], rtol=1e-8, atol=1e-8, jit=jit)
    assert (result.y["x"].shape, result.y["x"].dtype, result.y["z"].shape) == ((2, 1, 2), ng.float32, (2,))
    result.y["x"][..., 1].sum().backward()
    np.testing.assert_allclose(rate.grad.numpy(), [2 * np.exp(0.5)], rtol=1e-5)  # of 2 exp(rate)
    np.testing.assert_allclose(y0["x"].grad.numpy(), np.full((2, 1), np.exp(0.5)), rtol=1e-5)


def test_a_module_as_the_right_side() -> None:
    class Law(ng.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = ng.nn.Linear(2, 2, dtype=ng.float64)

        def forward(self, t: Any, y: Any) -> Any:
            return self.layer(y).tanh()

    ng.manual_seed(0)
    law = Law()
    y = ng.scipy.solve_ivp(law, (0, 1), ng.ones(3, 2, dtype=ng.float64), **TIGHT).y[..., -1]
    assert y.shape == (3, 2)
    y.square().sum().backward()

    def value(shift: float) -> float:
        with ng.no_grad():
            law.layer.weight[0, 1] += shift
            y = ng.scipy.solve_ivp(law, (0, 1), ng.ones(3, 2, dtype=ng.float64), **TIGHT).y[..., -1]
            law.layer.weight[0, 1] -= shift
        return y.square().sum().item()

    assert law.layer.weight.grad[0, 1].item() == pytest.approx((value(1e-4) - value(-1e-4)) / 2e-4, rel=1e-6)


def test_events_and_dense_output() -> None:
    def hit(t: Any, y: Any) -> Any:
        return y[0]

    hit.terminal, hit.direction = True, -1  # type: ignore[attr-defined]
    fall = lambda t, y: ng.stack([y[1], y[1] * 0 - 9.81])  # noqa: E731
    result = ng.scipy.solve_ivp(fall, (0, 9), np.array([10.0, 0.0]), events=hit, dense_output=True)
    assert result.t_events[0][0] == pytest.approx(np.sqrt(20 / 9.81))
    assert result.sol(0.5)[0] == pytest.approx(10 - 9.81 / 8)


def test_refusals() -> None:
    w = ng.tensor(1.0, requires_grad=True)
    start = ng.ones(1, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"neither in args nor in parameters"):
        ng.scipy.solve_ivp(lambda t, y: w * y, (0, 1), start)
    with pytest.raises(RuntimeError, match=r"neither in args nor in parameters"):
        ng.scipy.solve_ivp(lambda t, y: w * y, (0, 1), start.detach())  # where nothing else has a gradient, too
    with pytest.raises(RuntimeError, match="no gradients by the times"):
        ng.scipy.solve_ivp(lambda t, y: y, (0, w), start)
    with pytest.raises(RuntimeError, match="computed from another"):
        ng.scipy.solve_ivp(lambda t, y: w * u * y, (0, 1), start, parameters=[w, u := w.exp()])
    for inner in (lambda w, one: ng.scipy.solve_ivp(lambda t, y: w * y, (0, 1), one).y[0],
                  lambda w, one: ng.scipy.solve_ivp(lambda t, y: y, (0, 1), w * one).y[0]):  # fmt: skip
        with pytest.raises(RuntimeError, match="no forward mode"):
            ng.func.jvp(inner, (w.detach(), start.detach()), (w.detach(), start.detach()))
    with pytest.raises(ValueError, match="not finite at the start"):
        ng.scipy.solve_ivp(lambda t, y: (y - 10).log(), (0, 1), start)  # SciPy would not come back
    y = ng.scipy.solve_ivp(lambda t, y, w: w * y, (0, 1), start, args=(w,)).y[0, -1]
    with ng.no_grad():
        w.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()  # it would compute with the new value
    with pytest.raises(RuntimeError, match="events have no gradients"):
        ng.scipy.solve_ivp(lambda t, y: y, (0, 1), start, events=lambda t, y: y)
    with pytest.raises(ValueError, match=r"shapes of y0, \[\[1\]\], got \[\[2\]\]"):
        ng.scipy.solve_ivp(lambda t, y: ng.ones(2), (0, 1), start)
    with pytest.raises(TypeError, match="expected fun to return tensors, got float"):
        ng.scipy.solve_ivp(lambda t, y: 1.0, (0, 1), start)
    with pytest.raises(ValueError, match="vectorized is not taken"):
        ng.scipy.solve_ivp(lambda t, y: y, (0, 1), start, vectorized=True)
    y = ng.scipy.solve_ivp(lambda t, y: y, (0, 1), start).y[0, -1]
    (slope,) = ng.autograd.grad(y, start, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        slope.sum().backward()


def test_gradients_are_partial_whatever_the_arguments_depend_on() -> None:
    """y' = -b a y, with b = exp(a), a itself as two arguments, in a module and as a named parameter; none counts twice."""
    a = ng.tensor(0.3, dtype=ng.float64, requires_grad=True)
    one = ng.ones(1, dtype=ng.float64)
    y = ng.scipy.solve_ivp(lambda t, y, b, a, c: -b * a * y, (0, 1), one, args=(a.exp(), a, a), **TIGHT).y[0, -1]
    y.backward()
    rate = 0.3 * np.exp(0.3)
    assert a.grad.item() == pytest.approx(-np.exp(-rate) * (np.exp(0.3) + rate), rel=1e-7)
    a.grad = None
    y = ng.scipy.solve_ivp(lambda t, y, b: -b * a * y, (0, 1), one, args=(a,), parameters=[a], **TIGHT).y[0, -1]
    y.backward()
    assert a.grad.item() == pytest.approx(-0.6 * np.exp(-0.09), rel=1e-7)


def test_modules_in_args_and_their_methods_get_gradients() -> None:
    line = ng.nn.Linear(2, 2)
    for call in (
        lambda: ng.scipy.solve_ivp(lambda t, y, line: line(y), (0, 1), ng.ones(2), args=(line,)),
        lambda: ng.scipy.solve_ivp(Side(line).of, (0, 1), ng.ones(2)),
    ):
        line.zero_grad()
        call().y.sum().backward()
        assert all(each.grad.abs().sum() > 0 for each in line.parameters())


class Side(ng.nn.Module):
    def __init__(self, line: Any) -> None:
        super().__init__()
        self.line = line

    def of(self, t: Any, y: Any) -> Any:
        return self.line(y)


def test_no_times_and_no_number() -> None:
    y0 = ng.ones(1, requires_grad=True)
    y = ng.scipy.solve_ivp(lambda t, y: -y, (0, 1), y0, t_eval=[]).y
    assert y.shape == (1, 0)
    y.sum().backward()
    assert y0.grad.item() == 0
    (ng.scipy.solve_ivp(lambda t, y: -y, (0, 1), y0).y.sum() * float("nan")).backward()  # SciPy would not come back
    assert np.isnan(y0.grad.item())
