"""Gamma numbers: their gradient against quantiles, in both precisions; threads, examples, forward mode, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad import ops
from numgrad.ops.gammas import log_gamma_slope

D = ng.distributions
CONCENTRATIONS = [1e-3, 0.01, 0.1, 0.5, 1.0, 2.5, 8.0, 19.9, 20.1, 100.0, 1e4]
SHARES = [1e-9, 1e-3, 0.1, 0.45, 0.55, 0.9, 0.999]


@pytest.fixture
def special() -> Any:
    return pytest.importorskip(
        "scipy.special", reason="SciPy, whose incomplete gamma function is the oracle, is not installed"
    )


def points(special: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Concentrations, logarithms of quantiles, and how these move, by central differences of the function's inverse."""
    rows = []
    for a in CONCENTRATIONS:
        for share in SHARES:
            step = 1e-4 * a
            if special.gammaincinv(a - 2 * step, share) < 1e-290:
                continue  # quantiles that float64 does not have: the next test
            one, two = (
                (np.log(special.gammaincinv(a + k * step, share)) - np.log(special.gammaincinv(a - k * step, share)))
                / (2 * k * step)
                for k in (1, 2)
            )
            rows.append((a, np.log(special.gammaincinv(a, share)), (4 * one - two) / 3))
    return tuple(np.array(rows).T)  # type: ignore[return-value]


@pytest.mark.parametrize(("dtype", "tolerance"), [(ng.float64, 2e-8), (ng.float32, 5e-6)])
def test_slopes_are_those_of_quantiles(dtype: Any, tolerance: float, special: Any) -> None:
    a, logs, want = points(special)
    assert len(a) > 60
    got = log_gamma_slope(ng.tensor(a, dtype=dtype), ng.tensor(logs, dtype=dtype))
    assert got.dtype is dtype
    np.testing.assert_allclose(got.numpy(), want, rtol=tolerance)


def test_slopes_of_tiny_numbers() -> None:
    """Up to x comes the share x**a / gamma(a + 1), so log x is (log(share) + lgamma(a + 1)) / a."""
    a, logs = np.array([1e-3, 0.01, 0.7]), np.array([-2000.0, -900.0, -300.0])
    share = a * logs - ng.lgamma(ng.tensor(a + 1)).numpy()
    want = -(share + ng.lgamma(ng.tensor(a + 1)).numpy()) / a**2 + ng.digamma(ng.tensor(a + 1)).numpy() / a
    got = log_gamma_slope(ng.tensor(a), ng.tensor(logs)).numpy()
    np.testing.assert_allclose(got, want, rtol=1e-12)


def test_slopes_at_the_ends() -> None:
    def slope(a: float, logarithm: float) -> float:
        return log_gamma_slope(ng.tensor(a, dtype=ng.float64), ng.tensor(logarithm, dtype=ng.float64)).item()

    assert slope(2.0, -np.inf) == slope(50.0, -np.inf) == np.inf
    assert slope(2.0, 1e4) == slope(2.0, np.inf) == 0
    assert 0 < slope(2.0, 700.0) < 1e-290
    for a, logarithm in ((0.0, 1.0), (-1.0, 1.0), (np.inf, 1.0), (np.nan, 1.0), (1.0, np.nan)):
        assert np.isnan(slope(a, logarithm))
    # Of many, 1 / a at the middle.
    assert slope(1e10, np.log(1e10)) == pytest.approx(1e-10, rel=1e-5)


def test_numbers_of_no_distribution_are_nan() -> None:
    drawn = draw(ng.tensor([0.0, -1.0, np.nan, np.inf, 1.0]))
    assert np.isnan(drawn.numpy()).tolist() == [True, True, True, True, False]


def draw(concentration: Any, seed: int = 3, **params: Any) -> Any:
    ng.manual_seed(seed)
    return ops.gammas.standard_gamma(concentration, ng.random.default_generator._state, **params)


