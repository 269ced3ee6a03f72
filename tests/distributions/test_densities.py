"""Densities and what follows from them: against SciPy, by finite differences, by quadrature."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numgrad as ng
from tests.distributions.cases import ALL, COUNTS, NUMBERS, tensor, values_of

D = ng.distributions


@pytest.fixture
def stats() -> Any:
    return pytest.importorskip("scipy.stats", reason="SciPy, whose distributions are an oracle, is not installed")


@pytest.mark.parametrize("name", [name for name, case in ALL.items() if case.scipy])
def test_densities_are_scipys(name: str, stats: Any) -> None:
    case = ALL[name]
    distribution, frozen = case.make(D, tensor), case.scipy(stats)
    values = values_of(distribution, 5)
    of_scipy = frozen.logpmf if hasattr(frozen, "logpmf") and not hasattr(frozen, "logpdf") else frozen.logpdf
    if name in COUNTS or name == "Multinomial":
        of_scipy = frozen.logpmf
    array = values.numpy()
    if name == "Dirichlet":
        array = array.T
    elif name == "Wishart":
        array = np.moveaxis(array, 0, -1)
    np.testing.assert_allclose(distribution.log_prob(values).numpy(), of_scipy(array), rtol=1e-9, atol=1e-9)
    if name not in NUMBERS or name == "VonMises":
        return
    if name not in ("FisherSnedecor", "Logistic"):  # of which there is no entropy
        np.testing.assert_allclose(distribution.entropy().numpy(), frozen.entropy(), rtol=1e-8)
    try:
        shares = distribution.cdf(values)
    except NotImplementedError:
        return
    np.testing.assert_allclose(shares.numpy(), frozen.cdf(array), rtol=1e-9)
    try:
        back = distribution.icdf(shares)
    except NotImplementedError:
        return
    np.testing.assert_allclose(back.numpy(), array, rtol=1e-7)


@pytest.mark.parametrize("name", NUMBERS)
def test_densities_sum_to_1(name: str) -> None:
    """By Gauss and Legendre's formula over pieces that are even in the distribution's own samples."""
    distribution = NUMBERS[name].make(D, tensor)
    edges = np.sort(values_of(distribution, 4000).numpy(), 0)[::100]
    nodes, weights = np.polynomial.legendre.leggauss(16)
    middles, halves = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
    points = middles + halves * nodes[:, None, None]
    density = distribution.log_prob(tensor(points)).exp().numpy()
    totals = (density * weights[:, None, None] * halves).sum((0, 1))
    assert (np.abs(totals - (len(edges) - 1) / 40) < 0.02).all()  # what lies between the ends of the samples


@pytest.mark.parametrize("name", ALL)
def test_gradients_of_log_densities(name: str) -> None:
    arrays: list[Any] = []

    def kept(values: Any) -> Any:
        arrays.append(np.array(values, np.float64))
        return tensor(values)

    values = values_of(ALL[name].make(D, kept)).detach()

    def log_prob(*given: Any) -> Any:
        rest = iter(given)
        with_given = ALL[name].make(D, lambda _: next(rest))
        with_given._validate_args = False
        return with_given.log_prob(values)

    leaves = tuple(tensor(array).requires_grad_() for array in arrays)
    if name.startswith(("Wishart", "MultivariateNormal")):  # steps must keep matrices symmetric, or triangular
        inner = log_prob

        def log_prob(*given: Any) -> Any:
            last = given[-1].tril() if name.endswith("scale") else (given[-1] + given[-1].mT) / 2
            return inner(*given[:-1], last)

    if name.startswith(("Bernoulli", "Categorical", "OneHot", "Multinomial")):
        leaves = leaves[:1]
    assert ng.autograd.gradcheck(log_prob, leaves, fast_mode=True, rtol=1e-4)


@pytest.mark.parametrize("name", ["Normal", "Exponential", "Gamma", "Bernoulli", "Dirichlet", "Wishart", "Beta"])
def test_entropies_of_families_follow_from_the_normalizer(name: str) -> None:
    """Where the carrier measure is 1, the formula of its own is the one by automatic differentiation."""
    distribution = ALL[name].make(D, tensor)
    if name in ("Dirichlet", "Beta"):  # whose carrier is not
        natural = distribution._natural_params
        shifted = [each + 1 for each in natural]
        assert distribution._log_normalizer(*shifted).shape == distribution.entropy().shape
        return
    got = D.ExponentialFamily.entropy(distribution)
    np.testing.assert_allclose(got.detach().numpy(), distribution.entropy().numpy(), rtol=1e-9)


def test_entropies_by_the_normalizer_have_gradients() -> None:
    rate = tensor([0.5, 3.0]).requires_grad_()
    D.ExponentialFamily.entropy(D.Exponential(rate)).sum().backward()
    np.testing.assert_allclose(rate.grad.numpy(), [-2, -1 / 3], rtol=1e-12)


def test_edges_of_supports() -> None:
    """Probabilities 0 and 1, and values at the ends."""
    assert D.Bernoulli(tensor([0.0, 1.0])).log_prob(tensor([0.0, 1.0])).abs().max() < 1e-12
    assert D.Geometric(tensor(1.0)).log_prob(tensor(0.0)).item() == 0
    assert D.Poisson(tensor(0.0)).log_prob(tensor([0.0, 1.0])).tolist() == [0, -np.inf]
    assert D.Poisson(3).sample().dtype == ng.float32
    assert D.Poisson(tensor(0.0)).sample((3,)).tolist() == [0, 0, 0]
    assert D.NegativeBinomial(tensor(0.0), tensor(0.3)).log_prob(tensor(0.0)).item() == 0
    assert D.NegativeBinomial(tensor(0.0), tensor(0.3)).sample((2,)).tolist() == [0, 0]
    assert D.Uniform(tensor(0.0), tensor(1.0)).log_prob(tensor([0.0, 1.0])).tolist() == [0, -np.inf]
    assert D.Categorical(tensor([0.0, 1.0])).entropy().item() == pytest.approx(0, abs=1e-12)
    assert D.Gamma(tensor(1.0), tensor(2.0)).log_prob(tensor(0.0)).item() == pytest.approx(np.log(2))
    assert D.Multinomial(2, logits=tensor([0.0, -np.inf])).log_prob(tensor([2.0, 0.0])).item() == 0
    assert D.HalfNormal(1.0, validate_args=False).log_prob(tensor(-1.0)).item() == -np.inf
    assert D.ContinuousBernoulli(tensor(0.5)).cdf(tensor([0.0, 0.25, 1.0])).tolist() == [0, 0.25, 1]
    assert D.Normal(tensor(0.0), tensor(1.0)).cdf(tensor(-30.0)).item() > 0
    assert D.Exponential(tensor(1.0)).cdf(tensor(1e-20)).item() == 1e-20


def test_nothing_and_float32() -> None:
    for make in (
        lambda: D.Normal(ng.zeros(0), ng.ones(0)),
        lambda: D.Gamma(ng.ones(0), 1.0),
        lambda: D.Dirichlet(ng.ones(0, 3)),
    ):
        distribution = make()
        sample = distribution.rsample((2,))
        assert sample.dtype == ng.float32
        assert sample.numel() == 0
        assert tuple(distribution.log_prob(sample).shape) == (2, 0)
    assert D.Normal(0, 1).loc.dtype == ng.float32
    assert D.Normal(0.0, tensor(1.0)).loc.dtype == ng.float64
    assert D.Gamma(ng.tensor([2.0]), 1).sample().dtype == ng.float32
    strided = ng.rand(3, 4).T
    assert tuple(D.Beta(strided + 0.1, 2.0).rsample((2,)).shape) == (2, 4, 3)
