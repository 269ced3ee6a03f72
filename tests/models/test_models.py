"""torchvision's other models: keys, shapes and text of all, numbers of small ones, and what loading them takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import models, nn, weights
from numgrad.runtime import helpers
from tests.models import recorded_models as recorded


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """The facts of all models, from a process that computes nothing, so that the largest takes neither time nor memory."""
    answer = helpers.ask(f"{recorded.__name__}:every_model", {})
    assert "error" not in answer, answer
    return answer["result"]  # type: ignore[no-any-return]


def test_the_models_are_torchvisions() -> None:
    assert models.list_models() == sorted(recorded.read()["models"])


@pytest.mark.parametrize("name", models.list_models())
def test_keys_shapes_text_and_multiply_adds(name: str, found: dict[str, Any]) -> None:
    """The names and shapes of torchvision's state dict in its order, its text, and the published number of operations."""
    mult_adds = found[name].pop("mult_adds")
    assert found[name] == recorded.read()["models"][name]
    assert mult_adds / 1e9 == pytest.approx(weights.entry(name).gmacs, abs=6e-4)


@pytest.mark.parametrize("name", recorded.NETWORKS)
def test_numbers_are_torchvisions(name: str) -> None:
    """Scores, loss and the gradient of every parameter, in float64."""
    make, shape = recorded.NETWORKS[name]
    with nn.init.skipped():
        model = make(models).double()
    values = recorded.filled((key, tuple(value.shape)) for key, value in model.state_dict().items())
    model.load_state_dict(values)
    found = recorded.numbers(model, shape, ng.tensor)
    wanted = recorded.read()["numbers"][name]
    for part, expected in wanted.items():
        expected = np.array(expected)
        assert np.abs(np.array(found[part]) - expected).max() <= 1e-7 * np.abs(expected).max(), part
