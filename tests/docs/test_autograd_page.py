"""docs/autograd.md: where it says that numgrad differs from torch, it does as it says; its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad.autograd.function import once_differentiable

PAGE = Path(__file__).parents[2] / "docs" / "autograd.md"


def test_links_and_paths() -> None:
    text = PAGE.read_text("utf-8")
    paths = re.findall(r"\]\(([^)#]+)\)|`(examples/[\w.]+)`", text)
    assert len(paths) >= 4
    for link, path in paths:
        assert ((PAGE.parent / link) if link else (PAGE.parents[1] / path)).exists(), link or path


def test_views_made_in_no_grad() -> None:
    y = ng.ones(2, requires_grad=True) * 1
    with ng.no_grad():
        view = y[0]
    assert not view.requires_grad
    assert not (view * 2).requires_grad
    y.mul_(2)
    with pytest.raises(RuntimeError, match="created in no_grad mode"):
        view * 2


def test_a_view_of_what_came_to_require_a_gradient() -> None:
    w = ng.tensor(2.0, requires_grad=True)
    y = ng.ones(3)
    view = y[:2]
    y.mul_(w)
    view.mul_(3)
    y.sum().backward()
    assert w.grad.item() == 7


def test_overlapping_operands_are_read_first() -> None:
    x = ng.arange(4.0)
    x[1:].add_(x[:-1])
    assert x.tolist() == [0, 1, 3, 5]


def test_expanded_tensors() -> None:
    wide = ng.ones(1, 2).expand(3, 2)
    for change in (lambda t: t.masked_fill_(t > 0, 2), lambda t: t.add_(1), lambda t: t.__setitem__(t > 0, 2.0)):
        with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
            change(wide)
    x = ng.ones(1, 2, requires_grad=True)
    y = x * 1
    y[:, :1].expand(3, 1).fill_(5)
    y.sum().backward()
    assert y.tolist() == [[5, 1]]
    assert x.grad.tolist() == [[0, 1]]


def test_what_is_not_read_may_change() -> None:
    x = ng.tensor([1.0, 3.0], requires_grad=True)
    y = x * 1
    spread = y.var(correction=0)
    y.zero_()
    spread.backward()
    assert x.grad.tolist() == [-1, 1]


def test_who_changes_data_answers_for_it(torch: ModuleType) -> None:
    for change in (lambda t, lib: t.data.add_(1), lambda t, lib: setattr(t, "data", lib.zeros(2))):
        grads = []
        for lib in (ng, torch):
            x = lib.ones(2, requires_grad=True)
            y = x.exp() * x
            change(x, lib)
            y.sum().backward()
            grads.append(x.grad.tolist())
        np.testing.assert_allclose(*grads, rtol=1e-6)
    x = ng.ones(2, requires_grad=True)
    y = x.exp() * x
    x.data = ng.zeros(3)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_once_is_once() -> None:
    class Cube(ng.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        @once_differentiable
        def backward(ctx: Any, grad: Any) -> Any:
            (x,) = ctx.saved_tensors
            return grad * 3 * x * x

    x = ng.ones(2, requires_grad=True)
    (first,) = ng.autograd.grad(Cube.apply(x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        (first * x).sum().backward()


def test_messages() -> None:
    y = ng.ones(3, requires_grad=True) * 2
    with pytest.raises(TypeError, match=r"gradient is the number 1\.0, expected a Tensor of the root's shape"):
        y.backward(1.0)
    with pytest.raises(RuntimeError, match=r"this one has shape \[3\]: pass gradient=, or reduce it"):
        y.backward()
