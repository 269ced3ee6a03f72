"""Laplace's distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from numgrad.distributions import constraints
from numgrad.distributions.distribution import Distribution
from numgrad.distributions.utils import broadcast_all, standard_uniform
from numgrad.dtypes import float64
from numgrad.layout import Size
from numgrad.tensor.tensor import Tensor

__all__ = ["Laplace"]


class Laplace(Distribution):
    """The density is exp(-|x - loc| / scale) / (2 scale).

    >>> import numgrad as ng
    >>> ng.distributions.Laplace(0.0, 1.0).log_prob(ng.tensor(1.0))
    tensor(-1.6931)
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True
    _batched = {"loc": 0, "scale": 0}

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast_all(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return 2 * self.scale.pow(2)

    @property
    def stddev(self) -> Tensor:
        return math.sqrt(2) * self.scale

    def rsample(self, sample_shape: Sequence[int] = Size(())) -> Tensor:
        u = 2 * standard_uniform(self._extended_shape(sample_shape), float64) - (1 - 2.0**-53)  # never -1 or 1
        return self.loc - self.scale * (u.sign() * (-u.abs()).log1p()).to(self.loc.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return -(2 * self.scale).log() - (value - self.loc).abs() / self.scale

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        z = (value - self.loc) / self.scale
        return 0.5 - 0.5 * z.sign() * (-z.abs()).expm1()

    def icdf(self, value: Tensor) -> Tensor:
        above = value - 0.5
        return self.loc - self.scale * above.sign() * (-2 * above.abs()).log1p()

    def entropy(self) -> Tensor:
        return 1 + (2 * self.scale).log()
