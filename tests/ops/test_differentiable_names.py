"""The names that parameters of a function under `ng.differentiable` may have."""

from __future__ import annotations

from typing import Any

import pytest

import numgrad as ng


def named_b(x, b):
    return x * b


def named_batch(x, batch):
    return x * batch


def named_self(self, x):
    return x * self


@pytest.mark.parametrize("function", [named_b, named_batch, named_self], ids=lambda f: f.__name__)
def test_parameters_may_have_any_name(function: Any) -> None:
    f, x = ng.differentiable(function), ng.rand(3, dtype=ng.float64).requires_grad_()
    (name,) = set(function.__code__.co_varnames) - {"x"}
    (grad,) = ng.autograd.grad(f(**{"x": x, name: 2}).sum(), x)
    assert ng.equal(grad, ng.full((3,), 2.0, dtype=ng.float64))
    many = ng.func.vmap(lambda each: f(**{"x": each, name: 2}))(ng.stack([x.detach(), x.detach()]))
    assert ng.equal(many[1], x.detach() * 2)


def test_a_parameter_begins_with_a_letter() -> None:
    with pytest.raises(TypeError, match=r"has the parameters \['_n'\], expected names that begin with a letter"):
        ng.differentiable(lambda x, _n: x * _n)
