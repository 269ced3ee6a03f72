"""`inference_mode`."""

from __future__ import annotations

import gc
import threading

import pytest

import numgrad as ng
from numgrad.engine import dispatch


def made_inside() -> ng.Tensor:
    with ng.inference_mode():
        return ng.ones(3) * 2


def test_nothing_is_recorded_and_results_are_known() -> None:
    x = ng.ones(3, requires_grad=True)
    with ng.inference_mode():
        assert ng.is_inference_mode_enabled()
        assert not ng.is_grad_enabled()
        y = x * 2
        view = x[:2]
        with ng.inference_mode(False):
            assert ng.is_grad_enabled()
            z = x * 2
    assert not ng.is_inference_mode_enabled()
    assert ng.is_grad_enabled()
    assert (y.is_inference(), view.is_inference(), z.is_inference(), z.requires_grad) == (True, False, False, True)
    assert y[:1].is_inference()
    assert not y.clone().is_inference()


@pytest.mark.parametrize(
    "make", [lambda: ng.tensor([1.0]), lambda: ng.zeros(2), lambda: ng.empty(2), lambda: ng.rand(2)]
)
def test_new_tensors_are_of_the_mode(make) -> None:
    with ng.inference_mode():
        assert make().is_inference()
    assert not make().is_inference()


def test_as_a_decorator() -> None:
    @ng.inference_mode
    def plain(x):
        return x * 2

    @ng.inference_mode()
    def called(x):
        return x * 2

    @ng.inference_mode(mode=False)
    def off(x):
        return x * 2

    x = ng.ones(2, requires_grad=True)
    assert [f(x).requires_grad for f in (plain, called, off)] == [False, False, True]


def test_what_is_refused_outside() -> None:
    t, x = made_inside(), ng.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="Inference tensors cannot be saved for backward"):
        x * t
    with pytest.raises(RuntimeError, match="Setting requires_grad=True on inference tensor outside InferenceMode"):
        t.requires_grad_()
    with pytest.raises(RuntimeError, match="Inplace update to inference tensor outside InferenceMode"):
        t.add_(1)
    assert t.tolist() == [2.0, 2.0, 2.0]
    (x + t).sum().backward()  # an addition saves nothing
    (x * t.clone()).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0, 3.0]


def test_what_is_allowed_inside() -> None:
    t, x = made_inside(), ng.ones(3, requires_grad=True)
    with ng.inference_mode():
        t.add_(1)
        t.requires_grad_()
        x.add_(1)
    assert x.tolist() == [2.0, 2.0, 2.0]


def test_a_change_inside_is_noticed_by_a_graph_outside() -> None:
    x = ng.ones(3, requires_grad=True)
    y = x * 2
    z = y * y
    with ng.inference_mode():
        y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


def test_the_mode_is_the_thread_s() -> None:
    found = []
    with ng.inference_mode():
        thread = threading.Thread(target=lambda: found.append((ng.ones(2) * 2).is_inference()))
        thread.start()
        thread.join()
    assert found == [False]


def test_nothing_is_guarded_when_no_such_tensor_is_left() -> None:
    gc.collect()
    t = made_inside()
    assert dispatch.guards
    del t
    gc.collect()
    ng.ones(1) * 2
    assert not dispatch.guards
    assert not dispatch.recorders


def test_an_input_that_is_not_given_is_no_inference_tensor() -> None:
    with ng.inference_mode():
        alive = ng.ones(2)
    x = ng.randn(2, 3, 4).requires_grad_()
    ng.nn.functional.instance_norm(x).sum().backward()
    assert x.grad is not None
    assert alive.is_inference()
