"""What distributions share: broadcasting of parameters, probabilities and logits, values computed when they are asked for."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from numgrad import ops
from numgrad.autograd import enable_grad
from numgrad.autograd.batched import bottom
from numgrad.dtypes import dtype as Dtype
from numgrad.dtypes import finfo, get_default_dtype
from numgrad.tensor import activations, creation, grids, random, sampling
from numgrad.tensor.tensor import Tensor

__all__ = [
    "broadcast_all",
    "clamp_probs",
    "lazy_property",
    "logits_to_probs",
    "probs_to_logits",
    "tril_matrix_to_vec",
    "vec_to_tril_matrix",
]

euler_constant = 0.57721566490153286060


def is_number(value: Any) -> bool:
    """Whether it is a number of Python's, NumPy's float64 included."""
    return isinstance(value, (bool, int, float))


def all_true(valid: Tensor) -> bool:
    """Whether all elements are true; within `vmap` those of all examples."""
    return bool(bottom(valid).all())


def broadcast_all(*values: Any) -> tuple[Tensor, ...]:
    """The values as tensors of one shape; numbers get the dtype of the first tensor, or else the default dtype.

    Raises
    ------
    ValueError
        A value is neither a tensor nor a number.

    >>> import numgrad as ng
    >>> [x.shape for x in ng.distributions.utils.broadcast_all(1.0, ng.zeros(2))]
    [numgrad.Size([2]), numgrad.Size([2])]
    """
    if not all(isinstance(value, Tensor) or is_number(value) for value in values):
        raise ValueError("Input arguments must all be instances of Number or numgrad.Tensor.")
    dtype = next((value.dtype for value in values if isinstance(value, Tensor)), get_default_dtype())
    tensors = [value if isinstance(value, Tensor) else creation.tensor(value, dtype=dtype) for value in values]
    return tuple(grids.broadcast_tensors(*tensors))


def standard_normal(shape: Sequence[int], dtype: Dtype) -> Tensor:
    """Standard normal numbers of the default generator."""
    return random.randn(tuple(shape), dtype=dtype)


def standard_uniform(shape: Sequence[int], dtype: Dtype) -> Tensor:
    """Numbers from [0, 1)."""
    return random.rand(tuple(shape), dtype=dtype)


def standard_exponential(shape: Sequence[int], dtype: Dtype) -> Tensor:
    """Exponential numbers of rate 1, above 0."""
    return sampling._exponential(random.default_generator._state, tuple(shape)).to(dtype)


def standard_gamma(concentration: Tensor, logarithm: bool = False) -> Tensor:
    """Gamma numbers of rate 1, or their logarithms, differentiable by the concentration."""
    state = random.default_generator._state
    return ops.gammas.standard_gamma(concentration, state, logarithm=logarithm)  # type: ignore[no-any-return]


def sum_rightmost(value: Tensor, count: int) -> Tensor:
    """Summed over this many last dimensions."""
    return value.sum(tuple(range(-count, 0))) if count else value


def clamp_probs(probs: Tensor) -> Tensor:
    """The probabilities, moved by the dtype's eps away from 0 and 1 where they are nearer.

    >>> import numgrad as ng
    >>> ng.distributions.utils.clamp_probs(ng.tensor([0.0, 0.5])).tolist()
    [1.1920928955078125e-07, 0.5]
    """
    eps = finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """Probabilities: of one event from its log odds, or of several along the last dimension from their logarithms.

    >>> import numgrad as ng
    >>> ng.distributions.utils.logits_to_probs(ng.zeros(4))
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """
    return logits.sigmoid() if is_binary else activations.softmax(logits, -1)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """The inverse of `logits_to_probs`, of probabilities kept away from 0 and 1.

    >>> import numgrad as ng
    >>> ng.distributions.utils.probs_to_logits(ng.tensor(0.5), is_binary=True)
    tensor(0.)
    """
    clamped = clamp_probs(probs)
    return clamped.log() - (-clamped).log1p() if is_binary else clamped.log()


class lazy_property:  # noqa: N801 (torch's name)
    """A property that is computed when it is first asked for, recorded even in `no_grad`, and is an attribute from then on.

    >>> import numgrad as ng
    >>> class Circle:
    ...     @ng.distributions.utils.lazy_property
    ...     def area(self):
    ...         return 3
    >>> circle = Circle()
    >>> circle.area, vars(circle)
    (3, {'area': 3})
    """

    def __init__(self, wrapped: Callable[[Any], Any]) -> None:
        self.wrapped = wrapped
        functools.update_wrapper(self, wrapped)  # type: ignore[arg-type]
        del self.__wrapped__  # type: ignore[attr-defined]  # of a property, which nobody may take for a function

    def __get__(self, instance: Any, obj_type: Any = None) -> Any:
        if instance is None:
            return self
        with enable_grad():
            value = self.wrapped(instance)
        setattr(instance, self.wrapped.__name__, value)
        return value


def _lower(size: int, diag: int) -> tuple[Tensor, Tensor]:
    """Rows and columns of a square matrix's elements up to a diagonal, row by row."""
    places = [(i, j) for i in range(size) for j in range(min(size, i + diag + 1))]
    rows, columns = [i for i, _ in places], [j for _, j in places]
    return creation.tensor(rows).long(), creation.tensor(columns).long()


def tril_matrix_to_vec(mat: Tensor, diag: int = 0) -> Tensor:
    """The elements of matrices ``[..., D, D]`` up to a diagonal, row by row.

    Raises
    ------
    ValueError
        There is no such diagonal.

    >>> import numgrad as ng
    >>> ng.distributions.utils.tril_matrix_to_vec(ng.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([1., 3., 4.])
    """
    n = mat.shape[-1]
    if diag < -n or diag >= n:
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}].")
    rows, columns = _lower(n, diag)
    return mat[..., rows, columns]


def vec_to_tril_matrix(vec: Tensor, diag: int = 0) -> Tensor:
    """Matrices ``[..., D, D]`` of these elements up to a diagonal, row by row, and zeros.

    Raises
    ------
    ValueError
        No size of a matrix fits.

    >>> import numgrad as ng
    >>> ng.distributions.utils.vec_to_tril_matrix(ng.tensor([1.0, 3.0, 4.0]))
    tensor([[1., 0.],
            [3., 4.]])
    """
    count, offset = vec.shape[-1], 1 + 2 * diag
    root = math.sqrt(offset**2 + 8 * count + 4 * abs(diag) * (diag + 1))
    n = round((root - offset) / 2)
    rows, columns = _lower(n, diag)
    if rows.shape[0] != count:
        raise ValueError(
            f"The size of last dimension is {count} which cannot be expressed as "
            "the lower triangular part of a square D x D matrix."
        )
    flat = vec.new_zeros((*vec.shape[:-1], n * n))
    return flat.index_copy(-1, rows * n + columns, vec).reshape((*vec.shape[:-1], n, n))
