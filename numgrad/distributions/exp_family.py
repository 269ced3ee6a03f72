"""Exponential families, whose entropies follow from the normalizer."""

from __future__ import annotations

from typing import Any

from numgrad.autograd import enable_grad, grad
from numgrad.distributions.distribution import Distribution
from numgrad.distributions.utils import sum_rightmost
from numgrad.tensor.tensor import Tensor

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    """Densities exp(<t(x), theta> - F(theta) + k(x)), of natural parameters theta and log normalizer F.

    The entropy is F(theta) - <theta, grad F(theta)> - E[k(x)], by automatic differentiation; most families have a formula of
    their own. The divergence of two members of one family is found alike.

    >>> import numgrad as ng
    >>> issubclass(ng.distributions.Gamma, ng.distributions.ExponentialFamily)
    True
    """

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        raise NotImplementedError

    def _log_normalizer(self, *natural_params: Any) -> Tensor:
        raise NotImplementedError

    @property
    def _mean_carrier_measure(self) -> Any:
        """E[k(x)]."""
        raise NotImplementedError

    def entropy(self) -> Tensor:
        natural, normalizer, slopes = normalizer_and_slopes(self)
        result = normalizer - self._mean_carrier_measure
        for parameter, slope in zip(natural, slopes, strict=True):
            result = result - sum_rightmost(parameter * slope, parameter.dim() - len(self._batch_shape))
        return result


def normalizer_and_slopes(family: ExponentialFamily) -> tuple[list[Tensor], Tensor, tuple[Tensor, ...]]:
    """The natural parameters, the log normalizer and its gradient, of which derivatives can be taken."""
    with enable_grad():
        natural = [p if p.requires_grad else p.detach().requires_grad_() for p in family._natural_params]
        normalizer = family._log_normalizer(*natural)
        return natural, normalizer, grad(normalizer.sum(), natural, create_graph=True)
