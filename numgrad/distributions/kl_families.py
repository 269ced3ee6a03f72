"""Divergences of two distributions of one family."""

from __future__ import annotations

import math
from typing import Any

from numgrad.distributions.bernoulli import Bernoulli
from numgrad.distributions.beta import Beta
from numgrad.distributions.binomial import Binomial
from numgrad.distributions.categorical import Categorical
from numgrad.distributions.cauchy import Cauchy
from numgrad.distributions.continuous_bernoulli import ContinuousBernoulli
from numgrad.distributions.dirichlet import Dirichlet
from numgrad.distributions.exp_family import ExponentialFamily, normalizer_and_slopes
from numgrad.distributions.exponential import Exponential
from numgrad.distributions.gamma import Gamma
from numgrad.distributions.geometric import Geometric
from numgrad.distributions.gumbel import Gumbel
from numgrad.distributions.half_normal import HalfNormal
from numgrad.distributions.independent import Independent
from numgrad.distributions.kl import kl_divergence, register_kl
from numgrad.distributions.laplace import Laplace
from numgrad.distributions.lowrank_multivariate_normal import LowRankMultivariateNormal
from numgrad.distributions.multivariate_normal import MultivariateNormal, log_diagonal, squared_length
from numgrad.distributions.normal import Normal
from numgrad.distributions.one_hot_categorical import OneHotCategorical
from numgrad.distributions.pareto import Pareto
from numgrad.distributions.poisson import Poisson
from numgrad.distributions.transformed_distribution import TransformedDistribution
from numgrad.distributions.uniform import Uniform
from numgrad.distributions.utils import all_true, euler_constant, sum_rightmost
from numgrad.tensor import activations, grids, pointwise, systems
from numgrad.tensor.tensor import Tensor

# ---- discrete --------------------------------------------------------------------------------------------------------


def _term(p: Tensor, q: Tensor, term: Tensor) -> Tensor:
    """p log(p / q), by a formula that may be wrong where a probability is 0."""
    return pointwise.where(p == 0, 0.0, pointwise.where(q == 0, math.inf, term))


@register_kl(Bernoulli, Bernoulli)
def _(p: Any, q: Any) -> Tensor:
    softplus = activations.softplus
    ones = p.probs * (softplus(-q.logits) - softplus(-p.logits))
    zeros = (1 - p.probs) * (softplus(q.logits) - softplus(p.logits))
    return _term(p.probs, q.probs, ones) + _term(1 - p.probs, 1 - q.probs, zeros)


@register_kl(Binomial, Binomial)
def _(p: Any, q: Any) -> Tensor:
    if not all_true(p.total_count >= q.total_count):
        raise NotImplementedError("KL between Binomials where q.total_count > p.total_count is not implemented")
    of_one = p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p()
    return pointwise.where(p.total_count > q.total_count, math.inf, p.total_count * of_one)


@register_kl(Categorical, Categorical)
def _(p: Any, q: Any) -> Tensor:
    return _term(p.probs, q.probs, p.probs * (p.logits - q.logits)).sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _(p: Any, q: Any) -> Tensor:
    return kl_divergence(p._categorical, q._categorical)


@register_kl(Geometric, Geometric)
def _(p: Any, q: Any) -> Tensor:
    return -p.entropy() - (-q.probs).log1p() / p.probs - q.logits  # type: ignore[no-any-return]


@register_kl(Poisson, Poisson)
def _(p: Any, q: Any) -> Tensor:
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)  # type: ignore[no-any-return]


# ---- of numbers ------------------------------------------------------------------------------------------------------


@register_kl(Normal, Normal)
def _(p: Any, q: Any) -> Tensor:
    ratio = (p.scale / q.scale).pow(2)
    return 0.5 * (ratio - 1 - ratio.log() + ((p.loc - q.loc) / q.scale).pow(2))  # type: ignore[no-any-return]


@register_kl(HalfNormal, HalfNormal)
def _(p: Any, q: Any) -> Tensor:
    return kl_divergence(p.base_dist, q.base_dist)


@register_kl(Laplace, Laplace)
def _(p: Any, q: Any) -> Tensor:
    ratio, distance = p.scale / q.scale, (p.loc - q.loc).abs()
    return ratio * (-distance / p.scale).exp() + distance / q.scale - ratio.log() - 1  # type: ignore[no-any-return]


@register_kl(Cauchy, Cauchy)
def _(p: Any, q: Any) -> Tensor:
    """Chyzak and Nielsen, "A closed-form formula for the Kullback-Leibler divergence between Cauchy distributions", 2019."""
    squares = (p.scale + q.scale).pow(2) + (p.loc - q.loc).pow(2)
    return (squares / (4 * p.scale * q.scale)).log()  # type: ignore[no-any-return]


@register_kl(Gumbel, Gumbel)
def _(p: Any, q: Any) -> Tensor:
    ratio, distance = p.scale / q.scale, (p.loc - q.loc) / q.scale
    moment = ((1 + ratio).lgamma() - distance).exp()
    return distance - ratio.log() + euler_constant * (ratio - 1) + moment - 1  # type: ignore[no-any-return]


@register_kl(Exponential, Exponential)
def _(p: Any, q: Any) -> Tensor:
    ratio = q.rate / p.rate
    return ratio - 1 - ratio.log()  # type: ignore[no-any-return]


@register_kl(Gamma, Gamma)
def _(p: Any, q: Any) -> Tensor:
    a, b = p.concentration, q.concentration
    ratio = q.rate / p.rate
    return b.lgamma() - a.lgamma() + (a - b) * a.digamma() + a * (ratio - 1) - b * ratio.log()  # type: ignore[no-any-return]


