"""The tutorial on custom functions that can be differentiated twice: what has to be saved, and how."""

from __future__ import annotations

from typing import Any

import pytest

import numgrad as ng
from numgrad.autograd import Function, GradcheckError, gradcheck, gradgradcheck


@pytest.fixture
def x() -> ng.Tensor:
    ng.manual_seed(0)
    return ng.rand(3, 3, dtype=ng.float64, requires_grad=True)


def test_saving_an_input(x: ng.Tensor) -> None:
    class Square(Function):
        @staticmethod
        def forward(ctx: Any, x: ng.Tensor) -> ng.Tensor:
            ctx.save_for_backward(x)  # an input's history is the caller's, so that all is well
            return x**2

        @staticmethod
        def backward(ctx: Any, grad_out: ng.Tensor) -> ng.Tensor:
            (x,) = ctx.saved_tensors
            return grad_out * 2 * x

    assert gradcheck(Square.apply, x)
    assert gradgradcheck(Square.apply, x)
    (grad_x,) = ng.autograd.grad(Square.apply(x).sum(), x, create_graph=True)
    dot = ng.viz.graph([grad_x], {"x": x}).dot
    assert "Mul" in dot
    assert 'label="x' in dot


def test_saving_an_output(x: ng.Tensor) -> None:
    class Exp(Function):
        @staticmethod
        def forward(ctx: Any, x: ng.Tensor) -> ng.Tensor:
            result = ng.exp(x)
            ctx.save_for_backward(result)  # an output's history is this very function
            return result

        @staticmethod
        def backward(ctx: Any, grad_out: ng.Tensor) -> ng.Tensor:
            (result,) = ctx.saved_tensors
            return result * grad_out

    assert gradcheck(Exp.apply, x)
    assert gradgradcheck(Exp.apply, x)


def test_saving_what_is_neither_means_to_return_it(x: ng.Tensor) -> None:
    class Sinh(Function):
        @staticmethod
        def forward(ctx: Any, x: ng.Tensor) -> Any:
            expx, expnegx = ng.exp(x), ng.exp(-x)
            ctx.save_for_backward(expx, expnegx)
            return (expx - expnegx) / 2, expx, expnegx  # as outputs they have a history

        @staticmethod
        def backward(ctx: Any, grad_out: ng.Tensor, from_exp: ng.Tensor, from_negexp: ng.Tensor) -> ng.Tensor:
            expx, expnegx = ctx.saved_tensors
            grad_input = grad_out * (expx + expnegx) / 2
            grad_input = grad_input + from_exp * expx  # they are used again, by the second backward
            return grad_input - from_negexp * expnegx

    def sinh(x: ng.Tensor) -> ng.Tensor:
        return Sinh.apply(x)[0]

    assert gradcheck(sinh, x)
    assert gradgradcheck(sinh, x)


def test_what_is_saved_without_being_returned_is_a_constant(x: ng.Tensor) -> None:
    class SinhBad(Function):
        @staticmethod
        def forward(ctx: Any, x: ng.Tensor) -> ng.Tensor:
            expx, expnegx = ng.exp(x), ng.exp(-x)
            ctx.expx, ctx.expnegx = expx, expnegx
            return (expx - expnegx) / 2

        @staticmethod
        def backward(ctx: Any, grad_out: ng.Tensor) -> ng.Tensor:
            return grad_out * (ctx.expx + ctx.expnegx) / 2

    assert gradcheck(SinhBad.apply, x)
    with pytest.raises(GradcheckError):
        gradgradcheck(SinhBad.apply, x)


def test_a_backward_that_cannot_be_followed_is_a_function_of_its_own(x: ng.Tensor) -> None:
    def cube_forward(x: ng.Tensor) -> ng.Tensor:
        return ng.from_numpy(x.detach().numpy() ** 3)

    def cube_backward(grad_out: ng.Tensor, x: ng.Tensor) -> ng.Tensor:
        return ng.from_numpy(grad_out.detach().numpy() * 3 * x.detach().numpy() ** 2)

    def cube_backward_backward(grad_out: ng.Tensor, sav_grad_out: ng.Tensor, x: ng.Tensor) -> ng.Tensor:
        return grad_out * sav_grad_out * 6 * x

    def cube_backward_backward_grad_out(grad_out: ng.Tensor, x: ng.Tensor) -> ng.Tensor:
        return grad_out * 3 * x**2

    class Cube(Function):
        @staticmethod
        def forward(ctx: Any, x: ng.Tensor) -> ng.Tensor:
            ctx.save_for_backward(x)
            return cube_forward(x)

        @staticmethod
        def backward(ctx: Any, grad_out: ng.Tensor) -> ng.Tensor:
            (x,) = ctx.saved_tensors
            return CubeBackward.apply(grad_out, x)

    class CubeBackward(Function):
        @staticmethod
        def forward(ctx: Any, grad_out: ng.Tensor, x: ng.Tensor) -> ng.Tensor:
            ctx.save_for_backward(x, grad_out)
            return cube_backward(grad_out, x)

        @staticmethod
        def backward(ctx: Any, grad_out: ng.Tensor) -> Any:
            x, sav_grad_out = ctx.saved_tensors
            dx = cube_backward_backward(grad_out, sav_grad_out, x)
            return cube_backward_backward_grad_out(grad_out, x), dx

    assert gradcheck(Cube.apply, x)
    assert gradgradcheck(Cube.apply, x)
