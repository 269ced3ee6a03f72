"""Polynomials by their coefficients, from the highest power down."""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad.numpy.arrays import as_floats, dtype_of, linalg, ng, operands, tensor, values_of
from numgrad.numpy.calculus import convolve
from numgrad.numpy.creation import vander
from numgrad.numpy.table import implements
from numgrad.tensor.tensor import Tensor


def _coefficients(p: Any) -> Tensor:
    return ng.reshape(tensor(p), (-1,))  # type: ignore[no-any-return]


@implements("polyval")
def polyval(p: Any, x: Any) -> Tensor:
    """The value of a polynomial.

    >>> import numgrad.numpy as np
    >>> np.polyval([1.0, 0.0, -1.0], 3.0)
    array(8.)
    """
    coefficients, at = operands((p, x))
    result = ng.zeros_like(at)
    for c in coefficients:
        result = result * at + c
    return result  # type: ignore[no-any-return]


def _aligned(a1: Any, a2: Any) -> list[Tensor]:
    xs = operands((_coefficients(a1), _coefficients(a2)))
    extent = max(x.shape[0] for x in xs)
    return [ng.cat([ng.zeros(extent - x.shape[0], dtype=x.dtype), x]) for x in xs]


@implements("polyadd")
def polyadd(a1: Any, a2: Any) -> Tensor:
    """The sum of two polynomials."""
    x, y = _aligned(a1, a2)
    return x + y


@implements("polysub")
def polysub(a1: Any, a2: Any) -> Tensor:
    """The difference of two polynomials."""
    x, y = _aligned(a1, a2)
    return x - y


def _trimmed(p: Tensor) -> Tensor:
    """Without zeros at the front; one coefficient stays."""
    first = np.flatnonzero(values_of(p))
    return p[int(first[0]) if first.size else p.shape[0] - 1 :] if p.shape[0] else ng.zeros(1, dtype=p.dtype)


@implements("polymul")
def polymul(a1: Any, a2: Any) -> Tensor:
    """The product of two polynomials."""
    return convolve(_trimmed(_coefficients(a1)), _trimmed(_coefficients(a2)))


@implements("polydiv")
def polydiv(u: Any, v: Any) -> tuple[Tensor, Tensor]:
    """The quotient and the rest of two polynomials."""
    rest, divisor = operands((_coefficients(u), _coefficients(v)), to_float=True)
    count = rest.shape[0] - divisor.shape[0] + 1
    quotient: list[Tensor] = []
    for i in range(max(count, 0)):
        factor = rest[i] / divisor[0]
        quotient.append(factor)
        moved = ng.cat([ng.zeros(i, dtype=rest.dtype), factor * divisor, ng.zeros(count - 1 - i, dtype=rest.dtype)])
        rest = rest - moved
    small = np.flatnonzero(~np.isclose(values_of(rest), 0, rtol=1e-14))
    rest = rest[min(int(small[0]) if small.size else rest.shape[0] - 1, rest.shape[0] - 1) :]
    return (ng.stack(quotient) if quotient else ng.zeros(1, dtype=rest.dtype)), ng.clone(rest)


@implements("polyder")
def polyder(p: Any, m: int = 1) -> Tensor:
    """The derivative of a polynomial."""
    if m < 0:
        raise ValueError("Order of derivative must be positive (see polyint)")
    x = _coefficients(p)
    for _ in range(m):
        x = x[:-1] * tensor(np.arange(x.shape[0] - 1, 0, -1), dtype_of(x))
    return x


@implements("polyint")
def polyint(p: Any, m: int = 1, k: Any = None) -> Tensor:
    """The integral of a polynomial, with constants ``k``."""
    if m < 0:
        raise ValueError("Order of integral must be positive (see polyder)")
    x = as_floats(_coefficients(p))
    constants = ng.broadcast_to(ng.reshape(tensor(0.0 if k is None else k, dtype_of(x)), (-1,)), (m,))
    for i in range(m):
        x = ng.cat([x / tensor(np.arange(x.shape[0], 0, -1), dtype_of(x)), constants[i : i + 1]])
    return x


@implements("poly")
def poly(seq_of_zeros: Any) -> Tensor:
    """The polynomial with given zeros. Of a matrix its characteristic one would need complex numbers on the way."""
    zeros = as_floats(seq_of_zeros)
    if zeros.ndim == 2:
        raise TypeError(
            "numpy.poly: a matrix is refused, whose eigenvalues may be complex numbers; take linalg.eigvalsh"
        )
    result = ng.ones(1, dtype=zeros.dtype)
    for zero in ng.reshape(zeros, (-1,)):
        result = ng.cat([result, ng.zeros(1, dtype=zeros.dtype)]) - ng.cat(
            [ng.zeros(1, dtype=zeros.dtype), result * zero]
        )
    return result  # type: ignore[no-any-return]


@implements("polyfit")
def polyfit(x: Any, y: Any, deg: Any, rcond: Any = None, full: bool = False, w: Any = None, cov: Any = False) -> Any:
    """The polynomial of a degree that fits points best by least squares, differentiable by all of them.

    ``cov=True`` also returns the coefficients' covariances; ``full`` is refused.

    >>> import numgrad.numpy as np
    >>> np.polyfit([0.0, 1.0, 2.0], [1.0, 3.0, 5.0], 1).round(6)
    array([2., 1.])
    """
    if full:
        raise TypeError(
            "numpy.polyfit: full=True is refused, its ranks and singular values have no gradients; take linalg.lstsq"
        )
    at, values = (tensor(v, np.float64) for v in (x, y))
    if at.ndim != 1 or values.ndim not in (1, 2) or at.shape[0] != values.shape[0]:
        raise TypeError("expected 1D vector for x, and y of the same length")
    degrees = np.sort(np.atleast_1d(deg))
    if degrees[0] < 0:
        raise ValueError("expected deg >= 0")
    powers = vander(at, int(degrees[-1]) + 1)
    if np.ndim(deg):
        powers = ng.index_select(powers, 1, tensor(np.ascontiguousarray(int(degrees[-1]) - degrees[::-1])))
    right = ng.unsqueeze(values, 1) if values.ndim == 1 else values
    if w is not None:
        weights = ng.unsqueeze(tensor(w, np.float64), 1)
        powers, right = powers * weights, right * weights
    scale = ng.sqrt(ng.sum(powers * powers, 0))
    scaled = powers / scale
    solution = linalg.lstsq(scaled, right).solution / ng.unsqueeze(scale, 1)
    fitted = ng.squeeze(solution, 1) if values.ndim == 1 else solution
    if not cov:
        return fitted
    base = linalg.inv(ng.matmul(ng.swapaxes(scaled, 0, 1), scaled)) / ng.outer(scale, scale)
    if cov == "unscaled":
        factor: Any = 1.0
    else:
        if at.shape[0] <= powers.shape[1]:
            raise ValueError("the number of data points must exceed order to scale the covariance matrix")
        factor = ng.sum((right - ng.matmul(powers, solution)) ** 2, 0) / (at.shape[0] - powers.shape[1])
    if values.ndim == 1:
        return fitted, base * factor
    return fitted, ng.unsqueeze(base, -1) * factor
