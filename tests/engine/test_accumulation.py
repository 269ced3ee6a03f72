"""What arrives in ``.grad``: the sum over backwards, in memory that nobody else has."""

from __future__ import annotations

import numpy as np
import pytest

import numgrad as ng
from numgrad.runtime.memory import memory_stats, reset_peak


def leaf(*values: float) -> ng.Tensor:
    return ng.tensor(values, dtype=ng.float64, requires_grad=True)


def shares_memory(a: ng.Tensor, b: ng.Tensor) -> bool:
    return bool(np.shares_memory(a.detach().numpy(), b.detach().numpy()))


def test_backwards_add_up_in_place() -> None:
    x = leaf(1.0, 2.0)
    (x * 3).sum().backward()
    first = x.grad
    (x * x).sum().backward()
    assert x.grad is first, "the second gradient is added where the first one lies"
    np.testing.assert_array_equal(x.grad.numpy(), [5.0, 7.0])


def test_grads_of_two_leaves_share_no_memory() -> None:
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (x + y).sum().backward()
    assert not shares_memory(x.grad, y.grad)
    x.grad.zero_()
    np.testing.assert_array_equal(y.grad.numpy(), [1.0, 1.0])


def test_the_external_gradient_is_not_aliased() -> None:
    x, external = leaf(1.0, 2.0), ng.tensor([1.0, 1.0], dtype=ng.float64)
    (x + 0.0).backward(gradient=external)
    assert not shares_memory(x.grad, external)
    x.grad.mul_(5)
    np.testing.assert_array_equal(external.numpy(), [1.0, 1.0])


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.view(1, -1),
        lambda x: x.t() if x.ndim == 2 else x.unsqueeze(0),
        lambda x: x[1:],
        lambda x: x.expand(3, 3),
        lambda x: x.clone(),
        lambda x: x + ng.ones(3, dtype=ng.float64),
        lambda x: ng.cat([x, x]),
    ],
)
def test_the_external_gradient_survives_an_op_that_passes_it_on(function: object) -> None:
    x = leaf(1.0, 2.0, 3.0)
    out = function(x)  # type: ignore[operator]
    external = ng.full(tuple(out.shape), 2.0, dtype=ng.float64)
    out.backward(external)
    before = external.numpy().copy()
    assert not shares_memory(x.grad, external)
    x.grad.fill_(7)
    np.testing.assert_array_equal(external.numpy(), before)


def test_a_tensor_used_twice_gets_both_parts() -> None:
    x = leaf(2.0)
    y = x * x
    (y + y + x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [9.0])


def test_a_leaf_that_is_the_root() -> None:
    x = leaf(2.0)
    x.backward()
    np.testing.assert_array_equal(x.grad.numpy(), [1.0])


def test_several_roots_add_up() -> None:
    x = leaf(1.0, 2.0)
    shared = x * 2
    ng.autograd.backward([shared.sum(), (shared * x).sum()], [None, ng.tensor(10.0, dtype=ng.float64)])
    np.testing.assert_array_equal(x.grad.numpy(), [42.0, 82.0])


def test_gradients_have_the_dtype_and_the_layout_of_the_leaf() -> None:
    x = ng.rand(3, 4).t().requires_grad_()
    assert x.is_leaf
    (x * ng.rand(4, 3)).sum().backward()
    assert x.grad.dtype is ng.float32
    assert x.grad.shape == x.shape
    y = ng.rand(2, requires_grad=True)
    (y.to(ng.float64) * 2).sum().backward()
    assert y.grad.dtype is ng.float32


def test_the_gradient_of_a_leaf_with_gaps_is_in_rows_and_no_copy() -> None:
    def most_memory(x: ng.Tensor) -> int:
        out = x.requires_grad_() * 2
        grad = ng.ones_like(out)
        before = memory_stats()["live"]
        reset_peak()
        out.backward(grad)
        assert x.grad.is_contiguous()
        np.testing.assert_array_equal(x.grad.numpy(), np.full((64, 64), 2.0))
        return memory_stats()["peak"] - before

    dense = most_memory(ng.zeros(64, 64))
    assert 64 * 64 * 4 <= dense < 2 * 64 * 64 * 4
    assert most_memory(ng.zeros(64, 128)[:, ::2]) == dense


def test_a_leaf_that_needs_no_gradient_gets_none() -> None:
    x, y = leaf(1.0), ng.tensor([2.0], dtype=ng.float64)
    (x * y).sum().backward()
    assert y.grad is None


def test_gradients_can_be_taken_away_and_come_again() -> None:
    x = leaf(1.0)
    (x * 2).sum().backward()
    x.grad = None
    (x * 3).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [3.0])


def test_a_given_grad_is_added_to_in_place() -> None:
    x, mine = leaf(1.0), ng.tensor([10.0], dtype=ng.float64)
    x.grad = mine
    (x * 3).sum().backward()
    assert x.grad is mine
    np.testing.assert_array_equal(mine.numpy(), [13.0])


def test_backward_into_chosen_leaves_alone() -> None:
    x, y = leaf(1.0), leaf(2.0)
    (x * y).sum().backward(inputs=[x])
    np.testing.assert_array_equal(x.grad.numpy(), [2.0])
    assert y.grad is None


def test_broadcast_gradients_are_summed_to_each_shape() -> None:
    shapes = [(), (1,), (3,), (2, 1), (1, 1, 3), (4, 2, 3)]
    for shape in shapes:
        x = ng.ones(shape, dtype=ng.float64, requires_grad=True)
        (x * ng.ones(4, 2, 3, dtype=ng.float64)).sum().backward()
        assert x.grad.shape == x.shape
        np.testing.assert_array_equal(x.grad.numpy(), np.full(shape, 24 / x.numel()))


def test_who_sees_only_the_sum_costs_no_copy() -> None:
    """A hook for the end of the accumulation sees ``.grad`` itself; one that sees the gradient before may keep it."""
    ops = {}
    kept: list[ng.Tensor] = []
    for register, hook in (
        ("register_post_accumulate_grad_hook", lambda leaf: None),
        ("register_hook", lambda grad: kept.append(grad)),
    ):
        x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
        getattr(x, register)(hook)
        total = (x * y).sum()
        with ng.profiler.profile() as profile:
            total.backward()
        ops[register] = [row.name for row in profile.rows()]
        np.testing.assert_array_equal(x.grad.numpy(), [3.0, 4.0])
    assert "to_strides" not in ops["register_post_accumulate_grad_hook"]
    assert "to_strides" in ops["register_hook"]
    assert not shares_memory(kept[0], x.grad)
