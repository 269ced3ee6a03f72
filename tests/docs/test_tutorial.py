"""The autograd tutorial, step by step, with the numbers and texts that it has to give."""

from __future__ import annotations

import numpy as np
import pytest

import numgrad as ng

# ---- a training step of a network -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def steps() -> dict[str, object]:
    """Forward, backward and optimizer step of a residual network on one random image."""
    from numgrad.models import resnet18

    ng.manual_seed(0)
    model = resnet18(weights=None)
    data, labels = ng.rand(1, 3, 64, 64), ng.rand(1, 1000)
    before = {name: p.detach().clone().numpy() for name, p in model.named_parameters()}
    prediction = model(data)
    loss = (prediction - labels).sum()
    loss.backward()
    optimizer = ng.optim.SGD(model.parameters(), lr=1e-2, momentum=0.9)
    optimizer.step()
    return {"model": model, "prediction": prediction, "loss": loss, "before": before, "optimizer": optimizer}


def test_the_forward_pass(steps: dict) -> None:
    assert steps["model"].training, "a fresh model is in training mode"
    assert steps["prediction"].shape == (1, 1000)
    assert steps["loss"].shape == ()
    assert steps["loss"].grad_fn.name() == "SumBackward0"


def test_the_backward_pass_fills_every_grad(steps: dict) -> None:
    parameters = dict(steps["model"].named_parameters())
    assert len(parameters) == 62
    for name, p in parameters.items():
        assert p.grad is not None, name
        assert p.grad.shape == p.shape, name
        assert np.isfinite(p.grad.numpy()).all(), name


def test_the_forward_pass_moved_the_running_statistics(steps: dict) -> None:
    norm = steps["model"].bn1
    assert int(norm.num_batches_tracked) == 1
    assert not (norm.running_mean == 0).any()


def test_the_optimizer_moved_by_the_gradient(steps: dict) -> None:
    for name, p in steps["model"].named_parameters():
        wanted = steps["before"][name] - np.float32(1e-2) * p.grad.numpy()
        np.testing.assert_allclose(p.detach().numpy(), wanted, rtol=1e-6, atol=1e-7, err_msg=name)


def test_momentum_as_in_the_books() -> None:
    p = ng.tensor([1.0], dtype=ng.float64, requires_grad=True)
    optimizer = ng.optim.SGD([p], lr=0.1, momentum=0.9)
    seen = []
    for _ in range(3):
        p.grad = ng.tensor([2.0], dtype=ng.float64)
        optimizer.step()
        seen.append((p.item(), optimizer.state[p]["momentum_buffer"].item()))
    np.testing.assert_allclose(seen, [(0.8, 2.0), (0.42, 3.8), (-0.122, 5.42)], rtol=1e-12)


def test_one_value_per_channel_is_refused_in_training_mode() -> None:
    from numgrad.models import resnet18

    model = resnet18(weights=None)
    with pytest.raises(
        ValueError, match=r"Expected more than 1 value per channel when training, got input size .*\[1, 512, 1, 1\]"
    ):
        model(ng.rand(1, 3, 32, 32))
    model.eval()
    assert model(ng.rand(1, 3, 32, 32)).shape == (1, 1000)


# ---- differentiation --------------------------------------------------------------------------------------------


def leaves() -> tuple[ng.Tensor, ng.Tensor]:
    return ng.tensor([2.0, 3.0], requires_grad=True), ng.tensor([6.0, 4.0], requires_grad=True)


def test_the_gradient_of_a_vector() -> None:
    a, b = leaves()
    Q = 3 * a**3 - b**2
    assert repr(Q) == "tensor([-12.,  65.], grad_fn=<SubBackward0>)"
    Q.backward(gradient=ng.tensor([1.0, 1.0]))
    assert repr(9 * a**2 == a.grad) == "tensor([True, True])"
    assert repr(-2 * b == b.grad) == "tensor([True, True])"
    assert repr(a.grad) == "tensor([36., 81.])"
    assert repr(b.grad) == "tensor([-12.,  -8.])"
    assert repr(a) == "tensor([2., 3.], requires_grad=True)"


def test_the_sum_needs_no_gradient_argument() -> None:
    a, b = leaves()
    (3 * a**3 - b**2).sum().backward()
    np.testing.assert_array_equal(a.grad.numpy(), [36.0, 81.0])
    np.testing.assert_array_equal(b.grad.numpy(), [-12.0, -8.0])


def test_a_vector_without_a_gradient_argument_is_refused() -> None:
    a, b = leaves()
    with pytest.raises(RuntimeError, match="grad can be implicitly created only for scalar outputs"):
        (3 * a**3 - b**2).backward()


