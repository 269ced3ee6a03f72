"""What is drawn: by Kolmogorov and Smirnov's test or chi squared, by moments, from the seed, without and with gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from tests.distributions.cases import ALL, COUNTS, NUMBERS, tensor

D = ng.distributions
COUNT = 20_000
# The table's shares of samples beyond which a true distribution comes once in 20 000 seeds.
UNLIKELY = 5e-5


@pytest.fixture
def stats() -> Any:
    return pytest.importorskip("scipy.stats", reason="SciPy, whose distributions are an oracle, is not installed")


def drawn(distribution: Any, seed: int = 11) -> np.ndarray:
    ng.manual_seed(seed)
    return distribution.sample((COUNT,)).numpy().astype(float)


@pytest.mark.parametrize("name", [name for name, case in NUMBERS.items() if case.scipy])
def test_numbers_are_of_their_distribution(name: str, stats: Any) -> None:
    case = NUMBERS[name]
    values, frozen = drawn(case.make(D, tensor)), case.scipy(stats)
    shares = frozen.cdf(values) % 1  # angles have theirs beyond a turn
    for column in range(2):
        assert stats.kstest(shares[:, column], "uniform").pvalue > UNLIKELY, column
    assert abs(np.corrcoef(shares[:, 0], shares[:, 1])[0, 1]) < 0.03


@pytest.mark.parametrize("name", [name for name in NUMBERS if name not in ("VonMises", "LogitRelaxedBernoulli")])
def test_numbers_are_of_their_own_function(name: str, stats: Any) -> None:
    """Shares by the distribution's own cdf, or where it has none the mean of a bounded function by its density."""
    distribution = NUMBERS[name].make(D, tensor)
    values = drawn(distribution)
    try:
        shares = distribution.cdf(ng.tensor(values)).numpy()
    except NotImplementedError:
        pytest.skip("no cdf")
    for column in range(2):
        assert stats.kstest(shares[:, column], "uniform").pvalue > UNLIKELY, column


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_as_frequent_as_their_probabilities(name: str, stats: Any) -> None:
    distribution = COUNTS[name].make(D, tensor)
    values = drawn(distribution)
    numbers = np.arange(12)
    if distribution.has_enumerate_support:
        numbers = distribution.enumerate_support(False).numpy().ravel()
    chances = distribution.log_prob(ng.tensor(numbers.astype(float)).unsqueeze(-1)).exp().numpy()
    for column in range(2):
        observed = np.array([(values[:, column] == number).sum() for number in numbers])
        expected = chances[:, column] * COUNT
        often = expected > 5
        observed = np.append(observed[often], COUNT - observed[often].sum())
        expected = np.append(expected[often], COUNT - expected[often].sum())
        keep = expected > 1e-6
        assert observed[~keep].sum() == 0
        assert stats.chisquare(observed[keep], expected[keep]).pvalue > UNLIKELY


@pytest.mark.parametrize("name", ALL)
def test_moments(name: str) -> None:
    distribution = ALL[name].make(D, tensor)
    try:
        mean, variance = distribution.mean.numpy(), distribution.variance.numpy()
    except NotImplementedError:
        pytest.skip("no moments")
    if name == "VonMises" or not (np.isfinite(mean).all() and np.isfinite(variance).all()):
        pytest.skip("no moments of numbers")
    values = drawn(distribution, 3)
    error = 6 * np.sqrt(variance / COUNT)
    assert (np.abs(values.mean(0) - mean) <= error + 1e-12).all()
    fourth = ((values - mean) ** 4).mean(0)
    assert (np.abs(values.var(0) - variance) <= 8 * np.sqrt(fourth / COUNT) + 1e-12).all()


@pytest.mark.parametrize("name", ALL)
def test_the_seed_decides_and_samples_are_within_the_support(name: str) -> None:
    distribution = ALL[name].make(D, tensor)
    one, two, other = (drawn(distribution, seed)[:200] for seed in (1, 1, 2))
    assert one.tobytes() == two.tobytes()
    assert one.tobytes() != other.tobytes()
    assert np.isfinite(distribution.log_prob(distribution.sample((200,))).numpy()).all()  # checked against the support


@pytest.mark.parametrize("name", ALL)
def test_samples_have_gradients_where_they_are_asked_for(name: str) -> None:
    leaves: list[Any] = []

    def leaf(values: Any) -> Any:
        leaves.append(tensor(values).requires_grad_())
        return leaves[-1]

    distribution = ALL[name].make(D, leaf)
    assert not distribution.sample((2,)).requires_grad
    if not distribution.has_rsample:
        with pytest.raises(NotImplementedError):
            distribution.rsample()
        return
    distribution.rsample((5,)).pow(2).sum().backward()
    assert [each for each in leaves if each.grad is not None]
    assert all(np.isfinite(each.grad.numpy()).all() for each in leaves if each.grad is not None)


