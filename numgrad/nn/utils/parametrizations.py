"""Parametrizations that there are: orthogonal matrices, weights of a length and a direction, weights of spectral norm 1."""

from __future__ import annotations

from typing import Any, TypeVar

from numgrad.autograd import no_grad
from numgrad.dtypes import finfo
from numgrad.nn import functional as F
from numgrad.nn.convolutions import _Transposed
from numgrad.nn.module import Module
from numgrad.nn.utils import parametrize
from numgrad.nn.utils.weight_norm import norm_except_dim, normed
from numgrad.tensor import (
    comparison,
    creation,
    decompositions,
    diagonals,
    joining,
    layers,
    matrix_products,
    pointwise,
    random,
    reductions,
    shaping,
    systems,
)
from numgrad.tensor.tensor import Tensor

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]

_M = TypeVar("_M", bound=Module)

_MAPS = ("matrix_exp", "cayley", "householder")


def _tensor_of(module: Module, name: str) -> Tensor:
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    return weight


# ---- orthogonal -------------------------------------------------------------------------------------------------


def _turned(x: Tensor) -> Tensor:
    return shaping.transpose(x, -2, -1)


def _diagonal(x: Tensor) -> Tensor:
    return diagonals.diagonal(x, 0, -2, -1)


def _orthogonalised(matrix: Tensor) -> Tensor:
    """The orthogonal factor of a QR decomposition whose other factor has a positive diagonal."""
    q, r = decompositions.qr(matrix)
    return pointwise.mul(q, shaping.unsqueeze(pointwise.sign(_diagonal(r)), -2))


class _Orthogonal(Module):
    """Matrices with orthonormal columns (or rows, whichever are fewer), as a function of any matrix.

    With ``use_trivialization`` the function begins at a ``base``, the matrix that was last assigned.
    """

    base: Tensor | None

    def __init__(self, weight: Tensor, orthogonal_map: str, *, use_trivialization: bool = True) -> None:
        super().__init__()
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x: Tensor) -> Tensor:
        wide = x.shape[-2] < x.shape[-1]
        x = _turned(x) if wide else x
        n, k = x.shape[-2:]
        if self.orthogonal_map == "householder":
            q = _householder(x)
        else:
            lower = diagonals.tril(x)
            if n != k:
                lower = joining.cat([lower, creation.zeros((*x.shape[:-1], n - k), dtype=x.dtype)], -1)
            skew = pointwise.sub(lower, _turned(lower))
            if self.orthogonal_map == "matrix_exp":
                q = matrix_products.matrix_exp(skew)
            else:
                half, identity = pointwise.mul(skew, 0.5), creation.eye(n, dtype=x.dtype)
                q = systems.solve(pointwise.sub(identity, half), pointwise.add(identity, half))
            q = shaping.narrow(q, -1, 0, k)
        if "base" in self._buffers:
            assert self.base is not None
            q = layers.matmul(self.base, q)
        return _turned(q) if wide else q

    def right_inverse(self, q: Tensor) -> Tensor:
        """What gives an orthogonal matrix; a matrix that is not orthogonal is made so first."""
        if q.shape != self.shape:
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of shape {q.shape}."
            )
        with no_grad():
            wide = q.shape[-2] < q.shape[-1]
            tall = _turned(q) if wide else q
            n, k = tall.shape[-2:]
            if "base" not in self._buffers:
                if self.orthogonal_map != "householder":
                    raise NotImplementedError(
                        "It is not possible to assign to the matrix exponential or the Cayley parametrizations when "
                        "use_trivialization=False."
                    )
                reflectors = _reflectors(tall)
                return _turned(reflectors) if wide else reflectors
            if n != k:
                more = random.randn(*tall.shape[:-2], n, n - k, dtype=q.dtype)
                base = _orthogonalised(joining.cat([tall, more], -1))
            else:
                base = shaping.clone(tall) if _is_orthogonal(tall) else _orthogonalised(tall)
            self.base = base
            return pointwise.mul(_identity(q.shape, q.dtype), -1)


def _identity(shape: Any, dtype: Any) -> Tensor:
    return shaping.clone(shaping.expand(creation.eye(shape[-2], shape[-1], dtype=dtype), tuple(shape)))


