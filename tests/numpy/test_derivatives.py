"""`ng.grad` and its kin over arrays, numbers and containers, with numpy's functions and with those of numgrad.numpy."""

from __future__ import annotations

import dataclasses
from collections import namedtuple
from typing import Any

import numpy
import pytest

import numgrad as ng
import numgrad.numpy as np


@dataclasses.dataclass(frozen=True)
class Layer:
    weight: Any
    bias: Any
    name: str = dataclasses.field(default="layer", init=False)


Pair = namedtuple("Pair", "a b")
X = numpy.array([0.5, -1.0, 2.0])


def test_results_are_numpys() -> None:
    assert type(ng.grad(lambda x: x * x)(3.0)) is numpy.float64
    assert type(ng.grad(lambda x: np.sum(x))(X)) is numpy.ndarray
    value, gradient = ng.value_and_grad(lambda x: np.sum(x**2))(X)
    assert (type(value), type(gradient), value) == (numpy.float64, numpy.ndarray, 5.25)
    assert isinstance(ng.grad(lambda x: np.sum(x))(np.array(X)), np.ndarray)
    assert isinstance(ng.grad(lambda x: ng.sum(ng.sin(x)))(ng.tensor(X)), ng.Tensor)
    assert ng.grad(lambda x: np.sum(x))(X.astype("f4")).dtype == numpy.float32
    for lost in (lambda x: 3.0, lambda x: np.sum(x).item(), lambda x: sum(x.tolist())):
        with pytest.warns(UserWarning, match="does not depend on the argument"):
            assert ng.grad(lost)(X).tolist() == [0, 0, 0]


def test_derivatives_of_tanh_to_the_sixth() -> None:
    def tanh(x: Any) -> Any:
        y = np.exp(-2.0 * x)
        return (1.0 - y) / (1.0 + y)

    f, t = tanh, numpy.tanh(0.6)
    expected = [t, 1 - t**2, -2 * t * (1 - t**2), (1 - t**2) * (6 * t**2 - 2), (1 - t**2) * (16 * t - 24 * t**3)]
    for value in expected:
        assert f(0.6) == pytest.approx(value, rel=1e-12)
        f = ng.grad(f)
    g = np.sin
    for sign in (1, 1, -1, -1, 1, 1):  # cos, -sin, -cos, sin, ...
        del sign
        g = ng.elementwise_grad(g)
    numpy.testing.assert_allclose(g(X), -numpy.sin(X), rtol=1e-13)


@pytest.mark.parametrize(
    "container",
    [
        [X, (2.0, {"k": X[:1]})],
        {"b": X, "a": 2.0},
        (X, [X]),
        Pair(X, 2.0),
        Layer(X, 2.0),
        [Layer(Pair(X, 1.0), {"z": 2.0})],
    ],
    ids=["list", "dict", "tuple", "namedtuple", "dataclass", "nested"],
)
def test_containers(container: Any) -> None:
    from numgrad.numpy.derivatives import flatten

    def squares(tree: Any, scale: float = 1.0) -> Any:
        assert type(tree) is type(container)
        return scale * sum(np.sum(leaf**2) for leaf in flatten(tree)[0])

    value, gradient = ng.value_and_grad(squares)(container, scale=3.0)
    assert type(gradient) is type(container)
    leaves, gradients = flatten(container)[0], flatten(gradient)[0]
    assert value == pytest.approx(3 * sum(numpy.sum(numpy.square(leaf)) for leaf in leaves))
    for leaf, g in zip(leaves, gradients, strict=True):
        numpy.testing.assert_allclose(g, 6 * numpy.asarray(leaf))


def test_arguments_and_aux() -> None:
    def f(x: Any, y: Any, *, k: float) -> Any:
        return k * np.sum(x * y**2)

    y = numpy.array([1.0, 2.0, 3.0])
    numpy.testing.assert_allclose(ng.grad(f, 1)(X, y, k=2.0), 4 * X * y)
    both = ng.grad(f, argnums=(0, 1))(X, y, k=2.0)
    assert type(both) is tuple
    numpy.testing.assert_allclose(both[0], 2 * y**2)
    numpy.testing.assert_allclose(ng.grad(f, -1)(X, y, k=1.0), 2 * X * y)
    gradient, extra = ng.grad(lambda x: (np.sum(x), "more"), has_aux=True)(X)
    assert (gradient.tolist(), extra) == ([1, 1, 1], "more")
    (value, extra), _ = ng.value_and_grad(lambda x: (np.sum(x), {"n": 3}), has_aux=True)(X)
    assert (value, extra) == (1.5, {"n": 3})