QUANTILES: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "Normal": (lambda a, b: D.Normal(a, b), lambda s, a, b: s.norm(a, b)),
    "Uniform": (lambda a, b: D.Uniform(a, a + b), lambda s, a, b: s.uniform(a, b)),
    "Exponential": (lambda a, b: D.Exponential(a * b), lambda s, a, b: s.expon(0, 1 / (a * b))),
    "Laplace": (lambda a, b: D.Laplace(a, b), lambda s, a, b: s.laplace(a, b)),
    "Cauchy": (lambda a, b: D.Cauchy(a, b), lambda s, a, b: s.cauchy(a, b)),
    "Gumbel": (lambda a, b: D.Gumbel(a, b), lambda s, a, b: s.gumbel_r(a, b)),
    "Weibull": (lambda a, b: D.Weibull(a, b), lambda s, a, b: s.weibull_min(b, 0, a)),
    "Pareto": (lambda a, b: D.Pareto(a, b), lambda s, a, b: s.pareto(b, 0, a)),
    "LogNormal": (lambda a, b: D.LogNormal(a, b), lambda s, a, b: s.lognorm(b, 0, np.exp(a))),
    "GeneralizedPareto": (lambda a, b: D.GeneralizedPareto(a, b, a), lambda s, a, b: s.genpareto(a, a, b)),
    "Gamma": (lambda a, b: D.Gamma(a, b), lambda s, a, b: s.gamma(a, 0, 1 / b)),
    "Gamma of many": (lambda a, b: D.Gamma(40 * a, b), lambda s, a, b: s.gamma(40 * a, 0, 1 / b)),
    "InverseGamma": (lambda a, b: D.InverseGamma(a, b), lambda s, a, b: s.invgamma(a, 0, b)),
    "Chi2": (lambda a, b: D.Chi2(a + b), lambda s, a, b: s.chi2(a + b)),
}


@pytest.mark.parametrize("name", QUANTILES)
def test_gradients_of_samples_are_those_of_quantiles(name: str, stats: Any) -> None:
    make, of_scipy = QUANTILES[name]
    a, b = (tensor(value).requires_grad_() for value in (0.8, 1.7))
    ng.manual_seed(4)
    # Away from the kinks of a quantile (Laplace's in the middle), and from where a float64 has no quantile.
    samples = make(a, b).rsample((30,))
    share = of_scipy(stats, 0.8, 1.7).cdf(samples.detach().numpy())
    step = 1e-5
    for leaf, up, down in ((a, (0.8 + step, 1.7), (0.8 - step, 1.7)), (b, (0.8, 1.7 + step), (0.8, 1.7 - step))):
        want = (of_scipy(stats, *up).ppf(share) - of_scipy(stats, *down).ppf(share)) / (2 * step)
        got = np.array([_slope(sample, leaf) for sample in samples])
        np.testing.assert_allclose(got, want, rtol=2e-6, atol=1e-8)


def _slope(sample: Any, leaf: Any) -> float:
    return float(ng.autograd.grad(sample, leaf, retain_graph=True)[0])


@pytest.mark.parametrize(
    ("make", "leaf", "moment"),
    [
        (lambda a: D.Beta(a, 1.5).rsample((40_000,)), 0.8, lambda a: a * (a + 1) / ((a + 1.5) * (a + 2.5))),
        (lambda a: D.Dirichlet(ng.stack([a, a * 0 + 2, a * 0 + 0.5])).rsample((40_000,))[:, 0], 1.3,
         lambda a: a * (a + 1) / ((a + 2.5) * (a + 3.5))),
        (lambda a: D.StudentT(a).rsample((40_000,)), 9.0, lambda a: a / (a - 2)),
        (lambda a: D.FisherSnedecor(3.0, a).rsample((40_000,)).sqrt(), 12.0, lambda a: a / (a - 2)),
        (lambda a: D.Wishart(a, ng.eye(2, dtype=ng.float64)).rsample((40_000,))[:, 0, 1], 4.5, lambda a: a),
    ],
    ids=["Beta", "Dirichlet", "StudentT", "FisherSnedecor", "Wishart"],
)  # fmt: skip
def test_mean_gradients_are_those_of_means(make: Any, leaf: float, moment: Any) -> None:
    """The second moment's, of samples that are made of several gamma numbers."""
    a = tensor(leaf).requires_grad_()
    ng.manual_seed(8)
    make(a).pow(2).mean().backward()
    want = (moment(leaf + 1e-6) - moment(leaf - 1e-6)) / 2e-6
    assert abs(a.grad.item() - want) < 0.06 * abs(want)


def test_one_hot_samples_pass_the_gradient_straight_through() -> None:
    probs = tensor([0.2, 0.3, 0.5]).requires_grad_()
    sample = D.OneHotCategoricalStraightThrough(probs).rsample()
    np.testing.assert_allclose(sorted(sample.tolist()), [0, 0, 1], atol=1e-12)
    (sample * tensor([1.0, 2.0, 3.0])).sum().backward()
    want = np.array([1, 2, 3]) - 2.3
    np.testing.assert_allclose(probs.grad.numpy(), want, rtol=1e-12)


def test_samples_of_small_concentrations_do_not_underflow() -> None:
    for dtype in (ng.float32, ng.float64):
        concentration = ng.full((4,), 1e-3, dtype=dtype, requires_grad=True)
        points = D.Dirichlet(concentration).rsample((500,))
        assert ((points.sum(-1) - 1).abs() < 1e-5).all()
        assert (points > 0).all()
        points.log().sum().backward()
        assert np.isfinite(concentration.grad.numpy()).all()
        assert (D.Gamma(ng.full((500,), 1e-3, dtype=dtype), 1.0).sample() > 0).all()
