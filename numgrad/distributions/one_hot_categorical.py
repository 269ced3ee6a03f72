"""Categorical distributions over vectors of one 1 and zeros."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numgrad.distributions import constraints
from numgrad.distributions.categorical import Categorical
from numgrad.distributions.distribution import Distribution
from numgrad.layout import Size
from numgrad.tensor import categories, creation
from numgrad.tensor.tensor import Tensor

__all__ = ["OneHotCategorical", "OneHotCategoricalStraightThrough"]


class OfCategories(Distribution):
    """What has the parameters of a `Categorical`, and vectors of as many elements as events."""

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    _categorical: Categorical

    def _new(self, *args: Any, **kwargs: Any) -> Tensor:
        return self._categorical._new(*args, **kwargs)

    @property
    def _param(self) -> Tensor:
        return self._categorical._param

    @property
    def probs(self) -> Tensor:
        """The probabilities."""
        return self._categorical.probs  # type: ignore[no-any-return]

    @property
    def logits(self) -> Tensor:
        """Their logarithms."""
        return self._categorical.logits  # type: ignore[no-any-return]

    @property
    def param_shape(self) -> Size:
        """The shape of the parameter."""
        return self._categorical.param_shape


class OneHotCategorical(OfCategories):
    """Vectors with a 1 at an index drawn as by `Categorical`, and zeros.

    >>> import numgrad as ng
    >>> ng.distributions.OneHotCategorical(ng.tensor([0.0, 1.0])).sample()
    tensor([0., 1.])
    """

    support = constraints.one_hot
    has_enumerate_support = True
    _batched = {"_categorical": 0}

    def __init__(
        self, probs: Tensor | None = None, logits: Tensor | None = None, validate_args: bool | None = None
    ) -> None:
        self._categorical = Categorical(probs, logits)
        shape = self._categorical.param_shape
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def mode(self) -> Tensor:
        return self._at(self._categorical.mode)

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)

    def _at(self, index: Tensor) -> Tensor:
        return categories.one_hot(index, self._categorical._num_events).type_as(self._param)

    def sample(self, sample_shape: Sequence[int] = Size(())) -> Tensor:
        return self._at(self._categorical.sample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return self._categorical.log_prob(value.argmax(-1))

    def entropy(self) -> Tensor:
        return self._categorical.entropy()

    def enumerate_support(self, expand: bool = True) -> Tensor:
        n = self._event_shape[0]
        values = creation.eye(n, dtype=self._param.dtype).reshape((n, *(1,) * len(self._batch_shape), n))
        return values.expand((n, *self._batch_shape, n)) if expand else values


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """As `OneHotCategorical`, with the gradient of the probabilities in the place of the samples'.

    Bengio and others, "Estimating or propagating gradients through stochastic neurons for conditional computation", 2013.

    >>> import numgrad as ng
    >>> probs = ng.tensor([0.0, 1.0], requires_grad=True)
    >>> ng.distributions.OneHotCategoricalStraightThrough(probs).rsample().requires_grad
    True
    """

    has_rsample = True

    def rsample(self, sample_shape: Sequence[int] = Size(())) -> Tensor:
        return self.sample(sample_shape) + (self.probs - self.probs.detach())
