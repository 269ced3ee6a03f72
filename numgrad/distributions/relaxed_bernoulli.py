"""The relaxed Bernoulli distribution, and that of its log odds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numgrad.distributions import constraints
from numgrad.distributions.probabilities import OfProbabilities
from numgrad.distributions.transformed_distribution import TransformedDistribution
from numgrad.distributions.transforms import SigmoidTransform
from numgrad.distributions.utils import broadcast_all, clamp_probs, probs_to_logits, standard_uniform
from numgrad.layout import Size
from numgrad.tensor import activations
from numgrad.tensor.tensor import Tensor

__all__ = ["LogitRelaxedBernoulli", "RelaxedBernoulli"]


class LogitRelaxedBernoulli(OfProbabilities):
    """The log odds of what `RelaxedBernoulli` draws: logistic numbers around ``logits``, over the temperature.

    Maddison and others, "The concrete distribution", 2017.

    >>> import numgrad as ng
    >>> ng.distributions.LogitRelaxedBernoulli(ng.tensor(2.0), 0.5).log_prob(ng.tensor(0.0))
    tensor(-0.6931)
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.real
    has_rsample = True
    _batched = {"probs": 0, "logits": 0}
    _kept = ("_given", "temperature")

    def __init__(
        self, temperature: Tensor, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        self.temperature = temperature
        self._take(probs, logits)
        super().__init__(self._param.shape, validate_args=validate_args)

    def rsample(self, sample_shape: Sequence[int] = Size(())) -> Tensor:
        shape = self._extended_shape(sample_shape)
        noise = probs_to_logits(standard_uniform(shape, self._param.dtype), is_binary=True)
        odds = probs_to_logits(clamp_probs(self.probs), is_binary=True)
        return (noise + odds) / self.temperature

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        rest = logits - value * self.temperature
        return self.temperature.log() + rest - 2 * activations.softplus(rest)


class RelaxedBernoulli(TransformedDistribution):
    """Numbers from 0 to 1 that come nearer to those of a `Bernoulli` the lower the temperature is, and have gradients.

    >>> import numgrad as ng
    >>> ng.distributions.RelaxedBernoulli(ng.tensor(1.0), 0.5).log_prob(ng.tensor(0.5))
    tensor(0.)
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True

    def __init__(
        self, temperature: Tensor, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        base = LogitRelaxedBernoulli(temperature, probs, logits)
        super().__init__(base, SigmoidTransform(), validate_args=validate_args)

    @property
    def temperature(self) -> Tensor:
        """The temperature."""
        return self.base_dist.temperature  # type: ignore[no-any-return]

    @property
    def logits(self) -> Tensor:
        """The log odds."""
        return self.base_dist.logits  # type: ignore[no-any-return]

    @property
    def probs(self) -> Tensor:
        """The probabilities."""
        return self.base_dist.probs  # type: ignore[no-any-return]
