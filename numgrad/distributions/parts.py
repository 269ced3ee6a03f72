"""Transforms of the parts of a tensor along a dimension."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numgrad.distributions import constraints
from numgrad.distributions.composing import Transform
from numgrad.distributions.constraint import _check_that
from numgrad.distributions.utils import lazy_property, sum_rightmost
from numgrad.tensor import joining
from numgrad.tensor.tensor import Tensor


class _PartsTransform(Transform):
    """One transform for each part of a dimension."""

    def __init__(self, tseq: Sequence[Transform], dim: int, cache_size: int) -> None:
        _check_that(all(isinstance(t, Transform) for t in tseq), "All elements of tseq must be Transform instances")
        super().__init__(cache_size=cache_size)
        self.transforms = [t.with_cache(cache_size) for t in tseq] if cache_size else list(tseq)
        self.dim = dim

    def _check(self, name: str, value: Tensor, extent: int, what: str, whose: str) -> None:
        _check_that(
            -value.dim() <= self.dim < value.dim(),
            f"dim {self.dim} out of range for {whose} with {value.dim()} dimensions",
        )
        got = value.shape[self.dim]
        _check_that(got == extent, f"{name}.size({self.dim}) = {got} must equal {what} {extent}")

    @property
    def bijective(self) -> Any:
        return all(t.bijective for t in self.transforms)


class CatTransform(_PartsTransform):
    """Transforms of the parts of these lengths along a dimension, as `cat` joins them.

    Raises
    ------
    AssertionError
        There is not one length for each transform; or a value does not have the dimension or the length, when called.

    >>> import numgrad as ng
    >>> from numgrad.distributions import CatTransform, ExpTransform, identity_transform
    >>> CatTransform([ExpTransform(), identity_transform], lengths=[1, 2])(ng.zeros(3))
    tensor([1., 0., 0.])
    """

    def __init__(
        self, tseq: Sequence[Transform], dim: int = 0, lengths: Sequence[int] | None = None, cache_size: int = 0
    ) -> None:
        super().__init__(tseq, dim, cache_size)
        self.lengths = [1] * len(self.transforms) if lengths is None else list(lengths)
        _check_that(
            len(self.lengths) == len(self.transforms),
            f"lengths ({len(self.lengths)}) must match transforms ({len(self.transforms)})",
        )

    @lazy_property
    def event_dim(self) -> Any:
        return max(t.event_dim for t in self.transforms)

    @lazy_property
    def length(self) -> Any:
        """The sum of the lengths."""
        return sum(self.lengths)

    def _copy(self, cache_size: int) -> Transform:
        return CatTransform(self.transforms, self.dim, self.lengths, cache_size)

    def _parts(self, name: str, value: Tensor, whose: str = "tensor") -> list[Tensor]:
        self._check(name, value, self.length, "length", whose)
        starts = [sum(self.lengths[:i]) for i in range(len(self.lengths))]
        return [value.narrow(self.dim, start, n) for start, n in zip(starts, self.lengths, strict=True)]

    def _call(self, x: Tensor) -> Tensor:
        return joining.cat([t(part) for t, part in zip(self.transforms, self._parts("x", x), strict=True)], self.dim)

    def _inverse(self, y: Tensor) -> Tensor:
        parts = self._parts("y", y)
        return joining.cat([t.inv(part) for t, part in zip(self.transforms, parts, strict=True)], self.dim)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        parts = [
            sum_rightmost(t.log_abs_det_jacobian(before, behind), self.event_dim - t.event_dim)
            for t, before, behind in zip(
                self.transforms, self._parts("x", x, "x"), self._parts("y", y, "y"), strict=True
            )
        ]
        dim = (self.dim if self.dim < 0 else self.dim - x.dim()) + self.event_dim
        if dim < 0:
            return joining.cat(parts, dim)
        return sum(parts[1:], start=parts[0])  # the parts belong to one event

    @constraints.dependent_property
    def domain(self) -> Any:
        return constraints.cat([t.domain for t in self.transforms], self.dim, self.lengths)

    @constraints.dependent_property
    def codomain(self) -> Any:
        return constraints.cat([t.codomain for t in self.transforms], self.dim, self.lengths)


class StackTransform(_PartsTransform):
    """One transform for each index of a dimension, as `stack` joins them.

    Raises
    ------
    AssertionError
        A value does not have the dimension, or another number of parts than there are transforms, when called.

    >>> import numgrad as ng
    >>> from numgrad.distributions import ExpTransform, StackTransform, identity_transform
    >>> StackTransform([ExpTransform(), identity_transform], dim=1)(ng.zeros(1, 2))
    tensor([[1., 0.]])
    """

    def __init__(self, tseq: Sequence[Transform], dim: int = 0, cache_size: int = 0) -> None:
        super().__init__(tseq, dim, cache_size)

    def _copy(self, cache_size: int) -> Transform:
        return StackTransform(self.transforms, self.dim, cache_size)

    def _parts(self, name: str, value: Tensor, whose: str = "tensor") -> list[Tensor]:
        self._check(name, value, len(self.transforms), "len(transforms)", whose)
        return [value.select(self.dim, i) for i in range(len(self.transforms))]

    def _call(self, x: Tensor) -> Tensor:
        return joining.stack([t(part) for t, part in zip(self.transforms, self._parts("x", x), strict=True)], self.dim)

    def _inverse(self, y: Tensor) -> Tensor:
        parts = self._parts("y", y)
        return joining.stack([t.inv(part) for t, part in zip(self.transforms, parts, strict=True)], self.dim)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        parts = zip(self.transforms, self._parts("x", x, "x"), self._parts("y", y, "y"), strict=True)
        return joining.stack([t.log_abs_det_jacobian(before, behind) for t, before, behind in parts], self.dim)

    @constraints.dependent_property
    def domain(self) -> Any:
        return constraints.stack([t.domain for t in self.transforms], self.dim)

    @constraints.dependent_property
    def codomain(self) -> Any:
        return constraints.stack([t.codomain for t in self.transforms], self.dim)
