"""Means of models against torch's, with each kind of function; statistics of batch norms; refusals."""

from __future__ import annotations

import copy
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn
from numgrad.optim import swa_utils
from tests.nn.twins import Library, array, copy_state, ours, theirs

KINDS: dict[str, Any] = {
    "plain": lambda a: {},
    "with buffers": lambda a: {"use_buffers": True},
    "mean": lambda a: {"avg_fn": a.get_swa_avg_fn()},
    "mean of lists": lambda a: {"multi_avg_fn": a.get_swa_multi_avg_fn()},
    "exponential": lambda a: {"avg_fn": a.get_ema_avg_fn(0.8), "use_buffers": True},
    "exponential of lists": lambda a: {"multi_avg_fn": a.get_ema_multi_avg_fn(0.8), "use_buffers": True},
    "own": lambda a: {"avg_fn": lambda mean, new, count: 0.5 * mean + 0.5 * new},
}


def _model(lib: Library) -> Any:
    return lib.nn.Sequential(lib.nn.Linear(3, 4), lib.nn.BatchNorm1d(4), lib.nn.Linear(4, 2)).double()


@pytest.mark.parametrize("kind", KINDS)
def test_means_are_torchs(kind: str, torch: ModuleType) -> None:
    libraries = ours(), theirs(torch)
    models = [_model(lib) for lib in libraries]
    copy_state(models[1], models[0])
    means = [
        lib.averages.AveragedModel(model, **KINDS[kind](lib.averages))
        for lib, model in zip(libraries, models, strict=True)
    ]
    rng = np.random.default_rng(1)
    for _ in range(4):
        x = rng.normal(size=(5, 3))
        change = [rng.normal(size=tuple(p.shape)) for p in models[0].parameters()]
        for lib, model, mean in zip(libraries, models, means, strict=True):
            for parameter, each in zip(model.parameters(), change, strict=True):
                parameter.data.add_(lib.tensor(each))
            model(lib.tensor(x))  # moves the running statistics
            mean.update_parameters(model)
    states = [mean.state_dict() for mean in means]
    assert list(states[0]) == list(states[1])
    for name, value in states[0].items():
        np.testing.assert_allclose(array(value), array(states[1][name]), rtol=1e-7 if "lists" in kind else 1e-12)
    x = rng.normal(size=(2, 3))
    outputs = [mean.eval()(lib.tensor(x)) for lib, mean in zip(libraries, means, strict=True)]
    np.testing.assert_allclose(array(outputs[0]), array(outputs[1]), rtol=1e-6)
    assert repr(means[0]) == repr(means[1])


def test_a_mean_is_saved_and_loaded() -> None:
    model = _model(ours())
    mean = swa_utils.AveragedModel(model)
    mean.update_parameters(model)
    other = swa_utils.AveragedModel(_model(ours()))
    other.load_state_dict(mean.state_dict())
    assert other.n_averaged == 1
    assert ng.equal(other.module[0].weight, model[0].weight)
    assert copy.deepcopy(mean).n_averaged == 1


def test_statistics_are_those_of_all_batches(torch: ModuleType) -> None:
    values = np.random.default_rng(2).normal(size=(3, 5, 3))
    models = []
    for lib in (ours(), theirs(torch)):
        model = _model(lib)
        if models:
            copy_state(model, models[0])
        models.append(model)
    for lib, model in zip((ours(), theirs(torch)), models, strict=True):
        model.eval()
        loader = [(lib.tensor(each), None) for each in values]
        lib.averages.update_bn(loader, model)
        assert not model.training
        assert model[1].momentum == 0.1
    for name in ("running_mean", "running_var"):
        np.testing.assert_allclose(array(getattr(models[0][1], name)), array(getattr(models[1][1], name)), rtol=1e-10)
    plain = nn.Linear(1, 1)
    swa_utils.update_bn([], plain)


def test_a_batch_that_fails_leaves_the_mode_and_momenta() -> None:
    model = _model(ours()).eval()
    with pytest.raises(RuntimeError):
        swa_utils.update_bn([ng.ones(2, 7, dtype=ng.float64)], model)
    assert not model.training
    assert model[1].momentum == 0.1


def test_refusals() -> None:
    for make in (swa_utils.get_ema_avg_fn, swa_utils.get_ema_multi_avg_fn):
        for decay in (-0.1, 1.1):
            with pytest.raises(ValueError, match=r"Invalid decay value .* provided"):
                make(decay)
    with pytest.raises(AssertionError, match="Only one of avg_fn and multi_avg_fn"):
        swa_utils.AveragedModel(
            nn.Linear(1, 1), avg_fn=swa_utils.get_swa_avg_fn(), multi_avg_fn=swa_utils.get_swa_multi_avg_fn()
        )
    with pytest.raises(RuntimeError, match="grad"):
        swa_utils.get_swa_multi_avg_fn()([ng.ones(2)], [ng.ones(3)], 1)
