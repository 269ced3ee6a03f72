"""`numgrad.func`; scenarios are run by torch as well."""

from __future__ import annotations

from typing import Any

import pytest

import numgrad as ng
from numgrad import nn
from tests.autograd.scenarios import agree
from tests.autograd.test_functional import values


def test_grad_of_grad_of_grad() -> None:
    def scenario(lib: Any) -> Any:
        g = lib.func.grad
        x = lib.tensor(0.7)
        return values([g(lib.sin)(x), g(g(lib.sin))(x), g(g(g(lib.sin)))(x)]), g(lib.sin)(x).requires_grad

    agree(scenario)


def test_argnums_trees_and_aux() -> None:
    def scenario(lib: Any) -> Any:
        def f(params: Any, x: Any) -> Any:
            y = params["w"] * x + params["b"][0]
            return (y * y).sum(), {"y": y}

        params = {"w": lib.tensor([1.0, 2.0]), "b": [lib.tensor([0.5, 0.5])]}
        x = lib.tensor([3.0, 4.0])
        found, aux = lib.func.grad(f, has_aux=True)(params, x)
        both, (value, _) = lib.func.grad_and_value(f, argnums=(0, 1), has_aux=True)(params, x)
        return values([found["w"], found["b"][0], aux["y"], both[0]["w"], both[1], value]), aux["y"].requires_grad

    agree(scenario)


def test_closures_are_differentiated_from_outside() -> None:
    def scenario(lib: Any) -> Any:
        w = lib.tensor([2.0, 3.0], requires_grad=True)
        x = lib.tensor([1.0, 4.0], requires_grad=True)
        inner = lib.func.grad(lambda x: (w * x * x * x).sum())(x)
        inner.sum().backward()
        plain = lib.func.grad(lambda x: (x * x).sum())(lib.ones(2))
        return inner.tolist(), w.grad.tolist(), x.grad.tolist(), plain.requires_grad

    agree(scenario)


def test_no_grad_outside_does_not_matter() -> None:
    def scenario(lib: Any) -> Any:
        x = lib.tensor([1.0, 2.0], requires_grad=True)
        with lib.no_grad():
            found = lib.func.grad(lambda x: (x**3).sum())(x)
            twice = lib.func.hessian(lambda x: (x**3).sum())(x)
        return found.tolist(), found.requires_grad, twice.tolist()

    agree(scenario)


def test_vjp_jvp_and_linearize() -> None:
    def scenario(lib: Any) -> Any:
        x, y = lib.tensor([1.0, 2.0]), lib.tensor([3.0, 4.0])

        def f(x: Any, y: Any) -> Any:
            return (x * y).sin(), x + y

        output, back = lib.func.vjp(f, x, y)
        forward = lib.func.jvp(f, (x, y), (lib.ones(2), lib.tensor([0.0, 2.0])))
        return values([output, back((x, y)), forward])

    agree(scenario)


def test_linearize_is_jvp_again_and_again() -> None:
    x = ng.tensor([1.0, 2.0])
    output, push = ng.func.linearize(lambda x: (x.sin(), x * x), x)
    for tangent in (ng.ones(2), ng.tensor([0.0, 3.0])):
        expected = ng.func.jvp(lambda x: (x.sin(), x * x), (x,), (tangent,))
        assert values((output, push(tangent))) == values(expected)


def test_jacobians_and_hessian() -> None:
    def scenario(lib: Any) -> Any:
        x, y = lib.tensor([1.0, 2.0]), lib.tensor([[3.0, 4.0], [5.0, 6.0]])

        def f(x: Any, y: Any) -> Any:
            return (y * x).sin().sum(1)

        func = lib.func
        both = [jac(f, argnums=(0, 1))(x, y) for jac in (func.jacrev, func.jacfwd)]
        second = func.hessian(lambda x: f(x, y).sum())(x)
        mixed = func.jacfwd(func.jacrev(lambda x: f(x, y)))(x)
        return values([both, second, mixed])

    agree(scenario)


def test_derivatives_of_jvp() -> None:
    def scenario(lib: Any) -> Any:
        def directional(x: Any) -> Any:
            return lib.func.jvp(lambda x: (x**3).sum(), (x,), (lib.ones(2),))[1]

        return lib.func.grad(directional)(lib.tensor([1.0, 2.0])).tolist()

    agree(scenario, [6.0, 12.0])


def test_vmap() -> None:
    def scenario(lib: Any) -> Any:
        vmap = lib.func.vmap
        x = lib.arange(6.0).reshape(2, 3)
        w = lib.tensor([1.0, 2.0, 3.0])
        return values(
            [
                vmap(lambda row: row.sum())(x),
                vmap(lambda column: column * 2, in_dims=1, out_dims=1)(x),
                vmap(lambda row, w: (row * w).sum(), in_dims=(0, None))(x, w),
                vmap(lambda d: d["a"] + d["b"], in_dims=({"a": 0, "b": None},))({"a": x, "b": w}),
                vmap(vmap(lambda v: v * v))(x),
                vmap(lambda row: (row, row.sum()), out_dims=(1, 0))(x),
                vmap(lib.func.grad(lambda w, row: (row * w).sin().sum()), in_dims=(None, 0))(w, x),
            ]
        )

    agree(scenario)


def test_vmap_and_random_numbers() -> None:
    x = ng.zeros(3, 2)

    def noisy(row: ng.Tensor) -> ng.Tensor:
        return row + ng.rand(2)

    with pytest.raises(RuntimeError, match="random operation while in randomness error mode"):
        ng.func.vmap(noisy)(x)
    same = ng.func.vmap(noisy, randomness="same")(x).tolist()
    assert same[0] == same[1] == same[2]
    different = ng.func.vmap(noisy, randomness="different")(x).tolist()
    assert different[0] != different[1]


