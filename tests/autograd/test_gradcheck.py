"""`gradcheck` and `gradgradcheck` find what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

import numgrad as ng
from numgrad.autograd import Function, GradcheckError, gradcheck, gradgradcheck


def wrong(factor: float, second: float = 1.0, constant: bool = False) -> Any:
    """x³ with a first derivative that is wrong by a factor, and a second derivative that is wrong by another."""

    class First(Function):
        @staticmethod
        def forward(ctx: Any, x: Any, grad: Any) -> Any:
            ctx.save_for_backward(x, grad)
            return grad * 3 * x * x * factor

        @staticmethod
        def backward(ctx: Any, outer: Any) -> Any:
            x, grad = ctx.saved_tensors
            return outer * grad * 6 * x * second, outer * 3 * x * x

    class Cube(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            (x,) = ctx.saved_tensors
            if constant:
                return (grad * 3 * x * x).detach()
            return First.apply(x, grad)

    return Cube.apply


def values(*shape: int) -> ng.Tensor:
    ng.manual_seed(0)
    return (ng.rand(*shape, dtype=ng.float64) + 0.5).requires_grad_()


@pytest.mark.parametrize("fast_mode", [False, True])
def test_half_a_per_mille_is_found(fast_mode: bool) -> None:
    x = values(4)
    assert gradcheck(wrong(1), x, fast_mode=fast_mode)
    for factor in (1.0005, 0.9995):
        with pytest.raises(GradcheckError, match="Jacobian mismatch for output 0 with respect to input 0"):
            gradcheck(wrong(factor), x, fast_mode=fast_mode)
        assert not gradcheck(wrong(factor), x, fast_mode=fast_mode, raise_exception=False)


@pytest.mark.parametrize("fast_mode", [False, True])
def test_half_a_per_mille_in_the_second_derivative_is_found(fast_mode: bool) -> None:
    x = values(4)
    assert gradgradcheck(wrong(1), x, fast_mode=fast_mode)
    for second in (1.0005, 0.9995):
        assert gradcheck(wrong(1, second), x)
        with pytest.raises(GradcheckError, match="Jacobian mismatch"):
            gradgradcheck(wrong(1, second), x, fast_mode=fast_mode)
        assert not gradgradcheck(wrong(1, second), x, fast_mode=fast_mode, raise_exception=False)


@pytest.mark.parametrize("fast_mode", [False, True])
def test_half_a_per_mille_is_found_behind_changes_in_place(fast_mode: bool) -> None:
    def function(factor: float, second: float = 1.0) -> Any:
        cube = wrong(factor, second)

        def changed(x: ng.Tensor) -> ng.Tensor:
            y = x * 2
            early = y.t()
            y[1] = cube(y[0].clone())
            y[:, 1].mul_(early[0])
            early.view(-1)[::3] += 1
            y[ng.tensor([0, 2]), 1] = y[2, :2]
            y.masked_fill_(x > 1.4, 0.5)
            return early * y.t()

        return changed

    x = values(3, 3).detach().t().requires_grad_()
    assert gradcheck(function(1), x, fast_mode=fast_mode)
    assert gradgradcheck(function(1), x, fast_mode=fast_mode)
    with pytest.raises(GradcheckError, match="Jacobian mismatch"):
        gradcheck(function(1.0005), x, fast_mode=fast_mode)
    with pytest.raises(GradcheckError, match="Jacobian mismatch"):
        gradgradcheck(function(1, 1.0005), x, fast_mode=fast_mode)


def test_a_second_derivative_that_was_cut_off_is_found() -> None:
    x = values(3)
    assert gradcheck(wrong(1, constant=True), x)
    with pytest.raises(GradcheckError, match="expected to be zero"):
        gradgradcheck(wrong(1, constant=True), x)


def test_one_wrong_element_is_found() -> None:
    class Wrong(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            found = (grad * 2).clone()
            found[7] = found[7] * 1.0005
            return found

    with pytest.raises(GradcheckError):
        gradcheck(Wrong.apply, values(20))


def test_an_output_that_forgot_its_gradient_is_found() -> None:
    with pytest.raises(GradcheckError, match="expected to be zero"):
        gradcheck(lambda x: x.detach() * 2, values(3))
    assert gradcheck(lambda x: x.detach() * 0 + 1, values(3))


def test_a_backward_that_is_not_repeatable_is_found() -> None:
    calls = []

    class Drifting(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            calls.append(1)
            return grad * 2 + len(calls) * 1e-9

    with pytest.raises(GradcheckError, match="not reentrant"):
        gradcheck(Drifting.apply, values(2))
    assert gradcheck(Drifting.apply, values(2), nondet_tol=1e-6)


def test_layouts_numbers_and_several_inputs_and_outputs() -> None:
    strided = values(3, 4)[:, ::2].detach().requires_grad_()
    shared = ng.tensor([[2.0]], dtype=ng.float64).expand(3, 2).detach().requires_grad_()
    before = strided.tolist()

    def f(x: Any, y: Any, factor: float, mask: Any) -> Any:
        return (x * y * factor).sin(), x.t() + 1, mask

    arguments = (strided, shared, 3.0, ng.ones(3))
    for fast_mode in (False, True):
        assert gradcheck(f, arguments, fast_mode=fast_mode, check_batched_grad=True, check_grad_dtypes=True)
        assert gradgradcheck(f, arguments, fast_mode=fast_mode, gen_non_contig_grad_outputs=True)
    assert strided.tolist() == before
    assert strided.stride() == (4, 2)


def test_given_cotangents() -> None:
    assert gradgradcheck(ng.exp, values(2), ng.ones(2, dtype=ng.float64))


def test_float32_warns() -> None:
    x = ng.tensor([1.0], requires_grad=True)
    with pytest.warns(UserWarning, match="Input #0 requires gradient and is not a double precision"):
        gradcheck(ng.exp, x, eps=1e-2, atol=1e-2, rtol=1e-2)


def test_refusals() -> None:
    x = values(2)
    with pytest.raises(ValueError, match="expects at least one input tensor to require gradient"):
        gradcheck(ng.exp, x.detach())
    with pytest.raises(NotImplementedError, match="masked"):
        gradcheck(ng.exp, x, masked=True)


@pytest.mark.parametrize("fast_mode", [False, True])
def test_forward_mode_is_checked(fast_mode: bool) -> None:
    def right(x: Any, y: Any) -> Any:
        return (x * y).sin(), x.exp().sum()

    inputs = values(3), values(3)
    assert gradcheck(right, inputs, check_forward_ad=True, check_batched_forward_grad=True, fast_mode=fast_mode)
    assert gradgradcheck(right, inputs, check_fwd_over_rev=True, fast_mode=fast_mode)

    class Wrong(ng.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return grad * 2 * ctx.saved_tensors[0]

        @staticmethod
        def jvp(ctx: Any, tangent: Any) -> Any:
            return tangent * 2.001 * ctx.saved_tensors[0]

    assert gradcheck(Wrong.apply, inputs[0], fast_mode=fast_mode)
    with pytest.raises(GradcheckError, match="Jacobian mismatch"):
        gradcheck(Wrong.apply, inputs[0], check_forward_ad=True, fast_mode=fast_mode)
