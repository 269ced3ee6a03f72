"""Aliases that are made in unusual ways: no change through one of them may make a gradient silently wrong."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng


class Same(ng.autograd.Function):
    """Returns its input."""

    @staticmethod
    def forward(ctx, x):
        return x

    @staticmethod
    def backward(ctx, grad):
        return grad * 2


class Flat(Same):
    """Returns a view of its input."""

    @staticmethod
    def forward(ctx, x):
        return x.view(-1)

    @staticmethod
    def backward(ctx, grad):
        return (grad * 2).view(2, 2)


class Doubled(ng.autograd.Function):
    """Changes its input in place."""

    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        x.mul_(2)
        return x

    @staticmethod
    def backward(ctx, grad):
        return grad * 2


@pytest.mark.parametrize("function", [Same, Flat])
def test_what_a_function_passes_on_may_not_be_changed(function: Any) -> None:
    x = ng.ones(2, 2, requires_grad=True)
    y = x * 1
    z = function.apply(y)
    with pytest.raises(RuntimeError, match="You can fix this by cloning the output of the custom Function"):
        z.mul_(3)
    with pytest.raises(RuntimeError, match="You can fix this by cloning the output of the custom Function"):
        z[0].mul_(3)
    assert y.tolist() == [[1, 1], [1, 1]]
    y.mul_(3)  # what came in can change, but then what came out can't be used
    with pytest.raises(RuntimeError, match="its base or another view of its base has been modified inplace"):
        z.sum()
    y.sum().backward()
    assert x.grad.tolist() == [[3, 3], [3, 3]]


def test_a_function_may_change_a_view() -> None:
    x = ng.ones(2, 2, requires_grad=True)
    y = x * 1
    row, other = y[0], y.view(-1)
    out = Doubled.apply(row)
    assert out is row
    assert y.tolist() == [[2, 2], [1, 1]]
    (other * ng.tensor([1.0, 2.0, 3.0, 4.0])).sum().backward()
    assert x.grad.tolist() == [[2, 4], [3, 4]]


def test_a_function_may_not_change_what_autograd_cannot_follow() -> None:
    pieces = (ng.ones(4, requires_grad=True) * 1).split(2)
    with pytest.raises(RuntimeError, match="returns multiple views"):
        Doubled.apply(pieces[0])
    leaf = ng.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        Doubled.apply(leaf)
    assert leaf.tolist() == pieces[0].tolist() == [1, 1]


def test_new_data_under_a_graph_is_what_its_backward_reads(torch: ModuleType) -> None:
    for lib in (ng, torch):
        w = lib.tensor([2.0, 3.0], requires_grad=True)
        loss = (w * w).sum()
        data = lib.tensor([20.0, 0.0, 30.0])[::2]
        w.data = data
        data.add_(1)
        assert lib.autograd.grad(loss, w, retain_graph=True)[0].tolist() == [42, 62]
        assert (w._version, data._version) == (0, 1)
        loss.backward()
        assert w.grad.tolist() == [42, 62]  # who changes .data answers for it
        view = lib.ones(3)[1:]
        view.data += 1  # assigns what it is
        view.add_(1)
        assert view._version == view._base._version == 1


@pytest.mark.parametrize("data", [ng.ones(3), ng.ones(2, dtype=ng.float64), ng.ones(1, 2)])
def test_new_data_of_another_shape_or_dtype_under_a_graph_is_noticed(data: ng.Tensor) -> None:
    w = ng.tensor([2.0, 3.0], requires_grad=True)
    loss = (w * w).sum()
    w.data = data
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
    assert w.grad is None


def test_a_change_through_data_is_not_noticed_and_one_through_detach_is() -> None:
    w = ng.tensor([2.0, 3.0], requires_grad=True)
    loss = (w * w).sum()
    w.data.mul_(10)
    assert w._version == 0
    loss.backward()
    assert w.grad.tolist() == [40, 60]  # torch's, too: who changes .data answers for it
    loss = (w * w).sum()
    w.detach().mul_(10)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_data_may_have_another_shape_and_dtype() -> None:
    w = ng.ones(2, requires_grad=True)
    (w * 2).sum().backward()
    w.grad = None
    w.data = ng.ones(3, 2, dtype=ng.float64)
    (w * 2).sum().backward()
    assert w.grad.shape == (3, 2)
    assert w.grad.dtype is ng.float64
    with pytest.raises(TypeError, match="Variable data has to be a tensor, but got list"):
        w.data = [1.0]


def test_detach_in_place_leaves_views_their_histories() -> None:
    x = ng.ones(4, requires_grad=True)
    y = x * 2
    view = y[:2]
    y.detach_()
    assert not y.requires_grad
    (view * 3).sum().backward()
    assert x.grad.tolist() == [6, 6, 0, 0]
    y.zero_()
    assert not view.requires_grad  # it shows what the base has become
    with pytest.raises(RuntimeError, match="Can't detach views in-place"):
        view.detach_()


@pytest.mark.parametrize("cut", [lambda t: t[:, ::2], lambda t: t.t()[1:], lambda t: t[1:, 1:]])
def test_the_base_may_have_gaps(cut: Callable[[Any], Any], torch: Any) -> None:
    found = []
    for lib in (ng, torch):
        w = lib.tensor([2.0, 3.0], dtype=lib.float64, requires_grad=True)
        base = cut(lib.arange(16.0).double().reshape(4, 4)).detach()
        view = base[0, :2]
        base.mul_(w.sum())
        base[:, 1].mul_(w[0])
        view.grad_fn  # until someone looks, torch takes the view for a leaf
        view.mul_(w)
        (base * base * 0.1).sum().backward(create_graph=False)
        found.append((base.detach().numpy().copy(), w.grad.numpy()))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs)


def test_a_leaf_that_is_a_view_follows_its_base() -> None:
    base = ng.ones(3)
    leaf = base[:2].requires_grad_()
    assert leaf.is_leaf
    w = ng.tensor(2.0, requires_grad=True)
    base.mul_(w)
    assert not leaf.is_leaf
    leaf.sum().backward()
    assert w.grad.item() == 2


def test_a_view_that_cannot_be_used_any_more_can_be_printed() -> None:
    y = ng.ones(4, requires_grad=True) * 1
    first, _ = y.split(2)
    y.mul_(2)
    assert repr(first) == "tensor([2., 2.], grad_fn=<Invalid>)"
    assert first.requires_grad
    assert first.detach().tolist() == [2, 2]


REFUSED: dict[str, Callable[[Any], Any]] = {
    "add_": lambda x: x.add_(1),
    "mul_": lambda x: x.mul_(2),
    "sub_": lambda x: x.sub_(2),
    "div_": lambda x: x.div_(2),
    "copy_": lambda x: x.copy_(ng.zeros(2)),
    "fill_": lambda x: x.fill_(3),
    "zero_": lambda x: x.zero_(),
    "exp_": lambda x: x.exp_(),
    "relu_": lambda x: x.relu_(),
    "neg_": lambda x: x.neg_(),
    "tanh_": lambda x: x.tanh_(),
    "pow_": lambda x: x.pow_(2),
    "clamp_": lambda x: x.clamp_(0, 0.5),
    "uniform_": lambda x: x.uniform_(),
    "normal_": lambda x: x.normal_(),
    "masked_fill_": lambda x: x.masked_fill_(x > 0, 3),
    "index_put_": lambda x: x.index_put_((ng.tensor([0]),), ng.zeros(1)),
    "x[0] = 1": lambda x: x.__setitem__(0, 3.0),
    "x[mask] = 1": lambda x: x.__setitem__(x > 0, 3.0),
    "x[[0]] = 1": lambda x: x.__setitem__([0], 3.0),
    "wrong shape": lambda x: x.detach().add_(ng.ones(3)),
    "wrong dtype": lambda x: x.detach().long().add_(1.5),
    "wrong bound": lambda x: x.detach().clamp_(0, ng.ones(3)),
    "wrong index": lambda x: x.detach().index_put_((ng.tensor([0, 5]),), ng.zeros(2)),
    "wrong mask": lambda x: x.detach().masked_fill_(ng.ones(3) > 0, 3),
    "wrong value": lambda x: x.detach().__setitem__([0, 1], ng.zeros(3)),
}
PLACES: dict[str, Callable[[Any], Any]] = {
    "leaf": lambda x: x,
    "view of a leaf": lambda x: x[:2],
    "one of several views": lambda x: (x * 1).split(2)[0],
    "view in no_grad": lambda x: ng.no_grad()(lambda: x[:2])(),
    "expanded": lambda x: (x[:1] * 1).expand(2),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_changes_nothing(name: str, place: str) -> None:
    leaf = ng.tensor([0.25, 0.75], requires_grad=True)
    target = PLACES[place](leaf)
    drawn = ng.get_rng_state().tolist()
    before = target.detach().tolist(), target._version, target.grad_fn, leaf._version, leaf.tolist()
    if place == "expanded" and name in ("fill_", "zero_", "x[0] = 1"):
        return  # one number may be written to what an expanded view shows
    with pytest.raises((RuntimeError, IndexError)):
        REFUSED[name](target)
    assert (target.detach().tolist(), target._version, target.grad_fn, leaf._version, leaf.tolist()) == before
    assert ng.get_rng_state().tolist() == drawn
    assert target.grad_fn is before[2]


def test_a_base_that_was_detached_is_an_ordinary_leaf_again() -> None:
    y = ng.ones(4, requires_grad=True) * 2
    y.detach_()
    w = ng.tensor([3.0, 4.0], requires_grad=True)
    y[:2] = w
    y[:2].mul_(w)
    y.sum().backward()
    assert w.grad.tolist() == [6, 8]


class Squared(ng.autograd.Function):
    """input squared."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * 2 * x


