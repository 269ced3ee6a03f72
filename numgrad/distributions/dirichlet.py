"""The Dirichlet distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numgrad.distributions import constraints
from numgrad.distributions.exp_family import ExponentialFamily
from numgrad.distributions.utils import standard_gamma
from numgrad.dtypes import finfo
from numgrad.layout import Size
from numgrad.tensor import activations, categories, pointwise
from numgrad.tensor.tensor import Tensor

__all__ = ["Dirichlet"]


class Dirichlet(ExponentialFamily):
    """Points of a simplex, of density proportional to the product of x**(concentration - 1) over the last dimension.

    A point is drawn as gamma numbers over their sum, in logarithms, so that small concentrations do not underflow; its
    gradient is that of the gamma numbers.

    Raises
    ------
    ValueError
        The concentration has no dimension.

    >>> import numgrad as ng
    >>> ng.distributions.Dirichlet(ng.tensor([1.0, 3.0])).mean
    tensor([0.2500, 0.7500])
    """

    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex
    has_rsample = True
    _batched = {"concentration": 1}

    def __init__(self, concentration: Tensor, validate_args: bool | None = None) -> None:
        if concentration.dim() < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], concentration.shape[-1:], validate_args=validate_args)

    def rsample(self, sample_shape: Sequence[int] = Size(())) -> Tensor:
        logs = standard_gamma(self.concentration.expand(self._extended_shape(sample_shape)), logarithm=True)
        limits = finfo(logs.dtype)
        return activations.softmax(logs, -1).clamp(min=limits.tiny, max=1 - limits.eps / 2)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        a = self.concentration
        return (a - 1).xlogy(value).sum(-1) + a.sum(-1).lgamma() - a.lgamma().sum(-1)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.concentration.sum(-1, True)

    @property
    def mode(self) -> Tensor:
        above = (self.concentration - 1).clamp(min=0)
        mode = above / above.sum(-1, True)
        corner = categories.one_hot(self.concentration.argmax(-1), above.shape[-1]).type_as(mode)
        return pointwise.where((self.concentration < 1).all(-1, keepdim=True), corner, mode)

    @property
    def variance(self) -> Tensor:
        total = self.concentration.sum(-1, True)
        return self.concentration * (total - self.concentration) / (total.pow(2) * (total + 1))

    def entropy(self) -> Tensor:
        a, total, k = self.concentration, self.concentration.sum(-1), self.concentration.shape[-1]
        rest = (k - total) * total.digamma() + ((a - 1) * a.digamma()).sum(-1)
        return a.lgamma().sum(-1) - total.lgamma() - rest

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        return (self.concentration,)

    def _log_normalizer(self, x: Any) -> Tensor:  # type: ignore[override]
        return x.lgamma().sum(-1) - x.sum(-1).lgamma()  # type: ignore[no-any-return]