@register_kl(Pareto, Pareto)
def _(p: Any, q: Any) -> Tensor:
    ratio = q.alpha / p.alpha
    result = q.alpha * (p.scale / q.scale).log() - ratio.log() + ratio - 1
    return pointwise.where(p.scale < q.scale, math.inf, result)


@register_kl(Uniform, Uniform)
def _(p: Any, q: Any) -> Tensor:
    outside = (q.low > p.low) | (q.high < p.high)
    return pointwise.where(outside, math.inf, ((q.high - q.low) / (p.high - p.low)).log())


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _(p: Any, q: Any) -> Tensor:
    own = p._cont_bern_log_norm() + (-p.probs).log1p()
    return p.mean * (p.logits - q.logits) + own - q._cont_bern_log_norm() - (-q.probs).log1p()  # type: ignore[no-any-return]


# ---- of vectors ------------------------------------------------------------------------------------------------------


@register_kl(Dirichlet, Dirichlet)
def _(p: Any, q: Any) -> Tensor:
    a, b = p.concentration, q.concentration
    total = a.sum(-1)
    terms = b.lgamma() - a.lgamma() + (a - b) * (a.digamma() - total.digamma().unsqueeze(-1))
    return total.lgamma() - b.sum(-1).lgamma() + terms.sum(-1)  # type: ignore[no-any-return]


@register_kl(Beta, Beta)
def _(p: Any, q: Any) -> Tensor:
    return kl_divergence(p._dirichlet, q._dirichlet)


def _same_events(p: Any, q: Any) -> None:
    if p.event_shape != q.event_shape:
        low_rank = [isinstance(each, LowRankMultivariateNormal) for each in (p, q)]
        kind = "Low Rank " if all(low_rank) else "(Low Rank) " if any(low_rank) else ""
        raise ValueError(
            f"KL-divergence between two {kind}Multivariate Normals with different event shapes cannot be computed"
        )


def _sum_of_squares(matrix: Tensor) -> Tensor:
    """The trace of A A^T."""
    return matrix.pow(2).sum((-2, -1))


def _solved(triangle: Tensor, matrix: Tensor) -> Tensor:
    batch = grids.broadcast_shapes(tuple(triangle.shape[:-2]), tuple(matrix.shape[:-2]))
    left, right = (x.expand((*batch, -1, -1)) for x in (triangle, matrix))
    return systems.solve_triangular(left, right, upper=False)


def _factors(p: Any) -> tuple[Tensor, ...]:
    """Matrices A whose A A^T sum to the covariance."""
    if isinstance(p, LowRankMultivariateNormal):
        return p._unbroadcasted_cov_factor, p._unbroadcasted_cov_diag.sqrt().diag_embed()
    return (p._unbroadcasted_scale_tril,)


def _log_det(p: Any) -> Tensor:
    if isinstance(p, LowRankMultivariateNormal):
        return p._log_det()
    return 2 * log_diagonal(p._unbroadcasted_scale_tril)


@register_kl(MultivariateNormal, MultivariateNormal)
@register_kl(LowRankMultivariateNormal, MultivariateNormal)
def _(p: Any, q: Any) -> Tensor:
    _same_events(p, q)
    triangle = q._unbroadcasted_scale_tril
    trace = sum(_sum_of_squares(_solved(triangle, factor)) for factor in _factors(p))
    distance = squared_length(triangle, q.loc - p.loc)
    return 0.5 * (_log_det(q) - _log_det(p) + trace + distance - p.event_shape[0])  # type: ignore[no-any-return]


@register_kl(MultivariateNormal, LowRankMultivariateNormal)
@register_kl(LowRankMultivariateNormal, LowRankMultivariateNormal)
def _(p: Any, q: Any) -> Tensor:
    """The inverse of q's covariance is D^-1 - A^T A."""
    _same_events(p, q)
    roots, whitened = q._unbroadcasted_cov_diag.rsqrt().unsqueeze(-1), q._whitened()
    trace = sum(_sum_of_squares(factor * roots) - _sum_of_squares(whitened @ factor) for factor in _factors(p))
    distance = q._distance(q.loc - p.loc)
    return 0.5 * (_log_det(q) - _log_det(p) + trace + distance - p.event_shape[0])  # type: ignore[no-any-return]


# ---- of others -------------------------------------------------------------------------------------------------------


@register_kl(ExponentialFamily, ExponentialFamily)
def _(p: Any, q: Any) -> Tensor:
    """Bregman's divergence of the log normalizer."""
    if type(p) is not type(q):
        raise NotImplementedError(
            "The cross KL-divergence between different exponential families cannot be computed using Bregman divergences"
        )
    natural, normalizer, slopes = normalizer_and_slopes(p)
    result = q._log_normalizer(*q._natural_params) - normalizer
    for own, other, slope in zip(natural, q._natural_params, slopes, strict=True):
        result = result - sum_rightmost((other - own) * slope, own.dim() - len(p.batch_shape))
    return result  # type: ignore[no-any-return]


@register_kl(TransformedDistribution, TransformedDistribution)
def _(p: Any, q: Any) -> Tensor:
    if p.transforms != q.transforms:
        raise NotImplementedError("kl_divergence: the transforms of p and q differ")
    if p.event_shape != q.event_shape:
        raise NotImplementedError("kl_divergence: the event shapes of p and q differ")
    return kl_divergence(p.base_dist, q.base_dist)


@register_kl(Independent, Independent)
def _(p: Any, q: Any) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError("kl_divergence: reinterpreted_batch_ndims of p and q differ")
    return sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)
