"""TorchScript's names leave what they mark as it is."""

from __future__ import annotations

from typing import Any

import pytest

import numgrad as ng


def test_scripts_and_traces_are_what_they_were_made_of() -> None:
    model = ng.nn.Linear(3, 2)
    calls = []

    def squash(x: ng.Tensor, scale: float = 1.0) -> ng.Tensor:
        calls.append(x.shape)
        return x / (scale + x.abs())

    assert ng.jit.script(squash) is squash
    assert ng.jit.script(model) is model
    assert ng.jit.trace(squash, ng.ones(2)) is squash
    assert calls == [(2,)]
    assert ng.jit.trace(squash, (ng.ones(3), 2.0)) is squash
    assert calls == [(2,), (3,)]
    assert ng.jit.trace(model, ng.ones(1, 3)) is model


def test_a_class_with_marked_methods() -> None:
    @ng.jit.script
    class Pair:
        def __init__(self, x: float) -> None:
            self.x: float = ng.jit.annotate(float, x)

    class Net(ng.nn.Module):
        @ng.jit.export
        def twice(self, x: Any) -> Any:
            return 2 * x

        @ng.jit.ignore(drop=True)
        def size(self, x: Any) -> int:
            return x.numel()

        @ng.jit.unused
        def never(self) -> None: ...

        @ng.jit.script_method
        def forward(self, x: Any) -> Any:
            return self.twice(x) if not ng.jit.is_scripting() and not ng.jit.is_tracing() else x

    assert Pair(2.0).x == 2.0
    assert Net()(ng.ones(2)).tolist() == [2, 2]
    assert Net().size(ng.ones(2)) == 2


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="jit.script: expected a function, a class or a module, got int"):
        ng.jit.script(3)
    with pytest.raises(TypeError, match="jit.trace: expected a function or a module, got int"):
        ng.jit.trace(3, ng.ones(1))
    with pytest.raises(RuntimeError):
        ng.jit.trace(ng.nn.Linear(3, 2), ng.ones(1, 4))
