"""Initial values: ranges, moments, torch's formulas, refusals."""

from __future__ import annotations

import math
import statistics
import warnings
from functools import partial
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import nn
from numgrad.nn import init
from tests.nn.twins import Library, array, ours, outcome, theirs

BOUND = 1 / math.sqrt(3 * 25)


@pytest.fixture(autouse=True)
def seed() -> None:
    ng.manual_seed(5)


@pytest.mark.parametrize(
    ("fill", "bound"),
    [
        (lambda w: init.uniform_(w, -2, 2), 2),
        (lambda w: init.xavier_uniform_(w, gain=2), 2 * math.sqrt(6 / (600 + 400))),
        (lambda w: init.kaiming_uniform_(w, a=1), math.sqrt(3) / math.sqrt(400)),
        (lambda w: init.kaiming_uniform_(w, mode="fan_out", nonlinearity="relu"), math.sqrt(6) / math.sqrt(600)),
    ],
)
def test_even(fill: Any, bound: float) -> None:
    weight = nn.Parameter(ng.empty(600, 400))
    assert fill(weight) is weight
    assert weight.grad_fn is None
    values = array(weight)
    assert abs(values).max() <= bound * (1 + 1e-6)
    assert abs(values).max() > bound * 0.999
    assert values.std() == pytest.approx(bound / math.sqrt(3), rel=0.01)
    assert abs(values.mean()) < bound * 0.01


