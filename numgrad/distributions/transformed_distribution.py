"""Distributions of transformed numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numgrad.autograd import no_grad
from numgrad.distributions import constraints
from numgrad.distributions.constraints import Constraint
from numgrad.distributions.distribution import Distribution
from numgrad.distributions.independent import Independent
from numgrad.distributions.transforms import ComposeTransform, Transform
from numgrad.distributions.utils import sum_rightmost
from numgrad.layout import Size
from numgrad.tensor.tensor import Tensor

__all__ = ["TransformedDistribution"]


class TransformedDistribution(Distribution):
    """What a base distribution draws, put through transforms one after the other.

    The base distribution is expanded to the shape that the transforms give it, and dimensions that a transform mixes belong
    to an event.

    Raises
    ------
    ValueError
        ``transforms`` is neither a transform nor a list of transforms, or the base distribution has too few dimensions.

    >>> import numgrad as ng
    >>> from numgrad.distributions import AffineTransform, SigmoidTransform, TransformedDistribution, Uniform
    >>> logistic = TransformedDistribution(Uniform(0.0, 1.0), [SigmoidTransform().inv, AffineTransform(0.0, 1.0)])
    >>> logistic.cdf(ng.tensor(0.0))
    tensor(0.5000)
    """

    arg_constraints: dict[str, Constraint] = {}
    # As in `Distribution`, of classes that are derived from this one: parameters of their own.
    base_dist: Any
    transforms: list[Transform]

    def __init__(
        self,
        base_distribution: Distribution,
        transforms: Transform | list[Transform],
        validate_args: bool | None = None,
    ) -> None:
        if isinstance(transforms, Transform):
            transforms = [transforms]
        elif not isinstance(transforms, list):
            raise ValueError(f"transforms must be a Transform or list, but was {transforms}")
        elif not all(isinstance(each, Transform) for each in transforms):
            raise ValueError("transforms must be a Transform or a list of Transforms")
        self.transforms = transforms
        whole = ComposeTransform(transforms)
        shape = Size((*base_distribution.batch_shape, *base_distribution.event_shape))
        base_rank = len(base_distribution.event_shape)
        before, behind = whole.domain.event_dim, whole.codomain.event_dim
        if len(shape) < before:
            raise ValueError(f"base_distribution needs to have shape with size at least {before}, but got {shape}.")
        result = whole.forward_shape(shape)
        expanded = Size(whole.inverse_shape(result))
        if shape != expanded:
            base_distribution = base_distribution.expand(expanded[: len(expanded) - base_rank])
        if before > base_rank:
            base_distribution = Independent(base_distribution, before - base_rank)
        self.base_dist = base_distribution
        cut = len(result) - max(behind, base_rank + behind - before)
        super().__init__(result[:cut], result[cut:], validate_args=validate_args)

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        new = self._get_checked_instance(type(self)._expanding(), _instance)
        for name in self._of_batch:
            setattr(new, name, getattr(self, name).expand(tuple(batch_shape)))
        shape = ComposeTransform(self.transforms).inverse_shape(Size((*batch_shape, *self._event_shape)))
        new.base_dist = self.base_dist.expand(shape[: len(shape) - len(self.base_dist.event_shape)])
        new.transforms = self.transforms
        Distribution.__init__(new, batch_shape, self._event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    _of_batch: tuple[str, ...] = ()  # tensors of the batch's shape that a derived class keeps itself

    @classmethod
    def _expanding(cls) -> type:
        """The class of numgrad's that a subclass is derived from: one with another ``__init__`` has to expand itself."""
        return next(each for each in cls.__mro__ if each.__module__.startswith("numgrad.distributions."))

    @constraints.dependent_property(is_discrete=False)
    def support(self) -> Any:
        if not self.transforms:
            return self.base_dist.support
        support = self.transforms[-1].codomain
        extra = len(self._event_shape) - support.event_dim
        return constraints.independent(support, extra) if extra > 0 else support

    @property
    def has_rsample(self) -> Any:
        return self.base_dist.has_rsample

    def _forwards(self, value: Tensor) -> Tensor:
        for transform in self.transforms:
            value = transform(value)
        return value

    def _backwards(self, value: Tensor) -> Tensor:
        for transform in reversed(self.transforms):
            value = transform.inv(value)
        return value

    def sample(self, sample_shape: Sequence[int] = Size(())) -> Tensor:
        with no_grad():
            return self._forwards(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape: Sequence[int] = Size(())) -> Tensor:
        return self._forwards(self.base_dist.rsample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        rank = len(self._event_shape)
        total: Any = 0.0
        for transform in reversed(self.transforms):
            before = transform.inv(value)
            rank += transform.domain.event_dim - transform.codomain.event_dim
            jacobian = transform.log_abs_det_jacobian(before, value)
            total = total - sum_rightmost(jacobian, rank - transform.domain.event_dim)
            value = before
        inner = rank - len(self.base_dist.event_shape)
        return total + sum_rightmost(self.base_dist.log_prob(value), inner)  # type: ignore[no-any-return]

    def _monotonize_cdf(self, value: Tensor) -> Tensor:
        """The complement of a probability where the transforms decrease."""
        sign: Any = 1
        for transform in self.transforms:
            sign = sign * transform.sign
        if isinstance(sign, int) and sign == 1:
            return value
        return sign * (value - 0.5) + 0.5  # type: ignore[no-any-return]

    def cdf(self, value: Tensor) -> Tensor:
        value = self._backwards(value)
        if self._validate_args:
            self.base_dist._validate_sample(value)
        return self._monotonize_cdf(self.base_dist.cdf(value))

    def icdf(self, value: Tensor) -> Tensor:
        return self._forwards(self.base_dist.icdf(self._monotonize_cdf(value)))
