"""Divergences of distributions of two families.

They are -H(p) - E[log q(x)] with p's entropy H. The logarithm of q's density is linear in a few functions of x, whose means
under p are known: x, (x - c)**2, log x, exp(-x / s). So there is one formula for each q, and one for each mean. What q cannot
draw and p does makes a divergence infinite.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from numgrad.distributions.bernoulli import Bernoulli
from numgrad.distributions.beta import Beta
from numgrad.distributions.binomial import Binomial
from numgrad.distributions.continuous_bernoulli import ContinuousBernoulli
from numgrad.distributions.exponential import Exponential
from numgrad.distributions.gamma import Gamma
from numgrad.distributions.gumbel import Gumbel
from numgrad.distributions.kl import register_kl
from numgrad.distributions.laplace import Laplace
from numgrad.distributions.normal import Normal
from numgrad.distributions.pareto import Pareto
from numgrad.distributions.poisson import Poisson
from numgrad.distributions.uniform import Uniform
from numgrad.distributions.utils import euler_constant
from numgrad.tensor import creation, grids, pointwise
from numgrad.tensor.tensor import Tensor

# ---- means under p ---------------------------------------------------------------------------------------------------


@functools.singledispatch
def mean_log(p: Any) -> Tensor:
    """E[log x]."""
    raise NotImplementedError(f"kl_divergence: the mean logarithm of {type(p).__name__} is not known")


@mean_log.register
def _(p: Beta) -> Tensor:
    return p.concentration1.digamma() - (p.concentration1 + p.concentration0).digamma()


@mean_log.register
def _(p: Gamma) -> Tensor:
    return p.concentration.digamma() - p.rate.log()


@mean_log.register
def _(p: Exponential) -> Tensor:
    return -euler_constant - p.rate.log()


@mean_log.register
def _(p: Pareto) -> Tensor:
    return p.scale.log() + p.alpha.reciprocal()


@mean_log.register
def _(p: Uniform) -> Tensor:
    return _mean_log_between(p.low, p.high)


def _mean_log_between(low: Tensor, high: Tensor) -> Tensor:
    return (high.xlogy(high) - low.xlogy(low)) / (high - low) - 1


@functools.singledispatch
def log_mean_exp(p: Any, scale: Tensor) -> Tensor:
    """log E[exp(-x / scale)]."""
    raise NotImplementedError(f"kl_divergence: the mean exponential of {type(p).__name__} is not known")


@log_mean_exp.register
def _(p: Exponential, scale: Tensor) -> Tensor:
    return -(p.rate * scale).reciprocal().log1p()


@log_mean_exp.register
def _(p: Gamma, scale: Tensor) -> Tensor:
    return -p.concentration * (p.rate * scale).reciprocal().log1p()


@log_mean_exp.register
def _(p: Normal, scale: Tensor) -> Tensor:
    return 0.5 * (p.scale / scale).pow(2) - p.loc / scale


@log_mean_exp.register
def _(p: Uniform, scale: Tensor) -> Tensor:
    width = (p.high - p.low) / scale
    return (-(-width).expm1() / width).log() - p.low / scale


# ---- -E[log q(x)] ----------------------------------------------------------------------------------------------------


def _exponential(p: Any, q: Any) -> Tensor:
    return q.rate * p.mean - q.rate.log()  # type: ignore[no-any-return]


def _gamma(p: Any, q: Any) -> Tensor:
    a = q.concentration
    return a.lgamma() - a * q.rate.log() - (a - 1) * mean_log(p) + q.rate * p.mean  # type: ignore[no-any-return]


def _normal(p: Any, q: Any) -> Tensor:
    squares = (p.variance + (p.mean - q.loc).pow(2)) / (2 * q.scale.pow(2))
    return squares + q.scale.log() + 0.5 * math.log(2 * math.pi)  # type: ignore[no-any-return]


def _gumbel(p: Any, q: Any) -> Tensor:
    moment = (q.loc / q.scale + log_mean_exp(p, q.scale)).exp()
    return q.scale.log() + (p.mean - q.loc) / q.scale + moment  # type: ignore[no-any-return]


def _uniform(p: Any, q: Any) -> Tensor:
    return (q.high - q.low).log()  # type: ignore[no-any-return]


def _continuous_bernoulli(p: Any, q: Any) -> Tensor:
    return -p.mean * q.logits - (-q.probs).log1p() - q._cont_bern_log_norm()  # type: ignore[no-any-return]


def _pareto(p: Any, q: Any) -> Tensor:
    return (q.alpha + 1) * mean_log(p) - q.alpha.log() - q.alpha * q.scale.log()  # type: ignore[no-any-return]


def _beta(p: Any, q: Any) -> Tensor:
    a, b = q.concentration1, q.concentration0
    norm = a.lgamma() + b.lgamma() - (a + b).lgamma()
    complement = _mean_log_between(1 - p.high, 1 - p.low)
    return norm - (a - 1) * mean_log(p) - (b - 1) * complement  # type: ignore[no-any-return]


def _laplace(p: Any, q: Any) -> Tensor:
    """The mean distance of a normal number from ``loc``."""
    distance = p.loc - q.loc
    z = distance / p.scale
    mean = p.scale * math.sqrt(2 / math.pi) * (-0.5 * z * z).exp() + distance * (z * math.sqrt(0.5)).erf()
    return (2 * q.scale).log() + mean / q.scale  # type: ignore[no-any-return]


def _poisson(p: Any, q: Any) -> Tensor:
    """Of 0 and 1, whose factorials are 1."""
    return q.rate - p.probs * q.rate.log()  # type: ignore[no-any-return]


def _register(type_p: type, type_q: type, cross: Callable[[Any, Any], Tensor], outside: Any = None) -> None:
    @register_kl(type_p, type_q)
    def _(p: Any, q: Any) -> Tensor:
        result = cross(p, q) - p.entropy()
        return result if outside is None else pointwise.where(outside(p, q), math.inf, result)


def _not_all_of_unit_interval(p: Any, q: Any) -> Tensor:
    return (q.low > 0) | (q.high < 1)  # type: ignore[no-any-return]


def _beyond_unit_interval(p: Any, q: Any) -> Tensor:
    return (p.low < 0) | (p.high > 1)  # type: ignore[no-any-return]


_register(Bernoulli, Poisson, _poisson)
_register(Beta, ContinuousBernoulli, _continuous_bernoulli)
_register(Beta, Exponential, _exponential)
_register(Beta, Gamma, _gamma)
_register(Beta, Normal, _normal)
_register(Beta, Uniform, _uniform, _not_all_of_unit_interval)
_register(ContinuousBernoulli, Exponential, _exponential)
_register(ContinuousBernoulli, Normal, _normal)
_register(ContinuousBernoulli, Uniform, _uniform, _not_all_of_unit_interval)
_register(Exponential, Gamma, _gamma)
_register(Exponential, Gumbel, _gumbel)
_register(Exponential, Normal, _normal)
_register(Gamma, Exponential, _exponential)
_register(Gamma, Gumbel, _gumbel)
_register(Gamma, Normal, _normal)
_register(Gumbel, Normal, _normal)
_register(Laplace, Normal, _normal)
_register(Normal, Gumbel, _gumbel)
_register(Normal, Laplace, _laplace)
_register(Pareto, Exponential, _exponential)
_register(Pareto, Gamma, _gamma)
_register(Pareto, Normal, _normal)
_register(Uniform, Beta, _beta, _beyond_unit_interval)
_register(Uniform, ContinuousBernoulli, _continuous_bernoulli, _beyond_unit_interval)
_register(Uniform, Exponential, _exponential, lambda p, q: p.low < 0)
_register(Uniform, Gamma, _gamma, lambda p, q: p.low < 0)
_register(Uniform, Gumbel, _gumbel)
_register(Uniform, Normal, _normal)
_register(Uniform, Pareto, _pareto, lambda p, q: p.low < q.scale)


def _infinite(p: Any, q: Any) -> Tensor:
    shape = grids.broadcast_shapes(tuple(p.batch_shape), tuple(q.batch_shape))
    return creation.full(tuple(shape), math.inf, dtype=p.mean.dtype)


_BOUNDED = (Beta, ContinuousBernoulli, Pareto, Uniform)
for _type_p, _types_q in (
    (Beta, (Pareto,)),
    (ContinuousBernoulli, (Pareto,)),
    (Exponential, _BOUNDED),
    (Gamma, _BOUNDED),
    (Gumbel, (*_BOUNDED, Exponential, Gamma)),
    (Laplace, (*_BOUNDED, Exponential, Gamma)),
    (Normal, (*_BOUNDED, Exponential, Gamma)),
    (Pareto, (Beta, ContinuousBernoulli, Uniform)),
    (Poisson, (Bernoulli, Binomial)),
):
    for _type_q in _types_q:
        register_kl(_type_p, _type_q)(_infinite)
