"""Categorical distributions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from numgrad.distributions import constraints
from numgrad.distributions.probabilities import OfProbabilities, one_of
from numgrad.dtypes import finfo, int64
from numgrad.layout import Size
from numgrad.tensor import creation, grids, indexing, sampling
from numgrad.tensor.tensor import Tensor

__all__ = ["Categorical"]


class Categorical(OfProbabilities):
    """Indices of int64 with probabilities in proportion to ``probs`` along the last dimension, or to exp(logits).

    Raises
    ------
    ValueError
        Both parameters are given, or none; or one without dimensions.

    >>> import numgrad as ng
    >>> ng.distributions.Categorical(ng.tensor([1.0, 3.0])).probs
    tensor([0.2500, 0.7500])
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    has_enumerate_support = True
    _is_binary = False
    _batched = {"probs": 1, "logits": 1}
    _kept = ("_given", "_num_events")

    def __init__(
        self, probs: Tensor | None = None, logits: Tensor | None = None, validate_args: bool | None = None
    ) -> None:
        self._given = "probs" if one_of(probs, logits) else "logits"
        param: Any = probs if logits is None else logits
        if param.dim() < 1:
            raise ValueError(f"`{self._given}` parameter must be at least one-dimensional.")
        if logits is None:
            self.probs = param / param.sum(-1, keepdim=True)
        else:
            self.logits = param - param.logsumexp(-1, keepdim=True)
        self._num_events = self._param.shape[-1]
        super().__init__(self._param.shape[:-1], validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        return constraints.integer_interval(0, self._num_events - 1)

    @property
    def mean(self) -> Tensor:
        return creation.full(self._extended_shape(), math.nan, dtype=self._param.dtype)

    @property
    def mode(self) -> Tensor:
        return self.probs.argmax(-1)  # type: ignore[no-any-return]

    @property
    def variance(self) -> Tensor:
        return self.mean

    def sample(self, sample_shape: Sequence[int] = Size(())) -> Tensor:
        rows = self.probs.reshape(-1, self._num_events)
        drawn = sampling.multinomial(rows, Size(sample_shape).numel(), True)
        return drawn.T.reshape(self._extended_shape(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        index, logits = grids.broadcast_tensors(value.long().unsqueeze(-1), self.logits)
        return indexing.gather(logits, -1, index[..., :1]).squeeze(-1)

    def entropy(self) -> Tensor:
        logits = self.logits.clamp(min=finfo(self.logits.dtype).min)
        return -(logits * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        return self._whole_numbers(self._num_events, int64, expand)
