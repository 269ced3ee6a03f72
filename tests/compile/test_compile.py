"""``numgrad.compile(model)``, as programs for torch have it."""

from __future__ import annotations

import pickle
import warnings

import pytest

import numgrad as ng
from numgrad import compile as package


@pytest.fixture(autouse=True)
def _says_it_again() -> None:
    package._say_once.cache_clear()


def test_the_model_stays_as_it_is_and_is_told_once() -> None:
    model = ng.nn.Linear(2, 2)
    with pytest.warns(UserWarning, match="runs op by op"):
        assert ng.compile(model, mode="reduce-overhead", dynamic=True) is model
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ng.compile(model) is model


def test_it_decorates() -> None:
    @ng.compile(disable=True)
    def double(x: ng.Tensor) -> ng.Tensor:
        return 2 * x

    triple = ng.compile(lambda x: 3 * x)
    assert [double(ng.ones(())).item() + triple(ng.ones(())).item() for _ in range(3)] == [5] * 3
    assert ng.jit.stats(triple).replays == 2


def test_what_cannot_be_replayed_runs_eagerly_unless_the_whole_graph_is_asked_for() -> None:
    def value(x: ng.Tensor) -> float:
        return x.sum().item()

    partly, wholly = ng.compile(value), ng.compile(value, fullgraph=True)
    assert [partly(ng.ones(number)) for number in (1, 2, 2, 2)] == [1, 2, 2, 2]
    assert ng.jit.stats(partly).replays == 0
    with pytest.raises(RuntimeError, match="reads the value"):
        wholly(ng.ones(2))


def test_disabled_it_says_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ng.compile(abs, disable=True) is abs


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="expected a module or a function, got int"):
        ng.compile(3)


def test_it_is_still_the_package() -> None:
    from numgrad.compile import Recording

    assert ng.compile.Recording is Recording
    assert pickle.loads(pickle.dumps(Recording)) is Recording