def test_vmap_refusals() -> None:
    x = ng.ones(3, 2)
    for arguments, options, text in (
        ((x, ng.ones(4)), {}, "same size in the mapped dimension"),
        ((x,), {"in_dims": 2}, "in_dim=2 for an input of dimensionality 2"),
        ((x,), {"in_dims": None}, "at least one input has to be batched"),
        ((x, 3), {}, "in_dim=0 for an input but the input is of type int"),
        ((x,), {"in_dims": (0, 0)}, "does not have the form"),
    ):
        with pytest.raises(ValueError, match=text):
            ng.func.vmap(lambda *args: args[0], **options)(*arguments)
    with pytest.raises(ValueError, match="must only return Tensors"):
        ng.func.vmap(lambda row: 3)(x)
    with pytest.raises(RuntimeError, match="Only allowed values for randomness"):
        ng.func.vmap(lambda row: row, randomness="some")


def test_functional_call() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    x = ng.rand(4, 2)
    params = {name: p.detach() * 2 for name, p in model.named_parameters()}
    before = {name: id(p) for name, p in model.named_parameters()}

    def loss(params: Any) -> ng.Tensor:
        return ng.func.functional_call(model, params, (x,)).square().mean()

    found = ng.func.grad(loss)(params)
    assert {name: tuple(g.shape) for name, g in found.items()} == {
        n: tuple(p.shape) for n, p in model.named_parameters()
    }
    assert {name: id(p) for name, p in model.named_parameters()} == before
    assert all(p.grad is None for p in model.parameters())
    with pytest.raises(RuntimeError, match=r"Unexpected key\(s\): \['nothing'\]"):
        ng.func.functional_call(model, {"nothing": x}, x)
    with pytest.raises(RuntimeError, match="Missing key"):
        ng.func.functional_call(model, {"0.bias": ng.zeros(3)}, x, strict=True)
    with pytest.raises(ValueError, match="multiple dictionaries"):
        ng.func.functional_call(model, ({"0.bias": x}, {"0.bias": x}), x)


def test_functional_call_ties_weights_and_puts_back_after_an_error() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(2, 2, bias=False)
            self.b = nn.Linear(2, 2, bias=False)
            self.b.weight = self.a.weight

        def forward(self, x: ng.Tensor, fail: bool = False) -> ng.Tensor:
            if fail:
                raise KeyError("on purpose")
            return self.b(self.a(x))

    model, x = Tied(), ng.ones(1, 2)
    weight = model.a.weight
    new = {"a.weight": ng.eye(2) * 3}
    assert ng.func.functional_call(model, new, x).tolist() == [[9.0, 9.0]]
    with pytest.raises(KeyError):
        ng.func.functional_call(model, new, x, {"fail": True})
    assert model.a.weight is weight
    assert model.b.weight is weight


def test_per_sample_gradients_add_up() -> None:
    model = nn.Linear(3, 2)
    params = {name: p.detach() for name, p in model.named_parameters()}
    x, y = ng.rand(5, 3), ng.rand(5, 2)

    def loss(params: Any, x: ng.Tensor, y: ng.Tensor) -> ng.Tensor:
        return (ng.func.functional_call(model, params, x) - y).square().sum()

    rows = ng.func.vmap(ng.func.grad(loss), in_dims=(None, 0, 0))(params, x, y)
    loss(dict(model.named_parameters()), x, y).backward()
    assert rows["weight"].shape == (5, 2, 3)
    assert ng.allclose(rows["weight"].sum(0), model.weight.grad, rtol=1e-5)


def test_an_ensemble() -> None:
    models = [nn.Linear(2, 1) for _ in range(3)]
    params, buffers = ng.func.stack_module_state(models)
    x = ng.rand(4, 2)

    def call(params: Any, buffers: Any) -> ng.Tensor:
        return ng.func.functional_call(models[0], (params, buffers), x)

    found = ng.func.vmap(call, in_dims=(0, None))(params, buffers)
    assert params["weight"].requires_grad
    assert ng.allclose(found, ng.stack([model(x) for model in models]))
    with pytest.raises(RuntimeError, match="at least one model"):
        ng.func.stack_module_state([])
    with pytest.raises(RuntimeError, match="same class"):
        ng.func.stack_module_state([nn.Linear(1, 1), nn.ReLU()])


def test_errors() -> None:
    with pytest.raises(RuntimeError, match="tensor of one element"):
        ng.func.grad(lambda x: x)(ng.ones(2))
    with pytest.raises(RuntimeError, match="only 1 positional inputs"):
        ng.func.grad(lambda x: x, argnums=1)(ng.ones(()))
    with pytest.raises(TypeError, match="expected tensors in the arguments"):
        ng.func.grad(lambda x: x)(3.0)
    with pytest.raises(RuntimeError, match="floating point"):
        ng.func.grad(lambda x: x)(ng.ones(2).long())
    with pytest.raises(RuntimeError, match="tuples of the same length"):
        ng.func.jvp(lambda x: x, (ng.ones(2),), ())
    with pytest.raises(RuntimeError, match="different size than that of the original"):
        ng.func.jvp(lambda x: x, (ng.ones(2),), (ng.ones(3),))
    with pytest.raises(RuntimeError, match="has_aux"):
        ng.func.grad(lambda x: x, has_aux=True)(ng.ones(()))