def test_any_number_of_threads_gives_the_same_bits() -> None:
    concentration = ng.linspace(0.01, 30.0, 5000, dtype=ng.float64)
    before = ng.get_num_threads()
    drawn = []
    try:
        for count in (1, 2, 3):
            ng.set_num_threads(count)
            drawn.append(draw(concentration).numpy().tobytes())
    finally:
        ng.set_num_threads(before)
    assert len(set(drawn)) == 1


def test_logarithms_are_of_the_same_numbers() -> None:
    concentration = ng.linspace(0.5, 30.0, 100, dtype=ng.float64)
    np.testing.assert_allclose(
        draw(concentration, logarithm=True).exp().numpy(), draw(concentration).numpy(), rtol=1e-12
    )


def test_none_is_0() -> None:
    for dtype in (ng.float32, ng.float64):
        smallest = ng.finfo(dtype).tiny
        drawn = draw(ng.full((2000,), 1e-3, dtype=dtype))
        assert drawn.min().item() == smallest
        assert draw(ng.full((2000,), 1e-3, dtype=dtype), logarithm=True).min().item() < -1000


def test_gradients_and_tangents() -> None:
    concentration = ng.tensor([0.3, 2.0, 30.0], dtype=ng.float64, requires_grad=True)
    for logarithm in (False, True):

        def drawn(x: Any, logarithm: bool = logarithm) -> Any:
            return draw(x, logarithm=logarithm)

        (grad,) = ng.autograd.grad(drawn(concentration).sum(), concentration)
        value, tangent = ng.func.jvp(drawn, (concentration.detach(),), (ng.ones(3, dtype=ng.float64),))
        logs = value if logarithm else value.log()
        want = log_gamma_slope(concentration.detach(), logs) * (1 if logarithm else value)
        assert grad.tolist() == tangent.tolist() == want.tolist()


def test_there_is_no_second_derivative() -> None:
    concentration = ng.tensor([0.3, 2.0], dtype=ng.float64, requires_grad=True)
    (grad,) = ng.autograd.grad(D.Gamma(concentration, 1.0).rsample().sum(), concentration, create_graph=True)
    with pytest.raises(RuntimeError, match="the derivative of log_gamma_slope is not implemented"):
        grad.sum().backward()
    rate = ng.tensor(2.0, dtype=ng.float64, requires_grad=True)
    (grad,) = ng.autograd.grad(D.Gamma(concentration.detach(), rate).rsample().sum(), rate, create_graph=True)
    grad.backward()
    assert rate.grad.item() > 0


def test_many_examples() -> None:
    rows = ng.full((4, 50), 2.5, dtype=ng.float64)

    def sample(row: Any) -> Any:
        return ops.gammas.standard_gamma(row, ng.random.default_generator._state)

    same = ng.func.vmap(sample, randomness="same")(rows)
    assert all(same[0].tolist() == row.tolist() for row in same)
    assert len(set(same[0].tolist())) == 50
    for given, dim in ((rows, 0), (rows[0], None)):
        different = ng.func.vmap(lambda row, _: sample(row), (dim, 0), randomness="different")(given, rows)
        assert len(set(different.ravel().tolist())) == 200


def test_halves() -> None:
    drawn = D.Gamma(ng.ones(20, dtype=ng.float16), ng.ones(20, dtype=ng.float16)).rsample()
    assert drawn.dtype == ng.float16
    assert (drawn > 0).all()


def test_cumulative_functions_have_gradients() -> None:
    values = ng.tensor([0.3, 5.0, 20.0], dtype=ng.float64)
    leaves = tuple(ng.tensor(x, dtype=ng.float64, requires_grad=True) for x in ([0.5, 3.0, 30.0], [0.7, 1.5, 1.2]))
    assert ng.autograd.gradcheck(lambda a, rate: D.Gamma(a, rate).cdf(values), leaves)
