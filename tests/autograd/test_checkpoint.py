"""`utils.checkpoint`."""

from __future__ import annotations

from typing import Any

import pytest

import numgrad as ng
from numgrad import nn
from numgrad.runtime import memory
from numgrad.utils.checkpoint import CheckpointError, checkpoint, checkpoint_sequential


def network() -> Any:
    ng.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2))


def gradients(model: Any, x: ng.Tensor, out: ng.Tensor) -> list[Any]:
    out.sum().backward()
    found = [p.grad.tolist() for p in (*model.parameters(), x)]
    for p in (*model.parameters(), x):
        p.grad = None
    return found


def test_same_bits_as_without() -> None:
    model, x = network(), ng.rand(3, 4, requires_grad=True)
    plain = gradients(model, x, model(x))
    assert gradients(model, x, checkpoint(model, x)) == plain
    assert gradients(model, x, checkpoint(model, x, use_reentrant=True, early_stop=False)) == plain
    for segments in (1, 2, 3):
        assert gradients(model, x, checkpoint_sequential(model, segments, x, use_reentrant=False)) == plain


def test_the_function_runs_once_more_for_each_backward() -> None:
    calls = []

    def function(x: ng.Tensor, *, power: int) -> ng.Tensor:
        calls.append(1)
        return x.exp() ** power

    x = ng.ones(2, requires_grad=True)
    y = checkpoint(function, x, power=2)
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    assert len(calls) == 3
    with ng.no_grad():
        checkpoint(function, x, power=2)
    assert len(calls) == 4


def test_dropout_is_the_same_in_the_second_run() -> None:
    x = ng.ones(1000, requires_grad=True)

    def function(x: ng.Tensor) -> ng.Tensor:
        return nn.functional.dropout(x, 0.5).exp()

    ng.manual_seed(3)
    y = checkpoint(function, x)
    after = ng.rand(1).item()
    y.sum().backward()
    later = ng.rand(1).item()
    dropped = y.detach() == 1
    assert (x.grad == 0).tolist() == dropped.tolist()
    ng.manual_seed(3)
    function(x)
    assert (ng.rand(1).item(), ng.rand(1).item()) == (after, later)


def test_second_derivatives_and_nesting() -> None:
    def inner(x: ng.Tensor) -> ng.Tensor:
        return x.exp() * x

    def outer(x: ng.Tensor) -> ng.Tensor:
        return checkpoint(inner, x.sin()) * x

    found = []
    for function in (lambda x: inner(x.sin()) * x, lambda x: checkpoint(outer, x)):
        x = ng.tensor([0.3, 0.7], requires_grad=True)
        (first,) = ng.autograd.grad(function(x).sum(), x, create_graph=True)
        (second,) = ng.autograd.grad(first.sum(), x)
        found.append((first.tolist(), second.tolist()))
    assert found[0] == found[1]


def test_what_is_saved_is_not_kept() -> None:
    def chain(x: ng.Tensor) -> ng.Tensor:
        for _ in range(20):
            x = x.exp().tanh()
        return x

    x = ng.rand(100_000, requires_grad=True)

    def kept(function: Any) -> int:
        before = memory.memory_stats()["live"]
        y = function(x)
        return memory.memory_stats()["live"] - before - y.numel() * 4

    assert kept(lambda x: checkpoint(chain, x)) < 100_000
    assert kept(chain) > 30 * 400_000


def test_a_second_run_that_saves_something_else_is_an_error() -> None:
    sizes = iter([2, 3])
    x = ng.ones(1, requires_grad=True)
    y = checkpoint(lambda x: (x.expand(next(sizes)) * 1).exp().sum(), x)
    with pytest.raises(CheckpointError, match="different metadata"):
        y.backward()
    again = iter([True, False])
    y = checkpoint(lambda x: x.exp().exp().sum() if next(again) else x + 1, x)
    with pytest.raises(CheckpointError, match="different number of tensors"):
        y.backward()


def test_an_argument_that_was_changed_is_noticed() -> None:
    x = ng.ones(2, requires_grad=True)
    y = x * 2
    z = checkpoint(lambda y: y.exp(), y)
    y.add_(1)
    with pytest.raises(RuntimeError, match="changed in place after the checkpointed call"):
        z.sum().backward()


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="determinism_check"):
        checkpoint(lambda: None, determinism_check="loud")
    with pytest.raises(ValueError, match="segments is 9"):
        checkpoint_sequential(network(), 9, ng.ones(1, 4))


def test_as_torch(torch: Any) -> None:
    from torch.utils.checkpoint import checkpoint as theirs

    found = []
    for lib, function in ((ng, checkpoint), (torch, theirs)):
        x = lib.tensor([0.1, 0.2], requires_grad=True)
        function(lambda x: (x.exp() * x).tanh(), x, use_reentrant=False).sum().backward()
        found.append(x.grad.tolist())
    assert found[0] == pytest.approx(found[1], rel=1e-5)
