"""Hooks of modules: what they are told and may replace, compared with torch's."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn
from tests import recorded


def plain(value: Any) -> Any:
    """Tensors as lists of rounded numbers, in whatever they are."""
    if isinstance(value, (tuple, list)):
        return [plain(each) for each in value]
    return np.round(value.detach().numpy(), 4).tolist() if hasattr(value, "detach") else value


def model_of(lib: Any) -> Any:
    model = lib.nn.Sequential(lib.nn.Linear(2, 3), lib.nn.Tanh(), lib.nn.Linear(3, 1))
    with lib.no_grad():
        for number, parameter in enumerate(model.parameters()):
            parameter.copy_(lib.arange(parameter.numel()).reshape(parameter.shape) * 0.1 + 0.05 * number)
    return model


def gradients(lib: Any, model: Any, x: Any) -> Any:
    model(x).sum().backward()
    return plain([p.grad for p in model.parameters()]) + plain([x.grad])


def observed(lib: Any) -> Any:
    model, seen = model_of(lib), []
    for name, layer in model.named_children():
        layer.register_full_backward_pre_hook(lambda m, g, name=name: seen.append(("pre", name, plain(g))))
        layer.register_full_backward_hook(lambda m, i, o, name=name: seen.append((name, plain(i), plain(o))))
    x = lib.tensor([[1.0, 2.0], [0.5, -1.0]], requires_grad=True)
    return gradients(lib, model, x), seen


def replaced(lib: Any) -> Any:
    model = model_of(lib)
    model[1].register_full_backward_hook(lambda m, i, o: (i[0] * 2,))
    model[2].register_full_backward_pre_hook(lambda m, g: (g[0] * 3,))
    return gradients(lib, model, lib.tensor([[1.0, 2.0]], requires_grad=True))


def order(lib: Any) -> Any:
    model, seen = model_of(lib), []
    model[0].register_full_backward_hook(lambda m, i, o: seen.append("first"))
    model[0].register_full_backward_hook(lambda m, i, o: seen.append("second"))
    model[0].register_full_backward_hook(lambda m, i, o: seen.append("zeroth"), prepend=True)
    model[0].register_forward_hook(lambda m, i, o: seen.append("forward"))
    model[0].register_forward_pre_hook(lambda m, i: seen.append("before"))
    gradients(lib, model, lib.tensor([[1.0, 2.0]], requires_grad=True))
    return seen


def no_input_needs_grad(lib: Any) -> Any:
    model, seen = model_of(lib), []
    model[0].register_full_backward_hook(lambda m, i, o: seen.append((plain(i), plain(o))))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model(lib.tensor([[1.0, 2.0]])).sum().backward()
    return seen, [str(w.message)[:30] for w in caught]


def several(lib: Any) -> Any:
    class Pair(lib.nn.Module):  # type: ignore[name-defined,misc]
        def forward(self, x: Any, factor: float, y: Any) -> Any:
            return x * factor, y + x

    pair, seen = Pair(), []
    pair.register_full_backward_hook(lambda m, i, o: seen.append((plain(i), plain(o))))
    x, y = (lib.ones(2, requires_grad=True) for _ in range(2))
    first, second = pair(x, 3.0, y)
    (first.sum() + 2 * second.sum()).backward()
    (pair(x, 2.0, y)[0].sum()).backward()
    return seen, plain([x.grad, y.grad])


def removed(lib: Any) -> Any:
    model, seen = model_of(lib), []
    with model[0].register_full_backward_hook(lambda m, i, o: seen.append("in")):
        gradients(lib, model, lib.tensor([[1.0, 2.0]], requires_grad=True))
    gradients(lib, model, lib.tensor([[1.0, 2.0]], requires_grad=True))
    return seen


def by_grad(lib: Any) -> Any:
    model, seen = model_of(lib), []
    model[1].register_full_backward_hook(lambda m, i, o: seen.append((plain(i), plain(o))))
    x = lib.tensor([[1.0, 2.0]], requires_grad=True)
    (g,) = lib.autograd.grad(model(x).sum(), x, create_graph=True)
    (second,) = lib.autograd.grad((g * g).sum(), x)
    return seen, plain([g, second])


def in_no_grad(lib: Any) -> Any:
    model, seen = model_of(lib), []
    model[0].register_full_backward_hook(lambda m, i, o: seen.append("never"))
    with lib.no_grad():
        return plain(model(lib.tensor([[1.0, 2.0]]))), seen


def state(lib: Any) -> Any:
    model, seen = model_of(lib), []
    model[0].register_state_dict_pre_hook(lambda m, prefix, keep: seen.append((prefix, keep)))
    model.register_state_dict_post_hook(lambda m, d, prefix, local: (d.pop("0.bias"), None)[1])
    model.register_load_state_dict_pre_hook(
        lambda m, d, prefix, local, strict, missing, unexpected, errors: seen.append(("load", prefix, strict))
    )
    model.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.remove("0.bias"))
    found = model.state_dict()
    return sorted(found), str(model.load_state_dict(found)), seen


@pytest.mark.parametrize(
    "scenario", [observed, replaced, order, no_input_needs_grad, several, removed, by_grad, in_no_grad, state]
)
def test_as_torch(scenario: Callable[[Any], Any], torch_says: Any) -> None:
    assert recorded.plain(scenario(ng)) == torch_says(scenario)


def test_a_change_in_place_of_what_is_watched_is_refused() -> None:
    layer = nn.Tanh()
    layer.register_full_backward_hook(lambda m, i, o: None)
    out = layer(ng.ones(2, requires_grad=True))
    with pytest.raises(RuntimeError, match="created inside a custom Function"):
        out.mul_(2)
    assert out.tolist() == ng.tanh(ng.ones(2)).tolist()


def test_what_hooks_return_is_checked() -> None:
    layer = nn.Tanh()
    handle = layer.register_full_backward_hook(lambda m, i, o: (i[0], i[0]))
    with pytest.raises(RuntimeError, match="invalid number of grad_input, got 2, but expected 1"):
        layer(ng.ones(2, requires_grad=True)).sum().backward()
    handle.remove()
    layer.register_state_dict_post_hook(lambda m, d, prefix, local: d)
    with pytest.raises(RuntimeError, match="must return None"):
        layer.state_dict()


def test_modules_with_hooks_can_be_copied() -> None:
    layer, seen = nn.Linear(1, 1), []
    layer.register_full_backward_hook(lambda m, i, o: seen.append(m))
    twin = copy.deepcopy(layer)
    twin(ng.ones(1, 1, requires_grad=True)).sum().backward()
    assert seen == [twin]
