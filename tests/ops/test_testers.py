"""The checks of gradients themselves: a gradient that is wrong by 0.05 % must not pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import scalar
from numgrad.autograd import GradcheckError, gradcheck, gradgradcheck
from numgrad.ops.family import Elementwise
from tests.ops.applying import agree, directional

WRONG = 1.0005


class _Planted(Elementwise):
    """Reads its input in a backward that is a Python function."""

    def saves_for(self, needs: tuple[bool, ...]) -> tuple[str, ...]:
        return self.saves

    def saved_names(self) -> dict[str, int]:
        return {"input": 0}


def sine(slope: float, curvature: float) -> Elementwise:
    """A sine whose first and second derivatives are off by these factors; in no registry."""
    op = _Planted("planted_sine", register=False, doc="A sine.")

    @op.forward
    def _(x):  # type: ignore[no-untyped-def]
        return scalar.sin(x)

    inner = _Planted("planted_cosine", register=False, doc="A cosine.")

    @inner.forward
    def _(x):  # type: ignore[no-untyped-def]
        return scalar.cos(x)

    inner.backward_function = lambda ctx, g: (g * (-curvature * ng.sin(ctx.saved[0])),)
    op.backward_function = lambda ctx, g: (g * (slope * inner(ctx.saved[0])),)
    op.saves = inner.saves = ("input",)
    return op


def argument() -> Any:
    return ng.tensor(np.linspace(-1.0, 0.7, 6).reshape(2, 3), requires_grad=True)


def test_a_right_gradient_passes() -> None:
    assert gradcheck(sine(1.0, 1.0), argument(), rtol=1e-5)
    assert gradgradcheck(sine(1.0, 1.0), argument(), rtol=1e-5)
    assert agree(*directional(lambda x: (sine(1.0, 1.0)(x),), [argument()]))


def test_a_wrong_gradient_does_not_pass() -> None:
    wrong = sine(WRONG, 1.0)
    with pytest.raises(GradcheckError, match="Jacobian mismatch for output 0 with respect to input 0"):
        gradcheck(wrong, argument(), rtol=1e-5)
    assert gradcheck(wrong, argument(), rtol=1e-5, raise_exception=False) is False
    assert not agree(*directional(lambda x: (wrong(x),), [argument()]))


def test_a_wrong_second_derivative_does_not_pass() -> None:
    wrong = sine(1.0, WRONG)
    assert gradcheck(wrong, argument(), rtol=1e-5)
    with pytest.raises(GradcheckError, match="Jacobian mismatch"):
        gradgradcheck(wrong, argument(), rtol=1e-5)


def test_a_gradient_of_one_wrong_element_does_not_pass() -> None:
    def function(x: Any) -> Any:
        planted = np.ones((2, 3))
        planted[1, 2] = WRONG
        return x.sin() * ng.tensor(planted) - (x.detach().sin() * ng.tensor(planted - 1))

    with pytest.raises(GradcheckError):
        gradcheck(function, argument(), rtol=1e-5, atol=1e-8)
    assert not agree(*directional(lambda x: (function(x),), [argument()]))


def test_gradcheck_wants_something_to_check() -> None:
    with pytest.raises(ValueError, match="gradcheck expects at least one input tensor to require gradient"):
        gradcheck(ng.sin, ng.ones(2, dtype=ng.float64))
