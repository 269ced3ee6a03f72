"""torchvision's other models: keys, shapes and text of all, numbers of small ones, and what loading them takes."""

from __future__ import annotations

import numpy as np
import pytest

import numgrad as ng
from numgrad import models, nn
from tests.models import recorded_models as recorded

pytestmark = pytest.mark.filterwarnings("ignore:The default weight initialization:FutureWarning")


def test_the_models_are_torchvisions() -> None:
    assert models.list_models() == sorted(recorded.read()["models"])


@pytest.mark.parametrize("name", models.list_models())
def test_keys_shapes_and_text(name: str) -> None:
    """Memory that nobody fills costs nothing, even for the largest."""
    with nn.init.skipped():
        model = models.get_model(name)
    assert recorded.facts(model) == recorded.read()["models"][name]


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