def _is_orthogonal(q: Tensor) -> bool:
    n, k = q.shape[-2:]
    product = layers.matmul(_turned(q), q)
    return comparison.allclose(product, creation.eye(k, dtype=q.dtype), atol=10.0 * n * finfo(q.dtype).eps)


def _householder(x: Tensor) -> Tensor:
    """The product of reflections by the columns below the diagonal, with the signs of the diagonal."""
    below = diagonals.tril(x, -1)
    factors = pointwise.div(2.0, pointwise.add(reductions.sum(pointwise.mul(below, below), -2), 1.0))
    q = decompositions.householder_product(below, factors)
    signs = pointwise.sign(_diagonal(x)).detach()
    return pointwise.mul(q, shaping.unsqueeze(signs, -2))


def _reflectors(q: Tensor) -> Tensor:
    """The matrix from which `_householder` gives q, which has orthonormal columns: column after column is reflected away."""
    rest = shaping.clone(q)
    result = creation.zeros(tuple(q.shape), dtype=q.dtype)
    for column in range(q.shape[-1]):
        x = rest[..., column:, column]
        length = shaping.unsqueeze(reductions.norm(x, 2, -1), -1)
        first = x[..., :1]
        # LAPACK's choice of the sign: nothing is lost where the column is subtracted from its image.
        image = pointwise.where(comparison.ge(first, 0), pointwise.mul(length, -1), length)
        nothing_below = comparison.eq(reductions.sum(x[..., 1:].abs(), -1, keepdim=True), 0)
        image = pointwise.where(nothing_below, first, image)
        gap = pointwise.sub(first, image)
        v = pointwise.div(x, pointwise.where(comparison.eq(gap, 0), 1.0, gap))
        v[..., :1] = 1.0
        v[..., 1:] = pointwise.where(nothing_below, 0.0, v[..., 1:])
        factor = pointwise.where(nothing_below, 0.0, pointwise.div(2.0, reductions.sum(v * v, -1, keepdim=True)))
        block = rest[..., column:, :]
        projected = layers.matmul(shaping.unsqueeze(v, -2), block)
        rest[..., column:, :] = block - shaping.unsqueeze(factor * v, -1) * projected
        result[..., column:, column] = v
        # A column that needs no reflection still gets one, by the vector without anything below: the sign says so.
        sign = pointwise.sign(image[..., 0])
        result[..., column, column] = pointwise.where(nothing_below[..., 0], -sign, sign)
    return result


def orthogonal(
    module: _M, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True
) -> _M:
    """Let a module's matrix (or its batch of matrices) be orthogonal, whatever is learnt, and return the module.

    Parameters
    ----------
    module
        The module.
    name
        The name of the tensor. With fewer rows than columns its rows are orthonormal, otherwise its columns.
    orthogonal_map
        The function from what is learnt: 'matrix_exp', 'cayley' or 'householder'; None: 'matrix_exp' for square matrices,
        'householder' for others.
    use_trivialization
        Whether the function begins at the matrix that was last assigned, which speeds learning up.

    Raises
    ------
    ValueError
        There is no such tensor or no such map, or the tensor has fewer than two dimensions.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> weight = orthogonal(nn.Linear(20, 40)).weight
    >>> ng.allclose(weight.T @ weight, ng.eye(20), atol=1e-4)
    True
    """
    weight = _tensor_of(module, name)
    if weight.ndim < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions.")
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.shape[-2] == weight.shape[-1] else "householder"
    if orthogonal_map not in _MAPS:
        raise ValueError(
            f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}'
        )
    parametrization = _Orthogonal(weight, orthogonal_map, use_trivialization=use_trivialization)
    return parametrize.register_parametrization(module, name, parametrization, unsafe=True)


# ---- lengths and directions -------------------------------------------------------------------------------------


class _WeightNorm(Module):
    """A weight as a function of its lengths along ``dim`` and its direction."""

    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return normed(weight_v, weight_g, self.dim)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except_dim(weight, self.dim), weight


