"""`vmap` with the other transforms, in place, with random numbers and errors; scenarios are run by torch as well."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn, registry
from numgrad.engine.views import change_in_place
from numgrad.ops.layouts import plan_copy
from numgrad.registry import OPS, Op
from tests.autograd.scenarios import agree


def values(tree: Any) -> Any:
    """Plain numbers, to four digits after the point: float32 holds no more of some of these."""
    if isinstance(tree, (tuple, list)):
        return [values(each) for each in tree]
    return np.round(np.array(tree.tolist(), np.float64), 4).ravel().tolist() + list(tree.shape)


def test_in_and_out_dims_and_views() -> None:
    def scenario(lib: Any) -> Any:
        vmap, x = lib.func.vmap, lib.arange(24.0).reshape(2, 3, 4)
        w = lib.tensor([1.0, 2.0, 3.0, 4.0])

        def f(x: Any, w: Any) -> Any:
            y = x.t()[1:, :2] * w[1:].unsqueeze(1)
            return y.reshape(-1), y.sum(), {"top": y.max(0)[0], "soft": lib.softmax(x, 0)}

        found = [vmap(f, in_dims=(0, None))(x, w), vmap(f, in_dims=(1, None), out_dims=(1, 0, -1))(x, w)]
        return values([[a, b, c["top"], c["soft"]] for a, b, c in found])

    agree(scenario)


def test_ranks_that_differ() -> None:
    def scenario(lib: Any) -> Any:
        vmap = lib.func.vmap
        a, b = lib.arange(3.0), lib.arange(12.0).reshape(3, 4)
        c = lib.arange(24.0).reshape(2, 3, 4)
        return values(
            [
                vmap(lambda a, b: a * b + c)(a, b),
                vmap(lambda a, b: lib.maximum(b, a))(a, b),
                vmap(lambda a: a + lib.ones(2, 2))(a),
                vmap(lambda x: lib.where(x > 3, x, -x))(b),
                vmap(vmap(lambda a, b: a @ b, in_dims=(0, None)), in_dims=(None, 0))(b, b),
                vmap(vmap(lambda x, y: x - y), in_dims=(1, 0))(b, b.t() * 1),
            ]
        )

    agree(scenario)


def test_per_sample_gradients_of_a_network() -> None:
    """vmap(grad(f)) is the loop, for a network with convolution, norm, pooling and cross-entropy."""
    ng.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3), nn.Flatten(1),
        nn.LayerNorm(16), nn.Linear(16, 5),
    ).double()  # fmt: skip
    params = {name: p.detach() for name, p in net.named_parameters()}
    x, target = ng.randn(3, 1, 8, 8, dtype=ng.float64), ng.tensor([1, 4, 0])

    def loss(params: Any, x: Any, target: Any) -> Any:
        out = ng.func.functional_call(net, params, (x.unsqueeze(0),))
        return nn.functional.cross_entropy(out, target.unsqueeze(0))

    found = ng.func.vmap(ng.func.grad(loss), in_dims=(None, 0, 0))(params, x, target)
    chunked = ng.func.vmap(ng.func.grad(loss), in_dims=(None, 0, 0), chunk_size=2)(params, x, target)
    for index in range(3):
        expected = ng.func.grad(loss)(params, x[index], target[index])
        for name, gradient in expected.items():
            np.testing.assert_allclose(found[name][index].numpy(), gradient.numpy(), rtol=1e-10, atol=1e-13)
            np.testing.assert_allclose(chunked[name][index].numpy(), gradient.numpy(), rtol=1e-10, atol=1e-13)


def test_an_ensemble() -> None:
    models = [nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)) for _ in range(3)]
    params, buffers = ng.func.stack_module_state(models)
    x = ng.randn(5, 3)
    found = ng.func.vmap(lambda p, b: ng.func.functional_call(models[0], (p, b), (x,)))(params, buffers)
    for index, model in enumerate(models):
        np.testing.assert_allclose(found[index].detach().numpy(), model(x).detach().numpy(), rtol=1e-5, atol=1e-6)
    found.sum().backward()
    assert params["0.weight"].grad is not None


def test_every_order_of_transforms() -> None:
    def scenario(lib: Any) -> Any:
        f = lib.func
        x = lib.tensor([[0.3, 0.7], [1.1, -0.4], [0.2, 0.9]])
        w = lib.tensor([0.5, -1.5])
        row = lib.tensor([0.4, 1.2])

        def g(w: Any, x: Any) -> Any:
            return (w * x).sin().sum() * w.prod()

        per = f.vmap(f.grad(g), in_dims=(None, 0))
        return values(
            [
                per(w, x),
                f.grad(lambda w: (per(w, x) ** 2).sum())(w),
                f.vmap(f.hessian(g), in_dims=(None, 0))(w, x),
                f.hessian(lambda w: f.vmap(g, in_dims=(None, 0))(w, x).sum())(w),
                f.vmap(lambda x: f.jvp(lambda w: g(w, x), (w,), (row,))[1])(x),
                f.jvp(lambda w: per(w, x), (w,), (row,)),
                f.jacfwd(f.jacfwd(lambda w: g(w, row)))(w),
                f.jacrev(f.jacfwd(lambda w: g(w, row)))(w),
                f.jacfwd(f.jacrev(lambda w: g(w, row)))(w),
                f.jacrev(f.jacrev(lambda w: g(w, row)))(w),
                f.vmap(f.vmap(f.grad(lambda a, b: (a * b) ** 2), in_dims=(0, None)), in_dims=(None, 0))(w, row),
                f.jacrev(lambda x: f.vmap(f.grad(lambda r: (r**3).sum()))(x))(x),
                f.vmap(f.jacrev(lambda r: r.exp() * r.sum()))(x),
            ]
        )

    agree(scenario)


def test_the_inner_gradient_is_differentiated_from_outside() -> None:
    """One step of gradient descent for each task, and the gradient of what comes after by where it began (MAML)."""

    def scenario(lib: Any) -> Any:
        f = lib.func
        x = lib.tensor([[0.3, 0.7], [1.1, -0.4]])
        w = lib.tensor([0.5, -1.5], requires_grad=True)

        def task(x: Any) -> Any:
            step = f.grad(lambda w: ((w * x).sum() - 1) ** 2)(w)
            return (((w - 0.1 * step) * x).sum() - 2) ** 2

        loss = f.vmap(task)(x).sum()
        loss.backward()
        return values([loss, w.grad])

    agree(scenario)


def test_changes_in_place() -> None:
    def scenario(lib: Any) -> Any:
        x = lib.arange(6.0).reshape(2, 3)

        def f(row: Any) -> Any:
            y = row * 2
            y[0] = row[2]
            y[1:].add_(row[:2])
            y.mul_(row.sum())
            return y

        return values([lib.func.vmap(f)(x), lib.func.vmap(lib.func.grad(lambda r: f(r).sum()))(x)])

    agree(scenario)


def test_in_place_on_what_all_examples_share_is_refused() -> None:
    shared = ng.zeros(3)
    with pytest.raises(RuntimeError, match="inplace arithmetic is not possible"):
        ng.func.vmap(lambda row: shared.add_(row))(ng.ones(2, 3))
    assert shared.tolist() == [0.0, 0.0, 0.0]


def test_an_op_in_place_without_a_rule_changes_one_example_after_the_other() -> None:
    op = Op("first_for_all", ("input",), register=False, mutates=True)

    @op.plan
    def _(b: Any, input: Any) -> None:
        first = b.scratch(input.spec.dtype, 1)
        plan_copy(b, input.view((1,), (1,)), first)
        plan_copy(b, first.view(tuple(input.spec.shape), (0,)), b.in_place(input))

    @op.backward
    def _(ctx: Any, grad: Any) -> Any:
        return ng.cat([grad.sum(0, keepdim=True), ng.zeros(grad.shape[0] - 1)])

    x = ng.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
    y, w = x * 1, ng.tensor([1.0, 10.0, 100.0])

    def change(row: Any) -> Any:
        changed = change_in_place(op, row)
        assert changed is row
        return row * w

    with pytest.warns(UserWarning, match="batching rule for first_for_all: it is applied to 2 examples"):
        out = ng.func.vmap(change)(y)
    assert (out.tolist(), y.tolist()) == ([[1, 10, 100], [4, 40, 400]], [[1, 1, 1], [4, 4, 4]])
    out.sum().backward()
    assert x.grad.tolist() == [[111, 0, 0], [111, 0, 0]]
    with pytest.raises(
        RuntimeError, match="vmap: uniform_ has no rule for random numbers that are 'different'; attach"
    ):
        ng.func.vmap(lambda row: OPS["uniform_"](row, ng.get_rng_state()), randomness="different")(ng.ones(2, 3))


def test_batched_cotangents() -> None:
    def scenario(lib: Any) -> Any:
        x = lib.tensor([1.0, 2.0], requires_grad=True)
        y = (x.exp() * x).sum() * x
        basis = lib.eye(2)
        (found,) = lib.autograd.grad(y, x, basis, is_grads_batched=True, create_graph=True)
        (again,) = lib.autograd.grad(found.sum(), x)
        return values([found, again])

    agree(scenario)


def test_jacobian_of_a_network_both_ways() -> None:
    def scenario(lib: Any) -> Any:
        x = lib.linspace(-1, 1, 32).reshape(2, 1, 4, 4)
        w = lib.linspace(-0.5, 0.5, 9).reshape(1, 1, 3, 3)

        def f(x: Any, w: Any) -> Any:
            y = lib.conv2d(x, w, padding=1).relu()
            return lib.nn.functional.log_softmax(lib.nn.functional.avg_pool2d(y, 2).flatten(1), 1)

        func = lib.func
        return values([func.jacrev(f, (0, 1))(x, w), func.jacfwd(f, (0, 1))(x, w)])

    agree(scenario)


def test_hessian_of_an_mlp() -> None:
    ng.manual_seed(1)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    params = tuple(p.detach() for p in net.parameters())
    names = [name for name, _ in net.named_parameters()]
    x = ng.randn(6, 3, dtype=ng.float64)

    def loss(*params: Any) -> Any:
        return ng.func.functional_call(net, dict(zip(names, params, strict=True)), (x,)).square().mean()

    found = ng.func.hessian(loss, argnums=(0, 1, 2, 3))(*params)
    wanted = ng.autograd.functional.hessian(loss, params)
    vectorized = ng.autograd.functional.hessian(loss, params, vectorize=True, outer_jacobian_strategy="forward-mode")
    for a in range(4):
        for b in range(4):
            np.testing.assert_allclose(found[a][b].numpy(), wanted[a][b].numpy(), rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(vectorized[a][b].numpy(), wanted[a][b].numpy(), rtol=1e-9, atol=1e-12)


def test_random_numbers() -> None:
    x = ng.zeros(3, 4)
    for draw in (
        lambda row: row + ng.rand(4),
        lambda row: ng.dropout(row + 1, 0.5),
        lambda row: ng.bernoulli(row + 0.5),
        lambda row: ng.randn(4) * (row + 1),
        lambda row: ng.randperm(4) + row,
    ):
        with pytest.raises(RuntimeError, match="random operation while in randomness error mode"):
            ng.func.vmap(draw)(x)
        ng.manual_seed(3)
        same = ng.func.vmap(draw, randomness="same")(x).tolist()
        assert same[0] == same[1] == same[2]
        different = ng.func.vmap(draw, randomness="different")(ng.zeros(40, 4)).tolist()
        assert len({tuple(row) for row in different}) > 3
        parts = ng.func.vmap(draw, randomness="same", chunk_size=2)(x).tolist()
        assert parts[0] == parts[2]
    outer = ng.func.vmap(
        ng.func.vmap(lambda e: e + ng.rand(()), randomness="different"), randomness="same"
    )(x).tolist()  # fmt: skip
    assert outer[0] == outer[1]
    assert len(set(outer[0])) == 4


def test_a_function_by_its_vmap_or_one_by_one() -> None:
    class Plain(ng.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, y: Any) -> Any:
            ctx.save_for_backward(x, y)
            return x * y

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            x, y = ctx.saved_tensors
            return g * y, g * x

    class Ruled(Plain):
        @staticmethod
        def vmap(info: Any, in_dims: Any, x: Any, y: Any) -> Any:
            assert (info.batch_size, in_dims) == (2, (0, None))
            return Plain.apply(x, y), 0

    x, y = ng.tensor([[1.0, 2.0], [3.0, 4.0]]), ng.tensor([5.0, 6.0])
    per = ng.func.vmap(ng.func.grad(lambda x, y: Plain.apply(x * x, y).sum()), in_dims=(0, None))
    with pytest.warns(UserWarning, match="Plain has no vmap staticmethod"):
        assert per(x, y).tolist() == [[10.0, 24.0], [30.0, 48.0]]
    ruled = ng.func.vmap(ng.func.grad(lambda x, y: Ruled.apply(x * x, y).sum()), in_dims=(0, None))
    assert ruled(x, y).tolist() == [[10.0, 24.0], [30.0, 48.0]]


def test_refusals() -> None:
    x = ng.ones(3, 2)
    kept: list[Any] = []
    w = ng.ones(2, requires_grad=True)
    for function, error, text in (
        (lambda row: row.sum().item(), RuntimeError, "calling .item()"),
        (lambda row: row if row.sum() > 0 else -row, RuntimeError, "data-dependent control flow"),
        (lambda row: 3, ValueError, "must only return Tensors, got type int"),
        (lambda row: (row * w).sum().backward(), RuntimeError, r"use numgrad.func.grad"),
        (lambda row: ng.autograd.grad((row * w).sum(), w)[0], RuntimeError, "example by example"),
        (lambda row: row.register_hook(print), RuntimeError, "hooks"),
        (lambda row: row.view(3), RuntimeError, "invalid for input"),
    ):
        with pytest.raises(error, match=text):
            ng.func.vmap(function)(x)
    with pytest.raises(ValueError, match="can not return a BatchedTensor when out_dim is None"):
        ng.func.vmap(lambda row: row, out_dims=None)(x)
    with pytest.raises(ValueError, match="chunk_size should be None or greater than 0"):
        ng.func.vmap(lambda row: row, chunk_size=0)
    ng.func.vmap(lambda row: kept.append(row) or row)(x)
    with pytest.raises(RuntimeError, match="after its vmap has ended"):
        kept[0] + 1
    assert not registry.is_wrapped()


def test_no_examples() -> None:
    found = ng.func.vmap(lambda row: (row * 2).sum(0, keepdim=True))(ng.ones(0, 3))
    assert found.shape == (0, 1)
