"""Hooks that pack what the forward saves."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import numgrad as ng
from numgrad.autograd.graph import disable_saved_tensors_hooks, save_on_cpu, saved_tensors_hooks
from tests.autograd.scenarios import agree


def test_pack_is_called_at_once_and_unpack_when_needed() -> None:
    def scenario(lib: Any) -> Any:
        events = []

        def pack(tensor: Any) -> Any:
            events.append(("pack", tensor.tolist(), tensor.requires_grad))
            return tensor.tolist()

        def unpack(packed: Any) -> Any:
            events.append(("unpack", packed))
            return lib.tensor(packed)

        x = lib.tensor([2.0], requires_grad=True)
        with lib.autograd.graph.saved_tensors_hooks(pack, unpack):
            y = x.exp()
        events.append("backward")
        y.sum().backward(retain_graph=True)
        y.sum().backward()
        return [event[0] if isinstance(event, tuple) else event for event in events], x.grad.tolist()

    agree(scenario)


def test_numbers_are_not_packed() -> None:
    def scenario(lib: Any) -> Any:
        packed = []
        x = lib.tensor([2.0], requires_grad=True)
        with lib.autograd.graph.saved_tensors_hooks(lambda t: packed.append(t.tolist()) or t, lambda t: t):
            x * 3
            x / 2
            x + 1
        return packed

    agree(scenario, [])


def test_second_derivatives_go_through_packed_tensors() -> None:
    def scenario(lib: Any) -> Any:
        x = lib.tensor([1.0, 2.0], requires_grad=True)
        with lib.autograd.graph.saved_tensors_hooks(lambda t: t.tolist(), lib.tensor):
            y = (x * 2) * x * x
            z = (y.exp() * 1e-3).sum()
            (first,) = lib.autograd.grad(z, x, create_graph=True)
            (second,) = lib.autograd.grad(first.sum(), x)
        return first.tolist(), second.tolist()

    agree(scenario)


def test_the_innermost_counts() -> None:
    def scenario(lib: Any) -> Any:
        seen: list[str] = []

        def hooks(name: str) -> Any:
            def pack(tensor: Any) -> Any:
                seen.append(name)
                return tensor

            return lib.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)

        x = lib.ones(1, requires_grad=True)
        with hooks("outer"):
            x.exp()
            with hooks("inner"):
                x.exp()
            x.exp()
        x.exp()
        return seen

    agree(scenario, ["outer", "inner", "outer"])


def test_a_linear_layer_s_gradients_are_the_same() -> None:
    layer = ng.nn.Linear(3, 2)
    x = ng.rand(4, 3, requires_grad=True)
    ng.relu(layer(x)).sum().backward()
    plain = [t.grad.tolist() for t in (x, layer.weight, layer.bias)]
    for tensor in (x, layer.weight, layer.bias):
        tensor.grad = None
    with saved_tensors_hooks(lambda t: t.numpy().copy(), ng.from_numpy):
        out = ng.relu(layer(x)).sum()
    out.backward()
    assert [t.grad.tolist() for t in (x, layer.weight, layer.bias)] == plain


def test_memory_that_stays_is_still_checked_for_changes() -> None:
    x = ng.ones(2, requires_grad=True)
    y = x * 2
    with save_on_cpu():
        z = y * y
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


def test_copies_do_not_mind_changes() -> None:
    x = ng.ones(2, requires_grad=True)
    y = x * 2
    with saved_tensors_hooks(lambda t: t.clone(), lambda t: t):
        z = y * y
    y.add_(1)
    z.sum().backward()
    assert x.grad.tolist() == [8.0, 8.0]


def test_hooks_belong_to_their_thread() -> None:
    seen = []
    x = ng.ones(1, requires_grad=True)
    with saved_tensors_hooks(lambda t: seen.append(1) or t, lambda t: t):
        thread = threading.Thread(target=lambda: x.exp())
        thread.start()
        thread.join()
    assert not seen


def test_refusals() -> None:
    x = ng.ones(2, requires_grad=True)
    with disable_saved_tensors_hooks("not here"), pytest.raises(RuntimeError, match="not here"):
        saved_tensors_hooks(id, id).__enter__()
    with save_on_cpu(), pytest.raises(RuntimeError, match="not now"):
        disable_saved_tensors_hooks("not now").__enter__()
    with (
        saved_tensors_hooks(lambda t: t.add_(1), lambda t: t),
        pytest.raises(RuntimeError, match="pack hook is modifying"),
    ):
        (x * 1).exp()
    with saved_tensors_hooks(lambda t: None, lambda t: 3):
        y = x.exp()
    with pytest.raises(TypeError, match="unpack hook returned int, expected a Tensor"):
        y.sum().backward()
    with saved_tensors_hooks(lambda t: None, lambda t: ng.ones(3)):
        y = x.exp()
    with pytest.raises(RuntimeError, match=r"shape \[3\].*expected \[2\]"):
        y.sum().backward()
