"""Transforms of numbers, vectors and matrices, under torch's names; those made of others stand in `composing` and `parts`."""

from __future__ import annotations

import math
from typing import Any

from numgrad.distributions import constraints
from numgrad.distributions.composing import (
    _FEW,
    ComposeTransform,
    IndependentTransform,
    ReshapeTransform,
    Transform,
    identity_transform,
)
from numgrad.distributions.parts import CatTransform, StackTransform
from numgrad.distributions.utils import broadcast_all, is_number, sum_rightmost, tril_matrix_to_vec, vec_to_tril_matrix
from numgrad.dtypes import finfo
from numgrad.layout import Size
from numgrad.tensor import activations, creation, decompositions, grids, margins
from numgrad.tensor.tensor import Tensor

__all__ = [
    "AbsTransform",
    "AffineTransform",
    "CatTransform",
    "ComposeTransform",
    "CorrCholeskyTransform",
    "CumulativeDistributionTransform",
    "ExpTransform",
    "IndependentTransform",
    "LowerCholeskyTransform",
    "PositiveDefiniteTransform",
    "PowerTransform",
    "ReshapeTransform",
    "SigmoidTransform",
    "SoftmaxTransform",
    "SoftplusTransform",
    "StackTransform",
    "StickBreakingTransform",
    "TanhTransform",
    "Transform",
    "identity_transform",
]


