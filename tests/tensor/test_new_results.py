"""Results that a function makes anew are no views, whatever it reshaped on the way: changes in place stay short of history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import numgrad as ng

F = ng.nn.functional
CALLS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "matmul 3 2": lambda x, w, h: x.matmul(w.T),
    "matmul 4 4": lambda x, w, h: h @ h.transpose(-1, -2),
    "matmul 4 1": lambda x, w, h: h @ w[0],
    "matmul 1 3": lambda x, w, h: w.reshape(8) @ x,
    "linear": lambda x, w, h: F.linear(x, w),
    "linear with bias": lambda x, w, h: F.linear(x, w, w[:, 0]),
    "linear of a vector": lambda x, w, h: F.linear(x[0, 0], w),
    "conv1d": lambda x, w, h: F.conv1d(x, ng.ones(3, 8, 1)),
    "conv1d unbatched": lambda x, w, h: F.conv1d(x[0], ng.ones(3, 8, 1)),
    "conv2d unbatched": lambda x, w, h: F.conv2d(h[0], ng.ones(2, 3, 1, 1)),
    "conv3d": lambda x, w, h: F.conv3d(h[None], ng.ones(2, 2, 1, 1, 1)),
    "conv_transpose1d": lambda x, w, h: F.conv_transpose1d(x, ng.ones(8, 3, 1)),
    "group_norm": lambda x, w, h: F.group_norm(h, 3),
    "LSTM": lambda x, w, h: ng.nn.LSTM(2, 3)(x)[0],
    "GRU": lambda x, w, h: ng.nn.GRU(2, 3, batch_first=True)(x)[0],
    "RNN": lambda x, w, h: ng.nn.RNN(2, 3, bidirectional=True)(x)[0],
    "kron": lambda x, w, h: ng.kron(w, w),
    "roll": lambda x, w, h: x.roll(1),
    "rot90": lambda x, w, h: ng.rot90(w),
    "flip": lambda x, w, h: h.flip(0, 2),
    "reflected": lambda x, w, h: F.pad(x, (1, 1), mode="reflect"),
    "circular": lambda x, w, h: F.pad(x, (1, 1), mode="circular"),
    "solve": lambda x, w, h: ng.linalg.solve(ng.eye(2) + 0 * w[:2], w[:2, 0]),
    "affine_grid": lambda x, w, h: F.affine_grid(
        h[0, :1, :2, 0].expand(2, 2)[None] @ ng.ones(1, 2, 3), (1, 1, 2, 2), align_corners=False
    ),
    "logsumexp": lambda x, w, h: ng.logsumexp(w, 1),
    "quantile": lambda x, w, h: ng.quantile(w, 0.5, dim=1),
}


SAVED = ("LSTM", "GRU", "solve")  # their backward reads the result, which must not change


@pytest.mark.parametrize("name", CALLS)
def test_a_new_result_is_no_view(name: str) -> None:
    def operands() -> list[Any]:
        values = ng.Generator().manual_seed(1)
        return [ng.rand(*shape, generator=values, requires_grad=True) for shape in ((1, 8, 2), (4, 2), (2, 3, 8, 2))]

    ng.manual_seed(0)
    first = operands()
    result = CALLS[name](*first)
    assert result._base is None, "a view of what nobody has"
    if name in SAVED:
        return
    result += 0.5
    result.mul_(result.detach().clone())
    ng.manual_seed(0)
    second = operands()
    apart = CALLS[name](*second) + 0.5
    apart = apart * apart.detach()
    assert ng.equal(result, apart)
    result.sum().backward()
    apart.sum().backward()
    for one, other in zip(first, second, strict=True):
        assert (one.grad is None) == (other.grad is None)
        assert one.grad is None or ng.equal(one.grad, other.grad)


def test_a_change_in_place_is_one_node() -> None:
    """The history of a sum that goes into a product is the sum's node, and not that of a window on a hidden tensor."""
    x, w = ng.rand(2, 3, 4), ng.rand(5, 4, requires_grad=True)
    y = x.matmul(w.T)
    y += ng.ones(5)
    assert "Add" in y.grad_fn.name()
    assert "View" in y.grad_fn.next_functions[0][0].name() or "Reshape" in y.grad_fn.next_functions[0][0].name()


def test_views_of_what_others_have_are_views() -> None:
    x = ng.rand(2, 3, requires_grad=True) * 1
    for view in (x.reshape(6), x.T, ng.einsum("ij->ji", x), x.squeeze(), x[0], x.repeat_interleave(1, 0).T):
        assert view._base is not None
    y = x.T
    y *= 2
    assert x.grad_fn is not None
    assert "Mul" not in x.grad_fn.name()
