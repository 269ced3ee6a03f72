"""What distributions have in common that are given by probabilities or by logits: Bernoulli's relatives and categories."""

from __future__ import annotations

from typing import Any

from numgrad.distributions.distribution import Distribution
from numgrad.distributions.utils import broadcast_all, lazy_property, logits_to_probs, probs_to_logits
from numgrad.layout import Size
from numgrad.tensor import creation
from numgrad.tensor.tensor import Tensor


def one_of(probs: Any, logits: Any) -> bool:
    """Whether it is the probabilities that are given; exactly one of the two has to be.

    Raises
    ------
    ValueError
        Both are given, or none.
    """
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")
    return probs is not None


class OfProbabilities(Distribution):
    """The other one of ``probs`` and ``logits`` is computed when it is asked for."""

    _is_binary = True
    _given: str
    _param_rank = 0

    def _take(self, probs: Any, logits: Any, *others: Any) -> tuple[Tensor, ...]:
        """Keep the one that is given, broadcast with other parameters, which are returned in its dtype."""
        self._given = "probs" if one_of(probs, logits) else "logits"
        *rest, param = broadcast_all(*others, logits if probs is None else probs)
        setattr(self, self._given, param)
        return tuple(each.type_as(param) for each in rest)

    @property
    def _param(self) -> Tensor:
        return getattr(self, self._given)  # type: ignore[no-any-return]

    @property
    def param_shape(self) -> Size:
        """The shape of the parameter."""
        return self._param.shape

    @lazy_property
    def logits(self) -> Any:
        """The log odds, or the logarithms of the probabilities."""
        return probs_to_logits(self.probs, is_binary=self._is_binary)

    @lazy_property
    def probs(self) -> Any:
        """The probabilities."""
        return logits_to_probs(self.logits, is_binary=self._is_binary)

    def _new(self, *args: Any, **kwargs: Any) -> Tensor:
        return self._param.new(*args, **kwargs)

    def _whole_numbers(self, count: int, dtype: Any, expand: bool) -> Tensor:
        """0 to count - 1 along dimension 0, for each distribution of the batch or once."""
        rank = len(self._batch_shape)
        values = creation.arange(count, dtype=dtype).reshape((-1, *(1,) * rank))
        return values.expand((-1, *self._batch_shape)) if expand else values
