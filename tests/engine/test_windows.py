"""Gradients of several windows of one tensor, which are joined: as those of the ops, one by one, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad.engine import backward, dispatch

T = 6

# Each takes windows of a tensor of (6, 20, 24).
WINDOWS: dict[str, Callable[[Any], list[Any]]] = {
    "each row": lambda x: [x[t] for t in range(T)],
    "each row, backwards": lambda x: [x[t] for t in reversed(range(T))],
    "each column": lambda x: [x[:, t] for t in range(20)],
    "some rows": lambda x: [x[4], x[1]],
    "halves": lambda x: [x[:, :, :2], x[:, :, 2:]],
    "rows and a rest": lambda x: [x[0], x[1:3], x[5]],
    "parts with gaps": lambda x: [x[:, 1:2], x[:, 3:]],
    "nothing among them": lambda x: [x[2:2], x[:2], x[4]],
    "overlapping": lambda x: [x[:-1], x[1:]],
    "the same twice": lambda x: [x[3], x[3]],
    "of several dimensions": lambda x: [x[0], x[:, 1], x[2]],
    "corners": lambda x: [x[:2, :2], x[2:, 2:]],
    "every second": lambda x: [x[::2], x[1::2]],
    "the whole": lambda x: [x[:], x[0]],
    "a window of a window": lambda x: [x[1:][0], x[1:][2], x[0]],
    "negative": lambda x: [x[-1], x[-3:-1]],
    "two numbers": lambda x: [x[0, 1], x[0, 2], x[1]],
}
LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "rows": lambda x: x * 1,
    "permuted": lambda x: (x * 1).reshape(20, 24, 6).permute(2, 0, 1),
    "channels last": lambda x: ng.nn.functional.relu((x * 1).reshape(1, 6, 20, 24).to(memory_format=ng.channels_last))[
        0
    ],
    "with steps": lambda x: ng.stack((x, x), 3)[..., 0],
    "a leaf": lambda x: x,
}


def _loss(windows: list[Any]) -> Any:
    return ng.stack([(window * (2 + number)).square().sum() for number, window in enumerate(windows)]).sum()


def _one_by_one(function: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """With the joining of windows switched off."""
    with monkeypatch.context() as patch:
        patch.setattr(backward, "monitor", lambda node, grads, create_graph: node.apply(grads, create_graph))
        return function()


def _leaf(dtype: Any = ng.float32) -> Any:
    ng.manual_seed(3)
    return ng.randn(T, 20, 24).to(dtype).requires_grad_()


@pytest.mark.parametrize(
    ("layout", "dtype"),
    [*((each, ng.float32) for each in LAYOUTS), ("permuted", ng.float64), ("permuted", ng.float16)],
    ids=str,
)
@pytest.mark.parametrize("name", WINDOWS)
def test_joined_windows_are_those_of_the_ops(
    name: str, layout: str, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gradient() -> Any:
        x = _leaf(dtype)
        _loss(WINDOWS[name](LAYOUTS[layout](x))).backward()
        return x.grad

    expected, gradients = _one_by_one(gradient, monkeypatch), [gradient() for _ in range(3)]
    for each in gradients:
        np.testing.assert_array_equal(each.numpy(), expected.numpy())
        assert each.is_contiguous()
        assert each._base is None


class _Names(list[str]):
    """The names of the ops that are applied, in their order."""

    def applied(self, op: Any, *_: Any) -> None:
        self.append(op.name)


def _applied(function: Callable[[], Any]) -> list[str]:
    names = _Names()
    dispatch.recorders.append(names)
    try:
        function()
    finally:
        dispatch.recorders.remove(names)
    return names


def test_windows_side_by_side_are_one_op() -> None:
    y = _leaf() * 1
    names = _applied(_loss([y[t] for t in range(T)]).backward)
    assert names.count("stack") == 1
    assert "slice_backward" not in names
    y = _leaf() * 1
    assert "slice_backward" in _applied(_loss([y[:-1], y[1:]]).backward)


def test_other_gradients_are_added_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    def gradients() -> list[Any]:
        x = _leaf()
        y = x * 1
        loss = (y[0] * 1e8).sum() + y.exp().sum() + (y[1] * 3).sum() - (y[0:2] * 1e8).sum() + y.square().sum()
        return [each.numpy() for each in ng.autograd.grad(loss, [y, x])]

    for one, other in zip(gradients(), _one_by_one(gradients, monkeypatch), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("asked", ["leaf", "between", "both"])
def test_gradients_that_are_asked_for(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def gradients() -> list[Any]:
        x = _leaf()
        y = (x * 1).reshape(20, 24, 6).permute(2, 0, 1)
        loss = _loss([y[0], y[1], y[2:]])
        wanted = {"leaf": [x], "between": [y], "both": [x, y]}[asked]
        return list(ng.autograd.grad(loss, wanted))

    for one, other in zip(gradients(), _one_by_one(gradients, monkeypatch), strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
        assert one.stride() == other.stride()


def test_hooks_see_what_they_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    def seen() -> list[Any]:
        x, heard = _leaf(), []
        y = (x * 1).reshape(20, 24, 6).permute(2, 0, 1)
        windows = [y[0], y[1], y[2:]]
        y.register_hook(lambda grad: heard.append(grad))
        windows[1].grad_fn.register_hook(lambda ins, outs: heard.append(ins[0]))
        windows[2].register_hook(lambda grad: grad * 2)
        y.retain_grad()
        _loss(windows).backward()
        return [*heard, y.grad, x.grad]

    for one, other in zip(seen(), _one_by_one(seen, monkeypatch), strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
        assert one.stride() == other.stride()


def test_a_function_of_the_users_gets_rows() -> None:
    class Seen(ng.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            assert grad.is_contiguous()
            return grad

    x = _leaf()
    y = Seen.apply((x * 1).reshape(20, 24, 6).permute(2, 0, 1))
    _loss([y[t] for t in range(T)]).backward()
    assert x.grad is not None


def test_second_gradients_and_transforms() -> None:
    x = _leaf(ng.float64)
    ng.autograd.gradcheck(lambda x: ng.stack([x[0].exp(), x[1] * x[2], x[3:5].sum(0)]), (x,))
    ng.autograd.gradgradcheck(lambda x: ng.stack([x[0].exp(), x[1] * x[2], x[3:5].square().sum(0)]), (x,))

    def summed(row: Any) -> Any:
        return _loss([row[0], row[1], row[2:]])

    each = ng.func.vmap(ng.func.grad(summed))(x.detach())
    alone = ng.stack([ng.func.grad(summed)(row) for row in x.detach()])
    np.testing.assert_allclose(each.numpy(), alone.numpy())
    at, along = x.detach()[0], x.detach()[1]
    _, tangent = ng.func.jvp(ng.func.grad(summed), (at,), (along,))
    matrix = ng.func.hessian(summed)(at).reshape(480, 480)
    np.testing.assert_allclose(tangent.numpy().ravel(), (matrix @ along.reshape(480)).numpy())


def test_the_graph_may_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def gradients() -> Any:
        x = _leaf()
        loss = _loss([x[t] for t in range(T)])
        loss.backward(retain_graph=True)
        first = x.grad.clone()
        loss.backward()
        return first.numpy(), x.grad.numpy()

    for one, other in zip(gradients(), _one_by_one(gradients, monkeypatch), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_memory_of_a_long_sequence_grows_with_its_length() -> None:
    """Not with its square: no op of a backward makes the whole but the one that joins."""
    x = ng.randn(300, 4, 3, requires_grad=True)
    h = ng.zeros(4, 3)
    y = x * 1
    for t in range(300):
        h = ng.tanh(y[t] + h)
    names = _applied(h.sum().backward)
    assert names.count("stack") == 1
    assert "slice_backward" not in names
