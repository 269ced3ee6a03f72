"""The multivariate normal distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from numgrad.distributions import constraints
from numgrad.distributions.distribution import Distribution
from numgrad.distributions.utils import lazy_property, standard_normal
from numgrad.layout import Size
from numgrad.tensor import creation, decompositions, grids, systems
from numgrad.tensor.tensor import Tensor

__all__ = ["MultivariateNormal"]


def times_vector(matrix: Tensor, vector: Tensor) -> Tensor:
    """Products of matrices and vectors, whose batches broadcast."""
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)


def log_diagonal(triangle: Tensor) -> Tensor:
    """The sum of the logarithms of the diagonal: of a Cholesky factor half the logarithm of the determinant."""
    return triangle.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def squared_length(triangle: Tensor, vector: Tensor) -> Tensor:
    """|L^-1 x|**2 for triangles L ``[*B, n, n]`` and vectors x ``[..., *B, n]``: Mahalanobis's distance, squared.

    One system for each triangle: the vectors of other dimensions are its right sides.
    """
    n, own = vector.shape[-1], triangle.dim() - 2
    batch = grids.broadcast_shapes(tuple(triangle.shape[:-2]), tuple(vector.shape[:-1]))
    vector = vector.expand((*batch, n))
    lead, inner = tuple(batch[: len(batch) - own]), tuple(batch[len(batch) - own :])
    sides = vector.reshape((-1, *inner, n)).movedim(0, -1)
    solved = systems.solve_triangular(triangle.expand((*inner, n, n)), sides, upper=False)
    return solved.pow(2).sum(-2).movedim(-1, 0).reshape((*lead, *inner))


def triangle_of_precision(precision: Tensor) -> Tensor:
    """The Cholesky factor of the inverse, by way of that of the matrix with rows and columns reversed."""
    reversed_factor = decompositions.cholesky(precision.flip((-2, -1)))
    inverse = reversed_factor.flip((-2, -1)).mT
    return systems.solve_triangular(inverse, creation.eye(precision.shape[-1], dtype=precision.dtype), upper=False)


class OfCovariance(Distribution):
    """What is given by a covariance matrix, by its inverse, or by its Cholesky factor; the others are computed."""

    _unbroadcasted_scale_tril: Tensor

    def _take(self, given: dict[str, Any], batch_shape: Any) -> None:
        """Keep the one matrix that is given, in the batch's shape, and its triangle as it came."""
        ((name, matrix),) = given.items()
        setattr(self, name, matrix.expand((*batch_shape, -1, -1)))
        self._given = name

    def _factorize(self, matrix: Tensor) -> None:
        if self._given == "scale_tril":
            self._unbroadcasted_scale_tril = matrix
        elif self._given == "covariance_matrix":
            self._unbroadcasted_scale_tril = decompositions.cholesky(matrix)
        else:
            self._unbroadcasted_scale_tril = triangle_of_precision(matrix)

    def _in_batch(self, matrix: Tensor) -> Tensor:
        return matrix.expand((*self._batch_shape, self._event_shape[-1], self._event_shape[-1]))

    @lazy_property
    def scale_tril(self) -> Any:
        """The Cholesky factor of the covariance matrix."""
        return self._in_batch(self._unbroadcasted_scale_tril)

    @lazy_property
    def covariance_matrix(self) -> Any:
        """The covariance matrix."""
        return self._in_batch(self._unbroadcasted_scale_tril @ self._unbroadcasted_scale_tril.mT)

    @lazy_property
    def precision_matrix(self) -> Any:
        """The inverse of the covariance matrix."""
        return self._in_batch(decompositions.cholesky_inverse(self._unbroadcasted_scale_tril))


class MultivariateNormal(OfCovariance):
    """Normal vectors of mean ``loc`` and a covariance, given by it, by its inverse, or by its Cholesky factor.

    Raises
    ------
    ValueError
        Not exactly one of the three matrices is given, or something has too few dimensions.

    >>> import numgrad as ng
    >>> ng.distributions.MultivariateNormal(ng.zeros(2), ng.eye(2)).log_prob(ng.zeros(2))
    tensor(-1.8379)
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True
    _batched = {"loc": 1, "covariance_matrix": 2, "scale_tril": 2, "precision_matrix": 2}
    _kept = ("_unbroadcasted_scale_tril", "_given")

    def __init__(
        self,
        loc: Tensor,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        matrices = {
            "covariance_matrix": covariance_matrix, "precision_matrix": precision_matrix, "scale_tril": scale_tril,
        }  # fmt: skip
        given = {name: matrix for name, matrix in matrices.items() if matrix is not None}
        if len(given) != 1:
            raise ValueError("Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
        ((name, matrix),) = given.items()
        if matrix.dim() < 2:
            what = "scale_tril matrix" if name == "scale_tril" else name
            raise ValueError(f"{what} must be at least two-dimensional, with optional leading batch dimensions")
        batch_shape = grids.broadcast_shapes(tuple(matrix.shape[:-2]), tuple(loc.shape[:-1]))
        self._take(given, batch_shape)
        self.loc = loc.expand((*batch_shape, -1))
        super().__init__(batch_shape, self.loc.shape[-1:], validate_args=validate_args)
        self._factorize(matrix)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return self._unbroadcasted_scale_tril.pow(2).sum(-1).expand(self._batch_shape + self._event_shape)

    def rsample(self, sample_shape: Sequence[int] = Size(())) -> Tensor:
        drawn = standard_normal(self._extended_shape(sample_shape), self.loc.dtype)
        return self.loc + times_vector(self._unbroadcasted_scale_tril, drawn)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        distance = squared_length(self._unbroadcasted_scale_tril, value - self.loc)
        half_log_det = log_diagonal(self._unbroadcasted_scale_tril)
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + distance) - half_log_det

    def entropy(self) -> Tensor:
        half_log_det = log_diagonal(self._unbroadcasted_scale_tril)
        return (0.5 * self._event_shape[0] * (1 + math.log(2 * math.pi)) + half_log_det).expand(self._batch_shape)
