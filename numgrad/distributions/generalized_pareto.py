"""The generalized Pareto distribution."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from numgrad.distributions import constraints
from numgrad.distributions.distribution import Distribution
from numgrad.distributions.utils import broadcast_all, standard_uniform
from numgrad.layout import Size
from numgrad.tensor import pointwise
from numgrad.tensor.tensor import Tensor

__all__ = ["GeneralizedPareto"]


class GeneralizedPareto(Distribution):
    """What lies beyond a high bound: beyond x with probability (1 + concentration * z)**(-1 / concentration).

    z is (x - loc) / scale. With concentration 0 that is exp(-z); with a negative one there is a largest value.

    >>> import numgrad as ng
    >>> ng.distributions.GeneralizedPareto(0.0, 1.0, 0.5).mean
    tensor(2.)
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive, "concentration": constraints.real}
    has_rsample = True
    _batched = {"loc": 0, "scale": 0, "concentration": 0}

    def __init__(self, loc: Any, scale: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale, self.concentration = broadcast_all(loc, scale, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    def _unless_exponential(self, exponential: Tensor, formula: Callable[[Tensor], Tensor]) -> Tensor:
        """The formula of the concentration, which may divide by it, where it is not 0."""
        is_zero = self.concentration.abs() <= 1e-8
        return pointwise.where(is_zero, exponential, formula(pointwise.where(is_zero, 1.0, self.concentration)))

    def rsample(self, sample_shape: Sequence[int] = Size(())) -> Tensor:
        return self.icdf(standard_uniform(self._extended_shape(sample_shape), self.loc.dtype))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        z = (value - self.loc) / self.scale

        def steepness(c: Tensor) -> Tensor:
            power = 1 / c + 1
            return pointwise.where(power == 0, 0.0, power * (c * z).log1p())

        return -self.scale.log() - self._unless_exponential(z, steepness)

    def log_survival_function(self, value: Tensor) -> Tensor:
        """The logarithm of the probability of what is larger."""
        if self._validate_args:
            self._validate_sample(value)
        z = (value - self.loc) / self.scale
        return self._unless_exponential(-z, lambda c: -(c * z).log1p() / c)

    def log_cdf(self, value: Tensor) -> Tensor:
        """The logarithm of `cdf`."""
        return self.cdf(value).log()

    def cdf(self, value: Tensor) -> Tensor:
        return -self.log_survival_function(value).expm1()

    def icdf(self, value: Tensor) -> Tensor:
        above = (-value).log1p()
        return self.loc + self.scale * self._unless_exponential(-above, lambda c: (-c * above).expm1() / c)

    def _below(self, bound: float, formula: Callable[[Tensor], Tensor]) -> Tensor:
        """The formula of concentrations below a bound, else NaN, as torch has it."""
        valid = self.concentration < bound
        return pointwise.where(valid, formula(pointwise.where(valid, self.concentration, bound / 2)), math.nan)

    @property
    def mean(self) -> Tensor:
        return self._below(1.0, lambda c: self.loc + self.scale / (1 - c))

    @property
    def variance(self) -> Tensor:
        return self._below(0.5, lambda c: self.scale.pow(2) / ((1 - c).pow(2) * (1 - 2 * c)))

    def entropy(self) -> Tensor:
        return self.scale.log() + self.concentration + 1

    @property
    def mode(self) -> Tensor:
        return self.loc

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        upper = pointwise.where(self.concentration < 0, self.loc - self.scale / self.concentration, math.inf)
        return constraints.interval(self.loc, upper)
