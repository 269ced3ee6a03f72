"""The negative binomial distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numgrad.autograd import no_grad
from numgrad.distributions import constraints
from numgrad.distributions.gamma import Gamma
from numgrad.distributions.probabilities import OfProbabilities
from numgrad.distributions.utils import lazy_property
from numgrad.layout import Size
from numgrad.tensor import activations, sampling
from numgrad.tensor.tensor import Tensor

__all__ = ["NegativeBinomial"]


class NegativeBinomial(OfProbabilities):
    """The number of successes before ``total_count`` failures, each trial a success with probability ``probs``.

    The count need not be whole.

    >>> import numgrad as ng
    >>> ng.distributions.NegativeBinomial(1.0, ng.tensor(0.5)).log_prob(ng.tensor(1.0)).exp()
    tensor(0.2500)
    """

    arg_constraints = {
        "total_count": constraints.greater_than_eq(0),
        "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer
    _batched = {"total_count": 0, "probs": 0, "logits": 0}
    _kept = ("_given",)

    def __init__(
        self, total_count: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        (self.total_count,) = self._take(probs, logits, total_count)
        super().__init__(self._param.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.total_count * self.logits.exp()  # type: ignore[no-any-return]

    @property
    def mode(self) -> Tensor:
        return ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0)  # type: ignore[no-any-return]

    @property
    def variance(self) -> Tensor:
        return self.mean / (-self.logits).sigmoid()

    @lazy_property
    def _gamma(self) -> Any:
        """The rates of Poisson numbers; not checked, since a count may be 0."""
        return Gamma(self.total_count, (-self.logits).exp(), validate_args=False)

    def sample(self, sample_shape: Sequence[int] = Size(())) -> Tensor:
        with no_grad():
            rate = self._gamma.sample(sample_shape)
            return sampling.poisson(rate.masked_fill(self.total_count == 0, 0.0))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        n = self.total_count
        ways = (n + value).lgamma() - (value + 1).lgamma() - n.lgamma()
        ways = ways.masked_fill(n + value == 0, 0.0)
        return ways + n * activations.logsigmoid(-self.logits) + value * activations.logsigmoid(self.logits)
