"""Wishart's distribution of matrices."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from numgrad.distributions import constraints
from numgrad.distributions.chi2 import Chi2
from numgrad.distributions.constraints import Constraint
from numgrad.distributions.exp_family import ExponentialFamily
from numgrad.distributions.multivariate_normal import OfCovariance, log_diagonal
from numgrad.distributions.utils import all_true, is_number, standard_normal
from numgrad.dtypes import finfo
from numgrad.layout import Size
from numgrad.tensor import creation, decompositions, grids, pointwise, special_functions, systems
from numgrad.tensor.tensor import Tensor

__all__ = ["Wishart"]


class Wishart(OfCovariance, ExponentialFamily):
    """Sums of x x^T over ``df`` normal vectors x of mean 0; ``df`` need not be whole.

    The covariance of the vectors is given by it, by its inverse or by its Cholesky factor. Samples are made by Bartlett's
    decomposition (Smith and Hocking, "Wishart variate generator", 1972).

    Raises
    ------
    AssertionError
        Not exactly one of the three matrices is given.
    ValueError
        The matrix has too few dimensions, or ``df`` is not above its size less 1.

    >>> import numgrad as ng
    >>> ng.distributions.Wishart(3.0, ng.eye(2)).mean
    tensor([[3., 0.],
            [0., 3.]])
    """

    support = constraints.positive_definite
    has_rsample = True
    _mean_carrier_measure = 0
    _batched = {"df": 0, "covariance_matrix": 2, "scale_tril": 2, "precision_matrix": 2, "_dist_chi2": 1}
    _kept = ("_unbroadcasted_scale_tril", "_given")

    def __init__(
        self,
        df: Any,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        matrices = {
            "covariance_matrix": covariance_matrix, "precision_matrix": precision_matrix, "scale_tril": scale_tril,
        }  # fmt: skip
        given = {name: matrix for name, matrix in matrices.items() if matrix is not None}
        if len(given) != 1:
            raise AssertionError("Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
        (matrix,) = given.values()
        if matrix.dim() < 2:
            raise ValueError("scale_tril must be at least two-dimensional, with optional leading batch dimensions")
        p = matrix.shape[-1]
        self.df = creation.tensor(df, dtype=matrix.dtype) if is_number(df) else df
        batch_shape = grids.broadcast_shapes(tuple(matrix.shape[:-2]), tuple(self.df.shape))
        self.df = self.df.expand(tuple(batch_shape))
        if not all_true(self.df > p - 1):
            raise ValueError(f"Value of df={df} expected to be greater than ndim - 1 = {p - 1}.")
        if not all_true(self.df >= p):
            warnings.warn(
                "Low df values detected. Singular samples are highly likely to occur for ndim - 1 < df < ndim.",
                stacklevel=2,
            )
        self._take(given, batch_shape)
        super().__init__(batch_shape, matrix.shape[-2:], validate_args=validate_args)
        self._factorize(matrix)
        self._dist_chi2 = Chi2(self.df.unsqueeze(-1) - creation.arange(p, dtype=matrix.dtype))

    @property
    def arg_constraints(self) -> dict[str, Constraint]:
        return {
            "covariance_matrix": constraints.positive_definite,
            "precision_matrix": constraints.positive_definite,
            "scale_tril": constraints.lower_cholesky,
            "df": constraints.greater_than(self._event_shape[-1] - 1),
        }

    @property
    def mean(self) -> Tensor:
        return self.df[..., None, None] * self.covariance_matrix  # type: ignore[no-any-return]

    @property
    def mode(self) -> Tensor:
        factor = self.df - self._event_shape[-1] - 1
        factor = pointwise.where(factor <= 0, math.nan, factor)
        return factor[..., None, None] * self.covariance_matrix  # type: ignore[no-any-return]

    @property
    def variance(self) -> Tensor:
        diagonal = self.covariance_matrix.diagonal(dim1=-2, dim2=-1)
        products = diagonal.unsqueeze(-1) * diagonal.unsqueeze(-2)
        return self.df[..., None, None] * (self.covariance_matrix.pow(2) + products)  # type: ignore[no-any-return]

    def _drawn(self, sample_shape: Sequence[int]) -> Tensor:
        shape = self._extended_shape(sample_shape)
        roots = self._dist_chi2.rsample(sample_shape).sqrt()
        roots = roots.clamp(min=finfo(roots.dtype).eps).diag_embed()
        triangle = self._unbroadcasted_scale_tril @ (roots + standard_normal(shape, roots.dtype).tril(-1))
        return triangle @ triangle.mT

    def rsample(self, sample_shape: Sequence[int] = Size(()), max_try_correction: int | None = None) -> Tensor:
        """As for all distributions; samples that are singular by rounding are drawn again, ``max_try_correction`` times.

        The default is 10; there is a warning where one is singular.
        """
        drawn = self._drawn(sample_shape)
        is_singular = ~self.support.check(drawn)
        if not all_true(~is_singular):
            warnings.warn("Singular sample detected.", stacklevel=2)
            for _ in range(10 if max_try_correction is None else max_try_correction):
                drawn = pointwise.where(is_singular[..., None, None], self._drawn(sample_shape), drawn)
                is_singular = ~self.support.check(drawn)
                if all_true(~is_singular):
                    break
        return drawn

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        nu, p = self.df, self._event_shape[-1]
        triangle = self._unbroadcasted_scale_tril
        batch = tuple(grids.broadcast_shapes(tuple(triangle.shape[:-2]), tuple(value.shape[:-2])))
        solved = decompositions.cholesky_solve(value.expand((*batch, p, p)), triangle.expand((*batch, p, p)))
        return (
            (nu - p - 1) / 2 * systems.slogdet(value)[1]
            - solved.diagonal(dim1=-2, dim2=-1).sum(-1) / 2
            - nu * (p * math.log(2) / 2 + log_diagonal(triangle))
            - special_functions.mvlgamma(nu / 2, p)
        )

    def entropy(self) -> Tensor:
        nu, p = self.df, self._event_shape[-1]
        halves = creation.arange(p, dtype=nu.dtype) / 2
        return (
            (p + 1) * (p * math.log(2) / 2 + log_diagonal(self._unbroadcasted_scale_tril))
            + special_functions.mvlgamma(nu / 2, p)
            - (nu - p - 1) / 2 * ((nu / 2).unsqueeze(-1) - halves).digamma().sum(-1)
            + nu * p / 2
        )

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        return -self.precision_matrix / 2, (self.df - self._event_shape[-1] - 1) / 2

    def _log_normalizer(self, x: Tensor, y: Tensor) -> Tensor:  # type: ignore[override]
        p = self._event_shape[-1]
        half = y + (p + 1) / 2
        return half * (p * math.log(2) - systems.slogdet(-2 * x)[1]) + special_functions.mvlgamma(half, p)
