"""The continuous Bernoulli distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numgrad.distributions import constraints
from numgrad.distributions.exp_family import ExponentialFamily
from numgrad.distributions.probabilities import OfProbabilities
from numgrad.distributions.utils import all_true, broadcast_all, clamp_probs, standard_uniform
from numgrad.layout import Size
from numgrad.tensor import losses, pointwise
from numgrad.tensor.tensor import Tensor

__all__ = ["ContinuousBernoulli"]


class ContinuousBernoulli(OfProbabilities, ExponentialFamily):
    """Numbers x from 0 to 1, of density proportional to probs**x * (1 - probs)**(1 - x).

    Loaiza-Ganem and Cunningham, "The continuous Bernoulli: fixing a pervasive error in variational autoencoders", 2019. Its
    formulas are 0 / 0 for probs = 1/2; between ``lims`` they are replaced by series.

    Raises
    ------
    ValueError
        A probability is none.

    >>> import numgrad as ng
    >>> ng.distributions.ContinuousBernoulli(0.5).log_prob(ng.tensor(0.25))
    tensor(0.)
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True
    _mean_carrier_measure = 0
    _batched = {"probs": 0, "logits": 0}
    _kept = ("_given", "_lims")

    def __init__(
        self,
        probs: Any = None,
        logits: Any = None,
        lims: tuple[float, float] = (0.499, 0.501),
        validate_args: bool | None = None,
    ) -> None:
        self._take(probs, logits)
        if probs is not None:
            if validate_args is not None and not all_true(self.arg_constraints["probs"].check(self.probs)):
                raise ValueError("The parameter probs has invalid values")
            self.probs = clamp_probs(self.probs)
        self._lims = lims
        super().__init__(self._param.shape, validate_args=validate_args)

    def _by_series(self, series: Tensor, formula: Any) -> Tensor:
        """The formula, of probabilities that are not near to 1/2; elsewhere the series."""
        near = (self.probs > self._lims[0]) & (self.probs <= self._lims[1])
        far = pointwise.where(near, self._lims[0], self.probs)
        return pointwise.where(near, series, formula(far))

    def _cont_bern_log_norm(self) -> Tensor:
        """The logarithm of the density's factor, 2 artanh(1 - 2 probs) / (1 - 2 probs)."""
        x = (self.probs - 0.5).pow(2)
        return self._by_series(
            0.6931471805599453 + (4 / 3 + 104 / 45 * x) * x,
            lambda p: ((-p).log1p() - p.log()).abs().log() - (2 * p - 1).abs().log(),
        )

    @property
    def mean(self) -> Tensor:
        x = self.probs - 0.5
        return self._by_series(
            0.5 + (1 / 3 + 16 / 45 * x.pow(2)) * x, lambda p: p / (2 * p - 1) + 1 / ((-p).log1p() - p.log())
        )

    @property
    def variance(self) -> Tensor:
        x = (self.probs - 0.5).pow(2)
        return self._by_series(
            1 / 12 - (1 / 15 - 128 / 945 * x) * x,
            lambda p: p * (p - 1) / (1 - 2 * p).pow(2) + 1 / ((-p).log1p() - p.log()).pow(2),
        )

    def rsample(self, sample_shape: Sequence[int] = Size(())) -> Tensor:
        return self.icdf(standard_uniform(self._extended_shape(sample_shape), self.probs.dtype))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        cross = losses.binary_cross_entropy_with_logits(logits, value, reduction="none")
        return self._cont_bern_log_norm() - cross

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        inside = self._by_series(
            broadcast_all(value, self.probs)[0],
            lambda p: (p.pow(value) * (1 - p).pow(1 - value) + p - 1) / (2 * p - 1),
        )
        return pointwise.where(value <= 0, 0.0, pointwise.where(value >= 1, 1.0, inside))

    def icdf(self, value: Tensor) -> Tensor:
        return self._by_series(
            broadcast_all(value, self.probs)[0],
            lambda p: ((value * (2 * p - 1) - p).log1p() - (-p).log1p()) / (p.log() - (-p).log1p()),
        )

    def entropy(self) -> Tensor:
        return -self.mean * self.logits - (-self.probs).log1p() - self._cont_bern_log_norm()

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        return (self.logits,)

    def _log_normalizer(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """log(expm1(x) / x), which is x / 2 more than an even function."""
        near = (x > self._lims[0] - 0.5) & (x <= self._lims[1] - 0.5)
        far = pointwise.where(near, self._lims[0] - 0.5, x)
        series = 0.5 * x + x.pow(2) / 24 - x.pow(4) / 2880
        return pointwise.where(near, series, far.expm1().abs().log() - far.abs().log())
