"""`numgrad.implicit`: gradients of any order of roots, fixed points and minima, beside differences of the solutions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numgrad as ng

pytest.importorskip("scipy")
implicit = ng.implicit


def test_roots_have_gradients_of_any_order() -> None:
    """x(p) of x^3 + x = p: x' = 1 / (3 x^2 + 1), x'' = -6 x x'^3."""
    p = ng.tensor([2.0, -10.0], dtype=ng.float64, requires_grad=True)
    x = implicit.root(lambda x, p: x**3 + x - p, ng.zeros(2, dtype=ng.float64), p)
    (first,) = ng.autograd.grad(x.sum(), p, create_graph=True)
    (second,) = ng.autograd.grad(first.sum(), p, create_graph=True)
    (third,) = ng.autograd.grad(second.sum(), p)
    np.testing.assert_allclose(x.detach().numpy(), [1, -2], rtol=1e-9)
    slope = 1 / (3 * x.detach() ** 2 + 1)
    np.testing.assert_allclose(first.detach().numpy(), slope.numpy(), rtol=1e-9)
    np.testing.assert_allclose(second.detach().numpy(), (-6 * x.detach() * slope**3).numpy(), rtol=1e-9)
    np.testing.assert_allclose(third.numpy(), (-6 * slope**4 + 108 * x.detach() ** 2 * slope**5).numpy(), rtol=1e-9)


def test_a_layer_in_equilibrium_in_a_network() -> None:
    ng.manual_seed(0)
    layer = ng.nn.Linear(4, 4, dtype=ng.float64)
    with ng.no_grad():
        layer.weight.mul_(0.5)
    u = ng.randn(3, 4, dtype=ng.float64, requires_grad=True)

    def step(z: Any, u: Any, layer: Any) -> Any:
        return (layer(z) + u).tanh()

    def loss(u: Any, weight: Any, bias: Any) -> Any:
        z = implicit.fixed_point(
            lambda z, u, w, b: (z @ w.T + b + u).tanh(), ng.zeros(3, 4, dtype=ng.float64), u, weight, bias, tol=1e-14
        )
        return z.square().sum()

    z = implicit.fixed_point(step, ng.zeros(3, 4, dtype=ng.float64), u, layer, tol=1e-14)
    z.square().sum().backward()
    assert ng.autograd.gradcheck(loss, (u, layer.weight, layer.bias))
    assert ng.autograd.gradgradcheck(loss, (u, layer.weight, layer.bias))
    inner = [ng.autograd.grad(loss(u, layer.weight, layer.bias), each)[0] for each in (u, layer.weight)]
    np.testing.assert_allclose(u.grad.numpy(), inner[0].numpy(), rtol=1e-9)
    np.testing.assert_allclose(layer.weight.grad.numpy(), inner[1].numpy(), rtol=1e-9)


def test_the_minimum_of_a_ridge_regression_by_its_penalty() -> None:
    rng = np.random.default_rng(0)
    A, b = ng.tensor(rng.normal(size=(10, 3))), ng.tensor(rng.normal(size=10))
    penalty = ng.tensor(0.7, dtype=ng.float64, requires_grad=True)

    def objective(x: Any, data: Any, penalty: Any) -> Any:
        return (data[0] @ x["w"] - data[1]).square().sum() + penalty * x["w"].square().sum()

    x = implicit.minimum(objective, {"w": ng.zeros(3, dtype=ng.float64)}, (A, b), penalty)["w"]
    x.sum().backward()
    inverse = np.linalg.inv(A.numpy().T @ A.numpy() + 0.7 * np.eye(3))
    right = inverse @ A.numpy().T @ b.numpy()
    np.testing.assert_allclose(x.detach().numpy(), right, rtol=1e-7)
    assert penalty.grad.item() == pytest.approx(-(inverse @ right).sum(), rel=1e-6)


def test_many_unknowns_go_without_a_matrix() -> None:
    p = ng.linspace(1, 2, 800, dtype=ng.float64).requires_grad_()
    x = implicit.fixed_point(lambda x, p: 0.25 * (x.roll(1) + x.roll(-1)) + p, ng.zeros(800, dtype=ng.float64), p)
    (gradient,) = ng.autograd.grad(x.sum(), p)
    np.testing.assert_allclose(gradient.numpy(), 2, rtol=1e-8)
    x = implicit.fixed_point(lambda x, p: x / 2 + p, p.detach(), p)
    with pytest.raises(RuntimeError, match="more than 500, has no second derivative"):
        ng.autograd.grad(x.sum(), p, create_graph=True)


def test_a_solver_of_the_users_own() -> None:
    calls = []

    def bisect(fun: Any, x0: Any, p: Any) -> Any:
        calls.append(ng.is_grad_enabled())
        return p.sqrt()

    p = ng.tensor(9.0, requires_grad=True)
    x = implicit.root(lambda x, p: x * x - p, ng.tensor(1.0), p, solver=bisect)
    x.backward()
    assert (x.item(), calls) == (3, [False])
    assert p.grad.item() == pytest.approx(1 / 6)


def test_refusals() -> None:
    p, one = ng.tensor(2.0, requires_grad=True), ng.tensor(1.0)
    with pytest.raises(
        RuntimeError, match="root: fun uses a tensor that requires a gradient and is not among its arguments"
    ):
        implicit.root(lambda x: x - p, one)
    with pytest.raises(RuntimeError, match="root: SciPy found no solution"):
        implicit.root(lambda x, p: x * x + p, one, p)
    with pytest.raises(RuntimeError, match="fixed_point: x still changes by .* after 50 applications"):
        implicit.fixed_point(lambda x, p: 3 - x + p, one, p, max_iter=50)
    with pytest.raises(ValueError, match=r"as many elements as x has, \[\[\]\], got \[\[2\]\]"):
        implicit.root(lambda x, p: ng.ones(2) * x * p, one, p, solver=lambda *_: one)
    x = implicit.root(lambda x, p: (x - p) * 0, one, p, solver=lambda *_: one)
    with pytest.raises(RuntimeError, match="singular"):
        x.backward()
    assert not implicit.root(lambda x, p: x - p, one, p.detach()).requires_grad
    constant = ng.tensor(1.0)
    x = implicit.root(lambda x, p, c: x - c * p, one, p, constant)
    constant.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        x.backward()  # it would compute with the constant's new value


def test_forward_mode_and_its_mixtures_agree_with_reverse_mode() -> None:
    """Of x(p) with x^3 + x = p, and of the minimum of x^4/4 + x^2/2 - p x, which is the same."""
    p = ng.tensor([2.0, -10.0], dtype=ng.float64)
    zeros, func = ng.zeros(2, dtype=ng.float64), ng.func

    def root(p: Any) -> Any:
        return implicit.root(lambda x, p: x**3 + x - p, zeros, p)

    def minimum(p: Any) -> Any:
        return implicit.minimum(lambda x, p: (x**4 / 4 + x * x / 2 - p * x).sum(), zeros, p)

    for solution in (root, minimum, lambda p: implicit.root(lambda x: x**3 + x - p, zeros)):
        slopes = func.jacfwd(solution)(p)
        np.testing.assert_allclose(slopes.numpy(), np.diag([1 / 4, 1 / 13]), rtol=1e-8, atol=1e-12)
    for outer in (func.jacfwd, func.jacrev):
        for inner in (func.jacfwd, func.jacrev):
            second = outer(inner(lambda p: minimum(p).sum()))(p)
            np.testing.assert_allclose(second.numpy(), np.diag([-6 / 64, 12 / 13**3]), rtol=1e-7, atol=1e-12)
    fit = ng.scipy.least_squares(lambda p: root(p) - 3, p)  # a solver's own Jacobian, in forward mode
    np.testing.assert_allclose(fit.x.numpy(), [30, 30], rtol=1e-6)
    many = ng.ones(501)
    with pytest.raises(RuntimeError, match="no forward mode"):
        func.jvp(lambda p: implicit.fixed_point(lambda x, p: 0.5 * (x.tanh() + p), many, p), (many,), (many,))


def test_trees_of_residuals_and_nothing_to_solve_for() -> None:
    p = ng.tensor(2.0, requires_grad=True)
    x = implicit.root(lambda x, p: [x[0] - p, x[1] - x[0] * p], [0.0, ng.zeros(2)], p)
    assert [each.dtype for each in x] == [ng.float64, ng.float32]
    x[1].sum().backward()
    assert p.grad.item() == pytest.approx(8)
    for solve in (
        implicit.root,
        implicit.fixed_point,
        lambda f, *rest: implicit.minimum(lambda x, q: f(x, q).sum(), *rest),
    ):
        none = ng.zeros(0, requires_grad=True)
        solution = solve(lambda x, q: x * q, ng.zeros(0), none)
        solution.sum().backward()
        assert solution.shape == none.grad.shape == (0,)


def test_rounding_in_the_values_hides_no_solution() -> None:
    """SciPy compares values, in which float32 and sums of many terms leave no progress to be seen."""
    a = ng.tensor([1.0, 4.0, 0.3, 9.0, 10.0, 17.0])
    x = implicit.root(lambda x, a: x**3 + x.exp() - a * x.tanh() - 1.234, ng.ones(6), a)
    np.testing.assert_allclose((x**3 + x.exp() - a * x.tanh()).numpy(), 1.234, atol=1e-5)
    for size, dtype, close in ((2, ng.float32, 1e-5), (501, ng.float64, 1e-9)):
        c = ng.linspace(1, 4, size, dtype=dtype).requires_grad_()
        x = implicit.minimum(lambda x, c: ((x - c) ** 2).sum() + (x**4).sum(), ng.ones(size, dtype=dtype), c)
        x.sum().backward()
        at = x.detach()
        np.testing.assert_allclose((2 * at + 4 * at**3).numpy(), 2 * c.detach().numpy(), rtol=close)
        np.testing.assert_allclose(c.grad.numpy(), (2 / (2 + 12 * at**2)).numpy(), rtol=close)
    many = ng.linspace(1, 2, 501).requires_grad_()  # GMRES's bound, likewise
    x = implicit.fixed_point(lambda x, p: 0.5 * (x.tanh() + p), many, many)
    x.sum().backward()
    np.testing.assert_allclose(many.grad.numpy(), (0.5 / (0.5 + 0.5 * x.detach().tanh() ** 2)).numpy(), rtol=1e-4)
