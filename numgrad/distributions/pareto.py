"""Pareto's distribution."""

from __future__ import annotations

from typing import Any

from numgrad.distributions import constraints
from numgrad.distributions.exponential import Exponential
from numgrad.distributions.transformed_distribution import TransformedDistribution
from numgrad.distributions.transforms import AffineTransform, ExpTransform
from numgrad.distributions.utils import broadcast_all
from numgrad.tensor.tensor import Tensor

__all__ = ["Pareto"]


class Pareto(TransformedDistribution):
    """Numbers from ``scale`` on: beyond x with probability (scale / x)**alpha.

    >>> import numgrad as ng
    >>> ng.distributions.Pareto(1.0, 3.0).mean
    tensor(1.5000)
    """

    arg_constraints = {"alpha": constraints.positive, "scale": constraints.positive}
    _of_batch = ("scale", "alpha")

    def __init__(self, scale: Any, alpha: Any, validate_args: bool | None = None) -> None:
        self.scale, self.alpha = broadcast_all(scale, alpha)
        base = Exponential(self.alpha, validate_args=validate_args)
        transforms = [ExpTransform(), AffineTransform(loc=0, scale=self.scale)]
        super().__init__(base, transforms, validate_args=validate_args)  # type: ignore[arg-type]

    @property
    def mean(self) -> Tensor:
        a = self.alpha.clamp(min=1)  # infinite there
        return a * self.scale / (a - 1)

    @property
    def mode(self) -> Tensor:
        return self.scale

    @property
    def variance(self) -> Tensor:
        a = self.alpha.clamp(min=2)  # infinite there
        return self.scale.pow(2) * a / ((a - 1).pow(2) * (a - 2))

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        return constraints.greater_than_eq(self.scale)

    def entropy(self) -> Tensor:
        return (self.scale / self.alpha).log() + (1 + self.alpha.reciprocal())