def test_arguments_are_not_written_over() -> None:
    def f(x: Any) -> Any:
        x[0] = x[1] * x[2]
        x *= 2
        return np.sum(x)

    x = X.copy()
    numpy.testing.assert_array_equal(ng.grad(f)(x), [0, 2 + 4, 2 - 2])
    numpy.testing.assert_array_equal(ng.hessian(f)(x), [[0, 0, 0], [0, 0, 2], [0, 2, 0]])  # of all rows at once
    numpy.testing.assert_array_equal(x, X)


def test_jacobians_and_hessians() -> None:
    w = numpy.array([[1.0, 2.0, 0.5], [-1.0, 0.3, 2.0]])
    numpy.testing.assert_allclose(ng.jacobian(lambda x: w @ np.sin(x))(X), w * numpy.cos(X))
    assert ng.jacobian(lambda x: np.outer(x, x))(X).shape == (3, 3, 3)
    blocks = ng.jacobian(lambda x, y: {"a": x * y, "b": np.sum(x)}, argnums=(0, 1))(X, 2.0)
    numpy.testing.assert_allclose(blocks["a"][0], 2 * numpy.eye(3))
    numpy.testing.assert_allclose(blocks["a"][1], X)
    assert ng.jacobian(lambda p: p["u"] * 2)({"u": X})["u"].shape == (3, 3)
    hessian = ng.hessian(lambda x: np.sum(x**3) + x[0] * x[1])(X)
    expected = numpy.diag(6 * X)
    expected[0, 1] = expected[1, 0] = 1
    numpy.testing.assert_allclose(hessian, expected)
    assert ng.hessian(lambda x: x**4)(2.0) == 48
    assert ng.hessian(lambda x: np.sum(x * x))(numpy.ones((2, 2))).shape == (2, 2, 2, 2)


def test_control_flow_sees_values() -> None:
    def f(x: Any) -> Any:
        total = x[0] * 0
        for v in x:
            total = total + (v**3 if v > 0 else -v)
        return total

    numpy.testing.assert_allclose(ng.grad(f)(X), [0.75, -1, 12])
    numpy.testing.assert_allclose(ng.hessian(f)(X), numpy.diag([3.0, 0, 12]))


def test_products_with_vectors() -> None:
    a = numpy.array([[1.0, 2.0, 3.0], [0.0, 1.0, -1.0]])
    vjp, value = ng.make_vjp(lambda x: a @ x**2)(X)
    numpy.testing.assert_allclose(value, a @ X**2)
    numpy.testing.assert_allclose(vjp(numpy.array([1.0, 2.0])), (numpy.array([1.0, 2.0]) @ a) * 2 * X)
    value, tangent = ng.make_jvp(lambda x: a @ x**2)(X)(numpy.ones(3))
    numpy.testing.assert_allclose(tangent, a @ (2 * X))
    outer = ng.grad(lambda s: np.sum(ng.make_vjp(lambda x: x**3 * s)(X)[0](numpy.ones(3))))(2.0)
    assert outer == pytest.approx(3 * numpy.sum(X**2))


def test_transforms_nest_through_closures() -> None:
    """The inner derivative has history by the outer argument, though its own argument is a number."""
    numpy.testing.assert_allclose(ng.grad(lambda a: ng.grad(lambda x: x**2 * a**3)(3.0))(2.0), 6 * 12)
    numpy.testing.assert_allclose(ng.grad(lambda a: ng.grad(lambda x: x * a)(1.0) * a)(2.0), 4)


def test_numpy_itself_is_differentiated() -> None:
    """Functions that import plain numpy: its functions ask their arguments."""

    def f(x: Any) -> Any:
        y = numpy.stack([numpy.sin(x), numpy.cumsum(x)])
        return numpy.linalg.norm(y) + numpy.dot(numpy.ones(3), x) + (numpy.arange(3.0) * x).sum()

    ends = [(f(X + 1e-6 * e) - f(X - 1e-6 * e)) / 2e-6 for e in numpy.eye(3)]
    numpy.testing.assert_allclose(ng.grad(f)(X), ends, rtol=1e-8)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: ng.grad(np.sin)(X), r"one floating point number, got an array of shape \(3,\).*take jacobian"),
        (lambda: ng.grad(np.sin)(2), "cannot differentiate by int64; pass floating point numbers, such as 3.0"),
        (lambda: ng.grad(np.sin)("a"), "cannot differentiate by str"),
        (lambda: ng.grad(lambda x: None)(1.0), "got NoneType"),
        (lambda: ng.grad(np.sin, 1)(1.0), "argnums=1, and the function is called with 1 positional"),
        (lambda: ng.jacobian(lambda x: "a")(X), "return arrays or containers of arrays, got str"),
        (lambda: ng.grad(lambda x: np.sum(x > 0))(X), "dtype int64"),
        (lambda: ng.grad(lambda x: np.sum(x), has_aux=True)(X), "has to return a pair, got ndarray"),
        (
            lambda: ng.grad(lambda x: ng.sin(x))(1.0),
            r"must be Tensor, not ndarray over a tensor; pass its \.tensor, or take the function of numgrad\.numpy",
        ),
    ],
)
def test_refusals(call: Any, match: str) -> None:
    with pytest.raises(TypeError, match=match):
        call()


