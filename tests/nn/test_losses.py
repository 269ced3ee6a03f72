"""Losses against torch's: values, gradients, reductions, refusals."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn
from tests.nn.twins import Library, array, ours, outcome, theirs

RNG = np.random.default_rng(11)
SCORES = RNG.normal(size=(5, 4))
IMAGES = RNG.normal(size=(2, 4, 3, 2))
CLASSES = np.array([0, 3, 1, 1, 2])
SOME = np.array([0, -100, 1, -100, 2])
PIXELS = RNG.integers(0, 4, size=(2, 3, 2))
WEIGHT = np.array([0.5, 1.0, 2.0, 0.1])
TARGET = RNG.normal(size=(5, 4))
PART = RNG.uniform(size=(5, 4))
PART_SUM = PART / PART.sum(1, keepdims=True)
ZEROS = np.zeros((5, 4))

# name: (loss, input, target)
LOSSES: dict[str, tuple[Any, np.ndarray, np.ndarray]] = {
    "mse": (lambda lib, r: lib.nn.MSELoss(reduction=r), SCORES, TARGET),
    "l1": (lambda lib, r: lib.nn.L1Loss(reduction=r), SCORES, TARGET),
    "huber": (lambda lib, r: lib.nn.HuberLoss(reduction=r, delta=0.7), SCORES, TARGET),
    "smooth l1": (lambda lib, r: lib.nn.SmoothL1Loss(reduction=r, beta=0.7), SCORES, TARGET),
    "smooth l1, beta 0": (lambda lib, r: lib.nn.SmoothL1Loss(reduction=r, beta=0.0), SCORES, TARGET),
    "bce": (lambda lib, r: lib.nn.BCEWithLogitsLoss(reduction=r), SCORES * 20, PART),
    "bce at zero": (lambda lib, r: lib.nn.BCEWithLogitsLoss(reduction=r), ZEROS, PART),
    "bce weighted": (
        lambda lib, r: lib.nn.BCEWithLogitsLoss(lib.tensor(WEIGHT), reduction=r, pos_weight=lib.tensor(WEIGHT + 1)),
        SCORES,
        PART,
    ),
    "nll": (lambda lib, r: lib.nn.NLLLoss(reduction=r), SCORES, CLASSES),
    "nll weighted": (lambda lib, r: lib.nn.NLLLoss(lib.tensor(WEIGHT), reduction=r), SCORES, SOME),
    "nll of images": (lambda lib, r: lib.nn.NLLLoss(reduction=r, ignore_index=2), IMAGES, PIXELS),
    "cross entropy": (lambda lib, r: lib.nn.CrossEntropyLoss(reduction=r), SCORES, CLASSES),
    "cross entropy of one": (lambda lib, r: lib.nn.CrossEntropyLoss(reduction=r), SCORES[0], np.array(3)),
    "cross entropy weighted": (lambda lib, r: lib.nn.CrossEntropyLoss(lib.tensor(WEIGHT), reduction=r), SCORES, SOME),
    "cross entropy smooth": (lambda lib, r: lib.nn.CrossEntropyLoss(reduction=r, label_smoothing=0.2), SCORES, SOME),
    "cross entropy both": (
        lambda lib, r: lib.nn.CrossEntropyLoss(lib.tensor(WEIGHT), reduction=r, label_smoothing=0.2),
        IMAGES,
        PIXELS,
    ),
    "cross entropy of probabilities": (
        lambda lib, r: lib.nn.CrossEntropyLoss(lib.tensor(WEIGHT), reduction=r, label_smoothing=0.1),
        SCORES,
        PART_SUM,
    ),
}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", LOSSES)
def test_numbers_are_torchs(name: str, reduction: str, torch: ModuleType) -> None:
    make, values, target = LOSSES[name]
    results = []
    for lib in (ours(), theirs(torch)):
        x = lib.tensor(values, requires_grad=True)
        loss = make(lib, reduction)(x, lib.tensor(target))
        loss.sum().backward()
        results.append((array(loss), array(x.grad)))
    for mine, wanted in zip(*results, strict=True):
        assert mine.shape == wanted.shape
        np.testing.assert_allclose(mine, wanted, rtol=1e-9, atol=1e-12)


CASES: dict[str, Any] = {
    "bce sizes": lambda lib: lib.nn.BCEWithLogitsLoss()(lib.t.ones(2, 3), lib.t.ones(2)),
    "huber delta": lambda lib: lib.nn.HuberLoss(delta=-1)(lib.t.ones(2), lib.t.ones(2)),
    "smooth beta": lambda lib: lib.nn.SmoothL1Loss(beta=-1)(lib.t.ones(2), lib.t.ones(2)),
    "class out of range": lambda lib: lib.nn.CrossEntropyLoss()(lib.t.ones(2, 3), lib.t.tensor([0, 5])),
    "reduction": lambda lib: _unknown_reduction(lib),
}


def _unknown_reduction(lib: Library) -> None:
    lib.nn.CrossEntropyLoss(reduction="x")(lib.t.ones(2, 3), lib.t.tensor([1, 2]))


@pytest.mark.parametrize("name", CASES)
def test_words_are_torchs(name: str, torch_says: Any) -> None:
    mine, wanted = outcome(CASES[name], ours()), torch_says(lambda torch: outcome(CASES[name], theirs(torch)))
    assert mine[0] == wanted[0]
    assert wanted[1].rstrip(".") in mine[1]


def test_differing_sizes_warn() -> None:
    for loss in (nn.MSELoss(), nn.L1Loss(), nn.HuberLoss(), nn.SmoothL1Loss()):
        with pytest.warns(UserWarning, match="Using a target size"):
            loss(ng.ones(3, 1), ng.ones(3))


def test_class_weights_are_state() -> None:
    loss = nn.CrossEntropyLoss(ng.tensor(WEIGHT))
    assert list(loss.state_dict()) == ["weight"]
    assert list(nn.CrossEntropyLoss().state_dict()) == []


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
def test_a_target_without_dimensions_counts_for_the_dtype(name: str, torch: ModuleType) -> None:
    results = []
    for lib in (ng, torch):
        loss = getattr(lib.nn.functional, name)(lib.ones(3, 2), lib.tensor(0.1, dtype=lib.float64))
        results.append((str(loss.dtype).rpartition(".")[2], loss.item()))
    assert results[0][0] == results[1][0]
    assert results[0][1] == pytest.approx(results[1][1], rel=1e-12 if results[0][0] == "float64" else 1e-6)
