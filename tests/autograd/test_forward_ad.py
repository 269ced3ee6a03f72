"""Dual tensors: levels, errors, views and changes in place, `Function`; scenarios are run by torch as well."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import numgrad as ng
from numgrad import registry
from numgrad.autograd import duals
from numgrad.autograd import forward_ad as fwAD
from tests.autograd.scenarios import agree
from tests.autograd.test_functional import values


def test_torch_tutorial() -> None:
    def scenario(lib: Any) -> Any:
        fw = lib.autograd.forward_ad
        primal, tangent = lib.tensor([[0.5, -1.0], [2.0, 0.1]]), lib.tensor([[1.0, 2.0], [3.0, 4.0]])
        with fw.dual_level():
            dual_input = fw.make_dual(primal, tangent)
            assert fw.unpack_dual(dual_input).tangent is not None
            plain = primal * 2
            assert fw.unpack_dual(plain).tangent is None
            output = (dual_input**2 + primal.exp()).sum(1)
            jvp = fw.unpack_dual(output).tangent
        assert fw.unpack_dual(output).tangent is None
        return values([output, jvp])

    agree(scenario)


def test_views_and_changes_in_place() -> None:
    def scenario(lib: Any) -> Any:
        fw = lib.autograd.forward_ad
        with fw.dual_level():
            d = fw.make_dual(lib.tensor([1.0, 2.0, 3.0]), lib.tensor([10.0, 20.0, 30.0]))
            y = lib.zeros(2, 3)
            before = y.view(6)
            y[0] = d
            y[1].add_(d * d)
            y.mul_(2)
            row = y[1]
            row[0] = 7.0
            z = d * 1
            window = z[:2]
            z.mul_(d)
            window.neg_()
            found = [y, before, row, z, window]
            return values([[fw.unpack_dual(each)[0], fw.unpack_dual(each)[1]] for each in found])

    agree(scenario)


def test_forward_over_reverse_and_reverse_over_forward() -> None:
    def scenario(lib: Any) -> Any:
        fw, grad = lib.autograd.forward_ad, lib.autograd.grad
        x = lib.tensor([0.3, 0.7, 1.1], requires_grad=True)
        v = lib.tensor([1.0, -2.0, 0.5])

        def f(x: Any) -> Any:
            return (x.exp() * x.sin()).sum() + x.sigmoid().prod()

        with fw.dual_level():
            d = fw.make_dual(x, v)
            (g,) = grad(f(d), d)
            forward_over_reverse = fw.unpack_dual(g).tangent
        with fw.dual_level():
            t = fw.unpack_dual(f(fw.make_dual(x, v))).tangent
        (reverse_over_forward,) = grad(t, x)
        return values([forward_over_reverse, reverse_over_forward])

    agree(scenario)


def test_a_function_with_jvp() -> None:
    def scenario(lib: Any) -> Any:
        class Scaled(lib.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Any, y: Any) -> Any:
                ctx.save_for_forward(x, y)
                ctx.save_for_backward(x, y)
                return x * y

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                x, y = ctx.saved_tensors
                return g * y, g * x

            @staticmethod
            def jvp(ctx: Any, to_x: Any, to_y: Any) -> Any:
                x, y = ctx.saved_tensors
                return to_x * y + (0 if to_y is None else to_y * x)

        fw = lib.autograd.forward_ad
        x, y = lib.tensor([1.0, 2.0], requires_grad=True), lib.tensor([3.0, 4.0])
        with fw.dual_level():
            out = Scaled.apply(fw.make_dual(x, lib.ones(2)), y)
            tangent = fw.unpack_dual(out * out).tangent
        return values([out, tangent, lib.autograd.grad(out.sum(), x)])

    agree(scenario)


def test_a_function_without_jvp_says_so() -> None:
    class Doubled(ng.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2

    with fwAD.dual_level():
        d = fwAD.make_dual(ng.ones(2), ng.ones(2))
        with pytest.raises(NotImplementedError, match="must implement the jvp function"):
            Doubled.apply(d)
        assert Doubled.apply(ng.ones(2)).tolist() == [2.0, 2.0]


def test_an_op_without_a_rule_says_so_by_name() -> None:
    def forward(x: Any, out: Any) -> None:
        for i in range(x.shape[0]):
            out[i] = x[i]

    def backward(grad_out: Any, grad_x: Any) -> None:
        for i in range(grad_x.shape[0]):
            grad_x[i] = grad_out[i]

    op = ng.custom_op("no_tangent", forward, backward)
    try:
        with fwAD.dual_level():
            d = fwAD.make_dual(ng.ones(2), ng.ones(2))
            with pytest.raises(NotImplementedError, match="forward AD with no_tangent that does not support it"):
                op(d)
            op.linear_in("x")
            assert fwAD.unpack_dual(op(d)).tangent.tolist() == [1.0, 1.0]
    finally:
        del registry.OPS["no_tangent"]


def test_refusals() -> None:
    x = ng.ones(3)
    with pytest.raises(RuntimeError, match="no level exists"):
        fwAD.make_dual(x, x)
    with pytest.raises(RuntimeError, match="no level is open"):
        fwAD.exit_dual_level()
    with fwAD.dual_level() as level:
        for primal, tangent, error, text in (
            (x, ng.ones(2), RuntimeError, "different size"),
            (x, ng.ones(3, dtype=ng.float64), RuntimeError, "the tangent is of numgrad.float64"),
            (x.long(), x, ValueError, "Expected primal to be floating point"),
            (x, x.long(), ValueError, "Expected tangent to be floating point"),
            (x, 1.0, TypeError, "Expected tangent to be a Tensor"),
            (fwAD.make_dual(x, x), x, RuntimeError, "already has a forward gradient at the same level 0"),
        ):
            with pytest.raises(error, match=text):
                fwAD.make_dual(primal, tangent)  # type: ignore[arg-type]
        with fwAD.dual_level(), pytest.raises(RuntimeError, match="not the last one"):
            fwAD.exit_dual_level(level=level)
        with pytest.raises(RuntimeError, match="level 3 is not open"):
            fwAD.unpack_dual(x, level=3)
    assert not registry.is_wrapped()


def test_detach_takes_the_tangent_away() -> None:
    with fwAD.dual_level():
        d = fwAD.make_dual(ng.ones(2), ng.ones(2))
        assert fwAD.unpack_dual(d.detach()).tangent is None
        assert fwAD.unpack_dual(d.long()).tangent is None
        assert fwAD.unpack_dual(fwAD.unpack_dual(d).primal).tangent is None
        assert fwAD.unpack_dual(d.round()).tangent.tolist() == [0.0, 0.0]


def test_the_given_tangent_is_not_changed() -> None:
    tangent = ng.ones(2)
    with fwAD.dual_level():
        d = fwAD.make_dual(ng.ones(2), tangent) * 1
        e = d + 1
        d.view(2).mul_(3)
        assert fwAD.unpack_dual(e).tangent.tolist() == [1.0, 1.0]
        dual = fwAD.make_dual(ng.ones(2), tangent)
        dual.mul_(5)
        assert fwAD.unpack_dual(dual).tangent.tolist() == [5.0, 5.0]
    assert tangent.tolist() == [1.0, 1.0]


def test_levels_do_not_see_each_other() -> None:
    """d/dx (x * d/dy (x + y)) is 1: the inner tangent of x is no tangent of y."""
    x, one = ng.tensor(2.0), ng.tensor(1.0)
    with fwAD.dual_level():
        outer = fwAD.make_dual(x, one)
        with fwAD.dual_level():
            inner = fwAD.unpack_dual(outer + fwAD.make_dual(ng.tensor(3.0), one)).tangent
        assert fwAD.unpack_dual(outer * inner).tangent.item() == 1.0


def test_levels_belong_to_their_thread() -> None:
    seen = []
    with fwAD.dual_level():
        d = fwAD.make_dual(ng.ones(2), ng.ones(2))

        def other() -> None:
            seen.append(fwAD.unpack_dual(d * 2).tangent)
            with fwAD.dual_level():
                seen.append(fwAD.unpack_dual(fwAD.make_dual(d, ng.ones(2)) * 3).tangent.tolist())

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert fwAD.unpack_dual(d * 2).tangent.tolist() == [2.0, 2.0]
    assert seen == [None, [3.0, 3.0]]


def test_tensors_are_not_kept_alive() -> None:
    with fwAD.dual_level():
        d = fwAD.make_dual(ng.ones(2), ng.ones(2))
        level = duals.state.levels[-1]
        for _ in range(5):
            y = d * 2
        del y
        assert len(level.table) == 1
