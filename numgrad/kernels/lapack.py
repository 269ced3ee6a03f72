"""Linear algebra of the host: LAPACK as NumPy brings it, over arrays ``[..., rows, columns]`` of matrices.

Each function reads its first arrays and writes the others, as `runtime.host` calls them, and returns a status: 0, or which
matrix of a batch fails at which column. Errors of NumPy name no matrix, so what fails is looked for one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray


def failure(info: Array) -> int:
    """The status for the first matrix with an ``info`` that is not 0; `matrix_of` takes it apart."""
    failed = np.flatnonzero(info)
    if not failed.size:
        return 0
    number = int(failed[0])
    return ((number + 1 if info.ndim else 0) << 32) | int(info.flat[number])


def matrix_of(status: int) -> tuple[int | None, int]:
    """The matrix of a batch, or None for a single one, and its ``info``."""
    number, info = divmod(status, 1 << 32)
    return (number - 1 if number else None), info


# ---- spectra ----------------------------------------------------------------------------------------------------


def _by_matrix(
    function: Callable[..., Any], seen: Callable[[Array], Array], a: Array, outputs: tuple[Array, ...], *args: Any
) -> int:
    """Apply one of NumPy's functions; the status of the first matrix with numbers that are not finite, or no convergence.

    ``seen`` gives the part of the matrices that is read. Iterations over such numbers need not end.
    """
    if not np.isfinite(a).all():
        status = failure(np.asarray(~np.isfinite(seen(a)).all((-2, -1))).astype(np.int32))
        if status:
            return status
    try:
        results = function(a, *args)
        for out, value in zip(outputs, results if isinstance(results, tuple) else (results,), strict=True):
            out[...] = value
    except np.linalg.LinAlgError:
        for number, index in enumerate(np.ndindex(a.shape[:-2])):
            try:
                function(a[index], *args)
            except np.linalg.LinAlgError:
                return ((number + 1 if index else 0) << 32) | 1
        raise
    return 0


def _triangle(uplo: str) -> Callable[[Array], Array]:
    """What gives the triangle that is read, with zeros beside it."""
    return np.tril if uplo == "L" else np.triu


def _whole(a: Array) -> Array:
    return a


def eigh(a: Array, values: Array, vectors: Array, uplo: str) -> int:
    """Eigenvalues, ascending, and eigenvectors of symmetric matrices, of which one triangle is read."""
    return _by_matrix(np.linalg.eigh, _triangle(uplo), a, (values, vectors), uplo)


def eigvalsh(a: Array, values: Array, uplo: str) -> int:
    """Eigenvalues alone."""
    return _by_matrix(np.linalg.eigvalsh, _triangle(uplo), a, (values,), uplo)


def svd(a: Array, u: Array, s: Array, vh: Array, full_matrices: bool) -> int:
    """Singular values, descending, and both kinds of singular vectors."""
    return _by_matrix(np.linalg.svd, _whole, a, (u, s, vh), full_matrices)


def svdvals(a: Array, s: Array) -> int:
    """Singular values alone."""
    return _by_matrix(_values_of, _whole, a, (s,))


def _values_of(a: Array) -> Array:
    return np.linalg.svd(a, compute_uv=False)


def pinv(a: Array, *others: Array, hermitian: bool, with_atol: bool) -> int:
    """Pseudoinverses, of the singular values above the larger of ``atol`` and ``rtol`` times the largest."""
    *tolerances, out = others
    atol, rtol = (tolerances[0] if with_atol else 0.0), tolerances[-1]
    if not a.size:
        out[...] = 0
        return 0
    if not np.isfinite(a).all():
        return 1
    try:
        if hermitian:
            values, u = np.linalg.eigh(a)
            vh = u.swapaxes(-1, -2)
        else:
            u, values, vh = np.linalg.svd(a, full_matrices=False)
    except np.linalg.LinAlgError:
        return 1
    size = np.abs(values)
    large = size > np.maximum(atol, rtol * size.max(-1))[..., None]
    inverse = np.where(large, 1 / np.where(large, values, 1), 0).astype(a.dtype)
    out[...] = (vh.swapaxes(-1, -2) * inverse[..., None, :]) @ u.swapaxes(-1, -2)
    return 0


def lstsq(a: Array, b: Array, x: Array, rank: Array, rcond: float) -> int:
    """Solutions of least squares, of the smallest norm, with ranks."""
    if not np.isfinite(a).all():
        return failure(np.asarray(~np.isfinite(a).all((-2, -1))).astype(np.int32))
    finite = np.isfinite(b).all(-2, keepdims=True)
    right = np.where(finite, b, 0)
    for number, index in enumerate(np.ndindex(rank.shape)):
        try:
            if _solved_by_qr(a[index], right[index], x[index], rcond):
                rank[index] = a.shape[-1]
                continue
            x[index], _, rank[index], _ = np.linalg.lstsq(a[index], right[index], rcond)
        except np.linalg.LinAlgError:
            return ((number + 1 if index else 0) << 32) | 1
    x[...] = np.where(finite, x, np.nan)
    return 0


def _solved_by_qr(a: Array, b: Array, x: Array, rcond: float) -> bool:
    """Solve by QR, a fraction of the work of singular values; only where R shows that they are all far from ``rcond``."""
    m, n = a.shape
    if m < n or n == 0:
        return False
    q, r = np.linalg.qr(a)
    try:
        both = np.linalg.solve(r, np.concatenate([q.T @ b, np.eye(n, dtype=a.dtype)], 1))
    except np.linalg.LinAlgError:
        return False
    # The 2-norm's condition is at most that of the Frobenius norm; far from 1 / eps, so that QR solves as exactly.
    condition = np.linalg.norm(r) * np.linalg.norm(both[:, b.shape[1] :])
    if not condition * max(rcond, np.sqrt(np.finfo(a.dtype).eps)) < 1:
        return False
    x[...] = both[:, : b.shape[1]]
    return True


# ---- systems ----------------------------------------------------------------------------------------------------


def cofactor(a: Array, out: Array) -> int:
    """det(A) inv(A)^T, by the inverse where it keeps half of the digits and by singular values elsewhere."""
    sizes = np.finfo(a.dtype)
    for index in np.ndindex(a.shape[:-2]):
        matrix = a[index]
        try:
            inverted = np.linalg.inv(matrix)
            scale = np.abs(matrix).sum(0).max(initial=0) * np.abs(inverted).sum(0).max(initial=0)
            if scale < sizes.eps**-0.5 or not np.isfinite(matrix).all():
                out[index] = np.linalg.det(matrix) * inverted.T
                continue
            u, s, vh = np.linalg.svd(matrix)
        except np.linalg.LinAlgError:
            try:
                u, s, vh = np.linalg.svd(matrix)
            except np.linalg.LinAlgError:
                out[index] = np.nan
                continue
        others = np.where(np.eye(len(s), dtype=bool), 1, s).prod(-1)
        out[index] = np.linalg.det(u) * np.linalg.det(vh) * ((u * others) @ vh)
    return 0


# ---- functions --------------------------------------------------------------------------------------------------

# The numerator of Pade's approximant of order 13, and the 1-norm up to which it has all digits of float64 (Higham 2005).
_PADE = (
    64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0, 129060195264000.0,
    10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0, 40840800.0, 960960.0, 16380.0, 182.0, 1.0,
)  # fmt: skip
_PADE_NORM = 5.371920351148152


def matrix_exp(a: Array, out: Array) -> int:
    """Exponentials by scaling, Pade's approximant and squaring, in float64."""
    if not a.size:
        return 0
    wide = a.astype(np.float64)
    size = np.abs(wide).sum(-2).max(-1)
    times = np.ceil(np.log2(np.maximum(np.where(np.isfinite(size), size, 0), _PADE_NORM) / _PADE_NORM)).astype(int)
    wide = wide / np.exp2(times)[..., None, None]
    c, one = _PADE, np.eye(a.shape[-1])
    two = wide @ wide
    four = two @ two
    six = two @ four
    odd = wide @ (six @ (c[13] * six + c[11] * four + c[9] * two) + c[7] * six + c[5] * four + c[3] * two + c[1] * one)
    even = six @ (c[12] * six + c[10] * four + c[8] * two) + c[6] * six + c[4] * four + c[2] * two + c[0] * one
    try:
        power = np.linalg.solve(even - odd, even + odd)
    except np.linalg.LinAlgError:  # of numbers that are not finite
        power = np.full_like(wide, np.nan)
    for k in range(int(times.max())):
        power = np.where((k < times)[..., None, None], power @ power, power)
    out[...] = power
    return 0
