"""Backward hooks of modules change nothing about who requires a gradient, and pass on what they are given; as torch's."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

import numgrad as ng
from numgrad import nn
from tests import recorded
from tests.nn.test_module_hooks import plain


def _hooked(lib: Any, forward: Callable[..., Any], hook: Callable[..., Any]) -> Any:
    class Layer(lib.nn.Module):  # type: ignore[name-defined,misc]
        def forward(self, *args: Any) -> Any:
            return forward(*args)

    layer = Layer()
    layer.register_full_backward_hook(hook)
    return layer


def other_inputs(lib: Any) -> Any:
    """Of three tensors one requires a gradient: the module and its outputs see that, the hook gets zeros for the others."""
    inside, seen = [], []

    def forward(a: Any, b: Any, c: Any) -> Any:
        inside.append([t.requires_grad for t in (a, b, c)])
        return a * b, b, c

    layer = _hooked(lib, forward, lambda m, i, o: seen.append((plain(i), plain(o))))
    a, b, c = lib.tensor([1.0, 2.0], requires_grad=True), lib.tensor([3.0, 4.0]), lib.tensor([1, 2])
    outputs = layer(a, b, c)
    outputs[0].sum().backward()
    return inside, [t.requires_grad for t in outputs], seen, plain([a.grad, b.grad])


def unchanged(lib: Any) -> Any:
    """What passes unchanged is another tensor over the same memory; hooks of both see the gradient, in their order."""
    seen: list[Any] = []
    layer = _hooked(lib, lambda x: x, lambda m, i, o: seen.append(("module", plain(i), plain(o))))
    w = lib.tensor([1.0, 2.0], requires_grad=True)
    w.register_hook(lambda g: g * 2)
    y = layer(w)
    w.register_hook(lambda g: seen.append(("w", plain(g))))
    y.register_hook(lambda g: seen.append(("y", plain(g))))
    (y * 3).sum().backward()
    return seen, y is w, w.is_leaf, w.grad_fn is None, y.data_ptr() == w.data_ptr(), plain(w.grad)


def unchanged_parameter(lib: Any) -> Any:
    """A module that gives its parameter: the parameter stays a leaf, and its hooks are called."""
    seen: list[Any] = []
    w = lib.nn.Parameter(lib.tensor([1.0, 2.0]))
    layer = _hooked(lib, lambda x: w, lambda m, i, o: seen.append(("module", plain(i), plain(o))))
    found = []
    for x in (lib.ones(2), lib.ones(2, requires_grad=True)):
        y = layer(x)
        handle = w.register_hook(lambda g: seen.append(("w", plain(g))))
        (y * 2).sum().backward()
        handle.remove()
        found.append((y is w, w.is_leaf, w.grad_fn is None, plain(w.grad), x.grad))
    return seen, found


def unchanged_hidden(lib: Any) -> Any:
    seen: list[Any] = []
    layer = _hooked(lib, lambda x: x, lambda m, i, o: seen.append(("module", plain(i), plain(o))))
    x = lib.tensor([1.0, 2.0], requires_grad=True)
    h = x * 2
    y = layer(h)
    h.register_hook(lambda g: seen.append(("h", plain(g))))
    (y + h).sum().backward()
    return seen, plain(x.grad)


def no_gradient_no_hook(lib: Any) -> Any:
    """A tensor that requires no gradient cannot have a hook, also if it went through a watched module."""
    layer = _hooked(lib, lambda a, b: (a, b), lambda m, i, o: None)
    _, b = layer(lib.ones(2, requires_grad=True), lib.ones(2))
    try:
        b.register_hook(lambda g: None)
    except RuntimeError as error:
        return str(error)
    return "taken"


def no_input(lib: Any) -> Any:
    """No input requires a gradient: hooks may return None, or None for each input."""
    found = []
    for value in (None, (None,), (), (lib.ones(2),), [None]):
        w = lib.nn.Parameter(lib.ones(2))
        layer = _hooked(lib, lambda x, w=w: x * w, lambda m, i, o, value=value: value)
        try:
            layer(lib.ones(2)).sum().backward()
            found.append(plain(w.grad))
        except RuntimeError:
            found.append("refused")
    return found


def taken_away(lib: Any) -> Any:
    """A hook that returns None for an input takes its gradient away; for an output it makes it zeros."""
    found = []
    for value in ((None,), None, (), [None], "two"):
        layer = lib.nn.Tanh()
        given = (lib.ones(2), lib.ones(2)) if value == "two" else value
        layer.register_full_backward_hook(lambda m, i, o, given=given: given)
        x = lib.zeros(2, requires_grad=True)
        try:
            layer(x).sum().backward()
            found.append(plain(x.grad))
        except RuntimeError:
            found.append("refused")
    layer, x = lib.nn.Tanh(), lib.zeros(2, requires_grad=True)
    layer.register_full_backward_pre_hook(lambda m, g: (None,))
    layer(x).sum().backward()
    return found, plain(x.grad)


def taken_away_at_nodes(lib: Any) -> Any:
    found = []
    for before in (True, False):
        for make in (lambda x: x * 2, lambda x: x.exp(), lambda x: x.sum(), lambda x: x.reshape(2, 1)):
            x = lib.tensor([1.0, 2.0], requires_grad=True)
            y = make(x)
            if before:
                y.grad_fn.register_prehook(lambda g: (None,))
            else:
                y.grad_fn.register_hook(lambda results, g: (None,) * len(results))
            y.sum().backward()
            found.append(x.grad)
    return found


def second_derivative(lib: Any) -> Any:
    seen: list[Any] = []
    layer = lib.nn.Tanh()
    layer.register_full_backward_hook(lambda m, i, o: seen.append(plain(i)))
    x = lib.tensor([1.0, 2.0], requires_grad=True)
    (g,) = lib.autograd.grad(layer(x).sum(), x, create_graph=True)
    g.sum().backward()
    return seen, plain(x.grad)


@pytest.mark.parametrize(
    "scenario",
    [
        other_inputs,
        unchanged,
        unchanged_parameter,
        unchanged_hidden,
        no_gradient_no_hook,
        no_input,
        taken_away,
        taken_away_at_nodes,
        second_derivative,
    ],
)
def test_as_torch(scenario: Callable[[Any], Any], torch_says: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert recorded.plain(scenario(ng)) == torch_says(scenario)


def test_a_frozen_network_stays_frozen_under_hooks() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1)).requires_grad_(False)
    for layer in model.modules():
        layer.register_full_backward_hook(lambda m, i, o: None)
    assert not model(ng.ones(1, 2)).requires_grad
    attended = nn.MultiheadAttention(4, 1)
    attended.register_full_backward_hook(lambda m, i, o: None)
    mask = ng.zeros(1, 3)
    out, _ = attended(ng.ones(3, 1, 4, requires_grad=True), ng.ones(3, 1, 4), ng.ones(3, 1, 4), mask)
    assert out.requires_grad
    assert not mask.requires_grad