class _Alike(Transform):
    """A transform without parameters: any two are equal."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self))

    __hash__ = object.__hash__


# ---- of numbers ------------------------------------------------------------------------------------------------------


class ExpTransform(_Alike):
    """exp(x).

    >>> import numgrad as ng
    >>> ng.distributions.ExpTransform()(ng.tensor(0.0))
    tensor(1.)
    """

    domain = constraints.real
    codomain = constraints.positive
    bijective = True
    sign = 1

    def _call(self, x: Tensor) -> Tensor:
        return x.exp()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x


def _broadcast(shape: Any, *parameters: Any) -> Size:
    return grids.broadcast_shapes(tuple(shape), *[tuple(getattr(each, "shape", ())) for each in parameters])


class PowerTransform(Transform):
    """x ** exponent, of positive x.

    >>> import numgrad as ng
    >>> ng.distributions.PowerTransform(2.0)(ng.tensor(3.0))
    tensor(9.)
    """

    domain = constraints.positive
    codomain = constraints.positive
    bijective = True

    def __init__(self, exponent: Any, cache_size: int = 0) -> None:
        super().__init__(cache_size=cache_size)
        (self.exponent,) = broadcast_all(exponent)

    def _copy(self, cache_size: int) -> Transform:
        return PowerTransform(self.exponent, cache_size=cache_size)

    @property
    def sign(self) -> Any:
        return self.exponent.sign()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PowerTransform) and bool((self.exponent == other.exponent).all())

    __hash__ = object.__hash__

    def _call(self, x: Tensor) -> Tensor:
        return x.pow(self.exponent)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.pow(1 / self.exponent)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return (self.exponent * y / x).abs().log()

    def forward_shape(self, shape: Any) -> Any:
        return _broadcast(shape, self.exponent)

    def inverse_shape(self, shape: Any) -> Any:
        return _broadcast(shape, self.exponent)


def _within(y: Tensor) -> Tensor:
    """Kept away from 0 and 1."""
    limits = finfo(y.dtype)
    return y.clamp(min=limits.tiny, max=1 - limits.eps)


class SigmoidTransform(_Alike):
    """1 / (1 + exp(-x)), kept away from 0 and 1.

    >>> import numgrad as ng
    >>> ng.distributions.SigmoidTransform()(ng.tensor(0.0))
    tensor(0.5000)
    """

    domain = constraints.real
    codomain = constraints.unit_interval
    bijective = True
    sign = 1

    def _call(self, x: Tensor) -> Tensor:
        return _within(x.sigmoid())

    def _inverse(self, y: Tensor) -> Tensor:
        y = _within(y)
        return y.log() - (-y).log1p()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return activations.logsigmoid(x) + activations.logsigmoid(-x)


class SoftplusTransform(_Alike):
    """log(1 + exp(x)).

    >>> import numgrad as ng
    >>> ng.distributions.SoftplusTransform()(ng.tensor(0.0))
    tensor(0.6931)
    """

    domain = constraints.real
    codomain = constraints.positive
    bijective = True
    sign = 1

    def _call(self, x: Tensor) -> Tensor:
        return activations.softplus(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return (-(-y).expm1()).log() + y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return activations.logsigmoid(x)


class TanhTransform(_Alike):
    """tanh(x); its inverse is infinite at -1 and 1, so ``cache_size=1`` is recommended.

    >>> import numgrad as ng
    >>> ng.distributions.TanhTransform()(ng.tensor(0.0))
    tensor(0.)
    """

    domain = constraints.real
    codomain = constraints.interval(-1.0, 1.0)
    bijective = True
    sign = 1

    def _call(self, x: Tensor) -> Tensor:
        return x.tanh()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.atanh()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return _log_slope_of_tanh(x)


def _log_slope_of_tanh(x: Tensor) -> Tensor:
    """log(1 - tanh(x)**2), which is 4 sigmoid(2 x) sigmoid(-2 x)."""
    return activations.logsigmoid(2 * x) + activations.logsigmoid(-2 * x) + math.log(4)


class AbsTransform(_Alike):
    """The absolute value; the inverse is one of the two.

    >>> import numgrad as ng
    >>> ng.distributions.AbsTransform()(ng.tensor(-2.0))
    tensor(2.)
    """

    domain = constraints.real
    codomain = constraints.positive

    def _call(self, x: Tensor) -> Tensor:
        return x.abs()

    def _inverse(self, y: Tensor) -> Tensor:
        return y


class AffineTransform(Transform):
    """loc + scale * x; the last ``event_dim`` dimensions are an event.

    >>> import numgrad as ng
    >>> ng.distributions.AffineTransform(1.0, 2.0)(ng.tensor(3.0))
    tensor(7.)
    """

    bijective = True

    def __init__(self, loc: Any, scale: Any, event_dim: int = 0, cache_size: int = 0) -> None:
        super().__init__(cache_size=cache_size)
        self.loc = loc
        self.scale = scale
        self._event_dim = event_dim

    @property
    def event_dim(self) -> int:
        return self._event_dim

    @constraints.dependent_property(is_discrete=False)
    def domain(self) -> Any:
        return constraints.independent(constraints.real, self.event_dim) if self.event_dim else constraints.real

    @constraints.dependent_property(is_discrete=False)
    def codomain(self) -> Any:
        return self.domain

    def _copy(self, cache_size: int) -> Transform:
        return AffineTransform(self.loc, self.scale, self.event_dim, cache_size=cache_size)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AffineTransform):
            return False
        pairs = ((self.loc, other.loc), (self.scale, other.scale))
        return all(one is two or bool(creation.as_tensor(one == two).all()) for one, two in pairs)

    __hash__ = object.__hash__

    @property
    def sign(self) -> Any:
        if is_number(self.scale):
            return (self.scale > 0) - (self.scale < 0)
        return self.scale.sign()

    def _call(self, x: Tensor) -> Tensor:
        return self.loc + self.scale * x  # type: ignore[no-any-return]

    def _inverse(self, y: Tensor) -> Tensor:
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        slope = creation.full_like(x, math.log(abs(self.scale))) if is_number(self.scale) else self.scale.abs().log()
        return sum_rightmost(slope.expand(x.shape), self.event_dim)

    def forward_shape(self, shape: Any) -> Any:
        return _broadcast(shape, self.loc, self.scale)

    def inverse_shape(self, shape: Any) -> Any:
        return _broadcast(shape, self.loc, self.scale)


class CumulativeDistributionTransform(Transform):
    """The cumulative function of a distribution.

    >>> import numgrad as ng
    >>> from numgrad.distributions import CumulativeDistributionTransform, Normal
    >>> CumulativeDistributionTransform(Normal(0.0, 1.0))(ng.tensor(0.0))
    tensor(0.5000)
    """

    bijective = True
    codomain = constraints.unit_interval
    sign = 1

    def __init__(self, distribution: Any, cache_size: int = 0) -> None:
        super().__init__(cache_size=cache_size)
        self.distribution = distribution

    @property
    def domain(self) -> Any:
        return self.distribution.support

    def _copy(self, cache_size: int) -> Transform:
        return CumulativeDistributionTransform(self.distribution, cache_size=cache_size)

    def _call(self, x: Tensor) -> Tensor:
        return self.distribution.cdf(x)  # type: ignore[no-any-return]

    def _inverse(self, y: Tensor) -> Tensor:
        return self.distribution.icdf(y)  # type: ignore[no-any-return]

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return self.distribution.log_prob(x)  # type: ignore[no-any-return]


# ---- of vectors and matrices -----------------------------------------------------------------------------------------


def _with_last(shape: Any, change: int) -> Size:
    if len(shape) < 1:
        raise ValueError(_FEW)
    return Size((*shape[:-1], shape[-1] + change))


class SoftmaxTransform(_Alike):
    """exp(x) over its sum along the last dimension, which is not bijective; the inverse is the logarithm.

    >>> import numgrad as ng
    >>> ng.distributions.SoftmaxTransform()(ng.zeros(2))
    tensor([0.5000, 0.5000])
    """

    domain = constraints.real_vector
    codomain = constraints.simplex

    def _call(self, x: Tensor) -> Tensor:
        return activations.softmax(x, -1)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()

    def forward_shape(self, shape: Any) -> Any:
        return _with_last(shape, 0)

    def inverse_shape(self, shape: Any) -> Any:
        return _with_last(shape, 0)


class StickBreakingTransform(_Alike):
    """Vectors as points of a simplex with one element more: each breaks a part off what the ones before have left.

    The parts are sigmoids, shifted so that zeros give equal elements.

    >>> import numgrad as ng
    >>> ng.distributions.StickBreakingTransform()(ng.zeros(1))
    tensor([0.5000, 0.5000])
    """

    domain = constraints.real_vector
    codomain = constraints.simplex
    bijective = True

    def _shift(self, x: Tensor) -> Tensor:
        """The logarithms of the numbers of parts that remain behind each."""
        return creation.arange(x.shape[-1], 0, -1, dtype=x.dtype).log()

    def _call(self, x: Tensor) -> Tensor:
        part = _within((x - self._shift(x)).sigmoid())
        left = (1 - part).cumprod(-1)
        return margins.pad(part, (0, 1), value=1) * margins.pad(left, (1, 0), value=1)

    def _inverse(self, y: Tensor) -> Tensor:
        parts = y[..., :-1]
        left = (1 - parts.cumsum(-1)).clamp(min=finfo(y.dtype).tiny)
        return parts.log() - left.log() + self._shift(parts)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Of the parts by x a triangle, whose diagonal is y (1 - sigmoid)."""
        return (activations.logsigmoid(self._shift(x) - x) + y[..., :-1].log()).sum(-1)

    def forward_shape(self, shape: Any) -> Any:
        return _with_last(shape, 1)

    def inverse_shape(self, shape: Any) -> Any:
        return _with_last(shape, -1)