# ---- programs that users of autograd and SciPy know --------------------------------------------------------------


def test_logistic_regression() -> None:
    inputs = numpy.array([[0.52, 1.12, 0.77], [0.88, -1.08, 0.15], [0.52, 0.06, -1.30], [0.74, -2.49, 1.39]])
    targets = numpy.array([True, True, False, True])

    def loss(weights: Any) -> Any:
        predictions = 0.5 * (np.tanh(np.dot(inputs, weights) / 2) + 1)
        probabilities = predictions * targets + (1 - predictions) * (1 - targets)
        return -np.sum(np.log(probabilities))

    weights = numpy.zeros(3)
    before, gradient = loss(weights), ng.grad(loss)
    for _ in range(100):
        weights -= gradient(weights) * 0.1
    assert float(before) == pytest.approx(4 * numpy.log(2))
    assert float(loss(weights)) < 0.6


def test_a_fixed_point_by_its_implicit_gradient() -> None:
    """The square root as the fixed point of Newton's step; its slope solves a linear equation there."""
    step = lambda x, a: 0.5 * (x + a / x)  # noqa: E731

    def fixed_point(a: Any) -> Any:
        x = 1.0
        for _ in range(20):
            x = step(x, a)
        return x

    root = fixed_point(2.0)
    by_x, by_a = ng.grad(step, (0, 1))(root, 2.0)
    assert by_a / (1 - by_x) == pytest.approx(0.5 / 2**0.5)
    assert ng.grad(fixed_point)(2.0) == pytest.approx(0.5 / 2**0.5)


def test_a_small_network_by_flat_gradients() -> None:
    rng = numpy.random.default_rng(0)
    x = rng.standard_normal((40, 2))
    y = x[:, 0] * x[:, 1]
    shapes = [(2, 12), (12,), (12, 1), (1,)]
    sizes = [int(numpy.prod(s)) for s in shapes]

    def loss(flat: Any) -> Any:
        parts = np.split(flat, numpy.cumsum(sizes)[:-1])
        w1, b1, w2, b2 = (np.reshape(p, s) for p, s in zip(parts, shapes, strict=True))
        return np.mean(
            (np.tanh(x @ w1 + b1) @ w2 + b2)[:, 0] * -2 * y + ((np.tanh(x @ w1 + b1) @ w2 + b2)[:, 0]) ** 2 + y**2
        )

    flat, momentum = rng.standard_normal(sum(sizes)) * 0.5, numpy.zeros(sum(sizes))
    step = ng.value_and_grad(loss)
    first = float(loss(flat))
    for _ in range(150):
        value, gradient = step(flat)
        momentum = 0.9 * momentum + gradient
        flat = flat - 0.05 * momentum
    assert value < first / 10


def test_rosenbrock_by_scipy() -> None:
    optimize = pytest.importorskip("scipy.optimize")

    def rosenbrock(x: Any) -> Any:
        return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    start = numpy.array([1.3, 0.7, 0.8, 1.9, 1.2])
    numpy.testing.assert_allclose(ng.grad(rosenbrock)(start), optimize.rosen_der(start))
    numpy.testing.assert_allclose(ng.hessian(rosenbrock)(start), optimize.rosen_hess(start))
    options = {"method": "BFGS", "jac": True, "options": {"gtol": 1e-8}}
    result = optimize.minimize(ng.value_and_grad(rosenbrock), start, **options)
    numpy.testing.assert_allclose(result.x, 1, atol=1e-6)
    newton = optimize.minimize(
        lambda x: float(rosenbrock(x)),
        start,
        method="Newton-CG",
        jac=ng.grad(rosenbrock),
        hess=ng.hessian(rosenbrock),
        tol=1e-8,
    )
    numpy.testing.assert_allclose(newton.x, 1, atol=1e-6)
