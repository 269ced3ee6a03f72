"""`autograd.functional`; scenarios are run by torch as well."""

from __future__ import annotations

from typing import Any

import pytest

import numgrad as ng
from tests.autograd.scenarios import agree

F = ng.autograd.functional


def values(tree: Any) -> Any:
    return [values(each) for each in tree] if isinstance(tree, (tuple, list)) else tree.tolist()


def inputs(lib: Any) -> Any:
    return lib.tensor([0.5, 1.5]), lib.tensor([[1.0, 2.0], [3.0, 4.0]])


def pair(x: Any, y: Any) -> Any:
    return (y * x).exp().sum(0), x.sin() * 2


def number(x: Any, y: Any) -> Any:
    return (y.sin() * x * x).sum()


@pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
def test_jacobian(strategy: str) -> None:
    def scenario(lib: Any) -> Any:
        jacobian = lib.autograd.functional.jacobian
        forward = {"strategy": strategy, "vectorize": True}
        return values(
            [
                jacobian(pair, inputs(lib), **forward),
                jacobian(lambda x: x * x, inputs(lib)[0], **forward),
                jacobian(lambda x: x.sum(), inputs(lib)[1], **forward),
                jacobian(lambda x: (x, x * 2), inputs(lib)[0], **forward),
            ]
        )

    agree(scenario)


def test_hessian() -> None:
    def scenario(lib: Any) -> Any:
        hessian = lib.autograd.functional.hessian
        return values([hessian(number, inputs(lib)), hessian(lambda x: (x**3).sum(), inputs(lib)[0])])

    agree(scenario)


@pytest.mark.parametrize("name", ["vhp", "hvp"])
def test_hessian_products(name: str) -> None:
    def scenario(lib: Any) -> Any:
        v = lib.tensor([1.0, -1.0]), lib.tensor([[1.0, 0.0], [2.0, 1.0]])
        return values(getattr(lib.autograd.functional, name)(number, inputs(lib), v))

    agree(scenario)


def test_vjp_and_jvp() -> None:
    def scenario(lib: Any) -> Any:
        f = lib.autograd.functional
        v_in = lib.tensor([1.0, -1.0]), lib.tensor([[1.0, 0.0], [2.0, 1.0]])
        v_out = lib.tensor([1.0, 2.0]), lib.tensor([3.0, 4.0])
        return values([f.vjp(pair, inputs(lib), v_out), f.jvp(pair, inputs(lib), v_in), f.vjp(number, inputs(lib))])

    agree(scenario)


def test_create_graph() -> None:
    def scenario(lib: Any) -> Any:
        x = lib.tensor([0.5, 1.5], requires_grad=True)
        result = lib.autograd.functional.jacobian(lambda x: x**3, x, create_graph=True)
        _, product = lib.autograd.functional.jvp(lambda x: x**3, x, lib.ones(2), create_graph=True)
        (first,) = lib.autograd.grad(result.sum(), x)
        (second,) = lib.autograd.grad(product.sum(), x)
        plain = lib.autograd.functional.jacobian(lambda x: x**3, x)
        return first.tolist(), second.tolist(), plain.requires_grad

    agree(scenario)


def test_independence() -> None:
    x = ng.ones(2)
    assert F.jacobian(lambda x, y: x * 2, (x, x))[1].tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert F.vjp(lambda x: ng.ones(()), x)[1].tolist() == [0.0, 0.0]
    assert F.jvp(lambda x: ng.ones(3), x, x)[1].tolist() == [0.0, 0.0, 0.0]
    for action in (
        lambda: F.jacobian(lambda x, y: x * 2, (x, x), strict=True),
        lambda: F.vjp(lambda x: ng.ones(()), x, strict=True),
    ):
        with pytest.raises(RuntimeError, match=r"independent .* strict=True"):
            action()


def test_errors() -> None:
    x = ng.ones(2)
    with pytest.raises(TypeError, match="inputs given to vjp must be either a Tensor or a tuple"):
        F.vjp(lambda x: x, (3,))
    with pytest.raises(TypeError, match="outputs of the user-provided function given to jacobian"):
        F.jacobian(lambda x: (x, 3), x)
    with pytest.raises(RuntimeError, match="can only be None if"):
        F.vjp(lambda x: x, x)
    with pytest.raises(RuntimeError, match=r"invalid size: entry 0 should be \[2\] but is \[3\]"):
        F.jvp(lambda x: x, x, ng.ones(3))
    with pytest.raises(RuntimeError, match="single Tensor with a single element"):
        F.hessian(lambda x: x, x)
    with pytest.raises(ValueError, match="strategy"):
        F.jacobian(lambda x: x, x, strategy="sideways")