class CorrCholeskyTransform(Transform):
    """Vectors of D (D - 1) / 2 elements as Cholesky factors of correlation matrices: triangles with rows of length 1.

    tanh of each element, row by row of the triangle, takes its part of the length that the ones before have left.

    >>> import numgrad as ng
    >>> ng.distributions.CorrCholeskyTransform()(ng.zeros(1))
    tensor([[1., 0.],
            [0., 1.]])
    """

    domain = constraints.real_vector
    codomain = constraints.corr_cholesky
    bijective = True

    def _call(self, x: Tensor) -> Tensor:
        eps = finfo(x.dtype).eps
        part = vec_to_tril_matrix(x.tanh().clamp(min=-1 + eps, max=1 - eps), diag=-1)
        left = (1 - part * part).sqrt().cumprod(-1)
        whole = part + creation.eye(part.shape[-1], dtype=x.dtype)
        return whole * margins.pad(left[..., :-1], (1, 0), value=1)

    def _inverse(self, y: Tensor) -> Tensor:
        left = margins.pad(1 - (y * y).cumsum(-1)[..., :-1], (1, 0), value=1)
        part = tril_matrix_to_vec(y, diag=-1) / tril_matrix_to_vec(left, diag=-1).sqrt()
        return part.atanh()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Of the triangle below the diagonal."""
        left = 1 - (y * y).cumsum(-1)
        return 0.5 * tril_matrix_to_vec(left, diag=-2).log().sum(-1) + _log_slope_of_tanh(x).sum(-1)

    def forward_shape(self, shape: Any) -> Any:
        if len(shape) < 1:
            raise ValueError(_FEW)
        count = shape[-1]
        size = round((0.25 + 2 * count) ** 0.5 + 0.5)
        if size * (size - 1) // 2 != count:
            raise ValueError("Input is not a flattened lower-diagonal number")
        return Size((*shape[:-1], size, size))

    def inverse_shape(self, shape: Any) -> Any:
        if len(shape) < 2:
            raise ValueError(_FEW)
        if shape[-2] != shape[-1]:
            raise ValueError("Input is not square")
        return Size((*shape[:-2], shape[-1] * (shape[-1] - 1) // 2))


class LowerCholeskyTransform(_Alike):
    """Square matrices as lower triangular ones, with exp of their diagonals.

    >>> import numgrad as ng
    >>> ng.distributions.LowerCholeskyTransform()(ng.zeros(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.lower_cholesky

    def _call(self, x: Tensor) -> Tensor:
        return x.tril(-1) + x.diagonal(dim1=-2, dim2=-1).exp().diag_embed()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.tril(-1) + y.diagonal(dim1=-2, dim2=-1).log().diag_embed()


class PositiveDefiniteTransform(_Alike):
    """Square matrices as positive definite ones: L @ L.mT for the triangle L that `LowerCholeskyTransform` gives.

    >>> import numgrad as ng
    >>> ng.distributions.PositiveDefiniteTransform()(ng.zeros(1, 1))
    tensor([[1.]])
    """

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.positive_definite

    def _call(self, x: Tensor) -> Tensor:
        triangle = LowerCholeskyTransform()(x)
        return triangle @ triangle.mT

    def _inverse(self, y: Tensor) -> Tensor:
        return LowerCholeskyTransform().inv(decompositions.cholesky(y))
