"""Distributions of random numbers, their divergences, and transforms: ``from numgrad import distributions``.

Names, arguments and module paths are those of ``torch.distributions``. Numbers are drawn from the default generator, which
`manual_seed` restarts, and are others than torch's.
"""

from __future__ import annotations

from numgrad.distributions import constraints, kl_expectations, kl_families, transforms  # noqa: F401 (registered)
from numgrad.distributions.bernoulli import Bernoulli
from numgrad.distributions.beta import Beta
from numgrad.distributions.binomial import Binomial
from numgrad.distributions.categorical import Categorical
from numgrad.distributions.cauchy import Cauchy
from numgrad.distributions.chi2 import Chi2
from numgrad.distributions.constraint_registry import biject_to, transform_to
from numgrad.distributions.continuous_bernoulli import ContinuousBernoulli
from numgrad.distributions.dirichlet import Dirichlet
from numgrad.distributions.distribution import Distribution
from numgrad.distributions.exp_family import ExponentialFamily
from numgrad.distributions.exponential import Exponential
from numgrad.distributions.fishersnedecor import FisherSnedecor
from numgrad.distributions.gamma import Gamma
from numgrad.distributions.generalized_pareto import GeneralizedPareto
from numgrad.distributions.geometric import Geometric
from numgrad.distributions.gumbel import Gumbel
from numgrad.distributions.half_cauchy import HalfCauchy
from numgrad.distributions.half_normal import HalfNormal
from numgrad.distributions.independent import Independent
from numgrad.distributions.inverse_gamma import InverseGamma
from numgrad.distributions.kl import kl_divergence, register_kl
from numgrad.distributions.kumaraswamy import Kumaraswamy
from numgrad.distributions.laplace import Laplace
from numgrad.distributions.lkj_cholesky import LKJCholesky
from numgrad.distributions.log_normal import LogNormal
from numgrad.distributions.logistic_normal import LogisticNormal
from numgrad.distributions.lowrank_multivariate_normal import LowRankMultivariateNormal
from numgrad.distributions.mixture_same_family import MixtureSameFamily
from numgrad.distributions.multinomial import Multinomial
from numgrad.distributions.multivariate_normal import MultivariateNormal
from numgrad.distributions.negative_binomial import NegativeBinomial
from numgrad.distributions.normal import Normal
from numgrad.distributions.one_hot_categorical import OneHotCategorical, OneHotCategoricalStraightThrough
from numgrad.distributions.pareto import Pareto
from numgrad.distributions.poisson import Poisson
from numgrad.distributions.relaxed_bernoulli import LogitRelaxedBernoulli, RelaxedBernoulli
from numgrad.distributions.relaxed_categorical import RelaxedOneHotCategorical
from numgrad.distributions.studentT import StudentT
from numgrad.distributions.transformed_distribution import TransformedDistribution
from numgrad.distributions.transforms import *  # noqa: F403
from numgrad.distributions.uniform import Uniform
from numgrad.distributions.von_mises import VonMises
from numgrad.distributions.weibull import Weibull
from numgrad.distributions.wishart import Wishart

__all__ = [
    "Bernoulli",
    "Beta",
    "Binomial",
    "Categorical",
    "Cauchy",
    "Chi2",
    "ContinuousBernoulli",
    "Dirichlet",
    "Distribution",
    "Exponential",
    "ExponentialFamily",
    "FisherSnedecor",
    "Gamma",
    "GeneralizedPareto",
    "Geometric",
    "Gumbel",
    "HalfCauchy",
    "HalfNormal",
    "Independent",
    "InverseGamma",
    "Kumaraswamy",
    "LKJCholesky",
    "Laplace",
    "LogNormal",
    "LogisticNormal",
    "LogitRelaxedBernoulli",
    "LowRankMultivariateNormal",
    "MixtureSameFamily",
    "Multinomial",
    "MultivariateNormal",
    "NegativeBinomial",
    "Normal",
    "OneHotCategorical",
    "OneHotCategoricalStraightThrough",
    "Pareto",
    "Poisson",
    "RelaxedBernoulli",
    "RelaxedOneHotCategorical",
    "StudentT",
    "TransformedDistribution",
    "Uniform",
    "VonMises",
    "Weibull",
    "Wishart",
    "biject_to",
    "kl_divergence",
    "register_kl",
    "transform_to",
]
__all__ += transforms.__all__
