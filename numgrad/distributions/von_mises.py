"""von Mises's distribution of angles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from numgrad import ops
from numgrad.autograd import no_grad
from numgrad.distributions import constraints
from numgrad.distributions.distribution import Distribution
from numgrad.distributions.utils import all_true, broadcast_all, lazy_property, standard_uniform
from numgrad.dtypes import float64
from numgrad.layout import Size
from numgrad.tensor import pointwise
from numgrad.tensor.tensor import Tensor

__all__ = ["VonMises"]


class VonMises(Distribution):
    """Angles from -pi to pi, of density proportional to exp(concentration * cos(x - loc)).

    >>> import numgrad as ng
    >>> ng.distributions.VonMises(ng.tensor(0.0), ng.tensor(1.0)).log_prob(ng.tensor(0.0))
    tensor(-1.0738)
    """

    arg_constraints = {"loc": constraints.real, "concentration": constraints.positive}
    support = constraints.real
    _batched = {"loc": 0, "concentration": 0}

    def __init__(self, loc: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.concentration = broadcast_all(loc, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """The mean direction."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @lazy_property
    def variance(self) -> Any:
        """1 less the mean cosine of what lies between an angle and the mean direction."""
        return 1 - ops.elementwise.i1e(self.concentration) / ops.elementwise.i0e(self.concentration)

    def sample(self, sample_shape: Sequence[int] = Size(())) -> Tensor:
        """By Best and Fisher's rejection from a wrapped Cauchy distribution (Applied Statistics 28, 1979), in float64."""
        shape = self._extended_shape(sample_shape)
        with no_grad():
            kappa = self.concentration.to(float64)
            root = (1 + 4 * kappa * kappa).sqrt()
            rho = 2 * kappa / (1 + root + (2 * (1 + root)).sqrt())
            r = pointwise.where(kappa < 1e-5, 1 / kappa + kappa, (1 + rho * rho) / (2 * rho))
            angle, pending = kappa.new_zeros(shape), kappa.new_ones(shape) > 0
            while not all_true(~pending):
                turn, chance, side = standard_uniform((3, *shape), float64).unbind(0)
                z = (math.pi * turn).cos()
                cosine = (1 + r * z) / (r + z)
                c = kappa * (r - cosine)
                accepted = pending & ((c * (2 - c) > chance) | ((c / chance).log() + 1 - c >= 0))
                angle = pointwise.where(accepted, (side - 0.5).sign() * cosine.clamp(min=-1, max=1).acos(), angle)
                pending = pending & ~accepted
            wrapped = (angle + math.pi + self.loc) % (2 * math.pi) - math.pi
            return wrapped.to(self.loc.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        below = (0.5 * (value - self.loc)).sin().pow(2) * 2  # 1 - cos
        norm = math.log(2 * math.pi) + ops.elementwise.i0e(self.concentration).log()
        return -self.concentration * below - norm  # type: ignore[no-any-return]
