"""The logistic-normal distribution."""

from __future__ import annotations

from typing import Any

from numgrad.distributions import constraints
from numgrad.distributions.normal import Normal
from numgrad.distributions.transformed_distribution import TransformedDistribution
from numgrad.distributions.transforms import StickBreakingTransform
from numgrad.tensor.tensor import Tensor

__all__ = ["LogisticNormal"]


class LogisticNormal(TransformedDistribution):
    """Points of a simplex with one element more than the normal numbers that they are made of by `StickBreakingTransform`.

    >>> import numgrad as ng
    >>> ng.distributions.LogisticNormal(ng.zeros(3), ng.ones(3)).sample().shape
    numgrad.Size([4])
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.simplex
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        base = Normal(loc, scale, validate_args=validate_args)
        if not base.batch_shape:
            base = base.expand((1,))
        super().__init__(base, StickBreakingTransform(), validate_args=validate_args)

    @property
    def loc(self) -> Tensor:
        """The mean of the normal numbers."""
        return self.base_dist.base_dist.loc  # type: ignore[no-any-return]

    @property
    def scale(self) -> Tensor:
        """Their standard deviation."""
        return self.base_dist.base_dist.scale  # type: ignore[no-any-return]