def test_backward_multiplies_the_jacobian_by_a_vector() -> None:
    """With v the gradient of l = g(y), it gives that of l(x): the transposed Jacobian times v."""
    x = ng.tensor([1.0, 2.0, 3.0], dtype=ng.float64, requires_grad=True)
    v = np.array([0.5, -1.0])

    def y(x: ng.Tensor) -> ng.Tensor:
        return ng.cat([(x * x).sum().reshape(1), (x[0] * x[2]).reshape(1)])

    y(x).backward(ng.tensor(v))
    values = x.detach().numpy()
    jacobian = np.array([2 * values, [values[2], 0.0, values[0]]])
    np.testing.assert_allclose(x.grad.numpy(), jacobian.T @ v, rtol=1e-15)


def test_the_graph_is_made_anew_in_every_iteration() -> None:
    x = ng.tensor([1.0], requires_grad=True)
    for turns in (1, 3, 2):
        x.grad = None
        y = x
        for _ in range(turns):
            y = y * 2 if y.item() < 4 else y * 3
        y.backward()
        assert x.grad.item() == {1: 2.0, 3: 12.0, 2: 4.0}[turns]


def test_leaves_and_roots_of_the_graph() -> None:
    a, b = leaves()
    Q = 3 * a**3 - b**2
    names, nodes = [], [Q.grad_fn]
    while nodes:
        node = nodes.pop()
        if node is not None:
            names.append(node.name())
            nodes += [following for following, _ in node.next_functions]
    assert sorted(names) == ["AccumulateGrad"] * 2 + ["MulBackward0", "PowBackward0", "PowBackward0", "SubBackward0"]


# ---- what is left out of the graph ------------------------------------------------------------------------------


def test_one_input_that_requires_a_gradient_is_enough() -> None:
    x, y = ng.rand(5, 5), ng.rand(5, 5)
    z = ng.rand((5, 5), requires_grad=True)
    assert f"Does `a` require gradients? : {(x + y).requires_grad}" == "Does `a` require gradients? : False"
    assert f"Does `b` require gradients?: {(x + z).requires_grad}" == "Does `b` require gradients?: True"


def test_a_frozen_network_with_a_new_head() -> None:
    from numgrad import nn, optim
    from numgrad.models import resnet18

    model = resnet18(weights=None)
    for parameter in model.parameters():
        parameter.requires_grad = False
    model.fc = nn.Linear(512, 10)
    before = {name: p.detach().clone().numpy() for name, p in model.named_parameters()}
    optimizer = optim.SGD(model.parameters(), lr=1e-2, momentum=0.9)
    model(ng.rand(2, 3, 64, 64)).sum().backward()
    optimizer.step()
    assert [name for name, p in model.named_parameters() if p.grad is not None] == ["fc.weight", "fc.bias"]
    changed = [name for name, p in model.named_parameters() if not np.array_equal(p.detach().numpy(), before[name])]
    assert changed == ["fc.weight", "fc.bias"]


def test_the_same_exclusion_as_a_context() -> None:
    x = ng.ones(2, requires_grad=True)
    with ng.no_grad():
        assert not (x * 2).requires_grad


# ---- the page's older form --------------------------------------------------------------------------------------


def test_the_older_page() -> None:
    x = ng.ones(2, 2, requires_grad=True)
    assert repr(x) == "tensor([[1., 1.],\n        [1., 1.]], requires_grad=True)"
    y = x + 2
    assert repr(y) == "tensor([[3., 3.],\n        [3., 3.]], grad_fn=<AddBackward0>)"
    assert repr(y.grad_fn).startswith("<AddBackward0")
    z = y * y * 3
    out = z.mean()
    assert repr(z) == "tensor([[27., 27.],\n        [27., 27.]], grad_fn=<MulBackward0>)"
    assert repr(out) == "tensor(27., grad_fn=<MeanBackward0>)"
    out.backward()
    assert repr(x.grad) == "tensor([[4.5000, 4.5000],\n        [4.5000, 4.5000]])"


def test_switching_requires_grad_on() -> None:
    a = ng.randn(2, 2)
    a = (a * 3) / (a - 1)
    assert not a.requires_grad
    a.requires_grad_(True)
    assert a.requires_grad
    b = (a * a).sum()
    assert b.grad_fn.name() == "SumBackward0"


def test_a_loop_that_depends_on_values() -> None:
    ng.manual_seed(1)
    x = ng.randn(3, requires_grad=True)
    y = x * 2
    doublings = 1
    while y.data.norm() < 1000:
        y = y * 2
        doublings += 1
    v = ng.tensor([0.1, 1.0, 0.0001], dtype=ng.float32)
    y.backward(v)
    np.testing.assert_allclose(x.grad.numpy(), 2.0**doublings * v.numpy(), rtol=1e-6)
    assert x.requires_grad
    assert (x**2).requires_grad
    with ng.no_grad():
        assert not (x**2).requires_grad
    y = x.detach()
    assert not y.requires_grad
    assert x.eq(y).all()
