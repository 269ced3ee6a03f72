"""The relaxed categorical distribution, and that of its logarithms."""

from __future__ import annotations

import math
from collections.abc import Sequence

from numgrad.distributions import constraints
from numgrad.distributions.categorical import Categorical
from numgrad.distributions.one_hot_categorical import OfCategories
from numgrad.distributions.transformed_distribution import TransformedDistribution
from numgrad.distributions.transforms import ExpTransform
from numgrad.distributions.utils import broadcast_all, clamp_probs, standard_uniform
from numgrad.layout import Size
from numgrad.tensor import activations
from numgrad.tensor.tensor import Tensor

__all__ = ["ExpRelaxedCategorical", "RelaxedOneHotCategorical"]


class ExpRelaxedCategorical(OfCategories):
    """The logarithms of what `RelaxedOneHotCategorical` draws.

    >>> import numgrad as ng
    >>> from numgrad.distributions.relaxed_categorical import ExpRelaxedCategorical
    >>> ExpRelaxedCategorical(ng.tensor(1.0), ng.ones(3)).sample().shape
    numgrad.Size([3])
    """

    support = constraints.real_vector  # a part of it
    has_rsample = True
    _batched = {"_categorical": 0}
    _kept = ("temperature",)

    def __init__(
        self,
        temperature: Tensor,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self._categorical = Categorical(probs, logits)
        self.temperature = temperature
        shape = self._categorical.param_shape
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    def rsample(self, sample_shape: Sequence[int] = Size(())) -> Tensor:
        u = clamp_probs(standard_uniform(self._extended_shape(sample_shape), self._param.dtype))
        return activations.log_softmax((self.logits - (-u.log()).log()) / self.temperature, -1)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        count = self._categorical._num_events
        norm = math.lgamma(count) + (count - 1) * self.temperature.log()
        return activations.log_softmax(logits - value * self.temperature, -1).sum(-1) + norm


class RelaxedOneHotCategorical(TransformedDistribution):
    """Points of a simplex that come nearer to those of a `OneHotCategorical` the lower the temperature is.

    Jang and others, "Categorical reparameterization with Gumbel-Softmax", 2017.

    >>> import numgrad as ng
    >>> ng.distributions.RelaxedOneHotCategorical(ng.tensor(1.0), ng.ones(3)).sample().shape
    numgrad.Size([3])
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.simplex
    has_rsample = True

    def __init__(
        self,
        temperature: Tensor,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        base = ExpRelaxedCategorical(temperature, probs, logits, validate_args=validate_args)
        super().__init__(base, ExpTransform(), validate_args=validate_args)

    @property
    def temperature(self) -> Tensor:
        """The temperature."""
        return self.base_dist.temperature  # type: ignore[no-any-return]

    @property
    def logits(self) -> Tensor:
        """The logarithms of the probabilities."""
        return self.base_dist.logits  # type: ignore[no-any-return]

    @property
    def probs(self) -> Tensor:
        """The probabilities."""
        return self.base_dist.probs  # type: ignore[no-any-return]
