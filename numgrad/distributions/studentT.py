"""Student's t distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from numgrad.distributions import constraints
from numgrad.distributions.chi2 import Chi2
from numgrad.distributions.distribution import Distribution
from numgrad.distributions.utils import broadcast_all, standard_normal
from numgrad.layout import Size
from numgrad.tensor import pointwise
from numgrad.tensor.tensor import Tensor

__all__ = ["StudentT"]


class StudentT(Distribution):
    """A normal number over the root of a chi-squared one divided by its degrees of freedom, ``df``; then scaled and moved.

    >>> import numgrad as ng
    >>> ng.distributions.StudentT(ng.tensor(3.0)).variance
    tensor(3.)
    """

    arg_constraints = {"df": constraints.positive, "loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True
    _batched = {"df": 0, "loc": 0, "scale": 0, "_chi2": 0}

    def __init__(self, df: Any, loc: Any = 0.0, scale: Any = 1.0, validate_args: bool | None = None) -> None:
        self.df, self.loc, self.scale = broadcast_all(df, loc, scale)
        self._chi2 = Chi2(self.df, validate_args=False)
        super().__init__(self.df.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return pointwise.where(self.df <= 1, math.nan, self.loc)

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        variance = self.scale.pow(2) * self.df / (self.df - 2)
        return pointwise.where(self.df > 2, variance, pointwise.where(self.df > 1, math.inf, math.nan))

    def rsample(self, sample_shape: Sequence[int] = Size(())) -> Tensor:
        drawn = standard_normal(self._extended_shape(sample_shape), self.df.dtype)
        squares = self._chi2.rsample(sample_shape)
        return self.loc + self.scale * (drawn * (squares / self.df).rsqrt())

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        z, half = (value - self.loc) / self.scale, 0.5 * (self.df + 1)
        norm = self.scale.log() + 0.5 * (self.df * math.pi).log() + (0.5 * self.df).lgamma() - half.lgamma()
        return -half * (z * z / self.df).log1p() - norm

    def entropy(self) -> Tensor:
        half = 0.5 * (self.df + 1)
        norm = self.scale.log() + 0.5 * (self.df * math.pi).log() + (0.5 * self.df).lgamma() - half.lgamma()
        return norm + half * (half.digamma() - (0.5 * self.df).digamma())
