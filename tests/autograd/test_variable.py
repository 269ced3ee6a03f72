"""`Variable`: programs of old wrap tensors in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad.autograd import Variable


def test_a_variable_is_the_tensor_as_a_leaf() -> None:
    x = ng.ones(3)
    v = Variable(x)
    assert type(v) is ng.Tensor
    assert v is not x
    assert v.data_ptr() == x.data_ptr()
    assert not v.requires_grad
    v[0] = 5
    assert x.tolist() == [5, 1, 1]


@pytest.mark.parametrize("call", [lambda x: Variable(x, requires_grad=True), lambda x: Variable(data=x, requires_grad=True),
                                  lambda x: Variable(x, True)])  # fmt: skip
def test_it_can_require_a_gradient_of_its_own(call: Any) -> None:
    x = ng.ones(3)
    v = call(x)
    (v * ng.arange(3.0)).sum().backward()
    assert v.grad.tolist() == [0, 1, 2]
    assert not x.requires_grad
    assert x.grad is None


def test_it_is_outside_of_the_graph() -> None:
    w = ng.ones(2, requires_grad=True) * 2
    v = Variable(w, requires_grad=False)
    assert v.grad_fn is None
    assert not v.requires_grad
    assert v.tolist() == [2, 2]


def test_every_tensor_is_one() -> None:
    assert isinstance(ng.ones(1), Variable)
    assert isinstance(ng.nn.Parameter(ng.ones(1)), Variable)
    assert not isinstance(np.ones(1), Variable)
    assert Variable().numel() == 0


def test_volatile_is_said_to_have_no_effect() -> None:
    with pytest.warns(UserWarning, match="volatile was removed"):
        assert Variable(ng.ones(2, requires_grad=True), volatile=True).requires_grad is False


@pytest.mark.parametrize("data", [3, [1.0, 2.0], np.ones(2)])
def test_what_is_no_tensor_is_refused(data: Any) -> None:
    with pytest.raises(TypeError, match=f"Variable data has to be a tensor, but got {type(data).__name__}"):
        Variable(data)


def test_integers_have_no_gradient() -> None:
    with pytest.raises(RuntimeError, match="floating point"):
        Variable(ng.ones(2, dtype=ng.int64), requires_grad=True)
    with pytest.raises(TypeError, match="unexpected keyword argument 'foo'"):
        Variable(ng.ones(2), foo=1)
