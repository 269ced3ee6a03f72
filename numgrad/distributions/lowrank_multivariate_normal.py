"""The multivariate normal distribution with a covariance of few factors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from numgrad.distributions import constraints
from numgrad.distributions.distribution import Distribution
from numgrad.distributions.multivariate_normal import log_diagonal, squared_length, times_vector
from numgrad.distributions.utils import lazy_property, standard_normal
from numgrad.layout import Size
from numgrad.tensor import creation, decompositions, grids, systems
from numgrad.tensor.tensor import Tensor

__all__ = ["LowRankMultivariateNormal"]


class LowRankMultivariateNormal(Distribution):
    """Normal vectors of mean ``loc`` and covariance W W^T + D, for W ``[..., n, m]``, ``cov_factor``, and a diagonal D.

    What costs is a matrix of m rows, the capacitance I + W^T D^-1 W: by Woodbury's identity and the determinant lemma.

    Raises
    ------
    ValueError
        Shapes do not fit, or something has too few dimensions.

    >>> import numgrad as ng
    >>> normal = ng.distributions.LowRankMultivariateNormal(ng.zeros(2), ng.tensor([[1.0], [0.0]]), ng.ones(2))
    >>> normal.covariance_matrix
    tensor([[2., 0.],
            [0., 1.]])
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector
    has_rsample = True
    _batched = {"loc": 1, "cov_diag": 1, "cov_factor": 2}
    _kept = ("_unbroadcasted_cov_factor", "_unbroadcasted_cov_diag", "_capacitance_tril")

    def __init__(self, loc: Tensor, cov_factor: Tensor, cov_diag: Tensor, validate_args: bool | None = None) -> None:
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        event_shape = Size(loc.shape[-1:])
        if cov_factor.dim() < 2:
            raise ValueError("cov_factor must be at least two-dimensional, with optional leading batch dimensions")
        if cov_factor.shape[-2] != event_shape[0]:
            raise ValueError(f"cov_factor must be a batch of matrices with shape {event_shape[0]} x m")
        if cov_diag.shape[-1:] != event_shape:
            raise ValueError(f"cov_diag must be a batch of vectors with shape {event_shape}")
        try:
            batch = grids.broadcast_shapes(
                *[tuple(x) for x in (loc.shape[:-1], cov_factor.shape[:-2], cov_diag.shape[:-1])]
            )
        except RuntimeError as error:
            raise ValueError(
                f"Incompatible batch shapes: loc {loc.shape}, cov_factor {cov_factor.shape}, cov_diag {cov_diag.shape}"
            ) from error
        self.loc, self.cov_diag = loc.expand((*batch, -1)), cov_diag.expand((*batch, -1))
        self.cov_factor = cov_factor.expand((*batch, -1, -1))
        self._unbroadcasted_cov_factor = cov_factor
        self._unbroadcasted_cov_diag = cov_diag
        identity = creation.eye(cov_factor.shape[-1], dtype=cov_factor.dtype)
        self._capacitance_tril = decompositions.cholesky(identity + self._weighted() @ cov_factor)
        super().__init__(batch, event_shape, validate_args=validate_args)

    def _weighted(self) -> Tensor:
        """W^T D^-1."""
        return self._unbroadcasted_cov_factor.mT / self._unbroadcasted_cov_diag.unsqueeze(-2)

    def _whitened(self) -> Tensor:
        """A with A^T A = D^-1 W C^-1 W^T D^-1, so that the inverse covariance is D^-1 - A^T A."""
        capacitance, weighted = self._capacitance_tril, self._weighted()
        batch = grids.broadcast_shapes(tuple(capacitance.shape[:-2]), tuple(weighted.shape[:-2]))
        capacitance, weighted = (x.expand((*batch, -1, -1)) for x in (capacitance, weighted))
        return systems.solve_triangular(capacitance, weighted, upper=False)

    def _log_det(self) -> Tensor:
        return 2 * log_diagonal(self._capacitance_tril) + self._unbroadcasted_cov_diag.log().sum(-1)

    def _distance(self, x: Tensor) -> Tensor:
        """Mahalanobis's, squared."""
        inner = squared_length(self._capacitance_tril, times_vector(self._weighted(), x))
        return (x.pow(2) / self._unbroadcasted_cov_diag).sum(-1) - inner

    def _in_batch(self, matrix: Tensor) -> Tensor:
        return matrix.expand((*self._batch_shape, *self._event_shape, *self._event_shape))

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @lazy_property
    def variance(self) -> Any:
        diagonal = self._unbroadcasted_cov_factor.pow(2).sum(-1) + self._unbroadcasted_cov_diag
        return diagonal.expand(self._batch_shape + self._event_shape)

    @lazy_property
    def scale_tril(self) -> Any:
        """The Cholesky factor of the covariance: D^1/2 times that of I + D^-1/2 W W^T D^-1/2, which is far from singular."""
        roots = self._unbroadcasted_cov_diag.sqrt().unsqueeze(-1)
        scaled = self._unbroadcasted_cov_factor / roots
        identity = creation.eye(self._event_shape[0], dtype=scaled.dtype)
        return self._in_batch(roots * decompositions.cholesky(identity + scaled @ scaled.mT))

    @lazy_property
    def covariance_matrix(self) -> Any:
        """The covariance matrix."""
        factor = self._unbroadcasted_cov_factor
        return self._in_batch(factor @ factor.mT + self._unbroadcasted_cov_diag.diag_embed())

    @lazy_property
    def precision_matrix(self) -> Any:
        """The inverse of the covariance matrix."""
        whitened = self._whitened()
        return self._in_batch(self._unbroadcasted_cov_diag.reciprocal().diag_embed() - whitened.mT @ whitened)

    def rsample(self, sample_shape: Sequence[int] = Size(())) -> Tensor:
        shape = self._extended_shape(sample_shape)
        factors = standard_normal((*shape[:-1], self.cov_factor.shape[-1]), self.loc.dtype)
        own = standard_normal(shape, self.loc.dtype)
        of_factors = times_vector(self._unbroadcasted_cov_factor, factors)
        return self.loc + of_factors + self._unbroadcasted_cov_diag.sqrt() * own

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        distance = self._distance(value - self.loc)
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + self._log_det() + distance)

    def entropy(self) -> Tensor:
        return (0.5 * (self._event_shape[0] * (1 + math.log(2 * math.pi)) + self._log_det())).expand(self._batch_shape)
