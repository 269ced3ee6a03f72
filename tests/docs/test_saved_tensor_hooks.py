"""The tutorial on hooks for saved tensors: what is saved, how to pack it into text, and onto the disk."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

import pytest

import numgrad as ng
from numgrad import nn
from numgrad.autograd.graph import save_on_cpu, saved_tensors_hooks


def test_what_ops_save() -> None:
    a, b = ng.tensor([1.0, 2.0], requires_grad=True), ng.tensor([3.0, 4.0], requires_grad=True)
    product = a * b
    assert product.grad_fn._saved_self is a
    assert product.grad_fn._saved_other is b
    x = ng.randn(5, requires_grad=True)
    y = x.exp()
    # The result is saved without its history, or it would keep itself alive; it is the same memory with the same node.
    assert y.grad_fn._saved_result is not y
    assert ng.equal(y, y.grad_fn._saved_result)
    assert y.grad_fn._saved_result.grad_fn is y.grad_fn


def test_saved_values_are_freed_by_the_backward() -> None:
    x = ng.randn(5, requires_grad=True)
    y = x.pow(2)
    assert ng.equal(x, y.grad_fn._saved_self)
    y.sum().backward()
    with pytest.raises(RuntimeError, match="after they have already been freed"):
        y.grad_fn._saved_self


def test_hooks_see_each_saved_tensor() -> None:
    lines = []

    def pack_hook(x: ng.Tensor) -> ng.Tensor:
        lines.append(f"Packing {x.tolist()}")
        return x

    def unpack_hook(x: ng.Tensor) -> ng.Tensor:
        lines.append(f"Unpacking {x.tolist()}")
        return x

    a = ng.ones(2, requires_grad=True)
    b = ng.full((2,), 2.0).requires_grad_()
    with saved_tensors_hooks(pack_hook, unpack_hook):
        y = a * b
    assert lines == ["Packing [1.0, 1.0]", "Packing [2.0, 2.0]"]
    y.sum().backward()
    assert sorted(lines[2:]) == ["Unpacking [1.0, 1.0]", "Unpacking [2.0, 2.0]"]


def test_packed_as_text() -> None:
    def pack_hook(x: ng.Tensor) -> str:
        return repr(x.tolist())

    def unpack_hook(text: str) -> ng.Tensor:
        return ng.tensor([float(part) for part in text.strip("[]").split(",")])

    x = ng.tensor([1.0, 2.0], requires_grad=True)
    with saved_tensors_hooks(pack_hook, unpack_hook):
        y = x * x
    y.sum().backward()
    assert ng.equal(x.grad, 2 * x)


class SelfDeletingTempFile:
    """A name for a file that goes when the name does."""

    def __init__(self, folder: Path) -> None:
        self.name = folder / str(uuid.uuid4())

    def __del__(self) -> None:
        os.remove(self.name)


@pytest.fixture
def on_disk(tmp_path: Path) -> Any:
    def pack_hook(tensor: ng.Tensor) -> Any:
        if tensor.numel() < 1000:  # small ones stay in memory
            return tensor
        file = SelfDeletingTempFile(tmp_path)
        ng.save(tensor, file.name)
        return file

    def unpack_hook(kept: Any) -> ng.Tensor:
        return kept if isinstance(kept, ng.Tensor) else ng.load(kept.name)

    return saved_tensors_hooks(pack_hook, unpack_hook)


def test_large_ones_go_to_the_disk(on_disk: Any, tmp_path: Path) -> None:
    x = ng.rand(2000, requires_grad=True)
    small = ng.rand(10, requires_grad=True)
    with on_disk:
        y = (x.exp() * x).sum() + (small * small).sum()
    assert len(list(tmp_path.iterdir())) == 3
    y.backward()
    assert not list(tmp_path.iterdir())  # with the graph the files have gone
    assert ng.allclose(x.grad, (x.exp() * (1 + x)).detach())
    assert ng.equal(small.grad, (2 * small).detach())


def test_a_module_s_saved_tensors_go_to_the_disk(on_disk: Any, tmp_path: Path) -> None:
    class SaveOnDisk(nn.Module):
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module

        def forward(self, *args: Any) -> Any:
            with on_disk:
                return self.module(*args)

    inner = nn.Sequential(nn.Linear(40, 50), nn.Tanh())
    net = nn.Sequential(SaveOnDisk(inner), nn.Linear(50, 3))
    x = ng.randn(30, 40)
    net(x).sum().backward()
    with_disk = inner[0].weight.grad
    inner[0].weight.grad = None
    net[1](inner(x)).sum().backward()
    assert ng.equal(inner[0].weight.grad, with_disk)
    assert not list(tmp_path.iterdir())


def test_save_on_cpu_changes_nothing() -> None:
    x = ng.rand(3, requires_grad=True)
    with save_on_cpu(pin_memory=True):
        y = x.exp()
    y.sum().backward()
    assert ng.equal(x.grad, y.detach())
