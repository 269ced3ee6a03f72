"""Kumaraswamy's distribution."""

from __future__ import annotations

import math
from typing import Any

from numgrad.distributions import constraints
from numgrad.distributions.transformed_distribution import TransformedDistribution
from numgrad.distributions.transforms import AffineTransform, PowerTransform
from numgrad.distributions.uniform import Uniform
from numgrad.distributions.utils import broadcast_all, euler_constant
from numgrad.tensor import creation, pointwise
from numgrad.tensor.tensor import Tensor

__all__ = ["Kumaraswamy"]


class Kumaraswamy(TransformedDistribution):
    """Numbers from 0 to 1, much like Beta's: up to x with probability 1 - (1 - x**concentration1)**concentration0.

    >>> import numgrad as ng
    >>> ng.distributions.Kumaraswamy(1.0, 1.0).mean
    tensor(0.5000)
    """

    arg_constraints = {"concentration1": constraints.positive, "concentration0": constraints.positive}
    support = constraints.unit_interval
    has_rsample = True
    _of_batch = ("concentration1", "concentration0")

    def __init__(self, concentration1: Any, concentration0: Any, validate_args: bool | None = None) -> None:
        a, b = self.concentration1, self.concentration0 = broadcast_all(concentration1, concentration0)
        base = Uniform(creation.zeros_like(a), creation.ones_like(a), validate_args=validate_args)
        transforms = [
            PowerTransform(exponent=b.reciprocal()),
            AffineTransform(loc=1.0, scale=-1.0),
            PowerTransform(exponent=a.reciprocal()),
        ]
        super().__init__(base, transforms, validate_args=validate_args)

    def _moment(self, n: int) -> Tensor:
        above = 1 + n / self.concentration1
        b = self.concentration0
        return b * (above.lgamma() + b.lgamma() - (above + b).lgamma()).exp()

    @property
    def mean(self) -> Tensor:
        return self._moment(1)

    @property
    def mode(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        mode = ((a - 1) / (a * b - 1)).pow(a.reciprocal())
        return pointwise.where((a < 1) | (b < 1), math.nan, mode)

    @property
    def variance(self) -> Tensor:
        return self._moment(2) - self.mean.pow(2)

    def entropy(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        harmonic = (b + 1).digamma() + euler_constant
        return 1 - b.reciprocal() + (1 - a.reciprocal()) * harmonic - a.log() - b.log()
