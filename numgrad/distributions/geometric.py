"""The geometric distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numgrad.autograd import no_grad
from numgrad.distributions import constraints
from numgrad.distributions.probabilities import OfProbabilities
from numgrad.distributions.utils import all_true, broadcast_all, standard_uniform
from numgrad.dtypes import finfo
from numgrad.layout import Size
from numgrad.tensor import creation, losses, pointwise
from numgrad.tensor.tensor import Tensor

__all__ = ["Geometric"]


class Geometric(OfProbabilities):
    """The number of failures before the first success: k with probability (1 - probs)**k * probs.

    Raises
    ------
    ValueError
        A probability is not above 0 and up to 1.

    >>> import numgrad as ng
    >>> ng.distributions.Geometric(0.5).log_prob(ng.tensor([0.0, 2.0]))
    tensor([-0.6931, -2.0794])
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.nonnegative_integer
    _batched = {"probs": 0, "logits": 0}
    _kept = ("_given",)

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        self._take(probs, logits)
        super().__init__(self._param.shape, validate_args=validate_args)
        if self._validate_args and probs is not None:
            value = self.probs
            valid = value > 0
            if not all_true(valid):
                raise ValueError(
                    f"Expected parameter probs ({type(value).__name__} of shape {tuple(value.shape)}) of distribution {self!r} "
                    f"to be positive but found invalid values:\n{value.detach()[~valid]}"
                )

    @property
    def mean(self) -> Tensor:
        return 1 / self.probs - 1  # type: ignore[no-any-return]

    @property
    def mode(self) -> Tensor:
        return creation.zeros_like(self.probs)

    @property
    def variance(self) -> Tensor:
        return (1 / self.probs - 1) / self.probs  # type: ignore[no-any-return]

    def sample(self, sample_shape: Sequence[int] = Size(())) -> Tensor:
        with no_grad():
            u = standard_uniform(self._extended_shape(sample_shape), self.probs.dtype)
            return (u.clamp(min=finfo(u.dtype).tiny).log() / (-self.probs).log1p()).floor()

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        value, probs = broadcast_all(value, self.probs)
        failed = pointwise.where((probs == 1) & (value == 0), 0.0, probs)
        return value * (-failed).log1p() + self.probs.log()

    def entropy(self) -> Tensor:
        return losses.binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none") / self.probs
