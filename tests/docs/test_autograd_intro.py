"""The introduction to automatic differentiation that torch's documentation has, step by step: one layer, then details."""

from __future__ import annotations

import pytest

import numgrad as ng


def one_layer() -> tuple[ng.Tensor, ...]:
    x, y = ng.ones(5), ng.zeros(3)  # input and expected output
    w = ng.randn(5, 3, requires_grad=True)
    b = ng.randn(3, requires_grad=True)
    z = ng.matmul(x, w) + b
    return x, w, b, z, ng.nn.functional.binary_cross_entropy_with_logits(z, y)


def test_functions_of_the_graph_have_names() -> None:
    *_, z, loss = one_layer()
    assert "AddBackward0" in repr(z.grad_fn)
    assert "Backward0" in repr(loss.grad_fn)  # in torch one op, here a mean over elementwise ones


def test_gradients_of_the_parameters() -> None:
    x, w, b, z, loss = one_layer()
    loss.backward()
    expected = ng.sigmoid(z.detach()) / 3  # of the mean over three outputs, where all targets are 0
    assert ng.allclose(b.grad, expected)
    assert ng.allclose(w.grad, expected.expand(5, 3))
    assert x.grad is None  # only leaves that require a gradient have one
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        loss.backward()


def test_a_graph_can_be_kept_for_a_second_backward() -> None:
    _, w, _, _, loss = one_layer()
    loss.backward(retain_graph=True)
    once = w.grad.clone()
    loss.backward()
    assert ng.allclose(w.grad, 2 * once)


def test_tracking_can_be_switched_off() -> None:
    x, w, b, z, _ = one_layer()
    assert z.requires_grad
    with ng.no_grad():
        z = ng.matmul(x, w) + b
    assert not z.requires_grad
    z = ng.matmul(x, w) + b
    assert not z.detach().requires_grad


def test_products_with_the_jacobian_add_up() -> None:
    inp = ng.eye(4, 5).requires_grad_()
    out = (inp + 1).pow(2).t()
    first = ng.full((4, 5), 2.0) + 2 * ng.eye(4, 5)
    out.backward(ng.ones_like(out), retain_graph=True)
    assert ng.equal(inp.grad, first)  # 2 (inp + 1)
    out.backward(ng.ones_like(out), retain_graph=True)
    assert ng.equal(inp.grad, 2 * first)  # it has been added
    inp.grad.zero_()
    out.backward(ng.ones_like(out), retain_graph=True)
    assert ng.equal(inp.grad, first)


def test_the_product_with_a_vector_is_that_of_the_whole_jacobian() -> None:
    x = ng.tensor([1.0, 2.0, 3.0])
    v = ng.tensor([0.5, -1.0])

    def f(x: ng.Tensor) -> ng.Tensor:
        return ng.stack([(x * x).sum(), x[0] * x[2]])

    _, product = ng.autograd.functional.vjp(f, x, v)
    assert ng.allclose(product, v @ ng.autograd.functional.jacobian(f, x))
