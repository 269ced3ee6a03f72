"""`autograd.Function`; each scenario is run by torch as well."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad.autograd import Function
from tests.autograd.scenarios import agree


def cube(lib: Any) -> Any:
    class Cube(lib.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, scale: float) -> Any:
            ctx.scale = scale
            ctx.save_for_backward(x)
            return x * x * x * scale

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            (x,) = ctx.saved_tensors
            return grad * 3 * x * x * ctx.scale, None

    return Cube


def test_gradient_and_second_derivative() -> None:
    def scenario(lib: Any) -> Any:
        x = lib.tensor([1.0, 2.0], requires_grad=True)
        y = cube(lib).apply(x, 2.0)
        (first,) = lib.autograd.grad(y.sum(), x, create_graph=True)
        (second,) = lib.autograd.grad(first.sum(), x)
        return y.tolist(), first.tolist(), second.tolist(), y.grad_fn.name()

    agree(scenario, ([2.0, 16.0], [6.0, 24.0], [12.0, 24.0], "CubeBackward"))


def test_gradgradcheck() -> None:
    x = ng.tensor([1.0, 2.0], dtype=ng.float64, requires_grad=True)
    assert ng.autograd.gradcheck(lambda t: cube(ng).apply(t, 2.0), x)
    assert ng.autograd.gradgradcheck(lambda t: cube(ng).apply(t, 2.0), x)


def test_saved_outputs_are_part_of_the_graph() -> None:
    def scenario(lib: Any) -> Any:
        class Exp(lib.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Any) -> Any:
                out = x.exp()
                ctx.save_for_backward(out)
                return out

            @staticmethod
            def backward(ctx: Any, grad: Any) -> Any:
                return grad * ctx.saved_tensors[0]

        x = lib.tensor([0.5], requires_grad=True)
        (first,) = lib.autograd.grad(Exp.apply(x).sum(), x, create_graph=True)
        (second,) = lib.autograd.grad(first.sum(), x, create_graph=True)
        (third,) = lib.autograd.grad(second.sum(), x)
        return first.tolist(), second.tolist(), third.tolist()

    agree(scenario)


def test_setup_context_and_vjp() -> None:
    def scenario(lib: Any) -> Any:
        class Scale(lib.autograd.Function):
            @staticmethod
            def forward(x: Any, factor: float) -> Any:
                return x * factor

            @staticmethod
            def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
                _, ctx.factor = inputs

            @staticmethod
            def vjp(ctx: Any, grad: Any) -> Any:
                return grad * ctx.factor, None

        x = lib.ones(2, requires_grad=True)
        Scale.apply(x, 3.0).sum().backward()
        return x.grad.tolist()

    agree(scenario, [3.0, 3.0])


def test_several_outputs_and_what_nobody_used() -> None:
    def scenario(lib: Any) -> Any:
        seen = []

        class Pair(lib.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Any, y: Any, materialize: bool) -> Any:
                seen.append(ctx.needs_input_grad)
                ctx.set_materialize_grads(materialize)
                ctx.save_for_backward(x, None, y)
                return x * y, x + y

            @staticmethod
            def backward(ctx: Any, product: Any, total: Any) -> Any:
                x, none, y = ctx.saved_tensors
                seen.append((none is None, None if total is None else total.tolist()))
                return product * y, product * x, None

        x, y = lib.tensor([2.0], requires_grad=True), lib.tensor([5.0])
        for materialize in (True, False):
            product, total = Pair.apply(x, y, materialize)
            seen.append((total.requires_grad, total.tolist()))
            product.sum().backward()
        return seen, x.grad.tolist()

    agree(scenario)


def test_non_differentiable_and_integer_outputs() -> None:
    def scenario(lib: Any) -> Any:
        class Both(lib.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Any) -> Any:
                flags = x * 0
                ctx.mark_non_differentiable(flags)
                return x * 2, flags, (x * 3).long()

            @staticmethod
            def backward(ctx: Any, grad: Any, *others: Any) -> Any:
                return grad * 2

        x = lib.ones(2, requires_grad=True)
        out, flags, integers = Both.apply(x)
        out.sum().backward()
        return out.requires_grad, flags.requires_grad, integers.requires_grad, x.grad.tolist()

    agree(scenario, (True, False, False, [2.0, 2.0]))


def test_changes_in_place_that_are_marked() -> None:
    def scenario(lib: Any) -> Any:
        class AddOne(lib.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Any) -> Any:
                ctx.mark_dirty(x)
                x.add_(1)
                return x

            @staticmethod
            def backward(ctx: Any, grad: Any) -> Any:
                return grad * 10

        x = lib.ones(2, requires_grad=True)
        y = x * 2
        z = AddOne.apply(y)
        same = z is y
        (z * z).sum().backward()
        refused = False
        try:
            AddOne.apply(x)
        except RuntimeError as error:
            refused = "leaf Variable that requires grad" in str(error)
        return same, x.grad.tolist(), refused

    agree(scenario, (True, [120.0, 120.0], True))


def test_an_input_that_comes_out_is_another_tensor() -> None:
    def scenario(lib: Any) -> Any:
        class Reverse(lib.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Any) -> Any:
                return x

            @staticmethod
            def backward(ctx: Any, grad: Any) -> Any:
                return -grad

        x = lib.ones(2, requires_grad=True)
        y = Reverse.apply(x)
        y.sum().backward()
        with lib.no_grad():
            plain = Reverse.apply(x)
        return y is x, x.is_leaf, x.grad.tolist(), plain.requires_grad and plain is not x

    ours = scenario(ng)
    assert ours[:3] == (False, True, [-1.0, -1.0])


def test_broadcast_gradients_are_summed() -> None:
    def scenario(lib: Any) -> Any:
        class Add(lib.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Any, y: Any) -> Any:
                return x + y

            @staticmethod
            def backward(ctx: Any, grad: Any) -> Any:
                return grad, grad

        x, y = lib.ones(2, 3, requires_grad=True), lib.ones(3, requires_grad=True)
        Add.apply(x, y).sum().backward()
        return x.grad.tolist(), y.grad.tolist()

    agree(scenario)


@pytest.mark.parametrize("constant", [True, False], ids=["constant gradient", "gradient that is tracked"])
def test_once_differentiable(constant: bool) -> None:
    class Square(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @ng.autograd.function.once_differentiable
        def backward(ctx: Any, grad: Any) -> Any:
            return 2 * grad * ctx.saved_tensors[0]

    x = ng.tensor([3.0], requires_grad=True)
    y = Square.apply(x) * (1 if constant else x)
    (first,) = ng.autograd.grad(y.sum(), x, create_graph=True)
    assert first.tolist() == [6.0 if constant else 27.0]
    with pytest.raises(RuntimeError, match="trying to differentiate twice .* @once_differentiable"):
        ng.autograd.grad(first.sum(), x)


def test_numpy_inside() -> None:
    class Sort(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.order = np.argsort(x.detach().numpy())
            return ng.from_numpy(x.detach().numpy()[ctx.order])

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            back = np.empty_like(grad.numpy())
            back[ctx.order] = grad.numpy()
            return ng.from_numpy(back)

    x = ng.tensor([3.0, 1.0, 2.0], requires_grad=True)
    (Sort.apply(x) * ng.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert x.grad.tolist() == [100.0, 1.0, 10.0]


def returning(result: Any) -> Any:
    class Returning(Function):
        @staticmethod
        def forward(ctx: Any, x: Any, number: int = 0) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return result(grad)

    return Returning


@pytest.mark.parametrize(
    ("result", "args", "text"),
    [
        (lambda g: (g, g), (), r"ReturningBackward returned an incorrect number of gradients \(expected 1, got 2\)"),
        (lambda g: g, (1,), r"returned an incorrect number of gradients \(expected 2, got 1\)"),
        (
            lambda g: (g, g),
            (1,),
            "returned a gradient different than None at position 2, but the corresponding forward input",
        ),
        (lambda g: g[:2], (), r"invalid gradient at index 0 - got \[2\] but expected shape compatible with \[3\]"),
    ],
)
def test_what_backward_returns_is_checked(result: Any, args: Any, text: str) -> None:
    x = ng.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match=text):
        returning(result).apply(x, *args).sum().backward()
    assert x.grad is None


def test_more_refusals() -> None:
    class NoBackward(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

    class SavesANumber(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(3)
            return x

    x = ng.ones(3, requires_grad=True)
    with pytest.raises(NotImplementedError, match="either the backward or vjp method"):
        NoBackward.apply(x).sum().backward()
    with pytest.raises(TypeError, match="can only save variables, but argument 0 is of type int"):
        SavesANumber.apply(x)
    with pytest.raises(NotImplementedError, match="must implement the forward"):
        Function.apply(x)
    y = cube(ng).apply(x, 1.0)
    y.sum().backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        y.sum().backward()


def test_a_saved_tensor_that_was_changed_is_noticed() -> None:
    x = ng.ones(3, requires_grad=True)
    y = x * 2
    z = cube(ng).apply(y, 1.0)
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


def test_what_a_backward_returns_stays_the_user_s() -> None:
    kept = ng.tensor([1.0, 2.0])

    class Constant(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return kept

    x = ng.ones(2, requires_grad=True)
    for _ in range(2):
        Constant.apply(x).sum().backward()
    assert (kept.tolist(), x.grad.tolist()) == ([1.0, 2.0], [2.0, 4.0])


def test_no_cycle_keeps_the_graph() -> None:
    x = ng.ones(2, requires_grad=True)

    class Exp(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            out = x.exp()
            ctx.save_for_backward(x, out)
            return out

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return grad * ctx.saved_tensors[1]

    gc.collect()
    gc.disable()
    try:
        y = Exp.apply(x)
        node = weakref.ref(y.grad_fn)
        del y
        assert node() is None
    finally:
        gc.enable()


def test_saved_tensors_hooks_see_functions() -> None:
    packed = []
    x = ng.tensor([1.0, 2.0], requires_grad=True)
    with ng.autograd.graph.saved_tensors_hooks(lambda t: packed.append(1) or t.tolist(), ng.tensor):
        y = cube(ng).apply(x, 2.0)
        (first,) = ng.autograd.grad(y.sum(), x, create_graph=True)
        (second,) = ng.autograd.grad(first.sum(), x)
    assert packed
    assert (first.tolist(), second.tolist()) == ([6.0, 24.0], [12.0, 24.0])
