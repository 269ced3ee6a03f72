"""Fisher and Snedecor's F distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from numgrad.distributions import constraints
from numgrad.distributions.distribution import Distribution
from numgrad.distributions.gamma import Gamma
from numgrad.distributions.utils import broadcast_all
from numgrad.dtypes import finfo
from numgrad.layout import Size
from numgrad.tensor import pointwise
from numgrad.tensor.tensor import Tensor

__all__ = ["FisherSnedecor"]


class FisherSnedecor(Distribution):
    """The ratio of two chi-squared numbers, each over its degrees of freedom, ``df1`` and ``df2``.

    >>> import numgrad as ng
    >>> ng.distributions.FisherSnedecor(1.0, 4.0).mean
    tensor(2.)
    """

    arg_constraints = {"df1": constraints.positive, "df2": constraints.positive}
    support = constraints.positive
    has_rsample = True
    _batched = {"df1": 0, "df2": 0, "_gamma1": 0, "_gamma2": 0}

    def __init__(self, df1: Any, df2: Any, validate_args: bool | None = None) -> None:
        self.df1, self.df2 = broadcast_all(df1, df2)
        self._gamma1 = Gamma(self.df1 * 0.5, self.df1, validate_args=False)
        self._gamma2 = Gamma(self.df2 * 0.5, self.df2, validate_args=False)
        super().__init__(self.df1.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return pointwise.where(self.df2 <= 2, math.nan, self.df2 / (self.df2 - 2))

    @property
    def mode(self) -> Tensor:
        mode = (self.df1 - 2) / self.df1 * self.df2 / (self.df2 + 2)
        return pointwise.where(self.df1 <= 2, math.nan, mode)

    @property
    def variance(self) -> Tensor:
        one, two = self.df1, self.df2
        variance = 2 * two.pow(2) * (one + two - 2) / (one * (two - 2).pow(2) * (two - 4))
        return pointwise.where(two <= 4, math.nan, variance)

    def rsample(self, sample_shape: Sequence[int] = Size(())) -> Tensor:
        above, below = self._gamma1.rsample(sample_shape), self._gamma2.rsample(sample_shape)
        return (above / below).clamp(min=finfo(above.dtype).tiny)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        one, two, ratio = self.df1 * 0.5, self.df2 * 0.5, self.df1 / self.df2
        norm = (one + two).lgamma() - one.lgamma() - two.lgamma()
        return norm + one * ratio.log() + (one - 1) * value.log() - (one + two) * (ratio * value).log1p()
