"""A user's own op: two functions and one registration."""

import numpy as np
import pytest

import numgrad as ng
from numgrad.errors import KernelError
from numgrad.registry import OPS


def forward(x, scale, out, alpha, start, stop):
    for i in range(start, stop):
        out[i] = x[i] * scale[i] * alpha


def backward(grad_out, x, scale, grad_x, grad_scale, alpha):
    for i in range(x.shape[0]):
        grad_x[i] = grad_out[i] * scale[i] * alpha
        grad_scale[i] = grad_out[i] * x[i] * alpha


@pytest.fixture
def name():
    yield "a_test_op"
    OPS.pop("a_test_op", None)


def test_gradcheck_and_parameters(name):
    op = ng.custom_op(name, forward, backward, params={"alpha": 2.0})
    x, y = (ng.randn(7, dtype=ng.float64, requires_grad=True) for _ in range(2))
    assert np.allclose(op(x, y, alpha=3.0).detach().numpy(), 3 * x.detach().numpy() * y.detach().numpy())
    assert ng.autograd.gradcheck(lambda a, b: op(a, b, alpha=3.0), [x, y])
    assert repr(op(x, y).grad_fn) == "<ATestOpBackward0>"


def test_numba_functions_are_taken(name):
    numba = pytest.importorskip("numba")

    @numba.njit
    def rows(x, out):
        for i in range(x.shape[0]):
            total = 0.0
            for j in range(x.shape[1]):
                total += x[i, j]
            out[i] = total

    @numba.njit
    def rows_backward(grad_out, x, grad_x):
        for i in range(x.shape[0]):
            for j in range(x.shape[1]):
                grad_x[i, j] = grad_out[i]

    op = ng.custom_op(name, rows, rows_backward, shape=lambda x: x[:1])
    x = ng.randn(3, 4, dtype=ng.float64, requires_grad=True)
    assert ng.autograd.gradcheck(op, [x])
    assert ng.autograd.gradcheck(op, [ng.randn(4, 3, dtype=ng.float64).t().requires_grad_()])


def test_a_wrong_gradient_is_caught(name):
    def wrong(grad_out, x, scale, grad_x, grad_scale, alpha):
        for i in range(x.shape[0]):
            grad_x[i] = grad_out[i] * scale[i] * alpha * 1.005
            grad_scale[i] = grad_out[i] * x[i] * alpha

    op = ng.custom_op(name, forward, wrong, params={"alpha": 1.0})
    with pytest.raises(ng.autograd.GradcheckError, match="input 0"):
        ng.autograd.gradcheck(op, [ng.randn(3, dtype=ng.float64, requires_grad=True) + 2 for _ in range(2)])


def test_a_second_derivative_is_refused_by_name(name):
    op = ng.custom_op(name, forward, backward, params={"alpha": 1.0})
    x, y = (ng.ones(3, requires_grad=True) for _ in range(2))
    (first,) = ng.autograd.grad(op(x, y).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="a_test_op_backward"):
        first.sum().backward()


def test_without_a_backward_nothing_is_recorded(name):
    op = ng.custom_op(name, forward, params={"alpha": 1.0})
    assert not op(ng.ones(3, requires_grad=True), ng.ones(3)).requires_grad


def test_strange_parameter_names_are_refused(name):
    def strange(grad_out, z, grad_x):
        pass

    with pytest.raises(KernelError, match=r"\['z'\]"):
        ng.custom_op(name, forward, strange)


def test_a_function_that_allocates_is_refused(name):
    def allocates(x, out):
        y = np.zeros(3)
        out[0] = y[0] + x[0]

    op = ng.custom_op(name, allocates)
    with pytest.raises(KernelError):
        op(ng.ones(3))


def test_a_taken_name_is_refused():
    with pytest.raises(ValueError, match="add is registered already"):
        ng.custom_op("add", forward, params={"alpha": 1.0})
