"""The LKJ distribution of correlation matrices, by their Cholesky factors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from numgrad.autograd import no_grad
from numgrad.distributions import constraints
from numgrad.distributions.beta import Beta
from numgrad.distributions.distribution import Distribution
from numgrad.distributions.utils import broadcast_all, standard_normal
from numgrad.dtypes import finfo
from numgrad.layout import Size
from numgrad.tensor import creation, joining, special_functions
from numgrad.tensor.tensor import Tensor

__all__ = ["LKJCholesky"]


class LKJCholesky(Distribution):
    """Cholesky factors of correlation matrices M of ``dim`` rows, of density det(M)**(concentration - 1) in M.

    Lewandowski, Kurowicka and Joe, "Generating random correlation matrices based on vines and extended onion method", 2009,
    of which samples take the onion method.

    Raises
    ------
    ValueError
        ``dim`` is below 2.

    >>> import numgrad as ng
    >>> ng.distributions.LKJCholesky(3, 0.5).sample().shape
    numgrad.Size([3, 3])
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky
    _batched = {"concentration": 0, "_beta": 1}
    _kept = ("dim",)

    def __init__(self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None) -> None:
        if dim < 2:
            raise ValueError(f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}.")
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        # Of each row: how much of its length lies before the diagonal.
        before = creation.arange(dim - 1, dtype=self.concentration.dtype)
        before = joining.cat([before.new_zeros(1), before])
        after = self.concentration.unsqueeze(-1) + 0.5 * (dim - 2) - 0.5 * before
        self._beta = Beta(before + 0.5, after, validate_args=False)
        super().__init__(self.concentration.shape, (dim, dim), validate_args)

    def sample(self, sample_shape: Sequence[int] = Size(())) -> Tensor:
        with no_grad():
            part = self._beta.sample(sample_shape).unsqueeze(-1)
            below = standard_normal(self._extended_shape(sample_shape), part.dtype).tril(-1)[..., 1:, :]
            direction = below / below.pow(2).sum(-1, keepdim=True).sqrt()
            rows = joining.cat([creation.zeros_like(direction[..., :1, :]), direction], -2) * part.sqrt()
            rest = (1 - rows.pow(2).sum(-1)).clamp(min=finfo(rows.dtype).tiny)
            return rows + rest.sqrt().diag_embed()

    def log_prob(self, value: Tensor) -> Tensor:
        """The diagonal's powers are those of det(M), and of the Jacobian from the factor to M."""
        if self._validate_args:
            self._validate_sample(value)
        diagonal = value.diagonal(dim1=-2, dim2=-1)[..., 1:]
        rows = creation.arange(2, self.dim + 1, dtype=self.concentration.dtype)
        powers = 2 * (self.concentration - 1).unsqueeze(-1) + self.dim - rows
        count = self.dim - 1
        alpha = self.concentration + 0.5 * count
        norm = 0.5 * count * math.log(math.pi) + special_functions.mvlgamma(alpha - 0.5, count) - count * alpha.lgamma()
        return (powers * diagonal.log()).sum(-1) - norm
