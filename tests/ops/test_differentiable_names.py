"""The names that parameters of a function under `ng.differentiable` may have."""

from __future__ import annotations

import linecache
import math
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from tests.loops.running import Run


def named_b(x, b):
    return x * b


def named_batch(x, batch):
    return x * batch


def named_self(self, x):
    return x * self


def of_names(first, second):
    """A function with these parameters, whose text calls functions of the same names by others."""
    text = (
        f"def named({first}, {second}):\n    total = numpy.zeros(3)\n    for k in turns(3):\n"
        f"        total[k] = m.tanh({first}[k]) * {second} + m.sqrt(largest({first}[k], {second}))\n"
        f"        {second} = m.sin({second} * total[k])\n    return total.sum() * {second}\n"
    )
    file = f"<a function of {first} and {second}>"
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    scope = {"numpy": np, "m": math, "turns": range, "largest": max}
    exec(compile(text, file, "exec"), scope)
    return scope["named"]


@pytest.mark.parametrize(
    "names",
    [("np", "math"), ("max", "tanh"), ("sqrt", "range"), ("float", "sin"), ("room1", "np_"), ("np", "np_"),
     ("used", "status"), ("tape_f8", "out_0"), ("turns_ahead", "x_bar"), ("where", "len")],
)  # fmt: skip
def test_parameters_may_have_the_names_of_what_the_sweeps_call(names: tuple[str, str]) -> None:
    """Results, gradients and second derivatives are those of the same function with other names."""
    results = []
    for first, second in (names, ("p", "q")):
        run = Run(of_names(first, second), (np.array([0.3, -1.2, 2.0]), 0.7))
        (out,) = [each.name for each in run.sweeps.results]
        one, two = run.sweeps.needs
        run.record()
        value, grads = run.results[out].copy(), run.reverse({out: 1.0})
        pushed = run.tangent({one: np.ones(3), two: 0.5})[out]
        turned = run.turned({out: 1.0}, {one: np.ones(3), two: 0.5})
        results.append([value, grads[one], grads[two], pushed, turned[one], turned[two]])
    np.testing.assert_equal(*results)


@pytest.mark.parametrize("function", [named_b, named_batch, named_self], ids=lambda f: f.__name__)
def test_parameters_may_have_any_name(function: Any) -> None:
    f, x = ng.differentiable(function), ng.rand(3, dtype=ng.float64).requires_grad_()
    (name,) = set(function.__code__.co_varnames) - {"x"}
    (grad,) = ng.autograd.grad(f(**{"x": x, name: 2}).sum(), x)
    assert ng.equal(grad, ng.full((3,), 2.0, dtype=ng.float64))
    many = ng.func.vmap(lambda each: f(**{"x": each, name: 2}))(ng.stack([x.detach(), x.detach()]))
    assert ng.equal(many[1], x.detach() * 2)


def test_a_parameter_named_np_is_given_by_its_name() -> None:
    x = ng.rand(3, dtype=ng.float64).requires_grad_()
    one, two = ng.differentiable(of_names("np", "math")), ng.differentiable(of_names("p", "q"))
    (first,) = ng.autograd.grad(one(np=x, math=0.7), x, create_graph=True)
    assert ng.equal(first, ng.autograd.grad(two(x, 0.7), x)[0])
    assert ng.autograd.grad(first.sum(), x)[0].isfinite().all()


def test_a_parameter_begins_with_a_letter() -> None:
    with pytest.raises(TypeError, match=r"has the parameters \['_n'\], expected names that begin with a letter"):
        ng.differentiable(lambda x, _n: x * _n)