@pytest.mark.parametrize("function", [lambda y: y.log(), Squared.apply])
def test_a_saved_tensor_that_lost_its_history_is_no_part_of_a_second_derivative(function: Any) -> None:
    x = ng.ones(2, requires_grad=True)
    y = x * 2
    z = function(y).sum()
    y.detach_()
    with pytest.raises(RuntimeError, match="has been detached in-place"):
        ng.autograd.grad(z, x, create_graph=True)
    (first,) = ng.autograd.grad(z, x)
    assert first.tolist() in ([1, 1], [8, 8])


def test_a_reshape_that_copies_is_no_view() -> None:
    x = ng.ones(3, 2, requires_grad=True) * 1
    with ng.no_grad():
        flat = x.t().reshape(-1)
    flat.mul_(ng.ones(1, requires_grad=True))
    assert flat.detach_().is_leaf


def test_products_keep_only_what_their_gradients_read() -> None:
    x, w = ng.ones(2, 3), ng.ones(3, 4, requires_grad=True)
    y = x @ w
    w.data.mul_(2)  # not read: x needs no gradient
    y.sum().backward()
    assert w.grad.tolist() == [[2] * 4] * 3
    kept = (ng.ones(2, 3, requires_grad=True) @ w.detach()).grad_fn.saved
    assert [tensor is None for tensor in kept] == [True, False]
