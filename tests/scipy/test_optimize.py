"""`minimize`, `root`, `least_squares` and `linear_operator` beside SciPy with derivatives by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numgrad as ng

optimize = pytest.importorskip("scipy.optimize")


def rosenbrock(x: Any) -> Any:
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


METHODS = [
    "Nelder-Mead", "Powell", "CG", "BFGS", "Newton-CG", "L-BFGS-B", "TNC", "SLSQP", "trust-constr", "dogleg",
    "trust-ncg", "trust-exact", "trust-krylov",
]  # fmt: skip


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_takes_the_same_steps_as_with_derivatives_by_hand(method: str, jit: bool) -> None:
    start = np.array([1.3, 0.7, 0.8])
    if method == "dogleg":  # which wants a positive definite Hessian
        ours, theirs = lambda x: ((x - 2) ** 2).sum() + (x**4).sum(), None
        result = ng.scipy.minimize(ours, start, method=method, tol=1e-9)
        assert result.success
        assert np.allclose(2 * (result.x.numpy() - 2) + 4 * result.x.numpy() ** 3, 0, atol=1e-6)
        return
    more: dict[str, Any] = {}
    if method not in ("Nelder-Mead", "Powell"):
        more["jac"] = optimize.rosen_der
    if method in ("Newton-CG", "trust-ncg", "trust-krylov", "trust-constr"):
        more["hessp"] = optimize.rosen_hess_prod
    if method == "trust-exact":
        more["hess"] = optimize.rosen_hess
    theirs = optimize.minimize(optimize.rosen, start, method=method, **more)
    result = ng.scipy.minimize(rosenbrock, start, method=method, jit=jit)
    assert (result.nit if "nit" in result else 0) == (theirs.nit if "nit" in theirs else 0)
    np.testing.assert_allclose(result.x.numpy(), theirs.x, atol=1e-6)


def test_trees_bounds_and_callbacks_have_the_form_of_x0() -> None:
    seen = []
    x0 = {"a": ng.zeros(2, dtype=ng.float64), "b": (1.0, np.ones((1, 2)))}

    def fun(x: Any, shift: float) -> Any:
        assert x["a"].shape == (2,)
        assert x["b"][1].shape == (1, 2)
        return ((x["a"] - shift) ** 2).sum() + (x["b"][0] + 3) ** 2 + (x["b"][1] ** 2).sum()

    bounds = optimize.Bounds({"a": np.array([0.0, 1.0]), "b": (-2.0, 0.5)}, np.inf)
    result = ng.scipy.minimize(fun, x0, (0.25,), bounds=bounds, callback=lambda x: seen.append(x))
    assert result.success
    np.testing.assert_allclose(result.x["a"].numpy(), [0.25, 1.0], atol=1e-6)
    assert result.x["b"][0].item() == -2
    assert result.x["b"][1].tolist() == [[0.5, 0.5]]
    assert set(seen[-1]) == {"a", "b"}
    named: list[Any] = []
    ng.scipy.minimize(fun, x0, (0.25,), callback=lambda intermediate_result: named.append(intermediate_result))
    assert named[-1].x["b"][1].shape == (1, 2)


@pytest.mark.parametrize("jit", [False, True])
def test_a_module_is_fitted_and_frozen_parameters_stay(jit: bool) -> None:
    ng.manual_seed(0)
    model = ng.nn.Sequential(ng.nn.Linear(1, 4), ng.nn.Tanh(), ng.nn.Linear(4, 1))
    model[0].bias.requires_grad_(False)
    frozen, x = model[0].bias.clone(), ng.linspace(-1, 1, 16)[:, None]
    before = ng.nn.functional.mse_loss(model(x), x**2).item()
    result = ng.scipy.minimize(lambda net: ng.nn.functional.mse_loss(net(x), x**2), model, method="L-BFGS-B", jit=jit)
    assert result.x is model
    assert ng.nn.functional.mse_loss(model(x), x**2).item() == pytest.approx(result.fun, rel=1e-4)
    assert result.fun < before / 100
    assert ng.equal(model[0].bias, frozen)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("method", ["SLSQP", "trust-constr", "COBYLA"])
def test_constraints(method: str) -> None:
    """The point of the unit circle that is closest to (2, 1), above the line y = 0.8."""
    circle: Any = {"type": "eq", "fun": lambda x, r: (x**2).sum() - r, "args": (1.0,)}
    line: Any = {"type": "ineq", "fun": lambda x: x[1] - 0.8}
    if method != "SLSQP":
        circle = optimize.NonlinearConstraint(lambda x: (x**2).sum(), 1, 1)
        line = optimize.LinearConstraint([[0, 1]], 0.8)
    result = ng.scipy.minimize(
        lambda x: ((x - ng.tensor([2.0, 1.0])) ** 2).sum(),
        np.array([0.5, 0.9]),
        method=method,
        constraints=[circle, line],
    )
    np.testing.assert_allclose(result.x.numpy(), [0.6, 0.8], atol=2e-3)


def test_root_and_least_squares() -> None:
    def system(x: Any) -> Any:
        return ng.stack([x[0] + 0.5 * (x[0] - x[1]) ** 3 - 1, 0.5 * (x[1] - x[0]) ** 3 + x[1]])

    for method in ("hybr", "lm", "krylov"):
        result = ng.scipy.root(system, np.full(2, 0.1), method=method)
        np.testing.assert_allclose(result.x.numpy(), [0.8411639, 0.1588361], atol=1e-5)
    assert ng.scipy.root(system, np.zeros(2)).njev == 1
    assert ng.equal(ng.scipy.root(system, np.zeros(2), jit=True).x, ng.scipy.root(system, np.zeros(2)).x)
    t = ng.linspace(0, 3, 40, dtype=ng.float64)
    seen = 2 * (-0.7 * t).exp() + 0.5
    for bounds in ((-np.inf, np.inf), (0.0, {"a": 1.5, "k": np.inf, "c": np.inf})):
        fit = ng.scipy.least_squares(
            lambda p: p["a"] * (-p["k"] * t).exp() + p["c"] - seen,
            {"a": 1.0, "k": 1.0, "c": 0.1},
            bounds=bounds,
            jit=bounds[0] == 0,
        )
        assert fit.success
        assert fit.jac.shape == (40, 3)
        assert fit.x["a"].item() == pytest.approx(2 if bounds[0] == -np.inf else 1.5, abs=1e-6)


def test_the_operator_is_the_jacobian() -> None:
    from scipy.sparse.linalg import cg, lsmr

    x = {"w": ng.randn(3, 2, dtype=ng.float64), "b": 0.3}
    fun = lambda x: (x["w"].sin() @ ng.ones(2, 4, dtype=ng.float64)) * x["b"]  # noqa: E731
    J = ng.scipy.linear_operator(fun, x)
    dense = J @ np.eye(7)
    np.testing.assert_allclose(dense, (J.T @ np.eye(12)).T, atol=1e-12)
    step = 1e-6 * np.eye(7)[0]
    w = x["w"].numpy().ravel()
    values = [fun({"w": ng.tensor((w + s * step[:6]).reshape(3, 2)), "b": 0.3}).numpy().ravel() for s in (1, -1)]
    np.testing.assert_allclose(dense[:, 0], (values[0] - values[1]) / 2e-6, atol=1e-8)
    damped = np.linalg.solve(dense.T @ dense + np.eye(7), dense.T @ np.ones(12))
    np.testing.assert_allclose(lsmr(J, np.ones(12), damp=1)[0], damped, atol=1e-4)
    H = ng.scipy.linear_operator(ng.func.grad(lambda x: (x**4).sum() + (x.sum()) ** 2), ng.ones(5, dtype=ng.float64))
    np.testing.assert_allclose(H @ cg(H, np.ones(5))[0], np.ones(5), atol=1e-6)


@pytest.mark.parametrize("jit", [False, True])
def test_other_tensors_that_require_a_gradient_are_constants(jit: bool) -> None:
    w = ng.full((3,), 2.0, dtype=ng.float64, requires_grad=True)
    zeros, minimize = ng.zeros(3, dtype=ng.float64), ng.scipy.minimize
    ball = optimize.NonlinearConstraint(lambda x: (w * x * x).sum(), -100, 100)
    for method, constraints in (
        ("BFGS", ()),
        ("trust-krylov", ()),
        ("trust-exact", ()),
        ("SLSQP", ball),
        ("trust-constr", ball),
    ):
        x = minimize(lambda x: (w * (x - w) ** 2).sum(), zeros, method=method, constraints=constraints, jit=jit).x
        np.testing.assert_allclose(x.numpy(), [2, 2, 2], atol=1e-4)
    fits = [
        solve(lambda x: {"a": (w * (x - w))[:1], "b": w[1:] * x[1:] - 4}, zeros, jit=jit).x
        for solve in (ng.scipy.least_squares, ng.scipy.root)
    ]
    np.testing.assert_allclose([fit.numpy() for fit in fits], np.full((2, 3), 2), atol=1e-6)
    J = ng.scipy.linear_operator(lambda x: w * x, zeros)
    np.testing.assert_array_equal([J @ np.ones(3), J.T @ np.ones(3)], np.full((2, 3), 2))
    assert w.grad is None


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: ng.scipy.minimize(lambda x: 1.0, 0.0), TypeError, "fun: expected the function to return a tensor, got float"),
        (lambda: ng.scipy.minimize(lambda x: x, np.zeros(2)), ValueError, r"a tensor of one element, got one of shape \[2\]"),
        (lambda: ng.scipy.minimize(lambda x: x, "here"), TypeError, "tensors, arrays or numbers to start from, got str"),
        (lambda: ng.scipy.minimize(lambda x: x, ng.tensor(1)), TypeError, "floating point to start from, got numgrad.int64"),
        (lambda: ng.scipy.minimize(lambda m: m, ng.nn.ReLU()), ValueError, "no parameter that requires a gradient"),
        (lambda: ng.scipy.minimize(lambda x: x.sum(), ng.zeros(0)), ValueError, "x0 has no element"),
        (lambda: ng.scipy.least_squares(lambda x: [x, 1.0], 0.0), TypeError, "a tree of them, got a leaf of type float"),
        (lambda: ng.scipy.least_squares(lambda x: x, 0.0, jac="3-point"), ValueError, "leave jac out"),
        (lambda: ng.scipy.minimize(lambda x: x, 0.0, constraints=["x > 0"]), TypeError, "a constraint of SciPy's, got str"),
        (
            lambda: ng.scipy.minimize(lambda x: x[0], (0.0, 1.0), bounds=optimize.Bounds((0.0, 1.0, 2.0), np.inf)),
            ValueError,
            "bounds.lb has 3 numbers, expected 2",
        ),
    ],
)  # fmt: skip
def test_refusals(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()