@pytest.mark.parametrize(
    ("fill", "std"),
    [
        (lambda w: init.normal_(w, 0, 3), 3),
        (lambda w: init.xavier_normal_(w), math.sqrt(2 / (600 + 400))),
        (lambda w: init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"), math.sqrt(2 / 600)),
        (lambda w: init.kaiming_normal_(w, nonlinearity="tanh"), 5 / 3 / math.sqrt(400)),
    ],
)
def test_normal(fill: Any, std: float) -> None:
    weight = ng.empty(600, 400)
    assert fill(weight) is weight
    assert array(weight).std() == pytest.approx(std, rel=0.01)
    assert abs(array(weight).mean()) < std * 0.01


@pytest.mark.parametrize(("a", "b"), [(-2.0, 2.0), (0.5, 1.0), (-8.0, 8.0)])
def test_truncated_normal(a: float, b: float) -> None:
    values = array(init.trunc_normal_(ng.empty(200_000, dtype=ng.float64), 0.25, 1.5, a, b))
    assert values.min() >= a
    assert values.max() <= b
    normal = statistics.NormalDist(0.25, 1.5)
    low, high = normal.cdf(a), normal.cdf(b)
    quantiles = np.linspace(0.01, 0.99, 25)
    wanted = [normal.inv_cdf(low + q * (high - low)) for q in quantiles]
    np.testing.assert_allclose(np.quantile(values, quantiles), wanted, atol=0.02 * 1.5)


def test_truncated_far_away_warns() -> None:
    with pytest.warns(UserWarning, match="more than 2 std"):
        init.trunc_normal_(ng.empty(10), 10.0, 1.0)


def test_constants() -> None:
    weight = nn.Parameter(ng.empty(2, 3))
    assert init.constant_(weight, 1.5).tolist() == [[1.5] * 3] * 2
    assert init.ones_(weight).tolist() == [[1] * 3] * 2
    assert init.zeros_(weight).tolist() == [[0] * 3] * 2
    assert init.eye_(weight).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert weight.is_leaf


def test_defaults_of_layers() -> None:
    conv = nn.Conv2d(6, 500, 5, groups=2)
    for parameter in (conv.weight, conv.bias):
        values = array(parameter)
        assert BOUND * 0.98 < abs(values).max() <= BOUND * (1 + 1e-6)
    linear = nn.Linear(75, 500)
    for parameter in (linear.weight, linear.bias):
        assert BOUND * 0.98 < abs(array(parameter)).max() <= BOUND * (1 + 1e-6)
    norm = nn.BatchNorm2d(3)
    assert norm.weight.tolist() == norm.running_var.tolist() == [1, 1, 1]
    assert norm.bias.tolist() == norm.running_mean.tolist() == [0, 0, 0]
    assert array(nn.Embedding(300, 300).weight).std() == pytest.approx(1, rel=0.02)
    assert nn.Linear(2, 3, dtype=ng.float64).weight.dtype is ng.float64


def test_one_seed_one_network() -> None:
    ng.manual_seed(3)
    first = nn.Linear(3, 3)
    ng.manual_seed(3)
    assert ng.equal(first.weight, nn.Linear(3, 3).weight)


def _gain(name: str, lib: Library) -> float:
    return lib.init.calculate_gain(name)


def _older_names(lib: Any) -> list[str]:
    """What the functions without an underscore warn of."""
    words = []
    for name in (
        "uniform",
        "normal",
        "eye",
        "xavier_uniform",
        "xavier_normal",
        "kaiming_uniform",
        "kaiming_normal",
        "orthogonal",
    ):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            getattr(lib.init, name)(lib.t.ones(2, 3))
            lib.init.constant(lib.t.ones(2), 3.0)
            lib.init.dirac(lib.t.ones(2, 3, 1))
            lib.init.sparse(lib.t.ones(2, 3), 0.5)
        words += [f"{each.category.__name__}: {each.message}" for each in caught]
    return words


CASES: dict[str, Any] = {
    **{f"gain {name}": partial(_gain, name) for name in ("tanh", "relu", "leaky_relu", "selu", "x")},
    "gain of none": lambda lib: float(lib.init.calculate_gain("conv2d")),
    "gain slope": lambda lib: lib.init.calculate_gain("leaky_relu", 0.5),
    "gain slope text": lambda lib: lib.init.calculate_gain("leaky_relu", "a"),
    "kaiming vector": lambda lib: lib.init.kaiming_uniform_(lib.t.ones(3)),
    "kaiming mode": lambda lib: lib.init.kaiming_normal_(lib.t.ones(3, 3), mode="x"),
    "xavier vector": lambda lib: lib.init.xavier_uniform_(lib.t.ones(3)),
    "uniform order": lambda lib: lib.init.uniform_(lib.t.ones(3), 2, 1),
    "normal std": lambda lib: lib.init.normal_(lib.t.ones(3), 0, -1),
    "eye": lambda lib: lib.init.eye_(lib.t.ones(3)),
    "orthogonal vector": lambda lib: lib.init.orthogonal_(lib.t.ones(3)),
    "sparse vector": lambda lib: lib.init.sparse_(lib.t.ones(3), 0.5),
    "dirac matrix": lambda lib: lib.init.dirac_(lib.t.ones(3, 3)),
    "dirac groups": lambda lib: lib.init.dirac_(lib.t.ones(3, 3, 3), 2),
    "dirac": lambda lib: lib.init.dirac_(lib.t.ones(4, 3, 2), 2).tolist(),
    "dirac images": lambda lib: lib.init.dirac_(lib.t.ones(2, 3, 3, 2)).tolist(),
    "dirac volumes": lambda lib: lib.init.dirac_(lib.t.ones(3, 2, 1, 2, 3)).tolist(),
    "older names": _older_names,
}


@pytest.mark.parametrize("name", CASES)
def test_words_are_torchs(name: str, torch_says: Any) -> None:
    assert list(outcome(CASES[name], ours())) == torch_says(lambda torch: outcome(CASES[name], theirs(torch)))


def test_empty_weights_warn_and_stay() -> None:
    with pytest.warns(UserWarning, match="no-op"):
        nn.Conv2d(0, 4, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert nn.Linear(0, 3)(ng.ones(2, 0)).shape == (2, 3)


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4), (4, 2, 3)])
def test_orthogonal_weights(shape: tuple[int, ...]) -> None:
    weight = nn.init.orthogonal_(ng.empty(*shape, dtype=ng.float64), gain=2.0)
    matrix = weight.reshape(shape[0], -1).numpy()
    smaller = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(smaller, 4 * np.eye(len(smaller)), atol=1e-12)


def test_sparse_weights() -> None:
    weight = nn.init.sparse_(ng.empty(10, 4), 0.25, std=2.0)
    assert (weight == 0).sum(0).tolist() == [3, 3, 3, 3]


def test_a_generator_is_drawn_from() -> None:
    fills = {
        "uniform_": {}, "normal_": {}, "trunc_normal_": {}, "xavier_uniform_": {}, "xavier_normal_": {}, "kaiming_uniform_": {},
        "kaiming_normal_": {}, "orthogonal_": {}, "sparse_": {"sparsity": 0.5},
    }  # fmt: skip
    state = ng.get_rng_state()
    for name, options in fills.items():
        one, two = (
            getattr(nn.init, name)(ng.empty(4, 6), generator=ng.Generator().manual_seed(3), **options) for _ in range(2)
        )
        assert ng.equal(one, two), name
    assert ng.equal(ng.get_rng_state(), state)
