"""Changes in place through views, against torch: values, gradients, or an error in both."""

from collections.abc import Callable

import numpy as np
import pytest

import numgrad as ng

torch = pytest.importorskip("torch", reason="torch is the oracle here: pip install torch")


def row_replaced(m, x, w):
    y = x * 1
    y[1] = w
    return y


def view_follows_its_base(m, x, w):
    y = x * 1
    v = y.view(-1)
    y.mul_(2)
    return v


def base_follows_its_view(m, x, w):
    y = x * 1
    y[0].mul_(w)
    return y


def view_follows_another_view(m, x, w):
    y = x * 1
    first, second = y[0], y[:, 1]
    first.mul_(w)
    return second


def rows_written_into_zeros(m, x, w):
    y = m.zeros(3, 4)
    y[0] = w
    y[1] = x[2] * 2
    return y


def early_view_of_zeros(m, x, w):
    y = m.zeros(3, 4)
    v = y[0]
    y[:, 1:3] = x[:, 1:3] * 3
    return v


def view_of_a_leaf(m, x, w):
    x.view(-1).add_(1)
    return x


def view_made_without_recording(m, x, w):
    y = x * 1
    with m.no_grad():
        v = y[0]
    v.mul_(2)
    return y


def transposed_base(m, x, w):
    y = (x * 1).t()
    y[0] *= 2
    z = y.t()
    z.add_(w)
    return y


def saved_output_is_overwritten(m, x, w):
    y = x.exp()
    y[0] = 0
    return y


def chain_of_changes(m, x, w):
    y = x * 1
    v = y.view(2, 6)[:, ::2]
    v += 1
    v *= w[0]
    return y * y


def view_of_a_detached_tensor(m, x, w):
    y = x.detach()
    y[0].mul_(w)
    return y


def expanded_view_is_read(m, x, w):
    y = x * 1
    wide = y[0].expand(3, 4)
    y.mul_(w)
    return wide


def expanded_view_is_written(m, x, w):
    y = x * 1
    y[0].expand(3, 4).mul_(w)
    return y


def rows_by_index(m, x, w):
    y = x * 1
    y[m.tensor([0, 2])] = w
    return y


def elements_by_mask(m, x, w):
    y = x * 1
    y[x > 5] = 0
    y[1, 1:3] = w[0]
    return y


def product_then_change(m, x, w):
    y = x * w
    z = y * y
    y.add_(1)
    return z


def change_without_recording(m, x, w):
    y = x * 1
    v = y[0]
    with m.no_grad():
        y.mul_(3)
    return v * w


CASES = [
    value for value in list(globals().values()) if callable(value) and getattr(value, "__module__", "") == __name__
]


def _run(m, case):
    x = m.arange(12.0).reshape(3, 4).requires_grad_()
    w = m.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
    try:
        out = case(m, x, w)
        (out * out).sum().backward()
    except RuntimeError:
        return "refused"
    return out.detach().numpy(), *(None if t.grad is None else t.grad.numpy() for t in (x, w))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_as_torch(case):
    ours, theirs = _run(ng, case), _run(torch, case)
    assert isinstance(ours, str) == isinstance(theirs, str), (ours, theirs)
    if not isinstance(ours, str):
        for mine, other in zip(ours, theirs, strict=True):
            assert (mine is None) == (other is None)
            assert mine is None or np.allclose(mine, other)


def test_a_refused_change_leaves_everything_as_it_was():
    leaf = ng.ones(3, requires_grad=True)
    for change in (lambda: leaf.add_(1), lambda: leaf[0:2].mul_(2), lambda: leaf.__setitem__(0, 5.0)):
        with pytest.raises(RuntimeError, match="leaf Variable"):
            change()
    assert leaf.tolist() == [1, 1, 1]
    assert leaf._version == 0


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("make", [lambda x: x * 1, lambda x: (x * 1).t(), lambda x: x.expand(2, 3, 2)[0] * 1])
def test_what_a_window_overwrites_has_gradient_zero_though_the_slope_is_not_finite(
    make: Callable[[ng.Tensor], ng.Tensor], create_graph: bool
) -> None:
    for value, exponent in ((-1.0, 1.5), (0.0, 0.5), (0.0, -1.0)):  # slopes NaN, inf, -inf
        x = ng.ones(3, 2, requires_grad=True)
        y = make(x)
        y[0, ...] = value
        z = (y**exponent).sum()
        (grad,) = ng.autograd.grad(z, x, create_graph=create_graph)
        expected = np.full((3, 2), exponent)
        (expected if y.shape == (3, 2) else expected.T)[0] = 0
        np.testing.assert_allclose(grad.detach().numpy(), expected)
        if create_graph:
            (second,) = ng.autograd.grad((grad * grad).sum(), x)
            rest = second.numpy()[expected != 0]
            np.testing.assert_allclose(rest, 2 * exponent * exponent * (exponent - 1), rtol=1e-5)
