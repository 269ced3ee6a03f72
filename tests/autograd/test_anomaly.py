"""Anomaly mode names the line of the forward."""

from __future__ import annotations

import threading
import warnings

import pytest

import numgrad as ng
from numgrad.autograd import detect_anomaly, is_anomaly_check_nan_enabled, is_anomaly_enabled, set_detect_anomaly
from numgrad.engine import backward, dispatch


def test_nan_is_traced_to_its_line() -> None:
    x = ng.tensor([-1.0], requires_grad=True)
    with set_detect_anomaly(True):
        y = ng.sqrt(x * 1)  # the culprit
        with (
            pytest.warns(UserWarning, match=r"Error detected in SqrtBackward0(.|\n)*# the culprit"),
            pytest.raises(RuntimeError, match="Function 'SqrtBackward0' returned nan values in its 0th output"),
        ):
            y.sum().backward()
    assert x.grad is None


def test_a_change_in_place_is_traced_to_the_op_that_needed_the_value() -> None:
    x = ng.ones(2, requires_grad=True)
    with set_detect_anomaly(True, check_nan=False):
        y = (x * 2).exp()  # needs its result
        y.add_(1)
        with (
            pytest.warns(UserWarning, match=r"Error detected in ExpBackward0(.|\n)*# needs its result"),
            pytest.raises(RuntimeError, match="modified by an inplace operation"),
        ):
            y.sum().backward()


def test_functions_are_traced() -> None:
    class Wrong(ng.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            return grad * float("nan")

    x = ng.ones(2, requires_grad=True)
    with set_detect_anomaly(True):
        y = Wrong.apply(x)  # here it is
        with (
            pytest.warns(UserWarning, match=r"WrongBackward(.|\n)*# here it is"),
            pytest.raises(RuntimeError, match="'WrongBackward' returned nan"),
        ):
            y.sum().backward()


def test_a_forward_outside_of_the_mode_is_said_to_be_unknown() -> None:
    x = ng.tensor([-1.0], requires_grad=True)
    y = ng.sqrt(x)
    with (
        set_detect_anomaly(True),
        pytest.warns(UserWarning, match="No forward pass information available"),
        pytest.raises(RuntimeError, match="returned nan"),
    ):
        y.sum().backward()


def test_second_derivatives_name_the_first_backward() -> None:
    class Odd(ng.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * 1

        @staticmethod
        def backward(ctx, grad):
            return grad + ctx.saved_tensors[0].sqrt() * 0

    x = ng.tensor([0.0], requires_grad=True)
    with set_detect_anomaly(True):
        (first,) = ng.autograd.grad(Odd.apply(x).sum(), x, create_graph=True)
        with (
            pytest.warns(UserWarning, match="SqrtBackward0(.|\n)*in the backward of OddBackward"),
            pytest.raises(RuntimeError, match="returned nan"),
        ):
            ng.autograd.grad(first.sum(), x)


def test_switches() -> None:
    with pytest.warns(UserWarning, match="Anomaly Detection has been enabled"):
        context = detect_anomaly(check_nan=False)
    assert not is_anomaly_enabled()
    with context:
        assert is_anomaly_enabled()
        assert not is_anomaly_check_nan_enabled()
    assert not is_anomaly_enabled()
    assert is_anomaly_check_nan_enabled()
    assert backward.monitor is None
    assert not dispatch.node_watchers


def test_infinity_is_no_anomaly_and_other_threads_go_on() -> None:
    x = ng.tensor([0.0], requires_grad=True)
    with set_detect_anomaly(True), warnings.catch_warnings():
        thread = threading.Thread(target=lambda: ng.sqrt(x).sum().backward())
        thread.start()
        thread.join()
    assert x.grad.tolist() == [float("inf")]