class _OlderNames:
    """The hook of a load that takes the state of `numgrad.nn.utils.weight_norm`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        keys = [f"{prefix}{self.name}_{letter}" for letter in "gv"]
        if all(key in state_dict for key in keys):
            for number, key in enumerate(keys):
                state_dict[f"{prefix}parametrizations.{self.name}.original{number}"] = state_dict.pop(key)


def weight_norm(module: _M, name: str = "weight", dim: int | None = 0) -> _M:
    """Learn a module's weight as its lengths and its direction, Salimans and Kingma, 2016, and return the module.

    Parameters
    ----------
    module
        The module.
    name
        The name of the tensor.
    dim
        The dimension along which each slice has a length of its own; None: all of the weight has one.

    The lengths are ``module.parametrizations.<name>.original0``, the direction is ``original1``.

    >>> from numgrad import nn
    >>> [name for name, _ in weight_norm(nn.Linear(2, 3)).named_parameters()]
    ['bias', 'parametrizations.weight.original0', 'parametrizations.weight.original1']
    """
    parametrize.register_parametrization(module, name, _WeightNorm(dim), unsafe=True)
    module._register_load_state_dict_pre_hook(_OlderNames(name))
    return module


# ---- spectral norm ----------------------------------------------------------------------------------------------


class _SpectralNorm(Module):
    """A weight, divided by its largest singular value, which a power iteration follows in train mode."""

    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        if not -weight.ndim <= dim < weight.ndim:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{weight.ndim}, {weight.ndim - 1}] but got {dim})"
            )
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.dim = dim % weight.ndim
        self.eps = eps
        if weight.ndim > 1:
            self.n_power_iterations = n_power_iterations
            matrix = as_matrix(weight.detach(), self.dim)
            for name, extent in zip(("_u", "_v"), matrix.shape, strict=True):
                drawn = creation.empty(extent, dtype=weight.dtype).normal_(0, 1)
                self.register_buffer(name, F.normalize(drawn, dim=0, eps=eps))
            self._power_method(matrix, 15)

    def _power_method(self, matrix: Tensor, n_power_iterations: int) -> None:
        with no_grad():
            for _ in range(n_power_iterations):
                self._u.copy_(F.normalize(layers.matmul(matrix, self._v), dim=0, eps=self.eps))
                self._v.copy_(F.normalize(layers.matmul(_turned(matrix), self._u), dim=0, eps=self.eps))

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            self._power_method(matrix.detach(), self.n_power_iterations)
        # Copies, since the next forward changes the vectors, and this one's backward reads them.
        u, v = shaping.clone(self._u), shaping.clone(self._v)
        return pointwise.div(weight, reductions.sum(pointwise.mul(u, layers.matmul(matrix, v))))

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def as_matrix(weight: Tensor, dim: int) -> Tensor:
    """A weight as a matrix whose rows are its slices along ``dim``.

    >>> import numgrad as ng
    >>> as_matrix(ng.ones(2, 3, 4), 1).shape
    numgrad.Size([3, 8])
    """
    others = [each for each in range(weight.ndim) if each != dim]
    return shaping.flatten(shaping.permute(weight, dim, *others), 1)


def row_dim(module: Module) -> int:
    """The dimension of the outputs in the weight of a module.

    >>> from numgrad import nn
    >>> row_dim(nn.Linear(2, 3)), row_dim(nn.ConvTranspose1d(2, 3, 1))
    (0, 1)
    """
    return 1 if isinstance(module, _Transposed) else 0


def spectral_norm(
    module: _M, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> _M:
    """Divide a module's weight by its largest singular value, Miyato et al., 2018, and return the module.

    Parameters
    ----------
    module
        The module.
    name
        The name of the tensor.
    n_power_iterations
        How many steps of the power iteration each forward makes in train mode.
    eps
        What vectors shorter than that are divided by.
    dim
        The dimension of the outputs; None: 1 for transposed convolutions, 0 for others.

    Raises
    ------
    ValueError
        There is no such tensor, or the number of iterations is not positive.
    IndexError
        There is no such dimension.

    >>> import numgrad as ng
    >>> from numgrad import nn
    >>> layer = spectral_norm(nn.Linear(20, 40))
    >>> abs(ng.linalg.matrix_norm(layer.weight, 2).item() - 1) < 0.1
    True
    """
    weight = _tensor_of(module, name)
    chosen = row_dim(module) if dim is None else dim
    parametrization = _SpectralNorm(weight, n_power_iterations, chosen, eps)
    return parametrize.register_parametrization(module, name, parametrization)
