"""A table of distributions with parameters, which drives the tests: a function of the module and of what makes tensors.

With it a function of ``scipy.stats`` that makes the same distribution, where there is one. Values of float64, a batch of two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import numgrad as ng

Make = Callable[[Any, Callable[[Any], Any]], Any]


class Case(NamedTuple):
    make: Make
    scipy: Callable[[Any], Any] | None = None


def tensor(values: Any) -> Any:
    return ng.tensor(values, dtype=ng.float64)


def of_torch(torch: Any) -> Callable[[Any], Any]:
    return lambda values: torch.tensor(values, dtype=torch.float64)


COV = [[2.0, 0.3, 0.0], [0.3, 1.0, -0.2], [0.0, -0.2, 0.5]]
FACTOR = [[1.0, 0.2], [-0.5, 0.3], [0.0, 0.7]]
NUMBERS: dict[str, Case] = {
    "Normal": Case(lambda D, t: D.Normal(t([0.5, -1.0]), t([1.0, 2.5])), lambda s: s.norm([0.5, -1], [1, 2.5])),
    "Uniform": Case(lambda D, t: D.Uniform(t([0.0, -1.0]), t([2.0, 1.5])), lambda s: s.uniform([0, -1], [2, 2.5])),
    "Exponential": Case(lambda D, t: D.Exponential(t([0.5, 3.0])), lambda s: s.expon(0, [2, 1 / 3])),
    "Gamma": Case(
        lambda D, t: D.Gamma(t([0.4, 30.0]), t([0.5, 3.0])), lambda s: s.gamma([0.4, 30], 0, [2, 1 / 3])
    ),
    "InverseGamma": Case(
        lambda D, t: D.InverseGamma(t([0.8, 5.0]), t([0.5, 3.0])), lambda s: s.invgamma([0.8, 5], 0, [0.5, 3])
    ),
    "Chi2": Case(lambda D, t: D.Chi2(t([1.0, 7.0])), lambda s: s.chi2([1, 7])),
    "Beta": Case(lambda D, t: D.Beta(t([0.5, 3.0]), t([2.0, 1.5])), lambda s: s.beta([0.5, 3], [2, 1.5])),
    "Laplace": Case(lambda D, t: D.Laplace(t([0.5, -1.0]), t([1.0, 2.5])), lambda s: s.laplace([0.5, -1], [1, 2.5])),
    "Cauchy": Case(lambda D, t: D.Cauchy(t([0.5, -1.0]), t([1.0, 2.5])), lambda s: s.cauchy([0.5, -1], [1, 2.5])),
    "HalfNormal": Case(lambda D, t: D.HalfNormal(t([1.0, 2.5])), lambda s: s.halfnorm(0, [1, 2.5])),
    "HalfCauchy": Case(lambda D, t: D.HalfCauchy(t([1.0, 2.5])), lambda s: s.halfcauchy(0, [1, 2.5])),
    "StudentT": Case(
        lambda D, t: D.StudentT(t([1.5, 9.0]), t([0.5, -1.0]), t([1.0, 2.5])),
        lambda s: s.t([1.5, 9], [0.5, -1], [1, 2.5]),
    ),
    "FisherSnedecor": Case(lambda D, t: D.FisherSnedecor(t([3.0, 6.0]), t([5.0, 9.0])), lambda s: s.f([3, 6], [5, 9])),
    "LogNormal": Case(
        lambda D, t: D.LogNormal(t([0.5, -1.0]), t([1.0, 0.5])), lambda s: s.lognorm([1, 0.5], 0, np.exp([0.5, -1]))
    ),
    "Gumbel": Case(lambda D, t: D.Gumbel(t([0.5, -1.0]), t([1.0, 2.5])), lambda s: s.gumbel_r([0.5, -1], [1, 2.5])),
    "Weibull": Case(
        lambda D, t: D.Weibull(t([0.5, 2.0]), t([1.0, 2.5])), lambda s: s.weibull_min([1, 2.5], 0, [0.5, 2])
    ),
    "Pareto": Case(lambda D, t: D.Pareto(t([0.5, 2.0]), t([1.5, 3.5])), lambda s: s.pareto([1.5, 3.5], 0, [0.5, 2])),
    "VonMises": Case(lambda D, t: D.VonMises(t([0.5, -1.0]), t([1.0, 9.0])), lambda s: s.vonmises([1, 9], [0.5, -1])),
    "GeneralizedPareto": Case(
        lambda D, t: D.GeneralizedPareto(t([0.5, 1.0]), t([1.0, 2.0]), t([0.3, -0.5])),
        lambda s: s.genpareto([0.3, -0.5], [0.5, 1], [1, 2]),
    ),
    "Kumaraswamy": Case(lambda D, t: D.Kumaraswamy(t([1.5, 3.0]), t([2.0, 1.2]))),
    "ContinuousBernoulli": Case(lambda D, t: D.ContinuousBernoulli(t([0.2, 0.5002]))),
    "ContinuousBernoulli-logits": Case(lambda D, t: D.ContinuousBernoulli(logits=t([0.7, -2.0]))),
    "LogitRelaxedBernoulli": Case(lambda D, t: D.relaxed_bernoulli.LogitRelaxedBernoulli(t(0.7), t([0.2, 0.6]))),
    "RelaxedBernoulli": Case(lambda D, t: D.RelaxedBernoulli(t(0.7), logits=t([0.2, -0.6]))),
    "Logistic": Case(
        lambda D, t: D.TransformedDistribution(
            D.Uniform(t([0.0, 0.0]), t([1.0, 1.0])),
            [D.SigmoidTransform().inv, D.AffineTransform(t([0.5, -1.0]), t([1.0, 2.5]))],
        ),
        lambda s: s.logistic([0.5, -1], [1, 2.5]),
    ),
    "Mixture": Case(
        lambda D, t: D.MixtureSameFamily(
            D.Categorical(t([[0.3, 0.7], [0.5, 0.5]])),
            D.Normal(t([[0.0, 3.0], [-1.0, 1.0]]), t([[1.0, 0.5], [2.0, 1.0]])),
        )
    ),
}  # fmt: skip
COUNTS: dict[str, Case] = {
    "Bernoulli": Case(lambda D, t: D.Bernoulli(t([0.2, 0.5])), lambda s: s.bernoulli([0.2, 0.5])),
    "Bernoulli-logits": Case(
        lambda D, t: D.Bernoulli(logits=t([0.0, -1.0])), lambda s: s.bernoulli([0.5, 1 / (1 + np.exp(1))])
    ),
    "Binomial": Case(lambda D, t: D.Binomial(5, t([0.2, 0.6])), lambda s: s.binom(5, [0.2, 0.6])),
    "NegativeBinomial": Case(
        lambda D, t: D.NegativeBinomial(t([2.5, 4.0]), t([0.2, 0.6])), lambda s: s.nbinom([2.5, 4], [0.8, 0.4])
    ),
    "Geometric": Case(lambda D, t: D.Geometric(t([0.2, 0.6])), lambda s: s.geom([0.2, 0.6], -1)),
    "Poisson": Case(lambda D, t: D.Poisson(t([0.7, 4.0])), lambda s: s.poisson([0.7, 4])),
    "Categorical": Case(lambda D, t: D.Categorical(t([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]]))),
    "Categorical-logits": Case(lambda D, t: D.Categorical(logits=t([[0.2, 0.5, 0.3], [0.6, -0.1, 0.3]]))),
}
VECTORS: dict[str, Case] = {
    "OneHotCategorical": Case(lambda D, t: D.OneHotCategorical(t([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]]))),
    "OneHotCategoricalStraightThrough": Case(
        lambda D, t: D.OneHotCategoricalStraightThrough(t([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]]))
    ),
    "Multinomial": Case(lambda D, t: D.Multinomial(4, t([0.2, 0.5, 0.3])), lambda s: s.multinomial(4, [0.2, 0.5, 0.3])),
    "Dirichlet": Case(lambda D, t: D.Dirichlet(t([0.5, 2.0, 3.5])), lambda s: s.dirichlet([0.5, 2, 3.5])),
    "RelaxedOneHotCategorical": Case(lambda D, t: D.RelaxedOneHotCategorical(t(0.7), t([[0.2, 0.5, 0.3]]))),
    "LogisticNormal": Case(lambda D, t: D.LogisticNormal(t([0.5, -1.0]), t([1.0, 0.5]))),
    "Independent": Case(lambda D, t: D.Independent(D.Normal(t([[0.5, -1.0]]), t([[1.0, 2.5]])), 1)),
    "MultivariateNormal": Case(
        lambda D, t: D.MultivariateNormal(t([0.5, -1.0, 0.0]), t(COV)),
        lambda s: s.multivariate_normal([0.5, -1, 0], COV),
    ),
    "MultivariateNormal-precision": Case(
        lambda D, t: D.MultivariateNormal(t([[0.5, -1.0, 0.0], [0.0, 0.0, 1.0]]), precision_matrix=t(COV)),
    ),
    "MultivariateNormal-scale": Case(
        lambda D, t: D.MultivariateNormal(t([0.5, -1.0]), scale_tril=t([[[1.0, 0.0], [0.5, 2.0]], [[2.0, 0.0], [0.1, 0.3]]]))
    ),
    "LowRankMultivariateNormal": Case(
        lambda D, t: D.LowRankMultivariateNormal(t([0.5, -1.0, 0.0]), t(FACTOR), t([0.5, 1.0, 2.0])),
        lambda s: s.multivariate_normal([0.5, -1, 0], np.array(FACTOR) @ np.array(FACTOR).T + np.diag([0.5, 1, 2])),
    ),
    "Wishart": Case(lambda D, t: D.Wishart(t(4.5), t(COV)), lambda s: s.wishart(4.5, COV)),
    "LKJCholesky": Case(lambda D, t: D.LKJCholesky(3, t([0.7, 2.0]))),
    "MixtureOfVectors": Case(
        lambda D, t: D.MixtureSameFamily(
            D.Categorical(t([0.3, 0.7])), D.Independent(D.Normal(t([[0.0, 3.0], [-1.0, 1.0]]), t([1.0, 0.5])), 1)
        )
    ),
}  # fmt: skip
ALL: dict[str, Case] = NUMBERS | COUNTS | VECTORS


def values_of(distribution: Any, count: int = 3, seed: int = 5) -> Any:
    """Some values within the support."""
    ng.manual_seed(seed)
    return distribution.sample((count,))
