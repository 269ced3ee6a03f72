"""`Distribution`: what all distributions have, under the names of ``torch.distributions``."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from numgrad.autograd import no_grad
from numgrad.distributions import constraints
from numgrad.distributions.constraints import Constraint
from numgrad.distributions.utils import all_true, lazy_property
from numgrad.layout import Size
from numgrad.tensor.tensor import Tensor

__all__ = ["Distribution"]


class Distribution:
    """A batch of distributions of one kind, over events of one shape.

    A value has the shape ``[*sample_shape, *batch_shape, *event_shape]``, its `log_prob` the shape
    ``[*sample_shape, *batch_shape]``. Parameters broadcast to the batch's shape. Numbers are drawn from the default generator,
    which `manual_seed` restarts.

    Parameters
    ----------
    batch_shape, event_shape
        The shapes.
    validate_args
        Whether parameters and values are checked; by default as `set_default_validate_args` says, which is yes unless
        Python runs with ``-O``.

    Raises
    ------
    ValueError
        A parameter is not what the class's ``arg_constraints`` say.

    >>> import numgrad as ng
    >>> normal = ng.distributions.Normal(ng.zeros(3), ng.ones(3))
    >>> normal.batch_shape, normal.event_shape, normal.sample((2,)).shape
    (numgrad.Size([3]), numgrad.Size([]), numgrad.Size([2, 3]))
    """

    has_rsample: Any = False
    has_enumerate_support: Any = False
    _validate_args = __debug__
    # What `expand` repeats of a class that says it: tensors and distributions by name, each with the number of its last
    # dimensions that are not the batch's; and what it passes on as it is.
    _batched: dict[str, int]
    _kept: tuple[str, ...] = ()

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Say whether distributions are checked by default.

        Raises
        ------
        ValueError
            The value is no bool.

        >>> import numgrad as ng
        >>> ng.distributions.Distribution.set_default_validate_args(True)
        """
        if value not in (True, False):
            raise ValueError(f"set_default_validate_args: value is {value!r}, expected True or False")
        Distribution._validate_args = value

    def __init__(self, batch_shape: Any = (), event_shape: Any = (), validate_args: bool | None = None) -> None:
        self._batch_shape = Size(batch_shape)
        self._event_shape = Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._check_parameters()
        super().__init__()

    def _check_parameters(self) -> None:
        try:
            expected = self.arg_constraints
        except NotImplementedError:
            expected = {}
            warnings.warn(
                f"{self.__class__} does not define `arg_constraints`. Please set `arg_constraints = {{}}` or initialize the "
                "distribution with `validate_args=False` to turn off validation.",
                stacklevel=4,
            )
        for name, constraint in expected.items():
            is_lazy = name not in self.__dict__ and isinstance(getattr(type(self), name, None), lazy_property)
            if constraints.is_dependent(constraint) or is_lazy:
                continue
            value = getattr(self, name)
            if not all_true(constraint.check(value)):
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape {tuple(value.shape)}) of distribution "
                    f"{self!r} to satisfy the constraint {constraint!r}, but found invalid values:\n{value}"
                )

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        """The same distributions with a batch of this shape, to which theirs broadcasts; parameters are views.

        >>> import numgrad as ng
        >>> ng.distributions.Normal(0.0, 1.0).expand((2, 3)).batch_shape
        numgrad.Size([2, 3])
        """
        owner: Any = next((each for each in type(self).__mro__ if "_batched" in vars(each)), None)
        if owner is None:
            raise NotImplementedError
        new = self._get_checked_instance(owner, _instance)
        shape = Size(batch_shape)
        for name, rank in owner._batched.items():
            value = self.__dict__.get(name)
            if isinstance(value, Tensor):
                new.__dict__[name] = value.expand((*shape, *value.shape[value.dim() - rank :]))
            elif value is not None:
                new.__dict__[name] = value.expand((*shape, *value.batch_shape[len(value.batch_shape) - rank :]))
        for name in owner._kept:
            if name in self.__dict__:
                new.__dict__[name] = self.__dict__[name]
        Distribution.__init__(new, shape, self._event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def batch_shape(self) -> Size:
        """The shape of the batch of distributions."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """The shape of what one distribution draws."""
        return self._event_shape

    @property
    def arg_constraints(self) -> dict[str, Constraint]:
        """For each parameter that is a tensor, what it has to be."""
        raise NotImplementedError

    @property
    def support(self) -> Any:
        """The constraint that all values satisfy."""
        raise NotImplementedError

    @property
    def mean(self) -> Tensor:
        """The mean."""
        raise NotImplementedError

    @property
    def mode(self) -> Tensor:
        """The most probable value."""
        raise NotImplementedError(f"{self.__class__} does not implement mode")

    @property
    def variance(self) -> Tensor:
        """The variance."""
        raise NotImplementedError

    @property
    def stddev(self) -> Tensor:
        """The standard deviation."""
        return self.variance.sqrt()

    def sample(self, sample_shape: Sequence[int] = Size(())) -> Tensor:
        """Values drawn, which require no gradient: ``[*sample_shape, *batch_shape, *event_shape]``.

        >>> import numgrad as ng
        >>> ng.distributions.Exponential(ng.tensor([1.0, 2.0])).sample((3,)).shape
        numgrad.Size([3, 2])
        """
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = Size(())) -> Tensor:
        """As `sample`, differentiable by the parameters; where ``has_rsample`` is True.

        >>> import numgrad as ng
        >>> scale = ng.tensor(2.0, requires_grad=True)
        >>> ng.distributions.Normal(0.0, scale).rsample().requires_grad
        True
        """
        raise NotImplementedError

    def sample_n(self, n: int) -> Tensor:
        """torch's old name of ``sample((n,))``."""
        warnings.warn(
            "`sample_n(n)` will be deprecated. Use `sample((n,))` instead.", category=FutureWarning, stacklevel=2
        )
        return self.sample(Size((n,)))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density, or of the probability, of a value.

        Raises
        ------
        ValueError
            The value is not within the support, or is of a shape that does not fit.

        >>> import numgrad as ng
        >>> ng.distributions.Normal(0.0, 1.0).log_prob(ng.tensor([0.0, 1.0]))
        tensor([-0.9189, -1.4189])
        """
        raise NotImplementedError

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of values up to this one."""
        raise NotImplementedError

    def icdf(self, value: Tensor) -> Tensor:
        """The inverse of `cdf`: the quantile of a probability."""
        raise NotImplementedError

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values, along dimension 0; for each distribution of the batch, or once with ``expand=False``.

        >>> import numgrad as ng
        >>> ng.distributions.Bernoulli(ng.tensor([0.1, 0.2])).enumerate_support(expand=False)
        tensor([[0.],
                [1.]])
        """
        raise NotImplementedError

    def entropy(self) -> Tensor:
        """The entropy in nats, of the batch's shape."""
        raise NotImplementedError

    def perplexity(self) -> Tensor:
        """exp(entropy)."""
        return self.entropy().exp()

    def _extended_shape(self, sample_shape: Sequence[int] = Size(())) -> Size:
        """The shape of what is drawn."""
        return Size((*sample_shape, *self._batch_shape, *self._event_shape))

    def _validate_sample(self, value: Tensor) -> None:
        """Refuse what is no value of this distribution."""
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        shape, rank = value.shape, len(self._event_shape)
        if Size(shape[len(shape) - rank :]) != self._event_shape:
            raise ValueError(f"The right-most size of value must match event_shape: {shape} vs {self._event_shape}.")
        expected = self._extended_shape()
        for actual, own in zip(reversed(shape), reversed(expected), strict=False):
            if actual not in (1, own) and own != 1:
                raise ValueError(f"Value is not broadcastable with batch_shape+event_shape: {shape} vs {expected}.")
        try:
            support = self.support
        except NotImplementedError:
            warnings.warn(
                f"{self.__class__} does not define `support` to enable sample validation. Please initialize the distribution "
                "with `validate_args=False` to turn off validation.",
                stacklevel=3,
            )
            return
        if not all_true(support.check(value)):
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(shape)}) to be within the support "
                f"({support!r}) of the distribution {self!r}, but found invalid values:\n{value}"
            )

    def _get_checked_instance(self, cls: type, _instance: Any = None) -> Any:
        """An object of this class for `expand` to fill, or the one that a derived class's `expand` has made."""
        if _instance is not None:
            return _instance
        if type(self).__init__ is not cls.__init__:  # type: ignore[misc]
            raise NotImplementedError(
                f"Subclass {self.__class__.__name__} of {cls.__name__} that defines a custom __init__ method "
                "must also define a custom .expand() method."
            )
        return self.__new__(type(self))

    def __repr__(self) -> str:
        given = {name: self.__dict__[name] for name in self.arg_constraints if name in self.__dict__}
        texts = [f"{name}: {x if x.numel() == 1 else x.size()}" for name, x in given.items()]
        return f"{self.__class__.__name__}({', '.join(texts)})"
